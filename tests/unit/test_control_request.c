/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The decoder of control requests, tvqd's options, and the table of devices: no daemon runs.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control_lab.h"

static char err[TVQD_ERR_LEN];

static int parse(struct tvqd_request *rq, const char *line)
{
	err[0] = '\0';
	return tvqd_request_parse(rq, line, strlen(line), err);
}

static void refused(const char *line, const char *why)
{
	struct tvqd_request rq;

	assert_int_equal(parse(&rq, line), -EINVAL);
	assert_holds(err, why);
	tvqd_request_clear(&rq);
}

static void request_becomes_a_command_with_checked_arguments(void **state)
{
	struct tvqd_request rq;

	(void)state;
	assert_int_equal(
		parse(&rq, "{\"id\":5,\"cmd\":\"dev add\",\"args\":{\"name\":\"d0\",\"mgmtdev\":"
			   "\"mgmt0\",\"class\":\"block\",\"capacity\":\"2G\",\"readonly\":true,"
			   "\"features\":\"0x300000000\",\"vhost-user\":\"/run/d0\"}} "),
		0);
	assert_string_equal(rq.cmd->name, "dev add");
	assert_int_equal(json_object_get_int(rq.id), 5);
	assert_string_equal(tvqd_str(&rq.args, TVQD_NAME), "d0");
	assert_true(tvqd_num(&rq.args, TVQD_CAPACITY) == 2ull << 30);
	assert_true(tvqd_num(&rq.args, TVQD_FEATURES) == 0x300000000);
	assert_true(tvqd_num(&rq.args, TVQD_READONLY) == 1);
	assert_string_equal(tvqd_str(&rq.args, TVQD_VHOST_USER), "/run/d0");
	assert_null(tvqd_str(&rq.args, TVQD_VOLUME));
	assert_false(tvqd_has(&rq.args, TVQD_BLK_SIZE));
	tvqd_request_clear(&rq);
}

static void malformed_requests_are_refused_with_the_reason(void **state)
{
	(void)state;
	refused("", "it ends in the middle");
	refused("nonsense", "bad JSON");
	refused("{\"cmd\":\"dev show\"", "it ends in the middle");
	refused("{\"cmd\":\"dev show\"}}", "something follows the object at byte 18");
	refused("{\"cmd\":\"dev show\",\"args\":{\"name\":{\"a\":{\"b\":{\"c\":1}}}}}",
		"nesting too deep");
	refused("{}", "needs \"cmd\"");
	refused("{\"cmd\":1}", "needs \"cmd\"");
	refused("{\"cmd\":\"dev show\",\"arg\":{}}", "unknown member 'arg'");
	refused("{\"cmd\":\"dev show\",\"args\":[]}", "args: expected a JSON object");
	refused("{\"id\":{},\"cmd\":\"dev show\"}", "id: expected");
	refused("{\"cmd\":\"trace\",\"args\":{\"x\":1}}",
		"trace has no argument 'x'; it takes none");
	refused("{\"cmd\":\"dev del\",\"args\":{\"nam\":\"d\"}}",
		"no argument 'nam'; it takes name");
	refused("{\"cmd\":\"dev add\",\"args\":{\"name\":\"d\"}}", "dev add needs mgmtdev class");
	refused("{\"cmd\":\"dev del\",\"args\":{\"name\":\"\xff\"}}", "bad JSON");
}

static int value(enum tvqd_key key, const char *json, uint64_t *num)
{
	struct json_object *o = json_tokener_parse(json);
	struct tvqd_args args = { 0 };
	int ret = tvqd_arg_parse(&args, key, o, err);

	assert_int_equal(tvqd_has(&args, key), !ret);
	*num = tvqd_num(&args, key);
	json_object_put(o);
	return ret;
}

static void taken(enum tvqd_key key, const char *json, uint64_t expected)
{
	uint64_t num;

	if (value(key, json, &num))
		fail_msg("%s: %s", json, err);
	assert_true(num == expected);
}

static void not_taken(enum tvqd_key key, const char *json, const char *why)
{
	uint64_t num;

	assert_int_equal(value(key, json, &num), -EINVAL);
	assert_holds(err, why);
	assert_holds(err, tvqd_key_name(key));
}

static void numbers_are_taken_within_their_bounds_only(void **state)
{
	(void)state;
	taken(TVQD_CAPACITY, "\"512\"", 512);
	taken(TVQD_CAPACITY, "1024", 1024);
	taken(TVQD_CAPACITY, "\"1k\"", 1024);
	taken(TVQD_CAPACITY, "\"0x200\"", 512);
	taken(TVQD_CAPACITY, "\"3T\"", 3ull << 40);
	taken(TVQD_CAPACITY, "\"9223372036854775296\"", 9223372036854775296ull);
	not_taken(TVQD_CAPACITY, "\"511\"", "capacity '511': expected bytes, a multiple of 512");
	not_taken(TVQD_CAPACITY, "0", "'0'");
	not_taken(TVQD_CAPACITY, "-512", "'-512'");
	not_taken(TVQD_CAPACITY, "\"-512\"", "'-512'");
	not_taken(TVQD_CAPACITY, "\"1X\"", "'1X'");
	not_taken(TVQD_CAPACITY, "\"1GB\"", "'1GB'");
	not_taken(TVQD_CAPACITY, "\"\"", "''");
	not_taken(TVQD_CAPACITY, "\"0x\"", "'0x'");
	not_taken(TVQD_CAPACITY, "\"8388608T\"", "'8388608T'");
	not_taken(TVQD_CAPACITY, "\"99999999999999999999\"", "'99999999999999999999'");
	not_taken(TVQD_CAPACITY, "1.5", "double");
	not_taken(TVQD_CAPACITY, "null", "null");
	taken(TVQD_NUM_QUEUES, "65535", 65535);
	not_taken(TVQD_NUM_QUEUES, "65536", "expected a number from 1 to 65535");
	not_taken(TVQD_NUM_QUEUES, "\"1k\"", "expected a number");
	taken(TVQD_FEATURES, "18446744073709551615", UINT64_MAX);
	taken(TVQD_FEATURES, "\"0xffffffffffffffff\"", UINT64_MAX);
	not_taken(TVQD_FEATURES, "\"0x1ffffffffffffffff\"", "a mask of 64 bits");
	not_taken(TVQD_FEATURES, "-1", "'-1'");
	taken(TVQD_READONLY, "\"on\"", 1);
	taken(TVQD_READONLY, "\"off\"", 0);
	taken(TVQD_READONLY, "false", 0);
	not_taken(TVQD_READONLY, "\"yes\"", "readonly 'yes': expected on or off");
	not_taken(TVQD_READONLY, "1", "int");
}

static void names_and_paths_are_taken_within_their_bounds_only(void **state)
{
	char path[256];
	uint64_t num;

	(void)state;
	assert_int_equal(value(TVQD_NAME, "\"a.b_c:d+e@f-9\"", &num), 0);
	not_taken(TVQD_NAME, "\"\"", "expected 1 to 63");
	not_taken(TVQD_NAME, "\"a b\"", "'a b'");
	not_taken(TVQD_NAME, "\"a/b\"", "'a/b'");
	not_taken(TVQD_NAME, "\"-a\"", "not starting with -");
	not_taken(TVQD_NAME, "\"a\\u0000b\"", "it holds a NUL");
	not_taken(TVQD_NAME, "\"0123456789012345678901234567890123456789012345678901234567890123\"",
		  "63");
	assert_int_equal(value(TVQD_VOLUME, "\"01234567890123456789\"", &num), 0);
	not_taken(TVQD_VOLUME, "\"012345678901234567890\"", "expected 1 to 20");
	not_taken(TVQD_VHOST_USER, "\"rel.sock\"", "expected an absolute path");
	memset(path, 'x', sizeof(path));
	memcpy(path, "\"/", 2);
	memcpy(path + 108, "\"", 2);
	assert_int_equal(value(TVQD_VHOST_USER, path, &num), 0);
	memcpy(path + 108, "x\"", 3);
	not_taken(TVQD_VHOST_USER, path, "108 bytes are too long, expected at most 107");
}

static char said[1024]; /* on standard error */

static enum tvqd_action command_line(struct tvqd_cfg *cfg, char **argv)
{
	FILE *saved = stderr;
	enum tvqd_action action;
	int argc = 0;

	while (argv[argc])
		argc++;
	memset(said, 0, sizeof(said));
	stderr = fmemopen(said, sizeof(said) - 1, "w");
	assert_non_null(stderr);
	action = tvqd_options(cfg, argc, argv);
	fclose(stderr);
	stderr = saved;
	return action;
}

static enum tvqd_action options(struct tvqd_cfg *cfg, const char *a, const char *b)
{
	char *argv[] = { (char *)"tvqd", (char *)"--control=/x", (char *)a, (char *)b, NULL };

	return command_line(cfg, argv);
}

static void options_are_taken_within_their_bounds_only(void **state)
{
	static const char *const wrong[][2] = {
		{ "--workers", "65" },	     { "--workers", "1@" },
		{ "--workers", "1@a" },	     { "--workers", "1@2-1" },
		{ "--workers", "1@1," },     { "--workers", "-1" },
		{ "--workers", "" },	     { "--poll-us", "1000001" },
		{ "--poll-us", "never" },    { "--queue-size", "100" },
		{ "--queue-size", "65536" }, { "--queue-size", "0" },
		{ "--max-devices", "0" },    { "--max-vqs", "4294967296" },
		{ "--transportq", "round" }, { "--type", "network" },
		{ "--log-level", "loud" },   { "--control", "" },
		{ "--unknown", NULL },	     { "word", NULL },
	};
	struct tvqd_cfg cfg;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		if (options(&cfg, wrong[i][0], wrong[i][1]) != TVQD_USAGE)
			fail_msg("%s %s was taken", wrong[i][0], wrong[i][1]);
	}
	assert_int_equal(options(&cfg, NULL, NULL), TVQD_RUN);
	assert_int_equal(cfg.workers, 1);
	assert_true(cfg.poll_ns == 64000);
	assert_int_equal(options(&cfg, "--workers", "3@1,4-5"), TVQD_RUN);
	assert_int_equal(cfg.workers, 3);
	assert_int_equal(cfg.n_cpus, 3);
	assert_int_equal(cfg.cpus[0], 1);
	assert_int_equal(cfg.cpus[2], 5);
	assert_int_equal(options(&cfg, "--poll-us", "always"), TVQD_RUN);
	assert_true(cfg.poll_ns == UINT64_MAX);
	assert_int_equal(options(&cfg, "--queue-size", "256"), TVQD_RUN);
	assert_int_equal(cfg.queue_size, 256);
	assert_int_equal(options(&cfg, "--transportq", "packed"), TVQD_RUN);
	assert_true(cfg.packed);
	assert_int_equal(cfg.type, TVQ_TYPE_BLK);
	assert_int_equal(options(&cfg, "--type", "net"), TVQD_RUN);
	assert_int_equal(cfg.type, TVQ_TYPE_NET);
}

static void device_may_be_here_or_served_or_managed(void **state)
{
	struct tvqd_cfg cfg;

	(void)state;
	assert_int_equal(options(&cfg, NULL, NULL), TVQD_RUN);
	assert_int_equal(cfg.place, TVQD_INPROC);
	assert_int_equal(options(&cfg, "--serve", "vfio-user:/a b.sock"), TVQD_RUN);
	assert_int_equal(cfg.place, TVQD_SERVE);
	assert_string_equal(cfg.socket, "/a b.sock");
	assert_int_equal(cfg.pci_device_id, 0);
	assert_int_equal(cfg.pci_vectors, 0);
	assert_true(cfg.pci_msi_page);
	assert_int_equal(cfg.workers, 1);
	assert_int_equal(options(&cfg, "--serve",
				 "vfio-user:/s,msi-page=on,vectors=2048,id=0x10F2,ram-pool=on"),
			 TVQD_RUN);
	assert_string_equal(cfg.socket, "/s");
	assert_int_equal(cfg.pci_device_id, 0x10f2);
	assert_int_equal(cfg.pci_vectors, 2048);
	assert_true(cfg.pci_msi_page);
	assert_true(cfg.ram_pool);
	assert_int_equal(options(&cfg, "--serve", "vfio-user:/s,id=0x1042,msi-page=off"), TVQD_RUN);
	assert_false(cfg.ram_pool);
	assert_int_equal(cfg.pci_device_id, 0x1042);
	assert_false(cfg.pci_msi_page);
	assert_int_equal(options(&cfg, "--manage", "vfio-user:/s"), TVQD_RUN);
	assert_int_equal(cfg.place, TVQD_MANAGE);
	assert_string_equal(cfg.socket, "/s");
	assert_int_equal(cfg.workers, 0);
}

static void wrong_socket_is_said_with_its_option_and_what_would_be_right(void **state)
{
	static const char *const wrong[][3] = {
		{ "--serve", "", "vfio-user:PATH" },
		{ "--serve", "/s", "vfio-user:PATH" },
		{ "--serve", "vhost-user:/s", "vfio-user:PATH" },
		{ "--serve", "vfio-user:", "vfio-user:PATH" },
		{ "--serve", "vfio-user:,id=0x10f2", "vfio-user:PATH" },
		{ "--serve", "vfio-user:/s,", "id=, vectors=, msi-page= or ram-pool=" },
		{ "--serve", "vfio-user:/s,vectors=1,,id=0x10f2",
		  "id=, vectors=, msi-page= or ram-pool=" },
		{ "--serve", "vfio-user:/s,ids=1", "id=, vectors=, msi-page= or ram-pool=" },
		{ "--serve", "vfio-user:/s,id=", "id=0x10f0 to id=0x10ff" },
		{ "--serve", "vfio-user:/s,id=0x1043", "id=0x10f0 to id=0x10ff" },
		{ "--serve", "vfio-user:/s,id=0x10ef", "id=0x10f0 to id=0x10ff" },
		{ "--serve", "vfio-user:/s,id=0x1100", "id=0x10f0 to id=0x10ff" },
		{ "--serve", "vfio-user:/s,id=4338", "id=0x10f0 to id=0x10ff" },
		{ "--serve", "vfio-user:/s,id=0x10f2x", "id=0x10f0 to id=0x10ff" },
		{ "--serve", "vfio-user:/s,id=0x1000000000000010f2", "id=0x10f0 to id=0x10ff" },
		{ "--serve", "vfio-user:/s,vectors=0", "vectors=1 to vectors=2048" },
		{ "--serve", "vfio-user:/s,vectors=2049", "vectors=1 to vectors=2048" },
		{ "--serve", "vfio-user:/s,vectors=-1", "vectors=1 to vectors=2048" },
		{ "--serve", "vfio-user:/s,msi-page=yes", "msi-page=on or msi-page=off" },
		{ "--serve", "vfio-user:/s,ram-pool=1", "ram-pool=on or ram-pool=off" },
		{ "--manage", "/s", "vfio-user:PATH" },
		{ "--manage", "vfio-user:", "vfio-user:PATH" },
		{ "--manage", "vfio-user:/s,id=0x10f2", "told to the tvqd that serves it" },
	};
	struct tvqd_cfg cfg;
	char path[160] = "vfio-user:/", start[64];

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		if (options(&cfg, wrong[i][0], wrong[i][1]) != TVQD_USAGE)
			fail_msg("%s %s was taken", wrong[i][0], wrong[i][1]);
		snprintf(start, sizeof(start), "tvqd: %s '%s': expected ", wrong[i][0],
			 wrong[i][1]);
		if (strncmp(said, start, strlen(start)) != 0 || !strstr(said, wrong[i][2]))
			fail_msg("%s %s: %s", wrong[i][0], wrong[i][1], said);
	}
	memset(path + 11, 'x', 106);
	assert_int_equal(options(&cfg, "--serve", path), TVQD_RUN);
	assert_int_equal(strlen(cfg.socket), 107);
	path[117] = 'x';
	assert_int_equal(options(&cfg, "--serve", path), TVQD_USAGE);
	assert_int_equal(options(&cfg, "--manage", path), TVQD_USAGE);
}

static void standard_pci_id_is_that_of_the_devices_type(void **state)
{
	static const struct {
		const char *type, *serve, *wrong;
	} cases[] = {
		{ "--type=block", "--serve=vfio-user:/s,id=0x1042", NULL },
		{ "--type=net", "--serve=vfio-user:/s,id=0x1041", NULL },
		{ "--type=net", "--serve=vfio-user:/s,id=0x10f0", NULL },
		{ "--type=block", "--serve=vfio-user:/s,id=0x1041",
		  "id=0x1041 is not that of a block device: 0x1042 is" },
		{ "--type=net", "--serve=vfio-user:/s,id=0x1042",
		  "id=0x1042 is not that of a network device: 0x1041 is" },
	};
	struct tvqd_cfg cfg;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		/* In either order. */
		for (unsigned int n = 0; n < 2; n++) {
			const char *a = n ? cases[i].type : cases[i].serve;
			const char *b = n ? cases[i].serve : cases[i].type;

			assert_int_equal(options(&cfg, a, b),
					 cases[i].wrong ? TVQD_USAGE : TVQD_RUN);
			if (cases[i].wrong)
				assert_holds(said, cases[i].wrong);
		}
	}
}

static void options_of_the_other_daemon_are_refused(void **state)
{
	static const char *const owners[][2] = {
		{ "--workers", "2" },	 { "--max-devices", "2" }, { "--max-vqs", "2" },
		{ "--queue-size", "2" }, { "--type", "net" },
	};
	char *argv[] = { (char *)"tvqd",
			 (char *)"--control=/x",
			 (char *)"--manage",
			 (char *)"vfio-user:/s",
			 (char *)"--serve",
			 (char *)"vfio-user:/s",
			 NULL };
	struct tvqd_cfg cfg;

	(void)state;
	assert_int_equal(command_line(&cfg, argv), TVQD_USAGE);
	assert_non_null(strstr(said, "--serve and --manage are for two daemons"));
	for (size_t i = 0; i < sizeof(owners) / sizeof(owners[0]); i++) {
		argv[2] = (char *)"--manage";
		argv[4] = (char *)owners[i][0];
		argv[5] = (char *)owners[i][1];
		assert_int_equal(command_line(&cfg, argv), TVQD_USAGE);
		assert_non_null(strstr(said, owners[i][0]));
		assert_non_null(strstr(said, "tell it to the tvqd that serves the device"));
		argv[2] = (char *)"--serve";
		assert_int_equal(command_line(&cfg, argv), TVQD_RUN);
	}
	argv[4] = (char *)"--transportq";
	argv[5] = (char *)"packed";
	assert_int_equal(command_line(&cfg, argv), TVQD_USAGE);
	assert_non_null(strstr(said, "--transportq does not go with --serve"));
	argv[2] = (char *)"--manage";
	assert_int_equal(command_line(&cfg, argv), TVQD_RUN);
	assert_true(cfg.packed);
	argv[4] = (char *)"--poll-us";
	argv[5] = (char *)"5";
	assert_int_equal(command_line(&cfg, argv), TVQD_RUN);
}

/* Against a plain array, with names that collide in their slots as often as they like. */
static void table_of_devices_agrees_with_a_plain_one(void **state)
{
	enum { NAMES = 500, STEPS = 20000 };
	static bool there[NAMES];
	static uint64_t id[NAMES]; /* 0: the device has none yet */
	uint64_t next_id = 1;
	struct tvqd_devices ds;
	unsigned int n = 0;

	(void)state;
	srand(1);
	assert_int_equal(tvqd_devices_init(&ds, 12345), 0);
	for (int step = 0; step < STEPS; step++) {
		int i = rand() % NAMES, ret;
		char name[16];
		struct tvqd_dev *dev;

		snprintf(name, sizeof(name), "d%d", i);
		dev = tvqd_devices_find(&ds, name);
		assert_int_equal(dev != NULL, there[i]);
		if (id[i])
			assert_ptr_equal(tvqd_devices_by_id(&ds, id[i]), dev);
		if (dev && rand() % 2) {
			assert_string_equal(dev->name, name);
			tvqd_devices_remove(&ds, dev);
			if (id[i])
				assert_null(tvqd_devices_by_id(&ds, id[i]));
			there[i] = false;
			id[i] = 0;
			n--;
			continue;
		}
		dev = tvqd_devices_add(&ds, name, &ret);
		assert_int_equal(ret, there[i] ? -EEXIST : 0);
		if (!dev)
			continue;
		dev->state = TVQD_DEV_LIVE;
		/* CREATE may have failed. */
		if (rand() % 8) {
			id[i] = next_id++;
			tvqd_devices_set_id(&ds, dev, id[i]);
		}
		there[i] = true;
		n++;
		assert_int_equal(ds.n, n);
		assert_true(ds.n_slots <= NAMES);
	}
	for (uint32_t slot = 0;; n--) {
		struct tvqd_dev *dev = tvqd_devices_next(&ds, &slot);

		if (!dev)
			break;
		assert_true(there[atoi(dev->name + 1)]);
		tvqd_devices_remove(&ds, dev);
	}
	assert_int_equal(n, 0);
	assert_int_equal(ds.n, 0);
	tvqd_devices_fini(&ds);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(request_becomes_a_command_with_checked_arguments),
		cmocka_unit_test(malformed_requests_are_refused_with_the_reason),
		cmocka_unit_test(numbers_are_taken_within_their_bounds_only),
		cmocka_unit_test(names_and_paths_are_taken_within_their_bounds_only),
		cmocka_unit_test(options_are_taken_within_their_bounds_only),
		cmocka_unit_test(device_may_be_here_or_served_or_managed),
		cmocka_unit_test(wrong_socket_is_said_with_its_option_and_what_would_be_right),
		cmocka_unit_test(standard_pci_id_is_that_of_the_devices_type),
		cmocka_unit_test(options_of_the_other_daemon_are_refused),
		cmocka_unit_test(table_of_devices_agrees_with_a_plain_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
