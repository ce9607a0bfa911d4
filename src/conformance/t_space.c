// SPDX-License-Identifier: BSD-3-Clause
/* Section 4.10: address spaces. Those of the tests map the suite's DMA memory at another
 * address. */
#include <string.h>

#include "conformance/ct.h"
#include "device/features.h"
#include "device/util.h"

#define SHIFT (1ull << 40)
#define RW    3

static uint32_t new_space(struct ct *t)
{
	uint32_t asid = 0;

	ct_check(t, t->bus->ops->space_new(t->bus, &asid) == 0 && asid, "the bus gives no space");
	return asid;
}

/* The suite's memory, at shift more than in space 0. */
static void map_at(struct ct *t, uint32_t asid, uint64_t shift, uint32_t perm)
{
	struct tvq_bus_mem mem = {
		.iova = t->dma_iova + shift, .len = CT_DMA, .fd = -1, .va = t->dma, .perm = perm
	};

	ct_check(t, t->bus->ops->map(t->bus, asid, &mem, 1) == 0, "map");
}

struct unmapping {
	struct tvq_done done;
	bool ended;
};

static void unmapped(struct tvq_done *d, int err)
{
	(void)err;
	((struct unmapping *)d)->ended = true;
}

static bool has_ended(void *arg)
{
	return ((struct unmapping *)arg)->ended;
}

/* Statically kept: one that a test gives up waiting for may end later. */
static void unmap(struct ct *t, uint32_t asid, uint64_t iova, uint64_t len)
{
	static struct unmapping u;

	u = (struct unmapping){ .done.fn = unmapped };
	ct_check(t, t->bus->ops->unmap(t->bus, asid, iova, len, &u.done) == 0, "unmap");
	ct_check(t, ct_until(t, has_ended, &u), "unmap does not end");
}

static void unmap_all(struct ct *t, uint32_t asid)
{
	unmap(t, asid, 0, UINT64_MAX);
}

static uint64_t new_in(struct ct *t, uint32_t asid)
{
	uint64_t id = 0;
	uint32_t ack = ct_create(t, 2, asid, 0, NULL, 0, &id);

	ct_check(t, ack == CT_OK, "CREATE with asid %u answers %s", asid, ct_ack_name(ack));
	return id;
}

static void create_sets_the_default_and_vq_asid_overrides_it(struct ct *t)
{
	uint32_t a = new_space(t), b = new_space(t);
	uint64_t id = new_in(t, a);
	struct ct_vq *q = ct_vq_new(t, id, 0, 16, 0);

	ct_check(t, ct_vq_asid_get(t, id, 0) == a, "asid %u, not %u of CREATE",
		 ct_vq_asid_get(t, id, 0), a);
	ct_check(t, ct_vq_asid(q, b) == CT_OK && ct_vq_asid_get(t, id, 0) == b, "ASID SET %u", b);
	ct_check(t, ct_vq_asid(q, 0) == CT_OK && ct_vq_asid_get(t, id, 0) == 0, "ASID SET 0");
	ct_check(t, ct_vq_asid(q, b) == CT_OK, "ASID SET %u", b);
	ct_reset_device(t, id);
	ct_check(t, ct_vq_asid_get(t, id, 0) == a, "after reset asid %u, not the default %u",
		 ct_vq_asid_get(t, id, 0), a);
	ct_destroy(t, id);
	t->bus->ops->space_free(t->bus, a);
	t->bus->ops->space_free(t->bus, b);
}

static void an_asid_that_the_platform_lacks_fails(struct ct *t)
{
	uint32_t a = new_space(t), bad[] = { a + 1000, 0xffff, 0x10000, 0x7fffffff, 0xffffffff, a };
	uint64_t id = ct_new_blk(t), other;
	struct ct_vq *q = ct_vq_new(t, id, 0, 16, 0);
	/* Over vfio-user every space up to 65535 is there (TQ-123). */
	size_t first = t->options->path ? 2 : 0, last = t->options->path ? 5 : 6;

	ct_check(t, ct_vq_asid(q, a) == CT_OK, "ASID SET %u", a);
	ct_check(t, ct_vq_asid(q, 0) == CT_OK, "ASID SET 0");
	t->bus->ops->space_free(t->bus, a);
	for (size_t i = first; i < last; i++) {
		ct_check(t, ct_vq_asid(q, bad[i]) == CT_ERR, "ASID SET %u", bad[i]);
		ct_check(t, ct_create(t, 2, bad[i], 0, NULL, 0, &other) == CT_ERR,
			 "CREATE with asid %u", bad[i]);
	}
	ct_check(t, ct_vq_asid_get(t, id, 0) == 0, "one that failed changed it");
	ct_negotiate(t, id, 0);
	for (size_t i = first; i < last; i++)
		ct_check(t, ct_vq_inflight(q, bad[i], t->dma_iova, 4096) == CT_ERR,
			 "INFLIGHT SET with asid %u", bad[i]);
}

static void all_dma_of_a_virtqueue_goes_through_its_space(struct ct *t)
{
	for (int by_vq = 0; by_vq < 2; by_vq++)
		for (int packed = 0; packed < 2; packed++) {
			uint32_t asid = new_space(t);
			uint64_t id = new_in(t, by_vq ? 0 : asid), f;
			struct ct_vq *q;

			map_at(t, asid, SHIFT, RW);
			f = ct_negotiate(t, id, ct_features(t, id, packed, true));
			t->shift = SHIFT;
			q = ct_vq_new(t, id, 0, 16, f);
			t->shift = 0;
			if (by_vq)
				ct_check(t, ct_vq_asid(q, asid) == CT_OK, "ASID SET");
			ct_vq_program(q, true);
			ct_check(t, ct_vq_enable(q, 1) == CT_OK, "ENABLE 1 of a ring in its space");
			ct_check(t, ct_set_status(t, id, 15) == CT_OK, "DRIVER_OK");
			for (int i = 0; i < 40; i++)
				ct_check(t, ct_io(q, i & 1, 0, NULL, 512) == 0, "a request");
			/* MSIs are in the management device's space all the same (TQ-081). */
			ct_check(t, ct_wait_word(t, q->msi, CT_MSI_DATA(q)), "no interrupt");
			/* The space stays over ENABLE 0 (TQ-096). */
			ct_check(t,
				 ct_vq_enable(q, 0) == CT_OK && ct_vq_asid_get(t, id, 0) == asid &&
					 ct_vq_enable(q, 1) == CT_OK,
				 "ENABLE 0 and 1");
			ct_check(t, ct_io(q, 0, 0, NULL, 512) == 0, "a request");
			ct_destroy(t, id);
			t->bus->ops->space_free(t->bus, asid);
		}
}

/* Ring, header, data, status of a request: one of them by its address in space 0. */
static void one_part_elsewhere(struct ct *t, unsigned int part)
{
	uint32_t asid = new_space(t);
	uint64_t id = new_in(t, asid);
	struct ct_io *io = ct_own(t, sizeof(*io));
	struct tvq_sg sg[3];
	struct ct_vq *q;

	map_at(t, asid, SHIFT, RW);
	t->shift = SHIFT;
	q = ct_up(t, id, ct_features(t, id, t->packed, true), 16);
	t->shift = 0;
	ct_check(t, ct_io(q, 0, 0, NULL, 512) == 0, "a request");
	io->header = ct_alloc(t, 16, 8, &sg[0].addr);
	io->data = ct_alloc(t, 512, 512, &sg[1].addr);
	io->status = ct_alloc(t, 1, 1, &sg[2].addr);
	sg[0].len = 16;
	sg[1].len = 512;
	sg[2].len = 1;
	memset(io->data, 0xd7, 512);
	*io->status = 0xee;
	for (unsigned int i = 0; i < 3; i++)
		sg[i].addr += i == part ? 0 : SHIFT;
	ct_check(t, tvq_drv_ring_add(q->ring, sg, 1, 2, io) == 0, "add");
	tvq_drv_ring_publish(q->ring);
	ct_vq_notify(q);
	ct_wait_needs_reset(t, id);
	ct_check(t, *io->status == 0xee, "part %u: it was executed", part);
	for (unsigned int i = 0; i < 512; i++)
		ct_check(t, io->data[i] == 0xd7, "part %u: memory of space 0 was reached", part);
	ct_destroy(t, id);
	t->bus->ops->space_free(t->bus, asid);
}

static void what_is_not_mapped_there_cannot_be_reached(struct ct *t)
{
	for (unsigned int part = 0; part < 3; part++)
		one_part_elsewhere(t, part);
}

static void a_ring_that_is_not_mapped_there_cannot_be_enabled(struct ct *t)
{
	uint32_t asid = new_space(t);
	uint64_t id = new_in(t, asid);
	struct ct_vq *q =
		ct_vq_new(t, id, 0, 16, ct_negotiate(t, id, ct_features(t, id, t->packed, true)));
	struct tvq_bus_mem not_there = {
		.iova = t->dma_iova, .len = CT_DMA, .fd = -1, .va = NULL, .perm = RW
	};

	ct_vq_program(q, true); /* with addresses of space 0 */
	ct_check(t, ct_vq_enable(q, 1) == CT_ERR, "in an empty space");
	map_at(t, asid, SHIFT, RW);
	ct_check(t, ct_vq_enable(q, 1) == CT_ERR, "in a space that maps it elsewhere");
	unmap_all(t, asid);
	ct_check(t, t->bus->ops->map(t->bus, asid, &not_there, 1) == 0, "map without memory");
	ct_check(t, ct_vq_enable(q, 1) == CT_ERR, "in a space that knows it without reaching it");
	unmap_all(t, asid);
	map_at(t, asid, 0, 1);
	ct_check(t, ct_vq_enable(q, 1) == CT_ERR, "in a space that is read-only there");
	unmap_all(t, asid);
	map_at(t, asid, 0, RW);
	ct_check(t, ct_vq_enable(q, 1) == CT_OK, "in a space that has it");
	ct_check(t, ct_set_status(t, id, 15) == CT_OK && ct_io(q, 0, 0, NULL, 512) == 0,
		 "a request");
	ct_destroy(t, id);
	t->bus->ops->space_free(t->bus, asid);
}

static void queues_of_a_device_have_spaces_of_their_own(struct ct *t)
{
	uint32_t asid = new_space(t);
	uint64_t id = ct_new_blk_features(t, 0, 2);
	uint64_t f = ct_negotiate(t, id, ct_features(t, id, t->packed, true));
	struct ct_vq *q0 = ct_vq_new(t, id, 0, 16, f), *q1;

	t->shift = SHIFT;
	q1 = ct_vq_new(t, id, 1, 16, f);
	t->shift = 0;
	map_at(t, asid, SHIFT, RW);
	ct_check(t, ct_vq_asid(q1, asid) == CT_OK, "ASID SET");
	ct_check(t, ct_vq_asid_get(t, id, 0) == 0 && ct_vq_asid_get(t, id, 1) == asid,
		 "it is not that queue's");
	ct_vq_program(q0, true);
	ct_vq_program(q1, true);
	ct_check(t, ct_vq_enable(q0, 1) == CT_OK && ct_vq_enable(q1, 1) == CT_OK, "ENABLE 1");
	ct_check(t, ct_set_status(t, id, 15) == CT_OK, "DRIVER_OK");
	for (int i = 0; i < 10; i++)
		ct_check(t, ct_io(i & 1 ? q1 : q0, 0, 0, NULL, 512) == 0, "a request");
	ct_destroy(t, id);
	t->bus->ops->space_free(t->bus, asid);
}

static void a_buffer_without_the_right_to_write_breaks_the_device(struct ct *t)
{
	uint32_t asid = new_space(t);
	uint64_t id = new_in(t, asid), read_only = 1ull << 44;
	struct ct_vq *q;
	struct ct_io *io;

	map_at(t, asid, SHIFT, RW);
	map_at(t, asid, read_only, 1);
	t->shift = SHIFT;
	q = ct_up(t, id, ct_features(t, id, t->packed, true), 16);
	t->shift = 0;
	q->shift = read_only;
	io = ct_io_start(q, 0, 0, 512);
	ct_vq_notify(q);
	ct_wait_needs_reset(t, id);
	ct_check(t, *io->status == 0xee, "it wrote what it may only read");
	ct_destroy(t, id);
	t->bus->ops->space_free(t->bus, asid);
}

static void what_was_unmapped_cannot_be_reached_any_more(struct ct *t)
{
	uint32_t asid = new_space(t);
	uint64_t id = new_in(t, asid);
	struct ct_vq *q;
	struct ct_io *io;

	map_at(t, asid, SHIFT, RW);
	map_at(t, asid, 2 * SHIFT, RW);
	t->shift = SHIFT;
	q = ct_up(t, id, ct_features(t, id, t->packed, true), 16);
	t->shift = 0;
	q->shift = 2 * SHIFT;
	ct_check(t, ct_io(q, 0, 0, NULL, 512) == 0, "a request");
	unmap(t, asid, t->dma_iova + 2 * SHIFT, CT_DMA);
	q->shift = SHIFT;
	ct_check(t, ct_io(q, 0, 0, NULL, 512) == 0, "a request in what is still mapped");
	q->shift = 2 * SHIFT;
	io = ct_io_start(q, 0, 0, 512);
	ct_vq_notify(q);
	ct_wait_needs_reset(t, id);
	ct_check(t, *io->status == 0xee, "it reached what was unmapped");
	ct_destroy(t, id);
	t->bus->ops->space_free(t->bus, asid);
}

const struct ct_test ct_tests_space[] = {
	{ "TQ-120 TQ-067", "create_sets_the_default_and_vq_asid_overrides_it",
	  create_sets_the_default_and_vq_asid_overrides_it, CT_NEEDS_SPACES },
	{ "TQ-120", "an_asid_that_the_platform_lacks_fails", an_asid_that_the_platform_lacks_fails,
	  CT_NEEDS_SPACES },
	{ "TQ-121 TQ-096", "all_dma_of_a_virtqueue_goes_through_its_space",
	  all_dma_of_a_virtqueue_goes_through_its_space, CT_NEEDS_SPACES },
	{ "TQ-121 TQ-025", "what_is_not_mapped_there_cannot_be_reached",
	  what_is_not_mapped_there_cannot_be_reached, CT_NEEDS_SPACES },
	{ "TQ-121 TQ-094", "a_ring_that_is_not_mapped_there_cannot_be_enabled",
	  a_ring_that_is_not_mapped_there_cannot_be_enabled, CT_NEEDS_SPACES },
	{ "TQ-120 TQ-121", "queues_of_a_device_have_spaces_of_their_own",
	  queues_of_a_device_have_spaces_of_their_own, CT_NEEDS_SPACES },
	{ "TQ-121 TQ-025", "a_buffer_without_the_right_to_write_breaks_the_device",
	  a_buffer_without_the_right_to_write_breaks_the_device, CT_NEEDS_SPACES },
	{ "TQ-121", "what_was_unmapped_cannot_be_reached_any_more",
	  what_was_unmapped_cannot_be_reached_any_more, CT_NEEDS_SPACES },
	{ 0 },
};
