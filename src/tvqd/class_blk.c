/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dev add ... class block.
 */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <linux/virtio_blk.h>

#include "class.h"
#include "devices.h"
#include "json.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static const struct tvqd_need needs[] = {
	{ .key = TVQD_READONLY, .bit = VIRTIO_BLK_F_RO, .feature = "RO", .what = "readonly on" },
	{ .key = TVQD_NUM_QUEUES,
	  .above = 1,
	  .bit = VIRTIO_BLK_F_MQ,
	  .implied = true,
	  .feature = "MQ",
	  .what = "num_queues above 1" },
};

static int blk_check(const struct tvqd_class *class, const struct tvqd_args *args, char *err)
{
	uint64_t n = tvqd_num(args, TVQD_NUM_QUEUES), blk_size = tvqd_num(args, TVQD_BLK_SIZE);

	if (n > class->info.max_vqs) {
		snprintf(err, TVQD_ERR_LEN, "num_queues %llu: a block device of %s has at most %u",
			 (unsigned long long)n, class->mgmt, class->info.max_vqs);
		return -EINVAL;
	}
	if (blk_size & (blk_size - 1)) {
		snprintf(err, TVQD_ERR_LEN, "blk_size %llu: expected 512, 1024, 2048 or 4096",
			 (unsigned long long)blk_size);
		return -EINVAL;
	}
	return 0;
}

static uint32_t blk_fill(struct tvqd_dev *dev, const struct tvqd_args *args,
			 union tvqd_dev_config *config)
{
	struct virtio_transportq_blk_config *c = &config->blk;
	const char *volume = tvqd_str(args, TVQD_VOLUME);

	dev->num_asked = tvqd_has(args, TVQD_NUM_QUEUES) ? (uint16_t)tvqd_num(args, TVQD_NUM_QUEUES)
							 : 1;
	*c = (struct virtio_transportq_blk_config){
		.capacity = htole64(tvqd_num(args, TVQD_CAPACITY) / TVQ_SECTOR_SIZE),
		.blk_size = htole32((uint32_t)tvqd_num(args, TVQD_BLK_SIZE)),
		.num_queues = htole16(dev->num_asked),
	};
	if (volume) {
		memcpy(c->id, volume, strlen(volume));
		memcpy(dev->volume, volume, strlen(volume) + 1);
	}
	return sizeof(*c);
}

static uint16_t blk_num_queues(uint64_t features, uint16_t num_asked)
{
	return features >> VIRTIO_BLK_F_MQ & 1 ? num_asked : 1;
}

#define FIELD(member, feature)                                                                     \
	{                                                                                          \
#member, offsetof(struct virtio_blk_config, member),                               \
			sizeof(((struct virtio_blk_config *)0)->member), feature                   \
	}

static const struct tvqd_field fields[] = {
	FIELD(capacity, -1),
	FIELD(size_max, VIRTIO_BLK_F_SIZE_MAX),
	FIELD(seg_max, VIRTIO_BLK_F_SEG_MAX),
	FIELD(blk_size, VIRTIO_BLK_F_BLK_SIZE),
	FIELD(physical_block_exp, VIRTIO_BLK_F_TOPOLOGY),
	FIELD(alignment_offset, VIRTIO_BLK_F_TOPOLOGY),
	FIELD(min_io_size, VIRTIO_BLK_F_TOPOLOGY),
	FIELD(opt_io_size, VIRTIO_BLK_F_TOPOLOGY),
	FIELD(wce, VIRTIO_BLK_F_CONFIG_WCE),
	FIELD(num_queues, VIRTIO_BLK_F_MQ),
	FIELD(max_discard_sectors, VIRTIO_BLK_F_DISCARD),
	FIELD(max_discard_seg, VIRTIO_BLK_F_DISCARD),
	FIELD(discard_sector_alignment, VIRTIO_BLK_F_DISCARD),
	FIELD(max_write_zeroes_sectors, VIRTIO_BLK_F_WRITE_ZEROES),
	FIELD(max_write_zeroes_seg, VIRTIO_BLK_F_WRITE_ZEROES),
	FIELD(write_zeroes_may_unmap, VIRTIO_BLK_F_WRITE_ZEROES),
};

static void blk_show_config(struct json_object *o, const uint8_t *config, uint64_t features)
{
	tvqd_show_fields(o, fields, ARRAY_SIZE(fields), config, features);
	tvqd_add_bool(o, "readonly", features >> VIRTIO_BLK_F_RO & 1);
}

static void blk_show_queue(struct json_object *o, uint64_t features, uint16_t num_asked,
			   uint16_t index, const struct virtio_transportq_ctrl_vdev_vq_stats *st)
{
	(void)features;
	(void)num_asked;
	(void)index;
	tvqd_add_str(o, "queue_type", "request");
	tvqd_add_num(o, "notifications", le64toh(st->notifications));
	tvqd_add_num(o, "interrupts", le64toh(st->interrupts));
	tvqd_add_num(o, "taken", le64toh(st->taken));
	tvqd_add_num(o, "used", le64toh(st->used));
}

static const char *blk_feature_name(unsigned int bit)
{
	static const char *const names[] = {
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

	return bit < ARRAY_SIZE(names) ? names[bit] : NULL;
}

const struct tvqd_class_ops tvqd_class_blk = {
	.args = TVQD_BIT(VOLUME) | TVQD_BIT(CAPACITY) | TVQD_BIT(NUM_QUEUES) | TVQD_BIT(READONLY) |
		TVQD_BIT(BLK_SIZE),
	.needs = needs,
	.n_needs = ARRAY_SIZE(needs),
	.volumes = true,
	.config_bytes = offsetof(struct virtio_blk_config, write_zeroes_may_unmap) + 1,
	.check = blk_check,
	.fill = blk_fill,
	.num_queues = blk_num_queues,
	.show_config = blk_show_config,
	.show_queue = blk_show_queue,
	.feature_name = blk_feature_name,
};
