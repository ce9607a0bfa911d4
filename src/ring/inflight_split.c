/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The in-flight area of a split virtqueue.
 *
 * Taking a chain marks its head in flight. Recording it as used links its head into the list of the
 * batch; publishing the used index is what counts, and only then the heads of the batch are
 * unmarked and the index noted. Whoever finds the area with an older index than the ring's knows by
 * the difference how many heads of the list are done although they may still be marked.
 *
 * Where the ring goes on follows from it: all that is marked was available, none of it is used, so
 * the next available index is the used index plus their number. A new area has nothing in flight,
 * so there it is the used index itself: were it another position, the area could not tell it later.
 */
#include "inflight_area.h"

/* The shadow: order, then the batch not yet published, then a state for each head. */
static uint16_t *batch_of(const struct tvq_ring *r)
{
	return tvq_inflight_order(r) + r->size;
}

static uint8_t *state_of(const struct tvq_ring *r)
{
	return (uint8_t *)(batch_of(r) + r->size);
}

uint32_t tvq_inflight_split_shadow(uint16_t size)
{
	return size * 5u;
}

static struct tvq_split_area *area_of(const struct tvq_ring *r)
{
	return r->inflight;
}

static void set_inflight(struct tvq_ring *r, uint16_t head, bool inflight)
{
	struct tvq_split_area_entry *e = &area_of(r)->desc[head];

	tvq_store_8(&e->inflight, inflight);
	tvq_inflight_wrote(r, e, sizeof(*e));
}

/* Marks, in the shadow alone, the heads that the last batch completed. */
static int find_last_batch(struct tvq_ring *r, uint16_t used_idx)
{
	const struct tvq_split_area *area = area_of(r);
	const uint16_t n = (uint16_t)(used_idx - tvq_load_16(&area->used_idx));
	uint16_t i, head = tvq_load_16(&area->last_batch_head);

	r->inflight_head = head;
	if (n > r->size)
		return -EBADMSG;
	for (i = 0; i < n; i++) {
		if (head >= r->size || state_of(r)[head] == TVQ_INFLIGHT_RECORDED)
			return -EBADMSG;
		state_of(r)[head] = TVQ_INFLIGHT_RECORDED;
		head = tvq_load_16(&area->desc[head].next);
	}
	return 0;
}

static int collect(struct tvq_ring *r, uint16_t *n_inflight)
{
	const struct tvq_split_area *area = area_of(r);
	uint16_t i, n = 0;

	for (i = 0; i < r->size; i++) {
		uint8_t inflight = tvq_load_8(&area->desc[i].inflight);

		if (inflight > 1)
			return -EBADMSG;
		if (!inflight || state_of(r)[i] == TVQ_INFLIGHT_RECORDED)
			continue;
		state_of(r)[i] = TVQ_INFLIGHT_TAKEN;
		tvq_inflight_order(r)[n++] = i;
	}
	*n_inflight = n;
	return 0;
}

static void set_position(struct tvq_ring *r, uint16_t used_idx, uint16_t n_inflight)
{
	r->used = used_idx;
	r->used_published = used_idx;
	r->next_avail = (uint16_t)(used_idx + n_inflight);
	r->avail_seen = r->next_avail;
}

static void init(struct tvq_ring *r, uint16_t used_idx)
{
	struct tvq_split_area *area = area_of(r);
	uint16_t i;

	for (i = 0; i < r->size; i++)
		tvq_store_8(&area->desc[i].inflight, 0);
	tvq_store_16(&area->last_batch_head, 0);
	tvq_store_16(&area->used_idx, used_idx);
	set_position(r, used_idx, 0);
}

int tvq_inflight_split_start(struct tvq_ring *r, bool fresh)
{
	struct tvq_split_area *area = area_of(r);
	const uint16_t used_idx = tvq_load_16(&((struct tvq_split_used *)r->device)->idx);
	uint16_t i, n, desc_num;
	int err;

	if (fresh) {
		init(r, used_idx);
		return 0;
	}
	/*
	 * vhost-user sizes the array for the largest queue; a driver may have chosen a smaller one.
	 */
	desc_num = tvq_load_16(&area->desc_num);
	if (desc_num < r->size || r->inflight_size < tvq_inflight_bytes(false, desc_num))
		return -EBADMSG;
	err = find_last_batch(r, used_idx);
	if (err)
		return err;
	err = collect(r, &n);
	if (err)
		return err;
	set_position(r, used_idx, n);
	/* What was never made available cannot be in flight. */
	if ((uint16_t)(tvq_load_16(&((struct tvq_split_avail *)r->driver)->idx) - r->next_avail) >
	    r->size - n)
		return -EBADMSG;
	err = tvq_inflight_sort(r, &area->desc[0].counter, sizeof(area->desc[0]), n);
	if (err)
		return err;
	for (i = 0; i < r->size; i++) {
		if (state_of(r)[i] == TVQ_INFLIGHT_RECORDED) {
			state_of(r)[i] = TVQ_INFLIGHT_FREE;
			set_inflight(r, i, false);
		}
	}
	tvq_compiler_barrier();
	tvq_store_16(&area->used_idx, used_idx);
	tvq_inflight_wrote(r, area, sizeof(*area));
	r->resubmit_n = n;
	return 0;
}

int tvq_inflight_split_take(struct tvq_ring *r, uint16_t head)
{
	if (state_of(r)[head] != TVQ_INFLIGHT_FREE)
		return -EBADMSG;
	state_of(r)[head] = TVQ_INFLIGHT_TAKEN;
	tvq_store_64(&area_of(r)->desc[head].counter, r->inflight_counter++);
	tvq_compiler_barrier();
	set_inflight(r, head, true);
	return 0;
}

void tvq_inflight_split_untake(struct tvq_ring *r, uint16_t head)
{
	state_of(r)[head] = TVQ_INFLIGHT_FREE;
	set_inflight(r, head, false);
}

int tvq_inflight_split_add_used(struct tvq_ring *r, uint16_t head)
{
	struct tvq_split_area *area = area_of(r);

	if (state_of(r)[head] != TVQ_INFLIGHT_TAKEN)
		return tvq_ring_break(r, -EBADMSG);
	state_of(r)[head] = TVQ_INFLIGHT_RECORDED;
	batch_of(r)[r->inflight_pending++] = head;
	tvq_store_16(&area->desc[head].next, r->inflight_head);
	tvq_inflight_wrote(r, &area->desc[head], sizeof(area->desc[head]));
	tvq_compiler_barrier();
	tvq_store_16(&area->last_batch_head, head);
	tvq_inflight_wrote(r, area, sizeof(*area));
	r->inflight_head = head;
	return 0;
}

void tvq_inflight_split_flushed(struct tvq_ring *r)
{
	uint16_t i;

	tvq_compiler_barrier();
	for (i = 0; i < r->inflight_pending; i++) {
		set_inflight(r, batch_of(r)[i], false);
		state_of(r)[batch_of(r)[i]] = TVQ_INFLIGHT_FREE;
	}
	r->inflight_pending = 0;
	tvq_compiler_barrier();
	tvq_store_16(&area_of(r)->used_idx, r->used);
	tvq_inflight_wrote(r, area_of(r), sizeof(*area_of(r)));
}
