// SPDX-License-Identifier: BSD-3-Clause
/* GSO frames that are not what they say, memory in awkward pieces, and sums of anything
 * (src/switch/offload.h). */
#include <errno.h>
#include <linux/virtio_net.h>

#include "frame_lab.h"
#include "switch/offload.h"

#define MAX_LEN	 (14 + 65535 + 100)
#define ETH	 14
#define N(array) (sizeof(array) / sizeof((array)[0]))

/* A good GSO frame: Ethernet, IPv4 or IPv6, TCP with 12 bytes of options. */
struct good {
	uint8_t bytes[MAX_LEN];
	size_t len, l4; /* in bytes */
	uint8_t flags, gso_type;
	uint16_t gso_size, csum_start, csum_offset; /* as struct tvq_frame has them */
};

static struct good good;

static uint32_t anything(void)
{
	static uint64_t state = 88172645463325252u;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 16);
}

/* 4 or 6; bytes of payload. */
static void make(unsigned int version, size_t payload, uint16_t gso_size)
{
	const size_t ip_len = version == 4 ? 20 : 40, tcp_len = 32;
	uint8_t *ip = good.bytes + ETH, *tcp = ip + ip_len;

	memset(&good, 0, sizeof(good));
	good.l4 = ETH + ip_len;
	good.len = good.l4 + tcp_len + payload;
	good.bytes[5] = 2;
	good.bytes[11] = 1;
	lab_put16(good.bytes + 12, version == 4 ? 0x0800 : 0x86dd);
	for (size_t i = ETH; i < good.len; i++)
		good.bytes[i] = (uint8_t)anything();
	if (version == 4) {
		ip[0] = 0x45;
		lab_put16(ip + 2, (unsigned int)(good.len - ETH));
		lab_put16(ip + 6, 0x4000);
		ip[9] = 6;
	} else {
		ip[0] = 0x60;
		lab_put16(ip + 4, (unsigned int)(good.len - good.l4));
		ip[6] = 6;
	}
	tcp[12] = 0x80;
	/* The pseudo header's sum. */
	lab_put16(tcp + 16, ~lab_csum(ip + (version == 4 ? 12 : 8), version == 4 ? 8 : 32,
				      (uint32_t)(6 + tcp_len + payload)) &
				    0xffff);
	good.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	good.gso_type = version == 4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
	good.gso_size = gso_size;
	good.csum_start = (uint16_t)(good.l4 - 12);
	good.csum_offset = 16;
}

/* good, in pieces. */
static struct lab_frame *frame(size_t first, size_t piece)
{
	struct lab_frame *l = lab_frame(good.bytes, good.len, first, piece);

	l->f.flags = good.flags;
	l->f.gso_type = good.gso_type;
	l->f.gso_size = good.gso_size;
	l->f.csum_start = good.csum_start;
	l->f.csum_offset = good.csum_offset;
	return l;
}

static int init(void)
{
	struct lab_frame *l = frame(0, MAX_LEN);
	struct tvq_segmenter s;
	const int err = tvq_segmenter_init(&s, &l->f);

	lab_frame_free(l);
	return err;
}

/* A segment's headers and checksums, judged without what made them. */
static void assert_valid(const struct tvq_frame *f)
{
	static uint8_t bytes[MAX_LEN];
	const size_t len = lab_wire(f, bytes);
	uint8_t *ip = bytes + ETH, *tcp = bytes + good.l4;
	const size_t tcp_bytes = len - good.l4;

	if (ip[0] >> 4 == 4) {
		assert_int_equal(lab_get16(ip + 2), len - ETH);
		assert_int_equal(lab_csum(ip, (size_t)(tcp - ip), 0), 0);
		assert_int_equal(
			lab_csum(tcp, tcp_bytes,
				 6 + (uint32_t)tcp_bytes + (~lab_csum(ip + 12, 8, 0) & 0xffff)),
			0);
	} else {
		assert_int_equal(lab_get16(ip + 4), tcp_bytes);
		assert_int_equal(
			lab_csum(tcp, tcp_bytes,
				 6 + (uint32_t)tcp_bytes + (~lab_csum(ip + 8, 32, 0) & 0xffff)),
			0);
	}
}

/* ---- headers ---- */

/* One byte of good, from `at` on (of the frame's bytes), is made v. */
static void assert_refused_with(size_t at, uint8_t v)
{
	const uint8_t was = good.bytes[at];

	assert_int_not_equal(was, v);
	good.bytes[at] = v;
	assert_int_equal(init(), -EBADMSG);
	good.bytes[at] = was;
	assert_int_equal(init(), 0);
}

static void headers_that_are_not_tcp_are_refused(void **state)
{
	(void)state;
	make(4, 3000, 1000);
	assert_int_equal(init(), 0);
	assert_refused_with(12, 0x09);	/* EtherType */
	assert_refused_with(ETH, 0x65); /* version */
	assert_refused_with(ETH, 0x44); /* header shorter than any */
	assert_refused_with(ETH, 0x46); /* longer than it is: TCP elsewhere */
	assert_refused_with(ETH + 3, (uint8_t)(good.bytes[ETH + 3] + 1));
	assert_refused_with(ETH + 3, (uint8_t)(good.bytes[ETH + 3] - 1));
	assert_refused_with(ETH + 6, 0x20);	 /* more fragments */
	assert_refused_with(ETH + 7, 1);	 /* an offset */
	assert_refused_with(ETH + 9, 17);	 /* UDP */
	assert_refused_with(good.l4 + 12, 0x40); /* TCP's header shorter than any */

	make(6, 3000, 1000);
	assert_int_equal(init(), 0);
	assert_refused_with(12, 0x08);
	assert_refused_with(ETH, 0x45);
	assert_refused_with(ETH + 5, (uint8_t)(good.bytes[ETH + 5] + 1));
	assert_refused_with(ETH + 5, (uint8_t)(good.bytes[ETH + 5] - 1));
	assert_refused_with(ETH + 6, 17);
	assert_refused_with(ETH + 6, 44);
	assert_refused_with(ETH + 6, 0);
	assert_refused_with(good.l4 + 12, 0x30);
}

static void a_virtio_header_that_lies_is_refused(void **state)
{
	const struct good *g = &good;

	(void)state;
	for (unsigned int version = 4; version <= 6; version += 2) {
		make(version, 3000, 1000);
		good.gso_type = version == 4 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
		assert_int_equal(init(), -EBADMSG);
		good.gso_type = VIRTIO_NET_HDR_GSO_UDP;
		assert_int_equal(init(), -EBADMSG);
		good.gso_type = VIRTIO_NET_HDR_GSO_NONE;
		assert_int_equal(init(), -EBADMSG);

		make(version, 3000, 0);
		assert_int_equal(init(), -EBADMSG);
		make(version, 3000, 1000);
		good.flags = 0;
		assert_int_equal(init(), -EBADMSG);

		make(version, 3000, 1000);
		good.csum_offset = 6;
		assert_int_equal(init(), -EBADMSG);
		make(version, 3000, 1000);
		for (unsigned int start = 0; start < 100; start++) {
			const bool right = start + 12 == g->l4;

			good.csum_start = (uint16_t)start;
			assert_int_equal(init(), right ? 0 : -EBADMSG);
		}
	}
}

static void headers_that_are_cut_off_are_refused(void **state)
{
	(void)state;
	for (unsigned int version = 4; version <= 6; version += 2) {
		make(version, 0, 1000);
		/* IP's length says nothing: only the frame's end does. */
		lab_put16(good.bytes + ETH + (version == 4 ? 2 : 4), 0);
		assert_int_equal(init(), 0);
		for (size_t all = good.len--; good.len >= 14; good.len--)
			assert_int_equal(init(), (good.len < all) ? -EBADMSG : 0);
	}
}

/* As many extension headers as can be, and then four bytes of TCP's options too many. */
static void headers_longer_than_there_is_room_for_are_refused(void **state)
{
	const size_t chain = TVQ_OFFLOAD_HEADERS - 2 - 40 - 20; /* 194: 24 headers of 8, and 2 */
	size_t at;

	(void)state;
	for (unsigned int extra = 0; extra < 2; extra++) {
		make(6, 3000, 1000);
		memset(good.bytes + ETH + 40, 0, chain / 8 * 8);
		for (at = 0; at < chain / 8 * 8; at += 8)
			good.bytes[ETH + 40 + at] = at + 8 == chain / 8 * 8 ? 6 : 60;
		good.bytes[ETH + 6] = 60;
		good.l4 = ETH + 40 + at;
		good.csum_start = (uint16_t)(good.l4 - 12);
		good.bytes[good.l4 + 12] = extra ? 0x60 : 0x50;
		assert_int_equal(init(), extra ? -EBADMSG : 0);
	}
}

static void packets_longer_than_ip_allows_are_refused(void **state)
{
	(void)state;
	for (unsigned int version = 4; version <= 6; version += 2) {
		const size_t hlen = (version == 4 ? 20 : 40) + 32;

		make(version, 65535 - hlen, 1448);
		assert_int_equal(init(), 0);
		make(version, 65535 - hlen + 1, 1448);
		lab_put16(good.bytes + ETH + (version == 4 ? 2 : 4), 0);
		assert_int_equal(init(), -EBADMSG);
	}
}

static void headers_are_those_that_were_judged(void **state)
{
	struct tvq_segmenter s;
	struct lab_frame *l;
	const struct tvq_frame *f;
	uint8_t before[200];

	(void)state;
	make(4, 300, 100);
	memcpy(before, good.bytes + 12, good.l4 + 32 - 12);
	l = frame(good.l4 + 32 - 12, MAX_LEN);
	assert_int_equal(tvq_segmenter_init(&s, &l->f), 0);
	memset(l->seg[0].va, 0xff, l->seg[0].len);
	while ((f = tvq_segmenter_next(&s))) {
		assert_int_equal(f->seg[0].len, good.l4 + 32 - 12);
		assert_valid(f);
		assert_memory_equal(f->seg[0].va, before, 4);
		assert_memory_equal((uint8_t *)f->seg[0].va + 22, before + 22, 4);
	}
	assert_int_equal(s.index, 3);
	lab_frame_free(l);
}

/* ---- sizes and pieces ---- */

/* Takes all segments of good, judges them, and returns how many they are. */
static unsigned int segments(size_t first, size_t piece)
{
	static uint8_t bytes[MAX_LEN];
	const size_t head = good.l4 + 32, body = good.len - head;
	struct lab_frame *l = frame(first, piece);
	struct tvq_segmenter s;
	const struct tvq_frame *f;
	unsigned int n = 0;
	size_t done = 0;

	assert_int_equal(tvq_segmenter_init(&s, &l->f), 0);
	while ((f = tvq_segmenter_next(&s))) {
		const size_t len = lab_wire(f, bytes) - head;

		assert_valid(f);
		assert_in_range(f->n_seg, 1, TVQ_SEGMENT_PIECES);
		assert_true(len <= good.gso_size && done + len <= body);
		assert_memory_equal(bytes + head, good.bytes + head + done, len);
		done += len;
		n++;
	}
	assert_int_equal(done, body);
	assert_int_equal(n, s.n_segments);
	lab_frame_free(l);
	return n;
}

static void payload_is_cut_where_gso_size_says(void **state)
{
	(void)state;
	for (unsigned int version = 4; version <= 6; version += 2) {
		make(version, 0, 1000);
		assert_int_equal(segments(0, MAX_LEN), 1);
		make(version, 1, 1000);
		assert_int_equal(segments(0, MAX_LEN), 1);
		make(version, 1000, 1000);
		assert_int_equal(segments(0, MAX_LEN), 1);
		make(version, 1001, 1000);
		assert_int_equal(segments(0, MAX_LEN), 2);
		make(version, 65000, 65535);
		assert_int_equal(segments(0, MAX_LEN), 1);
		make(version, 65000, 1448);
		assert_int_equal(segments(66, 4096), 45);
		make(version, 65000, 1447);
		assert_int_equal(segments(0, 4095), 45);
	}
}

static void each_segment_may_be_summed_or_not(void **state)
{
	struct lab_frame *l;
	struct tvq_segmenter s;
	const struct tvq_frame *f;
	unsigned int n = 0;

	(void)state;
	make(6, 1000, 100);
	good.flags |= VIRTIO_NET_HDR_F_DATA_VALID;
	l = frame(0, 77);
	assert_int_equal(tvq_segmenter_init(&s, &l->f), 0);
	while ((f = n % 3 ? tvq_segmenter_next_partial(&s) : tvq_segmenter_next(&s))) {
		assert_int_equal(f->flags, n % 3 ? VIRTIO_NET_HDR_F_NEEDS_CSUM : 0);
		if (n % 3) {
			const uint16_t csum = tvq_frame_csum(f);

			memcpy((uint8_t *)f->seg[0].va + f->csum_start + f->csum_offset, &csum,
			       sizeof(csum));
		}
		assert_valid(f);
		n++;
	}
	assert_int_equal(n, 10);
	lab_frame_free(l);
}

static void segments_of_one_byte_are_as_many_as_there_are_bytes(void **state)
{
	(void)state;
	make(4, 65535 - 52, 1);
	assert_int_equal(segments(0, MAX_LEN), 65535 - 52);
	make(6, 3000, 1);
	assert_int_equal(segments(1, 1), 3000);
}

static void a_segment_of_too_many_pieces_is_refused_at_once(void **state)
{
	struct lab_frame *l;
	struct tvq_segmenter s;

	(void)state;
	/* A piece a byte. */
	make(4, 1000, TVQ_SEGMENT_PIECES - 1);
	assert_int_equal(segments(52 + 2, 1), (1000 + TVQ_SEGMENT_PIECES - 2) / 63);
	make(4, 1000, TVQ_SEGMENT_PIECES);
	l = frame(52 + 2, 1);
	assert_int_equal(tvq_segmenter_init(&s, &l->f), -EBADMSG);
	lab_frame_free(l);
}

/* Most pieces that one segment of good has, headers included, counted byte by byte. */
static unsigned int most_pieces(const struct lab_frame *l)
{
	const size_t head = good.l4 + 32 - 12;
	unsigned int most = 1, pieces = 1;
	size_t at = 0;

	for (unsigned int i = 0; i < l->f.n_seg; i++) {
		for (size_t k = 0; k < l->seg[i].len; k++, at++) {
			if (at < head)
				continue;
			if ((at - head) % good.gso_size == 0)
				pieces = 1;
			if (k == 0 || (at - head) % good.gso_size == 0)
				pieces++;
			if (pieces > most)
				most = pieces;
		}
	}
	return most;
}

/* The same bytes in pieces of any length, some of them empty. */
static void cut_anyhow(struct lab_frame *l, unsigned int longest, uint8_t *flat)
{
	unsigned int n = 0;
	size_t at = 0;

	memcpy(flat, good.bytes + 12, l->f.len);
	while (at < l->f.len) {
		size_t len = anything() % (longest + 1);

		if (len > l->f.len - at)
			len = l->f.len - at;
		l->seg[n].va = flat + at;
		l->seg[n++].len = len;
		at += len;
	}
	l->f.n_seg = (uint16_t)n;
}

static void pieces_are_counted_as_they_are_used(void **state)
{
	static uint8_t flat[MAX_LEN];
	unsigned int refused = 0, taken = 0;

	(void)state;
	for (unsigned int round = 0; round < 3000; round++) {
		struct lab_frame *l;
		struct tvq_segmenter s;
		const struct tvq_frame *f;
		const unsigned int longest = 1 + anything() % 10;
		/* About as many bytes as that many pieces have. */
		const unsigned int size = longest * TVQ_SEGMENT_PIECES / 2 - 10 + anything() % 20;
		unsigned int most, used = 1;
		int err;

		make(round & 1 ? 4 : 6, anything() % 700, (uint16_t)size);
		l = calloc(1, sizeof(*l) + 20000 * sizeof(l->seg[0]));
		assert_non_null(l);
		l->f.flags = good.flags;
		l->f.gso_type = good.gso_type;
		l->f.gso_size = good.gso_size;
		l->f.csum_start = good.csum_start;
		l->f.csum_offset = good.csum_offset;
		l->f.len = (uint32_t)good.len - 12;
		l->f.seg = l->seg;
		cut_anyhow(l, longest, flat);
		most = most_pieces(l);
		err = tvq_segmenter_init(&s, &l->f);
		assert_int_equal(err, most > TVQ_SEGMENT_PIECES ? -EBADMSG : 0);
		refused += err != 0;
		taken += !err && most > TVQ_SEGMENT_PIECES / 2;
		while (!err && (f = tvq_segmenter_next(&s))) {
			assert_valid(f);
			used = f->n_seg > used ? f->n_seg : used;
		}
		if (!err)
			assert_int_equal(used, most);
		free(l);
	}
	assert_true(refused > 100 && taken > 100);
}

/* ---- sums ---- */

static void sums_are_those_of_rfc_1071(void **state)
{
	static uint8_t bytes[1024];

	(void)state;
	for (unsigned int kind = 0; kind < 3; kind++) {
		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = kind == 0 ? (uint8_t)anything() : kind == 1 ? 0xff : 0;
		for (size_t len = 0; len < 600; len++) {
			/* Exactly so long, at any alignment. */
			const size_t at = len % 16;
			uint8_t *exact = malloc(at + len ? at + len : 1), stored[2];
			uint16_t ours, want;

			assert_non_null(exact);
			memcpy(exact + at, bytes, len);
			ours = tvq_csum_end(tvq_csum_add(0, exact + at, (uint32_t)len));
			lab_put16(stored, lab_csum(bytes, len, 0));
			memcpy(&want, stored, sizeof(want));
			assert_int_equal(ours, want);
			free(exact);
		}
	}
}

static void sums_of_parts_add_up_whatever_was_before(void **state)
{
	static uint8_t bytes[1024];

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(anything() | 0xf0);
	for (unsigned int round = 0; round < 2000; round++) {
		const uint32_t a = anything() % 256 * 2, b = anything() % 512;
		/* All ones are 0 to the checksum, and the most that can overflow. */
		const uint64_t before = round & 1 ? UINT64_MAX : 0;
		uint64_t sum = tvq_csum_add(before, bytes, a);

		sum = tvq_csum_add(sum, bytes + a, b);
		if (a + b)
			assert_int_equal(tvq_csum_end(sum),
					 tvq_csum_end(tvq_csum_add(0, bytes, a + b)));
	}
	assert_int_equal(tvq_csum_end(0), 0xffff);
	assert_int_equal(tvq_csum_end(UINT64_MAX), 0);
	assert_int_equal(tvq_csum_end(0x0001000000000000), 0xfffe);
	assert_int_equal(tvq_csum_end(0xfffffffffffffffe), 1);
}

static void copies_have_the_sum_of_what_was_copied(void **state)
{
	static uint8_t from[2048], to[2048 + 2];

	(void)state;
	for (size_t i = 0; i < sizeof(from); i++)
		from[i] = (uint8_t)anything();
	for (unsigned int round = 0; round < 2000; round++) {
		const unsigned int longest = 1 + anything() % 300;
		struct tvq_csum_run run = { 0 };
		uint8_t stored[2];
		size_t at = 0;
		uint16_t want;

		memset(to, 0xee, sizeof(to));
		while (at < 1000) {
			const uint32_t len = anything() % (longest + 1);
			/* Each piece from memory exactly as long. */
			uint8_t *exact = malloc(len ? len : 1);

			assert_non_null(exact);
			memcpy(exact, from + at, len);
			tvq_csum_copy(&run, to + 1 + at, exact, len);
			free(exact);
			at += len;
			assert_int_equal(to[1 + at], 0xee);
			assert_int_equal(run.odd, at & 1);
		}
		assert_memory_equal(to + 1, from, at);
		assert_int_equal(to[0], 0xee);
		lab_put16(stored, lab_csum(from, at, 0));
		memcpy(&want, stored, sizeof(want));
		assert_int_equal(tvq_csum_end(run.sum), want);
	}
}

/* A checksum field anywhere in a frame of any pieces. */
static void partial_checksums_count_from_where_they_start(void **state)
{
	(void)state;
	for (unsigned int round = 0; round < 3000; round++) {
		const size_t piece = 1 + anything() % 100, len = 14 + anything() % 300;
		struct lab_frame *l;
		uint8_t stored[2];
		uint16_t want;
		unsigned int csum;

		make(4, 1000, 0);
		l = lab_frame(good.bytes, len, anything() % 40, piece);
		l->f.csum_start = (uint16_t)(anything() % (l->f.len + 3));
		if (l->f.csum_start < l->f.len)
			csum = lab_csum(good.bytes + 12 + l->f.csum_start,
					l->f.len - l->f.csum_start, 0);
		else
			csum = 0xffff;
		lab_put16(stored, csum ? csum : 0xffff);
		memcpy(&want, stored, sizeof(want));
		assert_int_equal(tvq_frame_csum(&l->f), want);
		lab_frame_free(l);
	}
}

static void offloads_are_needed_only_by_who_has_them_not(void **state)
{
	static const struct {
		uint8_t flags, gso;
		unsigned int enough; /* the least with which nothing is needed */
	} cases[] = {
		{ 0, 0, 0 },
		{ 2, 0, 0 },
		{ 1, 0, TVQ_CAN_CSUM },
		{ 1, 1, TVQ_CAN_CSUM | TVQ_CAN_TSO4 },
		{ 1, 4, TVQ_CAN_CSUM | TVQ_CAN_TSO6 },
		{ 1, 0x81, TVQ_CAN_CSUM | TVQ_CAN_TSO4 | TVQ_CAN_ECN },
		{ 1, 0x84, TVQ_CAN_CSUM | TVQ_CAN_TSO6 | TVQ_CAN_ECN },
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		const struct tvq_frame f = { .flags = cases[i].flags, .gso_type = cases[i].gso };

		for (unsigned int can = 0; can < 16; can++)
			assert_int_equal(tvq_offload_needed(&f, can),
					 (can & cases[i].enough) != cases[i].enough);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers_that_are_not_tcp_are_refused),
		cmocka_unit_test(a_virtio_header_that_lies_is_refused),
		cmocka_unit_test(headers_that_are_cut_off_are_refused),
		cmocka_unit_test(headers_longer_than_there_is_room_for_are_refused),
		cmocka_unit_test(packets_longer_than_ip_allows_are_refused),
		cmocka_unit_test(headers_are_those_that_were_judged),
		cmocka_unit_test(payload_is_cut_where_gso_size_says),
		cmocka_unit_test(each_segment_may_be_summed_or_not),
		cmocka_unit_test(segments_of_one_byte_are_as_many_as_there_are_bytes),
		cmocka_unit_test(a_segment_of_too_many_pieces_is_refused_at_once),
		cmocka_unit_test(pieces_are_counted_as_they_are_used),
		cmocka_unit_test(sums_are_those_of_rfc_1071),
		cmocka_unit_test(sums_of_parts_add_up_whatever_was_before),
		cmocka_unit_test(copies_have_the_sum_of_what_was_copied),
		cmocka_unit_test(partial_checksums_count_from_where_they_start),
		cmocka_unit_test(offloads_are_needed_only_by_who_has_them_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
