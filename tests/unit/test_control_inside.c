/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The daemon in the test's own process, so that the test can drive its devices: what it shows of
 * them then.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>

#include <tvq/nested.h>
#include <tvq/net.h>

#include "control_lab.h"

#define BIT(n)	    (1ull << (n))
#define TRNSPT_VQ   48
#define TRNSPT_VDEV 49

static struct tvqd *d;
static int fd;

static int open_daemon(void **state)
{
	struct tvqd_cfg cfg;
	char err[TVQD_ERR_LEN];
	int pair[2];

	(void)state;
	tvqd_cfg_default(&cfg);
	cfg.workers = 0;
	cfg.log_level = TVQ_LOG_ERR;
	d = tvqd_new(&cfg, err);
	if (!d)
		fail_msg("%s", err);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair),
			 0);
	assert_int_equal(tvqd_server_adopt(d->server, pair[1]), 0);
	fd = pair[0];
	return 0;
}

static int close_daemon(void **state)
{
	(void)state;
	close(fd);
	tvqd_free(d);
	return 0;
}

/* The answer, in a static buffer. */
static const char *ask(const char *request)
{
	static char buf[1 << 18];
	size_t n = 0;

	assert_int_equal(send(fd, request, strlen(request), 0), strlen(request));
	assert_int_equal(send(fd, "\n", 1, 0), 1);
	while (!n || buf[n - 1] != '\n') {
		ssize_t got;

		tvq_loop_turn(d->loop, false);
		got = recv(fd, buf + n, sizeof(buf) - n - 1, 0);
		assert_true(got > 0 || (got < 0 && errno == EAGAIN));
		n += got > 0 ? (size_t)got : 0;
	}
	buf[n - 1] = '\0';
	return buf;
}

static void ok(const char *request, const char *text)
{
	const char *answer = ask(request);

	assert_holds(answer, "\"ok\"");
	if (text)
		assert_holds(answer, text);
}

static uint64_t device_id(const char *answer)
{
	struct json_object *o = json_tokener_parse(answer), *v;
	uint64_t id;

	assert_true(json_object_object_get_ex(o, "ok", &v) &&
		    json_object_object_get_ex(v, "device_id", &v));
	id = json_object_get_uint64(v);
	json_object_put(o);
	return id;
}

#define ADD(name, class, more)                                                                     \
	"{\"cmd\":\"dev add\",\"args\":{\"name\":\"" name                                          \
	"\",\"mgmtdev\":\"mgmt0\",\"class\":\"" class "\"" more "}}"
#define SHOW(cmd) "{\"cmd\":\"" cmd "\"}"

/* TQ-141: devices of nested managers are ports of the same switch, and have no names here. */
static void device_of_a_nested_manager_does_not_pass_for_one_of_ours(void **state)
{
	struct virtio_transportq_net_config config = { .mac = { 0x52, 0x54, 0, 0, 0, 9 } };
	struct tvq_create cr = { .virtio_device_id = TVQ_TYPE_NET,
				 .config = &config,
				 .config_len = sizeof(config) };
	struct tvq_client_cfg cfg = { 0 };
	struct tvq_type_info info;
	struct tvq_client *client;
	struct tvq_bus *bus;
	char request[256];
	uint64_t id;
	int err;

	(void)state;
	assert_int_equal(device_id(ask(ADD("d", "net", ""))), 1);
	assert_int_equal(tvq_client_type(tvqd_driven(d)->client, TVQ_TYPE_BLK, &info), 0);
	snprintf(request, sizeof(request), ADD("m", "block", ",\"features\":%llu"),
		 (unsigned long long)(info.default_features | BIT(TRNSPT_VQ) | BIT(TRNSPT_VDEV)));
	id = device_id(ask(request));
	bus = tvq_nested_new(tvqd_driven(d)->client, id, TVQ_TYPE_BLK, &err);
	assert_non_null(bus);
	client = tvq_client_new(bus, &cfg, &err);
	assert_non_null(client);
	assert_int_equal(tvq_client_create_call(client, &cr), 0);
	assert_int_equal(cr.device_id, 3);
	ok(SHOW("switch show"), "\"d\":{\"port\":1,\"kind\":\"device\",\"device_id\":1,");
	ok(SHOW("switch show"),
	   "\"#2\":{\"port\":2,\"kind\":\"nested\",\"device_id\":3,\"mac\":\"52:54:00:00:00:09\"");
	ok(SHOW("switch fdb show"), "\"#2\":[{\"mac\":\"52:54:00:00:00:09\"");
	assert_holds(ask(ADD("e", "net", ",\"mac\":\"52:54:00:00:00:09\"")),
		     "mac 52:54:00:00:00:09: it is the address of '#2'");
	tvq_client_free(client);
	bus->ops->free(bus);
}

/* virtio 5.1.2: without MQ the control queue is the third, and there is no other behind it. */
static void queues_are_shown_as_the_driver_has_them(void **state)
{
	struct tvq_net_cfg cfg = { .features = BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_CTRL_VQ) };
	uint64_t id;
	struct tvq_net *net;
	int err;

	(void)state;
	id = device_id(ask(ADD("d", "net", ",\"max_vqp\":2")));
	ok("{\"cmd\":\"dev vstats show\",\"args\":{\"name\":\"d\"}}",
	   "{\"qidx\":4,\"queue_type\":\"control_vq\"");
	net = tvq_net_new(tvqd_driven(d)->client, id, &cfg, &err);
	assert_non_null(net);
	ok("{\"cmd\":\"dev vstats show\",\"args\":{\"name\":\"d\"}}",
	   "{\"qidx\":2,\"queue_type\":\"control_vq\"");
	assert_null(strstr(ask("{\"cmd\":\"dev vstats show\",\"args\":{\"name\":\"d\"}}"),
			   "\"qidx\":3"));
	assert_holds(ask("{\"cmd\":\"dev vstats show\",\"args\":{\"name\":\"d\",\"qidx\":3}}"),
		     "qidx 3: 'd' has queues 0 to 2");
	ok("{\"cmd\":\"dev config show\",\"args\":{\"name\":\"d\"}}",
	   "\"negotiated_features\":[\"MAC\",\"CTRL_VQ\",");
	tvq_net_free(net);
}

static void what_passes_is_counted_at_the_port_and_at_the_queue(void **state)
{
	struct tvq_net_cfg cfg = { 0 };
	struct tvq_net *net;
	uint64_t id;
	int err;

	(void)state;
	id = device_id(ask(ADD("d", "net", ",\"mac\":\"52:54:00:00:00:01\"")));
	net = tvq_net_new(tvqd_driven(d)->client, id, &cfg, &err);
	assert_non_null(net);
	ok("{\"cmd\":\"switch port add\",\"args\":{\"name\":\"s\",\"source\":true,"
	   "\"to\":\"52:54:00:00:00:01\",\"size\":100}}",
	   NULL);
	while (strstr(ask("{\"cmd\":\"switch show\",\"args\":{\"name\":\"d\"}}"),
		      "\"rx_packets\":0,"))
		;
	assert_null(
		strstr(ask("{\"cmd\":\"dev vstats show\",\"args\":{\"name\":\"d\",\"qidx\":0}}"),
		       "\"received_desc\":0,"));
	ok("{\"cmd\":\"dev set\",\"args\":{\"name\":\"d\",\"link\":\"down\"}}", NULL);
	ok("{\"cmd\":\"dev config show\",\"args\":{\"name\":\"d\"}}", "\"link\":\"down\"");
	tvq_net_free(net);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, open_daemon, close_daemon)
	const struct CMUnitTest tests[] = {
		TEST(device_of_a_nested_manager_does_not_pass_for_one_of_ours),
		TEST(queues_are_shown_as_the_driver_has_them),
		TEST(what_passes_is_counted_at_the_port_and_at_the_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
