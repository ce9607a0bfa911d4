/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Opens what is behind a file volume and finds out what it can do. Blocks. A refusal says what is
 * wrong and what would be right.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "file.h"

#define MAX_BLOCK 4096

/* The kernel ends a killed process' io_uring in its own time, and has its locks until then. */
#define BUSY_TRIES   8
#define BUSY_WAIT_US 50000

/* Names what open() refused. Returns -code. */
static int open_failed(const struct tvq_file_cfg *cfg, bool node, int code, char *err)
{
	const char *hint = "";

	if (code == EBUSY && node)
		hint = ": it is mounted, or another program has it; unmount or stop that first";
	else if ((code == EACCES || code == EPERM || code == EROFS) && !cfg->read_only)
		hint = "; where it may only be read, add it read-only";
	else if (code == EINVAL && cfg->direct)
		hint = ": its file system does no O_DIRECT; add it without direct";
	else if (code == ENOENT)
		hint = "; an image has to exist before it is added";
	tvq_volume_fail(err, code, "cannot open \"%.100s\": %s%s", cfg->path, strerror(code), hint);
	return -code;
}

/* Sets fd and node. */
static int file_open_fd(struct tvq_file *f, const struct tvq_file_cfg *cfg, char *err)
{
	struct stat st;
	int flags = (cfg->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOCTTY;

	if (stat(cfg->path, &st))
		return open_failed(cfg, false, errno, err);
	/* Before open(), which may block on a FIFO and do things to other devices. */
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) {
		tvq_volume_fail(err, EINVAL,
				"\"%.100s\" is neither a regular file nor a block device",
				cfg->path);
		return -EINVAL;
	}
	f->node = S_ISBLK(st.st_mode);
	if (cfg->direct)
		flags |= O_DIRECT;
	if (f->node)
		flags |= O_EXCL; /* fails where it is mounted or claimed */
	f->fd = open(cfg->path, flags);
	if (f->fd < 0)
		return open_failed(cfg, f->node, errno, err);
	if (fstat(f->fd, &st) || S_ISBLK(st.st_mode) != f->node ||
	    (!f->node && !S_ISREG(st.st_mode))) {
		tvq_volume_fail(err, EINVAL, "\"%.100s\" was replaced while it was opened",
				cfg->path);
		return -EINVAL;
	}
	return 0;
}

/* A number from the block device's queue directory, a partition's disk's; 0 where there is none. */
static uint64_t queue_number(dev_t dev, const char *name)
{
	static const char *const forms[] = {
		"/sys/dev/block/%u:%u/queue/%s",
		"/sys/dev/block/%u:%u/../queue/%s",
	};
	unsigned long long n = 0;
	char path[128];
	FILE *file = NULL;

	for (unsigned int i = 0; i < 2 && !file; i++) {
		snprintf(path, sizeof(path), forms[i], major(dev), minor(dev), name);
		file = fopen(path, "re");
	}
	if (!file)
		return 0;
	if (fscanf(file, "%llu", &n) != 1)
		n = 0;
	fclose(file);
	return n;
}

static int node_limits(struct tvq_file *f, const char *path, char *err)
{
	struct tvq_volume_limits *l = &f->v.limits;
	unsigned int physical = 0, opt = 0;
	int logical = 0, read_only = 0;
	uint64_t size = 0;
	struct stat st;

	if (fstat(f->fd, &st) || ioctl(f->fd, BLKGETSIZE64, &size) ||
	    ioctl(f->fd, BLKSSZGET, &logical) || ioctl(f->fd, BLKROGET, &read_only)) {
		int code = errno;

		tvq_volume_fail(err, code, "cannot measure block device \"%.100s\": %s", path,
				strerror(code));
		return -code;
	}
	if (read_only && !l->read_only) {
		tvq_volume_fail(err, EROFS,
				"block device \"%.100s\" is read-only; add it read-only", path);
		return -EROFS;
	}
	ioctl(f->fd, BLKPBSZGET, &physical);
	ioctl(f->fd, BLKIOOPT, &opt);
	l->capacity = size;
	l->block_size = (uint32_t)logical;
	l->physical_block_size = physical > l->block_size ? physical : l->block_size;
	l->opt_io_size = opt;
	l->discard_granularity = (uint32_t)queue_number(st.st_rdev, "discard_granularity");
	l->can_discard = queue_number(st.st_rdev, "discard_max_bytes") != 0;
	f->mem_align = l->block_size;
	return 0;
}

static int regular_limits(struct tvq_file *f, const char *path, char *err)
{
	struct tvq_volume_limits *l = &f->v.limits;
	off_t beyond;
	struct stat st;

	if (fstat(f->fd, &st)) {
		int code = errno;

		tvq_volume_fail(err, code, "cannot measure \"%.100s\": %s", path, strerror(code));
		return -code;
	}
	l->capacity = (uint64_t)st.st_size;
	l->block_size = TVQ_SECTOR_SIZE;
	l->physical_block_size = 4096;
	l->discard_granularity =
		st.st_blksize > 0 && st.st_blksize <= 65536 ? (uint32_t)st.st_blksize : 4096;
	/* A hole behind the end changes nothing, and tells whether there can be holes. */
	beyond = (st.st_size + 65535) / 65536 * 65536;
	l->can_discard =
		!l->read_only &&
		!fallocate(f->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, beyond, 65536);
	f->mem_align = 1;
	return 0;
}

/* What the kernel says of O_DIRECT: 0, -ENOTSUP: it cannot be done here, -ENOSYS: it does not say.
 */
static int direct_ask(const struct tvq_file *f, uint32_t *mem, uint32_t *offset)
{
#ifdef STATX_DIOALIGN
	struct statx stx;

	if (!statx(f->fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &stx) &&
	    (stx.stx_mask & STATX_DIOALIGN)) {
		if (!stx.stx_dio_offset_align)
			return -ENOTSUP;
		*mem = stx.stx_dio_mem_align;
		*offset = stx.stx_dio_offset_align;
		return 0;
	}
#endif
	(void)f;
	(void)mem;
	(void)offset;
	return -ENOSYS;
}

/* Reads the start with smaller and smaller alignment for as long as that works. */
static int direct_probe(const struct tvq_file *f, uint32_t *mem, uint32_t *offset)
{
	uint8_t *buf;
	uint32_t a;

	if (posix_memalign((void **)&buf, 2UL * MAX_BLOCK, 3UL * MAX_BLOCK))
		return -ENOMEM;
	for (a = TVQ_SECTOR_SIZE; a <= MAX_BLOCK; a *= 2)
		if (pread(f->fd, buf, a, 0) >= 0)
			break;
	*offset = a;
	for (a = TVQ_SECTOR_SIZE; a <= MAX_BLOCK; a *= 2)
		if (pread(f->fd, buf + a, *offset <= MAX_BLOCK ? *offset : MAX_BLOCK, 0) >= 0)
			break;
	*mem = a;
	free(buf);
	return *offset > MAX_BLOCK || *mem > MAX_BLOCK ? -ENOTSUP : 0;
}

/* Block size and memory alignment that O_DIRECT asks for. */
static int direct_limits(struct tvq_file *f, const char *path, char *err)
{
	struct tvq_volume_limits *l = &f->v.limits;
	uint32_t mem = 0, offset = 0;
	int code = direct_ask(f, &mem, &offset);

	if (code == -ENOSYS && f->node)
		return 0; /* the logical block size, for both */
	if (code == -ENOSYS)
		code = direct_probe(f, &mem, &offset);
	if (!code && offset > MAX_BLOCK)
		code = -ENOTSUP;
	if (code) {
		tvq_volume_fail(err, -code,
				"O_DIRECT does not work on \"%.100s\" (%s); add it without "
				"direct",
				path, strerror(-code));
		return code;
	}
	f->mem_align = mem ? mem : 1;
	if (offset > l->block_size)
		l->block_size = offset;
	if (l->physical_block_size < l->block_size)
		l->physical_block_size = l->block_size;
	return 0;
}

static int file_limits(struct tvq_file *f, const struct tvq_file_cfg *cfg, char *err)
{
	struct tvq_volume_limits *l = &f->v.limits;
	int code;

	l->read_only = cfg->read_only;
	code = f->node ? node_limits(f, cfg->path, err) : regular_limits(f, cfg->path, err);
	if (!code && cfg->direct)
		code = direct_limits(f, cfg->path, err);
	if (code)
		return code;
	if (l->block_size < TVQ_SECTOR_SIZE || l->block_size > MAX_BLOCK) {
		tvq_volume_fail(err, EINVAL,
				"\"%.100s\" has blocks of %u bytes; a volume can have 512 to "
				"%d",
				cfg->path, l->block_size, MAX_BLOCK);
		return -EINVAL;
	}
	if (!l->capacity || l->capacity % l->block_size) {
		unsigned long long size = l->capacity;
		unsigned long long right = (size / l->block_size + 1) * l->block_size;

		tvq_volume_fail(
			err, EINVAL,
			"\"%.80s\" has %llu bytes, which is %s %u%s; \"truncate "
			"-s %llu\" would give it whole blocks",
			cfg->path, size, size ? "no multiple of" : "less than a block of",
			l->block_size,
			l->block_size > TVQ_SECTOR_SIZE ? ", the block size of O_DIRECT here" : "",
			right);
		return -EINVAL;
	}
	l->write_back = !l->read_only;
	l->can_zero = !l->read_only;
	l->can_discard = l->can_discard && !l->read_only;
	if (!l->discard_granularity)
		l->discard_granularity = l->block_size;
	return 0;
}

/* Opens the image and has it for itself. */
static int file_take(struct tvq_file *f, const struct tvq_file_cfg *cfg, char *err)
{
	int code = file_open_fd(f, cfg, err);

	if (!code)
		code = tvq_image_lock(f->fd, cfg->path, cfg->read_only, err);
	if (code && f->fd >= 0) {
		close(f->fd);
		f->fd = -1;
	}
	return code;
}

static struct tvq_volume *file_new(const char *id, const struct tvq_file_cfg *cfg, bool made,
				   char *err)
{
	struct tvq_file *f = calloc(1, sizeof(*f));
	int code;

	if (!f)
		return tvq_volume_fail(err, ENOMEM, "no memory for volume \"%.64s\"", id);
	f->fd = -1;
	f->direct = cfg->direct;
	f->path = strdup(cfg->path);
	if (!tvq_volume_init(&f->v, &tvq_file_ops, id, err)) {
		code = -errno;
		goto fail;
	}
	if (!f->path) {
		tvq_volume_fail(err, ENOMEM, "no memory for volume \"%.64s\"", id);
		code = -ENOMEM;
		goto fail;
	}
	code = file_take(f, cfg, err);
	for (unsigned int i = 1; i < BUSY_TRIES && (code == -EAGAIN || code == -EBUSY); i++) {
		usleep(BUSY_WAIT_US);
		code = file_take(f, cfg, err);
	}
	if (!code)
		code = file_limits(f, cfg, err);
	if (code)
		goto fail;
	f->unlink = made;
	return &f->v;

fail:
	if (f->fd >= 0)
		close(f->fd);
	free(f->path);
	free(f);
	errno = -code;
	return NULL;
}

struct tvq_volume *tvq_volume_file(const char *id, const struct tvq_file_cfg *cfg, char *err)
{
	return file_new(id, cfg, false, err);
}

struct tvq_volume *tvq_volume_file_made(const char *id, const struct tvq_file_cfg *cfg, char *err)
{
	return file_new(id, cfg, true, err);
}

const char *tvq_volume_path(const struct tvq_volume *v)
{
	if (v->ops != &tvq_file_ops)
		return NULL;
	return ((const struct tvq_file *)(const void *)((const char *)v -
							offsetof(struct tvq_file, v)))
		->path;
}
