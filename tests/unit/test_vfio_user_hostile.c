/* SPDX-License-Identifier: BSD-3-Clause */
/* A vfio-user client that is after its server, and what may only look like one. */
#include "vfu_disk.h"
#include "fuse_trap.h"

#include "exec/peer_fd.h"

/* Its runtime lets nobody map more than 1.5 TiB. */
#if defined(__SANITIZE_THREAD__)
#define UNDER_TSAN true
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN true
#endif
#endif
#ifndef UNDER_TSAN
#define UNDER_TSAN false
#endif

#define TIB (1ull << 40)

static void pass(struct vl *w, uint64_t ns)
{
	vl_skipped += ns;
	for (unsigned int i = 0; i < 200; i++)
		vl_turn(w);
}

/* Half an answer to an interrupt message is half a message, and the rest makes it a whole one. */
static void an_answer_in_two_pieces_is_an_answer(void **state)
{
	struct disk d;

	(void)state;
	disk_up(&d, 0, false);
	msi_set(&d, MSI_AT, 0x4041);
	d.w.hold_answers = true;
	assert_int_equal(dl_io(&d.q, &d.r, VIRTIO_BLK_T_IN, 0), VIRTIO_BLK_S_OK);
	vl_until(&d.w, d.w.n_writes == 1);
	for (size_t i = 1; i <= 1; i++) {
		struct vu_hdr h = { .id = d.w.writes[0].id,
				    .command = VU_DMA_WRITE,
				    .size = sizeof(h),
				    .flags = VU_REPLY };

		vl_send_raw(&d.w, &h, 7, NULL, 0);
		vl_rest(&d.w);
		vl_send_raw(&d.w, (uint8_t *)&h + 7, sizeof(h) - 7, NULL, 0);
		vl_rest(&d.w);
	}
	d.w.hold_answers = false;
	pass(&d.w, 60 * SECOND);
	assert_int_equal(vl_logged("said nothing"), 0);
	assert_true(vl_stats(&d.w).connected);
	disk_down(&d);
}

struct stop {
	struct tvq_msg msg;
	atomic_bool there, go;
};

static void stand_still(struct tvq_msg *m)
{
	struct stop *s = (struct stop *)m;

	atomic_store(&s->there, true);
	while (!atomic_load(&s->go))
		;
	atomic_store(&s->there, false);
}

/* A worker that got no time for long (the machine slept) does not have its message sent twice. */
static void descriptors_that_a_worker_has_not_given_up_are_waited_for(void **state)
{
	struct vu_irq_set set = {
		.argsz = sizeof(set), .flags = VL_EVENTFD, .index = VU_IRQ_MSIX, .count = 1
	};
	struct stop stop = { .msg.fn = stand_still };
	struct vu_hdr h;
	uint16_t id;
	struct vl w;
	int fd;

	(void)state;
	vl_up(&w, &(struct vl_cfg){ .workers = 2 });
	vl_hello(&w);
	fd = vl_eventfd();
	assert_int_equal(vl_set_eventfd(&w, VU_IRQ_MSIX, 0, fd), 0);
	assert_int_equal(vl_set_eventfd(&w, VU_IRQ_MSIX, 1, fd), 0);
	tvq_exec_post(w.l.workers[1], &stop.msg);
	vl_until(&w, atomic_load(&stop.there));
	id = vl_send(&w, VU_DEVICE_SET_IRQS, &set, sizeof(set));
	vl_rest(&w);
	pass(&w, 5 * SECOND);
	assert_false(vl_poll(&w, &h));
	atomic_store(&stop.go, true);
	assert_int_equal(vl_reply(&w, id, VU_DEVICE_SET_IRQS, NULL, 0), 0);
	vl_until(&w, !atomic_load(&stop.there));
	assert_int_equal(vl_set_eventfd(&w, VU_IRQ_MSIX, 1, -1), 0);
	close(fd);
	vl_down(&w);
}

/* Files without content cost their owner nothing, and our address space would be full of them. */
static void files_of_many_tib_do_not_use_up_the_address_space(void **state)
{
	unsigned int refused = 0;
	struct vl w;
	int fds[64];
	void *p;

	(void)state;
	if (UNDER_TSAN) {
		print_message("skipped: ThreadSanitizer has taken the address space\n");
		skip();
	}
	vl_up(&w, NULL);
	vl_hello(&w);
	for (unsigned int round = 0; round < 2; round++) {
		for (unsigned int i = 0; i < 64; i++) {
			int err;

			fds[i] = memfd_create("huge", MFD_CLOEXEC);
			assert_int_equal(ftruncate(fds[i], 4 * TIB), 0);
			/* What was unmapped is there again, at once or soon. */
			do {
				err = vl_map(&w, i * 4 * TIB, 4 * TIB, fds[i], 0);
				assert_true(!err || err == -ENOSPC);
			} while (err && i < 16);
			refused += err != 0;
		}
		p = mmap(NULL, 8 * TIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
			 0);
		assert_true(p != MAP_FAILED);
		munmap(p, 8 * TIB);
		for (unsigned int i = 0; i < 64; i++)
			close(fds[i]);
		assert_true(vl_unmap(&w, 0, 256 * TIB, 0) > 0);
	}
	assert_int_equal(refused, 2 * (64 - 16));
	assert_true(vl_logged("more than 64 TiB"));
	vl_down(&w);
}

/* ---- memory that changes ---- */

static uint64_t allocated, most_allocated;

static void *counting_alloc(size_t size)
{
	allocated += size;
	if (allocated > most_allocated)
		most_allocated = allocated;
	return tvq_os_host.alloc(size);
}

static void counting_free(void *p, size_t size)
{
	allocated -= p ? size : 0;
	tvq_os_host.free(p, size);
}

static uint16_t send_map(struct vl *w, uint64_t addr)
{
	struct vu_dma_map m = {
		.argsz = sizeof(m), .flags = VU_DMA_READABLE, .addr = addr, .size = 4096
	};

	return vl_send(w, VU_DMA_MAP, &m, sizeof(m));
}

static bool answered_soon(struct vl *w, struct vu_hdr *h)
{
	for (unsigned int i = 0; i < 200; i++) {
		if (vl_poll(w, h))
			return true;
		vl_turn(w);
	}
	return false;
}

/*
 * Each change of a space leaves a table behind, for as long as a request that knows it is at the
 * storage. A client that goes on changing has to wait before there are many; for 4 s, and then it
 * is told that nothing was mapped.
 */
static void memory_that_changes_while_the_storage_hangs_is_bounded(void **state)
{
	enum { REGIONS = 3000 };
	struct vu_hdr h;
	struct disk d;

	(void)state;
	for (unsigned int too_late = 0; too_late < 2; too_late++) {
		uint32_t before, mapped = 0;
		uint64_t at;
		uint16_t id;

		disk_up(&d, 0, false);
		vl_os.alloc = counting_alloc;
		vl_os.free = counting_free;
		atomic_store(&d.vol->mode, DL_HOLD);
		assert_int_equal(dl_add(&d.q, &d.r, VIRTIO_BLK_T_IN, 0), 0);
		dl_notify(&d.q);
		vl_until(&d.w, atomic_load(&d.vol->waiting) == 1);
		before = vl_stats(&d.w).regions;
		at = ((uint64_t)d.mem.asid << VU_SPACE_SHIFT) + (1ull << 40);
		/* Not from 0: what was there before goes, too. */
		allocated = most_allocated = 1u << 30;
		id = send_map(&d.w, at);
		while (answered_soon(&d.w, &h)) {
			assert_int_equal(h.id, id);
			assert_int_equal(h.flags, VU_REPLY);
			assert_true(++mapped < REGIONS);
			id = send_map(&d.w, at + mapped * 4096ull);
		}
		assert_true(most_allocated - (1u << 30) < 20u << 20);
		if (too_late) {
			pass(&d.w, 5 * SECOND);
			assert_int_equal(vl_reply(&d.w, id, VU_DMA_MAP, NULL, 0), -ETIMEDOUT);
			assert_int_equal(vl_stats(&d.w).regions, before + mapped);
			id = send_map(&d.w, at + mapped * 4096ull);
		}
		dl_release(d.vol);
		assert_int_equal(vl_reply(&d.w, id, VU_DMA_MAP, NULL, 0), 0);
		assert_int_equal(vl_stats(&d.w).regions, before + mapped + 1);
		atomic_store(&d.vol->mode, DL_NOW);
		vl_until(&d.w, dl_is_used(&d.q, &d.r));
		disk_down(&d);
	}
}

/* Whoever restarts a guest and sees it hang finds the reason in the log. */
static void that_the_next_client_waits_for_the_storage_is_said_once(void **state)
{
	struct disk d;

	(void)state;
	disk_up(&d, 1, false);
	atomic_store(&d.vol->mode, DL_HOLD);
	assert_int_equal(dl_add(&d.q, &d.r, VIRTIO_BLK_T_IN, 0), 0);
	dl_notify(&d.q);
	vl_until(&d.w, atomic_load(&d.vol->waiting) == 1);
	close(d.w.sock);
	d.w.sock = -1;
	vl_rest(&d.w);
	pass(&d.w, 3 * SECOND);
	assert_int_equal(vl_logged("the next client has to wait"), 0);
	pass(&d.w, 2 * SECOND);
	pass(&d.w, 60 * SECOND);
	assert_int_equal(vl_logged("the next client has to wait"), 1);
	dl_release(d.vol);
	vl_until(&d.w, !vl_stats(&d.w).connected);
	/* One that goes at once leaves no timer behind. */
	vl_hello(&d.w);
	vl_go(&d.w);
	pass(&d.w, 60 * SECOND);
	assert_int_equal(vl_logged("the next client has to wait"), 1);
	vl_hello(&d.w);
	vl_give_irqs(&d.w);
	vl_map_ram(&d.w);
	dl_mem_map(&d.mem);
	atomic_store(&d.vol->mode, DL_NOW);
	vl_until(&d.w, dl_is_used(&d.q, &d.r));
	disk_down(&d);
}

/* Files that their sender serves himself, and does not let anybody close. */
static void descriptors_that_cannot_be_closed_are_bounded_and_stop_nobody(void **state)
{
	struct vu_irq_set set = {
		.argsz = sizeof(set), .flags = VL_EVENTFD, .index = VU_IRQ_MSIX, .count = 16
	};
	struct fuse_trap t;
	unsigned int sent = 0;
	struct vl w;

	(void)state;
	if (!trap_set(&t)) {
		print_message("skipped: no file system can be mounted here\n");
		skip();
	}
	vl_up(&w, NULL);
	vl_hello(&w);
	while (vl_logged("cannot be closed") == 0) {
		int fds[16];

		for (unsigned int i = 0; i < 16; i++) {
			fds[i] = trap_file(&t);
			assert_true(fds[i] >= 0);
		}
		vl_send_flags(&w, VU_DEVICE_SET_IRQS, 0, &set, sizeof(set), fds, 16);
		for (unsigned int i = 0; i < 16; i++)
			close(fds[i]);
		/* From here on whoever closes one waits. */
		atomic_store(t.shut, true);
		for (unsigned int i = 0; i < 50; i++)
			vl_turn(&w);
		atomic_store(t.shut, false);
		vl_skipped += 6 * SECOND; /* the log has room for another line */
		sent += 16;
		assert_true(sent < 600);
	}
	vl_until_closed(&w);
	assert_true(vl_open_fds() < w.fds_at_start + 320);
	/* Somebody else has no use for descriptors, perhaps. */
	vl_hello(&w);
	assert_int_equal(vl_get(&w, VL_CONFIG, PCI_VENDOR_ID, 2), 0x1af4);
	vl_go(&w);
	trap_open(&t);
	w.fds_at_start--; /* the trap's own */
	/* And all of it ends with the file system. */
	vl_until(&w, tvq_fd_closing() == 0);
	vl_hello(&w);
	vl_map_ram(&w);
	vl_down(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_in_two_pieces_is_an_answer),
		cmocka_unit_test(descriptors_that_a_worker_has_not_given_up_are_waited_for),
		cmocka_unit_test(memory_that_changes_while_the_storage_hangs_is_bounded),
		cmocka_unit_test(that_the_next_client_waits_for_the_storage_is_said_once),
		cmocka_unit_test(descriptors_that_cannot_be_closed_are_bounded_and_stop_nobody),
		/* The last one: its memory may be taken down a little later. */
		cmocka_unit_test(files_of_many_tib_do_not_use_up_the_address_space),
	};

	if (!vl_catch_sigbus())
		return 1;
	return cmocka_run_group_tests_name("vfio_user_hostile", tests, NULL, NULL);
}
