// SPDX-License-Identifier: BSD-3-Clause
/*
 * The function as a whole: its making, what an access to a region reaches, and resets.
 *
 * There are two resets. That of the virtio device (status 0) takes back virtio's registers and
 * destroys the managed devices; that of the function takes back configuration space and MSI-X as
 * well, at once, and resets the device. Both end in device_reset(), when everything has stopped;
 * who waits is told a little later, when nothing of this turn knows the device any more, so that
 * he may free it.
 */
#include "pci/pci_priv.h"

/* Room for 4,096 devices at least; and the notify capability tells 32 bits of length. */
#define BAR2_MIN (UINT64_C(1) << 25)
#define BAR2_MAX (UINT64_C(1) << 32)

/* ---- resets ---- */

static void tell_reset(struct tvq_msg *m)
{
	struct tvq_pci *p = tvq_container_of(m, struct tvq_pci, reset_msg);
	struct tvq_pci_done *done = p->waiters, *next;

	/* Without a driver a reset has nothing to wait for; what the owner asked of the switch may
	 * be on its worker still. */
	if (tvq_root_switch_busy(p->dev->root)) {
		tvq_exec_post(p->control, &p->reset_msg);
		return;
	}
	p->reset_posted = false;
	p->waiters = NULL;
	p->waiters_tail = &p->waiters;
	for (; done; done = next) {
		next = done->next;
		done->fn(done); /* the last one may free the function */
	}
}

static void device_reset(struct tvq_device *dev)
{
	struct tvq_pci *p = pci_of(dev->root->platform);
	bool tell_host = p->reset_by_register;

	pci_regs_init(p);
	pci_irq_update(p);
	p->reset_by_register = false;
	/* At once: the driver may go on as soon as it has read that the status is 0. */
	if (tell_host && p->host->ops->was_reset)
		p->host->ops->was_reset(p->host);
	if (p->reset_posted || !p->waiters)
		return;
	p->reset_posted = true;
	tvq_exec_late(p->control, &p->reset_msg);
}

static void function_reset(struct tvq_pci *p)
{
	pci_config_init(p);
	pci_msix_init(p);
	pci_irq_update(p);
	tvq_device_set_status(p->dev, 0);
}

void tvq_pci_reset(struct tvq_pci *p, struct tvq_pci_done *done)
{
	done->next = NULL;
	*p->waiters_tail = done;
	p->waiters_tail = &done->next;
	function_reset(p);
}

void pci_reset_by_register(struct tvq_pci *p)
{
	p->reset_by_register = true;
	function_reset(p);
}

/* ---- regions ---- */

uint64_t tvq_pci_region_size(const struct tvq_pci *p, unsigned int region)
{
	switch (region) {
	case TVQ_PCI_BAR0:
		return PCI_BAR0_SIZE;
	case TVQ_PCI_BAR2:
		return p->bar2_size;
	case TVQ_PCI_CONFIG:
		return PCI_CONFIG_SIZE;
	default:
		return 0;
	}
}

/* Wholly within [start, start + size). */
static bool within(uint64_t offset, uint32_t len, uint64_t start, uint64_t size)
{
	return offset >= start && offset - start < size && len <= size - (offset - start);
}

static void bar0_read(struct tvq_pci *p, uint32_t offset, uint8_t *buf, uint32_t len)
{
	if (within(offset, len, PCI_BAR0_COMMON, PCI_COMMON_LEN))
		pci_common_read(p, offset - PCI_BAR0_COMMON, buf, len);
	else if (offset == PCI_BAR0_ISR && len == 1)
		*buf = pci_isr_read(p);
	else if (within(offset, len, PCI_BAR0_DEVICE, p->dev->type->config_len))
		tvq_device_config_get(p->dev, offset - PCI_BAR0_DEVICE, len, buf);
	else if (within(offset, len, PCI_BAR0_PBA, PCI_BAR0_TABLE - PCI_BAR0_PBA))
		pci_pba_read(p, offset - PCI_BAR0_PBA, buf, len);
	else if (within(offset, len, PCI_BAR0_TABLE, PCI_BAR0_SIZE - PCI_BAR0_TABLE))
		pci_table_read(p, offset - PCI_BAR0_TABLE, buf, len);
}

static void bar0_write(struct tvq_pci *p, uint32_t offset, const uint8_t *buf, uint32_t len)
{
	if (within(offset, len, PCI_BAR0_COMMON, PCI_COMMON_LEN))
		pci_common_write(p, offset - PCI_BAR0_COMMON, buf, len);
	else if (within(offset, len, PCI_BAR0_DEVICE, p->dev->type->config_len))
		tvq_device_config_set(p->dev, offset - PCI_BAR0_DEVICE, len, buf);
	else if (within(offset, len, PCI_BAR0_TABLE, PCI_BAR0_SIZE - PCI_BAR0_TABLE))
		pci_table_write(p, offset - PCI_BAR0_TABLE, buf, len);
}

/* A notification of one of the function's own queues, at its place in page 0. */
static void own_notify(struct tvq_pci *p, uint32_t offset, uint32_t value, uint32_t len)
{
	uint16_t index = (uint16_t)value;
	struct tvq_vq *vq = tvq_device_vq(p->dev, index);

	if (vq && offset == index * PCI_NOTIFY_MULTIPLIER && len == tvq_device_notify_width(p->dev))
		tvq_vq_notify(vq);
}

static void bar2_write(struct tvq_pci *p, uint64_t offset, const uint8_t *buf, uint32_t len)
{
	uint32_t value;

	if (len != 2 && len != 4)
		return;
	value = len == 2 ? tvq_get16(buf) : tvq_get32(buf);
	if (offset / PCI_PAGE >= PCI_PAGE_AREAS)
		tvq_root_notify(p->dev->root, offset, value, len);
	else if (offset / PCI_PAGE == PCI_PAGE_OWN)
		own_notify(p, (uint32_t)offset, value, len);
	else if (len == 4 && !(offset % 4))
		pci_msi_page_write(p, value);
}

int tvq_pci_read(struct tvq_pci *p, unsigned int region, uint64_t offset, void *buf, uint32_t len)
{
	if (!len || !within(offset, len, 0, tvq_pci_region_size(p, region)))
		return -EINVAL;
	memset(buf, 0, len);
	if (region == TVQ_PCI_BAR0)
		bar0_read(p, (uint32_t)offset, buf, len);
	else if (region == TVQ_PCI_CONFIG)
		pci_config_read(p, (uint32_t)offset, buf, len);
	return 0;
}

int tvq_pci_write(struct tvq_pci *p, unsigned int region, uint64_t offset, const void *buf,
		  uint32_t len)
{
	if (!len || !within(offset, len, 0, tvq_pci_region_size(p, region)))
		return -EINVAL;
	if (region == TVQ_PCI_BAR0)
		bar0_write(p, (uint32_t)offset, buf, len);
	else if (region == TVQ_PCI_BAR2)
		bar2_write(p, offset, buf, len);
	else
		pci_config_write(p, (uint32_t)offset, buf, len);
	return 0;
}

/* ---- life ---- */

static struct tvq_space *platform_space(struct tvq_platform *platform, uint32_t asid)
{
	struct tvq_pci_host *host = pci_of(platform)->host;

	return host->ops->space(host, asid);
}

static const struct tvq_platform_ops platform_ops = {
	.space = platform_space,
	.msi = pci_msi,
	.own_irq = pci_own_irq,
};

/* What depends on the device: BAR 2, and what its queues and vectors need. */
static int furnish(struct tvq_pci *p, uint16_t n_vectors)
{
	uint64_t pages = (uint64_t)p->dev->root->cfg.max_devices + PCI_PAGE_AREAS;

	if (!p->dev->space || pci_num_queues(p) > PCI_PAGE / PCI_NOTIFY_MULTIPLIER ||
	    n_vectors > TVQ_PCI_MAX_VECTORS)
		return -EINVAL;
	p->bar2_size = BAR2_MIN;
	while (p->bar2_size < pages * PCI_PAGE)
		p->bar2_size *= 2;
	if (p->bar2_size > BAR2_MAX)
		return -EINVAL;
	p->n_vectors = n_vectors ? n_vectors : 64;
	p->vectors = p->os->alloc(p->n_vectors * sizeof(*p->vectors));
	p->n_queues = p->dev->n_vqs;
	p->queues = p->os->alloc(p->n_queues * sizeof(*p->queues));
	return p->vectors && p->queues ? 0 : -ENOMEM;
}

/* Takes what is half made, too. */
void tvq_pci_free(struct tvq_pci *p)
{
	const struct tvq_os *os = p->os;

	if (p->dev)
		tvq_root_free(p->dev);
	os->free(p->vectors, p->n_vectors * sizeof(*p->vectors));
	os->free(p->queues, p->n_queues * sizeof(*p->queues));
	os->free(p, sizeof(*p));
}

struct tvq_pci *tvq_pci_new(const struct tvq_pci_cfg *cfg, struct tvq_pci_host *host, int *err)
{
	const struct tvq_os *os = cfg->mgmt.os;
	struct tvq_pci *p;

	*err = -EINVAL;
	if (!os)
		return NULL;
	*err = -ENOMEM;
	p = os->alloc(sizeof(*p));
	if (!p)
		return NULL;
	p->os = os;
	p->host = host;
	p->control = cfg->mgmt.control;
	p->msi_page = cfg->msi_page;
	p->waiters_tail = &p->waiters;
	p->reset_msg.fn = tell_reset;
	p->platform.ops = &platform_ops;
	p->platform.area_base = PCI_PAGE_AREAS * PCI_PAGE;
	p->dev = tvq_root_new(&cfg->mgmt, &p->platform, err);
	if (p->dev)
		*err = furnish(p, cfg->n_vectors);
	if (!p->dev || *err) {
		tvq_pci_free(p);
		return NULL;
	}
	p->dev->reset_done = device_reset;
	pci_config_make(p, cfg->device_id);
	pci_config_init(p);
	pci_msix_init(p);
	pci_regs_init(p);
	return p;
}

struct tvq_device *tvq_pci_device(struct tvq_pci *p)
{
	return p->dev;
}

uint16_t tvq_pci_vectors(const struct tvq_pci *p)
{
	return p->n_vectors;
}
