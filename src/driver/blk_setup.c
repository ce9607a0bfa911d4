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
#define CONFIG_TRIES 8

static const struct tvq_os *os_of(const struct tvq_blk *b)
{
	return b->bus->os;
}

static bool has(const struct tvq_blk *b, unsigned int bit)
{
	return b->features & TVQ_BLK_BIT(bit);
}

static uint64_t wanted(const struct tvq_blk_cfg *cfg)
{
	uint64_t f = TVQ_BLK_BIT(VIRTIO_F_VERSION_1) | TVQ_BLK_BIT(VIRTIO_F_ACCESS_PLATFORM) |
		     TVQ_BLK_BIT(VIRTIO_BLK_F_SIZE_MAX) | TVQ_BLK_BIT(VIRTIO_BLK_F_SEG_MAX) |
		     TVQ_BLK_BIT(VIRTIO_BLK_F_RO) | TVQ_BLK_BIT(VIRTIO_BLK_F_BLK_SIZE) |
		     TVQ_BLK_BIT(VIRTIO_BLK_F_MQ) | TVQ_BLK_BIT(VIRTIO_BLK_F_DISCARD) |
		     TVQ_BLK_BIT(VIRTIO_BLK_F_WRITE_ZEROES);

	if (cfg->packed)
		f |= TVQ_BLK_BIT(VIRTIO_F_RING_PACKED);
	if (!cfg->no_event_idx)
		f |= TVQ_BLK_BIT(VIRTIO_RING_F_EVENT_IDX);
	if (!cfg->no_indirect)
		f |= TVQ_BLK_BIT(VIRTIO_RING_F_INDIRECT_DESC);
	if (!cfg->no_flush)
		f |= TVQ_BLK_BIT(VIRTIO_BLK_F_FLUSH);
	return f;
}

static int negotiate(struct tvq_blk *b, const struct tvq_blk_cfg *cfg)
{
	uint8_t status = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;
	uint64_t offered = 0;
	struct tvq_seq *s = tvq_seq_new(b->client, b->device_id);
	int err;

	if (!s)
		return -ENOMEM;
	tvq_seq_status_set(s, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	tvq_seq_status_set(s, status);
	tvq_seq_features_get(s, &offered);
	err = tvq_seq_call(s);
	if (err)
		return err;
	b->features = offered & wanted(cfg);
	s = tvq_seq_new(b->client, b->device_id);
	if (!s)
		return -ENOMEM;
	tvq_seq_features_set(s, b->features);
	tvq_seq_status_set(s, status | VIRTIO_CONFIG_S_FEATURES_OK);
	tvq_seq_status_get(s, &status);
	err = tvq_seq_call(s);
	if (!err && !(status & VIRTIO_CONFIG_S_FEATURES_OK))
		err = -EPROTO;
	return err;
}

/* One consistent configuration (TQ-075). */
static int read_config(struct tvq_blk *b)
{
	uint32_t before, after;
	int tries, err;

	for (tries = 0; tries < CONFIG_TRIES; tries++) {
		struct tvq_seq *s = tvq_seq_new(b->client, b->device_id);

		if (!s)
			return -ENOMEM;
		tvq_seq_generation_get(s, &before);
		tvq_seq_config_get(s, 0, CONFIG_BYTES, &b->config);
		tvq_seq_generation_get(s, &after);
		err = tvq_seq_call(s);
		if (err || before == after)
			return err;
	}
	return -EAGAIN;
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

static uint16_t pick_size(const struct tvq_blk *b, uint16_t want, uint16_t max)
{
	uint16_t size = want ? want : DEFAULT_SIZE;

	if (size > max)
		size = max;
	if (!has(b, VIRTIO_F_RING_PACKED))
		while (size & (size - 1))
			size &= size - 1;
	return size;
}

/* Ring and frames in one piece of DMA memory; slots and the ready ones in one of the process'. */
static int make_queue(struct tvq_blk *b, struct tvq_blk_queue *q)
{
	struct tvq_drv_ring_cfg cfg = {
		.packed = has(b, VIRTIO_F_RING_PACKED),
		.event_idx = has(b, VIRTIO_RING_F_EVENT_IDX),
		.indirect = has(b, VIRTIO_RING_F_INDIRECT_DESC),
		.size = q->size,
	};
	uint16_t indirect = cfg.indirect ? b->max_seg + 2 : 0;
	size_t ring = (tvq_drv_ring_bytes(cfg.packed, q->size, indirect) + 63) & ~(size_t)63;
	uint16_t i;

	q->mem_bytes = ring + q->size * sizeof(struct tvq_blk_frame);
	q->mem = b->bus->ops->dma_alloc(b->bus, q->mem_bytes, &cfg.iova);
	q->slots = os_of(b)->alloc(q->size * sizeof(*q->slots));
	q->ready = os_of(b)->alloc(q->size * sizeof(struct tvq_blk_req *));
	if (!q->mem || !q->slots || !q->ready)
		return -ENOMEM;
	cfg.mem = q->mem;
	q->frames = (struct tvq_blk_frame *)((uint8_t *)q->mem + ring);
	q->frames_iova = cfg.iova + ring;
	q->ring = tvq_drv_ring_new(os_of(b), &cfg, indirect);
	if (!q->ring)
		return -ENOMEM;
	for (i = q->size; i-- > 0;) {
		q->slots[i].next = q->free_slots;
		q->free_slots = &q->slots[i];
	}
	tvq_drv_ring_interrupts_off(q->ring);
	return 0;
}

static int setup_queue(struct tvq_blk *b, struct tvq_blk_queue *q, uint16_t want)
{
	uint64_t desc, driver, device, area_size;
	uint16_t max = 0;
	struct tvq_seq *s = tvq_seq_new(b->client, b->device_id);
	int err;

	if (!s)
		return -ENOMEM;
	tvq_seq_vq_size_get(s, q->index, &max);
	err = tvq_seq_call(s);
	if (err)
		return err;
	q->size = pick_size(b, want, max);
	if (!q->size)
		return -EPROTO;
	err = make_queue(b, q);
	if (err)
		return err;
	tvq_drv_ring_areas(q->ring, &desc, &driver, &device);
	s = tvq_seq_new(b->client, b->device_id);
	if (!s)
		return -ENOMEM;
	tvq_seq_vq_size_set(s, q->index, q->size);
	/* Our memory is in the space of the manager's own queues, whatever the device's default
	 * is. */
	tvq_seq_vq_asid_set(s, q->index, 0);
	tvq_seq_vq_addr(s, q->index, desc, driver, device);
	tvq_seq_vq_notify_get(s, q->index, &q->area, &area_size);
	tvq_seq_vq_enable(s, q->index, 1);
	return tvq_seq_call(s);
}

static int driver_ok(struct tvq_blk *b)
{
	struct tvq_seq *s = tvq_seq_new(b->client, b->device_id);

	if (!s)
		return -ENOMEM;
	tvq_seq_status_set(s, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
				      VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK);
	return tvq_seq_call(s);
}

static int bring_up(struct tvq_blk *b, const struct tvq_blk_cfg *cfg)
{
	int err = tvq_client_reset_call(b->client, b->device_id);
	uint16_t i;

	if (!err)
		err = negotiate(b, cfg);
	if (!err)
		err = read_config(b);
	if (!err)
		err = use_config(b, cfg);
	if (err)
		return err;
	b->sg = os_of(b)->alloc((b->max_seg + 2) * sizeof(*b->sg));
	b->queues = os_of(b)->alloc(b->n_queues * sizeof(*b->queues));
	if (!b->sg || !b->queues)
		return -ENOMEM;
	b->up = true;
	/* Before a queue runs: memory that is mapped later need not be seen by a running queue at
	 * once. */
	b->bounce = b->bus->ops->dma_alloc(b->bus, TVQ_BLK_BOUNCE_BYTES, &b->bounce_iova);
	if (!b->bounce)
		return -ENOMEM;
	for (i = 0; i < b->n_queues && !err; i++) {
		b->queues[i].blk = b;
		b->queues[i].index = i;
		err = setup_queue(b, &b->queues[i], cfg->queue_size);
	}
	return err ? err : driver_ok(b);
}

static unsigned int poll_all(struct tvq_poller *p)
{
	struct tvq_blk *b = (struct tvq_blk *)((char *)p - offsetof(struct tvq_blk, poller));

	return tvq_blk_collect(&b->queues[0]);
}

/* It is on the list only while a call waits, and no interrupt would come. */
static bool never_sleep(struct tvq_poller *p)
{
	(void)p;
	return true;
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
	b->client = c;
	b->bus = bus;
	b->device_id = device_id;
	b->poller.poll = poll_all;
	b->poller.arm = never_sleep;
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

	if (q->slots) {
		tvq_blk_cancel(q, -ECANCELED);
		for (i = 0; i < q->size && dma; i++)
			if (q->slots[i].orphan)
				b->bus->ops->dma_free(b->bus, q->slots[i].orphan,
						      TVQ_BLK_BOUNCE_BYTES);
		os_of(b)->free(q->slots, q->size * sizeof(*q->slots));
	}
	if (q->ready)
		os_of(b)->free(q->ready, q->size * sizeof(struct tvq_blk_req *));
	tvq_drv_ring_free(q->ring);
	if (q->mem && dma)
		b->bus->ops->dma_free(b->bus, q->mem, q->mem_bytes);
}

void tvq_blk_free(struct tvq_blk *b)
{
	bool dma = true;
	uint16_t i;
	int err;

	if (!b)
		return;
	if (b->up) {
		err = tvq_client_reset_call(b->client, b->device_id);
		/* -EIO: there is no such device any more. */
		dma = !err || err == -EIO || err == -ECANCELED;
		if (!dma)
			tvq_log(os_of(b), TVQ_LOG_ERR,
				"managed device %llu did not reset (error %d); its memory is left "
				"to it",
				(unsigned long long)b->device_id, -err);
	}
	for (i = 0; b->queues && i < b->n_queues; i++)
		free_queue(b, &b->queues[i], dma);
	if (b->queues)
		os_of(b)->free(b->queues, b->n_queues * sizeof(*b->queues));
	if (b->sg)
		os_of(b)->free(b->sg, (b->max_seg + 2) * sizeof(*b->sg));
	if (b->bounce && dma)
		b->bus->ops->dma_free(b->bus, b->bounce, TVQ_BLK_BOUNCE_BYTES);
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
	return b->features;
}

uint16_t tvq_blk_queues(const struct tvq_blk *b)
{
	return b->n_queues;
}

void *tvq_blk_dma_alloc(struct tvq_blk *b, size_t size, uint64_t *iova)
{
	return b->bus->ops->dma_alloc(b->bus, size, iova);
}

void tvq_blk_dma_free(struct tvq_blk *b, void *p, size_t size)
{
	b->bus->ops->dma_free(b->bus, p, size);
}
