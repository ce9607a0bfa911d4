/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The small address space of the ring's fuzzers: an image that the input fills, in which rings,
 * tables and buffers lie, a read-only piece that follows it in the space and not in memory, and one
 * far away. Each is an allocation of its own, so that AddressSanitizer sees every step outside.
 */
#ifndef TVQ_FUZZ_RING_SPACE_H
#define TVQ_FUZZ_RING_SPACE_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ring/ring.h"

#define SPACE_IMAGE	  0x1000ull
#define SPACE_IMAGE_BYTES 0x2000u
#define SPACE_RO	  (SPACE_IMAGE + SPACE_IMAGE_BYTES)
#define SPACE_RO_BYTES	  0x800u
#define SPACE_FAR	  0xffffffffffffe000ull
#define SPACE_FAR_BYTES	  0x1000u
#define SPACE_SEGS	  24
#define SPACE_BATCH	  8

struct space {
	struct tvq_dma_table *table;
	struct tvq_dma_view view;
	struct tvq_ring ring;
	struct tvq_chain chain[SPACE_BATCH];
	struct tvq_seg seg[SPACE_BATCH][SPACE_SEGS];
	uint64_t iova[SPACE_BATCH][SPACE_SEGS];
};

static inline void space_region(struct tvq_region *r, uint64_t iova, uint64_t len, uint32_t perm)
{
	r->iova = iova;
	r->len = len;
	r->va = calloc(1, len);
	r->perm = perm;
	r->mapping = NULL;
	if (!r->va)
		abort();
}

static inline struct space *space_open(const uint8_t *image, size_t bytes)
{
	struct space *s = calloc(1, sizeof(*s));

	if (!s)
		abort();
	s->table = calloc(1, sizeof(*s->table) + 3 * sizeof(s->table->r[0]));
	if (!s->table)
		abort();
	s->table->n = 3;
	space_region(&s->table->r[0], SPACE_IMAGE, SPACE_IMAGE_BYTES, TVQ_DMA_READ | TVQ_DMA_WRITE);
	space_region(&s->table->r[1], SPACE_RO, SPACE_RO_BYTES, TVQ_DMA_READ);
	space_region(&s->table->r[2], SPACE_FAR, SPACE_FAR_BYTES, TVQ_DMA_READ | TVQ_DMA_WRITE);
	memcpy(s->table->r[0].va, image, bytes < SPACE_IMAGE_BYTES ? bytes : SPACE_IMAGE_BYTES);
	s->view.table = s->table;
	s->view.last = &s->table->r[0];
	return s;
}

static inline void space_close(struct space *s)
{
	unsigned int i;

	for (i = 0; i < 3; i++)
		free(s->table->r[i].va);
	free(s->table);
	free(s);
}

/* The areas where the driver half has them. */
static inline void space_areas(struct tvq_ring_cfg *cfg)
{
	cfg->desc = SPACE_IMAGE;
	cfg->driver = (cfg->desc + tvq_ring_desc_bytes(cfg->packed, cfg->size) + 127) & ~127ull;
	cfg->device = (cfg->driver + tvq_ring_driver_bytes(cfg->packed, cfg->size) + 127) & ~127ull;
}

/* The whole promise of a chain: its segments can be accessed as their direction says. */
static inline void space_touch(const struct tvq_chain *c)
{
	unsigned int i;

	if ((unsigned int)c->n_out + c->n_in > c->max_seg)
		abort();
	for (i = 0; i < (unsigned int)c->n_out + c->n_in; i++) {
		uint8_t *p = c->seg[i].va;
		size_t last = c->seg[i].len - 1;

		if (!c->seg[i].len)
			abort();
		__asm__ __volatile__("" : : "r"(p[0] ^ p[last]));
		if (i >= c->n_out) {
			p[0] ^= 0x55;
			p[last] ^= 0xaa;
		}
	}
}

#endif
