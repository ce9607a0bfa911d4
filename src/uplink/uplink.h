/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Uplinks: what tap and stream share; private to src/uplink. Theory of operation: uplink.c (life),
 * conn.c (the descriptor that frames pass).
 */
#ifndef TVQ_UPLINK_UPLINK_H
#define TVQ_UPLINK_UPLINK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <net/if.h>
#include <sys/un.h>

#include <tvq/loop.h>
#include <tvq/switch.h>
#include <tvq/uplinks.h>

#include "device/util.h"
#include "exec/unix_listen.h"
#include "types/net_frame.h"

/* struct virtio_net_hdr_v1 */
#define UPLINK_HDR	 12
/* The longest frame, addresses and tag included. */
#define UPLINK_FRAME_MAX (16 + NET_FRAME_MAX)

/* What a turn of one uplink does: frames (TVQ_SWITCH_BATCH) and bytes, whichever comes first. */
#define UPLINK_TURN_BYTES (256u << 10)

enum uplink_conn {
	CONN_IDLE,    /* no descriptor; waits for its timer or for a peer */
	CONN_JOB,     /* a job makes one */
	CONN_UP,      /* frames pass */
	CONN_CLOSING, /* its watches are being stopped */
};

/* Why there is a log line; each is said once, until it has been well for a while. */
enum {
	TOLD_REFUSED = 1, /* it cannot be reached */
	TOLD_GONE = 2,	  /* it ended the connection */
	TOLD_GARBAGE = 4, /* what it sends is not what it has to be */
	TOLD_SYSTEM = 8,  /* ours: no memory, no descriptors */
	TOLD_UP = 16,
};

/* The two kinds. on the worker: but for open and connect. */
struct uplink_kind {
	const char *name; /* in log lines */
	/* In a job, first of all: leaves a descriptor in u->fd, or a listening one in u->socket, or
	 * none. 0; or -errno, and why (TVQ_UPLINK_ERR_LEN) has a sentence. */
	int (*open)(struct tvq_uplink *u, char *why);
	/* In a job: a descriptor that does not block, or -errno. */
	int (*connect)(struct tvq_uplink *u);
	size_t in_size, out_size; /* of its buffers, while it is up */
	/* Reads what there is, up to a turn's bounds, and sends it into the switch. */
	struct tvq_poller poller;
	void (*writable)(struct tvq_uplink *u); /* after uplink_conn_wait_writable() */
	struct tvq_port_ops port;
	const char *gone; /* what has happened when a descriptor is at its end */
};

extern const struct uplink_kind uplink_tap, uplink_stream;

struct tvq_uplink {
	const struct uplink_kind *kind;
	struct tvq_switch *sw;
	struct tvq_exec *worker;
	struct tvq_loop *loop; /* the worker's */
	const struct tvq_os *os;
	uint16_t mtu;
	bool listen;
	char where[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* a path, or a device's name */

	/* Control's half, and of the job that it waits for. */
	struct tvq_uplink_done *done;
	int (*rules)(struct tvq_port *port, void *ctx);
	void *rules_ctx;
	struct tvq_switch_op op;
	struct tvq_job job;
	int err;
	unsigned int to_end; /* what is still to come before the descriptors can be closed */

	/* Worker's half from attaching to detaching. */
	struct tvq_port *port;
	struct tvq_unix_socket socket;
	struct tvq_watch accept_watch;
	bool accepting; /* accept_watch is set */
	enum uplink_conn conn;
	int fd; /* that frames pass; -1: none */
	struct tvq_watch watch;
	bool watching;
	struct tvq_io out_io;
	bool out_armed; /* waits for fd to be writable */
	struct tvq_poller poller;
	struct tvq_timer retry; /* always set, so that setting it never fails */
	uint64_t backoff;	/* nanoseconds */
	uint64_t up_since;	/* os->now() */
	unsigned int told;
	struct tvq_job reach; /* connect */
	int reached;
	bool ending, over;
	struct tvq_msg gone;
	uint8_t *in;		   /* kind->in_size; while up */
	uint32_t in_start, in_end; /* stream: what is not parsed yet */
	uint8_t *out;		   /* kind->out_size; a ring; while up */
	uint32_t out_start, out_end;

	atomic_int state; /* enum tvq_uplink_state, for anybody */
};

/* Frames that were read and are to be sent into the switch. */
struct uplink_batch {
	unsigned int n;
	struct tvq_frame frames[TVQ_SWITCH_BATCH];
	struct tvq_frame *ptrs[TVQ_SWITCH_BATCH];
	struct tvq_seg segs[TVQ_SWITCH_BATCH][2];
};

/* uplink.c */
void uplink_log(const struct tvq_uplink *u, enum tvq_log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* One that is ending is quiet: nothing on the worker touches it any more. */
void uplink_quiet(struct tvq_uplink *u);

/* conn.c: on the worker. Attach starts it, with the descriptors that open left; 0 or -ENOMEM. */
int uplink_conn_attach(struct tvq_uplink *u);
/* uplink_quiet() is called when it is through, perhaps at once. fd is left open. */
void uplink_conn_detach(struct tvq_uplink *u);
/* The descriptor is of no use any more: another follows, after a while. why: TOLD_*, and a
 * sentence. u->in and u->out may be gone when it returns. Nothing to do where none is up. */
void uplink_conn_lost(struct tvq_uplink *u, unsigned int why, const char *sentence);
/* kind->writable() is called when fd can be written again. */
void uplink_conn_wait_writable(struct tvq_uplink *u);
/*
 * Adds a frame that was read, checked (types/net_frame.h), or counts why not. hdr: UPLINK_HDR bytes
 * right before data, which begins with the destination address; or NULL.
 */
void uplink_batch_add(struct tvq_uplink *u, struct uplink_batch *b, uint8_t *hdr, uint8_t *data,
		      size_t len);
/* Sends them into the switch. The connection may be lost when it returns. */
void uplink_batch_send(struct tvq_uplink *u, struct uplink_batch *b);

#endif
