// SPDX-License-Identifier: BSD-3-Clause
/* Ports: their life, what is set about them, and listings. */
#include "switch/switch_priv.h"

#define FIRST_PORTS 16

static int check_cfg(const struct tvq_switch *sw, const struct tvq_port_cfg *cfg)
{
	uint64_t addr = tvq_mac_int(cfg->mac);

	if ((addr & 1) || cfg->mtu < TVQ_MTU_MIN || cfg->mtu > TVQ_MTU_MAX)
		return -EINVAL;
	if (addr && tvq_fdb_find(&sw->own, addr))
		return -EEXIST;
	return 0;
}

static int room_for_port(struct tvq_switch *sw)
{
	uint32_t cap = sw->cap_ports ? 2 * sw->cap_ports : FIRST_PORTS;
	struct tvq_port **ports;

	if (sw->n_ports < sw->cap_ports)
		return 0;
	ports = sw->os->alloc(cap * sizeof(struct tvq_port *));
	if (!ports)
		return -ENOMEM;
	if (sw->ports)
		memcpy(ports, sw->ports, sw->n_ports * sizeof(struct tvq_port *));
	sw->os->free(sw->ports, sw->cap_ports * sizeof(struct tvq_port *));
	sw->ports = ports;
	sw->cap_ports = cap;
	return 0;
}

/*
 * Gives a new port its number and its place. Numbers come again once all have been given out, the
 * lowest first: a guest that makes and deletes devices for days must not leave a switch of which
 * nobody gets a port any more.
 */
static void put_port(struct tvq_switch *sw, struct tvq_port *p)
{
	uint32_t low = sw->n_ports, high = sw->n_ports;

	if (sw->last_number < UINT32_MAX) {
		p->number = ++sw->last_number;
	} else {
		/* Up to the first gap number i + 1 is at i. */
		for (low = 0; low < high;) {
			uint32_t mid = low + (high - low) / 2;

			if (sw->ports[mid]->number == mid + 1)
				low = mid + 1;
			else
				high = mid;
		}
		p->number = low + 1;
	}
	memmove(&sw->ports[low + 1], &sw->ports[low],
		(sw->n_ports - low) * sizeof(struct tvq_port *));
	sw->ports[low] = p;
	sw->n_ports++;
}

struct tvq_port *tvq_port_add(struct tvq_switch *sw, const struct tvq_port_cfg *cfg, void *ctx,
			      int *err)
{
	struct tvq_port *p;

	*err = check_cfg(sw, cfg);
	if (!*err)
		*err = room_for_port(sw);
	if (*err)
		return NULL;
	*err = -ENOMEM;
	p = sw->os->alloc(sizeof(*p));
	if (!p)
		return NULL;
	p->sw = sw;
	p->ops = cfg->ops;
	p->ctx = ctx;
	p->addr = tvq_mac_int(cfg->mac);
	p->mtu = cfg->mtu;
	p->vlan_mode = TVQ_VLAN_OPEN;
	p->burst = TVQ_SWITCH_BATCH;
	p->link = true;
	p->spoofchk = p->addr && !cfg->no_spoofchk;
	p->learns = !p->spoofchk;
	p->device_id = cfg->device_id;
	if (p->addr && tvq_fdb_insert(&sw->own, sw->os, p->addr, p) == TVQ_FDB_NONE) {
		sw->os->free(p, sizeof(*p));
		return NULL;
	}
	put_port(sw, p);
	*err = 0;
	return p;
}

/* The index of the first port whose number is above that. */
static uint32_t port_above(const struct tvq_switch *sw, uint32_t number)
{
	uint32_t low = 0, high = sw->n_ports;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (sw->ports[mid]->number > number)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

void tvq_port_del(struct tvq_port *p)
{
	struct tvq_switch *sw;

	if (!p)
		return;
	sw = p->sw;
	if (p->mirror && p->mirror->gone)
		p->mirror->gone(p->mirror);
	tvq_learn_forget(p);
	if (p->addr)
		tvq_fdb_remove(&sw->own, tvq_fdb_at(&sw->own, p->addr));
	if (p->dirty) {
		*p->dirty_pprev = p->dirty_next;
		if (p->dirty_next)
			p->dirty_next->dirty_pprev = p->dirty_pprev;
	}
	for (uint32_t i = port_above(sw, p->number); i < sw->n_ports; i++)
		sw->ports[i - 1] = sw->ports[i];
	sw->n_ports--;
	tvq_rate_free(p);
	tvq_filter_free(p);
	tvq_vlan_free(p);
	sw->os->free(p, sizeof(*p));
}

void *tvq_port_ctx(const struct tvq_port *p)
{
	return p->ctx;
}

struct tvq_switch *tvq_port_switch(const struct tvq_port *p)
{
	return p->sw;
}

int tvq_port_set_mac(struct tvq_port *p, const uint8_t mac[6])
{
	uint64_t addr = tvq_mac_int(mac);
	struct tvq_switch *sw = p->sw;
	struct tvq_port *owner;

	if (!addr || (addr & 1) || !p->addr)
		return -EINVAL;
	owner = tvq_fdb_find(&sw->own, addr);
	if (owner)
		return owner == p ? 0 : -EEXIST;
	/* As many entries as before: this needs no memory. */
	tvq_fdb_remove(&sw->own, tvq_fdb_at(&sw->own, p->addr));
	tvq_fdb_insert(&sw->own, sw->os, addr, p);
	p->addr = addr;
	return 0;
}

int tvq_port_set_mtu(struct tvq_port *p, uint16_t mtu)
{
	if (mtu < TVQ_MTU_MIN || mtu > TVQ_MTU_MAX)
		return -EINVAL;
	p->mtu = mtu;
	return 0;
}

void tvq_port_set_link(struct tvq_port *p, bool up)
{
	if (p->link == up)
		return;
	p->link = up;
	if (!up)
		tvq_learn_forget(p);
	else if (p->ops->feed)
		p->ops->feed(p);
}

void tvq_port_set_spoofchk(struct tvq_port *p, bool on)
{
	if (!p->addr)
		return;
	p->spoofchk = on;
	p->learns = !on;
	if (on)
		tvq_learn_forget(p);
}

void tvq_port_set_mirror(struct tvq_port *p, struct tvq_port_mirror *m)
{
	p->mirror = m;
}

unsigned int tvq_port_may_send(struct tvq_port *p, unsigned int n)
{
	if (__builtin_expect(!p->link, 0))
		return 0;
	if (n > p->burst)
		n = p->burst;
	if (__builtin_expect(p->rate != NULL, 0))
		return tvq_rate_may_send(p, n);
	return n;
}

void tvq_port_drop(struct tvq_port *p, enum tvq_drop why, uint64_t n)
{
	p->stats.drops[why] += n;
}

void tvq_port_received(struct tvq_port *p, uint64_t packets, uint64_t bytes)
{
	p->stats.rx_packets += packets;
	p->stats.rx_bytes += bytes;
}

const char *tvq_drop_name(enum tvq_drop why)
{
	static const char names[TVQ_DROPS][12] = {
		[TVQ_DROP_HEADER] = "header",	[TVQ_DROP_SPOOFED] = "spoofed",
		[TVQ_DROP_VLAN] = "vlan",	[TVQ_DROP_TOO_LONG] = "too-long",
		[TVQ_DROP_LINK] = "link",	[TVQ_DROP_NO_BUFFER] = "no-buffer",
		[TVQ_DROP_NO_ROOM] = "no-room", [TVQ_DROP_RX_LONG] = "rx-too-long",
		[TVQ_DROP_OFFLOAD] = "offload", [TVQ_DROP_UPLINK] = "uplink",
	};

	return names[why];
}

void tvq_port_info(const struct tvq_port *p, struct tvq_port_info *info)
{
	*info = (struct tvq_port_info){
		.number = p->number,
		.device_id = p->device_id,
		.mtu = p->mtu,
		.link = p->link,
		.spoofchk = p->spoofchk,
		.mirrored = p->mirror != NULL,
		.vlan = { .mode = (enum tvq_vlan_mode)p->vlan_mode, .pvid = p->pvid },
		.n_learned = p->n_learned,
		.stats = p->stats,
	};
	tvq_mac_bytes(p->addr, info->mac);
	if (p->vlan_set)
		memcpy(info->vlan.set, p->vlan_set, sizeof(info->vlan.set));
	tvq_rate_get(p, &info->rate);
}

struct tvq_port *tvq_switch_next_port(const struct tvq_switch *sw, uint32_t number)
{
	uint32_t i = port_above(sw, number);

	return i < sw->n_ports ? sw->ports[i] : NULL;
}

/* Half of a cursor: which table; the other half is the slot. */
#define CURSOR_LEARNED (1ULL << 32)

static void fill_entry(const struct tvq_switch *sw, const struct tvq_fdb *t, uint32_t slot,
		       struct tvq_fdb_entry *e)
{
	uint64_t key = t->slot[slot].key;

	*e = (struct tvq_fdb_entry){
		.own = t == &sw->own,
		.vid = (uint16_t)(key >> 48),
		.port = t->slot[slot].port->number,
		.age = t == &sw->own ? 0 : tvq_learn_age(sw, slot),
	};
	tvq_mac_bytes(key & TVQ_MAC_MASK, e->mac);
}

unsigned int tvq_switch_fdb(const struct tvq_switch *sw, uint64_t *cursor, struct tvq_fdb_entry *e,
			    unsigned int n)
{
	unsigned int done = 0;

	while (done < n) {
		const struct tvq_fdb *t = *cursor & CURSOR_LEARNED ? &sw->learned : &sw->own;
		uint32_t slot = (uint32_t)*cursor;

		if (slot > t->mask) {
			if (t == &sw->learned)
				break;
			*cursor = CURSOR_LEARNED;
			continue;
		}
		if (t->slot[slot].key)
			fill_entry(sw, t, slot, &e[done++]);
		++*cursor;
	}
	return done;
}
