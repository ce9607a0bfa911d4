/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The transportq client's life: negotiation and set-up (TQ-150, TQ-035), waiting, the end.
 *
 * Set-up and tear-down mirror each other; tvq_client_free() takes a half-built client. Memory
 * that the device could still write to, because it did not confirm a reset, is left to it: a leak
 * that is logged is better than a write into somebody else's memory.
 */
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>
#include <string.h>

#include <tvq/os.h>

#include "client.h"

#define DEFAULT_SIZE	256
#define STATUS_SLICE_NS 200000000ull /* how long a wait is silent before the status is asked for */

#define BIT(n) (1ull << (n))

static int set_status(struct tvq_bus *b, uint8_t add)
{
	return b->ops->set_status(b, b->ops->status(b) | add);
}

/* TQ-035, TQ-065: what status 0 starts is done when the status reads 0. */
static int reset(struct tvq_bus *b)
{
	uint64_t deadline = b->os->now() + TVQ_BUS_TIMEOUT_NS;
	bool never = false;
	int err = b->ops->set_status(b, 0);

	if (err)
		return err;
	while (b->ops->status(b)) {
		if (b->os->now() >= deadline)
			return -ETIMEDOUT;
		tvq_bus_wait(b, &never, 1000000);
	}
	return 0;
}

static int negotiate(struct tvq_client *c, const struct tvq_client_cfg *cfg)
{
	struct tvq_bus *b = c->bus;
	uint64_t need, offered = b->ops->features(b);
	int err;

	need = BIT(cfg->f_trnspt_vq ? cfg->f_trnspt_vq : VIRTIO_F_TRNSPT_VQ) |
	       BIT(cfg->f_trnspt_vq_vdev ? cfg->f_trnspt_vq_vdev : VIRTIO_F_TRNSPT_VQ_VDEV);
	if ((offered & need) != need) {
		tvq_log(b->os, TVQ_LOG_ERR,
			"%s: the device offers no transport virtqueue (features %#llx)",
			b->ops->name, (unsigned long long)offered);
		return -ENODEV;
	}
	need |= BIT(VIRTIO_F_VERSION_1);
	if ((offered & need) != need) {
		tvq_log(b->os, TVQ_LOG_ERR, "%s: the device lacks VERSION_1", b->ops->name);
		return -EPROTO;
	}
	need |= offered & BIT(VIRTIO_F_ACCESS_PLATFORM);
	if (cfg->packed)
		need |= offered & BIT(VIRTIO_F_RING_PACKED);
	if (!cfg->no_event_idx)
		need |= offered & BIT(VIRTIO_RING_F_EVENT_IDX);
	if (!cfg->no_indirect)
		need |= offered & BIT(VIRTIO_RING_F_INDIRECT_DESC);
	c->features = need;
	err = b->ops->set_features(b, need);
	if (!err)
		err = set_status(b, VIRTIO_CONFIG_S_FEATURES_OK);
	if (err)
		return err;
	if (!(b->ops->status(b) & VIRTIO_CONFIG_S_FEATURES_OK)) {
		tvq_log(b->os, TVQ_LOG_ERR, "%s: the device refuses the features %#llx",
			b->ops->name, (unsigned long long)need);
		return -EPROTO;
	}
	return 0;
}

/* TQ-010. No multiqueue feature is negotiated, so there is one queue or pair. */
static int transportq_index(struct tvq_bus *b, uint16_t *index)
{
	switch (b->ops->device_type(b)) {
	case VIRTIO_ID_BLOCK:
		*index = 1;
		return 0;
	case VIRTIO_ID_NET:
		*index = 3;
		return 0;
	default:
		tvq_log(b->os, TVQ_LOG_ERR,
			"%s: device type %u has no known place for a transportq", b->ops->name,
			b->ops->device_type(b));
		return -ENODEV;
	}
}

static bool is_packed(const struct tvq_client *c)
{
	return c->features & BIT(VIRTIO_F_RING_PACKED);
}

static uint16_t pick_size(const struct tvq_client *c, uint16_t wanted, uint16_t max)
{
	uint16_t size = wanted ? wanted : DEFAULT_SIZE;

	if (size > max)
		size = max;
	if (!is_packed(c))
		while (size & (size - 1))
			size &= size - 1;
	return size;
}

/*
 * Ring and slots lie in one piece, so that the device finds both in one region.
 */
static int make_ring(struct tvq_client *c)
{
	struct tvq_bus *b = c->bus;
	struct tvq_drv_ring_cfg cfg = {
		.packed = is_packed(c),
		.event_idx = c->features & BIT(VIRTIO_RING_F_EVENT_IDX),
		.indirect = c->features & BIT(VIRTIO_RING_F_INDIRECT_DESC),
		.size = c->size,
	};
	uint16_t indirect = cfg.indirect ? 2 : 0;
	size_t ring_bytes = tvq_drv_ring_bytes(cfg.packed, c->size, indirect);
	unsigned int i;

	ring_bytes = (ring_bytes + TVQ_CLIENT_SLOT_BYTES - 1) &
		     ~(size_t)(TVQ_CLIENT_SLOT_BYTES - 1);
	c->mem_bytes = ring_bytes + c->size * (size_t)TVQ_CLIENT_SLOT_BYTES;
	c->mem = b->ops->dma_alloc(b, c->mem_bytes, &cfg.iova);
	c->slots = b->os->alloc(c->size * sizeof(*c->slots));
	if (!c->mem || !c->slots)
		return -ENOMEM;
	cfg.mem = c->mem;
	c->ring = tvq_drv_ring_new(b->os, &cfg, indirect);
	for (i = c->size; i-- > 0;) {
		struct tvq_client_slot *slot = &c->slots[i];
		size_t at = ring_bytes + i * (size_t)TVQ_CLIENT_SLOT_BYTES;

		slot->fixed = c->mem + at;
		slot->fixed_iova = cfg.iova + at;
		slot->next = c->free_slots;
		c->free_slots = slot;
	}
	return c->ring ? 0 : -ENOMEM;
}

static int setup_queue(struct tvq_client *c, const struct tvq_client_cfg *cfg)
{
	struct tvq_bus *b = c->bus;
	struct tvq_bus_queue q = { 0 };
	uint16_t max;
	int err = transportq_index(b, &c->index);

	if (err)
		return err;
	max = b->ops->queue_max(b, c->index);
	c->size = pick_size(c, cfg->queue_size, max);
	if (!c->size) {
		tvq_log(b->os, TVQ_LOG_ERR, "%s: virtqueue %u, the transportq, does not exist",
			b->ops->name, c->index);
		return -EPROTO;
	}
	err = make_ring(c);
	if (err)
		return err;
	q.index = c->index;
	q.size = c->size;
	tvq_drv_ring_areas(c->ring, &q.desc, &q.driver, &q.device);
	return b->ops->queue_setup(b, &q, tvq_client_used, c);
}

/* The device's status or configuration changed (TQ-026, TQ-071). */
static void changed(void *ctx, uint8_t status)
{
	struct tvq_client *c = ctx;

	if (status & VIRTIO_CONFIG_S_NEEDS_RESET)
		tvq_client_kill(c, -ENODEV, "it needs a reset");
}

static unsigned int poll_ring(struct tvq_poller *p)
{
	return tvq_client_collect(
		(struct tvq_client *)((char *)p - offsetof(struct tvq_client, poller)));
}

static bool arm_ring(struct tvq_poller *p)
{
	struct tvq_client *c =
		(struct tvq_client *)((char *)p - offsetof(struct tvq_client, poller));

	return !c->dead && tvq_drv_ring_interrupts_on(c->ring);
}

static int bring_up(struct tvq_client *c, const struct tvq_client_cfg *cfg)
{
	struct tvq_bus *b = c->bus;
	int err = reset(b);

	if (!err)
		err = set_status(b, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	if (!err)
		err = set_status(b, VIRTIO_CONFIG_S_DRIVER);
	if (!err)
		err = negotiate(c, cfg);
	if (!err)
		err = setup_queue(c, cfg);
	if (err)
		return err;
	tvq_drv_ring_interrupts_on(c->ring);
	if (b->ops->watch)
		b->ops->watch(b, changed, c);
	return set_status(b, VIRTIO_CONFIG_S_DRIVER_OK);
}

struct tvq_client *tvq_client_new(struct tvq_bus *b, const struct tvq_client_cfg *cfg, int *err)
{
	static const struct tvq_client_cfg defaults;
	struct tvq_client *c = b->os->alloc(sizeof(*c));

	if (!c) {
		*err = -ENOMEM;
		return NULL;
	}
	c->bus = b;
	c->poller.poll = poll_ring;
	c->poller.arm = arm_ring;
	tvq_client_init_queues(c);
	*err = bring_up(c, cfg ? cfg : &defaults);
	if (!*err)
		return c;
	tvq_client_free(c);
	return NULL;
}

/* What is on its way at the turn's end must not meet a freed client: the message that ends
 * commands, and the bus' call for an interrupt that came before the reset. */
static void drain_late(struct tvq_client *c)
{
	uint64_t deadline = tvq_client_os(c)->now() + TVQ_BUS_TIMEOUT_NS;
	bool never = false;

	do {
		tvq_bus_wait(c->bus, &never, 0);
	} while (c->late_posted && tvq_client_os(c)->now() < deadline);
}

static void free_dma(struct tvq_client *c)
{
	const struct tvq_bus_ops *ops = c->bus->ops;
	unsigned int i;

	if (c->reset_failed) {
		tvq_log(tvq_client_os(c), TVQ_LOG_ERR,
			"%s: the management device did not reset; its memory is left to it",
			ops->name);
		return;
	}
	for (i = 0; c->slots && i < c->size; i++)
		if (c->slots[i].big)
			ops->dma_free(c->bus, c->slots[i].big, c->slots[i].big_size);
	if (c->mem)
		ops->dma_free(c->bus, c->mem, c->mem_bytes);
}

static void free_spares(struct tvq_client *c)
{
	const struct tvq_os *os = tvq_client_os(c);

	while (c->copies) {
		struct tvq_client_copy *copy = c->copies;

		c->copies = copy->next;
		os->free(copy, sizeof(*copy) + copy->room);
	}
	while (c->chunks) {
		struct tvq_seq_chunk *chunk = c->chunks;

		c->chunks = chunk->next;
		os->free(chunk, chunk->size);
	}
}

void tvq_client_free(struct tvq_client *c)
{
	const struct tvq_os *os;

	if (!c)
		return;
	os = tvq_client_os(c);
	c->reset_failed = reset(c->bus) != 0;
	if (c->bus->ops->watch)
		c->bus->ops->watch(c->bus, NULL, NULL);
	tvq_client_kill(c, -ECANCELED, NULL);
	drain_late(c);
	tvq_poller_remove(&c->poller);
	free_dma(c);
	if (c->ring)
		tvq_drv_ring_free(c->ring);
	if (c->slots)
		os->free(c->slots, c->size * sizeof(*c->slots));
	free_spares(c);
	os->free(c, sizeof(*c));
}

struct tvq_bus *tvq_client_bus(const struct tvq_client *c)
{
	return c->bus;
}

uint64_t tvq_client_features(const struct tvq_client *c)
{
	return c->features;
}

int tvq_client_wait(struct tvq_client *c, const bool *flag)
{
	uint64_t deadline = tvq_client_os(c)->now() + TVQ_BUS_TIMEOUT_NS;
	struct tvq_bus *b = c->bus;

	c->waiters++;
	while (!*flag && tvq_client_os(c)->now() < deadline) {
		if (!c->dead)
			tvq_poller_activate(b->exec, &c->poller);
		if (!tvq_bus_wait(b, flag, STATUS_SLICE_NS))
			break;
		if (!c->dead)
			changed(c, b->ops->status(b));
	}
	if (!--c->waiters)
		tvq_poller_remove(&c->poller);
	if (*flag)
		return 0;
	tvq_log(b->os, TVQ_LOG_ERR, "%s: the management device does not answer", b->ops->name);
	return -ETIMEDOUT;
}
