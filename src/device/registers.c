// SPDX-License-Identifier: BSD-3-Clause
/*
 * What buses make the registers of the outermost device of: its own queues, and whether it is
 * reset. Its features, status and configuration are those of any device (status.c, config.c).
 */
#include "device/device_priv.h"
#include "device/util.h"

bool tvq_device_is_reset(const struct tvq_device *dev)
{
	return dev->life == TVQ_LIVING && !dev->status;
}

uint16_t tvq_device_queue_max(struct tvq_device *dev, uint16_t index)
{
	return tvq_device_vq(dev, index) ? dev->root->cfg.max_queue_size : 0;
}

int tvq_device_queue_start(struct tvq_device *dev, const struct tvq_own_queue *q)
{
	struct tvq_vq *vq = tvq_device_vq(dev, q->index);
	int err;

	if (!vq)
		return -ENOENT;
	if (!(dev->status & TVQ_S_FEATURES_OK) || dev->life != TVQ_LIVING)
		return -EPERM;
	if (vq->enabled)
		return -EBUSY;
	err = tvq_vq_set_size(vq, q->size);
	if (!err)
		err = tvq_vq_set_addr(vq, q->desc, q->driver, q->device);
	if (!err)
		err = tvq_vq_enable(vq);
	if (!err)
		tvq_vq_serve(vq);
	return err;
}

/* Over at once where the queue is AWAY; tvq_device_progress() comes here when it is. */
void tvq_device_queues_progress(struct tvq_device *dev)
{
	for (uint16_t i = 0; i < dev->n_vqs; i++)
		if (dev->vq[i].resetting && dev->vq[i].place == TVQ_VQ_AWAY)
			tvq_vq_clear(&dev->vq[i], true);
}

int tvq_device_queue_reset(struct tvq_device *dev, uint16_t index)
{
	struct tvq_vq *vq = tvq_device_vq(dev, index);

	if (!vq)
		return -ENOENT;
	if (!tvq_device_has(dev, TVQ_F_RING_RESET))
		return -EOPNOTSUPP;
	vq->resetting = true;
	tvq_vq_withdraw(vq);
	tvq_device_queues_progress(dev);
	return 0;
}

unsigned int tvq_device_notify_width(const struct tvq_device *dev)
{
	return tvq_device_has(dev, TVQ_F_NOTIFICATION_DATA) ? 4 : 2;
}
