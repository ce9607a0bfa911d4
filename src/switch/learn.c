// SPDX-License-Identifier: BSD-3-Clause
/*
 * Learned addresses. Theory of operation.
 *
 * An address is learned in the VLAN of the frame that had it as its source, at ports behind which
 * there may be several. Time is counted in ticks of TICK_NS, so that a frame costs no look at the
 * clock: a timer moves the present tick, and after each move goes through the table, SWEEP_SLOTS in
 * a turn, and forgets what has not been seen for more than AGE_TICKS. The timer is set while there
 * is an address in the table.
 *
 * Each port has a list of its addresses, as keys, since entries move about in the table: what is
 * to be forgotten with a port is found without a walk through those of all others. The list's
 * length is bounded (TVQ_LEARN_*): a port that sends from ever new addresses fills its own list,
 * and only frames to its own addresses are flooded. Those that it had stay, they are not replaced.
 *
 * An address that is seen at another port has moved there. Where that one's list is full it is
 * forgotten altogether: frames to it are flooded and still arrive.
 */
#include "switch/switch_priv.h"

#define TICK_NS	    5000000000ULL
#define TICK_S	    5
#define AGE_TICKS   60 /* 300 s */
#define SWEEP_SLOTS 1024
#define FIRST_KEYS  16

static void stop_when_empty(struct tvq_switch *sw)
{
	if (sw->learned.n)
		return;
	tvq_timer_clear(sw->worker, &sw->age_timer);
	sw->sweeping = false;
}

static void free_keys(struct tvq_port *p)
{
	p->sw->os->free(p->learned, p->cap_learned * sizeof(*p->learned));
	p->learned = NULL;
	p->cap_learned = 0;
}

/* Takes an entry out of the table and of its port's list, whose last one gets its place. */
static void forget_slot(struct tvq_switch *sw, uint32_t slot)
{
	struct tvq_fdb *t = &sw->learned;
	struct tvq_port *p = t->slot[slot].port;
	uint32_t pos = t->meta[slot].pos;
	uint64_t last = p->learned[--p->n_learned];

	if (pos != p->n_learned) {
		p->learned[pos] = last;
		t->meta[tvq_fdb_at(t, last)].pos = pos;
	}
	tvq_fdb_remove(t, slot);
	if (!p->n_learned)
		free_keys(p);
	stop_when_empty(sw);
}

void tvq_learn_forget(struct tvq_port *p)
{
	while (p->n_learned)
		forget_slot(p->sw, tvq_fdb_at(&p->sw->learned, p->learned[p->n_learned - 1]));
}

static bool room_in_list(struct tvq_port *p)
{
	uint32_t max = p->addr ? TVQ_LEARN_DEVICE : TVQ_LEARN_UPLINK;
	uint32_t cap = p->cap_learned ? 2 * p->cap_learned : FIRST_KEYS;
	uint64_t *keys;

	if (p->n_learned < p->cap_learned)
		return true;
	if (p->n_learned >= max)
		return false;
	keys = p->sw->os->alloc(cap * sizeof(*keys));
	if (!keys)
		return false;
	if (p->learned)
		memcpy(keys, p->learned, p->n_learned * sizeof(*keys));
	p->sw->os->free(p->learned, p->cap_learned * sizeof(*p->learned));
	p->learned = keys;
	p->cap_learned = cap;
	return true;
}

/* Goes on with a walk through the table; false: it is at its end. */
static bool sweep(struct tvq_switch *sw)
{
	struct tvq_fdb *t = &sw->learned;

	for (unsigned int i = 0; i < SWEEP_SLOTS; i++) {
		if (sw->sweep > t->mask)
			return false;
		/* What is removed may have another behind it, which is in its slot now. */
		if (t->slot[sw->sweep].key && sw->tick - t->meta[sw->sweep].seen > AGE_TICKS)
			forget_slot(sw, sw->sweep);
		else
			sw->sweep++;
	}
	return true;
}

static void age(struct tvq_timer *timer)
{
	struct tvq_switch *sw = tvq_container_of(timer, struct tvq_switch, age_timer);
	uint64_t now = sw->os->now(), ticks = (now - sw->tick_start) / TICK_NS;
	uint64_t next;

	if (ticks) {
		sw->tick += (uint32_t)ticks;
		sw->tick_start += ticks * TICK_NS;
		sw->sweeping = true;
		sw->sweep = 0;
	}
	if (sw->sweeping)
		sw->sweeping = sweep(sw);
	if (!sw->learned.n)
		return;
	next = sw->sweeping ? now : sw->tick_start + TICK_NS;
	/* It has just been taken off, so that there is room for it. */
	tvq_timer_set(sw->worker, timer, next);
}

/* False: nothing can be learned, since nobody would forget it. */
static bool start_ageing(struct tvq_switch *sw)
{
	if (sw->age_timer.slot)
		return true;
	sw->age_timer.fn = age;
	sw->tick_start = sw->os->now();
	sw->tick++;
	return !tvq_timer_set(sw->worker, &sw->age_timer, sw->tick_start + TICK_NS);
}

void tvq_learn(struct tvq_port *p, uint64_t key)
{
	struct tvq_switch *sw = p->sw;
	struct tvq_fdb *t = &sw->learned;
	uint32_t i = tvq_fdb_at(t, key);

	if (i != TVQ_FDB_NONE) {
		if (t->slot[i].port == p) {
			t->meta[i].seen = sw->tick;
			return;
		}
		forget_slot(sw, i);
	}
	if (!room_in_list(p) || !start_ageing(sw))
		return;
	/* The first ones find room: where this fails the timer has others to look after. */
	i = tvq_fdb_insert(t, sw->os, key, p);
	if (i == TVQ_FDB_NONE)
		return;
	t->meta[i].seen = sw->tick;
	t->meta[i].pos = p->n_learned;
	p->learned[p->n_learned++] = key;
}

bool tvq_port_mac_elsewhere(const struct tvq_port *p, const uint8_t mac[6])
{
	const struct tvq_fdb *t = &p->sw->learned;
	uint64_t addr = tvq_mac_int(mac);

	for (uint16_t vid = 0; t->n && vid <= TVQ_VLAN_MAX; vid++) {
		uint32_t i = tvq_fdb_at(t, tvq_learn_key(addr, vid));

		if (i != TVQ_FDB_NONE && t->slot[i].port != p)
			return true;
	}
	return false;
}

uint32_t tvq_learn_age(const struct tvq_switch *sw, uint32_t slot)
{
	return (sw->tick - sw->learned.meta[slot].seen) * TICK_S;
}
