/* SPDX-License-Identifier: BSD-3-Clause */
/* From a transmitted chain to a frame of the switch: the only function that judges one. */
#ifndef TVQ_TYPES_NET_FRAME_H
#define TVQ_TYPES_NET_FRAME_H

#include <stdint.h>

#include <tvq/switch.h>

#include "ring/ring.h"

/* Longest frame: an IP packet of 65535 bytes. From the EtherType on. */
#define NET_FRAME_MAX (2 + 65535)

/*
 * Makes f of c, whose segments it uses up: f->seg points into c->seg. hdr_len: 12, or 20 with
 * HASH_REPORT. features: accepted; what a header asks for without them is refused. 0, or
 * -(why + 1), why of enum tvq_drop. vid and queue are 0.
 *
 * Each byte of header, addresses and tag is read once. Pure but for that.
 */
int net_frame_make(struct tvq_frame *f, struct tvq_chain *c, uint64_t features,
		   unsigned int hdr_len);

/*
 * The same for n chains of one buffer each (tvq_ring_take_bufs()). Returns how many frames there
 * are, f[0] on, with seg[0] on as their segments: n of both. drops[why] counts the others.
 */
unsigned int net_frame_make_bufs(struct tvq_frame *f, struct tvq_seg *seg, const struct tvq_buf *b,
				 unsigned int n, uint64_t features, unsigned int hdr_len,
				 uint32_t *drops);

/*
 * A frame that is delivered without a tag must not begin with one: its receiver, or the switch
 * behind an uplink, would take it for one of a VLAN that its sender is perhaps not in. type is its
 * EtherType as it was copied. In the sender's memory it may have changed since it was looked at, and
 * behind a tag that is taken off there may be another: what is delivered is neither.
 */
static inline void net_frame_hide_tag(uint8_t type[2])
{
	if (__builtin_expect(type[0] == 0x81 && !type[1], 0))
		type[0] = 0;
}

#endif
