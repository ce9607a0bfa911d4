// SPDX-License-Identifier: GPL-2.0-only
/*
 * Queues of managed devices.
 *
 * virtio_vdpa sets a queue up by many operations, few of which can fail. They only note what was
 * asked; when the queue is made ready all of it goes to the device as one batch that nobody waits
 * for. Whether it worked is asked at DRIVER_OK (tvq_dev.c), before which the queue is not served.
 */
#include <linux/slab.h>

#include "tvq_dev.h"
#include "tvq_fn.h"
#include "tvq_seq.h"

int tvq_vq_init(struct tvq_dev *dev, struct tvq_vq *vq, u16 index)
{
	if (!zalloc_cpumask_var(&vq->affinity_mask, GFP_KERNEL))
		return -ENOMEM;
	vq->index = index;
	vq->irq.device_id = dev->id;
	vq->irq.queue = index;
	tvq_batch_init(&vq->setup, &dev->fn->cq);
	return 0;
}

void tvq_vq_exit(struct tvq_vq *vq)
{
	free_cpumask_var(vq->affinity_mask);
}

/* Its interrupt, if its driver wants any. With irqs->lock. */
static void add_msi(struct tvq_dev *dev, struct tvq_vq *vq)
{
	struct tvq_batch *b = &vq->setup;
	u64 addr;
	u32 data;
	int err;

	if (!vq->irq.cb.callback)
		return;
	err = tvq_irq_attach(dev->fn, &vq->irq, TVQ_IRQ_QUEUE);
	if (err) {
		b->err = err;
		return;
	}
	tvq_irq_pair(dev->fn, &vq->irq, &addr, &data);
	tvq_seq_msi_vq_set(b, dev->id, vq->index, addr, data);
	tvq_seq_msi_vq_enable(b, dev->id, vq->index, VIRTIO_TRANSPTQ_MSI_ENABLE);
}

void tvq_vq_start(struct tvq_dev *dev, struct tvq_vq *vq)
{
	struct tvq_batch *b = &vq->setup;

	dev->touched = true;
	vq->ready = true;
	vq->ran = true;
	tvq_seq_vq_size_set(b, dev->id, vq->index, vq->num);
	tvq_seq_vq_addr(b, dev->id, vq->index, vq->desc, vq->driver, vq->device);
	tvq_seq_vq_index_set(b, dev->id, vq->index, tvq_dev_packed(dev), &vq->state);
	mutex_lock(&dev->fn->irqs.lock);
	add_msi(dev, vq);
	tvq_seq_vq_enable(b, dev->id, vq->index, 1);
	tvq_batch_start(b);
	mutex_unlock(&dev->fn->irqs.lock);
}

void tvq_vq_started(struct tvq_dev *dev, struct tvq_vq *vq)
{
	int err = tvq_batch_wait(&vq->setup);

	if (err) {
		tvq_dev_report(dev, &vq->setup, err);
		dev->failed = true;
	}
	tvq_batch_end(&vq->setup);
}

void tvq_vq_forget(struct tvq_dev *dev, struct tvq_vq *vq)
{
	tvq_irq_detach(dev->fn, &vq->irq);
	tvq_batch_end(&vq->setup);
	vq->ready = false;
	vq->ran = false;
}

void tvq_vq_stop(struct tvq_dev *dev, struct tvq_vq *vq)
{
	struct tvq_batch b;
	int err;

	tvq_vq_started(dev, vq);
	tvq_batch_init(&b, &dev->fn->cq);
	tvq_seq_vq_enable(&b, dev->id, vq->index, 0);
	if (vq->irq.vec)
		tvq_seq_msi_vq_enable(&b, dev->id, vq->index, VIRTIO_TRANSPTQ_MSI_DISABLE);
	err = tvq_batch_run(&b);
	if (err) {
		tvq_dev_report(dev, &b, err);
		tvq_dev_kill(dev, "a queue does not stop");
	}
	tvq_batch_end(&b);
	tvq_irq_detach(dev->fn, &vq->irq);
	vq->ready = false;
}

int tvq_vq_state(struct tvq_dev *dev, struct tvq_vq *vq, struct vdpa_vq_state *state)
{
	bool packed = tvq_dev_packed(dev);
	struct tvq_cmd *cmd;
	struct tvq_batch b;
	int err;

	if (!vq->ran) {
		*state = vq->state;
		return 0;
	}
	if (vq->ready)
		return -EBUSY; /* TQ-111 */
	tvq_batch_init(&b, &dev->fn->cq);
	cmd = tvq_seq_vq_index_get(&b, dev->id, vq->index, packed);
	err = tvq_batch_run(&b);
	if (err)
		tvq_dev_report(dev, &b, err);
	else
		tvq_cmd_index(cmd, packed, state);
	tvq_batch_end(&b);
	return err;
}
