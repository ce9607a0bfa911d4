/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a bus gives to the device that it carries. The bus implements it, the device half calls it.
 */
#ifndef TVQ_DEVICE_PLATFORM_H
#define TVQ_DEVICE_PLATFORM_H

#include <stdint.h>

#include <tvq/dma.h>

struct tvq_platform;
struct tvq_vq;
struct tvq_exec;

/* Where an MSI goes that is not a plain write to memory: resolved once, by MSI SET. */
struct tvq_msi_target {
	/* On the executor that owns the queue; does not block. */
	void (*send)(struct tvq_msi_target *t, struct tvq_exec *e);
	/* On the control executor: the device does not use it any more. */
	void (*put)(struct tvq_msi_target *t);
};

struct tvq_platform_ops {
	/* The space of that asid (TQ-120), with a reference; NULL: the platform lacks it. Control
	 * executor. */
	struct tvq_space *(*space)(struct tvq_platform *p, uint32_t asid);

	/* The target of an address and data pair; NULL: a four-byte write in the manager's own
	 * space. */
	struct tvq_msi_target *(*msi)(struct tvq_platform *p, uint64_t addr, uint32_t data);

	/*
	 * Optional. The queue starts on its worker; the queue leaves its worker, which calls
	 * tvq_vq_left(vq), perhaps at once, when nothing on the worker knows the queue any more.
	 * Both are called on the worker.
	 */
	void (*vq_enter)(struct tvq_platform *p, struct tvq_vq *vq);
	void (*vq_leave)(struct tvq_platform *p, struct tvq_vq *vq);
	/* Optional. The queue is back with the control executor (AWAY). Control executor. */
	void (*vq_away)(struct tvq_platform *p, struct tvq_vq *vq);
	/* Optional. The queue is about to be freed. Control executor. */
	void (*vq_free)(struct tvq_platform *p, struct tvq_vq *vq);

	/* One of the management device's own queues (not a managed device's) has used buffers or
	 * its configuration changed (index TVQ_CONFIG_IRQ). Control executor. */
	void (*own_irq)(struct tvq_platform *p, uint16_t index);
};

#define TVQ_CONFIG_IRQ 0xffff

struct tvq_platform {
	const struct tvq_platform_ops *ops;
	/* Where managed devices' notification areas begin; a multiple of 4096. */
	uint64_t area_base;
};

#endif
