// SPDX-License-Identifier: GPL-2.0-only
/*
 * A managed device comes, and goes.
 */
#include <linux/iommu.h>
#include <linux/slab.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "tvq_dev.h"
#include "tvq_fn.h"
#include "tvq_mgmt.h"
#include "tvq_seq.h"

#define AREA_SIZE 4096 /* TQ-102 */

void tvq_dev_report(struct tvq_dev *dev, const struct tvq_batch *b, int err)
{
	const struct tvq_cmd *cmd = tvq_batch_failed(b);

	/* A dead function has said so. */
	if (tvq_fn_dead(dev->fn) || dev->reported)
		return;
	dev->reported = true;
	if (!cmd)
		dev_err(&dev->vdpa.dev, "commands could not be sent: %pe\n", ERR_PTR(err));
	else if (cmd->queue < 0)
		dev_err(&dev->vdpa.dev, "%s failed: %pe\n", tvq_cmd_name(cmd), ERR_PTR(err));
	else
		dev_err(&dev->vdpa.dev, "%s of queue %d failed: %pe\n", tvq_cmd_name(cmd),
			cmd->queue, ERR_PTR(err));
}

/* What VQ_NOTIFY GET answered is where it may be, and nowhere else. */
static int take_area(struct tvq_dev *dev, struct tvq_vq *vq, const struct tvq_cmd *cmd)
{
	struct virtio_transportq_ctrl_vdev_vq_notification_area v;
	struct tvq_fn *fn = dev->fn;
	u64 addr, size;

	tvq_cmd_copy(cmd, &v, sizeof(v));
	addr = le64_to_cpu(v.addr);
	size = le64_to_cpu(v.size);
	if (addr % AREA_SIZE || size != AREA_SIZE || fn->notify_len < size ||
	    addr > fn->notify_len - size) {
		dev_err(&dev->vdpa.dev, "queue %u has no notification area (%#llx at %#llx)\n",
			vq->index, size, addr);
		return -EPROTO;
	}
	vq->notify = fn->notify + addr;
	vq->notify_pa = fn->notify_pa + addr;
	return 0;
}

/*
 * A ring of so many entries at most. Behind an IOMMU its memory is gathered page by page, and what
 * emulates a device may be able to serve an area in one piece only; a descriptor area of one page
 * is one, and so are the others, which are smaller.
 */
static u16 ring_limit(const struct tvq_fn *fn)
{
	struct iommu_domain *domain = iommu_get_domain_for_dev(&fn->pdev->dev);

	if (!domain || !(domain->type & __IOMMU_DOMAIN_PAGING))
		return 32768;
	return PAGE_SIZE / sizeof(struct vring_desc);
}

static int take_queue(struct tvq_dev *dev, struct tvq_vq *vq, const struct tvq_cmd *size,
		      const struct tvq_cmd *area)
{
	vq->max = tvq_cmd_u16(size);
	if (!is_power_of_2(vq->max) || vq->max > 32768) { /* TQ-091 */
		dev_err(&dev->vdpa.dev, "queue %u has %u entries at most\n", vq->index, vq->max);
		return -EPROTO;
	}
	vq->max = min(vq->max, ring_limit(dev->fn));
	return take_area(dev, vq, area);
}

/* All questions in one batch; the queues' commands follow each other in it. */
static int ask(struct tvq_dev *dev)
{
	const u64 need = BIT_ULL(VIRTIO_F_VERSION_1) | BIT_ULL(VIRTIO_F_ACCESS_PLATFORM);
	struct tvq_cmd *features, *cmd;
	struct tvq_batch b;
	unsigned int i;
	int err;

	tvq_batch_init(&b, &dev->fn->cq);
	features = tvq_seq_features_get(&b, dev->id);
	for (i = 0; i < dev->n_vqs; i++) {
		tvq_seq_vq_size_get(&b, dev->id, i);
		tvq_seq_vq_notify(&b, dev->id, i);
	}
	err = tvq_batch_run(&b);
	if (err) {
		tvq_dev_report(dev, &b, err);
		goto out;
	}
	dev->features = tvq_cmd_u64(features);
	if ((dev->features & need) != need) {
		dev_err(&dev->vdpa.dev, "it offers %#llx, which lacks some of %#llx\n",
			dev->features, need);
		err = -EPROTO;
		goto out;
	}
	cmd = features;
	for (i = 0; i < dev->n_vqs && !err; i++) {
		struct tvq_cmd *size = list_next_entry(cmd, node);

		cmd = list_next_entry(size, node);
		err = take_queue(dev, &dev->vqs[i], size, cmd);
	}
out:
	tvq_batch_end(&b);
	return err;
}

static int make(struct tvq_dev *dev, u16 n_vqs)
{
	int err;

	dev->config = kzalloc(dev->mgmt->class->config_size, GFP_KERNEL);
	dev->vqs = kcalloc(n_vqs, sizeof(*dev->vqs), GFP_KERNEL);
	if (!dev->config || !dev->vqs)
		return -ENOMEM;
	for (; dev->n_vqs < n_vqs; dev->n_vqs++) {
		err = tvq_vq_init(dev, &dev->vqs[dev->n_vqs], dev->n_vqs);
		if (err)
			return err;
	}
	return ask(dev);
}

static void destroy(struct tvq_fn *fn, u64 id, struct device *dev)
{
	struct tvq_batch b;
	int err;

	tvq_batch_init(&b, &fn->cq);
	tvq_seq_destroy(&b, id);
	err = tvq_batch_run(&b);
	if (err && !tvq_fn_dead(fn))
		dev_err(dev, "device %llu could not be destroyed: %pe\n", id, ERR_PTR(err));
	tvq_batch_end(&b);
}

/*
 * More than one address space, and no operation for them: vhost_vdpa refuses such a device. It
 * would attach a domain of its own to the function, in whose domain the transportq and all other
 * managed devices live.
 */
static struct tvq_dev *alloc(struct tvq_mgmt *m, const char *name)
{
	const unsigned int ngroups = 1, nas = 2;
	struct device *parent = &m->aux.dev;
	struct tvq_dev *dev;

#ifdef TVQ_VDPA_HAS_MAP
	dev = vdpa_alloc_device(struct tvq_dev, vdpa, parent, &tvq_vdpa_ops, NULL, ngroups, nas,
				name, false);
	if (!IS_ERR(dev))
		dev->vdpa.vmap.dma_dev = &m->fn->pdev->dev;
#else
	dev = vdpa_alloc_device(struct tvq_dev, vdpa, parent, &tvq_vdpa_ops, ngroups, nas, name,
				false);
	if (!IS_ERR(dev))
		dev->vdpa.dma_dev = &m->fn->pdev->dev;
#endif
	return dev;
}

struct tvq_dev *tvq_dev_new(struct tvq_mgmt *m, const char *name, u64 id, u16 n_vqs)
{
	struct tvq_fn *fn = m->fn;
	struct tvq_dev *dev;
	int err;

	dev = alloc(m, name);
	if (IS_ERR(dev)) {
		destroy(fn, id, &m->aux.dev);
		return dev;
	}
	dev->fn = fn;
	dev->mgmt = m;
	dev->id = id;
	mutex_init(&dev->lock);
	INIT_WORK(&dev->config_work, tvq_dev_config_work);
	tvq_batch_init(&dev->config_setup, &fn->cq);
	dev->config_irq.device_id = id;
	dev->config_irq.queue = -1;
	err = make(dev, n_vqs);
	if (err) {
		tvq_dev_delete(dev);
		return ERR_PTR(err);
	}
	return dev;
}

void tvq_dev_delete(struct tvq_dev *dev)
{
	unsigned int i;

	mutex_lock(&dev->lock);
	tvq_dev_reset(dev);
	if (!dev->gone)
		destroy(dev->fn, dev->id, &dev->vdpa.dev);
	dev->gone = true;
	for (i = 0; i < dev->n_vqs; i++)
		tvq_vq_forget(dev, &dev->vqs[i]);
	mutex_unlock(&dev->lock);
	/* Its interrupt was detached by the reset. */
	cancel_work_sync(&dev->config_work);
	put_device(&dev->vdpa.dev);
}

void tvq_dev_free(struct vdpa_device *vdpa)
{
	struct tvq_dev *dev = to_tvq_dev(vdpa);
	unsigned int i;

	for (i = 0; i < dev->n_vqs; i++)
		tvq_vq_exit(&dev->vqs[i]);
	kfree(dev->vqs);
	kfree(dev->config);
	mutex_destroy(&dev->lock);
}
