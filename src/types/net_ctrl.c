// SPDX-License-Identifier: BSD-3-Clause
/*
 * Decoding of control commands. Trust boundary: buf is a copy of what the driver wrote; everything
 * in it is judged here. Lengths are exact: a command that is longer than its kind is refused too.
 */
#include "device/features.h"
#include "device/util.h"
#include "types/net_ctrl.h"

/* A reader that remembers that there was not enough. */
struct reader {
	const uint8_t *at;
	uint32_t left;
	bool failed;
};

static const uint8_t *take(struct reader *r, uint32_t n)
{
	static const uint8_t nothing[8];
	const uint8_t *p = r->at;

	if (n > r->left) {
		r->failed = true;
		r->left = 0;
		return nothing;
	}
	r->at += n;
	r->left -= n;
	return p;
}

static uint8_t take8(struct reader *r)
{
	return *take(r, 1);
}

static uint16_t take16(struct reader *r)
{
	return tvq_get16(take(r, 2));
}

static uint32_t take32(struct reader *r)
{
	return tvq_get32(take(r, 4));
}

static bool decode_rx(uint8_t command, struct reader *r, uint64_t features, struct net_ctrl *out)
{
	unsigned int needs = command < 2 ? NET_F_CTRL_RX : NET_F_CTRL_RX_EXTRA;
	uint8_t on = take8(r);

	if (command > 5 || !(features & TVQ_BIT(needs)) || on > 1)
		return false;
	/* The wire's order is the enumeration's. */
	out->what = (enum net_ctrl_what)(NET_CTRL_PROMISC + command);
	out->on = on;
	return true;
}

/* One table: a number, then addresses. The ones that fit are kept; false: one is malformed. */
static bool decode_table(struct reader *r, struct net_ctrl *out, uint16_t *n, bool *all)
{
	uint32_t entries = take32(r);

	if (r->failed || entries > r->left / 6)
		return false;
	for (uint32_t i = 0; i < entries; i++) {
		const uint8_t *mac = take(r, 6);

		if (out->n_unicast + out->n_multicast == TVQ_FILTER_MACS) {
			*all = true;
		} else {
			memcpy(out->table[out->n_unicast + out->n_multicast], mac, 6);
			(*n)++;
		}
	}
	return true;
}

static bool decode_mac(uint8_t command, struct reader *r, uint64_t features, struct net_ctrl *out)
{
	if (command == 0) {
		out->what = NET_CTRL_MAC_TABLE;
		return features & TVQ_BIT(NET_F_CTRL_RX) &&
		       decode_table(r, out, &out->n_unicast, &out->all_unicast) &&
		       decode_table(r, out, &out->n_multicast, &out->all_multicast);
	}
	if (command != 1 || !(features & TVQ_BIT(NET_F_CTRL_MAC_ADDR)))
		return false;
	out->what = NET_CTRL_MAC_ADDR;
	memcpy(out->mac, take(r, 6), 6);
	return !(out->mac[0] & 1) &&
	       (out->mac[0] | out->mac[1] | out->mac[2] | out->mac[3] | out->mac[4] | out->mac[5]);
}

static bool decode_vlan(uint8_t command, struct reader *r, uint64_t features, struct net_ctrl *out)
{
	if (command > 1 || !(features & TVQ_BIT(NET_F_CTRL_VLAN)))
		return false;
	out->what = command ? NET_CTRL_VLAN_DEL : NET_CTRL_VLAN_ADD;
	out->value = take16(r);
	return out->value <= TVQ_VLAN_MAX;
}

/* hash_types, then (RSS) where frames go, then the key (virtio 1.4, 5.1.6.5.7, 5.1.6.5.6.4). */
static bool decode_hash(struct reader *r, uint16_t max_pairs, bool steers, struct net_ctrl *out)
{
	struct net_rss *rss = &out->rss;
	uint8_t key_len;

	rss->types = take32(r);
	if (steers) {
		rss->mask = take16(r);
		rss->unclassified = take16(r);
		if (rss->mask >= NET_RSS_TABLE || rss->mask & (rss->mask + 1) ||
		    rss->unclassified >= max_pairs)
			return false;
		for (unsigned int i = 0; i <= rss->mask; i++) {
			rss->table[i] = take16(r);
			if (rss->table[i] >= max_pairs)
				return false;
		}
		out->value = take16(r);
		if (!out->value || out->value > max_pairs)
			return false;
	} else {
		(void)take(r, 4 * 2); /* reserved: ignored by the device */
	}
	key_len = take8(r);
	if (key_len > TVQ_RSS_KEY || rss->types & ~(uint32_t)NET_RSS_TYPES)
		return false;
	/* A hash of anything takes a whole key: what a shorter one means is nowhere said. */
	if (rss->types && key_len != TVQ_RSS_KEY)
		return false;
	if (!r->failed && key_len <= r->left)
		memcpy(rss->key, r->at, key_len);
	(void)take(r, key_len);
	return true;
}

static bool decode_mq(uint8_t command, struct reader *r, uint64_t features, uint16_t max_pairs,
		      struct net_ctrl *out)
{
	switch (command) {
	case 0:
		out->what = NET_CTRL_PAIRS;
		out->value = take16(r);
		return features & TVQ_BIT(NET_F_MQ) && out->value && out->value <= max_pairs;
	case 1:
		out->what = NET_CTRL_RSS;
		return features & TVQ_BIT(NET_F_RSS) && decode_hash(r, max_pairs, true, out);
	case 2:
		out->what = NET_CTRL_HASH;
		return features & TVQ_BIT(NET_F_HASH_REPORT) &&
		       decode_hash(r, max_pairs, false, out);
	default:
		return false;
	}
}

static bool decode(struct reader *r, uint64_t features, uint16_t max_pairs, struct net_ctrl *out)
{
	uint8_t class = take8(r), command = take8(r);

	if (r->failed || !(features & TVQ_BIT(NET_F_CTRL_VQ)))
		return false;
	switch (class) {
	case 0:
		return decode_rx(command, r, features, out);
	case 1:
		return decode_mac(command, r, features, out);
	case 2:
		return decode_vlan(command, r, features, out);
	case 3:
		out->what = NET_CTRL_ANNOUNCE_ACK;
		return !command && features & TVQ_BIT(NET_F_GUEST_ANNOUNCE);
	case 4:
		return decode_mq(command, r, features, max_pairs, out);
	default:
		return false;
	}
}

int net_ctrl_decode(const uint8_t *buf, uint32_t len, uint64_t features, uint16_t max_pairs,
		    struct net_ctrl *out)
{
	struct reader r = { .at = buf, .left = len };

	memset(out, 0, sizeof(*out));
	return decode(&r, features, max_pairs, out) && !r.failed && !r.left ? 0 : -EINVAL;
}
