/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Address spaces (specification 4.10). A space is an immutable, sorted table of regions, replaced
 * as a whole; a look-up costs no lock and no reference count.
 *
 * Who may do what: a space belongs to its device's control executor, which alone maps and unmaps. A
 * virtqueue sees the space through a view, which belongs to the queue's worker. A view keeps the
 * table that it was given until its worker refreshes it at a quiet point; an unmap completes when
 * all views have been refreshed and all requests begun with the old table are done.
 *
 * Freestanding. Addresses and lengths are in bytes.
 */
#ifndef TVQ_DMA_H
#define TVQ_DMA_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tvq/os.h>

enum {
	TVQ_DMA_READ = 1,  /* the device may read it */
	TVQ_DMA_WRITE = 2, /* the device may write it */
};

/* A piece of a request in this process' memory. Laid out as struct iovec is. */
struct tvq_seg {
	void *va;
	size_t len;
};

/* What is behind a region. Shared by all regions of all spaces that map the same bytes. */
struct tvq_mapping {
	/*
	 * Set, and never cleared, when the memory vanished below us (SIGBUS): its content is gone.
	 */
	atomic_bool lost;
	/*
	 * Drops one reference. Called on the control executor when no view can reach it any more.
	 */
	void (*put)(struct tvq_mapping *m);
};

struct tvq_region {
	uint64_t iova;
	uint64_t len;
	uint8_t *va;		     /* NULL: known, not reachable (no descriptor came with it) */
	uint32_t perm;		     /* TVQ_DMA_READ | TVQ_DMA_WRITE */
	struct tvq_mapping *mapping; /* NULL: nothing to release */
};

struct tvq_dma_table {
	uint32_t n;
	struct tvq_region r[]; /* sorted by iova, disjoint */
};

/* A log of what the device writes, for migration: one bit for each 4096 bytes of [0, len). */
struct tvq_dma_log {
	_Atomic uint8_t *bits;
	uint64_t len; /* bytes of address space covered */
};

struct tvq_space;

/*
 * A queue's way into a space. Owned by the queue's worker; all fields change at quiet points only.
 */
struct tvq_dma_view {
	const struct tvq_dma_table *table;
	const struct tvq_region *last; /* the region of the last look-up, never NULL */
	const struct tvq_dma_log *log; /* NULL: not logged */
	const struct tvq_space *space; /* looked at again where a look-up misses; NULL: never */
};

/* Whoever has views into a space. */
struct tvq_dma_user {
	struct tvq_dma_user *next, **pprev;
	/*
	 * The space's table or log changed (map, unmap, set_log). Called on the control executor.
	 * The user has its views refreshed on their worker, and calls tvq_dma_sync_done(space) on
	 * the control executor when no request that began before holds memory of the old table. May
	 * call it at once. Exactly one sync_done for each sync, from a user that was removed
	 * meanwhile as well; the space lives until then. At most one sync is outstanding for a
	 * user: changes meanwhile are gathered into the next one. May add and remove users, but not
	 * change the space.
	 */
	void (*sync)(struct tvq_dma_user *u, struct tvq_space *space);
};

struct tvq_dma_done {
	struct tvq_dma_done *next;
	void (*fn)(struct tvq_dma_done *done);
};

/* A new empty space, with one reference; NULL: no memory. os must outlive it. */
struct tvq_space *tvq_space_new(const struct tvq_os *os, uint32_t asid);
/* References are counted on the control executor. */
void tvq_space_get(struct tvq_space *s);
/*
 * Drops a reference. With the last one, and after the last sync_done that is due, the mappings are
 * released and the completions that are left are called; no user may be left by then.
 */
void tvq_space_put(struct tvq_space *s);
uint32_t tvq_space_asid(const struct tvq_space *s);

/*
 * Adds regions, in any order; the space takes over their mappings' references, also when it fails.
 * Fails as a whole: -EINVAL where one is empty or wraps (it may end at 2^64), -EEXIST where one
 * overlaps, -ENOMEM. Usable at return by views refreshed later; a running queue sees them after its
 * next quiet point.
 */
int tvq_space_map(struct tvq_space *s, const struct tvq_region *r, size_t n);

/*
 * Removes every region that lies within [iova, iova + len); -ENOENT where there is none, -EINVAL
 * where the range is empty, wraps, or cuts a region in two, -ENOMEM: nothing has changed then, and
 * done is not called. Else done is called on the control executor, perhaps before the return, once
 * nothing can touch the memory any more; the mappings have been released by then. done may be NULL
 * (nobody waits), and what it points to is the caller's again when done->fn is called.
 */
int tvq_space_unmap(struct tvq_space *s, uint64_t iova, uint64_t len, struct tvq_dma_done *done);

/*
 * Removes all regions. Completion as with tvq_space_unmap; an empty space completes too. Always 0.
 */
int tvq_space_unmap_all(struct tvq_space *s, struct tvq_dma_done *done);

/*
 * Bytes of tables that were replaced and that somebody may still look at. Each change leaves one
 * behind until all users have answered, which takes as long as their requests do: who lets a peer
 * change a space waits (tvq_space_settle) before there are many.
 */
uint64_t tvq_space_retired(const struct tvq_space *s);
/* done is called, perhaps before the return, when what was replaced before is released. */
void tvq_space_settle(struct tvq_space *s, struct tvq_dma_done *done);

/*
 * Sets or (NULL) ends the log of writes. log stays the caller's and is in use until another log is
 * set and done of that call is called. done is called when every write goes to the new log. Always
 * 0.
 */
int tvq_space_set_log(struct tvq_space *s, const struct tvq_dma_log *log,
		      struct tvq_dma_done *done);

/*
 * On the control executor. A user is added before its first view is refreshed, and removed when its
 * views hold nothing any more and will not be refreshed again (but see sync). u stays the caller's.
 */
void tvq_space_add_user(struct tvq_space *s, struct tvq_dma_user *u);
void tvq_space_del_user(struct tvq_space *s, struct tvq_dma_user *u);
/* May run completions (done) before it returns, and release the space. */
void tvq_dma_sync_done(struct tvq_space *s);

/* A view that reaches nothing: what a view must be before its first refresh or use. */
void tvq_dma_view_init(struct tvq_dma_view *v);
/* Points the view at the space's present table and log. On the view's worker, at a quiet point. */
void tvq_dma_view_refresh(struct tvq_dma_view *v, const struct tvq_space *s);
/*
 * True where a region that the view can reach is lost. Walks the table: once a batch at most, and
 * only when tvq_dma_lost_count has moved.
 */
bool tvq_dma_view_lost(const struct tvq_dma_view *v);
/* Counts mappings lost in this process; a worker compares it once a batch. */
extern atomic_uint tvq_dma_lost_count;

/* Takes the space's newest table for look-ups that missed; false: the view has it already. The old
 * one's regions stay usable until the view's user answers. On the view's worker. */
bool tvq_dma_view_advance(struct tvq_dma_view *v);

/*
 * Slow half of the look-up: sets v->last to the region that holds iova; false where there is none.
 */
bool tvq_dma_find(struct tvq_dma_view *v, uint64_t iova);

/*
 * Slow half of tvq_dma_ptr(): several regions without a gap, of which each one's memory follows upon
 * that of the one before. An IOMMU's driver maps one piece of memory page by page.
 */
void *tvq_dma_across(struct tvq_dma_view *v, uint64_t iova, uint64_t len, uint32_t perm);

/*
 * The memory at [iova, iova + len), where it is one piece, in this process as well, with these
 * rights; else NULL. len > 0.
 */
static inline void *tvq_dma_ptr(struct tvq_dma_view *v, uint64_t iova, uint64_t len, uint32_t perm)
{
	const struct tvq_region *r = v->last;
	uint64_t off = iova - r->iova;

	if (__builtin_expect(off >= r->len, 0)) {
		if (!tvq_dma_find(v, iova))
			return NULL;
		r = v->last;
		off = iova - r->iova;
	}
	if (__builtin_expect(len > r->len - off, 0))
		return tvq_dma_across(v, iova, len, perm);
	if (__builtin_expect((r->perm & perm) != perm || !r->va, 0))
		return NULL;
	return r->va + off;
}

/*
 * As tvq_dma_ptr, over as many regions as it takes: writes up to max pieces to seg. Returns their
 * number (0 for len 0), -EFAULT where a byte is not mapped with these rights, -E2BIG where max does
 * not suffice.
 */
int tvq_dma_segs(struct tvq_dma_view *v, uint64_t iova, uint64_t len, uint32_t perm,
		 struct tvq_seg *seg, unsigned int max);

/*
 * Marks [iova, iova + len) written, after it was written; what lies beyond the log's len is left
 * out. All writes of the device pass here, rings included. Any thread; several may share a log.
 */
void tvq_dma_log_write(const struct tvq_dma_log *log, uint64_t iova, uint64_t len);

static inline void tvq_dma_wrote(const struct tvq_dma_view *v, uint64_t iova, uint64_t len)
{
	if (__builtin_expect(v->log != NULL, 0))
		tvq_dma_log_write(v->log, iova, len);
}

#endif
