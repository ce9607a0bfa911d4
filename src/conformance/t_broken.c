// SPDX-License-Identifier: BSD-3-Clause
/*
 * TQ-025, TQ-026: rings that break the ring's rules, one rule at a time. The descriptors are
 * written by hand over what the suite's driver half made.
 */
#include <string.h>

#include "conformance/ct.h"
#include "device/features.h"
#include "device/util.h"

#define SIZE	 16
#define NEXT	 1
#define WRITE	 2
#define INDIRECT 4

struct ring {
	uint8_t *desc, *driver, *device;
	uint64_t buf; /* iova of 4096 bytes, zeroed: a header of type IN, and room */
	uint8_t *mem;
	uint64_t table; /* iova of a page for an indirect table */
	uint8_t *table_mem;
};

static void put(uint8_t *d, uint64_t addr, uint32_t len, uint16_t a, uint16_t b)
{
	tvq_put64(d, addr);
	tvq_put32(d + 8, len);
	tvq_put16(d + 12, a);
	tvq_put16(d + 14, b);
}

/* ---- split: each leaves one head available, or a bad available index ---- */

static void offer(struct ring *r, uint16_t head)
{
	tvq_put16(r->driver + 4, head);
	__atomic_store_n((uint16_t *)(void *)(r->driver + 2), 1, __ATOMIC_RELEASE);
}

static void good_chain(struct ring *r)
{
	put(r->desc, r->buf, 16, NEXT, 1);
	put(r->desc + 16, r->buf + 512, 513, WRITE, 0);
}

static void head_out_of_range(struct ring *r)
{
	good_chain(r);
	offer(r, SIZE);
}

static void head_of_65535(struct ring *r)
{
	good_chain(r);
	offer(r, 0xffff);
}

static void next_out_of_range(struct ring *r)
{
	good_chain(r);
	tvq_put16(r->desc + 14, SIZE + 1); /* not the end of the chain at 1 */
	offer(r, 0);
}

static void chain_that_loops(struct ring *r)
{
	put(r->desc, r->buf, 16, NEXT, 1);
	put(r->desc + 16, r->buf, 16, NEXT, 0);
	offer(r, 0);
}

static void chain_that_is_its_own_next(struct ring *r)
{
	put(r->desc, r->buf, 16, NEXT, 0);
	offer(r, 0);
}

static void readable_behind_writable(struct ring *r)
{
	put(r->desc, r->buf + 512, 513, WRITE | NEXT, 1);
	put(r->desc + 16, r->buf, 16, 0, 0);
	offer(r, 0);
}

static void available_index_too_far(struct ring *r)
{
	good_chain(r);
	__atomic_store_n((uint16_t *)(void *)(r->driver + 2), SIZE + 1, __ATOMIC_RELEASE);
}

static void available_index_that_went_back(struct ring *r)
{
	good_chain(r);
	__atomic_store_n((uint16_t *)(void *)(r->driver + 2), 0xffff, __ATOMIC_RELEASE);
}

static void buffer_that_is_not_mapped(struct ring *r)
{
	good_chain(r);
	tvq_put64(r->desc + 16, 1ull << 46);
	offer(r, 0);
}

static void buffer_that_wraps(struct ring *r)
{
	good_chain(r);
	tvq_put64(r->desc + 16, ~0ull - 3);
	offer(r, 0);
}

static void buffer_that_ends_outside(struct ring *r)
{
	good_chain(r);
	tvq_put32(r->desc + 24, 0xffffffff);
	offer(r, 0);
}

static void table_of_bad_length(struct ring *r)
{
	put(r->desc, r->table, 17, INDIRECT, 0);
	offer(r, 0);
}

static void table_of_no_length(struct ring *r)
{
	put(r->desc, r->table, 0, INDIRECT, 0);
	offer(r, 0);
}

static void table_that_is_not_mapped(struct ring *r)
{
	put(r->desc, 1ull << 46, 32, INDIRECT, 0);
	offer(r, 0);
}

static void table_in_a_table(struct ring *r)
{
	put(r->table_mem, r->table, 32, INDIRECT, 0);
	put(r->desc, r->table, 16, INDIRECT, 0);
	offer(r, 0);
}

static void table_with_a_next(struct ring *r)
{
	put(r->table_mem, r->buf, 16, NEXT, 1);
	put(r->table_mem + 16, r->buf + 512, 513, WRITE, 0);
	put(r->desc, r->table, 32, INDIRECT | NEXT, 1);
	put(r->desc + 16, r->buf + 512, 513, WRITE, 0);
	offer(r, 0);
}

static void table_that_loops(struct ring *r)
{
	put(r->table_mem, r->buf, 16, NEXT, 0);
	put(r->desc, r->table, 32, INDIRECT, 0);
	offer(r, 0);
}

static void table_whose_next_is_outside(struct ring *r)
{
	put(r->table_mem, r->buf, 16, NEXT, 3);
	put(r->table_mem + 16, r->buf + 512, 513, WRITE, 0);
	put(r->desc, r->table, 32, INDIRECT, 0);
	offer(r, 0);
}

/* ---- packed: available on the first lap ---- */

#define AVAIL (1u << 7)

/* The first descriptor, at which the device may be looking: its flags come with the rest. */
static void put_first(struct ring *r, uint64_t addr, uint32_t len, uint16_t id, uint16_t flags)
{
	uint8_t d[16];
	uint64_t word;

	put(d, addr, len, id, flags);
	memcpy(r->desc, d, 8);
	memcpy(&word, d + 8, 8);
	__atomic_store_n((uint64_t *)(void *)(r->desc + 8), word, __ATOMIC_RELEASE);
}

static void p_readable_behind_writable(struct ring *r)
{
	put(r->desc + 16, r->buf, 16, 0, AVAIL);
	put_first(r, r->buf + 512, 513, 0, AVAIL | WRITE | NEXT);
}

static void p_id_out_of_range(struct ring *r)
{
	put(r->desc + 16, r->buf + 512, 513, SIZE, AVAIL | WRITE);
	put_first(r, r->buf, 16, SIZE, AVAIL | NEXT);
}

static void p_chain_longer_than_the_ring(struct ring *r)
{
	for (unsigned int i = SIZE; i-- > 1;)
		put(r->desc + 16 * i, r->buf, 16, 0, AVAIL | NEXT);
	put_first(r, r->buf, 16, 0, AVAIL | NEXT);
}

static void p_buffer_that_is_not_mapped(struct ring *r)
{
	put(r->desc + 16, 1ull << 46, 513, 0, AVAIL | WRITE);
	put_first(r, r->buf, 16, 0, AVAIL | NEXT);
}

static void p_table_of_bad_length(struct ring *r)
{
	put_first(r, r->table, 17, 0, AVAIL | INDIRECT);
}

static void p_table_in_a_table(struct ring *r)
{
	put(r->table_mem, r->table, 16, 0, INDIRECT);
	put_first(r, r->table, 16, 0, AVAIL | INDIRECT);
}

static void p_table_with_a_next(struct ring *r)
{
	put(r->table_mem, r->buf, 16, 0, 0);
	put(r->desc + 16, r->buf + 512, 513, 0, AVAIL | WRITE);
	put_first(r, r->table, 16, 0, AVAIL | INDIRECT | NEXT);
}

struct rule {
	const char *what;
	void (*breaks)(struct ring *r);
};

#define RULE(name)                                                                                 \
	{                                                                                          \
#name, name                                                                        \
	}
static const struct rule split_rules[] = {
	RULE(head_out_of_range),
	RULE(head_of_65535),
	RULE(next_out_of_range),
	RULE(chain_that_loops),
	RULE(chain_that_is_its_own_next),
	RULE(readable_behind_writable),
	RULE(available_index_too_far),
	RULE(available_index_that_went_back),
	RULE(buffer_that_is_not_mapped),
	RULE(buffer_that_wraps),
	RULE(buffer_that_ends_outside),
	RULE(table_of_bad_length),
	RULE(table_of_no_length),
	RULE(table_that_is_not_mapped),
	RULE(table_in_a_table),
	RULE(table_with_a_next),
	RULE(table_that_loops),
	RULE(table_whose_next_is_outside),
	{ NULL, NULL },
};

static const struct rule packed_rules[] = {
	RULE(p_readable_behind_writable),   RULE(p_id_out_of_range),
	RULE(p_chain_longer_than_the_ring), RULE(p_buffer_that_is_not_mapped),
	RULE(p_table_of_bad_length),	    RULE(p_table_in_a_table),
	RULE(p_table_with_a_next),	    { NULL, NULL },
};

static struct ring ring_at(struct ct *t, uint64_t desc, uint64_t driver, uint64_t device)
{
	struct ring r = { .desc = t->dma + (desc - t->dma_iova),
			  .driver = t->dma + (driver - t->dma_iova),
			  .device = t->dma + (device - t->dma_iova) };

	r.mem = ct_alloc(t, 4096, 4096, &r.buf);
	r.table_mem = ct_alloc(t, 4096, 4096, &r.table);
	return r;
}

static void all_rules(struct ct *t, bool packed)
{
	uint64_t id = ct_new_blk(t), other = ct_new_blk(t), f = ct_features(t, id, packed, false);
	struct ct_vq *q, *neighbour = ct_up(t, other, f, SIZE);

	for (const struct rule *rule = packed ? packed_rules : split_rules; rule->what; rule++) {
		size_t mark = t->dma_used;
		struct ring r;

		q = ct_up(t, id, f, SIZE);
		r = ring_at(t, q->desc, q->driver, q->device);
		rule->breaks(&r);
		ct_vq_notify(q);
		for (uint64_t end = t->bus->os->now() + CT_WAIT_NS; !(ct_status(t, id) & 64);
		     ct_turn(t))
			ct_check(t, t->bus->os->now() < end, "%s: DEVICE_NEEDS_RESET does not come",
				 rule->what);
		ct_check(t, ct_io(neighbour, 0, 0, NULL, 512) == 0 && ct_status(t, other) == 15,
			 "%s: another device notices", rule->what);
		ct_check(t, !(t->bus->ops->status(t->bus) & 64),
			 "%s: the management device notices", rule->what);
		ct_reset_device(t, id);
		t->dma_used = mark;
	}
	q = ct_up(t, id, f, SIZE);
	ct_check(t, ct_io(q, 0, 0, NULL, 512) == 0, "the device does not work after its reset");
}

static void each_rule_broken_in_a_split_ring_breaks_that_device_only(struct ct *t)
{
	all_rules(t, false);
}

static void each_rule_broken_in_a_packed_ring_breaks_that_device_only(struct ct *t)
{
	all_rules(t, true);
}

/* A table that was not negotiated. */
static void an_indirect_table_without_its_feature_breaks_the_device(struct ct *t)
{
	uint64_t id = ct_new_blk(t);
	struct ct_vq *q =
		ct_up(t, id, ct_features(t, id, false, false) & ~CT_F(TVQ_F_INDIRECT_DESC), SIZE);
	struct ring r = ring_at(t, q->desc, q->driver, q->device);

	put(r.table_mem, r.buf, 16, NEXT, 1);
	put(r.table_mem + 16, r.buf + 512, 513, WRITE, 0);
	put(r.desc, r.table, 32, INDIRECT, 0);
	offer(&r, 0);
	ct_vq_notify(q);
	ct_wait_needs_reset(t, id);
}

static bool needs_reset(void *arg)
{
	struct tvq_bus *b = arg;

	return b->ops->status(b) & 64;
}

/* The transportq as a split ring of 16 whose areas the test knows. */
static struct ring small_transportq(struct ct *t, uint64_t features)
{
	struct tvq_drv_ring_cfg cfg = { .size = SIZE,
					.event_idx = features >> TVQ_F_EVENT_IDX & 1 };
	struct tvq_bus_queue q = { .index = t->transportq, .size = SIZE };

	ct_reset(t);
	ct_check(t, t->bus->ops->set_features(t->bus, features) == 0, "the features are refused");
	t->bus->ops->set_status(t->bus, 11);
	t->features = features;
	cfg.mem = ct_alloc(t, tvq_drv_ring_bytes(false, SIZE, 0), 4096, &cfg.iova);
	t->ring = tvq_drv_ring_new(t->bus->os, &cfg, 0);
	ct_check(t, t->ring, "no memory");
	tvq_drv_ring_areas(t->ring, &q.desc, &q.driver, &q.device);
	ct_check(t, t->bus->ops->queue_setup(t->bus, &q, NULL, NULL) == 0,
		 "the transportq cannot be set up");
	t->bus->ops->set_status(t->bus, 15);
	return ring_at(t, q.desc, q.driver, q.device);
}

/* A rule is written for a ring at its first index; this one has moved on. */
static void break_here(struct ring *r, const struct rule *rule)
{
	uint16_t now = tvq_get16(r->driver + 2);

	rule->breaks(r);
	if (tvq_get16(r->driver + 2) == 1)
		memcpy(r->driver + 4 + 2 * (now % SIZE), r->driver + 4, 2);
	now = (uint16_t)(now + tvq_get16(r->driver + 2));
	__atomic_store_n((uint16_t *)(void *)(r->driver + 2), now, __ATOMIC_RELEASE);
}

static void a_rule_broken_in_the_transportq_ends_its_service_and_no_other(struct ct *t)
{
	static const struct rule rules[] = {
		RULE(head_out_of_range),	 RULE(chain_that_loops),
		RULE(readable_behind_writable),	 RULE(available_index_too_far),
		RULE(buffer_that_is_not_mapped), RULE(table_in_a_table),
	};
	uint64_t features = t->features & ~CT_F(TVQ_F_RING_PACKED);
	uint8_t zero = 0;

	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		struct ring r = small_transportq(t, features);
		struct ct_vq *q = ct_up(t, ct_new_blk(t), 0, SIZE);
		struct ct_chain *c;

		break_here(&r, &rules[i]);
		t->bus->ops->queue_notify(t->bus, t->transportq);
		ct_check(t, ct_until(t, needs_reset, t->bus),
			 "%s: DEVICE_NEEDS_RESET does not come", rules[i].what);
		c = ct_start(t, q->id, CT_CLASS(STATUS), VIRTIO_TRANSPTQ_CTRL_STATUS_SET, &zero, 1,
			     0);
		t->bus->ops->queue_notify(t->bus, t->transportq);
		ct_pause(t, CT_CHANCE_NS);
		ct_check(t, c->in[0] == 0xa5, "%s: it takes another command", rules[i].what);
		for (int k = 0; k < 3; k++)
			ct_check(t, ct_io(q, 0, 0, NULL, 512) == 0,
				 "%s: a managed device is not served any more", rules[i].what);
	}
}

const struct ct_test ct_tests_broken[] = {
	{ "TQ-025", "each_rule_broken_in_a_split_ring_breaks_that_device_only",
	  each_rule_broken_in_a_split_ring_breaks_that_device_only, 0 },
	{ "TQ-025", "each_rule_broken_in_a_packed_ring_breaks_that_device_only",
	  each_rule_broken_in_a_packed_ring_breaks_that_device_only, 0 },
	{ "TQ-025", "an_indirect_table_without_its_feature_breaks_the_device",
	  an_indirect_table_without_its_feature_breaks_the_device, 0 },
	{ "TQ-026", "a_rule_broken_in_the_transportq_ends_its_service_and_no_other",
	  a_rule_broken_in_the_transportq_ends_its_service_and_no_other, 0 },
	{ 0 },
};
