// SPDX-License-Identifier: BSD-3-Clause
/*
 * The polling network driver: the data path. A frame to send is one piece of the caller's memory,
 * with its virtio header; the caller's struct is the ring's token. Receive buffers are the driver's
 * and all of one size; a received frame is a list of them until its user gives it back. Nothing is
 * allocated and no interrupt is asked for.
 *
 * What the device says is not trusted: lengths and num_buffers are judged before use, and num_buffers
 * is read once. One that lies breaks the driver's queue, which then gives nothing any more.
 */
#include <endian.h>
#include <string.h>

#include "net_priv.h"

/* ---- sending ---- */

unsigned int tvq_net_send(struct tvq_net *n, uint16_t pair, struct tvq_net_frame *const *f,
			  unsigned int count)
{
	struct tvq_vdev_queue *q = &n->pairs[pair].tx;
	unsigned int i;

	for (i = 0; i < count; i++) {
		struct tvq_sg sg = { .addr = f[i]->iova, .len = f[i]->len };

		if (tvq_drv_ring_add(q->ring, &sg, 1, 0, f[i]))
			break;
	}
	if (i)
		tvq_vdev_publish(&n->dev, q);
	return i;
}

unsigned int tvq_net_sent(struct tvq_net *n, uint16_t pair, struct tvq_net_frame **f,
			  unsigned int count)
{
	struct tvq_vdev_queue *q = &n->pairs[pair].tx;
	unsigned int i = 0;
	uint32_t written;

	while (i < count && (f[i] = tvq_drv_ring_get(q->ring, &written)) != NULL)
		i++;
	return i;
}

unsigned int tvq_net_sending(const struct tvq_net *n, uint16_t pair)
{
	return tvq_drv_ring_in_flight(n->pairs[pair].tx.ring);
}

/* ---- receiving ---- */

void tvq_net_add_buffer(struct tvq_net *n, struct tvq_net_rxq *q, struct tvq_net_buf *b)
{
	struct tvq_sg sg = { .addr = b->iova, .len = n->buffer_size };

	/* There are not more of them than the ring has places. */
	if (tvq_drv_ring_add(q->vq.ring, &sg, 0, 1, b))
		n->broken = true;
}

/* The next buffer that the device used; NULL: none, or one that cannot be. */
static struct tvq_net_buf *next_buffer(struct tvq_net *n, struct tvq_net_rxq *q)
{
	uint32_t written;
	struct tvq_net_buf *b = tvq_drv_ring_get(q->vq.ring, &written);

	if (!b)
		return NULL;
	b->next = NULL;
	b->data = q->vq.more + (b->iova - q->vq.more_iova);
	b->len = written;
	if (__builtin_expect(written > n->buffer_size, 0)) {
		n->broken = true;
		return NULL;
	}
	return b;
}

static uint16_t num_buffers(const struct tvq_net *n, const struct tvq_net_buf *b)
{
	const struct virtio_net_hdr_v1 *h = (const void *)b->data;

	/* Without the feature it is not the driver's to read. */
	return n->mergeable ? le16toh((__le16) * (volatile const __virtio16 *)&h->num_buffers) : 1;
}

/* The device has to have used all of a frame's buffers (virtio 5.1.6.4.2). */
static bool add_rest(struct tvq_net *n, struct tvq_net_rxq *q, struct tvq_net_rx *rx, uint16_t more)
{
	struct tvq_net_buf *last = rx->buf;

	for (; more; more--) {
		last->next = next_buffer(n, q);
		last = last->next;
		if (!last)
			return false;
		rx->len += last->len;
	}
	return true;
}

static bool receive(struct tvq_net *n, struct tvq_net_rxq *q, struct tvq_net_rx *rx)
{
	struct tvq_net_buf *b = next_buffer(n, q);
	uint16_t buffers;

	if (!b)
		return false;
	if (__builtin_expect(b->len < n->hdr_len, 0))
		goto broken;
	buffers = num_buffers(n, b);
	rx->hdr = b->data;
	rx->buf = b;
	b->data += n->hdr_len;
	b->len -= n->hdr_len;
	rx->len = b->len;
	if (__builtin_expect(buffers == 1, 1) ||
	    (buffers && add_rest(n, q, rx, (uint16_t)(buffers - 1))))
		return true;
broken:
	n->broken = true;
	return false;
}

unsigned int tvq_net_poll(struct tvq_net *n, uint16_t pair, struct tvq_net_rx *rx,
			  unsigned int count)
{
	unsigned int i = 0;

	while (i < count && !n->broken && receive(n, &n->pairs[pair].rx, &rx[i]))
		i++;
	return i;
}

void tvq_net_refill(struct tvq_net *n, uint16_t pair, const struct tvq_net_rx *rx,
		    unsigned int count)
{
	struct tvq_net_rxq *q = &n->pairs[pair].rx;
	struct tvq_net_buf *b, *next;

	for (unsigned int i = 0; i < count; i++)
		for (b = rx[i].buf; b; b = next) {
			next = b->next;
			tvq_net_add_buffer(n, q, b);
		}
	if (count)
		tvq_vdev_publish(&n->dev, &q->vq);
}

uint32_t tvq_net_copy(const struct tvq_net_rx *rx, void *to, uint32_t size)
{
	const struct tvq_net_buf *b;
	uint32_t at = 0, len;

	for (b = rx->buf; b && at < size; b = b->next) {
		len = b->len < size - at ? b->len : size - at;
		memcpy((uint8_t *)to + at, b->data, len);
		at += len;
	}
	return at;
}

bool tvq_net_broken(const struct tvq_net *n)
{
	if (n->broken || (n->ctrl.ring && tvq_drv_ring_broken(n->ctrl.ring)))
		return true;
	for (uint16_t i = 0; i < n->n_pairs; i++)
		if (tvq_drv_ring_broken(n->pairs[i].rx.vq.ring) ||
		    tvq_drv_ring_broken(n->pairs[i].tx.ring))
			return true;
	return false;
}
