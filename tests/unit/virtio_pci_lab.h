/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The virtio-pci bus over a real vfio-user server: the server and its management device on a thread
 * of their own, the bus on this one. And a queue of a managed block device that a test drives by
 * hand.
 */
#ifndef TVQ_TESTS_VIRTIO_PCI_LAB_H
#define TVQ_TESTS_VIRTIO_PCI_LAB_H

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
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>

#include <tvq/blk.h>
#include <tvq/driver.h>
#include <tvq/virtio_pci.h>
#include <tvq/volumes.h>

#include "bus/virtio_pci.h"
#include "device/util.h"
#include "ring/driver_ring.h"
#include "vfio_user/server.h"

/* ---- the server ---- */

struct vp_server {
	struct tvq_loop *loop;
	struct tvq_volume_pool *pool;
	struct tvq_vfio_user *s;
	char dir[32], path[64];
};

/* A function that is called on the server's thread, and waited for. */
struct vp_call {
	struct tvq_msg msg;
	void (*fn)(struct vp_call *c);
	struct vp_server *server;
	struct tvq_pci_done done;
	unsigned int n; /* an answer */
	atomic_bool ended;
};

static inline void vp_run(struct tvq_msg *m)
{
	struct vp_call *c = tvq_container_of(m, struct vp_call, msg);

	c->fn(c);
}

static inline void vp_on_server(struct vp_server *s, struct vp_call *c)
{
	c->msg.fn = vp_run;
	c->server = s;
	atomic_store(&c->ended, false);
	tvq_exec_post(tvq_loop_exec(s->loop), &c->msg);
	while (!atomic_load(&c->ended))
		usleep(200);
}

static inline void vp_server_start(struct vp_server *s, uint16_t n_vectors)
{
	struct tvq_loop_cfg loop = { .cpu = -1, .name = "server" };
	struct tvq_maker_cfg maker = { .kind = TVQ_MAKER_RAM,
				       .name = "v",
				       .default_size = 1 << 20 };
	struct tvq_vfio_user_cfg cfg = { .path = s->path };
	char why[TVQ_VFIO_USER_ERR_LEN];
	int err;

	s->loop = tvq_loop_new(&loop, &err);
	assert_non_null(s->loop);
	s->pool = tvq_volume_pool_new(tvq_loop_exec(s->loop));
	assert_non_null(s->pool);
	assert_int_equal(tvq_volume_pool_add_maker(s->pool, &maker, why), 0);
	cfg.loop = s->loop;
	cfg.pci.n_vectors = n_vectors;
	cfg.pci.mgmt.os = &tvq_os_host;
	cfg.pci.mgmt.control = tvq_loop_exec(s->loop);
	cfg.pci.mgmt.pool = tvq_volume_pool_pool(s->pool);
	s->s = tvq_vfio_user_new(&cfg, why);
	if (!s->s)
		fail_msg("%s", why);
	assert_int_equal(tvq_loop_start(s->loop), 0);
}

static inline void vp_freed(struct tvq_pci_done *d)
{
	atomic_store(&tvq_container_of(d, struct vp_call, done)->ended, true);
}

static inline void vp_free_server(struct vp_call *c)
{
	c->done.fn = vp_freed;
	tvq_vfio_user_free(c->server->s, &c->done);
}

static inline void vp_server_stop(struct vp_server *s)
{
	struct vp_call c = { .fn = vp_free_server };

	if (!s->loop)
		return;
	vp_on_server(s, &c);
	tvq_loop_stop(s->loop);
	tvq_loop_join(s->loop);
	tvq_volume_pool_free(s->pool);
	tvq_loop_free(s->loop);
	s->loop = NULL;
}

/* ---- both ends ---- */

struct vp {
	struct vp_server server;
	struct tvq_loop *loop;
	struct tvq_bus *bus;
	struct tvq_client *client;
	char err[TVQ_VIRTIO_PCI_ERR_LEN];
};

static inline void vp_connect(struct vp *v, const struct tvq_client_cfg *cfg)
{
	int err;

	v->bus = tvq_vfio_user_bus(v->loop, v->server.path, v->err);
	if (!v->bus)
		fail_msg("%s", v->err);
	v->client = tvq_client_new(v->bus, cfg, &err);
	assert_int_equal(err, 0);
}

static inline void vp_disconnect(struct vp *v)
{
	tvq_client_free(v->client);
	v->bus->ops->free(v->bus);
	v->client = NULL;
	v->bus = NULL;
}

static inline void vp_prepare(struct vp *v)
{
	struct tvq_loop_cfg loop = { .cpu = -1, .name = "driver" };
	int err;

	memset(v, 0, sizeof(*v));
	tvq_os_host_log_level(TVQ_LOG_ERR);
	strcpy(v->server.dir, "/tmp/tvq-pci-XXXXXX");
	assert_non_null(mkdtemp(v->server.dir));
	snprintf(v->server.path, sizeof(v->server.path), "%s/sock", v->server.dir);
	v->loop = tvq_loop_new(&loop, &err);
	assert_non_null(v->loop);
}

static inline void vp_clean(struct vp *v)
{
	tvq_loop_free(v->loop);
	unlink(v->server.path);
	assert_int_equal(rmdir(v->server.dir), 0);
}

/* A server with so many vectors (0: its default), and a client of its transportq. */
static inline void vp_up(struct vp *v, uint16_t n_vectors)
{
	vp_prepare(v);
	vp_server_start(&v->server, n_vectors);
	vp_connect(v, NULL);
}

static inline void vp_down(struct vp *v)
{
	if (v->bus)
		vp_disconnect(v);
	vp_server_stop(&v->server);
	vp_clean(v);
}

#define VP_WAIT_NS 4000000000ull

/* Turns of a loop until cond. */
#define loop_until(l, cond)                                                                        \
	do {                                                                                       \
		uint64_t end_ = tvq_os_host.now() + VP_WAIT_NS;                                    \
		while (!(cond)) {                                                                  \
			if (tvq_os_host.now() > end_)                                              \
				fail_msg("%s:%d: it never came: " #cond, __FILE__, __LINE__);      \
			tvq_loop_turn(l, false);                                                   \
		}                                                                                  \
	} while (0)
#define vp_until(v, cond) loop_until((v)->loop, cond)

static inline bool vp_signalled(int fd)
{
	uint64_t n;

	return read(fd, &n, sizeof(n)) == sizeof(n);
}

static inline int vp_eventfd(void)
{
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

struct vp_done {
	struct tvq_done done;
	int err;
	bool ended;
};

static inline void vp_ended(struct tvq_done *d, int err)
{
	struct vp_done *v = tvq_container_of(d, struct vp_done, done);

	v->err = err;
	v->ended = true;
}

static inline uint64_t vp_create(struct vp *v, uint32_t asid)
{
	struct tvq_create cr = { .virtio_device_id = TVQ_TYPE_BLK, .asid = asid };

	assert_int_equal(tvq_client_create_call(v->client, &cr), 0);
	return cr.device_id;
}

static inline void vp_destroy(struct vp *v, uint64_t id)
{
	struct tvq_seq *s = tvq_seq_new(v->client, id);

	tvq_seq_destroy_device(s);
	assert_int_equal(tvq_seq_call(s), 0);
}

/* ---- a queue by hand ---- */

#define VP_QUEUE_BYTES 65536
#define VP_DATA	       32768 /* where in its memory requests' data are */

struct vp_queue {
	struct vp *v;
	uint64_t id, area, size;
	struct tvq_drv_ring *ring;
	uint8_t *mem;
	uint64_t iova; /* in the queue's space; dma is where it is in space 0 */
	uint64_t dma;
};

/* A device in that space, which sees the queue's memory at the address that it has in space 0, and
 * more. Not enabled yet. */
static inline void vp_queue_make(struct vp_queue *q, struct vp *v, uint32_t asid, uint64_t shift)
{
	struct tvq_drv_ring_cfg cfg = { .size = 16 };
	uint64_t features = 1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_F_ACCESS_PLATFORM;
	uint64_t desc, driver, device;
	struct tvq_seq *s;

	q->v = v;
	q->id = vp_create(v, asid);
	q->mem = v->bus->ops->dma_alloc(v->bus, VP_QUEUE_BYTES, &q->dma);
	assert_non_null(q->mem);
	q->iova = q->dma + shift;
	cfg.mem = q->mem;
	cfg.iova = q->iova;
	q->ring = tvq_drv_ring_new(&tvq_os_host, &cfg, 0);
	assert_non_null(q->ring);
	tvq_drv_ring_areas(q->ring, &desc, &driver, &device);
	s = tvq_seq_new(v->client, q->id);
	tvq_seq_status_set(s, 3);
	tvq_seq_features_set(s, features);
	tvq_seq_status_set(s, 11);
	tvq_seq_vq_size_set(s, 0, 16);
	tvq_seq_vq_addr(s, 0, desc, driver, device);
	tvq_seq_vq_notify_get(s, 0, &q->area, &q->size);
	assert_int_equal(tvq_seq_call(s), 0);
}

static inline int vp_queue_enable(struct vp_queue *q)
{
	struct tvq_seq *s = tvq_seq_new(q->v->client, q->id);

	tvq_seq_vq_enable(s, 0, 1);
	tvq_seq_status_set(s, 15);
	return tvq_seq_call(s);
}

static inline void vp_queue_msi(struct vp_queue *q, uint64_t addr, uint32_t data)
{
	struct tvq_seq *s = tvq_seq_new(q->v->client, q->id);

	tvq_seq_msi_vq_set(s, 0, addr, data);
	tvq_seq_msi_vq_enable(s, 0, 1);
	assert_int_equal(tvq_seq_call(s), 0);
}

/* A read of the first sector; nobody is notified. */
static inline void vp_queue_add(struct vp_queue *q)
{
	struct virtio_blk_outhdr *h = (void *)(q->mem + VP_DATA);
	uint64_t at = q->iova + VP_DATA;
	struct tvq_sg sg[3] = { { at, sizeof(*h) }, { at + 512, 512 }, { at + 2048, 1 } };

	memset(h, 0, sizeof(*h));
	q->mem[VP_DATA + 2048] = 0xee;
	assert_int_equal(tvq_drv_ring_add(q->ring, sg, 1, 2, q), 0);
	tvq_drv_ring_publish(q->ring);
}

static inline bool vp_queue_used(struct vp_queue *q)
{
	uint32_t written;

	if (!tvq_drv_ring_get(q->ring, &written))
		return false;
	assert_int_equal(q->mem[VP_DATA + 2048], VIRTIO_BLK_S_OK);
	return true;
}

/* One request, by the bus' own notification. */
static inline void vp_queue_io(struct vp_queue *q)
{
	vp_queue_add(q);
	q->v->bus->ops->notify(q->v->bus, q->area, 0, 2);
	vp_until(q->v, vp_queue_used(q));
}

static inline void vp_queue_free(struct vp_queue *q)
{
	vp_destroy(q->v, q->id);
	tvq_drv_ring_free(q->ring);
	q->v->bus->ops->dma_free(q->v->bus, q->mem, VP_QUEUE_BYTES);
}

#endif
