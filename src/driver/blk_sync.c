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

#define STATUS_SLICE_NS 200000000ull /* how long a wait is silent before the status is asked for */

static int get_bounce(struct tvq_blk *b)
{
	if (!b->bounce)
		b->bounce = b->bus->ops->dma_alloc(b->bus, TVQ_BLK_BOUNCE_BYTES, &b->bounce_iova);
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
	uint64_t deadline = b->bus->os->now() + TVQ_BUS_TIMEOUT_NS;
	bool never = false;
	int err;

	while ((err = tvq_blk_start(q, r, true)) == -ENOSPC) {
		if (b->bus->os->now() >= deadline)
			return -ETIMEDOUT;
		/* Finished ones that nobody polls for fill the queue. */
		if (!q->in_flight)
			return -EBUSY;
		tvq_bus_wait(b->bus, &never, 0);
		tvq_blk_collect(q);
	}
	return err;
}

/* A device that is broken or gone answers nothing: what it has ends here. */
static void ask_status(struct tvq_blk *b, struct tvq_blk_queue *q)
{
	struct tvq_seq *s = tvq_seq_new(b->client, b->device_id);
	uint8_t status = 0;

	if (!s)
		return;
	tvq_seq_status_get(s, &status);
	if (tvq_seq_call(s) || status & VIRTIO_CONFIG_S_NEEDS_RESET)
		tvq_blk_cancel(q, -ENODEV);
}

static int wait_done(struct tvq_blk *b, struct tvq_blk_queue *q, const bool *done)
{
	uint64_t deadline = b->bus->os->now() + TVQ_BUS_TIMEOUT_NS;
	int err;

	do {
		/* Every time: waiting for an answer to ask_status() may have ended its turn on
		 * the list. */
		tvq_poller_activate(b->bus->exec, &b->poller);
		err = tvq_bus_wait(b->bus, done, STATUS_SLICE_NS);
		if (err)
			ask_status(b, q);
	} while (err && !*done && b->bus->os->now() < deadline);
	tvq_poller_remove(&b->poller);
	return *done ? 0 : -ETIMEDOUT;
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
	tvq_blk_publish(q);
	err = wait_done(b, q, &done);
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
	if (b->features & TVQ_BLK_BIT(VIRTIO_BLK_F_RO))
		return -EROFS;
	return transfer(b, offset, NULL, buf, len);
}

int tvq_blk_flush(struct tvq_blk *b)
{
	struct tvq_blk_req r = { .type = VIRTIO_BLK_T_FLUSH };

	/* Without the feature each write is stable when it is done. */
	if (!(b->features & TVQ_BLK_BIT(VIRTIO_BLK_F_FLUSH)))
		return 0;
	return do_sync(b, &r);
}

static int ranges(struct tvq_blk *b, uint32_t type, uint32_t flags, uint64_t offset, uint64_t len,
		  uint32_t most)
{
	int err = check_range(b, offset, len);

	if (!err && b->features & TVQ_BLK_BIT(VIRTIO_BLK_F_RO))
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
	if (!(b->features & TVQ_BLK_BIT(VIRTIO_BLK_F_DISCARD)))
		return -EOPNOTSUPP;
	return ranges(b, VIRTIO_BLK_T_DISCARD, 0, offset, len, b->max_discard);
}

int tvq_blk_write_zeroes(struct tvq_blk *b, uint64_t offset, uint64_t len, bool unmap)
{
	if (!(b->features & TVQ_BLK_BIT(VIRTIO_BLK_F_WRITE_ZEROES)))
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
