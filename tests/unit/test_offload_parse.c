// SPDX-License-Identifier: BSD-3-Clause
/*
 * Finding IP's headers in a copy of a frame's first bytes (src/switch/offload_parse.c). Each copy is
 * an allocation exactly as long, so that the address sanitizer sees what is read behind it.
 */
#include "frame_lab.h"
#include "switch/offload_priv.h"

#define TCP	 6
#define HOP	 0
#define ROUTING	 43
#define FRAGMENT 44
#define AUTH	 51
#define OPTIONS	 60
#define LAST	 99 /* some protocol */

/* A frame in the making, from the EtherType on. */
struct bytes {
	uint8_t b[1024];
	size_t n;
};

static void add(struct bytes *p, const void *data, size_t n)
{
	assert_true(p->n + n <= sizeof(p->b));
	memcpy(p->b + p->n, data, n);
	p->n += n;
}

static void add_type(struct bytes *p, unsigned int type)
{
	lab_put16(p->b + p->n, type);
	p->n += 2;
}

/* An IPv6 header behind tags, and one extension header of len bytes; then something. */
static void ipv6_with(struct bytes *p, uint8_t type, const uint8_t *extension, size_t len)
{
	const uint8_t ip[40] = { 0x60, 0, 0, 0, 0, 0, type };
	const uint8_t rest[20] = { 0 };

	p->n = 0;
	add_type(p, 0x86dd);
	add(p, ip, sizeof(ip));
	add(p, extension, len);
	add(p, rest, sizeof(rest));
}

static struct tvq_headers parse(const struct bytes *p, size_t n)
{
	uint8_t *exact = malloc(n ? n : 1);
	struct tvq_headers h;

	assert_non_null(exact);
	memcpy(exact, p->b, n);
	tvq_headers_parse(n ? exact : exact + 1, (uint32_t)n, &h);
	free(exact);
	/* What the header promises. */
	if (h.version) {
		const size_t ip = h.version == 4 ? 20 : 40, address = h.version == 4 ? 4 : 16;

		assert_true(h.version == 4 || h.version == 6);
		assert_true(h.l3 + ip <= h.l4 && h.l4 <= n);
		assert_true(h.src + address <= n && h.dst + address <= n);
		assert_true(!h.home || h.home + 16u <= h.l4);
		assert_true(!h.route || h.route + 16u <= h.l4);
		assert_true(!h.fragment || h.proto == TVQ_PROTO_NONE);
	} else {
		assert_int_equal(h.proto, TVQ_PROTO_NONE);
	}
	return h;
}

static void nothing_behind_the_copy_is_read(void **state)
{
	uint8_t extension[64] = { ROUTING, 2, 1, 0, 201, 255, 0 };
	struct bytes p;
	uint32_t seed = 1;

	(void)state;
	/* All kinds of headers, cut off anywhere; then with any byte of them altered. */
	for (unsigned int type = 0; type < 256; type++) {
		for (unsigned int round = 0; round < 8; round++) {
			ipv6_with(&p, (uint8_t)type, extension, sizeof(extension));
			for (size_t n = 0; n <= p.n; n++)
				parse(&p, n);
			for (unsigned int k = 0; k < sizeof(extension); k++) {
				seed = seed * 1103515245 + 12345;
				extension[k] = (uint8_t)(seed >> 16);
				if (seed >> 28 < 8)
					extension[k] &= 3;
				if (seed >> 28 == 15)
					extension[k] = 201;
			}
		}
	}
	for (unsigned int first = 0; first < 256; first++) {
		uint8_t ip[60] = { (uint8_t)first, 0, 0, 0, 0, 0, 0, 0, 0, TCP };

		p.n = 0;
		add_type(&p, 0x0800);
		add(&p, ip, sizeof(ip));
		for (size_t n = 0; n <= p.n; n++)
			parse(&p, n);
	}
	for (size_t n = 0; n < 16; n++) {
		memcpy(p.b, "\x81\x00\x00\x05\x88\xa8\x00\x06\x81\x00\x00\x07\x08\x00\x45\x00", 16);
		parse(&p, n);
	}
}

static void ipv4_headers_are_as_long_as_they_say(void **state)
{
	struct bytes p;

	(void)state;
	for (uint8_t words = 0; words < 16; words++) {
		const uint8_t ip[60] = { 0x40 | words, 0, 0, 0, 0, 0, 0x40, 0, 0, LAST };

		p.n = 0;
		add_type(&p, 0x0800);
		add(&p, ip, sizeof(ip));
		for (size_t n = 2; n <= p.n; n++) {
			const struct tvq_headers h = parse(&p, n);
			const bool good = words >= 5 && n >= 2 + words * 4u;

			assert_int_equal(h.version, good ? 4 : 0);
			if (!good)
				continue;
			assert_int_equal(h.l4, 2 + words * 4);
			assert_int_equal(h.proto, LAST);
			assert_int_equal(h.src, 14);
			assert_int_equal(h.dst, 18);
		}
	}
}

static void each_extension_header_has_its_length(void **state)
{
	static const struct {
		uint8_t type, field;
		unsigned int len; /* 0: no extension header */
	} kinds[] = {
		{ HOP, 0, 8 },	 { HOP, 3, 32 }, { ROUTING, 2, 24 }, { FRAGMENT, 9, 8 },
		{ AUTH, 4, 24 }, { AUTH, 0, 8 }, { OPTIONS, 1, 16 }, { 135, 1, 16 },
		{ 139, 1, 16 },	 { 140, 1, 16 }, { TCP, 1, 0 },	     { 59, 1, 0 },
	};
	struct bytes p;

	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const uint8_t extension[32] = { LAST, kinds[i].field, 0, 0 };
		struct tvq_headers h;

		ipv6_with(&p, kinds[i].type, extension, sizeof(extension));
		h = parse(&p, p.n);
		assert_int_equal(h.version, 6);
		assert_int_equal(h.l4, 42 + kinds[i].len);
		assert_int_equal(h.proto, kinds[i].len ? LAST : kinds[i].type);
		assert_int_equal(h.extended, kinds[i].len != 0);
	}
}

static void a_chain_that_goes_on_beyond_the_copy_has_no_protocol(void **state)
{
	const uint8_t extension[16] = { TCP, 1 };
	struct bytes p;

	(void)state;
	ipv6_with(&p, OPTIONS, extension, sizeof(extension));
	assert_int_equal(parse(&p, 42 + 16).proto, TCP);
	for (size_t n = 42; n < 42 + 16; n++) {
		const struct tvq_headers h = parse(&p, n);

		assert_int_equal(h.version, 6);
		assert_int_equal(h.proto, TVQ_PROTO_NONE);
		assert_false(tvq_headers_ports(&h, (uint32_t)n));
	}
}

static void what_follows_a_fragment_header_is_payload(void **state)
{
	const uint8_t extension[16] = { OPTIONS, 0, 0, 9, 0, 0, 0, 0, TCP, 0 };
	struct tvq_headers h;
	struct bytes p;

	(void)state;
	ipv6_with(&p, FRAGMENT, extension, sizeof(extension));
	h = parse(&p, p.n);
	assert_true(h.fragment);
	assert_int_equal(h.proto, TVQ_PROTO_NONE);
	assert_int_equal(h.l4, 42 + 8);
}

static struct tvq_headers with_options(const uint8_t *options, size_t n)
{
	uint8_t extension[32] = { TCP, 3 };
	struct bytes p;

	memcpy(extension + 2, options, n);
	ipv6_with(&p, OPTIONS, extension, sizeof(extension));
	/* The copy may end with the options. */
	assert_int_equal(parse(&p, 42 + sizeof(extension)).home, parse(&p, p.n).home);
	return parse(&p, p.n);
}

static void a_home_address_is_found_among_options_that_do_not_lie(void **state)
{
	(void)state;
#define HOME_AT(at, ...)                                                                           \
	do {                                                                                       \
		const uint8_t o[30] = { __VA_ARGS__ };                                             \
		assert_int_equal(with_options(o, 30).home, (at) ? 44 + (at) : 0);                  \
	} while (0)
	HOME_AT(2, 201, 16);
	HOME_AT(3, 0, 201, 16);		 /* one byte of padding */
	HOME_AT(6, 1, 2, 9, 9, 201, 16); /* padding with a length */
	HOME_AT(4, 1, 0, 201, 16);
	HOME_AT(14, 5, 10, 201, 16, 0, 0, 0, 0, 0, 0, 0, 0, 201, 16);
	HOME_AT(0, 201, 15); /* no address */
	HOME_AT(0, 201, 17);
	HOME_AT(0, 5, 200, 201, 16); /* an option longer than they all */
	HOME_AT(0, 1, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 201, 16); /* ends behind the header */
	HOME_AT(0, 5, 28);					     /* exactly all */
	HOME_AT(0, 5, 27, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		0, 0, 201); /* one byte is left */
}

static void only_routing_headers_of_type_2_have_the_address(void **state)
{
	static const struct {
		uint8_t len, type, found;
	} kinds[] = { { 2, 2, 1 }, { 2, 0, 0 }, { 2, 4, 0 }, { 1, 2, 0 }, { 3, 2, 0 } };
	struct bytes p;

	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const uint8_t extension[32] = { TCP, kinds[i].len, kinds[i].type, 1 };

		ipv6_with(&p, ROUTING, extension, sizeof(extension));
		assert_int_equal(parse(&p, p.n).route, kinds[i].found ? 42 + 8 : 0);
	}
}

static void two_inner_tags_are_looked_through(void **state)
{
	static const unsigned int types[] = { 0x8100, 0x88a8 };

	(void)state;
	for (unsigned int tags = 0; tags < 4; tags++) {
		for (unsigned int mix = 0; mix < 8; mix++) {
			const uint8_t ip[20] = { 0x45, 0, 0, 0, 0, 0, 0, 0, 0, LAST };
			struct bytes p = { .n = 0 };
			struct tvq_headers h;

			for (unsigned int i = 0; i < tags; i++) {
				add_type(&p, types[mix >> i & 1]);
				add_type(&p, 0x0800);
			}
			add_type(&p, 0x0800);
			add(&p, ip, sizeof(ip));
			h = parse(&p, p.n);
			assert_int_equal(h.version, tags < 3 ? 4 : 0);
			if (tags < 3)
				assert_int_equal(h.l3, 2 + 4 * tags);
		}
	}
}

static void copies_end_with_the_frame_or_where_they_are_told_to(void **state)
{
	uint8_t bytes[300], to[301];

	(void)state;
	for (unsigned int i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i + 1);
	lab_put16(bytes + 12, 0x0800);
	for (size_t piece = 1; piece < 300; piece += 1 + piece / 3) {
		for (uint32_t max = 0; max <= 300; max += 7) {
			struct lab_frame *l = lab_frame(bytes, sizeof(bytes), max % 5, piece);
			const uint32_t want = max < 288 ? max : 288;

			memset(to, 0, sizeof(to));
			assert_int_equal(tvq_headers_copy(&l->f, to, max), want);
			assert_memory_equal(to, bytes + 12, want);
			assert_int_equal(to[want], 0);
			lab_frame_free(l);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_behind_the_copy_is_read),
		cmocka_unit_test(ipv4_headers_are_as_long_as_they_say),
		cmocka_unit_test(each_extension_header_has_its_length),
		cmocka_unit_test(a_chain_that_goes_on_beyond_the_copy_has_no_protocol),
		cmocka_unit_test(what_follows_a_fragment_header_is_payload),
		cmocka_unit_test(a_home_address_is_found_among_options_that_do_not_lie),
		cmocka_unit_test(only_routing_headers_of_type_2_have_the_address),
		cmocka_unit_test(two_inner_tags_are_looked_through),
		cmocka_unit_test(copies_end_with_the_frame_or_where_they_are_told_to),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
