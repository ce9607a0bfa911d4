/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Requests of file volumes, on the loop's io_uring.
 *
 * Theory of operation. A request goes through one or more operations of the kernel, one at a time;
 * what it needs meanwhile is in the request's private room, so nothing is allocated. All that a
 * turn starts goes to the kernel in one submission, at the turn's end.
 *
 *   READ, WRITE    one operation, and one more for as long as the kernel did less than it was
 * asked. With O_DIRECT and memory that is not aligned as it asks, each operation goes through a
 * bounce buffer (bounce.c), for which the request may have to wait. Stable writes (FUA) are written
 * with RWF_DSYNC. FLUSH          fdatasync. DISCARD        a hole; on a block device the ioctl, by
 * a job: the kernel's fallocate does only those discards that read as zeroes. WRITE_ZEROES   a hole
 * (UNMAP) or a range of zeroes, or where the file system has neither zeroes that are written; then,
 * for FUA, fdatasync.
 *
 * Errors. A read that ends before its length found the image shorter than it was: an error, and
 * from then on writes are refused, as they would make it long enough again with zeroes in between.
 * A write to an image that was cut off unnoticed does just that.
 *
 * When fdatasync fails the kernel has thrown away what it could not write, and the next call would
 * say that all is well. So after the first failure every FLUSH of this volume fails, until the
 * image is added again; so it is after a stable write that failed, since the kernel may have told
 * that write of another one's loss, and tells each loss once.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <tvq/loop.h>

#include "file.h"

/* Of one operation: bytes (a multiple of any block size) and pieces that the kernel takes. */
#define MAX_IO	    (1U << 30)
#define MAX_IOV	    1024
#define MAX_RETRIES 100

#define ZERO_BUF  65536
#define ZERO_IOVS 16

static uint8_t zeroes[ZERO_BUF] __attribute__((aligned(4096)));
#define ZERO_IOV                                                                                   \
	{                                                                                          \
		zeroes, ZERO_BUF                                                                   \
	}
#define ZERO_IOV4 ZERO_IOV, ZERO_IOV, ZERO_IOV, ZERO_IOV
static const struct iovec zero_iov[ZERO_IOVS] = { ZERO_IOV4, ZERO_IOV4, ZERO_IOV4, ZERO_IOV4 };

/* Causes that are logged once each; the first ones are the operations, see enum tvq_vreq_op. */
enum {
	CAUSE_OP_LAST = TVQ_VREQ_WRITE_ZEROES,
	CAUSE_ENOSPC,
	CAUSE_SHRUNK,
	CAUSE_MEMORY,
};

struct file_channel {
	struct tvq_volume_channel ch;
	struct tvq_loop *loop;
};

enum file_step {
	STEP_MOVE, /* READ, WRITE */
	STEP_SYNC, /* FLUSH, and the end of a stable WRITE_ZEROES */
	STEP_PUNCH,
	STEP_ZERO_RANGE,
	STEP_WRITE_ZEROES,
};

/* What a request keeps in its private room while it is under way. */
struct file_req {
	struct tvq_io io;
	struct file_channel *fc;
	union {
		struct tvq_job job; /* DISCARD on a node */
		struct {
			struct tvq_bounce_wait wait;
			void *buf; /* bounce buffer; NULL: none */
		};
	};
	uint64_t done;	/* bytes of the request */
	int32_t result; /* of the job */
	uint16_t retries;
	uint8_t step; /* enum file_step */
	bool bounce;
};

_Static_assert(sizeof(struct file_req) <= sizeof(((struct tvq_vreq *)NULL)->priv), "fits");
_Static_assert(sizeof(struct tvq_seg) == sizeof(struct iovec) &&
		       offsetof(struct tvq_seg, va) == offsetof(struct iovec, iov_base) &&
		       offsetof(struct tvq_seg, len) == offsetof(struct iovec, iov_len),
	       "segments are iovecs");

static struct file_req *req_of(struct tvq_vreq *v)
{
	return (struct file_req *)(void *)v->priv;
}

static struct tvq_vreq *vreq_of(struct file_req *r)
{
	return tvq_volume_of(r, struct tvq_vreq, priv);
}

static struct tvq_file *file_of(const struct file_req *r)
{
	return tvq_volume_of(r->fc->ch.volume, struct tvq_file, v);
}

/*
 * Writes and what follows them may end in a thread of the kernel that wants this very CPU; reads
 * end in an interrupt, and a wait in between would only cost them time.
 */
static bool needs_the_cpu(struct file_req *r)
{
	return vreq_of(r)->op != TVQ_VREQ_READ;
}

static struct io_uring_sqe *req_sqe(struct file_req *r)
{
	if (needs_the_cpu(r))
		tvq_loop_io_started(r->fc->loop);
	return tvq_loop_sqe(r->fc->loop, &r->io);
}

/* Tells the log why requests fail, once for each cause; returns err. */
static int req_log(struct file_req *r, int err)
{
	static const char *const ops[] = { "read", "write", "flush", "discard", "write zeroes" };
	const struct tvq_vreq *v = vreq_of(r);
	struct tvq_file *f = file_of(r);
	const char *what = err == -EFAULT ? "the request's memory is gone" : strerror(-err);
	unsigned int cause = v->op;

	if (err == -ENOSPC || err == -EDQUOT)
		cause = CAUSE_ENOSPC;
	else if (err == -EFAULT)
		cause = CAUSE_MEMORY;
	if (!tvq_volume_first(&f->logged, cause))
		return err;
	if (r->step == STEP_SYNC)
		tvq_log(r->fc->ch.exec->os, TVQ_LOG_ERR,
			"volume %.20s: cannot flush \"%s\": %s; what was written may be lost, so "
			"flushes "
			"fail from now on until the image is checked and added again",
			(const char *)f->v.id, f->path, what);
	else
		tvq_log(r->fc->ch.exec->os, TVQ_LOG_ERR,
			"volume %.20s: cannot %s %llu bytes at %llu of \"%s\": %s (further ones of "
			"this "
			"kind are not logged)",
			(const char *)f->v.id, ops[v->op], (unsigned long long)v->len,
			(unsigned long long)v->offset, f->path, what);
	return err;
}

static int req_shrunk(struct file_req *r)
{
	struct tvq_file *f = file_of(r);
	unsigned long long end = vreq_of(r)->offset + vreq_of(r)->len;

	atomic_store_explicit(&f->shrunk, true, memory_order_relaxed);
	if (tvq_volume_first(&f->logged, CAUSE_SHRUNK))
		tvq_log(r->fc->ch.exec->os, TVQ_LOG_ERR,
			"volume %.20s: \"%s\" ends before byte %llu, so somebody made it shorter "
			"than its "
			"%llu bytes; what is missing cannot be read, and nothing is written any "
			"more",
			(const char *)f->v.id, f->path, end,
			(unsigned long long)f->v.limits.capacity);
	return -EIO;
}

static void req_end(struct file_req *r, int status)
{
	struct tvq_vreq *v = vreq_of(r);
	struct tvq_exec *e = r->fc->ch.exec;
	void *buf = r->bounce ? r->buf : NULL;

	/* The private room is the owner's again once done is called. */
	v->status = status;
	v->done(v);
	if (buf)
		tvq_bounce_give(e, buf);
}

/*
 * Reads and writes.
 */

/* Moves the start of the request's memory by n bytes. */
static void segs_advance(struct tvq_vreq *v, uint64_t n)
{
	while (n && n >= v->seg->len) {
		n -= v->seg->len;
		v->seg++;
		v->n_seg--;
	}
	if (n) {
		v->seg->va = (uint8_t *)v->seg->va + n;
		v->seg->len -= n;
	}
}

/* Copies n bytes between the start of the request's memory and buf. */
static void segs_copy(const struct tvq_vreq *v, uint8_t *buf, uint64_t n, bool to_segs)
{
	for (const struct tvq_seg *s = v->seg; n; s++) {
		uint64_t len = s->len < n ? s->len : n;

		if (to_segs)
			memcpy(s->va, buf, len);
		else
			memcpy(buf, s->va, len);
		buf += len;
		n -= len;
	}
}

static bool segs_aligned(const struct tvq_file *f, const struct tvq_vreq *v)
{
	uintptr_t addr = 0, len = 0;

	for (unsigned int i = 0; i < v->n_seg; i++) {
		addr |= (uintptr_t)v->seg[i].va;
		len |= v->seg[i].len;
	}
	return !(addr & (f->mem_align - 1)) && !(len & (f->v.limits.block_size - 1));
}

static void move_submit(struct file_req *r)
{
	struct tvq_vreq *v = vreq_of(r);
	struct tvq_file *f = file_of(r);
	struct io_uring_sqe *sqe = req_sqe(r);
	bool write = v->op == TVQ_VREQ_WRITE;
	uint64_t at = v->offset + r->done, left = v->len - r->done;

	if (r->bounce || v->n_seg == 1) {
		void *va = r->bounce ? r->buf : v->seg->va;
		uint64_t most = r->bounce ? TVQ_BOUNCE_SIZE : MAX_IO;
		unsigned int len = (unsigned int)(left < most ? left : most);

		if (r->bounce && write)
			segs_copy(v, r->buf, len, false);
		if (write)
			io_uring_prep_write(sqe, f->fd, va, len, at);
		else
			io_uring_prep_read(sqe, f->fd, va, len, at);
	} else {
		const struct iovec *iov = (const struct iovec *)v->seg;
		unsigned int n = v->n_seg < MAX_IOV ? v->n_seg : MAX_IOV;

		if (write)
			io_uring_prep_writev(sqe, f->fd, iov, n, at);
		else
			io_uring_prep_readv(sqe, f->fd, iov, n, at);
	}
	if (write && (v->flags & TVQ_VREQ_FUA))
		sqe->rw_flags = RWF_DSYNC;
}

static void move_with_buffer(struct tvq_bounce_wait *w, void *buf)
{
	struct file_req *r = tvq_volume_of(w, struct file_req, wait);

	r->buf = buf;
	move_submit(r);
}

static int move_start(struct file_req *r)
{
	struct tvq_vreq *v = vreq_of(r);
	struct tvq_file *f = file_of(r);
	int err;

	if (v->op == TVQ_VREQ_WRITE && atomic_load_explicit(&f->shrunk, memory_order_relaxed))
		return -EIO;
	if (!v->len)
		return 0;
	r->step = STEP_MOVE;
	if (__builtin_expect(f->direct && !segs_aligned(f, v), 0)) {
		r->bounce = true;
		r->wait.fn = move_with_buffer;
		r->buf = tvq_bounce_take(r->fc->ch.exec, &r->wait, &err);
		if (!r->buf)
			return err ? req_log(r, err) : TVQ_VREQ_PENDING;
	}
	move_submit(r);
	return TVQ_VREQ_PENDING;
}

/* May this error of a stable write be news of other writes, of which FLUSH will not hear again? */
static bool loses_others(int err)
{
	return err != -EFAULT && err != -ENOSPC && err != -EDQUOT;
}

static void move_done(struct file_req *r, int res)
{
	struct tvq_vreq *v = vreq_of(r);
	struct tvq_file *f = file_of(r);

	if (res < 0) {
		if ((v->flags & TVQ_VREQ_FUA) && loses_others(res))
			atomic_store_explicit(&f->flush_failed, true, memory_order_relaxed);
		req_end(r, req_log(r, res));
		return;
	}
	if (v->op == TVQ_VREQ_READ && r->bounce)
		segs_copy(v, r->buf, (unsigned int)res, true);
	r->done += (unsigned int)res;
	if (r->done >= v->len) {
		req_end(r, 0);
		return;
	}
	/* The end of the file. */
	if (!res) {
		req_end(r, v->op == TVQ_VREQ_READ ? req_shrunk(r) : req_log(r, -EIO));
		return;
	}
	segs_advance(v, (unsigned int)res);
	move_submit(r);
}

/*
 * Flushes.
 */

static int sync_start(struct file_req *r)
{
	struct tvq_file *f = file_of(r);

	if (f->v.limits.read_only)
		return 0;
	if (atomic_load_explicit(&f->flush_failed, memory_order_relaxed))
		return -EIO;
	r->step = STEP_SYNC;
	io_uring_prep_fsync(req_sqe(r), f->fd, IORING_FSYNC_DATASYNC);
	return TVQ_VREQ_PENDING;
}

static void sync_done(struct file_req *r, int res)
{
	struct tvq_file *f = file_of(r);

	if (res < 0)
		atomic_store_explicit(&f->flush_failed, true, memory_order_relaxed);
	/* Another one's failure may have come meanwhile, and have taken the news of what we wait
	 * for. */
	else if (atomic_load_explicit(&f->flush_failed, memory_order_relaxed))
		res = -EIO;
	req_end(r, res < 0 ? req_log(r, res) : 0);
}

/*
 * Discards and zeroes.
 */

static void discard_run(struct tvq_job *j)
{
	struct file_req *r = tvq_volume_of(j, struct file_req, job);
	const struct tvq_vreq *v = vreq_of(r);
	uint64_t range[2] = { v->offset, v->len };

	r->result = ioctl(file_of(r)->fd, BLKDISCARD, range) ? -errno : 0;
}

/* Discard is a hint: what cannot do it has done it. */
static void discard_done(struct file_req *r, int res)
{
	req_end(r, res < 0 && res != -EOPNOTSUPP ? req_log(r, res) : 0);
}

static void discard_job_done(struct tvq_job *j)
{
	struct file_req *r = tvq_volume_of(j, struct file_req, job);

	discard_done(r, r->result);
}

static void range_submit(struct file_req *r, enum file_step step)
{
	const struct tvq_vreq *v = vreq_of(r);
	int mode = step == STEP_PUNCH ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE;

	r->step = step;
	io_uring_prep_fallocate(req_sqe(r), file_of(r)->fd, mode | FALLOC_FL_KEEP_SIZE,
				(off_t)v->offset, (off_t)v->len);
}

static void zeroes_submit(struct file_req *r)
{
	const struct tvq_vreq *v = vreq_of(r);
	uint64_t at = v->offset + r->done, left = v->len - r->done;
	struct io_uring_sqe *sqe = req_sqe(r);

	r->step = STEP_WRITE_ZEROES;
	if (left < 2UL * ZERO_BUF) {
		io_uring_prep_write(sqe, file_of(r)->fd, zeroes,
				    (unsigned int)(left < ZERO_BUF ? left : ZERO_BUF), at);
	} else {
		uint64_t n = left / ZERO_BUF;

		io_uring_prep_writev(sqe, file_of(r)->fd, zero_iov,
				     (unsigned int)(n < ZERO_IOVS ? n : ZERO_IOVS), at);
	}
}

static int alloc_start(struct file_req *r)
{
	const struct tvq_vreq *v = vreq_of(r);
	struct tvq_file *f = file_of(r);
	bool punch = v->op == TVQ_VREQ_DISCARD || (v->flags & TVQ_VREQ_UNMAP);

	if (atomic_load_explicit(&f->shrunk, memory_order_relaxed))
		return -EIO;
	if (!v->len)
		return 0;
	if (v->op == TVQ_VREQ_DISCARD && !f->v.limits.can_discard)
		return 0;
	if (v->op == TVQ_VREQ_DISCARD && f->node) {
		r->job.run = discard_run;
		r->job.done = discard_job_done;
		tvq_job_post(r->fc->ch.exec, &r->job);
	} else if (punch && !atomic_load_explicit(&f->no_punch, memory_order_relaxed)) {
		range_submit(r, STEP_PUNCH);
	} else if (v->op == TVQ_VREQ_DISCARD) {
		return 0;
	} else if (!atomic_load_explicit(&f->no_zero_range, memory_order_relaxed)) {
		range_submit(r, STEP_ZERO_RANGE);
	} else {
		zeroes_submit(r);
	}
	return TVQ_VREQ_PENDING;
}

/* Zeroes are in place. */
static void zeroes_end(struct file_req *r)
{
	int status = 0;

	if (vreq_of(r)->flags & TVQ_VREQ_FUA)
		status = sync_start(r);
	if (status != TVQ_VREQ_PENDING)
		req_end(r, status);
}

/* The next best way, where the file system does not have this one. */
static void alloc_unsupported(struct file_req *r)
{
	struct tvq_file *f = file_of(r);

	if (r->step == STEP_PUNCH)
		atomic_store_explicit(&f->no_punch, true, memory_order_relaxed);
	else
		atomic_store_explicit(&f->no_zero_range, true, memory_order_relaxed);
	if (vreq_of(r)->op == TVQ_VREQ_DISCARD)
		req_end(r, 0);
	else if (!atomic_load_explicit(&f->no_zero_range, memory_order_relaxed))
		range_submit(r, STEP_ZERO_RANGE);
	else
		zeroes_submit(r);
}

static void alloc_done(struct file_req *r, int res)
{
	if (res == -EOPNOTSUPP && r->step != STEP_WRITE_ZEROES) {
		alloc_unsupported(r);
		return;
	}
	if (vreq_of(r)->op == TVQ_VREQ_DISCARD) {
		discard_done(r, res);
		return;
	}
	if (res < 0 || (r->step == STEP_WRITE_ZEROES && !res)) {
		req_end(r, req_log(r, res ? res : -EIO));
		return;
	}
	r->done += (unsigned int)res;
	if (r->step == STEP_WRITE_ZEROES && r->done < vreq_of(r)->len)
		zeroes_submit(r);
	else
		zeroes_end(r);
}

/*
 * All.
 */

/* Once more what was interrupted. */
static void req_again(struct file_req *r)
{
	switch (r->step) {
	case STEP_MOVE:
		move_submit(r);
		break;
	case STEP_SYNC:
		io_uring_prep_fsync(req_sqe(r), file_of(r)->fd, IORING_FSYNC_DATASYNC);
		break;
	case STEP_WRITE_ZEROES:
		zeroes_submit(r);
		break;
	default:
		range_submit(r, r->step);
	}
}

static void req_io(struct tvq_io *io, int res, bool more)
{
	struct file_req *r = tvq_volume_of(io, struct file_req, io);

	(void)more;
	if (needs_the_cpu(r))
		tvq_loop_io_ended(r->fc->loop);
	if ((res == -EINTR || res == -EAGAIN) && r->retries++ < MAX_RETRIES)
		req_again(r);
	else if (r->step == STEP_MOVE)
		move_done(r, res);
	else if (r->step == STEP_SYNC)
		sync_done(r, res);
	else
		alloc_done(r, res);
}

static int req_start(struct file_channel *fc, struct tvq_vreq *v)
{
	struct file_req *r = req_of(v);

	r->io.fn = req_io;
	r->fc = fc;
	r->done = 0;
	r->retries = 0;
	r->bounce = false;
	if (v->op == TVQ_VREQ_READ)
		return move_start(r);
	if (v->op == TVQ_VREQ_FLUSH)
		return sync_start(r);
	if (v->op > TVQ_VREQ_WRITE_ZEROES)
		return -EOPNOTSUPP;
	if (fc->ch.volume->limits.read_only)
		return -EROFS;
	return v->op == TVQ_VREQ_WRITE ? move_start(r) : alloc_start(r);
}

static void file_submit(struct tvq_volume_channel *ch, struct tvq_vreq *const *v, unsigned int n)
{
	struct file_channel *fc = tvq_volume_of(ch, struct file_channel, ch);

	for (unsigned int i = 0; i < n; i++)
		v[i]->status = req_start(fc, v[i]);
}

static int file_channel_open(struct tvq_volume *v, struct tvq_exec *e,
			     struct tvq_volume_channel **ch)
{
	struct file_channel *fc = malloc(sizeof(*fc));

	if (!fc)
		return -ENOMEM;
	fc->ch = (struct tvq_volume_channel){ .volume = v, .exec = e };
	fc->loop = tvq_exec_loop(e);
	*ch = &fc->ch;
	return 0;
}

static void file_channel_close(struct tvq_volume_channel *ch)
{
	free(tvq_volume_of(ch, struct file_channel, ch));
}

static void file_close(struct tvq_volume_work *w)
{
	struct tvq_file *f = tvq_volume_of(w, struct tvq_file, work);

	close(f->fd);
	if (f->unlink)
		unlink(f->path);
	free(f->path);
	free(f);
}

static void file_destroy(struct tvq_volume *v)
{
	struct tvq_file *f = tvq_volume_of(v, struct tvq_file, v);

	/* At once, so that a QEMU that is started next gets the image; the rest may block. */
	tvq_image_unlock(f->fd);
	f->work.fn = file_close;
	tvq_volume_later(&f->work);
}

const struct tvq_volume_ops tvq_file_ops = {
	.type = "file",
	.open = file_channel_open,
	.close = file_channel_close,
	.submit = file_submit,
	.destroy = file_destroy,
};
