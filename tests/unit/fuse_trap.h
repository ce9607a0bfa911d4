/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A file system whose files, while the trap is shut, cannot be closed: close() waits for whoever
 * serves it (FUSE's FLUSH), which is a process of its own. Needs the right to mount; nothing stays
 * mounted. The process ends after a while in any case, and with it all that waits: a test that fails
 * could not even exit before.
 */
#ifndef TVQ_TESTS_FUSE_TRAP_H
#define TVQ_TESTS_FUSE_TRAP_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/fuse.h>

struct fuse_trap {
	int dev, dir;
	pid_t owner, server;
	atomic_bool *shut; /* for the owner, too; shared with the server */
};

#define TRAP_SECONDS 60

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
		/* Threads of the kernel's that close for this process always wait. */
		if (atomic_load(t->shut) || h->pid != (uint32_t)t->owner)
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

static inline void trap_main(struct fuse_trap *t)
{
	static _Alignas(8) uint8_t m[FUSE_MIN_READ_BUFFER];

	signal(SIGALRM, SIG_DFL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	alarm(TRAP_SECONDS);
	for (;;)
		if (read(t->dev, m, sizeof(m)) > 0)
			trap_serve(t, (struct fuse_in_header *)m);
}

static inline bool trap_mount(const struct fuse_trap *t, const char *path)
{
	char options[96];

	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", t->dev);
	return !mount("trap", path, "fuse", MS_NOSUID | MS_NODEV, options);
}

/* False: it cannot be mounted here. Before anybody else has a thread or a descriptor. */
static inline bool trap_set(struct fuse_trap *t)
{
	char path[] = "/tmp/tvq-trap-XXXXXX";

	memset(t, 0, sizeof(*t));
	t->dev = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (t->dev < 0)
		return false;
	t->shut = mmap(NULL, sizeof(*t->shut), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	if (t->shut == MAP_FAILED || !mkdtemp(path))
		abort();
	if (!trap_mount(t, path)) {
		rmdir(path);
		close(t->dev);
		return false;
	}
	t->owner = getpid();
	t->server = fork();
	if (!t->server)
		trap_main(t);
	close(t->dev); /* it is the server's alone, and what waits ends with it */
	t->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	umount2(path, MNT_DETACH);
	rmdir(path);
	return true;
}

/* A new descriptor of a file of its; -1: none. */
static inline int trap_file(struct fuse_trap *t)
{
	return openat(t->dir, "file", O_RDWR | O_CLOEXEC);
}

/* Whoever waits in a close() is let go. No file may be opened any more. */
static inline void trap_open(struct fuse_trap *t)
{
	kill(t->server, SIGKILL);
	waitpid(t->server, NULL, 0);
	close(t->dir);
	munmap(t->shut, sizeof(*t->shut));
}

#endif
