// SPDX-License-Identifier: BSD-3-Clause
/* Numbers of flows (src/switch/flow.c). */
#include "frame_lab.h"
#include "switch/offload.h"

#define TCP 6
#define UDP 17

/* Fields of a frame that a flow may depend on. */
struct fields {
	uint16_t type; /* EtherType */
	uint8_t proto;
	uint8_t mac[2], address[2]; /* last bytes of source, destination */
	uint16_t port[2];
	uint16_t fragment;
	uint8_t payload; /* what everything else is made of */
};

static struct fields turned(struct fields f)
{
	return (struct fields){ f.type,
				f.proto,
				{ f.mac[1], f.mac[0] },
				{ f.address[1], f.address[0] },
				{ f.port[1], f.port[0] },
				f.fragment,
				(uint8_t)~f.payload };
}

static size_t build(const struct fields *f, uint8_t *to)
{
	uint8_t *ip = to + 14, *l4;

	memset(to, 0, 100);
	to[5] = f->mac[1];
	to[11] = f->mac[0];
	lab_put16(to + 12, f->type);
	if (f->type == 0x0800) {
		ip[0] = 0x45;
		ip[5] = f->payload;
		lab_put16(ip + 6, f->fragment);
		ip[9] = f->proto;
		ip[15] = f->address[0];
		ip[19] = f->address[1];
		l4 = ip + 20;
	} else {
		ip[0] = 0x60;
		ip[6] = f->proto;
		ip[7] = f->payload;
		ip[23] = f->address[0];
		ip[39] = f->address[1];
		l4 = ip + 40;
	}
	lab_put16(l4, f->port[0]);
	lab_put16(l4 + 2, f->port[1]);
	memset(l4 + 4, f->payload, 30);
	return (size_t)(l4 - to) + 34;
}

static uint32_t flow_of(const uint8_t *bytes, size_t len, size_t piece)
{
	struct lab_frame *l = lab_frame(bytes, len, 0, piece);
	const uint32_t flow = tvq_frame_flow(&l->f);

	lab_frame_free(l);
	return flow;
}

static uint32_t flow(struct fields f)
{
	uint8_t bytes[128];
	const size_t len = build(&f, bytes);
	const uint32_t whole = flow_of(bytes, len, 128);

	for (size_t piece = 1; piece < len; piece += 1 + piece / 4)
		assert_int_equal(flow_of(bytes, len, piece), whole);
	return whole;
}

static const struct fields some[] = {
	{ 0x0800, TCP, { 1, 2 }, { 3, 4 }, { 5000, 80 }, 0, 9 },
	{ 0x0800, UDP, { 1, 2 }, { 3, 4 }, { 5000, 80 }, 0, 9 },
	{ 0x86dd, TCP, { 1, 2 }, { 3, 4 }, { 5000, 80 }, 0, 9 },
	{ 0x86dd, UDP, { 1, 2 }, { 3, 4 }, { 53, 53 }, 0, 9 },
	{ 0x0800, TCP, { 1, 2 }, { 7, 7 }, { 80, 80 }, 0, 9 },
};
#define N_SOME (sizeof(some) / sizeof(some[0]))

static void both_directions_have_one_number(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_SOME; i++)
		assert_int_equal(flow(some[i]), flow(turned(some[i])));
	/* Other protocols: addresses; no IP: MAC addresses. */
	assert_int_equal(flow((struct fields){ 0x0800, 1, { 1, 2 }, { 3, 4 }, { 8, 0 }, 0, 1 }),
			 flow((struct fields){ 0x0800, 1, { 2, 1 }, { 4, 3 }, { 0, 1 }, 0, 2 }));
	assert_int_equal(flow((struct fields){ 0x0806, 0, { 1, 2 }, { 3, 4 }, { 1, 2 }, 0, 1 }),
			 flow((struct fields){ 0x0806, 0, { 2, 1 }, { 5, 6 }, { 3, 4 }, 0, 2 }));
}

static void each_field_of_a_flow_counts(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_SOME; i++) {
		struct fields f = some[i];
		const uint32_t number = flow(f);

		f.payload++;
		f.mac[0]++;
		assert_int_equal(flow(f), number);
		for (unsigned int end = 0; end < 2; end++) {
			f = some[i];
			f.port[end]++;
			assert_int_not_equal(flow(f), number);
			f = some[i];
			f.address[end]++;
			assert_int_not_equal(flow(f), number);
		}
		f = some[i];
		f.proto = f.proto == TCP ? UDP : TCP;
		assert_int_not_equal(flow(f), number);
		/* Ports that change places without the addresses are another flow. */
		f = some[i];
		f.port[0] = some[i].port[1];
		f.port[1] = some[i].port[0];
		if (f.port[0] != f.port[1])
			assert_int_not_equal(flow(f), number);
	}
}

static void each_byte_of_mac_addresses_counts(void **state)
{
	const struct fields f = { 0x0806, 0, { 1, 2 }, { 3, 4 }, { 1, 2 }, 0, 1 };
	uint8_t bytes[128];
	const size_t len = build(&f, bytes);
	const uint32_t number = flow_of(bytes, len, 128);

	(void)state;
	for (size_t i = 0; i < 12; i++) {
		bytes[i]++;
		assert_int_not_equal(flow_of(bytes, len, 128), number);
		bytes[i]--;
	}
}

static void fragments_of_a_packet_stay_together(void **state)
{
	struct fields first = some[1], second = some[1];

	(void)state;
	first.fragment = 0x2000;
	second.fragment = 0x00b9;
	second.port[0] = 0x1234;
	second.port[1] = 0x5678;
	assert_int_equal(flow(first), flow(second));
}

/* Frames of 4096 flows in 64 queues: 64 in each, within some standard deviations. */
static void assert_spread(struct fields f, bool addresses, bool ports)
{
	unsigned int low[64] = { 0 }, high[64] = { 0 };
	uint8_t bytes[128];

	for (unsigned int i = 0; i < 4096; i++) {
		size_t len;
		uint32_t number;

		f.port[0] = (uint16_t)(32768 + (addresses && ports ? i / 64 : ports ? i : 0));
		f.address[0] = (uint8_t)(addresses && ports ? i % 64 : addresses ? i : 7);
		f.address[1] = (uint8_t)(addresses && !ports ? i / 256 : 1);
		len = build(&f, bytes);
		number = flow_of(bytes, len, 128);
		low[number % 64]++;
		high[number >> 26]++;
	}
	for (unsigned int i = 0; i < 64; i++) {
		assert_in_range(low[i], 24, 104);
		assert_in_range(high[i], 24, 104);
	}
}

static void flows_are_spread_evenly(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_SOME; i++) {
		assert_spread(some[i], true, true);
		assert_spread(some[i], false, true);
		assert_spread(some[i], true, false);
	}
}

static void headers_that_lie_are_told_by_their_mac_addresses(void **state)
{
	uint8_t bytes[128];
	struct fields f = some[0];
	size_t len = build(&f, bytes);
	uint32_t by_mac;

	(void)state;
	bytes[14] = 0x4f; /* an IPv4 header of 60 bytes; 54 are there */
	by_mac = flow_of(bytes, len, 128);
	bytes[14 + 15]++;
	assert_int_equal(flow_of(bytes, len, 128), by_mac);
	bytes[14] = 0x44;
	assert_int_equal(flow_of(bytes, len, 128), by_mac);
	bytes[14] = 0x65;
	assert_int_equal(flow_of(bytes, len, 128), by_mac);
	for (size_t cut = 14; cut < 14 + 20; cut++)
		assert_int_equal(flow_of(bytes, cut, 128), by_mac);
	bytes[11]++;
	assert_int_not_equal(flow_of(bytes, len, 128), by_mac);
}

/* Each header names itself as the next one, up to the frame's end. */
static void endless_extension_headers_end(void **state)
{
	uint8_t bytes[2000];
	struct fields f = some[2];
	uint32_t number;

	(void)state;
	build(&f, bytes);
	memset(bytes + 54, 0, sizeof(bytes) - 54);
	bytes[14 + 6] = 0;
	number = flow_of(bytes, sizeof(bytes), sizeof(bytes));
	for (size_t len = 54; len < sizeof(bytes); len += 1 + len / 16)
		assert_int_equal(flow_of(bytes, len, sizeof(bytes)), number);
	/* One that is longer than the frame. */
	bytes[55] = 255;
	assert_int_equal(flow_of(bytes, 300, 300), number);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_directions_have_one_number),
		cmocka_unit_test(each_field_of_a_flow_counts),
		cmocka_unit_test(each_byte_of_mac_addresses_counts),
		cmocka_unit_test(fragments_of_a_packet_stay_together),
		cmocka_unit_test(flows_are_spread_evenly),
		cmocka_unit_test(headers_that_lie_are_told_by_their_mac_addresses),
		cmocka_unit_test(endless_extension_headers_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
