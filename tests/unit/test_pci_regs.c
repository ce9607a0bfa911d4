/* SPDX-License-Identifier: BSD-3-Clause */
/* The PCI function's virtio registers: what a field takes, and what it refuses. */
#include "pci_lab.h"

#define FEATURES_WITHOUT (BIT(VIRTIO_F_RING_PACKED) | BIT(38))

static uint32_t get(struct pl *w, unsigned int at, unsigned int len)
{
	return (uint32_t)pl_get(w, PL_BAR0, at, len);
}

static void put(struct pl *w, unsigned int at, unsigned int len, uint64_t v)
{
	pl_put(w, PL_BAR0, at, len, v);
}

/* ---- accesses ---- */

/* virtio 1.4, 4.1.3.1 */
static void a_field_is_accessed_by_its_own_width_only(void **state)
{
	struct pl w;

	(void)state;
	pl_up(&w, 0, NULL);
	put(&w, VIRTIO_PCI_COMMON_DFSELECT, 4, 0x01020304);
	put(&w, VIRTIO_PCI_COMMON_Q_SELECT, 2, 1);
	for (unsigned int at = 0; at < 64; at++)
		for (unsigned int len = 1; len <= 64 - at; len++) {
			uint8_t ones[64], buf[64], zero[64] = { 0 };

			memset(ones, 0xff, sizeof(ones));
			if (at >= 32 && at < 56 && at % 4 == 0 && len == 4)
				continue;
			if (at >= 32 && at < 56 && at % 8 == 0 && len == 8)
				continue;
			if ((at < 16 && at % 4 == 0 && len == 4) ||
			    (at >= 16 && at % 2 == 0 && len == 2 && at != 20 && at < 32) ||
			    ((at == 20 || at == 21) && len == 1) ||
			    ((at == 56 || at == 58) && len == 2))
				continue;
			assert_int_equal(tvq_pci_write(w.pci, PL_BAR0, at, ones, len), 0);
			memset(buf, 0xa5, sizeof(buf));
			assert_int_equal(tvq_pci_read(w.pci, PL_BAR0, at, buf, len), 0);
			assert_memory_equal(buf, zero, len);
		}
	assert_int_equal(get(&w, VIRTIO_PCI_COMMON_DFSELECT, 4), 0x01020304);
	assert_int_equal(get(&w, VIRTIO_PCI_COMMON_GFSELECT, 4), 0);
	assert_int_equal(get(&w, VIRTIO_PCI_COMMON_MSIX, 2), 0xffff);
	assert_int_equal(get(&w, VIRTIO_PCI_COMMON_Q_SELECT, 2), 1);
	assert_int_equal(get(&w, VIRTIO_PCI_COMMON_Q_SIZE, 2), 1024);
	assert_int_equal(pl_get(&w, PL_BAR0, VIRTIO_PCI_COMMON_Q_DESCLO, 8), 0);
	assert_int_equal(pl_status(&w), 0);
	pl_down(&w);
}

static void areas_are_written_whole_or_by_halves(void **state)
{
	struct pl w;

	(void)state;
	pl_up(&w, 0, NULL);
	for (unsigned int at = VIRTIO_PCI_COMMON_Q_DESCLO; at <= VIRTIO_PCI_COMMON_Q_USEDLO;
	     at += 8) {
		pl_select(&w, 1);
		put(&w, at, 8, 0x1122334455667788ull + at);
		assert_int_equal(get(&w, at, 4), 0x55667788 + at);
		assert_int_equal(get(&w, at + 4, 4), 0x11223344);
		put(&w, at + 4, 4, 0xaabbccdd);
		assert_int_equal(pl_get(&w, PL_BAR0, at, 8), 0xaabbccdd55667788ull + at);
		pl_select(&w, 0);
		assert_int_equal(pl_get(&w, PL_BAR0, at, 8), 0);
	}
	pl_down(&w);
}

/* TQ-010 */
static void queues_are_those_of_the_device_with_the_transportq_last(void **state)
{
	struct pl w;

	(void)state;
	pl_up(&w, 0, &(struct tvq_pci_cfg){ .mgmt.max_queue_size = 64 });
	assert_int_equal(get(&w, VIRTIO_PCI_COMMON_NUMQ, 2), 2);
	for (uint16_t i = 0; i < 2; i++) {
		pl_select(&w, i);
		assert_int_equal(get(&w, VIRTIO_PCI_COMMON_Q_SIZE, 2), 64);
		assert_int_equal(get(&w, VIRTIO_PCI_COMMON_Q_MSIX, 2), 0xffff);
	}
	pl_down(&w);
}

static void a_queue_that_is_none_reads_0_and_takes_nothing(void **state)
{
	static const uint16_t none[] = { 2, 3, 0x8000, 0xffff };
	struct pl w;

	(void)state;
	pl_up(&w, 0, NULL);
	for (unsigned int i = 0; i < 4; i++) {
		pl_select(&w, none[i]);
		for (unsigned int at = VIRTIO_PCI_COMMON_Q_SIZE; at < 64; at += 2) {
			unsigned int len = at >= 32 && at < 56 ? 4 : 2;

			put(&w, at, len, 1);
			assert_int_equal(get(&w, at, len), 0);
		}
	}
	pl_down(&w);
}

/* TQ-091 */
static void a_queue_size_that_cannot_be_is_refused(void **state)
{
	static const uint16_t wrong[] = { 0, 3, 1000, 2048, 0xffff };
	struct pl w;

	(void)state;
	pl_up(&w, 0, NULL);
	pl_select(&w, 1);
	put(&w, VIRTIO_PCI_COMMON_Q_SIZE, 2, 32);
	for (unsigned int i = 0; i < 5; i++) {
		put(&w, VIRTIO_PCI_COMMON_Q_SIZE, 2, wrong[i]);
		assert_int_equal(get(&w, VIRTIO_PCI_COMMON_Q_SIZE, 2), 32);
	}
	pl_down(&w);
}

static void a_vector_that_is_none_reads_back_as_no_vector(void **state)
{
	struct pl w;

	(void)state;
	pl_up(&w, 0, &(struct tvq_pci_cfg){ .n_vectors = 3 });
	pl_select(&w, 1);
	for (unsigned int at = VIRTIO_PCI_COMMON_MSIX; at;
	     at = at == VIRTIO_PCI_COMMON_MSIX ? VIRTIO_PCI_COMMON_Q_MSIX : 0) {
		for (uint16_t v = 0; v < 3; v++) {
			put(&w, at, 2, v);
			assert_int_equal(get(&w, at, 2), v);
		}
		put(&w, at, 2, 3);
		assert_int_equal(get(&w, at, 2), 0xffff);
		put(&w, at, 2, 1);
		put(&w, at, 2, 0xffff);
		assert_int_equal(get(&w, at, 2), 0xffff);
	}
	pl_down(&w);
}

/* ---- features, status ---- */

static void features_beyond_64_bits_are_0(void **state)
{
	struct pl w;

	(void)state;
	pl_up(&w, 0, NULL);
	for (uint32_t select = 2; select; select = select == 2 ? UINT32_MAX : 0) {
		put(&w, VIRTIO_PCI_COMMON_DFSELECT, 4, select);
		assert_int_equal(get(&w, VIRTIO_PCI_COMMON_DF, 4), 0);
		put(&w, VIRTIO_PCI_COMMON_GFSELECT, 4, select);
		put(&w, VIRTIO_PCI_COMMON_GF, 4, UINT32_MAX);
		assert_int_equal(get(&w, VIRTIO_PCI_COMMON_GF, 4), 0);
	}
	for (uint32_t select = 0; select < 2; select++) {
		put(&w, VIRTIO_PCI_COMMON_GFSELECT, 4, select);
		assert_int_equal(get(&w, VIRTIO_PCI_COMMON_GF, 4), 0);
		put(&w, VIRTIO_PCI_COMMON_GF, 4, 0x1000 + select);
	}
	for (uint32_t select = 0; select < 2; select++) {
		put(&w, VIRTIO_PCI_COMMON_GFSELECT, 4, select);
		assert_int_equal(get(&w, VIRTIO_PCI_COMMON_GF, 4), 0x1000 + select);
	}
	pl_down(&w);
}

/* TQ-012 TQ-069 */
static void features_that_cannot_be_do_not_get_features_ok(void **state)
{
	struct pl w;
	uint64_t offered;

	(void)state;
	pl_up(&w, 0, NULL);
	offered = w.bus.ops->features(&w.bus);
	{
		const uint64_t wrong[] = {
			offered | BIT(0),		    /* not offered */
			offered & ~BIT(VIRTIO_F_VERSION_1), /* needed */
			offered & ~BIT(VIRTIO_F_TRNSPT_VQ), /* 49 without 48 */
			offered | BIT(37),
			offered | BIT(63),
			0,
		};

		for (unsigned int i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
			put(&w, VIRTIO_PCI_COMMON_STATUS, 1, 3);
			w.bus.ops->set_features(&w.bus, wrong[i]);
			put(&w, VIRTIO_PCI_COMMON_STATUS, 1, 11);
			assert_int_equal(pl_status(&w), 3);
			put(&w, VIRTIO_PCI_COMMON_STATUS, 1, 15);
			assert_int_equal(pl_status(&w), 3);
		}
	}
	w.bus.ops->set_features(&w.bus, offered);
	put(&w, VIRTIO_PCI_COMMON_STATUS, 1, 11);
	assert_int_equal(pl_status(&w), 11);
	/* They are settled now. */
	w.bus.ops->set_features(&w.bus, 0);
	put(&w, VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
	assert_int_equal(get(&w, VIRTIO_PCI_COMMON_GF, 4), offered >> 32);
	put(&w, VIRTIO_PCI_COMMON_STATUS, 1, 15);
	assert_int_equal(pl_status(&w), 15);
	pl_down(&w);
}

/* TQ-068 */
static void a_status_that_clears_a_bit_is_ignored(void **state)
{
	struct pl w;

	(void)state;
	pl_up(&w, 0, NULL);
	put(&w, VIRTIO_PCI_COMMON_STATUS, 1, 3);
	put(&w, VIRTIO_PCI_COMMON_STATUS, 1, 1);
	assert_int_equal(pl_status(&w), 3);
	put(&w, VIRTIO_PCI_COMMON_STATUS, 1, 0x83);
	assert_int_equal(pl_status(&w), 0x83);
	put(&w, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	assert_int_equal(pl_status(&w), 0);
	pl_down(&w);
}

static void status_0_clears_the_registers_of_the_device(void **state)
{
	struct pl w;

	(void)state;
	pl_up(&w, 0, NULL);
	put(&w, VIRTIO_PCI_COMMON_STATUS, 1, 3);
	put(&w, VIRTIO_PCI_COMMON_DFSELECT, 4, 1);
	put(&w, VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
	put(&w, VIRTIO_PCI_COMMON_GF, 4, 1);
	put(&w, VIRTIO_PCI_COMMON_MSIX, 2, 4);
	pl_select(&w, 1);
	put(&w, VIRTIO_PCI_COMMON_Q_MSIX, 2, 5);
	put(&w, VIRTIO_PCI_COMMON_Q_SIZE, 2, 16);
	put(&w, VIRTIO_PCI_COMMON_Q_AVAILLO, 8, 0x1000);
	put(&w, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	assert_int_equal(get(&w, VIRTIO_PCI_COMMON_DFSELECT, 4), 0);
	assert_int_equal(get(&w, VIRTIO_PCI_COMMON_GFSELECT, 4), 0);
	put(&w, VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
	assert_int_equal(get(&w, VIRTIO_PCI_COMMON_GF, 4), 0);
	assert_int_equal(get(&w, VIRTIO_PCI_COMMON_MSIX, 2), 0xffff);
	assert_int_equal(get(&w, VIRTIO_PCI_COMMON_Q_SELECT, 2), 0);
	pl_select(&w, 1);
	assert_int_equal(get(&w, VIRTIO_PCI_COMMON_Q_MSIX, 2), 0xffff);
	assert_int_equal(get(&w, VIRTIO_PCI_COMMON_Q_SIZE, 2), 1024);
	assert_int_equal(pl_get(&w, PL_BAR0, VIRTIO_PCI_COMMON_Q_AVAILLO, 8), 0);
	pl_down(&w);
}

/* ---- enabling ---- */

struct ring {
	uint64_t iova;
	uint8_t *va;
	struct tvq_bus_queue q;
};

static void features_ok(struct pl *w, uint64_t without)
{
	uint64_t offered = w->bus.ops->features(&w->bus);

	put(w, VIRTIO_PCI_COMMON_STATUS, 1, 3);
	w->bus.ops->set_features(&w->bus, offered & ~without);
	put(w, VIRTIO_PCI_COMMON_STATUS, 1, 11);
	assert_int_equal(pl_status(w), 11);
}

static void ring_new(struct pl *w, struct ring *r, uint16_t index)
{
	r->va = w->bus.ops->dma_alloc(&w->bus, 3 * PL_PAGE, &r->iova);
	r->q = (struct tvq_bus_queue){ .index = index,
				       .size = 16,
				       .desc = r->iova,
				       .driver = r->iova + PL_PAGE,
				       .device = r->iova + 2 * PL_PAGE };
}

/* TQ-092 TQ-094 */
static void areas_that_cannot_be_leave_queue_enable_0(void **state)
{
	struct pl w;
	struct ring r;

	(void)state;
	pl_up(&w, 0, NULL);
	ring_new(&w, &r, 1);
	features_ok(&w, FEATURES_WITHOUT);
	{
		const struct tvq_bus_queue wrong[] = {
			{ 1, 16, r.iova + 1, r.q.driver, r.q.device },
			{ 1, 16, r.iova, r.q.driver + 1, r.q.device },
			{ 1, 16, r.iova, r.q.driver, r.q.device + 2 },
			{ 1, 16, 0x10, r.q.driver, r.q.device },
			{ 1, 16, r.iova, r.q.driver, UINT64_MAX - 3 },
			{ 1, 1024, r.iova, r.q.driver, r.q.device },
		};

		for (unsigned int i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
			assert_int_equal(w.bus.ops->queue_setup(&w.bus, &wrong[i], NULL, NULL),
					 -EINVAL);
			assert_int_equal(pl_status(&w), 11);
		}
	}
	/* And it can be put right. */
	assert_int_equal(w.bus.ops->queue_setup(&w.bus, &r.q, NULL, NULL), 0);
	pl_reset(&w);
	w.bus.ops->dma_free(&w.bus, r.va, 3 * PL_PAGE);
	pl_down(&w);
}

/* TQ-090 */
static void a_queue_is_not_enabled_before_features_ok(void **state)
{
	struct pl w;
	struct ring r;

	(void)state;
	pl_up(&w, 0, NULL);
	ring_new(&w, &r, 1);
	put(&w, VIRTIO_PCI_COMMON_STATUS, 1, 3);
	assert_int_equal(w.bus.ops->queue_setup(&w.bus, &r.q, NULL, NULL), -EINVAL);
	pl_reset(&w);
	w.bus.ops->dma_free(&w.bus, r.va, 3 * PL_PAGE);
	pl_down(&w);
}

static void only_1_enables_a_queue(void **state)
{
	static const uint16_t wrong[] = { 0, 2, 3, 0x100, 0xffff };
	struct pl w;
	struct ring r;

	(void)state;
	pl_up(&w, 0, NULL);
	ring_new(&w, &r, 1);
	features_ok(&w, FEATURES_WITHOUT);
	pl_select(&w, 1);
	put(&w, VIRTIO_PCI_COMMON_Q_SIZE, 2, r.q.size);
	put(&w, VIRTIO_PCI_COMMON_Q_DESCLO, 8, r.q.desc);
	put(&w, VIRTIO_PCI_COMMON_Q_AVAILLO, 8, r.q.driver);
	put(&w, VIRTIO_PCI_COMMON_Q_USEDLO, 8, r.q.device);
	for (unsigned int i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		put(&w, VIRTIO_PCI_COMMON_Q_ENABLE, 2, wrong[i]);
		assert_int_equal(get(&w, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
	}
	put(&w, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	assert_int_equal(get(&w, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 1);
	pl_reset(&w);
	w.bus.ops->dma_free(&w.bus, r.va, 3 * PL_PAGE);
	pl_down(&w);
}

/* TQ-093 */
static void an_enabled_queue_keeps_its_set_up(void **state)
{
	struct pl w;
	struct ring r;

	(void)state;
	pl_up(&w, 0, NULL);
	ring_new(&w, &r, 1);
	features_ok(&w, FEATURES_WITHOUT);
	assert_int_equal(w.bus.ops->queue_setup(&w.bus, &r.q, NULL, NULL), 0);
	put(&w, VIRTIO_PCI_COMMON_Q_SIZE, 2, 8);
	put(&w, VIRTIO_PCI_COMMON_Q_DESCLO, 8, 0);
	put(&w, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 0);
	assert_int_equal(get(&w, VIRTIO_PCI_COMMON_Q_SIZE, 2), 16);
	assert_int_equal(pl_get(&w, PL_BAR0, VIRTIO_PCI_COMMON_Q_DESCLO, 8), r.iova);
	assert_int_equal(get(&w, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 1);
	pl_reset(&w);
	w.bus.ops->dma_free(&w.bus, r.va, 3 * PL_PAGE);
	pl_down(&w);
}

/* ---- notification of the function's own queues ---- */

/* A command without room for an answer: it is used with length 0, which is all that is wanted. */
static void make_command(const struct ring *r)
{
	struct vring_desc *d = (void *)r->va;
	struct vring_avail *a = (void *)(r->va + PL_PAGE);

	d[0] = (struct vring_desc){ .addr = r->iova + 2048, .len = 12 };
	a->ring[a->idx % 16] = 0;
	__atomic_store_n(&a->idx, a->idx + 1, __ATOMIC_RELEASE);
}

static uint16_t used(const struct ring *r)
{
	const struct vring_used *u = (const void *)(r->va + 2 * PL_PAGE);

	return __atomic_load_n(&u->idx, __ATOMIC_ACQUIRE);
}

/* TQ-094 TQ-095 */
static void a_queue_enabled_after_driver_ok_is_served(void **state)
{
	struct pl w;
	struct ring r;

	(void)state;
	pl_up(&w, 0, NULL);
	ring_new(&w, &r, 1);
	features_ok(&w, FEATURES_WITHOUT);
	put(&w, VIRTIO_PCI_COMMON_STATUS, 1, 15);
	make_command(&r);
	assert_int_equal(w.bus.ops->queue_setup(&w.bus, &r.q, NULL, NULL), 0);
	dl_until(&w.l, used(&r) == 1);
	pl_reset(&w);
	w.bus.ops->dma_free(&w.bus, r.va, 3 * PL_PAGE);
	pl_down(&w);
}

/* TQ-100 TQ-101 */
static void an_own_queue_is_notified_at_its_place_by_its_width_only(void **state)
{
	struct pl w;
	struct ring r;

	(void)state;
	for (unsigned int data = 0; data < 2; data++) {
		const unsigned int width = data ? 4 : 2;
		uint64_t at;

		pl_up(&w, 0, NULL);
		ring_new(&w, &r, 1);
		features_ok(&w, BIT(VIRTIO_F_RING_PACKED) | BIT(VIRTIO_RING_F_EVENT_IDX) |
					(data ? 0 : BIT(38)));
		assert_int_equal(w.bus.ops->queue_setup(&w.bus, &r.q, NULL, NULL), 0);
		put(&w, VIRTIO_PCI_COMMON_STATUS, 1, 15);
		at = 4ull * get(&w, VIRTIO_PCI_COMMON_Q_NOFF, 2);
		assert_int_equal(at, 4);
		dl_turns(&w.l, 64);
		make_command(&r);
		pl_put(&w, PL_BAR2, at, 6 - width, 1);
		pl_put(&w, PL_BAR2, at, 1, 1);
		pl_put(&w, PL_BAR2, at, width, 0);
		pl_put(&w, PL_BAR2, at, width, 2);
		pl_put(&w, PL_BAR2, 0, width, 1);
		pl_put(&w, PL_BAR2, at + 4, width, 1);
		pl_put(&w, PL_BAR2, at + 4096, width, 1);
		dl_turns(&w.l, 64);
		assert_int_equal(used(&r), 0);
		pl_put(&w, PL_BAR2, at, width, data ? 0x00010001 : 1);
		dl_until(&w.l, used(&r) == 1);
		assert_int_equal(pl_get(&w, PL_BAR2, at, 4), 0);
		pl_reset(&w);
		w.bus.ops->dma_free(&w.bus, r.va, 3 * PL_PAGE);
		pl_down(&w);
	}
}

/* ---- device configuration ---- */

/* TQ-076 TQ-077 TQ-078 */
static void the_devices_configuration_is_in_bar_0(void **state)
{
	const uint32_t at = 0x2000, writeback = offsetof(struct virtio_blk_config, wce);
	uint32_t len;
	struct pl w;
	uint8_t cap, all[128], generation;

	(void)state;
	pl_up(&w, 0, NULL);
	cap = pl_find_cap(&w, PCI_CAP_ID_VNDR, VIRTIO_PCI_CAP_DEVICE_CFG);
	assert_int_equal(pl_get(&w, PL_CONFIG, cap + VIRTIO_PCI_CAP_OFFSET, 4), at);
	len = (uint32_t)pl_get(&w, PL_CONFIG, cap + VIRTIO_PCI_CAP_LENGTH, 4);
	assert_true(len >= 60 && len <= sizeof(all));
	assert_int_equal(tvq_pci_read(w.pci, PL_BAR0, at, all, len), 0);
	assert_int_equal(get(&w, at + offsetof(struct virtio_blk_config, blk_size), 4), 512);
	assert_int_equal(all[offsetof(struct virtio_blk_config, blk_size) + 1], 2);
	/* Across its end, and behind it. */
	assert_int_equal(get(&w, at + len - 1, 2), 0);
	assert_int_equal(get(&w, at + len, 4), 0);
	put(&w, at + len, 4, UINT32_MAX);

	put(&w, at + writeback, 1, 0); /* before FEATURES_OK */
	assert_int_equal(get(&w, at + writeback, 1), 1);
	features_ok(&w, FEATURES_WITHOUT);
	generation = (uint8_t)get(&w, VIRTIO_PCI_COMMON_CFGGENERATION, 1);
	put(&w, at, 4, 77);
	put(&w, at + writeback, 2, 0);
	assert_int_equal(get(&w, at, 4), 0);
	assert_int_equal(get(&w, at + writeback, 1), 1);
	assert_int_equal(get(&w, VIRTIO_PCI_COMMON_CFGGENERATION, 1), generation);
	put(&w, at + writeback, 1, 0);
	assert_int_equal(get(&w, at + writeback, 1), 0);
	/* TQ-075 */
	assert_int_not_equal(get(&w, VIRTIO_PCI_COMMON_CFGGENERATION, 1), generation);
	pl_down(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_field_is_accessed_by_its_own_width_only),
		cmocka_unit_test(areas_are_written_whole_or_by_halves),
		cmocka_unit_test(queues_are_those_of_the_device_with_the_transportq_last),
		cmocka_unit_test(a_queue_that_is_none_reads_0_and_takes_nothing),
		cmocka_unit_test(a_queue_size_that_cannot_be_is_refused),
		cmocka_unit_test(a_vector_that_is_none_reads_back_as_no_vector),
		cmocka_unit_test(features_beyond_64_bits_are_0),
		cmocka_unit_test(features_that_cannot_be_do_not_get_features_ok),
		cmocka_unit_test(a_status_that_clears_a_bit_is_ignored),
		cmocka_unit_test(status_0_clears_the_registers_of_the_device),
		cmocka_unit_test(areas_that_cannot_be_leave_queue_enable_0),
		cmocka_unit_test(a_queue_is_not_enabled_before_features_ok),
		cmocka_unit_test(only_1_enables_a_queue),
		cmocka_unit_test(an_enabled_queue_keeps_its_set_up),
		cmocka_unit_test(a_queue_enabled_after_driver_ok_is_served),
		cmocka_unit_test(an_own_queue_is_notified_at_its_place_by_its_width_only),
		cmocka_unit_test(the_devices_configuration_is_in_bar_0),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
