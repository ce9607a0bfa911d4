/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device half of a packed ring against drivers that break the rules, or use them to the full.
 */
#include "ring_lab.h"

#define SIZE	 7
#define NEXT	 VRING_DESC_F_NEXT
#define WRITE	 VRING_DESC_F_WRITE
#define INDIRECT VRING_DESC_F_INDIRECT
#define DATA	 LAB_DATA_IOVA

static struct lab lab;
/* Where the next descriptor goes, as a driver counts. */
static uint16_t slot;
static bool wrap;

static struct vring_packed_desc *descs(void)
{
	return (void *)lab.ring_mem;
}

static struct vring_packed_desc_event *event(uint64_t iova)
{
	return (void *)(lab.ring_mem + (iova - LAB_RING_IOVA));
}

static void put(uint64_t addr, uint32_t len, uint16_t flags, uint16_t id)
{
	descs()[slot] = (struct vring_packed_desc){
		.addr = addr,
		.len = len,
		.id = id,
		.flags = flags | tvq_packed_avail_flags(wrap),
	};
	if (++slot == lab.cfg.size) {
		slot = 0;
		wrap = !wrap;
	}
}

static void put_table(uint64_t iova, unsigned int i, uint64_t addr, uint32_t len, uint16_t flags)
{
	struct vring_packed_desc d = { .addr = addr, .len = len, .id = 0xffff, .flags = flags };
	unsigned int b;

	for (b = 0; b < sizeof(d); b++)
		*lab_byte(&lab, iova + 16 * i + b) = ((uint8_t *)&d)[b];
}

static int setup(void **state)
{
	(void)state;
	lab_open(&lab, true, SIZE, false, 4);
	assert_int_equal(lab_start(&lab), 0);
	slot = 0;
	wrap = true;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	lab_close(&lab);
	return 0;
}

static void expect_broken(int err)
{
	struct lab_chain lc;
	struct tvq_buf b[SIZE];

	/* The fast way leaves it to the other one. */
	assert_int_equal(tvq_ring_take_bufs(&lab.ring, b, SIZE, false), 0);
	assert_int_equal(tvq_ring_take_bufs(&lab.ring, b, SIZE, true), 0);
	assert_int_equal(lab_take1(&lab, &lc), err);
	memset(descs(), 0, 16 * lab.cfg.size);
	assert_int_equal(lab_take1(&lab, &lc), err);
	assert_true(tvq_ring_has_work(&lab.ring));
}

static void use(struct lab_chain *lc, uint32_t written)
{
	tvq_ring_add_used(&lab.ring, &lc->c, written);
	tvq_ring_flush(&lab.ring);
}

/* TQ-092 TQ-094 */
static void start_refuses_bad_sizes_and_misaligned_areas(void **state)
{
	struct tvq_ring_cfg good = lab.cfg;

	(void)state;
	lab.cfg.size = 0;
	assert_int_equal(lab_start(&lab), -EINVAL);
	lab.cfg.size = 32769;
	assert_int_equal(lab_start(&lab), -EINVAL);
	lab.cfg = good;
	lab.cfg.desc += 8;
	assert_int_equal(lab_start(&lab), -EINVAL);
	lab.cfg = good;
	lab.cfg.driver += 2;
	assert_int_equal(lab_start(&lab), -EINVAL);
	lab.cfg = good;
	lab.cfg.device += 2;
	assert_int_equal(lab_start(&lab), -EINVAL);
	lab.cfg = good;
	lab.table->r[0].perm = TVQ_DMA_READ;
	assert_int_equal(lab_start(&lab), -EFAULT);
}

/* TQ-110 */
static void start_refuses_positions_that_the_ring_does_not_have(void **state)
{
	static const uint16_t bad[][2] = {
		{ 0x8000 | SIZE, 0x8000 },
		{ 0x8000, SIZE },
		{ 0xffff, 0xffff },
		/* used before available, by more than a ring */
		{ 0x8002, 0x8003 },
		{ 0x0003, 0x8002 },
	};
	static const uint16_t good[][2] = {
		{ 0x8000, 0x8000 }, { 6, 6 }, { 0x8003, 0x8002 }, { 0x8002, 0x0002 }, { 1, 0x8006 },
	};
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		lab.cfg.avail_idx = bad[i][0];
		lab.cfg.used_idx = bad[i][1];
		assert_int_equal(lab_start(&lab), -EINVAL);
	}
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		uint16_t a, u;

		lab.cfg.avail_idx = good[i][0];
		lab.cfg.used_idx = good[i][1];
		assert_int_equal(lab_start(&lab), 0);
		tvq_ring_position(&lab.ring, &a, &u);
		assert_int_equal(a, good[i][0]);
		assert_int_equal(u, good[i][1]);
	}
}

/* TQ-025 */
static void buffer_id_out_of_range_breaks_the_queue(void **state)
{
	(void)state;
	put(DATA, 16, 0, SIZE);
	expect_broken(-EBADMSG);
}

/* TQ-025 */
static void chain_longer_than_the_ring_breaks_the_queue(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < SIZE; i++)
		put(DATA, 16, NEXT, 1);
	expect_broken(-ELOOP);
}

/* TQ-025 */
static void chain_that_runs_into_slots_not_yet_used_breaks_the_queue(void **state)
{
	struct lab_chain lc;
	unsigned int i;

	(void)state;
	put(DATA, 16, NEXT, 1);
	put(DATA, 16, 0, 1);
	assert_int_equal(lab_take1(&lab, &lc), 1);
	for (i = 2; i < SIZE; i++)
		put(DATA, 16, NEXT, 2);
	expect_broken(-EBADMSG);
}

/* TQ-025 */
static void lap_that_overtakes_the_device_breaks_the_queue(void **state)
{
	struct lab_chain lc;
	unsigned int i;

	(void)state;
	for (i = 0; i < SIZE; i++) {
		put(DATA, 16, 0, (uint16_t)i);
		assert_int_equal(lab_take1(&lab, &lc), 1);
	}
	put(DATA, 16, 0, 0);
	expect_broken(-EBADMSG);
}

/* TQ-025 */
static void good_chains_before_a_bad_one_are_given_out_first(void **state)
{
	struct lab_chain lc[3];
	struct tvq_chain *c[3];
	unsigned int i;

	(void)state;
	for (i = 0; i < 3; i++)
		c[i] = lab_chain(&lc[i], LAB_SEGS);
	put(DATA, 16, 0, 4);
	put(DATA, 16, WRITE, 5);
	put(DATA - 16, 16, 0, 6);
	assert_int_equal(tvq_ring_take(&lab.ring, c, 3), 2);
	assert_int_equal(c[1]->id, 5);
	assert_int_equal(tvq_ring_take(&lab.ring, c, 3), -EFAULT);
	assert_int_equal(tvq_ring_take(&lab.ring, c, 3), -EFAULT);
}

/* TQ-025 */
static void readable_after_writable_breaks_the_queue(void **state)
{
	(void)state;
	put(DATA, 16, NEXT | WRITE, 0);
	put(DATA, 16, 0, 0);
	expect_broken(-EPROTO);
}

/* TQ-025 TQ-121 */
static void buffer_outside_the_space_breaks_the_queue(void **state)
{
	(void)state;
	put(DATA + LAB_REGIONS * LAB_REGION_BYTES, 1, WRITE, 0);
	expect_broken(-EFAULT);
}

/* TQ-025 */
static void indirect_table_that_was_not_negotiated_breaks_the_queue(void **state)
{
	(void)state;
	lab.cfg.indirect = false;
	assert_int_equal(lab_start(&lab), 0);
	put_table(DATA, 0, DATA + 4096, 16, 0);
	put(DATA, 16, INDIRECT, 0);
	expect_broken(-EPROTO);
}

/* TQ-025 */
static void indirect_table_inside_a_chain_breaks_the_queue(void **state)
{
	(void)state;
	put_table(DATA, 0, DATA + 4096, 16, 0);
	put(DATA, 16, NEXT, 0);
	put(DATA, 16, INDIRECT, 0);
	expect_broken(-EPROTO);
}

/* TQ-025 */
static void indirect_table_that_begins_a_chain_breaks_the_queue(void **state)
{
	(void)state;
	put_table(DATA, 0, DATA + 4096, 16, 0);
	put(DATA, 16, INDIRECT | NEXT, 0);
	put(DATA, 16, 0, 0);
	expect_broken(-EPROTO);
}

/* TQ-025 */
static void nested_indirect_table_breaks_the_queue(void **state)
{
	(void)state;
	put_table(DATA, 0, DATA, 16, INDIRECT);
	put(DATA, 16, INDIRECT, 0);
	expect_broken(-EPROTO);
}

/* TQ-025 */
static void indirect_table_of_a_length_that_no_table_has_breaks_the_queue(void **state)
{
	static const uint32_t lengths[] = { 0, 8, 24, 16 * 32768 + 16 };
	unsigned int i;

	(void)state;
	lab.table->r[1].len = 1ull << 33;
	lab.table->n = 2;
	for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		assert_int_equal(lab_start(&lab), 0);
		slot = 0;
		wrap = true;
		put_table(DATA, 0, DATA + 4096, 16, 0);
		put(DATA, lengths[i], INDIRECT, 0);
		expect_broken(-EPROTO);
	}
}

/* TQ-025 TQ-121 */
static void indirect_table_that_points_outside_breaks_the_queue(void **state)
{
	(void)state;
	put(DATA - 64, 16, INDIRECT, 0);
	expect_broken(-EFAULT);
}

static void all_entries_of_an_indirect_table_belong_to_the_chain_whatever_their_flags(void **state)
{
	struct lab_chain lc;

	(void)state;
	put_table(DATA, 0, DATA + 4096, 16, NEXT | tvq_packed_avail_flags(false));
	put_table(DATA, 1, DATA + 8192, 8, WRITE);
	put_table(DATA, 2, DATA + 9000, 1, WRITE | NEXT);
	put(DATA, 48, INDIRECT | WRITE, 3);
	assert_int_equal(lab_take1(&lab, &lc), 1);
	assert_int_equal(lc.c.id, 3);
	assert_int_equal(lc.c.n_desc, 1);
	assert_int_equal(lc.c.n_out, 1);
	assert_int_equal(lc.c.n_in, 2);
	assert_ptr_equal(lc.seg[2].va, lab.data[0] + 9000);
}

static void indirect_table_that_spans_two_regions_is_taken(void **state)
{
	const uint64_t at = DATA + LAB_REGION_BYTES - 20;
	struct lab_chain lc;

	(void)state;
	put_table(at, 0, DATA, 16, 0);
	put_table(at, 1, DATA + 32, 5, WRITE);
	put(at, 32, INDIRECT, 0);
	assert_int_equal(lab_take1(&lab, &lc), 1);
	assert_ptr_equal(lc.seg[1].va, lab.data[0] + 32);
	assert_int_equal(lc.seg[1].len, 5);
}

static void chain_over_the_end_of_the_ring_takes_the_id_of_its_last_descriptor(void **state)
{
	struct lab_chain lc;
	uint16_t a, u;

	(void)state;
	lab.cfg.avail_idx = 0x8000 | (SIZE - 1);
	lab.cfg.used_idx = 0x8000 | (SIZE - 1);
	assert_int_equal(lab_start(&lab), 0);
	slot = SIZE - 1;
	put(DATA, 16, NEXT, 0xffff);
	put(DATA + 64, 1, WRITE, 2);
	assert_int_equal(lab_take1(&lab, &lc), 1);
	assert_int_equal(lc.c.id, 2);
	assert_int_equal(lc.c.n_desc, 2);
	tvq_ring_untake(&lab.ring, &lc.c);
	assert_int_equal(lab_take1(&lab, &lc), 1);
	use(&lc, 1);
	assert_int_equal(descs()[SIZE - 1].id, 2);
	assert_int_equal(descs()[SIZE - 1].len, 1);
	assert_int_equal(descs()[SIZE - 1].flags, WRITE | TVQ_PACKED_AVAIL | TVQ_PACKED_USED);
	tvq_ring_position(&lab.ring, &a, &u);
	assert_int_equal(a, 1);
	assert_int_equal(u, 1);
}

static void first_of_a_batch_publishes_all_and_none_before_it_is_flushed(void **state)
{
	struct lab_chain lc[3];
	unsigned int i;

	(void)state;
	for (i = 0; i < 3; i++) {
		put(DATA, 16, 0, (uint16_t)i);
		assert_int_equal(lab_take1(&lab, &lc[i]), 1);
	}
	for (i = 3; i-- > 0;)
		tvq_ring_add_used(&lab.ring, &lc[i].c, 0);
	assert_int_equal(descs()[0].flags, TVQ_PACKED_AVAIL);
	assert_true(tvq_ring_flush(&lab.ring));
	for (i = 0; i < 3; i++) {
		assert_int_equal(descs()[i].id, 2 - i);
		/* Nothing was written, so the length does not count. */
		assert_int_equal(descs()[i].flags, TVQ_PACKED_AVAIL | TVQ_PACKED_USED);
	}
	assert_false(tvq_ring_flush(&lab.ring));
}

/* TQ-087 */
static void event_that_names_a_slot_asks_for_one_interrupt_there(void **state)
{
	struct lab_chain lc;
	unsigned int i;

	(void)state;
	lab.cfg.event_idx = true;
	assert_int_equal(lab_start(&lab), 0);
	event(lab.cfg.driver)->flags = VRING_PACKED_EVENT_FLAG_DESC;
	/* Slot 1 of the second lap. */
	event(lab.cfg.driver)->off_wrap = 1;
	for (i = 0; i < 3 * SIZE; i++) {
		put(DATA, 16, 0, 0);
		assert_int_equal(lab_take1(&lab, &lc), 1);
		tvq_ring_add_used(&lab.ring, &lc.c, 0);
		assert_int_equal(tvq_ring_flush(&lab.ring), i == SIZE + 1);
	}
	event(lab.cfg.driver)->flags = VRING_PACKED_EVENT_FLAG_DISABLE;
	put(DATA, 16, 0, 0);
	assert_int_equal(lab_take1(&lab, &lc), 1);
	tvq_ring_add_used(&lab.ring, &lc.c, 0);
	assert_false(tvq_ring_flush(&lab.ring));
	event(lab.cfg.driver)->flags = VRING_PACKED_EVENT_FLAG_ENABLE;
	put(DATA, 16, 0, 0);
	assert_int_equal(lab_take1(&lab, &lc), 1);
	tvq_ring_add_used(&lab.ring, &lc.c, 0);
	assert_true(tvq_ring_flush(&lab.ring));
}

static void wish_to_be_notified_names_the_next_slot(void **state)
{
	struct lab_chain lc;

	(void)state;
	tvq_ring_notify_off(&lab.ring);
	assert_int_equal(event(lab.cfg.device)->flags, VRING_PACKED_EVENT_FLAG_DISABLE);
	assert_false(tvq_ring_notify_on(&lab.ring));
	assert_int_equal(event(lab.cfg.device)->flags, VRING_PACKED_EVENT_FLAG_ENABLE);
	lab.ring.event_idx = true;
	put(DATA, 16, 0, 0);
	assert_true(tvq_ring_notify_on(&lab.ring));
	assert_int_equal(lab_take1(&lab, &lc), 1);
	assert_false(tvq_ring_notify_on(&lab.ring));
	assert_int_equal(event(lab.cfg.device)->flags, VRING_PACKED_EVENT_FLAG_DESC);
	assert_int_equal(event(lab.cfg.device)->off_wrap, 0x8001);
}

static bool logged(const struct tvq_dma_log *log, uint64_t iova)
{
	return log->bits[iova / 4096 / 8] & 1 << (iova / 4096 % 8);
}

static void clear_log(struct tvq_dma_log *log)
{
	uint64_t i;

	for (i = 0; i < log->len / 4096 / 8; i++)
		log->bits[i] = 0;
}

static void every_write_into_the_ring_is_logged(void **state)
{
	static _Atomic uint8_t bits[0x80000000ull / 4096 / 8];
	struct tvq_dma_log log = { bits, 0x80000000ull };
	struct lab_chain lc[2];

	(void)state;
	lab.cfg.device = LAB_DATA_IOVA;
	/* Slots 0 and 1 end one page, the others begin the next. */
	lab.cfg.desc = LAB_RING_IOVA + 4096 - 32;
	lab.ring_mem = lab_pages(lab.ring_bytes + 4096);
	lab.table->r[0].va = lab.ring_mem;
	lab.table->r[0].len += 4096;
	lab.view.log = &log;
	assert_int_equal(lab_start(&lab), 0);
	lab.ring_mem += 4096 - 32;
	put(DATA + 0x2000, 16, NEXT, 0);
	put(DATA + 0x3000, 16, WRITE, 0);
	put(DATA + 0x2000, 16, 0, 1);
	lab.ring_mem -= 4096 - 32;
	assert_int_equal(lab_take1(&lab, &lc[0]), 1);
	assert_int_equal(lab_take1(&lab, &lc[1]), 1);
	assert_int_equal(lc[0].iova[1], DATA + 0x3000);
	assert_false(logged(&log, LAB_RING_IOVA));
	tvq_ring_add_used(&lab.ring, &lc[0].c, 16);
	tvq_ring_add_used(&lab.ring, &lc[1].c, 0);
	assert_true(logged(&log, LAB_RING_IOVA + 4096));
	assert_false(logged(&log, LAB_RING_IOVA));
	tvq_ring_flush(&lab.ring);
	assert_true(logged(&log, LAB_RING_IOVA));
	clear_log(&log);
	tvq_ring_notify_off(&lab.ring);
	assert_true(logged(&log, LAB_DATA_IOVA));
	clear_log(&log);
	tvq_ring_notify_on(&lab.ring);
	assert_true(logged(&log, LAB_DATA_IOVA));
	assert_false(logged(&log, LAB_RING_IOVA));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(start_refuses_bad_sizes_and_misaligned_areas),
		T(start_refuses_positions_that_the_ring_does_not_have),
		T(buffer_id_out_of_range_breaks_the_queue),
		T(chain_longer_than_the_ring_breaks_the_queue),
		T(chain_that_runs_into_slots_not_yet_used_breaks_the_queue),
		T(lap_that_overtakes_the_device_breaks_the_queue),
		T(good_chains_before_a_bad_one_are_given_out_first),
		T(readable_after_writable_breaks_the_queue),
		T(buffer_outside_the_space_breaks_the_queue),
		T(indirect_table_that_was_not_negotiated_breaks_the_queue),
		T(indirect_table_inside_a_chain_breaks_the_queue),
		T(indirect_table_that_begins_a_chain_breaks_the_queue),
		T(nested_indirect_table_breaks_the_queue),
		T(indirect_table_of_a_length_that_no_table_has_breaks_the_queue),
		T(indirect_table_that_points_outside_breaks_the_queue),
		T(all_entries_of_an_indirect_table_belong_to_the_chain_whatever_their_flags),
		T(indirect_table_that_spans_two_regions_is_taken),
		T(chain_over_the_end_of_the_ring_takes_the_id_of_its_last_descriptor),
		T(first_of_a_batch_publishes_all_and_none_before_it_is_flushed),
		T(event_that_names_a_slot_asks_for_one_interrupt_there),
		T(wish_to_be_notified_names_the_next_slot),
		T(every_write_into_the_ring_is_logged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
