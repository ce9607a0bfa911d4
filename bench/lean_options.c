/* SPDX-License-Identifier: BSD-3-Clause */
#include "lean_options.h"

#include <errno.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vu_ring.h"

static void usage(FILE *to)
{
	fputs("usage: lean_client [OPTION...] SOCKET\n"
	      "  --depth N       requests in flight, 1 to 1024 (32)\n"
	      "  --bs BYTES      of a request, a multiple of 512 (4096)\n"
	      "  --rw read|write|mix\n"
	      "  --span BYTES    use the first BYTES of the device only (all)\n"
	      "  --ms T          measure for T milliseconds (1000)\n"
	      "  --warm-ms T     run so long before (100)\n"
	      "  --event         sleep where nothing is done, instead of polling\n"
	      "  --packed        packed ring\n"
	      "  --indirect      indirect descriptors\n"
	      "  --no-event-idx  without VIRTIO_RING_F_EVENT_IDX\n"
	      "  --queue-size N  (the smallest power of two that holds the requests, 128 at "
	      "least)\n"
	      "  --inflight      with an in-flight area\n"
	      "  --mem-slots     share the memory by ADD_MEM_REG\n"
	      "  --hugetlb       memory from 2 MiB pages\n"
	      "  --cpu N         run on that CPU\n"
	      "  --verify        write patterns and check them, for T milliseconds; no figures\n",
	      to);
}

static unsigned long number(const char *name, const char *text, unsigned long min,
			    unsigned long max)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(text, &end, 0);
	if (errno || end == text || *end || *text == '-' || n < min || n > max) {
		fprintf(stderr, "lean_client: --%s '%s': a number from %lu to %lu is needed\n",
			name, text, min, max);
		exit(2);
	}
	return n;
}

static enum direction direction(const char *text)
{
	static const char *const names[] = { "read", "write", "mix" };
	unsigned int i;

	for (i = 0; i < 3; i++) {
		if (!strcmp(text, names[i]))
			return (enum direction)i;
	}
	fprintf(stderr, "lean_client: --rw '%s': it is read, write or mix\n", text);
	exit(2);
}

/* Options without a value, and with a number. */
static const struct {
	const char *name;
	size_t offset; /* of a bool */
} switches[] = {
	{ "event", offsetof(struct options, event) },
	{ "verify", offsetof(struct options, verify) },
	{ "packed", offsetof(struct options, vu.packed) },
	{ "indirect", offsetof(struct options, vu.indirect) },
	{ "no-event-idx", offsetof(struct options, vu.no_event_idx) },
	{ "inflight", offsetof(struct options, vu.inflight) },
	{ "mem-slots", offsetof(struct options, vu.mem_slots) },
	{ "hugetlb", offsetof(struct options, vu.hugetlb) },
};

static const struct {
	const char *name;
	size_t offset; /* of an unsigned long */
	unsigned long min, max;
} numbers[] = {
	{ "depth", offsetof(struct options, depth), 1, MAX_DEPTH },
	{ "bs", offsetof(struct options, len), 512, 1 << 20 },
	{ "span", offsetof(struct options, span), 512, ~0ul },
	{ "ms", offsetof(struct options, ms), 1, 3600000 },
	{ "warm-ms", offsetof(struct options, warm_ms), 1, 3600000 },
	{ "queue-size", offsetof(struct options, queue_size), 1, 32768 },
	{ "cpu", offsetof(struct options, cpu), 0, CPU_SETSIZE - 1 },
};

static bool set_switch(struct options *o, const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(switches) / sizeof(switches[0]); i++) {
		if (!strcmp(name, switches[i].name)) {
			*(bool *)((char *)o + switches[i].offset) = true;
			return true;
		}
	}
	return false;
}

static bool set_value(struct options *o, const char *name, const char *text)
{
	size_t i;

	if (!strcmp(name, "rw")) {
		o->direction = direction(text);
		return true;
	}
	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		if (!strcmp(name, numbers[i].name)) {
			*(unsigned long *)((char *)o + numbers[i].offset) =
				number(name, text, numbers[i].min, numbers[i].max);
			return true;
		}
	}
	return false;
}

/* The ring holds all requests at once. */
static void choose_size(struct options *o)
{
	unsigned long need = o->depth * (o->vu.indirect ? 1 : VU_CHAIN), size = 128;

	while (size < need)
		size *= 2;
	if (!o->queue_size)
		o->queue_size = size;
	if (o->queue_size < need || (!o->vu.packed && o->queue_size & (o->queue_size - 1))) {
		fprintf(stderr,
			"lean_client: --queue-size %lu: at least %lu for %lu requests, and a power "
			"of two for a split ring\n",
			o->queue_size, need, o->depth);
		exit(2);
	}
	o->vu.queue_size = (uint16_t)o->queue_size;
	o->vu.mem_size = vu_ring_memory(o->vu.queue_size, (uint16_t)o->depth, (uint32_t)o->len);
}

void options_parse(struct options *o, int argc, char **argv)
{
	int i;

	*o = (struct options){
		.depth = 32, .len = 4096, .ms = 1000, .warm_ms = 100, .cpu = NO_CPU
	};

	for (i = 1; i < argc; i++) {
		const char *name = argv[i] + 2;

		if (!strcmp(argv[i], "--help")) {
			usage(stdout);
			exit(0);
		}
		if (strncmp(argv[i], "--", 2)) {
			if (o->vu.path)
				break;
			o->vu.path = argv[i];
		} else if (!set_switch(o, name)) {
			if (i + 1 >= argc || !set_value(o, name, argv[i + 1]))
				break;
			i++;
		}
	}
	if (i < argc || !o->vu.path) {
		if (i < argc)
			fprintf(stderr, "lean_client: '%s' is not understood\n", argv[i]);
		usage(stderr);
		exit(2);
	}
	o->len &= ~511ul;
	choose_size(o);
}
