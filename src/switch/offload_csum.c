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

/* What a block leaves, less than BLOCK bytes. */
static inline uint64_t add_rest(uint64_t sum, const uint8_t *p, uint32_t len)
{
	uint64_t v64;
	uint32_t v32;
	uint16_t v16;

	for (; len >= sizeof(v64); len -= sizeof(v64), p += sizeof(v64)) {
		memcpy(&v64, p, sizeof(v64));
		sum = add(sum, v64);
	}
	if (len & sizeof(v32)) {
		memcpy(&v32, p, sizeof(v32));
		sum = add(sum, v32);
		p += sizeof(v32);
	}
	if (len & sizeof(v16)) {
		memcpy(&v16, p, sizeof(v16));
		sum = add(sum, v16);
		p += sizeof(v16);
	}
	if (len & 1) {
		const uint8_t last[2] = { *p, 0 };

		memcpy(&v16, last, sizeof(v16));
		sum = add(sum, v16);
	}
	return sum;
}

uint64_t tvq_csum_add(uint64_t sum, const void *data, uint32_t len)
{
	const lanes low = { UINT32_MAX, UINT32_MAX };
	lanes lo0 = { 0 }, lo1 = { 0 }, hi0 = { 0 }, hi1 = { 0 };
	const uint8_t *p = data;

	if (len < BLOCK)
		return add_rest(sum, p, len);
	for (; len >= BLOCK; len -= BLOCK, p += BLOCK) {
		lanes v[4];

		memcpy(v, p, sizeof(v));
		lo0 += v[0] & low;
		hi0 += v[0] >> 32;
		lo1 += v[1] & low;
		hi1 += v[1] >> 32;
		lo0 += v[2] & low;
		hi0 += v[2] >> 32;
		lo1 += v[3] & low;
		hi1 += v[3] >> 32;
	}
	return add_rest(end_lanes(sum, lo0 + lo1, hi0 + hi1), p, len);
}

uint16_t tvq_csum_end(uint64_t sum)
{
	sum = (sum >> 32) + (uint32_t)sum;
	sum = (sum >> 16) + (uint16_t)sum;
	sum = (sum >> 16) + (uint16_t)sum;
	sum = (sum >> 16) + (uint16_t)sum;
	return (uint16_t)~sum;
}

uint64_t tvq_csum_add_odd(uint64_t sum, const void *data, uint32_t len)
{
	const uint64_t odd = tvq_csum_add(0, data, len);

	return add(sum, odd << 8 | odd >> 56);
}

uint16_t tvq_frame_csum(const struct tvq_frame *f)
{
	uint32_t skip = f->csum_start, done = 0;
	uint64_t sum = 0;
	uint16_t csum;

	for (unsigned int i = 0; i < f->n_seg; i++) {
		const uint8_t *p = f->seg[i].va;
		uint32_t len = (uint32_t)f->seg[i].len;

		if (skip >= len) {
			skip -= len;
			continue;
		}
		p += skip;
		len -= skip;
		skip = 0;
		sum = done & 1 ? tvq_csum_add_odd(sum, p, len) : tvq_csum_add(sum, p, len);
		done += len;
	}
	csum = tvq_csum_end(sum);
	return csum ? csum : 0xffff;
}
