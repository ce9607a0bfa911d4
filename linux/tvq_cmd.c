// SPDX-License-Identifier: GPL-2.0-only
/*
 * Batches of commands. See tvq_cmd.h for who owns what.
 *
 * The ring is the kernel's own (drivers/virtio/virtio_ring.c), which trusts nothing that the device
 * writes. Each command takes two descriptors; what does not fit waits in order, so that commands to
 * one device take effect in the order in which they were started (TQ-030).
 */
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/unaligned.h>
#include <linux/virtio_ring.h>

#include "tvq_fn.h"
#include "tvq_seq.h"

void tvq_cq_init(struct tvq_cq *cq, struct device *dma_dev)
{
	struct virtio_device *vdev = &cq->ring_dev;

	vdev->dev.parent = dma_dev;
	vdev->dev.init_name = dev_name(dma_dev);
	vdev->dev.driver = dma_dev->driver;
	INIT_LIST_HEAD(&vdev->vqs);
	spin_lock_init(&vdev->vqs_list_lock);
	spin_lock_init(&cq->lock);
	INIT_LIST_HEAD(&cq->flying);
	INIT_LIST_HEAD(&cq->waiting);
	cq->stopped = true;
}

/* Called with the lock. */
static void finish(struct tvq_cmd *cmd, int err)
{
	struct tvq_batch *b = cmd->batch;

	cmd->err = err;
	cmd->finished = true;
	if (!--b->pending)
		complete(&b->done);
}

static int put_in_ring(struct tvq_cq *cq, struct tvq_cmd *cmd)
{
	struct scatterlist out, in, *sgs[] = { &out, &in };
	int err;

	sg_init_one(&out, cmd->data, cmd->out_len);
	sg_init_one(&in, cmd->data + cmd->in_at, cmd->in_len);
	err = virtqueue_add_sgs(cq->vq, sgs, 1, 1, cmd, GFP_ATOMIC);
	if (err)
		return err;
	cmd->in_ring = true;
	list_move_tail(&cmd->link, &cq->flying);
	return 0;
}

/*
 * Moves what waits into the ring, while there is room. Called with the lock. A command that cannot
 * be mapped for DMA fails; a full ring is no error, the next used command makes room.
 */
static void fill_ring(struct tvq_cq *cq)
{
	struct tvq_cmd *cmd, *next;
	int err;

	list_for_each_entry_safe(cmd, next, &cq->waiting, link) {
		if (cq->vq->num_free < 2)
			break;
		err = put_in_ring(cq, cmd);
		if (err) {
			list_del_init(&cmd->link);
			finish(cmd, err == -EIO ? -ENODEV : err); /* -EIO: a broken ring */
		}
	}
	if (virtqueue_kick_prepare(cq->vq))
		virtqueue_notify(cq->vq);
}

/*
 * Judges an answer: len is what the device says it wrote. The ack is read once; the in-data are
 * read later, by whoever wants them, once each (tvq_seq.c).
 */
static int judge(struct tvq_cmd *cmd, u32 len)
{
	u32 ack;

	if (len < sizeof(__le32) || len > cmd->in_len)
		return -EPROTO;
	ack = get_unaligned_le32(cmd->data + cmd->in_at);
	if (ack == VIRTIO_TRANSPTQ_ERR)
		return -EIO;
	if (ack != VIRTIO_TRANSPTQ_OK || (len != cmd->in_len && !cmd->fewer))
		return -EPROTO;
	cmd->got = len - sizeof(__le32);
	return 0;
}

void tvq_cq_used(struct virtqueue *vq)
{
	struct tvq_cq *cq = &container_of(vq->vdev, struct tvq_fn, cq.ring_dev)->cq;
	unsigned long flags;
	struct tvq_cmd *cmd;
	unsigned int len;

	spin_lock_irqsave(&cq->lock, flags);
	do {
		virtqueue_disable_cb(vq);
		while ((cmd = virtqueue_get_buf(vq, &len))) {
			cmd->in_ring = false;
			list_del_init(&cmd->link);
			if (!cmd->batch)
				kfree(cmd);
			else if (!cmd->finished)
				finish(cmd, judge(cmd, len));
		}
	} while (!virtqueue_enable_cb(vq));
	if (!cq->stopped)
		fill_ring(cq);
	spin_unlock_irqrestore(&cq->lock, flags);
	if (virtqueue_is_broken(vq))
		tvq_fn_die(tvq_cq_fn(cq), "it broke the transportq's ring");
}

void tvq_cq_stop(struct tvq_cq *cq)
{
	struct tvq_cmd *cmd, *next;
	unsigned long flags;

	spin_lock_irqsave(&cq->lock, flags);
	cq->stopped = true;
	list_for_each_entry_safe(cmd, next, &cq->waiting, link) {
		list_del_init(&cmd->link);
		finish(cmd, -ENODEV);
	}
	/* The device still has these: they stay where they are. */
	list_for_each_entry(cmd, &cq->flying, link)
		if (cmd->batch && !cmd->finished)
			finish(cmd, -ENODEV);
	spin_unlock_irqrestore(&cq->lock, flags);
}

void tvq_cq_reclaim(struct tvq_cq *cq)
{
	struct tvq_cmd *cmd;

	spin_lock_irq(&cq->lock);
	while ((cmd = virtqueue_detach_unused_buf(cq->vq))) {
		cmd->in_ring = false;
		list_del_init(&cmd->link);
		if (!cmd->batch)
			kfree(cmd);
	}
	spin_unlock_irq(&cq->lock);
}

void tvq_batch_init(struct tvq_batch *b, struct tvq_cq *cq)
{
	b->cq = cq;
	INIT_LIST_HEAD(&b->cmds);
	init_completion(&b->done);
	b->pending = 0;
	b->started = false;
	b->err = 0;
}

struct tvq_cmd *tvq_batch_add(struct tvq_batch *b, u64 device_id, u32 code, const void *out,
			      u32 out_len, u32 in_len)
{
	u32 readable = sizeof(struct virtio_transportq_ctrl) + out_len;
	u32 writable = sizeof(__le32) + in_len;
	u32 in_at = ALIGN(readable, ARCH_DMA_MINALIGN);
	struct virtio_transportq_ctrl *ctrl;
	struct tvq_cmd *cmd;

	cmd = kzalloc(struct_size(cmd, data, in_at + writable), GFP_KERNEL);
	if (!cmd) {
		b->err = -ENOMEM;
		return NULL;
	}
	ctrl = (void *)cmd->data;
	ctrl->device_id = cpu_to_le64(device_id);
	ctrl->class = cpu_to_le16(code >> 16);
	ctrl->command = cpu_to_le16(code & 0xffff);
	if (out_len)
		memcpy(ctrl->command_out_data, out, out_len);
	cmd->device_id = device_id;
	cmd->code = code;
	cmd->queue = -1;
	cmd->out_len = readable;
	cmd->in_len = writable;
	cmd->in_at = in_at;
	cmd->batch = b;
	INIT_LIST_HEAD(&cmd->link);
	list_add_tail(&cmd->node, &b->cmds);
	return cmd;
}

void tvq_batch_start(struct tvq_batch *b)
{
	struct tvq_cq *cq = b->cq;
	unsigned long flags;
	struct tvq_cmd *cmd;

	if (b->err || b->started || list_empty(&b->cmds))
		return;
	spin_lock_irqsave(&cq->lock, flags);
	if (cq->stopped) {
		b->err = -ENODEV;
	} else {
		b->started = true;
		list_for_each_entry(cmd, &b->cmds, node) {
			b->pending++;
			list_add_tail(&cmd->link, &cq->waiting);
		}
		fill_ring(cq);
	}
	spin_unlock_irqrestore(&cq->lock, flags);
}

/* The function is given up because of the first command that has no answer. */
static void timed_out(struct tvq_batch *b)
{
	struct tvq_fn *fn = tvq_cq_fn(b->cq);
	const struct tvq_cmd *cmd;
	unsigned long flags;
	char why[96] = "a command was not answered";

	spin_lock_irqsave(&b->cq->lock, flags);
	list_for_each_entry(cmd, &b->cmds, node) {
		if (cmd->finished)
			continue;
		snprintf(why, sizeof(why), "%s of device %llu was not answered in %u ms",
			 tvq_cmd_name(cmd), cmd->device_id, jiffies_to_msecs(tvq_timeout()));
		break;
	}
	spin_unlock_irqrestore(&b->cq->lock, flags);
	tvq_fn_die(fn, why);
	tvq_cq_stop(b->cq);
}

int tvq_batch_wait(struct tvq_batch *b)
{
	const struct tvq_cmd *cmd;

	if (b->started && !wait_for_completion_timeout(&b->done, tvq_timeout()))
		timed_out(b);
	if (b->started)
		complete_all(&b->done); /* for the next wait */
	if (b->err)
		return b->err;
	cmd = tvq_batch_failed(b);
	return cmd ? cmd->err : 0;
}

int tvq_batch_run(struct tvq_batch *b)
{
	tvq_batch_start(b);
	return tvq_batch_wait(b);
}

const struct tvq_cmd *tvq_batch_failed(const struct tvq_batch *b)
{
	const struct tvq_cmd *cmd;

	list_for_each_entry(cmd, &b->cmds, node)
		if (cmd->finished && cmd->err)
			return cmd;
	return NULL;
}

void tvq_batch_end(struct tvq_batch *b)
{
	struct tvq_cmd *cmd, *next;

	spin_lock_irq(&b->cq->lock);
	list_for_each_entry_safe(cmd, next, &b->cmds, node) {
		list_del(&cmd->node);
		cmd->batch = NULL;
		if (!cmd->in_ring) {
			list_del_init(&cmd->link);
			kfree(cmd);
		}
	}
	spin_unlock_irq(&b->cq->lock);
	tvq_batch_init(b, b->cq);
}
