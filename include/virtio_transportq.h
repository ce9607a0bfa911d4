/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/*
 * virtio over the transport virtqueue: the wire.
 *
 * Section numbers are those of the specification (docs/transportq.md). All integers are
 * little-endian, all structures packed without padding (TQ-001). Usable from the Linux kernel as it
 * is.
 */
#ifndef VIRTIO_TRANSPORTQ_H
#define VIRTIO_TRANSPORTQ_H

#include <linux/types.h>

/* 2. Feature bits. Experimental numbers: virtio 1.4 keeps 44-49 for future extensions. */
#define VIRTIO_F_TRNSPT_VQ	48
#define VIRTIO_F_TRNSPT_VQ_VDEV 49

/* 3. A command: this header and out-data device-readable, the ack and in-data device-writable. */
struct virtio_transportq_ctrl {
	__le64 device_id;
	__le16 class;
	__le16 command;
	__u8 command_out_data[];
} __attribute__((packed));

#define VIRTIO_TRANSPTQ_OK  0
#define VIRTIO_TRANSPTQ_ERR 255

/* 4.2 */
#define VIRTIO_TRANSPTQ_CTRL_VDEV	  1
#define VIRTIO_TRANSPTQ_CTRL_VDEV_CREATE  0
#define VIRTIO_TRANSPTQ_CTRL_VDEV_DESTROY 1

struct virtio_transportq_ctrl_vdev_attribute {
	__le32 virtio_device_id;
	__le32 asid;
	__le64 device_features;
	__u8 dev_config[];
} __attribute__((packed));

/* 4.1 */
#define VIRTIO_TRANSPTQ_CTRL_AVAIL_RES		2
#define VIRTIO_TRANSPTQ_CTRL_AVAIL_RES_GET	0
#define VIRTIO_TRANSPTQ_CTRL_AVAIL_RES_TYPE_GET 1

struct mgmt_dev_avail_res {
	__le16 num_avail_vqs;
	__le16 min_vdev_vqs;
	__le16 max_vdev_vqs;
	__le16 num_avail_vdev;
} __attribute__((packed));

struct virtio_transportq_ctrl_type {
	__le64 features;
	__le64 default_features;
	__le16 max_vqs;
	__le16 max_queue_size;
} __attribute__((packed));

/* 4.3 */
#define VIRTIO_TRANSPTQ_CTRL_FEAT	     3
#define VIRTIO_TRANSPTQ_CTRL_FEAT_DEVICE_GET 0
#define VIRTIO_TRANSPTQ_CTRL_FEAT_DRIVER_SET 1
#define VIRTIO_TRANSPTQ_CTRL_FEAT_DRIVER_GET 2

/* 4.4 */
#define VIRTIO_TRANSPTQ_CTRL_STATUS	4
#define VIRTIO_TRANSPTQ_CTRL_STATUS_SET 0
#define VIRTIO_TRANSPTQ_CTRL_STATUS_GET 1

/* 4.5 */
#define VIRTIO_TRANSPTQ_CTRL_GENERATION	    5
#define VIRTIO_TRANSPTQ_CTRL_GENERATION_GET 0

#define VIRTIO_TRANSPTQ_CTRL_CONFIG	6
#define VIRTIO_TRANSPTQ_CTRL_CONFIG_GET 0
#define VIRTIO_TRANSPTQ_CTRL_CONFIG_SET 1

struct virtio_transportq_ctrl_vdev_config_get {
	__le32 offset;
	__le32 size;
} __attribute__((packed));

struct virtio_transportq_ctrl_vdev_config_set {
	__le32 offset;
	__le32 size;
	__u8 data[];
} __attribute__((packed));

/* 4.6 */
#define VIRTIO_TRANSPTQ_CTRL_MSI	       7
#define VIRTIO_TRANSPTQ_CTRL_MSI_VQ_SET	       0
#define VIRTIO_TRANSPTQ_CTRL_MSI_VQ_ENABLE     1
#define VIRTIO_TRANSPTQ_CTRL_MSI_VQ_MASK       2
#define VIRTIO_TRANSPTQ_CTRL_MSI_CONFIG_SET    3
#define VIRTIO_TRANSPTQ_CTRL_MSI_CONFIG_ENABLE 4
#define VIRTIO_TRANSPTQ_CTRL_MSI_CONFIG_MASK   5

#define VIRTIO_TRANSPTQ_MSI_DISABLE 0
#define VIRTIO_TRANSPTQ_MSI_ENABLE  1
#define VIRTIO_TRANSPTQ_MSI_UNMASK  0
#define VIRTIO_TRANSPTQ_MSI_MASK    1

struct virtio_transportq_ctrl_vdev_msi_vq_config {
	__le16 queue_index;
	__le64 addr;
	__le32 data;
} __attribute__((packed));

struct virtio_transportq_ctrl_vdev_msi_vq_enable {
	__le16 queue_index;
	__u8 enable;
} __attribute__((packed));

struct virtio_transportq_ctrl_vdev_msi_vq_mask {
	__le16 queue_index;
	__u8 mask;
} __attribute__((packed));

struct virtio_transportq_ctrl_vdev_msi_config {
	__le64 addr;
	__le32 data;
} __attribute__((packed));

/* 4.7 */
#define VIRTIO_TRANSPTQ_CTRL_VQ_ADDR	 8
#define VIRTIO_TRANSPTQ_CTRL_VQ_ADDR_SET 0

struct virtio_transportq_ctrl_vdev_vq_addr {
	__le16 queue_index;
	__le64 device_area;
	__le64 descriptor_area;
	__le64 driver_area;
} __attribute__((packed));

#define VIRTIO_TRANSPTQ_CTRL_VQ_ENABLE	   9
#define VIRTIO_TRANSPTQ_CTRL_VQ_ENABLE_SET 0
#define VIRTIO_TRANSPTQ_CTRL_VQ_ENABLE_GET 1

struct virtio_transportq_ctrl_vq_status_set {
	__le16 queue_index;
	__u8 status;
} __attribute__((packed));

#define VIRTIO_TRANSPTQ_CTRL_VQ_SIZE	 10
#define VIRTIO_TRANSPTQ_CTRL_VQ_SIZE_SET 0
#define VIRTIO_TRANSPTQ_CTRL_VQ_SIZE_GET 1

struct virtio_transportq_ctrl_vdev_vq_size_set {
	__le16 queue_index;
	__le16 size;
} __attribute__((packed));

/* 4.8 */
#define VIRTIO_TRANSPTQ_CTRL_VQ_NOTIFY	   11
#define VIRTIO_TRANSPTQ_CTRL_VQ_NOTIFY_GET 1

struct virtio_transportq_ctrl_vdev_vq_notification_area {
	__le64 addr;
	__le64 size;
} __attribute__((packed));

/* 4.9. used_idx is there with a packed ring only. */
#define VIRTIO_TRANSPTQ_CTRL_VQ_AVAIL_INDEX	12
#define VIRTIO_TRANSPTQ_CTRL_VQ_AVAIL_INDEX_SET 0
#define VIRTIO_TRANSPTQ_CTRL_VQ_AVAIL_INDEX_GET 1

struct virtio_transportq_ctrl_vdev_vq_avail_idx_set {
	__le16 queue_index;
	__le16 avail_idx;
	__le16 used_idx[];
} __attribute__((packed));

/* 4.7 */
#define VIRTIO_TRANSPTQ_CTRL_VQ_RESET	  13
#define VIRTIO_TRANSPTQ_CTRL_VQ_RESET_SET 0

/* 4.10 */
#define VIRTIO_TRANSPTQ_CTRL_VQ_ASID	 14
#define VIRTIO_TRANSPTQ_CTRL_VQ_ASID_SET 0
#define VIRTIO_TRANSPTQ_CTRL_VQ_ASID_GET 1

struct virtio_transportq_ctrl_vdev_vq_asid {
	__le16 queue_index;
	__le32 asid;
} __attribute__((packed));

/* 4.11. size 0: none. */
#define VIRTIO_TRANSPTQ_CTRL_VQ_INFLIGHT     15
#define VIRTIO_TRANSPTQ_CTRL_VQ_INFLIGHT_SET 0

struct virtio_transportq_ctrl_vdev_vq_inflight {
	__le16 queue_index;
	__le32 asid;
	__le64 addr;
	__le32 size;
} __attribute__((packed));

/* 4.11. A driver accepts fewer or more counters. */
#define VIRTIO_TRANSPTQ_CTRL_VQ_STATS	  16
#define VIRTIO_TRANSPTQ_CTRL_VQ_STATS_GET 0

struct virtio_transportq_ctrl_vdev_vq_stats {
	__le64 notifications;
	__le64 interrupts;
	__le64 taken;
	__le64 used;
	__le64 bytes_read;
	__le64 bytes_written;
	__le64 errors;
	__le64 drops;
} __attribute__((packed));

/* 5. What CREATE takes for each type. */
struct virtio_transportq_net_config { /* TQ-140: virtio_net_config to mtu */
	__u8 mac[6];
	__le16 status;
	__le16 max_virtqueue_pairs;
	__le16 mtu;
} __attribute__((packed));

struct virtio_transportq_blk_config { /* TQ-142: virtio_blk_config to num_queues, then the id */
	__le64 capacity;
	__le32 size_max;
	__le32 seg_max;
	__le16 cylinders;
	__u8 heads;
	__u8 sectors;
	__le32 blk_size;
	__u8 physical_block_exp;
	__u8 alignment_offset;
	__le16 min_io_size;
	__le32 opt_io_size;
	__u8 wce;
	__u8 unused;
	__le16 num_queues;
	__u8 id[20];
} __attribute__((packed));

/*
 * virtio-pci [ours]: a management device that offers a page of its BAR as MSI target has this vendor
 * data capability (virtio 1.4, 4.1.4.7). A write of the number of an MSI-X vector to bar's bus
 * address + offset raises that vector, so MSI VQ_SET and CONFIG_SET by this pair need not be
 * repeated when the vector's affinity changes. The device recognizes the pair; no memory write is
 * made.
 */
#define VIRTIO_TRANSPTQ_PCI_MSI_MAGIC 0x49534d51 /* "QMSI" */

struct virtio_transportq_pci_msi_cap {
	__u8 cap_vndr; /* PCI_CAP_ID_VNDR */
	__u8 cap_next;
	__u8 cap_len;
	__u8 cfg_type;	  /* VIRTIO_PCI_CAP_VENDOR_CFG, 9 */
	__le16 vendor_id; /* the PCI vendor id of the device */
	__u8 bar;
	__u8 padding;
	__le32 magic;
	__le32 offset;
} __attribute__((packed));

#endif
