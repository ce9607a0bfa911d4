/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A connection: bytes and descriptors from the socket, one message at a time, and its reply. Its
 * states are in internal.h.
 *
 * The header is read first, then as many bytes as it says, so that the descriptors that come along
 * belong to this message: the kernel hands them out with the first byte that they were sent with,
 * and never joins two sends that have any. No more than one message is held here.
 *
 * The socket never blocks. Half a message may stay away for 10 s, and a reply lie unread for as
 * long. Replies to our own requests (DMA writes) come in between, and are no messages that take
 * their turn.
 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "exec/peer_fd.h"
#include "vfio_user/internal.h"

#define HEADER sizeof(struct vu_hdr)

static void pump(struct vfu_conn *c);

void vfu_log(struct vfu_conn *c, enum tvq_log_level level, const char *fmt, ...)
{
	const char *msg = c->cmd ? c->cmd->name : "connection";
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	vfu_say(c->s, level, ": %s: %s", msg, text);
}

static void set_timer(struct vfu_conn *c, uint64_t ns)
{
	/* Without memory for it, patience has no end. */
	tvq_timer_set(c->s->exec, &c->timer, vfu_now(c->s) + ns);
}

static void drop_fds(struct vfu_conn *c)
{
	for (unsigned int i = 0; i < c->n_fds; i++)
		tvq_fd_close(c->s->loop, c->fds[i]);
	c->n_fds = 0;
}

int vfu_take_fd(struct vfu_conn *c, unsigned int i)
{
	int fd = i < c->n_fds ? c->fds[i] : -1;

	if (fd >= 0)
		c->fds[i] = -1;
	return fd;
}

void vfu_close(struct vfu_conn *c, enum tvq_log_level level, const char *why)
{
	if (c->closing)
		return;
	if (why)
		vfu_log(c, level, "%s", why);
	c->closing = true;
	tvq_exec_post(c->s->exec, &c->bye);
}

void vfu_broke(struct vfu_conn *c, const char *why)
{
	if (!c->closing)
		c->s->refused++;
	vfu_close(c, TVQ_LOG_ERR, why);
}

/* Reading. */

static const char *take_descriptors(struct vfu_conn *c, struct msghdr *m)
{
	const char *why = NULL;

	if (m->msg_flags & MSG_CTRUNC)
		why = m->msg_controllen || tvq_fd_closing() <= VFU_MAX_CLOSING
			      ? "more than 16 descriptors, or this process has no more"
			      : "descriptors, while those before cannot be closed, since the "
				"files do not let go of them (a file system that does not answer)";

	if (!tvq_fd_receive(c->s->loop, m, c->fds, &c->n_fds, VU_MAX_FDS))
		why = "more than 16 descriptors";
	return why;
}

/* Up to len bytes. More than 0: so many; 0: nothing there now, or closed. */
static size_t receive(struct vfu_conn *c, void *buf, size_t len)
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
	const char *why;
	ssize_t n;

	/* What has no place is dropped by the kernel, which waits for nobody then. */
	if (tvq_fd_closing() > VFU_MAX_CLOSING)
		m.msg_controllen = 0;
	n = recvmsg(c->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0) {
		if (errno == EAGAIN || errno == EINTR)
			c->readable = errno == EINTR;
		else
			vfu_close(c, TVQ_LOG_INFO, strerror(errno));
		return 0;
	}
	why = take_descriptors(c, &m);
	if (why)
		vfu_broke(c, why);
	else if (!n && c->got)
		vfu_broke(c, "the client went in the middle of a message");
	else if (!n)
		vfu_close(c, TVQ_LOG_INFO, "the client has gone");
	return c->closing ? 0 : (size_t)n;
}

static bool check_header(struct vfu_conn *c)
{
	const char *why = vfu_check_header(&c->header);

	if (!why)
		return true;
	c->cmd = vfu_cmd(c->header.command);
	if (!c->cmd)
		vfu_log(c, TVQ_LOG_ERR, "%s", vfu_cmd_name(c->header.command));
	vfu_broke(c, why);
	return false;
}

/* True: a whole message is there. */
static bool read_message(struct vfu_conn *c)
{
	while (!c->closing && c->readable) {
		if (c->got < HEADER) {
			c->got += receive(c, (char *)&c->header + c->got, HEADER - c->got);
			if (c->got < HEADER)
				continue;
			if (!check_header(c))
				return false;
		}
		if (c->got < c->header.size)
			c->got +=
				receive(c, c->payload + (c->got - HEADER), c->header.size - c->got);
		if (c->got == c->header.size)
			return true;
	}
	return false;
}

/* Answering. */

static void flushed(struct vfu_conn *c)
{
	c->flushing = false;
	c->busy = false;
	tvq_timer_clear(c->s->exec, &c->timer);
	pump(c);
}

static void send_reply(struct vfu_conn *c, int err)
{
	struct vu_hdr h = { .id = c->header.id,
			    .command = c->header.command,
			    .flags = err ? VU_REPLY | VU_ERROR : VU_REPLY,
			    .error = err ? (uint32_t)-err : 0 };
	int ret = vfu_out_reply(&c->s->out, &h, c->reply.bytes, err ? 0 : c->reply_size);

	if (ret < 0) {
		vfu_close(c, TVQ_LOG_INFO, "the client has gone");
		return;
	}
	c->flushing = ret > 0;
	if (c->flushing)
		set_timer(c, VFU_HALF_OPEN_NS);
}

void vfu_done(struct vfu_conn *c, int err)
{
	if (c->closing) {
		vfu_left(c);
		return;
	}
	tvq_timer_clear(c->s->exec, &c->timer);
	if (err)
		vfu_log(c, TVQ_LOG_ERR, "refused: %s", c->why ? c->why : strerror(-err));
	drop_fds(c);
	if (!c->req.no_reply)
		send_reply(c, err);
	if (c->refuse)
		vfu_close(c, TVQ_LOG_ERR, NULL);
	else if (c->req.command == VU_VERSION && c->req.version.max_data >= VFU_WRITE_DATA)
		vfu_out_open(&c->s->out); /* not before the reply */
	c->cmd = NULL;
	if (c->closing || c->flushing)
		return;
	c->busy = false;
	pump(c);
}

static void too_late(struct tvq_timer *t)
{
	struct vfu_conn *c = vfu_container(t, struct vfu_conn, timer);

	if (c->closing) {
		if (c->tearing)
			vfu_say(c->s, TVQ_LOG_WARN,
				": the last client's requests are not over within 4 s, since the "
				"storage does not complete them; the next client has to wait");
	} else if (c->flushing) {
		vfu_broke(c, "the client does not read its replies");
	} else if (c->s->irqs.done) {
		/* A worker may still use what is to be let go: no answer would be true. */
		set_timer(c, VFU_ANSWER_NS);
	} else if (c->busy) {
		c->waits_reset = false;
		vfu_dma_give_up(c->s);
		c->why = "not over within 4 s: the storage does not complete its requests";
		vfu_done(c, -ETIMEDOUT);
	} else if (c->got) {
		vfu_broke(c, "half a message and no more");
	} else {
		vfu_broke(c, "connected, and said nothing");
	}
}

/* Handling. */

int vfu_handle_version(struct vfu_conn *c, const struct vfu_req *req)
{
	struct vu_version v = { .major = VU_MAJOR, .minor = VU_MINOR };
	int n;

	c->refuse = req->version.major != VU_MAJOR;
	if (c->refuse)
		return vfu_no(c, -EPROTONOSUPPORT, "another major version than 0");
	memcpy(c->reply.bytes, &v, sizeof(v));
	n = snprintf((char *)c->reply.bytes + sizeof(v), sizeof(c->reply.bytes) - sizeof(v),
		     "{\"capabilities\":{\"max_msg_fds\":%u,\"max_data_xfer_size\":%u,"
		     "\"pgsizes\":4096,\"max_dma_maps\":%u}}",
		     VU_MAX_FDS, VU_MAX_DATA, c->s->dma.max_regions);
	c->reply_size = (uint32_t)(sizeof(v) + (size_t)n + 1);
	c->agreed = true;
	return 0;
}

static void answered(struct vfu_conn *c)
{
	bool failed;

	if (!vfu_out_answered(&c->s->out, &c->header, &failed))
		vfu_broke(c, "a reply to what was not asked");
	else if (failed)
		vfu_log(c, TVQ_LOG_WARN, "an interrupt message could not be written: %s",
			strerror((int)c->header.error));
}

static void handle(struct vfu_conn *c)
{
	bool reply = (c->header.flags & VU_TYPE_MASK) == VU_REPLY;
	const char *why = NULL;
	int err;

	c->s->messages++;
	c->got = 0;
	if (reply) {
		/* It may have come in pieces, of which the first one began a wait. */
		tvq_timer_clear(c->s->exec, &c->timer);
		if (c->n_fds)
			vfu_broke(c, "descriptors with a reply");
		else
			answered(c);
		return;
	}
	c->cmd = vfu_cmd(c->header.command);
	c->busy = true;
	c->reply_size = 0;
	c->why = NULL;
	why = vfu_decode(&c->header, c->payload, c->n_fds, &c->req);
	if (!why && c->agreed != (c->req.command != VU_VERSION))
		why = c->agreed ? "the version is agreed upon already"
				: "the version is not agreed upon yet";
	if (why) {
		vfu_broke(c, why);
		return;
	}
	set_timer(c, VFU_ANSWER_NS);
	err = c->cmd->handle(c, &c->req);
	if (err != VFU_LATER)
		vfu_done(c, err);
}

/* Handles what is there, and no more than a turn's share of it. */
static void pump(struct vfu_conn *c)
{
	unsigned int n = 0;

	if (c->pumping)
		return;
	c->pumping = true;
	while (n < VFU_MESSAGES_PER_TURN && !c->busy && read_message(c)) {
		handle(c);
		/* A change of a large table takes as long as many messages. */
		n += 1 + c->s->dma.regions / VFU_REGIONS_PER_MESSAGE;
	}
	c->pumping = false;
	if (c->closing || c->busy)
		return;
	if (c->readable && !c->again_posted) {
		c->again_posted = true;
		tvq_exec_post(c->s->exec, &c->again);
	}
	/* Once for each message, so that dripping bytes gains nothing. */
	if ((c->got || !c->agreed) && !c->timer.slot)
		set_timer(c, VFU_HALF_OPEN_NS);
}

static void pump_again(struct tvq_msg *m)
{
	struct vfu_conn *c = vfu_container(m, struct vfu_conn, again);

	c->again_posted = false;
	if (c->closing)
		vfu_left(c);
	else
		pump(c);
}

static void readable(struct tvq_watch *w, int events)
{
	struct vfu_conn *c = vfu_container(w, struct vfu_conn, watch);

	if (c->closing)
		return;
	if (events < 0) {
		vfu_close(c, TVQ_LOG_ERR, strerror(-events));
		return;
	}
	c->readable = true;
	if (!c->busy)
		pump(c);
}

bool vfu_conn_ends(const struct vfu_conn *c)
{
	struct pollfd p = { .fd = c->fd, .events = POLLRDHUP };

	return c->closing || (poll(&p, 1, 0) == 1 && p.revents);
}

/* The end. */

static void conn_free(struct tvq_msg *m)
{
	struct vfu_conn *c = vfu_container(m, struct vfu_conn, bye);
	struct tvq_vfio_user *s = c->s;

	tvq_timer_clear(s->exec, &c->timer);
	drop_fds(c);
	close(c->fd);
	free(c);
	vfu_conn_gone(s);
}

void vfu_left(struct vfu_conn *c)
{
	if (!c->tearing || c->watching || c->again_posted || c->out_open || c->s->irqs.done)
		return;
	if (c->irqs_open) {
		c->irqs_open = false;
		/* One for ourselves: it may be over at once. */
		c->again_posted = true;
		vfu_irqs_close(&c->s->irqs, vfu_irqs_closed);
		vfu_dma_close(c->s);
		c->again_posted = false;
		vfu_left(c);
	} else if (!c->s->dma.unmaps) {
		/* In a turn of its own: nobody on the stack knows it then. */
		c->tearing = false;
		c->bye.fn = conn_free;
		tvq_exec_post(c->s->exec, &c->bye);
	}
}

void vfu_irqs_closed(struct vfu_irqs *irqs)
{
	vfu_left(irqs->s->conn);
}

static void watch_stopped(struct tvq_watch *w)
{
	struct vfu_conn *c = vfu_container(w, struct vfu_conn, watch);

	c->watching = false;
	vfu_left(c);
}

static void flushed_or_quiet(struct vfu_out *o, bool quiet)
{
	struct vfu_conn *c = vfu_container(o, struct tvq_vfio_user, out)->conn;

	if (quiet) {
		c->out_open = false;
		vfu_left(c);
	} else if (c->flushing && !c->closing) {
		flushed(c);
	}
}

static void out_flushed(struct vfu_out *o)
{
	flushed_or_quiet(o, false);
}

static void out_quiet(struct vfu_out *o)
{
	flushed_or_quiet(o, true);
}

/* What lies unread when a socket is closed makes an error of the end that its peer sees, and QEMU
 * 11.1.3 aborts on that one. Behind the shutdown nothing more comes in. */
void vfu_hang_up(int fd)
{
	char unread[4096];

	shutdown(fd, SHUT_RDWR);
	while (recv(fd, unread, sizeof(unread), MSG_DONTWAIT) > 0)
		;
}

static void teardown(struct tvq_msg *m)
{
	struct vfu_conn *c = vfu_container(m, struct vfu_conn, bye);

	set_timer(c, VFU_ANSWER_NS);
	c->waits_reset = false;
	vfu_dma_give_up(c->s);
	vfu_hang_up(c->fd);
	vfu_out_close(&c->s->out);
	tvq_watch_stop(&c->watch, watch_stopped);
	c->tearing = true;
	vfu_left(c);
}

struct vfu_conn *vfu_conn_new(struct tvq_vfio_user *s, int fd)
{
	struct vfu_conn *c = calloc(1, sizeof(*c));

	if (!c) {
		close(fd);
		return NULL;
	}
	c->s = s;
	c->fd = fd;
	c->again.fn = pump_again;
	c->bye.fn = teardown;
	c->timer.fn = too_late;
	c->irqs_open = c->out_open = true;
	s->out.flushed = out_flushed;
	s->out.quiet = out_quiet;
	vfu_out_connect(&s->out, fd);
	set_timer(c, VFU_HALF_OPEN_NS);
	c->watch.fn = readable;
	c->watching = true;
	tvq_watch_start(s->loop, &c->watch, fd, POLLIN);
	return c;
}
