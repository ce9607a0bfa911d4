// SPDX-License-Identifier: BSD-3-Clause
/* Sections 4.3 and 4.4: features and status. */
#include <string.h>

#include <tvq/device.h>
#include <tvq/inproc.h>

#include "conformance/ct.h"
#include "device/features.h"
#include "device/util.h"

static uint32_t driver_set(struct ct *t, uint64_t id, uint64_t features)
{
	uint8_t f[8];

	tvq_put64(f, features);
	return ct_run(t, id, FEAT, DRIVER_SET, f, 8, NULL, 0);
}

static uint64_t driver_get(struct ct *t, uint64_t id)
{
	uint8_t f[8];

	ct_ok(t, id, FEAT, DRIVER_GET, NULL, 0, f, 8);
	return tvq_get64(f);
}

static void a_feature_that_is_not_offered_cannot_be_accepted(struct ct *t)
{
	uint64_t id = ct_new_blk(t), offered = ct_offered(t, id);

	for (unsigned int bit = 0; bit < 64; bit++)
		if (!(offered & CT_F(bit)))
			ct_check(t, driver_set(t, id, CT_F(bit) | CT_F(TVQ_F_VERSION_1)) == CT_ERR,
				 "bit %u", bit);
	ct_check(t, driver_get(t, id) == 0, "a failed DRIVER_SET left 0x%llx",
		 (unsigned long long)driver_get(t, id));
}

static void driver_set_fails_once_features_ok_is_set(struct ct *t)
{
	uint64_t id = ct_new_blk(t), features = ct_negotiate(t, id, 0);

	ct_check(t, driver_set(t, id, CT_F(TVQ_F_VERSION_1)) == CT_ERR, "it was taken");
	ct_check(t, driver_set(t, id, features) == CT_ERR, "the same features were taken");
	ct_check(t, driver_get(t, id) == features, "it changed them");
}

static void driver_set_replaces_and_driver_get_returns_it_and_reset_clears_it(struct ct *t)
{
	uint64_t id = ct_new_blk(t), offered = ct_offered(t, id);

	ct_check(t, driver_get(t, id) == 0, "features of a new device");
	ct_check(t, driver_set(t, id, offered) == CT_OK, "all features");
	ct_check(t, driver_get(t, id) == offered, "all features");
	ct_check(t, driver_set(t, id, CT_F(TVQ_F_VERSION_1)) == CT_OK, "one");
	ct_check(t, driver_get(t, id) == CT_F(TVQ_F_VERSION_1), "the old ones stay");
	ct_reset_device(t, id);
	ct_check(t, driver_get(t, id) == 0, "after reset");
}

/* ---- STATUS SET 0 ---- */

static void reset_is_acked_at_once_and_read_when_it_is_done(struct ct *t)
{
	uint64_t id = ct_new_blk(t);

	ct_up(t, id, 0, 16);
	ct_check(t, ct_status(t, id) == 15, "status 0x%x", ct_status(t, id));
	ct_reset_device(t, id);
	ct_check(t, ct_status(t, id) == 0, "status 0x%x", ct_status(t, id));
}

static void while_a_reset_waits_only_status_get_set_0_and_destroy_work(struct ct *t)
{
	struct ct_io *io;
	struct ct_vq *q = ct_busy(t, &io);
	uint8_t in[8], v[2] = { 0 };

	ct_check(t, ct_set_status(t, q->id, 0) == CT_OK, "SET 0");
	ct_check(t, ct_status(t, q->id) == 15, "GET shows 0x%x, not the old status",
		 ct_status(t, q->id));
	ct_check(t, ct_set_status(t, q->id, 0) == CT_OK, "SET 0 again");
	ct_check(t, ct_set_status(t, q->id, 1) == CT_ERR, "SET 1");
	ct_check(t, ct_set_status(t, q->id, 15) == CT_ERR, "SET of the old status");
	ct_check(t, ct_set_status(t, q->id, 128 | 15) == CT_ERR, "SET FAILED");
	ct_err(t, q->id, FEAT, DEVICE_GET, NULL, 0, in, 8);
	ct_err(t, q->id, GENERATION, GET, NULL, 0, in, 4);
	ct_err(t, q->id, VQ_SIZE, GET, v, 2, in, 2);
	ct_check(t, driver_set(t, q->id, 0) == CT_ERR, "DRIVER_SET");
	ct_check(t, ct_status(t, q->id) == 15, "it changed something");
	ct_slow_release(t->slow);
	ct_reset_device(t, q->id);
	ct_check(t, driver_set(t, q->id, CT_F(TVQ_F_VERSION_1)) == CT_OK, "it works again");
}

static void after_a_reset_no_dma_and_no_interrupt_happens(struct ct *t)
{
	struct ct_io *io;
	struct ct_vq *q = ct_busy(t, &io);

	ct_check(t, ct_set_status(t, q->id, 0) == CT_OK, "SET 0");
	ct_pause(t, 2000000);
	ct_check(t, ct_status(t, q->id) == 15, "it ended while the backend works on a request");
	ct_slow_release(t->slow);
	ct_reset_device(t, q->id);
	*q->msi = 0;
	*io->status = 0xee;
	ct_io_start(q, 0, 0, 512);
	ct_vq_notify(q);
	ct_check(t, ct_status(t, q->id) == 0, "status");
	ct_pause(t, 2000000);
	ct_check(t, *io->status == 0xee && *q->msi == 0 && !ct_slow_waiting(t->slow),
		 "it still works");
}

static void after_a_reset_everything_is_at_its_first_value(struct ct *t)
{
	uint64_t id = ct_new_blk(t), features;
	uint8_t v[3] = { 0 }, size[2], first[2], index[4];
	struct ct_vq *q;

	ct_ok(t, id, VQ_SIZE, GET, v, 2, first, 2);
	for (int packed = 0; packed < 2; packed++) {
		features = ct_offered(t, id) & ~CT_F(TVQ_F_NOTIFICATION_DATA);
		if (!packed)
			features &= ~CT_F(TVQ_F_RING_PACKED);
		if (packed && !(features & CT_F(TVQ_F_RING_PACKED)))
			break;
		q = ct_up(t, id, features, 16);
		ct_check(t, ct_io(q, 0, 0, NULL, 512) == 0, "a request");
		ct_reset_device(t, id);
		ct_ok(t, id, VQ_SIZE, GET, v, 2, size, 2);
		ct_check(t, !memcmp(size, first, 2), "size %u", tvq_get16(size));
		v[2] = 1;
		ct_ok(t, id, VQ_ENABLE, GET, v, 2, v + 2, 1);
		ct_check(t, !v[2], "the queue is enabled");
		ct_check(t, driver_get(t, id) == 0, "features");
		ct_negotiate(t, id, features);
		v[2] = 1;
		ct_err(t, id, VQ_ENABLE, SET, v, 3, NULL, 0); /* no address any more */
		if (packed) {
			ct_ok(t, id, VQ_AVAIL_INDEX, GET, v, 2, index, 4);
			ct_check(t, tvq_get16(index) == 0x8000 && tvq_get16(index + 2) == 0x8000,
				 "packed index 0x%x, 0x%x", tvq_get16(index), tvq_get16(index + 2));
		} else {
			ct_ok(t, id, VQ_AVAIL_INDEX, GET, v, 2, index, 2);
			ct_check(t, tvq_get16(index) == 0, "index %u", tvq_get16(index));
		}
		ct_reset_device(t, id);
	}
}

static void a_status_that_cannot_be_fails_and_stays(struct ct *t)
{
	uint64_t id = ct_new_blk(t);

	ct_check(t, ct_set_status(t, id, 16) == CT_ERR, "bit 16");
	ct_check(t, ct_set_status(t, id, 32 | 1) == CT_ERR, "bit 32");
	ct_check(t, ct_set_status(t, id, 7) == CT_ERR, "DRIVER_OK without FEATURES_OK");
	ct_check(t, ct_status(t, id) == 0, "a failed SET left 0x%x", ct_status(t, id));
	driver_set(t, id, CT_F(TVQ_F_VERSION_1));
	ct_check(t, ct_set_status(t, id, 15) == CT_ERR, "FEATURES_OK and DRIVER_OK at once");
	ct_check(t, ct_set_status(t, id, 3) == CT_OK, "ACKNOWLEDGE, DRIVER");
	ct_check(t, ct_set_status(t, id, 2) == CT_ERR, "a bit is cleared");
	ct_check(t, ct_set_status(t, id, 11) == CT_OK && ct_status(t, id) == 11, "FEATURES_OK");
	ct_check(t, ct_set_status(t, id, 3) == CT_ERR, "FEATURES_OK is cleared");
	ct_check(t, ct_set_status(t, id, 15) == CT_OK, "DRIVER_OK");
	ct_check(t, ct_set_status(t, id, 128 | 15) == CT_OK && ct_status(t, id) == (128 | 15),
		 "FAILED");
}

static void needs_reset_is_ignored_and_kept(struct ct *t)
{
	uint64_t end = t->bus->os->now() + CT_WAIT_NS, id = ct_new_blk(t);
	struct ct_vq *q = ct_up(t, id, 0, 16);
	struct tvq_sg nowhere[2] = { { 1ull << 46, 16 }, { 1ull << 46, 1 } };
	struct ct_io io = { 0 };

	ct_check(t, ct_set_status(t, id, 64 | 15) == CT_OK && ct_status(t, id) == 15,
		 "a driver can set DEVICE_NEEDS_RESET: 0x%x", ct_status(t, id));
	tvq_drv_ring_add(q->ring, nowhere, 1, 1, &io);
	tvq_drv_ring_publish(q->ring);
	ct_vq_notify(q);
	while (!(ct_status(t, id) & 64)) {
		ct_check(t, t->bus->os->now() < end, "DEVICE_NEEDS_RESET does not come");
		ct_turn(t);
	}
	ct_check(t, ct_set_status(t, id, 15) == CT_OK, "a SET without the bit");
	ct_check(t, ct_status(t, id) == (64 | 15), "it was cleared: 0x%x", ct_status(t, id));
}

static void features_ok_stays_clear_without_version_1(struct ct *t)
{
	uint64_t id = ct_new_blk(t);

	ct_check(t, ct_set_status(t, id, 3) == CT_OK, "DRIVER");
	ct_check(t, driver_set(t, id, CT_F(TVQ_F_ACCESS_PLATFORM)) == CT_OK, "DRIVER_SET");
	ct_check(t, ct_set_status(t, id, 11) == CT_OK, "FEATURES_OK is to be answered OK");
	ct_check(t, ct_status(t, id) == 3, "FEATURES_OK stayed: 0x%x", ct_status(t, id));
	/* The driver may try again. */
	ct_check(t, driver_set(t, id, CT_F(TVQ_F_VERSION_1)) == CT_OK, "DRIVER_SET");
	ct_check(t, ct_set_status(t, id, 11) == CT_OK && ct_status(t, id) == 11, "a second try");
}

static void features_ok_stays_clear_where_features_cannot_work_together(struct ct *t)
{
	uint64_t id = ct_new_blk(t);

	if ((ct_offered(t, id) & (CT_F(9) | CT_F(11))) != (CT_F(9) | CT_F(11)))
		ct_skip(t, "block devices do not offer FLUSH and CONFIG_WCE");
	ct_check(t, ct_set_status(t, id, 3) == CT_OK, "DRIVER");
	ct_check(t, driver_set(t, id, CT_F(TVQ_F_VERSION_1) | CT_F(11)) == CT_OK, "DRIVER_SET");
	ct_check(t, ct_set_status(t, id, 11) == CT_OK && ct_status(t, id) == 3,
		 "CONFIG_WCE without FLUSH: status 0x%x", ct_status(t, id));
}

static void destroy_works_while_a_reset_waits(struct ct *t)
{
	struct ct_io *io;
	struct ct_vq *q = ct_busy(t, &io);
	struct ct_chain *destroy;
	uint8_t s;

	ct_check(t, ct_set_status(t, q->id, 0) == CT_OK, "SET 0");
	destroy = ct_start(t, q->id, CT_CLASS(VDEV), VIRTIO_TRANSPTQ_CTRL_VDEV_DESTROY, NULL, 0, 0);
	ct_err(t, q->id, STATUS, GET, NULL, 0, &s, 1);
	ct_check(t, !destroy->used, "it did not wait");
	ct_slow_release(t->slow);
	ct_check(t, ct_wait_chain(t, destroy) && ct_ack(destroy) == CT_OK, "DESTROY: %s",
		 ct_ack_name(ct_ack(destroy)));
}

static void queues_are_served_with_driver_ok_only(struct ct *t)
{
	uint64_t id = ct_new_blk(t);
	struct ct_vq *q = ct_vq_new(t, id, 0, 16, ct_negotiate(t, id, 0));
	struct ct_io *io;

	ct_vq_program(q, true);
	ct_check(t, ct_vq_enable(q, 1) == CT_OK, "ENABLE 1");
	io = ct_io_start(q, 0, 0, 512);
	ct_vq_notify(q);
	ct_pause(t, 3000000);
	ct_io_collect(q);
	ct_check(t, !io->done, "it was served before DRIVER_OK");
	ct_check(t, ct_set_status(t, id, 15) == CT_OK, "DRIVER_OK");
	ct_check(t, ct_io_wait(q, io) && *io->status == 0, "it is not served after DRIVER_OK");
}

static void config_msi(struct ct *t, uint64_t id, uint64_t iova)
{
	struct virtio_transportq_ctrl_vdev_msi_config m;
	uint8_t on = 1;

	tvq_put64(&m.addr, iova);
	tvq_put32(&m.data, 0x77);
	ct_ok(t, id, MSI, CONFIG_SET, &m, sizeof(m), NULL, 0);
	ct_ok(t, id, MSI, CONFIG_ENABLE, &on, 1, NULL, 0);
}

static void before_driver_ok_needs_reset_raises_no_interrupt(struct ct *t)
{
	uint64_t iova, id = ct_new_blk(t);
	volatile uint32_t *word = ct_alloc(t, 4, 4, &iova);

	config_msi(t, id, iova);
	ct_negotiate(t, id, 0);
	ct_check(t, tvq_device_break(tvq_inproc_device(t->bus), id, "the suite says so") == 0,
		 "break");
	ct_check(t, ct_status(t, id) == (64 | 11), "status 0x%x", ct_status(t, id));
	ct_pause(t, CT_CHANCE_NS);
	ct_check(t, !*word, "it does");
}

static void needs_reset_raises_the_configuration_interrupt_and_ends_service(struct ct *t)
{
	uint64_t end = t->bus->os->now() + CT_WAIT_NS, iova, id = ct_new_blk_features(t, 0, 2);
	volatile uint32_t *word = ct_alloc(t, 4, 4, &iova);
	struct tvq_sg nowhere[2] = { { 1ull << 46, 16 }, { 1ull << 46, 1 } };
	struct ct_io bad = { 0 }, *io;
	struct ct_vq *q, *q1;
	uint64_t features = ct_negotiate(t, id, 0);

	q = ct_vq_new(t, id, 0, 16, features);
	q1 = ct_vq_new(t, id, 1, 16, features);
	ct_vq_program(q, true);
	ct_vq_program(q1, true);
	config_msi(t, id, iova);
	ct_check(t, ct_vq_enable(q, 1) == CT_OK && ct_vq_enable(q1, 1) == CT_OK, "ENABLE 1");
	ct_check(t, ct_set_status(t, id, 15) == CT_OK, "DRIVER_OK");
	ct_check(t, ct_io(q1, 0, 0, NULL, 512) == 0, "the second queue");
	ct_check(t, !*word, "an interrupt before anything happened");
	tvq_drv_ring_add(q->ring, nowhere, 1, 1, &bad);
	tvq_drv_ring_publish(q->ring);
	ct_vq_notify(q);
	while (!*word) {
		ct_check(t, t->bus->os->now() < end, "no configuration interrupt");
		ct_turn(t);
	}
	ct_check(t, *word == 0x77 && ct_status(t, id) & 64, "data 0x%x, status 0x%x", *word,
		 ct_status(t, id));
	io = ct_io_start(q1, 0, 0, 512);
	ct_vq_notify(q1);
	ct_pause(t, 3000000);
	ct_io_collect(q1);
	ct_check(t, !io->done, "its other queue is still served");
}

const struct ct_test ct_tests_status[] = {
	{ "TQ-060", "a_feature_that_is_not_offered_cannot_be_accepted",
	  a_feature_that_is_not_offered_cannot_be_accepted, 0 },
	{ "TQ-060", "driver_set_fails_once_features_ok_is_set",
	  driver_set_fails_once_features_ok_is_set, 0 },
	{ "TQ-061", "driver_set_replaces_and_driver_get_returns_it_and_reset_clears_it",
	  driver_set_replaces_and_driver_get_returns_it_and_reset_clears_it, 0 },
	{ "TQ-065", "reset_is_acked_at_once_and_read_when_it_is_done",
	  reset_is_acked_at_once_and_read_when_it_is_done, 0 },
	{ "TQ-065", "while_a_reset_waits_only_status_get_set_0_and_destroy_work",
	  while_a_reset_waits_only_status_get_set_0_and_destroy_work, CT_NEEDS_SLOW },
	{ "TQ-066", "after_a_reset_no_dma_and_no_interrupt_happens",
	  after_a_reset_no_dma_and_no_interrupt_happens, CT_NEEDS_SLOW },
	{ "TQ-067", "after_a_reset_everything_is_at_its_first_value",
	  after_a_reset_everything_is_at_its_first_value, 0 },
	{ "TQ-068", "a_status_that_cannot_be_fails_and_stays",
	  a_status_that_cannot_be_fails_and_stays, 0 },
	{ "TQ-068", "needs_reset_is_ignored_and_kept", needs_reset_is_ignored_and_kept, 0 },
	{ "TQ-069", "features_ok_stays_clear_without_version_1",
	  features_ok_stays_clear_without_version_1, 0 },
	{ "TQ-069", "features_ok_stays_clear_where_features_cannot_work_together",
	  features_ok_stays_clear_where_features_cannot_work_together, 0 },
	{ "TQ-065", "destroy_works_while_a_reset_waits", destroy_works_while_a_reset_waits,
	  CT_NEEDS_SLOW },
	{ "TQ-071", "before_driver_ok_needs_reset_raises_no_interrupt",
	  before_driver_ok_needs_reset_raises_no_interrupt, CT_NEEDS_OWNER },
	{ "TQ-070", "queues_are_served_with_driver_ok_only", queues_are_served_with_driver_ok_only,
	  0 },
	{ "TQ-070 TQ-071", "needs_reset_raises_the_configuration_interrupt_and_ends_service",
	  needs_reset_raises_the_configuration_interrupt_and_ends_service, 0 },
	{ 0 },
};
