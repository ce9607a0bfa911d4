// SPDX-License-Identifier: GPL-2.0-only
/*
 * The class of block devices.
 *
 * The vdpa tool has no word for a volume, so the device's name is tried as a volume's id (TQ-143);
 * where there is no such volume, or it is in use, the first free one is taken.
 *
 * Nor has it a word for their queues: the vDPA core takes max_vqp for network devices only. Without
 * device_features a device has one; with device_features that hold VIRTIO_BLK_F_MQ one for each
 * CPU. The module's parameter blk_queues says another number for both.
 */
#include <linux/cpumask.h>
#include <linux/module.h>
#include <linux/string.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>
#include <uapi/linux/vdpa.h>

#include "tvq_fn.h"
#include "tvq_mgmt.h"

static unsigned int blk_queues;
module_param(blk_queues, uint, 0644);
MODULE_PARM_DESC(blk_queues, "request queues of a new block device (default 0: see README)");

static u16 choose_queues(const struct tvq_mgmt *m, u64 features)
{
	bool may = features ? features & BIT_ULL(VIRTIO_BLK_F_MQ)
			    : m->features & BIT_ULL(VIRTIO_BLK_F_MQ);
	unsigned int n = READ_ONCE(blk_queues);

	if (!may)
		return 1;
	if (!n)
		n = features ? num_online_cpus() : 1;
	return clamp(n, 1U, (unsigned int)m->max_vqs);
}

static int create(struct tvq_mgmt *m, const char *name, const struct vdpa_dev_set_config *want,
		  struct tvq_made *made)
{
	u64 features = want->mask & BIT_ULL(VDPA_ATTR_DEV_FEATURES) ? want->device_features : 0;
	struct virtio_transportq_blk_config v = {};
	size_t len = strlen(name);
	int err = -EIO;

	made->n_queues = choose_queues(m, features);
	v.num_queues = cpu_to_le16(made->n_queues);
	if (len <= sizeof(v.id)) {
		memcpy(v.id, name, len);
		err = tvq_create(m, features, &v, sizeof(v), &made->id);
	}
	if (err == -EIO) {
		memset(v.id, 0, sizeof(v.id));
		err = tvq_create(m, features, &v, sizeof(v), &made->id);
		made->unnamed = true;
	}
	if (err == -EIO) {
		dev_err(&m->aux.dev, "%s: there is no free volume, or not room for %u queues\n",
			name, made->n_queues);
		err = -ENOSPC;
	}
	return err;
}

const struct tvq_class tvq_class_blk = {
	.virtio_id = VIRTIO_ID_BLOCK,
	.name = "blk",
	.config_size = sizeof(struct virtio_blk_config),
	.attributes = BIT_ULL(VDPA_ATTR_DEV_FEATURES),
	.create = create,
};
