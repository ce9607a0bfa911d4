// SPDX-License-Identifier: BSD-3-Clause
/* Section 4.8: notification areas. */
#include <string.h>

#include "conformance/ct.h"
#include "device/features.h"
#include "device/util.h"

static void area_of(struct ct *t, uint64_t id, uint16_t index, uint64_t *addr, uint64_t *size)
{
	struct virtio_transportq_ctrl_vdev_vq_notification_area a;
	uint8_t v[2];

	tvq_put16(v, index);
	ct_ok(t, id, VQ_NOTIFY, GET, v, 2, &a, sizeof(a));
	*addr = tvq_get64(&a.addr);
	*size = tvq_get64(&a.size);
}

static void write_to(struct ct *t, uint64_t addr, uint32_t value, unsigned int width)
{
	t->bus->ops->notify(t->bus, addr, value, width);
}

/* A request that nobody notifies of, on a device that has gone to sleep, which may take it a
 * while. */
static struct ct_io *unnoticed(struct ct_vq *q)
{
	for (unsigned int i = 1; i < 12; i++) {
		struct ct_io *io;

		ct_pause(q->t, i * CT_CHANCE_NS);
		io = ct_io_start(q, 0, 0, 512);
		if (!ct_served(q, io))
			return io;
	}
	ct_skip(q->t, "the device looks at its rings without a notification");
}

static void get_returns_an_area_for_every_queue(struct ct *t)
{
	uint64_t id = ct_new_blk_features(t, 0, 4), addr, size;
	uint64_t f = ct_negotiate(t, id, ct_features(t, id, t->packed, true));
	struct ct_vq *q[4];
	uint8_t v[2] = { 0 }, in[16];

	/* Command 0 of this class fails. */
	ct_check(t, ct_command(t, id, CT_CLASS(VQ_NOTIFY), 0, v, 2, in, 16) == CT_ERR,
		 "VQ_NOTIFY 0");
	for (uint16_t i = 0; i < 4; i++) {
		q[i] = ct_vq_new(t, id, i, 16, f);
		ct_vq_program(q[i], true);
		ct_check(t, ct_vq_enable(q[i], 1) == CT_OK, "ENABLE 1 of queue %u", i);
	}
	ct_check(t, ct_set_status(t, id, 15) == CT_OK, "DRIVER_OK");
	for (unsigned int round = 0; round < 3; round++)
		for (uint16_t i = 0; i < 4; i++) {
			area_of(t, id, i, &addr, &size);
			ct_check(t, size >= 2, "queue %u: an area of %llu bytes", i,
				 (unsigned long long)size);
			ct_check(t, addr == q[i]->notify_addr, "queue %u: it moves", i);
			ct_check(t, ct_io(q[i], 0, 0, NULL, 512) == 0, "queue %u, round %u", i,
				 round);
		}
}

static void a_write_of_the_index_notifies_its_queue_only(struct ct *t)
{
	uint64_t id = ct_new_blk_features(t, 0, 2);
	uint64_t f = ct_negotiate(t, id, ct_features(t, id, t->packed, true));
	struct ct_vq *q[2];
	struct ct_io *io;

	for (uint16_t i = 0; i < 2; i++) {
		q[i] = ct_vq_new(t, id, i, 16, f);
		ct_vq_program(q[i], true);
		ct_check(t, ct_vq_enable(q[i], 1) == CT_OK, "ENABLE 1");
	}
	ct_check(t, ct_set_status(t, id, 15) == CT_OK, "DRIVER_OK");
	ct_pause(t, CT_CHANCE_NS);
	io = unnoticed(q[1]);
	ct_check(t, ct_io(q[0], 0, 0, NULL, 512) == 0, "a request on queue 0");
	ct_check(t, !ct_served(q[1], io), "a write of 0 notified queue 1");
	ct_vq_notify(q[1]);
	ct_check(t, ct_io_wait(q[1], io), "a write of 1 did not notify queue 1");
}

static void notification_data_makes_it_four_bytes(struct ct *t)
{
	uint64_t id = ct_new_blk(t);

	if (!(ct_offered(t, id) & CT_F(TVQ_F_NOTIFICATION_DATA)))
		ct_skip(t, "managed devices do not offer NOTIFICATION_DATA");
	for (int packed = 0; packed < 2; packed++) {
		struct ct_vq *q;
		struct ct_io *io;

		q = ct_up(t, id, ct_features(t, id, packed, false) | CT_F(TVQ_F_NOTIFICATION_DATA),
			  16);
		io = unnoticed(q);
		write_to(t, q->notify_addr, 0, 2);
		ct_check(t, !ct_served(q, io), "a write of two bytes notified");
		/* The next index that the driver will use, above the queue's. */
		write_to(t, q->notify_addr, packed ? (3u | 0x8000u) << 16 : 1u << 16, 4);
		ct_check(t, ct_io_wait(q, io) && *io->status == 0,
			 "a write of four bytes did not notify");
		ct_reset_device(t, id);
	}
}

static void other_offsets_widths_and_indexes_are_ignored(struct ct *t)
{
	static const uint32_t indexes[] = { 1, 2, 3, 64, 0x100, 0x8000, 0xffff };
	static const uint16_t offsets[] = { 1, 2, 3, 4, 8, 16, 512, 2048, 4092, 4094 };
	uint64_t id = ct_new_blk(t), addr, size;
	struct ct_vq *q = ct_up(t, id, ct_features(t, id, t->packed, true), 16);
	struct ct_io *io;

	area_of(t, id, 0, &addr, &size);
	io = unnoticed(q);
	for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++)
		if (offsets[i] + 2u <= size)
			write_to(t, addr + offsets[i], 0, 2);
	ct_check(t, !ct_served(q, io), "a write at another offset notified");
	write_to(t, addr, 0, 1);
	write_to(t, addr, 0, 4);
	write_to(t, addr, 0, 8);
	ct_check(t, !ct_served(q, io), "a write of another width notified");
	for (size_t i = 0; i < sizeof(indexes) / sizeof(indexes[0]); i++)
		write_to(t, addr, indexes[i], 2);
	ct_check(t, !ct_served(q, io), "a write of another index notified");
	ct_check(t, ct_status(t, id) == 15, "status 0x%x", ct_status(t, id));
	ct_vq_notify(q);
	ct_check(t, ct_io_wait(q, io) && *io->status == 0, "the right write does not notify");
	/* Of a queue that exists and is not served. */
	ct_reset_device(t, id);
	ct_vq_notify(q);
	q = ct_vq_new(t, id, 0, 16, ct_negotiate(t, id, ct_features(t, id, t->packed, true)));
	ct_vq_program(q, true);
	ct_vq_notify(q);
	ct_check(t, ct_vq_enable(q, 1) == CT_OK, "ENABLE 1");
	ct_vq_notify(q);
	ct_pause(t, CT_CHANCE_NS);
	ct_check(t, ct_status(t, id) == 11, "status 0x%x", ct_status(t, id));
	ct_check(t, ct_set_status(t, id, 15) == CT_OK && ct_io(q, 0, 0, NULL, 512) == 0,
		 "a request");
}

static void a_write_to_one_devices_area_never_reaches_another(struct ct *t)
{
	uint64_t a = ct_new_blk(t), b = ct_new_blk(t), addr, size, of_b;
	uint64_t f = ct_features(t, a, t->packed, true);
	struct ct_vq *qa = ct_up(t, a, f, 16), *qb = ct_up(t, b, f, 16);
	struct ct_io *io;

	area_of(t, a, 0, &addr, &size);
	area_of(t, b, 0, &of_b, &size);
	ct_check(t, addr != of_b, "two devices have one area");
	io = unnoticed(qb);
	for (uint32_t v = 0; v < 64; v++)
		write_to(t, addr, v, 2);
	ct_check(t, ct_io(qa, 0, 0, NULL, 512) == 0, "a request");
	ct_check(t, !ct_served(qb, io), "it reached another device");
	ct_vq_notify(qb);
	ct_check(t, ct_io_wait(qb, io), "its own does not");
}

static void a_stale_write_causes_at_most_a_look(struct ct *t)
{
	uint64_t bystander = ct_new_blk(t), a = ct_new_blk(t), b, addr, size;
	uint64_t f = ct_features(t, a, t->packed, true);
	struct ct_vq *qc = ct_up(t, bystander, f, 16), *q;
	struct ct_io *io;

	ct_up(t, a, f, 16);
	area_of(t, a, 0, &addr, &size);
	ct_destroy(t, a);
	for (uint32_t v = 0; v < 64; v++)
		write_to(t, addr, v, 2);
	/* The next device may have the page now: new, set up, running. */
	b = ct_new_blk(t);
	write_to(t, addr, 0, 2);
	q = ct_up(t, b, f, 16);
	io = unnoticed(qc);
	for (uint32_t v = 0; v < 64; v++)
		write_to(t, addr, v, 2);
	ct_check(t, ct_io(q, 0, 0, NULL, 512) == 0 && ct_status(t, b) == 15, "the new device");
	ct_check(t, !ct_served(qc, io), "it reached a third device");
	ct_vq_notify(qc);
	ct_check(t, ct_io_wait(qc, io) && ct_status(t, bystander) == 15, "the third device");
}

const struct ct_test ct_tests_notify[] = {
	{ "TQ-100", "get_returns_an_area_for_every_queue", get_returns_an_area_for_every_queue, 0 },
	{ "TQ-100", "a_write_of_the_index_notifies_its_queue_only",
	  a_write_of_the_index_notifies_its_queue_only, 0 },
	{ "TQ-100 TQ-101", "notification_data_makes_it_four_bytes",
	  notification_data_makes_it_four_bytes, 0 },
	{ "TQ-101", "other_offsets_widths_and_indexes_are_ignored",
	  other_offsets_widths_and_indexes_are_ignored, 0 },
	{ "TQ-103", "a_write_to_one_devices_area_never_reaches_another",
	  a_write_to_one_devices_area_never_reaches_another, 0 },
	{ "TQ-103", "a_stale_write_causes_at_most_a_look", a_stale_write_causes_at_most_a_look, 0 },
	{ 0 },
};
