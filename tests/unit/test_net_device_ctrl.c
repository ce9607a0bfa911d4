/* SPDX-License-Identifier: BSD-3-Clause */
/* Control commands take effect, or answer ERR and change nothing (virtio 1.4, 5.1.6.5). */
#include "net_lab.h"

#include <linux/if_ether.h>

static const uint8_t on[1] = { 1 }, off[1];
static const uint8_t nobody[6] = { 0x02, 0xee, 0, 0, 0, 1 };
static const uint8_t other[6] = { 0x02, 0xee, 0, 0, 0, 2 };
static const uint8_t group[6] = { 0x01, 0, 0x5e, 0, 0, 1 };
static const uint8_t group2[6] = { 0x33, 0x33, 0, 0, 0, 2 };

static struct nl_dev a, b;
static uint8_t f[256];
static uint32_t seed;

/* Does a's frame to that address come to b? */
static bool hears(const uint8_t *to)
{
	uint8_t marker[60];

	nl_ether(f, to, a.mac, NL_TYPE, 60, ++seed);
	nl_send(&a, f, 60);
	nl_ether(marker, b.mac, a.mac, NL_TYPE, 60, ++seed);
	/* What is for b itself needs no marker, and may be filtered as well. */
	if (!memcmp(to, b.mac, 6)) {
		(void)nl_info(&b);
		return nl_poll(&b, 0);
	}
	nl_send(&a, marker, 60);
	nl_receive(&b, 0);
	if (!memcmp(b.got.data, marker, 60))
		return false;
	assert_memory_equal(b.got.data, f, 60);
	nl_expect(&b, marker, 60);
	return true;
}

static int ctrl(uint8_t class, uint8_t cmd, const void *data, uint32_t len)
{
	return tvq_net_ctrl(b.net, class, cmd, data, len);
}

static int rx(uint8_t cmd, const uint8_t *value)
{
	return ctrl(VIRTIO_NET_CTRL_RX, cmd, value, 1);
}

static void up(struct dl *l, const struct nl_variant *v)
{
	dl_up(l, v->workers, NULL);
	nl_dev_up(&a, l, v, 0);
	nl_dev_up(&b, l, v, 0);
}

static void down(struct dl *l)
{
	nl_dev_down(&a);
	nl_dev_down(&b);
	dl_down(l);
}

static void promiscuous_and_all_multicast_take_effect(void **state)
{
	struct dl l;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++) {
		up(&l, v);
		assert_true(hears(nobody));
		assert_true(hears(group));
		assert_int_equal(rx(VIRTIO_NET_CTRL_RX_PROMISC, off), 0);
		assert_int_equal(rx(VIRTIO_NET_CTRL_RX_ALLMULTI, off), 0);
		assert_false(hears(nobody));
		assert_false(hears(group));
		assert_true(hears(nl_everybody));
		assert_int_equal(rx(VIRTIO_NET_CTRL_RX_ALLMULTI, on), 0);
		assert_true(hears(group));
		assert_false(hears(nobody));
		assert_int_equal(rx(VIRTIO_NET_CTRL_RX_PROMISC, on), 0);
		assert_int_equal(rx(VIRTIO_NET_CTRL_RX_ALLMULTI, off), 0);
		assert_true(hears(nobody));
		/* After a reset everything comes again. */
		assert_int_equal(rx(VIRTIO_NET_CTRL_RX_PROMISC, off), 0);
		assert_false(hears(nobody));
		nl_dev_down(&b);
		nl_drive(&b, &l, b.id, &(struct tvq_net_cfg){ .packed = v->packed });
		assert_true(hears(nobody));
		assert_true(hears(group));
		down(&l);
	}
}

static void the_extra_modes_take_effect(void **state)
{
	struct dl l;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++) {
		up(&l, v);
		assert_int_equal(rx(VIRTIO_NET_CTRL_RX_PROMISC, off), 0);
		assert_false(hears(nobody));
		assert_int_equal(rx(VIRTIO_NET_CTRL_RX_ALLUNI, on), 0);
		assert_true(hears(nobody));
		assert_int_equal(rx(VIRTIO_NET_CTRL_RX_ALLUNI, off), 0);
		assert_int_equal(rx(VIRTIO_NET_CTRL_RX_NOBCAST, on), 0);
		assert_false(hears(nl_everybody));
		assert_true(hears(group));
		assert_int_equal(rx(VIRTIO_NET_CTRL_RX_NOBCAST, off), 0);
		assert_true(hears(nl_everybody));
		assert_int_equal(rx(VIRTIO_NET_CTRL_RX_NOMULTI, on), 0);
		assert_false(hears(group));
		assert_int_equal(rx(VIRTIO_NET_CTRL_RX_NOMULTI, off), 0);
		assert_int_equal(rx(VIRTIO_NET_CTRL_RX_NOUNI, on), 0);
		assert_false(hears(b.mac));
		assert_int_equal(rx(VIRTIO_NET_CTRL_RX_NOUNI, off), 0);
		assert_true(hears(b.mac));
		down(&l);
	}
}

/* Two tables, of one address each where it is given. */
static uint32_t tables(uint8_t *buf, const uint8_t *uni, const uint8_t *multi)
{
	uint32_t at = 4;

	memset(buf, 0, 64);
	if (uni) {
		buf[0] = 1;
		memcpy(buf + at, uni, 6);
		at += 6;
	}
	if (multi) {
		buf[at] = 1;
		memcpy(buf + at + 4, multi, 6);
	}
	return at + 4 + (multi ? 6 : 0);
}

static void mac_tables_take_effect(void **state)
{
	static uint8_t buf[4096];
	struct dl l;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++) {
		uint32_t len;

		up(&l, v);
		assert_int_equal(rx(VIRTIO_NET_CTRL_RX_PROMISC, off), 0);
		assert_int_equal(rx(VIRTIO_NET_CTRL_RX_ALLMULTI, off), 0);
		len = tables(buf, nobody, group);
		assert_int_equal(ctrl(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, buf, len),
				 0);
		assert_true(hears(nobody));
		assert_false(hears(other));
		assert_true(hears(group));
		assert_false(hears(group2));
		assert_true(hears(b.mac));
		/* Replaced as a whole. */
		len = tables(buf, other, NULL);
		assert_int_equal(ctrl(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, buf, len),
				 0);
		assert_false(hears(nobody));
		assert_true(hears(other));
		assert_false(hears(group));
		/* More than the device has room for: all of that kind. */
		memset(buf, 0, sizeof(buf));
		buf[0] = 0xff;
		for (int i = 0; i < 255; i++) {
			memcpy(buf + 4 + 6 * i, nobody, 6);
			buf[4 + 6 * i + 5] = (uint8_t)i;
			buf[4 + 6 * i + 4] = 9;
		}
		assert_int_equal(ctrl(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, buf,
				      4 + 255 * 6 + 4),
				 0);
		for (int i = 0; i < 255; i += 50)
			assert_true(hears(buf + 4 + 6 * i));
		assert_false(hears(group));
		down(&l);
	}
}

static void mac_addr_set_moves_the_device(void **state)
{
	struct dl l;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++) {
		uint8_t old[6];

		up(&l, v);
		memcpy(old, b.mac, 6);
		assert_int_equal(rx(VIRTIO_NET_CTRL_RX_PROMISC, off), 0);
		assert_int_equal(ctrl(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, other, 6),
				 0);
		memcpy(b.mac, other, 6);
		assert_true(hears(other));
		assert_false(hears(old));
		/* It sends from the new one only (TQ-141). */
		nl_ether(f, a.mac, old, NL_TYPE, 60, 1);
		nl_send(&b, f, 60);
		nl_nothing_before(&b, &a, 2);
		assert_int_equal(nl_drops(&b, TVQ_DROP_SPOOFED), 1);
		/* A living port's, a group's, none. */
		assert_int_equal(ctrl(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, a.mac, 6),
				 -EIO);
		assert_int_equal(ctrl(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, group, 6),
				 -EIO);
		assert_int_equal(ctrl(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET,
				      "\0\0\0\0\0\0", 6),
				 -EIO);
		assert_true(hears(other));
		/* The configuration tells; a reset brings the first one back. */
		nl_dev_down(&b);
		nl_drive(&b, &l, b.id, &(struct tvq_net_cfg){ .packed = v->packed });
		assert_memory_equal(b.mac, old, 6);
		nl_passes(&a, &b, 60, 4);
		nl_passes(&b, &a, 60, 5);
		assert_memory_equal(nl_info(&b).mac, old, 6);
		down(&l);
	}
}

static uint16_t config16(struct nl_dev *d, uint32_t offset)
{
	struct tvq_seq *s = tvq_seq_new(d->l->client, d->id);
	uint8_t v[2];

	tvq_seq_config_get(s, offset, 2, v);
	assert_int_equal(tvq_seq_call(s), 0);
	return (uint16_t)(v[0] | v[1] << 8);
}

static void the_configuration_tells_the_address_that_was_set(void **state)
{
	struct dl l;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++) {
		up(&l, v);
		assert_int_equal(ctrl(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, other, 6),
				 0);
		assert_int_equal(config16(&b, 0), 0xee02);
		assert_int_equal(config16(&b, 4), 0x0200);
		down(&l);
	}
}

static bool hears_vlan(uint16_t vid)
{
	uint8_t marker[60];

	nl_ether(f, nl_everybody, a.mac, ETH_P_8021Q, 64, ++seed);
	nl_be16(f + 14, vid);
	nl_be16(f + 16, NL_TYPE);
	nl_send(&a, f, 64);
	nl_ether(marker, b.mac, a.mac, NL_TYPE, 60, ++seed);
	nl_send(&a, marker, 60);
	nl_receive(&b, 0);
	if (!memcmp(b.got.data, marker, 60) && b.got.len == 60)
		return false;
	assert_int_equal(b.got.len, 64);
	assert_memory_equal(b.got.data, f, 64);
	nl_expect(&b, marker, 60);
	return true;
}

static int vlan(uint8_t cmd, uint16_t vid)
{
	uint8_t v[2] = { (uint8_t)vid, (uint8_t)(vid >> 8) };

	return ctrl(VIRTIO_NET_CTRL_VLAN, cmd, v, 2);
}

static void the_vlan_filter_takes_effect(void **state)
{
	struct dl l;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++) {
		up(&l, v);
		assert_int_equal(rx(VIRTIO_NET_CTRL_RX_PROMISC, off), 0);
		assert_int_equal(vlan(VIRTIO_NET_CTRL_VLAN_ADD, 10), 0);
		assert_int_equal(vlan(VIRTIO_NET_CTRL_VLAN_ADD, 4094), 0);
		assert_true(hears_vlan(10));
		assert_true(hears_vlan(4094));
		assert_false(hears_vlan(11));
		assert_int_equal(vlan(VIRTIO_NET_CTRL_VLAN_DEL, 10), 0);
		assert_false(hears_vlan(10));
		assert_true(hears_vlan(4094));
		/* Who is promiscuous hears all. */
		assert_int_equal(rx(VIRTIO_NET_CTRL_RX_PROMISC, on), 0);
		assert_true(hears_vlan(10));
		assert_int_equal(vlan(VIRTIO_NET_CTRL_VLAN_ADD, 4096), -EIO);
		assert_int_equal(vlan(VIRTIO_NET_CTRL_VLAN_ADD, 0xffff), -EIO);
		down(&l);
	}
}

static void the_driver_is_asked_to_announce_and_says_when_it_has(void **state)
{
	struct dl l;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++) {
		struct tvq_device *mgmt;
		uint16_t status;

		up(&l, v);
		mgmt = tvq_inproc_device(l.bus);
		assert_int_equal(tvq_device_announce(mgmt, b.id), 0);
		assert_int_equal(tvq_net_status(b.net, &status), 0);
		assert_int_equal(status, VIRTIO_NET_S_LINK_UP | VIRTIO_NET_S_ANNOUNCE);
		assert_int_equal(
			ctrl(VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK, NULL, 0), 0);
		assert_int_equal(tvq_net_status(b.net, &status), 0);
		assert_int_equal(status, VIRTIO_NET_S_LINK_UP);
		/* One that cannot is announced by the device. */
		nl_dev_down(&b);
		nl_dev_up(&b, &l, v, F(MAC));
		assert_int_equal(tvq_device_announce(mgmt, b.id), 0);
		nl_receive(&a, 0);
		assert_memory_equal(a.got.data, nl_everybody, 6);
		assert_memory_equal(a.got.data + 6, b.mac, 6);
		assert_int_equal(nl_get_be16(a.got.data + 12), 0x8035); /* RARP */
		assert_int_equal(tvq_device_announce(mgmt, 12345), -ENOENT);
		down(&l);
	}
}

/* ---- commands that cannot be ---- */

static void commands_that_cannot_be_get_err_and_change_nothing(void **state)
{
	static const struct {
		uint8_t class, cmd;
		uint32_t len;
		uint8_t data[24];
	} bad[] = {
		{ 0, 0, 0, { 0 } }, /* too short */
		{ 0, 0, 2, { 0, 0 } },
		{ 0, 6, 1, { 1 } }, /* unknown */
		{ 0, 0xff, 1, { 1 } },
		{ 5, 0, 1, { 1 } },
		{ 0xff, 0xff, 0, { 0 } },
		{ 1, 0, 0, { 0 } },
		{ 1, 0, 3, { 0 } },
		{ 1, 0, 4, { 0 } }, /* one table of the two */
		{ 1, 0, 7, { 0 } },
		{ 1, 0, 8, { 1 } }, /* an entry that is not there */
		{ 1, 0, 9, { 0 } }, /* a byte behind the tables */
		{ 1, 0, 14, { 2, 0, 0, 0, 2 } },
		{ 1, 0, 14, { 0xff, 0xff, 0xff, 0xff } },    /* longer than any buffer */
		{ 1, 0, 8, { 0xab, 0xaa, 0xaa, 0x2a } },     /* times 6 it is 2 more than 2^32 */
		{ 1, 0, 14, { 0, 0, 0, 0, 2, 0, 0, 0, 1 } }, /* in the second */
		{ 1, 0, 8, { 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff } },
		{ 1, 1, 5, { 2 } },
		{ 1, 1, 7, { 2 } },
		{ 1, 1, 0, { 0 } },
		{ 1, 2, 6, { 2 } },
		{ 2, 0, 0, { 0 } },
		{ 2, 0, 1, { 5 } },
		{ 2, 0, 3, { 5 } },
		{ 2, 2, 2, { 5 } },
		{ 3, 0, 1, { 0 } },
		{ 3, 1, 0, { 0 } },
		{ 4, 0, 2, { 1 } }, /* MQ was not negotiated */
		{ 4, 1, 4, { 1 } },
		{ 4, 2, 4, { 1 } },
	};
	struct dl l;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++) {
		up(&l, v);
		assert_int_equal(rx(VIRTIO_NET_CTRL_RX_PROMISC, off), 0);
		for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
			assert_int_equal(ctrl(bad[i].class, bad[i].cmd, bad[i].data, bad[i].len),
					 -EIO);
		assert_false(hears(nobody));
		assert_true(hears(group));
		assert_true(hears(b.mac));
		assert_true(hears_vlan(5));
		assert_int_equal(dl_status(l.client, b.id), DL_DRIVER_OK);
		down(&l);
	}
}

static void pairs_that_cannot_be_get_err(void **state)
{
	struct virtio_transportq_net_config cfg = { .max_virtqueue_pairs = 3 };
	struct dl l;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++) {
		struct tvq_net_cfg dc = { .packed = v->packed };

		dl_up(&l, v->workers, NULL);
		nl_dev_up(&a, &l, v, 0);
		nl_drive(&b, &l, nl_create(l.client, 0, &cfg), &dc);
		assert_int_equal(tvq_net_use_pairs(b.net, 0), -EIO);
		assert_int_equal(tvq_net_use_pairs(b.net, 4), -EIO);
		assert_int_equal(tvq_net_use_pairs(b.net, 0x8000), -EIO);
		assert_int_equal(tvq_net_use_pairs(b.net, 0xffff), -EIO);
		assert_int_equal(ctrl(VIRTIO_NET_CTRL_MQ, 0, on, 1), -EIO);
		/* Pairs whose queues were never set up: frames go to the one that was. */
		assert_int_equal(tvq_net_use_pairs(b.net, 3), 0);
		for (uint32_t i = 0; i < 40; i++) {
			uint32_t len = nl_tcp(f, false, b.mac, a.mac, 30, i);

			nl_be16(f + 34, 7000 + i);
			nl_send(&a, f, len);
			nl_expect(&b, f, len);
		}
		down(&l);
	}
}

/* ---- the ring: a command in pieces ---- */

static struct dl_mem mem;
static struct dl_queue q;

/* A device whose control queue is the test's. */
static void raw_up(struct dl *l, const struct nl_variant *v)
{
	uint64_t id;

	dl_up(l, v->workers, NULL);
	dl_mem_new(&mem, l, 1 << 20);
	id = nl_create(l->client, 0, NULL);
	dl_queue_new(&q, &mem, l->client, id, 2, 64, v->packed);
	{
		/* The queue's memory is in a space of its own. */
		struct tvq_seq *s;

		dl_negotiate(l->client, id, v->packed ? 0 : BIT(VIRTIO_F_RING_PACKED));
		s = tvq_seq_new(l->client, id);
		tvq_seq_vq_asid_set(s, 2, mem.asid);
		dl_queue_program(&q, s);
		tvq_seq_status_set(s, DL_DRIVER_OK);
		assert_int_equal(tvq_seq_call(s), 0);
	}
}

static void raw_down(struct dl *l)
{
	assert_int_equal(dl_destroy(l->client, q.id), 0);
	dl_queue_free(&q);
	dl_mem_free(&mem);
	dl_down(l);
}

struct piece {
	bool used;
	uint32_t written;
};

static bool finished(struct piece *p)
{
	uint32_t written;
	struct piece *got = tvq_drv_ring_get(q.ring, &written);

	if (got) {
		got->used = true;
		got->written = written;
	}
	return p->used;
}

/* Sends these, waits; the used length. */
static uint32_t command(const struct tvq_sg *sg, unsigned int n_out, unsigned int n_in)
{
	static struct piece p;

	p = (struct piece){ .used = false };
	assert_int_equal(tvq_drv_ring_add(q.ring, sg, n_out, n_in, &p), 0);
	dl_notify(&q);
	dl_until(mem.l, finished(&p));
	return p.written;
}

static void a_command_may_be_cut_anywhere(void **state)
{
	struct dl l;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++) {
		uint8_t set[2 + 6] = { 1, 1, 0x02, 0xee, 0, 0, 0, 7 };
		uint64_t iova, ack_iova;
		uint8_t *out, *ack;

		raw_up(&l, v);
		out = dl_alloc(&mem, 64, 8, &iova);
		ack = dl_alloc(&mem, 8, 8, &ack_iova);
		memcpy(out, set, sizeof(set));
		/* One byte each. */
		for (int round = 0; round < 3; round++) {
			struct tvq_sg sg[16];
			unsigned int n = 0;

			for (uint32_t i = 0; i < sizeof(set); i += (uint32_t)round + 1) {
				uint32_t left = (uint32_t)sizeof(set) - i;

				sg[n++] =
					(struct tvq_sg){ iova + i, left < (uint32_t)round + 1
									   ? left
									   : (uint32_t)round + 1 };
			}
			sg[n] = (struct tvq_sg){ ack_iova, 1 };
			*ack = 0xee;
			assert_int_equal(command(sg, n, 1), 1);
			assert_int_equal(*ack, VIRTIO_NET_OK);
			/* More room than the ack takes: left alone. */
			memset(ack, 0xee, 8);
			sg[n].len = 8;
			assert_int_equal(command(sg, n, 1), 1);
			assert_int_equal(ack[0], VIRTIO_NET_OK);
			assert_int_equal(ack[1], 0xee);
		}
		raw_down(&l);
	}
}

static void a_command_that_is_cut_off_harms_nobody(void **state)
{
	struct dl l;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++) {
		uint64_t iova, ack_iova;
		uint8_t *out, *ack;
		struct tvq_sg sg[2];

		raw_up(&l, v);
		out = dl_alloc(&mem, 8192, 8, &iova);
		ack = dl_alloc(&mem, 8, 8, &ack_iova);
		/* The header itself. */
		for (uint32_t len = 1; len < 3; len++) {
			sg[0] = (struct tvq_sg){ iova, len };
			sg[1] = (struct tvq_sg){ ack_iova, 1 };
			*ack = 0xee;
			assert_int_equal(command(sg, 1, 1), 1);
			assert_int_equal(*ack, VIRTIO_NET_ERR);
		}
		/* Nothing to read. */
		*ack = 0xee;
		assert_int_equal(command(&sg[1], 0, 1), 1);
		assert_int_equal(*ack, VIRTIO_NET_ERR);
		/* No room for the answer: not executed. */
		out[1] = 0;
		out[2] = 1;
		sg[0].len = 3;
		assert_int_equal(command(sg, 1, 0), 0);
		/* Longer than any command. */
		sg[0].len = 8192;
		*ack = 0xee;
		assert_int_equal(command(sg, 1, 1), 1);
		assert_int_equal(*ack, VIRTIO_NET_ERR);
		/* And one that is right. */
		sg[0].len = 3;
		assert_int_equal(command(sg, 1, 1), 1);
		assert_int_equal(*ack, VIRTIO_NET_OK);
		assert_int_equal(dl_status(l.client, q.id), DL_DRIVER_OK);
		raw_down(&l);
	}
}

/* Many at once: each is answered, in the order in which they came. */
static void commands_in_flight_take_effect_in_order(void **state)
{
	struct dl l;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++) {
		static struct piece p[16];
		struct tvq_sg sg[16][2];
		uint64_t iova;
		uint8_t *at;
		struct tvq_port_info info;

		raw_up(&l, v);
		at = dl_alloc(&mem, 16 * 16, 16, &iova);
		for (uint8_t i = 0; i < 16; i++) {
			const uint8_t set[9] = { 1, 1, 0x02, 0xee, 0, 0, 1, i, 0xee };

			p[i] = (struct piece){ .used = false };
			memcpy(at + 16 * i, set, 9);
			sg[i][0] = (struct tvq_sg){ iova + 16u * i, 8 };
			sg[i][1] = (struct tvq_sg){ iova + 16u * i + 8, 1 };
			assert_int_equal(tvq_drv_ring_add(q.ring, sg[i], 1, 1, &p[i]), 0);
		}
		dl_notify(&q);
		dl_until(&l, finished(&p[15]));
		for (int i = 0; i < 16; i++) {
			assert_true(p[i].used);
			assert_int_equal(at[16 * i + 8], VIRTIO_NET_OK);
		}
		nl_on_port(&l, q.id, nl_get_info, &info);
		assert_int_equal(info.mac[5], 15);
		raw_down(&l);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(promiscuous_and_all_multicast_take_effect),
		cmocka_unit_test(the_extra_modes_take_effect),
		cmocka_unit_test(mac_tables_take_effect),
		cmocka_unit_test(mac_addr_set_moves_the_device),
		cmocka_unit_test(the_configuration_tells_the_address_that_was_set),
		cmocka_unit_test(the_vlan_filter_takes_effect),
		cmocka_unit_test(the_driver_is_asked_to_announce_and_says_when_it_has),
		cmocka_unit_test(commands_that_cannot_be_get_err_and_change_nothing),
		cmocka_unit_test(pairs_that_cannot_be_get_err),
		cmocka_unit_test(a_command_may_be_cut_anywhere),
		cmocka_unit_test(a_command_that_is_cut_off_harms_nobody),
		cmocka_unit_test(commands_in_flight_take_effect_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
