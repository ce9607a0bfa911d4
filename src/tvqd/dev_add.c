/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dev add. The wire says OK or ERR and no more, so what a request asks for is compared with what
 * the management device says it has (TYPE_GET) before CREATE, and a CREATE that fails all the same
 * is explained afterwards, from the pool and from AVAIL_RES: the good case pays for neither.
 *
 *   space_new -> CREATE -> FEAT DEVICE_GET, VQ_SIZE GET -> its port -> presenter -> answer
 *
 * A step that fails undoes the ones before it.
 */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <present/vhost_user.h>

#include "json.h"
#include "mgmt.h"
#include "nettext.h"
#include "ports.h"
#include "tvqd.h"

struct add {
	struct tvqd_mgmt *m;
	struct tvqd_call *call;
	struct tvqd_dev *dev;
	struct tvq_create create;
	union tvqd_dev_config config;
	uint8_t mac[6];
	struct tvqd_port_change change;
	struct tvq_switch_op op;
	struct tvq_port *port; /* until the op has run */
	struct tvqd_mac_owner mac_owner;
	struct tvq_done step;
	struct tvqd_removal removal;
	struct tvqd_avail avail;
	int err;
	char why[TVQD_ERR_LEN];
};

/* Ends in failure, once the device is no more. */
static void add_failed(struct add *a)
{
	tvqd_reply_err(a->call, a->err, "%s", a->why);
	free(a);
}

static void add_forget(struct add *a)
{
	struct tvqd_mgmt *m = a->m;

	m->bus->ops->space_free(m->bus, a->dev->asid);
	tvqd_devices_remove(&m->d->devices, a->dev);
	add_failed(a);
}

static void removed(struct tvqd_removal *r, int err)
{
	struct add *a = (struct add *)((char *)r - offsetof(struct add, removal));

	/* A device that cannot be destroyed stays in the list: it exists. */
	(void)err;
	add_failed(a);
}

static void add_undo(struct add *a)
{
	a->dev->state = TVQD_DEV_LIVE;
	a->removal.done = removed;
	tvqd_dev_remove(&a->removal, a->dev);
}

static void say_out_of_fds(struct add *a)
{
	struct rlimit rl = { 0 };

	getrlimit(RLIMIT_NOFILE, &rl);
	snprintf(a->why, sizeof(a->why),
		 "no file descriptor is left for the socket of '%s': %u devices are presented, "
		 "each needs 1, and "
		 "2 + 2 per queue while a VM has it; the limit is %llu (RLIMIT_NOFILE): raise it "
		 "(LimitNOFILE= of "
		 "the service, ulimit -Hn) and start tvqd again",
		 a->dev->name, a->m->d->devices.presented, (unsigned long long)rl.rlim_cur);
}

/* The front end asks for it: a machine has moved here. */
static void announce(void *ctx)
{
	struct tvqd_dev *dev = ctx;

	tvq_device_announce(dev->mgmt->device, dev->device_id);
}

static int add_present(struct add *a)
{
	const char *path = tvqd_str(&a->call->rq.args, TVQD_VHOST_USER);
	struct tvqd_dev *dev = a->dev;
	struct tvq_vhost_user_cfg cfg = {
		.name = dev->name,
		.path = path,
		.device_id = dev->device_id,
		.virtio_device_id = dev->class->virtio_device_id,
		.asid = dev->asid,
		.features = dev->features,
		.num_queues = dev->num_queues,
		.max_queue_size = dev->max_queue_size,
		.announce = a->m->where->role & TVQD_OWNER ? announce : NULL,
		.announce_ctx = dev,
	};

	if (!path)
		return 0;
	dev->vhost_user = tvq_vhost_user_new(a->m->client, &cfg, a->why);
	if (dev->vhost_user) {
		a->m->d->devices.presented++;
		return 0;
	}
	a->err = errno ? -errno : -EIO;
	if (a->err == -EMFILE || a->err == -ENFILE)
		say_out_of_fds(a);
	return a->err;
}

/* The last step: the device is as it was asked for. */
static void add_show(struct add *a)
{
	struct json_object *result;
	char mac[TVQD_MAC_LEN];

	if (add_present(a) < 0) {
		add_undo(a);
		return;
	}
	a->dev->state = TVQD_DEV_LIVE;
	result = json_object_new_object();
	tvqd_add_num(result, "device_id", a->dev->device_id);
	tvqd_mac_text(a->mac, mac);
	/* Zero where the device does not offer to tell it. */
	if (tvqd_mac_num(a->mac))
		tvqd_add_str(result, "mac", mac);
	tvqd_reply(a->call, result);
	free(a);
}

static void change_run(struct tvq_switch_op *op)
{
	struct add *a = (struct add *)((char *)op - offsetof(struct add, op));

	a->err = tvqd_port_apply(a->port, &a->change);
}

static void change_done(struct tvq_switch_op *op)
{
	struct add *a = (struct add *)((char *)op - offsetof(struct add, op));

	if (!a->err) {
		add_show(a);
		return;
	}
	snprintf(a->why, sizeof(a->why), "the port of '%s': %s", a->dev->name, strerror(-a->err));
	add_undo(a);
}

/* Before anybody can use it. */
static void add_change(struct add *a)
{
	a->port = tvq_device_port(a->m->device, a->dev->device_id);
	if (!a->port) {
		a->err = -ENODEV;
		snprintf(a->why, sizeof(a->why), "'%s' has no port", a->dev->name);
		add_undo(a);
		return;
	}
	a->op.run = change_run;
	a->op.done = change_done;
	tvq_switch_run(tvqd_switch(a->m->d), &a->op);
}

static void add_described(struct tvq_done *step, int err)
{
	struct add *a = (struct add *)((char *)step - offsetof(struct add, step));
	const struct tvqd_class *class = a->dev->class;

	if (err) {
		a->err = err;
		snprintf(a->why, sizeof(a->why), "%s answers %s of the new device by an error",
			 a->m->name, tvq_client_failed(a->m->client));
		add_undo(a);
		return;
	}
	a->dev->num_queues = class->ops->num_queues(a->dev->features, a->dev->num_asked);
	if (a->change.have)
		add_change(a);
	else
		add_show(a);
}

/* Nothing in the pool explains it: is there room at all? */
static void add_avail_known(struct tvqd_avail *av, int err)
{
	struct add *a = (struct add *)((char *)av - offsetof(struct add, avail));

	if (!err && !av->res.num_avail_vdev)
		snprintf(a->why, sizeof(a->why),
			 "%s has no room for '%s': %u devices live; dev del one, or start %s with "
			 "higher --max-devices and --max-vqs",
			 a->m->name, a->dev->name, a->m->d->devices.n - 1, a->m->where->owner);
	else if (!err && av->res.num_avail_vqs < a->dev->num_queues)
		snprintf(a->why, sizeof(a->why),
			 "%s has %u virtqueues left, '%s' needs %u: start %s with a higher "
			 "--max-vqs",
			 a->m->name, av->res.num_avail_vqs, a->dev->name, a->dev->num_queues,
			 a->m->where->owner);
	add_forget(a);
}

/* Has another port the address? (TQ-140) */
static void mac_known(struct tvqd_mac_owner *o, const char *owner)
{
	struct add *a = (struct add *)((char *)o - offsetof(struct add, mac_owner));
	char mac[TVQD_MAC_LEN];

	if (!owner) {
		tvqd_avail_get(a->m, &a->avail, add_avail_known);
		return;
	}
	tvqd_mac_text(o->mac, mac);
	a->err = -EEXIST;
	snprintf(a->why, sizeof(a->why), "mac %s: it is the address of '%s'", mac, owner);
	add_forget(a);
}

static void add_explain(struct add *a, int err)
{
	struct tvqd_mgmt *m = a->m;

	if (err != -EIO) {
		a->err = err;
		snprintf(a->why, sizeof(a->why), "%s did not answer for '%s': %s", m->name,
			 a->dev->name, strerror(-err));
		add_forget(a);
		return;
	}
	a->err = m->where->explain(m, a->dev->class, &a->call->rq.args, a->why);
	if (a->err == -EINVAL)
		add_forget(a);
	else if (m->device && tvqd_has(&a->call->rq.args, TVQD_MAC))
		tvqd_mac_owner(m->d, &a->mac_owner, a->config.net.mac, mac_known);
	else
		tvqd_avail_get(m, &a->avail, add_avail_known);
}

static void add_created(struct tvq_create *cr)
{
	struct add *a = (struct add *)((char *)cr - offsetof(struct add, create));
	struct tvq_seq *seq;

	if (cr->err) {
		add_explain(a, cr->err);
		return;
	}
	tvqd_devices_set_id(&a->m->d->devices, a->dev, cr->device_id);
	a->step.fn = add_described;
	seq = tvq_seq_new(a->m->client, cr->device_id);
	if (!seq) {
		add_described(&a->step, -ENOMEM);
		return;
	}
	tvq_seq_features_get(seq, &a->dev->features);
	tvq_seq_vq_size_get(seq, 0, &a->dev->max_queue_size);
	if (a->dev->class->virtio_device_id == TVQ_TYPE_NET)
		tvq_seq_config_get(seq, 0, sizeof(a->mac), a->mac);
	tvq_seq_run(seq, &a->step);
}

/* The one that it is to be created on; NULL and *ret: a sentence in err. */
static struct tvqd_mgmt *check_mgmt(struct tvqd *d, const struct tvqd_args *args, char *err,
				    int *ret)
{
	const char *name = tvqd_str(args, TVQD_MGMTDEV);
	struct tvqd_mgmt *m = tvqd_mgmt_find(d, name);

	if (!m) {
		*ret = -EINVAL;
		snprintf(err, TVQD_ERR_LEN, "mgmtdev '%s': %s", name, tvqd_mgmt_names(d));
	} else if (!(m->where->role & TVQD_DRIVER)) {
		*ret = -EOPNOTSUPP;
		m->where->refuse(m, "dev add", err);
		m = NULL;
	}
	return m;
}

static struct tvqd_class *check_add(struct tvqd_mgmt *m, const struct tvqd_args *args, char *err)
{
	struct tvqd_class *class = tvqd_class_find(m, tvqd_str(args, TVQD_CLASS), err);

	if (!class)
		return NULL;
	if (tvqd_class_check_words(class, args, err) < 0 ||
	    class->ops->check(class, args, err) < 0 ||
	    tvqd_class_check_features(class, args, err) < 0)
		return NULL;
	return class;
}

/* Rules of a port are its owner's to set. */
static int check_change(struct tvqd_mgmt *m, const struct tvqd_args *args,
			struct tvqd_port_change *c, char *err)
{
	if (tvqd_port_change(args, c, err) < 0)
		return -EINVAL;
	if (!c->have || m->where->role & TVQD_OWNER)
		return 0;
	snprintf(err, TVQD_ERR_LEN,
		 "%s: the ports' rules are those of the tvqd that serves %s at %s: dev set there",
		 tvqd_key_name((enum tvqd_key)__builtin_ctzll(c->have)), m->name, m->d->cfg.socket);
	return -EOPNOTSUPP;
}

static struct add *new_add(struct tvqd_mgmt *m, struct tvqd_call *call, struct tvqd_class *class)
{
	const struct tvqd_args *args = &call->rq.args;
	const char *name = tvqd_str(args, TVQD_NAME);
	struct add *a = calloc(1, sizeof(*a));
	int err = -ENOMEM;

	if (!a) {
		tvqd_reply_err(call, -ENOMEM, "out of memory");
		return NULL;
	}
	a->m = m;
	a->call = call;
	a->dev = tvqd_devices_add(&m->d->devices, name, &err);
	if (!a->dev) {
		tvqd_reply_err(call, err, "out of memory");
		free(a);
		return NULL;
	}
	a->dev->mgmt = m;
	a->dev->class = class;
	err = m->bus->ops->space_new(m->bus, &a->dev->asid);
	if (!err)
		return a;
	tvqd_devices_remove(&m->d->devices, a->dev);
	tvqd_reply_err(call, err, "no address space is left for '%s': %u devices live", name,
		       m->d->devices.n);
	free(a);
	return NULL;
}

void tvqd_dev_add(struct tvqd *d, struct tvqd_call *call)
{
	const struct tvqd_args *args = &call->rq.args;
	struct tvqd_port_change change;
	struct tvqd_class *class;
	char err[TVQD_ERR_LEN];
	struct add *a;
	int ret = -EINVAL;
	struct tvqd_mgmt *m = check_mgmt(d, args, err, &ret);

	class = m ? check_add(m, args, err) : NULL;
	if (class)
		ret = check_change(m, args, &change, err);
	if (!ret)
		ret = tvqd_name_free(d, tvqd_str(args, TVQD_NAME), false, err);
	if (ret) {
		tvqd_reply_err(call, ret, "%s", err);
		return;
	}
	a = new_add(m, call, class);
	if (!a)
		return;
	a->change = change;
	a->create.config_len = class->ops->fill(a->dev, args, &a->config);
	a->create.virtio_device_id = class->virtio_device_id;
	a->create.asid = a->dev->asid;
	a->create.features = tvqd_class_features(class, args);
	a->create.config = &a->config;
	a->create.done = add_created;
	/* What it will need, for the explanation of a failure. */
	a->dev->num_queues =
		class->ops->num_queues(tvqd_class_offered(class, args), a->dev->num_asked);
	tvq_client_create(m->client, &a->create);
}
