/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The vhost-user presenter with front ends that break the rules. Each attack ends with what everybody else
 * sees: one line of log that names the device and the message, no descriptor and no mapping left behind
 * (lab_close), and the next front end is served.
 */
#include <poll.h>

#include "vu_front.h"

static struct vu_lab lab;
static struct vu_front front;

static void arena_for(const struct vu_lab_cfg *cfg)
{
	lab_open(&lab, cfg);
	front_init(&front, &lab);
	front.features = FRONT_FEATURES;
}

static void arena(void)
{
	static const struct vu_lab_cfg none;

	arena_for(&none);
}

/* Up to, and not with, this step of the handshake. */
static void prepare(unsigned int steps)
{
	unsigned int i;

	for (i = 0; i < steps; i++)
		front_handshake_step(&front, i);
}

enum { TO_PROTOCOL = 3, TO_FEATURES = 12, TO_INFLIGHT = 14, TO_MEMORY = 17, TO_RINGS = 18, TO_KICK = 21,
       TO_ENABLE = 23, TO_END = 24 };

static void serves_the_next(void)
{
	struct vu_front good;

	front_hang_up(&front);
	front_init(&good, &lab);
	good.features = FRONT_FEATURES;
	front_handshake(&good);
	write_and_read_back(&good, 0, 3);
	front_free(&good);
}

static void curtain(void)
{
	front_free(&front);
	lab_close(&lab);
}

/* The peer was closed, for this reason. */
static void closed_because(const char *message, const char *why)
{
	char line[128];

	assert_true(front_closed(&front));
	snprintf(line, sizeof(line), "disk7: vhost-user %s: ", message);
	if (!lab_logged(line) || !lab_logged(why))
		fail_msg("\"%s...%s\" is not in the log:\n%s", line, why, lab_log);
	serves_the_next();
	curtain();
}

static void a_message_that_does_not_exist_closes(void **state)
{
	(void)state;
	arena();
	front_send(&front, 99, 0, NULL, 0, NULL, 0);
	closed_because("connection", "message 99");
}

static void a_payload_of_the_wrong_size_closes(void **state)
{
	uint32_t size;

	(void)state;
	for (size = 0; size < 20; size++) {
		uint8_t zeroes[32] = { 0 };

		if (size == 8)
			continue;
		arena();
		front_send(&front, VU_SET_FEATURES, 0, zeroes, size, NULL, 0);
		closed_because("SET_FEATURES", size < 8 ? "too short" : "too long");
	}
}

static void a_size_of_four_gigabytes_closes_before_anything_is_read(void **state)
{
	struct vu_header h = { VU_SET_MEM_TABLE, VU_VERSION, UINT32_MAX };

	(void)state;
	arena();
	front_raw(&front, &h, sizeof(h), NULL, 0);
	closed_because("SET_MEM_TABLE", "too long");
}

static void another_version_closes(void **state)
{
	struct vu_header h = { VU_GET_FEATURES, 2, 0 };

	(void)state;
	arena();
	front_raw(&front, &h, sizeof(h), NULL, 0);
	closed_because("GET_FEATURES", "version 1");
}

static void a_feature_that_was_not_offered_closes(void **state)
{
	(void)state;
	arena();
	front_set(&front, VU_SET_FEATURES, BIT(VIRTIO_F_TRNSPT_VQ));
	closed_because("SET_FEATURES", "not offered");
}

static void a_message_whose_protocol_feature_was_not_taken_closes(void **state)
{
	(void)state;
	arena();
	front_add_mem(&front);
	closed_because("ADD_MEM_REG", "not negotiated");
}

static void a_queue_index_too_high_closes(void **state)
{
	(void)state;
	arena();
	front_state(&front, VU_SET_VRING_NUM, 1, 16);
	closed_because("SET_VRING_NUM", "queue");
}

static void a_missing_descriptor_closes(void **state)
{
	struct vu_mem_one m = front_region();

	(void)state;
	arena();
	prepare(TO_PROTOCOL);
	front_send(&front, VU_ADD_MEM_REG, 0, &m, sizeof(m), NULL, 0);
	closed_because("ADD_MEM_REG", "missing");
}

/* Descriptors of every other kind. */
static int other_descriptor(unsigned int kind)
{
	int fds[2];

	switch (kind) {
	case 0:
		return memfd_create("x", MFD_CLOEXEC);
	case 1:
		assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
		close(fds[0]);
		return fds[1];
	case 2:
		return open("/dev/null", O_RDWR | O_CLOEXEC);
	case 3:
		return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	case 4:
		return open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	default:
		return -1;
	}
}

static void a_kick_or_call_that_is_no_eventfd_closes(void **state)
{
	static const struct {
		uint32_t request;
		const char *name;
	} messages[] = {
		{ VU_SET_VRING_KICK, "SET_VRING_KICK" },
		{ VU_SET_VRING_CALL, "SET_VRING_CALL" },
		{ VU_SET_VRING_ERR, "SET_VRING_ERR" },
	};
	unsigned int kind, m;
	int fd;

	(void)state;
	for (m = 0; m < 3; m++) {
		for (kind = 0; (fd = other_descriptor(kind)) >= 0; kind++) {
			close(fd);
			arena();
			fd = other_descriptor(kind);
			front_vring_fd(&front, messages[m].request, 0, fd);
			close(fd);
			closed_because(messages[m].name, "no eventfd");
		}
	}
}

static void a_back_end_channel_that_is_no_socket_is_refused(void **state)
{
	(void)state;
	arena();
	prepare(TO_PROTOCOL);
	assert_int_equal(front_ask(&front, VU_SET_BACKEND_REQ_FD, NULL, 0, &front.kick[0], 1), 1);
	assert_true(lab_logged("SET_BACKEND_REQ_FD: the descriptor is no UNIX stream socket"));
	serves_the_next();
	curtain();
}

static void more_descriptors_than_a_message_takes_close_and_none_stays(void **state)
{
	uint64_t v = 0;
	int fds[20];
	unsigned int i, n;

	(void)state;
	for (n = 2; n <= 20; n += 6) {
		arena();
		for (i = 0; i < n; i++)
			fds[i] = front.memfd;
		front_send(&front, VU_SET_VRING_KICK, 0, &v, sizeof(v), fds, n);
		closed_because(n > 8 ? "connection" : "SET_VRING_KICK", "more ");
	}
}

static void descriptors_dripped_over_a_message_count_together(void **state)
{
	struct vu_header h = { VU_SET_VRING_KICK, VU_VERSION, 8 };
	uint8_t zero = 0;
	unsigned int i;

	(void)state;
	arena();
	front_raw(&front, &h, sizeof(h), &front.kick[0], 1);
	for (i = 0; i < 7; i++) {
		front_raw(&front, &zero, 1, &front.kick[0], 1);
		lab_turn(&lab);
	}
	front_raw(&front, &zero, 1, &front.memfd, 1);
	closed_because("connection", "more than 8 descriptors");
}

/* Memory. */

struct table {
	struct vu_mem_table t;
	struct vu_mem_region r[VU_MAX_REGIONS];
};

static int send_table(const struct table *t, const int *fds, unsigned int n)
{
	return front_ask(&front, VU_SET_MEM_TABLE, t,
			 (uint32_t)(sizeof(t->t) + t->t.count * sizeof(t->r[0])), fds, n);
}

static void a_memory_table_that_overlaps_or_wraps_closes(void **state)
{
	struct table t = { { 2, 0 }, { front_region().region, front_region().region } };
	int fds[2];

	(void)state;
	arena();
	prepare(TO_PROTOCOL);
	fds[0] = fds[1] = front.memfd;
	t.r[1].user_addr += 0x100000000;
	t.r[1].guest_addr += FRONT_MEM_BYTES - 1;
	assert_int_equal(send_table(&t, fds, 2), -1);
	closed_because("SET_MEM_TABLE", "overlap");

	arena();
	prepare(TO_PROTOCOL);
	t.t.count = 1;
	fds[0] = front.memfd;
	t.r[0].guest_addr = UINT64_MAX - 0xfff;
	assert_int_equal(send_table(&t, fds, 1), -1);
	closed_because("SET_MEM_TABLE", "wraps");
}

static void a_region_that_overlaps_another_is_refused(void **state)
{
	struct vu_mem_one m = front_region();

	(void)state;
	arena();
	prepare(TO_RINGS);
	m.region.guest_addr += FRONT_MEM_BYTES - 0x1000;
	m.region.user_addr += 0x100000000;
	assert_int_equal(front_ask(&front, VU_ADD_MEM_REG, &m, sizeof(m), &front.memfd, 1), 1);
	assert_true(lab_logged("ADD_MEM_REG: the region overlaps another"));
	serves_the_next();
	curtain();
}

static void a_region_larger_than_its_file_is_refused(void **state)
{
	struct vu_mem_one m = front_region();

	(void)state;
	arena();
	prepare(TO_MEMORY);
	m.region.mmap_offset = 0x1000;
	assert_int_equal(front_ask(&front, VU_ADD_MEM_REG, &m, sizeof(m), &front.memfd, 1), 1);
	assert_true(lab_logged("larger than its file"));
	serves_the_next();
	curtain();
}

static void a_region_that_is_not_there_cannot_be_removed(void **state)
{
	struct vu_mem_one m = front_region();

	(void)state;
	arena();
	prepare(TO_RINGS);
	m.region.size -= 0x1000;
	assert_int_equal(front_ask(&front, VU_REM_MEM_REG, &m, sizeof(m), NULL, 0), 1);
	assert_true(lab_logged("no such region"));
	serves_the_next();
	curtain();
}

static void memory_that_is_no_shared_memory_is_known_and_not_touched(void **state)
{
	struct vu_mem_one m = front_region();
	unsigned int kind;

	(void)state;
	for (kind = 1; kind < 5; kind++) {
		int fd;

		arena();
		prepare(TO_MEMORY);
		fd = other_descriptor(kind);
		assert_int_equal(front_ask(&front, VU_ADD_MEM_REG, &m, sizeof(m), &fd, 1), 0);
		close(fd);
		assert_true(lab_logged("no shared memory"));
		for (unsigned int i = TO_RINGS; i < TO_ENABLE; i++)
			front_handshake_step(&front, i);
		assert_int_equal(front_ask_state(&front, VU_SET_VRING_ENABLE, 0, 1), 1);
		closed_because("SET_VRING_ENABLE", "refused VQ_ENABLE SET");
	}
}

/* Rings. */

static void ring_addresses_outside_the_memory_are_refused(void **state)
{
	static const char *const names[] = { "descriptor area", "driver area", "device area" };
	unsigned int area, where;

	(void)state;
	for (area = 0; area < 3; area++) {
		for (where = 0; where < 4; where++) {
			struct vu_vring_addr a;
			uint64_t bad[] = { 0, FRONT_USER - 0x1000, FRONT_USER + FRONT_MEM_BYTES,
					   UINT64_MAX - 0xfff };

			arena();
			prepare(TO_KICK - 1);
			a = front_addr(&front, 0);
			*(area == 0 ? &a.descriptor : area == 1 ? &a.available : &a.used) = bad[where];
			front_send(&front, VU_SET_VRING_ADDR, 0, &a, sizeof(a), NULL, 0);
			for (unsigned int i = TO_KICK; i < TO_ENABLE; i++)
				front_handshake_step(&front, i);
			assert_int_equal(front_ask_state(&front, VU_SET_VRING_ENABLE, 0, 1), 1);
			closed_because("SET_VRING_ENABLE", names[area]);
		}
	}
}

static void a_ring_that_reaches_beyond_its_region_is_refused(void **state)
{
	struct vu_vring_addr a;

	(void)state;
	arena();
	prepare(TO_KICK - 1);
	a = front_addr(&front, 0);
	a.descriptor = FRONT_USER + FRONT_MEM_BYTES - 16;
	front_send(&front, VU_SET_VRING_ADDR, 0, &a, sizeof(a), NULL, 0);
	for (unsigned int i = TO_KICK; i < TO_ENABLE; i++)
		front_handshake_step(&front, i);
	assert_int_equal(front_ask_state(&front, VU_SET_VRING_ENABLE, 0, 1), 1);
	closed_because("SET_VRING_ENABLE", "refused VQ_ENABLE SET");
}

static void misaligned_ring_addresses_are_refused(void **state)
{
	struct vu_vring_addr a;

	(void)state;
	arena();
	prepare(TO_KICK - 1);
	a = front_addr(&front, 0);
	a.descriptor += 8;
	front_send(&front, VU_SET_VRING_ADDR, 0, &a, sizeof(a), NULL, 0);
	for (unsigned int i = TO_KICK; i < TO_ENABLE; i++)
		front_handshake_step(&front, i);
	assert_int_equal(front_ask_state(&front, VU_SET_VRING_ENABLE, 0, 1), 1);
	closed_because("SET_VRING_ENABLE", "refused VQ_ADDR SET");
}

static void a_running_ring_keeps_its_size_and_position(void **state)
{
	(void)state;
	arena();
	prepare(TO_END);
	assert_int_equal(front_ask_state(&front, VU_SET_VRING_NUM, 0, 32), 1);
	assert_int_equal(front_ask_state(&front, VU_SET_VRING_BASE, 0, 5), 1);
	assert_true(lab_logged("the ring runs"));
	write_and_read_back(&front, 0, 1);
	front_set(&front, VU_SET_FEATURES, FRONT_FEATURES | BIT(VIRTIO_F_RING_PACKED));
	closed_because("SET_FEATURES", "rings are running");
}

static void a_ring_that_breaks_its_rules_is_told_and_harms_nobody(void **state)
{
	struct run other;
	struct vu_front *f = &other.f;
	struct tvq_sg sg[2] = { { FRONT_GUEST + FRONT_BUF_AT, 16 }, { 0x1000, 512 } };
	uint64_t n;

	(void)state;
	arena();
	prepare(TO_END);
	lab_open_second(&other.l, &lab);
	front_init(f, &other.l);
	f->features = FRONT_FEATURES;
	front_handshake(f);
	while (read(front.err[0], &n, sizeof(n)) > 0)
		;
	assert_int_equal(tvq_drv_ring_add(front.ring[0], sg, 1, 1, sg), 0);
	front_kick(&front, 0);
	LAB_UNTIL(&lab, read(front.err[0], &n, sizeof(n)) > 0);
	assert_true(lab_logged("needs a reset"));
	write_and_read_back(f, 0, 4);
	front_free(f);
	lab_close_device(&other.l);
	/* Set up anew, it works again: over the same connection, as after the guest's reboot. */
	assert_int_not_equal(front_get_base(&front, 0), UINT32_MAX);
	front_make_ring(&front, 0);
	memset(front.mem, 0, 16);
	close(front.inflight_fd);
	front_get_inflight(&front, 1);
	front_set_inflight(&front);
	for (unsigned int i = TO_RINGS; i < TO_END; i++)
		front_handshake_step(&front, i);
	write_and_read_back(&front, 0, 5);
	serves_the_next();
	curtain();
}

/* TQ-054 */
static void memory_truncated_under_io_breaks_that_device_only(void **state)
{
	unsigned int i, threads;
	uint64_t n;

	(void)state;
	for (threads = 0; threads < 2; threads++) {
		struct vu_lab_cfg cfg = { .thread = threads };

		arena_for(&cfg);
		prepare(TO_END);
		write_and_read_back(&front, 0, 1);
		while (read(front.err[0], &n, sizeof(n)) > 0)
			;
		for (i = 0; i < 8; i++)
			front_put(&front, 0, i, VIRTIO_BLK_T_IN, i, 4096);
		tvq_drv_ring_publish(front.ring[0]);
		assert_int_equal(ftruncate(front.memfd, 0), 0);
		n = 1;
		assert_int_equal(write(front.kick[0], &n, sizeof(n)), sizeof(n));
		LAB_UNTIL(&lab, read(front.err[0], &n, sizeof(n)) > 0);
		assert_true(lab_logged("needs a reset"));
		assert_int_equal(ftruncate(front.memfd, FRONT_MEM_BYTES), 0);
		tvq_drv_ring_free(front.ring[0]);
		front.ring[0] = NULL;
		serves_the_next();
		curtain();
	}
}

/* In-flight areas. */

static void inflight_enable(const char *message, const char *why)
{
	for (unsigned int i = TO_INFLIGHT + 2; i < TO_ENABLE; i++)
		front_handshake_step(&front, i);
	assert_int_equal(front_ask_state(&front, VU_SET_VRING_ENABLE, 0, 1), 1);
	closed_because(message, why);
}

/* TQ-131 */
static void a_hostile_inflight_area_is_refused(void **state)
{
	unsigned int fill;

	(void)state;
	for (fill = 1; fill < 256; fill += 127) {
		uint8_t *p;

		arena();
		prepare(TO_INFLIGHT + 1);
		p = mmap(NULL, front.inflight.mmap_size, PROT_READ | PROT_WRITE, MAP_SHARED,
			 front.inflight_fd, (off_t)front.inflight.mmap_offset);
		assert_ptr_not_equal(p, MAP_FAILED);
		memset(p, (int)fill, front.inflight.mmap_size);
		munmap(p, front.inflight.mmap_size);
		front_set_inflight(&front);
		inflight_enable("SET_VRING_ENABLE", "refused VQ_ENABLE SET");
	}
}

static void an_inflight_area_too_small_for_its_rings_is_refused(void **state)
{
	(void)state;
	arena();
	prepare(TO_INFLIGHT + 1);
	front.inflight.mmap_size = 256;
	front_set_inflight(&front);
	inflight_enable("SET_VRING_ENABLE", "too small");

	arena();
	prepare(TO_INFLIGHT + 1);
	front.inflight.queue_size = FRONT_RING_SIZE / 2;
	front_set_inflight(&front);
	inflight_enable("SET_VRING_ENABLE", "too small");
}

static void an_inflight_area_beyond_its_file_closes(void **state)
{
	(void)state;
	arena();
	prepare(TO_INFLIGHT + 1);
	front.inflight.mmap_offset = 1 << 30;
	front_set_inflight(&front);
	closed_because("SET_INFLIGHT_FD", "could not be mapped");
}

static void an_inflight_area_that_is_no_memory_closes(void **state)
{
	(void)state;
	arena();
	prepare(TO_INFLIGHT + 1);
	front_send(&front, VU_SET_INFLIGHT_FD, 0, &front.inflight, sizeof(front.inflight), &front.kick[0], 1);
	closed_because("SET_INFLIGHT_FD", "no shared memory");
}

/* TQ-131 */
static void an_inflight_area_in_a_file_that_shrinks_breaks_that_device_only(void **state)
{
	uint64_t n;
	int fd;

	(void)state;
	arena();
	prepare(TO_INFLIGHT + 1);
	fd = memfd_create("area", MFD_CLOEXEC);
	assert_int_equal(ftruncate(fd, (off_t)front.inflight.mmap_size), 0);
	close(front.inflight_fd);
	front.inflight_fd = fd;
	for (unsigned int i = TO_INFLIGHT + 1; i < TO_END; i++)
		front_handshake_step(&front, i);
	write_and_read_back(&front, 0, 1);
	while (read(front.err[0], &n, sizeof(n)) > 0)
		;
	assert_int_equal(ftruncate(fd, 0), 0);
	front_put(&front, 0, 0, VIRTIO_BLK_T_IN, 0, 512);
	front_kick(&front, 0);
	LAB_UNTIL(&lab, read(front.err[0], &n, sizeof(n)) > 0);
	serves_the_next();
	curtain();
}

/* Silence. */

static void half_a_message_and_silence_is_closed_and_the_next_is_served(void **state)
{
	struct vu_lab_cfg cfg = { .half_open_ms = 20 };

	(void)state;
	arena_for(&cfg);
	prepare(TO_PROTOCOL);
	front_raw(&front, "\x05\0\0\0\x01", 5, NULL, 0);
	closed_because("connection", "half a message");
}

static void a_connection_that_says_nothing_is_closed(void **state)
{
	struct vu_lab_cfg cfg = { .half_open_ms = 20 };

	(void)state;
	arena_for(&cfg);
	closed_because("connection", "said nothing");
}

static void a_front_end_that_has_introduced_itself_may_be_silent(void **state)
{
	struct vu_lab_cfg cfg = { .half_open_ms = 1 };
	uint64_t until;

	(void)state;
	arena_for(&cfg);
	prepare(TO_END);
	until = tvq_os_host.now() + 50000000;
	while (tvq_os_host.now() < until)
		lab_turn(&lab);
	write_and_read_back(&front, 0, 1);
	curtain();
}

static void many_connections_that_say_nothing_end_one_after_the_other(void **state)
{
	struct vu_lab_cfg cfg = { .half_open_ms = 5 };
	struct vu_front silent[10];
	unsigned int i;

	(void)state;
	arena_for(&cfg);
	for (i = 0; i < 10; i++)
		front_init(&silent[i], &lab);
	serves_the_next();
	for (i = 0; i < 10; i++)
		front_free(&silent[i]);
	curtain();
}

static void a_front_end_that_does_not_read_its_replies_is_closed(void **state)
{
	struct vu_header h[64];
	unsigned int i;
	int flags;

	(void)state;
	arena();
	flags = fcntl(front.fd, F_GETFL);
	assert_int_equal(fcntl(front.fd, F_SETFL, flags | O_NONBLOCK), 0);
	for (i = 0; i < 64; i++)
		h[i] = (struct vu_header){ VU_GET_FEATURES, VU_VERSION, 0 };
	LAB_UNTIL(&lab, !front_raw(&front, h, sizeof(h), NULL, 0) && errno == EPIPE);
	assert_true(lab_logged("disk7: vhost-user GET_FEATURES: the front end does not read its replies"));
	serves_the_next();
	curtain();
}

/* A disk that does not answer until it is told to. There is no real one to be had. */
struct stuck {
	struct tvq_volume v;
	struct tvq_volume_channel ch;
	struct tvq_vreq *held;
	unsigned int seen;
};

static int stuck_open(struct tvq_volume *v, struct tvq_exec *e, struct tvq_volume_channel **ch)
{
	struct stuck *s = (struct stuck *)v;

	s->ch.volume = v;
	s->ch.exec = e;
	*ch = &s->ch;
	return 0;
}

static void stuck_close(struct tvq_volume_channel *ch)
{
	(void)ch;
}

static void stuck_submit(struct tvq_volume_channel *ch, struct tvq_vreq *const *v, unsigned int n)
{
	struct stuck *s = (struct stuck *)ch->volume;

	while (n--) {
		v[n]->status = 0;
		if (s->seen++)
			continue;
		v[n]->status = TVQ_VREQ_PENDING;
		s->held = v[n];
	}
}

static void stuck_destroy(struct tvq_volume *v)
{
	(void)v;
}

static const struct tvq_volume_ops stuck_ops = {
	.type = "stuck",
	.open = stuck_open,
	.close = stuck_close,
	.submit = stuck_submit,
	.destroy = stuck_destroy,
};

/* TQ-031, TQ-096 */
static void storage_that_hangs_closes_the_connection_and_keeps_the_memory(void **state)
{
	static struct stuck s = {
		.v = {
			.ops = &stuck_ops,
			.limits = { .capacity = LAB_VOLUME_BYTES, .block_size = 512,
				    .physical_block_size = 512 },
			.id = "stuck",
			.refs = 1,
		},
	};
	struct vu_lab_cfg cfg = { .volume = &s.v, .time_factor = 100 };
	struct vu_front next;
	unsigned int mappings;
	uint64_t v;

	(void)state;
	arena_for(&cfg);
	prepare(TO_END);
	mappings = tvq_mapping_count();
	front_put(&front, 0, 0, VIRTIO_BLK_T_IN, 0, 512);
	front_kick(&front, 0);
	LAB_UNTIL(&lab, s.held);
	assert_int_equal(front_get_base(&front, 0), UINT32_MAX);
	assert_true(lab_logged("disk7: vhost-user GET_VRING_BASE: no answer within 4 s"));
	/* The next one has to wait, since the storage may still write to the memory. */
	front_init(&next, &lab);
	front_send(&next, VU_GET_QUEUE_NUM, 0, NULL, 0, NULL, 0);
	v = tvq_os_host.now() + 50000000;
	while (tvq_os_host.now() < v)
		lab_turn(&lab);
	assert_int_equal(tvq_mapping_count(), mappings);
	assert_int_equal(recv(next.fd, &v, 1, MSG_DONTWAIT), -1);
	s.held->status = 0;
	s.held->done(s.held);
	assert_int_equal(front_reply(&next, VU_GET_QUEUE_NUM, &v, sizeof(v), NULL), 8);
	front_free(&next);
	curtain();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_that_does_not_exist_closes),
		cmocka_unit_test(a_payload_of_the_wrong_size_closes),
		cmocka_unit_test(a_size_of_four_gigabytes_closes_before_anything_is_read),
		cmocka_unit_test(another_version_closes),
		cmocka_unit_test(a_feature_that_was_not_offered_closes),
		cmocka_unit_test(a_message_whose_protocol_feature_was_not_taken_closes),
		cmocka_unit_test(a_queue_index_too_high_closes),
		cmocka_unit_test(a_missing_descriptor_closes),
		cmocka_unit_test(a_kick_or_call_that_is_no_eventfd_closes),
		cmocka_unit_test(a_back_end_channel_that_is_no_socket_is_refused),
		cmocka_unit_test(more_descriptors_than_a_message_takes_close_and_none_stays),
		cmocka_unit_test(descriptors_dripped_over_a_message_count_together),
		cmocka_unit_test(a_memory_table_that_overlaps_or_wraps_closes),
		cmocka_unit_test(a_region_that_overlaps_another_is_refused),
		cmocka_unit_test(a_region_larger_than_its_file_is_refused),
		cmocka_unit_test(a_region_that_is_not_there_cannot_be_removed),
		cmocka_unit_test(memory_that_is_no_shared_memory_is_known_and_not_touched),
		cmocka_unit_test(ring_addresses_outside_the_memory_are_refused),
		cmocka_unit_test(a_ring_that_reaches_beyond_its_region_is_refused),
		cmocka_unit_test(misaligned_ring_addresses_are_refused),
		cmocka_unit_test(a_running_ring_keeps_its_size_and_position),
		cmocka_unit_test(a_ring_that_breaks_its_rules_is_told_and_harms_nobody),
		cmocka_unit_test(memory_truncated_under_io_breaks_that_device_only),
		cmocka_unit_test(a_hostile_inflight_area_is_refused),
		cmocka_unit_test(an_inflight_area_too_small_for_its_rings_is_refused),
		cmocka_unit_test(an_inflight_area_beyond_its_file_closes),
		cmocka_unit_test(an_inflight_area_that_is_no_memory_closes),
		cmocka_unit_test(an_inflight_area_in_a_file_that_shrinks_breaks_that_device_only),
		cmocka_unit_test(half_a_message_and_silence_is_closed_and_the_next_is_served),
		cmocka_unit_test(a_connection_that_says_nothing_is_closed),
		cmocka_unit_test(a_front_end_that_has_introduced_itself_may_be_silent),
		cmocka_unit_test(many_connections_that_say_nothing_end_one_after_the_other),
		cmocka_unit_test(a_front_end_that_does_not_read_its_replies_is_closed),
		cmocka_unit_test(storage_that_hangs_closes_the_connection_and_keeps_the_memory),
	};

	if (!lab_catch_sigbus())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
