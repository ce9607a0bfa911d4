/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices.h"

#define FIRST_BUCKETS 64
#define FIRST_SLOTS   64

/* FNV-1a from a start that nobody outside knows: names are chosen by clients. */
static uint32_t hash_name(const struct tvqd_devices *ds, const char *name)
{
	uint32_t h = 2166136261u ^ ds->seed;

	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * 16777619u;
	return h ^ h >> 15;
}

int tvqd_devices_init(struct tvqd_devices *ds, uint32_t seed)
{
	*ds = (struct tvqd_devices){ .n_buckets = FIRST_BUCKETS, .seed = seed };
	ds->bucket = calloc(ds->n_buckets, sizeof(*ds->bucket));
	ds->by_id = calloc(ds->n_buckets, sizeof(*ds->by_id));
	if (ds->bucket && ds->by_id)
		return 0;
	tvqd_devices_fini(ds);
	return -ENOMEM;
}

void tvqd_devices_fini(struct tvqd_devices *ds)
{
	free(ds->bucket);
	free(ds->by_id);
	free(ds->slot);
	free(ds->free_slot);
	*ds = (struct tvqd_devices){ 0 };
}

struct tvqd_dev *tvqd_devices_find(const struct tvqd_devices *ds, const char *name)
{
	uint32_t h = hash_name(ds, name);
	struct tvqd_dev *dev = ds->bucket[h & (ds->n_buckets - 1)];

	while (dev && (dev->hash != h || strcmp(dev->name, name) != 0))
		dev = dev->next;
	return dev;
}

/* Identifiers are given in order. */
static struct tvqd_dev **id_bucket(const struct tvqd_devices *ds, uint64_t device_id)
{
	return &ds->by_id[device_id & (ds->n_buckets - 1)];
}

static void put_id(struct tvqd_devices *ds, struct tvqd_dev *dev)
{
	struct tvqd_dev **p = id_bucket(ds, dev->device_id);

	dev->next_id = *p;
	*p = dev;
}

/* Without memory the chains get longer, that is all. */
static void grow_buckets(struct tvqd_devices *ds)
{
	uint32_t n = ds->n_buckets * 2, n_old = ds->n_buckets;
	struct tvqd_dev **bucket = calloc(n, sizeof(*bucket)), **old = ds->bucket;
	struct tvqd_dev **by_id = calloc(n, sizeof(*by_id));

	if (!bucket || !by_id) {
		free(bucket);
		free(by_id);
		return;
	}
	free(ds->by_id);
	ds->bucket = bucket;
	ds->by_id = by_id;
	ds->n_buckets = n;
	for (uint32_t i = 0; i < n_old; i++) {
		struct tvqd_dev *dev = old[i], *next;

		for (; dev; dev = next) {
			next = dev->next;
			dev->next = bucket[dev->hash & (n - 1)];
			bucket[dev->hash & (n - 1)] = dev;
			if (dev->device_id)
				put_id(ds, dev);
		}
	}
	free(old);
}

static int grow_slots(struct tvqd_devices *ds)
{
	uint32_t cap = ds->cap_slots ? ds->cap_slots * 2 : FIRST_SLOTS;
	struct tvqd_dev **slot = realloc(ds->slot, cap * sizeof(*slot));
	uint32_t *free_slot;

	if (!slot)
		return -ENOMEM;
	ds->slot = slot;
	free_slot = realloc(ds->free_slot, cap * sizeof(*free_slot));
	if (!free_slot)
		return -ENOMEM;
	ds->free_slot = free_slot;
	ds->cap_slots = cap;
	return 0;
}

static int take_slot(struct tvqd_devices *ds, struct tvqd_dev *dev)
{
	if (!ds->n_free && ds->n_slots == ds->cap_slots && grow_slots(ds) < 0)
		return -ENOMEM;
	dev->slot = ds->n_free ? ds->free_slot[--ds->n_free] : ds->n_slots++;
	ds->slot[dev->slot] = dev;
	return 0;
}

struct tvqd_dev *tvqd_devices_add(struct tvqd_devices *ds, const char *name, int *err)
{
	size_t len = strlen(name) + 1;
	struct tvqd_dev *dev, **bucket;

	*err = -EEXIST;
	if (tvqd_devices_find(ds, name))
		return NULL;
	*err = -ENOMEM;
	dev = calloc(1, sizeof(*dev) + len);
	if (!dev)
		return NULL;
	if (take_slot(ds, dev) < 0) {
		free(dev);
		return NULL;
	}
	memcpy(dev->name, name, len);
	if (ds->n >= ds->n_buckets)
		grow_buckets(ds);
	dev->hash = hash_name(ds, name);
	bucket = &ds->bucket[dev->hash & (ds->n_buckets - 1)];
	dev->next = *bucket;
	*bucket = dev;
	ds->n++;
	*err = 0;
	return dev;
}

void tvqd_devices_remove(struct tvqd_devices *ds, struct tvqd_dev *dev)
{
	struct tvqd_dev **p = &ds->bucket[dev->hash & (ds->n_buckets - 1)];

	while (*p != dev)
		p = &(*p)->next;
	*p = dev->next;
	if (dev->device_id) {
		for (p = id_bucket(ds, dev->device_id); *p != dev;)
			p = &(*p)->next_id;
		*p = dev->next_id;
	}
	ds->slot[dev->slot] = NULL;
	ds->free_slot[ds->n_free++] = dev->slot;
	ds->n--;
	free(dev);
}

void tvqd_devices_set_id(struct tvqd_devices *ds, struct tvqd_dev *dev, uint64_t device_id)
{
	dev->device_id = device_id;
	put_id(ds, dev);
}

struct tvqd_dev *tvqd_devices_by_id(const struct tvqd_devices *ds, uint64_t device_id)
{
	struct tvqd_dev *dev = *id_bucket(ds, device_id);

	while (dev && dev->device_id != device_id)
		dev = dev->next_id;
	return dev;
}

struct tvqd_dev *tvqd_devices_next(const struct tvqd_devices *ds, uint32_t *slot)
{
	for (; *slot < ds->n_slots; (*slot)++) {
		struct tvqd_dev *dev = ds->slot[*slot];

		if (dev && dev->state == TVQD_DEV_LIVE)
			return dev;
	}
	return NULL;
}
