/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a PCI function says of itself in configuration space (virtio 1.4, 4.1.4). The function is
 * not trusted: the first 256 bytes are copied once, the list of capabilities is walked in bounded
 * steps, and each structure is checked to lie within a region that can be read and written. What
 * comes out of here is used without another look.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>
#include <stdio.h>
#include <string.h>

#include "bus/virtio_pci_priv.h"

#define CONFIG_BYTES	  256
#define FIRST_CAP	  0x40
#define MAX_CAPS	  48 /* that many fit without overlapping */
#define VENDOR_VIRTIO	  0x1af4
#define FIRST_MODERN_ID	  0x1040
#define LAST_MODERN_ID	  0x107f
#define FIRST_SUBSYSTEM	  0x40 /* likewise, of a modern device */
#define LAST_SUBSYSTEM	  0x7f
#define COMMON_BYTES	  56 /* up to and including queue_device */
#define NOTIFY_CAP_BYTES  20
#define VIRTIO_CAP_BYTES  16
#define MSIX_CAP_BYTES	  12
#define MSIX_ENTRY_BYTES  16
#define CLASS_NETWORK	  0x02
#define CLASS_STORAGE	  0x01
#define VIRTIO_ID_NETWORK 1
#define VIRTIO_ID_STORAGE 2

struct walk {
	struct tvq_pci_fn *f;
	struct vpci_caps *caps;
	const uint8_t *cfg;
	char *err;
};

static int no(struct walk *w, const char *why)
{
	snprintf(w->err, TVQ_VIRTIO_PCI_ERR_LEN, "%s", why);
	return -EPROTO;
}

static bool within(const struct tvq_pci_fn *f, unsigned int region, uint64_t offset, uint64_t len)
{
	/* The sums do not wrap: both come from 32 bits. */
	return region <= 5 && len && offset + len <= f->region_size[region];
}

/* The first capability of a type counts; one that points to a BAR that is reserved is skipped. */
static int take(struct walk *w, struct vpci_cap *to, uint8_t at, uint32_t min, uint32_t align,
		const char *name)
{
	uint32_t offset = tvq_get32(w->cfg + at + 8), len = tvq_get32(w->cfg + at + 12);
	unsigned int bar = w->cfg[at + 4];

	if (to->len || bar > 5)
		return 0;
	if (len < min || offset % align || !within(w->f, bar, offset, len)) {
		snprintf(w->err, TVQ_VIRTIO_PCI_ERR_LEN,
			 "its %s structure (%u bytes at %#x) is too small, misaligned or outside "
			 "BAR %u",
			 name, len, offset, bar);
		return -EPROTO;
	}
	*to = (struct vpci_cap){ .region = bar, .offset = offset, .len = len };
	return 0;
}

static int take_virtio(struct walk *w, uint8_t at)
{
	uint8_t cap_len = w->cfg[at + 2];
	struct vpci_caps *caps = w->caps;
	bool first;

	/* A vendor's own capability may be shorter. */
	if (cap_len < VIRTIO_CAP_BYTES || at + cap_len > CONFIG_BYTES)
		return 0;
	switch (w->cfg[at + 3]) {
	case VIRTIO_PCI_CAP_COMMON_CFG:
		return take(w, &caps->common, at, COMMON_BYTES, 4, "common configuration");
	case VIRTIO_PCI_CAP_DEVICE_CFG:
		return take(w, &caps->device, at, 1, 4, "device configuration");
	case VIRTIO_PCI_CAP_NOTIFY_CFG:
		if (cap_len < NOTIFY_CAP_BYTES)
			return no(w, "its notify capability is too short");
		first = !caps->notify.len;
		if (take(w, &caps->notify, at, 2, 2, "notify"))
			return -EPROTO;
		if (first && caps->notify.len)
			caps->notify_multiplier = tvq_get32(w->cfg + at + 16);
		return 0;
	default:
		return 0;
	}
}

static int take_msix(struct walk *w, uint8_t at)
{
	struct vpci_caps *caps = w->caps;
	uint32_t n, table;

	if (caps->msix || at + MSIX_CAP_BYTES > CONFIG_BYTES)
		return 0;
	n = (tvq_get16(w->cfg + at + PCI_MSIX_FLAGS) & PCI_MSIX_FLAGS_QSIZE) + 1u;
	table = tvq_get32(w->cfg + at + PCI_MSIX_TABLE);
	if (n > w->f->n_vectors)
		n = w->f->n_vectors;
	caps->table = (struct vpci_cap){ .region = table & PCI_MSIX_TABLE_BIR,
					 .offset = table & PCI_MSIX_TABLE_OFFSET,
					 .len = (uint64_t)n * MSIX_ENTRY_BYTES };
	if (!within(w->f, caps->table.region, caps->table.offset, caps->table.len))
		return no(w, "its MSI-X table lies outside its BAR");
	caps->msix = at;
	caps->n_vectors = (uint16_t)n;
	return 0;
}

static int walk_list(struct walk *w)
{
	uint8_t at = w->cfg[PCI_CAPABILITY_LIST] & ~3;
	unsigned int steps = 0;
	int err = 0;

	if (!(tvq_get16(w->cfg + PCI_STATUS) & PCI_STATUS_CAP_LIST))
		return no(w, "the function has no capabilities");
	while (at && !err) {
		if (at < FIRST_CAP || ++steps > MAX_CAPS)
			return no(w, "the list of its capabilities has no end");
		if (w->cfg[at] == PCI_CAP_ID_VNDR)
			err = take_virtio(w, at);
		else if (w->cfg[at] == PCI_CAP_ID_MSIX)
			err = take_msix(w, at);
		at = w->cfg[at + 1] & ~3;
	}
	return err;
}

/* By the identifier, or, where it is an experimental one, by the subsystem's or the class. */
static int find_type(struct walk *w)
{
	uint16_t id = tvq_get16(w->cfg + PCI_DEVICE_ID);
	uint16_t sub = tvq_get16(w->cfg + PCI_SUBSYSTEM_ID);
	uint8_t class = w->cfg[PCI_CLASS_DEVICE + 1];

	if (tvq_get16(w->cfg + PCI_VENDOR_ID) != VENDOR_VIRTIO)
		return no(w, "the function is no virtio device");
	if (id > FIRST_MODERN_ID && id <= LAST_MODERN_ID)
		w->caps->type = id - FIRST_MODERN_ID;
	else if (sub > FIRST_SUBSYSTEM && sub <= LAST_SUBSYSTEM)
		w->caps->type = sub - FIRST_SUBSYSTEM;
	else if (class == CLASS_NETWORK)
		w->caps->type = VIRTIO_ID_NETWORK;
	else if (class == CLASS_STORAGE)
		w->caps->type = VIRTIO_ID_STORAGE;
	else
		return no(w, "neither its identifiers nor its class say what it is");
	return 0;
}

static int judge(struct walk *w)
{
	int err = find_type(w);

	if (!err)
		err = walk_list(w);
	if (err)
		return err;
	if (!w->caps->common.len)
		return no(w, "the function shows no common configuration: no modern virtio device");
	if (!w->caps->notify.len)
		return no(w, "the function shows no place for notifications");
	if (!w->caps->msix)
		return no(w, "the function has no MSI-X");
	return 0;
}

int vpci_find_caps(struct tvq_pci_fn *f, struct vpci_caps *caps, char *err)
{
	uint8_t cfg[CONFIG_BYTES];
	struct walk w = { .f = f, .caps = caps, .cfg = cfg, .err = err };

	memset(caps, 0, sizeof(*caps));
	for (unsigned int at = 0; at < CONFIG_BYTES; at += 4) {
		int e = f->ops->read(f, TVQ_PCI_FN_CONFIG, at, cfg + at, 4);

		if (e) {
			snprintf(err, TVQ_VIRTIO_PCI_ERR_LEN,
				 "configuration space cannot be read: %s", strerror(-e));
			return e;
		}
	}
	return judge(&w);
}
