/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * switch show, switch fdb show. What the worker knows is copied there, a page at a time, so that
 * frames wait for a bounded time; names are put to it here.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "nettext.h"
#include "ports.h"
#include "tvqd.h"

#define PAGE 64

struct entry {
	struct tvq_port *port; /* to be compared, no more */
	struct tvq_port_info info;
};

struct ports_show {
	struct tvq_switch_op op;
	struct tvqd *d;
	struct tvqd_call *call;
	struct tvq_port *only; /* NULL: a page */
	uint32_t from;
	bool more;
	unsigned int n;
	struct entry e[];
};

static void ports_run(struct tvq_switch_op *op)
{
	struct ports_show *s = (struct ports_show *)op;
	struct tvq_port *p = s->only ? s->only : tvq_switch_next_port(op->sw, s->from);

	while (p && s->n < PAGE) {
		struct entry *e = &s->e[s->n++];

		e->port = p;
		tvq_port_info(p, &e->info);
		p = s->only ? NULL : tvq_switch_next_port(op->sw, e->info.number);
	}
	s->more = p != NULL;
}

static void show_vlan(struct json_object *o, const struct tvq_port_vlan *v)
{
	char text[TVQD_VLANS_LEN];

	if (v->mode == TVQ_VLAN_ACCESS)
		tvqd_add_num(o, "vlan", v->pvid);
	if (v->mode != TVQ_VLAN_TRUNK)
		return;
	tvqd_vlans_text(v->set, text);
	tvqd_add_str(o, "trunk", text);
	if (v->pvid)
		tvqd_add_num(o, "pvid", v->pvid);
}

static struct json_object *show_drops(const struct tvq_port_stats *st)
{
	struct json_object *o = json_object_new_object();

	for (unsigned int i = 0; i < TVQ_DROPS; i++)
		tvqd_add_num(o, tvq_drop_name((enum tvq_drop)i), st->drops[i]);
	return o;
}

static struct json_object *show_port(const struct tvq_port_info *info,
				     const struct tvqd_port_about *about)
{
	static const uint8_t none[6];
	struct json_object *o = json_object_new_object();
	char mac[TVQD_MAC_LEN];

	tvqd_add_num(o, "port", info->number);
	tvqd_add_str(o, "kind", about->kind);
	if (info->device_id)
		tvqd_add_num(o, "device_id", info->device_id);
	if (about->mgmtdev)
		tvqd_add_str(o, "mgmtdev", about->mgmtdev);
	tvqd_mac_text(info->mac, mac);
	if (memcmp(info->mac, none, sizeof(none)) != 0)
		tvqd_add_str(o, "mac", mac);
	tvqd_add_str(o, "link", info->link ? "up" : "down");
	tvqd_add_num(o, "mtu", info->mtu);
	show_vlan(o, &info->vlan);
	if (info->rate.bits)
		tvqd_add_num(o, "rate", info->rate.bits);
	if (info->rate.packets)
		tvqd_add_num(o, "pps", info->rate.packets);
	tvqd_add_bool(o, "spoofchk", info->spoofchk);
	tvqd_add_bool(o, "mirrored", info->mirrored);
	tvqd_add_num(o, "learned", info->n_learned);
	tvqd_add_num(o, "tx_packets", info->stats.tx_packets);
	tvqd_add_num(o, "tx_bytes", info->stats.tx_bytes);
	tvqd_add_num(o, "rx_packets", info->stats.rx_packets);
	tvqd_add_num(o, "rx_bytes", info->stats.rx_bytes);
	json_object_object_add(o, "drops", show_drops(&info->stats));
	return o;
}

static void ports_done(struct tvq_switch_op *op)
{
	struct ports_show *s = (struct ports_show *)op;
	struct json_object *result = json_object_new_object(), *list = json_object_new_object();

	for (unsigned int i = 0; i < s->n; i++) {
		const struct tvq_port_info *info = &s->e[i].info;
		char label[TVQD_LABEL_LEN];
		struct tvqd_port_about about;
		struct json_object *o;

		tvqd_port_label(s->d, s->e[i].port, info->number, info->device_id, label, &about);
		o = show_port(info, &about);
		tvqd_mirror_describe(s->d, label, o);
		json_object_object_add(list, label, o);
	}
	json_object_object_add(result, "switch", list);
	if (s->more)
		tvqd_add_num(result, "next", s->e[s->n - 1].info.number);
	tvqd_reply(s->call, result);
	free(s);
}

void tvqd_switch_show(struct tvqd *d, struct tvqd_call *call)
{
	const char *name = tvqd_str(&call->rq.args, TVQD_NAME);
	uint64_t from = tvqd_num(&call->rq.args, TVQD_FROM);
	struct tvqd_target t = { 0 };
	char err[TVQD_ERR_LEN];
	int ret = name ? tvqd_target_port(d, name, &t, err) : 0;
	struct ports_show *s;

	if (ret) {
		tvqd_reply_err(call, ret, "%s", err);
		return;
	}
	s = calloc(1, sizeof(*s) + PAGE * sizeof(s->e[0]));
	if (!s) {
		tvqd_reply_err(call, -ENOMEM, "out of memory");
		return;
	}
	s->d = d;
	s->call = call;
	s->only = t.port;
	s->from = from < UINT32_MAX ? (uint32_t)from : UINT32_MAX;
	s->op.run = ports_run;
	s->op.done = ports_done;
	tvq_switch_run(tvqd_switch(d), &s->op);
}

/* Addresses */

struct address {
	struct tvq_fdb_entry e;
	struct tvq_port *port; /* to be compared, no more */
	uint64_t device_id;
};

struct fdb_show {
	struct tvq_switch_op op;
	struct tvqd *d;
	struct tvqd_call *call;
	uint64_t cursor;
	unsigned int n;
	struct address a[PAGE];
};

static void fdb_run(struct tvq_switch_op *op)
{
	struct fdb_show *s = (struct fdb_show *)op;
	struct tvq_fdb_entry e[PAGE];
	struct tvq_port_info info;

	s->n = tvq_switch_fdb(op->sw, &s->cursor, e, PAGE);
	for (unsigned int i = 0; i < s->n; i++) {
		struct address *a = &s->a[i];

		a->e = e[i];
		/* The lowest above the one below: itself. */
		a->port = tvq_switch_next_port(op->sw, e[i].port - 1);
		if (!a->port)
			continue;
		tvq_port_info(a->port, &info);
		a->device_id = info.device_id;
	}
}

static struct json_object *show_address(const struct tvq_fdb_entry *e)
{
	struct json_object *o = json_object_new_object();
	char mac[TVQD_MAC_LEN];

	tvqd_mac_text(e->mac, mac);
	tvqd_add_str(o, "mac", mac);
	tvqd_add_str(o, "state", e->own ? "own" : "learned");
	if (e->vid)
		tvqd_add_num(o, "vlan", e->vid);
	if (!e->own)
		tvqd_add_num(o, "age", e->age);
	tvqd_add_num(o, "port", e->port);
	return o;
}

static void fdb_done(struct tvq_switch_op *op)
{
	struct fdb_show *s = (struct fdb_show *)op;
	struct json_object *result = json_object_new_object(), *list = json_object_new_object();

	for (unsigned int i = 0; i < s->n; i++) {
		const struct address *a = &s->a[i];
		char label[TVQD_LABEL_LEN];
		struct json_object *of;

		tvqd_port_label(s->d, a->port, a->e.port, a->device_id, label, NULL);
		if (!json_object_object_get_ex(list, label, &of)) {
			of = json_object_new_array();
			json_object_object_add(list, label, of);
		}
		json_object_array_add(of, show_address(&a->e));
	}
	json_object_object_add(result, "fdb", list);
	if (s->n)
		tvqd_add_num(result, "next", s->cursor);
	tvqd_reply(s->call, result);
	free(s);
}

void tvqd_switch_fdb_show(struct tvqd *d, struct tvqd_call *call)
{
	struct fdb_show *s = calloc(1, sizeof(*s));

	if (!s) {
		tvqd_reply_err(call, -ENOMEM, "out of memory");
		return;
	}
	s->d = d;
	s->call = call;
	s->cursor = tvqd_num(&call->rq.args, TVQD_FROM);
	s->op.run = fdb_run;
	s->op.done = fdb_done;
	tvq_switch_run(tvqd_switch(d), &s->op);
}
