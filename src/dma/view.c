/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A view's look-ups. The data path goes through tvq_dma_ptr() and stays in the last region; what is
 * here runs when it moves to another one.
 */
#include <stdatomic.h>

#include <linux/errno.h>

#include <tvq/dma.h>

atomic_uint tvq_dma_lost_count;

static const struct tvq_dma_table no_table;
/* Of length 0: each look-up misses it and comes to tvq_dma_find(). */
static const struct tvq_region no_region;

void tvq_dma_view_init(struct tvq_dma_view *v)
{
	v->table = &no_table;
	v->last = &no_region;
	v->log = NULL;
	v->space = NULL;
}

static bool find(struct tvq_dma_view *v, uint64_t iova)
{
	const struct tvq_region *r = v->table->r;
	uint32_t lo = 0, hi = v->table->n;

	/* Finds the first region above iova; the one before it is the only one that can hold it. */
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (r[mid].iova <= iova)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (!lo || iova - r[lo - 1].iova >= r[lo - 1].len)
		return false;
	v->last = &r[lo - 1];
	return true;
}

/*
 * A miss may only mean that the region is newer than the view: its owner has been told that it is
 * mapped, the worker's turn to refresh comes later. Taking the newer table early is safe: it is
 * freed only after a round that begins when it is replaced, which this view's user has to answer.
 */
bool tvq_dma_find(struct tvq_dma_view *v, uint64_t iova)
{
	return find(v, iova) || (tvq_dma_view_advance(v) && find(v, iova));
}

void *tvq_dma_across(struct tvq_dma_view *v, uint64_t iova, uint64_t len, uint32_t perm)
{
	const struct tvq_region *r, *end;
	uint8_t *va;

	/* v->last may be of an older table, which has no neighbours here. */
	if (!tvq_dma_find(v, iova))
		return NULL;
	r = v->last;
	end = v->table->r + v->table->n;
	va = r->va ? r->va + (iova - r->iova) : NULL;
	for (;;) {
		uint64_t part = r->len - (iova - r->iova);

		if ((r->perm & perm) != perm || !r->va)
			return NULL;
		if (len <= part)
			return va;
		if (r + 1 == end || r[1].iova - r->iova != r->len || r[1].va != r->va + r->len)
			return NULL;
		len -= part;
		r++;
		iova = r->iova;
	}
}

int tvq_dma_segs(struct tvq_dma_view *v, uint64_t iova, uint64_t len, uint32_t perm,
		 struct tvq_seg *seg, unsigned int max)
{
	unsigned int n = 0;

	if (len && len - 1 > UINT64_MAX - iova)
		return -EFAULT;
	while (len) {
		const struct tvq_region *r = v->last;
		uint64_t part;

		if (iova - r->iova >= r->len) {
			if (!tvq_dma_find(v, iova))
				return -EFAULT;
			r = v->last;
		}
		if ((r->perm & perm) != perm || !r->va)
			return -EFAULT;
		if (n == max)
			return -E2BIG;
		part = r->len - (iova - r->iova);
		if (part > len)
			part = len;
		seg[n].va = r->va + (iova - r->iova);
		seg[n].len = part;
		n++;
		iova += part;
		len -= part;
	}
	return (int)n;
}

bool tvq_dma_view_lost(const struct tvq_dma_view *v)
{
	for (uint32_t i = 0; i < v->table->n; i++) {
		const struct tvq_mapping *m = v->table->r[i].mapping;

		/* Acquire: pairs with whoever counts in tvq_dma_lost_count after setting it. */
		if (m && atomic_load_explicit(&m->lost, memory_order_acquire))
			return true;
	}
	return false;
}
