// SPDX-License-Identifier: BSD-3-Clause
/* A managed device as the polling drivers have it: see vdev.h. */
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include <tvq/os.h>

#include "vdev.h"

#define CONFIG_TRIES	8
#define STATUS_SLICE_NS 200000000ull /* how long a wait is silent before the status is asked for */

#define STATUS_DRIVER (VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER)

static struct tvq_vdev *vdev_of(struct tvq_poller *p)
{
	return (struct tvq_vdev *)((char *)p - offsetof(struct tvq_vdev, poller));
}

static unsigned int collect(struct tvq_poller *p)
{
	struct tvq_vdev *d = vdev_of(p);

	return d->collect(d);
}

/* It is on the list only while a call waits, and no interrupt would come. */
static bool never_sleep(struct tvq_poller *p)
{
	(void)p;
	return true;
}

void tvq_vdev_init(struct tvq_vdev *d, struct tvq_client *c, uint64_t device_id)
{
	d->client = c;
	d->bus = tvq_client_bus(c);
	d->device_id = device_id;
	d->poller.poll = collect;
	d->poller.arm = never_sleep;
}

uint64_t tvq_vdev_ring_features(bool packed, bool event_idx, bool indirect)
{
	uint64_t f = TVQ_VDEV_BIT(VIRTIO_F_VERSION_1) | TVQ_VDEV_BIT(VIRTIO_F_ACCESS_PLATFORM) |
		     TVQ_VDEV_BIT(VIRTIO_F_IN_ORDER);

	if (packed)
		f |= TVQ_VDEV_BIT(VIRTIO_F_RING_PACKED);
	if (event_idx)
		f |= TVQ_VDEV_BIT(VIRTIO_RING_F_EVENT_IDX);
	if (indirect)
		f |= TVQ_VDEV_BIT(VIRTIO_RING_F_INDIRECT_DESC);
	return f;
}

int tvq_vdev_negotiate(struct tvq_vdev *d, uint64_t wanted)
{
	uint64_t offered = 0;
	uint8_t status = 0;
	struct tvq_seq *s;
	int err = tvq_client_reset_call(d->client, d->device_id);

	if (err)
		return err;
	s = tvq_seq_new(d->client, d->device_id);
	if (!s)
		return -ENOMEM;
	tvq_seq_status_set(s, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	tvq_seq_status_set(s, STATUS_DRIVER);
	tvq_seq_features_get(s, &offered);
	err = tvq_seq_call(s);
	if (err)
		return err;
	d->features = offered & wanted;
	s = tvq_seq_new(d->client, d->device_id);
	if (!s)
		return -ENOMEM;
	tvq_seq_features_set(s, d->features);
	tvq_seq_status_set(s, STATUS_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK);
	tvq_seq_status_get(s, &status);
	err = tvq_seq_call(s);
	if (!err && !(status & VIRTIO_CONFIG_S_FEATURES_OK))
		err = -EPROTO;
	return err;
}

int tvq_vdev_config(struct tvq_vdev *d, void *buf, uint32_t bytes)
{
	uint32_t before, after;
	int tries, err;

	for (tries = 0; tries < CONFIG_TRIES; tries++) {
		struct tvq_seq *s = tvq_seq_new(d->client, d->device_id);

		if (!s)
			return -ENOMEM;
		tvq_seq_generation_get(s, &before);
		tvq_seq_config_get(s, 0, bytes, buf);
		tvq_seq_generation_get(s, &after);
		err = tvq_seq_call(s);
		if (err || before == after)
			return err;
	}
	return -EAGAIN;
}

/* ---- queues ---- */

static int pick_size(struct tvq_vdev *d, struct tvq_vdev_queue *q, uint16_t want)
{
	struct tvq_seq *s = tvq_seq_new(d->client, d->device_id);
	uint16_t max = 0;
	int err;

	if (!s)
		return -ENOMEM;
	tvq_seq_vq_size_get(s, q->index, &max);
	err = tvq_seq_call(s);
	if (err)
		return err;
	q->size = want < max ? want : max;
	if (!tvq_vdev_has(d, VIRTIO_F_RING_PACKED))
		while (q->size & (q->size - 1))
			q->size &= q->size - 1;
	return q->size ? 0 : -EPROTO;
}

int tvq_vdev_queue_make(struct tvq_vdev *d, struct tvq_vdev_queue *q,
			const struct tvq_vdev_queue_cfg *cfg)
{
	struct tvq_drv_ring_cfg ring = {
		.packed = tvq_vdev_has(d, VIRTIO_F_RING_PACKED),
		.event_idx = tvq_vdev_has(d, VIRTIO_RING_F_EVENT_IDX),
		.indirect = tvq_vdev_has(d, VIRTIO_RING_F_INDIRECT_DESC),
		.in_order = tvq_vdev_has(d, VIRTIO_F_IN_ORDER),
	};
	uint16_t indirect = ring.indirect ? cfg->indirect : 0;
	size_t bytes;
	int err;

	q->index = cfg->index;
	err = pick_size(d, q, cfg->size);
	if (err)
		return err;
	ring.size = q->size;
	bytes = (tvq_drv_ring_bytes(ring.packed, q->size, indirect) + 63) & ~(size_t)63;
	q->mem_bytes = bytes + (size_t)q->size * cfg->bytes + cfg->bytes_in_all;
	q->mem = d->bus->ops->dma_alloc(d->bus, q->mem_bytes, &ring.iova);
	if (!q->mem)
		return -ENOMEM;
	ring.mem = q->mem;
	q->more = (uint8_t *)q->mem + bytes;
	q->more_iova = ring.iova + bytes;
	q->ring = tvq_drv_ring_new(tvq_vdev_os(d), &ring, indirect);
	if (!q->ring)
		return -ENOMEM;
	tvq_drv_ring_interrupts_off(q->ring);
	return 0;
}

int tvq_vdev_queue_start(struct tvq_vdev *d, struct tvq_vdev_queue *q)
{
	struct tvq_seq *s = tvq_seq_new(d->client, d->device_id);
	uint64_t desc, driver, device, area_size;

	if (!s)
		return -ENOMEM;
	tvq_drv_ring_areas(q->ring, &desc, &driver, &device);
	d->up = true;
	tvq_seq_vq_size_set(s, q->index, q->size);
	/* Our memory is in the space of the manager's own queues, whatever the device's default
	 * is. */
	tvq_seq_vq_asid_set(s, q->index, 0);
	tvq_seq_vq_addr(s, q->index, desc, driver, device);
	tvq_seq_vq_notify_get(s, q->index, &q->area, &area_size);
	tvq_seq_vq_enable(s, q->index, 1);
	return tvq_seq_call(s);
}

int tvq_vdev_driver_ok(struct tvq_vdev *d)
{
	struct tvq_seq *s = tvq_seq_new(d->client, d->device_id);

	if (!s)
		return -ENOMEM;
	tvq_seq_status_set(s,
			   STATUS_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK);
	return tvq_seq_call(s);
}

/* ---- waiting ---- */

/* A device that is broken or gone answers nothing: what it has ends here. */
static void ask_status(struct tvq_vdev *d)
{
	struct tvq_seq *s = tvq_seq_new(d->client, d->device_id);
	uint8_t status = 0;

	if (!s)
		return;
	tvq_seq_status_get(s, &status);
	if (tvq_seq_call(s) || status & VIRTIO_CONFIG_S_NEEDS_RESET)
		d->cancel(d, -ENODEV);
}

int tvq_vdev_wait(struct tvq_vdev *d, const bool *done)
{
	uint64_t deadline = tvq_vdev_os(d)->now() + TVQ_BUS_TIMEOUT_NS;
	int err;

	do {
		/* Every time: waiting for an answer to ask_status() may have ended its turn on
		 * the list. */
		tvq_poller_activate(d->bus->exec, &d->poller);
		err = tvq_bus_wait(d->bus, done, STATUS_SLICE_NS);
		if (err)
			ask_status(d);
	} while (err && !*done && tvq_vdev_os(d)->now() < deadline);
	tvq_poller_remove(&d->poller);
	return *done ? 0 : -ETIMEDOUT;
}

/* ---- the end ---- */

bool tvq_vdev_reset(struct tvq_vdev *d)
{
	int err;

	if (!d->up)
		return true;
	err = tvq_client_reset_call(d->client, d->device_id);
	/* -EIO: there is no such device any more. */
	if (!err || err == -EIO || err == -ECANCELED)
		return true;
	tvq_log(tvq_vdev_os(d), TVQ_LOG_ERR,
		"managed device %llu did not reset (error %d); its memory is left to it",
		(unsigned long long)d->device_id, -err);
	return false;
}

void tvq_vdev_queue_free(struct tvq_vdev *d, struct tvq_vdev_queue *q, bool dma)
{
	tvq_drv_ring_free(q->ring);
	if (q->mem && dma)
		d->bus->ops->dma_free(d->bus, q->mem, q->mem_bytes);
}
