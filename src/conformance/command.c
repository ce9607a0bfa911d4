// SPDX-License-Identifier: BSD-3-Clause
/* Commands on the suite's own transportq. */
#include <stdio.h>
#include <string.h>

#include "conformance/ct.h"
#include "device/util.h"

#define MAX_PIECES 600

struct pieces {
	struct tvq_sg sg[MAX_PIECES];
	unsigned int n;
};

static void cut(struct ct *t, struct pieces *p, uint64_t iova, uint32_t len, const uint32_t *cuts)
{
	while (len) {
		uint32_t n = cuts && *cuts ? *cuts++ : len;

		if (n > len)
			n = len;
		if (p->n == MAX_PIECES)
			ct_fail(t, __FILE__, __LINE__,
				"the test cuts a command into too many pieces");
		p->sg[p->n++] = (struct tvq_sg){ .addr = iova, .len = n };
		iova += n;
		len -= n;
	}
}

static void collect(struct tvq_drv_ring *ring)
{
	struct ct_chain *c;
	uint32_t written;

	while ((c = tvq_drv_ring_get(ring, &written))) {
		c->used = true;
		c->used_len = written;
	}
}

void ct_send_chain(struct ct *t, struct ct_chain *c)
{
	struct pieces p = { .n = 0 };
	uint64_t out_iova = 0, in_iova = 0;
	uint8_t *out = c->out_len ? ct_alloc(t, c->out_len, 8, &out_iova) : NULL;
	unsigned int n_out;
	int err;

	if (out)
		memcpy(out, c->out, c->out_len);
	c->in = c->in_len ? ct_alloc(t, c->in_len, 8, &in_iova) : NULL;
	if (c->in)
		memset(c->in, 0xa5, c->in_len);
	c->used = false;
	if (t->via) {
		out_iova += t->via->shift;
		in_iova += t->via->shift;
	}
	cut(t, &p, out_iova, c->out_len, c->out_cuts);
	n_out = p.n;
	cut(t, &p, in_iova, c->in_len, c->in_cuts);
	c->ring = t->via ? t->via->ring : t->ring;
	err = tvq_drv_ring_add(c->ring, p.sg, n_out, p.n - n_out, c);
	ct_check(t, !err, "no room on the transportq (%d)", err);
	if (!tvq_drv_ring_publish(c->ring))
		return;
	if (t->via)
		ct_vq_notify(t->via);
	else
		t->bus->ops->queue_notify(t->bus, t->transportq);
}

struct waiting {
	struct ct *t;
	struct ct_chain *c;
};

static bool is_used(void *arg)
{
	struct waiting *w = arg;

	collect(w->c->ring);
	return w->c->used;
}

bool ct_wait_chain(struct ct *t, struct ct_chain *c)
{
	struct waiting w = { t, c };

	return ct_until(t, is_used, &w);
}

uint32_t ct_ack(const struct ct_chain *c)
{
	if (!c->used || c->used_len < 4)
		return CT_LOST;
	return tvq_get32(c->in);
}

struct ct_chain *ct_start(struct ct *t, uint64_t id, uint16_t class, uint16_t command,
			  const void *out, uint32_t out_len, uint32_t in_len)
{
	struct ct_chain *c = ct_own(t, sizeof(*c));
	uint8_t *buf = ct_own(t, sizeof(struct virtio_transportq_ctrl) + out_len);
	struct virtio_transportq_ctrl *h = (void *)buf;

	tvq_put64(&h->device_id, id);
	tvq_put16(&h->class, class);
	tvq_put16(&h->command, command);
	if (out_len)
		memcpy(h->command_out_data, out, out_len);
	c->out = buf;
	c->out_len = sizeof(*h) + out_len;
	c->in_len = 4 + in_len;
	ct_send_chain(t, c);
	return c;
}

uint32_t ct_command(struct ct *t, uint64_t id, uint16_t class, uint16_t command, const void *out,
		    uint32_t out_len, void *in, uint32_t in_len)
{
	size_t mark = t->dma_used, own_mark = t->own_used;
	struct ct_chain *c = ct_start(t, id, class, command, out, out_len, in_len);
	uint32_t ack;

	ct_wait_chain(t, c);
	ack = ct_ack(c);
	t->used_len = c->used_len;
	if (ack == CT_OK && in_len) {
		if (c->used_len != 4 + in_len)
			ct_fail(t, __FILE__, __LINE__,
				"class %u command %u: used length %u where 4 + %u is right "
				"(TQ-022)",
				class, command, c->used_len, in_len);
		memcpy(in, c->in + 4, in_len);
	}
	/* A chain that never came back keeps its memory. */
	if (c->used) {
		t->dma_used = mark;
		t->own_used = own_mark;
	}
	return ack;
}

const char *ct_ack_name(uint32_t ack)
{
	static char other[32];

	switch (ack) {
	case CT_OK:
		return "OK";
	case CT_ERR:
		return "ERR";
	case CT_LOST:
		return "nothing";
	default:
		snprintf(other, sizeof(other), "%u", ack);
		return other;
	}
}
