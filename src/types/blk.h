/* SPDX-License-Identifier: BSD-3-Clause */
/* The block device type (virtio 1.4, 5.2): shared by its configuration and its request path. */
#ifndef TVQ_TYPES_BLK_H
#define TVQ_TYPES_BLK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <tvq/volume.h>

#include "device/device_priv.h"

enum {
	BLK_F_SEG_MAX = 2,
	BLK_F_RO = 5,
	BLK_F_BLK_SIZE = 6,
	BLK_F_FLUSH = 9,
	BLK_F_TOPOLOGY = 10,
	BLK_F_CONFIG_WCE = 11,
	BLK_F_MQ = 12,
	BLK_F_DISCARD = 13,
	BLK_F_WRITE_ZEROES = 14,
};

enum {
	BLK_T_IN = 0,
	BLK_T_OUT = 1,
	BLK_T_FLUSH = 4,
	BLK_T_GET_ID = 8,
	BLK_T_DISCARD = 11,
	BLK_T_WRITE_ZEROES = 13,
};

enum { BLK_S_OK = 0, BLK_S_IOERR = 1, BLK_S_UNSUPP = 2 };

#define BLK_SEG_MAX   126		/* data segments that a driver may use */
#define BLK_CHAIN_MAX (BLK_SEG_MAX + 2) /* with header and status; longer chains are refused */

/* Largest DISCARD and WRITE_ZEROES, in sectors: what one request may keep a backend busy with. */
#define BLK_MAX_RANGE (1u << 21)

/* virtio 1.4, 5.2.4, whole (TQ-076). */
struct blk_config {
	uint64_t capacity;
	uint32_t size_max;
	uint32_t seg_max;
	uint16_t cylinders;
	uint8_t heads;
	uint8_t sectors;
	uint32_t blk_size;
	uint8_t physical_block_exp;
	uint8_t alignment_offset;
	uint16_t min_io_size;
	uint32_t opt_io_size;
	uint8_t writeback;
	uint8_t unused0;
	uint16_t num_queues;
	uint32_t max_discard_sectors;
	uint32_t max_discard_seg;
	uint32_t discard_sector_alignment;
	uint32_t max_write_zeroes_sectors;
	uint32_t max_write_zeroes_seg;
	uint8_t write_zeroes_may_unmap;
	uint8_t unused1[3];
	uint32_t max_secure_erase_sectors;
	uint32_t max_secure_erase_seg;
	uint32_t secure_erase_sector_alignment;
	uint32_t zone_sectors;
	uint32_t max_open_zones;
	uint32_t max_active_zones;
	uint32_t max_append_sectors;
	uint32_t write_granularity;
	uint8_t zone_model;
	uint8_t unused2[3];
} __attribute__((packed));

_Static_assert(sizeof(struct blk_config) == 96, "virtio 1.4, 5.2.4");
_Static_assert(sizeof(struct blk_config) <= TVQ_TYPE_CONFIG_MAX, "fits");

/* A block device's own state. */
struct blk {
	struct tvq_volume *volume; /* NULL: the outermost device, which has none */
	atomic_bool write_through; /* each write is stable before it is used */
	_Atomic uint64_t capacity; /* bytes that requests may reach: what is told, and is there */
	uint8_t writeback0;	   /* config's writeback after a reset */
	struct tvq_claim claim;
	struct tvq_device *dev;
	struct tvq_type_cfg cfg;
	void (*created)(struct tvq_device *dev, int err);
};

extern const struct tvq_vq_ops blk_vq_ops;

/* What FLUSH and the writeback field say now; on the control executor. */
void blk_update_write_through(struct tvq_device *dev);

#endif
