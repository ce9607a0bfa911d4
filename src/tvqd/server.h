/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control socket: connections, requests, answers. Everything on the control executor; nothing
 * blocks.
 *
 * The requests of one connection are done one after the other, in order, and are answered in order;
 * a client may send many without waiting. Connections do not wait for each other.
 */
#ifndef TVQD_SERVER_H
#define TVQD_SERVER_H

#include <stdbool.h>
#include <stddef.h>

#include <tvq/loop.h>

#include "request.h"

struct tvqd_server;

struct tvqd_server_cfg {
	struct tvqd *d; /* handed to the commands */
	struct tvq_loop *loop;
	int listen_fd; /* the caller's; -1: connections come by tvqd_server_adopt() only */
	unsigned int max_clients;
	uint64_t request_ns; /* for one request to arrive whole */
};

/* NULL: no memory. */
struct tvqd_server *tvqd_server_new(const struct tvqd_server_cfg *cfg);
/*
 * Ends all connections and takes no more; requests under way run to their end unanswered. done
 * comes when everything is gone and the server is freed.
 */
void tvqd_server_free(struct tvqd_server *s, void (*done)(void *ctx), void *ctx);

/* Serves a connected stream socket, which becomes the server's, also when it fails. -ENOMEM. */
int tvqd_server_adopt(struct tvqd_server *s, int fd);
/* Connections now. */
unsigned int tvqd_server_clients(const struct tvqd_server *s);

/* A request under way; lives until it is answered. */
struct tvqd_call {
	struct tvqd_request rq;
	void (*reply)(struct tvqd_call *call, struct json_object *answer);
};

/* Runs a request that has been parsed, or refuses it where it is another process' to do. In
 * commands.c. */
void tvqd_request_run(struct tvqd *d, struct tvqd_call *call);

/* {"id": ..., "ok": result}. Takes over result's reference; NULL: {}. Ends the call. */
void tvqd_reply(struct tvqd_call *call, struct json_object *result);
/* {"id": ..., "error": text, "errno": name}; err is a negative errno. Ends the call. */
void tvqd_reply_err(struct tvqd_call *call, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * The connection's later requests fail with ECANCELED once one of them has failed (on), which makes
 * sending them ahead safe.
 */
void tvqd_call_stop_on_error(struct tvqd_call *call, bool on);

/*
 * A stream of events to the connection of a call, beside answers: the list is the caller's.
 * tvqd_stream_send() takes a line without its newline; one that would not fit the bounded buffer of
 * a slow client is dropped and counted. The stream ends with its connection: ended is called.
 */
struct tvqd_stream {
	struct tvqd_stream *next, **pprev;
	uint64_t dropped;
	void (*ended)(struct tvqd_stream *st);
	struct tvqd_conn *conn;
};
/* -EALREADY: the connection has one. */
int tvqd_call_stream(struct tvqd_call *call, struct tvqd_stream *st);
/* False: dropped. */
bool tvqd_stream_send(struct tvqd_stream *st, const char *line, size_t len);

#endif
