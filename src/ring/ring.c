/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device half of a virtqueue: start, and what both formats share. One branch on the format a
 * call, none a descriptor.
 */
#include <string.h>

#include "chain.h"
#include "inflight.h"

static int find_area(struct tvq_dma_view *view, uint64_t iova, uint64_t bytes, uint64_t align,
		     uint32_t perm, void **va)
{
	*va = tvq_dma_ptr(view, iova, bytes, perm);
	/* Accesses are by whole words, so the memory behind has to be aligned as well. */
	return *va && !((uintptr_t)*va & (align - 1)) ? 0 : -EFAULT;
}

static int find_areas(struct tvq_ring *r)
{
	const uint32_t desc_perm = r->packed ? TVQ_DMA_READ | TVQ_DMA_WRITE : TVQ_DMA_READ;
	int err;

	err = find_area(r->view, r->desc_iova, tvq_ring_desc_bytes(r->packed, r->size),
			tvq_ring_desc_align(r->packed), desc_perm, &r->desc);
	if (err)
		return err;
	err = find_area(r->view, r->driver_iova, tvq_ring_driver_bytes(r->packed, r->size),
			tvq_ring_driver_align(r->packed), TVQ_DMA_READ, &r->driver);
	if (err)
		return err;
	return find_area(r->view, r->device_iova, tvq_ring_device_bytes(r->packed, r->size),
			 tvq_ring_device_align(r->packed), TVQ_DMA_READ | TVQ_DMA_WRITE,
			 &r->device);
}

static bool area_ok(uint64_t iova, uint64_t bytes, uint64_t align)
{
	return !(iova & (align - 1)) && iova + bytes - 1 >= iova;
}

static int set_position(struct tvq_ring *r, const struct tvq_ring_cfg *cfg)
{
	uint32_t avail, used;

	if (!r->packed) {
		r->next_avail = cfg->avail_idx;
		r->avail_seen = cfg->avail_idx;
		r->used = cfg->avail_idx;
		r->used_published = cfg->avail_idx;
		return 0;
	}
	r->next_avail = cfg->avail_idx & 0x7fff;
	r->avail_wrap = cfg->avail_idx >> 15;
	r->used = cfg->used_idx & 0x7fff;
	r->used_wrap = cfg->used_idx >> 15;
	if (r->next_avail >= r->size || r->used >= r->size)
		return -EINVAL;
	/* Two laps tell all positions apart; the used one is at most a ring's size behind. */
	avail = r->next_avail + (r->avail_wrap != r->used_wrap ? r->size : 0);
	used = r->used;
	if (avail < used || avail - used > r->size)
		return -EINVAL;
	r->taken = (uint16_t)(avail - used);
	return 0;
}

int tvq_ring_start(struct tvq_ring *r, const struct tvq_ring_cfg *cfg, struct tvq_dma_view *view,
		   struct tvq_dma_view *inflight_view)
{
	int err, position;

	memset(r, 0, sizeof(*r));
	if (!tvq_ring_size_ok(cfg->packed, cfg->size))
		return -EINVAL;
	if (!area_ok(cfg->desc, tvq_ring_desc_bytes(cfg->packed, cfg->size),
		     tvq_ring_desc_align(cfg->packed)) ||
	    !area_ok(cfg->driver, tvq_ring_driver_bytes(cfg->packed, cfg->size),
		     tvq_ring_driver_align(cfg->packed)) ||
	    !area_ok(cfg->device, tvq_ring_device_bytes(cfg->packed, cfg->size),
		     tvq_ring_device_align(cfg->packed)))
		return -EINVAL;
	r->view = view;
	r->size = cfg->size;
	r->packed = cfg->packed;
	r->event_idx = cfg->event_idx;
	r->indirect = cfg->indirect;
	r->in_order = cfg->in_order;
	r->desc_iova = cfg->desc;
	r->driver_iova = cfg->driver;
	r->device_iova = cfg->device;
	position = set_position(r, cfg);
	if (position && !cfg->inflight_size)
		return position;
	err = find_areas(r);
	if (err || !cfg->inflight_size)
		return err;
	r->inflight_view = inflight_view;
	err = tvq_inflight_start(r, cfg);
	/* An area that was in use says where the ring is, whatever cfg says (TQ-131). */
	return err || r->first_signal ? err : position;
}

int tvq_ring_remap(struct tvq_ring *r)
{
	int err = find_areas(r);

	if (err || !r->inflight_size)
		return err;
	return tvq_inflight_remap(r);
}

int tvq_ring_break(struct tvq_ring *r, int err)
{
	r->error = (int16_t)err;
	return err;
}

/*
 * Memory that vanished reads as zeroes from then on, so whatever was read since the last look is
 * void. The counter is bumped by the fault itself, on this thread, before the read returns.
 */
static tvq_noinline bool lost(struct tvq_ring *r, unsigned int count)
{
	r->lost_seen = count;
	return tvq_dma_view_lost(r->view) || (r->inflight && tvq_dma_view_lost(r->inflight_view));
}

int tvq_ring_take(struct tvq_ring *r, struct tvq_chain *const *c, unsigned int n)
{
	unsigned int count;
	int ret;

	if (tvq_unlikely(r->error))
		return r->error;
	if (tvq_unlikely(r->resubmit_done < r->resubmit_n))
		ret = tvq_inflight_resubmit(r, c, n);
	else if (r->packed)
		ret = tvq_packed_take(r, c, n);
	else
		ret = tvq_split_take(r, c, n);
	count = atomic_load_explicit(&tvq_dma_lost_count, memory_order_relaxed);
	if (tvq_unlikely(count != r->lost_seen) && lost(r, count))
		ret = -EIO;
	return tvq_unlikely(ret < 0) ? tvq_ring_break(r, ret) : ret;
}

unsigned int tvq_ring_take_bufs(struct tvq_ring *r, struct tvq_buf *b, unsigned int n, bool write)
{
	unsigned int got;

	if (tvq_unlikely(r->error || r->inflight || r->view->log))
		return 0;
	got = r->packed ? tvq_packed_take_bufs(r, b, n, write)
			: tvq_split_take_bufs(r, b, n, write);
	/* Whether what vanished was this ring's is tvq_ring_take()'s to find out. */
	if (tvq_unlikely(atomic_load_explicit(&tvq_dma_lost_count, memory_order_relaxed) !=
			 r->lost_seen)) {
		tvq_ring_untake_bufs(r, got);
		return 0;
	}
	return got;
}

void tvq_ring_untake_bufs(struct tvq_ring *r, unsigned int n)
{
	if (r->packed)
		tvq_packed_untake_bufs(r, n);
	else
		r->next_avail = (uint16_t)(r->next_avail - n);
}

void tvq_ring_add_used_bufs(struct tvq_ring *r, const struct tvq_buf *b, const uint32_t *written,
			    unsigned int n)
{
	if (r->packed)
		tvq_packed_add_used_bufs(r, b, written, n);
	else
		tvq_split_add_used_bufs(r, b, written, n);
}

void tvq_ring_untake(struct tvq_ring *r, const struct tvq_chain *c)
{
	if (r->packed)
		tvq_packed_untake(r, c);
	else
		tvq_split_untake(r, c);
}

void tvq_ring_add_used(struct tvq_ring *r, const struct tvq_chain *c, uint32_t written)
{
	if (r->packed)
		tvq_packed_add_used(r, c, written);
	else
		tvq_split_add_used(r, c, written);
}

bool tvq_ring_flush(struct tvq_ring *r)
{
	bool signal = r->packed ? tvq_packed_flush(r) : tvq_split_flush(r);

	if (tvq_unlikely(r->first_signal)) {
		r->first_signal = false;
		return true;
	}
	return signal;
}

void tvq_ring_notify_off(struct tvq_ring *r)
{
	if (r->packed)
		tvq_packed_notify_off(r);
	else
		tvq_split_notify_off(r);
}

bool tvq_ring_notify_on(struct tvq_ring *r)
{
	if (r->packed)
		tvq_packed_notify_on(r);
	else
		tvq_split_notify_on(r);
	/*
	 * Pairs with the driver's full barrier between making a buffer available and its look at
	 * our wish: either it sees the wish and notifies, or we see the buffer.
	 */
	tvq_mb();
	return tvq_ring_has_work(r);
}

bool tvq_ring_has_work(const struct tvq_ring *r)
{
	if (tvq_unlikely(r->error || r->resubmit_done < r->resubmit_n))
		return true;
	return r->packed ? tvq_packed_more(r) : tvq_split_more(r);
}

void tvq_ring_position(const struct tvq_ring *r, uint16_t *avail_idx, uint16_t *used_idx)
{
	*avail_idx = (uint16_t)(r->next_avail | r->avail_wrap << 15);
	*used_idx = (uint16_t)(r->used | r->used_wrap << 15);
}
