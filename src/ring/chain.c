/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The uncommon paths of chain.h: bounded by what the caller can hold, never by what the driver
 * claims.
 */

#include <string.h>

#include "chain.h"

/*
 * Stores one piece. Where there is no room it replaces the last one: that is where a status byte
 * is.
 */
static struct tvq_walk_pos push(struct tvq_dma_view *view, struct tvq_chain *c,
				struct tvq_walk_pos pos, void *va, uint64_t addr, uint64_t len,
				bool write)
{
	if (pos.n < c->max_seg) {
		pos.n++;
		pos.n_out += !write;
	} else {
		c->too_long = true;
		if (!pos.n)
			return pos;
		/*
		 * The piece that goes may have been readable; writable ones only come after those.
		 */
		if (write && pos.n_out == pos.n)
			pos.n_out--;
	}
	c->seg[pos.n - 1].va = va;
	c->seg[pos.n - 1].len = len;
	if (write && view->log && c->iova)
		c->iova[pos.n - 1] = addr;
	return pos;
}

struct tvq_walk_pos tvq_walk_slow(struct tvq_dma_view *view, struct tvq_chain *c,
				  struct tvq_walk_pos pos, uint64_t addr, uint32_t len, bool write)
{
	const uint32_t perm = write ? TVQ_DMA_WRITE : TVQ_DMA_READ;
	const uint64_t last = addr + len - 1;

	if (last < addr)
		goto fault;
	for (;;) {
		uint8_t *va = tvq_dma_ptr(view, addr, 1, perm);
		uint64_t room;

		if (!va)
			goto fault;
		room = view->last->len - (addr - view->last->iova);
		if (room > last - addr) {
			return push(view, c, pos, va, addr, last - addr + 1, write);
		}
		pos = push(view, c, pos, va, addr, room, write);
		addr += room;
		if (!c->too_long)
			continue;
		/*
		 * Nobody will see what lies between: only the piece with the last byte still
		 * counts.
		 */
		va = tvq_dma_ptr(view, last, 1, perm);
		if (!va)
			goto fault;
		if (view->last->iova > addr)
			addr = view->last->iova;
	}
fault:
	pos.n = -EFAULT;
	return pos;
}

int tvq_table_open(struct tvq_dma_view *view, uint64_t addr, uint32_t len, struct tvq_table *t)
{
	if (!len || len % sizeof(struct tvq_desc) ||
	    len > TVQ_RING_MAX_SIZE * sizeof(struct tvq_desc))
		return -EPROTO;
	if (addr + len - 1 < addr)
		return -EFAULT;
	t->iova = addr;
	t->n = len / sizeof(struct tvq_desc);
	t->at = tvq_dma_ptr(view, addr, len, TVQ_DMA_READ);
	/* A table that is not there at all fails here, one with a hole where the hole is. */
	if (!t->at && !tvq_dma_ptr(view, addr, 1, TVQ_DMA_READ))
		return -EFAULT;
	return 0;
}

int tvq_table_read_slow(struct tvq_dma_view *view, const struct tvq_table *t, uint32_t i,
			struct tvq_desc *d)
{
	uint64_t addr = t->iova + (uint64_t)i * sizeof(*d);
	uint8_t raw[sizeof(*d)];
	unsigned int k;

	for (k = 0; k < sizeof(raw); k++) {
		const uint8_t *p = tvq_dma_ptr(view, addr + k, 1, TVQ_DMA_READ);

		if (!p)
			return -EFAULT;
		raw[k] = tvq_load_8(p);
	}
	memcpy(d, raw, sizeof(raw));
	d->addr = tvq_le64(d->addr);
	d->tail = tvq_le64(d->tail);
	return 0;
}
