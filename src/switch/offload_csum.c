// SPDX-License-Identifier: BSD-3-Clause
/*
 * The Internet checksum (RFC 1071).
 *
 * A sum of 16-bit words modulo 65535 may be taken in any byte order, and over words of 32 or 64
 * bits as well, since 2^16, 2^32 and 2^64 are all 1 modulo 65535. So everything here is in the
 * order of memory, nothing is swapped, and what overflows at the top comes back at the bottom.
 * Bytes that begin at an odd offset count as if each were in the other half of its word: their sum
 * times 256, which is a rotation.
 */
#include "switch/offload_priv.h"

/* Two lanes of 64 bits; the compiler makes of it what the machine has. */
typedef uint64_t lanes __attribute__((vector_size(16)));

#define BLOCK 64

/* So that the lengths and the NULL that callers hand in are constants. */
#define tvq_always_inline inline __attribute__((always_inline))

static inline uint64_t add(uint64_t a, uint64_t b)
{
	a += b;
	return a + (a < b);
}

/* Lower and upper halves of what was added, 32 bits each: four billion bytes overflow nothing. */
static inline uint64_t end_lanes(uint64_t sum, lanes lo, lanes hi)
{
	lo += hi;
	return add(sum, lo[0] + lo[1]);
}

/* Gets n bytes at p, and copies them unless to is NULL. They are read once. */
static tvq_always_inline void get(void *v, uint8_t *to, const uint8_t *p, uint32_t at, uint32_t n)
{
	memcpy(v, p + at, n);
	if (to)
		memcpy(to + at, v, n);
}

/* Adds a word of n bytes, 8, 4, 2 or 1, with zeros behind it. */
static tvq_always_inline uint64_t add_word(uint64_t sum, uint8_t *to, const uint8_t *p, uint32_t at,
					   uint32_t n)
{
	uint64_t v = 0;

	get(&v, to, p, at, n);
	return add(sum, v);
}

/* Adds len bytes at p, and copies them unless to is NULL. */
static tvq_always_inline uint64_t walk(uint64_t sum, uint8_t *to, const uint8_t *p, uint32_t len)
{
	const lanes low = { UINT32_MAX, UINT32_MAX };
	lanes lo0 = { 0 }, lo1 = { 0 }, hi0 = { 0 }, hi1 = { 0 }, a, b, c, d;
	uint32_t at;

	if (len >= BLOCK) {
		do {
			get(&a, to, p, 0, 16);
			get(&b, to, p, 16, 16);
			get(&c, to, p, 32, 16);
			get(&d, to, p, 48, 16);
			lo0 += a & low;
			hi0 += a >> 32;
			lo1 += b & low;
			hi1 += b >> 32;
			lo0 += c & low;
			hi0 += c >> 32;
			lo1 += d & low;
			hi1 += d >> 32;
			p += BLOCK;
			if (to)
				to += BLOCK;
			len -= BLOCK;
		} while (len >= BLOCK);
		sum = end_lanes(sum, lo0 + lo1, hi0 + hi1);
	}
	for (at = 0; len - at >= 8; at += 8)
		sum = add_word(sum, to, p, at, 8);
	if (len & 4)
		sum = add_word(sum, to, p, at, 4);
	if (len & 2)
		sum = add_word(sum, to, p, at + (len & 4), 2);
	if (len & 1)
		sum = add_word(sum, to, p, len - 1, 1);
	return sum;
}

uint64_t tvq_csum_add(uint64_t sum, const void *data, uint32_t len)
{
	return walk(sum, NULL, data, len);
}

uint16_t tvq_csum_end(uint64_t sum)
{
	sum = (sum >> 32) + (uint32_t)sum;
	sum = (sum >> 16) + (uint16_t)sum;
	sum = (sum >> 16) + (uint16_t)sum;
	sum = (sum >> 16) + (uint16_t)sum;
	return (uint16_t)~sum;
}

/* part, the sum of bytes of their own, becomes that of the run's next len bytes. */
static void run_on(struct tvq_csum_run *run, uint64_t part, uint32_t len)
{
	run->sum = add(run->sum, run->odd ? part << 8 | part >> 56 : part);
	run->odd ^= len & 1;
}

void tvq_csum_copy(struct tvq_csum_run *run, void *to, const void *from, uint32_t len)
{
	run_on(run, walk(0, to, from, len), len);
}

uint64_t tvq_frame_sum(const struct tvq_frame *f)
{
	struct tvq_csum_run run = { 0 };
	uint32_t skip = f->csum_start;

	for (unsigned int i = 0; i < f->n_seg; i++) {
		const uint8_t *p = f->seg[i].va;
		uint32_t len = (uint32_t)f->seg[i].len;

		if (skip >= len) {
			skip -= len;
			continue;
		}
		len -= skip;
		run_on(&run, tvq_csum_add(0, p + skip, len), len);
		skip = 0;
	}
	return run.sum;
}

uint16_t tvq_frame_csum(const struct tvq_frame *f)
{
	const uint16_t csum = tvq_csum_end(tvq_frame_sum(f));

	return csum ? csum : 0xffff;
}
