// SPDX-License-Identifier: GPL-2.0-only
/*
 * The commands' encoders and decoders, after include/virtio_transportq.h. An answer is copied out
 * of the memory that the device wrote exactly once.
 */
#include <linux/unaligned.h>

#include <virtio_transportq.h>

#include "tvq_seq.h"

#define CMD(class, command)                                                                        \
	(VIRTIO_TRANSPTQ_CTRL_##class << 16 | VIRTIO_TRANSPTQ_CTRL_##class##_##command)

/* The names, by the table of commands that all of tvq shares. */
static const struct {
	u32 code;
	const char *name;
} names[] = {
#define C(class, command, ...) { CMD(class, command), #class " " #command },
#include <tvq/commands.def>
#undef C
};

const char *tvq_cmd_name(const struct tvq_cmd *cmd)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (names[i].code == cmd->code)
			return names[i].name;
	return "command";
}

static struct tvq_cmd *of_queue(struct tvq_cmd *cmd, u16 q)
{
	if (cmd)
		cmd->queue = q;
	return cmd;
}

/* A command whose out-data is the queue's index. */
static struct tvq_cmd *ask_queue(struct tvq_batch *b, u64 id, u32 code, u16 q, u32 in_len)
{
	__le16 v = cpu_to_le16(q);

	return of_queue(tvq_batch_add(b, id, code, &v, sizeof(v), in_len), q);
}

struct tvq_cmd *tvq_seq_avail_res(struct tvq_batch *b)
{
	return tvq_batch_add(b, 0, CMD(AVAIL_RES, GET), NULL, 0, sizeof(struct mgmt_dev_avail_res));
}

struct tvq_cmd *tvq_seq_type(struct tvq_batch *b, u32 virtio_id)
{
	__le32 v = cpu_to_le32(virtio_id);

	return tvq_batch_add(b, 0, CMD(AVAIL_RES, TYPE_GET), &v, sizeof(v),
			     sizeof(struct virtio_transportq_ctrl_type));
}

struct tvq_cmd *tvq_seq_create(struct tvq_batch *b, u32 virtio_id, u64 features, const void *config,
			       u32 config_len)
{
	struct {
		struct virtio_transportq_ctrl_vdev_attribute attr;
		u8 config[sizeof(struct virtio_transportq_blk_config)];
	} v = {
		.attr.virtio_device_id = cpu_to_le32(virtio_id),
		.attr.device_features = cpu_to_le64(features),
	};

	if (WARN_ON(config_len > sizeof(v.config)))
		return NULL;
	memcpy(v.config, config, config_len);
	return tvq_batch_add(b, 0, CMD(VDEV, CREATE), &v, sizeof(v.attr) + config_len,
			     sizeof(__le64));
}

struct tvq_cmd *tvq_seq_destroy(struct tvq_batch *b, u64 id)
{
	return tvq_batch_add(b, id, CMD(VDEV, DESTROY), NULL, 0, 0);
}

struct tvq_cmd *tvq_seq_features_get(struct tvq_batch *b, u64 id)
{
	return tvq_batch_add(b, id, CMD(FEAT, DEVICE_GET), NULL, 0, sizeof(__le64));
}

struct tvq_cmd *tvq_seq_features_set(struct tvq_batch *b, u64 id, u64 features)
{
	__le64 v = cpu_to_le64(features);

	return tvq_batch_add(b, id, CMD(FEAT, DRIVER_SET), &v, sizeof(v), 0);
}

struct tvq_cmd *tvq_seq_status_set(struct tvq_batch *b, u64 id, u8 status)
{
	return tvq_batch_add(b, id, CMD(STATUS, SET), &status, sizeof(status), 0);
}

struct tvq_cmd *tvq_seq_status_get(struct tvq_batch *b, u64 id)
{
	return tvq_batch_add(b, id, CMD(STATUS, GET), NULL, 0, sizeof(u8));
}

struct tvq_cmd *tvq_seq_generation(struct tvq_batch *b, u64 id)
{
	return tvq_batch_add(b, id, CMD(GENERATION, GET), NULL, 0, sizeof(__le32));
}

struct tvq_cmd *tvq_seq_config_get(struct tvq_batch *b, u64 id, u32 offset, u32 size)
{
	struct virtio_transportq_ctrl_vdev_config_get v = {
		.offset = cpu_to_le32(offset),
		.size = cpu_to_le32(size),
	};

	return tvq_batch_add(b, id, CMD(CONFIG, GET), &v, sizeof(v), size);
}

struct tvq_cmd *tvq_seq_config_set(struct tvq_batch *b, u64 id, u32 offset, const void *buf,
				   u32 size)
{
	struct {
		struct virtio_transportq_ctrl_vdev_config_set set;
		u8 data[64];
	} v = {
		.set.offset = cpu_to_le32(offset),
		.set.size = cpu_to_le32(size),
	};

	if (size > sizeof(v.data)) {
		b->err = -E2BIG;
		return NULL;
	}
	memcpy(v.data, buf, size);
	return tvq_batch_add(b, id, CMD(CONFIG, SET), &v, sizeof(v.set) + size, 0);
}

struct tvq_cmd *tvq_seq_msi_config_set(struct tvq_batch *b, u64 id, u64 addr, u32 data)
{
	struct virtio_transportq_ctrl_vdev_msi_config v = {
		.addr = cpu_to_le64(addr),
		.data = cpu_to_le32(data),
	};

	return tvq_batch_add(b, id, CMD(MSI, CONFIG_SET), &v, sizeof(v), 0);
}

struct tvq_cmd *tvq_seq_msi_config_enable(struct tvq_batch *b, u64 id, u8 enable)
{
	return tvq_batch_add(b, id, CMD(MSI, CONFIG_ENABLE), &enable, sizeof(enable), 0);
}

struct tvq_cmd *tvq_seq_msi_vq_set(struct tvq_batch *b, u64 id, u16 q, u64 addr, u32 data)
{
	struct virtio_transportq_ctrl_vdev_msi_vq_config v = {
		.queue_index = cpu_to_le16(q),
		.addr = cpu_to_le64(addr),
		.data = cpu_to_le32(data),
	};

	return of_queue(tvq_batch_add(b, id, CMD(MSI, VQ_SET), &v, sizeof(v), 0), q);
}

struct tvq_cmd *tvq_seq_msi_vq_enable(struct tvq_batch *b, u64 id, u16 q, u8 enable)
{
	struct virtio_transportq_ctrl_vdev_msi_vq_enable v = {
		.queue_index = cpu_to_le16(q),
		.enable = enable,
	};

	return of_queue(tvq_batch_add(b, id, CMD(MSI, VQ_ENABLE), &v, sizeof(v), 0), q);
}

struct tvq_cmd *tvq_seq_vq_size_get(struct tvq_batch *b, u64 id, u16 q)
{
	return ask_queue(b, id, CMD(VQ_SIZE, GET), q, sizeof(__le16));
}

struct tvq_cmd *tvq_seq_vq_size_set(struct tvq_batch *b, u64 id, u16 q, u16 size)
{
	struct virtio_transportq_ctrl_vdev_vq_size_set v = {
		.queue_index = cpu_to_le16(q),
		.size = cpu_to_le16(size),
	};

	return of_queue(tvq_batch_add(b, id, CMD(VQ_SIZE, SET), &v, sizeof(v), 0), q);
}

struct tvq_cmd *tvq_seq_vq_notify(struct tvq_batch *b, u64 id, u16 q)
{
	return ask_queue(b, id, CMD(VQ_NOTIFY, GET), q,
			 sizeof(struct virtio_transportq_ctrl_vdev_vq_notification_area));
}

struct tvq_cmd *tvq_seq_vq_addr(struct tvq_batch *b, u64 id, u16 q, u64 desc, u64 driver,
				u64 device)
{
	struct virtio_transportq_ctrl_vdev_vq_addr v = {
		.queue_index = cpu_to_le16(q),
		.device_area = cpu_to_le64(device),
		.descriptor_area = cpu_to_le64(desc),
		.driver_area = cpu_to_le64(driver),
	};

	return of_queue(tvq_batch_add(b, id, CMD(VQ_ADDR, SET), &v, sizeof(v), 0), q);
}

struct tvq_cmd *tvq_seq_vq_enable(struct tvq_batch *b, u64 id, u16 q, u8 enable)
{
	struct virtio_transportq_ctrl_vq_status_set v = {
		.queue_index = cpu_to_le16(q),
		.status = enable,
	};

	return of_queue(tvq_batch_add(b, id, CMD(VQ_ENABLE, SET), &v, sizeof(v), 0), q);
}

/* TQ-110: 15 bits of index, and the wrap counter in bit 15. */
static u16 packed_index(u16 index, u16 wrap)
{
	return (index & 0x7fff) | (wrap ? 0x8000 : 0);
}

struct tvq_cmd *tvq_seq_vq_index_set(struct tvq_batch *b, u64 id, u16 q, bool packed,
				     const struct vdpa_vq_state *s)
{
	__le16 v[3] = { cpu_to_le16(q), cpu_to_le16(s->split.avail_index) };

	if (packed) {
		v[1] = cpu_to_le16(
			packed_index(s->packed.last_avail_idx, s->packed.last_avail_counter));
		v[2] = cpu_to_le16(
			packed_index(s->packed.last_used_idx, s->packed.last_used_counter));
	}
	return of_queue(tvq_batch_add(b, id, CMD(VQ_AVAIL_INDEX, SET), v, packed ? 6 : 4, 0), q);
}

struct tvq_cmd *tvq_seq_vq_index_get(struct tvq_batch *b, u64 id, u16 q, bool packed)
{
	return ask_queue(b, id, CMD(VQ_AVAIL_INDEX, GET), q, packed ? 4 : 2);
}

struct tvq_cmd *tvq_seq_vq_stats(struct tvq_batch *b, u64 id, u16 q)
{
	struct tvq_cmd *cmd = ask_queue(b, id, CMD(VQ_STATS, GET), q,
					sizeof(struct virtio_transportq_ctrl_vdev_vq_stats));

	if (cmd)
		cmd->fewer = true;
	return cmd;
}

static bool has(const struct tvq_cmd *cmd, u32 bytes)
{
	return cmd && cmd->finished && !cmd->err && cmd->got >= bytes;
}

u8 tvq_cmd_u8(const struct tvq_cmd *cmd)
{
	return has(cmd, 1) ? READ_ONCE(*(const u8 *)tvq_cmd_in(cmd)) : 0;
}

u16 tvq_cmd_u16(const struct tvq_cmd *cmd)
{
	return has(cmd, 2) ? get_unaligned_le16(tvq_cmd_in(cmd)) : 0;
}

u32 tvq_cmd_u32(const struct tvq_cmd *cmd)
{
	return has(cmd, 4) ? get_unaligned_le32(tvq_cmd_in(cmd)) : 0;
}

u64 tvq_cmd_u64(const struct tvq_cmd *cmd)
{
	return has(cmd, 8) ? get_unaligned_le64(tvq_cmd_in(cmd)) : 0;
}

void tvq_cmd_copy(const struct tvq_cmd *cmd, void *buf, u32 len)
{
	u32 n = cmd && cmd->finished && !cmd->err ? min(len, cmd->got) : 0;

	if (n)
		memcpy(buf, tvq_cmd_in(cmd), n);
	memset(buf + n, 0, len - n);
}

void tvq_cmd_index(const struct tvq_cmd *cmd, bool packed, struct vdpa_vq_state *s)
{
	__le16 v[2];
	u16 avail, used;

	tvq_cmd_copy(cmd, v, sizeof(v));
	avail = le16_to_cpu(v[0]);
	used = le16_to_cpu(v[1]);
	if (!packed) {
		s->split.avail_index = avail;
		return;
	}
	s->packed.last_avail_idx = avail & 0x7fff;
	s->packed.last_avail_counter = avail >> 15;
	s->packed.last_used_idx = used & 0x7fff;
	s->packed.last_used_counter = used >> 15;
}
