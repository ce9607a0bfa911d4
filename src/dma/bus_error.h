/* SPDX-License-Identifier: BSD-3-Clause */
/* Where mappings may fault, and the handler that puts memory there. Private to src/dma. */
#ifndef TVQ_DMA_BUS_ERROR_H
#define TVQ_DMA_BUS_ERROR_H

#include <stdatomic.h>
#include <stddef.h>

struct tvq_bus_slot;

/*
 * Installs the handler of SIGBUS, once in the life of the process; what was installed before is
 * called for faults that are not ours. Any thread. 0 or a negative errno.
 */
int tvq_bus_install(void);

/*
 * From now on a bus error within [base, base + size) replaces all of it by anonymous memory with
 * the rights prot, sets *lost and counts it in tvq_dma_lost_count. NULL: no memory. One caller at a
 * time, as clear.
 */
struct tvq_bus_slot *tvq_bus_slot_set(void *base, size_t size, int prot, atomic_bool *lost);
/* Nobody may be accessing the memory; to be called before it is unmapped. */
void tvq_bus_slot_clear(struct tvq_bus_slot *s);

#endif
