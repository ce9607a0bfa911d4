/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation. A block's content is a function of its number and the round, so writing it
 * again within a round changes nothing and reads may overlap with such writes. Before the next
 * round begins nothing is in flight. Blocks are numbered in an order that visits each once: a step
 * that is odd, over a power of two, skipping what lies beyond the span.
 */
#include "vu_verify.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct verify {
	struct vu_front *f;
	struct vu_ring *r;
	const struct vu_options *o;
	uint64_t *block; /* of each slot */
	uint64_t blocks, round, reads, writes;
	unsigned int depth;
	int err;
};

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

static void fill(uint8_t *p, uint32_t len, uint64_t block, uint64_t round)
{
	uint64_t x = mix(block + 1) ^ mix(~round);
	uint32_t i;

	for (i = 0; i < len; i += 8) {
		uint64_t word = x + i * 0x9e3779b97f4a7c15ull;

		memcpy(p + i, &word, 8);
	}
}

static void check(struct verify *v, uint16_t slot)
{
	uint8_t *p = vu_data(v->r, v->f, slot), want[8];
	uint64_t x = mix(v->block[slot] + 1) ^ mix(~v->round);
	uint32_t i;

	for (i = 0; i < v->r->len; i += 8) {
		uint64_t word = x + i * 0x9e3779b97f4a7c15ull;

		memcpy(want, &word, 8);
		if (memcmp(p + i, want, 8)) {
			fprintf(stderr,
				"lean_client: round %" PRIu64 ", byte %" PRIu64 ": wrong data\n",
				v->round, v->block[slot] * v->r->len + i);
			v->err = -EIO;
			return;
		}
	}
	v->reads++;
}

static void start(struct verify *v, uint16_t slot, uint64_t block, uint32_t type)
{
	uint8_t *p = vu_data(v->r, v->f, slot);

	v->block[slot] = block;
	if (type == VIRTIO_BLK_T_OUT)
		fill(p, v->r->len, block, v->round);
	else
		memset(p, 0xa5, v->r->len);
	vu_add(v->r, slot, type, block * (v->r->len / 512), v->o->packed, v->o->indirect);
	vu_publish(v->r, v->o->packed);
}

static uint64_t nanoseconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Waits for requests; *slot is one that is done. */
static int collect(struct verify *v, uint16_t *slot)
{
	uint64_t limit = nanoseconds() + 5000000000ull;

	while (!vu_reap(v->r, slot, 1, v->o->packed, v->o->indirect)) {
		if (nanoseconds() > limit) {
			fprintf(stderr, "lean_client: a request was not answered in 5 s\n");
			return -ETIMEDOUT;
		}
	}
	vu_stay_parked(v->r, 1, v->o->packed);
	if (*slot >= v->depth || v->r->heads[*slot].status != VIRTIO_BLK_S_OK) {
		fprintf(stderr, "lean_client: a request failed, or was never there\n");
		return -EIO;
	}
	if (v->r->slots[*slot].type == VIRTIO_BLK_T_IN)
		check(v, *slot);
	else
		v->writes++;
	return v->err;
}

/* Visits each block once with writes (type OUT), or n random blocks with both. */
static int pass(struct verify *v, bool writes_only, uint64_t n)
{
	uint64_t power = 1, at = 0, issued = 0, block, walked = 0, random = mix(v->round);
	unsigned int busy = 0;
	uint16_t slot;
	int err;

	while (power < v->blocks)
		power *= 2;
	while (issued < n || busy) {
		if (busy < v->depth && issued < n) {
			slot = (uint16_t)busy++;
			/* The first take the slots in order; later ones reuse what is done. */
		} else {
			err = collect(v, &slot);
			if (err)
				return err;
			if (issued >= n) {
				busy--;
				continue;
			}
		}
		random = mix(random + 1);
		block = random % v->blocks;
		while (writes_only && walked < power) {
			block = at;
			at = (at + (0x9e3779b97f4a7c15ull | 1)) & (power - 1);
			walked++;
			if (block < v->blocks)
				break;
		}
		start(v, slot, block,
		      writes_only || random >> 63 ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN);
		issued++;
	}
	return 0;
}

int vu_verify(struct vu_front *f, struct vu_ring *r, const struct vu_options *o, unsigned int depth,
	      uint64_t span, unsigned int ms)
{
	struct verify v = { .f = f, .r = r, .o = o, .depth = depth, .blocks = span / r->len };
	uint64_t end = nanoseconds() + ms * 1000000ull;
	int err = 0;

	v.block = calloc(depth, sizeof(*v.block));
	if (!v.block)
		return -ENOMEM;
	vu_disarm(r, o->packed);
	while (!err && (v.round < 2 || nanoseconds() < end)) {
		v.round++;
		err = pass(&v, true, v.blocks);
		if (!err)
			err = pass(&v, false, 2 * v.blocks);
	}
	free(v.block);
	if (!err)
		printf("{\"verified\": true, \"rounds\": %" PRIu64 ", \"reads\": %" PRIu64
		       ", \"writes\": %" PRIu64 "}\n",
		       v.round, v.reads, v.writes);
	return err;
}
