/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The memory table. Theory of operation.
 *
 * Regions are mapped into the device's address space at their guest addresses, by the bus; ring
 * addresses come in the front end's own and are translated when a ring starts.
 *
 * SET_MEM_TABLE replaces the table as a whole. Most of it is the same as before, when memory is
 * plugged in while the guest runs: what has not changed stays mapped. ADD_MEM_REG and REM_MEM_REG
 * change one region. An unmap is answered when nothing can touch the memory any more.
 *
 * While a region goes, rings stand still: QEMU takes a region out and puts its parts back in when a
 * hole opens in the middle of it (firmware does that to the memory below 1 MiB), with rings
 * running, and a request that is met in between would break the device. They go on when no such
 * message has come for VU_SETTLE_NS, or another one.
 *
 * A region whose descriptor is no memory (a disk image behind an NVDIMM, say) is known but cannot
 * be reached: an access to it could wait for a file system, and that of a peer's own for ever.
 *
 * The descriptors go when the memory is mapped; but a network's rings are looked at when they start
 * (net.c), so there those of a few regions are kept. They are read, never mapped: what the peer
 * truncates meanwhile ends in an error and not in a signal.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <tvq/mapping.h>

#include <linux/virtio_ids.h>

#include <present/internal.h>

void vu_mem_free(struct vu_conn *c)
{
	unsigned int i;

	for (i = 0; i < c->mem.n; i++)
		tvq_fd_close(c->p->loop, c->mem.r[i].fd);
	free(c->mem.r);
	c->mem = (struct vu_mem){ 0 };
}

bool vu_mem_guest(const struct vu_conn *c, uint64_t user, uint64_t *guest)
{
	unsigned int i;

	for (i = 0; i < c->mem.n; i++) {
		const struct vu_mem_region *m = &c->mem.r[i].m;

		if (user - m->user_addr < m->size) {
			*guest = m->guest_addr + (user - m->user_addr);
			return true;
		}
	}
	return false;
}

int vu_mem_read(const struct vu_conn *c, uint64_t user, void *buf, size_t len)
{
	unsigned int i;

	for (i = 0; i < c->mem.n; i++) {
		const struct vu_region *r = &c->mem.r[i];
		uint64_t at = user - r->m.user_addr;
		ssize_t n;

		if (at >= r->m.size || len > r->m.size - at || r->fd < 0 ||
		    r->m.mmap_offset + at > INT64_MAX)
			continue;
		n = pread(r->fd, buf, len, (off_t)(r->m.mmap_offset + at));
		return n == (ssize_t)len ? 0 : -EIO;
	}
	return -ENOENT;
}

/* Whether the descriptor of one more region of memory is kept. */
static bool keeps(const struct vu_conn *c)
{
	unsigned int i, n = 0;

	for (i = 0; i < c->mem.n; i++)
		n += c->mem.r[i].state == VU_REGION_MAPPED && c->mem.r[i].fd >= 0;
	return c->p->type == VIRTIO_ID_NET && n < VU_KEPT_FDS;
}

static int reserve(struct vu_mem *mem, unsigned int more)
{
	unsigned int cap = mem->cap ? mem->cap : 4;
	struct vu_region *r;

	while (cap < mem->n + more)
		cap *= 2;
	if (cap == mem->cap)
		return 0;
	r = realloc(mem->r, cap * sizeof(*r));
	if (!r)
		return -ENOMEM;
	mem->r = r;
	mem->cap = cap;
	return 0;
}

/* Its file; 0 where the descriptor is not memory. */
static void identify(struct vu_conn *c, struct vu_region *r, int fd)
{
	struct stat st;

	r->dev = 0;
	r->ino = 0;
	if (tvq_fd_kind(fd) == TVQ_FD_MEMORY && !fstat(fd, &st)) {
		r->dev = st.st_dev;
		r->ino = st.st_ino;
		return;
	}
	vu_log(c, TVQ_LOG_WARN,
	       "the memory at %#llx is no shared memory and cannot be reached "
	       "(QEMU: memory-backend-memfd, share=on)",
	       (unsigned long long)r->m.guest_addr);
}

static struct tvq_bus_mem bus_mem(const struct vu_region *r)
{
	return (struct tvq_bus_mem){
		.iova = r->m.guest_addr,
		.len = r->m.size,
		.fd = r->ino ? r->fd : -1,
		.offset = r->m.mmap_offset,
		.perm = TVQ_DMA_READ | TVQ_DMA_WRITE,
	};
}

static int room_for(struct vu_conn *c, unsigned int more)
{
	if (tvq_mapping_count() <= VU_MAX_MAPPINGS - more)
		return 0;
	return vu_no(c, -EMFILE, "this process has mapped as many regions of front ends as it may");
}

/* SET_MEM_TABLE. */

static struct vu_region *find_same(struct vu_mem *mem, unsigned int n, const struct vu_region *want)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		struct vu_region *r = &mem->r[i];

		if (!memcmp(&r->m, &want->m, sizeof(r->m)) && r->dev == want->dev &&
		    r->ino == want->ino)
			return r;
	}
	return NULL;
}

int vu_apply_mem_table(struct vu_conn *c, struct vu_req *req)
{
	unsigned int i, old = c->mem.n;
	bool goes = false;
	int err;

	err = room_for(c, req->mem.count);
	if (!err)
		err = reserve(&c->mem, req->mem.count);
	if (err)
		return err;
	for (i = 0; i < old; i++)
		c->mem.r[i].state = VU_REGION_LEAVING;
	for (i = 0; i < req->mem.count; i++) {
		struct vu_region want = { .m = req->mem.region[i],
					  .fd = -1,
					  .state = VU_REGION_COMING };
		struct vu_region *same;

		identify(c, &want, c->fds[i]);
		same = find_same(&c->mem, old, &want);
		if (same) {
			same->state = VU_REGION_MAPPED;
			continue;
		}
		want.fd = vu_take_fd(c, i);
		c->mem.r[c->mem.n++] = want;
	}
	for (i = 0; i < old; i++)
		goes |= c->mem.r[i].state == VU_REGION_LEAVING;
	c->hold_table = goes && vu_any_running(c);
	return 0;
}

/* The steps. */

static void remove_left(struct vu_conn *c)
{
	struct vu_mem *mem = &c->mem;
	unsigned int i, n = 0;

	for (i = 0; i < mem->n; i++) {
		if (mem->r[i].state == VU_REGION_LEAVING)
			tvq_fd_close(c->p->loop, mem->r[i].fd);
		else
			mem->r[n++] = mem->r[i];
	}
	mem->n = n;
}

static void unmapped(struct vu_conn *c, int err)
{
	if (err) {
		vu_step_fail(c, err, "a memory region could not be unmapped");
		return;
	}
	remove_left(c);
	vu_sync(c);
}

bool vu_step_unmap(struct vu_conn *c)
{
	struct tvq_bus *b = c->p->bus;
	bool any = false;
	unsigned int i;

	for (i = 0; i < c->mem.n; i++) {
		const struct vu_region *r = &c->mem.r[i];
		int err;

		if (r->state != VU_REGION_LEAVING)
			continue;
		if (!any)
			vu_step_begin(c, unmapped);
		any = true;
		vu_step_get(c);
		err = b->ops->unmap(b, c->p->asid, r->m.guest_addr, r->m.size, &c->bus_done);
		if (err)
			vu_step_put(c, err);
	}
	if (any)
		vu_step_put(c, 0);
	return any;
}

/* Mapping is no step that takes time: what is mapped at once does not stop vu_sync(). */
bool vu_step_map(struct vu_conn *c)
{
	struct tvq_bus_mem m[VU_MAX_REGIONS];
	struct tvq_bus *b = c->p->bus;
	unsigned int i;
	size_t n = 0;
	int err;

	for (i = 0; i < c->mem.n; i++) {
		if (c->mem.r[i].state == VU_REGION_COMING)
			m[n++] = bus_mem(&c->mem.r[i]);
	}
	c->hold_table = false;
	if (!n)
		return false;
	err = b->ops->map(b, c->p->asid, m, n);
	if (err) {
		vu_step_fail(c, err,
			     err == -ENXIO ? "a memory region is larger than its file"
					   : "a memory region could not be mapped");
		return true;
	}
	for (i = 0; i < c->mem.n; i++) {
		struct vu_region *r = &c->mem.r[i];

		if (r->state != VU_REGION_COMING)
			continue;
		if (!r->ino || !keeps(c)) {
			tvq_fd_close(c->p->loop, r->fd);
			r->fd = -1;
		}
		r->state = VU_REGION_MAPPED;
	}
	return false;
}

/* ADD_MEM_REG, REM_MEM_REG. */

static bool overlap(uint64_t a, uint64_t a_len, uint64_t b, uint64_t b_len)
{
	return a - b < b_len || b - a < a_len;
}

/* QEMU before 9.0 sends these two once for each queue pair. */
static bool repeats(const struct vu_conn *c)
{
	return c->p->type == VIRTIO_ID_NET && c->n_rings > 2;
}

int vu_apply_add_mem(struct vu_conn *c, struct vu_req *req)
{
	struct vu_region r = { .m = req->mem.region[0], .fd = c->fds[0] };
	struct tvq_bus *b = c->p->bus;
	struct tvq_bus_mem m;
	unsigned int i;
	int err;

	identify(c, &r, c->fds[0]);
	if (repeats(c) && find_same(&c->mem, c->mem.n, &r))
		return 0;
	if (c->mem.n >= VU_MAX_SLOTS)
		return vu_no(c, -ENOSPC, "more regions than GET_MAX_MEM_SLOTS said");
	for (i = 0; i < c->mem.n; i++) {
		const struct vu_mem_region *o = &c->mem.r[i].m;

		if (overlap(o->guest_addr, o->size, r.m.guest_addr, r.m.size) ||
		    overlap(o->user_addr, o->size, r.m.user_addr, r.m.size))
			return vu_no(c, -EEXIST, "the region overlaps another");
	}
	err = room_for(c, 1);
	if (!err)
		err = reserve(&c->mem, 1);
	if (err)
		return err;
	m = bus_mem(&r);
	err = b->ops->map(b, c->p->asid, &m, 1);
	if (err)
		return vu_no(c, err, err == -ENXIO ? "the region is larger than its file" : NULL);
	r.fd = r.ino && keeps(c) ? vu_take_fd(c, 0) : -1;
	r.state = VU_REGION_MAPPED;
	c->mem.r[c->mem.n++] = r;
	return 0;
}

int vu_apply_rem_mem(struct vu_conn *c, struct vu_req *req)
{
	const struct vu_mem_region *gone = &req->mem.region[0];
	unsigned int i;

	for (i = 0; i < c->mem.n; i++) {
		struct vu_region *r = &c->mem.r[i];

		/* The offset does not count. */
		if (r->m.guest_addr != gone->guest_addr || r->m.size != gone->size ||
		    r->m.user_addr != gone->user_addr)
			continue;
		r->state = VU_REGION_LEAVING;
		c->hold |= vu_any_running(c);
		return 0;
	}
	return repeats(c) ? 0 : vu_no(c, -ENOENT, "there is no such region");
}

int vu_answer_max_slots(struct vu_conn *c, const struct vu_req *req)
{
	(void)req;
	vu_reply_u64(c, VU_MAX_SLOTS);
	return 0;
}
