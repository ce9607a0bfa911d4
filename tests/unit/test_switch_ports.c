// SPDX-License-Identifier: BSD-3-Clause
/* Ports come, change and go; listings; ops from the control executor. */
#include "switch_lab.h"

#include "switch/switch_priv.h"

/* TQ-141 */
static void an_address_has_one_port_at_a_time(void **state)
{
	struct sl_port *a = sl_add(1), *b = sl_add(2), *up = sl_add(0);
	struct tvq_port_cfg cfg = { .ops = &sl_ops, .mtu = 1500 };
	int err = 0;

	(void)state;
	memcpy(cfg.mac, sl_mac(2), 6);
	assert_null(tvq_port_add(sl.sw, &cfg, NULL, &err));
	assert_int_equal(err, -EEXIST);
	memcpy(cfg.mac, sl_group(1), 6);
	assert_null(tvq_port_add(sl.sw, &cfg, NULL, &err));
	assert_int_equal(err, -EINVAL);
	memcpy(cfg.mac, sl_mac(3), 6);
	cfg.mtu = 67;
	assert_null(tvq_port_add(sl.sw, &cfg, NULL, &err));
	assert_int_equal(err, -EINVAL);
	cfg.mtu = TVQ_MTU_MAX + 1;
	assert_null(tvq_port_add(sl.sw, &cfg, NULL, &err));
	assert_int_equal(err, -EINVAL);

	assert_int_equal(tvq_port_set_mac(a->port, sl_mac(2)), -EEXIST);
	assert_int_equal(tvq_port_set_mac(a->port, sl_mac(1)), 0);
	assert_int_equal(tvq_port_set_mac(a->port, sl_mac(0)), -EINVAL);
	assert_int_equal(tvq_port_set_mac(a->port, sl_group(1)), -EINVAL);
	assert_int_equal(tvq_port_set_mac(up->port, sl_mac(9)), -EINVAL);
	assert_int_equal(tvq_port_set_mac(a->port, sl_mac(3)), 0);
	assert_memory_equal(sl_info(a).mac, sl_mac(3), 6);
	/* Free for another now, and gone from the table. */
	assert_int_equal(tvq_port_set_mac(b->port, sl_mac(1)), 0);
	sl_one(b, sl_mac(3), sl_mac(1), 1);
	sl_one(b, sl_mac(3), sl_mac(2), 2);
	sl_expect(a, "1");
	sl_one(a, sl_mac(1), sl_mac(3), 3);
	sl_expect(b, "3");
	tvq_port_del(b->port);
	b->port = NULL;
	assert_int_equal(sl_where(sl_mac(1), 0), 0);
	assert_int_equal(sl_where(sl_mac(2), 0), 0);
	sl_add(1);
}

static void ports_are_listed_in_the_order_of_numbers_that_never_come_again(void **state)
{
	struct sl_port *t[40];
	uint32_t last = 0, first_free;
	unsigned int n = 0;

	(void)state;
	assert_null(tvq_switch_next_port(sl.sw, 0));
	for (unsigned int i = 0; i < 40; i++)
		t[i] = sl_add(i + 1);
	first_free = sl_number(t[39]) + 1;
	for (unsigned int i = 0; i < 40; i += 3) {
		tvq_port_del(t[i]->port);
		t[i]->port = NULL;
	}
	assert_int_equal(sl_number(sl_add(1)), first_free);
	for (struct tvq_port *p = tvq_switch_next_port(sl.sw, 0); p;
	     p = tvq_switch_next_port(sl.sw, last)) {
		struct tvq_port_info info;

		tvq_port_info(p, &info);
		assert_true(info.number > last);
		assert_ptr_equal(tvq_port_switch(p), sl.sw);
		last = info.number;
		n++;
	}
	assert_int_equal(n, 40 - 14 + 1);
	assert_int_equal(last, first_free);
	assert_null(tvq_switch_next_port(sl.sw, UINT32_MAX));
	/* A number that is gone: the next one. */
	assert_ptr_equal(tvq_switch_next_port(sl.sw, sl_number(t[2]) + 1), t[4]->port);
	assert_ptr_equal(tvq_switch_next_port(sl.sw, sl_number(t[2])), t[4]->port);
	tvq_port_del(NULL);
}

static void a_port_says_what_it_was_told(void **state)
{
	struct tvq_port_cfg cfg = { .ops = &sl_ops, .mtu = 9000, .device_id = 1234567890123 };
	struct sl_port *a;
	struct tvq_port_info info;

	(void)state;
	memcpy(cfg.mac, sl_mac(1), 6);
	a = sl_add_cfg(&cfg);
	info = sl_info(a);
	assert_int_equal(info.device_id, 1234567890123);
	assert_memory_equal(info.mac, sl_mac(1), 6);
	assert_int_equal(info.mtu, 9000);
	assert_true(info.link);
	assert_true(info.spoofchk);
	assert_false(info.mirrored);
	assert_int_equal(info.vlan.mode, TVQ_VLAN_OPEN);
	assert_int_equal(info.rate.bits, 0);
	assert_int_equal(info.rate.packets, 0);
	assert_int_equal(info.n_learned, 0);
	for (unsigned int i = 0; i < TVQ_DROPS; i++)
		assert_int_equal(info.stats.drops[i], 0);
	assert_int_equal(info.stats.tx_packets | info.stats.rx_packets, 0);
	assert_ptr_equal(tvq_port_ctx(a->port), a);
	assert_ptr_equal(tvq_switch_worker(sl.sw), &sl.exec);
	assert_ptr_equal(tvq_switch_control(sl.sw), &sl.exec);
}

static void numbers_come_again_once_all_have_been_given_out(void **state)
{
	static const uint32_t numbers[] = { 1, 2, 3, 4, 5, 6, UINT32_MAX };
	struct sl_port *p[6];
	uint32_t last = 0;

	(void)state;
	for (unsigned int i = 0; i < 4; i++)
		p[i] = sl_add(1 + i);
	tvq_port_del(p[1]->port);
	p[1]->port = NULL;
	assert_int_equal(sl_number(sl_add(5)), 5);
	/* As if so many had come and gone. */
	sl.sw->last_number = UINT32_MAX - 1;
	assert_int_equal(sl_number(sl_add(6)), UINT32_MAX);
	p[4] = sl_add(7);
	assert_int_equal(sl_number(p[4]), 2);
	p[5] = sl_add(8);
	assert_int_equal(sl_number(p[5]), 6);
	for (unsigned int i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		struct tvq_port *port = tvq_switch_next_port(sl.sw, last);
		struct tvq_port_info info;

		assert_non_null(port);
		tvq_port_info(port, &info);
		assert_int_equal(info.number, numbers[i]);
		last = info.number;
	}
	assert_null(tvq_switch_next_port(sl.sw, UINT32_MAX));
	/* Each is found again, to go. */
	tvq_port_del(p[4]->port);
	p[4]->port = NULL;
	assert_int_equal(sl_number(sl_add(9)), 2);
}

/* A table that has grown and shrunk finds what it has, and only that. */
static void thousands_of_ports_come_and_go(void **state)
{
	enum { N = 20000 };
	struct tvq_port **p = calloc(N, sizeof(struct tvq_port *));
	struct tvq_port_cfg cfg = { .ops = &sl_ops, .mtu = 1500 };
	struct sl_port *a = sl_add(0xf00000);
	struct sl_port sink = { .got = calloc(SL_GOT, sizeof(struct sl_got)) };
	unsigned int seed = 1, n = 0;
	uint32_t port, age;
	int err;

	(void)state;
	assert_non_null(p);
	assert_non_null(sink.got);
	for (unsigned int round = 0; round < 60000; round++) {
		unsigned int i;

		seed = seed * 1103515245 + 12345;
		i = seed >> 8 & 0xffff;
		/* Mostly added in the first half, mostly deleted in the second. */
		i = i % N;
		if (p[i] && (round > 30000 || round % 8 == 0)) {
			tvq_port_del(p[i]);
			p[i] = NULL;
			n--;
		} else if (!p[i] && (round <= 30000 || round % 8 == 0)) {
			memcpy(cfg.mac, sl_mac(i + 1), 6);
			p[i] = tvq_port_add(sl.sw, &cfg, &sink, &err);
			assert_non_null(p[i]);
			n++;
		}
		if (round % 20000)
			continue;
		assert_int_equal(sl_fdb(sl_mac(1), 0, &port, &age), n + 1);
		for (i = 0; i < N; i++) {
			struct sl_batch batch = { 0 };

			/* Those that are not there would be flooded: few enough. */
			if (!p[i] && i % 1000)
				continue;
			sink.n_got = 0;
			sl_put(&batch, sl_mac(i + 1), sl_mac(0xf00000), i);
			sl_send(a, &batch);
			assert_int_equal(sink.n_got, p[i] ? 1 : n);
			if (p[i])
				assert_int_equal(sink.got[0].id, i);
		}
	}
	assert_true(n > 1000);
	for (unsigned int i = 0; i < N; i++)
		tvq_port_del(p[i]);
	assert_int_equal(sl_fdb(sl_mac(1), 0, &port, &age), 1);
	free(sink.got);
	free(p);
}

/* Who chooses addresses must not be able to choose those that collide. */
static void each_switch_hashes_in_a_way_of_its_own(void **state)
{
	struct tvq_switch *other = tvq_switch_new(&sl.os, &sl.exec, &sl.exec);
	unsigned int same = 0;

	(void)state;
	assert_non_null(other);
	for (unsigned int i = 1; i <= 4096; i++)
		same += tvq_fdb_hash(&sl.sw->own, i) % 1024 == tvq_fdb_hash(&other->own, i) % 1024;
	assert_in_range(same, 0, 40);
	tvq_switch_free(other);
}

static void lack_of_memory_leaves_the_switch_as_it_was(void **state)
{
	struct tvq_port_cfg cfg = { .ops = &sl_ops, .mtu = 1500 };
	struct tvq_port_filter filter = { .allmulti = true };
	struct sl_port *a = sl_add(1);
	unsigned int failed = 0;
	uint32_t port, age;
	int err;

	(void)state;
	for (unsigned int i = 2; i < 30; i++) {
		struct sl_port *t;
		long left = 0;

		memcpy(cfg.mac, sl_mac(i), 6);
		for (;; left++) {
			long bytes = sl_bytes;

			sl_allocs_left = left;
			t = calloc(1, sizeof(*t));
			t->port = tvq_port_add(sl.sw, &cfg, t, &err);
			if (t->port)
				break;
			free(t);
			assert_int_equal(err, -ENOMEM);
			/* Room for ports may have been made, nothing else. */
			assert_in_range(sl_bytes - bytes, 0, 64 * sizeof(void *));
			assert_int_equal(sl_fdb(sl_mac(i), 0, &port, &age), i - 1);
			failed++;
		}
		sl_allocs_left = -1;
		sl.ports[sl.n_ports++] = t;
	}
	assert_true(failed >= 28);
	sl_allocs_left = 0;
	assert_int_equal(tvq_port_set_filter(a->port, &filter), -ENOMEM);
	assert_null(tvq_switch_new(&sl.os, &sl.exec, &sl.exec));
	for (long left = 1; left < 4; left++) {
		sl_allocs_left = left;
		assert_null(tvq_switch_new(&sl.os, &sl.exec, &sl.exec));
	}
	sl_allocs_left = -1;
	tvq_switch_free(NULL);
}

/* Ops */

struct op {
	struct tvq_switch_op op;
	struct tvq_exec *worker, *control;
	unsigned int id;
	struct op *next;	      /* started in done() */
	struct tvq_switch_user *user; /* NULL: nobody's */
};

static struct tvq_exec *running;
static unsigned int ran[8], n_ran, done[8], n_done, n_idle;

static void op_run(struct tvq_switch_op *o)
{
	struct op *op = (struct op *)o;

	assert_ptr_equal(running, op->worker);
	ran[n_ran++] = op->id;
}

static void start_op(struct tvq_switch *sw, struct op *op)
{
	if (op->user)
		tvq_switch_user_run(op->user, &op->op);
	else
		tvq_switch_run(sw, &op->op);
}

static void op_done(struct tvq_switch_op *o)
{
	struct op *op = (struct op *)o;

	assert_ptr_equal(running, op->control);
	done[n_done++] = op->id;
	if (op->next)
		start_op(op->op.sw, op->next);
}

static void idle(void *ctx)
{
	struct tvq_switch_user *u = ctx;

	/* That of nobody is still under way. */
	assert_int_equal(u->ops, 0);
	assert_int_equal(n_done, 3);
	assert_true(tvq_switch_busy(u->sw));
	n_idle++;
}

static void ops_run_on_the_worker_and_end_on_control_in_their_order(void **state)
{
	struct tvq_exec control, worker;
	struct tvq_switch *sw;
	struct tvq_switch_user user = { .idle = idle, .ctx = &user };
	struct op op[4] = { 0 };

	(void)state;
	tvq_exec_init(&control, &sl.os, NULL, 0);
	tvq_exec_init(&worker, &sl.os, NULL, 0);
	sw = tvq_switch_new(&sl.os, &control, &worker);
	assert_non_null(sw);
	user.sw = sw;
	n_ran = n_done = n_idle = 0;
	for (unsigned int i = 0; i < 4; i++) {
		op[i] = (struct op){ .op = { .run = op_run, .done = op_done },
				     .worker = &worker,
				     .control = &control,
				     .id = i,
				     .user = i < 3 ? &user : NULL };
		if (i < 2)
			start_op(sw, &op[i]);
	}
	assert_int_equal(user.ops, 2);
	op[1].next = &op[2];
	op[2].next = &op[3];
	assert_int_equal(n_ran, 0);
	assert_true(tvq_switch_busy(sw));
	for (unsigned int i = 0; i < 4; i++) {
		running = &worker;
		tvq_exec_poll(&worker);
		assert_int_equal(n_done, i ? 1 + i : 0);
		assert_int_equal(n_idle, i >= 2);
		running = &control;
		tvq_exec_poll(&control);
	}
	assert_int_equal(n_ran, 4);
	for (unsigned int i = 0; i < 4; i++) {
		assert_int_equal(ran[i], i);
		assert_int_equal(done[i], i);
	}
	assert_int_equal(n_idle, 1);
	assert_false(tvq_switch_busy(sw));
	tvq_switch_free(sw);
	tvq_exec_fini(&worker);
	tvq_exec_fini(&control);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SL_TEST(an_address_has_one_port_at_a_time),
		SL_TEST(ports_are_listed_in_the_order_of_numbers_that_never_come_again),
		SL_TEST(numbers_come_again_once_all_have_been_given_out),
		SL_TEST(a_port_says_what_it_was_told),
		SL_TEST(thousands_of_ports_come_and_go),
		SL_TEST(each_switch_hashes_in_a_way_of_its_own),
		SL_TEST(lack_of_memory_leaves_the_switch_as_it_was),
		SL_TEST(ops_run_on_the_worker_and_end_on_control_in_their_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
