/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * switch port add, del: ports to measure with. They are made and freed on the worker.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "nettext.h"
#include "ports.h"
#include "tvqd.h"

#define DEFAULT_FRAME 60 /* the shortest of Ethernet, without checksum */

struct measure {
	struct tvq_switch_op op;
	struct tvqd *d;
	struct tvqd_call *call; /* NULL: the daemon ends */
	struct tvqd_port *p;
	struct tvq_port *port;
	uint8_t mac[6], to[6];
	uint16_t bytes;
	uint32_t number;
	int err;
};

static void add_run(struct tvq_switch_op *op)
{
	struct measure *m = (struct measure *)op;
	struct tvq_port_info info;

	if (m->p->kind == TVQD_PORT_SINK)
		m->port = tvq_sink_new(op->sw, m->mac, &m->err);
	else
		m->port = tvq_source_new(op->sw, m->mac, m->to, m->bytes, &m->err);
	if (!m->port)
		return;
	tvq_port_info(m->port, &info);
	m->number = info.number;
}

static void add_done(struct tvq_switch_op *op)
{
	struct measure *m = (struct measure *)op;
	struct json_object *result;
	char mac[TVQD_MAC_LEN];

	tvqd_mac_text(m->mac, mac);
	if (!m->port) {
		tvqd_port_remove(m->d, m->p);
		if (m->err == -EEXIST)
			tvqd_reply_err(m->call, m->err,
				       "mac %s: another port has that address; switch show lists "
				       "them",
				       mac);
		else
			tvqd_reply_err(m->call, m->err, "the switch makes no port: %s",
				       strerror(-m->err));
		free(m);
		return;
	}
	m->p->port = m->port;
	m->p->number = m->number;
	m->p->state = TVQD_PORT_LIVE;
	result = json_object_new_object();
	tvqd_add_str(result, "mac", mac);
	tvqd_reply(m->call, result);
	free(m);
}

/* Local, not a group's. */
static void random_mac(uint8_t mac[6])
{
	tvq_os_host.random(mac, 6);
	mac[0] = (uint8_t)((mac[0] & ~1) | 2);
}

static int check_words(const struct tvqd_args *args, char *err)
{
	bool sink = tvqd_num(args, TVQD_SINK), source = tvqd_num(args, TVQD_SOURCE);

	if (sink == source)
		snprintf(err, TVQD_ERR_LEN, "switch port add needs one of sink, source");
	else if (sink && args->have & (TVQD_BIT(TO) | TVQD_BIT(FRAME_SIZE)))
		snprintf(err, TVQD_ERR_LEN, "%s goes with source, not with sink",
			 tvqd_has(args, TVQD_TO) ? "to" : "size");
	else if (source && !tvqd_has(args, TVQD_TO))
		snprintf(err, TVQD_ERR_LEN,
			 "source needs to LLADDR: the address of the port that gets its frames");
	else
		return 0;
	return -EINVAL;
}

void tvqd_switch_port_add(struct tvqd *d, struct tvqd_call *call)
{
	const struct tvqd_args *args = &call->rq.args;
	const char *name = tvqd_str(args, TVQD_NAME);
	bool sink = tvqd_num(args, TVQD_SINK);
	char err[TVQD_ERR_LEN];
	struct measure *m;
	int ret = check_words(args, err);

	if (!ret)
		ret = tvqd_name_free(d, name, true, err);
	if (ret) {
		tvqd_reply_err(call, ret, "%s", err);
		return;
	}
	m = calloc(1, sizeof(*m));
	if (m)
		m->p = tvqd_port_new(d, name, sink ? TVQD_PORT_SINK : TVQD_PORT_SOURCE);
	if (!m || !m->p) {
		free(m);
		tvqd_reply_err(call, -ENOMEM, "out of memory");
		return;
	}
	m->d = d;
	m->call = call;
	if (tvqd_has(args, TVQD_MAC))
		tvqd_mac_bytes(tvqd_num(args, TVQD_MAC), m->mac);
	else
		random_mac(m->mac);
	tvqd_mac_bytes(tvqd_num(args, TVQD_TO), m->to);
	m->bytes = tvqd_has(args, TVQD_FRAME_SIZE) ? (uint16_t)tvqd_num(args, TVQD_FRAME_SIZE)
						   : DEFAULT_FRAME;
	m->op.run = add_run;
	m->op.done = add_done;
	tvq_switch_run(tvqd_switch(d), &m->op);
}

static void del_run(struct tvq_switch_op *op)
{
	tvq_measure_free(((struct measure *)op)->port);
}

static void del_done(struct tvq_switch_op *op)
{
	struct measure *m = (struct measure *)op;

	tvqd_port_remove(m->d, m->p);
	if (m->call)
		tvqd_reply(m->call, NULL);
	free(m);
}

static int del(struct tvqd *d, struct tvqd_port *p, struct tvqd_call *call)
{
	struct measure *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	m->d = d;
	m->call = call;
	m->p = p;
	m->port = p->port;
	m->op.run = del_run;
	m->op.done = del_done;
	p->state = TVQD_PORT_DELETING;
	tvq_switch_run(tvqd_switch(d), &m->op);
	return 0;
}

void tvqd_measure_end(struct tvqd *d, struct tvqd_port *p)
{
	del(d, p, NULL);
}

void tvqd_switch_port_del(struct tvqd *d, struct tvqd_call *call)
{
	const char *name = tvqd_str(&call->rq.args, TVQD_NAME);
	struct tvqd_target t;
	char err[TVQD_ERR_LEN];
	int ret = tvqd_target_find(d, name, &t, err);

	if (ret)
		tvqd_reply_err(call, ret, "%s", err);
	else if (!t.own)
		tvqd_reply_err(call, -EOPNOTSUPP, "'%s' is a device: dev del takes it away", name);
	else if (t.own->kind == TVQD_PORT_UPLINK)
		tvqd_reply_err(call, -EOPNOTSUPP, "'%s' is an uplink: uplink del takes it away",
			       name);
	else if (del(d, t.own, call) < 0)
		tvqd_reply_err(call, -ENOMEM, "out of memory");
}
