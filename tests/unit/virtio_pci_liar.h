/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A vfio-user server that can lie: a small virtio-pci function of plain memory behind a socket, on
 * a thread of its own. What it is, is told before it starts; at one message it may do something
 * else than answer.
 */
#ifndef TVQ_TESTS_VIRTIO_PCI_LIAR_H
#define TVQ_TESTS_VIRTIO_PCI_LIAR_H

#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>

#include "virtio_pci_lab.h"

#include "vfio_user/proto.h"

enum lie {
	LIE_NONE,
	LIE_NO_HEADER,	/* the size is less than a header's */
	LIE_HUGE,	/* the size is 1 GiB */
	LIE_SHORT,	/* a byte less */
	LIE_LONG,	/* four bytes more */
	LIE_ID,		/* another request's */
	LIE_COMMAND,	/* another command's */
	LIE_TYPE,	/* neither request nor reply */
	LIE_FLAGS,	/* flags that do not exist */
	LIE_ERROR,	/* an error, in order */
	LIE_ERROR_DATA, /* an error, and data */
	LIE_TWICE,
	LIE_COMMAND_OF_CLIENT, /* a request that only a client makes */
	LIE_DMA_SHORT,	       /* a DMA_READ that is too short */
	LIE_DMA_HUGE,	       /* a DMA_READ of more than was negotiated */
	LIE_DMA_LENGTH,	       /* a DMA_WRITE with less data than it says */
	LIE_HALF,	       /* half a reply, and the end */
	LIE_CLOSE,
	LIES,
	LIE_SILENT, /* from there on */
	LIE_FLIP,   /* a byte is another one */
};

#define LIAR_BODY 8192

struct liar {
	char dir[32], path[64];
	int listener;
	pthread_t thread;

	/* What it is. */
	uint8_t cfg[256];
	uint8_t bar0[65536];
	uint64_t size[VU_REGIONS];
	uint32_t region_flags, device_flags, num_regions, irq_count, irq_flags;
	uint16_t major, minor;
	const char *text; /* of VERSION; text_len bytes */
	uint32_t text_len;
	bool config_is_fixed;
	uint32_t map_error; /* DMA_MAP is refused: an errno, or more than one can be */
	bool refuse_irqs, refuse_unmaps;
	bool refuse_with_data; /* behind the error */

	/* When it lies. */
	enum lie lie;
	unsigned int at; /* which message, from 0 on */
	unsigned int seed;

	/* What happened. */
	atomic_int conn;      /* -1: none */
	atomic_uint messages; /* that wanted an answer */
	atomic_uint posts;    /* that did not */
	uint16_t id;	      /* of the last that did */
	struct vu_hdr reply;  /* of the client, to a request of ours */
	uint8_t reply_body[LIAR_BODY];
	atomic_bool replied;
	atomic_bool stop;
	atomic_uint last; /* message that is answered: nothing is read after it */
};

static inline bool liar_read(int fd, void *buf, size_t len)
{
	return !len || recv(fd, buf, len, MSG_WAITALL) == (ssize_t)len;
}

static inline bool liar_write(int fd, const void *buf, size_t len)
{
	return send(fd, buf, len, MSG_NOSIGNAL) == (ssize_t)len;
}

/* Sends a request of the server's own. */
static inline void liar_send(struct liar *l, uint16_t command, uint32_t flags, const void *body,
			     uint32_t len)
{
	struct vu_hdr h = { .id = 77, .command = command, .size = 16 + len, .flags = flags };
	uint8_t m[16 + LIAR_BODY];

	memcpy(m, &h, 16);
	memcpy(m + 16, body, len);
	liar_write(atomic_load(&l->conn), m, 16 + len);
}

static inline uint8_t *liar_memory(struct liar *l, const struct vu_region_rw *rw)
{
	static uint8_t nothing[VU_MAX_DATA];

	memset(nothing, 0, sizeof(nothing));
	if (rw->region == VU_REGION_CONFIG && rw->offset + rw->count <= sizeof(l->cfg))
		return l->cfg + rw->offset;
	if (rw->region == 0 && rw->offset + rw->count <= sizeof(l->bar0))
		return l->bar0 + rw->offset;
	return nothing;
}

/* The body of the honest answer. */
static inline uint32_t liar_answer(struct liar *l, const struct vu_hdr *h, uint8_t *body)
{
	struct vu_device_info dev = { 16, l->device_flags, l->num_regions, VU_IRQS };
	struct vu_version version = { l->major, l->minor };
	struct vu_region_info region;
	struct vu_irq_info irq;
	struct vu_region_rw rw;

	switch (h->command) {
	case VU_VERSION:
		memcpy(body, &version, sizeof(version));
		memcpy(body + sizeof(version), l->text, l->text_len);
		return sizeof(version) + l->text_len;
	case VU_DEVICE_GET_INFO:
		memcpy(body, &dev, sizeof(dev));
		return sizeof(dev);
	case VU_DEVICE_GET_REGION_INFO:
		memcpy(&region, body, sizeof(region));
		region.flags = l->region_flags;
		region.size = l->size[region.index % VU_REGIONS];
		memcpy(body, &region, sizeof(region));
		return sizeof(region);
	case VU_DEVICE_GET_IRQ_INFO:
		memcpy(&irq, body, sizeof(irq));
		irq.flags = l->irq_flags;
		irq.count = l->irq_count;
		memcpy(body, &irq, sizeof(irq));
		return sizeof(irq);
	case VU_REGION_READ:
		memcpy(&rw, body, sizeof(rw));
		memcpy(body + sizeof(rw), liar_memory(l, &rw), rw.count);
		return sizeof(rw) + rw.count;
	case VU_REGION_WRITE:
		memcpy(&rw, body, sizeof(rw));
		if (rw.region != VU_REGION_CONFIG || !l->config_is_fixed)
			memcpy(liar_memory(l, &rw), body + sizeof(rw), rw.count);
		return sizeof(rw);
	default:
		return 0;
	}
}

/* False: the connection is to end. */
static inline bool liar_say(struct liar *l, int fd, struct vu_hdr *h, uint8_t *m, uint32_t len)
{
	struct vu_region_rw rw = { .region = 0, .count = 4 };
	struct vu_dma_rw dma = { .addr = 4096, .count = 1 << 20 };
	uint8_t *b = (uint8_t *)h;
	uint32_t n = 16 + len, flip = 0;

	switch (l->lie) {
	case LIE_NO_HEADER:
		h->size = 8;
		break;
	case LIE_HUGE:
		h->size = 1u << 30;
		break;
	case LIE_SHORT:
		h->size = --n;
		break;
	case LIE_LONG:
		h->size = n += 4;
		break;
	case LIE_ID:
		h->id += 1;
		break;
	case LIE_COMMAND:
		h->command += 1;
		break;
	case LIE_TYPE:
		h->flags = 2;
		break;
	case LIE_FLAGS:
		h->flags |= 0x100;
		break;
	case LIE_ERROR:
		h->flags |= VU_ERROR;
		h->error = EPERM;
		h->size = n = 16;
		break;
	case LIE_ERROR_DATA:
		h->flags |= VU_ERROR;
		h->size = n = 20 + len;
		break;
	case LIE_TWICE:
		memcpy(m, h, 16);
		liar_write(fd, m, n);
		break;
	case LIE_COMMAND_OF_CLIENT:
		liar_send(l, VU_REGION_READ, VU_REQUEST, &rw, sizeof(rw));
		break;
	case LIE_DMA_SHORT:
		liar_send(l, VU_DMA_READ, VU_REQUEST, &dma, 8);
		break;
	case LIE_DMA_HUGE:
		liar_send(l, VU_DMA_READ, VU_REQUEST, &dma, sizeof(dma));
		break;
	case LIE_DMA_LENGTH:
		dma.count = 100;
		liar_send(l, VU_DMA_WRITE, VU_REQUEST, &dma, sizeof(dma));
		break;
	case LIE_HALF:
		memcpy(m, h, 16);
		liar_write(fd, m, n / 2);
		return false;
	case LIE_FLIP:
		flip = (l->seed / 7) % n;
		(flip < 16 ? b : m)[flip] ^= (uint8_t)(1 + l->seed % 255);
		break;
	default:
		return false;
	}
	memcpy(m, h, 16);
	/* Nobody waits for what another size promises. */
	return liar_write(fd, m, n) && !(flip >= 4 && flip < 8);
}

/* One message; false: the end. */
static inline bool liar_serve(struct liar *l, int fd)
{
	uint8_t m[16 + LIAR_BODY + 64] = { 0 };
	struct vu_hdr h;
	unsigned int nth;
	uint32_t len;

	if (!liar_read(fd, &h, sizeof(h)) || h.size < 16 || h.size > sizeof(m))
		return false;
	if ((h.flags & VU_TYPE_MASK) == VU_REPLY) {
		l->reply = h;
		if (!liar_read(fd, l->reply_body, h.size - 16))
			return false;
		atomic_store(&l->replied, true);
		return true;
	}
	if (!liar_read(fd, m + 16, h.size - 16))
		return false;
	len = liar_answer(l, &h, m + 16);
	if (h.flags & VU_NO_REPLY) {
		atomic_fetch_add(&l->posts, 1);
		return true;
	}
	l->id = h.id;
	nth = atomic_fetch_add(&l->messages, 1);
	h.flags = VU_REPLY;
	h.size = 16 + len;
	if (l->lie == LIE_SILENT && nth >= l->at)
		return true;
	/* One that did not harm the message's form is not waited for by anybody for long. */
	if (l->lie == LIE_FLIP && nth > l->at + 2)
		return false;
	if (l->lie != LIE_NONE && l->lie != LIE_SILENT && nth == l->at)
		return liar_say(l, fd, &h, m, len);
	if ((h.command == VU_DMA_MAP && l->map_error) ||
	    (h.command == VU_DMA_UNMAP && l->refuse_unmaps) ||
	    (h.command == VU_DEVICE_SET_IRQS && l->refuse_irqs)) {
		h.flags |= VU_ERROR;
		h.error = h.command == VU_DMA_MAP ? l->map_error : EINVAL;
		h.size += l->refuse_with_data ? 8 : 0;
	}
	memcpy(m, &h, 16);
	if (!liar_write(fd, m, h.size))
		return false;
	while (nth >= atomic_load(&l->last) && !atomic_load(&l->stop))
		usleep(1000);
	return true;
}

static inline void *liar_main(void *arg)
{
	struct liar *l = arg;

	while (!atomic_load(&l->stop)) {
		int fd = accept(l->listener, NULL, NULL);

		if (fd < 0)
			break;
		atomic_store(&l->messages, 0);
		atomic_store(&l->conn, fd);
		while (liar_serve(l, fd))
			;
		atomic_store(&l->conn, -1);
		close(fd);
	}
	return NULL;
}

#define LIAR_CAPS 0x40
enum { LIAR_COMMON, LIAR_NOTIFY, LIAR_DEVICE, LIAR_MSIX };

/* Where a capability of the honest function is. */
static inline uint8_t *liar_cap(struct liar *l, unsigned int i)
{
	return l->cfg + LIAR_CAPS + i * 0x18;
}

static inline void liar_put_cap(struct liar *l, unsigned int i, uint8_t type, uint8_t bar,
				uint32_t offset, uint32_t len)
{
	uint8_t *c = liar_cap(l, i);

	c[0] = PCI_CAP_ID_VNDR;
	c[1] = (uint8_t)(LIAR_CAPS + (i + 1) * 0x18);
	c[2] = type == VIRTIO_PCI_CAP_NOTIFY_CFG ? 20 : 16;
	c[3] = type;
	c[4] = bar;
	tvq_put32(c + 8, offset);
	tvq_put32(c + 12, len);
}

/* An honest function, not started. */
static inline void liar_init(struct liar *l)
{
	uint8_t *msix;

	memset(l, 0, sizeof(*l));
	tvq_put16(l->cfg + PCI_VENDOR_ID, 0x1af4);
	tvq_put16(l->cfg + PCI_DEVICE_ID, 0x1042);
	tvq_put16(l->cfg + PCI_STATUS, PCI_STATUS_CAP_LIST);
	l->cfg[PCI_CAPABILITY_LIST] = LIAR_CAPS;
	liar_put_cap(l, LIAR_COMMON, VIRTIO_PCI_CAP_COMMON_CFG, 0, 0, 64);
	liar_put_cap(l, LIAR_NOTIFY, VIRTIO_PCI_CAP_NOTIFY_CFG, 2, 0, 1 << 20);
	tvq_put32(liar_cap(l, LIAR_NOTIFY) + 16, 64);
	liar_put_cap(l, LIAR_DEVICE, VIRTIO_PCI_CAP_DEVICE_CFG, 0, 0x1000, 60);
	msix = liar_cap(l, LIAR_MSIX);
	msix[0] = PCI_CAP_ID_MSIX;
	tvq_put16(msix + PCI_MSIX_FLAGS, 7);
	tvq_put32(msix + PCI_MSIX_TABLE, 0x2000);
	tvq_put16(l->bar0 + VIRTIO_PCI_COMMON_Q_SIZE, 16);
	l->last = UINT32_MAX;
	l->size[0] = sizeof(l->bar0);
	l->size[2] = 1 << 20;
	l->size[VU_REGION_CONFIG] = sizeof(l->cfg);
	l->region_flags = VU_REGION_F_READ | VU_REGION_F_WRITE;
	l->device_flags = VU_DEVICE_FLAGS_PCI | VU_DEVICE_FLAGS_RESET;
	l->num_regions = VU_REGIONS;
	l->irq_count = 8;
	l->irq_flags = VU_IRQ_EVENTFD;
	l->text = "{\"capabilities\":{}}";
	l->text_len = 20;
}

static inline void liar_start(struct liar *l)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	strcpy(l->dir, "/tmp/tvq-liar-XXXXXX");
	assert_non_null(mkdtemp(l->dir));
	snprintf(l->path, sizeof(l->path), "%s/sock", l->dir);
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", l->path);
	atomic_store(&l->conn, -1);
	l->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(l->listener, (struct sockaddr *)&sun, sizeof(sun)), 0);
	assert_int_equal(listen(l->listener, 4), 0);
	assert_int_equal(pthread_create(&l->thread, NULL, liar_main, l), 0);
}

static inline void liar_stop(struct liar *l)
{
	int fd = atomic_load(&l->conn);

	atomic_store(&l->stop, true);
	shutdown(l->listener, SHUT_RDWR);
	if (fd >= 0)
		shutdown(fd, SHUT_RDWR);
	pthread_join(l->thread, NULL);
	close(l->listener);
	unlink(l->path);
	assert_int_equal(rmdir(l->dir), 0);
}

static inline struct tvq_loop *liar_loop(void)
{
	struct tvq_loop_cfg cfg = { .cpu = -1, .name = "driver" };
	struct tvq_loop *loop;
	int err;

	tvq_os_host_log_level((enum tvq_log_level) - 1);
	loop = tvq_loop_new(&cfg, &err);
	assert_non_null(loop);
	return loop;
}

struct liar_gone {
	unsigned int n;
	char why[200];
};

static inline void liar_note(void *ctx, const char *why)
{
	struct liar_gone *g = ctx;

	g->n++;
	snprintf(g->why, sizeof(g->why), "%s", why);
}

#endif
