/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <json-c/json.h>

#include <vfio_user/json.h>

#define MAX_DEPTH 16

static struct json_object *parse(const char *text, size_t len)
{
	struct json_tokener *tok = json_tokener_new_ex(MAX_DEPTH);
	struct json_object *root;
	size_t end;

	if (!tok)
		return NULL;
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_ALLOW_TRAILING_CHARS);
	root = json_tokener_parse_ex(tok, text, (int)len);
	end = json_tokener_get_parse_end(tok);
	json_tokener_free(tok);
	while (end < len && strchr(" \t\r\n", text[end]))
		end++;
	if (json_object_is_type(root, json_type_object) && end == len)
		return root;
	json_object_put(root);
	return NULL;
}

static bool take_number(struct json_object *o, struct vfu_json_number *num)
{
	struct json_object *v;

	num->found = json_object_object_get_ex(o, num->key, &v);
	if (!num->found)
		return true;
	if (!json_object_is_type(v, json_type_int) || json_object_get_int64(v) < 0)
		return false;
	num->value = json_object_get_uint64(v);
	return true;
}

bool vfu_json_numbers(const char *text, size_t len, const char *object, struct vfu_json_number *num,
		      unsigned int n)
{
	struct json_object *root = parse(text, len), *o = NULL;
	bool ok = root;

	for (unsigned int i = 0; i < n; i++)
		num[i].found = false;
	if (ok && json_object_object_get_ex(root, object, &o)) {
		ok = json_object_is_type(o, json_type_object);
		for (unsigned int i = 0; ok && i < n; i++)
			ok = take_number(o, &num[i]);
	}
	json_object_put(root);
	return ok;
}
