// SPDX-License-Identifier: BSD-3-Clause
/*
 * The polling network driver: control commands, one at a time. One that gets no answer in time stays
 * with the device, and so does the queue's memory: there are no further ones then.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "net_priv.h"

unsigned int tvq_net_collect_ctrl(struct tvq_vdev *d)
{
	struct tvq_net *n = (struct tvq_net *)d;

	if (tvq_drv_ring_broken(n->ctrl.ring))
		tvq_net_cancel_ctrl(d, -EPROTO);
	else if (!tvq_drv_ring_get(n->ctrl.ring, &n->ctrl_len))
		return 0;
	else
		n->ctrl_busy = false;
	n->ctrl_done = true;
	return 1;
}

void tvq_net_cancel_ctrl(struct tvq_vdev *d, int err)
{
	struct tvq_net *n = (struct tvq_net *)d;

	n->ctrl_err = err;
	n->ctrl_done = true;
}

int tvq_net_ctrl(struct tvq_net *n, uint8_t class, uint8_t cmd, const void *data, uint32_t len)
{
	struct tvq_net_ctrl_mem *m = (void *)n->ctrl.more;
	uint64_t iova = n->ctrl.more_iova;
	struct tvq_sg sg[3] = { { iova, sizeof(m->header) } };
	unsigned int n_out = 1;
	int err;

	if (!n->ctrl.ring)
		return -EOPNOTSUPP;
	if (len > sizeof(m->data))
		return -EINVAL;
	if (n->ctrl_busy)
		return -ETIMEDOUT;
	m->header.class = class;
	m->header.cmd = cmd;
	m->ack = 0xee;
	if (len) {
		memcpy(m->data, data, len);
		sg[n_out++] =
			(struct tvq_sg){ iova + offsetof(struct tvq_net_ctrl_mem, data), len };
	}
	sg[n_out] = (struct tvq_sg){ iova + offsetof(struct tvq_net_ctrl_mem, ack), 1 };
	err = tvq_drv_ring_add(n->ctrl.ring, sg, n_out, 1, m);
	if (err)
		return err == -ENOSPC ? -EPROTO : err;
	n->ctrl_busy = true;
	n->ctrl_done = false;
	n->ctrl_err = 0;
	n->ctrl_len = 0;
	tvq_vdev_publish(&n->dev, &n->ctrl);
	err = tvq_vdev_wait(&n->dev, &n->ctrl_done);
	if (err || n->ctrl_err)
		return err ? err : n->ctrl_err;
	switch (n->ctrl_len ? *(volatile uint8_t *)&m->ack : 0xee) {
	case VIRTIO_NET_OK:
		return 0;
	case VIRTIO_NET_ERR:
		return -EIO;
	default:
		return -EPROTO;
	}
}

int tvq_net_use_pairs(struct tvq_net *n, uint16_t pairs)
{
	struct virtio_net_ctrl_mq mq = { .virtqueue_pairs = (__virtio16)htole16(pairs) };

	return tvq_net_ctrl(n, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, &mq,
			    sizeof(mq));
}
