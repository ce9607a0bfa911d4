/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An in-flight area's layout (vhost-user, "Inflight I/O tracking"), little-endian, and the private
 * shadow that goes with it. Private to src/ring/inflight*.c.
 *
 * Who may see what: the area outlives the process that writes it. Whoever looks at it afterwards
 * sees the stores of the dead thread up to one of them, in program order: compiler barriers are
 * enough between the steps. The area can be altered by others at any time, so nothing in it is used
 * but at start and when what was in flight is given out; what the ring needs while it runs is in
 * the shadow.
 */
#ifndef TVQ_RING_INFLIGHT_AREA_H
#define TVQ_RING_INFLIGHT_AREA_H

#include "chain.h"
#include "inflight.h"

#define TVQ_INFLIGHT_VERSION 1

struct tvq_inflight_head { /* the same in both layouts */
	uint64_t features;
	uint16_t version; /* 0: not initialised */
	uint16_t desc_num;
};

struct tvq_split_area_entry { /* of a chain's head; others are not used */
	uint8_t inflight;
	uint8_t padding[5];
	uint16_t next;	  /* the head completed before it, in the last batch */
	uint64_t counter; /* order of taking */
};

struct tvq_split_area {
	uint64_t features;
	uint16_t version;
	uint16_t desc_num;
	uint16_t last_batch_head;
	uint16_t used_idx; /* the ring's, when the entries below were last true */
	struct tvq_split_area_entry desc[];
};

struct tvq_packed_area_entry {
	uint8_t inflight; /* of a chain's head, as are last, num and counter */
	uint8_t padding;
	uint16_t next; /* in its chain or in the free list */
	uint16_t last;
	uint16_t num;
	uint64_t counter;
	uint16_t id; /* a copy of the descriptor */
	uint16_t flags;
	uint32_t len;
	uint64_t addr;
};

struct tvq_packed_area {
	uint64_t features;
	uint16_t version;
	uint16_t desc_num;
	/*
	 * free_head | old_free_head << 16. One word, as is the next, so that no half of a step is
	 * ever seen.
	 */
	uint32_t free_heads;
	/* used_idx | old_used_idx << 16 | used_wrap_counter << 32 | old_used_wrap_counter << 40 */
	uint64_t positions;
	uint64_t padding;
	struct tvq_packed_area_entry desc[];
};

_Static_assert(sizeof(struct tvq_split_area_entry) == 16 &&
		       offsetof(struct tvq_split_area_entry, next) == 6 &&
		       offsetof(struct tvq_split_area_entry, counter) == 8,
	       "layout");
_Static_assert(sizeof(struct tvq_split_area) == 16 &&
		       offsetof(struct tvq_split_area, used_idx) == 14,
	       "layout");
_Static_assert(sizeof(struct tvq_packed_area_entry) == 32 &&
		       offsetof(struct tvq_packed_area_entry, counter) == 8 &&
		       offsetof(struct tvq_packed_area_entry, addr) == 24,
	       "layout");
_Static_assert(sizeof(struct tvq_packed_area) == 32 &&
		       offsetof(struct tvq_packed_area, free_heads) == 12 &&
		       offsetof(struct tvq_packed_area, positions) == 16,
	       "layout");

/* What a chain's state is in the shadow. */
enum {
	TVQ_INFLIGHT_FREE,
	TVQ_INFLIGHT_TAKEN,
	TVQ_INFLIGHT_RECORDED, /* as used, and not yet published */
};

#define TVQ_INFLIGHT_NONE 0xffff

/*
 * The order of what is to be given out again, at the start of the shadow of either format: heads in
 * the split one, entries of the area in the packed one.
 */
static inline uint16_t *tvq_inflight_order(const struct tvq_ring *r)
{
	return r->shadow;
}

static inline void tvq_inflight_wrote(const struct tvq_ring *r, const void *at, size_t bytes)
{
	tvq_dma_wrote(r->inflight_view,
		      r->inflight_iova + (uint64_t)((const uint8_t *)at - (uint8_t *)r->inflight),
		      bytes);
}

/*
 * Sorts the first n of the order by the counters, the first of which is at counters, the others
 * stride bytes apart. -EBADMSG: two are equal, or one is larger than any device can have counted.
 * Sets the ring's counter to go on with.
 */
int tvq_inflight_sort(struct tvq_ring *r, const uint64_t *counters, size_t stride, uint16_t n);

/* A fresh area is initialised for the ring's position, another one judged and followed. */
int tvq_inflight_split_start(struct tvq_ring *r, bool fresh);
int tvq_inflight_packed_start(struct tvq_ring *r, bool fresh);
/* Walks the next of the order into c, without any change. -errno as tvq_ring_take(). */
int tvq_inflight_packed_resubmit(struct tvq_ring *r, uint16_t entry, struct tvq_chain *c);

uint32_t tvq_inflight_split_shadow(uint16_t size);
uint32_t tvq_inflight_packed_shadow(uint16_t size);

#endif
