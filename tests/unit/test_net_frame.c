/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From a transmitted chain to a frame: what is accepted, what is refused, and that nothing depends
 * on how the driver cut its memory. Each piece is an allocation of its own, exactly as long, so that
 * the address sanitizer sees what is read beyond.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <linux/virtio_net.h>

#include "types/net_frame.h"

#define F(name)	 (1ull << VIRTIO_NET_F_##name)
#define ALL	 (F(CSUM) | F(HOST_TSO4) | F(HOST_TSO6) | F(HOST_ECN))
#define MAX_SEGS 64
#define MAX_LEN	 (20 + 18 + 65535 + 64)

/* Header of 12 (or 20) bytes and frame, and the chain that they are cut into. */
struct sent {
	uint8_t bytes[MAX_LEN];
	uint32_t hdr_len, len; /* len: of both */
	struct tvq_seg seg[MAX_SEGS];
	struct tvq_chain c;
	void *block[MAX_SEGS];
	unsigned int n_blocks;
};

static const uint8_t to[6] = { 2, 0, 0, 0, 0, 9 }, from[6] = { 2, 0, 0, 0, 0, 7 };

static struct virtio_net_hdr_v1 *hdr_of(struct sent *s)
{
	return (struct virtio_net_hdr_v1 *)s->bytes;
}

/* frame: bytes of it, tag included. */
static struct sent *sent_new(uint32_t hdr_len, uint32_t frame, bool tag)
{
	struct sent *s = calloc(1, sizeof(*s));
	uint8_t *eth;

	assert_non_null(s);
	assert_true(hdr_len + frame <= MAX_LEN);
	s->hdr_len = hdr_len;
	s->len = hdr_len + frame;
	eth = s->bytes + hdr_len;
	for (uint32_t i = 0; i < frame + 18 && hdr_len + i < MAX_LEN; i++)
		eth[i] = (uint8_t)(i * 7 + 3);
	memcpy(eth, to, 6);
	memcpy(eth + 6, from, 6);
	memcpy(eth + 12, tag ? "\x81\x00\xa0\x07\x08\x00" : "\x08\x00", tag ? 6 : 2);
	return s;
}

static void unload(struct sent *s)
{
	while (s->n_blocks)
		free(s->block[--s->n_blocks]);
}

static void sent_free(struct sent *s)
{
	unload(s);
	free(s);
}

static void add_piece(struct sent *s, uint32_t at, uint32_t n)
{
	unsigned int i = s->c.n_out++;

	s->block[i] = malloc(n);
	assert_non_null(s->block[i]);
	s->n_blocks++;
	memcpy(s->block[i], s->bytes + at, n);
	s->seg[i] = (struct tvq_seg){ s->block[i], n };
}

/* Cuts it: a first piece, a second one, then the rest in one (0: none of that length). */
static void load(struct sent *s, uint32_t first, uint32_t second)
{
	uint32_t at = 0;

	unload(s);
	s->c = (struct tvq_chain){ .seg = s->seg, .max_seg = MAX_SEGS, .out_len = s->len };
	if (first && first < s->len) {
		add_piece(s, 0, first);
		at = first;
	}
	if (second && at + second < s->len) {
		add_piece(s, at, second);
		at += second;
	}
	if (at < s->len)
		add_piece(s, at, s->len - at);
}

static int make(struct sent *s, struct tvq_frame *f, uint64_t features)
{
	load(s, 0, 0);
	memset(f, 0x5a, sizeof(*f));
	return net_frame_make(f, &s->c, features, s->hdr_len);
}

static void refused(struct sent *s, enum tvq_drop why, uint64_t features)
{
	struct tvq_frame f;

	assert_int_equal(make(s, &f, features), -((int)why + 1));
}

static void accepted(struct sent *s, struct tvq_frame *f, uint64_t features)
{
	assert_int_equal(make(s, f, features), 0);
}

/* What f holds is the frame, byte for byte. */
static void check(const struct sent *s, const struct tvq_frame *f, bool tag)
{
	uint32_t at = s->hdr_len + (tag ? 16 : 12);

	assert_memory_equal(f->mac, to, 6);
	assert_memory_equal(f->mac + 6, from, 6);
	assert_int_equal(f->tagged, tag);
	assert_int_equal(f->tci, tag ? 0xa007 : 0);
	assert_int_equal(f->vid, 0);
	assert_int_equal(f->len, s->len - at);
	assert_true(f->n_seg >= 1);
	for (unsigned int i = 0; i < f->n_seg; i++) {
		assert_true(f->seg[i].len);
		assert_memory_equal(f->seg[i].va, s->bytes + at, f->seg[i].len);
		at += (uint32_t)f->seg[i].len;
	}
	assert_int_equal(at, s->len);
}

static void a_frame_is_the_same_however_its_memory_is_cut(void **state)
{
	static const uint32_t lens[] = { 18, 19, 60, 61, 64, 128, 1514 };
	struct tvq_frame f;

	(void)state;
	for (unsigned int v = 0; v < 4; v++) {
		for (unsigned int k = 0; k < sizeof(lens) / sizeof(lens[0]); k++) {
			struct sent *s = sent_new(v & 1 ? 20 : 12, lens[k], v & 2);

			for (uint32_t first = 0; first < 64; first++) {
				for (uint32_t second = 0; second < 24; second++) {
					load(s, first, second);
					assert_int_equal(net_frame_make(&f, &s->c, ALL, s->hdr_len),
							 0);
					check(s, &f, v & 2);
				}
			}
			sent_free(s);
		}
	}
}

static void a_frame_in_single_bytes_is_taken(void **state)
{
	struct sent *s = sent_new(12, 40, true);
	struct tvq_frame f;

	(void)state;
	s->c = (struct tvq_chain){ .seg = s->seg, .max_seg = MAX_SEGS, .out_len = s->len };
	for (uint32_t i = 0; i < s->len; i++)
		add_piece(s, i, 1);
	assert_int_equal(net_frame_make(&f, &s->c, ALL, 12), 0);
	check(s, &f, true);
	sent_free(s);
}

static void a_chain_shorter_than_header_and_addresses_is_refused(void **state)
{
	static const uint8_t hdrs[] = { 12, 20 };
	struct tvq_frame f;

	(void)state;
	for (unsigned int k = 0; k < 2; k++) {
		for (uint32_t frame = 0; frame < 14; frame++) {
			struct sent *s = sent_new(hdrs[k], frame, false);

			refused(s, TVQ_DROP_HEADER, ALL);
			s->len = frame; /* not even the header */
			refused(s, TVQ_DROP_HEADER, ALL);
			sent_free(s);
		}
		struct sent *s = sent_new(hdrs[k], 14, false);

		accepted(s, &f, ALL);
		assert_int_equal(f.len, 2);
		sent_free(s);
	}
}

static void a_tag_that_is_cut_off_is_refused(void **state)
{
	struct tvq_frame f;

	(void)state;
	for (uint32_t frame = 14; frame < 18; frame++) {
		struct sent *s = sent_new(12, frame, true);

		refused(s, TVQ_DROP_HEADER, ALL);
		sent_free(s);
	}
	struct sent *s = sent_new(12, 18, true);

	accepted(s, &f, ALL);
	check(s, &f, true);
	sent_free(s);
}

static void chains_without_readable_part_or_with_too_many_pieces_are_refused(void **state)
{
	struct sent *s = sent_new(12, 60, false);
	struct tvq_frame f;

	(void)state;
	load(s, 0, 0);
	s->c.too_long = true;
	assert_int_equal(net_frame_make(&f, &s->c, ALL, 12), -(TVQ_DROP_HEADER + 1));
	s->c = (struct tvq_chain){ .seg = s->seg, .max_seg = MAX_SEGS, .n_in = 1, .in_len = 4096 };
	assert_int_equal(net_frame_make(&f, &s->c, ALL, 12), -(TVQ_DROP_HEADER + 1));
	sent_free(s);
}

static void the_longest_frame_is_an_ip_packet_of_65535_bytes(void **state)
{
	struct sent *s = sent_new(12, 14 + 65535, false);
	struct tvq_frame f;

	(void)state;
	accepted(s, &f, ALL);
	assert_int_equal(f.len, NET_FRAME_MAX);
	s->len++;
	refused(s, TVQ_DROP_TOO_LONG, ALL);
	/* A chain's length saturates. */
	load(s, 0, 0);
	s->c.out_len = UINT32_MAX;
	assert_int_equal(net_frame_make(&f, &s->c, ALL, 12), -(TVQ_DROP_TOO_LONG + 1));
	sent_free(s);
}

static void set_csum(struct sent *s, uint16_t start, uint16_t offset)
{
	hdr_of(s)->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	hdr_of(s)->csum_start = start;
	hdr_of(s)->csum_offset = offset;
}

static void a_checksum_is_where_the_header_says_less_what_was_taken_off(void **state)
{
	struct tvq_frame f;

	(void)state;
	for (int tag = 0; tag < 2; tag++) {
		struct sent *s = sent_new(12, 100, tag);

		set_csum(s, 34 + 4 * tag, 16);
		accepted(s, &f, F(CSUM));
		assert_int_equal(f.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
		assert_int_equal(f.gso_type, 0);
		assert_int_equal(f.csum_start, 34 - 12);
		assert_int_equal(f.csum_offset, 16);
		sent_free(s);
	}
}

static void a_checksum_outside_the_frame_is_refused(void **state)
{
	struct tvq_frame f;

	(void)state;
	for (int tag = 0; tag < 2; tag++) {
		struct sent *s = sent_new(12, 100, tag);

		set_csum(s, 34, 64); /* its last byte is the frame's last */
		accepted(s, &f, ALL);
		set_csum(s, 34, 65);
		refused(s, TVQ_DROP_HEADER, ALL);
		set_csum(s, 98, 0);
		accepted(s, &f, ALL);
		set_csum(s, 99, 0);
		refused(s, TVQ_DROP_HEADER, ALL);
		set_csum(s, 0xffff, 0xffff);
		refused(s, TVQ_DROP_HEADER, ALL);
		set_csum(s, 34, 0xffff);
		refused(s, TVQ_DROP_HEADER, ALL);
		/* Nor in the addresses or the tag: those are checked and not changed. */
		set_csum(s, 0, 40);
		refused(s, TVQ_DROP_HEADER, ALL);
		set_csum(s, 13 + 4 * tag, 40);
		refused(s, TVQ_DROP_HEADER, ALL);
		set_csum(s, 14 + 4 * tag, 40);
		accepted(s, &f, ALL);
		sent_free(s);
	}
}

static void a_checksum_that_was_not_negotiated_is_refused(void **state)
{
	struct sent *s = sent_new(12, 100, false);

	(void)state;
	set_csum(s, 34, 16);
	refused(s, TVQ_DROP_HEADER, ALL & ~F(CSUM));
	sent_free(s);
}

static void set_gso(struct sent *s, uint8_t type, uint16_t size)
{
	set_csum(s, 34, 16);
	hdr_of(s)->gso_type = type;
	hdr_of(s)->gso_size = size;
}

static void each_segmentation_needs_its_feature(void **state)
{
	static const struct {
		uint8_t type;
		uint64_t features;
	} kinds[] = {
		{ VIRTIO_NET_HDR_GSO_TCPV4, F(CSUM) | F(HOST_TSO4) },
		{ VIRTIO_NET_HDR_GSO_TCPV6, F(CSUM) | F(HOST_TSO6) },
		{ VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN,
		  F(CSUM) | F(HOST_TSO4) | F(HOST_ECN) },
		{ VIRTIO_NET_HDR_GSO_TCPV6 | VIRTIO_NET_HDR_GSO_ECN,
		  F(CSUM) | F(HOST_TSO6) | F(HOST_ECN) },
	};
	struct sent *s = sent_new(12, 3000, false);
	struct tvq_frame f;

	(void)state;
	for (unsigned int i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		set_gso(s, kinds[i].type, 1448);
		accepted(s, &f, kinds[i].features);
		assert_int_equal(f.gso_type, kinds[i].type);
		assert_int_equal(f.gso_size, 1448);
		assert_int_equal(f.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
		for (unsigned int bit = 0; bit < 64; bit++)
			if (kinds[i].features >> bit & 1)
				refused(s, TVQ_DROP_HEADER, ALL & ~(1ull << bit));
	}
	sent_free(s);
}

static void segmentation_that_cannot_be_is_refused(void **state)
{
	struct sent *s = sent_new(12, 3000, false);
	struct tvq_frame f;

	(void)state;
	set_gso(s, VIRTIO_NET_HDR_GSO_TCPV4, 1);
	accepted(s, &f, ALL);
	set_gso(s, VIRTIO_NET_HDR_GSO_TCPV4, 0);
	refused(s, TVQ_DROP_HEADER, ALL);
	set_gso(s, VIRTIO_NET_HDR_GSO_TCPV4, 1448);
	hdr_of(s)->flags = 0;
	refused(s, TVQ_DROP_HEADER, ALL);
	for (unsigned int type = 0; type < 256; type++) {
		unsigned int base = type & 0x7f;

		set_gso(s, (uint8_t)type, 1448);
		if (type && base != VIRTIO_NET_HDR_GSO_TCPV4 && base != VIRTIO_NET_HDR_GSO_TCPV6)
			refused(s, TVQ_DROP_HEADER, ~0ull);
		else
			accepted(s, &f, ~0ull);
	}
	sent_free(s);
}

static void fields_that_the_device_has_no_use_for_are_ignored(void **state)
{
	struct sent *s = sent_new(20, 100, false);
	struct tvq_frame f;

	(void)state;
	memset(s->bytes, 0xff, 20);
	hdr_of(s)->flags = 0xfe; /* all but NEEDS_CSUM */
	hdr_of(s)->gso_type = 0;
	accepted(s, &f, ALL);
	check(s, &f, false);
	assert_int_equal(f.flags, 0);
	assert_int_equal(f.gso_type, 0);
	assert_int_equal(f.gso_size, 0);
	assert_int_equal(f.csum_start, 0);
	assert_int_equal(f.csum_offset, 0);
	sent_free(s);
}

/* Random headers over a random frame, of which many are refused and for each reason. */
static void random_sent(struct sent *s, unsigned int seed)
{
	static const uint8_t gso[] = { 0, 0, 0, 1, 4, 0x81, 0x84, 3 };

	hdr_of(s)->flags = (uint8_t)(seed >> 4 & 1);
	hdr_of(s)->gso_type = gso[seed >> 5 & 7];
	hdr_of(s)->gso_size = (uint16_t)(seed >> 8 & 3 ? 1448 : 0);
	hdr_of(s)->csum_start = (uint16_t)(seed >> 10 & 0x7f);
	hdr_of(s)->csum_offset = (uint16_t)(seed >> 17 & 0x3f);
	hdr_of(s)->hdr_len = (uint16_t)seed;
	hdr_of(s)->num_buffers = (uint16_t)~seed;
}

static void same_frame(const struct tvq_frame *a, const struct tvq_frame *b)
{
	assert_memory_equal(a->mac, b->mac, 12);
	assert_int_equal(a->tagged, b->tagged);
	assert_int_equal(a->tci, b->tci);
	assert_int_equal(a->vid, b->vid);
	assert_int_equal(a->flags, b->flags);
	assert_int_equal(a->gso_type, b->gso_type);
	assert_int_equal(a->gso_size, b->gso_size);
	assert_int_equal(a->csum_start, b->csum_start);
	assert_int_equal(a->csum_offset, b->csum_offset);
	assert_int_equal(a->queue, b->queue);
	assert_int_equal(a->len, b->len);
}

#define BATCH 64

static void buffers_are_judged_as_chains_are(void **state)
{
	static const uint32_t lens[] = {
		0, 5, 13, 14, 15, 16, 17, 18, 60, 100, 1514, 65549, 65550
	};
	static struct tvq_frame one[BATCH], all[BATCH];
	static struct tvq_seg seg[BATCH];
	static struct tvq_buf b[BATCH];
	static struct sent *s[BATCH];
	unsigned int seed = 1, good = 0;

	(void)state;
	for (unsigned int round = 0; round < 200; round++) {
		uint32_t expect[TVQ_DROPS] = { 0 }, drops[TVQ_DROPS] = { 0 };
		unsigned int hdr_len = round & 1 ? 20 : 12, m = 0, n = round % BATCH;

		for (unsigned int i = 0; i < n; i++) {
			uint32_t len = lens[(seed >> 16) % (sizeof(lens) / sizeof(lens[0]))];
			int err;

			seed = seed * 1664525 + 1013904223;
			s[i] = sent_new(hdr_len, len, seed >> 9 & 1);
			random_sent(s[i], seed);
			/* Some without even a whole header. */
			if (!(seed >> 27))
				s[i]->len = 1 + (seed & 7);
			load(s[i], 0, 0);
			b[i] = (struct tvq_buf){ .va = s[i]->seg[0].va, .len = s[i]->len };
			err = net_frame_make(&one[m], &s[i]->c, ALL, hdr_len);
			if (err)
				expect[-err - 1]++;
			else
				m++;
		}
		assert_int_equal(net_frame_make_bufs(all, seg, b, n, ALL, hdr_len, drops), m);
		assert_memory_equal(drops, expect, sizeof(drops));
		for (unsigned int i = 0; i < m; i++) {
			assert_ptr_equal(all[i].seg, &seg[i]);
			assert_int_equal(all[i].n_seg, 1);
			assert_ptr_equal(seg[i].va, one[i].seg->va);
			assert_int_equal(seg[i].len, one[i].seg->len);
			same_frame(&all[i], &one[i]);
		}
		good += m;
		for (unsigned int i = 0; i < n; i++)
			sent_free(s[i]);
	}
	assert_true(good > 500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_frame_is_the_same_however_its_memory_is_cut),
		cmocka_unit_test(a_frame_in_single_bytes_is_taken),
		cmocka_unit_test(a_chain_shorter_than_header_and_addresses_is_refused),
		cmocka_unit_test(a_tag_that_is_cut_off_is_refused),
		cmocka_unit_test(chains_without_readable_part_or_with_too_many_pieces_are_refused),
		cmocka_unit_test(the_longest_frame_is_an_ip_packet_of_65535_bytes),
		cmocka_unit_test(a_checksum_is_where_the_header_says_less_what_was_taken_off),
		cmocka_unit_test(a_checksum_outside_the_frame_is_refused),
		cmocka_unit_test(a_checksum_that_was_not_negotiated_is_refused),
		cmocka_unit_test(each_segmentation_needs_its_feature),
		cmocka_unit_test(segmentation_that_cannot_be_is_refused),
		cmocka_unit_test(fields_that_the_device_has_no_use_for_are_ignored),
		cmocka_unit_test(buffers_are_judged_as_chains_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
