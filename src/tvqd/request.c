/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Trust boundary: the bytes of a control client end here. What leaves is a command of the table
 * with every argument of the right kind, within its range, and the required ones there.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "request.h"

/* Requests are an object with an object in it. */
#define MAX_DEPTH 4

/* What a client sent is quoted, but no more of it than fits into a line. */
#define QUOTE "'%.64s'"

/* Appends the names of the keys in the mask. */
static void list_keys(char *err, uint64_t mask)
{
	size_t n = strlen(err);

	for (unsigned int i = 0; i < TVQD_KEYS && n < TVQD_ERR_LEN; i++) {
		if (mask >> i & 1)
			n += (size_t)snprintf(err + n, TVQD_ERR_LEN - n, " %s",
					      tvqd_key_name((enum tvqd_key)i));
	}
}

static int find_key(const struct tvqd_command *cmd, const char *name, char *err)
{
	uint64_t mask = cmd->required | cmd->optional;

	for (unsigned int i = 0; i < TVQD_KEYS; i++) {
		if (mask >> i & 1 && !strcmp(tvqd_key_name((enum tvqd_key)i), name))
			return (int)i;
	}
	snprintf(err, TVQD_ERR_LEN, "%s has no argument " QUOTE "; it takes%s", cmd->name, name,
		 mask ? "" : " none");
	list_keys(err, mask);
	return -EINVAL;
}

static int parse_args(struct tvqd_request *rq, struct json_object *args, char *err)
{
	uint64_t missing;

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
