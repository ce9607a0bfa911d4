/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames as a port makes them, from bytes as they are on a wire. Each piece of memory is an
 * allocation of its own, exactly as long, so that the address sanitizer sees what is read beyond.
 */
#ifndef FRAME_LAB_H
#define FRAME_LAB_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <tvq/switch.h>

struct lab_frame {
	struct tvq_frame f;
	struct tvq_seg seg[];
};

static inline void lab_put16(uint8_t *p, unsigned int v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline unsigned int lab_get16(const uint8_t *p)
{
	return (unsigned int)p[0] << 8 | p[1];
}

/* Ethernet, its tag, and the rest in pieces: the first of `first` bytes (0: none apart), then of
 * `piece` bytes each. */
static inline struct lab_frame *lab_frame(const uint8_t *bytes, size_t len, size_t first,
					  size_t piece)
{
	struct lab_frame *l = calloc(1, sizeof(*l) + (len / piece + 2) * sizeof(l->seg[0]));
	size_t at = 12, n;

	assert_non_null(l);
	assert_true(len >= 14);
	memcpy(l->f.mac, bytes, 12);
	if (lab_get16(bytes + 12) == 0x8100 && len >= 18) {
		l->f.tagged = true;
		l->f.tci = (uint16_t)lab_get16(bytes + 14);
		l->f.vid = l->f.tci & 0xfff;
		at += 4;
	}
	l->f.len = (uint32_t)(len - at);
	l->f.seg = l->seg;
	while (at < len) {
		n = first ? first : piece;
		first = 0;
		if (n > len - at)
			n = len - at;
		l->seg[l->f.n_seg].va = malloc(n);
		assert_non_null(l->seg[l->f.n_seg].va);
		memcpy(l->seg[l->f.n_seg].va, bytes + at, n);
		l->seg[l->f.n_seg++].len = n;
		at += n;
	}
	return l;
}

static inline void lab_frame_free(struct lab_frame *l)
{
	for (unsigned int i = 0; i < l->f.n_seg; i++)
		free(l->seg[i].va);
	free(l);
}

/* The frame on the wire again. Returns its length; to has room for it. */
static inline size_t lab_wire(const struct tvq_frame *f, uint8_t *to)
{
	size_t n = 12, sum = 0;

	memcpy(to, f->mac, 12);
	if (f->tagged) {
		lab_put16(to + 12, 0x8100);
		lab_put16(to + 14, f->tci);
		n = 16;
	}
	for (unsigned int i = 0; i < f->n_seg; i++) {
		memcpy(to + n + sum, f->seg[i].va, f->seg[i].len);
		sum += f->seg[i].len;
	}
	assert_int_equal(sum, f->len);
	return n + sum;
}

/* The Internet checksum, one byte after the other, as RFC 1071 defines it; big-endian. */
static inline unsigned int lab_csum(const uint8_t *p, size_t len, uint32_t sum)
{
	for (size_t i = 0; i < len; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum & 0xffff;
}

#endif
