/* SPDX-License-Identifier: BSD-3-Clause */
/* The polling network driver, against managed network devices and against one that lies. */
#include "net_lab.h"

#include <linux/if_ether.h>

static void one_up(struct dl *l, const struct nl_variant *v, struct nl_dev *d)
{
	dl_up(l, v->workers, NULL);
	nl_dev_up(d, l, v, 0);
}

static void one_down(struct dl *l, struct nl_dev *d)
{
	nl_dev_down(d);
	dl_down(l);
}

static void two_up(struct dl *l, const struct nl_variant *v, struct nl_dev *d, struct nl_dev *e)
{
	one_up(l, v, d);
	nl_dev_up(e, l, v, 0);
}

static void two_down(struct dl *l, struct nl_dev *d, struct nl_dev *e)
{
	nl_dev_down(d);
	one_down(l, e);
}

static void frames_go_both_ways_in_batches_with_their_bytes(void **state)
{
	static uint8_t f[2][32][1600];
	static struct nl_dev d[2];
	struct dl l;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++) {
		two_up(&l, v, &d[0], &d[1]);
		assert_int_equal(!!(tvq_net_features(d[0].net) & BIT(VIRTIO_F_RING_PACKED)),
				 v->packed);
		for (uint32_t round = 0; round < 40; round++) {
			struct tvq_net_frame *tx[2][32];
			uint32_t len[2][32];

			for (int k = 0; k < 2; k++)
				for (uint32_t i = 0; i < 32; i++) {
					len[k][i] = round & 1 ? 60 + i * 46 : 60;
					nl_ether(f[k][i], d[!k].mac, d[k].mac, NL_TYPE, len[k][i],
						 round * 100 + i);
					tx[k][i] = nl_put(&d[k], NULL, f[k][i], len[k][i]);
				}
			for (int k = 0; k < 2; k++)
				assert_int_equal(tvq_net_send(d[k].net, 0, tx[k], 32), 32);
			for (int k = 0; k < 2; k++)
				for (uint32_t i = 0; i < 32; i++)
					nl_expect(&d[!k], f[k][i], len[k][i]);
			nl_sent(&d[0], 0);
			nl_sent(&d[1], 0);
		}
		two_down(&l, &d[0], &d[1]);
	}
}

static void sent_frames_come_back_with_their_user(void **state)
{
	static struct nl_dev d;
	struct tvq_net_frame *f[8], *back[8];
	unsigned int n = 0, seen = 0;
	uint8_t buf[60];
	struct dl l;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++) {
		one_up(&l, v, &d);
		nl_ether(buf, nl_everybody, d.mac, NL_TYPE, sizeof(buf), 1);
		for (uintptr_t i = 0; i < 8; i++) {
			f[i] = nl_put(&d, NULL, buf, sizeof(buf));
			f[i]->user = (void *)(i + 1);
		}
		assert_int_equal(tvq_net_send(d.net, 0, f, 8), 8);
		n = seen = 0;
		while (n < 8) {
			unsigned int got = tvq_net_sent(d.net, 0, back, 3);

			assert_true(got <= 3);
			for (unsigned int i = 0; i < got; i++)
				seen |= 1u << (uintptr_t)back[i]->user;
			n += got;
			dl_turns(&l, 1);
		}
		assert_int_equal(seen, 0x1fe);
		assert_int_equal(tvq_net_sending(d.net, 0), 0);
		one_down(&l, &d);
	}
}

static void a_full_transmit_queue_takes_no_more(void **state)
{
	static struct nl_dev d;
	struct tvq_net_frame *f[NL_SLOTS];
	struct tvq_net_cfg cfg = { .queue_size = 16 };
	uint8_t buf[60];
	struct dl l;

	(void)state;
	dl_up(&l, 0, NULL);
	nl_drive(&d, &l, nl_create(l.client, 0, NULL), &cfg);
	nl_ether(buf, nl_everybody, d.mac, NL_TYPE, sizeof(buf), 1);
	for (int i = 0; i < 20; i++)
		f[i] = nl_put(&d, NULL, buf, sizeof(buf));
	assert_int_equal(tvq_net_send(d.net, 0, f, 20), 16);
	assert_int_equal(tvq_net_send(d.net, 0, f + 16, 4), 0);
	assert_int_equal(tvq_net_sending(d.net, 0), 16);
	nl_sent(&d, 0);
	assert_int_equal(tvq_net_send(d.net, 0, f + 16, 4), 4);
	nl_sent(&d, 0);
	/* Frames that are with the device when the driver ends are the caller's again. */
	assert_int_equal(tvq_net_send(d.net, 0, f, 16), 16);
	one_down(&l, &d);
}

static void what_was_negotiated_is_told(void **state)
{
	static struct nl_dev d;
	struct virtio_transportq_net_config c = { .mac = { 2, 0, 0, 0, 0, 9 }, .mtu = 1400 };
	struct tvq_net_cfg none = { .features = F(GUEST_ANNOUNCE) }, /* which needs another */
		few = { .features = F(MTU) }, hash = { .features = F(HASH_REPORT) | F(CTRL_VQ) };
	static const uint8_t zero[6];
	uint16_t status = 0;
	int err = 0;
	uint64_t id;
	struct dl l;

	(void)state;
	dl_up(&l, 0, NULL);
	id = nl_create(l.client, 0, &c);
	nl_drive(&d, &l, id, NULL);
	assert_true(tvq_net_features(d.net) & F(MAC));
	assert_true(tvq_net_features(d.net) & F(CTRL_VQ));
	assert_memory_equal(d.mac, c.mac, 6);
	assert_int_equal(tvq_net_mtu(d.net), 1400);
	assert_int_equal(tvq_net_pairs(d.net), 1);
	assert_int_equal(tvq_net_hdr_len(d.net), 12);
	assert_int_equal(tvq_net_status(d.net, &status), 0);
	assert_int_equal(status, VIRTIO_NET_S_LINK_UP);
	nl_dev_down(&d);
	/* Only what is asked for. */
	nl_drive(&d, &l, id, &few);
	assert_int_equal(tvq_net_features(d.net) & 0xffffff, F(MTU));
	assert_memory_equal(d.mac, zero, 6);
	assert_int_equal(tvq_net_mtu(d.net), 1400);
	assert_int_equal(tvq_net_status(d.net, &status), 0);
	assert_int_equal(status, VIRTIO_NET_S_LINK_UP);
	assert_int_equal(tvq_net_ctrl(d.net, 0, 0, "", 1), -EOPNOTSUPP);
	nl_dev_down(&d);
	nl_drive(&d, &l,
		 nl_create(l.client,
			   BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_ACCESS_PLATFORM) | F(CTRL_VQ) |
				   F(HASH_REPORT),
			   NULL),
		 &hash);
	assert_int_equal(tvq_net_hdr_len(d.net), 20);
	nl_dev_down(&d);
	/* What cannot be. */
	tvq_os_host_log_level((enum tvq_log_level) - 1);
	assert_null(tvq_net_new(l.client, id, &none, &err));
	assert_int_equal(err, -EPROTO);
	none = (struct tvq_net_cfg){ .pairs = 2 };
	assert_null(tvq_net_new(l.client, id, &none, &err));
	assert_int_equal(err, -EINVAL);
	assert_null(tvq_net_new(l.client, 12345, NULL, &err));
	assert_int_equal(err, -EIO);
	tvq_os_host_log_level(TVQ_LOG_ERR);
	dl_down(&l);
}

/* TQ-120: its memory is in the manager's space, whatever the device's default is. */
static void a_device_of_another_space_is_driven_as_well(void **state)
{
	static struct nl_dev a, b;
	struct tvq_create cr = { .virtio_device_id = TVQ_TYPE_NET };
	struct dl l;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++) {
		struct tvq_net_cfg cfg = { .packed = v->packed };

		dl_up(&l, v->workers, NULL);
		assert_int_equal(l.bus->ops->space_new(l.bus, &cr.asid), 0);
		assert_int_equal(tvq_client_create_call(l.client, &cr), 0);
		nl_drive(&a, &l, cr.device_id, &cfg);
		nl_dev_up(&b, &l, v, 0);
		nl_passes(&a, &b, 60, 1);
		nl_passes(&b, &a, 60, 2);
		nl_dev_down(&a);
		nl_dev_down(&b);
		assert_int_equal(dl_destroy(l.client, cr.device_id), 0);
		l.bus->ops->space_free(l.bus, cr.asid);
		dl_down(&l);
	}
}

static void a_frame_comes_in_as_many_buffers_as_it_takes(void **state)
{
	static struct nl_dev a, b;
	struct tvq_net_cfg cfg = { .queue_size = 64, .buffer_size = 256 };
	static uint8_t f[1514];
	struct tvq_net_rx rx;
	struct dl l;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++) {
		one_up(&l, v, &a);
		cfg.packed = v->packed;
		nl_drive(&b, &l, nl_create(l.client, 0, NULL), &cfg);
		for (uint32_t len = 60; len <= 1514; len += 97) {
			uint32_t pieces = 0;
			struct tvq_net_buf *p;

			nl_ether(f, b.mac, a.mac, NL_TYPE, len, len);
			nl_send(&a, f, len);
			dl_until(&l, tvq_net_poll(b.net, 0, &rx, 1));
			for (p = rx.buf; p; p = p->next)
				pieces++;
			assert_int_equal(pieces, (NL_HDR + len + 255) / 256);
			assert_int_equal(((const struct virtio_net_hdr_v1 *)rx.hdr)->num_buffers,
					 pieces);
			assert_int_equal(rx.len, len);
			assert_int_equal(tvq_net_copy(&rx, b.got.data, NL_MAX), len);
			assert_memory_equal(b.got.data, f, len);
			/* As much as there is room for. */
			memset(b.got.data, 0, 301);
			assert_int_equal(tvq_net_copy(&rx, b.got.data, 50), 50);
			assert_memory_equal(b.got.data, f, 50);
			assert_int_equal(b.got.data[50], 0);
			tvq_net_refill(b.net, 0, &rx, 1);
		}
		two_down(&l, &a, &b);
	}
}

static void every_pair_sends_and_receives(void **state)
{
	struct virtio_transportq_net_config c = { .max_virtqueue_pairs = 4 };
	static struct nl_dev a, b;
	uint8_t f[64];
	struct dl l;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++) {
		struct tvq_net_cfg cfg = { .packed = v->packed, .pairs = 4, .queue_size = 32 };

		dl_up(&l, v->workers, NULL);
		nl_drive(&a, &l, nl_create(l.client, 0, &c), &cfg);
		nl_dev_up(&b, &l, v, 0);
		assert_int_equal(tvq_net_pairs(a.net), 4);
		for (uint16_t pair = 0; pair < 4; pair++) {
			nl_ether(f, b.mac, a.mac, NL_TYPE, sizeof(f), pair);
			/* A flow of its own: what it sends on, it gets the answers on. */
			f[14] = (uint8_t)pair;
			nl_send_hdr(&a, pair, NULL, f, sizeof(f));
			nl_expect(&b, f, sizeof(f));
		}
		assert_int_equal(tvq_net_use_pairs(a.net, 1), 0);
		assert_int_equal(tvq_net_use_pairs(a.net, 4), 0);
		assert_int_equal(tvq_net_use_pairs(a.net, 5), -EIO);
		assert_int_equal(tvq_net_use_pairs(a.net, 0), -EIO);
		two_down(&l, &a, &b);
	}
}

static void control_commands_bring_the_devices_answer(void **state)
{
	static struct nl_dev d;
	static uint8_t big[5000];
	uint8_t on = 1;
	struct dl l;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++) {
		one_up(&l, v, &d);
		for (int i = 0; i < 100; i++) {
			assert_int_equal(tvq_net_ctrl(d.net, VIRTIO_NET_CTRL_RX,
						      VIRTIO_NET_CTRL_RX_PROMISC, &on, 1),
					 0);
			assert_int_equal(tvq_net_ctrl(d.net, 0x77, 0, &on, 1), -EIO);
		}
		assert_int_equal(tvq_net_ctrl(d.net, 0, 0, big, 4097), -EINVAL);
		assert_int_equal(tvq_net_ctrl(d.net, 0, 0, big, 4096), -EIO);
		one_down(&l, &d);
	}
}

static void a_broken_device_ends_a_command_and_a_new_driver_repairs_it(void **state)
{
	static struct nl_dev d, e;
	uint8_t on = 1;
	struct dl l;

	(void)state;
	for (const struct nl_variant *v = nl_variants; v < NL_VARIANTS_END; v++) {
		two_up(&l, v, &d, &e);
		tvq_os_host_log_level((enum tvq_log_level) - 1);
		assert_int_equal(tvq_device_break(tvq_inproc_device(l.bus), d.id, "the test"), 0);
		tvq_os_host_log_level(TVQ_LOG_ERR);
		assert_int_equal(tvq_net_ctrl(d.net, 0, 0, &on, 1), -ENODEV);
		/* The device may have it still. */
		assert_int_equal(tvq_net_ctrl(d.net, 0, 0, &on, 1), -ETIMEDOUT);
		nl_dev_down(&d);
		nl_drive(&d, &l, d.id, NULL);
		assert_int_equal(tvq_net_ctrl(d.net, 0, 0, &on, 1), 0);
		nl_passes(&d, &e, 60, 1);
		two_down(&l, &d, &e);
	}
}

/* ---- a device that lies ---- */

/*
 * The real device never gets a turn between a frame and the driver's look: what the receive queue's
 * used ring says is the test's. Where it is, VQ_ADDR SET tells.
 */
struct liar {
	struct tvq_bus_ops ops;
	const struct tvq_bus_ops *real;
	struct {
		uint8_t *va;
		uint64_t iova;
		size_t size;
	} mem[16];
	unsigned int n_mem;
	uint64_t desc, driver, device; /* of queue 0 */
};
static struct liar liar;

static void *spy_alloc(struct tvq_bus *b, size_t size, uint64_t *iova)
{
	void *p = liar.real->dma_alloc(b, size, iova);

	assert_true(liar.n_mem < 16);
	liar.mem[liar.n_mem].va = p;
	liar.mem[liar.n_mem].iova = *iova;
	liar.mem[liar.n_mem++].size = size;
	return p;
}

static void spy_commands(void *ctx, const struct tvq_cmd *cmd, const void *out)
{
	const struct virtio_transportq_ctrl_vdev_vq_addr *a = out;

	(void)ctx;
	if (cmd->class != VIRTIO_TRANSPTQ_CTRL_VQ_ADDR || a->queue_index)
		return;
	liar.desc = a->descriptor_area;
	liar.driver = a->driver_area;
	liar.device = a->device_area;
}

static void *at(uint64_t iova)
{
	for (unsigned int i = 0; i < liar.n_mem; i++)
		if (iova - liar.mem[i].iova < liar.mem[i].size)
			return liar.mem[i].va + (iova - liar.mem[i].iova);
	fail();
	return NULL;
}

/* The k-th available buffer is used with that length, and begins with a header of num_buffers. */
static void lie(uint16_t k, uint32_t id_off, uint32_t len, uint16_t num_buffers)
{
	struct vring_avail *avail = at(liar.driver);
	struct vring_used *used = at(liar.device);
	struct vring_desc *desc = at(liar.desc);
	uint16_t head = avail->ring[k];
	struct virtio_net_hdr_v1 *h = at(desc[head].addr);

	h->num_buffers = num_buffers;
	used->ring[k] = (struct vring_used_elem){ .id = head + id_off, .len = len };
	__atomic_store_n(&used->idx, (uint16_t)(k + 1), __ATOMIC_RELEASE);
}

static void liar_up(struct dl *l, struct nl_dev *d, uint64_t features)
{
	struct tvq_net_cfg cfg = { .queue_size = 8, .buffer_size = 512, .features = features };

	memset(&liar, 0, sizeof(liar));
	dl_up(l, 0, NULL);
	liar.real = l->bus->ops;
	liar.ops = *l->bus->ops;
	liar.ops.dma_alloc = spy_alloc;
	l->bus->ops = &liar.ops;
	tvq_client_trace(l->client, spy_commands, NULL);
	nl_drive(d, l, nl_create(l->client, 0, NULL), &cfg);
	assert_int_not_equal(liar.device, 0);
}

static void liar_down(struct dl *l, struct nl_dev *d)
{
	nl_dev_down(d);
	tvq_client_trace(l->client, NULL, NULL);
	l->bus->ops = liar.real;
	dl_down(l);
}

static void what_a_lying_device_says_is_not_believed(void **state)
{
	static const struct {
		uint32_t id_off, len;
		uint16_t num_buffers;
		bool mergeable, fine;
		uint32_t second; /* length of a second buffer; 0: none */
	} lies[] = {
		{ 0, 72, 1, true, true, 0 },
		{ 0, 72, 0, false, true, 0 }, /* without MRG_RXBUF it is not looked at */
		{ 0, 12, 1, true, true, 0 },
		{ 0, 11, 1, true, false, 0 },
		{ 0, 0, 1, true, false, 0 },
		{ 0, 512, 1, true, true, 0 },
		{ 0, 513, 1, true, false, 0 },
		{ 0, 0xffffffff, 1, true, false, 0 },
		{ 0, 0xffffffff, 1, false, false, 0 },
		{ 0, 72, 0, true, false, 0 },
		{ 0, 512, 2, true, false, 0 },
		{ 0, 512, 2, true, true, 100 },
		{ 0, 512, 2, true, false, 513 },
		{ 0, 512, 3, true, false, 512 },
		{ 0, 512, 0xffff, true, false, 512 },
		{ 100, 72, 1, true, false, 0 },
	};
	static struct nl_dev d;
	struct tvq_net_rx rx[4];
	struct dl l;

	(void)state;
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		liar_up(&l, &d, F(MAC) | (lies[i].mergeable ? F(MRG_RXBUF) : 0));
		lie(0, lies[i].id_off, lies[i].len, lies[i].num_buffers);
		if (lies[i].second)
			lie(1, 0, lies[i].second, 1);
		assert_int_equal(tvq_net_poll(d.net, 0, rx, 4), lies[i].fine);
		assert_int_equal(tvq_net_broken(d.net), !lies[i].fine);
		if (lies[i].fine) {
			assert_int_equal(rx[0].len, lies[i].len - NL_HDR + lies[i].second);
			assert_int_equal(tvq_net_copy(&rx[0], d.got.data, NL_MAX), rx[0].len);
		} else {
			assert_int_equal(tvq_net_poll(d.net, 0, rx, 4), 0);
		}
		liar_down(&l, &d);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_go_both_ways_in_batches_with_their_bytes),
		cmocka_unit_test(sent_frames_come_back_with_their_user),
		cmocka_unit_test(a_full_transmit_queue_takes_no_more),
		cmocka_unit_test(what_was_negotiated_is_told),
		cmocka_unit_test(a_device_of_another_space_is_driven_as_well),
		cmocka_unit_test(a_frame_comes_in_as_many_buffers_as_it_takes),
		cmocka_unit_test(every_pair_sends_and_receives),
		cmocka_unit_test(control_commands_bring_the_devices_answer),
		cmocka_unit_test(a_broken_device_ends_a_command_and_a_new_driver_repairs_it),
		cmocka_unit_test(what_a_lying_device_says_is_not_believed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
