// SPDX-License-Identifier: BSD-3-Clause
/*
 * Notifications of the in-process bus by eventfd: the queue's own worker watches the descriptor, so
 * that a kick passes nobody else.
 *
 * The watch belongs to whoever has the queue. A change of the descriptor while a worker has it is a
 * message there: the old watch ends, the new one begins, one look at the ring follows, and a
 * message back closes the old descriptor. Changes asked for while the queue is leaving wait until
 * it is AWAY.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "bus/inproc.h"

struct change {
	struct tvq_msg msg;
	struct change *next;
	struct inproc_kick *kick;
	struct tvq_done *done;
	int fd; /* in: the new one; out: the one to close */
};

struct inproc_kick {
	struct tvq_vq *vq;
	struct inproc *ip;
	int fd; /* or TVQ_NOTIFY_NONE, TVQ_NOTIFY_POLL */
	struct tvq_watch watch;
	bool watching, leaving;
	struct change *applying; /* on the worker */
	struct change *head,
		**tail; /* on the control executor: asked for, not begun or not ended */
	bool busy;	/* head is with the worker */
};

static void kicked(struct tvq_watch *w, int events)
{
	struct inproc_kick *k = tvq_container_of(w, struct inproc_kick, watch);

	if (events < 0)
		tvq_log(k->ip->bus.os, TVQ_LOG_WARN,
			"managed device %llu: queue %u: its kick descriptor cannot be watched any "
			"more",
			(unsigned long long)k->vq->dev->id, k->vq->index);
	else
		tvq_vq_kick_local(k->vq);
}

/* ---- on the worker ---- */

/* Made by the control executor, perhaps while the queue is on its way to the worker. */
static struct inproc_kick *kick_seen(struct tvq_vq *vq)
{
	return __atomic_load_n(&vq->kick, __ATOMIC_ACQUIRE);
}

static void start_watch(struct inproc_kick *k)
{
	k->vq->always_poll = k->fd == TVQ_NOTIFY_POLL;
	if (k->fd < 0)
		return;
	k->watching = true;
	tvq_watch_start(tvq_exec_loop(k->vq->worker), &k->watch, k->fd, POLLIN);
}

static void apply(struct inproc_kick *k)
{
	struct change *c = k->applying;
	int old = k->fd;

	k->fd = c->fd;
	c->fd = old;
	k->applying = NULL;
	start_watch(k);
	tvq_vq_kick_local(k->vq);
	tvq_exec_post(k->ip->bus.exec, &c->msg);
}

static void watch_stopped(struct tvq_watch *w)
{
	struct inproc_kick *k = tvq_container_of(w, struct inproc_kick, watch);

	k->watching = false;
	if (k->applying)
		apply(k);
	if (!k->leaving)
		return;
	if (k->watching) {
		tvq_watch_stop(&k->watch, watch_stopped);
		return;
	}
	k->leaving = false;
	tvq_vq_left(k->vq);
}

static void change_ended(struct tvq_msg *m);

static void change_on_worker(struct tvq_msg *m)
{
	struct change *c = tvq_container_of(m, struct change, msg);
	struct inproc_kick *k = c->kick;

	m->fn = change_ended;
	k->applying = c;
	if (k->watching)
		tvq_watch_stop(&k->watch, watch_stopped);
	else
		apply(k);
}

void inproc_vq_enter(struct tvq_platform *p, struct tvq_vq *vq)
{
	struct inproc_kick *k = kick_seen(vq);

	(void)p;
	if (k)
		start_watch(k);
}

void inproc_vq_leave(struct tvq_platform *p, struct tvq_vq *vq)
{
	struct inproc_kick *k = kick_seen(vq);

	(void)p;
	if (!k || (!k->watching && !k->applying)) {
		tvq_vq_left(vq);
		return;
	}
	k->leaving = true;
	if (!k->applying)
		tvq_watch_stop(&k->watch, watch_stopped);
}

/* ---- on the control executor ---- */

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

static void finish_head(struct inproc_kick *k)
{
	struct change *c = k->head;
	struct tvq_done *done = c->done;

	k->head = c->next;
	if (!k->head)
		k->tail = &k->head;
	k->busy = false;
	close_fd(c->fd);
	free(c);
	if (done)
		done->fn(done, 0);
}

/* Begins changes, in order, for as long as none has to wait. */
static void go_on(struct inproc_kick *k)
{
	while (k->head && !k->busy) {
		struct change *c = k->head;
		int old = k->fd;

		if (k->vq->place == TVQ_VQ_LEAVING)
			return;
		if (k->vq->place == TVQ_VQ_THERE) {
			k->busy = true;
			tvq_exec_post(k->vq->worker, &c->msg);
			return;
		}
		k->fd = c->fd;
		c->fd = old;
		finish_head(k);
	}
}

static void change_ended(struct tvq_msg *m)
{
	struct inproc_kick *k = tvq_container_of(m, struct change, msg)->kick;

	finish_head(k);
	go_on(k);
}

void inproc_vq_away(struct tvq_platform *p, struct tvq_vq *vq)
{
	(void)p;
	if (vq->kick)
		go_on(vq->kick);
}

static struct inproc_kick *kick_of(struct inproc *ip, struct tvq_vq *vq)
{
	struct inproc_kick *k = vq->kick;

	if (k)
		return k;
	k = calloc(1, sizeof(*k));
	if (!k)
		return NULL;
	k->vq = vq;
	k->ip = ip;
	k->fd = TVQ_NOTIFY_NONE;
	k->watch.fn = kicked;
	k->tail = &k->head;
	return k;
}

int inproc_notify_fd(struct tvq_bus *b, uint64_t area, uint16_t index, int fd,
		     struct tvq_done *done)
{
	struct inproc *ip = inproc_of(b);
	struct tvq_vq *vq = tvq_root_area_vq(ip->dev->root, area, index);
	struct inproc_kick *k;
	struct change *c;

	if (!vq)
		return -ENOENT;
	k = kick_of(ip, vq);
	c = calloc(1, sizeof(*c));
	if (!k || !c) {
		if (k != vq->kick)
			free(k);
		free(c);
		return -ENOMEM;
	}
	c->fd = fd < 0 ? fd : fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (fd >= 0 && c->fd < 0) {
		int err = -errno;

		if (k != vq->kick)
			free(k);
		free(c);
		return err;
	}
	__atomic_store_n(&vq->kick, k, __ATOMIC_RELEASE); /* pairs with kick_seen() */
	c->kick = k;
	c->done = done;
	c->msg.fn = change_on_worker;
	*k->tail = c;
	k->tail = &c->next;
	go_on(k);
	return 0;
}

void inproc_vq_free(struct tvq_platform *p, struct tvq_vq *vq)
{
	struct inproc_kick *k = vq->kick;

	(void)p;
	if (!k)
		return;
	go_on(k);
	close_fd(k->fd);
	free(k);
	vq->kick = NULL;
}
