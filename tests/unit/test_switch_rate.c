// SPDX-License-Identifier: BSD-3-Clause
/* Rate limits of ports: what passes in which time, bursts, changes while it runs, idle cost. */
#include "switch_lab.h"

static void set_rate(struct sl_port *t, uint64_t bits, uint64_t packets)
{
	struct tvq_port_rate rate = { .bits = bits, .packets = packets };

	assert_int_equal(tvq_port_set_rate(t->port, &rate), 0);
	assert_int_equal(sl_info(t).rate.bits, bits);
	assert_int_equal(sl_info(t).rate.packets, packets);
}

static void send_n(struct sl_port *t, unsigned int n, uint32_t len)
{
	static struct sl_batch batch;

	for (unsigned int i = 0; i < n; i++) {
		struct tvq_frame *f = sl_put(&batch, sl_mac(2), sl_mac(1), i);

		f->len = len;
		f->gso_type = len > 1502 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_NONE;
		f->gso_size = 1400;
		f->csum_start = 22;
	}
	sl_send(t, &batch);
}

/* Sends whenever t may, for that many nanoseconds; sleeps until the next timer when it may not.
 * Returns the frames. */
static uint64_t run(struct sl_port *t, uint32_t len, uint64_t ns)
{
	uint64_t end = sl_clock + ns, frames = 0;

	/* A timer may be due since the test moved the clock. */
	tvq_exec_poll(&sl.exec);
	for (;;) {
		unsigned int n = tvq_port_may_send(t->port, TVQ_SWITCH_BATCH), feeds = t->feeds;
		uint64_t when;

		assert_in_range(n, 0, TVQ_SWITCH_BATCH);
		if (n) {
			send_n(t, n, len);
			frames += n;
			continue;
		}
		when = tvq_exec_sleep(&sl.exec);
		tvq_exec_awake(&sl.exec);
		assert_true(when > sl_clock && when != UINT64_MAX);
		if (when > end)
			break;
		sl_clock = when;
		tvq_exec_poll(&sl.exec);
		assert_int_equal(t->feeds, feeds + 1);
	}
	sl_clock = end;
	return frames;
}

static void a_port_without_limit_may_always_send(void **state)
{
	struct sl_port *a = sl_add(1);

	(void)state;
	sl_add(2);
	for (unsigned int i = 0; i < 10000; i++) {
		assert_int_equal(tvq_port_may_send(a->port, TVQ_SWITCH_BATCH), TVQ_SWITCH_BATCH);
		send_n(a, 64, 1502);
	}
	assert_int_equal(tvq_port_may_send(a->port, 3), 3);
}

static void the_rate_is_kept_over_time(void **state)
{
	static const struct {
		uint64_t bits, packets;
		uint32_t len;
		unsigned int ms;
		uint64_t frames; /* in that time */
	} cases[] = {
		{ 100000000, 0, 1502, 1000, 100000000ULL / 8 / 1514 },
		{ 10000000000, 0, 48, 10, 10000000000ULL / 8 / 60 / 100 },
		{ 1000000, 0, 1502, 10000, 10 * 1000000ULL / 8 / 1514 },
		{ 0, 10000, 48, 1000, 10000 },
		{ 0, 333, 1502, 10000, 3330 },
		{ 0, 1000001, 48, 100, 100000 },
		/* The one that is reached first. */
		{ 100000000, 1000, 1502, 1000, 1000 },
		{ 1000000, 1000000, 1502, 10000, 10 * 1000000ULL / 8 / 1514 },
	};
	struct sl_port *a = sl_add(1);

	(void)state;
	sl_add(2);
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t frames, want = cases[i].frames;

		set_rate(a, cases[i].bits, cases[i].packets);
		/* The first burst. */
		run(a, cases[i].len, SECOND / 100);
		frames = run(a, cases[i].len, cases[i].ms * (SECOND / 1000));
		assert_in_range(frames, want - want / 500 - 2, want + want / 500 + 2);
	}
	assert_int_equal(sl_info(a).stats.drops[TVQ_DROP_TOO_LONG], 0);
	set_rate(a, 0, 0);
}

static void slow_rates_pass_one_frame_after_the_other(void **state)
{
	struct sl_port *a = sl_add(1);

	(void)state;
	sl_add(2);
	set_rate(a, 0, 1);
	assert_in_range(run(a, 48, 100 * SECOND), 99, 101);
	/* 12112 bits in each frame. */
	set_rate(a, 1000, 0);
	assert_in_range(run(a, 1502, 1000 * SECOND), 81, 84);
	set_rate(a, 0, 0);
}

static void a_burst_is_ten_milliseconds_of_the_rate(void **state)
{
	struct sl_port *a = sl_add(1);
	uint64_t n = 0;

	(void)state;
	sl_add(2);
	set_rate(a, 0, 100000);
	sl_clock += 100 * SECOND;
	assert_in_range(run(a, 48, 1), 1000, 1001);
	sl_clock += SECOND / 200;
	assert_in_range(run(a, 48, 1), 500, 501);
	/* 1 Mbit: 1.25 MB of frames that are long and unexpected. */
	set_rate(a, 1000000000, 0);
	assert_in_range(run(a, 1502, 1), 1250000 / 1514 - 1, 1250000 / 1514 + 64);
	/* Nothing is lost to rounding: 22.857 ns for each. */
	set_rate(a, 21000000000, 0);
	while (tvq_port_may_send(a->port, 1)) {
		send_n(a, 1, 48);
		n++;
	}
	assert_in_range(n, 437500, 437502);
	/* Long ones are expected where there were long ones: 480 kbit each, of 10 Mbit. */
	set_rate(a, 1000000000, 0);
	for (unsigned int i = 0; i < 20; i++) {
		sl_clock += SECOND;
		send_n(a, tvq_port_may_send(a->port, 64), 60000 - 12);
	}
	sl_clock += SECOND;
	assert_int_equal(tvq_port_may_send(a->port, 64), 1 + 10000000 / 480000);
	assert_int_equal(sl_drops(a, TVQ_DROP_TOO_LONG), 0);
	/* Short frames do not make it expect long ones to be short. */
	set_rate(a, 1000000, 0);
	run(a, 48, SECOND);
	sl_clock += SECOND;
	assert_int_equal(tvq_port_may_send(a->port, 64), 1);
	set_rate(a, 0, 0);
}

static void a_limit_is_changed_while_its_port_waits(void **state)
{
	struct sl_port *a = sl_add(1);
	unsigned int feeds;

	(void)state;
	sl_add(2);
	/* What was owed at the old rate would take days. */
	set_rate(a, 1, 0);
	send_n(a, tvq_port_may_send(a->port, 64), 1502);
	assert_int_equal(tvq_port_may_send(a->port, 64), 0);
	assert_int_equal(sl.exec.n_timers, 1);
	feeds = a->feeds;
	set_rate(a, 0, 1000);
	assert_int_equal(a->feeds, feeds + 1);
	assert_in_range(run(a, 48, 10 * SECOND), 9990, 10012);
	assert_int_equal(tvq_port_may_send(a->port, 64), 0);
	feeds = a->feeds;
	set_rate(a, 0, 0);
	assert_int_equal(a->feeds, feeds + 1);
	assert_int_equal(tvq_port_may_send(a->port, 64), 64);
	assert_int_equal(sl.exec.n_timers, 0);
	/* Nobody waits: nobody is fed. */
	set_rate(a, 5, 5);
	set_rate(a, 0, 0);
	assert_int_equal(a->feeds, feeds + 1);
}

static void a_limited_port_that_sends_nothing_costs_nothing(void **state)
{
	struct sl_port *a = sl_add(1);

	(void)state;
	sl_add(2);
	set_rate(a, 0, 10);
	assert_int_equal(tvq_port_may_send(a->port, 64), 1);
	assert_int_equal(tvq_port_may_send(a->port, 64), 1);
	assert_int_equal(sl.exec.n_timers, 0);
	send_n(a, 1, 48);
	assert_int_equal(tvq_port_may_send(a->port, 64), 0);
	assert_int_equal(tvq_port_may_send(a->port, 64), 0);
	assert_int_equal(sl.exec.n_timers, 1);
	sl_turn(SECOND);
	assert_int_equal(a->feeds, 1);
	assert_int_equal(tvq_port_may_send(a->port, 64), 1);
	assert_int_equal(sl.exec.n_timers, 0);
}

static void a_waiting_port_can_go_and_in_feed_too(void **state)
{
	struct sl_port *a = sl_add(1), *c = sl_add(3);

	(void)state;
	sl_add(2);
	for (unsigned int i = 0; i < 2; i++) {
		struct sl_port *t = i ? c : a;
		struct sl_batch batch = { 0 };

		set_rate(t, 0, 1);
		assert_int_equal(tvq_port_may_send(t->port, 64), 1);
		sl_put(&batch, sl_mac(2), sl_mac(i ? 3 : 1), 1);
		sl_send(t, &batch);
		assert_int_equal(tvq_port_may_send(t->port, 64), 0);
	}
	tvq_port_del(a->port);
	a->port = NULL;
	assert_int_equal(sl.exec.n_timers, 1);
	c->del_in_feed = c;
	sl_turn(10 * SECOND);
	assert_null(c->port);
	assert_int_equal(a->feeds, 0);
	assert_int_equal(c->feeds, 1);
}

static void limits_out_of_range_and_lack_of_memory_change_nothing(void **state)
{
	struct sl_port *a = sl_add(1);
	struct tvq_port_rate rate = { .bits = 1000000000000001ULL };

	(void)state;
	sl_add(2);
	assert_int_equal(tvq_port_set_rate(a->port, &rate), -EINVAL);
	rate = (struct tvq_port_rate){ .packets = UINT64_MAX };
	assert_int_equal(tvq_port_set_rate(a->port, &rate), -EINVAL);
	rate = (struct tvq_port_rate){ .bits = 1000000000000000ULL };
	sl_allocs_left = 0;
	assert_int_equal(tvq_port_set_rate(a->port, &rate), -ENOMEM);
	assert_int_equal(sl_info(a).rate.bits, 0);
	assert_int_equal(tvq_port_may_send(a->port, 64), 64);
	sl_allocs_left = -1;
	assert_int_equal(tvq_port_set_rate(a->port, &rate), 0);
	/* The fastest of all: the longest frames do not overflow it. */
	for (unsigned int i = 0; i < 1000; i++) {
		sl_clock += 1000;
		assert_int_equal(tvq_port_may_send(a->port, 64), 64);
		send_n(a, 64, 1502);
	}
	/* Nobody could wake it: it goes on. */
	set_rate(a, 0, 1);
	assert_int_equal(tvq_port_may_send(a->port, 64), 1);
	send_n(a, 1, 48);
	sl_allocs_left = 0;
	assert_int_equal(tvq_port_may_send(a->port, 64), 1);
	sl_allocs_left = -1;
	assert_int_equal(tvq_port_may_send(a->port, 64), 0);
	set_rate(a, 0, 0);
}

/* Tests of limits drop nothing: a port's user waits. */
static void nothing_is_dropped_by_a_limit(void **state)
{
	struct sl_port *a = sl_add(1), *b = sl_add(2);

	(void)state;
	set_rate(a, 1000, 1);
	send_n(a, 64, 1502);
	send_n(a, 64, 1502);
	assert_int_equal(b->n_got, 128);
	set_rate(a, 0, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SL_TEST(a_port_without_limit_may_always_send),
		SL_TEST(the_rate_is_kept_over_time),
		SL_TEST(slow_rates_pass_one_frame_after_the_other),
		SL_TEST(a_burst_is_ten_milliseconds_of_the_rate),
		SL_TEST(a_limit_is_changed_while_its_port_waits),
		SL_TEST(a_limited_port_that_sends_nothing_costs_nothing),
		SL_TEST(a_waiting_port_can_go_and_in_feed_too),
		SL_TEST(limits_out_of_range_and_lack_of_memory_change_nothing),
		SL_TEST(nothing_is_dropped_by_a_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
