/* SPDX-License-Identifier: BSD-3-Clause */
/* In-flight areas that cannot be true, and what other implementations leave behind. */
#include "ring_lab.h"

#define SIZE 8
#define RW   (TVQ_DMA_READ | TVQ_DMA_WRITE)

static struct lab lab;
static int tokens[SIZE];

/* The areas by the offsets that vhost-user gives them. */
#define VERSION		  8
#define DESC_NUM	  10
#define S_LAST_BATCH_HEAD 12
#define S_USED_IDX	  14
#define P_FREE_HEAD	  12
#define P_OLD_FREE_HEAD	  14
#define P_USED_IDX	  16
#define P_OLD_USED_IDX	  18
#define P_USED_WRAP	  20
#define P_OLD_USED_WRAP	  21

enum { S_INFLIGHT = 0, S_NEXT = 6, S_COUNTER = 8 };
enum {
	P_INFLIGHT = 0,
	P_NEXT = 2,
	P_LAST = 4,
	P_NUM = 6,
	P_COUNTER = 8,
	P_ID = 16,
	P_FLAGS = 18,
	P_LEN = 20,
	P_ADDR = 24
};

static uint16_t *u16(size_t off)
{
	return (uint16_t *)(void *)(lab.area + off);
}

static uint64_t *u64(size_t off)
{
	return (uint64_t *)(void *)(lab.area + off);
}

static size_t entry(unsigned int i, size_t off)
{
	return (lab.cfg.packed ? 32 + 32 * (size_t)i : 16 + 16 * (size_t)i) + off;
}

static void add(unsigned int i)
{
	const struct tvq_sg sg[2] = { { LAB_DATA_IOVA + 64 * i, 16 },
				      { LAB_DATA_IOVA + 64 * i + 32, 8 } };

	assert_int_equal(tvq_drv_ring_add(lab.drv, sg, 1, 1, &tokens[i]), 0);
	tvq_drv_ring_publish(lab.drv);
}

static uint16_t take(struct lab_chain *lc)
{
	assert_int_equal(lab_take1(&lab, lc), 1);
	return lc->c.id;
}

/* Which of the buffers added a chain is. */
static unsigned int buffer_of(const struct lab_chain *lc)
{
	return (unsigned int)((uint8_t *)lc->seg[0].va - lab.data[0]) / 64;
}

static void open_lab(bool packed)
{
	lab_open(&lab, packed, SIZE, false, 0);
	lab_add_inflight(&lab);
	assert_int_equal(lab_start(&lab), 0);
}

static int setup_split(void **state)
{
	(void)state;
	open_lab(false);
	return 0;
}

static int setup_packed(void **state)
{
	(void)state;
	open_lab(true);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	lab_close(&lab);
	return 0;
}

static void start_refuses_areas_that_are_too_small_or_not_there(void **state)
{
	struct tvq_ring_cfg good = lab.cfg;

	(void)state;
	assert_int_equal(lab_start(&lab), 0);
	lab.cfg.inflight_size--;
	assert_int_equal(lab_start(&lab), -EINVAL);
	lab.cfg = good;
	lab.cfg.inflight += 4;
	assert_int_equal(lab_start(&lab), -EINVAL);
	lab.cfg = good;
	lab.cfg.inflight = UINT64_MAX - 7;
	assert_int_equal(lab_start(&lab), -EINVAL);
	lab.cfg = good;
	lab.cfg.inflight_shadow = NULL;
	assert_int_equal(lab_start(&lab), -EINVAL);
	lab.cfg = good;
	assert_int_equal(tvq_ring_start(&lab.ring, &lab.cfg, &lab.view, NULL), -EINVAL);
	lab.cfg.inflight += 8;
	assert_int_equal(lab_start(&lab), -EFAULT);
	lab.cfg = good;
	lab.area_table->r[0].perm = TVQ_DMA_READ;
	assert_int_equal(lab_start(&lab), -EFAULT);
	lab.area_table->r[0].perm = RW;
	assert_int_equal(lab_start(&lab), 0);
	lab.area_table->r[0].len--;
	assert_int_equal(tvq_ring_remap(&lab.ring), -EFAULT);
}

/* TQ-131 */
static void header_of_another_kind_is_refused(void **state)
{
	(void)state;
	*u16(VERSION) = 2;
	assert_int_equal(lab_start(&lab), -EBADMSG);
	*u16(VERSION) = 1;
	*u64(0) = 1;
	assert_int_equal(lab_start(&lab), -EBADMSG);
	*u64(0) = 0;
	*u16(DESC_NUM) = SIZE - 1;
	assert_int_equal(lab_start(&lab), -EBADMSG);
	*u16(DESC_NUM) = SIZE + 1;
	assert_int_equal(lab_start(&lab), -EBADMSG);
	*u16(DESC_NUM) = SIZE;
	assert_int_equal(lab_start(&lab), 0);
}

/* TQ-131 */
static void counters_that_no_device_counted_are_refused(void **state)
{
	const size_t at = lab.cfg.packed ? P_COUNTER : S_COUNTER;
	struct lab_chain lc;
	unsigned int e[2];

	(void)state;
	add(0);
	add(1);
	e[0] = take(&lc);
	e[1] = take(&lc);
	if (lab.cfg.packed) {
		e[0] = 0;
		e[1] = 2;
	}
	assert_int_equal(*u64(entry(e[0], at)), 0);
	assert_int_equal(*u64(entry(e[1], at)), 1);
	*u64(entry(e[1], at)) = 0;
	assert_int_equal(lab_start(&lab), -EBADMSG);
	*u64(entry(e[1], at)) = UINT64_MAX;
	assert_int_equal(lab_start(&lab), -EBADMSG);
	/* Gaps are no reason; the order of resubmission is theirs. */
	*u64(entry(e[0], at)) = 1ull << 40;
	*u64(entry(e[1], at)) = 77;
	assert_int_equal(lab_start(&lab), 0);
	take(&lc);
	assert_int_equal(buffer_of(&lc), 1);
	take(&lc);
	assert_int_equal(buffer_of(&lc), 0);
	/* And counting goes on behind them. */
	add(2);
	e[0] = lab.cfg.packed ? 4 : take(&lc);
	if (lab.cfg.packed)
		take(&lc);
	assert_int_equal(*u64(entry(e[0], at)), (1ull << 40) + 1);
}

/* TQ-025 */
static void buffer_made_available_while_it_is_in_flight_breaks_the_queue(void **state)
{
	struct vring_avail *avail = (void *)(lab.ring_mem + (lab.cfg.driver - LAB_RING_IOVA));
	struct vring_packed_desc *slots = (void *)lab.ring_mem;
	struct lab_chain lc;

	(void)state;
	add(0);
	add(1);
	take(&lc);
	if (lab.cfg.packed)
		slots[3].id = lc.c.id;
	else
		avail->ring[1] = lc.c.id;
	assert_int_equal(lab_take1(&lab, &lc), -EBADMSG);
}

static void chain_returned_twice_breaks_the_queue_and_not_the_area(void **state)
{
	struct lab_chain lc, other;

	(void)state;
	add(0);
	take(&lc);
	tvq_ring_add_used(&lab.ring, &lc.c, 0);
	tvq_ring_add_used(&lab.ring, &lc.c, 0);
	tvq_ring_flush(&lab.ring);
	assert_int_equal(lab_take1(&lab, &other), -EBADMSG);
	assert_int_equal(lab_start(&lab), 0);
	assert_int_equal(lab_take1(&lab, &other), 0);
}

static bool logged(const struct tvq_dma_log *log, uint64_t iova)
{
	return log->bits[iova / 4096 / 8] & 1 << (iova / 4096 % 8);
}

static void writes_into_the_area_are_logged(void **state)
{
	static _Atomic uint8_t bits[16];
	struct tvq_dma_log log = { bits, 16 * 8 * 4096 };
	struct lab_chain lc;
	unsigned int step;

	(void)state;
	lab.area_table->r[0].iova = 0x2000;
	lab.cfg.inflight = 0x2000;
	lab.area_view.log = &log;
	*u16(VERSION) = 0;
	for (step = 0; step < 5; step++) {
		bits[0] = 0;
		switch (step) {
		case 0:
			assert_int_equal(lab_start(&lab), 0);
			break;
		case 1:
			add(0);
			take(&lc);
			break;
		case 2:
			tvq_ring_untake(&lab.ring, &lc.c);
			break;
		case 3:
			take(&lc);
			tvq_ring_add_used(&lab.ring, &lc.c, 0);
			bits[0] = 0;
			tvq_ring_flush(&lab.ring);
			break;
		default:
			assert_int_equal(lab_start(&lab), 0);
			break;
		}
		assert_true(logged(&log, 0x2000));
	}
}

/* TQ-130 */
static void split_area_shows_what_is_in_flight_where_vhost_user_puts_it(void **state)
{
	struct lab_chain a, b;

	(void)state;
	assert_int_equal(tvq_inflight_bytes(false, SIZE), 16 + 16 * SIZE);
	assert_int_equal(*u16(VERSION), 1);
	assert_int_equal(*u16(DESC_NUM), SIZE);
	add(0);
	add(1);
	take(&a);
	take(&b);
	assert_int_equal(lab.area[entry(a.c.id, S_INFLIGHT)], 1);
	assert_int_equal(lab.area[entry(b.c.id, S_INFLIGHT)], 1);
	assert_int_equal(*u64(entry(b.c.id, S_COUNTER)), 1);
	tvq_ring_add_used(&lab.ring, &b.c, 0);
	assert_int_equal(*u16(S_LAST_BATCH_HEAD), b.c.id);
	tvq_ring_add_used(&lab.ring, &a.c, 0);
	assert_int_equal(*u16(S_LAST_BATCH_HEAD), a.c.id);
	assert_int_equal(*u16(entry(a.c.id, S_NEXT)), b.c.id);
	assert_int_equal(*u16(S_USED_IDX), 0);
	assert_int_equal(lab.area[entry(a.c.id, S_INFLIGHT)], 1);
	tvq_ring_flush(&lab.ring);
	assert_int_equal(*u16(S_USED_IDX), 2);
	assert_int_equal(lab.area[entry(a.c.id, S_INFLIGHT)], 0);
	assert_int_equal(lab.area[entry(b.c.id, S_INFLIGHT)], 0);
}

/* TQ-131: the device died after the used index and before it could say so in the area. */
static void split_batch_that_was_published_is_not_done_again(void **state)
{
	struct lab_chain lc[3], left;
	unsigned int i;

	(void)state;
	for (i = 0; i < 3; i++) {
		add(i);
		take(&lc[i]);
	}
	tvq_ring_add_used(&lab.ring, &lc[2].c, 0);
	tvq_ring_add_used(&lab.ring, &lc[0].c, 0);
	tvq_ring_flush(&lab.ring);
	lab.area[entry(lc[0].c.id, S_INFLIGHT)] = 1;
	lab.area[entry(lc[2].c.id, S_INFLIGHT)] = 1;
	*u16(S_USED_IDX) = 0;
	assert_int_equal(lab_start(&lab), 0);
	assert_int_equal(*u16(S_USED_IDX), 2);
	assert_int_equal(lab.area[entry(lc[2].c.id, S_INFLIGHT)], 0);
	take(&left);
	assert_int_equal(buffer_of(&left), 1);
	assert_int_equal(lab_take1(&lab, &left), 0);
}

/*
 * TQ-131: AVAIL_INDEX does not count, so that whoever recovers the area later finds the same
 * position.
 */
static void split_ring_with_a_new_area_goes_on_at_the_used_index(void **state)
{
	struct lab_chain lc;
	uint16_t a, u;

	(void)state;
	add(0);
	take(&lc);
	tvq_ring_add_used(&lab.ring, &lc.c, 0);
	tvq_ring_flush(&lab.ring);
	add(1);
	memset(lab.area, 0, lab.area_bytes);
	lab.cfg.avail_idx = 7;
	assert_int_equal(lab_start(&lab), 0);
	tvq_ring_position(&lab.ring, &a, &u);
	assert_int_equal(a, 1);
	assert_int_equal(u, 1);
	take(&lc);
	assert_int_equal(buffer_of(&lc), 1);
	assert_int_equal(lab_start(&lab), 0);
	take(&lc);
	assert_int_equal(buffer_of(&lc), 1);
}

/* TQ-131 */
static void split_area_that_disagrees_with_the_ring_is_refused(void **state)
{
	struct vring_avail *avail = (void *)(lab.ring_mem + (lab.cfg.driver - LAB_RING_IOVA));
	struct lab_chain lc;

	(void)state;
	add(0);
	take(&lc);
	*u16(S_USED_IDX) = 1;
	assert_int_equal(lab_start(&lab), -EBADMSG);
	*u16(S_USED_IDX) = (uint16_t) - (SIZE + 1);
	assert_int_equal(lab_start(&lab), -EBADMSG);
	*u16(S_USED_IDX) = 0;
	lab.area[entry(5, S_INFLIGHT)] = 1;
	*u64(entry(5, S_COUNTER)) = 9;
	/* Two in flight, one made available. */
	assert_int_equal(lab_start(&lab), -EBADMSG);
	lab.area[entry(5, S_INFLIGHT)] = 0;
	avail->idx = SIZE + 1;
	assert_int_equal(lab_start(&lab), -EBADMSG);
	avail->idx = 1;
	assert_int_equal(lab_start(&lab), 0);
}

/* TQ-131 */
static void split_links_and_marks_that_cannot_be_are_refused(void **state)
{
	struct lab_chain lc;

	(void)state;
	add(0);
	take(&lc);
	lab.area[entry(lc.c.id, S_INFLIGHT)] = 2;
	assert_int_equal(lab_start(&lab), -EBADMSG);
	lab.area[entry(lc.c.id, S_INFLIGHT)] = 1;
	*u16(S_USED_IDX) = 0xffff;
	*u16(S_LAST_BATCH_HEAD) = SIZE;
	assert_int_equal(lab_start(&lab), -EBADMSG);
	*u16(S_USED_IDX) = 0xfffe;
	*u16(S_LAST_BATCH_HEAD) = 3;
	*u16(entry(3, S_NEXT)) = SIZE;
	assert_int_equal(lab_start(&lab), -EBADMSG);
	*u16(entry(3, S_NEXT)) = 3;
	assert_int_equal(lab_start(&lab), -EBADMSG);
	*u16(entry(3, S_NEXT)) = 4;
	assert_int_equal(lab_start(&lab), 0);
}

/* TQ-131: vhost-user sizes areas for the largest queue. */
static void split_area_for_a_larger_queue_is_taken(void **state)
{
	struct lab_chain lc;

	(void)state;
	add(0);
	take(&lc);
	lab.area_table->r[0].len = 4096;
	lab.cfg.inflight_size = 16 + 16 * 32;
	*u16(DESC_NUM) = 32;
	assert_int_equal(lab_start(&lab), 0);
	take(&lc);
	assert_int_equal(buffer_of(&lc), 0);
}

/* TQ-130 */
static void packed_area_shows_what_is_in_flight_where_vhost_user_puts_it(void **state)
{
	struct lab_chain a, b;

	(void)state;
	assert_int_equal(tvq_inflight_bytes(true, SIZE), 32 + 32 * SIZE);
	assert_int_equal(*u16(VERSION), 1);
	assert_int_equal(*u16(DESC_NUM), SIZE);
	assert_int_equal(lab.area[P_USED_WRAP], 1);
	assert_int_equal(lab.area[P_OLD_USED_WRAP], 1);
	add(0);
	add(1);
	take(&a);
	take(&b);
	assert_int_equal(*u16(P_FREE_HEAD), 4);
	assert_int_equal(*u16(P_OLD_FREE_HEAD), 4);
	assert_int_equal(lab.area[entry(2, P_INFLIGHT)], 1);
	assert_int_equal(*u16(entry(2, P_LAST)), 3);
	assert_int_equal(*u16(entry(2, P_NUM)), 2);
	assert_int_equal(*u64(entry(2, P_COUNTER)), 1);
	assert_int_equal(*u16(entry(3, P_ID)), b.c.id);
	assert_int_equal(*u16(entry(3, P_FLAGS)) & 3, VRING_DESC_F_WRITE);
	assert_int_equal(*(uint32_t *)(void *)(lab.area + entry(3, P_LEN)), 8);
	assert_int_equal(*u64(entry(3, P_ADDR)), LAB_DATA_IOVA + 64 + 32);
	tvq_ring_add_used(&lab.ring, &b.c, 0);
	assert_int_equal(lab.area[entry(2, P_INFLIGHT)], 1);
	tvq_ring_flush(&lab.ring);
	assert_int_equal(lab.area[entry(2, P_INFLIGHT)], 0);
	assert_int_equal(*u16(entry(3, P_NEXT)), 4);
	assert_int_equal(*u16(P_FREE_HEAD), 2);
	assert_int_equal(*u16(P_OLD_FREE_HEAD), 2);
	assert_int_equal(*u16(P_USED_IDX), 2);
	assert_int_equal(*u16(P_OLD_USED_IDX), 2);
}

/*
 * TQ-131: another device died while it returned a batch of two; whether the ring shows the first of
 * them decides.
 */
static void packed_batch_is_undone_or_completed_as_the_ring_says(void **state)
{
	struct vring_packed_desc *slots = (void *)lab.ring_mem;
	struct lab_chain lc[3], again;
	unsigned int i, published;

	(void)state;
	for (i = 0; i < 3; i++) {
		add(i);
		take(&lc[i]);
	}
	for (published = 0; published < 2; published++) {
		/* Entries 0 and 2, buffers 0 and 1, go in front of the free list. */
		*u16(entry(1, P_NEXT)) = 6;
		*u16(entry(3, P_NEXT)) = 0;
		*u16(P_FREE_HEAD) = 2;
		*u16(P_USED_IDX) = 4;
		if (published)
			slots[0].flags |= TVQ_PACKED_USED;
		assert_int_equal(lab_start(&lab), 0);
		for (i = published ? 2 : 0; i < 3; i++) {
			take(&again);
			assert_int_equal(buffer_of(&again), i);
		}
		assert_int_equal(lab_take1(&lab, &again), 0);
		assert_int_equal(*u16(P_FREE_HEAD), published ? 2 : 6);
		assert_int_equal(*u16(P_OLD_FREE_HEAD), published ? 2 : 6);
		assert_int_equal(*u16(P_OLD_USED_IDX), published ? 4 : 0);
		assert_int_equal(lab.area[entry(0, P_INFLIGHT)], !published);
	}
}

/* TQ-131: then only the wrap counters differ. */
static void packed_chain_as_long_as_the_ring_is_completed_where_the_ring_shows_it(void **state)
{
	struct vring_packed_desc *slots;
	struct lab_chain lc;

	(void)state;
	lab_close(&lab);
	lab_open(&lab, true, 2, false, 0);
	lab_add_inflight(&lab);
	assert_int_equal(lab_start(&lab), 0);
	add(0);
	take(&lc);
	slots = (void *)lab.ring_mem;
	*u16(entry(1, P_NEXT)) = *u16(P_FREE_HEAD);
	*u16(P_FREE_HEAD) = 0;
	lab.area[P_USED_WRAP] = 0;
	slots[0].flags |= TVQ_PACKED_USED;
	assert_int_equal(lab_start(&lab), 0);
	assert_int_equal(lab.area[P_OLD_USED_WRAP], 0);
	assert_int_equal(*u16(P_OLD_FREE_HEAD), 0);
	assert_int_equal(lab_take1(&lab, &lc), 0);
}

struct change {
	size_t at;
	unsigned int bytes;
	uint64_t value;
};

/* TQ-131 */
static void packed_links_and_numbers_that_cannot_be_are_refused(void **state)
{
	/* Entries 0-1 and 2-3 are in flight, 4 to 7 free. */
	const struct change changes[] = {
		{ P_USED_IDX, 2, SIZE },
		{ P_OLD_USED_IDX, 2, SIZE },
		{ P_USED_WRAP, 1, 2 },
		{ P_OLD_USED_WRAP, 1, 2 },
		/* free lists that loop, end early, or run into a chain */
		{ entry(7, P_NEXT), 2, 4 },
		{ entry(5, P_NEXT), 2, SIZE },
		{ entry(7, P_NEXT), 2, 3 },
		{ P_OLD_FREE_HEAD, 2, 5 },
		{ P_OLD_FREE_HEAD, 2, SIZE },
		{ P_OLD_FREE_HEAD, 2, 1 },
		{ entry(0, P_NUM), 2, 0 },
		{ entry(0, P_NUM), 2, 3 },
		{ entry(0, P_NUM), 2, SIZE + 1 },
		{ entry(0, P_NUM), 2, 1 },
		{ entry(0, P_LAST), 2, 0 },
		{ entry(0, P_LAST), 2, SIZE },
		{ entry(0, P_NEXT), 2, 0 },
		{ entry(0, P_NEXT), 2, SIZE },
		{ entry(0, P_NEXT), 2, 4 },
		{ entry(0, P_NEXT), 2, 3 },
		{ entry(1, P_INFLIGHT), 1, 1 },
		{ entry(0, P_INFLIGHT), 1, 0 },
		{ entry(1, P_ID), 2, SIZE },
		{ entry(1, P_ID), 2, 1 },
	};
	struct lab_chain lc;
	uint8_t saved[32 + 32 * SIZE];
	unsigned int i;

	(void)state;
	add(0);
	add(1);
	take(&lc);
	take(&lc);
	assert_int_equal(*u16(entry(3, P_ID)), 1);
	memcpy(saved, lab.area, sizeof(saved));
	for (i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		memcpy(lab.area, saved, sizeof(saved));
		memcpy(lab.area + changes[i].at, &changes[i].value, changes[i].bytes);
		if (lab_start(&lab) != -EBADMSG)
			fail_msg("change %u at %zu was not refused", i, changes[i].at);
	}
	memcpy(lab.area, saved, sizeof(saved));
	assert_int_equal(lab_start(&lab), 0);
}

/* TQ-131 TQ-121: the copies of descriptors are judged as the ring's are. */
static void packed_copies_that_break_the_rules_break_the_queue(void **state)
{
	const struct {
		struct change change;
		int err;
	} cases[] = {
		{ { entry(0, P_FLAGS), 2, 0 }, -EBADMSG },
		{ { entry(1, P_FLAGS), 2, VRING_DESC_F_NEXT }, -EBADMSG },
		{ { entry(0, P_FLAGS), 2, VRING_DESC_F_NEXT | VRING_DESC_F_INDIRECT }, -EPROTO },
		{ { entry(0, P_ADDR), 8, LAB_DATA_IOVA - 1 }, -EFAULT },
		{ { entry(1, P_LEN), 4, UINT32_MAX }, -EFAULT },
	};
	struct lab_chain lc;
	uint8_t saved[32 + 32 * SIZE];
	unsigned int i;

	(void)state;
	add(0);
	take(&lc);
	memcpy(saved, lab.area, sizeof(saved));
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memcpy(lab.area, saved, sizeof(saved));
		memcpy(lab.area + cases[i].change.at, &cases[i].change.value,
		       cases[i].change.bytes);
		assert_int_equal(lab_start(&lab), 0);
		assert_int_equal(lab_take1(&lab, &lc), cases[i].err);
		assert_int_equal(lab_take1(&lab, &lc), cases[i].err);
	}
}

/* Sorting 32768 entries in the worst order: quadratic work would take minutes. */
static void largest_area_is_recovered_in_bounded_time(void **state)
{
	struct lab_chain lc;
	unsigned int i;

	(void)state;
	lab_close(&lab);
	lab_open(&lab, false, 32768, false, 0);
	lab_add_inflight(&lab);
	assert_int_equal(lab_start(&lab), 0);
	for (i = 0; i < 32768; i++) {
		lab.area[entry(i, S_INFLIGHT)] = 1;
		*u64(entry(i, S_COUNTER)) = i & 1 ? i : 100000 - i;
	}
	((struct vring_avail *)(void *)(lab.ring_mem + (lab.cfg.driver - LAB_RING_IOVA)))->idx =
		32768;
	assert_int_equal(lab_start(&lab), 0);
	for (i = 0; i < 32768; i++) {
		assert_int_equal(lab_take1(&lab, &lc), 1);
		assert_int_equal(lc.c.id, i < 16384 ? 2 * i + 1 : 65534 - 2 * i);
	}
	assert_int_equal(lab_take1(&lab, &lc), 0);
}

#define S(f) cmocka_unit_test_setup_teardown(f, setup_split, teardown)
#define P(f) cmocka_unit_test_setup_teardown(f, setup_packed, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		S(start_refuses_areas_that_are_too_small_or_not_there),
		P(start_refuses_areas_that_are_too_small_or_not_there),
		S(header_of_another_kind_is_refused),
		P(header_of_another_kind_is_refused),
		S(counters_that_no_device_counted_are_refused),
		P(counters_that_no_device_counted_are_refused),
		S(buffer_made_available_while_it_is_in_flight_breaks_the_queue),
		P(buffer_made_available_while_it_is_in_flight_breaks_the_queue),
		S(chain_returned_twice_breaks_the_queue_and_not_the_area),
		P(chain_returned_twice_breaks_the_queue_and_not_the_area),
		S(writes_into_the_area_are_logged),
		P(writes_into_the_area_are_logged),
		S(split_area_shows_what_is_in_flight_where_vhost_user_puts_it),
		S(split_batch_that_was_published_is_not_done_again),
		S(split_ring_with_a_new_area_goes_on_at_the_used_index),
		S(split_area_that_disagrees_with_the_ring_is_refused),
		S(split_links_and_marks_that_cannot_be_are_refused),
		S(split_area_for_a_larger_queue_is_taken),
		P(packed_area_shows_what_is_in_flight_where_vhost_user_puts_it),
		P(packed_batch_is_undone_or_completed_as_the_ring_says),
		P(packed_chain_as_long_as_the_ring_is_completed_where_the_ring_shows_it),
		P(packed_links_and_numbers_that_cannot_be_are_refused),
		P(packed_copies_that_break_the_rules_break_the_queue),
		S(largest_area_is_recovered_in_bounded_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
