/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dev show. A listing is bounded in what one request walks and
 * returns: "next" in the answer is the "from" of the request that goes on.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <present/vhost_user.h>

#include "json.h"
#include "tvqd.h"

#define PAGE 256

static struct json_object *show_named(const struct tvqd_dev *dev)
{
	struct json_object *o = json_object_new_object();
	struct tvq_vhost_user_info info;

	tvqd_add_str(o, "type", dev->class->type);
	tvqd_add_str(o, "mgmtdev", TVQD_MGMT0);
	tvqd_add_num(o, "vendor_id", TVQD_VENDOR_ID);
	tvqd_add_num(o, "max_vqs", dev->num_queues);
	tvqd_add_num(o, "max_vq_size", dev->max_queue_size);
	tvqd_add_num(o, "device_id", dev->device_id);
	if (dev->volume[0])
		tvqd_add_str(o, "volume", dev->volume);
	if (dev->vhost_user) {
		tvq_vhost_user_info(dev->vhost_user, &info);
		tvqd_add_str(o, "vhost_user", info.path);
		tvqd_add_bool(o, "connected", info.connected);
		tvqd_add_bool(o, "running", info.running);
	}
	return o;
}

void tvqd_dev_show(struct tvqd *d, struct tvqd_call *call)
{
	d->where->dev_show(d, call);
}

void tvqd_dev_show_named(struct tvqd *d, struct tvqd_call *call)
{
	struct json_object *result, *list;
	uint64_t from = tvqd_num(&call->rq.args, TVQD_FROM);
	uint32_t slot = from < UINT32_MAX ? (uint32_t)from : UINT32_MAX;
	struct tvqd_dev *dev;

	if (tvqd_has(&call->rq.args, TVQD_NAME)) {
		dev = tvqd_dev_live(d, call);
		if (dev)
			tvqd_reply(call, tvqd_one("dev", dev->name, show_named(dev)));
		return;
	}
	result = json_object_new_object();
	list = json_object_new_object();
	for (unsigned int n = 0; n < PAGE; n++, slot++) {
		dev = tvqd_devices_next(&d->devices, &slot);
		if (!dev)
			break;
		json_object_object_add(list, dev->name, show_named(dev));
	}
	json_object_object_add(result, "dev", list);
	if (slot < d->devices.n_slots)
		tvqd_add_num(result, "next", slot);
	tvqd_reply(call, result);
}

/* The owner knows numbers, not names. */

/* all: with the lists of features, which are for one device. */
static struct json_object *show_owned(const struct tvq_device_info *info, bool all)
{
	struct json_object *o = json_object_new_object();

	tvqd_add_str(o, "type", info->type);
	tvqd_add_str(o, "mgmtdev", TVQD_MGMT0);
	tvqd_add_num(o, "vendor_id", TVQD_VENDOR_ID);
	tvqd_add_num(o, "max_vqs", info->n_vqs);
	tvqd_add_num(o, "device_id", info->id);
	if (info->volume[0])
		tvqd_add_str(o, "volume", info->volume);
	tvqd_add_num(o, "status", info->status);
	if (!all)
		return o;
	json_object_object_add(o, "dev_features",
			       tvqd_feature_names(info->features, info->virtio_device_id));
	json_object_object_add(o, "negotiated_features",
			       tvqd_feature_names(info->driver_features, info->virtio_device_id));
	return o;
}

/* A device by its number, in decimal. */
static void show_one_owned(struct tvqd *d, struct tvqd_call *call, const char *name)
{
	struct tvq_device_info info;
	char *end;
	uint64_t id = strtoull(name, &end, 10);

	if (*end || name[0] < '0' || name[0] > '9' || tvq_device_info(d->device, id, &info) < 0)
		tvqd_reply_err(call, -ENOENT,
			       "no device '%s': the owner of %s knows its devices by their "
			       "numbers; dev show lists them",
			       name, TVQD_MGMT0);
	else
		tvqd_reply(call, tvqd_one("dev", name, show_owned(&info, true)));
}

void tvqd_dev_show_owned(struct tvqd *d, struct tvqd_call *call)
{
	const char *name = tvqd_str(&call->rq.args, TVQD_NAME);
	struct json_object *result, *list;
	uint64_t last = tvqd_num(&call->rq.args, TVQD_FROM), id;
	struct tvq_device_info info;

	if (name) {
		show_one_owned(d, call, name);
		return;
	}
	result = json_object_new_object();
	list = json_object_new_object();
	id = tvq_device_before(d->device, last ? last : UINT64_MAX);
	for (unsigned int n = 0; id && n < PAGE; n++) {
		char number[24];

		tvq_device_info(d->device, id, &info);
		snprintf(number, sizeof(number), "%llu", (unsigned long long)id);
		json_object_object_add(list, number, show_owned(&info, false));
		last = id;
		id = tvq_device_before(d->device, last);
	}
	json_object_object_add(result, "dev", list);
	if (id)
		tvqd_add_num(result, "next", last);
	tvqd_reply(call, result);
}
