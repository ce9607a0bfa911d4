/* SPDX-License-Identifier: BSD-3-Clause */
/* The vhost-user presenter with front ends that break the rules: messages, descriptors, silence. */
#include "vu_arena.h"

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
	assert_true(lab_logged(
		"disk7: vhost-user GET_FEATURES: the front end does not read its replies"));
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
