/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files of the file volume share: file.c does requests, file_open.c opens and measures,
 * lock.c has the image locks, bounce.c the bounce buffers. Private to the folder.
 */
#ifndef TVQ_VOLUME_FILE_H
#define TVQ_VOLUME_FILE_H

#include <stdatomic.h>

#include "internal.h"

struct tvq_file {
	struct tvq_volume v;
	int fd;
	bool node;   /* a block device */
	bool unlink; /* made for one device: its file goes with it */
	bool direct;
	uint32_t mem_align; /* of a segment's address; 1: any will do */
	char *path;
	atomic_uint logged;		     /* causes, one bit each */
	atomic_bool flush_failed;	     /* for ever: see file.c */
	atomic_bool shrunk;		     /* its end was found before the capacity */
	atomic_bool no_punch, no_zero_range; /* the file system has said so */
	struct tvq_volume_work work;
};

extern const struct tvq_volume_ops tvq_file_ops;

/*
 * Takes QEMU's image locks on fd for a user that reads, and, unless read_only, writes, and lets
 * others read but not write or resize. 0; or -EAGAIN where somebody has what that excludes, or
 * another -errno, with the sentence in err. They go with tvq_image_unlock() or the description's
 * last close.
 */
int tvq_image_lock(int fd, const char *path, bool read_only, char *err);
void tvq_image_unlock(int fd);

/* Bounce buffers: the executor's, at most TVQ_BOUNCE_BUFS of TVQ_BOUNCE_SIZE bytes, aligned to
 * 4096. */
#define TVQ_BOUNCE_SIZE 65536
#define TVQ_BOUNCE_BUFS 64

struct tvq_bounce_wait {
	struct tvq_bounce_wait *next;
	void (*fn)(struct tvq_bounce_wait *w, void *buf);
};

/*
 * A buffer at once, or NULL: then either w waits and w->fn is called, with a buffer, when one is
 * given back
 * (*err 0), or there is no memory at all (*err -ENOMEM).
 */
void *tvq_bounce_take(struct tvq_exec *e, struct tvq_bounce_wait *w, int *err);
void tvq_bounce_give(struct tvq_exec *e, void *buf);

#endif
