// SPDX-License-Identifier: BSD-3-Clause
/*
 * Finds IP's headers in the first bytes of a frame.
 *
 * Trust boundary: the bytes are a copy of what a sender wrote, and may say anything. Each step
 * looks no further than the copy goes; every header of a chain moves on by 8 bytes or more, so that
 * the copy's length bounds the work.
 */
#include "switch/offload_priv.h"

enum {
	ETHERTYPE_IPV4 = 0x0800,
	ETHERTYPE_IPV6 = 0x86dd,
	ETHERTYPE_QINQ = 0x88a8,

	IPV4_HLEN = 20,
	IPV4_FRAGMENT = 0x3fff, /* more fragments, or an offset */

	IPV6_HLEN = 40,
	IPV6_HOP_BY_HOP = 0,
	IPV6_ROUTING = 43,
	IPV6_FRAGMENT = 44,
	IPV6_AUTH = 51,
	IPV6_DESTINATION = 60,
	IPV6_MOBILITY = 135,
	IPV6_HIP = 139,
	IPV6_SHIM6 = 140,

	ROUTING_TYPE_2 = 2,
	OPTION_PAD1 = 0,
	OPTION_HOME = 201,

	INNER_TAGS = 2, /* VLAN tags behind the frame's own that are looked through */
};

uint32_t tvq_headers_copy(const struct tvq_frame *f, uint8_t *to, uint32_t max)
{
	uint32_t n = 0;

	for (unsigned int i = 0; i < f->n_seg && n < max; i++) {
		size_t len = f->seg[i].len;

		if (len > max - n)
			len = max - n;
		memcpy(to + n, f->seg[i].va, len);
		n += (uint32_t)len;
	}
	return n;
}

static void parse_ipv4(const uint8_t *h, uint32_t n, struct tvq_headers *out)
{
	const uint8_t *ip = h + out->l3;
	uint32_t hlen;

	if (n - out->l3 < IPV4_HLEN || ip[0] >> 4 != 4)
		return;
	hlen = (ip[0] & 15u) * 4;
	if (hlen < IPV4_HLEN || hlen > n - out->l3)
		return;
	out->version = 4;
	out->l4 = (uint16_t)(out->l3 + hlen);
	out->src = out->l3 + 12;
	out->dst = out->l3 + 16;
	out->fragment = tvq_be16(ip + 6) & IPV4_FRAGMENT;
	out->proto = out->fragment ? TVQ_PROTO_NONE : ip[9];
}

/* Looks for the Home Address option among the options from at to end. */
static void parse_options(const uint8_t *h, uint32_t at, uint32_t end, struct tvq_headers *out)
{
	while (at < end) {
		uint32_t len;

		if (h[at] == OPTION_PAD1) {
			at++;
			continue;
		}
		if (end - at < 2)
			return;
		len = h[at + 1];
		if (len > end - at - 2)
			return;
		if (h[at] == OPTION_HOME && len == 16)
			out->home = (uint16_t)(at + 2);
		at += 2 + len;
	}
}

/*
 * The length of the extension header at h, of which `left` bytes are there and perhaps not all; 0
 * where a header of that type is none.
 */
static uint32_t extension_len(const uint8_t *h, uint32_t left, uint8_t type)
{
	const uint32_t field = left < 2 ? 0 : h[1];

	switch (type) {
	case IPV6_HOP_BY_HOP:
	case IPV6_ROUTING:
	case IPV6_DESTINATION:
	case IPV6_MOBILITY:
	case IPV6_HIP:
	case IPV6_SHIM6:
		return (field + 1) * 8;
	case IPV6_FRAGMENT:
		return 8;
	case IPV6_AUTH:
		return (field + 2) * 4;
	default:
		return 0;
	}
}

static void parse_ipv6(const uint8_t *h, uint32_t n, struct tvq_headers *out)
{
	const uint8_t *ip = h + out->l3;
	uint32_t at = out->l3 + IPV6_HLEN, len;
	uint8_t type;

	if (n - out->l3 < IPV6_HLEN || ip[0] >> 4 != 6)
		return;
	out->version = 6;
	out->src = out->l3 + 8;
	out->dst = out->l3 + 24;
	type = ip[6];
	while ((len = extension_len(h + at, n - at, type))) {
		if (len > n - at) {
			type = TVQ_PROTO_NONE;
			break;
		}
		out->extended = true;
		if (type == IPV6_FRAGMENT && tvq_be16(h + at + 2) & 0xfff9)
			out->fragment = true;
		if (type == IPV6_DESTINATION)
			parse_options(h, at + 2, at + len, out);
		if (type == IPV6_ROUTING && h[at + 2] == ROUTING_TYPE_2 && len == 24)
			out->route = (uint16_t)(at + 8);
		type = h[at];
		at += len;
		if (out->fragment)
			break;
	}
	out->l4 = (uint16_t)at;
	out->proto = out->fragment ? TVQ_PROTO_NONE : type;
}

void tvq_headers_parse(const uint8_t *h, uint32_t n, struct tvq_headers *out)
{
	uint32_t at = 0, tags;
	uint16_t type = 0;

	*out = (struct tvq_headers){ .proto = TVQ_PROTO_NONE };
	for (tags = 0; n - at >= 2; tags++, at += 4) {
		type = tvq_be16(h + at);
		if (type != TVQ_ETH_TAG && type != ETHERTYPE_QINQ)
			break;
		if (tags == INNER_TAGS || n - at < 4)
			return;
	}
	out->l3 = (uint16_t)(at + 2);
	if (type == ETHERTYPE_IPV4)
		parse_ipv4(h, n, out);
	else if (type == ETHERTYPE_IPV6)
		parse_ipv6(h, n, out);
}
