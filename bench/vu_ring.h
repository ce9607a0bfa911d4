/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The driver's half of one virtqueue for block requests of one fixed shape, made to cost as little
 * as it can, so that what is measured is the server.
 *
 * A request is a slot with fixed memory: header and status in one cache line, and a data buffer.
 * Its chain is always header, data, status. In a split ring each slot owns three descriptors (or
 * one that points to its indirect table), written once; a request then costs a store to the header
 * and one to the available ring. In a packed ring the descriptors move along the ring and are
 * written each time.
 *
 * Interrupts and notifications are suppressed by event index where it was negotiated, by flags
 * where not. A polling driver parks its event index where the device does not come by and moves it
 * on in time.
 *
 * All functions here are meant to be inlined into a loop where `packed`, `indirect` are constants.
 */
#ifndef VU_RING_H
#define VU_RING_H

#include <linux/virtio_blk.h>
#include <linux/virtio_ring.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <unistd.h>

#include "vu_front.h"

#define VU_INLINE      static inline __attribute__((always_inline))
#define VU_CHAIN       3u
#define VU_PACKED_BITS (1u << VRING_PACKED_DESC_F_AVAIL | 1u << VRING_PACKED_DESC_F_USED)

/* What both sides touch of a request, in a cache line of its own. */
struct vu_head {
	struct virtio_blk_outhdr hdr;
	uint8_t status;
} __attribute__((aligned(64)));

struct vu_slot {
	uint64_t head, data; /* addresses for the device */
	uint64_t table;	     /* of the indirect table */
	uint32_t type;	     /* that the descriptors are made for */
};

struct vu_ring {
	uint16_t size, mask;
	uint16_t next;	    /* split: the next available index; packed: the next descriptor */
	uint16_t last;	    /* split: the used index read up to; packed: the descriptor */
	uint16_t published; /* split: what the device was told; packed: where the batch began */
	uint16_t batch;	    /* packed: descriptors added since the last publish */
	uint16_t avail_bits, used_bits; /* packed: what descriptors of this lap carry */
	uint16_t parked; /* split, polling: completions since the event index was moved */
	bool event_idx;
	uint32_t len; /* of a request's data, bytes */
	union {
		struct {
			struct vring_desc *desc;
			struct vring_avail *avail;
			struct vring_used *used;
		};
		struct {
			struct vring_packed_desc *pdesc;
			struct vring_packed_desc_event *driver_event, *device_event;
		};
	};
	struct vu_head *heads;
	struct vring_desc
		*tables; /* four of them for each slot, to stay aligned; packed: the same size */
	struct vu_slot *slots;
	int kick;
	uint64_t kicks;
};

#define LOAD(p)		    __atomic_load_n(p, __ATOMIC_RELAXED)
#define LOAD_ACQUIRE(p)	    __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define STORE(p, v)	    __atomic_store_n(p, v, __ATOMIC_RELAXED)
#define STORE_RELEASE(p, v) __atomic_store_n(p, v, __ATOMIC_RELEASE)

/* Writes the slot's chain, for the whole run (or until a request of the other direction). */
VU_INLINE void vu_prepare(struct vu_ring *r, uint16_t i, uint32_t type, bool packed, bool indirect)
{
	struct vu_slot *s = &r->slots[i];
	uint16_t data_flags = type == VIRTIO_BLK_T_IN ? VRING_DESC_F_WRITE : 0;
	uint64_t addr[VU_CHAIN] = { s->head, s->data, s->head + offsetof(struct vu_head, status) };
	uint32_t len[VU_CHAIN] = { sizeof(struct virtio_blk_outhdr), r->len, 1 };
	uint16_t flags[VU_CHAIN] = { 0, data_flags, VRING_DESC_F_WRITE }, k;

	s->type = type;
	if (packed) {
		struct vring_packed_desc *t = (struct vring_packed_desc *)(r->tables + 4 * i);

		for (k = 0; k < VU_CHAIN; k++)
			t[k] = (struct vring_packed_desc){ addr[k], len[k], 0, flags[k] };
	} else {
		struct vring_desc *t = indirect ? r->tables + 4 * i : r->desc + VU_CHAIN * i;
		uint16_t first = indirect ? 0 : VU_CHAIN * i;

		for (k = 0; k < VU_CHAIN; k++) {
			bool more = k < VU_CHAIN - 1;

			t[k] = (struct vring_desc){ addr[k], len[k],
						    flags[k] | (more ? VRING_DESC_F_NEXT : 0),
						    more ? first + k + 1 : 0 };
		}
		if (indirect)
			r->desc[i] = (struct vring_desc){ s->table, sizeof(*t) * VU_CHAIN,
							  VRING_DESC_F_INDIRECT, 0 };
	}
}

VU_INLINE void vu_step(struct vu_ring *r, uint16_t *index, uint16_t *bits, uint16_t n)
{
	*index += n;
	if (*index >= r->size) {
		*index -= r->size;
		*bits ^= VU_PACKED_BITS;
	}
}

/* Packed: writes the slot's descriptors, the first one's flags last. The device may see them. */
VU_INLINE void vu_add_packed(struct vu_ring *r, uint16_t i, bool indirect)
{
	struct vu_slot *s = &r->slots[i];
	const struct vring_packed_desc *t = (const struct vring_packed_desc *)(r->tables + 4 * i);
	uint16_t head = r->next, head_bits = r->avail_bits, head_flags, k;

	if (indirect) {
		struct vring_packed_desc *d = &r->pdesc[head];

		d->addr = s->table;
		d->len = sizeof(*t) * VU_CHAIN;
		d->id = i;
		head_flags = VRING_DESC_F_INDIRECT;
		vu_step(r, &r->next, &r->avail_bits, 1);
		r->batch += 1;
	} else {
		for (k = 0; k < VU_CHAIN; k++) {
			struct vring_packed_desc *d = &r->pdesc[r->next];

			d->addr = t[k].addr;
			d->len = t[k].len;
			d->id = i;
			if (k)
				STORE(&d->flags,
				      t[k].flags | r->avail_bits |
					      (k < VU_CHAIN - 1 ? VRING_DESC_F_NEXT : 0));
			vu_step(r, &r->next, &r->avail_bits, 1);
		}
		head_flags = VRING_DESC_F_NEXT;
		r->batch += VU_CHAIN;
	}
	/* Pairs with the device's acquire of the flags: what lies behind them is complete. */
	STORE_RELEASE(&r->pdesc[head].flags, head_flags | head_bits);
}

/* Adds slot i's request. vu_publish() is due: only then the device hears of it. */
VU_INLINE void vu_add(struct vu_ring *r, uint16_t i, uint32_t type, uint64_t sector, bool packed,
		      bool indirect)
{
	struct vu_head *h = &r->heads[i];

	h->hdr.type = type;
	h->hdr.ioprio = 0;
	h->hdr.sector = sector;
	h->status = 0xff;
	if (r->slots[i].type != type)
		vu_prepare(r, i, type, packed, indirect);
	if (packed) {
		vu_add_packed(r, i, indirect);
	} else {
		r->avail->ring[r->next & r->mask] = indirect ? i : VU_CHAIN * i;
		r->next++;
	}
}

/* Does the device want to hear of a packed ring's batch? */
VU_INLINE bool vu_packed_wanted(struct vu_ring *r)
{
	uint16_t lap = r->avail_bits & 1u << VRING_PACKED_DESC_F_AVAIL ? 1 : 0;
	/* Both halves at once: they belong together. */
	uint32_t both = LOAD((uint32_t *)r->device_event);
	uint16_t off_wrap = (uint16_t)both, flags = both >> 16, event;

	if (flags != VRING_PACKED_EVENT_FLAG_DESC)
		return flags != VRING_PACKED_EVENT_FLAG_DISABLE;
	event = off_wrap & 0x7fff;
	if (off_wrap >> VRING_PACKED_EVENT_F_WRAP_CTR != lap)
		event -= r->size;
	return vring_need_event(event, r->next, (uint16_t)(r->next - r->batch));
}

/* Shows the device what was added, and notifies it where it asked for that. */
VU_INLINE void vu_publish(struct vu_ring *r, bool packed)
{
	uint16_t old = r->published;
	bool wanted;

	if (!packed) {
		/* Pairs with the device's acquire of the index. */
		STORE_RELEASE(&r->avail->idx, r->next);
		r->published = r->next;
	}
	/* Pairs with the device's barrier between asking for a notification and looking again. */
	atomic_thread_fence(memory_order_seq_cst);
	if (packed)
		wanted = vu_packed_wanted(r);
	else if (r->event_idx)
		wanted = vring_need_event(LOAD((uint16_t *)&r->used->ring[r->size]), r->next, old);
	else
		wanted = !(LOAD(&r->used->flags) & VRING_USED_F_NO_NOTIFY);
	r->batch = 0;
	if (wanted) {
		uint64_t one = 1;

		r->kicks++;
		while (write(r->kick, &one, sizeof(one)) < 0)
			;
	}
}

VU_INLINE bool vu_packed_used(const struct vu_ring *r, uint16_t index, uint16_t bits)
{
	return (LOAD_ACQUIRE(&r->pdesc[index].flags) & VU_PACKED_BITS) == bits;
}

VU_INLINE bool vu_any_used(const struct vu_ring *r, bool packed)
{
	if (packed)
		return vu_packed_used(r, r->last, r->used_bits);
	return LOAD_ACQUIRE(&r->used->idx) != r->last;
}

/* Collects up to n slots. */
VU_INLINE unsigned int vu_reap(struct vu_ring *r, uint16_t *slots, unsigned int n, bool packed,
			       bool indirect)
{
	unsigned int got = 0, i;

	if (packed) {
		for (; got < n && vu_packed_used(r, r->last, r->used_bits); got++) {
			slots[got] = r->pdesc[r->last].id;
			vu_step(r, &r->last, &r->used_bits, indirect ? 1 : VU_CHAIN);
		}
	} else {
		got = (uint16_t)(LOAD_ACQUIRE(&r->used->idx) - r->last);
		if (got > n)
			got = n;
		for (i = 0; i < got; i++) {
			uint32_t id = r->used->ring[(uint16_t)(r->last + i) & r->mask].id;

			slots[i] = indirect ? id : id / VU_CHAIN;
		}
		r->last += got;
	}
	for (i = 0; i < got; i++)
		__builtin_prefetch(&r->heads[slots[i]], 1);
	return got;
}

/* Asks for an interrupt at the next completion. True where one is there already. */
VU_INLINE bool vu_arm(struct vu_ring *r, bool packed)
{
	if (packed) {
		uint16_t lap = r->used_bits ? 1 : 0;

		STORE(&r->driver_event->off_wrap, r->last | lap << VRING_PACKED_EVENT_F_WRAP_CTR);
		STORE_RELEASE(&r->driver_event->flags, r->event_idx
							       ? VRING_PACKED_EVENT_FLAG_DESC
							       : VRING_PACKED_EVENT_FLAG_ENABLE);
	} else if (r->event_idx) {
		STORE(&r->avail->ring[r->size], r->last);
	} else {
		STORE(&r->avail->flags, 0);
	}
	/* Pairs with the device's barrier between its used entries and its look at the event. */
	atomic_thread_fence(memory_order_seq_cst);
	return vu_any_used(r, packed);
}

/* Asks for no interrupts. */
VU_INLINE void vu_disarm(struct vu_ring *r, bool packed)
{
	if (packed)
		STORE(&r->driver_event->flags, VRING_PACKED_EVENT_FLAG_DISABLE);
	else if (r->event_idx)
		STORE(&r->avail->ring[r->size], (uint16_t)(r->last - 1));
	else
		STORE(&r->avail->flags, VRING_AVAIL_F_NO_INTERRUPT);
}

/* Polling: call after n completions; keeps a split ring's event index out of the device's way. */
VU_INLINE void vu_stay_parked(struct vu_ring *r, unsigned int n, bool packed)
{
	if (packed || !r->event_idx)
		return;
	r->parked += n;
	if (r->parked >= 0x4000) {
		r->parked = 0;
		STORE(&r->avail->ring[r->size], (uint16_t)(r->last - 1));
	}
}

/* Lays rings and slots out in the front end's memory: depth requests of len bytes. -ENOMEM. */
int vu_ring_init(struct vu_ring *r, struct vu_front *f, const struct vu_options *o, uint16_t depth,
		 uint32_t len, struct vu_ring_at *at);
void vu_ring_free(struct vu_ring *r);
/* Bytes of shared memory that this takes. */
size_t vu_ring_memory(uint16_t queue_size, uint16_t depth, uint32_t len);

VU_INLINE uint8_t *vu_data(const struct vu_ring *r, struct vu_front *f, uint16_t i)
{
	return f->mem + (r->slots[i].data - VU_GPA);
}

#endif
