/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * volume add, del, show. What opens a file is a job on another thread; the pool is touched on the
 * control executor only.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/virtio_blk.h>

#include "json.h"
#include "tvqd.h"
#include "volumes.h"

#define PAGE	     256
#define DEFAULT_SIZE (64ull << 20)
#define KINDS                                                                                      \
	(TVQD_BIT(FILE) | TVQD_BIT(RAM) | TVQD_BIT(NULL) | TVQD_BIT(NULL_ZERO) | TVQD_BIT(POOL))

/* Opening a file. */
struct open_file {
	struct tvq_job job;
	struct tvqd *d;
	struct tvqd_call *call;
	const char *id; /* the call's */
	unsigned int owner;
	struct tvq_file_cfg cfg;
	struct tvq_volume *volume;
	int err;
	char why[TVQ_VOLUME_ERR_LEN];
};

static void put_into_pool(struct tvqd *d, struct tvqd_call *call, struct tvq_volume *v,
			  unsigned int owner)
{
	int err = tvq_volume_pool_add_for(d->pool, v, owner);

	if (!err) {
		tvqd_reply(call, NULL);
		return;
	}
	tvq_volume_put(v);
	if (err == -EEXIST)
		tvqd_reply_err(call, err,
			       "name '%s' is taken by another volume; volume show lists them",
			       tvqd_str(&call->rq.args, TVQD_NAME));
	else
		tvqd_reply_err(call, err, "%s", strerror(-err));
}

static void open_run(struct tvq_job *job)
{
	struct open_file *o = (struct open_file *)((char *)job - offsetof(struct open_file, job));

	o->volume = tvq_volume_file(o->id, &o->cfg, o->why);
	o->err = o->volume ? 0 : errno ? -errno : -EIO;
}

static void open_done(struct tvq_job *job)
{
	struct open_file *o = (struct open_file *)((char *)job - offsetof(struct open_file, job));

	if (o->volume)
		put_into_pool(o->d, o->call, o->volume, o->owner);
	else
		tvqd_reply_err(o->call, o->err, "%s", o->why);
	free(o);
}

static void add_file(struct tvqd *d, struct tvqd_call *call, unsigned int owner)
{
	const struct tvqd_args *args = &call->rq.args;
	struct open_file *o = calloc(1, sizeof(*o));

	if (!o) {
		tvqd_reply_err(call, -ENOMEM, "out of memory");
		return;
	}
	o->d = d;
	o->call = call;
	o->id = tvqd_str(args, TVQD_NAME);
	o->owner = owner;
	o->cfg = (struct tvq_file_cfg){
		.path = tvqd_str(args, TVQD_FILE),
		.direct = tvqd_num(args, TVQD_DIRECT),
		.read_only = tvqd_num(args, TVQD_READONLY),
	};
	o->job.run = open_run;
	o->job.done = open_done;
	tvq_job_post(d->exec, &o->job);
}

static void add_memory(struct tvqd *d, struct tvqd_call *call, unsigned int owner)
{
	const struct tvqd_args *args = &call->rq.args;
	const char *id = tvqd_str(args, TVQD_NAME);
	char why[TVQ_VOLUME_ERR_LEN];
	struct tvq_volume *v;

	if (tvqd_has(args, TVQD_RAM))
		v = tvq_volume_ram(id, tvqd_num(args, TVQD_RAM), why);
	else if (tvqd_has(args, TVQD_NULL))
		v = tvq_volume_null(id, tvqd_num(args, TVQD_NULL), false, why);
	else
		v = tvq_volume_null(id, tvqd_num(args, TVQD_NULL_ZERO), true, why);
	if (v)
		put_into_pool(d, call, v, owner);
	else
		tvqd_reply_err(call, errno ? -errno : -EIO, "%s", why);
}

/* A pool that somebody asks for comes before the built-in one. */
static void add_pool(struct tvqd *d, struct tvqd_call *call, unsigned int owner)
{
	const struct tvqd_args *args = &call->rq.args;
	struct tvq_maker_cfg cfg = {
		.kind = TVQ_MAKER_DIR,
		.name = tvqd_str(args, TVQD_NAME),
		.dir = tvqd_str(args, TVQD_POOL),
		.direct = tvqd_num(args, TVQD_DIRECT),
		.default_size = tvqd_has(args, TVQD_SIZE) ? tvqd_num(args, TVQD_SIZE)
							  : DEFAULT_SIZE,
		.owner = owner,
	};
	char why[TVQ_VOLUME_ERR_LEN];
	int err = tvq_volume_pool_add_maker(d->pool, &cfg, why);

	if (err) {
		tvqd_reply_err(call, err, "%s", why);
		return;
	}
	tvq_volume_pool_prefer_maker(d->pool, cfg.name);
	tvqd_reply(call, NULL);
}

/* Which arguments go with which kind. */
static int check_kind(const struct tvqd_args *args, char *err)
{
	uint64_t kinds = args->have & KINDS, allowed = 0, wrong;

	if (!kinds || (kinds & (kinds - 1))) {
		snprintf(err, TVQD_ERR_LEN,
			 "volume add needs one of file PATH, ram SIZE, null SIZE, "
			 "null,zero SIZE, pool DIR");
		return -EINVAL;
	}
	if (kinds & TVQD_BIT(FILE))
		allowed = TVQD_BIT(DIRECT) | TVQD_BIT(READONLY);
	else if (kinds & TVQD_BIT(POOL))
		allowed = TVQD_BIT(DIRECT) | TVQD_BIT(SIZE);
	wrong = args->have & ~(TVQD_BIT(NAME) | TVQD_BIT(MGMTDEV) | kinds | allowed);
	if (!wrong)
		return 0;
	snprintf(err, TVQD_ERR_LEN, "%s does not go with %s",
		 tvqd_key_name((enum tvqd_key)__builtin_ctzll(wrong)),
		 tvqd_key_name((enum tvqd_key)__builtin_ctzll(kinds)));
	return -EINVAL;
}

/* Whose devices may have it: those of any, where it is not said. */
static int check_owner(struct tvqd *d, const struct tvqd_args *args, unsigned int *owner, char *err)
{
	const char *name = tvqd_str(args, TVQD_MGMTDEV);
	const struct tvqd_mgmt *m = name ? tvqd_mgmt_find(d, name) : NULL;

	*owner = m ? tvqd_mgmt_owner(m) : TVQ_VOLUME_ANY;
	if (m || !name)
		return 0;
	snprintf(err, TVQD_ERR_LEN, "mgmtdev '%s': %s", name, tvqd_mgmt_names(d));
	return -EINVAL;
}

void tvqd_volume_add(struct tvqd *d, struct tvqd_call *call)
{
	const struct tvqd_args *args = &call->rq.args;
	char err[TVQD_ERR_LEN];
	unsigned int owner;

	if (check_kind(args, err) < 0 || check_owner(d, args, &owner, err) < 0) {
		tvqd_reply_err(call, -EINVAL, "%s", err);
	} else if (tvqd_has(args, TVQD_POOL)) {
		add_pool(d, call, owner);
	} else if (strlen(tvqd_str(args, TVQD_NAME)) > TVQ_VOLUME_ID_LEN) {
		tvqd_reply_err(call, -EINVAL,
			       "name '%s': a volume's name has at most %u characters",
			       tvqd_str(args, TVQD_NAME), TVQ_VOLUME_ID_LEN);
	} else if (tvqd_has(args, TVQD_FILE)) {
		add_file(d, call, owner);
	} else {
		add_memory(d, call, owner);
	}
}

void tvqd_volume_del(struct tvqd *d, struct tvqd_call *call)
{
	const char *name = tvqd_str(&call->rq.args, TVQD_NAME);
	const struct tvqd_mgmt *m = NULL;
	char user[TVQD_LABEL_LEN];
	int err = tvq_volume_pool_del(d->pool, name);

	if (err == -ENOENT)
		err = tvq_volume_pool_del_maker(d->pool, name);
	if (!err) {
		tvqd_reply(call, NULL);
		return;
	}
	if (err == -EBUSY)
		m = tvqd_volume_user(d, name, user);
	if (m)
		tvqd_reply_err(call, err, "volume '%s' is in use by device '%s': %s", name, user,
			       m->where->to_delete);
	else if (err == -EBUSY)
		tvqd_reply_err(
			call, err, "volume '%s' is in use: dev del the devices on it first%s", name,
			tvqd_numbered(d) ? "; those of mgmt0 are its client's to delete" : "");
	else
		tvqd_reply_err(call, err, "no volume '%s'; volume show lists them", name);
}

/* volume show */

/* Not "mgmtdev", which is that of the device that has it. */
static void show_owner(const struct tvqd *d, struct json_object *o, unsigned int owner)
{
	const struct tvqd_mgmt *m = tvqd_owner_mgmt(d, owner);

	if (m)
		tvqd_add_str(o, "for", m->name);
}

static struct json_object *show_volume(const struct tvqd *d, const struct tvq_volume_info *info)
{
	struct json_object *o = json_object_new_object();
	const struct tvq_volume_limits *l = &info->limits;

	json_object_object_add(o, "type", json_object_new_string(info->type));
	if (info->path)
		json_object_object_add(o, "path", json_object_new_string(info->path));
	json_object_object_add(o, "size", json_object_new_uint64(l->capacity));
	json_object_object_add(o, "block_size", json_object_new_uint64(l->block_size));
	json_object_object_add(o, "physical_block_size",
			       json_object_new_uint64(l->physical_block_size));
	json_object_object_add(o, "readonly", json_object_new_boolean(l->read_only));
	json_object_object_add(o, "discard", json_object_new_boolean(l->can_discard));
	json_object_object_add(o, "in_use", json_object_new_boolean(info->in_use));
	json_object_object_add(o, "made", json_object_new_boolean(info->made));
	show_owner(d, o, info->owner);
	return o;
}

static struct json_object *show_maker(const struct tvqd *d, const struct tvq_maker_cfg *cfg)
{
	static const char *const kinds[] = {
		[TVQ_MAKER_RAM] = "ram pool",
		[TVQ_MAKER_NULL] = "null pool",
		[TVQ_MAKER_NULL_ZERO] = "null,zero pool",
		[TVQ_MAKER_DIR] = "pool",
	};
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "type", json_object_new_string(kinds[cfg->kind]));
	if (cfg->dir)
		json_object_object_add(o, "path", json_object_new_string(cfg->dir));
	json_object_object_add(o, "size", json_object_new_uint64(cfg->default_size));
	show_owner(d, o, cfg->owner);
	return o;
}

struct listing {
	const struct tvqd *d;
	struct json_object *list;
	const char *name;  /* only this one; NULL: all */
	uint64_t from, at; /* volumes counted before the makers */
	unsigned int n;
	bool more;
};

static bool list_volume(void *ctx, const struct tvq_volume_info *info)
{
	struct listing *ls = ctx;

	if (ls->name && strcmp(ls->name, info->id) != 0)
		return true;
	if (ls->at++ < ls->from)
		return true;
	if (ls->n == PAGE) {
		ls->more = true;
		return false;
	}
	ls->n++;
	json_object_object_add(ls->list, info->id, show_volume(ls->d, info));
	return !ls->name;
}

static bool list_maker(void *ctx, const struct tvq_maker_cfg *cfg)
{
	struct listing *ls = ctx;

	if (!ls->name || !strcmp(ls->name, cfg->name))
		json_object_object_add(ls->list, cfg->name, show_maker(ls->d, cfg));
	return true;
}

/* Of one volume only: it is a walk over the devices. */
static void show_user(struct tvqd *d, struct json_object *list, const char *name)
{
	char user[TVQD_LABEL_LEN];
	const struct tvqd_mgmt *m = tvqd_volume_user(d, name, user);
	struct json_object *o;

	if (!m || !json_object_object_get_ex(list, name, &o))
		return;
	tvqd_add_str(o, "device", user);
	tvqd_add_str(o, "mgmtdev", m->name);
}

void tvqd_volume_show(struct tvqd *d, struct tvqd_call *call)
{
	struct listing ls = {
		.d = d,
		.list = json_object_new_object(),
		.name = tvqd_str(&call->rq.args, TVQD_NAME),
		.from = tvqd_num(&call->rq.args, TVQD_FROM),
	};
	struct json_object *result;

	/* Pools first; they are few. */
	if (!ls.from)
		tvq_volume_pool_each_maker(d->pool, list_maker, &ls);
	tvq_volume_pool_each(d->pool, list_volume, &ls);
	if (ls.name && !json_object_object_length(ls.list)) {
		json_object_put(ls.list);
		tvqd_reply_err(call, -ENOENT, "no volume '%s'; volume show lists them", ls.name);
		return;
	}
	if (ls.name)
		show_user(d, ls.list, ls.name);
	result = json_object_new_object();
	json_object_object_add(result, "volume", ls.list);
	if (ls.more)
		json_object_object_add(result, "next", json_object_new_uint64(ls.from + PAGE));
	tvqd_reply(call, result);
}

int tvqd_volumes_init(struct tvqd *d, char *err)
{
	struct tvq_maker_cfg cfg = {
		.kind = TVQ_MAKER_RAM,
		.name = "ram",
		.default_size = DEFAULT_SIZE,
	};
	char why[TVQ_VOLUME_ERR_LEN];
	int ret;

	d->pool = tvq_volume_pool_new(d->exec);
	if (!d->pool) {
		snprintf(err, TVQD_ERR_LEN, "out of memory");
		return -ENOMEM;
	}
	/* A guest that makes its own devices does not get the host's memory for the asking. */
	if (tvqd_numbered(d) && !d->cfg.ram_pool)
		return 0;
	ret = tvq_volume_pool_add_maker(d->pool, &cfg, why);
	if (ret)
		snprintf(err, TVQD_ERR_LEN, "%s", why);
	return ret;
}
