/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver half against devices that break the rules, and what it does at its own limits. */
#include "ring_lab.h"

#define SIZE 4

static struct lab lab;
static int tokens[8];

static struct vring_used *used(void)
{
	return (void *)(lab.ring_mem + (lab.cfg.device - LAB_RING_IOVA));
}

static struct vring_packed_desc *slots(void)
{
	return (void *)lab.ring_mem;
}

static int setup_split(void **state)
{
	(void)state;
	lab_open(&lab, false, SIZE, false, 3);
	assert_int_equal(lab_start(&lab), 0);
	return 0;
}

static int setup_packed(void **state)
{
	(void)state;
	lab_open(&lab, true, SIZE, false, 3);
	assert_int_equal(lab_start(&lab), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	lab_close(&lab);
	return 0;
}

static int add(unsigned int n_out, unsigned int n_in, void *token)
{
	struct tvq_sg sg[SIZE + 2];
	unsigned int i;

	for (i = 0; i < SIZE + 2; i++)
		sg[i] = (struct tvq_sg){ LAB_DATA_IOVA + 64 * i, 8 };
	return tvq_drv_ring_add(lab.drv, sg, n_out, n_in, token);
}

static void expect_broken(void)
{
	uint32_t written;

	assert_null(tvq_drv_ring_get(lab.drv, &written));
	assert_true(tvq_drv_ring_broken(lab.drv));
	assert_int_equal(add(1, 0, &tokens[7]), -EIO);
	assert_null(tvq_drv_ring_get(lab.drv, &written));
}

static void buffers_that_can_never_be_added_are_told_from_a_full_ring(void **state)
{
	unsigned int i;

	(void)state;
	assert_int_equal(add(0, 0, &tokens[0]), -EINVAL);
	assert_int_equal(add(1, 0, NULL), -EINVAL);
	/* Too many for a table, and for the ring; four go into the ring itself. */
	assert_int_equal(add(SIZE, 1, &tokens[0]), -EINVAL);
	assert_int_equal(tvq_drv_ring_add(lab.drv, NULL, UINT32_MAX, 1, &tokens[0]), -EINVAL);
	assert_int_equal(add(2, 2, &tokens[0]), 0);
	assert_int_equal(add(1, 0, &tokens[0]), -ENOSPC);
	assert_ptr_equal(tvq_drv_ring_detach(lab.drv), &tokens[0]);
	for (i = 0; i < SIZE; i++)
		assert_int_equal(add(1, 2, &tokens[i]), 0);
	assert_int_equal(add(1, 2, &tokens[4]), -ENOSPC);
	assert_int_equal(tvq_drv_ring_in_flight(lab.drv), SIZE);
}

static void detach_gives_each_buffer_back_once(void **state)
{
	unsigned int i, k, seen = 0;
	struct lab_chain lc;
	uint32_t written;
	int *token;

	(void)state;
	for (k = 0; k < 3; k++) {
		for (i = 0; i < 3; i++)
			assert_int_equal(add(1, 0, &tokens[i]), 0);
		tvq_drv_ring_publish(lab.drv);
		assert_int_equal(lab_take1(&lab, &lc), 1);
		assert_int_equal(lab_take1(&lab, &lc), 1);
		tvq_ring_add_used(&lab.ring, &lc.c, 0);
		tvq_ring_flush(&lab.ring);
		token = tvq_drv_ring_get(lab.drv, &written);
		assert_ptr_equal(token, &tokens[1]);
		for (seen = 0; (token = tvq_drv_ring_detach(lab.drv)) != NULL;)
			seen |= 1u << (token - tokens);
		assert_int_equal(seen, 5);
		assert_int_equal(tvq_drv_ring_in_flight(lab.drv), 0);
		/* A reset goes before new use of the ring. */
		tvq_drv_ring_free(lab.drv);
		memset(lab.ring_mem, 0, lab.ring_bytes);
		lab.drv = tvq_drv_ring_new(&tvq_os_host, &lab.drv_cfg, 3);
		assert_non_null(lab.drv);
		assert_int_equal(lab_start(&lab), 0);
	}
}

static void rings_that_cannot_be_are_not_made(void **state)
{
	struct tvq_drv_ring_cfg cfg = lab.drv_cfg;

	(void)state;
	cfg.size = 0;
	assert_null(tvq_drv_ring_new(&tvq_os_host, &cfg, 0));
	cfg.size = 32769;
	assert_null(tvq_drv_ring_new(&tvq_os_host, &cfg, 0));
	cfg = lab.drv_cfg;
	cfg.mem = lab.ring_mem + 16;
	assert_null(tvq_drv_ring_new(&tvq_os_host, &cfg, 0));
	tvq_drv_ring_free(NULL);
}

static void split_used_index_beyond_what_is_in_flight_breaks_the_ring(void **state)
{
	(void)state;
	assert_int_equal(add(1, 0, &tokens[0]), 0);
	tvq_drv_ring_publish(lab.drv);
	used()->idx = 2;
	expect_broken();
}

static void split_used_index_that_moves_back_breaks_the_ring(void **state)
{
	(void)state;
	assert_int_equal(add(1, 0, &tokens[0]), 0);
	tvq_drv_ring_publish(lab.drv);
	used()->idx = 0xffff;
	expect_broken();
}

static void split_used_head_that_is_not_in_flight_breaks_the_ring(void **state)
{
	(void)state;
	assert_int_equal(add(1, 0, &tokens[0]), 0);
	tvq_drv_ring_publish(lab.drv);
	used()->ring[0].id = 1;
	used()->idx = 1;
	expect_broken();
}

static void split_used_head_out_of_range_breaks_the_ring(void **state)
{
	(void)state;
	assert_int_equal(add(1, 0, &tokens[0]), 0);
	tvq_drv_ring_publish(lab.drv);
	used()->ring[0].id = 0x10000;
	used()->idx = 1;
	expect_broken();
}

static void split_driver_never_follows_links_that_the_device_altered(void **state)
{
	struct vring_desc *d = (void *)lab.ring_mem;
	uint32_t written;
	unsigned int i;

	(void)state;
	assert_int_equal(add(2, 2, &tokens[0]), 0);
	tvq_drv_ring_publish(lab.drv);
	for (i = 0; i < SIZE; i++)
		d[i] = (struct vring_desc){ .flags = VRING_DESC_F_NEXT, .next = 0x7fff };
	used()->ring[0].id = 0;
	used()->idx = 1;
	assert_ptr_equal(tvq_drv_ring_get(lab.drv, &written), &tokens[0]);
	for (i = 0; i < SIZE; i++)
		assert_int_equal(add(1, 0, &tokens[i]), 0);
	assert_int_equal(tvq_drv_ring_in_flight(lab.drv), SIZE);
}

static void packed_used_id_that_is_not_in_flight_breaks_the_ring(void **state)
{
	(void)state;
	assert_int_equal(add(1, 0, &tokens[0]), 0);
	tvq_drv_ring_publish(lab.drv);
	slots()[0].id = 1;
	slots()[0].flags = TVQ_PACKED_AVAIL | TVQ_PACKED_USED;
	expect_broken();
}

static void packed_used_id_out_of_range_breaks_the_ring(void **state)
{
	(void)state;
	assert_int_equal(add(1, 0, &tokens[0]), 0);
	tvq_drv_ring_publish(lab.drv);
	slots()[0].id = 0xffff;
	slots()[0].flags = TVQ_PACKED_AVAIL | TVQ_PACKED_USED;
	expect_broken();
}

static void packed_length_counts_only_where_something_was_written(void **state)
{
	uint32_t written = 1;

	(void)state;
	assert_int_equal(add(1, 0, &tokens[0]), 0);
	tvq_drv_ring_publish(lab.drv);
	slots()[0].len = 77;
	slots()[0].flags = TVQ_PACKED_AVAIL | TVQ_PACKED_USED;
	assert_ptr_equal(tvq_drv_ring_get(lab.drv, &written), &tokens[0]);
	assert_int_equal(written, 0);
}

/* ---- IN_ORDER (virtio 1.4, 2.7.9 and 2.8.8) ---- */

static void open_in_order(bool packed, uint16_t size)
{
	lab_close(&lab);
	lab_open(&lab, packed, size, false, 0);
	lab.cfg.in_order = lab.drv_cfg.in_order = true;
	tvq_drv_ring_free(lab.drv);
	lab.drv = tvq_drv_ring_new(&tvq_os_host, &lab.drv_cfg, 0);
	assert_non_null(lab.drv);
	assert_int_equal(lab_start(&lab), 0);
}

/* Slots whose descriptor is marked as used in the lap that the slot is in. */
static unsigned int count_used(uint16_t from, uint16_t n, uint16_t size, bool wrap)
{
	unsigned int used_slots = 0;

	for (uint16_t i = 0; i < n; i++) {
		uint16_t slot = (uint16_t)(from + i), flags;
		bool lap = slot >= size ? !wrap : wrap;

		flags = slots()[slot % size].flags;
		used_slots += !!(flags & TVQ_PACKED_AVAIL) == lap &&
			      !!(flags & TVQ_PACKED_USED) == lap;
	}
	return used_slots;
}

/* Runs leave out the last slot, and end there. */
static unsigned int runs(uint16_t slot, unsigned int n, uint16_t size)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < n; i++, slot = (uint16_t)((slot + 1) % size))
		count += !i || !slot || slot + 1 == size;
	return count;
}

/* Runs of every length, at every place of the ring, of one turn and of two before a flush. */
static void runs_of_buffers_come_back_as_they_were_added(void **state)
{
	enum { MOST = 7 };

	(void)state;
	for (int packed = 0; packed < 2; packed++) {
		unsigned int added = 0, got = 0;
		uint16_t slot = 0;
		bool wrap = true;

		open_in_order(packed, packed ? MOST : 8);
		for (unsigned int round = 0; round < 200; round++) {
			unsigned int n = 1 + round % MOST, first = 1 + round / MOST % n;
			struct tvq_buf b[MOST];
			uint32_t written = 99;

			for (unsigned int i = 0; i < n; i++, added++)
				assert_int_equal(add(1, 0, &tokens[added % 8]), 0);
			tvq_drv_ring_publish(lab.drv);
			assert_int_equal(tvq_ring_take_bufs(&lab.ring, b, n, false), n);
			tvq_ring_add_used_bufs(&lab.ring, b, NULL, first);
			tvq_ring_add_used_bufs(&lab.ring, b + first, NULL, n - first);
			tvq_ring_flush(&lab.ring);
			/* The driver's other descriptors are left alone. */
			if (packed)
				assert_int_equal(count_used(slot, (uint16_t)n, MOST, wrap),
						 runs(slot, first, MOST) +
							 runs((uint16_t)((slot + first) % MOST),
							      n - first, MOST));
			for (unsigned int i = 0; i < n; i++, got++) {
				/* What is there already makes no interrupt. */
				assert_true(tvq_drv_ring_interrupts_on(lab.drv));
				assert_ptr_equal(tvq_drv_ring_get(lab.drv, &written),
						 &tokens[got % 8]);
				assert_int_equal(written, 0);
			}
			assert_null(tvq_drv_ring_get(lab.drv, &written));
			assert_false(tvq_drv_ring_interrupts_on(lab.drv));
			assert_false(tvq_drv_ring_broken(lab.drv));
			slot = (uint16_t)(slot + n);
			wrap ^= slot >= MOST;
			slot %= MOST;
		}
	}
}

/* Those without an entry of their own were written completely, says virtio. */
static void a_runs_length_is_that_of_its_last_buffer(void **state)
{
	uint32_t written;

	(void)state;
	open_in_order(true, SIZE);
	assert_int_equal(add(0, 1, &tokens[0]), 0);
	assert_int_equal(add(1, 1, &tokens[1]), 0);
	assert_int_equal(add(0, 1, &tokens[2]), 0);
	tvq_drv_ring_publish(lab.drv);
	slots()[0].id = slots()[3].id;
	slots()[0].len = 5;
	slots()[0].flags = TVQ_PACKED_AVAIL | TVQ_PACKED_USED | VRING_DESC_F_WRITE;
	for (unsigned int i = 0; i < 3; i++) {
		assert_ptr_equal(tvq_drv_ring_get(lab.drv, &written), &tokens[i]);
		assert_int_equal(written, i == 2 ? 5 : 8);
	}
}

/* virtio 1.4, 2.7.5: each chain begins behind the one before, and goes on with the next slot. */
static void descriptors_of_a_split_ring_are_taken_in_the_tables_order(void **state)
{
	const struct vring_desc *table;
	const struct vring_avail *avail;
	unsigned int at = 0, added = 0;
	struct tvq_buf b[2];
	struct lab_chain lc;
	uint32_t written;

	(void)state;
	open_in_order(false, SIZE);
	table = (void *)lab.ring_mem;
	avail = (void *)(lab.ring_mem + (lab.cfg.driver - LAB_RING_IOVA));
	for (unsigned int round = 0; round < 40; round++) {
		unsigned int n = 1 + round % 3;

		/* Two of one descriptor come back at once, and one of up to three. */
		if (round % 2) {
			for (unsigned int i = 0; i < 2; i++, at++, added++) {
				assert_int_equal(add(1, 0, &tokens[i]), 0);
				assert_int_equal(avail->ring[added % SIZE], at % SIZE);
			}
			tvq_drv_ring_publish(lab.drv);
			assert_int_equal(tvq_ring_take_bufs(&lab.ring, b, 2, false), 2);
			tvq_ring_add_used_bufs(&lab.ring, b, NULL, 2);
		} else {
			assert_int_equal(add(n, 0, &tokens[0]), 0);
			assert_int_equal(avail->ring[added % SIZE], at % SIZE);
			for (unsigned int i = 0; i + 1 < n; i++)
				assert_int_equal(table[(at + i) % SIZE].next, (at + i + 1) % SIZE);
			at += n;
			added++;
			tvq_drv_ring_publish(lab.drv);
			assert_int_equal(lab_take1(&lab, &lc), 1);
			tvq_ring_add_used(&lab.ring, &lc.c, 0);
		}
		tvq_ring_flush(&lab.ring);
		while (tvq_drv_ring_get(lab.drv, &written))
			;
		assert_false(tvq_drv_ring_broken(lab.drv));
		assert_int_equal(tvq_drv_ring_in_flight(lab.drv), 0);
	}
}

static void publish_three(void)
{
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(add(1, 0, &tokens[i]), 0);
	tvq_drv_ring_publish(lab.drv);
}

static void a_buffer_that_a_run_has_passed_breaks_the_ring(void **state)
{
	uint32_t written;

	(void)state;
	open_in_order(true, SIZE);
	publish_three();
	slots()[0].id = slots()[1].id;
	slots()[0].flags = TVQ_PACKED_AVAIL | TVQ_PACKED_USED;
	assert_ptr_equal(tvq_drv_ring_get(lab.drv, &written), &tokens[0]);
	assert_ptr_equal(tvq_drv_ring_get(lab.drv, &written), &tokens[1]);
	slots()[2].id = slots()[1].id;
	slots()[2].flags = TVQ_PACKED_AVAIL | TVQ_PACKED_USED;
	expect_broken();
}

static void a_run_beyond_the_used_index_breaks_the_ring(void **state)
{
	uint32_t written;

	(void)state;
	open_in_order(false, SIZE);
	publish_three();
	used()->ring[0].id = 2;
	used()->idx = 2;
	assert_ptr_equal(tvq_drv_ring_get(lab.drv, &written), &tokens[0]);
	assert_ptr_equal(tvq_drv_ring_get(lab.drv, &written), &tokens[1]);
	expect_broken();
}

#define S(f) cmocka_unit_test_setup_teardown(f, setup_split, teardown)
#define P(f) cmocka_unit_test_setup_teardown(f, setup_packed, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		S(buffers_that_can_never_be_added_are_told_from_a_full_ring),
		P(buffers_that_can_never_be_added_are_told_from_a_full_ring),
		S(detach_gives_each_buffer_back_once),
		P(detach_gives_each_buffer_back_once),
		S(rings_that_cannot_be_are_not_made),
		P(rings_that_cannot_be_are_not_made),
		S(split_used_index_beyond_what_is_in_flight_breaks_the_ring),
		S(split_used_index_that_moves_back_breaks_the_ring),
		S(split_used_head_that_is_not_in_flight_breaks_the_ring),
		S(split_used_head_out_of_range_breaks_the_ring),
		S(split_driver_never_follows_links_that_the_device_altered),
		P(packed_used_id_that_is_not_in_flight_breaks_the_ring),
		P(packed_used_id_out_of_range_breaks_the_ring),
		P(packed_length_counts_only_where_something_was_written),
		S(runs_of_buffers_come_back_as_they_were_added),
		S(a_runs_length_is_that_of_its_last_buffer),
		S(descriptors_of_a_split_ring_are_taken_in_the_tables_order),
		S(a_buffer_that_a_run_has_passed_breaks_the_ring),
		S(a_run_beyond_the_used_index_breaks_the_ring),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
