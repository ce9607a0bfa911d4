/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A network's link, for front ends that know it by the connection. Theory of operation.
 *
 *   OPEN    listens; a front end is connected, or may be
 *   LEAVING the device said that its link is down: the rings stop, so that their positions are
 *           known, and the connection is closed. Nothing is read any more but the message under way
 *           is answered
 *   DEAF    whoever connects is refused, at once: QEMU's machine stands still while it waits for an
 *           answer. The device's status field is read once a second, since nobody else has its
 *           configuration interrupt; when the link is up it is OPEN again, and the front end comes
 *           back (QEMU: reconnect=1 or reconnect-ms=1000 of its chardev)
 *
 * A link that is down when nobody is connected changes nothing: QEMU does not even start without a
 * back end. So the first connection is taken, and goes when its rings begin to run.
 *
 * DPDK's virtio_user never comes back. It is known by what it does not take, RARP and NET_MTU, and
 * stays connected; its frames are dropped by the switch.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/virtio_net.h>

#include <present/internal.h>

#define LOOK_NS (1000 * VU_MSEC)

static bool comes_back(const struct vu_conn *c)
{
	return vu_protocol(c, VU_PF_RARP) || vu_protocol(c, VU_PF_NET_MTU);
}

void vu_link_is(struct vu_conn *c, bool up)
{
	struct tvq_vhost_user *p = c->p;

	if (up || c->leaving_link || c->closing || vu_protocol(c, VU_PF_CONFIG))
		return;
	if (!comes_back(c)) {
		if (!c->link_said)
			vu_log(c, TVQ_LOG_INFO, "the link is down, which it cannot be told");
		c->link_said = true;
		return;
	}
	vu_say(p, TVQ_LOG_INFO, ": the link is down: the front end is let go until it is up");
	p->link_down = true;
	c->leaving_link = true;
	if (!c->busy)
		vu_sync_now(c);
}

void vu_link_left(struct vu_conn *c)
{
	vu_net_keep(c);
	vu_close(c, TVQ_LOG_INFO, NULL);
}

/* Deaf. */

static void look_later(struct tvq_vhost_user *p, uint64_t ns)
{
	/* Without memory for it: at once, which a turn separates from this one. */
	tvq_timer_set(p->bus->exec, &p->link_timer, vu_now(p) + ns);
}

static void hears_again(struct tvq_vhost_user *p)
{
	char err[256];

	if (p->sock.fd >= 0)
		close(p->sock.fd);
	if (tvq_unix_listen(&p->sock, p->path, VU_BACKLOG, err, sizeof(err))) {
		if (!p->starved)
			vu_say(p, TVQ_LOG_ERR, ": does not listen, tries on: %s", err);
		p->starved = true;
		look_later(p, LOOK_NS);
		return;
	}
	p->link_down = false;
	p->starved = false;
	vu_say(p, TVQ_LOG_INFO, ": the link is up: a front end may connect");
	vu_listen(p);
}

static void looked(struct tvq_done *d, int err)
{
	struct tvq_vhost_user *p = vu_container(d, struct tvq_vhost_user, link_done);

	p->link_seq = NULL;
	if (!err && le16toh(p->link_status) & VIRTIO_NET_S_LINK_UP)
		hears_again(p);
	else
		look_later(p, LOOK_NS);
}

static void look(struct tvq_timer *t)
{
	struct tvq_vhost_user *p = vu_container(t, struct tvq_vhost_user, link_timer);
	struct tvq_seq *s = tvq_seq_new(p->client, p->device_id);

	if (!s) {
		look_later(p, LOOK_NS);
		return;
	}
	tvq_seq_config_get(s, offsetof(struct virtio_net_config, status), sizeof(p->link_status),
			   &p->link_status);
	p->link_seq = s;
	tvq_seq_run(s, &p->link_done);
}

/* Whoever has connected meanwhile waits for an answer. */
static void turn_away(struct tvq_vhost_user *p)
{
	int fd;

	shutdown(p->sock.fd, SHUT_RDWR);
	while ((fd = accept4(p->sock.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0)
		close(fd);
}

static void not_watched(struct tvq_watch *w)
{
	struct tvq_vhost_user *p = vu_container(w, struct tvq_vhost_user, watch);

	if (vu_unlistened(p))
		return;
	turn_away(p);
	look_later(p, 0);
}

void vu_link_deaf(struct tvq_vhost_user *p)
{
	p->link_timer.fn = look;
	p->link_done.fn = looked;
	vu_unlisten(p, not_watched);
}

void vu_link_free(struct tvq_vhost_user *p)
{
	tvq_timer_clear(p->bus->exec, &p->link_timer);
	if (p->link_seq)
		tvq_seq_abandon(p->link_seq);
	p->link_seq = NULL;
}
