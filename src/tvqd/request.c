/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Trust boundary: the bytes of a control client end here. What leaves is a command of the table
 * with every argument of the right kind, within its range, and the required ones there.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include <tvq/volume.h>

#include "request.h"

/* Requests are an object with an object in it. */
#define MAX_DEPTH 4

enum kind {
	KIND_NAME,   /* max: bytes */
	KIND_PATH,   /* max: bytes */
	KIND_NUMBER, /* min ... max */
	KIND_SIZE,   /* bytes, a multiple of 512, suffixes K M G T */
	KIND_MASK,   /* 64 bits */
	KIND_SWITCH,
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
	[TVQD_VHOST_USER] = { "vhost-user", KIND_PATH, 1,
			      sizeof(((struct sockaddr_un *)0)->sun_path) - 1 },
	[TVQD_QIDX] = { "qidx", KIND_NUMBER, 0, UINT16_MAX },
	[TVQD_FROM] = { "from", KIND_NUMBER, 0, INT64_MAX },
	[TVQD_FILE] = { "file", KIND_PATH, 1, 4095 },
	[TVQD_RAM] = { "ram", KIND_SIZE, 512, INT64_MAX },
	[TVQD_NULL] = { "null", KIND_SIZE, 512, INT64_MAX },
	[TVQD_NULL_ZERO] = { "null,zero", KIND_SIZE, 512, INT64_MAX },
	[TVQD_POOL] = { "pool", KIND_PATH, 1, 4095 },
	[TVQD_SIZE] = { "size", KIND_SIZE, 512, INT64_MAX },
	[TVQD_DIRECT] = { "direct", KIND_SWITCH, 0, 1 },
	[TVQD_STOP] = { "stop", KIND_SWITCH, 0, 1 },
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

static int number_error(const struct key *k, const char *s, char *err)
{
	switch (k->kind) {
	case KIND_SIZE:
		snprintf(err, TVQD_ERR_LEN,
			 "%s " QUOTE ": expected bytes, a multiple of 512, as in 512M or 10G",
			 k->name, s);
		break;
	case KIND_MASK:
		snprintf(err, TVQD_ERR_LEN,
			 "%s " QUOTE ": expected a mask of 64 bits, as in 0x300000000", k->name, s);
		break;
	default:
		snprintf(err, TVQD_ERR_LEN, "%s " QUOTE ": expected a number from %llu to %llu",
			 k->name, s, (unsigned long long)k->min, (unsigned long long)k->max);
	}
	return -EINVAL;
}

static int check_number(const struct key *k, uint64_t v)
{
	if (v < k->min || v > k->max || (k->kind == KIND_SIZE && v % 512))
		return -EINVAL;
	return 0;
}

static int check_switch(const struct key *k, const char *s, uint64_t *v, char *err)
{
	if (!strcmp(s, "on") || !strcmp(s, "off")) {
		*v = s[1] == 'n';
		return 0;
	}
	snprintf(err, TVQD_ERR_LEN, "%s " QUOTE ": expected on or off", k->name, s);
	return -EINVAL;
}

static int parse_string(const struct key *k, const char *s, uint64_t *v, char *err)
{
	const char *end;

	switch (k->kind) {
	case KIND_NAME:
		return check_name(k, s, err);
	case KIND_PATH:
		return check_path(k, s, err);
	case KIND_SWITCH:
		return check_switch(k, s, v, err);
	default:
		if (parse_u64(s, &end, v) < 0 ||
		    (k->kind == KIND_SIZE ? parse_suffix(end, v) < 0 : *end != '\0') ||
		    check_number(k, *v) < 0)
			return number_error(k, s, err);
		return 0;
	}
}

static bool is_string_kind(enum kind kind)
{
	return kind == KIND_NAME || kind == KIND_PATH;
}

static int parse_json_int(const struct key *k, struct json_object *value, uint64_t *v, char *err)
{
	*v = json_object_get_uint64(value);
	/* json-c reads a negative number as 0. */
	if (json_object_get_int64(value) < 0 || check_number(k, *v) < 0)
		return number_error(k, json_object_to_json_string(value), err);
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
	} else if (type == json_type_int && !is_string_kind(k->kind) && k->kind != KIND_SWITCH) {
		ret = parse_json_int(k, value, &a->v[key].num, err);
	} else {
		snprintf(err, TVQD_ERR_LEN, "%s: a JSON %s is no value for it", k->name,
			 json_type_to_name(type));
		ret = -EINVAL;
	}
	if (!ret)
		a->have |= 1u << key;
	return ret;
}

/* Appends the names of the keys in the mask. */
static void list_keys(char *err, uint32_t mask)
{
	size_t n = strlen(err);

	for (unsigned int i = 0; i < TVQD_KEYS && n < TVQD_ERR_LEN; i++) {
		if (mask >> i & 1)
			n += (size_t)snprintf(err + n, TVQD_ERR_LEN - n, " %s", keys[i].name);
	}
}

static int find_key(const struct tvqd_command *cmd, const char *name, char *err)
{
	uint32_t mask = cmd->required | cmd->optional;

	for (unsigned int i = 0; i < TVQD_KEYS; i++) {
		if (mask >> i & 1 && !strcmp(keys[i].name, name))
			return (int)i;
	}
	snprintf(err, TVQD_ERR_LEN, "%s has no argument " QUOTE "; it takes%s", cmd->name, name,
		 mask ? "" : " none");
	list_keys(err, mask);
	return -EINVAL;
}

static int parse_args(struct tvqd_request *rq, struct json_object *args, char *err)
{
	uint32_t missing;

	if (args && !json_object_is_type(args, json_type_object)) {
		snprintf(err, TVQD_ERR_LEN, "args: expected a JSON object");
		return -EINVAL;
	}
	if (args) {
		json_object_object_foreach(args, name, value)
		{
			int key = find_key(rq->cmd, name, err);

			if (key < 0 ||
			    tvqd_arg_parse(&rq->args, (enum tvqd_key)key, value, err) < 0)
				return -EINVAL;
		}
	}
	missing = rq->cmd->required & ~rq->args.have;
	if (!missing)
		return 0;
	snprintf(err, TVQD_ERR_LEN, "%s needs", rq->cmd->name);
	list_keys(err, missing);
	return -EINVAL;
}

static const struct tvqd_command *find_command(struct json_object *name, char *err)
{
	const struct tvqd_command *c;
	const char *s;
	size_t n;

	c = tvqd_commands(&n);
	if (!json_object_is_type(name, json_type_string)) {
		snprintf(err, TVQD_ERR_LEN,
			 "a request needs \"cmd\", a string such as \"dev show\"");
		return NULL;
	}
	s = json_object_get_string(name);
	for (size_t i = 0; i < n; i++) {
		if (!strcmp(c[i].name, s))
			return &c[i];
	}
	snprintf(err, TVQD_ERR_LEN, "no request " QUOTE "; there are:", s);
	for (size_t i = 0, at = strlen(err); i < n && at < TVQD_ERR_LEN; i++)
		at += (size_t)snprintf(err + at, TVQD_ERR_LEN - at, "%s %s", i ? "," : "",
				       c[i].name);
	return NULL;
}

static int parse_root(struct tvqd_request *rq, char *err)
{
	struct json_object *id = NULL, *args = NULL, *cmd = NULL;

	if (!json_object_is_type(rq->root, json_type_object)) {
		snprintf(err, TVQD_ERR_LEN,
			 "expected a JSON object, {\"cmd\": ..., \"args\": {...}}");
		return -EINVAL;
	}
	json_object_object_foreach(rq->root, name, value)
	{
		if (!strcmp(name, "id")) {
			id = value;
		} else if (!strcmp(name, "cmd")) {
			cmd = value;
		} else if (!strcmp(name, "args")) {
			args = value;
		} else {
			snprintf(err, TVQD_ERR_LEN,
				 "unknown member " QUOTE "; a request has id, cmd, args", name);
			return -EINVAL;
		}
	}
	if (id && !json_object_is_type(id, json_type_int) &&
	    !json_object_is_type(id, json_type_string)) {
		snprintf(err, TVQD_ERR_LEN, "id: expected a number or a string");
		return -EINVAL;
	}
	rq->id = id;
	rq->cmd = find_command(cmd, err);
	return rq->cmd ? parse_args(rq, args, err) : -EINVAL;
}

static bool only_space(const char *s, size_t n)
{
	while (n && (*s == ' ' || *s == '\t' || *s == '\r'))
		s++, n--;
	return !n;
}

int tvqd_request_parse(struct tvqd_request *rq, const char *line, size_t len, char *err)
{
	struct json_tokener *tok = json_tokener_new_ex(MAX_DEPTH);
	enum json_tokener_error e;
	size_t end;

	*rq = (struct tvqd_request){ 0 };
	if (!tok) {
		snprintf(err, TVQD_ERR_LEN, "out of memory");
		return -ENOMEM;
	}
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8 |
					    JSON_TOKENER_ALLOW_TRAILING_CHARS);
	rq->root = json_tokener_parse_ex(tok, line, (int)len);
	e = json_tokener_get_error(tok);
	end = json_tokener_get_parse_end(tok);
	json_tokener_free(tok);
	if (e == json_tokener_continue) {
		snprintf(err, TVQD_ERR_LEN, "bad JSON: it ends in the middle");
		return -EINVAL;
	}
	if (e != json_tokener_success) {
		snprintf(err, TVQD_ERR_LEN, "bad JSON: %s at byte %zu", json_tokener_error_desc(e),
			 end);
		return -EINVAL;
	}
	if (!only_space(line + end, len - end)) {
		snprintf(err, TVQD_ERR_LEN, "bad JSON: something follows the object at byte %zu",
			 end);
		return -EINVAL;
	}
	return parse_root(rq, err);
}

void tvqd_request_clear(struct tvqd_request *rq)
{
	json_object_put(rq->root);
	*rq = (struct tvqd_request){ 0 };
}
