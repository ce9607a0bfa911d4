/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dev show. A listing is bounded in what one request walks and returns: "next" in the answer is the
 * "from" of the request that goes on. Devices that have names come first, then those with numbers.
 */
#include <stdio.h>

#include <present/vhost_user.h>

#include "json.h"
#include "tvqd.h"

#define PAGE	256
/* Where "from" goes on from slots, which are below it, to numbers. */
#define NUMBERS (1ull << 32)

static void show_volume(struct json_object *o, const char *volume)
{
	if (volume[0])
		tvqd_add_str(o, "volume", volume);
}

/* Its owner knows which it has got where none was named. */
static void show_volume_of(struct json_object *o, const struct tvqd_dev *dev)
{
	struct tvq_device_info info;

	if (dev->mgmt->device && !tvq_device_info(dev->mgmt->device, dev->device_id, &info))
		show_volume(o, info.volume);
	else
		show_volume(o, dev->volume);
}

static struct json_object *show_named(const struct tvqd_dev *dev)
{
	struct json_object *o = json_object_new_object();
	struct tvq_vhost_user_info info;

	tvqd_add_str(o, "type", dev->class->type);
	tvqd_add_str(o, "mgmtdev", dev->mgmt->name);
	tvqd_add_num(o, "vendor_id", TVQD_VENDOR_ID);
	tvqd_add_num(o, "max_vqs", dev->num_queues);
	tvqd_add_num(o, "max_vq_size", dev->max_queue_size);
	tvqd_add_num(o, "device_id", dev->device_id);
	show_volume_of(o, dev);
	if (dev->vhost_user) {
		tvq_vhost_user_info(dev->vhost_user, &info);
		tvqd_add_str(o, "vhost_user", info.path);
		tvqd_add_bool(o, "connected", info.connected);
		tvqd_add_bool(o, "running", info.running);
	}
	return o;
}

/* all: with the lists of features, which are for one device. */
static struct json_object *show_numbered(const struct tvqd_mgmt *m,
					 const struct tvq_device_info *info, bool all)
{
	struct json_object *o = json_object_new_object();

	tvqd_add_str(o, "type", info->type);
	tvqd_add_str(o, "mgmtdev", m->name);
	tvqd_add_num(o, "vendor_id", TVQD_VENDOR_ID);
	tvqd_add_num(o, "max_vqs", info->n_vqs);
	tvqd_add_num(o, "device_id", info->id);
	show_volume(o, info->volume);
	tvqd_add_num(o, "status", info->status);
	if (!all)
		return o;
	json_object_object_add(o, "dev_features",
			       tvqd_feature_names(info->features, info->virtio_device_id));
	json_object_object_add(o, "negotiated_features",
			       tvqd_feature_names(info->driver_features, info->virtio_device_id));
	return o;
}

static void show_one(struct tvqd *d, struct tvqd_call *call, const char *name)
{
	struct tvq_device_info info;
	const struct tvqd_mgmt *m = tvqd_dev_numbered(d, name, &info);
	const struct tvqd_dev *dev;

	if (m) {
		tvqd_reply(call, tvqd_one("dev", name, show_numbered(m, &info, true)));
		return;
	}
	dev = tvqd_dev_live(d, call);
	if (dev)
		tvqd_reply(call, tvqd_one("dev", name, show_named(dev)));
}

struct listing {
	struct json_object *list;
	uint64_t from, next; /* 0: the beginning, and the end */
	unsigned int n;
};

/* Those with names, by their slots. */
static void list_named(const struct tvqd_devices *ds, struct listing *ls)
{
	uint32_t slot = (uint32_t)ls->from;
	struct tvqd_dev *dev;

	for (; ls->n < PAGE; ls->n++, slot++) {
		dev = tvqd_devices_next(ds, &slot);
		if (!dev)
			break;
		json_object_object_add(ls->list, dev->name, show_named(dev));
	}
	if (slot < ds->n_slots)
		ls->next = slot;
}

/* Those with numbers, the latest first. */
static void list_numbered(const struct tvqd_mgmt *m, struct listing *ls)
{
	uint64_t last = ls->from > NUMBERS ? ls->from - NUMBERS : UINT64_MAX;
	uint64_t id = tvq_device_before(m->device, last);
	struct tvq_device_info info;
	char number[24];

	for (; id && ls->n < PAGE; ls->n++) {
		tvq_device_info(m->device, id, &info);
		snprintf(number, sizeof(number), "%llu", (unsigned long long)id);
		json_object_object_add(ls->list, number, show_numbered(m, &info, false));
		last = id;
		id = tvq_device_before(m->device, last);
	}
	if (id)
		ls->next = NUMBERS + (last == UINT64_MAX ? 0 : last);
}

void tvqd_dev_show(struct tvqd *d, struct tvqd_call *call)
{
	const char *name = tvqd_str(&call->rq.args, TVQD_NAME);
	struct listing ls = { .from = tvqd_num(&call->rq.args, TVQD_FROM) };
	const struct tvqd_mgmt *numbered = tvqd_numbered(d);
	struct json_object *result;

	if (name) {
		show_one(d, call, name);
		return;
	}
	ls.list = json_object_new_object();
	if (ls.from < NUMBERS)
		list_named(&d->devices, &ls);
	if (!ls.next && numbered)
		list_numbered(numbered, &ls);
	result = json_object_new_object();
	json_object_object_add(result, "dev", ls.list);
	if (ls.next)
		tvqd_add_num(result, "next", ls.next);
	tvqd_reply(call, result);
}
