/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The management device as a PCI function, device side: a modern virtio-pci device (virtio 1.4,
 * 4.1), not transitional. It makes the management device (src/device) and is its platform; what
 * carries it (the vfio-user server) is its host. Freestanding.
 *
 * Regions, as vfio numbers them:
 *   0  BAR 0, 32 bits: common configuration, ISR, device configuration, MSI-X table and PBA
 *   2  BAR 2 and 3, 64 bits, prefetchable: notification pages. Page 0 is the function's own queues',
 *      page 1 the MSI page (below) or unused, page 2 + n the managed device's with area n. Area
 *      numbers that VQ_NOTIFY GET answers are offsets in BAR 2, which starts with the notify
 *      capability's structure (TQ-102).
 *   7  configuration space, 4096 bytes: PCI Express endpoint with function-level reset
 *
 * Interrupts of managed devices (MSI VQ_SET and CONFIG_SET, TQ-081): the pair (addr, data) is
 *   - in the MSI page, where there is one: addr is BAR 2's address + 4096 (any multiple of 4 within
 *     the page), data the number of a vector: that vector is raised;
 *   - that of an MSI-X table entry, written through BAR 0: that vector is raised;
 *   - mapped in space 0: the four bytes are written there;
 *   - anything else: left to the host (a DMA write to the client).
 * It is resolved once, when the command is taken. A CPU's write of four bytes to the MSI page raises
 * the vector, too.
 *
 * The masks of MSI-X are kept here: of the function, and of each table entry from its first write
 * through BAR 0 on (a client that keeps the table to itself, as QEMU does, masks there). A masked
 * vector is pending and raised when it is unmasked. Without MSI-X the device's own interrupts go to
 * ISR and the line; whether a managed device's vector reaches anybody then is the host's to know.
 *
 * Everything is for the control executor, but for what says "any executor".
 */
#ifndef TVQ_PCI_PCI_H
#define TVQ_PCI_PCI_H

#include <stdbool.h>
#include <stdint.h>

#include <tvq/device.h>

#include "device/platform.h"

struct tvq_pci;
struct tvq_pci_host;

enum { TVQ_PCI_BAR0 = 0, TVQ_PCI_BAR2 = 2, TVQ_PCI_CONFIG = 7, TVQ_PCI_REGIONS = 9 };

#define TVQ_PCI_MAX_VECTORS 2048
#define TVQ_PCI_INTX	    0xffff /* instead of a vector's number: the line */

struct tvq_pci_cfg {
	struct tvq_mgmt_cfg mgmt;
	uint16_t device_id; /* PCI device id; 0: 0x1040 + the virtio type */
	uint16_t n_vectors; /* of MSI-X, 1 to TVQ_PCI_MAX_VECTORS; 0: 64 */
	bool msi_page;	    /* see above; the vendor capability tells the driver */
};

struct tvq_pci_host_ops {
	/* Space k of the platform, with a reference; NULL: it lacks it (TQ-120, TQ-123). */
	struct tvq_space *(*space)(struct tvq_pci_host *h, uint32_t asid);
	/* Raises a vector, or TVQ_PCI_INTX. Any executor, e is the caller's. Does not block. */
	void (*irq)(struct tvq_pci_host *h, uint16_t vector, struct tvq_exec *e);
	/* A target for a pair that is none of ours; NULL: a write to memory, dropped where nothing is
	 * mapped. */
	struct tvq_msi_target *(*msi)(struct tvq_pci_host *h, uint64_t addr, uint32_t data);
	/* A reset that a register write began, of the function or of the virtio device (status 0), is
	 * over (informs; may be NULL; must not free the function: a register write may be under
	 * way). */
	void (*was_reset)(struct tvq_pci_host *h);
};

struct tvq_pci_host {
	const struct tvq_pci_host_ops *ops;
};

/* NULL and *err: -ENOMEM, -EINVAL (a value of cfg, or the host has no space 0), -EIO (the type cannot
 * be set up). The host must outlive it, its space(0) is asked for at once. */
struct tvq_pci *tvq_pci_new(const struct tvq_pci_cfg *cfg, struct tvq_pci_host *host, int *err);
/* It has been reset: see tvq_pci_reset(). */
void tvq_pci_free(struct tvq_pci *p);

/* For the owner interface (tvq/device.h). */
struct tvq_device *tvq_pci_device(struct tvq_pci *p);
uint16_t tvq_pci_vectors(const struct tvq_pci *p);

/* Bytes; 0: there is no such region. */
uint64_t tvq_pci_region_size(const struct tvq_pci *p, unsigned int region);

/*
 * An access as a CPU or a VMM makes it: any length, any alignment; the registers see what virtio and
 * PCI say that they see (an access of a wrong width reads 0 and writes nothing). -EINVAL: not wholly
 * within the region, or len is 0; nothing has happened then. buf is little-endian. Never waits.
 */
int tvq_pci_read(struct tvq_pci *p, unsigned int region, uint64_t offset, void *buf, uint32_t len);
int tvq_pci_write(struct tvq_pci *p, unsigned int region, uint64_t offset, const void *buf,
		  uint32_t len);

/* Bus mastering is on in the command register. */
bool tvq_pci_bus_master(const struct tvq_pci *p);

/* The line is raised now (MSI-X is off, ISR is not 0, INTx is not disabled). host->irq() tells only
 * that it goes up: who masks it on delivery, as vfio does, looks here when it is unmasked. */
bool tvq_pci_intx(const struct tvq_pci *p);

/*
 * Function-level reset, as by the bus: configuration space as at the start, the device reset and its
 * managed devices destroyed (TQ-055). done->fn comes once all have stopped, perhaps before the
 * return. A second one while one is under way is told with it.
 */
struct tvq_pci_done {
	struct tvq_pci_done *next;
	void (*fn)(struct tvq_pci_done *d);
};
void tvq_pci_reset(struct tvq_pci *p, struct tvq_pci_done *done);

#endif
