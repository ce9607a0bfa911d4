/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The commands of a sequence: one function each. Class, command and lengths come from the table of
 * commands, the layout from virtio_transportq.h; sizes that differ are a compile-time error (layout
 * checks in wire/format.c).
 */
#include <endian.h>
#include <string.h>

#include "seq_priv.h"

/* A command whose lengths are fixed by the table. */
static struct tvq_seq_cmd *fixed(struct tvq_seq *s, enum tvq_command_id id)
{
	return tvq_seq_add(s, id, tvq_commands[id].out_len, tvq_commands[id].in_len);
}

/* Its out-data; the lengths agree by the checks above. */
#define OUT(sc, layout) memcpy((sc)->data, &(layout), sizeof(layout))

static void put(struct tvq_seq *s, enum tvq_command_id id, const void *out, uint32_t len)
{
	struct tvq_seq_cmd *sc = tvq_seq_add(s, id, len, 0);

	if (sc && len)
		memcpy(sc->data, out, len);
}

/* A command that answers with something, with or without a queue's index before. */
static struct tvq_seq_cmd *get(struct tvq_seq *s, enum tvq_command_id id, enum tvq_seq_decode how,
			       void *dst)
{
	struct tvq_seq_cmd *sc = fixed(s, id);

	if (sc) {
		sc->decode = how;
		sc->dst = dst;
	}
	return sc;
}

static struct tvq_seq_cmd *get_q(struct tvq_seq *s, enum tvq_command_id id, uint16_t q,
				 enum tvq_seq_decode how, void *dst)
{
	struct tvq_seq_cmd *sc = get(s, id, how, dst);
	__le16 index = htole16(q);

	if (sc)
		OUT(sc, index);
	return sc;
}

void tvq_seq_status_set(struct tvq_seq *s, uint8_t status)
{
	put(s, TVQ_COMMAND_status_set, &status, sizeof(status));
}

void tvq_seq_status_get(struct tvq_seq *s, uint8_t *status)
{
	get(s, TVQ_COMMAND_status_get, TVQ_SEQ_INT, status);
}

void tvq_seq_features_get(struct tvq_seq *s, uint64_t *features)
{
	get(s, TVQ_COMMAND_feat_device_get, TVQ_SEQ_INT, features);
}

void tvq_seq_driver_features_get(struct tvq_seq *s, uint64_t *features)
{
	get(s, TVQ_COMMAND_feat_driver_get, TVQ_SEQ_INT, features);
}

void tvq_seq_features_set(struct tvq_seq *s, uint64_t features)
{
	__le64 v = htole64(features);

	put(s, TVQ_COMMAND_feat_driver_set, &v, sizeof(v));
}

void tvq_seq_generation_get(struct tvq_seq *s, uint32_t *generation)
{
	get(s, TVQ_COMMAND_generation_get, TVQ_SEQ_INT, generation);
}

void tvq_seq_config_get(struct tvq_seq *s, uint32_t offset, uint32_t size, void *buf)
{
	struct virtio_transportq_ctrl_vdev_config_get v = {
		.offset = htole32(offset),
		.size = htole32(size),
	};
	struct tvq_seq_cmd *sc = tvq_seq_add(s, TVQ_COMMAND_config_get, sizeof(v), size);

	if (!sc)
		return;
	OUT(sc, v);
	sc->decode = TVQ_SEQ_BYTES;
	sc->dst = buf;
}

void tvq_seq_config_set(struct tvq_seq *s, uint32_t offset, uint32_t size, const void *buf)
{
	struct virtio_transportq_ctrl_vdev_config_set v = {
		.offset = htole32(offset),
		.size = htole32(size),
	};
	struct tvq_seq_cmd *sc = tvq_seq_add(s, TVQ_COMMAND_config_set, sizeof(v) + size, 0);

	if (!sc)
		return;
	OUT(sc, v);
	if (size)
		memcpy(sc->data + sizeof(v), buf, size);
}

void tvq_seq_msi_vq_set(struct tvq_seq *s, uint16_t q, uint64_t addr, uint32_t data)
{
	struct virtio_transportq_ctrl_vdev_msi_vq_config v = {
		.queue_index = htole16(q),
		.addr = htole64(addr),
		.data = htole32(data),
	};

	put(s, TVQ_COMMAND_msi_vq_set, &v, sizeof(v));
}

void tvq_seq_msi_vq_enable(struct tvq_seq *s, uint16_t q, uint8_t enable)
{
	struct virtio_transportq_ctrl_vdev_msi_vq_enable v = {
		.queue_index = htole16(q),
		.enable = enable,
	};

	put(s, TVQ_COMMAND_msi_vq_enable, &v, sizeof(v));
}

void tvq_seq_msi_vq_mask(struct tvq_seq *s, uint16_t q, uint8_t mask)
{
	struct virtio_transportq_ctrl_vdev_msi_vq_mask v = {
		.queue_index = htole16(q),
		.mask = mask,
	};

	put(s, TVQ_COMMAND_msi_vq_mask, &v, sizeof(v));
}

void tvq_seq_msi_config_set(struct tvq_seq *s, uint64_t addr, uint32_t data)
{
	struct virtio_transportq_ctrl_vdev_msi_config v = {
		.addr = htole64(addr),
		.data = htole32(data),
	};

	put(s, TVQ_COMMAND_msi_config_set, &v, sizeof(v));
}

void tvq_seq_msi_config_enable(struct tvq_seq *s, uint8_t enable)
{
	put(s, TVQ_COMMAND_msi_config_enable, &enable, sizeof(enable));
}

void tvq_seq_msi_config_mask(struct tvq_seq *s, uint8_t mask)
{
	put(s, TVQ_COMMAND_msi_config_mask, &mask, sizeof(mask));
}

void tvq_seq_vq_addr(struct tvq_seq *s, uint16_t q, uint64_t desc, uint64_t driver, uint64_t device)
{
	struct virtio_transportq_ctrl_vdev_vq_addr v = {
		.queue_index = htole16(q),
		.device_area = htole64(device),
		.descriptor_area = htole64(desc),
		.driver_area = htole64(driver),
	};

	put(s, TVQ_COMMAND_vq_addr_set, &v, sizeof(v));
}

void tvq_seq_vq_enable(struct tvq_seq *s, uint16_t q, uint8_t enable)
{
	struct virtio_transportq_ctrl_vq_status_set v = {
		.queue_index = htole16(q),
		.status = enable,
	};

	put(s, TVQ_COMMAND_vq_enable_set, &v, sizeof(v));
}

void tvq_seq_vq_enable_get(struct tvq_seq *s, uint16_t q, uint8_t *enabled)
{
	get_q(s, TVQ_COMMAND_vq_enable_get, q, TVQ_SEQ_INT, enabled);
}

void tvq_seq_vq_size_set(struct tvq_seq *s, uint16_t q, uint16_t size)
{
	struct virtio_transportq_ctrl_vdev_vq_size_set v = {
		.queue_index = htole16(q),
		.size = htole16(size),
	};

	put(s, TVQ_COMMAND_vq_size_set, &v, sizeof(v));
}

void tvq_seq_vq_size_get(struct tvq_seq *s, uint16_t q, uint16_t *size)
{
	get_q(s, TVQ_COMMAND_vq_size_get, q, TVQ_SEQ_INT, size);
}

void tvq_seq_vq_notify_get(struct tvq_seq *s, uint16_t q, uint64_t *addr, uint64_t *size)
{
	struct tvq_seq_cmd *sc = get_q(s, TVQ_COMMAND_vq_notify_get, q, TVQ_SEQ_AREA, addr);

	if (sc)
		sc->dst2 = size;
}

void tvq_seq_vq_index_set(struct tvq_seq *s, uint16_t q, bool packed, uint16_t avail, uint16_t used)
{
	__le16 v[3] = { htole16(q), htole16(avail), htole16(used) };

	put(s, TVQ_COMMAND_vq_index_set, v, packed ? 6 : 4);
}

void tvq_seq_vq_index_get(struct tvq_seq *s, uint16_t q, bool packed, uint16_t *avail,
			  uint16_t *used)
{
	struct tvq_seq_cmd *sc = tvq_seq_add(s, TVQ_COMMAND_vq_index_get, 2, packed ? 4 : 2);
	__le16 index = htole16(q);

	if (!sc)
		return;
	OUT(sc, index);
	sc->decode = TVQ_SEQ_INDEX;
	sc->dst = avail;
	sc->dst2 = used;
}

void tvq_seq_vq_reset(struct tvq_seq *s, uint16_t q)
{
	__le16 v = htole16(q);

	put(s, TVQ_COMMAND_vq_reset_set, &v, sizeof(v));
}

void tvq_seq_vq_asid_set(struct tvq_seq *s, uint16_t q, uint32_t asid)
{
	struct virtio_transportq_ctrl_vdev_vq_asid v = {
		.queue_index = htole16(q),
		.asid = htole32(asid),
	};

	put(s, TVQ_COMMAND_vq_asid_set, &v, sizeof(v));
}

void tvq_seq_vq_asid_get(struct tvq_seq *s, uint16_t q, uint32_t *asid)
{
	get_q(s, TVQ_COMMAND_vq_asid_get, q, TVQ_SEQ_INT, asid);
}

void tvq_seq_vq_inflight(struct tvq_seq *s, uint16_t q, uint32_t asid, uint64_t addr, uint32_t size)
{
	struct virtio_transportq_ctrl_vdev_vq_inflight v = {
		.queue_index = htole16(q),
		.asid = htole32(asid),
		.addr = htole64(addr),
		.size = htole32(size),
	};

	put(s, TVQ_COMMAND_vq_inflight_set, &v, sizeof(v));
}

void tvq_seq_vq_stats(struct tvq_seq *s, uint16_t q,
		      struct virtio_transportq_ctrl_vdev_vq_stats *st)
{
	memset(st, 0, sizeof(*st));
	get_q(s, TVQ_COMMAND_vq_stats_get, q, TVQ_SEQ_STATS, st);
}

void tvq_seq_destroy_device(struct tvq_seq *s)
{
	put(s, TVQ_COMMAND_destroy, NULL, 0);
}
