/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From descriptors to segments: what the device half does with each descriptor of either format,
 * once it has a copy of it. Private to src/ring.
 *
 * This is the trust boundary for buffers: addr and len are the driver's, what is stored in the
 * chain lies in the view with the right that its direction needs.
 */
#ifndef TVQ_RING_CHAIN_H
#define TVQ_RING_CHAIN_H

#include <linux/errno.h>

#include "barrier.h"
#include "layout.h"
#include "ring.h"

#define tvq_always_inline inline __attribute__((always_inline))
#define tvq_noinline	  __attribute__((noinline))

/*
 * Heads that are read, and whose descriptors are prefetched, before the first of them is followed.
 */
#define TVQ_TAKE_AHEAD 32
/* Descriptors that one call follows before it returns what it has: bounds a turn, not a chain. */
#define TVQ_TAKE_DESCS 8192

/* A chain in the making. Lives in registers: its address must not leave the inlined functions. */
struct tvq_walk {
	struct tvq_dma_view *view;
	struct tvq_chain *c;
	struct tvq_seg *seg;
	int limit; /* segments that can be stored the short way: none while writes are logged */
	int n;	   /* segments stored */
	int n_out; /* of these, readable */
	uint64_t out, in; /* bytes */
	bool writing;	  /* a writable descriptor was met */
};

struct tvq_walk_pos {
	int n; /* -errno: the walk ends */
	int n_out;
};

/* The uncommon rest of tvq_walk_add(): a buffer over several regions, a full chain, a log. */
struct tvq_walk_pos tvq_walk_slow(struct tvq_dma_view *view, struct tvq_chain *c,
				  struct tvq_walk_pos pos, uint64_t addr, uint32_t len, bool write);

/*
 * A table of descriptors in the driver's memory. at is NULL where the table spans regions: then
 * each descriptor is fetched in pieces.
 */
struct tvq_table {
	const uint8_t *at;
	uint64_t iova;
	uint32_t n;
};

/* -EPROTO: a length that no table has; -EFAULT: not readable at its start. */
int tvq_table_open(struct tvq_dma_view *view, uint64_t addr, uint32_t len, struct tvq_table *t);
/* Reads descriptor i < t->n of a table that spans regions. */
int tvq_table_read_slow(struct tvq_dma_view *view, const struct tvq_table *t, uint32_t i,
			struct tvq_desc *d);

static tvq_always_inline int tvq_table_read(struct tvq_dma_view *view, const struct tvq_table *t,
					    uint32_t i, struct tvq_desc *d)
{
	const uint8_t *p;

	if (tvq_unlikely(!t->at))
		return tvq_table_read_slow(view, t, i, d);
	p = t->at + (size_t)i * sizeof(*d);
	d->addr = tvq_load_64_unaligned(p);
	d->tail = tvq_load_64_unaligned(p + 8);
	return 0;
}

static tvq_always_inline void tvq_walk_start(struct tvq_walk *w, struct tvq_dma_view *view,
					     struct tvq_chain *c)
{
	*w = (struct tvq_walk){
		.view = view,
		.c = c,
		.seg = c->seg,
		.limit = view->log ? 0 : c->max_seg,
	};
	c->too_long = false;
}

/* Adds one buffer. -EPROTO: readable after writable; -EFAULT: not mapped with its right. */
static tvq_always_inline int tvq_walk_add(struct tvq_walk *w, uint64_t addr, uint32_t len,
					  bool write)
{
	struct tvq_walk_pos pos;
	void *va;

	if (write) {
		w->writing = true;
		w->in += len;
	} else if (tvq_unlikely(w->writing)) {
		return -EPROTO;
	} else {
		w->out += len;
	}
	if (tvq_unlikely(!len))
		return 0;
	va = tvq_dma_ptr(w->view, addr, len, write ? TVQ_DMA_WRITE : TVQ_DMA_READ);
	if (tvq_likely(va && w->n < w->limit)) {
		w->seg[w->n].va = va;
		w->seg[w->n].len = len;
		w->n++;
		w->n_out += !write;
		return 0;
	}
	pos.n = w->n;
	pos.n_out = w->n_out;
	pos = tvq_walk_slow(w->view, w->c, pos, addr, len, write);
	if (pos.n < 0)
		return pos.n;
	w->n = pos.n;
	w->n_out = pos.n_out;
	return 0;
}

/*
 * Memory of one buffer, for tvq_ring_take_bufs(): the region of the last look-up is kept in
 * registers, with the right that all buffers of the batch need. Its address must not leave the
 * inlined functions.
 */
struct tvq_window {
	struct tvq_dma_view *view;
	uint32_t perm;
	uint64_t iova, len;
	uint8_t *va;
};

static tvq_always_inline void tvq_window_load(struct tvq_window *w)
{
	const struct tvq_region *r = w->view->last;

	w->iova = r->iova;
	w->va = r->va;
	w->len = (r->perm & w->perm) == w->perm && r->va ? r->len : 0;
}

static tvq_always_inline void tvq_window_open(struct tvq_window *w, struct tvq_dma_view *view,
					      bool write)
{
	w->view = view;
	w->perm = write ? TVQ_DMA_WRITE : TVQ_DMA_READ;
	tvq_window_load(w);
}

/* NULL: not one piece, or not mapped so, or empty. */
static tvq_always_inline uint8_t *tvq_window_ptr(struct tvq_window *w, uint64_t addr, uint32_t len)
{
	uint64_t off = addr - w->iova;
	uint8_t *va;

	/* len - 1 wraps for an empty one. */
	if (tvq_likely(off < w->len && (uint64_t)len - 1 < w->len - off))
		return w->va + off;
	if (!len)
		return NULL;
	va = tvq_dma_ptr(w->view, addr, len, w->perm);
	tvq_window_load(w);
	return va;
}

/* What is read of a readable buffer. How one is written its user knows, and prefetches. */
static tvq_always_inline void tvq_buf_prefetch(const uint8_t *va)
{
	tvq_prefetch(va);
	tvq_prefetch(va + 64);
}

static tvq_always_inline uint32_t tvq_saturate32(uint64_t v)
{
	return v > UINT32_MAX ? UINT32_MAX : (uint32_t)v;
}

static tvq_always_inline void tvq_walk_end(const struct tvq_walk *w, uint16_t id, uint16_t n_desc)
{
	struct tvq_chain *c = w->c;

	c->id = id;
	c->n_desc = n_desc;
	c->n_out = (uint16_t)w->n_out;
	c->n_in = (uint16_t)(w->n - w->n_out);
	c->out_len = tvq_saturate32(w->out);
	c->in_len = tvq_saturate32(w->in);
	/* The request's header is the first thing that anybody looks at. */
	if (tvq_likely(w->n))
		tvq_prefetch(w->seg[0].va);
}

static inline uint32_t tvq_tail_len(uint64_t tail)
{
	return (uint32_t)tail;
}

/* What ring.c has for both formats: remembers the error (it stays) and returns it. */
int tvq_ring_break(struct tvq_ring *r, int err);

/* Split. */
int tvq_split_take(struct tvq_ring *r, struct tvq_chain *const *c, unsigned int n);
void tvq_split_untake(struct tvq_ring *r, const struct tvq_chain *c);
unsigned int tvq_split_take_bufs(struct tvq_ring *r, struct tvq_buf *b, unsigned int n, bool write);
void tvq_split_add_used_bufs(struct tvq_ring *r, const struct tvq_buf *b, const uint32_t *written,
			     unsigned int n);
void tvq_split_add_used(struct tvq_ring *r, const struct tvq_chain *c, uint32_t written);
bool tvq_split_flush(struct tvq_ring *r);
void tvq_split_notify_off(struct tvq_ring *r);
void tvq_split_notify_on(struct tvq_ring *r);
bool tvq_split_more(const struct tvq_ring *r);
/* Follows the chain at head, < size, into c without taking it. Descriptors met, or -errno. */
int tvq_split_walk(struct tvq_ring *r, uint16_t head, struct tvq_chain *c);

/* Packed. */
int tvq_packed_take(struct tvq_ring *r, struct tvq_chain *const *c, unsigned int n);
void tvq_packed_untake(struct tvq_ring *r, const struct tvq_chain *c);
unsigned int tvq_packed_take_bufs(struct tvq_ring *r, struct tvq_buf *b, unsigned int n,
				  bool write);
void tvq_packed_untake_bufs(struct tvq_ring *r, unsigned int n);
void tvq_packed_add_used_bufs(struct tvq_ring *r, const struct tvq_buf *b, const uint32_t *written,
			      unsigned int n);
void tvq_packed_add_used(struct tvq_ring *r, const struct tvq_chain *c, uint32_t written);
bool tvq_packed_flush(struct tvq_ring *r);
void tvq_packed_notify_off(struct tvq_ring *r);
void tvq_packed_notify_on(struct tvq_ring *r);
bool tvq_packed_more(const struct tvq_ring *r);
/* Adds what an indirect table holds. Descriptors met, or -errno. */
int tvq_packed_walk_table(struct tvq_walk *w, uint64_t addr, uint32_t len);
/* Writes a used descriptor for n_desc descriptors at once and moves on. */
void tvq_packed_put_used(struct tvq_ring *r, uint16_t id, uint16_t n_desc, uint32_t written);

#endif
