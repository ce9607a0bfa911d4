/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The configuration interrupt. Its MSI signals an eventfd of ours, which the control executor's
 * loop watches. It says one of two things: the configuration has changed, which is passed on over
 * the back-end channel; or the device has broken (TQ-071), which the rings' error descriptors tell.
 */
#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>

#include <present/internal.h>

static void send_change(struct vu_conn *c)
{
	struct vu_header h = { VU_BACKEND_CONFIG_CHANGE, VU_VERSION, 0 };
	struct vu_notice *n = &c->notice;
	ssize_t sent;

	n->unsent = false;
	if (n->channel_fd < 0 || !vu_protocol(c, VU_PF_CONFIG))
		return;
	sent = send(n->channel_fd, &h, sizeof(h), MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent == sizeof(h))
		return;
	if (sent < 0 && errno == EAGAIN) {
		n->unsent = true;
		return;
	}
	vu_log(c, TVQ_LOG_WARN, "cannot tell the front end that the configuration changed: %s",
	       sent < 0 ? strerror(errno) : "message cut");
	close(n->channel_fd);
	n->channel_fd = -1;
}

void vu_notice_retry(struct vu_conn *c)
{
	if (c->notice.unsent)
		send_change(c);
}

static void tell_broken(struct vu_conn *c)
{
	unsigned int i;

	if (c->notice.broken)
		return;
	c->notice.broken = true;
	vu_log(c, TVQ_LOG_ERR, "the device has stopped and needs a reset");
	for (i = 0; i < c->n_rings; i++)
		vu_signal(c, c->ring[i].err_fd);
}

static void ask(struct vu_conn *c);

static bool has_link(const struct vu_conn *c)
{
	return vu_is_net(c) && c->p->features >> VIRTIO_NET_F_STATUS & 1;
}

static void asked(struct tvq_done *d, int err)
{
	struct vu_conn *c = vu_container(d, struct vu_conn, notice.done);
	struct vu_notice *n = &c->notice;

	n->asking = false;
	if (c->closing) {
		vu_left(c);
		return;
	}
	if (!err && n->status & VIRTIO_CONFIG_S_NEEDS_RESET)
		tell_broken(c);
	else if (!err && !n->looking)
		send_change(c);
	if (!err && has_link(c))
		vu_link_is(c, le16toh(n->link) & VIRTIO_NET_S_LINK_UP);
	n->looking = false;
	if (n->again && !c->closing)
		ask(c);
}

static void ask(struct vu_conn *c)
{
	struct tvq_seq *s = vu_seq(c);

	c->notice.again = false;
	if (!s) {
		vu_log(c, TVQ_LOG_ERR, "no memory to look at a configuration interrupt");
		return;
	}
	c->notice.asking = true;
	tvq_seq_status_get(s, &c->notice.status);
	if (has_link(c))
		tvq_seq_config_get(s, offsetof(struct virtio_net_config, status),
				   sizeof(c->notice.link), &c->notice.link);
	tvq_seq_run(s, &c->notice.done);
}

static void interrupted(struct tvq_watch *w, int events)
{
	struct vu_conn *c = vu_container(w, struct vu_conn, notice.watch);

	if (c->closing)
		return;
	if (events < 0) {
		vu_log(c, TVQ_LOG_ERR, "configuration interrupts are lost: %s", strerror(-events));
		return;
	}
	if (c->notice.asking)
		c->notice.again = true;
	else
		ask(c);
}

void vu_notice_look(struct vu_conn *c)
{
	if (!has_link(c) || c->notice.asking)
		return;
	c->notice.looking = true;
	ask(c);
}

void vu_notice_init(struct vu_conn *c)
{
	c->notice.event_fd = -1;
	c->notice.channel_fd = -1;
	c->notice.done.fn = asked;
	c->notice.watch.fn = interrupted;
}

void vu_notice_enable(struct vu_conn *c, struct tvq_seq *s)
{
	struct vu_notice *n = &c->notice;
	struct tvq_bus *b = c->p->bus;

	n->broken = false;
	if (n->event_fd < 0) {
		n->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (n->event_fd < 0) {
			vu_log(c, TVQ_LOG_ERR, "no configuration interrupts: %s", strerror(errno));
			return;
		}
		tvq_watch_start(c->p->loop, &n->watch, n->event_fd, POLLIN);
		n->watching = true;
	}
	if (!n->msi.set) {
		int err = b->ops->msi_fd(b, n->event_fd, &n->msi.addr, &n->msi.data);

		if (err) {
			vu_log(c, TVQ_LOG_ERR, "no configuration interrupts: %s", strerror(-err));
			return;
		}
		n->msi.set = true;
	}
	tvq_seq_msi_config_set(s, n->msi.addr, n->msi.data);
	tvq_seq_msi_config_enable(s, VIRTIO_TRANSPTQ_MSI_ENABLE);
}

void vu_notice_channel(struct vu_conn *c, int fd)
{
	if (c->notice.channel_fd >= 0)
		close(c->notice.channel_fd);
	c->notice.channel_fd = fd;
	c->notice.unsent = false;
}

static void watch_stopped(struct tvq_watch *w)
{
	struct vu_conn *c = vu_container(w, struct vu_conn, notice.watch);

	c->notice.watching = false;
	vu_left(c);
}

void vu_notice_stop(struct vu_conn *c)
{
	if (c->notice.watching)
		tvq_watch_stop(&c->notice.watch, watch_stopped);
}

bool vu_notice_busy(const struct vu_conn *c)
{
	return c->notice.watching || c->notice.asking;
}

void vu_notice_free(struct vu_conn *c)
{
	if (c->notice.event_fd >= 0)
		close(c->notice.event_fd);
	if (c->notice.channel_fd >= 0)
		close(c->notice.channel_fd);
}
