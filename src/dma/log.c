/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The log of writes. Its bits are cleared by whoever copies the memory, while devices go on: it
 * takes the bit first and the page then, we write the page first and set the bit then. So no bit is
 * left out because it looks set already.
 */
#include <stdatomic.h>

#include <tvq/dma.h>

#define LOG_PAGE_SHIFT 12

void tvq_dma_log_write(const struct tvq_dma_log *log, uint64_t iova, uint64_t len)
{
	uint64_t page, last;

	if (!len || iova >= log->len)
		return;
	if (len > log->len - iova)
		len = log->len - iova;
	page = iova >> LOG_PAGE_SHIFT;
	last = (iova + (len - 1)) >> LOG_PAGE_SHIFT;
	while (page <= last) {
		unsigned int bits = 0xff & (0xffu << (page & 7));
		uint64_t byte = page >> 3;

		if (last >> 3 == byte)
			bits &= 0xffu >> (7 - (last & 7));
		/* Release: the data is written before its bit is seen. */
		atomic_fetch_or_explicit(&log->bits[byte], (uint8_t)bits, memory_order_release);
		page = (byte + 1) << 3;
	}
}
