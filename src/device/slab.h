/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory for many objects of few sizes, out of large blocks: tens of thousands of managed devices
 * lie in some tens of pages of 2 MiB, so that a command to any of them finds its address
 * translation in the processor. Control executor only; freestanding.
 */
#ifndef TVQ_DEVICE_SLAB_H
#define TVQ_DEVICE_SLAB_H

#include <stddef.h>

#include <tvq/os.h>

struct tvq_slab_class;

struct tvq_slabs {
	const struct tvq_os *os;
	struct tvq_slab_class *classes; /* one for each size; they stay until the end */
};

void tvq_slabs_init(struct tvq_slabs *s, const struct tvq_os *os);
/* All objects have been given back. Blocks of those that were not are left to a leak checker. */
void tvq_slabs_fini(struct tvq_slabs *s);
/* Zeroed, aligned to 64 bytes; NULL: no memory. */
void *tvq_slabs_alloc(struct tvq_slabs *s, size_t size);
/* size is what it was allocated with; p may be NULL. */
void tvq_slabs_free(struct tvq_slabs *s, void *p, size_t size);

#endif
