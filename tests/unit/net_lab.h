/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Managed network devices on one switch, in process, driven by the polling driver (tvq/net.h) or
 * descriptor by descriptor (device_lab.h). No test here waits for something not to happen: a frame
 * that has to come after it shows that it did not.
 */
#ifndef TVQ_TESTS_NET_LAB_H
#define TVQ_TESTS_NET_LAB_H

#include "device_lab.h"

#include <linux/virtio_net.h>

#include <tvq/net.h>
#include <tvq/switch.h>

#define F(name) BIT(VIRTIO_NET_F_##name)

#define NL_HDR	  12
#define NL_MAX	  66000 /* bytes of a frame with its header */
#define NL_SLOTS  64
#define NL_NO_GSO (~(F(GUEST_TSO4) | F(GUEST_TSO6) | F(GUEST_ECN)))

static const uint8_t nl_everybody[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

struct nl_variant {
	bool packed;
	unsigned int workers;
};
static const struct nl_variant nl_variants[] = {
	{ false, 0 },
	{ true, 0 },
	{ false, 1 },
	{ true, 1 },
};
#define NL_VARIANTS_END (nl_variants + sizeof(nl_variants) / sizeof(nl_variants[0]))

/* A received frame, copied. */
struct nl_frame {
	struct virtio_net_hdr_v1_hash hdr;
	uint32_t len;
	uint8_t data[NL_MAX];
};

struct nl_dev {
	struct dl *l;
	uint64_t id;
	struct tvq_net *net;
	uint8_t mac[6];
	uint8_t *tx; /* NL_SLOTS times NL_MAX bytes */
	uint64_t tx_iova;
	struct tvq_net_frame frame[NL_SLOTS];
	unsigned int next;
	struct nl_frame got;
};

/* ---- the owner ---- */

struct nl_op {
	struct tvq_switch_op op;
	struct tvq_port *port;
	void (*fn)(struct tvq_port *p, void *arg);
	void *arg;
	bool done;
};

static inline void nl_op_run(struct tvq_switch_op *op)
{
	struct nl_op *o = (struct nl_op *)op;

	o->fn(o->port, o->arg);
}

static inline void nl_op_done(struct tvq_switch_op *op)
{
	((struct nl_op *)op)->done = true;
}

/* Runs fn on the switch's worker. */
static inline void nl_on_port(struct dl *l, uint64_t id, void (*fn)(struct tvq_port *, void *),
			      void *arg)
{
	struct tvq_device *dev = tvq_inproc_device(l->bus);
	struct nl_op o = { .op = { .run = nl_op_run, .done = nl_op_done }, .fn = fn, .arg = arg };

	o.port = tvq_device_port(dev, id);
	assert_non_null(o.port);
	tvq_switch_run(tvq_device_switch(dev), &o.op);
	dl_until(l, o.done);
}

static inline void nl_get_info(struct tvq_port *p, void *arg)
{
	tvq_port_info(p, arg);
}

static inline struct tvq_port_info nl_info(struct nl_dev *d)
{
	struct tvq_port_info info;

	nl_on_port(d->l, d->id, nl_get_info, &info);
	return info;
}

static inline uint64_t nl_drops(struct nl_dev *d, enum tvq_drop why)
{
	return nl_info(d).stats.drops[why];
}

/* ---- devices ---- */

/* cfg NULL: default features and values. */
static inline uint64_t nl_create(struct tvq_client *c, uint64_t features,
				 const struct virtio_transportq_net_config *cfg)
{
	struct tvq_create cr = {
		.virtio_device_id = TVQ_TYPE_NET,
		.features = features,
		.config = cfg,
		.config_len = cfg ? sizeof(*cfg) : 0,
	};

	assert_int_equal(tvq_client_create_call(c, &cr), 0);
	return cr.device_id;
}

/* The type's own bits of it that are offered, or all. */
static inline void nl_drive(struct nl_dev *d, struct dl *l, uint64_t id,
			    const struct tvq_net_cfg *cfg)
{
	int err = 0;

	*d = (struct nl_dev){ .l = l, .id = id };
	d->net = tvq_net_new(l->client, id, cfg, &err);
	assert_int_equal(err, 0);
	assert_non_null(d->net);
	tvq_net_mac(d->net, d->mac);
	d->tx = tvq_net_dma_alloc(d->net, (size_t)NL_SLOTS * NL_MAX, &d->tx_iova);
	assert_non_null(d->tx);
	/* Its queues are with the worker when an op that was sent behind them is back: a frame for
	 * it that came before that would be lost. */
	(void)nl_info(d);
}

static inline void nl_dev_up(struct nl_dev *d, struct dl *l, const struct nl_variant *v,
			     uint64_t features)
{
	struct tvq_net_cfg cfg = { .packed = v->packed, .features = features, .queue_size = 64 };

	nl_drive(d, l, nl_create(l->client, 0, NULL), &cfg);
}

static inline void nl_dev_down(struct nl_dev *d)
{
	uint8_t *tx = d->tx;
	struct tvq_bus *b = d->l->bus;

	tvq_net_free(d->net);
	b->ops->dma_free(b, tx, (size_t)NL_SLOTS * NL_MAX);
}

/* ---- frames ---- */

static inline void nl_ether(uint8_t *f, const uint8_t *to, const uint8_t *from, uint16_t type,
			    uint32_t len, uint32_t seed)
{
	memcpy(f, to, 6);
	memcpy(f + 6, from, 6);
	f[12] = (uint8_t)(type >> 8);
	f[13] = (uint8_t)type;
	for (uint32_t i = 14; i < len; i++)
		f[i] = (uint8_t)((i * 2654435761u + seed * 40503u) >> 13);
}
#define NL_TYPE 0x88b5 /* local experiments */

/* Header and frame into a slot; not sent. */
static inline struct tvq_net_frame *nl_put(struct nl_dev *d, const struct virtio_net_hdr_v1 *hdr,
					   const void *frame, uint32_t len)
{
	unsigned int i = d->next++ % NL_SLOTS;
	uint32_t hdr_len = tvq_net_hdr_len(d->net);
	uint8_t *at = d->tx + (size_t)i * NL_MAX;

	assert_true(hdr_len + len <= NL_MAX);
	memset(at, 0, hdr_len);
	if (hdr)
		memcpy(at, hdr, sizeof(*hdr));
	if (len)
		memcpy(at + hdr_len, frame, len);
	d->frame[i] = (struct tvq_net_frame){ .iova = d->tx_iova + (uint64_t)i * NL_MAX,
					      .len = hdr_len + len };
	return &d->frame[i];
}

/* All that was sent has been used. */
static inline void nl_sent(struct nl_dev *d, uint16_t pair)
{
	struct tvq_net_frame *f[16];

	dl_until(d->l, (tvq_net_sent(d->net, pair, f, 16), !tvq_net_sending(d->net, pair)));
	assert_false(tvq_net_broken(d->net));
}

static inline void nl_send_hdr(struct nl_dev *d, uint16_t pair, const struct virtio_net_hdr_v1 *hdr,
			       const void *frame, uint32_t len)
{
	struct tvq_net_frame *f = nl_put(d, hdr, frame, len);

	assert_int_equal(tvq_net_send(d->net, pair, &f, 1), 1);
	nl_sent(d, pair);
}

static inline void nl_send(struct nl_dev *d, const void *frame, uint32_t len)
{
	nl_send_hdr(d, 0, NULL, frame, len);
}

static inline bool nl_poll(struct nl_dev *d, uint16_t pair)
{
	struct tvq_net_rx rx;

	assert_false(tvq_net_broken(d->net));
	if (!tvq_net_poll(d->net, pair, &rx, 1))
		return false;
	memset(&d->got.hdr, 0, sizeof(d->got.hdr));
	memcpy(&d->got.hdr, rx.hdr, tvq_net_hdr_len(d->net));
	assert_true(rx.len <= NL_MAX);
	d->got.len = tvq_net_copy(&rx, d->got.data, NL_MAX);
	assert_int_equal(d->got.len, rx.len);
	tvq_net_refill(d->net, pair, &rx, 1);
	return true;
}

/* The next frame, to d->got. */
static inline void nl_receive(struct nl_dev *d, uint16_t pair)
{
	dl_until(d->l, nl_poll(d, pair));
}

/* The next one is this. */
static inline void nl_expect(struct nl_dev *d, const void *frame, uint32_t len)
{
	nl_receive(d, 0);
	assert_int_equal(d->got.len, len);
	assert_memory_equal(d->got.data, frame, len);
}

static inline void nl_passes(struct nl_dev *from, struct nl_dev *to, uint32_t len, uint32_t seed)
{
	static uint8_t f[NL_MAX];

	nl_ether(f, to->mac, from->mac, NL_TYPE, len, seed);
	nl_send(from, f, len);
	nl_expect(to, f, len);
}

/* Nothing but this comes next: what was sent before did not. Not the same seed twice in a test. */
static inline void nl_nothing_before(struct nl_dev *from, struct nl_dev *to, uint32_t seed)
{
	nl_passes(from, to, 60, 0x80000000u | seed);
}

/* ---- IP ---- */

static inline void nl_be16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void nl_be32(uint8_t *p, uint32_t v)
{
	nl_be16(p, v >> 16);
	nl_be16(p + 2, v);
}

static inline uint32_t nl_get_be16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static inline uint32_t nl_get_be32(const uint8_t *p)
{
	return nl_get_be16(p) << 16 | nl_get_be16(p + 2);
}

/* RFC 1071, as plainly as it can be: bytes in network order. */
static inline uint32_t nl_sum(uint32_t sum, const uint8_t *p, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

#define NL_TCP4_HEADERS (14 + 20 + 20)
#define NL_TCP6_HEADERS (14 + 40 + 20)

/* A TCP segment with payload bytes behind its headers; the checksum field has the pseudo header's
 * sum, as a driver leaves it. Returns its length. */
static inline uint32_t nl_tcp(uint8_t *f, bool six, const uint8_t *to, const uint8_t *from,
			      uint32_t payload, uint32_t seed)
{
	uint32_t ip = 14, l4 = six ? 54 : 34, len = l4 + 20 + payload, sum = 0;

	nl_ether(f, to, from, six ? 0x86dd : 0x0800, len, seed);
	memset(f + ip, 0, l4 + 20 - ip);
	if (six) {
		f[ip] = 0x60;
		nl_be16(f + ip + 4, 20 + payload);
		f[ip + 6] = 6;
		f[ip + 7] = 64;
		f[ip + 8] = f[ip + 24] = 0xfd;
		f[ip + 23] = 1;
		f[ip + 39] = 2;
		sum = nl_sum(sum, f + ip + 8, 32);
	} else {
		f[ip] = 0x45;
		nl_be16(f + ip + 2, 40 + payload);
		nl_be16(f + ip + 4, 0x1234);
		f[ip + 8] = 64;
		f[ip + 9] = 6;
		nl_be32(f + ip + 12, 0x0a000001);
		nl_be32(f + ip + 16, 0x0a000002);
		nl_be16(f + ip + 10, 0xffff & ~nl_sum(0, f + ip, 20));
		sum = nl_sum(sum, f + ip + 12, 8);
	}
	nl_be16(f + l4, 1000);
	nl_be16(f + l4 + 2, 2000);
	nl_be32(f + l4 + 4, 0xfffff000); /* the sequence number wraps on the way */
	nl_be32(f + l4 + 8, 77);
	f[l4 + 12] = 0x50;
	f[l4 + 13] = 0x18; /* PSH, ACK */
	nl_be16(f + l4 + 14, 4096);
	sum += 6 + 20 + payload;
	nl_be16(f + l4 + 16, nl_sum(sum, NULL, 0));
	return len;
}

/* Both checksums of a TCP segment as it should be on a wire. */
static inline bool nl_tcp_right(const uint8_t *f, uint32_t len)
{
	bool six = f[12] == 0x86;
	uint32_t ip = 14, l4 = six ? 54 : 34, sum = 6 + (len - l4);

	if (six ? nl_get_be16(f + ip + 4) != len - l4
		: nl_sum(0, f + ip, 20) != 0xffff || nl_get_be16(f + ip + 2) != len - ip)
		return false;
	sum = nl_sum(sum, f + ip + (six ? 8 : 12), six ? 32 : 8);
	return nl_sum(sum, f + l4, len - l4) == 0xffff;
}

/* ---- a device whose queues the test drives, in a space of its own ---- */

struct nl_raw {
	struct dl *l;
	struct dl_mem mem;
	struct dl_queue rx, tx;
	uint64_t id;
	uint8_t mac[6];
};

/* A piece of work in a ring. */
struct nl_piece {
	bool used;
	uint32_t written;
};

/* Queues with their memory; not set up. */
static inline void nl_raw_new(struct nl_raw *r, struct dl *l, const struct nl_variant *v,
			      const uint8_t mac[6])
{
	struct virtio_transportq_net_config cfg = { .mtu = 0 };

	*r = (struct nl_raw){ .l = l };
	memcpy(cfg.mac, mac, 6);
	memcpy(r->mac, mac, 6);
	r->id = nl_create(l->client, 0, &cfg);
	dl_mem_new(&r->mem, l, 8u << 20);
	dl_queue_new(&r->rx, &r->mem, l->client, r->id, 0, 64, v->packed);
	dl_queue_new(&r->tx, &r->mem, l->client, r->id, 1, 64, v->packed);
}

/* All that is offered but these. */
static inline void nl_raw_start(struct nl_raw *r, uint64_t without)
{
	struct tvq_seq *s;

	dl_negotiate(r->l->client, r->id, without | (r->rx.packed ? 0 : BIT(VIRTIO_F_RING_PACKED)));
	s = tvq_seq_new(r->l->client, r->id);
	tvq_seq_vq_asid_set(s, 0, r->mem.asid);
	tvq_seq_vq_asid_set(s, 1, r->mem.asid);
	dl_queue_program(&r->rx, s);
	dl_queue_program(&r->tx, s);
	tvq_seq_status_set(s, DL_DRIVER_OK);
	assert_int_equal(tvq_seq_call(s), 0);
}

static inline struct tvq_port_info nl_raw_info(struct nl_raw *r)
{
	struct tvq_port_info info;

	nl_on_port(r->l, r->id, nl_get_info, &info);
	return info;
}

static inline void nl_raw_up(struct nl_raw *r, struct dl *l, const struct nl_variant *v,
			     uint64_t without)
{
	static const uint8_t mac[6] = { 0x02, 0, 0, 0, 0xaa, 1 };

	nl_raw_new(r, l, v, mac);
	nl_raw_start(r, without);
	(void)nl_raw_info(r); /* as in nl_drive() */
}

static inline void nl_raw_down(struct nl_raw *r)
{
	assert_int_equal(dl_destroy(r->l->client, r->id), 0);
	dl_queue_free(&r->rx);
	dl_queue_free(&r->tx);
	dl_mem_free(&r->mem);
}

static inline unsigned int nl_raw_collect(struct dl_queue *q)
{
	struct nl_piece *p;
	unsigned int n = 0;
	uint32_t written;

	while ((p = tvq_drv_ring_get(q->ring, &written))) {
		assert_false(p->used);
		p->used = true;
		p->written = written;
		n++;
	}
	assert_false(tvq_drv_ring_broken(q->ring));
	return n;
}

static inline bool nl_raw_used(struct dl_queue *q, const struct nl_piece *p)
{
	nl_raw_collect(q);
	return p->used;
}

static inline void nl_raw_add(struct dl_queue *q, const struct tvq_sg *sg, unsigned int n_out,
			      unsigned int n_in, struct nl_piece *p)
{
	*p = (struct nl_piece){ .used = false };
	assert_int_equal(tvq_drv_ring_add(q->ring, sg, n_out, n_in, p), 0);
}

/* One chain, waited for. */
static inline uint32_t nl_raw_do(struct dl_queue *q, const struct tvq_sg *sg, unsigned int n_out,
				 unsigned int n_in)
{
	static struct nl_piece p;

	nl_raw_add(q, sg, n_out, n_in, &p);
	dl_notify(q);
	dl_until(q->mem->l, nl_raw_used(q, &p));
	return p.written;
}

/* A receive buffer. */
struct nl_buf {
	struct nl_piece piece;
	uint8_t *va;
	uint64_t iova;
	uint32_t len;
};

static inline void nl_buf_give(struct nl_raw *r, struct nl_buf *b, uint32_t len)
{
	struct tvq_sg sg;

	if (!b->va)
		b->va = dl_alloc(&r->mem, len, 64, &b->iova);
	b->len = len;
	sg = (struct tvq_sg){ b->iova, len };
	nl_raw_add(&r->rx, &sg, 0, 1, &b->piece);
}

#endif
