/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Devices and volumes through the control socket: the daemon with its real management device.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control_lab.h"

static struct lab lab;

static int open_lab(void **state)
{
	*state = &lab;
	lab_begin(&lab);
	return lab_start(&lab, NULL) ? 0 : -1;
}

static int open_small_lab(void **state)
{
	*state = &lab;
	lab_begin(&lab);
	return lab_start(&lab, "--max-devices", "2", "--max-vqs", "3", "--queue-size", "64",
			 "--transportq", "packed", "--workers", "0", NULL)
		       ? 0
		       : -1;
}

static int close_lab(void **state)
{
	lab_end(*state);
	return 0;
}

#define ADD(name, more)                                                                            \
	"{\"cmd\":\"dev add\",\"args\":{\"name\":\"" name                                          \
	"\",\"mgmtdev\":\"mgmt0\",\"class\":\"block\"" more "}}"
#define DEL(name)	   "{\"cmd\":\"dev del\",\"args\":{\"name\":\"" name "\"}}"
#define SHOW(name)	   "{\"cmd\":\"dev show\",\"args\":{\"name\":\"" name "\"}}"
#define CONFIG(name)	   "{\"cmd\":\"dev config show\",\"args\":{\"name\":\"" name "\"}}"
#define VOLUME(name, more) "{\"cmd\":\"volume add\",\"args\":{\"name\":\"" name "\"," more "}}"
#define VOLUME_DEL(name)   "{\"cmd\":\"volume del\",\"args\":{\"name\":\"" name "\"}}"
#define VOLUME_SHOW(name)  "{\"cmd\":\"volume show\",\"args\":{\"name\":\"" name "\"}}"

/* fmt takes the path. */
__attribute__((format(printf, 3, 0))) static void ask_with_path(char *buf, size_t size,
								const char *fmt, const char *path)
{
	snprintf(buf, size, fmt, path);
}

static void device_shows_what_was_asked_for(void **state)
{
	struct lab *l = *state;

	lab_ok(l, VOLUME("v", "\"ram\":\"8M\""), NULL);
	lab_ok(l, ADD("d", ",\"volume\":\"v\",\"num_queues\":\"3\",\"blk_size\":4096"),
	       "\"device_id\":");
	lab_ok(l, SHOW("d"),
	       "\"type\":\"block\",\"mgmtdev\":\"mgmt0\",\"vendor_id\":6900,\"max_vqs\":3");
	lab_ok(l, SHOW("d"), "\"volume\":\"v\"");
	lab_ok(l, CONFIG("d"), "\"capacity\":16384");
	lab_ok(l, CONFIG("d"), "\"blk_size\":4096");
	lab_ok(l, CONFIG("d"), "\"num_queues\":3");
	lab_ok(l, CONFIG("d"), "\"readonly\":false");
	lab_ok(l, VOLUME_SHOW("v"), "\"in_use\":true");
	lab_ok(l, "{\"cmd\":\"dev vstats show\",\"args\":{\"name\":\"d\"}}", "{\"qidx\":2,");
	lab_ok(l, "{\"cmd\":\"dev vstats show\",\"args\":{\"name\":\"d\",\"qidx\":1}}",
	       "{\"vstats\":{\"d\":[{\"qidx\":1,");
	lab_refused(l, "{\"cmd\":\"dev vstats show\",\"args\":{\"name\":\"d\",\"qidx\":3}}",
		    "qidx 3: 'd' has queues 0 to 2");
	lab_ok(l, "{\"cmd\":\"mgmtdev show\"}", "\"devices\":1,\"vqs\":3");
	lab_ok(l, DEL("d"), NULL);
	lab_ok(l, VOLUME_SHOW("v"), "\"in_use\":false");
	lab_refused(l, SHOW("d"), "no device 'd'");
	lab_ok(l, "{\"cmd\":\"mgmtdev show\"}", "\"devices\":0,\"vqs\":0");
}

static void volume_for_the_only_management_device_is_for_any(void **state)
{
	struct lab *l = *state;

	lab_refused(l, VOLUME("v", "\"ram\":\"1M\",\"mgmtdev\":\"mgmt1\""),
		    "mgmtdev 'mgmt1': there is only mgmt0");
	lab_refused(l, VOLUME_SHOW("v"), "no volume 'v'");
	lab_ok(l, VOLUME("v", "\"ram\":\"1M\",\"mgmtdev\":\"mgmt0\""), NULL);
	assert_null(strstr(lab_ask(l, VOLUME_SHOW("v")), "\"for\""));
	lab_ok(l, ADD("d", ""), NULL);
	lab_ok(l, SHOW("d"), "\"volume\":\"v\"");
}

static void presented_device_listens_until_it_is_deleted(void **state)
{
	struct lab *l = *state;
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	char request[256];
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/d.sock", l->dir);
	ask_with_path(request, sizeof(request), ADD("d", ",\"vhost-user\":\"%s\""), addr.sun_path);
	lab_ok(l, request, NULL);
	lab_ok(l, SHOW("d"), "\"connected\":false");
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	while (!strstr(lab_ask(l, SHOW("d")), "\"connected\":true"))
		usleep(1000);
	lab_ok(l, DEL("d"), NULL);
	assert_false(lab_exists(l, "d.sock"));
	assert_int_equal(recv(fd, request, 1, 0), 0);
	close(fd);
}

static void presenter_that_cannot_listen_leaves_nothing(void **state)
{
	struct lab *l = *state;

	lab_ok(l, VOLUME("v", "\"null\":\"1M\""), NULL);
	lab_refused(l, ADD("d", ",\"volume\":\"v\",\"vhost-user\":\"/nonexistent/d.sock\""),
		    "/nonexistent/d.sock");
	lab_refused(l, SHOW("d"), "no device 'd'");
	lab_ok(l, VOLUME_SHOW("v"), "\"in_use\":false");
	lab_ok(l, "{\"cmd\":\"mgmtdev show\"}", "\"devices\":0");
	lab_ok(l, ADD("d", ",\"volume\":\"v\""), NULL);
}

static void socket_of_another_device_is_refused(void **state)
{
	struct lab *l = *state;
	char path[128], request[256];

	snprintf(path, sizeof(path), "%s/d.sock", l->dir);
	ask_with_path(request, sizeof(request), ADD("a", ",\"vhost-user\":\"%s\""), path);
	lab_ok(l, request, NULL);
	ask_with_path(request, sizeof(request), ADD("b", ",\"vhost-user\":\"%s\""), path);
	lab_refused(l, request, path);
	lab_ok(l, SHOW("a"), path);
	assert_true(lab_exists(l, "d.sock"));
}

static void taken_name_is_refused(void **state)
{
	struct lab *l = *state;

	lab_ok(l, ADD("d", ""), NULL);
	lab_refused(l, ADD("d", ""), "name 'd' is taken");
	lab_ok(l, VOLUME("v", "\"null\":512"), NULL);
	lab_refused(l, VOLUME("v", "\"ram\":512"), "name 'v' is taken");
}

static void unknown_volume_is_refused(void **state)
{
	lab_refused(*state, ADD("d", ",\"volume\":\"nope\""), "no volume 'nope'");
	lab_refused(*state, SHOW("d"), "no device");
	lab_refused(*state, VOLUME_DEL("nope"), "no volume 'nope'");
}

static void volume_in_use_is_refused_and_its_user_named(void **state)
{
	struct lab *l = *state;

	lab_ok(l, VOLUME("v", "\"null\":\"1M\""), NULL);
	lab_ok(l, ADD("first", ",\"volume\":\"v\""), NULL);
	lab_refused(l, ADD("second", ",\"volume\":\"v\""),
		    "volume 'v' is in use by device 'first'");
	lab_refused(l, VOLUME_DEL("v"), "volume 'v' is in use by device 'first'");
	lab_ok(l, DEL("first"), NULL);
	lab_ok(l, ADD("second", ",\"volume\":\"v\""), NULL);
	lab_ok(l, DEL("second"), NULL);
	lab_ok(l, VOLUME_DEL("v"), NULL);
	lab_refused(l, VOLUME_SHOW("v"), "no volume 'v'");
}

static void volume_that_does_not_suit_is_refused_by_reason(void **state)
{
	struct lab *l = *state;
	char request[256];

	lab_ok(l, VOLUME("v", "\"null\":\"1M\""), NULL);
	lab_refused(l, ADD("d", ",\"volume\":\"v\",\"capacity\":\"2M\""),
		    "capacity 2097152: volume 'v' has 1048576 bytes");
	ask_with_path(request, sizeof(request), VOLUME("ro", "\"file\":\"%s\",\"readonly\":\"on\""),
		      lab_file(l, "ro.img", 8192));
	lab_ok(l, request, NULL);
	lab_refused(l, ADD("d", ",\"volume\":\"ro\""), "volume 'ro' is read-only: add readonly on");
	lab_ok(l, ADD("d", ",\"volume\":\"ro\",\"readonly\":\"on\""), NULL);
	lab_ok(l, CONFIG("d"), "\"readonly\":true");
	lab_ok(l, VOLUME("odd", "\"ram\":1536"), NULL);
	lab_refused(l, ADD("e", ",\"volume\":\"odd\",\"blk_size\":1024"), "no multiple");
}

static void image_not_a_multiple_of_512_is_refused(void **state)
{
	struct lab *l = *state;
	char request[256];

	ask_with_path(request, sizeof(request), VOLUME("img", "\"file\":\"%s\""),
		      lab_file(l, "odd.img", 1000));
	lab_refused(l, request, "odd.img");
	lab_refused(l, request, "512");
	lab_refused(l, VOLUME_SHOW("img"), "no volume");
}

static void image_that_is_not_there_is_refused(void **state)
{
	struct lab *l = *state;

	lab_refused(l, VOLUME("img", "\"file\":\"/nonexistent/img\""), "/nonexistent/img");
	lab_refused(l, VOLUME("img", "\"file\":\"img\""), "expected an absolute path");
	lab_refused(l, VOLUME("p", "\"pool\":\"/nonexistent/dir\""), "/nonexistent/dir");
}

static void class_that_is_not_known_is_refused_with_those_there_are(void **state)
{
	struct lab *l = *state;

	lab_refused(l,
		    "{\"cmd\":\"dev add\",\"args\":{\"name\":\"d\",\"mgmtdev\":\"mgmt0\","
		    "\"class\":\"gpu\"}}",
		    "class 'gpu' is not known; mgmt0 has: net block");
	lab_refused(l,
		    "{\"cmd\":\"dev add\",\"args\":{\"name\":\"d\",\"mgmtdev\":\"mgmt1\","
		    "\"class\":\"block\"}}",
		    "mgmtdev 'mgmt1': there is only mgmt0");
}

static void features_that_cannot_be_are_refused_with_what_could(void **state)
{
	struct lab *l = *state;

	lab_refused(l, ADD("d", ",\"features\":\"0x300000001\""), "mgmt0 cannot offer 0x1;");
	lab_refused(l, ADD("d", ",\"features\":\"0x100000000\""), "required: 0x300000000");
	lab_refused(l, ADD("d", ",\"features\":\"0x300000000\",\"readonly\":\"on\""),
		    "needs RO, bit 5");
	lab_refused(l, ADD("d", ",\"features\":\"0x300000000\",\"num_queues\":2"),
		    "needs MQ, bit 12");
	lab_refused(l, ADD("d", ",\"num_queues\":65"), "at most 64");
	lab_refused(l, ADD("d", ",\"blk_size\":1000"), "expected 512, 1024, 2048 or 4096");
	lab_ok(l, ADD("d", ",\"features\":\"0x300000000\""), NULL);
	lab_ok(l, CONFIG("d"), "\"dev_features\":[\"VERSION_1\",\"ACCESS_PLATFORM\"]");
}

static void want_of_room_is_said_with_the_option_that_helps(void **state)
{
	struct lab *l = *state;

	lab_ok(l, ADD("a", ""), "device_id");
	lab_ok(l, SHOW("a"), "\"max_vq_size\":64");
	lab_refused(l, ADD("b", ",\"num_queues\":3"), "mgmt0 has 2 virtqueues left, 'b' needs 3");
	lab_ok(l, ADD("b", ""), NULL);
	lab_refused(l, ADD("c", ""), "mgmt0 has no room for 'c': 2 devices live");
	lab_refused(l, ADD("c", ""), "--max-devices");
	lab_ok(l, DEL("a"), NULL);
	lab_ok(l, ADD("c", ""), NULL);
}

static void listing_shows_each_device_once(void **state)
{
	enum { MANY = 700 };
	struct lab *l = *state;
	static char seen[MANY];
	char request[160];
	int64_t from = 0;
	int fd = lab_connect(l), n = 0;

	for (int i = 0; i < MANY; i++) {
		snprintf(request, sizeof(request), ADD("d%d", "") "\n", i);
		lab_send(fd, request);
		assert_holds(lab_line(fd), "\"ok\"");
	}
	memset(seen, 0, sizeof(seen));
	for (bool more = true; more;) {
		struct json_object *root, *ok, *dev, *next;

		snprintf(request, sizeof(request),
			 "{\"cmd\":\"dev show\",\"args\":{\"from\":%lld}}\n", (long long)from);
		lab_send(fd, request);
		root = json_tokener_parse(lab_line(fd));
		assert_true(json_object_object_get_ex(root, "ok", &ok));
		assert_true(json_object_object_get_ex(ok, "dev", &dev));
		json_object_object_foreach(dev, name, value)
		{
			int i;

			(void)value;
			assert_int_equal(sscanf(name, "d%d", &i), 1);
			assert_int_equal(seen[i]++, 0);
			n++;
		}
		more = json_object_object_get_ex(ok, "next", &next);
		from = more ? json_object_get_int64(next) : 0;
		json_object_put(root);
		assert_true(n <= MANY);
	}
	assert_int_equal(n, MANY);
	close(fd);
}

/* Requests that are all there already, and answers that are more than the daemon keeps for a
 * client. */
static void answers_that_exceed_all_buffers_come_when_they_are_read(void **state)
{
	enum { DEVICES = 256, REQUESTS = 100 };
	struct lab *l = *state;
	char request[160];
	int fd = lab_connect(l);

	for (int i = 0; i < DEVICES; i++) {
		snprintf(request, sizeof(request), ADD("d%d", "") "\n", i);
		lab_send(fd, request);
		assert_holds(lab_line(fd), "\"ok\"");
	}
	for (int i = 0; i < REQUESTS; i++)
		lab_send(fd, "{\"cmd\":\"dev show\"}\n");
	/* Once others have been served, the daemon has done for this one all that it will. */
	for (int i = 0; i < 100; i++)
		lab_ok(l, SHOW("d0"), NULL);
	for (int i = 0; i < REQUESTS; i++)
		assert_holds(lab_line(fd), "\"d255\"");
	close(fd);
}

static void pool_that_was_added_makes_the_volumes(void **state)
{
	struct lab *l = *state;
	char request[256], dir[128];

	snprintf(dir, sizeof(dir), "%s/pool", l->dir);
	assert_int_equal(mkdir(dir, 0700), 0);
	ask_with_path(request, sizeof(request), VOLUME("thin", "\"pool\":\"%s\",\"size\":\"3M\""),
		      dir);
	lab_ok(l, request, NULL);
	lab_ok(l, VOLUME_SHOW("thin"), "\"type\":\"pool\"");
	lab_ok(l, ADD("d", ""), NULL);
	lab_ok(l, CONFIG("d"), "\"capacity\":6144");
	lab_ok(l, "{\"cmd\":\"volume show\"}", "\"made\":true");
	lab_refused(l, VOLUME_DEL("thin"), "in use");
	lab_ok(l, ADD("e", ",\"capacity\":\"5M\""), NULL);
	lab_ok(l, CONFIG("e"), "\"capacity\":10240");
	lab_ok(l, DEL("d"), NULL);
	lab_ok(l, DEL("e"), NULL);
	lab_ok(l, VOLUME_DEL("thin"), NULL);
	/* The images are unlinked by a thread of their own. */
	for (int i = 0; rmdir(dir) && i < 4000; i++)
		usleep(1000);
	assert_int_equal(access(dir, F_OK), -1);
}

static void without_volume_and_pool_the_error_says_so(void **state)
{
	struct lab *l = *state;

	lab_ok(l, VOLUME_DEL("ram"), NULL);
	lab_refused(l, ADD("d", ""), "no volume is free and there is no pool");
	lab_ok(l, VOLUME("n", "\"null,zero\":\"1M\""), NULL);
	lab_ok(l, ADD("d", ""), NULL);
}

static void arguments_that_do_not_go_together_are_refused(void **state)
{
	struct lab *l = *state;

	lab_refused(l, VOLUME("v", "\"ram\":512,\"null\":512"), "needs one of file PATH");
	lab_refused(l, VOLUME("v", "\"ram\":512,\"direct\":\"on\""), "direct does not go with ram");
	lab_refused(l, VOLUME("v", "\"pool\":\"/tmp\",\"readonly\":\"on\""),
		    "readonly does not go with pool");
	lab_refused(l, VOLUME("a-name-of-more-than-20", "\"ram\":512"), "at most 20");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_lab, close_lab)
		TEST(device_shows_what_was_asked_for),
		TEST(volume_for_the_only_management_device_is_for_any),
		TEST(presented_device_listens_until_it_is_deleted),
		TEST(presenter_that_cannot_listen_leaves_nothing),
		TEST(socket_of_another_device_is_refused),
		TEST(taken_name_is_refused),
		TEST(unknown_volume_is_refused),
		TEST(volume_in_use_is_refused_and_its_user_named),
		TEST(volume_that_does_not_suit_is_refused_by_reason),
		TEST(image_not_a_multiple_of_512_is_refused),
		TEST(image_that_is_not_there_is_refused),
		TEST(class_that_is_not_known_is_refused_with_those_there_are),
		TEST(features_that_cannot_be_are_refused_with_what_could),
		cmocka_unit_test_setup_teardown(want_of_room_is_said_with_the_option_that_helps,
						open_small_lab, close_lab),
		TEST(listing_shows_each_device_once),
		TEST(answers_that_exceed_all_buffers_come_when_they_are_read),
		TEST(pool_that_was_added_makes_the_volumes),
		TEST(without_volume_and_pool_the_error_says_so),
		TEST(arguments_that_do_not_go_together_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
