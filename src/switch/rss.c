// SPDX-License-Identifier: BSD-3-Clause
/*
 * Receive-side scaling: which fields of a frame are hashed (virtio 1.4, 5.1.6.4.3.2 to .4), and the
 * Toeplitz hash of them.
 *
 * The hash is linear: for each bit of the input that is set, 32 bits of the key, which begin at
 * that bit's place, are added modulo 2.
 */
#include <linux/virtio_net.h>

#include "switch/offload_priv.h"

#define TYPE(name) VIRTIO_NET_RSS_HASH_TYPE_##name

/* A report's number is that of its type's bit, counted from 1. */
_Static_assert(TYPE(IPv4) == 1 << (VIRTIO_NET_HASH_REPORT_IPv4 - 1), "first");
_Static_assert(TYPE(UDP_EX) == 1 << (VIRTIO_NET_HASH_REPORT_UDPv6_EX - 1), "last");

struct family {
	uint32_t ip, tcp, udp; /* types */
};

static const struct family ipv4 = { TYPE(IPv4), TYPE(TCPv4), TYPE(UDPv4) };
static const struct family ipv6 = { TYPE(IPv6), TYPE(TCPv6), TYPE(UDPv6) };
static const struct family ipv6_ex = { TYPE(IP_EX), TYPE(TCP_EX), TYPE(UDP_EX) };

#define INPUT_MAX 36 /* two IPv6 addresses, two ports; key bytes: four more */
_Static_assert(INPUT_MAX + 4 == TVQ_RSS_KEY, "the key covers the longest input");

/* len is a multiple of 4, INPUT_MAX at most. Four bits at a time, by what each value of them adds. */
static uint32_t toeplitz(const uint8_t *in, uint32_t len, const uint8_t key[TVQ_RSS_KEY])
{
	uint64_t hash = 0; /* in the upper half; what is below belongs to later bits */

	for (uint32_t i = 0; i < len; i += 4) {
		const uint64_t window = (uint64_t)tvq_be32(key + i) << 32 | tvq_be32(key + i + 4);
		const uint32_t word = tvq_be32(in + i);
		uint64_t adds[16] = { 0 };

#pragma GCC unroll 15
		for (unsigned int v = 1; v < 16; v++)
			adds[v] = adds[v & (v - 1)] ^ window << (3 - __builtin_ctz(v));
#pragma GCC unroll 8
		for (unsigned int bit = 0; bit < 32; bit += 4)
			hash ^= adds[word >> (28 - bit) & 15] << bit;
	}
	return (uint32_t)(hash >> 32);
}

/* The type among those of a family that holds for this protocol and is allowed; 0: none. */
static uint32_t type_of(const struct family *in, uint8_t proto, uint32_t allowed)
{
	if (proto == TVQ_PROTO_TCP && in->tcp & allowed)
		return in->tcp;
	if (proto == TVQ_PROTO_UDP && in->udp & allowed)
		return in->udp;
	return in->ip & allowed;
}

struct tvq_rss_result tvq_frame_rss(const struct tvq_frame *f, uint32_t hash_types,
				    const uint8_t key[TVQ_RSS_KEY])
{
	uint8_t h[TVQ_OFFLOAD_HEADERS], in[INPUT_MAX];
	const uint32_t n = tvq_headers_copy(f, h, sizeof(h));
	uint32_t type = 0, len = 0, src, dst;
	struct tvq_headers p;
	uint8_t proto;

	tvq_headers_parse(h, n, &p);
	if (!p.version)
		return (struct tvq_rss_result){ 0 };
	proto = tvq_headers_ports(&p, n) ? p.proto : TVQ_PROTO_NONE;
	src = p.src;
	dst = p.dst;
	if (p.extended)
		type = type_of(&ipv6_ex, proto, hash_types);
	if (type) {
		src = p.home ? p.home : src;
		dst = p.route ? p.route : dst;
	} else {
		type = type_of(p.version == 4 ? &ipv4 : &ipv6, proto, hash_types);
	}
	if (!type)
		return (struct tvq_rss_result){ 0 };

	len = p.version == 4 ? 4 : 16;
	memcpy(in, h + src, len);
	memcpy(in + len, h + dst, len);
	len *= 2;
	if (!(type & (TYPE(IPv4) | TYPE(IPv6) | TYPE(IP_EX)))) {
		memcpy(in + len, h + p.l4, 4);
		len += 4;
	}
	return (struct tvq_rss_result){
		.hash = toeplitz(in, len, key),
		.report = (uint16_t)(__builtin_ctz(type) + 1),
	};
}
