/* SPDX-License-Identifier: BSD-3-Clause */
/* The switch's own structures; private to src/switch. */
#ifndef TVQ_SWITCH_PRIV_H
#define TVQ_SWITCH_PRIV_H

#include <tvq/switch.h>

struct tvq_switch {
	/* Worker's half. */
	const struct tvq_os *os;
	struct tvq_exec *worker;

	/* Control's half. */
	struct tvq_exec *control;
	unsigned int n_ops; /* under way */
	void (*idle)(void *ctx);
	void *idle_ctx;
};

#endif
