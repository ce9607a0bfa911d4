/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Executors, the core. Theory of operation.
 *
 * The inbox is a stack that any thread pushes to and the executor takes as a whole: with nobody
 * popping single entries there is no ABA problem. What was taken is reversed, so that messages of
 * one poster arrive in the order in which they were posted.
 *
 * Sleeping. The poster pushes, then looks at asleep; the executor sets asleep, then looks at the
 * inbox. Both do it in sequentially consistent operations, so at least one of them sees the other,
 * and no message waits for a sleeper. The poster that turns asleep from true to false is the one
 * that wakes: one wake per sleep, however many post.
 *
 * The clock is read as rarely as it can be, since a read costs more than an empty turn. It serves
 * two things: timers, and finding out that a poller has been idle for its polling time. A turn
 * takes some of clock_credit, an idle one more than a busy one, and the clock is read when the
 * credit is used up. With no timer set and no poller idle it is not read at all.
 *
 * Lists are walked with a cursor in the executor that removal moves on: a poller may remove any
 * poller, itself or the next one included.
 */
#include <tvq/exec.h>

#include "timer.h"

/*
 * Credit of the clock: at most this many busy turns, a quarter of it in idle ones, between two
 * reads.
 */
#define CLOCK_CREDIT 32
#define CREDIT_BUSY  1
#define CREDIT_IDLE  4

/* In idle_since: idle, but the clock has not been read since. */
#define IDLE_SINCE_UNKNOWN 1

void tvq_exec_init(struct tvq_exec *e, const struct tvq_os *os, const struct tvq_exec_ops *ops,
		   uint64_t poll_ns)
{
	*e = (struct tvq_exec){
		.os = os,
		.ops = ops,
		.poll_ns = poll_ns,
		.clock_credit = CLOCK_CREDIT,
	};
	atomic_init(&e->inbox, NULL);
	atomic_init(&e->asleep, false);
	e->late_tail = &e->late_head;
}

void tvq_exec_fini(struct tvq_exec *e)
{
	for (unsigned int i = TVQ_EXEC_SLOTS; i-- > 0;) {
		struct tvq_exec_local *l = e->local[i];

		e->local[i] = NULL;
		if (l)
			l->release(l);
	}
	for (uint32_t i = 0; i < e->n_timers; i++)
		e->timers[i]->slot = 0;
	if (e->timers)
		e->os->free(e->timers, e->cap_timers * sizeof(*e->timers));
	e->timers = NULL;
	e->n_timers = 0;
	e->cap_timers = 0;
}

/* Messages */

void tvq_exec_post(struct tvq_exec *e, struct tvq_msg *m)
{
	struct tvq_msg *head = atomic_load_explicit(&e->inbox, memory_order_relaxed);

	do {
		m->next = head;
	} while (!atomic_compare_exchange_weak_explicit(&e->inbox, &head, m, memory_order_seq_cst,
							memory_order_relaxed));
	/* Pairs with tvq_exec_sleep(): the push is before this look, the mark before its look. */
	if (atomic_load_explicit(&e->asleep, memory_order_seq_cst) &&
	    atomic_exchange_explicit(&e->asleep, false, memory_order_seq_cst) && e->ops)
		e->ops->wake(e);
}

static unsigned int run_inbox(struct tvq_exec *e)
{
	/* Acquire: pairs with the push, the poster's writes to its message are visible. */
	struct tvq_msg *taken = atomic_exchange_explicit(&e->inbox, NULL, memory_order_acquire);
	struct tvq_msg *m = NULL;
	unsigned int done = 0;

	while (taken) {
		struct tvq_msg *next = taken->next;

		taken->next = m;
		m = taken;
		taken = next;
	}
	while (m) {
		struct tvq_msg *next = m->next;

		m->fn(m);
		m = next;
		done++;
	}
	return done;
}

void tvq_exec_late(struct tvq_exec *e, struct tvq_msg *m)
{
	m->next = NULL;
	*e->late_tail = m;
	e->late_tail = &m->next;
}

/* What is deferred meanwhile is for the next turn. */
static unsigned int run_late(struct tvq_exec *e)
{
	struct tvq_msg *m = e->late_head;
	unsigned int done = 0;

	e->late_head = NULL;
	e->late_tail = &e->late_head;
	while (m) {
		struct tvq_msg *next = m->next;

		m->fn(m);
		m = next;
		done++;
	}
	return done;
}

/* Pollers */

void tvq_poller_activate(struct tvq_exec *e, struct tvq_poller *p)
{
	p->idle_since = 0;
	if (p->pprev)
		return;
	p->exec = e;
	p->next = e->active;
	p->pprev = &e->active;
	if (p->next)
		p->next->pprev = &p->next;
	e->active = p;
}

void tvq_poller_remove(struct tvq_poller *p)
{
	struct tvq_exec *e = p->exec;

	if (!p->pprev)
		return;
	if (e->cursor == p)
		e->cursor = p->next;
	if (e->current == p)
		e->current = NULL;
	*p->pprev = p->next;
	if (p->next)
		p->next->pprev = p->pprev;
	p->next = NULL;
	p->pprev = NULL;
}

/*
 * Returns the work done; *idle is set where a poller had none. A poller that removed itself may
 * have been freed and is not looked at again.
 */
static unsigned int run_pollers(struct tvq_exec *e, bool *idle)
{
	unsigned int done = 0;

	e->cursor = e->active;
	while (e->cursor) {
		struct tvq_poller *p = e->cursor;
		unsigned int n;

		e->cursor = p->next;
		e->current = p;
		n = p->poll(p);
		done += n;
		if (!e->current)
			continue;
		if (n) {
			p->idle_since = 0;
		} else {
			*idle = true;
			if (!p->idle_since)
				p->idle_since = IDLE_SINCE_UNKNOWN;
		}
	}
	e->current = NULL;
	return done;
}

/* True where the poller's polling time is over. now is not used with a polling time of 0. */
static bool poller_expired(const struct tvq_exec *e, struct tvq_poller *p, uint64_t now)
{
	if (!p->idle_since)
		return false;
	if (!e->poll_ns)
		return true;
	if (p->idle_since == IDLE_SINCE_UNKNOWN) {
		p->idle_since = now;
		return false;
	}
	return now - p->idle_since >= e->poll_ns;
}

/* Arms the pollers whose time is over; those that find nothing leave. */
static void sweep_pollers(struct tvq_exec *e, uint64_t now)
{
	e->cursor = e->active;
	while (e->cursor) {
		struct tvq_poller *p = e->cursor;

		e->cursor = p->next;
		if (!poller_expired(e, p, now))
			continue;
		e->current = p;
		if (p->arm(p)) {
			if (e->current)
				p->idle_since = 0;
		} else if (e->current) {
			tvq_poller_remove(p);
		}
	}
	e->current = NULL;
}

/* Turns */

static bool clock_due(struct tvq_exec *e, unsigned int cost)
{
	if (e->clock_credit > cost) {
		e->clock_credit -= cost;
		return false;
	}
	e->clock_credit = CLOCK_CREDIT;
	return true;
}

/*
 * Timers and pollers that leave. Where no poller is active the turn is not one of many that follow
 * each other closely, and the clock is read each time.
 */
static unsigned int run_clock(struct tvq_exec *e, bool idle)
{
	bool leaving = idle && e->poll_ns != UINT64_MAX;
	unsigned int done = 0;
	uint64_t now = 0;

	if (e->active && !clock_due(e, idle ? CREDIT_IDLE : CREDIT_BUSY))
		return 0;
	if (e->n_timers || e->poll_ns)
		now = e->os->now();
	if (e->n_timers)
		done = tvq_timers_run(e, now);
	if (leaving)
		sweep_pollers(e, now);
	return done;
}

unsigned int tvq_exec_poll(struct tvq_exec *e)
{
	unsigned int done = 0;
	bool idle = false;

	/*
	 * Relaxed: a message that is missed here is seen in the next turn, or by tvq_exec_sleep().
	 */
	if (atomic_load_explicit(&e->inbox, memory_order_relaxed))
		done += run_inbox(e);
	if (e->active)
		done += run_pollers(e, &idle);
	if (e->n_timers || (idle && e->poll_ns != UINT64_MAX))
		done += run_clock(e, idle);
	if (e->late_head)
		done += run_late(e);
	return done;
}

uint64_t tvq_exec_sleep(struct tvq_exec *e)
{
	if (e->active && !e->poll_ns)
		sweep_pollers(e, 0);
	if (e->active || e->late_head)
		return 0;
	atomic_store_explicit(&e->asleep, true, memory_order_seq_cst);
	/* Pairs with tvq_exec_post(). */
	if (atomic_load_explicit(&e->inbox, memory_order_seq_cst)) {
		atomic_store_explicit(&e->asleep, false, memory_order_relaxed);
		return 0;
	}
	/* 0 has a meaning of its own here, and a timer at 0 is due at 1 as well. */
	if (e->n_timers)
		return e->timers[0]->when ? e->timers[0]->when : 1;
	return UINT64_MAX;
}

void tvq_exec_awake(struct tvq_exec *e)
{
	atomic_store_explicit(&e->asleep, false, memory_order_relaxed);
	e->clock_credit = 0;
}
