/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dev vstats show. Which queues there are, and what for, depends on what the driver has accepted:
 * that is asked first.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/virtio_config.h>

#include "class.h"
#include "json.h"
#include "tvqd.h"

struct vstats_show {
	struct tvqd_mgmt *mgmt;
	struct tvqd_call *call;
	struct tvq_done step;
	const struct tvqd_class *class;
	uint64_t device_id;
	uint64_t features; /* accepted, or offered where none are yet */
	uint64_t driver_features;
	uint8_t status;
	uint16_t num_asked, first, n;
	char name[TVQD_NAME_MAX + 1];
	struct virtio_transportq_ctrl_vdev_vq_stats st[];
};

static struct json_object *show_vq(const struct vstats_show *s, uint16_t i)
{
	const struct virtio_transportq_ctrl_vdev_vq_stats *st = &s->st[i];
	struct json_object *o = json_object_new_object();

	tvqd_add_num(o, "qidx", s->first + i);
	s->class->ops->show_queue(o, s->features, s->num_asked, (uint16_t)(s->first + i), st);
	tvqd_add_num(o, "bytes_read", le64toh(st->bytes_read));
	tvqd_add_num(o, "bytes_written", le64toh(st->bytes_written));
	tvqd_add_num(o, "errors", le64toh(st->errors));
	tvqd_add_num(o, "drops", le64toh(st->drops));
	return o;
}

static void failed(struct vstats_show *s, int err)
{
	tvqd_reply_err(s->call, err,
		       "%s answers for '%s' by an error: it is being reset or deleted, or has no "
		       "statistics",
		       s->mgmt->name, s->name);
	free(s);
}

static struct vstats_show *vstats_of(struct tvq_done *step)
{
	return (struct vstats_show *)((char *)step - offsetof(struct vstats_show, step));
}

static void stats_got(struct tvq_done *step, int err)
{
	struct vstats_show *s = vstats_of(step);
	struct json_object *list;

	if (err) {
		failed(s, err);
		return;
	}
	list = json_object_new_array();
	for (uint16_t i = 0; i < s->n; i++)
		json_object_array_add(list, show_vq(s, i));
	tvqd_reply(s->call, tvqd_one("vstats", s->name, list));
	free(s);
}

/* Now the queues are known. */
static void features_got(struct tvq_done *step, int err)
{
	struct vstats_show *s = vstats_of(step);
	const struct tvqd_args *args = &s->call->rq.args;
	struct tvq_seq *seq;
	uint16_t n;

	if (err) {
		failed(s, err);
		return;
	}
	if (s->status & VIRTIO_CONFIG_S_FEATURES_OK)
		s->features &= s->driver_features;
	n = s->class->ops->num_queues(s->features, s->num_asked);
	s->first = (uint16_t)tvqd_num(args, TVQD_QIDX);
	if (s->first >= n) {
		tvqd_reply_err(s->call, -EINVAL, "qidx %u: '%s' has queues 0 to %u", s->first,
			       s->name, n - 1u);
		free(s);
		return;
	}
	s->n = tvqd_has(args, TVQD_QIDX) ? 1 : n;
	seq = tvq_seq_new(s->mgmt->client, s->device_id);
	if (!seq) {
		failed(s, -ENOMEM);
		return;
	}
	s->step.fn = stats_got;
	for (uint16_t i = 0; i < s->n; i++)
		tvq_seq_vq_stats(seq, (uint16_t)(s->first + i), &s->st[i]);
	tvq_seq_run(seq, &s->step);
}

void tvqd_dev_vstats_show(struct tvqd *d, struct tvqd_call *call)
{
	struct tvqd_dev *dev = tvqd_dev_live(d, call);
	struct vstats_show *s;
	struct tvq_seq *seq;

	if (!dev)
		return;
	s = calloc(1, sizeof(*s) + dev->num_queues * sizeof(s->st[0]));
	seq = s ? tvq_seq_new(dev->mgmt->client, dev->device_id) : NULL;
	if (!seq) {
		free(s);
		tvqd_reply_err(call, -ENOMEM, "out of memory");
		return;
	}
	s->mgmt = dev->mgmt;
	s->call = call;
	s->class = dev->class;
	s->device_id = dev->device_id;
	s->features = dev->features;
	s->num_asked = dev->num_asked;
	memcpy(s->name, dev->name, strlen(dev->name) + 1);
	s->step.fn = features_got;
	tvq_seq_driver_features_get(seq, &s->driver_features);
	tvq_seq_status_get(seq, &s->status);
	tvq_seq_run(seq, &s->step);
}
