// SPDX-License-Identifier: BSD-3-Clause
/*
 * Section 2: managed devices that manage others. The suite drives the manager's transportq itself:
 * its registers are commands on the parent's, and with t->via set, commands go to it.
 */
#include <string.h>

#include <tvq/wire.h>

#include "conformance/ct.h"
#include "device/features.h"
#include "device/util.h"

#define SHIFT (1ull << 40)

static uint64_t defaults(struct ct *t, uint64_t *all)
{
	struct virtio_transportq_ctrl_type ti;
	uint8_t type[4];

	tvq_put32(type, 2);
	ct_ok(t, 0, AVAIL_RES, TYPE_GET, type, 4, &ti, sizeof(ti));
	*all = tvq_get64(&ti.features);
	return tvq_get64(&ti.default_features);
}

/* Features of a manager; skips where there can be none. */
static uint64_t manager_features(struct ct *t, uint16_t queues)
{
	uint64_t all, f = defaults(t, &all) | t->f_vq | t->f_vdev | (queues > 1 ? CT_F(12) : 0);

	if (~all & (t->f_vq | t->f_vdev))
		ct_skip(t, "block devices cannot be management devices");
	return f;
}

static uint32_t create_manager(struct ct *t, uint16_t queues, uint32_t asid, const char *volume,
			       uint64_t *id)
{
	struct virtio_transportq_blk_config cfg;

	memset(&cfg, 0, sizeof(cfg));
	tvq_put16(&cfg.num_queues, queues);
	memcpy(cfg.id, volume, strlen(volume));
	return ct_create(t, 2, asid, manager_features(t, queues), &cfg, sizeof(cfg), id);
}

static struct ct_vq *manager_up(struct ct *t, uint64_t id, uint16_t index, uint64_t features)
{
	struct ct_vq *q = ct_vq_new(t, id, index, 64, ct_negotiate(t, id, features));

	ct_vq_program(q, true);
	ct_check(t, ct_vq_enable(q, 1) == CT_OK, "ENABLE 1 of the manager's transportq");
	ct_check(t, ct_set_status(t, id, 15) == CT_OK, "DRIVER_OK of the manager");
	return q;
}

/* A manager with one request queue, up: its transportq, queue 1. */
static struct ct_vq *manager(struct ct *t)
{
	uint64_t id = 0;

	ct_check(t, create_manager(t, 1, 0, "", &id) == CT_OK, "CREATE of a management device");
	return manager_up(t, id, 1, ct_features(t, id, t->packed, true));
}

static struct mgmt_dev_avail_res resources(struct ct *t)
{
	struct mgmt_dev_avail_res r;

	ct_ok(t, 0, AVAIL_RES, GET, NULL, 0, &r, sizeof(r));
	return r;
}

static bool is_there(struct ct *t, uint64_t id)
{
	uint8_t s;
	uint32_t ack = ct_run(t, id, STATUS, GET, NULL, 0, &s, 1);

	ct_check(t, ack != CT_LOST, "STATUS GET is lost");
	return ack == CT_OK;
}

static struct ct_vq *child_up(struct ct *t, uint64_t id)
{
	return ct_up(t, id, ct_features(t, id, t->packed, true), 16);
}

/* ---- TQ-014 ---- */

static void a_managed_device_manages_others(struct ct *t)
{
	struct ct_vq *m = manager(t), *q;
	uint64_t a, b;

	t->via = m;
	a = ct_new_blk(t);
	b = ct_new_blk(t);
	ct_check(t, a && b && a != b, "identifiers %llu, %llu", (unsigned long long)a,
		 (unsigned long long)b);
	q = child_up(t, a);
	for (int i = 0; i < 100; i++)
		ct_check(t, ct_io(q, i & 1, 0, NULL, 512) == 0, "request %d", i);
	ct_check(t, ct_wait_word(t, q->msi, CT_MSI_DATA(q)), "no interrupt");
	ct_reset_device(t, a);
	ct_destroy(t, a);
	ct_check(t, !is_there(t, a) && is_there(t, b), "after DESTROY");
}

static void its_devices_are_its_own(struct ct *t)
{
	struct ct_vq *m1 = manager(t), *m2 = manager(t);
	uint64_t top = ct_new_blk(t), child;

	t->via = m1;
	child = ct_new_blk(t);
	ct_check(t,
		 is_there(t, child) && !is_there(t, top) && !is_there(t, m1->id) &&
			 !is_there(t, m2->id),
		 "a device of another transportq can be addressed");
	t->via = m2;
	ct_check(t, !is_there(t, child), "a device of another manager can be addressed");
	ct_err(t, child, VDEV, DESTROY, NULL, 0, NULL, 0);
	t->via = NULL;
	ct_check(t, !is_there(t, child),
		 "a device of a manager can be addressed by its parent's driver");
	ct_err(t, child, VDEV, DESTROY, NULL, 0, NULL, 0);
	t->via = m1;
	ct_check(t, is_there(t, child), "it is gone");
}

static void a_depth_beyond_the_bound_fails_create(struct ct *t)
{
	for (uint8_t depth = 0; depth < 3; depth++) {
		struct ct_vq *m = NULL;
		uint64_t id = 0;

		ct_limit(t, &(struct ct_limits){ .max_depth = depth ? depth : 0xff });
		for (uint8_t i = 0; i < depth; i++) {
			t->via = m;
			ct_check(t, create_manager(t, 1, 0, "", &id) == CT_OK,
				 "bound %u: a manager at depth %u", depth, i + 1);
			m = manager_up(t, id, 1, ct_features(t, id, t->packed, true));
		}
		t->via = m;
		ct_check(t, create_manager(t, 1, 0, "", &id) == CT_ERR,
			 "bound %u: a manager at depth %u", depth, depth + 1);
		id = ct_new_blk(t); /* one that manages nothing is right */
		ct_check(t, ct_io(child_up(t, id), 0, 0, NULL, 512) == 0, "a request at depth %u",
			 depth + 1);
	}
}

static void create_without_the_bits_makes_no_manager(struct ct *t)
{
	uint64_t id = ct_new_blk(t);

	ct_check(t, !(ct_offered(t, id) & (t->f_vq | t->f_vdev)), "the default has them");
}

/* ---- where its transportq is, and when it works ---- */

static bool has_queue(struct ct *t, uint64_t id, uint16_t index)
{
	uint8_t v[2], in[2];
	uint32_t ack;

	tvq_put16(v, index);
	ack = ct_run(t, id, VQ_SIZE, GET, v, 2, in, 2);
	return ack == CT_OK;
}

static void its_transportq_comes_behind_the_negotiated_queues(struct ct *t)
{
	for (int mq = 0; mq < 2; mq++) {
		uint16_t index = mq ? 4 : 1;
		uint64_t id = 0, f;

		ct_check(t, create_manager(t, 4, 0, "", &id) == CT_OK, "CREATE");
		/* Before FEATURES_OK by what is offered. */
		for (uint16_t i = 0; i < 8; i++)
			ct_check(t, has_queue(t, id, i) == (i <= 4), "queue %u before FEATURES_OK",
				 i);
		f = ct_features(t, id, t->packed, true) & ~(mq ? 0 : CT_F(12));
		t->via = manager_up(t, id, index, f);
		ct_new_blk(t);
		t->via = NULL;
		for (uint16_t i = 0; i < 8; i++)
			ct_check(t, has_queue(t, id, i) == (i <= index),
				 "MQ %d: queue %u after FEATURES_OK", mq, i);
	}
}

static void its_request_queues_take_requests(struct ct *t)
{
	uint64_t id = 0, f;
	struct ct_vq *q;

	ct_check(t, create_manager(t, 1, 0, "", &id) == CT_OK, "CREATE");
	f = ct_features(t, id, t->packed, true);
	q = ct_up(t, id, f, 16); /* its queue 0 */
	ct_check(t, ct_io(q, 0, 0, NULL, 512) == 0, "a request");
}

static void both_bits_have_to_be_negotiated_with_it(struct ct *t)
{
	struct mgmt_dev_avail_res r;
	uint64_t id = 0, all, out[2] = { 0 };
	uint8_t f[8];

	ct_check(t, create_manager(t, 1, 0, "", &id) == CT_OK, "CREATE");
	all = ct_features(t, id, t->packed, true);
	ct_check(t, ct_set_status(t, id, 3) == CT_OK, "DRIVER");
	tvq_put64(f, all & ~t->f_vq);
	ct_ok(t, id, FEAT, DRIVER_SET, f, 8, NULL, 0);
	ct_check(t, ct_set_status(t, id, 11) == CT_OK && ct_status(t, id) == 3,
		 "the second bit alone: status 0x%x", ct_status(t, id));
	ct_reset_device(t, id);
	t->via = manager_up(t, id, 1, all & ~t->f_vdev);
	ct_err(t, 0, AVAIL_RES, GET, NULL, 0, &r, sizeof(r));
	tvq_put32(out, 2);
	ct_err(t, 0, VDEV, CREATE, out, sizeof(out), f, 8);
	t->via = NULL;
	ct_reset_device(t, id);
	t->via = manager_up(t, id, 1, all);
	ct_new_blk(t);
}

static void its_transportq_works_in_both_formats(struct ct *t)
{
	for (int i = 0; i < 4; i++) {
		uint64_t id = 0, child;

		ct_check(t, create_manager(t, 1, 0, "", &id) == CT_OK, "CREATE");
		t->via = manager_up(t, id, 1, ct_features(t, id, i & 1, i & 2));
		child = ct_new_blk(t);
		for (int k = 0; k < 300; k++)
			ct_check(t, ct_status(t, child) == 0,
				 "packed %d, event index %d: command %d", i & 1, i & 2, k);
		t->via = NULL;
		ct_destroy(t, id);
	}
}

/* ---- TQ-015 ---- */

static uint32_t space_at(struct ct *t, uint64_t shift)
{
	struct tvq_bus_mem mem = {
		.iova = t->dma_iova + shift, .len = CT_DMA, .fd = -1, .va = t->dma, .perm = 3
	};
	uint32_t asid = 0;

	ct_check(t,
		 t->bus->ops->space_new(t->bus, &asid) == 0 &&
			 t->bus->ops->map(t->bus, asid, &mem, 1) == 0,
		 "a space");
	return asid;
}

static void its_only_asid_is_0(struct ct *t)
{
	uint32_t asid = space_at(t, SHIFT);
	struct ct_vq *m = manager(t), *q;
	uint64_t id = 0;

	t->via = m;
	ct_check(t, ct_create(t, 2, asid, 0, NULL, 0, &id) == CT_ERR, "CREATE with asid %u", asid);
	ct_check(t, ct_create(t, 2, 1, 0, NULL, 0, &id) == CT_ERR, "CREATE with asid 1");
	ct_check(t, ct_create(t, 2, 0xffffffff, 0, NULL, 0, &id) == CT_ERR,
		 "CREATE with asid 2^32 - 1");
	id = ct_new_blk(t);
	q = ct_vq_new(t, id, 0, 16, 0);
	ct_check(t, ct_vq_asid_get(t, id, 0) == 0, "asid %u", ct_vq_asid_get(t, id, 0));
	ct_check(t, ct_vq_asid(q, asid) == CT_ERR && ct_vq_asid(q, 1) == CT_ERR, "VQ_ASID SET");
	ct_check(t, ct_vq_asid(q, 0) == CT_OK && ct_vq_asid_get(t, id, 0) == 0, "VQ_ASID SET 0");
	ct_negotiate(t, id, 0);
	ct_check(t, ct_vq_inflight(q, asid, t->dma_iova + SHIFT, 4096) == CT_ERR,
		 "INFLIGHT SET with asid %u", asid);
	t->via = NULL;
	ct_destroy(t, m->id);
	t->bus->ops->space_free(t->bus, asid);
}

/* A manager whose transportq is in a space of its own: by CREATE, or by VQ_ASID of that queue. */
static void asid_0_is_the_space_of_its_transportq(struct ct *t)
{
	for (int by_vq = 0; by_vq < 2; by_vq++) {
		uint32_t asid = space_at(t, SHIFT);
		uint64_t id = 0, child, f, iova;
		uint32_t *word;
		struct ct_vq *m, *q;
		uint8_t v[6];

		ct_check(t, create_manager(t, 1, by_vq ? 0 : asid, "", &id) == CT_OK, "CREATE");
		if (by_vq) {
			tvq_put16(v, 1);
			tvq_put32(v + 2, asid);
			ct_ok(t, id, VQ_ASID, SET, v, 6, NULL, 0);
		}
		t->shift = SHIFT;
		m = manager_up(t, id, 1, ct_features(t, id, t->packed, true));
		t->via = m;
		child = ct_new_blk(t);
		ct_check(t, ct_vq_asid_get(t, child, 0) == 0, "asid %u",
			 ct_vq_asid_get(t, child, 0));
		f = ct_negotiate(t, child, ct_features(t, child, t->packed, true));
		q = ct_vq_new(t, child, 0, 16, f);
		q->msi_iova += SHIFT;
		ct_vq_program(q, true);
		word = ct_alloc(t, 4, 4, &iova);
		ct_check(t, ct_vq_enable(q, 1) == CT_OK,
			 "ENABLE 1 of a ring in its manager's space");
		ct_check(t, ct_set_status(t, child, 15) == CT_OK, "DRIVER_OK");
		ct_check(t, ct_io(q, 0, 0, NULL, 512) == 0, "a request");
		ct_check(t, ct_wait_word(t, q->msi, CT_MSI_DATA(q)),
			 "no interrupt in its manager's space");
		/* An MSI to an address of space 0 reaches nothing. */
		ct_check(t, ct_msi_set(t, child, 0, iova, 1) == CT_OK, "MSI VQ_SET");
		*q->msi = 0;
		for (int i = 0; i < 40; i++)
			ct_check(t, ct_io(q, 0, 0, NULL, 512) == 0, "a request");
		ct_pause(t, CT_CHANCE_NS);
		ct_check(t, !*word && !*q->msi, "an MSI was written in another space");
		/* Nor does a buffer. */
		q->shift = 0;
		ct_io_start(q, 0, 0, 512);
		ct_vq_notify(q);
		ct_wait_needs_reset(t, child);
		ct_check(t, ct_msi_set(t, child, CT_CONFIG, iova, 1) == CT_OK, "MSI CONFIG_SET");
		t->via = NULL;
		t->shift = 0;
		ct_destroy(t, id);
		t->bus->ops->space_free(t->bus, asid);
	}
}

/* ---- TQ-016 ---- */

static void its_devices_count_against_the_outermost_devices_resources(struct ct *t)
{
	struct mgmt_dev_avail_res before, top, nested;
	struct ct_vq *m;
	uint64_t id = 0;

	ct_limit(t, &(struct ct_limits){ .max_devices = 5, .max_vqs = 50 });
	before = resources(t);
	m = manager(t);
	top = resources(t);
	ct_check(t, tvq_get16(&top.num_avail_vqs) == tvq_get16(&before.num_avail_vqs) - 2,
		 "a manager takes %d queues, not 2",
		 tvq_get16(&before.num_avail_vqs) - tvq_get16(&top.num_avail_vqs));
	t->via = m;
	nested = resources(t);
	ct_check(t, !memcmp(&top, &nested, sizeof(top)), "the manager shows others");
	for (unsigned int i = 0; i < 4; i++) {
		ct_check(t, ct_create(t, 2, 0, 0, NULL, 0, &id) == CT_OK, "device %u of 4", i);
		nested = resources(t);
		t->via = NULL;
		top = resources(t);
		t->via = m;
		ct_check(t,
			 tvq_get16(&top.num_avail_vdev) == 3 - i &&
				 !memcmp(&top, &nested, sizeof(top)),
			 "%u devices, and %u, are left behind %u", tvq_get16(&top.num_avail_vdev),
			 tvq_get16(&nested.num_avail_vdev), i + 1);
	}
	ct_check(t, ct_create(t, 2, 0, 0, NULL, 0, &id) == CT_ERR, "one more");
	t->via = NULL;
	ct_check(t, ct_create(t, 2, 0, 0, NULL, 0, &id) == CT_ERR, "one more of the outermost");
	ct_destroy(t, m->id);
	top = resources(t);
	ct_check(t, !memcmp(&top, &before, sizeof(top)),
		 "after DESTROY of the manager %u devices, %u queues",
		 tvq_get16(&top.num_avail_vdev), tvq_get16(&top.num_avail_vqs));
}

/* A child over the slow volume with a request under way. */
static struct ct_vq *busy_child(struct ct *t, struct ct_vq *m, struct ct_io **io)
{
	struct ct_vq *q;

	t->via = m;
	q = ct_busy(t, io);
	t->via = NULL;
	return q;
}

static void destroying_a_manager_destroys_its_devices_first(struct ct *t)
{
	struct ct_vq *m = manager(t), *q;
	struct ct_io *io, *late;
	struct ct_chain *destroy;

	q = busy_child(t, m, &io);
	destroy = ct_start(t, m->id, CT_CLASS(VDEV), VIRTIO_TRANSPTQ_CTRL_VDEV_DESTROY, NULL, 0, 0);
	ct_pause(t, CT_CHANCE_NS);
	ct_check(t, !destroy->used, "it is acked while a request of its device is worked on");
	ct_slow_release(t->slow);
	ct_check(t, ct_wait_chain(t, destroy) && ct_ack(destroy) == CT_OK, "DESTROY: %s",
		 ct_ack_name(ct_ack(destroy)));
	ct_io_collect(q);
	*q->msi = 0;
	late = ct_io_start(q, 0, 0, 512);
	ct_vq_notify(q);
	ct_new_blk(t);
	ct_check(t, !ct_served(q, late) && !*q->msi, "its device lives on");
	ct_check(t, !is_there(t, m->id) && !is_there(t, q->id), "ids");
	/* The volume is free. */
	ct_new_volume(t, t->profile->slow_volume, 0);
}

static void resetting_a_manager_destroys_its_devices_and_commands_get_no_answer(struct ct *t)
{
	struct ct_vq *m = manager(t), *q;
	struct ct_io *io;
	struct ct_chain *waiting;
	uint64_t id = m->id;

	q = busy_child(t, m, &io);
	t->via = m;
	waiting = ct_start(t, q->id, CT_CLASS(VDEV), VIRTIO_TRANSPTQ_CTRL_VDEV_DESTROY, NULL, 0, 0);
	t->via = NULL;
	ct_pause(t, CT_CHANCE_NS);
	ct_check(t, ct_set_status(t, id, 0) == CT_OK, "STATUS SET 0");
	ct_pause(t, CT_CHANCE_NS);
	ct_check(t, ct_status(t, id) == 15, "its status reads 0x%x while a device of it works",
		 ct_status(t, id));
	ct_slow_release(t->slow);
	ct_reset_device(t, id);
	ct_pause(t, CT_CHANCE_NS);
	ct_check(t, waiting->in[0] == 0xa5 && waiting->in[1] == 0xa5,
		 "a command in flight was acked");
	m = manager_up(t, id, 1, ct_features(t, id, t->packed, true));
	t->via = m;
	ct_check(t, !is_there(t, q->id), "its device survived");
	ct_check(t, ct_new_blk(t) != q->id, "an identifier came again");
}

static void stopping_its_transportq_destroys_nothing(struct ct *t)
{
	for (int reset = 0; reset < 2; reset++) {
		struct ct_vq *m = manager(t), *q;
		uint64_t child;

		t->via = m;
		child = ct_new_blk(t);
		q = child_up(t, child);
		t->via = NULL;
		if (!reset) {
			ct_check(t, ct_vq_enable(m, 0) == CT_OK, "ENABLE 0");
		} else {
			ct_check(t, ct_vq_reset(m) == CT_OK, "RESET");
		}
		ct_check(t, ct_io(q, 0, 0, NULL, 512) == 0, "its device is not served any more");
		if (reset) {
			m = ct_vq_new(t, m->id, 1, 64, t->packed ? CT_F(TVQ_F_RING_PACKED) : 0);
			ct_vq_program(m, false);
		}
		ct_check(t, ct_vq_enable(m, 1) == CT_OK, "ENABLE 1");
		t->via = m;
		ct_check(t, ct_status(t, child) == 15, "its device is gone");
		t->via = NULL;
	}
}

static void a_broken_transportq_of_it_breaks_it_alone(struct ct *t)
{
	struct ct_vq *m = manager(t), *q, *top = child_up(t, ct_new_blk(t));
	struct tvq_sg nowhere[2] = { { 1ull << 46, 16 }, { 1ull << 46, 4 } };
	uint64_t child;
	int token;

	t->via = m;
	child = ct_new_blk(t);
	q = child_up(t, child);
	t->via = NULL;
	ct_check(t, tvq_drv_ring_add(m->ring, nowhere, 1, 1, &token) == 0, "add");
	tvq_drv_ring_publish(m->ring);
	ct_vq_notify(m);
	ct_wait_needs_reset(t, m->id);
	ct_check(t, ct_io(q, 0, 0, NULL, 512) == 0, "its device is not served any more");
	ct_check(t, ct_io(top, 0, 0, NULL, 512) == 0 && ct_status(t, top->id) == 15,
		 "a device beside it");
	ct_check(t, !(t->bus->ops->status(t->bus) & 64), "the outermost device is broken");
}

static void notification_areas_are_the_outermost_functions(struct ct *t)
{
	struct ct_vq *m = manager(t), *top = child_up(t, ct_new_blk(t)), *q[2];

	t->via = m;
	for (int i = 0; i < 2; i++)
		q[i] = child_up(t, ct_new_blk(t));
	ct_check(t,
		 q[0]->notify_addr != q[1]->notify_addr && q[0]->notify_addr != top->notify_addr &&
			 q[1]->notify_addr != top->notify_addr &&
			 q[0]->notify_addr != m->notify_addr && q[1]->notify_addr != m->notify_addr,
		 "two devices of the tree have one area");
	for (int i = 0; i < 10; i++)
		ct_check(t,
			 ct_io(q[i & 1], 0, 0, NULL, 512) == 0 && ct_io(top, 0, 0, NULL, 512) == 0,
			 "a request");
}

const struct ct_test ct_tests_nested[] = {
	{ "TQ-014", "a_managed_device_manages_others", a_managed_device_manages_others, 0 },
	{ "TQ-014 TQ-020", "its_devices_are_its_own", its_devices_are_its_own, 0 },
	{ "TQ-014", "a_depth_beyond_the_bound_fails_create", a_depth_beyond_the_bound_fails_create,
	  CT_NEEDS_CAP },
	{ "TQ-014 TQ-051", "create_without_the_bits_makes_no_manager",
	  create_without_the_bits_makes_no_manager, 0 },
	{ "TQ-010 TQ-011", "its_transportq_comes_behind_the_negotiated_queues",
	  its_transportq_comes_behind_the_negotiated_queues, 0 },
	{ "TQ-010", "its_request_queues_take_requests", its_request_queues_take_requests, 0 },
	{ "TQ-012 TQ-013", "both_bits_have_to_be_negotiated_with_it",
	  both_bits_have_to_be_negotiated_with_it, 0 },
	{ "TQ-017", "its_transportq_works_in_both_formats", its_transportq_works_in_both_formats,
	  0 },
	{ "TQ-015", "its_only_asid_is_0", its_only_asid_is_0, CT_NEEDS_SPACES },
	{ "TQ-015", "asid_0_is_the_space_of_its_transportq", asid_0_is_the_space_of_its_transportq,
	  CT_NEEDS_SPACES },
	{ "TQ-016", "its_devices_count_against_the_outermost_devices_resources",
	  its_devices_count_against_the_outermost_devices_resources, CT_NEEDS_CAP },
	{ "TQ-016 TQ-054", "destroying_a_manager_destroys_its_devices_first",
	  destroying_a_manager_destroys_its_devices_first, CT_NEEDS_SLOW },
	{ "TQ-055", "resetting_a_manager_destroys_its_devices_and_commands_get_no_answer",
	  resetting_a_manager_destroys_its_devices_and_commands_get_no_answer, CT_NEEDS_SLOW },
	{ "TQ-055", "stopping_its_transportq_destroys_nothing",
	  stopping_its_transportq_destroys_nothing, 0 },
	{ "TQ-026", "a_broken_transportq_of_it_breaks_it_alone",
	  a_broken_transportq_of_it_breaks_it_alone, 0 },
	{ "TQ-016", "notification_areas_are_the_outermost_functions",
	  notification_areas_are_the_outermost_functions, 0 },
	{ 0 },
};
