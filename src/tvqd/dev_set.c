/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dev set, dev announce: what the owner of a network device changes while it runs.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ports.h"
#include "tvqd.h"

struct set {
	struct tvq_switch_op op;
	struct tvqd_call *call;
	struct tvqd_target t;
	struct tvqd_port_change change;
	int err;
};

static void set_run(struct tvq_switch_op *op)
{
	struct set *s = (struct set *)op;

	s->err = tvqd_port_apply(s->t.port, &s->change);
}

static int reply_gone(struct tvqd_call *call, int err)
{
	const char *name = tvqd_str(&call->rq.args, TVQD_NAME);

	if (err == -EOPNOTSUPP)
		tvqd_reply_err(call, err, "'%s' is a block device: this is for network devices",
			       name);
	else if (err == -ENOENT)
		tvqd_reply_err(call, err, "device '%s' has gone meanwhile", name);
	else
		tvqd_reply_err(call, err, "'%s': %s", name, strerror(-err));
	return err;
}

/* The rest is done. The port of a device and its status field change together. */
static void set_link(struct tvqd_call *call, const struct tvqd_target *t)
{
	const struct tvqd_args *args = &call->rq.args;
	int err = 0;

	if (tvqd_has(args, TVQD_LINK))
		err = tvq_device_set_link(t->mgmt->device, t->device_id, tvqd_num(args, TVQD_LINK));
	if (err)
		reply_gone(call, err);
	else
		tvqd_reply(call, NULL);
}

static void set_done(struct tvq_switch_op *op)
{
	struct set *s = (struct set *)op;

	if (s->err)
		reply_gone(s->call, s->err);
	else
		set_link(s->call, &s->t);
	free(s);
}

/* A network device by name or number; false: the call has been answered. */
static bool find(struct tvqd *d, struct tvqd_call *call, struct tvqd_target *t)
{
	const char *name = tvqd_str(&call->rq.args, TVQD_NAME);
	char err[TVQD_ERR_LEN];
	int ret = tvqd_target_port(d, name, t, err);

	if (ret)
		tvqd_reply_err(call, ret, "%s", err);
	else if (t->own)
		tvqd_reply_err(call, -EOPNOTSUPP,
			       "'%s' is a port of the switch and no device: delete it and add it "
			       "anew",
			       name);
	else
		return true;
	return false;
}

void tvqd_dev_set(struct tvqd *d, struct tvqd_call *call)
{
	char err[TVQD_ERR_LEN];
	struct set *s;

	if (!(call->rq.args.have & ~TVQD_BIT(NAME))) {
		tvqd_reply_err(call, -EINVAL,
			       "dev set needs one of link, vlan, trunk, rate, pps, spoofchk");
		return;
	}
	s = calloc(1, sizeof(*s));
	if (!s) {
		tvqd_reply_err(call, -ENOMEM, "out of memory");
		return;
	}
	if (tvqd_port_change(&call->rq.args, &s->change, err) < 0) {
		tvqd_reply_err(call, -EINVAL, "%s", err);
		free(s);
		return;
	}
	if (!find(d, call, &s->t)) {
		free(s);
		return;
	}
	if (!s->change.have) {
		set_link(call, &s->t);
		free(s);
		return;
	}
	s->op.run = set_run;
	s->op.done = set_done;
	s->call = call;
	tvq_switch_run(tvqd_switch(d), &s->op);
}

void tvqd_dev_announce(struct tvqd *d, struct tvqd_call *call)
{
	struct tvqd_target t;
	int err;

	if (!find(d, call, &t))
		return;
	err = tvq_device_announce(t.mgmt->device, t.device_id);
	if (err)
		reply_gone(call, err);
	else
		tvqd_reply(call, NULL);
}
