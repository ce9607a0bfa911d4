/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The driver side of virtio-pci (virtio 1.4, 4.1), modern devices only: the bus to a management
 * device that is a PCI function.
 *
 *   virtio_pci.c       registers, queues, life
 *   virtio_pci_caps.c  what configuration space says, checked
 *   virtio_pci_irq.c   MSI-X: the function's own interrupts, and others' eventfds
 *   virtio_pci_kick.c  notifications
 *   virtio_pci_dma.c   memory and address spaces
 *
 * Registers are written by posted writes, and read by round trips that see the writes before. A
 * function that is gone (its connection ended) answers every read with an error: features and queue
 * sizes read 0, the status says DEVICE_NEEDS_RESET, or 0 once that was asked for, since what is
 * gone does no DMA to anybody: memory is a memfd that this process can let go.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/virtio_pci_priv.h"

#define MSIX_TARGETS	  (PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER)
#define CONFIG_ATTEMPTS	  16
#define COMMON_GENERATION VIRTIO_PCI_COMMON_CFGGENERATION

/* ---- registers ---- */

/* An error means that the function is gone, from here on; the bus' user hears of it later. */
static int read_reg(struct vpci *v, const struct vpci_cap *c, uint64_t at, uint32_t width,
		    uint32_t *value)
{
	uint8_t le[4] = { 0 };
	int err = -ENODEV;

	if (!v->gone)
		err = v->fn->ops->read(v->fn, c->region, c->offset + at, le, width);
	if (err && !v->gone) {
		v->fn->ops->fail(v->fn, "it does not let its registers be read");
		v->gone = true;
	}
	*value = err ? 0 : tvq_get32(le);
	return err ? -ENODEV : 0;
}

static uint32_t common(struct vpci *v, uint32_t at, uint32_t width)
{
	uint32_t value;

	read_reg(v, &v->caps.common, at, width, &value);
	return value;
}

static void set_common(struct vpci *v, uint32_t at, uint32_t width, uint32_t value)
{
	const struct vpci_cap *c = &v->caps.common;
	uint8_t le[4];

	tvq_put32(le, value);
	if (!v->gone)
		v->fn->ops->post(v->fn, c->region, c->offset + at, le, width);
}

static void set_common64(struct vpci *v, uint32_t at, uint64_t value)
{
	set_common(v, at, 4, (uint32_t)value);
	set_common(v, at + 4, 4, (uint32_t)(value >> 32));
}

static uint32_t vpci_device_type(struct tvq_bus *b)
{
	return vpci_of(b)->caps.type;
}

static uint64_t vpci_features(struct tvq_bus *b)
{
	struct vpci *v = vpci_of(b);
	uint64_t low, high;

	set_common(v, VIRTIO_PCI_COMMON_DFSELECT, 4, 0);
	low = common(v, VIRTIO_PCI_COMMON_DF, 4);
	set_common(v, VIRTIO_PCI_COMMON_DFSELECT, 4, 1);
	high = common(v, VIRTIO_PCI_COMMON_DF, 4);
	return v->gone ? 0 : low | high << 32;
}

static int vpci_set_features(struct tvq_bus *b, uint64_t features)
{
	struct vpci *v = vpci_of(b);

	for (uint32_t i = 0; i < 2; i++) {
		set_common(v, VIRTIO_PCI_COMMON_GFSELECT, 4, i);
		set_common(v, VIRTIO_PCI_COMMON_GF, 4, (uint32_t)(features >> 32 * i));
	}
	return v->gone ? -ENODEV : 0;
}

static uint8_t vpci_status(struct tvq_bus *b)
{
	struct vpci *v = vpci_of(b);
	uint8_t status = (uint8_t)common(v, VIRTIO_PCI_COMMON_STATUS, 1);

	if (!v->gone)
		return status;
	return v->reset_asked ? 0 : VPCI_GONE;
}

static int vpci_set_status(struct tvq_bus *b, uint8_t status)
{
	struct vpci *v = vpci_of(b);

	v->reset_asked = !status;
	for (struct vpci_queue *q = v->queues; q && !status; q = q->next)
		q->used = NULL;
	set_common(v, VIRTIO_PCI_COMMON_STATUS, 1, status);
	return v->gone && status ? -ENODEV : 0;
}

/* Pieces as wide as their alignment allows: fields are read as a whole. */
static int read_config(struct vpci *v, uint32_t offset, uint8_t *buf, uint32_t len)
{
	while (len) {
		uint32_t width = offset % 4 == 0 && len >= 4   ? 4
				 : offset % 2 == 0 && len >= 2 ? 2
							       : 1;
		uint32_t value;
		int err = read_reg(v, &v->caps.device, offset, width, &value);

		if (err)
			return err;
		value = tvq_get32(&value);
		memcpy(buf, &value, width);
		buf += width;
		offset += width;
		len -= width;
	}
	return 0;
}

static int vpci_config_read(struct tvq_bus *b, uint32_t offset, void *buf, uint32_t len)
{
	struct vpci *v = vpci_of(b);
	uint64_t size = v->caps.device.len;

	if (offset > size || len > size - offset)
		return -EINVAL;
	for (unsigned int i = 0; i < CONFIG_ATTEMPTS; i++) {
		uint32_t before = common(v, COMMON_GENERATION, 1);
		int err = read_config(v, offset, buf, len);

		if (err)
			return err;
		if (common(v, COMMON_GENERATION, 1) == before)
			return v->gone ? -ENODEV : 0;
	}
	return -EAGAIN;
}

/* ---- queues ---- */

static uint16_t vpci_queue_max(struct tvq_bus *b, uint16_t index)
{
	struct vpci *v = vpci_of(b);

	set_common(v, VIRTIO_PCI_COMMON_Q_SELECT, 2, index);
	return (uint16_t)common(v, VIRTIO_PCI_COMMON_Q_SIZE, 2);
}

static struct vpci_queue *find_queue(struct vpci *v, uint16_t index)
{
	struct vpci_queue *q = v->queues;

	while (q && q->index != index)
		q = q->next;
	return q;
}

static struct vpci_queue *make_queue(struct vpci *v, uint16_t index)
{
	struct vpci_queue *q = find_queue(v, index);

	if (q)
		return q;
	q = calloc(1, sizeof(*q));
	if (!q)
		return NULL;
	q->index = index;
	q->notify_at = v->caps.notify.len;
	q->next = v->queues;
	v->queues = q;
	return q;
}

/* The queue is selected. Where a vector is refused the queue would run without interrupts. */
static int set_vector(struct vpci *v, uint32_t reg, uint16_t vector)
{
	set_common(v, reg, 2, vector);
	if (common(v, reg, 2) == vector)
		return 0;
	return v->gone ? -ENODEV : -ENOSPC;
}

static int queue_ready(struct vpci *v, struct vpci_queue *q)
{
	uint64_t at = (uint64_t)common(v, VIRTIO_PCI_COMMON_Q_NOFF, 2) * v->caps.notify_multiplier;

	if (at > v->caps.notify.len - 2)
		return -EPROTO;
	q->notify_at = at;
	set_common(v, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	return common(v, VIRTIO_PCI_COMMON_Q_ENABLE, 2) == 1 ? 0 : -EINVAL;
}

static int queue_program(struct vpci *v, struct vpci_queue *q, const struct tvq_bus_queue *bq)
{
	int err;

	set_common(v, VIRTIO_PCI_COMMON_Q_SIZE, 2, bq->size);
	if (common(v, VIRTIO_PCI_COMMON_Q_SIZE, 2) != bq->size)
		return -EINVAL;
	err = set_vector(v, VIRTIO_PCI_COMMON_Q_MSIX, q->used ? q->irq->vector : VPCI_NO_VECTOR);
	if (err)
		return err;
	set_common64(v, VIRTIO_PCI_COMMON_Q_DESCLO, bq->desc);
	set_common64(v, VIRTIO_PCI_COMMON_Q_AVAILLO, bq->driver);
	set_common64(v, VIRTIO_PCI_COMMON_Q_USEDLO, bq->device);
	return queue_ready(v, q);
}

static int vpci_queue_setup(struct tvq_bus *b, const struct tvq_bus_queue *bq,
			    void (*used)(void *ctx), void *ctx)
{
	struct vpci *v = vpci_of(b);
	struct vpci_queue *q;
	int err;

	if (!vpci_queue_max(b, bq->index))
		return v->gone ? -ENODEV : -ENOENT;
	if (!(vpci_status(b) & VIRTIO_CONFIG_S_FEATURES_OK))
		return v->gone ? -ENODEV : -EPERM;
	if (common(v, VIRTIO_PCI_COMMON_Q_ENABLE, 2))
		return -EBUSY;
	q = make_queue(v, bq->index);
	if (q && used && !q->irq)
		q->irq = vpci_irq_for_queue(v);
	if (!q || v->gone)
		return q ? -ENODEV : -ENOMEM;
	q->used = used;
	q->ctx = ctx;
	err = queue_program(v, q, bq);
	if (v->gone)
		err = -ENODEV;
	if (err)
		q->used = NULL;
	return err;
}

static void vpci_queue_notify(struct tvq_bus *b, uint16_t index)
{
	struct vpci *v = vpci_of(b);
	struct vpci_queue *q = find_queue(v, index);

	if (q)
		vpci_notify(b, q->notify_at, index, 2);
}

static void vpci_watch(struct tvq_bus *b, void (*changed)(void *ctx, uint8_t status), void *ctx)
{
	struct vpci *v = vpci_of(b);

	v->changed = changed;
	v->changed_ctx = ctx;
	if (!changed || v->gone)
		return;
	if (set_vector(v, VIRTIO_PCI_COMMON_MSIX, v->config_irq->vector))
		tvq_log(b->os, TVQ_LOG_WARN, "%s: no configuration interrupt", b->ops->name);
}

static void has_room(void *ctx)
{
	vpci_kick_room(ctx);
}

/* ---- the end of the connection ---- */

static void tell_gone(struct vpci *v)
{
	void (*fn)(void *ctx, const char *why) = v->gone_fn;

	v->gone_fn = NULL;
	if (fn)
		fn(v->gone_ctx, v->why);
}

static void tell_late(struct tvq_msg *m)
{
	struct vpci *v = tvq_container_of(m, struct vpci, gone_msg);

	v->gone_posted = false;
	tell_gone(v);
}

static void went(void *ctx, const char *why)
{
	struct vpci *v = ctx;

	v->gone = true;
	snprintf(v->why, sizeof(v->why), "%s", why);
	/* Who is told says it. */
	if (!v->gone_fn)
		tvq_log(v->bus.os, TVQ_LOG_ERR, "%s: the server: %s", v->bus.ops->name, why);
	if (v->changed)
		v->changed(v->changed_ctx, VPCI_GONE);
	tell_gone(v);
}

void tvq_vfio_user_bus_gone(struct tvq_bus *b, void (*gone)(void *ctx, const char *why), void *ctx)
{
	struct vpci *v = vpci_of(b);

	v->gone_fn = gone;
	v->gone_ctx = ctx;
	if (!v->gone || v->gone_posted)
		return;
	v->gone_posted = true;
	tvq_exec_late(b->exec, &v->gone_msg);
}

/* ---- life ---- */

static void vpci_free(struct tvq_bus *b)
{
	struct vpci *v = vpci_of(b);
	uint64_t end = b->os->now() + TVQ_BUS_TIMEOUT_NS;
	bool never = false;

	v->changed = NULL;
	v->gone_fn = NULL;
	vpci_irq_stop(v);
	vpci_kick_stop(v);
	while ((v->watches || v->gone_posted) && b->os->now() < end)
		tvq_bus_wait(b, &never, 100000);
	v->fn->ops->free(v->fn);
	if (v->watches) {
		tvq_log(b->os, TVQ_LOG_ERR, "%s: a watch does not end; its memory is left",
			b->ops->name);
		return;
	}
	vpci_dma_fini(v);
	vpci_irq_fini(v);
	while (v->queues) {
		struct vpci_queue *q = v->queues;

		v->queues = q->next;
		free(q);
	}
	free(v);
}

static const struct tvq_bus_ops vpci_ops = {
	.name = "virtio-pci",
	.device_type = vpci_device_type,
	.features = vpci_features,
	.set_features = vpci_set_features,
	.status = vpci_status,
	.set_status = vpci_set_status,
	.config_read = vpci_config_read,
	.queue_max = vpci_queue_max,
	.queue_setup = vpci_queue_setup,
	.watch = vpci_watch,
	.queue_notify = vpci_queue_notify,
	.dma_alloc = vpci_dma_alloc,
	.dma_free = vpci_dma_free,
	.notify = vpci_notify,
	.notify_fd = vpci_notify_fd,
	.msi_fd = vpci_msi_fd,
	.msi_fd_free = vpci_msi_fd_free,
	.space_new = vpci_space_new,
	.space_free = vpci_space_free,
	.map = vpci_map,
	.unmap = vpci_unmap,
	.free = vpci_free,
};

static const struct tvq_pci_fn_user vpci_user = {
	.dma_read = vpci_dma_read,
	.dma_write = vpci_dma_write,
	.room = has_room,
	.gone = went,
};

static void post16(struct vpci *v, uint64_t at, uint16_t value)
{
	uint8_t le[2];

	tvq_put16(le, value);
	v->fn->ops->post(v->fn, TVQ_PCI_FN_CONFIG, at, le, 2);
}

/* Memory space, bus mastering, MSI-X; each entry of the table has its pair before. */
static int enable(struct vpci *v, char *err)
{
	uint8_t le[2];
	int e;

	post16(v, PCI_COMMAND, MSIX_TARGETS | PCI_COMMAND_INTX_DISABLE);
	e = vpci_irq_init(v);
	post16(v, v->caps.msix + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE);
	if (!e)
		e = v->fn->ops->read(v->fn, TVQ_PCI_FN_CONFIG, PCI_COMMAND, le, 2);
	if (e)
		snprintf(err, TVQ_VIRTIO_PCI_ERR_LEN, "its interrupts cannot be set up: %s",
			 strerror(-e));
	else if ((tvq_get16(le) & MSIX_TARGETS) != MSIX_TARGETS)
		snprintf(err, TVQ_VIRTIO_PCI_ERR_LEN, "bus mastering cannot be switched on");
	else
		return 0;
	return -EPROTO;
}

struct tvq_bus *tvq_virtio_pci_new(struct tvq_pci_fn *f, char *err)
{
	struct vpci_caps caps;
	struct vpci *v;

	if (vpci_find_caps(f, &caps, err)) {
		f->ops->free(f);
		return NULL;
	}
	v = calloc(1, sizeof(*v));
	if (!v) {
		snprintf(err, TVQ_VIRTIO_PCI_ERR_LEN, "%s", strerror(ENOMEM));
		f->ops->free(f);
		return NULL;
	}
	v->bus = (struct tvq_bus){ .ops = &vpci_ops, .exec = f->exec, .os = f->os };
	v->fn = f;
	v->caps = caps;
	v->gone_msg.fn = tell_late;
	f->ctx = v;
	f->user = &vpci_user;
	if (!enable(v, err) && !vpci_dma_init(v))
		return &v->bus;
	vpci_free(&v->bus);
	return NULL;
}

bool tvq_is_virtio_pci(const struct tvq_bus *b)
{
	return b->ops == &vpci_ops;
}

struct tvq_pci_fn *tvq_virtio_pci_fn(struct tvq_bus *b)
{
	return vpci_of(b)->fn;
}

void tvq_virtio_pci_notify_cap(struct tvq_bus *b, unsigned int *region, uint64_t *offset,
			       uint64_t *len)
{
	const struct vpci_cap *c = &vpci_of(b)->caps.notify;

	*region = c->region;
	*offset = c->offset;
	*len = c->len;
}

uint64_t tvq_virtio_pci_own_notify(struct tvq_bus *b, uint16_t index)
{
	struct vpci *v = vpci_of(b);
	struct vpci_queue *q = find_queue(v, index);

	return q ? q->notify_at : v->caps.notify.len;
}
