// SPDX-License-Identifier: BSD-3-Clause
/*
 * The life of a device: see enum tvq_life. Reset and destroy are asynchronous: they withdraw the
 * queues from their workers and let children die, and tvq_device_progress() goes on whenever one of
 * these things has ended.
 */
#include "device/device_priv.h"
#include "device/util.h"

uint16_t tvq_device_num_vqs(const struct tvq_device *dev)
{
	uint64_t f = dev->status & TVQ_S_FEATURES_OK ? dev->accepted : dev->offered;

	return dev->type->num_queues(dev, f);
}

uint16_t tvq_device_transportq_index(const struct tvq_device *dev)
{
	return dev->type->transportq(tvq_device_num_vqs(dev));
}

struct tvq_vq *tvq_device_vq(struct tvq_device *dev, uint32_t index)
{
	uint16_t n = tvq_device_num_vqs(dev);

	if (index < n)
		return &dev->vq[index];
	if (dev->mgr && index == dev->type->transportq(n))
		return &dev->vq[dev->n_vqs - 1];
	return NULL;
}

struct tvq_space *tvq_device_own_space(const struct tvq_device *dev)
{
	return dev->space;
}

struct tvq_device *tvq_device_new(struct tvq_root *root, const struct tvq_type *type,
				  uint64_t features, uint16_t n_vqs)
{
	struct tvq_device *dev =
		tvq_slabs_alloc(&root->slabs, sizeof(*dev) + n_vqs * sizeof(dev->vq[0]));
	bool manages = features & tvq_f_trnspt_vq(root);

	if (!dev)
		return NULL;
	dev->type = type;
	dev->root = root;
	dev->offered = features;
	dev->n_vqs = n_vqs;
	dev->life = TVQ_NEW;
	dev->lane.tail = &dev->lane.head;
	for (uint16_t i = 0; i < n_vqs; i++)
		tvq_vq_init(&dev->vq[i], dev, type->vq_ops(dev, i));
	if (!manages)
		return dev;
	dev->vq[n_vqs - 1].ops = &tvq_transportq_ops;
	dev->mgr = tvq_manager_new(dev);
	if (!dev->mgr) {
		tvq_device_free(dev);
		return NULL;
	}
	return dev;
}

void tvq_device_free(struct tvq_device *dev)
{
	struct tvq_platform *p = dev->root->platform;

	for (uint16_t i = 0; i < dev->n_vqs; i++) {
		tvq_vq_clear(&dev->vq[i], false);
		if (p->ops->vq_free)
			p->ops->vq_free(p, &dev->vq[i]);
	}
	tvq_device_msi_drop(dev);
	if (dev->mgr)
		tvq_manager_free(dev);
	if (dev->type_data)
		dev->type->destroy(dev);
	if (dev->space)
		tvq_space_put(dev->space);
	tvq_slabs_free(&dev->root->slabs, dev, sizeof(*dev) + dev->n_vqs * sizeof(dev->vq[0]));
}

static void withdraw_all(struct tvq_device *dev)
{
	for (uint16_t i = 0; i < dev->n_vqs; i++)
		tvq_vq_withdraw(&dev->vq[i]);
}

static bool all_away(const struct tvq_device *dev)
{
	for (uint16_t i = 0; i < dev->n_vqs; i++)
		if (dev->vq[i].place != TVQ_VQ_AWAY)
			return false;
	return true;
}

/* The interrupt comes when nothing is served any more: what a driver adds after it stays where it is
 * (TQ-070, TQ-071). */
static void tell_needs_reset(struct tvq_device *dev)
{
	if (!dev->to_tell || !all_away(dev))
		return;
	dev->to_tell = false;
	tvq_device_interrupt(dev);
}

void tvq_device_needs_reset(struct tvq_device *dev, const char *why)
{
	if (dev->status & TVQ_S_NEEDS_RESET)
		return;
	if (why)
		tvq_device_log(dev, TVQ_LOG_WARN, "%s", why);
	dev->status |= TVQ_S_NEEDS_RESET;
	withdraw_all(dev);
	dev->to_tell = true;
	tell_needs_reset(dev);
}

void tvq_device_start_reset(struct tvq_device *dev)
{
	if (dev->life != TVQ_LIVING)
		return; /* under way */
	dev->life = TVQ_RESETTING;
	dev->to_tell = false;
	tvq_lane_abort(&dev->lane);
	withdraw_all(dev);
	if (dev->mgr)
		tvq_transportq_abort(dev);
	tvq_device_progress(dev);
}

void tvq_device_start_destroy(struct tvq_device *dev)
{
	dev->life = TVQ_DYING;
	tvq_manager_unlist(dev);
	tvq_lane_abort(&dev->lane);
	withdraw_all(dev);
	if (dev->mgr)
		tvq_transportq_abort(dev);
	tvq_device_progress(dev);
}

static void finish_reset(struct tvq_device *dev)
{
	for (uint16_t i = 0; i < dev->n_vqs; i++)
		tvq_vq_clear(&dev->vq[i], false);
	dev->accepted = 0;
	for (uint16_t i = 0; i < dev->n_vqs; i++)
		dev->vq[i].avail_idx = dev->vq[i].used_idx = 0;
	tvq_device_msi_drop(dev);
	dev->type_reset = false;
	dev->status = 0;
	dev->life = TVQ_LIVING;
	if (dev->reset_done)
		dev->reset_done(dev);
}

static void finish_destroy(struct tvq_device *dev)
{
	struct tvq_tcmd *cmd = dev->destroy_cmd;
	struct tvq_device *parent = dev->parent;

	tvq_manager_remove(dev);
	tvq_device_free(dev);
	if (cmd)
		tvq_tcmd_done(cmd, 0);
	tvq_device_progress(parent);
}

void tvq_device_progress(struct tvq_device *dev)
{
	if (dev->life == TVQ_LIVING) {
		struct tvq_tcmd *c = dev->lane.busy;

		tell_needs_reset(dev);
		if (c)
			tvq_tcmd_progress(c);
		if (!dev->parent)
			tvq_device_queues_progress(dev);
		return;
	}
	if (dev->life == TVQ_NEW || dev->creating || !all_away(dev))
		return;
	/* The type's backend is done with it, and so is everybody below: TQ-054, TQ-055. */
	if (dev->mgr && !tvq_manager_destroy_children(dev->mgr))
		return;
	if (dev->life == TVQ_RESETTING && !dev->type_reset) {
		dev->type_reset = true;
		if (dev->type->reset)
			dev->type->reset(dev);
	}
	if (dev->life == TVQ_RESETTING && dev->type->reset_busy && dev->type->reset_busy(dev))
		return;
	/* Ports of children that are gone may still be on their way out of the switch, and so may
	 * what the reset changes there. A status that is 0 says that it is over: nothing of a driver
	 * is left by then. */
	if (!dev->parent && dev->status && dev->root->switch_user.ops)
		return;
	if (dev->life == TVQ_RESETTING)
		finish_reset(dev);
	else if (dev->parent) /* the outermost device is never DYING */
		finish_destroy(dev);
}
