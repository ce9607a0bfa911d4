/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control socket and what clients may do to it: the daemon itself, in a process of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control_lab.h"

#define NOBODY 65534

static struct lab lab;

static int open_lab(void **state)
{
	*state = &lab;
	lab_begin(&lab);
	return 0;
}

static int close_lab(void **state)
{
	lab_end(*state);
	return 0;
}

static void assert_ended(int status, int code)
{
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), code);
}

static void sigterm_ends_cleanly_and_leaves_no_files(void **state)
{
	struct lab *l = *state;
	char request[256];

	assert_true(lab_start(l, NULL));
	snprintf(request, sizeof(request),
		 "{\"cmd\":\"dev "
		 "add\",\"args\":{\"name\":\"d\",\"mgmtdev\":\"mgmt0\",\"class\":\"block\","
		 "\"vhost-user\":\"%s/d.sock\"}}",
		 l->dir);
	lab_ok(l, request, "device_id");
	assert_true(lab_exists(l, "s.sock"));
	assert_true(lab_exists(l, "d.sock"));
	assert_ended(lab_stop(l, SIGTERM), 0);
	assert_false(lab_exists(l, "s.sock"));
	assert_false(lab_exists(l, "s.sock.lock"));
	assert_false(lab_exists(l, "d.sock"));
}

static void sigint_and_sighup_end_it_too(void **state)
{
	struct lab *l = *state;

	assert_true(lab_start(l, NULL));
	assert_ended(lab_stop(l, SIGINT), 0);
	assert_true(lab_start(l, "--workers", "0", NULL));
	assert_ended(lab_stop(l, SIGHUP), 0);
}

static void socket_is_for_its_user_only(void **state)
{
	struct lab *l = *state;
	struct stat st;

	snprintf(l->control, sizeof(l->control), "%s/sub/s.sock", l->dir);
	assert_true(lab_start(l, NULL));
	assert_int_equal(stat(l->control, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	*strrchr(l->control, '/') = '\0';
	assert_int_equal(stat(l->control, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
}

static void socket_in_use_is_refused_and_stays_served(void **state)
{
	struct lab *l = *state;
	struct lab second = *l;

	assert_true(lab_start(l, NULL));
	second.pid = 0;
	second.log_fd = -1;
	assert_false(lab_start(&second, NULL));
	assert_ended(lab_wait(&second), 1);
	assert_holds(second.log, "another tvqd serves");
	assert_holds(second.log, "--control");
	close(second.log_fd);
	lab_ok(l, "{\"cmd\":\"dev show\"}", NULL);
}

static void socket_of_another_program_is_refused(void **state)
{
	struct lab *l = *state;
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(addr.sun_path, l->control);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_false(lab_start(l, NULL));
	assert_ended(lab_wait(l), 1);
	assert_holds(l->log, "another program listens");
	assert_true(lab_exists(l, "s.sock"));
	close(fd);
}

static void stale_socket_file_is_replaced(void **state)
{
	struct lab *l = *state;

	assert_true(lab_start(l, NULL));
	assert_true(WIFSIGNALED(lab_stop(l, SIGKILL)));
	assert_true(lab_exists(l, "s.sock"));
	assert_true(lab_start(l, NULL));
	lab_ok(l, "{\"cmd\":\"dev show\"}", NULL);
}

static void file_of_another_kind_is_refused_and_kept(void **state)
{
	struct lab *l = *state;

	lab_file(l, "s.sock", 3);
	assert_false(lab_start(l, NULL));
	assert_ended(lab_wait(l), 1);
	assert_holds(l->log, "is not a socket");
	assert_true(lab_exists(l, "s.sock"));
}

static void become_nobody(struct tvqd_cfg *cfg)
{
	(void)cfg;
	if (setgid(NOBODY) < 0 || setuid(NOBODY) < 0)
		exit(77);
}

static void directory_without_permission_is_said(void **state)
{
	struct lab *l = *state;

	if (geteuid()) {
		print_message("skipped: only root may be anybody\n");
		skip();
	}
	assert_false(lab_start_with(l, become_nobody, NULL));
	assert_ended(lab_wait(l), 1);
	assert_holds(l->log, "Permission denied");
	assert_holds(l->log, "--control PATH");
}

static void stranger_cannot_connect_and_is_told_why(void **state)
{
	struct lab *l = *state;
	char err[512];
	int pipe_fd[2], status;
	ssize_t n;

	if (geteuid()) {
		print_message("skipped: only root may be anybody\n");
		skip();
	}
	assert_true(lab_start(l, NULL));
	assert_int_equal(pipe(pipe_fd), 0);
	fflush(NULL);
	if (!fork()) {
		dup2(pipe_fd[1], STDERR_FILENO);
		become_nobody(NULL);
		exit(lab_ctl(l, NULL, NULL, err, "dev", "show", NULL) == 1 &&
				     strstr(err, "no permission") && strstr(err, "as the user")
			     ? 0
			     : 1);
	}
	close(pipe_fd[1]);
	while ((n = read(pipe_fd[0], err, sizeof(err))) > 0)
		fwrite(err, 1, (size_t)n, stderr);
	close(pipe_fd[0]);
	wait(&status);
	assert_ended(status, 0);
}

static void bad_json_is_answered_and_the_connection_goes_on(void **state)
{
	struct lab *l = *state;
	int fd;

	assert_true(lab_start(l, NULL));
	fd = lab_connect(l);
	lab_send(fd, "{\"cmd\":\n");
	assert_holds(lab_line(fd), "bad JSON");
	lab_send(fd, "\n");
	assert_holds(lab_line(fd), "bad JSON");
	lab_send(fd, "{\"cmd\":\"dev show\"} {}\n");
	assert_holds(lab_line(fd), "something follows");
	lab_send(fd, "[1]\n");
	assert_holds(lab_line(fd), "expected a JSON object");
	lab_send(fd, "{\"id\":7,\"cmd\":\"dev fly\"}\n");
	assert_holds(lab_line(fd), "no request 'dev fly'; there are: mgmtdev show, dev add");
	lab_send(fd, "{\"id\":\"x\",\"cmd\":\"dev show\"}\n");
	assert_holds(lab_line(fd), "{\"id\":\"x\",\"ok\":");
	close(fd);
}

static void request_that_is_too_long_ends_the_connection(void **state)
{
	struct lab *l = *state;
	static char big[TVQD_REQUEST_MAX + 1];
	int fd;

	assert_true(lab_start(l, NULL));
	memset(big, ' ', sizeof(big) - 1);
	fd = lab_connect(l);
	lab_send(fd, big);
	assert_holds(lab_line(fd), "longer than 65536 bytes");
	assert_string_equal(lab_line(fd), "");
	close(fd);
	/* One byte less is a request. */
	big[sizeof(big) - 2] = '\n';
	fd = lab_connect(l);
	lab_send(fd, big);
	assert_holds(lab_line(fd), "bad JSON");
	lab_send(fd, "{\"cmd\":\"dev show\"}\n");
	assert_holds(lab_line(fd), "\"ok\"");
	close(fd);
}

static void requests_end_sooner(struct tvqd_cfg *cfg)
{
	cfg->request_ns = 200000000;
}

static void half_a_request_is_given_up_and_disturbs_nobody(void **state)
{
	struct lab *l = *state;
	int fd, silent;

	assert_true(lab_start_with(l, requests_end_sooner, NULL));
	silent = lab_connect(l);
	fd = lab_connect(l);
	lab_send(fd, "{\"cmd\":\"dev show\"}\n{\"cmd\":");
	assert_holds(lab_line(fd), "\"ok\"");
	lab_ok(l, "{\"cmd\":\"dev show\"}", NULL);
	assert_holds(lab_line(fd), "did not end in time");
	assert_string_equal(lab_line(fd), "");
	close(fd);
	/* Saying nothing at all is no offence. */
	lab_send(silent, "{\"cmd\":\"dev show\"}\n");
	assert_holds(lab_line(silent), "\"ok\"");
	close(silent);
}

static void thousands_of_silent_connections_disturb_nobody(void **state)
{
	enum { MANY = 3000, BOUND = 1024 };
	struct lab *l = *state;
	static int fd[MANY];
	int worker;

	assert_true(lab_start(l, NULL));
	worker = lab_connect(l);
	for (int i = 0; i < MANY; i++) {
		fd[i] = lab_connect(l);
		if (i % 100)
			continue;
		lab_send(worker, "{\"cmd\":\"dev show\"}\n");
		assert_holds(lab_line(worker), "\"ok\"");
	}
	lab_ok(l, "{\"cmd\":\"volume add\",\"args\":{\"name\":\"n\",\"null\":\"1M\"}}", NULL);
	assert_in_range(lab_fds(l), 1, BOUND + 32);
	/* The oldest had to go, the newest is there. */
	assert_string_equal(lab_line(fd[0]), "");
	lab_send(fd[MANY - 1], "{\"cmd\":\"dev show\"}\n");
	assert_holds(lab_line(fd[MANY - 1]), "\"ok\"");
	lab_send(worker, "{\"cmd\":\"dev show\"}\n");
	assert_holds(lab_line(worker), "\"ok\"");
	for (int i = 0; i < MANY; i++)
		close(fd[i]);
	close(worker);
}

static void client_that_reads_no_answers_is_waited_for_alone(void **state)
{
	static const char request[] = "{\"cmd\":\"mgmtdev show\"}\n";
	struct lab *l = *state;
	size_t sent = 0, answers = 0;
	int fd;

	assert_true(lab_start(l, NULL));
	fd = lab_connect(l);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	/* Until the daemon takes no more: many more than its buffers hold. */
	for (int quiet = 0; quiet < 2000;) {
		if (send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) == sizeof(request) - 1) {
			sent++;
			quiet = 0;
		} else {
			lab_ok(l, "{\"cmd\":\"dev show\"}", NULL);
			quiet++;
		}
		/* What is kept for one client is bounded: 1 MiB of answers, and the sockets'
		 * buffers. */
		assert_true(sent < 50000);
	}
	fcntl(fd, F_SETFL, 0);
	/* Then all answers are there. */
	for (; answers < sent; answers++)
		assert_holds(lab_line(fd), "mgmt0");
	close(fd);
}

static void answers_come_in_the_order_of_requests(void **state)
{
	struct lab *l = *state;
	char text[128];
	int fd;

	assert_true(lab_start(l, NULL));
	fd = lab_connect(l);
	/* The first opens a file, on another thread; the others could be quicker. */
	snprintf(text, sizeof(text), "%s/img", l->dir);
	lab_file(l, "img", 4096);
	lab_send(fd, "{\"id\":0,\"cmd\":\"volume add\",\"args\":{\"name\":\"img\",\"file\":\"");
	lab_send(fd, text);
	lab_send(fd, "\"}}\n");
	for (int i = 1; i < 500; i++) {
		snprintf(text, sizeof(text), "{\"id\":%d,\"cmd\":\"%s show\"}\n", i,
			 i % 2 ? "dev" : "mgmtdev");
		lab_send(fd, text);
	}
	for (int i = 0; i < 500; i++) {
		snprintf(text, sizeof(text), "{\"id\":%d,\"ok\":", i);
		assert_holds(lab_line(fd), text);
	}
	close(fd);
}

static void client_that_ends_its_half_still_gets_its_answers(void **state)
{
	struct lab *l = *state;
	int fd;

	assert_true(lab_start(l, NULL));
	fd = lab_connect(l);
	lab_send(fd,
		 "{\"id\":1,\"cmd\":\"mgmtdev show\"}\n{\"id\":2,\"cmd\":\"dev show\"}\n{\"id\":3");
	shutdown(fd, SHUT_WR);
	assert_holds(lab_line(fd), "\"id\":1");
	assert_holds(lab_line(fd), "\"id\":2");
	assert_string_equal(lab_line(fd), "");
	close(fd);
}

static void client_that_goes_in_the_middle_leaves_nothing_behind(void **state)
{
	struct lab *l = *state;
	unsigned int fds;

	assert_true(lab_start(l, NULL));
	lab_ok(l, "{\"cmd\":\"dev show\"}", NULL);
	fds = lab_fds(l);
	for (int i = 0; i < 200; i++) {
		int fd = lab_connect(l);

		lab_send(
			fd,
			"{\"cmd\":\"dev add\",\"args\":{\"name\":\"d\",\"mgmtdev\":\"mgmt0\","
			"\"class\":\"block\"}}\n{\"cmd\":\"dev del\",\"args\":{\"name\":\"d\"}}\n");
		close(fd);
	}
	/* Its requests were whole, so they are done; the one asked now comes after the connections'
	 * ends. */
	for (int i = 0; i < 1000; i++) {
		if (strstr(lab_ask(l, "{\"cmd\":\"dev show\"}"), "\"dev\":{}") && lab_fds(l) <= fds)
			return;
		usleep(10000);
	}
	fail_msg("%u descriptors, %u before; %s", lab_fds(l), fds,
		 lab_ask(l, "{\"cmd\":\"dev show\"}"));
}

static void after_an_error_the_rest_of_a_batch_is_not_done(void **state)
{
	struct lab *l = *state;
	int fd;

	assert_true(lab_start(l, NULL));
	fd = lab_connect(l);
	lab_send(fd, "{\"cmd\":\"batch\",\"args\":{\"stop\":true}}\n"
		     "{\"cmd\":\"volume add\",\"args\":{\"name\":\"a\",\"null\":1048576}}\n"
		     "{\"cmd\":\"volume del\",\"args\":{\"name\":\"b\"}}\n"
		     "{\"cmd\":\"volume del\",\"args\":{\"name\":\"a\"}}\n");
	assert_holds(lab_line(fd), "\"ok\"");
	assert_holds(lab_line(fd), "\"ok\"");
	assert_holds(lab_line(fd), "no volume 'b'");
	assert_holds(lab_line(fd), "ECANCELED");
	close(fd);
	lab_ok(l, "{\"cmd\":\"volume show\",\"args\":{\"name\":\"a\"}}", "1048576");
}

static void few_descriptors(struct tvqd_cfg *cfg)
{
	struct rlimit rl = { 60, 60 };

	(void)cfg;
	setrlimit(RLIMIT_NOFILE, &rl);
}

static void running_out_of_descriptors_is_said_with_need_and_limit(void **state)
{
	struct lab *l = *state;
	char request[256];
	const char *line;
	int i, hold;

	assert_true(lab_start_with(l, few_descriptors, NULL));
	for (i = 0; i < 60; i++) {
		snprintf(request, sizeof(request),
			 "{\"cmd\":\"dev add\",\"args\":{\"name\":\"d%d\",\"mgmtdev\":\"mgmt0\","
			 "\"class\":\"block\",\"vhost-user\":\"%s/d%d\"}}",
			 i, l->dir, i);
		line = lab_ask(l, request);
		if (strstr(line, "error"))
			break;
	}
	assert_holds(line, "no file descriptor is left");
	assert_holds(line, "each needs 1");
	assert_holds(line, "the limit is 60 (RLIMIT_NOFILE)");
	/* Clients still get in: one that holds on to its connection is pushed out by others. */
	hold = lab_connect(l);
	snprintf(request, sizeof(request), "{\"cmd\":\"dev show\",\"args\":{\"name\":\"d%d\"}}",
		 i - 1);
	lab_ok(l, request, NULL);
	lab_ok(l, request, NULL);
	close(hold);
	snprintf(request, sizeof(request), "{\"cmd\":\"dev del\",\"args\":{\"name\":\"d%d\"}}",
		 i - 1);
	lab_ok(l, request, NULL);
}

static void limit_of_descriptors_is_raised_at_the_start(void **state)
{
	struct lab *l = *state;
	struct rlimit rl, theirs;

	getrlimit(RLIMIT_NOFILE, &rl);
	if (rl.rlim_max < 512) {
		print_message("skipped: fewer than 512 descriptors are allowed here\n");
		skip();
	}
	rl.rlim_cur = 256;
	setrlimit(RLIMIT_NOFILE, &rl);
	assert_true(lab_start(l, NULL));
	assert_int_equal(prlimit(l->pid, RLIMIT_NOFILE, NULL, &theirs), 0);
	assert_int_equal(theirs.rlim_cur, rl.rlim_max);
	rl.rlim_cur = rl.rlim_max;
	setrlimit(RLIMIT_NOFILE, &rl);
}

static void commands_on_the_transportq_are_traced(void **state)
{
	struct lab *l = *state;
	int fd;

	assert_true(lab_start(l, NULL));
	fd = lab_connect(l);
	lab_send(fd, "{\"cmd\":\"trace\"}\n{\"cmd\":\"trace\"}\n");
	assert_holds(lab_line(fd), "\"ok\"");
	assert_holds(lab_line(fd), "EALREADY");
	lab_ok(l,
	       "{\"cmd\":\"dev "
	       "add\",\"args\":{\"name\":\"d\",\"mgmtdev\":\"mgmt0\",\"class\":\"block\"}}",
	       NULL);
	assert_holds(lab_line(fd), "\"command\":\"VDEV CREATE\"");
	assert_holds(lab_line(fd), "FEAT DEVICE_GET");
	assert_holds(lab_line(fd), "VQ_SIZE GET");
	lab_ok(l, "{\"cmd\":\"dev del\",\"args\":{\"name\":\"d\"}}", NULL);
	assert_holds(lab_line(fd), "VDEV DESTROY");
	close(fd);
	lab_ok(l, "{\"cmd\":\"mgmtdev show\"}", NULL);
}

static void tracer_that_does_not_read_misses_events_and_learns_how_many(void **state)
{
	struct lab *l = *state;
	unsigned long seen = 0, asked = 0;
	struct json_object *o, *dropped;
	int fd, other;

	assert_true(lab_start(l, NULL));
	fd = lab_connect(l);
	lab_send(fd, "{\"cmd\":\"trace\"}\n");
	assert_holds(lab_line(fd), "\"ok\"");
	other = lab_connect(l);
	/* Far more than socket and buffer hold; each is one command. */
	for (; asked < 5000; asked++) {
		lab_send(other, "{\"cmd\":\"mgmtdev show\"}\n");
		assert_holds(lab_line(other), "\"ok\"");
	}
	/* Once there is room again, the next event comes with the number of those that were missed.
	 */
	for (;;) {
		o = json_tokener_parse(lab_line(fd));
		if (json_object_object_get_ex(o, "dropped", &dropped))
			break;
		json_object_put(o);
		seen++;
		assert_true(seen < 5000);
		if (seen % 50)
			continue;
		lab_send(other, "{\"cmd\":\"mgmtdev show\"}\n");
		assert_holds(lab_line(other), "\"ok\"");
		asked++;
	}
	assert_true(json_object_get_int64(dropped) > 0);
	assert_true(seen + (unsigned long)json_object_get_int64(dropped) <= asked);
	json_object_put(o);
	close(fd);
	close(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_lab, close_lab)
		TEST(sigterm_ends_cleanly_and_leaves_no_files),
		TEST(sigint_and_sighup_end_it_too),
		TEST(socket_is_for_its_user_only),
		TEST(socket_in_use_is_refused_and_stays_served),
		TEST(socket_of_another_program_is_refused),
		TEST(stale_socket_file_is_replaced),
		TEST(file_of_another_kind_is_refused_and_kept),
		TEST(directory_without_permission_is_said),
		TEST(stranger_cannot_connect_and_is_told_why),
		TEST(bad_json_is_answered_and_the_connection_goes_on),
		TEST(request_that_is_too_long_ends_the_connection),
		TEST(half_a_request_is_given_up_and_disturbs_nobody),
		TEST(thousands_of_silent_connections_disturb_nobody),
		TEST(client_that_reads_no_answers_is_waited_for_alone),
		TEST(answers_come_in_the_order_of_requests),
		TEST(client_that_ends_its_half_still_gets_its_answers),
		TEST(client_that_goes_in_the_middle_leaves_nothing_behind),
		TEST(after_an_error_the_rest_of_a_batch_is_not_done),
		TEST(running_out_of_descriptors_is_said_with_need_and_limit),
		TEST(limit_of_descriptors_is_raised_at_the_start),
		TEST(commands_on_the_transportq_are_traced),
		TEST(tracer_that_does_not_read_misses_events_and_learns_how_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
