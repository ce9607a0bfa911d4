/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dev add ... class net. Queues are receiveq, transmitq, receiveq, ..., and the control queue
 * behind the last pair (virtio 5.1.2).
 */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <linux/virtio_net.h>

#include "class.h"
#include "devices.h"
#include "json.h"
#include "nettext.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Not in Debian 12's headers. */
enum {
	F_GUEST_USO4 = 54,
	F_GUEST_USO6 = 55,
	F_HOST_USO = 56,
	F_GUEST_HDRLEN = 59,
	F_DEVICE_STATS = 50,
	F_VQ_NOTF_COAL = 52
};

static bool has(uint64_t features, unsigned int bit)
{
	return features >> bit & 1;
}

static const struct tvqd_need needs[] = {
	{ .key = TVQD_MAC, .bit = VIRTIO_NET_F_MAC, .feature = "MAC", .what = "mac" },
	{ .key = TVQD_MTU, .bit = VIRTIO_NET_F_MTU, .feature = "MTU", .what = "mtu" },
	{ .key = TVQD_MAX_VQP,
	  .above = 1,
	  .bit = VIRTIO_NET_F_MQ,
	  .implied = true,
	  .feature = "MQ",
	  .what = "max_vqp above 1" },
};

static int net_check(const struct tvqd_class *class, const struct tvqd_args *args, char *err)
{
	uint64_t n = tvqd_num(args, TVQD_MAX_VQP), most = (class->info.max_vqs - 1u) / 2;

	if (n <= most)
		return 0;
	snprintf(err, TVQD_ERR_LEN,
		 "max_vqp %llu: a net device of %s has at most %llu pairs of queues",
		 (unsigned long long)n, class->mgmt, (unsigned long long)most);
	return -EINVAL;
}

static uint32_t net_fill(struct tvqd_dev *dev, const struct tvqd_args *args,
			 union tvqd_dev_config *config)
{
	struct virtio_transportq_net_config *c = &config->net;

	dev->num_asked = tvqd_has(args, TVQD_MAX_VQP) ? (uint16_t)tvqd_num(args, TVQD_MAX_VQP) : 1;
	/* One pair is what there is without MQ; a number fails without it (TQ-140). */
	*c = (struct virtio_transportq_net_config){
		.max_virtqueue_pairs = htole16(dev->num_asked > 1 ? dev->num_asked : 0),
		.mtu = htole16((uint16_t)tvqd_num(args, TVQD_MTU)),
	};
	tvqd_mac_bytes(tvqd_num(args, TVQD_MAC), c->mac);
	return sizeof(*c);
}

static uint16_t net_pairs(uint64_t features, uint16_t num_asked)
{
	return has(features, VIRTIO_NET_F_MQ) ? num_asked : 1;
}

static uint16_t net_num_queues(uint64_t features, uint16_t num_asked)
{
	return (uint16_t)(2 * net_pairs(features, num_asked) + has(features, VIRTIO_NET_F_CTRL_VQ));
}

#define FIELD(name, member, feature)                                                               \
	{                                                                                          \
		name, offsetof(struct virtio_net_config, member),                                  \
			sizeof(((struct virtio_net_config *)0)->member), feature                   \
	}

static const struct tvqd_field fields[] = {
	FIELD("max_vq_pairs", max_virtqueue_pairs, VIRTIO_NET_F_MQ),
	FIELD("mtu", mtu, VIRTIO_NET_F_MTU),
};

static void net_show_config(struct json_object *o, const uint8_t *config, uint64_t features)
{
	struct virtio_net_config c;
	char mac[TVQD_MAC_LEN];

	memcpy(&c, config, sizeof(c));
	tvqd_mac_text(c.mac, mac);
	if (has(features, VIRTIO_NET_F_MAC))
		tvqd_add_str(o, "mac", mac);
	if (has(features, VIRTIO_NET_F_STATUS)) {
		uint16_t status = le16toh(c.status);

		tvqd_add_str(o, "link", status & VIRTIO_NET_S_LINK_UP ? "up" : "down");
		tvqd_add_bool(o, "link_announce", status & VIRTIO_NET_S_ANNOUNCE);
	}
	tvqd_show_fields(o, fields, ARRAY_SIZE(fields), config, features);
	if (!has(features, VIRTIO_NET_F_SPEED_DUPLEX))
		return;
	/* Megabits a second; all ones: unknown. */
	if (le32toh(c.speed) <= INT32_MAX)
		tvqd_add_num(o, "speed", le32toh(c.speed));
	tvqd_add_str(o, "duplex", c.duplex == 0 ? "half" : c.duplex == 1 ? "full" : "unknown");
}

static void net_show_queue(struct json_object *o, uint64_t features, uint16_t num_asked,
			   uint16_t index, const struct virtio_transportq_ctrl_vdev_vq_stats *st)
{
	const char *type = index & 1 ? "tx" : "rx";

	if (index == 2 * net_pairs(features, num_asked))
		type = "control_vq";
	tvqd_add_str(o, "queue_type", type);
	tvqd_add_num(o, "received_desc", le64toh(st->taken));
	tvqd_add_num(o, "completed_desc", le64toh(st->used));
	tvqd_add_num(o, "notifications", le64toh(st->notifications));
	tvqd_add_num(o, "interrupts", le64toh(st->interrupts));
}

static const char *net_feature_name(unsigned int bit)
{
	static const char *const names[64] = {
		[VIRTIO_NET_F_CSUM] = "CSUM",
		[VIRTIO_NET_F_GUEST_CSUM] = "GUEST_CSUM",
		[VIRTIO_NET_F_CTRL_GUEST_OFFLOADS] = "CTRL_GUEST_OFFLOADS",
		[VIRTIO_NET_F_MTU] = "MTU",
		[VIRTIO_NET_F_MAC] = "MAC",
		[VIRTIO_NET_F_GUEST_TSO4] = "GUEST_TSO4",
		[VIRTIO_NET_F_GUEST_TSO6] = "GUEST_TSO6",
		[VIRTIO_NET_F_GUEST_ECN] = "GUEST_ECN",
		[VIRTIO_NET_F_GUEST_UFO] = "GUEST_UFO",
		[VIRTIO_NET_F_HOST_TSO4] = "HOST_TSO4",
		[VIRTIO_NET_F_HOST_TSO6] = "HOST_TSO6",
		[VIRTIO_NET_F_HOST_ECN] = "HOST_ECN",
		[VIRTIO_NET_F_HOST_UFO] = "HOST_UFO",
		[VIRTIO_NET_F_MRG_RXBUF] = "MRG_RXBUF",
		[VIRTIO_NET_F_STATUS] = "STATUS",
		[VIRTIO_NET_F_CTRL_VQ] = "CTRL_VQ",
		[VIRTIO_NET_F_CTRL_RX] = "CTRL_RX",
		[VIRTIO_NET_F_CTRL_VLAN] = "CTRL_VLAN",
		[VIRTIO_NET_F_CTRL_RX_EXTRA] = "CTRL_RX_EXTRA",
		[VIRTIO_NET_F_GUEST_ANNOUNCE] = "GUEST_ANNOUNCE",
		[VIRTIO_NET_F_MQ] = "MQ",
		[VIRTIO_NET_F_CTRL_MAC_ADDR] = "CTRL_MAC_ADDR",
		[F_DEVICE_STATS] = "DEVICE_STATS",
		[F_VQ_NOTF_COAL] = "VQ_NOTF_COAL",
		[VIRTIO_NET_F_NOTF_COAL] = "NOTF_COAL",
		[F_GUEST_USO4] = "GUEST_USO4",
		[F_GUEST_USO6] = "GUEST_USO6",
		[F_HOST_USO] = "HOST_USO",
		[VIRTIO_NET_F_HASH_REPORT] = "HASH_REPORT",
		[F_GUEST_HDRLEN] = "GUEST_HDRLEN",
		[VIRTIO_NET_F_RSS] = "RSS",
		[VIRTIO_NET_F_RSC_EXT] = "RSC_EXT",
		[VIRTIO_NET_F_STANDBY] = "STANDBY",
		[VIRTIO_NET_F_SPEED_DUPLEX] = "SPEED_DUPLEX",
	};

	return names[bit];
}

const struct tvqd_class_ops tvqd_class_net = {
	.args = TVQD_BIT(MAC) | TVQD_BIT(MTU) | TVQD_BIT(MAX_VQP) | TVQD_BIT(VLAN) | TVQD_BIT(RATE),
	.needs = needs,
	.n_needs = ARRAY_SIZE(needs),
	.config_bytes = sizeof(struct virtio_net_config),
	.check = net_check,
	.fill = net_fill,
	.num_queues = net_num_queues,
	.show_config = net_show_config,
	.show_queue = net_show_queue,
	.feature_name = net_feature_name,
};
