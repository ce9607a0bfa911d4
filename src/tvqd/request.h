/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A request of the control protocol: one line of JSON in, a checked structure out. No I/O.
 *
 *   {"id": 1, "cmd": "dev add", "args": {"name": "d0", "mgmtdev": "mgmt0", "class": "block"}}
 *
 * answered by {"id": 1, "ok": {...}} or {"id": 1, "error": "what was wrong", "errno": "EEXIST"}. id
 * may be any string or number and comes back; without it the answer has none. Values may be
 * strings, as typed at tvqctl, or JSON's own numbers and booleans.
 */
#ifndef TVQD_REQUEST_H
#define TVQD_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>

#define TVQD_ERR_LEN	 512
#define TVQD_REQUEST_MAX 65536 /* bytes of a line, its newline included */
#define TVQD_NAME_MAX	 63

/* All arguments of all requests. */
enum tvqd_key {
	TVQD_NAME,
	TVQD_MGMTDEV,
	TVQD_CLASS,
	TVQD_VOLUME,
	TVQD_CAPACITY,
	TVQD_NUM_QUEUES,
	TVQD_READONLY,
	TVQD_FEATURES,
	TVQD_BLK_SIZE,
	TVQD_VHOST_USER,
	TVQD_QIDX,
	TVQD_FROM,
	TVQD_FILE,
	TVQD_RAM,
	TVQD_NULL,
	TVQD_NULL_ZERO,
	TVQD_POOL,
	TVQD_SIZE,
	TVQD_DIRECT,
	TVQD_STOP,
	TVQD_MAC,
	TVQD_MTU,
	TVQD_MAX_VQP,
	TVQD_VLAN,
	TVQD_TRUNK,
	TVQD_PVID,
	TVQD_RATE,
	TVQD_PPS,
	TVQD_LINK,
	TVQD_SPOOFCHK,
	TVQD_TAP,
	TVQD_STREAM,
	TVQD_LISTEN,
	TVQD_MAX,
	TVQD_SINK,
	TVQD_SOURCE,
	TVQD_TO,
	TVQD_FRAME_SIZE, /* "size" of what is no volume */
	TVQD_KEYS,
};

#define TVQD_BIT(key) (1ull << TVQD_##key)

struct tvqd_args {
	uint64_t have; /* bit for each key */
	union {
		/* numbers, sizes in bytes, masks, rates in bits a second, addresses (nettext.h),
		 * on and up (1), off and down (0); 0 where "none" is a value */
		uint64_t num;
		const char *str; /* names, paths, lists; the request's */
	} v[TVQD_KEYS];
};

static inline bool tvqd_has(const struct tvqd_args *a, enum tvqd_key key)
{
	return a->have >> key & 1;
}

/* NULL where it was not given. */
static inline const char *tvqd_str(const struct tvqd_args *a, enum tvqd_key key)
{
	return tvqd_has(a, key) ? a->v[key].str : NULL;
}

/* 0 where it was not given. */
static inline uint64_t tvqd_num(const struct tvqd_args *a, enum tvqd_key key)
{
	return tvqd_has(a, key) ? a->v[key].num : 0;
}

struct tvqd;
struct tvqd_call;

struct tvqd_command {
	const char *name;
	unsigned int role;	     /* that it needs: TVQD_OWNER, TVQD_DRIVER (where.h); 0: any */
	uint64_t required, optional; /* bits of keys */
	/* Answers by tvqd_reply() or tvqd_reply_err(), once, now or later. Does not block. */
	void (*run)(struct tvqd *d, struct tvqd_call *call);
};

struct tvqd_request {
	struct json_object *root; /* holds id and what args points to */
	struct json_object *id;	  /* NULL: none */
	const struct tvqd_command *cmd;
	struct tvqd_args args;
};

/* The one table; n gets its length. In commands.c. */
const struct tvqd_command *tvqd_commands(size_t *n);

/*
 * Decodes a line (without newline; need not end in NUL). -EINVAL and a sentence in err
 * (TVQD_ERR_LEN) that quotes what was wrong and says what would be right; rq->id is set all the
 * same where there was one. tvqd_request_clear() is due in both cases.
 */
int tvqd_request_parse(struct tvqd_request *rq, const char *line, size_t len, char *err);
void tvqd_request_clear(struct tvqd_request *rq);

/* The checks of single values, for tests. Errors as above; key says which argument it is for. */
int tvqd_arg_parse(struct tvqd_args *a, enum tvqd_key key, struct json_object *value, char *err);
const char *tvqd_key_name(enum tvqd_key key);

#endif
