/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The management device in this process: its owner and its driver are one.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <tvq/inproc.h>

#include "mgmt.h"
#include "tvqd.h"
#include "volumes.h"

static int inproc_start(struct tvqd_mgmt *m, char *err)
{
	struct tvq_mgmt_cfg cfg;
	int ret = 0;

	tvqd_mgmt_cfg(m, &cfg);
	m->bus = tvq_inproc_new(&cfg, &ret);
	if (!m->bus) {
		snprintf(err, TVQD_ERR_LEN, "cannot make the management device %s: %s", m->name,
			 strerror(-ret));
		return ret;
	}
	m->device = tvq_inproc_device(m->bus);
	return 0;
}

static void inproc_stop(struct tvqd_mgmt *m)
{
	if (m->bus)
		m->bus->ops->free(m->bus);
}

static int inproc_explain(struct tvqd_mgmt *m, const struct tvqd_class *class,
			  const struct tvqd_args *args, char *err)
{
	if (class->ops->volumes && tvqd_volume_explain(m->d, args, err) < 0)
		return -EINVAL;
	snprintf(err, TVQD_ERR_LEN,
		 "%s refused to create '%s'; the log of tvqd says why, with --log-level debug",
		 m->name, tvqd_str(args, TVQD_NAME));
	return -EIO;
}

const struct tvqd_where tvqd_inproc = {
	.role = TVQD_OWNER | TVQD_DRIVER,
	.owner = "tvqd",
	.to_delete = "dev del it first",
	.start = inproc_start,
	.stop = inproc_stop,
	.explain = inproc_explain,
};
