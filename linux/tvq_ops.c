// SPDX-License-Identifier: GPL-2.0-only
/*
 * struct vdpa_config_ops: what virtio_vdpa and the vDPA core ask of a managed device.
 *
 * Left out: suspend and resume; get_vq_irq, which only vhost_vdpa uses; everything about groups and
 * address spaces, since all queues live in the function's own (asid 0).
 */
#include <linux/virtio_config.h>
#include <net/genetlink.h>
#include <uapi/linux/vdpa.h>

#include "tvq_dev.h"
#include "tvq_fn.h"
#include "tvq_mgmt.h"
#include "tvq_seq.h"

static struct tvq_vq *vq_of(struct vdpa_device *vdpa, u16 idx)
{
	return &to_tvq_dev(vdpa)->vqs[idx];
}

static int set_vq_address(struct vdpa_device *vdpa, u16 idx, u64 desc, u64 driver, u64 device)
{
	struct tvq_vq *vq = vq_of(vdpa, idx);

	if (to_tvq_dev(vdpa)->gone || tvq_fn_dead(to_tvq_dev(vdpa)->fn))
		return -ENODEV;
	vq->desc = desc;
	vq->driver = driver;
	vq->device = device;
	return 0;
}

static void set_vq_num(struct vdpa_device *vdpa, u16 idx, u32 num)
{
	vq_of(vdpa, idx)->num = num;
}

/* Neither of the kicks sleeps. A write to a dead function would be lost, so there is none. */
static void kick_vq(struct vdpa_device *vdpa, u16 idx)
{
	if (!tvq_fn_dead(to_tvq_dev(vdpa)->fn))
		iowrite16(idx, vq_of(vdpa, idx)->notify);
}

static void kick_vq_with_data(struct vdpa_device *vdpa, u32 data)
{
	if (!tvq_fn_dead(to_tvq_dev(vdpa)->fn))
		iowrite32(data, vq_of(vdpa, data & 0xffff)->notify);
}

static void set_vq_cb(struct vdpa_device *vdpa, u16 idx, struct vdpa_callback *cb)
{
	tvq_irq_set_cb(to_tvq_dev(vdpa)->fn, &vq_of(vdpa, idx)->irq, cb);
}

static void set_vq_ready(struct vdpa_device *vdpa, u16 idx, bool ready)
{
	struct tvq_dev *dev = to_tvq_dev(vdpa);
	struct tvq_vq *vq = &dev->vqs[idx];

	mutex_lock(&dev->lock);
	if (ready && !vq->ready && !dev->gone)
		tvq_vq_start(dev, vq);
	else if (!ready && vq->ready)
		tvq_vq_stop(dev, vq);
	mutex_unlock(&dev->lock);
}

static bool get_vq_ready(struct vdpa_device *vdpa, u16 idx)
{
	return vq_of(vdpa, idx)->ready;
}

static int set_vq_state(struct vdpa_device *vdpa, u16 idx, const struct vdpa_vq_state *state)
{
	struct tvq_vq *vq = vq_of(vdpa, idx);

	if (vq->ready)
		return -EBUSY;
	vq->state = *state;
	vq->ran = false;
	return 0;
}

static int get_vq_state(struct vdpa_device *vdpa, u16 idx, struct vdpa_vq_state *state)
{
	struct tvq_dev *dev = to_tvq_dev(vdpa);
	int err;

	mutex_lock(&dev->lock);
	err = tvq_vq_state(dev, &dev->vqs[idx], state);
	mutex_unlock(&dev->lock);
	return err;
}

static const char *const counters[] = {
	"notifications", "interrupts",	  "taken",  "used",
	"bytes_read",	 "bytes_written", "errors", "drops",
};

static int put_stats(struct sk_buff *msg, const struct tvq_cmd *cmd)
{
	__le64 values[ARRAY_SIZE(counters)];
	unsigned int i, n = min_t(u32, ARRAY_SIZE(counters), cmd->got / sizeof(__le64));

	BUILD_BUG_ON(sizeof(values) != sizeof(struct virtio_transportq_ctrl_vdev_vq_stats));
	tvq_cmd_copy(cmd, values, sizeof(values));
	for (i = 0; i < n; i++)
		if (nla_put_string(msg, VDPA_ATTR_DEV_VENDOR_ATTR_NAME, counters[i]) ||
		    nla_put_u64_64bit(msg, VDPA_ATTR_DEV_VENDOR_ATTR_VALUE, le64_to_cpu(values[i]),
				      VDPA_ATTR_PAD))
			return -EMSGSIZE;
	return 0;
}

static int get_vendor_vq_stats(struct vdpa_device *vdpa, u16 idx, struct sk_buff *msg,
			       struct netlink_ext_ack *extack)
{
	struct tvq_dev *dev = to_tvq_dev(vdpa);
	struct tvq_cmd *cmd;
	struct tvq_batch b;
	int err;

	if (idx >= dev->n_vqs) {
		NL_SET_ERR_MSG_MOD(extack, "the device has no such queue");
		return -EINVAL;
	}
	tvq_batch_init(&b, &dev->fn->cq);
	cmd = tvq_seq_vq_stats(&b, dev->id, idx);
	err = tvq_batch_run(&b);
	if (err)
		NL_SET_ERR_MSG_MOD(extack, "the device tells no statistics");
	else
		err = put_stats(msg, cmd);
	tvq_batch_end(&b);
	return err;
}

static struct vdpa_notification_area get_vq_notification(struct vdpa_device *vdpa, u16 idx)
{
	return (struct vdpa_notification_area){
		.addr = vq_of(vdpa, idx)->notify_pa,
		.size = PAGE_SIZE,
	};
}

static u16 get_vq_size(struct vdpa_device *vdpa, u16 idx)
{
	return vq_of(vdpa, idx)->max;
}

static u32 get_vq_align(struct vdpa_device *vdpa)
{
	return SMP_CACHE_BYTES;
}

static u64 get_device_features(struct vdpa_device *vdpa)
{
	struct tvq_dev *dev = to_tvq_dev(vdpa);

	return dev->features & dev->mgmt->vdpa.supported_features;
}

/*
 * ACCESS_PLATFORM is not a question: queues are in the function's DMA space. (The core asks for no
 * feature at all where somebody reads the configuration too early; that is refused here, too, and
 * does no harm.)
 */
static int set_driver_features(struct vdpa_device *vdpa, u64 features)
{
	struct tvq_dev *dev = to_tvq_dev(vdpa);
	struct tvq_batch b;
	int err;

	if (!(features & BIT_ULL(VIRTIO_F_ACCESS_PLATFORM)))
		return -EINVAL;
	mutex_lock(&dev->lock);
	tvq_batch_init(&b, &dev->fn->cq);
	tvq_seq_features_set(&b, dev->id, features);
	dev->touched = true;
	err = dev->gone ? -ENODEV : tvq_batch_run(&b);
	if (err)
		tvq_dev_report(dev, &b, err);
	else
		dev->driver_features = features;
	tvq_batch_end(&b);
	mutex_unlock(&dev->lock);
	return err;
}

static u64 get_driver_features(struct vdpa_device *vdpa)
{
	return to_tvq_dev(vdpa)->driver_features;
}

static void set_config_cb(struct vdpa_device *vdpa, struct vdpa_callback *cb)
{
	struct tvq_dev *dev = to_tvq_dev(vdpa);

	mutex_lock(&dev->lock);
	tvq_dev_set_config_cb(dev, cb);
	mutex_unlock(&dev->lock);
}

static u16 get_vq_num_max(struct vdpa_device *vdpa)
{
	struct tvq_dev *dev = to_tvq_dev(vdpa);
	unsigned int i;
	u16 max = 0;

	for (i = 0; i < dev->n_vqs; i++)
		max = max(max, dev->vqs[i].max);
	return max;
}

static u32 get_device_id(struct vdpa_device *vdpa)
{
	return to_tvq_dev(vdpa)->mgmt->class->virtio_id;
}

static u32 get_vendor_id(struct vdpa_device *vdpa)
{
	return to_tvq_dev(vdpa)->fn->modern.id.vendor;
}

static u8 get_status(struct vdpa_device *vdpa)
{
	struct tvq_dev *dev = to_tvq_dev(vdpa);
	u8 status;

	mutex_lock(&dev->lock);
	status = tvq_dev_status(dev);
	mutex_unlock(&dev->lock);
	return status;
}

static void set_status(struct vdpa_device *vdpa, u8 status)
{
	struct tvq_dev *dev = to_tvq_dev(vdpa);

	mutex_lock(&dev->lock);
	tvq_dev_set_status(dev, status);
	mutex_unlock(&dev->lock);
}

static int reset(struct vdpa_device *vdpa)
{
	struct tvq_dev *dev = to_tvq_dev(vdpa);

	mutex_lock(&dev->lock);
	tvq_dev_reset(dev);
	mutex_unlock(&dev->lock);
	return 0;
}

static size_t get_config_size(struct vdpa_device *vdpa)
{
	return to_tvq_dev(vdpa)->mgmt->class->config_size;
}

/* What lies beyond, or cannot be read, is zero. */
static void get_config(struct vdpa_device *vdpa, unsigned int offset, void *buf, unsigned int len)
{
	struct tvq_dev *dev = to_tvq_dev(vdpa);
	u32 size = dev->mgmt->class->config_size;

	memset(buf, 0, len);
	if (offset >= size)
		return;
	mutex_lock(&dev->lock);
	if (!dev->config_valid || test_bit(TVQ_STALE_CONFIG, &dev->stale) ||
	    dev->mgmt->class->config_moves)
		tvq_dev_read_config(dev);
	if (dev->config_valid)
		memcpy(buf, dev->config + offset, min(len, size - offset));
	mutex_unlock(&dev->lock);
}

static void set_config(struct vdpa_device *vdpa, unsigned int offset, const void *buf,
		       unsigned int len)
{
	struct tvq_dev *dev = to_tvq_dev(vdpa);
	struct tvq_batch b;
	int err;

	mutex_lock(&dev->lock);
	dev->config_valid = false;
	tvq_batch_init(&b, &dev->fn->cq);
	tvq_seq_config_set(&b, dev->id, offset, buf, len);
	err = dev->gone ? -ENODEV : tvq_batch_run(&b);
	if (err)
		tvq_dev_report(dev, &b, err);
	tvq_batch_end(&b);
	mutex_unlock(&dev->lock);
}

static u32 get_generation(struct vdpa_device *vdpa)
{
	struct tvq_dev *dev = to_tvq_dev(vdpa);
	u32 generation;

	mutex_lock(&dev->lock);
	tvq_dev_read_config(dev);
	generation = dev->generation;
	mutex_unlock(&dev->lock);
	return generation;
}

static int set_vq_affinity(struct vdpa_device *vdpa, u16 idx, const struct cpumask *mask)
{
	struct tvq_dev *dev = to_tvq_dev(vdpa);
	struct tvq_vq *vq = &dev->vqs[idx];
	int err;

	if (idx >= dev->n_vqs)
		return -EINVAL;
	mutex_lock(&dev->lock);
	vq->affinity = NULL;
	if (mask) {
		cpumask_copy(vq->affinity_mask, mask);
		vq->affinity = vq->affinity_mask;
	}
	err = tvq_irq_set_affinity(dev->fn, &vq->irq, vq->affinity);
	mutex_unlock(&dev->lock);
	return err;
}

static const struct cpumask *get_vq_affinity(struct vdpa_device *vdpa, u16 idx)
{
	struct tvq_dev *dev = to_tvq_dev(vdpa);

	return idx < dev->n_vqs ? dev->vqs[idx].affinity : NULL;
}

const struct vdpa_config_ops tvq_vdpa_ops = {
	.set_vq_address = set_vq_address,
	.set_vq_num = set_vq_num,
	.kick_vq = kick_vq,
	.kick_vq_with_data = kick_vq_with_data,
	.set_vq_cb = set_vq_cb,
	.set_vq_ready = set_vq_ready,
	.get_vq_ready = get_vq_ready,
	.set_vq_state = set_vq_state,
	.get_vq_state = get_vq_state,
	.get_vendor_vq_stats = get_vendor_vq_stats,
	.get_vq_notification = get_vq_notification,
	.get_vq_size = get_vq_size,
	.get_vq_align = get_vq_align,
	.get_device_features = get_device_features,
	.set_driver_features = set_driver_features,
	.get_driver_features = get_driver_features,
	.set_config_cb = set_config_cb,
	.get_vq_num_max = get_vq_num_max,
	.get_device_id = get_device_id,
	.get_vendor_id = get_vendor_id,
	.get_status = get_status,
	.set_status = set_status,
	.reset = reset,
	.get_config_size = get_config_size,
	.get_config = get_config,
	.set_config = set_config,
	.get_generation = get_generation,
	.set_vq_affinity = set_vq_affinity,
	.get_vq_affinity = get_vq_affinity,
	.free = tvq_dev_free,
};
