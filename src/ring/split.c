/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device half of a split virtqueue (virtio 1.4, 2.7).
 *
 * Indexes run freely in 16 bits and are compared by subtraction only. At any time, in that
 * arithmetic,
 *
 *	used_published <= used <= next_avail <= avail_seen <= used + size
 *
 * The last step is what is demanded of the driver: it has at most size chains made available and
 * not used. avail_seen is a copy: the index in memory is read only when the copy does not suffice
 * for the batch, and a value that breaks the rule is never stored.
 *
 * Trust boundary: the available index (refresh), heads (split_take), descriptors (tvq_split_walk).
 */
#include "chain.h"
#include "inflight.h"

static inline struct tvq_split_avail *avail_of(const struct tvq_ring *r)
{
	return r->driver;
}

static inline struct tvq_split_used *used_of(const struct tvq_ring *r)
{
	return r->device;
}

static inline void load_desc(const struct tvq_desc *p, struct tvq_desc *d)
{
	d->addr = tvq_load_64(&p->addr);
	d->tail = tvq_load_64(&p->tail);
}

static inline uint16_t tail_flags(uint64_t tail)
{
	return (uint16_t)(tail >> 32);
}

static inline uint16_t tail_next(uint64_t tail)
{
	return (uint16_t)(tail >> 48);
}

/* Follows an indirect table. Descriptors met, or -errno. */
static tvq_always_inline int walk_table(struct tvq_walk *w, uint64_t addr, uint32_t len)
{
	struct tvq_table t = { 0 };
	struct tvq_desc d = { 0 };
	uint32_t i = 0, met = 0;
	int err;

	err = tvq_table_open(w->view, addr, len, &t);
	if (err)
		return err;
	for (;;) {
		uint16_t flags;

		err = tvq_table_read(w->view, &t, i, &d);
		if (tvq_unlikely(err))
			return err;
		flags = tail_flags(d.tail);
		if (tvq_unlikely(flags & VRING_DESC_F_INDIRECT))
			return -EPROTO;
		err = tvq_walk_add(w, d.addr, tvq_tail_len(d.tail), flags & VRING_DESC_F_WRITE);
		if (tvq_unlikely(err))
			return err;
		met++;
		if (!(flags & VRING_DESC_F_NEXT))
			return (int)met;
		if (tvq_unlikely(met == t.n))
			return -ELOOP;
		i = tail_next(d.tail);
		if (tvq_unlikely(i >= t.n))
			return -EBADMSG;
	}
}

static tvq_always_inline int walk(struct tvq_ring *r, uint16_t head, struct tvq_chain *c)
{
	const struct tvq_desc *table = r->desc;
	const uint16_t size = r->size;
	uint16_t i = head, n_desc = 0;
	int err, met = 0;
	struct tvq_desc d;
	struct tvq_walk w;

	tvq_walk_start(&w, r->view, c);
	for (;;) {
		uint16_t flags;

		load_desc(&table[i], &d);
		flags = tail_flags(d.tail);
		n_desc++;
		if (tvq_unlikely(flags & VRING_DESC_F_INDIRECT)) {
			if (!r->indirect || flags & VRING_DESC_F_NEXT)
				return -EPROTO;
			met = walk_table(&w, d.addr, tvq_tail_len(d.tail));
			if (met < 0)
				return met;
			break;
		}
		err = tvq_walk_add(&w, d.addr, tvq_tail_len(d.tail), flags & VRING_DESC_F_WRITE);
		if (tvq_unlikely(err))
			return err;
		if (!(flags & VRING_DESC_F_NEXT))
			break;
		if (tvq_unlikely(n_desc == size))
			return -ELOOP;
		i = tail_next(d.tail);
		if (tvq_unlikely(i >= size))
			return -EBADMSG;
	}
	tvq_walk_end(&w, head, n_desc);
	return met + n_desc;
}

int tvq_split_walk(struct tvq_ring *r, uint16_t head, struct tvq_chain *c)
{
	return walk(r, head, c);
}

/* How many chains can be taken, at most n; reads the available index where it has to. */
static inline int refresh(struct tvq_ring *r, unsigned int n)
{
	uint16_t have = (uint16_t)(r->avail_seen - r->next_avail);
	uint16_t idx, room;

	if (have < n) {
		/*
		 * Pairs with the driver's release store of the index: heads and descriptors are
		 * there.
		 */
		idx = tvq_load_16_acquire(&avail_of(r)->idx);
		room = (uint16_t)(r->size - (uint16_t)(r->next_avail - r->used));
		if (tvq_likely((uint16_t)(idx - r->next_avail) <= room)) {
			r->avail_seen = idx;
			have = (uint16_t)(idx - r->next_avail);
		} else if (!have) {
			return -EBADMSG;
		}
	}
	return have < n ? have : (int)n;
}

int tvq_split_take(struct tvq_ring *r, struct tvq_chain *const *c, unsigned int n)
{
	const uint16_t mask = r->size - 1;
	const struct tvq_desc *table = r->desc;
	uint16_t heads[TVQ_TAKE_AHEAD];
	int have, done = 0, met = 0;

	have = refresh(r, n < TVQ_RING_MAX_SIZE ? n : TVQ_RING_MAX_SIZE);
	if (have < 0)
		return have;
	while (done < have) {
		int i, ahead = have - done < TVQ_TAKE_AHEAD ? have - done : TVQ_TAKE_AHEAD;

		for (i = 0; i < ahead; i++) {
			heads[i] = tvq_load_16(&avail_of(r)->ring[(r->next_avail + i) & mask]);
			tvq_prefetch(&table[heads[i] & mask]);
		}
		for (i = 0; i < ahead; i++) {
			int err = heads[i] < r->size ? walk(r, heads[i], c[done]) : -EBADMSG;

			if (tvq_likely(err > 0)) {
				met += err;
				err = 0;
				if (tvq_unlikely(r->inflight != NULL))
					err = tvq_inflight_split_take(r, heads[i]);
			}
			if (tvq_unlikely(err < 0))
				return done ? done : err;
			r->next_avail++;
			done++;
			if (tvq_unlikely(met > TVQ_TAKE_DESCS))
				return done;
		}
	}
	return done;
}

static tvq_always_inline unsigned int take_bufs(struct tvq_ring *r, struct tvq_buf *b,
						unsigned int n, bool write)
{
	const uint32_t want = write ? VRING_DESC_F_WRITE : 0;
	const uint16_t mask = r->size - 1, first = r->next_avail;
	const uint16_t *heads = avail_of(r)->ring;
	const struct tvq_desc *table = r->desc;
	struct tvq_window w;
	unsigned int i;
	int have;

	/* A bad index is tvq_split_take()'s to report. */
	have = refresh(r, n < TVQ_RING_MAX_SIZE ? n : TVQ_RING_MAX_SIZE);
	if (have <= 0)
		return 0;
	n = (unsigned int)have;
	/* Heads that follow each other are the rule, and so do their descriptors then. */
	for (i = 0; i < n; i += 4)
		tvq_prefetch(&table[tvq_load_16(&heads[(first + i) & mask]) & mask]);
	tvq_window_open(&w, r->view, write);
	for (i = 0; i < n; i++) {
		const uint16_t head = tvq_load_16(&heads[(first + i) & mask]);
		const uint64_t addr = tvq_load_64(&table[head & mask].addr);
		const uint64_t tail = tvq_load_64(&table[head & mask].tail);
		uint8_t *va;

		if (tvq_unlikely(head > mask || (tail_flags(tail) & 7) != want))
			break;
		va = tvq_window_ptr(&w, addr, tvq_tail_len(tail));
		if (tvq_unlikely(!va))
			break;
		if (!write)
			tvq_buf_prefetch(va);
		b[i].va = va;
		b[i].len = tvq_tail_len(tail);
		b[i].id = head;
	}
	r->next_avail = (uint16_t)(first + i);
	return i;
}

unsigned int tvq_split_take_bufs(struct tvq_ring *r, struct tvq_buf *b, unsigned int n, bool write)
{
	/* One loop for each direction. */
	return write ? take_bufs(r, b, n, true) : take_bufs(r, b, n, false);
}

void tvq_split_untake(struct tvq_ring *r, const struct tvq_chain *c)
{
	if (r->inflight)
		tvq_inflight_split_untake(r, c->id);
	r->next_avail--;
}

void tvq_split_add_used(struct tvq_ring *r, const struct tvq_chain *c, uint32_t written)
{
	const uint16_t slot = r->used & (r->size - 1);
	struct tvq_split_used *used = used_of(r);

	if (tvq_unlikely(r->inflight && tvq_inflight_split_add_used(r, c->id)))
		return;
	tvq_store_32(&used->ring[2 * (size_t)slot], c->id);
	tvq_store_32(&used->ring[2 * (size_t)slot + 1], written);
	tvq_dma_wrote(r->view, r->device_iova + 4 + 8 * (uint64_t)slot, 8);
	r->used++;
}

void tvq_split_add_used_bufs(struct tvq_ring *r, const struct tvq_buf *b, const uint32_t *written,
			     unsigned int n)
{
	const uint16_t mask = r->size - 1;
	uint32_t *ring = used_of(r)->ring;

	for (unsigned int i = 0; i < n; i++) {
		const size_t slot = (uint16_t)(r->used + i) & mask;

		tvq_store_32(&ring[2 * slot], b[i].id);
		tvq_store_32(&ring[2 * slot + 1], written ? written[i] : 0);
	}
	r->used = (uint16_t)(r->used + n);
}

/* Whether the driver wants an interrupt for what was published from old to new. */
static bool wants_interrupt(const struct tvq_ring *r, uint16_t old, uint16_t new)
{
	/*
	 * Pairs with the driver's full barrier between its wish (used_event or flags) and its look
	 * at the used index: either it sees our index or we see its wish.
	 */
	tvq_mb();
	if (r->event_idx)
		return vring_need_event(tvq_load_16(tvq_split_used_event(avail_of(r), r->size)),
					new, old);
	return !(tvq_load_16(&avail_of(r)->flags) & VRING_AVAIL_F_NO_INTERRUPT);
}

bool tvq_split_flush(struct tvq_ring *r)
{
	const uint16_t old = r->used_published;

	if (r->used == old)
		return false;
	/* Pairs with the driver's acquire load of the index: elements and buffers are there. */
	tvq_store_16_release(&used_of(r)->idx, r->used);
	tvq_dma_wrote(r->view, r->device_iova + 2, 2);
	r->used_published = r->used;
	if (tvq_unlikely(r->inflight != NULL))
		tvq_inflight_split_flushed(r);
	return wants_interrupt(r, old, r->used);
}

void tvq_split_notify_off(struct tvq_ring *r)
{
	/* With event_idx the event just stays behind: the driver passes it once in 65536 chains. */
	if (r->event_idx)
		return;
	tvq_store_16(&used_of(r)->flags, VRING_USED_F_NO_NOTIFY);
	tvq_dma_wrote(r->view, r->device_iova, 2);
}

void tvq_split_notify_on(struct tvq_ring *r)
{
	if (r->event_idx) {
		tvq_store_16(tvq_split_avail_event(used_of(r), r->size), r->next_avail);
		tvq_dma_wrote(r->view, r->device_iova + 4 + 8 * (uint64_t)r->size, 2);
	} else {
		tvq_store_16(&used_of(r)->flags, 0);
		tvq_dma_wrote(r->view, r->device_iova, 2);
	}
}

bool tvq_split_more(const struct tvq_ring *r)
{
	/* Orders nothing: who acts on it reads the index again in tvq_split_take(), or has it. */
	return r->avail_seen != r->next_avail || tvq_load_16(&avail_of(r)->idx) != r->next_avail;
}
