/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control socket: the daemon itself, without a socket of its own, on connections that the fuzzer makes.
 *
 * The input is what two clients send. A byte of control, then a chunk: bit 7 says which client, bit 6 that
 * it hangs up afterwards, bit 5 that the daemon has its turns before what follows, bits 0-4 that many times
 * 16 bytes. Afterwards every device and volume is deleted again over a third connection, so that each input
 * finds the same daemon; and the daemon still has to answer there.
 *
 * Requests can name files. So the process goes into an empty root of its own; where it cannot, inputs that
 * name files are left out.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <tvqd/tvqd.h>

#define CLIENTS 2

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct tvqd *d;
static bool confined;

static void confine(void)
{
	char dir[] = "/tmp/tvq-fuzz-XXXXXX";

	confined = mkdtemp(dir) && !chroot(dir) && !chdir("/");
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct tvqd_cfg cfg;
	char err[TVQD_ERR_LEN];

	(void)argc;
	(void)argv;
	signal(SIGPIPE, SIG_IGN);
	tvqd_cfg_default(&cfg);
	/* One thread: what a run does depends on its input alone. */
	cfg.workers = 0;
	cfg.poll_ns = 0;
	cfg.log_level = TVQ_LOG_ERR;
	cfg.max_devices = 16;
	d = tvqd_new(&cfg, err);
	if (!d) {
		fprintf(stderr, "%s\n", err);
		abort();
	}
	return 0;
}

static void turns(void)
{
	for (unsigned int idle = 0; idle < 4;)
		idle = tvq_loop_turn(d->loop, false) ? 0 : idle + 1;
}

/* A connection; the daemon's end is the daemon's. */
static int client(void)
{
	int fd[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd) < 0 ||
	    tvqd_server_adopt(d->server, fd[1]) < 0)
		abort();
	return fd[0];
}

static void drop_answers(int fd)
{
	char buf[65536];

	while (recv(fd, buf, sizeof(buf), 0) > 0)
		;
}

/* The answer to a request, which comes: jobs on other threads may have to end first. */
static struct json_object *ask(int fd, const char *line)
{
	static char buf[1 << 20];
	size_t n = 0;

	if (send(fd, line, strlen(line), 0) != (ssize_t)strlen(line))
		abort();
	for (unsigned long tries = 0; !n || buf[n - 1] != '\n'; tries++) {
		ssize_t got = recv(fd, buf + n, sizeof(buf) - n - 1, 0);

		if (got > 0)
			n += (size_t)got;
		else if (!got || errno != EAGAIN)
			abort();
		else if (!tvq_loop_turn(d->loop, false))
			usleep(tries < 100 ? 0 : 100);
	}
	buf[n] = '\0';
	return json_tokener_parse(buf);
}

/* Deletes all that a listing shows. */
static bool delete_all(int fd, const char *object)
{
	char line[256];
	struct json_object *answer, *ok, *list;
	bool some = false;

	snprintf(line, sizeof(line), "{\"cmd\":\"%s show\"}\n", object);
	answer = ask(fd, line);
	if (!json_object_object_get_ex(answer, "ok", &ok) || !json_object_object_get_ex(ok, object, &list))
		abort();
	json_object_object_foreach(list, name, value) {
		(void)value;
		if (!strcmp(name, "ram"))
			continue;
		some = true;
		snprintf(line, sizeof(line), "{\"cmd\":\"%s del\",\"args\":{\"name\":\"%s\"}}\n", object, name);
		json_object_put(ask(fd, line));
	}
	json_object_put(answer);
	return some;
}

/* The built-in pool may have been deleted, or replaced by another thing of its name: it cannot be made by a
 * request, so inputs do not get to name it. */
static bool harmless(const uint8_t *data, size_t size)
{
	static const char *const files[] = { "file", "pool", "vhost", "\\u" };

	if (memmem(data, size, "ram\"}", 5))
		return false;
	for (size_t i = 0; !confined && i < sizeof(files) / sizeof(files[0]); i++) {
		if (memmem(data, size, files[i], strlen(files[i])))
			return false;
	}
	return true;
}

static void settle(int fd)
{
	unsigned int rounds = 0;

	/* Requests of clients that are gone may still be under way. */
	while (delete_all(fd, "dev") | delete_all(fd, "volume") || tvqd_server_clients(d->server) > 1) {
		turns();
		if (++rounds == 100000)
			abort();
	}
	if (d->devices.n || d->devices.presented)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd[CLIENTS], last;

	/* Not at the start: symbols and leaks are looked up in the old root. */
	if (!confined)
		confine();
	if (!harmless(data, size))
		return -1;
	for (int i = 0; i < CLIENTS; i++)
		fd[i] = client();
	while (size > 1) {
		uint8_t control = *data++;
		size_t n = (control & 31u) * 16;
		int *to = &fd[control >> 7];

		size--;
		n = n < size ? n : size;
		if (*to >= 0 && n && send(*to, data, n, MSG_NOSIGNAL) < 0)
			control |= 0x40;
		data += n;
		size -= n;
		if (control & 0x20) {
			turns();
			if (*to >= 0)
				drop_answers(*to);
		}
		if ((control & 0x40) && *to >= 0) {
			close(*to);
			*to = -1;
		}
	}
	turns();
	for (int i = 0; i < CLIENTS; i++) {
		if (fd[i] >= 0)
			close(fd[i]);
	}
	last = client();
	settle(last);
	close(last);
	turns();
	return 0;
}
