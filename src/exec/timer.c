/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Timers: a binary heap of pointers, the earliest first. Each timer knows its place (slot, counted
 * from 1), so that setting it again and clearing it take O(log n) without a search.
 */
#include <stddef.h>
#include <string.h>

#include <linux/errno.h>

#include <tvq/exec.h>

#include "timer.h"

#define FIRST_CAPACITY 16

static void place(struct tvq_exec *e, struct tvq_timer *t, uint32_t i)
{
	e->timers[i] = t;
	t->slot = i + 1;
}

/* t belongs at place i or nearer to the root. */
static void sift_up(struct tvq_exec *e, struct tvq_timer *t, uint32_t i)
{
	while (i > 0) {
		uint32_t parent = (i - 1) / 2;

		if (e->timers[parent]->when <= t->when)
			break;
		place(e, e->timers[parent], i);
		i = parent;
	}
	place(e, t, i);
}

/* t belongs at place i or further from the root. */
static void sift_down(struct tvq_exec *e, struct tvq_timer *t, uint32_t i)
{
	for (;;) {
		uint32_t child = 2 * i + 1;

		if (child >= e->n_timers)
			break;
		if (child + 1 < e->n_timers && e->timers[child + 1]->when < e->timers[child]->when)
			child++;
		if (t->when <= e->timers[child]->when)
			break;
		place(e, e->timers[child], i);
		i = child;
	}
	place(e, t, i);
}

static void settle(struct tvq_exec *e, struct tvq_timer *t, uint32_t i)
{
	if (i > 0 && t->when < e->timers[(i - 1) / 2]->when)
		sift_up(e, t, i);
	else
		sift_down(e, t, i);
}

static int grow(struct tvq_exec *e)
{
	uint32_t cap = e->cap_timers ? 2 * e->cap_timers : FIRST_CAPACITY;
	struct tvq_timer **timers = e->os->alloc(cap * sizeof(*timers));

	if (!timers)
		return -ENOMEM;
	if (e->timers) {
		memcpy(timers, e->timers, e->n_timers * sizeof(*timers));
		e->os->free(e->timers, e->cap_timers * sizeof(*timers));
	}
	e->timers = timers;
	e->cap_timers = cap;
	return 0;
}

int tvq_timer_set(struct tvq_exec *e, struct tvq_timer *t, uint64_t when)
{
	int err;

	if (t->slot) {
		t->when = when;
		settle(e, t, t->slot - 1);
		return 0;
	}
	if (e->n_timers == e->cap_timers) {
		err = grow(e);
		if (err)
			return err;
	}
	t->when = when;
	sift_up(e, t, e->n_timers++);
	return 0;
}

void tvq_timer_clear(struct tvq_exec *e, struct tvq_timer *t)
{
	uint32_t i = t->slot - 1;
	struct tvq_timer *last;

	if (!t->slot)
		return;
	t->slot = 0;
	last = e->timers[--e->n_timers];
	if (last != t)
		settle(e, last, i);
}

unsigned int tvq_timers_run(struct tvq_exec *e, uint64_t now)
{
	unsigned int max = e->n_timers, done = 0;

	while (done < max && e->n_timers && e->timers[0]->when <= now) {
		struct tvq_timer *t = e->timers[0];

		tvq_timer_clear(e, t);
		done++;
		t->fn(t);
	}
	return done;
}
