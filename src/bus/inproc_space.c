// SPDX-License-Identifier: BSD-3-Clause
/* Address spaces of the in-process bus. Space 0 holds the driver's own rings, no more. */
#include <stdlib.h>

#include <tvq/mapping.h>

#include "bus/inproc.h"

int inproc_grow(void *array, uint32_t *cap, uint32_t n, size_t elem)
{
	uint32_t bigger = *cap ? *cap * 2 : 16;
	void *p;

	if (n < *cap)
		return 0;
	p = realloc(*(void **)array, bigger * elem);
	if (!p)
		return -ENOMEM;
	*(void **)array = p;
	*cap = bigger;
	return 0;
}

static struct tvq_space *find(struct inproc *ip, uint32_t asid)
{
	return asid < ip->n_spaces ? ip->spaces[asid] : NULL;
}

struct tvq_space *tvq_inproc_space(struct tvq_bus *b, uint32_t asid)
{
	return find(inproc_of(b), asid);
}

struct tvq_space *inproc_space_of(struct tvq_platform *p, uint32_t asid)
{
	struct tvq_space *s = find(inproc_of_platform(p), asid);

	if (s)
		tvq_space_get(s);
	return s;
}

static int take_asid(struct inproc *ip, uint32_t *asid)
{
	uint32_t cap = ip->cap_spaces;

	if (ip->n_free_asids) {
		*asid = ip->free_asids[--ip->n_free_asids];
		return 0;
	}
	/* The list of free ones has room for all there are, so that freeing never fails. */
	if (inproc_grow(&ip->free_asids, &cap, ip->n_spaces, sizeof(*ip->free_asids)) ||
	    inproc_grow(&ip->spaces, &ip->cap_spaces, ip->n_spaces, sizeof(struct tvq_space *)))
		return -ENOMEM;
	*asid = ip->n_spaces;
	ip->spaces[ip->n_spaces++] = NULL;
	return 0;
}

int inproc_space_new(struct tvq_bus *b, uint32_t *asid)
{
	struct inproc *ip = inproc_of(b);
	int err = take_asid(ip, asid);

	if (err)
		return err;
	ip->spaces[*asid] = tvq_space_new(b->os, *asid);
	if (ip->spaces[*asid])
		return 0;
	ip->free_asids[ip->n_free_asids++] = *asid;
	return -ENOMEM;
}

void inproc_space_free(struct tvq_bus *b, uint32_t asid)
{
	struct inproc *ip = inproc_of(b);
	struct tvq_space *s = find(ip, asid);

	if (!s)
		return;
	ip->spaces[asid] = NULL;
	ip->free_asids[ip->n_free_asids++] = asid;
	tvq_space_put(s);
}

static int make_region(const struct tvq_bus_mem *m, struct tvq_region *r)
{
	*r = (struct tvq_region){ .iova = m->iova, .len = m->len, .perm = m->perm, .va = m->va };
	if (m->fd < 0)
		return 0;
	return tvq_mapping_fd(m->fd, m->offset, m->len, m->perm & TVQ_DMA_WRITE, &r->mapping,
			      &r->va);
}

int inproc_map(struct tvq_bus *b, uint32_t asid, const struct tvq_bus_mem *m, size_t n)
{
	struct tvq_space *s = find(inproc_of(b), asid);
	struct tvq_region *r;
	int err = 0;
	size_t i;

	if (!s)
		return -ENOENT;
	r = calloc(n ? n : 1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	for (i = 0; i < n && !err; i++)
		err = make_region(&m[i], &r[i]);
	if (!err) {
		err = tvq_space_map(s, r, n);
	} else {
		while (i--)
			if (r[i].mapping)
				r[i].mapping->put(r[i].mapping);
	}
	free(r);
	return err;
}

struct unmap {
	struct tvq_dma_done dma;
	struct tvq_done *done;
	struct tvq_space *space;
};

static void unmapped(struct tvq_dma_done *dma)
{
	struct unmap *u = tvq_container_of(dma, struct unmap, dma);
	struct tvq_done *done = u->done;

	tvq_space_put(u->space);
	free(u);
	if (done)
		done->fn(done, 0);
}

int inproc_unmap(struct tvq_bus *b, uint32_t asid, uint64_t iova, uint64_t len,
		 struct tvq_done *done)
{
	struct tvq_space *s = find(inproc_of(b), asid);
	struct unmap *u;
	int err;

	if (!s)
		return -ENOENT;
	u = calloc(1, sizeof(*u));
	if (!u)
		return -ENOMEM;
	u->dma.fn = unmapped;
	u->done = done;
	u->space = s;
	tvq_space_get(s);
	if (!iova && len == UINT64_MAX)
		err = tvq_space_unmap_all(s, &u->dma);
	else
		err = tvq_space_unmap(s, iova, len, &u->dma);
	if (err) {
		tvq_space_put(s);
		free(u);
	}
	return err;
}

void *inproc_dma_alloc(struct tvq_bus *b, size_t size, uint64_t *iova)
{
	struct tvq_region r = { .perm = TVQ_DMA_READ | TVQ_DMA_WRITE };

	size = (size + 4095) & ~(size_t)4095;
	if (tvq_mapping_anon(size, &r.mapping, &r.va))
		return NULL;
	r.iova = (uintptr_t)r.va;
	r.len = size;
	if (tvq_space_map(find(inproc_of(b), 0), &r, 1))
		return NULL;
	*iova = r.iova;
	return r.va;
}

void inproc_dma_free(struct tvq_bus *b, void *p, size_t size)
{
	if (p)
		inproc_unmap(b, 0, (uintptr_t)p, (size + 4095) & ~(size_t)4095, NULL);
}

void inproc_space_fini(struct inproc *ip)
{
	for (uint32_t i = 0; i < ip->n_spaces; i++)
		if (ip->spaces[i])
			tvq_space_put(ip->spaces[i]);
	free(ip->spaces);
	free(ip->free_asids);
}
