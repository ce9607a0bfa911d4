// SPDX-License-Identifier: BSD-3-Clause
/*
 * A control command of a network device, decoded (src/types/net_ctrl.h). What was accepted is held
 * against what the device relies on without looking again: numbers of pairs, of VLANs, of
 * addresses, and the table of a hash lie within their bounds, and what was not negotiated is not
 * there.
 *
 * Input: u8 flags (1: nothing but CTRL_VQ is accepted, 2: not even that), u8 pairs, the command.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "types/net_ctrl.h"

#include "require.h"

#define HEADER 2

static void check_hash(const struct net_ctrl *c, uint16_t pairs)
{
	const struct net_rss *rss = &c->rss;

	REQUIRE(!(rss->types & ~(uint32_t)NET_RSS_TYPES));
	REQUIRE(rss->mask < NET_RSS_TABLE && !(rss->mask & (rss->mask + 1)));
	REQUIRE(rss->unclassified < pairs);
	for (unsigned int i = 0; i <= rss->mask; i++)
		REQUIRE(rss->table[i] < pairs);
	if (c->what == NET_CTRL_RSS)
		REQUIRE(c->value && c->value <= pairs);
}

static void check(const struct net_ctrl *c, uint16_t pairs)
{
	static const uint8_t zero[6];

	switch (c->what) {
	case NET_CTRL_MAC_TABLE:
		REQUIRE(c->n_unicast + c->n_multicast <= TVQ_FILTER_MACS);
		REQUIRE(!c->all_unicast || c->n_unicast == TVQ_FILTER_MACS);
		REQUIRE(!c->all_multicast || c->n_unicast + c->n_multicast == TVQ_FILTER_MACS);
		break;
	case NET_CTRL_MAC_ADDR:
		REQUIRE(!(c->mac[0] & 1) && memcmp(c->mac, zero, sizeof(zero)) != 0);
		break;
	case NET_CTRL_VLAN_ADD:
	case NET_CTRL_VLAN_DEL:
		REQUIRE(c->value <= TVQ_VLAN_MAX);
		break;
	case NET_CTRL_PAIRS:
		REQUIRE(c->value && c->value <= pairs);
		break;
	case NET_CTRL_RSS:
	case NET_CTRL_HASH:
		check_hash(c, pairs);
		break;
	default:
		REQUIRE(c->what <= NET_CTRL_NOBCAST || c->what == NET_CTRL_ANNOUNCE_ACK);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct net_ctrl c, again;
	uint64_t features = UINT64_MAX;
	uint16_t pairs;
	uint8_t *exact;
	int err;

	if (size < HEADER || size > HEADER + NET_CTRL_MAX)
		return 0;
	if (data[0] & 1)
		features = 1ull << NET_F_CTRL_VQ;
	if (data[0] & 2)
		features = ~(1ull << NET_F_CTRL_VQ);
	pairs = data[1] ? data[1] : 1;
	size -= HEADER;
	exact = malloc(size ? size : 1);
	REQUIRE(exact);
	memcpy(exact, data + HEADER, size);
	/* What was there before is not to be seen. */
	memset(&c, 0x5a, sizeof(c));
	err = net_ctrl_decode(size ? exact : exact + 1, (uint32_t)size, features, pairs, &c);
	REQUIRE(err == 0 || err == -EINVAL);
	if (!err) {
		REQUIRE(!(data[0] & 3));
		check(&c, pairs);
		/* Any byte less, or more, and it is no command. */
		REQUIRE(net_ctrl_decode(exact, (uint32_t)size - 1, features, pairs, &again));
	}
	free(exact);
	return 0;
}
