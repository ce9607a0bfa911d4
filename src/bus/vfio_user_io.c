/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The vfio-user client's socket.
 *
 * Out: a message goes to the socket at once, so that a notification costs one system call and no
 * turn of the loop. Where the socket has no room the message is kept, and all later ones behind
 * it, until the socket says that it has; a server that takes nothing for 8 MiB is not reading.
 *
 * In: bytes are gathered in one buffer, each message is judged whole (vfio_user_check.c) and then
 * dealt with. Nobody is called from there: a reply's request goes to a list that is told at the
 * turn's end. So the buffer may be worked on from inside anybody's call, and vuc_block() does: it
 * waits for one reply without running the executor, for callers that must not be overtaken by
 * anything else (bus.h: map).
 *
 * The end: whatever is wrong (closed, refused, too late, nonsense) leads to vuc_gone(), once. All
 * requests in flight end with -ENODEV, and the driver is told.
 */
#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus/vfio_user.h"
#include "device/util.h"

#define HDR	       sizeof(struct vu_hdr)
#define READS_PER_TURN 8

/* ---- out ---- */

static void drop_unsent(struct vuc *c)
{
	struct vuc_unsent *u = c->unsent;

	c->unsent = u->next;
	if (!c->unsent)
		c->last_unsent = &c->unsent;
	if (u->fd >= 0)
		close(u->fd);
	c->n_unsent -= u->len;
	free(u);
}

void vuc_gone(struct vuc *c, const char *fmt, ...)
{
	va_list ap;

	if (vuc_is_gone(c))
		return;
	va_start(ap, fmt);
	vsnprintf(c->why, sizeof(c->why), fmt, ap);
	va_end(ap);
	/* Ends the watch and the wait for room, too. */
	shutdown(c->fd, SHUT_RDWR);
	while (c->unsent)
		drop_unsent(c);
	vuc_land_all(c);
}

/* Bytes taken; 0: no room; the connection may have ended. */
static size_t push(struct vuc *c, const struct iovec *iov, int n, int fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct msghdr m = { .msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)n };
	ssize_t sent;

	if (fd >= 0) {
		struct cmsghdr *h;

		memset(&control, 0, sizeof(control));
		m.msg_control = control.bytes;
		m.msg_controllen = sizeof(control.bytes);
		h = CMSG_FIRSTHDR(&m);
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(h), &fd, sizeof(int));
	}
	do {
		sent = sendmsg(c->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	if (sent >= 0)
		return (size_t)sent;
	/* ETOOMANYREFS: descriptors on their way that nobody has taken yet. */
	if (errno != EAGAIN && errno != ENOBUFS && errno != ETOOMANYREFS)
		vuc_gone(c, "the connection is lost: %s", strerror(errno));
	return 0;
}

/* Sends what is kept, in order, as far as there is room. */
static void flush(struct vuc *c)
{
	while (c->unsent) {
		struct vuc_unsent *u = c->unsent;
		struct iovec iov = { u->data + u->at, u->len - u->at };
		size_t n = push(c, &iov, 1, u->fd);

		if (!n)
			return;
		if (u->fd >= 0)
			close(u->fd);
		u->fd = -1;
		u->at += (uint32_t)n;
		if (u->at < u->len)
			return;
		drop_unsent(c);
	}
}

static void await_room(struct vuc *c)
{
	if (c->room_awaited || !c->unsent)
		return;
	c->room_awaited = true;
	io_uring_prep_poll_add(tvq_loop_sqe(c->fn.loop, &c->room), c->fd, POLLOUT);
}

static void has_room(struct tvq_io *io, int res, bool more)
{
	struct vuc *c = tvq_container_of(io, struct vuc, room);

	(void)res;
	(void)more;
	c->room_awaited = false;
	flush(c);
	await_room(c);
	if (!c->unsent && c->fn.user && !vuc_is_gone(c))
		c->fn.user->room(c->fn.ctx);
}

/* The rest of a message, from byte at on; fd is duplicated, -1 where it went with the first. */
static int keep(struct vuc *c, const struct iovec *iov, int n, uint32_t len, uint32_t at, int fd)
{
	struct vuc_unsent *u;
	uint32_t to = 0;

	if (c->n_unsent + len > VUC_MAX_UNSENT)
		return -ENOBUFS;
	u = malloc(sizeof(*u) + len);
	if (!u)
		return -ENOMEM;
	u->fd = fd < 0 ? -1 : dup(fd);
	if (fd >= 0 && u->fd < 0) {
		int err = -errno;

		free(u);
		return err;
	}
	for (int i = 0; i < n; i++) {
		memcpy(u->data + to, iov[i].iov_base, iov[i].iov_len);
		to += (uint32_t)iov[i].iov_len;
	}
	u->next = NULL;
	u->len = len;
	u->at = at;
	*c->last_unsent = u;
	c->last_unsent = &u->next;
	c->n_unsent += len;
	await_room(c);
	return 0;
}

static int send_parts(struct vuc *c, const struct iovec *iov, int n, int fd)
{
	uint32_t len = 0;
	size_t sent = 0;
	int err;

	for (int i = 0; i < n; i++)
		len += (uint32_t)iov[i].iov_len;
	if (!c->unsent)
		sent = push(c, iov, n, fd);
	if (vuc_is_gone(c))
		return -ENODEV;
	if (sent == len)
		return 0;
	err = keep(c, iov, n, len, (uint32_t)sent, sent ? -1 : fd);
	/* Half a message cannot be taken back, and a whole one that is left out would be missed. */
	if (err == -ENOBUFS)
		vuc_gone(c, "it does not read what it is sent");
	else if (err)
		vuc_gone(c, "what it is sent cannot be kept: %s", strerror(-err));
	return vuc_is_gone(c) ? -ENODEV : 0;
}

static int parts(struct iovec *iov, struct vu_hdr *h, const void *body, uint32_t len,
		 const void *data, uint32_t data_len)
{
	int n = 0;

	h->size = (uint32_t)HDR + len + data_len;
	iov[n++] = (struct iovec){ h, HDR };
	if (len)
		iov[n++] = (struct iovec){ (void *)body, len };
	if (data_len)
		iov[n++] = (struct iovec){ (void *)data, data_len };
	return n;
}

int vuc_send(struct vuc *c, struct vuc_request *r, uint16_t command, const void *body, uint32_t len,
	     const void *data, uint32_t data_len, int fd)
{
	struct vu_hdr h = { .command = command, .flags = VU_REQUEST | (r ? 0 : VU_NO_REPLY) };
	struct iovec iov[3];
	int err;

	if (vuc_is_gone(c))
		return -ENODEV;
	if (r) {
		err = vuc_take_off(c, r, command);
		if (err)
			return err;
		h.id = r->id;
	}
	err = send_parts(c, iov, parts(iov, &h, body, len, data, data_len), fd);
	/* One that failed here has landed, and done is to come. */
	return r ? 0 : err;
}

void vuc_reply(struct vuc *c, const struct vu_hdr *to, int err, const void *body, uint32_t len,
	       const void *data, uint32_t data_len)
{
	struct vu_hdr h = { .id = to->id, .command = to->command, .flags = VU_REPLY };
	struct iovec iov[3];

	if (to->flags & VU_NO_REPLY)
		return;
	if (err) {
		h.flags |= VU_ERROR;
		h.error = (uint32_t)-err;
		len = 0;
		data_len = 0;
	}
	send_parts(c, iov, parts(iov, &h, body, len, data, data_len), -1);
}

/* ---- in ---- */

/* The device reaches for memory that it has no descriptor of, or sends an MSI. */
static void serve_dma(struct vuc *c, const struct vuc_message *m)
{
	const struct tvq_pci_fn_user *user = c->fn.user;
	static uint8_t nothing[1];
	uint8_t *buf = nothing;
	int err = -EFAULT;

	if (m->hdr.command == VU_DMA_WRITE) {
		if (user)
			err = user->dma_write(c->fn.ctx, m->dma.addr, m->data, m->dma.count);
		vuc_reply(c, &m->hdr, err, &m->dma, sizeof(m->dma), NULL, 0);
		return;
	}
	/* Nobody would see it, and it costs us a thousand times what it costs the server. */
	if (m->hdr.flags & VU_NO_REPLY)
		return;
	if (m->dma.count)
		buf = malloc(m->dma.count);
	if (!buf)
		err = -ENOMEM;
	else if (user)
		err = user->dma_read(c->fn.ctx, m->dma.addr, buf, m->dma.count);
	vuc_reply(c, &m->hdr, err, &m->dma, sizeof(m->dma), buf, (uint32_t)m->dma.count);
	if (buf != nothing)
		free(buf);
}

/* Deals with the messages that are there, whole. */
static void digest(struct vuc *c)
{
	while (!vuc_is_gone(c)) {
		struct vuc_message m;

		vuc_check(c, c->in + c->in_at, c->in_len - c->in_at, &m);
		switch (m.kind) {
		case VUC_BROKEN:
			vuc_gone(c, "it breaks the protocol: %s", m.why);
			return;
		case VUC_MORE:
			memmove(c->in, c->in + c->in_at, c->in_len - c->in_at);
			c->in_len -= c->in_at;
			c->in_at = 0;
			return;
		case VUC_REPLY:
			if (!m.err && m.len)
				memcpy(m.r->reply, m.reply, m.len);
			m.r->got = m.err ? 0 : m.len;
			vuc_land(c, m.r, m.err);
			break;
		case VUC_REQUEST:
			serve_dma(c, &m);
			break;
		}
		c->in_at += m.hdr.size;
	}
}

/* Reads once. False: there was nothing, or it has ended. */
static bool take_in(struct vuc *c)
{
	ssize_t n;

	if (vuc_is_gone(c))
		return false;
	/* There is always room: a message that is not whole is shorter than the largest one, and
	 * digest() leaves no others. Descriptors that come along are dropped by the kernel. */
	n = recv(c->fd, c->in + c->in_len, sizeof(c->in) - c->in_len, MSG_DONTWAIT);
	if (n < 0 && errno == EINTR)
		return true;
	if (n < 0 && errno == EAGAIN)
		return false;
	if (n < 0)
		vuc_gone(c, "the connection is lost: %s", strerror(errno));
	else if (!n)
		vuc_gone(c, "it has closed the connection");
	if (n <= 0)
		return false;
	c->in_len += (uint32_t)n;
	digest(c);
	return true;
}

/* Bounded for a turn: the rest has its turn, with everything else. */
static void read_some(struct vuc *c)
{
	unsigned int i;

	for (i = 0; i < READS_PER_TURN; i++)
		if (!take_in(c))
			return;
	if (c->again_posted)
		return;
	c->again_posted = true;
	tvq_exec_late(c->fn.exec, &c->again);
}

static void again(struct tvq_msg *m)
{
	struct vuc *c = tvq_container_of(m, struct vuc, again);

	c->again_posted = false;
	read_some(c);
}

static void readable(struct tvq_watch *w, int events)
{
	struct vuc *c = tvq_container_of(w, struct vuc, watch);

	if (events < 0)
		vuc_gone(c, "the connection cannot be watched: %s", strerror(-events));
	else
		read_some(c);
}

/* ---- waiting ---- */

static uint64_t patience(struct vuc *c)
{
	uint64_t now = c->fn.os->now();

	if (!c->deadline)
		return TVQ_BUS_TIMEOUT_NS;
	return c->deadline > now ? c->deadline - now : 0;
}

static int result(struct vuc *c, struct vuc_request *r)
{
	if (r->finished)
		return r->err;
	vuc_gone(c, "it does not answer");
	return -ETIMEDOUT;
}

int vuc_wait(struct vuc *c, struct vuc_request *r)
{
	tvq_bus_wait(&c->waiter, &r->finished, patience(c));
	return result(c, r);
}

int vuc_block(struct vuc *c, struct vuc_request *r)
{
	uint64_t end = c->fn.os->now() + patience(c), now;

	while (!r->finished) {
		struct pollfd p = { .fd = c->fd, .events = POLLIN };
		bool came = take_in(c);

		/* Each time: a server that never falls silent gains nothing by it. */
		now = c->fn.os->now();
		if (r->finished || now >= end)
			break;
		if (came)
			continue;
		flush(c);
		if (c->unsent)
			p.events |= POLLOUT;
		poll(&p, 1, (int)((end - now + 999999) / 1000000));
	}
	return result(c, r);
}

/* ---- life ---- */

void vuc_io_start(struct vuc *c)
{
	vuc_flight_init(c);
	c->last_unsent = &c->unsent;
	c->again.fn = again;
	c->room.fn = has_room;
	c->watch.fn = readable;
	c->watching = true;
	tvq_watch_start(c->fn.loop, &c->watch, c->fd, POLLIN);
}

static void watch_stopped(struct tvq_watch *w)
{
	tvq_container_of(w, struct vuc, watch)->watching = false;
}

void vuc_io_free(struct vuc *c)
{
	uint64_t end = c->fn.os->now() + TVQ_BUS_TIMEOUT_NS;
	bool never = false;

	c->gone_told = true;
	vuc_gone(c, "it is not needed any more");
	tvq_watch_stop(&c->watch, watch_stopped);
	while ((c->watching || c->room_awaited || c->late_posted || c->again_posted) &&
	       c->fn.os->now() < end)
		tvq_bus_wait(&c->waiter, &never, 100000);
	if (c->watching || c->room_awaited) {
		tvq_log(c->fn.os, TVQ_LOG_ERR,
			"vfio-user: a watch does not end; its memory is left");
		return;
	}
	close(c->fd);
	free(c->slots);
	free(c->free_ids);
	free(c);
}
