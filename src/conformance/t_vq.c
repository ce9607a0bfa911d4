// SPDX-License-Identifier: BSD-3-Clause
/* Section 4.7: queues. */
#include <string.h>

#include "conformance/ct.h"
#include "device/features.h"
#include "device/util.h"

/* A queue of a device with those features accepted, programmed and not enabled. */
static struct ct_vq *programmed(struct ct *t, bool packed, uint16_t size)
{
	uint64_t id = ct_new_blk(t);
	struct ct_vq *q =
		ct_vq_new(t, id, 0, size, ct_negotiate(t, id, ct_features(t, id, packed, false)));

	ct_vq_program(q, true);
	return q;
}

static void driver_ok(struct ct_vq *q)
{
	ct_check(q->t, ct_set_status(q->t, q->id, 15) == CT_OK, "STATUS SET DRIVER_OK fails");
}

static void before_features_ok_nothing_of_a_rings_format_works(struct ct *t)
{
	struct virtio_transportq_ctrl_vdev_vq_notification_area area;
	uint64_t id = ct_new_blk(t);
	struct ct_vq *q = ct_vq_new(t, id, 0, 16, 0);
	uint8_t v[6] = { 0 }, in[4], f[8];
	uint16_t a, u;

	for (int status = 0; status < 2; status++) {
		ct_check(t, ct_vq_addr(q, q->desc, q->driver, q->device) == CT_ERR, "ADDR SET");
		ct_check(t, ct_vq_size(q, 16) == CT_ERR, "SIZE SET");
		ct_check(t, ct_vq_index_set(q, 0, 0) == CT_ERR, "AVAIL_INDEX SET");
		ct_check(t, ct_run(t, id, VQ_AVAIL_INDEX, SET, v, 6, NULL, 0) == CT_ERR,
			 "AVAIL_INDEX SET, packed");
		ct_check(t, ct_vq_index(q, &a, &u) == CT_ERR, "AVAIL_INDEX GET");
		ct_check(t, ct_run(t, id, VQ_AVAIL_INDEX, GET, v, 2, in, 4) == CT_ERR,
			 "AVAIL_INDEX GET, packed");
		ct_check(t, ct_vq_enable(q, 1) == CT_ERR, "ENABLE 1");
		ct_check(t, ct_vq_reset(q) == CT_ERR, "RESET");
		ct_check(t, ct_vq_inflight(q, 0, t->dma_iova, 4096) == CT_ERR, "INFLIGHT SET");
		ct_check(t, ct_vq_inflight(q, 0, 0, 0) == CT_ERR, "INFLIGHT SET, none");
		ct_check(t, ct_vq_size_get(t, id, 0) >= 16,
			 "SIZE GET shows what one that failed set");
		ct_ok(t, id, VQ_NOTIFY, GET, v, 2, &area, sizeof(area));
		ct_check(t, !ct_vq_enabled(q), "it is enabled");
		ct_check(t, ct_vq_enable(q, 0) == CT_OK, "ENABLE 0");
		ct_check(t, ct_vq_asid(q, 0) == CT_OK && ct_vq_asid_get(t, id, 0) == 0, "ASID");
		ct_check(t, ct_msi_set(t, id, 0, q->msi_iova, 1) == CT_OK, "MSI VQ_SET");
		ct_check(t, ct_msi_enable(t, id, 0, 1) == CT_OK, "MSI VQ_ENABLE");
		ct_check(t, ct_msi_mask(t, id, 0, 1) == CT_OK && ct_msi_mask(t, id, 0, 0) == CT_OK,
			 "VQ_MASK");
		ct_check(t, ct_set_status(t, id, 3) == CT_OK, "DRIVER");
		tvq_put64(f, ct_features(t, id, false, false)); /* set, and not yet accepted */
		ct_ok(t, id, FEAT, DRIVER_SET, f, 8, NULL, 0);
	}
	/* What was set before FEATURES_OK stays. */
	q = ct_vq_new(t, id, 0, 16, ct_negotiate(t, id, 0));
	ct_vq_program(q, false);
	ct_check(t, ct_msi_set(t, id, 0, q->msi_iova, CT_MSI_DATA(q)) == CT_OK, "MSI VQ_SET");
	ct_check(t, ct_vq_enable(q, 1) == CT_OK, "ENABLE 1");
	driver_ok(q);
	ct_check(t, ct_io(q, 0, 0, NULL, 512) == 0, "a request");
	ct_check(t, ct_wait_word(t, q->msi, CT_MSI_DATA(q)),
		 "MSI VQ_ENABLE did not last over FEATURES_OK");
}

static void size_after_reset_is_the_maximum_a_power_of_two(struct ct *t)
{
	struct ct_vq *q = programmed(t, false, 16);
	uint16_t max;

	ct_check(t, ct_vq_size_get(t, q->id, 0) == 16, "SIZE GET after SET 16: %u",
		 ct_vq_size_get(t, q->id, 0));
	ct_reset_device(t, q->id);
	max = ct_vq_size_get(t, q->id, 0);
	ct_check(t, max && !(max & (max - 1)) && max <= 32768, "%u", max);
	ct_check(t, max == ct_vq_size_get(t, ct_new_blk(t), 0), "a new device has another");
}

static void size_set_takes_1_to_the_maximum(struct ct *t)
{
	uint64_t id = ct_new_blk(t);
	uint16_t max = ct_vq_size_get(t, id, 0);

	for (int packed = 0; packed < 2; packed++) {
		uint64_t f = ct_features(t, id, packed, false);
		struct ct_vq *q = ct_vq_new(t, id, 0, 16, f);

		ct_negotiate(t, id, f);
		for (uint32_t n = 1; n <= max; n++) {
			bool right = packed || !(n & (n - 1));

			if (n > 70 && n % 61 && n < max - 3u && (n & (n - 1)))
				continue;
			ct_check(t, (ct_vq_size(q, (uint16_t)n) == CT_OK) == right, "%u, packed %d",
				 n, packed);
			if (right)
				ct_check(t, ct_vq_size_get(t, id, 0) == n, "GET after SET %u", n);
		}
		ct_check(t, ct_vq_size(q, 8) == CT_OK, "8");
		ct_check(t, ct_vq_size(q, 0) == CT_ERR, "0");
		ct_check(t, ct_vq_size(q, (uint16_t)(max + 1)) == CT_ERR,
			 "one more than the maximum");
		ct_check(t, ct_vq_size(q, (uint16_t)(max * 2)) == CT_ERR, "twice the maximum");
		ct_check(t, ct_vq_size(q, 0xffff) == CT_ERR, "65535");
		ct_check(t, ct_vq_size_get(t, id, 0) == 8, "one that failed changed it");
		ct_reset_device(t, id);
	}
}

static void queues_of_any_size_work(struct ct *t)
{
	static const uint16_t sizes[] = { 3, 4, 5, 7, 64, 100, 127, 256 };

	for (int packed = 0; packed < 2; packed++)
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			uint64_t id;
			struct ct_vq *q;
			size_t mark;

			if (!packed && sizes[i] & (sizes[i] - 1))
				continue;
			id = ct_new_blk(t);
			q = ct_up(t, id, ct_features(t, id, packed, true), sizes[i]);
			mark = t->dma_used;
			for (unsigned int k = 0; k < 3u * sizes[i]; k++) {
				ct_check(t, ct_io(q, 0, 0, NULL, 512) == 0,
					 "size %u, packed %d, request %u", sizes[i], packed, k);
				t->dma_used = mark;
			}
			ct_destroy(t, id);
		}
}

static void misaligned_areas_fail(struct ct *t)
{
	for (int packed = 0; packed < 2; packed++) {
		struct ct_vq *q = programmed(t, packed, 16);
		unsigned int driver_align = packed ? 4 : 2;

		for (unsigned int off = 1; off < 16; off++)
			ct_check(t, ct_vq_addr(q, q->desc + off, q->driver, q->device) == CT_ERR,
				 "descriptor area at %u, packed %d", off, packed);
		for (unsigned int off = 1; off < driver_align; off++)
			ct_check(t, ct_vq_addr(q, q->desc, q->driver + off, q->device) == CT_ERR,
				 "driver area at %u, packed %d", off, packed);
		for (unsigned int off = 1; off < 4; off++)
			ct_check(t, ct_vq_addr(q, q->desc, q->driver, q->device + off) == CT_ERR,
				 "device area at %u, packed %d", off, packed);
		ct_check(t,
			 ct_vq_addr(q, q->desc + 16, q->driver + driver_align, q->device + 4) ==
				 CT_OK,
			 "the least alignment, packed %d", packed);
		ct_check(t, ct_vq_addr(q, q->desc, q->driver, q->device) == CT_OK, "right areas");
		/* One that fails leaves the address. */
		ct_check(t, ct_vq_addr(q, q->desc + 1, q->driver, q->device) == CT_ERR,
			 "misaligned");
		ct_check(t, ct_vq_enable(q, 1) == CT_OK, "ENABLE 1");
		driver_ok(q);
		ct_check(t, ct_io(q, 0, 0, NULL, 512) == 0, "a request");
	}
}

static void what_is_set_of_a_queue_cannot_change_while_it_is_enabled(struct ct *t)
{
	struct ct_vq *q = programmed(t, false, 16);

	ct_check(t, ct_vq_enable(q, 1) == CT_OK, "ENABLE 1");
	for (int served = 0; served < 2; served++) {
		ct_check(t, ct_vq_addr(q, q->desc, q->driver, q->device) == CT_ERR, "ADDR SET");
		ct_check(t, ct_vq_size(q, 16) == CT_ERR && ct_vq_size(q, 8) == CT_ERR, "SIZE SET");
		ct_check(t, ct_vq_index_set(q, 0, 0) == CT_ERR, "AVAIL_INDEX SET");
		ct_check(t, ct_vq_asid(q, 0) == CT_ERR, "ASID SET");
		ct_check(t, ct_vq_inflight(q, 0, 0, 0) == CT_ERR, "INFLIGHT SET");
		ct_check(t, ct_vq_inflight(q, 0, t->dma_iova, 4096) == CT_ERR, "INFLIGHT SET");
		ct_check(t, ct_vq_size_get(t, q->id, 0) == 16, "size %u",
			 ct_vq_size_get(t, q->id, 0));
		driver_ok(q);
	}
	ct_check(t, ct_io(q, 0, 0, NULL, 512) == 0, "a request");
	ct_check(t, ct_vq_enable(q, 0) == CT_OK, "ENABLE 0");
	ct_check(t, ct_vq_addr(q, q->desc, q->driver, q->device) == CT_OK, "ADDR SET");
	ct_check(t, ct_vq_size(q, 16) == CT_OK && ct_vq_asid(q, 0) == CT_OK, "SIZE, ASID SET");
	ct_check(t, ct_vq_inflight(q, 0, 0, 0) == CT_OK, "INFLIGHT SET");
}

static void enable_takes_0_and_1_and_repeating_is_ok(struct ct *t)
{
	struct ct_vq *q = programmed(t, false, 16);

	ct_check(t, ct_vq_enable(q, 0) == CT_OK && !ct_vq_enabled(q), "ENABLE 0 of a disabled one");
	ct_check(t, ct_vq_enable(q, 1) == CT_OK && ct_vq_enabled(q) == 1, "ENABLE 1");
	ct_check(t, ct_vq_enable(q, 1) == CT_OK && ct_vq_enabled(q) == 1, "ENABLE 1 again");
	driver_ok(q);
	ct_check(t, ct_io(q, 0, 0, NULL, 512) == 0, "a request");
	ct_check(t, ct_vq_enable(q, 1) == CT_OK, "ENABLE 1 again");
	ct_check(t, ct_io(q, 0, 0, NULL, 512) == 0, "a request after ENABLE 1 again");
	for (unsigned int v = 2; v < 256; v += v < 8 ? 1 : 31)
		ct_check(t, ct_vq_enable(q, (uint8_t)v) == CT_ERR && ct_vq_enabled(q) == 1,
			 "ENABLE %u", v);
	ct_check(t, ct_vq_enable(q, 255) == CT_ERR, "ENABLE 255");
	ct_check(t, ct_vq_enable(q, 0) == CT_OK && !ct_vq_enabled(q), "ENABLE 0");
	ct_check(t, ct_vq_enable(q, 0) == CT_OK && !ct_vq_enabled(q), "ENABLE 0 again");
	ct_check(t, ct_vq_enable(q, 2) == CT_ERR && !ct_vq_enabled(q),
		 "ENABLE 2 of a disabled one");
}

static void areas_that_cannot_be_fail_at_enable(struct ct *t)
{
	uint64_t nowhere = 1ull << 46;

	for (int packed = 0; packed < 2; packed++) {
		uint64_t id = ct_new_blk(t), f = ct_features(t, id, packed, false),
			 end = ~0ull - 15;
		struct ct_vq *q = ct_vq_new(t, id, 0, 64, ct_negotiate(t, id, f));

		ct_check(t, ct_vq_enable(q, 1) == CT_ERR, "without ADDR SET");
		ct_vq_program(q, false);
		ct_check(t, ct_vq_addr(q, 0, 0, 0) == CT_OK, "address 0 is one");
		ct_check(t, ct_vq_enable(q, 1) == CT_ERR, "address 0, which is not mapped");
		ct_check(t, ct_vq_addr(q, nowhere, q->driver, q->device) == CT_OK, "ADDR SET");
		ct_check(t, ct_vq_enable(q, 1) == CT_ERR, "descriptor area not mapped");
		ct_check(t, ct_vq_addr(q, q->desc, nowhere, q->device) == CT_OK, "ADDR SET");
		ct_check(t, ct_vq_enable(q, 1) == CT_ERR, "driver area not mapped");
		ct_check(t, ct_vq_addr(q, q->desc, q->driver, nowhere) == CT_OK, "ADDR SET");
		ct_check(t, ct_vq_enable(q, 1) == CT_ERR, "device area not mapped");
		ct_check(t, ct_vq_addr(q, end, q->driver, q->device) == CT_OK, "ADDR SET");
		ct_check(t, ct_vq_enable(q, 1) == CT_ERR, "descriptor area wraps");
		if (!packed) {
			ct_check(t, ct_vq_addr(q, q->desc, end, q->device) == CT_OK, "ADDR SET");
			ct_check(t, ct_vq_enable(q, 1) == CT_ERR, "driver area wraps");
			ct_check(t, ct_vq_addr(q, q->desc, q->driver, end) == CT_OK, "ADDR SET");
			ct_check(t, ct_vq_enable(q, 1) == CT_ERR, "device area wraps");
		}
		/* It begins in the memory and ends behind it. */
		ct_check(t, ct_vq_addr(q, t->dma_iova + CT_DMA - 16, q->driver, q->device) == CT_OK,
			 "ADDR SET");
		ct_check(t, ct_vq_enable(q, 1) == CT_ERR, "descriptor area mapped in part");
		ct_check(t, !ct_vq_enabled(q), "one that failed enabled it");
		ct_check(t, ct_status(t, id) == 11, "one that failed broke the device");
		ct_check(t, ct_vq_addr(q, q->desc, q->driver, q->device) == CT_OK, "ADDR SET");
		ct_check(t, ct_vq_enable(q, 1) == CT_OK, "right areas");
		driver_ok(q);
		ct_check(t, ct_io(q, 0, 0, NULL, 512) == 0, "a request");
	}
}

static void a_ring_at_address_0_works(struct ct *t)
{
	const struct tvq_bus_ops *ops = t->bus->ops;
	uint64_t id = ct_new_blk(t);
	struct ct_vq *q =
		ct_vq_new(t, id, 0, 16, ct_negotiate(t, id, ct_features(t, id, false, false)));
	uint64_t at = q->desc - t->dma_iova;
	/* The space begins where the queue's descriptors are. */
	struct tvq_bus_mem mem = {
		.iova = 0, .fd = -1, .len = CT_DMA - at, .va = t->dma + at, .perm = 3
	};
	uint32_t asid;

	ct_check(t, ops->space_new(t->bus, &asid) == 0 && ops->map(t->bus, asid, &mem, 1) == 0,
		 "a space");
	q->shift = 0 - q->desc;
	q->driver += q->shift;
	q->device += q->shift;
	q->desc = 0;
	ct_check(t, ct_vq_asid(q, asid) == CT_OK, "ASID SET");
	ct_vq_program(q, false);
	ct_check(t, ct_vq_enable(q, 1) == CT_OK, "ENABLE 1 with descriptors at address 0");
	driver_ok(q);
	ct_check(t, ct_io(q, 0, 0, NULL, 512) == 0, "a request");
	/* So it is told from a queue without an address. */
	ct_check(t, ct_vq_reset(q) == CT_OK && ct_vq_enable(q, 1) == CT_ERR,
		 "VQ_RESET left an address");
	ct_reset_device(t, id);
	ct_negotiate(t, id, ct_features(t, id, false, false));
	ct_check(t, ct_vq_asid(q, asid) == CT_OK && ct_vq_size(q, 16) == CT_OK, "ASID, SIZE SET");
	ct_check(t, ct_vq_enable(q, 1) == CT_ERR, "a reset left an address");
	ct_destroy(t, id);
	ops->space_free(t->bus, asid);
}

static void a_queue_can_be_enabled_after_driver_ok(struct ct *t)
{
	uint64_t id = ct_new_blk_features(t, 0, 2);
	uint64_t f = ct_negotiate(t, id, ct_features(t, id, t->packed, true));
	struct ct_vq *q0 = ct_vq_new(t, id, 0, 16, f), *q1 = ct_vq_new(t, id, 1, 16, f);

	ct_vq_program(q0, true);
	ct_check(t, ct_vq_enable(q0, 1) == CT_OK, "ENABLE 1");
	driver_ok(q0);
	ct_check(t, ct_io(q0, 0, 0, NULL, 512) == 0, "a request on queue 0");
	ct_vq_program(q1, true);
	ct_check(t, ct_vq_enable(q1, 1) == CT_OK, "ENABLE 1 after DRIVER_OK");
	ct_check(t, ct_io(q1, 0, 0, NULL, 512) == 0, "a request on queue 1");
}

static void a_queue_that_becomes_served_is_looked_at_without_a_notification(struct ct *t)
{
	for (int how = 0; how < 4; how++) {
		struct ct_vq *q = programmed(t, how & 1, 16);
		struct ct_io *io = ct_io_start(q, 0, 0, 512);

		if (how & 2)
			driver_ok(q);
		ct_check(t, ct_vq_enable(q, 1) == CT_OK, "ENABLE 1");
		if (!(how & 2))
			driver_ok(q);
		ct_check(t, ct_io_wait(q, io) && *io->status == 0,
			 "%s: the request that was there is not served",
			 how & 2 ? "ENABLE after DRIVER_OK" : "DRIVER_OK after ENABLE");
		ct_check(t, ct_wait_word(t, q->msi, CT_MSI_DATA(q)), "no interrupt");
	}
}

/* The queue of a device over the slow volume: ENABLE 0 or RESET waits for what was taken. */
static struct ct_chain *stop(struct ct_vq *q, bool reset)
{
	uint8_t v[3] = { 0 };

	if (reset)
		return ct_start(q->t, q->id, CT_CLASS(VQ_RESET), VIRTIO_TRANSPTQ_CTRL_VQ_RESET_SET,
				v, 2, 0);
	return ct_start(q->t, q->id, CT_CLASS(VQ_ENABLE), VIRTIO_TRANSPTQ_CTRL_VQ_ENABLE_SET, v, 3,
			0);
}

static void waits_for_what_is_under_way(struct ct *t, bool reset)
{
	struct ct_io *io[4], *late;
	struct ct_vq *q = ct_busy(t, &io[0]);
	struct ct_chain *c;

	if (reset && !(ct_offered(t, q->id) & CT_F(TVQ_F_RING_RESET)))
		ct_skip(t, "managed devices do not offer RING_RESET");
	for (int i = 1; i < 4; i++)
		io[i] = ct_io_start(q, 0, 0, 512);
	ct_vq_notify(q);
	ct_wait_slow(t, 4);
	c = stop(q, reset);
	ct_pause(t, CT_CHANCE_NS);
	ct_check(t, !c->used, "it is acked while requests are worked on");
	late = ct_io_start(q, 0, 0, 512);
	ct_vq_notify(q);
	ct_pause(t, CT_CHANCE_NS);
	ct_check(t, ct_slow_waiting(t->slow) == 4, "more was taken: %u", ct_slow_waiting(t->slow));
	ct_slow_release(t->slow);
	ct_check(t, ct_wait_chain(t, c) && ct_ack(c) == CT_OK, "it answers %s",
		 ct_ack_name(ct_ack(c)));
	ct_io_collect(q);
	for (int i = 0; i < 4; i++)
		ct_check(t, io[i]->done && *io[i]->status == 0,
			 "request %d was not used by the ack", i);
	*q->msi = 0;
	ct_vq_notify(q);
	ct_check(t, !ct_served(q, late) && !ct_slow_waiting(t->slow), "a stopped queue is served");
	ct_check(t, !*q->msi, "an interrupt of a stopped queue");
	ct_check(t, !ct_vq_enabled(q), "ENABLE GET");
}

static void when_enable_0_is_acked_nothing_is_worked_on(struct ct *t)
{
	waits_for_what_is_under_way(t, false);
}

static void when_reset_is_acked_nothing_is_worked_on_and_no_interrupt_follows(struct ct *t)
{
	waits_for_what_is_under_way(t, true);
}

static void after_enable_0_a_queue_goes_on_where_it_was(struct ct *t)
{
	for (int packed = 0; packed < 2; packed++) {
		struct ct_vq *q = programmed(t, packed, 8);
		uint16_t a0, u0, a1, u1;

		ct_check(t, ct_vq_enable(q, 1) == CT_OK, "ENABLE 1");
		driver_ok(q);
		for (unsigned int round = 0; round < 12; round++) {
			struct ct_io *io;

			*q->msi = 0;
			ct_check(t, ct_io(q, 0, 0, NULL, 512) == 0,
				 "packed %d, round %u: a request", packed, round);
			ct_check(t, ct_wait_word(t, q->msi, CT_MSI_DATA(q)), "MSI did not stay");
			ct_check(t, ct_vq_enable(q, 0) == CT_OK, "ENABLE 0");
			ct_check(t, ct_vq_index(q, &a0, &u0) == CT_OK, "AVAIL_INDEX GET");
			ct_check(t, ct_vq_size_get(t, q->id, 0) == 8, "the size did not stay");
			io = ct_io_start(q, 0, 0, 512);
			ct_vq_notify(q);
			if (!(round % 4))
				ct_check(t, !ct_served(q, io), "a disabled queue is served");
			ct_check(t, ct_vq_index(q, &a1, &u1) == CT_OK && a0 == a1 && u0 == u1,
				 "its position moved");
			ct_check(t, ct_vq_enable(q, 1) == CT_OK, "ENABLE 1");
			ct_check(t, ct_io_wait(q, io) && *io->status == 0,
				 "packed %d, round %u: what came meanwhile", packed, round);
		}
	}
}

static void reset_without_its_feature_fails(struct ct *t)
{
	uint64_t id = ct_new_blk(t);
	struct ct_vq *q =
		ct_up(t, id, ct_features(t, id, t->packed, true) & ~CT_F(TVQ_F_RING_RESET), 16);

	ct_check(t, ct_vq_reset(q) == CT_ERR, "it does not");
	ct_check(t, ct_vq_enabled(q) == 1, "it stopped the queue");
	ct_check(t, ct_io(q, 0, 0, NULL, 512) == 0, "a request");
}

static void reset_brings_first_values_and_the_queue_can_be_set_up_anew(struct ct *t)
{
	for (int packed = 0; packed < 2; packed++) {
		uint64_t id = ct_new_blk_features(t, 0, 2);
		uint64_t f = ct_negotiate(t, id, ct_features(t, id, packed, true));
		uint16_t max = ct_vq_size_get(t, id, 0), a, u, first = packed ? 0x8000 : 0;
		struct ct_vq *q = ct_vq_new(t, id, 0, 16, f), *other = ct_vq_new(t, id, 1, 16, f);

		if (!(f & CT_F(TVQ_F_RING_RESET)))
			ct_skip(t, "managed devices do not offer RING_RESET");
		ct_vq_program(q, true);
		ct_vq_program(other, true);
		ct_check(t, ct_vq_enable(q, 1) == CT_OK && ct_vq_enable(other, 1) == CT_OK,
			 "ENABLE 1");
		driver_ok(q);
		for (int i = 0; i < 5; i++)
			ct_check(t, ct_io(q, 0, 0, NULL, 512) == 0, "a request");
		ct_check(t, ct_vq_reset(q) == CT_OK, "RESET");
		ct_check(t, !ct_vq_enabled(q), "it is enabled");
		ct_check(t, ct_vq_size_get(t, id, 0) == max, "size %u, not %u",
			 ct_vq_size_get(t, id, 0), max);
		ct_check(t, ct_vq_index(q, &a, &u) == CT_OK && a == first && u == first,
			 "index 0x%x, 0x%x", a, u);
		ct_check(t, ct_vq_enable(q, 1) == CT_ERR, "it left the address");
		ct_check(t, ct_vq_reset(q) == CT_OK, "RESET of a disabled queue");
		ct_check(t, ct_io(other, 0, 0, NULL, 512) == 0, "the other queue meanwhile");
		q = ct_vq_new(t, id, 0, 32, f);
		ct_vq_program(q, true);
		ct_check(t, ct_vq_enable(q, 1) == CT_OK, "ENABLE 1 of the new ring");
		for (int i = 0; i < 5; i++)
			ct_check(t, ct_io(q, 0, 0, NULL, 512) == 0, "a request on the new ring");
	}
}

const struct ct_test ct_tests_vq[] = {
	{ "TQ-090", "before_features_ok_nothing_of_a_rings_format_works",
	  before_features_ok_nothing_of_a_rings_format_works, 0 },
	{ "TQ-091", "size_after_reset_is_the_maximum_a_power_of_two",
	  size_after_reset_is_the_maximum_a_power_of_two, 0 },
	{ "TQ-091", "size_set_takes_1_to_the_maximum", size_set_takes_1_to_the_maximum, 0 },
	{ "TQ-091", "queues_of_any_size_work", queues_of_any_size_work, 0 },
	{ "TQ-092", "misaligned_areas_fail", misaligned_areas_fail, 0 },
	{ "TQ-093", "what_is_set_of_a_queue_cannot_change_while_it_is_enabled",
	  what_is_set_of_a_queue_cannot_change_while_it_is_enabled, 0 },
	{ "TQ-094", "enable_takes_0_and_1_and_repeating_is_ok",
	  enable_takes_0_and_1_and_repeating_is_ok, 0 },
	{ "TQ-094", "areas_that_cannot_be_fail_at_enable", areas_that_cannot_be_fail_at_enable, 0 },
	{ "TQ-094 TQ-067 TQ-097", "a_ring_at_address_0_works", a_ring_at_address_0_works,
	  CT_NEEDS_SPACES },
	{ "TQ-094", "a_queue_can_be_enabled_after_driver_ok",
	  a_queue_can_be_enabled_after_driver_ok, 0 },
	{ "TQ-095", "a_queue_that_becomes_served_is_looked_at_without_a_notification",
	  a_queue_that_becomes_served_is_looked_at_without_a_notification, 0 },
	{ "TQ-096", "when_enable_0_is_acked_nothing_is_worked_on",
	  when_enable_0_is_acked_nothing_is_worked_on, CT_NEEDS_SLOW },
	{ "TQ-096", "after_enable_0_a_queue_goes_on_where_it_was",
	  after_enable_0_a_queue_goes_on_where_it_was, 0 },
	{ "TQ-097", "reset_without_its_feature_fails", reset_without_its_feature_fails, 0 },
	{ "TQ-097", "reset_brings_first_values_and_the_queue_can_be_set_up_anew",
	  reset_brings_first_values_and_the_queue_can_be_set_up_anew, 0 },
	{ "TQ-097", "when_reset_is_acked_nothing_is_worked_on_and_no_interrupt_follows",
	  when_reset_is_acked_nothing_is_worked_on_and_no_interrupt_follows, CT_NEEDS_SLOW },
	{ 0 },
};
