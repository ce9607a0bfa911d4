/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * blkio_client: random requests on a vhost-user block device through libblkio (driver
 * virtio-blk-vhost-user), a client that this project did not write. Prints the same JSON as
 * lean_client.
 *
 * 	blkio_client SOCKET SERVER-PID DEPTH read|write poll|event MILLISECONDS CPU
 *
 * Debian 12 has no libblkio: it is built against the guest root and run by scripts/guest-exec.sh,
 * see bench/run.py.
 */
#include <blkio.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#define LEN	  4096u
#define MAX_DEPTH 256
#define WARM_US	  100000

struct run {
	struct blkio *b;
	struct blkioq *q;
	struct blkio_mem_region mem;
	uint64_t blocks, random, ops, turns;
	int depth;
	bool write, poll;
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

static void must(int ret, const char *what)
{
	if (ret >= 0)
		return;
	fprintf(stderr, "blkio_client: %s: %s (%s)\n", what, blkio_get_error_msg(), strerror(-ret));
	exit(1);
}

static void start(struct run *r, uintptr_t slot)
{
	uint8_t *buf = (uint8_t *)r->mem.addr + slot * LEN;
	uint64_t at;

	r->random ^= r->random << 13;
	r->random ^= r->random >> 7;
	r->random ^= r->random << 17;
	at = ((r->random >> 32) * r->blocks >> 32) * LEN;
	if (r->write)
		blkioq_write(r->q, at, buf, LEN, (void *)slot, 0);
	else
		blkioq_read(r->q, at, buf, LEN, (void *)slot, 0);
}

/* Collects what is done, or (event) waits for some, and starts as much again. */
static void turn(struct run *r)
{
	struct blkio_completion done[64];
	int i, n = blkioq_do_io(r->q, done, r->poll ? 0 : 1, 64, NULL);

	if (n == -EINTR)
		return;
	must(n, "do_io");
	for (i = 0; i < n; i++) {
		must(done[i].ret, "a request");
		start(r, (uintptr_t)done[i].user_data);
	}
	r->ops += (uint64_t)n;
	r->turns += n > 0;
}

static void set_up(struct run *r, const char *path)
{
	must(blkio_create("virtio-blk-vhost-user", &r->b), "create");
	must(blkio_set_str(r->b, "path", path), "path");
	must(blkio_connect(r->b), "connect");
	must(blkio_set_int(r->b, "num-queues", 1), "num-queues");
	must(blkio_start(r->b), "start");
	must(blkio_get_uint64(r->b, "capacity", &r->blocks), "capacity");
	r->blocks /= LEN;
	must(blkio_alloc_mem_region(r->b, &r->mem, (size_t)r->depth * LEN), "memory");
	must(blkio_map_mem_region(r->b, &r->mem), "map");
	memset(r->mem.addr, 1, r->mem.len);
	r->q = blkio_get_queue(r->b, 0);
	if (r->poll)
		blkioq_set_completion_fd_enabled(r->q, false);
}

static void measure(struct run *r, clockid_t server, const struct itimerval *timer)
{
	struct sigaction act = { .sa_handler = on_alarm };
	double begin, end, cpu;
	int i;

	for (i = 0; i < r->depth; i++)
		start(r, (uintptr_t)i);
	sigaction(SIGALRM, &act, NULL);
	setitimer(ITIMER_REAL, timer, NULL);
	while (phase < 1)
		turn(r);
	r->ops = r->turns = 0;
	begin = now(CLOCK_MONOTONIC);
	cpu = now(server);
	while (phase < 2)
		turn(r);
	end = now(CLOCK_MONOTONIC);
	cpu = now(server) - cpu;
	setitimer(ITIMER_REAL, &(struct itimerval){ 0 }, NULL);
	if (!r->ops) {
		fprintf(stderr, "blkio_client: the server finished nothing\n");
		exit(1);
	}
	printf("{\"rate\": %.0f, \"ops\": %llu, \"seconds\": %.4f, \"server_cpu_ns_per_op\": %.1f, "
	       "\"server_cpu\": %.4f, \"ops_per_turn\": %.2f, \"errors\": 0}\n",
	       (double)r->ops / (end - begin), (unsigned long long)r->ops, end - begin,
	       cpu * 1e9 / (double)r->ops, cpu / (end - begin), (double)r->ops / (double)r->turns);
}

int main(int argc, char **argv)
{
	struct run r = { .random = 0x9e3779b97f4a7c15ull };
	struct itimerval timer = { .it_value.tv_usec = WARM_US };
	clockid_t server;
	cpu_set_t set;
	int ms;

	if (argc != 8) {
		fprintf(stderr, "usage: blkio_client SOCKET SERVER-PID DEPTH read|write poll|event "
				"MILLISECONDS CPU\n");
		return 2;
	}
	r.depth = atoi(argv[3]);
	r.write = !strcmp(argv[4], "write");
	r.poll = !strcmp(argv[5], "poll");
	ms = atoi(argv[6]);
	if (r.depth < 1 || r.depth > MAX_DEPTH || ms < 1) {
		fprintf(stderr, "blkio_client: a depth from 1 to %d and a time are needed\n",
			MAX_DEPTH);
		return 2;
	}
	timer.it_interval.tv_sec = ms / 1000;
	timer.it_interval.tv_usec = ms % 1000 * 1000;
	if (clock_getcpuclockid(atoi(argv[2]), &server)) {
		fprintf(stderr, "blkio_client: no process %s\n", argv[2]);
		return 1;
	}
	CPU_ZERO(&set);
	CPU_SET(atoi(argv[7]), &set);
	sched_setaffinity(0, sizeof(set), &set);
	set_up(&r, argv[1]);
	measure(&r, server, &timer);
	blkio_destroy(&r.b);
	return 0;
}
