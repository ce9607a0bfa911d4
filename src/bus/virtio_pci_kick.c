/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Notifications of the virtio-pci bus: posted writes to the notification areas, which lie in the
 * notify capability's structure (TQ-102).
 *
 * For notify_fd the control loop watches the descriptor and passes each kick on. A new descriptor
 * for the same queue is a new watch; the old one ends by itself, and says so when it has. Without a
 * descriptor (TVQ_NOTIFY_POLL) a timer notifies: nobody says when there is work, and the device's
 * look is the only one there is.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "bus/virtio_pci_priv.h"

#define POLL_NS 100000

struct vpci_kick {
	struct vpci_kick *next; /* of its bucket */
	struct vpci *v;
	uint64_t area;
	uint16_t index;
	int fd; /* -1: polled */
	struct tvq_watch watch;
	struct tvq_timer timer;
	bool owed;	       /* a notification that waits for room */
	struct tvq_done *done; /* hears when it is not used any more */
};

void vpci_notify(struct tvq_bus *b, uint64_t area, uint32_t value, unsigned int width)
{
	struct vpci *v = vpci_of(b);
	const struct vpci_cap *c = &v->caps.notify;
	uint8_t le[8];

	/* The area's number came from the device. */
	if (v->gone || width > sizeof(le) || c->len < width || area > c->len - width)
		return;
	tvq_put64(le, value);
	v->fn->ops->post(v->fn, c->region, c->offset + area, le, width);
}

/* However often a guest kicks, no more than one of them waits where the device is slow to read. */
static void pass_on(struct vpci_kick *k)
{
	k->owed = k->v->fn->ops->is_clogged(k->v->fn);
	if (k->owed)
		k->v->kicks_owed = true;
	else
		vpci_notify(&k->v->bus, k->area, k->index, 2);
}

void vpci_kick_room(struct vpci *v)
{
	if (!v->kicks_owed)
		return;
	v->kicks_owed = false;
	for (unsigned int i = 0; i < VPCI_KICK_BUCKETS; i++)
		for (struct vpci_kick *k = v->kicks[i]; k; k = k->next)
			if (k->owed)
				pass_on(k);
}

static void kicked(struct tvq_watch *w, int events)
{
	struct vpci_kick *k = tvq_container_of(w, struct vpci_kick, watch);

	if (events < 0)
		tvq_log(k->v->bus.os, TVQ_LOG_WARN,
			"%s: queue %u: its kick descriptor cannot be watched any more",
			k->v->bus.ops->name, k->index);
	else
		pass_on(k);
}

static void poll_again(struct tvq_timer *t)
{
	struct vpci_kick *k = tvq_container_of(t, struct vpci_kick, timer);

	pass_on(k);
	if (tvq_timer_set(k->v->bus.exec, t, k->v->bus.os->now() + POLL_NS))
		tvq_log(k->v->bus.os, TVQ_LOG_ERR, "%s: queue %u is not polled any more",
			k->v->bus.ops->name, k->index);
}

static void kick_free(struct vpci_kick *k)
{
	struct tvq_done *done = k->done;

	if (k->fd >= 0)
		close(k->fd);
	k->v->watches--;
	free(k);
	if (done)
		done->fn(done, 0);
}

static void watch_stopped(struct tvq_watch *w)
{
	kick_free(tvq_container_of(w, struct vpci_kick, watch));
}

/* It is on no list any more. */
static void kick_end(struct vpci_kick *k)
{
	if (k->fd >= 0) {
		tvq_watch_stop(&k->watch, watch_stopped);
		return;
	}
	tvq_timer_clear(k->v->bus.exec, &k->timer);
	kick_free(k);
}

static struct vpci_kick **bucket(struct vpci *v, uint64_t area, uint16_t index)
{
	return &v->kicks[(area / 4096 * 31 + area + index) % VPCI_KICK_BUCKETS];
}

static struct vpci_kick **find(struct vpci *v, uint64_t area, uint16_t index)
{
	struct vpci_kick **at = bucket(v, area, index);

	while (*at && ((*at)->area != area || (*at)->index != index))
		at = &(*at)->next;
	return at;
}

static int kick_new(struct vpci *v, uint64_t area, uint16_t index, int fd, struct vpci_kick **kick)
{
	struct vpci_kick *k = calloc(1, sizeof(*k));
	int err;

	*kick = k;
	if (!k)
		return -ENOMEM;
	k->v = v;
	k->area = area;
	k->index = index;
	k->watch.fn = kicked;
	k->timer.fn = poll_again;
	k->fd = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
	err = fd >= 0 && k->fd < 0 ? -errno : 0;
	if (!err && fd == TVQ_NOTIFY_POLL)
		err = tvq_timer_set(v->bus.exec, &k->timer, v->bus.os->now() + POLL_NS);
	if (!err)
		return 0;
	if (k->fd >= 0)
		close(k->fd);
	free(k);
	return err;
}

int vpci_notify_fd(struct tvq_bus *b, uint64_t area, uint16_t index, int fd, struct tvq_done *done)
{
	struct vpci *v = vpci_of(b);
	struct vpci_kick **at = find(v, area, index), *old = *at, *k = NULL;
	int err = 0;

	if (fd != TVQ_NOTIFY_NONE)
		err = v->gone ? -ENODEV : kick_new(v, area, index, fd, &k);
	if (err)
		return err;
	if (old)
		*at = old->next;
	if (k) {
		k->next = *at;
		*at = k;
		v->watches++;
		if (k->fd >= 0)
			tvq_watch_start(v->fn->loop, &k->watch, k->fd, POLLIN);
		/* What was added while nobody watched is looked at. */
		pass_on(k);
	}
	if (old) {
		old->done = done;
		kick_end(old);
	} else if (done) {
		done->fn(done, 0);
	}
	return 0;
}

void vpci_kick_stop(struct vpci *v)
{
	for (unsigned int i = 0; i < VPCI_KICK_BUCKETS; i++) {
		while (v->kicks[i]) {
			struct vpci_kick *k = v->kicks[i];

			v->kicks[i] = k->next;
			kick_end(k);
		}
	}
}
