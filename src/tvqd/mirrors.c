/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mirror add, del. A mirror whose port goes is ended here: a guest's driver deletes devices without
 * asking us.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "ports.h"
#include "tvqd.h"

struct tvqd_mirror {
	struct tvqd_mirror *next;
	struct tvqd *d;
	struct tvqd_call *call; /* that waits; NULL: none */
	struct tvq_mirror *mirror;
	struct tvq_uplink_done done;
	enum tvqd_port_state state;
	char *path;
	char name[TVQD_NAME_MAX + 1]; /* of the port */
};

static struct tvqd_mirror *find(struct tvqd *d, const char *name)
{
	struct tvqd_mirror *m = d->ports.mirrors;

	while (m && strcmp(m->name, name) != 0)
		m = m->next;
	return m;
}

static void forget(struct tvqd_mirror *m)
{
	struct tvqd_mirror **at = &m->d->ports.mirrors;

	while (*at != m)
		at = &(*at)->next;
	*at = m->next;
	tvqd_ports_check(m->d);
	free(m->path);
	free(m);
}

static struct tvqd_mirror *mirror_of(struct tvq_uplink_done *done)
{
	return (struct tvqd_mirror *)((char *)done - offsetof(struct tvqd_mirror, done));
}

static void ended(struct tvq_uplink_done *done, int err)
{
	struct tvqd_mirror *m = mirror_of(done);
	struct tvqd_call *call = m->call;

	if (call && err)
		tvqd_reply_err(call, err, "%s", done->why);
	else if (call)
		tvqd_reply(call, NULL);
	forget(m);
}

static void end(struct tvqd_mirror *m, struct tvqd_call *call)
{
	m->state = TVQD_PORT_DELETING;
	m->call = call;
	m->done.fn = ended;
	tvq_mirror_free(m->mirror, &m->done);
}

static void port_gone(void *ctx)
{
	struct tvqd_mirror *m = ctx;

	if (m->state == TVQD_PORT_LIVE)
		end(m, NULL);
}

void tvqd_mirrors_end(struct tvqd *d)
{
	struct tvqd_mirror *m, *next;

	for (m = d->ports.mirrors; m; m = next) {
		next = m->next;
		if (m->state == TVQD_PORT_LIVE)
			end(m, NULL);
	}
}

static void made(struct tvq_uplink_done *done, int err)
{
	struct tvqd_mirror *m = mirror_of(done);
	struct tvqd_call *call = m->call;

	m->call = NULL;
	if (err) {
		tvqd_reply_err(call, err, "%s", done->why);
		forget(m);
		return;
	}
	m->state = TVQD_PORT_LIVE;
	tvqd_reply(call, NULL);
	/* May be called at once. */
	tvq_mirror_on_gone(m->mirror, port_gone, m);
}

static struct tvqd_mirror *new_mirror(struct tvqd *d, struct tvqd_call *call)
{
	struct tvqd_mirror *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->d = d;
	m->call = call;
	m->path = strdup(tvqd_str(&call->rq.args, TVQD_FILE));
	snprintf(m->name, sizeof(m->name), "%s", tvqd_str(&call->rq.args, TVQD_NAME));
	if (!m->path) {
		free(m);
		return NULL;
	}
	m->next = d->ports.mirrors;
	d->ports.mirrors = m;
	return m;
}

void tvqd_mirror_add(struct tvqd *d, struct tvqd_call *call)
{
	const struct tvqd_args *args = &call->rq.args;
	const char *name = tvqd_str(args, TVQD_NAME);
	struct tvqd_target t;
	struct tvqd_mirror *m;
	char err[TVQD_ERR_LEN];
	int ret = tvqd_target_port(d, name, &t, err);

	m = ret ? NULL : find(d, name);
	if (m) {
		ret = -EEXIST;
		snprintf(err, TVQD_ERR_LEN, "'%s' is mirrored to '%.200s': %s", name, m->path,
			 m->state == TVQD_PORT_DELETING ? "that mirror is being deleted"
							: "mirror del it before");
	}
	if (ret) {
		tvqd_reply_err(call, ret, "%s", err);
		return;
	}
	m = new_mirror(d, call);
	if (!m) {
		tvqd_reply_err(call, -ENOMEM, "out of memory");
		return;
	}
	m->done.fn = made;
	m->mirror = tvq_mirror_new(tvqd_switch(d), t.port, m->path, tvqd_num(args, TVQD_MAX),
				   &m->done, err);
	if (m->mirror)
		return;
	tvqd_reply_err(call, -EIO, "%s", err);
	forget(m);
}

void tvqd_mirror_del(struct tvqd *d, struct tvqd_call *call)
{
	const char *name = tvqd_str(&call->rq.args, TVQD_NAME);
	struct tvqd_mirror *m = find(d, name);

	if (!m)
		tvqd_reply_err(call, -ENOENT,
			       "'%s' is not mirrored; switch show tells which ports are", name);
	else if (m->state != TVQD_PORT_LIVE)
		tvqd_reply_err(call, -EBUSY, "the mirror of '%s' is being %s", name,
			       m->state == TVQD_PORT_ADDING ? "added" : "deleted");
	else
		end(m, call);
}

void tvqd_mirror_describe(struct tvqd *d, const char *name, struct json_object *o)
{
	const struct tvqd_mirror *m = find(d, name);
	struct tvq_mirror_stats st;
	struct json_object *about;

	if (!m || m->state != TVQD_PORT_LIVE)
		return;
	tvq_mirror_stats(m->mirror, &st);
	about = json_object_new_object();
	tvqd_add_str(about, "file", m->path);
	tvqd_add_num(about, "frames", st.frames);
	tvqd_add_num(about, "bytes", st.bytes);
	tvqd_add_num(about, "dropped", st.dropped);
	json_object_object_add(o, "mirror", about);
}
