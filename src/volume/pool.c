/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pool: which volumes there are, and which device has which.
 *
 * Theory of operation. All volumes are in a hash table by their id. A volume that was added and is
 * free is also on two lists: that of its class (capacity, read_only, owner), and that of all free
 * ones with the same read_only and owner. So claims by id, for any capacity and for a given one, and
 * releases cost the same with ten volumes and with 60,000. Lists are ordered by how long their
 * volumes have been free: what a device gave back is the last to be given out again. Classes are in
 * a hash table too and go with their last volume.
 *
 * A claim comes by the view of an owner. It looks at the lists of that one and at those of any, and
 * what it finds by an id has to be for one of the two: a guest drives its management device itself,
 * and is to get nothing, and learn nothing, of what is for another's.
 *
 * A volume that a maker made belongs to one claim. It is in the table by id and on no list, and
 * leaves the pool when it is released.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "pool.h"

#define MIN_BUCKETS 16

struct tvq_pool_class {
	struct tvq_pool_class *next;
	uint64_t capacity;
	bool read_only;
	unsigned int owner;
	uint32_t volumes;
	struct tvq_pool_node free;
};

struct tvq_pool_entry {
	struct tvq_pool_entry *next;
	struct tvq_volume *volume;
	struct tvq_pool_class *class; /* NULL: made */
	struct tvq_pool_maker *maker; /* NULL: added */
	struct tvq_pool_node in_class, in_free;
	uint64_t seq; /* of its last becoming free */
	unsigned int owner;
	bool in_use;
};

static void node_init(struct tvq_pool_node *head)
{
	head->next = head;
	head->prev = head;
}

static void node_add_tail(struct tvq_pool_node *head, struct tvq_pool_node *n)
{
	n->next = head;
	n->prev = head->prev;
	head->prev->next = n;
	head->prev = n;
}

static void node_del(struct tvq_pool_node *n)
{
	n->prev->next = n->next;
	n->next->prev = n->prev;
}

static uint32_t mix(uint64_t x)
{
	x ^= x >> 32;
	x *= 0x9e3779b97f4a7c15ULL;
	x ^= x >> 29;
	x *= 0xbf58476d1ce4e5b9ULL;
	return (uint32_t)(x >> 32);
}

static uint32_t id_hash(const uint8_t *id)
{
	uint64_t a, b;
	uint32_t c;

	_Static_assert(TVQ_VOLUME_ID_LEN == 20, "all of the id is hashed");
	memcpy(&a, id, 8);
	memcpy(&b, id + 8, 8);
	memcpy(&c, id + 16, 4);
	return mix(a + mix(b + mix(c)));
}

static struct tvq_pool_entry **find(const struct tvq_volume_pool *p, const uint8_t *id)
{
	struct tvq_pool_entry **at = &p->hash[id_hash(id) & p->hash_mask];

	while (*at && memcmp((*at)->volume->id, id, TVQ_VOLUME_ID_LEN) != 0)
		at = &(*at)->next;
	return at;
}

bool tvq_pool_has_id(const struct tvq_volume_pool *p, const uint8_t *id)
{
	return *find(p, id) != NULL;
}

/* A table that cannot grow stays as it is: slower, and right. */
static void hash_grow(struct tvq_volume_pool *p)
{
	uint32_t mask = p->hash_mask * 2 + 1;
	struct tvq_pool_entry **hash = calloc((size_t)mask + 1, sizeof(*hash));

	if (!hash)
		return;
	for (uint32_t i = 0; i <= p->hash_mask; i++) {
		struct tvq_pool_entry *e, *next;

		for (e = p->hash[i]; e; e = next) {
			struct tvq_pool_entry **to = &hash[id_hash(e->volume->id) & mask];

			next = e->next;
			e->next = *to;
			*to = e;
		}
	}
	free(p->hash);
	p->hash = hash;
	p->hash_mask = mask;
}

static void hash_add(struct tvq_volume_pool *p, struct tvq_pool_entry *e)
{
	struct tvq_pool_entry **to;

	if (p->n_entries > p->hash_mask)
		hash_grow(p);
	to = &p->hash[id_hash(e->volume->id) & p->hash_mask];
	e->next = *to;
	*to = e;
	p->n_entries++;
}

/* Capacities are multiples of 512. */
static uint32_t class_hash(uint64_t capacity, bool read_only, unsigned int owner)
{
	return mix(capacity + owner * 2 + read_only);
}

static struct tvq_pool_class **class_find(const struct tvq_volume_pool *p, uint64_t capacity,
					  bool read_only, unsigned int owner)
{
	uint32_t hash = class_hash(capacity, read_only, owner);
	struct tvq_pool_class **at = &p->classes[hash & p->class_mask];

	while (*at && ((*at)->capacity != capacity || (*at)->read_only != read_only ||
		       (*at)->owner != owner))
		at = &(*at)->next;
	return at;
}

static void class_grow(struct tvq_volume_pool *p)
{
	uint32_t mask = p->class_mask * 2 + 1;
	struct tvq_pool_class **table = calloc((size_t)mask + 1, sizeof(*table));

	if (!table)
		return;
	for (uint32_t i = 0; i <= p->class_mask; i++) {
		struct tvq_pool_class *c, *next;

		for (c = p->classes[i]; c; c = next) {
			uint32_t hash = class_hash(c->capacity, c->read_only, c->owner);
			struct tvq_pool_class **to = &table[hash & mask];

			next = c->next;
			c->next = *to;
			*to = c;
		}
	}
	free(p->classes);
	p->classes = table;
	p->class_mask = mask;
}

static struct tvq_pool_class *class_get(struct tvq_volume_pool *p,
					const struct tvq_volume_limits *l, unsigned int owner)
{
	struct tvq_pool_class *c = *class_find(p, l->capacity, l->read_only, owner), **to;

	if (!c) {
		c = calloc(1, sizeof(*c));
		if (!c)
			return NULL;
		if (p->n_classes > p->class_mask)
			class_grow(p);
		c->capacity = l->capacity;
		c->read_only = l->read_only;
		c->owner = owner;
		node_init(&c->free);
		to = class_find(p, l->capacity, l->read_only, owner);
		c->next = *to;
		*to = c;
		p->n_classes++;
	}
	c->volumes++;
	return c;
}

static void class_put(struct tvq_volume_pool *p, struct tvq_pool_class *c)
{
	if (--c->volumes)
		return;
	*class_find(p, c->capacity, c->read_only, c->owner) = c->next;
	p->n_classes--;
	free(c);
}

static void entry_free(struct tvq_volume_pool *p, struct tvq_pool_entry *e)
{
	e->in_use = false;
	e->seq = p->seq++;
	node_add_tail(&e->class->free, &e->in_class);
	node_add_tail(&p->free[e->owner][e->class->read_only], &e->in_free);
}

static void entry_use(struct tvq_pool_entry *e)
{
	e->in_use = true;
	node_del(&e->in_class);
	node_del(&e->in_free);
}

/* Takes the entry at *at out of the table and ends it; it is on no list of free ones. */
static void entry_remove(struct tvq_volume_pool *p, struct tvq_pool_entry **at)
{
	struct tvq_pool_entry *e = *at;

	*at = e->next;
	p->n_entries--;
	if (e->class)
		class_put(p, e->class);
	if (e->maker)
		e->maker->volumes--;
	tvq_volume_put(e->volume);
	free(e);
}

/* The one of two heads that has been free for longer. */
static struct tvq_pool_entry *older(struct tvq_pool_entry *a, struct tvq_pool_entry *b)
{
	if (!a || !b)
		return a ? a : b;
	return (int64_t)(a->seq - b->seq) < 0 ? a : b;
}

/* The first of those that are for just this owner, or just for any. */
static struct tvq_pool_entry *head(struct tvq_volume_pool *p, unsigned int owner, uint64_t capacity,
				   bool ro)
{
	struct tvq_pool_node *all = &p->free[owner][ro];
	struct tvq_pool_class *c;

	if (capacity) {
		c = *class_find(p, capacity, ro, owner);
		if (!c || c->free.next == &c->free)
			return NULL;
		return tvq_volume_of(c->free.next, struct tvq_pool_entry, in_class);
	}
	return all->next == all ? NULL : tvq_volume_of(all->next, struct tvq_pool_entry, in_free);
}

/* The first of all that the owner sees. */
static struct tvq_pool_entry *first_free(struct tvq_volume_pool *p, unsigned int owner,
					 uint64_t capacity, bool ro)
{
	struct tvq_pool_entry *e = head(p, TVQ_VOLUME_ANY, capacity, ro);

	return owner == TVQ_VOLUME_ANY ? e : older(e, head(p, owner, capacity, ro));
}

static void claim_by_id(const struct tvq_pool_view *view, struct tvq_claim *c)
{
	struct tvq_pool_entry *e = *find(view->all, c->id);
	int err = 0;

	/* Of what is for another not even that it is there. */
	if (!e || !tvq_pool_sees(view->owner, e->owner))
		err = -ENOENT;
	else if (e->in_use)
		err = -EBUSY;
	else if (e->volume->limits.read_only && !c->read_only)
		err = -EROFS;
	else if (c->capacity && c->capacity != e->class->capacity)
		err = -EINVAL;
	if (err) {
		c->done(c, err, NULL);
		return;
	}
	entry_use(e);
	c->done(c, 0, e->volume);
}

static void pool_claim(struct tvq_pool *pool, struct tvq_claim *c)
{
	static const uint8_t any[TVQ_VOLUME_ID_LEN];
	struct tvq_pool_view *view = tvq_volume_of(pool, struct tvq_pool_view, pool);
	struct tvq_volume_pool *p = view->all;
	struct tvq_pool_entry *e;
	int err;

	if (memcmp(c->id, any, sizeof(any)) != 0) {
		claim_by_id(view, c);
		return;
	}
	e = first_free(p, view->owner, c->capacity, false);
	if (c->read_only)
		e = older(e, first_free(p, view->owner, c->capacity, true));
	if (e) {
		entry_use(e);
		c->done(c, 0, e->volume);
		return;
	}
	err = tvq_pool_make(p, view->owner, c);
	if (err)
		c->done(c, err, NULL);
}

static void pool_release(struct tvq_pool *pool, struct tvq_volume *v)
{
	struct tvq_volume_pool *p = tvq_volume_of(pool, struct tvq_pool_view, pool)->all;
	struct tvq_pool_entry **at = find(p, v->id);

	if ((*at)->maker)
		entry_remove(p, at);
	else
		entry_free(p, *at);
}

static const struct tvq_pool_ops pool_ops = {
	.claim = pool_claim,
	.release = pool_release,
};

void tvq_pool_made(struct tvq_volume_pool *p, struct tvq_pool_maker *m, struct tvq_volume *v,
		   struct tvq_claim *c)
{
	struct tvq_pool_entry *e = calloc(1, sizeof(*e));
	/* While a file was being made somebody may have added a volume by that name. */
	int err = !e ? -ENOMEM : tvq_pool_has_id(p, v->id) ? -EEXIST : 0;

	if (err) {
		free(e);
		m->volumes--;
		tvq_volume_put(v);
		c->done(c, err, NULL);
		return;
	}
	e->volume = v;
	e->maker = m;
	e->owner = m->cfg.owner;
	e->in_use = true;
	hash_add(p, e);
	c->done(c, 0, v);
}

int tvq_volume_pool_add_for(struct tvq_volume_pool *p, struct tvq_volume *v, unsigned int owner)
{
	struct tvq_pool_entry *e;

	if (owner > TVQ_VOLUME_OWNERS)
		return -EINVAL;
	if (tvq_pool_has_id(p, v->id))
		return -EEXIST;
	e = calloc(1, sizeof(*e));
	if (!e)
		return -ENOMEM;
	e->volume = v;
	e->owner = owner;
	e->class = class_get(p, &v->limits, owner);
	if (!e->class) {
		free(e);
		return -ENOMEM;
	}
	hash_add(p, e);
	entry_free(p, e);
	return 0;
}

int tvq_volume_pool_add(struct tvq_volume_pool *p, struct tvq_volume *v)
{
	return tvq_volume_pool_add_for(p, v, TVQ_VOLUME_ANY);
}

int tvq_volume_pool_del(struct tvq_volume_pool *p, const char *id)
{
	uint8_t key[TVQ_VOLUME_ID_LEN] = { 0 };
	struct tvq_pool_entry **at;
	size_t len = strlen(id);

	if (len > sizeof(key))
		return -ENOENT;
	memcpy(key, id, len);
	at = find(p, key);
	if (!*at)
		return -ENOENT;
	if ((*at)->in_use)
		return -EBUSY;
	entry_use(*at);
	entry_remove(p, at);
	return 0;
}

static void entry_info(const struct tvq_pool_entry *e, struct tvq_volume_info *info)
{
	*info = (struct tvq_volume_info){
		.type = e->volume->ops->type,
		.path = tvq_volume_path(e->volume),
		.limits = e->volume->limits,
		.owner = e->owner,
		.in_use = e->in_use,
		.made = e->maker != NULL,
	};
	memcpy(info->id, e->volume->id, TVQ_VOLUME_ID_LEN);
}

void tvq_volume_pool_each(struct tvq_volume_pool *p,
			  bool (*fn)(void *ctx, const struct tvq_volume_info *info), void *ctx)
{
	struct tvq_volume_info info;

	for (uint32_t i = 0; i <= p->hash_mask; i++)
		for (struct tvq_pool_entry *e = p->hash[i]; e; e = e->next) {
			entry_info(e, &info);
			if (!fn(ctx, &info))
				return;
		}
}

struct tvq_pool *tvq_volume_pool_view(struct tvq_volume_pool *p, unsigned int owner)
{
	return owner <= TVQ_VOLUME_OWNERS ? &p->views[owner].pool : NULL;
}

struct tvq_pool *tvq_volume_pool_pool(struct tvq_volume_pool *p)
{
	return tvq_volume_pool_view(p, TVQ_VOLUME_ANY);
}

struct tvq_volume_pool *tvq_volume_pool_new(struct tvq_exec *control)
{
	struct tvq_volume_pool *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	for (unsigned int i = 0; i <= TVQ_VOLUME_OWNERS; i++) {
		p->views[i] = (struct tvq_pool_view){ { &pool_ops }, p, i };
		node_init(&p->free[i][0]);
		node_init(&p->free[i][1]);
	}
	p->control = control;
	p->hash_mask = p->class_mask = MIN_BUCKETS - 1;
	p->hash = calloc(MIN_BUCKETS, sizeof(*p->hash));
	p->classes = calloc(MIN_BUCKETS, sizeof(*p->classes));
	if (!p->hash || !p->classes) {
		tvq_volume_pool_free(p);
		return NULL;
	}
	return p;
}

void tvq_volume_pool_free(struct tvq_volume_pool *p)
{
	if (!p)
		return;
	for (uint32_t i = 0; p->hash && p->classes && i <= p->hash_mask; i++)
		while (p->hash[i])
			entry_remove(p, &p->hash[i]);
	for (struct tvq_pool_maker *m = p->makers, *next; m; m = next) {
		next = m->next;
		tvq_pool_maker_free(m);
	}
	free(p->hash);
	free(p->classes);
	free(p);
}
