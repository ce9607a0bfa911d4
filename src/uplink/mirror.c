// SPDX-License-Identifier: BSD-3-Clause
/*
 * Mirroring of a port to a pcap file. Theory of operation.
 *
 * There are two buffers. The worker copies frames, each with its record header, into the one that
 * is `filling`; a job writes the other. When the job is done, and there is something in the first,
 * they change places. A frame that does not fit is dropped and counted: the worker waits for
 * nothing. Records are never split between buffers, so that a buffer that the disk refuses is taken
 * back as a whole.
 *
 *   new: op attach and job open, at the same time; when both are over, op begin -> done. Frames
 *   that pass before that wait in the buffer.
 *   free: op detach; what is left is written, then `quiet`; when both are over, job close -> done
 *
 * The port may be deleted at any time: its hook's gone() is called, and a message tells control.
 * The worker posts it before whatever ends the mirror, so that it comes before that.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <tvq/loop.h>
#include <tvq/uplinks.h>

#include "device/util.h"

#define BUF_SIZE (1u << 20)
#define PATH_LEN 4096

#define PCAP_NSEC     0xa1b23c4d
#define PCAP_SNAPLEN  262144
#define PCAP_ETHERNET 1

/* In the byte order of whoever writes it; the magic number tells. */
struct pcap_file {
	uint32_t magic;
	uint16_t major, minor;
	uint32_t zone, sigfigs, snaplen, linktype;
};
struct pcap_record {
	uint32_t sec, nsec, caplen, len;
};
_Static_assert(sizeof(struct pcap_file) == 24 && sizeof(struct pcap_record) == 16, "pcap's");

struct mirror_buf {
	uint8_t *data; /* BUF_SIZE */
	uint32_t used, frames;
	uint64_t bytes; /* of the frames */
};

struct tvq_mirror {
	struct tvq_switch *sw;
	struct tvq_exec *worker;
	const struct tvq_os *os;
	char path[PATH_LEN];
	struct mirror_buf bufs[2];

	/* Control's half. */
	struct tvq_uplink_done *done;
	struct tvq_switch_op op;
	struct tvq_job job; /* open and close */
	unsigned int to_come;
	int err;   /* what new's done will tell */
	bool undo; /* the file is removed: nobody has heard of it */
	bool port_gone;
	void (*on_gone)(void *ctx);
	void *on_gone_ctx;

	/* Worker's half. */
	struct tvq_port_mirror hook;
	struct tvq_port *port; /* NULL: not attached, or gone */
	int attach_err;
	struct mirror_buf *filling;
	uint64_t left; /* bytes of file until max_bytes */
	bool full;     /* max_bytes reached */
	bool open;     /* the file is there */
	bool writing;  /* a job writes the other buffer */
	bool ending;
	struct tvq_msg gone, quiet;
	struct tvq_job write;

	/* Of whichever job runs; there is one at a time. */
	struct mirror_buf *out;
	int fd;
	int open_err;
	bool broken;   /* the file takes no more */
	uint64_t good; /* bytes of file: whole buffers */

	atomic_uint_least64_t frames, bytes, dropped;
};

static void count(atomic_uint_least64_t *c, uint64_t n)
{
	atomic_fetch_add_explicit(c, n, memory_order_relaxed);
}

/* ---- writing ---- */

static int write_all(int fd, const void *data, size_t len)
{
	const uint8_t *p = data;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			p += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

/* Half a buffer would be half a record for whoever reads the file. */
static void take_back(struct tvq_mirror *m, int err)
{
	m->broken = true;
	tvq_log(m->os, TVQ_LOG_ERR, "mirror %s: %s; it ends here", m->path, strerror(-err));
	if (ftruncate(m->fd, (off_t)m->good))
		tvq_log(m->os, TVQ_LOG_ERR, "mirror %s: its last record is cut: %s", m->path,
			strerror(errno));
}

static void write_run(struct tvq_job *j)
{
	struct tvq_mirror *m = tvq_container_of(j, struct tvq_mirror, write);
	struct mirror_buf *b = m->out;
	int err = m->broken ? -EIO : write_all(m->fd, b->data, b->used);

	if (!err) {
		m->good += b->used;
		count(&m->frames, b->frames);
		count(&m->bytes, b->bytes);
		return;
	}
	count(&m->dropped, b->frames);
	if (!m->broken)
		take_back(m, err);
}

static void kick(struct tvq_mirror *m);

static void write_done(struct tvq_job *j)
{
	struct tvq_mirror *m = tvq_container_of(j, struct tvq_mirror, write);

	m->writing = false;
	m->out->used = m->out->frames = 0;
	m->out->bytes = 0;
	kick(m);
}

/* Has the job write what there is; tells control where that was the last. On the worker. */
static void kick(struct tvq_mirror *m)
{
	if (m->writing)
		return;
	if (m->open && m->filling->used) {
		m->out = m->filling;
		m->filling = m->filling == &m->bufs[0] ? &m->bufs[1] : &m->bufs[0];
		m->writing = true;
		m->write.run = write_run;
		m->write.done = write_done;
		tvq_job_post(m->worker, &m->write);
	} else if (m->ending) {
		tvq_exec_post(tvq_switch_control(m->sw), &m->quiet);
	}
}

/* ---- frames, on the worker ---- */

/* As the port's user sent it. */
static unsigned int sent_head(const struct tvq_frame *f, uint8_t head[16])
{
	memcpy(head, f->mac, sizeof(f->mac));
	if (!f->tagged)
		return 12;
	head[12] = TVQ_ETH_TAG >> 8;
	head[13] = TVQ_ETH_TAG & 0xff;
	head[14] = (uint8_t)(f->tci >> 8);
	head[15] = (uint8_t)f->tci;
	return 16;
}

static void add(struct mirror_buf *b, const void *data, size_t len)
{
	memcpy(b->data + b->used, data, len);
	b->used += (uint32_t)len;
}

/* False: lost. */
static bool take(struct tvq_mirror *m, const struct timespec *now, const uint8_t *head,
		 unsigned int head_len, const struct tvq_frame *f)
{
	struct mirror_buf *b = m->filling;
	uint32_t len = head_len + f->len;
	struct pcap_record r = { (uint32_t)now->tv_sec, (uint32_t)now->tv_nsec, len, len };
	uint64_t size = sizeof(r) + (uint64_t)len;

	if (m->full)
		return true;
	if (size > m->left) {
		m->full = true;
		tvq_log(m->os, TVQ_LOG_INFO, "mirror %s: as long as it may become; it ends here",
			m->path);
		return true;
	}
	if (len > PCAP_SNAPLEN || size > BUF_SIZE - b->used)
		return false;
	m->left -= size;
	add(b, &r, sizeof(r));
	add(b, head, head_len);
	for (unsigned int i = 0; i < f->n_seg; i++)
		add(b, f->seg[i].va, f->seg[i].len);
	b->frames++;
	b->bytes += len;
	return true;
}

static void mirror_frames(struct tvq_port_mirror *hook, struct tvq_port *p,
			  const struct tvq_frame *const *f, unsigned int n, bool rx)
{
	struct tvq_mirror *m = tvq_container_of(hook, struct tvq_mirror, hook);
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	for (unsigned int i = 0; i < n; i++) {
		uint8_t head[16];
		unsigned int len = rx ? tvq_frame_head(p, f[i], head) : sent_head(f[i], head);

		if (!take(m, &now, head, len, f[i]))
			count(&m->dropped, 1);
	}
	kick(m);
}

static void mirror_gone(struct tvq_port_mirror *hook)
{
	struct tvq_mirror *m = tvq_container_of(hook, struct tvq_mirror, hook);

	m->port = NULL;
	tvq_exec_post(tvq_switch_control(m->sw), &m->gone);
}

static void told_gone(struct tvq_msg *msg)
{
	struct tvq_mirror *m = tvq_container_of(msg, struct tvq_mirror, gone);

	m->port_gone = true;
	if (m->on_gone)
		m->on_gone(m->on_gone_ctx);
}

void tvq_mirror_on_gone(struct tvq_mirror *m, void (*fn)(void *ctx), void *ctx)
{
	m->on_gone = fn;
	m->on_gone_ctx = ctx;
	if (fn && m->port_gone)
		fn(ctx);
}

/* ---- the end ---- */

static void mirror_destroy(struct tvq_mirror *m)
{
	for (unsigned int i = 0; i < 2; i++)
		m->os->free(m->bufs[i].data, BUF_SIZE);
	m->os->free(m, sizeof(*m));
}

static void close_run(struct tvq_job *j)
{
	struct tvq_mirror *m = tvq_container_of(j, struct tvq_mirror, job);

	if (m->fd >= 0 && m->undo)
		unlink(m->path);
	if (m->fd >= 0 && close(m->fd) && !m->broken && !m->undo)
		tvq_log(m->os, TVQ_LOG_ERR, "mirror %s: its end may be missing: %s", m->path,
			strerror(errno));
}

static void close_done(struct tvq_job *j)
{
	struct tvq_mirror *m = tvq_container_of(j, struct tvq_mirror, job);
	struct tvq_uplink_done *done = m->done;
	int err = m->err;

	mirror_destroy(m);
	done->fn(done, err);
}

static void end_step(struct tvq_mirror *m)
{
	if (--m->to_come)
		return;
	m->job.run = close_run;
	m->job.done = close_done;
	tvq_job_post(tvq_switch_control(m->sw), &m->job);
}

static void end_quiet(struct tvq_msg *msg)
{
	end_step(tvq_container_of(msg, struct tvq_mirror, quiet));
}

static void op_detach(struct tvq_switch_op *op)
{
	struct tvq_mirror *m = tvq_container_of(op, struct tvq_mirror, op);

	if (m->port)
		tvq_port_set_mirror(m->port, NULL);
	m->port = NULL;
	m->ending = true;
	kick(m);
}

static void op_detached(struct tvq_switch_op *op)
{
	end_step(tvq_container_of(op, struct tvq_mirror, op));
}

static void end(struct tvq_mirror *m)
{
	m->on_gone = NULL;
	m->to_come = 2;
	m->quiet.fn = end_quiet;
	m->op.run = op_detach;
	m->op.done = op_detached;
	tvq_switch_run(m->sw, &m->op);
}

void tvq_mirror_free(struct tvq_mirror *m, struct tvq_uplink_done *done)
{
	m->done = done;
	m->err = 0;
	end(m);
}

/* ---- the beginning ---- */

static void open_run(struct tvq_job *j)
{
	struct tvq_mirror *m = tvq_container_of(j, struct tvq_mirror, job);
	const struct pcap_file h = { PCAP_NSEC, 2, 4, 0, 0, PCAP_SNAPLEN, PCAP_ETHERNET };

	/* What passes is nobody else's business; and no file of somebody's is overwritten. */
	m->fd = open(m->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (m->fd < 0) {
		m->open_err = -errno;
		return;
	}
	m->open_err = write_all(m->fd, &h, sizeof(h));
	m->good = sizeof(h);
}

static void op_begin(struct tvq_switch_op *op)
{
	struct tvq_mirror *m = tvq_container_of(op, struct tvq_mirror, op);

	m->open = true;
	kick(m);
}

static void op_begun(struct tvq_switch_op *op)
{
	struct tvq_mirror *m = tvq_container_of(op, struct tvq_mirror, op);

	m->done->fn(m->done, 0);
}

static void begin_step(struct tvq_mirror *m)
{
	if (--m->to_come)
		return;
	if (!m->attach_err && !m->open_err) {
		m->op.run = op_begin;
		m->op.done = op_begun;
		tvq_switch_run(m->sw, &m->op);
		return;
	}
	m->undo = true;
	m->err = m->attach_err ? m->attach_err : m->open_err;
	if (m->attach_err)
		snprintf(m->done->why, TVQ_UPLINK_ERR_LEN, "the port is mirrored already");
	else
		snprintf(m->done->why, TVQ_UPLINK_ERR_LEN, "%.200s: %s", m->path,
			 strerror(-m->err));
	end(m);
}

static void open_done(struct tvq_job *j)
{
	begin_step(tvq_container_of(j, struct tvq_mirror, job));
}

static void op_attach(struct tvq_switch_op *op)
{
	struct tvq_mirror *m = tvq_container_of(op, struct tvq_mirror, op);
	struct tvq_port_info info;

	tvq_port_info(m->port, &info);
	if (info.mirrored) {
		m->attach_err = -EBUSY;
		m->port = NULL;
		return;
	}
	tvq_port_set_mirror(m->port, &m->hook);
}

static void op_attached(struct tvq_switch_op *op)
{
	begin_step(tvq_container_of(op, struct tvq_mirror, op));
}

static bool alloc_bufs(struct tvq_mirror *m)
{
	for (unsigned int i = 0; i < 2; i++) {
		m->bufs[i].data = m->os->alloc(BUF_SIZE);
		if (!m->bufs[i].data)
			return false;
	}
	return true;
}

struct tvq_mirror *tvq_mirror_new(struct tvq_switch *sw, struct tvq_port *port, const char *path,
				  uint64_t max_bytes, struct tvq_uplink_done *done, char *err)
{
	struct tvq_exec *worker = tvq_switch_worker(sw);
	size_t len = strlen(path);
	struct tvq_mirror *m;

	if (!len || len >= PATH_LEN) {
		snprintf(err, TVQ_UPLINK_ERR_LEN, "a path has 1 to %d characters, this one has %zu",
			 PATH_LEN - 1, len);
		return NULL;
	}
	if (max_bytes && max_bytes < sizeof(struct pcap_file)) {
		snprintf(err, TVQ_UPLINK_ERR_LEN, "a pcap file has at least %zu bytes",
			 sizeof(struct pcap_file));
		return NULL;
	}
	m = worker->os->alloc(sizeof(*m));
	if (m)
		m->os = worker->os;
	if (!m || !alloc_bufs(m)) {
		if (m)
			mirror_destroy(m);
		snprintf(err, TVQ_UPLINK_ERR_LEN, "no memory for a mirror");
		return NULL;
	}
	m->sw = sw;
	m->worker = worker;
	memcpy(m->path, path, len);
	m->port = port;
	m->hook.frames = mirror_frames;
	m->hook.gone = mirror_gone;
	m->gone.fn = told_gone;
	m->filling = &m->bufs[0];
	m->left = max_bytes ? max_bytes - sizeof(struct pcap_file) : UINT64_MAX;
	m->fd = -1;
	m->done = done;
	done->why[0] = '\0';
	m->to_come = 2;
	m->job.run = open_run;
	m->job.done = open_done;
	m->op.run = op_attach;
	m->op.done = op_attached;
	tvq_switch_run(sw, &m->op);
	tvq_job_post(tvq_switch_control(sw), &m->job);
	return m;
}

void tvq_mirror_stats(const struct tvq_mirror *m, struct tvq_mirror_stats *st)
{
	*st = (struct tvq_mirror_stats){
		.frames = atomic_load_explicit(&m->frames, memory_order_relaxed),
		.bytes = atomic_load_explicit(&m->bytes, memory_order_relaxed),
		.dropped = atomic_load_explicit(&m->dropped, memory_order_relaxed),
	};
}
