// SPDX-License-Identifier: BSD-3-Clause
/*
 * Segmentation of TCP in software, for receivers that take no GSO frames.
 *
 * All that is written into a segment's headers is a function of the frame's headers, of which there
 * is one copy, and of the segment's place:
 *
 *   IPv4   total length; identification + index; header checksum
 *   IPv6   payload length
 *   TCP    sequence number + bytes before; FIN and PSH on the last only, CWR on the first only
 *          (RFC 3168, 6.1.2: it answers once); checksum
 *
 * The TCP checksum starts from what the sender has put into the field, the pseudo header's sum, as
 * for any frame with NEEDS_CSUM; only the length in it is replaced. That is right with routing
 * headers and home addresses too, where the addresses of the IP header are not those of the sum.
 */
#include <linux/virtio_net.h>

#include "switch/offload_priv.h"

enum {
	IP_MAX = 65535, /* bytes of a packet, headers included */

	IPV4_TOTAL = 2,
	IPV4_ID = 4,
	IPV4_CSUM = 10,
	IPV6_PAYLOAD = 4,
	IPV6_HLEN = 40,

	TCP_HLEN = 20,
	TCP_SEQ = 4,
	TCP_OFFSET = 12,
	TCP_FLAGS = 13,
	TCP_CSUM = 16,
	TCP_FIN = 0x01,
	TCP_PSH = 0x08,
	TCP_CWR = 0x80,
};

/* A length as it is summed: in the order of memory. */
static uint16_t csum_len(uint32_t len)
{
	uint16_t v;

	tvq_put_be16(&v, (uint16_t)len);
	return v;
}

/* The length that IP's header tells is the one that is there, or 0, which some senders leave to who
 * makes the segments. */
static bool length_fits(const struct tvq_segmenter *s, const struct tvq_headers *p)
{
	const uint8_t *ip = s->headers + p->l3;
	const uint32_t there = s->f->len - p->l3;
	uint32_t told;

	if (there > IP_MAX)
		return false;
	told = tvq_be16(ip + (p->version == 4 ? IPV4_TOTAL : IPV6_PAYLOAD));
	return !told || told + (p->version == 4 ? 0 : IPV6_HLEN) == there;
}

/* -EBADMSG unless the n bytes of the copy are the headers of TCP as the frame says them. */
static int check_headers(struct tvq_segmenter *s, uint32_t n)
{
	const struct tvq_frame *f = s->f;
	const int type = f->gso_type & ~VIRTIO_NET_HDR_GSO_ECN;
	struct tvq_headers p;
	uint32_t tcp_len;

	tvq_headers_parse(s->headers, n, &p);
	if ((type != VIRTIO_NET_HDR_GSO_TCPV4 || p.version != 4) &&
	    (type != VIRTIO_NET_HDR_GSO_TCPV6 || p.version != 6))
		return -EBADMSG;
	if (p.proto != TVQ_PROTO_TCP || n - p.l4 < TCP_HLEN || !length_fits(s, &p))
		return -EBADMSG;
	tcp_len = (s->headers[p.l4 + TCP_OFFSET] >> 4) * 4u;
	if (tcp_len < TCP_HLEN || tcp_len > n - p.l4)
		return -EBADMSG;
	if (!(f->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) || f->csum_start != p.l4 ||
	    f->csum_offset != TCP_CSUM || !f->gso_size)
		return -EBADMSG;
	s->l3 = p.l3;
	s->l4 = p.l4;
	s->ip_len = p.l4 - p.l3;
	s->header_len = p.l4 + tcp_len;
	return 0;
}

/* Goes over the payload's pieces as next() will: true where each segment has few enough. */
static bool pieces_fit(const struct tvq_segmenter *s)
{
	const struct tvq_frame *f = s->f;
	uint32_t in_segment = 0, pieces = 0;
	uint32_t at = s->at_off;

	if (f->n_seg < TVQ_SEGMENT_PIECES)
		return true;
	for (unsigned int i = s->at_seg; i < f->n_seg; i++, at = 0) {
		size_t left = f->seg[i].len - at;

		if (!left)
			continue;
		if (++pieces >= TVQ_SEGMENT_PIECES)
			return false;
		if (left < f->gso_size - in_segment) {
			in_segment += (uint32_t)left;
			continue;
		}
		/* The segment ends in this piece; what is left of it is the next one's first. */
		left = (left - (f->gso_size - in_segment)) % f->gso_size;
		in_segment = (uint32_t)left;
		pieces = left ? 1 : 0;
	}
	return true;
}

int tvq_segmenter_init(struct tvq_segmenter *s, const struct tvq_frame *f)
{
	uint32_t skip;
	int err;

	s->f = f;
	err = check_headers(s, tvq_headers_copy(f, s->headers, TVQ_OFFLOAD_HEADERS));
	if (err)
		return err;
	skip = s->header_len;
	for (s->at_seg = 0; s->at_seg < f->n_seg; s->at_seg++) {
		if (skip < f->seg[s->at_seg].len)
			break;
		skip -= (uint32_t)f->seg[s->at_seg].len;
	}
	s->at_off = skip;
	if (!pieces_fit(s))
		return -EBADMSG;
	s->done = 0;
	s->payload = f->len - s->header_len;
	s->index = 0;
	s->n_segments = s->payload ? (s->payload + f->gso_size - 1) / f->gso_size : 1;

	/* What all segments have in common. */
	memcpy(s->out, s->headers, s->header_len);
	s->frame = *f;
	s->frame.gso_type = 0;
	s->frame.gso_size = 0;
	s->frame.seg = s->seg;
	s->seg[0] = (struct tvq_seg){ .va = s->out, .len = s->header_len };
	return 0;
}

/* The next len bytes of payload become seg[1] and on. */
static void take_payload(struct tvq_segmenter *s, uint32_t len)
{
	const struct tvq_frame *f = s->f;
	uint16_t n = 1;

	while (len) {
		const struct tvq_seg *from = &f->seg[s->at_seg];
		uint32_t piece = len;

		if (from->len - s->at_off < piece)
			piece = (uint32_t)(from->len - s->at_off);
		if (piece) {
			s->seg[n].va = (uint8_t *)from->va + s->at_off;
			s->seg[n++].len = piece;
			s->at_off += piece;
			len -= piece;
		}
		if (s->at_off == from->len) {
			s->at_seg++;
			s->at_off = 0;
		}
	}
	s->frame.n_seg = n;
}

static void put_ip(struct tvq_segmenter *s, uint32_t bytes)
{
	uint8_t *ip = s->out + s->l3;
	uint16_t csum;

	if (ip[0] >> 4 == 6) {
		tvq_put_be16(ip + IPV6_PAYLOAD, (uint16_t)(bytes - IPV6_HLEN));
		return;
	}
	tvq_put_be16(ip + IPV4_TOTAL, (uint16_t)bytes);
	tvq_put_be16(ip + IPV4_ID, (uint16_t)(tvq_be16(s->headers + s->l3 + IPV4_ID) + s->index));
	memset(ip + IPV4_CSUM, 0, sizeof(csum));
	csum = tvq_csum_end(tvq_csum_add(0, ip, s->ip_len));
	memcpy(ip + IPV4_CSUM, &csum, sizeof(csum));
}

/* bytes: of the segment from here on. */
static void put_tcp(struct tvq_segmenter *s, uint32_t bytes, bool last)
{
	const uint8_t *from = s->headers + s->l4;
	uint8_t *tcp = s->out + s->l4, flags = from[TCP_FLAGS];
	uint16_t pseudo;

	tvq_put_be32(tcp + TCP_SEQ, tvq_be32(from + TCP_SEQ) + s->done);
	if (!last)
		flags &= (uint8_t) ~(TCP_FIN | TCP_PSH);
	if (s->index)
		flags &= (uint8_t)~TCP_CWR;
	tcp[TCP_FLAGS] = flags;

	/* The frame's length leaves the pseudo header's sum, the segment's enters it. */
	memcpy(&pseudo, from + TCP_CSUM, sizeof(pseudo));
	pseudo = (uint16_t)~tvq_csum_end((uint64_t)pseudo + (uint16_t)~csum_len(s->f->len - s->l4) +
					 csum_len(bytes));
	memcpy(tcp + TCP_CSUM, &pseudo, sizeof(pseudo));
}

const struct tvq_frame *tvq_segmenter_next_partial(struct tvq_segmenter *s)
{
	uint32_t len = s->payload - s->done;

	if (s->index == s->n_segments)
		return NULL;
	if (len > s->f->gso_size)
		len = s->f->gso_size;
	put_ip(s, s->header_len - s->l3 + len);
	put_tcp(s, s->header_len - s->l4 + len, s->index + 1 == s->n_segments);
	take_payload(s, len);
	s->done += len;
	s->index++;
	s->frame.len = s->header_len + len;
	s->frame.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	return &s->frame;
}

const struct tvq_frame *tvq_segmenter_next(struct tvq_segmenter *s)
{
	uint16_t csum;

	if (!tvq_segmenter_next_partial(s))
		return NULL;
	csum = tvq_csum_end(tvq_frame_sum(&s->frame));
	memcpy(s->out + s->l4 + TCP_CSUM, &csum, sizeof(csum));
	s->frame.flags = 0;
	return &s->frame;
}
