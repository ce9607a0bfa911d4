/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Slabs. Theory of operation.
 *
 * A class has the objects of one size; its slabs are blocks of memory cut into pieces of that size.
 * The first slab is small and each further one as large as all before it, until they are BLOCK
 * bytes: the size that tvq_os.alloc makes one huge page of. Slabs with a free object are on the
 * class's list, the one that was freed into last first, since its lines are in the cache. An empty
 * slab goes back to the system, but for one of each class: what is created and destroyed in turns
 * must not make and end a slab each time.
 *
 * A piece is an odd number of cache lines: the first lines of all objects, which everybody looks
 * at, then spread over all sets of a cache. Behind the object it has a trailer, which says what
 * slab it is of, and links the free ones. AddressSanitizer sees a free object as memory that is not
 * ours.
 */
#include <stdbool.h>

#include "device/slab.h"
#include "device/util.h"

#define LINE  64u
#define BLOCK (2u << 20)
#define FIRST 4u /* objects in a class's first slab */

struct trailer {
	struct slab *slab;
	void *next_free;
};

struct slab {
	struct slab *next, **pprev; /* on the class's list; pprev NULL: full */
	void *free;
	size_t bytes;
	uint32_t n, used;
	_Alignas(LINE) uint8_t piece[];
};

struct tvq_slab_class {
	struct tvq_slab_class *next;
	size_t size;  /* of an object */
	size_t piece; /* bytes from one to the next */
	uint32_t n;   /* objects in all slabs */
	struct slab *list;
	struct slab *spare; /* the empty one, also on the list; NULL: there is none */
};

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#endif

#ifdef SANITIZED
void __asan_poison_memory_region(const volatile void *p, size_t size);
void __asan_unpoison_memory_region(const volatile void *p, size_t size);
#define hide(p, size) __asan_poison_memory_region(p, size)
#define show(p, size) __asan_unpoison_memory_region(p, size)
#else
#define hide(p, size) ((void)(p), (void)(size))
#define show(p, size) ((void)(p), (void)(size))
#endif

static struct trailer *trailer_of(const struct tvq_slab_class *c, void *p)
{
	return (void *)((uint8_t *)p + c->piece - sizeof(struct trailer));
}

void tvq_slabs_init(struct tvq_slabs *s, const struct tvq_os *os)
{
	s->os = os;
	s->classes = NULL;
}

static void list_add(struct tvq_slab_class *c, struct slab *b)
{
	b->next = c->list;
	b->pprev = &c->list;
	if (b->next)
		b->next->pprev = &b->next;
	c->list = b;
}

static void list_del(struct slab *b)
{
	*b->pprev = b->next;
	if (b->next)
		b->next->pprev = b->pprev;
	b->next = NULL;
	b->pprev = NULL;
}

static struct slab *slab_new(struct tvq_slabs *s, struct tvq_slab_class *c)
{
	size_t n = c->n < FIRST ? FIRST : c->n;
	size_t bytes = sizeof(struct slab) + n * c->piece;
	struct slab *b;

	if (bytes > BLOCK)
		bytes = sizeof(*b) + c->piece > BLOCK ? sizeof(*b) + c->piece : BLOCK;
	b = s->os->alloc(bytes);
	if (!b)
		return NULL;
	b->bytes = bytes;
	b->n = (uint32_t)((bytes - sizeof(*b)) / c->piece);
	/* The first object is given out first. */
	for (uint32_t i = b->n; i-- > 0;) {
		void *p = b->piece + i * c->piece;
		struct trailer *t = trailer_of(c, p);

		t->slab = b;
		t->next_free = b->free;
		b->free = p;
		hide(p, c->size);
	}
	c->n += b->n;
	list_add(c, b);
	return b;
}

static void slab_free(struct tvq_slabs *s, struct tvq_slab_class *c, struct slab *b)
{
	list_del(b);
	c->n -= b->n;
	show(b, b->bytes);
	s->os->free(b, b->bytes);
}

void tvq_slabs_fini(struct tvq_slabs *s)
{
	struct tvq_slab_class *c;

	while ((c = s->classes)) {
		struct slab *next;

		for (struct slab *b = c->list; b; b = next) {
			next = b->next;
			if (!b->used)
				slab_free(s, c, b);
		}
		s->classes = c->next;
		s->os->free(c, sizeof(*c));
	}
}

static struct tvq_slab_class *class_of(const struct tvq_slabs *s, size_t size)
{
	struct tvq_slab_class *c = s->classes;

	while (c && c->size != size)
		c = c->next;
	return c;
}

static struct tvq_slab_class *class_new(struct tvq_slabs *s, size_t size)
{
	size_t lines = (size + sizeof(struct trailer) + LINE - 1) / LINE;
	struct tvq_slab_class *c = s->os->alloc(sizeof(*c));

	if (!c)
		return NULL;
	c->size = size;
	c->piece = (lines | 1) * LINE;
	c->next = s->classes;
	s->classes = c;
	return c;
}

void *tvq_slabs_alloc(struct tvq_slabs *s, size_t size)
{
	struct tvq_slab_class *c = class_of(s, size);
	struct slab *b;
	void *p;

	if (!c)
		c = class_new(s, size);
	b = c ? c->list : NULL;
	if (c && !b)
		b = slab_new(s, c);
	if (!b)
		return NULL;
	p = b->free;
	b->free = trailer_of(c, p)->next_free;
	if (c->spare == b)
		c->spare = NULL;
	if (++b->used == b->n)
		list_del(b);
	show(p, size);
	return memset(p, 0, size);
}

void tvq_slabs_free(struct tvq_slabs *s, void *p, size_t size)
{
	struct tvq_slab_class *c = class_of(s, size);
	struct trailer *t;
	struct slab *b;

	if (!p || !c)
		return;
	t = trailer_of(c, p);
	b = t->slab;
	t->next_free = b->free;
	b->free = p;
	hide(p, size);
	if (!b->pprev)
		list_add(c, b);
	if (--b->used)
		return;
	if (c->spare)
		slab_free(s, c, b);
	else
		c->spare = b;
}
