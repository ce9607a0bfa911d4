/* SPDX-License-Identifier: BSD-3-Clause */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <tvq/wire.h>

#include "json.h"
#include "mgmt.h"
#include "tvqd.h"

void tvqd_mgmt_cfg(const struct tvqd *d, struct tvq_mgmt_cfg *cfg)
{
	*cfg = (struct tvq_mgmt_cfg){
		.os = &tvq_os_host,
		.control = d->exec,
		.workers = d->workers,
		.n_workers = d->n_workers,
		.type = d->cfg.type,
		.pool = tvq_volume_pool_pool(d->pool),
		.max_devices = d->cfg.max_devices,
		.max_vqs = d->cfg.max_vqs,
		.max_queue_size = d->cfg.queue_size,
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

void tvqd_avail_get(struct tvqd *d, struct tvqd_avail *av,
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
	tvq_client_submit(d->client, &av->cmd);
}

int tvqd_classes_get(struct tvqd *d)
{
	memcpy(d->classes, tvqd_known_classes, sizeof(d->classes));
	for (unsigned int i = 0; i < TVQD_CLASSES; i++) {
		struct tvqd_class *c = &d->classes[i];
		int err = tvq_client_type(d->client, c->virtio_device_id, &c->info);

		if (err && err != -EIO)
			return err;
		c->there = !err;
	}
	return 0;
}

struct show {
	struct tvqd *d;
	struct tvqd_call *call;
	struct tvqd_avail avail;
};

/* What its driver knows. */
static void show_offers(struct tvqd *d, const struct tvq_avail_res *res, struct json_object *o)
{
	struct json_object *classes = json_object_new_array();
	struct json_object *features = json_object_new_object();

	for (unsigned int i = 0; i < TVQD_CLASSES; i++) {
		const struct tvqd_class *c = &d->classes[i];

		if (!c->there)
			continue;
		json_object_array_add(classes, json_object_new_string(c->name));
		json_object_object_add(features, c->name,
				       tvqd_feature_names(c->info.features, c->virtio_device_id));
	}
	json_object_object_add(o, "supported_classes", classes);
	tvqd_add_num(o, "max_supported_vqs", res->max_vdev_vqs);
	json_object_object_add(o, "dev_features", features);
	tvqd_add_num(o, "num_avail_vdev", res->num_avail_vdev);
	tvqd_add_num(o, "num_avail_vqs", res->num_avail_vqs);
}

/* What its owner knows. */
static void show_figures(struct tvqd *d, struct json_object *o)
{
	struct tvq_device_stats st;

	tvq_device_stats(d->device, &st);
	tvqd_add_str(o, "type", d->cfg.type == TVQ_TYPE_NET ? "network" : "block");
	tvqd_add_num(o, "devices", st.devices);
	tvqd_add_num(o, "vqs", st.vqs);
	tvqd_add_num(o, "commands", st.commands);
	tvqd_add_num(o, "errors", st.errors);
}

/* res: NULL where we are not the driver. */
static void show_mgmtdev(struct tvqd *d, struct tvqd_call *call, const struct tvq_avail_res *res)
{
	struct json_object *o = json_object_new_object();

	if (d->where->show)
		d->where->show(d, o);
	if (res)
		show_offers(d, res, o);
	if (d->where->role & TVQD_OWNER)
		show_figures(d, o);
	tvqd_reply(call, tvqd_one("mgmtdev", TVQD_MGMT0, o));
}

static void show_avail(struct tvqd_avail *av, int err)
{
	struct show *s = (struct show *)((char *)av - offsetof(struct show, avail));

	if (err)
		tvqd_reply_err(s->call, err, "%s answers AVAIL_RES GET by an error", TVQD_MGMT0);
	else
		show_mgmtdev(s->d, s->call, &av->res);
	free(s);
}

void tvqd_mgmtdev_show(struct tvqd *d, struct tvqd_call *call)
{
	const char *name = tvqd_str(&call->rq.args, TVQD_NAME);
	struct show *s;

	if (name && strcmp(name, TVQD_MGMT0) != 0) {
		tvqd_reply_err(call, -ENOENT, "no management device '%s'; there is only %s", name,
			       TVQD_MGMT0);
		return;
	}
	if (!(d->where->role & TVQD_DRIVER)) {
		show_mgmtdev(d, call, NULL);
		return;
	}
	s = calloc(1, sizeof(*s));
	if (!s) {
		tvqd_reply_err(call, -ENOMEM, "out of memory");
		return;
	}
	s->d = d;
	s->call = call;
	tvqd_avail_get(d, &s->avail, show_avail);
}
