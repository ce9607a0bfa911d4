// SPDX-License-Identifier: BSD-3-Clause
/* Features and status (4.3, 4.4). */

#include "device/device_priv.h"
#include "device/util.h"

uint64_t tvq_f_trnspt_vq(const struct tvq_root *root)
{
	return TVQ_BIT(root->cfg.f_trnspt_vq);
}

uint64_t tvq_f_trnspt_vq_vdev(const struct tvq_root *root)
{
	return TVQ_BIT(root->cfg.f_trnspt_vq_vdev);
}

/* Features that can work together: TQ-012, TQ-017, TQ-051, TQ-069. */
bool tvq_features_requirements(uint64_t features, const struct tvq_type *type,
			       const struct tvq_root *root)
{
	if (!(features & TVQ_BIT(TVQ_F_VERSION_1)))
		return false;
	if (features & tvq_f_trnspt_vq_vdev(root) && !(features & tvq_f_trnspt_vq(root)))
		return false;
	/* Commands end in any order (TQ-032). */
	if (features & tvq_f_trnspt_vq(root) && features & TVQ_BIT(TVQ_F_IN_ORDER))
		return false;
	return type->features_ok(features);
}

int tvq_device_set_features(struct tvq_device *dev, uint64_t features)
{
	if (dev->status & TVQ_S_FEATURES_OK || features & ~dev->offered)
		return -EINVAL;
	dev->accepted = features;
	return 0;
}

/* From here on the ring's format, and so its first position, is known (TQ-067, TQ-090). */
static void features_accepted(struct tvq_device *dev)
{
	uint16_t first = tvq_device_has(dev, TVQ_F_RING_PACKED) ? 0x8000 : 0;
	uint16_t transportq = dev->mgr ? tvq_device_transportq_index(dev) : 0;

	for (uint16_t i = 0; i < dev->n_vqs; i++) {
		dev->vq[i].avail_idx = dev->vq[i].used_idx = first;
		dev->vq[i].index = i;
		if (dev->vq[i].ops != &tvq_transportq_ops)
			dev->vq[i].ops = dev->type->vq_ops(dev, i);
	}
	if (dev->mgr)
		dev->vq[dev->n_vqs - 1].index = transportq;
	if (dev->type->features_set)
		dev->type->features_set(dev);
}

static void driver_ok(struct tvq_device *dev)
{
	for (uint16_t i = 0; i < dev->n_vqs; i++)
		tvq_vq_serve(&dev->vq[i]);
}

int tvq_device_set_status(struct tvq_device *dev, uint8_t status)
{
	const uint8_t known = TVQ_S_ACKNOWLEDGE | TVQ_S_DRIVER | TVQ_S_DRIVER_OK |
			      TVQ_S_FEATURES_OK | TVQ_S_NEEDS_RESET | TVQ_S_FAILED;
	uint8_t old = dev->status & ~TVQ_S_NEEDS_RESET;
	uint8_t set = status & ~TVQ_S_NEEDS_RESET & ~old;

	if (!status) {
		tvq_device_start_reset(dev);
		return 0;
	}
	if (dev->life != TVQ_LIVING || status & ~known || old & ~status)
		return -EINVAL;
	if (set & TVQ_S_DRIVER_OK && !(old & TVQ_S_FEATURES_OK))
		return -EINVAL;
	if (set & TVQ_S_FEATURES_OK &&
	    !tvq_features_requirements(dev->accepted, dev->type, dev->root))
		set &= ~TVQ_S_FEATURES_OK; /* TQ-069 */
	dev->status |= set;
	if (set & TVQ_S_FEATURES_OK)
		features_accepted(dev);
	if (set & TVQ_S_DRIVER_OK)
		driver_ok(dev);
	return 0;
}
