// SPDX-License-Identifier: GPL-2.0-only
/*
 * The management device's set-up: virtio over PCI as far as its transportq (TQ-150, TQ-035).
 *
 * Only the transportq is used; the device's own request queues stay disabled. Set-up and tear-down
 * mirror each other.
 */
#include <linux/delay.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>

#include "tvq_fn.h"

#define TRANSPORTQ_SIZE 256
#define PAGE_OF_AREAS	4096 /* TQ-102 */

/* The virtio type of a function in the experimental range of ids is its subsystem's. */
static int device_id_check(struct pci_dev *pdev)
{
	if (pdev->subsystem_device <= 0x40)
		return -ENODEV;
	return pdev->subsystem_device - 0x40;
}

/* TQ-010; no multiqueue feature is negotiated, so there is one queue, or pair. */
static int transportq_index(const struct tvq_fn *fn)
{
	switch (fn->modern.id.device) {
	case VIRTIO_ID_BLOCK:
		return 1;
	case VIRTIO_ID_NET:
		return 3;
	default:
		dev_err(&fn->pdev->dev, "virtio type %u has no known place for a transportq\n",
			fn->modern.id.device);
		return -ENODEV;
	}
}

int tvq_fn_reset(struct tvq_fn *fn)
{
	unsigned long end = jiffies + tvq_timeout();
	u8 status;

	vp_modern_set_status(&fn->modern, 0);
	while ((status = vp_modern_get_status(&fn->modern))) {
		if (status == TVQ_STATUS_GONE)
			return -ENODEV;
		if (time_after(jiffies, end))
			return -ETIMEDOUT;
		usleep_range(500, 2000);
	}
	return 0;
}

static void add_status(struct tvq_fn *fn, u8 status)
{
	vp_modern_set_status(&fn->modern, vp_modern_get_status(&fn->modern) | status);
}

static int negotiate(struct tvq_fn *fn)
{
	const u64 need = BIT_ULL(VIRTIO_F_VERSION_1) | BIT_ULL(VIRTIO_F_TRNSPT_VQ) |
			 BIT_ULL(VIRTIO_F_TRNSPT_VQ_VDEV);
	const u64 like = BIT_ULL(VIRTIO_F_ACCESS_PLATFORM) | BIT_ULL(VIRTIO_F_ORDER_PLATFORM) |
			 BIT_ULL(VIRTIO_F_RING_PACKED) | BIT_ULL(VIRTIO_RING_F_EVENT_IDX);
	u64 offered;

	add_status(fn, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	offered = vp_modern_get_features(&fn->modern);
	if ((offered & need) != need) {
		dev_err(&fn->pdev->dev, "it offers no transport virtqueue (features %#llx)\n",
			offered);
		return -ENODEV;
	}
	fn->features = need | (offered & like);
	fn->cq.ring_dev.features = fn->features;
	vp_modern_set_features(&fn->modern, fn->features);
	add_status(fn, VIRTIO_CONFIG_S_FEATURES_OK);
	if (!(vp_modern_get_status(&fn->modern) & VIRTIO_CONFIG_S_FEATURES_OK)) {
		dev_err(&fn->pdev->dev, "it refuses the features %#llx\n", fn->features);
		return -ENODEV;
	}
	return 0;
}

/*
 * The structure in which VQ_NOTIFY's areas are: that of the first notify capability. Mapped whole,
 * so that a device that comes or goes maps nothing.
 */
static int map_notify(struct tvq_fn *fn)
{
	struct pci_dev *pdev = fn->pdev;
	u32 offset, length;
	u8 type, bar;
	int pos;

	for (pos = pci_find_capability(pdev, PCI_CAP_ID_VNDR); pos;
	     pos = pci_find_next_capability(pdev, pos, PCI_CAP_ID_VNDR)) {
		pci_read_config_byte(pdev, pos + offsetof(struct virtio_pci_cap, cfg_type), &type);
		if (type == VIRTIO_PCI_CAP_NOTIFY_CFG)
			break;
	}
	if (!pos)
		return -ENODEV; /* not so: vp_modern_probe() found it */
	pci_read_config_byte(pdev, pos + offsetof(struct virtio_pci_cap, bar), &bar);
	pci_read_config_dword(pdev, pos + offsetof(struct virtio_pci_cap, offset), &offset);
	pci_read_config_dword(pdev, pos + offsetof(struct virtio_pci_cap, length), &length);
	if (bar >= PCI_STD_NUM_BARS || !(fn->modern.modern_bars & BIT(bar)) ||
	    !(pci_resource_flags(pdev, bar) & IORESOURCE_MEM) || offset % PAGE_OF_AREAS ||
	    (u64)offset + length > pci_resource_len(pdev, bar)) {
		dev_err(&pdev->dev, "its notification areas are nowhere (BAR %u, %#x at %#x)\n",
			bar, length, offset);
		return -EINVAL;
	}
	fn->notify = pci_iomap_range(pdev, bar, offset, length);
	if (!fn->notify)
		return -ENOMEM;
	fn->notify_pa = pci_resource_start(pdev, bar) + offset;
	fn->notify_len = length;
	return 0;
}

static bool notify(struct virtqueue *vq)
{
	struct tvq_fn *fn = container_of(vq->vdev, struct tvq_fn, cq.ring_dev);

	iowrite16(vq->index, fn->cq.notify);
	return true;
}

static irqreturn_t used(void *data)
{
	return vring_interrupt(0, data);
}

static irqreturn_t config_changed(void *data)
{
	struct tvq_fn *fn = data;

	mod_delayed_work(system_wq, &fn->health_work, 0);
	return IRQ_HANDLED;
}

static int attach_irqs(struct tvq_fn *fn, u16 index)
{
	struct virtio_pci_modern_device *md = &fn->modern;
	u16 vector;
	int err;

	fn->config_irq.cb = (struct vdpa_callback){ .callback = config_changed, .private = fn };
	fn->cq_irq.cb = (struct vdpa_callback){ .callback = used, .private = fn->cq.vq };
	mutex_lock(&fn->irqs.lock);
	err = tvq_irq_attach(fn, &fn->config_irq, TVQ_IRQ_CONFIG);
	if (!err)
		err = tvq_irq_attach(fn, &fn->cq_irq, TVQ_IRQ_COMMANDS);
	if (err)
		goto out;
	vector = tvq_irq_vector(fn, &fn->config_irq);
	if (vp_modern_config_vector(md, vector) != vector)
		err = -EBUSY;
	vector = tvq_irq_vector(fn, &fn->cq_irq);
	if (vp_modern_queue_vector(md, index, vector) != vector)
		err = -EBUSY;
	if (err)
		dev_err(&fn->pdev->dev, "it does not take its interrupt vectors\n");
out:
	mutex_unlock(&fn->irqs.lock);
	return err;
}

static void detach_irqs(struct tvq_fn *fn)
{
	tvq_irq_detach(fn, &fn->cq_irq);
	tvq_irq_detach(fn, &fn->config_irq);
}

static int make_ring(struct tvq_fn *fn, u16 index)
{
	struct virtio_pci_modern_device *md = &fn->modern;
	struct virtqueue *vq;
	u16 size;

	if (index >= vp_modern_get_num_queues(md)) {
		dev_err(&fn->pdev->dev, "it has no queue %u, where its transportq should be\n",
			index);
		return -ENODEV;
	}
	size = min_t(u16, vp_modern_get_queue_size(md, index), TRANSPORTQ_SIZE);
	if (size < 2 || vp_modern_get_queue_enable(md, index)) {
		dev_err(&fn->pdev->dev, "its transportq (queue %u) is of no use\n", index);
		return -ENODEV;
	}
	if (!(fn->features & BIT_ULL(VIRTIO_F_RING_PACKED)))
		size = rounddown_pow_of_two(size);
	vq = vring_create_virtqueue(index, size, SMP_CACHE_BYTES, &fn->cq.ring_dev, true, true,
				    false, notify, tvq_cq_used, "transportq");
	if (!vq)
		return -ENOMEM;
	vp_modern_set_queue_size(md, index, virtqueue_get_vring_size(vq));
	vp_modern_queue_address(md, index, virtqueue_get_desc_addr(vq),
				virtqueue_get_avail_addr(vq), virtqueue_get_used_addr(vq));
	fn->cq.notify = vp_modern_map_vq_notify(md, index, NULL);
	if (!fn->cq.notify) {
		vring_del_virtqueue(vq);
		return -ENOMEM;
	}
	fn->cq.vq = vq;
	return 0;
}

static void delete_ring(struct tvq_fn *fn)
{
	struct tvq_cq *cq = &fn->cq;

	tvq_cq_reclaim(cq);
	vring_del_virtqueue(cq->vq);
	cq->vq = NULL;
	if (!fn->modern.notify_base)
		pci_iounmap(fn->pdev, cq->notify);
}

static int start_transportq(struct tvq_fn *fn)
{
	int err, index = transportq_index(fn);

	if (index < 0)
		return index;
	err = make_ring(fn, index);
	if (err)
		return err;
	err = attach_irqs(fn, index);
	if (err) {
		detach_irqs(fn);
		tvq_fn_reset(fn);
		delete_ring(fn);
		return err;
	}
	vp_modern_set_queue_enable(&fn->modern, index, true);
	tvq_irq_live(fn, &fn->cq_irq);
	tvq_irq_live(fn, &fn->config_irq);
	add_status(fn, VIRTIO_CONFIG_S_DRIVER_OK);
	/* Kernels with hardened notifications make a ring broken until its device is ready. */
	__virtqueue_unbreak(fn->cq.vq);
	fn->cq.stopped = false;
	return 0;
}

int tvq_fn_start(struct tvq_fn *fn)
{
	struct pci_dev *pdev = fn->pdev;
	int err;

	err = pci_enable_device(pdev);
	if (err)
		return err;
	pci_set_master(pdev);
	fn->modern.pci_dev = pdev;
	fn->modern.device_id_check = device_id_check;
	err = vp_modern_probe(&fn->modern);
	if (err) {
		dev_err(&pdev->dev, "it is no virtio function that this driver knows: %pe\n",
			ERR_PTR(err));
		goto disable;
	}
	err = map_notify(fn);
	if (err)
		goto remove;
	err = tvq_irqs_init(fn);
	if (err)
		goto unmap;
	tvq_cq_init(&fn->cq, &pdev->dev);
	err = tvq_fn_reset(fn);
	if (err) {
		dev_err(&pdev->dev, "it does not reset: %pe\n", ERR_PTR(err));
		goto irqs;
	}
	err = negotiate(fn);
	if (!err)
		err = start_transportq(fn);
	if (!err)
		return 0;
	vp_modern_set_status(&fn->modern, VIRTIO_CONFIG_S_FAILED);
irqs:
	tvq_irqs_exit(fn);
unmap:
	pci_iounmap(pdev, fn->notify);
remove:
	vp_modern_remove(&fn->modern);
disable:
	pci_clear_master(pdev);
	pci_disable_device(pdev);
	return err;
}

void tvq_fn_stop(struct tvq_fn *fn)
{
	struct pci_dev *pdev = fn->pdev;

	tvq_cq_stop(&fn->cq);
	if (!tvq_fn_dead(fn) && tvq_fn_reset(fn))
		dev_warn(&pdev->dev, "it does not reset; its access to memory is taken away\n");
	pci_clear_master(pdev);
	detach_irqs(fn);
	tvq_fn_die_wait(fn); /* an interrupt may have found its ring broken to the last */
	delete_ring(fn);
	tvq_irqs_exit(fn);
	pci_iounmap(pdev, fn->notify);
	vp_modern_remove(&fn->modern);
	pci_disable_device(pdev);
}
