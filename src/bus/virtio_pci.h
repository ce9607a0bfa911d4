/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A PCI function as a driver reaches it: a small table of functions below the virtio-pci bus
 * (virtio_pci*.c). The vfio-user client (vfio_user*.c) is one; VFIO would be another.
 *
 * Everything is for the control executor's thread. Offsets and lengths are in bytes, registers
 * little-endian. Whatever is posted, and every interrupt and mapping that is asked for, takes
 * effect in the order of the calls.
 */
#ifndef TVQ_BUS_VIRTIO_PCI_H
#define TVQ_BUS_VIRTIO_PCI_H

#include <stdbool.h>
#include <stdint.h>

#include <tvq/virtio_pci.h>

struct tvq_pci_fn;

enum { TVQ_PCI_FN_REGIONS = 9, TVQ_PCI_FN_CONFIG = 7 };

/* A register that is read without waiting; the caller's memory until done. */
struct tvq_pci_read {
	void (*done)(struct tvq_pci_read *r, int err); /* -ENODEV: the function is gone */
	uint8_t data[8];
};

struct tvq_pci_fn_ops {
	const char *name;
	/* Waits, see tvq/bus.h. -ENODEV: gone; else the errno that the other side gave. */
	int (*read)(struct tvq_pci_fn *f, unsigned int region, uint64_t offset, void *buf,
		    uint32_t len);
	/* Does not wait. len at most 8; an error that is returned: done is not called. */
	int (*read_later)(struct tvq_pci_fn *f, unsigned int region, uint64_t offset, uint32_t len,
			  struct tvq_pci_read *r);
	/* A posted write: does not wait, nobody hears of an error. len at most 8. */
	void (*post)(struct tvq_pci_fn *f, unsigned int region, uint64_t offset, const void *buf,
		     uint32_t len);
	/* True: what is posted now waits for room. user->room is called when there is some. */
	bool (*is_clogged)(struct tvq_pci_fn *f);
	/*
	 * Maps n pieces of memory at DMA addresses (iova, whole 64 bits). All or nothing. Blocks
	 * until the result is known, TVQ_BUS_TIMEOUT_NS at most, without running the executor.
	 */
	int (*dma_map)(struct tvq_pci_fn *f, const struct tvq_bus_mem *m, size_t n);
	/* Exactly what was mapped. Does not wait; done comes at a turn's end, unless -errno is
	 * returned. */
	int (*dma_unmap)(struct tvq_pci_fn *f, uint64_t addr, uint64_t len, struct tvq_done *done);
	/* MSI-X vector signals this eventfd (duplicated) from now on; -1: none. Does not wait. */
	int (*irq_set)(struct tvq_pci_fn *f, uint16_t vector, int fd);
	/* What the function does makes no sense: ends the connection, as if it had ended by itself. */
	void (*fail)(struct tvq_pci_fn *f, const char *why);
	/* Ends the connection and frees. May wait. Nothing is called afterwards. */
	void (*free)(struct tvq_pci_fn *f);
};

/* What a function asks of its driver, or tells it. Requests for memory may not call back. */
struct tvq_pci_fn_user {
	/*
	 * The device asks for memory at a DMA address that it does not reach by itself. -EFAULT: it
	 * is not mapped with these rights.
	 */
	int (*dma_read)(void *ctx, uint64_t addr, void *buf, uint64_t len);
	int (*dma_write)(void *ctx, uint64_t addr, const void *buf, uint64_t len);
	/* Nothing that was posted waits any more. */
	void (*room)(void *ctx);
	/* The connection has ended; once, at a turn's end. */
	void (*gone)(void *ctx, const char *why);
};

struct tvq_pci_fn {
	const struct tvq_pci_fn_ops *ops;
	struct tvq_loop *loop;
	struct tvq_exec *exec;
	const struct tvq_os *os;
	uint64_t region_size[TVQ_PCI_FN_REGIONS]; /* 0: it has none that can be read and written */
	uint32_t n_vectors;			  /* of MSI-X that can signal an eventfd */
	/* Set by the driver; NULL: nobody is there yet. */
	const struct tvq_pci_fn_user *user;
	void *ctx;
};

/*
 * The virtio-pci bus over a function, which passes to it (also where it fails). Waits. NULL: err
 * (TVQ_VIRTIO_PCI_ERR_LEN bytes) has a sentence without a subject.
 */
struct tvq_bus *tvq_virtio_pci_new(struct tvq_pci_fn *f, char *err);

/* For tests: what is below the bus, where the notify capability's structure is, and where in it one
 * of the function's own queues that is set up is notified (its length: it is not). */
struct tvq_pci_fn *tvq_virtio_pci_fn(struct tvq_bus *b);
void tvq_virtio_pci_notify_cap(struct tvq_bus *b, unsigned int *region, uint64_t *offset,
			       uint64_t *len);
uint64_t tvq_virtio_pci_own_notify(struct tvq_bus *b, uint16_t index);

/* The descriptor of memory that dma_alloc gave; -1: it is none. The bus'. */
int tvq_virtio_pci_dma_fd(struct tvq_bus *b, const void *p);

/* True for a bus that tvq_virtio_pci_new() made. */
bool tvq_is_virtio_pci(const struct tvq_bus *b);

#endif
