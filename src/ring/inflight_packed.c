/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The in-flight area of a packed virtqueue.
 *
 * Used descriptors overwrite available ones, so the area holds copies: each chain takes as many
 * entries from a free list as it has descriptors, and is known by the first of them. A step counts
 * when the "old" half of a word says so:
 *
 * - taking: all of the chain is written before old_free_head moves behind it. Whoever finds the
 *   area earlier starts the free list at old_free_head and so forgets the chain, which is still
 *   available in the ring.
 * - using: free_head and used_idx move, then the used descriptor is written, then the old values
 *   follow. Whoever finds the old position behind asks the ring whether the descriptor at it was
 *   written: then the step is completed, otherwise undone.
 *
 * vhost-user lets a device do the second for a whole batch. We do it for each buffer, at the flush:
 * a batch writes several used descriptors, which no order makes visible at once, and one that is
 * undone leaves used descriptors in the ring which the driver would find later, of buffers that are
 * being worked on again.
 *
 * The shadow has the links, so that a running ring never believes the area. The copies in the area
 * are read from the ring a second time, after the chain was judged: they are judged again before
 * they are used.
 */
#include "inflight_area.h"

struct shadow_entry {
	uint16_t next; /* in its chain or in the free list; size or more ends that */
	/* Of a chain's first entry. */
	uint16_t last;
	uint16_t num;
	uint16_t id;
	uint32_t written;
	uint8_t state;
};

/* The shadow: order, completions not yet published, entry of each id, and the entries. */
static uint16_t *pending_of(const struct tvq_ring *r)
{
	return tvq_inflight_order(r) + r->size;
}

static uint16_t *by_id(const struct tvq_ring *r)
{
	return pending_of(r) + r->size;
}

static size_t lists_bytes(uint16_t size)
{
	return (3 * (size_t)size * sizeof(uint16_t) + 7) & ~(size_t)7;
}

static struct shadow_entry *shadow_of(const struct tvq_ring *r)
{
	return (void *)((uint8_t *)r->shadow + lists_bytes(r->size));
}

uint32_t tvq_inflight_packed_shadow(uint16_t size)
{
	return (uint32_t)(lists_bytes(size) + size * sizeof(struct shadow_entry));
}

static struct tvq_packed_area *area_of(const struct tvq_ring *r)
{
	return r->inflight;
}

static uint64_t make_positions(uint16_t used, bool wrap, uint16_t old_used, bool old_wrap)
{
	return used | (uint64_t)old_used << 16 | (uint64_t)wrap << 32 | (uint64_t)old_wrap << 40;
}

static void store_head(struct tvq_ring *r, uint16_t free_head, uint16_t old_free_head)
{
	tvq_store_32(&area_of(r)->free_heads, free_head | (uint32_t)old_free_head << 16);
}

static void init(struct tvq_ring *r)
{
	struct tvq_packed_area *area = area_of(r);
	uint16_t i;

	for (i = 0; i < r->size; i++) {
		shadow_of(r)[i].next = i + 1;
		tvq_store_16(&area->desc[i].next, i + 1);
		tvq_store_8(&area->desc[i].inflight, 0);
	}
	store_head(r, 0, 0);
	tvq_store_64(&area->positions,
		     make_positions(r->used, r->used_wrap, r->used, r->used_wrap));
}

/* Completes or undoes what was going on, in the ring's position and free list alone. */
static int recover_position(struct tvq_ring *r)
{
	const uint32_t heads = tvq_load_32(&area_of(r)->free_heads);
	const uint64_t pos = tvq_load_64(&area_of(r)->positions);
	uint16_t free_head = (uint16_t)heads, old_free_head = (uint16_t)(heads >> 16);
	uint16_t used = (uint16_t)pos, old_used = (uint16_t)(pos >> 16);
	uint8_t wrap = (uint8_t)(pos >> 32), old_wrap = (uint8_t)(pos >> 40);

	if (used >= r->size || old_used >= r->size || wrap > 1 || old_wrap > 1)
		return -EBADMSG;
	r->inflight_head = old_free_head;
	r->used = old_used;
	r->used_wrap = old_wrap;
	if (used != old_used || wrap != old_wrap) {
		const struct tvq_desc *d = (struct tvq_desc *)r->desc + old_used;

		if (!tvq_packed_is_avail(tvq_load_64(&d->tail), old_wrap)) {
			r->inflight_head = free_head;
			r->used = used;
			r->used_wrap = wrap;
		}
	}
	return 0;
}

/*
 * Walks the free list. Returns its length; each entry can be in it once, so that bounds the time.
 */
static int recover_free(struct tvq_ring *r, bool *seen_of)
{
	struct shadow_entry *s = shadow_of(r);
	uint16_t i, n = 0;

	for (i = r->inflight_head; i < r->size; i = s[i].next) {
		if (seen_of[i])
			return -EBADMSG;
		seen_of[i] = true;
		n++;
	}
	return n;
}

/* Takes over the chain that begins at entry head. Returns its length. */
static int recover_chain(struct tvq_ring *r, uint16_t head, bool *seen_of)
{
	const struct tvq_packed_area_entry *e = &area_of(r)->desc[head];
	struct shadow_entry *s = shadow_of(r);
	const uint16_t num = tvq_load_16(&e->num), last = tvq_load_16(&e->last);
	uint16_t i = head, k, id;

	if (!num || num > r->size || last >= r->size)
		return -EBADMSG;
	for (k = 0;; i = s[i].next) {
		if (i >= r->size || seen_of[i] || (k && tvq_load_8(&area_of(r)->desc[i].inflight)))
			return -EBADMSG;
		seen_of[i] = true;
		if (++k == num)
			break;
	}
	id = tvq_load_16(&area_of(r)->desc[last].id);
	if (i != last || id >= r->size || by_id(r)[id] != TVQ_INFLIGHT_NONE)
		return -EBADMSG;
	by_id(r)[id] = head;
	s[head].id = id;
	s[head].num = num;
	s[head].last = last;
	s[head].state = TVQ_INFLIGHT_TAKEN;
	return num;
}

/*
 * Divides all entries into the free list and chains: nothing may be left, nothing be in two of
 * them.
 */
static int recover_entries(struct tvq_ring *r, uint16_t *n_chains)
{
	/* The list of completions is not in use yet; a byte for each entry fits twice. */
	bool *seen_of = (bool *)pending_of(r);
	struct shadow_entry *s = shadow_of(r);
	int n, total;
	uint16_t i;

	for (i = 0; i < r->size; i++) {
		s[i].next = tvq_load_16(&area_of(r)->desc[i].next);
		by_id(r)[i] = TVQ_INFLIGHT_NONE;
	}
	total = recover_free(r, seen_of);
	if (total < 0)
		return total;
	r->taken = r->size - (uint16_t)total;
	*n_chains = 0;
	for (i = 0; i < r->size; i++) {
		if (seen_of[i] || !tvq_load_8(&area_of(r)->desc[i].inflight))
			continue;
		n = recover_chain(r, i, seen_of);
		if (n < 0)
			return n;
		total += n;
		tvq_inflight_order(r)[(*n_chains)++] = i;
	}
	return total == r->size ? 0 : -EBADMSG;
}

int tvq_inflight_packed_start(struct tvq_ring *r, bool fresh)
{
	struct tvq_packed_area *area = area_of(r);
	uint16_t i, n;
	int err;

	if (fresh) {
		/* The area tells one position, not two. */
		if (r->taken)
			return -EINVAL;
		init(r);
		for (i = 0; i < r->size; i++)
			by_id(r)[i] = TVQ_INFLIGHT_NONE;
		return 0;
	}
	if (tvq_load_16(&area->desc_num) != r->size)
		return -EBADMSG;
	err = recover_position(r);
	if (err)
		return err;
	err = recover_entries(r, &n);
	if (err)
		return err;
	err = tvq_inflight_sort(r, &area->desc[0].counter, sizeof(area->desc[0]), n);
	if (err)
		return err;
	r->next_avail = r->used + r->taken;
	r->avail_wrap = r->used_wrap;
	if (r->next_avail >= r->size) {
		r->next_avail -= r->size;
		r->avail_wrap = !r->avail_wrap;
	}
	for (i = 0; i < r->size; i++) {
		if (shadow_of(r)[i].state == TVQ_INFLIGHT_FREE)
			tvq_store_8(&area->desc[i].inflight, 0);
	}
	tvq_compiler_barrier();
	store_head(r, r->inflight_head, r->inflight_head);
	tvq_compiler_barrier();
	tvq_store_64(&area->positions,
		     make_positions(r->used, r->used_wrap, r->used, r->used_wrap));
	tvq_inflight_wrote(r, area, r->inflight_size);
	r->resubmit_n = n;
	return 0;
}

int tvq_inflight_packed_resubmit(struct tvq_ring *r, uint16_t entry, struct tvq_chain *c)
{
	const struct shadow_entry *s = &shadow_of(r)[entry];
	uint16_t i = entry, k;
	int err, met = 0;
	struct tvq_walk w;

	tvq_walk_start(&w, r->view, c);
	for (k = 0; k < s->num; k++, i = shadow_of(r)[i].next) {
		const struct tvq_packed_area_entry *e = &area_of(r)->desc[i];
		const uint16_t flags = tvq_load_16(&e->flags);
		const uint32_t len = tvq_load_32(&e->len);
		const uint64_t addr = tvq_load_64(&e->addr);

		if (!(flags & VRING_DESC_F_NEXT) != (k + 1 == s->num))
			return -EBADMSG;
		if (flags & VRING_DESC_F_INDIRECT) {
			if (!r->indirect || s->num != 1)
				return -EPROTO;
			err = tvq_packed_walk_table(&w, addr, len);
			met = err;
		} else {
			err = tvq_walk_add(&w, addr, len, flags & VRING_DESC_F_WRITE);
		}
		if (err < 0)
			return err;
	}
	tvq_walk_end(&w, s->id, s->num);
	return met + s->num;
}

int tvq_inflight_packed_take(struct tvq_ring *r, const struct tvq_chain *c)
{
	const struct tvq_desc *ring = r->desc;
	struct tvq_packed_area *area = area_of(r);
	struct shadow_entry *s = shadow_of(r);
	const uint16_t head = r->inflight_head;
	uint16_t i = head, last = head, slot = r->next_avail, k;

	if (by_id(r)[c->id] != TVQ_INFLIGHT_NONE)
		return -EBADMSG;
	by_id(r)[c->id] = head;
	tvq_store_16(&area->desc[head].num, 0);
	tvq_store_64(&area->desc[head].counter, r->inflight_counter++);
	tvq_store_8(&area->desc[head].inflight, 1);
	for (k = 0; k < c->n_desc; k++) {
		struct tvq_packed_area_entry *e = &area->desc[i];
		const uint64_t tail = tvq_load_64(&ring[slot].tail);

		tvq_store_64(&e->addr, tvq_load_64(&ring[slot].addr));
		tvq_store_32(&e->len, tvq_tail_len(tail));
		tvq_store_16(&e->flags, tvq_packed_tail_flags(tail));
		tvq_store_16(&e->id, c->id);
		tvq_inflight_wrote(r, e, sizeof(*e));
		last = i;
		i = s[i].next;
		if (++slot == r->size)
			slot = 0;
	}
	s[head].id = c->id;
	s[head].num = c->n_desc;
	s[head].last = last;
	s[head].state = TVQ_INFLIGHT_TAKEN;
	tvq_store_16(&area->desc[head].last, last);
	tvq_store_16(&area->desc[head].num, c->n_desc);
	tvq_inflight_wrote(r, &area->desc[head], sizeof(area->desc[head]));
	r->inflight_head = i;
	tvq_compiler_barrier();
	store_head(r, i, i);
	tvq_inflight_wrote(r, area, sizeof(*area));
	return 0;
}

/*
 * Puts a chain's entries in front of the free list. It is still in flight until old_free_head
 * follows.
 */
static void give_back(struct tvq_ring *r, uint16_t head)
{
	struct shadow_entry *s = shadow_of(r);
	const uint16_t last = s[head].last;

	s[last].next = r->inflight_head;
	tvq_store_16(&area_of(r)->desc[last].next, r->inflight_head);
	tvq_inflight_wrote(r, &area_of(r)->desc[last], sizeof(area_of(r)->desc[last]));
	tvq_compiler_barrier();
	store_head(r, head, r->inflight_head);
	r->inflight_head = head;
	by_id(r)[s[head].id] = TVQ_INFLIGHT_NONE;
	s[head].state = TVQ_INFLIGHT_FREE;
}

static void forget(struct tvq_ring *r, uint16_t head)
{
	tvq_store_8(&area_of(r)->desc[head].inflight, 0);
	tvq_inflight_wrote(r, &area_of(r)->desc[head], sizeof(area_of(r)->desc[head]));
	tvq_compiler_barrier();
	store_head(r, head, head);
}

void tvq_inflight_packed_untake(struct tvq_ring *r, const struct tvq_chain *c)
{
	const uint16_t head = by_id(r)[c->id];

	if (head == TVQ_INFLIGHT_NONE)
		return;
	give_back(r, head);
	tvq_compiler_barrier();
	store_head(r, head, head);
	tvq_compiler_barrier();
	forget(r, head);
	tvq_inflight_wrote(r, area_of(r), sizeof(*area_of(r)));
}

void tvq_inflight_packed_add_used(struct tvq_ring *r, const struct tvq_chain *c, uint32_t written)
{
	const uint16_t head = by_id(r)[c->id];
	struct shadow_entry *s = shadow_of(r);

	if (head == TVQ_INFLIGHT_NONE || s[head].state != TVQ_INFLIGHT_TAKEN) {
		tvq_ring_break(r, -EBADMSG);
		return;
	}
	s[head].state = TVQ_INFLIGHT_RECORDED;
	s[head].written = written;
	pending_of(r)[r->inflight_pending++] = head;
}

void tvq_inflight_packed_flush(struct tvq_ring *r)
{
	struct tvq_packed_area *area = area_of(r);
	const struct shadow_entry *s = shadow_of(r);
	uint16_t i;

	for (i = 0; i < r->inflight_pending; i++) {
		const uint16_t head = pending_of(r)[i], id = s[head].id, num = s[head].num;
		uint16_t old = r->used, next = old + num;
		bool old_wrap = r->used_wrap, wrap = old_wrap;

		if (next >= r->size) {
			next -= r->size;
			wrap = !wrap;
		}
		give_back(r, head);
		tvq_store_64(&area->positions, make_positions(next, wrap, old, old_wrap));
		tvq_compiler_barrier();
		tvq_packed_put_used(r, id, num, s[head].written);
		tvq_compiler_barrier();
		forget(r, head);
		tvq_compiler_barrier();
		tvq_store_64(&area->positions, make_positions(next, wrap, next, wrap));
		tvq_inflight_wrote(r, area, sizeof(*area));
	}
	r->inflight_pending = 0;
}
