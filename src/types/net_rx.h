/* SPDX-License-Identifier: BSD-3-Clause */
/* What the two ways into a receive queue share: net_rx.c has the usual one, net_rx_slow.c all. */
#ifndef TVQ_TYPES_NET_RX_H
#define TVQ_TYPES_NET_RX_H

#include "device/util.h"
#include "types/net.h"
#include "types/net_frame.h"

/* Frames for one queue of p, which runs: any frames, into any buffers. Drops are counted. */
void net_rx_slow(struct net_queue *q, struct tvq_port *p, const struct tvq_frame *const *f,
		 unsigned int n);

/* The header as the receiver gets it, without what HASH_REPORT adds. */
struct net_rx_hdr {
	uint64_t begin; /* up to csum_start */
	uint32_t end;	/* csum_offset, num_buffers */
};

/* gap: bytes of the frame before f->seg. */
static inline struct net_rx_hdr net_rx_header(const struct net_queue *q, const struct tvq_frame *f,
					      unsigned int gap, unsigned int n_chains)
{
	uint32_t offset = 0;
	uint64_t h = 0;

	if (__builtin_expect(f->flags | f->gso_type, 0)) {
		uint32_t start = f->csum_start + gap, len = f->len + gap;

		/* DATA_VALID is no offload, and news only to who has GUEST_CSUM. */
		h = f->flags & (q->can & TVQ_CAN_CSUM ? 3 : 1);
		if (f->flags & 1) {
			h |= (uint64_t)start << 48;
			offset = f->csum_offset;
		}
		/* hdr_len is a hint: not less than the headers are, TCP's being up to 60 bytes. */
		if (f->gso_type)
			h |= (uint64_t)f->gso_type << 8 | (uint64_t)f->gso_size << 32 |
			     (uint64_t)(uint16_t)(start + 60 < len ? start + 60 : len) << 16;
	}
	return (struct net_rx_hdr){ h, offset | n_chains << 16 };
}

static inline void net_rx_put_header(uint8_t to[NET_HDR], struct net_rx_hdr h)
{
	tvq_put64(to, h.begin);
	tvq_put32(to + 8, h.end);
}

#endif
