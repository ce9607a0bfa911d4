/* SPDX-License-Identifier: BSD-3-Clause */
/* Control commands of a network device, decoded: what is accepted, and what is refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <linux/virtio_net.h>

#include "types/net_ctrl.h"

#define BIT(n) (1ull << (n))
#define ALL                                                                                        \
	(BIT(NET_F_CTRL_VQ) | BIT(NET_F_CTRL_RX) | BIT(NET_F_CTRL_RX_EXTRA) |                      \
	 BIT(NET_F_CTRL_VLAN) | BIT(NET_F_CTRL_MAC_ADDR) | BIT(NET_F_GUEST_ANNOUNCE) |             \
	 BIT(NET_F_MQ) | BIT(NET_F_RSS) | BIT(NET_F_HASH_REPORT))
#define PAIRS 8
#define MAX   2048

struct cmd {
	uint8_t bytes[MAX];
	uint32_t len;
};

static void add(struct cmd *c, const void *data, uint32_t n)
{
	assert_true(c->len + n <= MAX);
	memcpy(c->bytes + c->len, data, n);
	c->len += n;
}

static void add8(struct cmd *c, uint8_t v)
{
	add(c, &v, 1);
}

static void add16(struct cmd *c, uint16_t v)
{
	add8(c, (uint8_t)v);
	add8(c, (uint8_t)(v >> 8));
}

static void add32(struct cmd *c, uint32_t v)
{
	add16(c, (uint16_t)v);
	add16(c, (uint16_t)(v >> 16));
}

static struct cmd command(uint8_t class, uint8_t number)
{
	struct cmd c = { .len = 0 };

	add8(&c, class);
	add8(&c, number);
	return c;
}

/* In a block of its own, exactly as long, so that a sanitizer sees a read beyond its end. */
static int decode_len(const struct cmd *c, uint32_t len, uint64_t features, struct net_ctrl *out)
{
	uint8_t *copy = malloc(len ? len : 1);
	int err;

	assert_non_null(copy);
	memcpy(copy, c->bytes, len);
	err = net_ctrl_decode(copy, len, features, PAIRS, out);
	free(copy);
	return err;
}

static int decode(const struct cmd *c, uint64_t features)
{
	struct net_ctrl out;

	return decode_len(c, c->len, features, &out);
}

/* Accepted as it is; refused if cut anywhere, with one byte more, and without its features. */
static struct net_ctrl accepted(const struct cmd *c, uint64_t needs)
{
	struct cmd more = *c;
	struct net_ctrl out, rest;

	for (uint32_t len = 0; len < c->len; len++)
		assert_int_equal(decode_len(c, len, ALL, &rest), -EINVAL);
	add8(&more, 0);
	assert_int_equal(decode(&more, ALL), -EINVAL);
	for (unsigned int bit = 0; bit < 64; bit++)
		if (needs >> bit & 1)
			assert_int_equal(decode(c, ALL & ~BIT(bit)), -EINVAL);
	assert_int_equal(decode_len(c, c->len, needs, &out), 0);
	return out;
}

static void refused(const struct cmd *c)
{
	assert_int_equal(decode(c, ~0ull), -EINVAL);
}

static void receive_modes_are_on_or_off(void **state)
{
	static const enum net_ctrl_what modes[] = {
		[VIRTIO_NET_CTRL_RX_PROMISC] = NET_CTRL_PROMISC,
		[VIRTIO_NET_CTRL_RX_ALLMULTI] = NET_CTRL_ALLMULTI,
		[VIRTIO_NET_CTRL_RX_ALLUNI] = NET_CTRL_ALLUNI,
		[VIRTIO_NET_CTRL_RX_NOMULTI] = NET_CTRL_NOMULTI,
		[VIRTIO_NET_CTRL_RX_NOUNI] = NET_CTRL_NOUNI,
		[VIRTIO_NET_CTRL_RX_NOBCAST] = NET_CTRL_NOBCAST,
	};

	(void)state;
	for (uint8_t i = 0; i < 6; i++) {
		for (uint8_t on = 0; on < 2; on++) {
			struct cmd c = command(VIRTIO_NET_CTRL_RX, i);
			struct net_ctrl out;

			add8(&c, on);
			out = accepted(&c, BIT(NET_F_CTRL_VQ) | (i < 2 ? BIT(NET_F_CTRL_RX)
								       : BIT(NET_F_CTRL_RX_EXTRA)));
			assert_int_equal(out.what, modes[i]);
			assert_int_equal(out.on, on);
			c.bytes[2] = 2;
			refused(&c);
		}
	}
}

static void unknown_classes_and_commands_are_refused(void **state)
{
	/* How many commands each class has. */
	static const uint8_t known[] = { 6, 2, 2, 1, 3 };

	(void)state;
	for (unsigned int class = 0; class < 256; class ++) {
		for (unsigned int number = 0; number < 256; number++) {
			struct cmd c = command((uint8_t) class, (uint8_t)number);

			if (class < sizeof(known) && number < known[class])
				continue;
			/* Of any length that another command has. */
			for (unsigned int i = 0; i < 64; i++) {
				refused(&c);
				add8(&c, 1);
			}
		}
	}
}

static void add_macs(struct cmd *c, uint32_t says, uint32_t has, uint8_t first)
{
	add32(c, says);
	for (uint32_t i = 0; i < has; i++) {
		uint8_t mac[6] = { first, 0, 0, 0, (uint8_t)(i >> 8), (uint8_t)i };

		add(c, mac, 6);
	}
}

static void mac_tables_are_kept_one_after_the_other(void **state)
{
	struct cmd c = command(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET);
	struct net_ctrl out;

	(void)state;
	add_macs(&c, 3, 3, 2);
	add_macs(&c, 2, 2, 1);
	out = accepted(&c, BIT(NET_F_CTRL_VQ) | BIT(NET_F_CTRL_RX));
	assert_int_equal(out.what, NET_CTRL_MAC_TABLE);
	assert_int_equal(out.n_unicast, 3);
	assert_int_equal(out.n_multicast, 2);
	assert_false(out.all_unicast);
	assert_false(out.all_multicast);
	assert_memory_equal(out.table[2], "\2\0\0\0\0\2", 6);
	assert_memory_equal(out.table[3], "\1\0\0\0\0\0", 6);
	assert_memory_equal(out.table[4], "\1\0\0\0\0\1", 6);
	c = command(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET);
	add_macs(&c, 0, 0, 0);
	add_macs(&c, 0, 0, 0);
	out = accepted(&c, BIT(NET_F_CTRL_VQ) | BIT(NET_F_CTRL_RX));
	assert_int_equal(out.n_unicast + out.n_multicast, 0);
}

static void mac_tables_longer_than_the_buffer_are_refused(void **state)
{
	static const uint32_t says[] = { 4, 5, 0x2aaaaaab, 0x2aaaaaac, 0x80000000, 0xffffffff };

	(void)state;
	for (unsigned int i = 0; i < sizeof(says) / sizeof(says[0]); i++) {
		struct cmd c = command(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET);

		add_macs(&c, says[i], 3, 2);
		add_macs(&c, 0, 0, 1);
		refused(&c);
		c = command(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET);
		add_macs(&c, 0, 0, 2);
		add_macs(&c, says[i], 3, 1);
		refused(&c);
	}
}

static void of_tables_that_do_not_fit_all_of_their_kind_is_wanted(void **state)
{
	struct net_ctrl out;
	struct cmd c;

	(void)state;
	c = command(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET);
	add_macs(&c, TVQ_FILTER_MACS - 1, TVQ_FILTER_MACS - 1, 2);
	add_macs(&c, 1, 1, 1);
	out = accepted(&c, BIT(NET_F_CTRL_VQ) | BIT(NET_F_CTRL_RX));
	assert_int_equal(out.n_unicast, TVQ_FILTER_MACS - 1);
	assert_int_equal(out.n_multicast, 1);
	assert_false(out.all_unicast || out.all_multicast);

	c = command(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET);
	add_macs(&c, 2, 2, 2);
	add_macs(&c, TVQ_FILTER_MACS, TVQ_FILTER_MACS, 1);
	out = accepted(&c, BIT(NET_F_CTRL_VQ) | BIT(NET_F_CTRL_RX));
	assert_int_equal(out.n_unicast, 2);
	assert_int_equal(out.n_multicast, TVQ_FILTER_MACS - 2);
	assert_false(out.all_unicast);
	assert_true(out.all_multicast);

	c = command(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET);
	add_macs(&c, 200, 200, 2);
	add_macs(&c, 100, 100, 1);
	out = accepted(&c, BIT(NET_F_CTRL_VQ) | BIT(NET_F_CTRL_RX));
	assert_int_equal(out.n_unicast, TVQ_FILTER_MACS);
	assert_int_equal(out.n_multicast, 0);
	assert_true(out.all_unicast);
	assert_true(out.all_multicast);
}

static void an_address_is_one_of_a_single_station(void **state)
{
	struct cmd c = command(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET);
	struct net_ctrl out;

	(void)state;
	add(&c, "\2\1\2\3\4\5", 6);
	out = accepted(&c, BIT(NET_F_CTRL_VQ) | BIT(NET_F_CTRL_MAC_ADDR));
	assert_int_equal(out.what, NET_CTRL_MAC_ADDR);
	assert_memory_equal(out.mac, "\2\1\2\3\4\5", 6);
	c.bytes[2] = 3;
	refused(&c);
	memset(c.bytes + 2, 0, 6);
	refused(&c);
	c.bytes[7] = 1;
	assert_int_equal(decode(&c, ALL), 0);
}

static void vlans_are_0_to_4094(void **state)
{
	(void)state;
	for (uint8_t number = 0; number < 2; number++) {
		static const uint16_t good[] = { 0, 1, 4094 }, bad[] = { 4095, 4096, 0xffff };

		for (unsigned int i = 0; i < 3; i++) {
			struct cmd c = command(VIRTIO_NET_CTRL_VLAN, number);
			struct net_ctrl out;

			add16(&c, good[i]);
			out = accepted(&c, BIT(NET_F_CTRL_VQ) | BIT(NET_F_CTRL_VLAN));
			assert_int_equal(out.what, number ? NET_CTRL_VLAN_DEL : NET_CTRL_VLAN_ADD);
			assert_int_equal(out.value, good[i]);
			c = command(VIRTIO_NET_CTRL_VLAN, number);
			add16(&c, bad[i]);
			refused(&c);
		}
	}
}

static void announcements_are_acknowledged(void **state)
{
	struct cmd c = command(VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK);

	(void)state;
	assert_int_equal(accepted(&c, BIT(NET_F_CTRL_VQ) | BIT(NET_F_GUEST_ANNOUNCE)).what,
			 NET_CTRL_ANNOUNCE_ACK);
}

static void pairs_are_from_1_to_what_there_is(void **state)
{
	static const uint16_t bad[] = { 0, PAIRS + 1, 0x8000, 0xffff };

	(void)state;
	for (uint16_t n = 1; n <= PAIRS; n++) {
		struct cmd c = command(VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET);
		struct net_ctrl out;

		add16(&c, n);
		out = accepted(&c, BIT(NET_F_CTRL_VQ) | BIT(NET_F_MQ));
		assert_int_equal(out.what, NET_CTRL_PAIRS);
		assert_int_equal(out.value, n);
	}
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct cmd c = command(VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET);

		add16(&c, bad[i]);
		refused(&c);
	}
}

struct rss {
	uint32_t types;
	uint16_t mask, unclassified, entry, n_table, tx;
	uint8_t key_len;
};

static struct cmd rss_command(const struct rss *r)
{
	struct cmd c = command(VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_RSS_CONFIG);

	add32(&c, r->types);
	add16(&c, r->mask);
	add16(&c, r->unclassified);
	for (unsigned int i = 0; i < r->n_table; i++)
		add16(&c, i ? (uint16_t)(i % PAIRS) : r->entry);
	add16(&c, r->tx);
	add8(&c, r->key_len);
	for (uint8_t i = 0; i < r->key_len; i++)
		add8(&c, i + 1);
	return c;
}

static const struct rss good_rss = { .types = 0x3f,
				     .mask = 127,
				     .unclassified = 3,
				     .entry = 5,
				     .n_table = 128,
				     .tx = 2,
				     .key_len = 40 };

static void receive_side_scaling_is_taken_whole(void **state)
{
	struct cmd c = rss_command(&good_rss);
	struct net_ctrl out = accepted(&c, BIT(NET_F_CTRL_VQ) | BIT(NET_F_RSS));

	(void)state;
	assert_int_equal(out.what, NET_CTRL_RSS);
	assert_int_equal(out.value, 2);
	assert_int_equal(out.rss.types, 0x3f);
	assert_int_equal(out.rss.mask, 127);
	assert_int_equal(out.rss.unclassified, 3);
	assert_int_equal(out.rss.table[0], 5);
	assert_int_equal(out.rss.table[127], 127 % PAIRS);
	for (unsigned int i = 0; i < TVQ_RSS_KEY; i++)
		assert_int_equal(out.rss.key[i], i + 1);
}

static void receive_side_scaling_out_of_range_is_refused(void **state)
{
	struct rss r;
	struct cmd c;

	(void)state;
#define BAD(field, value)                                                                          \
	do {                                                                                       \
		r = good_rss;                                                                      \
		r.field = (value);                                                                 \
		c = rss_command(&r);                                                               \
		refused(&c);                                                                       \
	} while (0)
	BAD(types, 0x40);
	BAD(types, 0xffffffff);
	BAD(mask, 126);
	BAD(mask, 255);
	BAD(mask, 0xffff);
	BAD(unclassified, PAIRS);
	BAD(entry, PAIRS);
	BAD(entry, 0xffff);
	BAD(tx, 0);
	BAD(tx, PAIRS + 1);
	BAD(key_len, 0);
	BAD(key_len, 39);
	BAD(key_len, 41);
	BAD(key_len, 255);
#undef BAD
	/* A table of 256 that is really there. */
	r = good_rss;
	r.mask = 255;
	r.n_table = 256;
	c = rss_command(&r);
	refused(&c);
	/* The smallest: no hash, no key. */
	r = (struct rss){ .entry = PAIRS - 1, .n_table = 1, .tx = PAIRS };
	c = rss_command(&r);
	(void)accepted(&c, BIT(NET_F_CTRL_VQ) | BIT(NET_F_RSS));
}

static void hashes_are_reported_by_types_and_key(void **state)
{
	struct cmd c = command(VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_HASH_CONFIG);
	struct net_ctrl out;

	(void)state;
	add32(&c, 0x12);
	add(&c, "\xff\xff\xff\xff\xff\xff\xff\xff", 8); /* reserved: ignored */
	add8(&c, 40);
	for (uint8_t i = 0; i < 40; i++)
		add8(&c, i + 1);
	out = accepted(&c, BIT(NET_F_CTRL_VQ) | BIT(NET_F_HASH_REPORT));
	assert_int_equal(out.what, NET_CTRL_HASH);
	assert_int_equal(out.rss.types, 0x12);
	assert_int_equal(out.rss.key[39], 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(receive_modes_are_on_or_off),
		cmocka_unit_test(unknown_classes_and_commands_are_refused),
		cmocka_unit_test(mac_tables_are_kept_one_after_the_other),
		cmocka_unit_test(mac_tables_longer_than_the_buffer_are_refused),
		cmocka_unit_test(of_tables_that_do_not_fit_all_of_their_kind_is_wanted),
		cmocka_unit_test(an_address_is_one_of_a_single_station),
		cmocka_unit_test(vlans_are_0_to_4094),
		cmocka_unit_test(announcements_are_acknowledged),
		cmocka_unit_test(pairs_are_from_1_to_what_there_is),
		cmocka_unit_test(receive_side_scaling_is_taken_whole),
		cmocka_unit_test(receive_side_scaling_out_of_range_is_refused),
		cmocka_unit_test(hashes_are_reported_by_types_and_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
