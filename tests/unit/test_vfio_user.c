/* SPDX-License-Identifier: BSD-3-Clause */
/* The vfio-user server as a well-behaved client finds it, message by message, over a real socket. */
#include "vfu_lab.h"

static void the_version_is_agreed_upon_and_the_limits_are_told(void **state)
{
	char reply[512];
	struct vl w;
	int n;

	(void)state;
	vl_up(&w, &(struct vl_cfg){ .max_regions = 77 });
	vl_connect(&w);
	n = vl_version(&w, 0, 3, "{\"capabilities\":{\"max_msg_fds\":8,\"migration\":{}}}", reply,
		       sizeof(reply));
	assert_true(n > 4);
	assert_int_equal(((struct vu_version *)reply)->major, 0);
	assert_int_equal(((struct vu_version *)reply)->minor, 0);
	assert_int_equal(reply[n - 1], 0);
	assert_string_equal(reply + 4,
			    "{\"capabilities\":{\"max_msg_fds\":16,\"max_data_xfer_size\":65536,"
			    "\"pgsizes\":4096,\"max_dma_maps\":77}}");
	vl_down(&w);
}

static void another_major_version_is_refused_with_an_error_and_closed(void **state)
{
	char reply[512];
	struct vl w;

	(void)state;
	vl_up(&w, NULL);
	vl_connect(&w);
	assert_int_equal(vl_version(&w, 1, 0, NULL, reply, sizeof(reply)), -EPROTONOSUPPORT);
	vl_until_closed(&w);
	vl_down(&w);
}

static void the_device_and_its_regions_are_described(void **state)
{
	struct vu_device_info info = { .argsz = sizeof(info) };
	struct vl w;

	(void)state;
	vl_up(&w, NULL);
	vl_hello(&w);
	assert_int_equal(vl_call(&w, VU_DEVICE_GET_INFO, &info, sizeof(info), &info, sizeof(info)),
			 sizeof(info));
	assert_int_equal(info.flags, VU_DEVICE_FLAGS_RESET | VU_DEVICE_FLAGS_PCI);
	assert_int_equal(info.num_regions, 9);
	assert_int_equal(info.num_irqs, 5);
	for (uint32_t i = 0; i < 9; i++) {
		struct vu_region_info r = { .argsz = sizeof(r), .index = i };
		uint64_t size = tvq_pci_region_size(tvq_vfio_user_pci(w.s), i);

		assert_int_equal(vl_call(&w, VU_DEVICE_GET_REGION_INFO, &r, sizeof(r), &r,
					 sizeof(r)),
				 sizeof(r));
		assert_int_equal(r.argsz, sizeof(r));
		assert_int_equal(r.index, i);
		assert_int_equal(r.size, size);
		/* Never one that can be mapped. */
		assert_int_equal(r.flags, size ? VU_REGION_F_READ | VU_REGION_F_WRITE : 0);
	}
	vl_down(&w);
}

static void the_interrupts_are_described(void **state)
{
	static const uint32_t count[5] = { 1, 0, 17, 1, 1 };
	struct vl w;

	(void)state;
	vl_up(&w, &(struct vl_cfg){ .n_vectors = 17 });
	vl_hello(&w);
	for (uint32_t i = 0; i < 5; i++) {
		struct vu_irq_info info = { .argsz = sizeof(info), .index = i };

		assert_int_equal(vl_call(&w, VU_DEVICE_GET_IRQ_INFO, &info, sizeof(info), &info,
					 sizeof(info)),
				 sizeof(info));
		assert_int_equal(info.index, i);
		assert_int_equal(info.count, count[i]);
		assert_int_equal(!!(info.flags & VU_IRQ_EVENTFD), count[i] != 0);
		assert_int_equal(!!(info.flags & VU_IRQ_AUTOMASKED), i == VU_IRQ_INTX);
	}
	vl_down(&w);
}

static void what_is_well_formed_and_cannot_be_granted_is_answered_with_an_errno(void **state)
{
	struct vu_region_info r = { .argsz = sizeof(r), .index = 9 };
	struct vu_irq_info i = { .argsz = sizeof(i), .index = 5 };
	uint32_t v = 0;
	struct vl w;

	(void)state;
	vl_up(&w, NULL);
	vl_hello(&w);
	assert_int_equal(vl_call(&w, VU_DEVICE_GET_REGION_INFO, &r, sizeof(r), NULL, 0), -EINVAL);
	assert_int_equal(vl_call(&w, VU_DEVICE_GET_IRQ_INFO, &i, sizeof(i), NULL, 0), -EINVAL);
	assert_int_equal(vl_read_region(&w, 9, 0, &v, 4), -EINVAL);
	assert_int_equal(vl_read_region(&w, VL_CONFIG, 4094, &v, 4), -EINVAL);
	assert_int_equal(vl_read_region(&w, VL_CONFIG, UINT64_MAX, &v, 4), -EINVAL);
	assert_int_equal(vl_write_region(&w, 1, 0, &v, 4), -EINVAL);
	for (uint16_t cmd = 1; cmd < 19; cmd++)
		if (cmd == 6 || cmd > 13)
			assert_int_equal(vl_call(&w, cmd, NULL, 0, NULL, 0), -EOPNOTSUPP);
	assert_int_equal(vl_set_irqs(&w, VL_EVENTFD, 5, 0, 1, NULL, 0), -EINVAL);
	assert_int_equal(vl_set_irqs(&w, VL_EVENTFD, VU_IRQ_MSIX, 64, 1, NULL, 0), -EINVAL);
	assert_int_equal(vl_set_irqs(&w, VL_EVENTFD, VU_IRQ_MSIX, 63, 2, NULL, 0), -EINVAL);
	assert_int_equal(vl_set_irqs(&w, VL_EVENTFD, VU_IRQ_MSIX, 0, 0, NULL, 0), -EINVAL);
	assert_int_equal(vl_set_irqs(&w, VU_SET_DATA_NONE | VU_SET_ACTION_MASK, VU_IRQ_MSIX, 0, 1,
				     NULL, 0),
			 -EINVAL);
	assert_int_equal(vl_set_eventfd(&w, VU_IRQ_MSIX, 0, w.ram_fd), -EINVAL);
	/* The connection has lived through all of it. */
	assert_int_equal(vl_get(&w, VL_CONFIG, PCI_VENDOR_ID, 2), 0x1af4);
	vl_down(&w);
}

static void registers_are_read_and_written_and_posted_writes_get_no_reply(void **state)
{
	uint8_t config[4096], one[4096];
	uint16_t command = PCI_COMMAND_MEMORY;
	struct vl w;

	(void)state;
	vl_up(&w, NULL);
	vl_hello(&w);
	assert_int_equal(vl_read_region(&w, VL_CONFIG, 0, config, sizeof(config)), 0);
	for (uint32_t i = 0; i < 64; i++)
		one[i] = (uint8_t)vl_get(&w, VL_CONFIG, i, 1);
	assert_memory_equal(config, one, 64);
	vl_post(&w, VL_CONFIG, PCI_COMMAND, &command, 2);
	assert_int_equal(vl_get(&w, VL_CONFIG, PCI_COMMAND, 2), PCI_COMMAND_MEMORY);
	vl_command(&w, 0);
	assert_int_equal(vl_get(&w, VL_CONFIG, PCI_COMMAND, 2), 0);
	/* One that cannot be done is dropped in silence. */
	vl_post(&w, 1, 0, &command, 2);
	assert_int_equal(vl_get(&w, VL_CONFIG, PCI_COMMAND, 2), 0);
	vl_down(&w);
}

static void messages_in_one_piece_or_byte_by_byte_are_the_same(void **state)
{
	struct {
		struct vu_hdr h;
		struct vu_region_rw rw;
	} m[20];
	uint8_t reply[64];
	struct vl w;

	(void)state;
	vl_up(&w, NULL);
	vl_hello(&w);
	for (unsigned int i = 0; i < 20; i++) {
		m[i].h = (struct vu_hdr){ .id = (uint16_t)(1000 + i),
					  .command = VU_REGION_READ,
					  .size = sizeof(m[i]) };
		m[i].rw = (struct vu_region_rw){ .region = VL_CONFIG, .count = 4 };
	}
	vl_send_raw(&w, m, sizeof(m), NULL, 0);
	for (unsigned int i = 0; i < 20; i++)
		assert_int_equal(vl_reply(&w, m[i].h.id, VU_REGION_READ, reply, 64), 20);
	for (size_t i = 0; i < sizeof(m[0]); i++) {
		vl_send_raw(&w, (uint8_t *)m + i, 1, NULL, 0);
		vl_turn(&w);
	}
	assert_int_equal(vl_reply(&w, m[0].h.id, VU_REGION_READ, reply, 64), 20);
	vl_down(&w);
}

/* ---- memory ---- */

/* TQ-123 */
static void a_map_that_crosses_a_multiple_of_2_48_is_refused(void **state)
{
	const uint64_t top = 1ull << 48;
	struct vl w;

	(void)state;
	vl_up(&w, NULL);
	vl_hello(&w);
	assert_int_equal(vl_map(&w, top - 4096, 8192, w.ram_fd, 0), -EINVAL);
	assert_int_equal(vl_map(&w, 5 * top - 4096, 4097, w.ram_fd, 0), -EINVAL);
	assert_int_equal(vl_map(&w, 1, top, -1, 0), -EINVAL);
	assert_int_equal(vl_stats(&w).regions, 0);
	/* Up to it, and from it on; the last space ends at 2^64. */
	assert_int_equal(vl_map(&w, top - 4096, 4096, w.ram_fd, 0), 0);
	assert_int_equal(vl_map(&w, top, 4096, w.ram_fd, 0), 0);
	assert_int_equal(vl_map(&w, 5 * top, top, -1, 0), 0);
	assert_int_equal(vl_map(&w, -4096ull, 4096, w.ram_fd, 0), 0);
	assert_int_equal(vl_stats(&w).regions, 4);
	assert_int_equal(vl_stats(&w).spaces, 4);
	vl_down(&w);
}

static void a_map_that_overlaps_is_refused(void **state)
{
	struct vl w;

	(void)state;
	vl_up(&w, NULL);
	vl_hello(&w);
	assert_int_equal(vl_map(&w, 0x10000, 0x2000, w.ram_fd, 0), 0);
	assert_int_equal(vl_map(&w, 0x11000, 0x1000, w.ram_fd, 0), -EEXIST);
	assert_int_equal(vl_map(&w, 0xf000, 0x1001, -1, 0), -EEXIST);
	assert_int_equal(vl_map(&w, 0x11fff, 1, -1, 0), -EEXIST);
	assert_int_equal(vl_map(&w, 0xf000, 0x1000, w.ram_fd, 0), 0);
	/* Another space is another matter. */
	assert_int_equal(vl_map(&w, 1ull << 48 | 0x10000, 0x2000, w.ram_fd, 0), 0);
	assert_int_equal(vl_stats(&w).regions, 3);
	vl_down(&w);
}

static void a_map_beyond_its_file_or_its_rights_is_refused(void **state)
{
	char path[64];
	struct vl w;
	int fd;

	(void)state;
	vl_up(&w, NULL);
	vl_hello(&w);
	assert_int_equal(vl_map(&w, 0, VL_RAM + 1, w.ram_fd, 0), -ENXIO);
	assert_int_equal(vl_map(&w, 0, 4096, w.ram_fd, VL_RAM - 4095), -ENXIO);
	assert_int_equal(vl_map(&w, 0, 4096, w.ram_fd, 1ull << 63), -ENXIO);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", w.ram_fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(vl_map(&w, 0, 4096, fd, 0), -EACCES);
	assert_int_equal(vl_map_flags(&w, 0, 4096, fd, 0, VU_DMA_READABLE), 0);
	close(fd);
	assert_int_equal(vl_stats(&w).regions, 1);
	vl_down(&w);
}

static void more_regions_than_max_dma_maps_are_refused(void **state)
{
	struct vl w;

	(void)state;
	vl_up(&w, &(struct vl_cfg){ .max_regions = 3 });
	vl_hello(&w);
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(vl_map(&w, 0x1000 * i, 0x1000, w.ram_fd, 0), 0);
	assert_int_equal(vl_map(&w, 0x3000, 0x1000, w.ram_fd, 0), -ENOSPC);
	assert_int_equal(vl_unmap(&w, 0x1000, 0x1000, 0), 0x1000);
	assert_int_equal(vl_map(&w, 0x3000, 0x1000, w.ram_fd, 0), 0);
	vl_down(&w);
}

static void memory_that_is_not_shared_is_known_and_told_of_once(void **state)
{
	int pipes[2];
	struct vl w;

	(void)state;
	vl_up(&w, NULL);
	vl_hello(&w);
	/* A ROM is nothing to speak of. */
	assert_int_equal(vl_map_flags(&w, 0xf0000, 0x10000, -1, 0, VU_DMA_READABLE), 0);
	assert_int_equal(vl_logged("share=on"), 0);
	assert_int_equal(vl_map(&w, 0, 0x10000, -1, 0), 0);
	assert_int_equal(vl_logged("share=on"), 1);
	/* A descriptor that is no memory could hold a worker for ever. */
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	assert_int_equal(vl_map(&w, 0x10000, 0x1000, pipes[0], 0), 0);
	close(pipes[0]);
	close(pipes[1]);
	assert_int_equal(vl_logged("share=on"), 1);
	assert_int_equal(vl_stats(&w).regions, 3);
	assert_int_equal(vl_map(&w, 0x8000, 0x1000, w.ram_fd, 0), -EEXIST);
	assert_int_equal(vl_unmap(&w, 0, 0x10000, 0), 0x10000);
	vl_go(&w);
	vl_hello(&w);
	assert_int_equal(vl_map(&w, 0, 0x10000, -1, 0), 0);
	assert_int_equal(vl_logged("share=on"), 2);
	vl_down(&w);
}

static void an_unmap_takes_what_lies_in_the_range_and_cuts_nothing(void **state)
{
	struct vl w;

	(void)state;
	vl_up(&w, NULL);
	vl_hello(&w);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(vl_map(&w, 0x10000 + 0x1000 * i, 0x1000, w.ram_fd, 0x1000 * i), 0);
	assert_int_equal(vl_unmap(&w, 0x10800, 0x2800, 0), -EINVAL);
	assert_int_equal(vl_unmap(&w, 0x10000, 0x1800, 0), -EINVAL);
	assert_int_equal(vl_unmap(&w, 0x10001, 1, 0), -EINVAL);
	assert_int_equal(vl_stats(&w).regions, 4);
	/* As the kernel's VFIO: nothing there is nothing to be said against. */
	assert_int_equal(vl_unmap(&w, 0x20000, 0x1000, 0), 0);
	assert_int_equal(vl_unmap(&w, 0x11000, 0x2000, 0), 0x2000);
	assert_int_equal(vl_stats(&w).regions, 2);
	assert_int_equal(vl_map(&w, 0x11000, 0x2000, w.ram_fd, 0), 0);
	/* QEMU's intel-iommu: up to the end of all spaces. */
	assert_int_equal(vl_map(&w, 7ull << 48, 0x1000, w.ram_fd, 0), 0);
	assert_int_equal(vl_unmap(&w, 0x13000, 0ull - 0x13000, 0), 0x2000);
	assert_int_equal(vl_stats(&w).regions, 2);
	assert_int_equal(vl_stats(&w).spaces, 1);
	assert_int_equal(vl_unmap(&w, 0, 0, VU_UNMAP_DIRTY_BITMAP | VU_UNMAP_ALL), -EOPNOTSUPP);
	assert_int_equal(vl_unmap(&w, 0, 0, VU_UNMAP_ALL), 0);
	assert_int_equal(vl_stats(&w).regions, 0);
	assert_int_equal(vl_unmap(&w, 0, 0, VU_UNMAP_ALL), 0);
	assert_int_equal(tvq_mapping_count(), w.mappings_at_start);
	vl_down(&w);
}

/* ---- interrupts ---- */

#define RAISE (VU_SET_DATA_NONE | VU_SET_ACTION_TRIGGER)

static void a_client_can_raise_its_own_interrupts(void **state)
{
	struct {
		struct vu_irq_set set;
		uint8_t on[3];
	} bools = { { sizeof(bools.set), VU_SET_DATA_BOOL | VU_SET_ACTION_TRIGGER, VU_IRQ_MSIX, 1,
		      3 },
		    { 1, 0, 1 } };
	int fds[4];
	struct vl w;

	(void)state;
	vl_up(&w, NULL);
	vl_hello(&w);
	for (unsigned int i = 0; i < 4; i++)
		fds[i] = vl_eventfd();
	assert_int_equal(vl_set_irqs(&w, VL_EVENTFD, VU_IRQ_MSIX, 0, 4, fds, 4), 0);
	assert_int_equal(vl_set_irqs(&w, RAISE, VU_IRQ_MSIX, 1, 2, NULL, 0), 0);
	assert_false(vl_signalled(fds[0]));
	assert_true(vl_signalled(fds[1]));
	assert_true(vl_signalled(fds[2]));
	assert_false(vl_signalled(fds[3]));
	assert_int_equal(vl_call(&w, VU_DEVICE_SET_IRQS, &bools, 23, NULL, 0), 0);
	assert_true(vl_signalled(fds[1]));
	assert_false(vl_signalled(fds[2]));
	assert_true(vl_signalled(fds[3]));
	for (uint32_t kind = VU_IRQ_ERR; kind <= VU_IRQ_REQ; kind++) {
		assert_int_equal(vl_set_eventfd(&w, kind, 0, fds[0]), 0);
		assert_int_equal(vl_set_irqs(&w, RAISE, kind, 0, 1, NULL, 0), 0);
		assert_true(vl_signalled(fds[0]));
	}
	for (unsigned int i = 0; i < 4; i++)
		close(fds[i]);
	vl_down(&w);
}

static void a_descriptor_that_was_taken_away_is_not_signalled_and_closed(void **state)
{
	int a = vl_eventfd(), b = vl_eventfd();
	struct vl w;
	int open_fds;

	(void)state;
	for (unsigned int workers = 0; workers < 3; workers += 2) {
		vl_up(&w, &(struct vl_cfg){ .workers = workers });
		vl_hello(&w);
		open_fds = vl_open_fds();
		assert_int_equal(vl_set_eventfd(&w, VU_IRQ_MSIX, 3, a), 0);
		assert_int_equal(vl_set_eventfd(&w, VU_IRQ_MSIX, 3, b), 0);
		assert_int_equal(vl_open_fds(), open_fds + 1);
		assert_int_equal(vl_set_irqs(&w, RAISE, VU_IRQ_MSIX, 3, 1, NULL, 0), 0);
		assert_false(vl_signalled(a));
		assert_true(vl_signalled(b));
		assert_int_equal(vl_set_eventfd(&w, VU_IRQ_MSIX, 3, -1), 0);
		assert_int_equal(vl_open_fds(), open_fds);
		/* What comes meanwhile is for the next descriptor. */
		assert_int_equal(vl_set_irqs(&w, RAISE, VU_IRQ_MSIX, 3, 1, NULL, 0), 0);
		assert_int_equal(vl_set_eventfd(&w, VU_IRQ_MSIX, 3, a), 0);
		assert_true(vl_signalled(a));
		/* All of a kind. */
		assert_int_equal(vl_set_irqs(&w, RAISE, VU_IRQ_MSIX, 0, 0, NULL, 0), 0);
		assert_int_equal(vl_open_fds(), open_fds);
		assert_int_equal(vl_set_irqs(&w, RAISE, VU_IRQ_MSIX, 3, 1, NULL, 0), 0);
		assert_int_equal(vl_set_irqs(&w, RAISE, VU_IRQ_MSIX, 0, 0, NULL, 0), 0);
		assert_int_equal(vl_set_eventfd(&w, VU_IRQ_MSIX, 3, b), 0);
		assert_false(vl_signalled(a));
		assert_false(vl_signalled(b));
		vl_down(&w);
	}
	close(a);
	close(b);
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

/* Whatever a worker does with the descriptor: it is over when the client is answered. */
static void the_answer_comes_when_every_worker_has_let_go(void **state)
{
	struct vu_irq_set set = {
		.argsz = sizeof(set), .flags = VL_EVENTFD, .index = VU_IRQ_MSIX, .count = 1
	};
	struct stop stop = { .msg.fn = stand_still };
	struct vu_hdr h;
	struct vl w;
	uint16_t id;
	int fd;

	(void)state;
	vl_up(&w, &(struct vl_cfg){ .workers = 2 });
	vl_hello(&w);
	fd = vl_eventfd();
	assert_int_equal(vl_set_eventfd(&w, VU_IRQ_MSIX, 0, fd), 0);
	tvq_exec_post(w.l.workers[1], &stop.msg);
	vl_until(&w, atomic_load(&stop.there));
	/* With nothing to let go, nobody is waited for. */
	assert_int_equal(vl_set_eventfd(&w, VU_IRQ_MSIX, 1, fd), 0);
	id = vl_send(&w, VU_DEVICE_SET_IRQS, &set, sizeof(set));
	for (unsigned int i = 0; i < 500; i++) {
		assert_false(vl_poll(&w, &h));
		vl_turn(&w);
		vl_skipped += SECOND;
	}
	atomic_store(&stop.go, true);
	assert_int_equal(vl_reply(&w, id, VU_DEVICE_SET_IRQS, NULL, 0), 0);
	vl_until(&w, !atomic_load(&stop.there));
	close(fd);
	vl_down(&w);
}

static void many_vectors_are_set_in_chunks(void **state)
{
	int fds[64];
	struct vl w;

	(void)state;
	vl_up(&w, NULL);
	vl_hello(&w);
	for (unsigned int i = 0; i < 64; i++)
		fds[i] = vl_eventfd();
	for (unsigned int i = 0; i < 64; i += 16)
		assert_int_equal(vl_set_irqs(&w, VL_EVENTFD, VU_IRQ_MSIX, i, 16, fds + i, 16), 0);
	assert_int_equal(vl_set_irqs(&w, RAISE, VU_IRQ_MSIX, 0, 64, NULL, 0), 0);
	for (unsigned int i = 0; i < 64; i++)
		assert_true(vl_signalled(fds[i]));
	assert_int_equal(vl_set_irqs(&w, VL_EVENTFD, VU_IRQ_MSIX, 0, 64, NULL, 0), 0);
	for (unsigned int i = 0; i < 64; i++)
		close(fds[i]);
	vl_down(&w);
}

static void a_full_eventfd_holds_nobody(void **state)
{
	uint64_t full = UINT64_MAX - 1;
	struct vl w;
	int fd;

	(void)state;
	vl_up(&w, NULL);
	vl_hello(&w);
	fd = eventfd(0, EFD_CLOEXEC); /* writes to it would wait */
	assert_int_equal(write(fd, &full, sizeof(full)), sizeof(full));
	assert_int_equal(vl_set_eventfd(&w, VU_IRQ_MSIX, 0, fd), 0);
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(vl_set_irqs(&w, RAISE, VU_IRQ_MSIX, 0, 1, NULL, 0), 0);
	assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
	close(fd);
	vl_down(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_version_is_agreed_upon_and_the_limits_are_told),
		cmocka_unit_test(another_major_version_is_refused_with_an_error_and_closed),
		cmocka_unit_test(the_device_and_its_regions_are_described),
		cmocka_unit_test(the_interrupts_are_described),
		cmocka_unit_test(
			what_is_well_formed_and_cannot_be_granted_is_answered_with_an_errno),
		cmocka_unit_test(registers_are_read_and_written_and_posted_writes_get_no_reply),
		cmocka_unit_test(messages_in_one_piece_or_byte_by_byte_are_the_same),
		cmocka_unit_test(a_map_that_crosses_a_multiple_of_2_48_is_refused),
		cmocka_unit_test(a_map_that_overlaps_is_refused),
		cmocka_unit_test(a_map_beyond_its_file_or_its_rights_is_refused),
		cmocka_unit_test(more_regions_than_max_dma_maps_are_refused),
		cmocka_unit_test(memory_that_is_not_shared_is_known_and_told_of_once),
		cmocka_unit_test(an_unmap_takes_what_lies_in_the_range_and_cuts_nothing),
		cmocka_unit_test(a_client_can_raise_its_own_interrupts),
		cmocka_unit_test(a_descriptor_that_was_taken_away_is_not_signalled_and_closed),
		cmocka_unit_test(the_answer_comes_when_every_worker_has_let_go),
		cmocka_unit_test(many_vectors_are_set_in_chunks),
		cmocka_unit_test(a_full_eventfd_holds_nobody),
	};

	if (!vl_catch_sigbus())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
