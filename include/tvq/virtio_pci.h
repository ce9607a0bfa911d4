/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The bus to a management device that is a PCI function: the driver side of virtio-pci. What reaches
 * the function (configuration space, BARs, interrupts, DMA mappings) is a table of functions, so
 * that the same driver works over a vfio-user socket, here, and over VFIO. Hosted.
 *
 * Interrupts: MSI-X vectors are given out by msi_fd, one for each descriptor while they last; the
 * vector's table entry holds the pair that the device is told, and the descriptor itself goes to
 * the device. After that the pair is an address without memory: the device's message comes over the
 * connection, and the control executor signals the descriptor. notify_fd is served by the control
 * executor, which passes the notification on; without a descriptor (TVQ_NOTIFY_POLL) it notifies
 * every 100 us.
 *
 * Address spaces: space k is the part of the function's DMA addresses that starts at k << 48
 * (TQ-123). map and dma_alloc block for a round trip over the connection, TVQ_BUS_TIMEOUT_NS at
 * most, without running the executor. Memory that comes without a descriptor is known to the device
 * and not reachable, but for what dma_alloc gave. What the device asks for by itself (DMA_READ,
 * DMA_WRITE) it gets from memory that this process has mapped: dma_alloc's, and such without a
 * descriptor.
 */
#ifndef TVQ_VIRTIO_PCI_H
#define TVQ_VIRTIO_PCI_H

#include <tvq/bus.h>
#include <tvq/loop.h>

#define TVQ_VIRTIO_PCI_ERR_LEN 256

/*
 * Connects to the vfio-user server on a socket and finds the function. Waits at most
 * TVQ_BUS_TIMEOUT_NS. NULL: err (TVQ_VIRTIO_PCI_ERR_LEN bytes) has a sentence that names the path.
 * bus->ops->free() ends the connection; the device is not reset by that.
 */
struct tvq_bus *tvq_vfio_user_bus(struct tvq_loop *loop, const char *path, char *err);

/*
 * gone is called once, on the control executor, when the connection has ended or the server breaks
 * the protocol; operations fail with -ENODEV from then on, and nothing waits for an answer. why is
 * a sentence.
 */
void tvq_vfio_user_bus_gone(struct tvq_bus *b, void (*gone)(void *ctx, const char *why), void *ctx);

#endif
