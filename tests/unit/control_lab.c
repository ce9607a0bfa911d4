/* SPDX-License-Identifier: BSD-3-Clause */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tvqctl/tvqctl.h>

#include "control_lab.h"

/* Longer than anything takes; what waits for longer has failed. */
#define PATIENCE_MS 60000
#define MAX_WORDS   64

void lab_begin(struct lab *l)
{
	*l = (struct lab){ .log_fd = -1 };
	strcpy(l->dir, "/tmp/tvq-control-XXXXXX");
	assert_non_null(mkdtemp(l->dir));
	snprintf(l->control, sizeof(l->control), "%s/s.sock", l->dir);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

void lab_end(struct lab *l)
{
	int status = l->pid ? lab_stop(l, SIGTERM) : 0;

	if (l->log_fd >= 0)
		close(l->log_fd);
	nftw(l->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	/* A sanitizer's finding ends it with another status. */
	if (status)
		fail_msg("tvqd ended with wait status 0x%x:\n%s", (unsigned int)status, l->log);
}

/* Of the test that runs. */
static struct lab_pair pair;

int lab_setup_empty(void **state)
{
	*state = &pair.serving;
	lab_begin(&pair.serving);
	return 0;
}

int lab_setup(void **state)
{
	lab_setup_empty(state);
	return lab_start(&pair.serving, NULL) ? 0 : -1;
}

int lab_teardown(void **state)
{
	lab_end(*state);
	return 0;
}

int lab_setup_pair(void **state, const char *type)
{
	char socket[192];

	*state = &pair;
	lab_begin(&pair.serving);
	lab_begin(&pair.managing);
	lab_path(&pair.serving, "vfio-user:", "mgmt0.sock", socket, sizeof(socket));
	return lab_start(&pair.serving, "--serve", socket, type ? "--type" : NULL, type, NULL) &&
			       lab_start(&pair.managing, "--manage", socket, NULL)
		       ? 0
		       : -1;
}

int lab_teardown_pair(void **state)
{
	struct lab_pair *p = *state;

	lab_end(&p->managing);
	lab_end(&p->serving);
	return 0;
}

/* More of the log. False: its end. */
static bool read_log(struct lab *l)
{
	struct pollfd p = { .fd = l->log_fd, .events = POLLIN };
	ssize_t n;

	assert_int_equal(TEMP_FAILURE_RETRY(poll(&p, 1, PATIENCE_MS)), 1);
	if (l->log_len + 4096 > sizeof(l->log))
		l->log_len = 0;
	n = read(l->log_fd, l->log + l->log_len, 4095);
	if (n <= 0)
		return false;
	l->log_len += (size_t)n;
	l->log[l->log_len] = '\0';
	return true;
}

static _Noreturn void run_daemon(int argc, char **argv, void (*change)(struct tvqd_cfg *cfg))
{
	struct tvqd_cfg cfg;
	char err[TVQD_ERR_LEN];
	struct tvqd *d;
	sigset_t set;

	/* A test that is killed takes its daemons along. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!change)
		exit(tvqd_main(argc, argv));
	if (tvqd_options(&cfg, argc, argv) != TVQD_RUN)
		exit(2);
	change(&cfg);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	d = tvqd_new(&cfg, err);
	if (!d) {
		fprintf(stderr, "tvqd: %s\n", err);
		exit(1);
	}
	fprintf(stderr, "tvqd: ready\n");
	tvqd_run(d);
	tvqd_free(d);
	exit(0);
}

static int collect(char **argv, int argc, va_list ap)
{
	char *word;

	while ((word = va_arg(ap, char *)) && argc < MAX_WORDS - 1)
		argv[argc++] = word;
	argv[argc] = NULL;
	return argc;
}

static bool start(struct lab *l, void (*change)(struct tvqd_cfg *cfg), int argc, char **argv)
{
	int pipe_fd[2];

	assert_int_equal(l->pid, 0);
	if (l->log_fd >= 0)
		close(l->log_fd);
	assert_int_equal(pipe2(pipe_fd, O_CLOEXEC), 0);
	fflush(NULL);
	l->pid = fork();
	assert_true(l->pid >= 0);
	if (!l->pid) {
		dup2(pipe_fd[1], STDERR_FILENO);
		close(pipe_fd[0]);
		close(pipe_fd[1]);
		run_daemon(argc, argv, change);
	}
	close(pipe_fd[1]);
	l->log_fd = pipe_fd[0];
	l->log_len = 0;
	l->log[0] = '\0';
	while (!strstr(l->log, "tvqd: ready\n")) {
		if (!read_log(l))
			return false;
	}
	return true;
}

bool lab_start(struct lab *l, ...)
{
	char *argv[MAX_WORDS] = { (char *)"tvqd", (char *)"--control", l->control };
	va_list ap;
	int argc;

	va_start(ap, l);
	argc = collect(argv, 3, ap);
	va_end(ap);
	return start(l, NULL, argc, argv);
}

bool lab_start_with(struct lab *l, void (*change)(struct tvqd_cfg *cfg), ...)
{
	char *argv[MAX_WORDS] = { (char *)"tvqd", (char *)"--control", l->control };
	va_list ap;
	int argc;

	va_start(ap, change);
	argc = collect(argv, 3, ap);
	va_end(ap);
	return start(l, change, argc, argv);
}

int lab_wait(struct lab *l)
{
	int status;

	while (read_log(l))
		;
	assert_int_equal(waitpid(l->pid, &status, 0), l->pid);
	l->pid = 0;
	return status;
}

int lab_stop(struct lab *l, int signal)
{
	kill(l->pid, signal);
	return lab_wait(l);
}

unsigned int lab_fds(const struct lab *l)
{
	char path[64];
	unsigned int n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)l->pid);
	dir = opendir(path);
	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n - 2;
}

int lab_connect(const struct lab *l)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct timeval patience = { .tv_sec = PATIENCE_MS / 1000 };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	strcpy(addr.sun_path, l->control);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		fail_msg("connect %s: %s", l->control, strerror(errno));
	return fd;
}

void lab_send(int fd, const char *text)
{
	size_t len = strlen(text);

	assert_int_equal(TEMP_FAILURE_RETRY(send(fd, text, len, MSG_NOSIGNAL)), len);
}

const char *lab_line(int fd)
{
	static char line[LAB_OUT];
	size_t n = 0;

	for (;;) {
		/* A loop of the test's own interrupts what has a time limit. */
		ssize_t got = TEMP_FAILURE_RETRY(recv(fd, line + n, 1, 0));

		if (got < 0 && errno == EAGAIN)
			fail_msg("no answer came");
		if (got <= 0)
			n = 0;
		if (got <= 0 || line[n] == '\n')
			break;
		assert_true(++n < sizeof(line));
	}
	line[n] = '\0';
	return line;
}

const char *lab_ask(const struct lab *l, const char *request)
{
	int fd = lab_connect(l);
	const char *line;

	lab_send(fd, request);
	lab_send(fd, "\n");
	line = lab_line(fd);
	close(fd);
	return line;
}

void lab_ok(const struct lab *l, const char *request, const char *text)
{
	const char *line = lab_ask(l, request);

	assert_holds(line, "\"ok\"");
	if (text)
		assert_holds(line, text);
}

void lab_refused(const struct lab *l, const char *request, const char *text)
{
	const char *line = lab_ask(l, request);

	assert_holds(line, "\"error\"");
	assert_holds(line, text);
}

static void read_all(int fd, char *buf)
{
	size_t n = 0;
	ssize_t got;

	while ((got = pread(fd, buf + n, LAB_OUT - 1 - n, (off_t)n)) > 0)
		n += (size_t)got;
	buf[n] = '\0';
}

static int temp_file(const char *text)
{
	int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	if (text) {
		assert_int_equal(write(fd, text, strlen(text)), strlen(text));
		lseek(fd, 0, SEEK_SET);
	}
	return fd;
}

int lab_ctl(const struct lab *l, const char *input, char *out, char *err, ...)
{
	char *argv[MAX_WORDS] = { (char *)"tvqctl", (char *)"--control", (char *)l->control };
	int in_fd = temp_file(input), out_fd = temp_file(NULL), err_fd = temp_file(NULL);
	int argc, status;
	va_list ap;
	pid_t pid;

	va_start(ap, err);
	argc = collect(argv, 3, ap);
	va_end(ap);
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		dup2(in_fd, STDIN_FILENO);
		dup2(out_fd, STDOUT_FILENO);
		dup2(err_fd, STDERR_FILENO);
		exit(ctl_main(argc, argv));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (out)
		read_all(out_fd, out);
	if (err)
		read_all(err_fd, err);
	close(in_fd);
	close(out_fd);
	close(err_fd);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

void lab_path(const struct lab *l, const char *prefix, const char *name, char *buf, size_t size)
{
	int n = snprintf(buf, size, "%s%s/%s", prefix, l->dir, name);

	assert_true(n > 0 && (size_t)n < size);
}

const char *lab_file(const struct lab *l, const char *name, off_t size)
{
	static char path[160];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", l->dir, name);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
	close(fd);
	return path;
}

bool lab_exists(const struct lab *l, const char *name)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/%s", l->dir, name);
	return !access(path, F_OK);
}
