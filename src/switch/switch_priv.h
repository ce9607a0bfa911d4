/* SPDX-License-Identifier: BSD-3-Clause */
/* The switch's own structures; private to src/switch. Everything is the worker's but for the last
 * fields of a switch. */
#ifndef TVQ_SWITCH_PRIV_H
#define TVQ_SWITCH_PRIV_H

#include <tvq/switch.h>

#include "device/util.h"
#include "switch/fdb.h"

#define TVQ_MAC_MASK 0xffffffffffffULL /* of an address in an integer; also the broadcast's */

/* Addresses learned at one port at most: what is behind an uplink, and behind a managed device
 * whose user may send from addresses of its own (a bridge in a guest). Frames to others are
 * flooded. */
#define TVQ_LEARN_UPLINK 4096
#define TVQ_LEARN_DEVICE 256

struct tvq_rate;

/* A filter as it is kept: with a digest of its addresses, by which most others are told at once. */
struct tvq_filter {
	struct tvq_port_filter f;
	uint64_t digest[4]; /* bit tvq_filter_bit() of each address */
};

struct tvq_port {
	/* What each frame to or from the port looks at. */
	struct tvq_switch *sw;
	const struct tvq_port_ops *ops;
	void *ctx;
	uint64_t addr; /* its own, as tvq_mac_int(); 0: an uplink */
	uint16_t mtu;
	uint16_t pvid; /* of the mode */
	uint8_t vlan_mode;
	uint8_t head, tail; /* of a batch on its way: see forward.c */
	uint8_t burst;	    /* frames that it may send at once: see flood_cost() */
	bool link;
	bool learns;   /* addresses are learned here: an uplink, or no source check */
	bool in_batch; /* head and tail are valid */
	bool dirty;    /* receive() was called, flush() is due */
	struct tvq_port_mirror *mirror;
	const struct tvq_filter *filter; /* NULL: takes everything; so does each promiscuous one */
	const uint64_t *vlan_set;	 /* TRUNK; TVQ_VLANS bits */
	struct tvq_rate *rate;		 /* NULL: no limit */
	struct tvq_port *dirty_next, **dirty_pprev;

	struct tvq_port_stats stats;

	/* Learned addresses (learn.c): keys, in no order. */
	uint64_t *learned;
	uint32_t n_learned, cap_learned;

	uint32_t number;
	uint64_t device_id;
	bool spoofchk;
	struct tvq_filter *own_filter; /* as set, also where it is promiscuous */
};

struct tvq_switch {
	const struct tvq_os *os;
	struct tvq_exec *worker;

	struct tvq_fdb own;	/* ports' own addresses: in every VLAN */
	struct tvq_fdb learned; /* by address and VLAN */
	struct tvq_port *dirty; /* ports whose flush() is due */

	struct tvq_port **ports; /* by number, ascending */
	uint32_t n_ports, cap_ports;
	uint32_t last_number;

	/* Ageing (learn.c). */
	struct tvq_timer age_timer;
	uint32_t tick;	     /* the present one */
	uint64_t tick_start; /* os->now() */
	uint32_t sweep;	     /* slot of learned that is looked at next */
	bool sweeping;

	/* Control's half. */
	struct tvq_exec *control;
	unsigned int n_ops; /* under way */
};

/* An address as an integer whose bit 0 is the group bit. */
static inline uint64_t tvq_mac_int(const uint8_t mac[6])
{
	return tvq_get32(mac) | (uint64_t)tvq_get16(mac + 4) << 32;
}

static inline void tvq_mac_bytes(uint64_t addr, uint8_t mac[6])
{
	tvq_put32(mac, (uint32_t)addr);
	tvq_put16(mac + 4, (uint16_t)(addr >> 32));
}

static inline uint64_t tvq_frame_dst(const struct tvq_frame *f)
{
	return tvq_get64(f->mac) & TVQ_MAC_MASK;
}

static inline uint64_t tvq_frame_src(const struct tvq_frame *f)
{
	return tvq_get64(f->mac + 4) >> 16;
}

static inline bool tvq_vlan_has(const uint64_t *set, uint16_t vid)
{
	return set[vid / 64] >> (vid % 64) & 1;
}

/* ---- learn.c ---- */
static inline uint64_t tvq_learn_key(uint64_t addr, uint16_t vid)
{
	return addr | (uint64_t)vid << 48;
}
/* An address that no port owns was seen at p, which learns. */
void tvq_learn(struct tvq_port *p, uint64_t key);
/* All that was learned at p is forgotten. */
void tvq_learn_forget(struct tvq_port *p);
/* Seconds since a learned address was seen. */
uint32_t tvq_learn_age(const struct tvq_switch *sw, uint32_t slot);

/* ---- filter.c ---- */
/* Where p has a filter (p->filter): does it let a frame pass that the switch has for it? known: it
 * is to an address of the port, its own or a learned one. */
bool tvq_filter_takes(const struct tvq_port *p, const struct tvq_frame *f, bool known);
void tvq_filter_free(struct tvq_port *p);

/* ---- vlan.c ---- */
/* The frame's VLAN by the rules of the port that sends it; false: it is in none, TVQ_DROP_VLAN. */
bool tvq_vlan_classify(const struct tvq_port *p, struct tvq_frame *f);
bool tvq_vlan_member_slow(const struct tvq_port *p, uint16_t vid);
static inline bool tvq_vlan_member(const struct tvq_port *p, uint16_t vid)
{
	return p->vlan_mode == TVQ_VLAN_OPEN || tvq_vlan_member_slow(p, vid);
}
void tvq_vlan_free(struct tvq_port *p);

/* ---- rate.c ---- */
/* n frames of bytes in all were sent: charged where there is a limit. */
void tvq_rate_charge(struct tvq_port *p, unsigned int n, uint64_t bytes);
unsigned int tvq_rate_may_send(struct tvq_port *p, unsigned int n);
void tvq_rate_free(struct tvq_port *p);
void tvq_rate_get(const struct tvq_port *p, struct tvq_port_rate *rate);

#endif
