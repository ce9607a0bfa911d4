/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The management device that a program of libtvq measures, and a client of it: one in this process,
 * or one that another process serves.
 */
#ifndef BENCH_TARGET_H
#define BENCH_TARGET_H

#include <tvq/device.h>
#include <tvq/driver.h>
#include <tvq/loop.h>
#include <tvq/volumes.h>

struct target_cfg {
	const char *bus; /* "vfio-user:PATH"; NULL: in this process. The rest is for that one: */
	enum tvq_maker_kind maker; /* of a volume for each device that names none */
	uint64_t volume_bytes;
	bool worker; /* a thread of its own for data, */
	int cpu;     /* on this CPU (-1: any), */
	bool sleeps; /* which sleeps where nothing is to be done, instead of polling */
};

struct target {
	struct tvq_client *client;
	struct tvq_exec *exec; /* the bus' control executor; the caller's thread is its thread */
	/* The target's own: */
	struct tvq_exec own_exec, *worker_exec;
	struct tvq_loop *loop, *worker;
	struct tvq_volume_pool *pool;
	struct tvq_bus *bus;
};

/* Waits. Ends the program with a sentence where it fails. */
void target_open(struct target *t, const struct target_cfg *cfg);
/* Resets the device, which destroys what was made. Waits. */
void target_close(struct target *t);

/* A turn of the control executor that never sleeps. */
static inline void target_turn(struct target *t)
{
	if (t->loop)
		tvq_loop_turn(t->loop, false);
	else
		tvq_exec_poll(t->exec);
}

/* Ends the program: "PROGRAM: what: strerror(-err)", without the last where err is 0. */
void target_fail(const char *what, int err) __attribute__((noreturn));

#endif
