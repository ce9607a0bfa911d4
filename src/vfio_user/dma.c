/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The client's memory, by address space (TQ-123). Theory of operation.
 *
 * Space k is what the client maps in [k << 48, (k + 1) << 48); a space is made when it is first
 * asked for, and lives as long as the server, so that whoever has it keeps it from client to client.
 *
 * Regions without a descriptor, or with one that is no memory (a file that its sender serves itself
 * could hold a worker for ever), are known but cannot be reached.
 *
 * An unmap is answered when nothing can touch the memory any more, but after 4 s at the latest: then
 * with an error, and the pages stay until the I/O that uses them ends.
 *
 * What a client maps may have to be held back: hold.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <tvq/mapping.h>

#include "exec/peer_fd.h"
#include "vfio_user/internal.h"

#define SPACE_SIZE     (1ull << VU_SPACE_SHIFT)
/* Address space that a file of this size takes is what the process can spare. */
#define MAX_WHOLE_FILE (1ull << 42)

/* Memory on its way out: of one message, or of a client that has gone. */
struct vfu_unmap {
	struct tvq_vfio_user *s;
	unsigned int out; /* spaces that have not let go */
	unsigned int n;
	struct vfu_unmap_one {
		struct tvq_dma_done done;
		struct vfu_unmap *all;
	} one[];
};

/* Spaces. */

static struct vfu_space *get_space(struct tvq_vfio_user *s, uint32_t asid)
{
	struct vfu_space *sp, ***page;

	if (asid >= VFU_SPACES)
		return NULL;
	page = &s->dma.page[asid / 256];
	if (!*page)
		*page = calloc(256, sizeof(**page));
	if (*page && (*page)[asid % 256])
		return (*page)[asid % 256];
	sp = calloc(1, sizeof(*sp));
	if (!*page || !sp)
		goto fail;
	sp->space = tvq_space_new(s->os, asid);
	if (!sp->space)
		goto fail;
	sp->next = s->dma.spaces;
	s->dma.spaces = sp;
	(*page)[asid % 256] = sp;
	return sp;

fail:
	free(sp);
	return NULL;
}

struct tvq_space *vfu_dma_space(struct tvq_vfio_user *s, uint32_t asid)
{
	struct vfu_space *sp = get_space(s, asid);

	if (sp)
		tvq_space_get(sp->space);
	return sp ? sp->space : NULL;
}

uint32_t vfu_dma_used_spaces(const struct tvq_vfio_user *s)
{
	uint32_t n = 0;

	for (const struct vfu_space *sp = s->dma.spaces; sp; sp = sp->next)
		n += vfu_table(sp)->n || sp->n_held;
	return n;
}

void vfu_dma_fini(struct tvq_vfio_user *s)
{
	while (s->dma.spaces) {
		struct vfu_space *sp = s->dma.spaces;

		s->dma.spaces = sp->next;
		vfu_forget_missing(sp);
		free(sp->held);
		tvq_space_put(sp->space);
		free(sp);
	}
	for (unsigned int i = 0; i < 256; i++)
		free(s->dma.page[i]);
}

/* DMA_MAP. */

/* QEMU's ROMs come without a descriptor, too, and nobody misses them. */
static void say_unreachable(struct vfu_conn *c, uint64_t addr, uint32_t perm)
{
	if (c->s->dma.said_unreachable || !(perm & TVQ_DMA_WRITE))
		return;
	c->s->dma.said_unreachable = true;
	vfu_log(c, TVQ_LOG_WARN,
		"memory at %#llx (and perhaps more) is not shared and cannot be reached "
		"(QEMU: memory-backend-memfd, share=on)",
		(unsigned long long)addr);
}

/*
 * The whole file is mapped, once, where that is possible: an IOMMU's driver maps memory page by page,
 * and pages that are neighbours in the client's memory and in its DMA addresses have to be neighbours
 * here, too (a ring is one piece). It also spares the process mappings.
 */
static int map_file(int fd, const struct vfu_req *req, struct tvq_region *r)
{
	bool writable = r->perm & TVQ_DMA_WRITE;
	uint64_t offset = req->map.offset;
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	if (st.st_size < 0 || offset > (uint64_t)st.st_size ||
	    req->map.size > (uint64_t)st.st_size - offset)
		return -ENXIO;
	if ((uint64_t)st.st_size <= MAX_WHOLE_FILE &&
	    !tvq_mapping_fd(fd, 0, (uint64_t)st.st_size, writable, &r->mapping, &r->va)) {
		r->va += offset;
		return 0;
	}
	return tvq_mapping_fd(fd, offset, req->map.size, writable, &r->mapping, &r->va);
}

static void say_held(struct vfu_conn *c)
{
	if (c->s->dma.said_held)
		return;
	c->s->dma.said_held = true;
	vfu_log(c, TVQ_LOG_INFO,
		"queues wait until all memory of the last client is mapped again, or for a reset");
}

static int make_region(struct vfu_conn *c, const struct vfu_req *req, struct tvq_region *r)
{
	int fd = c->n_fds ? c->fds[0] : -1, err;

	*r = (struct tvq_region){ .iova = req->map.addr % SPACE_SIZE, .len = req->map.size };
	if (req->map.perm & VU_DMA_READABLE)
		r->perm |= TVQ_DMA_READ;
	if (req->map.perm & VU_DMA_WRITABLE)
		r->perm |= TVQ_DMA_WRITE;
	if (fd < 0 || tvq_fd_kind(fd) != TVQ_FD_MEMORY) {
		say_unreachable(c, req->map.addr, r->perm);
		return 0;
	}
	if (tvq_mapping_count() >= VFU_MAX_MAPPINGS)
		return vfu_no(c, -ENOSPC, "this process has mapped as many regions as it may");
	err = map_file(fd, req, r);
	if (err == -ENOSPC)
		return vfu_no(c, err,
			      "this process would have mapped more than 64 TiB, or 60000 pieces");
	return err == -ENXIO ? vfu_no(c, err, "the region is larger than its file") : err;
}

static int map_region(struct vfu_conn *c, struct vfu_space *sp, const struct vfu_req *req)
{
	struct vfu_dma *d = &c->s->dma;
	struct tvq_region r;
	uint32_t n_held;
	int err = make_region(c, req, &r);

	if (err)
		return err;
	if (sp->missing)
		say_held(c);
	n_held = sp->n_held;
	err = sp->missing ? vfu_hold(sp, &r) : tvq_space_map(sp->space, &r, 1);
	if (!err) {
		d->regions++;
		return 0;
	}
	if (sp->n_held < n_held) {
		d->regions -= n_held;
		vfu_close(c, TVQ_LOG_ERR, "no memory for its memory regions");
	}
	return err == -EEXIST ? vfu_no(c, err, "it overlaps what is mapped") : err;
}

/* Memory that goes, and what waits for it. */

/* An unmap is over. A map that waited for tables to go begins anew. */
static void waited_for(struct vfu_conn *c)
{
	int err = c->req.command == VU_DMA_MAP ? vfu_handle_map(c, &c->req) : 0;

	if (err != VFU_LATER)
		vfu_done(c, err);
}

static void unmap_put(struct vfu_unmap *u)
{
	struct tvq_vfio_user *s = u->s;
	bool waited = s->dma.waits == u;

	if (--u->out)
		return;
	free(u);
	s->dma.unmaps--;
	if (waited) {
		s->dma.waits = NULL;
		waited_for(s->conn);
	} else if (s->conn) {
		vfu_left(s->conn);
	}
}

static void unmapped(struct tvq_dma_done *done)
{
	unmap_put(vfu_container(done, struct vfu_unmap_one, done)->all);
}

/* For up to n spaces; ends with unmap_put(). */
static struct vfu_unmap *unmap_new(struct tvq_vfio_user *s, unsigned int n)
{
	struct vfu_unmap *u = calloc(1, sizeof(*u) + n * sizeof(u->one[0]));

	if (!u)
		return NULL;
	u->s = s;
	u->out = 1;
	s->dma.unmaps++;
	return u;
}

static struct tvq_dma_done *unmap_next(struct vfu_unmap *u)
{
	struct vfu_unmap_one *one = &u->one[u->n++];

	one->all = u;
	one->done.fn = unmapped;
	u->out++;
	return &one->done;
}

/* Begins to wait, for what u has been given; the last use of u. */
static int wait_for(struct vfu_unmap *u)
{
	u->s->dma.waits = u;
	unmap_put(u);
	return VFU_LATER;
}

int vfu_handle_map(struct vfu_conn *c, const struct vfu_req *req)
{
	struct vfu_dma *d = &c->s->dma;
	struct vfu_unmap *u;
	struct vfu_space *sp;

	if (req->map.size > SPACE_SIZE - req->map.addr % SPACE_SIZE)
		return vfu_no(c, -EINVAL, "a range that crosses a multiple of 2^48");
	if (d->regions >= d->max_regions)
		return vfu_no(c, -ENOSPC, "more regions than max_dma_maps");
	sp = get_space(c->s, (uint32_t)(req->map.addr >> VU_SPACE_SHIFT));
	if (!sp)
		return -ENOMEM;
	if (tvq_space_retired(sp->space) < VFU_MAX_RETIRED)
		return map_region(c, sp, req);
	u = unmap_new(c->s, 1);
	if (!u)
		return -ENOMEM;
	tvq_space_settle(sp->space, unmap_next(u));
	return wait_for(u);
}

/* DMA_UNMAP, and the end. */

/* u NULL: nobody waits. */
static void unmap_all(struct tvq_vfio_user *s, struct vfu_unmap *u)
{
	for (struct vfu_space *sp = s->dma.spaces; sp; sp = sp->next) {
		vfu_unhold(sp, 0, SPACE_SIZE);
		if (vfu_table(sp)->n)
			tvq_space_unmap_all(sp->space, u ? unmap_next(u) : NULL);
	}
	s->dma.regions = 0;
}

/* What of [addr, addr + size) lies in a space; false: nothing. */
static bool part_of(const struct vfu_space *sp, uint64_t addr, uint64_t size, uint64_t *iova,
		    uint64_t *len)
{
	uint64_t start = (uint64_t)tvq_space_asid(sp->space) << VU_SPACE_SHIFT;
	uint64_t from = addr > start ? addr : start;
	uint64_t last = addr + (size - 1), end = start + (SPACE_SIZE - 1);

	if (last > end)
		last = end;
	*iova = from - start;
	*len = last - from + 1;
	return from <= last;
}

/* True where the range's start or end lies inside a region, but not at its start or end. */
static bool cuts(const struct tvq_region *r, uint32_t n, uint64_t iova, uint64_t len)
{
	for (uint32_t i = 0; i < n; i++) {
		if (r[i].iova - iova < len ? r[i].len > len - (r[i].iova - iova)
					   : iova - r[i].iova < r[i].len)
			return true;
	}
	return false;
}

static uint64_t bytes_in(const struct tvq_region *r, uint32_t n, uint64_t iova, uint64_t len)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < n; i++)
		sum += r[i].iova - iova < len ? r[i].len : 0;
	return sum;
}

/* Takes what lies in the range out of a space, where nothing is cut. bytes: adds how much it was. */
static int unmap_part(struct vfu_unmap *u, struct vfu_space *sp, uint64_t iova, uint64_t len,
		      uint64_t *bytes)
{
	const struct tvq_dma_table *t = vfu_table(sp);
	uint32_t before = t->n + sp->n_held;
	int err = 0;

	*bytes += bytes_in(t->r, t->n, iova, len) + bytes_in(sp->held, sp->n_held, iova, len);
	vfu_unhold(sp, iova, len);
	if (t->n) {
		err = tvq_space_unmap(sp->space, iova, len, unmap_next(u));
		if (err)
			u->out--; /* it is not called */
	}
	u->s->dma.regions -= before - (vfu_table(sp)->n + sp->n_held);
	return err == -ENOENT ? 0 : err;
}

static int unmap_range(struct vfu_unmap *u, uint64_t addr, uint64_t size, uint64_t *bytes)
{
	uint64_t iova, len;
	int err = 0;

	for (struct vfu_space *sp = u->s->dma.spaces; sp; sp = sp->next) {
		const struct tvq_dma_table *t = vfu_table(sp);

		if (part_of(sp, addr, size, &iova, &len) &&
		    (cuts(t->r, t->n, iova, len) || cuts(sp->held, sp->n_held, iova, len)))
			return -EINVAL;
	}
	for (struct vfu_space *sp = u->s->dma.spaces; sp && !err; sp = sp->next) {
		if (part_of(sp, addr, size, &iova, &len))
			err = unmap_part(u, sp, iova, len, bytes);
	}
	return err;
}

/*
 * As the kernel's VFIO does it, and as QEMU needs it with an IOMMU in front: a range may hold any
 * number of regions, none as well, and cross spaces. The reply says how many bytes were unmapped.
 */
int vfu_handle_unmap(struct vfu_conn *c, const struct vfu_req *req)
{
	struct tvq_vfio_user *s = c->s;
	struct vu_dma_unmap reply = { .argsz = sizeof(reply),
				      .flags = req->unmap.flags,
				      .addr = req->unmap.addr };
	struct vfu_unmap *u;
	int err = 0;

	if (req->unmap.flags & VU_UNMAP_DIRTY_BITMAP)
		return vfu_no(c, -EOPNOTSUPP, "there is no log of dirty pages here");
	u = unmap_new(s, vfu_dma_used_spaces(s));
	if (!u)
		return -ENOMEM;
	if (req->unmap.all)
		unmap_all(s, u);
	else
		err = unmap_range(u, req->unmap.addr, req->unmap.size, &reply.size);
	if (err) {
		unmap_put(u);
		return err == -EINVAL ? vfu_no(c, err, "it would cut a region in two") : err;
	}
	memcpy(c->reply.bytes, &reply, sizeof(reply));
	c->reply_size = sizeof(reply);
	return wait_for(u);
}

void vfu_dma_give_up(struct tvq_vfio_user *s)
{
	s->dma.waits = NULL;
}

void vfu_dma_close(struct tvq_vfio_user *s)
{
	struct vfu_unmap *u = unmap_new(s, vfu_dma_used_spaces(s));

	s->dma.said_unreachable = s->dma.said_held = false;
	for (struct vfu_space *sp = s->dma.spaces; sp; sp = sp->next)
		vfu_remember(sp);
	unmap_all(s, u);
	/* Without memory nobody waits; the spaces live on. */
	if (u)
		unmap_put(u);
	else
		vfu_left(s->conn);
}
