/* SPDX-License-Identifier: BSD-3-Clause */
/* The virtio-pci bus: shared by its parts. See virtio_pci.c. */
#ifndef TVQ_BUS_VIRTIO_PCI_PRIV_H
#define TVQ_BUS_VIRTIO_PCI_PRIV_H

#include "bus/bus.h"
#include "bus/virtio_pci.h"
#include "device/util.h"

#define VPCI_NO_VECTOR 0xffff

/* A device that is gone reads as one that needs a reset. */
#define VPCI_GONE 0x40

/* A structure that a capability shows: checked to lie within its region. len 0: there is none. */
struct vpci_cap {
	unsigned int region;
	uint64_t offset, len;
};

/* All that configuration space says. */
struct vpci_caps {
	struct vpci_cap common, notify, device;
	uint32_t notify_multiplier;
	struct vpci_cap table; /* of MSI-X; 16 bytes an entry */
	uint8_t msix;	       /* the capability's place */
	uint16_t n_vectors;
	uint32_t type; /* virtio device id */
};

/* An interrupt of the function's own: an eventfd that the loop watches. */
struct vpci_irq {
	struct vpci *v;
	uint16_t vector;
	int fd;
	struct tvq_watch watch;
};

/* One of the function's own queues. */
struct vpci_queue {
	struct vpci_queue *next;
	uint16_t index;
	uint64_t notify_at; /* in the notify structure */
	struct vpci_irq
		*irq; /* its own, or the configuration's where vectors are short; NULL: none */
	void (*used)(void *ctx);
	void *ctx;
};

/* An interrupt for somebody's eventfd that has no vector: a message from the device, fanned out. */
struct vpci_msi {
	int fd; /* -1: free */
	uint32_t data;
};

struct vpci_kick;
#define VPCI_KICK_BUCKETS 1024

struct vpci_region {
	uint64_t iova, len; /* within its space */
	uint8_t *va;	    /* NULL: this process does not have it mapped */
	int fd;		    /* dma_alloc's: it begins there; -1: somebody else's memory */
	uint32_t perm;
};

/* What is mapped in an address space: sorted, disjoint. */
struct vpci_space {
	struct vpci_region *r;
	uint32_t n, cap;
	bool used; /* somebody has it */
};

struct vpci {
	struct tvq_bus bus;
	struct tvq_pci_fn *fn;
	struct vpci_caps caps;

	bool gone;
	char why[192];
	bool reset_asked; /* the status that was set last is 0 */
	void (*gone_fn)(void *ctx, const char *why);
	void *gone_ctx;
	struct tvq_msg gone_msg;
	bool gone_posted;

	void (*changed)(void *ctx, uint8_t status);
	void *changed_ctx;
	struct tvq_pci_read status_read;
	bool asking, ask_again;

	struct vpci_queue *queues;
	struct vpci_irq *config_irq;
	uint16_t *free_vectors;
	uint16_t n_free_vectors;
	bool *msi_vectors; /* by vector: msi_fd gave it out */
	struct vpci_msi *msis;
	uint32_t n_msis, cap_msis, *free_msis, n_free_msis, msi_cookie;

	struct vpci_kick *kicks[VPCI_KICK_BUCKETS];
	bool kicks_owed;
	unsigned int watches; /* that have not stopped yet: of interrupts and kicks */

	struct vpci_space *spaces; /* by asid */
	uint32_t n_spaces, cap_spaces, *free_asids, n_free_asids;
};

static inline struct vpci *vpci_of(struct tvq_bus *b)
{
	return tvq_container_of(b, struct vpci, bus);
}

/* virtio_pci_caps.c: reads configuration space, once, and judges it. 0, or -errno and a sentence in
 * err. Waits. */
int vpci_find_caps(struct tvq_pci_fn *f, struct vpci_caps *caps, char *err);

/* virtio_pci_irq.c */
int vpci_irq_init(struct vpci *v); /* table and configuration interrupt; posts only */
void vpci_irq_stop(struct vpci *v);
void vpci_irq_fini(struct vpci *v);
/* An interrupt for a queue; the configuration's where vectors are short. NULL: -ENOMEM. */
struct vpci_irq *vpci_irq_for_queue(struct vpci *v);
void vpci_ask_status(struct vpci *v);
int vpci_msi_fd(struct tvq_bus *b, int fd, uint64_t *addr, uint32_t *data);
void vpci_msi_fd_free(struct tvq_bus *b, uint64_t addr, uint32_t data);
/* The device writes a message. False: it is none. */
bool vpci_msi_write(struct vpci *v, uint64_t addr, const void *buf, uint64_t len);

/* virtio_pci_kick.c */
void vpci_notify(struct tvq_bus *b, uint64_t area, uint32_t value, unsigned int width);
void vpci_kick_room(struct vpci *v);
int vpci_notify_fd(struct tvq_bus *b, uint64_t area, uint16_t queue_index, int fd,
		   struct tvq_done *done);
void vpci_kick_stop(struct vpci *v);

/* virtio_pci_dma.c */
void *vpci_dma_alloc(struct tvq_bus *b, size_t size, uint64_t *iova);
void vpci_dma_free(struct tvq_bus *b, void *p, size_t size);
int vpci_space_new(struct tvq_bus *b, uint32_t *asid);
void vpci_space_free(struct tvq_bus *b, uint32_t asid);
int vpci_map(struct tvq_bus *b, uint32_t asid, const struct tvq_bus_mem *m, size_t n);
int vpci_unmap(struct tvq_bus *b, uint32_t asid, uint64_t iova, uint64_t len,
	       struct tvq_done *done);
int vpci_dma_read(void *ctx, uint64_t addr, void *buf, uint64_t len);
int vpci_dma_write(void *ctx, uint64_t addr, const void *buf, uint64_t len);
int vpci_dma_init(struct vpci *v);
void vpci_dma_fini(struct vpci *v);

/* Doubles an array of n elements that is full; -ENOMEM and nothing has changed. */
int vpci_grow(void *array, uint32_t *cap, uint32_t n, size_t elem);

#endif
