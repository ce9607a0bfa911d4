/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mgmtdev show. Those that we drive are asked, one after the other.
 */
#include <errno.h>
#include <stdlib.h>

#include "json.h"
#include "mgmt.h"
#include "tvqd.h"

struct show {
	struct tvqd_call *call;
	struct json_object *list;
	struct tvqd_mgmt *m, *end; /* the next, and where to stop */
	struct tvqd_avail avail;
};

/* What its driver knows. */
static void show_offers(const struct tvqd_mgmt *m, const struct tvq_avail_res *res,
			struct json_object *o)
{
	struct json_object *classes = json_object_new_array();
	struct json_object *features = json_object_new_object();

	for (unsigned int i = 0; i < TVQD_CLASSES; i++) {
		const struct tvqd_class *c = &m->classes[i];

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
static void show_figures(const struct tvqd_mgmt *m, struct json_object *o)
{
	struct tvq_device_stats st;

	tvq_device_stats(m->device, &st);
	tvqd_add_str(o, "type", m->type == TVQ_TYPE_NET ? "network" : "block");
	tvqd_add_num(o, "devices", st.devices);
	tvqd_add_num(o, "vqs", st.vqs);
	tvqd_add_num(o, "commands", st.commands);
	tvqd_add_num(o, "errors", st.errors);
}

/* res: NULL where we are not the driver. */
static void show_one(struct show *s, const struct tvq_avail_res *res)
{
	struct json_object *o = json_object_new_object();
	const struct tvqd_mgmt *m = s->m++;

	if (m->where->show)
		m->where->show(m, o);
	if (res)
		show_offers(m, res, o);
	if (m->where->role & TVQD_OWNER)
		show_figures(m, o);
	json_object_object_add(s->list, m->name, o);
}

static void show_next(struct show *s);

static void show_avail(struct tvqd_avail *av, int err)
{
	struct show *s = (struct show *)((char *)av - offsetof(struct show, avail));

	if (!err) {
		show_one(s, &av->res);
		show_next(s);
		return;
	}
	json_object_put(s->list);
	tvqd_reply_err(s->call, err, "%s answers AVAIL_RES GET by an error", s->m->name);
	free(s);
}

static void show_next(struct show *s)
{
	struct json_object *result;

	while (s->m < s->end) {
		if (s->m->where->role & TVQD_DRIVER) {
			tvqd_avail_get(s->m, &s->avail, show_avail);
			return;
		}
		show_one(s, NULL);
	}
	result = json_object_new_object();
	json_object_object_add(result, "mgmtdev", s->list);
	tvqd_reply(s->call, result);
	free(s);
}

void tvqd_mgmtdev_show(struct tvqd *d, struct tvqd_call *call)
{
	const char *name = tvqd_str(&call->rq.args, TVQD_NAME);
	struct tvqd_mgmt *m = name ? tvqd_mgmt_find(d, name) : d->mgmt;
	struct show *s;

	if (!m) {
		tvqd_reply_err(call, -ENOENT, "no management device '%s'; %s", name,
			       tvqd_mgmt_names(d));
		return;
	}
	s = calloc(1, sizeof(*s));
	if (!s) {
		tvqd_reply_err(call, -ENOMEM, "out of memory");
		return;
	}
	s->call = call;
	s->list = json_object_new_object();
	s->m = m;
	s->end = name ? m + 1 : d->mgmt + d->n_mgmts;
	show_next(s);
}
