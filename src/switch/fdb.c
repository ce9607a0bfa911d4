// SPDX-License-Identifier: BSD-3-Clause
/* Address tables: see fdb.h. */
#include "device/util.h"
#include "switch/fdb.h"

#define FIRST_SLOTS 16
#define MOST_SLOTS  (1U << 30)

static int alloc_slots(struct tvq_fdb *t, const struct tvq_os *os, uint32_t slots)
{
	t->slot = os->alloc(slots * sizeof(*t->slot));
	t->meta = t->with_meta ? os->alloc(slots * sizeof(*t->meta)) : NULL;
	t->mask = slots - 1;
	if (t->slot && (t->meta || !t->with_meta))
		return 0;
	tvq_fdb_fini(t, os);
	return -ENOMEM;
}

int tvq_fdb_init(struct tvq_fdb *t, const struct tvq_os *os, bool with_meta)
{
	t->with_meta = with_meta;
	t->n = 0;
	os->random(t->secret, sizeof(t->secret));
	return alloc_slots(t, os, FIRST_SLOTS);
}

void tvq_fdb_fini(struct tvq_fdb *t, const struct tvq_os *os)
{
	uint32_t slots = t->mask + 1;

	os->free(t->slot, slots * sizeof(*t->slot));
	os->free(t->meta, slots * sizeof(*t->meta));
	t->slot = NULL;
	t->meta = NULL;
}

/* The slot where an entry that is not there belongs. */
static uint32_t free_slot(const struct tvq_fdb *t, uint64_t key)
{
	uint32_t i = tvq_fdb_hash(t, key) & t->mask;

	while (t->slot[i].key)
		i = (i + 1) & t->mask;
	return i;
}

static int grow(struct tvq_fdb *t, const struct tvq_os *os)
{
	struct tvq_fdb old = *t;

	if (t->mask + 1 >= MOST_SLOTS || alloc_slots(t, os, 2 * (t->mask + 1)) < 0) {
		*t = old;
		return -ENOMEM;
	}
	for (uint32_t i = 0; i <= old.mask; i++) {
		uint32_t to;

		if (!old.slot[i].key)
			continue;
		to = free_slot(t, old.slot[i].key);
		t->slot[to] = old.slot[i];
		if (t->meta)
			t->meta[to] = old.meta[i];
	}
	tvq_fdb_fini(&old, os);
	return 0;
}

uint32_t tvq_fdb_insert(struct tvq_fdb *t, const struct tvq_os *os, uint64_t key,
			struct tvq_port *port)
{
	uint32_t i;

	if (2 * (t->n + 1) > t->mask + 1 && grow(t, os) < 0)
		return TVQ_FDB_NONE;
	i = free_slot(t, key);
	t->slot[i].key = key;
	t->slot[i].port = port;
	t->n++;
	return i;
}

void tvq_fdb_remove(struct tvq_fdb *t, uint32_t slot)
{
	uint32_t hole = slot;

	/* Whatever follows without a gap, and would be found at the hole too, moves there. */
	for (uint32_t i = (slot + 1) & t->mask; t->slot[i].key; i = (i + 1) & t->mask) {
		uint32_t home = tvq_fdb_hash(t, t->slot[i].key) & t->mask;

		if (((i - home) & t->mask) < ((i - hole) & t->mask))
			continue;
		t->slot[hole] = t->slot[i];
		if (t->meta)
			t->meta[hole] = t->meta[i];
		hole = i;
	}
	t->slot[hole].key = 0;
	t->slot[hole].port = NULL;
	t->n--;
}
