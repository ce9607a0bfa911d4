// SPDX-License-Identifier: BSD-3-Clause
/* The vhost-user presenter and a network's link: who is told how, who is let go and taken back. */
#include "vu_net.h"

static const struct vu_lab_cfg one = { .net = true };
/* Looks at the link come once a second. */
static const struct vu_lab_cfg fast = { .net = true, .time_factor = 10 };

static void set_link(struct vu_lab *l, bool up)
{
	assert_int_equal(tvq_device_set_link(tvq_inproc_device(l->bus), l->device_id, up), 0);
}

static bool connectable(const struct vu_lab *l)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool ok;

	strcpy(sa.sun_path, l->path);
	ok = !connect(fd, (struct sockaddr *)&sa, sizeof(sa));
	close(fd);
	return ok;
}

struct alone {
	struct vu_lab l;
	struct net_guest g;
};

static void alone_run(struct alone *a, const struct vu_lab_cfg *cfg, uint64_t takes)
{
	lab_open(&a->l, cfg);
	net_guest(&a->g, &a->l, 1, 0);
	net_hello(&a->g, takes);
	net_start(&a->g, 1);
}

static void alone_close(struct alone *a)
{
	front_free(&a->g.f);
	lab_close(&a->l);
}

static void come_again(struct net_guest *g)
{
	front_connect(&g->f);
	net_hello(g, QEMU_TAKES);
}

/* TQ-079 */
static void a_front_end_with_config_is_told_and_stays(void **state)
{
	struct alone a;
	struct vu_header h = { 0 };
	uint8_t buf[sizeof(struct vu_config) + 8];
	struct vu_config *c = (struct vu_config *)buf;
	unsigned int up;

	(void)state;
	alone_run(&a, &one, QEMU_TAKES | BIT(VU_PF_CONFIG));
	lab_rest(&a.l);
	assert_int_equal(recv(a.g.f.back[0], &h, sizeof(h), MSG_DONTWAIT), -1);
	for (up = 0; up < 2; up++) {
		set_link(&a.l, up);
		LAB_UNTIL(&a.l, recv(a.g.f.back[0], &h, sizeof(h), MSG_DONTWAIT) == sizeof(h));
		assert_int_equal(h.request, VU_BACKEND_CONFIG_CHANGE);
		memset(buf, 0, sizeof(buf));
		c->size = 8;
		front_send(&a.g.f, VU_GET_CONFIG, 0, buf, sizeof(buf), NULL, 0);
		assert_int_equal(front_reply(&a.g.f, VU_GET_CONFIG, buf, sizeof(buf), NULL),
				 sizeof(buf));
		assert_int_equal(c->data[6] & VIRTIO_NET_S_LINK_UP, up);
	}
	alone_close(&a);
}

static void without_config_the_connection_ends_and_comes_back_with_the_link(void **state)
{
	unsigned int format, round;

	(void)state;
	for (format = 0; format < 2; format++) {
		uint32_t stale[2] = { 0, 0 };
		struct net_pair p;

		if (formats[format])
			stale[0] = stale[1] = 0x80008000;
		net_pair_open(&p, &fast);
		net_pair_start(&p, formats[format]);
		for (round = 0; round < 3; round++) {
			net_pair_talk(&p, (uint8_t)(10 * round));
			set_link(&p.l[0], false);
			assert_true(front_closed(&p.g[0].f));
			front_hang_up(&p.g[0].f);
			LAB_UNTIL(&p.l[0], !connectable(&p.l[0]));
			lab_rest(&p.l[0]);
			assert_false(connectable(&p.l[0]));
			set_link(&p.l[0], true);
			LAB_UNTIL(&p.l[0], connectable(&p.l[0]));
			/* It had no answer to GET_VRING_BASE, and says what it knows. */
			come_again(&p.g[0]);
			net_restart(&p.g[0], stale);
			net_pair_talk(&p, (uint8_t)(10 * round + 5));
		}
		assert_false(lab_logged("is in use"));
		net_pair_close(&p);
	}
}

static void what_is_remembered_of_a_packed_ring_is_good_for_once(void **state)
{
	const uint32_t stale[2] = { 0x80008000, 0x80008000 };
	struct net_pair p;

	(void)state;
	net_pair_open(&p, &fast);
	net_pair_start(&p, BIT(VIRTIO_F_RING_PACKED));
	net_pair_talk(&p, 1);
	set_link(&p.l[0], false);
	assert_true(front_closed(&p.g[0].f));
	front_hang_up(&p.g[0].f);
	set_link(&p.l[0], true);
	LAB_UNTIL(&p.l[0], lab_logged("the link is up"));
	come_again(&p.g[0]);
	net_restart(&p.g[0], stale);
	net_pair_talk(&p, 2);
	front_hang_up(&p.g[0].f);
	come_again(&p.g[0]);
	net_restart(&p.g[0], stale);
	assert_true(lab_logged("queue 0: the packed ring is in use"));
	net_pair_close(&p);
}

static void a_message_under_way_is_answered_before_the_connection_ends(void **state)
{
	struct alone a;
	struct vu_vring_state s = { 0, 0 };

	(void)state;
	alone_run(&a, &one, QEMU_TAKES);
	set_link(&a.l, false);
	front_send(&a.g.f, VU_GET_VRING_BASE, 0, &s, sizeof(s), NULL, 0);
	/* Its answer, or nothing; never half of one. */
	if (front_reply(&a.g.f, VU_GET_VRING_BASE, &s, sizeof(s), NULL) >= 0)
		assert_true(front_closed(&a.g.f));
	assert_true(lab_logged("the link is down: the front end is let go"));
	alone_close(&a);
}

static void virtio_user_stays_connected_since_it_would_not_come_back(void **state)
{
	struct alone a;
	struct tvq_vhost_user_info info;

	(void)state;
	alone_run(&a, &one, VIRTIO_USER_TAKES);
	set_link(&a.l, false);
	LAB_UNTIL(&a.l, lab_logged("the link is down, which it cannot be told"));
	lab_rest(&a.l);
	tvq_vhost_user_info(a.l.vu, &info);
	assert_true(info.running);
	alone_close(&a);
}

/* QEMU does not start without a back end. */
static void a_link_that_is_down_at_first_lets_a_front_end_connect_until_its_rings_run(void **state)
{
	struct alone a;

	(void)state;
	lab_open(&a.l, &one);
	set_link(&a.l, false);
	lab_rest(&a.l);
	net_guest(&a.g, &a.l, 1, 0);
	net_hello(&a.g, QEMU_TAKES);
	lab_rest(&a.l);
	assert_int_equal(front_get(&a.g.f, VU_GET_QUEUE_NUM), 2);
	front_set(&a.g.f, VU_SET_FEATURES, a.g.f.features);
	net_memory(&a.g);
	front_make_ring(&a.g.f, 0);
	net_ring(&a.g, 0, 0);
	front_state(&a.g.f, VU_SET_VRING_ENABLE, 0, 1);
	assert_true(front_closed(&a.g.f));
	LAB_UNTIL(&a.l, !connectable(&a.l));
	alone_close(&a);
}

static void who_waits_in_the_backlog_is_turned_away(void **state)
{
	struct alone a;
	struct vu_front next;

	(void)state;
	alone_run(&a, &one, QEMU_TAKES);
	front_init(&next, &a.l);
	front_send(&next, VU_GET_FEATURES, 0, NULL, 0, NULL, 0);
	set_link(&a.l, false);
	assert_true(front_closed(&a.g.f));
	assert_true(front_closed(&next));
	front_free(&next);
	alone_close(&a);
}

static void the_link_is_looked_at_again_and_again(void **state)
{
	struct alone a;
	unsigned int i;

	(void)state;
	alone_run(&a, &fast, QEMU_TAKES);
	set_link(&a.l, false);
	assert_true(front_closed(&a.g.f));
	for (i = 0; i < 20; i++) {
		usleep(20000);
		lab_rest(&a.l);
		assert_false(connectable(&a.l));
	}
	set_link(&a.l, true);
	LAB_UNTIL(&a.l, connectable(&a.l));
	assert_true(lab_logged("the link is up"));
	alone_close(&a);
}

static void a_presenter_may_go_at_any_moment_of_a_link_that_goes(void **state)
{
	struct alone a;
	unsigned int turns;

	(void)state;
	for (turns = 0; turns < 40; turns++) {
		unsigned int i;

		alone_run(&a, turns & 1 ? &one : &fast, QEMU_TAKES);
		set_link(&a.l, false);
		for (i = 0; i < turns; i++)
			lab_turn(&a.l);
		if (turns >= 20) {
			lab_rest(&a.l);
			set_link(&a.l, true);
			for (i = 20; i < turns; i++)
				lab_turn(&a.l);
		}
		lab_stop_presenting(&a.l);
		alone_close(&a);
	}
}

static void a_path_that_somebody_took_meanwhile_is_waited_for(void **state)
{
	struct alone a;
	int fd;

	(void)state;
	alone_run(&a, &fast, QEMU_TAKES);
	set_link(&a.l, false);
	assert_true(front_closed(&a.g.f));
	LAB_UNTIL(&a.l, !connectable(&a.l));
	assert_int_equal(unlink(a.l.path), 0);
	fd = open(a.l.path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	close(fd);
	set_link(&a.l, true);
	LAB_UNTIL(&a.l, lab_logged("does not listen, tries on"));
	assert_int_equal(unlink(a.l.path), 0);
	LAB_UNTIL(&a.l, connectable(&a.l));
	alone_close(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_front_end_with_config_is_told_and_stays),
		cmocka_unit_test(without_config_the_connection_ends_and_comes_back_with_the_link),
		cmocka_unit_test(what_is_remembered_of_a_packed_ring_is_good_for_once),
		cmocka_unit_test(a_message_under_way_is_answered_before_the_connection_ends),
		cmocka_unit_test(virtio_user_stays_connected_since_it_would_not_come_back),
		cmocka_unit_test(
			a_link_that_is_down_at_first_lets_a_front_end_connect_until_its_rings_run),
		cmocka_unit_test(who_waits_in_the_backlog_is_turned_away),
		cmocka_unit_test(the_link_is_looked_at_again_and_again),
		cmocka_unit_test(a_presenter_may_go_at_any_moment_of_a_link_that_goes),
		cmocka_unit_test(a_path_that_somebody_took_meanwhile_is_waited_for),
	};

	if (!lab_catch_sigbus())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
