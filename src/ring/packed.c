/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device half of a packed virtqueue (virtio 1.4, 2.8).
 *
 * Positions are a slot and a wrap counter that turns over with each lap; sizes need not be powers
 * of two. Two positions move over the same ring: next_avail, where the next chain starts, and used,
 * where the next used descriptor goes; taken is the number of slots from the one to the other. A
 * driver that obeys the rules has at most size slots in the device's hands, so taken never exceeds
 * size.
 *
 * What is recorded as used is written into the ring at once, but for the first descriptor since the
 * last flush: a driver looks at that slot first, so its store publishes all of them. With an
 * in-flight area nothing is written before the flush (see inflight_packed.c).
 *
 * Trust boundary: packed_walk().
 */
#include "chain.h"
#include "inflight.h"

static inline struct tvq_desc *desc_of(const struct tvq_ring *r)
{
	return r->desc;
}

static inline uint16_t tail_id(uint64_t tail)
{
	return (uint16_t)(tail >> 32);
}

static tvq_always_inline int walk_table(struct tvq_walk *w, uint64_t addr, uint32_t len)
{
	struct tvq_table t = { 0 };
	struct tvq_desc d = { 0 };
	uint32_t i;
	int err;

	err = tvq_table_open(w->view, addr, len, &t);
	if (err)
		return err;
	for (i = 0; i < t.n; i++) {
		uint16_t flags;

		err = tvq_table_read(w->view, &t, i, &d);
		if (tvq_unlikely(err))
			return err;
		/* Of the flags only WRITE means something here; all entries belong to the chain. */
		flags = tvq_packed_tail_flags(d.tail);
		if (tvq_unlikely(flags & VRING_DESC_F_INDIRECT))
			return -EPROTO;
		err = tvq_walk_add(w, d.addr, tvq_tail_len(d.tail), flags & VRING_DESC_F_WRITE);
		if (tvq_unlikely(err))
			return err;
	}
	return (int)t.n;
}

/*
 * Follows the chain at next_avail whose first descriptor's tail was read already. Descriptors met,
 * or -errno. Of a chain the driver writes the first descriptor's flags last: the others need no
 * barrier.
 */
static tvq_always_inline int walk(struct tvq_ring *r, uint64_t tail, struct tvq_chain *c)
{
	const uint16_t room = r->size - r->taken;
	const struct tvq_desc *ring = desc_of(r);
	uint16_t slot = r->next_avail, n_desc = 0;
	int err, met = 0;
	struct tvq_walk w;

	tvq_walk_start(&w, r->view, c);
	for (;;) {
		const uint64_t addr = tvq_load_64(&ring[slot].addr);
		const uint16_t flags = tvq_packed_tail_flags(tail);

		if (tvq_unlikely(n_desc == room))
			return room == r->size ? -ELOOP : -EBADMSG;
		n_desc++;
		if (tvq_unlikely(flags & VRING_DESC_F_INDIRECT)) {
			if (!r->indirect || flags & VRING_DESC_F_NEXT || n_desc > 1)
				return -EPROTO;
			met = walk_table(&w, addr, tvq_tail_len(tail));
			if (met < 0)
				return met;
			break;
		}
		err = tvq_walk_add(&w, addr, tvq_tail_len(tail), flags & VRING_DESC_F_WRITE);
		if (tvq_unlikely(err))
			return err;
		if (!(flags & VRING_DESC_F_NEXT))
			break;
		if (++slot == r->size)
			slot = 0;
		tail = tvq_load_64(&ring[slot].tail);
	}
	if (tvq_unlikely(tail_id(tail) >= r->size))
		return -EBADMSG;
	tvq_walk_end(&w, tail_id(tail), n_desc);
	return met + n_desc;
}

int tvq_packed_walk_table(struct tvq_walk *w, uint64_t addr, uint32_t len)
{
	return walk_table(w, addr, len);
}

int tvq_packed_take(struct tvq_ring *r, struct tvq_chain *const *c, unsigned int n)
{
	const struct tvq_desc *ring = desc_of(r);
	int err, done = 0, met = 0;

	if (n > TVQ_RING_MAX_SIZE)
		n = TVQ_RING_MAX_SIZE;
	while (done < (int)n) {
		/* Pairs with the driver's release store of the flags: the whole chain is there. */
		const uint64_t tail = tvq_load_64_acquire(&ring[r->next_avail].tail);

		if (!tvq_packed_is_avail(tail, r->avail_wrap))
			break;
		err = walk(r, tail, c[done]);
		if (tvq_likely(err > 0)) {
			met += err;
			err = 0;
			if (tvq_unlikely(r->inflight != NULL))
				err = tvq_inflight_packed_take(r, c[done]);
		}
		if (tvq_unlikely(err < 0))
			return done ? done : err;
		r->taken += c[done]->n_desc;
		r->next_avail += c[done]->n_desc;
		if (r->next_avail >= r->size) {
			r->next_avail -= r->size;
			r->avail_wrap = !r->avail_wrap;
		}
		done++;
		if (tvq_unlikely(met > TVQ_TAKE_DESCS))
			break;
	}
	return done;
}

static tvq_always_inline unsigned int take_bufs(struct tvq_ring *r, struct tvq_buf *b,
						unsigned int n, bool write)
{
	const uint16_t checked = TVQ_PACKED_AVAIL | TVQ_PACKED_USED | VRING_DESC_F_NEXT |
				 VRING_DESC_F_WRITE | VRING_DESC_F_INDIRECT;
	const uint16_t dir = write ? VRING_DESC_F_WRITE : 0, size = r->size;
	const struct tvq_desc *ring = desc_of(r);
	uint16_t want = tvq_packed_avail_flags(r->avail_wrap) | dir;
	uint16_t slot = r->next_avail;
	struct tvq_window w;
	unsigned int i;

	/* A driver that makes more available than there is room for: tvq_packed_take() reports. */
	if (n > (unsigned int)(size - r->taken))
		n = size - r->taken;
	tvq_window_open(&w, r->view, write);
	for (i = 0; i < n; i++) {
		/* Pairs with the driver's release store of the flags. */
		const uint64_t tail = tvq_load_64_acquire(&ring[slot].tail);
		const uint64_t addr = tvq_load_64(&ring[slot].addr);
		uint8_t *va;

		if (tvq_unlikely((tvq_packed_tail_flags(tail) & checked) != want ||
				 tail_id(tail) >= size))
			break;
		va = tvq_window_ptr(&w, addr, tvq_tail_len(tail));
		if (tvq_unlikely(!va))
			break;
		if (!write)
			tvq_buf_prefetch(va);
		b[i].va = va;
		b[i].len = tvq_tail_len(tail);
		b[i].id = tail_id(tail);
		if (tvq_unlikely(++slot == size)) {
			slot = 0;
			r->avail_wrap = !r->avail_wrap;
			want = tvq_packed_avail_flags(r->avail_wrap) | dir;
		}
	}
	r->next_avail = slot;
	r->taken = (uint16_t)(r->taken + i);
	return i;
}

unsigned int tvq_packed_take_bufs(struct tvq_ring *r, struct tvq_buf *b, unsigned int n, bool write)
{
	/* One loop for each direction. */
	return write ? take_bufs(r, b, n, true) : take_bufs(r, b, n, false);
}

void tvq_packed_untake_bufs(struct tvq_ring *r, unsigned int n)
{
	if (r->next_avail < n) {
		r->next_avail = (uint16_t)(r->next_avail + r->size);
		r->avail_wrap = !r->avail_wrap;
	}
	r->next_avail = (uint16_t)(r->next_avail - n);
	r->taken = (uint16_t)(r->taken - n);
}

void tvq_packed_untake(struct tvq_ring *r, const struct tvq_chain *c)
{
	if (r->inflight)
		tvq_inflight_packed_untake(r, c);
	if (r->next_avail < c->n_desc) {
		r->next_avail += r->size;
		r->avail_wrap = !r->avail_wrap;
	}
	r->next_avail -= c->n_desc;
	r->taken -= c->n_desc;
}

static inline uint64_t used_tail(const struct tvq_ring *r, uint16_t id, uint32_t written)
{
	uint64_t flags = tvq_packed_used_flags(r->used_wrap) | (written ? VRING_DESC_F_WRITE : 0);

	return written | (uint64_t)id << 32 | flags << 48;
}

static inline void log_slot(const struct tvq_ring *r, uint16_t slot)
{
	tvq_dma_wrote(r->view, r->desc_iova + 16 * (uint64_t)slot + 8, 8);
}

static inline void advance_used(struct tvq_ring *r, uint16_t n_desc)
{
	r->taken -= n_desc;
	r->pending += n_desc;
	r->used += n_desc;
	if (r->used >= r->size) {
		r->used -= r->size;
		r->used_wrap = !r->used_wrap;
	}
}

/* One used descriptor, for n_desc of the driver's. */
static inline void record(struct tvq_ring *r, uint16_t id, uint32_t written, uint16_t n_desc)
{
	const uint64_t tail = used_tail(r, id, written);

	if (!r->pending) {
		r->first_used = tail;
		r->first_slot = r->used;
	} else {
		tvq_store_64(&desc_of(r)[r->used].tail, tail);
		log_slot(r, r->used);
	}
	advance_used(r, n_desc);
}

void tvq_packed_add_used(struct tvq_ring *r, const struct tvq_chain *c, uint32_t written)
{
	if (tvq_unlikely(r->inflight != NULL))
		tvq_inflight_packed_add_used(r, c, written);
	else
		record(r, c->id, written, c->n_desc);
}

/*
 * With IN_ORDER one descriptor says that n buffers were used: at the place of the first, the id of
 * the last (virtio 1.4, 2.8.8). The driver's other descriptors stay as they are, in its cache. The
 * last slot has a descriptor of its own, and so has the one behind it, slot 0: both tell whoever
 * finds the ring without its position which lap they are in (present/net.c).
 */
static void add_used_in_order(struct tvq_ring *r, const struct tvq_buf *b, unsigned int n)
{
	while (n) {
		const unsigned int room = r->size - 1u - r->used;
		unsigned int run = n < room ? n : room;

		if (!run)
			run = 1;
		record(r, b[run - 1].id, 0, (uint16_t)run);
		b += run;
		n -= run;
	}
}

void tvq_packed_add_used_bufs(struct tvq_ring *r, const struct tvq_buf *b, const uint32_t *written,
			      unsigned int n)
{
	struct tvq_desc *ring = desc_of(r);
	const uint16_t size = r->size;
	uint16_t slot = r->used;
	unsigned int i = 0;

	if (r->in_order && !written) {
		add_used_in_order(r, b, n);
		return;
	}
	if (n && !r->pending) {
		r->first_used = used_tail(r, b[0].id, written ? written[0] : 0);
		r->first_slot = slot;
		i = 1;
		if (++slot == size) {
			slot = 0;
			r->used_wrap = !r->used_wrap;
		}
	}
	for (; i < n; i++) {
		tvq_store_64(&ring[slot].tail, used_tail(r, b[i].id, written ? written[i] : 0));
		if (tvq_unlikely(++slot == size)) {
			slot = 0;
			r->used_wrap = !r->used_wrap;
		}
	}
	r->used = slot;
	r->taken = (uint16_t)(r->taken - n);
	r->pending = (uint16_t)(r->pending + n);
}

void tvq_packed_put_used(struct tvq_ring *r, uint16_t id, uint16_t n_desc, uint32_t written)
{
	/* Pairs with the driver's acquire load of the flags: the buffer is there. */
	tvq_store_64_release(&desc_of(r)[r->used].tail, used_tail(r, id, written));
	log_slot(r, r->used);
	advance_used(r, n_desc);
}

bool tvq_packed_flush(struct tvq_ring *r)
{
	uint16_t n;

	if (tvq_unlikely(r->inflight != NULL)) {
		tvq_inflight_packed_flush(r);
	} else if (r->pending) {
		/*
		 * Pairs with the driver's acquire load of the flags, here and in the slots behind.
		 */
		tvq_store_64_release(&desc_of(r)[r->first_slot].tail, r->first_used);
		log_slot(r, r->first_slot);
	}
	n = r->pending;
	if (!n)
		return false;
	r->pending = 0;
	/*
	 * Pairs with the driver's full barrier between its event suppression and its look at the
	 * next slot: either it sees our descriptor or we see its wish.
	 */
	tvq_mb();
	return tvq_packed_wants_event(tvq_load_32(r->driver), r->event_idx, r->size, r->used,
				      r->used_wrap, n);
}

void tvq_packed_notify_off(struct tvq_ring *r)
{
	tvq_store_32(r->device, tvq_packed_event(0, false, VRING_PACKED_EVENT_FLAG_DISABLE));
	tvq_dma_wrote(r->view, r->device_iova, 4);
}

void tvq_packed_notify_on(struct tvq_ring *r)
{
	/* One store: slot and flags are never seen apart. */
	if (r->event_idx)
		tvq_store_32(r->device, tvq_packed_event(r->next_avail, r->avail_wrap,
							 VRING_PACKED_EVENT_FLAG_DESC));
	else
		tvq_store_32(r->device, tvq_packed_event(0, false, VRING_PACKED_EVENT_FLAG_ENABLE));
	tvq_dma_wrote(r->view, r->device_iova, 4);
}

bool tvq_packed_more(const struct tvq_ring *r)
{
	return tvq_packed_is_avail(tvq_load_64(&desc_of(r)[r->next_avail].tail), r->avail_wrap);
}
