/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The polling block driver: synchronous calls, on queue 0, one request at a time. Data is bounced
 * through DMA memory.
 *
 * A request that gets no answer in time stays with the device: its slot keeps the bounce memory,
 * and the next call makes itself another.
 */
#include <errno.h>
#include <linux/virtio_config.h>
#include <string.h>

#include "blk_priv.h"

static bool has(const struct tvq_blk *b, unsigned int bit)
{
	return tvq_vdev_has(&b->dev, bit);
}

static int get_bounce(struct tvq_blk *b)
{
	if (!b->bounce)
		b->bounce = b->dev.bus->ops->dma_alloc(b->dev.bus, TVQ_BLK_BOUNCE_BYTES,
						       &b->bounce_iova);
	return b->bounce ? 0 : -ENOMEM;
}

static void give_up(struct tvq_blk *b, struct tvq_blk_queue *q, const struct tvq_blk_req *r)
{
	struct tvq_blk_slot *slot = &q->slots[r->slot];

	slot->req = NULL;
	slot->orphan = b->bounce;
	b->bounce = NULL;
}

/* Room comes from what is in flight. */
static int start_sync(struct tvq_blk *b, struct tvq_blk_queue *q, struct tvq_blk_req *r)
{
	uint64_t deadline = b->dev.bus->os->now() + TVQ_BUS_TIMEOUT_NS;
	bool never = false;
	int err;

	while ((err = tvq_blk_start(q, r, true)) == -ENOSPC) {
		if (b->dev.bus->os->now() >= deadline)
			return -ETIMEDOUT;
		/* Finished ones that nobody polls for fill the queue. */
		if (!q->in_flight)
			return -EBUSY;
		tvq_bus_wait(b->dev.bus, &never, 0);
		tvq_blk_collect(q);
	}
	return err;
}

static int do_sync(struct tvq_blk *b, struct tvq_blk_req *r)
{
	struct tvq_blk_queue *q = &b->queues[0];
	bool done = false;
	int err;

	r->user = &done;
	err = start_sync(b, q, r);
	if (err)
		return err;
	tvq_vdev_publish(&b->dev, &q->vq);
	err = tvq_vdev_wait(&b->dev, &done);
	if (err) {
		give_up(b, q, r);
		return err;
	}
	return r->err;
}

static int check_range(const struct tvq_blk *b, uint64_t offset, uint64_t len)
{
	if ((offset | len) % b->block_size || offset > b->capacity || len > b->capacity - offset)
		return -EINVAL;
	return 0;
}

/* Bytes that one request moves: a multiple of the block size. */
static uint32_t most_data(const struct tvq_blk *b)
{
	uint64_t most = (uint64_t)b->size_max * b->max_seg;

	if (most > TVQ_BLK_BOUNCE_BYTES)
		most = TVQ_BLK_BOUNCE_BYTES;
	return (uint32_t)most & ~(b->block_size - 1);
}

/* in or out is given. */
static int transfer(struct tvq_blk *b, uint64_t offset, void *in, const void *out, uint32_t len)
{
	int err = check_range(b, offset, len);
	uint32_t at = 0;

	while (!err && at < len) {
		struct tvq_blk_req r = {
			.type = out ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN,
			.len = len - at < most_data(b) ? len - at : most_data(b),
			.offset = offset + at,
		};

		err = get_bounce(b);
		if (err)
			return err;
		if (out)
			memcpy(b->bounce, (const uint8_t *)out + at, r.len);
		r.iova = b->bounce_iova;
		err = do_sync(b, &r);
		if (!err && in)
			memcpy((uint8_t *)in + at, b->bounce, r.len);
		at += r.len;
	}
	return err;
}

int tvq_blk_read(struct tvq_blk *b, uint64_t offset, void *buf, uint32_t len)
{
	return transfer(b, offset, buf, NULL, len);
}

int tvq_blk_write(struct tvq_blk *b, uint64_t offset, const void *buf, uint32_t len)
{
	if (has(b, VIRTIO_BLK_F_RO))
		return -EROFS;
	return transfer(b, offset, NULL, buf, len);
}

int tvq_blk_flush(struct tvq_blk *b)
{
	struct tvq_blk_req r = { .type = VIRTIO_BLK_T_FLUSH };

	/* Without the feature each write is stable when it is done. */
	if (!has(b, VIRTIO_BLK_F_FLUSH))
		return 0;
	return do_sync(b, &r);
}

static int ranges(struct tvq_blk *b, uint32_t type, uint32_t flags, uint64_t offset, uint64_t len,
		  uint32_t most)
{
	int err = check_range(b, offset, len);

	if (!err && has(b, VIRTIO_BLK_F_RO))
		err = -EROFS;
	if (!err && !most)
		err = -EPROTO;
	while (!err && len) {
		struct tvq_blk_req r = {
			.type = type,
			.flags = flags,
			.len = len < most ? (uint32_t)len : most,
			.offset = offset,
		};

		err = do_sync(b, &r);
		offset += r.len;
		len -= r.len;
	}
	return err;
}

int tvq_blk_discard(struct tvq_blk *b, uint64_t offset, uint64_t len)
{
	if (!has(b, VIRTIO_BLK_F_DISCARD))
		return -EOPNOTSUPP;
	return ranges(b, VIRTIO_BLK_T_DISCARD, 0, offset, len, b->max_discard);
}

int tvq_blk_write_zeroes(struct tvq_blk *b, uint64_t offset, uint64_t len, bool unmap)
{
	if (!has(b, VIRTIO_BLK_F_WRITE_ZEROES))
		return -EOPNOTSUPP;
	return ranges(b, VIRTIO_BLK_T_WRITE_ZEROES, unmap ? VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP : 0,
		      offset, len, b->max_zeroes);
}

int tvq_blk_id(struct tvq_blk *b, char id[21])
{
	struct tvq_blk_req r = { .type = VIRTIO_BLK_T_GET_ID, .len = VIRTIO_BLK_ID_BYTES };
	int err = get_bounce(b);

	if (err)
		return err;
	memset(b->bounce, 0, VIRTIO_BLK_ID_BYTES);
	r.iova = b->bounce_iova;
	err = do_sync(b, &r);
	if (err)
		return err;
	memcpy(id, b->bounce, VIRTIO_BLK_ID_BYTES);
	id[VIRTIO_BLK_ID_BYTES] = 0;
	return 0;
}
