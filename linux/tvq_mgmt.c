// SPDX-License-Identifier: GPL-2.0-only
/*
 * vDPA management devices, and the classes of managed devices that they make.
 *
 * The auxiliary devices have no driver: they are what the vdpa tool names, no more.
 */
#include <linux/slab.h>
#include <uapi/linux/vdpa.h>

#include "tvq_dev.h"
#include "tvq_fn.h"
#include "tvq_mgmt.h"
#include "tvq_seq.h"

/* A class that is missing here is not shown, whatever the function has. */
static const struct tvq_class *const classes[] = {
	&tvq_class_blk,
	&tvq_class_net,
};

/* No stock driver could use these: they make a managed device a management device. */
#define NOT_PASSED_ON (BIT_ULL(VIRTIO_F_TRNSPT_VQ) | BIT_ULL(VIRTIO_F_TRNSPT_VQ_VDEV))

int tvq_create(struct tvq_mgmt *m, u64 features, const void *config, u32 config_len, u64 *id)
{
	struct tvq_fn *fn = m->fn;
	struct tvq_cmd *cmd;
	struct tvq_batch b;
	int err;

	tvq_batch_init(&b, &fn->cq);
	cmd = tvq_seq_create(&b, m->class->virtio_id, features, config, config_len);
	err = tvq_batch_run(&b);
	*id = tvq_cmd_u64(cmd);
	tvq_batch_end(&b);
	if (!err && !*id)
		err = -EPROTO;
	if (err && err != -EIO && !tvq_fn_dead(fn))
		dev_err(&fn->pdev->dev, "VDEV CREATE: %pe\n", ERR_PTR(err));
	return err;
}

bool tvq_has_room(struct tvq_mgmt *m, u16 n_queues)
{
	struct mgmt_dev_avail_res v;
	struct tvq_cmd *cmd;
	struct tvq_batch b;
	int err;

	tvq_batch_init(&b, &m->fn->cq);
	cmd = tvq_seq_avail_res(&b);
	err = tvq_batch_run(&b);
	tvq_cmd_copy(cmd, &v, sizeof(v));
	tvq_batch_end(&b);
	return !err && v.num_avail_vdev && le16_to_cpu(v.num_avail_vqs) >= n_queues;
}

static bool features_fit(struct tvq_mgmt *m, const char *name, u64 features)
{
	const u64 need = BIT_ULL(VIRTIO_F_VERSION_1) | BIT_ULL(VIRTIO_F_ACCESS_PLATFORM);
	u64 lacks = need & ~features, beyond = features & ~m->vdpa.supported_features;

	if (lacks)
		dev_err(&m->aux.dev, "%s: device_features %#llx lack %#llx\n", name, features,
			lacks);
	else if (beyond)
		dev_err(&m->aux.dev, "%s: device_features %#llx: %#llx cannot be had\n", name,
			features, beyond);
	return !lacks && !beyond;
}

static int dev_add(struct vdpa_mgmt_dev *mdev, const char *name,
		   const struct vdpa_dev_set_config *want)
{
	struct tvq_mgmt *m = to_tvq_mgmt(mdev);
	struct tvq_made made = {};
	struct tvq_dev *dev;
	int err;

	if (want->mask & BIT_ULL(VDPA_ATTR_DEV_FEATURES) &&
	    !features_fit(m, name, want->device_features))
		return -EINVAL;
	err = m->class->create(m, name, want, &made);
	if (err)
		return err;
	dev = tvq_dev_new(m, name, made.id, made.n_queues);
	if (IS_ERR(dev))
		return PTR_ERR(dev);
	dev->vdpa.mdev = mdev;
	err = _vdpa_register_device(&dev->vdpa, made.n_queues);
	if (err)
		tvq_dev_delete(dev);
	else if (made.unnamed)
		dev_info(&m->aux.dev, "%s: no free volume of that name, took another\n", name);
	return err;
}

static void dev_del(struct vdpa_mgmt_dev *mdev, struct vdpa_device *vdpa)
{
	struct tvq_dev *dev = to_tvq_dev(vdpa);

	get_device(&vdpa->dev);
	_vdpa_unregister_device(vdpa);
	tvq_dev_delete(dev);
}

static const struct vdpa_mgmtdev_ops mgmt_ops = {
	.dev_add = dev_add,
	.dev_del = dev_del,
};

static void aux_release(struct device *dev)
{
	kfree(container_of(dev, struct tvq_mgmt, aux.dev));
}

static int register_one(struct tvq_mgmt *m)
{
	struct tvq_fn *fn = m->fn;
	int err;

	m->ids[0].device = m->class->virtio_id;
	m->ids[0].vendor = VIRTIO_DEV_ANY_ID;
	m->aux.name = m->class->name;
	m->aux.id = fn->index;
	m->aux.dev.parent = &fn->pdev->dev;
	m->aux.dev.release = aux_release;
	err = auxiliary_device_init(&m->aux);
	if (err) {
		kfree(m);
		return err;
	}
	/* "tvq", not the module's name: this is what people type. */
	err = __auxiliary_device_add(&m->aux, "tvq");
	if (err)
		goto uninit;
	m->vdpa.device = &m->aux.dev;
	m->vdpa.ops = &mgmt_ops;
	m->vdpa.id_table = m->ids;
	m->vdpa.config_attr_mask = m->class->attributes;
	m->vdpa.supported_features = m->features & ~NOT_PASSED_ON;
	m->vdpa.max_supported_vqs = m->max_vqs;
	err = vdpa_mgmtdev_register(&m->vdpa);
	if (err)
		goto del;
	list_add_tail(&m->node, &fn->mgmts);
	return 0;
del:
	auxiliary_device_delete(&m->aux);
uninit:
	auxiliary_device_uninit(&m->aux);
	return err;
}

/* A class that TYPE_GET knows (TQ-042) is registered. */
static int add_class(struct tvq_fn *fn, const struct tvq_class *class, const struct tvq_cmd *type)
{
	struct virtio_transportq_ctrl_type v;
	struct tvq_mgmt *m;

	tvq_cmd_copy(type, &v, sizeof(v));
	if (type->err == -EIO)
		return 0;
	if (type->err)
		return type->err;
	if (!v.max_vqs) {
		dev_err(&fn->pdev->dev, "it says that %s devices have no queues\n", class->name);
		return -EPROTO;
	}
	m = kzalloc(sizeof(*m), GFP_KERNEL);
	if (!m)
		return -ENOMEM;
	m->fn = fn;
	m->class = class;
	m->features = le64_to_cpu(v.features);
	m->default_features = le64_to_cpu(v.default_features);
	m->max_vqs = le16_to_cpu(v.max_vqs);
	return register_one(m);
}

int tvq_mgmt_register(struct tvq_fn *fn)
{
	struct tvq_cmd *res, *types[ARRAY_SIZE(classes)];
	struct mgmt_dev_avail_res v;
	struct tvq_batch b;
	unsigned int i;
	int err;

	tvq_batch_init(&b, &fn->cq);
	res = tvq_seq_avail_res(&b);
	for (i = 0; i < ARRAY_SIZE(classes); i++)
		types[i] = tvq_seq_type(&b, classes[i]->virtio_id);
	err = tvq_batch_run(&b);
	/* TYPE_GET fails where the function lacks a class. */
	if (err && (err != -EIO || res->err)) {
		dev_err(&fn->pdev->dev, "its resources are not to be known: %pe\n", ERR_PTR(err));
		goto out;
	}
	tvq_cmd_copy(res, &v, sizeof(v));
	for (err = 0, i = 0; i < ARRAY_SIZE(classes) && !err; i++)
		err = add_class(fn, classes[i], types[i]);
	if (!err && list_empty(&fn->mgmts)) {
		dev_err(&fn->pdev->dev, "it makes no devices of a class that this driver knows\n");
		err = -ENODEV;
	}
	if (!err)
		dev_info(&fn->pdev->dev, "room for %u devices, %u queues; %u vectors%s\n",
			 le16_to_cpu(v.num_avail_vdev), le16_to_cpu(v.num_avail_vqs), fn->irqs.n,
			 fn->irqs.page ? ", page of MSIs" : "");
	else
		tvq_mgmt_unregister(fn);
out:
	tvq_batch_end(&b);
	return err;
}

void tvq_mgmt_unregister(struct tvq_fn *fn)
{
	struct tvq_mgmt *m, *next;

	list_for_each_entry_safe(m, next, &fn->mgmts, node) {
		list_del(&m->node);
		vdpa_mgmtdev_unregister(&m->vdpa);
		auxiliary_device_delete(&m->aux);
		auxiliary_device_uninit(&m->aux);
	}
}
