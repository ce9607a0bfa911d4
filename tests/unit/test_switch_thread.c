// SPDX-License-Identifier: BSD-3-Clause
/*
 * A switch whose worker is a thread of its own: frames pass without pause while the control
 * executor has ports made, changed, listed and deleted there.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <tvq/loop.h>
#include <tvq/switch.h>

static const uint8_t sink_mac[6] = { 2, 0, 0, 0, 0, 1 };
static const uint8_t source_mac[6] = { 2, 0, 0, 0, 0, 2 };

struct lab {
	struct tvq_loop *control, *worker;
	struct tvq_switch *sw;
	struct tvq_port *sink, *source;
};

/* What an op does on the worker; what it found is the test's when it is done. */
struct work {
	struct tvq_switch_op op;
	void (*fn)(struct work *w);
	struct lab *lab;
	bool done;
	unsigned int round, n_ports;
	struct tvq_port_info sink;
};

static void work_run(struct tvq_switch_op *op)
{
	struct work *w = (struct work *)op;

	w->fn(w);
}

static void work_done(struct tvq_switch_op *op)
{
	((struct work *)op)->done = true;
}

static void do_work(struct lab *lab, struct work *w, void (*fn)(struct work *w))
{
	w->op.run = work_run;
	w->op.done = work_done;
	w->lab = lab;
	w->fn = fn;
	w->done = false;
	tvq_switch_run(lab->sw, &w->op);
	assert_false(w->done);
	while (!w->done)
		tvq_loop_turn(lab->control, true);
}

static void make(struct work *w)
{
	int err;

	w->lab->sink = tvq_sink_new(w->lab->sw, sink_mac, &err);
	w->lab->source = tvq_source_new(w->lab->sw, source_mac, sink_mac, 60, &err);
}

static void unmake(struct work *w)
{
	tvq_measure_free(w->lab->source);
	tvq_measure_free(w->lab->sink);
}

static void ignore(struct tvq_port *p, const struct tvq_frame *const *f, unsigned int n)
{
	(void)p;
	(void)f;
	(void)n;
}

static const struct tvq_port_ops ignore_ops = { .receive = ignore };

/* Ports come, learn and go around those two. */
static void change(struct work *w)
{
	struct tvq_port_cfg cfg = { .ops = &ignore_ops, .mtu = 1500 };
	uint8_t data[48] = { 8, 0 };
	struct tvq_seg seg = { .va = data, .len = sizeof(data) };
	struct tvq_frame frame = { .n_seg = 1, .seg = &seg, .len = sizeof(data) };
	struct tvq_frame *f = &frame;
	struct tvq_port *ports[20];
	uint32_t number = 0;
	int err;

	for (unsigned int i = 0; i < 20; i++)
		ports[i] = tvq_port_add(w->lab->sw, &cfg, NULL, &err);
	memset(frame.mac, 0xff, 6);
	frame.mac[6] = 2;
	for (unsigned int i = 0; i < 200; i++) {
		frame.mac[11] = (uint8_t)i;
		frame.mac[10] = 9;
		tvq_switch_forward(ports[i % 20], &f, 1);
	}
	tvq_switch_flush(w->lab->sw);
	for (struct tvq_port *p; (p = tvq_switch_next_port(w->lab->sw, number));) {
		struct tvq_port_info info;

		tvq_port_info(p, &info);
		number = info.number;
		w->n_ports++;
	}
	tvq_port_info(w->lab->sink, &w->sink);
	for (unsigned int i = w->round % 2; i < 20; i++)
		tvq_port_del(ports[i]);
	if (w->round % 2)
		tvq_port_del(ports[0]);
}

static void ports_come_and_go_while_frames_pass(void **state)
{
	const struct tvq_loop_cfg control_cfg = { .cpu = -1, .name = "control" };
	const struct tvq_loop_cfg worker_cfg = { .poll_ns = 1000, .cpu = -1, .name = "worker" };
	struct lab lab = { 0 };
	struct work w = { 0 };
	uint64_t last = 0;
	int err;

	(void)state;
	lab.control = tvq_loop_new(&control_cfg, &err);
	lab.worker = tvq_loop_new(&worker_cfg, &err);
	assert_non_null(lab.control);
	assert_non_null(lab.worker);
	lab.sw =
		tvq_switch_new(&tvq_os_host, tvq_loop_exec(lab.control), tvq_loop_exec(lab.worker));
	assert_non_null(lab.sw);
	assert_int_equal(tvq_loop_start(lab.worker), 0);
	do_work(&lab, &w, make);
	assert_non_null(lab.sink);
	assert_non_null(lab.source);
	for (w.round = 0; w.round < 500; w.round++) {
		w.n_ports = 0;
		do_work(&lab, &w, change);
		assert_int_equal(w.n_ports, 22);
		assert_true(w.sink.stats.rx_packets >= last);
		last = w.sink.stats.rx_packets;
	}
	/* 200 broadcasts in each round, and more from the source. */
	assert_true(last > 500 * 200);
	do_work(&lab, &w, unmake);
	assert_false(tvq_switch_busy(lab.sw));
	tvq_loop_stop(lab.worker);
	tvq_loop_join(lab.worker);
	tvq_switch_free(lab.sw);
	tvq_loop_free(lab.worker);
	tvq_loop_free(lab.control);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ports_come_and_go_while_frames_pass),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
