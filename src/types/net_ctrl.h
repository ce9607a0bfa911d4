/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Commands of a network device's control queue (virtio 1.4, 5.1.6.5): from bytes to a checked
 * structure. The only function that judges them.
 */
#ifndef TVQ_TYPES_NET_CTRL_H
#define TVQ_TYPES_NET_CTRL_H

#include <stdbool.h>
#include <stdint.h>

#include <tvq/switch.h>

#include "switch/offload.h"

/* Feature bits, by number (virtio 1.4, 5.1.3). */
enum {
	NET_F_CSUM = 0,
	NET_F_GUEST_CSUM = 1,
	NET_F_MTU = 3,
	NET_F_MAC = 5,
	NET_F_GUEST_TSO4 = 7,
	NET_F_GUEST_TSO6 = 8,
	NET_F_GUEST_ECN = 9,
	NET_F_HOST_TSO4 = 11,
	NET_F_HOST_TSO6 = 12,
	NET_F_HOST_ECN = 13,
	NET_F_MRG_RXBUF = 15,
	NET_F_STATUS = 16,
	NET_F_CTRL_VQ = 17,
	NET_F_CTRL_RX = 18,
	NET_F_CTRL_VLAN = 19,
	NET_F_CTRL_RX_EXTRA = 20,
	NET_F_GUEST_ANNOUNCE = 21,
	NET_F_MQ = 22,
	NET_F_CTRL_MAC_ADDR = 23,
	NET_F_HASH_REPORT = 57,
	NET_F_RSS = 60,
	NET_F_SPEED_DUPLEX = 63,
};

#define NET_CTRL_MAX	 4096 /* longest command that is looked at, bytes */
#define NET_RSS_TABLE	 128
#define NET_RSS_TYPES	 0x3f /* IPv4, TCPv4, UDPv4, IPv6, TCPv6, UDPv6 */
#define NET_CTRL_ACK_OK	 0
#define NET_CTRL_ACK_ERR 1

enum net_ctrl_what {
	NET_CTRL_PROMISC, /* on */
	NET_CTRL_ALLMULTI,
	NET_CTRL_ALLUNI,
	NET_CTRL_NOMULTI,
	NET_CTRL_NOUNI,
	NET_CTRL_NOBCAST,
	NET_CTRL_MAC_TABLE, /* table */
	NET_CTRL_MAC_ADDR,  /* mac: neither zero nor a group's */
	NET_CTRL_VLAN_ADD,  /* value: 0 to TVQ_VLAN_MAX */
	NET_CTRL_VLAN_DEL,
	NET_CTRL_ANNOUNCE_ACK,
	NET_CTRL_PAIRS, /* value: 1 to max_pairs */
	NET_CTRL_RSS,	/* rss; value: pairs to send on */
	NET_CTRL_HASH,	/* rss: types and key only */
};

/* Receive-side scaling, and what is reported of the hash. */
struct net_rss {
	uint32_t types;	       /* VIRTIO_NET_HASH_TYPE_*: a subset of NET_RSS_TYPES */
	uint16_t mask;	       /* of the table: a power of two minus 1 */
	uint16_t unclassified; /* pair for frames without hash */
	uint16_t table[NET_RSS_TABLE];
	uint8_t key[TVQ_RSS_KEY];
};

struct net_ctrl {
	enum net_ctrl_what what;
	bool on;
	uint16_t value;
	uint8_t mac[6];
	/* The two tables: what does not fit makes the port take all of its kind. */
	bool all_unicast, all_multicast;
	uint16_t n_unicast, n_multicast;
	uint8_t table[TVQ_FILTER_MACS][6]; /* unicast first */
	struct net_rss rss;
};

/*
 * The readable part of a command, copied. features: accepted. 0, and out is set; -EINVAL: a class
 * or command that is unknown or was not negotiated, another length than the command has, a table
 * longer than the buffer, a value out of range. Pure.
 */
int net_ctrl_decode(const uint8_t *buf, uint32_t len, uint64_t features, uint16_t max_pairs,
		    struct net_ctrl *out);

#endif
