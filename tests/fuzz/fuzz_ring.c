/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A ring's memory, both formats: the input is the queue's settings, what the device half is made to
 * do, and the memory. Buffers may overlap the ring, so serving them alters it meanwhile.
 *
 * Input: u8 flags (1 packed, 2 event index, 4 indirect, 8 in order), u8 segments a chain, u16 size,
 * u16 available and u16 used position, u8 operations, so many bytes of these, the image.
 */
#include "ring_space.h"

#define HEADER 9

struct held {
	unsigned int at[SPACE_BATCH], n; /* chains taken, in order */
};

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static void take(struct space *s, struct held *h, unsigned int want, uint16_t max_seg)
{
	struct tvq_chain *c[SPACE_BATCH];
	unsigned int slot[SPACE_BATCH], n = 0, i, k;
	int got;

	for (i = 0; i < SPACE_BATCH && n < want; i++) {
		for (k = 0; k < h->n && h->at[k] != i; k++)
			;
		if (k < h->n)
			continue;
		s->chain[i].seg = s->seg[i];
		s->chain[i].iova = s->iova[i];
		s->chain[i].max_seg = max_seg;
		c[n] = &s->chain[i];
		slot[n++] = i;
	}
	got = tvq_ring_take(&s->ring, c, n);
	if (got > (int)n || (got < 0 && tvq_ring_take(&s->ring, c, n) != got))
		abort();
	for (i = 0; (int)i < got; i++) {
		space_touch(c[i]);
		h->at[h->n++] = slot[i];
	}
}

/* The fast way, where it takes any. The last ones go back. */
static bool take_bufs(struct space *s, struct held *h, unsigned int want, bool write)
{
	struct tvq_buf b[SPACE_BATCH];
	unsigned int slot[SPACE_BATCH], n = 0, i, k, got;

	for (i = 0; i < SPACE_BATCH && n < want; i++) {
		for (k = 0; k < h->n && h->at[k] != i; k++)
			;
		if (k == h->n)
			slot[n++] = i;
	}
	got = tvq_ring_take_bufs(&s->ring, b, n, write);
	if (got > n)
		abort();
	tvq_ring_untake_bufs(&s->ring, got / 4);
	for (i = 0; i < got - got / 4; i++) {
		struct tvq_chain *c = &s->chain[slot[i]];

		*c = (struct tvq_chain){
			.seg = s->seg[slot[i]], .id = b[i].id, .n_desc = 1, .max_seg = 1
		};
		c->seg[0] = (struct tvq_seg){ b[i].va, b[i].len };
		c->n_out = !write;
		c->n_in = write;
		c->out_len = write ? 0 : b[i].len;
		c->in_len = write ? b[i].len : 0;
		if (!b[i].len)
			abort();
		space_touch(c);
		h->at[h->n++] = slot[i];
	}
	return got;
}

static void use(struct space *s, struct held *h, unsigned int which)
{
	unsigned int at;

	if (!h->n)
		return;
	at = which % h->n;
	tvq_ring_add_used(&s->ring, &s->chain[h->at[at]], which);
	h->n--;
	memmove(h->at + at, h->at + at + 1, (h->n - at) * sizeof(h->at[0]));
}

static void operate(struct space *s, struct held *h, uint8_t op, uint16_t max_seg)
{
	uint16_t avail, used;

	switch (op & 7) {
	case 0:
		take(s, h, op >> 3 & 7, max_seg);
		break;
	case 1:
		if (!take_bufs(s, h, op >> 3 & 7, op & 0x40))
			take(s, h, op >> 3 & 7, max_seg);
		break;
	case 2:
	case 3:
		use(s, h, op >> 3);
		break;
	case 4:
		tvq_ring_flush(&s->ring);
		break;
	case 5:
		if (h->n)
			tvq_ring_untake(&s->ring, &s->chain[h->at[--h->n]]);
		break;
	case 6:
		tvq_ring_notify_off(&s->ring);
		break;
	default:
		tvq_ring_notify_on(&s->ring);
		tvq_ring_position(&s->ring, &avail, &used);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tvq_ring_cfg cfg = { 0 };
	struct held held = { .n = 0 };
	unsigned int i, n_ops;
	struct space *s;

	if (size < HEADER || size < HEADER + (size_t)data[8])
		return 0;
	n_ops = data[8];
	cfg.packed = data[0] & 1;
	cfg.event_idx = data[0] & 2;
	cfg.indirect = data[0] & 4;
	cfg.in_order = data[0] & 8;
	cfg.size = get16(data + 2);
	cfg.avail_idx = get16(data + 4);
	cfg.used_idx = get16(data + 6);
	space_areas(&cfg);
	s = space_open(data + HEADER + n_ops, size - HEADER - n_ops);
	if (!tvq_ring_start(&s->ring, &cfg, &s->view, NULL)) {
		for (i = 0; i < n_ops; i++)
			operate(s, &held, data[HEADER + i], data[1] % (SPACE_SEGS + 1));
	}
	space_close(s);
	return 0;
}
