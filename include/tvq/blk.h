/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A polling driver for a managed block device, for tests, benchmarks and embedders. The calls and
 * the batch interface are for the thread of the bus' control executor; the device may run on other
 * workers.
 */
#ifndef TVQ_BLK_H
#define TVQ_BLK_H

#include <stdbool.h>
#include <stdint.h>

#include <tvq/driver.h>

struct tvq_blk;

struct tvq_blk_cfg {
	bool packed;
	bool no_event_idx, no_indirect, no_flush;
	uint16_t queue_size; /* 0: 128 or the most there is */
	uint16_t num_queues; /* to set up; 0: 1 */
	uint16_t max_seg;    /* pieces of a request's data (the device's size_max each); 0: 16 */
};

/* Sets an existing managed block device up to DRIVER_OK (TQ-150). Waits. NULL and *err. */
struct tvq_blk *tvq_blk_new(struct tvq_client *c, uint64_t device_id, const struct tvq_blk_cfg *cfg,
			    int *err);
/* Resets the device. Waits. Requests in flight end with -ECANCELED. */
void tvq_blk_free(struct tvq_blk *b);

uint64_t tvq_blk_capacity(const struct tvq_blk *b); /* bytes */
uint32_t tvq_blk_block_size(const struct tvq_blk *b);
uint64_t tvq_blk_features(const struct tvq_blk *b); /* negotiated */
uint16_t tvq_blk_queues(const struct tvq_blk *b);   /* set up */
int tvq_blk_id(struct tvq_blk *b, char id[21]);	    /* GET_ID; waits */

/*
 * Synchronous calls: any memory of the process (bounced where the device cannot reach it). Offsets
 * and lengths in bytes, multiples of the block size. They wait. -EIO, -EOPNOTSUPP, -EINVAL, -EROFS,
 * -ETIMEDOUT, -ENODEV (the device needs a reset, or is gone), -EBUSY (finished requests of the
 * batch interface fill the queue).
 */
int tvq_blk_read(struct tvq_blk *b, uint64_t offset, void *buf, uint32_t len);
int tvq_blk_write(struct tvq_blk *b, uint64_t offset, const void *buf, uint32_t len);
int tvq_blk_flush(struct tvq_blk *b);
int tvq_blk_discard(struct tvq_blk *b, uint64_t offset, uint64_t len);
int tvq_blk_write_zeroes(struct tvq_blk *b, uint64_t offset, uint64_t len, bool unmap);

/*
 * The batch interface: no wait, no copy. buf is memory from tvq_blk_dma_alloc() (or mapped into the
 * device's space: iova says where).
 */
struct tvq_blk_req {
	uint32_t type;	 /* VIRTIO_BLK_T_* */
	uint32_t len;	 /* bytes */
	uint64_t offset; /* bytes */
	uint64_t iova;	 /* of the data; IN, OUT and GET_ID have some */
	uint32_t flags;	 /* WRITE_ZEROES: VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP */
	int err;	 /* result: 0, -EIO, -EOPNOTSUPP, -EPROTO, -ECANCELED; -EINVAL: has
			  * data in more pieces than max_seg */
	void *user;	 /* the caller's */
	uint16_t slot;	 /* the driver's */
};
void *tvq_blk_dma_alloc(struct tvq_blk *b, size_t size, uint64_t *iova);
void tvq_blk_dma_free(struct tvq_blk *b, void *p, size_t size);
/* Starts up to n requests on one queue, with one notification; returns how many fitted. */
unsigned int tvq_blk_submit(struct tvq_blk *b, uint16_t queue, struct tvq_blk_req *const *r,
			    unsigned int n);
/* Collects up to n finished ones. Does not run the executor: the caller does, or a thread of its
 * own. */
unsigned int tvq_blk_poll(struct tvq_blk *b, uint16_t queue, struct tvq_blk_req **r,
			  unsigned int n);

#endif
