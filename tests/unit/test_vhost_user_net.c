// SPDX-License-Identifier: BSD-3-Clause
/* The vhost-user presenter with network devices: what it offers, rings and their positions. */
#include "vu_net.h"

static const struct vu_lab_cfg none;
static const struct vu_lab_cfg one = { .net = true };
static const struct vu_lab_cfg two = { .net = true, .queues = 2 };

struct alone {
	struct vu_lab l;
	struct net_guest g;
};

static void alone_open(struct alone *a, const struct vu_lab_cfg *cfg, uint64_t features)
{
	lab_open(&a->l, cfg);
	net_guest(&a->g, &a->l, 1, features);
}

static void alone_close(struct alone *a)
{
	front_free(&a->g.f);
	lab_close(&a->l);
}

/* Hangs up and connects again. */
static void come_again(struct net_guest *g)
{
	front_hang_up(&g->f);
	front_connect(&g->f);
	net_hello(g, QEMU_TAKES);
}

/* Both formats, and both with IN_ORDER. */
static const uint64_t ways[] = { 0, BIT(VIRTIO_F_RING_PACKED), BIT(VIRTIO_F_IN_ORDER),
				 BIT(VIRTIO_F_RING_PACKED) | BIT(VIRTIO_F_IN_ORDER) };

static void two_guests_exchange_frames(void **state)
{
	struct net_pair p;
	unsigned int i, format, thread;

	(void)state;
	for (format = 0; format < 4; format++) {
		for (thread = 0; thread < 2; thread++) {
			struct vu_lab_cfg cfg = { .thread = thread };

			net_pair_open(&p, &cfg);
			net_pair_start(&p, ways[format]);
			for (i = 0; i < 5; i++)
				net_pair_talk(&p, (uint8_t)(3 * i));
			net_pair_close(&p);
		}
	}
}

/* What is offered. */

static void the_rings_are_those_of_the_queue_pairs_without_the_control_queue(void **state)
{
	struct alone a;

	(void)state;
	alone_open(&a, &two, 0);
	net_hello(&a.g, QEMU_TAKES);
	assert_int_equal(front_get(&a.g.f, VU_GET_QUEUE_NUM), 4);
	assert_int_equal(front_ask_state(&a.g.f, VU_SET_VRING_ENABLE, 3, 0), 0);
	assert_int_equal(front_ask_state(&a.g.f, VU_SET_VRING_ENABLE, 4, 0), -1);
	assert_true(lab_logged("a queue that the device does not have"));
	alone_close(&a);
}

static void a_network_has_its_own_protocol_features(void **state)
{
	static const struct vu_lab_cfg dumb = { .net = true, .dumb = true };
	struct alone a;
	uint64_t f;

	(void)state;
	alone_open(&a, &one, 0);
	f = front_get(&a.g.f, VU_GET_PROTOCOL_FEATURES);
	assert_int_equal(f & QEMU_TAKES, QEMU_TAKES);
	assert_true(f & BIT(VU_PF_CONFIG));
	assert_false(f & BIT(VU_PF_INFLIGHT_SHMFD));
	alone_close(&a);
	alone_open(&a, &dumb, 0);
	f = front_get(&a.g.f, VU_GET_PROTOCOL_FEATURES);
	assert_false(f & BIT(VU_PF_RARP));
	alone_close(&a);
	lab_open(&a.l, &none);
	front_init(&a.g.f, &a.l);
	f = front_get(&a.g.f, VU_GET_PROTOCOL_FEATURES);
	assert_false(f & (BIT(VU_PF_RARP) | BIT(VU_PF_NET_MTU)));
	assert_true(f & BIT(VU_PF_INFLIGHT_SHMFD));
	alone_close(&a);
}

static uint64_t driver_features(const struct vu_lab *l)
{
	struct tvq_device_info info;

	assert_int_equal(tvq_device_info(tvq_inproc_device(l->bus), l->device_id, &info), 0);
	return info.driver_features;
}

/* TQ-151 */
static void the_control_queue_and_what_belongs_to_it_stay_with_the_front_end(void **state)
{
	const uint64_t control = BIT(VIRTIO_NET_F_CTRL_RX) | BIT(VIRTIO_NET_F_CTRL_VLAN) |
				 BIT(VIRTIO_NET_F_CTRL_MAC_ADDR) | BIT(VIRTIO_NET_F_GUEST_ANNOUNCE);
	const uint64_t never = BIT(2) | BIT(51) | BIT(52) | BIT(53) | BIT(57) | BIT(60) | BIT(33) |
			       BIT(48) | BIT(49);
	struct vu_lab_cfg cfg = {
		.net = true,
		.queues = 2,
		.features = NET_FEATURES & ~BIT(VU_F_PROTOCOL_FEATURES),
	};
	struct alone a;
	uint64_t f;

	(void)state;
	cfg.features |= control | BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_MQ) |
			BIT(VIRTIO_NET_F_STATUS) | BIT(VIRTIO_NET_F_MAC) | BIT(33) | BIT(57) |
			BIT(60);
	/* As virtio_user has it: all but CTRL_VQ itself. */
	alone_open(&a, &cfg, control | BIT(VIRTIO_NET_F_MQ));
	f = front_get(&a.g.f, VU_GET_FEATURES);
	assert_int_equal(f & never, 0);
	assert_true(f & BIT(VIRTIO_NET_F_CTRL_VQ));
	net_hello(&a.g, QEMU_TAKES);
	net_start(&a.g, 2);
	f = driver_features(&a.l);
	assert_int_equal(f & control, 0);
	assert_true(f & BIT(VIRTIO_NET_F_MQ));
	assert_true(f & BIT(VIRTIO_NET_F_CTRL_VQ));
	assert_true(f & BIT(VIRTIO_NET_F_STATUS));
	assert_true(f & BIT(VIRTIO_F_ACCESS_PLATFORM));
	assert_true(f & BIT(VIRTIO_NET_F_MRG_RXBUF));
	alone_close(&a);
	alone_open(&a, &two, control);
	net_hello(&a.g, QEMU_TAKES);
	net_start(&a.g, 1);
	assert_false(driver_features(&a.l) & (BIT(VIRTIO_NET_F_MQ) | BIT(VIRTIO_NET_F_CTRL_VQ)));
	alone_close(&a);
}

/* Messages. */

static int set_u64(struct vu_front *f, uint32_t request, uint64_t v)
{
	return front_ask(f, request, &v, sizeof(v), NULL, 0);
}

static void an_mtu_above_the_devices_is_refused(void **state)
{
	static const struct vu_lab_cfg jumbo = { .net = true, .mtu = 9000 };
	struct alone a;

	(void)state;
	alone_open(&a, &jumbo, 0);
	net_hello(&a.g, QEMU_TAKES);
	assert_int_equal(set_u64(&a.g.f, VU_NET_SET_MTU, 68), 0);
	assert_int_equal(set_u64(&a.g.f, VU_NET_SET_MTU, 9000), 0);
	assert_int_equal(set_u64(&a.g.f, VU_NET_SET_MTU, 9001), 1);
	assert_true(lab_logged("NET_SET_MTU: the MTU is above the device's"));
	assert_int_equal(set_u64(&a.g.f, VU_NET_SET_MTU, 67), 1);
	assert_int_equal(set_u64(&a.g.f, VU_NET_SET_MTU, 0x10000), -1);
	alone_close(&a);
}

static void without_the_mtu_feature_it_is_1500(void **state)
{
	static const struct vu_lab_cfg plain = {
		.net = true,
		.features = BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_ACCESS_PLATFORM) |
			    BIT(VIRTIO_NET_F_MAC),
	};
	struct alone a;

	(void)state;
	lab_open(&a.l, &plain);
	net_guest(&a.g, &a.l, 1, 0);
	a.g.f.features = BIT(VIRTIO_F_VERSION_1) | BIT(VU_F_PROTOCOL_FEATURES);
	net_hello(&a.g, QEMU_TAKES);
	assert_int_equal(set_u64(&a.g.f, VU_NET_SET_MTU, 1500), 0);
	assert_int_equal(set_u64(&a.g.f, VU_NET_SET_MTU, 1501), 1);
	alone_close(&a);
}

static void a_rarp_is_the_owners_to_send(void **state)
{
	struct alone a;

	(void)state;
	alone_open(&a, &one, 0);
	net_hello(&a.g, QEMU_TAKES);
	assert_int_equal(set_u64(&a.g.f, VU_SEND_RARP, 0x010000000002), 0);
	assert_int_equal(a.l.announced, 1);
	assert_int_equal(set_u64(&a.g.f, VU_SEND_RARP, 0x1010000000002), -1);
	assert_int_equal(a.l.announced, 1);
	assert_true(lab_logged("SEND_RARP: more than an Ethernet address"));
	alone_close(&a);
	alone_open(&a, &one, 0);
	net_hello(&a.g, VIRTIO_USER_TAKES);
	assert_int_equal(set_u64(&a.g.f, VU_SEND_RARP, 0x010000000002), -1);
	assert_int_equal(a.l.announced, 0);
	alone_close(&a);
}

/* QEMU before 9.0 repeats them. */
static void memory_may_come_and_go_once_for_each_pair(void **state)
{
	struct vu_mem_one m = front_region(), other = m;
	struct alone a;

	(void)state;
	alone_open(&a, &two, 0);
	net_hello(&a.g, QEMU_TAKES);
	net_start(&a.g, 1);
	assert_int_equal(front_add_mem(&a.g.f), 0);
	other.region.user_addr += 0x1000;
	assert_int_equal(front_ask(&a.g.f, VU_ADD_MEM_REG, &other, sizeof(other), &a.g.f.memfd, 1),
			 1);
	net_fill(&a.g, 0, 1);
	assert_int_equal(front_ask(&a.g.f, VU_REM_MEM_REG, &m, sizeof(m), NULL, 0), 0);
	assert_int_equal(tvq_mapping_count(), a.l.mappings_at_start);
	assert_int_equal(front_ask(&a.g.f, VU_REM_MEM_REG, &m, sizeof(m), NULL, 0), 0);
	alone_close(&a);
}

/* Pairs. */

static void frames_go_to_the_pairs_that_are_enabled(void **state)
{
	static const struct vu_lab_cfg pairs = { .queues = 2 };
	struct net_pair p;
	unsigned int i, q;

	(void)state;
	net_pair_open(&p, &pairs);
	for (i = 0; i < 2; i++) {
		net_guest(&p.g[i], &p.l[i], (uint8_t)(i + 1), BIT(VIRTIO_NET_F_MQ));
		net_hello(&p.g[i], QEMU_TAKES);
		net_start(&p.g[i], 2);
		for (q = 0; q < 4; q += 2)
			net_fill(&p.g[i], q, NET_RX);
	}
	net_pair_talk(&p, 1);
	assert_true(net_quiet(&p.g[1], 2));
	/* A queue that is not enabled sends nothing; then it does. */
	net_send(&p.g[0], 1, 2, 9);
	assert_true(net_quiet(&p.g[0], 3));
	assert_int_equal(net_enable(&p.g[0], 1, true), 0);
	net_sent(&p.g[0], 1);
	net_gets(&p.g[1], 0, 9);
	/* The first one stops, and what comes finds its way to the other. */
	assert_int_equal(net_enable(&p.g[1], 1, true), 0);
	net_send(&p.g[1], 1, 1, 11);
	net_sent(&p.g[1], 1);
	assert_int_equal(net_enable(&p.g[1], 1, false), 0);
	net_send(&p.g[0], 0, 2, 10);
	net_sent(&p.g[0], 0);
	net_gets(&p.g[1], 0, 10);
	net_pair_close(&p);
}

/* Positions. */

static void rings_go_on_after_a_clean_stop(void **state)
{
	struct net_pair p;
	unsigned int format, i, round;

	(void)state;
	for (format = 0; format < 4; format++) {
		net_pair_open(&p, &none);
		net_pair_start(&p, ways[format]);
		for (round = 0; round < 5; round++) {
			uint32_t base[2];

			net_pair_talk(&p, (uint8_t)round);
			for (i = 0; i < 2; i++)
				base[i] = front_get_base(&p.g[0].f, i);
			come_again(&p.g[0]);
			net_restart(&p.g[0], base);
			net_pair_talk(&p, (uint8_t)(round + 50));
		}
		net_pair_close(&p);
	}
}

static void a_split_ring_goes_on_at_its_used_index_whatever_the_front_end_says(void **state)
{
	static const uint32_t stale[3][2] = { { 0, 0 }, { 1, 7 }, { 0xffff, 3 } };
	struct net_pair p;
	unsigned int i;

	(void)state;
	net_pair_open(&p, &none);
	net_pair_start(&p, 0);
	for (i = 0; i < 3; i++) {
		net_pair_talk(&p, (uint8_t)i);
		/* What it had put there before it was cut off goes out, too. */
		come_again(&p.g[0]);
		net_send(&p.g[0], 0, 2, 100);
		net_restart(&p.g[0], stale[i]);
		net_sent(&p.g[0], 0);
		net_gets(&p.g[1], 0, 100);
		net_pair_talk(&p, (uint8_t)(i + 50));
		assert_true(lab_logged("goes on at the ring's used index"));
	}
	assert_false(tvq_drv_ring_broken(p.g[0].f.ring[0]));
	net_pair_close(&p);
}

static void a_packed_ring_whose_place_is_lost_waits_for_a_reset(void **state)
{
	const uint32_t stale[2] = { 0x80008000, 0x80008000 };
	struct tvq_vhost_user_info info;
	struct net_pair p;
	unsigned int q;

	(void)state;
	net_pair_open(&p, &none);
	net_pair_start(&p, BIT(VIRTIO_F_RING_PACKED));
	net_pair_talk(&p, 1);
	come_again(&p.g[0]);
	net_restart(&p.g[0], stale);
	assert_true(lab_logged("queue 0: the packed ring is in use"));
	assert_true(lab_logged("until the guest resets its device"));
	tvq_vhost_user_info(p.l[0].vu, &info);
	assert_true(info.connected);
	assert_false(info.running);
	/* Its driver sets the device up anew. */
	for (q = 0; q < 2; q++) {
		assert_int_equal(front_get_base(&p.g[0].f, q), 0x80008000);
		front_make_ring(&p.g[0].f, q);
		net_ring(&p.g[0], q, 0x80008000);
	}
	assert_int_equal(net_enable(&p.g[0], 0, true), 0);
	net_fill(&p.g[0], 0, NET_RX);
	net_pair_talk(&p, 2);
	net_pair_close(&p);
}

/* So many frames to nobody at once; with IN_ORDER most of them leave no mark in a packed ring. */
static unsigned int send_run(struct net_guest *g, unsigned int n)
{
	uint8_t *at = net_slot(g, 1, 0);
	struct tvq_sg sg = { FRONT_GUEST + (uint64_t)(at - g->f.mem), NET_HDR + 60 };
	unsigned int i;

	memset(at, 0, NET_HDR + 60);
	for (i = 0; i < n; i++)
		assert_int_equal(tvq_drv_ring_add(g->f.ring[1], &sg, 1, 0, at), 0);
	front_kick(&g->f, 1);
	for (i = 0; i < n; i++)
		net_sent(g, 0);
	return n;
}

/* Wherever a run ends: before, at and behind the ring's end. */
static void a_packed_ring_that_was_used_in_runs_waits_for_a_reset(void **state)
{
	const uint32_t stale[2] = { 0x80008000, 0x80008000 };
	struct net_pair p;
	unsigned int n, left;

	(void)state;
	for (n = 1; n <= 2 * FRONT_RING_SIZE + 10; n++) {
		/* There it is at its beginning. */
		if (n == 2 * FRONT_RING_SIZE)
			continue;
		net_pair_open(&p, &none);
		net_pair_start(&p, BIT(VIRTIO_F_RING_PACKED) | BIT(VIRTIO_F_IN_ORDER));
		left = n;
		if (left > 10)
			left -= send_run(&p.g[0],
					 left - 10 < FRONT_RING_SIZE ? left - 10 : FRONT_RING_SIZE);
		if (left > 10)
			left -= send_run(&p.g[0], left - 10);
		/* The last ones, every other time one by one, so that each has its mark. */
		while (left)
			left -= send_run(&p.g[0], n % 2 ? 1 : left);
		come_again(&p.g[0]);
		net_restart(&p.g[0], stale);
		assert_true(lab_logged("queue 1: the packed ring is in use"));
		net_pair_close(&p);
	}
}

static void a_packed_ring_that_came_back_to_its_beginning_in_runs_starts(void **state)
{
	struct net_pair p;
	uint32_t base[2];
	unsigned int i;

	(void)state;
	net_pair_open(&p, &none);
	net_pair_start(&p, BIT(VIRTIO_F_RING_PACKED) | BIT(VIRTIO_F_IN_ORDER));
	for (i = 0; i < 2; i++)
		send_run(&p.g[0], FRONT_RING_SIZE);
	for (i = 0; i < 2; i++)
		base[i] = front_get_base(&p.g[0].f, i);
	assert_int_equal(base[1], 0x80008000);
	come_again(&p.g[0]);
	net_restart(&p.g[0], base);
	send_run(&p.g[0], 1);
	net_pair_close(&p);
}

static void a_new_packed_ring_with_buffers_in_it_starts(void **state)
{
	struct alone a;
	struct tvq_vhost_user_info info;
	unsigned int q;

	(void)state;
	alone_open(&a, &one, BIT(VIRTIO_F_RING_PACKED));
	net_hello(&a.g, QEMU_TAKES);
	front_set(&a.g.f, VU_SET_FEATURES, a.g.f.features);
	net_memory(&a.g);
	for (q = 0; q < 2; q++)
		front_make_ring(&a.g.f, q);
	net_fill(&a.g, 0, NET_RX);
	for (q = 0; q < 2; q++)
		net_ring(&a.g, q, 0x80008000);
	assert_int_equal(net_enable(&a.g, 0, true), 0);
	tvq_vhost_user_info(a.l.vu, &info);
	assert_true(info.running);
	alone_close(&a);
}

/* DPDK's virtio_user: SET_MEM_TABLE, no RARP, half a base. */
static void virtio_users_base_of_a_packed_ring_is_the_beginning(void **state)
{
	struct net_pair p;
	unsigned int i, q;

	(void)state;
	net_pair_open(&p, &none);
	for (i = 0; i < 2; i++) {
		struct net_guest *g = &p.g[i];

		net_guest(g, &p.l[i], (uint8_t)(i + 1), BIT(VIRTIO_F_RING_PACKED));
		net_hello(g, VIRTIO_USER_TAKES);
		front_set(&g->f, VU_SET_FEATURES, g->f.features);
		net_memory(g);
		for (q = 0; q < 2; q++) {
			front_make_ring(&g->f, q);
			net_ring(g, q, 0x8000);
		}
		assert_int_equal(net_enable(g, 0, true), 0);
		net_fill(g, 0, NET_RX);
	}
	for (i = 0; i < 5; i++)
		net_pair_talk(&p, (uint8_t)(2 * i));
	net_pair_close(&p);
}

/* Descriptors. */

static void descriptors_of_few_regions_are_kept_and_none_is_left(void **state)
{
	struct alone a;
	struct vu_mem_one m = front_region();
	unsigned int i;
	int before;

	(void)state;
	alone_open(&a, &one, 0);
	net_hello(&a.g, QEMU_TAKES);
	before = open_fds();
	for (i = 0; i < 20; i++) {
		m.region.guest_addr += FRONT_MEM_BYTES;
		m.region.user_addr += FRONT_MEM_BYTES;
		assert_int_equal(front_ask(&a.g.f, VU_ADD_MEM_REG, &m, sizeof(m), &a.g.f.memfd, 1),
				 0);
	}
	assert_true(open_fds() > before);
	assert_true(open_fds() <= before + 8);
	for (; i > 0; i--) {
		assert_int_equal(front_ask(&a.g.f, VU_REM_MEM_REG, &m, sizeof(m), NULL, 0), 0);
		m.region.guest_addr -= FRONT_MEM_BYTES;
		m.region.user_addr -= FRONT_MEM_BYTES;
	}
	assert_int_equal(open_fds(), before);
	alone_close(&a);
}

static void a_ring_whose_memory_cannot_be_read_takes_the_base_as_it_came(void **state)
{
	struct vu_mem_one m = front_region();
	struct alone a;
	struct tvq_vhost_user_info info;
	unsigned int q;
	int fd;

	(void)state;
	alone_open(&a, &one, 0);
	net_hello(&a.g, QEMU_TAKES);
	front_set(&a.g.f, VU_SET_FEATURES, a.g.f.features);
	net_memory(&a.g);
	/* So many that the descriptor of the last one is not kept; the rings are there. */
	fd = memfd_create("more", MFD_CLOEXEC);
	assert_int_equal(ftruncate(fd, FRONT_MEM_BYTES), 0);
	for (q = 0; q < 2; q++)
		front_make_ring(&a.g.f, q);
	assert_int_equal(front_ask(&a.g.f, VU_REM_MEM_REG, &m, sizeof(m), NULL, 0), 0);
	for (q = 1; q <= 8; q++) {
		m.region.guest_addr = FRONT_GUEST + q * FRONT_MEM_BYTES;
		m.region.user_addr = FRONT_USER + q * FRONT_MEM_BYTES;
		assert_int_equal(front_ask(&a.g.f, VU_ADD_MEM_REG, &m, sizeof(m), &fd, 1), 0);
	}
	assert_int_equal(front_add_mem(&a.g.f), 0);
	close(fd);
	for (q = 0; q < 2; q++)
		net_ring(&a.g, q, 5);
	assert_int_equal(net_enable(&a.g, 0, true), 0);
	tvq_vhost_user_info(a.l.vu, &info);
	assert_true(info.running);
	assert_int_equal(front_get_base(&a.g.f, 0), 5);
	alone_close(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_guests_exchange_frames),
		cmocka_unit_test(the_rings_are_those_of_the_queue_pairs_without_the_control_queue),
		cmocka_unit_test(a_network_has_its_own_protocol_features),
		cmocka_unit_test(the_control_queue_and_what_belongs_to_it_stay_with_the_front_end),
		cmocka_unit_test(an_mtu_above_the_devices_is_refused),
		cmocka_unit_test(without_the_mtu_feature_it_is_1500),
		cmocka_unit_test(a_rarp_is_the_owners_to_send),
		cmocka_unit_test(memory_may_come_and_go_once_for_each_pair),
		cmocka_unit_test(frames_go_to_the_pairs_that_are_enabled),
		cmocka_unit_test(rings_go_on_after_a_clean_stop),
		cmocka_unit_test(
			a_split_ring_goes_on_at_its_used_index_whatever_the_front_end_says),
		cmocka_unit_test(a_packed_ring_whose_place_is_lost_waits_for_a_reset),
		cmocka_unit_test(a_packed_ring_that_was_used_in_runs_waits_for_a_reset),
		cmocka_unit_test(a_packed_ring_that_came_back_to_its_beginning_in_runs_starts),
		cmocka_unit_test(a_new_packed_ring_with_buffers_in_it_starts),
		cmocka_unit_test(virtio_users_base_of_a_packed_ring_is_the_beginning),
		cmocka_unit_test(descriptors_of_few_regions_are_kept_and_none_is_left),
		cmocka_unit_test(a_ring_whose_memory_cannot_be_read_takes_the_base_as_it_came),
	};

	if (!lab_catch_sigbus())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
