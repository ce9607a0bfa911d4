/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A virtqueue in memory (virtio 1.4, 2.7 and 2.8), for both halves. Descriptors are two 64-bit
 * words, so that either half reads and writes them with two accesses; all little-endian.
 */
#ifndef TVQ_RING_LAYOUT_H
#define TVQ_RING_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/virtio_ring.h>

/* Split: tail is len | flags << 32 | next << 48. Packed: len | id << 32 | flags << 48. */
struct tvq_desc {
	uint64_t addr;
	uint64_t tail;
};

struct tvq_split_avail {
	uint16_t flags;
	uint16_t idx;
	uint16_t ring[]; /* size heads, then used_event */
};

/* word is id | len << 32 */
struct tvq_split_used {
	uint16_t flags;
	uint16_t idx;
	/*
	 * size elements of {le32 id, le32 len}, then avail_event. Only 4-byte aligned, so they
	 * cannot be accessed as 64-bit words.
	 */
	uint32_t ring[];
};

_Static_assert(sizeof(struct tvq_desc) == sizeof(struct vring_desc), "descriptor");
_Static_assert(sizeof(struct tvq_desc) == sizeof(struct vring_packed_desc), "descriptor");
_Static_assert(offsetof(struct tvq_split_used, ring) == 4, "used ring");

static inline uint16_t *tvq_split_used_event(struct tvq_split_avail *a, uint16_t size)
{
	return &a->ring[size];
}

static inline uint16_t *tvq_split_avail_event(struct tvq_split_used *u, uint16_t size)
{
	return (uint16_t *)(void *)&u->ring[2 * (size_t)size];
}

#define TVQ_PACKED_AVAIL (1u << VRING_PACKED_DESC_F_AVAIL)
#define TVQ_PACKED_USED	 (1u << VRING_PACKED_DESC_F_USED)

/* The flags, of the two that carry the wrap counter, of an available and of a used descriptor. */
static inline uint16_t tvq_packed_avail_flags(bool wrap)
{
	return wrap ? TVQ_PACKED_AVAIL : TVQ_PACKED_USED;
}

static inline uint16_t tvq_packed_used_flags(bool wrap)
{
	return wrap ? TVQ_PACKED_AVAIL | TVQ_PACKED_USED : 0;
}

static inline uint16_t tvq_packed_tail_flags(uint64_t tail)
{
	return (uint16_t)(tail >> 48);
}

static inline bool tvq_packed_is_avail(uint64_t tail, bool wrap)
{
	return (tvq_packed_tail_flags(tail) & (TVQ_PACKED_AVAIL | TVQ_PACKED_USED)) ==
	       tvq_packed_avail_flags(wrap);
}

static inline bool tvq_packed_is_used(uint64_t tail, bool wrap)
{
	return (tvq_packed_tail_flags(tail) & (TVQ_PACKED_AVAIL | TVQ_PACKED_USED)) ==
	       tvq_packed_used_flags(wrap);
}

/* A packed ring's event suppression structure as one 32-bit word: off_wrap | flags << 16. */
static inline uint32_t tvq_packed_event(uint16_t slot, bool wrap, uint16_t flags)
{
	return slot | (uint32_t)wrap << VRING_PACKED_EVENT_F_WRAP_CTR | (uint32_t)flags << 16;
}

/*
 * Whether the other side, which asks for events by the word event, wants one for what was
 * published: n descriptors that end before slot pos, on the lap of wrap. Reserved values count as
 * yes.
 */
static inline bool tvq_packed_wants_event(uint32_t event, bool event_idx, uint16_t size,
					  uint16_t pos, bool wrap, uint16_t n)
{
	uint16_t flags = event >> 16, off = event & 0x7fff;

	if (flags == VRING_PACKED_EVENT_FLAG_DISABLE)
		return false;
	if (flags != VRING_PACKED_EVENT_FLAG_DESC || !event_idx)
		return true;
	/* A slot of the lap before ours lies one size behind. */
	if ((bool)(event >> VRING_PACKED_EVENT_F_WRAP_CTR & 1) != wrap)
		off = (uint16_t)(off - size);
	return vring_need_event(off, pos, (uint16_t)(pos - n));
}

static inline bool tvq_ring_size_ok(bool packed, uint16_t size)
{
	return size && size <= 32768 && (packed || !(size & (size - 1)));
}

#endif
