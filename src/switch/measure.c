// SPDX-License-Identifier: BSD-3-Clause
/*
 * Ports to measure with: a sink, which takes everything, and a source, which sends the same frame
 * for ever.
 *
 * A source sends as fast as its peer takes frames, and looks at the peer's counters to see whether
 * it does: a peer that was full gets a single frame to try with until it takes one. A source is
 * polled meanwhile, for some PATIENCE turns; then a timer tries, every RETRY_NS.
 */
#include "switch/switch_priv.h"

#define PATIENCE 4096
#define RETRY_NS 1000000ULL

#define MIN_BYTES    60
#define MAX_BYTES    1514
#define IP_AT	     2 /* behind the EtherType */
#define UDP_AT	     22
#define DATA_AT	     30 /* UDP's */
#define PORT_DISCARD 9

struct measure {
	struct tvq_port *port;
	const struct tvq_os *os;
	bool source;

	/* A source's. */
	uint64_t to;
	struct tvq_poller poller;
	struct tvq_timer timer;
	unsigned int refused; /* turns, in a row */
	struct tvq_frame frame;
	struct tvq_seg seg;
	uint8_t data[MAX_BYTES - 12];
};

static void measure_receive(struct tvq_port *p, const struct tvq_frame *const *f, unsigned int n)
{
	uint64_t bytes = 0;

	for (unsigned int i = 0; i < n; i++)
		bytes += 12 + f[i]->len + (tvq_port_tags(p, f[i]) ? 4 : 0);
	tvq_port_received(p, n, bytes);
}

static void source_feed(struct tvq_port *p);

static const struct tvq_port_ops sink_ops = {
	.receive = measure_receive,
};

static const struct tvq_port_ops source_ops = {
	.receive = measure_receive,
	.feed = source_feed,
};

static struct measure *measure_new(struct tvq_switch *sw, const uint8_t mac[6],
				   const struct tvq_port_ops *ops, int *err)
{
	struct tvq_port_cfg cfg = { .ops = ops, .mtu = TVQ_MTU_MAX };
	struct measure *m;

	memcpy(cfg.mac, mac, sizeof(cfg.mac));
	*err = -EINVAL;
	if (!tvq_mac_int(mac))
		return NULL;
	*err = -ENOMEM;
	m = sw->os->alloc(sizeof(*m));
	if (!m)
		return NULL;
	m->os = sw->os;
	m->source = ops == &source_ops;
	m->port = tvq_port_add(sw, &cfg, m, err);
	if (m->port)
		return m;
	sw->os->free(m, sizeof(*m));
	return NULL;
}

struct tvq_port *tvq_sink_new(struct tvq_switch *sw, const uint8_t mac[6], int *err)
{
	struct measure *m = measure_new(sw, mac, &sink_ops, err);

	return m ? m->port : NULL;
}

static void put_be16(uint8_t *at, uint32_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

/* RFC 1071, of len bytes, an even number or with a zero behind them. */
static uint32_t sum_be16(const uint8_t *at, unsigned int len)
{
	uint32_t sum = 0;

	for (unsigned int i = 0; i < len; i += 2)
		sum += (uint32_t)at[i] << 8 | at[i + 1];
	return sum;
}

static uint16_t fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* UDP to discard, between addresses of the range for benchmarks (RFC 2544). */
static void make_frame(struct measure *m, const uint8_t mac[6], const uint8_t to[6], uint16_t bytes)
{
	static const uint8_t ip[20] = { 0x45, 0, 0,   0,  0, 0, 0x40, 0,  64, 17,
					0,    0, 198, 18, 0, 1, 198,  19, 0,  1 };
	uint32_t ip_len = bytes - 14U, udp_len = ip_len - sizeof(ip);
	uint8_t *d = m->data;
	uint16_t sum;

	put_be16(d, 0x0800);
	memcpy(d + IP_AT, ip, sizeof(ip));
	put_be16(d + IP_AT + 2, ip_len);
	put_be16(d + IP_AT + 10, fold(sum_be16(d + IP_AT, sizeof(ip))));
	put_be16(d + UDP_AT, PORT_DISCARD);
	put_be16(d + UDP_AT + 2, PORT_DISCARD);
	put_be16(d + UDP_AT + 4, udp_len);
	for (unsigned int i = DATA_AT; i < bytes - 12U; i++)
		d[i] = (uint8_t)(i - DATA_AT);
	/* The data has one byte more than the longest frame's: it is even, and 0. */
	/* It comes out as 0, which would mean none, for no length. */
	sum = fold(sum_be16(d + IP_AT + 12, 8) + 17 + udp_len + sum_be16(d + UDP_AT, udp_len));
	put_be16(d + UDP_AT + 6, sum);
	m->seg = (struct tvq_seg){ .va = d, .len = bytes - 12U };
	m->frame = (struct tvq_frame){ .n_seg = 1, .len = bytes - 12U, .seg = &m->seg };
	memcpy(m->frame.mac, to, 6);
	memcpy(m->frame.mac + 6, mac, 6);
}

/* The port that has the source's peer address; NULL: none has. */
static struct tvq_port *peer(const struct measure *m)
{
	const struct tvq_switch *sw = m->port->sw;
	struct tvq_port *q = tvq_fdb_find(&sw->own, m->to);

	if (!q)
		q = tvq_fdb_find(&sw->learned, tvq_learn_key(m->to, m->port->pvid));
	return q;
}

/* Sends up to n frames; returns how many arrived. */
static uint64_t send_frames(struct measure *m, struct tvq_port *to, unsigned int n)
{
	struct tvq_frame *f[TVQ_SWITCH_BATCH];
	uint64_t before = to->stats.rx_packets;

	for (unsigned int i = 0; i < n; i++)
		f[i] = &m->frame;
	tvq_switch_forward(m->port, f, n);
	tvq_switch_flush(m->port->sw);
	return to->stats.rx_packets - before;
}

/* No more polling for a while. */
static void rest(struct measure *m)
{
	struct tvq_exec *worker = m->port->sw->worker;

	if (!tvq_timer_set(worker, &m->timer, m->os->now() + RETRY_NS))
		tvq_poller_remove(&m->poller);
}

static unsigned int source_poll(struct tvq_poller *poller)
{
	struct measure *m = tvq_container_of(poller, struct measure, poller);
	struct tvq_port *to = peer(m);
	unsigned int n = m->refused ? 1 : TVQ_SWITCH_BATCH;
	uint64_t arrived = 0;

	n = tvq_port_may_send(m->port, n);
	if (!n) {
		/* feed() comes. */
		tvq_poller_remove(poller);
		return 0;
	}
	if (to)
		arrived = send_frames(m, to, n);
	m->refused = arrived == n ? 0 : m->refused + 1;
	if (m->refused > PATIENCE || !to)
		rest(m);
	return (unsigned int)arrived;
}

/* Asked when it has sent nothing for the executor's polling time. */
static bool source_arm(struct tvq_poller *poller)
{
	struct measure *m = tvq_container_of(poller, struct measure, poller);

	rest(m);
	return tvq_poller_active(poller);
}

static void source_retry(struct tvq_timer *timer)
{
	struct measure *m = tvq_container_of(timer, struct measure, timer);

	tvq_poller_activate(m->port->sw->worker, &m->poller);
}

static void source_feed(struct tvq_port *p)
{
	struct measure *m = p->ctx;

	tvq_poller_activate(p->sw->worker, &m->poller);
}

struct tvq_port *tvq_source_new(struct tvq_switch *sw, const uint8_t mac[6], const uint8_t to[6],
				uint16_t bytes, int *err)
{
	uint64_t peer_addr = tvq_mac_int(to);
	struct measure *m;

	*err = -EINVAL;
	if (bytes < MIN_BYTES || bytes > MAX_BYTES || !peer_addr || (peer_addr & 1))
		return NULL;
	m = measure_new(sw, mac, &source_ops, err);
	if (!m)
		return NULL;
	m->to = peer_addr;
	m->poller.poll = source_poll;
	m->poller.arm = source_arm;
	m->timer.fn = source_retry;
	make_frame(m, mac, to, bytes);
	tvq_poller_activate(sw->worker, &m->poller);
	return m->port;
}

void tvq_measure_free(struct tvq_port *p)
{
	struct measure *m;

	if (!p)
		return;
	m = p->ctx;
	if (m->source) {
		tvq_timer_clear(p->sw->worker, &m->timer);
		tvq_poller_remove(&m->poller);
	}
	tvq_port_del(p);
	m->os->free(m, sizeof(*m));
}
