// SPDX-License-Identifier: BSD-3-Clause
/*
 * What a hostile reader of the network looked for: VLANs that are left, frames that are lost
 * without need, a device that goes while the switch still has something to do for its owner.
 */
#include "net_lab.h"
#include "pci_lab.h"

#include <unistd.h>

#define TAG	  0x8100
#define IN_VLAN	  10
#define NOT_VLAN  20
#define FRAME_LEN 100

static struct nl_dev a, b;
static struct nl_raw raw;

/* ---- VLANs ---- */

static void set_vlan(struct tvq_port *p, void *arg)
{
	assert_int_equal(tvq_port_set_vlan(p, arg), 0);
}

/* The sender is in one VLAN, tagged; the receiver in that one without a tag, and in another. */
static void set_vlans(struct dl *l, uint64_t from, uint64_t to)
{
	struct tvq_port_vlan vlan = { .mode = TVQ_VLAN_TRUNK };

	vlan.set[IN_VLAN / 64] = 1ull << IN_VLAN % 64;
	nl_on_port(l, from, set_vlan, &vlan);
	vlan.set[NOT_VLAN / 64] |= 1ull << NOT_VLAN % 64;
	vlan.pvid = IN_VLAN;
	nl_on_port(l, to, set_vlan, &vlan);
}

/* A tag of the sender's VLAN, and one of the other VLAN behind it. */
static void put_two_tags(uint8_t *f, const uint8_t *to, const uint8_t *from)
{
	nl_ether(f, to, from, TAG, FRAME_LEN, 1);
	nl_be16(f + 14, IN_VLAN);
	nl_be16(f + 16, TAG);
	nl_be16(f + 18, NOT_VLAN);
	nl_be16(f + 20, NL_TYPE);
}

/* TQ-141 */
static void a_tag_behind_the_one_taken_off_puts_a_frame_into_no_other_vlan(void **state)
{
	struct dl l;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++) {
		/* In one piece; in several, which takes the other way through the device. */
		for (unsigned int pieces = 1; pieces <= 3; pieces += 2) {
			struct tvq_sg sg[3];
			uint64_t iova;
			uint8_t *tx;

			dl_up(&l, v->workers, NULL);
			nl_dev_up(&b, &l, v, 0);
			nl_raw_up(&raw, &l, v, 0);
			set_vlans(&l, raw.id, b.id);
			tx = dl_alloc(&raw.mem, NL_HDR + FRAME_LEN, 64, &iova);
			memset(tx, 0, NL_HDR);
			put_two_tags(tx + NL_HDR, b.mac, raw.mac);
			sg[0] = (struct tvq_sg){ iova, pieces > 1 ? NL_HDR : NL_HDR + FRAME_LEN };
			sg[1] = (struct tvq_sg){ iova + NL_HDR, 17 };
			sg[2] = (struct tvq_sg){ iova + NL_HDR + 17, FRAME_LEN - 17 };
			nl_raw_do(&raw.tx, sg, pieces, 0);
			nl_receive(&b, 0);
			assert_int_equal(b.got.len, FRAME_LEN - 4);
			assert_memory_equal(b.got.data, tx + NL_HDR, 12);
			assert_int_equal(nl_get_be16(b.got.data + 12), 0);
			nl_raw_down(&raw);
			nl_dev_down(&b);
			dl_down(&l);
		}
	}
}

/* ---- addresses ---- */

static void no_spoofchk(struct tvq_port *p, void *arg)
{
	(void)arg;
	tvq_port_set_spoofchk(p, false);
}

static int take_mac(struct nl_dev *d, const uint8_t *mac)
{
	return tvq_net_ctrl(d->net, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, mac, 6);
}

/* TQ-141 */
static void address_that_was_learned_elsewhere_is_not_a_driver_s_to_take(void **state)
{
	static const uint8_t gateway[6] = { 0x02, 0, 0, 0, 0xee, 1 };
	static const uint8_t nobody[6] = { 0x02, 0, 0, 0, 0xee, 2 };
	uint8_t f[FRAME_LEN];
	struct dl l;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++) {
		dl_up(&l, v->workers, NULL);
		nl_dev_up(&a, &l, v, 0);
		nl_dev_up(&b, &l, v, 0);
		nl_on_port(&l, b.id, no_spoofchk, NULL);
		/* It is behind b, in some VLAN. */
		nl_ether(f, nl_everybody, gateway, TAG, FRAME_LEN, 1);
		nl_be16(f + 14, NOT_VLAN);
		nl_send(&b, f, FRAME_LEN);
		nl_expect(&a, f, FRAME_LEN);
		assert_int_equal(take_mac(&a, gateway), -EIO);
		assert_memory_equal(nl_info(&a).mac, a.mac, 6);
		/* One that nobody has is, and one that is behind itself. */
		assert_int_equal(take_mac(&a, nobody), 0);
		assert_memory_equal(nl_info(&a).mac, nobody, 6);
		assert_int_equal(take_mac(&b, gateway), 0);
		assert_memory_equal(nl_info(&b).mac, gateway, 6);
		nl_dev_down(&a);
		nl_dev_down(&b);
		dl_down(&l);
	}
}

/* ---- buffers ---- */

#define MANY	   6
#define PAYLOAD	   60000
#define BUFFER	   1536
#define N_BUFFERS  256
#define LONG_BYTES (NL_TCP4_HEADERS + PAYLOAD)
_Static_assert(MANY *(LONG_BYTES / BUFFER + 1) <= N_BUFFERS, "there is room for all of them");

static void long_frames_at_once_use_all_the_buffers_that_there_are(void **state)
{
	const struct tvq_net_cfg cfg = { .queue_size = N_BUFFERS, .buffer_size = BUFFER };
	const struct virtio_net_hdr_v1 hdr = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
		.hdr_len = NL_TCP4_HEADERS,
		.gso_size = 1448,
		.csum_start = 34,
		.csum_offset = 16,
	};
	static uint8_t f[MANY][NL_MAX];
	struct tvq_net_frame *put[MANY];
	struct dl l;

	(void)state;
	for (unsigned int packed = 0; packed < 2; packed++) {
		const struct nl_variant v = { .packed = packed };
		struct tvq_net_cfg c = cfg;

		c.packed = packed;
		dl_up(&l, v.workers, NULL);
		nl_dev_up(&a, &l, &v, 0);
		nl_drive(&b, &l, nl_create(l.client, 0, NULL), &c);
		for (unsigned int i = 0; i < MANY; i++) {
			nl_tcp(f[i], false, b.mac, a.mac, PAYLOAD, i);
			put[i] = nl_put(&a, &hdr, f[i], LONG_BYTES);
		}
		/* No executor runs meanwhile: they are one batch. */
		assert_int_equal(tvq_net_send(a.net, 0, put, MANY), MANY);
		nl_sent(&a, 0);
		assert_int_equal(nl_drops(&b, TVQ_DROP_NO_BUFFER), 0);
		for (unsigned int i = 0; i < MANY; i++)
			nl_expect(&b, f[i], LONG_BYTES);
		nl_dev_down(&a);
		nl_dev_down(&b);
		dl_down(&l);
	}
}

/* ---- the end ---- */

static void take_a_while(struct tvq_switch_op *op)
{
	(void)op;
	usleep(100000);
}

static void op_over(struct tvq_switch_op *op)
{
	((struct nl_op *)op)->done = true;
}

/* No driver is there, so that the reset has nothing to wait for. */
static void device_without_driver_goes_when_the_switch_is_through(void **state)
{
	struct tvq_mgmt_cfg cfg = { .type = TVQ_TYPE_NET };
	struct nl_op o = { .op = { .run = take_a_while, .done = op_over } };
	struct dl l;

	(void)state;
	dl_up(&l, 1, &cfg);
	tvq_client_free(l.client);
	assert_int_equal(l.bus->ops->status(l.bus), 0);
	tvq_switch_run(tvq_device_switch(tvq_inproc_device(l.bus)), &o.op);
	l.bus->ops->free(l.bus);
	assert_true(o.done);
	dl_dismantle(&l);
}

static void function_without_driver_goes_when_the_switch_is_through(void **state)
{
	struct tvq_pci_cfg cfg = { .mgmt.type = TVQ_TYPE_NET, .msi_page = true };
	struct nl_op o = { .op = { .run = take_a_while, .done = op_over } };
	static struct pl w;

	(void)state;
	pl_up(&w, 1, &cfg);
	tvq_switch_run(tvq_device_switch(tvq_pci_device(w.pci)), &o.op);
	pl_down(&w);
	assert_true(o.done);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_tag_behind_the_one_taken_off_puts_a_frame_into_no_other_vlan),
		cmocka_unit_test(address_that_was_learned_elsewhere_is_not_a_driver_s_to_take),
		cmocka_unit_test(long_frames_at_once_use_all_the_buffers_that_there_are),
		cmocka_unit_test(device_without_driver_goes_when_the_switch_is_through),
		cmocka_unit_test(function_without_driver_goes_when_the_switch_is_through),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
