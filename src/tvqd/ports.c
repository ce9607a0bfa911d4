/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tvq/switch.h>

#include "nettext.h"
#include "ports.h"
#include "tvqd.h"

struct tvqd_port *tvqd_port_by_name(const struct tvqd *d, const char *name)
{
	struct tvqd_port *p = d->ports.first;

	while (p && strcmp(p->name, name) != 0)
		p = p->next;
	return p;
}

struct tvqd_port *tvqd_port_new(struct tvqd *d, const char *name, enum tvqd_port_kind kind)
{
	struct tvqd_port **last = &d->ports.first, *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->kind = kind;
	snprintf(p->name, sizeof(p->name), "%s", name);
	/* Behind the others, for listings that go on. They are few. */
	while (*last)
		last = &(*last)->next;
	*last = p;
	return p;
}

void tvqd_port_remove(struct tvqd *d, struct tvqd_port *p)
{
	struct tvqd_port **at = &d->ports.first;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	json_object_put(p->about);
	free(p);
	tvqd_ports_check(d);
}

void tvqd_ports_check(struct tvqd *d)
{
	d->ports.gone = !d->ports.first && !d->ports.mirrors;
}

void tvqd_ports_end(struct tvqd *d, uint64_t timeout_ns)
{
	struct tvqd_port *p, *next;

	tvqd_mirrors_end(d);
	for (p = d->ports.first; p; p = next) {
		next = p->next;
		if (p->state != TVQD_PORT_LIVE)
			continue;
		if (p->kind == TVQD_PORT_UPLINK)
			tvqd_uplink_end(d, p);
		else
			tvqd_measure_end(d, p);
	}
	tvqd_ports_check(d);
	if (tvqd_wait(d, &d->ports.gone, timeout_ns) < 0)
		tvq_log(&tvq_os_host, TVQ_LOG_WARN, "uplinks and mirrors did not end in time");
}

/* Addresses */

static uint32_t find_mac(struct tvq_switch *sw, const uint8_t mac[6])
{
	struct tvq_fdb_entry e[64];
	uint64_t cursor = 0;
	unsigned int n;

	while ((n = tvq_switch_fdb(sw, &cursor, e, 64))) {
		for (unsigned int i = 0; i < n; i++) {
			if (e[i].own && !memcmp(e[i].mac, mac, 6))
				return e[i].port;
		}
	}
	return 0;
}

static void owner_run(struct tvq_switch_op *op)
{
	struct tvqd_mac_owner *o = (struct tvqd_mac_owner *)op;
	struct tvq_port_info info;

	o->number = find_mac(op->sw, o->mac);
	/* The lowest above the one below: itself. */
	o->port = o->number ? tvq_switch_next_port(op->sw, o->number - 1) : NULL;
	if (!o->port)
		return;
	tvq_port_info(o->port, &info);
	o->device_id = info.device_id;
}

static void owner_done(struct tvq_switch_op *op)
{
	struct tvqd_mac_owner *o = (struct tvqd_mac_owner *)op;
	char label[TVQD_LABEL_LEN];

	if (o->port)
		tvqd_port_label(o->d, o->port, o->number, o->device_id, label, NULL);
	o->done(o, o->port ? label : NULL);
}

void tvqd_mac_owner(struct tvqd *d, struct tvqd_mac_owner *o, const uint8_t mac[6],
		    void (*done)(struct tvqd_mac_owner *o, const char *owner))
{
	o->d = d;
	memcpy(o->mac, mac, 6);
	o->done = done;
	o->op.run = owner_run;
	o->op.done = owner_done;
	tvq_switch_run(tvqd_switch(d), &o->op);
}

/* Changes */

static int change_vlan(const struct tvqd_args *args, struct tvqd_port_change *c, char *err)
{
	struct tvq_port_vlan *v = &c->vlan;
	uint64_t vid = tvqd_num(args, TVQD_VLAN), pvid = tvqd_num(args, TVQD_PVID);

	if (tvqd_has(args, TVQD_VLAN) && tvqd_has(args, TVQD_TRUNK)) {
		snprintf(err, TVQD_ERR_LEN, "vlan and trunk: a port has the one or the other");
		return -EINVAL;
	}
	if (tvqd_has(args, TVQD_PVID) && !tvqd_has(args, TVQD_TRUNK)) {
		snprintf(err, TVQD_ERR_LEN, "pvid goes with trunk, and is one of its VLANs");
		return -EINVAL;
	}
	if (tvqd_has(args, TVQD_VLAN) && vid)
		*v = (struct tvq_port_vlan){ .mode = TVQ_VLAN_ACCESS, .pvid = (uint16_t)vid };
	if (!tvqd_has(args, TVQD_TRUNK))
		return 0;
	v->mode = TVQ_VLAN_TRUNK;
	v->pvid = (uint16_t)pvid;
	tvqd_vlans_parse(tvqd_str(args, TVQD_TRUNK), v->set);
	if (!pvid || tvqd_vlans_has(v->set, pvid))
		return 0;
	snprintf(err, TVQD_ERR_LEN, "pvid %u: trunk '%.64s' has no such VLAN", v->pvid,
		 tvqd_str(args, TVQD_TRUNK));
	return -EINVAL;
}

int tvqd_port_change(const struct tvqd_args *args, struct tvqd_port_change *c, char *err)
{
	*c = (struct tvqd_port_change){
		.have = args->have & (TVQD_BIT(VLAN) | TVQD_BIT(TRUNK) | TVQD_BIT(RATE) |
				      TVQD_BIT(PPS) | TVQD_BIT(SPOOFCHK)),
		.rate.bits = tvqd_num(args, TVQD_RATE),
		.rate.packets = tvqd_num(args, TVQD_PPS),
		.spoofchk = tvqd_num(args, TVQD_SPOOFCHK),
	};
	return change_vlan(args, c, err);
}

static int apply_rate(struct tvq_port *p, const struct tvqd_port_change *c)
{
	struct tvq_port_info info;

	/* What is not meant stays. */
	tvq_port_info(p, &info);
	if (c->have & TVQD_BIT(RATE))
		info.rate.bits = c->rate.bits;
	if (c->have & TVQD_BIT(PPS))
		info.rate.packets = c->rate.packets;
	return tvq_port_set_rate(p, &info.rate);
}

int tvqd_port_apply(struct tvq_port *p, const struct tvqd_port_change *c)
{
	int err = 0;

	if (c->have & (TVQD_BIT(VLAN) | TVQD_BIT(TRUNK)))
		err = tvq_port_set_vlan(p, &c->vlan);
	if (!err && c->have & (TVQD_BIT(RATE) | TVQD_BIT(PPS)))
		err = apply_rate(p, c);
	if (!err && c->have & TVQD_BIT(SPOOFCHK))
		tvq_port_set_spoofchk(p, c->spoofchk);
	return err;
}
