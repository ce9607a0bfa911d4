/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Taking a device away: presenter -> DESTROY -> address space -> the entry. Each step ends later
 * where it has to wait for I/O; nothing else waits for it meanwhile.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <present/vhost_user.h>

#include "tvqd.h"

static void removal_end(struct tvqd_removal *r, int err)
{
	struct tvqd_mgmt *m = r->dev->mgmt;

	if (err) {
		r->dev->state = TVQD_DEV_LIVE;
	} else {
		m->bus->ops->space_free(m->bus, r->dev->asid);
		tvqd_devices_remove(&m->d->devices, r->dev);
	}
	r->done(r, err);
}

static void destroyed(struct tvq_done *step, int err)
{
	removal_end((struct tvqd_removal *)((char *)step - offsetof(struct tvqd_removal, step)),
		    err);
}

static void destroy_device(struct tvqd_removal *r)
{
	struct tvq_seq *seq = tvq_seq_new(r->dev->mgmt->client, r->dev->device_id);

	if (!seq) {
		removal_end(r, -ENOMEM);
		return;
	}
	r->step.fn = destroyed;
	tvq_seq_destroy_device(seq);
	tvq_seq_run(seq, &r->step);
}

static void unpresented(struct tvq_done *step, int err)
{
	struct tvqd_removal *r =
		(struct tvqd_removal *)((char *)step - offsetof(struct tvqd_removal, step));

	/* Whatever its reset met, DESTROY ends it. */
	(void)err;
	r->dev->mgmt->d->devices.presented--;
	destroy_device(r);
}

void tvqd_dev_remove(struct tvqd_removal *r, struct tvqd_dev *dev)
{
	struct tvq_vhost_user *vhost_user = dev->vhost_user;

	r->dev = dev;
	dev->state = TVQD_DEV_DELETING;
	if (!vhost_user) {
		destroy_device(r);
		return;
	}
	dev->vhost_user = NULL;
	r->step.fn = unpresented;
	tvq_vhost_user_free(vhost_user, &r->step);
}

struct del {
	struct tvqd_removal removal;
	struct tvqd_call *call;
};

static void del_done(struct tvqd_removal *r, int err)
{
	struct del *del = (struct del *)((char *)r - offsetof(struct del, removal));

	if (err)
		tvqd_reply_err(del->call, err, "%s did not destroy '%s': %s", r->dev->mgmt->name,
			       r->dev->name, strerror(-err));
	else
		tvqd_reply(del->call, NULL);
	free(del);
}

void tvqd_dev_del(struct tvqd *d, struct tvqd_call *call)
{
	struct tvqd_dev *dev = tvqd_dev_live(d, call);
	struct del *del;

	if (!dev)
		return;
	del = calloc(1, sizeof(*del));
	if (!del) {
		tvqd_reply_err(call, -ENOMEM, "out of memory");
		return;
	}
	del->call = call;
	del->removal.done = del_done;
	tvqd_dev_remove(&del->removal, dev);
}
