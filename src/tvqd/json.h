/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Members of answers.
 */
#ifndef TVQD_JSON_H
#define TVQD_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include <json-c/json.h>

static inline void tvqd_add_num(struct json_object *o, const char *name, uint64_t v)
{
	json_object_object_add(o, name, json_object_new_uint64(v));
}

static inline void tvqd_add_str(struct json_object *o, const char *name, const char *s)
{
	json_object_object_add(o, name, json_object_new_string(s));
}

static inline void tvqd_add_bool(struct json_object *o, const char *name, bool v)
{
	json_object_object_add(o, name, json_object_new_boolean(v));
}

/* {SECTION: {NAME: value}}: the answer to a show of one thing. Takes over value. */
static inline struct json_object *tvqd_one(const char *section, const char *name,
					   struct json_object *value)
{
	struct json_object *result = json_object_new_object(), *o = json_object_new_object();

	json_object_object_add(o, name, value);
	json_object_object_add(result, section, o);
	return result;
}

#endif
