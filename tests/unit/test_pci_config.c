/* SPDX-License-Identifier: BSD-3-Clause */
/* The PCI function's configuration space, and where regions end. */
#include "pci_lab.h"

#include <virtio_transportq.h>

static uint32_t cfg(struct pl *w, uint32_t at, uint32_t len)
{
	return (uint32_t)pl_get(w, PL_CONFIG, at, len);
}

/* ---- header ---- */

static void identifiers_are_those_of_a_modern_block_device(void **state)
{
	struct pl w;

	(void)state;
	pl_up(&w, 0, NULL);
	assert_int_equal(cfg(&w, PCI_VENDOR_ID, 2), 0x1af4);
	assert_int_equal(cfg(&w, PCI_DEVICE_ID, 2), 0x1042);
	assert_int_equal(cfg(&w, PCI_REVISION_ID, 1), 1);
	assert_int_equal(cfg(&w, PCI_CLASS_DEVICE, 2), 0x0180);
	assert_int_equal(cfg(&w, PCI_HEADER_TYPE, 1), 0);
	assert_int_equal(cfg(&w, PCI_SUBSYSTEM_VENDOR_ID, 2), 0x1af4);
	assert_int_equal(cfg(&w, PCI_SUBSYSTEM_ID, 2), 0x42);
	assert_int_equal(cfg(&w, PCI_INTERRUPT_PIN, 1), 1);
	assert_int_equal(cfg(&w, PCI_STATUS, 2), PCI_STATUS_CAP_LIST);
	pl_down(&w);
}

static void the_device_id_can_be_an_experimental_one(void **state)
{
	struct pl w;

	(void)state;
	pl_up(&w, 0, &(struct tvq_pci_cfg){ .device_id = 0x10f2 });
	assert_int_equal(cfg(&w, PCI_DEVICE_ID, 2), 0x10f2);
	assert_int_equal(cfg(&w, PCI_SUBSYSTEM_ID, 2), 0x42);
	pl_down(&w);
}

static uint64_t sized(struct pl *w, unsigned int bar)
{
	pl_put(w, PL_CONFIG, PCI_BASE_ADDRESS_0 + 4 * bar, 4, UINT32_MAX);
	return cfg(w, PCI_BASE_ADDRESS_0 + 4 * bar, 4);
}

static void bars_answer_all_ones_with_their_size(void **state)
{
	static const struct {
		uint32_t max_devices;
		uint64_t bytes;
	} cases[] = { { 1, 1u << 25 },	  { 4096, 1u << 25 },  { 8190, 1u << 25 },
		      { 8191, 1u << 26 }, { 65536, 1u << 29 }, { 0, 1u << 29 } };
	struct pl w;

	(void)state;
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t mask;
		uint8_t cap;

		pl_up(&w, 0, &(struct tvq_pci_cfg){ .mgmt.max_devices = cases[i].max_devices });
		/* A BAR of 32 bits, not prefetchable. */
		mask = sized(&w, 0);
		assert_int_equal(mask & 0xf, 0);
		assert_int_equal((uint32_t)~mask + 1, tvq_pci_region_size(w.pci, PL_BAR0));
		/* One of 64 bits, prefetchable. */
		mask = sized(&w, 2);
		mask |= sized(&w, 3) << 32;
		assert_int_equal(mask & 0xf, 0xc);
		assert_int_equal(~(mask & ~0xfull) + 1, cases[i].bytes);
		assert_int_equal(tvq_pci_region_size(w.pci, PL_BAR2), cases[i].bytes);
		assert_int_equal(sized(&w, 1) | sized(&w, 4) | sized(&w, 5), 0);
		pl_put(&w, PL_CONFIG, PCI_ROM_ADDRESS, 4, UINT32_MAX);
		assert_int_equal(cfg(&w, PCI_ROM_ADDRESS, 4), 0);
		/* All pages are in the notify structure, and that is in the BAR. */
		cap = pl_find_cap(&w, PCI_CAP_ID_VNDR, VIRTIO_PCI_CAP_NOTIFY_CFG);
		mask = cfg(&w, cap + VIRTIO_PCI_CAP_LENGTH, 4);
		assert_true(mask >= (cases[i].max_devices + 2ull) * PL_PAGE);
		assert_true(mask <= cases[i].bytes);
		pl_down(&w);
	}
}

static void bars_keep_the_address_that_they_are_given(void **state)
{
	struct pl w;

	(void)state;
	pl_up(&w, 0, NULL);
	pl_put(&w, PL_CONFIG, PCI_BASE_ADDRESS_0, 4, 0xfebf1234);
	assert_int_equal(cfg(&w, PCI_BASE_ADDRESS_0, 4), 0xfebf0000);
	pl_put(&w, PL_CONFIG, PCI_BASE_ADDRESS_2, 4, 0x40000000);
	pl_put(&w, PL_CONFIG, PCI_BASE_ADDRESS_3, 4, 0x38);
	assert_int_equal(pl_get(&w, PL_CONFIG, PCI_BASE_ADDRESS_2, 8), 0x384000000cull);
	pl_down(&w);
}

static void the_command_register_has_the_bits_that_mean_something(void **state)
{
	struct pl w;

	(void)state;
	pl_up(&w, 0, NULL);
	assert_false(tvq_pci_bus_master(w.pci));
	pl_put(&w, PL_CONFIG, PCI_COMMAND, 2, 0xffff);
	assert_int_equal(cfg(&w, PCI_COMMAND, 2), PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER |
							  PCI_COMMAND_PARITY | PCI_COMMAND_SERR |
							  PCI_COMMAND_INTX_DISABLE);
	assert_true(tvq_pci_bus_master(w.pci));
	pl_put(&w, PL_CONFIG, PCI_COMMAND, 1, PCI_COMMAND_MEMORY);
	assert_false(tvq_pci_bus_master(w.pci));
	pl_down(&w);
}

/* ---- capabilities ---- */

struct place {
	uint8_t cap;
	uint8_t bar;
	uint32_t offset, length;
};

static struct place place_of(struct pl *w, int type)
{
	struct place p = { .cap = pl_find_cap(w, PCI_CAP_ID_VNDR, type) };

	assert_int_not_equal(p.cap, 0);
	p.bar = (uint8_t)cfg(w, p.cap + VIRTIO_PCI_CAP_BAR, 1);
	p.offset = cfg(w, p.cap + VIRTIO_PCI_CAP_OFFSET, 4);
	p.length = cfg(w, p.cap + VIRTIO_PCI_CAP_LENGTH, 4);
	assert_true(cfg(w, p.cap + VIRTIO_PCI_CAP_LEN, 1) >= 16);
	assert_true((uint64_t)p.offset + p.length <= tvq_pci_region_size(w->pci, p.bar));
	return p;
}

static void all_virtio_capabilities_name_places_in_bars_that_do_not_overlap(void **state)
{
	static const int types[] = { VIRTIO_PCI_CAP_COMMON_CFG, VIRTIO_PCI_CAP_ISR_CFG,
				     VIRTIO_PCI_CAP_DEVICE_CFG };
	struct place in_bar0[5];
	unsigned int n = 0;
	struct pl w;
	uint8_t msix;

	(void)state;
	pl_up(&w, 0, &(struct tvq_pci_cfg){ .n_vectors = TVQ_PCI_MAX_VECTORS });
	assert_int_equal(tvq_pci_vectors(w.pci), TVQ_PCI_MAX_VECTORS);
	for (unsigned int i = 0; i < 3; i++) {
		in_bar0[n] = place_of(&w, types[i]);
		assert_int_equal(in_bar0[n].bar, PL_BAR0);
		assert_int_equal(in_bar0[n++].offset % 4, 0);
	}
	assert_true(in_bar0[0].length >= 60); /* to queue_reset */
	assert_true(in_bar0[1].length >= 1);
	msix = pl_find_cap(&w, PCI_CAP_ID_MSIX, -1);
	assert_int_equal(cfg(&w, msix + PCI_MSIX_FLAGS, 2), TVQ_PCI_MAX_VECTORS - 1);
	assert_int_equal(cfg(&w, msix + PCI_MSIX_TABLE, 4) & PCI_MSIX_TABLE_BIR, PL_BAR0);
	assert_int_equal(cfg(&w, msix + PCI_MSIX_PBA, 4) & PCI_MSIX_PBA_BIR, PL_BAR0);
	in_bar0[n++] = (struct place){ .offset = cfg(&w, msix + PCI_MSIX_TABLE, 4),
				       .length = 16 * TVQ_PCI_MAX_VECTORS };
	in_bar0[n++] = (struct place){ .offset = cfg(&w, msix + PCI_MSIX_PBA, 4),
				       .length = TVQ_PCI_MAX_VECTORS / 8 };
	for (unsigned int i = 0; i < n; i++) {
		assert_true(in_bar0[i].offset + in_bar0[i].length <=
			    tvq_pci_region_size(w.pci, PL_BAR0));
		for (unsigned int j = 0; j < i; j++)
			assert_true(in_bar0[i].offset >= in_bar0[j].offset + in_bar0[j].length ||
				    in_bar0[j].offset >= in_bar0[i].offset + in_bar0[i].length);
	}
	place_of(&w, VIRTIO_PCI_CAP_PCI_CFG);
	pl_down(&w);
}

static void it_is_an_express_endpoint_with_function_level_reset(void **state)
{
	struct pl w;
	uint8_t cap;

	(void)state;
	pl_up(&w, 0, NULL);
	cap = pl_find_cap(&w, PCI_CAP_ID_EXP, -1);
	assert_int_not_equal(cap, 0);
	assert_int_equal(cfg(&w, cap + PCI_EXP_FLAGS, 2), 0x0002);
	assert_true(cfg(&w, cap + PCI_EXP_DEVCAP, 4) & PCI_EXP_DEVCAP_FLR);
	/* No extended capabilities. */
	assert_int_equal(cfg(&w, 256, 4), 0);
	pl_down(&w);
}

static void the_vendor_capability_tells_of_the_msi_page_if_there_is_one(void **state)
{
	struct virtio_transportq_pci_msi_cap c;
	struct pl w;
	uint8_t at;

	(void)state;
	pl_up(&w, 0, &(struct tvq_pci_cfg){ .msi_page = false });
	assert_int_equal(pl_find_cap(&w, PCI_CAP_ID_VNDR, 9), 0);
	pl_down(&w);
	pl_up(&w, 0, &(struct tvq_pci_cfg){ .msi_page = true });
	at = pl_find_cap(&w, PCI_CAP_ID_VNDR, 9);
	assert_int_not_equal(at, 0);
	assert_int_equal(tvq_pci_read(w.pci, PL_CONFIG, at, &c, sizeof(c)), 0);
	assert_int_equal(c.cap_len, sizeof(c));
	assert_int_equal(c.vendor_id, 0x1af4);
	assert_int_equal(c.bar, PL_BAR2);
	assert_int_equal(c.magic, VIRTIO_TRANSPTQ_PCI_MSI_MAGIC);
	assert_int_equal(c.offset, PL_PAGE);
	pl_down(&w);
}

/* Everything but what is meant to be written. */
static void what_is_read_only_stays(void **state)
{
	uint8_t before[4096], after[4096], ones[256];
	struct pl w;
	unsigned int exp, msix, access;

	(void)state;
	pl_up(&w, 0, NULL);
	exp = pl_find_cap(&w, PCI_CAP_ID_EXP, -1);
	msix = pl_find_cap(&w, PCI_CAP_ID_MSIX, -1);
	access = pl_find_cap(&w, PCI_CAP_ID_VNDR, VIRTIO_PCI_CAP_PCI_CFG);
	memset(ones, 0xff, sizeof(ones));
	assert_int_equal(tvq_pci_read(w.pci, PL_CONFIG, 0, before, sizeof(before)), 0);
	for (unsigned int at = 0; at < 4096; at += 4)
		if (at != exp + PCI_EXP_DEVCTL) /* it would start a reset */
			assert_int_equal(tvq_pci_write(w.pci, PL_CONFIG, at, ones, 4), 0);
	assert_int_equal(tvq_pci_read(w.pci, PL_CONFIG, 0, after, sizeof(after)), 0);
	for (unsigned int at = 0; at < 4096; at++) {
		bool may = (at >= PCI_COMMAND && at < PCI_COMMAND + 2) ||
			   at == PCI_CACHE_LINE_SIZE || at == PCI_INTERRUPT_LINE ||
			   (at >= PCI_BASE_ADDRESS_0 && at < PCI_BASE_ADDRESS_1) ||
			   (at >= PCI_BASE_ADDRESS_2 && at < PCI_BASE_ADDRESS_4) ||
			   at == exp + PCI_EXP_LNKCTL || at == msix + PCI_MSIX_FLAGS + 1 ||
			   at == access + VIRTIO_PCI_CAP_BAR ||
			   (at >= access + VIRTIO_PCI_CAP_OFFSET && at < access + 20);

		if (!may)
			assert_int_equal(after[at], before[at]);
	}
	pl_down(&w);
}

/* ---- the window to BARs ---- */

static uint8_t open_window(struct pl *w, uint8_t bar, uint32_t offset, uint32_t len)
{
	uint8_t cap = pl_find_cap(w, PCI_CAP_ID_VNDR, VIRTIO_PCI_CAP_PCI_CFG);

	pl_put(w, PL_CONFIG, cap + VIRTIO_PCI_CAP_BAR, 1, bar);
	pl_put(w, PL_CONFIG, cap + VIRTIO_PCI_CAP_OFFSET, 4, offset);
	pl_put(w, PL_CONFIG, cap + VIRTIO_PCI_CAP_LENGTH, 4, len);
	return cap + 16;
}

static void the_window_reads_and_writes_bars(void **state)
{
	struct pl w;
	uint8_t data;

	(void)state;
	pl_up(&w, 0, NULL);
	data = open_window(&w, PL_BAR0, VIRTIO_PCI_COMMON_Q_SELECT, 2);
	pl_put(&w, PL_CONFIG, data, 4, 0x77770001);
	assert_int_equal(pl_get(&w, PL_BAR0, VIRTIO_PCI_COMMON_Q_SELECT, 2), 1);
	pl_put(&w, PL_BAR0, VIRTIO_PCI_COMMON_Q_SELECT, 2, 0x1234);
	assert_int_equal(cfg(&w, data, 2), 0x1234);
	open_window(&w, PL_BAR0, VIRTIO_PCI_COMMON_STATUS, 1);
	pl_put(&w, PL_CONFIG, data, 1, 1);
	assert_int_equal(pl_status(&w), 1);
	assert_int_equal(cfg(&w, data, 1), 1);
	open_window(&w, PL_BAR0, VIRTIO_PCI_COMMON_GF, 4);
	pl_put(&w, PL_CONFIG, data, 4, 0xabcd1234);
	assert_int_equal(pl_get(&w, PL_BAR0, VIRTIO_PCI_COMMON_GF, 4), 0xabcd1234);
	/* The MSI page, in the other BAR. */
	open_window(&w, PL_BAR2, PL_PAGE, 4);
	pl_put(&w, PL_CONFIG, data, 4, 5);
	assert_int_equal(atomic_load(&w.irqs[5]), 1);
	pl_down(&w);
}

static void a_window_that_is_none_reaches_nothing(void **state)
{
	static const struct {
		uint8_t bar;
		uint32_t offset, len;
	} wrong[] = { { PL_BAR0, 16, 0 },
		      { PL_BAR0, 16, 3 },
		      { PL_BAR0, 16, 8 },
		      { PL_BAR0, 16, UINT32_MAX },
		      { PL_BAR0, 17, 2 },
		      { PL_BAR0, 0x10000, 2 },
		      { PL_BAR0, 0xfffffffe, 2 },
		      { 1, 16, 2 },
		      { 3, 16, 2 },
		      { 0xff, 16, 2 },
		      { PL_CONFIG, 16, 2 },
		      { PL_BAR2, 0xfffffffc, 4 } };
	struct pl w;

	(void)state;
	pl_up(&w, 0, NULL);
	for (unsigned int i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		uint8_t data = open_window(&w, wrong[i].bar, wrong[i].offset, wrong[i].len);

		pl_put(&w, PL_CONFIG, data, 4, 3);
		assert_int_equal(cfg(&w, data, 4), 3);
		assert_int_equal(pl_get(&w, PL_BAR0, VIRTIO_PCI_COMMON_MSIX, 2), 0xffff);
		assert_int_equal(atomic_load(&w.irqs[3]), 0);
	}
	pl_down(&w);
}

/* A dump of configuration space must not acknowledge an interrupt that a driver waits for. */
static void reading_all_of_it_does_not_read_through_the_window(void **state)
{
	uint8_t all[4096];
	struct pl w;
	uint8_t data;

	(void)state;
	pl_up(&w, 0, NULL);
	data = open_window(&w, PL_BAR0, VIRTIO_PCI_COMMON_NUMQ, 2);
	assert_int_equal(tvq_pci_read(w.pci, PL_CONFIG, 0, all, sizeof(all)), 0);
	assert_int_equal(all[data], 0);
	assert_int_equal(cfg(&w, data, 2), 2);
	pl_down(&w);
}

/* ---- resets, ends ---- */

static void a_function_level_reset_takes_all_state_back(void **state)
{
	uint8_t before[4096], after[4096];
	struct pl w;
	uint8_t exp, msix;

	(void)state;
	pl_up(&w, 0, NULL);
	assert_int_equal(tvq_pci_read(w.pci, PL_CONFIG, 0, before, sizeof(before)), 0);
	exp = pl_find_cap(&w, PCI_CAP_ID_EXP, -1);
	msix = pl_find_cap(&w, PCI_CAP_ID_MSIX, -1);
	pl_drive(&w, NULL);
	assert_int_equal(w.resets, 1); /* status 0 */
	w.resets = 0;
	pl_put(&w, PL_CONFIG, msix + PCI_MSIX_FLAGS, 2, 0xffff);
	pl_put(&w, PL_CONFIG, PCI_INTERRUPT_LINE, 1, 11);
	pl_put(&w, PL_BAR0, 0x8000, 8, 0xfee00000);
	pl_put(&w, PL_BAR0, 0x800c, 4, 0);
	/* Only the bit starts one. */
	pl_put(&w, PL_CONFIG, exp + PCI_EXP_DEVCTL, 2, 0x7fff);
	dl_turns(&w.l, 4);
	assert_int_equal(w.resets, 0);
	assert_int_equal(pl_status(&w), 15);
	pl_put(&w, PL_CONFIG, exp + PCI_EXP_DEVCTL, 4, PCI_EXP_DEVCTL_BCR_FLR);
	dl_until(&w.l, w.resets == 1);
	assert_int_equal(pl_status(&w), 0);
	assert_int_equal(tvq_pci_read(w.pci, PL_CONFIG, 0, after, sizeof(after)), 0);
	assert_memory_equal(before, after, sizeof(before));
	assert_int_equal(pl_get(&w, PL_BAR0, 0x8000, 8), 0);
	assert_int_equal(pl_get(&w, PL_BAR0, 0x800c, 4), 1);
	pl_select(&w, 1);
	assert_int_equal(pl_get(&w, PL_BAR0, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
	assert_int_equal(pl_get(&w, PL_BAR0, VIRTIO_PCI_COMMON_Q_MSIX, 2), 0xffff);
	dl_turns(&w.l, 4);
	assert_int_equal(w.resets, 1);
	pl_down(&w);
}

static void an_access_that_leaves_its_region_fails_and_does_nothing(void **state)
{
	static const unsigned int regions[] = { PL_BAR0, PL_BAR2, PL_CONFIG };
	uint8_t buf[16], untouched[16];
	struct pl w;

	(void)state;
	pl_up(&w, 0, NULL);
	memset(untouched, 0xa5, sizeof(untouched));
	for (unsigned int i = 0; i < 3; i++) {
		const uint64_t size = tvq_pci_region_size(w.pci, regions[i]);
		const struct {
			uint64_t at;
			uint32_t len;
		} wrong[] = { { 0, 0 },		 { size, 1 },
			      { size - 1, 2 },	 { size - 4, 8 },
			      { UINT64_MAX, 1 }, { UINT64_MAX - 3, 8 },
			      { 0, UINT32_MAX }, { 1ull << 32, 4 },
			      { size - 1, 0 },	 { 0x8000000000000000ull, 4 } };

		for (unsigned int j = 0; j < sizeof(wrong) / sizeof(wrong[0]); j++) {
			if (wrong[j].len && wrong[j].len <= size &&
			    wrong[j].at <= size - wrong[j].len)
				continue; /* the largest BAR has this one */
			memset(buf, 0xa5, sizeof(buf));
			assert_int_equal(tvq_pci_read(w.pci, regions[i], wrong[j].at, buf,
						      wrong[j].len),
					 -EINVAL);
			assert_memory_equal(buf, untouched, sizeof(buf));
			assert_int_equal(tvq_pci_write(w.pci, regions[i], wrong[j].at, buf,
						       wrong[j].len),
					 -EINVAL);
		}
	}
	for (unsigned int region = 0; region < 20; region++) {
		if (region == PL_BAR0 || region == PL_BAR2 || region == PL_CONFIG)
			continue;
		assert_int_equal(tvq_pci_region_size(w.pci, region), 0);
		assert_int_equal(tvq_pci_read(w.pci, region, 0, buf, 1), -EINVAL);
		assert_int_equal(tvq_pci_write(w.pci, region, 0, buf, 1), -EINVAL);
	}
	pl_down(&w);
}

/* ---- making one ---- */

static struct tvq_space *no_space(struct tvq_pci_host *h, uint32_t asid)
{
	(void)h;
	(void)asid;
	return NULL;
}

static void what_cannot_be_is_refused(void **state)
{
	static const struct tvq_pci_host_ops no_spaces = { .space = no_space };
	struct tvq_pci_host spaceless = { .ops = &no_spaces };
	const struct tvq_pci_cfg wrong[] = {
		{ .n_vectors = TVQ_PCI_MAX_VECTORS + 1 },
		{ .mgmt.max_devices = (1u << 20) - 1 },
		{ .mgmt.type = 99 },
		{ .mgmt.max_queue_size = 3 },
	};
	struct pl w;
	int err;

	(void)state;
	pl_up(&w, 0, &(struct tvq_pci_cfg){ .mgmt.max_devices = 8 });
	for (unsigned int i = 0; i <= sizeof(wrong) / sizeof(wrong[0]); i++) {
		const bool last = i == sizeof(wrong) / sizeof(wrong[0]);
		struct tvq_pci_cfg c = last ? (struct tvq_pci_cfg){ 0 } : wrong[i];

		c.mgmt.os = &tvq_os_host;
		c.mgmt.control = w.l.exec;
		assert_null(tvq_pci_new(&c, last ? &spaceless : &w.host, &err));
		assert_int_equal(err, -EINVAL);
	}
	pl_down(&w);
}

static int alloc_left;

static void *poor_alloc(size_t size)
{
	return alloc_left-- > 0 ? tvq_os_host.alloc(size) : NULL;
}

static void without_memory_it_is_not_made_and_nothing_is_left(void **state)
{
	struct tvq_os os = tvq_os_host;
	struct tvq_pci_cfg c = { .mgmt.max_devices = 8 };
	struct tvq_pci *pci = NULL;
	struct pl w;
	int n, err = 0;

	(void)state;
	pl_up(&w, 0, &c);
	os.alloc = poor_alloc;
	c.mgmt.os = &os;
	c.mgmt.control = w.l.exec;
	for (n = 0; n < 64 && !pci; n++) {
		alloc_left = n;
		pci = tvq_pci_new(&c, &w.host, &err);
		assert_true(pci || err == -ENOMEM || err == -EIO);
	}
	assert_non_null(pci);
	assert_true(n > 5);
	tvq_pci_free(pci);
	pl_down(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(identifiers_are_those_of_a_modern_block_device),
		cmocka_unit_test(the_device_id_can_be_an_experimental_one),
		cmocka_unit_test(bars_answer_all_ones_with_their_size),
		cmocka_unit_test(bars_keep_the_address_that_they_are_given),
		cmocka_unit_test(the_command_register_has_the_bits_that_mean_something),
		cmocka_unit_test(all_virtio_capabilities_name_places_in_bars_that_do_not_overlap),
		cmocka_unit_test(it_is_an_express_endpoint_with_function_level_reset),
		cmocka_unit_test(the_vendor_capability_tells_of_the_msi_page_if_there_is_one),
		cmocka_unit_test(what_is_read_only_stays),
		cmocka_unit_test(the_window_reads_and_writes_bars),
		cmocka_unit_test(a_window_that_is_none_reaches_nothing),
		cmocka_unit_test(reading_all_of_it_does_not_read_through_the_window),
		cmocka_unit_test(a_function_level_reset_takes_all_state_back),
		cmocka_unit_test(an_access_that_leaves_its_region_fails_and_does_nothing),
		cmocka_unit_test(what_cannot_be_is_refused),
		cmocka_unit_test(without_memory_it_is_not_made_and_nothing_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
