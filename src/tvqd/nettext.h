/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Addresses, rates and sets of VLANs as people write them. Pure functions; what they take has been
 * checked completely when they return 0.
 */
#ifndef TVQD_NETTEXT_H
#define TVQD_NETTEXT_H

#include <stdbool.h>
#include <stdint.h>

#include <tvq/switch.h>

#define TVQD_MAC_LEN   18		/* "52:54:00:12:34:56" and NUL */
#define TVQD_VLANS_LEN 16384		/* "1000-1001," for every third number is the longest */
#define TVQD_RATE_MAX  1000000000000ull /* bits a second: 1 tbit */

/* Six bytes in hexadecimal, between colons. -EINVAL: something else. */
int tvqd_mac_parse(const char *s, uint8_t mac[6]);
void tvqd_mac_text(const uint8_t mac[6], char text[TVQD_MAC_LEN]);
/* An address in the low 48 bits of a number, its first byte the highest; and back. */
uint64_t tvqd_mac_num(const uint8_t mac[6]);
void tvqd_mac_bytes(uint64_t num, uint8_t mac[6]);

/* Bits a second with a unit of tc(8): "100mbit", "2.5gbit", "12mbps" (bytes), "1mibit", "64000".
 * "none" and "0": 0. -EINVAL: something else, a part of a bit, or above TVQD_RATE_MAX. */
int tvqd_rate_parse(const char *s, uint64_t *bits);

/* "2,10-20": VLANs from 1 to TVQ_VLAN_MAX, at least one. -EINVAL: set is undefined. */
int tvqd_vlans_parse(const char *s, uint64_t set[TVQ_VLANS / 64]);
void tvqd_vlans_text(const uint64_t set[TVQ_VLANS / 64], char text[TVQD_VLANS_LEN]);
static inline bool tvqd_vlans_has(const uint64_t set[TVQ_VLANS / 64], uint64_t vid)
{
	return vid < TVQ_VLANS && set[vid / 64] >> (vid % 64) & 1;
}

#endif
