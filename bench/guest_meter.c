/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What bench/guest.py has running in a guest: does what it is told over a serial port, and measures
 * with the guest's own monotonic clock how long block devices take to appear.
 *
 *     guest_meter PORT
 *
 * Host to guest, a line each, and the answer:
 *
 *     run COMMAND       what the shell command says, then "=STATUS"
 *     time N COMMAND    runs the shell command; "=MICROSECONDS" until N new nodes are there (0:
 *                       until it has ended); it has to end well
 *     ask N TEXT        says "!TEXT" to the host, which does something about it; "=MICROSECONDS"
 *                       until N new nodes are there
 *     ping              says "!ping", which the host answers by a line at once; "=MICROSECONDS"
 *
 * "=-ERRNO" says that it failed. A node is a new name vd... in /dev, told by inotify; nothing
 * polls, since the guest may have one CPU.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define LIMIT_MS 120000

static FILE *in, *out; /* the port */

static int64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000ll + ts.tv_nsec / 1000;
}

/* How many of the events are new block devices'. */
static int count_nodes(const char *buf, ssize_t len)
{
	int n = 0;

	for (const char *at = buf; at < buf + len;) {
		const struct inotify_event *e = (const struct inotify_event *)at;

		if (e->len && !strncmp(e->name, "vd", 2))
			n++;
		at += sizeof(*e) + e->len;
	}
	return n;
}

/* Until n nodes have come, or the time is over. 0 or -errno. */
static int wait_for_nodes(int watch, int n)
{
	char buf[8192] __attribute__((aligned(8)));
	int64_t limit = now_us() + LIMIT_MS * 1000ll;

	while (n > 0) {
		struct pollfd p = { .fd = watch, .events = POLLIN };
		int64_t left = limit - now_us();
		ssize_t len;

		if (left <= 0 || poll(&p, 1, (int)(left / 1000) + 1) < 0)
			return -ETIMEDOUT;
		if (!p.revents)
			continue;
		len = read(watch, buf, sizeof(buf));
		if (len <= 0)
			return -errno;
		n -= count_nodes(buf, len);
	}
	return 0;
}

static int watch_dev(void)
{
	int watch = inotify_init1(IN_CLOEXEC);

	if (watch >= 0 && inotify_add_watch(watch, "/dev", IN_CREATE) < 0) {
		close(watch);
		return -1;
	}
	return watch;
}

/* Its standard output and error go to a descriptor. Its process id, or -1. */
static pid_t spawn(const char *command, int to)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	dup2(to, 1);
	dup2(to, 2);
	execl("/bin/sh", "sh", "-c", command, (char *)NULL);
	_exit(127);
}

static void answer(int64_t n)
{
	fprintf(out, "=%lld\n", (long long)n);
	fflush(out);
}

static void run(const char *command)
{
	int status = -1;
	pid_t pid = spawn(command, fileno(out));

	if (pid > 0)
		waitpid(pid, &status, 0);
	answer(WIFEXITED(status) ? WEXITSTATUS(status) : 128);
}

/* Splits "N REST". */
static const char *number(const char *text, int *n)
{
	char *end;

	*n = (int)strtol(text, &end, 10);
	return *end == ' ' ? end + 1 : end;
}

static void time_command(const char *args)
{
	int status = 0, err, n, watch = watch_dev();
	const char *command = number(args, &n);
	int64_t begin = now_us(), end;
	pid_t pid = spawn(command, 2);

	err = watch < 0 || pid < 0 ? -errno : wait_for_nodes(watch, n);
	end = now_us();
	if (pid > 0)
		waitpid(pid, &status, 0);
	if (!n)
		end = now_us();
	close(watch);
	if (!err && status)
		err = -EIO;
	answer(err ? err : end - begin);
}

static void ask(const char *args)
{
	int err, n, watch = watch_dev();
	const char *text = number(args, &n);
	int64_t begin = now_us();

	fprintf(out, "!%s\n", text);
	fflush(out);
	err = watch < 0 ? -errno : wait_for_nodes(watch, n);
	answer(err ? err : now_us() - begin);
	close(watch);
}

static void ping(void)
{
	int64_t begin = now_us();
	char line[16];

	fputs("!ping\n", out);
	fflush(out);
	if (!fgets(line, sizeof(line), in))
		exit(1);
	answer(now_us() - begin);
}

static bool open_port(const char *path)
{
	int fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	struct termios t;

	if (fd < 0 || tcgetattr(fd, &t) < 0)
		return false;
	cfmakeraw(&t);
	t.c_cflag |= CLOCAL;
	cfsetspeed(&t, B115200);
	if (tcsetattr(fd, TCSANOW, &t) < 0)
		return false;
	in = fdopen(fd, "r");
	out = fdopen(dup(fd), "w");
	return in && out;
}

int main(int argc, char **argv)
{
	static char line[4096];

	if (argc != 2 || !open_port(argv[1])) {
		fprintf(stderr, "guest_meter: cannot open the port: %s\n", strerror(errno));
		return 1;
	}
	answer(0);
	while (fgets(line, sizeof(line), in)) {
		line[strcspn(line, "\n")] = 0;
		if (!strncmp(line, "run ", 4))
			run(line + 4);
		else if (!strncmp(line, "time ", 5))
			time_command(line + 5);
		else if (!strncmp(line, "ask ", 4))
			ask(line + 4);
		else if (!strcmp(line, "ping"))
			ping();
		else if (!strcmp(line, "end"))
			return 0;
		else
			answer(-EINVAL);
	}
	return 1;
}
