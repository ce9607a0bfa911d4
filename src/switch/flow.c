// SPDX-License-Identifier: BSD-3-Clause
/*
 * Numbers of flows: frames of one flow keep their order where they go to the same queue, in either
 * direction. What is known of the two ends is put together by operations that do not care which is
 * which, and mixed.
 *
 * Fragments of a packet have no ports but in the first: all of them are told by their addresses.
 */
#include "switch/offload_priv.h"

/* Longest chain of headers behind which ports are looked for. */
#define FLOW_HEADERS 128

/* Any odd numbers with ones and zeros all over. */
#define MIX_A 0x9e3779b97f4a7c15u
#define MIX_B 0xbf58476d1ce4e5b9u

/* What is known of one end: its address's lowest bits are those that differ most. */
static uint64_t end(const uint8_t *address, uint8_t version, uint32_t port)
{
	uint64_t v;

	if (version == 4)
		v = tvq_be32(address);
	else
		v = tvq_be64(address) * MIX_B + tvq_be64(address + 8);
	return (v * MIX_B + port) * MIX_A;
}

/*
 * Of two ends, the same in either order: sum and difference modulo 2 tell two numbers as a pair.
 * What multiplication has carried upwards, the rotation brings down again.
 */
static uint32_t both(uint64_t a, uint64_t b)
{
	const uint64_t difference = a ^ b;

	return (uint32_t)(((a + b) ^ (difference << 32 | difference >> 32)) * MIX_B >> 32);
}

static uint64_t mac(const uint8_t *p)
{
	return ((uint64_t)tvq_be16(p) << 32 | tvq_be32(p + 2)) * MIX_A;
}

uint32_t tvq_frame_flow(const struct tvq_frame *f)
{
	uint8_t h[FLOW_HEADERS];
	const uint32_t n = tvq_headers_copy(f, h, sizeof(h));
	uint32_t from = 0, to = 0;
	struct tvq_headers p;

	tvq_headers_parse(h, n, &p);
	if (!p.version)
		return both(mac(f->mac), mac(f->mac + 6));
	if (tvq_headers_ports(&p, n)) {
		from = (uint32_t)p.proto << 16 | tvq_be16(h + p.l4);
		to = (uint32_t)p.proto << 16 | tvq_be16(h + p.l4 + 2);
	}
	return both(end(h + p.src, p.version, from), end(h + p.dst, p.version, to));
}
