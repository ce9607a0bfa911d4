/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A table from addresses to ports: open addressing, linear probing, not more than half full, so
 * that a look-up is one multiplication pair and, nearly always, one cache line. Removal shifts back
 * what follows, so that there are no tombstones and a table that many addresses have passed through
 * is as fast as a new one. The hash has a secret: who chooses addresses cannot choose collisions.
 *
 * Keys are not 0. The worker's; private to src/switch.
 */
#ifndef TVQ_SWITCH_FDB_H
#define TVQ_SWITCH_FDB_H

#include <stdbool.h>
#include <stdint.h>

#include <tvq/os.h>

struct tvq_port;

struct tvq_fdb_slot {
	uint64_t key; /* 0: free */
	struct tvq_port *port;
};

/* What learned addresses have besides; apart, since look-ups do not need it. */
struct tvq_fdb_meta {
	uint32_t seen; /* tick */
	uint32_t pos;  /* in the port's list */
};

struct tvq_fdb {
	struct tvq_fdb_slot *slot;
	struct tvq_fdb_meta *meta; /* NULL: a table without */
	uint32_t mask;		   /* slots less 1; a power of two */
	uint32_t n;
	uint64_t secret[2];
	bool with_meta;
};

#define TVQ_FDB_NONE UINT32_MAX

/* -ENOMEM. */
int tvq_fdb_init(struct tvq_fdb *t, const struct tvq_os *os, bool with_meta);
void tvq_fdb_fini(struct tvq_fdb *t, const struct tvq_os *os);
/* For a key that is not there: its slot, or TVQ_FDB_NONE: no memory. Moves others. */
uint32_t tvq_fdb_insert(struct tvq_fdb *t, const struct tvq_os *os, uint64_t key,
			struct tvq_port *port);
/* Another entry may be in that slot then. */
void tvq_fdb_remove(struct tvq_fdb *t, uint32_t slot);

static inline uint32_t tvq_fdb_hash(const struct tvq_fdb *t, uint64_t key)
{
	uint64_t x = (key ^ t->secret[0]) * (t->secret[1] | 1);

	x = (x ^ x >> 32) * 0x9e3779b97f4a7c15ULL;
	return (uint32_t)(x >> 32);
}

/* The slot of a key, or TVQ_FDB_NONE. */
static inline uint32_t tvq_fdb_at(const struct tvq_fdb *t, uint64_t key)
{
	uint32_t i = tvq_fdb_hash(t, key) & t->mask;

	for (; t->slot[i].key; i = (i + 1) & t->mask)
		if (t->slot[i].key == key)
			return i;
	return TVQ_FDB_NONE;
}

static inline struct tvq_port *tvq_fdb_find(const struct tvq_fdb *t, uint64_t key)
{
	uint32_t i = tvq_fdb_at(t, key);

	return i == TVQ_FDB_NONE ? NULL : t->slot[i].port;
}

#endif
