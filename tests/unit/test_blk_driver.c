/* SPDX-License-Identifier: BSD-3-Clause */
/* The polling block driver against real managed block devices over RAM volumes. */
#include "client_lab.h"

#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stdio.h>

#include <tvq/blk.h>

#define BIT(n)	     (1ull << (n))
#define VOLUME_BYTES (4u << 20)

static const struct variant {
	bool loop, worker;
	struct tvq_blk_cfg cfg;
} variants[] = {
	{ false, false, { .queue_size = 0 } },
	{ false, false, { .packed = true } },
	{ false, false, { .no_event_idx = true, .queue_size = 16 } },
	{ false, false, { .no_indirect = true, .queue_size = 64 } },
	{ false,
	  false,
	  { .packed = true, .no_indirect = true, .no_event_idx = true, .queue_size = 11 } },
	{ true, false, { .queue_size = 32 } },
	{ true, true, { .queue_size = 128 } },
	{ true, true, { .packed = true, .queue_size = 100 } },
};

#define N_VARIANTS (sizeof(variants) / sizeof(variants[0]))

struct blk_lab {
	struct lab l;
	struct tvq_loop *worker;
	struct tvq_exec *workers[1];
	uint64_t id;
	struct tvq_blk *blk;
};

static void blk_up(struct blk_lab *b, const struct variant *v, uint64_t features, uint16_t queues)
{
	struct tvq_loop_cfg loop_cfg = { .cpu = -1, .name = "worker" };
	struct lab_cfg lc = { .loop = v->loop, .kind = TVQ_MAKER_RAM, .volume_size = VOLUME_BYTES };
	struct tvq_blk_cfg cfg = v->cfg;
	int err = 0;

	memset(b, 0, sizeof(*b));
	if (v->worker) {
		b->worker = tvq_loop_new(&loop_cfg, &err);
		assert_non_null(b->worker);
		b->workers[0] = tvq_loop_exec(b->worker);
		lc.mgmt.workers = b->workers;
		lc.mgmt.n_workers = 1;
		assert_int_equal(tvq_loop_start(b->worker), 0);
	}
	lab_up(&b->l, &lc);
	b->id = lab_create_with(b->l.client, features, queues);
	cfg.num_queues = queues;
	b->blk = tvq_blk_new(b->l.client, b->id, &cfg, &err);
	assert_int_equal(err, 0);
	assert_non_null(b->blk);
}

static void blk_down(struct blk_lab *b)
{
	tvq_blk_free(b->blk);
	lab_down_device(&b->l);
	if (b->worker) {
		tvq_loop_stop(b->worker);
		tvq_loop_join(b->worker);
		tvq_loop_free(b->worker);
	}
	lab_down(&b->l);
}

static uint32_t rnd_state;

static uint32_t rnd(uint32_t below)
{
	rnd_state = rnd_state * 1664525 + 1013904223;
	return (rnd_state >> 8) % below;
}

/* Random calls of every kind and of any length, against a plain array. */
static void synchronous_calls_do_what_they_say(void **state)
{
	uint8_t *model = calloc(1, VOLUME_BYTES), *buf = malloc(VOLUME_BYTES);
	size_t v;
	int i;

	(void)state;
	for (v = 0; v < N_VARIANTS; v++) {
		struct blk_lab b;
		char id[21];

		blk_up(&b, &variants[v], 0, 0);
		memset(model, 0, VOLUME_BYTES);
		rnd_state = 4711 + (uint32_t)v;
		assert_int_equal(tvq_blk_capacity(b.blk), VOLUME_BYTES);
		assert_int_equal(tvq_blk_block_size(b.blk), 512);
		assert_int_equal(!!(tvq_blk_features(b.blk) & BIT(VIRTIO_F_RING_PACKED)),
				 variants[v].cfg.packed);
		assert_int_equal(tvq_blk_id(b.blk, id), 0);
		assert_true(strlen(id) > 0);
		for (i = 0; i < 150; i++) {
			uint32_t len = (rnd(4) ? 1 + rnd(40) : 1 + rnd(1200)) * 512;
			uint64_t at = (uint64_t)rnd((VOLUME_BYTES - len) / 512 + 1) * 512;
			uint32_t k;

			switch (rnd(8)) {
			case 0:
				assert_int_equal(tvq_blk_flush(b.blk), 0);
				break;
			case 1:
				assert_int_equal(tvq_blk_write_zeroes(b.blk, at, len, rnd(2)), 0);
				memset(model + at, 0, len);
				break;
			case 2:
				/* What is discarded reads as anything: written at once. */
				assert_int_equal(tvq_blk_discard(b.blk, at, len), 0);
				assert_int_equal(tvq_blk_write(b.blk, at, model + at, len), 0);
				break;
			case 3:
			case 4:
			case 5:
				for (k = 0; k < len; k++)
					buf[k] = (uint8_t)rnd(256);
				memcpy(model + at, buf, len);
				assert_int_equal(tvq_blk_write(b.blk, at, buf, len), 0);
				break;
			default:
				memset(buf, 0xdd, len);
				assert_int_equal(tvq_blk_read(b.blk, at, buf, len), 0);
				assert_memory_equal(buf, model + at, len);
			}
		}
		assert_int_equal(tvq_blk_read(b.blk, 0, buf, VOLUME_BYTES), 0);
		assert_memory_equal(buf, model, VOLUME_BYTES);
		blk_down(&b);
	}
	free(model);
	free(buf);
}

static void ranges_outside_the_device_are_refused(void **state)
{
	static uint8_t buf[4096];
	struct blk_lab b;

	(void)state;
	blk_up(&b, &variants[0], 0, 0);
	assert_int_equal(tvq_blk_read(b.blk, VOLUME_BYTES, buf, 512), -EINVAL);
	assert_int_equal(tvq_blk_write(b.blk, VOLUME_BYTES - 512, buf, 1024), -EINVAL);
	assert_int_equal(tvq_blk_read(b.blk, UINT64_MAX - 511, buf, 512), -EINVAL);
	assert_int_equal(tvq_blk_read(b.blk, 1, buf, 512), -EINVAL);
	assert_int_equal(tvq_blk_read(b.blk, 0, buf, 100), -EINVAL);
	assert_int_equal(tvq_blk_discard(b.blk, 0, UINT64_MAX - 511), -EINVAL);
	assert_int_equal(tvq_blk_write_zeroes(b.blk, VOLUME_BYTES, 512, false), -EINVAL);
	assert_int_equal(tvq_blk_read(b.blk, VOLUME_BYTES - 512, buf, 512), 0);
	assert_int_equal(tvq_blk_read(b.blk, VOLUME_BYTES, buf, 0), 0);
	blk_down(&b);
}

static void what_was_not_negotiated_is_not_asked_for(void **state)
{
	uint64_t base = BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_ACCESS_PLATFORM);
	struct tvq_blk *blk;
	struct blk_lab b;
	int err;

	(void)state;
	tvq_os_host_log_level(TVQ_LOG_ERR - 1);
	blk_up(&b, &variants[0], base, 0);
	assert_true(tvq_blk_features(b.blk) == base);
	assert_int_equal(tvq_blk_discard(b.blk, 0, 512), -EOPNOTSUPP);
	assert_int_equal(tvq_blk_write_zeroes(b.blk, 0, 512, true), -EOPNOTSUPP);
	assert_int_equal(tvq_blk_flush(b.blk), 0);
	blk_down(&b);
	blk_up(&b, &variants[0], base | BIT(VIRTIO_BLK_F_RO), 0);
	assert_int_equal(tvq_blk_write(b.blk, 0, "x", 512), -EROFS);
	/* More queues than it has; a device that is not there. */
	blk = tvq_blk_new(b.l.client, b.id, &(struct tvq_blk_cfg){ .num_queues = 2 }, &err);
	assert_null(blk);
	assert_int_equal(err, -EINVAL);
	assert_null(tvq_blk_new(b.l.client, b.id + 1, NULL, &err));
	assert_int_equal(err, -EIO);
	blk_down(&b);
}

#define PIECE  4096u
#define PIECES (VOLUME_BYTES / PIECE)

/* Each piece of the volume holds its number and a version. */
static void fill(uint8_t *p, uint32_t piece, uint32_t version)
{
	uint32_t i;

	for (i = 0; i < PIECE / 4; i++)
		((uint32_t *)p)[i] = piece * 2654435761u + version * 40503u + i;
}

/* Random reads and writes, as many in flight as there is room for, on all queues. */
static void run_batch(struct blk_lab *b, uint16_t queues, unsigned int total)
{
	enum { DEPTH = 64 };
	struct tvq_blk_req req[4][DEPTH], *done[DEPTH];
	uint32_t *version = calloc(PIECES, sizeof(*version)), started = 0, finished = 0;
	bool *busy = calloc(PIECES, 1), idle[4][DEPTH];
	uint8_t *expect = malloc(PIECE), *mem;
	uint64_t iova, turns = 0;
	unsigned int i, n;
	uint16_t q;

	mem = tvq_blk_dma_alloc(b->blk, (size_t)queues * DEPTH * PIECE, &iova);
	assert_non_null(mem);
	memset(idle, 1, sizeof(idle));
	for (i = 0; i < PIECES; i++) {
		fill(expect, i, 0);
		assert_int_equal(tvq_blk_write(b->blk, (uint64_t)i * PIECE, expect, PIECE), 0);
	}
	while (finished < total) {
		for (q = 0; q < queues; q++) {
			struct tvq_blk_req *batch[DEPTH];

			for (i = n = 0; i < DEPTH && started + n < total; i++) {
				uint32_t piece = rnd(PIECES), at = q * DEPTH + i;

				if (!idle[q][i] || busy[piece])
					continue;
				req[q][i] = (struct tvq_blk_req){
					.type = rnd(2) ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN,
					.len = PIECE,
					.offset = (uint64_t)piece * PIECE,
					.iova = iova + (uint64_t)at * PIECE,
					.err = 99,
					.user = &idle[q][i],
				};
				if (req[q][i].type == VIRTIO_BLK_T_OUT)
					fill(mem + (size_t)at * PIECE, piece, version[piece] + 1);
				busy[piece] = true;
				idle[q][i] = false;
				batch[n++] = &req[q][i];
			}
			i = tvq_blk_submit(b->blk, q, batch, n);
			started += i;
			/* What did not fit is tried again, as another. */
			while (i < n) {
				struct tvq_blk_req *r = batch[i++];

				busy[r->offset / PIECE] = false;
				*(bool *)r->user = true;
			}
		}
		lab_turn(&b->l);
		assert_true(++turns < 10000000);
		for (q = 0; q < queues; q++) {
			n = tvq_blk_poll(b->blk, q, done, DEPTH);
			for (i = 0; i < n; i++) {
				struct tvq_blk_req *r = done[i];
				uint32_t piece = (uint32_t)(r->offset / PIECE);

				assert_int_equal(r->err, 0);
				if (r->type == VIRTIO_BLK_T_OUT) {
					version[piece]++;
				} else {
					fill(expect, piece, version[piece]);
					assert_memory_equal(mem + (r->iova - iova), expect, PIECE);
				}
				busy[piece] = false;
				assert_false(*(bool *)r->user);
				*(bool *)r->user = true;
				finished++;
			}
		}
	}
	tvq_blk_dma_free(b->blk, mem, (size_t)queues * DEPTH * PIECE);
	free(version);
	free(busy);
	free(expect);
}

static void batches_in_flight_on_all_queues_keep_their_data(void **state)
{
	size_t v;

	(void)state;
	for (v = 0; v < N_VARIANTS; v++) {
		uint16_t queues = v % 2 ? 4 : 1;
		struct blk_lab b;

		rnd_state = 815 + (uint32_t)v;
		blk_up(&b, &variants[v], 0, queues);
		assert_int_equal(tvq_blk_queues(b.blk), queues);
		run_batch(&b, queues, 3000);
		blk_down(&b);
	}
}

/* Requests of the batch interface that finish while a synchronous call waits come out of the next
 * poll. */
static void a_synchronous_call_loses_no_request_of_the_batch(void **state)
{
	struct tvq_blk_req req[16], *r[16], *done[16];
	static uint8_t buf[65536];
	unsigned int i, n, total = 0;
	struct blk_lab b;
	uint64_t iova;
	uint8_t *mem;

	(void)state;
	blk_up(&b, &variants[2], 0, 0);
	mem = tvq_blk_dma_alloc(b.blk, sizeof(req) / sizeof(req[0]) * PIECE, &iova);
	for (i = 0; i < 16; i++) {
		req[i] = (struct tvq_blk_req){ .type = VIRTIO_BLK_T_IN,
					       .len = PIECE,
					       .iova = iova + i * PIECE,
					       .offset = i * PIECE,
					       .err = 99 };
		r[i] = &req[i];
	}
	n = tvq_blk_submit(b.blk, 0, r, 15);
	assert_int_equal(n, 15);
	assert_int_equal(tvq_blk_write(b.blk, 0, buf, sizeof(buf)), 0);
	assert_int_equal(tvq_blk_submit(b.blk, 0, r + 15, 1), 1);
	assert_int_equal(tvq_blk_submit(b.blk, 0, r, 1), 0); /* 16 are on their way: full */
	for (i = 0; i < 1000 && total < 16; i++) {
		lab_turn(&b.l);
		n = tvq_blk_poll(b.blk, 0, done, 4);
		total += n;
		while (n-- > 0)
			assert_int_equal(done[n]->err, 0);
	}
	assert_int_equal(total, 16);
	for (i = 0; i < 16; i++)
		assert_int_equal(req[i].err, 0);
	tvq_blk_dma_free(b.blk, mem, 16 * PIECE);
	blk_down(&b);
}

/* The queue is full of finished ones that nobody collects: a call says so and does not wait for
 * ever. */
static void a_queue_full_of_uncollected_requests_refuses_a_call(void **state)
{
	struct tvq_blk_req req[16], *r[16], *done[16];
	static uint8_t buf[512];
	struct blk_lab b;
	unsigned int i;

	(void)state;
	blk_up(&b, &variants[2], 0, 0);
	for (i = 0; i < 16; i++) {
		req[i] = (struct tvq_blk_req){ .type = VIRTIO_BLK_T_FLUSH };
		r[i] = &req[i];
	}
	assert_int_equal(tvq_blk_submit(b.blk, 0, r, 16), 16);
	assert_int_equal(tvq_blk_read(b.blk, 0, buf, 512), -EBUSY);
	assert_int_equal(tvq_blk_poll(b.blk, 0, done, 16), 16);
	assert_int_equal(tvq_blk_read(b.blk, 0, buf, 512), 0);
	blk_down(&b);
}

static void errors_come_back_with_their_request(void **state)
{
	struct tvq_blk_req bad[3], *r[3], *done[3];
	unsigned int i, n = 0;
	struct blk_lab b;
	uint64_t iova;
	uint8_t *mem;

	(void)state;
	tvq_os_host_log_level(TVQ_LOG_ERR - 1);
	blk_up(&b, &variants[0], 0, 0);
	mem = tvq_blk_dma_alloc(b.blk, PIECE, &iova);
	bad[0] = (struct tvq_blk_req){
		.type = VIRTIO_BLK_T_IN, .len = PIECE, .iova = iova, .offset = VOLUME_BYTES
	};
	bad[1] = (struct tvq_blk_req){ .type = 12345 };
	bad[2] = (struct tvq_blk_req){ .type = VIRTIO_BLK_T_IN, .len = PIECE, .iova = iova };
	for (i = 0; i < 3; i++)
		r[i] = &bad[i];
	assert_int_equal(tvq_blk_submit(b.blk, 0, r, 3), 3);
	for (i = 0; i < 100 && n < 3; i++) {
		lab_turn(&b.l);
		n += tvq_blk_poll(b.blk, 0, done, 3);
	}
	assert_int_equal(n, 3);
	assert_int_equal(bad[0].err, -EIO);
	assert_int_equal(bad[1].err, -EOPNOTSUPP);
	assert_int_equal(bad[2].err, 0);
	tvq_blk_dma_free(b.blk, mem, PIECE);
	blk_down(&b);
}

/* TQ-025, TQ-070: the device takes nothing any more, and the driver is told rather than left. */
static void a_broken_device_ends_a_call_and_a_reset_repairs_it(void **state)
{
	static uint8_t buf[512];
	struct blk_lab b;
	int err;

	(void)state;
	tvq_os_host_log_level(TVQ_LOG_ERR - 1);
	blk_up(&b, &variants[0], 0, 0);
	assert_int_equal(tvq_device_break(tvq_inproc_device(b.l.bus), b.id, "by the test"), 0);
	assert_int_equal(tvq_blk_read(b.blk, 0, buf, 512), -ENODEV);
	tvq_blk_free(b.blk);
	b.blk = tvq_blk_new(b.l.client, b.id, NULL, &err);
	assert_non_null(b.blk);
	assert_int_equal(tvq_blk_read(b.blk, 0, buf, 512), 0);
	assert_int_equal(lab_destroy(b.l.client, b.id), 0);
	assert_int_equal(tvq_blk_read(b.blk, 0, buf, 512), -ENODEV);
	blk_down(&b);
}

static void requests_in_flight_end_with_the_driver(void **state)
{
	struct tvq_blk_req req[8], *r[8];
	struct blk_lab b;
	uint64_t iova;
	unsigned int i;
	uint8_t *mem;

	(void)state;
	blk_up(&b, &variants[1], 0, 0);
	mem = b.l.bus->ops->dma_alloc(b.l.bus, PIECE, &iova);
	for (i = 0; i < 8; i++) {
		req[i] = (struct tvq_blk_req){
			.type = VIRTIO_BLK_T_IN, .len = PIECE, .iova = iova, .err = 99
		};
		r[i] = &req[i];
	}
	assert_int_equal(tvq_blk_submit(b.blk, 0, r, 8), 8);
	tvq_blk_free(b.blk);
	b.blk = NULL;
	for (i = 0; i < 8; i++)
		assert_int_equal(req[i].err, -ECANCELED);
	b.l.bus->ops->dma_free(b.l.bus, mem, PIECE);
	blk_down(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(synchronous_calls_do_what_they_say),
		cmocka_unit_test(ranges_outside_the_device_are_refused),
		cmocka_unit_test(what_was_not_negotiated_is_not_asked_for),
		cmocka_unit_test(batches_in_flight_on_all_queues_keep_their_data),
		cmocka_unit_test(a_synchronous_call_loses_no_request_of_the_batch),
		cmocka_unit_test(a_queue_full_of_uncollected_requests_refuses_a_call),
		cmocka_unit_test(errors_come_back_with_their_request),
		cmocka_unit_test(a_broken_device_ends_a_call_and_a_reset_repairs_it),
		cmocka_unit_test(requests_in_flight_end_with_the_driver),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
