// SPDX-License-Identifier: BSD-3-Clause
/* Network devices and frames, as the tests use them: rings of the suite's own, one buffer each. */
#include <string.h>

#include "conformance/ct.h"
#include "device/features.h"
#include "device/util.h"

#define RX_SIZE 16
#define ACCEPT                                                                                     \
	(CT_F(TVQ_F_VERSION_1) | CT_F(TVQ_F_ACCESS_PLATFORM) | CT_F(TVQ_F_EVENT_IDX) |             \
	 CT_F(TVQ_F_RING_PACKED) | CT_F(CT_NET_F_MAC) | CT_F(CT_NET_F_MTU) |                       \
	 CT_F(CT_NET_F_STATUS) | CT_F(CT_NET_F_CTRL_VQ) | CT_F(CT_NET_F_CTRL_MAC_ADDR) |           \
	 CT_F(TVQ_F_IN_ORDER))

bool ct_net_type(struct ct *t, uint64_t *features, uint64_t *defaults)
{
	struct virtio_transportq_ctrl_type ti;
	uint8_t type[4];

	tvq_put32(type, 1);
	if (ct_run(t, 0, AVAIL_RES, TYPE_GET, type, 4, &ti, sizeof(ti)) != CT_OK)
		return false;
	*features = tvq_get64(&ti.features);
	*defaults = tvq_get64(&ti.default_features);
	return true;
}

uint32_t ct_create_net(struct ct *t, uint64_t features,
		       const struct virtio_transportq_net_config *cfg, uint64_t *id)
{
	return ct_create(t, 1, 0, features, cfg, cfg ? sizeof(*cfg) : 0, id);
}

uint64_t ct_new_net(struct ct *t, const struct virtio_transportq_net_config *cfg)
{
	uint64_t id = 0;
	uint32_t ack = ct_create_net(t, 0, cfg, &id);

	ct_check(t, ack == CT_OK, "CREATE of a network device answers %s", ct_ack_name(ack));
	return id;
}

void ct_net_config(struct ct *t, uint64_t id, uint32_t offset, uint32_t size, void *buf)
{
	struct virtio_transportq_ctrl_vdev_config_get g;

	tvq_put32(&g.offset, offset);
	tvq_put32(&g.size, size);
	ct_ok(t, id, CONFIG, GET, &g, sizeof(g), buf, size);
}

/* ---- queues ---- */

struct buffer {
	uint8_t *data;
	uint64_t iova;
	uint32_t written;
	bool used;
};

static struct buffer *new_buffer(struct ct *t, uint32_t size)
{
	struct buffer *b = ct_own(t, sizeof(*b));

	b->data = ct_alloc(t, size, 8, &b->iova);
	return b;
}

static struct ct_vq *start_queue(struct ct *t, uint64_t id, uint16_t index, uint64_t features)
{
	struct ct_vq *q = ct_vq_new(t, id, index, RX_SIZE, features);
	uint32_t ack;

	ct_vq_program(q, false);
	ack = ct_vq_enable(q, 1);
	ct_check(t, ack == CT_OK, "VQ_ENABLE 1 of queue %u answers %s", index, ct_ack_name(ack));
	return q;
}

static void give_rx(struct ct_net *n)
{
	struct buffer *b = new_buffer(n->t, CT_NET_ROOM);
	struct tvq_sg sg = { b->iova, CT_NET_ROOM };

	ct_check(n->t, !tvq_drv_ring_add(n->rx->ring, &sg, 0, 1, b), "no room");
}

/* Used by the device; NULL: no more are. With IN_ORDER one that was used stands for all that were
 * there before, so that a device which does not keep the order names one that is back already. */
static struct buffer *take_back(struct ct_net *n, struct ct_vq *q)
{
	uint32_t written;
	struct buffer *b = tvq_drv_ring_get(q->ring, &written);

	ct_check(n->t, !tvq_drv_ring_broken(q->ring),
		 "queue %u uses a buffer that is not in flight, or not in order", q->index);
	if (!b)
		return NULL;
	b->used = true;
	b->written = written;
	return b;
}

struct ct_net *ct_net_up(struct ct *t, uint64_t id)
{
	uint64_t f = ct_offered(t, id) & ACCEPT;
	struct ct_net *n = ct_own(t, sizeof(*n));

	/* Packed where that is to be tested and there is one. */
	f = ct_negotiate(t, id, t->packed ? f : f & ~CT_F(TVQ_F_RING_PACKED));
	n->t = t;
	n->id = id;
	n->features = f;
	if (f & CT_F(CT_NET_F_MAC))
		ct_net_config(t, id, 0, 6, n->mac);
	n->rx = start_queue(t, id, 0, f);
	n->tx = start_queue(t, id, 1, f);
	if (f & CT_F(CT_NET_F_CTRL_VQ))
		n->ctrl = start_queue(t, id, 2, f);
	ct_check(t, ct_set_status(t, id, 15) == CT_OK, "STATUS SET DRIVER_OK fails");
	for (int i = 0; i < RX_SIZE; i++)
		give_rx(n);
	tvq_drv_ring_publish(n->rx->ring);
	ct_vq_notify(n->rx);
	return n;
}

/* ---- requests ---- */

struct use {
	struct ct_net *n;
	struct ct_vq *q;
	struct buffer *b;
};

static bool is_used(void *arg)
{
	struct use *u = arg;

	while (take_back(u->n, u->q))
		;
	return u->b->used;
}

/* Publishes, notifies, and waits until the device has used b. */
static bool finish(struct ct_net *n, struct ct_vq *q, struct buffer *b)
{
	struct use u = { n, q, b };

	tvq_drv_ring_publish(q->ring);
	ct_vq_notify(q);
	return ct_until(q->t, is_used, &u);
}

void ct_net_frame(uint8_t *f, const uint8_t *to, const uint8_t *from, uint32_t len, uint8_t seed)
{
	memcpy(f, to, 6);
	memcpy(f + 6, from, 6);
	f[12] = 0x88; /* local experiments */
	f[13] = 0xb5;
	for (uint32_t i = 14; i < len; i++)
		f[i] = (uint8_t)(seed + i * 7 + (i >> 8));
}

void ct_net_send_all(struct ct_net *n, const uint8_t *const *frames, const uint32_t *lens,
		     unsigned int count)
{
	size_t mark = n->t->dma_used;
	struct buffer *b = NULL;

	for (unsigned int i = 0; i < count; i++) {
		struct tvq_sg sg = { .len = CT_NET_HDR + lens[i] };

		b = new_buffer(n->t, sg.len);
		sg.addr = b->iova;
		memcpy(b->data + CT_NET_HDR, frames[i], lens[i]);
		ct_check(n->t, !tvq_drv_ring_add(n->tx->ring, &sg, 1, 0, b), "no room");
	}
	ct_check(n->t, finish(n, n->tx, b), "the last of %u frames is not used", count);
	n->t->dma_used = mark;
}

void ct_net_send(struct ct_net *n, const uint8_t *frame, uint32_t len)
{
	ct_net_send_all(n, &frame, &len, 1);
}

static bool came(void *arg)
{
	struct ct_net *n = arg;
	struct buffer *b = take_back(n, n->rx);

	if (!b)
		return false;
	n->got = b->data;
	n->got_len = b->written;
	/* What comes next goes into another one. */
	give_rx(n);
	tvq_drv_ring_publish(n->rx->ring);
	ct_vq_notify(n->rx);
	return true;
}

bool ct_net_receive(struct ct_net *n)
{
	return ct_until(n->t, came, n);
}

bool ct_net_silent(struct ct_net *n)
{
	ct_pause(n->t, CT_CHANCE_NS);
	return !came(n);
}

bool ct_net_got(const struct ct_net *n, const uint8_t *frame, uint32_t len)
{
	/* num_buffers is 1 where buffers are not merged (virtio 5.1.6.4.1). */
	return n->got_len == CT_NET_HDR + len && tvq_get16(n->got + 10) == 1 &&
	       !memcmp(n->got + CT_NET_HDR, frame, len);
}

int ct_net_ctrl(struct ct_net *n, uint8_t class, uint8_t cmd, const void *data, uint32_t len)
{
	size_t mark = n->t->dma_used;
	struct buffer *b = new_buffer(n->t, 2 + len + 1);
	struct tvq_sg sg[2] = { { b->iova, 2 + len }, { b->iova + 2 + len, 1 } };

	if (!n->ctrl)
		ct_skip(n->t, "network devices offer no control queue");
	b->data[0] = class;
	b->data[1] = cmd;
	memcpy(b->data + 2, data, len);
	b->data[2 + len] = 0xee;
	ct_check(n->t, !tvq_drv_ring_add(n->ctrl->ring, sg, 1, 1, b), "no room");
	if (!finish(n, n->ctrl, b) || b->written != 1)
		return -1;
	n->t->dma_used = mark;
	return b->data[2 + len];
}
