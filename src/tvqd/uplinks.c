/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * uplink add, del, show.
 *
 *   tvq_uplink_new, which sets the port's rules before a frame passes it -> answer
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "nettext.h"
#include "ports.h"
#include "tvqd.h"

#define PAGE	    256
#define DEFAULT_MTU 1500

struct uplink {
	struct tvq_uplink_done done;
	struct tvqd *d;
	struct tvqd_call *call; /* NULL: the daemon ends */
	struct tvqd_port *p;
	struct tvqd_port_change change;
	uint32_t number;
};

static struct uplink *uplink_of(struct tvq_uplink_done *done)
{
	return (struct uplink *)((char *)done - offsetof(struct uplink, done));
}

/* Deleting */

static void gone(struct tvq_uplink_done *done, int err)
{
	struct uplink *u = uplink_of(done);

	(void)err;
	tvqd_port_remove(u->d, u->p);
	if (u->call)
		tvqd_reply(u->call, NULL);
	free(u);
}

static int del(struct tvqd *d, struct tvqd_port *p, struct tvqd_call *call)
{
	struct uplink *u = calloc(1, sizeof(*u));

	if (!u)
		return -ENOMEM;
	u->d = d;
	u->call = call;
	u->p = p;
	u->done.fn = gone;
	p->state = TVQD_PORT_DELETING;
	tvq_uplink_free(p->uplink, &u->done);
	return 0;
}

void tvqd_uplink_end(struct tvqd *d, struct tvqd_port *p)
{
	del(d, p, NULL);
}

void tvqd_uplink_del(struct tvqd *d, struct tvqd_call *call)
{
	const char *name = tvqd_str(&call->rq.args, TVQD_NAME);
	struct tvqd_port *p = tvqd_port_by_name(d, name);

	if (!p || p->kind != TVQD_PORT_UPLINK)
		tvqd_reply_err(call, -ENOENT, "no uplink '%s'; uplink show lists them", name);
	else if (p->state != TVQD_PORT_LIVE)
		tvqd_reply_err(call, -EBUSY, "uplink '%s' is being %s", name,
			       p->state == TVQD_PORT_ADDING ? "added" : "deleted");
	else if (del(d, p, call) < 0)
		tvqd_reply_err(call, -ENOMEM, "out of memory");
}

/* Adding */

/* On the worker. */
static int rules(struct tvq_port *port, void *ctx)
{
	struct uplink *u = ctx;
	struct tvq_port_info info;

	tvq_port_info(port, &info);
	u->number = info.number;
	return tvqd_port_apply(port, &u->change);
}

static void made(struct tvq_uplink_done *done, int err)
{
	struct uplink *u = uplink_of(done);

	if (err) {
		tvqd_port_remove(u->d, u->p);
		tvqd_reply_err(u->call, err, "%s", done->why);
		free(u);
		return;
	}
	u->p->port = tvq_uplink_port(u->p->uplink);
	u->p->number = u->number;
	u->p->state = TVQD_PORT_LIVE;
	tvqd_reply(u->call, NULL);
	free(u);
}

static int check_words(const struct tvqd_args *args, char *err)
{
	if (tvqd_has(args, TVQD_TAP) == tvqd_has(args, TVQD_STREAM))
		snprintf(err, TVQD_ERR_LEN, "uplink add needs one of tap IFNAME, stream PATH");
	else if (tvqd_has(args, TVQD_TAP) && tvqd_has(args, TVQD_LISTEN))
		snprintf(err, TVQD_ERR_LEN, "listen goes with stream, not with tap");
	else
		return 0;
	return -EINVAL;
}

/* What uplink show says of it that does not change. */
static struct json_object *describe(const struct tvqd_args *args, const struct tvq_uplink_cfg *cfg)
{
	struct json_object *o = json_object_new_object();

	if (cfg->tap) {
		tvqd_add_str(o, "tap", cfg->tap);
	} else {
		tvqd_add_str(o, "stream", cfg->stream);
		tvqd_add_bool(o, "listen", cfg->listen);
	}
	tvqd_add_num(o, "mtu", cfg->mtu);
	if (tvqd_num(args, TVQD_VLAN))
		tvqd_add_num(o, "vlan", tvqd_num(args, TVQD_VLAN));
	if (tvqd_has(args, TVQD_TRUNK))
		tvqd_add_str(o, "trunk", tvqd_str(args, TVQD_TRUNK));
	if (tvqd_has(args, TVQD_PVID))
		tvqd_add_num(o, "pvid", tvqd_num(args, TVQD_PVID));
	return o;
}

static struct uplink *new_uplink(struct tvqd *d, struct tvqd_call *call)
{
	struct uplink *u = calloc(1, sizeof(*u));

	if (!u)
		return NULL;
	u->d = d;
	u->call = call;
	u->p = tvqd_port_new(d, tvqd_str(&call->rq.args, TVQD_NAME), TVQD_PORT_UPLINK);
	if (u->p)
		return u;
	free(u);
	return NULL;
}

void tvqd_uplink_add(struct tvqd *d, struct tvqd_call *call)
{
	const struct tvqd_args *args = &call->rq.args;
	struct tvq_uplink_cfg cfg = {
		.mtu = tvqd_has(args, TVQD_MTU) ? (uint16_t)tvqd_num(args, TVQD_MTU) : DEFAULT_MTU,
		.tap = tvqd_str(args, TVQD_TAP),
		.stream = tvqd_str(args, TVQD_STREAM),
		.listen = tvqd_num(args, TVQD_LISTEN),
	};
	struct tvqd_port_change change;
	char err[TVQD_ERR_LEN];
	int ret = check_words(args, err);
	struct uplink *u;

	if (!ret)
		ret = tvqd_port_change(args, &change, err);
	if (!ret)
		ret = tvqd_name_free(d, tvqd_str(args, TVQD_NAME), true, err);
	if (ret) {
		tvqd_reply_err(call, ret, "%s", err);
		return;
	}
	u = new_uplink(d, call);
	if (!u) {
		tvqd_reply_err(call, -ENOMEM, "out of memory");
		return;
	}
	u->change = change;
	u->done.fn = made;
	cfg.rules = rules;
	cfg.rules_ctx = u;
	u->p->about = describe(args, &cfg);
	u->p->uplink = tvq_uplink_new(tvqd_switch(d), &cfg, &u->done, err);
	if (u->p->uplink)
		return;
	tvqd_port_remove(d, u->p);
	tvqd_reply_err(call, -EIO, "%s", err);
	free(u);
}

/* Showing */

static struct json_object *show(const struct tvqd_port *p)
{
	static const char *const states[] = {
		[TVQ_UPLINK_UP] = "up",
		[TVQ_UPLINK_CONNECTING] = "connecting",
		[TVQ_UPLINK_LISTENING] = "listening",
	};
	struct json_object *o = json_object_new_object();

	json_object_object_foreach(p->about, key, value)
		json_object_object_add(o, key, json_object_get(value));
	tvqd_add_str(o, "state", states[tvq_uplink_state(p->uplink)]);
	tvqd_add_num(o, "port", p->number);
	return o;
}

void tvqd_uplink_show(struct tvqd *d, struct tvqd_call *call)
{
	const char *name = tvqd_str(&call->rq.args, TVQD_NAME);
	uint64_t from = tvqd_num(&call->rq.args, TVQD_FROM), at = 0;
	struct json_object *result, *list = json_object_new_object();
	unsigned int n = 0;

	for (const struct tvqd_port *p = d->ports.first; p && n <= PAGE; p = p->next) {
		if (p->kind != TVQD_PORT_UPLINK || p->state != TVQD_PORT_LIVE ||
		    (name && strcmp(p->name, name) != 0) || at++ < from)
			continue;
		if (n++ < PAGE)
			json_object_object_add(list, p->name, show(p));
	}
	if (name && !n) {
		json_object_put(list);
		tvqd_reply_err(call, -ENOENT, "no uplink '%s'; uplink show lists them", name);
		return;
	}
	result = json_object_new_object();
	json_object_object_add(result, "uplink", list);
	if (n > PAGE)
		tvqd_add_num(result, "next", from + PAGE);
	tvqd_reply(call, result);
}
