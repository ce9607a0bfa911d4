/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A front end that breaks the rules. Each attack ends with what everybody else sees: one line of
 * log that names the device and the message, no descriptor and no mapping left behind (lab_close),
 * and the next front end is served.
 */
#ifndef TVQ_TESTS_VU_ARENA_H
#define TVQ_TESTS_VU_ARENA_H

#include "vu_front.h"

static struct vu_lab lab;
static struct vu_front front;

static inline void arena_for(const struct vu_lab_cfg *cfg)
{
	lab_open(&lab, cfg);
	front_init(&front, &lab);
	front.features = FRONT_FEATURES;
}

static inline void arena(void)
{
	static const struct vu_lab_cfg none;

	arena_for(&none);
}

/* Up to, and not with, this step of the handshake. */
static inline void prepare(unsigned int steps)
{
	unsigned int i;

	for (i = 0; i < steps; i++)
		front_handshake_step(&front, i);
}

enum {
	TO_PROTOCOL = 3,
	TO_FEATURES = 12,
	TO_INFLIGHT = 14,
	TO_MEMORY = 17,
	TO_RINGS = 18,
	TO_KICK = 21,
	TO_ENABLE = 23,
	TO_END = 24
};

static inline void serves_the_next(void)
{
	struct vu_front good;

	front_hang_up(&front);
	front_init(&good, &lab);
	good.features = FRONT_FEATURES;
	front_handshake(&good);
	write_and_read_back(&good, 0, 3);
	front_free(&good);
}

static inline void curtain(void)
{
	front_free(&front);
	lab_close(&lab);
}

/* The peer was closed, for this reason. */
static inline void closed_because(const char *message, const char *why)
{
	char line[128];

	assert_true(front_closed(&front));
	snprintf(line, sizeof(line), "disk7: vhost-user %s: ", message);
	if (!lab_logged(line) || !lab_logged(why))
		fail_msg("\"%s...%s\" is not in the log:\n%s", line, why, lab_log);
	serves_the_next();
	curtain();
}

/* Descriptors of every other kind. */
static inline int other_descriptor(unsigned int kind)
{
	int fds[2];

	switch (kind) {
	case 0:
		return memfd_create("x", MFD_CLOEXEC);
	case 1:
		assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
		close(fds[0]);
		return fds[1];
	case 2:
		return open("/dev/null", O_RDWR | O_CLOEXEC);
	case 3:
		return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	case 4:
		return open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	default:
		return -1;
	}
}

#endif
