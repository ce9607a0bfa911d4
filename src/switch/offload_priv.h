/* SPDX-License-Identifier: BSD-3-Clause */
/* What segmentation, flows and hashes share; private to src/switch. */
#ifndef TVQ_SWITCH_OFFLOAD_PRIV_H
#define TVQ_SWITCH_OFFLOAD_PRIV_H

#include "device/util.h"
#include "switch/offload.h"

enum {
	TVQ_PROTO_TCP = 6,
	TVQ_PROTO_UDP = 17,
	TVQ_PROTO_NONE = 255, /* fragments, and chains of headers that cannot be followed */
};

/* Where things are in a copy of a frame's first bytes, which begins with the EtherType. */
struct tvq_headers {
	uint8_t version;   /* 4 or 6; 0: no IP, or a header that lies, and nothing below holds */
	uint8_t proto;	   /* of what begins at l4 */
	bool fragment;	   /* of an IP packet; proto is NONE */
	bool extended;	   /* IPv6 with extension headers */
	uint16_t l3, l4;   /* the IP header, and what follows IP's headers */
	uint16_t src, dst; /* addresses */
	uint16_t home;	   /* IPv6 Home Address option; 0: none */
	uint16_t route;	   /* address in an IPv6 Routing Header of type 2; 0: none */
};

/* Big-endian integers at any alignment. */
static inline uint16_t tvq_be16(const void *p)
{
	return __builtin_bswap16(tvq_get16(p));
}

static inline uint32_t tvq_be32(const void *p)
{
	return __builtin_bswap32(tvq_get32(p));
}

static inline uint64_t tvq_be64(const void *p)
{
	return __builtin_bswap64(tvq_get64(p));
}

static inline void tvq_put_be16(void *p, uint16_t v)
{
	tvq_put16(p, __builtin_bswap16(v));
}

static inline void tvq_put_be32(void *p, uint32_t v)
{
	tvq_put32(p, __builtin_bswap32(v));
}

/* Copies the first bytes of f from the sender's memory, max at most. Returns how many. */
uint32_t tvq_headers_copy(const struct tvq_frame *f, uint8_t *to, uint32_t max);

/*
 * What is in the n bytes at h. All offsets lie in them: the fixed IP header and the addresses of
 * any kind as a whole, l4 <= n. Bounded in n.
 */
void tvq_headers_parse(const uint8_t *h, uint32_t n, struct tvq_headers *out);

/* True where the ports of TCP or UDP are in the n bytes too. */
static inline bool tvq_headers_ports(const struct tvq_headers *p, uint32_t n)
{
	return (p->proto == TVQ_PROTO_TCP || p->proto == TVQ_PROTO_UDP) && p->l4 + 4u <= n;
}

/* The sum of a frame from its csum_start to its end. */
uint64_t tvq_frame_sum(const struct tvq_frame *f);

#endif
