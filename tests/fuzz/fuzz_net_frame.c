// SPDX-License-Identifier: BSD-3-Clause
/*
 * A transmitted frame with its virtio header, in memory cut up anyhow: judged as a network device
 * does (src/types/net_frame.h), and if it is taken, all that the switch may do with it for a
 * receiver (src/switch/offload.h): flow, hashes, checksum, segments. Each piece of memory is an
 * allocation of its own, exactly as long.
 *
 * Held against what a receiver relies on: nothing of the payload is lost or comes twice, no segment
 * is longer than gso_size, IP's lengths and header checksum are right, and TCP's checksum is what
 * the sender's partial sum says.
 *
 * Input: u8 flags (1: header with a hash, 2: no offload is accepted, 4: IP's length is put right,
 * 8: a longer chain than is looked at, 16: the sender's memory changes meanwhile), u8 length of
 * every third piece, u8 of the others (0: 256), then header and frame.
 */
#include <stdlib.h>
#include <string.h>

#include "ring/ring.h"
#include "switch/offload.h"
#include "types/net_ctrl.h"
#include "types/net_frame.h"

#include "require.h"

#define HEADER	 3
#define MAX_SEGS 80
#define OFFLOADS                                                                                   \
	(1ull << NET_F_CSUM | 1ull << NET_F_HOST_TSO4 | 1ull << NET_F_HOST_TSO6 |                  \
	 1ull << NET_F_HOST_ECN)

enum { HASH = 1, PLAIN = 2, LENGTH = 4, TOO_LONG = 8, CHANGES = 16 };

/* The chain, and how to give its memory back. */
struct lab {
	struct tvq_chain c;
	struct tvq_seg seg[MAX_SEGS];
	void *memory[MAX_SEGS];
	unsigned int n;
};

static unsigned int get16(const uint8_t *p)
{
	return (unsigned int)p[0] << 8 | p[1];
}

static void put16(uint8_t *p, size_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* A frame whose length was mutated has no IP length that fits: this one has. */
static void right_length(uint8_t *frame, size_t len)
{
	size_t at = 12;

	while (at + 4 < len && (get16(frame + at) == 0x8100 || get16(frame + at) == 0x88a8))
		at += 4;
	at += 2;
	if (at + 40 > len)
		return;
	if (frame[at] >> 4 == 4)
		put16(frame + at + 2, len - at);
	else
		put16(frame + at + 4, len - at - 40);
}

/* The last piece has all that is left. */
static void cut(struct lab *l, const uint8_t *p, size_t len, uint8_t third, uint8_t others)
{
	while (len) {
		size_t n = l->n % 3 == 2 ? third : others;

		n = n ? n : 256;
		if (n > len || l->n == MAX_SEGS - 1)
			n = len;
		l->memory[l->n] = malloc(n);
		REQUIRE(l->memory[l->n]);
		memcpy(l->memory[l->n], p, n);
		l->seg[l->n].va = l->memory[l->n];
		l->seg[l->n++].len = n;
		l->c.out_len += (uint32_t)n;
		p += n;
		len -= n;
	}
	l->c.seg = l->seg;
	l->c.n_out = (uint16_t)l->n;
}

static size_t flatten(const struct tvq_frame *f, uint8_t *to)
{
	size_t n = 0;

	for (unsigned int i = 0; i < f->n_seg; i++) {
		memcpy(to + n, f->seg[i].va, f->seg[i].len);
		n += f->seg[i].len;
	}
	REQUIRE(n == f->len);
	return n;
}

static uint32_t sum16(uint32_t sum, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* The same frame in one piece has the same flow, hash and checksum. */
static void whole(const struct tvq_frame *f, const uint8_t *flat)
{
	static const uint8_t key[TVQ_RSS_KEY] = { 0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2 };
	uint8_t *exact = malloc(f->len);
	struct tvq_seg seg = { .va = exact, .len = f->len };
	struct tvq_frame one = *f;

	REQUIRE(exact);
	memcpy(exact, flat, f->len);
	one.seg = &seg;
	one.n_seg = 1;
	REQUIRE(tvq_frame_flow(f) == tvq_frame_flow(&one));
	for (unsigned int i = 0; i < 10; i++) {
		const uint32_t types = i < 9 ? 1u << i : 0x1ff;
		const struct tvq_rss_result a = tvq_frame_rss(f, types, key);
		const struct tvq_rss_result b = tvq_frame_rss(&one, types, key);

		REQUIRE(a.hash == b.hash && a.report == b.report && a.report < 10);
		REQUIRE(a.report ? types >> (a.report - 1) & 1 : !a.hash);
	}
	if (f->flags & 1) {
		const uint16_t csum = tvq_frame_csum(f);
		uint8_t stored[2];
		uint32_t want;

		REQUIRE(f->csum_start + (uint32_t)f->csum_offset + 2 <= f->len);
		want = ~sum16(0, flat + f->csum_start, f->len - f->csum_start) & 0xffff;
		memcpy(stored, &csum, sizeof(csum));
		REQUIRE(get16(stored) == (want ? want : 0xffff));
		REQUIRE(csum == tvq_frame_csum(&one));
	}
	free(exact);
}

/* flat: the frame; seg: a segment of it, of n bytes, whose headers end at head. */
static void segment(const struct tvq_frame *f, const uint8_t *flat, const uint8_t *seg, size_t n,
		    size_t head, bool last)
{
	const size_t tcp = f->csum_start;
	const uint8_t *ip;
	size_t l3 = 2, told;
	uint32_t sum;

	while (get16(seg + l3 - 2) == 0x8100 || get16(seg + l3 - 2) == 0x88a8)
		l3 += 4;
	ip = seg + l3;
	REQUIRE(head >= tcp + 20 && tcp > l3);
	if (ip[0] >> 4 == 4) {
		told = get16(flat + l3 + 2);
		REQUIRE(!told || told == f->len - l3);
		REQUIRE(get16(ip + 2) == n - l3);
		REQUIRE(sum16(0, ip, tcp - l3) == 0xffff);
	} else {
		told = get16(flat + l3 + 4);
		REQUIRE(!told || told == f->len - l3 - 40);
		REQUIRE(get16(ip + 4) == n - l3 - 40);
	}
	/* Pseudo header, with another length in it, and TCP. */
	sum = get16(flat + tcp + 16) + (~(f->len - (uint32_t)tcp) & 0xffff) + (uint32_t)(n - tcp);
	sum = sum16(sum, seg + tcp, n - tcp);
	REQUIRE(sum == 0xffff || sum == 0);
	REQUIRE(last || !(seg[tcp + 13] & 9));
}

static void segments(const struct tvq_frame *f, uint8_t *flat, struct lab *l, bool changes)
{
	struct tvq_segmenter *s = malloc(sizeof(*s));
	const struct tvq_frame *part;
	size_t done = 0, head, n;
	uint8_t *bytes = malloc(f->len + 1);
	uint32_t count = 0;

	REQUIRE(s && bytes);
	if (tvq_segmenter_init(s, f))
		goto out;
	REQUIRE(s->n_segments);
	for (unsigned int i = 0; changes && i < l->n; i++)
		memset(l->seg[i].va, 0xff, l->seg[i].len);
	head = s->header_len;
	while ((part = tvq_segmenter_next(s))) {
		REQUIRE(part->n_seg <= TVQ_SEGMENT_PIECES && part->seg[0].len == head);
		REQUIRE(!part->flags && !part->gso_type);
		n = flatten(part, bytes);
		REQUIRE(n - head <= f->gso_size && done + n - head <= f->len - head);
		if (!changes)
			REQUIRE(!memcmp(bytes + head, flat + head + done, n - head));
		segment(f, flat, bytes, n, head, ++count == s->n_segments);
		done += n - head;
	}
	REQUIRE(done == f->len - head && count == s->n_segments);
out:
	free(bytes);
	free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const unsigned int flags = size ? data[0] : 0, hdr_len = flags & HASH ? 20 : 12;
	struct lab l = { 0 };
	struct tvq_frame f;
	uint8_t *copy, *flat;
	int why;

	if (size <= HEADER)
		return 0;
	copy = malloc(size - HEADER);
	REQUIRE(copy);
	memcpy(copy, data + HEADER, size - HEADER);
	if (flags & LENGTH && size > HEADER + hdr_len)
		right_length(copy + hdr_len, size - HEADER - hdr_len);
	cut(&l, copy, size - HEADER, data[1], data[2]);
	free(copy);
	l.c.too_long = flags & TOO_LONG;
	why = net_frame_make(&f, &l.c, flags & PLAIN ? 0 : OFFLOADS, hdr_len);
	REQUIRE(why <= 0 && why >= -TVQ_DROPS);
	if (!why) {
		REQUIRE(f.n_seg && f.len >= 2 && f.len <= NET_FRAME_MAX);
		REQUIRE(!(flags & (PLAIN | TOO_LONG)) || !(f.flags | f.gso_type));
		REQUIRE(!f.gso_type || (f.gso_size && f.flags & 1));
		flat = malloc(f.len);
		REQUIRE(flat);
		flatten(&f, flat);
		whole(&f, flat);
		if (f.gso_type)
			segments(&f, flat, &l, flags & CHANGES);
		free(flat);
	}
	for (unsigned int i = 0; i < l.n; i++)
		free(l.memory[i]);
	return 0;
}
