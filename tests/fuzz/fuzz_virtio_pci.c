/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The driver side of virtio-pci, and what a vfio-user server may say to its client.
 *
 * Input: a byte; where it is odd, the rest is the server's messages, judged against requests of
 * each kind in flight. Else: 256 bytes of configuration space, then what registers read, and how a
 * driver uses the function.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <tvq/dma.h>
#include <tvq/driver.h>
#include <tvq/loop.h>

#include "bus/vfio_user.h"
#include "bus/virtio_pci.h"
#include "device/util.h"

#define CONFIG_BYTES 256

static struct tvq_loop *loop;

/* ---- messages ---- */

/* Requests of all kinds, with room for exactly what is asked for. */
static const struct {
	uint16_t command;
	uint32_t len;
} kinds[] = {
	{ VU_VERSION, sizeof(struct vu_version) + 64 },
	{ VU_DEVICE_GET_INFO, sizeof(struct vu_device_info) },
	{ VU_DEVICE_GET_REGION_INFO, sizeof(struct vu_region_info) },
	{ VU_DEVICE_GET_IRQ_INFO, sizeof(struct vu_irq_info) },
	{ VU_REGION_READ, 4 },
	{ VU_REGION_READ, 1 },
	{ VU_DMA_MAP, 0 },
	{ VU_DMA_UNMAP, 0 },
	{ VU_DEVICE_SET_IRQS, 0 },
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static void judge_reply(const struct vuc_request *r)
{
	const char *why;
	uint64_t size;
	uint32_t vectors;

	if (r->command == VU_VERSION)
		vuc_check_version(r->reply, r->got, &why);
	else if (r->command == VU_DEVICE_GET_INFO)
		vuc_check_device(r->reply, &why);
	else if (r->command == VU_DEVICE_GET_REGION_INFO &&
		 !vuc_check_region(r->reply, 0, &size, &why) && size > UINT64_MAX >> 1)
		abort();
	else if (r->command == VU_DEVICE_GET_IRQ_INFO && !vuc_check_irq(r->reply, &vectors, &why) &&
		 (!vectors || vectors > 2048))
		abort();
}

static uint32_t take_message(struct vuc *c, const uint8_t *p, uint32_t n)
{
	struct vuc_message m;
	uint8_t sum = 0;

	vuc_check(c, p, n, &m);
	if (m.kind == VUC_BROKEN && !m.why)
		abort();
	if (m.kind == VUC_BROKEN || m.kind == VUC_MORE)
		return 0;
	if (m.hdr.size < sizeof(m.hdr) || m.hdr.size > n)
		abort();
	if (m.kind == VUC_REPLY && !m.err) {
		if (m.len > m.r->len)
			abort();
		if (m.len)
			memcpy(m.r->reply, m.reply, m.len);
		m.r->got = m.len;
		judge_reply(m.r);
	}
	for (uint64_t i = 0;
	     m.kind == VUC_REQUEST && m.hdr.command == VU_DMA_WRITE && i < m.dma.count; i++)
		sum += m.data[i];
	/* Somebody reads it. */
	__asm__ volatile("" : : "r"(sum));
	return m.hdr.size;
}

static void messages(const uint8_t *data, uint32_t size)
{
	struct vuc_request r[KINDS] = { 0 }, *slots[KINDS];
	struct vuc *c = calloc(1, sizeof(*c));
	uint8_t *copy = malloc(size ? size : 1);
	uint32_t at = 0, n;

	if (!c || !copy)
		abort();
	memcpy(copy, data, size);
	for (unsigned int i = 0; i < KINDS; i++) {
		r[i].command = kinds[i].command;
		r[i].id = (uint16_t)i;
		r[i].len = kinds[i].len;
		r[i].access = (struct vu_region_rw){ .offset = i, .count = kinds[i].len };
		r[i].reply = malloc(kinds[i].len ? kinds[i].len : 1);
		slots[i] = &r[i];
	}
	c->slots = slots;
	c->n_slots = KINDS;
	while ((n = take_message(c, copy + at, size - at)) != 0)
		at += n;
	for (unsigned int i = 0; i < KINDS; i++)
		free(r[i].reply);
	free(copy);
	free(c);
}

/* ---- a function ---- */

struct fake {
	struct tvq_pci_fn fn;
	uint8_t config[CONFIG_BYTES];
	const uint8_t *p; /* what comes next */
	size_t left;
	bool failed;
};

static struct fake *fake_of(struct tvq_pci_fn *f)
{
	return tvq_container_of(f, struct fake, fn);
}

static uint64_t next(struct fake *k, unsigned int bytes)
{
	uint64_t v = 0;

	while (bytes-- && k->left) {
		v = v << 8 | *k->p++;
		k->left--;
	}
	return v;
}

static int fake_read(struct tvq_pci_fn *f, unsigned int region, uint64_t offset, void *buf,
		     uint32_t len)
{
	struct fake *k = fake_of(f);

	/* The driver was told how large the regions are. */
	if (region >= TVQ_PCI_FN_REGIONS || offset > f->region_size[region] ||
	    len > f->region_size[region] - offset)
		abort();
	if (k->failed)
		return -ENODEV;
	if (region == TVQ_PCI_FN_CONFIG) {
		memcpy(buf, k->config + offset, len);
		return 0;
	}
	if (!k->left)
		return -EIO;
	for (uint32_t i = 0; i < len; i++)
		((uint8_t *)buf)[i] = (uint8_t)next(k, 1);
	return 0;
}

static int fake_read_later(struct tvq_pci_fn *f, unsigned int region, uint64_t offset, uint32_t len,
			   struct tvq_pci_read *r)
{
	(void)f;
	(void)region;
	(void)offset;
	(void)len;
	(void)r;
	return -ENODEV;
}

static void fake_post(struct tvq_pci_fn *f, unsigned int region, uint64_t offset, const void *buf,
		      uint32_t len)
{
	struct fake *k = fake_of(f);

	if (region >= TVQ_PCI_FN_REGIONS || offset > f->region_size[region] ||
	    len > f->region_size[region] - offset)
		abort();
	if (region == TVQ_PCI_FN_CONFIG)
		memcpy(k->config + offset, buf, len);
}

static bool fake_is_clogged(struct tvq_pci_fn *f)
{
	return next(fake_of(f), 1) & 1;
}

static int fake_dma_map(struct tvq_pci_fn *f, const struct tvq_bus_mem *m, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!m[i].len || m[i].iova >> 48 != (m[i].iova + m[i].len - 1) >> 48)
			abort();
	return fake_of(f)->failed ? -ENODEV : -(int)(next(fake_of(f), 1) & 1);
}

static int fake_dma_unmap(struct tvq_pci_fn *f, uint64_t addr, uint64_t len, struct tvq_done *done)
{
	(void)addr;
	(void)len;
	if (fake_of(f)->failed || next(fake_of(f), 1) == 0xff)
		return -ENODEV;
	if (done)
		done->fn(done, 0);
	return 0;
}

static int fake_irq_set(struct tvq_pci_fn *f, uint16_t vector, int fd)
{
	(void)fd;
	if (vector >= f->n_vectors)
		abort();
	return 0;
}

static void fake_fail(struct tvq_pci_fn *f, const char *why)
{
	(void)why;
	fake_of(f)->failed = true;
}

static void fake_free(struct tvq_pci_fn *f)
{
	fake_of(f)->failed = true;
}

static const struct tvq_pci_fn_ops fake_ops = {
	.name = "fake",
	.read = fake_read,
	.read_later = fake_read_later,
	.post = fake_post,
	.is_clogged = fake_is_clogged,
	.dma_map = fake_dma_map,
	.dma_unmap = fake_dma_unmap,
	.irq_set = fake_irq_set,
	.fail = fake_fail,
	.free = fake_free,
};

static void used(void *ctx)
{
	(void)ctx;
}

static void changed(void *ctx, uint8_t status)
{
	(void)ctx;
	(void)status;
}

static void use_registers(struct tvq_bus *b, struct fake *k)
{
	struct tvq_bus_queue q = { .index = (uint16_t)next(k, 1), .size = (uint16_t)next(k, 2) };
	uint8_t config[64];

	b->ops->set_status(b, (uint8_t)next(k, 1));
	b->ops->features(b);
	b->ops->set_features(b, next(k, 8));
	b->ops->config_read(b, (uint32_t)next(k, 4), config, next(k, 1) % sizeof(config));
	b->ops->queue_max(b, q.index);
	b->ops->queue_setup(b, &q, next(k, 1) & 1 ? used : NULL, NULL);
	b->ops->queue_notify(b, q.index);
	b->ops->watch(b, changed, NULL);
	b->ops->notify(b, next(k, 8), 0, next(k, 1) % 10);
	b->ops->notify_fd(b, next(k, 3), 0, TVQ_NOTIFY_POLL, NULL);
	k->fn.user->room(k->fn.ctx);
}

static void use_memory(struct tvq_bus *b, struct fake *k)
{
	struct tvq_bus_mem m[3];
	uint8_t buf[64] = { 0 };
	uint64_t iova;
	uint32_t asid = 0;
	void *p;

	b->ops->space_new(b, &asid);
	for (unsigned int i = 0; i < 3; i++)
		m[i] = (struct tvq_bus_mem){ .iova = next(k, 7) << next(k, 1) % 16,
					     .len = next(k, 4),
					     .fd = -1,
					     .perm = TVQ_DMA_READ };
	b->ops->map(b, asid, m, next(k, 1) % 4);
	b->ops->unmap(b, asid, next(k, 4), next(k, 8), NULL);
	p = b->ops->dma_alloc(b, 4096, &iova);
	k->fn.user->dma_read(k->fn.ctx, next(k, 8), buf, next(k, 1) % sizeof(buf));
	k->fn.user->dma_write(k->fn.ctx, next(k, 8), buf, next(k, 1) % sizeof(buf));
	if (p)
		k->fn.user->dma_write(k->fn.ctx, iova + next(k, 2), buf, sizeof(buf));
	b->ops->unmap(b, asid, 0, UINT64_MAX, NULL);
	b->ops->space_free(b, (uint32_t)next(k, 2));
	b->ops->dma_free(b, p, 4096);
}

static void use_interrupts(struct tvq_bus *b, struct fake *k)
{
	uint64_t addr[12];
	uint32_t data[12];
	uint8_t le[4];
	unsigned int n = next(k, 1) % 12;
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	for (unsigned int i = 0; i < n; i++)
		if (b->ops->msi_fd(b, fd, &addr[i], &data[i]))
			n = i;
	for (unsigned int i = 0; i < n; i++) {
		tvq_put32(le, data[i] ^ (next(k, 1) == 0x42));
		k->fn.user->dma_write(k->fn.ctx, addr[i], le, 4);
	}
	b->ops->msi_fd_free(b, next(k, 8), (uint32_t)next(k, 4));
	for (unsigned int i = 0; i < n; i++)
		b->ops->msi_fd_free(b, addr[i], data[i]);
	close(fd);
}

static void function(const uint8_t *data, size_t size)
{
	static char err[TVQ_VIRTIO_PCI_ERR_LEN];
	struct fake k = { .fn.ops = &fake_ops };
	struct tvq_bus *b;
	int e;

	if (size < CONFIG_BYTES)
		return;
	memcpy(k.config, data, CONFIG_BYTES);
	k.p = data + CONFIG_BYTES;
	k.left = size - CONFIG_BYTES;
	k.fn.loop = loop;
	k.fn.exec = tvq_loop_exec(loop);
	k.fn.os = &tvq_os_host;
	k.fn.region_size[0] = 1 << 16;
	k.fn.region_size[2] = 1 << 20;
	k.fn.region_size[TVQ_PCI_FN_CONFIG] = CONFIG_BYTES;
	k.fn.n_vectors = 4;
	b = tvq_virtio_pci_new(&k.fn, err);
	if (!b) {
		if (!err[0])
			abort();
		return;
	}
	if (next(&k, 1) & 1) {
		tvq_client_free(tvq_client_new(b, NULL, &e));
	} else {
		use_registers(b, &k);
		use_memory(b, &k);
		use_interrupts(b, &k);
	}
	b->ops->free(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tvq_loop_cfg cfg = { .cpu = -1, .name = "fuzz" };
	int err;

	if (!size || size > 1 << 16)
		return 0;
	if (!loop) {
		tvq_os_host_log_level((enum tvq_log_level) - 1);
		loop = tvq_loop_new(&cfg, &err);
		if (!loop)
			abort();
	}
	if (data[0] & 1)
		messages(data + 1, (uint32_t)size - 1);
	else
		function(data + 1, size - 1);
	return 0;
}
