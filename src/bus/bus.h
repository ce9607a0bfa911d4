/* SPDX-License-Identifier: BSD-3-Clause */
/* For src/bus only. */
#ifndef TVQ_BUS_BUS_H
#define TVQ_BUS_BUS_H

#include <tvq/bus.h>
#include <tvq/loop.h>

/* The loop that runs the bus' control executor, or NULL where its owner runs it by hand. */
struct tvq_loop *tvq_bus_loop(const struct tvq_bus *b);

#endif
