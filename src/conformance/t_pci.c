// SPDX-License-Identifier: BSD-3-Clause
/*
 * What binds a PCI function (TQ-102), and address spaces over vfio-user (TQ-123). These tests go
 * below the bus, which would not do some of it: they map memory and write registers by themselves.
 */
#include <string.h>

#include <tvq/dma.h>

#include "bus/virtio_pci.h"
#include "conformance/ct.h"
#include "device/features.h"
#include "device/util.h"

#define PAGE	    4096u
#define SPACE_SHIFT 48
#define SPACE_BYTES (1ull << SPACE_SHIFT)
#define RW	    (TVQ_DMA_READ | TVQ_DMA_WRITE)

static struct tvq_pci_fn *function(struct ct *t)
{
	return tvq_virtio_pci_fn(t->bus);
}

/* ---- TQ-102 ---- */

#define DEVICES 8
#define QUEUES	4

static uint64_t area_of(struct ct *t, uint64_t id, uint16_t index)
{
	struct virtio_transportq_ctrl_vdev_vq_notification_area a;
	unsigned int region;
	uint64_t offset, len, addr;
	uint8_t v[2];

	tvq_virtio_pci_notify_cap(t->bus, &region, &offset, &len);
	tvq_put16(v, index);
	ct_ok(t, id, VQ_NOTIFY, GET, v, 2, &a, sizeof(a));
	addr = tvq_get64(&a.addr);
	ct_check(t, tvq_get64(&a.size) == PAGE, "queue %u: an area of %llu bytes", index,
		 (unsigned long long)tvq_get64(&a.size));
	ct_check(t, addr % PAGE == 0, "queue %u: its area at 0x%llx is not aligned", index,
		 (unsigned long long)addr);
	ct_check(t, len >= PAGE && addr <= len - PAGE,
		 "queue %u: its area at 0x%llx lies outside the structure of %llu bytes", index,
		 (unsigned long long)addr, (unsigned long long)len);
	return addr;
}

static void areas_are_pages_of_the_notify_structure_that_no_two_devices_share(struct ct *t)
{
	uint64_t pages[DEVICES][QUEUES], offset, len;
	unsigned int region;

	tvq_virtio_pci_notify_cap(t->bus, &region, &offset, &len);
	ct_check(t, offset % PAGE == 0, "the structure is at 0x%llx of its BAR",
		 (unsigned long long)offset);
	for (unsigned int d = 0; d < DEVICES; d++) {
		uint64_t id = ct_new_blk_features(t, 0, QUEUES);

		for (uint16_t q = 0; q < QUEUES; q++)
			pages[d][q] = area_of(t, id, q);
	}
	for (unsigned int i = 0; i < DEVICES * QUEUES; i++)
		for (unsigned int k = 0; k < DEVICES * QUEUES; k++)
			ct_check(t,
				 i / QUEUES == k / QUEUES || pages[i / QUEUES][i % QUEUES] !=
								     pages[k / QUEUES][k % QUEUES],
				 "devices %u and %u share a page", i / QUEUES, k / QUEUES);
}

static void no_area_is_in_a_page_of_the_functions_own_queues(struct ct *t)
{
	uint64_t own = tvq_virtio_pci_own_notify(t->bus, t->transportq) / PAGE;

	for (unsigned int d = 0; d < DEVICES; d++) {
		uint64_t id = ct_new_blk(t);

		ct_check(t, area_of(t, id, 0) / PAGE != own,
			 "device %u: its area is in the transportq's page", d);
	}
}

static void addr_is_the_offset_from_the_notify_structure(struct ct *t)
{
	uint64_t id = ct_new_blk(t), offset, len;
	struct ct_vq *q = ct_up(t, id, 0, 16);
	struct tvq_pci_fn *f = function(t);
	uint8_t index[2] = { 0 };
	unsigned int region;

	tvq_virtio_pci_notify_cap(t->bus, &region, &offset, &len);
	for (int i = 0; i < 5; i++) {
		struct ct_io *io;

		ct_pause(t, CT_CHANCE_NS);
		io = ct_io_start(q, 0, 0, 512);
		f->ops->post(f, region, offset + area_of(t, id, 0), index, 2);
		ct_check(t, ct_io_wait(q, io) && *io->status == 0, "request %d", i);
	}
}

/* ---- TQ-123 ---- */

/* The suite's memory at a DMA address; 0 or -errno. */
static int map_raw(struct ct *t, uint64_t addr, uint64_t len)
{
	struct tvq_pci_fn *f = function(t);
	struct tvq_bus_mem m = { .iova = addr, .len = len, .perm = RW };

	/* By the descriptor that it has in space 0. */
	m.fd = tvq_virtio_pci_dma_fd(t->bus, t->dma);
	return f->ops->dma_map(f, &m, 1);
}

struct unmapping {
	struct tvq_done done;
	bool ended;
};

static void unmapped(struct tvq_done *d, int err)
{
	(void)err;
	tvq_container_of(d, struct unmapping, done)->ended = true;
}

static bool has_ended(void *arg)
{
	return ((struct unmapping *)arg)->ended;
}

static void unmap_raw(struct ct *t, uint64_t addr, uint64_t len)
{
	/* Statically kept: one that a test gives up waiting for may end later. */
	static struct unmapping u;
	struct tvq_pci_fn *f = function(t);

	u = (struct unmapping){ .done.fn = unmapped };
	ct_check(t, f->ops->dma_unmap(f, addr, len, &u.done) == 0, "unmap");
	ct_check(t, ct_until(t, has_ended, &u), "unmap does not end");
}

static uint64_t new_in(struct ct *t, uint32_t asid)
{
	uint64_t id = 0;
	uint32_t ack = ct_create(t, 2, asid, 0, NULL, 0, &id);

	ct_check(t, ack == CT_OK, "CREATE with asid %u answers %s", asid, ct_ack_name(ack));
	return id;
}

/* A device whose queue lies at shift in that space, running. */
static struct ct_vq *up_in(struct ct *t, uint32_t asid, uint64_t shift)
{
	uint64_t id = new_in(t, asid);
	struct ct_vq *q;

	t->shift = shift;
	q = ct_up(t, id, ct_features(t, id, t->packed, true), 16);
	t->shift = 0;
	return q;
}

static void space_k_begins_at_k_times_2_to_the_48(struct ct *t)
{
	static const uint32_t spaces[] = { 1, 2, 255, 4096, 32768, 65535 };

	for (size_t i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++) {
		uint64_t base = (uint64_t)spaces[i] << SPACE_SHIFT;
		struct ct_vq *q;

		ct_check(t, map_raw(t, base + PAGE, CT_DMA) == 0, "map in space %u", spaces[i]);
		q = up_in(t, spaces[i], PAGE - t->dma_iova);
		ct_check(t, ct_io(q, 0, 0, NULL, 512) == 0, "a request in space %u", spaces[i]);
		ct_destroy(t, q->id);
		unmap_raw(t, base + PAGE, CT_DMA);
	}
}

static void asids_above_65535_fail(struct ct *t)
{
	static const uint32_t bad[] = { 65536, 65537, 1u << 24, 0x7fffffff, 0xffffffff };
	uint64_t id = ct_new_blk(t), other;
	struct ct_vq *q = ct_vq_new(t, id, 0, 16, 0);

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ct_check(t, ct_vq_asid(q, bad[i]) == CT_ERR, "ASID SET %u", bad[i]);
		ct_check(t, ct_create(t, 2, bad[i], 0, NULL, 0, &other) == CT_ERR,
			 "CREATE with asid %u", bad[i]);
	}
	ct_check(t, ct_vq_asid(q, 65535) == CT_OK && ct_vq_asid_get(t, id, 0) == 65535,
		 "ASID SET 65535");
}

/* A read whose data goes to addr of the queue's space. */
static struct ct_io *start_at(struct ct_vq *q, uint64_t addr, uint32_t len)
{
	struct ct_io *io = ct_own(q->t, sizeof(*io));
	struct tvq_sg sg[3];

	io->header = ct_alloc(q->t, 16, 8, &io->header_iova);
	io->status = ct_alloc(q->t, 1, 1, &io->status_iova);
	io->len = len;
	*io->status = 0xee;
	sg[0] = (struct tvq_sg){ io->header_iova + q->shift, 16 };
	sg[1] = (struct tvq_sg){ addr, len };
	sg[2] = (struct tvq_sg){ io->status_iova + q->shift, 1 };
	ct_check(q->t, !tvq_drv_ring_add(q->ring, sg, 1, 2, io), "no room");
	tvq_drv_ring_publish(q->ring);
	ct_vq_notify(q);
	return io;
}

static void must_work(struct ct *t, struct ct_vq *q, uint64_t addr, const char *what)
{
	struct ct_io *io = start_at(q, addr, 512);

	ct_check(t, ct_io_wait(q, io) && *io->status == 0, "a request %s", what);
}

/* Ends the device. */
static void must_break(struct ct *t, struct ct_vq *q, uint64_t addr, const char *what)
{
	struct ct_io *io = start_at(q, addr, 512);

	ct_wait_needs_reset(t, q->id);
	ct_check(t, *io->status == 0xee, "a request %s is done", what);
	ct_destroy(t, q->id);
}

static void nothing_beyond_2_to_the_48_is_mapped_in_any_space(struct ct *t)
{
	uint64_t one = SPACE_BYTES, two = 2 * SPACE_BYTES, back = 0 - t->dma_iova, data;
	struct ct_vq *q;

	/* Not the memory's start: the transportq is there. */
	ct_alloc(t, 512, 512, &data);
	ct_check(t, map_raw(t, one, CT_DMA) == 0 && map_raw(t, two, CT_DMA) == 0, "map");
	q = up_in(t, 0, 0);
	must_work(t, q, data, "within space 0");
	must_break(t, q, one, "that reaches space 1 from space 0");
	q = up_in(t, 1, back);
	must_work(t, q, data + back, "within space 1");
	must_break(t, q, one, "that reaches space 2 from space 1");
	must_break(t, up_in(t, 2, back), t->dma_iova - two, "that wraps to space 0 from space 2");
	unmap_raw(t, one, CT_DMA);
	unmap_raw(t, two, CT_DMA);
}

/* Two mappings that touch each other at the border. */
static void an_access_across_the_border_is_not_mapped(struct ct *t)
{
	uint64_t border = SPACE_BYTES;
	struct ct_vq *q;

	ct_check(t, map_raw(t, border - CT_DMA, CT_DMA) == 0 && map_raw(t, border, CT_DMA) == 0,
		 "map");
	q = up_in(t, 0, 0);
	must_work(t, q, border - 512, "up to the border");
	must_break(t, q, border - 256, "across the border");
	unmap_raw(t, border - CT_DMA, CT_DMA);
	unmap_raw(t, border, CT_DMA);
}

static void a_mapping_across_the_border_is_refused(struct ct *t)
{
	static const struct {
		uint64_t addr, len;
	} bad[] = {
		{ SPACE_BYTES - PAGE, 2 * PAGE },
		{ SPACE_BYTES - CT_DMA + PAGE, CT_DMA },
		{ 2 * SPACE_BYTES - PAGE, CT_DMA },
		{ (65535ull << SPACE_SHIFT) - PAGE, 2 * PAGE },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ct_check(t, map_raw(t, bad[i].addr, bad[i].len) != 0,
			 "DMA_MAP of 0x%llx bytes at 0x%llx", (unsigned long long)bad[i].len,
			 (unsigned long long)bad[i].addr);
	/* Up to the border and from it on is right. */
	ct_check(t, map_raw(t, SPACE_BYTES - PAGE, PAGE) == 0, "DMA_MAP up to the border");
	ct_check(t, map_raw(t, SPACE_BYTES, PAGE) == 0, "DMA_MAP from the border on");
	unmap_raw(t, SPACE_BYTES - PAGE, PAGE);
	unmap_raw(t, SPACE_BYTES, PAGE);
}

const struct ct_test ct_tests_pci[] = {
	{ "TQ-102", "areas_are_pages_of_the_notify_structure_that_no_two_devices_share",
	  areas_are_pages_of_the_notify_structure_that_no_two_devices_share, CT_NEEDS_PCI },
	{ "TQ-102", "no_area_is_in_a_page_of_the_functions_own_queues",
	  no_area_is_in_a_page_of_the_functions_own_queues, CT_NEEDS_PCI },
	{ "TQ-102", "addr_is_the_offset_from_the_notify_structure",
	  addr_is_the_offset_from_the_notify_structure, CT_NEEDS_PCI },
	{ "TQ-123", "space_k_begins_at_k_times_2_to_the_48", space_k_begins_at_k_times_2_to_the_48,
	  CT_NEEDS_PCI },
	{ "TQ-123", "asids_above_65535_fail", asids_above_65535_fail, CT_NEEDS_PCI },
	{ "TQ-123", "nothing_beyond_2_to_the_48_is_mapped_in_any_space",
	  nothing_beyond_2_to_the_48_is_mapped_in_any_space, CT_NEEDS_PCI },
	{ "TQ-123", "an_access_across_the_border_is_not_mapped",
	  an_access_across_the_border_is_not_mapped, CT_NEEDS_PCI },
	{ "TQ-123", "a_mapping_across_the_border_is_refused",
	  a_mapping_across_the_border_is_refused, CT_NEEDS_PCI },
	{ 0 },
};
