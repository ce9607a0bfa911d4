// SPDX-License-Identifier: BSD-3-Clause
/*
 * Network devices: what CREATE takes (TQ-140), features, queues, configuration.
 */
#include "device/util.h"
#include "types/net.h"
#include "types/types.h"

#define NET_DEFAULT                                                                                \
	(TVQ_BIT(NET_F_CSUM) | TVQ_BIT(NET_F_GUEST_CSUM) | TVQ_BIT(NET_F_MTU) |                    \
	 TVQ_BIT(NET_F_MAC) | TVQ_BIT(NET_F_GUEST_TSO4) | TVQ_BIT(NET_F_GUEST_TSO6) |              \
	 TVQ_BIT(NET_F_GUEST_ECN) | TVQ_BIT(NET_F_HOST_TSO4) | TVQ_BIT(NET_F_HOST_TSO6) |          \
	 TVQ_BIT(NET_F_HOST_ECN) | TVQ_BIT(NET_F_MRG_RXBUF) | TVQ_BIT(NET_F_STATUS) |              \
	 TVQ_BIT(NET_F_CTRL_VQ) | TVQ_BIT(NET_F_CTRL_RX) | TVQ_BIT(NET_F_CTRL_VLAN) |              \
	 TVQ_BIT(NET_F_CTRL_RX_EXTRA) | TVQ_BIT(NET_F_GUEST_ANNOUNCE) |                            \
	 TVQ_BIT(NET_F_CTRL_MAC_ADDR) | TVQ_BIT(NET_F_SPEED_DUPLEX) |                              \
	 TVQ_BIT(TVQ_F_IN_ORDER)) /* frames and commands end in the order in which they came */
#define NET_ALL (NET_DEFAULT | NET_F_MULTI | TVQ_BIT(NET_F_HASH_REPORT))

/* ---- what CREATE takes ---- */

static int net_parse(const struct tvq_mgmt_cfg *mgmt, struct tvq_type_cfg *cfg,
		     bool default_features)
{
	const struct virtio_transportq_net_config *a = net_asked(cfg);
	uint16_t pairs = tvq_get16(&a->max_virtqueue_pairs), mtu = tvq_get16(&a->mtu);

	if (cfg->dev_config_len && cfg->dev_config_len != sizeof(*a))
		return -EINVAL;
	if (pairs > 1 && default_features)
		cfg->features |= TVQ_BIT(NET_F_MQ);
	if (tvq_get16(&a->status) || (pairs && !(cfg->features & TVQ_BIT(NET_F_MQ))) ||
	    (mtu && !(cfg->features & TVQ_BIT(NET_F_MTU))) ||
	    (!net_mac_zero(a->mac) && !(cfg->features & TVQ_BIT(NET_F_MAC))))
		return -EINVAL;
	if (a->mac[0] & 1 || (mtu && (mtu < TVQ_MTU_MIN || mtu > TVQ_MTU_MAX)))
		return -EINVAL;
	pairs = pairs ? pairs : 1;
	if (2 * (uint32_t)pairs + 1 > mgmt->max_vdev_vqs)
		return -ENOSPC;
	cfg->n_queues = (uint16_t)(2 * pairs + 1);
	return 0;
}

/* N as virtio defines it. */
static uint16_t pairs_of(const struct tvq_device *dev, uint64_t features)
{
	return features & NET_F_MULTI ? net_max_pairs(dev) : 1;
}

static uint16_t net_num_queues(const struct tvq_device *dev, uint64_t features)
{
	return (uint16_t)(2 * pairs_of(dev, features) + !!(features & TVQ_BIT(NET_F_CTRL_VQ)));
}

static uint16_t net_transportq(uint16_t num_queues)
{
	return num_queues | 1; /* 2N + 1, also where 2N is no queue: TQ-010, TQ-011 */
}

/* Before FEATURES_OK no queue is served: what the offered features say is as good as any. */
static const struct tvq_vq_ops *net_vq_ops(const struct tvq_device *dev, uint16_t index)
{
	uint64_t f = dev->status & TVQ_S_FEATURES_OK ? dev->accepted : dev->offered;

	if (f & TVQ_BIT(NET_F_CTRL_VQ) && index == 2 * pairs_of(dev, f))
		return &net_ctrl_ops;
	return index & 1 ? &net_tx_ops : &net_rx_ops;
}

/* virtio 1.4, 5.1.3.1. */
static bool net_features_ok(uint64_t f)
{
	static const struct {
		uint8_t bit;
		uint64_t needs; /* one of them */
	} rules[] = {
		{ NET_F_GUEST_TSO4, TVQ_BIT(NET_F_GUEST_CSUM) },
		{ NET_F_GUEST_TSO6, TVQ_BIT(NET_F_GUEST_CSUM) },
		{ NET_F_GUEST_ECN, TVQ_BIT(NET_F_GUEST_TSO4) | TVQ_BIT(NET_F_GUEST_TSO6) },
		{ NET_F_HOST_TSO4, TVQ_BIT(NET_F_CSUM) },
		{ NET_F_HOST_TSO6, TVQ_BIT(NET_F_CSUM) },
		{ NET_F_HOST_ECN, TVQ_BIT(NET_F_HOST_TSO4) | TVQ_BIT(NET_F_HOST_TSO6) },
		{ NET_F_CTRL_RX, TVQ_BIT(NET_F_CTRL_VQ) },
		{ NET_F_CTRL_RX_EXTRA, TVQ_BIT(NET_F_CTRL_VQ) },
		{ NET_F_CTRL_VLAN, TVQ_BIT(NET_F_CTRL_VQ) },
		{ NET_F_GUEST_ANNOUNCE, TVQ_BIT(NET_F_CTRL_VQ) },
		{ NET_F_MQ, TVQ_BIT(NET_F_CTRL_VQ) },
		{ NET_F_CTRL_MAC_ADDR, TVQ_BIT(NET_F_CTRL_VQ) },
		{ NET_F_RSS, TVQ_BIT(NET_F_CTRL_VQ) },
		{ NET_F_HASH_REPORT, TVQ_BIT(NET_F_CTRL_VQ) },
	};

	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (f & TVQ_BIT(rules[i].bit) && !(f & rules[i].needs))
			return false;
	return true;
}

static int net_config_set(struct tvq_device *dev, uint32_t offset, uint32_t size,
			  const uint8_t *buf)
{
	(void)dev;
	(void)offset;
	(void)size;
	(void)buf;
	return -EPERM; /* TQ-078: nothing there is the driver's */
}

const struct tvq_type tvq_type_net = {
	.virtio_id = TVQ_TYPE_NET,
	.name = "network",
	.features = NET_ALL,
	.default_features = NET_DEFAULT,
	.config_len = sizeof(struct net_config),
	.vq_ops = net_vq_ops,
	.parse = net_parse,
	.num_queues = net_num_queues,
	.transportq = net_transportq,
	.features_ok = net_features_ok,
	.create = net_create,
	.destroy = net_destroy,
	.reset = net_reset,
	.reset_busy = net_reset_busy,
	.config_set = net_config_set,
	.port = net_port,
	.set_link = net_set_link,
	.announce = net_announce,
};
