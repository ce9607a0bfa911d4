/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Network devices that come, go, stop and move while frames are on their way. Where a worker runs
 * on a thread of its own these are races; memory that the device must not touch any more is filled
 * and looked at afterwards.
 */
#include "net_lab.h"

#include <tvq/dma.h>

#define PATTERN 0x5a

static struct nl_dev a, b;
static struct nl_raw raw;
static uint8_t f[NL_MAX];

#define STREAM_AT ((NL_SLOTS - 1) * (size_t)NL_MAX)

static void up(struct dl *l, const struct nl_variant *v)
{
	dl_up(l, v->workers, NULL);
	nl_dev_up(&a, l, v, 0);
	nl_dev_up(&b, l, v, 0);
	nl_ether(a.tx + STREAM_AT + NL_HDR, nl_everybody, a.mac, NL_TYPE, 200, 7);
}

static void down(struct dl *l)
{
	nl_dev_down(&a);
	nl_dev_down(&b);
	dl_down(l);
}

/* Broadcasts of a; nobody waits for the last ones. All are one frame's memory, which is in the last
 * slot and stays as it is. */
static void stream(unsigned int n)
{
	static struct tvq_net_frame frame[32];
	struct tvq_net_frame *tf[32], *back[32];
	unsigned int i, sent = 0;

	nl_ether(f, nl_everybody, a.mac, NL_TYPE, 200, 7);
	for (i = 0; i < 32; i++) {
		frame[i] = (struct tvq_net_frame){ .iova = a.tx_iova + STREAM_AT,
						   .len = NL_HDR + 200 };
		tf[i] = &frame[i];
	}
	while (sent < n) {
		while (tvq_net_sent(a.net, 0, back, 32))
			;
		i = tvq_net_send(a.net, 0, tf, n - sent < 32 ? n - sent : 32);
		sent += i;
		if (!i)
			dl_turns(a.l, 1);
	}
}

static void drain(struct nl_dev *d)
{
	struct tvq_net_rx rx[32];
	unsigned int n;

	nl_sent(&a, 0);
	(void)nl_info(d);
	while ((n = tvq_net_poll(d->net, 0, rx, 32)))
		tvq_net_refill(d->net, 0, rx, n);
}

#define RAW_BUFS 32
static struct nl_buf buf[RAW_BUFS];

static void raw_buffers(void)
{
	memset(buf, 0, sizeof(buf));
	for (int i = 0; i < RAW_BUFS; i++)
		nl_buf_give(&raw, &buf[i], 512);
	dl_notify(&raw.rx);
}

/* Nothing of the device's is written to from now on. */
static void freeze(void)
{
	memset(raw.mem.va, PATTERN, raw.mem.size);
}

static void frozen(void)
{
	for (size_t i = 0; i < raw.mem.size; i++)
		if (raw.mem.va[i] != PATTERN)
			fail_msg("byte %zu was written to", i);
}

static int raw_call(void (*fn)(struct tvq_seq *s))
{
	struct tvq_seq *s = tvq_seq_new(raw.l->client, raw.id);

	fn(s);
	return tvq_seq_call(s);
}

static void up_with_raw(struct dl *l, const struct nl_variant *v)
{
	up(l, v);
	nl_raw_up(&raw, l, v, 0);
}

static void down_with_raw(struct dl *l)
{
	nl_raw_down(&raw);
	down(l);
}

/* Buffers, and a frame that comes to the first of them. */
static void serves(void)
{
	raw_buffers();
	stream(1);
	dl_until(raw.l, nl_raw_used(&raw.rx, &buf[0].piece));
	assert_memory_equal(buf[0].va + NL_HDR, f, 200);
}

/* ---- the end under traffic ---- */

/* What is left of a device that was destroyed. */
static void raw_gone(void)
{
	dl_queue_free(&raw.rx);
	dl_queue_free(&raw.tx);
	dl_mem_free(&raw.mem);
}

static void a_device_that_is_destroyed_under_traffic_is_not_written_to(void **state)
{
	struct dl l;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++) {
		up(&l, v);
		for (int round = 0; round < 8; round++) {
			struct dl_op op;

			nl_raw_up(&raw, &l, v, 0);
			raw_buffers();
			stream(10u * (unsigned int)round);
			dl_start_destroy(l.client, raw.id, &op);
			stream(64);
			dl_until(&l, op.ended);
			assert_int_equal(op.err, 0);
			freeze();
			stream(64);
			drain(&b);
			frozen();
			raw_gone();
			nl_passes(&a, &b, 60, (uint32_t)round);
			drain(&b);
		}
		down(&l);
	}
}

static void a_sender_is_destroyed_with_its_frames_under_way(void **state)
{
	struct dl l;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++) {
		up(&l, v);
		for (int round = 0; round < 8; round++) {
			static struct nl_piece p[64];
			struct dl_op op;
			uint64_t iova;
			uint8_t *va;

			nl_raw_up(&raw, &l, v, 0);
			va = dl_alloc(&raw.mem, 1024, 64, &iova);
			memset(va, 0, NL_HDR);
			nl_ether(va + NL_HDR, nl_everybody, raw.mac, NL_TYPE, 800, 1);
			for (int i = 0; i < 64; i++)
				nl_raw_add(&raw.tx, &(struct tvq_sg){ iova, NL_HDR + 800 }, 1, 0,
					   &p[i]);
			dl_notify(&raw.tx);
			dl_start_destroy(l.client, raw.id, &op);
			dl_until(&l, op.ended);
			assert_int_equal(op.err, 0);
			freeze();
			drain(&a);
			drain(&b);
			frozen();
			raw_gone();
		}
		nl_passes(&a, &b, 60, 1);
		down(&l);
	}
}

static void status_0(struct tvq_seq *s)
{
	tvq_seq_status_set(s, 0);
}

static void a_device_that_is_reset_under_traffic_is_not_written_to(void **state)
{
	struct dl l;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++) {
		up_with_raw(&l, v);
		for (int round = 0; round < 8; round++) {
			raw_buffers();
			stream(64);
			assert_int_equal(raw_call(status_0), 0);
			stream(64);
			dl_until(&l, !dl_status(l.client, raw.id));
			freeze();
			stream(64);
			drain(&b);
			frozen();
			tvq_drv_ring_free(raw.rx.ring);
			tvq_drv_ring_free(raw.tx.ring);
			raw.mem.used = 1u << 20;
			dl_ring_make(&raw.rx);
			dl_ring_make(&raw.tx);
			nl_raw_start(&raw, 0);
			(void)nl_raw_info(&raw);
		}
		serves();
		drain(&b);
		down_with_raw(&l);
	}
}

static void reset_rx(struct tvq_seq *s)
{
	tvq_seq_vq_reset(s, 0);
}

/* The receive queue is set up again after its reset: a new ring, from n in the memory on. */
static void rx_again(size_t n)
{
	struct tvq_seq *s = tvq_seq_new(raw.l->client, raw.id);

	tvq_drv_ring_free(raw.rx.ring);
	raw.mem.used = n;
	dl_ring_make(&raw.rx);
	dl_queue_program(&raw.rx, s);
	assert_int_equal(tvq_seq_call(s), 0);
}

/* TQ-097 */
static void a_queue_that_is_reset_under_traffic_is_not_written_to(void **state)
{
	struct dl l;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++) {
		up_with_raw(&l, v);
		for (int round = 0; round < 8; round++) {
			size_t n = 2u << 20;

			raw_buffers();
			stream(64);
			assert_int_equal(raw_call(reset_rx), 0);
			/* The other queue's ring is at work: only what is the receive queue's. */
			memset(raw.rx.cfg.mem, PATTERN, 4096);
			for (int i = 0; i < RAW_BUFS; i++)
				memset(buf[i].va, PATTERN, 512);
			stream(64);
			drain(&b);
			for (int i = 0; i < 4096; i++)
				assert_int_equal(((uint8_t *)raw.rx.cfg.mem)[i], PATTERN);
			for (int i = 0; i < RAW_BUFS; i++)
				for (int k = 0; k < 512; k++)
					assert_int_equal(buf[i].va[k], PATTERN);
			rx_again(n);
			(void)nl_raw_info(&raw);
			serves();
			assert_int_equal(raw_call(reset_rx), 0);
			rx_again(n);
			drain(&b);
		}
		down_with_raw(&l);
	}
}

/* ---- stopping and moving ---- */

static void disable_both(struct tvq_seq *s)
{
	tvq_seq_vq_enable(s, 0, 0);
	tvq_seq_vq_enable(s, 1, 0);
}

static void enable_both(struct tvq_seq *s)
{
	tvq_seq_vq_enable(s, 0, 1);
	tvq_seq_vq_enable(s, 1, 1);
}

/* TQ-096, TQ-113 */
static void a_queue_that_is_disabled_under_traffic_goes_on_where_it_was(void **state)
{
	struct dl l;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++) {
		up_with_raw(&l, v);
		raw_buffers();
		for (int round = 0; round < 20; round++) {
			unsigned int n = 0;

			stream(10);
			assert_int_equal(raw_call(disable_both), 0);
			nl_raw_collect(&raw.rx);
			stream(10);
			drain(&b);
			/* Nothing is used while it is disabled. */
			assert_int_equal(nl_raw_collect(&raw.rx), 0);
			for (int i = 0; i < RAW_BUFS; i++)
				if (buf[i].piece.used) {
					assert_memory_equal(buf[i].va + NL_HDR, f, 200);
					nl_buf_give(&raw, &buf[i], 512);
					n++;
				}
			tvq_drv_ring_publish(raw.rx.ring);
			assert_int_equal(raw_call(enable_both), 0);
			(void)nl_raw_info(&raw);
			assert_int_equal(tvq_drv_ring_in_flight(raw.rx.ring), RAW_BUFS);
		}
		/* Every buffer is there, and serves. */
		stream(RAW_BUFS);
		drain(&b);
		dl_until(&l, (nl_raw_collect(&raw.rx), !tvq_drv_ring_in_flight(raw.rx.ring)));
		for (int i = 0; i < RAW_BUFS; i++)
			assert_int_equal(buf[i].piece.written, NL_HDR + 200);
		down_with_raw(&l);
	}
}

struct positions {
	uint16_t avail[2], used[2];
};

/*
 * A device's queues go on with another device: what was sent before the move comes once, what was
 * added after it too, and buffers that were waiting serve. TQ-112.
 */
static void queues_move_to_another_device_without_loss_or_repetition(void **state)
{
	static const uint8_t mac[6] = { 0x02, 0, 0, 0, 0xbb, 1 };
	struct dl l;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++) {
		static struct nl_piece p[64];
		uint32_t sent = 0, seen = 0;
		uint64_t iova;
		uint8_t *va;

		up(&l, v);
		nl_raw_new(&raw, &l, v, mac);
		nl_raw_start(&raw, 0);
		(void)nl_raw_info(&raw);
		raw_buffers();
		va = dl_alloc(&raw.mem, 64 * 256, 64, &iova);
		for (int move = 0; move < 6; move++) {
			struct virtio_transportq_net_config cfg = { .mtu = 0 };
			struct positions at;
			struct tvq_seq *s;

			for (int i = 0; i < 20; i++, sent++) {
				uint32_t k = sent % 64;

				if (i == 10) { /* some before the move, some after it */
					dl_notify(&raw.tx);
					s = tvq_seq_new(l.client, raw.id);
					disable_both(s);
					for (uint16_t q = 0; q < 2; q++)
						tvq_seq_vq_index_get(s, q, v->packed, &at.avail[q],
								     &at.used[q]);
					assert_int_equal(tvq_seq_call(s), 0);
					nl_raw_collect(&raw.tx);
				}
				memset(va + 256 * k, 0, NL_HDR);
				nl_ether(va + 256 * k + NL_HDR, b.mac, mac, NL_TYPE, 100, sent);
				nl_raw_add(&raw.tx,
					   &(struct tvq_sg){ iova + 256 * k, NL_HDR + 100 }, 1, 0,
					   &p[k]);
			}
			tvq_drv_ring_publish(raw.tx.ring);
			assert_int_equal(dl_destroy(l.client, raw.id), 0);
			memcpy(cfg.mac, mac, 6);
			raw.id = raw.rx.id = raw.tx.id = nl_create(l.client, 0, &cfg);
			dl_negotiate(l.client, raw.id, v->packed ? 0 : BIT(VIRTIO_F_RING_PACKED));
			s = tvq_seq_new(l.client, raw.id);
			for (uint16_t q = 0; q < 2; q++) {
				tvq_seq_vq_asid_set(s, q, raw.mem.asid);
				tvq_seq_vq_index_set(s, q, v->packed, at.avail[q], at.used[q]);
			}
			dl_queue_program(&raw.rx, s);
			dl_queue_program(&raw.tx, s);
			tvq_seq_status_set(s, DL_DRIVER_OK);
			assert_int_equal(tvq_seq_call(s), 0);
			dl_until(&l,
				 (nl_raw_collect(&raw.tx), !tvq_drv_ring_in_flight(raw.tx.ring)));
			for (; seen < sent; seen++) {
				nl_ether(f, b.mac, mac, NL_TYPE, 100, seen);
				nl_expect(&b, f, 100);
			}
			/* And it receives, where the other stopped. */
			nl_ether(f, mac, b.mac, NL_TYPE, 90, (uint32_t)move);
			nl_send(&b, f, 90);
			dl_until(&l, nl_raw_used(&raw.rx, &buf[move].piece));
			assert_memory_equal(buf[move].va + NL_HDR, f, 90);
		}
		nl_nothing_before(&a, &b, 1);
		down_with_raw(&l);
	}
}

/* A device with in-flight areas; its queues are with the worker. */
static void raw_with_area(struct dl *l, const struct nl_variant *v)
{
	struct tvq_seq *s;
	uint64_t area[2];

	nl_raw_new(&raw, l, v, (const uint8_t[6]){ 0x02, 0, 0, 0, 0xcc, 1 });
	for (int q = 0; q < 2; q++)
		dl_alloc(&raw.mem, 16384, 4096, &area[q]);
	dl_negotiate(l->client, raw.id, v->packed ? 0 : BIT(VIRTIO_F_RING_PACKED));
	s = tvq_seq_new(l->client, raw.id);
	for (uint16_t q = 0; q < 2; q++) {
		tvq_seq_vq_asid_set(s, q, raw.mem.asid);
		tvq_seq_vq_size_set(s, q, 64);
		tvq_seq_vq_inflight(s, q, raw.mem.asid, area[q], 16384);
	}
	dl_queue_program(&raw.rx, s);
	dl_queue_program(&raw.tx, s);
	tvq_seq_status_set(s, DL_DRIVER_OK);
	assert_int_equal(tvq_seq_call(s), 0);
	(void)nl_raw_info(&raw);
}

/* TQ-130: what receive and transmit queues take is used at once, and nothing is lost by an area. */
static void queues_work_with_an_in_flight_area(void **state)
{
	struct dl l;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++) {
		up(&l, v);
		raw_with_area(&l, v);
		raw_buffers();
		for (int round = 0; round < 10; round++) {
			stream(RAW_BUFS);
			nl_sent(&a, 0);
			dl_until(&l,
				 (nl_raw_collect(&raw.rx), !tvq_drv_ring_in_flight(raw.rx.ring)));
			for (int i = 0; i < RAW_BUFS; i++) {
				assert_int_equal(buf[i].piece.written, NL_HDR + 200);
				assert_memory_equal(buf[i].va + NL_HDR, f, 200);
				nl_buf_give(&raw, &buf[i], 512);
			}
			dl_notify(&raw.rx);
			(void)nl_raw_info(&raw);
			drain(&b);
		}
		assert_int_equal(dl_status(l.client, raw.id), DL_DRIVER_OK);
		down_with_raw(&l);
	}
}

/* Where taken buffers cannot be untaken, they come back empty: as they were made available, for the
 * device may have promised that (IN_ORDER). */
static void buffers_too_few_for_a_frame_come_back_in_their_order(void **state)
{
	enum { FEW = 3, SMALL = 64 };
	struct dl l;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++) {
		up(&l, v);
		raw_with_area(&l, v);
		memset(buf, 0, sizeof(buf));
		for (int round = 0; round < 3; round++) {
			struct nl_piece *p;
			uint32_t written;

			for (int i = 0; i < FEW; i++)
				nl_buf_give(&raw, &buf[i], SMALL);
			dl_notify(&raw.rx);
			(void)nl_raw_info(&raw);
			stream(1);
			for (int i = 0; i < FEW; i++) {
				dl_until(&l, (p = tvq_drv_ring_get(raw.rx.ring, &written)));
				assert_ptr_equal(p, &buf[i].piece);
				assert_int_equal(written, 0);
			}
			nl_sent(&a, 0);
			drain(&b);
		}
		assert_int_equal(dl_status(l.client, raw.id), DL_DRIVER_OK);
		down_with_raw(&l);
	}
}

/* ---- writes are logged ---- */

static void log_set(struct tvq_dma_done *d)
{
	(void)d;
}

static bool logged(const struct tvq_dma_log *log, uint64_t iova)
{
	return atomic_load(&log->bits[iova / 4096 / 8]) >> (iova / 4096 % 8) & 1;
}

static void what_is_received_is_logged_page_by_page(void **state)
{
	struct dl l;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++) {
		static struct nl_piece p[2];
		struct tvq_dma_done done = { .fn = log_set };
		struct tvq_dma_log log = { 0 };
		struct tvq_space *space;
		uint64_t iova;
		uint8_t *va;

		up_with_raw(&l, v);
		log.len = raw.mem.iova + raw.mem.size;
		log.bits = calloc(1, log.len / 4096 / 8);
		assert_non_null(log.bits);
		space = tvq_inproc_space(l.bus, raw.mem.asid);
		assert_int_equal(tvq_space_set_log(space, &log, &done), 0);
		(void)nl_raw_info(&raw);
		va = dl_alloc(&raw.mem, 8 * 4096, 4096, &iova);
		/* Merged: one chain of two pages, of which 12 and 88 bytes are used, and one that
		 * begins with a readable page. */
		nl_raw_add(&raw.rx, (struct tvq_sg[2]){ { iova, 12 }, { iova + 4096, 88 } }, 0, 2,
			   &p[0]);
		nl_raw_add(&raw.rx,
			   (struct tvq_sg[3]){ { iova + 2 * 4096, 100 },
					       { iova + 3 * 4096, 100 },
					       { iova + 4 * 4096, 100 } },
			   1, 2, &p[1]);
		dl_notify(&raw.rx);
		nl_ether(f, nl_everybody, a.mac, NL_TYPE, 150, 1);
		nl_send(&a, f, 150);
		dl_until(&l, nl_raw_used(&raw.rx, &p[1]));
		assert_memory_equal(va + 4096, f, 88);
		assert_memory_equal(va + 3 * 4096, f + 88, 62);
		assert_true(logged(&log, iova));
		assert_true(logged(&log, iova + 4096));
		assert_false(logged(&log, iova + 2 * 4096));
		assert_true(logged(&log, iova + 3 * 4096));
		assert_false(logged(&log, iova + 4 * 4096));
		/* The usual: one piece. */
		nl_raw_add(&raw.rx, &(struct tvq_sg){ iova + 6 * 4096, 2048 }, 0, 1, &p[0]);
		dl_notify(&raw.rx);
		nl_send(&a, f, 150);
		dl_until(&l, nl_raw_used(&raw.rx, &p[0]));
		assert_memory_equal(va + 6 * 4096 + NL_HDR, f, 150);
		assert_true(logged(&log, iova + 6 * 4096));
		assert_false(logged(&log, iova + 5 * 4096));
		assert_int_equal(tvq_space_set_log(space, NULL, &done), 0);
		(void)nl_raw_info(&raw);
		dl_turns(&l, 10);
		drain(&b);
		nl_raw_down(&raw);
		free((void *)log.bits);
		down(&l);
	}
}

/* ---- counters ---- */

static struct virtio_transportq_ctrl_vdev_vq_stats stats(struct nl_raw *r, uint16_t q)
{
	struct virtio_transportq_ctrl_vdev_vq_stats st;
	struct tvq_seq *s = tvq_seq_new(r->l->client, r->id);

	tvq_seq_vq_stats(s, q, &st);
	assert_int_equal(tvq_seq_call(s), 0);
	return st;
}

/* TQ-132 */
static void queues_count_what_happened(void **state)
{
	struct dl l;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++) {
		struct virtio_transportq_ctrl_vdev_vq_stats rx, tx;
		struct tvq_port_info info;
		uint64_t iova;
		uint8_t *va;

		up_with_raw(&l, v);
		raw_buffers();
		stream(RAW_BUFS + 8);
		nl_sent(&a, 0);
		dl_until(&l, (nl_raw_collect(&raw.rx), !tvq_drv_ring_in_flight(raw.rx.ring)));
		(void)nl_raw_info(&raw);
		rx = stats(&raw, 0);
		assert_int_equal(rx.taken, RAW_BUFS);
		assert_int_equal(rx.used, RAW_BUFS);
		assert_int_equal(rx.bytes_written, RAW_BUFS * (NL_HDR + 200));
		assert_int_equal(rx.drops, 8);
		va = dl_alloc(&raw.mem, 512, 64, &iova);
		memset(va, 0, NL_HDR);
		nl_ether(va + NL_HDR, b.mac, raw.mac, NL_TYPE, 100, 1);
		for (int i = 0; i < 5; i++)
			nl_raw_do(&raw.tx, &(struct tvq_sg){ iova, NL_HDR + 100 }, 1, 0);
		nl_raw_do(&raw.tx, &(struct tvq_sg){ iova, 20 }, 1, 0);
		(void)nl_raw_info(&raw);
		tx = stats(&raw, 1);
		assert_int_equal(tx.taken, 6);
		assert_int_equal(tx.used, 6);
		assert_int_equal(tx.bytes_read, 5 * (NL_HDR + 100) + 20);
		assert_int_equal(tx.drops, 1);
		info = nl_raw_info(&raw);
		assert_int_equal(info.stats.tx_packets, 5);
		assert_int_equal(info.stats.tx_bytes, 500);
		assert_int_equal(info.stats.rx_packets, RAW_BUFS);
		assert_int_equal(info.stats.rx_bytes, RAW_BUFS * 200);
		assert_int_equal(info.stats.drops[TVQ_DROP_NO_BUFFER], 8);
		assert_int_equal(info.stats.drops[TVQ_DROP_HEADER], 1);
		down_with_raw(&l);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_device_that_is_destroyed_under_traffic_is_not_written_to),
		cmocka_unit_test(a_sender_is_destroyed_with_its_frames_under_way),
		cmocka_unit_test(a_device_that_is_reset_under_traffic_is_not_written_to),
		cmocka_unit_test(a_queue_that_is_reset_under_traffic_is_not_written_to),
		cmocka_unit_test(a_queue_that_is_disabled_under_traffic_goes_on_where_it_was),
		cmocka_unit_test(queues_move_to_another_device_without_loss_or_repetition),
		cmocka_unit_test(queues_work_with_an_in_flight_area),
		cmocka_unit_test(buffers_too_few_for_a_frame_come_back_in_their_order),
		cmocka_unit_test(what_is_received_is_logged_page_by_page),
		cmocka_unit_test(queues_count_what_happened),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
