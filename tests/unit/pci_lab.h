/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The PCI function with a host, and a bus to it that is made of nothing but accesses to its regions:
 * what libtvq's driver half does to it passes registers. Interrupts are counted; those of the
 * function's own queues reach the driver, too.
 */
#ifndef TVQ_TESTS_PCI_LAB_H
#define TVQ_TESTS_PCI_LAB_H

#include "device_lab.h"

#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>

#include "pci/pci.h"

#define PL_SPACES   4
#define PL_VECTORS  64
#define PL_PAGE	    4096
#define PL_BAR0	    TVQ_PCI_BAR0
#define PL_BAR2	    TVQ_PCI_BAR2
#define PL_CONFIG   TVQ_PCI_CONFIG
#define PL_BAR2_AT  0x380000000000ull
#define PL_NO_QUEUE 0xffff

/* A pair that the host knows. */
struct pl_target {
	struct tvq_msi_target target;
	uint64_t addr;
	uint32_t data;
	unsigned int asked, put;
	atomic_uint sent;
};

struct pl {
	struct dl l; /* first: the bus and the client are this one's */
	struct tvq_pci_host host;
	struct tvq_pci *pci;
	struct tvq_bus bus;
	struct tvq_space *spaces[PL_SPACES];
	atomic_uint irqs[TVQ_PCI_MAX_VECTORS], intx;
	unsigned int resets;
	struct pl_target target;

	/* Of the function's own queues, by vector. */
	void (*used[PL_VECTORS])(void *ctx);
	void *used_ctx[PL_VECTORS];
	atomic_bool irq_came[PL_VECTORS];
	struct tvq_msg irq_msg;
	atomic_bool irq_posted;
};

/* ---- accesses ---- */

static inline uint64_t pl_get(struct pl *w, unsigned int region, uint64_t offset, uint32_t len)
{
	uint64_t v = 0;

	assert_int_equal(tvq_pci_read(w->pci, region, offset, &v, len), 0);
	return v;
}

static inline void pl_put(struct pl *w, unsigned int region, uint64_t offset, uint32_t len,
			  uint64_t v)
{
	assert_int_equal(tvq_pci_write(w->pci, region, offset, &v, len), 0);
}

/* The common configuration is where BAR 0 starts; the capabilities' test knows, too. */
static inline void pl_select(struct pl *w, uint16_t queue)
{
	pl_put(w, PL_BAR0, VIRTIO_PCI_COMMON_Q_SELECT, 2, queue);
}

static inline uint8_t pl_status(struct pl *w)
{
	return (uint8_t)pl_get(w, PL_BAR0, VIRTIO_PCI_COMMON_STATUS, 1);
}

/* The capability of that id, and for virtio's of that type; 0: none. Bounded. */
static inline uint8_t pl_find_cap(struct pl *w, uint8_t id, int type)
{
	uint8_t at = (uint8_t)pl_get(w, PL_CONFIG, PCI_CAPABILITY_LIST, 1);
	unsigned int n;

	for (n = 0; at && n < 48; n++) {
		assert_true(at >= 0x40 && !(at % 4));
		if (pl_get(w, PL_CONFIG, at, 1) == id &&
		    (type < 0 ||
		     (int)pl_get(w, PL_CONFIG, at + VIRTIO_PCI_CAP_CFG_TYPE, 1) == type))
			return at;
		at = (uint8_t)pl_get(w, PL_CONFIG, at + 1, 1);
	}
	assert_int_equal(at, 0);
	return 0;
}

static inline void pl_msix_enable(struct pl *w, bool on)
{
	pl_put(w, PL_CONFIG, pl_find_cap(w, PCI_CAP_ID_MSIX, -1) + PCI_MSIX_FLAGS, 2,
	       on ? PCI_MSIX_FLAGS_ENABLE : 0);
}

/* ---- the host ---- */

static inline struct tvq_space *pl_space(struct tvq_pci_host *h, uint32_t asid)
{
	struct pl *w = (struct pl *)((char *)h - offsetof(struct pl, host));

	if (asid >= PL_SPACES || !w->spaces[asid])
		return NULL;
	tvq_space_get(w->spaces[asid]);
	return w->spaces[asid];
}

static inline void pl_irq(struct tvq_pci_host *h, uint16_t vector, struct tvq_exec *e)
{
	struct pl *w = (struct pl *)((char *)h - offsetof(struct pl, host));

	(void)e;
	if (vector == TVQ_PCI_INTX) {
		atomic_fetch_add(&w->intx, 1);
		return;
	}
	assert_true(vector < tvq_pci_vectors(w->pci));
	atomic_fetch_add(&w->irqs[vector], 1);
	if (vector >= PL_VECTORS)
		return;
	atomic_store(&w->irq_came[vector], true);
	if (!atomic_exchange(&w->irq_posted, true))
		tvq_exec_post(w->l.exec, &w->irq_msg);
}

static inline void pl_irqs_arrived(struct tvq_msg *m)
{
	struct pl *w = (struct pl *)((char *)m - offsetof(struct pl, irq_msg));
	unsigned int i;

	atomic_store(&w->irq_posted, false);
	for (i = 0; i < PL_VECTORS; i++)
		if (atomic_exchange(&w->irq_came[i], false) && w->used[i])
			w->used[i](w->used_ctx[i]);
}

static inline void pl_target_send(struct tvq_msi_target *t, struct tvq_exec *e)
{
	(void)e;
	atomic_fetch_add(&((struct pl_target *)t)->sent, 1);
}

static inline void pl_target_put(struct tvq_msi_target *t)
{
	((struct pl_target *)t)->put++;
}

static inline struct tvq_msi_target *pl_msi(struct tvq_pci_host *h, uint64_t addr, uint32_t data)
{
	struct pl *w = (struct pl *)((char *)h - offsetof(struct pl, host));

	w->target.asked++;
	w->target.addr = addr;
	w->target.data = data;
	return &w->target.target;
}

static inline void pl_was_reset(struct tvq_pci_host *h)
{
	((struct pl *)((char *)h - offsetof(struct pl, host)))->resets++;
}

static const struct tvq_pci_host_ops pl_host_ops = {
	.space = pl_space,
	.irq = pl_irq,
	.msi = pl_msi,
	.was_reset = pl_was_reset,
};

/* ---- the bus: registers ---- */

static inline struct pl *pl_of(struct tvq_bus *b)
{
	return (struct pl *)((char *)b - offsetof(struct pl, bus));
}

static inline uint32_t pl_bus_type(struct tvq_bus *b)
{
	return (uint32_t)pl_get(pl_of(b), PL_CONFIG, PCI_SUBSYSTEM_ID, 2) - 0x40;
}

static inline uint64_t pl_bus_features(struct tvq_bus *b)
{
	struct pl *w = pl_of(b);
	uint64_t f;

	pl_put(w, PL_BAR0, VIRTIO_PCI_COMMON_DFSELECT, 4, 0);
	f = pl_get(w, PL_BAR0, VIRTIO_PCI_COMMON_DF, 4);
	pl_put(w, PL_BAR0, VIRTIO_PCI_COMMON_DFSELECT, 4, 1);
	return f | pl_get(w, PL_BAR0, VIRTIO_PCI_COMMON_DF, 4) << 32;
}

static inline int pl_bus_set_features(struct tvq_bus *b, uint64_t f)
{
	struct pl *w = pl_of(b);

	pl_put(w, PL_BAR0, VIRTIO_PCI_COMMON_GFSELECT, 4, 0);
	pl_put(w, PL_BAR0, VIRTIO_PCI_COMMON_GF, 4, f & UINT32_MAX);
	pl_put(w, PL_BAR0, VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
	pl_put(w, PL_BAR0, VIRTIO_PCI_COMMON_GF, 4, f >> 32);
	return 0;
}

static inline uint8_t pl_bus_status(struct tvq_bus *b)
{
	return pl_status(pl_of(b));
}

static inline int pl_bus_set_status(struct tvq_bus *b, uint8_t status)
{
	pl_put(pl_of(b), PL_BAR0, VIRTIO_PCI_COMMON_STATUS, 1, status);
	return 0;
}

static inline uint16_t pl_bus_queue_max(struct tvq_bus *b, uint16_t index)
{
	pl_select(pl_of(b), index);
	return (uint16_t)pl_get(pl_of(b), PL_BAR0, VIRTIO_PCI_COMMON_Q_SIZE, 2);
}

/* Vector: the index plus one; 0 is left to the configuration. */
static inline int pl_bus_queue_setup(struct tvq_bus *b, const struct tvq_bus_queue *q,
				     void (*used)(void *ctx), void *ctx)
{
	struct pl *w = pl_of(b);
	uint16_t vector = q->index + 1;

	pl_select(w, q->index);
	pl_put(w, PL_BAR0, VIRTIO_PCI_COMMON_Q_SIZE, 2, q->size);
	pl_put(w, PL_BAR0, VIRTIO_PCI_COMMON_Q_DESCLO, 8, q->desc);
	pl_put(w, PL_BAR0, VIRTIO_PCI_COMMON_Q_AVAILLO, 8, q->driver);
	pl_put(w, PL_BAR0, VIRTIO_PCI_COMMON_Q_USEDLO, 4, q->device & UINT32_MAX);
	pl_put(w, PL_BAR0, VIRTIO_PCI_COMMON_Q_USEDHI, 4, q->device >> 32);
	pl_put(w, PL_BAR0, VIRTIO_PCI_COMMON_Q_MSIX, 2, vector);
	assert_int_equal(pl_get(w, PL_BAR0, VIRTIO_PCI_COMMON_Q_MSIX, 2), vector);
	w->used[vector] = used;
	w->used_ctx[vector] = ctx;
	pl_put(w, PL_BAR0, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	return pl_get(w, PL_BAR0, VIRTIO_PCI_COMMON_Q_ENABLE, 2) ? 0 : -EINVAL;
}

static inline void pl_bus_queue_notify(struct tvq_bus *b, uint16_t index)
{
	pl_select(pl_of(b), index);
	pl_put(pl_of(b), PL_BAR2, 4 * pl_get(pl_of(b), PL_BAR0, VIRTIO_PCI_COMMON_Q_NOFF, 2), 2,
	       index);
}

/* TQ-102: an area is an offset from the notify capability's structure, where BAR 2 starts. */
static inline void pl_bus_notify(struct tvq_bus *b, uint64_t area, uint32_t value,
				 unsigned int width)
{
	pl_put(pl_of(b), PL_BAR2, area, width, value);
}

static inline int pl_bus_config_read(struct tvq_bus *b, uint32_t offset, void *buf, uint32_t len)
{
	uint8_t cap = pl_find_cap(pl_of(b), PCI_CAP_ID_VNDR, VIRTIO_PCI_CAP_DEVICE_CFG);

	offset += (uint32_t)pl_get(pl_of(b), PL_CONFIG, cap + VIRTIO_PCI_CAP_OFFSET, 4);
	return tvq_pci_read(pl_of(b)->pci, PL_BAR0, offset, buf, len);
}

/* ---- the bus: memory ---- */

static inline void *pl_bus_dma_alloc(struct tvq_bus *b, size_t size, uint64_t *iova)
{
	struct tvq_region r = { .perm = TVQ_DMA_READ | TVQ_DMA_WRITE,
				.len = (size + 4095) & ~(size_t)4095 };

	assert_int_equal(tvq_mapping_anon(r.len, &r.mapping, &r.va), 0);
	r.iova = (uintptr_t)r.va;
	assert_int_equal(tvq_space_map(pl_of(b)->spaces[0], &r, 1), 0);
	*iova = r.iova;
	return r.va;
}

static inline void pl_bus_dma_free(struct tvq_bus *b, void *p, size_t size)
{
	if (p)
		assert_int_equal(tvq_space_unmap(pl_of(b)->spaces[0], (uintptr_t)p,
						 (size + 4095) & ~(size_t)4095, NULL),
				 0);
}

static inline int pl_bus_space_new(struct tvq_bus *b, uint32_t *asid)
{
	struct pl *w = pl_of(b);

	for (*asid = 1; *asid < PL_SPACES; ++*asid) {
		if (w->spaces[*asid])
			continue;
		w->spaces[*asid] = tvq_space_new(b->os, *asid);
		assert_non_null(w->spaces[*asid]);
		return 0;
	}
	return -ENOSPC;
}

static inline void pl_bus_space_free(struct tvq_bus *b, uint32_t asid)
{
	tvq_space_put(pl_of(b)->spaces[asid]);
	pl_of(b)->spaces[asid] = NULL;
}

static inline int pl_bus_map(struct tvq_bus *b, uint32_t asid, const struct tvq_bus_mem *m,
			     size_t n)
{
	struct tvq_region r = { .iova = m->iova, .len = m->len, .perm = m->perm };

	assert_int_equal(n, 1);
	assert_int_equal(tvq_mapping_fd(m->fd, m->offset, m->len, true, &r.mapping, &r.va), 0);
	return tvq_space_map(pl_of(b)->spaces[asid], &r, 1);
}

/* ---- up and down ---- */

struct pl_done {
	struct tvq_pci_done done;
	bool told;
};

static inline void pl_told(struct tvq_pci_done *d)
{
	((struct pl_done *)d)->told = true;
}

static inline void pl_start_reset(struct pl *w, struct pl_done *d)
{
	*d = (struct pl_done){ .done.fn = pl_told };
	tvq_pci_reset(w->pci, &d->done);
}

static inline void pl_reset(struct pl *w)
{
	struct pl_done d;

	pl_start_reset(w, &d);
	dl_until(&w->l, d.told);
}

static inline void pl_bus_free(struct tvq_bus *b)
{
	struct pl *w = pl_of(b);
	uint32_t i;

	pl_reset(w);
	tvq_pci_free(w->pci);
	dl_turns(&w->l, 2);
	for (i = 0; i < PL_SPACES; i++)
		if (w->spaces[i])
			tvq_space_put(w->spaces[i]);
}

static const struct tvq_bus_ops pl_bus_ops = {
	.name = "pci lab",
	.device_type = pl_bus_type,
	.features = pl_bus_features,
	.set_features = pl_bus_set_features,
	.status = pl_bus_status,
	.set_status = pl_bus_set_status,
	.config_read = pl_bus_config_read,
	.queue_max = pl_bus_queue_max,
	.queue_setup = pl_bus_queue_setup,
	.queue_notify = pl_bus_queue_notify,
	.dma_alloc = pl_bus_dma_alloc,
	.dma_free = pl_bus_dma_free,
	.notify = pl_bus_notify,
	.space_new = pl_bus_space_new,
	.space_free = pl_bus_space_free,
	.map = pl_bus_map,
	.free = pl_bus_free,
};

/* The function, not driven yet. cfg NULL: the defaults, with MSI page. */
static inline void pl_up(struct pl *w, unsigned int workers, const struct tvq_pci_cfg *cfg)
{
	struct tvq_pci_cfg c = { .msi_page = true };
	int err;

	memset(w, 0, sizeof(*w));
	if (cfg)
		c = *cfg;
	dl_prepare(&w->l, workers, &c.mgmt);
	w->irq_msg.fn = pl_irqs_arrived;
	w->host.ops = &pl_host_ops;
	w->target.target = (struct tvq_msi_target){ pl_target_send, pl_target_put };
	w->spaces[0] = tvq_space_new(&tvq_os_host, 0);
	assert_non_null(w->spaces[0]);
	w->pci = tvq_pci_new(&c, &w->host, &err);
	assert_non_null(w->pci);
	w->bus = (struct tvq_bus){ .ops = &pl_bus_ops, .exec = w->l.exec, .os = &tvq_os_host };
	w->l.bus = &w->bus;
}

static inline void pl_down(struct pl *w)
{
	if (w->l.client)
		tvq_client_free(w->l.client);
	w->bus.ops->free(&w->bus);
	dl_dismantle(&w->l);
}

/* A driver has given BARs addresses, turned MSI-X on, and runs the transportq. */
static inline void pl_drive(struct pl *w, const struct tvq_client_cfg *cfg)
{
	int err;

	pl_put(w, PL_CONFIG, PCI_BASE_ADDRESS_0, 4, 0xfe000000);
	pl_put(w, PL_CONFIG, PCI_BASE_ADDRESS_2, 8, PL_BAR2_AT);
	pl_put(w, PL_CONFIG, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	pl_msix_enable(w, true);
	w->l.client = tvq_client_new(&w->bus, cfg, &err);
	assert_non_null(w->l.client);
}

#endif
