/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A bus: how a driver reaches a management device. It gives the device's registers, the
 * notification areas of managed devices, interrupts and address spaces. In process (tvq/inproc.h) a
 * bus is calls on the device; over virtio-pci it is BAR accesses; for a nested management device
 * (TQ-014) it is commands on its parent's transportq.
 *
 * Everything is for the thread of the bus' control executor. What says "may wait" may run turns of
 * that executor until it is done, at most TVQ_BUS_TIMEOUT_NS; so it must not be called from inside
 * a message, poller or completion, but from set-up code.
 */
#ifndef TVQ_BUS_H
#define TVQ_BUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tvq/exec.h>

#define TVQ_BUS_TIMEOUT_NS 4000000000ull

/* Runs on the control executor when something that was started has ended. */
struct tvq_done {
	void (*fn)(struct tvq_done *d, int err);
};

/* One of the management device's own virtqueues. */
struct tvq_bus_queue {
	uint16_t index;
	uint16_t size;
	uint64_t desc, driver, device; /* in the bus' own space: see dma_alloc */
};

/* Memory to map into an address space. */
struct tvq_bus_mem {
	uint64_t iova, len;
	int fd;		 /* -1: va is memory of this process, or NULL: known but not reachable */
	uint64_t offset; /* of the first byte in fd */
	void *va;
	uint32_t perm; /* TVQ_DMA_READ | TVQ_DMA_WRITE */
};

struct tvq_bus;

struct tvq_bus_ops {
	const char *name;

	/* The device's registers. All may wait. The integers are the CPU's. */
	uint32_t (*device_type)(struct tvq_bus *b); /* virtio device id: 1 network, 2 block */
	uint64_t (*features)(struct tvq_bus *b);
	int (*set_features)(struct tvq_bus *b, uint64_t features);
	uint8_t (*status)(struct tvq_bus *b);
	int (*set_status)(struct tvq_bus *b, uint8_t status);
	int (*config_read)(struct tvq_bus *b, uint32_t offset, void *buf, uint32_t len);
	/* Largest size of a queue of the device's own; 0: no such queue. */
	uint16_t (*queue_max)(struct tvq_bus *b, uint16_t index);
	/* Addresses, size, enable. used (may be NULL: polled) is called on the control executor
	 * when the device interrupts for the queue; not any more once the status reads 0 and a turn
	 * has passed. */
	int (*queue_setup)(struct tvq_bus *b, const struct tvq_bus_queue *q,
			   void (*used)(void *ctx), void *ctx);

	/*
	 * Optional. From now on changed is called on the control executor when the device's
	 * configuration interrupt comes, with the status that it has then (DEVICE_NEEDS_RESET:
	 * TQ-071). NULL ends it.
	 */
	void (*watch)(struct tvq_bus *b, void (*changed)(void *ctx, uint8_t status), void *ctx);

	/* Does not wait. */
	void (*queue_notify)(struct tvq_bus *b, uint16_t index);

	/* Memory that the device reaches in the space of its own queues; zeroed, aligned to 4096.
	 * NULL: none. */
	void *(*dma_alloc)(struct tvq_bus *b, size_t size, uint64_t *iova);
	void (*dma_free)(struct tvq_bus *b, void *p, size_t size);

	/* A managed device's notification area (VQ_NOTIFY GET): the driver's write. Does not wait.
	 */
	void (*notify)(struct tvq_bus *b, uint64_t area, uint32_t value, unsigned int width);

	/*
	 * Optional (NULL: the bus cannot). The device's own worker watches the eventfd fd as if
	 * queue_index had been written to the area whenever it is signalled. fd is duplicated; -1
	 * ends the watch. Replaces an earlier one, also while the queue runs: done (NULL: nobody
	 * asks) comes when the old one is not used any more, and one look at the ring follows. With
	 * fd == TVQ_NOTIFY_POLL there is no descriptor and the queue is polled all the time it
	 * runs.
	 */
	int (*notify_fd)(struct tvq_bus *b, uint64_t area, uint16_t queue_index, int fd,
			 struct tvq_done *done);

	/*
	 * Optional. An address and data for MSI VQ_SET and CONFIG_SET whose write signals the
	 * eventfd fd, which is duplicated. msi_fd_free when no interrupt uses the pair any more.
	 */
	int (*msi_fd)(struct tvq_bus *b, int fd, uint64_t *addr, uint32_t *data);
	void (*msi_fd_free)(struct tvq_bus *b, uint64_t addr, uint32_t data);

	/* Address spaces for managed devices. -ENOSPC: none left. A new space is empty. */
	int (*space_new)(struct tvq_bus *b, uint32_t *asid);
	/* No device uses it any more. */
	void (*space_free)(struct tvq_bus *b, uint32_t asid);
	/* All or nothing. May block in mmap, or for a round trip to the device
	 * (tvq/virtio_pci.h). Errors: tvq_space_map, tvq_mapping_fd; -ENOENT: no such space. */
	int (*map)(struct tvq_bus *b, uint32_t asid, const struct tvq_bus_mem *m, size_t n);
	/* done comes when nothing can touch the memory any more; it is not called where -errno is
	 * returned. len UINT64_MAX with iova 0: everything. */
	int (*unmap)(struct tvq_bus *b, uint32_t asid, uint64_t iova, uint64_t len,
		     struct tvq_done *done);

	void (*free)(struct tvq_bus *b);
};

#define TVQ_NOTIFY_NONE (-1)
#define TVQ_NOTIFY_POLL (-2)

struct tvq_bus {
	const struct tvq_bus_ops *ops;
	struct tvq_exec *exec; /* the control executor */
	const struct tvq_os *os;
};

/* Runs turns of the control executor, on a loop also its completions, until *flag or the timeout.
 * -ETIMEDOUT. Set-up code only, see above. */
int tvq_bus_wait(struct tvq_bus *b, const bool *flag, uint64_t timeout_ns);

#endif
