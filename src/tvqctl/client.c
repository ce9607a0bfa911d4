/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tvqctl.h"

static void explain_connect(const char *path, int e, char *err)
{
	switch (e) {
	case ENOENT:
		snprintf(err, CTL_ERR_LEN,
			 "there is no %s: start tvqd, or name its socket by --control PATH", path);
		break;
	case ECONNREFUSED:
		snprintf(err, CTL_ERR_LEN, "nobody listens on %s any more: start tvqd again", path);
		break;
	case EACCES:
		snprintf(err, CTL_ERR_LEN,
			 "no permission for %s: run tvqctl as the user that runs tvqd", path);
		break;
	default:
		snprintf(err, CTL_ERR_LEN, "%s: %s", path, strerror(e));
	}
}

int ctl_connect(struct ctl_client *c, const char *path, char *err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	*c = (struct ctl_client){ .fd = -1 };
	if (strlen(path) >= sizeof(addr.sun_path)) {
		snprintf(err, CTL_ERR_LEN, "--control %.120s: the path is longer than %zu bytes",
			 path, sizeof(addr.sun_path) - 1);
		return -ENAMETOOLONG;
	}
	memcpy(addr.sun_path, path, strlen(path) + 1);
	snprintf(c->path, sizeof(c->path), "%s", path);
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		int e = errno;

		explain_connect(path, e, err);
		ctl_disconnect(c);
		return -e;
	}
	return 0;
}

void ctl_disconnect(struct ctl_client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	free(c->out);
	free(c->in);
	*c = (struct ctl_client){ .fd = -1 };
}

static void *grown(void *p, size_t size)
{
	p = realloc(p, size);
	if (!p) {
		fprintf(stderr, "tvqctl: out of memory\n");
		exit(CTL_FAILED);
	}
	return p;
}

void ctl_put(struct ctl_client *c, const char *cmd, struct json_object *args)
{
	struct json_object *rq = json_object_new_object();
	const char *s;
	size_t len;

	json_object_object_add(rq, "id", json_object_new_uint64(c->next_id++));
	json_object_object_add(rq, "cmd", json_object_new_string(cmd));
	json_object_object_add(rq, "args", args);
	s = json_object_to_json_string_length(
		rq, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
	if (c->out_len + len + 1 > c->out_cap) {
		c->out_cap = (c->out_len + len + 1) * 2;
		c->out = grown(c->out, c->out_cap);
	}
	memcpy(c->out + c->out_len, s, len);
	c->out[c->out_len + len] = '\n';
	c->out_len += len + 1;
	json_object_put(rq);
}

int ctl_flush(struct ctl_client *c)
{
	size_t at = 0;

	while (at < c->out_len) {
		ssize_t n = send(c->fd, c->out + at, c->out_len - at, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		at += (size_t)n;
	}
	c->out_len = 0;
	return 0;
}

/* More of what tvqd says. False: the end. */
static bool fill(struct ctl_client *c)
{
	ssize_t n;

	if (c->in_pos) {
		memmove(c->in, c->in + c->in_pos, c->in_len - c->in_pos);
		c->in_len -= c->in_pos;
		c->in_pos = 0;
	}
	if (c->in_len == c->in_cap) {
		c->in_cap = c->in_cap ? c->in_cap * 2 : 16384;
		c->in = grown(c->in, c->in_cap);
	}
	do {
		n = recv(c->fd, c->in + c->in_len, c->in_cap - c->in_len, 0);
	} while (n < 0 && errno == EINTR);
	if (n <= 0)
		return false;
	c->in_len += (size_t)n;
	return true;
}

struct json_object *ctl_get(struct ctl_client *c)
{
	struct json_object *o;
	size_t seen = 0;
	char *nl = NULL;

	while (!nl) {
		if (c->in_len - c->in_pos > seen)
			nl = memchr(c->in + c->in_pos + seen, '\n', c->in_len - c->in_pos - seen);
		seen = c->in_len - c->in_pos;
		if (!nl && !fill(c))
			return NULL;
	}
	*nl = '\0';
	o = json_tokener_parse(c->in + c->in_pos);
	c->in_pos = (size_t)(nl + 1 - c->in);
	return o;
}

const char *ctl_error(struct json_object *answer, const char **name)
{
	struct json_object *error, *e;

	if (!json_object_object_get_ex(answer, "error", &error))
		return NULL;
	if (name)
		*name = json_object_object_get_ex(answer, "errno", &e) ? json_object_get_string(e)
								       : "";
	return json_object_get_string(error);
}

struct json_object *ctl_call(struct ctl_client *c, const char *cmd, struct json_object *args,
			     char *err)
{
	struct json_object *answer = NULL, *ok = NULL;
	const char *why;

	ctl_put(c, cmd, args);
	if (!ctl_flush(c))
		answer = ctl_get(c);
	if (!answer) {
		snprintf(err, CTL_ERR_LEN, "tvqd ended the connection");
		return NULL;
	}
	why = ctl_error(answer, NULL);
	if (why)
		snprintf(err, CTL_ERR_LEN, "%s", why);
	else if (json_object_object_get_ex(answer, "ok", &ok))
		json_object_get(ok);
	else
		snprintf(err, CTL_ERR_LEN, "what answers on %s is no tvqd", c->path);
	json_object_put(answer);
	return ok;
}
