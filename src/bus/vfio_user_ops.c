/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A PCI function behind a vfio-user socket: the table of functions that the virtio-pci bus uses.
 *
 * Each is a message. Those that wait have their request on the stack; those that do not have it in
 * memory of their own, which their reply frees.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <tvq/dma.h>

#include "bus/vfio_user.h"
#include "device/util.h"

static int vuc_read(struct tvq_pci_fn *f, unsigned int region, uint64_t offset, void *buf,
		    uint32_t len)
{
	struct vuc *c = vuc_of(f);
	struct vuc_request r = {
		.access = { .offset = offset, .region = region, .count = len },
		.reply = buf,
		.len = len,
	};
	int err = vuc_send(c, &r, VU_REGION_READ, &r.access, sizeof(r.access), NULL, 0, -1);

	return err ? err : vuc_wait(c, &r);
}

struct later {
	struct vuc_request r;
	struct tvq_pci_read *read;
};

static void read_came(struct vuc_request *r)
{
	struct later *l = tvq_container_of(r, struct later, r);
	struct tvq_pci_read *read = l->read;
	int err = r->err;

	free(l);
	read->done(read, err);
}

static int vuc_read_later(struct tvq_pci_fn *f, unsigned int region, uint64_t offset, uint32_t len,
			  struct tvq_pci_read *read)
{
	struct later *l = calloc(1, sizeof(*l));
	int err;

	if (!l)
		return -ENOMEM;
	l->read = read;
	l->r.done = read_came;
	l->r.access = (struct vu_region_rw){ .offset = offset, .region = region, .count = len };
	l->r.reply = read->data;
	l->r.len = len;
	err = vuc_send(vuc_of(f), &l->r, VU_REGION_READ, &l->r.access, sizeof(l->r.access), NULL, 0,
		       -1);
	if (err)
		free(l);
	return err;
}

static void vuc_post(struct tvq_pci_fn *f, unsigned int region, uint64_t offset, const void *buf,
		     uint32_t len)
{
	struct vu_region_rw rw = { .offset = offset, .region = region, .count = len };

	vuc_send(vuc_of(f), NULL, VU_REGION_WRITE, &rw, sizeof(rw), buf, len, -1);
}

static bool vuc_is_clogged(struct tvq_pci_fn *f)
{
	return vuc_of(f)->unsent != NULL;
}

/* ---- memory ---- */

static int send_map(struct vuc *c, struct vuc_request *r, const struct tvq_bus_mem *m)
{
	struct vu_dma_map map = {
		.argsz = sizeof(map),
		.flags = (m->perm & TVQ_DMA_READ ? VU_DMA_READABLE : 0) |
			 (m->perm & TVQ_DMA_WRITE ? VU_DMA_WRITABLE : 0),
		.offset = m->fd < 0 ? 0 : m->offset,
		.addr = m->iova,
		.size = m->len,
	};

	return vuc_send(c, r, VU_DMA_MAP, &map, sizeof(map), NULL, 0, m->fd);
}

/* All are sent before the first is waited for. */
static int vuc_dma_map(struct tvq_pci_fn *f, const struct tvq_bus_mem *m, size_t n)
{
	struct vuc *c = vuc_of(f);
	struct vuc_request *r = calloc(n ? n : 1, sizeof(*r));
	size_t sent;
	int err = 0;

	if (!r)
		return -ENOMEM;
	for (sent = 0; sent < n && !err; sent++) {
		err = send_map(c, &r[sent], &m[sent]);
		if (err)
			break;
	}
	for (size_t i = 0; i < sent; i++) {
		int e = vuc_block(c, &r[i]);

		err = err ? err : e;
	}
	for (size_t i = 0; i < sent && err && !vuc_is_gone(c); i++)
		if (!r[i].err)
			f->ops->dma_unmap(f, m[i].iova, m[i].len, NULL);
	free(r);
	return err;
}

struct unmap {
	struct vuc_request r;
	struct vuc *c;
	uint64_t addr;
	struct tvq_done *done;
};

static void unmapped(struct vuc_request *r)
{
	struct unmap *u = tvq_container_of(r, struct unmap, r);
	struct tvq_done *done = u->done;
	int err = r->err;

	/* Whoever gets the address space next could reach another's memory. */
	if (err)
		vuc_gone(u->c, "it does not unmap what is at %#llx: %s",
			 (unsigned long long)u->addr, strerror(-err));
	free(u);
	if (done)
		done->fn(done, err);
}

static int vuc_dma_unmap(struct tvq_pci_fn *f, uint64_t addr, uint64_t len, struct tvq_done *done)
{
	struct vu_dma_unmap body = {
		/* The reply may hold the structure again. */
		.argsz = sizeof(body),
		.addr = addr,
		.size = len,
	};
	struct unmap *u = calloc(1, sizeof(*u));
	int err;

	if (!u)
		return -ENOMEM;
	u->c = vuc_of(f);
	u->addr = addr;
	u->done = done;
	u->r.done = unmapped;
	err = vuc_send(u->c, &u->r, VU_DMA_UNMAP, &body, sizeof(body), NULL, 0, -1);
	if (err)
		free(u);
	return err;
}

/* ---- interrupts ---- */

struct irq_set {
	struct vuc_request r;
	struct vuc *c;
	uint16_t vector;
};

static void irq_was_set(struct vuc_request *r)
{
	struct irq_set *s = tvq_container_of(r, struct irq_set, r);

	/* An interrupt that never comes is worse than a device that is gone. */
	if (r->err && !vuc_is_gone(s->c))
		vuc_gone(s->c, "it refuses an eventfd for MSI-X vector %u: %s", s->vector,
			 strerror(-r->err));
	free(s);
}

static int vuc_irq_set(struct tvq_pci_fn *f, uint16_t vector, int fd)
{
	struct vu_irq_set body = {
		.argsz = sizeof(body),
		.flags = VU_SET_DATA_EVENTFD | VU_SET_ACTION_TRIGGER,
		.index = VU_IRQ_MSIX,
		.start = vector,
		.count = 1,
	};
	struct irq_set *s = calloc(1, sizeof(*s));
	int err;

	if (!s)
		return -ENOMEM;
	s->c = vuc_of(f);
	s->vector = vector;
	s->r.done = irq_was_set;
	err = vuc_send(s->c, &s->r, VU_DEVICE_SET_IRQS, &body, sizeof(body), NULL, 0, fd);
	if (err)
		free(s);
	return err;
}

static void vuc_fail(struct tvq_pci_fn *f, const char *why)
{
	vuc_gone(vuc_of(f), "%s", why);
}

static void vuc_free(struct tvq_pci_fn *f)
{
	vuc_io_free(vuc_of(f));
}

const struct tvq_pci_fn_ops vuc_ops = {
	.name = "vfio-user",
	.read = vuc_read,
	.read_later = vuc_read_later,
	.post = vuc_post,
	.is_clogged = vuc_is_clogged,
	.dma_map = vuc_dma_map,
	.dma_unmap = vuc_dma_unmap,
	.irq_set = vuc_irq_set,
	.fail = vuc_fail,
	.free = vuc_free,
};
