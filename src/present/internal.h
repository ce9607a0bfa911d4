/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The presenter's own structures. Theory of operation.
 *
 * A presenter is a listening socket and little more; what a connection needs is allocated when it
 * is accepted. One front end at a time: the next ones wait in the socket's backlog, as they do with
 * qemu-storage-daemon, and the listening socket is looked at again when the connection has ended.
 *
 * A message changes what the front end WANTS (its `apply`, in the files named for their subject).
 * Then sync.c makes the device follow, in steps that are commands on the transportq or operations
 * of the bus, all of them asynchronous; when nothing is left to do the message is answered (its
 * `answer`), and the next one is read. So no handler has to know in which order messages come, and
 * every front end's order is the same thing: ring r runs when it has a kick, addresses, a size, and
 * is enabled; and stops when it has not.
 *
 * A connection and who may touch it:
 *
 *   idle      no message is under way; the socket is read when it becomes readable
 *   busy      a message is under way, or rings are let go after a change of memory: nothing is read
 *   leaving   (link.c) as busy; the rings are let go, then it is closing
 *   closing   (teardown.c) nothing is wanted any more; what is in flight ends and is ignored, the
 *             device is reset, the memory unmapped, then the connection is freed. Entered by
 *             vu_close() from anywhere, carried out in a later turn, so that the caller may go on
 *             using the connection.
 *
 * A peer that breaks the protocol is closed, with one line of log. A message that failed without
 * changing anything is refused where the front end asked for a reply, else the peer is closed too.
 * A step that failed leaves the device in a state that is nobody's wish: the peer is closed, and
 * the reset puts it right.
 */
#ifndef TVQ_PRESENT_INTERNAL_H
#define TVQ_PRESENT_INTERNAL_H

#include <sys/types.h>

#include <tvq/bus.h>
#include <tvq/driver.h>
#include <tvq/loop.h>

#include <exec/peer_fd.h>
#include <exec/unix_listen.h>
#include <present/parse.h>
#include <present/proto.h>
#include <present/vhost_user.h>

#define VU_MSEC		     1000000ull
/* QEMU gives up after 5 s. */
#define VU_ANSWER_NS	     (4000 * VU_MSEC)
/* A change of memory is several messages: rings that were held for it go on when none came for so
 * long. */
#define VU_SETTLE_NS	     (2 * VU_MSEC)
/* How long a connection may stay without a first message, or with half a one. */
#define VU_HALF_OPEN_MS	     10000
#define VU_ACCEPT_RETRY_NS   (1000 * VU_MSEC)
/* Lines of log that one device may write at once, and how long it takes to earn another: a front
 * end can make as many failures as it likes, and fill a disk with them. */
#define VU_LOG_BURST	     20
#define VU_LOG_EVERY_NS	     (5000 * VU_MSEC)
/* Messages handled in one turn of the executor. */
#define VU_MESSAGES_PER_TURN 16

/*
 * Regions of one connection. QEMU itself has at most 512 and libvhost-user takes 509, KVM's old
 * number, so that a guest that works there works here. What protects the process is
 * VU_MAX_MAPPINGS: mappings are shared, and the kernel gives a process 65530 of them by default, of
 * which other things need some.
 */
#define VU_MAX_SLOTS	509
#define VU_MAX_MAPPINGS 49152
/* Regions of a network's memory whose descriptors are kept to look at rings (net.c). QEMU has one
 * or two; virtio_user one for each hugepage's file. */
#define VU_KEPT_FDS	8

#define VU_BACKLOG 16 /* connections that wait */

/* vu_msg_info.answer: vu_done() will be called. */
#define VU_LATER 1

/* An address and data that signal a descriptor. */
struct vu_msi {
	bool set;
	uint64_t addr;
	uint32_t data;
};

struct vu_vring {
	uint16_t index;
	/* What the front end wants: */
	bool has_addr, enabled;
	bool has_kick; /* kick_fd -1: polled */
	int kick_fd, call_fd, err_fd;
	uint32_t num;		    /* 0: not set */
	uint64_t desc, avail, used; /* in the front end's address space */
	uint32_t base;		    /* as in SET_VRING_BASE; where the ring stopped */
	bool told;		    /* it has stopped since it was connected, */
	uint32_t told_base;	    /* there */
	bool lost; /* nobody knows where it goes on (net.c): it waits for another base */
	/* What the device has: */
	bool running;
	bool restart; /* stop it first: its addresses have changed */
	bool kick_changed, call_changed;
	bool watched;		      /* notify_fd was called */
	uint64_t area;		      /* of notification */
	uint16_t avail_idx, used_idx; /* got when it stops */
	struct vu_msi msi, old_msi;
};

enum vu_region_state {
	VU_REGION_MAPPED,
	VU_REGION_COMING, /* to be mapped; fd is held until then */
	VU_REGION_LEAVING,
};

struct vu_region {
	struct vu_mem_region m;
	dev_t dev; /* of its descriptor, to know it again; 0: not reachable */
	ino_t ino;
	int fd; /* of COMING ones; of others where it is kept to be read; else -1 */
	enum vu_region_state state;
};

struct vu_mem {
	struct vu_region *r;
	unsigned int n, cap;
};

struct vu_inflight_area {
	bool has_space; /* asid holds */
	uint32_t asid;
	int fd;		       /* to be mapped, else -1 */
	uint64_t size, offset; /* bytes */
	uint16_t num_queues, queue_size;
	bool mapped;
	uint64_t mapped_size;
};

enum vu_dev_state {
	VU_DEV_CLEAN,	/* status 0 */
	VU_DEV_REFUSED, /* FEATURES_OK stayed clear */
	VU_DEV_READY,	/* FEATURES_OK */
	VU_DEV_LIVE,	/* DRIVER_OK */
};

/* A reset under way: STATUS SET 0 and GET until it is 0. */
struct vu_reset {
	struct vu_conn *c;
	struct tvq_done done;
	struct tvq_timer timer;
	uint64_t pause_ns;
	uint8_t status;
	void (*ended)(struct vu_conn *c, int err);
};

/* The configuration interrupt and the channel to the front end. */
struct vu_notice {
	int event_fd; /* ours; -1: none */
	struct tvq_watch watch;
	bool watching;
	struct vu_msi msi;
	int channel_fd; /* SET_BACKEND_REQ_FD; -1: none */
	bool unsent;	/* the channel was full */
	struct tvq_done done;
	bool asking, again, broken;
	bool looking; /* nobody interrupted */
	uint8_t status;
	uint16_t link; /* a network's status field, as it is in the configuration space */
};

/* Where a packed ring stopped when the connection was ended for the link. */
struct vu_kept {
	bool valid;
	uint32_t num;
	uint64_t desc;
	uint32_t base;
};

struct vu_conn {
	struct tvq_vhost_user *p;

	/* The socket (conn.c). */
	int fd;
	struct tvq_watch watch;
	bool watching, readable, pumping, again_posted, closing;
	struct tvq_msg again, bye;
	struct tvq_timer timer; /* half a message, or a message that is not answered */
	struct vu_header header;
	uint8_t payload[VU_MAX_PAYLOAD];
	uint32_t got;	     /* bytes of header and payload */
	int fds[VU_MAX_FDS]; /* -1: a handler took it */
	unsigned int n_fds;

	/* The message under way. */
	bool busy;
	const struct vu_msg_info *info; /* NULL while busy: rings are let go */
	struct vu_req req;
	const char *why; /* it is refused, where the errno does not say it */
	uint32_t reply_size;
	int reply_fd; /* closed once sent */
	union {
		uint8_t bytes[VU_MAX_PAYLOAD];
		uint64_t u64;
	} reply;

	/* Steps (sync.c). */
	struct tvq_done seq_done, bus_done;
	unsigned int pending; /* not yet ended, of the step under way */
	int step_err;
	const char *step_failed; /* the command's name, NULL: not a command */
	void (*next)(struct vu_conn *c, int err);
	struct vu_reset reset;

	/* What the front end wants, beside rings and memory. */
	uint64_t features, protocol;
	bool features_set, want_features, want_reset;
	uint8_t status;
	bool leaving_link; /* the link is down: rings stop, then the connection ends (link.c) */
	bool link_said;	   /* that it cannot be told */
	/* Rings stand still while memory goes: until it has settled; until the table is mapped. */
	bool hold, hold_table;
	struct tvq_timer settle;

	/* What the device has. */
	enum vu_dev_state dev;
	uint8_t dev_status;

	struct vu_mem mem;
	struct vu_inflight_area inflight;
	struct vu_notice notice;
	uint16_t net_mtu; /* as it is in the configuration space */

	/* The way out (teardown.c). */
	bool tearing, resetting, unmapping;
	unsigned int leaving; /* operations of the bus that have not ended */
	struct tvq_done leave_done;
	struct vu_reset last_reset;

	unsigned int n_rings;
	struct vu_vring ring[];
};

struct tvq_vhost_user {
	struct tvq_client *client;
	struct tvq_bus *bus;
	struct tvq_loop *loop;
	const struct tvq_os *os;
	char *name, *path;
	uint64_t device_id;
	uint64_t features; /* offered by the device */
	uint32_t type, asid;
	struct vu_limits lim;
	uint32_t half_open_ms;
	/* A write-back setting lives longer than a connection: the guest does not set it again. */
	bool wce_set;
	uint8_t wce;
	/* Network. */
	void (*announce)(void *ctx);
	void *announce_ctx;
	struct vu_kept *kept; /* one for each ring; NULL: nothing is known of any */
	bool link_down;	      /* front ends are, or will be, refused until it is up */
	uint16_t link_status;
	struct tvq_timer link_timer;
	struct tvq_done link_done;
	struct tvq_seq *link_seq; /* under way */

	struct tvq_unix_socket sock;
	struct tvq_watch watch;
	struct tvq_timer retry;
	bool listening; /* the socket is watched, */
	bool stopping;	/* and will not be soon */
	bool dirty;	/* the last connection could not reset the device */
	bool freeing;	/* tvq_vhost_user_free() was called */
	bool starved;	/* said that nothing can be accepted */
	struct tvq_done *freed;
	struct vu_conn *conn;
	uint64_t connections;
	uint64_t log_since; /* lines are earned from here on */
	unsigned int log_lines, log_left_out;
};

#define vu_container(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

/* The clock that the timers go by. */
static inline uint64_t vu_now(const struct tvq_vhost_user *p)
{
	return p->bus->exec->os->now();
}

/* present.c */
/* One line that names the device, unless it has written too many (VU_LOG_BURST); the next one that
 * is written says how many were left out. */
void vu_say(struct tvq_vhost_user *p, enum tvq_log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* The connection has ended and is freed: listens to the next, or ends. */
void vu_conn_gone(struct tvq_vhost_user *p);
/* Watches the socket, which listens, and takes who waits there. */
void vu_listen(struct tvq_vhost_user *p);
/* The socket is not to be watched any more: stopped is called. */
void vu_unlisten(struct tvq_vhost_user *p, void (*stopped)(struct tvq_watch *w));
/* It is not watched any more. True: the presenter ends, and may be freed by now. */
bool vu_unlistened(struct tvq_vhost_user *p);

/* conn.c */
/* Takes over fd. NULL: no memory, fd is closed. */
struct vu_conn *vu_conn_new(struct tvq_vhost_user *p, int fd);
/* Ends the connection, for the reason given (NULL: logged already); once. c stays until a later
 * turn. */
void vu_close(struct vu_conn *c, enum tvq_log_level level, const char *why);
/* Makes the device follow what has changed without a message; c is not busy. */
void vu_sync_now(struct vu_conn *c);
/* The device has followed, the message can be answered. */
void vu_settled(struct vu_conn *c);
/* Answers the message under way: 0, or -errno, refused with nothing changed. */
void vu_done(struct vu_conn *c, int err);
/* Refuses the message under way, where its sender asked for a reply. */
void vu_refuse(struct vu_conn *c);
/* One line: device, message, what. */
void vu_log(struct vu_conn *c, enum tvq_log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static inline void vu_reply_u64(struct vu_conn *c, uint64_t v)
{
	c->reply.u64 = v;
	c->reply_size = sizeof(v);
}
/* err, with a reason for the log: for what apply and answer return. */
static inline int vu_no(struct vu_conn *c, int err, const char *why)
{
	c->why = why;
	return err;
}
/* Takes descriptor i of the message: the caller's now. -1: there is none. */
int vu_take_fd(struct vu_conn *c, unsigned int i);

/* sync.c */
void vu_sync_init(struct vu_conn *c);
/* Makes the device follow; vu_settled() in the end. */
void vu_sync(struct vu_conn *c);
/* A step: begin; a get for each thing that is started, which ends in a put (c->seq_done and
 * c->bus_done do that); a put for the beginning itself. next is called once all have ended, perhaps
 * before the last put returns, unless the connection is closing. */
void vu_step_begin(struct vu_conn *c, void (*next)(struct vu_conn *c, int err));
static inline void vu_step_get(struct vu_conn *c)
{
	c->pending++;
}
void vu_step_put(struct vu_conn *c, int err);
/* A sequence to the device as (part of) a step; s NULL: no memory. */
void vu_step_run(struct vu_conn *c, struct tvq_seq *s);
/* The step failed: logs, refuses the message and closes. what NULL: the command that failed. */
void vu_step_fail(struct vu_conn *c, int err, const char *what);
struct tvq_seq *vu_seq(struct vu_conn *c);
void vu_reset_start(struct vu_conn *c, struct vu_reset *r,
		    void (*ended)(struct vu_conn *c, int err));
static inline bool vu_packed(const struct vu_conn *c)
{
	return c->features >> 34 & 1; /* VIRTIO_F_RING_PACKED */
}
static inline bool vu_protocol(const struct vu_conn *c, unsigned int bit)
{
	return c->protocol >> bit & 1;
}

/* teardown.c */
void vu_teardown(struct tvq_msg *m);
/* Something that the teardown may wait for has ended. */
void vu_left(struct vu_conn *c);

/* queue.c: steps return true where they began something. */
void vu_ring_init(struct vu_vring *v, uint16_t index);
void vu_ring_forget(struct vu_conn *c, struct vu_vring *v);
bool vu_ring_wanted(const struct vu_conn *c, const struct vu_vring *v);
bool vu_any_running(const struct vu_conn *c);
bool vu_any_wanted(const struct vu_conn *c);
/* Every ring stops; with all, enable, addresses, sizes and positions are forgotten too. */
void vu_rings_stop(struct vu_conn *c, bool all);
void vu_msi_free(struct vu_conn *c, struct vu_msi *m);
void vu_rings_free_msi(struct vu_conn *c);
bool vu_step_stop_rings(struct vu_conn *c);
bool vu_step_start_ring(struct vu_conn *c);
bool vu_step_calls(struct vu_conn *c);
bool vu_step_kicks(struct vu_conn *c);
int vu_apply_vring_num(struct vu_conn *c, struct vu_req *req);
int vu_apply_vring_addr(struct vu_conn *c, struct vu_req *req);
int vu_apply_vring_base(struct vu_conn *c, struct vu_req *req);
int vu_apply_vring_enable(struct vu_conn *c, struct vu_req *req);
int vu_apply_vring_kick(struct vu_conn *c, struct vu_req *req);
int vu_apply_vring_call(struct vu_conn *c, struct vu_req *req);
int vu_apply_vring_err(struct vu_conn *c, struct vu_req *req);
int vu_apply_get_vring_base(struct vu_conn *c, struct vu_req *req);
int vu_answer_get_vring_base(struct vu_conn *c, const struct vu_req *req);

/* mem.c */
void vu_mem_free(struct vu_conn *c);
/* Where a byte of the front end's is in the guest. False: in no region. */
bool vu_mem_guest(const struct vu_conn *c, uint64_t user, uint64_t *guest);
/* Reads the front end's memory, which lies in one region. 0; -ENOENT: in none that can be read; -EIO.
 */
int vu_mem_read(const struct vu_conn *c, uint64_t user, void *buf, size_t len);
bool vu_step_unmap(struct vu_conn *c);
bool vu_step_map(struct vu_conn *c);
int vu_apply_mem_table(struct vu_conn *c, struct vu_req *req);
int vu_apply_add_mem(struct vu_conn *c, struct vu_req *req);
int vu_apply_rem_mem(struct vu_conn *c, struct vu_req *req);
int vu_answer_max_slots(struct vu_conn *c, const struct vu_req *req);

/* config.c */
int vu_answer_get_config(struct vu_conn *c, const struct vu_req *req);
int vu_apply_set_config(struct vu_conn *c, struct vu_req *req);
int vu_answer_set_config(struct vu_conn *c, const struct vu_req *req);
/* Sets again, in a sequence that goes to a device with FEATURES_OK, what the driver had set. */
void vu_config_again(struct vu_conn *c, struct tvq_seq *s);

/* notice.c */
void vu_notice_init(struct vu_conn *c);
/* Sets the configuration interrupt up, in a sequence to the device. Without one (no descriptors
 * left) the front end does not hear of changes. */
void vu_notice_enable(struct vu_conn *c, struct tvq_seq *s);
/* Takes over fd. */
void vu_notice_channel(struct vu_conn *c, int fd);
/* Tries again what did not fit into the channel. */
void vu_notice_retry(struct vu_conn *c);
/* Begins to end; vu_left() is called when it has. */
void vu_notice_stop(struct vu_conn *c);
bool vu_notice_busy(const struct vu_conn *c);
void vu_notice_free(struct vu_conn *c);

/* Looks at the device as if it had interrupted. */
void vu_notice_look(struct vu_conn *c);

/* net.c */
bool vu_is_net(const struct vu_conn *c);
/* What the device is given of what the front end accepted. */
uint64_t vu_net_features(const struct vu_conn *c, uint64_t acked);
/* Where a ring begins: corrects what the front end said. False: nobody knows, which is logged. */
bool vu_net_position(struct vu_conn *c, struct vu_vring *v, uint32_t *base);
/* Remembers where the rings have stopped. */
void vu_net_keep(struct vu_conn *c);
int vu_answer_mtu(struct vu_conn *c, const struct vu_req *req);
int vu_apply_rarp(struct vu_conn *c, struct vu_req *req);

/* link.c */
/* The device said so. */
void vu_link_is(struct vu_conn *c, bool up);
/* The connection's rings have stopped for the link. */
void vu_link_left(struct vu_conn *c);
/* Refuses front ends until the link is up. */
void vu_link_deaf(struct tvq_vhost_user *p);
void vu_link_free(struct tvq_vhost_user *p);

/* inflight.c */
bool vu_step_inflight(struct vu_conn *c);
/* Where the area for queue q is; false: it does not hold one of this size. */
bool vu_inflight_queue(const struct vu_conn *c, uint16_t q, uint32_t num, uint64_t *addr,
		       uint32_t *size);
int vu_apply_get_inflight(struct vu_conn *c, struct vu_req *req);
int vu_answer_get_inflight(struct vu_conn *c, const struct vu_req *req);
int vu_apply_set_inflight(struct vu_conn *c, struct vu_req *req);

/* fd.c */
/* Signals a peer's eventfd once (-1: nothing). */
void vu_signal(struct vu_conn *c, int fd);

#endif
