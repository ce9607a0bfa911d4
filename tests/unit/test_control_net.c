/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Network devices through the control socket: the daemon with its real management device and
 * switch.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control_lab.h"
#include "control_requests.h"

static char out[LAB_OUT], err[LAB_OUT];

#define BLOCK(name)                                                                                \
	ASK("dev add", "\"name\":\"" name "\",\"mgmtdev\":\"mgmt0\",\"class\":\"block\"")
#define CONFIG(name)	ASK("dev config show", "\"name\":\"" name "\"")
#define VSTATS(name)	ASK("dev vstats show", "\"name\":\"" name "\"")
#define SET(name, more) ASK("dev set", "\"name\":\"" name "\"," more)

/* TQ-140 */
static void network_device_shows_what_was_asked_for(void **state)
{
	struct lab *l = *state;

	lab_ok(l,
	       ADD("d", ",\"mac\":\"" MAC("01") "\",\"mtu\":9000,\"max_vqp\":2,\"vlan\":10,"
						"\"rate\":\"100mbit\""),
	       "\"device_id\":1,\"mac\":\"" MAC("01") "\"");
	lab_ok(l, ASK("dev show", "\"name\":\"d\""), "\"type\":\"network\",\"mgmtdev\":\"mgmt0\"");
	lab_ok(l, ASK("dev show", "\"name\":\"d\""), "\"max_vqs\":5");
	lab_ok(l, CONFIG("d"),
	       "\"mac\":\"" MAC("01") "\",\"link\":\"up\",\"link_announce\":false,"
				      "\"max_vq_pairs\":2,\"mtu\":9000");
	lab_ok(l, CONFIG("d"), "\"dev_features\":[\"CSUM\",\"GUEST_CSUM\",");
	lab_ok(l, VSTATS("d"),
	       "{\"qidx\":0,\"queue_type\":\"rx\",\"received_desc\":0,"
	       "\"completed_desc\":0");
	lab_ok(l, VSTATS("d"), "{\"qidx\":3,\"queue_type\":\"tx\"");
	lab_ok(l, VSTATS("d"), "{\"qidx\":4,\"queue_type\":\"control_vq\"");
	lab_refused(l, ASK("dev vstats show", "\"name\":\"d\",\"qidx\":5"),
		    "qidx 5: 'd' has queues 0 to 4");
	lab_ok(l, PORT("d"),
	       "{\"d\":{\"port\":1,\"kind\":\"device\",\"device_id\":1,\"mgmtdev\":\"mgmt0\","
	       "\"mac\":\"" MAC(
		       "01") "\",\"link\":\"up\",\"mtu\":9000,\"vlan\":10,\"rate\":100000000,"
			     "\"spoofchk\":true,\"mirrored\":false,");
	lab_ok(l, PORT("d"), "\"drops\":{");
	lab_ok(l, DEL("d"), NULL);
	lab_refused(l, PORT("d"), "no device or port 'd'");
	lab_ok(l, ASK("switch show", ""), "{\"switch\":{}}");
	lab_ok(l, ASK("mgmtdev show", ""), "\"devices\":0,\"vqs\":0");
}

/* TQ-140 */
static void device_without_an_address_is_given_one_and_says_which(void **state)
{
	struct lab *l = *state;
	struct json_object *answer, *o;
	char mac[2][32];

	for (unsigned int i = 0; i < 2; i++) {
		answer = json_tokener_parse(lab_ask(l, i ? ADD("b", "") : ADD("a", "")));
		assert_true(json_object_object_get_ex(answer, "ok", &o) &&
			    json_object_object_get_ex(o, "mac", &o));
		snprintf(mac[i], sizeof(mac[i]), "\"%s\"", json_object_get_string(o));
		json_object_put(answer);
	}
	assert_string_not_equal(mac[0], mac[1]);
	lab_ok(l, CONFIG("a"), mac[0]);
	lab_ok(l, PORT("b"), mac[1]);
	/* The second digit of a local address that is no group's. */
	assert_non_null(strchr("26ae", mac[0][2]));
	/* One that does not offer to tell its address does not tell it. */
	lab_ok(l, ADD("c", ",\"features\":\"0x300000000\""), "{\"ok\":{\"device_id\":3}}");
}

/* TQ-140 */
static void address_of_a_living_port_is_refused_and_its_owner_named(void **state)
{
	struct lab *l = *state;

	lab_ok(l, ADD("first", ",\"mac\":\"" MAC("01") "\""), NULL);
	lab_refused(l, ADD("second", ",\"mac\":\"" MAC("01") "\""),
		    "mac " MAC("01") ": it is the address of 'first'");
	lab_refused(l, ASK("dev show", "\"name\":\"second\""), "no device 'second'");
	lab_ok(l, ASK("mgmtdev show", ""), "\"devices\":1");
	lab_ok(l, DEL("first"), NULL);
	lab_ok(l, ADD("second", ",\"mac\":\"" MAC("01") "\""), NULL);
}

static void words_of_a_block_device_are_refused_with_both_classes(void **state)
{
	struct lab *l = *state;

	lab_refused(l, ADD("d", ",\"volume\":\"v\""),
		    "volume goes with class block, not with class net");
	lab_refused(l, ADD("d", ",\"max_vqp\":1000"), "max_vqp 1000: a net device of mgmt0 has at");
	lab_refused(l, ADD("mgmt0", ""), "name 'mgmt0' is the management device's");
	lab_ok(l, ASK("dev show", ""), "{\"dev\":{}}");
}

static void network_device_is_explained_by_room_and_not_by_volumes(void **state)
{
	struct lab *l = *state;

	assert_true(lab_start(l, "--max-devices", "2", "--max-vqs", "8", NULL));
	lab_refused(l, ADD("d", ",\"max_vqp\":4"),
		    "mgmt0 has 8 virtqueues left, 'd' needs 9: start tvqd with a higher --max-vqs");
	lab_ok(l, ADD("a", ""), NULL);
	lab_ok(l, ADD("b", ""), NULL);
	lab_refused(l, ADD("c", ""), "mgmt0 has no room for 'c'");
	lab_refused(l, ADD("c", ",\"mac\":\"" MAC("09") "\""), "mgmt0 has no room for 'c'");
}

/* TQ-079: the driver's view of it is the status field. */
static void link_changes_at_the_port_and_in_the_configuration(void **state)
{
	struct lab *l = *state;

	lab_ok(l, ADD("d", ""), NULL);
	lab_ok(l, SET("d", "\"link\":\"down\""), NULL);
	lab_ok(l, CONFIG("d"), "\"link\":\"down\"");
	lab_ok(l, PORT("d"), "\"link\":\"down\"");
	lab_ok(l, SET("d", "\"link\":\"up\""), NULL);
	lab_ok(l, CONFIG("d"), "\"link\":\"up\"");
	lab_ok(l, PORT("d"), "\"link\":\"up\"");
}

static void what_is_set_replaces_what_was_and_leaves_the_rest(void **state)
{
	struct lab *l = *state;

	lab_ok(l, ADD("d", ",\"vlan\":10,\"rate\":\"1gbit\""), NULL);
	lab_ok(l, SET("d", "\"pps\":5000"), NULL);
	lab_ok(l, PORT("d"), "\"vlan\":10,\"rate\":1000000000,\"pps\":5000,\"spoofchk\":true");
	lab_ok(l, SET("d", "\"trunk\":\"3-5,2\",\"pvid\":4,\"spoofchk\":\"off\""), NULL);
	lab_ok(l, PORT("d"),
	       "\"trunk\":\"2-5\",\"pvid\":4,\"rate\":1000000000,\"pps\":5000,\"spoofchk\":false");
	lab_ok(l, SET("d", "\"vlan\":\"none\",\"rate\":\"none\",\"link\":\"down\""), NULL);
	lab_ok(l, PORT("d"), "\"link\":\"down\",\"mtu\":1500,\"pps\":5000,\"spoofchk\":false");
	lab_refused(l, ASK("dev set", "\"name\":\"d\""), "dev set needs one of link, vlan");
	lab_refused(l, SET("d", "\"vlan\":5,\"trunk\":\"6\""), "the one or the other");
	/* What is refused changes nothing. */
	lab_refused(l, SET("d", "\"link\":\"up\",\"pvid\":5"), "pvid goes with trunk");
	lab_ok(l, PORT("d"), "\"link\":\"down\"");
}

static void block_device_has_nothing_to_set(void **state)
{
	struct lab *l = *state;

	lab_ok(l, BLOCK("b"), NULL);
	lab_refused(l, SET("b", "\"link\":\"down\""), "'b' is a block device: it has no port");
	lab_refused(l, SET("b", "\"rate\":\"none\""), "'b' is a block device: it has no port");
	lab_refused(l, ASK("dev announce", "\"name\":\"b\""), "'b' is a block device");
	lab_refused(l, PORT("b"), "'b' is a block device");
	lab_refused(l, SET("c", "\"link\":\"down\""), "no device or port 'c'");
	lab_refused(l, SET("mgmt0", "\"link\":\"down\""), "'mgmt0' is a block device");
	lab_ok(l, ASK("switch show", ""), "{\"switch\":{}}");
}

/* Without a driver that does it, the switch sends the frame: its port counts it. */
static void device_is_announced_by_the_switch_where_no_driver_is_at_work(void **state)
{
	struct lab *l = *state;

	lab_ok(l, ADD("d", ""), NULL);
	lab_ok(l, ADD("e", ""), NULL);
	lab_ok(l, PORT("d"), "\"tx_packets\":0,");
	lab_ok(l, ASK("dev announce", "\"name\":\"d\""), NULL);
	/* The answer may come before the frame has passed. */
	while (!strstr(lab_ask(l, PORT("d")), "\"tx_packets\":1,\"tx_bytes\":60,"))
		usleep(1000);
	lab_ok(l, PORT("e"), "\"no-buffer\":1");
}

/* TQ-010 */
static void management_device_may_be_a_port_itself(void **state)
{
	struct lab *l = *state;
	static const char *const more[] = { "0", "1", "2" };

	for (unsigned int i = 0; i < 3; i++) {
		assert_true(lab_start(l, "--type", "net", "--workers", more[i], NULL));
		lab_ok(l, ASK("mgmtdev show", ""), "\"type\":\"network\"");
		lab_ok(l, ASK("switch show", ""), "{\"mgmt0\":{\"port\":1,\"kind\":\"mgmtdev\",");
		lab_ok(l, ADD("d", ""), "\"device_id\":1");
		lab_ok(l, BLOCK("b"), "\"device_id\":2");
		lab_ok(l, ASK("switch show", ""), "\"d\":{\"port\":2,\"kind\":\"device\"");
		lab_ok(l, SET("mgmt0", "\"link\":\"down\",\"vlan\":7"), NULL);
		lab_ok(l, PORT("mgmt0"), "\"link\":\"down\",\"mtu\":1500,\"vlan\":7");
		assert_int_equal(lab_stop(l, SIGTERM), 0);
	}
}

static void every_class_lists_its_own_features(void **state)
{
	struct lab *l = *state;
	struct json_object *answer, *o;

	answer = json_tokener_parse(lab_ask(l, ASK("mgmtdev show", "")));
	assert_true(json_object_object_get_ex(answer, "ok", &o) &&
		    json_object_object_get_ex(o, "mgmtdev", &o) &&
		    json_object_object_get_ex(o, "mgmt0", &o) &&
		    json_object_object_get_ex(o, "dev_features", &o));
	for (unsigned int i = 0; i < 2; i++) {
		struct json_object *names;
		const char *text;

		assert_true(json_object_object_get_ex(o, i ? "net" : "block", &names));
		text = json_object_get_string(names);
		assert_holds(text, "\"VERSION_1\"");
		assert_holds(text, i ? "\"CTRL_VQ\"" : "\"FLUSH\"");
		/* Bit 5 is RO of the one and MAC of the other, bit 0 CSUM; none is without name. */
		assert_holds(text, i ? "\"MAC\"" : "\"RO\"");
		assert_null(strstr(text, "bit_"));
	}
	json_object_put(answer);
}

/* As the vdpa tool prints them. */
static void text_is_that_of_the_vdpa_tool(void **state)
{
	struct lab *l = *state;

	assert_int_equal(lab_ctl(l, NULL, out, err, "dev", "add", "d", "mgmtdev", "mgmt0", "class",
				 "net", "mac", MAC("01"), NULL),
			 0);
	assert_string_equal(out, "");
	assert_int_equal(lab_ctl(l, NULL, out, err, "dev", "config", "show", "d", NULL), 0);
	assert_holds(out, "d: mac " MAC("01") " link up link_announce false mtu 1500");
	assert_int_equal(
		lab_ctl(l, NULL, out, err, "dev", "vstats", "show", "d", "qidx", "1", NULL), 0);
	assert_holds(out, "d: qidx 1 queue_type tx received_desc 0 completed_desc 0");
	assert_int_equal(lab_ctl(l, NULL, out, err, "mgmtdev", "show", NULL), 0);
	assert_holds(out, "\n  supported_classes net block\n");
	assert_holds(out, "\n  dev_features net CSUM ");
	assert_holds(out, "\n  dev_features block ");
	/* What tvqd chose is worth a line. */
	assert_int_equal(lab_ctl(l, NULL, out, err, "dev", "add", "name", "e", "class", "net",
				 "mgmtdev", "mgmt0", NULL),
			 0);
	assert_int_equal(strncmp(out, "e: mac ", 7), 0);
	assert_int_equal(
		lab_ctl(l, NULL, out, err, "dev", "set", "name", "d", "link", "down", NULL), 0);
	assert_int_equal(lab_ctl(l, NULL, out, err, "dev", "set", "d", "link", NULL), 2);
	assert_holds(err, "link needs a value");
	lab_ok(l, CONFIG("d"), "\"link\":\"down\"");
}

static int open_both(void **state)
{
	return lab_setup_pair(state, "net");
}

/* Names are the driver's, rules the owner's. */
static void owner_sets_what_the_driver_added_by_its_number(void **state)
{
	struct lab_pair *both = *state;
	struct lab *l = &both->serving, *managing = &both->managing;

	lab_ok(managing, ADD("d", ",\"mac\":\"" MAC("01") "\""), "\"device_id\":1");
	lab_refused(managing, ADD("e", ",\"vlan\":10"),
		    "vlan: the ports' rules are those of the tvqd that serves mgmt0");
	lab_refused(managing, ADD("e", ",\"mac\":\"" MAC("01") "\""),
		    "has another net device this address?");
	lab_refused(managing, SET("d", "\"link\":\"down\""), "ask that one");
	lab_refused(managing, ASK("dev announce", "\"name\":\"d\""), "ask that one");
	lab_refused(managing, ASK("switch show", ""), "ask that one");
	lab_refused(managing, ASK("switch fdb show", ""), "ask that one");
	lab_refused(managing, ASK("uplink add", "\"name\":\"u\",\"tap\":\"t\""), "ask that one");
	lab_refused(managing, ASK("mirror add", "\"name\":\"d\",\"file\":\"/x\""), "ask that one");
	lab_ok(l, ASK("switch show", ""), "\"mgmt0\":{\"port\":1,\"kind\":\"mgmtdev\"");
	lab_ok(l, ASK("switch show", ""),
	       "\"1\":{\"port\":2,\"kind\":\"device\",\"device_id\":1,\"mgmtdev\":\"mgmt0\","
	       "\"mac\":\"" MAC("01") "\"");
	lab_ok(l, SET("1", "\"link\":\"down\",\"vlan\":9"), NULL);
	lab_ok(l, PORT("1"), "\"link\":\"down\",\"mtu\":1500,\"vlan\":9");
	lab_ok(managing, CONFIG("d"), "\"link\":\"down\"");
	lab_refused(l, SET("d", "\"link\":\"up\""), "knows its devices by their numbers");
	lab_refused(l, SET("2", "\"link\":\"up\""), "no device or port '2'");
	lab_refused(l, SET("0", "\"link\":\"up\""), "no device or port '0'");
	lab_refused(l, SET("1x", "\"link\":\"up\""), "no device or port '1x'");
	lab_refused(l, SET("18446744073709551617", "\"link\":\"up\""), "no device or port '1844");
	lab_ok(l, ASK("dev announce", "\"name\":\"1\""), NULL);
	lab_ok(managing, DEL("d"), NULL);
	lab_refused(l, PORT("1"), "no device or port '1'");
}

int main(void)
{
#define TEST(test)	 cmocka_unit_test_setup_teardown(test, lab_setup, lab_teardown)
#define TEST_EMPTY(test) cmocka_unit_test_setup_teardown(test, lab_setup_empty, lab_teardown)
	const struct CMUnitTest tests[] = {
		TEST(network_device_shows_what_was_asked_for),
		TEST(device_without_an_address_is_given_one_and_says_which),
		TEST(address_of_a_living_port_is_refused_and_its_owner_named),
		TEST(words_of_a_block_device_are_refused_with_both_classes),
		TEST_EMPTY(network_device_is_explained_by_room_and_not_by_volumes),
		TEST(link_changes_at_the_port_and_in_the_configuration),
		TEST(what_is_set_replaces_what_was_and_leaves_the_rest),
		TEST(block_device_has_nothing_to_set),
		TEST(device_is_announced_by_the_switch_where_no_driver_is_at_work),
		TEST_EMPTY(management_device_may_be_a_port_itself),
		TEST(every_class_lists_its_own_features),
		TEST(text_is_that_of_the_vdpa_tool),
		cmocka_unit_test_setup_teardown(owner_sets_what_the_driver_added_by_its_number,
						open_both, lab_teardown_pair),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
