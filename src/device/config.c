// SPDX-License-Identifier: BSD-3-Clause
/* The configuration space and its generation (4.5). */
#include "device/device_priv.h"
#include "device/util.h"

/* TQ-077. */
static bool config_range_ok(const struct tvq_device *dev, uint32_t offset, uint32_t size)
{
	return size && offset < dev->type->config_len && size <= dev->type->config_len - offset;
}

int tvq_device_config_get(const struct tvq_device *dev, uint32_t offset, uint32_t size, void *buf)
{
	if (!config_range_ok(dev, offset, size))
		return -EINVAL;
	memcpy(buf, dev->config + offset, size);
	return 0;
}

int tvq_device_config_set(struct tvq_device *dev, uint32_t offset, uint32_t size, const void *buf)
{
	int err;

	if (!config_range_ok(dev, offset, size))
		return -EINVAL;
	if (!(dev->status & TVQ_S_FEATURES_OK))
		return -EPERM;
	err = dev->type->config_set(dev, offset, size, buf);
	if (!err)
		dev->generation++;
	return err;
}

void tvq_device_config_changed(struct tvq_device *dev)
{
	dev->generation++;
	tvq_device_interrupt(dev);
}
