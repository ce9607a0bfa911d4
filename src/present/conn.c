/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A connection: bytes and descriptors from the socket, one message at a time, and its reply.
 *
 * The header is read first, then as many bytes as it says, so that the descriptors that come along
 * belong to this message: the kernel hands them out with the first byte that they were sent with,
 * and never joins two sends that have any. No more than one message is held here.
 *
 * The socket never blocks. Half a message may stay away for half_open_ms; a reply that does not fit
 * into the socket means that the peer does not read, and it is closed.
 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <present/internal.h>

#define HEADER sizeof(struct vu_header)

static void pump(struct vu_conn *c);

void vu_log(struct vu_conn *c, enum tvq_log_level level, const char *fmt, ...)
{
	const char *msg = c->info ? c->info->name : "connection";
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	vu_say(c->p, level, " %s: %s", msg, text);
}

static void set_timer(struct vu_conn *c, uint64_t ns)
{
	/* Without memory for it, patience has no end. */
	tvq_timer_set(c->p->bus->exec, &c->timer, vu_now(c->p) + ns);
}

static void too_late(struct tvq_timer *t)
{
	struct vu_conn *c = vu_container(t, struct vu_conn, timer);

	if (c->busy)
		vu_close(c, TVQ_LOG_ERR,
			 "no answer within 4 s: the storage does not complete its requests");
	else if (c->got)
		vu_close(c, TVQ_LOG_WARN, "half a message and no more");
	else
		vu_close(c, TVQ_LOG_WARN, "connected, and said nothing");
}

static void drop_fds(struct vu_conn *c)
{
	unsigned int i;

	for (i = 0; i < c->n_fds; i++)
		tvq_fd_close(c->p->loop, c->fds[i]);
	c->n_fds = 0;
}

int vu_take_fd(struct vu_conn *c, unsigned int i)
{
	int fd = i < c->n_fds ? c->fds[i] : -1;

	if (fd >= 0)
		c->fds[i] = -1;
	return fd;
}

void vu_close(struct vu_conn *c, enum tvq_log_level level, const char *why)
{
	if (c->closing)
		return;
	if (why)
		vu_log(c, level, "%s", why);
	c->closing = true;
	tvq_exec_post(c->p->bus->exec, &c->bye);
}

/* Reading. */

static const char *take_descriptors(struct vu_conn *c, struct msghdr *m)
{
	const char *why = m->msg_flags & MSG_CTRUNC
				  ? "more than 8 descriptors, or this process has no more"
				  : NULL;

	if (!tvq_fd_receive(c->p->loop, m, c->fds, &c->n_fds, VU_MAX_FDS))
		why = "more than 8 descriptors";
	return why;
}

/* Up to len bytes. More than 0: so many; 0: nothing there now, or closed. */
static size_t receive(struct vu_conn *c, void *buf, size_t len)
{
	union {
		char bytes[CMSG_SPACE(VU_MAX_FDS * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { buf, len };
	struct msghdr m = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	ssize_t n = recvmsg(c->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	const char *why;

	if (n < 0) {
		if (errno == EAGAIN || errno == EINTR)
			c->readable = errno == EINTR;
		else
			vu_close(c, TVQ_LOG_INFO, strerror(errno));
		return 0;
	}
	why = take_descriptors(c, &m);
	if (why)
		vu_close(c, TVQ_LOG_ERR, why);
	else if (!n)
		vu_close(c, TVQ_LOG_INFO,
			 c->got ? "the front end went in the middle of a message"
				: "the front end has gone");
	return c->closing ? 0 : (size_t)n;
}

/* True: a whole message is there. */
static bool read_message(struct vu_conn *c)
{
	const char *why;
	size_t n;

	while (!c->closing && c->readable) {
		if (c->got < HEADER) {
			n = receive(c, (char *)&c->header + c->got, HEADER - c->got);
			c->got += n;
			if (c->got < HEADER)
				continue;
			why = vu_check_header(&c->header);
			if (why) {
				c->info = vu_msg_info(c->header.request);
				if (!c->info)
					vu_log(c, TVQ_LOG_ERR, "%s",
					       vu_msg_name(c->header.request));
				vu_close(c, TVQ_LOG_ERR, why);
				return false;
			}
		}
		if (c->got == HEADER + c->header.size)
			return true;
		n = receive(c, c->payload + (c->got - HEADER), HEADER + c->header.size - c->got);
		c->got += n;
		if (c->got == HEADER + c->header.size)
			return true;
	}
	return false;
}

/* Answering. */

static void send_reply(struct vu_conn *c)
{
	struct vu_header h = { c->req.request, VU_VERSION | VU_REPLY, c->reply_size };
	struct iovec iov[2] = { { &h, sizeof(h) }, { c->reply.bytes, c->reply_size } };
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { { 0 } };
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = 2 };
	ssize_t n;

	if (c->reply_fd >= 0) {
		m.msg_control = control.bytes;
		m.msg_controllen = sizeof(control.bytes);
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.align), &c->reply_fd, sizeof(int));
	}
	n = sendmsg(c->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (c->reply_fd >= 0)
		close(c->reply_fd);
	c->reply_fd = -1;
	if (n == (ssize_t)(sizeof(h) + c->reply_size))
		return;
	if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
		vu_close(c, TVQ_LOG_INFO, "the front end has gone");
	else
		vu_close(c, TVQ_LOG_ERR, "the front end does not read its replies");
}

static bool wants_ack(const struct vu_conn *c)
{
	return c->info && !(c->info->flags & VU_MSG_REPLIES) && c->req.need_reply &&
	       vu_protocol(c, VU_PF_REPLY_ACK);
}

void vu_refuse(struct vu_conn *c)
{
	if (c->closing || !wants_ack(c))
		return;
	vu_reply_u64(c, 1);
	send_reply(c);
}

static void answer(struct vu_conn *c, int err)
{
	if (err) {
		vu_log(c, TVQ_LOG_ERR, "%s", c->why ? c->why : strerror(-err));
		if (wants_ack(c))
			vu_refuse(c);
		else
			vu_close(c, TVQ_LOG_ERR, NULL);
		return;
	}
	if (wants_ack(c))
		vu_reply_u64(c, 0);
	if (wants_ack(c) || c->info->flags & VU_MSG_REPLIES)
		send_reply(c);
}

static void settle(struct tvq_timer *t)
{
	struct vu_conn *c = vu_container(t, struct vu_conn, settle);

	if (c->busy || c->closing)
		return;
	c->hold = false;
	vu_sync_now(c);
}

void vu_sync_now(struct vu_conn *c)
{
	c->busy = true;
	set_timer(c, VU_ANSWER_NS);
	vu_sync(c);
}

void vu_done(struct vu_conn *c, int err)
{
	struct tvq_exec *e = c->p->bus->exec;

	if (c->closing)
		return;
	if (c->info)
		answer(c, err);
	if (c->closing)
		return;
	tvq_timer_clear(e, &c->timer);
	drop_fds(c);
	c->info = NULL;
	c->busy = false;
	if (c->leaving_link) {
		vu_sync_now(c);
		return;
	}
	if (c->hold && tvq_timer_set(e, &c->settle, vu_now(c->p) + VU_SETTLE_NS))
		settle(&c->settle);
	pump(c);
}

void vu_settled(struct vu_conn *c)
{
	int err = 0;

	if (c->leaving_link && !c->info) {
		vu_link_left(c);
		return;
	}
	if (c->info && c->info->answer)
		err = c->info->answer(c, &c->req);
	if (err != VU_LATER)
		vu_done(c, err);
}

/* Handling. */

static void handle(struct vu_conn *c)
{
	const char *why;
	int err = 0;

	c->info = vu_msg_info(c->header.request);
	c->busy = true;
	c->got = 0;
	c->reply_size = 0;
	c->why = NULL;
	why = vu_decode(&c->header, c->payload, c->n_fds, &c->p->lim, &c->req);
	if (!why && c->info->feature >= 0 && !vu_protocol(c, (unsigned int)c->info->feature))
		why = "its protocol feature was not negotiated";
	if (why) {
		vu_close(c, TVQ_LOG_ERR, why);
		return;
	}
	vu_notice_retry(c);
	set_timer(c, VU_ANSWER_NS);
	tvq_timer_clear(c->p->bus->exec, &c->settle);
	if (c->req.request != VU_ADD_MEM_REG && c->req.request != VU_REM_MEM_REG)
		c->hold = false;
	if (c->info->apply)
		err = c->info->apply(c, &c->req);
	if (err)
		vu_done(c, err);
	else
		vu_sync(c);
}

/* Handles what is there, and no more than a turn's share of it. */
static void pump(struct vu_conn *c)
{
	unsigned int n = 0;

	if (c->pumping)
		return;
	c->pumping = true;
	while (n < VU_MESSAGES_PER_TURN && !c->busy && read_message(c)) {
		handle(c);
		n++;
	}
	c->pumping = false;
	if (c->closing || c->busy)
		return;
	if (c->readable && !c->again_posted) {
		c->again_posted = true;
		tvq_exec_post(c->p->bus->exec, &c->again);
	}
	/* Once for each message, so that dripping bytes gains nothing. */
	if (c->got && !c->timer.slot)
		set_timer(c, c->p->half_open_ms * VU_MSEC);
}

static void pump_again(struct tvq_msg *m)
{
	struct vu_conn *c = vu_container(m, struct vu_conn, again);

	c->again_posted = false;
	if (c->closing)
		vu_left(c);
	else
		pump(c);
}

static void readable(struct tvq_watch *w, int events)
{
	struct vu_conn *c = vu_container(w, struct vu_conn, watch);

	if (c->closing)
		return;
	if (events < 0) {
		vu_close(c, TVQ_LOG_ERR, strerror(-events));
		return;
	}
	c->readable = true;
	if (!c->busy)
		pump(c);
}

struct vu_conn *vu_conn_new(struct tvq_vhost_user *p, int fd)
{
	unsigned int i, n = p->lim.num_queues;
	struct vu_conn *c = calloc(1, sizeof(*c) + n * sizeof(c->ring[0]));

	if (!c) {
		close(fd);
		return NULL;
	}
	c->p = p;
	c->fd = fd;
	c->reply_fd = -1;
	c->inflight.fd = -1;
	c->n_rings = n;
	c->dev = p->dirty ? VU_DEV_LIVE : VU_DEV_CLEAN;
	c->want_reset = p->dirty;
	for (i = 0; i < n; i++)
		vu_ring_init(&c->ring[i], (uint16_t)i);
	vu_notice_init(c);
	vu_sync_init(c);
	c->again.fn = pump_again;
	c->bye.fn = vu_teardown;
	c->timer.fn = too_late;
	c->settle.fn = settle;
	set_timer(c, p->half_open_ms * VU_MSEC);
	c->watch.fn = readable;
	c->watching = true;
	tvq_watch_start(p->loop, &c->watch, fd, POLLIN);
	return c;
}
