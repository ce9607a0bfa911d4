/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A guest with a network device, as its front end and its driver: what QEMU sends, in its order,
 * and frames through real rings. Two of them on one lab can talk.
 */
#ifndef TVQ_TESTS_VU_NET_H
#define TVQ_TESTS_VU_NET_H

#include <linux/virtio_net.h>

#include <tvq/device.h>

#include "vu_front.h"

#define NET_HDR	 12
#define NET_RX	 16 /* receive buffers of a queue */
#define NET_ROOM 2048

/* Protocol features that QEMU has for networks, and DPDK's virtio_user. */
#define QEMU_TAKES                                                                                 \
	(BIT(VU_PF_MQ) | BIT(VU_PF_RARP) | BIT(VU_PF_REPLY_ACK) | BIT(VU_PF_NET_MTU) |             \
	 BIT(VU_PF_BACKEND_REQ) | BIT(VU_PF_BACKEND_SEND_FD) | BIT(VU_PF_RESET_DEVICE) |           \
	 BIT(VU_PF_CONFIGURE_MEM_SLOTS) | BIT(VU_PF_STATUS))
#define VIRTIO_USER_TAKES (BIT(VU_PF_MQ) | BIT(VU_PF_REPLY_ACK) | BIT(VU_PF_STATUS))

#define NET_FEATURES                                                                               \
	(BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_RING_F_EVENT_IDX) | BIT(VIRTIO_NET_F_MRG_RXBUF) |    \
	 BIT(VU_F_PROTOCOL_FEATURES))

struct net_guest {
	struct vu_front f;
	uint8_t mac;	   /* last octet */
	unsigned int sent; /* the next slot to send from */
};

static inline bool net_packed(const struct net_guest *g)
{
	return g->f.features >> VIRTIO_F_RING_PACKED & 1;
}

static inline uint32_t net_first_base(const struct net_guest *g)
{
	return net_packed(g) ? 0x80008000 : 0;
}

/* The messages of vhost_dev_init(), with the protocol features that it takes. */
static inline void net_hello(struct net_guest *g, uint64_t takes)
{
	struct vu_front *f = &g->f;

	assert_int_equal(front_get(f, VU_GET_FEATURES) & f->features, f->features);
	f->protocol = front_get(f, VU_GET_PROTOCOL_FEATURES) & takes;
	front_set(f, VU_SET_PROTOCOL_FEATURES, f->protocol);
	if (f->protocol >> VU_PF_MQ & 1)
		front_get(f, VU_GET_QUEUE_NUM);
	if (f->protocol >> VU_PF_BACKEND_REQ & 1) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, f->back), 0);
		assert_int_equal(front_ask(f, VU_SET_BACKEND_REQ_FD, NULL, 0, &f->back[1], 1), 0);
		close(f->back[1]);
		f->back[1] = -1;
	}
	front_send(f, VU_SET_OWNER, 0, NULL, 0, NULL, 0);
}

static inline void net_memory(struct net_guest *g)
{
	struct vu_front *f = &g->f;
	struct vu_mem_one one = front_region();
	uint8_t buf[sizeof(struct vu_mem_table) + sizeof(struct vu_mem_region)];
	struct vu_mem_table *t = (struct vu_mem_table *)buf;

	if (f->protocol >> VU_PF_CONFIGURE_MEM_SLOTS & 1) {
		assert_int_equal(front_add_mem(f), 0);
		return;
	}
	t->count = 1;
	t->padding = 0;
	t->region[0] = one.region;
	assert_int_equal(front_ask(f, VU_SET_MEM_TABLE, buf, sizeof(buf), &f->memfd, 1), 0);
}

static inline void net_ring(struct net_guest *g, unsigned int q, uint32_t base)
{
	struct vu_front *f = &g->f;

	front_state(f, VU_SET_VRING_NUM, q, FRONT_RING_SIZE);
	front_state(f, VU_SET_VRING_BASE, q, base);
	front_send_addr(f, q);
	front_vring_fd(f, VU_SET_VRING_KICK, q, f->kick[q]);
	front_vring_fd(f, VU_SET_VRING_CALL, q, f->call[q]);
}

/* 0 where it was taken. */
static inline int net_enable(struct net_guest *g, unsigned int pair, bool on)
{
	front_ask_state(&g->f, VU_SET_VRING_ENABLE, 2 * pair, on);
	return front_ask_state(&g->f, VU_SET_VRING_ENABLE, 2 * pair + 1, on);
}

/* The driver is ready: features, memory, new rings of so many pairs, the first pair enabled. */
static inline void net_start(struct net_guest *g, unsigned int pairs)
{
	unsigned int q;

	front_set(&g->f, VU_SET_FEATURES, g->f.features);
	net_memory(g);
	for (q = 0; q < 2 * pairs; q++) {
		front_make_ring(&g->f, q);
		net_ring(g, q, net_first_base(g));
	}
	assert_int_equal(net_enable(g, 0, true), 0);
}

/* The front end has come back to a guest that knows nothing of it. */
static inline void net_restart(struct net_guest *g, const uint32_t *base)
{
	unsigned int q;

	front_set(&g->f, VU_SET_FEATURES, g->f.features);
	net_memory(g);
	for (q = 0; q < 2; q++)
		net_ring(g, q, base[q]);
	assert_int_equal(net_enable(g, 0, true), 0);
}

static inline uint8_t *net_slot(struct net_guest *g, unsigned int q, unsigned int slot)
{
	return g->f.mem + FRONT_BUF_AT + (q * NET_RX + slot) * 0x1000;
}

/* Makes n receive buffers of queue q available. */
static inline void net_fill(struct net_guest *g, unsigned int q, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		uint8_t *at = net_slot(g, q, i);
		struct tvq_sg sg = { FRONT_GUEST + (uint64_t)(at - g->f.mem), NET_ROOM };

		memset(at, 0xee, NET_ROOM);
		assert_int_equal(tvq_drv_ring_add(g->f.ring[q], &sg, 0, 1, at), 0);
	}
	front_kick(&g->f, q);
}

/* Sends a frame on a pair to the guest whose address ends in `to`, its payload made of seed. */
static inline void net_send(struct net_guest *g, unsigned int pair, uint8_t to, uint8_t seed)
{
	uint8_t *at = net_slot(g, 2 * pair + 1, g->sent++ % NET_RX), *eth = at + NET_HDR;
	struct tvq_sg sg = { FRONT_GUEST + (uint64_t)(at - g->f.mem), NET_HDR + 60 };

	memset(at, 0, NET_HDR + 60);
	eth[0] = eth[6] = 2;
	eth[5] = to;
	eth[11] = g->mac;
	eth[12] = 0x88;
	eth[13] = 0xb5; /* for experiments */
	memset(eth + 14, seed, 46);
	assert_int_equal(tvq_drv_ring_add(g->f.ring[2 * pair + 1], &sg, 1, 0, at), 0);
	front_kick(&g->f, 2 * pair + 1);
}

/* What was sent is used: no more than that. */
static inline void net_sent(struct net_guest *g, unsigned int pair)
{
	uint32_t written;

	LAB_UNTIL(g->f.l, tvq_drv_ring_get(g->f.ring[2 * pair + 1], &written));
}

/* The next frame that arrives at queue q has this seed. */
static inline void net_gets(struct net_guest *g, unsigned int q, uint8_t seed)
{
	uint32_t written = 0;
	uint8_t *at;

	LAB_UNTIL(g->f.l, (at = tvq_drv_ring_get(g->f.ring[q], &written)) != NULL);
	assert_int_equal(written, NET_HDR + 60);
	assert_int_equal(at[NET_HDR + 5], g->mac);
	assert_int_equal(at[NET_HDR + 14], seed);
	assert_int_equal(at[NET_HDR + 59], seed);
}

static inline bool net_quiet(struct net_guest *g, unsigned int q)
{
	uint32_t written;

	lab_rest(g->f.l);
	return !tvq_drv_ring_get(g->f.ring[q], &written);
}

/* Two guests on one switch, running, with receive buffers. */
struct net_pair {
	struct vu_lab l[2];
	struct net_guest g[2];
};

static inline void net_guest(struct net_guest *g, struct vu_lab *l, uint8_t mac, uint64_t features)
{
	memset(g, 0, sizeof(*g));
	front_init(&g->f, l);
	g->f.features = NET_FEATURES | features;
	g->mac = mac;
}

static inline void net_pair_open(struct net_pair *p, const struct vu_lab_cfg *cfg)
{
	struct vu_lab_cfg c = *cfg;

	c.net = true;
	c.mac = 1;
	lab_open(&p->l[0], &c);
	c.mac = 2;
	lab_open_another(&p->l[1], &p->l[0], &c);
}

static inline void net_pair_start(struct net_pair *p, uint64_t features)
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		net_guest(&p->g[i], &p->l[i], (uint8_t)(i + 1), features);
		net_hello(&p->g[i], QEMU_TAKES);
		net_start(&p->g[i], 1);
		net_fill(&p->g[i], 0, NET_RX);
	}
}

static inline void net_pair_close(struct net_pair *p)
{
	struct tvq_vhost_user_info info;
	unsigned int i;

	/* The clock may change with the first one that is closed: no timer must be set by then. */
	for (i = 0; i < 2; i++) {
		front_free(&p->g[i].f);
		LAB_UNTIL(&p->l[i], (tvq_vhost_user_info(p->l[i].vu, &info), !info.connected));
	}
	lab_close_device(&p->l[1]);
	lab_close(&p->l[0]);
}

/* A frame each way. */
static inline void net_pair_talk(struct net_pair *p, uint8_t seed)
{
	net_send(&p->g[0], 0, 2, seed);
	net_sent(&p->g[0], 0);
	net_gets(&p->g[1], 0, seed);
	net_send(&p->g[1], 0, 1, seed + 1);
	net_sent(&p->g[1], 0);
	net_gets(&p->g[0], 0, seed + 1);
}

#endif
