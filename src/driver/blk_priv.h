/* SPDX-License-Identifier: BSD-3-Clause */
/* Inside of the polling block driver, for src/driver/blk*.c only. */
#ifndef TVQ_DRIVER_BLK_PRIV_H
#define TVQ_DRIVER_BLK_PRIV_H

#include <linux/virtio_blk.h>

#include <tvq/blk.h>

#include "vdev.h"

#define TVQ_BLK_BOUNCE_BYTES (128u << 10)

/* A request's own DMA memory, one cache line. */
struct tvq_blk_frame {
	struct virtio_blk_outhdr header;
	struct virtio_blk_discard_write_zeroes range;
	uint8_t status;
	uint8_t reserved[31];
};

/* A request in flight. Token of the ring; never moves. */
struct tvq_blk_slot {
	struct tvq_blk_req *req;   /* NULL: free, or a synchronous call gave up on it */
	struct tvq_blk_slot *next; /* free list */
	void *orphan;		   /* bounce memory of a call that gave up; freed with the slot */
	bool sync;
};

struct tvq_blk_queue {
	struct tvq_vdev_queue vq; /* more: a tvq_blk_frame for each entry */
	struct tvq_blk *blk;
	struct tvq_blk_slot *slots, *free_slots;
	/* Finished, not yet asked for: refused ones, and those that a synchronous call met. */
	struct tvq_blk_req **ready;
	uint16_t ready_head, n_ready; /* a ring of size entries */
	uint16_t in_flight;
};

struct tvq_blk {
	struct tvq_vdev dev;		  /* first */
	uint64_t capacity;		  /* bytes */
	uint32_t block_size;		  /* bytes */
	uint32_t size_max;		  /* bytes of one piece of data */
	uint32_t max_discard, max_zeroes; /* bytes of one request */
	uint16_t max_seg, n_queues;
	uint8_t *bounce;
	uint64_t bounce_iova;
	struct tvq_sg *sg; /* max_seg + 2 */
	struct tvq_blk_queue *queues;
	struct virtio_blk_config config;
};

/* Puts a request into the ring, not published yet; sync: r->user points to a bool that is set
 * when it is done. -ENOSPC: no room now; another error: it can never be. */
int tvq_blk_start(struct tvq_blk_queue *q, struct tvq_blk_req *r, bool sync);
/* Takes finished requests off the ring: synchronous ones are marked, others become ready. */
unsigned int tvq_blk_collect(struct tvq_blk_queue *q);
/* Ends what the device still has. */
void tvq_blk_cancel(struct tvq_blk_queue *q, int err);

#endif
