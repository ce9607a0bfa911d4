/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A virtqueue of a device. It has two halves. The control half belongs to the control executor:
 * what the driver set by commands. The worker half belongs to the worker while the queue is with
 * it, and to the control executor otherwise; it is handed over by messages.
 *
 *   AWAY      with the control executor; nothing is under way.
 *             -> THERE by tvq_vq_serve(): enabled, DRIVER_OK, not NEEDS_RESET (TQ-070)
 *   THERE     with its worker, which takes and uses chains.
 *             -> LEAVING by tvq_vq_withdraw(): ENABLE 0, RESET, device reset, destroy, NEEDS_RESET
 *   LEAVING   the worker takes nothing more, finishes what it took, says so.
 *             -> AWAY by a message; the position is the queue's again
 */
#ifndef TVQ_DEVICE_VQ_H
#define TVQ_DEVICE_VQ_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <tvq/dma.h>
#include <tvq/exec.h>
#include <virtio_transportq.h>

#include "device/platform.h"
#include "ring/ring.h"

struct tvq_device;
struct tvq_vq;

/* The MSI of a queue or of the configuration (4.6). */
struct tvq_msi {
	uint64_t addr;
	uint32_t data;
	bool set, enabled, masked, pending;
	struct tvq_msi_target *target; /* NULL: memory */
};

enum tvq_msi_verb { TVQ_MSI_SET_PAIR, TVQ_MSI_SET_ENABLE, TVQ_MSI_SET_MASK };

/* One change of it. */
struct tvq_msi_op {
	enum tvq_msi_verb verb;
	uint8_t value;
	uint32_t data;
	uint64_t addr;
	struct tvq_msi_target *target; /* in: the new one; out: the one to release */
};

/* TQ-132, in the order of the answer. Written by the queue's executor, read by any. */
enum tvq_vq_stat {
	TVQ_STAT_NOTIFICATIONS,
	TVQ_STAT_INTERRUPTS,
	TVQ_STAT_TAKEN,
	TVQ_STAT_USED,
	TVQ_STAT_BYTES_READ,
	TVQ_STAT_BYTES_WRITTEN,
	TVQ_STAT_ERRORS,
	TVQ_STAT_DROPS,
	TVQ_VQ_STATS,
};

struct tvq_vq_stats {
	uint64_t v[TVQ_VQ_STATS];
};

static inline void tvq_vq_count(struct tvq_vq_stats *st, enum tvq_vq_stat what, uint64_t n)
{
	__atomic_store_n(&st->v[what], st->v[what] + n, __ATOMIC_RELAXED);
}

enum tvq_vq_place { TVQ_VQ_AWAY, TVQ_VQ_THERE, TVQ_VQ_LEAVING };

/* Which executor a queue is with while it is THERE. */
enum tvq_vq_where {
	TVQ_VQ_ANY_WORKER, /* the worker that has the fewest queues */
	TVQ_VQ_SWITCH,	   /* the worker of the management device's switch */
	TVQ_VQ_CONTROL,	   /* the control executor */
};

/* What a device type does on a queue, on the queue's worker. */
struct tvq_vq_ops {
	enum tvq_vq_where where;
	/*
	 * The queue is not polled, and its driver's notifications are not wanted: others look for
	 * buffers when they have something to put there (tvq_vq_ready()). No work() then.
	 */
	bool passive;
	/* Takes and works on chains, a bounded number. Returns how many; a ring error ends in
	 * tvq_vq_broken(). */
	unsigned int (*work)(struct tvq_vq *vq);
	/* Optional: the queue comes to and leaves this worker. enter: 0 or -errno, which breaks the
	 * device. */
	int (*enter)(struct tvq_vq *vq);
	void (*leave)(struct tvq_vq *vq);
};

struct tvq_vq {
	/* Worker half: the data path first. */
	struct tvq_poller poller;
	struct tvq_ring ring;
	struct tvq_dma_view view;
	struct tvq_dma_view inflight_view;
	const struct tvq_vq_ops *ops;
	void *type_data; /* the type's, from enter to leave */
	struct tvq_device *dev;
	struct tvq_exec *worker;
	uint32_t in_flight;		/* chains taken and not yet used */
	uint32_t lost_seen;		/* tvq_dma_lost_count when last looked */
	bool running;			/* takes chains */
	bool paused;			/* an area is not mapped now */
	bool leaving;			/* control waits for in_flight to be 0 */
	bool syncing, syncing_inflight; /* an address space waits for it */
	bool broken;
	bool starved;	  /* work() has no means to go on: until tvq_vq_feed() */
	bool always_poll; /* the platform's: has no other notification */
	bool flush_late;  /* completions wait for the turn's end */
	struct tvq_msi msi;
	struct tvq_msg late_msg, left_msg, broken_msg, irq_msg, synced_msg, synced_inflight_msg;
	atomic_bool irq_posted;
	const char *broken_why;
	struct tvq_vq_stats stats;

	/* Control half. */
	enum tvq_vq_place place;
	uint16_t index; /* as the driver names it; see tvq_device_vq() */
	uint16_t size;
	uint16_t avail_idx, used_idx;
	bool enabled, has_addr;
	bool resetting; /* the outermost device's: cleared once it is AWAY */
	uint64_t desc, driver, device;
	struct tvq_space *space; /* VQ_ASID; NULL: the device's */
	struct tvq_space *inflight_space;
	uint64_t inflight_addr;
	uint32_t inflight_size;
	void *shadow; /* the ring's, while enabled with an in-flight area */
	uint32_t shadow_bytes;
	uint32_t worker_slot;
	struct tvq_dma_user user, inflight_user;
	struct tvq_space *user_space;		/* whose user it is, while enabled */
	bool sync_wanted, sync_inflight_wanted; /* came while LEAVING */
	struct tvq_msg enter_msg, leave_msg, sync_msg, sync_inflight_msg, kick_msg, op_msg,
		opped_msg;
	atomic_bool kicked;
	struct tvq_msi_op op;
	bool op_out;	    /* op is on its way to the worker and back */
	bool left_waits;    /* the queue has left; AWAY when op is back */
	void *op_cmd;	    /* the command that waits for op; NULL: given up */
	uint64_t pair_addr; /* the MSI's pair as last acked: what control writes by */
	uint32_t pair_data;
	void *kick; /* the platform's */
};

/* ---- control half (vq.c): on the control executor ---- */
void tvq_vq_init(struct tvq_vq *vq, struct tvq_device *dev, const struct tvq_vq_ops *ops);
/* Back to what TQ-067 says; AWAY. keep_msi: TQ-086. */
void tvq_vq_clear(struct tvq_vq *vq, bool keep_msi);
struct tvq_space *tvq_vq_space(const struct tvq_vq *vq);
int tvq_vq_set_addr(struct tvq_vq *vq, uint64_t desc, uint64_t driver, uint64_t device);
int tvq_vq_set_size(struct tvq_vq *vq, uint16_t size);
/* Validates and starts the ring (TQ-094); served by tvq_vq_serve(). */
int tvq_vq_enable(struct tvq_vq *vq);
/* The ring is given up; AWAY. */
void tvq_vq_disable(struct tvq_vq *vq);
void tvq_vq_serve(struct tvq_vq *vq);
/* Idempotent; tvq_device_progress() is called when it is AWAY. */
void tvq_vq_withdraw(struct tvq_vq *vq);
/* The driver wrote to the notification area. */
void tvq_vq_notify(struct tvq_vq *vq);

/* ---- worker half (vq_worker.c): on the queue's worker ---- */
void tvq_vq_worker_init(struct tvq_vq *vq);
/* The queue's notification arrived on its worker. */
void tvq_vq_kick_local(struct tvq_vq *vq);
/* For the platform: see vq_leave. */
void tvq_vq_left(struct tvq_vq *vq);
/* The ring's or the driver's fault: nothing more is taken; the device becomes NEEDS_RESET (TQ-025).
 */
void tvq_vq_broken(struct tvq_vq *vq, const char *why);
/* A chain is used. Published by tvq_vq_publish(), or at the turn's end by tvq_vq_publish_late(). */
static inline void tvq_vq_used(struct tvq_vq *vq, const struct tvq_chain *c, uint32_t written)
{
	tvq_ring_add_used(&vq->ring, c, written);
	tvq_vq_count(&vq->stats, TVQ_STAT_USED, 1);
	vq->in_flight--;
}
/* For work(): what it set starved for is there again. */
void tvq_vq_feed(struct tvq_vq *vq);
void tvq_vq_publish(struct tvq_vq *vq);
void tvq_vq_publish_late(struct tvq_vq *vq);
/* For passive queues: chains may be taken now. */
bool tvq_vq_ready_slow(struct tvq_vq *vq);
static inline bool tvq_vq_ready(struct tvq_vq *vq)
{
	if (__builtin_expect(!vq->running, 0))
		return false;
	if (__builtin_expect(atomic_load_explicit(&tvq_dma_lost_count, memory_order_relaxed) !=
				     vq->lost_seen,
			     0))
		return tvq_vq_ready_slow(vq);
	return true;
}
/* Takes chains; counts them as in flight. 0 also where the ring broke. */
unsigned int tvq_vq_take(struct tvq_vq *vq, struct tvq_chain *const *c, unsigned int n);
/* The fast halves of take and used: see tvq_ring_take_bufs(). 0 where it does not apply. */
static inline unsigned int tvq_vq_take_bufs(struct tvq_vq *vq, struct tvq_buf *b, unsigned int n,
					    bool write)
{
	n = tvq_ring_take_bufs(&vq->ring, b, n, write);
	vq->in_flight += n;
	tvq_vq_count(&vq->stats, TVQ_STAT_TAKEN, n);
	return n;
}
static inline void tvq_vq_untake_bufs(struct tvq_vq *vq, unsigned int n)
{
	tvq_ring_untake_bufs(&vq->ring, n);
	vq->in_flight -= n;
	tvq_vq_count(&vq->stats, TVQ_STAT_TAKEN, 0 - (uint64_t)n);
}
static inline void tvq_vq_used_bufs(struct tvq_vq *vq, const struct tvq_buf *b,
				    const uint32_t *written, unsigned int n)
{
	tvq_ring_add_used_bufs(&vq->ring, b, written, n);
	tvq_vq_count(&vq->stats, TVQ_STAT_USED, n);
	vq->in_flight -= n;
}
/* Gives back the one that was taken last. Not with an in-flight area. */
static inline void tvq_vq_untake(struct tvq_vq *vq, const struct tvq_chain *c)
{
	tvq_ring_untake(&vq->ring, c);
	tvq_vq_count(&vq->stats, TVQ_STAT_TAKEN, UINT64_MAX);
	vq->in_flight--;
}

/* ---- MSI (msi.c) ---- */
/* On the executor that has the queue. */
void tvq_vq_interrupt(struct tvq_vq *vq);
/* Applies op on the queue's executor; cmd is completed then, perhaps before the return. Returns
 * true where it has been applied at once (cmd is the caller's to complete). */
bool tvq_vq_msi_change(struct tvq_vq *vq, const struct tvq_msi_op *op, void *cmd);
void tvq_vq_msi_drop(struct tvq_vq *vq);
void tvq_device_msi_change(struct tvq_device *dev, const struct tvq_msi_op *op);
void tvq_device_msi_drop(struct tvq_device *dev);
/* Configuration interrupt (TQ-071, TQ-079). */
void tvq_device_interrupt(struct tvq_device *dev);
void tvq_vq_msi_init(struct tvq_vq *vq);

#endif
