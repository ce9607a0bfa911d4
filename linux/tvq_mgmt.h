/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vDPA management devices: one for each class of managed devices that a function has, on the
 * auxiliary bus (auxiliary/tvq.blk.0), since the vdpa tool has no word for the class.
 */
#ifndef TVQ_MGMT_H
#define TVQ_MGMT_H

#include <linux/auxiliary_bus.h>
#include <linux/vdpa.h>
#include <linux/virtio.h>

struct tvq_fn;
struct tvq_mgmt;

/* What CREATE made. */
struct tvq_made {
	u64 id;
	u16 n_queues;
	bool unnamed; /* not what its name asked for, but the first free volume */
};

struct tvq_class {
	u32 virtio_id;
	const char *name;  /* in auxiliary/tvq.NAME.0 */
	u32 config_size;   /* of the configuration space (TQ-076) */
	bool config_moves; /* by its driver's doing, too, other than CONFIG SET */
	u64 attributes;	   /* that dev_add takes, bits of VDPA_ATTR_DEV_... */
	/* Creates a device: 0, or -errno with a message. */
	int (*create)(struct tvq_mgmt *m, const char *name, const struct vdpa_dev_set_config *want,
		      struct tvq_made *made);
};

struct tvq_mgmt {
	struct list_head node; /* in the function */
	struct vdpa_mgmt_dev vdpa;
	struct auxiliary_device aux;
	struct virtio_device_id ids[2];
	const struct tvq_class *class;
	struct tvq_fn *fn;
	/* By TYPE_GET. */
	u64 features, default_features;
	u16 max_vqs;
};

static inline struct tvq_mgmt *to_tvq_mgmt(struct vdpa_mgmt_dev *mdev)
{
	return container_of(mdev, struct tvq_mgmt, vdpa);
}

/* Finds the classes and registers them. 0 or -errno, with a message. Sleeps. */
int tvq_mgmt_register(struct tvq_fn *fn);
/* Deletes all their devices, too. */
void tvq_mgmt_unregister(struct tvq_fn *fn);

/* CREATE with a dev_config. 0 or -errno; no message if the device refused (-EIO). */
int tvq_create(struct tvq_mgmt *m, u64 features, const void *config, u32 config_len, u64 *id);
/* Whether a device with so many queues could be made now, as AVAIL_RES says. */
bool tvq_has_room(struct tvq_mgmt *m, u16 n_queues);
extern const struct tvq_class tvq_class_blk, tvq_class_net;

#endif
