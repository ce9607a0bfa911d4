// SPDX-License-Identifier: BSD-3-Clause
/*
 * The polling network driver: from a managed device that was created to DRIVER_OK (TQ-150), and
 * back. tvq_net_free() takes a half-built one.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include <tvq/os.h>

#include "net_priv.h"

#define DEFAULT_SIZE	  256
#define CTRL_SIZE	  16
#define MERGEABLE_BUFFER  2048
#define LONGEST_GSO_FRAME 65550 /* virtio 5.1.6.3.1 */
#define CONFIG_BYTES	  (offsetof(struct virtio_net_config, mtu) + 2)

#define BIT(name) TVQ_VDEV_BIT(VIRTIO_NET_F_##name)

/* What the driver accepts unless it is told. */
#define DEFAULT_FEATURES                                                                           \
	(BIT(CSUM) | BIT(GUEST_CSUM) | BIT(MTU) | BIT(MAC) | BIT(GUEST_TSO4) | BIT(GUEST_TSO6) |   \
	 BIT(GUEST_ECN) | BIT(HOST_TSO4) | BIT(HOST_TSO6) | BIT(HOST_ECN) | BIT(MRG_RXBUF) |       \
	 BIT(STATUS) | BIT(CTRL_VQ) | BIT(CTRL_RX) | BIT(CTRL_VLAN) | BIT(CTRL_RX_EXTRA) |         \
	 BIT(GUEST_ANNOUNCE) | BIT(MQ) | BIT(CTRL_MAC_ADDR) | BIT(SPEED_DUPLEX))
#define KNOWN_FEATURES (DEFAULT_FEATURES | BIT(RSS) | BIT(HASH_REPORT) | BIT(CTRL_GUEST_OFFLOADS))

static const struct tvq_os *os_of(const struct tvq_net *n)
{
	return tvq_vdev_os(&n->dev);
}

static bool has(const struct tvq_net *n, unsigned int bit)
{
	return tvq_vdev_has(&n->dev, bit);
}

static uint64_t wanted(const struct tvq_net_cfg *cfg)
{
	uint64_t f = cfg->features ? cfg->features & KNOWN_FEATURES : DEFAULT_FEATURES;

	return f | tvq_vdev_ring_features(cfg->packed, !cfg->no_event_idx, !cfg->no_indirect);
}

/* A frame of any length that the device may deliver. */
static uint32_t whole_frame(const struct tvq_net *n)
{
	uint32_t mtu = has(n, VIRTIO_NET_F_MTU) ? le16toh((__le16)n->config.mtu) : ETH_DATA_LEN;

	if (has(n, VIRTIO_NET_F_GUEST_TSO4) || has(n, VIRTIO_NET_F_GUEST_TSO6))
		return n->hdr_len + LONGEST_GSO_FRAME;
	return n->hdr_len + ETH_HLEN + 4 + mtu;
}

static int use_config(struct tvq_net *n, const struct tvq_net_cfg *cfg)
{
	bool mq = has(n, VIRTIO_NET_F_MQ) || has(n, VIRTIO_NET_F_RSS);

	n->max_pairs = mq ? le16toh((__le16)n->config.max_virtqueue_pairs) : 1;
	n->n_pairs = cfg->pairs ? cfg->pairs : 1;
	n->mergeable = has(n, VIRTIO_NET_F_MRG_RXBUF);
	n->hdr_len = sizeof(struct virtio_net_hdr_v1);
	if (has(n, VIRTIO_NET_F_HASH_REPORT))
		n->hdr_len = sizeof(struct virtio_net_hdr_v1_hash);
	if (!n->max_pairs || n->max_pairs > VIRTIO_NET_CTRL_MQ_VQ_PAIRS_MAX)
		return -EPROTO;
	n->buffer_size = cfg->buffer_size;
	if (!n->buffer_size)
		n->buffer_size = n->mergeable ? MERGEABLE_BUFFER
					      : (whole_frame(n) + 63) & ~(uint32_t)63;
	return n->n_pairs > n->max_pairs || n->buffer_size > 1u << 20 ? -EINVAL : 0;
}

static int make_rx(struct tvq_net *n, struct tvq_net_rxq *q, uint16_t index,
		   const struct tvq_net_cfg *cfg)
{
	/* Each begins at a cache line, so that its header is aligned. */
	uint32_t stride = (n->buffer_size + 63) & ~(uint32_t)63;
	struct tvq_vdev_queue_cfg qc = {
		.index = index,
		.size = cfg->queue_size ? cfg->queue_size : DEFAULT_SIZE,
		.bytes = stride,
	};
	int err = tvq_vdev_queue_make(&n->dev, &q->vq, &qc);

	if (err)
		return err;
	q->bufs = os_of(n)->alloc(q->vq.size * sizeof(*q->bufs));
	if (!q->bufs)
		return -ENOMEM;
	q->n_bufs = cfg->buffers && cfg->buffers < q->vq.size ? cfg->buffers : q->vq.size;
	for (uint16_t i = 0; i < q->n_bufs; i++) {
		q->bufs[i].iova = q->vq.more_iova + (uint64_t)i * stride;
		tvq_net_add_buffer(n, q, &q->bufs[i]);
	}
	/* Nobody is notified yet: the device looks at the ring when the queue becomes served
	 * (TQ-095). */
	tvq_drv_ring_publish(q->vq.ring);
	return tvq_vdev_queue_start(&n->dev, &q->vq);
}

static int make_tx(struct tvq_net *n, struct tvq_vdev_queue *q, uint16_t index,
		   const struct tvq_net_cfg *cfg)
{
	struct tvq_vdev_queue_cfg qc = {
		.index = index,
		.size = cfg->queue_size ? cfg->queue_size : DEFAULT_SIZE,
	};
	int err = tvq_vdev_queue_make(&n->dev, q, &qc);

	return err ? err : tvq_vdev_queue_start(&n->dev, q);
}

static int make_ctrl(struct tvq_net *n)
{
	struct tvq_vdev_queue_cfg qc = {
		.index = 2 * n->max_pairs, /* virtio 5.1.2 */
		.size = CTRL_SIZE,
		.indirect = 3,
		.bytes_in_all = sizeof(struct tvq_net_ctrl_mem),
	};
	int err = tvq_vdev_queue_make(&n->dev, &n->ctrl, &qc);

	return err ? err : tvq_vdev_queue_start(&n->dev, &n->ctrl);
}

static int bring_up(struct tvq_net *n, const struct tvq_net_cfg *cfg)
{
	int err = tvq_vdev_negotiate(&n->dev, wanted(cfg));

	if (!err)
		err = tvq_vdev_config(&n->dev, &n->config, CONFIG_BYTES);
	if (!err)
		err = use_config(n, cfg);
	if (err)
		return err;
	n->pairs = os_of(n)->alloc(n->n_pairs * sizeof(*n->pairs));
	if (!n->pairs)
		return -ENOMEM;
	for (uint16_t i = 0; i < n->n_pairs && !err; i++) {
		err = make_rx(n, &n->pairs[i].rx, (uint16_t)(2 * i), cfg);
		if (!err)
			err = make_tx(n, &n->pairs[i].tx, (uint16_t)(2 * i + 1), cfg);
	}
	if (!err && has(n, VIRTIO_NET_F_CTRL_VQ))
		err = make_ctrl(n);
	if (!err)
		err = tvq_vdev_driver_ok(&n->dev);
	if (!err && n->n_pairs > 1)
		err = tvq_net_use_pairs(n, n->n_pairs);
	return err;
}

struct tvq_net *tvq_net_new(struct tvq_client *c, uint64_t device_id, const struct tvq_net_cfg *cfg,
			    int *err)
{
	static const struct tvq_net_cfg defaults;
	struct tvq_bus *bus = tvq_client_bus(c);
	struct tvq_net *n = bus->os->alloc(sizeof(*n));

	if (!n) {
		*err = -ENOMEM;
		return NULL;
	}
	tvq_vdev_init(&n->dev, c, device_id);
	n->dev.collect = tvq_net_collect_ctrl;
	n->dev.cancel = tvq_net_cancel_ctrl;
	*err = bring_up(n, cfg ? cfg : &defaults);
	if (!*err)
		return n;
	tvq_log(bus->os, TVQ_LOG_ERR,
		"managed device %llu: the network driver cannot start: error %d (%s)",
		(unsigned long long)device_id, -*err, tvq_client_failed(c));
	tvq_net_free(n);
	return NULL;
}

void tvq_net_free(struct tvq_net *n)
{
	bool dma;

	if (!n)
		return;
	dma = tvq_vdev_reset(&n->dev);
	for (uint16_t i = 0; n->pairs && i < n->n_pairs; i++) {
		struct tvq_net_pair *p = &n->pairs[i];

		if (p->rx.bufs)
			os_of(n)->free(p->rx.bufs, p->rx.vq.size * sizeof(*p->rx.bufs));
		tvq_vdev_queue_free(&n->dev, &p->rx.vq, dma);
		tvq_vdev_queue_free(&n->dev, &p->tx, dma);
	}
	tvq_vdev_queue_free(&n->dev, &n->ctrl, dma);
	if (n->pairs)
		os_of(n)->free(n->pairs, n->n_pairs * sizeof(*n->pairs));
	os_of(n)->free(n, sizeof(*n));
}

/* ---- what the device is ---- */

uint64_t tvq_net_features(const struct tvq_net *n)
{
	return n->dev.features;
}

uint16_t tvq_net_pairs(const struct tvq_net *n)
{
	return n->n_pairs;
}

uint32_t tvq_net_hdr_len(const struct tvq_net *n)
{
	return n->hdr_len;
}

void tvq_net_mac(const struct tvq_net *n, uint8_t mac[6])
{
	memset(mac, 0, 6);
	if (has(n, VIRTIO_NET_F_MAC))
		memcpy(mac, n->config.mac, 6);
}

uint16_t tvq_net_mtu(const struct tvq_net *n)
{
	return has(n, VIRTIO_NET_F_MTU) ? le16toh((__le16)n->config.mtu) : 0;
}

int tvq_net_status(struct tvq_net *n, uint16_t *status)
{
	int err;

	*status = VIRTIO_NET_S_LINK_UP;
	if (!has(n, VIRTIO_NET_F_STATUS))
		return 0;
	err = tvq_vdev_config(&n->dev, &n->config, CONFIG_BYTES);
	if (!err)
		*status = le16toh((__le16)n->config.status);
	return err;
}

void *tvq_net_dma_alloc(struct tvq_net *n, size_t size, uint64_t *iova)
{
	return n->dev.bus->ops->dma_alloc(n->dev.bus, size, iova);
}

void tvq_net_dma_free(struct tvq_net *n, void *p, size_t size)
{
	n->dev.bus->ops->dma_free(n->dev.bus, p, size);
}
