/* SPDX-License-Identifier: BSD-3-Clause */
/* Slabs of objects (src/device/slab.c), over a table of functions that counts what it gives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "device/slab.h"

#define MANY 5000

static unsigned int blocks, allocs;
static size_t bytes, largest;
static bool exhausted;

static void *count_alloc(size_t size)
{
	void *p = exhausted ? NULL : tvq_os_host.alloc(size);

	if (!p)
		return NULL;
	blocks++;
	allocs++;
	bytes += size;
	if (size > largest)
		largest = size;
	return p;
}

static void count_free(void *p, size_t size)
{
	if (!p)
		return;
	blocks--;
	bytes -= size;
	tvq_os_host.free(p, size);
}

static const struct tvq_os counting = {
	.alloc = count_alloc,
	.free = count_free,
};

static int set_up(void **state)
{
	(void)state;
	blocks = allocs = 0;
	bytes = largest = 0;
	exhausted = false;
	return 0;
}

static void objects_are_aligned_zeroed_and_apart(void **state)
{
	static const size_t sizes[] = { 1, 63, 64, 1500, 70000, 3u << 20 };
	struct tvq_slabs s;

	(void)state;
	tvq_slabs_init(&s, &counting);
	for (unsigned int k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
		uint8_t *p[20];

		/* The second round gets memory that has been written to. */
		for (unsigned int round = 0; round < 2; round++) {
			for (unsigned int i = 0; i < 20; i++) {
				p[i] = tvq_slabs_alloc(&s, sizes[k]);
				assert_non_null(p[i]);
				assert_int_equal((uintptr_t)p[i] % 64, 0);
				for (size_t at = 0; at < sizes[k]; at++)
					if (p[i][at])
						fail_msg("byte %zu is not 0", at);
				memset(p[i], (int)i + 1, sizes[k]);
			}
			for (unsigned int i = 0; i < 20; i++) {
				assert_int_equal(p[i][0], i + 1);
				assert_int_equal(p[i][sizes[k] - 1], i + 1);
				tvq_slabs_free(&s, p[i], sizes[k]);
			}
		}
	}
	tvq_slabs_free(&s, NULL, 64);
	tvq_slabs_fini(&s);
	assert_int_equal(blocks, 0);
}

static void many_objects_lie_in_few_blocks_and_leave_one(void **state)
{
	static void *p[MANY];
	struct tvq_slabs s;

	(void)state;
	tvq_slabs_init(&s, &counting);
	for (unsigned int i = 0; i < MANY; i++) {
		p[i] = tvq_slabs_alloc(&s, 1500);
		assert_non_null(p[i]);
	}
	assert_true(blocks < 20);
	assert_int_equal(largest, 2u << 20);
	assert_true(bytes < MANY * 1700ul + (2u << 20));
	/* In an order of its own: every slab is on the list, and leaves it, at some time. */
	for (unsigned int i = 0; i < MANY; i++)
		tvq_slabs_free(&s, p[i * 7919 % MANY], 1500);
	assert_int_equal(blocks, 2); /* the class, and its spare slab */
	tvq_slabs_fini(&s);
	assert_int_equal(blocks, 0);
}

static void objects_that_come_and_go_at_a_slabs_edge_make_no_new_slab(void **state)
{
	struct tvq_slabs s;
	void *base[4], *more[4];
	unsigned int before;

	(void)state;
	tvq_slabs_init(&s, &counting);
	for (unsigned int i = 0; i < 4; i++)
		base[i] = tvq_slabs_alloc(&s, 100);
	more[0] = tvq_slabs_alloc(&s, 100);
	tvq_slabs_free(&s, more[0], 100);
	before = allocs;
	for (unsigned int round = 0; round < 100; round++) {
		for (unsigned int i = 0; i < 4; i++)
			more[i] = tvq_slabs_alloc(&s, 100);
		for (unsigned int i = 0; i < 4; i++)
			tvq_slabs_free(&s, more[i], 100);
	}
	assert_int_equal(allocs, before);
	for (unsigned int i = 0; i < 4; i++)
		tvq_slabs_free(&s, base[i], 100);
	tvq_slabs_fini(&s);
	assert_int_equal(blocks, 0);
}

static void without_memory_there_is_no_object_and_nothing_is_lost(void **state)
{
	struct tvq_slabs s;
	void *p;

	(void)state;
	tvq_slabs_init(&s, &counting);
	exhausted = true;
	assert_null(tvq_slabs_alloc(&s, 100));
	exhausted = false;
	p = tvq_slabs_alloc(&s, 100);
	assert_non_null(p);
	exhausted = true;
	for (unsigned int i = 1; i < 4; i++)
		assert_non_null(tvq_slabs_alloc(&s, 100));
	assert_null(tvq_slabs_alloc(&s, 100));
	tvq_slabs_free(&s, p, 100);
	assert_ptr_equal(tvq_slabs_alloc(&s, 100), p);
	/* Four objects, the first of a class, are in one block. */
	for (unsigned int i = 0; i < 4; i++)
		tvq_slabs_free(&s, (char *)p + i * 192, 100);
	tvq_slabs_fini(&s);
	assert_int_equal(blocks, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(objects_are_aligned_zeroed_and_apart, set_up),
		cmocka_unit_test_setup(many_objects_lie_in_few_blocks_and_leave_one, set_up),
		cmocka_unit_test_setup(objects_that_come_and_go_at_a_slabs_edge_make_no_new_slab,
				       set_up),
		cmocka_unit_test_setup(without_memory_there_is_no_object_and_nothing_is_lost,
				       set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
