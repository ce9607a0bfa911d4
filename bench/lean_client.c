/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lean_client: random requests on a vhost-user block device, at a fixed depth, from one CPU.
 *
 * It prints one JSON object: the rate, and the CPU time that the server took meanwhile. With
 * --verify it checks data instead of measuring.
 *
 * Theory of operation. `depth` slots (vu_ring.h) are always in flight. A turn collects what is
 * done, gives each slot its next sector and publishes the lot. Nothing else is in the loop: the
 * clock is a signal that moves `phase` on (warm-up, measuring, end), so the loop makes no system
 * call while it polls. With --event a turn that finds nothing asks for an interrupt and sleeps on
 * the call descriptor.
 */
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/time.h>
#include <time.h>

#include "lean_options.h"
#include "vu_ring.h"
#include "vu_verify.h"

#define BATCH  64u
#define NO_CPU (~0ul)

struct run {
	struct vu_front front;
	struct vu_ring ring;
	uint64_t random, blocks, ops, turns, sleeps, errors;
	uint32_t block_sectors, depth, type;
	bool mix;
	int epoll;
};

static volatile sig_atomic_t phase;

static void on_alarm(int sig)
{
	(void)sig;
	phase++;
}

static double now(clockid_t clock)
{
	struct timespec ts = { 0 };

	clock_gettime(clock, &ts);
	return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

/* Any sector of the span on a boundary of the request's length, without a division. */
VU_INLINE uint64_t next_sector(struct run *r)
{
	r->random ^= r->random << 13;
	r->random ^= r->random >> 7;
	r->random ^= r->random << 17;
	return ((r->random >> 32) * r->blocks >> 32) * r->block_sectors;
}

VU_INLINE void start_one(struct run *r, uint16_t slot, bool packed, bool indirect)
{
	uint64_t sector = next_sector(r);
	uint32_t type = r->mix ? (uint32_t)(r->random & 1) : r->type;

	vu_add(&r->ring, slot, type, sector, packed, indirect);
}

/* Collects what is done and starts as much again. */
VU_INLINE unsigned int turn(struct run *r, bool again, bool packed, bool indirect)
{
	uint16_t done[BATCH];
	unsigned int n = vu_reap(&r->ring, done, BATCH, packed, indirect), i;

	if (!n)
		return 0;
	for (i = 0; i < n; i++) {
		if (__builtin_expect(done[i] >= r->depth, 0)) {
			fprintf(stderr,
				"lean_client: the server used a chain that was not there\n");
			exit(1);
		}
		if (__builtin_expect(r->ring.heads[done[i]].status != VIRTIO_BLK_S_OK, 0))
			r->errors++;
		if (again)
			start_one(r, done[i], packed, indirect);
	}
	if (again)
		vu_publish(&r->ring, packed);
	r->ops += n;
	r->turns++;
	return n;
}

VU_INLINE void wait_for_call(struct run *r, bool packed)
{
	struct epoll_event e;

	if (!vu_arm(&r->ring, packed)) {
		r->sleeps++;
		/* Not for ever: the signal may have come just before. */
		epoll_wait(r->epoll, &e, 1, 100);
	}
	vu_disarm(&r->ring, packed);
}

VU_INLINE void loop(struct run *r, int until, bool packed, bool indirect, bool event)
{
	while (phase < until) {
		unsigned int n = turn(r, true, packed, indirect);

		if (event && !n)
			wait_for_call(r, packed);
		if (!event)
			vu_stay_parked(&r->ring, n, packed);
	}
}

/* One function for each kind of loop, so that none of them asks which kind it is. */
#define LOOP(name, packed, indirect, event)                                                        \
	static __attribute__((noinline)) void name(struct run *r, int until)                       \
	{                                                                                          \
		loop(r, until, packed, indirect, event);                                           \
	}
LOOP(loop_split, false, false, false)
LOOP(loop_split_event, false, false, true)
LOOP(loop_split_indirect, false, true, false)
LOOP(loop_split_indirect_event, false, true, true)
LOOP(loop_packed, true, false, false)
LOOP(loop_packed_event, true, false, true)
LOOP(loop_packed_indirect, true, true, false)
LOOP(loop_packed_indirect_event, true, true, true)

static void (*const loops[2][2][2])(struct run *r, int until) = {
	{ { loop_split, loop_split_event }, { loop_split_indirect, loop_split_indirect_event } },
	{ { loop_packed, loop_packed_event },
	  { loop_packed_indirect, loop_packed_indirect_event } },
};

/* Waits, by polling, until nothing is in flight. -ETIMEDOUT. */
static int drain(struct run *r, const struct options *o)
{
	double limit = now(CLOCK_MONOTONIC) + 5;
	unsigned int left = r->depth;

	vu_disarm(&r->ring, o->vu.packed);
	while (left && now(CLOCK_MONOTONIC) < limit)
		left -= turn(r, false, o->vu.packed, o->vu.indirect);
	return left ? -ETIMEDOUT : 0;
}

static void set_clock(const struct options *o)
{
	struct sigaction act = { .sa_handler = on_alarm };
	struct itimerval t = { .it_value = { .tv_sec = (time_t)(o->warm_ms / 1000),
					     .tv_usec = (suseconds_t)(o->warm_ms % 1000 * 1000) },
			       .it_interval = { .tv_sec = (time_t)(o->ms / 1000),
						.tv_usec = (suseconds_t)(o->ms % 1000 * 1000) } };

	sigaction(SIGALRM, &act, NULL);
	setitimer(ITIMER_REAL, &t, NULL);
}

static int measure(struct run *r, const struct options *o)
{
	void (*go)(struct run *, int) = loops[o->vu.packed][o->vu.indirect][o->event];
	clockid_t server;
	double begin, end, cpu, own;
	uint64_t kicks;
	unsigned int i;
	int err;

	if (clock_getcpuclockid(r->front.server, &server)) {
		fprintf(stderr, "lean_client: no CPU clock of process %d\n", (int)r->front.server);
		return -ESRCH;
	}
	vu_disarm(&r->ring, o->vu.packed);
	for (i = 0; i < r->depth; i++)
		start_one(r, (uint16_t)i, o->vu.packed, o->vu.indirect);
	vu_publish(&r->ring, o->vu.packed);

	set_clock(o);
	go(r, 1);
	kicks = r->ring.kicks;
	r->ops = r->turns = r->sleeps = 0;
	begin = now(CLOCK_MONOTONIC);
	cpu = now(server);
	own = now(CLOCK_PROCESS_CPUTIME_ID);
	go(r, 2);
	end = now(CLOCK_MONOTONIC);
	cpu = now(server) - cpu;
	own = now(CLOCK_PROCESS_CPUTIME_ID) - own;
	setitimer(ITIMER_REAL, &(struct itimerval){ 0 }, NULL);
	kicks = r->ring.kicks - kicks;
	if (!r->ops) {
		fprintf(stderr, "lean_client: the server finished nothing in %lu ms\n", o->ms);
		return -EIO;
	}
	printf("{\"rate\": %.0f, \"ops\": %" PRIu64
	       ", \"seconds\": %.4f, \"server_cpu_ns_per_op\": %.1f, "
	       "\"server_cpu\": %.4f, \"client_cpu\": %.4f, \"ops_per_turn\": %.2f, \"kicks\": "
	       "%" PRIu64 ", \"sleeps\": %" PRIu64 ", \"errors\": %" PRIu64 "}\n",
	       (double)r->ops / (end - begin), r->ops, end - begin, cpu * 1e9 / (double)r->ops,
	       cpu / (end - begin), own / (end - begin), (double)r->ops / (double)r->turns, kicks,
	       r->sleeps, r->errors);
	err = drain(r, o);
	if (err)
		fprintf(stderr, "lean_client: requests were left unanswered\n");
	if (r->errors) {
		fprintf(stderr, "lean_client: %" PRIu64 " requests failed\n", r->errors);
		err = -EIO;
	}
	return err;
}

static int run(const struct options *o)
{
	struct vu_ring_at at;
	struct epoll_event e = { .events = EPOLLIN | EPOLLET };
	struct run r = { .random = 0x9e3779b97f4a7c15ull, .epoll = epoll_create1(EPOLL_CLOEXEC) };
	int err = r.epoll < 0 ? -errno : vu_connect(&r.front, &o->vu);
	uint64_t span;

	if (err)
		return err;
	span = o->span && o->span < r.front.capacity ? o->span : r.front.capacity;
	r.blocks = span / o->len;
	r.block_sectors = (uint32_t)(o->len / 512);
	r.depth = (uint32_t)o->depth;
	r.mix = o->direction == MIX;
	r.type = o->direction == WRITE ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN;
	if (!r.blocks || r.blocks > UINT32_MAX) {
		fprintf(stderr, "lean_client: the span has to hold 1 to 2^32-1 requests\n");
		err = -EINVAL;
	}
	if (!err)
		err = vu_ring_init(&r.ring, &r.front, &o->vu, (uint16_t)o->depth, (uint32_t)o->len,
				   &at);
	if (!err && epoll_ctl(r.epoll, EPOLL_CTL_ADD, r.front.call, &e))
		err = -errno;
	if (!err)
		err = vu_start(&r.front, &at);
	if (!err)
		err = o->verify ? vu_verify(&r.front, &r.ring, &o->vu, (unsigned int)o->depth, span,
					    (unsigned int)o->ms)
				: measure(&r, o);
	if (!err)
		err = vu_stop(&r.front);
	vu_ring_free(&r.ring);
	vu_close(&r.front);
	close(r.epoll);
	return err;
}

static void pin(unsigned long cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set)) {
		fprintf(stderr, "lean_client: --cpu %lu: %s\n", cpu, strerror(errno));
		exit(2);
	}
}

int main(int argc, char **argv)
{
	struct options o;

	options_parse(&o, argc, argv);
	if (o.cpu != NO_CPU)
		pin(o.cpu);
	return run(&o) ? 1 : 0;
}
