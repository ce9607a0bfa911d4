/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A place where both halves of a virtqueue meet: ring memory and payload in one address space whose
 * payload lies in several regions that follow each other in the space and not in memory.
 */
#ifndef TVQ_TEST_RING_LAB_H
#define TVQ_TEST_RING_LAB_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "ring/driver_ring.h"
#include "ring/layout.h"
#include "ring/ring.h"

#define LAB_RING_IOVA	 0x10000000ull
#define LAB_DATA_IOVA	 0x7fff0000ull
#define LAB_AREA_IOVA	 0x4000000000ull
#define LAB_REGIONS	 4
#define LAB_REGION_BYTES 0x9000ull

static inline uint64_t lab_random(uint64_t *seed)
{
	uint64_t z = (*seed += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

static inline uint32_t lab_below(uint64_t *seed, uint32_t n)
{
	return (uint32_t)(lab_random(seed) % n);
}

struct lab {
	uint8_t *ring_mem;
	size_t ring_bytes;
	uint8_t *data[LAB_REGIONS];
	struct tvq_dma_table *table;
	struct tvq_dma_view view;
	struct tvq_drv_ring_cfg drv_cfg;
	struct tvq_drv_ring *drv;
	struct tvq_ring_cfg cfg;
	struct tvq_ring ring;
	/* With an in-flight area. */
	uint8_t *area;
	size_t area_bytes;
	void *shadow;
	struct tvq_dma_table *area_table;
	struct tvq_dma_view area_view;
};

/* Zeroed, and shared with children. */
static inline void *lab_pages(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(p != MAP_FAILED);
	return p;
}

static inline void lab_region(struct tvq_region *r, uint64_t iova, uint64_t len, void *va,
			      uint32_t perm)
{
	*r = (struct tvq_region){ .iova = iova, .len = len, .va = va, .perm = perm };
}

static inline void lab_view(struct tvq_dma_view *v, const struct tvq_dma_table *t)
{
	tvq_dma_view_init(v);
	v->table = t;
	v->last = &t->r[0];
}

/* Memory and address space, and the driver half; the device half is for the test to start. */
static inline void lab_open(struct lab *l, bool packed, uint16_t size, bool event_idx,
			    uint16_t indirect_max)
{
	const uint32_t rw = TVQ_DMA_READ | TVQ_DMA_WRITE;
	unsigned int i;

	memset(l, 0, sizeof(*l));
	l->ring_bytes = (tvq_drv_ring_bytes(packed, size, indirect_max) + 4095) & ~4095ull;
	l->ring_mem = lab_pages(l->ring_bytes);
	l->table = calloc(1, sizeof(*l->table) + (LAB_REGIONS + 1) * sizeof(l->table->r[0]));
	assert_non_null(l->table);
	l->table->n = LAB_REGIONS + 1;
	lab_region(&l->table->r[0], LAB_RING_IOVA, l->ring_bytes, l->ring_mem, rw);
	for (i = 0; i < LAB_REGIONS; i++) {
		l->data[i] = malloc(LAB_REGION_BYTES);
		assert_non_null(l->data[i]);
		memset(l->data[i], 0, LAB_REGION_BYTES);
		lab_region(&l->table->r[i + 1], LAB_DATA_IOVA + i * LAB_REGION_BYTES,
			   LAB_REGION_BYTES, l->data[i], rw);
	}
	lab_view(&l->view, l->table);
	l->drv_cfg = (struct tvq_drv_ring_cfg){
		.packed = packed,
		.event_idx = event_idx,
		.indirect = indirect_max != 0,
		.size = size,
		.mem = l->ring_mem,
		.iova = LAB_RING_IOVA,
	};
	l->drv = tvq_drv_ring_new(&tvq_os_host, &l->drv_cfg, indirect_max);
	assert_non_null(l->drv);
	l->cfg = (struct tvq_ring_cfg){
		.packed = packed,
		.event_idx = event_idx,
		.indirect = indirect_max != 0,
		.size = size,
		.avail_idx = packed ? 0x8000 : 0,
		.used_idx = packed ? 0x8000 : 0,
	};
	tvq_drv_ring_areas(l->drv, &l->cfg.desc, &l->cfg.driver, &l->cfg.device);
}

/* A fresh in-flight area in a space of its own. */
static inline void lab_add_inflight(struct lab *l)
{
	l->area_bytes = tvq_inflight_bytes(l->cfg.packed, l->cfg.size);
	l->area = lab_pages(l->area_bytes);
	l->shadow = malloc(tvq_inflight_shadow_bytes(l->cfg.packed, l->cfg.size));
	l->area_table = calloc(1, sizeof(*l->area_table) + sizeof(l->area_table->r[0]));
	assert_true(l->area && l->shadow && l->area_table);
	l->area_table->n = 1;
	lab_region(&l->area_table->r[0], LAB_AREA_IOVA, l->area_bytes, l->area,
		   TVQ_DMA_READ | TVQ_DMA_WRITE);
	lab_view(&l->area_view, l->area_table);
	l->cfg.inflight = LAB_AREA_IOVA;
	l->cfg.inflight_size = (uint32_t)l->area_bytes;
	l->cfg.inflight_shadow = l->shadow;
}

static inline int lab_start(struct lab *l)
{
	return tvq_ring_start(&l->ring, &l->cfg, &l->view, l->area ? &l->area_view : NULL);
}

static inline void lab_close(struct lab *l)
{
	unsigned int i;

	tvq_drv_ring_free(l->drv);
	munmap(l->ring_mem, l->ring_bytes);
	for (i = 0; i < LAB_REGIONS; i++)
		free(l->data[i]);
	free(l->table);
	if (l->area)
		munmap(l->area, l->area_bytes);
	free(l->shadow);
	free(l->area_table);
}

/* A byte of the payload, by its address in the space. */
static inline uint8_t *lab_byte(const struct lab *l, uint64_t iova)
{
	uint64_t off = iova - LAB_DATA_IOVA;

	assert_true(off < LAB_REGIONS * LAB_REGION_BYTES);
	return &l->data[off / LAB_REGION_BYTES][off % LAB_REGION_BYTES];
}

#define LAB_SEGS 64

/* A chain with room for its segments. */
struct lab_chain {
	struct tvq_chain c;
	struct tvq_seg seg[LAB_SEGS];
	uint64_t iova[LAB_SEGS];
};

static inline struct tvq_chain *lab_chain(struct lab_chain *lc, uint16_t max_seg)
{
	memset(&lc->c, 0, sizeof(lc->c));
	lc->c.seg = lc->seg;
	lc->c.iova = lc->iova;
	lc->c.max_seg = max_seg;
	return &lc->c;
}

static inline int lab_take1(struct lab *l, struct lab_chain *lc)
{
	struct tvq_chain *c = lab_chain(lc, LAB_SEGS);

	return tvq_ring_take(&l->ring, &c, 1);
}

#endif
