// SPDX-License-Identifier: BSD-3-Clause
/*
 * Frames' way through the switch. Theory of operation.
 *
 * A batch is what one port sends at once. Four steps, each for the whole batch:
 *
 *   check     by the sender's rules: length, VLAN, source address. What passes is counted, and
 *             charged to the sender's rate; its source is learned where the sender learns.
 *   look up   each frame's port: own addresses first, then learned ones. None: it is flooded.
 *   group     runs of frames to known addresses by their port. Most batches are for one port and
 *             need no grouping.
 *   deliver   to a port in one receive(), those that its VLANs, filter and MTU let pass.
 *
 * Frames from one port to another keep their order: flooded frames end a run of the others, and
 * within a run frames of the same port follow each other as they came. Frames to different ports
 * have none.
 *
 * What a batch costs is bounded by its length unless it is flooded to many ports. Then the port may
 * send fewer frames at once from the next batch on, down to a single one: others get their turns,
 * and nothing is dropped.
 *
 * Trust boundary: what is looked at here is the frame's description, which its maker has checked,
 * and its addresses, which are a copy. Nothing of the sender's memory is read.
 */
#include <linux/virtio_net.h>

#include "switch/switch_priv.h"

/* The longest that IPv6 without jumbograms allows, EtherType included. */
#define GSO_LEN_MAX    (2 + 40 + 65535)
#define TCP_HLEN       20
#define END	       0xff	 /* of a chain of frames */
#define FLOOD_BYTES    (1 << 20) /* copied for one batch, about */
#define FLOOD_FRAME    64	 /* bytes that a frame costs at least */
/* A table of that many slots does not stay in the nearest cache. */
#define PREFETCH_SLOTS 1024

struct batch {
	unsigned int n;
	const struct tvq_frame *f[TVQ_SWITCH_BATCH];
	uint64_t dst[TVQ_SWITCH_BATCH];
	struct tvq_port *to[TVQ_SWITCH_BATCH]; /* NULL: to be flooded */
};

/* A frame longer than the MTU: may its segments be short enough? The TCP header is in the sender's
 * memory and is taken for one without options. */
static bool segments_fit(const struct tvq_frame *f, uint16_t mtu)
{
	uint32_t ip = f->csum_start > 2 ? f->csum_start - 2U : 0;

	return f->gso_type != VIRTIO_NET_HDR_GSO_NONE && f->len <= GSO_LEN_MAX &&
	       ip + TCP_HLEN + f->gso_size <= mtu;
}

static inline bool fits(const struct tvq_frame *f, uint16_t mtu)
{
	return __builtin_expect(f->len - 2 <= mtu, 1) || segments_fit(f, mtu);
}

/* For senders behind which there may be several addresses. */
static bool learn_source(struct tvq_port *p, const struct tvq_frame *f, uint64_t src)
{
	struct tvq_port *owner;

	if ((src & 1) || !src)
		return false;
	owner = tvq_fdb_find(&p->sw->own, src);
	if (!owner)
		tvq_learn(p, tvq_learn_key(src, f->vid));
	return !owner || owner == p;
}

/* What a frame is dropped for, or TVQ_DROPS. */
static inline enum tvq_drop check(struct tvq_port *p, struct tvq_frame *f, uint64_t *last_key)
{
	uint64_t src = tvq_frame_src(f), key;

	if (__builtin_expect(f->len < 2, 0))
		return TVQ_DROP_HEADER;
	if (!fits(f, p->mtu))
		return TVQ_DROP_TOO_LONG;
	f->vid = 0;
	if (__builtin_expect(f->tagged || p->vlan_mode != TVQ_VLAN_OPEN, 0) &&
	    !tvq_vlan_classify(p, f))
		return TVQ_DROP_VLAN;
	if (!p->learns)
		return src == p->addr ? TVQ_DROPS : TVQ_DROP_SPOOFED;
	/* One after the other from the same source: once is enough. */
	key = tvq_learn_key(src, f->vid);
	if (key == *last_key)
		return TVQ_DROPS;
	if (!learn_source(p, f, src))
		return TVQ_DROP_SPOOFED;
	*last_key = key;
	return TVQ_DROPS;
}

static void check_all(struct tvq_port *p, struct tvq_frame *const *f, unsigned int n,
		      struct batch *b)
{
	uint64_t bytes = 0;
	uint64_t last_key = UINT64_MAX; /* none's */

	b->n = 0;
	for (unsigned int i = 0; i < n; i++) {
		enum tvq_drop why = check(p, f[i], &last_key);

		if (__builtin_expect(why != TVQ_DROPS, 0)) {
			p->stats.drops[why]++;
			continue;
		}
		bytes += 12 + f[i]->len + (f[i]->tagged ? 4 : 0);
		b->dst[b->n] = tvq_frame_dst(f[i]);
		b->f[b->n++] = f[i];
	}
	if (!b->n)
		return;
	p->stats.tx_packets += b->n;
	p->stats.tx_bytes += bytes;
	if (p->rate)
		tvq_rate_charge(p, b->n, bytes);
}

static struct tvq_port *look_up(const struct tvq_switch *sw, uint64_t dst, uint16_t vid)
{
	struct tvq_port *to = tvq_fdb_find(&sw->own, dst);

	if (!to && sw->learned.n)
		to = tvq_fdb_find(&sw->learned, tvq_learn_key(dst, vid));
	return to;
}

static void look_up_all(const struct tvq_switch *sw, struct batch *b)
{
	if (sw->own.mask >= PREFETCH_SLOTS)
		for (unsigned int i = 0; i < b->n; i++)
			__builtin_prefetch(
				&sw->own.slot[tvq_fdb_hash(&sw->own, b->dst[i]) & sw->own.mask]);
	for (unsigned int i = 0; i < b->n; i++) {
		if (b->dst[i] & 1)
			b->to[i] = NULL;
		else if (i && b->dst[i] == b->dst[i - 1] && b->f[i]->vid == b->f[i - 1]->vid)
			b->to[i] = b->to[i - 1];
		else
			b->to[i] = look_up(sw, b->dst[i], b->f[i]->vid);
		__builtin_prefetch(b->to[i]);
	}
}

static void mark_dirty(struct tvq_port *q)
{
	struct tvq_switch *sw = q->sw;

	q->dirty = true;
	q->dirty_next = sw->dirty;
	q->dirty_pprev = &sw->dirty;
	if (q->dirty_next)
		q->dirty_next->dirty_pprev = &q->dirty_next;
	sw->dirty = q;
}

/* Whether q gets a frame that is for it; known: to an address of its own, or learned there. */
static inline bool takes(struct tvq_port *q, const struct tvq_frame *f, bool known)
{
	if (!tvq_vlan_member(q, f->vid))
		return false;
	if (__builtin_expect(q->filter != NULL, 0) && !tvq_filter_takes(q, f, known))
		return false;
	if (fits(f, q->mtu))
		return true;
	q->stats.drops[TVQ_DROP_RX_LONG]++;
	return false;
}

/* Frames for q, in an array that may be written to. */
static void deliver(struct tvq_port *q, const struct tvq_frame **f, unsigned int n, bool known)
{
	unsigned int k = 0;

	for (unsigned int i = 0; i < n; i++)
		if (takes(q, f[i], known))
			f[k++] = f[i];
	if (!k)
		return;
	if (q->mirror)
		q->mirror->frames(q->mirror, q, f, k, true);
	if (!q->dirty && q->ops->flush)
		mark_dirty(q);
	q->ops->receive(q, f, k);
}

/* Frames to several ports, all known. */
static void deliver_grouped(const struct tvq_port *p, struct batch *b, unsigned int from,
			    unsigned int end)
{
	struct tvq_port *ports[TVQ_SWITCH_BATCH];
	const struct tvq_frame *f[TVQ_SWITCH_BATCH];
	uint8_t next[TVQ_SWITCH_BATCH];
	unsigned int n_ports = 0;

	for (unsigned int i = from; i < end; i++) {
		struct tvq_port *q = b->to[i];

		if (q == p || !q->link)
			continue;
		next[i] = END;
		if (q->in_batch) {
			next[q->tail] = (uint8_t)i;
		} else {
			q->in_batch = true;
			q->head = (uint8_t)i;
			ports[n_ports++] = q;
		}
		q->tail = (uint8_t)i;
	}
	for (unsigned int k = 0; k < n_ports; k++) {
		unsigned int n = 0;

		ports[k]->in_batch = false;
		for (unsigned int i = ports[k]->head; i != END; i = next[i])
			f[n++] = b->f[i];
		deliver(ports[k], f, n, true);
	}
}

/* A run of frames to known addresses. */
static void deliver_known(const struct tvq_port *p, struct batch *b, unsigned int from,
			  unsigned int end)
{
	struct tvq_port *q = b->to[from];
	unsigned int i = from + 1;

	while (i < end && b->to[i] == q)
		i++;
	if (i < end)
		deliver_grouped(p, b, from, end);
	else if (q != p && q->link)
		deliver(q, b->f + from, end - from, true);
}

/* Bytes that are copied where each port gets these frames. */
static uint64_t flood_cost(const struct batch *b, unsigned int from, unsigned int end,
			   uint32_t n_ports)
{
	uint64_t bytes = 0;

	for (unsigned int i = from; i < end; i++)
		bytes += b->f[i]->len + FLOOD_FRAME;
	return bytes * n_ports;
}

/* After a batch of n frames that cost so much. */
static void set_burst(struct tvq_port *p, unsigned int n, uint64_t cost)
{
	/* Step by step: who floods again as soon as he may does not get far. */
	unsigned int burst = p->burst + 1U;

	if (cost > FLOOD_BYTES) {
		burst = (unsigned int)(n * (uint64_t)FLOOD_BYTES / cost);
		if (!burst)
			burst = 1;
	}
	p->burst = (uint8_t)(burst < TVQ_SWITCH_BATCH ? burst : TVQ_SWITCH_BATCH);
}

/* A run of frames to groups and unknown addresses. */
static void flood(const struct tvq_port *p, const struct batch *b, unsigned int from,
		  unsigned int end)
{
	const struct tvq_switch *sw = p->sw;
	const struct tvq_frame *f[TVQ_SWITCH_BATCH];

	for (uint32_t i = 0; i < sw->n_ports; i++) {
		struct tvq_port *q = sw->ports[i];

		if (i + 1 < sw->n_ports)
			__builtin_prefetch(sw->ports[i + 1]);
		if (q == p || !q->link)
			continue;
		memcpy(f, b->f + from, (end - from) * sizeof(f[0]));
		deliver(q, f, end - from, false);
	}
}

void tvq_switch_forward(struct tvq_port *p, struct tvq_frame *const *f, unsigned int n)
{
	struct batch b;
	unsigned int i, end;
	uint64_t cost = 0;

	if (__builtin_expect(!p->link, 0)) {
		p->stats.drops[TVQ_DROP_LINK] += n;
		return;
	}
	check_all(p, f, n, &b);
	if (p->mirror && b.n)
		p->mirror->frames(p->mirror, p, b.f, b.n, false);
	look_up_all(p->sw, &b);
	for (i = 0; i < b.n; i = end) {
		bool known = b.to[i];

		for (end = i + 1; end < b.n && !!b.to[end] == known;)
			end++;
		if (known) {
			deliver_known(p, &b, i, end);
		} else {
			flood(p, &b, i, end);
			cost += flood_cost(&b, i, end, p->sw->n_ports);
		}
	}
	if (__builtin_expect(cost || p->burst < TVQ_SWITCH_BATCH, 0))
		set_burst(p, b.n, cost);
}

void tvq_switch_flush(struct tvq_switch *sw)
{
	while (sw->dirty) {
		struct tvq_port *q = sw->dirty;

		sw->dirty = q->dirty_next;
		if (sw->dirty)
			sw->dirty->dirty_pprev = &sw->dirty;
		q->dirty = false;
		q->ops->flush(q);
	}
}
