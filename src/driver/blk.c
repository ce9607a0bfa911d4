/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The polling block driver: the data path. Each request has a slot with 64 bytes of DMA memory
 * for its header, the range of a discard and the status byte; its data is the caller's. Nothing
 * is allocated and no interrupt is asked for; submit notifies once for all, if the device wants
 * to be notified at all.
 *
 * Requests that cannot be put into the ring whatever its state (too many pieces) take a slot too
 * and are ready at once with their error, so that submit has one meaning: what it counts will
 * come out of poll.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "blk_priv.h"

static struct tvq_blk_frame *frame_of(const struct tvq_blk_queue *q,
				      const struct tvq_blk_slot *slot)
{
	return &((struct tvq_blk_frame *)q->vq.more)[slot - q->slots];
}

static void put_slot(struct tvq_blk_queue *q, struct tvq_blk_slot *slot)
{
	if (__builtin_expect(slot->orphan != NULL, 0)) {
		q->blk->dev.bus->ops->dma_free(q->blk->dev.bus, slot->orphan, TVQ_BLK_BOUNCE_BYTES);
		slot->orphan = NULL;
	}
	slot->req = NULL;
	slot->next = q->free_slots;
	q->free_slots = slot;
}

static void make_ready(struct tvq_blk_queue *q, struct tvq_blk_req *r)
{
	uint32_t at = q->ready_head + (uint32_t)q->n_ready++;

	q->ready[at < q->vq.size ? at : at - q->vq.size] = r;
}

/* The pieces of the data; -EINVAL: too many. */
static int data_pieces(const struct tvq_blk *b, const struct tvq_blk_req *r, struct tvq_sg *sg)
{
	uint64_t iova = r->iova;
	uint32_t left = r->len;
	int n = 0;

	while (left) {
		uint32_t len = left < b->size_max ? left : b->size_max;

		if (n == b->max_seg)
			return -EINVAL;
		sg[n++] = (struct tvq_sg){ .addr = iova, .len = len };
		iova += len;
		left -= len;
	}
	return n;
}

/* Fills the slot's frame and b->sg. Returns the pieces of data; readable ones before writable
 * ones. */
static int describe(struct tvq_blk_queue *q, struct tvq_blk_slot *slot, struct tvq_blk_req *r,
		    unsigned int *n_out, unsigned int *n_in)
{
	struct tvq_blk_frame *f = frame_of(q, slot);
	uint64_t iova = q->vq.more_iova + (uint64_t)(slot - q->slots) * sizeof(*f);
	struct tvq_sg *sg = q->blk->sg;
	uint64_t sector = 0;
	int n = 0;

	sg[0] = (struct tvq_sg){ .addr = iova, .len = sizeof(f->header) };
	*n_in = 1;
	switch (r->type) {
	case VIRTIO_BLK_T_IN:
	case VIRTIO_BLK_T_OUT:
		sector = r->offset / 512;
		/* fall through */
	case VIRTIO_BLK_T_GET_ID:
		n = data_pieces(q->blk, r, sg + 1);
		if (n < 0)
			return n;
		if (r->type != VIRTIO_BLK_T_OUT)
			*n_in += (unsigned int)n;
		break;
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
		f->range.sector = htole64(r->offset / 512);
		f->range.num_sectors = htole32(r->len / 512);
		f->range.flags = htole32(r->flags);
		sg[1] = (struct tvq_sg){
			.addr = iova + offsetof(struct tvq_blk_frame, range),
			.len = sizeof(f->range),
		};
		n = 1;
		break;
	default:
		break;
	}
	f->header.type = htole32(r->type);
	f->header.ioprio = 0;
	f->header.sector = htole64(sector);
	f->status = 0xff;
	sg[1 + n] = (struct tvq_sg){
		.addr = iova + offsetof(struct tvq_blk_frame, status),
		.len = sizeof(f->status),
	};
	*n_out = (unsigned int)n + 2 - *n_in;
	return 0;
}

int tvq_blk_start(struct tvq_blk_queue *q, struct tvq_blk_req *r, bool sync)
{
	struct tvq_blk_slot *slot = q->free_slots;
	unsigned int n_out = 0, n_in = 0;
	int err;

	/* Whatever is in flight has to find a place among the ready ones. */
	if (!slot || q->in_flight + q->n_ready >= q->vq.size)
		return -ENOSPC;
	err = describe(q, slot, r, &n_out, &n_in);
	if (!err)
		err = tvq_drv_ring_add(q->vq.ring, q->blk->sg, n_out, n_in, slot);
	if (err)
		return err;
	q->free_slots = slot->next;
	q->in_flight++;
	slot->req = r;
	slot->sync = sync;
	r->slot = (uint16_t)(slot - q->slots);
	return 0;
}

unsigned int tvq_blk_submit(struct tvq_blk *b, uint16_t queue, struct tvq_blk_req *const *r,
			    unsigned int n)
{
	struct tvq_blk_queue *q = &b->queues[queue];
	unsigned int i;
	int err;

	for (i = 0; i < n; i++) {
		err = tvq_blk_start(q, r[i], false);
		if (err == -ENOSPC)
			break;
		if (err) {
			r[i]->err = err;
			make_ready(q, r[i]);
		}
	}
	if (i)
		tvq_vdev_publish(&b->dev, &q->vq);
	return i;
}

static int status_error(uint8_t status)
{
	switch (status) {
	case VIRTIO_BLK_S_OK:
		return 0;
	case VIRTIO_BLK_S_IOERR:
		return -EIO;
	case VIRTIO_BLK_S_UNSUPP:
		return -EOPNOTSUPP;
	default:
		return -EPROTO;
	}
}

/* The next one that the device has finished; NULL: none. *sync where a synchronous call waits for
 * it. */
static struct tvq_blk_req *next_done(struct tvq_blk_queue *q, bool *sync)
{
	struct tvq_blk_slot *slot;
	struct tvq_blk_req *r;
	uint32_t written;

	while ((slot = tvq_drv_ring_get(q->vq.ring, &written)) != NULL) {
		r = slot->req;
		*sync = slot->sync;
		if (r)
			r->err = written ? status_error(
						   *(volatile uint8_t *)&frame_of(q, slot)->status)
					 : -EPROTO;
		q->in_flight--;
		put_slot(q, slot);
		if (r)
			return r;
	}
	return NULL;
}

unsigned int tvq_blk_collect(struct tvq_blk_queue *q)
{
	struct tvq_blk_req *r;
	unsigned int n = 0;
	bool sync;

	for (; (r = next_done(q, &sync)) != NULL; n++) {
		if (sync)
			*(bool *)r->user = true;
		else
			make_ready(q, r);
	}
	if (tvq_drv_ring_broken(q->vq.ring))
		tvq_blk_cancel(q, -EPROTO);
	return n;
}

unsigned int tvq_blk_poll(struct tvq_blk *b, uint16_t queue, struct tvq_blk_req **r, unsigned int n)
{
	struct tvq_blk_queue *q = &b->queues[queue];
	unsigned int i = 0;
	bool sync;

	if (__builtin_expect(tvq_drv_ring_broken(q->vq.ring), 0))
		tvq_blk_cancel(q, -EPROTO);
	for (; i < n && q->n_ready; i++) {
		r[i] = q->ready[q->ready_head];
		q->ready_head = q->ready_head + 1 == q->vq.size ? 0 : q->ready_head + 1;
		q->n_ready--;
	}
	/* No synchronous call waits while this is called. */
	while (i < n && (r[i] = next_done(q, &sync)) != NULL)
		i++;
	return i;
}

void tvq_blk_cancel(struct tvq_blk_queue *q, int err)
{
	uint16_t i;

	for (i = 0; i < q->vq.size; i++) {
		struct tvq_blk_req *r = q->slots[i].req;

		q->slots[i].req = NULL;
		if (!r)
			continue;
		r->err = err;
		q->in_flight--;
		if (q->slots[i].sync)
			*(bool *)r->user = true;
		else
			make_ready(q, r);
	}
}
