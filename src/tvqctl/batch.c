/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A file of commands over one connection. Theory of operation.
 *
 * Commands that only do something are sent ahead, up to a window, without waiting for their
 * answers: tvqd does the requests of a connection one after the other, and was asked ("batch") to
 * do none of the rest once one has failed, so sending ahead changes nothing but the time it takes.
 * What shows something waits until all before it has been answered. When the input pauses (standard
 * input from a program), everything sent is waited for before more is read.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tvqctl.h"

#define WINDOW	 256
#define MAX_ARGS 64
#define SEND_AT	 8192 /* bytes */

struct batch {
	struct ctl_client *c;
	const struct ctl_options *o;
	const char *name; /* of the file, for messages */
	int fd;
	char *buf; /* buf[pos .. len) has been read and not taken */
	size_t pos, len, cap;
	bool eof;
	unsigned long line;
	unsigned long sent[WINDOW]; /* line of each request that waits for its answer: a ring */
	unsigned int head, waiting;
	bool failed, lost;
};

static void complain(struct batch *b, unsigned long line, const char *why)
{
	fflush(stdout);
	fprintf(stderr, "tvqctl: %s:%lu: %s\n", b->name, line, why);
	b->failed = true;
}

/* Takes one answer. */
static void take_answer(struct batch *b)
{
	unsigned long line = b->sent[b->head];
	struct json_object *answer = ctl_get(b->c);
	const char *why, *name;

	b->head = (b->head + 1) % WINDOW;
	b->waiting--;
	if (!answer) {
		complain(b, line, "tvqd ended the connection");
		b->lost = true;
		b->waiting = 0;
		return;
	}
	why = ctl_error(answer, &name);
	/* What was not done because of an earlier error has nothing to say. */
	if (why && (b->o->force || !b->failed))
		complain(b, line, why);
	json_object_put(answer);
}

static void drain(struct batch *b)
{
	if (b->waiting && ctl_flush(b->c) < 0 && !b->failed) {
		complain(b, b->sent[b->head], "tvqd ended the connection");
		b->lost = true;
		b->waiting = 0;
	}
	while (b->waiting)
		take_answer(b);
}

static void send_ahead(struct batch *b, const char *cmd, struct json_object *args)
{
	if (b->waiting == WINDOW) {
		if (b->c->out_len && ctl_flush(b->c) < 0) {
			complain(b, b->line, "tvqd ended the connection");
			b->lost = true;
			json_object_put(args);
			return;
		}
		/* Half of them: so that many are sent and taken at a time. */
		while (b->waiting > WINDOW / 2)
			take_answer(b);
		if (b->lost) {
			json_object_put(args);
			return;
		}
	}
	ctl_put(b->c, cmd, args);
	b->sent[(b->head + b->waiting++) % WINDOW] = b->line;
	if (b->c->out_len >= SEND_AT && ctl_flush(b->c) < 0) {
		complain(b, b->line, "tvqd ended the connection");
		b->lost = true;
	}
}

/* Splits at blanks; '...' and "..." hold a word together; # starts a comment. -1: said what is
 * wrong. */
static int split(struct batch *b, char *s, char **argv)
{
	int argc = 0;

	for (;;) {
		char *to;

		s += strspn(s, " \t\r");
		if (!*s || *s == '#')
			return argc;
		if (argc == MAX_ARGS) {
			complain(b, b->line, "too many words");
			return -1;
		}
		argv[argc++] = to = s;
		while (*s && !strchr(" \t\r", *s)) {
			if (*s == '\'' || *s == '"') {
				char *end = strchr(s + 1, *s);

				if (!end) {
					complain(b, b->line, "a quote is not closed");
					return -1;
				}
				memmove(to, s + 1, (size_t)(end - s - 1));
				to += end - s - 1;
				s = end + 1;
			} else {
				*to++ = *s++;
			}
		}
		if (*s)
			s++;
		*to = '\0';
	}
}

static void do_line(struct batch *b, char *s)
{
	char *words[MAX_ARGS], **argv = words;
	const struct ctl_command *cmd;
	struct json_object *args;
	char err[CTL_ERR_LEN], name[64];
	int argc = split(b, s, words);

	if (argc <= 0)
		return;
	cmd = ctl_find(&argc, &argv, err);
	args = cmd ? ctl_args(cmd, argc, argv, err) : NULL;
	if (args && (cmd->kind == CTL_PLAIN || cmd->kind == CTL_ADD)) {
		ctl_name(cmd, name, sizeof(name));
		send_ahead(b, name, args);
		return;
	}
	drain(b);
	if (b->lost || (b->failed && !b->o->force)) {
		json_object_put(args);
	} else if (!args) {
		complain(b, b->line, err);
	} else if (cmd->kind == CTL_HELP) {
		json_object_put(args);
		ctl_usage(NULL);
	} else if (ctl_run(b->c, b->o, cmd, args, err) != CTL_OK) {
		complain(b, b->line, err);
	}
}

/* Reads more. With nothing to read now, what was sent is waited for first. */
static void read_more(struct batch *b)
{
	struct pollfd p = { .fd = b->fd, .events = POLLIN };
	ssize_t n;

	if (b->waiting && poll(&p, 1, 0) == 0)
		drain(b);
	if (b->pos) {
		memmove(b->buf, b->buf + b->pos, b->len - b->pos);
		b->len -= b->pos;
		b->pos = 0;
	}
	if (b->len + 1 >= b->cap) {
		b->cap = b->cap ? b->cap * 2 : 65536;
		b->buf = realloc(b->buf, b->cap);
		if (!b->buf)
			abort();
	}
	do {
		n = read(b->fd, b->buf + b->len, b->cap - b->len - 1);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		complain(b, b->line, strerror(errno));
	if (n <= 0)
		b->eof = true;
	else
		b->len += (size_t)n;
}

/* The next line without its newline; NULL: the end. */
static char *next_line(struct batch *b)
{
	size_t seen = 0;
	char *line, *nl;

	if (!b->buf)
		read_more(b);
	for (;;) {
		line = b->buf + b->pos;
		nl = b->len - b->pos > seen ? memchr(line + seen, '\n', b->len - b->pos - seen)
					    : NULL;
		if (nl || (b->eof && b->len > b->pos))
			break;
		if (b->eof)
			return NULL;
		seen = b->len - b->pos;
		read_more(b);
	}
	if (!nl)
		nl = b->buf + b->len;
	*nl = '\0';
	b->pos = (size_t)(nl - b->buf);
	if (b->pos < b->len)
		b->pos++;
	b->line++;
	return line;
}

int ctl_batch(struct ctl_client *c, const struct ctl_options *o)
{
	bool is_stdin = !strcmp(o->batch, "-");
	struct batch b = { .c = c, .o = o, .name = is_stdin ? "standard input" : o->batch };
	struct json_object *args;
	char *line;

	b.fd = is_stdin ? STDIN_FILENO : open(o->batch, O_RDONLY | O_CLOEXEC);
	if (b.fd < 0) {
		fprintf(stderr, "tvqctl: %s: %s\n", o->batch, strerror(errno));
		return CTL_FAILED;
	}
	if (!o->force) {
		args = json_object_new_object();
		json_object_object_add(args, "stop", json_object_new_string("on"));
		send_ahead(&b, "batch", args);
	}
	while (!b.lost && (o->force || !b.failed) && (line = next_line(&b)))
		do_line(&b, line);
	if (!b.lost)
		drain(&b);
	free(b.buf);
	if (!is_stdin)
		close(b.fd);
	return b.failed ? CTL_FAILED : CTL_OK;
}
