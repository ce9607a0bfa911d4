/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The real daemon in a child process, the real tvqctl in others, and a raw client of the control
 * socket.
 */
#ifndef CONTROL_LAB_H
#define CONTROL_LAB_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <cmocka.h>
#include <json-c/json.h>

#include <tvqd/tvqd.h>

struct lab {
	char dir[64];	  /* a directory of the test's own */
	char control[96]; /* in it */
	pid_t pid;	  /* of the daemon; 0: none */
	int log_fd;	  /* its standard error */
	char log[65536];  /* what has been read of it */
	size_t log_len;
};

/* Makes the directory. */
void lab_begin(struct lab *l);
/* Stops a daemon that still runs, removes the directory and all in it. */
void lab_end(struct lab *l);

/* cmocka's setups: *state becomes a struct lab, with a daemon that has no options, or with none. */
int lab_setup(void **state);
int lab_setup_empty(void **state);
int lab_teardown(void **state);

/* *state becomes a struct lab_pair: a daemon that serves its management device, whose --type this is
 * (NULL: none is said), at a socket, and one that manages it there. */
struct lab_pair {
	struct lab serving, managing;
};
int lab_setup_pair(void **state, const char *type);
int lab_teardown_pair(void **state);

/* Starts tvqd with --control and these options (NULL ends them), and waits until it is ready or has
 * ended. True: ready. */
bool lab_start(struct lab *l, ...);
/* The same; change (may be NULL) alters its configuration or process before it begins. */
bool lab_start_with(struct lab *l, void (*change)(struct tvqd_cfg *cfg), ...);
/* Ends the daemon with a signal and returns its wait status; reads its log to the end. */
int lab_stop(struct lab *l, int signal);
/* The status of a daemon that ended by itself. */
int lab_wait(struct lab *l);
/* Descriptors that the daemon has open. */
unsigned int lab_fds(const struct lab *l);

/* A connection; fails the test where there is none. */
int lab_connect(const struct lab *l);
void lab_send(int fd, const char *text);
/* The next line without its newline, "" at the end of the connection. The caller's static buffer.
 */
const char *lab_line(int fd);
/* Sends a line, returns the answer's; over a connection of its own. */
const char *lab_ask(const struct lab *l, const char *request);
/* The answer is a success, and holds text (NULL: whatever). */
void lab_ok(const struct lab *l, const char *request, const char *text);
/* The answer is an error that holds text. */
void lab_refused(const struct lab *l, const char *request, const char *text);

/* Runs tvqctl on the daemon's socket; input (may be NULL) is its standard input. Returns its exit
 * status; what it printed is in out and err (LAB_OUT bytes, ending in NUL). */
#define LAB_OUT (1u << 20)
int lab_ctl(const struct lab *l, const char *input, char *out, char *err, ...);

/* prefix, then the path of a name in the directory. */
void lab_path(const struct lab *l, const char *prefix, const char *name, char *buf, size_t size);

/* A file of that size in the directory. Its path. */
const char *lab_file(const struct lab *l, const char *name, off_t size);
bool lab_exists(const struct lab *l, const char *name);

#define assert_holds(text, part)                                                                   \
	do {                                                                                       \
		if (!strstr((text), (part)))                                                       \
			fail_msg("'%s' is not in '%s'", (part), (text));                           \
	} while (0)

#endif
