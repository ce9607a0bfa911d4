/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * In-flight areas: memory in which the device notes what it has taken and not yet used, kept by the
 * front end so that it outlives this process (TQ-130).
 *
 * It is mapped into an address space of its own, which no ring's addresses lead to, so that the
 * guest cannot reach it; its content is hostile all the same, since it came over the socket, and
 * the device checks it. Whether the device has the command is asked when the front end asks for an
 * area: one without answers that the size is 0, which means none.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <fcntl.h>

#include <ring/ring.h>

#include <present/internal.h>

/* Each queue's part begins on a cache line of its own. */
#define PART_ALIGN 64
#define PAGE	   4096ull

static uint64_t part_bytes(const struct vu_conn *c, uint16_t queue_size)
{
	uint64_t n = tvq_inflight_bytes(vu_packed(c), queue_size);

	return (n + PART_ALIGN - 1) / PART_ALIGN * PART_ALIGN;
}

bool vu_inflight_queue(const struct vu_conn *c, uint16_t q, uint32_t num, uint64_t *addr,
		       uint32_t *size)
{
	const struct vu_inflight_area *a = &c->inflight;
	uint64_t part = part_bytes(c, a->queue_size);

	if (q >= a->num_queues || num > a->queue_size || (q + 1) * part > a->mapped_size)
		return false;
	*addr = q * part;
	*size = (uint32_t)part;
	return true;
}

/* GET_INFLIGHT_FD: an area is made. */

int vu_apply_get_inflight(struct vu_conn *c, struct vu_req *req)
{
	(void)req;
	/* Its layout depends on the ring's format. */
	if (!c->features_set)
		return vu_no(c, -EPERM, "the ring's format is not known before SET_FEATURES");
	c->want_features = true;
	return 0;
}

static int make_area(uint64_t size)
{
	int fd = memfd_create("tvq-inflight", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int err;

	if (fd < 0)
		return -errno;
	if (!ftruncate(fd, (off_t)size) &&
	    !fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

static int answer_area(struct vu_conn *c, bool have)
{
	const struct vu_req *req = &c->req;
	struct vu_inflight f = {
		.num_queues = req->inflight.num_queues,
		.queue_size = req->inflight.queue_size,
	};

	if (have) {
		f.mmap_size = part_bytes(c, f.queue_size) * f.num_queues;
		f.mmap_size = (f.mmap_size + PAGE - 1) / PAGE * PAGE;
		c->reply_fd = make_area(f.mmap_size);
		if (c->reply_fd < 0) {
			int err = c->reply_fd;

			c->reply_fd = -1;
			return err;
		}
	}
	memcpy(c->reply.bytes, &f, sizeof(f));
	c->reply_size = req->size;
	return 0;
}

static void probed(struct vu_conn *c, int err)
{
	if (err)
		vu_log(c, TVQ_LOG_WARN, "the device keeps no in-flight areas");
	vu_done(c, answer_area(c, !err));
}

int vu_answer_get_inflight(struct vu_conn *c, const struct vu_req *req)
{
	struct tvq_seq *s;

	(void)req;
	if (c->dev != VU_DEV_READY)
		return answer_area(c, true);
	vu_step_begin(c, probed);
	s = vu_seq(c);
	if (s)
		tvq_seq_vq_inflight(s, 0, 0, 0, 0);
	vu_step_run(c, s);
	vu_step_put(c, 0);
	return VU_LATER;
}

/* SET_INFLIGHT_FD: it comes (back). */

int vu_apply_set_inflight(struct vu_conn *c, struct vu_req *req)
{
	struct vu_inflight_area *a = &c->inflight;

	if (vu_any_running(c))
		return vu_no(c, -EBUSY, "rings are running");
	if (tvq_fd_kind(c->fds[0]) != TVQ_FD_MEMORY)
		return vu_no(c, -EBADF, "the descriptor is no shared memory");
	if (!req->inflight.size)
		return vu_no(c, -EINVAL, "an empty area");
	tvq_fd_close(c->p->loop, a->fd);
	a->fd = vu_take_fd(c, 0);
	a->size = req->inflight.size;
	a->offset = req->inflight.offset;
	a->num_queues = req->inflight.num_queues;
	a->queue_size = req->inflight.queue_size;
	return 0;
}

static void old_gone(struct vu_conn *c, int err)
{
	if (err) {
		vu_step_fail(c, err, "the old in-flight area could not be unmapped");
		return;
	}
	c->inflight.mapped = false;
	vu_sync(c);
}

static int map_area(struct vu_conn *c)
{
	struct vu_inflight_area *a = &c->inflight;
	struct tvq_bus *b = c->p->bus;
	struct tvq_bus_mem m = {
		.iova = 0,
		.len = a->size,
		.fd = a->fd,
		.offset = a->offset,
		.perm = TVQ_DMA_READ | TVQ_DMA_WRITE,
	};
	int err;

	if (!a->has_space) {
		err = b->ops->space_new(b, &a->asid);
		if (err)
			return err;
		a->has_space = true;
	}
	err = b->ops->map(b, a->asid, &m, 1);
	if (err)
		return err;
	a->mapped = true;
	a->mapped_size = a->size;
	close(a->fd);
	a->fd = -1;
	return 0;
}

bool vu_step_inflight(struct vu_conn *c)
{
	struct vu_inflight_area *a = &c->inflight;
	struct tvq_bus *b = c->p->bus;
	int err;

	if (a->fd < 0)
		return false;
	if (!a->mapped) {
		err = map_area(c);
		if (err)
			vu_step_fail(c, err, "the in-flight area could not be mapped");
		return err != 0;
	}
	vu_step_begin(c, old_gone);
	vu_step_get(c);
	err = b->ops->unmap(b, a->asid, 0, a->mapped_size, &c->bus_done);
	if (err)
		vu_step_put(c, err);
	vu_step_put(c, 0);
	return true;
}
