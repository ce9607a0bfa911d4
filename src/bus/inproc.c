// SPDX-License-Identifier: BSD-3-Clause
/* The in-process bus: registers and queues of a management device in this process. */
#include <stdlib.h>

#include "bus/inproc.h"

static uint32_t device_type(struct tvq_bus *b)
{
	return inproc_of(b)->dev->type->virtio_id;
}

static uint64_t features(struct tvq_bus *b)
{
	return inproc_of(b)->dev->offered;
}

static int set_features(struct tvq_bus *b, uint64_t f)
{
	return tvq_device_set_features(inproc_of(b)->dev, f);
}

static uint8_t status(struct tvq_bus *b)
{
	return inproc_of(b)->dev->status;
}

static int set_status(struct tvq_bus *b, uint8_t s)
{
	return tvq_device_set_status(inproc_of(b)->dev, s);
}

static int config_read(struct tvq_bus *b, uint32_t offset, void *buf, uint32_t len)
{
	return tvq_device_config_get(inproc_of(b)->dev, offset, len, buf);
}

static uint16_t queue_max(struct tvq_bus *b, uint16_t index)
{
	return tvq_device_queue_max(inproc_of(b)->dev, index);
}

static void own_used(struct tvq_msg *m)
{
	struct inproc_own *o = tvq_container_of(m, struct inproc_own, msg);

	o->posted = false;
	if (o->used)
		o->used(o->ctx);
}

static void own_changed(struct tvq_msg *m)
{
	struct inproc *ip = tvq_container_of(m, struct inproc, changed_msg);

	ip->changed_posted = false;
	if (ip->changed)
		ip->changed(ip->changed_ctx, ip->dev->status);
}

static void config_irq(struct inproc *ip)
{
	if (!ip->changed || ip->changed_posted)
		return;
	ip->changed_posted = true;
	tvq_exec_late(ip->bus.exec, &ip->changed_msg);
}

static void watch(struct tvq_bus *b, void (*changed)(void *ctx, uint8_t status), void *ctx)
{
	inproc_of(b)->changed = changed;
	inproc_of(b)->changed_ctx = ctx;
}

/* At the turn's end, not from inside the device. */
static void own_irq(struct tvq_platform *p, uint16_t index)
{
	struct inproc *ip = inproc_of_platform(p);
	struct tvq_vq *vq = index == TVQ_CONFIG_IRQ ? NULL : tvq_device_vq(ip->dev, index);
	struct inproc_own *o = vq ? &ip->own[vq - ip->dev->vq] : NULL;

	if (index == TVQ_CONFIG_IRQ)
		config_irq(ip);
	if (!o || !o->used || o->posted)
		return;
	o->posted = true;
	tvq_exec_late(ip->bus.exec, &o->msg);
}

static int queue_setup(struct tvq_bus *b, const struct tvq_bus_queue *q, void (*used)(void *ctx),
		       void *ctx)
{
	struct inproc *ip = inproc_of(b);
	const struct tvq_own_queue own = { q->index, q->size, q->desc, q->driver, q->device };
	struct inproc_own *o;
	int err = tvq_device_queue_start(ip->dev, &own);

	if (err)
		return err;
	/* The queue's first turn is still to come: nothing has been used yet. */
	o = &ip->own[tvq_device_vq(ip->dev, q->index) - ip->dev->vq];
	o->used = used;
	o->ctx = ctx;
	return 0;
}

static void queue_notify(struct tvq_bus *b, uint16_t index)
{
	struct tvq_vq *vq = tvq_device_vq(inproc_of(b)->dev, index);

	if (vq)
		tvq_vq_notify(vq);
}

static void notify(struct tvq_bus *b, uint64_t area, uint32_t value, unsigned int width)
{
	tvq_root_notify(inproc_of(b)->dev->root, area, value, width);
}

/* Without a driver a reset has nothing to wait for; its owner's ops may be with the switch still. */
static bool is_through(const struct tvq_device *dev)
{
	return tvq_device_is_reset(dev) && !tvq_root_switch_busy(dev->root);
}

static void inproc_free(struct tvq_bus *b)
{
	struct inproc *ip = inproc_of(b);
	uint64_t end = b->os->now() + TVQ_BUS_TIMEOUT_NS;
	bool never = false;

	tvq_device_set_status(ip->dev, 0);
	while (!is_through(ip->dev) && b->os->now() < end)
		tvq_bus_wait(b, &never, 100000);
	if (!is_through(ip->dev)) {
		tvq_root_log(ip->dev->root, TVQ_LOG_ERR,
			     "management device: its backends do not finish; left behind");
		return;
	}
	tvq_bus_wait(b, &never, 0);
	tvq_root_free(ip->dev);
	inproc_space_fini(ip);
	inproc_msi_fini(ip);
	free(ip->own);
	free(ip);
}

static const struct tvq_bus_ops inproc_ops = {
	.name = "in-process",
	.device_type = device_type,
	.features = features,
	.set_features = set_features,
	.status = status,
	.set_status = set_status,
	.config_read = config_read,
	.queue_max = queue_max,
	.queue_setup = queue_setup,
	.watch = watch,
	.queue_notify = queue_notify,
	.dma_alloc = inproc_dma_alloc,
	.dma_free = inproc_dma_free,
	.notify = notify,
	.notify_fd = inproc_notify_fd,
	.msi_fd = inproc_msi_fd,
	.msi_fd_free = inproc_msi_fd_free,
	.space_new = inproc_space_new,
	.space_free = inproc_space_free,
	.map = inproc_map,
	.unmap = inproc_unmap,
	.free = inproc_free,
};

static const struct tvq_platform_ops platform_ops = {
	.space = inproc_space_of,
	.msi = inproc_msi_find,
	.vq_enter = inproc_vq_enter,
	.vq_leave = inproc_vq_leave,
	.vq_away = inproc_vq_away,
	.vq_free = inproc_vq_free,
	.own_irq = own_irq,
};

struct tvq_bus *tvq_inproc_new(const struct tvq_mgmt_cfg *cfg, int *err)
{
	struct inproc *ip = calloc(1, sizeof(*ip));
	uint32_t asid;

	*err = -ENOMEM;
	if (!ip)
		return NULL;
	ip->bus.ops = &inproc_ops;
	ip->bus.exec = cfg->control;
	ip->bus.os = cfg->os;
	ip->platform.ops = &platform_ops;
	ip->changed_msg.fn = own_changed;
	if (inproc_space_new(&ip->bus, &asid))
		goto fail;
	ip->dev = tvq_root_new(cfg, &ip->platform, err);
	if (!ip->dev)
		goto fail;
	ip->n_own = ip->dev->n_vqs;
	ip->own = calloc(ip->n_own, sizeof(*ip->own));
	if (!ip->own) {
		*err = -ENOMEM;
		tvq_root_free(ip->dev);
		goto fail;
	}
	for (uint16_t i = 0; i < ip->n_own; i++)
		ip->own[i].msg.fn = own_used;
	return &ip->bus;
fail:
	inproc_space_fini(ip);
	free(ip);
	return NULL;
}

struct tvq_device *tvq_inproc_device(struct tvq_bus *b)
{
	return inproc_of(b)->dev;
}
