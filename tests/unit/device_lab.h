/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A management device in process, with volumes that complete when the test says so, and queues that
 * the test drives descriptor by descriptor. A queue's memory is a file: the device maps it on its
 * own, so that an access after the unmap has completed is a fault.
 */
#ifndef TVQ_TESTS_DEVICE_LAB_H
#define TVQ_TESTS_DEVICE_LAB_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include <tvq/driver.h>
#include <tvq/inproc.h>
#include <tvq/loop.h>
#include <tvq/mapping.h>
#include <tvq/volume.h>

#include "ring/driver_ring.h"

#define BIT(n)	   (1ull << (n))
#define SECOND	   1000000000ull
#define DL_WORKERS 4
#define DL_VOLUMES 16
#define DL_HELD	   2048

/* Entries of a table that a request may have. */
#ifndef DL_INDIRECT
#define DL_INDIRECT 256
#endif

enum dl_mode {
	DL_NOW,	 /* completes in place */
	DL_HOLD, /* when dl_release() is called */
	DL_LATE, /* in a later turn of the worker */
};

struct dl_vol;

/* One for each executor, for as long as the volume is. */
struct dl_channel {
	struct tvq_volume_channel ch;
	struct dl_vol *vol;
	struct tvq_msg msg;
	atomic_bool posted;
	unsigned int n;
	struct tvq_vreq *held[DL_HELD];
};

struct dl_vol {
	struct tvq_volume v;
	uint8_t *data;
	uint64_t bytes; /* of data: twice the capacity that it starts with */
	atomic_int mode;
	atomic_uint waiting, requests, fua;
	atomic_int fail; /* errno that requests end with */
	bool in_use;
	struct dl_channel *channels[DL_WORKERS + 1];
	_Atomic(struct tvq_exec *) execs[DL_WORKERS + 1];
};

struct dl {
	struct tvq_loop *loop;
	struct tvq_exec *exec;
	struct tvq_loop *worker_loops[DL_WORKERS];
	struct tvq_exec *workers[DL_WORKERS];
	unsigned int n_workers;
	struct tvq_pool pool;
	struct dl_vol *vols[DL_VOLUMES];
	unsigned int n_vols, n_claimed;
	bool hold_claims;
	struct tvq_claim *claims[DL_VOLUMES];
	unsigned int n_claims;
	struct tvq_bus *bus;
	struct tvq_client *client;
};

/* ---- volumes ---- */

static inline int dl_do(struct dl_vol *vol, struct tvq_vreq *r)
{
	uint8_t *at = vol->data + r->offset;
	uint64_t len = 0;
	unsigned int i;

	if (r->flags & TVQ_VREQ_FUA)
		atomic_fetch_add(&vol->fua, 1);
	/* What a volume relies on. */
	assert_true(r->offset <= vol->bytes);
	assert_true(r->len <= vol->bytes - r->offset);
	for (i = 0; i < r->n_seg; i++) {
		assert_true(r->seg[i].len);
		if (r->op == TVQ_VREQ_READ)
			memcpy(r->seg[i].va, at + len, r->seg[i].len);
		else
			memcpy(at + len, r->seg[i].va, r->seg[i].len);
		len += r->seg[i].len;
	}
	if (r->op == TVQ_VREQ_READ || r->op == TVQ_VREQ_WRITE)
		assert_int_equal(len, r->len);
	else if (r->op != TVQ_VREQ_FLUSH)
		memset(at, 0, r->len);
	return -atomic_load(&vol->fail);
}

static inline void dl_let_go(struct tvq_msg *m)
{
	struct dl_channel *c = (struct dl_channel *)((char *)m - offsetof(struct dl_channel, msg));
	unsigned int n = c->n, i;

	atomic_store(&c->posted, false);
	c->n = 0;
	atomic_fetch_sub(&c->vol->waiting, n);
	for (i = 0; i < n; i++) {
		struct tvq_vreq *r = c->held[i];

		r->status = dl_do(c->vol, r);
		r->done(r);
	}
}

static inline int dl_open(struct tvq_volume *v, struct tvq_exec *e, struct tvq_volume_channel **ch)
{
	struct dl_vol *vol = (struct dl_vol *)v;
	unsigned int i;

	for (i = 0; i <= DL_WORKERS; i++) {
		struct tvq_exec *none = NULL;

		if (atomic_load(&vol->execs[i]) != e &&
		    !atomic_compare_exchange_strong(&vol->execs[i], &none, e))
			continue;
		vol->channels[i]->ch = (struct tvq_volume_channel){ .volume = v, .exec = e };
		*ch = &vol->channels[i]->ch;
		return 0;
	}
	return -ENOSPC;
}

static inline void dl_close(struct tvq_volume_channel *ch)
{
	(void)ch;
}

static inline void dl_post(struct dl_channel *c, struct tvq_exec *e)
{
	if (!atomic_exchange(&c->posted, true))
		tvq_exec_post(e, &c->msg);
}

static inline void dl_submit(struct tvq_volume_channel *ch, struct tvq_vreq *const *r,
			     unsigned int n)
{
	struct dl_channel *c = (struct dl_channel *)ch;
	int mode = atomic_load(&c->vol->mode);
	unsigned int i;

	atomic_fetch_add(&c->vol->requests, n);
	for (i = 0; i < n; i++) {
		if (mode == DL_NOW) {
			r[i]->status = dl_do(c->vol, r[i]);
			continue;
		}
		assert_true(c->n < DL_HELD);
		c->held[c->n++] = r[i];
		atomic_fetch_add(&c->vol->waiting, 1);
	}
	if (mode == DL_LATE)
		dl_post(c, c->ch.exec);
}

/* All that is held now. */
static inline void dl_release(struct dl_vol *vol)
{
	unsigned int i;

	for (i = 0; i <= DL_WORKERS; i++) {
		struct tvq_exec *e = atomic_load(&vol->execs[i]);

		if (e)
			dl_post(vol->channels[i], e);
	}
}

static inline void dl_vol_destroy(struct tvq_volume *v)
{
	struct dl_vol *vol = (struct dl_vol *)v;
	unsigned int i;

	for (i = 0; i <= DL_WORKERS; i++)
		free(vol->channels[i]);
	free(vol->data);
	free(vol);
}

static const struct tvq_volume_ops dl_vol_ops = {
	.type = "lab",
	.open = dl_open,
	.close = dl_close,
	.submit = dl_submit,
	.destroy = dl_vol_destroy,
};

/* Named v0, v1 ... in the order in which they are made. */
static inline struct dl_vol *dl_vol_new(struct dl *l, uint64_t capacity, enum dl_mode mode)
{
	struct dl_vol *vol = calloc(1, sizeof(*vol));
	unsigned int i;

	assert_non_null(vol);
	vol->v.ops = &dl_vol_ops;
	vol->v.limits = (struct tvq_volume_limits){
		.capacity = capacity,
		.block_size = 512,
		.physical_block_size = 512,
		.can_discard = true,
		.can_zero = true,
	};
	snprintf((char *)vol->v.id, sizeof(vol->v.id), "v%u", l->n_vols);
	vol->v.refs = 1;
	vol->mode = mode;
	vol->bytes = 2 * capacity;
	vol->data = calloc(1, vol->bytes);
	assert_non_null(vol->data);
	for (i = 0; i <= DL_WORKERS; i++) {
		vol->channels[i] = calloc(1, sizeof(struct dl_channel));
		assert_non_null(vol->channels[i]);
		vol->channels[i]->vol = vol;
		vol->channels[i]->msg.fn = dl_let_go;
	}
	l->vols[l->n_vols++] = vol;
	return vol;
}

/* ---- the pool ---- */

static inline void dl_answer_claim(struct dl *l, struct tvq_claim *c)
{
	static const uint8_t any[TVQ_VOLUME_ID_LEN];
	bool named = memcmp(c->id, any, sizeof(any));
	int err = -ENOENT;
	unsigned int i;

	for (i = 0; i < l->n_vols; i++) {
		if (named && memcmp(l->vols[i]->v.id, c->id, sizeof(c->id)))
			continue;
		err = -EBUSY;
		if (l->vols[i]->in_use)
			continue;
		l->vols[i]->in_use = true;
		l->n_claimed++;
		c->done(c, 0, &l->vols[i]->v);
		return;
	}
	c->done(c, err, NULL);
}

static inline void dl_claim(struct tvq_pool *p, struct tvq_claim *c)
{
	struct dl *l = (struct dl *)((char *)p - offsetof(struct dl, pool));

	if (!l->hold_claims) {
		dl_answer_claim(l, c);
		return;
	}
	assert_true(l->n_claims < DL_VOLUMES);
	l->claims[l->n_claims++] = c;
}

static inline void dl_claims_go(struct dl *l)
{
	unsigned int i, n = l->n_claims;

	l->n_claims = 0;
	for (i = 0; i < n; i++)
		dl_answer_claim(l, l->claims[i]);
}

static inline void dl_pool_release(struct tvq_pool *p, struct tvq_volume *v)
{
	struct dl *l = (struct dl *)((char *)p - offsetof(struct dl, pool));
	struct dl_vol *vol = (struct dl_vol *)v;

	assert_true(vol->in_use);
	assert_int_equal(atomic_load(&vol->waiting), 0);
	vol->in_use = false;
	l->n_claimed--;
}

static const struct tvq_pool_ops dl_pool_ops = { .claim = dl_claim, .release = dl_pool_release };

/* ---- up and down ---- */

/* All but the bus and the client: loops, and what the management device is to be made of. */
static inline void dl_prepare(struct dl *l, unsigned int workers, struct tvq_mgmt_cfg *m)
{
	struct tvq_loop_cfg cfg = { .cpu = -1, .name = "lab" };
	unsigned int i;
	int err;

	memset(l, 0, sizeof(*l));
	tvq_os_host_log_level(TVQ_LOG_ERR);
	l->loop = tvq_loop_new(&cfg, &err);
	assert_non_null(l->loop);
	l->exec = tvq_loop_exec(l->loop);
	l->n_workers = workers;
	for (i = 0; i < workers; i++) {
		l->worker_loops[i] = tvq_loop_new(&cfg, &err);
		assert_non_null(l->worker_loops[i]);
		l->workers[i] = tvq_loop_exec(l->worker_loops[i]);
		assert_int_equal(tvq_loop_start(l->worker_loops[i]), 0);
	}
	l->pool.ops = &dl_pool_ops;
	m->os = m->os ? m->os : &tvq_os_host;
	m->control = l->exec;
	m->workers = l->workers;
	m->n_workers = workers;
	m->pool = &l->pool;
}

static inline void dl_up(struct dl *l, unsigned int workers, const struct tvq_mgmt_cfg *mgmt)
{
	struct tvq_mgmt_cfg m = mgmt ? *mgmt : (struct tvq_mgmt_cfg){ 0 };
	int err;

	dl_prepare(l, workers, &m);
	l->bus = tvq_inproc_new(&m, &err);
	assert_non_null(l->bus);
	l->client = tvq_client_new(l->bus, NULL, &err);
	assert_non_null(l->client);
}

static inline void dl_dismantle(struct dl *l)
{
	unsigned int i;

	assert_int_equal(l->n_claimed, 0);
	for (i = 0; i < l->n_workers; i++) {
		tvq_loop_stop(l->worker_loops[i]);
		tvq_loop_join(l->worker_loops[i]);
		tvq_loop_free(l->worker_loops[i]);
	}
	for (i = 0; i < l->n_vols; i++)
		tvq_volume_put(&l->vols[i]->v);
	tvq_loop_free(l->loop);
}

static inline void dl_down(struct dl *l)
{
	tvq_client_free(l->client);
	l->bus->ops->free(l->bus);
	dl_dismantle(l);
}

/* Turns until *flag; it has to come. */
static inline void dl_wait(struct dl *l, const bool *flag)
{
	assert_int_equal(tvq_bus_wait(l->bus, flag, 20 * SECOND), 0);
}

static inline void dl_turns(struct dl *l, unsigned int n)
{
	while (n--)
		tvq_loop_turn(l->loop, false);
}

/* Turns until cond holds. */
#define dl_until(l, cond)                                                                          \
	do {                                                                                       \
		uint64_t end_ = tvq_os_host.now() + 20 * SECOND;                                   \
		while (!(cond)) {                                                                  \
			assert_true(tvq_os_host.now() < end_);                                     \
			tvq_loop_turn((l)->loop, false);                                           \
		}                                                                                  \
	} while (0)

/* An operation in flight. */
struct dl_op {
	struct tvq_done done;
	bool ended;
	int err;
};

static inline void dl_op_ended(struct tvq_done *d, int err)
{
	struct dl_op *op = (struct dl_op *)d;

	op->ended = true;
	op->err = err;
}

static inline void dl_run(struct tvq_seq *s, struct dl_op *op)
{
	*op = (struct dl_op){ .done.fn = dl_op_ended };
	tvq_seq_run(s, &op->done);
}

static inline void dl_start_destroy(struct tvq_client *c, uint64_t id, struct dl_op *op)
{
	struct tvq_seq *s = tvq_seq_new(c, id);

	tvq_seq_destroy_device(s);
	dl_run(s, op);
}

static inline int dl_destroy(struct tvq_client *c, uint64_t id)
{
	struct tvq_seq *s = tvq_seq_new(c, id);

	tvq_seq_destroy_device(s);
	return tvq_seq_call(s);
}

/* ---- devices ---- */

static inline void dl_fill_create(struct tvq_create *cr,
				  struct virtio_transportq_blk_config *config, const char *volume,
				  uint32_t asid, uint64_t features, uint16_t queues)
{
	memset(config, 0, sizeof(*config));
	config->num_queues = queues;
	if (volume)
		memcpy(config->id, volume, strlen(volume));
	*cr = (struct tvq_create){
		.virtio_device_id = TVQ_TYPE_BLK,
		.asid = asid,
		.features = features,
		.config = config,
		.config_len = sizeof(*config),
	};
}

static inline uint64_t dl_create(struct tvq_client *c, const char *volume, uint32_t asid,
				 uint64_t features, uint16_t queues)
{
	struct virtio_transportq_blk_config config;
	struct tvq_create cr;

	dl_fill_create(&cr, &config, volume, asid, features, queues);
	assert_int_equal(tvq_client_create_call(c, &cr), 0);
	return cr.device_id;
}

/* A device's memory: a file, mapped here, and in the device's space where the test maps it there.
 */
struct dl_mem {
	struct dl *l;
	int fd;
	size_t size;
	uint8_t *va;
	uint32_t asid;
	uint64_t iova;
	size_t used;
};

static inline void dl_mem_map(struct dl_mem *m)
{
	struct tvq_bus_mem mem = {
		.iova = m->iova, .len = m->size, .fd = m->fd, .perm = TVQ_DMA_READ | TVQ_DMA_WRITE
	};

	assert_int_equal(m->l->bus->ops->map(m->l->bus, m->asid, &mem, 1), 0);
}

static inline void dl_mem_new(struct dl_mem *m, struct dl *l, size_t size)
{
	*m = (struct dl_mem){ .l = l, .size = size, .iova = 0x100000000ull };
	m->fd = memfd_create("lab", MFD_CLOEXEC);
	assert_true(m->fd >= 0);
	assert_int_equal(ftruncate(m->fd, (off_t)size), 0);
	m->va = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, m->fd, 0);
	assert_true(m->va != MAP_FAILED);
	assert_int_equal(l->bus->ops->space_new(l->bus, &m->asid), 0);
	dl_mem_map(m);
}

static inline int dl_mem_unmap(struct dl_mem *m, struct dl_op *op)
{
	*op = (struct dl_op){ .done.fn = dl_op_ended };
	return m->l->bus->ops->unmap(m->l->bus, m->asid, m->iova, m->size, &op->done);
}

static inline void dl_mem_free(struct dl_mem *m)
{
	m->l->bus->ops->space_free(m->l->bus, m->asid);
	munmap(m->va, m->size);
	close(m->fd);
}

/* Of the file; kept for ever. */
static inline void *dl_alloc(struct dl_mem *m, size_t size, size_t align, uint64_t *iova)
{
	m->used = (m->used + align - 1) & ~(align - 1);
	assert_true(m->used + size <= m->size);
	*iova = m->iova + m->used;
	m->used += size;
	return m->va + m->used - size;
}

struct dl_queue {
	struct dl_mem *mem;
	struct tvq_client *client;
	uint64_t id, area;
	uint16_t index, size;
	bool packed;
	size_t ring_at; /* in mem */
	struct tvq_drv_ring_cfg cfg;
	struct tvq_drv_ring *ring;
};

static inline void dl_ring_make(struct dl_queue *q)
{
	memset(q->cfg.mem, 0, tvq_drv_ring_bytes(q->packed, q->size, DL_INDIRECT));
	q->ring = tvq_drv_ring_new(&tvq_os_host, &q->cfg, DL_INDIRECT);
	assert_non_null(q->ring);
}

/* Memory and ring only. */
static inline void dl_queue_new(struct dl_queue *q, struct dl_mem *m, struct tvq_client *c,
				uint64_t id, uint16_t index, uint16_t size, bool packed)
{
	*q = (struct dl_queue){
		.mem = m, .client = c, .id = id, .index = index, .size = size, .packed = packed
	};
	q->cfg = (struct tvq_drv_ring_cfg){
		.packed = packed, .event_idx = true, .indirect = true, .size = size
	};
	q->cfg.mem = dl_alloc(m, tvq_drv_ring_bytes(packed, size, DL_INDIRECT), 4096, &q->cfg.iova);
	dl_ring_make(q);
}

static inline void dl_queue_free(struct dl_queue *q)
{
	tvq_drv_ring_free(q->ring);
}

/* Size, address, area, enable. */
static inline void dl_queue_program(struct dl_queue *q, struct tvq_seq *s)
{
	uint64_t desc, driver, device;
	static uint64_t area_size;

	tvq_drv_ring_areas(q->ring, &desc, &driver, &device);
	tvq_seq_vq_size_set(s, q->index, q->size);
	tvq_seq_vq_addr(s, q->index, desc, driver, device);
	tvq_seq_vq_notify_get(s, q->index, &q->area, &area_size);
	tvq_seq_vq_enable(s, q->index, 1);
}

#define DL_FEATURES_OK 0x0b
#define DL_DRIVER_OK   0x0f

/* All that it offers but these, up to FEATURES_OK. */
static inline void dl_negotiate(struct tvq_client *c, uint64_t id, uint64_t without)
{
	uint64_t features = 0;
	struct tvq_seq *s = tvq_seq_new(c, id);

	tvq_seq_features_get(s, &features);
	assert_int_equal(tvq_seq_call(s), 0);
	s = tvq_seq_new(c, id);
	tvq_seq_status_set(s, 3);
	/* Neither NOTIFICATION_DATA nor IN_ORDER: the rings here do not know of them. */
	tvq_seq_features_set(s, features & ~(without | BIT(38) | BIT(VIRTIO_F_IN_ORDER)));
	tvq_seq_status_set(s, DL_FEATURES_OK);
	assert_int_equal(tvq_seq_call(s), 0);
}

/* A device with queues of its own that run, without MSI. */
static inline void dl_start(struct dl_queue *q, unsigned int n, uint64_t without)
{
	struct tvq_seq *s;
	unsigned int i;

	dl_negotiate(q[0].client, q[0].id, without | (q[0].packed ? 0 : BIT(VIRTIO_F_RING_PACKED)));
	s = tvq_seq_new(q[0].client, q[0].id);
	for (i = 0; i < n; i++)
		dl_queue_program(&q[i], s);
	tvq_seq_status_set(s, DL_DRIVER_OK);
	assert_int_equal(tvq_seq_call(s), 0);
}

static inline void dl_notify(struct dl_queue *q)
{
	struct tvq_bus *b = q->mem->l->bus;

	tvq_drv_ring_interrupts_on(q->ring);
	tvq_drv_ring_publish(q->ring);
	b->ops->notify(b, q->area, q->index, 2);
}

/* ---- block requests ---- */

struct dl_req {
	struct virtio_blk_outhdr *hdr;
	uint8_t *data, *status;
	uint64_t hdr_iova, data_iova, status_iova;
	uint32_t len;
	uint32_t written;
	bool used;
};

static inline void dl_req_new(struct dl_req *r, struct dl_mem *m, uint32_t len)
{
	memset(r, 0, sizeof(*r));
	r->hdr = dl_alloc(m, sizeof(*r->hdr), 16, &r->hdr_iova);
	r->status = dl_alloc(m, 1, 1, &r->status_iova);
	r->data = dl_alloc(m, len, 512, &r->data_iova);
	r->len = len;
}

/* In the usual three pieces. Not published. */
static inline int dl_add(struct dl_queue *q, struct dl_req *r, uint32_t type, uint64_t sector)
{
	struct tvq_sg sg[3] = { { r->hdr_iova, sizeof(*r->hdr) },
				{ r->data_iova, r->len },
				{ r->status_iova, 1 } };
	unsigned int n_out = type == VIRTIO_BLK_T_OUT ? 2 : 1;

	r->hdr->type = type;
	r->hdr->ioprio = 0;
	r->hdr->sector = sector;
	*r->status = 0xa5;
	r->used = false;
	if (type == VIRTIO_BLK_T_FLUSH) {
		sg[1] = sg[2];
		return tvq_drv_ring_add(q->ring, sg, 1, 1, r);
	}
	return tvq_drv_ring_add(q->ring, sg, n_out, 3 - n_out, r);
}

/* Collects what is used; each request once. */
static inline unsigned int dl_collect(struct dl_queue *q)
{
	struct dl_req *r;
	unsigned int n = 0;
	uint32_t written;

	while ((r = tvq_drv_ring_get(q->ring, &written))) {
		assert_false(r->used);
		r->used = true;
		r->written = written;
		n++;
	}
	assert_false(tvq_drv_ring_broken(q->ring));
	return n;
}

static inline bool dl_is_used(struct dl_queue *q, const struct dl_req *r)
{
	dl_collect(q);
	return r->used;
}

/* One request, waited for: its status. */
static inline uint8_t dl_io(struct dl_queue *q, struct dl_req *r, uint32_t type, uint64_t sector)
{
	assert_int_equal(dl_add(q, r, type, sector), 0);
	dl_notify(q);
	dl_until(q->mem->l, dl_is_used(q, r));
	return *(volatile uint8_t *)r->status;
}

static inline uint8_t dl_status(struct tvq_client *c, uint64_t id)
{
	struct tvq_seq *s = tvq_seq_new(c, id);
	uint8_t status = 0;

	tvq_seq_status_get(s, &status);
	assert_int_equal(tvq_seq_call(s), 0);
	return status;
}

#endif
