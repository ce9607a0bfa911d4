/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An in-flight area that somebody else wrote, with the ring that goes with it: recovered, what is
 * in flight is done again, then what is new, and all of it is returned. Then the area, now ours, is
 * recovered once more, and has to be accepted with nothing in flight.
 *
 * Input: u8 flags (1 packed, 2 event index, 4 indirect, 8 buffers are written), u8
 * reserved, u16 size, u16 length of the area, so many
 * bytes of area, the image.
 */
#include <errno.h>

#include "ring_space.h"

#define HEADER	  6
#define AREA_IOVA 0x100000ull

struct area {
	struct tvq_dma_table *table;
	struct tvq_dma_view view;
	void *shadow;
};

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static void area_open(struct area *a, struct tvq_ring_cfg *cfg, const uint8_t *data, uint16_t bytes)
{
	uint32_t shadow = tvq_inflight_shadow_bytes(cfg->packed, cfg->size);

	a->table = calloc(1, sizeof(*a->table) + sizeof(a->table->r[0]));
	a->shadow = malloc(shadow ? shadow : 1);
	if (!a->table || !a->shadow)
		abort();
	a->table->n = 1;
	space_region(&a->table->r[0], AREA_IOVA, bytes, TVQ_DMA_READ | TVQ_DMA_WRITE);
	memcpy(a->table->r[0].va, data, bytes);
	a->view = (struct tvq_dma_view){ .table = a->table, .last = &a->table->r[0] };
	cfg->inflight = AREA_IOVA;
	cfg->inflight_size = bytes;
	cfg->inflight_shadow = a->shadow;
}

static void area_close(struct area *a)
{
	free(a->table->r[0].va);
	free(a->table);
	free(a->shadow);
}

/* Serves until nothing is left or the ring breaks; -errno then. */
static int serve(struct space *s, bool touch)
{
	struct tvq_chain *c[SPACE_BATCH];
	unsigned int turns;
	int i, n;

	for (i = 0; i < SPACE_BATCH; i++) {
		c[i] = &s->chain[i];
		c[i]->seg = s->seg[i];
		c[i]->iova = s->iova[i];
		c[i]->max_seg = SPACE_SEGS;
	}
	for (turns = 0; turns < 5000; turns++) {
		n = tvq_ring_take(&s->ring, c, SPACE_BATCH);
		if (n <= 0)
			return n;
		while (n-- > 0) {
			if (touch)
				space_touch(c[n]);
			tvq_ring_add_used(&s->ring, c[n], (uint32_t)n);
		}
		tvq_ring_flush(&s->ring);
	}
	/*
	 * A driver that offers chains faster than they are used: only one that overlaps the ring
	 * can.
	 */
	return touch ? -EBADMSG : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tvq_ring_cfg cfg = { 0 };
	struct area area;
	struct space *s;
	uint16_t bytes;
	bool touch;

	if (size < HEADER)
		return 0;
	bytes = get16(data + 4);
	if (!bytes || size < HEADER + (size_t)bytes)
		return 0;
	cfg.packed = data[0] & 1;
	cfg.event_idx = data[0] & 2;
	cfg.indirect = data[0] & 4;
	touch = data[0] & 8;
	cfg.size = get16(data + 2);
	if (!cfg.size || cfg.size > 256)
		return 0;
	space_areas(&cfg);
	s = space_open(data + HEADER + bytes, size - HEADER - bytes);
	area_open(&area, &cfg, data + HEADER, bytes);
	if (!tvq_ring_start(&s->ring, &cfg, &s->view, &area.view) && !serve(s, touch) && !touch) {
		if (tvq_ring_start(&s->ring, &cfg, &s->view, &area.view) || s->ring.resubmit_n)
			abort();
	}
	area_close(&area);
	space_close(s);
	return 0;
}
