/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Interrupts of the virtio-pci bus.
 *
 * Each entry of the MSI-X table gets a pair of its own when the bus is made, masked; the addresses
 * are those at which x86 has its interrupt messages, where no process has memory. The function
 * knows the pairs (pci.h: they are resolved when MSI SET is taken), so that a managed device's
 * interrupt raises the vector. What is left to do when somebody wants an interrupt is to hand over
 * the eventfd and to unmask the entry, in this order, without waiting for either: an interrupt that
 * comes before is pending.
 *
 * Vector 0 is the configuration's. Own queues have one each while there are some. msi_fd hands out
 * the others: the descriptor itself goes to the device, nothing of ours is on an interrupt's way.
 * Where the vectors are used up, the pair is none of the table's: the device writes the message to
 * its address, which no memory is behind, so that it comes to us and we signal the descriptor. That
 * costs a hop, and needs no vector.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "bus/virtio_pci_priv.h"

#define VECTOR_ADDR  0xfee00000ull
#define MESSAGE_ADDR 0xfee10000ull
#define MAX_MESSAGES ((0xfef00000u - 0xfee10000u) / 4)
#define ENTRY	     16

static void post32(struct vpci *v, const struct vpci_cap *c, uint64_t at, uint32_t value)
{
	uint8_t le[4];

	tvq_put32(le, value);
	v->fn->ops->post(v->fn, c->region, c->offset + at, le, 4);
}

static uint64_t vector_addr(uint16_t vector)
{
	return VECTOR_ADDR + 4ull * vector;
}

static void mask(struct vpci *v, uint16_t vector, bool on)
{
	post32(v, &v->caps.table, (uint64_t)vector * ENTRY + PCI_MSIX_ENTRY_VECTOR_CTRL,
	       on ? PCI_MSIX_ENTRY_CTRL_MASKBIT : 0);
}

static int take_vector(struct vpci *v, uint16_t *vector, int fd)
{
	int err;

	if (!v->n_free_vectors)
		return -ENOSPC;
	*vector = v->free_vectors[v->n_free_vectors - 1];
	err = v->fn->ops->irq_set(v->fn, *vector, fd);
	if (err)
		return err;
	v->n_free_vectors--;
	mask(v, *vector, false);
	return 0;
}

static void put_vector(struct vpci *v, uint16_t vector)
{
	mask(v, vector, true);
	v->fn->ops->irq_set(v->fn, vector, -1);
	v->free_vectors[v->n_free_vectors++] = vector;
}

/* ---- the function's own ---- */

static void status_came(struct tvq_pci_read *r, int err)
{
	struct vpci *v = tvq_container_of(r, struct vpci, status_read);

	v->asking = false;
	/* A function that is gone tells so by itself. */
	if (v->changed && !err)
		v->changed(v->changed_ctx, r->data[0]);
	if (!v->ask_again || v->gone)
		return;
	v->ask_again = false;
	vpci_ask_status(v);
}

void vpci_ask_status(struct vpci *v)
{
	const struct vpci_cap *c = &v->caps.common;

	if (v->asking) {
		v->ask_again = true;
		return;
	}
	v->status_read.done = status_came;
	v->asking = !v->fn->ops->read_later(v->fn, c->region, c->offset + VIRTIO_PCI_COMMON_STATUS,
					    1, &v->status_read);
}

static void interrupted(struct tvq_watch *w, int events)
{
	struct vpci_irq *irq = tvq_container_of(w, struct vpci_irq, watch);
	struct vpci *v = irq->v;

	if (events < 0) {
		tvq_log(v->bus.os, TVQ_LOG_ERR, "%s: an interrupt cannot be watched any more",
			v->bus.ops->name);
		return;
	}
	for (struct vpci_queue *q = v->queues; q; q = q->next)
		if (q->irq == irq && q->used)
			q->used(q->ctx);
	if (irq == v->config_irq && v->changed && !v->gone)
		vpci_ask_status(v);
}

static struct vpci_irq *irq_new(struct vpci *v)
{
	struct vpci_irq *irq = calloc(1, sizeof(*irq));

	if (!irq)
		return NULL;
	irq->v = v;
	irq->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (irq->fd < 0 || take_vector(v, &irq->vector, irq->fd)) {
		if (irq->fd >= 0)
			close(irq->fd);
		free(irq);
		return NULL;
	}
	irq->watch.fn = interrupted;
	v->watches++;
	tvq_watch_start(v->fn->loop, &irq->watch, irq->fd, POLLIN);
	return irq;
}

struct vpci_irq *vpci_irq_for_queue(struct vpci *v)
{
	struct vpci_irq *irq = irq_new(v);

	return irq ? irq : v->config_irq;
}

int vpci_irq_init(struct vpci *v)
{
	uint16_t n = v->caps.n_vectors;

	v->free_vectors = calloc(n, sizeof(*v->free_vectors));
	v->msi_vectors = calloc(n, sizeof(*v->msi_vectors));
	if (!v->free_vectors || !v->msi_vectors)
		return -ENOMEM;
	for (uint16_t i = n; i-- > 0;) {
		uint64_t at = (uint64_t)i * ENTRY;

		v->free_vectors[v->n_free_vectors++] = i;
		mask(v, i, true);
		post32(v, &v->caps.table, at + PCI_MSIX_ENTRY_LOWER_ADDR, (uint32_t)vector_addr(i));
		post32(v, &v->caps.table, at + PCI_MSIX_ENTRY_UPPER_ADDR,
		       (uint32_t)(vector_addr(i) >> 32));
		post32(v, &v->caps.table, at + PCI_MSIX_ENTRY_DATA, i);
	}
	v->config_irq = irq_new(v);
	return v->config_irq ? 0 : -ENOMEM;
}

static void irq_stopped(struct tvq_watch *w)
{
	struct vpci_irq *irq = tvq_container_of(w, struct vpci_irq, watch);

	irq->v->watches--;
	close(irq->fd);
	free(irq);
}

void vpci_irq_stop(struct vpci *v)
{
	for (struct vpci_queue *q = v->queues; q; q = q->next) {
		if (q->irq && q->irq != v->config_irq)
			tvq_watch_stop(&q->irq->watch, irq_stopped);
		q->irq = NULL;
	}
	if (v->config_irq)
		tvq_watch_stop(&v->config_irq->watch, irq_stopped);
	v->config_irq = NULL;
}

void vpci_irq_fini(struct vpci *v)
{
	for (uint32_t i = 0; i < v->n_msis; i++)
		if (v->msis[i].fd >= 0)
			close(v->msis[i].fd);
	free(v->msis);
	free(v->free_msis);
	free(v->free_vectors);
	free(v->msi_vectors);
}

/* ---- for others' eventfds ---- */

static int take_message(struct vpci *v, int fd, uint64_t *addr, uint32_t *data)
{
	uint32_t cap = v->cap_msis, slot;
	int copy;

	if (!v->n_free_msis) {
		if (v->n_msis == MAX_MESSAGES)
			return -ENOSPC;
		/* The list of free ones has room for all there are, so that freeing never fails. */
		if (vpci_grow(&v->free_msis, &cap, v->n_msis, sizeof(*v->free_msis)) ||
		    vpci_grow(&v->msis, &v->cap_msis, v->n_msis, sizeof(*v->msis)))
			return -ENOMEM;
		v->msis[v->n_msis].fd = -1;
		v->free_msis[v->n_free_msis++] = v->n_msis++;
	}
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (copy < 0)
		return -errno;
	slot = v->free_msis[--v->n_free_msis];
	/* A cookie: a late message of whoever had the slot is not its next owner's. */
	v->msis[slot] = (struct vpci_msi){ .fd = copy, .data = ++v->msi_cookie };
	*addr = MESSAGE_ADDR + 4ull * slot;
	*data = v->msis[slot].data;
	return 0;
}

int vpci_msi_fd(struct tvq_bus *b, int fd, uint64_t *addr, uint32_t *data)
{
	struct vpci *v = vpci_of(b);
	uint16_t vector;
	int err = v->gone ? -ENODEV : take_vector(v, &vector, fd);

	if (err == -ENOSPC)
		return take_message(v, fd, addr, data);
	if (err)
		return err;
	v->msi_vectors[vector] = true;
	*addr = vector_addr(vector);
	*data = vector;
	return 0;
}

static struct vpci_msi *find_message(struct vpci *v, uint64_t addr, uint32_t data)
{
	uint64_t slot = (addr - MESSAGE_ADDR) / 4;

	if (addr < MESSAGE_ADDR || addr % 4 || slot >= v->n_msis || v->msis[slot].fd < 0 ||
	    v->msis[slot].data != data)
		return NULL;
	return &v->msis[slot];
}

void vpci_msi_fd_free(struct tvq_bus *b, uint64_t addr, uint32_t data)
{
	struct vpci *v = vpci_of(b);
	struct vpci_msi *m = find_message(v, addr, data);

	if (m) {
		close(m->fd);
		m->fd = -1;
		v->free_msis[v->n_free_msis++] = (uint32_t)(m - v->msis);
	} else if (data < v->caps.n_vectors && addr == vector_addr((uint16_t)data) &&
		   v->msi_vectors[data]) {
		v->msi_vectors[data] = false;
		put_vector(v, (uint16_t)data);
	}
}

bool vpci_msi_write(struct vpci *v, uint64_t addr, const void *buf, uint64_t len)
{
	struct vpci_msi *m = len == 4 ? find_message(v, addr, tvq_get32(buf)) : NULL;

	if (m)
		tvq_loop_signal(v->fn->loop, m->fd);
	return m != NULL;
}
