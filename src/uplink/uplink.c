// SPDX-License-Identifier: BSD-3-Clause
/*
 * Uplinks, their life. Theory of operation.
 *
 * An uplink is made and ended by its owner on the control executor, opened and closed by jobs,
 * since both may wait for the kernel or a file system, and works on the switch's worker.
 *
 *   new: job open -> op attach (port, descriptor) -> done
 *   free: op detach -> quiet, and the op's end -> job close -> done
 *
 * Detaching takes a while on the worker: the kernel may still watch descriptors, and a job may be
 * connecting. When the last of it is over the worker posts `gone`. That message and the op's end
 * come in no particular order; to_end counts them.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "uplink.h"

void uplink_log(const struct tvq_uplink *u, enum tvq_log_level level, const char *fmt, ...)
{
	char text[TVQ_UPLINK_ERR_LEN];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	tvq_log(u->os, level, "uplink %s %s: %s", u->kind->name, u->where, text);
}

static void uplink_destroy(struct tvq_uplink *u)
{
	u->os->free(u, sizeof(*u));
}

/* Closing: also of one that could not be attached */

static void job_close(struct tvq_job *j)
{
	struct tvq_uplink *u = tvq_container_of(j, struct tvq_uplink, job);

	if (u->fd >= 0)
		close(u->fd);
	if (u->socket.fd >= 0) {
		tvq_unix_unlink(&u->socket, u->where);
		close(u->socket.fd);
	}
}

static void job_closed(struct tvq_job *j)
{
	struct tvq_uplink *u = tvq_container_of(j, struct tvq_uplink, job);
	struct tvq_uplink_done *done = u->done;
	int err = u->err;

	uplink_destroy(u);
	done->fn(done, err);
}

static void end_with(struct tvq_uplink *u, int err)
{
	u->err = err;
	u->job.run = job_close;
	u->job.done = job_closed;
	tvq_job_post(tvq_switch_control(u->sw), &u->job);
}

/* Detaching */

static void one_less_to_end(struct tvq_uplink *u)
{
	if (!--u->to_end)
		end_with(u, 0);
}

static void op_detach(struct tvq_switch_op *op)
{
	struct tvq_uplink *u = tvq_container_of(op, struct tvq_uplink, op);

	tvq_port_del(u->port);
	u->port = NULL;
	uplink_conn_detach(u);
}

static void op_detached(struct tvq_switch_op *op)
{
	one_less_to_end(tvq_container_of(op, struct tvq_uplink, op));
}

static void gone(struct tvq_msg *m)
{
	one_less_to_end(tvq_container_of(m, struct tvq_uplink, gone));
}

void uplink_quiet(struct tvq_uplink *u)
{
	u->gone.fn = gone;
	tvq_exec_post(tvq_switch_control(u->sw), &u->gone);
}

void tvq_uplink_free(struct tvq_uplink *u, struct tvq_uplink_done *done)
{
	u->done = done;
	u->to_end = 2;
	u->op.run = op_detach;
	u->op.done = op_detached;
	tvq_switch_run(u->sw, &u->op);
}

/* Attaching */

static void op_attach(struct tvq_switch_op *op)
{
	struct tvq_uplink *u = tvq_container_of(op, struct tvq_uplink, op);
	struct tvq_port_cfg cfg = { .ops = &u->kind->port, .mtu = u->mtu, .no_spoofchk = true };

	u->port = tvq_port_add(u->sw, &cfg, u, &u->err);
	if (!u->port)
		return;
	if (u->rules)
		u->err = u->rules(u->port, u->rules_ctx);
	if (!u->err)
		u->err = uplink_conn_attach(u);
	if (u->err) {
		tvq_port_del(u->port);
		u->port = NULL;
	}
}

static void op_attached(struct tvq_switch_op *op)
{
	struct tvq_uplink *u = tvq_container_of(op, struct tvq_uplink, op);

	if (!u->err) {
		u->done->fn(u->done, 0);
		return;
	}
	snprintf(u->done->why, TVQ_UPLINK_ERR_LEN, "%s: cannot become a port of the switch: %s",
		 u->where, strerror(-u->err));
	end_with(u, u->err);
}

static void job_open(struct tvq_job *j)
{
	struct tvq_uplink *u = tvq_container_of(j, struct tvq_uplink, job);

	u->err = u->kind->open(u, u->done->why);
}

static void job_opened(struct tvq_job *j)
{
	struct tvq_uplink *u = tvq_container_of(j, struct tvq_uplink, job);

	if (u->err) {
		end_with(u, u->err);
		return;
	}
	u->op.run = op_attach;
	u->op.done = op_attached;
	tvq_switch_run(u->sw, &u->op);
}

/* Making */

static bool refuse(char *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static bool refuse(char *err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err, TVQ_UPLINK_ERR_LEN, fmt, ap);
	va_end(ap);
	return false;
}

/* The kernel would make a name of its own from an empty one, or from one with a %. */
static bool tap_name_ok(const char *name, char *err)
{
	size_t len = strlen(name);

	if (!len || len >= IFNAMSIZ)
		return refuse(err, "a tap device's name has 1 to %d characters, this one has %zu",
			      IFNAMSIZ - 1, len);
	if (strpbrk(name, "/%: \t\n") || name[0] == '.')
		return refuse(err, "'%s' is no name for a tap device", name);
	return true;
}

static bool cfg_ok(const struct tvq_uplink_cfg *cfg, char *err)
{
	const size_t max = sizeof(((struct sockaddr_un *)0)->sun_path) - 1;

	if (!cfg->tap == !cfg->stream)
		return refuse(err, "an uplink is either a tap device or a stream");
	if (cfg->mtu && (cfg->mtu < TVQ_MTU_MIN || cfg->mtu > TVQ_MTU_MAX))
		return refuse(err, "an MTU is from %d to %d, not %u", TVQ_MTU_MIN, TVQ_MTU_MAX,
			      cfg->mtu);
	if (cfg->tap)
		return tap_name_ok(cfg->tap, err);
	if (!cfg->stream[0] || strlen(cfg->stream) > max)
		return refuse(err, "a socket's path has 1 to %zu characters, this one has %zu", max,
			      strlen(cfg->stream));
	return true;
}

struct tvq_uplink *tvq_uplink_new(struct tvq_switch *sw, const struct tvq_uplink_cfg *cfg,
				  struct tvq_uplink_done *done, char *err)
{
	struct tvq_exec *worker = tvq_switch_worker(sw);
	struct tvq_uplink *u;

	if (!cfg_ok(cfg, err))
		return NULL;
	if (!tvq_exec_loop(worker)) {
		refuse(err, "the switch's worker has no event loop, which an uplink needs");
		return NULL;
	}
	u = worker->os->alloc(sizeof(*u));
	if (!u) {
		refuse(err, "no memory for an uplink");
		return NULL;
	}
	u->kind = cfg->tap ? &uplink_tap : &uplink_stream;
	u->sw = sw;
	u->worker = worker;
	u->loop = tvq_exec_loop(worker);
	u->os = worker->os;
	u->mtu = cfg->mtu ? cfg->mtu : 1500;
	u->listen = cfg->stream && cfg->listen;
	u->rules = cfg->rules;
	u->rules_ctx = cfg->rules_ctx;
	snprintf(u->where, sizeof(u->where), "%s", cfg->tap ? cfg->tap : cfg->stream);
	u->fd = -1;
	u->socket.fd = -1;
	atomic_init(&u->state, u->listen ? TVQ_UPLINK_LISTENING : TVQ_UPLINK_CONNECTING);
	u->done = done;
	done->why[0] = '\0';
	u->job.run = job_open;
	u->job.done = job_opened;
	tvq_job_post(tvq_switch_control(sw), &u->job);
	return u;
}

struct tvq_port *tvq_uplink_port(const struct tvq_uplink *u)
{
	return u->port;
}

enum tvq_uplink_state tvq_uplink_state(const struct tvq_uplink *u)
{
	return (enum tvq_uplink_state)atomic_load_explicit(&u->state, memory_order_relaxed);
}
