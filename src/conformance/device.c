// SPDX-License-Identifier: BSD-3-Clause
/* Managed devices and block requests, as the tests use them. */
#include <string.h>

#include "conformance/ct.h"
#include "device/features.h"
#include "device/util.h"

uint32_t ct_create(struct ct *t, uint32_t type, uint32_t asid, uint64_t features,
		   const void *config, uint32_t config_len, uint64_t *id)
{
	uint8_t out[256], in[8];
	struct virtio_transportq_ctrl_vdev_attribute *a = (void *)out;
	uint32_t ack;

	tvq_put32(&a->virtio_device_id, type);
	tvq_put32(&a->asid, asid);
	tvq_put64(&a->device_features, features);
	if (config_len)
		memcpy(a->dev_config, config, config_len);
	ack = ct_run(t, 0, VDEV, CREATE, out, sizeof(*a) + config_len, in, sizeof(in));
	if (ack == CT_OK)
		*id = tvq_get64(in);
	return ack;
}

uint64_t ct_new_blk_features(struct ct *t, uint64_t features, uint16_t num_queues)
{
	struct virtio_transportq_blk_config cfg;
	uint64_t id = 0;
	uint32_t ack;

	memset(&cfg, 0, sizeof(cfg));
	tvq_put16(&cfg.num_queues, num_queues);
	ack = ct_create(t, 2, 0, features, &cfg, num_queues ? sizeof(cfg) : 0, &id);
	ct_check(t, ack == CT_OK, "CREATE of a block device answers %s", ct_ack_name(ack));
	return id;
}

uint64_t ct_new_blk(struct ct *t)
{
	return ct_new_blk_features(t, 0, 0);
}

uint64_t ct_new_volume(struct ct *t, const char *volume, uint64_t features)
{
	struct virtio_transportq_blk_config cfg;
	uint64_t id = 0;
	uint32_t ack;

	memset(&cfg, 0, sizeof(cfg));
	memcpy(cfg.id, volume, strlen(volume));
	ack = ct_create(t, 2, 0, features, &cfg, sizeof(cfg), &id);
	ct_check(t, ack == CT_OK, "CREATE over %s answers %s", volume, ct_ack_name(ack));
	return id;
}

void ct_destroy(struct ct *t, uint64_t id)
{
	ct_ok(t, id, VDEV, DESTROY, NULL, 0, NULL, 0);
}

uint8_t ct_status(struct ct *t, uint64_t id)
{
	uint8_t s;

	ct_ok(t, id, STATUS, GET, NULL, 0, &s, 1);
	return s;
}

uint32_t ct_set_status(struct ct *t, uint64_t id, uint8_t status)
{
	return ct_run(t, id, STATUS, SET, &status, 1, NULL, 0);
}

void ct_reset_device(struct ct *t, uint64_t id)
{
	uint32_t ack = ct_set_status(t, id, 0);
	uint64_t end = t->bus->os->now() + CT_WAIT_NS;

	ct_check(t, ack == CT_OK, "STATUS SET 0 answers %s", ct_ack_name(ack));
	while (ct_status(t, id)) {
		ct_check(t, t->bus->os->now() < end, "the reset does not end");
		ct_turn(t);
	}
}

uint64_t ct_offered(struct ct *t, uint64_t id)
{
	uint8_t f[8];

	ct_ok(t, id, FEAT, DEVICE_GET, NULL, 0, f, 8);
	return tvq_get64(f);
}

uint64_t ct_negotiate(struct ct *t, uint64_t id, uint64_t features)
{
	uint8_t f[8];

	if (!features)
		features = ct_offered(t, id) & ~CT_F(TVQ_F_NOTIFICATION_DATA);
	ct_check(t, ct_set_status(t, id, 3) == CT_OK, "STATUS SET ACKNOWLEDGE, DRIVER fails");
	tvq_put64(f, features);
	ct_ok(t, id, FEAT, DRIVER_SET, f, 8, NULL, 0);
	ct_check(t, ct_set_status(t, id, 11) == CT_OK, "STATUS SET FEATURES_OK fails");
	ct_check(t, ct_status(t, id) == 11, "FEATURES_OK does not stay");
	return features;
}

uint64_t ct_features(struct ct *t, uint64_t id, bool packed, bool event_idx)
{
	uint64_t f = ct_offered(t, id) & ~CT_F(TVQ_F_NOTIFICATION_DATA);

	if (packed && !(f & CT_F(TVQ_F_RING_PACKED)))
		ct_skip(t, "managed devices offer no packed ring");
	if (!packed)
		f &= ~CT_F(TVQ_F_RING_PACKED);
	if (!event_idx)
		f &= ~CT_F(TVQ_F_EVENT_IDX);
	return f;
}

/* ---- queues ---- */

struct ct_vq *ct_vq_new(struct ct *t, uint64_t id, uint16_t index, uint16_t size, uint64_t features)
{
	struct tvq_drv_ring_cfg cfg = {
		.packed = features >> TVQ_F_RING_PACKED & 1,
		.event_idx = features >> TVQ_F_EVENT_IDX & 1,
		.in_order = features >> TVQ_F_IN_ORDER & 1,
		.size = size,
	};
	struct ct_vq *q = ct_own(t, sizeof(*q));

	q->t = t;
	q->id = id;
	q->index = index;
	q->size = size;
	q->packed = cfg.packed;
	cfg.mem = ct_alloc(t, tvq_drv_ring_bytes(cfg.packed, size, 0), 4096, &cfg.iova);
	q->ring = tvq_drv_ring_new(t->bus->os, &cfg, 0);
	ct_check(t, q->ring && t->n_rings < CT_RINGS, "no memory for a ring");
	t->rings[t->n_rings++] = q->ring;
	tvq_drv_ring_areas(q->ring, &q->desc, &q->driver, &q->device);
	q->desc += t->shift;
	q->driver += t->shift;
	q->device += t->shift;
	q->shift = t->shift;
	q->msi = ct_alloc(t, 4, 4, &q->msi_iova);
	return q;
}

void ct_vq_program(struct ct_vq *q, bool msi)
{
	struct virtio_transportq_ctrl_vdev_vq_notification_area area;
	struct ct *t = q->t;
	uint8_t v[2];

	ct_check(t, ct_vq_size(q, q->size) == CT_OK, "VQ_SIZE SET %u fails", q->size);
	ct_check(t, ct_vq_addr(q, q->desc, q->driver, q->device) == CT_OK, "VQ_ADDR SET fails");
	tvq_put16(v, q->index);
	ct_ok(t, q->id, VQ_NOTIFY, GET, v, 2, &area, sizeof(area));
	q->notify_addr = tvq_get64(&area.addr);
	if (!msi)
		return;
	ct_check(t, ct_msi_set(t, q->id, q->index, q->msi_iova, CT_MSI_DATA(q)) == CT_OK,
		 "MSI VQ_SET fails");
	ct_check(t, ct_msi_enable(t, q->id, q->index, 1) == CT_OK, "MSI VQ_ENABLE fails");
}

void ct_vq_notify(struct ct_vq *q)
{
	q->t->bus->ops->notify(q->t->bus, q->notify_addr, q->index, 2);
}

struct ct_vq *ct_up(struct ct *t, uint64_t id, uint64_t features, uint16_t size)
{
	struct ct_vq *q = ct_vq_new(t, id, 0, size, ct_negotiate(t, id, features));
	uint32_t ack;

	ct_vq_program(q, true);
	ack = ct_vq_enable(q, 1);
	ct_check(t, ack == CT_OK, "VQ_ENABLE 1 answers %s", ct_ack_name(ack));
	ct_check(t, ct_set_status(t, id, 15) == CT_OK, "STATUS SET DRIVER_OK fails");
	return q;
}

/* ---- requests ---- */

struct ct_io *ct_io_start(struct ct_vq *q, uint32_t type, uint64_t sector, uint32_t len)
{
	struct ct_io *io = ct_own(q->t, sizeof(*io));
	bool to_device = type & 1;
	struct tvq_sg sg[3];
	unsigned int n = 0;
	int err;

	io->header = ct_alloc(q->t, 16, 8, &io->header_iova);
	io->data = ct_alloc(q->t, len ? len : 1, 512, &io->data_iova);
	io->status = ct_alloc(q->t, 1, 1, &io->status_iova);
	io->len = len;
	*io->status = 0xee;
	tvq_put32(io->header, type);
	tvq_put64(io->header + 8, sector);
	sg[n++] = (struct tvq_sg){ io->header_iova + q->shift, 16 };
	if (len)
		sg[n++] = (struct tvq_sg){ io->data_iova + q->shift, len };
	sg[n++] = (struct tvq_sg){ io->status_iova + q->shift, 1 };
	err = tvq_drv_ring_add(q->ring, sg, to_device && len ? 2 : 1,
			       n - (to_device && len ? 2 : 1), io);
	ct_check(q->t, !err, "no room on queue %u (%d)", q->index, err);
	tvq_drv_ring_publish(q->ring);
	return io;
}

unsigned int ct_io_collect(struct ct_vq *q)
{
	unsigned int n = 0;
	struct ct_io *io;
	uint32_t written;

	while ((io = tvq_drv_ring_get(q->ring, &written))) {
		io->done = true;
		io->nth = ++q->n_done;
		io->written = written;
		n++;
	}
	return n;
}

struct io_wait {
	struct ct_vq *q;
	struct ct_io *io;
};

static bool io_done(void *arg)
{
	struct io_wait *w = arg;

	ct_io_collect(w->q);
	return w->io->done;
}

bool ct_io_wait(struct ct_vq *q, struct ct_io *io)
{
	struct io_wait w = { q, io };

	return ct_until(q->t, io_done, &w);
}

int ct_io(struct ct_vq *q, uint32_t type, uint64_t sector, struct ct_io **iop, uint32_t len)
{
	struct ct_io *io = ct_io_start(q, type, sector, len);

	if (iop)
		*iop = io;
	ct_vq_notify(q);
	return ct_io_wait(q, io) ? *io->status : -1;
}

struct ct_vq *ct_busy(struct ct *t, struct ct_io **io)
{
	uint64_t id = ct_new_volume(t, t->profile->slow_volume, 0);
	struct ct_vq *q = ct_up(t, id, 0, 16);

	*io = ct_io_start(q, 0, 0, 512);
	ct_vq_notify(q);
	ct_wait_slow(t, 1);
	return q;
}
