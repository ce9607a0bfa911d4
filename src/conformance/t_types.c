// SPDX-License-Identifier: BSD-3-Clause
/* Section 5: what CREATE takes for a block device, and what its volume is. */
#include <string.h>

#include "conformance/ct.h"
#include "device/features.h"
#include "device/util.h"

#define T_IN	 0
#define T_OUT	 1
#define T_FLUSH	 4
#define T_GET_ID 8
#define S_OK	 0
#define S_IOERR	 1
#define S_UNSUPP 2

#define BASE (CT_F(TVQ_F_VERSION_1) | CT_F(TVQ_F_ACCESS_PLATFORM))

static uint32_t create(struct ct *t, uint64_t features,
		       const struct virtio_transportq_blk_config *cfg, uint64_t *id)
{
	return ct_create(t, 2, 0, features, cfg, sizeof(*cfg), id);
}

static struct virtio_transportq_blk_config over(const char *volume)
{
	struct virtio_transportq_blk_config cfg;

	memset(&cfg, 0, sizeof(cfg));
	memcpy(cfg.id, volume, strlen(volume));
	return cfg;
}

static uint64_t config(struct ct *t, uint64_t id, uint32_t offset, uint32_t size)
{
	struct virtio_transportq_ctrl_vdev_config_get g;
	uint8_t buf[8] = { 0 };

	tvq_put32(&g.offset, offset);
	tvq_put32(&g.size, size);
	ct_ok(t, id, CONFIG, GET, &g, sizeof(g), buf, size);
	return tvq_get64(buf);
}

static struct ct_vq *up(struct ct *t, uint64_t id)
{
	return ct_up(t, id, ct_features(t, id, t->packed, true), 16);
}

static void id_of(struct ct_vq *q, uint8_t *volume)
{
	struct ct_io *io;

	ct_check(q->t, ct_io(q, T_GET_ID, 0, &io, 20) == S_OK, "GET_ID");
	memcpy(volume, io->data, 20);
}

/* ---- TQ-142 ---- */

static void num_queues_0_is_1(struct ct *t)
{
	struct virtio_transportq_blk_config cfg = over("");
	uint8_t v[2] = { 1, 0 }, in[2];
	uint64_t id;

	for (uint16_t n = 0; n < 2; n++) {
		tvq_put16(&cfg.num_queues, n);
		ct_check(t, create(t, 0, &cfg, &id) == CT_OK, "num_queues %u", n);
		ct_ok(t, id, VQ_SIZE, GET, (uint8_t[2]){ 0 }, 2, in, 2);
		ct_err(t, id, VQ_SIZE, GET, v, 2, in, 2);
	}
}

static void num_queues_is_honoured(struct ct *t)
{
	struct virtio_transportq_blk_config cfg = over("");
	uint8_t v[2] = { 0 }, in[2];
	struct ct_vq *q[5];
	uint64_t id, f;

	tvq_put16(&cfg.num_queues, 5);
	ct_check(t, create(t, 0, &cfg, &id) == CT_OK, "5 queues");
	ct_check(t, config(t, id, 34, 2) == 5, "the configuration says %llu",
		 (unsigned long long)config(t, id, 34, 2));
	tvq_put16(v, 5);
	ct_err(t, id, VQ_SIZE, GET, v, 2, in, 2);
	f = ct_negotiate(t, id, ct_features(t, id, t->packed, true));
	for (uint16_t i = 0; i < 5; i++) {
		q[i] = ct_vq_new(t, id, i, 16, f);
		ct_vq_program(q[i], true);
		ct_check(t, ct_vq_enable(q[i], 1) == CT_OK, "ENABLE 1 of queue %u", i);
	}
	ct_check(t, ct_set_status(t, id, 15) == CT_OK, "DRIVER_OK");
	for (uint16_t i = 0; i < 5; i++)
		ct_check(t, ct_io(q[i], T_IN, i, NULL, 512) == S_OK, "queue %u", i);
	/* Several queues without MQ cannot be. */
	ct_check(t, create(t, BASE, &cfg, &id) == CT_ERR, "5 queues without MQ");
}

/* Asked for, a field reads so, or CREATE fails; 0 is the device's choice. */
static void honoured(struct ct *t, uint32_t at, uint32_t size, uint64_t value, uint64_t features)
{
	struct virtio_transportq_blk_config cfg = over("");
	uint8_t v[8];
	uint64_t id;

	tvq_put64(v, value);
	memcpy((uint8_t *)&cfg + at, v, size);
	if (create(t, features, &cfg, &id) != CT_OK)
		return;
	ct_check(t, config(t, id, at, size) == value,
		 "byte %u: asked for %llu, CREATE is OK, it reads %llu", at,
		 (unsigned long long)value, (unsigned long long)config(t, id, at, size));
	ct_destroy(t, id);
}

/* Some values have to be possible. */
static void what_the_device_chooses_can_be_asked_for(struct ct *t)
{
	struct virtio_transportq_blk_config cfg = over("");
	uint64_t id = ct_new_blk(t);

	tvq_put32(&cfg.seg_max, (uint32_t)config(t, id, 12, 4));
	tvq_put32(&cfg.blk_size, (uint32_t)config(t, id, 20, 4));
	cfg.wce = (uint8_t)config(t, id, 32, 1);
	ct_check(t, create(t, 0, &cfg, &id) == CT_OK, "what the device chooses itself is refused");
}

static void what_is_asked_for_is_honoured_or_fails(struct ct *t)
{
	static const struct {
		uint32_t at, size;
		uint64_t values[4];
	} fields[] = {
		{ 8, 4, { 4096, 65536, 1, 0xffffffff } }, /* size_max */
		{ 12, 4, { 1, 64, 126, 0xffffffff } },	  /* seg_max */
		{ 16, 2, { 100, 1, 0xffff } },		  /* geometry */
		{ 18, 1, { 16, 255 } },
		{ 19, 1, { 63, 1 } },
		{ 20, 4, { 512, 4096, 1000, 1 } }, /* blk_size */
		{ 24, 1, { 3, 1, 200 } },	   /* topology */
		{ 25, 1, { 1 } },
		{ 26, 2, { 8, 100 } },
		{ 28, 4, { 256, 1 } },
		{ 32, 1, { 1, 2, 255 } }, /* writeback */
		{ 34, 2, { 3, 1 } },	  /* num_queues */
	};
	uint64_t none = BASE;

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		for (size_t k = 0; k < 4 && fields[i].values[k]; k++) {
			if (fields[i].at == 34 && fields[i].values[k] == 1)
				continue; /* without MQ the field reads 0 (TQ-076) */
			honoured(t, fields[i].at, fields[i].size, fields[i].values[k], 0);
			/* Without the field's bit it reads 0, so that it cannot be honoured. */
			honoured(t, fields[i].at, fields[i].size, fields[i].values[k], none);
		}
	what_the_device_chooses_can_be_asked_for(t);
}

/* ---- TQ-143 ---- */

static void id_names_a_volume_which_serves_one_device_at_a_time(struct ct *t)
{
	struct virtio_transportq_blk_config cfg = over(t->profile->volume);
	uint8_t name[20];
	uint64_t a, b;

	ct_check(t, create(t, 0, &cfg, &a) == CT_OK, "CREATE");
	ct_check(t, config(t, a, 0, 8) == t->profile->volume_bytes / 512, "capacity");
	id_of(up(t, a), name);
	ct_check(t, !memcmp(name, cfg.id, 20), "GET_ID answers '%.20s'", name);
	ct_check(t, create(t, 0, &cfg, &b) == CT_ERR, "a second device got it");
	ct_destroy(t, a);
	ct_check(t, create(t, 0, &cfg, &b) == CT_OK, "after DESTROY");
	ct_connect(t, 0);
	ct_check(t, create(t, 0, &cfg, &b) == CT_OK, "after a reset of the management device");
}

static void an_id_that_names_no_volume_fails(struct ct *t)
{
	struct virtio_transportq_blk_config cfg = over(t->profile->volume);
	size_t n = strlen(t->profile->volume);
	uint64_t id;

	cfg.id[n - 1] ^= 1;
	ct_check(t, create(t, 0, &cfg, &id) == CT_ERR, "another last letter");
	cfg = over(t->profile->volume);
	cfg.id[n - 1] = 0;
	ct_check(t, create(t, 0, &cfg, &id) == CT_ERR, "a letter less");
	if (n < 20) {
		cfg = over(t->profile->volume);
		cfg.id[19] = 'x';
		ct_check(t, create(t, 0, &cfg, &id) == CT_ERR, "something behind the padding");
	}
	memset(cfg.id, 0xff, sizeof(cfg.id));
	ct_check(t, create(t, 0, &cfg, &id) == CT_ERR, "20 bytes 0xff");
}

static void capacity_is_0_or_the_volumes_own(struct ct *t)
{
	struct virtio_transportq_blk_config cfg = over(t->profile->volume);
	uint64_t sectors = t->profile->volume_bytes / 512, id;
	const uint64_t bad[] = { 1, sectors - 1, sectors + 1, 2 * sectors, ~0ull, 1ull << 55 };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		tvq_put64(&cfg.capacity, bad[i]);
		ct_check(t, create(t, 0, &cfg, &id) == CT_ERR, "capacity %llu of %llu",
			 (unsigned long long)bad[i], (unsigned long long)sectors);
	}
	tvq_put64(&cfg.capacity, sectors);
	ct_check(t, create(t, 0, &cfg, &id) == CT_OK, "its own");
	ct_destroy(t, id);
	tvq_put64(&cfg.capacity, 0);
	ct_check(t, create(t, 0, &cfg, &id) == CT_OK, "0");
}

static void without_an_id_the_first_free_volume_of_that_capacity_or_a_new_one(struct ct *t)
{
	struct virtio_transportq_blk_config cfg = over(""), named = over(t->profile->volume);
	uint64_t sectors = t->profile->volume_bytes / 512, a, b, c;
	uint8_t name[2][20];

	/* A capacity that no volume has, though one is free: made, or failed. */
	tvq_put64(&cfg.capacity, sectors - 8);
	if (create(t, 0, &cfg, &c) == CT_OK)
		ct_check(t, config(t, c, 0, 8) == sectors - 8, "another capacity");
	else
		ct_check(t, !t->world, "the pool makes volumes, and made none");
	/* The profile's volume is the only writable one of its capacity that is there. */
	tvq_put64(&cfg.capacity, sectors);
	ct_check(t, create(t, 0, &cfg, &a) == CT_OK, "a capacity that a free volume has");
	id_of(up(t, a), name[0]);
	if (t->world)
		ct_check(t, !memcmp(name[0], named.id, 20), "got '%.20s', where '%.20s' was free",
			 name[0], named.id);
	/* The next of that capacity is another one, or fails. */
	if (create(t, 0, &cfg, &b) == CT_OK) {
		id_of(up(t, b), name[1]);
		ct_check(t, memcmp(name[0], name[1], 20), "two devices have one volume");
		ct_check(t, config(t, b, 0, 8) == sectors, "another capacity");
	} else {
		ct_check(t, !t->world, "the pool makes volumes, and made none");
	}
	/* Any: a free one is there. */
	ct_destroy(t, a);
	tvq_put64(&cfg.capacity, 0);
	ct_check(t, create(t, 0, &cfg, &a) == CT_OK, "of any capacity");
}

static void a_read_only_volume_needs_ro(struct ct *t)
{
	struct virtio_transportq_blk_config cfg = over(t->profile->ro_volume);
	struct ct_vq *q;
	uint64_t id;

	ct_check(t, create(t, 0, &cfg, &id) == CT_ERR, "with default features");
	ct_check(t, create(t, BASE | CT_F(9), &cfg, &id) == CT_ERR, "without RO");
	ct_check(t, create(t, BASE | CT_F(5) | CT_F(9), &cfg, &id) == CT_OK, "with RO");
	q = ct_up(t, id, BASE | CT_F(5) | CT_F(9), 16);
	ct_check(t, ct_io(q, T_IN, 0, NULL, 512) == S_OK, "a read");
	ct_check(t, ct_io(q, T_OUT, 0, NULL, 512) == S_IOERR, "a write");
	/* Without an id, one that offers no RO does not get it. */
	ct_destroy(t, id);
	for (int i = 0; i < 4; i++) {
		struct ct_io *io;

		id = ct_new_blk(t);
		q = up(t, id);
		ct_check(t, ct_io(q, T_OUT, 0, &io, 512) == S_OK,
			 "device %d without RO cannot be written", i);
	}
}

static void ro_makes_a_device_read_only_whatever_its_volume(struct ct *t)
{
	struct virtio_transportq_blk_config cfg = over(t->profile->volume);
	struct ct_vq *q;
	uint64_t id;

	ct_check(t, create(t, BASE | CT_F(5), &cfg, &id) == CT_OK, "with RO");
	q = ct_up(t, id, BASE | CT_F(5), 16);
	ct_check(t, ct_io(q, T_OUT, 0, NULL, 512) == S_IOERR, "a write");
	ct_check(t, ct_io(q, T_IN, 0, NULL, 512) == S_OK, "a read");
}

/* ---- requests ---- */

static int write_pattern(struct ct_vq *q, uint64_t sector, uint8_t pattern)
{
	struct ct_io *io = ct_io_start(q, T_OUT, sector, 4096);

	memset(io->data, pattern, 4096);
	ct_vq_notify(q);
	return ct_io_wait(q, io) ? *io->status : -1;
}

static void has_pattern(struct ct_vq *q, uint64_t sector, uint8_t pattern)
{
	struct ct_io *io;

	ct_check(q->t, ct_io(q, T_IN, sector, &io, 4096) == S_OK && io->written == 4097,
		 "a read: %u written", io->written);
	for (unsigned int i = 0; i < 4096; i++)
		ct_check(q->t, io->data[i] == pattern, "byte %u of sector %llu is 0x%x, not 0x%x",
			 i, (unsigned long long)sector, io->data[i], pattern);
}

static void what_is_written_is_the_volumes_and_no_other_devices(struct ct *t)
{
	uint64_t last = t->profile->volume_bytes / 512 - 8;
	uint64_t a = ct_new_volume(t, t->profile->volume, 0), b = ct_new_blk(t);
	struct ct_vq *qa = up(t, a), *qb = up(t, b);
	struct ct_io *io;

	ct_check(t, write_pattern(qb, 0, 0) == S_OK, "a write");
	ct_check(t, write_pattern(qa, 0, 0xa1) == S_OK && write_pattern(qa, last, 0xa2) == S_OK,
		 "a write");
	has_pattern(qa, 0, 0xa1);
	has_pattern(qa, last, 0xa2);
	has_pattern(qb, 0, 0);
	ct_check(t, ct_io(qa, T_FLUSH, 0, &io, 0) == S_OK, "a flush");
	ct_check(t, ct_io(qa, T_IN, last + 8, &io, 512) == S_IOERR, "a read behind the end");
	ct_check(t, ct_io(qa, T_OUT, last + 8, &io, 512) == S_IOERR, "a write behind the end");
	ct_check(t, ct_io(qa, T_IN, last + 1, &io, 4096) == S_IOERR, "a read over the end");
	ct_check(t, ct_io(qa, T_IN, ~0ull, &io, 512) == S_IOERR, "a read of sector 2^64 - 1");
	ct_check(t, ct_io(qa, 0x77, 0, &io, 512) == S_UNSUPP, "a request of unknown type");
	ct_check(t, ct_status(t, a) == 15, "status 0x%x", ct_status(t, a));
	/* It is still there for the device that has the volume next. */
	ct_destroy(t, a);
	a = ct_new_volume(t, t->profile->volume, 0);
	qa = up(t, a);
	has_pattern(qa, 0, 0xa1);
	has_pattern(qa, last, 0xa2);
}

static void a_request_that_is_cut_short_is_answered_and_breaks_nothing(struct ct *t)
{
	uint64_t id = ct_new_blk(t), iova;
	struct ct_vq *q = up(t, id);
	uint8_t *status = ct_alloc(t, 64, 8, &iova);

	for (uint32_t n = 1; n < 16; n++) {
		struct tvq_sg sg[2] = { { iova + 32, n }, { iova, 1 } };
		struct ct_io *io = ct_own(t, sizeof(*io));

		*status = 0xee;
		ct_check(t, tvq_drv_ring_add(q->ring, sg, 1, 1, io) == 0, "add");
		tvq_drv_ring_publish(q->ring);
		ct_vq_notify(q);
		ct_check(t, ct_io_wait(q, io) && *status == S_IOERR,
			 "%u bytes of header: status %u", n, *status);
	}
	{
		struct tvq_sg sg = { iova + 32, 16 };
		struct ct_io *io = ct_own(t, sizeof(*io));

		ct_check(t, tvq_drv_ring_add(q->ring, &sg, 1, 0, io) == 0, "add");
		tvq_drv_ring_publish(q->ring);
		ct_vq_notify(q);
		ct_check(t, ct_io_wait(q, io) && io->written == 0, "no room for a status: used %u",
			 io->written);
	}
	ct_check(t, ct_io(q, T_IN, 0, NULL, 512) == S_OK && ct_status(t, id) == 15, "the device");
}

const struct ct_test ct_tests_types[] = {
	{ "TQ-142", "num_queues_0_is_1", num_queues_0_is_1, 0 },
	{ "TQ-142", "num_queues_is_honoured", num_queues_is_honoured, 0 },
	{ "TQ-142", "what_is_asked_for_is_honoured_or_fails",
	  what_is_asked_for_is_honoured_or_fails, 0 },
	{ "TQ-143 TQ-142", "id_names_a_volume_which_serves_one_device_at_a_time",
	  id_names_a_volume_which_serves_one_device_at_a_time, CT_NEEDS_VOLUME },
	{ "TQ-143", "an_id_that_names_no_volume_fails", an_id_that_names_no_volume_fails,
	  CT_NEEDS_VOLUME },
	{ "TQ-143", "capacity_is_0_or_the_volumes_own", capacity_is_0_or_the_volumes_own,
	  CT_NEEDS_VOLUME },
	{ "TQ-143", "without_an_id_the_first_free_volume_of_that_capacity_or_a_new_one",
	  without_an_id_the_first_free_volume_of_that_capacity_or_a_new_one, CT_NEEDS_VOLUME },
	{ "TQ-143", "a_read_only_volume_needs_ro", a_read_only_volume_needs_ro,
	  CT_NEEDS_RO_VOLUME },
	{ "TQ-143", "ro_makes_a_device_read_only_whatever_its_volume",
	  ro_makes_a_device_read_only_whatever_its_volume, CT_NEEDS_VOLUME },
	{ "TQ-143", "what_is_written_is_the_volumes_and_no_other_devices",
	  what_is_written_is_the_volumes_and_no_other_devices, CT_NEEDS_VOLUME },
	{ "TQ-025", "a_request_that_is_cut_short_is_answered_and_breaks_nothing",
	  a_request_that_is_cut_short_is_answered_and_breaks_nothing, 0 },
	{ 0 },
};
