/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tvqctl.h"

/* Answers that are waited for at a time, in what asks device by device. */
#define WINDOW 64

/* Moves what is in from to to; lists that are in both are joined. */
static void merge(struct json_object *to, struct json_object *from)
{
	json_object_object_foreach(from, name, value)
	{
		struct json_object *there;

		if (!json_object_is_type(value, json_type_array) ||
		    !json_object_object_get_ex(to, name, &there)) {
			json_object_object_add(to, name, json_object_get(value));
			continue;
		}
		for (size_t i = 0; i < json_object_array_length(value); i++)
			json_object_array_add(there,
					      json_object_get(json_object_array_get_idx(value, i)));
	}
}

/* Text is printed page by page; JSON is one object, so it is collected. */
static int show_pages(struct ctl_client *c, const struct ctl_options *o, const char *cmd,
		      const char *section, struct json_object *args, struct json_object *all,
		      char *err)
{
	struct json_object *ok, *list, *next, *more;

	for (;;) {
		ok = ctl_call(c, cmd, args, err);
		if (!ok)
			return CTL_FAILED;
		if (json_object_object_get_ex(ok, section, &list)) {
			if (all)
				merge(all, list);
			else
				ctl_print(o, section, list);
		}
		more = json_object_object_get_ex(ok, "next", &next) ? json_object_get(next) : NULL;
		json_object_put(ok);
		if (!more)
			return CTL_OK;
		args = json_object_new_object();
		json_object_object_add(args, "from", more);
	}
}

static int show(struct ctl_client *c, const struct ctl_options *o, const struct ctl_command *cmd,
		struct json_object *args, char *err)
{
	struct json_object *all = o->json ? json_object_new_object() : NULL;
	char name[64];
	int ret;

	ctl_name(cmd, name, sizeof(name));
	ret = show_pages(c, o, name, cmd->section, args, all, err);
	if (all && ret == CTL_OK)
		ctl_print(o, cmd->section, all);
	json_object_put(all);
	return ret;
}

/* An answer for one of many devices. One that has gone meanwhile is left out, and one that the
 * client of a serving daemon drives: what is asked is not ours. */
static int take_each(struct ctl_client *c, const char *section, struct json_object *all, char *err)
{
	struct json_object *answer = ctl_get(c), *ok, *list;
	const char *why, *name;
	int ret = CTL_OK;

	if (!answer) {
		snprintf(err, CTL_ERR_LEN, "tvqd ended the connection");
		return CTL_FAILED;
	}
	why = ctl_error(answer, &name);
	if (!why) {
		if (json_object_object_get_ex(answer, "ok", &ok) &&
		    json_object_object_get_ex(ok, section, &list))
			merge(all, list);
	} else if (strcmp(name, "ENOENT") != 0 && strcmp(name, "EBUSY") != 0 &&
		   strcmp(name, "EOPNOTSUPP") != 0) {
		snprintf(err, CTL_ERR_LEN, "%s", why);
		ret = CTL_FAILED;
	}
	json_object_put(answer);
	return ret;
}

static int ask_each(struct ctl_client *c, const char *cmd, const char *section,
		    struct json_object *devs, struct json_object *all, char *err)
{
	unsigned int waiting = 0;
	int ret = CTL_OK;

	json_object_object_foreach(devs, name, value)
	{
		struct json_object *args = json_object_new_object();

		(void)value;
		json_object_object_add(args, "name", json_object_new_string(name));
		ctl_put(c, cmd, args);
		if (++waiting < WINDOW)
			continue;
		if (ctl_flush(c) < 0)
			break;
		for (; waiting && ret == CTL_OK; waiting--)
			ret = take_each(c, section, all, err);
		if (ret != CTL_OK)
			return ret;
	}
	if (ctl_flush(c) < 0) {
		snprintf(err, CTL_ERR_LEN, "tvqd ended the connection");
		return CTL_FAILED;
	}
	for (; waiting && ret == CTL_OK; waiting--)
		ret = take_each(c, section, all, err);
	return ret;
}

static int show_each(struct ctl_client *c, const struct ctl_options *o,
		     const struct ctl_command *cmd, struct json_object *args, char *err)
{
	struct json_object *devs, *all;
	char name[64];
	int ret;

	if (json_object_object_get_ex(args, "name", NULL))
		return show(c, o, cmd, args, err);
	json_object_put(args);
	ctl_name(cmd, name, sizeof(name));
	devs = json_object_new_object();
	all = json_object_new_object();
	ret = show_pages(c, o, "dev show", "dev", json_object_new_object(), devs, err);
	if (ret == CTL_OK)
		ret = ask_each(c, name, cmd->section, devs, all, err);
	if (ret == CTL_OK)
		ctl_print(o, cmd->section, all);
	json_object_put(devs);
	json_object_put(all);
	return ret;
}

static void print_event(const struct ctl_options *o, struct json_object *event)
{
	struct json_object *trace, *v;

	if (o->json)
		ctl_print_json(o, event);
	else if (json_object_object_get_ex(event, "trace", &trace) &&
		 json_object_object_get_ex(trace, "text", &v))
		puts(json_object_get_string(v));
	else if (json_object_object_get_ex(event, "dropped", &v))
		printf("(%s commands were not shown: they came too fast)\n",
		       json_object_get_string(v));
	fflush(stdout);
}

static int trace(struct ctl_client *c, const struct ctl_options *o, struct json_object *args,
		 char *err)
{
	struct json_object *ok = ctl_call(c, "trace", args, err), *event;

	if (!ok)
		return CTL_FAILED;
	json_object_put(ok);
	while ((event = ctl_get(c))) {
		print_event(o, event);
		json_object_put(event);
	}
	snprintf(err, CTL_ERR_LEN, "tvqd ended the connection");
	return CTL_FAILED;
}

/* Adds something. Where tvqd picked its address, that is worth a line. */
static int add(struct ctl_client *c, const struct ctl_options *o, const char *cmd,
	       struct json_object *args, char *err)
{
	struct json_object *name = NULL, *about, *list, *ok, *mac;
	bool asked = json_object_object_get_ex(args, "mac", NULL);

	if (json_object_object_get_ex(args, "name", &name))
		json_object_get(name);
	ok = ctl_call(c, cmd, args, err);
	if (ok && !asked && json_object_object_get_ex(ok, "mac", &mac)) {
		list = json_object_new_object();
		about = json_object_new_object();
		json_object_object_add(about, "mac", json_object_get(mac));
		json_object_object_add(list, json_object_get_string(name), about);
		ctl_print(o, "added", list);
		json_object_put(list);
	}
	json_object_put(name);
	json_object_put(ok);
	return ok ? CTL_OK : CTL_FAILED;
}

int ctl_run(struct ctl_client *c, const struct ctl_options *o, const struct ctl_command *cmd,
	    struct json_object *args, char *err)
{
	struct json_object *ok;
	char name[64];

	switch (cmd->kind) {
	case CTL_SHOW:
		return show(c, o, cmd, args, err);
	case CTL_SHOW_EACH:
		return show_each(c, o, cmd, args, err);
	case CTL_TRACE:
		return trace(c, o, args, err);
	case CTL_ADD:
		ctl_name(cmd, name, sizeof(name));
		return add(c, o, name, args, err);
	default:
		ctl_name(cmd, name, sizeof(name));
		ok = ctl_call(c, name, args, err);
		json_object_put(ok);
		return ok ? CTL_OK : CTL_FAILED;
	}
}
