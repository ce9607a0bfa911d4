/* SPDX-License-Identifier: BSD-3-Clause */
/* Front ends that want too much: the log, descriptors, the control executor's time. */
#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>

#include "vu_arena.h"

static unsigned int lines_with(const char *text)
{
	const char *p = lab_log;
	unsigned int n = 0;

	while ((p = strstr(p, text))) {
		p += strlen(text);
		n++;
	}
	return n;
}

static uint64_t connections(bool *connected)
{
	struct tvq_vhost_user_info info;

	tvq_vhost_user_info(lab.vu, &info);
	*connected = info.connected;
	return info.connections;
}

static void come_and_go(uint64_t nth)
{
	bool connected;

	front_connect(&front);
	LAB_UNTIL(&lab, connections(&connected) == nth);
	front_hang_up(&front);
	LAB_UNTIL(&lab, connections(&connected) == nth && !connected);
}

static void a_front_end_that_comes_and_goes_for_ever_does_not_fill_the_log(void **state)
{
	static const struct vu_lab_cfg cfg = { .time_factor = 1 };
	unsigned int i;

	(void)state;
	lab_open(&lab, &cfg);
	memset(&front, 0, sizeof(front));
	front.l = &lab;
	front.back[0] = -1;
	/* Time stands still. */
	lab_time_factor = 0;
	for (i = 1; i <= 200; i++)
		come_and_go(i);
	assert_int_equal(lines_with("disk7: "), 20);
	/* It goes on, and the next line says what is missing. */
	lab_time_factor = 1;
	come_and_go(i);
	assert_int_equal(lines_with("(380 lines before this one were left out)"), 1);
	assert_int_equal(lines_with("disk7: "), 22);
	lab_close(&lab);
}

static void refused_messages_without_end_do_not_fill_the_log(void **state)
{
	static const struct vu_lab_cfg cfg = { .time_factor = 1 };
	struct vu_mem_one none = { 0, { 0x1000, 0x1000, 0x1000, 0 } };
	unsigned int i;

	(void)state;
	arena_for(&cfg);
	lab_time_factor = 0;
	prepare(TO_MEMORY);
	for (i = 0; i < 200; i++)
		assert_int_equal(front_ask(&front, VU_REM_MEM_REG, &none, sizeof(none), NULL, 0),
				 1);
	assert_int_equal(lines_with("disk7: "), 20);
	lab_time_factor = 1;
	serves_the_next();
	assert_true(lab_logged("lines before this one were left out"));
	curtain();
}

/* Lets the process open nothing any more: the lowest numbers are taken. */
static void no_more_descriptors(struct rlimit *old)
{
	struct rlimit now;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, old), 0);
	now = *old;
	now.rlim_cur = 3;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
}

static void without_descriptors_one_line_says_so_and_the_front_end_is_served_later(void **state)
{
	static const struct vu_lab_cfg cfg = { .time_factor = 1000 };
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct rlimit old;
	uint64_t tries;
	bool connected;

	(void)state;
	arena_for(&cfg);
	prepare(1);
	/* Nobody wants one: nothing to say, when a connection ends. */
	no_more_descriptors(&old);
	front_hang_up(&front);
	LAB_UNTIL(&lab, connections(&connected) == 1 && !connected);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	front.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	no_more_descriptors(&old);
	lab_rest(&lab);
	assert_false(lab_logged("cannot accept"));
	strcpy(sa.sun_path, lab.path);
	assert_int_equal(connect(front.fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	LAB_UNTIL(&lab, lab_logged("disk7: vhost-user: cannot accept a connection"));
	/* It is tried again each second, which are milliseconds here, and not said again. */
	tries = tvq_os_host.now() + 20000000;
	LAB_UNTIL(&lab, tvq_os_host.now() > tries);
	assert_int_equal(lines_with("cannot accept"), 1);
	assert_int_equal(connections(&connected), 1);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	LAB_UNTIL(&lab, connections(&connected) == 2);
	prepare(TO_END);
	write_and_read_back(&front, 0, 4);
	curtain();
}

static void a_front_end_that_sends_without_pause_leaves_the_others_their_time(void **state)
{
	static struct vu_header flood[8192];
	struct vu_lab second;
	struct vu_front calm;
	unsigned int i;
	int left = 0;

	(void)state;
	arena();
	lab_open_second(&second, &lab);
	front_init(&calm, &second);
	calm.features = FRONT_FEATURES;
	front_get(&calm, VU_GET_FEATURES);
	for (i = 0; i < sizeof(flood) / sizeof(flood[0]); i++)
		flood[i] = (struct vu_header){ VU_SET_OWNER, VU_VERSION, 0 };
	assert_true(front_raw(&front, flood, sizeof(flood), NULL, 0));
	front_get(&calm, VU_GET_FEATURES);
	/* What was sent before is still being worked on. */
	assert_int_equal(ioctl(front.fd, SIOCOUTQ, &left), 0);
	assert_in_range(left, 1, INT32_MAX);
	front_handshake(&calm);
	write_and_read_back(&calm, 0, 6);
	front_free(&calm);
	lab_close_device(&second);
	serves_the_next();
	curtain();
}

static void two_front_ends_that_race_are_served_one_after_the_other(void **state)
{
	struct vu_front other;
	unsigned int i;

	(void)state;
	arena();
	for (i = 0; i < 20; i++) {
		front_init(&other, &lab);
		other.features = FRONT_FEATURES;
		/* Both are there, both talk. */
		front_send(&other, VU_GET_FEATURES, 0, NULL, 0, NULL, 0);
		prepare(TO_END);
		write_and_read_back(&front, 0, i % 8);
		front_free(&front);
		assert_int_equal(front_reply(&other, VU_GET_FEATURES, &other.protocol, 8, NULL), 8);
		front_handshake(&other);
		write_and_read_back(&other, 0, i % 8);
		front_free(&other);
		front_init(&front, &lab);
		front.features = FRONT_FEATURES;
	}
	serves_the_next();
	curtain();
}

/* Messages that may come while rings run; each is sent with I/O in flight, and nobody is left. */
static void send_nth(unsigned int i)
{
	struct vu_mem_one mem = front_region();

	switch (i) {
	case 0:
		front_state(&front, VU_GET_VRING_BASE, 0, 0);
		break;
	case 1:
		front_state(&front, VU_SET_VRING_ENABLE, 0, 0);
		break;
	case 2:
		front_vring_fd(&front, VU_SET_VRING_CALL, 0, front.err[0]);
		break;
	case 3:
		front_vring_fd(&front, VU_SET_VRING_KICK, 0, front.err[0]);
		break;
	case 4:
		front_send(&front, VU_REM_MEM_REG, 0, &mem, sizeof(mem), NULL, 0);
		break;
	case 5:
		front_set(&front, VU_SET_STATUS, 0);
		break;
	case 6:
		front_send(&front, VU_RESET_DEVICE, 0, NULL, 0, NULL, 0);
		break;
	case 7:
		front_send(&front, VU_RESET_OWNER, 0, NULL, 0, NULL, 0);
		break;
	default:
		front_send(&front, VU_GET_STATUS, 0, NULL, 0, NULL, 0);
	}
}

static void a_front_end_may_die_at_any_message_with_io_in_flight(void **state)
{
	static const struct vu_lab_cfg threaded = { .thread = true };
	unsigned int i, k, turns;

	(void)state;
	arena_for(&threaded);
	for (turns = 0; turns < 4; turns++) {
		for (i = 0; i < 9; i++) {
			prepare(TO_END);
			for (k = 0; k < 8; k++)
				front_put(&front, 0, k, VIRTIO_BLK_T_OUT, 8 * k, 4096);
			front_kick(&front, 0);
			send_nth(i);
			for (k = 0; k < turns; k++)
				lab_turn(&lab);
			front_free(&front);
			front_init(&front, &lab);
			front.features = FRONT_FEATURES;
		}
	}
	serves_the_next();
	curtain();
}

/* The guest's rings lie in memory of their own here, under the address that they had. */
static void a_running_ring_goes_on_at_its_new_addresses(void **state)
{
	struct vu_mem_one moved = { 0, { 0x90000000, 0x10000, 0x7f6600000000, 0 } };
	unsigned int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		struct vu_vring_addr a;
		int fd;

		arena();
		front.features |= formats[i];
		/* Indirect tables would stay where they are. */
		front.features &= ~BIT(VIRTIO_RING_F_INDIRECT_DESC);
		prepare(TO_END);
		write_and_read_back(&front, 0, 1);
		fd = memfd_create("ring", MFD_CLOEXEC);
		assert_int_equal(pwrite(fd, front.mem + FRONT_RING_AT, 0x10000, 0), 0x10000);
		assert_int_equal(front_ask(&front, VU_ADD_MEM_REG, &moved, sizeof(moved), &fd, 1),
				 0);
		a = front_addr(&front, 0);
		a.descriptor += moved.region.user_addr - FRONT_USER;
		a.available += moved.region.user_addr - FRONT_USER;
		a.used += moved.region.user_addr - FRONT_USER;
		assert_int_equal(front_ask(&front, VU_SET_VRING_ADDR, &a, sizeof(a), NULL, 0), 0);
		/* What it would still read at the old place is not written any more. */
		assert_ptr_equal(mmap(front.mem + FRONT_RING_AT, 0x10000, PROT_READ | PROT_WRITE,
				      MAP_SHARED | MAP_FIXED, fd, 0),
				 front.mem + FRONT_RING_AT);
		write_and_read_back(&front, 0, 2);
		write_and_read_back(&front, 0, 5);
		close(fd);
		curtain();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_front_end_that_comes_and_goes_for_ever_does_not_fill_the_log),
		cmocka_unit_test(refused_messages_without_end_do_not_fill_the_log),
		cmocka_unit_test(
			without_descriptors_one_line_says_so_and_the_front_end_is_served_later),
		cmocka_unit_test(a_front_end_that_sends_without_pause_leaves_the_others_their_time),
		cmocka_unit_test(two_front_ends_that_race_are_served_one_after_the_other),
		cmocka_unit_test(a_front_end_may_die_at_any_message_with_io_in_flight),
		cmocka_unit_test(a_running_ring_goes_on_at_its_new_addresses),
	};

	if (!lab_catch_sigbus())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
