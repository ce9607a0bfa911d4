// SPDX-License-Identifier: BSD-3-Clause
/* The switch: its life, and ops, which carry work from the control executor to its worker. */
#include "switch/switch_priv.h"

struct tvq_switch *tvq_switch_new(const struct tvq_os *os, struct tvq_exec *control,
				  struct tvq_exec *worker)
{
	struct tvq_switch *sw = os->alloc(sizeof(*sw));

	if (!sw)
		return NULL;
	sw->os = os;
	sw->control = control;
	sw->worker = worker;
	if (tvq_fdb_init(&sw->own, os, false) < 0)
		goto free_switch;
	if (tvq_fdb_init(&sw->learned, os, true) < 0)
		goto free_own;
	return sw;

free_own:
	tvq_fdb_fini(&sw->own, os);
free_switch:
	os->free(sw, sizeof(*sw));
	return NULL;
}

void tvq_switch_free(struct tvq_switch *sw)
{
	const struct tvq_os *os;

	if (!sw)
		return;
	os = sw->os;
	tvq_fdb_fini(&sw->learned, os);
	tvq_fdb_fini(&sw->own, os);
	os->free(sw->ports, sw->cap_ports * sizeof(struct tvq_port *));
	os->free(sw, sizeof(*sw));
}

struct tvq_exec *tvq_switch_worker(const struct tvq_switch *sw)
{
	return sw->worker;
}

struct tvq_exec *tvq_switch_control(const struct tvq_switch *sw)
{
	return sw->control;
}

static void op_done(struct tvq_msg *m)
{
	struct tvq_switch_op *op = tvq_container_of(m, struct tvq_switch_op, msg);
	struct tvq_switch_user *u = op->user;

	/* Before done(), which may start the next one. */
	op->sw->n_ops--;
	if (u)
		u->ops--;
	op->done(op);
	if (u && !u->ops && u->idle)
		u->idle(u->ctx);
}

static void op_run(struct tvq_msg *m)
{
	struct tvq_switch_op *op = tvq_container_of(m, struct tvq_switch_op, msg);

	op->run(op);
	op->msg.fn = op_done;
	tvq_exec_post(op->sw->control, &op->msg);
}

static void start(struct tvq_switch *sw, struct tvq_switch_user *u, struct tvq_switch_op *op)
{
	sw->n_ops++;
	op->sw = sw;
	op->user = u;
	op->msg.fn = op_run;
	tvq_exec_post(sw->worker, &op->msg);
}

void tvq_switch_run(struct tvq_switch *sw, struct tvq_switch_op *op)
{
	start(sw, NULL, op);
}

void tvq_switch_user_run(struct tvq_switch_user *u, struct tvq_switch_op *op)
{
	u->ops++;
	start(u->sw, u, op);
}

bool tvq_switch_busy(const struct tvq_switch *sw)
{
	return sw->n_ops;
}
