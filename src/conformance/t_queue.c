// SPDX-License-Identifier: BSD-3-Clause
/* Section 2: feature bits and the transportq. Nested managers: t_nested.c. */
#include <string.h>

#include <tvq/wire.h>

#include "conformance/ct.h"
#include "device/features.h"
#include "device/util.h"

static void the_transportq_is_the_last_virtqueue(struct ct *t)
{
	uint16_t last = t->transportq;

	ct_check(t, t->bus->ops->queue_max(t->bus, last), "queue %u is none", last);
	for (unsigned int i = last + 1u; i < last + 70u; i++)
		ct_check(t, !t->bus->ops->queue_max(t->bus, (uint16_t)i),
			 "there is a queue %u behind it", i);
	for (uint16_t i = 0; i < last && t->bus->ops->device_type(t->bus) == 2; i++)
		ct_check(t, t->bus->ops->queue_max(t->bus, i), "request queue %u is none", i);
	/* The same before FEATURES_OK, by what is offered. */
	ct_reset(t);
	ct_check(t, t->bus->ops->queue_max(t->bus, last), "queue %u is none before FEATURES_OK",
		 last);
}

static void a_request_queue_takes_no_commands(struct ct *t)
{
	struct mgmt_dev_avail_res before, after;
	struct virtio_transportq_ctrl_vdev_attribute a;
	struct ct_limits small = { .max_devices = 4 };
	struct tvq_drv_ring *transportq;
	uint16_t index, other;
	struct ct_chain *c;

	ct_limit(t, &small);
	/* Of a network device, the one that it reads from. */
	other = t->bus->ops->device_type(t->bus) == 1;
	ct_check(t, t->transportq, "there is no other queue");
	ct_ok(t, 0, AVAIL_RES, GET, NULL, 0, &before, sizeof(before));
	memset(&a, 0, sizeof(a));
	tvq_put32(&a.virtio_device_id, 2);
	transportq = t->ring;
	index = t->transportq;
	t->ring = NULL;
	ct_check(t, ct_setup_transportq(t, other) == 0, "queue %u cannot be set up", other);
	t->rings[t->n_rings++] = t->ring;
	c = ct_start(t, 0, CT_CLASS(VDEV), VIRTIO_TRANSPTQ_CTRL_VDEV_CREATE, &a, sizeof(a), 8);
	ct_check(t, ct_wait_chain(t, c), "it is not even used");
	t->ring = transportq;
	t->transportq = index;
	ct_ok(t, 0, AVAIL_RES, GET, NULL, 0, &after, sizeof(after));
	ct_check(t, !memcmp(&before, &after, sizeof(after)), "queue %u created a device", other);
}

static void the_second_bit_without_the_first_is_refused(struct ct *t)
{
	uint64_t offered;

	ct_reset(t);
	offered = t->bus->ops->features(t->bus);
	ct_check(t, offered & t->f_vdev && offered & t->f_vq,
		 "the device does not offer both bits");
	t->bus->ops->set_features(t->bus, offered & ~t->f_vq);
	t->bus->ops->set_status(t->bus, 11);
	ct_check(t, t->bus->ops->status(t->bus) == 3, "FEATURES_OK stays: status 0x%x",
		 t->bus->ops->status(t->bus));
	/* The driver may try again. */
	ct_check(t, t->bus->ops->set_features(t->bus, offered) == 0, "the features are refused");
	t->bus->ops->set_status(t->bus, 11);
	ct_check(t, t->bus->ops->status(t->bus) == 11, "status 0x%x", t->bus->ops->status(t->bus));
}

static void every_command_fails_but_with_both_bits(struct ct *t)
{
	uint64_t all = t->features, without[] = { t->f_vdev, t->f_vq | t->f_vdev };

	for (size_t w = 0; w < 2; w++) {
		ct_connect(t, all & ~without[w]);
		for (int i = 0; i < TVQ_COMMANDS; i++) {
			const struct tvq_command *d = &tvq_commands[i];
			uint8_t out[64] = { 2 }, in[128];

			ct_check(t,
				 ct_command(t, d->flags & TVQ_CMD_MGMT ? 0 : 1, d->class,
					    d->command, out,
					    d->out_len == TVQ_VAR ? 16 : d->out_len, in,
					    d->in_len == TVQ_VAR ? 64 : d->in_len) == CT_ERR,
				 "%s without %s", d->name, w ? "both bits" : "the second bit");
		}
	}
	ct_connect(t, all);
	ct_new_blk(t);
}

static void in_order_is_not_offered(struct ct *t)
{
	ct_check(t, !(t->bus->ops->features(t->bus) & CT_F(35)), "it is");
}

/* More commands than the ring has places, many in flight, of many pieces. */
static void use_it(struct ct *t, bool packed, bool event_idx, bool indirect)
{
	static const uint32_t fives[] = { 5, 5, 5, 5, 0 };
	uint64_t id = ct_new_blk(t);

	for (unsigned int round = 0; round < 20; round++) {
		uint8_t out[16][20];
		struct ct_chain c[16];
		size_t mark = t->dma_used;

		memset(out, 0, sizeof(out));
		for (unsigned int i = 0; i < 16; i++) {
			struct virtio_transportq_ctrl *h = (void *)out[i];

			tvq_put64(&h->device_id, id);
			tvq_put16(&h->class, VIRTIO_TRANSPTQ_CTRL_CONFIG);
			tvq_put32(out[i] + 12, i);
			tvq_put32(out[i] + 16, 8);
			c[i] = (struct ct_chain){ .out = out[i],
						  .out_len = 20,
						  .in_len = 12,
						  .out_cuts = i & 1 ? fives : NULL,
						  .in_cuts = i & 1 ? fives : NULL };
			ct_send_chain(t, &c[i]);
		}
		for (unsigned int i = 0; i < 16; i++)
			ct_check(t,
				 ct_wait_chain(t, &c[i]) && ct_ack(&c[i]) == CT_OK &&
					 c[i].used_len == 12,
				 "packed %d, event index %d, indirect %d: round %u, command %u",
				 packed, event_idx, indirect, round, i);
		t->dma_used = mark;
	}
	ct_check(t, !tvq_drv_ring_broken(t->ring), "the device used what it did not have");
}

static void it_works_in_every_format_the_device_offers(struct ct *t)
{
	uint64_t all = t->bus->ops->features(t->bus) & ~CT_F(TVQ_F_NOTIFICATION_DATA);
	uint64_t formats = CT_F(TVQ_F_RING_PACKED) | CT_F(TVQ_F_EVENT_IDX) |
			   CT_F(TVQ_F_INDIRECT_DESC);

	ct_check(t, (all & formats) == formats,
		 "offered 0x%llx: packed, event index or indirect is missing",
		 (unsigned long long)all);
	for (int i = 0; i < 8; i++) {
		uint64_t f = all & ~formats;

		f |= (i & 1 ? CT_F(TVQ_F_RING_PACKED) : 0) | (i & 2 ? CT_F(TVQ_F_EVENT_IDX) : 0) |
		     (i & 4 ? CT_F(TVQ_F_INDIRECT_DESC) : 0);
		ct_connect(t, f);
		use_it(t, i & 1, i & 2, i & 4);
	}
}

static void count_up(void *ctx)
{
	(*(volatile unsigned int *)ctx)++;
}

static bool counted(void *arg)
{
	return *(volatile unsigned int *)arg;
}

/* Its ring, with a callback. */
static void set_up_counted(struct ct *t, uint64_t features, unsigned int *n)
{
	struct tvq_drv_ring_cfg cfg = {
		.packed = features >> TVQ_F_RING_PACKED & 1,
		.event_idx = features >> TVQ_F_EVENT_IDX & 1,
		.size = 64,
	};
	struct tvq_bus_queue q = { .index = t->transportq, .size = 64 };

	ct_reset(t);
	ct_check(t, t->bus->ops->set_features(t->bus, features) == 0, "the features are refused");
	t->bus->ops->set_status(t->bus, 11);
	t->features = features;
	cfg.mem = ct_alloc(t, tvq_drv_ring_bytes(cfg.packed, 64, 0), 4096, &cfg.iova);
	t->ring = tvq_drv_ring_new(t->bus->os, &cfg, 0);
	ct_check(t, t->ring, "no memory");
	tvq_drv_ring_areas(t->ring, &q.desc, &q.driver, &q.device);
	ct_check(t, t->bus->ops->queue_setup(t->bus, &q, count_up, n) == 0,
		 "the transportq cannot be set up");
	t->bus->ops->set_status(t->bus, 15);
}

static void its_interrupts_keep_to_flags_and_event_index(struct ct *t)
{
	uint64_t all = t->bus->ops->features(t->bus) & ~CT_F(TVQ_F_NOTIFICATION_DATA);
	struct mgmt_dev_avail_res res;
	static unsigned int n;

	for (int i = 0; i < 4; i++) {
		uint64_t f = all & ~(CT_F(TVQ_F_RING_PACKED) | CT_F(TVQ_F_EVENT_IDX));

		f |= (i & 1 ? CT_F(TVQ_F_RING_PACKED) : 0) | (i & 2 ? CT_F(TVQ_F_EVENT_IDX) : 0);
		n = 0;
		set_up_counted(t, f, &n);
		ct_pause(t, CT_CHANCE_NS);
		ct_check(t, !n, "format %d: %u interrupts before any command", i, n);
		tvq_drv_ring_interrupts_on(t->ring);
		ct_ok(t, 0, AVAIL_RES, GET, NULL, 0, &res, sizeof(res));
		ct_check(t, ct_until(t, counted, &n), "format %d: no interrupt", i);
		tvq_drv_ring_interrupts_off(t->ring);
		ct_pause(t, CT_CHANCE_NS);
		n = 0;
		ct_ok(t, 0, AVAIL_RES, GET, NULL, 0, &res, sizeof(res));
		ct_pause(t, CT_CHANCE_NS);
		ct_check(t, !n, "format %d: %u interrupts that nobody wants", i, n);
		ct_check(t, !tvq_drv_ring_interrupts_on(t->ring), "nothing is there");
		ct_ok(t, 0, AVAIL_RES, GET, NULL, 0, &res, sizeof(res));
		ct_check(t, ct_until(t, counted, &n), "format %d: no interrupt any more", i);
	}
}

const struct ct_test ct_tests_queue[] = {
	{ "TQ-010 TQ-011", "the_transportq_is_the_last_virtqueue",
	  the_transportq_is_the_last_virtqueue, 0 },
	{ "TQ-010", "a_request_queue_takes_no_commands", a_request_queue_takes_no_commands,
	  CT_NEEDS_CAP },
	{ "TQ-012", "the_second_bit_without_the_first_is_refused",
	  the_second_bit_without_the_first_is_refused, 0 },
	{ "TQ-013", "every_command_fails_but_with_both_bits",
	  every_command_fails_but_with_both_bits, 0 },
	{ "TQ-017", "in_order_is_not_offered", in_order_is_not_offered, 0 },
	{ "TQ-017", "it_works_in_every_format_the_device_offers",
	  it_works_in_every_format_the_device_offers, 0 },
	{ "TQ-017", "its_interrupts_keep_to_flags_and_event_index",
	  its_interrupts_keep_to_flags_and_event_index, 0 },
	{ 0 },
};
