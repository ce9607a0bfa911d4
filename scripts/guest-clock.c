/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Prints the frequency of this machine's time stamp counter in kHz, for guest-clock.sh.
 *
 * Counter and clock are read a while apart, both times as often as it takes to have them together:
 * a reading that was interrupted in between is worth nothing.
 */
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>

#define READINGS 50
#define APART_NS 20000000

struct moment {
	uint64_t ns, ticks;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* The one of several readings that took least. */
static struct moment moment(void)
{
	struct moment best = { 0, 0 };
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < READINGS; i++) {
		uint64_t before = __rdtsc(), ns = now_ns(), after = __rdtsc();

		if (after - before < least) {
			least = after - before;
			best.ns = ns;
			best.ticks = before + least / 2;
		}
	}
	return best;
}

int main(void)
{
	struct moment from = moment(), to;

	nanosleep(&(struct timespec){ .tv_nsec = APART_NS }, NULL);
	to = moment();
	printf("%.0f\n", (double)(to.ticks - from.ticks) / (double)(to.ns - from.ns) * 1e6);
	return 0;
}
