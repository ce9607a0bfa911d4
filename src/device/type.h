/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device type, as the device layer sees it: one constant table for each in src/types.
 */
#ifndef TVQ_DEVICE_TYPE_H
#define TVQ_DEVICE_TYPE_H

#include <stdbool.h>
#include <stdint.h>

#define TVQ_TYPE_CONFIG_MAX 128

struct tvq_device;
struct tvq_mgmt_cfg;
struct tvq_port;
struct tvq_vq_ops;

/* What CREATE asks for, checked by the type's parse(). */
struct tvq_type_cfg {
	uint64_t features;	/* final: what the device will offer */
	uint16_t n_queues;	/* without the transportq */
	uint8_t dev_config[64]; /* as received */
	uint32_t dev_config_len;
};

struct tvq_type {
	uint32_t virtio_id;
	const char *name;  /* "block" */
	uint64_t features; /* of the type's own: all that it can offer */
	uint64_t default_features;
	uint32_t config_len; /* of virtio's whole structure (TQ-076) */
	/* What the queue of that index does, as the accepted features say: the same index can be a
	 * receiveq or the controlq (virtio 5.1.2). */
	const struct tvq_vq_ops *(*vq_ops)(const struct tvq_device *dev, uint16_t index);

	/* dev_config of CREATE (section 5): n_queues, and features where the default was asked for.
	 * -EINVAL, -ENOSPC. No side effect. */
	int (*parse)(const struct tvq_mgmt_cfg *mgmt, struct tvq_type_cfg *cfg,
		     bool default_features);
	/* Queues that the accepted (or offered, before FEATURES_OK) features allow, without the
	 * transportq. */
	uint16_t (*num_queues)(const struct tvq_device *dev, uint64_t features);
	/* Where its transportq is, given that number (TQ-010, TQ-011). */
	uint16_t (*transportq)(uint16_t num_queues);
	/* Which bits need which: true where features can work together (TQ-051, TQ-069). */
	bool (*features_ok)(uint64_t features);
	/* Gets what the device needs and fills dev->config; done(dev, err) once, perhaps at once.
	 */
	void (*create)(struct tvq_device *dev, const struct tvq_type_cfg *cfg,
		       void (*done)(struct tvq_device *dev, int err));
	/* Gives it back; also after a create that failed. No request is under way. */
	void (*destroy)(struct tvq_device *dev);
	/* The device has been reset: configuration fields that the driver set. */
	void (*reset)(struct tvq_device *dev);
	/* Optional. What reset() has begun elsewhere is not over: the device's status is not 0 yet
	 * (TQ-065). The type calls tvq_device_progress() when it is. */
	bool (*reset_busy)(const struct tvq_device *dev);
	/* Features were accepted (FEATURES_OK). */
	void (*features_set)(struct tvq_device *dev);
	/* The driver writes [offset, offset + size) of the configuration: 0, or -EPERM and nothing
	 * changed (TQ-078). */
	int (*config_set)(struct tvq_device *dev, uint32_t offset, uint32_t size,
			  const uint8_t *buf);
	/* Optional: the volume behind the device, TVQ_VOLUME_ID_LEN bytes; NULL: none. */
	const uint8_t *(*volume)(const struct tvq_device *dev);
	/* Optional: the device's port of the switch; NULL while it has none. Its life: the device's,
	 * but on the switch's worker only. */
	struct tvq_port *(*port)(const struct tvq_device *dev);
	/* Optional: the owner's link change, announcement (tvq/device.h). */
	int (*set_link)(struct tvq_device *dev, bool up);
	int (*announce)(struct tvq_device *dev);
	/* Optional: the owner's resize. */
	int (*resize)(struct tvq_device *dev, uint64_t capacity);
};

/* The types that this library has; NULL: not that one. */
const struct tvq_type *tvq_type_find(uint32_t virtio_id);
/* Queue sizes are bounded by the device, not the type. */

#endif
