/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Addresses, rates and VLANs as people write them, the arguments made of them, and what dev add
 * makes of its arguments for each class: no daemon runs.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>

#include <tvqd/nettext.h>

#include "control_lab.h"

#define BIT(n) (1ull << (n))

static void address_is_six_bytes_in_hexadecimal_between_colons(void **state)
{
	static const char *const wrong[] = {
		"",
		"52:54:00:12:34",
		"52:54:00:12:34:5",
		"52:54:00:12:34:567",
		"52:54:00:12:34:56:",
		"52:54:00:12:34:56:78",
		"525400123456",
		"52-54-00-12-34-56",
		"52:54:00:12:34:5g",
		"52:54:0:012:34:56",
		" 2:54:00:12:34:56",
		"+2:54:00:12:34:56",
	};
	static const uint8_t bytes[6] = { 0x52, 0x54, 0x0a, 0xbc, 0xde, 0xff };
	char text[TVQD_MAC_LEN];
	uint8_t mac[6];

	(void)state;
	assert_int_equal(tvqd_mac_parse("52:54:0A:bC:De:fF", mac), 0);
	assert_memory_equal(mac, bytes, 6);
	tvqd_mac_text(mac, text);
	assert_string_equal(text, "52:54:0a:bc:de:ff");
	assert_true(tvqd_mac_num(mac) == 0x52540abcdeff);
	memset(mac, 0, 6);
	tvqd_mac_bytes(0x52540abcdeff, mac);
	assert_memory_equal(mac, bytes, 6);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		if (!tvqd_mac_parse(wrong[i], mac))
			fail_msg("'%s' was taken", wrong[i]);
	}
}

static void rate_is_in_the_units_of_tc(void **state)
{
	static const struct {
		const char *text;
		uint64_t bits;
	} right[] = {
		{ "none", 0 },
		{ "0", 0 },
		{ "0mbit", 0 },
		{ "64000", 64000 },
		{ "1bit", 1 },
		{ "100kbit", 100000 },
		{ "100mbit", 100000000 },
		{ "2.5gbit", 2500000000 },
		{ "2.50Gbit", 2500000000 },
		{ "1tbit", 1000000000000 },
		{ "1kibit", 1024 },
		{ "1.5MiBit", 1572864 },
		{ "1bps", 8 },
		{ "12.5mbps", 100000000 },
		{ "1kibps", 8192 },
		{ ".5kbit", 500 },
		{ "5.kbit", 5000 },
		{ "0.000001gbit", 1000 },
		{ "1000000000000", 1000000000000 },
	};
	static const char *const wrong[] = {
		"",
		"bit",
		"mbit",
		".",
		".mbit",
		"-1",
		"+1",
		"1 mbit",
		"1mb",
		"1m",
		"1gbits",
		"1e6",
		"0x10",
		"1.2.3mbit",
		"1.5bit",
		"0.0001kbit",
		"2tbit",
		"1000000000001",
		"nonesuch",
		"18446744073709551616",
		"99999999999999999999999bit",
		"0.00000000000000000000001tbit",
		"1kkbit",
		"1ibit",
	};
	uint64_t bits;

	(void)state;
	for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
		bits = 1;
		if (tvqd_rate_parse(right[i].text, &bits) || bits != right[i].bits)
			fail_msg("'%s': %llu", right[i].text, (unsigned long long)bits);
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		if (!tvqd_rate_parse(wrong[i], &bits))
			fail_msg("'%s' was taken", wrong[i]);
	}
}

static void set_of_vlans_is_read_as_it_is_written(void **state)
{
	static const struct {
		const char *text, *again;
	} right[] = {
		{ "1", "1" },
		{ "4094", "4094" },
		{ "2,10-20", "2,10-20" },
		{ "1-4094", "1-4094" },
		{ "10-20,2", "2,10-20" },
		{ "5,5-5,6", "5-6" },
		{ "63,64,127-129", "63-64,127-129" },
	};
	static const char *const wrong[] = {
		"",    "0",   "4095", "1,",    ",1",   "1,,2",
		"2-1", "1-",  "-1",   "1-2-3", "0-5",  "4094-4095",
		"a",   "1;2", "1 ",   "0x1",   "none", "99999999999999999999"
	};
	static char text[TVQD_VLANS_LEN];
	uint64_t set[TVQ_VLANS / 64];

	(void)state;
	for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
		assert_int_equal(tvqd_vlans_parse(right[i].text, set), 0);
		tvqd_vlans_text(set, text);
		assert_string_equal(text, right[i].again);
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		if (!tvqd_vlans_parse(wrong[i], set))
			fail_msg("'%s' was taken", wrong[i]);
	}
}

/* The longest that there is, and sets as they come. */
static void every_set_of_vlans_fits_its_text(void **state)
{
	static char text[TVQD_VLANS_LEN];
	uint64_t set[TVQ_VLANS / 64], again[TVQ_VLANS / 64];

	(void)state;
	srand(1);
	for (unsigned int step = 0; step < 200; step++) {
		memset(set, 0, sizeof(set));
		for (unsigned int vid = 1; vid <= TVQ_VLAN_MAX; vid++) {
			if (step < 4 ? vid % (step + 1) != 0 || !step : rand() % (int)step < 3)
				set[vid / 64] |= 1ull << (vid % 64);
		}
		tvqd_vlans_text(set, text);
		assert_true(strlen(text) < sizeof(text));
		assert_int_equal(tvqd_vlans_parse(text, again), 0);
		assert_memory_equal(set, again, sizeof(set));
	}
}

static char err[TVQD_ERR_LEN];

static void taken(enum tvqd_key key, const char *json, uint64_t num)
{
	struct tvqd_args args = { 0 };
	struct json_object *o = json_tokener_parse(json);

	if (tvqd_arg_parse(&args, key, o, err))
		fail_msg("%s: %s", json, err);
	assert_true(tvqd_has(&args, key));
	assert_true(tvqd_num(&args, key) == num);
	json_object_put(o);
}

static void not_taken(enum tvqd_key key, const char *json, const char *why)
{
	struct tvqd_args args = { 0 };
	struct json_object *o = json_tokener_parse(json);

	if (tvqd_arg_parse(&args, key, o, err) != -EINVAL)
		fail_msg("%s %s was taken", tvqd_key_name(key), json);
	assert_holds(err, why);
	assert_holds(err, tvqd_key_name(key));
	assert_false(tvqd_has(&args, key));
	json_object_put(o);
}

static void networks_arguments_are_taken_within_their_bounds_only(void **state)
{
	(void)state;
	taken(TVQD_MAC, "\"52:54:00:12:34:56\"", 0x525400123456);
	not_taken(TVQD_MAC, "\"52:54:00:12:34\"", "mac '52:54:00:12:34': expected");
	not_taken(TVQD_MAC, "\"00:00:00:00:00:00\"", "not a group's and not zero");
	not_taken(TVQD_MAC, "\"01:00:5e:00:00:01\"", "not a group's and not zero");
	not_taken(TVQD_MAC, "\"ff:ff:ff:ff:ff:ff\"", "not a group's");
	not_taken(TVQD_MAC, "90520730730582", "int");
	taken(TVQD_MTU, "68", 68);
	taken(TVQD_MTU, "\"65521\"", 65521);
	not_taken(TVQD_MTU, "67", "a number from 68 to 65521");
	not_taken(TVQD_MTU, "\"65522\"", "a number from 68 to 65521");
	taken(TVQD_MAX_VQP, "1", 1);
	not_taken(TVQD_MAX_VQP, "0", "from 1 to 32768");
	taken(TVQD_VLAN, "\"none\"", 0);
	taken(TVQD_VLAN, "4094", 4094);
	not_taken(TVQD_VLAN, "0", "a number from 1 to 4094, or none");
	not_taken(TVQD_VLAN, "\"0\"", "or none");
	not_taken(TVQD_VLAN, "4095", "or none");
	taken(TVQD_PPS, "\"none\"", 0);
	taken(TVQD_PPS, "0", 0);
	taken(TVQD_RATE, "\"1mbit\"", 1000000);
	taken(TVQD_RATE, "1000", 1000);
	taken(TVQD_RATE, "\"none\"", 0);
	not_taken(TVQD_RATE, "\"fast\"", "rate 'fast': expected bits a second");
	not_taken(TVQD_RATE, "1000000000001", "up to 1tbit");
	not_taken(TVQD_RATE, "-1", "'-1'");
	taken(TVQD_LINK, "\"up\"", 1);
	taken(TVQD_LINK, "\"down\"", 0);
	not_taken(TVQD_LINK, "\"on\"", "link 'on': expected up or down");
	not_taken(TVQD_LINK, "true", "boolean");
	taken(TVQD_SPOOFCHK, "false", 0);
	not_taken(TVQD_TRUNK, "\"1-5000\"", "trunk '1-5000': expected VLANs from 1 to 4094");
	not_taken(TVQD_TAP, "\"\"", "1 to 15");
	not_taken(TVQD_TAP, "\"a-name-too-long1\"", "1 to 15");
	not_taken(TVQD_TAP, "\"a/b\"", "without / and :");
	not_taken(TVQD_TAP, "\"tap%d\"", "tap 'tap%d'");
	not_taken(TVQD_TAP, "\"..\"", "tap '..'");
	not_taken(TVQD_TAP, "\"a b\"", "tap 'a b'");
	not_taken(TVQD_TAP, "\"\\u00e9\"", "printable");
	not_taken(TVQD_STREAM, "\"a\"", "an absolute path");
	taken(TVQD_FRAME_SIZE, "60", 60);
	not_taken(TVQD_FRAME_SIZE, "59", "size '59': expected a number from 60 to 1514");
	not_taken(TVQD_FRAME_SIZE, "1515", "60 to 1514");
}

/* What dev add makes of {...}; the classes have these features. */
#define NET_DEFAULT                                                                                \
	(BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_ACCESS_PLATFORM) | BIT(VIRTIO_NET_F_MAC) |         \
	 BIT(VIRTIO_NET_F_CTRL_VQ))
#define NET_ALL (NET_DEFAULT | BIT(VIRTIO_NET_F_MTU) | BIT(VIRTIO_NET_F_MQ))

static struct tvqd_class class_of(const char *name)
{
	unsigned int i = 0;
	struct tvqd_class class;

	while (strcmp(tvqd_known_classes[i].name, name) != 0)
		i++;
	class = tvqd_known_classes[i];
	class.mgmt = "mgmt0";
	class.info = (struct tvq_type_info){ .features = NET_ALL,
					     .default_features = NET_DEFAULT,
					     .max_vqs = 9 };
	return class;
}

/* The request's arguments, as they come from the socket. */
static void arguments(struct tvqd_request *rq, const char *more)
{
	char line[512];

	snprintf(line, sizeof(line),
		 "{\"cmd\":\"dev add\",\"args\":{\"name\":\"d\",\"mgmtdev\":\"mgmt0\",\"class\":"
		 "\"net\"%s}}",
		 more);
	if (tvqd_request_parse(rq, line, strlen(line), err))
		fail_msg("%s: %s", more, err);
}

static uint64_t features_of(const char *more)
{
	struct tvqd_class class = class_of("net");
	struct tvqd_request rq;
	uint64_t features;

	arguments(&rq, more);
	features = tvqd_class_features(&class, &rq.args);
	tvqd_request_clear(&rq);
	return features;
}

/* TQ-051: 0 is the default; TQ-140: a value needs its bit. */
static void features_are_asked_for_where_an_argument_needs_more_than_the_default(void **state)
{
	(void)state;
	assert_true(features_of("") == 0);
	assert_true(features_of(",\"mac\":\"52:54:00:00:00:01\"") == 0);
	assert_true(features_of(",\"max_vqp\":1") == 0);
	/* CREATE adds MQ by itself where more than one pair is asked for. */
	assert_true(features_of(",\"max_vqp\":2") == 0);
	assert_true(features_of(",\"mtu\":9000") == (NET_DEFAULT | BIT(VIRTIO_NET_F_MTU)));
	assert_true(features_of(",\"mtu\":9000,\"max_vqp\":2") == NET_ALL);
	assert_true(features_of(",\"features\":\"0x300000000\",\"mtu\":9000") == 0x300000000);
}

static void check_refuses(const char *class_name, const char *more, const char *why)
{
	struct tvqd_class class = class_of(class_name);
	struct tvqd_request rq;

	arguments(&rq, more);
	err[0] = '\0';
	assert_true(tvqd_class_check_words(&class, &rq.args, err) < 0 ||
		    class.ops->check(&class, &rq.args, err) < 0 ||
		    tvqd_class_check_features(&class, &rq.args, err) < 0);
	assert_holds(err, why);
	tvqd_request_clear(&rq);
}

static void words_of_the_other_class_are_refused_with_both_names(void **state)
{
	(void)state;
	check_refuses("net", ",\"volume\":\"v\"",
		      "volume goes with class block, not with class net");
	check_refuses("net", ",\"capacity\":\"1M\"", "capacity goes with class block");
	check_refuses("net", ",\"num_queues\":1", "num_queues goes with class block");
	check_refuses("net", ",\"readonly\":\"off\"", "readonly goes with class block");
	check_refuses("net", ",\"blk_size\":512", "blk_size goes with class block");
	check_refuses("block", ",\"mac\":\"52:54:00:00:00:01\"",
		      "mac goes with class net, not with class block");
	check_refuses("block", ",\"mtu\":1500", "mtu goes with class net");
	check_refuses("block", ",\"max_vqp\":1", "max_vqp goes with class net");
	check_refuses("block", ",\"vlan\":\"none\"", "vlan goes with class net");
	check_refuses("block", ",\"rate\":\"none\"", "rate goes with class net");
}

static void arguments_that_the_features_do_not_allow_are_refused(void **state)
{
	(void)state;
	check_refuses("net", ",\"features\":\"0x300000000\",\"mac\":\"52:54:00:00:00:01\"",
		      "mac needs MAC, bit 5");
	check_refuses("net", ",\"features\":\"0x300000000\",\"mtu\":1500", "mtu needs MTU, bit 3");
	check_refuses("net", ",\"features\":\"0x300000000\",\"max_vqp\":2",
		      "max_vqp above 1 needs MQ, bit 22");
	check_refuses("net", ",\"features\":\"0x100000000\"", "ACCESS_PLATFORM are required");
	check_refuses("net", ",\"features\":\"0x300000001\"", "cannot offer 0x1; a net device has");
	/* Nine queues: four pairs and the control queue. */
	check_refuses("net", ",\"max_vqp\":5", "max_vqp 5: a net device of mgmt0 has at most 4");
	/* This management device has no such bit at all. */
	check_refuses("block", ",\"num_queues\":2", "num_queues above 1 needs MQ, bit 12");
}

/* virtio 5.1.2: the control queue follows the pairs, of which there is one without MQ. */
static void queues_of_a_network_device_follow_its_features(void **state)
{
	const struct tvqd_class_ops *ops = &tvqd_class_net;

	(void)state;
	assert_int_equal(ops->num_queues(0, 4), 2);
	assert_int_equal(ops->num_queues(BIT(VIRTIO_NET_F_CTRL_VQ), 4), 3);
	assert_int_equal(ops->num_queues(NET_ALL, 4), 9);
	assert_int_equal(ops->num_queues(NET_ALL, 1), 3);
	assert_int_equal(tvqd_class_blk.num_queues(BIT(VIRTIO_BLK_F_MQ), 4), 4);
	assert_int_equal(tvqd_class_blk.num_queues(0, 4), 1);
}

static const char *queue_type(uint64_t features, uint16_t index)
{
	static const struct virtio_transportq_ctrl_vdev_vq_stats st;
	static char type[16];
	struct json_object *o = json_object_new_object(), *v;

	tvqd_class_net.show_queue(o, features, 4, index, &st);
	assert_true(json_object_object_get_ex(o, "queue_type", &v));
	snprintf(type, sizeof(type), "%s", json_object_get_string(v));
	json_object_put(o);
	return type;
}

static void queue_is_shown_as_what_the_driver_made_it(void **state)
{
	(void)state;
	assert_string_equal(queue_type(NET_ALL, 0), "rx");
	assert_string_equal(queue_type(NET_ALL, 1), "tx");
	assert_string_equal(queue_type(NET_ALL, 2), "rx");
	assert_string_equal(queue_type(NET_ALL, 7), "tx");
	assert_string_equal(queue_type(NET_ALL, 8), "control_vq");
	assert_string_equal(queue_type(BIT(VIRTIO_NET_F_CTRL_VQ), 2), "control_vq");
}

static void change_refused(const char *cmd, const char *more, const char *why)
{
	struct tvqd_port_change change;
	struct tvqd_request rq;
	char line[512];

	snprintf(line, sizeof(line), "{\"cmd\":\"%s\",\"args\":{\"name\":\"d\"%s}}", cmd, more);
	if (tvqd_request_parse(&rq, line, strlen(line), err))
		fail_msg("%s: %s", more, err);
	assert_int_equal(tvqd_port_change(&rq.args, &change, err), -EINVAL);
	assert_holds(err, why);
	tvqd_request_clear(&rq);
}

static void vlans_that_contradict_each_other_are_refused(void **state)
{
	(void)state;
	change_refused("dev set", ",\"vlan\":5,\"trunk\":\"6\"", "the one or the other");
	change_refused("dev set", ",\"vlan\":\"none\",\"trunk\":\"6\"", "the one or the other");
	change_refused("dev set", ",\"pvid\":5", "pvid goes with trunk");
	change_refused("dev set", ",\"vlan\":5,\"pvid\":5", "pvid goes with trunk");
	change_refused("uplink add", ",\"tap\":\"t\",\"trunk\":\"6-8\",\"pvid\":9",
		       "pvid 9: trunk '6-8' has no such VLAN");
}

static void change_is_what_was_given_and_no_more(void **state)
{
	static const char line[] =
		"{\"cmd\":\"dev set\",\"args\":{\"name\":\"d\",\"trunk\":\"6-8\",\"pvid\":7,"
		"\"pps\":100,\"spoofchk\":\"off\",\"link\":\"up\"}}";
	struct tvqd_port_change c;
	struct tvqd_request rq;

	(void)state;
	assert_int_equal(tvqd_request_parse(&rq, line, strlen(line), err), 0);
	assert_int_equal(tvqd_port_change(&rq.args, &c, err), 0);
	assert_true(c.have == (TVQD_BIT(TRUNK) | TVQD_BIT(PPS) | TVQD_BIT(SPOOFCHK)));
	assert_int_equal(c.vlan.mode, TVQ_VLAN_TRUNK);
	assert_int_equal(c.vlan.pvid, 7);
	assert_true(c.vlan.set[0] == 0x1c0);
	assert_true(c.rate.packets == 100);
	assert_false(c.spoofchk);
	tvqd_request_clear(&rq);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(address_is_six_bytes_in_hexadecimal_between_colons),
		cmocka_unit_test(rate_is_in_the_units_of_tc),
		cmocka_unit_test(set_of_vlans_is_read_as_it_is_written),
		cmocka_unit_test(every_set_of_vlans_fits_its_text),
		cmocka_unit_test(networks_arguments_are_taken_within_their_bounds_only),
		cmocka_unit_test(
			features_are_asked_for_where_an_argument_needs_more_than_the_default),
		cmocka_unit_test(words_of_the_other_class_are_refused_with_both_names),
		cmocka_unit_test(arguments_that_the_features_do_not_allow_are_refused),
		cmocka_unit_test(queues_of_a_network_device_follow_its_features),
		cmocka_unit_test(queue_is_shown_as_what_the_driver_made_it),
		cmocka_unit_test(vlans_that_contradict_each_other_are_refused),
		cmocka_unit_test(change_is_what_was_given_and_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
