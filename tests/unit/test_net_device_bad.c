/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Drivers of network devices that lie, send no frames, or give no room: what they do is their own
 * loss, and the others go on. TQ-025, virtio 1.4, 5.1.6.
 */
#include "net_lab.h"

#include <linux/if_ether.h>

#include "switch/switch_priv.h"

#define NEEDS_CSUM VIRTIO_NET_HDR_F_NEEDS_CSUM

static struct nl_dev a, b;
static struct nl_raw raw;
static uint8_t f[NL_MAX];

static void up(struct dl *l, const struct nl_variant *v, uint64_t without)
{
	dl_up(l, v->workers, NULL);
	nl_dev_up(&a, l, v, 0);
	nl_dev_up(&b, l, v, 0);
	nl_raw_up(&raw, l, v, without);
}

static void down(struct dl *l)
{
	nl_raw_down(&raw);
	nl_dev_down(&a);
	nl_dev_down(&b);
	dl_down(l);
}

/* The others' traffic passes, and the liar is not even broken. */
static void others_go_on(uint32_t seed)
{
	nl_passes(&a, &b, 60, seed * 2 + 1);
	nl_passes(&b, &a, 60, seed * 2 + 2);
	assert_int_equal(dl_status(raw.l->client, raw.id), DL_DRIVER_OK);
}

/* ---- what it sends ---- */

/* A frame with a header before it in the raw device's memory. */
static struct {
	uint8_t *va;
	uint64_t iova;
} tx;

static struct virtio_net_hdr_v1 *tx_frame(const uint8_t *to, uint32_t len, uint32_t seed)
{
	tx.va = dl_alloc(&raw.mem, NL_HDR + 4096, 64, &tx.iova);
	memset(tx.va, 0, NL_HDR);
	nl_ether(tx.va + NL_HDR, to, raw.mac, NL_TYPE, len, seed);
	return (void *)tx.va;
}

/* It comes to a, whole. */
static void arrives(uint32_t len)
{
	nl_expect(&a, tx.va + NL_HDR, len);
	assert_int_equal(a.got.hdr.hdr.num_buffers, 1);
}

static void raw_good_frame(uint32_t seed)
{
	tx_frame(a.mac, 60, seed);
	assert_int_equal(nl_raw_do(&raw.tx, &(struct tvq_sg){ tx.iova, NL_HDR + 60 }, 1, 0), 0);
	arrives(60);
}

static void what_is_shorter_than_header_and_addresses_is_dropped(void **state)
{
	struct dl l;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++) {
		uint64_t drops;

		up(&l, v, 0);
		for (uint32_t len = 1; len <= NL_HDR + 16; len++) {
			tx_frame(a.mac, 60, len);
			drops = nl_raw_info(&raw).stats.drops[TVQ_DROP_HEADER];
			assert_int_equal(nl_raw_do(&raw.tx, &(struct tvq_sg){ tx.iova, len }, 1, 0),
					 0);
			if (len >= NL_HDR + 14)
				arrives(len - NL_HDR);
			else
				assert_int_equal(nl_raw_info(&raw).stats.drops[TVQ_DROP_HEADER],
						 drops + 1);
		}
		/* With a tag there have to be four more. */
		for (uint32_t len = 14; len <= 18; len++) {
			tx_frame(a.mac, 60, len);
			nl_be16(tx.va + NL_HDR + 12, ETH_P_8021Q);
			nl_be16(tx.va + NL_HDR + 14, 7);
			nl_raw_do(&raw.tx, &(struct tvq_sg){ tx.iova, NL_HDR + len }, 1, 0);
			if (len == 18)
				arrives(len);
		}
		/* Nothing to read, and room to write. */
		tx_frame(a.mac, 60, 1);
		assert_int_equal(nl_raw_do(&raw.tx, &(struct tvq_sg){ tx.iova, 100 }, 0, 1), 0);
		raw_good_frame(77);
		nl_nothing_before(&b, &a, 1);
		others_go_on(2);
		down(&l);
	}
}

static void a_frame_may_be_cut_anywhere(void **state)
{
	struct dl l;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++) {
		up(&l, v, 0);
		/* Two pieces, cut at each byte of header, addresses and beyond. */
		for (uint32_t at = 1; at < NL_HDR + 30; at++) {
			tx_frame(a.mac, 100, at);
			nl_raw_do(&raw.tx,
				  (struct tvq_sg[2]){ { tx.iova, at },
						      { tx.iova + at, NL_HDR + 100 - at } },
				  2, 0);
			arrives(100);
		}
		/* As many pieces as a frame has bytes. */
		for (uint32_t n = 1; n < NL_HDR + 60; n++) {
			struct tvq_sg sg[NL_HDR + 60];

			tx_frame(a.mac, 60, 1000 + n);
			for (uint32_t i = 0; i < n; i++)
				sg[i] = (struct tvq_sg){ tx.iova + i, 1 };
			sg[n] = (struct tvq_sg){ tx.iova + n, NL_HDR + 60 - n };
			nl_raw_do(&raw.tx, sg, n + 1, 0);
			/* More than a kernel ever uses are refused, whole. */
			if (n + 1 < 64)
				arrives(60);
		}
		while (nl_poll(&a, 0))
			;
		others_go_on(1);
		/* Room to write behind it is left alone. */
		tx_frame(a.mac, 60, 5);
		tx.va[NL_HDR + 60] = 0x5a;
		nl_raw_do(&raw.tx,
			  (struct tvq_sg[2]){ { tx.iova, NL_HDR + 60 },
					      { tx.iova + NL_HDR + 60, 1 } },
			  1, 1);
		assert_int_equal(tx.va[NL_HDR + 60], 0x5a);
		down(&l);
	}
}

struct lie {
	uint8_t flags, gso_type;
	uint16_t gso_size, csum_start, csum_offset;
};

static void lies(const struct lie *lie, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct virtio_net_hdr_v1 *h = tx_frame(a.mac, 200, (uint32_t)i);

		h->flags = lie[i].flags;
		h->gso_type = lie[i].gso_type;
		h->gso_size = lie[i].gso_size;
		h->csum_start = lie[i].csum_start;
		h->csum_offset = lie[i].csum_offset;
		assert_int_equal(
			nl_raw_do(&raw.tx, &(struct tvq_sg){ tx.iova, NL_HDR + 200 }, 1, 0), 0);
		assert_int_equal(nl_raw_info(&raw).stats.drops[TVQ_DROP_HEADER], i + 1);
	}
	raw_good_frame(99);
}

static void a_header_that_lies_drops_its_frame(void **state)
{
	static const struct lie lie[] = {
		{ NEEDS_CSUM, 0, 0, 200, 0 }, /* beyond the frame */
		{ NEEDS_CSUM, 0, 0, 199, 0 },
		{ NEEDS_CSUM, 0, 0, 34, 165 },
		{ NEEDS_CSUM, 0, 0, 0xffff, 0 },
		{ NEEDS_CSUM, 0, 0, 34, 0xffff },
		{ NEEDS_CSUM, 0, 0, 0xffff, 0xffff },
		{ NEEDS_CSUM, 0, 0, 0, 0 }, /* in the addresses */
		{ NEEDS_CSUM, 0, 0, 13, 0 },
		{ NEEDS_CSUM, 1, 0, 34, 16 }, /* segments of nothing */
		{ NEEDS_CSUM, 4, 0, 34, 16 },
		{ 0, 1, 1000, 34, 16 },		 /* segmentation without checksum */
		{ NEEDS_CSUM, 2, 1000, 34, 16 }, /* of an unknown kind */
		{ NEEDS_CSUM, 3, 1000, 34, 6 },	 /* UDP, not offered */
		{ NEEDS_CSUM, 5, 1000, 34, 6 },
		{ NEEDS_CSUM, 0x7f, 1000, 34, 16 },
		{ NEEDS_CSUM, 0x80, 1000, 34, 16 }, /* ECN of nothing */
		{ NEEDS_CSUM, 1, 1000, 0xfff0, 16 },
	};
	struct dl l;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++) {
		up(&l, v, 0);
		lies(lie, sizeof(lie) / sizeof(lie[0]));
		others_go_on(1);
		down(&l);
	}
}

static void offloads_that_were_not_negotiated_drop_the_frame(void **state)
{
	static const struct lie lie[] = {
		{ NEEDS_CSUM, 0, 0, 34, 16 },
		{ NEEDS_CSUM, 1, 1000, 34, 16 },
		{ NEEDS_CSUM, 0x81, 1000, 34, 16 },
		{ NEEDS_CSUM, 4, 1000, 54, 16 },
	};
	struct dl l;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++) {
		up(&l, v, F(CSUM) | F(HOST_TSO4) | F(HOST_TSO6) | F(HOST_ECN));
		lies(lie, 4);
		others_go_on(1);
		down(&l);
		up(&l, v, F(HOST_TSO4) | F(HOST_ECN));
		lies(&lie[1], 2);
		others_go_on(1);
		down(&l);
	}
}

static void what_is_the_devices_to_say_is_not_taken_from_a_sender(void **state)
{
	struct dl l;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++) {
		up(&l, v, 0);
		for (uint32_t i = 0; i < 4; i++) {
			struct virtio_net_hdr_v1 *h = tx_frame(a.mac, 200, i);

			h->num_buffers = i & 1 ? 0xffff : 2;
			h->hdr_len = i & 2 ? 0xffff : 1;
			h->gso_size = 17;
			h->csum_start = 0xffff;
			nl_raw_do(&raw.tx, &(struct tvq_sg){ tx.iova, NL_HDR + 200 }, 1, 0);
			arrives(200);
			assert_int_equal(a.got.hdr.hdr.gso_type, 0);
			assert_int_equal(a.got.hdr.hdr.flags, 0);
			assert_int_equal(a.got.hdr.hdr.gso_size, 0);
			assert_int_equal(a.got.hdr.hdr.csum_start, 0);
			assert_int_equal(a.got.hdr.hdr.hdr_len, 0);
		}
		down(&l);
	}
}

/* TQ-025 */
static void a_chain_that_breaks_the_rules_breaks_its_own_device(void **state)
{
	struct dl l;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++)
		for (int i = 0; i < 2; i++) {
			static struct nl_piece p;
			struct tvq_sg sg = { 0xdead00000000ull, 1000 };

			up(&l, v, 0);
			tvq_os_host_log_level((enum tvq_log_level) - 1);
			nl_raw_add(i ? &raw.rx : &raw.tx, &sg, !i, i, &p);
			dl_notify(i ? &raw.rx : &raw.tx);
			nl_ether(f, nl_everybody, a.mac, NL_TYPE, 60, 1);
			nl_send(&a, f, 60);
			nl_expect(&b, f, 60);
			dl_until(&l, dl_status(l.client, raw.id) & 0x40);
			tvq_os_host_log_level(TVQ_LOG_ERR);
			nl_passes(&a, &b, 60, 2);
			nl_passes(&b, &a, 60, 3);
			down(&l);
		}
}

/* ---- where it receives ---- */

/* A broadcast, which b gets too. */
static void broadcast(uint32_t len, uint32_t seed)
{
	nl_ether(f, nl_everybody, a.mac, NL_TYPE, len, seed);
	nl_send(&a, f, len);
	nl_expect(&b, f, len);
}

static uint64_t no_room(void)
{
	return nl_raw_info(&raw).stats.drops[TVQ_DROP_NO_ROOM];
}

static void a_driver_that_never_refills_loses_its_own_frames(void **state)
{
	static struct nl_buf buf[4];
	struct dl l;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++) {
		struct tvq_port_info info;

		up(&l, v, 0);
		memset(buf, 0, sizeof(buf));
		for (int i = 0; i < 4; i++)
			nl_buf_give(&raw, &buf[i], 2048);
		dl_notify(&raw.rx);
		for (uint32_t i = 0; i < 200; i++)
			broadcast(60 + i, i);
		info = nl_raw_info(&raw);
		nl_raw_collect(&raw.rx);
		for (uint32_t i = 0; i < 4; i++) {
			assert_true(buf[i].piece.used);
			assert_int_equal(buf[i].piece.written, NL_HDR + 60 + i);
		}
		assert_int_equal(info.stats.rx_packets, 4);
		assert_int_equal(info.stats.drops[TVQ_DROP_NO_BUFFER], 196);
		/* It may change its mind. */
		nl_buf_give(&raw, &buf[0], 2048);
		dl_notify(&raw.rx);
		broadcast(70, 1);
		dl_until(&l, nl_raw_used(&raw.rx, &buf[0].piece));
		assert_memory_equal(buf[0].va + NL_HDR, f, 70);
		others_go_on(1);
		down(&l);
	}
}

static void buffers_without_room_for_a_header_get_nothing(void **state)
{
	static struct nl_buf buf[64];
	struct dl l;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++)
		for (uint32_t size = 1; size < NL_HDR; size += size < 9 ? 4 : 1) {
			up(&l, v, 0);
			memset(buf, 0, sizeof(buf));
			for (int i = 0; i < 64; i++) {
				nl_buf_give(&raw, &buf[i], size);
				memset(buf[i].va, 0x5a, size);
			}
			dl_notify(&raw.rx);
			for (uint32_t i = 0; i < 20; i++)
				broadcast(60 + i * 10, i);
			assert_int_equal(no_room(), 20);
			assert_int_equal(nl_raw_collect(&raw.rx), 0);
			for (int i = 0; i < 64; i++)
				for (uint32_t k = 0; k < size; k++)
					assert_int_equal(buf[i].va[k], 0x5a);
			others_go_on(size);
			down(&l);
		}
}

static void one_byte_buffers_behind_a_header_take_a_short_frame(void **state)
{
	static struct nl_buf buf[64];
	struct dl l;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++) {
		up(&l, v, 0);
		memset(buf, 0, sizeof(buf));
		for (int i = 0; i < 64; i++)
			nl_buf_give(&raw, &buf[i], i ? 1 : NL_HDR);
		dl_notify(&raw.rx);
		/* 63 bytes are there. */
		broadcast(64, 1);
		broadcast(1000, 2);
		broadcast(60, 3);
		dl_until(&l, nl_raw_used(&raw.rx, &buf[0].piece));
		for (int i = 0; i < 61; i++) {
			assert_true(buf[i].piece.used);
			assert_int_equal(buf[i].piece.written, i ? 1 : NL_HDR);
			if (i)
				assert_int_equal(buf[i].va[0], f[i - 1]);
		}
		assert_int_equal(((struct virtio_net_hdr_v1 *)buf[0].va)->num_buffers, 61);
		assert_false(buf[61].piece.used);
		others_go_on(1);
		down(&l);
	}
}

static void without_merging_a_small_buffer_is_kept_for_a_small_frame(void **state)
{
	static struct nl_buf buf[2];
	struct dl l;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++) {
		up(&l, v, F(MRG_RXBUF));
		memset(buf, 0, sizeof(buf));
		nl_buf_give(&raw, &buf[0], 100);
		nl_buf_give(&raw, &buf[1], 2048);
		memset(buf[0].va, 0x5a, 100);
		dl_notify(&raw.rx);
		broadcast(89, 1);
		broadcast(1500, 2);
		assert_int_equal(no_room(), 2);
		assert_int_equal(nl_raw_collect(&raw.rx), 0);
		for (int i = 0; i < 100; i++)
			assert_int_equal(buf[0].va[i], 0x5a);
		broadcast(88, 3);
		dl_until(&l, nl_raw_used(&raw.rx, &buf[0].piece));
		assert_memory_equal(buf[0].va + NL_HDR, f, 88);
		broadcast(1500, 4);
		dl_until(&l, nl_raw_used(&raw.rx, &buf[1].piece));
		assert_memory_equal(buf[1].va + NL_HDR, f, 1500);
		others_go_on(1);
		down(&l);
	}
}

/* Readable pieces in a receive buffer are not written to; the rest serves. */
static void readable_pieces_of_a_receive_buffer_are_left_alone(void **state)
{
	struct dl l;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++) {
		static struct nl_piece p;
		uint64_t iova;
		uint8_t *va;

		up(&l, v, 0);
		va = dl_alloc(&raw.mem, 4096, 64, &iova);
		memset(va, 0x5a, 4096);
		nl_raw_add(
			&raw.rx,
			(struct tvq_sg[3]){ { iova, 512 }, { iova + 512, 7 }, { iova + 600, 500 } },
			1, 2, &p);
		dl_notify(&raw.rx);
		broadcast(200, 1);
		dl_until(&l, nl_raw_used(&raw.rx, &p));
		assert_int_equal(p.written, NL_HDR + 200);
		for (int i = 0; i < 512; i++)
			assert_int_equal(va[i], 0x5a);
		assert_int_equal(va[600 + 3], 1); /* num_buffers, cut in pieces */
		assert_int_equal(va[600 + 4], 0);
		assert_memory_equal(va + 600 + 5, f, 200);
		/* Only readable ones: no room, whatever comes. */
		nl_raw_add(&raw.rx, &(struct tvq_sg){ iova, 512 }, 1, 0, &p);
		dl_notify(&raw.rx);
		broadcast(60, 2);
		assert_int_equal(no_room(), 1);
		others_go_on(1);
		down(&l);
	}
}

/* ---- addresses ---- */

static void spoofchk_off(struct tvq_port *p, void *arg)
{
	(void)arg;
	tvq_port_set_spoofchk(p, false);
}

/* TQ-141 */
static void a_flood_of_addresses_fills_its_own_ports_list(void **state)
{
	static const uint8_t mac[6] = { 0x02, 0xf0, 0, 0, 0, 0 };
	struct dl l;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++) {
		struct tvq_net_frame *tf[32];
		struct tvq_port_info info;

		up(&l, v, 0);
		nl_on_port(&l, a.id, spoofchk_off, NULL);
		for (uint32_t i = 0; i < 3 * TVQ_LEARN_DEVICE / 32; i++) {
			for (uint32_t k = 0; k < 32; k++) {
				uint8_t src[6];

				memcpy(src, mac, 6);
				nl_be32(src + 2, i * 32 + k);
				nl_ether(f, b.mac, src, NL_TYPE, 60, i);
				tf[k] = nl_put(&a, NULL, f, 60);
			}
			assert_int_equal(tvq_net_send(a.net, 0, tf, 32), 32);
			nl_sent(&a, 0);
			for (int k = 0; k < 32; k++)
				nl_receive(&b, 0);
		}
		info = nl_info(&a);
		assert_int_equal(info.n_learned, TVQ_LEARN_DEVICE);
		assert_int_equal(info.stats.drops[TVQ_DROP_SPOOFED], 0);
		/* It still cannot be another one, and the others hear and are heard. */
		nl_ether(f, b.mac, raw.mac, NL_TYPE, 60, 1);
		nl_send(&a, f, 60);
		nl_nothing_before(&a, &b, 1);
		assert_int_equal(nl_drops(&a, TVQ_DROP_SPOOFED), 1);
		nl_passes(&b, &a, 60, 2);
		down(&l);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_shorter_than_header_and_addresses_is_dropped),
		cmocka_unit_test(a_frame_may_be_cut_anywhere),
		cmocka_unit_test(a_header_that_lies_drops_its_frame),
		cmocka_unit_test(offloads_that_were_not_negotiated_drop_the_frame),
		cmocka_unit_test(what_is_the_devices_to_say_is_not_taken_from_a_sender),
		cmocka_unit_test(a_chain_that_breaks_the_rules_breaks_its_own_device),
		cmocka_unit_test(a_driver_that_never_refills_loses_its_own_frames),
		cmocka_unit_test(buffers_without_room_for_a_header_get_nothing),
		cmocka_unit_test(one_byte_buffers_behind_a_header_take_a_short_frame),
		cmocka_unit_test(without_merging_a_small_buffer_is_kept_for_a_small_frame),
		cmocka_unit_test(readable_pieces_of_a_receive_buffer_are_left_alone),
		cmocka_unit_test(a_flood_of_addresses_fills_its_own_ports_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
