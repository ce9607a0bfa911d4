/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A volume in anonymous memory.
 *
 * Theory of operation. Nothing is mapped before the first write, since a process may have 65530
 * mappings and more volumes than that. The first write makes one mapping without reservation for
 * all of the volume; the kernel gives memory as pages are written. The volume is looked at in
 * pieces of 2 MiB, each with a state byte and one bit for each 4 KiB page that was written:
 *
 *   FRESH -> WRITTEN    before the first write to the piece. Never back: a FRESH piece is read as
 * zeroes without a look at its memory, so that a sweep over an empty volume costs neither pages nor
 * page tables. WRITTEN -> HUGE     an eighth of its pages have been written: the piece is made one
 * huge page, which nearly halves the time of a random access. Not earlier: a volume with a few
 *                       scattered pages would take 512 times its data.
 *                       Another thread does it: the kernel may take milliseconds.
 *   WRITTEN -> SMALL    the kernel had no huge page; not tried again.
 *   HUGE, SMALL -> WRITTEN   a good part of the piece was discarded.
 *
 * Several workers may use one volume, without a lock: the bits and the states WRITTEN to SMALL only
 * say what may be worth while, so a race costs time and never data. Discard drops the pages of the
 * range that it was given and no other byte, since another worker may be writing next to it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "internal.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#define PIECE_SHIFT 21
#define PIECE	    (1ULL << PIECE_SHIFT)
#define PAGE_SHIFT  12
#define PAGE	    (1ULL << PAGE_SHIFT)
#define PAGES	    (PIECE / PAGE)

/* Written pages that make a piece huge. */
#define HUGE_FROM      (PAGES / 8)
/* A smaller discard inside a huge page writes zeroes: splitting it costs more than it frees. */
#define SPLIT_FROM     (PIECE / 16)
/* Cache lines of the next request that are fetched during this one; more measured no better. */
#define PREFETCH_LINES 4

enum piece_state {
	FRESH,
	WRITTEN,
	HUGE,
	SMALL,
};

/* At the start of the mapping; states and bits follow, then, aligned to PIECE, the data. */
struct ram_map {
	uint8_t *data;
	size_t mapped; /* bytes, from this header on */
	struct tvq_volume *volume;
	struct tvq_volume_work work; /* makes one piece huge; at last ends the mapping */
	atomic_bool work_busy;
	uint64_t work_piece;
	_Atomic uint64_t (*bits)[PAGES / 64];
	_Atomic uint8_t state[]; /* of each piece */
};

struct ram {
	struct tvq_volume v;
	_Atomic(struct ram_map *) map;
	atomic_uint logged;
};

static uint64_t min64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t align_up(uint64_t n, uint64_t to)
{
	return (n + to - 1) & ~(to - 1);
}

static struct ram_map *ram_map_new(struct tvq_volume *v)
{
	uint64_t size = v->limits.capacity;
	uint64_t pieces = (size + PIECE - 1) >> PIECE_SHIFT;
	uint64_t states = align_up(sizeof(struct ram_map) + pieces, 64);
	uint64_t head = states + pieces * sizeof(*((struct ram_map *)NULL)->bits);
	uint64_t mapped = align_up(head, PIECE) + PIECE + (pieces << PIECE_SHIFT);
	struct ram_map *m;

	m = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		 -1, 0);
	if (m == MAP_FAILED)
		return NULL;
	m->data = (uint8_t *)align_up((uintptr_t)m + head, PIECE);
	m->mapped = mapped;
	m->volume = v;
	m->bits = (void *)((uint8_t *)m + states);
	return m;
}

/* The mapping, made now if this is the first write. NULL: no memory, logged. */
static struct ram_map *ram_map_get(struct ram *r, struct tvq_exec *e)
{
	struct ram_map *m = atomic_load_explicit(&r->map, memory_order_acquire), *old = NULL;

	if (m)
		return m;
	m = ram_map_new(&r->v);
	if (!m) {
		if (tvq_volume_first(&r->logged, 0))
			tvq_log(e->os, TVQ_LOG_ERR,
				"volume %.20s: no memory for its %llu bytes: %s",
				(const char *)r->v.id, (unsigned long long)r->v.limits.capacity,
				strerror(errno));
		return NULL;
	}
	/* Pairs with the acquire above: who sees the mapping sees its header. */
	if (atomic_compare_exchange_strong_explicit(&r->map, &old, m, memory_order_acq_rel,
						    memory_order_acquire))
		return m;
	munmap(m, m->mapped);
	return old;
}

static uint8_t piece_state(const struct ram_map *m, uint64_t piece)
{
	return atomic_load_explicit(&m->state[piece], memory_order_relaxed);
}

static void piece_change(struct ram_map *m, uint64_t piece, uint8_t from, uint8_t to)
{
	atomic_compare_exchange_strong_explicit(&m->state[piece], &from, to, memory_order_relaxed,
						memory_order_relaxed);
}

static unsigned int piece_written(struct ram_map *m, uint64_t piece)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < PAGES / 64; i++)
		n += (unsigned int)__builtin_popcountll(
			atomic_load_explicit(&m->bits[piece][i], memory_order_relaxed));
	return n;
}

static void piece_mark(struct ram_map *m, uint64_t piece, uint64_t off, uint64_t len)
{
	unsigned int last = (unsigned int)((off + len - 1) >> PAGE_SHIFT);

	for (unsigned int p = (unsigned int)(off >> PAGE_SHIFT); p <= last; p++) {
		uint64_t bit = 1ULL << (p % 64);

		if (!(atomic_load_explicit(&m->bits[piece][p / 64], memory_order_relaxed) & bit))
			atomic_fetch_or_explicit(&m->bits[piece][p / 64], bit,
						 memory_order_relaxed);
	}
}

static void piece_clear(struct ram_map *m, uint64_t piece, uint64_t off, uint64_t len)
{
	uint64_t end = (off + len) >> PAGE_SHIFT;

	for (uint64_t p = off >> PAGE_SHIFT; p < end; p++)
		atomic_fetch_and_explicit(&m->bits[piece][p / 64], ~(1ULL << (p % 64)),
					  memory_order_relaxed);
}

static void make_huge(struct tvq_volume_work *w)
{
	struct ram_map *m = tvq_volume_of(w, struct ram_map, work);
	uint8_t *va = m->data + (m->work_piece << PIECE_SHIFT);
	bool failed;

	/* A piece without any page cannot be collapsed. */
	failed = madvise(va, PAGE, MADV_POPULATE_WRITE) || madvise(va, PIECE, MADV_COLLAPSE);
	piece_change(m, m->work_piece, WRITTEN, failed ? SMALL : HUGE);
	/* Pairs with the acquire of the next one who sets it. */
	atomic_store_explicit(&m->work_busy, false, memory_order_release);
	tvq_volume_put(m->volume);
}

static void make_huge_later(struct ram_map *m, uint64_t piece)
{
	if (atomic_load_explicit(&m->work_busy, memory_order_relaxed) ||
	    atomic_exchange_explicit(&m->work_busy, true, memory_order_acquire))
		return;
	tvq_volume_get(m->volume);
	m->work_piece = piece;
	m->work.fn = make_huge;
	tvq_volume_later(&m->work);
}

/* Before a write of len bytes at off in a piece that is not yet, or cannot be, huge. */
static __attribute__((noinline)) void piece_touch(struct ram_map *m, uint64_t piece, uint64_t off,
						  uint64_t len)
{
	piece_change(m, piece, FRESH, WRITTEN);
	if (piece_state(m, piece) != WRITTEN)
		return;
	piece_mark(m, piece, off, len);
	if (piece_written(m, piece) < HUGE_FROM)
		return;
	/* The last piece may end behind the volume, which is not to cost more than its size. */
	if (((piece + 1) << PIECE_SHIFT) <= m->volume->limits.capacity)
		make_huge_later(m, piece);
}

static void ram_read(struct ram_map *m, const struct tvq_vreq *v)
{
	uint64_t off = v->offset;

	for (unsigned int s = 0; s < v->n_seg; s++) {
		uint8_t *va = v->seg[s].va;
		uint64_t left = v->seg[s].len;

		while (left) {
			uint64_t len = min64(left, PIECE - (off & (PIECE - 1)));

			if (m && piece_state(m, off >> PIECE_SHIFT) != FRESH)
				memcpy(va, m->data + off, len);
			else
				memset(va, 0, len);
			va += len;
			off += len;
			left -= len;
		}
	}
}

static void ram_write(struct ram_map *m, const struct tvq_vreq *v)
{
	uint64_t off = v->offset;

	for (unsigned int s = 0; s < v->n_seg; s++) {
		const uint8_t *va = v->seg[s].va;
		uint64_t left = v->seg[s].len;

		while (left) {
			uint64_t len = min64(left, PIECE - (off & (PIECE - 1)));
			uint64_t piece = off >> PIECE_SHIFT;

			if (piece_state(m, piece) != HUGE)
				piece_touch(m, piece, off & (PIECE - 1), len);
			memcpy(m->data + off, va, len);
			va += len;
			off += len;
			left -= len;
		}
	}
}

/* Zeroes [off, off + len) of a piece, giving its memory back where that is worth it. */
static void piece_zero(struct ram_map *m, uint64_t piece, uint64_t off, uint64_t len, bool unmap)
{
	uint8_t *va = m->data + (piece << PIECE_SHIFT);
	uint64_t first = align_up(off, PAGE), end = (off + len) & ~(PAGE - 1);
	uint8_t state = piece_state(m, piece);

	if (state == FRESH)
		return;
	if (!unmap || first >= end || (state == HUGE && end - first < SPLIT_FROM) ||
	    madvise(va + first, end - first, MADV_DONTNEED)) {
		memset(va + off, 0, len);
		return;
	}
	memset(va + off, 0, first - off);
	memset(va + end, 0, off + len - end);
	piece_clear(m, piece, first, end - first);
	if (state != WRITTEN && end - first >= SPLIT_FROM)
		piece_change(m, piece, state, WRITTEN);
}

static void ram_zero(struct ram_map *m, const struct tvq_vreq *v, bool unmap)
{
	uint64_t off = v->offset, left = v->len;

	while (m && left) {
		uint64_t len = min64(left, PIECE - (off & (PIECE - 1)));

		piece_zero(m, off >> PIECE_SHIFT, off & (PIECE - 1), len, unmap);
		off += len;
		left -= len;
	}
}

static int ram_one(struct ram *r, struct tvq_exec *e, const struct tvq_vreq *v)
{
	struct ram_map *m = atomic_load_explicit(&r->map, memory_order_acquire);

	switch (v->op) {
	case TVQ_VREQ_READ:
		ram_read(m, v);
		return 0;
	case TVQ_VREQ_WRITE:
		m = ram_map_get(r, e);
		if (!m)
			return -ENOMEM;
		ram_write(m, v);
		return 0;
	case TVQ_VREQ_FLUSH:
		return 0;
	case TVQ_VREQ_DISCARD:
		ram_zero(m, v, true);
		return 0;
	case TVQ_VREQ_WRITE_ZEROES:
		ram_zero(m, v, v->flags & TVQ_VREQ_UNMAP);
		return 0;
	}
	return -EOPNOTSUPP;
}

static void ram_prefetch(const struct ram *r, const struct tvq_vreq *v)
{
	const struct ram_map *m = atomic_load_explicit(&r->map, memory_order_relaxed);

	if (m)
		for (unsigned int i = 0; i < PREFETCH_LINES; i++)
			__builtin_prefetch(m->data + v->offset + 64UL * i);
}

static void ram_submit(struct tvq_volume_channel *ch, struct tvq_vreq *const *v, unsigned int n)
{
	struct ram *r = tvq_volume_of(ch->volume, struct ram, v);

	for (unsigned int i = 0; i < n; i++) {
		if (i + 1 < n)
			ram_prefetch(r, v[i + 1]);
		v[i]->status = ram_one(r, ch->exec, v[i]);
	}
}

static void unmap(struct tvq_volume_work *w)
{
	struct ram_map *m = tvq_volume_of(w, struct ram_map, work);

	munmap(m, m->mapped);
}

static void ram_destroy(struct tvq_volume *v)
{
	struct ram *r = tvq_volume_of(v, struct ram, v);
	struct ram_map *m = atomic_load_explicit(&r->map, memory_order_acquire);

	/* A gigabyte takes the kernel some 100 ms. */
	if (m) {
		m->work.fn = unmap;
		tvq_volume_later(&m->work);
	}
	free(r);
}

static const struct tvq_volume_ops ram_ops = {
	.type = "ram",
	.open = tvq_volume_plain_open,
	.close = tvq_volume_plain_close,
	.submit = ram_submit,
	.destroy = ram_destroy,
};

struct tvq_volume *tvq_volume_ram(const char *id, uint64_t size, char *err)
{
	struct tvq_volume_limits limits;
	struct ram *r;

	if (!tvq_volume_memory_limits(&limits, size, err))
		return NULL;
	r = calloc(1, sizeof(*r));
	if (!r)
		return tvq_volume_fail(err, ENOMEM, "no memory for volume \"%.64s\"", id);
	if (!tvq_volume_init(&r->v, &ram_ops, id, err)) {
		free(r);
		return NULL;
	}
	r->v.limits = limits;
	return &r->v;
}
