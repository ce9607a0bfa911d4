/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The vfio-user protocol, version 0.0, as QEMU's docs/interop/vfio-user.rst describes it: what is on
 * the wire, in the byte order of the host (both ends are on one machine). Used by the server
 * (src/vfio_user) and by the client (src/bus/vfio_user*).
 */
#ifndef TVQ_VFIO_USER_PROTO_H
#define TVQ_VFIO_USER_PROTO_H

#include <stdint.h>

#define VU_MAJOR 0
#define VU_MINOR 0

enum vu_command {
	VU_VERSION = 1,
	VU_DMA_MAP = 2,
	VU_DMA_UNMAP = 3,
	VU_DEVICE_GET_INFO = 4,
	VU_DEVICE_GET_REGION_INFO = 5,
	VU_DEVICE_GET_REGION_IO_FDS = 6,
	VU_DEVICE_GET_IRQ_INFO = 7,
	VU_DEVICE_SET_IRQS = 8,
	VU_REGION_READ = 9,
	VU_REGION_WRITE = 10,
	VU_DMA_READ = 11,
	VU_DMA_WRITE = 12,
	VU_DEVICE_RESET = 13,
	VU_DIRTY_PAGES = 14,
};

/* struct vu_hdr.flags */
#define VU_TYPE_MASK 0xfu
#define VU_REQUEST   0x0u
#define VU_REPLY     0x1u
#define VU_NO_REPLY  0x10u
#define VU_ERROR     0x20u /* a reply: error holds an errno, and no data follows */

struct vu_hdr {
	uint16_t id;
	uint16_t command;
	uint32_t size; /* bytes of the whole message, this header included */
	uint32_t flags;
	uint32_t error;
};

/* VERSION: then a NUL-terminated JSON text, "{"capabilities":{...}}", or nothing. */
struct vu_version {
	uint16_t major;
	uint16_t minor;
};

#define VU_DMA_READABLE 1u
#define VU_DMA_WRITABLE 2u
struct vu_dma_map {
	uint32_t argsz; /* of this structure */
	uint32_t flags;
	uint64_t offset; /* in the descriptor that comes with the message, if one does */
	uint64_t addr;
	uint64_t size;
};

#define VU_UNMAP_DIRTY_BITMAP 1u
#define VU_UNMAP_ALL	      2u
struct vu_dma_unmap {
	uint32_t argsz;
	uint32_t flags;
	uint64_t addr;
	uint64_t size;
};

#define VU_DEVICE_FLAGS_RESET 1u
#define VU_DEVICE_FLAGS_PCI   2u
struct vu_device_info {
	uint32_t argsz;
	uint32_t flags;
	uint32_t num_regions;
	uint32_t num_irqs;
};

/* Regions: 0 to 5 the BARs, then */
enum { VU_REGION_ROM = 6, VU_REGION_CONFIG = 7, VU_REGION_VGA = 8, VU_REGIONS = 9 };

#define VU_REGION_F_READ  1u
#define VU_REGION_F_WRITE 2u
#define VU_REGION_F_MMAP  4u
#define VU_REGION_F_CAPS  8u
struct vu_region_info {
	uint32_t argsz;
	uint32_t flags;
	uint32_t index;
	uint32_t cap_offset;
	uint64_t size;
	uint64_t offset;
};

enum { VU_IRQ_INTX, VU_IRQ_MSI, VU_IRQ_MSIX, VU_IRQ_ERR, VU_IRQ_REQ, VU_IRQS };

#define VU_IRQ_EVENTFD	  1u
#define VU_IRQ_MASKABLE	  2u
#define VU_IRQ_AUTOMASKED 4u
#define VU_IRQ_NORESIZE	  8u
struct vu_irq_info {
	uint32_t argsz;
	uint32_t flags;
	uint32_t index;
	uint32_t count;
};

#define VU_SET_DATA_NONE      1u
#define VU_SET_DATA_BOOL      2u
#define VU_SET_DATA_EVENTFD   4u
#define VU_SET_ACTION_MASK    8u
#define VU_SET_ACTION_UNMASK  16u
#define VU_SET_ACTION_TRIGGER 32u
/* With DATA_BOOL count bytes follow; with DATA_EVENTFD count descriptors come along, or none: -1 for each. */
struct vu_irq_set {
	uint32_t argsz;
	uint32_t flags;
	uint32_t index;
	uint32_t start;
	uint32_t count;
};

/* REGION_READ, REGION_WRITE; DMA_READ, DMA_WRITE (the device asks, the client answers). Data
 * follows a write and a read's reply. */
struct vu_region_rw {
	uint64_t offset;
	uint32_t region;
	uint32_t count;
};

struct vu_dma_rw {
	uint64_t addr;
	uint64_t count;
};

#define VU_MAX_DATA    65536u /* bytes of one access that we make or take: max_data_xfer_size */
#define VU_MAX_FDS     16u    /* descriptors of one message: max_msg_fds */
#define VU_MAX_JSON    4096u
#define VU_SPACE_SHIFT 48 /* TQ-123: space k is [k << 48, (k + 1) << 48) */

#endif
