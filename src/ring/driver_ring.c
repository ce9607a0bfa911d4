/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver half of a virtqueue: memory, and what both formats share. */

#include "driver_priv.h"
#include "ring.h"

/*
 * Areas do not share cache lines, so that one side's polling does not slow the other side's
 * writing.
 */
#define AREA_ALIGN 128

static uint64_t area_end(uint64_t off, uint64_t bytes)
{
	return (off + bytes + AREA_ALIGN - 1) / AREA_ALIGN * AREA_ALIGN;
}

static uint64_t driver_off(bool packed, uint16_t size)
{
	return area_end(0, tvq_ring_desc_bytes(packed, size));
}

static uint64_t device_off(bool packed, uint16_t size)
{
	return area_end(driver_off(packed, size), tvq_ring_driver_bytes(packed, size));
}

static uint64_t tables_off(bool packed, uint16_t size)
{
	return area_end(device_off(packed, size), tvq_ring_device_bytes(packed, size));
}

uint64_t tvq_drv_ring_bytes(bool packed, uint16_t size, uint16_t indirect_max)
{
	return tables_off(packed, size) + (uint64_t)size * indirect_max * sizeof(struct tvq_desc);
}

struct tvq_drv_ring *tvq_drv_ring_new(const struct tvq_os *os, const struct tvq_drv_ring_cfg *cfg,
				      uint16_t indirect_max)
{
	struct tvq_drv_ring *r;
	size_t bytes;
	uint16_t i;

	if (!tvq_ring_size_ok(cfg->packed, cfg->size) || (uintptr_t)cfg->mem & 4095)
		return NULL;
	bytes = sizeof(*r) + cfg->size * (sizeof(*r->entry) + 2 * sizeof(*r->next));
	r = os->alloc(bytes);
	if (!r)
		return NULL;
	r->os = os;
	r->bytes = bytes;
	r->entry = (void *)(r + 1);
	r->next = (void *)(r->entry + cfg->size);
	r->order = r->next + cfg->size;
	r->packed = cfg->packed;
	r->event_idx = cfg->event_idx;
	r->in_order = cfg->in_order;
	r->indirect = cfg->indirect && indirect_max;
	r->indirect_max = cfg->indirect ? indirect_max : 0;
	r->size = cfg->size;
	r->avail_wrap = r->packed;
	r->used_wrap = r->packed;
	r->n_free = cfg->size;
	r->iova = cfg->iova;
	r->driver_off = driver_off(cfg->packed, cfg->size);
	r->device_off = device_off(cfg->packed, cfg->size);
	r->desc = cfg->mem;
	r->driver = (uint8_t *)cfg->mem + r->driver_off;
	r->device = (uint8_t *)cfg->mem + r->device_off;
	r->tables = (void *)((uint8_t *)cfg->mem + tables_off(cfg->packed, cfg->size));
	r->tables_iova = cfg->iova + tables_off(cfg->packed, cfg->size);
	for (i = 0; i < cfg->size; i++)
		r->next[i] = i + 1 < cfg->size ? i + 1 : 0;
	return r;
}

void tvq_drv_ring_free(struct tvq_drv_ring *r)
{
	if (r)
		r->os->free(r, r->bytes);
}

void tvq_drv_ring_areas(const struct tvq_drv_ring *r, uint64_t *desc, uint64_t *driver,
			uint64_t *device)
{
	*desc = r->iova;
	*driver = r->iova + r->driver_off;
	*device = r->iova + r->device_off;
}

int tvq_drv_ring_add(struct tvq_drv_ring *r, const struct tvq_sg *sg, unsigned int n_out,
		     unsigned int n_in, void *token)
{
	unsigned int n = n_out + n_in;

	if (r->broken)
		return -EIO;
	if (!n || n < n_out || !token)
		return -EINVAL;
	if (n > r->size && !tvq_drv_goes_indirect(r, n))
		return -EINVAL;
	if (r->packed)
		return tvq_drv_packed_add(r, sg, n_out, n, token);
	return tvq_drv_split_add(r, sg, n_out, n, token);
}

bool tvq_drv_ring_publish(struct tvq_drv_ring *r)
{
	return r->packed ? tvq_drv_packed_publish(r) : tvq_drv_split_publish(r);
}

static bool next_used(struct tvq_drv_ring *r, uint16_t *id, uint32_t *written)
{
	return r->packed ? tvq_drv_packed_next(r, id, written) : tvq_drv_split_next(r, id, written);
}

static void *take(struct tvq_drv_ring *r, uint16_t id)
{
	void *token = r->entry[id].token;

	if (r->packed) {
		tvq_drv_packed_pass(r, id);
		tvq_drv_packed_free(r, id);
	} else {
		r->used++;
		tvq_drv_split_free(r, id);
	}
	return token;
}

/*
 * With IN_ORDER a used entry names the last buffer of a run, all of which were used (virtio 1.4,
 * 2.7.9 and 2.8.8): the ones before are those that were added before, and count as written from
 * end to end. The named one is in flight, so that the run ends.
 */
static void *get_in_order(struct tvq_drv_ring *r, uint32_t *written)
{
	uint16_t id;

	if (!r->in_run && !next_used(r, &r->run_last, &r->run_written))
		return NULL;
	/* The index in a split ring counts the run's buffers, one by one. */
	if (!r->packed && r->used == r->used_seen) {
		r->broken = true;
		return NULL;
	}
	id = r->order[r->order_first];
	if (++r->order_first == r->size)
		r->order_first = 0;
	r->in_run = id != r->run_last;
	*written = r->in_run ? r->entry[id].in_len : r->run_written;
	return take(r, id);
}

void *tvq_drv_ring_get(struct tvq_drv_ring *r, uint32_t *written)
{
	uint16_t id;

	if (r->broken)
		return NULL;
	if (r->in_order)
		return get_in_order(r, written);
	return next_used(r, &id, written) ? take(r, id) : NULL;
}

bool tvq_drv_ring_broken(const struct tvq_drv_ring *r)
{
	return r->broken;
}

unsigned int tvq_drv_ring_in_flight(const struct tvq_drv_ring *r)
{
	return r->in_flight;
}

static void interrupts(struct tvq_drv_ring *r, bool on)
{
	if (r->packed)
		tvq_drv_packed_interrupts(r, on);
	else
		tvq_drv_split_interrupts(r, on);
}

void tvq_drv_ring_interrupts_off(struct tvq_drv_ring *r)
{
	interrupts(r, false);
}

bool tvq_drv_ring_interrupts_on(struct tvq_drv_ring *r)
{
	interrupts(r, true);
	/*
	 * Pairs with the device's full barrier between publishing a used buffer and its look at our
	 * wish: either it sees the wish and interrupts, or we see the buffer.
	 */
	tvq_mb();
	if (r->in_run)
		return true;
	return r->packed ? tvq_drv_packed_used_there(r) : tvq_drv_split_used_there(r);
}

void *tvq_drv_ring_detach(struct tvq_drv_ring *r)
{
	while (r->in_flight) {
		uint16_t i = (uint16_t)(r->detach_at++ % r->size);
		void *token = r->entry[i].token;

		if (!token)
			continue;
		if (r->packed)
			tvq_drv_packed_free(r, i);
		else
			tvq_drv_split_free(r, i);
		return token;
	}
	r->detach_at = 0;
	return NULL;
}
