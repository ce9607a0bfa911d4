/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The one table of requests. tvqctl's words are the same; tests compare the two and the manual
 * pages.
 */
#include <errno.h>

#include "tvqd.h"

/* Makes it safe to send many requests ahead: after a failure, none of the rest is done. */
static void batch(struct tvqd *d, struct tvqd_call *call)
{
	(void)d;
	tvqd_call_stop_on_error(call, tvqd_num(&call->rq.args, TVQD_STOP));
	tvqd_reply(call, NULL);
}

static const struct tvqd_command commands[] = {
	{ "mgmtdev show", 0, 0, TVQD_BIT(NAME), tvqd_mgmtdev_show },
	{ "dev add", TVQD_DRIVER, TVQD_BIT(NAME) | TVQD_BIT(MGMTDEV) | TVQD_BIT(CLASS),
	  TVQD_BIT(VOLUME) | TVQD_BIT(CAPACITY) | TVQD_BIT(NUM_QUEUES) | TVQD_BIT(READONLY) |
		  TVQD_BIT(FEATURES) | TVQD_BIT(BLK_SIZE) | TVQD_BIT(VHOST_USER) | TVQD_BIT(MAC) |
		  TVQD_BIT(MTU) | TVQD_BIT(MAX_VQP) | TVQD_BIT(VLAN) | TVQD_BIT(RATE),
	  tvqd_dev_add },
	{ "dev del", TVQD_DRIVER, TVQD_BIT(NAME), 0, tvqd_dev_del },
	{ "dev set", TVQD_OWNER, TVQD_BIT(NAME),
	  TVQD_BIT(LINK) | TVQD_BIT(VLAN) | TVQD_BIT(TRUNK) | TVQD_BIT(PVID) | TVQD_BIT(RATE) |
		  TVQD_BIT(PPS) | TVQD_BIT(SPOOFCHK),
	  tvqd_dev_set },
	{ "dev announce", TVQD_OWNER, TVQD_BIT(NAME), 0, tvqd_dev_announce },
	{ "dev show", 0, 0, TVQD_BIT(NAME) | TVQD_BIT(FROM), tvqd_dev_show },
	{ "dev config show", TVQD_DRIVER, TVQD_BIT(NAME), 0, tvqd_dev_config_show },
	{ "dev vstats show", TVQD_DRIVER, TVQD_BIT(NAME), TVQD_BIT(QIDX), tvqd_dev_vstats_show },
	{ "volume add", TVQD_OWNER, TVQD_BIT(NAME),
	  TVQD_BIT(FILE) | TVQD_BIT(RAM) | TVQD_BIT(NULL) | TVQD_BIT(NULL_ZERO) | TVQD_BIT(POOL) |
		  TVQD_BIT(SIZE) | TVQD_BIT(DIRECT) | TVQD_BIT(READONLY) | TVQD_BIT(MGMTDEV),
	  tvqd_volume_add },
	{ "volume del", TVQD_OWNER, TVQD_BIT(NAME), 0, tvqd_volume_del },
	{ "volume show", TVQD_OWNER, 0, TVQD_BIT(NAME) | TVQD_BIT(FROM), tvqd_volume_show },
	{ "switch show", TVQD_OWNER, 0, TVQD_BIT(NAME) | TVQD_BIT(FROM), tvqd_switch_show },
	{ "switch fdb show", TVQD_OWNER, 0, TVQD_BIT(FROM), tvqd_switch_fdb_show },
	{ "switch port add", TVQD_OWNER, TVQD_BIT(NAME),
	  TVQD_BIT(SINK) | TVQD_BIT(SOURCE) | TVQD_BIT(MAC) | TVQD_BIT(TO) | TVQD_BIT(FRAME_SIZE),
	  tvqd_switch_port_add },
	{ "switch port del", TVQD_OWNER, TVQD_BIT(NAME), 0, tvqd_switch_port_del },
	{ "uplink add", TVQD_OWNER, TVQD_BIT(NAME),
	  TVQD_BIT(TAP) | TVQD_BIT(STREAM) | TVQD_BIT(LISTEN) | TVQD_BIT(MTU) | TVQD_BIT(VLAN) |
		  TVQD_BIT(TRUNK) | TVQD_BIT(PVID),
	  tvqd_uplink_add },
	{ "uplink del", TVQD_OWNER, TVQD_BIT(NAME), 0, tvqd_uplink_del },
	{ "uplink show", TVQD_OWNER, 0, TVQD_BIT(NAME) | TVQD_BIT(FROM), tvqd_uplink_show },
	{ "mirror add", TVQD_OWNER, TVQD_BIT(NAME) | TVQD_BIT(FILE), TVQD_BIT(MAX),
	  tvqd_mirror_add },
	{ "mirror del", TVQD_OWNER, TVQD_BIT(NAME), 0, tvqd_mirror_del },
	{ "trace", TVQD_DRIVER, 0, 0, tvqd_trace },
	{ "batch", 0, TVQD_BIT(STOP), 0, batch },
};

const struct tvqd_command *tvqd_commands(size_t *n)
{
	*n = sizeof(commands) / sizeof(commands[0]);
	return commands;
}

void tvqd_request_run(struct tvqd *d, struct tvqd_call *call)
{
	const struct tvqd_command *cmd = call->rq.cmd;
	char err[TVQD_ERR_LEN];

	/* Every daemon drives one; what may be missing is a device that it owns. */
	if (!(cmd->role & ~tvqd_role(d))) {
		cmd->run(d, call);
		return;
	}
	d->mgmt[0].where->refuse(d->mgmt, cmd->name, err);
	tvqd_reply_err(call, -EOPNOTSUPP, "%s", err);
}
