/* SPDX-License-Identifier: BSD-3-Clause */
/* lean_client's command line. */
#ifndef LEAN_OPTIONS_H
#define LEAN_OPTIONS_H

#include "vu_front.h"

#define MAX_DEPTH 1024u
#define NO_CPU	  (~0ul)

enum direction { READ, WRITE, MIX };

struct options {
	struct vu_options vu;
	unsigned long depth, len, warm_ms, ms, queue_size, cpu;
	unsigned long span; /* bytes of the device that are used; 0: all */
	enum direction direction;
	bool event, verify;
};

/* Values of the command line, checked; exits with a message where they are wrong. */
void options_parse(struct options *o, int argc, char **argv);

#endif
