// SPDX-License-Identifier: BSD-3-Clause
/* Hashes of frames (src/switch/rss.c): the vectors that Microsoft publishes for receive-side scaling
 * ("Verifying the RSS hash calculation"), and which fields virtio has hashed (5.1.6.4.3). */
#include <arpa/inet.h>
#include <linux/virtio_net.h>

#include "frame_lab.h"
#include "switch/offload.h"

#define TYPE(name)   VIRTIO_NET_RSS_HASH_TYPE_##name
#define REPORT(name) VIRTIO_NET_HASH_REPORT_##name
#define ALL	     0x1ff
#define TCP	     6
#define UDP	     17

static const uint8_t key[TVQ_RSS_KEY] = {
	0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
	0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
	0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
};

struct vector {
	const char *src;
	unsigned int src_port;
	const char *dst;
	unsigned int dst_port;
	uint32_t ip, ports; /* hashes: of the addresses; of the ports too */
};

static const struct vector ipv4[] = {
	{ "66.9.149.187", 2794, "161.142.100.80", 1766, 0x323e8fc2, 0x51ccc178 },
	{ "199.92.111.2", 14230, "65.69.140.83", 4739, 0xd718262a, 0xc626b0ea },
	{ "24.19.198.95", 12898, "12.22.207.184", 38024, 0xd2d0a5de, 0x5c2b394a },
	{ "38.27.205.30", 48228, "209.142.163.6", 2217, 0x82989176, 0xafc7327f },
	{ "153.39.163.191", 44251, "202.188.127.2", 1303, 0x5d1809c5, 0x10e828a2 },
};

static const struct vector ipv6[] = {
	{ "3ffe:2501:200:1fff::7", 2794, "3ffe:2501:200:3::1", 1766, 0x2cc18cd5, 0x40207d3d },
	{ "3ffe:501:8::260:97ff:fe40:efab", 14230, "ff02::1", 4739, 0x0f0c461c, 0xdde51bbf },
	{ "3ffe:1900:4545:3:200:f8ff:fe21:67cf", 44251, "fe80::200:f8ff:fe21:67cf", 38024,
	  0x4b61e985, 0x02d1feef },
};

#define N(array) (sizeof(array) / sizeof((array)[0]))

/* A frame in the making. */
struct packet {
	uint8_t bytes[512];
	size_t len;
};

static void put(struct packet *p, const void *data, size_t len)
{
	assert_true(p->len + len <= sizeof(p->bytes));
	memcpy(p->bytes + p->len, data, len);
	p->len += len;
}

static void put_address(struct packet *p, const char *text)
{
	uint8_t a[16];
	const int family = strchr(text, ':') ? AF_INET6 : AF_INET;

	assert_int_equal(inet_pton(family, text, a), 1);
	put(p, a, family == AF_INET6 ? 16 : 4);
}

/* Ethernet and IP. */
static void begin(struct packet *p, const struct vector *v, uint8_t proto)
{
	static const uint8_t eth[12] = { 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1 };
	const uint8_t ip4[12] = { 0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, proto };
	const uint8_t ip6[8] = { 0x60, 0, 0, 0, 0, 20, proto, 64 };

	p->len = 0;
	put(p, eth, sizeof(eth));
	if (strchr(v->src, ':')) {
		put(p, "\x86\xdd", 2);
		put(p, ip6, sizeof(ip6));
	} else {
		put(p, "\x08\x00", 2);
		put(p, ip4, sizeof(ip4));
	}
	put_address(p, v->src);
	put_address(p, v->dst);
}

static void put_ports(struct packet *p, const struct vector *v)
{
	uint8_t tcp[20] = { 0 };

	lab_put16(tcp, v->src_port);
	lab_put16(tcp + 2, v->dst_port);
	tcp[12] = 0x50;
	put(p, tcp, sizeof(tcp));
}

static void assert_hash(const struct packet *p, uint32_t types, uint32_t hash, uint16_t report)
{
	static const size_t pieces[] = { 512, 20, 1 };

	for (size_t i = 0; i < N(pieces); i++) {
		struct lab_frame *l = lab_frame(p->bytes, p->len, 0, pieces[i]);
		struct tvq_rss_result r = tvq_frame_rss(&l->f, types, key);

		assert_int_equal(r.report, report);
		assert_int_equal(r.hash, hash);
		lab_frame_free(l);
	}
}

static void published_vectors_come_out(void **state)
{
	struct packet p;

	(void)state;
	for (size_t i = 0; i < N(ipv4); i++) {
		begin(&p, &ipv4[i], TCP);
		put_ports(&p, &ipv4[i]);
		assert_hash(&p, TYPE(IPv4), ipv4[i].ip, REPORT(IPv4));
		assert_hash(&p, TYPE(TCPv4), ipv4[i].ports, REPORT(TCPv4));
	}
	for (size_t i = 0; i < N(ipv6); i++) {
		begin(&p, &ipv6[i], TCP);
		put_ports(&p, &ipv6[i]);
		assert_hash(&p, TYPE(IPv6), ipv6[i].ip, REPORT(IPv6));
		assert_hash(&p, TYPE(TCPv6), ipv6[i].ports, REPORT(TCPv6));
	}
}

static void the_most_special_type_that_is_enabled_counts(void **state)
{
	const struct vector *v = &ipv4[0], *w = &ipv6[0];
	struct packet p;

	(void)state;
	begin(&p, v, TCP);
	put_ports(&p, v);
	assert_hash(&p, ALL, v->ports, REPORT(TCPv4));
	assert_hash(&p, ALL & ~TYPE(TCPv4), v->ip, REPORT(IPv4));
	assert_hash(&p, ALL & ~(TYPE(TCPv4) | TYPE(IPv4)), 0, REPORT(NONE));
	assert_hash(&p, 0, 0, REPORT(NONE));
	begin(&p, v, UDP);
	put_ports(&p, v);
	assert_hash(&p, ALL, v->ports, REPORT(UDPv4));
	assert_hash(&p, ALL & ~TYPE(UDPv4), v->ip, REPORT(IPv4));
	assert_hash(&p, TYPE(TCPv4) | TYPE(UDPv6), 0, REPORT(NONE));
	begin(&p, v, 1);
	put_ports(&p, v);
	assert_hash(&p, ALL, v->ip, REPORT(IPv4));

	begin(&p, w, TCP);
	put_ports(&p, w);
	assert_hash(&p, ALL, w->ports, REPORT(TCPv6));
	assert_hash(&p, ALL & ~TYPE(TCPv6), w->ip, REPORT(IPv6));
	assert_hash(&p, TYPE(IP_EX) | TYPE(TCP_EX) | TYPE(UDP_EX), 0, REPORT(NONE));
	begin(&p, w, UDP);
	put_ports(&p, w);
	assert_hash(&p, ALL, w->ports, REPORT(UDPv6));
	assert_hash(&p, TYPE(TCPv6) | TYPE(IPv6), w->ip, REPORT(IPv6));
}

static void fragments_have_no_ports(void **state)
{
	struct packet p;

	(void)state;
	/* More fragments; the second one; both; "don't fragment" is no fragment. */
	for (unsigned int flags = 0; flags < 4; flags++) {
		static const uint16_t offsets[] = { 0x2000, 0x0008, 0x2008, 0x4000 };

		begin(&p, &ipv4[0], UDP);
		lab_put16(p.bytes + 14 + 6, offsets[flags]);
		put_ports(&p, &ipv4[0]);
		if (flags == 3)
			assert_hash(&p, ALL, ipv4[0].ports, REPORT(UDPv4));
		else
			assert_hash(&p, ALL, ipv4[0].ip, REPORT(IPv4));
	}
	for (unsigned int flags = 0; flags < 4; flags++) {
		static const uint16_t offsets[] = { 0x0001, 0x0008, 0x0009, 0x0000 };
		uint8_t fragment[8] = { UDP };

		begin(&p, &ipv6[0], 44);
		lab_put16(fragment + 2, offsets[flags]);
		put(&p, fragment, sizeof(fragment));
		put_ports(&p, &ipv6[0]);
		if (flags == 3)
			assert_hash(&p, ALL, ipv6[0].ports, REPORT(UDPv6_EX));
		else
			assert_hash(&p, ALL, ipv6[0].ip, REPORT(IPv6_EX));
	}
}

/* Destination options with a home address behind some padding, a routing header of type 2. */
static void extended(struct packet *p, const struct vector *v, uint8_t proto)
{
	struct vector outer = *v;
	const uint8_t options[8] = { 43, 2, 0, 1, 0, 0, 201, 16 };
	const uint8_t routing[8] = { proto, 2, 2, 1 };

	outer.src = "fd00::1";
	outer.dst = "fd00::2";
	begin(p, &outer, 60);
	put(p, options, sizeof(options));
	put_address(p, v->src);
	put(p, routing, sizeof(routing));
	put_address(p, v->dst);
	put_ports(p, v);
}

static void home_addresses_are_hashed_where_an_ex_type_is_enabled(void **state)
{
	const struct vector *v = &ipv6[2];
	struct tvq_rss_result plain;
	struct lab_frame *l;
	struct packet p;

	(void)state;
	extended(&p, v, TCP);
	assert_hash(&p, ALL, v->ports, REPORT(TCPv6_EX));
	assert_hash(&p, TYPE(TCP_EX), v->ports, REPORT(TCPv6_EX));
	assert_hash(&p, ALL & ~TYPE(TCP_EX), v->ip, REPORT(IPv6_EX));
	extended(&p, v, UDP);
	assert_hash(&p, ALL, v->ports, REPORT(UDPv6_EX));
	assert_hash(&p, TYPE(IP_EX), v->ip, REPORT(IPv6_EX));

	/* Without such a type the IP header's own addresses count. */
	l = lab_frame(p.bytes, p.len, 0, 512);
	plain = tvq_frame_rss(&l->f, TYPE(IPv6) | TYPE(UDPv6), key);
	assert_int_equal(plain.report, REPORT(UDPv6));
	assert_int_not_equal(plain.hash, v->ports);
	lab_frame_free(l);
}

static void any_extension_header_makes_it_an_ex_type(void **state)
{
	const uint8_t hop[8] = { TCP, 0, 1, 4 };
	const uint8_t routing[24] = { TCP, 2, 4, 0 };
	const uint8_t auth[24] = { TCP, 4 };
	const struct vector *v = &ipv6[1];
	struct packet p;

	(void)state;
	begin(&p, v, 0);
	put(&p, hop, sizeof(hop));
	put_ports(&p, v);
	assert_hash(&p, ALL, v->ports, REPORT(TCPv6_EX));
	assert_hash(&p, TYPE(TCPv6), v->ports, REPORT(TCPv6));
	begin(&p, v, 43);
	put(&p, routing, sizeof(routing));
	put_ports(&p, v);
	assert_hash(&p, ALL, v->ports, REPORT(TCPv6_EX));
	begin(&p, v, 51);
	put(&p, auth, sizeof(auth));
	put_ports(&p, v);
	assert_hash(&p, ALL, v->ports, REPORT(TCPv6_EX));
}

static void what_is_no_ip_has_no_hash(void **state)
{
	struct packet p;

	(void)state;
	begin(&p, &ipv4[0], TCP);
	put_ports(&p, &ipv4[0]);
	lab_put16(p.bytes + 12, 0x0806);
	assert_hash(&p, ALL, 0, REPORT(NONE));
	lab_put16(p.bytes + 12, 0x86dd);
	assert_hash(&p, ALL, 0, REPORT(NONE));
	/* A header that ends before its addresses do. */
	lab_put16(p.bytes + 12, 0x0800);
	p.len = 14 + 19;
	assert_hash(&p, ALL, 0, REPORT(NONE));
	/* Ports that are there, just so, and that are cut off. */
	p.len = 14 + 20 + 4;
	assert_hash(&p, ALL, ipv4[0].ports, REPORT(TCPv4));
	p.len = 14 + 20 + 3;
	assert_hash(&p, ALL, ipv4[0].ip, REPORT(IPv4));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(published_vectors_come_out),
		cmocka_unit_test(the_most_special_type_that_is_enabled_counts),
		cmocka_unit_test(fragments_have_no_ports),
		cmocka_unit_test(home_addresses_are_hashed_where_an_ex_type_is_enabled),
		cmocka_unit_test(any_extension_header_makes_it_an_ex_type),
		cmocka_unit_test(what_is_no_ip_has_no_hash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
