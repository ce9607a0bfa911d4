// SPDX-License-Identifier: BSD-3-Clause
/* Addresses that the switch learns: where, for how long, how many, what a flood of them costs. */
#include "switch_lab.h"

#define AGE_LIMIT 300 /* seconds, and a tick of 5 more at most */

static void a_learned_address_gets_its_frames_and_nobody_else_does(void **state)
{
	struct sl_port *a = sl_add(1), *b = sl_add(2), *up = sl_add(0), *up2 = sl_add(0);

	(void)state;
	sl_one(a, sl_mac(50), sl_mac(1), 1);
	sl_one(up, sl_mac(1), sl_mac(50), 2);
	sl_one(a, sl_mac(50), sl_mac(1), 3);
	sl_expect(up, "1 3");
	sl_expect(up2, "1");
	sl_expect(b, "1");
	assert_int_equal(sl_where(sl_mac(50), 0), sl_number(up));
	assert_int_equal(sl_info(up).n_learned, 1);
}

static void a_port_with_the_source_check_on_learns_nothing(void **state)
{
	struct sl_port *a = sl_add(1), *b = sl_add(2);

	(void)state;
	sl_one(a, sl_mac(2), sl_mac(9), 1);
	sl_one(a, sl_mac(2), sl_mac(1), 2);
	assert_int_equal(sl_info(a).n_learned, 0);
	assert_int_equal(sl.exec.n_timers, 0);
	sl_expect(b, "2");
}

static void addresses_are_learned_for_each_vlan(void **state)
{
	struct sl_port *a = sl_add(1), *up = sl_add(0), *up2 = sl_add(0);
	struct sl_batch batch = { 0 };

	(void)state;
	sl_tag(sl_put(&batch, sl_mac(1), sl_mac(50), 1), 7);
	sl_send(up, &batch);
	sl_tag(sl_put(&batch, sl_mac(1), sl_mac(50), 2), 8);
	sl_send(up2, &batch);
	sl_tag(sl_put(&batch, sl_mac(50), sl_mac(1), 3), 7);
	sl_tag(sl_put(&batch, sl_mac(50), sl_mac(1), 4), 8);
	sl_tag(sl_put(&batch, sl_mac(50), sl_mac(1), 5), 9);
	sl_tag(sl_put(&batch, sl_mac(50), sl_mac(1), 6), 7);
	sl_send(a, &batch);
	sl_expect(up, "3 5 6");
	sl_expect(up2, "4 5");
	assert_int_equal(sl_where(sl_mac(50), 7), sl_number(up));
	assert_int_equal(sl_where(sl_mac(50), 8), sl_number(up2));
	assert_int_equal(sl_where(sl_mac(50), 0), 0);
}

static void learned_addresses_are_forgotten_after_300_seconds(void **state)
{
	struct sl_port *a = sl_add(1), *up = sl_add(0), *up2 = sl_add(0);
	uint32_t port, age;

	(void)state;
	sl_one(up, sl_mac(1), sl_mac(50), 1);
	sl_turn(100 * SECOND);
	sl_one(up, sl_mac(1), sl_mac(51), 2);
	sl_turn(AGE_LIMIT * SECOND - 100 * SECOND);
	assert_int_equal(sl_fdb(sl_mac(50), 0, &port, &age), 3);
	assert_int_equal(port, sl_number(up));
	assert_int_equal(age, AGE_LIMIT);
	sl_turn(5 * SECOND);
	assert_int_equal(sl_fdb(sl_mac(50), 0, &port, &age), 2);
	assert_int_equal(port, 0);
	sl_fdb(sl_mac(51), 0, &port, &age);
	assert_int_equal(port, sl_number(up));
	assert_int_equal(age, 205);
	sl_one(a, sl_mac(50), sl_mac(1), 3);
	sl_one(a, sl_mac(51), sl_mac(1), 4);
	sl_expect(up2, "3");
	sl_expect(up, "3 4");
	/* A timer that comes late, as on a busy worker, makes nothing younger. */
	sl_one(up, sl_mac(1), sl_mac(51), 5);
	for (unsigned int i = 0; i < 42; i++)
		sl_turn(7 * SECOND);
	sl_fdb(sl_mac(51), 0, &port, &age);
	assert_in_range(age, 290, 295);
	/* A frame makes it young again, one to it does not. */
	sl_one(up, sl_mac(1), sl_mac(51), 5);
	for (unsigned int i = 0; i < 58; i++) {
		sl_turn(5 * SECOND);
		sl_one(a, sl_mac(51), sl_mac(1), 6);
	}
	assert_int_equal(sl_where(sl_mac(51), 0), sl_number(up));
	sl_turn(15 * SECOND);
	assert_int_equal(sl_where(sl_mac(51), 0), 0);
	assert_int_equal(sl_info(up).n_learned, 0);
}

static void the_clock_runs_only_while_something_is_learned(void **state)
{
	struct sl_port *a = sl_add(1), *up = sl_add(0), *up2 = sl_add(0);

	(void)state;
	sl_one(a, sl_all, sl_mac(1), 1);
	sl_one(up, sl_all, sl_mac(1), 1);
	assert_int_equal(sl.exec.n_timers, 0);
	sl_one(up, sl_mac(1), sl_mac(50), 1);
	sl_one(up, sl_mac(1), sl_mac(51), 1);
	assert_int_equal(sl.exec.n_timers, 1);
	assert_int_equal(tvq_exec_sleep(&sl.exec), sl_clock + 5 * SECOND);
	/* All at once after a long sleep, too. */
	sl_turn(10000 * SECOND);
	assert_int_equal(sl.exec.n_timers, 0);
	assert_int_equal(sl_where(sl_mac(50), 0), 0);
	/* Learned after a pause: as old as it is. */
	sl_one(up, sl_mac(1), sl_mac(50), 1);
	sl_turn(AGE_LIMIT * SECOND);
	assert_int_equal(sl_where(sl_mac(50), 0), sl_number(up));
	sl_one(up2, sl_mac(1), sl_mac(52), 1);
	tvq_port_set_link(up->port, false);
	assert_int_equal(sl.exec.n_timers, 1);
	tvq_port_del(up2->port);
	up2->port = NULL;
	assert_int_equal(sl.exec.n_timers, 0);
}

static void an_address_seen_at_another_learning_port_has_moved_there(void **state)
{
	struct sl_port *a = sl_add(1), *b = sl_add_trusted(2), *up = sl_add(0);

	(void)state;
	sl_one(up, sl_mac(1), sl_mac(50), 1);
	sl_one(b, sl_mac(1), sl_mac(50), 2);
	sl_one(a, sl_mac(50), sl_mac(1), 3);
	sl_expect(b, "3");
	sl_expect(up, "");
	assert_int_equal(sl_info(up).n_learned, 0);
	assert_int_equal(sl_info(b).n_learned, 1);
	sl_one(up, sl_mac(1), sl_mac(50), 4);
	sl_one(a, sl_mac(50), sl_mac(1), 5);
	sl_expect(b, "");
	sl_expect(up, "5");
}

static void a_learned_address_never_hides_a_ports_own(void **state)
{
	struct sl_port *a = sl_add(1), *b = sl_add(2), *up = sl_add(0);

	(void)state;
	sl_one(up, sl_mac(1), sl_mac(50), 1);
	assert_int_equal(tvq_port_set_mac(b->port, sl_mac(50)), 0);
	sl_one(a, sl_mac(50), sl_mac(1), 2);
	sl_expect(b, "2");
	sl_expect(up, "");
	sl_one(up, sl_mac(1), sl_mac(50), 3);
	assert_int_equal(sl_drops(up, TVQ_DROP_SPOOFED), 1);
	/* And the one that it gave up is free to be learned. */
	sl_one(up, sl_mac(1), sl_mac(2), 4);
	sl_one(a, sl_mac(2), sl_mac(1), 5);
	sl_expect(up, "5");
	sl_expect(a, "1 4");
}

static void what_was_learned_at_a_port_goes_with_it(void **state)
{
	struct sl_port *a = sl_add(1), *up = sl_add(0), *up2 = sl_add(0);
	struct tvq_port_vlan access = { .mode = TVQ_VLAN_ACCESS, .pvid = 5 };

	(void)state;
	for (unsigned int i = 0; i < 1000; i++)
		sl_one(i % 2 ? up : up2, sl_mac(1), sl_mac(100 + i), i);
	assert_int_equal(sl_info(up).n_learned, 500);
	tvq_port_del(up->port);
	up->port = NULL;
	for (unsigned int i = 0; i < 1000; i++)
		assert_int_equal(sl_where(sl_mac(100 + i), 0), i % 2 ? 0 : sl_number(up2));
	assert_int_equal(tvq_port_set_vlan(up2->port, &access), 0);
	assert_int_equal(sl_info(up2).n_learned, 0);
	assert_int_equal(sl_where(sl_mac(100), 0), 0);
	a->n_got = 0;
}

/* Sends a frame from each of n addresses, in batches. */
static void flood(struct sl_port *from, unsigned int first, unsigned int n)
{
	static struct sl_batch batch;

	for (unsigned int i = 0; i < n; i++) {
		sl_put(&batch, sl_mac(1), sl_mac(first + i), i);
		if (batch.n == TVQ_SWITCH_BATCH || i == n - 1)
			sl_send(from, &batch);
	}
}

static void a_flood_of_addresses_costs_only_the_port_that_sends_it(void **state)
{
	struct sl_port *a = sl_add(1), *evil = sl_add_trusted(2), *other = sl_add_trusted(3);
	struct sl_port *up = sl_add(0);
	uint32_t port, age;
	long bytes;

	(void)state;
	sl_one(up, sl_mac(1), sl_mac(50), 1);
	sl_one(evil, sl_mac(1), sl_mac(60), 1);
	flood(evil, 1000, 10000);
	assert_int_equal(sl_info(evil).n_learned, 256);
	bytes = sl_bytes;
	flood(evil, 20000, 10000);
	assert_int_equal(sl_bytes, bytes);
	assert_int_equal(sl_drops(evil, TVQ_DROP_SPOOFED), 0);
	flood(up, 100000, 10000);
	assert_int_equal(sl_info(up).n_learned, 4096);
	/* Everybody keeps what was there, itself too, and others still learn. */
	assert_int_equal(sl_where(sl_mac(50), 0), sl_number(up));
	assert_int_equal(sl_where(sl_mac(60), 0), sl_number(evil));
	sl_one(other, sl_mac(1), sl_mac(70), 1);
	assert_int_equal(sl_where(sl_mac(70), 0), sl_number(other));
	/* 4 own ones less the uplink's. */
	assert_int_equal(sl_fdb(sl_mac(1), 0, &port, &age), 3 + 256 + 4096 + 1);
	a->n_got = up->n_got = evil->n_got = other->n_got = 0;
	sl_one(a, sl_mac(50), sl_mac(1), 2);
	/* One that found no room is flooded, and arrives. */
	sl_one(a, sl_mac(29999), sl_mac(1), 3);
	sl_expect(up, "2 3");
	sl_expect(evil, "3");
	sl_expect(other, "3");
}

static void a_full_port_makes_an_address_unknown_but_not_unreachable(void **state)
{
	struct sl_port *a = sl_add(1), *full = sl_add_trusted(2), *up = sl_add(0);

	(void)state;
	flood(full, 1000, 300);
	sl_one(up, sl_mac(1), sl_mac(50), 1);
	sl_one(full, sl_mac(1), sl_mac(50), 2);
	assert_int_equal(sl_where(sl_mac(50), 0), 0);
	full->n_got = up->n_got = 0;
	sl_one(a, sl_mac(50), sl_mac(1), 3);
	sl_expect(full, "3");
	sl_expect(up, "3");
}

static void there_is_room_again_when_addresses_are_forgotten(void **state)
{
	struct sl_port *a = sl_add(1), *up = sl_add(0);
	unsigned int turns = 0;
	long bytes;

	(void)state;
	flood(up, 1000, 4096);
	sl_turn(200 * SECOND);
	sl_one(up, sl_mac(1), sl_mac(1007), 1);
	sl_one(up, sl_mac(1), sl_mac(9999), 1);
	assert_int_equal(sl_where(sl_mac(9999), 0), 0);
	assert_int_equal(sl_info(up).n_learned, 4096);
	bytes = sl_bytes;
	/* A bounded number in a turn. */
	sl_turn(AGE_LIMIT * SECOND - 200 * SECOND + 5 * SECOND);
	assert_in_range(sl_info(up).n_learned, 3000, 4095);
	while (sl_info(up).n_learned > 1 && turns++ < 100)
		sl_turn(0);
	assert_in_range(turns, 3, 20);
	assert_int_equal(sl_where(sl_mac(1007), 0), sl_number(up));
	assert_int_equal(sl_where(sl_mac(1008), 0), 0);
	sl_one(up, sl_mac(1), sl_mac(9999), 1);
	assert_int_equal(sl_where(sl_mac(9999), 0), sl_number(up));
	/* An idle switch sleeps until the next tick. */
	sl_turn(0);
	assert_true(tvq_exec_sleep(&sl.exec) > sl_clock);
	sl_turn(400 * SECOND);
	for (unsigned int i = 0; i < 100; i++)
		sl_turn(0);
	assert_int_equal(sl_info(up).n_learned, 0);
	assert_true(sl_bytes < bytes);
	a->n_got = 0;
}

static void without_memory_nothing_is_learned_and_frames_pass(void **state)
{
	struct sl_port *a = sl_add(1), *up = sl_add(0), *up2 = sl_add(0);

	(void)state;
	/* First the list, then the timer, then the table's growth fail. */
	for (unsigned int round = 0; round < 3; round++) {
		sl_allocs_left = round;
		flood(up, 100, 64);
		assert_in_range(sl_info(up).n_learned, 0, 16);
		assert_int_equal(sl_info(up).n_learned > 0, round == 2);
		assert_int_equal(sl.exec.n_timers, round == 2);
		assert_int_equal(a->n_got, 64);
		a->n_got = 0;
		sl_one(a, sl_mac(163), sl_mac(1), 7);
		sl_expect(up, "7");
		sl_expect(up2, "7");
	}
	sl_allocs_left = -1;
	flood(up, 100, 64);
	assert_int_equal(sl_info(up).n_learned, 64);
	a->n_got = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SL_TEST(a_learned_address_gets_its_frames_and_nobody_else_does),
		SL_TEST(a_port_with_the_source_check_on_learns_nothing),
		SL_TEST(addresses_are_learned_for_each_vlan),
		SL_TEST(learned_addresses_are_forgotten_after_300_seconds),
		SL_TEST(the_clock_runs_only_while_something_is_learned),
		SL_TEST(an_address_seen_at_another_learning_port_has_moved_there),
		SL_TEST(a_learned_address_never_hides_a_ports_own),
		SL_TEST(what_was_learned_at_a_port_goes_with_it),
		SL_TEST(a_flood_of_addresses_costs_only_the_port_that_sends_it),
		SL_TEST(a_full_port_makes_an_address_unknown_but_not_unreachable),
		SL_TEST(there_is_room_again_when_addresses_are_forgotten),
		SL_TEST(without_memory_nothing_is_learned_and_frames_pass),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
