/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Clients that break the protocol: each loses its connection, for the reason that the log names, and
 * the next one is served as if nothing had been.
 */
#include "vfu_disk.h"

/* Connected, with version agreed upon (hello), or without. */
static void hurt(struct vl *w, bool hello)
{
	if (hello)
		vl_hello(w);
	else
		vl_connect(w);
}

static void is_closed(struct vl *w, uint64_t refused_before, const char *why)
{
	vl_until_closed(w);
	if (vl_stats(w).refused != refused_before + 1 || !vl_logged(why))
		fail_msg("not closed because of \"%s\"; log:\n%s", why, vl_log_text);
	vl_log_text[0] = 0;
	vl_skipped += 60 * SECOND; /* lines of log are bounded, and earned by waiting */
}

static void bad_bytes(struct vl *w, bool hello, const void *buf, size_t len, const int *fds,
		      unsigned int n, const char *why)
{
	uint64_t refused = vl_stats(w).refused;

	hurt(w, hello);
	vl_send_raw(w, buf, len, fds, n);
	is_closed(w, refused, why);
}

static void bad_fds(struct vl *w, uint16_t command, const void *payload, uint32_t size,
		    const int *fds, unsigned int n, const char *why)
{
	uint64_t refused = vl_stats(w).refused;

	hurt(w, true);
	vl_send_flags(w, command, 0, payload, size, fds, n);
	is_closed(w, refused, why);
}

static void bad(struct vl *w, uint16_t command, const void *payload, uint32_t size, const char *why)
{
	bad_fds(w, command, payload, size, NULL, 0, why);
}

static void good_again(struct vl *w)
{
	vl_hello(w);
	assert_int_equal(vl_get(w, VL_CONFIG, PCI_VENDOR_ID, 2), 0x1af4);
	vl_down(w);
}

static const uint8_t zeroes[2 * VU_MAX_DATA];

struct sizes {
	uint16_t command;
	uint32_t min, max;
};

static const struct sizes sizes[] = {
	{ VU_VERSION, 4, 4 + VU_MAX_JSON },
	{ VU_DMA_MAP, 32, 32 },
	{ VU_DMA_UNMAP, 24, 24 },
	{ VU_DEVICE_GET_INFO, 16, 16 },
	{ VU_DEVICE_GET_REGION_INFO, 32, 32 },
	{ VU_DEVICE_GET_REGION_IO_FDS, 0, 16 + VU_MAX_DATA },
	{ VU_DEVICE_GET_IRQ_INFO, 16, 16 },
	{ VU_DEVICE_SET_IRQS, 20, 20 + 2048 },
	{ VU_REGION_READ, 16, 16 },
	{ VU_REGION_WRITE, 16, 16 + VU_MAX_DATA },
	{ VU_DEVICE_RESET, 0, 0 },
	{ VU_DIRTY_PAGES, 0, 16 + VU_MAX_DATA },
};

#define N_SIZES (sizeof(sizes) / sizeof(sizes[0]))

static void a_message_that_is_too_short_or_too_long_closes(void **state)
{
	struct vl w;

	(void)state;
	vl_up(&w, NULL);
	for (unsigned int i = 0; i < N_SIZES; i++) {
		const struct sizes *s = &sizes[i];

		if (s->min) {
			bad(&w, s->command, zeroes, s->min - 1, "too short");
			bad(&w, s->command, NULL, 0, "too short");
		}
		bad(&w, s->command, zeroes, s->max + 1, "too long");
	}
	good_again(&w);
}

static void a_header_that_is_none_closes(void **state)
{
	struct {
		struct vu_hdr h;
		const char *why;
	} t[] = {
		{ { .command = VU_DEVICE_RESET, .size = 0 }, "too short" },
		{ { .command = VU_DEVICE_RESET, .size = 15 }, "too short" },
		{ { .command = VU_DEVICE_RESET, .size = UINT32_MAX }, "too long" },
		{ { .command = 0, .size = 16 }, "no such command" },
		{ { .command = VU_DMA_READ, .size = 32 }, "no such command" },
		{ { .command = VU_DMA_WRITE, .size = 36 }, "no such command" },
		{ { .command = 19, .size = 16 }, "no such command" },
		{ { .command = 0xffff, .size = 16 }, "no such command" },
		{ { .command = VU_DEVICE_RESET, .size = 16, .flags = 2 }, "unknown flags" },
		{ { .command = VU_DEVICE_RESET, .size = 16, .flags = 15 }, "unknown flags" },
		{ { .command = VU_DEVICE_RESET, .size = 16, .flags = VU_ERROR }, "unknown flags" },
		{ { .command = VU_DEVICE_RESET, .size = 16, .flags = 0x40 }, "unknown flags" },
		{ { .command = VU_DEVICE_RESET, .size = 16, .flags = 1u << 31 }, "unknown flags" },
		{ { .command = VU_DEVICE_RESET, .size = 16, .error = 1 }, "unknown flags" },
		{ { .command = VU_DEVICE_RESET, .size = 16, .flags = VU_REPLY }, "not asked" },
		{ { .command = VU_DMA_READ, .size = 32, .flags = VU_REPLY }, "not asked" },
		{ { .command = VU_DMA_WRITE, .size = 16, .flags = VU_REPLY }, "not asked" },
		{ { .command = VU_DMA_WRITE, .size = 15, .flags = VU_REPLY }, "a header" },
		{ { .command = VU_DMA_WRITE, .size = 33, .flags = VU_REPLY }, "longer" },
		{ { .command = VU_DMA_WRITE, .size = 16, .flags = VU_REPLY | VU_NO_REPLY },
		  "unknown flags" },
	};
	struct vl w;

	(void)state;
	vl_up(&w, NULL);
	for (unsigned int i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		bad_bytes(&w, true, &t[i].h, sizeof(t[i].h), NULL, 0, t[i].why);
	good_again(&w);
}

static void a_client_that_goes_in_the_middle_of_a_message_is_counted(void **state)
{
	struct vu_hdr h = { .command = VU_REGION_READ, .size = 32 };
	struct vl w;

	(void)state;
	vl_up(&w, NULL);
	for (size_t len = 1; len <= sizeof(h); len += 15) {
		vl_hello(&w);
		vl_send_raw(&w, &h, len, NULL, 0);
		vl_rest(&w);
		vl_go(&w);
	}
	assert_int_equal(vl_stats(&w).refused, 2);
	good_again(&w);
}

static void the_version_a_second_time_closes(void **state)
{
	struct vu_version v = { 0, 0 };
	struct vl w;

	(void)state;
	vl_up(&w, NULL);
	bad(&w, VU_VERSION, &v, sizeof(v), "agreed upon already");
	good_again(&w);
}

static void well_formed_messages_before_the_version_close(void **state)
{
	struct {
		struct vu_hdr h;
		union {
			struct vu_dma_map map;
			struct vu_dma_unmap unmap;
			struct vu_irq_set set;
			struct vu_region_rw rw;
		};
	} m[] = {
		{ { .command = VU_DEVICE_RESET, .size = 16 }, .map = { 0 } },
		{ { .command = VU_DIRTY_PAGES, .size = 16 }, .map = { 0 } },
		{ { .command = VU_DMA_MAP, .size = 48 },
		  .map = { .argsz = 32, .flags = 3, .size = 4096 } },
		{ { .command = VU_DMA_UNMAP, .size = 40 }, .unmap = { .argsz = 24, .size = 4096 } },
		{ { .command = VU_DEVICE_SET_IRQS, .size = 36 },
		  .set = { .argsz = 20, .flags = VL_EVENTFD, .index = 2, .count = 1 } },
		{ { .command = VU_REGION_READ, .size = 32 }, .rw = { .region = 7, .count = 4 } },
	};
	struct vl w;

	(void)state;
	vl_up(&w, NULL);
	for (unsigned int i = 0; i < sizeof(m) / sizeof(m[0]); i++)
		bad_bytes(&w, false, &m[i], m[i].h.size, NULL, 0, "not agreed upon yet");
	assert_int_equal(vl_stats(&w).regions, 0);
	good_again(&w);
}

static void capabilities_that_are_no_json_close(void **state)
{
	static const char *const t[] = {
		"",
		"x",
		"[]",
		"{",
		"{}}",
		"{\"capabilities\":3}",
		"{\"capabilities\":{\"max_data_xfer_size\":\"4\"}}",
		"{\"capabilities\":{\"max_data_xfer_size\":-4}}",
		"{\"capabilities\":{\"max_data_xfer_size\":4.5}}",
		"{\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]}",
	};
	uint8_t msg[256] = { 0 };
	struct vu_hdr h = { .command = VU_VERSION };
	struct vl w;

	(void)state;
	vl_up(&w, NULL);
	for (unsigned int i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		size_t len = strlen(t[i]) + 1;

		h.size = (uint32_t)(sizeof(h) + 4 + len);
		memcpy(msg, &h, sizeof(h));
		memcpy(msg + sizeof(h) + 4, t[i], len);
		bad_bytes(&w, false, msg, h.size, NULL, 0, "no JSON object");
	}
	/* No NUL; one in the middle. */
	h.size = sizeof(h) + 4 + 2;
	memcpy(msg, &h, sizeof(h));
	memcpy(msg + sizeof(h) + 4, "{}", 2);
	bad_bytes(&w, false, msg, h.size, NULL, 0, "the only NUL");
	h.size = sizeof(h) + 4 + 4;
	memcpy(msg, &h, sizeof(h));
	memcpy(msg + sizeof(h) + 4, "{}\0", 4);
	bad_bytes(&w, false, msg, h.size, NULL, 0, "the only NUL");
	good_again(&w);
}

static void too_many_descriptors_close_and_are_closed(void **state)
{
	struct vu_irq_set set = {
		.argsz = 20, .flags = VL_EVENTFD, .index = VU_IRQ_MSIX, .count = 2
	};
	struct vu_dma_map map = { .argsz = 32, .flags = 3, .size = 4096 };
	struct vu_dma_unmap unmap = { .argsz = 24, .size = 4096 };
	struct vu_hdr reply = { .command = VU_DMA_WRITE, .size = 16, .flags = VU_REPLY };
	int fds[40], open_fds;
	struct vl w;

	(void)state;
	vl_up(&w, NULL);
	for (unsigned int i = 0; i < 40; i++)
		fds[i] = w.ram_fd;
	open_fds = vl_open_fds();
	bad_fds(&w, VU_DMA_MAP, &map, sizeof(map), fds, 2, "more descriptors than it takes");
	bad_fds(&w, VU_DMA_UNMAP, &unmap, sizeof(unmap), fds, 1, "more descriptors than it takes");
	bad_fds(&w, VU_DEVICE_RESET, NULL, 0, fds, 1, "more descriptors than it takes");
	bad_fds(&w, VU_DEVICE_RESET, NULL, 0, fds, 17, "more than 16 descriptors");
	bad_fds(&w, VU_DEVICE_RESET, NULL, 0, fds, 40, "more than 16 descriptors");
	bad_fds(&w, VU_DEVICE_SET_IRQS, &set, sizeof(set), fds, 1, "not one descriptor for each");
	bad_fds(&w, VU_DEVICE_SET_IRQS, &set, sizeof(set), fds, 3, "not one descriptor for each");
	set.flags = VU_SET_DATA_NONE | VU_SET_ACTION_TRIGGER;
	bad_fds(&w, VU_DEVICE_SET_IRQS, &set, sizeof(set), fds, 2, "not one descriptor for each");
	bad_bytes(&w, true, &reply, sizeof(reply), fds, 1, "descriptors with a reply");
	vl_until(&w, vl_open_fds() == open_fds);
	good_again(&w);
}

/* Two descriptors with the header, two more with the payload. */
static void descriptors_in_the_middle_of_a_message_are_the_messages(void **state)
{
	struct vu_irq_set set = {
		.argsz = 20, .flags = VL_EVENTFD, .index = VU_IRQ_MSIX, .count = 4
	};
	struct vu_hdr h = { .id = 5, .command = VU_DEVICE_SET_IRQS, .size = 36 };
	struct vl w;
	int fds[4];

	(void)state;
	vl_up(&w, NULL);
	vl_hello(&w);
	for (unsigned int i = 0; i < 4; i++)
		fds[i] = vl_eventfd();
	vl_send_raw(&w, &h, sizeof(h), fds, 2);
	vl_rest(&w);
	vl_send_raw(&w, &set, sizeof(set), fds + 2, 2);
	assert_int_equal(vl_reply(&w, 5, VU_DEVICE_SET_IRQS, NULL, 0), 0);
	for (unsigned int i = 0; i < 4; i++)
		close(fds[i]);
	vl_down(&w);
}

static void dma_ranges_that_are_none_close(void **state)
{
	static const struct {
		struct vu_dma_map m;
		const char *why;
	} t[] = {
		{ { 31, 3, 0, 0, 4096 }, "argsz" },
		{ { 32, 4, 0, 0, 4096 }, "unknown flags" },
		{ { 32, 1u << 31, 0, 0, 4096 }, "unknown flags" },
		{ { 32, 3, 0, 0, 0 }, "empty" },
		{ { 32, 3, 0, UINT64_MAX, 2 }, "wraps" },
		{ { 32, 3, 0, 4096, UINT64_MAX }, "wraps" },
		{ { 32, 3, UINT64_MAX, 0, 4096 }, "wraps" },
	};
	static const struct {
		struct vu_dma_unmap u;
		const char *why;
	} u[] = {
		{ { 23, 0, 0, 4096 }, "argsz" },
		{ { 24, 4, 0, 4096 }, "unknown flags" },
		{ { 24, 0, 0, 0 }, "empty" },
		{ { 24, 0, UINT64_MAX, 2 }, "wraps" },
		{ { 24, VU_UNMAP_ALL, 0, 4096 }, "everything" },
		{ { 24, VU_UNMAP_ALL, 4096, 0 }, "everything" },
	};
	struct vl w;

	(void)state;
	vl_up(&w, NULL);
	for (unsigned int i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		bad(&w, VU_DMA_MAP, &t[i].m, sizeof(t[i].m), t[i].why);
	for (unsigned int i = 0; i < sizeof(u) / sizeof(u[0]); i++)
		bad(&w, VU_DMA_UNMAP, &u[i].u, sizeof(u[i].u), u[i].why);
	good_again(&w);
}

static void questions_that_are_none_close(void **state)
{
	struct vu_device_info d[] = {
		{ 15, 0, 0, 0 }, { 16, 1, 0, 0 }, { 16, 0, 1, 0 }, { 16, 0, 0, 1 }
	};
	struct vu_region_info r[] = { { 31, 0, 0, 0, 0, 0 },
				      { 32, 1, 0, 0, 0, 0 },
				      { 32, 0, 0, 1, 0, 0 },
				      { 32, 0, 0, 0, 1, 0 },
				      { 32, 0, 0, 0, 0, 1 } };
	struct vu_irq_info q[] = { { 15, 0, 0, 0 }, { 16, 1, 0, 0 }, { 16, 0, 0, 1 } };
	struct vl w;

	(void)state;
	vl_up(&w, NULL);
	for (unsigned int i = 0; i < 4; i++)
		bad(&w, VU_DEVICE_GET_INFO, &d[i], sizeof(d[i]), i ? "reserved" : "argsz");
	for (unsigned int i = 0; i < 5; i++)
		bad(&w, VU_DEVICE_GET_REGION_INFO, &r[i], sizeof(r[i]), i ? "reserved" : "argsz");
	for (unsigned int i = 0; i < 3; i++)
		bad(&w, VU_DEVICE_GET_IRQ_INFO, &q[i], sizeof(q[i]), i ? "reserved" : "argsz");
	good_again(&w);
}

static void interrupt_sets_that_are_none_close(void **state)
{
	static const struct {
		struct vu_irq_set s;
		const char *why;
	} t[] = {
		{ { 19, VL_EVENTFD, 2, 0, 1 }, "argsz" },
		{ { 20, VL_EVENTFD | 64, 2, 0, 1 }, "unknown flags" },
		{ { 20, VU_SET_ACTION_TRIGGER, 2, 0, 1 }, "one kind of data" },
		{ { 20, VU_SET_DATA_NONE, 2, 0, 1 }, "one kind of data" },
		{ { 20, VL_EVENTFD | VU_SET_DATA_NONE, 2, 0, 1 }, "one kind of data" },
		{ { 20, VL_EVENTFD | VU_SET_ACTION_MASK, 2, 0, 1 }, "one kind of data" },
		{ { 20, VL_EVENTFD, 2, UINT32_MAX, 2 }, "wraps" },
		{ { 20, VU_SET_DATA_BOOL | VU_SET_ACTION_TRIGGER, 2, 0, 1 }, "flags and count" },
	};
	struct {
		struct vu_irq_set s;
		uint8_t more[4];
	} b = { { 24, VU_SET_DATA_BOOL | VU_SET_ACTION_TRIGGER, 2, 0, 5 }, { 0 } };
	struct vl w;

	(void)state;
	vl_up(&w, NULL);
	for (unsigned int i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		bad(&w, VU_DEVICE_SET_IRQS, &t[i].s, sizeof(t[i].s), t[i].why);
	bad(&w, VU_DEVICE_SET_IRQS, &b, 24, "flags and count");
	b.s.count = 3;
	bad(&w, VU_DEVICE_SET_IRQS, &b, 24, "flags and count");
	b.s.flags = VL_EVENTFD;
	bad(&w, VU_DEVICE_SET_IRQS, &b, 24, "flags and count");
	good_again(&w);
}

static void accesses_that_are_none_close(void **state)
{
	struct {
		struct vu_region_rw rw;
		uint8_t data[8];
	} m = { { 0, VL_CONFIG, 0 }, { 0 } };
	struct vl w;

	(void)state;
	vl_up(&w, NULL);
	bad(&w, VU_REGION_READ, &m.rw, 16, "no bytes");
	bad(&w, VU_REGION_WRITE, &m, 16, "no bytes");
	m.rw.count = VU_MAX_DATA + 1;
	bad(&w, VU_REGION_READ, &m.rw, 16, "larger than");
	m.rw.count = 7;
	bad(&w, VU_REGION_WRITE, &m, 24, "as much data");
	m.rw.count = 9;
	bad(&w, VU_REGION_WRITE, &m, 24, "as much data");
	m.rw.count = 4;
	bad(&w, VU_REGION_WRITE, &m, 16, "as much data");
	good_again(&w);
}

/* A reply with an id that was answered already, or never sent. */
static void an_answer_that_nobody_waits_for_closes(void **state)
{
	uint64_t refused;
	struct disk d;

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		disk_up(&d, 0, false);
		msi_set(&d, MSI_AT, 1);
		refused = vl_stats(&d.w).refused;
		assert_int_equal(dl_io(&d.q, &d.r, VIRTIO_BLK_T_IN, 0), VIRTIO_BLK_S_OK);
		vl_until(&d.w, d.w.n_answered == 1);
		d.w.hold_answers = true;
		/* There is none; there is one, with another id. */
		for (unsigned int k = 0; k < i; k++) {
			assert_int_equal(dl_io(&d.q, &d.r, VIRTIO_BLK_T_IN, 0), VIRTIO_BLK_S_OK);
			vl_until(&d.w, d.w.n_writes == 2);
		}
		vl_answer_write(&d.w, d.w.writes[0].id, 0);
		d.w.hold_answers = false;
		is_closed(&d.w, refused, "not asked");
		vl_hello(&d.w);
		vl_give_irqs(&d.w);
		vl_map_ram(&d.w);
		dl_mem_map(&d.mem);
		assert_int_equal(dl_io(&d.q, &d.r, VIRTIO_BLK_T_IN, 0), VIRTIO_BLK_S_OK);
		vl_until(&d.w, d.w.n_answered == 1);
		disk_down(&d);
	}
}

/* Every byte of every region, and every page's registers, with rubbish; then it is reset and works. */
static void rubbish_in_every_register_is_survived(void **state)
{
	static uint8_t rubbish[VU_MAX_DATA];
	uint32_t seed = 1;
	struct vl w;
	int err;

	(void)state;
	vl_up(&w, &(struct vl_cfg){ .workers = 1 });
	vl_drive(&w);
	for (unsigned int round = 0; round < 3; round++) {
		for (size_t i = 0; i < sizeof(rubbish); i++) {
			seed = seed * 1103515245 + 12345;
			rubbish[i] = round ? (uint8_t)(seed >> 16) : 0xff;
		}
		for (uint32_t region = 0; region < 9; region++) {
			uint64_t size = tvq_pci_region_size(tvq_vfio_user_pci(w.s), region);
			uint64_t at;

			for (at = 0; at < size; at += VU_MAX_DATA)
				assert_int_equal(vl_write_region(&w, region, at, rubbish,
								 size - at < VU_MAX_DATA
									 ? (uint32_t)(size - at)
									 : VU_MAX_DATA),
						 0);
			/* Registers by registers: only accesses of their width do anything. */
			for (at = 0; at < size; at += region == VL_BAR2 ? 4096 : 1) {
				uint32_t width = 1u << (rubbish[at % 4096] & 3);

				if (width > size - at)
					width = 1;
				assert_int_equal(vl_write_region(&w, region, at,
								 rubbish + at % 65536, width),
						 0);
			}
		}
	}
	assert_int_equal(vl_call(&w, VU_DEVICE_RESET, NULL, 0, NULL, 0), 0);
	tvq_client_free(w.l.client);
	vl_put(&w, VL_CONFIG, PCI_BASE_ADDRESS_2, 8, VL_BAR2_AT);
	vl_command(&w, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	vl_msix_enable(&w, true);
	w.ram_used = 0;
	w.l.client = tvq_client_new(&w.bus, NULL, &err);
	assert_non_null(w.l.client);
	vl_down(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_that_is_too_short_or_too_long_closes),
		cmocka_unit_test(a_header_that_is_none_closes),
		cmocka_unit_test(a_client_that_goes_in_the_middle_of_a_message_is_counted),
		cmocka_unit_test(the_version_a_second_time_closes),
		cmocka_unit_test(well_formed_messages_before_the_version_close),
		cmocka_unit_test(capabilities_that_are_no_json_close),
		cmocka_unit_test(too_many_descriptors_close_and_are_closed),
		cmocka_unit_test(descriptors_in_the_middle_of_a_message_are_the_messages),
		cmocka_unit_test(dma_ranges_that_are_none_close),
		cmocka_unit_test(questions_that_are_none_close),
		cmocka_unit_test(interrupt_sets_that_are_none_close),
		cmocka_unit_test(accesses_that_are_none_close),
		cmocka_unit_test(an_answer_that_nobody_waits_for_closes),
		cmocka_unit_test(rubbish_in_every_register_is_survived),
	};

	if (!vl_catch_sigbus())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
