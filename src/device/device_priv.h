/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A virtio device: the management device, a managed one, and one that is both, are the same type.
 * The operations below are what commands (commands.c) and buses are made of. Control executor only.
 */
#ifndef TVQ_DEVICE_DEVICE_PRIV_H
#define TVQ_DEVICE_DEVICE_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include <tvq/device.h>
#include <tvq/switch.h>
#include <tvq/wire.h>

#include "device/features.h"
#include "device/platform.h"
#include "device/slab.h"
#include "device/type.h"
#include "device/vq.h"

struct tvq_manager;
struct tvq_tcmd;
struct tvq_root;

/* virtio 2.1 */
enum {
	TVQ_S_ACKNOWLEDGE = 1,
	TVQ_S_DRIVER = 2,
	TVQ_S_DRIVER_OK = 4,
	TVQ_S_FEATURES_OK = 8,
	TVQ_S_NEEDS_RESET = 64,
	TVQ_S_FAILED = 128,
};

/*
 * Commands to one device take effect in order (TQ-030): while one waits, the others queue behind
 * it.
 */
struct tvq_lane {
	struct tvq_tcmd *busy;
	struct tvq_tcmd *head, **tail;
	bool draining;
};

/*
 * Life of a device:
 *   NEW        made, waiting for its type (a volume); not addressable
 *   LIVING     addressable
 *   RESETTING  queues are being withdrawn, children destroyed; -> LIVING with status 0 (TQ-065)
 *   DYING      no longer addressable (TQ-032); -> freed, and then DESTROY is acked (TQ-054)
 */
enum tvq_life { TVQ_NEW, TVQ_LIVING, TVQ_RESETTING, TVQ_DYING };

/*
 * The first cache line has all that most commands look at: with tens of thousands of devices each
 * line more is a wait for memory.
 */
struct tvq_device {
	uint64_t id;
	struct tvq_device *hash_next;
	struct tvq_lane lane;
	uint8_t status;
	uint8_t life;
	uint8_t depth;	 /* 0: outermost */
	bool creating;	 /* its type is making what it needs; it cannot be freed yet */
	bool type_reset; /* RESETTING: its type has been told */
	bool to_tell;	 /* NEEDS_RESET, and its driver is told once its queues are AWAY */
	uint32_t generation;

	uint64_t offered, accepted;
	const struct tvq_type *type;
	void *type_data;
	struct tvq_root *root;
	struct tvq_manager *mgr; /* it manages others; NULL: it does not */
	uint16_t n_vqs;		 /* slots in vq, the transportq's included */
	uint32_t area;		 /* notification page */
	struct tvq_space *space; /* default of its queues; NULL: space 0 of the outermost */

	struct tvq_device
		*parent; /* whose transportq it was created through; NULL: the outermost */
	struct tvq_device *sibling, **psibling;
	struct tvq_msi config_msi;
	struct tvq_tcmd *destroy_cmd;		    /* DESTROY that waits, or NULL */
	void (*reset_done)(struct tvq_device *dev); /* the owner waits (outermost) */

	uint8_t config[TVQ_TYPE_CONFIG_MAX]; /* as read: little-endian */
	struct tvq_vq vq[];
};

#define TVQ_AREA_SIZE 4096 /* of a notification area (TQ-102) */

/* Shared by a whole tree of devices. */
struct tvq_root {
	struct tvq_mgmt_cfg cfg;
	const struct tvq_os *os;
	struct tvq_exec *control;
	struct tvq_platform *platform;
	struct tvq_device *dev; /* the outermost */
	struct tvq_slabs slabs; /* the devices are in them */
	uint64_t last_id;
	uint32_t devices, vqs;	   /* in use */
	struct tvq_device **areas; /* by notification page */
	uint32_t *free_areas, n_free_areas, n_areas;
	uint32_t *load; /* queues at each worker */
	/* What its network devices, nested ones too, do with their switch. */
	struct tvq_switch_user switch_user;
	uint32_t switch_slot; /* among the workers */
	uint64_t commands, errors;
	/* What drivers can make the log say, by breaking their devices again and again, is bounded. */
	uint64_t log_since; /* when the last line was granted to the budget */
	uint32_t log_budget, log_left_out;
};

/* ---- device.c: life ---- */
/* NULL: no memory. The device is NEW; resources are the caller's. */
struct tvq_device *tvq_device_new(struct tvq_root *root, const struct tvq_type *type,
				  uint64_t features, uint16_t n_vqs);
void tvq_device_free(struct tvq_device *dev);
void tvq_device_start_reset(struct tvq_device *dev);
void tvq_device_start_destroy(struct tvq_device *dev);
/* Something that a reset, destroy or command may wait for has happened. */
void tvq_device_progress(struct tvq_device *dev);
void tvq_device_needs_reset(struct tvq_device *dev, const char *why);
/* One line that says whose it is, where the owner has told a name: ids are not unique in a process
 * with several management devices. fmt is a literal. */
#define tvq_root_log(root, level, fmt, ...)                                                        \
	tvq_log((root)->os, level, "%s%s" fmt, (root)->cfg.name ? (root)->cfg.name : "",           \
		(root)->cfg.name ? ": " : "", ##__VA_ARGS__)
/* Likewise, and names the device. */
#define tvq_device_log(dev, level, fmt, ...)                                                       \
	tvq_root_log((dev)->root, level, "%s %llu (%s): " fmt,                                     \
		     (dev)->parent ? "managed device" : "management device",                       \
		     (unsigned long long)(dev)->id, (dev)->type->name, ##__VA_ARGS__)

/* A line that a driver can cause may be logged now; one in between says how many were left out. */
bool tvq_root_may_log(struct tvq_root *root);

/* ---- status.c: features, status ---- */
int tvq_device_set_features(struct tvq_device *dev, uint64_t features);
int tvq_device_set_status(struct tvq_device *dev, uint8_t status); /* 0 too */
bool tvq_features_requirements(uint64_t features, const struct tvq_type *type,
			       const struct tvq_root *root);
/* What a device of any type can offer. */
uint64_t tvq_common_features(void);
uint64_t tvq_f_trnspt_vq(const struct tvq_root *root);
uint64_t tvq_f_trnspt_vq_vdev(const struct tvq_root *root);
static inline bool tvq_device_has(const struct tvq_device *dev, unsigned int bit)
{
	return dev->accepted >> bit & 1;
}
static inline bool tvq_device_served(const struct tvq_device *dev)
{
	return (dev->status & (TVQ_S_DRIVER_OK | TVQ_S_NEEDS_RESET)) == TVQ_S_DRIVER_OK &&
	       dev->life == TVQ_LIVING;
}

/* ---- config.c ---- */
int tvq_device_config_get(const struct tvq_device *dev, uint32_t offset, uint32_t size, void *buf);
int tvq_device_config_set(struct tvq_device *dev, uint32_t offset, uint32_t size, const void *buf);
/* The device's own change: generation, and the interrupt (TQ-075, TQ-079). */
void tvq_device_config_changed(struct tvq_device *dev);

/* ---- queues ---- */
/* The queue of that index now (TQ-010, TQ-011, TQ-033); NULL: none. */
struct tvq_vq *tvq_device_vq(struct tvq_device *dev, uint32_t index);
/* The index of its transportq now; only with mgr. */
uint16_t tvq_device_transportq_index(const struct tvq_device *dev);
uint16_t tvq_device_num_vqs(const struct tvq_device *dev);

/* ---- registers.c: what buses make the outermost device's registers of ---- */
struct tvq_own_queue {
	uint16_t index, size;
	uint64_t desc, driver, device;
};
/* The largest size of a queue of the device's own; 0: no such queue. */
uint16_t tvq_device_queue_max(struct tvq_device *dev, uint16_t index);
/* Size, areas, enable (TQ-090 to TQ-095). -ENOENT: no such queue; -EPERM: before FEATURES_OK; -EBUSY:
 * it is enabled; -EINVAL, -EFAULT, -ENOMEM: see tvq_vq_enable(). */
int tvq_device_queue_start(struct tvq_device *dev, const struct tvq_own_queue *q);
/* As TQ-097; the queue's resetting is false when it is over, perhaps at the return. -ENOENT;
 * -EOPNOTSUPP: RING_RESET was not negotiated. */
int tvq_device_queue_reset(struct tvq_device *dev, uint16_t index);
void tvq_device_queues_progress(struct tvq_device *dev);
bool tvq_device_is_reset(const struct tvq_device *dev);
/* Bytes of a notification: TQ-100. */
unsigned int tvq_device_notify_width(const struct tvq_device *dev);

/* ---- manager.c: children ---- */
struct tvq_manager *tvq_manager_new(struct tvq_device *dev);
void tvq_manager_free(struct tvq_device *dev);
struct tvq_device *tvq_manager_find(const struct tvq_manager *m, uint64_t id);
void tvq_manager_unlist(struct tvq_device *child); /* not addressable any more */
void tvq_manager_remove(struct tvq_device *child); /* gone */
/* All children start to die; true where none is left. */
bool tvq_manager_destroy_children(struct tvq_manager *m);
int tvq_manager_create(struct tvq_manager *m, struct tvq_tcmd *cmd);
/* The space of that asid for a device managed by m (TQ-015, TQ-120), with a reference; NULL: none.
 */
struct tvq_space *tvq_manager_space(const struct tvq_manager *m, uint32_t asid);
/* What the manager's driver calls that space. */
uint32_t tvq_manager_asid(const struct tvq_manager *m, const struct tvq_space *s);
void tvq_manager_avail_res(const struct tvq_manager *m, struct mgmt_dev_avail_res *res);
int tvq_manager_type_get(const struct tvq_manager *m, uint32_t type,
			 struct virtio_transportq_ctrl_type *t);

/* ---- transportq.c, commands.c ---- */
extern const struct tvq_vq_ops tvq_transportq_ops;
/* Commands in flight get no used entry (TQ-055). */
void tvq_transportq_abort(struct tvq_device *dev);
/* Ends a command that waited: >= 0 in-data bytes, or -errno. */
void tvq_tcmd_done(struct tvq_tcmd *c, int result);
void tvq_lane_abort(struct tvq_lane *l);
/* A command that waits looks whether it can end. */
void tvq_tcmd_progress(struct tvq_tcmd *c);

/* ---- root.c ---- */
struct tvq_device *tvq_root_new(const struct tvq_mgmt_cfg *cfg, struct tvq_platform *platform,
				int *err);
/* The device has been reset (life LIVING, status 0) and has no child. */
/* Whether root, or the owner of the device whose switch it is, waits for an op. */
bool tvq_root_switch_busy(const struct tvq_root *root);
void tvq_root_free(struct tvq_device *dev);
struct tvq_space *tvq_device_own_space(const struct tvq_device *dev);
/* A write to the notification area (TQ-100, TQ-101, TQ-103). addr is as VQ_NOTIFY GET answers it. */
void tvq_root_notify(struct tvq_root *root, uint64_t addr, uint32_t value, unsigned int width);
/* The queue behind an area, whatever its state; NULL: none. */
struct tvq_vq *tvq_root_area_vq(struct tvq_root *root, uint64_t addr, uint16_t index);

#endif
