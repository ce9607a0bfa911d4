/* SPDX-License-Identifier: BSD-3-Clause */
/* Volumes in memory, and those that keep nothing. */
#include <malloc.h>
#include <pthread.h>

#include "volume_test.h"

#define MIB (1ULL << 20)

static char err[TVQ_VOLUME_ERR_LEN];

/* Pages of the process in memory, in KiB. */
static long resident_kib(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	long total, resident;

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%ld %ld", &total, &resident), 2);
	fclose(f);
	return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

/* Page tables of the process, in KiB. */
static long page_tables_kib(void)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[128];
	long kib = -1;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		sscanf(line, "VmPTE: %ld", &kib);
	fclose(f);
	assert_true(kib >= 0);
	return kib;
}

/* ThreadSanitizer's shadow of the memory is counted with it, and stays. */
#if defined(__SANITIZE_THREAD__)
#define SHADOWED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SHADOWED 1
#endif
#endif
#ifndef SHADOWED
#define SHADOWED 0
#endif

static void skip_if_shadowed(void)
{
	if (SHADOWED) {
		print_message("skipped: memory cannot be measured under ThreadSanitizer\n");
		skip();
	}
}

static unsigned int mappings(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	unsigned int n = 0;
	int c;

	assert_non_null(f);
	while ((c = fgetc(f)) != EOF)
		n += c == '\n';
	fclose(f);
	return n;
}

static void null_completes_in_place_and_leaves_memory_alone(void **state)
{
	struct vt t = vt_open(tvq_volume_null("n", MIB, false, err), err);
	uint8_t buf[512];

	(void)state;
	memset(buf, 0xaa, sizeof(buf));
	for (unsigned int op = 0; op <= TVQ_VREQ_WRITE_ZEROES; op++) {
		assert_int_equal(vt_op(&t, op, 0, 0, buf, sizeof(buf)), 0);
		assert_int_equal(vt_done_calls, 0);
	}
	for (unsigned int i = 0; i < sizeof(buf); i++)
		assert_int_equal(buf[i], 0xaa);
	vt_close(&t);
}

static void null_zero_answers_reads_with_zeroes(void **state)
{
	struct vt t = vt_open(tvq_volume_null("z", MIB, true, err), err);
	uint8_t buf[1024];
	struct tvq_seg seg[2] = { { buf, 500 }, { buf + 500, 12 } };
	struct tvq_vreq r = { .op = TVQ_VREQ_READ, .n_seg = 2, .len = 512, .seg = seg }, *p = &r;

	(void)state;
	memset(buf, 0xaa, sizeof(buf));
	assert_int_equal(vt_op(&t, TVQ_VREQ_WRITE, 0, 0, buf, 512), 0);
	assert_int_equal(buf[0], 0xaa);
	vt_run(&t, &p, 1);
	assert_int_equal(r.status, 0);
	for (unsigned int i = 0; i < sizeof(buf); i++)
		assert_int_equal(buf[i], i < 512 ? 0 : 0xaa);
	vt_close(&t);
}

static void sizes_and_ids_that_no_volume_can_have_are_refused(void **state)
{
	(void)state;
	assert_null(tvq_volume_ram("r", 0, err));
	assert_int_equal(errno, EINVAL);
	assert_null(tvq_volume_ram("r", 1000, err));
	assert_non_null(strstr(err, "1000 bytes"));
	assert_null(tvq_volume_ram("r", UINT64_MAX - 511, err));
	assert_null(tvq_volume_ram("", 512, err));
	assert_null(tvq_volume_ram("a b", 512, err));
	assert_non_null(strstr(err, "\"a b\""));
	assert_null(tvq_volume_null("123456789012345678901", 512, false, err));
	tvq_volume_put(tvq_volume_null("12345678901234567890", 512, false, err));
}

static void ram_holds_what_a_model_holds(void **state)
{
	struct vt t = vt_open(tvq_volume_ram("r", 7 * MIB + 512 * 3, err), err);

	(void)state;
	vt_model(&t, 1, 400);
	vt_close(&t);
}

static void unwritten_ram_reads_as_zeroes_and_costs_nothing(void **state)
{
	struct vt t = vt_open(tvq_volume_ram("r", 1ULL << 34, err), err);
	uint8_t *buf = malloc(MIB), *zero = calloc(1, MIB);
	long before, tables;

	(void)state;
	/* A piece elsewhere is written, so that there is a mapping. */
	memset(buf, 1, MIB);
	assert_int_equal(vt_op(&t, TVQ_VREQ_WRITE, 0, (1ULL << 34) - 512, buf, 512), 0);
	before = resident_kib();
	tables = page_tables_kib();
	for (uint64_t at = 0; at < 2048 * MIB; at += MIB) {
		memset(buf, 0xaa, 4096);
		assert_int_equal(vt_op(&t, TVQ_VREQ_READ, 0, at, buf, MIB), 0);
		assert_memory_equal(buf, zero, MIB);
	}
	assert_int_equal(vt_op(&t, TVQ_VREQ_WRITE_ZEROES, 0, 0, NULL, 2048 * MIB), 0);
	assert_true(resident_kib() - before < 1024);
	assert_true(page_tables_kib() - tables < 1024);
	assert_int_equal(vt_op(&t, TVQ_VREQ_READ, 0, (1ULL << 34) - 512, buf, 512), 0);
	assert_int_equal(buf[511], 1);
	free(buf);
	free(zero);
	vt_close(&t);
}

static void sixty_thousand_unused_ram_volumes_cost_no_mapping_and_200_bytes_each(void **state)
{
	enum { N = 60000 };
	struct tvq_volume **v = calloc(N, sizeof(*v));
	unsigned int maps = mappings();
	size_t heap = mallinfo2().uordblks;
	char id[24];

	(void)state;
	for (unsigned int i = 0; i < N; i++) {
		snprintf(id, sizeof(id), "r%u", i);
		v[i] = tvq_volume_ram(id, 1024 * MIB, err);
		assert_non_null(v[i]);
	}
	/* The allocator may grow by a mapping or two; sanitizers have their own and count nothing. */
	assert_true(mappings() - maps < 1000);
	assert_true(mallinfo2().uordblks - heap < 200 * (size_t)N);
	for (unsigned int i = 0; i < N; i++)
		tvq_volume_put(v[i]);
	free(v);
}

static void discard_and_unmap_give_memory_back(void **state)
{
	long before, full;
	uint8_t *buf;
	struct vt t;

	(void)state;
	skip_if_shadowed();
	t = vt_open(tvq_volume_ram("r", 64 * MIB, err), err);
	buf = malloc(MIB);
	before = resident_kib();
	memset(buf, 1, MIB);
	for (unsigned int round = 0; round < 2; round++) {
		for (uint64_t at = 0; at < 64 * MIB; at += MIB)
			assert_int_equal(vt_op(&t, TVQ_VREQ_WRITE, 0, at, buf, MIB), 0);
		tvq_volume_settle();
		full = resident_kib();
		assert_true(full - before > 60 * 1024);
		assert_int_equal(vt_op(&t, round ? TVQ_VREQ_WRITE_ZEROES : TVQ_VREQ_DISCARD,
				       TVQ_VREQ_UNMAP, 0, NULL, 64 * MIB),
				 0);
		assert_true(resident_kib() - before < 8 * 1024);
	}
	assert_int_equal(vt_op(&t, TVQ_VREQ_READ, 0, 5 * MIB, buf, MIB), 0);
	for (unsigned int i = 0; i < MIB; i++)
		assert_int_equal(buf[i], 0);
	free(buf);
	vt_close(&t);
}

static void scattered_pages_do_not_become_huge_ones(void **state)
{
	uint8_t buf[512] = { 1 };
	struct vt t;
	long before;

	(void)state;
	skip_if_shadowed();
	t = vt_open(tvq_volume_ram("r", 1024 * MIB, err), err);
	before = resident_kib();
	/* The same page of each piece over and over, as a journal is written. */
	for (unsigned int n = 0; n < 200; n++)
		for (uint64_t at = 0; at < 1024 * MIB; at += 2 * MIB)
			assert_int_equal(vt_op(&t, TVQ_VREQ_WRITE, 0, at, buf, sizeof(buf)), 0);
	tvq_volume_settle();
	assert_true(resident_kib() - before < 16 * 1024);
	vt_close(&t);
}

struct writer {
	pthread_t thread;
	struct tvq_volume *v;
	unsigned int number;
};

/* Each thread has the sectors that are its own modulo the number of threads. */
static void *write_own_sectors(void *arg)
{
	struct writer *w = arg;
	struct vt t;
	struct tvq_exec e = { .os = &tvq_os_host };
	uint64_t seed = w->number;
	uint8_t buf[512], got[512];
	struct tvq_seg seg;
	struct tvq_vreq r, *p = &r;

	t.v = w->v;
	if (w->v->ops->open(w->v, &e, &t.ch))
		return arg;
	for (unsigned int n = 0; n < 20000; n++) {
		uint64_t at = ((uint64_t)(vt_random(&seed) % 8192) * 2 + w->number) * 512;
		bool drop = vt_random(&seed) % 8 == 0;

		memset(buf, (int)(n | 1), sizeof(buf));
		seg = (struct tvq_seg){ buf, sizeof(buf) };
		r = (struct tvq_vreq){
			.op = TVQ_VREQ_WRITE, .n_seg = 1, .offset = at, .len = 512, .seg = &seg
		};
		w->v->ops->submit(t.ch, &p, 1);
		if (drop) {
			r = (struct tvq_vreq){ .op = TVQ_VREQ_DISCARD, .offset = at, .len = 512 };
			w->v->ops->submit(t.ch, &p, 1);
			memset(buf, 0, sizeof(buf));
		}
		seg = (struct tvq_seg){ got, sizeof(got) };
		r = (struct tvq_vreq){
			.op = TVQ_VREQ_READ, .n_seg = 1, .offset = at, .len = 512, .seg = &seg
		};
		w->v->ops->submit(t.ch, &p, 1);
		if (r.status || memcmp(buf, got, sizeof(buf)))
			return arg;
	}
	w->v->ops->close(t.ch);
	return NULL;
}

static void two_workers_on_neighbouring_sectors_do_not_disturb_each_other(void **state)
{
	struct tvq_volume *v = tvq_volume_ram("r", 16384 * 512, err);
	struct writer w[2];
	void *failed;

	(void)state;
	assert_non_null(v);
	for (unsigned int i = 0; i < 2; i++) {
		w[i].v = v;
		w[i].number = i;
		assert_int_equal(pthread_create(&w[i].thread, NULL, write_own_sectors, &w[i]), 0);
	}
	for (unsigned int i = 0; i < 2; i++) {
		pthread_join(w[i].thread, &failed);
		assert_null(failed);
	}
	tvq_volume_put(v);
	tvq_volume_settle();
}

static void ram_that_cannot_be_mapped_is_an_error_of_the_write(void **state)
{
	/* More than the address space. */
	struct vt t = vt_open(tvq_volume_ram("r", 1ULL << 48, err), err);
	uint8_t buf[512];

	(void)state;
	assert_int_equal(vt_op(&t, TVQ_VREQ_READ, 0, 1ULL << 47, buf, sizeof(buf)), 0);
	assert_int_equal(buf[0], 0);
	assert_int_equal(vt_op(&t, TVQ_VREQ_WRITE, 0, 0, buf, sizeof(buf)), -ENOMEM);
	vt_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(null_completes_in_place_and_leaves_memory_alone),
		cmocka_unit_test(null_zero_answers_reads_with_zeroes),
		cmocka_unit_test(sizes_and_ids_that_no_volume_can_have_are_refused),
		cmocka_unit_test(ram_holds_what_a_model_holds),
		cmocka_unit_test(unwritten_ram_reads_as_zeroes_and_costs_nothing),
		cmocka_unit_test(
			sixty_thousand_unused_ram_volumes_cost_no_mapping_and_200_bytes_each),
		cmocka_unit_test(discard_and_unmap_give_memory_back),
		cmocka_unit_test(scattered_pages_do_not_become_huge_ones),
		cmocka_unit_test(two_workers_on_neighbouring_sectors_do_not_disturb_each_other),
		cmocka_unit_test(ram_that_cannot_be_mapped_is_an_error_of_the_write),
	};

	return cmocka_run_group_tests_name("volume_ram", tests, NULL, NULL);
}
