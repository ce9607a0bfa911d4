// SPDX-License-Identifier: BSD-3-Clause
/*
 * Section 4.9: a queue's position. The driver half of src/ring always begins at its first index, so
 * the tests of other positions write their rings themselves: one descriptor after the other, each a
 * request for the volume's id.
 */
#include <string.h>

#include "conformance/ct.h"
#include "device/features.h"
#include "device/util.h"

#define SIZE 8

struct raw {
	struct ct_vq *q;
	uint8_t *desc, *driver, *device;
	uint64_t header, data; /* iova; the id goes to data, the status behind it */
	uint8_t *answer;
	uint16_t avail; /* split: free-running; packed: slot and wrap counter */
};

static uint8_t *at(struct ct *t, uint64_t iova)
{
	return t->dma + (iova - t->dma_iova);
}

static struct raw raw_of(struct ct_vq *q, uint16_t first)
{
	struct ct *t = q->t;
	struct raw r = { .q = q, .avail = first };
	uint8_t *header;

	r.desc = at(t, q->desc);
	r.driver = at(t, q->driver);
	r.device = at(t, q->device);
	header = ct_alloc(t, 16, 8, &r.header);
	tvq_put32(header, 8); /* VIRTIO_BLK_T_GET_ID */
	r.answer = ct_alloc(t, 21, 8, &r.data);
	return r;
}

static void put(uint8_t *d, uint64_t addr, uint32_t len, uint16_t a, uint16_t b)
{
	tvq_put64(d, addr);
	tvq_put32(d + 8, len);
	tvq_put16(d + 12, a);
	tvq_put16(d + 14, b);
}

static void add_split(struct raw *r)
{
	uint16_t head = (uint16_t)(r->avail * 2u % SIZE);

	put(r->desc + 16 * head, r->header, 16, 1, head + 1); /* flags NEXT */
	put(r->desc + 16 * (head + 1), r->data, 21, 2, 0);    /* WRITE */
	tvq_put16(r->driver + 4 + 2 * (r->avail % SIZE), head);
	r->avail++;
	__atomic_store_n((uint16_t *)(void *)(r->driver + 2), r->avail, __ATOMIC_RELEASE);
}

/* A lap has an even number of slots, so that no request is cut by its end. */
static void add_packed(struct raw *r)
{
	uint16_t slot = r->avail & 0x7fff, wrap = r->avail & 0x8000 ? 1 << 7 : 1 << 15;
	uint8_t tail[8], addr[8];
	uint64_t word;

	put(r->desc + 16 * (slot + 1), r->data, 21, slot, (uint16_t)(2 | wrap));
	tvq_put64(addr, r->header);
	memcpy(r->desc + 16 * slot, addr, 8);
	tvq_put32(tail, 16);
	tvq_put16(tail + 4, slot);
	tvq_put16(tail + 6, 1 | wrap);
	memcpy(&word, tail, 8);
	__atomic_store_n((uint64_t *)(void *)(r->desc + 16 * slot + 8), word, __ATOMIC_RELEASE);
	slot += 2;
	r->avail = slot == SIZE ? (r->avail & 0x8000) ^ 0x8000 : slot | (r->avail & 0x8000);
}

struct raw_wait {
	struct raw *r;
	uint16_t at;
};

static bool is_used(void *arg)
{
	struct raw_wait *w = arg;
	struct raw *r = w->r;
	bool wrap = w->at & 0x8000;
	uint16_t flags;
	uint64_t tail;

	if (!r->q->packed)
		return __atomic_load_n((uint16_t *)(void *)(r->device + 2), __ATOMIC_ACQUIRE) ==
		       r->avail;
	tail = __atomic_load_n((uint64_t *)(void *)(r->desc + 16 * (w->at & 0x7fff) + 8),
			       __ATOMIC_ACQUIRE);
	flags = tvq_get16((uint8_t *)&tail + 6);
	return !!(flags & 0x80) == wrap && !!(flags & 0x8000) == wrap;
}

/* One request, added, notified, used, where it has to be. */
static void request(struct raw *r)
{
	struct raw_wait w = { r, r->avail };
	struct ct *t = r->q->t;

	r->answer[20] = 0xee;
	if (r->q->packed)
		add_packed(r);
	else
		add_split(r);
	ct_vq_notify(r->q);
	ct_check(t, ct_until(t, is_used, &w), "the request at 0x%x is not used: used index 0x%x",
		 w.at, tvq_get16(r->device + 2));
	ct_check(t, r->answer[20] == 0, "the request at 0x%x: status %u", w.at, r->answer[20]);
	if (!r->q->packed)
		ct_check(t, tvq_get32(r->device + 4 + 8 * (w.at % SIZE)) == w.at * 2u % SIZE,
			 "used element %u has another id", w.at % SIZE);
}

static struct ct_vq *a_queue(struct ct *t, bool packed)
{
	uint64_t id = ct_new_blk(t);
	struct ct_vq *q =
		ct_vq_new(t, id, 0, SIZE, ct_negotiate(t, id, ct_features(t, id, packed, false)));

	ct_vq_program(q, true);
	return q;
}

static void starts_at(struct ct *t, bool packed, uint16_t first)
{
	struct ct_vq *q = a_queue(t, packed);
	struct raw r = raw_of(q, first);
	uint16_t a, u;

	if (packed) { /* free slots look used on the lap of the first index */
		for (uint16_t i = 0; i < SIZE; i++)
			tvq_put16(r.desc + 16 * i + 14,
				  !(first & 0x8000) == (i >= (first & 0x7fff)) ? 0x8080 : 0);
	} else {
		tvq_put16(r.driver + 2, first);
		tvq_put16(r.device + 2, first);
	}
	ct_check(t, ct_vq_index_set(q, first, first) == CT_OK, "SET 0x%x", first);
	ct_check(t, ct_vq_index(q, &a, &u) == CT_OK && a == first && u == first,
		 "GET after SET 0x%x: 0x%x, 0x%x", first, a, u);
	ct_check(t, ct_vq_enable(q, 1) == CT_OK, "ENABLE 1 at 0x%x", first);
	ct_check(t, ct_set_status(t, q->id, 15) == CT_OK, "DRIVER_OK");
	for (int i = 0; i < 11; i++)
		request(&r);
	ct_check(t, ct_vq_enable(q, 0) == CT_OK, "ENABLE 0");
	ct_check(t, ct_vq_index(q, &a, &u) == CT_OK && a == r.avail && u == r.avail,
		 "packed %d: GET after 11 requests from 0x%x: 0x%x, 0x%x, not 0x%x", packed, first,
		 a, u, r.avail);
	ct_destroy(t, q->id);
}

static void a_split_queue_starts_at_the_index_that_was_set(struct ct *t)
{
	static const uint16_t firsts[] = { 0, 1, 7, 8, 13, 0x7fff, 0x8000, 0xfff8, 0xffff };

	for (size_t i = 0; i < sizeof(firsts) / sizeof(firsts[0]); i++)
		starts_at(t, false, firsts[i]);
}

static void a_packed_queue_starts_at_the_index_and_wrap_that_were_set(struct ct *t)
{
	static const uint16_t firsts[] = { 0x8000, 0, 2, 0x8002, 6, 0x8006 };

	for (size_t i = 0; i < sizeof(firsts) / sizeof(firsts[0]); i++)
		starts_at(t, true, firsts[i]);
}

static void a_packed_index_that_is_not_below_the_size_fails_at_enable(struct ct *t)
{
	struct ct_vq *q = a_queue(t, true);
	static const uint16_t bad[] = { SIZE, SIZE | 0x8000, SIZE + 1, 0x7fff, 0xffff };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ct_check(t, ct_vq_index_set(q, bad[i], 0x8000) == CT_OK, "SET of avail 0x%x",
			 bad[i]);
		ct_check(t, ct_vq_enable(q, 1) == CT_ERR, "ENABLE 1 at avail 0x%x", bad[i]);
		ct_check(t, ct_vq_index_set(q, 0x8000, bad[i]) == CT_OK, "SET of used 0x%x",
			 bad[i]);
		ct_check(t, ct_vq_enable(q, 1) == CT_ERR, "ENABLE 1 at used 0x%x", bad[i]);
	}
	ct_check(t, ct_vq_index_set(q, SIZE - 1, SIZE - 1) == CT_OK && ct_vq_enable(q, 1) == CT_OK,
		 "ENABLE 1 at the last slot");
}

static void the_length_goes_with_the_rings_format(struct ct *t)
{
	struct ct_vq *split = a_queue(t, false), *packed = a_queue(t, true);
	uint8_t v[6] = { 0 }, in[4];

	tvq_put16(v + 2, 0x8000);
	tvq_put16(v + 4, 0x8000);
	ct_err(t, split->id, VQ_AVAIL_INDEX, SET, v, 6, NULL, 0);
	ct_err(t, packed->id, VQ_AVAIL_INDEX, SET, v, 4, NULL, 0);
	ct_ok(t, split->id, VQ_AVAIL_INDEX, SET, v, 4, NULL, 0);
	ct_ok(t, packed->id, VQ_AVAIL_INDEX, SET, v, 6, NULL, 0);
	ct_err(t, packed->id, VQ_AVAIL_INDEX, GET, v, 2, in, 2);
	ct_ok(t, packed->id, VQ_AVAIL_INDEX, GET, v, 2, in, 4);
	ct_ok(t, split->id, VQ_AVAIL_INDEX, GET, v, 2, in, 2);
}

static void get_and_set_fail_while_enabled(struct ct *t)
{
	for (int packed = 0; packed < 2; packed++) {
		struct ct_vq *q = a_queue(t, packed);
		uint16_t a, u, first = packed ? 0x8000 : 0;

		ct_check(t, ct_vq_index(q, &a, &u) == CT_OK && a == first, "GET while disabled");
		ct_check(t, ct_vq_enable(q, 1) == CT_OK, "ENABLE 1");
		ct_check(t, ct_vq_index(q, &a, &u) == CT_ERR, "GET, enabled");
		ct_check(t, ct_vq_index_set(q, first, first) == CT_ERR, "SET, enabled");
		ct_check(t, ct_set_status(t, q->id, 15) == CT_OK, "DRIVER_OK");
		ct_check(t, ct_vq_index(q, &a, &u) == CT_ERR, "GET, served");
		ct_check(t, ct_vq_index_set(q, first, first) == CT_ERR, "SET, served");
		ct_check(t, ct_io(q, 0, 0, NULL, 512) == 0, "a request");
	}
}

/* The ring stays; the device behind it changes, again and again, with requests in the ring. */
static void moves(struct ct *t, bool packed)
{
	uint64_t ids[2] = { ct_new_blk(t), ct_new_blk(t) };
	uint64_t f = ct_features(t, ids[0], packed, true);
	struct ct_vq *q = ct_up(t, ids[0], f, SIZE);
	struct ct_io *io[2];
	uint16_t a, u;

	ct_negotiate(t, ids[1], f);
	ct_check(t, ct_set_status(t, ids[1], 15) == CT_OK, "DRIVER_OK");
	for (unsigned int round = 1; round < 30; round++) {
		size_t mark = t->dma_used;

		for (unsigned int i = 0; i < round % 5; i++)
			ct_check(t, ct_io(q, 0, 0, NULL, 512) == 0, "round %u, request %u", round,
				 i);
		ct_check(t, ct_vq_enable(q, 0) == CT_OK && ct_vq_index(q, &a, &u) == CT_OK,
			 "ENABLE 0, GET");
		/* Neither was used, neither is lost. */
		io[0] = ct_io_start(q, 0, 0, 512);
		io[1] = ct_io_start(q, 0, 1, 512);
		q->id = ids[round & 1];
		ct_vq_program(q, true);
		ct_check(t, ct_vq_index_set(q, a, u) == CT_OK, "SET of 0x%x, 0x%x", a, u);
		ct_check(t, ct_vq_enable(q, 1) == CT_OK, "ENABLE 1 on the other device");
		for (int i = 0; i < 2; i++)
			ct_check(t, ct_io_wait(q, io[i]) && *io[i]->status == 0,
				 "packed %d, round %u: %d is lost", packed, round, i);
		ct_pause(t, 50000);
		ct_check(t, !ct_io_collect(q) && !tvq_drv_ring_broken(q->ring),
			 "round %u: one is used twice", round);
		t->dma_used = mark;
	}
}

static void on_another_device_a_split_queue_goes_on_where_it_stopped(struct ct *t)
{
	moves(t, false);
}

static void on_another_device_a_packed_queue_goes_on_where_it_stopped(struct ct *t)
{
	moves(t, true);
}

static void what_was_added_while_disabled_is_served_when_enabled(struct ct *t)
{
	for (int packed = 0; packed < 2; packed++) {
		uint64_t id = ct_new_blk(t);
		struct ct_vq *q = ct_up(t, id, ct_features(t, id, packed, true), SIZE);
		struct ct_io *io[2];

		ct_check(t, ct_io(q, 0, 0, NULL, 512) == 0, "a request");
		ct_check(t, ct_vq_enable(q, 0) == CT_OK, "ENABLE 0");
		io[0] = ct_io_start(q, 0, 0, 512);
		io[1] = ct_io_start(q, 0, 0, 512);
		ct_check(t, !ct_served(q, io[1]), "it is served while disabled");
		ct_check(t, ct_vq_enable(q, 1) == CT_OK, "ENABLE 1");
		ct_check(t, ct_io_wait(q, io[0]) && ct_io_wait(q, io[1]), "it is not served");
	}
}

const struct ct_test ct_tests_index[] = {
	{ "TQ-110", "a_split_queue_starts_at_the_index_that_was_set",
	  a_split_queue_starts_at_the_index_that_was_set, 0 },
	{ "TQ-110", "a_packed_queue_starts_at_the_index_and_wrap_that_were_set",
	  a_packed_queue_starts_at_the_index_and_wrap_that_were_set, 0 },
	{ "TQ-110", "a_packed_index_that_is_not_below_the_size_fails_at_enable",
	  a_packed_index_that_is_not_below_the_size_fails_at_enable, 0 },
	{ "TQ-110", "the_length_goes_with_the_rings_format", the_length_goes_with_the_rings_format,
	  0 },
	{ "TQ-111", "get_and_set_fail_while_enabled", get_and_set_fail_while_enabled, 0 },
	{ "TQ-112", "on_another_device_a_split_queue_goes_on_where_it_stopped",
	  on_another_device_a_split_queue_goes_on_where_it_stopped, 0 },
	{ "TQ-112", "on_another_device_a_packed_queue_goes_on_where_it_stopped",
	  on_another_device_a_packed_queue_goes_on_where_it_stopped, 0 },
	{ "TQ-113", "what_was_added_while_disabled_is_served_when_enabled",
	  what_was_added_while_disabled_is_served_when_enabled, 0 },
	{ 0 },
};
