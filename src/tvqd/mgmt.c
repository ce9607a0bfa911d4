/* SPDX-License-Identifier: BSD-3-Clause */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <tvq/wire.h>

#include "mgmt.h"
#include "tvqd.h"

void tvqd_mgmts_init(struct tvqd *d)
{
	static const struct tvqd_where *const places[] = {
		[TVQD_INPROC] = &tvqd_inproc,
		[TVQD_SERVE] = &tvqd_served,
		[TVQD_MANAGE] = &tvqd_managed,
	};

	d->mgmt[d->n_mgmts++] = (struct tvqd_mgmt){
		.d = d,
		.name = "mgmt0",
		.where = places[d->cfg.place],
		.type = d->cfg.type,
	};
	if (!tvqd_numbered(d))
		return;
	/* Not a network device: such a one is a port of its own switch. */
	d->mgmt[d->n_mgmts++] = (struct tvqd_mgmt){
		.d = d,
		.name = "mgmt1",
		.where = &tvqd_inproc,
		.type = TVQ_TYPE_BLK,
	};
}

struct tvqd_mgmt *tvqd_mgmt_find(struct tvqd *d, const char *name)
{
	for (unsigned int i = 0; i < d->n_mgmts; i++) {
		if (!strcmp(d->mgmt[i].name, name))
			return &d->mgmt[i];
	}
	return NULL;
}

const char *tvqd_mgmt_names(const struct tvqd *d)
{
	return d->n_mgmts > 1 ? "there are mgmt0 and mgmt1" : "there is only mgmt0";
}

unsigned int tvqd_mgmt_owner(const struct tvqd_mgmt *m)
{
	_Static_assert(TVQD_MGMTS <= TVQ_VOLUME_OWNERS, "each has a view of the pool");
	return m->d->n_mgmts > 1 ? (unsigned int)(m - m->d->mgmt) + 1 : TVQ_VOLUME_ANY;
}

const struct tvqd_mgmt *tvqd_owner_mgmt(const struct tvqd *d, unsigned int owner)
{
	return owner == TVQ_VOLUME_ANY ? NULL : &d->mgmt[owner - 1];
}

struct tvqd_mgmt *tvqd_driven(struct tvqd *d)
{
	return &d->mgmt[d->n_mgmts - 1];
}

struct tvqd_mgmt *tvqd_numbered(struct tvqd *d)
{
	return d->mgmt[0].where->role & TVQD_DRIVER ? NULL : &d->mgmt[0];
}

unsigned int tvqd_role(const struct tvqd *d)
{
	unsigned int role = 0;

	for (unsigned int i = 0; i < d->n_mgmts; i++)
		role |= d->mgmt[i].where->role;
	return role;
}

struct tvq_switch *tvqd_switch(const struct tvqd *d)
{
	return tvq_device_switch(d->mgmt[0].device);
}

void tvqd_mgmt_cfg(const struct tvqd_mgmt *m, struct tvq_mgmt_cfg *cfg)
{
	const struct tvqd *d = m->d;

	*cfg = (struct tvq_mgmt_cfg){
		.os = &tvq_os_host,
		.name = m->name,
		.control = d->exec,
		.workers = d->workers,
		.n_workers = d->n_workers,
		.type = m->type,
		.pool = tvq_volume_pool_view(d->pool, tvqd_mgmt_owner(m)),
		.max_devices = d->cfg.max_devices,
		.max_vqs = d->cfg.max_vqs,
		.max_queue_size = d->cfg.queue_size,
		.net_switch = m == d->mgmt ? NULL : tvqd_switch(d),
	};
}

static void avail_done(struct tvq_cmd *cmd)
{
	struct tvqd_avail *av =
		(struct tvqd_avail *)((char *)cmd - offsetof(struct tvqd_avail, cmd));

	av->res.num_avail_vqs = le16toh(av->answer.num_avail_vqs);
	av->res.min_vdev_vqs = le16toh(av->answer.min_vdev_vqs);
	av->res.max_vdev_vqs = le16toh(av->answer.max_vdev_vqs);
	av->res.num_avail_vdev = le16toh(av->answer.num_avail_vdev);
	av->done(av, cmd->err);
}

void tvqd_avail_get(struct tvqd_mgmt *m, struct tvqd_avail *av,
		    void (*done)(struct tvqd_avail *av, int err))
{
	av->done = done;
	av->answer = (struct mgmt_dev_avail_res){ 0 };
	av->cmd = (struct tvq_cmd){
		.class = tvq_commands[TVQ_COMMAND_avail_res_get].class,
		.command = tvq_commands[TVQ_COMMAND_avail_res_get].command,
		.in = &av->answer,
		.in_len = sizeof(av->answer),
		.done = avail_done,
	};
	tvq_client_submit(m->client, &av->cmd);
}

int tvqd_classes_get(struct tvqd_mgmt *m)
{
	memcpy(m->classes, tvqd_known_classes, sizeof(m->classes));
	for (unsigned int i = 0; i < TVQD_CLASSES; i++) {
		struct tvqd_class *c = &m->classes[i];
		int err = tvq_client_type(m->client, c->virtio_device_id, &c->info);

		if (err && err != -EIO)
			return err;
		c->there = !err;
		c->mgmt = m->name;
	}
	return 0;
}

struct tvqd_class *tvqd_class_find(struct tvqd_mgmt *m, const char *name, char *err)
{
	size_t n;

	for (unsigned int i = 0; i < TVQD_CLASSES; i++) {
		struct tvqd_class *c = &m->classes[i];

		if (strcmp(c->name, name) != 0)
			continue;
		if (c->there)
			return c;
		snprintf(err, TVQD_ERR_LEN, "class '%s': %s creates no %s devices; it has:", name,
			 m->name, c->type);
		goto list;
	}
	snprintf(err, TVQD_ERR_LEN, "class '%s' is not known; %s has:", name, m->name);
list:
	n = strlen(err);
	for (unsigned int i = 0; i < TVQD_CLASSES; i++) {
		if (m->classes[i].there)
			n += (size_t)snprintf(err + n, TVQD_ERR_LEN - n, " %s", m->classes[i].name);
	}
	return NULL;
}
