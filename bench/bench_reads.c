/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * 4 KiB random reads of a managed block device by libtvq's polling driver, at a fixed depth, over
 * the in-process bus or over virtio-pci:
 *
 *     bench_reads [--bus vfio-user:PATH --server PID] [OPTION...]
 *
 * Without --bus the device is in this process and its data path is a thread of its own, so that
 * both ways have two CPUs. Prints one JSON object: the rate, and the CPU time of the data path's
 * thread (with --bus: of the server) for each request.
 *
 * `depth` requests are always in flight. A turn collects what is done, starts as much again and
 * gives the bus' control executor a turn, which sends notifications.
 */
#include <inttypes.h>
#include <linux/virtio_blk.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#include <tvq/blk.h>

#include "target.h"

#define MAX_DEPTH 128u
#define LEN	  4096u

struct options {
	struct target_cfg target;
	long depth, ms, warm_ms, cpu, server; /* server: a process, 0: none */
	long worker_cpu, mib; /* of the device in this process; mib: of its volume */
	bool fill;
};

struct run {
	struct target target;
	struct tvq_blk *blk;
	struct tvq_blk_req req[MAX_DEPTH], *again[MAX_DEPTH];
	uint64_t random, blocks, ops;
};

static volatile sig_atomic_t phase; /* warm-up, measuring, end */

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

static void aim(struct run *r, struct tvq_blk_req *req)
{
	r->random ^= r->random << 13;
	r->random ^= r->random >> 7;
	r->random ^= r->random << 17;
	req->offset = ((r->random >> 32) * r->blocks >> 32) * LEN;
}

static void start(struct run *r, struct tvq_blk_req *const *req, unsigned int n)
{
	if (tvq_blk_submit(r->blk, 0, req, n) != n)
		target_fail("the queue is full", 0);
}

/* Collects what is done. */
static unsigned int collect(struct run *r)
{
	unsigned int n = tvq_blk_poll(r->blk, 0, r->again, MAX_DEPTH);

	for (unsigned int i = 0; i < n; i++)
		if (r->again[i]->err)
			target_fail("read", r->again[i]->err);
	r->ops += n;
	return n;
}

static void loop(struct run *r, int until)
{
	while (phase < until) {
		unsigned int n = collect(r);

		for (unsigned int i = 0; i < n; i++)
			aim(r, r->again[i]);
		if (n)
			start(r, r->again, n);
		target_turn(&r->target);
	}
}

/* Each page of a RAM volume really there: memory that was never written is one page of zeroes. */
static void fill(struct run *r)
{
	static uint8_t buf[1 << 16];
	uint64_t at, size = tvq_blk_capacity(r->blk);
	int err = 0;

	memset(buf, 0x5a, sizeof(buf));
	for (at = 0; at + sizeof(buf) <= size && !err; at += sizeof(buf))
		err = tvq_blk_write(r->blk, at, buf, sizeof(buf));
	if (err)
		target_fail("write", err);
}

static void set_up(struct run *r, const struct options *o)
{
	struct tvq_create create = { .virtio_device_id = TVQ_TYPE_BLK };
	const struct tvq_blk_cfg cfg = { .queue_size = 4 * MAX_DEPTH };
	struct tvq_blk_req *first[MAX_DEPTH];
	uint64_t iova;
	int err;

	target_open(&r->target, &o->target);
	err = tvq_client_create_call(r->target.client, &create);
	if (err)
		target_fail("CREATE", err);
	r->blk = tvq_blk_new(r->target.client, create.device_id, &cfg, &err);
	if (!r->blk)
		target_fail("block driver", err);
	if (o->fill)
		fill(r);
	r->blocks = tvq_blk_capacity(r->blk) / LEN;
	if (!r->blocks || !tvq_blk_dma_alloc(r->blk, (size_t)o->depth * LEN, &iova))
		target_fail("the volume is too small, or no memory", 0);
	for (long i = 0; i < o->depth; i++) {
		r->req[i] = (struct tvq_blk_req){
			.type = VIRTIO_BLK_T_IN,
			.len = LEN,
			.iova = iova + (uint64_t)i * LEN,
		};
		aim(r, &r->req[i]);
		first[i] = &r->req[i];
	}
	start(r, first, (unsigned int)o->depth);
}

/* CPU time of the other side: another process, or the other thread of this one. */
static double server_cpu(const struct options *o)
{
	clockid_t clock;

	if (!o->server)
		return now(CLOCK_PROCESS_CPUTIME_ID) - now(CLOCK_THREAD_CPUTIME_ID);
	if (clock_getcpuclockid((pid_t)o->server, &clock))
		target_fail("--server: there is no such process", 0);
	return now(clock);
}

static void set_clock(const struct options *o)
{
	struct sigaction act = { .sa_handler = on_alarm };
	struct itimerval t = {
		.it_value = { .tv_sec = o->warm_ms / 1000, .tv_usec = o->warm_ms % 1000 * 1000 },
		.it_interval = { .tv_sec = o->ms / 1000, .tv_usec = o->ms % 1000 * 1000 }
	};

	sigaction(SIGALRM, &act, NULL);
	setitimer(ITIMER_REAL, &t, NULL);
}

static void measure(struct run *r, const struct options *o)
{
	double begin, end, cpu;

	set_clock(o);
	loop(r, 1);
	r->ops = 0;
	begin = now(CLOCK_MONOTONIC);
	cpu = server_cpu(o);
	loop(r, 2);
	end = now(CLOCK_MONOTONIC);
	cpu = server_cpu(o) - cpu;
	setitimer(ITIMER_REAL, &(struct itimerval){ 0 }, NULL);
	if (!r->ops)
		target_fail("no request was finished", 0);
	printf("{\"rate\": %.0f, \"ops\": %" PRIu64
	       ", \"seconds\": %.4f, \"server_cpu_ns_per_op\": %.1f}\n",
	       (double)r->ops / (end - begin), r->ops, end - begin, cpu * 1e9 / (double)r->ops);
}

static void usage(void)
{
	fputs("usage: bench_reads [OPTION...]\n"
	      "  --bus vfio-user:PATH    the device that is served there\n"
	      "  --server PID            by that process\n"
	      "  --depth N               requests in flight, 1 to 128 (32)\n"
	      "  --ms T, --warm-ms T     measure for T milliseconds (1000), run before (100)\n"
	      "  --cpu N                 run on that CPU\n"
	      "  --fill yes              write all of the volume before\n"
	      "Without --bus:\n"
	      "  --volume null|ram       (null)\n"
	      "  --mib N                 its size (256)\n"
	      "  --worker-cpu N          the data path's CPU\n"
	      "  --sleep yes             its thread sleeps where nothing is to be done\n",
	      stderr);
	exit(2);
}

static bool set_number(struct options *o, const char *name, const char *text)
{
	const struct {
		const char *name;
		long *at, min, max;
	} numbers[] = {
		{ "--depth", &o->depth, 1, MAX_DEPTH },
		{ "--ms", &o->ms, 1, 3600000 },
		{ "--warm-ms", &o->warm_ms, 1, 3600000 },
		{ "--cpu", &o->cpu, 0, CPU_SETSIZE - 1 },
		{ "--worker-cpu", &o->worker_cpu, 0, CPU_SETSIZE - 1 },
		{ "--server", &o->server, 1, 1 << 30 },
		{ "--mib", &o->mib, 1, 1 << 20 },
	};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		char *end;

		if (strcmp(name, numbers[i].name) != 0)
			continue;
		*numbers[i].at = strtol(text, &end, 10);
		return *text && !*end && *numbers[i].at >= numbers[i].min &&
		       *numbers[i].at <= numbers[i].max;
	}
	return false;
}

static void parse(struct options *o, int argc, char **argv)
{
	*o = (struct options){ .target = { .maker = TVQ_MAKER_NULL, .worker = true },
			       .depth = 32,
			       .ms = 1000,
			       .warm_ms = 100,
			       .cpu = -1,
			       .worker_cpu = -1,
			       .mib = 256 };
	for (int i = 1; i < argc; i += 2) {
		const char *text = i + 1 < argc ? argv[i + 1] : "";

		if (!strcmp(argv[i], "--bus"))
			o->target.bus = text;
		else if (!strcmp(argv[i], "--fill") && !strcmp(text, "yes"))
			o->fill = true;
		else if (!strcmp(argv[i], "--sleep") && !strcmp(text, "yes"))
			o->target.sleeps = true;
		else if (!strcmp(argv[i], "--volume") && !strcmp(text, "ram"))
			o->target.maker = TVQ_MAKER_RAM;
		else if (!(!strcmp(argv[i], "--volume") && !strcmp(text, "null")) &&
			 !set_number(o, argv[i], text))
			usage();
	}
	if (!o->target.bus != !o->server)
		usage();
	o->target.cpu = (int)o->worker_cpu;
	o->target.volume_bytes = (uint64_t)o->mib << 20;
}

static void pin(long cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((int)cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		target_fail("--cpu: there is no such CPU", 0);
}

int main(int argc, char **argv)
{
	static struct run r = { .random = 0x9e3779b97f4a7c15ull };
	struct options o;

	parse(&o, argc, argv);
	if (o.cpu >= 0)
		pin(o.cpu);
	set_up(&r, &o);
	measure(&r, &o);
	tvq_blk_free(r.blk);
	target_close(&r.target);
	return 0;
}
