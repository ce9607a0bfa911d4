// SPDX-License-Identifier: BSD-3-Clause
/*
 * Rate limits: a token bucket each for bits and for packets, kept as times. Theory of operation.
 *
 * `at` is the time at which all that was sent would have gone out at the rate. What was not used of
 * BURST_NS is kept, so that a port may send while at < now + BURST_NS: after a pause 10 ms of its
 * rate go at once. How long the next frame is is known when it is there, so a port may send as long
 * as something is left, and what it takes too much lengthens the pause that follows. How many
 * frames it may send at once is reckoned by the average of those before, or by its MTU where that
 * is more: only a batch of GSO frames behind shorter ones can take much more than was there.
 *
 * Bits are those of the frame: addresses, tag, EtherType and payload, as in the statistics.
 */
#include "switch/switch_priv.h"

#define SECOND	 1000000000ULL
#define BURST_NS 10000000ULL
#define WAKE_NS	 1000000ULL	     /* of a burst: that much has to be there before it goes on */
#define RATE_MAX 1000000000000000ULL /* keeps products of it within 64 bits */

struct tvq_rate {
	struct tvq_port_rate limit;
	uint64_t bits_at, packets_at; /* os->now() */
	uint64_t bits_rest, packets_rest;
	uint64_t now; /* as last looked at */
	uint64_t avg; /* bytes of a frame */
	struct tvq_port *port;
	struct tvq_timer timer; /* set: the port waits */
};

static void resume(struct tvq_timer *timer)
{
	struct tvq_rate *r = tvq_container_of(timer, struct tvq_rate, timer);

	if (r->port->ops->feed)
		r->port->ops->feed(r->port);
}

/* r may be NULL. */
static bool stop_waiting(struct tvq_port *p, struct tvq_rate *r)
{
	bool waits = r && r->timer.slot;

	if (waits)
		tvq_timer_clear(p->sw->worker, &r->timer);
	return waits;
}

void tvq_rate_free(struct tvq_port *p)
{
	stop_waiting(p, p->rate);
	p->sw->os->free(p->rate, sizeof(*p->rate));
	p->rate = NULL;
}

int tvq_port_set_rate(struct tvq_port *p, const struct tvq_port_rate *rate)
{
	struct tvq_rate *r = p->rate;
	bool waits;

	if (rate->bits > RATE_MAX || rate->packets > RATE_MAX)
		return -EINVAL;
	if (!r && (rate->bits || rate->packets)) {
		r = p->sw->os->alloc(sizeof(*r));
		if (!r)
			return -ENOMEM;
		r->port = p;
		r->timer.fn = resume;
		p->rate = r;
	}
	waits = stop_waiting(p, r);
	if (!rate->bits && !rate->packets) {
		tvq_rate_free(p);
	} else {
		/* What was owed was owed at another rate. */
		r->limit = *rate;
		r->bits_at = r->packets_at = 0;
		r->bits_rest = r->packets_rest = 0;
	}
	if (waits && p->ops->feed)
		p->ops->feed(p);
	return 0;
}

/* Moves *at on by what count costs at rate; *rest: what division left. */
static void charge(uint64_t *at, uint64_t *rest, uint64_t now, uint64_t count, uint64_t rate)
{
	uint64_t cost = count * SECOND + *rest;

	if (!rate)
		return;
	if (*at < now)
		*at = now;
	*at += cost / rate;
	*rest = cost % rate;
}

void tvq_rate_charge(struct tvq_port *p, unsigned int n, uint64_t bytes)
{
	struct tvq_rate *r = p->rate;

	charge(&r->bits_at, &r->bits_rest, r->now, bytes * 8, r->limit.bits);
	charge(&r->packets_at, &r->packets_rest, r->now, n, r->limit.packets);
	r->avg = (3 * r->avg + bytes / n) / 4;
}

/* How many units of that count may go now, at most n. */
static unsigned int room(uint64_t at, uint64_t now, uint64_t count, uint64_t rate, unsigned int n)
{
	uint64_t cost, left;

	if (!rate)
		return n;
	if (at >= now + BURST_NS)
		return 0;
	left = now + BURST_NS - (at > now ? at : now);
	cost = count * SECOND / rate;
	if (!cost || (left - 1) / cost >= n)
		return n;
	return 1 + (unsigned int)((left - 1) / cost);
}

unsigned int tvq_rate_may_send(struct tvq_port *p, unsigned int n)
{
	struct tvq_rate *r = p->rate;
	uint64_t late, bytes = TVQ_ETH_HLEN + p->mtu;

	r->now = p->sw->os->now();
	if (r->avg > bytes)
		bytes = r->avg;
	n = room(r->bits_at, r->now, bytes * 8, r->limit.bits, n);
	if (n)
		n = room(r->packets_at, r->now, 1, r->limit.packets, n);
	if (n || r->timer.slot)
		return n;
	late = r->bits_at > r->packets_at ? r->bits_at : r->packets_at;
	/* A port that nobody would feed goes without a limit for once. */
	if (tvq_timer_set(p->sw->worker, &r->timer, late - BURST_NS + WAKE_NS) < 0)
		return 1;
	return 0;
}

void tvq_rate_get(const struct tvq_port *p, struct tvq_port_rate *rate)
{
	*rate = p->rate ? p->rate->limit : (struct tvq_port_rate){ 0 };
}
