/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The driver half of a virtqueue, split and packed. Used by libtvq's own drivers (the transportq,
 * the polling block driver) and by tests. The driver does not trust the device: a used entry that
 * names no buffer in flight breaks the ring, not the driver.
 *
 * One thread at a time; no function blocks; nothing is allocated after init.
 */
#ifndef TVQ_RING_DRIVER_RING_H
#define TVQ_RING_DRIVER_RING_H

#include <stdbool.h>
#include <stdint.h>

#include <tvq/os.h>

/* A buffer as the device will see it: an address in the queue's space. */
struct tvq_sg {
	uint64_t addr;
	uint32_t len;
};

struct tvq_drv_ring_cfg {
	bool packed, event_idx, indirect;
	bool in_order; /* VIRTIO_F_IN_ORDER negotiated */
	uint16_t size;
	void *mem;     /* tvq_drv_ring_bytes() of it, zeroed, aligned to 4096; stays the caller's */
	uint64_t iova; /* mem's address in the queue's space */
};

struct tvq_drv_ring; /* opaque; from tvq_drv_ring_new() */

/*
 * Memory for the three areas plus, with indirect, a table of indirect_max descriptors for each
 * entry.
 */
uint64_t tvq_drv_ring_bytes(bool packed, uint16_t size, uint16_t indirect_max);
struct tvq_drv_ring *tvq_drv_ring_new(const struct tvq_os *os, const struct tvq_drv_ring_cfg *cfg,
				      uint16_t indirect_max);
void tvq_drv_ring_free(struct tvq_drv_ring *r);

/* Addresses of the areas, for VQ_ADDR SET. */
void tvq_drv_ring_areas(const struct tvq_drv_ring *r, uint64_t *desc, uint64_t *driver,
			uint64_t *device);

/*
 * Adds a buffer: n_out device-readable pieces, then n_in device-writable ones. Not visible to the
 * device before tvq_drv_ring_publish(). token comes back from tvq_drv_ring_get(), and is not NULL.
 * Uses an indirect table where it is negotiated, fits and needs more than one descriptor. -ENOSPC:
 * ring full; -EINVAL: no pieces, no token, or more pieces than ever fit; -EIO: broken.
 */
int tvq_drv_ring_add(struct tvq_drv_ring *r, const struct tvq_sg *sg, unsigned int n_out,
		     unsigned int n_in, void *token);

/* Makes all added buffers available. True: the device has to be notified. */
bool tvq_drv_ring_publish(struct tvq_drv_ring *r);

/*
 * The token of the next used buffer, and the length that the device says it wrote: nobody checked
 * it against the buffer. NULL: none, or broken. With in_order they come as they were added; those
 * that the device used without an entry of their own count as written completely.
 */
void *tvq_drv_ring_get(struct tvq_drv_ring *r, uint32_t *written);

bool tvq_drv_ring_broken(const struct tvq_drv_ring *r);
unsigned int tvq_drv_ring_in_flight(const struct tvq_drv_ring *r);

void tvq_drv_ring_interrupts_off(struct tvq_drv_ring *r);
/* True: a used buffer is there already; no interrupt will come for it. */
bool tvq_drv_ring_interrupts_on(struct tvq_drv_ring *r);

/*
 * Takes back a buffer that the device never used (after reset or disable); NULL when there is none
 * left. The ring is made anew before it is used again.
 */
void *tvq_drv_ring_detach(struct tvq_drv_ring *r);

#endif
