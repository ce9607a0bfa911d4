/* SPDX-License-Identifier: BSD-3-Clause */
/* The network type: which features need which, where its queues are, what a reset takes back. */
#include "net_lab.h"

#include "device/type.h"

#define PAIRS 2
#define FLOWS 64

static const uint8_t other[6] = { 0x02, 0xee, 0, 0, 0, 2 };

static struct nl_dev a, b;
static uint8_t f[256];

/* virtio 1.4, 5.1.3.1, typed in by hand: each of them needs one of those. */
static const struct {
	uint64_t bit, needs[2];
} rules[] = {
	{ F(GUEST_TSO4), { F(GUEST_CSUM) } },
	{ F(GUEST_TSO6), { F(GUEST_CSUM) } },
	{ F(GUEST_ECN), { F(GUEST_TSO4) | F(GUEST_CSUM), F(GUEST_TSO6) | F(GUEST_CSUM) } },
	{ F(HOST_TSO4), { F(CSUM) } },
	{ F(HOST_TSO6), { F(CSUM) } },
	{ F(HOST_ECN), { F(HOST_TSO4) | F(CSUM), F(HOST_TSO6) | F(CSUM) } },
	{ F(CTRL_RX), { F(CTRL_VQ) } },
	{ F(CTRL_RX_EXTRA), { F(CTRL_VQ) } },
	{ F(CTRL_VLAN), { F(CTRL_VQ) } },
	{ F(GUEST_ANNOUNCE), { F(CTRL_VQ) } },
	{ F(MQ), { F(CTRL_VQ) } },
	{ F(CTRL_MAC_ADDR), { F(CTRL_VQ) } },
	{ F(RSS), { F(CTRL_VQ) } },
	{ F(HASH_REPORT), { F(CTRL_VQ) } },
};

/* TQ-051, TQ-069 */
static void each_feature_needs_what_it_builds_on(void **state)
{
	const struct tvq_type *t = tvq_type_find(TVQ_TYPE_NET);

	(void)state;
	assert_true(t->features_ok(0));
	assert_true(t->features_ok(t->features));
	assert_true(t->features_ok(t->default_features));
	for (unsigned int i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		assert_false(t->features_ok(rules[i].bit));
		assert_false(t->features_ok(rules[i].bit | F(MAC) | F(MTU) | F(STATUS)));
		for (unsigned int k = 0; k < 2 && rules[i].needs[k]; k++)
			assert_true(t->features_ok(rules[i].bit | rules[i].needs[k]));
	}
}

/* TQ-140 */
static void create_takes_what_its_features_allow_and_nothing_else(void **state)
{
	const struct tvq_type *t = tvq_type_find(TVQ_TYPE_NET);
	const struct tvq_mgmt_cfg mgmt = { .max_vdev_vqs = 9 };
	static const struct {
		uint8_t mac0, mac5;
		uint16_t status, pairs, mtu;
		uint64_t features; /* 0: the default */
		int err;
		uint16_t queues;
	} cases[] = {
		{ .queues = 3 },
		{ .mac0 = 2, .mac5 = 1, .mtu = 9000, .queues = 3 },
		{ .mac5 = 1, .queues = 3 },
		{ .mac0 = 3, .err = -EINVAL },
		{ .mac0 = 2, .features = F(MTU) | F(CTRL_VQ), .err = -EINVAL },
		{ .status = 1, .err = -EINVAL },
		{ .mtu = 67, .err = -EINVAL },
		{ .mtu = 68, .queues = 3 },
		{ .mtu = 65521, .queues = 3 },
		{ .mtu = 65522, .err = -EINVAL },
		{ .mtu = 1500, .features = F(MAC), .err = -EINVAL },
		{ .pairs = 1, .err = -EINVAL }, /* without MQ, which 2 asks for */
		{ .pairs = 2, .queues = 5 },
		{ .pairs = 4, .queues = 9 },
		{ .pairs = 5, .err = -ENOSPC },
		{ .pairs = 0x8000, .err = -ENOSPC },
		{ .pairs = 0xffff, .err = -ENOSPC },
		{ .pairs = 1, .features = F(MQ) | F(CTRL_VQ), .queues = 3 },
		{ .pairs = 2, .features = F(CTRL_VQ), .err = -EINVAL },
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool defaults = !cases[i].features;
		struct virtio_transportq_net_config asked = {
			.mac = { cases[i].mac0, 0, 0, 0, 0, cases[i].mac5 },
			.status = cases[i].status,
			.max_virtqueue_pairs = cases[i].pairs,
			.mtu = cases[i].mtu,
		};
		struct tvq_type_cfg cfg = {
			.features = defaults ? t->default_features : cases[i].features,
			.dev_config_len = sizeof(asked),
		};

		memcpy(cfg.dev_config, &asked, sizeof(asked));
		assert_int_equal(t->parse(&mgmt, &cfg, defaults), cases[i].err);
		if (cases[i].err)
			continue;
		assert_int_equal(cfg.n_queues, cases[i].queues);
		assert_int_equal(!!(cfg.features & F(MQ)), cases[i].queues > 3 || !defaults);
		/* Another length is malformed, no configuration is all defaults. */
		for (cfg.dev_config_len = 1; cfg.dev_config_len < 64; cfg.dev_config_len++)
			if (cfg.dev_config_len != sizeof(asked))
				assert_int_equal(t->parse(&mgmt, &cfg, defaults), -EINVAL);
	}
}

/* TQ-010, TQ-011 */
static void the_transportq_is_behind_the_control_queue_or_its_gap(void **state)
{
	const struct tvq_type *t = tvq_type_find(TVQ_TYPE_NET);

	(void)state;
	for (uint16_t n = 1; n < 9; n++) {
		assert_int_equal(t->transportq(2 * n), 2 * n + 1);
		assert_int_equal(t->transportq(2 * n + 1), 2 * n + 1);
	}
}

static void up(struct dl *l, const struct nl_variant *v)
{
	dl_up(l, v->workers, NULL);
	nl_dev_up(&a, l, v, 0);
	nl_dev_up(&b, l, v, 0);
}

/* A frame whose EtherType has become a tag since it was looked at; pieces: of its memory. */
static unsigned int pieces;
static void forward_changed(struct tvq_port *p, void *arg)
{
	static uint8_t rest[60] = { 0x81, 0, 0, 7, 8, 0, 0x45 };
	struct tvq_seg seg[2] = { { rest, sizeof(rest) } };
	struct tvq_frame frame = { .n_seg = 1, .len = sizeof(rest), .seg = seg };
	struct tvq_frame *const frames[] = { &frame };

	(void)arg;
	if (pieces == 2) {
		seg[0].len = 1; /* in the middle of it */
		seg[1] = (struct tvq_seg){ rest + 1, sizeof(rest) - 1 };
		frame.n_seg = 2;
	}
	memcpy(frame.mac, b.mac, 6);
	memcpy(frame.mac + 6, a.mac, 6);
	tvq_switch_forward(p, frames, 1);
	tvq_switch_flush(tvq_port_switch(p));
}

/* TQ-141: what came without a tag is in its sender's VLAN and leaves no switch with another. */
static void a_tag_that_appears_while_a_frame_is_copied_is_not_delivered(void **state)
{
	struct dl l;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++) {
		up(&l, v);
		for (pieces = 1; pieces <= 2; pieces++) {
			nl_on_port(&l, a.id, forward_changed, NULL);
			nl_receive(&b, 0);
			assert_int_equal(b.got.len, 72);
			assert_memory_equal(b.got.data + 12, "\0\0\0\7\10\0\105", 7);
		}
		nl_dev_down(&a);
		nl_dev_down(&b);
		dl_down(&l);
	}
}

static int set_mac(const uint8_t mac[6])
{
	return tvq_net_ctrl(b.net, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, mac, 6);
}

static void again(struct dl *l, const struct nl_variant *v)
{
	nl_dev_down(&b);
	nl_drive(&b, l, b.id, &(struct tvq_net_cfg){ .packed = v->packed });
}

static void a_reset_brings_the_first_address_back(void **state)
{
	struct dl l;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++) {
		uint8_t first[6];

		up(&l, v);
		memcpy(first, b.mac, 6);
		assert_int_equal(set_mac(other), 0);
		again(&l, v);
		assert_memory_equal(b.mac, first, 6);
		assert_memory_equal(nl_info(&b).mac, first, 6);
		nl_passes(&b, &a, 60, 1);
		nl_passes(&a, &b, 60, 2);
		/* The other one is free. */
		assert_int_equal(tvq_net_ctrl(a.net, VIRTIO_NET_CTRL_MAC,
					      VIRTIO_NET_CTRL_MAC_ADDR_SET, other, 6),
				 0);
		nl_dev_down(&a);
		nl_dev_down(&b);
		dl_down(&l);
	}
}

static void an_address_that_went_to_another_device_does_not_come_back(void **state)
{
	struct virtio_transportq_net_config cfg = { .mtu = 0 };
	struct nl_dev c;
	struct dl l;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++) {
		up(&l, v);
		memcpy(cfg.mac, b.mac, 6);
		assert_int_equal(set_mac(other), 0);
		nl_drive(&c, &l, nl_create(l.client, 0, &cfg),
			 &(struct tvq_net_cfg){ .packed = v->packed });
		again(&l, v);
		assert_memory_equal(b.mac, other, 6);
		nl_passes(&b, &a, 60, 1);
		nl_passes(&a, &b, 60, 2);
		nl_passes(&a, &c, 60, 3);
		nl_passes(&c, &a, 60, 4);
		nl_dev_down(&a);
		nl_dev_down(&b);
		nl_dev_down(&c);
		dl_down(&l);
	}
}

/* TQ-079: what the driver was asked and did not do is forgotten. */
static void a_reset_takes_the_wish_for_an_announcement_back(void **state)
{
	struct dl l;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++) {
		uint16_t status = 0;

		up(&l, v);
		assert_int_equal(tvq_device_announce(tvq_inproc_device(l.bus), b.id), 0);
		assert_int_equal(tvq_net_status(b.net, &status), 0);
		assert_int_equal(status, VIRTIO_NET_S_LINK_UP | VIRTIO_NET_S_ANNOUNCE);
		again(&l, v);
		assert_int_equal(tvq_net_status(b.net, &status), 0);
		assert_int_equal(status, VIRTIO_NET_S_LINK_UP);
		nl_dev_down(&a);
		nl_dev_down(&b);
		dl_down(&l);
	}
}

/* ---- several pairs, of which the test has the queues ---- */

static struct dl_mem mem;
static struct dl_queue q[2 * PAIRS + 1];
static struct nl_piece piece[PAIRS][FLOWS];
static uint8_t *ctrl;
static uint64_t ctrl_iova;

static void raw_start(const struct nl_variant *v, uint64_t id, struct dl *l)
{
	struct tvq_seq *s;
	uint64_t iova;

	dl_negotiate(l->client, id, v->packed ? 0 : BIT(VIRTIO_F_RING_PACKED));
	s = tvq_seq_new(l->client, id);
	for (uint16_t i = 0; i < 2 * PAIRS + 1; i++) {
		tvq_seq_vq_asid_set(s, i, mem.asid);
		dl_queue_program(&q[i], s);
	}
	tvq_seq_status_set(s, DL_DRIVER_OK);
	assert_int_equal(tvq_seq_call(s), 0);
	for (unsigned int p = 0; p < PAIRS; p++) {
		for (unsigned int i = 0; i < FLOWS; i++) {
			struct tvq_sg sg = { .len = 256 };

			(void)dl_alloc(&mem, sg.len, 64, &iova);
			sg.addr = iova;
			nl_raw_add(&q[2 * p], &sg, 0, 1, &piece[p][i]);
		}
		dl_notify(&q[2 * p]);
	}
}

/* Each of another flow. How many of them came to each pair. */
static void send_flows(struct dl *l, const uint8_t *to, unsigned int got[PAIRS])
{
	static const uint8_t ask[4] = { VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, 1 };
	struct tvq_sg sg[2] = { { ctrl_iova, 3 }, { ctrl_iova + 64, 1 } };

	/* An answered command: whatever the device began with, is over. */
	memcpy(ctrl, ask, 3);
	assert_int_equal(nl_raw_do(&q[2 * PAIRS], sg, 1, 1), 1);
	memset(got, 0, PAIRS * sizeof(got[0]));
	for (unsigned int i = 0; i < FLOWS; i++) {
		uint32_t len = nl_tcp(f, false, to, a.mac, 30, i);

		nl_be16(f + 34, 7000 + i);
		nl_send(&a, f, len);
	}
	dl_until(l, (got[0] += nl_raw_collect(&q[0]), got[1] += nl_raw_collect(&q[2]),
		     got[0] + got[1] == FLOWS));
}

static void one_pair_is_in_use_until_the_driver_asks_for_more(void **state)
{
	struct virtio_transportq_net_config cfg = { .max_virtqueue_pairs = PAIRS,
						    .mac = { 2, 0, 0, 0, 0xaa, 1 } };
	unsigned int got[PAIRS];
	struct dl l;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++) {
		struct tvq_sg sg[2];
		uint64_t id;

		dl_up(&l, v->workers, NULL);
		nl_dev_up(&a, &l, v, 0);
		id = nl_create(l.client, 0, &cfg);
		dl_mem_new(&mem, &l, 8u << 20);
		for (uint16_t i = 0; i < 2 * PAIRS + 1; i++)
			dl_queue_new(&q[i], &mem, l.client, id, i, FLOWS, v->packed);
		ctrl = dl_alloc(&mem, 128, 64, &ctrl_iova);
		for (int round = 0; round < 2; round++) {
			struct tvq_seq *s;

			raw_start(v, id, &l);
			send_flows(&l, cfg.mac, got);
			assert_int_equal(got[0], FLOWS);
			/* Two, and once more: a reset forgets them. */
			memcpy(ctrl, "\4\0\2\0", 4);
			sg[0] = (struct tvq_sg){ ctrl_iova, 4 };
			sg[1] = (struct tvq_sg){ ctrl_iova + 64, 1 };
			assert_int_equal(nl_raw_do(&q[2 * PAIRS], sg, 1, 1), 1);
			assert_int_equal(ctrl[64], 0);
			for (unsigned int i = 0; i < FLOWS; i++) {
				uint64_t iova;
				struct tvq_sg buf = { .len = 256 };

				(void)dl_alloc(&mem, buf.len, 64, &iova);
				buf.addr = iova;
				nl_raw_add(&q[0], &buf, 0, 1, &piece[0][i]);
			}
			dl_notify(&q[0]);
			send_flows(&l, cfg.mac, got);
			assert_true(got[0] > FLOWS / 8);
			assert_true(got[1] > FLOWS / 8);
			s = tvq_seq_new(l.client, id);
			tvq_seq_status_set(s, 0);
			assert_int_equal(tvq_seq_call(s), 0);
			dl_until(&l, !dl_status(l.client, id));
			for (uint16_t i = 0; i < 2 * PAIRS + 1; i++) {
				tvq_drv_ring_free(q[i].ring);
				dl_ring_make(&q[i]);
			}
		}
		assert_int_equal(dl_destroy(l.client, id), 0);
		for (uint16_t i = 0; i < 2 * PAIRS + 1; i++)
			dl_queue_free(&q[i]);
		dl_mem_free(&mem);
		nl_dev_down(&a);
		dl_down(&l);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_feature_needs_what_it_builds_on),
		cmocka_unit_test(create_takes_what_its_features_allow_and_nothing_else),
		cmocka_unit_test(the_transportq_is_behind_the_control_queue_or_its_gap),
		cmocka_unit_test(a_tag_that_appears_while_a_frame_is_copied_is_not_delivered),
		cmocka_unit_test(a_reset_brings_the_first_address_back),
		cmocka_unit_test(an_address_that_went_to_another_device_does_not_come_back),
		cmocka_unit_test(a_reset_takes_the_wish_for_an_announcement_back),
		cmocka_unit_test(one_pair_is_in_use_until_the_driver_asks_for_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
