/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The wire, pinned at compile time: size of each structure and offset of each member (TQ-001), as
 * the specification's section 4 and 5 have them. Numbers, not expressions: this is what a change
 * has to be held against. No code.
 */
#include <stddef.h>

#include <virtio_transportq.h>

#define SIZE(type, bytes) _Static_assert(sizeof(struct type) == (bytes), "size of " #type)
#define AT(type, member, offset)                                                                   \
	_Static_assert(offsetof(struct type, member) == (offset), #type "." #member)

SIZE(virtio_transportq_ctrl, 12);
AT(virtio_transportq_ctrl, device_id, 0);
AT(virtio_transportq_ctrl, class, 8);
AT(virtio_transportq_ctrl, command, 10);
AT(virtio_transportq_ctrl, command_out_data, 12);

SIZE(virtio_transportq_ctrl_vdev_attribute, 16);
AT(virtio_transportq_ctrl_vdev_attribute, virtio_device_id, 0);
AT(virtio_transportq_ctrl_vdev_attribute, asid, 4);
AT(virtio_transportq_ctrl_vdev_attribute, device_features, 8);
AT(virtio_transportq_ctrl_vdev_attribute, dev_config, 16);

SIZE(mgmt_dev_avail_res, 8);
AT(mgmt_dev_avail_res, num_avail_vqs, 0);
AT(mgmt_dev_avail_res, min_vdev_vqs, 2);
AT(mgmt_dev_avail_res, max_vdev_vqs, 4);
AT(mgmt_dev_avail_res, num_avail_vdev, 6);

SIZE(virtio_transportq_ctrl_type, 20);
AT(virtio_transportq_ctrl_type, features, 0);
AT(virtio_transportq_ctrl_type, default_features, 8);
AT(virtio_transportq_ctrl_type, max_vqs, 16);
AT(virtio_transportq_ctrl_type, max_queue_size, 18);

SIZE(virtio_transportq_ctrl_vdev_config_get, 8);
AT(virtio_transportq_ctrl_vdev_config_get, offset, 0);
AT(virtio_transportq_ctrl_vdev_config_get, size, 4);

SIZE(virtio_transportq_ctrl_vdev_config_set, 8);
AT(virtio_transportq_ctrl_vdev_config_set, offset, 0);
AT(virtio_transportq_ctrl_vdev_config_set, size, 4);
AT(virtio_transportq_ctrl_vdev_config_set, data, 8);

SIZE(virtio_transportq_ctrl_vdev_msi_vq_config, 14);
AT(virtio_transportq_ctrl_vdev_msi_vq_config, queue_index, 0);
AT(virtio_transportq_ctrl_vdev_msi_vq_config, addr, 2);
AT(virtio_transportq_ctrl_vdev_msi_vq_config, data, 10);

SIZE(virtio_transportq_ctrl_vdev_msi_vq_enable, 3);
AT(virtio_transportq_ctrl_vdev_msi_vq_enable, queue_index, 0);
AT(virtio_transportq_ctrl_vdev_msi_vq_enable, enable, 2);

SIZE(virtio_transportq_ctrl_vdev_msi_vq_mask, 3);
AT(virtio_transportq_ctrl_vdev_msi_vq_mask, queue_index, 0);
AT(virtio_transportq_ctrl_vdev_msi_vq_mask, mask, 2);

SIZE(virtio_transportq_ctrl_vdev_msi_config, 12);
AT(virtio_transportq_ctrl_vdev_msi_config, addr, 0);
AT(virtio_transportq_ctrl_vdev_msi_config, data, 8);

SIZE(virtio_transportq_ctrl_vdev_vq_addr, 26);
AT(virtio_transportq_ctrl_vdev_vq_addr, queue_index, 0);
AT(virtio_transportq_ctrl_vdev_vq_addr, device_area, 2);
AT(virtio_transportq_ctrl_vdev_vq_addr, descriptor_area, 10);
AT(virtio_transportq_ctrl_vdev_vq_addr, driver_area, 18);

SIZE(virtio_transportq_ctrl_vq_status_set, 3);
AT(virtio_transportq_ctrl_vq_status_set, queue_index, 0);
AT(virtio_transportq_ctrl_vq_status_set, status, 2);

SIZE(virtio_transportq_ctrl_vdev_vq_size_set, 4);
AT(virtio_transportq_ctrl_vdev_vq_size_set, queue_index, 0);
AT(virtio_transportq_ctrl_vdev_vq_size_set, size, 2);

SIZE(virtio_transportq_ctrl_vdev_vq_notification_area, 16);
AT(virtio_transportq_ctrl_vdev_vq_notification_area, addr, 0);
AT(virtio_transportq_ctrl_vdev_vq_notification_area, size, 8);

SIZE(virtio_transportq_ctrl_vdev_vq_avail_idx_set, 4);
AT(virtio_transportq_ctrl_vdev_vq_avail_idx_set, queue_index, 0);
AT(virtio_transportq_ctrl_vdev_vq_avail_idx_set, avail_idx, 2);
AT(virtio_transportq_ctrl_vdev_vq_avail_idx_set, used_idx, 4);

SIZE(virtio_transportq_ctrl_vdev_vq_asid, 6);
AT(virtio_transportq_ctrl_vdev_vq_asid, queue_index, 0);
AT(virtio_transportq_ctrl_vdev_vq_asid, asid, 2);

SIZE(virtio_transportq_ctrl_vdev_vq_inflight, 18);
AT(virtio_transportq_ctrl_vdev_vq_inflight, queue_index, 0);
AT(virtio_transportq_ctrl_vdev_vq_inflight, asid, 2);
AT(virtio_transportq_ctrl_vdev_vq_inflight, addr, 6);
AT(virtio_transportq_ctrl_vdev_vq_inflight, size, 14);

SIZE(virtio_transportq_ctrl_vdev_vq_stats, 64);
AT(virtio_transportq_ctrl_vdev_vq_stats, notifications, 0);
AT(virtio_transportq_ctrl_vdev_vq_stats, interrupts, 8);
AT(virtio_transportq_ctrl_vdev_vq_stats, taken, 16);
AT(virtio_transportq_ctrl_vdev_vq_stats, used, 24);
AT(virtio_transportq_ctrl_vdev_vq_stats, bytes_read, 32);
AT(virtio_transportq_ctrl_vdev_vq_stats, bytes_written, 40);
AT(virtio_transportq_ctrl_vdev_vq_stats, errors, 48);
AT(virtio_transportq_ctrl_vdev_vq_stats, drops, 56);

SIZE(virtio_transportq_net_config, 12);
AT(virtio_transportq_net_config, mac, 0);
AT(virtio_transportq_net_config, status, 6);
AT(virtio_transportq_net_config, max_virtqueue_pairs, 8);
AT(virtio_transportq_net_config, mtu, 10);

SIZE(virtio_transportq_blk_config, 56);
AT(virtio_transportq_blk_config, capacity, 0);
AT(virtio_transportq_blk_config, size_max, 8);
AT(virtio_transportq_blk_config, seg_max, 12);
AT(virtio_transportq_blk_config, cylinders, 16);
AT(virtio_transportq_blk_config, heads, 18);
AT(virtio_transportq_blk_config, sectors, 19);
AT(virtio_transportq_blk_config, blk_size, 20);
AT(virtio_transportq_blk_config, physical_block_exp, 24);
AT(virtio_transportq_blk_config, alignment_offset, 25);
AT(virtio_transportq_blk_config, min_io_size, 26);
AT(virtio_transportq_blk_config, opt_io_size, 28);
AT(virtio_transportq_blk_config, wce, 32);
AT(virtio_transportq_blk_config, unused, 33);
AT(virtio_transportq_blk_config, num_queues, 34);
AT(virtio_transportq_blk_config, id, 36);

SIZE(virtio_transportq_pci_msi_cap, 16);
AT(virtio_transportq_pci_msi_cap, cap_vndr, 0);
AT(virtio_transportq_pci_msi_cap, cap_next, 1);
AT(virtio_transportq_pci_msi_cap, cap_len, 2);
AT(virtio_transportq_pci_msi_cap, cfg_type, 3);
AT(virtio_transportq_pci_msi_cap, vendor_id, 4);
AT(virtio_transportq_pci_msi_cap, bar, 6);
AT(virtio_transportq_pci_msi_cap, padding, 7);
AT(virtio_transportq_pci_msi_cap, magic, 8);
AT(virtio_transportq_pci_msi_cap, offset, 12);
