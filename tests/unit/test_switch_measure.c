// SPDX-License-Identifier: BSD-3-Clause
/* Ports to measure with: what a source sends, whom it sends it to, and what it costs to wait. */
#include "switch_lab.h"

#define BE16(p) ((unsigned int)(p)[0] << 8 | (p)[1])

/* A port that keeps its last frame, and takes only so many. */
struct taker {
	struct tvq_port *port;
	uint8_t frame[2048];
	uint32_t len;
	uint64_t room, offered, max_offered;
};

static void taker_receive(struct tvq_port *p, const struct tvq_frame *const *f, unsigned int n)
{
	struct taker *t = tvq_port_ctx(p);
	unsigned int taken = n < t->room ? n : (unsigned int)t->room;

	t->offered += n;
	t->len = tvq_frame_head(p, f[n - 1], t->frame);
	for (unsigned int i = 0; i < f[n - 1]->n_seg; i++) {
		assert_true(t->len + f[n - 1]->seg[i].len <= sizeof(t->frame));
		memcpy(t->frame + t->len, f[n - 1]->seg[i].va, f[n - 1]->seg[i].len);
		t->len += (uint32_t)f[n - 1]->seg[i].len;
	}
	t->room -= taken;
	tvq_port_received(p, taken, (uint64_t)taken * t->len);
	tvq_port_drop(p, TVQ_DROP_NO_BUFFER, n - taken);
}

static const struct tvq_port_ops taker_ops = { .receive = taker_receive };

static void add_taker(struct taker *t, unsigned int number)
{
	struct tvq_port_cfg cfg = { .ops = &taker_ops, .mtu = 1500 };
	int err;

	memset(t, 0, sizeof(*t));
	memcpy(cfg.mac, sl_mac(number), 6);
	t->port = tvq_port_add(sl.sw, &cfg, t, &err);
	assert_non_null(t->port);
}

/* RFC 1071: 0xffff where the checksum among them is right. */
static unsigned int sum(const uint8_t *p, unsigned int len, unsigned int start)
{
	for (unsigned int i = 0; i < len; i++)
		start += i % 2 ? p[i] : (unsigned int)p[i] << 8;
	while (start >> 16)
		start = (start & 0xffff) + (start >> 16);
	return start;
}

static struct tvq_port *add_source(unsigned int from, unsigned int to, uint16_t bytes)
{
	int err = 1;
	struct tvq_port *p = tvq_source_new(sl.sw, sl_mac(from), sl_mac(to), bytes, &err);

	assert_non_null(p);
	assert_int_equal(err, 0);
	return p;
}

static uint64_t tx_packets(const struct tvq_port *p)
{
	struct tvq_port_info info;

	tvq_port_info(p, &info);
	return info.stats.tx_packets;
}

static void a_sources_frames_are_udp_that_a_kernel_would_take(void **state)
{
	struct taker t;

	(void)state;
	for (uint16_t bytes = 60; bytes <= 1514; bytes++) {
		struct tvq_port *source;
		unsigned int udp = bytes - 34U, check;

		add_taker(&t, 2);
		t.room = 64;
		source = add_source(1, 2, bytes);
		tvq_exec_poll(&sl.exec);
		assert_int_equal(t.offered, 64);
		assert_int_equal(t.len, bytes);
		assert_memory_equal(t.frame, sl_mac(2), 6);
		assert_memory_equal(t.frame + 6, sl_mac(1), 6);
		assert_int_equal(BE16(t.frame + 12), 0x0800);
		assert_int_equal(t.frame[14], 0x45);
		assert_int_equal(BE16(t.frame + 16), bytes - 14);
		assert_int_equal(t.frame[23], 17);
		assert_int_equal(sum(t.frame + 14, 20, 0), 0xffff);
		assert_int_equal(BE16(t.frame + 38), udp);
		check = BE16(t.frame + 40);
		assert_int_not_equal(check, 0);
		assert_int_equal(sum(t.frame + 34, udp, sum(t.frame + 26, 8, 17 + udp)), 0xffff);
		tvq_measure_free(source);
		tvq_port_del(t.port);
	}
}

static void a_source_sends_as_fast_as_its_peer_takes_frames(void **state)
{
	struct taker t;
	struct tvq_port *source;

	(void)state;
	add_taker(&t, 2);
	t.room = UINT64_MAX;
	source = add_source(1, 2, 60);
	for (unsigned int i = 0; i < 100; i++)
		assert_int_equal(tvq_exec_poll(&sl.exec), 64);
	assert_int_equal(t.offered, 6400);
	assert_int_equal(tx_packets(source), 6400);
	assert_int_equal(tvq_exec_sleep(&sl.exec), 0);
	tvq_measure_free(source);
	tvq_port_del(t.port);
}

static void a_source_whose_peer_is_full_tries_with_one_frame_and_then_rests(void **state)
{
	struct taker t;
	struct tvq_port *source;
	uint64_t offered;

	(void)state;
	/* An executor that polls for ever: the worst case. */
	sl.exec.poll_ns = UINT64_MAX;
	add_taker(&t, 2);
	t.room = 10;
	source = add_source(1, 2, 60);
	tvq_exec_poll(&sl.exec);
	assert_int_equal(t.offered, 64);
	tvq_exec_poll(&sl.exec);
	assert_int_equal(t.offered, 65);
	/* It is quick at first, */
	t.room = 1000;
	tvq_exec_poll(&sl.exec);
	tvq_exec_poll(&sl.exec);
	assert_int_equal(t.offered, 66 + 64);
	t.room = 0;
	for (unsigned int i = 0; i < 10000; i++)
		tvq_exec_poll(&sl.exec);
	assert_in_range(t.offered, 1000, 6000);
	/* and then sleeps, a millisecond at a time, */
	offered = t.offered;
	for (unsigned int i = 0; i < 1000; i++) {
		uint64_t when = tvq_exec_sleep(&sl.exec);

		if (when) {
			assert_in_range(when, sl_clock + 1, sl_clock + SECOND / 1000);
			tvq_exec_awake(&sl.exec);
			sl_clock = when;
		}
		tvq_exec_poll(&sl.exec);
	}
	assert_in_range(t.offered - offered, 100, 1001);
	/* until there is room again. */
	t.room = 100000;
	for (unsigned int i = 0; i < 10; i++) {
		sl_clock += SECOND / 1000;
		tvq_exec_poll(&sl.exec);
	}
	assert_true(t.room < 100000 - 8 * 64);
	tvq_measure_free(source);
	tvq_port_del(t.port);
}

/* An executor whose idle pollers leave at once. */
static void a_source_stays_where_its_peer_is_full_for_long(void **state)
{
	struct taker t;
	struct tvq_port *source;

	(void)state;
	add_taker(&t, 2);
	source = add_source(1, 2, 60);
	for (unsigned int i = 0; i < 100; i++) {
		uint64_t when;

		while (tvq_exec_poll(&sl.exec))
			;
		when = tvq_exec_sleep(&sl.exec);
		assert_in_range(when, sl_clock + 1, sl_clock + SECOND / 1000);
		sl_clock = when;
		tvq_exec_awake(&sl.exec);
	}
	t.room = 1000;
	tvq_exec_poll(&sl.exec);
	tvq_exec_poll(&sl.exec);
	assert_in_range(t.room, 1, 999);
	tvq_measure_free(source);
	tvq_port_del(t.port);
}

static void a_source_without_peer_floods_nobody(void **state)
{
	struct sl_port *b = sl_add(3), *up = sl_add(0);
	struct tvq_port *source = add_source(1, 2, 60);
	struct taker t;

	(void)state;
	tvq_exec_poll(&sl.exec);
	assert_null(sl.exec.active);
	for (unsigned int i = 0; i < 100; i++) {
		uint64_t when = tvq_exec_sleep(&sl.exec);

		if (when) {
			assert_true(when > sl_clock);
			sl_clock = when;
			tvq_exec_awake(&sl.exec);
		}
		tvq_exec_poll(&sl.exec);
	}
	assert_int_equal(tx_packets(source), 0);
	/* It comes, goes, and comes at an uplink. */
	add_taker(&t, 2);
	t.room = UINT64_MAX;
	sl_turn(SECOND / 1000);
	sl_turn(SECOND / 1000);
	sl_turn(SECOND / 1000);
	assert_true(t.offered > 64);
	tvq_port_del(t.port);
	sl_turn(SECOND / 1000);
	sl_one(up, sl_mac(3), sl_mac(2), 7);
	sl_expect(b, "7");
	sl_turn(SECOND / 1000);
	sl_turn(SECOND / 1000);
	assert_true(up->n_got > 0);
	assert_false(up->unflushed);
	assert_int_equal(b->n_got, 0);
	/* It rests when it is freed. */
	tvq_port_set_link(up->port, false);
	sl_turn(SECOND / 1000);
	sl_turn(0);
	sl_turn(0);
	assert_int_equal(sl.exec.n_timers, 1);
	assert_null(sl.exec.active);
	tvq_measure_free(source);
	assert_int_equal(sl.exec.n_timers, 0);
	up->n_got = 0;
}

static void a_source_is_held_to_its_rate(void **state)
{
	struct tvq_port_rate rate = { .packets = 1000 };
	struct taker t;
	struct tvq_port *source;
	uint64_t start;

	(void)state;
	add_taker(&t, 2);
	t.room = UINT64_MAX;
	source = add_source(1, 2, 60);
	assert_int_equal(tvq_port_set_rate(source, &rate), 0);
	start = sl_clock;
	while (sl_clock < start + 10 * SECOND) {
		uint64_t when;

		while (tvq_exec_poll(&sl.exec))
			;
		assert_null(sl.exec.active);
		when = tvq_exec_sleep(&sl.exec);
		assert_true(when > sl_clock && when < UINT64_MAX);
		sl_clock = when;
		tvq_exec_awake(&sl.exec);
	}
	assert_in_range(t.offered, 9990, 10020);
	/* Its link too. */
	tvq_port_set_link(source, false);
	tvq_exec_poll(&sl.exec);
	t.offered = 0;
	sl_turn(SECOND);
	sl_turn(SECOND);
	assert_int_equal(t.offered, 0);
	tvq_port_set_link(source, true);
	sl_turn(SECOND);
	assert_true(t.offered > 0);
	tvq_measure_free(source);
	tvq_port_del(t.port);
}

static void a_sink_takes_and_counts_everything(void **state)
{
	struct sl_port *a = sl_add(1);
	struct sl_batch batch = { 0 };
	struct tvq_port_info info;
	struct tvq_port *sink;
	int err = 1;

	(void)state;
	sink = tvq_sink_new(sl.sw, sl_mac(2), &err);
	assert_non_null(sink);
	assert_int_equal(err, 0);
	assert_int_equal(tvq_port_set_mtu(a->port, TVQ_MTU_MAX), 0);
	sl_put(&batch, sl_mac(2), sl_mac(1), 1);
	sl_put(&batch, sl_all, sl_mac(1), 2);
	sl_put(&batch, sl_mac(99), sl_mac(1), 3);
	sl_put(&batch, sl_mac(2), sl_mac(1), 4)->len = TVQ_MTU_MAX + 2;
	sl_tag(sl_put(&batch, sl_mac(2), sl_mac(1), 5), 9);
	sl_send(a, &batch);
	tvq_port_info(sink, &info);
	assert_int_equal(info.stats.rx_packets, 5);
	assert_int_equal(info.stats.rx_bytes, 3 * 60 + 65535 + 64);
	for (unsigned int i = 0; i < TVQ_DROPS; i++)
		assert_int_equal(info.stats.drops[i], 0);
	tvq_measure_free(sink);
	tvq_measure_free(NULL);
}

static void measuring_ports_are_refused_what_other_ports_are(void **state)
{
	int err = 0;

	(void)state;
	sl_add(1);
	assert_null(tvq_sink_new(sl.sw, sl_mac(1), &err));
	assert_int_equal(err, -EEXIST);
	assert_null(tvq_sink_new(sl.sw, sl_mac(0), &err));
	assert_int_equal(err, -EINVAL);
	assert_null(tvq_source_new(sl.sw, sl_group(2), sl_mac(1), 60, &err));
	assert_int_equal(err, -EINVAL);
	assert_null(tvq_source_new(sl.sw, sl_mac(2), sl_all, 60, &err));
	assert_int_equal(err, -EINVAL);
	assert_null(tvq_source_new(sl.sw, sl_mac(2), sl_mac(0), 60, &err));
	assert_int_equal(err, -EINVAL);
	assert_null(tvq_source_new(sl.sw, sl_mac(2), sl_mac(1), 59, &err));
	assert_int_equal(err, -EINVAL);
	assert_null(tvq_source_new(sl.sw, sl_mac(2), sl_mac(1), 1515, &err));
	assert_int_equal(err, -EINVAL);
	for (long left = 0; left < 2; left++) {
		sl_allocs_left = left;
		assert_null(tvq_source_new(sl.sw, sl_mac(2), sl_mac(1), 60, &err));
		assert_int_equal(err, -ENOMEM);
	}
	sl_allocs_left = -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SL_TEST(a_sources_frames_are_udp_that_a_kernel_would_take),
		SL_TEST(a_source_sends_as_fast_as_its_peer_takes_frames),
		SL_TEST(a_source_whose_peer_is_full_tries_with_one_frame_and_then_rests),
		SL_TEST(a_source_stays_where_its_peer_is_full_for_long),
		SL_TEST(a_source_without_peer_floods_nobody),
		SL_TEST(a_source_is_held_to_its_rate),
		SL_TEST(a_sink_takes_and_counts_everything),
		SL_TEST(measuring_ports_are_refused_what_other_ports_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
