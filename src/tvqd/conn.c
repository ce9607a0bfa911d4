/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A connection's input, requests and output. Theory of operation.
 *
 * Bytes are read into one bounded buffer, lines are taken from it one at a time, and the next line
 * waits until the request before it has been answered. Reading stops while the buffer is full or
 * too many answers have not been taken by the client, so that a client that only sends costs a
 * fixed amount of memory. One turn does a bounded number of requests, then others have theirs.
 *
 * A silent connection has no buffers. Half a request is waited for for a bounded time.
 *
 * Closing: shutdown() at once, so that the peer knows; the descriptor is closed when its watch has
 * ended, and the connection freed when also no request of it is under way and no message of it is
 * posted.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conn.h"

#define TURN_REQUESTS 64
#define IN_START      4096u
#define OUT_HIGH      (1u << 20)   /* no further request while more than this waits to be sent */
#define STREAM_HIGH   (256u << 10) /* events are dropped while more than this waits */
#define KEEP	      4096u	   /* a larger empty buffer is given back */

#define conn_of(ptr, member)                                                                       \
	((struct tvqd_conn *)((char *)(ptr)-offsetof(struct tvqd_conn, member)))

static void conn_process(struct tvqd_conn *c);

static void conn_maybe_free(struct tvqd_conn *c)
{
	struct tvqd_server *s = c->server;

	if (!c->closing || !c->watch_gone || c->busy || c->pins || c->again_posted ||
	    c->flush_posted)
		return;
	close(c->fd);
	free(c->in);
	free(c->out);
	free(c);
	tvqd_server_conn_gone(s);
}

/* A pinned connection may be closed and is still there. */
static void conn_unpin(struct tvqd_conn *c)
{
	c->pins--;
	conn_maybe_free(c);
}

static void conn_watch_gone(struct tvq_watch *w)
{
	struct tvqd_conn *c = conn_of(w, watch);

	c->watch_gone = true;
	conn_maybe_free(c);
}

void tvqd_conn_close(struct tvqd_conn *c)
{
	struct tvqd_stream *st = c->stream;

	if (c->closing)
		return;
	c->closing = true;
	*c->pprev = c->next;
	if (c->next)
		c->next->pprev = c->pprev;
	else
		c->server->newest = c->pprev;
	c->server->n_clients--;
	tvq_timer_clear(c->server->exec, &c->timer);
	shutdown(c->fd, SHUT_RDWR);
	if (st) {
		c->stream = NULL;
		st->ended(st);
	}
	tvq_watch_stop(&c->watch, conn_watch_gone);
}

/* Output */

static void conn_again(struct tvq_msg *m)
{
	struct tvqd_conn *c = conn_of(m, again);

	c->again_posted = false;
	c->pins++;
	if (!c->closing)
		conn_process(c);
	conn_unpin(c);
}

static void post_again(struct tvqd_conn *c)
{
	if (c->again_posted)
		return;
	c->again_posted = true;
	c->again.fn = conn_again;
	tvq_exec_post(c->server->exec, &c->again);
}

static void conn_send(struct tvqd_conn *c)
{
	while (c->out_pos < c->out_len) {
		ssize_t n = send(c->fd, c->out + c->out_pos, c->out_len - c->out_pos,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			if (errno != EAGAIN)
				tvqd_conn_close(c);
			return;
		}
		c->out_pos += (size_t)n;
	}
	c->out_pos = c->out_len = 0;
	if (c->out_cap > KEEP) {
		free(c->out);
		c->out = NULL;
		c->out_cap = 0;
	}
	if (c->hang_up) {
		tvqd_conn_close(c);
	} else if (c->throttled) {
		c->throttled = false;
		post_again(c);
	}
}

static void conn_flush(struct tvq_msg *m)
{
	struct tvqd_conn *c = conn_of(m, flush);

	c->flush_posted = false;
	c->pins++;
	if (!c->closing)
		conn_send(c);
	conn_unpin(c);
}

static void post_flush(struct tvqd_conn *c)
{
	if (c->flush_posted)
		return;
	c->flush_posted = true;
	c->flush.fn = conn_flush;
	tvq_exec_late(c->server->exec, &c->flush);
}

static bool out_reserve(struct tvqd_conn *c, size_t len)
{
	size_t cap = c->out_cap ? c->out_cap : KEEP;
	char *p;

	if (c->out_pos && c->out_len + len > c->out_cap) {
		memmove(c->out, c->out + c->out_pos, c->out_len - c->out_pos);
		c->out_len -= c->out_pos;
		c->out_pos = 0;
	}
	while (cap < c->out_len + len)
		cap *= 2;
	if (cap == c->out_cap)
		return true;
	p = realloc(c->out, cap);
	if (!p)
		return false;
	c->out = p;
	c->out_cap = cap;
	return true;
}

/* Appends a line. Without memory for it the connection is of no use: the client sees it end. */
static void conn_put_line(struct tvqd_conn *c, const char *line, size_t len)
{
	if (c->closing)
		return;
	if (!out_reserve(c, len + 1)) {
		tvqd_conn_close(c);
		return;
	}
	memcpy(c->out + c->out_len, line, len);
	c->out[c->out_len + len] = '\n';
	c->out_len += len + 1;
	post_flush(c);
}

static void put_answer(struct tvqd_conn *c, struct json_object *answer)
{
	size_t len;
	const char *s = json_object_to_json_string_length(
		answer, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);

	if (s)
		conn_put_line(c, s, len);
	else
		tvqd_conn_close(c);
	json_object_put(answer);
}

/* Requests */

static void conn_reply(struct tvqd_call *call, struct json_object *answer)
{
	struct tvqd_conn *c = conn_of(call, call);

	if (json_object_object_get_ex(answer, "error", NULL))
		c->failed = true;
	put_answer(c, answer);
	tvqd_request_clear(&call->rq);
	c->busy = false;
	if (c->closing)
		conn_maybe_free(c);
	else if (!c->processing)
		post_again(c);
}

static void handle_line(struct tvqd_conn *c, const char *line, size_t len)
{
	struct tvqd_call *call = &c->call;
	char err[TVQD_ERR_LEN];
	int ret;

	tvqd_server_conn_active(c);
	c->busy = true;
	call->reply = conn_reply;
	ret = tvqd_request_parse(&call->rq, line, len, err);
	if (c->stop_on_error && c->failed)
		tvqd_reply_err(call, -ECANCELED,
			       "not done, since an earlier request of the batch failed");
	else if (ret < 0)
		tvqd_reply_err(call, ret, "%s", err);
	else
		tvqd_request_run(c->server->cfg.d, call);
}

/* Input */

static void in_give_back(struct tvqd_conn *c)
{
	if (c->in_pos < c->in_len) {
		memmove(c->in, c->in + c->in_pos, c->in_len - c->in_pos);
		c->in_len -= c->in_pos;
		c->in_pos = 0;
		return;
	}
	c->in_pos = c->in_len = 0;
	free(c->in);
	c->in = NULL;
	c->in_cap = 0;
}

static bool in_grow(struct tvqd_conn *c)
{
	uint32_t cap = c->in_cap ? c->in_cap * 2 : IN_START;
	char *p;

	if (c->in_pos) {
		memmove(c->in, c->in + c->in_pos, c->in_len - c->in_pos);
		c->in_len -= c->in_pos;
		c->in_pos = 0;
	}
	if (c->in_len < c->in_cap)
		return true;
	if (cap > TVQD_REQUEST_MAX)
		return false;
	p = realloc(c->in, cap);
	if (!p)
		return false;
	c->in = p;
	c->in_cap = cap;
	return true;
}

/* Answers to nothing in particular, and ends the connection. */
static void refuse_input(struct tvqd_conn *c, int err, const char *why)
{
	c->call.reply = conn_reply;
	c->call.rq = (struct tvqd_request){ 0 };
	c->busy = true;
	c->eof = true;
	tvqd_reply_err(&c->call, err, "%s", why);
}

/* Reads what there is room for. False: nothing came. */
static bool conn_fill(struct tvqd_conn *c)
{
	ssize_t n;

	if (!c->readable || c->eof || c->closing)
		return false;
	if (c->in_len == c->in_cap && !in_grow(c)) {
		refuse_input(c, -EMSGSIZE, "a request is longer than 65536 bytes");
		return false;
	}
	do {
		n = recv(c->fd, c->in + c->in_len, c->in_cap - c->in_len, MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n > 0) {
		c->in_len += (uint32_t)n;
		return true;
	}
	c->readable = false;
	if (!n)
		c->eof = true;
	else if (errno != EAGAIN)
		tvqd_conn_close(c);
	return false;
}

/* Does one request. False: no whole line is there, and no more can be read now. */
static bool conn_one(struct tvqd_conn *c)
{
	uint32_t seen = 0;

	for (;;) {
		uint32_t have = c->in_len - c->in_pos;

		if (have > seen) {
			char *line = c->in + c->in_pos;
			char *nl = memchr(line + seen, '\n', have - seen);

			if (nl) {
				c->in_pos += (uint32_t)(nl + 1 - line);
				handle_line(c, line, (size_t)(nl - line));
				return true;
			}
		}
		seen = have;
		if (!conn_fill(c))
			return false;
	}
}

static void half_request(struct tvq_timer *t)
{
	refuse_input(conn_of(t, timer), -ETIMEDOUT,
		     "the request did not end in time: it is one line");
}

/* After a turn's requests: what the connection waits for now. */
static void conn_rest(struct tvqd_conn *c, bool half)
{
	struct tvqd_server *s = c->server;

	if (half && !c->timer.slot) {
		c->timer.fn = half_request;
		tvq_timer_set(s->exec, &c->timer, s->exec->os->now() + s->cfg.request_ns);
	} else if (!half && c->timer.slot) {
		tvq_timer_clear(s->exec, &c->timer);
	}
	if (!c->eof || c->busy)
		return;
	c->hang_up = true;
	post_flush(c);
}

static void conn_process(struct tvqd_conn *c)
{
	unsigned int budget = TURN_REQUESTS;
	bool starved = false;

	c->processing = true;
	while (!c->busy && !c->closing && c->out_len - c->out_pos < OUT_HIGH && !starved &&
	       budget) {
		if (conn_one(c))
			budget--;
		else
			starved = true;
	}
	c->processing = false;
	if (c->closing)
		return;
	if (starved) {
		in_give_back(c);
		conn_rest(c, c->in_len && !c->eof);
		return;
	}
	tvq_timer_clear(c->server->exec, &c->timer);
	if (c->busy)
		return;
	if (c->out_len - c->out_pos < OUT_HIGH)
		post_again(c);
	else
		c->throttled = true;
}

static void conn_event(struct tvq_watch *w, int events)
{
	struct tvqd_conn *c = conn_of(w, watch);

	if (c->closing)
		return;
	c->pins++;
	if (events < 0)
		tvqd_conn_close(c);
	if ((events & POLLOUT) && !c->closing && c->out_pos < c->out_len)
		conn_send(c);
	if (events & (POLLIN | POLLHUP | POLLERR | POLLRDHUP)) {
		c->readable = true;
		if (!c->busy && !c->closing)
			conn_process(c);
	}
	conn_unpin(c);
}

struct tvqd_conn *tvqd_conn_new(struct tvqd_server *s, int fd)
{
	struct tvqd_conn *c = calloc(1, sizeof(*c));

	if (!c) {
		close(fd);
		return NULL;
	}
	c->server = s;
	c->fd = fd;
	c->pprev = s->newest;
	*s->newest = c;
	s->newest = &c->next;
	s->n_clients++;
	s->n_conns++;
	c->watch.fn = conn_event;
	tvq_watch_start(s->cfg.loop, &c->watch, fd, POLLIN | POLLOUT | POLLRDHUP);
	return c;
}

void tvqd_call_stop_on_error(struct tvqd_call *call, bool on)
{
	struct tvqd_conn *c = conn_of(call, call);

	c->stop_on_error = on;
	c->failed = false;
}

int tvqd_call_stream(struct tvqd_call *call, struct tvqd_stream *st)
{
	struct tvqd_conn *c = conn_of(call, call);

	if (c->stream)
		return -EALREADY;
	c->stream = st;
	st->conn = c;
	return 0;
}

bool tvqd_stream_send(struct tvqd_stream *st, const char *line, size_t len)
{
	struct tvqd_conn *c = st->conn;

	if (c->out_len - c->out_pos > STREAM_HIGH) {
		st->dropped++;
		return false;
	}
	conn_put_line(c, line, len);
	return true;
}
