/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Text as the vdpa tool writes it: "NAME: key value key value", lists on lines of their own below,
 * and a management device with each of its figures on its own line.
 */
#include <stdio.h>
#include <string.h>

#include "tvqctl.h"

void ctl_print_json(const struct ctl_options *o, struct json_object *root)
{
	int flags = JSON_C_TO_STRING_NOSLASHESCAPE;

	flags |= o->pretty ? JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED
			   : JSON_C_TO_STRING_PLAIN;
	puts(json_object_to_json_string_ext(root, flags));
}

static const char *text(struct json_object *v)
{
	return json_object_get_string(v);
}

static void print_list(const char *key, struct json_object *list)
{
	size_t n = json_object_array_length(list);

	printf("\n  %s", key);
	for (size_t i = 0; i < n; i++)
		printf(" %s", text(json_object_array_get_idx(list, i)));
}

/* Counters of one kind, those that are not 0; no line where all are. */
static void print_counters(const char *key, struct json_object *o)
{
	bool any = false;

	json_object_object_foreach(o, name, value)
	{
		if (json_object_is_type(value, json_type_int) && !json_object_get_uint64(value))
			continue;
		if (!any)
			printf("\n  %s", key);
		any = true;
		printf(" %s %s", name, text(value));
	}
}

/* Lists of one kind, each on a line of its own. */
static void print_lists(const char *key, struct json_object *o)
{
	char both[64];

	json_object_object_foreach(o, name, list)
	{
		snprintf(both, sizeof(both), "%s %s", key, name);
		print_list(both, list);
	}
}

static bool is_nested(struct json_object *v)
{
	return json_object_is_type(v, json_type_array) || json_object_is_type(v, json_type_object);
}

/* Figures on one line, then the lists. */
static void print_pairs(struct json_object *o)
{
	json_object_object_foreach(o, key, value)
	{
		if (!is_nested(value))
			printf(" %s %s", key, text(value));
	}
	json_object_object_foreach(o, name, list)
	{
		if (json_object_is_type(list, json_type_array))
			print_list(name, list);
		else if (json_object_is_type(list, json_type_object))
			print_counters(name, list);
	}
	putchar('\n');
}

/* A management device's in the order of the answer: its classes come first. */
static void print_mgmtdev(struct json_object *o)
{
	json_object_object_foreach(o, key, value)
	{
		if (json_object_is_type(value, json_type_array))
			print_list(key, value);
		else if (json_object_is_type(value, json_type_object))
			print_lists(key, value);
		else
			printf("\n  %s %s", key, text(value));
	}
	putchar('\n');
}

static void print_one(const char *section, const char *name, struct json_object *value)
{
	if (json_object_is_type(value, json_type_array)) {
		size_t n = json_object_array_length(value);

		for (size_t i = 0; i < n; i++) {
			printf("%s:", name);
			print_pairs(json_object_array_get_idx(value, i));
		}
		return;
	}
	if (!strcmp(section, "mgmtdev")) {
		printf("%s: ", name);
		print_mgmtdev(value);
		return;
	}
	printf("%s:", name);
	print_pairs(value);
}

void ctl_print(const struct ctl_options *o, const char *section, struct json_object *list)
{
	struct json_object *root;

	if (!o->json) {
		json_object_object_foreach(list, name, value) print_one(section, name, value);
		return;
	}
	root = json_object_new_object();
	json_object_object_add(root, section, json_object_get(list));
	ctl_print_json(o, root);
	json_object_put(root);
}
