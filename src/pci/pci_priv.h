/* SPDX-License-Identifier: BSD-3-Clause */
/* The PCI function: shared by its parts. See pci.h. */
#ifndef TVQ_PCI_PCI_PRIV_H
#define TVQ_PCI_PCI_PRIV_H

#include <stdatomic.h>

#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>

#include "device/device_priv.h"
#include "device/util.h"
#include "pci/pci.h"

#define PCI_VENDOR 0x1af4
#define PCI_PAGE   4096u

/* What lies where in BAR 0. Each thing has its own pages. */
enum {
	PCI_BAR0_COMMON = 0x0000,
	PCI_BAR0_ISR = 0x1000,
	PCI_BAR0_DEVICE = 0x2000,
	PCI_BAR0_PBA = 0x4000,
	PCI_BAR0_TABLE = 0x8000,
	PCI_BAR0_SIZE = 0x10000,
};

/* And in BAR 2. */
enum { PCI_PAGE_OWN, PCI_PAGE_MSI, PCI_PAGE_AREAS };

/* The common configuration structure, as virtio 1.4 has it, with the fields of an administration
 * virtqueue, which read 0. */
#define PCI_COMMON_LEN	      64
/* Of a queue's address for notifications in page 0. */
#define PCI_NOTIFY_MULTIPLIER 4

#define PCI_CONFIG_SIZE	  4096
#define PCI_CONFIG_STORED 256 /* beyond it there is nothing: it reads 0 */

/*
 * A vector of MSI-X. The pair is the control executor's; state is anybody's.
 *
 * A client that keeps the table to itself (QEMU does) never writes ours, where all vectors are
 * masked at the start; so the mask of an entry counts from its first write on.
 */
struct pci_vector {
	struct tvq_msi_target target;
	struct tvq_pci *pci;
	uint64_t addr;
	uint32_t data;
	uint32_t ctrl;
	bool written;	   /* since the reset */
	atomic_uint state; /* PCI_V_* */
};

enum {
	PCI_V_MASKED = 1,     /* by its entry */
	PCI_V_ALL_MASKED = 2, /* by the function's mask */
	PCI_V_MASKS = PCI_V_MASKED | PCI_V_ALL_MASKED,
	PCI_V_PENDING = 4, /* only with a mask */
};

/* Of one of the device's own queues, by slot. */
struct pci_queue {
	uint64_t area[3]; /* descriptor, driver, device; checked when the queue is enabled */
	uint16_t vector;
};

/* Registers that a reset of the virtio device clears. */
struct pci_regs {
	uint32_t device_feature_select, driver_feature_select;
	uint64_t driver_features; /* goes to the device with FEATURES_OK */
	uint16_t config_vector, queue_select;
	uint8_t isr;
};

struct tvq_pci {
	struct tvq_platform platform;
	struct tvq_pci_host *host;
	const struct tvq_os *os;
	struct tvq_exec *control;
	struct tvq_device *dev;
	uint64_t bar2_size;
	uint16_t n_vectors;
	bool msi_page;

	struct pci_regs regs;
	struct pci_queue *queues;
	uint16_t n_queues; /* slots */
	struct pci_vector *vectors;
	bool all_masked; /* MSI-X is on and the function's mask is set */
	bool intx;	 /* the line, as last told */

	/* Aligned, since capabilities are structures. */
	uint8_t config[PCI_CONFIG_STORED] __attribute__((aligned(8)));
	uint8_t config_start[PCI_CONFIG_STORED]; /* what it is after a reset */
	uint8_t config_mask[PCI_CONFIG_STORED];	 /* bits that software can change */

	struct tvq_pci_done *waiters, **waiters_tail; /* for the end of a reset */
	struct tvq_msg reset_msg;
	bool reset_posted;
	bool reset_by_register; /* the host is told */
};

/* ---- config.c: configuration space ---- */
void pci_config_make(struct tvq_pci *p, uint16_t device_id); /* 0: the standard one */
void pci_config_init(struct tvq_pci *p);		     /* as after a reset */
void pci_config_read(struct tvq_pci *p, uint32_t offset, uint8_t *buf, uint32_t len);
void pci_config_write(struct tvq_pci *p, uint32_t offset, const uint8_t *buf, uint32_t len);
bool pci_msix_enabled(const struct tvq_pci *p);
bool pci_msix_all_masked(const struct tvq_pci *p); /* and enabled */
bool pci_intx_disabled(const struct tvq_pci *p);
uint64_t pci_bar2_addr(const struct tvq_pci *p); /* 0: none was given */

/* ---- common.c: virtio's registers in BAR 0 ---- */
void pci_regs_init(struct tvq_pci *p); /* as after a reset of the virtio device */
/* An access that is not one of the field's reads 0 and writes nothing. */
void pci_common_read(struct tvq_pci *p, uint32_t offset, uint8_t *buf, uint32_t len);
void pci_common_write(struct tvq_pci *p, uint32_t offset, const uint8_t *buf, uint32_t len);
uint16_t pci_num_queues(const struct tvq_pci *p);

/* ---- irq.c: MSI-X, ISR, the line ---- */
void pci_msix_init(struct tvq_pci *p); /* as after a function-level reset */
void pci_table_read(struct tvq_pci *p, uint32_t offset, uint8_t *buf, uint32_t len);
void pci_table_write(struct tvq_pci *p, uint32_t offset, const uint8_t *buf, uint32_t len);
void pci_pba_read(struct tvq_pci *p, uint32_t offset, uint8_t *buf, uint32_t len);
/* Message control, or the command register, has changed. */
void pci_irq_update(struct tvq_pci *p);
uint8_t pci_isr_read(struct tvq_pci *p);
/* An interrupt waits that MSI-X has not taken: what the status register shows. */
bool pci_line(const struct tvq_pci *p);
/* Any executor. Kept pending while it is masked. */
void pci_raise(struct pci_vector *v, struct tvq_exec *e);
/* A write of data to the MSI page. */
void pci_msi_page_write(struct tvq_pci *p, uint32_t data);
/* Platform operations. */
struct tvq_msi_target *pci_msi(struct tvq_platform *platform, uint64_t addr, uint32_t data);
void pci_own_irq(struct tvq_platform *platform, uint16_t index);

/* ---- pci.c ---- */
static inline struct tvq_pci *pci_of(struct tvq_platform *platform)
{
	return tvq_container_of(platform, struct tvq_pci, platform);
}
/* A function-level reset that a register write began. */
void pci_reset_by_register(struct tvq_pci *p);

#endif
