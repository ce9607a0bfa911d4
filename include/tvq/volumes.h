/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The volumes and the pool that come with libtvq. Hosted.
 *
 * The functions that make a volume open, lock and measure what is behind it: they may block, so
 * call them from a job (tvq/loop.h). They return a volume with one reference, or NULL and in *err
 * (256 bytes) a sentence that names the thing and says what would be right; the errno is left in
 * errno.
 */
#ifndef TVQ_VOLUMES_H
#define TVQ_VOLUMES_H

#include <stdbool.h>
#include <stdint.h>

#include <tvq/volume.h>

#define TVQ_VOLUME_ERR_LEN 256

struct tvq_file_cfg {
	const char *path;
	bool direct; /* O_DIRECT */
	bool read_only;
};

/*
 * A regular file (size a multiple of 512) or a block device node (opened O_EXCL). Takes the OFD
 * locks that QEMU takes on an image, so that neither runs on what the other has. io_uring.
 */
struct tvq_volume *tvq_volume_file(const char *id, const struct tvq_file_cfg *cfg, char *err);

/* Anonymous memory, allocated when first written; size in bytes, a multiple of 512. */
struct tvq_volume *tvq_volume_ram(const char *id, uint64_t size, char *err);

/* Moves nothing; with zero, reads are answered with zeroes. */
struct tvq_volume *tvq_volume_null(const char *id, uint64_t size, bool zero, char *err);

/*
 * Waits until what volumes left to do when their last reference went (close, unlink, unmap) is
 * done. Blocks; any thread. For the end of a program, and before something else is to have what a
 * volume had.
 */
void tvq_volume_settle(void);

/* The pool. All functions on the control executor that it was made for. */
struct tvq_volume_pool;

/* NULL: no memory. */
struct tvq_volume_pool *tvq_volume_pool_new(struct tvq_exec *control);
/* No claim may be under way, and no device may have a volume. p may be NULL. */
void tvq_volume_pool_free(struct tvq_volume_pool *p);

/*
 * Management devices that share a pool may each have volumes that are nobody else's: each is an
 * owner, by a number from 1 to TVQ_VOLUME_OWNERS, and looks at the pool by a view of its own.
 */
#define TVQ_VOLUME_ANY	  0
#define TVQ_VOLUME_OWNERS 2

/*
 * What a management device is given as its pool: the volumes that are for any owner, and those that
 * are for this one; to a claim the others are not there, by their ids neither. With TVQ_VOLUME_ANY
 * only what is for any. Part of p. NULL: no such owner.
 */
struct tvq_pool *tvq_volume_pool_view(struct tvq_volume_pool *p, unsigned int owner);
/* The one of TVQ_VOLUME_ANY. */
struct tvq_pool *tvq_volume_pool_pool(struct tvq_volume_pool *p);

/* Adds a volume for one owner, or for TVQ_VOLUME_ANY. Its reference passes to the pool. -EEXIST:
 * its id is taken, by whosever volume; -EINVAL: no such owner; -ENOMEM: on an error the reference
 * stays the caller's. */
int tvq_volume_pool_add_for(struct tvq_volume_pool *p, struct tvq_volume *v, unsigned int owner);
/* For any. */
int tvq_volume_pool_add(struct tvq_volume_pool *p, struct tvq_volume *v);
/* -ENOENT; -EBUSY: a device has it, or is being given it. */
int tvq_volume_pool_del(struct tvq_volume_pool *p, const char *id);

/*
 * Makers: where a claim names no volume and none is free, the first maker that is for its owner or
 * for any makes one of the capacity asked for (0: its own default), for the same. It is removed when
 * its device is destroyed.
 */
enum tvq_maker_kind {
	TVQ_MAKER_RAM,
	TVQ_MAKER_NULL,
	TVQ_MAKER_NULL_ZERO,
	TVQ_MAKER_DIR, /* sparse files in a directory, unlinked when the device goes */
};

struct tvq_maker_cfg {
	enum tvq_maker_kind kind;
	const char *name;      /* of the maker; prefix of the ids */
	const char *dir;       /* TVQ_MAKER_DIR */
	bool direct;	       /* TVQ_MAKER_DIR */
	uint64_t default_size; /* bytes */
	uint64_t max_volumes;  /* 0: no bound of its own */
	unsigned int owner;    /* that it is for, or TVQ_VOLUME_ANY */
};

/*
 * Copies cfg. 0, or -errno with a sentence in err: -EINVAL (name not 1 to 9 characters of a-z A-Z
 * 0-9 . _ -, no default size, not a multiple of 512, no such owner), -EEXIST, -ENOENT and others of
 * the directory, -ENOMEM. Looks at the directory, which may block for as long as a stat does. What a
 * claim gets is named NAME-1, NAME-2 ...
 */
int tvq_volume_pool_add_maker(struct tvq_volume_pool *p, const struct tvq_maker_cfg *cfg,
			      char *err);
/* Has this maker asked before all others from now on. -ENOENT. */
int tvq_volume_pool_prefer_maker(struct tvq_volume_pool *p, const char *name);
/* -ENOENT; -EBUSY while volumes that it made are in use. */
int tvq_volume_pool_del_maker(struct tvq_volume_pool *p, const char *name);

struct tvq_volume_info {
	char id[TVQ_VOLUME_ID_LEN + 1];
	const char *type;
	const char *path; /* or NULL */
	struct tvq_volume_limits limits;
	unsigned int owner; /* that it is for, or TVQ_VOLUME_ANY */
	bool in_use;
	bool made; /* by a maker */
};

/* Calls fn for each volume until it returns false. */
void tvq_volume_pool_each(struct tvq_volume_pool *p,
			  bool (*fn)(void *ctx, const struct tvq_volume_info *info), void *ctx);
/* Makers, likewise. */
void tvq_volume_pool_each_maker(struct tvq_volume_pool *p,
				bool (*fn)(void *ctx, const struct tvq_maker_cfg *cfg), void *ctx);

#endif
