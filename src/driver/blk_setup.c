/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The polling block driver: from a managed device that was created to DRIVER_OK, by the sequence
 * that any driver's accesses come to (TQ-150), and back. tvq_blk_free() takes a half-built one.
 */
#include <endian.h>
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <string.h>

#include <tvq/os.h>

#include "blk_priv.h"

#define DEFAULT_SIZE 128
#define DEFAULT_SEG  16
#define CONFIG_BYTES (offsetof(struct virtio_blk_config, write_zeroes_may_unmap) + 1)
#define MOST_SEG     1022

static const struct tvq_os *os_of(const struct tvq_blk *b)
{
	return tvq_vdev_os(&b->dev);
}

static bool has(const struct tvq_blk *b, unsigned int bit)
{
	return tvq_vdev_has(&b->dev, bit);
}

static uint64_t wanted(const struct tvq_blk_cfg *cfg)
{
	uint64_t f = tvq_vdev_ring_features(cfg->packed, !cfg->no_event_idx, !cfg->no_indirect);

	f |= TVQ_VDEV_BIT(VIRTIO_BLK_F_SIZE_MAX) | TVQ_VDEV_BIT(VIRTIO_BLK_F_SEG_MAX) |
	     TVQ_VDEV_BIT(VIRTIO_BLK_F_RO) | TVQ_VDEV_BIT(VIRTIO_BLK_F_BLK_SIZE) |
	     TVQ_VDEV_BIT(VIRTIO_BLK_F_MQ) | TVQ_VDEV_BIT(VIRTIO_BLK_F_DISCARD) |
	     TVQ_VDEV_BIT(VIRTIO_BLK_F_WRITE_ZEROES);
	if (!cfg->no_flush)
		f |= TVQ_VDEV_BIT(VIRTIO_BLK_F_FLUSH);
	return f;
}

static uint32_t sectors_to_bytes(__virtio32 sectors, uint32_t align)
{
	uint32_t n = le32toh((__le32)sectors);

	if (n > UINT32_MAX / 512)
		n = UINT32_MAX / 512;
	return n * 512 / align * align;
}

static int use_config(struct tvq_blk *b, const struct tvq_blk_cfg *cfg)
{
	uint32_t queues = has(b, VIRTIO_BLK_F_MQ) ? le16toh((__le16)b->config.num_queues) : 1;
	uint32_t seg = cfg->max_seg ? cfg->max_seg : DEFAULT_SEG;

	b->capacity = le64toh((__le64)b->config.capacity) * 512;
	b->block_size = has(b, VIRTIO_BLK_F_BLK_SIZE) ? le32toh((__le32)b->config.blk_size) : 512;
	b->size_max = has(b, VIRTIO_BLK_F_SIZE_MAX) ? le32toh((__le32)b->config.size_max)
						    : UINT32_MAX;
	if (has(b, VIRTIO_BLK_F_SEG_MAX) && seg > le32toh((__le32)b->config.seg_max))
		seg = le32toh((__le32)b->config.seg_max);
	if (seg > MOST_SEG)
		seg = MOST_SEG;
	/* What the device says cannot be true: no size of a block, no room for any data. */
	if (b->block_size < 512 || b->block_size & (b->block_size - 1) ||
	    b->size_max < b->block_size || !seg)
		return -EPROTO;
	b->max_seg = (uint16_t)seg;
	b->max_discard = sectors_to_bytes(b->config.max_discard_sectors, b->block_size);
	b->max_zeroes = sectors_to_bytes(b->config.max_write_zeroes_sectors, b->block_size);
	b->n_queues = cfg->num_queues ? cfg->num_queues : 1;
	return b->n_queues > queues ? -EINVAL : 0;
}

/* Frames beside the ring; slots and the ready ones in one of the process'. */
static int make_queue(struct tvq_blk *b, struct tvq_blk_queue *q, uint16_t index, uint16_t size)
{
	struct tvq_vdev_queue_cfg cfg = {
		.index = index,
		.size = size ? size : DEFAULT_SIZE,
		.indirect = b->max_seg + 2,
		.bytes = sizeof(struct tvq_blk_frame),
	};
	int err = tvq_vdev_queue_make(&b->dev, &q->vq, &cfg);
	uint16_t i;

	q->blk = b;
	if (err)
		return err;
	q->slots = os_of(b)->alloc(q->vq.size * sizeof(*q->slots));
	q->ready = os_of(b)->alloc(q->vq.size * sizeof(struct tvq_blk_req *));
	if (!q->slots || !q->ready)
		return -ENOMEM;
	for (i = q->vq.size; i-- > 0;) {
		q->slots[i].next = q->free_slots;
		q->free_slots = &q->slots[i];
	}
	return tvq_vdev_queue_start(&b->dev, &q->vq);
}

static int bring_up(struct tvq_blk *b, const struct tvq_blk_cfg *cfg)
{
	int err = tvq_vdev_negotiate(&b->dev, wanted(cfg));
	uint16_t i;

	if (!err)
		err = tvq_vdev_config(&b->dev, &b->config, CONFIG_BYTES);
	if (!err)
		err = use_config(b, cfg);
	if (err)
		return err;
	b->sg = os_of(b)->alloc((b->max_seg + 2) * sizeof(*b->sg));
	b->queues = os_of(b)->alloc(b->n_queues * sizeof(*b->queues));
	if (!b->sg || !b->queues)
		return -ENOMEM;
	/* Before a queue runs: memory that is mapped later need not be seen by a running queue at
	 * once. */
	b->bounce = b->dev.bus->ops->dma_alloc(b->dev.bus, TVQ_BLK_BOUNCE_BYTES, &b->bounce_iova);
	if (!b->bounce)
		return -ENOMEM;
	for (i = 0; i < b->n_queues && !err; i++)
		err = make_queue(b, &b->queues[i], i, cfg->queue_size);
	return err ? err : tvq_vdev_driver_ok(&b->dev);
}

static unsigned int collect(struct tvq_vdev *d)
{
	return tvq_blk_collect(((struct tvq_blk *)d)->queues);
}

static void cancel(struct tvq_vdev *d, int err)
{
	tvq_blk_cancel(((struct tvq_blk *)d)->queues, err);
}

struct tvq_blk *tvq_blk_new(struct tvq_client *c, uint64_t device_id, const struct tvq_blk_cfg *cfg,
			    int *err)
{
	static const struct tvq_blk_cfg defaults;
	struct tvq_bus *bus = tvq_client_bus(c);
	struct tvq_blk *b = bus->os->alloc(sizeof(*b));

	if (!b) {
		*err = -ENOMEM;
		return NULL;
	}
	tvq_vdev_init(&b->dev, c, device_id);
	b->dev.collect = collect;
	b->dev.cancel = cancel;
	*err = bring_up(b, cfg ? cfg : &defaults);
	if (!*err)
		return b;
	tvq_log(bus->os, TVQ_LOG_ERR,
		"managed device %llu: the block driver cannot start: error %d (%s)",
		(unsigned long long)device_id, -*err, tvq_client_failed(c));
	tvq_blk_free(b);
	return NULL;
}

static void free_queue(struct tvq_blk *b, struct tvq_blk_queue *q, bool dma)
{
	uint16_t i;

	if (q->slots && q->ready) {
		tvq_blk_cancel(q, -ECANCELED);
		for (i = 0; i < q->vq.size && dma; i++)
			if (q->slots[i].orphan)
				b->dev.bus->ops->dma_free(b->dev.bus, q->slots[i].orphan,
							  TVQ_BLK_BOUNCE_BYTES);
	}
	os_of(b)->free(q->slots, q->vq.size * sizeof(*q->slots));
	os_of(b)->free(q->ready, q->vq.size * sizeof(struct tvq_blk_req *));
	tvq_vdev_queue_free(&b->dev, &q->vq, dma);
}

void tvq_blk_free(struct tvq_blk *b)
{
	bool dma;
	uint16_t i;

	if (!b)
		return;
	dma = tvq_vdev_reset(&b->dev);
	for (i = 0; b->queues && i < b->n_queues; i++)
		free_queue(b, &b->queues[i], dma);
	if (b->queues)
		os_of(b)->free(b->queues, b->n_queues * sizeof(*b->queues));
	if (b->sg)
		os_of(b)->free(b->sg, (b->max_seg + 2) * sizeof(*b->sg));
	if (b->bounce && dma)
		b->dev.bus->ops->dma_free(b->dev.bus, b->bounce, TVQ_BLK_BOUNCE_BYTES);
	os_of(b)->free(b, sizeof(*b));
}

uint64_t tvq_blk_capacity(const struct tvq_blk *b)
{
	return b->capacity;
}

uint32_t tvq_blk_block_size(const struct tvq_blk *b)
{
	return b->block_size;
}

uint64_t tvq_blk_features(const struct tvq_blk *b)
{
	return b->dev.features;
}

uint16_t tvq_blk_queues(const struct tvq_blk *b)
{
	return b->n_queues;
}

void *tvq_blk_dma_alloc(struct tvq_blk *b, size_t size, uint64_t *iova)
{
	return b->dev.bus->ops->dma_alloc(b->dev.bus, size, iova);
}

void tvq_blk_dma_free(struct tvq_blk *b, void *p, size_t size)
{
	b->dev.bus->ops->dma_free(b->dev.bus, p, size);
}
