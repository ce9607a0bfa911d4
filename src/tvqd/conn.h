/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One connection to the control socket; inside of the server.
 */
#ifndef TVQD_CONN_H
#define TVQD_CONN_H

#include "server.h"

struct tvqd_conn {
	struct tvqd_conn *next, **pprev; /* the server's list, longest silent first */
	struct tvqd_server *server;
	struct tvq_watch watch;
	struct tvq_timer timer; /* set while half a request is there */
	struct tvq_msg again;	/* goes on with requests in the next turn */
	struct tvq_msg flush;	/* sends answers at the turn's end */
	struct tvqd_call call;	/* the request under way */
	struct tvqd_stream *stream;
	char *in, *out;			  /* NULL: empty */
	uint32_t in_pos, in_len, in_cap;  /* in[in_pos .. in_len) has not been looked at */
	size_t out_pos, out_len, out_cap; /* out[out_pos .. out_len) has not been sent */
	int fd;
	bool readable;	   /* recv may return something */
	bool eof;	   /* nothing more comes, answers may still go */
	bool busy;	   /* a request is under way */
	bool processing;   /* in conn_process() */
	bool throttled;	   /* requests wait until answers have been sent */
	unsigned int pins; /* not freed while one is set */
	bool again_posted, flush_posted;
	bool closing; /* nothing is read or sent any more */
	bool watch_gone;
	bool hang_up; /* close once everything has been sent */
	bool stop_on_error, failed;
};

/* What the connections of a server share with it. */
struct tvqd_server {
	struct tvqd_server_cfg cfg;
	struct tvq_exec *exec;
	struct tvqd_conn *oldest, **newest; /* connections that are not closing */
	unsigned int n_clients;		    /* of these */
	unsigned int n_conns;		    /* not yet freed */
	struct tvq_watch watch;
	struct tvq_msg again; /* goes on accepting */
	bool again_posted;
	bool accept_stuck; /* out of descriptors: goes on when one is closed */
	bool out_of_fds_logged;
	int reserve_fd; /* given up to accept when there is no other descriptor */
	bool listening, stopping;
	void (*done)(void *ctx);
	void *done_ctx;
};

/* Takes over fd. NULL: no memory, fd is closed. */
struct tvqd_conn *tvqd_conn_new(struct tvqd_server *s, int fd);
/* Idempotent; frees the connection when nothing refers to it any more. */
void tvqd_conn_close(struct tvqd_conn *c);
/* The server's: a connection has been freed, with its descriptor. */
void tvqd_server_conn_gone(struct tvqd_server *s);
/* Moves a connection to the end of the list. */
void tvqd_server_conn_active(struct tvqd_conn *c);

#endif
