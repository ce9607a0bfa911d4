// SPDX-License-Identifier: BSD-3-Clause
/*
 * Interrupts (4.6). The state of a queue's MSI is with whoever has the queue: a change while a
 * worker has it is a message there and one back, so that after the ack nothing goes by the old
 * state (TQ-082). The configuration's MSI is always with the control executor.
 *
 * A pair that the platform knows (an eventfd behind it) is sent on the spot. Any other is a
 * four-byte write into the manager's own space (TQ-081); it is left to the control executor, which
 * owns that space and a copy of the pair: the worker's may change while the message is on its way.
 * That copy changes with the ack of SET, and whatever was posted before is written before.
 */
#include "device/device_priv.h"
#include "device/util.h"

/* The space in which MSIs of this device are written: that of its manager's own queues (TQ-015). */
static struct tvq_space *msi_space(const struct tvq_device *dev)
{
	const struct tvq_device *m = dev->parent ? dev->parent : dev;

	return tvq_vq_space(&m->vq[m->n_vqs - 1]);
}

static void msi_write(struct tvq_device *dev, uint64_t addr, uint32_t value)
{
	struct tvq_dma_view view;
	uint8_t data[4];
	void *p;

	tvq_dma_view_init(&view);
	tvq_dma_view_refresh(&view, msi_space(dev));
	p = tvq_dma_ptr(&view, addr, sizeof(data), TVQ_DMA_WRITE);
	/* The memory behind can be misaligned though addr is not: it cannot be written at once. */
	if (!p || (uintptr_t)p % sizeof(data))
		return;
	tvq_put32(data, value);
	__atomic_store_n((uint32_t *)p, *(uint32_t *)(void *)data, __ATOMIC_RELEASE);
	tvq_dma_wrote(&view, addr, sizeof(data));
}

/* The outermost device's interrupts are its bus' business. */
static void own_irq(struct tvq_device *dev, uint16_t index)
{
	dev->root->platform->ops->own_irq(dev->root->platform, index);
}

/* False: disabled, masked (kept pending), or no pair. */
static bool msi_fires(struct tvq_msi *msi)
{
	if (!msi->enabled || !msi->set)
		return false;
	if (msi->masked) {
		msi->pending = true;
		return false;
	}
	return true;
}

static void vq_msi_send(struct tvq_vq *vq)
{
	struct tvq_exec *control = vq->dev->root->control;

	tvq_vq_count(&vq->stats, TVQ_STAT_INTERRUPTS, 1);
	if (vq->msi.target)
		vq->msi.target->send(vq->msi.target, vq->worker);
	else if (vq->worker == control)
		msi_write(vq->dev, vq->msi.addr, vq->msi.data);
	else if (!atomic_exchange(&vq->irq_posted, true))
		tvq_exec_post(control, &vq->irq_msg);
}

static void vq_irq_on_control(struct tvq_msg *m)
{
	struct tvq_vq *vq = tvq_container_of(m, struct tvq_vq, irq_msg);

	atomic_store(&vq->irq_posted, false);
	if (vq->dev->parent)
		msi_write(vq->dev, vq->pair_addr, vq->pair_data);
	else
		own_irq(vq->dev, vq->index);
}

void tvq_vq_interrupt(struct tvq_vq *vq)
{
	struct tvq_device *dev = vq->dev;

	if (__builtin_expect(!dev->parent, 0)) {
		if (vq->worker == dev->root->control)
			own_irq(dev, vq->index);
		else if (!atomic_exchange(&vq->irq_posted, true))
			tvq_exec_post(dev->root->control, &vq->irq_msg);
	} else if (msi_fires(&vq->msi)) {
		vq_msi_send(vq);
	}
}

/* Applies a change; true where a pending interrupt is due now. op gets the target to release. */
static bool msi_apply(struct tvq_msi *msi, struct tvq_msi_op *op)
{
	struct tvq_msi_target *old = NULL;
	bool due = false;

	switch (op->verb) {
	case TVQ_MSI_SET_PAIR:
		old = msi->target;
		msi->target = op->target;
		msi->addr = op->addr;
		msi->data = op->data;
		msi->set = true;
		break;
	case TVQ_MSI_SET_ENABLE:
		msi->enabled = op->value;
		if (!msi->enabled)
			msi->pending = false; /* TQ-084 */
		break;
	case TVQ_MSI_SET_MASK:
		msi->masked = op->value;
		due = !msi->masked && msi->pending;
		if (due)
			msi->pending = false;
		break;
	}
	op->target = old;
	return due;
}

static void msi_release(struct tvq_msi_op *op)
{
	if (op->target)
		op->target->put(op->target);
	op->target = NULL;
}

static void vq_msi_apply(struct tvq_vq *vq)
{
	if (msi_apply(&vq->msi, &vq->op) && vq->msi.enabled)
		vq_msi_send(vq);
}

static void vq_op_on_worker(struct tvq_msg *m)
{
	struct tvq_vq *vq = tvq_container_of(m, struct tvq_vq, op_msg);

	vq_msi_apply(vq);
	tvq_exec_post(vq->dev->root->control, &vq->opped_msg);
}

static void vq_op_end(struct tvq_vq *vq)
{
	if (vq->op.verb == TVQ_MSI_SET_PAIR) {
		vq->pair_addr = vq->op.addr;
		vq->pair_data = vq->op.data;
	}
	msi_release(&vq->op);
}

static void vq_op_done(struct tvq_msg *m)
{
	struct tvq_vq *vq = tvq_container_of(m, struct tvq_vq, opped_msg);
	struct tvq_tcmd *cmd = vq->op_cmd;

	vq->op_cmd = NULL;
	vq->op_out = false;
	vq_op_end(vq);
	/* The queue is not AWAY before it is back, so neither is the device gone after this. */
	if (cmd)
		tvq_tcmd_done(cmd, 0);
	if (vq->left_waits)
		vq->left_msg.fn(&vq->left_msg);
}

bool tvq_vq_msi_change(struct tvq_vq *vq, const struct tvq_msi_op *op, void *cmd)
{
	vq->op = *op;
	if (vq->place == TVQ_VQ_AWAY || vq->worker == vq->dev->root->control) {
		vq_msi_apply(vq);
		vq_op_end(vq);
		return true;
	}
	vq->op_cmd = cmd;
	vq->op_out = true;
	tvq_exec_post(vq->worker, &vq->op_msg);
	return false;
}

static void msi_drop(struct tvq_msi *msi)
{
	if (msi->target)
		msi->target->put(msi->target);
	memset(msi, 0, sizeof(*msi));
}

void tvq_vq_msi_drop(struct tvq_vq *vq)
{
	msi_drop(&vq->msi);
}

void tvq_device_msi_drop(struct tvq_device *dev)
{
	msi_drop(&dev->config_msi);
}

static void config_send(struct tvq_device *dev)
{
	struct tvq_msi *msi = &dev->config_msi;

	if (msi->target)
		msi->target->send(msi->target, dev->root->control);
	else
		msi_write(dev, msi->addr, msi->data);
}

void tvq_device_interrupt(struct tvq_device *dev)
{
	if (!(dev->status & TVQ_S_DRIVER_OK) || dev->life != TVQ_LIVING)
		return;
	if (!dev->parent)
		own_irq(dev, TVQ_CONFIG_IRQ);
	else if (msi_fires(&dev->config_msi))
		config_send(dev);
}

void tvq_device_msi_change(struct tvq_device *dev, const struct tvq_msi_op *op)
{
	struct tvq_msi_op o = *op;

	if (msi_apply(&dev->config_msi, &o) && dev->config_msi.enabled)
		config_send(dev);
	msi_release(&o);
}

void tvq_vq_msi_init(struct tvq_vq *vq)
{
	vq->irq_msg.fn = vq_irq_on_control;
	vq->op_msg.fn = vq_op_on_worker;
	vq->opped_msg.fn = vq_op_done;
}
