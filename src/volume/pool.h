/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What pool.c and maker.c share. Private to the folder.
 */
#ifndef TVQ_VOLUME_POOL_H
#define TVQ_VOLUME_POOL_H

#include <tvq/loop.h>
#include <tvq/volumes.h>

#define TVQ_MAKER_NAME_MAX 9

struct tvq_pool_node {
	struct tvq_pool_node *next, *prev;
};

struct tvq_pool_entry;

struct tvq_pool_maker {
	struct tvq_pool_maker *next;
	struct tvq_maker_cfg cfg; /* name and dir are its own */
	struct tvq_volume_pool *pool;
	uint64_t volumes; /* living, or being made */
	uint64_t counter; /* of the last id */
};

struct tvq_pool_view {
	struct tvq_pool pool;
	struct tvq_volume_pool *all;
	unsigned int owner;
};

struct tvq_volume_pool {
	struct tvq_pool_view views[TVQ_VOLUME_OWNERS + 1]; /* [owner] */
	struct tvq_exec *control;
	struct tvq_pool_entry **hash; /* by id */
	uint32_t hash_mask, n_entries;
	struct tvq_pool_class **classes; /* by capacity, read_only and owner */
	uint32_t class_mask, n_classes;
	/* [owner][read_only], of all capacities, longest free first */
	struct tvq_pool_node free[TVQ_VOLUME_OWNERS + 1][2];
	uint64_t seq;
	struct tvq_pool_maker *makers; /* in the order in which they were added */
};

/* Is the id (padded with NUL) that of a volume of the pool? */
bool tvq_pool_has_id(const struct tvq_volume_pool *p, const uint8_t *id);

/* Adds a volume that m made for the claim, and completes the claim. Takes v's reference, also on
 * failure. */
void tvq_pool_made(struct tvq_volume_pool *p, struct tvq_pool_maker *m, struct tvq_volume *v,
		   struct tvq_claim *c);

/*
 * Has the first maker with room that the owner sees make a volume of c->capacity; ends in
 * tvq_pool_made() or in c->done with an error, perhaps before the return. -ENOSPC where there is no
 * such maker; the claim is not completed then.
 */
int tvq_pool_make(struct tvq_volume_pool *p, unsigned int owner, struct tvq_claim *c);

/* Is what is for one owner, or for any, there for this one? */
static inline bool tvq_pool_sees(unsigned int owner, unsigned int is_for)
{
	return is_for == TVQ_VOLUME_ANY || is_for == owner;
}

void tvq_pool_maker_free(struct tvq_pool_maker *m);

#endif
