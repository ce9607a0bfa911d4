/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The driver half of a split virtqueue (virtio 1.4, 2.7).
 *
 * next[] mirrors the links of all descriptors, those in flight and the free ones, so that the
 * descriptor area is only ever written. What the device says is checked by split_get(): an index
 * that claims more than is in flight, or a head that is not, breaks the ring.
 */
#include "driver_priv.h"

static inline struct tvq_split_avail *avail_of(const struct tvq_drv_ring *r)
{
	return r->driver;
}

static inline struct tvq_split_used *used_of(const struct tvq_drv_ring *r)
{
	return r->device;
}

static inline void put_desc(struct tvq_desc *d, uint64_t addr, uint32_t len, uint16_t flags,
			    uint16_t next)
{
	tvq_store_64(&d->addr, addr);
	tvq_store_64(&d->tail, len | (uint64_t)flags << 32 | (uint64_t)next << 48);
}

static void put_table(struct tvq_drv_ring *r, uint16_t head, const struct tvq_sg *sg,
		      unsigned int n_out, unsigned int n)
{
	struct tvq_desc *table = tvq_drv_table(r, head);
	unsigned int i;

	for (i = 0; i < n; i++)
		put_desc(&table[i], sg[i].addr, sg[i].len,
			 (i < n_out ? 0 : VRING_DESC_F_WRITE) | (i + 1 < n ? VRING_DESC_F_NEXT : 0),
			 i + 1 < n ? (uint16_t)(i + 1) : 0);
	put_desc(&r->desc[head], tvq_drv_table_iova(r, head), n * (uint32_t)sizeof(*table),
		 VRING_DESC_F_INDIRECT, 0);
}

int tvq_drv_split_add(struct tvq_drv_ring *r, const struct tvq_sg *sg, unsigned int n_out,
		      unsigned int n, void *token)
{
	const uint16_t head = r->free_head;
	bool indirect = tvq_drv_goes_indirect(r, n);
	uint16_t n_desc = indirect ? 1 : (uint16_t)n;
	struct tvq_drv_entry *e = &r->entry[head];
	uint16_t at = head, last = head;
	unsigned int i;

	if (r->n_free < n_desc)
		return -ENOSPC;
	if (indirect) {
		put_table(r, head, sg, n_out, n);
		at = r->next[head];
	} else {
		for (i = 0; i < n; i++) {
			const bool more = i + 1 < n;

			last = at;
			at = r->next[at];
			put_desc(&r->desc[last], sg[i].addr, sg[i].len,
				 (i < n_out ? 0 : VRING_DESC_F_WRITE) |
					 (more ? VRING_DESC_F_NEXT : 0),
				 more ? at : 0);
		}
	}
	r->free_head = at;
	r->n_free -= n_desc;
	r->in_flight++;
	e->token = token;
	e->n_desc = n_desc;
	e->last = last;
	tvq_store_16(&avail_of(r)->ring[r->avail & (r->size - 1)], head);
	r->avail++;
	tvq_drv_ordered(r, head, sg, n_out, n);
	return 0;
}

bool tvq_drv_split_publish(struct tvq_drv_ring *r)
{
	const uint16_t old = r->published;

	if (r->avail == old)
		return false;
	/* Pairs with the device's acquire load of the index: heads and descriptors are there. */
	tvq_store_16_release(&avail_of(r)->idx, r->avail);
	r->published = r->avail;
	/*
	 * Pairs with the device's full barrier in tvq_ring_notify_on(): either we see its wish or
	 * it sees our index.
	 */
	tvq_mb();
	if (r->event_idx)
		return vring_need_event(tvq_load_16(tvq_split_avail_event(used_of(r), r->size)),
					r->avail, old);
	return !(tvq_load_16(&used_of(r)->flags) & VRING_USED_F_NO_NOTIFY);
}

void tvq_drv_split_free(struct tvq_drv_ring *r, uint16_t head)
{
	struct tvq_drv_entry *e = &r->entry[head];

	e->token = NULL;
	/* With IN_ORDER descriptors are taken in the table's order, around and around (virtio 1.4,
	 * 2.7.5): free are the n_free from free_head on, and the links stay as they are. */
	if (!r->in_order) {
		r->next[e->last] = r->free_head;
		r->free_head = head;
	}
	r->n_free += e->n_desc;
	r->in_flight--;
}

bool tvq_drv_split_next(struct tvq_drv_ring *r, uint16_t *head, uint32_t *written)
{
	const uint32_t *elem;
	uint32_t id;

	if (r->used == r->used_seen) {
		/*
		 * Pairs with the device's release store of the index: elements and buffers are
		 * there.
		 */
		const uint16_t idx = tvq_load_16_acquire(&used_of(r)->idx);

		if (idx == r->used)
			return false;
		if ((uint16_t)(idx - r->used) > r->in_flight)
			goto broken;
		r->used_seen = idx;
	}
	elem = &used_of(r)->ring[2 * (size_t)(r->used & (r->size - 1))];
	id = tvq_load_32(&elem[0]);
	if (id >= r->size || !r->entry[id].token)
		goto broken;
	*head = (uint16_t)id;
	*written = tvq_load_32(&elem[1]);
	return true;
broken:
	r->broken = true;
	return false;
}

bool tvq_drv_split_used_there(const struct tvq_drv_ring *r)
{
	return tvq_load_16(&used_of(r)->idx) != r->used;
}

void tvq_drv_split_interrupts(struct tvq_drv_ring *r, bool on)
{
	if (r->event_idx)
		/* Off: just behind, so that the device passes it once in 65536 buffers. */
		tvq_store_16(tvq_split_used_event(avail_of(r), r->size),
			     on ? r->used : (uint16_t)(r->used - 1));
	else
		tvq_store_16(&avail_of(r)->flags, on ? 0 : VRING_AVAIL_F_NO_INTERRUPT);
}
