/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two daemons: one that serves the management device over vfio-user and owns the volumes, and one
 * that manages it and presents its devices.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control_lab.h"

static struct roles {
	struct lab serving, managing;
	char socket[128], serve[192],
		manage[128]; /* the vfio-user socket, and the options for it */
} roles;

static int open_labs(void **state)
{
	struct roles *ls = *state = &roles;

	lab_begin(&ls->serving);
	lab_begin(&ls->managing);
	lab_path(&ls->serving, "", "mgmt0.sock", ls->socket, sizeof(ls->socket));
	lab_path(&ls->serving, "vfio-user:", "mgmt0.sock", ls->serve, sizeof(ls->serve));
	memcpy(ls->manage, ls->serve, sizeof(ls->manage));
	strcat(ls->serve, ",ram-pool=on");
	return 0;
}

static int close_labs(void **state)
{
	struct roles *ls = *state;

	lab_end(&ls->managing);
	lab_end(&ls->serving);
	return 0;
}

static void assert_ended(const struct lab *l, int status, int code)
{
	if (!WIFEXITED(status) || WEXITSTATUS(status) != code)
		fail_msg("ended with wait status 0x%x:\n%s", (unsigned int)status, l->log);
}

static void start_serving(struct roles *ls)
{
	if (!lab_start(&ls->serving, "--serve", ls->serve, NULL))
		fail_msg("it does not serve:\n%s", ls->serving.log);
}

static void start_managing(struct roles *ls)
{
	if (!lab_start(&ls->managing, "--manage", ls->manage, NULL))
		fail_msg("it does not manage:\n%s", ls->managing.log);
}

static void start_both(struct roles *ls)
{
	start_serving(ls);
	start_managing(ls);
}

static void add_volume(struct roles *ls, const char *name)
{
	char request[256];

	snprintf(request, sizeof(request),
		 "{\"cmd\":\"volume add\",\"args\":{\"name\":\"%s\",\"ram\":\"1M\"}}", name);
	lab_ok(&ls->serving, request, NULL);
}

/* A request for a device; volume and socket (a file of the managing daemon's) may be NULL. */
static const char *dev_add(const struct roles *ls, const char *name, const char *volume,
			   const char *socket)
{
	static char request[512];
	int n = snprintf(request, sizeof(request),
			 "{\"cmd\":\"dev add\",\"args\":{\"name\":\"%s\",\"mgmtdev\":\"mgmt0\","
			 "\"class\":\"block\"",
			 name);

	if (volume)
		n += sprintf(request + n, ",\"volume\":\"%s\"", volume);
	if (socket)
		n += sprintf(request + n, ",\"vhost-user\":\"%s/%s\"", ls->managing.dir, socket);
	sprintf(request + n, "}}");
	return request;
}

static void serving_daemon_shows_where_and_to_whom(void **state)
{
	struct roles *ls = *state;
	char out[256];

	start_serving(ls);
	assert_true(lab_exists(&ls->serving, "mgmt0.sock"));
	snprintf(out, sizeof(out), "\"served\":\"%s\",\"connected\":false", ls->socket);
	lab_ok(&ls->serving, "{\"cmd\":\"mgmtdev show\"}", out);
	lab_ok(&ls->serving, "{\"cmd\":\"mgmtdev show\",\"args\":{\"name\":\"mgmt0\"}}",
	       "\"devices\":0");
	start_managing(ls);
	snprintf(out, sizeof(out), "\"served\":\"%s\",\"connected\":true", ls->socket);
	lab_ok(&ls->serving, "{\"cmd\":\"mgmtdev show\"}", out);
	lab_ok(&ls->managing, dev_add(ls, "d", NULL, NULL), "\"device_id\":1");
	lab_ok(&ls->serving, "{\"cmd\":\"mgmtdev show\"}", "\"devices\":1,\"vqs\":1");
	snprintf(out, sizeof(out), "\"managed\":\"%s\"", ls->socket);
	lab_ok(&ls->managing, "{\"cmd\":\"mgmtdev show\"}", out);
	lab_ok(&ls->managing, "{\"cmd\":\"mgmtdev show\"}",
	       "\"supported_classes\":[\"net\",\"block\"]");
}

static void volumes_are_the_serving_daemons(void **state)
{
	struct roles *ls = *state;
	char ask[192];

	start_both(ls);
	add_volume(ls, "v");
	lab_ok(&ls->serving, "{\"cmd\":\"volume show\"}", "\"v\":{\"type\":\"ram\"");
	snprintf(ask, sizeof(ask), "the tvqd that serves mgmt0 at %s: ask that one", ls->socket);
	lab_refused(&ls->managing, "{\"cmd\":\"volume show\"}", ask);
	lab_refused(&ls->managing, "{\"cmd\":\"volume del\",\"args\":{\"name\":\"v\"}}", ask);
	lab_refused(&ls->managing,
		    "{\"cmd\":\"volume add\",\"args\":{\"name\":\"w\",\"ram\":\"1M\"}}", ask);
	lab_ok(&ls->serving, "{\"cmd\":\"volume del\",\"args\":{\"name\":\"v\"}}", NULL);
}

static void device_gets_the_volume_that_it_names(void **state)
{
	struct roles *ls = *state;

	start_both(ls);
	add_volume(ls, "one");
	add_volume(ls, "two");
	lab_ok(&ls->managing, dev_add(ls, "d", "two", "d.sock"), "\"device_id\":1");
	assert_true(lab_exists(&ls->managing, "d.sock"));
	lab_ok(&ls->managing, "{\"cmd\":\"dev show\"}", "\"d\":{\"type\":\"block\"");
	lab_ok(&ls->serving, "{\"cmd\":\"dev show\"}", "\"1\":{\"type\":\"block\"");
	lab_ok(&ls->serving, "{\"cmd\":\"dev show\",\"args\":{\"name\":\"1\"}}",
	       "\"volume\":\"two\"");
	lab_refused(&ls->serving, "{\"cmd\":\"volume del\",\"args\":{\"name\":\"two\"}}",
		    "in use by device '1': the vfio-user client has to delete it");
	lab_ok(&ls->managing, "{\"cmd\":\"dev config show\",\"args\":{\"name\":\"d\"}}",
	       "\"capacity\":2048");
	lab_ok(&ls->managing, "{\"cmd\":\"dev vstats show\",\"args\":{\"name\":\"d\"}}",
	       "\"qidx\":0");
	lab_ok(&ls->managing, "{\"cmd\":\"dev del\",\"args\":{\"name\":\"d\"}}", NULL);
	assert_false(lab_exists(&ls->managing, "d.sock"));
	lab_ok(&ls->serving, "{\"cmd\":\"dev show\"}", "\"dev\":{}");
	lab_ok(&ls->serving, "{\"cmd\":\"volume del\",\"args\":{\"name\":\"two\"}}", NULL);
}

static void refused_device_is_explained_by_the_serving_daemons_log(void **state)
{
	struct roles *ls = *state;

	assert_true(lab_start(&ls->serving, "--log-level", "debug", "--serve", ls->serve, NULL));
	start_managing(ls);
	lab_refused(&ls->managing, dev_add(ls, "d", "nowhere", NULL),
		    "mgmt0 refused to create 'd': is volume 'nowhere' there");
	lab_refused(&ls->managing, dev_add(ls, "d", "nowhere", NULL), "--log-level debug");
	lab_ok(&ls->managing, "{\"cmd\":\"dev show\"}", "\"dev\":{}");
	assert_ended(&ls->serving, lab_stop(&ls->serving, SIGTERM), 0);
	assert_holds(ls->serving.log, "VDEV CREATE failed");
	assert_ended(&ls->managing, lab_wait(&ls->managing), 1);
}

static void owners_listing_shows_each_device_once_latest_first(void **state)
{
	enum { DEVICES = 600 };
	struct roles *ls = *state;
	char request[96], name[16];
	uint64_t next = 0, last = UINT64_MAX;
	unsigned int n = 0;

	start_both(ls);
	for (unsigned int i = 0; i < DEVICES; i++) {
		snprintf(name, sizeof(name), "d%u", i);
		lab_ok(&ls->managing, dev_add(ls, name, NULL, NULL), NULL);
	}
	do {
		struct json_object *answer, *ok, *list, *more;

		snprintf(request, sizeof(request),
			 "{\"cmd\":\"dev show\",\"args\":{\"from\":%llu}}",
			 (unsigned long long)next);
		answer = json_tokener_parse(lab_ask(&ls->serving, request));
		assert_true(json_object_object_get_ex(answer, "ok", &ok));
		assert_true(json_object_object_get_ex(ok, "dev", &list));
		json_object_object_foreach(list, key, value)
		{
			uint64_t id = strtoull(key, NULL, 10);

			(void)value;
			assert_true(id && id < last);
			last = id;
			n++;
		}
		next = json_object_object_get_ex(ok, "next", &more) ? json_object_get_uint64(more)
								    : 0;
		json_object_put(answer);
	} while (next);
	assert_int_equal(n, DEVICES);
	lab_refused(&ls->serving, "{\"cmd\":\"dev show\",\"args\":{\"name\":\"9999\"}}",
		    "no device '9999'");
	lab_refused(&ls->serving, "{\"cmd\":\"dev show\",\"args\":{\"name\":\"d1\"}}",
		    "by their numbers");
}

static void sigterm_ends_each_cleanly_and_leaves_no_files(void **state)
{
	struct roles *ls = *state;

	start_both(ls);
	lab_ok(&ls->managing, dev_add(ls, "d", NULL, "d.sock"), NULL);
	assert_ended(&ls->managing, lab_stop(&ls->managing, SIGTERM), 0);
	assert_false(lab_exists(&ls->managing, "s.sock"));
	assert_false(lab_exists(&ls->managing, "s.sock.lock"));
	assert_false(lab_exists(&ls->managing, "d.sock"));
	/* Its devices went with it. */
	lab_ok(&ls->serving, "{\"cmd\":\"dev show\"}", "\"dev\":{}");
	assert_ended(&ls->serving, lab_stop(&ls->serving, SIGTERM), 0);
	assert_false(lab_exists(&ls->serving, "s.sock"));
	assert_false(lab_exists(&ls->serving, "mgmt0.sock"));
}

static void server_that_goes_ends_the_managing_daemon(struct roles *ls, int signal)
{
	unsigned int lines = 0;

	start_both(ls);
	lab_ok(&ls->managing, dev_add(ls, "d", NULL, "d.sock"), NULL);
	lab_stop(&ls->serving, signal);
	assert_ended(&ls->managing, lab_wait(&ls->managing), 1);
	for (const char *p = ls->managing.log; (p = strstr(p, "mgmt0 is gone: ")); p++)
		lines++;
	assert_int_equal(lines, 1);
	assert_false(lab_exists(&ls->managing, "s.sock"));
	assert_false(lab_exists(&ls->managing, "d.sock"));
}

static void killed_server_ends_the_managing_daemon_which_says_so(void **state)
{
	server_that_goes_ends_the_managing_daemon(*state, SIGKILL);
}

static void server_that_ends_ends_the_managing_daemon_which_says_so(void **state)
{
	server_that_goes_ends_the_managing_daemon(*state, SIGTERM);
}

static void requests_under_way_when_the_server_goes_are_answered_or_cut(void **state)
{
	struct roles *ls = *state;
	int fd;

	start_both(ls);
	fd = lab_connect(&ls->managing);
	kill(ls->serving.pid, SIGSTOP);
	lab_send(fd, dev_add(ls, "d", NULL, NULL));
	lab_send(fd, "\n");
	lab_stop(&ls->serving, SIGKILL);
	/* An error, or the end of the connection, but no success and no hang. */
	assert_null(strstr(lab_line(fd), "\"ok\""));
	close(fd);
	assert_ended(&ls->managing, lab_wait(&ls->managing), 1);
}

static void killed_managing_daemon_leaves_the_serving_one_usable(void **state)
{
	struct roles *ls = *state;

	start_both(ls);
	add_volume(ls, "v");
	lab_ok(&ls->managing, dev_add(ls, "d", "v", "d.sock"), "\"device_id\":1");
	lab_stop(&ls->managing, SIGKILL);
	start_managing(ls);
	/* The devices of the dead one went at the reset by the new one. */
	lab_ok(&ls->serving, "{\"cmd\":\"dev show\"}", "\"dev\":{}");
	lab_ok(&ls->managing, dev_add(ls, "d", "v", "d.sock"), "\"device_id\":2");
}

static void second_managing_daemon_does_not_get_the_device(void **state)
{
	struct roles *ls = *state;
	struct lab second;

	start_both(ls);
	lab_ok(&ls->managing, dev_add(ls, "d", NULL, NULL), "\"device_id\":1");
	lab_begin(&second);
	assert_false(lab_start(&second, "--manage", ls->manage, NULL));
	assert_ended(&second, lab_wait(&second), 1);
	assert_holds(second.log, ls->socket);
	lab_end(&second);
	lab_ok(&ls->managing, "{\"cmd\":\"dev show\"}", "\"d\":{");
	lab_ok(&ls->managing, dev_add(ls, "e", NULL, NULL), "\"device_id\":2");
}

static void nobody_who_serves_is_said_with_the_path(void **state)
{
	struct roles *ls = *state;

	assert_false(lab_start(&ls->managing, "--manage", ls->manage, NULL));
	assert_ended(&ls->managing, lab_wait(&ls->managing), 1);
	assert_holds(ls->managing.log, ls->socket);
	assert_holds(ls->managing.log, "does tvqd --serve run there");
	assert_false(lab_exists(&ls->managing, "s.sock"));
}

/* Something listens there and says nothing, or nonsense: the wait is bounded. */
static void server_that_speaks_no_vfio_user_is_given_up(void **state)
{
	struct roles *ls = *state;
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(addr.sun_path, ls->socket);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_false(lab_start(&ls->managing, "--manage", ls->manage, NULL));
	assert_ended(&ls->managing, lab_wait(&ls->managing), 1);
	assert_holds(ls->managing.log, ls->socket);
	close(fd);
}

static void socket_that_is_served_already_is_refused(void **state)
{
	struct roles *ls = *state;
	struct lab second;

	start_serving(ls);
	lab_begin(&second);
	assert_false(lab_start(&second, "--serve", ls->serve, NULL));
	assert_ended(&second, lab_wait(&second), 1);
	assert_holds(second.log, ls->socket);
	lab_end(&second);
	assert_true(lab_exists(&ls->serving, "mgmt0.sock"));
	start_managing(ls);
}

static void file_in_the_place_of_the_socket_is_kept(void **state)
{
	struct roles *ls = *state;

	lab_file(&ls->serving, "mgmt0.sock", 3);
	assert_false(lab_start(&ls->serving, "--serve", ls->serve, NULL));
	assert_ended(&ls->serving, lab_wait(&ls->serving), 1);
	assert_holds(ls->serving.log, "--serve: ");
	assert_holds(ls->serving.log, "is no socket");
	assert_true(lab_exists(&ls->serving, "mgmt0.sock"));
	assert_false(lab_exists(&ls->serving, "s.sock"));
}

static void stale_socket_of_a_killed_server_is_replaced(void **state)
{
	struct roles *ls = *state;

	start_serving(ls);
	lab_stop(&ls->serving, SIGKILL);
	assert_true(lab_exists(&ls->serving, "mgmt0.sock"));
	start_both(ls);
}

/* As the socket of a daemon that was killed does, while the kernel ends its io_uring. */
static void socket_that_is_about_to_go_is_waited_for(void **state)
{
	struct roles *ls = *state;
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pid_t pid;

	strcpy(addr.sun_path, ls->socket);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 100), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		usleep(200000);
		_exit(0);
	}
	close(fd);
	start_serving(ls);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void every_kind_of_function_can_be_managed(void **state)
{
	static const char *const keys[] = { "", ",id=0x10f2", ",vectors=1", ",msi-page=on",
					    ",id=0x1042,vectors=2048,msi-page=off" };
	static const char *const rings[] = { "split", "packed" };
	struct roles *ls = *state;

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		snprintf(ls->serve, sizeof(ls->serve), "vfio-user:%s,ram-pool=on%s", ls->socket,
			 keys[i]);
		if (!lab_start(&ls->serving, "--workers", i % 2 ? "0" : "2", "--serve", ls->serve,
			       NULL))
			fail_msg("%s:\n%s", ls->serve, ls->serving.log);
		if (!lab_start(&ls->managing, "--manage", ls->manage, "--transportq", rings[i % 2],
			       NULL))
			fail_msg("%s:\n%s", ls->serve, ls->managing.log);
		lab_ok(&ls->managing, dev_add(ls, "d", NULL, "d.sock"), "\"device_id\":1");
		assert_ended(&ls->managing, lab_stop(&ls->managing, SIGTERM), 0);
		assert_ended(&ls->serving, lab_stop(&ls->serving, SIGTERM), 0);
	}
}

/* What a guest gets is what the host gave it. */
static void client_gets_no_memory_for_the_asking(void **state)
{
	struct roles *ls = *state;

	assert_true(lab_start(&ls->serving, "--serve", ls->manage, NULL));
	start_managing(ls);
	lab_refused(&ls->managing, dev_add(ls, "d", NULL, NULL), "mgmt0 refused to create 'd'");
	add_volume(ls, "one");
	lab_ok(&ls->managing, dev_add(ls, "d", NULL, NULL), NULL);
	lab_refused(&ls->managing, dev_add(ls, "e", NULL, NULL), "mgmt0 refused to create 'e'");
}

static void room_is_as_much_as_the_serving_daemon_was_told(void **state)
{
	struct roles *ls = *state;

	assert_true(lab_start(&ls->serving, "--max-devices", "1", "--serve", ls->serve, NULL));
	start_managing(ls);
	lab_ok(&ls->managing, dev_add(ls, "d", NULL, NULL), NULL);
	lab_refused(&ls->managing, dev_add(ls, "e", NULL, NULL),
		    "start the serving tvqd with higher --max-devices");
}

int main(void)
{
#define unit_test_roles(test) cmocka_unit_test_setup_teardown(test, open_labs, close_labs)
	const struct CMUnitTest tests[] = {
		unit_test_roles(serving_daemon_shows_where_and_to_whom),
		unit_test_roles(volumes_are_the_serving_daemons),
		unit_test_roles(device_gets_the_volume_that_it_names),
		unit_test_roles(refused_device_is_explained_by_the_serving_daemons_log),
		unit_test_roles(owners_listing_shows_each_device_once_latest_first),
		unit_test_roles(sigterm_ends_each_cleanly_and_leaves_no_files),
		unit_test_roles(killed_server_ends_the_managing_daemon_which_says_so),
		unit_test_roles(server_that_ends_ends_the_managing_daemon_which_says_so),
		unit_test_roles(requests_under_way_when_the_server_goes_are_answered_or_cut),
		unit_test_roles(killed_managing_daemon_leaves_the_serving_one_usable),
		unit_test_roles(second_managing_daemon_does_not_get_the_device),
		unit_test_roles(nobody_who_serves_is_said_with_the_path),
		unit_test_roles(server_that_speaks_no_vfio_user_is_given_up),
		unit_test_roles(socket_that_is_served_already_is_refused),
		unit_test_roles(file_in_the_place_of_the_socket_is_kept),
		unit_test_roles(stale_socket_of_a_killed_server_is_replaced),
		unit_test_roles(socket_that_is_about_to_go_is_waited_for),
		unit_test_roles(every_kind_of_function_can_be_managed),
		unit_test_roles(client_gets_no_memory_for_the_asking),
		unit_test_roles(room_is_as_much_as_the_serving_daemon_was_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
