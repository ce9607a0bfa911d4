/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Resources of the management device, and CREATE (specification, 4.1 and 4.2).
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include <tvq/wire.h>

#include "client.h"

static int mgmt_get(struct tvq_client *c, enum tvq_command_id id, const void *out, void *in)
{
	const struct tvq_command *def = &tvq_commands[id];
	struct tvq_cmd cmd = {
		.class = def->class,
		.command = def->command,
		.out = out,
		.out_len = def->out_len,
		.in = in,
		.in_len = def->in_len,
	};
	int err = tvq_client_call(c, &cmd);

	return !err && cmd.in_got != def->in_len ? -EPROTO : err;
}

int tvq_client_avail_res(struct tvq_client *c, struct tvq_avail_res *res)
{
	struct mgmt_dev_avail_res v;
	int err = mgmt_get(c, TVQ_COMMAND_avail_res_get, NULL, &v);

	if (err)
		return err;
	*res = (struct tvq_avail_res){
		.num_avail_vqs = le16toh(v.num_avail_vqs),
		.min_vdev_vqs = le16toh(v.min_vdev_vqs),
		.max_vdev_vqs = le16toh(v.max_vdev_vqs),
		.num_avail_vdev = le16toh(v.num_avail_vdev),
	};
	return 0;
}

int tvq_client_type(struct tvq_client *c, uint32_t virtio_device_id, struct tvq_type_info *info)
{
	struct virtio_transportq_ctrl_type v;
	__le32 type = htole32(virtio_device_id);
	int err = mgmt_get(c, TVQ_COMMAND_type_get, &type, &v);

	if (err)
		return err;
	*info = (struct tvq_type_info){
		.features = le64toh(v.features),
		.default_features = le64toh(v.default_features),
		.max_vqs = le16toh(v.max_vqs),
		.max_queue_size = le16toh(v.max_queue_size),
	};
	return 0;
}

static void create_done(struct tvq_cmd *cmd)
{
	struct tvq_create *cr =
		(struct tvq_create *)((char *)cmd - offsetof(struct tvq_create, cmd));

	cr->err = cmd->err;
	if (!cr->err && (cmd->in_got != sizeof(cr->answer) || !cr->answer))
		cr->err = -EPROTO;
	cr->device_id = cr->err ? 0 : le64toh(cr->answer);
	if (cr->done)
		cr->done(cr);
}

/* -EINVAL: a dev_config that no type has. */
static int encode(struct tvq_create *cr)
{
	const struct tvq_command *def = &tvq_commands[TVQ_COMMAND_create];
	struct virtio_transportq_ctrl_vdev_attribute v = {
		.virtio_device_id = htole32(cr->virtio_device_id),
		.asid = htole32(cr->asid),
		.device_features = htole64(cr->features),
	};

	if (cr->config_len > sizeof(cr->out) - sizeof(v))
		return -EINVAL;
	memcpy(cr->out, &v, sizeof(v));
	if (cr->config_len)
		memcpy(cr->out + sizeof(v), cr->config, cr->config_len);
	cr->answer = 0;
	cr->cmd = (struct tvq_cmd){
		.class = def->class,
		.command = def->command,
		.out = cr->out,
		.out_len = sizeof(v) + cr->config_len,
		.in = &cr->answer,
		.in_len = sizeof(cr->answer),
		.done = create_done,
	};
	return 0;
}

void tvq_client_create(struct tvq_client *c, struct tvq_create *cr)
{
	int err = encode(cr);

	if (!err) {
		tvq_client_submit_held(c, &cr->cmd);
		return;
	}
	cr->err = err;
	cr->device_id = 0;
	if (cr->done)
		cr->done(cr);
}

int tvq_client_create_call(struct tvq_client *c, struct tvq_create *cr)
{
	void (*done)(struct tvq_create * cr) = cr->done;

	cr->done = NULL;
	cr->err = encode(cr);
	if (!cr->err) {
		tvq_client_call(c, &cr->cmd);
		create_done(&cr->cmd);
	}
	cr->done = done;
	return cr->err;
}
