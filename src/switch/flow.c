// SPDX-License-Identifier: BSD-3-Clause
/*
 * Numbers of flows: frames of one flow keep their order where they go to the same queue, in either
 * direction. All that is known of both ends is put together by operations that do not care which is
 * which, and mixed once.
 *
 * Fragments of a packet have no ports but in the first: all of them are told by their addresses.
 */
#include "switch/offload_priv.h"

/* Longest chain of headers behind which ports are looked for. */
#define FLOW_HEADERS 128

/* A bijection, each bit of whose result depends on all of v. */
static uint64_t mix(uint64_t v)
{
	v ^= v >> 32;
	v *= 0x9e3779b97f4a7c15u;
	v ^= v >> 29;
	v *= 0xbf58476d1ce4e5b9u;
	return v ^ v >> 32;
}

/* Of two ends: the same in either order, and not 0 where they are the same. */
static uint64_t both(uint64_t a, uint64_t b)
{
	return mix(a) + mix(b);
}

static uint64_t address(const uint8_t *p, uint8_t version)
{
	if (version == 4)
		return tvq_get32(p);
	return mix(tvq_get64(p)) ^ tvq_get64(p + 8);
}

static uint64_t mac(const uint8_t *p)
{
	return (uint64_t)tvq_get16(p + 4) << 32 | tvq_get32(p);
}

uint32_t tvq_frame_flow(const struct tvq_frame *f)
{
	uint8_t h[FLOW_HEADERS];
	const uint32_t n = tvq_headers_copy(f, h, sizeof(h));
	struct tvq_headers p;
	uint64_t flow, a, b;

	tvq_headers_parse(h, n, &p);
	if (!p.version)
		return (uint32_t)(both(mac(f->mac), mac(f->mac + 6)) >> 32);
	a = address(h + p.src, p.version);
	b = address(h + p.dst, p.version);
	if (!tvq_headers_ports(&p, n))
		return (uint32_t)(both(a, b) >> 32);
	/* A port belongs to its address. */
	flow = both(a ^ (uint64_t)tvq_be16(h + p.l4) << 40, b ^ (uint64_t)tvq_be16(h + p.l4 + 2)
									    << 40);
	return (uint32_t)(mix(flow + p.proto) >> 32);
}
