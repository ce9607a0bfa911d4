/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Volumes over block device nodes, and what a flush that failed means. The nodes are loop devices;
 * over a file system that is full they fail for real.
 */
#include <linux/loop.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>

#include "volume_test.h"

#define MIB (1ULL << 20)

static char err[TVQ_VOLUME_ERR_LEN];

struct fixture {
	char dir[64], path[128], node[32];
	int loop_fd;
	bool tmpfs;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	vt_tmpdir(f->dir);
	f->loop_fd = -1;
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	if (f->loop_fd >= 0) {
		ioctl(f->loop_fd, LOOP_CLR_FD, 0);
		close(f->loop_fd);
	}
	if (f->tmpfs)
		umount2(f->dir, MNT_DETACH);
	vt_rmdir(f->dir);
	free(f);
	return 0;
}

static void small_tmpfs(struct fixture *f)
{
	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", f->dir, "tmpfs", 0, "size=1m")) {
		print_message("skipped: a tmpfs cannot be mounted here (%s)\n", strerror(errno));
		skip();
	}
	f->tmpfs = true;
}

/* Attaches the image to a free loop device; the test is skipped where that may not be done. */
static void attach(struct fixture *f, uint32_t block_size, bool read_only)
{
	struct loop_config cfg = { .block_size = block_size };
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), n = -1, fd;

	fd = open(f->path, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	assert_true(fd >= 0);
	cfg.fd = (uint32_t)fd;
	cfg.info.lo_flags = read_only ? LO_FLAGS_READ_ONLY : 0;
	for (unsigned int tries = 0; tries < 8 && f->loop_fd < 0; tries++) {
		n = control < 0 ? -1 : ioctl(control, LOOP_CTL_GET_FREE);
		if (n < 0)
			break;
		snprintf(f->node, sizeof(f->node), "/dev/loop%d", n);
		f->loop_fd = open(f->node, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
		if (f->loop_fd < 0)
			break;
		if (ioctl(f->loop_fd, LOOP_CONFIGURE, &cfg)) {
			close(f->loop_fd);
			f->loop_fd = -1;
			if (errno != EBUSY)
				break;
		}
	}
	if (control >= 0)
		close(control);
	close(fd);
	if (f->loop_fd < 0) {
		print_message("skipped: no loop device can be had here (%s)\n", strerror(errno));
		skip();
	}
}

static struct vt open_node(const struct fixture *f, bool direct)
{
	struct tvq_file_cfg cfg = { .path = f->node, .direct = direct };

	return vt_open(tvq_volume_file("node", &cfg, err), err);
}

static void a_node_holds_what_a_model_holds(void **state)
{
	struct fixture *f = *state;

	vt_image(f->path, f->dir, "image", 6 * MIB);
	attach(f, 4096, false);
	for (unsigned int direct = 0; direct < 2; direct++) {
		struct vt t = open_node(f, direct);

		assert_int_equal(t.v->limits.capacity, 6 * MIB);
		assert_int_equal(t.v->limits.block_size, 4096);
		assert_int_equal(t.v->limits.physical_block_size, 4096);
		/* The model starts from zeroes. */
		assert_int_equal(vt_op(&t, TVQ_VREQ_WRITE_ZEROES, 0, 0, NULL, 6 * MIB), 0);
		vt_model(&t, 7 + direct, 60);
		vt_close(&t);
	}
}

static void discard_reaches_the_device(void **state)
{
	struct fixture *f = *state;
	uint8_t *buf = malloc(MIB);
	struct stat before, after;
	struct vt t;

	vt_image(f->path, f->dir, "image", MIB);
	attach(f, 512, false);
	t = open_node(f, false);
	if (!t.v->limits.can_discard) {
		vt_close(&t);
		print_message("skipped: the loop device does no discard over this file system\n");
		skip();
	}
	assert_int_not_equal(t.v->limits.discard_granularity, 0);
	memset(buf, 1, MIB);
	assert_int_equal(vt_op(&t, TVQ_VREQ_WRITE, 0, 0, buf, MIB), 0);
	assert_int_equal(vt_op(&t, TVQ_VREQ_FLUSH, 0, 0, NULL, 0), 0);
	assert_int_equal(stat(f->path, &before), 0);
	assert_int_equal(vt_op(&t, TVQ_VREQ_DISCARD, 0, 0, NULL, MIB / 2), 0);
	assert_int_equal(stat(f->path, &after), 0);
	assert_true(before.st_blocks - after.st_blocks >= (long)MIB / 2 / 512);
	vt_close(&t);
	free(buf);
}

static void a_node_is_opened_exclusively(void **state)
{
	struct fixture *f = *state;
	struct tvq_file_cfg cfg = { .path = f->node };
	struct tvq_volume *v;
	int fd;

	vt_image(f->path, f->dir, "image", MIB);
	attach(f, 512, false);
	/* As a mount does. */
	fd = open(f->node, O_RDWR | O_EXCL | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_null(tvq_volume_file("node", &cfg, err));
	assert_int_equal(errno, EBUSY);
	assert_non_null(strstr(err, f->node));
	assert_non_null(strstr(err, "mounted"));
	close(fd);
	v = tvq_volume_file("node", &cfg, err);
	assert_non_null(v);
	assert_true(open(f->node, O_RDWR | O_EXCL | O_CLOEXEC) < 0);
	tvq_volume_put(v);
	tvq_volume_settle();
}

static void a_read_only_node_has_to_be_added_read_only(void **state)
{
	struct fixture *f = *state;
	struct tvq_file_cfg cfg = { .path = f->node };
	struct vt t;
	uint8_t buf[512];

	vt_image(f->path, f->dir, "image", MIB);
	attach(f, 512, true);
	assert_null(tvq_volume_file("node", &cfg, err));
	assert_non_null(strstr(err, "add it read-only"));
	cfg.read_only = true;
	t = vt_open(tvq_volume_file("node", &cfg, err), err);
	assert_int_equal(vt_op(&t, TVQ_VREQ_READ, 0, 0, buf, 512), 0);
	vt_close(&t);
}

static void o_direct_over_large_blocks_refuses_an_image_that_has_no_whole_ones(void **state)
{
	struct fixture *f = *state;
	struct tvq_file_cfg cfg = { .path = f->path, .direct = true };
	char cmd[256];
	struct tvq_volume *v;

	/* A file system whose device has blocks of 4096 bytes. */
	vt_image(f->path, f->dir, "image", 16 * MIB);
	attach(f, 4096, false);
	snprintf(cmd, sizeof(cmd), "mkfs.ext4 -q -b 4096 %s >/dev/null 2>&1", f->node);
	if (system(cmd) || unshare(CLONE_NEWNS) ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount(f->node, f->dir, "ext4", 0, NULL)) {
		print_message("skipped: an ext4 cannot be made and mounted here\n");
		skip();
	}
	f->tmpfs = true;
	vt_image(f->path, f->dir, "odd", 4096 * 5 + 512);
	v = tvq_volume_file("v", &cfg, err);
	if (v)
		fail_msg("taken, with blocks of %u bytes", v->limits.block_size);
	assert_non_null(strstr(err, f->path));
	assert_non_null(strstr(err, "truncate -s 24576"));
	cfg.direct = false;
	v = tvq_volume_file("v", &cfg, err);
	assert_non_null(v);
	assert_int_equal(v->limits.block_size, 512);
	tvq_volume_put(v);
	tvq_volume_settle();
	assert_int_equal(truncate(f->path, 4096 * 6), 0);
	cfg.direct = true;
	v = tvq_volume_file("v", &cfg, err);
	assert_non_null(v);
	assert_int_equal(v->limits.block_size, 4096);
	tvq_volume_put(v);
	tvq_volume_settle();
}

/* A node whose device has no room for what is written to it. */
static void full_node(struct fixture *f)
{
	small_tmpfs(f);
	vt_image(f->path, f->dir, "image", 16 * MIB);
	attach(f, 4096, false);
}

static void a_flush_that_failed_goes_on_failing_though_the_kernel_forgets(void **state)
{
	struct fixture *f = *state;
	uint8_t *buf = calloc(1, 8 * MIB);
	struct vt t;

	full_node(f);
	t = open_node(f, false);
	memset(buf, 1, 8 * MIB);
	/* The page cache takes it. */
	assert_int_equal(vt_op(&t, TVQ_VREQ_WRITE, 0, 0, buf, 8 * MIB), 0);
	assert_true(vt_op(&t, TVQ_VREQ_FLUSH, 0, 0, NULL, 0) < 0);
	/* The kernel told its error and has none any more. */
	assert_int_equal(fdatasync(f->loop_fd), -1);
	assert_int_equal(fdatasync(f->loop_fd), 0);
	assert_int_equal(vt_op(&t, TVQ_VREQ_FLUSH, 0, 0, NULL, 0), -EIO);
	assert_int_equal(vt_op(&t, TVQ_VREQ_WRITE_ZEROES, TVQ_VREQ_FUA | TVQ_VREQ_UNMAP, 0, NULL,
			       MIB),
			 -EIO);
	vt_close(&t);
	free(buf);
}

static void a_stable_write_is_on_the_device_or_fails(void **state)
{
	struct fixture *f = *state;
	uint8_t *buf = calloc(1, 4 * MIB);
	struct vt t;

	full_node(f);
	t = open_node(f, false);
	memset(buf, 1, 4 * MIB);
	assert_int_equal(vt_op(&t, TVQ_VREQ_WRITE, TVQ_VREQ_FUA, 0, buf, 4096), 0);
	assert_int_equal(vt_op(&t, TVQ_VREQ_WRITE, TVQ_VREQ_FUA, MIB, buf, 4 * MIB), -EIO);
	/* It may have been told of another one's loss. */
	assert_int_equal(vt_op(&t, TVQ_VREQ_FLUSH, 0, 0, NULL, 0), -EIO);
	vt_close(&t);
	free(buf);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_node_holds_what_a_model_holds),
		TEST(discard_reaches_the_device),
		TEST(a_node_is_opened_exclusively),
		TEST(a_read_only_node_has_to_be_added_read_only),
		TEST(o_direct_over_large_blocks_refuses_an_image_that_has_no_whole_ones),
		TEST(a_flush_that_failed_goes_on_failing_though_the_kernel_forgets),
		TEST(a_stable_write_is_on_the_device_or_fails),
	};

	return cmocka_run_group_tests_name("volume_node", tests, NULL, NULL);
}
