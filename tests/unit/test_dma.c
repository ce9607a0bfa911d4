/* SPDX-License-Identifier: BSD-3-Clause */
/* Address spaces: look-ups, changes and when they complete, the log of writes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include <tvq/dma.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define RW	      (TVQ_DMA_READ | TVQ_DMA_WRITE)

static bool no_memory;
static long allocated;

static void *our_alloc(size_t size)
{
	if (no_memory)
		return NULL;
	allocated += (long)size;
	return tvq_os_host.alloc(size);
}

static void our_free(void *p, size_t size)
{
	if (p)
		allocated -= (long)size;
	tvq_os_host.free(p, size);
}

static const struct tvq_os our_os = {
	.alloc = our_alloc,
	.free = our_free,
};

/* A mapping that knows how many references are left. */
struct counted {
	struct tvq_mapping m;
	int refs;
};

static void counted_put(struct tvq_mapping *m)
{
	((struct counted *)m)->refs--;
}

static uint8_t memory[1 << 20];

static struct tvq_region region(uint64_t iova, uint64_t len, uint32_t perm, struct counted *c)
{
	if (c) {
		c->m.put = counted_put;
		c->refs++;
	}
	return (struct tvq_region){ .iova = iova,
				    .len = len,
				    .va = memory + iova % sizeof(memory),
				    .perm = perm,
				    .mapping = c ? &c->m : NULL };
}

struct waiter {
	struct tvq_dma_done done;
	unsigned int called;
	struct counted *mapping; /* its references when it was called */
	int refs;
};

static void waiter_fn(struct tvq_dma_done *d)
{
	struct waiter *w = (struct waiter *)d;

	w->called++;
	if (w->mapping)
		w->refs = w->mapping->refs;
}

/* A user that answers when it is told to. */
struct user {
	struct tvq_dma_user user;
	unsigned int syncs, owes;
	bool at_once;
};

static void user_sync(struct tvq_dma_user *u, struct tvq_space *s)
{
	struct user *me = (struct user *)u;

	me->syncs++;
	if (me->at_once)
		tvq_dma_sync_done(s);
	else
		me->owes++;
}

static void answer(struct user *u, struct tvq_space *s)
{
	assert_int_equal(u->owes, 1);
	u->owes--;
	tvq_dma_sync_done(s);
}

static struct tvq_space *new_space(void)
{
	struct tvq_space *s = tvq_space_new(&our_os, 7);

	assert_non_null(s);
	assert_int_equal(tvq_space_asid(s), 7);
	return s;
}

static void end(struct tvq_space *s)
{
	tvq_space_put(s);
	assert_int_equal(allocated, 0);
}

/* Look-ups */

/* TQ-121 */
static void view_reaches_what_is_mapped_and_nothing_else(void **state)
{
	struct tvq_space *s = new_space();
	struct tvq_region r[] = {
		region(0x9000, 0x1000, RW, NULL),
		region(0x1000, 0x1000, RW, NULL),
		region(0x3000, 0x2000, TVQ_DMA_READ, NULL),
		region(0x5000, 0x1000, TVQ_DMA_WRITE, NULL),
	};
	struct tvq_dma_view v;

	(void)state;
	r[0].va = NULL;
	tvq_dma_view_init(&v);
	assert_null(tvq_dma_ptr(&v, 0, 1, 0));
	assert_null(tvq_dma_ptr(&v, UINT64_MAX, 1, 0));
	assert_int_equal(tvq_space_map(s, r, ARRAY_SIZE(r)), 0);
	tvq_dma_view_refresh(&v, s);
	assert_ptr_equal(tvq_dma_ptr(&v, 0x1000, 0x1000, RW), memory + 0x1000);
	assert_ptr_equal(tvq_dma_ptr(&v, 0x1fff, 1, RW), memory + 0x1fff);
	assert_null(tvq_dma_ptr(&v, 0xfff, 1, 0));
	assert_null(tvq_dma_ptr(&v, 0xfff, 2, 0));
	assert_null(tvq_dma_ptr(&v, 0x1fff, 2, 0));
	assert_null(tvq_dma_ptr(&v, 0x1001, UINT64_MAX, 0));
	assert_null(tvq_dma_ptr(&v, 0x1001, UINT64_MAX - 0x1000, 0));
	assert_null(tvq_dma_ptr(&v, 0x2000, 1, 0));
	assert_null(tvq_dma_ptr(&v, UINT64_MAX, 1, 0));
	assert_ptr_equal(tvq_dma_ptr(&v, 0x3000, 0x2000, TVQ_DMA_READ), memory + 0x3000);
	assert_null(tvq_dma_ptr(&v, 0x3000, 1, TVQ_DMA_WRITE));
	assert_null(tvq_dma_ptr(&v, 0x3000, 1, RW));
	assert_null(tvq_dma_ptr(&v, 0x5000, 1, TVQ_DMA_READ));
	/* Known, but without memory. */
	assert_null(tvq_dma_ptr(&v, 0x9000, 1, RW));
	tvq_dma_view_init(&v);
	end(s);
}

static void region_may_end_where_the_address_space_does(void **state)
{
	struct tvq_space *s = new_space();
	struct tvq_region r = region(-(uint64_t)0x1000, 0x1000, RW, NULL);
	struct waiter w = { .done.fn = waiter_fn };
	struct tvq_seg seg[2];
	struct tvq_dma_view v;

	(void)state;
	assert_int_equal(tvq_space_map(s, &r, 1), 0);
	r = region(0, 0x1000, RW, NULL);
	assert_int_equal(tvq_space_map(s, &r, 1), 0);
	tvq_dma_view_refresh(&v, s);
	assert_non_null(tvq_dma_ptr(&v, UINT64_MAX, 1, RW));
	assert_null(tvq_dma_ptr(&v, UINT64_MAX, 2, RW));
	/* A range that goes on at address 0 is no range. */
	assert_int_equal(tvq_dma_segs(&v, UINT64_MAX, 1, RW, seg, 2), 1);
	assert_int_equal(tvq_dma_segs(&v, UINT64_MAX, 2, RW, seg, 2), -EFAULT);
	assert_int_equal(tvq_space_unmap(s, -(uint64_t)0x1000, 0x1001, &w.done), -EINVAL);
	assert_int_equal(tvq_space_unmap(s, -(uint64_t)0x1000, 0x1000, &w.done), 0);
	assert_int_equal(w.called, 1);
	end(s);
}

static void segments_follow_adjacent_regions(void **state)
{
	struct tvq_space *s = new_space();
	struct tvq_region r[] = {
		region(0x1000, 0x1000, RW, NULL),
		region(0x2000, 0x1000, RW, NULL),
		region(0x3000, 0x1000, TVQ_DMA_READ, NULL),
		region(0x5000, 0x1000, RW, NULL),
	};
	struct tvq_seg seg[4];
	struct tvq_dma_view v;

	(void)state;
	assert_int_equal(tvq_space_map(s, r, ARRAY_SIZE(r)), 0);
	tvq_dma_view_refresh(&v, s);
	assert_int_equal(tvq_dma_segs(&v, 0x1800, 0x1400, RW, seg, 4), 2);
	assert_ptr_equal(seg[0].va, memory + 0x1800);
	assert_int_equal(seg[0].len, 0x800);
	assert_ptr_equal(seg[1].va, memory + 0x2000);
	assert_int_equal(seg[1].len, 0xc00);
	assert_int_equal(tvq_dma_segs(&v, 0x1000, 0x3000, TVQ_DMA_READ, seg, 4), 3);
	assert_int_equal(tvq_dma_segs(&v, 0x1000, 0x3000, TVQ_DMA_READ, seg, 2), -E2BIG);
	assert_int_equal(tvq_dma_segs(&v, 0x1000, 0x3000, RW, seg, 4), -EFAULT);
	assert_int_equal(tvq_dma_segs(&v, 0x3fff, 2, TVQ_DMA_READ, seg, 4), -EFAULT);
	assert_int_equal(tvq_dma_segs(&v, 0x1000, 0, RW, seg, 0), 0);
	assert_int_equal(tvq_dma_segs(&v, 0x1000, UINT64_MAX, RW, seg, 4), -EFAULT);
	end(s);
}

/* An IOMMU's driver maps one piece page by page. */
static void pieces_that_follow_each_other_in_memory_too_are_one(void **state)
{
	struct tvq_space *s = new_space();
	struct tvq_region r[] = {
		region(0x1000, 0x1000, RW, NULL),
		region(0x2000, 0x1000, RW, NULL),
		region(0x3000, 0x1000, TVQ_DMA_READ, NULL),
		region(0x4000, 0x1000, RW, NULL), /* its memory is elsewhere */
		region(0x6000, 0x1000, RW, NULL), /* known, but without memory */
		region(0x7000, 0x1000, RW, NULL),
	};
	struct tvq_region more = region(0x8000, 0x1000, RW, NULL);
	struct user u = { .user.sync = user_sync };
	const struct tvq_dma_table *older;
	struct tvq_dma_view v;

	(void)state;
	r[3].va += 0x1000;
	r[4].va = NULL;
	assert_int_equal(tvq_space_map(s, r, ARRAY_SIZE(r)), 0);
	tvq_dma_view_refresh(&v, s);
	older = v.table;
	assert_ptr_equal(tvq_dma_ptr(&v, 0x1000, 0x2000, RW), memory + 0x1000);
	assert_ptr_equal(tvq_dma_ptr(&v, 0x1fff, 2, RW), memory + 0x1fff);
	assert_null(tvq_dma_ptr(&v, 0x1000, 0x2001, RW));
	assert_ptr_equal(tvq_dma_ptr(&v, 0x1000, 0x3000, TVQ_DMA_READ), memory + 0x1000);
	assert_null(tvq_dma_ptr(&v, 0x1000, 0x3001, TVQ_DMA_READ));
	assert_null(tvq_dma_ptr(&v, 0x4fff, 2, RW));
	assert_null(tvq_dma_ptr(&v, 0x6fff, 2, RW));
	assert_null(tvq_dma_ptr(&v, 0x7000, 0x1001, RW));
	assert_null(tvq_dma_ptr(&v, 0x5fff, 2, RW));
	assert_null(tvq_dma_ptr(&v, 0x1001, UINT64_MAX, RW));
	/* A view whose last region is one of an older table finds the neighbours in the newest. */
	tvq_space_add_user(s, &u.user);
	assert_non_null(tvq_dma_ptr(&v, 0x7000, 1, RW));
	assert_int_equal(tvq_space_map(s, &more, 1), 0);
	assert_true(tvq_dma_view_advance(&v));
	assert_ptr_equal(v.last, &older->r[5]);
	assert_ptr_equal(tvq_dma_ptr(&v, 0x7800, 0x1000, RW), memory + 0x7800);
	assert_non_null(tvq_dma_ptr(&v, 0x1000, 1, RW));
	assert_ptr_equal(tvq_dma_ptr(&v, 0x1800, 0x1000, RW), memory + 0x1800);
	assert_null(tvq_dma_ptr(&v, 0x8fff, 2, RW));
	answer(&u, s);
	tvq_space_del_user(s, &u.user);
	end(s);
}

static void look_up_finds_the_right_one_of_many_regions(void **state)
{
	enum { N = 1000 };
	struct tvq_space *s = new_space();
	struct tvq_region *r = calloc(N, sizeof(*r));
	struct tvq_dma_view v;

	(void)state;
	assert_non_null(r);
	/* In an order that is neither sorted nor reversed; every second page is left out. */
	for (unsigned int i = 0; i < N; i++) {
		uint64_t k = i * 387 % N;

		r[i] = (struct tvq_region){ k * 0x2000, 0x1000, (uint8_t *)(k * 0x2000 + 0x10000),
					    RW, NULL };
	}
	assert_int_equal(tvq_space_map(s, r, N), 0);
	tvq_dma_view_refresh(&v, s);
	for (unsigned int i = 0; i < 20000; i++) {
		uint64_t iova = (uint64_t)rand() % (N * 0x2000);
		uint8_t *expected = iova & 0x1000 ? NULL : (uint8_t *)(iova + 0x10000);

		assert_ptr_equal(tvq_dma_ptr(&v, iova, 1, RW), expected);
	}
	free(r);
	end(s);
}

/* Changes */

static void map_that_fails_changes_nothing_and_releases_its_mappings(void **state)
{
	struct tvq_space *s = new_space();
	struct counted c = { 0 };
	struct tvq_region there = region(0x4000, 0x2000, RW, NULL);
	const struct {
		uint64_t iova, len;
		int err;
	} bad[] = {
		{ 0x8000, 0, -EINVAL },	      { 0x8000, -(uint64_t)0x7fff, -EINVAL },
		{ UINT64_MAX, 2, -EINVAL },   { 0x4000, 0x2000, -EEXIST },
		{ 0x3fff, 2, -EEXIST },	      { 0x5fff, 1, -EEXIST },
		{ 0x0, UINT64_MAX, -EEXIST }, { 0x4800, 1, -EEXIST },
		{ 0x1000, 0x1000, -EEXIST }, /* with the good one beside it */
	};
	struct tvq_dma_view v;

	(void)state;
	assert_int_equal(tvq_space_map(s, &there, 1), 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
		struct tvq_region r[] = { region(0x1000, 0x1000, RW, &c),
					  region(bad[i].iova, bad[i].len, RW, &c) };

		assert_int_equal(tvq_space_map(s, r, 2), bad[i].err);
		assert_int_equal(c.refs, 0);
	}
	no_memory = true;
	there = region(0x1000, 1, RW, &c);
	assert_int_equal(tvq_space_map(s, &there, 1), -ENOMEM);
	no_memory = false;
	assert_int_equal(c.refs, 0);
	tvq_dma_view_refresh(&v, s);
	assert_int_equal(v.table->n, 1);
	assert_null(tvq_dma_ptr(&v, 0x1000, 1, 0));
	assert_non_null(tvq_dma_ptr(&v, 0x4000, 0x2000, RW));
	end(s);
}

static void unmap_that_fails_changes_nothing(void **state)
{
	struct tvq_space *s = new_space();
	struct counted c = { 0 };
	struct tvq_region r[] = { region(0x1000, 0x1000, RW, &c), region(0x2000, 0x1000, RW, &c),
				  region(0x4000, 0x1000, RW, &c) };
	const struct {
		uint64_t iova, len;
		int err;
	} bad[] = {
		{ 0x1000, 0, -EINVAL },		 { 0x1000, 0x800, -EINVAL },
		{ 0x1000, 0x1001, -EINVAL },	 { 0x1001, 0x2fff, -EINVAL },
		{ 0, 0x1001, -EINVAL },		 { 0x2fff, 0x2000, -EINVAL },
		{ 0x3000, 0x1000, -ENOENT },	 { 0x5000, 0x1000, -ENOENT },
		{ 0x1000, UINT64_MAX, -EINVAL }, { 0x1800, 1, -EINVAL },
	};
	struct waiter w = { .done.fn = waiter_fn };
	struct tvq_dma_view v;

	(void)state;
	assert_int_equal(tvq_space_map(s, r, 3), 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(tvq_space_unmap(s, bad[i].iova, bad[i].len, &w.done), bad[i].err);
	no_memory = true;
	assert_int_equal(tvq_space_unmap(s, 0x1000, 0x1000, &w.done), -ENOMEM);
	/* What leaves nothing needs nothing. */
	assert_int_equal(tvq_space_unmap_all(s, NULL), 0);
	no_memory = false;
	assert_int_equal(w.called, 0);
	assert_int_equal(c.refs, 0);
	tvq_dma_view_refresh(&v, s);
	assert_int_equal(v.table->n, 0);
	end(s);
}

static void unmap_without_users_completes_at_once_with_the_mappings_released(void **state)
{
	struct tvq_space *s = new_space();
	struct counted c[4] = { 0 };
	struct waiter w = { .done.fn = waiter_fn, .mapping = &c[2] };
	struct tvq_dma_view v;

	(void)state;
	for (unsigned int i = 0; i < 4; i++) {
		struct tvq_region r = region(0x1000 * (i + 1), 0x1000, RW, &c[i]);

		assert_int_equal(tvq_space_map(s, &r, 1), 0);
	}
	assert_int_equal(tvq_space_unmap(s, 0x2000, 0x2000, &w.done), 0);
	assert_int_equal(w.called, 1);
	assert_int_equal(w.refs, 0);
	assert_int_equal(c[0].refs, 1);
	assert_int_equal(c[1].refs, 0);
	assert_int_equal(c[2].refs, 0);
	assert_int_equal(c[3].refs, 1);
	tvq_dma_view_refresh(&v, s);
	assert_non_null(tvq_dma_ptr(&v, 0x1000, 1, RW));
	assert_null(tvq_dma_ptr(&v, 0x2000, 1, RW));
	assert_null(tvq_dma_ptr(&v, 0x3000, 1, RW));
	assert_non_null(tvq_dma_ptr(&v, 0x4000, 1, RW));
	assert_int_equal(tvq_space_unmap_all(s, &w.done), 0);
	assert_int_equal(tvq_space_unmap_all(s, &w.done), 0);
	assert_int_equal(w.called, 3);
	end(s);
	assert_int_equal(c[0].refs, 0);
	assert_int_equal(c[3].refs, 0);
}

/* Completion */

static void unmap_is_not_done_before_every_user_has_answered(void **state)
{
	struct tvq_space *s = new_space();
	struct counted c = { 0 };
	struct tvq_region r = region(0x1000, 0x1000, RW, &c);
	struct waiter w = { .done.fn = waiter_fn, .mapping = &c, .refs = -1 };
	struct user slow[3] = { 0 }, quick = { .user.sync = user_sync, .at_once = true };
	struct tvq_dma_view old;

	(void)state;
	assert_int_equal(tvq_space_map(s, &r, 1), 0);
	tvq_dma_view_refresh(&old, s);
	for (unsigned int i = 0; i < 3; i++) {
		slow[i].user.sync = user_sync;
		tvq_space_add_user(s, &slow[i].user);
	}
	tvq_space_add_user(s, &quick.user);
	assert_int_equal(tvq_space_unmap(s, 0x1000, 0x1000, &w.done), 0);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(w.called, 0);
		assert_int_equal(c.refs, 1);
		/* The old table is whole as long as anybody may look at it. */
		assert_ptr_equal(tvq_dma_ptr(&old, 0x1000, 0x1000, RW), memory + 0x1000);
		answer(&slow[i], s);
	}
	assert_int_equal(w.called, 1);
	assert_int_equal(w.refs, 0);
	assert_int_equal(quick.syncs, 1);
	for (unsigned int i = 0; i < 3; i++)
		tvq_space_del_user(s, &slow[i].user);
	tvq_space_del_user(s, &quick.user);
	end(s);
}

static void change_during_a_round_waits_for_a_round_of_its_own(void **state)
{
	struct tvq_space *s = new_space();
	struct counted c[3] = { 0 };
	struct waiter w[3];
	struct user a = { .user.sync = user_sync }, b = { .user.sync = user_sync };

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		struct tvq_region r = region(0x1000 * (i + 1), 0x1000, RW, &c[i]);

		w[i] = (struct waiter){ .done.fn = waiter_fn };
		assert_int_equal(tvq_space_map(s, &r, 1), 0);
	}
	tvq_space_add_user(s, &a.user);
	tvq_space_add_user(s, &b.user);
	assert_int_equal(tvq_space_unmap(s, 0x1000, 0x1000, &w[0].done), 0);
	/*
	 * a has refreshed already and may hold the table of now; what goes from here on is in it.
	 */
	answer(&a, s);
	assert_int_equal(tvq_space_unmap(s, 0x2000, 0x1000, &w[1].done), 0);
	assert_int_equal(tvq_space_unmap(s, 0x3000, 0x1000, &w[2].done), 0);
	assert_int_equal(a.syncs, 1);
	answer(&b, s);
	assert_int_equal(w[0].called, 1);
	assert_int_equal(w[1].called + w[2].called, 0);
	assert_int_equal(c[0].refs, 0);
	assert_int_equal(c[1].refs, 1);
	assert_int_equal(c[2].refs, 1);
	/* Both of them in one round. */
	assert_int_equal(a.syncs, 2);
	answer(&b, s);
	assert_int_equal(w[1].called + w[2].called, 0);
	answer(&a, s);
	assert_int_equal(w[1].called, 1);
	assert_int_equal(w[2].called, 1);
	assert_int_equal(c[1].refs, 0);
	assert_int_equal(c[2].refs, 0);
	tvq_space_del_user(s, &a.user);
	tvq_space_del_user(s, &b.user);
	end(s);
}

static void map_is_told_to_users_and_visible_to_later_views_at_once(void **state)
{
	struct tvq_space *s = new_space();
	struct tvq_region r = region(0x1000, 0x1000, RW, NULL);
	struct user u = { .user.sync = user_sync };
	struct tvq_dma_view old, new;

	(void)state;
	tvq_space_add_user(s, &u.user);
	tvq_dma_view_refresh(&old, s);
	assert_int_equal(tvq_space_map(s, &r, 1), 0);
	assert_int_equal(u.syncs, 1);
	tvq_dma_view_refresh(&new, s);
	assert_non_null(tvq_dma_ptr(&new, 0x1000, 1, RW));
	/* A view that was not refreshed yet finds it as well: a buffer there is not the driver's fault. */
	assert_non_null(tvq_dma_ptr(&old, 0x1000, 1, RW));
	assert_null(tvq_dma_ptr(&old, 0x2000, 1, RW));
	answer(&u, s);
	tvq_space_del_user(s, &u.user);
	end(s);
}

static void user_that_left_owing_an_answer_is_waited_for(void **state)
{
	struct tvq_space *s = new_space();
	struct counted c = { 0 };
	struct tvq_region r = region(0x1000, 0x1000, RW, &c);
	struct waiter w = { .done.fn = waiter_fn };
	struct user gone = { .user.sync = user_sync }, late = { .user.sync = user_sync };

	(void)state;
	assert_int_equal(tvq_space_map(s, &r, 1), 0);
	tvq_space_add_user(s, &gone.user);
	assert_int_equal(tvq_space_unmap_all(s, &w.done), 0);
	tvq_space_del_user(s, &gone.user);
	tvq_space_del_user(s, &gone.user);
	/* Came after the change: not asked. */
	tvq_space_add_user(s, &late.user);
	assert_int_equal(late.syncs, 0);
	tvq_space_del_user(s, &late.user);
	/* The space outlives its last reference for it. */
	tvq_space_put(s);
	assert_int_equal(w.called, 0);
	assert_int_equal(c.refs, 1);
	answer(&gone, s);
	assert_int_equal(w.called, 1);
	assert_int_equal(c.refs, 0);
	assert_int_equal(allocated, 0);
}

/* A completion that goes on changing the space, the way one disconnect follows another. */
struct chain {
	struct tvq_dma_done done;
	struct tvq_space *space;
	unsigned int left;
	bool drop; /* the last one drops the space */
};

static void chain_fn(struct tvq_dma_done *d)
{
	struct chain *c = (struct chain *)d;
	struct tvq_region r = region(0x1000, 0x1000, RW, NULL);

	if (!c->left--) {
		if (c->drop)
			tvq_space_put(c->space);
		return;
	}
	assert_int_equal(tvq_space_map(c->space, &r, 1), 0);
	assert_int_equal(tvq_space_unmap_all(c->space, d), 0);
}

static void completion_may_change_and_drop_the_space(void **state)
{
	struct tvq_space *s = new_space();
	struct chain c = { .done.fn = chain_fn, .space = s, .left = 100000, .drop = true };
	struct user u = { .user.sync = user_sync, .at_once = true };

	(void)state;
	tvq_space_add_user(s, &u.user);
	c.drop = false;
	assert_int_equal(tvq_space_unmap_all(s, &c.done), 0);
	assert_true(u.syncs > 100000);
	tvq_space_del_user(s, &u.user);
	c.left = 3;
	c.drop = true;
	assert_int_equal(tvq_space_unmap_all(s, &c.done), 0);
	assert_int_equal(allocated, 0);
}

/* Removes itself and others while users are being asked. */
struct leaver {
	struct tvq_dma_user user;
	struct tvq_dma_user *also;
	unsigned int syncs;
};

static void leaver_sync(struct tvq_dma_user *u, struct tvq_space *s)
{
	struct leaver *l = (struct leaver *)u;

	l->syncs++;
	tvq_space_del_user(s, u);
	if (l->also)
		tvq_space_del_user(s, l->also);
	tvq_dma_sync_done(s);
}

static void users_may_leave_while_they_are_asked(void **state)
{
	struct tvq_space *s = new_space();
	struct leaver l[3] = { 0 };
	struct waiter w = { .done.fn = waiter_fn };

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		l[i].user.sync = leaver_sync;
		tvq_space_add_user(s, &l[i].user);
	}
	/* The last one added is asked first, and takes the next one with it. */
	l[2].also = &l[1].user;
	assert_int_equal(tvq_space_unmap_all(s, &w.done), 0);
	assert_int_equal(w.called, 1);
	assert_int_equal(l[2].syncs, 1);
	assert_int_equal(l[1].syncs, 0);
	assert_int_equal(l[0].syncs, 1);
	end(s);
}

/* Log */

static bool logged(const _Atomic uint8_t *bits, uint64_t page)
{
	return bits[page / 8] >> (page % 8) & 1;
}

static void log_holds_exactly_the_pages_that_were_written(void **state)
{
	enum { PAGES = 77 };
	static const struct {
		uint64_t iova, len;
	} w[] = {
		{ 0, 1 },
		{ 0xfff, 1 },
		{ 0xfff, 2 },
		{ 0x1000, 0x1000 },
		{ 0x3001, 0x7fff },
		{ 0x7000, 0x1001 },
		{ 0x8000, 0x8000 },
		{ 0x5fff, 0x12002 },
		{ 0, 0x1000 * PAGES },
		{ 0x4cfff, 1 },
		{ 0x4cfff, 2 },
		{ 0x4d000, 1 },
		{ 0x40000, UINT64_MAX - 0x40000 },
		{ UINT64_MAX, 1 },
		{ 5, 0 },
	};

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(w); i++) {
		/* One byte more than there are bits: nothing may go there. */
		_Atomic uint8_t bits[PAGES / 8 + 2] = { 0 };
		struct tvq_dma_log log = { bits, 0x1000 * PAGES };

		tvq_dma_log_write(&log, w[i].iova, w[i].len);
		for (uint64_t p = 0; p < PAGES; p++) {
			uint64_t start = p * 0x1000;
			bool want = w[i].len &&
				    (w[i].iova - start < 0x1000 || start - w[i].iova < w[i].len);

			assert_int_equal(logged(bits, p), want);
		}
		assert_int_equal(bits[PAGES / 8] >> (PAGES % 8), 0);
		assert_int_equal(bits[PAGES / 8 + 1], 0);
	}
}

static void log_reaches_views_by_refresh_and_is_free_when_done(void **state)
{
	_Atomic uint8_t bits[1] = { 0 };
	struct tvq_dma_log log = { bits, 0x8000 };
	struct tvq_space *s = new_space();
	struct user u = { .user.sync = user_sync };
	struct waiter on = { .done.fn = waiter_fn }, off = { .done.fn = waiter_fn };
	struct tvq_dma_view v;

	(void)state;
	tvq_space_add_user(s, &u.user);
	tvq_dma_view_refresh(&v, s);
	tvq_dma_wrote(&v, 0, 1);
	assert_int_equal(tvq_space_set_log(s, &log, &on.done), 0);
	assert_int_equal(on.called, 0);
	tvq_dma_view_refresh(&v, s);
	answer(&u, s);
	assert_int_equal(on.called, 1);
	assert_int_equal(bits[0], 0);
	tvq_dma_wrote(&v, 0x2000, 1);
	assert_int_equal(bits[0], 4);
	assert_int_equal(tvq_space_set_log(s, NULL, &off.done), 0);
	/* Not refreshed yet: still written to, and so still not done. */
	tvq_dma_wrote(&v, 0x0, 1);
	assert_int_equal(bits[0], 5);
	assert_int_equal(off.called, 0);
	tvq_dma_view_refresh(&v, s);
	answer(&u, s);
	assert_int_equal(off.called, 1);
	tvq_dma_wrote(&v, 0x1000, 1);
	assert_int_equal(bits[0], 5);
	tvq_space_del_user(s, &u.user);
	end(s);
}

static void view_tells_that_one_of_its_regions_is_lost(void **state)
{
	struct tvq_space *s = new_space();
	struct counted c[2] = { 0 };
	struct tvq_region r[] = { region(0, 1, RW, NULL), region(1, 1, RW, &c[0]),
				  region(2, 1, RW, &c[1]) };
	struct tvq_dma_view v;

	(void)state;
	assert_int_equal(tvq_space_map(s, r, 3), 0);
	tvq_dma_view_refresh(&v, s);
	assert_false(tvq_dma_view_lost(&v));
	atomic_store(&c[1].m.lost, true);
	assert_true(tvq_dma_view_lost(&v));
	end(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(view_reaches_what_is_mapped_and_nothing_else),
		cmocka_unit_test(region_may_end_where_the_address_space_does),
		cmocka_unit_test(segments_follow_adjacent_regions),
		cmocka_unit_test(pieces_that_follow_each_other_in_memory_too_are_one),
		cmocka_unit_test(look_up_finds_the_right_one_of_many_regions),
		cmocka_unit_test(map_that_fails_changes_nothing_and_releases_its_mappings),
		cmocka_unit_test(unmap_that_fails_changes_nothing),
		cmocka_unit_test(unmap_without_users_completes_at_once_with_the_mappings_released),
		cmocka_unit_test(unmap_is_not_done_before_every_user_has_answered),
		cmocka_unit_test(change_during_a_round_waits_for_a_round_of_its_own),
		cmocka_unit_test(map_is_told_to_users_and_visible_to_later_views_at_once),
		cmocka_unit_test(user_that_left_owing_an_answer_is_waited_for),
		cmocka_unit_test(completion_may_change_and_drop_the_space),
		cmocka_unit_test(users_may_leave_while_they_are_asked),
		cmocka_unit_test(log_holds_exactly_the_pages_that_were_written),
		cmocka_unit_test(log_reaches_views_by_refresh_and_is_free_when_done),
		cmocka_unit_test(view_tells_that_one_of_its_regions_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
