/* SPDX-License-Identifier: BSD-3-Clause */
/* Decoding of vhost-user messages: what is refused, and what comes out of what is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <present/parse.h>

static const struct vu_limits limits = {
	.num_queues = 4,
	.max_queue_size = 256,
	.features = 1ull << 32 | 1ull << VU_F_PROTOCOL_FEATURES,
	.protocol = 1ull << VU_PF_MQ | 1ull << VU_PF_CONFIG,
};

static struct vu_req req;

static const char *decode_flags(uint32_t request, uint32_t flags, const void *payload,
				uint32_t size, unsigned int n_fds)
{
	struct vu_header h = { request, flags, size };
	uint8_t copy[VU_MAX_PAYLOAD + 1];

	memset(&req, 0xee, sizeof(req));
	memset(copy, 0, sizeof(copy));
	if (payload && size <= sizeof(copy))
		memcpy(copy, payload, size);
	return vu_decode(&h, copy, n_fds, &limits, &req);
}

static const char *decode(uint32_t request, const void *payload, uint32_t size, unsigned int n_fds)
{
	return decode_flags(request, VU_VERSION, payload, size, n_fds);
}

static void assert_refused(const char *why, const char *text)
{
	assert_non_null(why);
	if (!strstr(why, text))
		fail_msg("refused with \"%s\", not \"%s\"", why, text);
}

static void every_message_takes_its_own_sizes_and_no_other(void **state)
{
	uint8_t zeroes[VU_MAX_PAYLOAD] = { 0 };
	uint32_t request, size;

	(void)state;
	for (request = 0; request < VU_REQUESTS; request++) {
		const struct vu_msg_info *info = vu_msg_info(request);

		if (!info) {
			assert_refused(decode(request, zeroes, 0, 0), "no such message");
			continue;
		}
		for (size = 0; size < info->min_size; size++)
			assert_refused(decode(request, zeroes, size, info->min_fds), "too short");
		for (size = info->max_size + 1u; size < VU_MAX_PAYLOAD + 2; size++) {
			struct vu_header h = { request, VU_VERSION, size };

			assert_refused(vu_check_header(&h), "too long");
		}
	}
}

static void every_message_takes_its_own_number_of_descriptors(void **state)
{
	uint8_t zeroes[VU_MAX_PAYLOAD] = { 0 };
	uint32_t request;
	unsigned int n;

	(void)state;
	for (request = 0; request < VU_REQUESTS; request++) {
		const struct vu_msg_info *info = vu_msg_info(request);

		if (!info)
			continue;
		for (n = 0; n < info->min_fds; n++)
			assert_refused(decode(request, zeroes, info->min_size, n), "missing");
		for (n = info->max_fds + 1u; n < 12; n++)
			assert_refused(decode(request, zeroes, info->min_size, n),
				       "more descriptors");
	}
}

static void unknown_messages_are_refused_up_to_the_last_number(void **state)
{
	struct vu_header h = { 0, VU_VERSION, 0 };

	(void)state;
	assert_refused(vu_check_header(&h), "no such message");
	h.request = VU_REQUESTS;
	assert_refused(vu_check_header(&h), "no such message");
	h.request = UINT32_MAX;
	assert_refused(vu_check_header(&h), "no such message");
	assert_string_equal(vu_msg_name(99), "message 99");
	assert_string_equal(vu_msg_name(VU_SET_VRING_ADDR), "SET_VRING_ADDR");
}

static void flags_are_version_1_and_perhaps_need_reply(void **state)
{
	(void)state;
	assert_null(decode_flags(VU_GET_FEATURES, VU_VERSION, NULL, 0, 0));
	assert_false(req.need_reply);
	assert_null(decode_flags(VU_GET_FEATURES, VU_VERSION | VU_NEED_REPLY, NULL, 0, 0));
	assert_true(req.need_reply);
	assert_refused(decode_flags(VU_GET_FEATURES, 0, NULL, 0, 0), "version");
	assert_refused(decode_flags(VU_GET_FEATURES, 2, NULL, 0, 0), "version");
	assert_refused(decode_flags(VU_GET_FEATURES, 3, NULL, 0, 0), "version");
	assert_refused(decode_flags(VU_GET_FEATURES, VU_VERSION | VU_REPLY, NULL, 0, 0), "reply");
	assert_refused(decode_flags(VU_GET_FEATURES, VU_VERSION | 0x10, NULL, 0, 0), "flags");
	assert_refused(decode_flags(VU_GET_FEATURES, VU_VERSION | 0x80000000, NULL, 0, 0), "flags");
}

/* TQ-151 */
static void only_offered_features_pass(void **state)
{
	uint64_t v;
	unsigned int bit;

	(void)state;
	for (bit = 0; bit < 64; bit++) {
		v = 1ull << bit;
		if (limits.features & v)
			assert_null(decode(VU_SET_FEATURES, &v, 8, 0));
		else
			assert_refused(decode(VU_SET_FEATURES, &v, 8, 0), "not offered");
		if (limits.protocol & v)
			assert_null(decode(VU_SET_PROTOCOL_FEATURES, &v, 8, 0));
		else
			assert_refused(decode(VU_SET_PROTOCOL_FEATURES, &v, 8, 0), "not offered");
	}
}

static void a_status_has_eight_bits(void **state)
{
	uint64_t v = 0xff;

	(void)state;
	assert_null(decode(VU_SET_STATUS, &v, 8, 0));
	assert_int_equal(req.u64, 0xff);
	v = 0x100;
	assert_refused(decode(VU_SET_STATUS, &v, 8, 0), "eight bits");
}

static void a_queue_index_beyond_the_device_is_refused_in_each_message(void **state)
{
	static const uint32_t with_state[] = { VU_SET_VRING_NUM, VU_SET_VRING_BASE,
					       VU_GET_VRING_BASE, VU_SET_VRING_ENABLE };
	static const uint32_t with_fd[] = { VU_SET_VRING_KICK, VU_SET_VRING_CALL,
					    VU_SET_VRING_ERR };
	unsigned int i;

	(void)state;
	for (i = 0; i < 4; i++) {
		struct vu_vring_state s = { 3, 1 };

		assert_null(decode(with_state[i], &s, sizeof(s), 0));
		assert_int_equal(req.state.index, 3);
		assert_int_equal(req.state.num, 1);
		s.index = 4;
		assert_refused(decode(with_state[i], &s, sizeof(s), 0), "queue");
		s.index = 0x10000;
		assert_refused(decode(with_state[i], &s, sizeof(s), 0), "queue");
		s.index = UINT32_MAX;
		assert_refused(decode(with_state[i], &s, sizeof(s), 0), "queue");
	}
	for (i = 0; i < 3; i++) {
		uint64_t v = 3;

		assert_null(decode(with_fd[i], &v, sizeof(v), 1));
		assert_int_equal(req.vring_fd.index, 3);
		v = 4;
		assert_refused(decode(with_fd[i], &v, sizeof(v), 1), "queue");
		v = 0xff;
		assert_refused(decode(with_fd[i], &v, sizeof(v), 1), "queue");
	}
}

static void the_no_descriptor_bit_and_the_descriptors_agree(void **state)
{
	uint64_t v = 2;

	(void)state;
	assert_null(decode(VU_SET_VRING_KICK, &v, sizeof(v), 1));
	assert_false(req.vring_fd.no_fd);
	assert_refused(decode(VU_SET_VRING_KICK, &v, sizeof(v), 0), "missing");
	v = 2 | VU_VRING_NOFD;
	assert_null(decode(VU_SET_VRING_KICK, &v, sizeof(v), 0));
	assert_true(req.vring_fd.no_fd);
	assert_refused(decode(VU_SET_VRING_KICK, &v, sizeof(v), 1), "says that there is none");
	v = 2 | 0x200;
	assert_refused(decode(VU_SET_VRING_KICK, &v, sizeof(v), 1), "unknown bits");
	v = 2 | 1ull << 63;
	assert_refused(decode(VU_SET_VRING_KICK, &v, sizeof(v), 1), "unknown bits");
}

static void a_queue_size_is_one_to_the_largest(void **state)
{
	struct vu_vring_state s = { 0, 0 };

	(void)state;
	assert_refused(decode(VU_SET_VRING_NUM, &s, sizeof(s), 0), "size");
	s.num = 257;
	assert_refused(decode(VU_SET_VRING_NUM, &s, sizeof(s), 0), "size");
	s.num = 0x10001;
	assert_refused(decode(VU_SET_VRING_NUM, &s, sizeof(s), 0), "size");
	s.num = 256;
	assert_null(decode(VU_SET_VRING_NUM, &s, sizeof(s), 0));
	s.num = 2;
	assert_refused(decode(VU_SET_VRING_ENABLE, &s, sizeof(s), 0), "neither");
}

static void ring_addresses_come_out_as_sent(void **state)
{
	struct vu_vring_addr a = { 1, 1, 0x1000, 0x3000, 0x2000, 7 };

	(void)state;
	assert_null(decode(VU_SET_VRING_ADDR, &a, sizeof(a), 0));
	assert_int_equal(req.addr.index, 1);
	assert_int_equal(req.addr.desc, 0x1000);
	assert_int_equal(req.addr.avail, 0x2000);
	assert_int_equal(req.addr.used, 0x3000);
	a.flags = 2;
	assert_refused(decode(VU_SET_VRING_ADDR, &a, sizeof(a), 0), "flags");
	a.flags = 0;
	a.index = 4;
	assert_refused(decode(VU_SET_VRING_ADDR, &a, sizeof(a), 0), "queue");
}

struct table {
	uint32_t count, padding;
	struct vu_mem_region r[VU_MAX_REGIONS + 1];
};

static const char *decode_table(const struct table *t, uint32_t regions, unsigned int n_fds)
{
	return decode(VU_SET_MEM_TABLE, t,
		      (uint32_t)(sizeof(struct vu_mem_table) + regions * sizeof(t->r[0])), n_fds);
}

static struct table good_table(uint32_t n)
{
	struct table t = { n, 0, { { 0 } } };
	uint32_t i;

	for (i = 0; i < n; i++)
		t.r[i] = (struct vu_mem_region){ i * 0x100000, 0x100000,
						 0x7f0000000000 + i * 0x200000, 0 };
	return t;
}

static void a_memory_table_has_the_regions_and_descriptors_it_counts(void **state)
{
	struct table t = good_table(3);

	(void)state;
	assert_null(decode_table(&t, 3, 3));
	assert_int_equal(req.mem.count, 3);
	assert_int_equal(req.mem.region[2].guest_addr, 0x200000);
	assert_refused(decode_table(&t, 2, 3), "does not hold");
	assert_refused(decode_table(&t, 4, 3), "does not hold");
	assert_refused(decode_table(&t, 3, 2), "descriptor");
	assert_refused(decode_table(&t, 3, 4), "descriptor");
	t = good_table(8);
	assert_null(decode_table(&t, 8, 8));
	t.count = 9;
	assert_refused(decode_table(&t, 8, 8), "more than 8");
	t.count = UINT32_MAX;
	assert_refused(decode_table(&t, 8, 8), "more than 8");
	t = good_table(0);
	assert_null(decode_table(&t, 0, 0));
}

static void regions_that_overlap_are_refused_in_either_address_space(void **state)
{
	struct table t = good_table(3);

	(void)state;
	t.r[2].guest_addr = 0x1fffff;
	assert_refused(decode_table(&t, 3, 3), "overlap");
	t = good_table(3);
	t.r[2].guest_addr = 0x0fffff;
	t.r[2].size = 2;
	assert_refused(decode_table(&t, 3, 3), "overlap");
	t = good_table(3);
	t.r[2].user_addr = t.r[0].user_addr + 0xfffff;
	assert_refused(decode_table(&t, 3, 3), "overlap");
	t = good_table(3);
	t.r[0] = t.r[1];
	assert_refused(decode_table(&t, 3, 3), "overlap");
	/* Next to each other is no overlap. */
	t = good_table(3);
	t.r[1].user_addr = t.r[0].user_addr + t.r[0].size;
	assert_null(decode_table(&t, 3, 3));
}

static void check_one(const struct vu_mem_region *r, const char *why)
{
	struct table t = { 1, 0, { *r } };
	struct vu_mem_one one = { 0, *r };

	assert_refused(decode_table(&t, 1, 1), why);
	assert_refused(decode(VU_ADD_MEM_REG, &one, sizeof(one), 1), why);
	assert_refused(decode(VU_REM_MEM_REG, &one, sizeof(one), 0), why);
}

static void regions_that_are_empty_or_wrap_are_refused(void **state)
{
	static const struct vu_mem_region good = { 0x100000, 0x100000, 0x7f0000000000, 0x3000 };
	struct vu_mem_one one = { 0, good };
	struct vu_mem_region r = good;

	(void)state;
	assert_null(decode(VU_ADD_MEM_REG, &one, sizeof(one), 1));
	assert_memory_equal(&req.mem.region[0], &good, sizeof(good));
	assert_null(decode(VU_REM_MEM_REG, &one, sizeof(one), 0));
	assert_null(decode(VU_REM_MEM_REG, &one, sizeof(one), 1));
	r.size = 0;
	check_one(&r, "empty");
	r = good;
	r.guest_addr = UINT64_MAX - 0xfffff + 1;
	check_one(&r, "wraps");
	r = good;
	r.user_addr = UINT64_MAX - 0x1000;
	check_one(&r, "wraps");
	r = good;
	r.mmap_offset = UINT64_MAX;
	check_one(&r, "wraps");
	r = good;
	r.size = UINT64_MAX;
	check_one(&r, "wraps");
}

static void configuration_accesses_lie_within_256_bytes_and_the_payload(void **state)
{
	uint8_t buf[VU_MAX_PAYLOAD] = { 0 };
	struct vu_config *c = (struct vu_config *)buf;
	uint32_t request, i;

	(void)state;
	for (i = 0; i < 256; i++)
		c->data[i] = (uint8_t)i;
	for (request = VU_GET_CONFIG; request <= VU_SET_CONFIG; request++) {
		c->offset = 0;
		c->size = 256;
		c->flags = 0;
		assert_null(decode(request, buf, sizeof(*c) + 256, 0));
		assert_int_equal(req.config.size, 256);
		assert_refused(decode(request, buf, sizeof(*c) + 255, 0), "payload");
		c->size = 255;
		assert_refused(decode(request, buf, sizeof(*c) + 256, 0), "payload");
		c->size = 4;
		c->offset = 252;
		assert_null(decode(request, buf, sizeof(*c) + 4, 0));
		assert_int_equal(req.config.offset, 252);
		c->offset = 253;
		assert_refused(decode(request, buf, sizeof(*c) + 4, 0), "beyond");
		c->offset = UINT32_MAX - 1;
		assert_refused(decode(request, buf, sizeof(*c) + 4, 0), "beyond");
		c->size = 0;
		assert_refused(decode(request, buf, sizeof(*c) + 1, 0), "payload");
	}
	c->size = 4;
	c->offset = 8;
	assert_null(decode(VU_SET_CONFIG, buf, sizeof(*c) + 4, 0));
	assert_memory_equal(req.config.data, c->data, 4);
	c->flags = 2;
	assert_refused(decode(VU_SET_CONFIG, buf, sizeof(*c) + 4, 0), "flags");
}

static void an_inflight_description_comes_with_and_without_padding(void **state)
{
	struct vu_inflight f = { 0x10000, 0x2000, 4, 256, 0 };

	(void)state;
	assert_null(decode(VU_SET_INFLIGHT_FD, &f, 20, 1));
	assert_null(decode(VU_SET_INFLIGHT_FD, &f, 24, 1));
	assert_int_equal(req.inflight.size, 0x10000);
	assert_int_equal(req.inflight.offset, 0x2000);
	assert_int_equal(req.inflight.num_queues, 4);
	assert_int_equal(req.inflight.queue_size, 256);
	assert_int_equal(req.size, 24);
	assert_refused(decode(VU_SET_INFLIGHT_FD, &f, 22, 1), "no in-flight");
	f.num_queues = 5;
	assert_refused(decode(VU_SET_INFLIGHT_FD, &f, 24, 1), "queues");
	f.num_queues = 0;
	assert_refused(decode(VU_GET_INFLIGHT_FD, &f, 24, 0), "queues");
	f.num_queues = 1;
	f.queue_size = 257;
	assert_refused(decode(VU_GET_INFLIGHT_FD, &f, 24, 0), "size");
	f.queue_size = 0;
	assert_refused(decode(VU_GET_INFLIGHT_FD, &f, 24, 0), "size");
	f.queue_size = 1;
	f.mmap_offset = UINT64_MAX;
	assert_refused(decode(VU_SET_INFLIGHT_FD, &f, 24, 1), "wraps");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_message_takes_its_own_sizes_and_no_other),
		cmocka_unit_test(every_message_takes_its_own_number_of_descriptors),
		cmocka_unit_test(unknown_messages_are_refused_up_to_the_last_number),
		cmocka_unit_test(flags_are_version_1_and_perhaps_need_reply),
		cmocka_unit_test(only_offered_features_pass),
		cmocka_unit_test(a_status_has_eight_bits),
		cmocka_unit_test(a_queue_index_beyond_the_device_is_refused_in_each_message),
		cmocka_unit_test(the_no_descriptor_bit_and_the_descriptors_agree),
		cmocka_unit_test(a_queue_size_is_one_to_the_largest),
		cmocka_unit_test(ring_addresses_come_out_as_sent),
		cmocka_unit_test(a_memory_table_has_the_regions_and_descriptors_it_counts),
		cmocka_unit_test(regions_that_overlap_are_refused_in_either_address_space),
		cmocka_unit_test(regions_that_are_empty_or_wrap_are_refused),
		cmocka_unit_test(configuration_accesses_lie_within_256_bytes_and_the_payload),
		cmocka_unit_test(an_inflight_description_comes_with_and_without_padding),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
