/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A vfio-user server and a client (vfu_client.h) on one loop; and a bus over that client, so that
 * libtvq's driver half runs a device through it.
 */
#ifndef TVQ_TESTS_VFU_LAB_H
#define TVQ_TESTS_VFU_LAB_H

#include "vfu_client.h"

/* ---- the bus ---- */

static inline struct vl *vl_of(struct tvq_bus *b)
{
	return (struct vl *)((char *)b - offsetof(struct vl, bus));
}

static inline uint32_t vl_bus_type(struct tvq_bus *b)
{
	return (uint32_t)vl_get(vl_of(b), VL_CONFIG, PCI_DEVICE_ID, 2) - 0x1040;
}

static inline uint64_t vl_bus_features(struct tvq_bus *b)
{
	struct vl *w = vl_of(b);
	uint64_t f;

	vl_put(w, VL_BAR0, VIRTIO_PCI_COMMON_DFSELECT, 4, 0);
	f = vl_get(w, VL_BAR0, VIRTIO_PCI_COMMON_DF, 4);
	vl_put(w, VL_BAR0, VIRTIO_PCI_COMMON_DFSELECT, 4, 1);
	return f | vl_get(w, VL_BAR0, VIRTIO_PCI_COMMON_DF, 4) << 32;
}

static inline int vl_bus_set_features(struct tvq_bus *b, uint64_t f)
{
	struct vl *w = vl_of(b);

	vl_put(w, VL_BAR0, VIRTIO_PCI_COMMON_GFSELECT, 4, 0);
	vl_put(w, VL_BAR0, VIRTIO_PCI_COMMON_GF, 4, f & UINT32_MAX);
	vl_put(w, VL_BAR0, VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
	vl_put(w, VL_BAR0, VIRTIO_PCI_COMMON_GF, 4, f >> 32);
	return 0;
}

/* A device that is gone is a device that is reset. */
static inline uint8_t vl_bus_status(struct tvq_bus *b)
{
	if (vl_of(b)->sock < 0)
		return 0;
	return (uint8_t)vl_get(vl_of(b), VL_BAR0, VIRTIO_PCI_COMMON_STATUS, 1);
}

static inline int vl_bus_set_status(struct tvq_bus *b, uint8_t status)
{
	if (vl_of(b)->sock < 0)
		return -ENODEV;
	vl_put(vl_of(b), VL_BAR0, VIRTIO_PCI_COMMON_STATUS, 1, status);
	return 0;
}

static inline int vl_bus_config_read(struct tvq_bus *b, uint32_t offset, void *buf, uint32_t len)
{
	struct vl *w = vl_of(b);
	uint8_t cap = vl_find_cap(w, PCI_CAP_ID_VNDR, VIRTIO_PCI_CAP_DEVICE_CFG);

	offset += (uint32_t)vl_get(w, VL_CONFIG, cap + VIRTIO_PCI_CAP_OFFSET, 4);
	return vl_read_region(w, VL_BAR0, offset, buf, len);
}

static inline uint16_t vl_bus_queue_max(struct tvq_bus *b, uint16_t index)
{
	vl_put(vl_of(b), VL_BAR0, VIRTIO_PCI_COMMON_Q_SELECT, 2, index);
	return (uint16_t)vl_get(vl_of(b), VL_BAR0, VIRTIO_PCI_COMMON_Q_SIZE, 2);
}

static inline void vl_irq_came(struct tvq_watch *watch, int events)
{
	struct vl_irq *irq = (struct vl_irq *)((char *)watch - offsetof(struct vl_irq, watch));

	(void)events;
	if (vl_signalled(irq->fd) && irq->used)
		irq->used(irq->ctx);
}

/* Vector: the index plus one. Its eventfd is given to the server again by vl_give_irqs(). */
static inline int vl_bus_queue_setup(struct tvq_bus *b, const struct tvq_bus_queue *q,
				     void (*used)(void *ctx), void *ctx)
{
	struct vl *w = vl_of(b);
	uint16_t vector = q->index + 1;
	struct vl_irq *irq = &w->irqs[vector];

	assert_true(vector < VL_VECTORS);
	if (!irq->watching) {
		irq->fd = vl_eventfd();
		irq->watch.fn = vl_irq_came;
		irq->watching = true;
		tvq_watch_start(w->l.loop, &irq->watch, irq->fd, POLLIN);
	}
	irq->used = used;
	irq->ctx = ctx;
	assert_int_equal(vl_set_eventfd(w, VU_IRQ_MSIX, vector, irq->fd), 0);
	vl_put(w, VL_BAR0, VIRTIO_PCI_COMMON_Q_SELECT, 2, q->index);
	vl_put(w, VL_BAR0, VIRTIO_PCI_COMMON_Q_SIZE, 2, q->size);
	vl_put(w, VL_BAR0, VIRTIO_PCI_COMMON_Q_DESCLO, 8, q->desc);
	vl_put(w, VL_BAR0, VIRTIO_PCI_COMMON_Q_AVAILLO, 8, q->driver);
	vl_put(w, VL_BAR0, VIRTIO_PCI_COMMON_Q_USEDLO, 8, q->device);
	vl_put(w, VL_BAR0, VIRTIO_PCI_COMMON_Q_MSIX, 2, vector);
	vl_put(w, VL_BAR0, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	return vl_get(w, VL_BAR0, VIRTIO_PCI_COMMON_Q_ENABLE, 2) ? 0 : -EINVAL;
}

static inline void vl_bus_notify(struct tvq_bus *b, uint64_t area, uint32_t value,
				 unsigned int width)
{
	if (vl_of(b)->sock >= 0)
		vl_post(vl_of(b), VL_BAR2, area, &value, width);
}

static inline void vl_bus_queue_notify(struct tvq_bus *b, uint16_t index)
{
	vl_bus_notify(b, 4u * index, index, 2);
}

static inline void *vl_bus_dma_alloc(struct tvq_bus *b, size_t size, uint64_t *iova)
{
	struct vl *w = vl_of(b);
	uint8_t *p = w->ram + w->ram_used;

	*iova = VL_RAM_AT + w->ram_used;
	w->ram_used += (size + 4095) & ~(size_t)4095;
	assert_true(w->ram_used <= VL_RAM);
	return p;
}

static inline void vl_bus_dma_free(struct tvq_bus *b, void *p, size_t size)
{
	(void)b;
	(void)p;
	(void)size;
}

static inline int vl_bus_space_new(struct tvq_bus *b, uint32_t *asid)
{
	for (*asid = 1; *asid < 8; ++*asid) {
		if (!vl_of(b)->spaces[*asid]) {
			vl_of(b)->spaces[*asid] = true;
			return 0;
		}
	}
	return -ENOSPC;
}

static inline void vl_bus_space_free(struct tvq_bus *b, uint32_t asid)
{
	vl_of(b)->spaces[asid] = false;
}

static inline int vl_bus_map(struct tvq_bus *b, uint32_t asid, const struct tvq_bus_mem *m,
			     size_t n)
{
	int err = 0;

	for (size_t i = 0; i < n && !err; i++)
		err = vl_map(vl_of(b), ((uint64_t)asid << VU_SPACE_SHIFT) + m[i].iova, m[i].len,
			     m[i].fd, m[i].offset);
	return err;
}

static inline void vl_bus_free(struct tvq_bus *b)
{
	(void)b;
}

static const struct tvq_bus_ops vl_bus_ops = {
	.name = "vfio-user lab",
	.device_type = vl_bus_type,
	.features = vl_bus_features,
	.set_features = vl_bus_set_features,
	.status = vl_bus_status,
	.set_status = vl_bus_set_status,
	.config_read = vl_bus_config_read,
	.queue_max = vl_bus_queue_max,
	.queue_setup = vl_bus_queue_setup,
	.queue_notify = vl_bus_queue_notify,
	.dma_alloc = vl_bus_dma_alloc,
	.dma_free = vl_bus_dma_free,
	.notify = vl_bus_notify,
	.space_new = vl_bus_space_new,
	.space_free = vl_bus_space_free,
	.map = vl_bus_map,
	.free = vl_bus_free,
};

/* ---- up and down ---- */

struct vl_cfg {
	unsigned int workers;
	uint32_t max_regions;
	uint16_t n_vectors;
};

static inline int vl_open_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* A server; nobody is connected. */
static inline void vl_up(struct vl *w, const struct vl_cfg *cfg)
{
	static const struct vl_cfg none;
	struct tvq_vfio_user_cfg c = { .pci.msi_page = true };
	char err[TVQ_VFIO_USER_ERR_LEN];

	if (!cfg)
		cfg = &none;
	memset(w, 0, sizeof(*w));
	sigaction(SIGBUS, &vl_sigbus, NULL);
	w->sock = -1;
	vl_log_text[0] = 0;
	vl_os = tvq_os_host;
	vl_os.vlog = vl_vlog;
	c.pci.mgmt.os = &vl_os;
	c.pci.n_vectors = cfg->n_vectors;
	c.max_regions = cfg->max_regions;
	dl_prepare(&w->l, cfg->workers, &c.pci.mgmt);
	vl_skipped = 0;
	vl_clock = tvq_os_host;
	vl_clock.now = vl_now;
	w->l.exec->os = &vl_clock;
	strcpy(w->dir, "/tmp/tvq-vfu-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	snprintf(w->path, sizeof(w->path), "%s/function", w->dir);
	c.path = w->path;
	c.loop = w->l.loop;
	w->fds_at_start = vl_open_fds();
	w->mappings_at_start = tvq_mapping_count();
	w->s = tvq_vfio_user_new(&c, err);
	if (!w->s)
		fail_msg("%s", err);
	w->bus = (struct tvq_bus){ .ops = &vl_bus_ops, .exec = w->l.exec, .os = &vl_os };
	w->l.bus = &w->bus;
	w->ram_fd = memfd_create("ram", MFD_CLOEXEC);
	assert_int_equal(ftruncate(w->ram_fd, VL_RAM), 0);
	w->ram = mmap(NULL, VL_RAM, PROT_READ | PROT_WRITE, MAP_SHARED, w->ram_fd, 0);
	assert_true(w->ram != MAP_FAILED);
}

struct vl_done {
	struct tvq_pci_done done;
	bool told;
};

static inline void vl_told(struct tvq_pci_done *d)
{
	((struct vl_done *)d)->told = true;
}

static inline void vl_watch_stopped(struct tvq_watch *watch)
{
	struct vl_irq *irq = (struct vl_irq *)((char *)watch - offsetof(struct vl_irq, watch));

	irq->watching = false;
}

/* What is the client's, and what is looked at when the server is gone: everything of it has to be. */
static inline void vl_dismantle(struct vl *w)
{
	if (w->sock >= 0)
		close(w->sock);
	w->sock = -1;
	for (unsigned int i = 0; i < VL_VECTORS; i++) {
		struct vl_irq *irq = &w->irqs[i];

		if (!irq->watching)
			continue;
		tvq_watch_stop(&irq->watch, vl_watch_stopped);
		vl_until(w, !irq->watching);
		close(irq->fd);
	}
	munmap(w->ram, VL_RAM);
	close(w->ram_fd);
	/* Some are closed by the kernel's own threads, which take their time. */
	vl_until(w, vl_open_fds() == w->fds_at_start);
	assert_int_equal(tvq_mapping_count(), w->mappings_at_start);
	assert_int_not_equal(access(w->path, F_OK), 0);
	assert_int_equal(rmdir(w->dir), 0);
	dl_dismantle(&w->l);
}

static inline void vl_down(struct vl *w)
{
	struct vl_done d = { .done.fn = vl_told };

	if (w->l.client)
		tvq_client_free(w->l.client);
	if (w->sock >= 0)
		close(w->sock);
	w->sock = -1;
	tvq_vfio_user_free(w->s, &d.done);
	vl_until(w, d.told);
	vl_dismantle(w);
}

static inline void vl_map_ram(struct vl *w)
{
	assert_int_equal(vl_map(w, VL_RAM_AT, VL_RAM, w->ram_fd, 0), 0);
}

/* As a machine's firmware and a driver: memory, BARs, MSI-X, the transportq. */
static inline void vl_drive(struct vl *w)
{
	int err;

	vl_hello(w);
	vl_map_ram(w);
	assert_int_equal(vl_call(w, VU_DEVICE_RESET, NULL, 0, NULL, 0), 0);
	vl_put(w, VL_CONFIG, PCI_BASE_ADDRESS_0, 4, 0xfe000000);
	vl_put(w, VL_CONFIG, PCI_BASE_ADDRESS_2, 8, VL_BAR2_AT);
	vl_command(w, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	vl_msix_enable(w, true);
	w->l.client = tvq_client_new(&w->bus, NULL, &err);
	assert_non_null(w->l.client);
}

/* The next client, of the same guest: gives the descriptors of its interrupts again. */
static inline void vl_give_irqs(struct vl *w)
{
	for (unsigned int i = 0; i < VL_VECTORS; i++)
		if (w->irqs[i].watching)
			assert_int_equal(vl_set_eventfd(w, VU_IRQ_MSIX, i, w->irqs[i].fd), 0);
}

#endif
