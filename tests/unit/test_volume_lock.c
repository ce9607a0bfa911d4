/* SPDX-License-Identifier: BSD-3-Clause */
/* Image locks, against real programs of QEMU's. */
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "volume/internal.h"
#include "volume_test.h"

#define MIB (1ULL << 20)

static char err[TVQ_VOLUME_ERR_LEN];

struct fixture {
	char dir[64], path[128];
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	vt_tmpdir(f->dir);
	vt_image(f->path, f->dir, "image", MIB);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	vt_rmdir(f->dir);
	free(f);
	return 0;
}

static struct tvq_volume *file_volume(const struct fixture *f, bool read_only)
{
	struct tvq_file_cfg cfg = { .path = f->path, .read_only = read_only };

	err[0] = 0;
	return tvq_volume_file("v", &cfg, err);
}

/* Runs a shell command; its exit status. Output goes to a file in the directory. */
static int run(const struct fixture *f, const char *fmt, ...)
{
	char cmd[512], all[640];
	va_list ap;
	int status;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	snprintf(all, sizeof(all), "%s >'%s/out' 2>&1", cmd, f->dir);
	status = system(all);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static bool output_has(const struct fixture *f, const char *what)
{
	char path[96], text[2048];
	FILE *file;
	size_t len;

	snprintf(path, sizeof(path), "%s/out", f->dir);
	file = fopen(path, "r");
	assert_non_null(file);
	len = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[len] = 0;
	return strstr(text, what) != NULL;
}

static void need(const struct fixture *f, const char *program)
{
	if (run(f, "command -v %s", program)) {
		print_message("skipped: %s is not there (package qemu-utils)\n", program);
		skip();
	}
}

/* Exports the image, which takes the locks of a writer or a reader; its process id. */
static pid_t start_daemon(const struct fixture *f, bool writable)
{
	char pid_path[96];
	FILE *file;
	int pid;

	need(f, "qemu-storage-daemon");
	snprintf(pid_path, sizeof(pid_path), "%s/pid", f->dir);
	unlink(pid_path);
	assert_int_equal(run(f,
			     "qemu-storage-daemon --daemonize --pidfile '%s' --blockdev "
			     "driver=file,node-name=f,filename='%s',read-only=%s --nbd-server "
			     "addr.type=unix,addr.path='%s/nbd' --export "
			     "type=nbd,id=e,node-name=f,writable=%s",
			     pid_path, f->path, writable ? "off" : "on", f->dir,
			     writable ? "on" : "off"),
			 0);
	file = fopen(pid_path, "r");
	assert_non_null(file);
	assert_int_equal(fscanf(file, "%d", &pid), 1);
	fclose(file);
	return pid;
}

static void stop_daemon(pid_t pid)
{
	assert_int_equal(kill(pid, SIGTERM), 0);
	while (!kill(pid, 0))
		usleep(1000);
}

static void an_image_that_a_qemu_writes_is_refused_by_name_until_that_ends(void **state)
{
	struct fixture *f = *state;
	pid_t pid = start_daemon(f, true);
	struct tvq_volume *v = file_volume(f, false), *ro = file_volume(f, true);
	int code = errno;

	stop_daemon(pid);
	assert_null(v);
	assert_null(ro);
	assert_int_equal(code, EAGAIN);
	assert_non_null(strstr(err, f->path));
	assert_non_null(strstr(err, "stop that one first"));
	v = file_volume(f, false);
	if (!v)
		fail_msg("%s", err);
	tvq_volume_put(v);
	tvq_volume_settle();
}

static void an_image_that_a_qemu_reads_can_be_added_read_only(void **state)
{
	struct fixture *f = *state;
	pid_t pid = start_daemon(f, false);
	struct tvq_volume *ro = file_volume(f, true);

	stop_daemon(pid);
	if (!ro)
		fail_msg("%s", err);
	tvq_volume_put(ro);
	tvq_volume_settle();
}

static void a_qemu_is_refused_what_we_have(void **state)
{
	struct fixture *f = *state;
	struct tvq_volume *v;

	need(f, "qemu-io");
	v = file_volume(f, false);
	assert_non_null(v);
	assert_int_not_equal(run(f, "qemu-io -f raw -c 'write 0 512' '%s'", f->path), 0);
	assert_true(output_has(f, "lock"));
	assert_int_not_equal(
		run(f, "qemu-img convert -f raw -O raw '%s' '%s/copy'", f->path, f->dir), 0);
	assert_int_not_equal(run(f, "qemu-img resize -f raw '%s' 2M", f->path), 0);
	tvq_volume_put(v);
	assert_int_equal(run(f, "qemu-io -f raw -c 'write 0 512' '%s'", f->path), 0);
	tvq_volume_settle();
}

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void wait_at_gate(struct tvq_volume_work *w)
{
	(void)w;
	pthread_mutex_lock(&gate);
	pthread_mutex_unlock(&gate);
}

static void the_locks_go_with_the_last_reference_though_closing_takes_its_time(void **state)
{
	struct fixture *f = *state;
	struct tvq_volume_work slow = { .fn = wait_at_gate };
	struct tvq_volume *v = file_volume(f, false), *again;

	assert_non_null(v);
	pthread_mutex_lock(&gate);
	tvq_volume_later(&slow);
	tvq_volume_put(v);
	again = file_volume(f, false);
	pthread_mutex_unlock(&gate);
	if (!again)
		fail_msg("%s", err);
	tvq_volume_put(again);
	tvq_volume_settle();
}

static void a_qemu_may_read_and_not_write_what_we_only_read(void **state)
{
	struct fixture *f = *state;
	struct tvq_volume *v;

	need(f, "qemu-io");
	v = file_volume(f, true);
	assert_non_null(v);
	assert_int_equal(run(f, "qemu-io -r -f raw -c 'read 0 512' '%s'", f->path), 0);
	assert_int_not_equal(run(f, "qemu-io -f raw -c 'write 0 512' '%s'", f->path), 0);
	tvq_volume_put(v);
	tvq_volume_settle();
}

static void two_volumes_on_one_image_exclude_each_other_unless_both_read(void **state)
{
	struct fixture *f = *state;
	struct tvq_volume *a = file_volume(f, false), *b;

	assert_non_null(a);
	assert_null(file_volume(f, false));
	assert_null(file_volume(f, true));
	assert_non_null(strstr(err, "in use"));
	tvq_volume_put(a);
	a = file_volume(f, true);
	b = file_volume(f, true);
	assert_non_null(a);
	assert_non_null(b);
	assert_null(file_volume(f, false));
	assert_non_null(strstr(err, "read-only"));
	tvq_volume_put(a);
	tvq_volume_put(b);
	tvq_volume_settle();
}

/* Keeps reads under way until it is killed. Tells through fd when it is at it. */
static void read_for_ever(const struct fixture *f, int fd)
{
	enum { N = 32 };
	static uint8_t mem[N][4096] __attribute__((aligned(4096)));
	struct tvq_file_cfg cfg = { .path = f->path, .direct = true };
	struct vt t = vt_open(tvq_volume_file("v", &cfg, err), err);
	struct tvq_vreq r[N], *p[N];
	struct tvq_seg seg[N];

	/* Holes would be read without the device. */
	for (unsigned int i = 0; i < N; i++)
		assert_int_equal(vt_op(&t, TVQ_VREQ_WRITE, TVQ_VREQ_FUA, i * 4096ULL, mem[i], 4096),
				 0);
	for (unsigned int round = 0;; round++) {
		for (unsigned int i = 0; i < N; i++) {
			seg[i] = (struct tvq_seg){ mem[i], 4096 };
			r[i] = (struct tvq_vreq){
				.op = TVQ_VREQ_READ,
				.n_seg = 1,
				.offset = i * 4096ULL,
				.len = 4096,
				.seg = &seg[i],
				.done = vt_done,
				.status = TVQ_VREQ_PENDING,
			};
			p[i] = &r[i];
		}
		vt_done_calls = 0;
		t.v->ops->submit(t.ch, p, N);
		/* Without a sleep: completions are left to an end that nobody prepared for. */
		while (vt_done_calls < N)
			tvq_loop_turn(t.loop, false);
		if (round == 100 && write(fd, "x", 1) != 1)
			_exit(1);
	}
}

static void the_image_of_a_process_that_was_killed_can_be_had_at_once(void **state)
{
	struct fixture *f = *state;

	for (unsigned int i = 0; i < 10; i++) {
		struct tvq_volume *v;
		int pipe_fd[2];
		pid_t pid;
		char c;

		assert_int_equal(pipe(pipe_fd), 0);
		pid = fork();
		assert_true(pid >= 0);
		if (!pid) {
			read_for_ever(f, pipe_fd[1]);
			_exit(1);
		}
		assert_int_equal(read(pipe_fd[0], &c, 1), 1);
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		close(pipe_fd[0]);
		close(pipe_fd[1]);
		v = file_volume(f, false);
		if (!v)
			fail_msg("%s", err);
		tvq_volume_put(v);
		tvq_volume_settle();
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_image_that_a_qemu_writes_is_refused_by_name_until_that_ends),
		TEST(an_image_that_a_qemu_reads_can_be_added_read_only),
		TEST(a_qemu_is_refused_what_we_have),
		TEST(the_locks_go_with_the_last_reference_though_closing_takes_its_time),
		TEST(a_qemu_may_read_and_not_write_what_we_only_read),
		TEST(two_volumes_on_one_image_exclude_each_other_unless_both_read),
		TEST(the_image_of_a_process_that_was_killed_can_be_had_at_once),
	};

	return cmocka_run_group_tests_name("volume_lock", tests, NULL, NULL);
}
