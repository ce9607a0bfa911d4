/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is told of a volume when a device cannot have it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tvqd.h"
#include "volumes.h"

const struct tvqd_mgmt *tvqd_volume_user(struct tvqd *d, const char *volume,
					 char user[TVQD_LABEL_LEN])
{
	struct tvq_device_info info;

	for (unsigned int i = 0; i < d->n_mgmts; i++) {
		const struct tvqd_mgmt *m = &d->mgmt[i];
		uint64_t id = UINT64_MAX;

		while ((id = tvq_device_before(m->device, id))) {
			if (tvq_device_info(m->device, id, &info) ||
			    strcmp(info.volume, volume) != 0)
				continue;
			return tvqd_device_label(m, id, user) ? m : NULL;
		}
	}
	return NULL;
}

struct search {
	const char *id;
	struct tvq_volume_info found;
	bool there;
};

static bool find_volume(void *ctx, const struct tvq_volume_info *info)
{
	struct search *s = ctx;

	if (strcmp(info->id, s->id) != 0)
		return true;
	s->found = *info;
	s->there = true;
	return false;
}

static int explain_volume(struct tvqd *d, const struct tvqd_args *args,
			  const struct tvq_volume_info *v, char *err)
{
	const struct tvq_volume_limits *l = &v->limits;
	uint64_t capacity = tvqd_num(args, TVQD_CAPACITY), blk_size = tvqd_num(args, TVQD_BLK_SIZE);
	const struct tvqd_mgmt *owner = tvqd_owner_mgmt(d, v->owner), *m = tvqd_driven(d);
	char user[TVQD_LABEL_LEN];

	if (owner && owner != m)
		snprintf(err, TVQD_ERR_LEN,
			 "volume '%s' is for devices of %s: one for those of %s is added with "
			 "mgmtdev %s",
			 v->id, owner->name, m->name, m->name);
	else if (v->in_use && tvqd_volume_user(d, v->id, user))
		snprintf(err, TVQD_ERR_LEN,
			 "volume '%s' is in use by device '%s': a volume serves one device at "
			 "a time",
			 v->id, user);
	else if (v->in_use)
		snprintf(err, TVQD_ERR_LEN,
			 "volume '%s' is in use: a volume serves one device at a time", v->id);
	else if (l->read_only && !tvqd_num(args, TVQD_READONLY))
		snprintf(err, TVQD_ERR_LEN, "volume '%s' is read-only: add readonly on", v->id);
	else if (capacity && capacity != l->capacity)
		snprintf(err, TVQD_ERR_LEN,
			 "capacity %" PRIu64 ": volume '%s' has %" PRIu64 " bytes; leave "
			 "capacity out",
			 capacity, v->id, l->capacity);
	else if (blk_size && blk_size < l->block_size)
		snprintf(err, TVQD_ERR_LEN,
			 "blk_size %" PRIu64 ": volume '%s' has blocks of %u bytes", blk_size,
			 v->id, l->block_size);
	else if (blk_size && l->capacity % blk_size)
		snprintf(err, TVQD_ERR_LEN,
			 "blk_size %" PRIu64 ": the %" PRIu64 " bytes of volume '%s' are no "
			 "multiple of it",
			 blk_size, l->capacity, v->id);
	else
		return 0;
	return -EINVAL;
}

struct maker_search {
	unsigned int owner;
	bool there;
};

static bool any_maker(void *ctx, const struct tvq_maker_cfg *cfg)
{
	struct maker_search *s = ctx;

	s->there = cfg->owner == TVQ_VOLUME_ANY || cfg->owner == s->owner;
	return !s->there;
}

int tvqd_volume_explain(struct tvqd *d, const struct tvqd_args *args, char *err)
{
	struct search s = { .id = tvqd_str(args, TVQD_VOLUME) };
	struct maker_search makers = { .owner = tvqd_mgmt_owner(tvqd_driven(d)) };

	if (!s.id) {
		tvq_volume_pool_each_maker(d->pool, any_maker, &makers);
		if (makers.there)
			return 0;
		snprintf(err, TVQD_ERR_LEN,
			 "no volume is free and there is no pool that makes one: volume add one, "
			 "or name one by volume NAME");
		return -EINVAL;
	}
	tvq_volume_pool_each(d->pool, find_volume, &s);
	if (s.there)
		return explain_volume(d, args, &s.found, err);
	snprintf(err, TVQD_ERR_LEN, "no volume '%s': volume add it first; volume show lists them",
		 s.id);
	return -EINVAL;
}
