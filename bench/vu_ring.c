/* SPDX-License-Identifier: BSD-3-Clause */
#include "vu_ring.h"

#include <errno.h>
#include <stdlib.h>

#define PAGE 4096u

static size_t up(size_t n)
{
	return (n + PAGE - 1) & ~(size_t)(PAGE - 1);
}

/* Offsets into the memory, each area from a page of its own. */
struct layout {
	size_t desc, driver, device, heads, tables, data, end;
};

static struct layout lay_out(uint16_t size, uint16_t depth, uint32_t len)
{
	struct layout l = { .desc = 0 };

	l.driver = l.desc + up(sizeof(struct vring_desc) * size);
	l.device = l.driver + up(sizeof(uint16_t) * (size + 3u));
	l.heads = l.device + up(sizeof(struct vring_used_elem) * size + 3 * sizeof(uint16_t));
	l.tables = l.heads + up(sizeof(struct vu_head) * depth);
	l.data = l.tables + up(sizeof(struct vring_desc) * 4 * depth);
	l.end = l.data + up(len) * depth;
	return l;
}

size_t vu_ring_memory(uint16_t queue_size, uint16_t depth, uint32_t len)
{
	return lay_out(queue_size, depth, len).end;
}

int vu_ring_init(struct vu_ring *r, struct vu_front *f, const struct vu_options *o, uint16_t depth,
		 uint32_t len, struct vu_ring_at *at)
{
	struct layout l = lay_out(f->queue_size, depth, len);
	uint16_t i;

	*r = (struct vu_ring){
		.size = f->queue_size,
		.mask = f->queue_size - 1,
		.len = len,
		.kick = f->kick,
		.event_idx = f->features & (1ull << VIRTIO_RING_F_EVENT_IDX),
		.avail_bits = 1u << VRING_PACKED_DESC_F_AVAIL,
		.used_bits = VU_PACKED_BITS,
	};
	r->slots = calloc(depth, sizeof(*r->slots));
	if (!r->slots)
		return -ENOMEM;
	if (o->packed) {
		r->pdesc = (void *)(f->mem + l.desc);
		r->driver_event = (void *)(f->mem + l.driver);
		r->device_event = (void *)(f->mem + l.device);
	} else {
		r->desc = (void *)(f->mem + l.desc);
		r->avail = (void *)(f->mem + l.driver);
		r->used = (void *)(f->mem + l.device);
	}
	r->heads = (void *)(f->mem + l.heads);
	r->tables = (void *)(f->mem + l.tables);
	for (i = 0; i < depth; i++) {
		r->slots[i].head = vu_gpa(f, &r->heads[i]);
		r->slots[i].table = vu_gpa(f, r->tables + 4 * i);
		r->slots[i].data = VU_GPA + l.data + up(len) * i;
		vu_prepare(r, i, VIRTIO_BLK_T_IN, o->packed, o->indirect);
	}
	*at = (struct vu_ring_at){ l.desc, l.driver, l.device };
	return 0;
}

void vu_ring_free(struct vu_ring *r)
{
	free(r->slots);
	r->slots = NULL;
}
