/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What all buses share: waiting.
 */
#include <errno.h>
#include <stddef.h>

#include <tvq/bus.h>

#include "bus.h"

struct wait {
	struct tvq_timer timer;
	bool over;
};

static void time_is_up(struct tvq_timer *t)
{
	((struct wait *)((char *)t - offsetof(struct wait, timer)))->over = true;
}

struct tvq_loop *tvq_bus_loop(const struct tvq_bus *b)
{
	struct tvq_exec *e = b->exec;

	/* Every hosted executor that can sleep is a loop's (tvq/loop.h). */
	return tvq_exec_loop(e);
}

int tvq_bus_wait(struct tvq_bus *b, const bool *flag, uint64_t timeout_ns)
{
	struct tvq_loop *loop = tvq_bus_loop(b);
	struct wait w = { .timer.fn = time_is_up };
	uint64_t deadline;
	bool timed;

	if (*flag)
		return 0;
	deadline = b->exec->os->now() + timeout_ns;
	/* The timer ends a sleep. Without one (no memory) nobody sleeps, and the clock is read
	 * here. */
	timed = tvq_timer_set(b->exec, &w.timer, deadline) == 0;
	do {
		if (loop)
			tvq_loop_turn(loop, timed);
		else
			tvq_exec_poll(b->exec);
		if (!timed)
			w.over = b->exec->os->now() >= deadline;
	} while (!*flag && !w.over);
	tvq_timer_clear(b->exec, &w.timer);
	return *flag ? 0 : -ETIMEDOUT;
}
