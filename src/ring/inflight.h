/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * In-flight areas (TQ-130, TQ-131): what the device half records of chains taken and not yet used,
 * in vhost-user's layout. Private to src/ring; all calls are made only where r->inflight is set,
 * but for tvq_inflight_start().
 */
#ifndef TVQ_RING_INFLIGHT_H
#define TVQ_RING_INFLIGHT_H

#include "ring.h"

/*
 * Finds and judges the area, or initialises a new one, and moves the ring to its position; what was
 * in flight waits in r->resubmit_*. -EINVAL: alignment, size or no shadow; -EFAULT: not mapped as
 * one piece; -EBADMSG: the content cannot be true. Time is bounded by n log n of the ring's size.
 */
int tvq_inflight_start(struct tvq_ring *r, const struct tvq_ring_cfg *cfg);
int tvq_inflight_remap(struct tvq_ring *r);
/* Gives out what waits; as tvq_ring_take(). */
int tvq_inflight_resubmit(struct tvq_ring *r, struct tvq_chain *const *c, unsigned int n);

/* A chain was taken: -EBADMSG where the driver made one available that the device already has. */
int tvq_inflight_split_take(struct tvq_ring *r, uint16_t head);
int tvq_inflight_packed_take(struct tvq_ring *r, const struct tvq_chain *c);
void tvq_inflight_split_untake(struct tvq_ring *r, uint16_t head);
void tvq_inflight_packed_untake(struct tvq_ring *r, const struct tvq_chain *c);

/* Split: before the used element is written; nonzero: not in flight, nothing is to be written. */
int tvq_inflight_split_add_used(struct tvq_ring *r, uint16_t head);
/* Split: after the used index was published. */
void tvq_inflight_split_flushed(struct tvq_ring *r);

/* Packed: the whole of recording and of publishing. */
void tvq_inflight_packed_add_used(struct tvq_ring *r, const struct tvq_chain *c, uint32_t written);
void tvq_inflight_packed_flush(struct tvq_ring *r);

#endif
