/* SPDX-License-Identifier: BSD-3-Clause */
/* A volume that grows under a queue that runs. */
#include "device_lab.h"

#define SECTORS 64

struct world {
	struct dl l;
	struct dl_vol *vol;
	struct dl_mem mem;
	uint64_t id, msi;
	volatile uint32_t *word;
	struct dl_queue q;
	struct dl_req r;
};

static uint32_t generation(struct world *w, uint64_t *capacity)
{
	struct tvq_seq *s = tvq_seq_new(w->l.client, w->id);
	uint32_t g = 0;

	tvq_seq_generation_get(s, &g);
	tvq_seq_config_get(s, 0, 8, capacity);
	assert_int_equal(tvq_seq_call(s), 0);
	return g;
}

static int resize(struct world *w, uint64_t sectors)
{
	return tvq_device_resize(tvq_inproc_device(w->l.bus), w->id, sectors * 512);
}

static uint8_t read_at(struct world *w, uint64_t sector)
{
	return dl_io(&w->q, &w->r, VIRTIO_BLK_T_IN, sector);
}

static void up(struct world *w, unsigned int workers)
{
	struct tvq_seq *s;

	dl_up(&w->l, workers, NULL);
	w->vol = dl_vol_new(&w->l, SECTORS * 512, DL_NOW);
	dl_mem_new(&w->mem, &w->l, 1 << 20);
	w->id = dl_create(w->l.client, NULL, w->mem.asid, 0, 0);
	w->word = w->l.bus->ops->dma_alloc(w->l.bus, 4096, &w->msi);
	s = tvq_seq_new(w->l.client, w->id);
	tvq_seq_msi_config_set(s, w->msi, 77);
	tvq_seq_msi_config_enable(s, 1);
	assert_int_equal(tvq_seq_call(s), 0);
	dl_queue_new(&w->q, &w->mem, w->l.client, w->id, 0, 16, false);
	dl_req_new(&w->r, &w->mem, 512);
}

static void down(struct world *w)
{
	dl_queue_free(&w->q);
	dl_mem_free(&w->mem);
	dl_down(&w->l);
}

/* TQ-075, TQ-079 */
static void grown_device_tells_its_driver_and_serves_the_new_part_at_once(void **state)
{
	unsigned int workers;

	(void)state;
	for (workers = 0; workers < 2; workers++) {
		uint64_t capacity;
		struct world w;
		uint32_t g;

		up(&w, workers);
		dl_start(&w.q, 1, 0);
		memset(w.vol->data, 0x11, w.vol->bytes);
		assert_int_equal(read_at(&w, SECTORS - 1), VIRTIO_BLK_S_OK);
		assert_int_equal(read_at(&w, SECTORS), VIRTIO_BLK_S_IOERR);
		g = generation(&w, &capacity);
		assert_int_equal(capacity, SECTORS);
		w.vol->v.limits.capacity *= 2;
		assert_int_equal(read_at(&w, SECTORS), VIRTIO_BLK_S_IOERR);
		assert_int_equal(*w.word, 0);
		assert_int_equal(resize(&w, 2 * SECTORS), 0);
		dl_until(&w.l, *w.word == 77);
		assert_int_not_equal(generation(&w, &capacity), g);
		assert_int_equal(capacity, 2 * SECTORS);
		assert_int_equal(read_at(&w, SECTORS), VIRTIO_BLK_S_OK);
		assert_int_equal(w.r.data[0], 0x11);
		assert_int_equal(read_at(&w, 2 * SECTORS - 1), VIRTIO_BLK_S_OK);
		assert_int_equal(read_at(&w, 2 * SECTORS), VIRTIO_BLK_S_IOERR);
		assert_int_equal(resize(&w, SECTORS), -EINVAL);
		down(&w);
	}
}

/* The owner's word is not enough: what is not there is not reached. */
static void device_told_to_be_larger_than_its_volume_ends_where_that_does(void **state)
{
	struct world w;

	(void)state;
	up(&w, 1);
	dl_start(&w.q, 1, 0);
	assert_int_equal(resize(&w, 4 * SECTORS), 0);
	assert_int_equal(read_at(&w, SECTORS - 1), VIRTIO_BLK_S_OK);
	assert_int_equal(read_at(&w, SECTORS), VIRTIO_BLK_S_IOERR);
	assert_int_equal(read_at(&w, 3 * SECTORS), VIRTIO_BLK_S_IOERR);
	down(&w);
}

/* TQ-075, TQ-079: a driver that has not said DRIVER_OK reads it by itself. */
static void resize_before_driver_ok_changes_the_generation_without_an_interrupt(void **state)
{
	uint64_t capacity;
	struct world w;
	uint32_t g;

	(void)state;
	up(&w, 1);
	g = generation(&w, &capacity);
	w.vol->v.limits.capacity *= 2;
	assert_int_equal(resize(&w, 2 * SECTORS), 0);
	dl_turns(&w.l, 10);
	assert_int_equal(*w.word, 0);
	assert_int_not_equal(generation(&w, &capacity), g);
	dl_start(&w.q, 1, 0);
	assert_int_equal(read_at(&w, 2 * SECTORS - 1), VIRTIO_BLK_S_OK);
	down(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grown_device_tells_its_driver_and_serves_the_new_part_at_once),
		cmocka_unit_test(device_told_to_be_larger_than_its_volume_ends_where_that_does),
		cmocka_unit_test(
			resize_before_driver_ok_changes_the_generation_without_an_interrupt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
