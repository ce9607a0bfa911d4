/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The vfio-user server's own structures. Theory of operation.
 *
 * A server is a listening socket, the PCI function, and what a client gave it: memory (dma.c),
 * eventfds (irq.c). One client at a time; what one connection needs is allocated when it is
 * accepted. Another one that comes meanwhile is turned away with a line of log, but waits where the
 * first has just gone.
 *
 * Messages are handled one after the other, in the order in which they came. A connection:
 *
 *   idle      no message is under way; the socket is read when it becomes readable
 *   busy      a message is under way (memory is let go, a reset, descriptors are given up by the
 *             workers), or its reply does not fit into the socket: nothing is read
 *   closing   vfu_close() was called, from anywhere; carried out in a later turn, so that the caller
 *             may go on using the connection. What is under way ends, the client's memory and
 *             descriptors are given back, then the connection is freed.
 *
 * What is malformed closes the connection, with one line of log; what is well formed and cannot be
 * granted is answered with an errno. The device is not reset when a client goes.
 *
 * Two things are done by workers, too: raising a vector (irq.c), and writing an MSI to the client
 * through the socket (out.c). Everything else is the control executor's.
 */
#ifndef TVQ_VFIO_USER_INTERNAL_H
#define TVQ_VFIO_USER_INTERNAL_H

#include <pthread.h>
#include <stddef.h>
#include <sys/types.h>

#include <tvq/dma.h>
#include <tvq/loop.h>

#include "exec/unix_listen.h"
#include "pci/pci.h"
#include "vfio_user/parse.h"
#include "vfio_user/proto.h"
#include "vfio_user/server.h"

#define VFU_MSEC		1000000ull
/* QEMU gives up after 5 s. */
#define VFU_ANSWER_NS		(4000 * VFU_MSEC)
/* How long a connection may stay without a first message, with half a one, or with a reply that it
 * does not read. */
#define VFU_HALF_OPEN_NS	(10000 * VFU_MSEC)
#define VFU_ACCEPT_RETRY_NS	(1000 * VFU_MSEC)
/* Lines of log that one server may write at once, and how long it takes to earn another: a client
 * can make as many failures as it likes, and fill a disk with them. */
#define VFU_LOG_BURST		20
#define VFU_LOG_EVERY_NS	(5000 * VFU_MSEC)
/* Messages handled in one turn of the executor. */
#define VFU_MESSAGES_PER_TURN	16
#define VFU_REGIONS_PER_MESSAGE 4096
/* Descriptors that cannot be closed yet; with more none are taken any more. */
#define VFU_MAX_CLOSING		256
/* DMA writes that the client has not answered yet. */
#define VFU_MAX_WRITES		64
/* A DMA write of four bytes. */
#define VFU_WRITE_DATA		4
#define VFU_WRITE_BYTES		(sizeof(struct vu_hdr) + sizeof(struct vu_dma_rw) + VFU_WRITE_DATA)

/*
 * Regions that this process has mapped when a client may map another. The kernel gives a process
 * 65530 mappings by default, of which other things need some. One client may have all of these: it
 * is less than what front ends may fill (VU_MAX_MAPPINGS), so that there is room for them in any
 * case.
 */
#define VFU_MAX_MAPPINGS    32768
#define VFU_DEFAULT_REGIONS 65535
/* Bytes of replaced tables of a space; with more a DMA_MAP waits until they are released. */
#define VFU_MAX_RETIRED	    (16u << 20)
#define VFU_SPACES	    65536

/* vfu_cmd.handle: vfu_done() will be called. */
#define VFU_LATER 1

#define vfu_container(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

/* ---- out.c: what goes to the client ---- */

struct vfu_msi;

/*
 * The way to the client, which the control executor (replies) and the workers (MSIs) share. It lives
 * as long as the server; between connections fd is -1.
 */
struct vfu_out {
	struct tvq_exec *exec;
	struct tvq_loop *loop;
	void (*flushed)(struct vfu_out *o); /* a reply that had to wait is sent */
	void (*quiet)(struct vfu_out *o);   /* after vfu_out_close(): nothing uses the socket */

	atomic_bool want;   /* there may be something to send: whoever has the lock looks */
	atomic_bool master; /* the function may write to memory */
	_Atomic(struct vfu_msi *) inbox;
	atomic_bool poll_posted;
	struct tvq_msg poll_msg;

	/* The control executor's. */
	struct tvq_io poll;
	bool polling; /* for room in the socket */

	pthread_mutex_t lock; /* of the rest; never held while anything waits */
	int fd;
	bool open;    /* the version is agreed upon: we may send requests */
	bool blocked; /* the socket is full */
	struct vfu_msi *head, **tail;
	uint64_t outstanding;		/* a bit for each DMA write without an answer */
	uint16_t round[VFU_MAX_WRITES]; /* upper bits of its id */
	uint64_t writes, failed;	/* statistics: DMA writes, and those refused */
	size_t rest, sent; /* of a reply that did not fit: bytes, and how many are out */
	uint8_t buf[sizeof(struct vu_hdr) + sizeof(struct vu_region_rw) + VU_MAX_DATA +
		    VFU_WRITE_BYTES];
};

/* 0 or -ENOMEM. */
int vfu_out_init(struct vfu_out *o, struct tvq_loop *l);
/* No target may be left. */
void vfu_out_fini(struct vfu_out *o);
/* From now on fd is used; it stays the caller's. */
void vfu_out_connect(struct vfu_out *o, int fd);
/* The version is agreed upon. */
void vfu_out_open(struct vfu_out *o);
/* fd is not used any more once quiet is called, perhaps before the return. */
void vfu_out_close(struct vfu_out *o);
/*
 * Sends a reply; size bytes of payload. 0: sent. 1: flushed will be called, no other reply before
 * that. -errno: the connection has ended.
 */
int vfu_out_reply(struct vfu_out *o, struct vu_hdr *h, const void *payload, uint32_t size);
/* A reply to a DMA write has come. False: there was no such write. *failed: the first one that was
 * refused on this connection. */
bool vfu_out_answered(struct vfu_out *o, const struct vu_hdr *h, bool *failed);
/* The function's bus mastering, whenever it may have changed. */
void vfu_out_set_master(struct vfu_out *o, bool on);
/* An MSI target: a DMA write of four bytes to the client. NULL: no memory. Control executor. */
struct tvq_msi_target *vfu_out_target(struct vfu_out *o, uint64_t addr, uint32_t data);

/* ---- irq.c ---- */

/* One interrupt that a client has a descriptor for. Fired by any executor. */
struct vfu_vector {
	atomic_int fd; /* -1: none */
	atomic_bool masked, pending;
	bool automask; /* masked by being raised: the line */
};

struct vfu_hop {
	struct tvq_msg msg;
	struct tvq_exec *worker;
	struct vfu_irqs *irqs;
};

struct vfu_irqs {
	struct tvq_vfio_user *s;
	struct vfu_vector *v; /* of all kinds, one after the other */
	uint32_t first[VU_IRQS], count[VU_IRQS], n;
	/* Descriptors that go once every worker has passed a quiet point. */
	int *gone;
	uint32_t n_gone;
	void (*done)(struct vfu_irqs *irqs); /* a round is under way: what follows it */
	struct vfu_hop *hops;
	unsigned int n_hops, out;
};

int vfu_irqs_init(struct tvq_vfio_user *s, const struct tvq_mgmt_cfg *mgmt);
void vfu_irqs_fini(struct vfu_irqs *irqs);
/* Any executor; e is the caller's. */
void vfu_irqs_raise(struct vfu_irqs *irqs, uint16_t vector, struct tvq_exec *e);
/* Nothing is pending any more: the device has been reset. */
void vfu_irqs_forget(struct vfu_irqs *irqs);
/* The client has gone: its descriptors go, then done is called. No round may be under way. */
void vfu_irqs_close(struct vfu_irqs *irqs, void (*done)(struct vfu_irqs *irqs));
int vfu_handle_irq_info(struct vfu_conn *c, const struct vfu_req *req);
int vfu_handle_set_irqs(struct vfu_conn *c, const struct vfu_req *req);

/* ---- dma.c ---- */

struct vfu_range {
	uint64_t iova, len;
};

/* An address space of the client's (TQ-123). */
struct vfu_space {
	struct vfu_space *next;
	struct tvq_space *space;
	/*
	 * Ranges that were mapped when the last client went, sorted and disjoint; while there are
	 * any, new regions are held back: sorted and disjoint, too.
	 */
	struct vfu_range *missing;
	uint32_t n_missing;
	uint64_t missing_bytes; /* that no region held covers yet */
	struct tvq_region *held;
	uint32_t n_held, cap_held;
};

struct vfu_dma {
	struct vfu_space **page[256]; /* by asid: 256 of 256 */
	struct vfu_space *spaces;
	uint32_t regions, max_regions;
	bool said_unreachable, said_held; /* on this connection */
	unsigned int unmaps;		  /* under way */
	struct vfu_unmap *waits;	  /* the one that the connection waits for */
	bool closing;
};

/* Space k, with a reference, made where it is new; NULL: no memory, or no such space. */
struct tvq_space *vfu_dma_space(struct tvq_vfio_user *s, uint32_t asid);
/* The client has gone: its memory goes. vfu_left() is called when it has. */
void vfu_dma_close(struct tvq_vfio_user *s);
/* Spaces that have regions. */
uint32_t vfu_dma_used_spaces(const struct tvq_vfio_user *s);
/* Nothing may be under way or be mapped. */
void vfu_dma_fini(struct tvq_vfio_user *s);
int vfu_handle_map(struct vfu_conn *c, const struct vfu_req *req);
int vfu_handle_unmap(struct vfu_conn *c, const struct vfu_req *req);
/* The message is answered already: whoever waits for the unmap does not any more. */
void vfu_dma_give_up(struct tvq_vfio_user *s);

/* ---- hold.c ---- */

/* What is published in a space; valid until it changes. */
const struct tvq_dma_table *vfu_table(const struct vfu_space *sp);
/*
 * Holds a region back, in a space where something is missing; publishes what is held where nothing is
 * any more. Takes over the region's mapping, also when it fails: -EEXIST, -ENOMEM; where publishing
 * fails nothing is held any more.
 */
int vfu_hold(struct vfu_space *sp, const struct tvq_region *r);
/* Lets go what is held in a range that cuts none. */
void vfu_unhold(struct vfu_space *sp, uint64_t iova, uint64_t len);
/* What is published now will be missing, unless something is missing already. */
void vfu_remember(struct vfu_space *sp);
void vfu_forget_missing(struct vfu_space *sp);
/* The device has been reset: what was held back is published. */
void vfu_dma_release(struct tvq_vfio_user *s);

/* ---- device.c ---- */

int vfu_handle_info(struct vfu_conn *c, const struct vfu_req *req);
int vfu_handle_region_info(struct vfu_conn *c, const struct vfu_req *req);
int vfu_handle_read(struct vfu_conn *c, const struct vfu_req *req);
int vfu_handle_write(struct vfu_conn *c, const struct vfu_req *req);
int vfu_handle_reset(struct vfu_conn *c, const struct vfu_req *req);
int vfu_handle_unsupported(struct vfu_conn *c, const struct vfu_req *req);
/* Begins to reset the function; vfu_was_reset() is called when it is over, perhaps at once. */
void vfu_reset(struct tvq_vfio_user *s);
/* The function's registers may have changed: what depends on them follows. */
void vfu_registers_changed(struct tvq_vfio_user *s);

/* ---- conn.c ---- */

struct vfu_conn {
	struct tvq_vfio_user *s;
	int fd;
	struct tvq_watch watch;
	bool watching, readable, pumping, again_posted;
	struct tvq_msg again, bye;
	struct tvq_timer timer; /* half a message, or a message that is not answered */
	struct vu_hdr header;
	uint8_t payload[sizeof(struct vu_region_rw) + VU_MAX_DATA];
	uint32_t got;	     /* bytes of header and payload */
	int fds[VU_MAX_FDS]; /* -1: a handler took it */
	unsigned int n_fds;

	bool agreed; /* on the version */
	bool refuse; /* it cannot be: closed with the reply */
	/* The message under way. */
	bool busy, flushing;
	bool waits_reset;
	const struct vfu_cmd *cmd;
	struct vfu_req req;
	const char *why;     /* it is refused, where the errno does not say it */
	uint32_t reply_size; /* bytes of the reply's payload */
	union {
		struct vu_device_info device_info;
		struct vu_region_info region_info;
		struct vu_irq_info irq_info;
		struct vu_region_rw rw; /* data follow */
		uint8_t bytes[sizeof(struct vu_region_rw) + VU_MAX_DATA];
	} reply;

	/* The way out. */
	bool closing, tearing, irqs_open, out_open;
};

/* Takes over fd. NULL: no memory, fd is closed. */
struct vfu_conn *vfu_conn_new(struct tvq_vfio_user *s, int fd);
/* Ends the connection, for the reason given (NULL: logged already); once. broke: it broke the
 * protocol. */
void vfu_close(struct vfu_conn *c, enum tvq_log_level level, const char *why);
void vfu_broke(struct vfu_conn *c, const char *why);
/* True where its peer has hung up, whether that has been seen yet or not. */
bool vfu_conn_ends(const struct vfu_conn *c);
/* What is done to a socket before it is closed: its peer reads all that was sent, then the end. */
void vfu_hang_up(int fd);
/* Answers the message under way: 0, or -errno. */
void vfu_done(struct vfu_conn *c, int err);
/* Something that the end of the connection may wait for has ended. */
void vfu_left(struct vfu_conn *c);
void vfu_irqs_closed(struct vfu_irqs *irqs);
/* Takes descriptor i of the message: the caller's now. -1: there is none. */
int vfu_take_fd(struct vfu_conn *c, unsigned int i);
int vfu_handle_version(struct vfu_conn *c, const struct vfu_req *req);
/* One line: server, message, what. */
void vfu_log(struct vfu_conn *c, enum tvq_log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* err, with a reason for the log: for what a handler returns. */
static inline int vfu_no(struct vfu_conn *c, int err, const char *why)
{
	c->why = why;
	return err;
}

/* ---- server.c ---- */

struct tvq_vfio_user {
	struct tvq_pci_host host;
	struct tvq_pci *pci;
	struct tvq_loop *loop;
	struct tvq_exec *exec;
	const struct tvq_os *os;
	char *path;
	struct tvq_unix_socket sock;
	struct tvq_watch watch;
	struct tvq_timer retry;
	bool listening, starved;
	struct vfu_conn *conn;
	struct vfu_dma dma;
	struct vfu_irqs irqs;
	struct vfu_out out;
	struct tvq_pci_done reset_done;
	bool resetting;
	bool freeing, last_reset;
	struct tvq_msg free_msg;
	struct tvq_pci_done *freed;
	uint64_t connections, messages, refused;
	uint64_t log_since; /* lines are earned from here on */
	unsigned int log_lines, log_left_out;
};

/* The clock that the timers go by. */
static inline uint64_t vfu_now(const struct tvq_vfio_user *s)
{
	return s->exec->os->now();
}

/* One line that names the server, unless it has written too many (VFU_LOG_BURST); the next one that
 * is written says how many were left out. */
void vfu_say(struct tvq_vfio_user *s, enum tvq_log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* The connection has ended and is freed: listens to the next, or ends. */
void vfu_conn_gone(struct tvq_vfio_user *s);
/* A reset that vfu_reset() began is over. */
void vfu_was_reset(struct tvq_vfio_user *s);

#endif
