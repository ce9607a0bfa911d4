/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The arguments of requests: one table, one check for each kind of value. Part of the trust
 * boundary of request.c.
 */
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include <tvq/volume.h>

#include "nettext.h"
#include "request.h"

#define SOCKET_PATH (sizeof(((struct sockaddr_un *)0)->sun_path) - 1)

enum kind {
	KIND_NAME,   /* max: bytes */
	KIND_PATH,   /* max: bytes */
	KIND_NUMBER, /* min ... max */
	KIND_LIMIT,  /* min ... max, or none: 0 */
	KIND_SIZE,   /* bytes, a multiple of 512, suffixes K M G T */
	KIND_MASK,   /* 64 bits */
	KIND_SWITCH, /* on, off */
	KIND_LINK,   /* up, down */
	KIND_MAC,    /* of one device */
	KIND_RATE,   /* bits a second */
	KIND_VLANS,  /* a list */
	KIND_IFNAME, /* of a network device of the kernel */
};

static const struct key {
	const char *name;
	enum kind kind;
	uint64_t min, max;
} keys[TVQD_KEYS] = {
	[TVQD_NAME] = { "name", KIND_NAME, 1, TVQD_NAME_MAX },
	[TVQD_MGMTDEV] = { "mgmtdev", KIND_NAME, 1, TVQD_NAME_MAX },
	[TVQD_CLASS] = { "class", KIND_NAME, 1, TVQD_NAME_MAX },
	[TVQD_VOLUME] = { "volume", KIND_NAME, 1, TVQ_VOLUME_ID_LEN },
	[TVQD_CAPACITY] = { "capacity", KIND_SIZE, 512, INT64_MAX },
	[TVQD_NUM_QUEUES] = { "num_queues", KIND_NUMBER, 1, UINT16_MAX },
	[TVQD_READONLY] = { "readonly", KIND_SWITCH, 0, 1 },
	[TVQD_FEATURES] = { "features", KIND_MASK, 0, UINT64_MAX },
	[TVQD_BLK_SIZE] = { "blk_size", KIND_NUMBER, 512, 4096 },
	[TVQD_VHOST_USER] = { "vhost-user", KIND_PATH, 1, SOCKET_PATH },
	[TVQD_QIDX] = { "qidx", KIND_NUMBER, 0, UINT16_MAX },
	[TVQD_FROM] = { "from", KIND_NUMBER, 0, UINT64_MAX },
	[TVQD_FILE] = { "file", KIND_PATH, 1, 4095 },
	[TVQD_RAM] = { "ram", KIND_SIZE, 512, INT64_MAX },
	[TVQD_NULL] = { "null", KIND_SIZE, 512, INT64_MAX },
	[TVQD_NULL_ZERO] = { "null,zero", KIND_SIZE, 512, INT64_MAX },
	[TVQD_POOL] = { "pool", KIND_PATH, 1, 4095 },
	[TVQD_SIZE] = { "size", KIND_SIZE, 512, INT64_MAX },
	[TVQD_DIRECT] = { "direct", KIND_SWITCH, 0, 1 },
	[TVQD_STOP] = { "stop", KIND_SWITCH, 0, 1 },
	[TVQD_MAC] = { "mac", KIND_MAC, 0, 0 },
	[TVQD_MTU] = { "mtu", KIND_NUMBER, TVQ_MTU_MIN, TVQ_MTU_MAX },
	[TVQD_MAX_VQP] = { "max_vqp", KIND_NUMBER, 1, 0x8000 },
	[TVQD_VLAN] = { "vlan", KIND_LIMIT, 1, TVQ_VLAN_MAX },
	[TVQD_TRUNK] = { "trunk", KIND_VLANS, 0, 0 },
	[TVQD_PVID] = { "pvid", KIND_NUMBER, 1, TVQ_VLAN_MAX },
	[TVQD_RATE] = { "rate", KIND_RATE, 0, TVQD_RATE_MAX },
	[TVQD_PPS] = { "pps", KIND_LIMIT, 0, 1000000000 },
	[TVQD_LINK] = { "link", KIND_LINK, 0, 1 },
	[TVQD_SPOOFCHK] = { "spoofchk", KIND_SWITCH, 0, 1 },
	[TVQD_TAP] = { "tap", KIND_IFNAME, 1, IFNAMSIZ - 1 },
	[TVQD_STREAM] = { "stream", KIND_PATH, 1, SOCKET_PATH },
	[TVQD_LISTEN] = { "listen", KIND_SWITCH, 0, 1 },
	[TVQD_MAX] = { "max", KIND_SIZE, 512, INT64_MAX },
	[TVQD_SINK] = { "sink", KIND_SWITCH, 0, 1 },
	[TVQD_SOURCE] = { "source", KIND_SWITCH, 0, 1 },
	[TVQD_TO] = { "to", KIND_MAC, 0, 0 },
	[TVQD_FRAME_SIZE] = { "size", KIND_NUMBER, 60, 1514 },
};

const char *tvqd_key_name(enum tvqd_key key)
{
	return keys[key].name;
}

/* What a client sent is quoted, but no more of it than fits into a line. */
#define QUOTE "'%.64s'"

static int name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("._:+@-", c));
}

static int check_name(const struct key *k, const char *s, char *err)
{
	size_t n = 0;

	while (name_char(s[n]))
		n++;
	if (!s[n] && n >= k->min && n <= k->max && s[0] != '-')
		return 0;
	snprintf(err, TVQD_ERR_LEN,
		 "%s " QUOTE ": expected 1 to %u letters, digits or . _ : + @ -, "
		 "not starting with -",
		 k->name, s, (unsigned int)k->max);
	return -EINVAL;
}

static int check_path(const struct key *k, const char *s, char *err)
{
	if (s[0] != '/') {
		snprintf(err, TVQD_ERR_LEN, "%s " QUOTE ": expected an absolute path", k->name, s);
		return -EINVAL;
	}
	if (strlen(s) > k->max) {
		snprintf(err, TVQD_ERR_LEN,
			 "%s '%.64s...': %zu bytes are too long, expected at most %u", k->name, s,
			 strlen(s), (unsigned int)k->max);
		return -EINVAL;
	}
	return 0;
}

/* Decimal, or hexadecimal behind 0x; all digits, no sign. */
static int parse_u64(const char *s, const char **end, uint64_t *v)
{
	unsigned int base = 10, n = 0;

	if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) {
		base = 16;
		s += 2;
	}
	for (*v = 0;; s++, n++) {
		unsigned int d = *s >= '0' && *s <= '9'	  ? (unsigned int)(*s - '0')
				 : *s >= 'a' && *s <= 'f' ? (unsigned int)(*s - 'a' + 10)
				 : *s >= 'A' && *s <= 'F' ? (unsigned int)(*s - 'A' + 10)
							  : 16;

		if (d >= base)
			break;
		if (__builtin_mul_overflow(*v, base, v) || __builtin_add_overflow(*v, d, v))
			return -ERANGE;
	}
	*end = s;
	return n ? 0 : -EINVAL;
}

static int parse_suffix(const char *s, uint64_t *v)
{
	static const char suffixes[] = "KMGT";
	const char *p;

	if (!*s)
		return 0;
	p = strchr(suffixes, *s & ~0x20);
	if (!p || s[1])
		return -EINVAL;
	return __builtin_mul_overflow(*v, 1ull << (10 * (p - suffixes + 1)), v) ? -ERANGE : 0;
}

/* What would be right, for everything but names and paths. */
static int value_error(const struct key *k, const char *s, char *err)
{
	static const char *const right[] = {
		[KIND_SIZE] = "bytes, a multiple of 512, as in 512M or 10G",
		[KIND_MASK] = "a mask of 64 bits, as in 0x300000000",
		[KIND_SWITCH] = "on or off",
		[KIND_LINK] = "up or down",
		[KIND_MAC] = "a device's own address, not a group's and not zero, as in "
			     "52:54:00:12:34:56",
		[KIND_RATE] = "bits a second with a unit of tc, as in 100mbit or 2.5gbit, up to "
			      "1tbit; or none",
		[KIND_VLANS] = "VLANs from 1 to 4094, as in 2,10-20",
		[KIND_IFNAME] = "the name of a network device: 1 to 15 printable characters "
				"without / and :",
	};

	if (k->kind == KIND_NUMBER || k->kind == KIND_LIMIT)
		snprintf(err, TVQD_ERR_LEN, "%s " QUOTE ": expected a number from %llu to %llu%s",
			 k->name, s, (unsigned long long)k->min, (unsigned long long)k->max,
			 k->kind == KIND_LIMIT ? ", or none" : "");
	else
		snprintf(err, TVQD_ERR_LEN, "%s " QUOTE ": expected %s", k->name, s,
			 right[k->kind]);
	return -EINVAL;
}

static int check_number(const struct key *k, uint64_t v)
{
	if (v < k->min || v > k->max || (k->kind == KIND_SIZE && v % 512))
		return -EINVAL;
	return 0;
}

static int parse_number(const struct key *k, const char *s, uint64_t *v)
{
	const char *end;

	if (k->kind == KIND_LIMIT && !strcmp(s, "none")) {
		*v = 0;
		return 0;
	}
	if (parse_u64(s, &end, v) < 0 ||
	    (k->kind == KIND_SIZE ? parse_suffix(end, v) < 0 : *end != '\0'))
		return -EINVAL;
	return check_number(k, *v);
}

static int parse_either(const char *s, const char *yes, const char *no, uint64_t *v)
{
	*v = !strcmp(s, yes);
	return *v || !strcmp(s, no) ? 0 : -EINVAL;
}

static int parse_mac(const char *s, uint64_t *v)
{
	uint8_t mac[6];

	if (tvqd_mac_parse(s, mac) < 0)
		return -EINVAL;
	*v = tvqd_mac_num(mac);
	return mac[0] & 1 || !*v ? -EINVAL : 0;
}

/* What the kernel takes, but for '%', which it takes for a pattern. */
static int check_ifname(const struct key *k, const char *s)
{
	size_t n = strlen(s);

	if (n < k->min || n > k->max || !strcmp(s, ".") || !strcmp(s, ".."))
		return -EINVAL;
	for (; *s; s++) {
		if (*s <= ' ' || *s > '~' || strchr("/:%", *s))
			return -EINVAL;
	}
	return 0;
}

static int parse_value(const struct key *k, const char *s, uint64_t *v)
{
	uint64_t set[TVQ_VLANS / 64];

	switch (k->kind) {
	case KIND_SWITCH:
		return parse_either(s, "on", "off", v);
	case KIND_LINK:
		return parse_either(s, "up", "down", v);
	case KIND_MAC:
		return parse_mac(s, v);
	case KIND_RATE:
		return tvqd_rate_parse(s, v);
	case KIND_VLANS:
		return tvqd_vlans_parse(s, set);
	case KIND_IFNAME:
		return check_ifname(k, s);
	default:
		return parse_number(k, s, v);
	}
}

static int parse_string(const struct key *k, const char *s, uint64_t *v, char *err)
{
	if (k->kind == KIND_NAME)
		return check_name(k, s, err);
	if (k->kind == KIND_PATH)
		return check_path(k, s, err);
	return parse_value(k, s, v) < 0 ? value_error(k, s, err) : 0;
}

static bool is_string_kind(enum kind kind)
{
	return kind == KIND_NAME || kind == KIND_PATH || kind == KIND_VLANS || kind == KIND_IFNAME;
}

static bool is_number_kind(enum kind kind)
{
	return kind == KIND_NUMBER || kind == KIND_LIMIT || kind == KIND_SIZE ||
	       kind == KIND_MASK || kind == KIND_RATE;
}

static int parse_json_int(const struct key *k, struct json_object *value, uint64_t *v, char *err)
{
	*v = json_object_get_uint64(value);
	/* json-c reads a negative number as 0. */
	if (json_object_get_int64(value) < 0 || check_number(k, *v) < 0)
		return value_error(k, json_object_to_json_string(value), err);
	return 0;
}

int tvqd_arg_parse(struct tvqd_args *a, enum tvqd_key key, struct json_object *value, char *err)
{
	const struct key *k = &keys[key];
	enum json_type type = json_object_get_type(value);
	uint64_t num = 0;
	int ret;

	if (type == json_type_string) {
		const char *s = json_object_get_string(value);

		if (strlen(s) != (size_t)json_object_get_string_len(value)) {
			snprintf(err, TVQD_ERR_LEN, "%s " QUOTE ": it holds a NUL", k->name, s);
			return -EINVAL;
		}
		ret = parse_string(k, s, &num, err);
		if (is_string_kind(k->kind))
			a->v[key].str = s;
		else
			a->v[key].num = num;
	} else if (type == json_type_boolean && k->kind == KIND_SWITCH) {
		a->v[key].num = (uint64_t)json_object_get_boolean(value);
		ret = 0;
	} else if (type == json_type_int && is_number_kind(k->kind)) {
		ret = parse_json_int(k, value, &a->v[key].num, err);
	} else {
		snprintf(err, TVQD_ERR_LEN, "%s: a JSON %s is no value for it", k->name,
			 json_type_to_name(type));
		ret = -EINVAL;
	}
	if (!ret)
		a->have |= 1ull << key;
	return ret;
}
