// SPDX-License-Identifier: BSD-3-Clause
/*
 * Configuration space: a type 0 header, and capabilities.
 *
 * It is made once (config_start) together with a mask of the bits that software can change. A write
 * changes these bits and no others, whatever its length and place; what a register does beyond
 * being remembered follows the write. A BAR whose low bits cannot be changed answers a write of all
 * ones with its size by itself.
 *
 * Where the capabilities are:
 *   40  PCI Express        88  common       ac  ISR       cc  PCI access
 *   7c  MSI-X              98  notify       bc  device    e0  vendor data (MSI page), or nothing
 */
#include "pci/pci_priv.h"

#include <virtio_transportq.h>

enum {
	AT_EXPRESS = 0x40,
	AT_MSIX = 0x7c,
	AT_COMMON = 0x88,
	AT_NOTIFY = 0x98,
	AT_ISR = 0xac,
	AT_DEVICE = 0xbc,
	AT_ACCESS = 0xcc,
	AT_ACCESS_DATA = AT_ACCESS + 16,
	AT_VENDOR = 0xe0,
};

#define FITS(at, bytes, next) _Static_assert((at) + (bytes) <= (next), "capabilities overlap")
FITS(AT_EXPRESS, PCI_EXP_SLTSTA2 + 2, AT_MSIX);
FITS(AT_MSIX, PCI_CAP_MSIX_SIZEOF, AT_COMMON);
FITS(AT_COMMON, sizeof(struct virtio_pci_cap), AT_NOTIFY);
FITS(AT_NOTIFY, sizeof(struct virtio_pci_notify_cap), AT_ISR);
FITS(AT_ISR, sizeof(struct virtio_pci_cap), AT_DEVICE);
FITS(AT_DEVICE, sizeof(struct virtio_pci_cap), AT_ACCESS);
FITS(AT_ACCESS, sizeof(struct virtio_pci_cfg_cap), AT_VENDOR);
FITS(AT_VENDOR, sizeof(struct virtio_transportq_pci_msi_cap), PCI_CONFIG_STORED);

/* virtio 1.4, 4.1.4; not in the system's header. */
#define CAP_VENDOR_CFG 9

/* What a driver can change. */
#define COMMAND_BITS                                                                               \
	(PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_PARITY | PCI_COMMAND_SERR |         \
	 PCI_COMMAND_INTX_DISABLE)
#define DEVCTL_BITS                                                                                \
	(PCI_EXP_DEVCTL_CERE | PCI_EXP_DEVCTL_NFERE | PCI_EXP_DEVCTL_FERE | PCI_EXP_DEVCTL_URRE |  \
	 PCI_EXP_DEVCTL_RELAX_EN | PCI_EXP_DEVCTL_PAYLOAD | PCI_EXP_DEVCTL_NOSNOOP_EN |            \
	 PCI_EXP_DEVCTL_READRQ)
#define LNKCTL_BITS                                                                                \
	(PCI_EXP_LNKCTL_ASPMC | PCI_EXP_LNKCTL_RCB | PCI_EXP_LNKCTL_CCC | PCI_EXP_LNKCTL_ES)

/* ---- making it ---- */

static void make_header(struct tvq_pci *p, uint16_t device_id)
{
	uint8_t *c = p->config_start, *m = p->config_mask;
	uint32_t type = p->dev->type->virtio_id;

	tvq_put16(c + PCI_VENDOR_ID, PCI_VENDOR);
	tvq_put16(c + PCI_DEVICE_ID, device_id ? device_id : (uint16_t)(0x1040 + type));
	tvq_put16(m + PCI_COMMAND, COMMAND_BITS);
	tvq_put16(c + PCI_STATUS, PCI_STATUS_CAP_LIST);
	c[PCI_REVISION_ID] = 1;
	/* Ethernet controller; other mass storage controller. */
	tvq_put16(c + PCI_CLASS_DEVICE, type == TVQ_TYPE_NET ? 0x0200 : 0x0180);
	m[PCI_CACHE_LINE_SIZE] = 0xff;
	tvq_put16(c + PCI_SUBSYSTEM_VENDOR_ID, PCI_VENDOR);
	/* Whatever the device id is, a driver can tell the type by this one. */
	tvq_put16(c + PCI_SUBSYSTEM_ID, (uint16_t)(0x40 + type));
	c[PCI_CAPABILITY_LIST] = AT_EXPRESS;
	m[PCI_INTERRUPT_LINE] = 0xff;
	c[PCI_INTERRUPT_PIN] = 1;
}

static void make_bars(struct tvq_pci *p)
{
	uint8_t *c = p->config_start, *m = p->config_mask;

	tvq_put32(m + PCI_BASE_ADDRESS_0, ~(PCI_BAR0_SIZE - 1u));
	tvq_put32(c + PCI_BASE_ADDRESS_2,
		  PCI_BASE_ADDRESS_MEM_TYPE_64 | PCI_BASE_ADDRESS_MEM_PREFETCH);
	tvq_put64(m + PCI_BASE_ADDRESS_2, ~(p->bar2_size - 1));
}

static uint8_t *make_cap(struct tvq_pci *p, uint8_t at, uint8_t id, uint8_t next)
{
	p->config_start[at] = id;
	p->config_start[at + 1] = next;
	return p->config_start + at;
}

/* An endpoint of the slowest link there is, with function-level reset. */
static void make_express(struct tvq_pci *p)
{
	uint8_t *c = make_cap(p, AT_EXPRESS, PCI_CAP_ID_EXP, AT_MSIX);
	uint8_t *m = p->config_mask + AT_EXPRESS;

	tvq_put16(c + PCI_EXP_FLAGS, 2 | PCI_EXP_TYPE_ENDPOINT << 4);
	tvq_put32(c + PCI_EXP_DEVCAP, PCI_EXP_DEVCAP_RBER | PCI_EXP_DEVCAP_FLR);
	tvq_put16(c + PCI_EXP_DEVCTL,
		  PCI_EXP_DEVCTL_RELAX_EN | PCI_EXP_DEVCTL_NOSNOOP_EN | PCI_EXP_DEVCTL_READRQ_512B);
	tvq_put16(m + PCI_EXP_DEVCTL, DEVCTL_BITS);
	tvq_put32(c + PCI_EXP_LNKCAP, PCI_EXP_LNKCAP_SLS_2_5GB | 1 << PCI_EXP_LNKSTA_NLW_SHIFT);
	tvq_put16(m + PCI_EXP_LNKCTL, LNKCTL_BITS);
	tvq_put16(c + PCI_EXP_LNKSTA, PCI_EXP_LNKSTA_CLS_2_5GB | PCI_EXP_LNKSTA_NLW_X1);
	tvq_put32(c + PCI_EXP_LNKCAP2, PCI_EXP_LNKCAP2_SLS_2_5GB);
	tvq_put16(c + PCI_EXP_LNKCTL2, 1); /* target: 2.5 GT/s */
}

static void make_msix(struct tvq_pci *p)
{
	uint8_t *c = make_cap(p, AT_MSIX, PCI_CAP_ID_MSIX, AT_COMMON);

	tvq_put16(c + PCI_MSIX_FLAGS, p->n_vectors - 1);
	tvq_put16(p->config_mask + AT_MSIX + PCI_MSIX_FLAGS,
		  PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	tvq_put32(c + PCI_MSIX_TABLE, PCI_BAR0_TABLE | TVQ_PCI_BAR0);
	tvq_put32(c + PCI_MSIX_PBA, PCI_BAR0_PBA | TVQ_PCI_BAR0);
}

struct place {
	uint8_t at, next, len, type, bar;
	uint32_t offset, length;
};

static void make_virtio(struct tvq_pci *p, const struct place *w)
{
	struct virtio_pci_cap *c = (void *)make_cap(p, w->at, PCI_CAP_ID_VNDR, w->next);

	c->cap_len = w->len;
	c->cfg_type = w->type;
	c->bar = w->bar;
	tvq_put32(&c->offset, w->offset);
	tvq_put32(&c->length, w->length);
}

static void make_msi_page(struct tvq_pci *p)
{
	struct virtio_transportq_pci_msi_cap *c =
		(void *)make_cap(p, AT_VENDOR, PCI_CAP_ID_VNDR, 0);

	c->cap_len = sizeof(*c);
	c->cfg_type = CAP_VENDOR_CFG;
	tvq_put16(&c->vendor_id, PCI_VENDOR);
	c->bar = TVQ_PCI_BAR2;
	tvq_put32(&c->magic, VIRTIO_TRANSPTQ_PCI_MSI_MAGIC);
	tvq_put32(&c->offset, PCI_PAGE_MSI * PCI_PAGE);
}

void pci_config_make(struct tvq_pci *p, uint16_t device_id)
{
	const uint8_t len = sizeof(struct virtio_pci_cap);
	const struct place places[] = {
		{ AT_COMMON, AT_NOTIFY, len, VIRTIO_PCI_CAP_COMMON_CFG, TVQ_PCI_BAR0,
		  PCI_BAR0_COMMON, PCI_COMMON_LEN },
		{ AT_NOTIFY, AT_ISR, len + 4, VIRTIO_PCI_CAP_NOTIFY_CFG, TVQ_PCI_BAR2, 0,
		  (PCI_PAGE_AREAS + p->dev->root->cfg.max_devices) * PCI_PAGE },
		{ AT_ISR, AT_DEVICE, len, VIRTIO_PCI_CAP_ISR_CFG, TVQ_PCI_BAR0, PCI_BAR0_ISR, 1 },
		{ AT_DEVICE, AT_ACCESS, len, VIRTIO_PCI_CAP_DEVICE_CFG, TVQ_PCI_BAR0,
		  PCI_BAR0_DEVICE, p->dev->type->config_len },
		{ AT_ACCESS, p->msi_page ? AT_VENDOR : 0, len + 4, VIRTIO_PCI_CAP_PCI_CFG, 0, 0,
		  0 },
	};
	uint8_t *access = p->config_mask + AT_ACCESS;

	make_header(p, device_id);
	make_bars(p);
	make_express(p);
	make_msix(p);
	for (unsigned int i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		make_virtio(p, &places[i]);
	tvq_put32(p->config_start + AT_NOTIFY + VIRTIO_PCI_NOTIFY_CAP_MULT, PCI_NOTIFY_MULTIPLIER);
	access[VIRTIO_PCI_CAP_BAR] = 0xff;
	memset(access + VIRTIO_PCI_CAP_OFFSET, 0xff, 12); /* offset, length, data */
	if (p->msi_page)
		make_msi_page(p);
}

void pci_config_init(struct tvq_pci *p)
{
	memcpy(p->config, p->config_start, sizeof(p->config));
}

/* ---- what others want to know ---- */

bool pci_msix_enabled(const struct tvq_pci *p)
{
	return tvq_get16(p->config + AT_MSIX + PCI_MSIX_FLAGS) & PCI_MSIX_FLAGS_ENABLE;
}

bool pci_msix_all_masked(const struct tvq_pci *p)
{
	const uint16_t both = PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL;

	return (tvq_get16(p->config + AT_MSIX + PCI_MSIX_FLAGS) & both) == both;
}

bool pci_intx_disabled(const struct tvq_pci *p)
{
	return tvq_get16(p->config + PCI_COMMAND) & PCI_COMMAND_INTX_DISABLE;
}

uint64_t pci_bar2_addr(const struct tvq_pci *p)
{
	return tvq_get64(p->config + PCI_BASE_ADDRESS_2) & ~(p->bar2_size - 1);
}

bool tvq_pci_bus_master(const struct tvq_pci *p)
{
	return tvq_get16(p->config + PCI_COMMAND) & PCI_COMMAND_MASTER;
}

/* ---- accesses ---- */

/* virtio 1.4, 4.1.4.9: the way to BARs for who cannot reach them. */
static bool access_window(const struct tvq_pci *p, uint8_t *bar, uint32_t *offset, uint32_t *len)
{
	const uint8_t *c = p->config + AT_ACCESS;

	*bar = c[VIRTIO_PCI_CAP_BAR];
	*offset = tvq_get32(c + VIRTIO_PCI_CAP_OFFSET);
	*len = tvq_get32(c + VIRTIO_PCI_CAP_LENGTH);
	return (*bar == TVQ_PCI_BAR0 || *bar == TVQ_PCI_BAR2) &&
	       (*len == 1 || *len == 2 || *len == 4) && !(*offset % *len);
}

/* Only an access to the data, and nothing else, is one to the BAR: reading all of configuration
 * space must not acknowledge interrupts. */
static bool is_access_data(uint32_t offset, uint32_t len)
{
	return offset >= AT_ACCESS_DATA && len <= 4 && offset + len <= AT_ACCESS_DATA + 4;
}

void pci_config_read(struct tvq_pci *p, uint32_t offset, uint8_t *buf, uint32_t len)
{
	uint32_t at, n;
	uint8_t bar;

	if (is_access_data(offset, len) && access_window(p, &bar, &at, &n))
		tvq_pci_read(p, bar, at, p->config + AT_ACCESS_DATA, n);
	p->config[PCI_STATUS] &= (uint8_t)~PCI_STATUS_INTERRUPT;
	if (pci_line(p))
		p->config[PCI_STATUS] |= PCI_STATUS_INTERRUPT;
	if (offset >= sizeof(p->config))
		return;
	if (len > sizeof(p->config) - offset)
		len = sizeof(p->config) - offset;
	memcpy(buf, p->config + offset, len);
}

/* The function-level reset's bit reads 0: it is seen in what is written. */
static bool starts_flr(uint32_t offset, const uint8_t *buf, uint32_t len)
{
	const uint32_t at = AT_EXPRESS + PCI_EXP_DEVCTL + 1;

	return offset <= at && at - offset < len && buf[at - offset] & PCI_EXP_DEVCTL_BCR_FLR >> 8;
}

void pci_config_write(struct tvq_pci *p, uint32_t offset, const uint8_t *buf, uint32_t len)
{
	uint32_t at, n;
	uint8_t bar;

	for (uint32_t i = 0; i < len && offset + i < sizeof(p->config); i++) {
		uint8_t *c = &p->config[offset + i], mask = p->config_mask[offset + i];

		*c = (*c & ~mask) | (buf[i] & mask);
	}
	pci_irq_update(p);
	if (is_access_data(offset, len) && access_window(p, &bar, &at, &n))
		tvq_pci_write(p, bar, at, p->config + AT_ACCESS_DATA, n);
	if (starts_flr(offset, buf, len))
		pci_reset_by_register(p);
}
