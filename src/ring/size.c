/* SPDX-License-Identifier: BSD-3-Clause */
/* Sizes and alignments of a virtqueue's areas, for both halves. */

#include "layout.h"
#include "ring.h"

uint64_t tvq_ring_desc_bytes(bool packed, uint16_t size)
{
	return size *
	       (uint64_t)(packed ? sizeof(struct vring_packed_desc) : sizeof(struct vring_desc));
}

uint64_t tvq_ring_driver_bytes(bool packed, uint16_t size)
{
	return packed ? 4 : 6 + 2 * (uint64_t)size;
}

uint64_t tvq_ring_device_bytes(bool packed, uint16_t size)
{
	return packed ? 4 : 6 + 8 * (uint64_t)size;
}

uint64_t tvq_ring_desc_align(bool packed)
{
	return packed ? 16 : VRING_DESC_ALIGN_SIZE;
}

uint64_t tvq_ring_driver_align(bool packed)
{
	return packed ? 4 : VRING_AVAIL_ALIGN_SIZE;
}

uint64_t tvq_ring_device_align(bool packed)
{
	return packed ? 4 : VRING_USED_ALIGN_SIZE;
}
