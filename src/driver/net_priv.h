/* SPDX-License-Identifier: BSD-3-Clause */
/* Inside of the polling network driver, for src/driver/net*.c only. */
#ifndef TVQ_DRIVER_NET_PRIV_H
#define TVQ_DRIVER_NET_PRIV_H

#include <linux/virtio_net.h>

#include <tvq/net.h>

#include "vdev.h"

#define TVQ_NET_CTRL_MAX 4096 /* bytes of a command's data */

struct tvq_net_rxq {
	struct tvq_vdev_queue vq; /* more: the buffers */
	struct tvq_net_buf *bufs; /* of which n_bufs are used; tokens of the ring */
	uint16_t n_bufs;
};

/* A pair's tokens are the caller's frames. */
struct tvq_net_pair {
	struct tvq_net_rxq rx;
	struct tvq_vdev_queue tx;
};

/* The control queue's DMA memory: one command at a time. */
struct tvq_net_ctrl_mem {
	struct virtio_net_ctrl_hdr header;
	uint8_t ack;
	uint8_t reserved[61];
	uint8_t data[TVQ_NET_CTRL_MAX];
};

struct tvq_net {
	struct tvq_vdev dev; /* first */
	struct tvq_net_pair *pairs;
	struct tvq_vdev_queue ctrl;
	uint16_t n_pairs, max_pairs;
	uint16_t hdr_len;
	uint32_t buffer_size;
	bool mergeable, broken;
	bool ctrl_busy;	   /* the device has a command, or kept one for ever */
	bool ctrl_done;	   /* or none any more: */
	int ctrl_err;	   /* 0, or why */
	uint32_t ctrl_len; /* bytes that it wrote */
	struct virtio_net_config config;
};

/* Makes buffers available; not published. */
void tvq_net_add_buffer(struct tvq_net *n, struct tvq_net_rxq *q, struct tvq_net_buf *b);

unsigned int tvq_net_collect_ctrl(struct tvq_vdev *d);
void tvq_net_cancel_ctrl(struct tvq_vdev *d, int err);

#endif
