/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ports of the switch by their names: those that this daemon made (uplinks, ports to measure with),
 * managed devices, and the management devices themselves. The owner's; everything on the control
 * executor, but for what says that it is for the switch's worker.
 *
 * A port belongs to the worker; we have its pointer to hand to ops. Ops and the deletion of ports
 * reach the worker in the order in which they were posted here. So the rule is: look the port up
 * and post the op in one go; never keep the pointer of a device's port.
 */
#ifndef TVQD_PORTS_H
#define TVQD_PORTS_H

#include <stdbool.h>
#include <stdint.h>

#include <tvq/uplinks.h>

#include "names.h"
#include "request.h"

struct json_object;

enum tvqd_port_kind { TVQD_PORT_UPLINK, TVQD_PORT_SINK, TVQD_PORT_SOURCE };

/*
 *   ADDING -> LIVE       else the entry goes
 *   LIVE -> DELETING     uplink del, switch port del, mirror del, or the daemon ends
 */
enum tvqd_port_state { TVQD_PORT_ADDING, TVQD_PORT_LIVE, TVQD_PORT_DELETING };

/* A port of our own. */
struct tvqd_port {
	struct tvqd_port *next;
	enum tvqd_port_kind kind;
	enum tvqd_port_state state;
	uint32_t number;	   /* of the switch; 0: not known yet */
	struct tvq_port *port;	   /* for ops only */
	struct tvq_uplink *uplink; /* UPLINK */
	struct json_object *about; /* UPLINK: what it was made of */
	char name[TVQD_NAME_MAX + 1];
};

struct tvqd_mirror;

struct tvqd_ports {
	struct tvqd_port *first;
	struct tvqd_mirror *mirrors;
	bool gone; /* at the end: nothing is left */
};

/* Whose own address that is: owner is a label, valid in done only, or NULL. The caller's memory
 * until then. */
struct tvqd_mac_owner {
	struct tvq_switch_op op;
	struct tvqd *d;
	uint8_t mac[6];
	struct tvq_port *port; /* to be compared, no more */
	uint32_t number;
	uint64_t device_id;
	void (*done)(struct tvqd_mac_owner *o, const char *owner);
};
void tvqd_mac_owner(struct tvqd *d, struct tvqd_mac_owner *o, const uint8_t mac[6],
		    void (*done)(struct tvqd_mac_owner *o, const char *owner));

/* A new entry, ADDING, in the list; NULL: no memory. */
struct tvqd_port *tvqd_port_new(struct tvqd *d, const char *name, enum tvqd_port_kind kind);
void tvqd_port_remove(struct tvqd *d, struct tvqd_port *p);
struct tvqd_port *tvqd_port_by_name(const struct tvqd *d, const char *name);

/* What dev add, dev set and uplink add change at a port. */
struct tvqd_port_change {
	uint64_t have;		   /* TVQD_BIT() of what below is meant */
	struct tvq_port_vlan vlan; /* VLAN or TRUNK */
	struct tvq_port_rate rate; /* bits: RATE; packets: PPS */
	bool spoofchk;		   /* SPOOFCHK */
};
/* From a request's arguments. -EINVAL and a sentence in err. */
int tvqd_port_change(const struct tvqd_args *args, struct tvqd_port_change *c, char *err);
/* On the worker. -ENOMEM: some of it may have been changed. */
int tvqd_port_apply(struct tvq_port *p, const struct tvqd_port_change *c);

/* mirror.c: figures of the mirror of that port for switch show; nothing where it has none. */
void tvqd_mirror_describe(struct tvqd *d, const char *name, struct json_object *o);
/* Ends all of them; tvqd_ports_check() follows. */
void tvqd_mirrors_end(struct tvqd *d);
/* uplinks.c, measure.c: ends one that lives. */
void tvqd_uplink_end(struct tvqd *d, struct tvqd_port *p);
void tvqd_measure_end(struct tvqd *d, struct tvqd_port *p);

/* Sets ports.gone where nothing is left. */
void tvqd_ports_check(struct tvqd *d);
/* Ends everything of the daemon's own at the switch. No request is under way. Waits. */
void tvqd_ports_end(struct tvqd *d, uint64_t timeout_ns);

#endif
