/* SPDX-License-Identifier: BSD-3-Clause */
/* The vhost-user presenter with front ends that break the rules: memory, rings, in-flight areas. */
#include "vu_arena.h"

/* Memory. */

struct table {
	uint32_t count, padding;
	struct vu_mem_region r[VU_MAX_REGIONS];
};

static int send_table(const struct table *t, const int *fds, unsigned int n)
{
	return front_ask(&front, VU_SET_MEM_TABLE, t,
			 (uint32_t)(sizeof(struct vu_mem_table) + t->count * sizeof(t->r[0])), fds,
			 n);
}

static void a_memory_table_that_overlaps_or_wraps_closes(void **state)
{
	struct table t = { 2, 0, { front_region().region, front_region().region } };
	int fds[2];

	(void)state;
	arena();
	prepare(TO_PROTOCOL);
	fds[0] = fds[1] = front.memfd;
	t.r[1].user_addr += 0x100000000;
	t.r[1].guest_addr += FRONT_MEM_BYTES - 1;
	assert_int_equal(send_table(&t, fds, 2), -1);
	closed_because("SET_MEM_TABLE", "overlap");

	arena();
	prepare(TO_PROTOCOL);
	t.count = 1;
	fds[0] = front.memfd;
	t.r[0].guest_addr = UINT64_MAX - 0xfff;
	assert_int_equal(send_table(&t, fds, 1), -1);
	closed_because("SET_MEM_TABLE", "wraps");
}

static void a_region_that_overlaps_another_is_refused(void **state)
{
	struct vu_mem_one m = front_region();

	(void)state;
	arena();
	prepare(TO_RINGS);
	m.region.guest_addr += FRONT_MEM_BYTES - 0x1000;
	m.region.user_addr += 0x100000000;
	assert_int_equal(front_ask(&front, VU_ADD_MEM_REG, &m, sizeof(m), &front.memfd, 1), 1);
	assert_true(lab_logged("ADD_MEM_REG: the region overlaps another"));
	serves_the_next();
	curtain();
}

static void a_region_larger_than_its_file_is_refused(void **state)
{
	struct vu_mem_one m = front_region();

	(void)state;
	arena();
	prepare(TO_MEMORY);
	m.region.mmap_offset = 0x1000;
	assert_int_equal(front_ask(&front, VU_ADD_MEM_REG, &m, sizeof(m), &front.memfd, 1), 1);
	assert_true(lab_logged("larger than its file"));
	serves_the_next();
	curtain();
}

static void a_region_that_is_not_there_cannot_be_removed(void **state)
{
	struct vu_mem_one m = front_region();

	(void)state;
	arena();
	prepare(TO_RINGS);
	m.region.size -= 0x1000;
	assert_int_equal(front_ask(&front, VU_REM_MEM_REG, &m, sizeof(m), NULL, 0), 1);
	assert_true(lab_logged("no such region"));
	serves_the_next();
	curtain();
}

static void memory_that_is_no_shared_memory_is_known_and_not_touched(void **state)
{
	struct vu_mem_one m = front_region();
	unsigned int kind;

	(void)state;
	for (kind = 1; kind < 5; kind++) {
		int fd;

		arena();
		prepare(TO_MEMORY);
		fd = other_descriptor(kind);
		assert_int_equal(front_ask(&front, VU_ADD_MEM_REG, &m, sizeof(m), &fd, 1), 0);
		close(fd);
		assert_true(lab_logged("no shared memory"));
		for (unsigned int i = TO_RINGS; i < TO_ENABLE; i++)
			front_handshake_step(&front, i);
		assert_int_equal(front_ask_state(&front, VU_SET_VRING_ENABLE, 0, 1), 1);
		closed_because("SET_VRING_ENABLE", "refused VQ_ENABLE SET");
	}
}

/* Rings. */

static void ring_addresses_outside_the_memory_are_refused(void **state)
{
	static const char *const names[] = { "descriptor area", "driver area", "device area" };
	unsigned int area, where;

	(void)state;
	for (area = 0; area < 3; area++) {
		for (where = 0; where < 4; where++) {
			struct vu_vring_addr a;
			uint64_t bad[] = { 0, FRONT_USER - 0x1000, FRONT_USER + FRONT_MEM_BYTES,
					   UINT64_MAX - 0xfff };

			arena();
			prepare(TO_KICK - 1);
			a = front_addr(&front, 0);
			*(area == 0   ? &a.descriptor
			  : area == 1 ? &a.available
				      : &a.used) = bad[where];
			front_send(&front, VU_SET_VRING_ADDR, 0, &a, sizeof(a), NULL, 0);
			for (unsigned int i = TO_KICK; i < TO_ENABLE; i++)
				front_handshake_step(&front, i);
			assert_int_equal(front_ask_state(&front, VU_SET_VRING_ENABLE, 0, 1), 1);
			closed_because("SET_VRING_ENABLE", names[area]);
		}
	}
}

static void a_ring_that_reaches_beyond_its_region_is_refused(void **state)
{
	struct vu_vring_addr a;

	(void)state;
	arena();
	prepare(TO_KICK - 1);
	a = front_addr(&front, 0);
	a.descriptor = FRONT_USER + FRONT_MEM_BYTES - 16;
	front_send(&front, VU_SET_VRING_ADDR, 0, &a, sizeof(a), NULL, 0);
	for (unsigned int i = TO_KICK; i < TO_ENABLE; i++)
		front_handshake_step(&front, i);
	assert_int_equal(front_ask_state(&front, VU_SET_VRING_ENABLE, 0, 1), 1);
	closed_because("SET_VRING_ENABLE", "refused VQ_ENABLE SET");
}

static void misaligned_ring_addresses_are_refused(void **state)
{
	struct vu_vring_addr a;

	(void)state;
	arena();
	prepare(TO_KICK - 1);
	a = front_addr(&front, 0);
	a.descriptor += 8;
	front_send(&front, VU_SET_VRING_ADDR, 0, &a, sizeof(a), NULL, 0);
	for (unsigned int i = TO_KICK; i < TO_ENABLE; i++)
		front_handshake_step(&front, i);
	assert_int_equal(front_ask_state(&front, VU_SET_VRING_ENABLE, 0, 1), 1);
	closed_because("SET_VRING_ENABLE", "refused VQ_ADDR SET");
}

static void a_running_ring_keeps_its_size_and_position(void **state)
{
	(void)state;
	arena();
	prepare(TO_END);
	assert_int_equal(front_ask_state(&front, VU_SET_VRING_NUM, 0, 32), 1);
	assert_int_equal(front_ask_state(&front, VU_SET_VRING_BASE, 0, 5), 1);
	assert_true(lab_logged("the ring runs"));
	write_and_read_back(&front, 0, 1);
	front_set(&front, VU_SET_FEATURES, FRONT_FEATURES | BIT(VIRTIO_F_RING_PACKED));
	closed_because("SET_FEATURES", "rings are running");
}

static void a_ring_that_breaks_its_rules_is_told_and_harms_nobody(void **state)
{
	struct run other;
	struct vu_front *f = &other.f;
	struct tvq_sg sg[2] = { { FRONT_GUEST + FRONT_BUF_AT, 16 }, { 0x1000, 512 } };
	uint64_t n;

	(void)state;
	arena();
	prepare(TO_END);
	lab_open_second(&other.l, &lab);
	front_init(f, &other.l);
	f->features = FRONT_FEATURES;
	front_handshake(f);
	while (read(front.err[0], &n, sizeof(n)) > 0)
		;
	assert_int_equal(tvq_drv_ring_add(front.ring[0], sg, 1, 1, sg), 0);
	front_kick(&front, 0);
	LAB_UNTIL(&lab, read(front.err[0], &n, sizeof(n)) > 0);
	assert_true(lab_logged("needs a reset"));
	write_and_read_back(f, 0, 4);
	front_free(f);
	lab_close_device(&other.l);
	/* Set up anew, it works again: over the same connection, as after the guest's reboot. */
	assert_int_not_equal(front_get_base(&front, 0), UINT32_MAX);
	front_make_ring(&front, 0);
	memset(front.mem, 0, 16);
	close(front.inflight_fd);
	front_get_inflight(&front, 1);
	front_set_inflight(&front);
	for (unsigned int i = TO_RINGS; i < TO_END; i++)
		front_handshake_step(&front, i);
	write_and_read_back(&front, 0, 5);
	serves_the_next();
	curtain();
}

/* TQ-054 */
static void memory_truncated_under_io_breaks_that_device_only(void **state)
{
	unsigned int i, threads;
	uint64_t n;

	(void)state;
	for (threads = 0; threads < 2; threads++) {
		struct vu_lab_cfg cfg = { .thread = threads };

		arena_for(&cfg);
		prepare(TO_END);
		write_and_read_back(&front, 0, 1);
		while (read(front.err[0], &n, sizeof(n)) > 0)
			;
		for (i = 0; i < 8; i++)
			front_put(&front, 0, i, VIRTIO_BLK_T_IN, i, 4096);
		tvq_drv_ring_publish(front.ring[0]);
		assert_int_equal(ftruncate(front.memfd, 0), 0);
		n = 1;
		assert_int_equal(write(front.kick[0], &n, sizeof(n)), sizeof(n));
		LAB_UNTIL(&lab, read(front.err[0], &n, sizeof(n)) > 0);
		assert_true(lab_logged("needs a reset"));
		assert_int_equal(ftruncate(front.memfd, FRONT_MEM_BYTES), 0);
		tvq_drv_ring_free(front.ring[0]);
		front.ring[0] = NULL;
		serves_the_next();
		curtain();
	}
}

/* In-flight areas. */

static void inflight_enable(const char *message, const char *why)
{
	for (unsigned int i = TO_INFLIGHT + 2; i < TO_ENABLE; i++)
		front_handshake_step(&front, i);
	assert_int_equal(front_ask_state(&front, VU_SET_VRING_ENABLE, 0, 1), 1);
	closed_because(message, why);
}

/* TQ-131 */
static void a_hostile_inflight_area_is_refused(void **state)
{
	unsigned int fill;

	(void)state;
	for (fill = 1; fill < 256; fill += 127) {
		uint8_t *p;

		arena();
		prepare(TO_INFLIGHT + 1);
		p = mmap(NULL, front.inflight.mmap_size, PROT_READ | PROT_WRITE, MAP_SHARED,
			 front.inflight_fd, (off_t)front.inflight.mmap_offset);
		assert_ptr_not_equal(p, MAP_FAILED);
		memset(p, (int)fill, front.inflight.mmap_size);
		munmap(p, front.inflight.mmap_size);
		front_set_inflight(&front);
		inflight_enable("SET_VRING_ENABLE", "refused VQ_ENABLE SET");
	}
}

static void an_inflight_area_too_small_for_its_rings_is_refused(void **state)
{
	(void)state;
	arena();
	prepare(TO_INFLIGHT + 1);
	front.inflight.mmap_size = 256;
	front_set_inflight(&front);
	inflight_enable("SET_VRING_ENABLE", "too small");

	arena();
	prepare(TO_INFLIGHT + 1);
	front.inflight.queue_size = FRONT_RING_SIZE / 2;
	front_set_inflight(&front);
	inflight_enable("SET_VRING_ENABLE", "too small");
}

static void an_inflight_area_beyond_its_file_closes(void **state)
{
	(void)state;
	arena();
	prepare(TO_INFLIGHT + 1);
	front.inflight.mmap_offset = 1 << 30;
	front_set_inflight(&front);
	closed_because("SET_INFLIGHT_FD", "could not be mapped");
}

static void an_inflight_area_that_is_no_memory_closes(void **state)
{
	(void)state;
	arena();
	prepare(TO_INFLIGHT + 1);
	front_send(&front, VU_SET_INFLIGHT_FD, 0, &front.inflight, sizeof(front.inflight),
		   &front.kick[0], 1);
	closed_because("SET_INFLIGHT_FD", "no shared memory");
}

/* TQ-131 */
static void an_inflight_area_in_a_file_that_shrinks_breaks_that_device_only(void **state)
{
	uint64_t n;
	int fd;

	(void)state;
	arena();
	prepare(TO_INFLIGHT + 1);
	fd = memfd_create("area", MFD_CLOEXEC);
	assert_int_equal(ftruncate(fd, (off_t)front.inflight.mmap_size), 0);
	close(front.inflight_fd);
	front.inflight_fd = fd;
	for (unsigned int i = TO_INFLIGHT + 1; i < TO_END; i++)
		front_handshake_step(&front, i);
	write_and_read_back(&front, 0, 1);
	while (read(front.err[0], &n, sizeof(n)) > 0)
		;
	assert_int_equal(ftruncate(fd, 0), 0);
	front_put(&front, 0, 0, VIRTIO_BLK_T_IN, 0, 512);
	front_kick(&front, 0);
	LAB_UNTIL(&lab, read(front.err[0], &n, sizeof(n)) > 0);
	serves_the_next();
	curtain();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_memory_table_that_overlaps_or_wraps_closes),
		cmocka_unit_test(a_region_that_overlaps_another_is_refused),
		cmocka_unit_test(a_region_larger_than_its_file_is_refused),
		cmocka_unit_test(a_region_that_is_not_there_cannot_be_removed),
		cmocka_unit_test(memory_that_is_no_shared_memory_is_known_and_not_touched),
		cmocka_unit_test(ring_addresses_outside_the_memory_are_refused),
		cmocka_unit_test(a_ring_that_reaches_beyond_its_region_is_refused),
		cmocka_unit_test(misaligned_ring_addresses_are_refused),
		cmocka_unit_test(a_running_ring_keeps_its_size_and_position),
		cmocka_unit_test(a_ring_that_breaks_its_rules_is_told_and_harms_nobody),
		cmocka_unit_test(memory_truncated_under_io_breaks_that_device_only),
		cmocka_unit_test(a_hostile_inflight_area_is_refused),
		cmocka_unit_test(an_inflight_area_too_small_for_its_rings_is_refused),
		cmocka_unit_test(an_inflight_area_beyond_its_file_closes),
		cmocka_unit_test(an_inflight_area_that_is_no_memory_closes),
		cmocka_unit_test(an_inflight_area_in_a_file_that_shrinks_breaks_that_device_only),
	};

	if (!lab_catch_sigbus())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
