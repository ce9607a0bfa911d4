/* SPDX-License-Identifier: BSD-3-Clause */
/* The vhost-user presenter with a front end that behaves: set-up as QEMU does it, and real I/O. */
#include "vu_front.h"

static void pattern(uint8_t *p, uint32_t len, unsigned int seed)
{
	uint32_t i;

	for (i = 0; i < len; i++)
		p[i] = (uint8_t)(i * 7 + seed);
}

static void write_and_read_back(struct vu_front *f, unsigned int q, unsigned int seed)
{
	uint8_t want[4096];

	pattern(want, sizeof(want), seed);
	memcpy(front_data(f, 0), want, sizeof(want));
	assert_int_equal(front_io(f, q, VIRTIO_BLK_T_OUT, 8 * seed, sizeof(want)), VIRTIO_BLK_S_OK);
	memset(front_data(f, 0), 0, sizeof(want));
	assert_int_equal(front_io(f, q, VIRTIO_BLK_T_IN, 8 * seed, sizeof(want)), VIRTIO_BLK_S_OK);
	assert_memory_equal(front_data(f, 0), want, sizeof(want));
}

static void run(bool packed, bool thread)
{
	struct vu_lab_cfg cfg = { .thread = thread };
	struct vu_lab l;
	struct vu_front f;
	unsigned int i;

	lab_open(&l, &cfg);
	front_init(&f, &l);
	f.features = FRONT_FEATURES | (packed ? BIT(VIRTIO_F_RING_PACKED) : 0);
	front_handshake(&f);
	for (i = 0; i < 100; i++)
		write_and_read_back(&f, 0, i);
	assert_int_equal(front_io(&f, 0, VIRTIO_BLK_T_FLUSH, 0, 0), VIRTIO_BLK_S_OK);
	front_free(&f);
	lab_close(&l);
}

/* TQ-150 */
static void a_front_end_that_behaves_like_qemu_reads_what_it_wrote_split(void **state)
{
	(void)state;
	run(false, false);
}

/* TQ-150 */
static void a_front_end_that_behaves_like_qemu_reads_what_it_wrote_packed(void **state)
{
	(void)state;
	run(true, false);
}

static void data_may_be_on_another_thread_than_messages(void **state)
{
	(void)state;
	run(false, true);
	run(true, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_front_end_that_behaves_like_qemu_reads_what_it_wrote_split),
		cmocka_unit_test(a_front_end_that_behaves_like_qemu_reads_what_it_wrote_packed),
		cmocka_unit_test(data_may_be_on_another_thread_than_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
