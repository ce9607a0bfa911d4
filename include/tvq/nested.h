/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The bus to a nested management device (TQ-014): a managed device that has a transport virtqueue
 * of its own. Its registers are commands on its parent's transportq; its memory and notification
 * areas are the parent bus' (TQ-015, TQ-016). The only address space is 0. It has no msi_fd: an
 * MSI of a device behind it is written to memory of that space.
 *
 * The interrupts of its own queues come through an eventfd (the parent bus' msi_fd) that the loop
 * watches; where there is no loop or no msi_fd, the queues are polled once a turn.
 */
#ifndef TVQ_NESTED_H
#define TVQ_NESTED_H

#include <tvq/driver.h>

/*
 * device_id: from CREATE on parent, offering both bits; virtio_device_id: what it was created as.
 * Waits for nothing. Everything, the parent client included, has to outlive the bus.
 * bus->ops->free() waits; it does not destroy the device. NULL and *err: -ENOMEM.
 */
struct tvq_bus *tvq_nested_new(struct tvq_client *parent, uint64_t device_id,
			       uint32_t virtio_device_id, int *err);

#endif
