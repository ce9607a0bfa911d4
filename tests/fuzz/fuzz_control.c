/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control socket: the daemon itself, without a socket of its own, on connections that the
 * fuzzer makes.
 *
 * The input is what two clients send. A byte of control, then a chunk: bit 7 says which client, bit
 * 6 that it hangs up afterwards, bit 5 that the daemon has its turns before what follows, bits 0-4
 * that many times 16 bytes. Afterwards every device, volume, uplink and port is deleted again over
 * a third connection, and every file, so that each input finds the same daemon; and the daemon still
 * has to answer there.
 *
 * Requests can name files and network devices, and the fuzzer may run as root: an input whose
 * clients send a slash that is not part of FILES, or a backslash that could spell one, is left out,
 * and so is one with the word for a network device.
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <tvqd/tvqd.h>

#define CLIENTS	  2
#define FILES	  "/tmp/tvq-fuzz/" /* an image, "img", is there */
#define INPUT_MAX 65536

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct tvqd *d;

static void make_files(void)
{
	int fd;

	mkdir(FILES, 0700);
	fd = open(FILES "img", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, 8192) < 0)
		abort();
	close(fd);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct tvqd_cfg cfg;
	char err[TVQD_ERR_LEN];

	(void)argc;
	(void)argv;
	signal(SIGPIPE, SIG_IGN);
	make_files();
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

/* Until nothing is left to do; a source of frames never ends. */
static void turns(void)
{
	for (unsigned int idle = 0, n = 0; idle < 4 && n < 1000; n++)
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

static bool is_measure(struct json_object *port)
{
	struct json_object *kind;

	if (!json_object_object_get_ex(port, "kind", &kind))
		abort();
	return !strcmp(json_object_get_string(kind), "sink") ||
	       !strcmp(json_object_get_string(kind), "source");
}

/* Deletes all that a listing shows; of the switch those that were made to measure with. */
static bool delete_all(int fd, const char *object)
{
	bool some = false, ports = !strcmp(object, "switch");
	struct json_object *answer, *ok, *list;
	char line[256];

	snprintf(line, sizeof(line), "{\"cmd\":\"%s show\"}\n", object);
	answer = ask(fd, line);
	if (!json_object_object_get_ex(answer, "ok", &ok) ||
	    !json_object_object_get_ex(ok, object, &list))
		abort();
	json_object_object_foreach(list, name, value)
	{
		if (!strcmp(name, "ram") || (ports && !is_measure(value)))
			continue;
		some = true;
		snprintf(line, sizeof(line), "{\"cmd\":\"%s%s del\",\"args\":{\"name\":\"%s\"}}\n",
			 object, ports ? " port" : "", name);
		json_object_put(ask(fd, line));
	}
	json_object_put(answer);
	return some;
}

/* The built-in pool may have been deleted. */
static void restore_pool(void)
{
	struct tvq_maker_cfg cfg = { .kind = TVQ_MAKER_RAM,
				     .name = "ram",
				     .default_size = 64 << 20 };
	char err[TVQ_VOLUME_ERR_LEN];
	int ret = tvq_volume_pool_add_maker(d->pool, &cfg, err);

	if (ret && ret != -EEXIST)
		abort();
}

/* All but the image. */
static void remove_files(void)
{
	DIR *dir = opendir(FILES);
	struct dirent *e;

	if (!dir)
		abort();
	while ((e = readdir(dir))) {
		if (strcmp(e->d_name, "img") != 0 && e->d_name[0] != '.')
			unlinkat(dirfd(dir), e->d_name, 0);
	}
	closedir(dir);
}

static void settle(int fd)
{
	unsigned int rounds = 0;
	bool some;

	/* Requests of clients that are gone may still be under way. */
	do {
		some = delete_all(fd, "dev");
		some |= delete_all(fd, "volume");
		some |= delete_all(fd, "uplink");
		some |= delete_all(fd, "switch");
		turns();
		/* Jobs on other threads: files are opened, and written to the end. */
		if (++rounds > 100)
			usleep(100);
		if (rounds == 100000)
			abort();
	} while (some || tvqd_server_clients(d->server) > 1 || d->ports.first || d->ports.mirrors);
	if (d->devices.n || d->devices.presented)
		abort();
	restore_pool();
	remove_files();
}

/* One chunk of the input. */
struct chunk {
	unsigned int client;
	bool turns, hang_up;
	const uint8_t *data;
	size_t n;
};

static bool next_chunk(const uint8_t **data, size_t *size, struct chunk *c)
{
	uint8_t control;

	if (*size < 2)
		return false;
	control = *(*data)++;
	(*size)--;
	c->client = control >> 7;
	c->hang_up = control & 0x40;
	c->turns = control & 0x20;
	c->n = (control & 31u) * 16;
	c->n = c->n < *size ? c->n : *size;
	c->data = *data;
	*data += c->n;
	*size -= c->n;
	return true;
}

static bool only_our_files(const char *s)
{
	if (strchr(s, '\\') || strstr(s, "..") || strstr(s, "tap"))
		return false;
	while ((s = strchr(s, '/'))) {
		if (strncmp(s, FILES, strlen(FILES)))
			return false;
		s += strlen(FILES);
	}
	return true;
}

static bool harmless(const uint8_t *data, size_t size)
{
	static char text[CLIENTS][INPUT_MAX + 1];
	size_t n[CLIENTS] = { 0 };
	struct chunk c;

	if (size > INPUT_MAX)
		return false;
	while (next_chunk(&data, &size, &c)) {
		for (size_t i = 0; i < c.n; i++) {
			/* A NUL would hide what follows from the check; requests have none. */
			if (!c.data[i])
				return false;
			text[c.client][n[c.client]++] = (char)c.data[i];
		}
	}
	for (int i = 0; i < CLIENTS; i++) {
		text[i][n[i]] = '\0';
		if (!only_our_files(text[i]))
			return false;
	}
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd[CLIENTS], last;
	struct chunk c;

	if (!harmless(data, size))
		return -1;
	for (int i = 0; i < CLIENTS; i++)
		fd[i] = client();
	while (next_chunk(&data, &size, &c)) {
		int *to = &fd[c.client];

		if (*to >= 0 && c.n && send(*to, c.data, c.n, MSG_NOSIGNAL) < (ssize_t)c.n)
			c.hang_up = true;
		if (c.turns) {
			turns();
			if (*to >= 0)
				drop_answers(*to);
		}
		if (c.hang_up && *to >= 0) {
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
