/* SPDX-License-Identifier: BSD-3-Clause */
/* Clients that come, go, stay silent and come again; and the end of the server. */
#include "vfu_disk.h"

#include <sys/stat.h>

static void a_second_client_is_turned_away_while_the_first_stays(void **state)
{
	char byte;
	ssize_t n;
	struct vl w;
	int other;

	(void)state;
	vl_up(&w, NULL);
	vl_hello(&w);
	other = vl_connect_to(w.path);
	/* What it had to say makes no error of the end. */
	assert_int_equal(send(other, "hello", 5, MSG_NOSIGNAL), 5);
	vl_until(&w, (n = recv(other, &byte, 1, MSG_DONTWAIT)) >= 0 || errno != EAGAIN);
	assert_int_equal(n, 0);
	close(other);
	assert_int_equal(vl_logged("is turned away"), 1);
	assert_int_equal(vl_get(&w, VL_CONFIG, PCI_VENDOR_ID, 2), 0x1af4);
	vl_down(&w);
}

static void the_next_client_waits_where_the_first_has_just_gone(void **state)
{
	uint8_t reply[512];
	struct vl w;
	int next;

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		vl_up(&w, NULL);
		vl_hello(&w);
		/* Whichever of the two is seen first. */
		next = i ? vl_connect_to(w.path) : -1;
		close(w.sock);
		w.sock = i ? next : vl_connect_to(w.path);
		assert_true(vl_version(&w, 0, 0, NULL, reply, sizeof(reply)) > 0);
		assert_int_equal(vl_stats(&w).connections, 2);
		assert_int_equal(vl_logged("is turned away"), 0);
		vl_down(&w);
	}
}

static void what_a_client_gave_goes_with_it(void **state)
{
	struct vl w;
	int fd;

	(void)state;
	vl_up(&w, &(struct vl_cfg){ .workers = 1 });
	vl_hello(&w);
	vl_map_ram(&w);
	fd = vl_eventfd();
	assert_int_equal(vl_set_eventfd(&w, VU_IRQ_MSIX, 0, fd), 0);
	vl_go(&w);
	close(fd);
	assert_int_equal(vl_stats(&w).regions, 0);
	assert_int_equal(tvq_mapping_count(), w.mappings_at_start);
	vl_until(&w,
		 vl_open_fds() == w.fds_at_start + 2); /* the lab's memory, the server's socket */
	vl_down(&w);
}

/* ---- queues that wait for their memory ---- */

#define SPACE(d) ((uint64_t)(d)->mem.asid << 48)

static void come_again(struct disk *d)
{
	vl_hello(&d->w);
	vl_give_irqs(&d->w);
}

/* A request is there; nobody serves it, and nothing breaks. */
static void stands_still(struct disk *d)
{
	for (unsigned int i = 0; i < 5; i++) {
		vl_bus_notify(&d->w.bus, d->q.area, 0, 2);
		vl_rest(&d->w);
	}
	assert_false(dl_is_used(&d->q, &d->r));
}

static void goes_on(struct disk *d)
{
	vl_until(&d->w, dl_is_used(&d->q, &d->r));
	assert_int_equal(*d->r.status, VIRTIO_BLK_S_OK);
	assert_int_equal(dl_status(d->w.l.client, d->q.id), DL_DRIVER_OK);
	assert_int_equal(dl_io(&d->q, &d->r, VIRTIO_BLK_T_IN, 0), VIRTIO_BLK_S_OK);
}

static void queues_pause_without_their_client_and_go_on_when_all_is_mapped_again(void **state)
{
	struct disk d;
	size_t half;

	(void)state;
	for (unsigned int i = 0; i < 4; i++) {
		disk_up(&d, i & 1, i & 2);
		half = d.mem.size / 2;
		d.mem.used = half;
		dl_req_new(&d.r, &d.mem, 4096);
		vl_go(&d.w);
		assert_int_equal(dl_add(&d.q, &d.r, VIRTIO_BLK_T_IN, 0), 0);
		tvq_drv_ring_publish(d.q.ring);
		come_again(&d);
		vl_map_ram(&d.w);
		/* The ring is there, its request is not. */
		assert_int_equal(vl_map(&d.w, SPACE(&d) + d.mem.iova, half, d.mem.fd, 0), 0);
		stands_still(&d);
		assert_int_equal(vl_stats(&d.w).regions, 2);
		assert_int_equal(vl_map(&d.w, SPACE(&d) + d.mem.iova + half, half, d.mem.fd,
					(uint64_t)half),
				 0);
		goes_on(&d);
		disk_down(&d);
	}
}

static void what_is_held_back_is_mapped_all_the_same(void **state)
{
	uint64_t at, tail;
	struct disk d;
	size_t most;

	(void)state;
	disk_up(&d, 1, false);
	at = SPACE(&d) + d.mem.iova;
	most = d.mem.size - 0x1000;
	tail = at + most; /* nothing is there that anybody needs */
	vl_go(&d.w);
	assert_int_equal(dl_add(&d.q, &d.r, VIRTIO_BLK_T_IN, 0), 0);
	tvq_drv_ring_publish(d.q.ring);
	come_again(&d);
	vl_map_ram(&d.w);
	assert_int_equal(vl_map(&d.w, at + 0x3000, 0x1000, d.mem.fd, 0x3000), 0);
	assert_int_equal(vl_map(&d.w, tail, 0x1000, d.mem.fd, most), 0);
	assert_int_equal(vl_map(&d.w, at, 0x1000, d.mem.fd, 0), 0);
	assert_int_equal(vl_map(&d.w, at + 0x3800, 0x1000, d.mem.fd, 0), -EEXIST);
	assert_int_equal(vl_map(&d.w, at + 0x2800, 0x1000, d.mem.fd, 0), -EEXIST);
	assert_int_equal(vl_map(&d.w, at - 0x1000, d.mem.size, d.mem.fd, 0), -EEXIST);
	assert_int_equal(vl_logged("queues wait until all memory"), 1);
	assert_int_equal(vl_unmap(&d.w, at + 0x800, 0x1000, 0), -EINVAL);
	assert_int_equal(vl_unmap(&d.w, at + 0x2000, 0x1800, 0), -EINVAL);
	assert_int_equal(vl_stats(&d.w).regions, 4);
	assert_int_equal(vl_unmap(&d.w, tail, 0x3000, 0), 0x1000);
	assert_int_equal(vl_map(&d.w, at + 0x1000, 0x2000, d.mem.fd, 0x1000), 0);
	assert_int_equal(vl_map(&d.w, at + 0x4000, most - 0x4000, d.mem.fd, 0x4000), 0);
	stands_still(&d);
	/* Goes again, and what it was is still what is waited for. */
	vl_go(&d.w);
	come_again(&d);
	vl_map_ram(&d.w);
	assert_int_equal(vl_map(&d.w, at, most, d.mem.fd, 0), 0);
	assert_int_equal(vl_unmap(&d.w, 0, 0, VU_UNMAP_ALL), 0);
	vl_map_ram(&d.w);
	assert_int_equal(vl_map(&d.w, at, most, d.mem.fd, 0), 0);
	/* More than there was is fine. */
	assert_int_equal(vl_map(&d.w, at - 0x1000, 0x1000, d.mem.fd, 0), 0);
	stands_still(&d);
	assert_int_equal(vl_map(&d.w, tail, 0x1000, d.mem.fd, most), 0);
	assert_int_equal(vl_stats(&d.w).regions, 4);
	goes_on(&d);
	disk_down(&d);
}

/* Of the function: by message, by its register; and of the virtio device. */
static void a_reset_publishes_what_is_held_back(void **state)
{
	struct vl w;
	uint8_t cap;
	int err;

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		vl_up(&w, NULL);
		vl_drive(&w);
		tvq_client_free(w.l.client);
		w.l.client = NULL;
		assert_int_equal(vl_map(&w, 0x100000000ull, 0x1000, w.ram_fd, 0), 0);
		vl_go(&w);
		vl_hello(&w);
		vl_map_ram(&w); /* not that other page */
		cap = vl_find_cap(&w, PCI_CAP_ID_EXP, -1);
		if (i == 0)
			assert_int_equal(vl_call(&w, VU_DEVICE_RESET, NULL, 0, NULL, 0), 0);
		else if (i == 1)
			vl_put(&w, VL_CONFIG, cap + PCI_EXP_DEVCTL, 2, PCI_EXP_DEVCTL_BCR_FLR);
		vl_command(&w, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
		vl_msix_enable(&w, true);
		/* The third time the client's own reset is it. */
		w.ram_used = 0;
		w.l.client = tvq_client_new(&w.bus, NULL, &err);
		assert_non_null(w.l.client);
		vl_down(&w);
	}
}

static void a_command_in_flight_is_answered_to_the_next_client(void **state)
{
	struct disk d;
	struct dl_op op;
	struct tvq_seq *s;

	(void)state;
	disk_up(&d, 0, false);
	atomic_store(&d.vol->mode, DL_HOLD);
	assert_int_equal(dl_add(&d.q, &d.r, VIRTIO_BLK_T_IN, 0), 0);
	dl_notify(&d.q);
	vl_until(&d.w, atomic_load(&d.vol->waiting) == 1);
	/* DESTROY waits for the request; it is answered when the client has gone. */
	s = tvq_seq_new(d.w.l.client, d.q.id);
	tvq_seq_status_set(s, 0);
	tvq_seq_destroy_device(s);
	dl_run(s, &op);
	vl_rest(&d.w);
	assert_false(op.ended);
	close(d.w.sock);
	d.w.sock = -1;
	vl_rest(&d.w);
	dl_release(d.vol);
	vl_until(&d.w, !vl_stats(&d.w).connected);
	come_again(&d);
	vl_map_ram(&d.w);
	assert_int_equal(vl_map(&d.w, SPACE(&d) + d.mem.iova, d.mem.size, d.mem.fd, 0), 0);
	vl_until(&d.w, op.ended);
	assert_int_equal(op.err, 0);
	dl_queue_free(&d.q);
	munmap(d.mem.va, d.mem.size);
	close(d.mem.fd);
	vl_down(&d.w);
}

/* Memory in use stays until the I/O that uses it is over; the next client waits for that. */
static void a_client_that_goes_with_io_in_flight_is_waited_for(void **state)
{
	uint8_t reply[512];
	struct disk d;

	(void)state;
	for (unsigned int workers = 0; workers < 2; workers++) {
		disk_up(&d, workers, false);
		atomic_store(&d.vol->mode, DL_HOLD);
		assert_int_equal(dl_add(&d.q, &d.r, VIRTIO_BLK_T_IN, 0), 0);
		dl_notify(&d.q);
		vl_until(&d.w, atomic_load(&d.vol->waiting) == 1);
		close(d.w.sock);
		d.w.sock = -1;
		vl_rest(&d.w);
		assert_true(vl_stats(&d.w).connected);
		assert_true(tvq_mapping_count() > d.w.mappings_at_start);
		d.w.sock = vl_connect_to(d.w.path);
		vl_rest(&d.w);
		assert_int_equal(vl_stats(&d.w).connections, 1);
		dl_release(d.vol);
		assert_true(vl_version(&d.w, 0, 0, NULL, reply, sizeof(reply)) > 0);
		assert_int_equal(tvq_mapping_count(), d.w.mappings_at_start);
		atomic_store(&d.vol->mode, DL_NOW);
		vl_give_irqs(&d.w);
		vl_map_ram(&d.w);
		dl_mem_map(&d.mem);
		goes_on(&d);
		disk_down(&d);
	}
}

/* ---- patience ---- */

/* Time passes, so much of it that nothing happens yet, and then enough. */
static void pass(struct vl *w, uint64_t ns)
{
	vl_skipped += ns;
	for (unsigned int i = 0; i < 200; i++)
		vl_turn(w);
}

static void a_client_that_says_nothing_or_half_a_message_is_closed(void **state)
{
	struct vu_hdr h = { .command = VU_REGION_READ, .size = 32 };
	struct vl w;

	(void)state;
	vl_up(&w, NULL);
	for (unsigned int i = 0; i < 3; i++) {
		if (i)
			vl_hello(&w);
		else
			vl_connect(&w);
		if (i)
			vl_send_raw(&w, &h, sizeof(h) - (i & 1), NULL, 0);
		vl_rest(&w);
		pass(&w, 5 * SECOND);
		assert_true(vl_stats(&w).connected);
		pass(&w, 6 * SECOND);
		vl_until_closed(&w);
	}
	assert_int_equal(vl_logged("connected, and said nothing"), 1);
	assert_int_equal(vl_logged("half a message and no more"), 2);
	assert_int_equal(vl_stats(&w).refused, 3);
	vl_down(&w);
}

static void dripping_bytes_gains_no_time(void **state)
{
	struct vu_hdr h = { .command = VU_REGION_READ, .size = 32 };
	struct vl w;

	(void)state;
	vl_up(&w, NULL);
	vl_hello(&w);
	for (unsigned int i = 0; i < 4; i++) {
		vl_send_raw(&w, (uint8_t *)&h + i, 1, NULL, 0);
		vl_rest(&w);
		pass(&w, 2 * SECOND + SECOND * 3 / 4);
	}
	assert_int_equal(vl_logged("half a message and no more"), 1);
	vl_until_closed(&w);
	vl_down(&w);
}

static void a_client_that_has_said_hello_may_be_silent(void **state)
{
	struct vl w;

	(void)state;
	vl_up(&w, NULL);
	vl_hello(&w);
	pass(&w, 3600 * SECOND);
	assert_int_equal(vl_get(&w, VL_CONFIG, PCI_VENDOR_ID, 2), 0x1af4);
	vl_down(&w);
}

static void a_client_that_does_not_read_its_replies_is_closed(void **state)
{
	struct vu_region_rw rw = { .region = VL_CONFIG, .count = 4096 };
	struct vl w;

	(void)state;
	vl_up(&w, NULL);
	vl_hello(&w);
	for (unsigned int i = 0; i < 100; i++)
		vl_send(&w, VU_REGION_READ, &rw, sizeof(rw));
	w.no_reading = true;
	vl_rest(&w);
	pass(&w, 5 * SECOND);
	assert_true(vl_stats(&w).connected);
	pass(&w, 6 * SECOND);
	vl_until_closed(&w);
	assert_int_equal(vl_logged("does not read its replies"), 1);
	/* The next one's are its own. */
	w.no_reading = false;
	vl_hello(&w);
	assert_int_equal(vl_get(&w, VL_CONFIG, PCI_VENDOR_ID, 2), 0x1af4);
	vl_down(&w);
}

/* QEMU gives up after 5 s. The device goes on when the storage does. */
static void a_reset_or_unmap_that_takes_too_long_is_answered_with_an_error(void **state)
{
	struct vu_dma_unmap u = { .argsz = sizeof(u) };
	struct vu_hdr h;
	struct disk d;
	uint16_t id;

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		disk_up(&d, 1, false);
		atomic_store(&d.vol->mode, DL_HOLD);
		assert_int_equal(dl_add(&d.q, &d.r, VIRTIO_BLK_T_IN, 0), 0);
		dl_notify(&d.q);
		vl_until(&d.w, atomic_load(&d.vol->waiting) == 1);
		u.addr = SPACE(&d) + d.mem.iova;
		u.size = d.mem.size;
		id = i ? vl_send(&d.w, VU_DEVICE_RESET, NULL, 0)
		       : vl_send(&d.w, VU_DMA_UNMAP, &u, sizeof(u));
		vl_rest(&d.w);
		pass(&d.w, 3 * SECOND);
		assert_false(vl_poll(&d.w, &h));
		pass(&d.w, 2 * SECOND);
		assert_int_equal(vl_reply(&d.w, id, i ? VU_DEVICE_RESET : VU_DMA_UNMAP, NULL, 0),
				 -ETIMEDOUT);
		assert_int_equal(vl_get(&d.w, VL_CONFIG, PCI_VENDOR_ID, 2), 0x1af4);
		assert_true(tvq_mapping_count() > d.w.mappings_at_start);
		dl_release(d.vol);
		atomic_store(&d.vol->mode, DL_NOW);
		if (i) { /* and a second one is not held up by it */
			assert_int_equal(vl_call(&d.w, VU_DEVICE_RESET, NULL, 0, NULL, 0), 0);
			assert_int_equal(d.w.l.n_claimed, 0);
			vl_command(&d.w, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
			dl_queue_free(&d.q);
			munmap(d.mem.va, d.mem.size);
			close(d.mem.fd);
			vl_down(&d.w);
			continue;
		}
		vl_until(&d.w, dl_is_used(&d.q, &d.r));
		dl_mem_map(&d.mem);
		goes_on(&d);
		disk_down(&d);
	}
}

/* ---- the socket's place, the end ---- */

static struct tvq_vfio_user *make(struct vl *w, const char *path, char *err)
{
	struct tvq_vfio_user_cfg c = { .path = path, .loop = w->l.loop };

	c.pci.mgmt.os = &vl_os;
	c.pci.mgmt.control = w->l.exec;
	return tvq_vfio_user_new(&c, err);
}

static void a_stale_socket_is_replaced_and_nothing_else(void **state)
{
	char err[TVQ_VFIO_USER_ERR_LEN], path[80], long_path[200];
	struct vl_done d = { .done.fn = vl_told };
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct tvq_vfio_user *s;
	struct vl w;
	int fd;

	(void)state;
	vl_up(&w, NULL);
	/* One that is served. */
	assert_null(make(&w, w.path, err));
	assert_non_null(strstr(err, "in use by another program"));
	/* A file. */
	snprintf(path, sizeof(path), "%s/file", w.dir);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	close(fd);
	assert_null(make(&w, path, err));
	assert_non_null(strstr(err, "is no socket"));
	unlink(path);
	memset(long_path, 'x', sizeof(long_path) - 1);
	long_path[sizeof(long_path) - 1] = 0;
	assert_null(make(&w, long_path, err));
	assert_non_null(strstr(err, "107 characters"));
	/* One that was left over. */
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/stale", w.dir);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	close(fd);
	s = make(&w, sa.sun_path, err);
	assert_non_null(s);
	close(vl_connect_to(sa.sun_path));
	tvq_vfio_user_free(s, &d.done);
	vl_until(&w, d.told);
	assert_int_not_equal(access(sa.sun_path, F_OK), 0);
	vl_down(&w);
}

static void a_server_ends_with_a_client_and_io_in_flight(void **state)
{
	struct vl_done done = { .done.fn = vl_told };
	struct disk d;

	(void)state;
	for (unsigned int workers = 0; workers < 2; workers++) {
		disk_up(&d, workers, false);
		msi_set(&d, MSI_AT, 1);
		atomic_store(&d.vol->mode, DL_HOLD);
		assert_int_equal(dl_add(&d.q, &d.r, VIRTIO_BLK_T_IN, 0), 0);
		dl_notify(&d.q);
		vl_until(&d.w, atomic_load(&d.vol->waiting) == 1);
		done.told = false;
		tvq_vfio_user_free(d.w.s, &done.done);
		for (unsigned int i = 0; i < 200; i++)
			vl_turn(&d.w);
		assert_false(done.told);
		dl_release(d.vol);
		while (!done.told)
			vl_turn(&d.w);
		assert_int_equal(d.w.l.n_claimed, 0);
		assert_int_equal(tvq_mapping_count(), d.w.mappings_at_start);
		close(d.w.sock);
		d.w.sock = -1;
		tvq_client_free(d.w.l.client);
		dl_queue_free(&d.q);
		munmap(d.mem.va, d.mem.size);
		close(d.mem.fd);
		vl_dismantle(&d.w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_second_client_is_turned_away_while_the_first_stays),
		cmocka_unit_test(the_next_client_waits_where_the_first_has_just_gone),
		cmocka_unit_test(what_a_client_gave_goes_with_it),
		cmocka_unit_test(
			queues_pause_without_their_client_and_go_on_when_all_is_mapped_again),
		cmocka_unit_test(what_is_held_back_is_mapped_all_the_same),
		cmocka_unit_test(a_reset_publishes_what_is_held_back),
		cmocka_unit_test(a_command_in_flight_is_answered_to_the_next_client),
		cmocka_unit_test(a_client_that_goes_with_io_in_flight_is_waited_for),
		cmocka_unit_test(a_client_that_says_nothing_or_half_a_message_is_closed),
		cmocka_unit_test(dripping_bytes_gains_no_time),
		cmocka_unit_test(a_client_that_has_said_hello_may_be_silent),
		cmocka_unit_test(a_client_that_does_not_read_its_replies_is_closed),
		cmocka_unit_test(a_reset_or_unmap_that_takes_too_long_is_answered_with_an_error),
		cmocka_unit_test(a_stale_socket_is_replaced_and_nothing_else),
		cmocka_unit_test(a_server_ends_with_a_client_and_io_in_flight),
	};

	if (!vl_catch_sigbus())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
