/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The fields of each command's data, for the tracer and reports: F(X, suffix, DIR, name, offset,
 * width, SHOW), where suffix is the command's in tvq/commands.def, DIR is OUT or IN, and X is
 * passed through. Names, offsets and widths come from the structures of virtio_transportq.h;
 * format.c asserts that the fields of a command whose length is fixed fill it.
 */
#ifndef TVQ_WIRE_FIELDS_H
#define TVQ_WIRE_FIELDS_H

/* clang-format off */
#define TVQ_MEMBER(type, m) offsetof(struct type, m), sizeof(((struct type *)0)->m)

#define TVQ_FIELDS(F, X) \
	F(X, create, OUT, virtio_device_id, \
	  TVQ_MEMBER(virtio_transportq_ctrl_vdev_attribute, virtio_device_id), TYPE) \
	F(X, create, OUT, asid, TVQ_MEMBER(virtio_transportq_ctrl_vdev_attribute, asid), DEC) \
	F(X, create, OUT, device_features, \
	  TVQ_MEMBER(virtio_transportq_ctrl_vdev_attribute, device_features), HEX) \
	F(X, create, IN, device_id, 0, 8, DEC) \
	F(X, avail_res_get, IN, num_avail_vqs, \
	  TVQ_MEMBER(mgmt_dev_avail_res, num_avail_vqs), DEC) \
	F(X, avail_res_get, IN, min_vdev_vqs, \
	  TVQ_MEMBER(mgmt_dev_avail_res, min_vdev_vqs), DEC) \
	F(X, avail_res_get, IN, max_vdev_vqs, \
	  TVQ_MEMBER(mgmt_dev_avail_res, max_vdev_vqs), DEC) \
	F(X, avail_res_get, IN, num_avail_vdev, \
	  TVQ_MEMBER(mgmt_dev_avail_res, num_avail_vdev), DEC) \
	F(X, type_get, OUT, virtio_device_id, 0, 4, TYPE) \
	F(X, type_get, IN, features, TVQ_MEMBER(virtio_transportq_ctrl_type, features), HEX) \
	F(X, type_get, IN, default_features, \
	  TVQ_MEMBER(virtio_transportq_ctrl_type, default_features), HEX) \
	F(X, type_get, IN, max_vqs, TVQ_MEMBER(virtio_transportq_ctrl_type, max_vqs), DEC) \
	F(X, type_get, IN, max_queue_size, \
	  TVQ_MEMBER(virtio_transportq_ctrl_type, max_queue_size), DEC) \
	F(X, feat_device_get, IN, device_features, 0, 8, HEX) \
	F(X, feat_driver_set, OUT, driver_features, 0, 8, HEX) \
	F(X, feat_driver_get, IN, driver_features, 0, 8, HEX) \
	F(X, status_set, OUT, status, 0, 1, STATUS) \
	F(X, status_get, IN, status, 0, 1, STATUS) \
	F(X, generation_get, IN, generation, 0, 4, DEC) \
	F(X, config_get, OUT, offset, \
	  TVQ_MEMBER(virtio_transportq_ctrl_vdev_config_get, offset), DEC) \
	F(X, config_get, OUT, size, \
	  TVQ_MEMBER(virtio_transportq_ctrl_vdev_config_get, size), DEC) \
	F(X, config_set, OUT, offset, \
	  TVQ_MEMBER(virtio_transportq_ctrl_vdev_config_set, offset), DEC) \
	F(X, config_set, OUT, size, \
	  TVQ_MEMBER(virtio_transportq_ctrl_vdev_config_set, size), DEC) \
	F(X, msi_vq_set, OUT, queue_index, \
	  TVQ_MEMBER(virtio_transportq_ctrl_vdev_msi_vq_config, queue_index), DEC) \
	F(X, msi_vq_set, OUT, addr, \
	  TVQ_MEMBER(virtio_transportq_ctrl_vdev_msi_vq_config, addr), HEX) \
	F(X, msi_vq_set, OUT, data, \
	  TVQ_MEMBER(virtio_transportq_ctrl_vdev_msi_vq_config, data), HEX) \
	F(X, msi_vq_enable, OUT, queue_index, \
	  TVQ_MEMBER(virtio_transportq_ctrl_vdev_msi_vq_enable, queue_index), DEC) \
	F(X, msi_vq_enable, OUT, enable, \
	  TVQ_MEMBER(virtio_transportq_ctrl_vdev_msi_vq_enable, enable), DEC) \
	F(X, msi_vq_mask, OUT, queue_index, \
	  TVQ_MEMBER(virtio_transportq_ctrl_vdev_msi_vq_mask, queue_index), DEC) \
	F(X, msi_vq_mask, OUT, mask, \
	  TVQ_MEMBER(virtio_transportq_ctrl_vdev_msi_vq_mask, mask), DEC) \
	F(X, msi_config_set, OUT, addr, \
	  TVQ_MEMBER(virtio_transportq_ctrl_vdev_msi_config, addr), HEX) \
	F(X, msi_config_set, OUT, data, \
	  TVQ_MEMBER(virtio_transportq_ctrl_vdev_msi_config, data), HEX) \
	F(X, msi_config_enable, OUT, enable, 0, 1, DEC) \
	F(X, msi_config_mask, OUT, mask, 0, 1, DEC) \
	F(X, vq_addr_set, OUT, queue_index, \
	  TVQ_MEMBER(virtio_transportq_ctrl_vdev_vq_addr, queue_index), DEC) \
	F(X, vq_addr_set, OUT, device_area, \
	  TVQ_MEMBER(virtio_transportq_ctrl_vdev_vq_addr, device_area), HEX) \
	F(X, vq_addr_set, OUT, descriptor_area, \
	  TVQ_MEMBER(virtio_transportq_ctrl_vdev_vq_addr, descriptor_area), HEX) \
	F(X, vq_addr_set, OUT, driver_area, \
	  TVQ_MEMBER(virtio_transportq_ctrl_vdev_vq_addr, driver_area), HEX) \
	F(X, vq_enable_set, OUT, queue_index, \
	  TVQ_MEMBER(virtio_transportq_ctrl_vq_status_set, queue_index), DEC) \
	F(X, vq_enable_set, OUT, status, \
	  TVQ_MEMBER(virtio_transportq_ctrl_vq_status_set, status), DEC) \
	F(X, vq_enable_get, OUT, queue_index, 0, 2, DEC) \
	F(X, vq_enable_get, IN, status, 0, 1, DEC) \
	F(X, vq_size_set, OUT, queue_index, \
	  TVQ_MEMBER(virtio_transportq_ctrl_vdev_vq_size_set, queue_index), DEC) \
	F(X, vq_size_set, OUT, size, \
	  TVQ_MEMBER(virtio_transportq_ctrl_vdev_vq_size_set, size), DEC) \
	F(X, vq_size_get, OUT, queue_index, 0, 2, DEC) \
	F(X, vq_size_get, IN, size, 0, 2, DEC) \
	F(X, vq_notify_get, OUT, queue_index, 0, 2, DEC) \
	F(X, vq_notify_get, IN, addr, \
	  TVQ_MEMBER(virtio_transportq_ctrl_vdev_vq_notification_area, addr), HEX) \
	F(X, vq_notify_get, IN, size, \
	  TVQ_MEMBER(virtio_transportq_ctrl_vdev_vq_notification_area, size), DEC) \
	F(X, vq_index_set, OUT, queue_index, \
	  TVQ_MEMBER(virtio_transportq_ctrl_vdev_vq_avail_idx_set, queue_index), DEC) \
	F(X, vq_index_set, OUT, avail_idx, \
	  TVQ_MEMBER(virtio_transportq_ctrl_vdev_vq_avail_idx_set, avail_idx), DEC) \
	F(X, vq_index_set, OUT, used_idx, 4, 2, DEC) \
	F(X, vq_index_get, OUT, queue_index, 0, 2, DEC) \
	F(X, vq_index_get, IN, avail_idx, 0, 2, DEC) \
	F(X, vq_index_get, IN, used_idx, 2, 2, DEC) \
	F(X, vq_reset_set, OUT, queue_index, 0, 2, DEC) \
	F(X, vq_asid_set, OUT, queue_index, \
	  TVQ_MEMBER(virtio_transportq_ctrl_vdev_vq_asid, queue_index), DEC) \
	F(X, vq_asid_set, OUT, asid, \
	  TVQ_MEMBER(virtio_transportq_ctrl_vdev_vq_asid, asid), DEC) \
	F(X, vq_asid_get, OUT, queue_index, 0, 2, DEC) \
	F(X, vq_asid_get, IN, asid, 0, 4, DEC) \
	F(X, vq_inflight_set, OUT, queue_index, \
	  TVQ_MEMBER(virtio_transportq_ctrl_vdev_vq_inflight, queue_index), DEC) \
	F(X, vq_inflight_set, OUT, asid, \
	  TVQ_MEMBER(virtio_transportq_ctrl_vdev_vq_inflight, asid), DEC) \
	F(X, vq_inflight_set, OUT, addr, \
	  TVQ_MEMBER(virtio_transportq_ctrl_vdev_vq_inflight, addr), HEX) \
	F(X, vq_inflight_set, OUT, size, \
	  TVQ_MEMBER(virtio_transportq_ctrl_vdev_vq_inflight, size), DEC) \
	F(X, vq_stats_get, OUT, queue_index, 0, 2, DEC) \
	F(X, vq_stats_get, IN, notifications, \
	  TVQ_MEMBER(virtio_transportq_ctrl_vdev_vq_stats, notifications), DEC) \
	F(X, vq_stats_get, IN, interrupts, \
	  TVQ_MEMBER(virtio_transportq_ctrl_vdev_vq_stats, interrupts), DEC) \
	F(X, vq_stats_get, IN, taken, \
	  TVQ_MEMBER(virtio_transportq_ctrl_vdev_vq_stats, taken), DEC) \
	F(X, vq_stats_get, IN, used, \
	  TVQ_MEMBER(virtio_transportq_ctrl_vdev_vq_stats, used), DEC) \
	F(X, vq_stats_get, IN, bytes_read, \
	  TVQ_MEMBER(virtio_transportq_ctrl_vdev_vq_stats, bytes_read), DEC) \
	F(X, vq_stats_get, IN, bytes_written, \
	  TVQ_MEMBER(virtio_transportq_ctrl_vdev_vq_stats, bytes_written), DEC) \
	F(X, vq_stats_get, IN, errors, \
	  TVQ_MEMBER(virtio_transportq_ctrl_vdev_vq_stats, errors), DEC) \
	F(X, vq_stats_get, IN, drops, TVQ_MEMBER(virtio_transportq_ctrl_vdev_vq_stats, drops), DEC)

/* CREATE's dev_config (section 5), by its length. */
#define TVQ_CONFIG_FIELDS(F, X) \
	F(X, net, OUT, mac, TVQ_MEMBER(virtio_transportq_net_config, mac), MAC) \
	F(X, net, OUT, status, TVQ_MEMBER(virtio_transportq_net_config, status), DEC) \
	F(X, net, OUT, max_virtqueue_pairs, \
	  TVQ_MEMBER(virtio_transportq_net_config, max_virtqueue_pairs), DEC) \
	F(X, net, OUT, mtu, TVQ_MEMBER(virtio_transportq_net_config, mtu), DEC) \
	F(X, blk, OUT, capacity, TVQ_MEMBER(virtio_transportq_blk_config, capacity), DEC) \
	F(X, blk, OUT, size_max, TVQ_MEMBER(virtio_transportq_blk_config, size_max), DEC) \
	F(X, blk, OUT, seg_max, TVQ_MEMBER(virtio_transportq_blk_config, seg_max), DEC) \
	F(X, blk, OUT, cylinders, TVQ_MEMBER(virtio_transportq_blk_config, cylinders), DEC) \
	F(X, blk, OUT, heads, TVQ_MEMBER(virtio_transportq_blk_config, heads), DEC) \
	F(X, blk, OUT, sectors, TVQ_MEMBER(virtio_transportq_blk_config, sectors), DEC) \
	F(X, blk, OUT, blk_size, TVQ_MEMBER(virtio_transportq_blk_config, blk_size), DEC) \
	F(X, blk, OUT, physical_block_exp, \
	  TVQ_MEMBER(virtio_transportq_blk_config, physical_block_exp), DEC) \
	F(X, blk, OUT, alignment_offset, \
	  TVQ_MEMBER(virtio_transportq_blk_config, alignment_offset), DEC) \
	F(X, blk, OUT, min_io_size, \
	  TVQ_MEMBER(virtio_transportq_blk_config, min_io_size), DEC) \
	F(X, blk, OUT, opt_io_size, \
	  TVQ_MEMBER(virtio_transportq_blk_config, opt_io_size), DEC) \
	F(X, blk, OUT, wce, TVQ_MEMBER(virtio_transportq_blk_config, wce), DEC) \
	F(X, blk, OUT, unused, TVQ_MEMBER(virtio_transportq_blk_config, unused), DEC) \
	F(X, blk, OUT, num_queues, TVQ_MEMBER(virtio_transportq_blk_config, num_queues), DEC) \
	F(X, blk, OUT, id, TVQ_MEMBER(virtio_transportq_blk_config, id), TEXT)

/* clang-format on */

#endif
