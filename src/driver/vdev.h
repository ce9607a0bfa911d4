/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A managed device as the polling drivers have it: what is the same for all types, between a device
 * that was created and DRIVER_OK (TQ-150), and back. For src/driver only.
 *
 * The order: tvq_vdev_negotiate(), tvq_vdev_config(), tvq_vdev_queue_make() and _start() for each
 * queue, tvq_vdev_driver_ok(); at the end tvq_vdev_reset(), tvq_vdev_queue_free(). All of them wait;
 * 0 or -errno.
 */
#ifndef TVQ_DRIVER_VDEV_H
#define TVQ_DRIVER_VDEV_H

#include <tvq/driver.h>

#include "../ring/driver_ring.h"

#define TVQ_VDEV_BIT(n) (1ull << (n))

struct tvq_vdev {
	struct tvq_client *client;
	struct tvq_bus *bus;
	uint64_t device_id, features; /* negotiated */
	bool up;		      /* the device may know of our memory */
	struct tvq_poller poller;     /* active while a call waits */
	/* Takes what the device has used; ends everything with err. */
	unsigned int (*collect)(struct tvq_vdev *d);
	void (*cancel)(struct tvq_vdev *d, int err);
};

struct tvq_vdev_queue {
	struct tvq_drv_ring *ring;
	uint64_t area; /* notification */
	uint16_t index, size;
	void *mem; /* DMA memory: the ring, then more */
	size_t mem_bytes;
	uint8_t *more;
	uint64_t more_iova;
};

struct tvq_vdev_queue_cfg {
	uint16_t index;
	uint16_t size;	       /* wanted; the device may have less */
	uint16_t indirect;     /* longest indirect table */
	uint32_t bytes;	       /* of `more` for each entry */
	uint32_t bytes_in_all; /* more of it */
};

void tvq_vdev_init(struct tvq_vdev *d, struct tvq_client *c, uint64_t device_id);
static inline const struct tvq_os *tvq_vdev_os(const struct tvq_vdev *d)
{
	return d->bus->os;
}
static inline bool tvq_vdev_has(const struct tvq_vdev *d, unsigned int bit)
{
	return d->features >> bit & 1;
}

/* The bits of the rings that a driver takes where they are offered, VERSION_1 and ACCESS_PLATFORM. */
uint64_t tvq_vdev_ring_features(bool packed, bool event_idx, bool indirect);
/* From reset to FEATURES_OK, with those of wanted that are offered. */
int tvq_vdev_negotiate(struct tvq_vdev *d, uint64_t wanted);
/* The first bytes of the configuration, one consistent snapshot (TQ-075). */
int tvq_vdev_config(struct tvq_vdev *d, void *buf, uint32_t bytes);
/* Memory and ring; -EPROTO: no such queue. Interrupts are off. */
int tvq_vdev_queue_make(struct tvq_vdev *d, struct tvq_vdev_queue *q,
			const struct tvq_vdev_queue_cfg *cfg);
int tvq_vdev_queue_start(struct tvq_vdev *d, struct tvq_vdev_queue *q);
int tvq_vdev_driver_ok(struct tvq_vdev *d);
/* Makes what was added available. Does not wait. */
static inline void tvq_vdev_publish(struct tvq_vdev *d, struct tvq_vdev_queue *q)
{
	if (tvq_drv_ring_publish(q->ring))
		d->bus->ops->notify(d->bus, q->area, q->index, 2);
}

/* Runs turns and collects until *done; -ETIMEDOUT. A device that needs a reset, or is gone, answers
 * nothing: then everything is cancelled with -ENODEV, which may set *done. */
int tvq_vdev_wait(struct tvq_vdev *d, const bool *done);

/* False: the device may still write to its memory, which is left to it. */
bool tvq_vdev_reset(struct tvq_vdev *d);
/* dma: what tvq_vdev_reset() returned. */
void tvq_vdev_queue_free(struct tvq_vdev *d, struct tvq_vdev_queue *q, bool dma);

#endif
