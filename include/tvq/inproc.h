/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The in-process bus: a management device in this process, and the way to it for libtvq's driver
 * half. Hosted. notify_fd and msi_fd work where the executors are loops' (tvq/loop.h).
 */
#ifndef TVQ_INPROC_H
#define TVQ_INPROC_H

#include <tvq/bus.h>
#include <tvq/device.h>

/*
 * Makes the management device that cfg describes, and the bus. What cfg points to has to outlive
 * it. bus->ops->free() resets the device and frees both; it may wait. NULL and *err: -ENOMEM,
 * -EINVAL.
 */
struct tvq_bus *tvq_inproc_new(const struct tvq_mgmt_cfg *cfg, int *err);

/* For the owner interface. */
struct tvq_device *tvq_inproc_device(struct tvq_bus *b);

/* An address space's memory as this process sees it: for tests. NULL: no such space. */
struct tvq_space *tvq_inproc_space(struct tvq_bus *b, uint32_t asid);

#endif
