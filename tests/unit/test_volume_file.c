/* SPDX-License-Identifier: BSD-3-Clause */
/* Volumes over regular files: what is read and written, and what fails. */
#include <sched.h>
#include <sys/mount.h>

#include "volume_test.h"

#define MIB (1ULL << 20)

static char err[TVQ_VOLUME_ERR_LEN];

struct fixture {
	char dir[64], path[128];
	bool tmpfs;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	vt_tmpdir(f->dir);
	snprintf(f->path, sizeof(f->path), "%s/image", f->dir);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	if (f->tmpfs)
		umount2(f->dir, MNT_DETACH);
	vt_rmdir(f->dir);
	free(f);
	return 0;
}

/* A tmpfs of 1 MiB over the fixture's directory; the test is skipped where that may not be done. */
static void small_tmpfs(struct fixture *f)
{
	/* A mount namespace of our own: nothing stays behind. */
	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", f->dir, "tmpfs", 0, "size=1m")) {
		print_message("skipped: a tmpfs cannot be mounted here (%s)\n", strerror(errno));
		skip();
	}
	f->tmpfs = true;
}

static struct vt open_image(const char *path, bool direct)
{
	struct tvq_file_cfg cfg = { .path = path, .direct = direct };

	return vt_open(tvq_volume_file("v", &cfg, err), err);
}

static void assert_refused(const char *path, bool direct, bool read_only, int code,
			   const char *says)
{
	struct tvq_file_cfg cfg = { .path = path, .direct = direct, .read_only = read_only };

	err[0] = 0;
	assert_null(tvq_volume_file("v", &cfg, err));
	assert_int_equal(errno, code);
	if (!strstr(err, says) || !strstr(err, path))
		fail_msg("\"%s\" does not say \"%s\" or \"%s\"", err, says, path);
}

static void a_buffered_file_holds_what_a_model_holds(void **state)
{
	struct fixture *f = *state;
	struct vt t;

	vt_image(f->path, f->dir, "image", 6 * MIB);
	t = open_image(f->path, false);
	vt_model(&t, 2, 120);
	vt_close(&t);
}

static void a_direct_file_holds_what_a_model_holds_with_memory_of_any_alignment(void **state)
{
	struct fixture *f = *state;
	struct vt t;

	vt_image(f->path, f->dir, "image", 6 * MIB);
	t = open_image(f->path, true);
	vt_model(&t, 3, 120);
	vt_close(&t);
}

static void without_punch_and_zero_range_zeroes_are_written(void **state)
{
	struct fixture *f = *state;
	uint8_t *buf = malloc(4 * MIB);
	struct vt t;
	struct stat st;

	small_tmpfs(f);
	/* tmpfs punches holes, and has no zero range. */
	vt_image(f->path, f->dir, "image", 4 * MIB);
	t = open_image(f->path, false);
	memset(buf, 1, MIB / 2);
	assert_int_equal(vt_op(&t, TVQ_VREQ_WRITE, 0, 512, buf, MIB / 2), 0);
	assert_int_equal(vt_op(&t, TVQ_VREQ_WRITE_ZEROES, TVQ_VREQ_FUA, 1024, NULL, MIB / 2 - 1024),
			 0);
	assert_int_equal(stat(f->path, &st), 0);
	assert_true(st.st_blocks * 512 >= (long)MIB / 2);
	assert_int_equal(vt_op(&t, TVQ_VREQ_READ, 0, 0, buf, MIB), 0);
	for (unsigned int i = 0; i < MIB; i++)
		assert_int_equal(buf[i],
				 (i >= 512 && i < 1024) || (i >= MIB / 2 && i < MIB / 2 + 512));
	assert_int_equal(vt_op(&t, TVQ_VREQ_WRITE_ZEROES, TVQ_VREQ_UNMAP, 0, NULL, 4 * MIB), 0);
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_blocks, 0);
	vt_close(&t);
	free(buf);
}

static void discard_makes_a_hole(void **state)
{
	struct fixture *f = *state;
	uint8_t *buf = malloc(MIB);
	struct vt t;
	struct stat before, after;

	vt_image(f->path, f->dir, "image", MIB);
	t = open_image(f->path, false);
	assert_true(t.v->limits.can_discard);
	memset(buf, 1, MIB);
	assert_int_equal(vt_op(&t, TVQ_VREQ_WRITE, 0, 0, buf, MIB), 0);
	assert_int_equal(vt_op(&t, TVQ_VREQ_FLUSH, 0, 0, NULL, 0), 0);
	assert_int_equal(stat(f->path, &before), 0);
	assert_int_equal(vt_op(&t, TVQ_VREQ_DISCARD, 0, 0, NULL, MIB / 2), 0);
	assert_int_equal(stat(f->path, &after), 0);
	assert_true(before.st_blocks - after.st_blocks >= (long)MIB / 2 / 512);
	assert_int_equal(after.st_size, MIB);
	vt_close(&t);
	free(buf);
}

static void a_request_of_more_pieces_than_the_kernel_takes_is_done_in_parts(void **state)
{
	enum { N = 4096 };
	struct fixture *f = *state;
	struct tvq_seg *seg = calloc(N, sizeof(*seg));
	uint8_t *buf = aligned_alloc(4096, N * 512), *back = aligned_alloc(4096, N * 512);
	struct tvq_vreq r = { .op = TVQ_VREQ_WRITE, .n_seg = N, .len = N * 512, .seg = seg },
			*p = &r;
	uint64_t seed = 5;

	vt_image(f->path, f->dir, "image", N * 512);
	vt_fill(buf, N * 512, &seed);
	for (unsigned int direct = 0; direct < 2; direct++) {
		struct vt t = open_image(f->path, direct);

		for (unsigned int i = 0; i < N; i++)
			seg[i] = (struct tvq_seg){ buf + (N - 1 - i) * 512, 512 };
		r.seg = seg;
		r.n_seg = N;
		vt_run(&t, &p, 1);
		assert_int_equal(r.status, 0);
		assert_int_equal(vt_op(&t, TVQ_VREQ_READ, 0, 0, back, N * 512), 0);
		for (unsigned int i = 0; i < N; i++)
			assert_memory_equal(back + i * 512, buf + (N - 1 - i) * 512, 512);
		assert_int_equal(vt_op(&t, TVQ_VREQ_WRITE_ZEROES, 0, 0, NULL, N * 512), 0);
		vt_close(&t);
	}
	free(seg);
	free(buf);
	free(back);
}

static void more_misaligned_requests_than_bounce_buffers_wait_and_all_complete(void **state)
{
	enum { N = 200, LEN = 160 * 1024 };
	struct fixture *f = *state;
	struct tvq_vreq *r = calloc(N, sizeof(*r)), **p = calloc(N, sizeof(*p));
	struct tvq_seg *seg = calloc(N, sizeof(*seg));
	uint8_t *mem = malloc((size_t)N * LEN + 1), *back = aligned_alloc(4096, LEN);
	uint64_t seed = 6;
	struct vt t;

	vt_image(f->path, f->dir, "image", (uint64_t)N * LEN);
	t = open_image(f->path, true);
	vt_fill(mem, (size_t)N * LEN + 1, &seed);
	for (unsigned int i = 0; i < N; i++) {
		seg[i] = (struct tvq_seg){ mem + 1 + (size_t)i * LEN, LEN };
		r[i] = (struct tvq_vreq){
			.op = TVQ_VREQ_WRITE,
			.n_seg = 1,
			.offset = (uint64_t)i * LEN,
			.len = LEN,
			.seg = &seg[i],
		};
		p[i] = &r[i];
	}
	vt_run(&t, p, N);
	for (unsigned int i = 0; i < N; i++) {
		assert_int_equal(r[i].status, 0);
		assert_int_equal(vt_op(&t, TVQ_VREQ_READ, 0, (uint64_t)i * LEN, back, LEN), 0);
		assert_memory_equal(back, mem + 1 + (size_t)i * LEN, LEN);
	}
	vt_close(&t);
	free(r);
	free(p);
	free(seg);
	free(mem);
	free(back);
}

static void a_read_past_a_truncated_end_is_an_error_and_never_zeroes(void **state)
{
	struct fixture *f = *state;

	for (unsigned int direct = 0; direct < 2; direct++) {
		uint8_t *buf = aligned_alloc(4096, 65536);
		struct stat st;
		struct vt t;

		vt_image(f->path, f->dir, "image", MIB);
		t = open_image(f->path, direct);
		memset(buf, 7, 65536);
		assert_int_equal(vt_op(&t, TVQ_VREQ_WRITE, 0, 0, buf, 65536), 0);
		/* The end is now within a block. */
		assert_int_equal(truncate(f->path, 32768 + 700), 0);
		assert_int_equal(vt_op(&t, TVQ_VREQ_READ, 0, 0, buf, 65536), -EIO);
		assert_int_equal(vt_op(&t, TVQ_VREQ_READ, 0, MIB / 2, buf, 4096), -EIO);
		assert_int_equal(vt_op(&t, TVQ_VREQ_READ, 0, 0, buf, 32768), 0);
		assert_int_equal(buf[32767], 7);
		/* A write there would make zeroes of what is missing. */
		assert_int_equal(vt_op(&t, TVQ_VREQ_WRITE, 0, MIB - 4096, buf, 4096), -EIO);
		assert_int_equal(vt_op(&t, TVQ_VREQ_WRITE_ZEROES, 0, MIB - 4096, NULL, 4096), -EIO);
		assert_int_equal(stat(f->path, &st), 0);
		assert_int_equal(st.st_size, 32768 + 700);
		vt_close(&t);
		unlink(f->path);
		free(buf);
	}
}

static void truncation_under_io_fails_requests_and_nothing_else(void **state)
{
	enum { N = 32, LEN = 65536 };
	struct fixture *f = *state;
	struct tvq_vreq r[N], *p[N];
	struct tvq_seg seg[N];
	uint8_t *mem = aligned_alloc(4096, N * LEN);
	unsigned int failed = 0;
	struct vt t;

	vt_image(f->path, f->dir, "image", 8 * MIB);
	t = open_image(f->path, true);
	for (unsigned int round = 0; round < 20; round++) {
		memset(r, 0, sizeof(r));
		vt_done_calls = 0;
		for (unsigned int i = 0; i < N; i++) {
			seg[i] = (struct tvq_seg){ mem + i * LEN, LEN };
			r[i].op = TVQ_VREQ_READ;
			r[i].n_seg = 1;
			r[i].offset = i * 4ULL * LEN;
			r[i].len = LEN;
			r[i].seg = &seg[i];
			r[i].status = TVQ_VREQ_PENDING;
			r[i].done = vt_done;
			p[i] = &r[i];
		}
		t.v->ops->submit(t.ch, p, N);
		tvq_loop_turn(t.loop, false);
		assert_int_equal(truncate(f->path, (off_t)(8 * MIB - round * 300 * 1000)), 0);
		while (vt_done_calls < N)
			tvq_loop_turn(t.loop, true);
		for (unsigned int i = 0; i < N; i++) {
			assert_true(r[i].status == 0 || r[i].status == -EIO);
			failed += r[i].status != 0;
		}
	}
	assert_true(failed > 0);
	assert_int_equal(vt_op(&t, TVQ_VREQ_FLUSH, 0, 0, NULL, 0), 0);
	vt_close(&t);
	free(mem);
}

static void an_image_that_is_unlinked_in_use_goes_on_being_served(void **state)
{
	struct fixture *f = *state;
	uint8_t buf[512] = { 3 };
	struct vt t;

	vt_image(f->path, f->dir, "image", MIB);
	t = open_image(f->path, false);
	unlink(f->path);
	assert_int_equal(vt_op(&t, TVQ_VREQ_WRITE, TVQ_VREQ_FUA, 512, buf, 512), 0);
	buf[0] = 0;
	assert_int_equal(vt_op(&t, TVQ_VREQ_READ, 0, 512, buf, 512), 0);
	assert_int_equal(buf[0], 3);
	vt_close(&t);
}

static void a_full_file_system_is_an_error_of_the_write_and_not_the_end(void **state)
{
	struct fixture *f = *state;
	uint8_t *buf = calloc(1, 4 * MIB);
	struct vt t;

	small_tmpfs(f);
	vt_image(f->path, f->dir, "image", 8 * MIB);
	t = open_image(f->path, false);
	assert_int_equal(vt_op(&t, TVQ_VREQ_WRITE, 0, 0, buf, 4 * MIB), -ENOSPC);
	assert_int_equal(vt_op(&t, TVQ_VREQ_WRITE, TVQ_VREQ_FUA, 4 * MIB, buf, 4096), -ENOSPC);
	assert_int_equal(vt_op(&t, TVQ_VREQ_DISCARD, 0, 0, NULL, 4 * MIB), 0);
	assert_int_equal(vt_op(&t, TVQ_VREQ_WRITE, TVQ_VREQ_FUA, 0, buf, MIB / 2), 0);
	assert_int_equal(vt_op(&t, TVQ_VREQ_FLUSH, 0, 0, NULL, 0), 0);
	vt_close(&t);
	free(buf);
}

static void memory_that_is_not_there_fails_its_own_request(void **state)
{
	struct fixture *f = *state;
	uint8_t buf[4096];
	struct vt t;

	vt_image(f->path, f->dir, "image", MIB);
	t = open_image(f->path, false);
	assert_int_equal(vt_op(&t, TVQ_VREQ_WRITE, TVQ_VREQ_FUA, 0, (void *)4096, 4096), -EFAULT);
	assert_int_equal(vt_op(&t, TVQ_VREQ_READ, 0, 0, (void *)4096, 4096), -EFAULT);
	assert_int_equal(vt_op(&t, TVQ_VREQ_WRITE, TVQ_VREQ_FUA, 0, memset(buf, 1, 4096), 4096), 0);
	assert_int_equal(vt_op(&t, TVQ_VREQ_FLUSH, 0, 0, NULL, 0), 0);
	vt_close(&t);
}

static void a_read_only_volume_refuses_what_writes(void **state)
{
	struct fixture *f = *state;
	struct tvq_file_cfg cfg = { .path = f->path, .read_only = true };
	uint8_t buf[512];
	struct vt t;

	vt_image(f->path, f->dir, "image", MIB);
	assert_int_equal(chmod(f->path, 0400), 0);
	t = vt_open(tvq_volume_file("v", &cfg, err), err);
	assert_true(t.v->limits.read_only);
	assert_false(t.v->limits.can_discard || t.v->limits.can_zero || t.v->limits.write_back);
	assert_int_equal(vt_op(&t, TVQ_VREQ_READ, 0, 0, buf, 512), 0);
	assert_int_equal(vt_op(&t, TVQ_VREQ_FLUSH, 0, 0, NULL, 0), 0);
	assert_int_equal(vt_op(&t, TVQ_VREQ_WRITE, 0, 0, buf, 512), -EROFS);
	assert_int_equal(vt_op(&t, TVQ_VREQ_DISCARD, 0, 0, NULL, 512), -EROFS);
	assert_int_equal(vt_op(&t, TVQ_VREQ_WRITE_ZEROES, 0, 0, NULL, 512), -EROFS);
	vt_close(&t);
}

static void images_that_cannot_be_volumes_are_refused_with_what_would_be_right(void **state)
{
	struct fixture *f = *state;
	char path[128];

	assert_refused(f->path, false, false, ENOENT, "has to exist");
	vt_image(f->path, f->dir, "image", 1000);
	assert_refused(f->path, false, false, EINVAL, "truncate -s 1024");
	assert_refused(f->path, true, false, EINVAL, "truncate -s 1024");
	vt_image(path, f->dir, "empty", 0);
	assert_refused(path, false, false, EINVAL, "truncate -s 512");
	assert_refused(f->dir, false, false, EINVAL, "neither");
	assert_refused("/dev/zero", false, false, EINVAL, "neither");
	snprintf(path, sizeof(path), "%s/fifo", f->dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_refused(path, false, true, EINVAL, "neither");
	assert_refused("/proc/self/stat", false, true, EINVAL, "less than a block");
}

static void an_image_without_write_permission_says_that_it_can_be_added_read_only(void **state)
{
	struct fixture *f = *state;
	int code;

	vt_image(f->path, f->dir, "image", MIB);
	assert_int_equal(chmod(f->path, 0444), 0);
	assert_int_equal(chmod(f->dir, 0755), 0);
	if (geteuid() == 0 && seteuid(65534)) {
		print_message("skipped: root may do everything, and cannot be anybody else here\n");
		skip();
	}
	code = access(f->path, R_OK);
	assert_int_equal(code, 0);
	assert_refused(f->path, false, false, EACCES, "read-only");
	assert_int_equal(seteuid(getuid()), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_buffered_file_holds_what_a_model_holds),
		TEST(a_direct_file_holds_what_a_model_holds_with_memory_of_any_alignment),
		TEST(without_punch_and_zero_range_zeroes_are_written),
		TEST(discard_makes_a_hole),
		TEST(a_request_of_more_pieces_than_the_kernel_takes_is_done_in_parts),
		TEST(more_misaligned_requests_than_bounce_buffers_wait_and_all_complete),
		TEST(a_read_past_a_truncated_end_is_an_error_and_never_zeroes),
		TEST(truncation_under_io_fails_requests_and_nothing_else),
		TEST(an_image_that_is_unlinked_in_use_goes_on_being_served),
		TEST(a_full_file_system_is_an_error_of_the_write_and_not_the_end),
		TEST(memory_that_is_not_there_fails_its_own_request),
		TEST(a_read_only_volume_refuses_what_writes),
		TEST(images_that_cannot_be_volumes_are_refused_with_what_would_be_right),
		TEST(an_image_without_write_permission_says_that_it_can_be_added_read_only),
	};

	return cmocka_run_group_tests_name("volume_file", tests, NULL, NULL);
}
