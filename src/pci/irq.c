// SPDX-License-Identifier: BSD-3-Clause
/*
 * Interrupts: MSI-X with its table and pending bits, the ISR register and the line, and where the
 * MSIs of managed devices go.
 *
 * Any executor raises vectors, and the control executor masks them at the same time. A vector's
 * masks (its own and the function's) and its pending bit are one word, and both change it by
 * compare and exchange: a vector is marked pending only while it is masked, and whoever takes the
 * last mask away takes the mark with it and raises the vector.
 */
#include "pci/pci_priv.h"

/* ---- vectors ---- */

static uint16_t vector_number(const struct pci_vector *v)
{
	return (uint16_t)(v - v->pci->vectors);
}

static void vector_mask(struct pci_vector *v, unsigned int mask)
{
	atomic_fetch_or(&v->state, mask);
}

static void vector_unmask(struct pci_vector *v, unsigned int mask)
{
	unsigned int old = atomic_load(&v->state), now;

	do {
		now = old & ~mask;
		if (!(now & PCI_V_MASKS))
			now = 0;
	} while (!atomic_compare_exchange_weak(&v->state, &old, now));
	if (old & ~now & PCI_V_PENDING)
		v->pci->host->ops->irq(v->pci->host, vector_number(v), v->pci->control);
}

void pci_raise(struct pci_vector *v, struct tvq_exec *e)
{
	unsigned int old = atomic_load(&v->state);

	while (__builtin_expect(old & PCI_V_MASKS, 0))
		if (atomic_compare_exchange_weak(&v->state, &old, old | PCI_V_PENDING))
			return;
	v->pci->host->ops->irq(v->pci->host, vector_number(v), e);
}

static void vector_send(struct tvq_msi_target *t, struct tvq_exec *e)
{
	pci_raise(tvq_container_of(t, struct pci_vector, target), e);
}

/* A vector stays for as long as the function does. */
static void vector_put(struct tvq_msi_target *t)
{
	(void)t;
}

void pci_msix_init(struct tvq_pci *p)
{
	for (uint16_t i = 0; i < p->n_vectors; i++) {
		struct pci_vector *v = &p->vectors[i];

		v->target.send = vector_send;
		v->target.put = vector_put;
		v->pci = p;
		v->addr = 0;
		v->data = 0;
		v->ctrl = PCI_MSIX_ENTRY_CTRL_MASKBIT;
		v->written = false;
		atomic_store(&v->state, 0);
	}
}

/* ---- table and pending bits: accesses of four or eight bytes ---- */

static bool aligned_access(uint32_t offset, uint32_t len)
{
	return (len == 4 || len == 8) && !(offset % len);
}

static uint32_t entry_read(const struct pci_vector *v, uint32_t field)
{
	switch (field) {
	case PCI_MSIX_ENTRY_LOWER_ADDR:
		return (uint32_t)v->addr;
	case PCI_MSIX_ENTRY_UPPER_ADDR:
		return (uint32_t)(v->addr >> 32);
	case PCI_MSIX_ENTRY_DATA:
		return v->data;
	default:
		return v->ctrl;
	}
}

static void entry_write(struct pci_vector *v, uint32_t field, uint32_t value)
{
	switch (field) {
	case PCI_MSIX_ENTRY_LOWER_ADDR:
		v->addr = (v->addr & ~UINT64_C(0xffffffff)) | (value & ~3u);
		break;
	case PCI_MSIX_ENTRY_UPPER_ADDR:
		v->addr = (v->addr & 0xffffffff) | (uint64_t)value << 32;
		break;
	case PCI_MSIX_ENTRY_DATA:
		v->data = value;
		break;
	default:
		v->ctrl = value & PCI_MSIX_ENTRY_CTRL_MASKBIT;
		break;
	}
	v->written = true;
	if (v->ctrl)
		vector_mask(v, PCI_V_MASKED);
	else
		vector_unmask(v, PCI_V_MASKED);
}

void pci_table_read(struct tvq_pci *p, uint32_t offset, uint8_t *buf, uint32_t len)
{
	if (!aligned_access(offset, len) || offset / PCI_MSIX_ENTRY_SIZE >= p->n_vectors)
		return;
	for (uint32_t i = 0; i < len; i += 4)
		tvq_put32(buf + i, entry_read(&p->vectors[offset / PCI_MSIX_ENTRY_SIZE],
					      (offset + i) % PCI_MSIX_ENTRY_SIZE));
}

void pci_table_write(struct tvq_pci *p, uint32_t offset, const uint8_t *buf, uint32_t len)
{
	if (!aligned_access(offset, len) || offset / PCI_MSIX_ENTRY_SIZE >= p->n_vectors)
		return;
	for (uint32_t i = 0; i < len; i += 4)
		entry_write(&p->vectors[offset / PCI_MSIX_ENTRY_SIZE],
			    (offset + i) % PCI_MSIX_ENTRY_SIZE, tvq_get32(buf + i));
}

void pci_pba_read(struct tvq_pci *p, uint32_t offset, uint8_t *buf, uint32_t len)
{
	if (!aligned_access(offset, len))
		return;
	for (uint32_t i = 0; i < 8 * len; i++) {
		uint32_t vector = 8 * offset + i;

		if (vector < p->n_vectors && atomic_load(&p->vectors[vector].state) & PCI_V_PENDING)
			buf[i / 8] |= (uint8_t)(1 << i % 8);
	}
}

/* ---- the line, and what follows from configuration space ---- */

bool pci_line(const struct tvq_pci *p)
{
	return p->regs.isr && !pci_msix_enabled(p);
}

bool tvq_pci_intx(const struct tvq_pci *p)
{
	return pci_line(p) && !pci_intx_disabled(p);
}

void pci_irq_update(struct tvq_pci *p)
{
	bool intx = tvq_pci_intx(p), masked = pci_msix_all_masked(p);

	if (intx && !p->intx)
		p->host->ops->irq(p->host, TVQ_PCI_INTX, p->control);
	p->intx = intx;
	if (masked == p->all_masked)
		return;
	p->all_masked = masked;
	for (uint16_t i = 0; i < p->n_vectors; i++) {
		if (masked)
			vector_mask(&p->vectors[i], PCI_V_ALL_MASKED);
		else
			vector_unmask(&p->vectors[i], PCI_V_ALL_MASKED);
	}
}

/* Reading acknowledges. */
uint8_t pci_isr_read(struct tvq_pci *p)
{
	uint8_t isr = p->regs.isr;

	p->regs.isr = 0;
	pci_irq_update(p);
	return isr;
}

/* ---- the device's own interrupts ---- */

/* virtio 1.4, 4.1.4.5: the bit of the configuration is set in any case, that of queues without
 * MSI-X only. */
void pci_own_irq(struct tvq_platform *platform, uint16_t index)
{
	struct tvq_pci *p = pci_of(platform);
	const struct tvq_vq *vq = index == TVQ_CONFIG_IRQ ? NULL : tvq_device_vq(p->dev, index);
	uint16_t vector;

	if (index == TVQ_CONFIG_IRQ) {
		p->regs.isr |= VIRTIO_PCI_ISR_CONFIG;
		vector = p->regs.config_vector;
	} else if (vq) {
		if (!pci_msix_enabled(p))
			p->regs.isr |= 1;
		vector = p->queues[vq - p->dev->vq].vector;
	} else {
		return;
	}
	if (pci_msix_enabled(p) && vector != VIRTIO_MSI_NO_VECTOR)
		pci_raise(&p->vectors[vector], p->control);
	pci_irq_update(p);
}

/* ---- where MSIs of managed devices go ---- */

static void nowhere_send(struct tvq_msi_target *t, struct tvq_exec *e)
{
	(void)t;
	(void)e;
}

/* A number that no vector has. */
static struct tvq_msi_target nowhere = { .send = nowhere_send, .put = vector_put };

static bool in_msi_page(const struct tvq_pci *p, uint64_t addr)
{
	uint64_t bar2 = pci_bar2_addr(p);

	return p->msi_page && bar2 && addr - bar2 - PCI_PAGE_MSI * PCI_PAGE < PCI_PAGE;
}

static struct tvq_msi_target *find_entry(struct tvq_pci *p, uint64_t addr, uint32_t data)
{
	for (uint16_t i = 0; i < p->n_vectors; i++) {
		struct pci_vector *v = &p->vectors[i];

		if (v->written && v->addr == addr && v->data == data)
			return &v->target;
	}
	return NULL;
}

static bool is_mapped(const struct tvq_pci *p, uint64_t addr)
{
	struct tvq_dma_view view;

	tvq_dma_view_init(&view);
	tvq_dma_view_refresh(&view, p->dev->space);
	return tvq_dma_ptr(&view, addr, 4, TVQ_DMA_WRITE) != NULL;
}

struct tvq_msi_target *pci_msi(struct tvq_platform *platform, uint64_t addr, uint32_t data)
{
	struct tvq_pci *p = pci_of(platform);
	struct tvq_msi_target *entry;

	if (in_msi_page(p, addr))
		return data < p->n_vectors ? &p->vectors[data].target : &nowhere;
	entry = find_entry(p, addr, data);
	if (entry)
		return entry;
	if (is_mapped(p, addr) || !p->host->ops->msi)
		return NULL;
	return p->host->ops->msi(p->host, addr, data);
}

void pci_msi_page_write(struct tvq_pci *p, uint32_t data)
{
	if (p->msi_page && data < p->n_vectors)
		pci_raise(&p->vectors[data], p->control);
}
