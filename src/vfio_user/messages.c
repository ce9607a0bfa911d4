/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of messages. */
#include <stdio.h>

#include "vfio_user/internal.h"

_Static_assert(sizeof(struct vu_hdr) == 16, "a header has 16 bytes");
_Static_assert(sizeof(struct vu_version) == 4, "VERSION");
_Static_assert(sizeof(struct vu_dma_map) == 32, "DMA_MAP");
_Static_assert(sizeof(struct vu_dma_unmap) == 24, "DMA_UNMAP");
_Static_assert(sizeof(struct vu_device_info) == 16, "DEVICE_GET_INFO");
_Static_assert(sizeof(struct vu_region_info) == 32, "DEVICE_GET_REGION_INFO");
_Static_assert(sizeof(struct vu_irq_info) == 16, "DEVICE_GET_IRQ_INFO");
_Static_assert(sizeof(struct vu_irq_set) == 20, "DEVICE_SET_IRQS");
_Static_assert(sizeof(struct vu_region_rw) == 16, "REGION_READ, REGION_WRITE");
_Static_assert(sizeof(struct vu_dma_rw) == 16, "DMA_READ, DMA_WRITE");

/* clang-format off */
#define EXACT(type) sizeof(struct type), sizeof(struct type)
#define MAX_ACCESS  (sizeof(struct vu_region_rw) + VU_MAX_DATA)

/* Those that newer clients know and this version of the protocol does not have are answered with an
 * error, whatever is in them. */
#define UNSUPPORTED(name) { name, 0, MAX_ACCESS, 0, vfu_decode_none, vfu_handle_unsupported }

static const struct vfu_cmd cmds[] = {
	[VU_VERSION] = { "VERSION", sizeof(struct vu_version),
		sizeof(struct vu_version) + VU_MAX_JSON, 0, vfu_decode_version, vfu_handle_version },
	[VU_DMA_MAP] = { "DMA_MAP", EXACT(vu_dma_map), 1, vfu_decode_map, vfu_handle_map },
	[VU_DMA_UNMAP] = { "DMA_UNMAP", EXACT(vu_dma_unmap), 0, vfu_decode_unmap,
		vfu_handle_unmap },
	[VU_DEVICE_GET_INFO] = { "DEVICE_GET_INFO", EXACT(vu_device_info), 0, vfu_decode_info,
		vfu_handle_info },
	[VU_DEVICE_GET_REGION_INFO] = { "DEVICE_GET_REGION_INFO", EXACT(vu_region_info), 0,
		vfu_decode_region_info, vfu_handle_region_info },
	[VU_DEVICE_GET_REGION_IO_FDS] = UNSUPPORTED("DEVICE_GET_REGION_IO_FDS"),
	[VU_DEVICE_GET_IRQ_INFO] = { "DEVICE_GET_IRQ_INFO", EXACT(vu_irq_info), 0,
		vfu_decode_irq_info, vfu_handle_irq_info },
	[VU_DEVICE_SET_IRQS] = { "DEVICE_SET_IRQS", sizeof(struct vu_irq_set),
		sizeof(struct vu_irq_set) + TVQ_PCI_MAX_VECTORS, VU_MAX_FDS, vfu_decode_set_irqs,
		vfu_handle_set_irqs },
	[VU_REGION_READ] = { "REGION_READ", EXACT(vu_region_rw), 0, vfu_decode_read,
		vfu_handle_read },
	[VU_REGION_WRITE] = { "REGION_WRITE", sizeof(struct vu_region_rw), MAX_ACCESS, 0,
		vfu_decode_write, vfu_handle_write },
	[VU_DEVICE_RESET] = { "DEVICE_RESET", 0, 0, 0, vfu_decode_none, vfu_handle_reset },
	[VU_DIRTY_PAGES] = UNSUPPORTED("DIRTY_PAGES"),
	[15] = UNSUPPORTED("REGION_WRITE_MULTI"),
	[16] = UNSUPPORTED("DEVICE_FEATURE"),
	[17] = UNSUPPORTED("MIG_DATA_READ"),
	[18] = UNSUPPORTED("MIG_DATA_WRITE"),
};
/* clang-format on */

const struct vfu_cmd *vfu_cmd(uint16_t command)
{
	if (command >= sizeof(cmds) / sizeof(cmds[0]) || !cmds[command].name)
		return NULL;
	return &cmds[command];
}

const char *vfu_cmd_name(uint16_t command)
{
	static _Thread_local char text[16];
	const struct vfu_cmd *cmd = vfu_cmd(command);

	if (cmd)
		return cmd->name;
	snprintf(text, sizeof(text), "command %u", command);
	return text;
}
