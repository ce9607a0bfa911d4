// SPDX-License-Identifier: BSD-3-Clause
/*
 * Segmentation and checksums in software (src/switch/offload.h) next to what a Linux kernel made of
 * the same frames: data/net_frames.def, which data/capture.py records.
 */
#include <linux/virtio_net.h>

#include "frame_lab.h"
#include "switch/offload.h"

#define MAX_WIRE 16
#define MAX_LEN	 70000

struct capture {
	const char *name;
	uint8_t flags, gso_type;
	uint16_t gso_size, csum_start, csum_offset;
	const char *frame;
	struct {
		unsigned int payload;
		const char *headers;
	} wire[MAX_WIRE];
};

/* clang-format off */
#define FRAME(name, flags, gso_type, gso_size, csum_start, csum_offset, frame) \
	{ name, flags, gso_type, gso_size, csum_start, csum_offset, frame, {
#define WIRE(payload, headers) { payload, headers },
#define END } },
static const struct capture captures[] = {
#include "data/net_frames.def"
};
/* clang-format on */
#define N_CAPTURES (sizeof(captures) / sizeof(captures[0]))

static size_t from_hex(const char *hex, uint8_t *to)
{
	size_t n = strlen(hex) / 2;

	assert_in_range(n, 14, MAX_LEN);
	for (size_t i = 0; i < n; i++) {
		char digits[3] = { hex[2 * i], hex[2 * i + 1], 0 }, *end;

		to[i] = (uint8_t)strtoul(digits, &end, 16);
		assert_true(end == digits + 2);
	}
	return n;
}

static struct lab_frame *captured(const struct capture *c, size_t first, size_t piece)
{
	uint8_t bytes[MAX_LEN];
	struct lab_frame *l = lab_frame(bytes, from_hex(c->frame, bytes), first, piece);

	l->f.flags = c->flags;
	l->f.gso_type = c->gso_type;
	l->f.gso_size = c->gso_size;
	l->f.csum_start = (uint16_t)(c->csum_start - (l->f.tagged ? 16 : 12));
	l->f.csum_offset = c->csum_offset;
	return l;
}

static void assert_same(const struct capture *c, unsigned int i, const uint8_t *ours, size_t n,
			const uint8_t *kernel, size_t kernel_n)
{
	for (size_t at = 0; at < n && at < kernel_n; at++)
		if (ours[at] != kernel[at])
			fail_msg("%s: segment %u, byte %zu is %02x and not %02x", c->name, i, at,
				 ours[at], kernel[at]);
	if (n != kernel_n)
		fail_msg("%s: segment %u has %zu bytes and not %zu", c->name, i, n, kernel_n);
}

/* What the kernel sent as segment i; *done: bytes of payload in the segments before. */
static size_t kernel_segment(const struct capture *c, unsigned int i, size_t *done, uint8_t *to)
{
	uint8_t bytes[MAX_LEN];
	const size_t n = from_hex(c->wire[i].headers, to);

	from_hex(c->frame, bytes);
	memcpy(to + n, bytes + n + *done, c->wire[i].payload);
	*done += c->wire[i].payload;
	return n + c->wire[i].payload;
}

static void compare_segments(const struct capture *c, size_t first, size_t piece)
{
	uint8_t ours[MAX_LEN], kernel[MAX_LEN];
	/* Two less: headers, and an end of another piece. */
	const size_t least = c->gso_size / (TVQ_SEGMENT_PIECES - 2) + 1;
	struct lab_frame *l = captured(c, first, piece > least ? piece : least);
	struct tvq_segmenter s;
	const struct tvq_frame *f;
	size_t done = 0, n;
	unsigned int i;

	assert_int_equal(tvq_segmenter_init(&s, &l->f), 0);
	for (i = 0; (f = tvq_segmenter_next(&s)); i++) {
		if (!c->wire[i].headers)
			fail_msg("%s: the kernel sends %u segments only", c->name, i);
		assert_int_equal(f->flags | f->gso_type | f->gso_size, 0);
		assert_false(tvq_offload_needed(f, 0));
		n = kernel_segment(c, i, &done, kernel);
		assert_same(c, i, ours, lab_wire(f, ours), kernel, n);
	}
	assert_null(c->wire[i].headers);
	assert_int_equal(i, s.n_segments);
	assert_null(tvq_segmenter_next(&s));
	lab_frame_free(l);
}

/* The same, by segments whose checksum is left to do, and a sum made while they are copied. */
static void compare_copies(const struct capture *c, size_t first, size_t piece)
{
	const size_t least = c->gso_size / (TVQ_SEGMENT_PIECES - 2) + 1;
	struct lab_frame *l = captured(c, first, piece > least ? piece : least);
	uint8_t ours[MAX_LEN], kernel[MAX_LEN];
	struct tvq_segmenter s;
	const struct tvq_frame *f;
	size_t done = 0, n, at, start = c->csum_start;
	uint16_t csum;

	assert_int_equal(tvq_segmenter_init(&s, &l->f), 0);
	for (unsigned int i = 0; (f = tvq_segmenter_next_partial(&s)); i++) {
		struct tvq_csum_run run = { 0 };

		assert_int_equal(f->flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
		assert_int_equal(f->gso_type | f->gso_size, 0);
		assert_int_equal(f->csum_start + (l->f.tagged ? 16 : 12), start);
		assert_int_equal(f->csum_offset, c->csum_offset);
		assert_false(tvq_offload_needed(f, TVQ_CAN_CSUM));
		n = lab_wire(f, ours);
		memset(ours + start, 0, n - start);
		/* Headers in the first piece, then the payload's pieces. */
		at = n - f->len + f->seg[0].len;
		tvq_csum_copy(&run, ours + start,
			      (uint8_t *)f->seg[0].va + f->seg[0].len - (at - start),
			      (uint32_t)(at - start));
		for (unsigned int k = 1; k < f->n_seg; at += f->seg[k++].len)
			tvq_csum_copy(&run, ours + at, f->seg[k].va, (uint32_t)f->seg[k].len);
		csum = tvq_csum_end(run.sum);
		assert_true(csum == tvq_frame_csum(f) || (!csum && tvq_frame_csum(f) == 0xffff));
		memcpy(ours + start + c->csum_offset, &csum, sizeof(csum));
		n = kernel_segment(c, i, &done, kernel);
		assert_same(c, i, ours, at, kernel, n);
	}
	lab_frame_free(l);
}

static void compare_csum(const struct capture *c, size_t first, size_t piece)
{
	uint8_t ours[MAX_LEN], kernel[MAX_LEN];
	struct lab_frame *l = captured(c, first, piece);
	uint16_t csum = tvq_frame_csum(&l->f);
	const size_t n = lab_wire(&l->f, ours);
	size_t done = 0, kernel_n;

	memcpy(ours + c->csum_start + c->csum_offset, &csum, sizeof(csum));
	kernel_n = kernel_segment(c, 0, &done, kernel);
	assert_same(c, 0, ours, n, kernel, kernel_n);
	lab_frame_free(l);
}

/* Calls compare for each capture with (gso) or without GSO, its memory cut up in many ways. */
static void all_captures(bool gso, void (*compare)(const struct capture *, size_t, size_t))
{
	static const size_t pieces[] = { MAX_LEN, 1000, 64, 33, 17, 2, 1 };
	unsigned int n = 0;

	for (unsigned int i = 0; i < N_CAPTURES; i++) {
		if (!captures[i].gso_type == gso)
			continue;
		for (unsigned int k = 0; k < sizeof(pieces) / sizeof(pieces[0]); k++)
			for (size_t first = 0; first < 100; first += 1 + first / 8)
				compare(&captures[i], first, pieces[k]);
		n++;
	}
	assert_true(n > 3);
}

static void segments_are_those_that_the_kernel_makes(void **state)
{
	(void)state;
	all_captures(true, compare_segments);
}

static void sums_made_while_copying_are_those_of_the_kernel(void **state)
{
	(void)state;
	all_captures(true, compare_copies);
}

static void checksums_are_those_that_the_kernel_fills_in(void **state)
{
	(void)state;
	all_captures(false, compare_csum);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(segments_are_those_that_the_kernel_makes),
		cmocka_unit_test(sums_made_while_copying_are_those_of_the_kernel),
		cmocka_unit_test(checksums_are_those_that_the_kernel_fills_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
