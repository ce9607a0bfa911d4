/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dev add. The wire says OK or ERR and no more, so what a request asks for is compared with what
 * mgmt0 says it has (TYPE_GET) before CREATE, and a CREATE that fails all the same is explained
 * afterwards, from the pool and from AVAIL_RES: the good case pays for neither.
 *
 *   space_new -> CREATE -> FEAT DEVICE_GET, VQ_SIZE GET -> presenter -> answer
 *
 * A step that fails undoes the ones before it.
 */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>

#include <present/vhost_user.h>

#include "mgmt.h"
#include "tvqd.h"

#define BIT(n)		  (1ull << (n))
#define REQUIRED_FEATURES (BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_ACCESS_PLATFORM))

struct add {
	struct tvqd *d;
	struct tvqd_call *call;
	struct tvqd_dev *dev;
	struct tvq_create create;
	struct virtio_transportq_blk_config config;
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
	struct tvqd *d = a->d;

	d->bus->ops->space_free(d->bus, a->dev->asid);
	tvqd_devices_remove(&d->devices, a->dev);
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
	tvqd_dev_remove(a->d, &a->removal, a->dev);
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
		 a->dev->name, a->d->devices.presented, (unsigned long long)rl.rlim_cur);
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
	};

	if (!path)
		return 0;
	dev->vhost_user = tvq_vhost_user_new(a->d->client, &cfg, a->why);
	if (dev->vhost_user) {
		a->d->devices.presented++;
		return 0;
	}
	a->err = errno ? -errno : -EIO;
	if (a->err == -EMFILE || a->err == -ENFILE)
		say_out_of_fds(a);
	return a->err;
}

static void add_described(struct tvq_done *step, int err)
{
	struct add *a = (struct add *)((char *)step - offsetof(struct add, step));
	struct json_object *result;

	if (err) {
		a->err = err;
		snprintf(a->why, sizeof(a->why), "%s answers %s of the new device by an error",
			 TVQD_MGMT0, tvq_client_failed(a->d->client));
		add_undo(a);
		return;
	}
	if (add_present(a) < 0) {
		add_undo(a);
		return;
	}
	a->dev->state = TVQD_DEV_LIVE;
	result = json_object_new_object();
	json_object_object_add(result, "device_id", json_object_new_uint64(a->dev->device_id));
	tvqd_reply(a->call, result);
	free(a);
}

/* Nothing in the pool explains it: is there room at all? */
static void add_avail_known(struct tvqd_avail *av, int err)
{
	struct add *a = (struct add *)((char *)av - offsetof(struct add, avail));

	if (!err && !av->res.num_avail_vdev)
		snprintf(a->why, sizeof(a->why),
			 "%s has no room for '%s': %u devices live; dev del one, or start %s with "
			 "higher --max-devices and --max-vqs",
			 TVQD_MGMT0, a->dev->name, a->d->devices.n - 1, a->d->where->owner);
	else if (!err && av->res.num_avail_vqs < a->dev->num_queues)
		snprintf(a->why, sizeof(a->why),
			 "%s has %u virtqueues left, '%s' needs %u: start %s with a higher "
			 "--max-vqs",
			 TVQD_MGMT0, av->res.num_avail_vqs, a->dev->name, a->dev->num_queues,
			 a->d->where->owner);
	add_forget(a);
}

static void add_explain(struct add *a, int err)
{
	struct tvqd *d = a->d;

	if (err != -EIO) {
		a->err = err;
		snprintf(a->why, sizeof(a->why), "%s did not answer for '%s': %s", TVQD_MGMT0,
			 a->dev->name, strerror(-err));
		add_forget(a);
		return;
	}
	a->err = d->where->explain(d, &a->call->rq.args, a->why);
	if (a->err == -EINVAL)
		add_forget(a);
	else
		tvqd_avail_get(d, &a->avail, add_avail_known);
}

static void add_created(struct tvq_create *cr)
{
	struct add *a = (struct add *)((char *)cr - offsetof(struct add, create));
	struct tvq_seq *seq;

	if (cr->err) {
		add_explain(a, cr->err);
		return;
	}
	a->dev->device_id = cr->device_id;
	a->step.fn = add_described;
	seq = tvq_seq_new(a->d->client, cr->device_id);
	if (!seq) {
		add_described(&a->step, -ENOMEM);
		return;
	}
	tvq_seq_features_get(seq, &a->dev->features);
	tvq_seq_vq_size_get(seq, 0, &a->dev->max_queue_size);
	tvq_seq_run(seq, &a->step);
}

static void fill_config(struct add *a)
{
	const struct tvqd_args *args = &a->call->rq.args;
	const char *volume = tvqd_str(args, TVQD_VOLUME);

	a->config.capacity = htole64(tvqd_num(args, TVQD_CAPACITY) / TVQ_SECTOR_SIZE);
	a->config.blk_size = htole32((uint32_t)tvqd_num(args, TVQD_BLK_SIZE));
	a->config.num_queues = htole16(a->dev->num_queues);
	if (volume) {
		memcpy(a->config.id, volume, strlen(volume));
		memcpy(a->dev->volume, volume, strlen(volume) + 1);
	}
}

/* TQ-051: 0 asks for the default, anything else is exactly what the device offers. */
static uint64_t wanted_features(const struct tvqd_args *args, const struct tvqd_class *class)
{
	uint64_t features = class->info.default_features;

	if (tvqd_has(args, TVQD_FEATURES))
		return tvqd_num(args, TVQD_FEATURES);
	if (!tvqd_num(args, TVQD_READONLY))
		return 0;
	features |= BIT(VIRTIO_BLK_F_RO);
	if (tvqd_num(args, TVQD_NUM_QUEUES) > 1)
		features |= BIT(VIRTIO_BLK_F_MQ);
	return features;
}

static int check_features(const struct tvqd_args *args, const struct tvqd_class *class, char *err)
{
	uint64_t f = tvqd_num(args, TVQD_FEATURES);

	if (!tvqd_has(args, TVQD_FEATURES))
		return 0;
	if (f & ~class->info.features) {
		snprintf(err, TVQD_ERR_LEN,
			 "features 0x%llx: %s cannot offer 0x%llx; a %s device has 0x%llx",
			 (unsigned long long)f, TVQD_MGMT0,
			 (unsigned long long)(f & ~class->info.features), class->name,
			 (unsigned long long)class->info.features);
		return -EINVAL;
	}
	if ((f & REQUIRED_FEATURES) != REQUIRED_FEATURES) {
		snprintf(err, TVQD_ERR_LEN,
			 "features 0x%llx: VERSION_1 and ACCESS_PLATFORM are required: 0x%llx",
			 (unsigned long long)f, (unsigned long long)(f | REQUIRED_FEATURES));
		return -EINVAL;
	}
	if (tvqd_num(args, TVQD_READONLY) && !(f & BIT(VIRTIO_BLK_F_RO))) {
		snprintf(err, TVQD_ERR_LEN, "features 0x%llx: readonly on needs RO, bit %u",
			 (unsigned long long)f, VIRTIO_BLK_F_RO);
		return -EINVAL;
	}
	if (tvqd_num(args, TVQD_NUM_QUEUES) > 1 && !(f & BIT(VIRTIO_BLK_F_MQ))) {
		snprintf(err, TVQD_ERR_LEN, "features 0x%llx: num_queues above 1 needs MQ, bit %u",
			 (unsigned long long)f, VIRTIO_BLK_F_MQ);
		return -EINVAL;
	}
	return 0;
}

static struct tvqd_class *find_class(struct tvqd *d, const char *name, char *err)
{
	size_t n;

	for (unsigned int i = 0; i < TVQD_CLASSES; i++) {
		struct tvqd_class *c = &d->classes[i];

		if (strcmp(c->name, name) != 0)
			continue;
		if (c->there)
			return c;
		snprintf(err, TVQD_ERR_LEN, "class '%s': %s creates no %s devices; it has:", name,
			 TVQD_MGMT0, c->type);
		goto list;
	}
	snprintf(err, TVQD_ERR_LEN, "class '%s' is not known; %s has:", name, TVQD_MGMT0);
list:
	n = strlen(err);
	for (unsigned int i = 0; i < TVQD_CLASSES; i++) {
		if (d->classes[i].there)
			n += (size_t)snprintf(err + n, TVQD_ERR_LEN - n, " %s", d->classes[i].name);
	}
	return NULL;
}

static struct tvqd_class *check_add(struct tvqd *d, const struct tvqd_args *args, char *err)
{
	const char *mgmtdev = tvqd_str(args, TVQD_MGMTDEV);
	uint64_t num_queues = tvqd_num(args, TVQD_NUM_QUEUES);
	struct tvqd_class *class;

	if (strcmp(mgmtdev, TVQD_MGMT0) != 0) {
		snprintf(err, TVQD_ERR_LEN, "mgmtdev '%s': there is only %s", mgmtdev, TVQD_MGMT0);
		return NULL;
	}
	class = find_class(d, tvqd_str(args, TVQD_CLASS), err);
	if (!class)
		return NULL;
	if (num_queues > class->info.max_vqs) {
		snprintf(err, TVQD_ERR_LEN, "num_queues %llu: a %s device of %s has at most %u",
			 (unsigned long long)num_queues, class->name, TVQD_MGMT0,
			 class->info.max_vqs);
		return NULL;
	}
	if (tvqd_num(args, TVQD_BLK_SIZE) & (tvqd_num(args, TVQD_BLK_SIZE) - 1)) {
		snprintf(err, TVQD_ERR_LEN, "blk_size %llu: expected 512, 1024, 2048 or 4096",
			 (unsigned long long)tvqd_num(args, TVQD_BLK_SIZE));
		return NULL;
	}
	return check_features(args, class, err) < 0 ? NULL : class;
}

static struct add *new_add(struct tvqd *d, struct tvqd_call *call, struct tvqd_class *class)
{
	const struct tvqd_args *args = &call->rq.args;
	const char *name = tvqd_str(args, TVQD_NAME);
	struct add *a = calloc(1, sizeof(*a));
	int err = -ENOMEM;

	if (!a) {
		tvqd_reply_err(call, -ENOMEM, "out of memory");
		return NULL;
	}
	a->d = d;
	a->call = call;
	a->dev = tvqd_devices_add(&d->devices, name, &err);
	if (a->dev) {
		uint64_t n = tvqd_num(args, TVQD_NUM_QUEUES);

		a->dev->class = class;
		a->dev->num_queues = n ? (uint16_t)n : 1;
		err = d->bus->ops->space_new(d->bus, &a->dev->asid);
		if (!err)
			return a;
		tvqd_devices_remove(&d->devices, a->dev);
		tvqd_reply_err(call, err, "no address space is left for '%s': %u devices live",
			       name, d->devices.n);
	} else if (err == -EEXIST) {
		tvqd_reply_err(call, err,
			       "name '%s' is taken by another device; dev show lists them", name);
	} else {
		tvqd_reply_err(call, err, "out of memory");
	}
	free(a);
	return NULL;
}

void tvqd_dev_add(struct tvqd *d, struct tvqd_call *call)
{
	const struct tvqd_args *args = &call->rq.args;
	char err[TVQD_ERR_LEN];
	struct tvqd_class *class = check_add(d, args, err);
	struct add *a;

	if (!class) {
		tvqd_reply_err(call, -EINVAL, "%s", err);
		return;
	}
	a = new_add(d, call, class);
	if (!a)
		return;
	fill_config(a);
	a->create.virtio_device_id = class->virtio_device_id;
	a->create.asid = a->dev->asid;
	a->create.features = wanted_features(args, class);
	a->create.config = &a->config;
	a->create.config_len = sizeof(a->config);
	a->create.done = add_created;
	tvq_client_create(d->client, &a->create);
}
