/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a frame's sender left to the device and its receiver does not do: checksums and segmentation
 * in software (virtio 1.4, 5.1.6.2 and 5.1.6.4). Pure functions over a frame and memory handed in.
 *
 * Trust boundary: headers behind the EtherType are in the sender's memory. They are copied once,
 * the copy is judged, and the copy is what is delivered; payload is copied to the receiver and
 * summed there. Freestanding.
 */
#ifndef TVQ_SWITCH_OFFLOAD_H
#define TVQ_SWITCH_OFFLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include <tvq/switch.h>

/* What a receiver can take. */
enum {
	TVQ_CAN_CSUM = 1, /* partial checksums: GUEST_CSUM */
	TVQ_CAN_TSO4 = 2,
	TVQ_CAN_TSO6 = 4,
	TVQ_CAN_ECN = 8, /* GSO frames with CWR */
};

/* Longest headers from the EtherType to the first byte of payload that are segmented: EtherType,
 * IPv6 with extensions or IPv4 with options, TCP with options. */
#define TVQ_OFFLOAD_HEADERS 256

/* Pieces of memory of one segment, headers included. */
#define TVQ_SEGMENT_PIECES 64

/* False: the receiver takes f as it is. */
static inline bool tvq_offload_needed(const struct tvq_frame *f, unsigned int can)
{
	unsigned int need = 0;

	if (__builtin_expect(!(f->flags | f->gso_type), 1))
		return false;
	if (f->flags & 1) /* NEEDS_CSUM */
		need |= TVQ_CAN_CSUM;
	if ((f->gso_type & 0x7f) == 1)
		need |= TVQ_CAN_TSO4;
	if ((f->gso_type & 0x7f) == 4)
		need |= TVQ_CAN_TSO6;
	if (f->gso_type & 0x80)
		need |= TVQ_CAN_ECN;
	return need & ~can;
}

/* The Internet checksum's sum (RFC 1071) of bytes that begin at an even offset, added to sum; not
 * folded, not inverted. */
uint64_t tvq_csum_add(uint64_t sum, const void *data, uint32_t len);
/* Folded and inverted: in the order in which it is stored (memcpy of it is right). */
uint16_t tvq_csum_end(uint64_t sum);

/* Copies len bytes and adds them to the sum of those copied before, whatever their number was:
 * begins as { 0 }. What is stored has this sum, even if the bytes' owner changes them meanwhile. */
struct tvq_csum_run {
	uint64_t sum;
	bool odd; /* an odd number of bytes came before */
};
void tvq_csum_copy(struct tvq_csum_run *run, void *to, const void *from, uint32_t len);

/*
 * Segmentation of one GSO frame. init copies and checks the headers: -EBADMSG where they are not
 * what gso_type says (no IP and TCP there, lengths that do not fit, a csum_start that is not TCP's,
 * pieces of memory so small that a segment would have TVQ_SEGMENT_PIECES of them), else 0 and
 * n_segments, 1 or more. Then next() makes one frame after the other: with headers and checksums of
 * its own, NEEDS_CSUM clear, no GSO; its seg points into s and the sender's memory, valid until the
 * next call. NULL: no more. f and what it points to stay as they are until then.
 *
 * A sender may ask for segments of one byte: n_segments is up to 65,000. Who delivers them ends
 * when the receiver has no more buffers.
 *
 * The TCP checksum is of bytes that the sender may change while they are copied: then the
 * receiver sees a wrong checksum, as on a bad wire, and nothing worse.
 */
struct tvq_segmenter {
	const struct tvq_frame *f;
	uint8_t headers[TVQ_OFFLOAD_HEADERS]; /* as sent */
	uint8_t out[TVQ_OFFLOAD_HEADERS];     /* of the segment that next() gave out last */
	uint32_t header_len, ip_len;	      /* of headers; of IP's */
	uint32_t l3, l4;		      /* where IP's begins, and TCP's */
	uint32_t done, payload;		      /* bytes of payload given out; in all */
	uint32_t n_segments, index;
	uint16_t at_seg; /* where the payload goes on */
	uint32_t at_off;
	struct tvq_seg seg[TVQ_SEGMENT_PIECES];
	struct tvq_frame frame;
};
int tvq_segmenter_init(struct tvq_segmenter *s, const struct tvq_frame *f);
const struct tvq_frame *tvq_segmenter_next(struct tvq_segmenter *s);
/*
 * The same, but the TCP checksum is left to do, as in a frame that came with NEEDS_CSUM, which is
 * set: for receivers with TVQ_CAN_CSUM, and for who sums while it copies (tvq_csum_copy()), which is
 * a third faster for memory that is in no cache, and leaves a sender nothing to change in between.
 */
const struct tvq_frame *tvq_segmenter_next_partial(struct tvq_segmenter *s);

/*
 * The checksum of a frame that has NEEDS_CSUM, to be stored at csum_start + csum_offset (in the
 * order in which it is stored). The field itself holds the pseudo header's sum (virtio 5.1.6.2).
 * 0xffff where it comes out as 0, which UDP would read as "none" and which is the same to all others.
 */
uint16_t tvq_frame_csum(const struct tvq_frame *f);

/* ---- flows ---- */

/* A number that is the same for all frames of a flow (addresses and ports of IPv4, IPv6, TCP, UDP;
 * else of the MAC addresses), in both directions. Reads the sender's memory; bounded. */
uint32_t tvq_frame_flow(const struct tvq_frame *f);

/* Receive-side scaling (virtio 5.1.6.4.3, 5.1.6.5.7.1). */
#define TVQ_RSS_KEY 40
struct tvq_rss_result {
	uint32_t hash;
	uint16_t report; /* VIRTIO_NET_HASH_REPORT_*; 0: none, hash is 0 */
};
/* Toeplitz over what hash_types (VIRTIO_NET_HASH_TYPE_*) allows for this frame. */
struct tvq_rss_result tvq_frame_rss(const struct tvq_frame *f, uint32_t hash_types,
				    const uint8_t key[TVQ_RSS_KEY]);

#endif
