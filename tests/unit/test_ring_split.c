/* SPDX-License-Identifier: BSD-3-Clause */
/* The device half of a split ring against drivers that break the rules, or use them to the full. */
#include "ring_lab.h"

#define SIZE	 8
#define NEXT	 VRING_DESC_F_NEXT
#define WRITE	 VRING_DESC_F_WRITE
#define INDIRECT VRING_DESC_F_INDIRECT
#define DATA	 LAB_DATA_IOVA

static struct lab lab;

static struct vring_desc *descs(void)
{
	return (void *)lab.ring_mem;
}

static struct vring_avail *avail(void)
{
	return (void *)(lab.ring_mem + (lab.cfg.driver - LAB_RING_IOVA));
}

static struct vring_used *used(void)
{
	return (void *)(lab.ring_mem + (lab.cfg.device - LAB_RING_IOVA));
}

static void put(unsigned int i, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
	descs()[i] = (struct vring_desc){ .addr = addr, .len = len, .flags = flags, .next = next };
}

static void offer(uint16_t head)
{
	avail()->ring[avail()->idx % lab.cfg.size] = head;
	avail()->idx++;
}

static void put_table(uint64_t iova, unsigned int i, uint64_t addr, uint32_t len, uint16_t flags,
		      uint16_t next)
{
	struct vring_desc d = { .addr = addr, .len = len, .flags = flags, .next = next };
	unsigned int b;

	for (b = 0; b < sizeof(d); b++)
		*lab_byte(&lab, iova + 16 * i + b) = ((uint8_t *)&d)[b];
}

static int setup(void **state)
{
	(void)state;
	lab_open(&lab, false, SIZE, false, 4);
	assert_int_equal(lab_start(&lab), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	lab_close(&lab);
	return 0;
}

/* The chain at head 0 ends in err, now and ever after, and nothing is given out. */
static void expect_broken(int err)
{
	struct lab_chain lc;
	struct tvq_buf b[SIZE];

	offer(0);
	assert_true(tvq_ring_has_work(&lab.ring));
	/* The fast way leaves it to the other one. */
	assert_int_equal(tvq_ring_take_bufs(&lab.ring, b, SIZE, false), 0);
	assert_int_equal(tvq_ring_take_bufs(&lab.ring, b, SIZE, true), 0);
	assert_int_equal(lab_take1(&lab, &lc), err);
	put(0, DATA, 16, 0, 0);
	assert_int_equal(lab_take1(&lab, &lc), err);
}

/* TQ-092 TQ-094 */
static void start_refuses_bad_sizes_and_misaligned_or_wrapping_areas(void **state)
{
	struct tvq_ring_cfg good = lab.cfg;

	(void)state;
	lab.cfg.size = 0;
	assert_int_equal(lab_start(&lab), -EINVAL);
	lab.cfg.size = 6;
	assert_int_equal(lab_start(&lab), -EINVAL);
	lab.cfg.size = 0xffff;
	assert_int_equal(lab_start(&lab), -EINVAL);
	lab.cfg = good;
	lab.cfg.desc += 8;
	assert_int_equal(lab_start(&lab), -EINVAL);
	lab.cfg = good;
	lab.cfg.driver += 1;
	assert_int_equal(lab_start(&lab), -EINVAL);
	lab.cfg = good;
	lab.cfg.device += 2;
	assert_int_equal(lab_start(&lab), -EINVAL);
	lab.cfg = good;
	lab.cfg.desc = UINT64_MAX - 63;
	assert_int_equal(lab_start(&lab), -EINVAL);
	lab.cfg = good;
	lab.cfg.driver = UINT64_MAX - 3;
	assert_int_equal(lab_start(&lab), -EINVAL);
	lab.cfg = good;
	lab.cfg.device = UINT64_MAX - 3;
	assert_int_equal(lab_start(&lab), -EINVAL);
	lab.cfg = good;
	assert_int_equal(lab_start(&lab), 0);
}

/* TQ-094 TQ-121 */
static void start_refuses_areas_that_are_not_mapped_as_they_have_to_be(void **state)
{
	struct tvq_ring_cfg good = lab.cfg;
	struct tvq_region *r = &lab.table->r[0];

	(void)state;
	lab.cfg.desc = LAB_RING_IOVA - 16;
	assert_int_equal(lab_start(&lab), -EFAULT);
	lab.cfg = good;
	lab.cfg.driver = LAB_RING_IOVA + lab.ring_bytes - 4;
	assert_int_equal(lab_start(&lab), -EFAULT);
	/* From one region into the next one, which is not the next one in memory. */
	lab.cfg = good;
	lab.cfg.device = LAB_DATA_IOVA + LAB_REGION_BYTES - 16;
	assert_int_equal(lab_start(&lab), -EFAULT);
	lab.cfg = good;
	r->perm = TVQ_DMA_READ;
	assert_int_equal(lab_start(&lab), -EFAULT);
	r->perm = TVQ_DMA_WRITE;
	assert_int_equal(lab_start(&lab), -EFAULT);
	r->perm = TVQ_DMA_READ | TVQ_DMA_WRITE;
	r->va = NULL;
	assert_int_equal(lab_start(&lab), -EFAULT);
	r->va = lab.ring_mem;
	assert_int_equal(lab_start(&lab), 0);
}

/* TQ-025 */
static void available_index_that_moves_too_far_breaks_the_queue(void **state)
{
	struct lab_chain lc;

	(void)state;
	avail()->idx = SIZE + 1;
	assert_int_equal(lab_take1(&lab, &lc), -EBADMSG);
	avail()->idx = 1;
	assert_int_equal(lab_take1(&lab, &lc), -EBADMSG);
}

/* TQ-025 */
static void available_index_that_counts_chains_not_yet_used_twice_breaks_the_queue(void **state)
{
	struct lab_chain lc[SIZE + 1];
	unsigned int i;

	(void)state;
	put(0, DATA, 16, 0, 0);
	for (i = 0; i < SIZE; i++)
		offer(0);
	for (i = 0; i < SIZE; i++)
		assert_int_equal(lab_take1(&lab, &lc[i]), 1);
	/* Seven in the device's hands, so two more are one too many. */
	tvq_ring_add_used(&lab.ring, &lc[0].c, 0);
	tvq_ring_flush(&lab.ring);
	avail()->idx += 2;
	assert_int_equal(lab_take1(&lab, &lc[SIZE]), -EBADMSG);
}

/* TQ-025 */
static void available_index_that_moves_back_breaks_the_queue(void **state)
{
	struct lab_chain lc;

	(void)state;
	put(0, DATA, 16, 0, 0);
	offer(0);
	offer(0);
	assert_int_equal(lab_take1(&lab, &lc), 1);
	assert_int_equal(lab_take1(&lab, &lc), 1);
	avail()->idx = 1;
	assert_int_equal(lab_take1(&lab, &lc), -EBADMSG);
}

/* TQ-025 */
static void good_chains_before_a_bad_one_are_given_out_first(void **state)
{
	struct lab_chain lc[4];
	struct tvq_chain *c[4];
	unsigned int i;

	(void)state;
	put(0, DATA, 16, 0, 0);
	put(1, DATA + 64, 16, WRITE, 0);
	for (i = 0; i < 4; i++)
		c[i] = lab_chain(&lc[i], LAB_SEGS);
	offer(0);
	offer(1);
	offer(SIZE);
	offer(0);
	assert_int_equal(tvq_ring_take(&lab.ring, c, 4), 2);
	assert_int_equal(c[1]->id, 1);
	assert_int_equal(tvq_ring_take(&lab.ring, c, 4), -EBADMSG);
	assert_int_equal(tvq_ring_take(&lab.ring, c, 4), -EBADMSG);
	/* What was taken can still be returned. */
	tvq_ring_add_used(&lab.ring, c[1], 16);
	tvq_ring_flush(&lab.ring);
	assert_int_equal(used()->idx, 1);
	assert_int_equal(used()->ring[0].id, 1);
	assert_int_equal(used()->ring[0].len, 16);
}

/* TQ-025 */
static void next_out_of_range_breaks_the_queue(void **state)
{
	(void)state;
	put(0, DATA, 16, NEXT, SIZE);
	expect_broken(-EBADMSG);
}

/* TQ-025 */
static void chain_that_loops_breaks_the_queue(void **state)
{
	(void)state;
	put(0, DATA, 16, NEXT, 1);
	put(1, DATA, 16, NEXT, 0);
	expect_broken(-ELOOP);
}

/* TQ-025 */
static void readable_after_writable_breaks_the_queue(void **state)
{
	(void)state;
	put(0, DATA, 16, WRITE | NEXT, 1);
	put(1, DATA, 16, 0, 0);
	expect_broken(-EPROTO);
}

/* TQ-025 */
static void readable_after_an_empty_writable_one_breaks_the_queue_too(void **state)
{
	(void)state;
	put(0, DATA, 0, WRITE | NEXT, 1);
	put(1, DATA, 16, 0, 0);
	expect_broken(-EPROTO);
}

/* TQ-025 TQ-121 */
static void buffer_outside_the_space_breaks_the_queue(void **state)
{
	(void)state;
	put(0, DATA - 1, 16, 0, 0);
	expect_broken(-EFAULT);
}

/* TQ-025 TQ-121 */
static void buffer_that_runs_off_the_end_of_the_space_breaks_the_queue(void **state)
{
	(void)state;
	put(0, DATA + LAB_REGIONS * LAB_REGION_BYTES - 16, 17, 0, 0);
	expect_broken(-EFAULT);
}

/* TQ-025 */
static void buffer_that_wraps_breaks_the_queue(void **state)
{
	(void)state;
	lab.table->r[LAB_REGIONS].iova = -(uint64_t)LAB_REGION_BYTES;
	put(0, UINT64_MAX - 15, 17, 0, 0);
	expect_broken(-EFAULT);
}

/* TQ-121 */
static void buffer_at_the_very_end_of_the_address_range_is_taken(void **state)
{
	struct lab_chain lc;

	(void)state;
	lab.table->r[LAB_REGIONS].iova = -(uint64_t)LAB_REGION_BYTES;
	put(0, UINT64_MAX - 15, 16, 0, 0);
	offer(0);
	assert_int_equal(lab_take1(&lab, &lc), 1);
	assert_ptr_equal(lc.seg[0].va, lab.data[LAB_REGIONS - 1] + LAB_REGION_BYTES - 16);
}

/* TQ-025 */
static void writing_where_only_reading_is_allowed_breaks_the_queue(void **state)
{
	struct lab_chain lc;

	(void)state;
	lab.table->r[1].perm = TVQ_DMA_READ;
	put(1, DATA, 16, 0, 0);
	offer(1);
	assert_int_equal(lab_take1(&lab, &lc), 1);
	put(0, DATA, 16, WRITE, 0);
	expect_broken(-EFAULT);
}

/* TQ-025 */
static void second_region_without_the_right_breaks_the_queue(void **state)
{
	(void)state;
	lab.table->r[2].perm = TVQ_DMA_READ;
	put(0, DATA + LAB_REGION_BYTES - 8, 16, WRITE, 0);
	expect_broken(-EFAULT);
}

/* TQ-121 */
static void memory_that_cannot_be_reached_breaks_the_queue(void **state)
{
	(void)state;
	lab.table->r[1].va = NULL;
	put(0, DATA, 16, 0, 0);
	expect_broken(-EFAULT);
}

static void buffer_over_three_regions_becomes_three_segments(void **state)
{
	struct lab_chain lc;

	(void)state;
	put(0, DATA + LAB_REGION_BYTES - 8, 16 + LAB_REGION_BYTES, WRITE, 0);
	offer(0);
	assert_int_equal(lab_take1(&lab, &lc), 1);
	assert_int_equal(lc.c.n_out, 0);
	assert_int_equal(lc.c.n_in, 3);
	assert_int_equal(lc.c.in_len, 16 + LAB_REGION_BYTES);
	assert_ptr_equal(lc.seg[0].va, lab.data[0] + LAB_REGION_BYTES - 8);
	assert_int_equal(lc.seg[0].len, 8);
	assert_ptr_equal(lc.seg[1].va, lab.data[1]);
	assert_int_equal(lc.seg[1].len, LAB_REGION_BYTES);
	assert_ptr_equal(lc.seg[2].va, lab.data[2]);
	assert_int_equal(lc.seg[2].len, 8);
}

static void empty_descriptors_leave_no_segment_and_need_no_address(void **state)
{
	struct lab_chain lc;

	(void)state;
	put(0, 0, 0, NEXT, 1);
	put(1, DATA, 16, NEXT, 2);
	put(2, 0, 0, NEXT | WRITE, 3);
	put(3, DATA + 16, 1, WRITE, 0);
	offer(0);
	assert_int_equal(lab_take1(&lab, &lc), 1);
	assert_int_equal(lc.c.n_out, 1);
	assert_int_equal(lc.c.n_in, 1);
	assert_int_equal(lc.c.n_desc, 4);
}

static void chain_with_more_segments_than_room_keeps_its_first_ones_and_its_last(void **state)
{
	struct lab_chain lc;
	struct tvq_chain *c = lab_chain(&lc, 3);
	unsigned int i;

	(void)state;
	for (i = 0; i < 6; i++)
		put(i, DATA + 100 * i, 10 + i,
		    i < 3   ? NEXT
		    : i < 5 ? NEXT | WRITE
			    : WRITE,
		    (uint16_t)(i + 1));
	offer(0);
	assert_int_equal(tvq_ring_take(&lab.ring, &c, 1), 1);
	assert_true(c->too_long);
	assert_int_equal(c->n_out, 2);
	assert_int_equal(c->n_in, 1);
	assert_ptr_equal(lc.seg[0].va, lab.data[0]);
	assert_ptr_equal(lc.seg[1].va, lab.data[0] + 100);
	assert_ptr_equal(lc.seg[2].va, lab.data[0] + 500);
	assert_int_equal(lc.seg[2].len, 15);
	assert_int_equal(c->out_len, 10 + 11 + 12);
	assert_int_equal(c->in_len, 13 + 14 + 15);
	/*
	 * As many segments as there is room are no reason to refuse; and the flag does not stick.
	 */
	c->max_seg = 6;
	offer(0);
	assert_int_equal(tvq_ring_take(&lab.ring, &c, 1), 1);
	assert_false(c->too_long);
	assert_int_equal(c->n_out, 3);
}

static void buffer_over_regions_without_room_keeps_the_piece_with_the_last_byte(void **state)
{
	struct lab_chain lc;
	struct tvq_chain *c = lab_chain(&lc, 2);

	(void)state;
	put(0, DATA, 16, NEXT, 1);
	put(1, DATA + LAB_REGION_BYTES - 8, 20 + 2 * LAB_REGION_BYTES, WRITE, 0);
	offer(0);
	assert_int_equal(tvq_ring_take(&lab.ring, &c, 1), 1);
	assert_true(c->too_long);
	assert_int_equal(c->n_out, 1);
	assert_int_equal(c->n_in, 1);
	assert_ptr_equal(lc.seg[1].va, lab.data[3]);
	assert_int_equal(lc.seg[1].len, 12);
	assert_int_equal(c->in_len, 20 + 2 * LAB_REGION_BYTES);
}

static void lengths_beyond_32_bits_saturate(void **state)
{
	struct lab_chain lc;

	(void)state;
	/* Never touched: the device half looks at addresses only. */
	lab.table->r[LAB_REGIONS].len = 1ull << 40;
	put(0, lab.table->r[LAB_REGIONS].iova, UINT32_MAX, NEXT, 1);
	put(1, lab.table->r[LAB_REGIONS].iova, UINT32_MAX, NEXT, 2);
	put(2, lab.table->r[LAB_REGIONS].iova, UINT32_MAX, NEXT | WRITE, 3);
	put(3, lab.table->r[LAB_REGIONS].iova, 2, WRITE, 0);
	offer(0);
	assert_int_equal(lab_take1(&lab, &lc), 1);
	assert_int_equal(lc.c.out_len, UINT32_MAX);
	assert_int_equal(lc.c.in_len, UINT32_MAX);
	assert_int_equal(lc.seg[2].len, UINT32_MAX);
}

/* TQ-025 */
static void indirect_table_that_was_not_negotiated_breaks_the_queue(void **state)
{
	(void)state;
	lab.cfg.indirect = false;
	assert_int_equal(lab_start(&lab), 0);
	put_table(DATA, 0, DATA + 4096, 16, 0, 0);
	put(0, DATA, 16, INDIRECT, 0);
	expect_broken(-EPROTO);
}

/* TQ-025 */
static void indirect_table_that_goes_on_in_the_ring_breaks_the_queue(void **state)
{
	(void)state;
	put_table(DATA, 0, DATA + 4096, 16, 0, 0);
	put(0, DATA, 16, INDIRECT | NEXT, 1);
	put(1, DATA, 16, 0, 0);
	expect_broken(-EPROTO);
}

/* TQ-025 */
static void nested_indirect_table_breaks_the_queue(void **state)
{
	(void)state;
	put_table(DATA, 0, DATA + 16, 16, INDIRECT, 0);
	put_table(DATA, 1, DATA + 4096, 16, 0, 0);
	put(0, DATA, 16, INDIRECT, 0);
	expect_broken(-EPROTO);
}

/* TQ-025 */
static void indirect_table_of_a_length_that_no_table_has_breaks_the_queue(void **state)
{
	static const uint32_t lengths[] = { 0, 1, 15, 17, 16 * 32768 + 16, 0xfffffff0 };
	unsigned int i;

	(void)state;
	lab.table->r[1].len = 1ull << 33;
	lab.table->n = 2;
	for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		assert_int_equal(lab_start(&lab), 0);
		avail()->idx = 0;
		put_table(DATA, 0, DATA + 4096, 16, 0, 0);
		put(0, DATA, lengths[i], INDIRECT, 0);
		expect_broken(-EPROTO);
	}
}

/* TQ-025 TQ-121 */
static void indirect_table_that_points_outside_breaks_the_queue(void **state)
{
	(void)state;
	put(0, DATA - 4096, 16, INDIRECT, 0);
	expect_broken(-EFAULT);
}

/* TQ-025 */
static void indirect_table_that_runs_out_of_the_space_breaks_the_queue(void **state)
{
	const uint64_t at = DATA + LAB_REGIONS * LAB_REGION_BYTES - 16;

	(void)state;
	put_table(at, 0, DATA, 16, NEXT, 1);
	put(0, at, 32, INDIRECT, 0);
	expect_broken(-EFAULT);
}

/* TQ-025 */
static void indirect_table_that_wraps_breaks_the_queue(void **state)
{
	(void)state;
	put(0, UINT64_MAX - 15, 32, INDIRECT, 0);
	expect_broken(-EFAULT);
}

/* TQ-025 */
static void next_outside_the_indirect_table_breaks_the_queue(void **state)
{
	(void)state;
	put_table(DATA, 0, DATA + 4096, 16, NEXT, 2);
	put_table(DATA, 1, DATA + 4096, 16, 0, 0);
	put_table(DATA, 2, DATA + 4096, 16, 0, 0);
	put(0, DATA, 32, INDIRECT, 0);
	expect_broken(-EBADMSG);
}

/* TQ-025 */
static void indirect_table_that_loops_breaks_the_queue(void **state)
{
	(void)state;
	put_table(DATA, 0, DATA + 4096, 16, NEXT, 1);
	put_table(DATA, 1, DATA + 4096, 16, NEXT, 0);
	put(0, DATA, 32, INDIRECT, 0);
	expect_broken(-ELOOP);
}

/* TQ-025 */
static void readable_in_a_table_after_writable_in_the_ring_breaks_the_queue(void **state)
{
	(void)state;
	put_table(DATA, 0, DATA + 4096, 16, 0, 0);
	put(0, DATA + 4096, 16, NEXT | WRITE, 1);
	put(1, DATA, 16, INDIRECT, 0);
	expect_broken(-EPROTO);
}

static void indirect_table_behind_direct_descriptors_ends_the_chain(void **state)
{
	struct lab_chain lc;

	(void)state;
	put_table(DATA, 0, DATA + 4096, 16, NEXT, 1);
	put_table(DATA, 1, DATA + 8192, 1, WRITE, 0);
	put(3, DATA + 64, 8, NEXT, 5);
	/* WRITE means nothing on the descriptor of a table. */
	put(5, DATA, 32, INDIRECT | WRITE, 0);
	offer(3);
	assert_int_equal(lab_take1(&lab, &lc), 1);
	assert_int_equal(lc.c.id, 3);
	assert_int_equal(lc.c.n_desc, 2);
	assert_int_equal(lc.c.n_out, 2);
	assert_int_equal(lc.c.n_in, 1);
	assert_ptr_equal(lc.seg[2].va, lab.data[0] + 8192);
}

static void indirect_table_longer_than_the_queue_is_taken(void **state)
{
	struct lab_chain lc;
	unsigned int i;

	(void)state;
	for (i = 0; i < 40; i++)
		put_table(DATA, i, DATA + 4096 + i, 1, i < 39 ? NEXT : 0, (uint16_t)(i + 1));
	put(0, DATA, 40 * 16, INDIRECT, 0);
	offer(0);
	assert_int_equal(lab_take1(&lab, &lc), 1);
	assert_int_equal(lc.c.n_out, 40);
	assert_int_equal(lc.c.out_len, 40);
	assert_int_equal(lc.c.n_desc, 1);
}

static void indirect_table_that_spans_two_regions_at_any_byte_is_taken(void **state)
{
	struct lab_chain lc;
	unsigned int off;

	(void)state;
	for (off = 0; off <= 48; off++) {
		const uint64_t at = DATA + LAB_REGION_BYTES - 48 + off;

		put_table(at, 0, DATA, 16, NEXT, 2);
		put_table(at, 1, DATA + 32, 5, WRITE, 0);
		put_table(at, 2, DATA + 16, 7, NEXT, 1);
		put(0, at, 48, INDIRECT, 0);
		offer(0);
		assert_int_equal(lab_take1(&lab, &lc), 1);
		assert_int_equal(lc.c.n_out, 2);
		assert_ptr_equal(lc.seg[1].va, lab.data[0] + 16);
		assert_int_equal(lc.seg[1].len, 7);
		assert_ptr_equal(lc.seg[2].va, lab.data[0] + 32);
		assert_int_equal(lc.seg[2].len, 5);
		tvq_ring_add_used(&lab.ring, &lc.c, 0);
		tvq_ring_flush(&lab.ring);
	}
}

/* TQ-025: whatever the driver does, one call follows a bounded number of descriptors. */
static void batch_of_long_chains_is_cut_short(void **state)
{
	struct lab_chain lc[SIZE];
	struct tvq_chain *c[SIZE];
	unsigned int i, total = 0;
	int n;

	(void)state;
	lab.table->n = 2;
	lab.table->r[1].len = 16 * 4096;
	lab.table->r[1].va = lab_pages(16 * 4096);
	for (i = 0; i < 4096; i++)
		((struct vring_desc *)(void *)lab.table->r[1].va)[i] = (struct vring_desc){
			.addr = DATA,
			.len = 1,
			.flags = i < 4095 ? NEXT : 0,
			.next = (uint16_t)(i + 1),
		};
	for (i = 0; i < SIZE; i++) {
		c[i] = lab_chain(&lc[i], 4);
		put(i, DATA, 16 * 4096, INDIRECT, 0);
		offer((uint16_t)i);
	}
	while (total < SIZE) {
		n = tvq_ring_take(&lab.ring, c, SIZE);
		assert_in_range(n, 1, 3);
		assert_true(c[0]->too_long);
		total += (unsigned int)n;
	}
	assert_int_equal(tvq_ring_take(&lab.ring, c, SIZE), 0);
	munmap(lab.table->r[1].va, 16 * 4096);
}

/* TQ-110 */
static void position_is_where_the_next_chain_is_looked_for(void **state)
{
	struct lab_chain lc;
	uint16_t a, u;

	(void)state;
	lab.cfg.avail_idx = 0xfffe;
	lab.cfg.used_idx = 3;
	assert_int_equal(lab_start(&lab), 0);
	avail()->idx = 0xfffe;
	assert_int_equal(lab_take1(&lab, &lc), 0);
	put(4, DATA, 16, WRITE, 0);
	offer(4);
	offer(4);
	offer(4);
	assert_int_equal(lab_take1(&lab, &lc), 1);
	tvq_ring_add_used(&lab.ring, &lc.c, 9);
	assert_int_equal(used()->idx, 0);
	tvq_ring_flush(&lab.ring);
	assert_int_equal(used()->idx, 0xffff);
	assert_int_equal(used()->ring[0xfffe % SIZE].id, 4);
	assert_int_equal(used()->ring[0xfffe % SIZE].len, 9);
	tvq_ring_position(&lab.ring, &a, &u);
	assert_int_equal(a, 0xffff);
	assert_int_equal(u, 0xffff);
}

/* TQ-121 */
static void remap_follows_moved_memory_and_tells_of_memory_that_went(void **state)
{
	uint8_t *moved = lab_pages(lab.ring_bytes), *old = lab.ring_mem;
	struct lab_chain lc;

	(void)state;
	put(0, DATA, 16, 0, 0);
	memcpy(moved, lab.ring_mem, lab.ring_bytes);
	lab.ring_mem = moved;
	offer(0);
	assert_int_equal(lab_take1(&lab, &lc), 0);
	lab.table->r[0].va = moved;
	assert_int_equal(tvq_ring_remap(&lab.ring), 0);
	assert_int_equal(lab_take1(&lab, &lc), 1);
	lab.table->r[0].len = 64;
	assert_int_equal(tvq_ring_remap(&lab.ring), -EFAULT);
	munmap(old, lab.ring_bytes);
}

static void lost_memory_breaks_the_queue_once_it_is_in_its_own_space(void **state)
{
	struct tvq_mapping other = { .lost = true }, own = { .lost = false };
	struct lab_chain lc;
	struct tvq_buf b;

	(void)state;
	put(0, DATA, 16, 0, 0);
	lab.table->r[2].mapping = &own;
	atomic_fetch_add(&tvq_dma_lost_count, 1);
	offer(0);
	assert_int_equal(lab_take1(&lab, &lc), 1);
	lab.table->r[2].mapping = &other;
	offer(0);
	/* Nothing was lost since the last look. */
	assert_int_equal(lab_take1(&lab, &lc), 1);
	offer(0);
	atomic_fetch_add(&tvq_dma_lost_count, 1);
	assert_int_equal(tvq_ring_take_bufs(&lab.ring, &b, 1, false), 0);
	assert_int_equal(lab_take1(&lab, &lc), -EIO);
	offer(0);
	assert_int_equal(lab_take1(&lab, &lc), -EIO);
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

/* Areas on pages of their own, so that each can be told from the others in the log. */
static void every_write_into_the_ring_is_logged(void **state)
{
	static _Atomic uint8_t bits[0x80000000ull / 4096 / 8];
	struct tvq_dma_log log = { bits, 0x80000000ull };
	uint64_t used_page = LAB_DATA_IOVA + 0x1000;
	struct lab_chain lc;

	(void)state;
	/* The used ring begins on one page and has its event on the next. */
	lab.cfg.device = used_page - 4 - 8 * SIZE;
	lab.view.log = &log;
	assert_int_equal(lab_start(&lab), 0);
	put(0, DATA + 0x2000, 16, NEXT, 1);
	put(1, DATA + 0x3000, 16, WRITE, 0);
	offer(0);
	assert_int_equal(lab_take1(&lab, &lc), 1);
	assert_int_equal(lc.c.n_in, 1);
	assert_int_equal(lc.iova[1], DATA + 0x3000);
	assert_false(logged(&log, lab.cfg.device));
	tvq_ring_add_used(&lab.ring, &lc.c, 16);
	assert_true(logged(&log, lab.cfg.device));
	clear_log(&log);
	tvq_ring_flush(&lab.ring);
	assert_true(logged(&log, lab.cfg.device));
	clear_log(&log);
	tvq_ring_notify_off(&lab.ring);
	assert_true(logged(&log, lab.cfg.device));
	clear_log(&log);
	tvq_ring_notify_on(&lab.ring);
	assert_true(logged(&log, lab.cfg.device));
	assert_false(logged(&log, used_page));
	clear_log(&log);
	lab.ring.event_idx = true;
	tvq_ring_notify_on(&lab.ring);
	assert_true(logged(&log, used_page));
	assert_false(logged(&log, lab.cfg.device));
	assert_false(logged(&log, DATA + 0x2000));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(start_refuses_bad_sizes_and_misaligned_or_wrapping_areas),
		T(start_refuses_areas_that_are_not_mapped_as_they_have_to_be),
		T(available_index_that_moves_too_far_breaks_the_queue),
		T(available_index_that_counts_chains_not_yet_used_twice_breaks_the_queue),
		T(available_index_that_moves_back_breaks_the_queue),
		T(good_chains_before_a_bad_one_are_given_out_first),
		T(next_out_of_range_breaks_the_queue),
		T(chain_that_loops_breaks_the_queue),
		T(readable_after_writable_breaks_the_queue),
		T(readable_after_an_empty_writable_one_breaks_the_queue_too),
		T(buffer_outside_the_space_breaks_the_queue),
		T(buffer_that_runs_off_the_end_of_the_space_breaks_the_queue),
		T(buffer_that_wraps_breaks_the_queue),
		T(buffer_at_the_very_end_of_the_address_range_is_taken),
		T(writing_where_only_reading_is_allowed_breaks_the_queue),
		T(second_region_without_the_right_breaks_the_queue),
		T(memory_that_cannot_be_reached_breaks_the_queue),
		T(buffer_over_three_regions_becomes_three_segments),
		T(empty_descriptors_leave_no_segment_and_need_no_address),
		T(chain_with_more_segments_than_room_keeps_its_first_ones_and_its_last),
		T(buffer_over_regions_without_room_keeps_the_piece_with_the_last_byte),
		T(lengths_beyond_32_bits_saturate),
		T(indirect_table_that_was_not_negotiated_breaks_the_queue),
		T(indirect_table_that_goes_on_in_the_ring_breaks_the_queue),
		T(nested_indirect_table_breaks_the_queue),
		T(indirect_table_of_a_length_that_no_table_has_breaks_the_queue),
		T(indirect_table_that_points_outside_breaks_the_queue),
		T(indirect_table_that_runs_out_of_the_space_breaks_the_queue),
		T(indirect_table_that_wraps_breaks_the_queue),
		T(next_outside_the_indirect_table_breaks_the_queue),
		T(indirect_table_that_loops_breaks_the_queue),
		T(readable_in_a_table_after_writable_in_the_ring_breaks_the_queue),
		T(indirect_table_behind_direct_descriptors_ends_the_chain),
		T(indirect_table_longer_than_the_queue_is_taken),
		T(indirect_table_that_spans_two_regions_at_any_byte_is_taken),
		T(batch_of_long_chains_is_cut_short),
		T(position_is_where_the_next_chain_is_looked_for),
		T(remap_follows_moved_memory_and_tells_of_memory_that_went),
		T(lost_memory_breaks_the_queue_once_it_is_in_its_own_space),
		T(every_write_into_the_ring_is_logged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
