/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Network devices as ports: what the owner sets (link, VLANs, rates), and a management device that
 * is a network device itself. TQ-141, TQ-079, TQ-010.
 */
#include "net_lab.h"

#include <sched.h>
#include <stdatomic.h>

#include <linux/if_ether.h>

#include <tvq/nested.h>

static struct nl_dev a, b, c;
static uint8_t f[NL_MAX];

static void up(struct dl *l, const struct nl_variant *v)
{
	dl_up(l, v->workers, NULL);
	nl_dev_up(&a, l, v, 0);
	nl_dev_up(&b, l, v, 0);
	nl_dev_up(&c, l, v, 0);
}

static void down(struct dl *l)
{
	nl_dev_down(&a);
	nl_dev_down(&b);
	nl_dev_down(&c);
	dl_down(l);
}

/* ---- link ---- */

/* TQ-079 */
static void a_link_that_is_down_passes_nothing(void **state)
{
	struct dl l;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++) {
		struct tvq_device *mgmt;
		struct tvq_net_frame *tf;
		uint16_t status;

		up(&l, v);
		mgmt = tvq_inproc_device(l.bus);
		nl_passes(&a, &b, 60, 1);
		assert_int_equal(tvq_device_set_link(mgmt, b.id, false), 0);
		assert_int_equal(tvq_net_status(b.net, &status), 0);
		assert_int_equal(status, 0);
		(void)nl_info(&b);
		/* Not to it, though others hear it. */
		nl_ether(f, nl_everybody, a.mac, NL_TYPE, 60, 2);
		nl_send(&a, f, 60);
		nl_expect(&c, f, 60);
		/* Not from it: it waits. */
		nl_ether(f, c.mac, b.mac, NL_TYPE, 60, 3);
		tf = nl_put(&b, NULL, f, 60);
		assert_int_equal(tvq_net_send(b.net, 0, &tf, 1), 1);
		nl_nothing_before(&a, &c, 4);
		assert_int_equal(tvq_net_sending(b.net, 0), 1);
		assert_int_equal(nl_info(&b).stats.tx_packets, 0);
		assert_int_equal(tvq_device_set_link(mgmt, b.id, true), 0);
		nl_expect(&c, f, 60);
		nl_sent(&b, 0);
		assert_int_equal(tvq_net_status(b.net, &status), 0);
		assert_int_equal(status, VIRTIO_NET_S_LINK_UP);
		nl_nothing_before(&a, &b, 5);
		/* A device with its link down can be reset, and goes without frames. */
		assert_int_equal(tvq_device_set_link(mgmt, b.id, false), 0);
		tf = nl_put(&b, NULL, f, 60);
		assert_int_equal(tvq_net_send(b.net, 0, &tf, 1), 1);
		nl_dev_down(&b);
		nl_drive(&b, &l, b.id, &(struct tvq_net_cfg){ .packed = v->packed });
		assert_int_equal(tvq_net_status(b.net, &status), 0);
		assert_int_equal(status, 0);
		assert_int_equal(tvq_device_set_link(mgmt, b.id, true), 0);
		(void)nl_info(&b);
		nl_nothing_before(&a, &b, 6);
		nl_nothing_before(&a, &c, 7);
		assert_int_equal(tvq_device_set_link(mgmt, 12345, true), -ENOENT);
		down(&l);
	}
}

static void a_block_device_has_no_link(void **state)
{
	struct tvq_device *mgmt;
	uint64_t id;
	struct dl l;

	(void)state;
	dl_up(&l, 0, NULL);
	dl_vol_new(&l, 1 << 20, DL_NOW);
	id = dl_create(l.client, NULL, 0, 0, 1);
	mgmt = tvq_inproc_device(l.bus);
	assert_int_equal(tvq_device_set_link(mgmt, id, false), -EOPNOTSUPP);
	assert_int_equal(tvq_device_announce(mgmt, id), -EOPNOTSUPP);
	assert_null(tvq_device_port(mgmt, id));
	assert_null(tvq_device_port(mgmt, 0));
	assert_null(tvq_device_port(mgmt, 12345));
	assert_int_equal(dl_destroy(l.client, id), 0);
	dl_down(&l);
}

/* ---- VLANs ---- */

static int result;

static void do_vlan(struct tvq_port *p, void *arg)
{
	result = tvq_port_set_vlan(p, arg);
}

static void access_port(struct nl_dev *d, uint16_t vid)
{
	struct tvq_port_vlan vlan = { .mode = TVQ_VLAN_ACCESS, .pvid = vid };

	nl_on_port(d->l, d->id, do_vlan, &vlan);
	assert_int_equal(result, 0);
}

static void trunk(struct nl_dev *d, uint16_t pvid, uint16_t one, uint16_t two)
{
	struct tvq_port_vlan vlan = { .mode = TVQ_VLAN_TRUNK, .pvid = pvid };

	vlan.set[one / 64] |= 1ull << one % 64;
	vlan.set[two / 64] |= 1ull << two % 64;
	nl_on_port(d->l, d->id, do_vlan, &vlan);
	assert_int_equal(result, 0);
}

static uint32_t seed;

/* A broadcast, tagged where vid is not 0. */
static uint32_t send_in(struct nl_dev *from, uint16_t vid, uint16_t priority)
{
	uint32_t len = vid ? 68 : 64;

	nl_ether(f, nl_everybody, from->mac, vid ? ETH_P_8021Q : NL_TYPE, len, ++seed);
	if (vid) {
		nl_be16(f + 14, (uint32_t)priority << 13 | vid);
		nl_be16(f + 16, NL_TYPE);
	}
	nl_send(from, f, len);
	(void)nl_info(from);
	return len;
}

static void hears_nothing(struct nl_dev *d)
{
	assert_false(nl_poll(d, 0));
}

/* The frame that was sent, with this tag (0: none) in place of its own. */
static void hears_with(struct nl_dev *d, uint16_t sent_vid, uint16_t vid, uint16_t priority)
{
	uint32_t payload = sent_vid ? 18 : 14, head = vid ? 18 : 14;

	nl_receive(d, 0);
	assert_int_equal(d->got.len, 64 + (vid ? 4 : 0));
	assert_memory_equal(d->got.data, f, 12);
	if (vid) {
		assert_int_equal(nl_get_be16(d->got.data + 12), ETH_P_8021Q);
		assert_int_equal(nl_get_be16(d->got.data + 14), (uint32_t)priority << 13 | vid);
	}
	assert_int_equal(nl_get_be16(d->got.data + head - 2), NL_TYPE);
	assert_memory_equal(d->got.data + head, f + payload, 50);
}

static void access_ports_are_apart_and_a_trunk_hears_them_with_their_tags(void **state)
{
	struct dl l;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++) {
		uint64_t dropped;

		up(&l, v);
		access_port(&a, 10);
		access_port(&b, 20);
		trunk(&c, 0, 10, 20);
		send_in(&a, 0, 0);
		hears_with(&c, 0, 10, 0);
		hears_nothing(&b);
		send_in(&b, 0, 0);
		hears_with(&c, 0, 20, 0);
		hears_nothing(&a);
		send_in(&c, 10, 5);
		hears_with(&a, 10, 0, 0);
		hears_nothing(&b);
		send_in(&c, 20, 0);
		hears_with(&b, 20, 0, 0);
		hears_nothing(&a);
		/* Not in its VLANs, or in none. */
		dropped = nl_drops(&c, TVQ_DROP_VLAN);
		send_in(&c, 30, 0);
		send_in(&c, 0, 0);
		assert_int_equal(nl_drops(&c, TVQ_DROP_VLAN), dropped + 2);
		/* A tag from an access port, its own too. */
		send_in(&a, 10, 0);
		send_in(&a, 20, 0);
		assert_int_equal(nl_drops(&a, TVQ_DROP_VLAN), 2);
		hears_nothing(&a);
		hears_nothing(&b);
		hears_nothing(&c);
		/* By address it is the same. */
		nl_ether(f, b.mac, a.mac, NL_TYPE, 64, 1);
		nl_send(&a, f, 64);
		(void)nl_info(&a);
		hears_nothing(&b);
		/* Moved, live. */
		access_port(&b, 10);
		nl_passes(&a, &b, 60, 1);
		/* The trunk's own VLAN has no tag there. */
		trunk(&c, 10, 10, 20);
		send_in(&a, 0, 0);
		hears_with(&c, 0, 0, 0);
		send_in(&c, 0, 0);
		hears_with(&a, 0, 0, 0);
		down(&l);
	}
}

static void open_ports_pass_tags_as_they_are(void **state)
{
	struct dl l;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++) {
		up(&l, v);
		send_in(&a, 100, 3);
		hears_with(&b, 100, 100, 3);
		hears_with(&c, 100, 100, 3);
		send_in(&a, 0, 0);
		hears_with(&b, 0, 0, 0);
		hears_with(&c, 0, 0, 0);
		down(&l);
	}
}

/* ---- rates ---- */

static void do_rate(struct tvq_port *p, void *arg)
{
	result = tvq_port_set_rate(p, arg);
}

static void set_rate(struct nl_dev *d, uint64_t bits, uint64_t packets)
{
	struct tvq_port_rate rate = { .bits = bits, .packets = packets };

	nl_on_port(d->l, d->id, do_rate, &rate);
	assert_int_equal(result, 0);
}

#define BURST_S 0.010 /* what a port may save up */

/*
 * Sends n frames of len bytes at once and receives them all. At no time more have come than the
 * rate allows since the first went, and the last comes when its time has come: how fast the machine
 * is does not matter.
 */
static void send_limited(unsigned int n, uint32_t len, double frames_per_s)
{
	struct tvq_net_frame *tf[NL_SLOTS];
	uint64_t start, end;
	unsigned int got = 0;

	assert_true(n <= NL_SLOTS);
	for (unsigned int i = 0; i < n; i++) {
		nl_ether(f, b.mac, a.mac, NL_TYPE, len, i);
		tf[i] = nl_put(&a, NULL, f, len);
	}
	start = tvq_os_host.now();
	assert_int_equal(tvq_net_send(a.net, 0, tf, n), n);
	while (got < n) {
		double s;

		tvq_loop_turn(a.l->loop, false);
		while (got < n && nl_poll(&b, 0)) {
			nl_ether(f, b.mac, a.mac, NL_TYPE, len, got);
			assert_int_equal(b.got.len, len);
			assert_memory_equal(b.got.data, f, len);
			got++;
		}
		end = tvq_os_host.now();
		s = (double)(end - start) / 1e9;
		assert_true(s < 20);
		/* One more than the time is for: the frame that goes into debt. */
		assert_true(got <= (s + BURST_S) * frames_per_s + 1);
	}
	nl_sent(&a, 0);
}

static void a_port_sends_no_faster_than_its_rate_and_loses_nothing(void **state)
{
	struct dl l;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++) {
		struct tvq_port_stats st;

		up(&l, v);
		/* 1000 bytes are 8000 bits. */
		set_rate(&a, 4000000, 0);
		send_limited(40, 1000, 500);
		set_rate(&a, 0, 500);
		send_limited(40, 60, 500);
		/* Both: the stricter one. */
		set_rate(&a, 8000000000ull, 500);
		send_limited(30, 1000, 500);
		st = nl_info(&a).stats;
		assert_int_equal(st.tx_packets, 110);
		for (int i = 0; i < TVQ_DROPS; i++)
			assert_int_equal(st.drops[i], 0);
		/* The others are not limited. */
		for (uint32_t i = 0; i < 100; i++)
			nl_passes(&c, &b, 60, i);
		down(&l);
	}
}

static void a_limit_that_is_lifted_lets_go_what_waits(void **state)
{
	struct dl l;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++) {
		struct tvq_net_frame *tf[60];

		up(&l, v);
		/* One frame in 1000 seconds: none of the others would come by itself. */
		set_rate(&a, 1, 0);
		for (uint32_t i = 0; i < 60; i++) {
			nl_ether(f, b.mac, a.mac, NL_TYPE, 1000, i);
			tf[i] = nl_put(&a, NULL, f, 1000);
		}
		assert_int_equal(tvq_net_send(a.net, 0, tf, 60), 60);
		nl_ether(f, b.mac, a.mac, NL_TYPE, 1000, 0);
		nl_expect(&b, f, 1000);
		nl_nothing_before(&c, &b, 1);
		set_rate(&a, 0, 0);
		for (uint32_t i = 1; i < 60; i++) {
			nl_ether(f, b.mac, a.mac, NL_TYPE, 1000, i);
			nl_expect(&b, f, 1000);
		}
		nl_sent(&a, 0);
		/* A device whose frames wait can go. */
		set_rate(&a, 1, 0);
		assert_int_equal(tvq_net_send(a.net, 0, tf, 60), 60);
		dl_turns(&l, 10);
		down(&l);
	}
}

/* ---- the management device as a network device ---- */

static struct {
	struct tvq_drv_ring *ring;
	uint64_t iova;
	uint8_t *mem;
} own[2];

/* Queues 0 and 1 of the management device, with one buffer of 2048 bytes behind each ring. */
static void own_queue(struct dl *l, uint16_t index, bool packed)
{
	struct tvq_drv_ring_cfg cfg = { .packed = packed, .event_idx = true, .size = 16 };
	uint64_t bytes = (tvq_drv_ring_bytes(packed, 16, 0) + 63) & ~63ull;
	struct tvq_bus_queue q = { .index = index, .size = 16 };

	cfg.indirect = false;
	own[index].mem = l->bus->ops->dma_alloc(l->bus, bytes + 2048, &own[index].iova);
	assert_non_null(own[index].mem);
	cfg.mem = own[index].mem;
	cfg.iova = own[index].iova;
	own[index].ring = tvq_drv_ring_new(&tvq_os_host, &cfg, 0);
	assert_non_null(own[index].ring);
	tvq_drv_ring_areas(own[index].ring, &q.desc, &q.driver, &q.device);
	own[index].mem += bytes;
	own[index].iova += bytes;
	assert_int_equal(l->bus->ops->queue_setup(l->bus, &q, NULL, NULL), 0);
}

static void own_give(struct dl *l, uint16_t index, uint32_t len)
{
	struct tvq_sg sg = { own[index].iova, len };

	assert_int_equal(tvq_drv_ring_add(own[index].ring, &sg, index, !index, &own[index]), 0);
	tvq_drv_ring_publish(own[index].ring);
	l->bus->ops->queue_notify(l->bus, index);
}

/* TQ-010: transportq at 2N + 1, and its own port is one of the switch. */
static void a_network_management_device_is_a_port_of_its_own_switch(void **state)
{
	struct tvq_mgmt_cfg mgmt = { .type = TVQ_TYPE_NET };
	struct dl l;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++) {
		struct tvq_client_cfg cc = { .packed = v->packed };
		struct tvq_mgmt_cfg m = mgmt;
		uint8_t mac[6], *tx, *rx;
		struct tvq_port_info info;
		uint32_t written;
		int err;

		dl_prepare(&l, v->workers, &m);
		l.bus = tvq_inproc_new(&m, &err);
		assert_non_null(l.bus);
		assert_int_equal(l.bus->ops->device_type(l.bus), TVQ_TYPE_NET);
		l.client = tvq_client_new(l.bus, &cc, &err);
		assert_non_null(l.client);
		assert_int_not_equal(l.bus->ops->queue_max(l.bus, 3), 0);
		assert_int_equal(l.bus->ops->queue_max(l.bus, 4), 0);
		assert_int_equal(l.bus->ops->config_read(l.bus, 0, mac, 6), 0);
		own_queue(&l, 0, v->packed);
		own_queue(&l, 1, v->packed);
		rx = own[0].mem;
		tx = own[1].mem;
		own_give(&l, 0, 2048);
		nl_dev_up(&a, &l, v, 0);
		/* From it to a managed device. */
		memset(tx, 0, NL_HDR);
		nl_ether(tx + NL_HDR, a.mac, mac, NL_TYPE, 300, 1);
		own_give(&l, 1, NL_HDR + 300);
		nl_expect(&a, tx + NL_HDR, 300);
		dl_until(&l, tvq_drv_ring_get(own[1].ring, &written));
		/* And back. */
		nl_ether(f, mac, a.mac, NL_TYPE, 400, 2);
		nl_send(&a, f, 400);
		dl_until(&l, tvq_drv_ring_get(own[0].ring, &written));
		assert_int_equal(written, NL_HDR + 400);
		assert_memory_equal(rx + NL_HDR, f, 400);
		/* Its address is nobody else's. */
		nl_ether(f, nl_everybody, mac, NL_TYPE, 60, 3);
		nl_send(&a, f, 60);
		assert_int_equal(nl_drops(&a, TVQ_DROP_SPOOFED), 1);
		nl_on_port(&l, 0, nl_get_info, &info);
		assert_memory_equal(info.mac, mac, 6);
		assert_int_equal(info.stats.tx_packets, 1);
		assert_int_equal(info.stats.rx_packets, 1);
		nl_dev_down(&a);
		dl_down(&l);
		tvq_drv_ring_free(own[0].ring);
		tvq_drv_ring_free(own[1].ring);
	}
}

#define MANAGES (BIT(VIRTIO_F_TRNSPT_VQ) | BIT(VIRTIO_F_TRNSPT_VQ_VDEV))

/* TQ-010, TQ-014: a managed network device that manages others; all are ports of one switch. */
static void devices_of_a_nested_network_manager_are_on_the_same_switch(void **state)
{
	struct dl l;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++)
		for (uint16_t pairs = 1; pairs < 4; pairs += 2) {
			struct virtio_transportq_net_config cfg = { .max_virtqueue_pairs = pairs };
			struct tvq_client_cfg cc = { .packed = v->packed };
			struct tvq_net_cfg nc = { .packed = v->packed };
			struct tvq_client *client;
			struct tvq_type_info info;
			struct tvq_bus *bus;
			uint64_t manager, id;
			int err;

			dl_up(&l, v->workers, NULL);
			nl_dev_up(&a, &l, v, 0);
			assert_int_equal(tvq_client_type(l.client, TVQ_TYPE_NET, &info), 0);
			if (pairs == 1)
				cfg.max_virtqueue_pairs = 0;
			manager = nl_create(l.client,
					    (info.default_features & ~(1ull << VIRTIO_F_IN_ORDER)) |
						    MANAGES | (pairs > 1 ? F(MQ) : 0),
					    &cfg);
			bus = tvq_nested_new(l.client, manager, TVQ_TYPE_NET, &err);
			assert_non_null(bus);
			client = tvq_client_new(bus, &cc, &err);
			assert_non_null(client);
			id = nl_create(client, 0, NULL);
			b = (struct nl_dev){ .l = &l, .id = id };
			b.net = tvq_net_new(client, id, &nc, &err);
			assert_non_null(b.net);
			tvq_net_mac(b.net, b.mac);
			b.tx = tvq_net_dma_alloc(b.net, (size_t)NL_SLOTS * NL_MAX, &b.tx_iova);
			assert_non_null(b.tx);
			(void)nl_info(&a);
			nl_passes(&a, &b, 100, 1);
			nl_passes(&b, &a, 1514, 2);
			/* Its manager's end is its own. */
			tvq_net_free(b.net);
			bus->ops->dma_free(bus, b.tx, (size_t)NL_SLOTS * NL_MAX);
			tvq_client_free(client);
			bus->ops->free(bus);
			assert_int_equal(dl_destroy(l.client, manager), 0);
			nl_ether(f, b.mac, a.mac, NL_TYPE, 60, 3);
			nl_send(&a, f, 60);
			nl_dev_down(&a);
			dl_down(&l);
		}
}

/* ---- a switch of two management devices ---- */

struct held {
	struct tvq_switch_op op;
	atomic_bool let_go;
	bool done;
};

static void hold(struct tvq_switch_op *op)
{
	while (!((struct held *)op)->let_go)
		sched_yield();
}

static void held_done(struct tvq_switch_op *op)
{
	((struct held *)op)->done = true;
}

/* l has another management device at one's switch; queues and volumes are not asked for. */
static void second_up(struct dl *l, const struct dl *one)
{
	struct tvq_mgmt_cfg m = {
		.os = &tvq_os_host,
		.control = one->exec,
		.workers = ((struct dl *)(uintptr_t)one)->workers,
		.n_workers = one->n_workers,
		.net_switch = tvq_device_switch(tvq_inproc_device(one->bus)),
	};
	struct tvq_exec *more[2] = { one->n_workers ? one->workers[0] : one->exec, one->exec };
	int err;

	*l = *one;
	m.type = TVQ_TYPE_NET;
	assert_null(tvq_inproc_new(&m, &err));
	assert_int_equal(err, -EINVAL);
	m.type = 0;
	if (one->n_workers) {
		struct tvq_mgmt_cfg other = m;

		other.workers = more;
		other.n_workers = 2;
		assert_null(tvq_inproc_new(&other, &err));
		assert_int_equal(err, -EINVAL);
	}
	l->bus = tvq_inproc_new(&m, &err);
	assert_non_null(l->bus);
	l->client = tvq_client_new(l->bus, NULL, &err);
	assert_non_null(l->client);
}

static void devices_of_two_management_devices_meet_where_they_share_a_switch(void **state)
{
	struct dl l, second;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++) {
		struct virtio_transportq_net_config cfg = { 0 };
		struct tvq_create same = {
			.virtio_device_id = TVQ_TYPE_NET,
			.config = &cfg,
			.config_len = sizeof(cfg),
		};
		struct held held = { .op = { .run = hold, .done = held_done } };

		dl_up(&l, v->workers, NULL);
		second_up(&second, &l);
		nl_dev_up(&a, &l, v, 0);
		nl_dev_up(&b, &second, v, 0);
		nl_passes(&a, &b, 100, 1);
		nl_passes(&b, &a, 1514, 2);
		memcpy(cfg.mac, a.mac, 6);
		assert_int_equal(tvq_client_create_call(second.client, &same), -EIO);
		nl_dev_down(&b);
		assert_int_equal(dl_destroy(second.client, b.id), 0);

		/* Its reset waits for what it did itself, not for others. */
		if (v->workers)
			tvq_switch_run(tvq_device_switch(tvq_inproc_device(l.bus)), &held.op);
		tvq_client_free(second.client);
		assert_int_equal(second.bus->ops->set_status(second.bus, 0), 0);
		dl_until(&second, !second.bus->ops->status(second.bus));
		second.bus->ops->free(second.bus);
		assert_false(held.done);
		held.let_go = true;
		if (v->workers)
			dl_wait(&l, &held.done);

		/* And the switch is still there. */
		nl_dev_up(&b, &l, v, 0);
		nl_passes(&a, &b, 100, 3);
		nl_dev_down(&b);
		nl_dev_down(&a);
		dl_down(&l);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_link_that_is_down_passes_nothing),
		cmocka_unit_test(a_block_device_has_no_link),
		cmocka_unit_test(access_ports_are_apart_and_a_trunk_hears_them_with_their_tags),
		cmocka_unit_test(open_ports_pass_tags_as_they_are),
		cmocka_unit_test(a_port_sends_no_faster_than_its_rate_and_loses_nothing),
		cmocka_unit_test(a_limit_that_is_lifted_lets_go_what_waits),
		cmocka_unit_test(a_network_management_device_is_a_port_of_its_own_switch),
		cmocka_unit_test(devices_of_a_nested_network_manager_are_on_the_same_switch),
		cmocka_unit_test(devices_of_two_management_devices_meet_where_they_share_a_switch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
