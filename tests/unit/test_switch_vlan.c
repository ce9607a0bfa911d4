// SPDX-License-Identifier: BSD-3-Clause
/* VLANs of the switch's ports: open, access, trunk, and the filter of a port's user. */
#include "switch_lab.h"

static void vlan_set(struct sl_port *t, enum tvq_vlan_mode mode, uint16_t pvid, const char *set)
{
	struct tvq_port_vlan vlan = { .mode = mode, .pvid = pvid };

	while (*set) {
		unsigned int vid = (unsigned int)strtoul(set, (char **)&set, 10);

		vlan.set[vid / 64] |= 1ULL << vid % 64;
	}
	assert_int_equal(tvq_port_set_vlan(t->port, &vlan), 0);
}

#define OPEN(t)		 vlan_set(t, TVQ_VLAN_OPEN, 0, "")
#define ACCESS(t, v)	 vlan_set(t, TVQ_VLAN_ACCESS, v, "")
#define TRUNK(t, v, set) vlan_set(t, TVQ_VLAN_TRUNK, v, set)

/* What t got last: -1 nothing, -2 untagged, else the tag. Forgets it. */
static int tag_of(struct sl_port *t)
{
	int tag;

	if (!t->n_got)
		return -1;
	tag = t->got[t->n_got - 1].tagged ? t->got[t->n_got - 1].tci : -2;
	t->n_got = 0;
	return tag;
}

#define NONE	 (-1)
#define UNTAGGED (-2)

/* Sends a broadcast with that tag. */
static void send_tag(struct sl_port *t, unsigned int number, int tci)
{
	struct sl_batch batch = { 0 };
	struct tvq_frame *f = sl_put(&batch, sl_all, sl_mac(number), 1);

	if (tci != UNTAGGED)
		sl_tag(f, (unsigned int)tci);
	sl_send(t, &batch);
}

static void tags_pass_between_open_ports_as_they_are(void **state)
{
	struct sl_port *a = sl_add(1), *b = sl_add(2);
	static const int tags[] = { UNTAGGED, 0, 0xe000, 1, 0x7007, 0xb00c, TVQ_VLAN_MAX };

	(void)state;
	for (unsigned int i = 0; i < sizeof(tags) / sizeof(tags[0]); i++) {
		send_tag(a, 1, tags[i]);
		assert_int_equal(tag_of(b), tags[i]);
	}
	assert_int_equal(sl_drops(a, TVQ_DROP_VLAN), 0);
	/* A number that is none. */
	send_tag(a, 1, 0x2fff);
	assert_int_equal(tag_of(b), NONE);
	assert_int_equal(sl_drops(a, TVQ_DROP_VLAN), 1);
}

static void access_ports_are_apart_unless_their_vlan_is_the_same(void **state)
{
	struct sl_port *a = sl_add(1), *b = sl_add(2), *c = sl_add(3);
	struct sl_batch batch = { 0 };

	(void)state;
	ACCESS(a, 10);
	ACCESS(b, 10);
	ACCESS(c, 20);
	send_tag(a, 1, UNTAGGED);
	assert_int_equal(tag_of(b), UNTAGGED);
	assert_int_equal(tag_of(c), NONE);
	/* To a port's address, alone and among others. */
	sl_one(a, sl_mac(3), sl_mac(1), 1);
	sl_put(&batch, sl_mac(2), sl_mac(1), 2);
	sl_put(&batch, sl_mac(3), sl_mac(1), 3);
	sl_send(a, &batch);
	sl_expect(c, "");
	sl_expect(b, "2");
	assert_int_equal(sl_info(c).stats.rx_packets, 0);
}

static void a_tagged_frame_of_an_access_port_is_dropped(void **state)
{
	struct sl_port *a = sl_add(1), *b = sl_add(2);
	static const int tags[] = { 10, 20, 0, 0x6000, 0xfff };

	(void)state;
	ACCESS(a, 10);
	for (unsigned int i = 0; i < sizeof(tags) / sizeof(tags[0]); i++) {
		send_tag(a, 1, tags[i]);
		assert_int_equal(tag_of(b), NONE);
		assert_int_equal(sl_drops(a, TVQ_DROP_VLAN), i + 1);
	}
	assert_int_equal(sl_info(a).stats.tx_packets, 0);
}

static void an_access_ports_frames_get_their_tag_at_open_ports_and_trunks_and_lose_it(void **state)
{
	struct sl_port *access = sl_add(1), *open = sl_add(2), *trunk = sl_add(3);

	(void)state;
	ACCESS(access, 10);
	TRUNK(trunk, 0, "10 11");
	send_tag(access, 1, UNTAGGED);
	assert_int_equal(tag_of(open), 10);
	assert_int_equal(tag_of(trunk), 10);
	send_tag(open, 2, 0x600a);
	assert_int_equal(tag_of(access), UNTAGGED);
	assert_int_equal(tag_of(trunk), 0x600a);
	send_tag(trunk, 3, 0x200a);
	assert_int_equal(tag_of(access), UNTAGGED);
	assert_int_equal(tag_of(open), 0x200a);
	/* Of another VLAN, and of none. */
	send_tag(open, 2, 11);
	assert_int_equal(tag_of(access), NONE);
	assert_int_equal(tag_of(trunk), 11);
	send_tag(open, 2, UNTAGGED);
	assert_int_equal(tag_of(access), NONE);
	assert_int_equal(tag_of(trunk), NONE);
	send_tag(open, 2, 0xe000);
	assert_int_equal(tag_of(access), NONE);
	assert_int_equal(tag_of(trunk), NONE);
}

static void a_trunk_has_the_vlans_of_its_set_only(void **state)
{
	struct sl_port *trunk = sl_add(1), *open = sl_add(2);

	(void)state;
	TRUNK(trunk, 0, "1 63 64 4094");
	for (int vid = 0; vid <= 0xfff; vid++) {
		bool in = vid == 1 || vid == 63 || vid == 64 || vid == 4094;

		send_tag(trunk, 1, vid);
		assert_int_equal(tag_of(open), in ? vid : NONE);
		send_tag(open, 2, vid);
		assert_int_equal(tag_of(trunk), in ? vid : NONE);
	}
	assert_int_equal(sl_drops(trunk, TVQ_DROP_VLAN), 4092);
	send_tag(trunk, 1, UNTAGGED);
	assert_int_equal(tag_of(open), NONE);
	assert_int_equal(sl_drops(trunk, TVQ_DROP_VLAN), 4093);
}

static void untagged_frames_of_a_trunk_are_in_its_pvid_which_leaves_untagged(void **state)
{
	struct sl_port *trunk = sl_add(1), *open = sl_add(2), *access = sl_add(3);

	(void)state;
	TRUNK(trunk, 5, "5 6");
	ACCESS(access, 5);
	send_tag(trunk, 1, UNTAGGED);
	assert_int_equal(tag_of(open), 5);
	assert_int_equal(tag_of(access), UNTAGGED);
	/* A priority is kept. */
	send_tag(trunk, 1, 0xe000);
	assert_int_equal(tag_of(open), 0xe005);
	send_tag(trunk, 1, 5);
	assert_int_equal(tag_of(open), 5);
	tag_of(access);
	send_tag(access, 3, UNTAGGED);
	assert_int_equal(tag_of(trunk), UNTAGGED);
	send_tag(open, 2, 0x4005);
	assert_int_equal(tag_of(trunk), UNTAGGED);
	send_tag(open, 2, 6);
	assert_int_equal(tag_of(trunk), 6);
}

static void addresses_of_ports_hold_in_every_vlan(void **state)
{
	struct sl_port *a = sl_add(1), *b = sl_add(2), *spy = sl_add(3);
	struct sl_batch batch = { 0 };

	(void)state;
	ACCESS(b, 20);
	/* Known, though not to be reached in that VLAN: not flooded. */
	sl_tag(sl_put(&batch, sl_mac(2), sl_mac(1), 1), 30);
	sl_tag(sl_put(&batch, sl_mac(2), sl_mac(1), 2), 20);
	sl_send(a, &batch);
	sl_expect(b, "2");
	sl_expect(spy, "");
}

static void the_users_filter_passes_tagged_frames_of_its_vlans_only(void **state)
{
	struct sl_port *a = sl_add(1), *b = sl_add(2);
	struct tvq_port_filter filter = { .vlan_filter = true };
	struct sl_batch batch = { 0 };

	(void)state;
	filter.vlans[7 / 64] |= 1ULL << 7 % 64;
	assert_int_equal(tvq_port_set_filter(b->port, &filter), 0);
	for (unsigned int round = 0; round < 2; round++) {
		const uint8_t *to = round ? sl_all : sl_mac(2);

		sl_put(&batch, to, sl_mac(1), 1);
		sl_tag(sl_put(&batch, to, sl_mac(1), 2), 7);
		sl_tag(sl_put(&batch, to, sl_mac(1), 3), 8);
		sl_tag(sl_put(&batch, to, sl_mac(1), 4), 0x2000);
		sl_tag(sl_put(&batch, to, sl_mac(1), 5), 0x2007);
		sl_send(a, &batch);
		sl_expect(b, "1 2 5");
	}
	/* What its user sees without tag is not filtered by it. */
	ACCESS(b, 8);
	sl_tag(sl_put(&batch, sl_mac(2), sl_mac(1), 6), 8);
	sl_send(a, &batch);
	sl_expect(b, "6");
	OPEN(b);
	filter.promisc = true;
	assert_int_equal(tvq_port_set_filter(b->port, &filter), 0);
	sl_tag(sl_put(&batch, sl_mac(2), sl_mac(1), 7), 8);
	sl_send(a, &batch);
	sl_expect(b, "7");
}

static void settings_that_make_no_sense_change_nothing(void **state)
{
	struct sl_port *a = sl_add(1), *b = sl_add(2);
	struct tvq_port_vlan bad[] = {
		{ .mode = TVQ_VLAN_TRUNK, .pvid = TVQ_VLANS },
		{ .mode = TVQ_VLAN_ACCESS },
		{ .mode = TVQ_VLAN_ACCESS, .pvid = TVQ_VLAN_MAX + 1 },
		{ .mode = TVQ_VLAN_ACCESS, .pvid = UINT16_MAX },
		{ .mode = TVQ_VLAN_TRUNK, .pvid = 5, .set = { 1ULL << 6 } },
		{ .mode = TVQ_VLAN_TRUNK, .pvid = UINT16_MAX, .set = { 1ULL << 6 } },
		{ .mode = TVQ_VLAN_TRUNK, .set = { 1 } },
		{ .mode = TVQ_VLAN_TRUNK, .set = { [63] = 1ULL << 63 } },
		{ .mode = (enum tvq_vlan_mode)3, .pvid = 5 },
	};
	struct tvq_port_vlan good = { .mode = TVQ_VLAN_TRUNK, .set = { 1ULL << 6 } };
	struct tvq_port_info info;

	(void)state;
	TRUNK(a, 9, "8 9");
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(tvq_port_set_vlan(a->port, &bad[i]), -EINVAL);
	sl_allocs_left = 0;
	assert_int_equal(tvq_port_set_vlan(a->port, &good), -ENOMEM);
	sl_allocs_left = -1;
	info = sl_info(a);
	assert_int_equal(info.vlan.mode, TVQ_VLAN_TRUNK);
	assert_int_equal(info.vlan.pvid, 9);
	assert_int_equal(info.vlan.set[0], 3 << 8);
	assert_int_equal(info.vlan.set[1], 0);
	send_tag(a, 1, UNTAGGED);
	assert_int_equal(tag_of(b), 9);
	OPEN(a);
	assert_int_equal(sl_info(a).vlan.mode, TVQ_VLAN_OPEN);
	assert_int_equal(sl_info(a).vlan.set[0], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SL_TEST(tags_pass_between_open_ports_as_they_are),
		SL_TEST(access_ports_are_apart_unless_their_vlan_is_the_same),
		SL_TEST(a_tagged_frame_of_an_access_port_is_dropped),
		SL_TEST(an_access_ports_frames_get_their_tag_at_open_ports_and_trunks_and_lose_it),
		SL_TEST(a_trunk_has_the_vlans_of_its_set_only),
		SL_TEST(untagged_frames_of_a_trunk_are_in_its_pvid_which_leaves_untagged),
		SL_TEST(addresses_of_ports_hold_in_every_vlan),
		SL_TEST(the_users_filter_passes_tagged_frames_of_its_vlans_only),
		SL_TEST(settings_that_make_no_sense_change_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
