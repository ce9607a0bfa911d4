/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A driver that writes anything anywhere: the function goes on, and after a reset all is as it was
 * at the start. What goes wrong inside is the sanitizers' to find.
 */
#include "pci_lab.h"

struct world {
	struct pl p;
	struct dl_mem mem;
	uint64_t rng;
};

static uint64_t rnd(struct world *w)
{
	w->rng ^= w->rng << 13;
	w->rng ^= w->rng >> 7;
	w->rng ^= w->rng << 17;
	return w->rng;
}

static void up(struct world *w, unsigned int workers, uint64_t seed)
{
	pl_up(&w->p, workers, &(struct tvq_pci_cfg){ .msi_page = true, .mgmt.max_devices = 64 });
	w->rng = seed;
	for (unsigned int i = 0; i < 4; i++)
		dl_vol_new(&w->p.l, 1 << 20, DL_LATE);
	pl_drive(&w->p, NULL);
	dl_mem_new(&w->mem, &w->p.l, 256 << 10);
}

/* Whatever was written, a reset ends, and a driver that behaves gets what it needs. */
static void works_after_reset(struct world *w)
{
	static uint8_t fresh[4096], now[4096];
	struct dl_queue q;
	struct dl_req r;
	struct pl other;
	uint64_t id;

	pl_reset(&w->p);
	assert_int_equal(pl_status(&w->p), 0);
	pl_up(&other, 0, &(struct tvq_pci_cfg){ .msi_page = true, .mgmt.max_devices = 64 });
	assert_int_equal(tvq_pci_read(other.pci, PL_CONFIG, 0, fresh, sizeof(fresh)), 0);
	assert_int_equal(tvq_pci_read(w->p.pci, PL_CONFIG, 0, now, sizeof(now)), 0);
	assert_memory_equal(now, fresh, sizeof(fresh));
	pl_down(&other);
	assert_int_equal(w->p.l.n_claimed, 0);
	tvq_client_free(w->p.l.client);
	w->p.l.client = NULL;
	pl_drive(&w->p, NULL);
	id = dl_create(w->p.l.client, NULL, w->mem.asid, 0, 1);
	w->mem.used = 0;
	dl_queue_new(&q, &w->mem, w->p.l.client, id, 0, 16, false);
	dl_req_new(&r, &w->mem, 512);
	dl_start(&q, 1, 0);
	assert_int_equal(dl_io(&q, &r, VIRTIO_BLK_T_IN, 0), 0);
	assert_int_equal(dl_destroy(w->p.l.client, id), 0);
	dl_queue_free(&q);
}

static void down(struct world *w)
{
	dl_mem_free(&w->mem);
	pl_down(&w->p);
}

static const uint32_t widths[] = { 1, 2, 4, 8, 3, 5, 16, 64 };

static void garbage_at(struct world *w, unsigned int region, uint64_t at, uint32_t len)
{
	uint8_t *buf = malloc(len); /* so that an access beyond it is seen */
	bool all_ones = !(rnd(w) & 7);

	assert_non_null(buf);
	for (unsigned int i = 0; i < len; i++)
		buf[i] = all_ones ? 0xff : (uint8_t)rnd(w);
	if (at + len > tvq_pci_region_size(w->p.pci, region)) {
		assert_int_equal(tvq_pci_write(w->p.pci, region, at, buf, len), -EINVAL);
		assert_int_equal(tvq_pci_read(w->p.pci, region, at, buf, len), -EINVAL);
	} else {
		assert_int_equal(tvq_pci_write(w->p.pci, region, at, buf, len), 0);
		assert_int_equal(tvq_pci_read(w->p.pci, region, at, buf, len), 0);
	}
	free(buf);
}

static void every_byte_of_every_region_takes_garbage_of_every_width(void **state)
{
	struct world w;

	(void)state;
	for (unsigned int i = 0; i < sizeof(widths) / sizeof(widths[0]); i++) {
		up(&w, i % 2, 0x9e3779b97f4a7c15ull + i);
		for (uint32_t at = 0; at < tvq_pci_region_size(w.p.pci, PL_CONFIG); at++) {
			garbage_at(&w, PL_CONFIG, at, widths[i]);
			if (at < 256)
				dl_turns(&w.p.l, 1);
		}
		for (uint32_t at = 0; at < tvq_pci_region_size(w.p.pci, PL_BAR0); at++) {
			garbage_at(&w, PL_BAR0, at, widths[i]);
			if (at < 128)
				dl_turns(&w.p.l, 1);
		}
		/* All bytes of the pages of interest; the others are alike. */
		for (uint64_t at = 0; at < 68 * PL_PAGE; at++)
			garbage_at(&w, PL_BAR2, at, widths[i]);
		for (uint64_t at = 68 * PL_PAGE; at < tvq_pci_region_size(w.p.pci, PL_BAR2) + 64;
		     at += 997)
			garbage_at(&w, PL_BAR2, at, widths[i]);
		dl_turns(&w.p.l, 16);
		works_after_reset(&w);
		down(&w);
	}
}

/*
 * Registers in any order, with values that mean something often enough that rings run: in memory
 * that is full of garbage.
 */
static void one_step(struct world *w)
{
	static const uint8_t fields[] = { 0, 4, 8, 12, 16, 20, 22, 24, 26, 28, 58 };
	static const uint8_t status[] = { 1, 3, 11, 15, 15, 15, 0x80, 0 };
	uint64_t v = rnd(w);

	switch (rnd(w) % 12) {
	case 0:
		pl_put(&w->p, PL_BAR0, VIRTIO_PCI_COMMON_STATUS, 1, status[v % 8]);
		break;
	case 1: /* what it offers, mostly */
		w->p.bus.ops->set_features(&w->p.bus,
					   w->p.bus.ops->features(&w->p.bus) &
						   ~(v & (BIT(34) | BIT(38) | BIT(29) | BIT(28))));
		break;
	case 2:
		pl_select(&w->p, v % 3);
		break;
	case 3:
		pl_put(&w->p, PL_BAR0, VIRTIO_PCI_COMMON_Q_SIZE, 2, 1u << v % 9);
		break;
	case 4:
	case 5:
		for (unsigned int at = VIRTIO_PCI_COMMON_Q_DESCLO; at <= VIRTIO_PCI_COMMON_Q_USEDLO;
		     at += 8)
			pl_put(&w->p, PL_BAR0, at, 8,
			       w->mem.iova + (rnd(w) % w->mem.size & ~15ull));
		break;
	case 6:
	case 7:
		pl_put(&w->p, PL_BAR0, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
		break;
	case 8:
		pl_put(&w->p, PL_BAR2, 4 * (v % 3), v & 8 ? 4 : 2, v % 3);
		break;
	case 9:
		for (unsigned int i = 0; i < 64; i++)
			__atomic_store_n(w->mem.va + rnd(w) % w->mem.size, (uint8_t)rnd(w),
					 __ATOMIC_RELAXED);
		break;
	case 10: {
		uint8_t at = fields[v % sizeof(fields)];

		pl_put(&w->p, PL_BAR0, at, at < 16 ? 4 : at == 20 ? 1 : 2, rnd(w) >> rnd(w) % 64);
		break;
	}
	default:
		if (!(v & 63))
			garbage_at(w, PL_CONFIG, v >> 8 & 255, widths[v >> 16 & 7]);
		break;
	}
}

static void any_order_of_register_writes_is_survived(void **state)
{
	struct world w;

	(void)state;
	for (unsigned int workers = 0; workers < 2; workers++) {
		struct tvq_bus_mem mem;
		unsigned int ran = 0;

		up(&w, workers, 0x2545f4914f6cdd1dull + workers);
		/* The managed device's memory is there, too; the device has its own mapping of it. */
		mem = (struct tvq_bus_mem){ .iova = w.mem.iova,
					    .len = w.mem.size,
					    .fd = w.mem.fd,
					    .perm = TVQ_DMA_READ | TVQ_DMA_WRITE };
		assert_int_equal(w.p.bus.ops->map(&w.p.bus, 0, &mem, 1), 0);
		for (unsigned int i = 0; i < 60000; i++) {
			one_step(&w);
			if (!(i % 3))
				dl_turns(&w.p.l, 1);
			pl_select(&w.p, i & 1);
			ran += pl_get(&w.p, PL_BAR0, VIRTIO_PCI_COMMON_Q_ENABLE, 2) &&
			       (pl_status(&w.p) & 0x4f) == 0x0f;
		}
		assert_true(ran > 1000); /* or this reaches nothing */
		works_after_reset(&w);
		down(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_byte_of_every_region_takes_garbage_of_every_width),
		cmocka_unit_test(any_order_of_register_writes_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
