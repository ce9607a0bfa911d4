/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memcpy_rate: how many 4 KiB blocks one core copies in a second between random places of a span of
 * memory, in ordinary pages, and `depth` buffers in turn. Prints JSON as lean_client does.
 *
 *	memcpy_rate SPAN-BYTES DEPTH read|write MILLISECONDS CPU
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

#define LEN	4096u
#define WARM_US 100000

static volatile sig_atomic_t phase;

static void on_alarm(int sig)
{
	(void)sig;
	phase++;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

static uint8_t *memory(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED) {
		fprintf(stderr, "memcpy_rate: %zu bytes: %s\n", size, strerror(errno));
		exit(1);
	}
	/* Each page really there, not the zero page. */
	memset(p, 1, size);
	return p;
}

/* Copies until the phase is over; returns how many. */
static uint64_t copy(int until, uint8_t *span, uint64_t blocks, uint8_t *buffers,
		     unsigned int depth, int write)
{
	uint64_t random = 0x9e3779b97f4a7c15ull, n = 0;
	unsigned int i = 0;

	while (phase < until) {
		uint8_t *at, *buffer = buffers + (size_t)i * LEN;

		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		at = span + ((random >> 32) * blocks >> 32) * LEN;
		memcpy(write ? at : buffer, write ? buffer : at, LEN);
		/* The copy is wanted, though nobody looks at it. */
		__asm__ volatile("" : : : "memory");
		i = i + 1 < depth ? i + 1 : 0;
		n++;
	}
	return n;
}

int main(int argc, char **argv)
{
	struct itimerval timer = { .it_value.tv_usec = WARM_US };
	struct sigaction act = { .sa_handler = on_alarm };
	uint64_t blocks, n;
	unsigned int depth;
	uint8_t *span, *buffers;
	cpu_set_t set;
	double begin, t;
	int ms, write;

	if (argc != 6) {
		fprintf(stderr,
			"usage: memcpy_rate SPAN-BYTES DEPTH read|write MILLISECONDS CPU\n");
		return 2;
	}
	blocks = strtoull(argv[1], NULL, 0) / LEN;
	depth = (unsigned int)atoi(argv[2]);
	write = !strcmp(argv[3], "write");
	ms = atoi(argv[4]);
	if (!blocks || blocks > UINT32_MAX || !depth || ms < 1) {
		fprintf(stderr,
			"memcpy_rate: a span of a block at least, a depth and a time are needed\n");
		return 2;
	}
	CPU_ZERO(&set);
	CPU_SET(atoi(argv[5]), &set);
	sched_setaffinity(0, sizeof(set), &set);
	span = memory(blocks * LEN);
	buffers = memory((size_t)depth * LEN);

	timer.it_interval.tv_sec = ms / 1000;
	timer.it_interval.tv_usec = ms % 1000 * 1000;
	sigaction(SIGALRM, &act, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
	copy(1, span, blocks, buffers, depth, write);
	begin = now();
	n = copy(2, span, blocks, buffers, depth, write);
	t = now() - begin;
	printf("{\"rate\": %.0f, \"ops\": %llu, \"seconds\": %.4f, \"server_cpu_ns_per_op\": "
	       "%.1f}\n",
	       (double)n / t, (unsigned long long)n, t, t * 1e9 / (double)n);
	return 0;
}
