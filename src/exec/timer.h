/* SPDX-License-Identifier: BSD-3-Clause */
/* Between exec.c and timer.c; private to src/exec. */
#ifndef TVQ_EXEC_TIMER_H
#define TVQ_EXEC_TIMER_H

#include <stdint.h>

struct tvq_exec;

/*
 * Runs the timers that are due at now (os->now(), nanoseconds); at most as many as are set at the
 * call, so that one which sets itself again at once cannot hold the turn. Returns how many ran.
 */
unsigned int tvq_timers_run(struct tvq_exec *e, uint64_t now);

#endif
