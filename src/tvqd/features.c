/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>

#include <json-c/json.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include <virtio_transportq.h>

#include "class.h"

#ifndef VIRTIO_F_NOTIFICATION_DATA
#define VIRTIO_F_NOTIFICATION_DATA 38
#endif

/* As the vdpa tool spells them. */
static const char *const common_names[64] = {
	[VIRTIO_RING_F_INDIRECT_DESC] = "RING_INDIRECT_DESC",
	[VIRTIO_RING_F_EVENT_IDX] = "RING_EVENT_IDX",
	[VIRTIO_F_VERSION_1] = "VERSION_1",
	[VIRTIO_F_ACCESS_PLATFORM] = "ACCESS_PLATFORM",
	[VIRTIO_F_RING_PACKED] = "RING_PACKED",
	[VIRTIO_F_IN_ORDER] = "IN_ORDER",
	[VIRTIO_F_ORDER_PLATFORM] = "ORDER_PLATFORM",
	[VIRTIO_F_SR_IOV] = "SR_IOV",
	[VIRTIO_F_NOTIFICATION_DATA] = "NOTIFICATION_DATA",
	[VIRTIO_F_RING_RESET] = "RING_RESET",
	[VIRTIO_F_TRNSPT_VQ] = "TRNSPT_VQ",
	[VIRTIO_F_TRNSPT_VQ_VDEV] = "TRNSPT_VQ_VDEV",
};

static const struct tvqd_class_ops *ops_of(uint32_t virtio_device_id)
{
	for (unsigned int i = 0; i < TVQD_CLASSES; i++) {
		if (tvqd_known_classes[i].virtio_device_id == virtio_device_id)
			return tvqd_known_classes[i].ops;
	}
	return NULL;
}

struct json_object *tvqd_feature_names(uint64_t features, uint32_t virtio_device_id)
{
	const struct tvqd_class_ops *ops = ops_of(virtio_device_id);
	struct json_object *names = json_object_new_array();

	for (unsigned int i = 0; i < 64; i++) {
		const char *name = common_names[i];
		char bit[16];

		if (!(features >> i & 1))
			continue;
		/* A type has these for itself (virtio 2.2). */
		if (i < 24 || i >= 50)
			name = ops ? ops->feature_name(i) : NULL;
		if (!name) {
			snprintf(bit, sizeof(bit), "bit_%u", i);
			name = bit;
		}
		json_object_array_add(names, json_object_new_string(name));
	}
	return names;
}
