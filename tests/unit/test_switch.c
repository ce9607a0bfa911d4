// SPDX-License-Identifier: BSD-3-Clause
/* The switch (src/switch): where frames go, in which order, and what is counted. */
#include "switch_lab.h"

/* TQ-141 */
static void unicast_reaches_the_port_that_has_the_address_and_no_other(void **state)
{
	struct sl_port *a = sl_add(1), *b = sl_add(2), *c = sl_add(3), *up = sl_add(0);

	(void)state;
	sl_one(a, sl_mac(2), sl_mac(1), 10);
	sl_expect(b, "10");
	sl_expect(a, "");
	sl_expect(c, "");
	sl_expect(up, "");
	sl_one(up, sl_mac(3), sl_mac(77), 11);
	sl_expect(c, "11");
	sl_expect(a, "");
	sl_expect(b, "");
}

static void broadcast_reaches_all_but_its_sender(void **state)
{
	struct sl_port *a = sl_add(1), *b = sl_add(2), *up = sl_add(0);

	(void)state;
	sl_one(a, sl_all, sl_mac(1), 1);
	sl_expect(a, "");
	sl_expect(b, "1");
	sl_expect(up, "1");
}

static void no_frame_goes_back_to_the_port_that_it_came_from(void **state)
{
	struct sl_port *a = sl_add(1), *b = sl_add(2), *up = sl_add(0);
	struct sl_batch batch = { 0 };

	(void)state;
	sl_one(a, sl_mac(1), sl_mac(1), 1);
	/* One that was learned at the uplink, alone and among others. */
	sl_one(up, sl_mac(2), sl_mac(50), 2);
	sl_one(up, sl_mac(50), sl_mac(51), 3);
	sl_put(&batch, sl_mac(50), sl_mac(51), 4);
	sl_put(&batch, sl_mac(2), sl_mac(51), 5);
	sl_send(up, &batch);
	sl_expect(up, "");
	sl_expect(a, "");
	sl_expect(b, "2 5");
}

static void unknown_unicast_is_flooded_to_ports_that_learn_or_are_promiscuous(void **state)
{
	struct sl_port *a = sl_add(1), *deaf = sl_add(2), *promisc = sl_add(3);
	struct sl_port *trusted = sl_add_trusted(4), *up = sl_add(0), *alluni = sl_add(5);
	struct sl_port *listing = sl_add(6), *nouni = sl_add(7);
	struct tvq_port_filter filter = { 0 };

	(void)state;
	assert_int_equal(tvq_port_set_filter(deaf->port, &filter), 0);
	assert_int_equal(tvq_port_set_filter(trusted->port, &filter), 0);
	filter.promisc = true;
	filter.nouni = true;
	assert_int_equal(tvq_port_set_filter(promisc->port, &filter), 0);
	filter = (struct tvq_port_filter){ .alluni = true };
	assert_int_equal(tvq_port_set_filter(alluni->port, &filter), 0);
	filter = (struct tvq_port_filter){ .alluni = true, .nouni = true };
	assert_int_equal(tvq_port_set_filter(nouni->port, &filter), 0);
	filter = (struct tvq_port_filter){ .n_unicast = 2 };
	memcpy(filter.mac[0], sl_mac(98), 6);
	memcpy(filter.mac[1], sl_mac(99), 6);
	assert_int_equal(tvq_port_set_filter(listing->port, &filter), 0);

	sl_one(a, sl_mac(99), sl_mac(1), 1);
	sl_one(a, sl_mac(97), sl_mac(1), 2);
	sl_expect(deaf, "");
	sl_expect(nouni, "");
	sl_expect(promisc, "1 2");
	sl_expect(trusted, "1 2");
	sl_expect(up, "1 2");
	sl_expect(alluni, "1 2");
	sl_expect(listing, "1");
}

static void a_promiscuous_port_does_not_get_what_is_for_another_one(void **state)
{
	struct sl_port *a = sl_add(1), *b = sl_add(2), *spy = sl_add(3), *up = sl_add(0);
	struct tvq_port_filter filter = { .promisc = true, .n_unicast = 1 };

	(void)state;
	memcpy(filter.mac[0], sl_mac(2), 6);
	assert_int_equal(tvq_port_set_filter(spy->port, &filter), 0);
	sl_one(up, sl_all, sl_mac(50), 1);
	sl_one(a, sl_mac(2), sl_mac(1), 2);
	sl_one(a, sl_mac(50), sl_mac(1), 3);
	sl_expect(spy, "1");
	sl_expect(b, "1 2");
	sl_expect(up, "3");
}

/* A table of wanted addresses is no claim to what is another's. */
static void a_listed_address_is_not_taken_from_the_port_where_it_was_learned(void **state)
{
	struct sl_port *a = sl_add(1), *thief = sl_add(2), *up = sl_add(0);
	struct tvq_port_filter filter = { .n_unicast = 1 };

	(void)state;
	memcpy(filter.mac[0], sl_mac(50), 6);
	assert_int_equal(tvq_port_set_filter(thief->port, &filter), 0);
	sl_one(up, sl_mac(1), sl_mac(50), 1);
	sl_one(a, sl_mac(50), sl_mac(1), 2);
	sl_expect(thief, "");
	sl_expect(up, "2");
	sl_expect(a, "1");
	assert_int_equal(sl_drops(up, TVQ_DROP_SPOOFED), 0);
}

static void groups_pass_as_the_filter_says(void **state)
{
	static const struct {
		struct tvq_port_filter filter;
		const char *ids;
	} cases[] = {
		/* 1: a listed group, 2: another, 3: broadcast, 4: its own address */
		{ { 0 }, "3 4" },
		{ { .allmulti = true }, "1 2 3 4" },
		{ { .n_multicast = 1 }, "1 3 4" },
		{ { .n_multicast = 1, .nomulti = true }, "3 4" },
		{ { .allmulti = true, .nomulti = true }, "3 4" },
		{ { .allmulti = true, .nobcast = true }, "1 2 4" },
		{ { .nouni = true }, "3" },
		{ { .nouni = true, .nobcast = true, .allmulti = true }, "1 2" },
		{ { .promisc = true, .nomulti = true, .nobcast = true, .nouni = true }, "1 2 3 4" },
	};
	struct sl_port *a = sl_add(1), *b = sl_add(2);

	(void)state;
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct tvq_port_filter filter = cases[i].filter;
		struct sl_batch batch = { 0 };

		memcpy(filter.mac[0], sl_group(1), 6);
		assert_int_equal(tvq_port_set_filter(b->port, &filter), 0);
		sl_put(&batch, sl_group(1), sl_mac(1), 1);
		sl_put(&batch, sl_group(2), sl_mac(1), 2);
		sl_put(&batch, sl_all, sl_mac(1), 3);
		sl_put(&batch, sl_mac(2), sl_mac(1), 4);
		sl_send(a, &batch);
		sl_expect(b, cases[i].ids);
	}
	assert_int_equal(tvq_port_set_filter(b->port, NULL), 0);
	sl_one(a, sl_group(9), sl_mac(1), 9);
	sl_expect(b, "9");
}

static void a_full_table_of_groups_tells_each_of_them_from_others(void **state)
{
	struct sl_port *a = sl_add(1), *b = sl_add(2);
	struct tvq_port_filter filter = { .n_multicast = TVQ_FILTER_MACS };

	(void)state;
	for (unsigned int i = 0; i < TVQ_FILTER_MACS; i++)
		memcpy(filter.mac[i], sl_group(2 * i), 6);
	assert_int_equal(tvq_port_set_filter(b->port, &filter), 0);
	for (unsigned int i = 0; i < 4 * TVQ_FILTER_MACS; i++) {
		sl_one(a, sl_group(i), sl_mac(1), i);
		assert_int_equal(b->n_got, i < 2 * TVQ_FILTER_MACS && i % 2 == 0);
		b->n_got = 0;
	}
	filter.n_unicast = 1;
	assert_int_equal(tvq_port_set_filter(b->port, &filter), -EINVAL);
	filter.n_unicast = UINT16_MAX;
	filter.n_multicast = 2;
	assert_int_equal(tvq_port_set_filter(b->port, &filter), -EINVAL);
	/* Nothing has changed. */
	sl_one(a, sl_group(2), sl_mac(1), 1);
	sl_one(a, sl_group(3), sl_mac(1), 2);
	sl_expect(b, "1");
}

/* TQ-141 */
static void a_source_that_is_not_the_ports_own_is_dropped_as_spoofed(void **state)
{
	struct sl_port *a = sl_add(1), *b = sl_add(2), *up = sl_add(0);
	struct tvq_port_filter filter = { .n_unicast = 1 };
	struct sl_batch batch = { 0 };

	(void)state;
	/* Not one of its filter's either. */
	memcpy(filter.mac[0], sl_mac(9), 6);
	assert_int_equal(tvq_port_set_filter(a->port, &filter), 0);
	sl_put(&batch, sl_mac(2), sl_mac(2), 1);
	sl_put(&batch, sl_mac(2), sl_mac(9), 2);
	sl_put(&batch, sl_mac(2), sl_mac(1), 3);
	sl_put(&batch, sl_all, sl_all, 4);
	sl_put(&batch, sl_mac(2), sl_mac(0), 5);
	sl_send(a, &batch);
	sl_expect(b, "3");
	sl_expect(up, "");
	assert_int_equal(sl_drops(a, TVQ_DROP_SPOOFED), 4);
	assert_int_equal(sl_info(a).stats.tx_packets, 1);
	assert_int_equal(sl_where(sl_mac(9), 0), 0);
}

/* TQ-141 */
static void without_the_check_a_source_may_be_any_that_no_port_owns(void **state)
{
	struct sl_port *a = sl_add_trusted(1), *b = sl_add(2), *up = sl_add(0);
	struct sl_batch batch = { 0 };

	(void)state;
	for (unsigned int round = 0; round < 2; round++) {
		struct sl_port *from = round ? up : a;

		sl_one(from, sl_mac(2), sl_mac(0), 0);
		sl_put(&batch, sl_mac(2), sl_mac(round ? 70 : 1), 1);
		sl_put(&batch, sl_mac(2), sl_mac(71), 2);
		sl_put(&batch, sl_mac(2), sl_mac(2), 3);
		sl_put(&batch, sl_mac(2), sl_mac(2), 4);
		sl_put(&batch, sl_mac(2), sl_group(1), 5);
		sl_put(&batch, sl_mac(2), sl_all, 6);
		sl_put(&batch, sl_mac(2), sl_mac(0), 7);
		sl_put(&batch, sl_mac(2), sl_mac(72), 8);
		sl_send(from, &batch);
		sl_expect(b, "1 2 8");
		assert_int_equal(sl_drops(from, TVQ_DROP_SPOOFED), 6);
	}
	/* The uplink cannot send from the trusted port's address either. */
	sl_one(up, sl_mac(2), sl_mac(1), 9);
	sl_expect(b, "");
	assert_int_equal(sl_drops(up, TVQ_DROP_SPOOFED), 7);
}

static void the_source_check_is_changed_while_frames_pass(void **state)
{
	struct sl_port *a = sl_add(1), *b = sl_add(2), *up = sl_add(0);

	(void)state;
	assert_true(sl_info(a).spoofchk);
	assert_false(sl_info(up).spoofchk);
	sl_one(a, sl_mac(2), sl_mac(9), 1);
	tvq_port_set_spoofchk(a->port, false);
	assert_false(sl_info(a).spoofchk);
	sl_one(a, sl_mac(2), sl_mac(9), 2);
	assert_int_equal(sl_where(sl_mac(9), 0), sl_number(a));
	tvq_port_set_spoofchk(a->port, true);
	assert_int_equal(sl_where(sl_mac(9), 0), 0);
	sl_one(a, sl_mac(2), sl_mac(9), 3);
	sl_expect(b, "2");
	/* An uplink has no address to be held to. */
	tvq_port_set_spoofchk(up->port, true);
	sl_one(up, sl_mac(2), sl_mac(9), 4);
	sl_expect(b, "4");
}

static void each_port_gets_its_frames_of_a_batch_in_their_order(void **state)
{
	struct sl_port *a = sl_add(1), *b = sl_add(2), *c = sl_add(3);
	struct sl_batch batch = { 0 };

	(void)state;
	sl_put(&batch, sl_mac(2), sl_mac(1), 1);
	sl_put(&batch, sl_mac(3), sl_mac(1), 2);
	sl_put(&batch, sl_mac(2), sl_mac(1), 3);
	sl_put(&batch, sl_all, sl_mac(1), 4);
	sl_put(&batch, sl_mac(99), sl_mac(1), 5);
	sl_put(&batch, sl_mac(3), sl_mac(1), 6);
	sl_put(&batch, sl_mac(2), sl_mac(1), 7);
	sl_put(&batch, sl_mac(3), sl_mac(1), 8);
	sl_put(&batch, sl_all, sl_mac(1), 9);
	sl_send(a, &batch);
	sl_expect(b, "1 3 4 5 7 9");
	sl_expect(c, "2 4 5 6 8 9");
}

static void frames_of_a_batch_to_one_port_are_delivered_together(void **state)
{
	struct sl_port *a = sl_add(1), *b = sl_add(2), *c = sl_add(3);
	struct sl_batch batch = { 0 };

	(void)state;
	for (unsigned int i = 0; i < TVQ_SWITCH_BATCH; i++)
		sl_put(&batch, sl_mac(2), sl_mac(1), i);
	sl_send(a, &batch);
	assert_int_equal(b->receives, 1);
	assert_int_equal(b->n_got, TVQ_SWITCH_BATCH);
	assert_int_equal(b->flushes, 1);
	for (unsigned int i = 0; i < TVQ_SWITCH_BATCH; i++)
		sl_put(&batch, sl_mac(2 + i % 2), sl_mac(1), i);
	sl_send(a, &batch);
	assert_int_equal(b->receives, 2);
	assert_int_equal(c->receives, 1);
	assert_int_equal(c->n_got, TVQ_SWITCH_BATCH / 2);
	assert_int_equal(b->flushes, 2);
	assert_int_equal(c->flushes, 1);
	assert_int_equal(a->flushes, 0);
}

static void flush_is_called_once_for_what_several_batches_delivered(void **state)
{
	struct sl_port *a = sl_add(1), *b = sl_add(2), *c = sl_add(3), *d;
	struct sl_batch batch = { 0 };
	struct tvq_frame *f = sl_put(&batch, sl_mac(2), sl_mac(1), 1);

	(void)state;
	tvq_switch_forward(a->port, &f, 1);
	tvq_switch_forward(a->port, &f, 1);
	tvq_switch_forward(a->port, &f, 0);
	assert_int_equal(b->flushes, 0);
	tvq_switch_flush(sl.sw);
	tvq_switch_flush(sl.sw);
	assert_int_equal(b->flushes, 1);
	assert_int_equal(c->flushes, 0);
	/* Those that go meanwhile are not called. */
	d = sl_add(4);
	memcpy(f->mac, sl_all, 6);
	tvq_switch_forward(a->port, &f, 1);
	tvq_port_del(c->port);
	c->port = NULL;
	tvq_port_del(b->port);
	b->port = NULL;
	tvq_switch_flush(sl.sw);
	assert_int_equal(b->flushes, 1);
	assert_int_equal(c->flushes, 0);
	assert_int_equal(d->flushes, 1);
}

static void a_port_may_be_deleted_by_the_flush_of_another(void **state)
{
	struct sl_port *a = sl_add(1), *b = sl_add(2), *c = sl_add(3), *d = sl_add(4);
	struct sl_batch batch = { 0 };
	struct tvq_frame *f = sl_put(&batch, sl_all, sl_mac(1), 1);

	(void)state;
	b->del_in_flush = c->del_in_flush = d->del_in_flush = c;
	tvq_switch_forward(a->port, &f, 1);
	tvq_switch_flush(sl.sw);
	assert_null(c->port);
	assert_int_equal(b->flushes, 1);
	assert_int_equal(d->flushes, 1);
	tvq_switch_forward(a->port, &f, 1);
	tvq_switch_flush(sl.sw);
	assert_int_equal(b->flushes, 2);
	assert_int_equal(d->flushes, 2);
	assert_in_range(c->flushes, 0, 1);
}

static void frames_above_the_mtu_are_dropped_on_both_sides(void **state)
{
	struct sl_port *a = sl_add(1), *b = sl_add(2), *c = sl_add(3);
	struct sl_batch batch = { 0 };

	(void)state;
	assert_int_equal(tvq_port_set_mtu(a->port, 9000), 0);
	assert_int_equal(tvq_port_set_mtu(c->port, 9000), 0);
	sl_put(&batch, sl_all, sl_mac(1), 1)->len = 1502;
	sl_put(&batch, sl_all, sl_mac(1), 2)->len = 1503;
	sl_put(&batch, sl_mac(2), sl_mac(1), 3)->len = 1503;
	sl_put(&batch, sl_all, sl_mac(1), 4)->len = 9002;
	sl_put(&batch, sl_all, sl_mac(1), 5)->len = 9003;
	/* The tag does not count. */
	sl_tag(sl_put(&batch, sl_mac(2), sl_mac(1), 6), 5);
	batch.frame[5].len = 1502;
	/* Not even an EtherType. */
	sl_put(&batch, sl_mac(3), sl_mac(1), 7)->len = 1;
	sl_put(&batch, sl_mac(3), sl_mac(1), 8)->len = 0;
	sl_put(&batch, sl_mac(3), sl_mac(1), 9)->len = UINT32_MAX;
	sl_put(&batch, sl_mac(3), sl_mac(1), 10)->len = 2;
	sl_send(a, &batch);
	sl_expect(b, "1 6");
	sl_expect(c, "1 2 4 10");
	assert_int_equal(sl_drops(a, TVQ_DROP_TOO_LONG), 2);
	assert_int_equal(sl_drops(a, TVQ_DROP_HEADER), 2);
	assert_int_equal(sl_drops(b, TVQ_DROP_RX_LONG), 3);
	assert_int_equal(sl_drops(c, TVQ_DROP_RX_LONG), 0);
	assert_int_equal(tvq_port_set_mtu(a->port, 67), -EINVAL);
	assert_int_equal(tvq_port_set_mtu(a->port, TVQ_MTU_MAX + 1), -EINVAL);
	assert_int_equal(sl_info(a).mtu, 9000);
	assert_int_equal(tvq_port_set_mtu(a->port, TVQ_MTU_MIN), 0);
	sl_put(&batch, sl_mac(2), sl_mac(1), 11)->len = 70;
	sl_put(&batch, sl_mac(2), sl_mac(1), 12)->len = 71;
	sl_send(a, &batch);
	sl_expect(b, "11");
}

/* Segments of a long frame count, not the frame. */
static void the_mtu_holds_for_the_segments_of_a_gso_frame(void **state)
{
	struct sl_port *a = sl_add(1), *b = sl_add(2);
	struct sl_batch batch = { 0 };
	static const struct {
		uint32_t len;
		uint16_t size, start;
		uint8_t type;
		bool passes;
	} cases[] = {
		{ 60000, 1460, 22, VIRTIO_NET_HDR_GSO_TCPV4, true },
		{ 60000, 1461, 22, VIRTIO_NET_HDR_GSO_TCPV4, false },
		{ 60000, 1440, 42, VIRTIO_NET_HDR_GSO_TCPV6, true },
		{ 60000, 1441, 42, VIRTIO_NET_HDR_GSO_TCPV6 | VIRTIO_NET_HDR_GSO_ECN, false },
		{ 60000, 1440, 22, VIRTIO_NET_HDR_GSO_NONE, false },
		{ 60000, 65535, 65535, VIRTIO_NET_HDR_GSO_TCPV4, false },
		{ 60000, 1480, 0, VIRTIO_NET_HDR_GSO_TCPV4, true },
		{ 60000, 1481, 1, VIRTIO_NET_HDR_GSO_TCPV4, false },
		/* It fits as it is. */
		{ 1502, 9000, 22, VIRTIO_NET_HDR_GSO_TCPV4, true },
		/* No IP packet is longer than that. */
		{ 2 + 40 + 65535, 1440, 42, VIRTIO_NET_HDR_GSO_TCPV6, true },
		{ 2 + 40 + 65535 + 1, 1440, 42, VIRTIO_NET_HDR_GSO_TCPV6, false },
	};
	const unsigned int n = sizeof(cases) / sizeof(cases[0]);

	(void)state;
	for (unsigned int round = 0; round < 2; round++) {
		char ids[64] = "";
		uint64_t failed = 0;

		/* In the second round it is the receiver's. */
		if (round)
			assert_int_equal(tvq_port_set_mtu(a->port, TVQ_MTU_MAX), 0);
		for (unsigned int i = 0; i < n; i++) {
			struct tvq_frame *f = sl_put(&batch, sl_mac(2), sl_mac(1), i);

			f->len = cases[i].len;
			f->gso_size = cases[i].size;
			f->gso_type = cases[i].type;
			f->csum_start = cases[i].start;
			failed += !cases[i].passes;
			if (cases[i].passes)
				snprintf(ids + strlen(ids), sizeof(ids) - strlen(ids), "%s%u",
					 *ids ? " " : "", i);
		}
		sl_send(a, &batch);
		sl_expect(b, ids);
		if (!round)
			assert_int_equal(sl_drops(a, TVQ_DROP_TOO_LONG), failed);
		else
			assert_int_equal(sl_drops(b, TVQ_DROP_RX_LONG) +
						 sl_drops(a, TVQ_DROP_TOO_LONG),
					 2 * failed);
	}
}

static void a_port_whose_link_is_down_neither_sends_nor_receives(void **state)
{
	struct sl_port *a = sl_add(1), *b = sl_add(2), *up = sl_add(0);
	struct sl_batch batch = { 0 };

	(void)state;
	sl_one(up, sl_mac(1), sl_mac(50), 1);
	sl_expect(a, "1");
	tvq_port_set_link(b->port, false);
	assert_false(sl_info(b).link);
	assert_int_equal(tvq_port_may_send(b->port, 64), 0);
	sl_one(b, sl_mac(1), sl_mac(2), 2);
	assert_int_equal(sl_drops(b, TVQ_DROP_LINK), 1);
	assert_int_equal(sl_info(b).stats.tx_packets, 0);
	sl_put(&batch, sl_mac(2), sl_mac(1), 3);
	sl_put(&batch, sl_all, sl_mac(1), 4);
	sl_send(a, &batch);
	sl_one(a, sl_mac(2), sl_mac(1), 5);
	sl_put(&batch, sl_mac(2), sl_mac(1), 6);
	sl_put(&batch, sl_mac(50), sl_mac(1), 7);
	sl_send(a, &batch);
	sl_expect(a, "");
	sl_expect(b, "");
	sl_expect(up, "4 7");
	/* Its address remains its own. */
	sl_one(up, sl_mac(1), sl_mac(2), 8);
	assert_int_equal(sl_drops(up, TVQ_DROP_SPOOFED), 1);
	/* What was learned at a port goes with the link. */
	tvq_port_set_link(up->port, false);
	assert_int_equal(sl_where(sl_mac(50), 0), 0);

	assert_int_equal(b->feeds, 0);
	tvq_port_set_link(b->port, true);
	tvq_port_set_link(b->port, true);
	assert_int_equal(b->feeds, 1);
	assert_int_equal(tvq_port_may_send(b->port, 64), 64);
	sl_one(b, sl_mac(1), sl_mac(2), 9);
	sl_one(a, sl_mac(2), sl_mac(1), 10);
	sl_expect(a, "9");
	sl_expect(b, "10");
}

static void frames_and_bytes_are_counted_without_virtio_headers(void **state)
{
	struct sl_port *a = sl_add(1), *b = sl_add(2);
	struct tvq_port_vlan access = { .mode = TVQ_VLAN_ACCESS, .pvid = 7 };
	struct sl_batch batch = { 0 };

	(void)state;
	assert_int_equal(tvq_port_set_vlan(b->port, &access), 0);
	sl_tag(sl_put(&batch, sl_mac(2), sl_mac(1), 1), 7);
	sl_tag(sl_put(&batch, sl_mac(2), sl_mac(1), 2), 7);
	batch.frame[1].len = 1502;
	/* To nobody. */
	sl_put(&batch, sl_mac(2), sl_mac(1), 3);
	sl_send(a, &batch);
	assert_int_equal(sl_info(a).stats.tx_packets, 3);
	assert_int_equal(sl_info(a).stats.tx_bytes, 64 + 1518 + 60);
	assert_int_equal(sl_info(a).stats.rx_packets, 0);
	assert_int_equal(sl_info(b).stats.rx_packets, 2);
	assert_int_equal(sl_info(b).stats.rx_bytes, 60 + 1514);
	assert_int_equal(sl_info(b).stats.tx_packets, 0);
	tvq_port_drop(b->port, TVQ_DROP_NO_BUFFER, 5);
	tvq_port_drop(b->port, TVQ_DROP_NO_BUFFER, 2);
	assert_int_equal(sl_drops(b, TVQ_DROP_NO_BUFFER), 7);
	assert_int_equal(sl_drops(b, TVQ_DROP_NO_ROOM), 0);
}

static void a_sender_whose_frames_are_flooded_to_many_sends_fewer_at_once(void **state)
{
	struct sl_port *a = sl_add(1), *other = sl_add(2);
	struct sl_batch batch = { 0 };
	unsigned int n = 0;

	(void)state;
	for (unsigned int i = 0; i < 58; i++)
		sl_add(100 + i);
	/* 64 short ones to 60 ports are not many. */
	for (unsigned int i = 0; i < TVQ_SWITCH_BATCH; i++)
		sl_put(&batch, sl_all, sl_mac(1), i);
	sl_send(a, &batch);
	assert_int_equal(tvq_port_may_send(a->port, 64), 64);
	/* Long ones are: down to one at a time, each of which is delivered. */
	for (unsigned int round = 0; round < 4; round++) {
		n = tvq_port_may_send(a->port, 64);
		for (unsigned int i = 0; i < n; i++) {
			struct tvq_frame *f = sl_put(&batch, sl_all, sl_mac(1), i);

			f->len = 60000;
			f->gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
			f->gso_size = 1400;
			f->csum_start = 22;
		}
		other->n_got = 0;
		sl_send(a, &batch);
		assert_int_equal(other->n_got, n);
	}
	assert_int_equal(n, 1);
	assert_int_equal(tvq_port_may_send(a->port, 64), 1);
	assert_int_equal(tvq_port_may_send(other->port, 64), 64);
	/* It is over after a while, and not so soon that to flood every few batches pays. */
	for (unsigned int i = 0; i < 6; i++)
		sl_one(a, sl_mac(2), sl_mac(1), i);
	assert_in_range(tvq_port_may_send(a->port, 64), 2, 8);
	for (unsigned int i = 6; i < 64; i++)
		sl_one(a, sl_mac(2), sl_mac(1), i);
	assert_int_equal(tvq_port_may_send(a->port, 64), 64);
}

static void each_reason_for_a_drop_has_a_name_of_its_own(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < TVQ_DROPS; i++) {
		assert_true(strlen(tvq_drop_name(i)) > 0);
		for (unsigned int k = 0; k < i; k++)
			assert_string_not_equal(tvq_drop_name(i), tvq_drop_name(k));
	}
	assert_string_equal(tvq_drop_name(TVQ_DROP_SPOOFED), "spoofed");
}

/* Mirrors */

struct mirror {
	struct tvq_port_mirror hook;
	unsigned int n[2], gone;
	uint32_t first[2];
	struct tvq_port *port;
};

static void mirror_frames(struct tvq_port_mirror *hook, struct tvq_port *p,
			  const struct tvq_frame *const *f, unsigned int n, bool rx)
{
	struct mirror *m = (struct mirror *)hook;

	assert_ptr_equal(p, m->port);
	assert_in_range(n, 1, TVQ_SWITCH_BATCH);
	if (!m->n[rx])
		memcpy(&m->first[rx], (uint8_t *)f[0]->seg[0].va + 2, 4);
	m->n[rx] += n;
}

static void mirror_gone(struct tvq_port_mirror *hook)
{
	((struct mirror *)hook)->gone++;
}

static void a_mirror_sees_what_passes_its_port_in_both_directions(void **state)
{
	struct sl_port *a = sl_add(1), *b = sl_add(2), *c = sl_add(3);
	struct mirror m = { .hook = { .frames = mirror_frames, .gone = mirror_gone } };
	struct tvq_port_filter filter = { 0 };
	struct sl_batch batch = { 0 };

	(void)state;
	m.port = b->port;
	assert_false(sl_info(b).mirrored);
	tvq_port_set_mirror(b->port, &m.hook);
	assert_true(sl_info(b).mirrored);
	assert_int_equal(tvq_port_set_filter(b->port, &filter), 0);
	sl_put(&batch, sl_mac(3), sl_mac(1), 1);
	sl_put(&batch, sl_mac(2), sl_mac(1), 3);
	sl_put(&batch, sl_group(1), sl_mac(1), 2);
	sl_put(&batch, sl_all, sl_mac(1), 4);
	sl_send(a, &batch);
	assert_int_equal(m.n[true], 2);
	assert_int_equal(m.first[true], 3);
	assert_int_equal(m.n[false], 0);
	/* What is dropped on its way in does not pass. */
	sl_put(&batch, sl_mac(1), sl_mac(9), 5);
	sl_send(b, &batch);
	assert_int_equal(m.n[false], 0);
	sl_put(&batch, sl_mac(1), sl_mac(9), 6);
	sl_put(&batch, sl_mac(1), sl_mac(2), 7);
	sl_put(&batch, sl_mac(77), sl_mac(2), 8);
	sl_send(b, &batch);
	assert_int_equal(m.n[false], 2);
	assert_int_equal(m.first[false], 7);
	assert_int_equal(m.n[true], 2);
	sl_expect(c, "1 2 4 8");

	tvq_port_set_mirror(b->port, NULL);
	sl_one(a, sl_mac(2), sl_mac(1), 9);
	assert_int_equal(m.n[true], 2);
	assert_int_equal(m.gone, 0);
	tvq_port_set_mirror(b->port, &m.hook);
	tvq_port_del(b->port);
	b->port = NULL;
	assert_int_equal(m.gone, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SL_TEST(unicast_reaches_the_port_that_has_the_address_and_no_other),
		SL_TEST(broadcast_reaches_all_but_its_sender),
		SL_TEST(no_frame_goes_back_to_the_port_that_it_came_from),
		SL_TEST(unknown_unicast_is_flooded_to_ports_that_learn_or_are_promiscuous),
		SL_TEST(a_promiscuous_port_does_not_get_what_is_for_another_one),
		SL_TEST(a_listed_address_is_not_taken_from_the_port_where_it_was_learned),
		SL_TEST(groups_pass_as_the_filter_says),
		SL_TEST(a_full_table_of_groups_tells_each_of_them_from_others),
		SL_TEST(a_source_that_is_not_the_ports_own_is_dropped_as_spoofed),
		SL_TEST(without_the_check_a_source_may_be_any_that_no_port_owns),
		SL_TEST(the_source_check_is_changed_while_frames_pass),
		SL_TEST(each_port_gets_its_frames_of_a_batch_in_their_order),
		SL_TEST(frames_of_a_batch_to_one_port_are_delivered_together),
		SL_TEST(flush_is_called_once_for_what_several_batches_delivered),
		SL_TEST(a_port_may_be_deleted_by_the_flush_of_another),
		SL_TEST(frames_above_the_mtu_are_dropped_on_both_sides),
		SL_TEST(the_mtu_holds_for_the_segments_of_a_gso_frame),
		SL_TEST(a_port_whose_link_is_down_neither_sends_nor_receives),
		SL_TEST(frames_and_bytes_are_counted_without_virtio_headers),
		SL_TEST(a_sender_whose_frames_are_flooded_to_many_sends_fewer_at_once),
		SL_TEST(each_reason_for_a_drop_has_a_name_of_its_own),
		SL_TEST(a_mirror_sees_what_passes_its_port_in_both_directions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
