/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Network devices under random changes: frames go between them while they are created, destroyed,
 * reset, broken, stopped, limited and filtered. Every frame that comes is one that was sent, whole,
 * once, and in its sender's order; in the end everything works. The seed of a run is in its
 * message.
 */
#include "net_lab.h"

#define DEVICES 5
#define STEPS	2500
#define BURST	8

struct member {
	struct nl_dev d;
	bool link, enabled;
	uint32_t sent;		 /* of its frames, in all its lives */
	uint32_t heard[DEVICES]; /* the last number that it got of each other one */
	uint32_t incarnation;	 /* told in frames: numbers begin anew with each */
	uint32_t heard_inc[DEVICES];
};

static struct member m[DEVICES];
static struct dl l;
static const struct nl_variant *variant;
static uint32_t rnd_state, n_received;

static uint32_t rnd(uint32_t below)
{
	rnd_state = rnd_state * 1664525 + 1013904223;
	return (rnd_state >> 8) % below;
}

/* ---- frames ---- */

struct body {
	uint32_t from, incarnation, number, len;
};

#define BODY_AT 16

static uint32_t make(uint8_t *f, const uint8_t *to, uint32_t from)
{
	struct body b = { .from = from,
			  .incarnation = m[from].incarnation,
			  .number = ++m[from].sent,
			  .len = 60 + rnd(1455) };

	nl_ether(f, to, m[from].d.mac, NL_TYPE, b.len, b.number * 8 + from);
	memcpy(f + BODY_AT, &b, sizeof(b));
	return b.len;
}

static void judge(uint32_t to, const uint8_t *f, uint32_t len)
{
	static uint8_t expected[2048];
	struct body b;

	memcpy(&b, f + BODY_AT, sizeof(b));
	assert_true(b.from < DEVICES && b.from != to && len == b.len);
	nl_ether(expected, f, f + 6, NL_TYPE, len, b.number * 8 + b.from);
	memcpy(expected + BODY_AT, &b, sizeof(b));
	assert_memory_equal(f, expected, len);
	if (b.incarnation != m[to].heard_inc[b.from]) {
		assert_true(b.incarnation > m[to].heard_inc[b.from]);
		m[to].heard_inc[b.from] = b.incarnation;
		m[to].heard[b.from] = 0;
	}
	assert_true(b.number > m[to].heard[b.from]);
	m[to].heard[b.from] = b.number;
	n_received++;
}

/* What nobody sent is not for judge(): announcements. */
static bool is_rarp(const uint8_t *f)
{
	return f[12] == 0x80 && f[13] == 0x35;
}

static void receive(uint32_t i)
{
	while (nl_poll(&m[i].d, 0))
		if (!is_rarp(m[i].d.got.data))
			judge(i, m[i].d.got.data, m[i].d.got.len);
}

static void reap(uint32_t i)
{
	struct tvq_net_frame *f[16];

	while (tvq_net_sent(m[i].d.net, 0, f, 16))
		;
}

static void send_some(uint32_t i)
{
	struct tvq_net_frame *f[BURST];
	static uint8_t buf[2048];
	uint32_t n = 1 + rnd(BURST);

	reap(i);
	if (tvq_net_sending(m[i].d.net, 0) + n > NL_SLOTS / 2)
		return;
	for (uint32_t k = 0; k < n; k++) {
		uint32_t j = rnd(DEVICES);
		uint32_t len = make(buf, rnd(3) ? m[j].d.mac : nl_everybody, i);

		f[k] = nl_put(&m[i].d, NULL, buf, len);
	}
	assert_int_equal(tvq_net_send(m[i].d.net, 0, f, n), n);
}

/* ---- changes ---- */

static void drive(uint32_t i)
{
	struct tvq_net_cfg cfg = {
		.packed = variant->packed,
		.queue_size = 64,
		.features = rnd(2) ? 0 : F(MAC) | F(CTRL_VQ) | F(CTRL_RX),
		.buffer_size = rnd(2) ? 0 : 1526 + rnd(500),
	};

	nl_drive(&m[i].d, &l, m[i].d.id, &cfg);
	m[i].incarnation++;
	m[i].enabled = true;
}

static void undrive(uint32_t i)
{
	receive(i);
	nl_dev_down(&m[i].d);
}

static void set_link(uint32_t i, bool up)
{
	m[i].link = up;
	assert_int_equal(tvq_device_set_link(tvq_inproc_device(l.bus), m[i].d.id, up), 0);
}

static void set_rate(struct tvq_port *p, void *arg)
{
	assert_int_equal(tvq_port_set_rate(p, arg), 0);
}

static void limit(uint32_t i, uint64_t packets)
{
	struct tvq_port_rate rate = { .packets = packets };

	nl_on_port(&l, m[i].d.id, set_rate, &rate);
}

static void enable(uint32_t i, uint8_t on)
{
	struct tvq_seq *s = tvq_seq_new(l.client, m[i].d.id);

	tvq_seq_vq_enable(s, 0, on);
	tvq_seq_vq_enable(s, 1, on);
	assert_int_equal(tvq_seq_call(s), 0);
	m[i].enabled = on;
}

static void change(uint32_t i)
{
	uint8_t on = (uint8_t)rnd(2);

	switch (rnd(12)) {
	case 0: /* another device */
		undrive(i);
		assert_int_equal(dl_destroy(l.client, m[i].d.id), 0);
		m[i].d.id = nl_create(l.client, 0, NULL);
		m[i].link = true;
		drive(i);
		break;
	case 1:
		undrive(i);
		drive(i);
		break;
	case 2:
		assert_int_equal(tvq_device_break(tvq_inproc_device(l.bus), m[i].d.id, "the test"),
				 0);
		dl_turns(&l, rnd(4));
		undrive(i);
		drive(i);
		break;
	case 3:
	case 4:
		set_link(i, !m[i].link);
		break;
	case 5:
	case 6:
		enable(i, !m[i].enabled);
		break;
	case 7:
		limit(i, rnd(2) ? 0 : 20000);
		break;
	case 8:
		assert_int_equal(tvq_device_announce(tvq_inproc_device(l.bus), m[i].d.id), 0);
		break;
	default:
		assert_int_equal(
			tvq_net_ctrl(m[i].d.net, VIRTIO_NET_CTRL_RX, (uint8_t)rnd(2), &on, 1), 0);
	}
}

static void settle(void)
{
	for (uint32_t i = 0; i < DEVICES; i++) {
		uint8_t on = 1;

		limit(i, 0);
		if (!m[i].link)
			set_link(i, true);
		if (!m[i].enabled)
			enable(i, 1);
		assert_int_equal(tvq_net_ctrl(m[i].d.net, VIRTIO_NET_CTRL_RX,
					      VIRTIO_NET_CTRL_RX_PROMISC, &on, 1),
				 0);
	}
	for (uint32_t i = 0; i < DEVICES; i++)
		nl_sent(&m[i].d, 0);
	for (uint32_t i = 0; i < DEVICES; i++) {
		(void)nl_info(&m[i].d);
		receive(i);
	}
}

static void run(uint32_t seed)
{
	uint32_t before = n_received;

	print_message("# seed %u, packed %d, workers %u\n", seed, variant->packed,
		      variant->workers);
	rnd_state = seed;
	memset(m, 0, sizeof(m));
	dl_up(&l, variant->workers, NULL);
	tvq_os_host_log_level((enum tvq_log_level) - 1);
	for (uint32_t i = 0; i < DEVICES; i++) {
		m[i].d.id = nl_create(l.client, 0, NULL);
		m[i].link = true;
		drive(i);
	}
	for (int step = 0; step < STEPS; step++) {
		uint32_t i = rnd(DEVICES);

		if (rnd(3))
			send_some(i);
		receive(rnd(DEVICES));
		dl_turns(&l, rnd(3));
		if (!rnd(12))
			change(rnd(DEVICES));
		assert_false(tvq_net_broken(m[i].d.net));
	}
	settle();
	assert_true(n_received - before > STEPS / 2);
	for (uint32_t i = 0; i < DEVICES; i++) {
		nl_passes(&m[i].d, &m[(i + 1) % DEVICES].d, 100, i);
		assert_int_equal(dl_status(l.client, m[i].d.id), DL_DRIVER_OK);
	}
	for (uint32_t i = 0; i < DEVICES; i++)
		nl_dev_down(&m[i].d);
	tvq_os_host_log_level(TVQ_LOG_ERR);
	dl_down(&l);
}

/* TQ-141, TQ-054, TQ-066, TQ-096 */
static void frames_stay_whole_and_in_order_whatever_becomes_of_the_devices(void **state)
{
	(void)state;
	for (uint32_t seed = 1; seed <= 2; seed++)
		for (variant = nl_variants; variant < NL_VARIANTS_END; variant++)
			run(seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_stay_whole_and_in_order_whatever_becomes_of_the_devices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
