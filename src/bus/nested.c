/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The bus to a nested management device: each register is a command on the parent's transportq.
 *
 * What may wait (registers, queue set-up) is a sequence that is called; what may not wait
 * (notification) needs no command: the area was got at set-up, and writing to it is the parent
 * bus' business. The status that goes with a configuration interrupt is got by a sequence in
 * flight, one at a time; an interrupt that comes meanwhile makes it go round once more.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <tvq/nested.h>
#include <tvq/os.h>

#include "bus.h"

/* An interrupt: an eventfd that the loop watches, or a poller. */
struct irq {
	void (*fn)(void *ctx); /* NULL: nobody wants it */
	void *ctx;
	int fd; /* -1: polled */
	uint64_t addr;
	uint32_t data;
	struct tvq_watch watch;
	struct tvq_poller poller;
	bool stopped;
};

struct nested_queue {
	struct nested_queue *next;
	uint16_t index;
	uint64_t area;
	struct irq *irq; /* NULL: the driver polls */
};

struct nested {
	struct tvq_bus bus;
	struct tvq_client *parent;
	struct tvq_bus *up; /* the parent's bus */
	uint64_t id;
	uint32_t type;
	bool gone; /* it was destroyed: as good as reset */
	struct nested_queue *queues;

	struct irq *config_irq;
	void (*changed)(void *ctx, uint8_t status);
	void *changed_ctx;
	struct tvq_seq *asking; /* for the status, after an interrupt */
	struct tvq_done asked;
	bool ask_again;
	uint8_t status;
};

static struct nested *nested_of(struct tvq_bus *b)
{
	return (struct nested *)((char *)b - offsetof(struct nested, bus));
}

/* ---- interrupts ---- */

static void irq_ready(struct tvq_watch *w, int events)
{
	struct irq *irq = (struct irq *)((char *)w - offsetof(struct irq, watch));

	if (events >= 0 && irq->fn)
		irq->fn(irq->ctx);
}

static unsigned int irq_poll(struct tvq_poller *p)
{
	struct irq *irq = (struct irq *)((char *)p - offsetof(struct irq, poller));

	irq->fn(irq->ctx);
	return 0;
}

static bool irq_stay(struct tvq_poller *p)
{
	(void)p;
	return true; /* nothing would call it back */
}

/* It is freed when the queue is set up again, or with the bus. */
static void irq_quiet(struct irq *irq)
{
	irq->fn = NULL;
	tvq_poller_remove(&irq->poller);
}

static void irq_stopped(struct tvq_watch *w)
{
	((struct irq *)((char *)w - offsetof(struct irq, watch)))->stopped = true;
}

static int irq_open(struct nested *n, struct irq *irq, struct tvq_loop *loop)
{
	int err;

	irq->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (irq->fd < 0)
		return -errno;
	err = n->up->ops->msi_fd(n->up, irq->fd, &irq->addr, &irq->data);
	if (err) {
		close(irq->fd);
		irq->fd = -1;
		return err;
	}
	irq->watch.fn = irq_ready;
	tvq_watch_start(loop, &irq->watch, irq->fd, POLLIN);
	return 0;
}

static struct irq *irq_new(struct nested *n, void (*fn)(void *ctx), void *ctx)
{
	struct tvq_loop *loop = n->up->ops->msi_fd ? tvq_bus_loop(&n->bus) : NULL;
	struct irq *irq = n->bus.os->alloc(sizeof(*irq));

	if (!irq)
		return NULL;
	irq->fn = fn;
	irq->ctx = ctx;
	irq->fd = -1;
	if (loop && !irq_open(n, irq, loop))
		return irq;
	irq->poller.poll = irq_poll;
	irq->poller.arm = irq_stay;
	tvq_poller_activate(n->bus.exec, &irq->poller);
	return irq;
}

/* May wait. The device does not use the pair any more. */
static void irq_free(struct nested *n, struct irq *irq)
{
	if (!irq)
		return;
	tvq_poller_remove(&irq->poller);
	if (irq->fd >= 0) {
		tvq_watch_stop(&irq->watch, irq_stopped);
		if (tvq_bus_wait(&n->bus, &irq->stopped, TVQ_BUS_TIMEOUT_NS)) {
			tvq_log(n->bus.os, TVQ_LOG_ERR,
				"nested: a watch does not end; its memory is left");
			return;
		}
		n->up->ops->msi_fd_free(n->up, irq->addr, irq->data);
		close(irq->fd);
	}
	n->bus.os->free(irq, sizeof(*irq));
}

/* ---- registers ---- */

static struct tvq_seq *begin(struct nested *n)
{
	return tvq_seq_new(n->parent, n->id);
}

static uint32_t nested_device_type(struct tvq_bus *b)
{
	return nested_of(b)->type;
}

static uint64_t nested_features(struct tvq_bus *b)
{
	struct tvq_seq *s = begin(nested_of(b));
	uint64_t features = 0;

	if (!s)
		return 0;
	tvq_seq_features_get(s, &features);
	return tvq_seq_call(s) ? 0 : features;
}

static int nested_set_features(struct tvq_bus *b, uint64_t features)
{
	struct tvq_seq *s = begin(nested_of(b));

	if (!s)
		return -ENOMEM;
	tvq_seq_features_set(s, features);
	return tvq_seq_call(s);
}

/* A device that is gone reads as one that needs a reset. */
#define GONE 0x40

static uint8_t nested_status(struct tvq_bus *b)
{
	struct nested *n = nested_of(b);
	struct tvq_seq *s;
	uint8_t status = 0;

	if (n->gone)
		return 0;
	s = begin(n);
	if (!s)
		return GONE;
	tvq_seq_status_get(s, &status);
	return tvq_seq_call(s) ? GONE : status;
}

static int nested_set_status(struct tvq_bus *b, uint8_t status)
{
	struct nested *n = nested_of(b);
	struct tvq_seq *s = begin(n);
	struct nested_queue *q;
	int err;

	if (!s)
		return -ENOMEM;
	tvq_seq_status_set(s, status);
	err = tvq_seq_call(s);
	for (q = n->queues; q && !status; q = q->next)
		if (q->irq)
			irq_quiet(q->irq);
	/* A living device takes 0 in every state (TQ-065). */
	if (!status && err == -EIO) {
		n->gone = true;
		return 0;
	}
	return err;
}

static int nested_config_read(struct tvq_bus *b, uint32_t offset, void *buf, uint32_t len)
{
	struct tvq_seq *s = begin(nested_of(b));

	if (!s)
		return -ENOMEM;
	tvq_seq_config_get(s, offset, len, buf);
	return tvq_seq_call(s);
}

static uint16_t nested_queue_max(struct tvq_bus *b, uint16_t index)
{
	struct tvq_seq *s = begin(nested_of(b));
	uint16_t size = 0;

	if (!s)
		return 0;
	tvq_seq_vq_size_get(s, index, &size);
	return tvq_seq_call(s) ? 0 : size;
}

/* ---- queues ---- */

static struct nested_queue *find_queue(struct nested *n, uint16_t index)
{
	struct nested_queue *q = n->queues;

	while (q && q->index != index)
		q = q->next;
	return q;
}

static struct nested_queue *make_queue(struct nested *n, uint16_t index)
{
	struct nested_queue *q = find_queue(n, index);

	if (q) {
		irq_free(n, q->irq);
		q->irq = NULL;
		return q;
	}
	q = n->bus.os->alloc(sizeof(*q));
	if (!q)
		return NULL;
	q->index = index;
	q->next = n->queues;
	n->queues = q;
	return q;
}

static int nested_queue_setup(struct tvq_bus *b, const struct tvq_bus_queue *bq,
			      void (*used)(void *ctx), void *ctx)
{
	struct nested *n = nested_of(b);
	struct nested_queue *q = make_queue(n, bq->index);
	struct tvq_seq *s;
	uint64_t size;

	if (!q)
		return -ENOMEM;
	if (used) {
		q->irq = irq_new(n, used, ctx);
		if (!q->irq)
			return -ENOMEM;
	}
	s = begin(n);
	if (!s)
		return -ENOMEM;
	tvq_seq_vq_size_set(s, q->index, bq->size);
	/* Where dma_alloc's memory is: see tvq/bus.h. */
	tvq_seq_vq_asid_set(s, q->index, 0);
	tvq_seq_vq_addr(s, q->index, bq->desc, bq->driver, bq->device);
	if (q->irq && q->irq->fd >= 0) {
		tvq_seq_msi_vq_set(s, q->index, q->irq->addr, q->irq->data);
		tvq_seq_msi_vq_enable(s, q->index, 1);
	}
	tvq_seq_vq_notify_get(s, q->index, &q->area, &size);
	tvq_seq_vq_enable(s, q->index, 1);
	return tvq_seq_call(s);
}

static void nested_queue_notify(struct tvq_bus *b, uint16_t index)
{
	struct nested *n = nested_of(b);
	struct nested_queue *q = find_queue(n, index);

	if (q)
		n->up->ops->notify(n->up, q->area, index, 2);
}

/* ---- configuration interrupt ---- */

static void ask_status(struct nested *n)
{
	if (n->asking) {
		n->ask_again = true;
		return;
	}
	n->asking = begin(n);
	if (!n->asking)
		return;
	tvq_seq_status_get(n->asking, &n->status);
	tvq_seq_run(n->asking, &n->asked);
}

static void status_asked(struct tvq_done *d, int err)
{
	struct nested *n = (struct nested *)((char *)d - offsetof(struct nested, asked));

	n->asking = NULL;
	if (n->changed)
		n->changed(n->changed_ctx, err ? GONE : n->status);
	if (n->ask_again) {
		n->ask_again = false;
		ask_status(n);
	}
}

static void config_interrupt(void *ctx)
{
	ask_status(ctx);
}

/* Without an eventfd nothing is watched: a command that is not answered asks for the status by
 * itself. */
static void nested_watch(struct tvq_bus *b, void (*changed)(void *ctx, uint8_t status), void *ctx)
{
	struct nested *n = nested_of(b);
	struct tvq_seq *s;

	n->changed = changed;
	n->changed_ctx = ctx;
	if (!changed || !tvq_bus_loop(b) || !n->up->ops->msi_fd)
		return;
	if (!n->config_irq)
		n->config_irq = irq_new(n, config_interrupt, n);
	s = n->config_irq && n->config_irq->fd >= 0 ? begin(n) : NULL;
	if (!s)
		return;
	tvq_seq_msi_config_set(s, n->config_irq->addr, n->config_irq->data);
	tvq_seq_msi_config_enable(s, 1);
	if (tvq_seq_call(s))
		tvq_log(b->os, TVQ_LOG_WARN, "nested %llu: no configuration interrupt: %s",
			(unsigned long long)n->id, tvq_client_failed(n->parent));
}

/* ---- the parent bus' ---- */

static void *nested_dma_alloc(struct tvq_bus *b, size_t size, uint64_t *iova)
{
	struct tvq_bus *up = nested_of(b)->up;

	return up->ops->dma_alloc(up, size, iova);
}

static void nested_dma_free(struct tvq_bus *b, void *p, size_t size)
{
	struct tvq_bus *up = nested_of(b)->up;

	up->ops->dma_free(up, p, size);
}

static void nested_notify(struct tvq_bus *b, uint64_t area, uint32_t value, unsigned int width)
{
	struct tvq_bus *up = nested_of(b)->up;

	up->ops->notify(up, area, value, width);
}

static int nested_notify_fd(struct tvq_bus *b, uint64_t area, uint16_t queue_index, int fd,
			    struct tvq_done *done)
{
	struct tvq_bus *up = nested_of(b)->up;

	return up->ops->notify_fd ? up->ops->notify_fd(up, area, queue_index, fd, done)
				  : -EOPNOTSUPP;
}

/* TQ-015: there is one space, the one that its own transportq is in. */
static int nested_space_new(struct tvq_bus *b, uint32_t *asid)
{
	(void)b;
	(void)asid;
	return -ENOSPC;
}

static void nested_space_free(struct tvq_bus *b, uint32_t asid)
{
	(void)b;
	(void)asid;
}

static int nested_map(struct tvq_bus *b, uint32_t asid, const struct tvq_bus_mem *m, size_t count)
{
	struct tvq_bus *up = nested_of(b)->up;

	return asid ? -ENOENT : up->ops->map(up, 0, m, count);
}

static int nested_unmap(struct tvq_bus *b, uint32_t asid, uint64_t iova, uint64_t len,
			struct tvq_done *done)
{
	struct tvq_bus *up = nested_of(b)->up;

	/* "Everything" would be the parent's too. */
	if (asid || len == UINT64_MAX)
		return -ENOENT;
	return up->ops->unmap(up, 0, iova, len, done);
}

static void nested_free(struct tvq_bus *b)
{
	struct nested *n = nested_of(b);

	if (n->asking)
		tvq_seq_abandon(n->asking);
	/* Ends whatever would use the interrupts; where the device is gone already it fails, and
	 * is right. */
	tvq_client_reset_call(n->parent, n->id);
	irq_free(n, n->config_irq);
	while (n->queues) {
		struct nested_queue *q = n->queues;

		n->queues = q->next;
		irq_free(n, q->irq);
		b->os->free(q, sizeof(*q));
	}
	b->os->free(n, sizeof(*n));
}

static const struct tvq_bus_ops nested_ops = {
	.name = "nested",
	.device_type = nested_device_type,
	.features = nested_features,
	.set_features = nested_set_features,
	.status = nested_status,
	.set_status = nested_set_status,
	.config_read = nested_config_read,
	.queue_max = nested_queue_max,
	.queue_setup = nested_queue_setup,
	.watch = nested_watch,
	.queue_notify = nested_queue_notify,
	.dma_alloc = nested_dma_alloc,
	.dma_free = nested_dma_free,
	.notify = nested_notify,
	.notify_fd = nested_notify_fd,
	/* No msi_fd: an MSI of a device behind is a write in its manager's space (TQ-015). */
	.space_new = nested_space_new,
	.space_free = nested_space_free,
	.map = nested_map,
	.unmap = nested_unmap,
	.free = nested_free,
};

struct tvq_bus *tvq_nested_new(struct tvq_client *parent, uint64_t device_id,
			       uint32_t virtio_device_id, int *err)
{
	struct tvq_bus *up = tvq_client_bus(parent);
	struct nested *n = up->os->alloc(sizeof(*n));

	if (!n) {
		*err = -ENOMEM;
		return NULL;
	}
	n->bus = (struct tvq_bus){ .ops = &nested_ops, .exec = up->exec, .os = up->os };
	n->parent = parent;
	n->up = up;
	n->id = device_id;
	n->type = virtio_device_id;
	n->asked.fn = status_asked;
	*err = 0;
	return &n->bus;
}
