/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Accepting, and the bounds that all connections share. Theory of operation.
 *
 * At most max_clients connections are served. One more is let in at the cost of the one that has
 * been silent for longest: thousands of connections that say nothing push each other out, not a
 * client at work, and nobody is locked out.
 *
 * A process that has no descriptor left can neither accept nor refuse, and its listening socket
 * would stay ready for ever. So one descriptor is kept in reserve; it is given up for the next
 * connection, and taken again as soon as one is closed. Accepting stops while there is not even
 * that.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conn.h"

#define TURN_ACCEPTS 64

#define server_of(ptr, member)                                                                     \
	((struct tvqd_server *)((char *)(ptr)-offsetof(struct tvqd_server, member)))

static void server_accept(struct tvqd_server *s);

void tvqd_server_conn_active(struct tvqd_conn *c)
{
	struct tvqd_server *s = c->server;

	if (!c->next)
		return;
	*c->pprev = c->next;
	c->next->pprev = c->pprev;
	c->next = NULL;
	c->pprev = s->newest;
	*s->newest = c;
	s->newest = &c->next;
}

static void server_maybe_free(struct tvqd_server *s)
{
	void (*done)(void *ctx) = s->done;
	void *ctx = s->done_ctx;

	if (!s->stopping || s->listening || s->n_conns || s->again_posted)
		return;
	if (s->reserve_fd >= 0)
		close(s->reserve_fd);
	free(s);
	done(ctx);
}

static void take_reserve(struct tvqd_server *s)
{
	if (s->reserve_fd < 0)
		s->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

void tvqd_server_conn_gone(struct tvqd_server *s)
{
	s->n_conns--;
	if (s->stopping) {
		server_maybe_free(s);
		return;
	}
	take_reserve(s);
	if (s->accept_stuck) {
		s->accept_stuck = false;
		server_accept(s);
	}
}

static void log_out_of_fds(struct tvqd_server *s)
{
	struct rlimit rl = { 0 };

	if (s->out_of_fds_logged)
		return;
	s->out_of_fds_logged = true;
	getrlimit(RLIMIT_NOFILE, &rl);
	tvq_log(s->exec->os, TVQ_LOG_WARN,
		"no file descriptor is left for a control client: all %llu that RLIMIT_NOFILE "
		"allows are in use; "
		"raise the limit (LimitNOFILE= of the service, ulimit -Hn)",
		(unsigned long long)rl.rlim_cur);
}

/* The longest silent one goes; one that waits for an answer or for events is not silent. */
static void push_one_out(struct tvqd_server *s)
{
	struct tvqd_conn *c = s->oldest;

	while (c && (c->busy || c->stream))
		c = c->next;
	if (!c)
		c = s->oldest;
	if (c)
		tvqd_conn_close(c);
}

/* accept4() looks for a descriptor before it looks for somebody who waits. */
static bool somebody_waits(const struct tvqd_server *s)
{
	struct pollfd p = { .fd = s->cfg.listen_fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

/* -EAGAIN: nobody waits. -EMFILE: one has been pushed out, its end lets us go on. */
static int accept_one(struct tvqd_server *s)
{
	int fd = accept4(s->cfg.listen_fd, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0 && (errno == EMFILE || errno == ENFILE)) {
		if (!somebody_waits(s))
			return -EAGAIN;
		log_out_of_fds(s);
		if (s->reserve_fd < 0) {
			push_one_out(s);
			return -EMFILE;
		}
		close(s->reserve_fd);
		s->reserve_fd = -1;
		fd = accept4(s->cfg.listen_fd, NULL, NULL, SOCK_CLOEXEC);
	}
	if (fd < 0)
		return errno == EINTR || errno == ECONNABORTED ? 0 : -errno;
	return tvqd_server_adopt(s, fd);
}

static void accept_again(struct tvq_msg *m)
{
	struct tvqd_server *s = server_of(m, again);

	s->again_posted = false;
	if (s->stopping)
		server_maybe_free(s);
	else
		server_accept(s);
}

static void server_accept(struct tvqd_server *s)
{
	for (unsigned int i = 0; i < TURN_ACCEPTS; i++) {
		int err = accept_one(s);

		if (err == -EAGAIN)
			return;
		if (err == -EMFILE || err == -ENFILE || err == -ENOMEM || err == -ENOBUFS) {
			/* Without a connection whose end tells, nothing but the next client does.
			 */
			s->accept_stuck = s->n_conns > 0;
			return;
		}
		if (err < 0) {
			tvq_log(s->exec->os, TVQ_LOG_ERR, "control socket: %s", strerror(-err));
			return;
		}
	}
	if (s->again_posted)
		return;
	s->again_posted = true;
	s->again.fn = accept_again;
	tvq_exec_post(s->exec, &s->again);
}

static void listen_event(struct tvq_watch *w, int events)
{
	struct tvqd_server *s = server_of(w, watch);

	if (events < 0)
		tvq_log(s->exec->os, TVQ_LOG_ERR, "the control socket cannot be watched: %s",
			strerror(-events));
	else if (!s->stopping)
		server_accept(s);
}

static void listen_gone(struct tvq_watch *w)
{
	struct tvqd_server *s = server_of(w, watch);

	s->listening = false;
	server_maybe_free(s);
}

struct tvqd_server *tvqd_server_new(const struct tvqd_server_cfg *cfg)
{
	struct tvqd_server *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->cfg = *cfg;
	s->exec = tvq_loop_exec(cfg->loop);
	s->newest = &s->oldest;
	s->reserve_fd = -1;
	take_reserve(s);
	if (cfg->listen_fd >= 0) {
		s->listening = true;
		s->watch.fn = listen_event;
		tvq_watch_start(cfg->loop, &s->watch, cfg->listen_fd, POLLIN);
	}
	return s;
}

void tvqd_server_free(struct tvqd_server *s, void (*done)(void *ctx), void *ctx)
{
	s->stopping = true;
	s->done = done;
	s->done_ctx = ctx;
	/* Held, so that it is not freed before the last line. */
	s->n_conns++;
	while (s->oldest)
		tvqd_conn_close(s->oldest);
	if (s->listening)
		tvq_watch_stop(&s->watch, listen_gone);
	s->n_conns--;
	server_maybe_free(s);
}

int tvqd_server_adopt(struct tvqd_server *s, int fd)
{
	if (s->n_clients >= s->cfg.max_clients)
		push_one_out(s);
	return tvqd_conn_new(s, fd) ? 0 : -ENOMEM;
}

unsigned int tvqd_server_clients(const struct tvqd_server *s)
{
	return s->n_clients;
}
