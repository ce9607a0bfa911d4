/* SPDX-License-Identifier: BSD-3-Clause */
/* The vhost-user presenter with a front end that behaves: set-up as QEMU does it, and real I/O. */
#include <poll.h>

#include "vu_front.h"

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

static void every_queue_has_its_own_ring_kick_and_call(void **state)
{
	struct vu_lab_cfg cfg = { .queues = 2 };
	struct run r;

	(void)state;
	start(&r, &cfg, BIT(VIRTIO_BLK_F_MQ));
	front_make_ring(&r.f, 1);
	front_state(&r.f, VU_SET_VRING_NUM, 1, FRONT_RING_SIZE);
	front_state(&r.f, VU_SET_VRING_BASE, 1, 0);
	front_send_addr(&r.f, 1);
	front_vring_fd(&r.f, VU_SET_VRING_CALL, 1, r.f.call[1]);
	front_vring_fd(&r.f, VU_SET_VRING_KICK, 1, r.f.kick[1]);
	assert_int_equal(front_get(&r.f, VU_GET_QUEUE_NUM), 2);
	assert_int_equal(front_ask_state(&r.f, VU_SET_VRING_ENABLE, 1, 1), 0);
	LAB_UNTIL(&r.l, front_called(&r.f, 1));
	write_and_read_back(&r.f, 0, 1);
	write_and_read_back(&r.f, 1, 2);
	assert_false(front_called(&r.f, 0));
	end(&r);
}

/* TQ-062 TQ-151 */
static void features_that_are_not_for_it_are_hidden_from_the_front_end(void **state)
{
	static const unsigned int hidden[] = { 33, 37, 38, 41, 48, 49 };
	struct vu_lab_cfg cfg = { 0 };
	struct vu_lab l;
	struct vu_front f;
	uint64_t features;
	unsigned int i;

	(void)state;
	lab_open(&l, &cfg);
	front_init(&f, &l);
	features = front_get(&f, VU_GET_FEATURES);
	for (i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++)
		assert_false(features >> hidden[i] & 1);
	assert_true(features & BIT(VU_F_PROTOCOL_FEATURES));
	assert_true(features & BIT(VIRTIO_F_VERSION_1));
	assert_true(features & BIT(VIRTIO_F_RING_PACKED));
	front_free(&f);
	lab_close(&l);
}

/* TQ-151 */
static void access_platform_is_accepted_for_the_front_end(void **state)
{
	struct run r;
	uint64_t got = 0;
	struct tvq_cmd cmd = { .class = VIRTIO_TRANSPTQ_CTRL_FEAT,
			       .command = VIRTIO_TRANSPTQ_CTRL_FEAT_DRIVER_GET,
			       .in = &got,
			       .in_len = sizeof(got) };

	(void)state;
	start(&r, NULL, 0);
	cmd.device_id = r.l.device_id;
	assert_int_equal(tvq_client_call(r.l.client, &cmd), 0);
	assert_int_equal(got, (FRONT_FEATURES & ~BIT(VU_F_PROTOCOL_FEATURES)) |
				      BIT(VIRTIO_F_ACCESS_PLATFORM));
	end(&r);
}

/* TQ-110, TQ-112, TQ-113 */
static void a_stopped_ring_goes_on_where_it_stopped(void **state)
{
	unsigned int format, round, i;

	(void)state;
	for (format = 0; format < 2; format++) {
		struct run r;

		start(&r, NULL, formats[format]);
		/* Many more requests than the ring has places, so that positions wrap. */
		for (round = 0; round < 30; round++) {
			uint32_t base;

			for (i = 0; i < 7; i++) {
				memset(front_data(&r.f, i), (int)(round + i), 512);
				front_put(&r.f, 0, i, VIRTIO_BLK_T_OUT, round * 7 + i, 512);
			}
			front_kick(&r.f, 0);
			base = front_get_base(&r.f, 0);
			/* Stopped: what was taken is used, and what comes now waits. */
			for (i = 7; i < 9; i++)
				front_put(&r.f, 0, i, VIRTIO_BLK_T_IN, round * 7 + i - 7, 512);
			front_kick(&r.f, 0);
			for (i = 0; i < 50; i++)
				lab_turn(&r.l);
			assert_int_equal(front_status(&r.f, 7), 0xff);
			front_state(&r.f, VU_SET_VRING_BASE, 0, base);
			front_vring_fd(&r.f, VU_SET_VRING_KICK, 0, r.f.kick[0]);
			take_used(&r, 0, 9);
			assert_int_equal(tvq_drv_ring_in_flight(r.f.ring[0]), 0);
			assert_int_equal(front_data(&r.f, 7)[511], round & 0xff);
			assert_int_equal(front_data(&r.f, 8)[511], (round + 1) & 0xff);
		}
		end(&r);
	}
}

static void a_disabled_ring_stands_still_until_it_is_enabled(void **state)
{
	struct run r;
	unsigned int i;

	(void)state;
	start(&r, NULL, 0);
	write_and_read_back(&r.f, 0, 3);
	assert_int_equal(front_ask_state(&r.f, VU_SET_VRING_ENABLE, 0, 0), 0);
	front_put(&r.f, 0, 0, VIRTIO_BLK_T_IN, 24, 512);
	front_kick(&r.f, 0);
	for (i = 0; i < 50; i++)
		lab_turn(&r.l);
	assert_int_equal(front_status(&r.f, 0), 0xff);
	assert_int_equal(front_ask_state(&r.f, VU_SET_VRING_ENABLE, 0, 1), 0);
	take_used(&r, 0, 1);
	assert_int_equal(front_status(&r.f, 0), VIRTIO_BLK_S_OK);
	end(&r);
}

static void without_protocol_features_a_ring_is_enabled_by_its_kick(void **state)
{
	struct vu_lab_cfg cfg = { 0 };
	struct run r;
	struct vu_mem_one one = front_region();
	struct {
		uint32_t count, padding;
		struct vu_mem_region region;
	} table = { 1, 0, one.region };

	(void)state;
	lab_open(&r.l, &cfg);
	front_init(&r.f, &r.l);
	r.f.features = FRONT_FEATURES & ~BIT(VU_F_PROTOCOL_FEATURES);
	front_send(&r.f, VU_SET_OWNER, 0, NULL, 0, NULL, 0);
	front_set(&r.f, VU_SET_FEATURES, r.f.features);
	front_send(&r.f, VU_SET_MEM_TABLE, 0, &table, sizeof(table), &r.f.memfd, 1);
	front_make_ring(&r.f, 0);
	front_state(&r.f, VU_SET_VRING_NUM, 0, FRONT_RING_SIZE);
	front_state(&r.f, VU_SET_VRING_BASE, 0, 0);
	front_send_addr(&r.f, 0);
	front_vring_fd(&r.f, VU_SET_VRING_KICK, 0, r.f.kick[0]);
	front_vring_fd(&r.f, VU_SET_VRING_CALL, 0, r.f.call[0]);
	write_and_read_back(&r.f, 0, 5);
	end(&r);
}

static void a_new_call_descriptor_gets_a_call_at_once_and_the_old_one_none_any_more(void **state)
{
	struct run r;
	int other, old;

	(void)state;
	start(&r, NULL, 0);
	other = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	write_and_read_back(&r.f, 0, 1);
	while (front_called(&r.f, 0))
		;
	old = r.f.call[0];
	front_vring_fd(&r.f, VU_SET_VRING_CALL, 0, other);
	r.f.call[0] = other;
	LAB_UNTIL(&r.l, front_called(&r.f, 0));
	write_and_read_back(&r.f, 0, 2);
	r.f.call[0] = old;
	assert_false(front_called(&r.f, 0));
	close(other);
	end(&r);
}

static void call_descriptors_changed_in_a_burst_leave_the_last_one_called(void **state)
{
	struct run r;
	int fds[8];
	unsigned int i;

	(void)state;
	start(&r, NULL, 0);
	close(r.f.call[0]);
	for (i = 0; i < 8; i++) {
		fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		front_vring_fd(&r.f, VU_SET_VRING_CALL, 0, fds[i]);
	}
	r.f.call[0] = fds[7];
	LAB_UNTIL(&r.l, front_called(&r.f, 0));
	write_and_read_back(&r.f, 0, 2);
	for (i = 0; i < 7; i++)
		close(fds[i]);
	end(&r);
}

static void without_a_call_descriptor_there_is_no_interrupt(void **state)
{
	struct run r;

	(void)state;
	start(&r, NULL, 0);
	front_vring_fd(&r.f, VU_SET_VRING_CALL, 0, -1);
	front_get(&r.f, VU_GET_FEATURES);
	while (front_called(&r.f, 0))
		;
	tvq_drv_ring_interrupts_on(r.f.ring[0]);
	front_put(&r.f, 0, 0, VIRTIO_BLK_T_IN, 0, 512);
	front_kick(&r.f, 0);
	take_used(&r, 0, 1);
	assert_false(front_called(&r.f, 0));
	end(&r);
}

static void a_new_kick_descriptor_takes_the_place_of_the_old_one(void **state)
{
	struct run r;
	unsigned int i;
	int old;

	(void)state;
	start(&r, NULL, 0);
	old = r.f.kick[0];
	r.f.kick[0] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	front_vring_fd(&r.f, VU_SET_VRING_KICK, 0, r.f.kick[0]);
	for (i = 0; i < 3; i++) {
		/* At rest it is the kick that wakes the queue. */
		lab_rest(&r.l);
		write_and_read_back(&r.f, 0, i);
	}
	close(old);
	end(&r);
}

static void without_a_kick_descriptor_the_ring_is_polled(void **state)
{
	struct run r;
	unsigned int i;

	(void)state;
	start(&r, NULL, 0);
	front_vring_fd(&r.f, VU_SET_VRING_KICK, 0, -1);
	for (i = 0; i < 3; i++) {
		lab_rest(&r.l);
		front_put(&r.f, 0, 0, VIRTIO_BLK_T_IN, 0, 512);
		tvq_drv_ring_publish(r.f.ring[0]);
		take_used(&r, 0, 1);
		assert_int_equal(front_status(&r.f, 0), VIRTIO_BLK_S_OK);
	}
	end(&r);
}

static void without_a_kick_nothing_is_looked_at(void **state)
{
	struct run r;

	(void)state;
	start(&r, NULL, 0);
	lab_rest(&r.l);
	front_put(&r.f, 0, 0, VIRTIO_BLK_T_IN, 0, 512);
	tvq_drv_ring_publish(r.f.ring[0]);
	lab_rest(&r.l);
	assert_int_equal(front_status(&r.f, 0), 0xff);
	end(&r);
}

/* Leaves the counter of an eventfd so full that a write to it would wait. */
static void fill_up(int fd)
{
	uint64_t full = UINT64_MAX - 1;

	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	if (write(fd, &full, sizeof(full)) < 0)
		assert_int_equal(errno, EAGAIN);
	assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
}

static void a_full_call_descriptor_that_blocks_holds_nobody(void **state)
{
	struct run r;
	int fd;

	(void)state;
	start(&r, NULL, 0);
	fd = eventfd(0, EFD_CLOEXEC);
	/* A thread that waits in write() would wait for ever. */
	alarm(60);
	fill_up(fd);
	front_vring_fd(&r.f, VU_SET_VRING_CALL, 0, fd);
	front_put(&r.f, 0, 0, VIRTIO_BLK_T_IN, 0, 512);
	front_kick(&r.f, 0);
	take_used(&r, 0, 1);
	front_vring_fd(&r.f, VU_SET_VRING_CALL, 0, r.f.call[0]);
	write_and_read_back(&r.f, 0, 9);
	front_vring_fd(&r.f, VU_SET_VRING_ERR, 0, fd);
	front_vring_fd(&r.f, VU_SET_VRING_CALL, 0, fd);
	front_get(&r.f, VU_GET_FEATURES);
	close(fd);
	end(&r);
	alarm(0);
}

static void a_call_descriptor_that_is_made_to_block_while_it_is_used_holds_nobody(void **state)
{
	static const struct vu_lab_cfg threaded = { .thread = true };
	struct run r;
	unsigned int i;
	int fd;

	(void)state;
	start(&r, &threaded, 0);
	fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	alarm(60);
	front_vring_fd(&r.f, VU_SET_VRING_CALL, 0, fd);
	front_get(&r.f, VU_GET_FEATURES);
	for (i = 0; i < 10; i++) {
		fill_up(fd);
		tvq_drv_ring_interrupts_on(r.f.ring[0]);
		front_put(&r.f, 0, 0, VIRTIO_BLK_T_IN, 0, 512);
		front_kick(&r.f, 0);
		take_used(&r, 0, 1);
		assert_int_equal(front_status(&r.f, 0), VIRTIO_BLK_S_OK);
	}
	front_vring_fd(&r.f, VU_SET_VRING_CALL, 0, r.f.call[0]);
	write_and_read_back(&r.f, 0, 9);
	close(fd);
	end(&r);
	alarm(0);
}

static unsigned int threads_of_this_process(void)
{
	char line[128];
	unsigned int n = 0;
	FILE *f = fopen("/proc/self/status", "r");

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "Threads: %u", &n) == 1)
			break;
	}
	fclose(f);
	return n;
}

static void full_call_descriptors_left_behind_by_many_connections_cost_nothing(void **state)
{
	unsigned int i, threads;
	struct run r;
	int fd, fds;

	(void)state;
	start(&r, NULL, 0);
	fd = eventfd(0, EFD_CLOEXEC);
	alarm(120);
	fill_up(fd);
	threads = threads_of_this_process();
	fds = open_fds();
	for (i = 0; i < 1000; i++) {
		front_vring_fd(&r.f, VU_SET_VRING_CALL, 0, fd);
		front_put(&r.f, 0, 0, VIRTIO_BLK_T_IN, 0, 512);
		front_kick(&r.f, 0);
		take_used(&r, 0, 1);
		front_free(&r.f);
		front_init(&r.f, &r.l);
		r.f.features = FRONT_FEATURES;
		front_handshake(&r.f);
		lab_forget_log();
	}
	write_and_read_back(&r.f, 0, 9);
	assert_int_equal(open_fds(), fds);
	assert_in_range(threads_of_this_process(), threads, threads + 1);
	close(fd);
	end(&r);
	alarm(0);
}

static void messages_may_come_byte_by_byte_or_all_at_once(void **state)
{
	struct vu_lab_cfg cfg = { 0 };
	struct vu_lab l;
	struct vu_front f;
	struct {
		struct vu_header h;
		uint64_t v;
	} __attribute__((packed))
	msg = { { VU_SET_PROTOCOL_FEATURES, VU_VERSION, 8 }, 1ull << VU_PF_MQ };
	struct vu_header many[100];
	uint64_t v;
	unsigned int i, k;

	(void)state;
	lab_open(&l, &cfg);
	front_init(&f, &l);
	for (i = 0; i < sizeof(msg); i++) {
		assert_true(front_raw(&f, (char *)&msg + i, 1, NULL, 0));
		for (k = 0; k < 5; k++)
			lab_turn(&l);
	}
	for (i = 0; i < 100; i++)
		many[i] = (struct vu_header){ i & 1 ? VU_GET_QUEUE_NUM : VU_GET_MAX_MEM_SLOTS,
					      VU_VERSION, 0 };
	assert_true(front_raw(&f, many, sizeof(many), NULL, 0));
	for (i = 0; i < 100; i++) {
		assert_int_equal(front_reply(&f, many[i].request, &v, sizeof(v), NULL), sizeof(v));
		if (i & 1)
			assert_int_equal(v, 1);
	}
	front_free(&f);
	lab_close(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_front_end_that_behaves_like_qemu_reads_what_it_wrote_split),
		cmocka_unit_test(a_front_end_that_behaves_like_qemu_reads_what_it_wrote_packed),
		cmocka_unit_test(data_may_be_on_another_thread_than_messages),
		cmocka_unit_test(every_queue_has_its_own_ring_kick_and_call),
		cmocka_unit_test(features_that_are_not_for_it_are_hidden_from_the_front_end),
		cmocka_unit_test(access_platform_is_accepted_for_the_front_end),
		cmocka_unit_test(a_stopped_ring_goes_on_where_it_stopped),
		cmocka_unit_test(a_disabled_ring_stands_still_until_it_is_enabled),
		cmocka_unit_test(without_protocol_features_a_ring_is_enabled_by_its_kick),
		cmocka_unit_test(
			a_new_call_descriptor_gets_a_call_at_once_and_the_old_one_none_any_more),
		cmocka_unit_test(call_descriptors_changed_in_a_burst_leave_the_last_one_called),
		cmocka_unit_test(without_a_call_descriptor_there_is_no_interrupt),
		cmocka_unit_test(a_new_kick_descriptor_takes_the_place_of_the_old_one),
		cmocka_unit_test(without_a_kick_descriptor_the_ring_is_polled),
		cmocka_unit_test(without_a_kick_nothing_is_looked_at),
		cmocka_unit_test(a_full_call_descriptor_that_blocks_holds_nobody),
		cmocka_unit_test(
			a_call_descriptor_that_is_made_to_block_while_it_is_used_holds_nobody),
		cmocka_unit_test(
			full_call_descriptors_left_behind_by_many_connections_cost_nothing),
		cmocka_unit_test(messages_may_come_byte_by_byte_or_all_at_once),
	};

	if (!lab_catch_sigbus())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
