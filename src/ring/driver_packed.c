/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The driver half of a packed virtqueue (virtio 1.4, 2.8).
 *
 * Buffers are known by their id, an index of entry[]; next[] is the list of free ids. Descriptors
 * are written at once, but for the first since the last publish: the device looks at that one
 * first, so its store makes all of them available.
 */
#include "driver_priv.h"

static inline uint64_t make_tail(uint32_t len, uint16_t id, uint16_t flags)
{
	return len | (uint64_t)id << 32 | (uint64_t)flags << 48;
}

/* Writes the descriptor at r->avail, which the device sees at the next publish, and moves on. */
static inline void put_desc(struct tvq_drv_ring *r, uint64_t addr, uint32_t len, uint16_t id,
			    uint16_t flags)
{
	struct tvq_desc *d = &r->desc[r->avail];
	const uint64_t tail = make_tail(len, id, flags | tvq_packed_avail_flags(r->avail_wrap));

	tvq_store_64(&d->addr, addr);
	if (!r->pending) {
		r->first_slot = r->avail;
		r->first_tail = tail;
	} else {
		tvq_store_64(&d->tail, tail);
	}
	r->pending++;
	if (++r->avail == r->size) {
		r->avail = 0;
		r->avail_wrap = !r->avail_wrap;
	}
}

static void put_table(struct tvq_drv_ring *r, uint16_t id, const struct tvq_sg *sg,
		      unsigned int n_out, unsigned int n)
{
	struct tvq_desc *table = tvq_drv_table(r, id);
	unsigned int i;

	for (i = 0; i < n; i++) {
		tvq_store_64(&table[i].addr, sg[i].addr);
		tvq_store_64(&table[i].tail,
			     make_tail(sg[i].len, 0, i < n_out ? 0 : VRING_DESC_F_WRITE));
	}
	put_desc(r, tvq_drv_table_iova(r, id), n * (uint32_t)sizeof(*table), id,
		 VRING_DESC_F_INDIRECT);
}

int tvq_drv_packed_add(struct tvq_drv_ring *r, const struct tvq_sg *sg, unsigned int n_out,
		       unsigned int n, void *token)
{
	const uint16_t id = r->free_head;
	bool indirect = tvq_drv_goes_indirect(r, n);
	uint16_t n_desc = indirect ? 1 : (uint16_t)n;
	unsigned int i;

	if (r->n_free < n_desc)
		return -ENOSPC;
	if (indirect)
		put_table(r, id, sg, n_out, n);
	else
		for (i = 0; i < n; i++)
			put_desc(r, sg[i].addr, sg[i].len, id,
				 (i < n_out ? 0 : VRING_DESC_F_WRITE) |
					 (i + 1 < n ? VRING_DESC_F_NEXT : 0));
	r->free_head = r->next[id];
	r->n_free -= n_desc;
	r->in_flight++;
	r->entry[id].token = token;
	r->entry[id].n_desc = n_desc;
	tvq_drv_ordered(r, id, sg, n_out, n);
	return 0;
}

bool tvq_drv_packed_publish(struct tvq_drv_ring *r)
{
	const uint16_t n = r->pending;

	if (!n)
		return false;
	/* Pairs with the device's acquire load of the flags, here and in the slots behind. */
	tvq_store_64_release(&r->desc[r->first_slot].tail, r->first_tail);
	r->pending = 0;
	/*
	 * Pairs with the device's full barrier in tvq_ring_notify_on(): either we see its wish or
	 * it sees our descriptor.
	 */
	tvq_mb();
	return tvq_packed_wants_event(tvq_load_32(r->device), r->event_idx, r->size, r->avail,
				      r->avail_wrap, n);
}

void tvq_drv_packed_free(struct tvq_drv_ring *r, uint16_t id)
{
	r->entry[id].token = NULL;
	r->next[id] = r->free_head;
	r->free_head = id;
	r->n_free += r->entry[id].n_desc;
	r->in_flight--;
}

bool tvq_drv_packed_next(struct tvq_drv_ring *r, uint16_t *id, uint32_t *written)
{
	/* Pairs with the device's release store of the flags: the buffer is there. */
	const uint64_t tail = tvq_load_64_acquire(&r->desc[r->used].tail);

	if (!tvq_packed_is_used(tail, r->used_wrap))
		return false;
	*id = (uint16_t)(tail >> 32);
	*written = tvq_packed_tail_flags(tail) & VRING_DESC_F_WRITE ? (uint32_t)tail : 0;
	r->broken = *id >= r->size || !r->entry[*id].token;
	return !r->broken;
}

void tvq_drv_packed_pass(struct tvq_drv_ring *r, uint16_t id)
{
	r->used += r->entry[id].n_desc;
	if (r->used >= r->size) {
		r->used -= r->size;
		r->used_wrap = !r->used_wrap;
	}
}

bool tvq_drv_packed_used_there(const struct tvq_drv_ring *r)
{
	return tvq_packed_is_used(tvq_load_64(&r->desc[r->used].tail), r->used_wrap);
}

void tvq_drv_packed_interrupts(struct tvq_drv_ring *r, bool on)
{
	uint32_t event;

	if (!on)
		event = tvq_packed_event(0, false, VRING_PACKED_EVENT_FLAG_DISABLE);
	else if (r->event_idx)
		event = tvq_packed_event(r->used, r->used_wrap, VRING_PACKED_EVENT_FLAG_DESC);
	else
		event = tvq_packed_event(0, false, VRING_PACKED_EVENT_FLAG_ENABLE);
	tvq_store_32(r->driver, event);
}
