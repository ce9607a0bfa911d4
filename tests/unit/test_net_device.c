/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames between managed network devices: offloads with and without a receiver that has them,
 * buffers that are merged or not, lengths, steering. TQ-141, virtio 1.4, 5.1.6.
 */
#include "net_lab.h"

#include <linux/if_ether.h>

#define NEEDS_CSUM VIRTIO_NET_HDR_F_NEEDS_CSUM
#define GSO4	   VIRTIO_NET_HDR_GSO_TCPV4
#define GSO6	   VIRTIO_NET_HDR_GSO_TCPV6
#define ECN	   VIRTIO_NET_HDR_GSO_ECN

#define GUEST_OFFLOADS (F(GUEST_CSUM) | F(GUEST_TSO4) | F(GUEST_TSO6) | F(GUEST_ECN))
#define HOST_OFFLOADS  (F(CSUM) | F(HOST_TSO4) | F(HOST_TSO6) | F(HOST_ECN))

static struct nl_dev a, b, c;
static uint8_t f[NL_MAX];

static struct virtio_net_hdr_v1 tcp_hdr(bool six, uint8_t gso, uint16_t gso_size)
{
	return (struct virtio_net_hdr_v1){
		.flags = NEEDS_CSUM,
		.gso_type = gso,
		.hdr_len = six ? NL_TCP6_HEADERS : NL_TCP4_HEADERS,
		.gso_size = gso_size,
		.csum_start = six ? 54 : 34,
		.csum_offset = 16,
	};
}

static void up(struct dl *l, const struct nl_variant *v, uint64_t receiver)
{
	dl_up(l, v->workers, NULL);
	nl_dev_up(&a, l, v, 0);
	nl_dev_up(&b, l, v, receiver);
	assert_int_equal(tvq_net_features(b.net) & receiver, receiver);
}

static void down(struct dl *l)
{
	nl_dev_down(&a);
	nl_dev_down(&b);
	dl_down(l);
}

/* ---- offloads ---- */

static void offloads_pass_untouched_to_a_receiver_that_has_them(void **state)
{
	static const struct {
		bool six;
		uint8_t gso;
		uint32_t payload;
	} frames[] = {
		{ false, 0, 100 },	     { true, 0, 1400 },	    { false, GSO4, 3000 },
		{ false, GSO4, 65000 },	     { true, GSO6, 65000 }, { true, GSO6, 1 },
		{ false, GSO4 | ECN, 9000 },
	};
	struct dl l;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++) {
		up(&l, v, F(MAC) | F(MRG_RXBUF) | GUEST_OFFLOADS);
		for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
			struct virtio_net_hdr_v1 h =
				tcp_hdr(frames[i].six, frames[i].gso, frames[i].gso ? 1400 : 0);
			uint32_t len = nl_tcp(f, frames[i].six, b.mac, a.mac, frames[i].payload,
					      (uint32_t)i);

			nl_send_hdr(&a, 0, &h, f, len);
			nl_expect(&b, f, len);
			assert_int_equal(b.got.hdr.hdr.flags, NEEDS_CSUM);
			assert_int_equal(b.got.hdr.hdr.gso_type, frames[i].gso);
			assert_int_equal(b.got.hdr.hdr.gso_size, h.gso_size);
			assert_int_equal(b.got.hdr.hdr.csum_start, h.csum_start);
			assert_int_equal(b.got.hdr.hdr.csum_offset, h.csum_offset);
			/* Merged buffers of 2048 bytes. */
			assert_int_equal(b.got.hdr.hdr.num_buffers, (NL_HDR + len + 2047) / 2048);
		}
		down(&l);
	}
}

/* Segments come until all the payload has. csum: their checksum is left to the receiver. */
static void receive_segments(bool six, uint32_t payload, uint32_t gso_size, bool csum)
{
	static uint8_t sent[NL_MAX];
	uint32_t headers = six ? NL_TCP6_HEADERS : NL_TCP4_HEADERS, l4 = six ? 54 : 34, at = 0;
	uint32_t n = 0;

	memcpy(sent, f, headers + payload);
	while (at < payload) {
		uint32_t part = payload - at < gso_size ? payload - at : gso_size;
		bool last = at + part == payload;
		uint8_t *got = b.got.data;

		nl_receive(&b, 0);
		assert_int_equal(b.got.len, headers + part);
		assert_int_equal(b.got.hdr.hdr.flags, csum ? VIRTIO_NET_HDR_F_NEEDS_CSUM : 0);
		if (csum) {
			assert_int_equal(b.got.hdr.hdr.csum_start, l4);
			assert_int_equal(b.got.hdr.hdr.csum_offset, 16);
			nl_be16(got + l4 + 16, 0xffff & ~nl_sum(0, got + l4, b.got.len - l4));
		}
		assert_int_equal(b.got.hdr.hdr.gso_type, 0);
		assert_int_equal(b.got.hdr.hdr.gso_size, 0);
		assert_true(nl_tcp_right(got, b.got.len));
		assert_memory_equal(got, sent, 14);
		assert_memory_equal(got + headers, sent + headers + at, part);
		assert_int_equal(nl_get_be32(got + l4 + 4),
				 (uint32_t)(nl_get_be32(sent + l4 + 4) + at));
		assert_int_equal(nl_get_be32(got + l4 + 8), nl_get_be32(sent + l4 + 8));
		/* PSH with the last only. */
		assert_int_equal(got[l4 + 13], last ? 0x18 : 0x10);
		if (!six) /* the identification counts up */
			assert_int_equal(nl_get_be16(got + 18),
					 (nl_get_be16(sent + 18) + n) & 0xffff);
		at += part;
		n++;
	}
}

static void what_the_receiver_lacks_is_done_for_it(void **state)
{
	static const uint64_t receivers[] = {
		F(MAC) | F(MRG_RXBUF), F(MAC), F(MAC) | F(GUEST_CSUM) | F(MRG_RXBUF),
		F(MAC) | F(MRG_RXBUF) | F(GUEST_CSUM) | F(GUEST_TSO6), /* tested with v4 */
	};
	static const uint32_t payloads[] = { 1, 1448, 1449, 14480, 63000, 65000 };
	struct dl l;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++)
		for (size_t r = 0; r < 4; r++) {
			up(&l, v, receivers[r]);
			for (size_t i = 0; i < 6; i++)
				for (int six = 0; six < (r == 3 ? 1 : 2); six++) {
					struct virtio_net_hdr_v1 h =
						tcp_hdr(six, six ? GSO6 : GSO4, 1448 - 12 * six);

					nl_send_hdr(&a, 0, &h, f,
						    nl_tcp(f, six, b.mac, a.mac, payloads[i],
							   (uint32_t)i));
					receive_segments(six, payloads[i],
							 1448 - 12 * (uint32_t)six,
							 receivers[r] & F(GUEST_CSUM));
				}
			nl_nothing_before(&a, &b, 1);
			assert_int_equal(nl_drops(&b, TVQ_DROP_NO_BUFFER), 0);
			down(&l);
		}
}

/* For each variant: a sends and b, which takes no offload, receives. */
static void to_plain_receiver(void (*pass)(struct dl *l, const struct nl_variant *v))
{
	struct dl l;

	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++) {
		up(&l, v, F(MAC) | F(MRG_RXBUF));
		pass(&l, v);
		down(&l);
	}
}

static void pass_partial_checksums(struct dl *l, const struct nl_variant *v)
{
	(void)l;
	(void)v;
	for (uint32_t payload = 1; payload < 1400; payload += 133) {
		for (int six = 0; six < 2; six++) {
			struct virtio_net_hdr_v1 h = tcp_hdr(six, 0, 0);
			uint32_t len = nl_tcp(f, six, b.mac, a.mac, payload, payload);

			nl_send_hdr(&a, 0, &h, f, len);
			nl_receive(&b, 0);
			assert_int_equal(b.got.hdr.hdr.flags, 0);
			assert_int_equal(b.got.len, len);
			assert_true(nl_tcp_right(b.got.data, len));
			/* And nothing else has changed. */
			memcpy(f + h.csum_start + 16, b.got.data + h.csum_start + 16, 2);
			assert_memory_equal(b.got.data, f, len);
		}
	}
}

static void a_partial_checksum_is_completed_for_a_receiver_without_it(void **state)
{
	(void)state;
	to_plain_receiver(pass_partial_checksums);
}

static void pass_broadcasts(struct dl *l, const struct nl_variant *v)
{
	struct virtio_net_hdr_v1 h = tcp_hdr(false, GSO4, 1000);

	nl_dev_up(&c, l, v, F(MAC) | F(MRG_RXBUF) | GUEST_OFFLOADS);
	for (int i = 0; i < 5; i++) {
		uint32_t len = nl_tcp(f, false, nl_everybody, a.mac, 5000, 1);

		nl_send_hdr(&a, 0, &h, f, len);
		nl_expect(&c, f, len);
		assert_int_equal(c.got.hdr.hdr.gso_type, GSO4);
		receive_segments(false, 5000, 1000, false);
	}
	nl_dev_down(&c);
}

/* One sender's frame, each receiver by what it can. */
static void each_receiver_of_a_broadcast_gets_what_it_can_take(void **state)
{
	(void)state;
	to_plain_receiver(pass_broadcasts);
}

static void pass_what_is_no_segment(struct dl *l, const struct nl_variant *v)
{
	struct virtio_net_hdr_v1 h = tcp_hdr(false, GSO4, 1000);

	(void)l;
	(void)v;
	for (int i = 0; i < 5; i++) {
		uint32_t len = nl_tcp(f, false, b.mac, a.mac, 5000, 1);

		switch (i) {
		case 0:
			f[12] = 0x88; /* no IP */
			break;
		case 1:
			f[14 + 9] = 17; /* UDP */
			break;
		case 2:
			f[14] = 0x4f; /* the IP header ends behind csum_start */
			break;
		case 3:
			f[34 + 12] = 0x40; /* a TCP header of 16 bytes */
			break;
		default:
			f[14] = 0x65; /* version 6 */
			break;
		}
		nl_send_hdr(&a, 0, &h, f, len);
		nl_nothing_before(&a, &b, (uint32_t)i);
		assert_int_equal(nl_drops(&b, TVQ_DROP_OFFLOAD), i + 1);
	}
}

/* What the header describes is not there: dropped where it would have to be done, passed on
 * otherwise. */
static void a_frame_that_is_not_what_its_header_says_is_not_segmented(void **state)
{
	(void)state;
	to_plain_receiver(pass_what_is_no_segment);
}

/* ---- buffers ---- */

static void without_mrg_rxbuf_a_frame_is_in_one_buffer(void **state)
{
	struct dl l;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++) {
		struct tvq_net_cfg cfg = { .packed = v->packed,
					   .features = F(MAC),
					   .buffer_size = 512,
					   .queue_size = 16 };
		struct virtio_net_hdr_v1 lie = { .num_buffers = 77 };

		dl_up(&l, v->workers, NULL);
		nl_dev_up(&a, &l, v, 0);
		nl_drive(&b, &l, nl_create(l.client, 0, NULL), &cfg);
		for (uint32_t len = 400; len < 600; len++) {
			nl_ether(f, b.mac, a.mac, NL_TYPE, len, len);
			nl_send_hdr(&a, 0, &lie, f, len);
			if (len > 512 - NL_HDR)
				continue;
			nl_expect(&b, f, len);
			assert_int_equal(b.got.hdr.hdr.num_buffers, 1);
		}
		nl_nothing_before(&a, &b, 1);
		assert_int_equal(nl_drops(&b, TVQ_DROP_NO_ROOM), 99);
		down(&l);
	}
}

static void many_small_buffers_take_a_long_frame(void **state)
{
	static const uint32_t sizes[] = { 64, 100, 1024 };
	struct dl l;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++)
		for (size_t i = 0; i < 3; i++) {
			struct tvq_net_cfg cfg = { .packed = v->packed, .buffer_size = sizes[i] };

			dl_up(&l, v->workers, NULL);
			nl_dev_up(&a, &l, v, 0);
			nl_drive(&b, &l, nl_create(l.client, 0, NULL), &cfg);
			for (uint32_t k = 0; k < 30; k++) {
				uint32_t len = 60 + k * 50;

				nl_ether(f, b.mac, a.mac, NL_TYPE, len, k);
				nl_send(&a, f, len);
				nl_expect(&b, f, len);
				assert_int_equal(b.got.hdr.hdr.num_buffers,
						 (NL_HDR + len + sizes[i] - 1) / sizes[i]);
			}
			down(&l);
		}
}

/* ---- lengths ---- */

static struct virtio_transportq_net_config of_mtu(uint16_t mtu)
{
	return (struct virtio_transportq_net_config){ .mtu = mtu };
}

static void pair_with_mtus(struct dl *l, const struct nl_variant *v, uint16_t from, uint16_t to)
{
	struct virtio_transportq_net_config x = of_mtu(from), y = of_mtu(to);
	struct tvq_net_cfg cfg = { .packed = v->packed, .queue_size = 64 };

	dl_up(l, v->workers, NULL);
	nl_drive(&a, l, nl_create(l->client, 0, &x), &cfg);
	nl_drive(&b, l, nl_create(l->client, 0, &y), &cfg);
}

static void frames_above_the_mtu_are_dropped(void **state)
{
	static const uint16_t mtus[] = { 68, 1000, 1500, 9000, 65521 };
	struct dl l;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++)
		for (size_t i = 0; i < 5; i++) {
			uint32_t len = 14u + mtus[i];

			/* The sender's. */
			pair_with_mtus(&l, v, mtus[i], 65521);
			nl_passes(&a, &b, len, 1);
			if (mtus[i] < 65521) {
				nl_ether(f, b.mac, a.mac, NL_TYPE, len + 1, 2);
				nl_send(&a, f, len + 1);
				nl_nothing_before(&a, &b, 1);
				assert_int_equal(nl_drops(&a, TVQ_DROP_TOO_LONG), 1);
			}
			/* A tag does not count. */
			nl_ether(f, b.mac, a.mac, ETH_P_8021Q, len + 4, 3);
			nl_be16(f + 14, 5);
			nl_be16(f + 16, NL_TYPE);
			nl_send(&a, f, len + 4);
			nl_expect(&b, f, len + 4);
			down(&l);
			/* The receiver's. */
			pair_with_mtus(&l, v, 65521, mtus[i]);
			nl_passes(&a, &b, len, 1);
			if (mtus[i] < 65521) {
				nl_ether(f, b.mac, a.mac, NL_TYPE, len + 1, 2);
				nl_send(&a, f, len + 1);
				nl_nothing_before(&a, &b, 1);
				assert_int_equal(nl_drops(&b, TVQ_DROP_RX_LONG), 1);
			}
			down(&l);
		}
}

/* ---- pairs ---- */

static void with_pairs(struct dl *l, const struct nl_variant *v, struct nl_dev *d, uint16_t n,
		       uint64_t offered, uint64_t accepted)
{
	struct virtio_transportq_net_config cfg = { .max_virtqueue_pairs = n };
	struct tvq_net_cfg dc = {
		.packed = v->packed, .pairs = n, .queue_size = 32, .features = accepted
	};

	nl_drive(d, l, nl_create(l->client, offered, &cfg), &dc);
}

static uint32_t flow(const uint8_t *to, const uint8_t *from, uint16_t port, bool back)
{
	uint32_t len = nl_tcp(f, false, to, from, 20, port);

	nl_be16(f + (back ? 36 : 34), 5000u + port);
	nl_be16(f + (back ? 34 : 36), 80);
	if (back) {
		nl_be32(f + 26, 0x0a000002);
		nl_be32(f + 30, 0x0a000001);
	}
	return len;
}

/* Which pair the next frame comes on. */
static uint16_t comes_on(struct nl_dev *d)
{
	uint64_t end = tvq_os_host.now() + 20 * SECOND;

	for (;;) {
		for (uint16_t p = 0; p < tvq_net_pairs(d->net); p++)
			if (nl_poll(d, p))
				return p;
		assert_true(tvq_os_host.now() < end);
		tvq_loop_turn(d->l->loop, false);
	}
}

static void a_flow_is_received_on_the_pair_that_it_is_sent_on(void **state)
{
	struct dl l;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++) {
		dl_up(&l, v->workers, NULL);
		with_pairs(&l, v, &a, 4, 0, 0);
		nl_dev_up(&b, &l, v, 0);
		for (uint16_t p = 0; p < 40; p++) {
			uint32_t len = flow(b.mac, a.mac, p, false);

			nl_send_hdr(&a, p % 4, NULL, f, len);
			nl_expect(&b, f, len);
			len = flow(a.mac, b.mac, p, true);
			nl_send(&b, f, len);
			assert_int_equal(comes_on(&a), p % 4);
			assert_memory_equal(a.got.data, f, len);
		}
		down(&l);
	}
}

static void frames_use_the_pairs_that_the_driver_chose(void **state)
{
	struct dl l;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++) {
		unsigned int seen = 0;

		dl_up(&l, v->workers, NULL);
		with_pairs(&l, v, &a, 4, 0, 0);
		nl_dev_up(&b, &l, v, 0);
		for (uint16_t n = 1; n <= 4; n++) {
			assert_int_equal(tvq_net_use_pairs(a.net, n), 0);
			seen = 0;
			for (uint16_t p = 0; p < 64; p++) {
				nl_send(&b, f, flow(a.mac, b.mac, p, true));
				seen |= 1u << comes_on(&a);
			}
			assert_int_equal(seen, (1u << n) - 1);
		}
		down(&l);
	}
}

#define BASE (BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_ACCESS_PLATFORM) | BIT(VIRTIO_F_RING_PACKED))

struct rss {
	struct {
		uint32_t types;
		uint16_t mask, unclassified, table[4], max_tx;
		uint8_t key_len, key[40];
	} __attribute__((packed)) c;
};

static struct rss rss_config(uint16_t t0, uint16_t t1, uint16_t t2, uint16_t t3)
{
	struct rss r = { .c = { .types = VIRTIO_NET_RSS_HASH_TYPE_IPv4 |
					 VIRTIO_NET_RSS_HASH_TYPE_TCPv4,
				.mask = 3,
				.unclassified = 1,
				.table = { t0, t1, t2, t3 },
				.max_tx = 4,
				.key_len = 40 } };
	/* The key of the example in every card's manual. */
	static const uint8_t key[40] = {
		0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
		0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
		0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa
	};

	memcpy(r.c.key, key, 40);
	return r;
}

static void rss_steers_and_reports_the_hash(void **state)
{
	uint64_t own = F(MAC) | F(CTRL_VQ) | F(MQ) | F(RSS) | F(HASH_REPORT);
	struct dl l;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++) {
		struct rss r = rss_config(0, 1, 2, 3);
		uint32_t len;

		dl_up(&l, v->workers, NULL);
		with_pairs(&l, v, &a, 4, BASE | own, own);
		assert_int_equal(tvq_net_hdr_len(a.net), 20);
		nl_dev_up(&b, &l, v, 0);
		assert_int_equal(tvq_net_ctrl(a.net, VIRTIO_NET_CTRL_MQ,
					      VIRTIO_NET_CTRL_MQ_RSS_CONFIG, &r.c, sizeof(r.c)),
				 0);
		/* The published example: 66.9.149.187:2794 to 161.142.100.80:1766. */
		len = nl_tcp(f, false, a.mac, b.mac, 20, 1);
		nl_be32(f + 26, 0x420995bb);
		nl_be32(f + 30, 0xa18e6450);
		nl_be16(f + 34, 2794);
		nl_be16(f + 36, 1766);
		nl_send(&b, f, len);
		assert_int_equal(comes_on(&a), 0x51ccc178 & 3);
		assert_int_equal(a.got.hdr.hash_value, 0x51ccc178);
		assert_int_equal(a.got.hdr.hash_report, VIRTIO_NET_HASH_REPORT_TCPv4);
		assert_memory_equal(a.got.data, f, len);
		/* No hash: the pair for what is not classified. */
		nl_ether(f, a.mac, b.mac, NL_TYPE, 60, 1);
		nl_send(&b, f, 60);
		assert_int_equal(comes_on(&a), 1);
		assert_int_equal(a.got.hdr.hash_report, VIRTIO_NET_HASH_REPORT_NONE);
		/* Another table. */
		r = rss_config(3, 3, 3, 3);
		assert_int_equal(tvq_net_ctrl(a.net, VIRTIO_NET_CTRL_MQ,
					      VIRTIO_NET_CTRL_MQ_RSS_CONFIG, &r.c, sizeof(r.c)),
				 0);
		nl_send(&b, f, flow(a.mac, b.mac, 1, true));
		assert_int_equal(comes_on(&a), 3);
		down(&l);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(offloads_pass_untouched_to_a_receiver_that_has_them),
		cmocka_unit_test(what_the_receiver_lacks_is_done_for_it),
		cmocka_unit_test(a_partial_checksum_is_completed_for_a_receiver_without_it),
		cmocka_unit_test(each_receiver_of_a_broadcast_gets_what_it_can_take),
		cmocka_unit_test(a_frame_that_is_not_what_its_header_says_is_not_segmented),
		cmocka_unit_test(without_mrg_rxbuf_a_frame_is_in_one_buffer),
		cmocka_unit_test(many_small_buffers_take_a_long_frame),
		cmocka_unit_test(frames_above_the_mtu_are_dropped),
		cmocka_unit_test(a_flow_is_received_on_the_pair_that_it_is_sent_on),
		cmocka_unit_test(frames_use_the_pairs_that_the_driver_chose),
		cmocka_unit_test(rss_steers_and_reports_the_hash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
