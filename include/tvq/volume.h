/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Volumes: where a block device's requests go. A volume is shared and immutable while it is in use
 * (its size may grow); a volume channel is one worker's way to it. Freestanding interface; the
 * volumes in src/volume are hosted.
 */
#ifndef TVQ_VOLUME_H
#define TVQ_VOLUME_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <tvq/dma.h>
#include <tvq/exec.h>

#define TVQ_VOLUME_ID_LEN 20
#define TVQ_SECTOR_SIZE	  512

enum tvq_vreq_op {
	TVQ_VREQ_READ,
	TVQ_VREQ_WRITE,
	TVQ_VREQ_FLUSH,
	TVQ_VREQ_DISCARD,
	TVQ_VREQ_WRITE_ZEROES,
};

enum {
	TVQ_VREQ_FUA = 1,   /* stable before it completes */
	TVQ_VREQ_UNMAP = 2, /* WRITE_ZEROES may deallocate */
};

#define TVQ_VREQ_PENDING 1 /* status of a request that has not completed */

/*
 * One request. Everything has been checked: the range lies within the capacity and is a multiple of
 * the volume's block size, and the segments hold len bytes (READ, WRITE; none for the others).
 */
struct tvq_vreq {
	uint8_t op;
	uint8_t flags;
	uint16_t n_seg;
	/* TVQ_VREQ_PENDING while under way, then 0 or a negative errno. */
	int status;
	uint64_t offset;     /* bytes */
	uint64_t len;	     /* bytes */
	struct tvq_seg *seg; /* may be changed by the volume */
	/* Called on the channel's executor for a request that did not complete within submit. */
	void (*done)(struct tvq_vreq *v);
	/* The volume's own, while it is under way. */
	uint64_t priv[12];
};

struct tvq_volume;
struct tvq_volume_channel;

struct tvq_volume_limits {
	uint64_t capacity;   /* bytes, a multiple of 512 */
	uint32_t block_size; /* logical, bytes: 512 ... 4096; offsets and lengths are multiples */
	uint32_t physical_block_size; /* bytes */
	uint32_t opt_io_size;	      /* bytes, 0: unknown */
	bool read_only;
	bool write_back; /* it has a cache that FLUSH empties */
	bool can_discard, can_zero;
	uint32_t discard_granularity; /* bytes */
};

struct tvq_volume_ops {
	const char *type; /* "file", "ram", "null", "null,zero" */

	/*
	 * A channel on this executor, called on it. Cheap: no open, no thread. *ch has to be set. 0
	 * or a negative errno.
	 */
	int (*open)(struct tvq_volume *v, struct tvq_exec *e, struct tvq_volume_channel **ch);
	/* No request is under way on it. */
	void (*close)(struct tvq_volume_channel *ch);

	/*
	 * Starts n requests; each one either has status 0 or -errno on return (done is not called
	 * then), or TVQ_VREQ_PENDING, and done is called later on this executor. Errors are logged
	 * by the volume.
	 */
	void (*submit)(struct tvq_volume_channel *ch, struct tvq_vreq *const *v, unsigned int n);

	/* Last reference gone. May be called on any thread; what blocks is left to a job. */
	void (*destroy)(struct tvq_volume *v);
};

struct tvq_volume_channel {
	struct tvq_volume *volume;
	struct tvq_exec *exec;
};

struct tvq_volume {
	const struct tvq_volume_ops *ops;
	struct tvq_volume_limits limits;
	uint8_t id[TVQ_VOLUME_ID_LEN]; /* padded with NUL; as VIRTIO_BLK_T_GET_ID answers */
	atomic_uint refs;
};

void tvq_volume_get(struct tvq_volume *v);
void tvq_volume_put(struct tvq_volume *v);

/*
 * The volumes that a management device may use, and who has which (TQ-143: one serves one device at
 * a time). Belongs to the control executor.
 */
struct tvq_pool;

struct tvq_claim {
	/* In: */
	uint8_t id[TVQ_VOLUME_ID_LEN]; /* all zero: the first free one, or a new one where the pool
					  makes them */
	uint64_t capacity;	       /* bytes; 0: any */
	bool read_only;		       /* the device offers RO, so a read-only volume will do */
	/* Called on the control executor: err 0 and the volume, now claimed; or a negative errno.
	 * May be called before tvq_pool_claim returns. -ENOENT: no such volume, -EBUSY: in use,
	 * -EROFS: read-only, -EINVAL: another capacity, -ENOSPC: none free and none can be made. */
	void (*done)(struct tvq_claim *c, int err, struct tvq_volume *v);
};

struct tvq_pool_ops {
	void (*claim)(struct tvq_pool *p, struct tvq_claim *c);
	/* The device is gone, all its requests are done. A volume made for it is removed. */
	void (*release)(struct tvq_pool *p, struct tvq_volume *v);
};

struct tvq_pool {
	const struct tvq_pool_ops *ops;
};

#endif
