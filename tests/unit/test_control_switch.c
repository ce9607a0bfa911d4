/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Uplinks, mirrors, ports to measure with and the listings of the switch through the control
 * socket.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "control_lab.h"
#include "control_requests.h"

static char out[LAB_OUT], err[LAB_OUT];

#define SINK(name, mac) ASK("switch port add", "\"name\":\"" name "\",\"sink\":true" mac)
#define SOURCE(name, to)                                                                           \
	ASK("switch port add", "\"name\":\"" name "\",\"source\":true,\"to\":\"" to "\"")
#define PORT_DEL(name)	 ASK("switch port del", "\"name\":\"" name "\"")
#define UPLINK(name)	 ASK("uplink show", "\"name\":\"" name "\"")
#define UPLINK_DEL(name) ASK("uplink del", "\"name\":\"" name "\"")
#define MIRROR_DEL(name) ASK("mirror del", "\"name\":\"" name "\"")

/* The request with a path of the lab's own in it: fmt has a %s. */
__attribute__((format(printf, 2, 0))) static const char *with(const struct lab *l, const char *fmt,
							      const char *name)
{
	static char request[512];
	char path[160];

	lab_path(l, "", name, path, sizeof(path));
	snprintf(request, sizeof(request), fmt, path);
	return request;
}

#define STREAM(name, more) ASK("uplink add", "\"name\":\"" name "\",\"stream\":\"%s\"" more)
#define MIRROR(name, more) ASK("mirror add", "\"name\":\"" name "\",\"file\":\"%s\"" more)

/* Longer than anything takes; what waits for longer has failed. */
#define PATIENCE 60000

static void wait_for(const struct lab *l, const char *request, const char *text)
{
	for (unsigned int i = 0; !strstr(lab_ask(l, request), text); i++) {
		if (i == PATIENCE)
			fail_msg("%s never says %s", request, text);
		usleep(1000);
	}
}

/* Until a mirror's file has been closed, say. Fewer: what a request had before was still open when n
 * was counted. */
static void wait_for_fds(const struct lab *l, unsigned int n)
{
	for (unsigned int i = 0; lab_fds(l) > n; i++) {
		if (i == PATIENCE)
			fail_msg("%u descriptors stay open, not %u", lab_fds(l), n);
		usleep(1000);
	}
}

static int dial(const struct lab *l, const char *name)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	lab_path(l, "", name, addr.sun_path, sizeof(addr.sun_path));
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

static void uplink_is_a_port_with_its_rules_until_it_is_deleted(void **state)
{
	struct lab *l = *state;
	int fd;

	lab_ok(l, with(l, STREAM("u", ",\"listen\":\"on\",\"mtu\":9000,\"vlan\":10"), "u.sock"),
	       NULL);
	lab_ok(l, UPLINK("u"), "u.sock\",\"listen\":true,\"mtu\":9000,\"vlan\":10");
	lab_ok(l, UPLINK("u"), "\"state\":\"listening\",\"port\":1");
	lab_ok(l, PORT("u"), "{\"u\":{\"port\":1,\"kind\":\"uplink\",");
	lab_ok(l, PORT("u"), "\"mtu\":9000,\"vlan\":10,\"spoofchk\":false");
	fd = dial(l, "u.sock");
	wait_for(l, UPLINK("u"), "\"state\":\"up\"");
	lab_ok(l, UPLINK_DEL("u"), NULL);
	assert_false(lab_exists(l, "u.sock"));
	lab_refused(l, UPLINK("u"), "no uplink 'u'");
	lab_refused(l, PORT("u"), "no device or port 'u'");
	lab_ok(l, ASK("uplink show", ""), "{\"uplink\":{}}");
	close(fd);
}

static void uplink_that_cannot_be_is_refused_and_leaves_nothing(void **state)
{
	struct lab *l = *state;

	lab_refused(l, ASK("uplink add", "\"name\":\"u\""), "needs one of tap IFNAME, stream PATH");
	lab_refused(l, ASK("uplink add", "\"name\":\"u\",\"tap\":\"t\",\"stream\":\"/x\""),
		    "needs one of tap IFNAME, stream PATH");
	lab_refused(l, ASK("uplink add", "\"name\":\"u\",\"tap\":\"t\",\"listen\":\"on\""),
		    "listen goes with stream, not with tap");
	lab_refused(l,
		    ASK("uplink add",
			"\"name\":\"u\",\"stream\":\"/nonexistent/u.sock\",\"listen\":\"on\""),
		    "/nonexistent/u.sock");
	lab_refused(l, with(l, STREAM("u", ",\"trunk\":\"5\",\"pvid\":6"), "u.sock"),
		    "pvid 6: trunk '5' has no such VLAN");
	lab_refused(l, with(l, STREAM("7", ""), "u.sock"), "name '7': numbers are those of");
	lab_refused(l, with(l, STREAM("mgmt0", ""), "u.sock"), "is the management device's");
	lab_ok(l, ASK("uplink show", ""), "{\"uplink\":{}}");
	lab_ok(l, ASK("switch show", ""), "{\"switch\":{}}");
	lab_refused(l, UPLINK_DEL("u"), "no uplink 'u'");
}

static void names_of_ports_and_devices_are_one_space(void **state)
{
	struct lab *l = *state;

	lab_ok(l, ADD("d", ""), NULL);
	lab_ok(l, SINK("k", ""), NULL);
	lab_refused(l, SINK("d", ""), "name 'd' is taken by another device");
	lab_refused(l, SINK("k", ""), "name 'k' is taken by a port of the switch");
	lab_refused(l, ADD("k", ""), "name 'k' is taken by a port of the switch");
	lab_refused(l, with(l, STREAM("d", ""), "u.sock"), "name 'd' is taken by another device");
	lab_refused(l, PORT_DEL("d"), "'d' is a device: dev del takes it away");
	lab_refused(l, UPLINK_DEL("k"), "no uplink 'k'");
	lab_refused(l, ASK("dev set", "\"name\":\"k\",\"link\":\"down\""),
		    "'k' is a port of the switch and no device");
	lab_ok(l, with(l, STREAM("u", ",\"listen\":\"on\""), "u.sock"), NULL);
	lab_refused(l, PORT_DEL("u"), "'u' is an uplink: uplink del takes it away");
}

static void source_sends_to_the_sink_and_both_are_counted(void **state)
{
	struct lab *l = *state;

	lab_ok(l, SINK("k", ",\"mac\":\"" MAC("02") "\""), "\"mac\":\"" MAC("02") "\"");
	lab_ok(l, SOURCE("s", MAC("02")), "\"mac\":\"");
	wait_for(l, PORT("k"), "\"kind\":\"sink\"");
	while (strstr(lab_ask(l, PORT("k")), "\"rx_packets\":0,"))
		usleep(1000);
	lab_ok(l, PORT("s"), "\"kind\":\"source\"");
	lab_ok(l, PORT_DEL("s"), NULL);
	lab_ok(l, PORT_DEL("k"), NULL);
	lab_ok(l, ASK("switch show", ""), "{\"switch\":{}}");
	lab_refused(l, SINK("k", ",\"to\":\"" MAC("01") "\""),
		    "to goes with source, not with sink");
	lab_refused(l, SINK("k", ",\"size\":100"), "size goes with source, not with sink");
	lab_refused(l, ASK("switch port add", "\"name\":\"k\""), "needs one of sink, source");
	lab_refused(l, SINK("k", ",\"source\":true"), "needs one of sink, source");
	lab_refused(l, ASK("switch port add", "\"name\":\"s\",\"source\":true"),
		    "source needs to LLADDR");
	lab_ok(l, SINK("k", ",\"mac\":\"" MAC("02") "\""), NULL);
	lab_refused(l, SINK("m", ",\"mac\":\"" MAC("02") "\""),
		    "mac " MAC("02") ": another port has that address");
	lab_refused(l, PORT("m"), "no device or port 'm'");
}

static off_t size_of(const struct lab *l, const char *name)
{
	char path[160];
	struct stat st;

	lab_path(l, "", name, path, sizeof(path));
	return stat(path, &st) ? -1 : st.st_size;
}

static void mirror_has_the_ports_frames_when_it_is_deleted(void **state)
{
	struct lab *l = *state;

	lab_ok(l, ADD("d", ""), NULL);
	lab_ok(l, with(l, MIRROR("d", ",\"max\":\"1M\""), "d.pcap"), NULL);
	lab_ok(l, PORT("d"), "\"mirrored\":true");
	lab_ok(l, PORT("d"), "d.pcap\",\"frames\":0,\"bytes\":0,\"dropped\":0}");
	lab_refused(l, with(l, MIRROR("d", ""), "e.pcap"), "'d' is mirrored to ");
	lab_ok(l, ASK("dev announce", "\"name\":\"d\""), NULL);
	wait_for(l, PORT("d"), "\"tx_packets\":1,");
	lab_ok(l, MIRROR_DEL("d"), NULL);
	/* File header, a frame's header, the frame. */
	assert_int_equal(size_of(l, "d.pcap"), 24 + 16 + 60);
	lab_ok(l, PORT("d"), "\"mirrored\":false");
	assert_null(strstr(lab_ask(l, PORT("d")), "\"mirror\":"));
	lab_refused(l, MIRROR_DEL("d"), "'d' is not mirrored");
	lab_refused(l, ASK("mirror add", "\"name\":\"d\",\"file\":\"/nonexistent/x\""),
		    "/nonexistent/x");
	lab_ok(l, PORT("d"), "\"mirrored\":false");
	lab_refused(l, with(l, MIRROR("e", ""), "e.pcap"), "no device or port 'e'");
	assert_false(lab_exists(l, "e.pcap"));
}

static void mirror_ends_with_its_port(void **state)
{
	struct lab *l = *state;

	lab_ok(l, ADD("d", ""), NULL);
	lab_ok(l, with(l, MIRROR("d", ""), "d.pcap"), NULL);
	lab_ok(l, DEL("d"), NULL);
	/* The name is free for another. */
	lab_ok(l, ADD("d", ""), NULL);
	lab_ok(l, PORT("d"), "\"mirrored\":false");
	wait_for(l, with(l, MIRROR("d", ""), "d2.pcap"), "\"ok\"");
	lab_ok(l, with(l, STREAM("u", ",\"listen\":\"on\""), "u.sock"), NULL);
	lab_ok(l, with(l, MIRROR("u", ""), "u.pcap"), NULL);
	lab_ok(l, UPLINK_DEL("u"), NULL);
	lab_ok(l, SINK("u", ""), NULL);
	wait_for(l, with(l, MIRROR("u", ""), "u2.pcap"), "\"ok\"");
	lab_ok(l, PORT_DEL("u"), NULL);
	lab_ok(l, SINK("u", ""), NULL);
	wait_for(l, with(l, MIRROR("u", ""), "u3.pcap"), "\"ok\"");
}

/* Nobody tells the owner before a guest's driver deletes its device, or resets mgmt0. */
static void mirror_ends_with_a_device_that_its_driver_deletes(void **state)
{
	struct lab_pair *both = *state;
	struct lab *l = &both->serving, *managing = &both->managing;
	const char *answer;
	unsigned int fds;

	lab_ok(managing, ADD("d", ""), "\"device_id\":1");
	lab_ok(managing, ADD("e", ""), "\"device_id\":2");
	lab_ok(l, with(l, MIRROR("2", ""), "2.pcap"), NULL);
	fds = lab_fds(l);
	lab_ok(l, with(l, MIRROR("1", ""), "1.pcap"), NULL);
	lab_ok(managing, DEL("d"), NULL);
	wait_for_fds(l, fds);
	/* It ends by itself: there is none to delete. */
	do
		answer = lab_ask(l, MIRROR_DEL("1"));
	while (strstr(answer, "is being deleted"));
	assert_holds(answer, "'1' is not mirrored");
	lab_ok(l, PORT("2"), "\"mirrored\":true");
	assert_int_equal(lab_stop(managing, SIGTERM), 0);
	wait_for(l, ASK("switch show", ""), "{\"switch\":{}}");
	wait_for(l, MIRROR_DEL("2"), "'2' is not mirrored");
}

static void daemon_with_uplinks_mirrors_and_traffic_ends_cleanly(void **state)
{
	struct lab *l = *state;
	static const char *const workers[] = { "0", "1", "2" };
	char pcap[16];

	for (unsigned int i = 0; i < 3; i++) {
		if (i)
			assert_true(lab_start(l, "--workers", workers[i], NULL));
		lab_ok(l, SINK("k", ",\"mac\":\"" MAC("02") "\""), NULL);
		lab_ok(l, SOURCE("s", MAC("02")), NULL);
		lab_ok(l, ADD("d", ""), NULL);
		lab_ok(l, with(l, STREAM("u", ",\"listen\":\"on\""), "u.sock"), NULL);
		lab_ok(l, with(l, STREAM("v", ""), "nobody.sock"), NULL);
		snprintf(pcap, sizeof(pcap), "s%u.pcap", i);
		lab_ok(l, with(l, MIRROR("s", ",\"max\":\"1M\""), pcap), NULL);
		pcap[0] = 'd';
		lab_ok(l, with(l, MIRROR("d", ""), pcap), NULL);
		assert_int_equal(lab_stop(l, SIGTERM), 0);
		assert_false(lab_exists(l, "u.sock"));
		if (strstr(l->log, "in time"))
			fail_msg("%s", l->log);
		assert_int_equal(size_of(l, pcap), 24);
	}
}

/* More than a page of each, and devices that go meanwhile. */
static void listings_show_each_port_and_each_address_once(void **state)
{
	enum { N = 150 };
	struct lab *l = *state;
	char input[N * 64] = "", key[64];
	struct json_object *o, *list;

	for (unsigned int i = 0; i < N; i++)
		sprintf(input + strlen(input), "dev add d%u mgmtdev mgmt0 class net\n", i);
	assert_int_equal(lab_ctl(l, input, out, err, "-batch", "-", NULL), 0);
	lab_ok(l, ASK("switch show", ""), "\"next\":64");
	for (unsigned int fdb = 0; fdb < 2; fdb++) {
		assert_int_equal(fdb ? lab_ctl(l, NULL, out, err, "-j", "switch", "fdb", "show",
					       NULL)
				     : lab_ctl(l, NULL, out, err, "-j", "switch", "show", NULL),
				 0);
		o = json_tokener_parse(out);
		assert_true(json_object_object_get_ex(o, fdb ? "fdb" : "switch", &list));
		assert_int_equal(json_object_object_length(list), N);
		for (unsigned int i = 0; i < N; i++) {
			struct json_object *v;

			snprintf(key, sizeof(key), "d%u", i);
			assert_true(json_object_object_get_ex(list, key, &v));
			if (fdb) {
				assert_int_equal(json_object_array_length(v), 1);
				assert_holds(json_object_to_json_string(v), "\"own\"");
			}
		}
		json_object_put(o);
	}
	lab_ok(l, DEL("d64"), NULL);
	lab_ok(l, ASK("switch show", "\"from\":64"), "{\"switch\":{\"d65\":");
	lab_ok(l, ASK("switch show", "\"from\":4294967296"), "{\"switch\":{}}");
	lab_ok(l, ASK("switch show", "\"from\":\"18446744073709551615\""), "{\"switch\":{}}");
	lab_ok(l, ASK("switch fdb show", "\"from\":\"18446744073709551615\""), "\"fdb\":{");
}

/* From 52:54:00:00:00:LAST, to all. */
static void put_frame(int fd, uint8_t last)
{
	/* Length, destination, source, an EtherType for experiments. */
	uint8_t bytes[4 + 60] = { 0,   0,   0,	  60,	255,  255, 255, 255,
				  255, 255, 0x52, 0x54, 0x00, 0,   0,	last };

	bytes[16] = 0x88;
	bytes[17] = 0xb5;
	assert_int_equal(send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL), sizeof(bytes));
}

static void address_that_an_uplink_brings_is_shown_as_learned(void **state)
{
	struct lab *l = *state;
	int fd;

	lab_ok(l, ADD("d", ",\"mac\":\"" MAC("01") "\",\"vlan\":10"), NULL);
	lab_ok(l, with(l, STREAM("u", ",\"listen\":\"on\",\"vlan\":10"), "u.sock"), NULL);
	fd = dial(l, "u.sock");
	put_frame(fd, 0x77);
	wait_for(l, ASK("switch fdb show", ""), "\"learned\"");
	lab_ok(l, ASK("switch fdb show", ""),
	       "\"u\":[{\"mac\":\"" MAC("77") "\",\"state\":\"learned\",\"vlan\":10,\"age\":");
	lab_ok(l, ASK("switch fdb show", ""),
	       "\"d\":[{\"mac\":\"" MAC("01") "\",\"state\":\"own\",\"port\":1}]");
	lab_ok(l, PORT("u"), "\"learned\":1");
	/* The device has no buffers: its drop, which text shows and zeroes are left out of. */
	lab_ok(l, PORT("d"), "\"no-buffer\":1");
	assert_int_equal(lab_ctl(l, NULL, out, err, "switch", "show", NULL), 0);
	assert_holds(out,
		     "d: port 1 kind device device_id 1 mgmtdev mgmt0 mac " MAC("01") " link up");
	assert_holds(out, "\n  drops no-buffer 1\nu: port 2 kind uplink ");
	assert_int_equal(lab_ctl(l, NULL, out, err, "switch", "fdb", NULL), 0);
	assert_holds(out, "u: mac " MAC("77") " state learned vlan 10 age ");
	close(fd);
}

static void frames_pass_from_one_daemons_switch_to_anothers(void **state)
{
	struct lab *l = *state, other;

	lab_begin(&other);
	assert_true(lab_start(&other, NULL));
	lab_ok(l, with(l, STREAM("there", ",\"listen\":\"on\""), "wire"), NULL);
	lab_ok(&other, with(l, STREAM("here", ""), "wire"), NULL);
	wait_for(l, UPLINK("there"), "\"state\":\"up\"");
	wait_for(&other, UPLINK("here"), "\"state\":\"up\"");
	lab_ok(l, ADD("a", ",\"mac\":\"" MAC("0a") "\""), NULL);
	lab_ok(&other, ADD("b", ",\"mac\":\"" MAC("0b") "\""), NULL);
	lab_ok(l, ASK("dev announce", "\"name\":\"a\""), NULL);
	wait_for(&other, ASK("switch fdb show", ""), "\"here\":[{\"mac\":\"" MAC("0a") "\"");
	lab_ok(&other, ASK("dev announce", "\"name\":\"b\""), NULL);
	wait_for(l, ASK("switch fdb show", ""), "\"there\":[{\"mac\":\"" MAC("0b") "\"");
	lab_end(&other);
	wait_for(l, UPLINK("there"), "\"state\":\"listening\"");
}

/* One port's addresses are in several pages of the answer. */
static void all_addresses_of_a_port_are_listed(void **state)
{
	enum { N = 200 };
	struct lab *l = *state;
	struct json_object *o, *list;
	int fd;

	lab_ok(l, with(l, STREAM("u", ",\"listen\":\"on\""), "u.sock"), NULL);
	fd = dial(l, "u.sock");
	for (uint8_t i = 0; i < N; i++)
		put_frame(fd, i);
	wait_for(l, PORT("u"), "\"learned\":200");
	assert_int_equal(lab_ctl(l, NULL, out, err, "-j", "switch", "fdb", "show", NULL), 0);
	o = json_tokener_parse(out);
	assert_true(json_object_object_get_ex(o, "fdb", &list) &&
		    json_object_object_get_ex(list, "u", &list));
	assert_int_equal(json_object_array_length(list), N);
	json_object_put(o);
	close(fd);
}

static void ports_are_added_by_the_words_of_tvqctl(void **state)
{
	struct lab *l = *state;
	char path[160];

	lab_path(l, "", "u.sock", path, sizeof(path));
	assert_int_equal(lab_ctl(l, NULL, out, err, "switch", "port", "add", "k", "sink", NULL), 0);
	assert_int_equal(strncmp(out, "k: mac ", 7), 0);
	assert_int_equal(lab_ctl(l, NULL, out, err, "switch", "port", "add", "s", "source", "mac",
				 MAC("03"), "to", MAC("04"), "size", "100", NULL),
			 0);
	assert_string_equal(out, "");
	assert_int_equal(lab_ctl(l, NULL, out, err, "uplink", "add", "u", "stream", path, "listen",
				 "on", "trunk", "2-4", NULL),
			 0);
	assert_int_equal(lab_ctl(l, NULL, out, err, "uplink", "show", NULL), 0);
	assert_holds(out, " listen true mtu 1500 trunk 2-4 state listening port 3\n");
	assert_int_equal(lab_ctl(l, "switch port del s\nuplink del u\nswitch port add t sink\n",
				 out, err, "-batch", "-", NULL),
			 0);
	lab_ok(l, PORT("t"), "\"kind\":\"sink\"");
	assert_int_equal(lab_ctl(l, NULL, out, err, "switch", "port", "add", "x", "sinker", NULL),
			 2);
	assert_holds(err, "no argument 'sinker'; there are: name, sink, source, mac, to, size");
}

static int open_both(void **state)
{
	return lab_setup_pair(state, NULL);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, lab_setup, lab_teardown)
	const struct CMUnitTest tests[] = {
		TEST(uplink_is_a_port_with_its_rules_until_it_is_deleted),
		TEST(uplink_that_cannot_be_is_refused_and_leaves_nothing),
		TEST(names_of_ports_and_devices_are_one_space),
		TEST(source_sends_to_the_sink_and_both_are_counted),
		TEST(mirror_has_the_ports_frames_when_it_is_deleted),
		TEST(mirror_ends_with_its_port),
		cmocka_unit_test_setup_teardown(mirror_ends_with_a_device_that_its_driver_deletes,
						open_both, lab_teardown_pair),
		TEST(daemon_with_uplinks_mirrors_and_traffic_ends_cleanly),
		TEST(listings_show_each_port_and_each_address_once),
		TEST(address_that_an_uplink_brings_is_shown_as_learned),
		TEST(frames_pass_from_one_daemons_switch_to_anothers),
		TEST(all_addresses_of_a_port_are_listed),
		TEST(ports_are_added_by_the_words_of_tvqctl),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
