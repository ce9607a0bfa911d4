/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory that is held back. Theory of operation.
 *
 * A client that goes takes its memory along, and the queues in it pause. The next one maps it again,
 * piece by piece; a queue whose rings are there again while its buffers are not would break. So what
 * was mapped when a client went is remembered, as ranges that are missing. While a space has any, all
 * that is mapped in it is held back, and is published as one when the last of them is covered again,
 * or when the device is reset, since nobody waits for memory then.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vfio_user/internal.h"

const struct tvq_dma_table *vfu_table(const struct vfu_space *sp)
{
	struct tvq_dma_view v;

	tvq_dma_view_refresh(&v, sp->space);
	return v.table;
}

static void put_held(struct vfu_space *sp, uint32_t first, uint32_t n)
{
	if (!n)
		return;
	for (uint32_t i = first; i < first + n; i++) {
		if (sp->held[i].mapping)
			sp->held[i].mapping->put(sp->held[i].mapping);
	}
	memmove(sp->held + first, sp->held + first + n,
		(sp->n_held - first - n) * sizeof(*sp->held));
	sp->n_held -= n;
}

void vfu_forget_missing(struct vfu_space *sp)
{
	free(sp->missing);
	sp->missing = NULL;
	sp->n_missing = 0;
	sp->missing_bytes = 0;
}

/* Bytes of a range that belong to the missing ones. */
static uint64_t missing_in(const struct vfu_space *sp, uint64_t iova, uint64_t len)
{
	uint32_t lo = 0, hi = sp->n_missing;
	uint64_t sum = 0;

	while (lo < hi) { /* the first one that ends after iova */
		uint32_t mid = lo + (hi - lo) / 2;

		if (sp->missing[mid].iova + sp->missing[mid].len <= iova)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < sp->n_missing && sp->missing[lo].iova < iova + len; lo++) {
		const struct vfu_range *m = &sp->missing[lo];
		uint64_t from = m->iova > iova ? m->iova : iova;
		uint64_t to = m->iova + m->len < iova + len ? m->iova + m->len : iova + len;

		sum += to - from;
	}
	return sum;
}

/* The place of a region that starts at iova among the held ones. */
static uint32_t held_place(const struct vfu_space *sp, uint64_t iova)
{
	uint32_t lo = 0, hi = sp->n_held;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (sp->held[mid].iova < iova)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Publishes what is held; it is not any more then, also where that fails. */
static int publish(struct vfu_space *sp)
{
	int err = tvq_space_map(sp->space, sp->held, sp->n_held);

	free(sp->held);
	sp->held = NULL;
	sp->n_held = sp->cap_held = 0;
	vfu_forget_missing(sp);
	return err;
}

/* Takes over the region's mapping, also when it fails. */
int vfu_hold(struct vfu_space *sp, const struct tvq_region *r)
{
	uint32_t at = held_place(sp, r->iova);
	int err = -EEXIST;

	if (at && r->iova - sp->held[at - 1].iova < sp->held[at - 1].len)
		goto put;
	if (at < sp->n_held && sp->held[at].iova - r->iova < r->len)
		goto put;
	if (sp->n_held == sp->cap_held) {
		uint32_t cap = sp->cap_held ? 2 * sp->cap_held : 16;
		struct tvq_region *held = realloc(sp->held, cap * sizeof(*held));

		err = -ENOMEM;
		if (!held)
			goto put;
		sp->held = held;
		sp->cap_held = cap;
	}
	memmove(sp->held + at + 1, sp->held + at, (sp->n_held - at) * sizeof(*sp->held));
	sp->held[at] = *r;
	sp->n_held++;
	sp->missing_bytes -= missing_in(sp, r->iova, r->len);
	return sp->missing_bytes ? 0 : publish(sp);

put:
	if (r->mapping)
		r->mapping->put(r->mapping);
	return err;
}

/* What of the held ones lies in a range that cuts none. */
void vfu_unhold(struct vfu_space *sp, uint64_t iova, uint64_t len)
{
	uint32_t first = held_place(sp, iova), n = 0;

	while (first + n < sp->n_held && sp->held[first + n].iova - iova < len) {
		const struct tvq_region *r = &sp->held[first + n++];

		sp->missing_bytes += missing_in(sp, r->iova, r->len);
	}
	put_held(sp, first, n);
}

void vfu_dma_release(struct tvq_vfio_user *s)
{
	for (struct vfu_space *sp = s->dma.spaces; sp; sp = sp->next) {
		uint32_t n = sp->n_held;

		if (!sp->missing || !publish(sp))
			continue;
		s->dma.regions -= n;
		if (s->conn)
			vfu_close(s->conn, TVQ_LOG_ERR, "no memory for its memory regions");
	}
}

/* What is mapped now will be missing. Without memory for the list, nothing is held back. */
void vfu_remember(struct vfu_space *sp)
{
	const struct tvq_dma_table *t = vfu_table(sp);
	uint32_t n = 0;

	if (sp->missing || !t->n)
		return;
	sp->missing = calloc(t->n, sizeof(*sp->missing));
	if (!sp->missing)
		return;
	for (uint32_t i = 0; i < t->n; i++) {
		const struct tvq_region *r = &t->r[i];
		struct vfu_range *last = n ? &sp->missing[n - 1] : NULL;

		if (last && last->iova + last->len == r->iova)
			last->len += r->len;
		else
			sp->missing[n++] = (struct vfu_range){ r->iova, r->len };
		sp->missing_bytes += r->len;
	}
	sp->n_missing = n;
}
