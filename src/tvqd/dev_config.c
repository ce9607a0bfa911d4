/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dev config show: what the device says of itself, by commands as any driver's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "class.h"
#include "json.h"
#include "tvqd.h"

#define CONFIG_BYTES 128

struct config_show {
	struct tvqd_call *call;
	struct tvq_done step;
	const char *mgmt;
	const struct tvqd_class *class;
	uint8_t config[CONFIG_BYTES];
	uint8_t status;
	uint64_t features, driver_features;
	char name[TVQD_NAME_MAX + 1];
};

static struct json_object *show_config(const struct config_show *s)
{
	struct json_object *o = json_object_new_object();
	uint32_t type = s->class->virtio_device_id;

	s->class->ops->show_config(o, s->config, s->features);
	tvqd_add_num(o, "status", s->status);
	json_object_object_add(o, "dev_features", tvqd_feature_names(s->features, type));
	json_object_object_add(o, "negotiated_features",
			       tvqd_feature_names(s->driver_features, type));
	return o;
}

static void config_got(struct tvq_done *step, int err)
{
	struct config_show *s =
		(struct config_show *)((char *)step - offsetof(struct config_show, step));

	if (err)
		tvqd_reply_err(s->call, err,
			       "%s answers for '%s' by an error: it is being reset or deleted",
			       s->mgmt, s->name);
	else
		tvqd_reply(s->call, tvqd_one("config", s->name, show_config(s)));
	free(s);
}

void tvqd_dev_config_show(struct tvqd *d, struct tvqd_call *call)
{
	struct tvqd_dev *dev = tvqd_dev_live(d, call);
	struct config_show *s;
	struct tvq_seq *seq;

	if (!dev)
		return;
	s = calloc(1, sizeof(*s));
	seq = s ? tvq_seq_new(dev->mgmt->client, dev->device_id) : NULL;
	if (!seq) {
		free(s);
		tvqd_reply_err(call, -ENOMEM, "out of memory");
		return;
	}
	s->call = call;
	s->mgmt = dev->mgmt->name;
	s->class = dev->class;
	s->features = dev->features;
	memcpy(s->name, dev->name, strlen(dev->name) + 1);
	s->step.fn = config_got;
	tvq_seq_config_get(seq, 0, s->class->ops->config_bytes, s->config);
	tvq_seq_driver_features_get(seq, &s->driver_features);
	tvq_seq_status_get(seq, &s->status);
	tvq_seq_run(seq, &s->step);
}
