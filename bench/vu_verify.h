/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VU_VERIFY_H
#define VU_VERIFY_H

#include "vu_ring.h"

/*
 * Checks that a device keeps data. Rounds, for ms milliseconds (two at least): each block of the
 * span is written once with a pattern of its place and the round, in random order; then random
 * blocks are read and rewritten at depth. Polls. The rings are started. -EIO and a line on stderr
 * where a byte differs.
 */
int vu_verify(struct vu_front *f, struct vu_ring *r, const struct vu_options *o, unsigned int depth,
	      uint64_t span, unsigned int ms);

#endif
