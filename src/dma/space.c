/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Address spaces, the control executor's side. Theory of operation.
 *
 * The table that views see is never changed: map and unmap build a new one and publish it. The old
 * one is retired: its memory, the references of the mappings that the new one lacks, and the
 * completion of who asked for the change wait until no view and no request can reach it.
 *
 * That is found out in rounds. A round asks every user once (sync), and is over when each has
 * answered (sync_done). What was retired before the round began is released at its end, since
 * whatever a user looked up later came from a newer table. What is retired during a round waits for
 * the next one, which starts at once; so any number of changes costs each user one sync at a time.
 *
 *   gathering   retired, and no round has asked for it yet
 *   draining    a round is asking for it
 *
 * A round keeps the space alive. sync() may answer before it returns, so the round counts itself as
 * one that has to answer until all have been asked.
 */
#include <stdatomic.h>
#include <string.h>

#include <linux/errno.h>

#include <tvq/dma.h>

/* A table, with what is to be done for it once it is retired. */
struct held_table {
	struct held_table *next;
	uint32_t first_gone, n_gone; /* its regions that the table after it lacks */
	struct tvq_dma_table t;
};

/* What waits for the users to let go. */
struct retired {
	bool any; /* a round is needed, even if neither of these is set */
	struct held_table *tables;
	struct tvq_dma_done *done, **done_tail;
};

struct tvq_space {
	/* What views read on their workers. */
	_Atomic(const struct tvq_dma_table *) table;
	_Atomic(const struct tvq_dma_log *) log;

	/* The control executor's. */
	const struct tvq_os *os;
	uint32_t asid;
	uint32_t refs;
	struct held_table *held; /* the owner of table; NULL: the empty one */
	struct tvq_dma_user *users;
	struct tvq_dma_user *cursor; /* the next user to ask, while they are asked */
	struct retired gathering, draining;
	uint64_t retired_bytes; /* of their tables */
	uint32_t owed;		/* answers that the round waits for; 0: no round */
	bool advancing;		/* advance() is on the stack */
};

static const struct tvq_dma_table empty_table;

struct tvq_space *tvq_space_new(const struct tvq_os *os, uint32_t asid)
{
	struct tvq_space *s = os->alloc(sizeof(*s));

	if (!s)
		return NULL;
	atomic_init(&s->table, &empty_table);
	atomic_init(&s->log, NULL);
	s->os = os;
	s->asid = asid;
	s->refs = 1;
	s->gathering.done_tail = &s->gathering.done;
	s->draining.done_tail = &s->draining.done;
	return s;
}

void tvq_space_get(struct tvq_space *s)
{
	s->refs++;
}

uint32_t tvq_space_asid(const struct tvq_space *s)
{
	return s->asid;
}

void tvq_dma_view_refresh(struct tvq_dma_view *v, const struct tvq_space *s)
{
	tvq_dma_view_init(v);
	/* Acquire: pairs with publish() and tvq_space_set_log(). */
	v->table = atomic_load_explicit(&s->table, memory_order_acquire);
	v->log = atomic_load_explicit(&s->log, memory_order_acquire);
	v->space = s;
}

bool tvq_dma_view_advance(struct tvq_dma_view *v)
{
	const struct tvq_dma_table *t;

	if (!v->space)
		return false;
	/* Acquire: pairs with publish(). */
	t = atomic_load_explicit(&v->space->table, memory_order_acquire);
	if (t == v->table)
		return false;
	v->table = t;
	return true;
}

/* Tables */

static size_t held_size(uint32_t n)
{
	return sizeof(struct held_table) + n * sizeof(struct tvq_region);
}

static struct held_table *new_held(const struct tvq_space *s, uint32_t n)
{
	struct held_table *h = s->os->alloc(held_size(n));

	if (h)
		h->t.n = n;
	return h;
}

static void put_mappings(const struct tvq_region *r, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (r[i].mapping)
			r[i].mapping->put(r[i].mapping);
	}
}

static void free_held(const struct tvq_space *s, struct held_table *h)
{
	put_mappings(h->t.r + h->first_gone, h->n_gone);
	s->os->free(h, held_size(h->t.n));
}

/* NULL: the empty table. */
static void publish(struct tvq_space *s, struct held_table *h)
{
	s->held = h;
	/* Release: pairs with tvq_dma_view_refresh(). */
	atomic_store_explicit(&s->table, h ? &h->t : &empty_table, memory_order_release);
}

/* Rounds */

static void maybe_free(struct tvq_space *s)
{
	if (s->refs || s->advancing || s->gathering.any || s->draining.any)
		return;
	if (s->held) {
		s->held->first_gone = 0;
		s->held->n_gone = s->held->t.n;
		free_held(s, s->held);
	}
	s->os->free(s, sizeof(*s));
}

static void ask_users(struct tvq_space *s)
{
	s->draining = s->gathering;
	if (!s->draining.done)
		s->draining.done_tail = &s->draining.done;
	s->gathering = (struct retired){ .done_tail = &s->gathering.done };

	s->owed = 1;
	s->cursor = s->users;
	while (s->cursor) {
		struct tvq_dma_user *u = s->cursor;

		s->cursor = u->next;
		s->owed++;
		u->sync(u, s);
	}
	s->owed--;
}

/* Nothing of the old reaches s->draining any more. The completions may do anything to the space. */
static void release_drained(struct tvq_space *s)
{
	struct held_table *h = s->draining.tables;
	struct tvq_dma_done *d = s->draining.done;

	s->draining = (struct retired){ .done_tail = &s->draining.done };
	while (h) {
		struct held_table *next = h->next;

		s->retired_bytes -= held_size(h->t.n);
		free_held(s, h);
		h = next;
	}
	while (d) {
		struct tvq_dma_done *next = d->next;

		d->fn(d);
		d = next;
	}
}

/*
 * Runs rounds until one has to wait. A call from within is left to the one on the stack. May free
 * s.
 */
static void advance(struct tvq_space *s)
{
	if (s->advancing)
		return;
	s->advancing = true;
	while (!s->owed && (s->draining.any || s->gathering.any)) {
		if (s->draining.any)
			release_drained(s);
		else
			ask_users(s);
	}
	s->advancing = false;
	maybe_free(s);
}

void tvq_dma_sync_done(struct tvq_space *s)
{
	if (--s->owed == 0)
		advance(s);
}

void tvq_space_put(struct tvq_space *s)
{
	s->refs--;
	maybe_free(s);
}

void tvq_space_add_user(struct tvq_space *s, struct tvq_dma_user *u)
{
	u->next = s->users;
	u->pprev = &s->users;
	if (u->next)
		u->next->pprev = &u->next;
	s->users = u;
}

void tvq_space_del_user(struct tvq_space *s, struct tvq_dma_user *u)
{
	if (!u->pprev)
		return;
	if (s->cursor == u)
		s->cursor = u->next;
	*u->pprev = u->next;
	if (u->next)
		u->next->pprev = u->pprev;
	u->next = NULL;
	u->pprev = NULL;
}

/* h: the table that was current, NULL for the empty one; its first_gone and n_gone are set. */
static void retire(struct tvq_space *s, struct held_table *h, struct tvq_dma_done *done)
{
	struct retired *g = &s->gathering;

	g->any = true;
	if (h) {
		h->next = g->tables;
		g->tables = h;
		s->retired_bytes += held_size(h->t.n);
	}
	if (done) {
		done->next = NULL;
		*g->done_tail = done;
		g->done_tail = &done->next;
	}
	advance(s);
}

/* Changes. All ranges are judged by subtraction: the last one may end at 2^64. */

static bool range_valid(uint64_t iova, uint64_t len)
{
	return len && len - 1 <= UINT64_MAX - iova;
}

static bool region_touches(const struct tvq_region *r, uint64_t iova, uint64_t len)
{
	return r->iova - iova < len || iova - r->iova < r->len;
}

static bool region_within(const struct tvq_region *r, uint64_t iova, uint64_t len)
{
	return r->iova - iova < len && r->len <= len - (r->iova - iova);
}

static void sift(struct tvq_region *r, size_t root, size_t n)
{
	struct tvq_region moved = r[root];

	for (;;) {
		size_t child = 2 * root + 1;

		if (child >= n)
			break;
		if (child + 1 < n && r[child + 1].iova > r[child].iova)
			child++;
		if (moved.iova >= r[child].iova)
			break;
		r[root] = r[child];
		root = child;
	}
	r[root] = moved;
}

/* A heap sort: a peer's order of regions must not make it slow. */
static void sort_regions(struct tvq_region *r, size_t n)
{
	for (size_t i = n / 2; i-- > 0;)
		sift(r, i, n);
	for (size_t i = n; i-- > 1;) {
		struct tvq_region max = r[0];

		r[0] = r[i];
		r[i] = max;
		sift(r, 0, i);
	}
}

static void merge(struct tvq_region *out, const struct tvq_region *a, size_t na,
		  const struct tvq_region *b, size_t nb)
{
	while (na || nb) {
		bool from_a = na && (!nb || a->iova <= b->iova);

		*out++ = from_a ? *a++ : *b++;
		if (from_a)
			na--;
		else
			nb--;
	}
}

static bool disjoint(const struct tvq_region *r, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		if (r[i].iova - r[i - 1].iova < r[i - 1].len)
			return false;
	}
	return true;
}

/* r is sorted. */
static int map_sorted(struct tvq_space *s, const struct tvq_region *r, size_t n)
{
	struct held_table *old = s->held, *h;
	uint32_t n_old = old ? old->t.n : 0;

	if (n > UINT32_MAX - n_old)
		return -ENOMEM;
	h = new_held(s, n_old + (uint32_t)n);
	if (!h)
		return -ENOMEM;
	merge(h->t.r, old ? old->t.r : NULL, n_old, r, n);
	if (!disjoint(h->t.r, h->t.n)) {
		free_held(s, h);
		return -EEXIST;
	}
	publish(s, h);
	retire(s, old, NULL);
	return 0;
}

static int map_regions(struct tvq_space *s, const struct tvq_region *r, size_t n)
{
	struct tvq_region *copy;
	bool sorted = true;
	int err;

	for (size_t i = 0; i < n; i++) {
		if (!range_valid(r[i].iova, r[i].len))
			return -EINVAL;
		if (i && r[i].iova < r[i - 1].iova)
			sorted = false;
	}
	if (sorted)
		return map_sorted(s, r, n);
	copy = s->os->alloc(n * sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	memcpy(copy, r, n * sizeof(*copy));
	sort_regions(copy, n);
	err = map_sorted(s, copy, n);
	s->os->free(copy, n * sizeof(*copy));
	return err;
}

int tvq_space_map(struct tvq_space *s, const struct tvq_region *r, size_t n)
{
	int err = n ? map_regions(s, r, n) : 0;

	if (err)
		put_mappings(r, n);
	return err;
}

/* Publishes a table without the n regions from first on. */
static int remove_regions(struct tvq_space *s, uint32_t first, uint32_t n,
			  struct tvq_dma_done *done)
{
	struct held_table *old = s->held, *h = NULL;
	uint32_t left;

	if (!old)
		return -ENOENT; /* nothing is mapped */
	left = old->t.n - n;
	if (left) {
		h = new_held(s, left);
		if (!h)
			return -ENOMEM;
		memcpy(h->t.r, old->t.r, first * sizeof(h->t.r[0]));
		memcpy(h->t.r + first, old->t.r + first + n, (left - first) * sizeof(h->t.r[0]));
	}
	old->first_gone = first;
	old->n_gone = n;
	publish(s, h);
	retire(s, old, done);
	return 0;
}

int tvq_space_unmap(struct tvq_space *s, uint64_t iova, uint64_t len, struct tvq_dma_done *done)
{
	const struct tvq_dma_table *t = s->held ? &s->held->t : &empty_table;
	uint32_t first = 0, n = 0;

	if (!range_valid(iova, len))
		return -EINVAL;
	for (uint32_t i = 0; i < t->n; i++) {
		if (!region_touches(&t->r[i], iova, len))
			continue;
		if (!region_within(&t->r[i], iova, len))
			return -EINVAL;
		if (!n)
			first = i;
		n++;
	}
	return n ? remove_regions(s, first, n, done) : -ENOENT;
}

int tvq_space_unmap_all(struct tvq_space *s, struct tvq_dma_done *done)
{
	if (s->held)
		return remove_regions(s, 0, s->held->t.n, done);
	retire(s, NULL, done);
	return 0;
}

uint64_t tvq_space_retired(const struct tvq_space *s)
{
	return s->retired_bytes;
}

void tvq_space_settle(struct tvq_space *s, struct tvq_dma_done *done)
{
	retire(s, NULL, done);
}

int tvq_space_set_log(struct tvq_space *s, const struct tvq_dma_log *log, struct tvq_dma_done *done)
{
	/* Release: pairs with tvq_dma_view_refresh(). */
	atomic_store_explicit(&s->log, log, memory_order_release);
	retire(s, NULL, done);
	return 0;
}
