/* SPDX-License-Identifier: BSD-3-Clause */
/* A management device and a managed disk, driven through the vfio-user server. */
#include "vfu_lab.h"
#include "vfu_disk.h"

/* TQ-123, TQ-121 */
static void a_managed_device_works_in_a_space_of_the_clients(void **state)
{
	struct disk d;

	(void)state;
	for (unsigned int i = 0; i < 4; i++) {
		disk_up(&d, i & 1, i & 2);
		memset(d.r.data, 0x5a, 4096);
		assert_int_equal(dl_io(&d.q, &d.r, VIRTIO_BLK_T_OUT, 8), VIRTIO_BLK_S_OK);
		assert_memory_equal(d.vol->data + 4096, d.r.data, 4096);
		memset(d.r.data, 0, 4096);
		assert_int_equal(dl_io(&d.q, &d.r, VIRTIO_BLK_T_IN, 8), VIRTIO_BLK_S_OK);
		assert_int_equal(d.r.data[4095], 0x5a);
		disk_down(&d);
	}
}

/* An IOMMU's driver maps page by page: a ring and a buffer that are one piece are one here, too. */
static void memory_mapped_page_by_page_is_one_piece(void **state)
{
	struct disk d;

	(void)state;
	disk_up(&d, 0, false);
	assert_int_equal(dl_destroy(d.w.l.client, d.q.id), 0);
	dl_queue_free(&d.q);
	assert_true(vl_unmap(&d.w, ((uint64_t)d.mem.asid << 48) + d.mem.iova, d.mem.size, 0) > 0);
	for (uint64_t at = 0; at < d.mem.size; at += 4096)
		assert_int_equal(vl_map(&d.w, ((uint64_t)d.mem.asid << 48) + d.mem.iova + at, 4096,
					d.mem.fd, at),
				 0);
	assert_int_equal(vl_stats(&d.w).regions, 1 + d.mem.size / 4096);
	d.mem.used = 0;
	dl_queue_new(&d.q, &d.mem, d.w.l.client, dl_create(d.w.l.client, "v0", d.mem.asid, 0, 1), 0,
		     1024, false);
	dl_start(&d.q, 1, 0);
	dl_req_new(&d.r, &d.mem, 65536);
	memset(d.r.data, 0x77, 65536);
	assert_int_equal(dl_io(&d.q, &d.r, VIRTIO_BLK_T_OUT, 0), VIRTIO_BLK_S_OK);
	assert_memory_equal(d.vol->data, d.r.data, 65536);
	disk_down(&d);
}

static void an_unmap_is_answered_when_nothing_can_touch_the_memory_any_more(void **state)
{
	struct vu_dma_unmap reply;
	struct disk d;
	struct vu_hdr h;
	uint16_t id;

	(void)state;
	for (unsigned int workers = 0; workers < 2; workers++) {
		disk_up(&d, workers, false);
		atomic_store(&d.vol->mode, DL_HOLD);
		assert_int_equal(dl_add(&d.q, &d.r, VIRTIO_BLK_T_IN, 0), 0);
		dl_notify(&d.q);
		vl_until(&d.w, atomic_load(&d.vol->waiting) == 1);
		id = vl_send_unmap(&d.w, ((uint64_t)d.mem.asid << 48) + d.mem.iova, d.mem.size, 0);
		for (unsigned int i = 0; i < 200; i++) {
			assert_false(vl_poll(&d.w, &h));
			vl_turn(&d.w);
		}
		dl_release(d.vol);
		assert_int_equal(vl_reply(&d.w, id, VU_DMA_UNMAP, &reply, sizeof(reply)),
				 sizeof(reply));
		/* The request was done; the device pauses, and goes on with its memory. */
		atomic_store(&d.vol->mode, DL_NOW);
		assert_true(dl_is_used(&d.q, &d.r));
		dl_mem_map(&d.mem);
		assert_int_equal(dl_io(&d.q, &d.r, VIRTIO_BLK_T_IN, 0), VIRTIO_BLK_S_OK);
		disk_down(&d);
	}
}

static void memory_that_vanishes_breaks_that_device_only(void **state)
{
	struct disk d;

	(void)state;
	disk_up(&d, 1, false);
	assert_int_equal(ftruncate(d.mem.fd, 0), 0);
	/* One look at the ring meets it, the next one knows. */
	do {
		vl_bus_notify(&d.w.bus, d.q.area, 0, 2);
	} while (!(dl_status(d.w.l.client, d.q.id) & VIRTIO_CONFIG_S_NEEDS_RESET));
	assert_true(vl_stats(&d.w).connected);
	assert_int_equal(ftruncate(d.mem.fd, (off_t)d.mem.size), 0);
	disk_down(&d);
}

/* ---- interrupt messages ---- */

/* TQ-081 */
static void an_msi_is_a_dma_write_of_four_bytes(void **state)
{
	struct disk d;

	(void)state;
	for (unsigned int workers = 0; workers < 2; workers++) {
		disk_up(&d, workers, false);
		msi_set(&d, MSI_AT, 0x4041);
		for (unsigned int i = 1; i < 200; i++) {
			assert_int_equal(dl_io(&d.q, &d.r, VIRTIO_BLK_T_IN, 0), VIRTIO_BLK_S_OK);
			vl_until(&d.w, d.w.n_writes == i);
			assert_int_equal(d.w.writes[i - 1].addr, MSI_AT);
			assert_int_equal(d.w.writes[i - 1].data, 0x4041);
		}
		disk_down(&d);
	}
}

/* Nothing leaves before the function is a bus master; what waited leaves then, once. */
static void an_msi_waits_for_bus_mastering(void **state)
{
	const uint16_t command = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	struct disk d;

	(void)state;
	disk_up(&d, 1, false);
	msi_set(&d, MSI_AT, 7);
	vl_command(&d.w, PCI_COMMAND_MEMORY);
	vl_rest(&d.w);
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(dl_io(&d.q, &d.r, VIRTIO_BLK_T_IN, 0), VIRTIO_BLK_S_OK);
	vl_rest(&d.w);
	assert_int_equal(d.w.n_writes, 0);
	vl_post(&d.w, VL_CONFIG, PCI_COMMAND, &command, 2);
	vl_until(&d.w, d.w.n_writes == 1);
	vl_rest(&d.w);
	assert_int_equal(d.w.n_writes, 1);
	disk_down(&d);
}

/* One that takes no four bytes gets none. */
static void a_client_of_small_accesses_gets_no_msi(void **state)
{
	uint8_t reply[512];
	struct disk d;

	(void)state;
	disk_up(&d, 0, false);
	msi_set(&d, MSI_AT, 7);
	for (unsigned int max = 3; max < 5; max++) {
		char json[64];

		vl_go(&d.w);
		vl_connect(&d.w);
		snprintf(json, sizeof(json), "{\"capabilities\":{\"max_data_xfer_size\":%u}}", max);
		assert_true(vl_version(&d.w, 0, 0, json, reply, sizeof(reply)) > 0);
		vl_give_irqs(&d.w);
		vl_map_ram(&d.w);
		dl_mem_map(&d.mem);
		assert_int_equal(dl_io(&d.q, &d.r, VIRTIO_BLK_T_IN, 0), VIRTIO_BLK_S_OK);
		vl_rest(&d.w);
		if (max < 4)
			assert_int_equal(d.w.n_writes, 0);
		else
			vl_until(&d.w, d.w.n_writes > 0);
	}
	disk_down(&d);
}

/* TQ-082: nor does it leave when its pair has been replaced meanwhile. */
static void an_msi_that_waits_goes_with_its_pair(void **state)
{
	const uint16_t command = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	struct disk d;

	(void)state;
	for (unsigned int workers = 0; workers < 2; workers++) {
		disk_up(&d, workers, false);
		msi_set(&d, MSI_AT, 7);
		vl_command(&d.w, PCI_COMMAND_MEMORY);
		assert_int_equal(dl_io(&d.q, &d.r, VIRTIO_BLK_T_IN, 0), VIRTIO_BLK_S_OK);
		vl_rest(&d.w);
		msi_set(&d, MSI_AT, 8);
		vl_post(&d.w, VL_CONFIG, PCI_COMMAND, &command, 2);
		vl_rest(&d.w);
		assert_int_equal(d.w.n_writes, 0);
		assert_int_equal(dl_io(&d.q, &d.r, VIRTIO_BLK_T_IN, 0), VIRTIO_BLK_S_OK);
		vl_until(&d.w, d.w.n_writes == 1);
		assert_int_equal(d.w.writes[0].data, 8);
		disk_down(&d);
	}
}

/* One that answers nothing gets a bounded number; what waits is sent once it answers. */
static void msis_without_an_answer_are_bounded_and_coalesced(void **state)
{
	unsigned int sent;
	struct disk d;

	(void)state;
	disk_up(&d, 1, false);
	msi_set(&d, MSI_AT, 9);
	d.w.hold_answers = true;
	for (unsigned int i = 0; i < 100; i++) {
		assert_int_equal(dl_io(&d.q, &d.r, VIRTIO_BLK_T_IN, 0), VIRTIO_BLK_S_OK);
		vl_rest(&d.w);
	}
	sent = d.w.n_writes;
	assert_true(sent >= 1 && sent <= 64);
	assert_int_equal(sent, 64);
	for (unsigned int i = 0; i < sent; i++) /* each has an id of its own */
		for (unsigned int k = 0; k < i; k++)
			assert_int_not_equal(d.w.writes[i].id, d.w.writes[k].id);
	vl_answer_write(&d.w, d.w.writes[30].id, 0);
	vl_until(&d.w, d.w.n_writes == 65);
	vl_answer_write(&d.w, d.w.writes[3].id, 0);
	vl_rest(&d.w);
	assert_int_equal(d.w.n_writes, 65);
	for (unsigned int i = 0; i < 65; i++)
		if (i != 3 && i != 30)
			vl_answer_write(&d.w, d.w.writes[i].id, i == 50 || i == 51 ? ENODEV : 0);
	d.w.hold_answers = false;
	vl_rest(&d.w);
	assert_int_equal(vl_logged("could not be written: No such device"), 1);
	assert_int_equal(dl_io(&d.q, &d.r, VIRTIO_BLK_T_IN, 0), VIRTIO_BLK_S_OK);
	vl_until(&d.w, d.w.n_writes == 66);
	disk_down(&d);
}

/* What the last client owes is nothing to the next one. */
static void the_next_client_owes_no_answers(void **state)
{
	struct disk d;

	(void)state;
	disk_up(&d, 1, false);
	msi_set(&d, MSI_AT, 9);
	d.w.hold_answers = true;
	for (unsigned int i = 0; i < 80; i++) {
		assert_int_equal(dl_io(&d.q, &d.r, VIRTIO_BLK_T_IN, 0), VIRTIO_BLK_S_OK);
		vl_rest(&d.w);
	}
	assert_int_equal(d.w.n_writes, 64);
	vl_go(&d.w);
	d.w.hold_answers = false;
	vl_hello(&d.w);
	/* The one that waited comes at once. */
	vl_until(&d.w, d.w.n_writes == 1);
	vl_give_irqs(&d.w);
	vl_map_ram(&d.w);
	dl_mem_map(&d.mem);
	assert_int_equal(dl_io(&d.q, &d.r, VIRTIO_BLK_T_IN, 0), VIRTIO_BLK_S_OK);
	vl_until(&d.w, d.w.n_writes == 2);
	disk_down(&d);
}

/* A client that does not read for a while: replies and messages wait for room, in order, whole. */
static void a_full_socket_loses_nothing(void **state)
{
	/* Small replies fit whole or not at all, large ones in part. */
	const struct vu_region_rw small = { .region = VL_CONFIG, .count = 4096 };
	const struct vu_region_rw large = { .region = VL_BAR0, .count = 65536 };
	static uint8_t reply[16 + VU_MAX_DATA], config[4096];
	static uint8_t bar[VU_MAX_DATA];
	uint16_t ids[60];
	struct disk d;

	(void)state;
	disk_up(&d, 1, false);
	msi_set(&d, MSI_AT, 11);
	assert_int_equal(vl_read_region(&d.w, VL_CONFIG, 0, config, sizeof(config)), 0);
	assert_int_equal(vl_read_region(&d.w, VL_BAR0, 0, bar, sizeof(bar)), 0);
	d.w.no_reading = true;
	for (unsigned int i = 0; i < 60; i++)
		ids[i] = vl_send(&d.w, VU_REGION_READ, i % 3 ? &small : &large, sizeof(small));
	for (unsigned int i = 0; i < 100; i++) {
		/* The client's own notification would be behind what is not answered. */
		assert_int_equal(dl_add(&d.q, &d.r, VIRTIO_BLK_T_IN, 0), 0);
		tvq_drv_ring_interrupts_on(d.q.ring);
		tvq_drv_ring_publish(d.q.ring);
		assert_int_equal(tvq_pci_write(tvq_vfio_user_pci(d.w.s), VL_BAR2, d.q.area,
					       &d.q.index, 2),
				 0);
		vl_until(&d.w, dl_is_used(&d.q, &d.r));
	}
	d.w.no_reading = false;
	for (unsigned int i = 0; i < 60; i++) {
		const struct vu_region_rw *rw = i % 3 ? &small : &large;

		assert_int_equal(vl_reply(&d.w, ids[i], VU_REGION_READ, reply, sizeof(reply)),
				 16 + rw->count);
		assert_memory_equal(reply, rw, 16);
		assert_memory_equal(reply + 16, i % 3 ? config : bar, rw->count);
	}
	vl_until(&d.w, d.w.n_writes > 0);
	vl_rest(&d.w);
	/* All that were sent while the socket was full are one. */
	assert_true(d.w.n_writes < 100);
	disk_down(&d);
}

/* ---- the line ---- */

#define UNMASK (VU_SET_DATA_NONE | VU_SET_ACTION_UNMASK)

/* Without MSI-X the transportq's interrupts come by the line. */
static void the_line_masks_itself_and_is_raised_again_while_it_is_up(void **state)
{
	struct tvq_seq *s;
	struct dl_op op;
	struct vl w;
	int fd;

	(void)state;
	vl_up(&w, NULL);
	fd = vl_eventfd();
	vl_drive(&w);
	vl_msix_enable(&w, false);
	assert_int_equal(vl_set_eventfd(&w, VU_IRQ_INTX, 0, fd), 0);
	s = tvq_seq_new(w.l.client, 99);
	tvq_seq_destroy_device(s);
	dl_run(s, &op);
	vl_until(&w, vl_signalled(fd));
	assert_int_equal(vl_set_irqs(&w, VU_SET_DATA_NONE | VU_SET_ACTION_TRIGGER, VU_IRQ_INTX, 0,
				     1, NULL, 0),
			 0);
	assert_false(vl_signalled(fd));
	assert_int_equal(vl_set_irqs(&w, UNMASK, VU_IRQ_INTX, 0, 1, NULL, 0), 0);
	assert_true(vl_signalled(fd));
	/* The driver looks: it goes down. */
	assert_int_equal(vl_get(&w, VL_BAR0, 0x1000, 1), 1);
	assert_int_equal(vl_set_irqs(&w, UNMASK, VU_IRQ_INTX, 0, 1, NULL, 0), 0);
	assert_false(vl_signalled(fd));
	vl_msix_enable(&w, true);
	w.irqs[2].used(w.irqs[2].ctx);
	vl_until(&w, op.ended);
	close(fd);
	vl_down(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_managed_device_works_in_a_space_of_the_clients),
		cmocka_unit_test(memory_mapped_page_by_page_is_one_piece),
		cmocka_unit_test(an_unmap_is_answered_when_nothing_can_touch_the_memory_any_more),
		cmocka_unit_test(memory_that_vanishes_breaks_that_device_only),
		cmocka_unit_test(an_msi_is_a_dma_write_of_four_bytes),
		cmocka_unit_test(an_msi_waits_for_bus_mastering),
		cmocka_unit_test(a_client_of_small_accesses_gets_no_msi),
		cmocka_unit_test(an_msi_that_waits_goes_with_its_pair),
		cmocka_unit_test(msis_without_an_answer_are_bounded_and_coalesced),
		cmocka_unit_test(the_next_client_owes_no_answers),
		cmocka_unit_test(a_full_socket_loses_nothing),
		cmocka_unit_test(the_line_masks_itself_and_is_raised_again_while_it_is_up),
	};

	if (!vl_catch_sigbus())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
