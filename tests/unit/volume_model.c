/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Random requests on a volume against a plain array of what it should hold. Linked with the tests
 * of volumes.
 */
#include "volume_test.h"

#define BATCH	24
#define SLOT	65536 /* one request's part of the volume, so that those of a batch do not overlap */
#define MAX_SEG 8
#define ROOM	(SLOT + 64 * MAX_SEG)

struct model {
	struct vt *t;
	uint64_t seed;
	uint8_t *bytes;	 /* what the volume holds */
	uint8_t *memory; /* BATCH times ROOM, the requests' */
	struct tvq_vreq r[BATCH], *p[BATCH];
	struct tvq_seg seg[BATCH][MAX_SEG], kept[BATCH][MAX_SEG];
	unsigned int n_kept[BATCH];
};

static uint32_t below(struct model *m, uint32_t n)
{
	return vt_random(&m->seed) % n;
}

/* Cuts len bytes into pieces in the request's memory; half of the time of odd lengths and
 * addresses. */
static void make_segs(struct model *m, unsigned int i, uint64_t len)
{
	uint8_t *at = m->memory + (size_t)i * ROOM;
	uint32_t block = m->t->v->limits.block_size;
	bool odd = below(m, 2);
	unsigned int n = 0;

	while (len) {
		uint64_t piece = n == MAX_SEG - 1 ? len : 1 + below(m, (uint32_t)len);

		if (!odd && n < MAX_SEG - 1)
			piece = piece < block ? (len < block ? len : block) : piece / block * block;
		if (odd)
			at += below(m, 64);
		m->seg[i][n++] = (struct tvq_seg){ at, piece };
		at += piece;
		len -= piece;
	}
	m->r[i].n_seg = (uint16_t)n;
	m->n_kept[i] = n;
	memcpy(m->kept[i], m->seg[i], sizeof(m->seg[i]));
}

static void make_request(struct model *m, unsigned int i, uint64_t slots)
{
	const struct tvq_volume_limits *l = &m->t->v->limits;
	uint32_t blocks = SLOT / l->block_size, first = below(m, blocks);
	struct tvq_vreq *r = &m->r[i];
	uint64_t slot = below(m, (uint32_t)(slots / BATCH)) * BATCH + i;

	memset(r, 0, sizeof(*r));
	r->op = (uint8_t)below(m, TVQ_VREQ_WRITE_ZEROES + 1);
	r->flags = (uint8_t)below(m, (TVQ_VREQ_FUA | TVQ_VREQ_UNMAP) + 1);
	r->seg = m->seg[i];
	m->p[i] = r;
	if (r->op == TVQ_VREQ_FLUSH)
		return;
	r->offset = slot * SLOT + (uint64_t)first * l->block_size;
	r->len = (uint64_t)(1 + below(m, blocks - first)) * l->block_size;
	if (r->op == TVQ_VREQ_READ || r->op == TVQ_VREQ_WRITE)
		make_segs(m, i, r->len);
	if (r->op == TVQ_VREQ_WRITE)
		vt_fill(m->memory + (size_t)i * ROOM, ROOM, &m->seed);
	if (r->op == TVQ_VREQ_READ)
		memset(m->memory + (size_t)i * ROOM, 0xee, ROOM);
}

/* What a request did, told by the pieces that it was given. */
static void check_request(struct model *m, unsigned int i)
{
	const struct tvq_vreq *r = &m->r[i];
	uint8_t *want = m->bytes + r->offset;

	assert_int_equal(r->status, 0);
	if (r->op == TVQ_VREQ_WRITE_ZEROES)
		memset(want, 0, r->len);
	for (unsigned int s = 0;
	     s < m->n_kept[i] && (r->op == TVQ_VREQ_READ || r->op == TVQ_VREQ_WRITE); s++) {
		const struct tvq_seg *seg = &m->kept[i][s];

		if (r->op == TVQ_VREQ_WRITE)
			memcpy(want, seg->va, seg->len);
		else
			assert_memory_equal(want, seg->va, seg->len);
		want += seg->len;
	}
}

/* What was discarded may hold the old bytes or zeroes, and stays what it is. */
static void check_discard(struct model *m, const struct tvq_vreq *d)
{
	uint8_t *now = malloc(d->len), *want = m->bytes + d->offset;

	assert_int_equal(vt_op(m->t, TVQ_VREQ_READ, 0, d->offset, now, d->len), 0);
	for (uint64_t i = 0; i < d->len; i++)
		assert_true(now[i] == 0 || now[i] == want[i]);
	memcpy(want, now, d->len);
	free(now);
}

void vt_model(struct vt *t, uint64_t seed, unsigned int batches)
{
	uint64_t size = t->v->limits.capacity, slots = size / SLOT;
	struct model *m = calloc(1, sizeof(*m));
	uint8_t *all = malloc(size);

	assert_true(slots >= BATCH);
	m->t = t;
	m->seed = seed;
	m->bytes = calloc(1, size);
	m->memory = aligned_alloc(4096, (size_t)BATCH * ROOM);
	for (unsigned int b = 0; b < batches; b++) {
		for (unsigned int i = 0; i < BATCH; i++)
			make_request(m, i, slots);
		vt_run(t, m->p, BATCH);
		for (unsigned int i = 0; i < BATCH; i++)
			check_request(m, i);
		for (unsigned int i = 0; i < BATCH; i++)
			if (m->r[i].op == TVQ_VREQ_DISCARD)
				check_discard(m, &m->r[i]);
	}
	assert_int_equal(vt_op(t, TVQ_VREQ_READ, 0, 0, all, size), 0);
	assert_memory_equal(all, m->bytes, size);
	free(all);
	free(m->bytes);
	free(m->memory);
	free(m);
}
