/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory of a peer, mapped into this process. Mappings are shared below separate spaces: the same
 * bytes of the same file, asked for a hundred times, are mapped once. Hosted; any thread; may block
 * in mmap.
 *
 * A peer's memory can vanish (it truncates its memfd). The SIGBUS that an access then raises puts
 * an anonymous page there and marks the mapping lost; the access reads zeroes or writes nowhere,
 * and the worker finds the mark within a batch. Other SIGBUS signals go where they went before.
 */
#ifndef TVQ_MAPPING_H
#define TVQ_MAPPING_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <tvq/dma.h>

/*
 * Maps len bytes of fd at offset (both may be of any alignment), shared. fd stays the caller's. *va
 * gets the address. One reference is the caller's; m->put() drops it. Errors: -errno of fstat or
 * mmap, -EINVAL (len 0, or wraps), -ENXIO (beyond the file's end), -ENOSPC (with it the process would
 * have mapped more than 2^46 bytes, or more pieces than the system lets it).
 */
int tvq_mapping_fd(int fd, uint64_t offset, uint64_t len, bool writable, struct tvq_mapping **m,
		   uint8_t **va);

/* Anonymous, zeroed memory of len bytes that behaves as a mapping. */
int tvq_mapping_anon(uint64_t len, struct tvq_mapping **m, uint8_t **va);

/* Living mappings of the process; for tests and limits. */
unsigned int tvq_mapping_count(void);

#endif
