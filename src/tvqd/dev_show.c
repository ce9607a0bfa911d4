/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dev show, dev config show, dev vstats show. A listing is bounded in what one request walks and
 * returns: "next" in the answer is the "from" of the request that goes on.
 */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/virtio_blk.h>

#include <present/vhost_user.h>
#include <tvq/wire.h>

#include "mgmt.h"
#include "tvqd.h"

#define PAGE 256

static void add_num(struct json_object *o, const char *name, uint64_t v)
{
	json_object_object_add(o, name, json_object_new_uint64(v));
}

static void add_str(struct json_object *o, const char *name, const char *s)
{
	json_object_object_add(o, name, json_object_new_string(s));
}

static void add_bool(struct json_object *o, const char *name, bool v)
{
	json_object_object_add(o, name, json_object_new_boolean(v));
}

/* {SECTION: {NAME: value}} */
static void reply_one(struct tvqd_call *call, const char *section, const char *name,
		      struct json_object *value)
{
	struct json_object *result = json_object_new_object(), *o = json_object_new_object();

	json_object_object_add(o, name, value);
	json_object_object_add(result, section, o);
	tvqd_reply(call, result);
}

static struct json_object *show_named(const struct tvqd_dev *dev)
{
	struct json_object *o = json_object_new_object();
	struct tvq_vhost_user_info info;

	add_str(o, "type", dev->class->type);
	add_str(o, "mgmtdev", TVQD_MGMT0);
	add_num(o, "vendor_id", TVQD_VENDOR_ID);
	add_num(o, "max_vqs", dev->num_queues);
	add_num(o, "max_vq_size", dev->max_queue_size);
	add_num(o, "device_id", dev->device_id);
	if (dev->volume[0])
		add_str(o, "volume", dev->volume);
	if (dev->vhost_user) {
		tvq_vhost_user_info(dev->vhost_user, &info);
		add_str(o, "vhost_user", info.path);
		add_bool(o, "connected", info.connected);
		add_bool(o, "running", info.running);
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
			reply_one(call, "dev", dev->name, show_named(dev));
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
		add_num(result, "next", slot);
	tvqd_reply(call, result);
}

/* The owner knows numbers, not names. */

/* all: with the lists of features, which are for one device. */
static struct json_object *show_owned(const struct tvq_device_info *info, bool all)
{
	struct json_object *o = json_object_new_object();

	add_str(o, "type", info->type);
	add_str(o, "mgmtdev", TVQD_MGMT0);
	add_num(o, "vendor_id", TVQD_VENDOR_ID);
	add_num(o, "max_vqs", info->n_vqs);
	add_num(o, "device_id", info->id);
	if (info->volume[0])
		add_str(o, "volume", info->volume);
	add_num(o, "status", info->status);
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
		reply_one(call, "dev", name, show_owned(&info, true));
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
		add_num(result, "next", last);
	tvqd_reply(call, result);
}

/* dev config show */

struct field {
	const char *name;
	uint8_t offset, size;
	int8_t feature; /* the field counts with it only; -1: always */
};

#define FIELD(member, feature)                                                                     \
	{                                                                                          \
#member, offsetof(struct virtio_blk_config, member),                               \
			sizeof(((struct virtio_blk_config *)0)->member), feature                   \
	}

static const struct field blk_fields[] = {
	FIELD(capacity, -1),
	FIELD(size_max, VIRTIO_BLK_F_SIZE_MAX),
	FIELD(seg_max, VIRTIO_BLK_F_SEG_MAX),
	FIELD(blk_size, VIRTIO_BLK_F_BLK_SIZE),
	FIELD(physical_block_exp, VIRTIO_BLK_F_TOPOLOGY),
	FIELD(alignment_offset, VIRTIO_BLK_F_TOPOLOGY),
	FIELD(min_io_size, VIRTIO_BLK_F_TOPOLOGY),
	FIELD(opt_io_size, VIRTIO_BLK_F_TOPOLOGY),
	FIELD(wce, VIRTIO_BLK_F_CONFIG_WCE),
	FIELD(num_queues, VIRTIO_BLK_F_MQ),
	FIELD(max_discard_sectors, VIRTIO_BLK_F_DISCARD),
	FIELD(max_discard_seg, VIRTIO_BLK_F_DISCARD),
	FIELD(discard_sector_alignment, VIRTIO_BLK_F_DISCARD),
	FIELD(max_write_zeroes_sectors, VIRTIO_BLK_F_WRITE_ZEROES),
	FIELD(max_write_zeroes_seg, VIRTIO_BLK_F_WRITE_ZEROES),
	FIELD(write_zeroes_may_unmap, VIRTIO_BLK_F_WRITE_ZEROES),
};

#define CONFIG_BYTES (offsetof(struct virtio_blk_config, write_zeroes_may_unmap) + 1)

struct config_show {
	struct tvqd_call *call;
	struct tvq_cmd config_get, driver_get, status_get;
	unsigned int pending;
	int err;
	struct virtio_transportq_ctrl_vdev_config_get range;
	uint8_t config[CONFIG_BYTES];
	uint8_t status;
	__le64 driver_features;
	uint64_t features;
	uint32_t type;
	char name[TVQD_NAME_MAX + 1];
};

static uint64_t field_value(const uint8_t *config, const struct field *f)
{
	uint64_t v = 0;

	memcpy(&v, config + f->offset, f->size);
	return le64toh(v);
}

static struct json_object *show_config(const struct config_show *s)
{
	struct json_object *o = json_object_new_object();

	for (unsigned int i = 0; i < sizeof(blk_fields) / sizeof(blk_fields[0]); i++) {
		const struct field *f = &blk_fields[i];

		if (f->feature < 0 || s->features >> f->feature & 1)
			add_num(o, f->name, field_value(s->config, f));
	}
	add_bool(o, "readonly", s->features >> VIRTIO_BLK_F_RO & 1);
	add_num(o, "status", s->status);
	json_object_object_add(o, "dev_features", tvqd_feature_names(s->features, s->type));
	json_object_object_add(o, "negotiated_features",
			       tvqd_feature_names(le64toh(s->driver_features), s->type));
	return o;
}

static void config_part(struct config_show *s, int err)
{
	if (err && !s->err)
		s->err = err;
	if (--s->pending)
		return;
	if (s->err)
		tvqd_reply_err(s->call, s->err,
			       "%s answers for '%s' by an error: it is being reset or deleted",
			       TVQD_MGMT0, s->name);
	else
		reply_one(s->call, "config", s->name, show_config(s));
	free(s);
}

static void config_got(struct tvq_cmd *cmd)
{
	config_part((struct config_show *)((char *)cmd - offsetof(struct config_show, config_get)),
		    cmd->err);
}

static void driver_got(struct tvq_cmd *cmd)
{
	config_part((struct config_show *)((char *)cmd - offsetof(struct config_show, driver_get)),
		    cmd->err);
}

static void status_got(struct tvq_cmd *cmd)
{
	config_part((struct config_show *)((char *)cmd - offsetof(struct config_show, status_get)),
		    cmd->err);
}

static void prepare(struct tvq_cmd *cmd, enum tvq_command_id id, const struct tvqd_dev *dev,
		    void *in, uint32_t in_len, void (*done)(struct tvq_cmd *cmd))
{
	*cmd = (struct tvq_cmd){
		.device_id = dev->device_id,
		.class = tvq_commands[id].class,
		.command = tvq_commands[id].command,
		.in = in,
		.in_len = in_len,
		.done = done,
	};
}

void tvqd_dev_config_show(struct tvqd *d, struct tvqd_call *call)
{
	struct tvqd_dev *dev = tvqd_dev_live(d, call);
	struct config_show *s;

	if (!dev)
		return;
	s = calloc(1, sizeof(*s));
	if (!s) {
		tvqd_reply_err(call, -ENOMEM, "out of memory");
		return;
	}
	s->call = call;
	s->features = dev->features;
	s->type = dev->class->virtio_device_id;
	memcpy(s->name, dev->name, strlen(dev->name) + 1);
	s->range.size = htole32(CONFIG_BYTES);
	prepare(&s->config_get, TVQ_COMMAND_config_get, dev, s->config, sizeof(s->config),
		config_got);
	s->config_get.out = &s->range;
	s->config_get.out_len = sizeof(s->range);
	prepare(&s->driver_get, TVQ_COMMAND_feat_driver_get, dev, &s->driver_features,
		sizeof(s->driver_features), driver_got);
	prepare(&s->status_get, TVQ_COMMAND_status_get, dev, &s->status, sizeof(s->status),
		status_got);
	s->pending = 3;
	tvq_client_submit(d->client, &s->config_get);
	tvq_client_submit(d->client, &s->driver_get);
	tvq_client_submit(d->client, &s->status_get);
}

/* dev vstats show */

struct vstats_show {
	struct tvqd_call *call;
	struct tvq_done step;
	uint16_t first, n;
	char name[TVQD_NAME_MAX + 1];
	struct virtio_transportq_ctrl_vdev_vq_stats st[];
};

static struct json_object *show_vq(uint16_t qidx,
				   const struct virtio_transportq_ctrl_vdev_vq_stats *st)
{
	struct json_object *o = json_object_new_object();

	add_num(o, "qidx", qidx);
	add_str(o, "queue_type", "request");
	add_num(o, "notifications", le64toh(st->notifications));
	add_num(o, "interrupts", le64toh(st->interrupts));
	add_num(o, "taken", le64toh(st->taken));
	add_num(o, "used", le64toh(st->used));
	add_num(o, "bytes_read", le64toh(st->bytes_read));
	add_num(o, "bytes_written", le64toh(st->bytes_written));
	add_num(o, "errors", le64toh(st->errors));
	add_num(o, "drops", le64toh(st->drops));
	return o;
}

static void vstats_done(struct tvq_done *step, int err)
{
	struct vstats_show *s =
		(struct vstats_show *)((char *)step - offsetof(struct vstats_show, step));
	struct json_object *list;

	if (err) {
		tvqd_reply_err(s->call, err,
			       "%s answers VQ_STATS of '%s' by an error: it is being reset or "
			       "deleted, or has no statistics",
			       TVQD_MGMT0, s->name);
	} else {
		list = json_object_new_array();
		for (uint16_t i = 0; i < s->n; i++)
			json_object_array_add(list, show_vq((uint16_t)(s->first + i), &s->st[i]));
		reply_one(s->call, "vstats", s->name, list);
	}
	free(s);
}

void tvqd_dev_vstats_show(struct tvqd *d, struct tvqd_call *call)
{
	const struct tvqd_args *args = &call->rq.args;
	struct tvqd_dev *dev = tvqd_dev_live(d, call);
	uint16_t first = (uint16_t)tvqd_num(args, TVQD_QIDX), n;
	struct vstats_show *s;
	struct tvq_seq *seq;

	if (!dev)
		return;
	if (first >= dev->num_queues) {
		tvqd_reply_err(call, -EINVAL, "qidx %u: '%s' has queues 0 to %u", first, dev->name,
			       dev->num_queues - 1u);
		return;
	}
	n = tvqd_has(args, TVQD_QIDX) ? 1 : dev->num_queues;
	s = calloc(1, sizeof(*s) + n * sizeof(s->st[0]));
	seq = s ? tvq_seq_new(d->client, dev->device_id) : NULL;
	if (!seq) {
		free(s);
		tvqd_reply_err(call, -ENOMEM, "out of memory");
		return;
	}
	s->call = call;
	s->first = first;
	s->n = n;
	memcpy(s->name, dev->name, strlen(dev->name) + 1);
	s->step.fn = vstats_done;
	for (uint16_t i = 0; i < n; i++)
		tvq_seq_vq_stats(seq, (uint16_t)(first + i), &s->st[i]);
	tvq_seq_run(seq, &s->step);
}
