/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>

#include <json-c/json.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include <virtio_transportq.h>
#include <tvq/device.h>

#include "mgmt.h"

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

static const char *const blk_names[24] = {
	[VIRTIO_BLK_F_SIZE_MAX] = "SIZE_MAX",
	[VIRTIO_BLK_F_SEG_MAX] = "SEG_MAX",
	[VIRTIO_BLK_F_GEOMETRY] = "GEOMETRY",
	[VIRTIO_BLK_F_RO] = "RO",
	[VIRTIO_BLK_F_BLK_SIZE] = "BLK_SIZE",
	[VIRTIO_BLK_F_FLUSH] = "FLUSH",
	[VIRTIO_BLK_F_TOPOLOGY] = "TOPOLOGY",
	[VIRTIO_BLK_F_CONFIG_WCE] = "CONFIG_WCE",
	[VIRTIO_BLK_F_MQ] = "MQ",
	[VIRTIO_BLK_F_DISCARD] = "DISCARD",
	[VIRTIO_BLK_F_WRITE_ZEROES] = "WRITE_ZEROES",
	[VIRTIO_BLK_F_SECURE_ERASE] = "SECURE_ERASE",
};

struct json_object *tvqd_feature_names(uint64_t features, uint32_t virtio_device_id)
{
	struct json_object *names = json_object_new_array();

	for (unsigned int i = 0; i < 64; i++) {
		const char *name = common_names[i];
		char bit[16];

		if (!(features >> i & 1))
			continue;
		if (i < 24)
			name = virtio_device_id == TVQ_TYPE_BLK ? blk_names[i] : NULL;
		if (!name) {
			snprintf(bit, sizeof(bit), "bit_%u", i);
			name = bit;
		}
		json_object_array_add(names, json_object_new_string(name));
	}
	return names;
}
