/* SPDX-License-Identifier: BSD-3-Clause */
/* Loops: messages between threads, watches, timers, I/O, jobs; in each of the kernel's modes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <liburing.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <tvq/loop.h>

/* ThreadSanitizer's runtime makes system calls of its own, for its memory. */
#if defined(__SANITIZE_THREAD__)
#define UNDER_TSAN true
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN true
#endif
#endif
#ifndef UNDER_TSAN
#define UNDER_TSAN false
#endif

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* The group runs once for each mode, see main(). */
static unsigned int mode;

static struct tvq_loop *new_loop(uint64_t poll_ns)
{
	struct tvq_loop_cfg cfg = { .poll_ns = poll_ns, .cpu = -1, .name = "test", .compat = mode };
	int err;
	struct tvq_loop *l = tvq_loop_new(&cfg, &err);

	assert_non_null(l);
	assert_int_equal(err, 0);
	return l;
}

static void signal_fd(int fd)
{
	uint64_t one = 1;

	assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
}

/* Turns until *n reaches want. No limit of its own: what never comes is the harness' time-out. */
static void turn_until(struct tvq_loop *l, const unsigned int *n, unsigned int want)
{
	while (*n < want)
		tvq_loop_turn(l, true);
}

/* Turns that do not sleep, enough for whatever is under way in the kernel to show. */
static void turn_often(struct tvq_loop *l)
{
	for (unsigned int i = 0; i < 100; i++)
		tvq_loop_turn(l, false);
}

/* Messages between loops */

struct ball {
	struct tvq_msg msg;
	struct tvq_loop *at, *other;
	unsigned int left;
};

static void ball_fn(struct tvq_msg *m)
{
	struct ball *b = (struct ball *)m;
	struct tvq_loop *to = b->other;

	if (!b->left--) {
		tvq_loop_stop(b->at);
		tvq_loop_stop(b->other);
		return;
	}
	b->other = b->at;
	b->at = to;
	tvq_exec_post(tvq_loop_exec(to), m);
}

static void two_loops_pass_a_message_back_and_forth(void **state)
{
	struct tvq_loop *a = new_loop(0), *b = new_loop(0);
	struct ball ball = { .msg.fn = ball_fn, .at = a, .other = b, .left = 20000 };

	(void)state;
	assert_int_equal(tvq_loop_start(a), 0);
	assert_int_equal(tvq_loop_start(a), -EBUSY);
	assert_int_equal(tvq_loop_start(b), 0);
	tvq_exec_post(tvq_loop_exec(a), &ball.msg);
	tvq_loop_join(a);
	tvq_loop_join(b);
	tvq_loop_free(a);
	tvq_loop_free(b);
}

struct flood {
	struct tvq_msg msg;
	unsigned int *arrived;
};

static void flood_fn(struct tvq_msg *m)
{
	++*((struct flood *)m)->arrived;
}

struct flooder {
	struct tvq_exec *to;
	struct flood *msgs;
	unsigned int n;
};

static void *flooder_thread(void *arg)
{
	struct flooder *f = arg;

	for (unsigned int i = 0; i < f->n; i++) {
		tvq_exec_post(f->to, &f->msgs[i].msg);
		if (i % 64 == 0)
			sched_yield();
	}
	return NULL;
}

static void sleeping_loop_receives_all_messages_of_two_threads(void **state)
{
	enum { N = 50000 };
	struct tvq_loop *l = new_loop(0);
	struct flood *msgs = calloc(2 * N, sizeof(*msgs));
	struct flooder f[2];
	pthread_t t[2];
	unsigned int arrived = 0;

	(void)state;
	assert_non_null(msgs);
	for (unsigned int i = 0; i < 2 * N; i++)
		msgs[i] = (struct flood){ .msg.fn = flood_fn, .arrived = &arrived };
	for (unsigned int i = 0; i < 2; i++) {
		f[i] = (struct flooder){ tvq_loop_exec(l), msgs + i * N, N };
		assert_int_equal(pthread_create(&t[i], NULL, flooder_thread, &f[i]), 0);
	}
	turn_until(l, &arrived, 2 * N);
	for (unsigned int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	tvq_loop_free(l);
	free(msgs);
}

/* Stop */

static struct tvq_loop *signalled_loop;

static void on_alarm(int sig)
{
	(void)sig;
	tvq_loop_stop(signalled_loop);
}

static void stop_ends_a_run_from_a_signal_handler_and_before_it_begins(void **state)
{
	struct sigaction sa = { .sa_handler = on_alarm }, old;
	struct itimerspec soon = { .it_value.tv_nsec = 20000000 };
	struct tvq_loop *l = new_loop(0);
	timer_t timer;

	(void)state;
	tvq_loop_stop(l);
	tvq_loop_run(l);
	signalled_loop = l;
	assert_int_equal(sigaction(SIGALRM, &sa, &old), 0);
	assert_int_equal(timer_create(CLOCK_MONOTONIC, NULL, &timer), 0);
	assert_int_equal(timer_settime(timer, 0, &soon, NULL), 0);
	tvq_loop_run(l);
	timer_delete(timer);
	sigaction(SIGALRM, &old, NULL);
	tvq_loop_free(l);
}

/* Watches */

struct counter {
	struct tvq_watch watch;
	unsigned int events, stopped;
	int last;
};

static void counter_fn(struct tvq_watch *w, int events)
{
	struct counter *c = (struct counter *)w;

	c->events++;
	c->last = events;
}

static void counter_stopped(struct tvq_watch *w)
{
	((struct counter *)w)->stopped++;
}

static void watch_reports_every_write_without_reading_the_descriptor(void **state)
{
	struct tvq_loop *l = new_loop(0);
	struct counter c = { .watch.fn = counter_fn };
	int fd = eventfd(0, EFD_NONBLOCK);
	uint64_t value;

	(void)state;
	tvq_watch_start(l, &c.watch, fd, POLLIN);
	turn_often(l);
	assert_int_equal(c.events, 0);
	for (unsigned int i = 1; i <= 100; i++) {
		signal_fd(fd);
		turn_until(l, &c.events, i);
		turn_often(l);
		assert_int_equal(c.events, i);
		assert_true(c.last & POLLIN);
	}
	assert_int_equal(read(fd, &value, sizeof(value)), sizeof(value));
	assert_int_equal(value, 100);
	tvq_watch_stop(&c.watch, counter_stopped);
	turn_until(l, &c.stopped, 1);
	tvq_loop_free(l);
	close(fd);
}

static void watch_of_a_ready_descriptor_reports_at_the_start(void **state)
{
	struct tvq_loop *l = new_loop(0);
	struct counter c = { .watch.fn = counter_fn };
	int fd = eventfd(1, EFD_NONBLOCK);

	(void)state;
	tvq_watch_start(l, &c.watch, fd, POLLIN);
	turn_until(l, &c.events, 1);
	turn_often(l);
	assert_int_equal(c.events, 1);
	tvq_watch_stop(&c.watch, counter_stopped);
	turn_until(l, &c.stopped, 1);
	tvq_loop_free(l);
	close(fd);
}

static void stopped_watch_reports_nothing_and_can_start_again(void **state)
{
	struct tvq_loop *l = new_loop(0);
	struct counter c = { .watch.fn = counter_fn };
	int fd = eventfd(0, EFD_NONBLOCK);

	(void)state;
	for (unsigned int i = 1; i <= 20; i++) {
		unsigned int before;

		tvq_watch_start(l, &c.watch, fd, POLLIN);
		/* Stopped before the kernel heard of it, after, and with an event under way. */
		if (i % 3)
			turn_often(l);
		if (i % 3 == 2)
			signal_fd(fd);
		before = c.events;
		tvq_watch_stop(&c.watch, counter_stopped);
		signal_fd(fd);
		turn_until(l, &c.stopped, i);
		signal_fd(fd);
		turn_often(l);
		assert_int_equal(c.events, before);
		assert_int_equal(c.stopped, i);
	}
	tvq_loop_free(l);
	close(fd);
}

static void watch_of_a_bad_descriptor_ends_with_an_error(void **state)
{
	struct tvq_loop *l = new_loop(0);
	struct counter c = { .watch.fn = counter_fn };

	(void)state;
	tvq_watch_start(l, &c.watch, -1, POLLIN);
	turn_until(l, &c.events, 1);
	turn_often(l);
	assert_int_equal(c.events, 1);
	assert_int_equal(c.last, -EBADF);
	tvq_watch_stop(&c.watch, counter_stopped);
	assert_int_equal(c.stopped, 1);
	tvq_loop_free(l);
}

static void watch_reports_that_the_peer_went(void **state)
{
	struct tvq_loop *l = new_loop(0);
	struct counter c = { .watch.fn = counter_fn };
	int fd[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	tvq_watch_start(l, &c.watch, fd[0], POLLIN | POLLRDHUP);
	turn_often(l);
	assert_int_equal(write(fd[1], "x", 1), 1);
	turn_until(l, &c.events, 1);
	close(fd[1]);
	turn_until(l, &c.events, 2);
	assert_true(c.last & POLLHUP);
	tvq_watch_stop(&c.watch, counter_stopped);
	turn_until(l, &c.stopped, 1);
	tvq_loop_free(l);
	close(fd[0]);
}

/* More completions at once than the ring holds: none is lost and every watch goes on. */
static void no_event_is_lost_when_the_completion_queue_overflows(void **state)
{
	enum { N = 5000, ROUNDS = 3 };
	struct counter *c = calloc(N, sizeof(*c));
	struct tvq_loop *l = new_loop(0);
	int fd[2];

	(void)state;
	assert_non_null(c);
	assert_int_equal(pipe(fd), 0);
	/* One descriptor, watched so many times: one write is so many completions. */
	for (unsigned int i = 0; i < N; i++) {
		c[i].watch.fn = counter_fn;
		tvq_watch_start(l, &c[i].watch, fd[0], POLLIN);
	}
	turn_often(l);
	for (unsigned int round = 1; round <= ROUNDS; round++) {
		char byte = 'x';

		assert_int_equal(write(fd[1], &byte, 1), 1);
		for (unsigned int i = 0; i < N; i++)
			turn_until(l, &c[i].events, round);
		turn_often(l);
		assert_int_equal(read(fd[0], &byte, 1), 1);
		for (unsigned int i = 0; i < N; i++)
			c[i].events = round;
	}
	for (unsigned int i = 0; i < N; i++)
		tvq_watch_stop(&c[i].watch, counter_stopped);
	for (unsigned int i = 0; i < N; i++)
		turn_until(l, &c[i].stopped, 1);
	tvq_loop_free(l);
	close(fd[0]);
	close(fd[1]);
	free(c);
}

/* Timers */

struct ring_once {
	struct tvq_timer timer;
	unsigned int rung;
};

static void ring_fn(struct tvq_timer *t)
{
	((struct ring_once *)t)->rung++;
}

static void sleeping_loop_wakes_for_its_timer_and_not_before_it_is_due(void **state)
{
	struct tvq_loop *l = new_loop(0);
	struct tvq_exec *e = tvq_loop_exec(l);
	struct ring_once r = { .timer.fn = ring_fn };
	uint64_t due = e->os->now() + 30000000;
	unsigned int turns = 0;

	(void)state;
	assert_int_equal(tvq_timer_set(e, &r.timer, due), 0);
	for (; !r.rung; turns++)
		tvq_loop_turn(l, true);
	assert_true(e->os->now() >= due);
	/* It slept: a loop that does not would have turned thousands of times. */
	assert_in_range(turns, 1, 20);
	/* One that is long past needs no sleep. */
	assert_int_equal(tvq_timer_set(e, &r.timer, 1), 0);
	turn_until(l, &r.rung, 2);
	tvq_loop_free(l);
}

/* I/O */

struct io_count {
	struct tvq_io io;
	unsigned int done;
	int res;
};

static void io_fn(struct tvq_io *io, int res, bool more)
{
	struct io_count *c = (struct io_count *)io;

	assert_false(more);
	c->done++;
	c->res = res;
}

static void more_entries_than_the_queue_holds_all_complete(void **state)
{
	struct tvq_loop *l = new_loop(0);
	struct io_count c = { .io.fn = io_fn };

	(void)state;
	for (unsigned int i = 0; i < 10000; i++)
		io_uring_prep_nop(tvq_loop_sqe(l, &c.io));
	/*
	 * Without sleeping: nothing but the turn itself brings in what did not fit the completion
	 * queue.
	 */
	for (unsigned int i = 0; i < 1000; i++)
		tvq_loop_turn(l, false);
	assert_int_equal(c.done, 10000);
	assert_int_equal(c.res, 0);
	tvq_loop_free(l);
}

struct reader {
	struct tvq_poller poller;
	struct io_count c;
};

static unsigned int nothing(struct tvq_poller *p)
{
	(void)p;
	return 0;
}

static bool no_work(struct tvq_poller *p)
{
	(void)p;
	return false;
}

static void polling_loop_sees_completions_without_sleeping(void **state)
{
	struct tvq_loop *l = new_loop(UINT64_MAX);
	struct tvq_poller idle = { .poll = nothing, .arm = no_work };
	struct io_count c = { .io.fn = io_fn };
	char byte = 0;
	int fd[2];

	(void)state;
	assert_int_equal(pipe(fd), 0);
	tvq_poller_activate(tvq_loop_exec(l), &idle);
	io_uring_prep_read(tvq_loop_sqe(l, &c.io), fd[0], &byte, 1, 0);
	turn_often(l);
	assert_int_equal(c.done, 0);
	assert_int_equal(write(fd[1], "y", 1), 1);
	turn_until(l, &c.done, 1);
	assert_int_equal(c.res, 1);
	assert_int_equal(byte, 'y');
	tvq_poller_remove(&idle);
	tvq_loop_free(l);
	close(fd[0]);
	close(fd[1]);
}

/* How often this thread has gone to sleep. */
static long sleeps(void)
{
	struct rusage u;

	assert_int_equal(getrusage(RUSAGE_THREAD, &u), 0);
	return u.ru_nvcsw;
}

static void polling_loop_gives_the_cpu_away_while_file_io_is_under_way_and_only_then(void **state)
{
	struct tvq_loop *l = new_loop(UINT64_MAX);
	struct tvq_poller idle = { .poll = nothing, .arm = no_work };
	long before = sleeps();

	(void)state;
	tvq_poller_activate(tvq_loop_exec(l), &idle);
	for (unsigned int i = 0; i < 300; i++)
		tvq_loop_turn(l, true);
	assert_int_equal(sleeps(), before);
	tvq_loop_io_started(l);
	/* A caller that does not want to wait does not. */
	for (unsigned int i = 0; i < 300; i++)
		tvq_loop_turn(l, false);
	assert_int_equal(sleeps(), before);
	for (unsigned int i = 0; i < 300; i++)
		tvq_loop_turn(l, true);
	assert_true(sleeps() >= before + 100);
	tvq_loop_io_ended(l);
	before = sleeps();
	for (unsigned int i = 0; i < 300; i++)
		tvq_loop_turn(l, true);
	assert_int_equal(sleeps(), before);
	tvq_poller_remove(&idle);
	tvq_loop_free(l);
}

/*
 * The program runs itself for this: after seccomp's strict mode any system call but read, write and
 * exit ends it. Turns with and without a message.
 */
static int turns_without_system_calls(void)
{
	struct tvq_loop *l = new_loop(UINT64_MAX);
	struct tvq_exec *e = tvq_loop_exec(l);
	struct tvq_poller idle = { .poll = nothing, .arm = no_work };
	unsigned int arrived = 0;
	struct flood f = { .msg.fn = flood_fn, .arrived = &arrived };

	tvq_poller_activate(e, &idle);
	turn_often(l);
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT))
		_exit(2);
	for (unsigned int i = 0; i < 10000; i++) {
		if (i % 2)
			tvq_exec_post(e, &f.msg);
		tvq_loop_turn(l, true);
	}
	syscall(SYS_exit, arrived == 5000 ? 0 : 3);
	return 4;
}

static void polling_turn_without_kernel_work_makes_no_system_call(void **state)
{
	char arg[2] = { (char)('0' + mode), 0 };
	int status;
	pid_t pid;

	(void)state;
	if (UNDER_TSAN) {
		print_message("skipped: ThreadSanitizer's runtime makes system calls of its own\n");
		skip();
	}
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		execl("/proc/self/exe", "test_loop", arg, (char *)NULL);
		_exit(120);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* Idle */

static uint64_t thread_cpu_ns(pthread_t t)
{
	struct timespec ts;
	clockid_t id;

	assert_int_equal(pthread_getcpuclockid(t, &id), 0);
	assert_int_equal(clock_gettime(id, &ts), 0);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

struct start_watches {
	struct tvq_msg msg;
	struct tvq_loop *loop;
	struct counter *c;
	unsigned int n;
	const int *fd;
	atomic_bool done;
	pthread_t thread;
};

static void start_watches_fn(struct tvq_msg *m)
{
	struct start_watches *s = (struct start_watches *)m;

	for (unsigned int i = 0; i < s->n; i++) {
		s->c[i].watch.fn = counter_fn;
		tvq_watch_start(s->loop, &s->c[i].watch, s->fd[i], POLLIN);
	}
	s->thread = pthread_self();
	atomic_store(&s->done, true);
}

/* Not even once in a while: there comes a span in which its thread uses no CPU time at all. */
static bool stops_running(pthread_t thread)
{
	struct timespec span = { .tv_nsec = 200000000 };

	for (unsigned int i = 0; i < 50; i++) {
		uint64_t before = thread_cpu_ns(thread);

		nanosleep(&span, NULL);
		if (thread_cpu_ns(thread) == before)
			return true;
	}
	return false;
}

static void loop_with_ten_thousand_idle_watches_does_not_run(void **state)
{
	enum { N = 10000 };
	struct tvq_loop *l = new_loop(32000);
	struct start_watches s = { .msg.fn = start_watches_fn, .loop = l, .n = N };
	int *fd = calloc(N, sizeof(*fd));

	(void)state;
	s.c = calloc(N, sizeof(*s.c));
	assert_non_null(fd);
	assert_non_null(s.c);
	for (unsigned int i = 0; i < N; i++) {
		fd[i] = eventfd(0, EFD_NONBLOCK);
		assert_true(fd[i] >= 0);
	}
	s.fd = fd;
	assert_int_equal(tvq_loop_start(l), 0);
	tvq_exec_post(tvq_loop_exec(l), &s.msg);
	while (!atomic_load(&s.done))
		sched_yield();
	assert_true(stops_running(s.thread));
	tvq_loop_stop(l);
	tvq_loop_join(l);
	tvq_loop_free(l);
	for (unsigned int i = 0; i < N; i++)
		close(fd[i]);
	free(s.c);
	free(fd);
}

/* Jobs */

struct work {
	struct tvq_job job;
	pthread_t poster;
	unsigned int *done;
	bool ran;
};

static void work_run(struct tvq_job *j)
{
	struct work *w = (struct work *)j;

	if (!pthread_equal(pthread_self(), w->poster))
		w->ran = true;
}

static void work_done(struct tvq_job *j)
{
	struct work *w = (struct work *)j;

	if (!w->ran || !pthread_equal(pthread_self(), w->poster))
		abort();
	++*w->done;
}

static void jobs_run_on_other_threads_and_complete_on_the_executor(void **state)
{
	enum { N = 1000 };
	struct tvq_loop *l = new_loop(0);
	struct work *w = calloc(N, sizeof(*w));
	unsigned int done = 0;

	(void)state;
	assert_non_null(w);
	for (unsigned int i = 0; i < N; i++) {
		w[i] = (struct work){ .job = { .run = work_run, .done = work_done },
				      .poster = pthread_self(),
				      .done = &done };
		tvq_job_post(tvq_loop_exec(l), &w[i].job);
	}
	turn_until(l, &done, N);
	assert_int_equal(done, N);
	tvq_loop_free(l);
	free(w);
}

static void loop_on_a_cpu_that_does_not_exist_does_not_start(void **state)
{
	struct tvq_loop_cfg cfg = { .cpu = 1000, .name = "nowhere" };
	struct tvq_loop *l;
	int err;

	(void)state;
	l = tvq_loop_new(&cfg, &err);
	assert_non_null(l);
	assert_int_equal(tvq_loop_start(l), -EINVAL);
	tvq_loop_join(l);
	tvq_loop_free(l);
}

int main(int argc, char **argv)
{
	static const char *const names[] = {
		"loop: best mode",
		"loop: COOP_TASKRUN, one issuer",
		"loop: COOP_TASKRUN",
		"loop: plain",
	};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_loops_pass_a_message_back_and_forth),
		cmocka_unit_test(sleeping_loop_receives_all_messages_of_two_threads),
		cmocka_unit_test(stop_ends_a_run_from_a_signal_handler_and_before_it_begins),
		cmocka_unit_test(watch_reports_every_write_without_reading_the_descriptor),
		cmocka_unit_test(watch_of_a_ready_descriptor_reports_at_the_start),
		cmocka_unit_test(stopped_watch_reports_nothing_and_can_start_again),
		cmocka_unit_test(watch_of_a_bad_descriptor_ends_with_an_error),
		cmocka_unit_test(watch_reports_that_the_peer_went),
		cmocka_unit_test(no_event_is_lost_when_the_completion_queue_overflows),
		cmocka_unit_test(sleeping_loop_wakes_for_its_timer_and_not_before_it_is_due),
		cmocka_unit_test(more_entries_than_the_queue_holds_all_complete),
		cmocka_unit_test(polling_loop_sees_completions_without_sleeping),
		cmocka_unit_test(
			polling_loop_gives_the_cpu_away_while_file_io_is_under_way_and_only_then),
		cmocka_unit_test(polling_turn_without_kernel_work_makes_no_system_call),
		cmocka_unit_test(loop_with_ten_thousand_idle_watches_does_not_run),
		cmocka_unit_test(jobs_run_on_other_threads_and_complete_on_the_executor),
		cmocka_unit_test(loop_on_a_cpu_that_does_not_exist_does_not_start),
	};
	int failed = 0;

	if (argc > 1) {
		mode = (unsigned int)(argv[1][0] - '0');
		return turns_without_system_calls();
	}
	for (mode = 0; mode < ARRAY_SIZE(names); mode++)
		failed += cmocka_run_group_tests_name(names[mode], tests, NULL, NULL);
	return failed;
}
