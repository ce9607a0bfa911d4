/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Trust boundary: texts of a control client.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "nettext.h"

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int tvqd_mac_parse(const char *s, uint8_t mac[6])
{
	if (strlen(s) != TVQD_MAC_LEN - 1)
		return -EINVAL;
	for (unsigned int i = 0; i < 6; i++, s += 3) {
		int high = hex(s[0]), low = hex(s[1]);

		if (high < 0 || low < 0 || s[2] != (i < 5 ? ':' : '\0'))
			return -EINVAL;
		mac[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}

void tvqd_mac_text(const uint8_t mac[6], char text[TVQD_MAC_LEN])
{
	snprintf(text, TVQD_MAC_LEN, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
		 mac[3], mac[4], mac[5]);
}

uint64_t tvqd_mac_num(const uint8_t mac[6])
{
	uint64_t num = 0;

	for (unsigned int i = 0; i < 6; i++)
		num = num << 8 | mac[i];
	return num;
}

void tvqd_mac_bytes(uint64_t num, uint8_t mac[6])
{
	for (unsigned int i = 6; i-- > 0; num >>= 8)
		mac[i] = (uint8_t)num;
}

/* Rates */

/* 0: no unit of that name. */
static uint64_t unit_bits(const char *s)
{
	static const char letters[] = "kmgt";
	uint64_t thousand = 1000, bits = 1;
	const char *p = *s ? strchr(letters, *s | 0x20) : NULL;

	if (!*s)
		return 1;
	if (p) {
		if ((s[1] | 0x20) == 'i')
			thousand = 1024;
		s += thousand == 1024 ? 2 : 1;
		for (int i = 0; i <= p - letters; i++)
			bits *= thousand;
	}
	if (!strcasecmp(s, "bit"))
		return bits;
	return strcasecmp(s, "bps") ? 0 : bits * 8;
}

int tvqd_rate_parse(const char *s, uint64_t *bits)
{
	uint64_t n = 0, parts = 1, unit;
	bool point = false, digits = false;

	*bits = 0;
	if (!strcmp(s, "none"))
		return 0;
	for (; (*s >= '0' && *s <= '9') || (*s == '.' && !point); s++) {
		if (*s == '.') {
			point = true;
			continue;
		}
		/* Neither can overflow below: 10^13 units of at most 2^43 bits. */
		if (n >= TVQD_RATE_MAX || parts >= TVQD_RATE_MAX)
			return -EINVAL;
		n = n * 10 + (uint64_t)(*s - '0');
		parts *= point ? 10 : 1;
		digits = true;
	}
	unit = unit_bits(s);
	if (!digits || !unit)
		return -EINVAL;
	/* A number that comes with a point is one of units, and has to be one of bits in the end. */
	if ((unsigned __int128)n * unit % parts ||
	    (unsigned __int128)n * unit / parts > TVQD_RATE_MAX)
		return -EINVAL;
	*bits = (uint64_t)((unsigned __int128)n * unit / parts);
	return 0;
}

/* VLANs */

static int parse_vid(const char **s, unsigned int *vid)
{
	const char *p = *s;

	for (*vid = 0; *p >= '0' && *p <= '9'; p++) {
		*vid = *vid * 10 + (unsigned int)(*p - '0');
		if (*vid > TVQ_VLAN_MAX)
			return -EINVAL;
	}
	if (p == *s || !*vid)
		return -EINVAL;
	*s = p;
	return 0;
}

int tvqd_vlans_parse(const char *s, uint64_t set[TVQ_VLANS / 64])
{
	unsigned int first, last;

	memset(set, 0, TVQ_VLANS / 8);
	for (;;) {
		if (parse_vid(&s, &first) < 0)
			return -EINVAL;
		last = first;
		if (*s == '-') {
			s++;
			if (parse_vid(&s, &last) < 0 || last < first)
				return -EINVAL;
		}
		for (; first <= last; first++)
			set[first / 64] |= 1ull << (first % 64);
		if (!*s)
			return 0;
		if (*s++ != ',')
			return -EINVAL;
	}
}

void tvqd_vlans_text(const uint64_t set[TVQ_VLANS / 64], char text[TVQD_VLANS_LEN])
{
	size_t n = 0;

	text[0] = '\0';
	for (unsigned int vid = 0; vid < TVQ_VLANS; vid++) {
		unsigned int last = vid;

		if (!tvqd_vlans_has(set, vid))
			continue;
		while (tvqd_vlans_has(set, last + 1))
			last++;
		n += (size_t)snprintf(text + n, TVQD_VLANS_LEN - n, last > vid ? "%s%u-%u" : "%s%u",
				      n ? "," : "", vid, last);
		vid = last;
	}
}
