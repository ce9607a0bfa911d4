/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A file system whose files, once the trap is shut, cannot be closed: close() waits for whoever
 * serves it (FUSE's FLUSH), which is us. Needs the right to mount; nothing stays mounted.
 */
#ifndef TVQ_TESTS_FUSE_TRAP_H
#define TVQ_TESTS_FUSE_TRAP_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/fuse.h>

struct fuse_trap {
	int dev, dir;
	pthread_t thread;
	atomic_bool shut, over;
};

static inline void trap_attr(struct fuse_attr *a, uint64_t node)
{
	a->ino = node;
	a->nlink = 1;
	a->mode = node == FUSE_ROOT_ID ? S_IFDIR | 0755 : S_IFREG | 0644;
	a->blksize = 4096;
}

static inline void trap_answer(int dev, uint64_t unique, int err, const void *data, size_t len)
{
	struct fuse_out_header h = { .len = (uint32_t)(sizeof(h) + len),
				     .error = err,
				     .unique = unique };
	uint8_t m[sizeof(h) + 256];

	memcpy(m, &h, sizeof(h));
	if (len)
		memcpy(m + sizeof(h), data, len);
	/* It may have been given up meanwhile. */
	if (write(dev, m, sizeof(h) + len) < 0)
		return;
}

static inline void trap_serve(struct fuse_trap *t, const struct fuse_in_header *h)
{
	struct fuse_init_out init = { .major = FUSE_KERNEL_VERSION,
				      .minor = FUSE_KERNEL_MINOR_VERSION,
				      .max_write = 4096 };
	struct fuse_entry_out entry = { .nodeid = 2 };
	struct fuse_attr_out attr = { 0 };
	struct fuse_open_out opened = { 0 };

	switch (h->opcode) {
	case FUSE_INIT:
		trap_answer(t->dev, h->unique, 0, &init, sizeof(init));
		break;
	case FUSE_LOOKUP:
		trap_attr(&entry.attr, entry.nodeid);
		trap_answer(t->dev, h->unique, 0, &entry, sizeof(entry));
		break;
	case FUSE_GETATTR:
		trap_attr(&attr.attr, h->nodeid);
		trap_answer(t->dev, h->unique, 0, &attr, sizeof(attr));
		break;
	case FUSE_OPEN:
	case FUSE_OPENDIR:
		trap_answer(t->dev, h->unique, 0, &opened, sizeof(opened));
		break;
	case FUSE_FLUSH:
		if (atomic_load(&t->shut))
			break;
		trap_answer(t->dev, h->unique, 0, NULL, 0);
		break;
	case FUSE_RELEASE:
	case FUSE_RELEASEDIR:
		trap_answer(t->dev, h->unique, 0, NULL, 0);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break;
	default:
		trap_answer(t->dev, h->unique, -ENOSYS, NULL, 0);
	}
}

static inline void *trap_main(void *arg)
{
	static _Alignas(8) uint8_t m[FUSE_MIN_READ_BUFFER];
	struct fuse_trap *t = arg;
	struct pollfd p = { .fd = t->dev, .events = POLLIN };

	while (!atomic_load(&t->over)) {
		if (poll(&p, 1, 10) == 1 && read(t->dev, m, sizeof(m)) > 0)
			trap_serve(t, (struct fuse_in_header *)m);
	}
	return NULL;
}

/* False: it cannot be mounted here. */
static inline bool trap_set(struct fuse_trap *t)
{
	char path[] = "/tmp/tvq-trap-XXXXXX", options[96];
	bool mounted;

	memset(t, 0, sizeof(*t));
	t->dev = open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (t->dev < 0)
		return false;
	if (!mkdtemp(path)) {
		close(t->dev);
		return false;
	}
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", t->dev);
	mounted = !mount("trap", path, "fuse", MS_NOSUID | MS_NODEV, options);
	if (mounted && pthread_create(&t->thread, NULL, trap_main, t))
		abort();
	t->dir = mounted ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (mounted)
		umount2(path, MNT_DETACH);
	rmdir(path);
	if (!mounted)
		close(t->dev);
	return mounted;
}

/* A new descriptor of a file of its; -1: none. */
static inline int trap_file(struct fuse_trap *t)
{
	return openat(t->dir, "file", O_RDWR | O_CLOEXEC);
}

/* Whoever waits in a close() is let go. No file may be opened any more. */
static inline void trap_open(struct fuse_trap *t)
{
	atomic_store(&t->over, true);
	pthread_join(t->thread, NULL);
	close(t->dev);
	close(t->dir);
}

#endif
