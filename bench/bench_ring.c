/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a virtqueue costs on one core: the driver half fills batches of 32 block requests (16 bytes
 * out, 4096 and 1 in), the device half takes and returns them. Each half is timed alone,
 * cache-warm. One JSON line for each figure: the median of many short rounds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "ring/driver_ring.h"
#include "ring/ring.h"

#define BATCH	   32
#define SIZE	   256
#define PER_CHAIN  3
#define BATCHES	   2000 /* a round */
#define ROUNDS	   51
#define DATA_IOVA  0x100000000ull
#define DATA_BYTES (BATCH * 8192ull)
#define AREA_IOVA  0x200000000ull

struct setup {
	const char *name;
	bool packed, event_idx, indirect, inflight;
};

struct bench {
	struct tvq_drv_ring *drv;
	struct tvq_ring ring;
	struct tvq_dma_view view;
	struct tvq_chain chain[BATCH], *chains[BATCH];
	struct tvq_seg seg[BATCH][8];
	struct tvq_sg sg[BATCH][PER_CHAIN];
	double driver_ns, device_ns; /* of the last round, for a chain */
};

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void *pages(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (p == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	return p;
}

static void fail(const char *what)
{
	fprintf(stderr, "bench_ring: %s\n", what);
	exit(1);
}

static struct tvq_dma_table *make_table(void *ring, uint64_t ring_bytes, void *area,
					uint64_t area_bytes)
{
	const uint32_t rw = TVQ_DMA_READ | TVQ_DMA_WRITE;
	struct tvq_dma_table *t = calloc(1, sizeof(*t) + 2 * sizeof(t->r[0]));

	if (!t)
		fail("no memory");
	/* Ring and payload in one region, as a guest's memory is. */
	t->n = area_bytes ? 2 : 1;
	t->r[0] =
		(struct tvq_region){ .iova = DATA_IOVA, .len = ring_bytes, .va = ring, .perm = rw };
	t->r[1] =
		(struct tvq_region){ .iova = AREA_IOVA, .len = area_bytes, .va = area, .perm = rw };
	return t;
}

static void open_bench(struct bench *b, const struct setup *s)
{
	uint64_t ring_bytes = tvq_drv_ring_bytes(s->packed, SIZE, s->indirect ? PER_CHAIN : 0);
	uint64_t area_bytes = s->inflight ? tvq_inflight_bytes(s->packed, SIZE) : 0;
	struct tvq_drv_ring_cfg drv_cfg = {
		.packed = s->packed,
		.event_idx = s->event_idx,
		.indirect = s->indirect,
		.size = SIZE,
	};
	struct tvq_ring_cfg cfg = {
		.packed = s->packed,
		.event_idx = s->event_idx,
		.indirect = s->indirect,
		.size = SIZE,
		.avail_idx = s->packed ? 0x8000 : 0,
		.used_idx = s->packed ? 0x8000 : 0,
		.inflight = AREA_IOVA,
		.inflight_size = (uint32_t)area_bytes,
		.inflight_shadow = s->inflight ? malloc(tvq_inflight_shadow_bytes(s->packed, SIZE))
					       : NULL,
	};
	struct tvq_dma_view *area_view = calloc(1, sizeof(*area_view));
	uint8_t *mem = pages(DATA_BYTES + ring_bytes);
	unsigned int i;

	memset(b, 0, sizeof(*b));
	if (!area_view)
		fail("no memory");
	drv_cfg.mem = mem + DATA_BYTES;
	drv_cfg.iova = DATA_IOVA + DATA_BYTES;
	b->drv = tvq_drv_ring_new(&tvq_os_host, &drv_cfg, s->indirect ? PER_CHAIN : 0);
	if (!b->drv)
		fail("no driver half");
	tvq_drv_ring_areas(b->drv, &cfg.desc, &cfg.driver, &cfg.device);
	b->view.table =
		make_table(mem, DATA_BYTES + ring_bytes, pages(area_bytes + 4096), area_bytes);
	b->view.last = &b->view.table->r[0];
	*area_view = b->view;
	if (tvq_ring_start(&b->ring, &cfg, &b->view, area_view))
		fail("the device half does not start");
	tvq_ring_notify_off(&b->ring);
	tvq_drv_ring_interrupts_off(b->drv);
	for (i = 0; i < BATCH; i++) {
		b->chain[i].seg = b->seg[i];
		b->chain[i].max_seg = 8;
		b->chains[i] = &b->chain[i];
		b->sg[i][0] = (struct tvq_sg){ DATA_IOVA + i * 8192, 16 };
		b->sg[i][1] = (struct tvq_sg){ DATA_IOVA + i * 8192 + 4096, 4096 };
		b->sg[i][2] = (struct tvq_sg){ DATA_IOVA + i * 8192 + 16, 1 };
	}
}

static void fill(struct bench *b)
{
	unsigned int i;

	for (i = 0; i < BATCH; i++)
		if (tvq_drv_ring_add(b->drv, b->sg[i], 1, 2, b))
			fail("the ring is full");
	tvq_drv_ring_publish(b->drv);
}

static void drain(struct bench *b)
{
	unsigned int i;
	uint32_t written;

	for (i = 0; i < BATCH; i++)
		if (!tvq_drv_ring_get(b->drv, &written) || written != 4097)
			fail("a buffer is missing");
}

static void serve(struct bench *b)
{
	int i, n = tvq_ring_take(&b->ring, b->chains, BATCH);

	if (n != BATCH)
		fail("a chain is missing");
	for (i = 0; i < n; i++)
		tvq_ring_add_used(&b->ring, &b->chain[i], 4097);
	tvq_ring_flush(&b->ring);
}

/* What reading the clock twice costs. */
static double clock_ns(void)
{
	uint64_t t = now(), sum = 0;
	int i;

	for (i = 0; i < 100000; i++)
		sum += now() & 1;
	return (double)(now() - t + (sum & 1)) / 100000;
}

static void round_of(struct bench *b, double overhead)
{
	uint64_t driver = 0, device = 0, t[4];
	int i;

	for (i = 0; i < BATCHES; i++) {
		t[0] = now();
		fill(b);
		t[1] = now();
		serve(b);
		t[2] = now();
		drain(b);
		t[3] = now();
		driver += t[1] - t[0] + t[3] - t[2];
		device += t[2] - t[1];
	}
	b->device_ns = ((double)device / BATCHES - overhead) / BATCH;
	b->driver_ns = ((double)driver / BATCHES - 2 * overhead) / BATCH;
}

static int compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void print(const char *name, const char *what, const char *unit, double value)
{
	printf("{\"name\": \"ring %s %s\", \"unit\": \"%s\", \"value\": %.2f}\n", name, what, unit,
	       value);
}

static void measure(const struct setup *s, double overhead)
{
	struct bench *b = calloc(1, sizeof(*b));
	double device[ROUNDS], driver[ROUNDS];
	int i;

	if (!b)
		fail("no memory");
	open_bench(b, s);
	for (i = 0; i < ROUNDS; i++) {
		round_of(b, overhead);
		device[i] = b->device_ns;
		driver[i] = b->driver_ns;
	}
	qsort(device, ROUNDS, sizeof(device[0]), compare);
	qsort(driver, ROUNDS, sizeof(driver[0]), compare);
	print(s->name, "take+return", "ns/descriptor", device[ROUNDS / 2] / PER_CHAIN);
	print(s->name, "take+return", "ns/chain of 3", device[ROUNDS / 2]);
	print(s->name, "driver add+get", "ns/chain of 3", driver[ROUNDS / 2]);
}

int main(int argc, char **argv)
{
	static const struct setup setups[] = {
		{ "split", false, false, false, false },
		{ "packed", true, false, false, false },
		{ "split, event index", false, true, false, false },
		{ "packed, event index", true, true, false, false },
		{ "split, indirect", false, false, true, false },
		{ "packed, indirect", true, false, true, false },
		{ "split, in-flight area", false, false, false, true },
		{ "packed, in-flight area", true, false, false, true },
	};
	double overhead = clock_ns();
	unsigned int i;

	for (i = 0; i < sizeof(setups) / sizeof(setups[0]); i++)
		if (argc < 2 || !strcmp(argv[1], setups[i].name))
			measure(&setups[i], overhead);
	return 0;
}
