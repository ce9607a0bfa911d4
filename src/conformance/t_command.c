// SPDX-License-Identifier: BSD-3-Clause
/* Section 3: a command on the wire. */
#include <stdlib.h>
#include <string.h>

#include <tvq/wire.h>

#include "conformance/ct.h"
#include "device/features.h"
#include "device/util.h"

/* By bytes, not by the header's structures. */
static void integers_are_little_endian_and_structures_packed(struct ct *t)
{
	/* CREATE of a block device with VERSION_1 (32), ACCESS_PLATFORM (33), MQ (12) and three
	 * queues. */
	uint8_t create[12 + 16 + 56] = {
		[8] = 1, [12] = 2, [21] = 0x10, [24] = 3, [12 + 16 + 34] = 3
	};
	/* FEAT DEVICE_GET; VQ_SIZE GET of queue 2; CONFIG GET of 2 bytes at 34. */
	uint8_t feat[12] = { [8] = 3 }, size[14] = { [8] = 10, [10] = 1, [12] = 2 };
	uint8_t config[20] = { [8] = 6, [12] = 34, [16] = 2 };
	struct ct_chain c = { .out = create, .out_len = sizeof(create), .in_len = 12 };
	uint8_t id[8];

	ct_send_chain(t, &c);
	ct_check(t,
		 ct_wait_chain(t, &c) && c.used_len == 12 && !c.in[0] && !c.in[1] && !c.in[2] &&
			 !c.in[3],
		 "CREATE");
	memcpy(id, c.in + 4, 8);
	ct_check(t, id[0] && !id[7], "an identifier that begins with its high byte");
	memcpy(feat, id, 8);
	memcpy(size, id, 8);
	memcpy(config, id, 8);
	c = (struct ct_chain){ .out = feat, .out_len = sizeof(feat), .in_len = 12 };
	ct_send_chain(t, &c);
	ct_check(t,
		 ct_wait_chain(t, &c) && c.used_len == 12 &&
			 !memcmp(c.in, "\0\0\0\0\0\x10\0\0\3\0\0\0", 12),
		 "FEAT DEVICE_GET");
	c = (struct ct_chain){ .out = size, .out_len = sizeof(size), .in_len = 6 };
	ct_send_chain(t, &c);
	ct_check(t, ct_wait_chain(t, &c) && c.used_len == 6 && (c.in[4] | c.in[5] << 8) >= 256,
		 "VQ_SIZE GET of queue 2");
	c = (struct ct_chain){ .out = config, .out_len = sizeof(config), .in_len = 6 };
	ct_send_chain(t, &c);
	ct_check(t, ct_wait_chain(t, &c) && c.used_len == 6 && c.in[4] == 3 && !c.in[5],
		 "CONFIG GET");
	/* The one ERR: le32 255. */
	size[12] = 3;
	c = (struct ct_chain){ .out = size, .out_len = sizeof(size), .in_len = 6 };
	ct_send_chain(t, &c);
	ct_check(t, ct_wait_chain(t, &c) && c.used_len == 4 && !memcmp(c.in, "\xff\0\0", 4), "ERR");
}

static void id_that_names_no_living_device_fails(struct ct *t)
{
	uint64_t id = ct_new_blk(t);
	uint8_t s;

	for (unsigned int i = 0; i < 64; i++)
		ct_err(t, id ^ 1ull << i, STATUS, GET, NULL, 0, &s, 1);
	ct_err(t, id + 1, STATUS, GET, NULL, 0, &s, 1);
	ct_err(t, UINT64_MAX, STATUS, GET, NULL, 0, &s, 1);
	ct_ok(t, id, STATUS, GET, NULL, 0, &s, 1);
	ct_destroy(t, id);
	ct_err(t, id, STATUS, GET, NULL, 0, &s, 1);
	ct_err(t, id, VDEV, DESTROY, NULL, 0, NULL, 0);
}

static void any_cut_of_a_command_works(struct ct *t)
{
	static const uint32_t ones[] = { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
					 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
					 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0 };
	static const uint32_t threes[] = { 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 0 };
	static const uint32_t odd[] = { 7, 1, 5, 2, 0 };
	static const uint32_t *const cuts[] = { ones, threes, odd, NULL };
	uint64_t id = ct_new_blk(t);
	uint8_t whole[8] = { 0 }, range[8] = { [4] = 8 };

	ct_ok(t, id, CONFIG, GET, range, 8, whole, 8);
	for (size_t o = 0; o < 4; o++)
		for (size_t i = 0; i < 4; i++) {
			uint8_t out[20] = { 0 };
			struct ct_chain c = { .out = out,
					      .out_len = 20,
					      .in_len = 4 + 8,
					      .out_cuts = cuts[o],
					      .in_cuts = cuts[i] };
			struct virtio_transportq_ctrl *h = (void *)out;

			tvq_put64(&h->device_id, id);
			tvq_put16(&h->class, VIRTIO_TRANSPTQ_CTRL_CONFIG);
			tvq_put32(out + 16, 8); /* capacity */
			ct_send_chain(t, &c);
			ct_check(t, ct_wait_chain(t, &c), "cut %zu, %zu", o, i);
			ct_check(t, ct_ack(&c) == CT_OK && c.used_len == 12,
				 "cut %zu, %zu: %s, used %u", o, i, ct_ack_name(ct_ack(&c)),
				 c.used_len);
			ct_check(t, !memcmp(c.in + 4, whole, 8), "cut %zu, %zu: another answer", o,
				 i);
		}
}

static void used_length_is_4_and_the_in_data_or_4_where_it_failed(struct ct *t)
{
	uint64_t id = ct_new_blk(t);
	uint8_t f[8];

	ct_ok(t, id, FEAT, DEVICE_GET, NULL, 0, f, 8);
	ct_check(t, t->used_len == 12, "used %u", t->used_len);
	ct_check(t, ct_set_status(t, id, 1) == CT_OK && t->used_len == 4, "used %u", t->used_len);
	ct_err(t, id + 1, FEAT, DEVICE_GET, NULL, 0, f, 8);
	ct_check(t, t->used_len == 4, "used %u", t->used_len);
}

static void fewer_than_four_writable_bytes_is_not_executed(struct ct *t)
{
	uint64_t id = ct_new_blk(t);

	for (uint32_t room = 0; room < 4; room++) {
		uint8_t out[13] = { 0 };
		struct virtio_transportq_ctrl *h = (void *)out;
		struct ct_chain c = { .out = out, .out_len = sizeof(out), .in_len = room };

		tvq_put64(&h->device_id, id);
		tvq_put16(&h->class, VIRTIO_TRANSPTQ_CTRL_STATUS);
		out[12] = 1;
		ct_send_chain(t, &c);
		ct_check(t, ct_wait_chain(t, &c), "room %u: not used", room);
		ct_check(t, c.used_len == 0, "room %u: used %u", room, c.used_len);
		ct_check(t, ct_status(t, id) == 0, "room %u: it was executed", room);
		for (uint32_t i = 0; i < room; i++)
			ct_check(t, c.in[i] == 0xa5, "room %u: byte %u was written", room, i);
	}
}

static void unknown_class_or_command_fails(struct ct *t)
{
	uint64_t id = ct_new_blk(t);
	uint8_t in[64];

	ct_check(t, ct_command(t, id, 0, 0, NULL, 0, in, 0) == CT_ERR, "class 0");
	ct_check(t, ct_command(t, id, 17, 0, NULL, 0, in, 0) == CT_ERR, "class 17");
	ct_check(t, ct_command(t, id, 0xffff, 0xffff, NULL, 0, in, 0) == CT_ERR, "class 0xffff");
	for (uint16_t cls = 1; cls <= 16; cls++)
		for (uint16_t cmd = 0; cmd < 16; cmd++)
			if (!tvq_command_find(cls, cmd))
				ct_check(t, ct_command(t, id, cls, cmd, NULL, 0, in, 0) == CT_ERR,
					 "class %u command %u", cls, cmd);
}

/* A command by the table, with out-data of another length, or too little room for its answer. */
static void wrong_lengths_fail_and_change_nothing(struct ct *t)
{
	for (int i = 0; i < TVQ_COMMANDS; i++) {
		const struct tvq_command *d = &tvq_commands[i];
		uint64_t id = d->flags & TVQ_CMD_MGMT ? 0 : ct_new_blk(t);
		uint8_t out[128] = { 0 }, in[128];
		uint32_t right = d->out_len == TVQ_VAR ? 0 : d->out_len;

		if (d->out_len != TVQ_VAR) {
			ct_check(t,
				 ct_command(t, id, d->class, d->command, out, right + 1, in,
					    d->in_len == TVQ_VAR ? 64 : d->in_len) == CT_ERR,
				 "%s with a byte too much", d->name);
			if (right)
				ct_check(t,
					 ct_command(t, id, d->class, d->command, out, right - 1, in,
						    d->in_len == TVQ_VAR ? 64 : d->in_len) ==
						 CT_ERR,
					 "%s with a byte too few", d->name);
		}
		if (d->in_len && d->in_len != TVQ_VAR && d->out_len != TVQ_VAR) {
			struct ct_chain *c =
				ct_start(t, id, d->class, d->command, out, right, d->in_len - 1u);

			ct_check(t, ct_wait_chain(t, c) && ct_ack(c) == CT_ERR && c->used_len == 4,
				 "%s with too little room: %s", d->name, ct_ack_name(ct_ack(c)));
		}
		if (id) {
			ct_check(t, ct_status(t, id) == 0, "%s changed the status", d->name);
			ct_destroy(t, id);
		}
	}
}

static void a_create_without_room_for_its_answer_creates_nothing(struct ct *t)
{
	struct virtio_transportq_ctrl_vdev_attribute a;
	struct mgmt_dev_avail_res before, after;
	struct ct_limits small = { .max_devices = 4 };
	struct ct_chain *c;

	ct_limit(t, &small);
	memset(&a, 0, sizeof(a));
	tvq_put32(&a.virtio_device_id, 2);
	ct_ok(t, 0, AVAIL_RES, GET, NULL, 0, &before, sizeof(before));
	c = ct_start(t, 0, CT_CLASS(VDEV), VIRTIO_TRANSPTQ_CTRL_VDEV_CREATE, &a, sizeof(a), 7);
	ct_check(t, ct_wait_chain(t, c) && ct_ack(c) == CT_ERR, "%s", ct_ack_name(ct_ack(c)));
	ct_ok(t, 0, AVAIL_RES, GET, NULL, 0, &after, sizeof(after));
	ct_check(t, !memcmp(&before, &after, sizeof(after)), "resources changed");
}

static void more_writable_room_is_left_alone(struct ct *t)
{
	uint64_t id = ct_new_blk(t);
	struct ct_chain *c =
		ct_start(t, id, CT_CLASS(STATUS), VIRTIO_TRANSPTQ_CTRL_STATUS_GET, NULL, 0, 60);

	ct_check(t, ct_wait_chain(t, c) && ct_ack(c) == CT_OK && c->used_len == 5, "%s, used %u",
		 ct_ack_name(ct_ack(c)), c->used_len);
	for (uint32_t i = 5; i < 64; i++)
		ct_check(t, c->in[i] == 0xa5, "byte %u was written", i);
}

static void header_that_is_cut_off_fails(struct ct *t)
{
	for (uint32_t n = 0; n < sizeof(struct virtio_transportq_ctrl); n++) {
		uint8_t out[16] = { 0 };
		struct ct_chain c = { .out = out, .out_len = n, .in_len = 64 };

		ct_send_chain(t, &c);
		ct_check(t, ct_wait_chain(t, &c) && ct_ack(&c) == CT_ERR && c.used_len == 4,
			 "%u bytes of header: %s", n, ct_ack_name(ct_ack(&c)));
	}
}

static void device_id_0_fails_where_a_managed_device_is_meant_and_the_reverse(struct ct *t)
{
	uint64_t id = ct_new_blk(t);

	for (int i = 0; i < TVQ_COMMANDS; i++) {
		const struct tvq_command *d = &tvq_commands[i];
		bool mgmt = d->flags & TVQ_CMD_MGMT;
		uint8_t out[128] = { 0 }, in[128];

		ct_check(t,
			 ct_command(t, mgmt ? id : 0, d->class, d->command, out,
				    d->out_len == TVQ_VAR ? 16 : d->out_len, in,
				    d->in_len == TVQ_VAR ? 64 : d->in_len) == CT_ERR,
			 "%s", d->name);
	}
	ct_check(t, ct_status(t, id) == 0, "the device is not what it was");
}

static void a_queue_index_that_does_not_exist_fails_in_every_command_that_has_one(struct ct *t)
{
	static const uint16_t indexes[] = { 1, 2, 63, 64, 0x7fff, 0xffff };
	uint64_t id = ct_new_blk(t);

	ct_negotiate(t, id, 0);
	for (int i = 0; i < TVQ_COMMANDS; i++) {
		const struct tvq_command *d = &tvq_commands[i];

		if (!(d->flags & TVQ_CMD_QUEUE))
			continue;
		for (size_t k = 0; k < sizeof(indexes) / sizeof(indexes[0]); k++) {
			uint8_t out[64] = { 0 }, in[64];

			tvq_put16(out, indexes[k]);
			ct_check(t,
				 ct_command(t, id, d->class, d->command, out,
					    d->out_len == TVQ_VAR ? 4 : d->out_len, in,
					    d->in_len == TVQ_VAR ? 4 : d->in_len) == CT_ERR,
				 "%s of queue %u", d->name, indexes[k]);
		}
	}
}

static void commands_to_one_device_take_effect_in_order(struct ct *t)
{
	struct ct_chain *c[20];
	uint64_t id = ct_new_blk(t);
	uint8_t f[8], status = 1;
	uint64_t features = ct_offered(t, id);

	/* ACKNOWLEDGE, then ten times other features and a look at them. */
	c[0] = ct_start(t, id, CT_CLASS(STATUS), VIRTIO_TRANSPTQ_CTRL_STATUS_SET, &status, 1, 0);
	for (unsigned int i = 0; i < 9; i++) {
		tvq_put64(f, i & 1 ? features : CT_F(TVQ_F_VERSION_1));
		c[1 + 2 * i] = ct_start(t, id, CT_CLASS(FEAT), VIRTIO_TRANSPTQ_CTRL_FEAT_DRIVER_SET,
					f, 8, 0);
		c[2 + 2 * i] = ct_start(t, id, CT_CLASS(FEAT), VIRTIO_TRANSPTQ_CTRL_FEAT_DRIVER_GET,
					NULL, 0, 8);
	}
	for (unsigned int i = 0; i < 19; i++)
		ct_check(t, ct_wait_chain(t, c[i]) && ct_ack(c[i]) == CT_OK, "command %u", i);
	for (unsigned int i = 0; i < 9; i++)
		ct_check(t,
			 tvq_get64(c[2 + 2 * i]->in + 4) ==
				 (i & 1 ? features : CT_F(TVQ_F_VERSION_1)),
			 "DRIVER_GET %u sees other features", i);
}

static void commands_to_the_management_device_take_effect_in_order(struct ct *t)
{
	struct virtio_transportq_ctrl_vdev_attribute a;
	struct ct_limits small = { .max_devices = 8 };
	struct ct_chain *create[4], *res[4];

	ct_limit(t, &small);
	memset(&a, 0, sizeof(a));
	tvq_put32(&a.virtio_device_id, 2);
	for (unsigned int i = 0; i < 4; i++) {
		create[i] = ct_start(t, 0, CT_CLASS(VDEV), VIRTIO_TRANSPTQ_CTRL_VDEV_CREATE, &a,
				     sizeof(a), 8);
		res[i] = ct_start(t, 0, CT_CLASS(AVAIL_RES), VIRTIO_TRANSPTQ_CTRL_AVAIL_RES_GET,
				  NULL, 0, 8);
	}
	for (unsigned int i = 0; i < 4; i++) {
		ct_check(t, ct_wait_chain(t, create[i]) && ct_ack(create[i]) == CT_OK, "CREATE %u",
			 i);
		ct_check(t, ct_wait_chain(t, res[i]) && ct_ack(res[i]) == CT_OK, "GET %u", i);
		ct_check(t, tvq_get16(res[i]->in + 4 + 6) == 8 - (i + 1), "GET %u shows %u devices",
			 i, tvq_get16(res[i]->in + 4 + 6));
	}
}

/* With workers, a queue's MSI changes there, and what comes behind it waits. */
static void commands_behind_a_change_of_an_msi_keep_their_order(struct ct *t)
{
	uint8_t v[3] = { 0, 0, 1 }, failed = 128 | 15, zero = 0;

	for (unsigned int round = 0; round < 60; round++) {
		struct ct_vq *q = ct_up(t, ct_new_blk(t), 0, 16);
		struct ct_chain *c[3];

		c[0] = ct_start(t, q->id, CT_CLASS(MSI), VIRTIO_TRANSPTQ_CTRL_MSI_VQ_MASK, v, 3, 0);
		switch (round % 3) {
		case 0:
			c[1] = ct_start(t, q->id, CT_CLASS(STATUS), VIRTIO_TRANSPTQ_CTRL_STATUS_SET,
					&failed, 1, 0);
			break;
		case 1:
			c[1] = ct_start(t, q->id, CT_CLASS(STATUS), VIRTIO_TRANSPTQ_CTRL_STATUS_SET,
					&zero, 1, 0);
			break;
		default:
			c[1] = ct_start(t, q->id, CT_CLASS(VDEV), VIRTIO_TRANSPTQ_CTRL_VDEV_DESTROY,
					NULL, 0, 0);
			break;
		}
		c[2] = ct_start(t, q->id, CT_CLASS(STATUS), VIRTIO_TRANSPTQ_CTRL_STATUS_GET, NULL,
				0, 1);
		for (unsigned int i = 0; i < 3; i++)
			ct_check(t,
				 ct_wait_chain(t, c[i]) &&
					 (ct_ack(c[i]) == CT_OK || (i == 2 && round % 3 == 2)),
				 "round %u, command %u: %s", round, i, ct_ack_name(ct_ack(c[i])));
		if (round % 3 == 0)
			ct_check(t, c[2]->in[4] == failed,
				 "STATUS GET shows 0x%x, not what was set before it", c[2]->in[4]);
		if (round % 3 == 2)
			ct_check(t, ct_ack(c[2]) == CT_ERR, "a command behind DESTROY works");
		else
			ct_destroy(t, q->id);
	}
}

/* DEVICE_NEEDS_RESET and a reset come while an MSI is being changed: nothing of it outlasts the
 * reset. */
static void an_msi_that_changes_while_the_device_breaks_does_no_harm(struct ct *t)
{
	struct tvq_sg nowhere[2] = { { 1ull << 46, 16 }, { 1ull << 46, 1 } };
	uint8_t v[3] = { 0, 0, 1 }, zero = 0;

	for (unsigned int round = 0; round < 40; round++) {
		struct ct_vq *q = ct_up(t, ct_new_blk(t), 0, 16);
		struct ct_chain *c[2];

		ct_check(t, tvq_drv_ring_add(q->ring, nowhere, 1, 1, q) == 0, "add");
		tvq_drv_ring_publish(q->ring);
		ct_vq_notify(q);
		for (unsigned int i = 0; i < round % 8; i++)
			ct_turn(t);
		c[0] = ct_start(t, q->id, CT_CLASS(MSI), VIRTIO_TRANSPTQ_CTRL_MSI_VQ_ENABLE, v, 3,
				0);
		c[1] = ct_start(t, q->id, CT_CLASS(STATUS), VIRTIO_TRANSPTQ_CTRL_STATUS_SET, &zero,
				1, 0);
		ct_check(t,
			 ct_wait_chain(t, c[0]) && ct_wait_chain(t, c[1]) && ct_ack(c[1]) == CT_OK,
			 "round %u", round);
		ct_reset_device(t, q->id);
		ct_check(t, ct_msi_enable(t, q->id, 0, 1) == CT_ERR,
			 "round %u: the pair is there after the reset", round);
		ct_destroy(t, q->id);
	}
}

static struct ct_chain *start_enable_0(struct ct *t, struct ct_vq *q)
{
	uint8_t v[3] = { 0 };

	return ct_start(t, q->id, CT_CLASS(VQ_ENABLE), VIRTIO_TRANSPTQ_CTRL_VQ_ENABLE_SET, v, 3, 0);
}

static void a_slow_command_holds_up_its_own_device_only(struct ct *t)
{
	struct ct_io *io;
	struct ct_vq *q = ct_busy(t, &io);
	struct ct_chain *slow = start_enable_0(t, q), *behind;
	uint64_t other;

	behind = ct_start(t, q->id, CT_CLASS(FEAT), VIRTIO_TRANSPTQ_CTRL_FEAT_DRIVER_GET, NULL, 0,
			  8);
	ct_pause(t, 2000000);
	ct_check(t, !slow->used && !behind->used, "it did not wait for the request");
	other = ct_new_blk(t);
	ct_check(t, ct_set_status(t, other, 1) == CT_OK, "another device waits");
	ct_destroy(t, other);
	ct_check(t, !slow->used && !behind->used, "it did not wait for the request");
	ct_slow_release(t->slow);
	ct_check(t, ct_wait_chain(t, slow) && ct_ack(slow) == CT_OK, "ENABLE 0: %s",
		 ct_ack_name(ct_ack(slow)));
	ct_check(t, ct_wait_chain(t, behind) && ct_ack(behind) == CT_OK, "the command behind it");
	ct_check(t, ct_io_wait(q, io) && *io->status == 0, "the request");
}

static void status_get_and_reset_overtake_a_waiting_enable_0_which_ends_in_err(struct ct *t)
{
	struct ct_io *io;
	struct ct_vq *q = ct_busy(t, &io);
	struct ct_chain *slow = start_enable_0(t, q);

	ct_check(t, ct_status(t, q->id) == 15, "STATUS GET does not overtake");
	ct_check(t, !slow->used, "ENABLE 0 did not wait");
	ct_check(t, ct_set_status(t, q->id, 0) == CT_OK, "STATUS SET 0 does not overtake");
	ct_check(t, ct_wait_chain(t, slow) && ct_ack(slow) == CT_ERR, "ENABLE 0 answers %s",
		 ct_ack_name(ct_ack(slow)));
	ct_check(t, ct_status(t, q->id) == 15, "the reset ended while a request is under way");
	ct_slow_release(t->slow);
	ct_reset_device(t, q->id);
}

static void the_same_overtake_a_waiting_vq_reset(struct ct *t)
{
	for (int destroy = 0; destroy < 2; destroy++) {
		struct ct_io *io;
		struct ct_vq *q = ct_busy(t, &io);
		uint8_t v[2] = { 0 }, zero = 0;
		struct ct_chain *slow, *over;

		slow = ct_start(t, q->id, CT_CLASS(VQ_RESET), VIRTIO_TRANSPTQ_CTRL_VQ_RESET_SET, v,
				2, 0);
		ct_check(t, ct_status(t, q->id) == 15, "STATUS GET does not overtake");
		ct_check(t, !slow->used, "VQ_RESET did not wait");
		over = destroy ? ct_start(t, q->id, CT_CLASS(VDEV),
					  VIRTIO_TRANSPTQ_CTRL_VDEV_DESTROY, NULL, 0, 0)
			       : ct_start(t, q->id, CT_CLASS(STATUS),
					  VIRTIO_TRANSPTQ_CTRL_STATUS_SET, &zero, 1, 0);
		ct_check(t, ct_wait_chain(t, slow) && ct_ack(slow) == CT_ERR, "VQ_RESET answers %s",
			 ct_ack_name(ct_ack(slow)));
		ct_slow_release(t->slow);
		ct_check(t, ct_wait_chain(t, over) && ct_ack(over) == CT_OK, "what overtook it");
		if (!destroy) {
			ct_reset_device(t, q->id);
			ct_destroy(t, q->id);
		}
	}
}

static void destroy_overtakes_a_waiting_enable_0_and_its_id_fails_at_once(struct ct *t)
{
	struct ct_io *io;
	struct ct_vq *q = ct_busy(t, &io);
	struct ct_chain *slow = start_enable_0(t, q), *destroy;
	uint8_t s;

	destroy = ct_start(t, q->id, CT_CLASS(VDEV), VIRTIO_TRANSPTQ_CTRL_VDEV_DESTROY, NULL, 0, 0);
	ct_check(t, ct_wait_chain(t, slow) && ct_ack(slow) == CT_ERR, "ENABLE 0 answers %s",
		 ct_ack_name(ct_ack(slow)));
	/* Completions come out of order (TQ-032): DESTROY still waits. */
	ct_err(t, q->id, STATUS, GET, NULL, 0, &s, 1);
	ct_check(t, !destroy->used, "DESTROY did not wait for the request");
	ct_slow_release(t->slow);
	ct_check(t, ct_wait_chain(t, destroy) && ct_ack(destroy) == CT_OK, "DESTROY answers %s",
		 ct_ack_name(ct_ack(destroy)));
}

static void a_broken_ring_breaks_its_own_device_and_no_other(struct ct *t)
{
	uint64_t a = ct_new_blk(t), b = ct_new_blk(t);
	struct ct_vq *qa = ct_up(t, a, 0, 16), *qb = ct_up(t, b, 0, 16);
	struct ct_io io = { 0 };
	struct tvq_sg out_of_space[2] = { { 1ull << 46, 16 }, { 1ull << 46, 1 } };
	uint64_t end = t->bus->os->now() + CT_WAIT_NS;

	tvq_drv_ring_add(qa->ring, out_of_space, 1, 1, &io);
	tvq_drv_ring_publish(qa->ring);
	ct_vq_notify(qa);
	while (!(ct_status(t, a) & 64)) {
		ct_check(t, t->bus->os->now() < end, "DEVICE_NEEDS_RESET does not come");
		ct_turn(t);
	}
	ct_check(t, ct_io(qb, 0, 0, NULL, 4096) == 0, "the other device does not work");
	ct_check(t, ct_status(t, b) == 15, "the other device's status is 0x%x", ct_status(t, b));
	ct_reset_device(t, a);
	qa = ct_up(t, a, 0, 16);
	ct_check(t, ct_io(qa, 0, 0, NULL, 4096) == 0, "the device does not work after its reset");
}

static void a_broken_transportq_breaks_the_management_device_and_managed_ones_go_on(struct ct *t)
{
	uint64_t id = ct_new_blk(t);
	struct ct_vq *q = ct_up(t, id, 0, 16);
	struct tvq_sg out_of_space[2] = { { 1ull << 46, 16 }, { 1ull << 46, 4 } };
	uint64_t end = t->bus->os->now() + CT_WAIT_NS;
	int token;

	tvq_drv_ring_add(t->ring, out_of_space, 1, 1, &token);
	tvq_drv_ring_publish(t->ring);
	t->bus->ops->queue_notify(t->bus, t->transportq);
	while (!(t->bus->ops->status(t->bus) & 64)) {
		ct_check(t, t->bus->os->now() < end, "DEVICE_NEEDS_RESET does not come");
		ct_turn(t);
	}
	ct_check(t, ct_io(q, 0, 0, NULL, 4096) == 0, "the managed device is not served any more");
}

const struct ct_test ct_tests_command[] = {
	{ "TQ-001", "integers_are_little_endian_and_structures_packed",
	  integers_are_little_endian_and_structures_packed, 0 },
	{ "TQ-020", "id_that_names_no_living_device_fails", id_that_names_no_living_device_fails,
	  0 },
	{ "TQ-021", "any_cut_of_a_command_works", any_cut_of_a_command_works, 0 },
	{ "TQ-022", "used_length_is_4_and_the_in_data_or_4_where_it_failed",
	  used_length_is_4_and_the_in_data_or_4_where_it_failed, 0 },
	{ "TQ-023", "fewer_than_four_writable_bytes_is_not_executed",
	  fewer_than_four_writable_bytes_is_not_executed, 0 },
	{ "TQ-024", "unknown_class_or_command_fails", unknown_class_or_command_fails, 0 },
	{ "TQ-024", "wrong_lengths_fail_and_change_nothing", wrong_lengths_fail_and_change_nothing,
	  0 },
	{ "TQ-024 TQ-053", "a_create_without_room_for_its_answer_creates_nothing",
	  a_create_without_room_for_its_answer_creates_nothing, CT_NEEDS_CAP },
	{ "TQ-024", "more_writable_room_is_left_alone", more_writable_room_is_left_alone, 0 },
	{ "TQ-024", "header_that_is_cut_off_fails", header_that_is_cut_off_fails, 0 },
	{ "TQ-025", "a_broken_ring_breaks_its_own_device_and_no_other",
	  a_broken_ring_breaks_its_own_device_and_no_other, 0 },
	{ "TQ-026", "a_broken_transportq_breaks_the_management_device_and_managed_ones_go_on",
	  a_broken_transportq_breaks_the_management_device_and_managed_ones_go_on, 0 },
	{ "TQ-030", "commands_to_one_device_take_effect_in_order",
	  commands_to_one_device_take_effect_in_order, 0 },
	{ "TQ-030", "commands_to_the_management_device_take_effect_in_order",
	  commands_to_the_management_device_take_effect_in_order, CT_NEEDS_CAP },
	{ "TQ-030 TQ-032", "commands_behind_a_change_of_an_msi_keep_their_order",
	  commands_behind_a_change_of_an_msi_keep_their_order, 0 },
	{ "TQ-085", "an_msi_that_changes_while_the_device_breaks_does_no_harm",
	  an_msi_that_changes_while_the_device_breaks_does_no_harm, 0 },
	{ "TQ-031 TQ-030", "a_slow_command_holds_up_its_own_device_only",
	  a_slow_command_holds_up_its_own_device_only, CT_NEEDS_SLOW },
	{ "TQ-031 TQ-065", "status_get_and_reset_overtake_a_waiting_enable_0_which_ends_in_err",
	  status_get_and_reset_overtake_a_waiting_enable_0_which_ends_in_err, CT_NEEDS_SLOW },
	{ "TQ-031", "the_same_overtake_a_waiting_vq_reset", the_same_overtake_a_waiting_vq_reset,
	  CT_NEEDS_SLOW },
	{ "TQ-031 TQ-032", "destroy_overtakes_a_waiting_enable_0_and_its_id_fails_at_once",
	  destroy_overtakes_a_waiting_enable_0_and_its_id_fails_at_once, CT_NEEDS_SLOW },
	{ "TQ-033", "a_queue_index_that_does_not_exist_fails_in_every_command_that_has_one",
	  a_queue_index_that_does_not_exist_fails_in_every_command_that_has_one, 0 },
	{ "TQ-034", "device_id_0_fails_where_a_managed_device_is_meant_and_the_reverse",
	  device_id_0_fails_where_a_managed_device_is_meant_and_the_reverse, 0 },
	{ 0 },
};
