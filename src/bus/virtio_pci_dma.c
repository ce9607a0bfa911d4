/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory and address spaces of the virtio-pci bus. Space k is the part of the function's DMA
 * addresses that starts at k << 48 (TQ-123), so nothing of one space may reach beyond its 2^48
 * bytes: that is checked here, whatever the other side checks.
 *
 * What is mapped where is recorded, so that an unmap of a range can name each piece exactly, and so
 * that the device's own requests (DMA_READ, DMA_WRITE) find memory that this process has.
 *
 * Memory for the driver's rings is a memfd, mapped here and in space 0, where its address is the
 * one that it has in this process: those are disjoint by nature. It can be mapped in other spaces by
 * that address, too, since its descriptor is known.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <tvq/dma.h>

#include "bus/virtio_pci_priv.h"

#define SPACE_SHIFT 48
#define SPACE_BYTES (1ull << SPACE_SHIFT)
#define MAX_ASID    65535u
#define RW	    (TVQ_DMA_READ | TVQ_DMA_WRITE)

int vpci_grow(void *array, uint32_t *cap, uint32_t n, size_t elem)
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

static uint64_t dma_addr(uint32_t asid, uint64_t iova)
{
	return ((uint64_t)asid << SPACE_SHIFT) + iova;
}

/* ---- the record ---- */

static struct vpci_space *find_space(struct vpci *v, uint64_t asid)
{
	return asid < v->n_spaces && v->spaces[asid].used ? &v->spaces[asid] : NULL;
}

/* The first region that ends above iova, or n. */
static uint32_t find_above(const struct vpci_space *s, uint64_t iova)
{
	uint32_t lo = 0, hi = s->n;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (s->r[mid].iova + s->r[mid].len > iova)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

static int record(struct vpci_space *s, const struct tvq_bus_mem *m)
{
	uint32_t at;

	if (!m->len || m->iova >= SPACE_BYTES || m->len > SPACE_BYTES - m->iova)
		return -EINVAL;
	at = find_above(s, m->iova);
	if (at < s->n && s->r[at].iova < m->iova + m->len)
		return -EEXIST;
	if (vpci_grow(&s->r, &s->cap, s->n, sizeof(*s->r)))
		return -ENOMEM;
	memmove(&s->r[at + 1], &s->r[at], (s->n - at) * sizeof(*s->r));
	s->r[at] = (struct vpci_region){ .iova = m->iova,
					 .len = m->len,
					 .va = m->fd < 0 ? m->va : NULL,
					 .fd = -1,
					 .perm = m->perm };
	s->n++;
	return 0;
}

static void forget(struct vpci_space *s, uint32_t at)
{
	s->n--;
	memmove(&s->r[at], &s->r[at + 1], (s->n - at) * sizeof(*s->r));
}

static void forget_exactly(struct vpci_space *s, uint64_t iova)
{
	uint32_t at = find_above(s, iova);

	if (at < s->n && s->r[at].iova == iova)
		forget(s, at);
}

/* ---- mapping ---- */

/* Memory that comes without a descriptor, where it is dma_alloc's, gets that one's. */
static void find_fd(struct vpci *v, struct tvq_bus_mem *m)
{
	const struct vpci_space *s = &v->spaces[0];
	uint64_t va = (uintptr_t)m->va;
	uint32_t at = find_above(s, va);
	const struct vpci_region *r;

	if (m->fd >= 0 || at == s->n)
		return;
	r = &s->r[at];
	if (r->fd < 0 || va < r->iova || m->len > r->iova + r->len - va)
		return;
	m->fd = r->fd;
	m->offset = va - r->iova;
}

int vpci_map(struct tvq_bus *b, uint32_t asid, const struct tvq_bus_mem *m, size_t n)
{
	struct vpci *v = vpci_of(b);
	struct vpci_space *s = find_space(v, asid);
	struct tvq_bus_mem *at;
	size_t i;
	int err = 0;

	if (v->gone)
		return -ENODEV;
	if (!s)
		return -ENOENT;
	at = calloc(n ? n : 1, sizeof(*at));
	if (!at)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		err = record(s, &m[i]);
		if (err)
			break;
		at[i] = m[i];
		at[i].iova = dma_addr(asid, m[i].iova);
		find_fd(v, &at[i]);
	}
	if (!err)
		err = v->fn->ops->dma_map(v->fn, at, n);
	while (err && i--)
		forget_exactly(s, m[i].iova);
	free(at);
	return err;
}

/* An unmap of one or more pieces. */
struct pieces {
	struct tvq_done each;
	struct tvq_done *done;
	unsigned int pending;
	int err;
};

static void pieces_gone(struct pieces *p, unsigned int n, int err)
{
	struct tvq_done *done = p->done;

	if (!p->err)
		p->err = err;
	p->pending -= n;
	if (p->pending)
		return;
	err = p->err;
	free(p);
	if (done)
		done->fn(done, err);
}

static void piece_gone(struct tvq_done *d, int err)
{
	pieces_gone(tvq_container_of(d, struct pieces, each), 1, err);
}

/* Regions [from, to) of a space, which the device keeps no longer than its reply. */
static int unmap_pieces(struct vpci *v, uint32_t asid, uint32_t from, uint32_t to,
			struct tvq_done *done)
{
	struct vpci_space *s = &v->spaces[asid];
	struct pieces *p = calloc(1, sizeof(*p));
	unsigned int failed = 0;
	int err = 0;

	if (!p)
		return -ENOMEM;
	p->each.fn = piece_gone;
	p->done = done;
	p->pending = to - from + 1; /* and ours */
	while (to-- > from) {
		const struct vpci_region *r = &s->r[to];
		int e = v->fn->ops->dma_unmap(v->fn, dma_addr(asid, r->iova), r->len, &p->each);

		failed += e != 0;
		err = err ? err : e;
		forget(s, to);
	}
	/* What the device keeps must not be in the way, or in the hands, of the space's next owner. */
	if (err && err != -ENODEV)
		v->fn->ops->fail(v->fn, "no memory for what would take memory from it");
	pieces_gone(p, 1 + failed, err);
	return 0;
}

int vpci_unmap(struct tvq_bus *b, uint32_t asid, uint64_t iova, uint64_t len, struct tvq_done *done)
{
	struct vpci *v = vpci_of(b);
	struct vpci_space *s = find_space(v, asid);
	uint32_t from, to;

	if (v->gone)
		return -ENODEV;
	if (!s)
		return -ENOENT;
	if (!iova && len == UINT64_MAX)
		return unmap_pieces(v, asid, 0, s->n, done);
	if (!len || iova > UINT64_MAX - len)
		return -EINVAL;
	from = find_above(s, iova);
	for (to = from; to < s->n && s->r[to].iova < iova + len; to++)
		if (s->r[to].iova < iova || s->r[to].iova + s->r[to].len > iova + len)
			return -EINVAL;
	return to > from ? unmap_pieces(v, asid, from, to, done) : -ENOENT;
}

/* ---- spaces ---- */

static int add_space(struct vpci *v, uint32_t *asid)
{
	uint32_t cap = v->cap_spaces;

	if (v->n_free_asids) {
		*asid = v->free_asids[--v->n_free_asids];
		return 0;
	}
	if (v->n_spaces > MAX_ASID)
		return -ENOSPC;
	/* The list of free ones has room for all there are, so that freeing never fails. */
	if (vpci_grow(&v->free_asids, &cap, v->n_spaces, sizeof(*v->free_asids)) ||
	    vpci_grow(&v->spaces, &v->cap_spaces, v->n_spaces, sizeof(*v->spaces)))
		return -ENOMEM;
	*asid = v->n_spaces++;
	return 0;
}

int vpci_space_new(struct tvq_bus *b, uint32_t *asid)
{
	struct vpci *v = vpci_of(b);
	int err = v->gone ? -ENODEV : add_space(v, asid);

	if (!err)
		v->spaces[*asid] = (struct vpci_space){ .used = true };
	return err;
}

void vpci_space_free(struct tvq_bus *b, uint32_t asid)
{
	struct vpci *v = vpci_of(b);
	struct vpci_space *s = asid ? find_space(v, asid) : NULL;

	if (!s)
		return;
	/* What is left goes before whatever its next owner maps: the order is the socket's. */
	if (s->n)
		vpci_unmap(b, asid, 0, UINT64_MAX, NULL);
	free(s->r);
	*s = (struct vpci_space){ 0 };
	v->free_asids[v->n_free_asids++] = asid;
}

int vpci_dma_init(struct vpci *v)
{
	uint32_t zero;

	return vpci_space_new(&v->bus, &zero);
}

/* ---- the driver's own memory ---- */

static uint8_t *shared_memory(size_t size, int *fd)
{
	void *p;

	*fd = memfd_create("tvq-dma", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (*fd < 0)
		return NULL;
	/* The server gets the descriptor: it must not be able to take the pages from below us. */
	p = ftruncate(*fd, (off_t)size) ||
			    fcntl(*fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL)
		    ? MAP_FAILED
		    : mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	if (p != MAP_FAILED)
		return p;
	close(*fd);
	return NULL;
}

static size_t pages(size_t size)
{
	return (size + 4095) & ~(size_t)4095;
}

void *vpci_dma_alloc(struct tvq_bus *b, size_t size, uint64_t *iova)
{
	struct vpci *v = vpci_of(b);
	struct tvq_bus_mem m = { .len = pages(size), .perm = RW };
	struct vpci_region *r;

	m.va = shared_memory(m.len, &m.fd);
	if (!m.va)
		return NULL;
	m.iova = (uintptr_t)m.va;
	if (vpci_map(b, 0, &m, 1)) {
		munmap(m.va, m.len);
		close(m.fd);
		return NULL;
	}
	r = &v->spaces[0].r[find_above(&v->spaces[0], m.iova)];
	r->fd = m.fd;
	r->va = m.va;
	*iova = m.iova;
	return m.va;
}

int tvq_virtio_pci_dma_fd(struct tvq_bus *b, const void *p)
{
	const struct vpci_space *s = &vpci_of(b)->spaces[0];
	uint32_t at = find_above(s, (uintptr_t)p);

	return at < s->n && s->r[at].iova == (uintptr_t)p ? s->r[at].fd : -1;
}

struct going {
	struct tvq_done done;
	void *p;
	size_t size;
};

/* Whatever the device thinks: it has the file, and this process has these addresses back. */
static void is_unmapped(struct tvq_done *d, int err)
{
	struct going *g = tvq_container_of(d, struct going, done);

	(void)err;
	munmap(g->p, g->size);
	free(g);
}

static void close_fd(struct vpci *v, void *p)
{
	struct vpci_space *s = &v->spaces[0];
	uint32_t at = find_above(s, (uintptr_t)p);

	if (at == s->n || s->r[at].iova != (uintptr_t)p || s->r[at].fd < 0)
		return;
	close(s->r[at].fd);
	s->r[at].fd = -1;
}

void vpci_dma_free(struct tvq_bus *b, void *p, size_t size)
{
	struct going *g = p ? calloc(1, sizeof(*g)) : NULL;

	/* Without memory for the note it stays mapped until the bus is freed. */
	if (!g)
		return;
	close_fd(vpci_of(b), p);
	g->done.fn = is_unmapped;
	g->p = p;
	g->size = pages(size);
	if (!vpci_unmap(b, 0, (uintptr_t)p, g->size, &g->done))
		return;
	forget_exactly(&vpci_of(b)->spaces[0], (uintptr_t)p);
	is_unmapped(&g->done, 0);
}

void vpci_dma_fini(struct vpci *v)
{
	for (uint32_t i = 0; v->n_spaces && i < v->spaces[0].n; i++) {
		const struct vpci_region *r = &v->spaces[0].r[i];

		if (r->fd < 0)
			continue;
		close(r->fd);
		munmap(r->va, r->len);
	}
	for (uint32_t i = 0; i < v->n_spaces; i++)
		free(v->spaces[i].r);
	free(v->spaces);
	free(v->free_asids);
}

/* ---- what the device asks for ---- */

/* The memory behind [addr, addr + *len), as far as one region goes; NULL: there is none. */
static uint8_t *memory_at(struct vpci *v, uint64_t addr, uint64_t *len, uint32_t perm)
{
	const struct vpci_space *s = find_space(v, addr >> SPACE_SHIFT);
	uint64_t iova = addr & (SPACE_BYTES - 1), rest;
	const struct vpci_region *r;
	uint32_t at;

	if (!s)
		return NULL;
	at = find_above(s, iova);
	if (at == s->n)
		return NULL;
	r = &s->r[at];
	if (iova < r->iova || !r->va || (r->perm & perm) != perm)
		return NULL;
	rest = r->iova + r->len - iova;
	if (*len > rest)
		*len = rest;
	return r->va + (iova - r->iova);
}

/* All of it, or nothing is touched. */
static int check_range(struct vpci *v, uint64_t addr, uint64_t len, uint32_t perm)
{
	while (len) {
		uint64_t n = len;

		if (!memory_at(v, addr, &n, perm))
			return -EFAULT;
		addr += n;
		len -= n;
	}
	return 0;
}

int vpci_dma_read(void *ctx, uint64_t addr, void *buf, uint64_t len)
{
	struct vpci *v = ctx;
	uint8_t *to = buf;
	int err = check_range(v, addr, len, TVQ_DMA_READ);

	while (!err && len) {
		uint64_t n = len;

		memcpy(to, memory_at(v, addr, &n, TVQ_DMA_READ), n);
		to += n;
		addr += n;
		len -= n;
	}
	return err;
}

int vpci_dma_write(void *ctx, uint64_t addr, const void *buf, uint64_t len)
{
	struct vpci *v = ctx;
	const uint8_t *from = buf;
	int err;

	if (vpci_msi_write(v, addr, buf, len))
		return 0;
	err = check_range(v, addr, len, TVQ_DMA_WRITE);
	while (!err && len) {
		uint64_t n = len;

		memcpy(memory_at(v, addr, &n, TVQ_DMA_WRITE), from, n);
		from += n;
		addr += n;
		len -= n;
	}
	return err;
}
