/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Executors. An executor owns things (devices, virtqueues, sockets) and runs everything that
 * happens to them, one after the other: messages, pollers, timers. It is polled by one thread at a
 * time: a tvq_loop's (tvq/loop.h), or, in firmware, whoever calls tvq_exec_poll().
 *
 * A turn: messages that others posted, the pollers, timers that are due, and last what was deferred
 * to the turn's end. What one poller does in one turn is bounded.
 *
 * Only tvq_exec_post() may be called from elsewhere; everything else on the executor itself.
 * Freestanding. Nothing here allocates or blocks.
 */
#ifndef TVQ_EXEC_H
#define TVQ_EXEC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <tvq/os.h>

struct tvq_exec;

/* A message; the poster's memory until fn is called, which may post or free it again. */
struct tvq_msg {
	struct tvq_msg *next;
	void (*fn)(struct tvq_msg *m);
};

/*
 * Something that is polled while it is active. An idle one is not on the list and costs nothing.
 *
 *   idle -> active     tvq_poller_activate(): somebody notified
 *   active -> active   poll() did something, or the executor's polling time is not over
 *   active -> idle     polling time over and arm() returned false
 */
struct tvq_poller {
	struct tvq_poller *next, **pprev;
	struct tvq_exec *exec; /* the one that it is active on */
	/* A bounded turn of work. Returns how much it did, 0: nothing was there. */
	unsigned int (*poll)(struct tvq_poller *p);
	/* Asks for a notification; true where there is work all the same: it stays active. */
	bool (*arm)(struct tvq_poller *p);
	uint64_t idle_since; /* 0: it was busy in its last turn; 1: idle, time not taken yet */
};

struct tvq_timer {
	uint64_t when; /* os->now(), nanoseconds */
	void (*fn)(struct tvq_timer *t);
	uint32_t slot; /* place in the heap plus 1; 0: not set */
};

struct tvq_exec_ops {
	/* The executor's thread sleeps and there is something for it. Called on any thread. */
	void (*wake)(struct tvq_exec *e);
};

/* What upper layers keep for each executor: see tvq_exec_local(). */
enum tvq_exec_slot {
	TVQ_EXEC_SLOT_REQUESTS, /* the device layer's pool of requests */
	TVQ_EXEC_SLOT_VOLUMES,	/* open volume channels */
	TVQ_EXEC_SLOT_BOUNCE,	/* src/volume: bounce buffers */
	TVQ_EXEC_SLOT_NET,	/* network queues: what one batch needs */
	TVQ_EXEC_SLOTS,
};

struct tvq_exec_local {
	/* Called on the executor as it ends. */
	void (*release)(struct tvq_exec_local *l);
};

struct tvq_exec {
	_Atomic(struct tvq_msg *) inbox __attribute__((aligned(64)));
	atomic_bool asleep;

	const struct tvq_os *os __attribute__((aligned(64)));
	const struct tvq_exec_ops *ops;
	uint64_t poll_ns; /* how long an idle poller stays; UINT64_MAX: for ever */
	struct tvq_poller *active;
	struct tvq_poller *cursor;  /* of a walk under way: the next one, */
	struct tvq_poller *current; /* and the one that is called, NULL once it is removed */
	unsigned int clock_credit;  /* turns left before the clock is read again */
	struct tvq_msg *late_head, **late_tail;
	struct tvq_timer **timers; /* a heap; grows by os->alloc */
	uint32_t n_timers, cap_timers;
	struct tvq_exec_local *local[TVQ_EXEC_SLOTS];
};

/* os and ops must outlive e. ops may be NULL where nobody ever sleeps. Cannot fail. */
void tvq_exec_init(struct tvq_exec *e, const struct tvq_os *os, const struct tvq_exec_ops *ops,
		   uint64_t poll_ns);
/*
 * Releases the locals, last slot first, and the timers' memory. No poller may be active, no message
 * be on its way, and every tvq_exec_post() must have returned.
 */
void tvq_exec_fini(struct tvq_exec *e);

/*
 * Any thread, or a signal handler. Messages of one poster arrive in order; m must not be posted
 * anywhere yet. Costs one atomic exchange unless e sleeps. Never blocks.
 */
void tvq_exec_post(struct tvq_exec *e, struct tvq_msg *m);

/* Runs m->fn at the end of this turn (or of the next, when called outside one). */
void tvq_exec_late(struct tvq_exec *e, struct tvq_msg *m);

/*
 * Both idempotent, and allowed anywhere on the executor, in poll() and arm() too, for any poller.
 * One that is activated is polled in the next turn at the latest. The caller keeps p, which must be
 * zeroed but for its functions before its first use, and must be removed before it is freed.
 */
void tvq_poller_activate(struct tvq_exec *e, struct tvq_poller *p);
void tvq_poller_remove(struct tvq_poller *p);
static inline bool tvq_poller_active(const struct tvq_poller *p)
{
	return p->pprev != NULL;
}

/*
 * (Re)sets a timer: t->fn runs once, in the first turn that sees the clock at or past when. On an
 * executor that is never idle the clock is read every few turns only. t must be zeroed but for fn
 * before its first use. Timers of the same time run in no particular order. -ENOMEM: as before the
 * call; never for a timer that is set already.
 */
int tvq_timer_set(struct tvq_exec *e, struct tvq_timer *t, uint64_t when);
/* Idempotent; on return fn is not called any more. */
void tvq_timer_clear(struct tvq_exec *e, struct tvq_timer *t);

/* One turn. Returns how much was done; 0: nothing. */
unsigned int tvq_exec_poll(struct tvq_exec *e);

/*
 * May its thread sleep? 0: no, there is or may be work. Else the time, by os->now(), at which a
 * timer is due (perhaps past; UINT64_MAX: none), and e is marked asleep: whoever posts calls
 * ops->wake, once. The thread calls tvq_exec_awake() when it is up again. To be called after a turn
 * that did nothing. Pollers whose polling time is over (poll_ns 0: all that were idle) are armed
 * here.
 */
uint64_t tvq_exec_sleep(struct tvq_exec *e);
void tvq_exec_awake(struct tvq_exec *e);

#endif
