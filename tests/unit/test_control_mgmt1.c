/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The management device that a serving daemon has for itself: mgmt1, on the switch and the volumes
 * of mgmt0, which another daemon drives.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control_lab.h"
#include "control_requests.h"

/* At the serving daemon, of the one and the other class. */
#define ADD1(name, class, more)                                                                    \
	ASK("dev add", "\"name\":\"" name "\",\"mgmtdev\":\"mgmt1\",\"class\":\"" class "\"" more)
#define NET1(name, more) ADD1(name, "net", more)
#define BLOCK(name, volume)                                                                        \
	ASK("dev add", "\"name\":\"" name "\",\"mgmtdev\":\"mgmt0\",\"class\":\"block\","          \
		       "\"volume\":\"" volume "\"")
#define VOLUME(name) ASK("volume add", "\"name\":\"" name "\",\"ram\":\"1M\"")
#define VOLUME_FOR(name, mgmtdev, what)                                                            \
	ASK("volume add", "\"name\":\"" name "\",\"mgmtdev\":\"" mgmtdev "\"," what)
#define ANY_BLOCK	  ASK("dev add", "\"name\":\"d\",\"mgmtdev\":\"mgmt0\",\"class\":\"block\"")
#define VOLUME_DEL(name)  ASK("volume del", "\"name\":\"" name "\"")
#define VOLUME_SHOW(name) ASK("volume show", "\"name\":\"" name "\"")
#define DEV(name)	  ASK("dev show", "\"name\":\"" name "\"")
#define CONFIG(name)	  ASK("dev config show", "\"name\":\"" name "\"")
#define VSTATS(name)	  ASK("dev vstats show", "\"name\":\"" name "\"")
#define ANNOUNCE(name)	  ASK("dev announce", "\"name\":\"" name "\"")
#define MGMT(name)	  ASK("mgmtdev show", "\"name\":\"" name "\"")
#define LINK(name, to)	  ASK("dev set", "\"name\":\"" name "\",\"link\":\"" to "\"")

static int open_pair(void **state)
{
	return lab_setup_pair(state, NULL);
}

static int open_network_pair(void **state)
{
	return lab_setup_pair(state, "net");
}

static void assert_lacks(const char *text, const char *part)
{
	if (strstr(text, part))
		fail_msg("'%s' is in '%s'", part, text);
}

/* Neither runs yet; socket becomes the argument that both take. */
#define SOCKET_ARG 192
static void begin_both(struct lab_pair *p, char socket[SOCKET_ARG])
{
	lab_begin(&p->serving);
	lab_begin(&p->managing);
	lab_path(&p->serving, "vfio-user:", "mgmt0.sock", socket, SOCKET_ARG);
}

/* The managing daemon goes, and another comes in its place. */
static void manage_again(struct lab_pair *p, int signal)
{
	char socket[SOCKET_ARG];

	lab_path(&p->serving, "vfio-user:", "mgmt0.sock", socket, sizeof(socket));
	lab_stop(&p->managing, signal);
	assert_true(lab_start(&p->managing, "--manage", socket, NULL));
}

static void serving_daemon_shows_both_of_its_management_devices(void **state)
{
	struct lab_pair *p = *state;
	struct lab *l = &p->serving;
	static char out[LAB_OUT];

	lab_ok(l, ASK("mgmtdev show", ""), "{\"mgmtdev\":{\"mgmt0\":{\"served\":");
	lab_ok(l, ASK("mgmtdev show", ""),
	       "},\"mgmt1\":{\"supported_classes\":[\"net\",\"block\"]");
	assert_int_equal(lab_ctl(l, NULL, out, NULL, "mgmtdev", "show", NULL), 0);
	assert_int_equal(strncmp(out, "mgmt0: ", 7), 0);
	assert_holds(out, "\nmgmt1: ");
	assert_lacks(lab_ask(l, MGMT("mgmt0")), "mgmt1");
	assert_lacks(lab_ask(l, MGMT("mgmt1")), "mgmt0");
	lab_ok(l, MGMT("mgmt0"), "\"type\":\"network\"");
	lab_ok(l, MGMT("mgmt1"), "\"type\":\"block\"");
	lab_ok(l, NET1("a", ""), NULL);
	lab_ok(l, MGMT("mgmt0"), "\"devices\":0,");
	lab_ok(l, MGMT("mgmt1"), "\"devices\":1,");
	lab_refused(l, MGMT("mgmt2"), "no management device 'mgmt2'; there are mgmt0 and mgmt1");
	lab_refused(&p->managing, MGMT("mgmt1"),
		    "no management device 'mgmt1'; there is only mgmt0");
}

static void device_is_added_where_it_may_be_added(void **state)
{
	struct lab_pair *p = *state;
	struct lab *l = &p->serving;

	lab_refused(l, ADD("a", ""), "mgmt0 is driven by the vfio-user client of");
	lab_refused(l, ADD("a", ""), "mgmt1 is this tvqd's own");
	lab_refused(l, ADD("a", ""), "\"errno\":\"EOPNOTSUPP\"");
	lab_refused(l, ASK("dev add", "\"name\":\"a\",\"mgmtdev\":\"m\",\"class\":\"net\""),
		    "mgmtdev 'm': there are mgmt0 and mgmt1");
	lab_refused(&p->managing, NET1("a", ""), "mgmtdev 'mgmt1': there is only mgmt0");
	lab_ok(l, NET1("a", ""), "\"device_id\":1");
	lab_refused(l, ADD1("b", "tape", ""), "class 'tape' is not known; mgmt1 has: net block");
	lab_refused(l, NET1("b", ",\"max_vqp\":1000"), "a net device of mgmt1 has at most");
	lab_refused(l, ADD1("b", "block", ",\"num_queues\":1000"),
		    "a block device of mgmt1 has at most");
	lab_refused(l, NET1("b", ",\"features\":1"), "VERSION_1 and ACCESS_PLATFORM are required");
}

static void name_at_a_serving_daemon_is_no_number(void **state)
{
	struct lab_pair *p = *state;
	struct lab *l = &p->serving;

	lab_refused(l, NET1("7", ""), "name '7': numbers are those of devices; it needs a letter");
	lab_refused(l, NET1("mgmt0", ""), "name 'mgmt0' is the management device's");
	lab_refused(l, NET1("mgmt1", ""), "name 'mgmt1' is the management device's");
	lab_ok(l, NET1("7a", ""), NULL);
	lab_refused(l, NET1("7a", ""), "name '7a' is taken by another device");
	lab_refused(l, ASK("switch port add", "\"name\":\"7a\",\"sink\":true"),
		    "name '7a' is taken by another device");
	/* Who has names only may use any. */
	lab_ok(&p->managing, ADD("7", ""), NULL);
	lab_ok(&p->managing, ADD("mgmt1", ""), NULL);
}

/* Both have a device 1, and no request takes the one for the other. */
static void devices_with_the_same_number_are_told_apart(void **state)
{
	struct lab_pair *p = *state;
	struct lab *l = &p->serving, *managing = &p->managing;

	lab_ok(l, NET1("own", ",\"mac\":\"" MAC("01") "\""), "\"device_id\":1");
	lab_ok(managing, ADD("d", ",\"mac\":\"" MAC("02") "\""), "\"device_id\":1");
	lab_ok(l, ASK("dev show", ""), "\"own\":{\"type\":\"network\",\"mgmtdev\":\"mgmt1\",");
	lab_ok(l, ASK("dev show", ""), "\"1\":{\"type\":\"network\",\"mgmtdev\":\"mgmt0\",");
	lab_ok(l, DEV("own"), "{\"own\":{\"type\":\"network\",\"mgmtdev\":\"mgmt1\",");
	lab_ok(l, DEV("1"), "{\"1\":{\"type\":\"network\",\"mgmtdev\":\"mgmt0\",");
	lab_ok(l, ASK("switch show", ""), "\"mgmt0\":{\"port\":1,\"kind\":\"mgmtdev\",");
	lab_ok(l, ASK("switch show", ""),
	       "\"own\":{\"port\":2,\"kind\":\"device\",\"device_id\":1,"
	       "\"mgmtdev\":\"mgmt1\",\"mac\":\"" MAC("01"));
	lab_ok(l, ASK("switch show", ""),
	       "\"1\":{\"port\":3,\"kind\":\"device\",\"device_id\":1,"
	       "\"mgmtdev\":\"mgmt0\",\"mac\":\"" MAC("02"));
	lab_ok(l, ASK("switch fdb show", ""), "\"own\":[{\"mac\":\"" MAC("01") "\"");
	lab_ok(l, ASK("switch fdb show", ""), "\"1\":[{\"mac\":\"" MAC("02") "\"");

	lab_ok(l, LINK("own", "down"), NULL);
	lab_ok(l, CONFIG("own"), "\"link\":\"down\"");
	lab_ok(managing, CONFIG("d"), "\"link\":\"up\"");
	lab_ok(l, LINK("own", "up"), NULL);
	lab_ok(l, LINK("1", "down"), NULL);
	lab_ok(l, CONFIG("own"), "\"link\":\"up\"");
	lab_ok(managing, CONFIG("d"), "\"link\":\"down\"");
	lab_ok(l, ASK("dev set", "\"name\":\"own\",\"vlan\":5"), NULL);
	lab_ok(l, PORT("own"), "\"link\":\"up\",\"mtu\":1500,\"vlan\":5");
	lab_ok(l, PORT("1"), "\"link\":\"down\",\"mtu\":1500,\"spoofchk\"");
	lab_ok(l, LINK("mgmt0", "down"), NULL);
	lab_ok(l, PORT("mgmt0"), "\"link\":\"down\"");
	lab_refused(l, LINK("mgmt1", "down"), "'mgmt1' is a block device: it has no port");

	lab_ok(l, DEL("own"), NULL);
	lab_refused(l, DEV("own"), "no device 'own': the owner of mgmt0 knows its devices by");
	lab_ok(l, DEV("1"), NULL);
	lab_ok(managing, DEV("d"), NULL);
}

/* The switch sends for them, and the other one's port is where it goes. */
static void each_device_is_announced_to_the_other(void **state)
{
	struct lab_pair *p = *state;
	struct lab *l = &p->serving;

	lab_ok(l, NET1("own", ""), "\"device_id\":1");
	lab_ok(&p->managing, ADD("d", ""), "\"device_id\":1");
	lab_ok(l, ANNOUNCE("own"), NULL);
	while (!strstr(lab_ask(l, PORT("own")), "\"tx_packets\":1,\"tx_bytes\":60,"))
		usleep(1000);
	lab_ok(l, PORT("1"), "\"tx_packets\":0,");
	lab_ok(l, PORT("1"), "\"no-buffer\":1");
	lab_ok(l, ANNOUNCE("1"), NULL);
	while (!strstr(lab_ask(l, PORT("1")), "\"tx_packets\":1,\"tx_bytes\":60,"))
		usleep(1000);
	lab_ok(l, PORT("own"), "\"tx_packets\":1,");
	lab_ok(l, PORT("own"), "\"no-buffer\":1");
}

static void address_is_one_ports_of_either(void **state)
{
	struct lab_pair *p = *state;
	struct lab *l = &p->serving, *managing = &p->managing;

	lab_ok(managing, ADD("d", ",\"mac\":\"" MAC("01") "\""), NULL);
	lab_refused(l, NET1("own", ",\"mac\":\"" MAC("01") "\""),
		    "mac " MAC("01") ": it is the address of '1'");
	lab_ok(l, NET1("own", ",\"mac\":\"" MAC("02") "\""), NULL);
	lab_refused(managing, ADD("e", ",\"mac\":\"" MAC("02") "\""),
		    "has another net device this address?");
	lab_refused(l, NET1("b", ",\"mac\":\"" MAC("02") "\""),
		    "mac " MAC("02") ": it is the address of 'own'");
}

static void ports_of_both_can_be_mirrored(void **state)
{
	struct lab_pair *p = *state;
	struct lab *l = &p->serving;
	char request[512], path[160];

	lab_ok(l, NET1("own", ""), NULL);
	lab_ok(&p->managing, ADD("d", ""), NULL);
	lab_path(l, "", "own.pcap", path, sizeof(path));
	snprintf(request, sizeof(request), ASK("mirror add", "\"name\":\"own\",\"file\":\"%s\""),
		 path);
	lab_ok(l, request, NULL);
	lab_ok(l, PORT("own"), "\"mirrored\":true");
	lab_ok(l, PORT("1"), "\"mirrored\":false");
	lab_path(l, "", "1.pcap", path, sizeof(path));
	snprintf(request, sizeof(request), ASK("mirror add", "\"name\":\"1\",\"file\":\"%s\""),
		 path);
	lab_ok(l, request, NULL);
	lab_ok(l, PORT("1"), "1.pcap\",\"frames\":0");
	lab_ok(l, ASK("mirror del", "\"name\":\"own\""), NULL);
	lab_ok(l, PORT("own"), "\"mirrored\":false");
	lab_ok(l, PORT("1"), "\"mirrored\":true");
}

static void what_only_the_driver_of_a_device_can_do_is_refused_by_its_number(void **state)
{
	static const char driven[] = "mgmt0 is driven by the vfio-user client of";
	struct lab_pair *p = *state;
	struct lab *l = &p->serving;

	lab_ok(l, VOLUME("v"), NULL);
	lab_ok(&p->managing, BLOCK("d", "v"), "\"device_id\":1");
	lab_refused(l, DEL("1"), driven);
	lab_refused(l, DEL("1"), "\"errno\":\"EOPNOTSUPP\"");
	lab_refused(l, CONFIG("1"), driven);
	lab_refused(l, VSTATS("1"), driven);
	lab_refused(l, DEL("2"), "no device '2'");
	lab_refused(l, DEV("01"), "no device '01'");
	lab_refused(l, CONFIG("d"), "\"errno\":\"ENOENT\"");
	lab_ok(&p->managing, DEL("d"), NULL);
	lab_ok(l, ADD1("own", "block", ",\"volume\":\"v\""), NULL);
	lab_ok(l, CONFIG("own"), "\"capacity\":2048");
	lab_ok(l, VSTATS("own"), "\"qidx\":0");
}

/* Asked for all, those of the client are left out: that they are driven by another is no error. */
static void configuration_is_shown_of_all_that_this_daemon_drives(void **state)
{
	static char out[LAB_OUT], err[LAB_OUT];
	struct lab_pair *p = *state;
	struct lab *l = &p->serving;

	lab_ok(&p->managing, ADD("d", ",\"mac\":\"" MAC("02") "\""), "\"device_id\":1");
	assert_int_equal(lab_ctl(l, NULL, out, err, "dev", "config", "show", NULL), 0);
	assert_string_equal(out, "");
	lab_ok(l, NET1("a", ",\"mac\":\"" MAC("01") "\""), NULL);
	lab_ok(l, NET1("b", ",\"mac\":\"" MAC("03") "\""), NULL);
	assert_int_equal(lab_ctl(l, NULL, out, err, "dev", "config", "show", NULL), 0);
	assert_string_equal(err, "");
	assert_holds(out, "a: mac " MAC("01"));
	assert_holds(out, "b: mac " MAC("03"));
	assert_lacks(out, MAC("02"));
	assert_int_equal(lab_ctl(l, NULL, out, err, "dev", "config", "show", "1", NULL), 1);
	assert_holds(err, "mgmt0 is driven by the vfio-user client of");
}

/* Ids are those of one management device only. */
static void log_lines_say_which_management_device_they_mean(void **state)
{
	struct lab_pair *p = *state;
	struct lab *l = &p->serving;
	char socket[SOCKET_ARG];

	begin_both(p, socket);
	assert_true(lab_start(l, "--log-level", "debug", "--serve", socket, NULL));
	assert_true(lab_start(&p->managing, "--manage", socket, NULL));
	lab_refused(l, ADD1("own", "block", ",\"volume\":\"v\""), "no volume 'v'");
	assert_int_equal(lab_stop(l, SIGTERM), 0);
	assert_holds(l->log, " mgmt1: device 0: VDEV CREATE failed");
	assert_lacks(l->log, "mgmt0: device 0");
	assert_int_equal(WEXITSTATUS(lab_wait(&p->managing)), 1);

	assert_true(lab_start(l, "--log-level", "debug", "--serve", socket, NULL));
	assert_true(lab_start(&p->managing, "--manage", socket, NULL));
	lab_refused(&p->managing, BLOCK("d", "v"), "mgmt0 refused to create 'd'");
	assert_int_equal(lab_stop(l, SIGTERM), 0);
	assert_holds(l->log, " mgmt0: device 0: VDEV CREATE failed");
	assert_lacks(l->log, "mgmt1: device 0");
	assert_int_equal(WEXITSTATUS(lab_wait(&p->managing)), 1);
}

static void commands_of_its_own_are_traced(void **state)
{
	struct lab_pair *p = *state;
	int fd = lab_connect(&p->serving);
	const char *line;

	lab_send(fd, "{\"cmd\":\"trace\"}\n");
	assert_holds(lab_line(fd), "\"ok\"");
	lab_ok(&p->managing, ADD("d", ""), NULL);
	lab_ok(&p->serving, NET1("own", ",\"mac\":\"" MAC("01") "\""), NULL);
	line = lab_line(fd);
	assert_holds(line, "VDEV CREATE");
	assert_holds(line, "\"mgmtdev\":\"mgmt1\",\"device_id\":0,");
	close(fd);
}

static void volume_is_one_devices_of_either(void **state)
{
	struct lab_pair *p = *state;
	struct lab *l = &p->serving, *managing = &p->managing;

	/* A daemon that serves has no memory for the asking. */
	lab_refused(l, ADD1("own", "block", ""), "no volume is free and there is no pool");
	lab_ok(l, VOLUME("v"), NULL);
	lab_ok(l, ADD1("own", "block", ",\"volume\":\"v\""), NULL);
	lab_refused(managing, BLOCK("d", "v"), "mgmt0 refused to create 'd': is volume 'v' there");
	lab_refused(l, VOLUME_DEL("v"), "volume 'v' is in use by device 'own': dev del it first");
	lab_ok(l, DEL("own"), NULL);
	lab_ok(managing, BLOCK("d", "v"), "\"device_id\":2");
	lab_refused(l, ADD1("own", "block", ",\"volume\":\"v\""),
		    "volume 'v' is in use by device '2': a volume serves one device at a time");
	lab_refused(l, VOLUME_DEL("v"),
		    "volume 'v' is in use by device '2': the vfio-user client has to delete it");
	lab_ok(managing, DEL("d"), NULL);
	lab_ok(l, VOLUME_DEL("v"), NULL);
}

/* TQ-143. Not before its device is added, not while that has it, and not afterwards. */
static void volume_for_mgmt1_is_not_there_for_the_client_of_mgmt0(void **state)
{
	static const char by_id[] = "mgmt0 refused to create 'd': is volume 'v' there";
	struct lab_pair *p = *state;
	struct lab *l = &p->serving, *managing = &p->managing;
	char request[512];

	snprintf(request, sizeof(request), VOLUME_FOR("v", "mgmt1", "\"file\":\"%s\""),
		 lab_file(l, "v.img", 1 << 20));
	lab_ok(l, request, NULL);
	lab_ok(l, VOLUME_SHOW("v"), "\"in_use\":false,\"made\":false,\"for\":\"mgmt1\"}");
	lab_refused(managing, BLOCK("d", "v"), by_id);
	lab_refused(managing, ANY_BLOCK, "mgmt0 refused to create 'd'");
	lab_ok(l, ADD1("own", "block", ",\"volume\":\"v\""), NULL);
	lab_ok(l, VOLUME_SHOW("v"), "\"for\":\"mgmt1\",\"device\":\"own\",\"mgmtdev\":\"mgmt1\"}");
	lab_refused(managing, BLOCK("d", "v"), by_id);
	lab_ok(l, DEL("own"), NULL);
	lab_refused(managing, BLOCK("d", "v"), by_id);
	lab_refused(managing, ANY_BLOCK, "mgmt0 refused to create 'd'");
	lab_ok(l, ADD1("own", "block", ""), NULL);
	lab_ok(l, DEV("own"), "\"volume\":\"v\"");

	/* What is for any is there for both. */
	lab_ok(l, VOLUME("w"), NULL);
	assert_lacks(lab_ask(l, VOLUME_SHOW("w")), "\"for\"");
	lab_ok(managing, ANY_BLOCK, NULL);
	lab_ok(l, VOLUME_SHOW("w"), "\"mgmtdev\":\"mgmt0\"}");
}

static void volume_for_mgmt0_is_not_given_to_devices_of_mgmt1(void **state)
{
	struct lab_pair *p = *state;
	struct lab *l = &p->serving, *managing = &p->managing;

	lab_refused(l, VOLUME_FOR("v", "m", "\"ram\":\"1M\""),
		    "mgmtdev 'm': there are mgmt0 and mgmt1");
	lab_refused(l, VOLUME_SHOW("v"), "no volume 'v'");
	lab_ok(l, VOLUME_FOR("v", "mgmt0", "\"ram\":\"1M\""), NULL);
	lab_refused(l, ADD1("own", "block", ",\"volume\":\"v\""),
		    "volume 'v' is for devices of mgmt0: one for those of mgmt1 is added with "
		    "mgmtdev mgmt1");
	lab_refused(l, ADD1("own", "block", ""), "no volume is free");
	lab_ok(managing, BLOCK("d", "v"), NULL);
	lab_refused(l, ADD1("own", "block", ",\"volume\":\"v\""), "is for devices of mgmt0");
	lab_ok(managing, DEL("d"), NULL);
	lab_refused(l, ADD1("own", "block", ""), "no volume is free");
	lab_ok(managing, ANY_BLOCK, NULL);
	lab_ok(l, VOLUME_SHOW("v"), "\"for\":\"mgmt0\",\"device\":\"2\",\"mgmtdev\":\"mgmt0\"}");
}

static void pool_makes_images_for_the_devices_of_one(void **state)
{
	struct lab_pair *p = *state;
	struct lab *l = &p->serving, *managing = &p->managing;
	char request[512];

	snprintf(request, sizeof(request), VOLUME_FOR("p", "mgmt1", "\"pool\":\"%s\""), l->dir);
	lab_ok(l, request, NULL);
	lab_ok(l, VOLUME_SHOW("p"), "\"for\":\"mgmt1\"}");
	lab_refused(managing, ANY_BLOCK, "mgmt0 refused to create 'd'");
	lab_ok(l, ADD1("own", "block", ""), NULL);
	lab_ok(l, VOLUME_SHOW("p-1"), "\"made\":true,\"for\":\"mgmt1\"");
	lab_ok(l, DEL("own"), NULL);
	lab_ok(l, VOLUME_DEL("p"), NULL);
	snprintf(request, sizeof(request), VOLUME_FOR("q", "mgmt0", "\"pool\":\"%s\""), l->dir);
	lab_ok(l, request, NULL);
	lab_refused(l, ADD1("own", "block", ""), "no volume is free and there is no pool");
	lab_ok(managing, ANY_BLOCK, NULL);
}

/* One that was found free is told by its name, too. */
static void volume_that_nobody_named_is_in_use_by_a_name(void **state)
{
	struct lab_pair *p = *state;

	lab_ok(&p->serving, VOLUME("v"), NULL);
	lab_ok(&p->serving, ADD1("own", "block", ""), NULL);
	lab_ok(&p->serving, DEV("own"), "\"volume\":\"v\"");
	lab_refused(&p->serving, VOLUME_DEL("v"), "in use by device 'own': dev del it first");
}

static void volume_is_shown_with_the_device_that_has_it(void **state)
{
	struct lab_pair *p = *state;
	struct lab *l = &p->serving;
	char request[256];

	lab_ok(l, VOLUME("v"), NULL);
	assert_lacks(lab_ask(l, VOLUME_SHOW("v")), "mgmtdev");
	lab_ok(l, ADD1("own", "block", ",\"volume\":\"v\""), "\"device_id\":1");
	lab_ok(l, VOLUME("w"), NULL);
	lab_ok(&p->managing, BLOCK("d", "w"), "\"device_id\":1");
	lab_ok(l, VOLUME_SHOW("v"), "\"device\":\"own\",\"mgmtdev\":\"mgmt1\"");
	lab_ok(l, VOLUME_SHOW("w"), "\"device\":\"1\",\"mgmtdev\":\"mgmt0\"");
	lab_ok(l, DEL("own"), NULL);
	assert_lacks(lab_ask(l, VOLUME_SHOW("v")), "mgmtdev");

	/* A pool has no one device. */
	lab_ok(l, VOLUME_DEL("v"), NULL);
	snprintf(request, sizeof(request),
		 ASK("volume add", "\"name\":\"p\",\"pool\":\"%s\",\"size\":\"1M\""), l->dir);
	lab_ok(l, request, NULL);
	lab_ok(&p->managing,
	       ASK("dev add", "\"name\":\"e\",\"mgmtdev\":\"mgmt0\",\"class\":\"block\""), NULL);
	lab_ok(l, VOLUME_SHOW("p-1"), "\"device\":\"2\",\"mgmtdev\":\"mgmt0\"");
	lab_refused(l, VOLUME_DEL("p"), "dev del the devices on it first; those of mgmt0 are");
	lab_ok(&p->managing, DEL("e"), NULL);
	lab_ok(l, VOLUME_DEL("p"), NULL);
}

/* How many devices dev show lists; no page has more than 256. */
static unsigned int count_listed(const struct lab *l)
{
	struct json_object *answer, *ok, *list, *more;
	unsigned int n = 0;
	uint64_t next = 0;
	char request[96];
	int len;

	do {
		snprintf(request, sizeof(request), ASK("dev show", "\"from\":%llu"),
			 (unsigned long long)next);
		answer = json_tokener_parse(lab_ask(l, request));
		assert_true(json_object_object_get_ex(answer, "ok", &ok));
		assert_true(json_object_object_get_ex(ok, "dev", &list));
		len = json_object_object_length(list);
		assert_true(len <= 256);
		n += (unsigned int)len;
		next = json_object_object_get_ex(ok, "next", &more) ? json_object_get_uint64(more)
								    : 0;
		json_object_put(answer);
		assert_true(n <= 1000);
	} while (next);
	return n;
}

static void add_until(const struct lab *l, const char *start, unsigned int *have, unsigned int want)
{
	char request[128];

	for (; *have < want; (*have)++) {
		snprintf(request, sizeof(request), "%s%u\"}}", start, *have);
		lab_ok(l, request, NULL);
	}
}

static void listing_goes_on_from_the_one_to_the_other(void **state)
{
	/* A page that ends with the last of the first; one that another follows; more of each than a
	 * page holds. */
	static const unsigned int counts[][2] = { { 256, 0 }, { 256, 1 }, { 300, 300 } };
	static char out[LAB_OUT];
	struct lab_pair *p = *state;
	unsigned int have[2] = { 0 };
	struct json_object *all, *list;

	for (unsigned int i = 0; i < 3; i++) {
		add_until(&p->serving,
			  "{\"cmd\":\"dev add\",\"args\":{\"mgmtdev\":\"mgmt1\",\"class\":\"net\","
			  "\"name\":\"own",
			  &have[0], counts[i][0]);
		add_until(&p->managing,
			  "{\"cmd\":\"dev add\",\"args\":{\"mgmtdev\":\"mgmt0\",\"class\":\"net\","
			  "\"name\":\"d",
			  &have[1], counts[i][1]);
		assert_int_equal(count_listed(&p->serving), have[0] + have[1]);
	}
	/* All different: tvqctl makes one object of the pages. */
	assert_int_equal(lab_ctl(&p->serving, NULL, out, NULL, "--json", "dev", "show", NULL), 0);
	all = json_tokener_parse(out);
	assert_true(json_object_object_get_ex(all, "dev", &list));
	assert_int_equal(json_object_object_length(list), 600);
	json_object_put(all);
}

static void devices_outlive_the_other_management_devices_driver(void **state)
{
	struct lab_pair *p = *state;
	struct lab *l = &p->serving;

	lab_ok(l, VOLUME("v"), NULL);
	lab_ok(l, NET1("own", ",\"mac\":\"" MAC("01") "\",\"vlan\":5"), NULL);
	lab_ok(l, ADD1("disk", "block", ",\"volume\":\"v\""), NULL);
	lab_ok(&p->managing, ADD("d", ""), NULL);
	manage_again(p, SIGKILL);
	lab_ok(&p->managing, ADD("d", ",\"mac\":\"" MAC("02") "\""), NULL);
	manage_again(p, SIGTERM);
	/* The other's are gone, by the reset. */
	assert_lacks(lab_ask(l, ASK("dev show", "")), "mgmt0");
	lab_ok(l, ASK("dev show", ""), "\"own\":{\"type\":\"network\",\"mgmtdev\":\"mgmt1\"");
	lab_ok(l, ASK("dev show", ""), "\"disk\":{\"type\":\"block\",\"mgmtdev\":\"mgmt1\"");
	lab_ok(l, PORT("own"), "\"vlan\":5");
	lab_ok(l, CONFIG("disk"), "\"capacity\":2048");
	lab_ok(l, DEL("own"), NULL);
	lab_ok(l, NET1("own", ",\"mac\":\"" MAC("02") "\""), NULL);
	lab_ok(&p->managing, ADD("d", ",\"mac\":\"" MAC("01") "\""), NULL);
}

static void limits_are_those_of_each(void **state)
{
	struct lab_pair *p = *state;
	struct lab *l = &p->serving;
	char socket[SOCKET_ARG];

	begin_both(p, socket);
	assert_true(
		lab_start(l, "--max-devices", "1", "--queue-size", "64", "--serve", socket, NULL));
	assert_true(lab_start(&p->managing, "--manage", socket, NULL));
	lab_ok(l, NET1("own", ""), NULL);
	lab_ok(l, DEV("own"), "\"max_vq_size\":64");
	lab_ok(&p->managing, ADD("d", ""), NULL);
	lab_refused(l, NET1("b", ""),
		    "mgmt1 has no room for 'b': 1 devices live; dev del one, or start tvqd with");
	lab_refused(&p->managing, ADD("e", ""), "start the serving tvqd with higher");
}

/* Uplinks, traffic, presented devices, in the states that they have then. */
static void it_ends_cleanly_with_devices_at_both(void **state)
{
	static const char *const workers[] = { "0", "1", "2" };
	static const char *const types[] = { "block", "net" };
	struct lab_pair *p = *state;
	struct lab *l = &p->serving;
	char socket[SOCKET_ARG], request[512], path[160];

	begin_both(p, socket);
	lab_path(l, "", "own.sock", path, sizeof(path));
	for (unsigned int i = 0; i < 6; i++) {
		assert_true(lab_start(l, "--workers", workers[i % 3], "--type", types[i / 3],
				      "--serve", socket, NULL));
		assert_true(lab_start(&p->managing, "--manage", socket, NULL));
		lab_ok(l, VOLUME("v"), NULL);
		lab_ok(l, VOLUME("w"), NULL);
		snprintf(request, sizeof(request),
			 NET1("own", ",\"mac\":\"" MAC("01") "\",\"vhost-user\":\"%s\""), path);
		lab_ok(l, request, NULL);
		lab_ok(l, NET1("bare", ""), NULL);
		lab_ok(l, ADD1("disk", "block", ",\"volume\":\"v\""), NULL);
		lab_ok(&p->managing, ADD("d", ",\"mac\":\"" MAC("02") "\""), NULL);
		lab_ok(&p->managing, BLOCK("e", "w"), NULL);
		lab_ok(l,
		       ASK("switch port add",
			   "\"name\":\"s\",\"source\":true,\"to\":\"" MAC("01") "\""),
		       NULL);
		assert_int_equal(lab_stop(l, SIGTERM), 0);
		assert_lacks(l->log, "did not");
		assert_lacks(l->log, "left behind");
		assert_false(lab_exists(l, "own.sock"));
		assert_false(lab_exists(l, "mgmt0.sock"));
		assert_false(lab_exists(l, "s.sock"));
		assert_int_equal(WEXITSTATUS(lab_wait(&p->managing)), 1);
	}
}

static void start_that_fails_halfway_leaves_nothing(void **state)
{
	struct lab *l = *state;
	char socket[SOCKET_ARG];

	lab_path(l, "vfio-user:", "mgmt0.sock", socket, sizeof(socket));
	lab_file(l, "s.sock", 3);
	assert_false(lab_start(l, "--serve", socket, NULL));
	assert_int_equal(WEXITSTATUS(lab_wait(l)), 1);
	assert_false(lab_exists(l, "mgmt0.sock"));
	assert_true(lab_exists(l, "s.sock"));
}

int main(void)
{
	static struct lab_pair empty;
#define TEST(test)     cmocka_unit_test_setup_teardown(test, open_pair, lab_teardown_pair)
#define TEST_NET(test) cmocka_unit_test_setup_teardown(test, open_network_pair, lab_teardown_pair)
#define TEST_EMPTY(test)                                                                           \
	cmocka_unit_test_prestate_setup_teardown(test, NULL, lab_teardown_pair, &empty)
	const struct CMUnitTest tests[] = {
		TEST_NET(serving_daemon_shows_both_of_its_management_devices),
		TEST(device_is_added_where_it_may_be_added),
		TEST(name_at_a_serving_daemon_is_no_number),
		TEST_NET(devices_with_the_same_number_are_told_apart),
		TEST(each_device_is_announced_to_the_other),
		TEST(address_is_one_ports_of_either),
		TEST(ports_of_both_can_be_mirrored),
		TEST(what_only_the_driver_of_a_device_can_do_is_refused_by_its_number),
		TEST(configuration_is_shown_of_all_that_this_daemon_drives),
		TEST_EMPTY(log_lines_say_which_management_device_they_mean),
		TEST(commands_of_its_own_are_traced),
		TEST(volume_is_one_devices_of_either),
		TEST(volume_for_mgmt1_is_not_there_for_the_client_of_mgmt0),
		TEST(volume_for_mgmt0_is_not_given_to_devices_of_mgmt1),
		TEST(pool_makes_images_for_the_devices_of_one),
		TEST(volume_that_nobody_named_is_in_use_by_a_name),
		TEST(volume_is_shown_with_the_device_that_has_it),
		TEST(listing_goes_on_from_the_one_to_the_other),
		TEST(devices_outlive_the_other_management_devices_driver),
		TEST_EMPTY(limits_are_those_of_each),
		TEST_EMPTY(it_ends_cleanly_with_devices_at_both),
		cmocka_unit_test_setup_teardown(start_that_fails_halfway_leaves_nothing,
						lab_setup_empty, lab_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
