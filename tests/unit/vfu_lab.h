/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A vfio-user server and a client that is made of nothing but messages on a real socket, on one
 * loop; and a bus over that client, so that libtvq's driver half runs a device through it.
 */
#ifndef TVQ_TESTS_VFU_LAB_H
#define TVQ_TESTS_VFU_LAB_H

#include "device_lab.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>

#include "vfio_user/proto.h"
#include "vfio_user/server.h"

#define VL_BAR0	   0
#define VL_BAR2	   2
#define VL_CONFIG  7
#define VL_BAR2_AT 0x380000000000ull
#define VL_VECTORS 8
/* The driver's own memory in space 0. */
#define VL_RAM_AT  0x10000000ull
#define VL_RAM	   (4u << 20)
#define VL_WRITES  4096

/* A DMA write that the server asked for. */
struct vl_write {
	uint64_t addr;
	uint32_t data;
	uint16_t id;
};

struct vl {
	struct dl l; /* first: the bus and the client are this one's */
	struct tvq_vfio_user *s;
	struct tvq_bus bus;
	char dir[32], path[64];
	int fds_at_start;
	unsigned int mappings_at_start;

	int sock;
	uint16_t id;
	int ram_fd;
	uint8_t *ram;
	size_t ram_used;
	bool spaces[8];

	/* What the server wrote, in order; answered at once unless held. */
	struct vl_write writes[VL_WRITES];
	unsigned int n_writes, n_answered;
	bool hold_answers, no_reading;

	struct vl_irq {
		int fd;
		struct tvq_watch watch;
		void (*used)(void *ctx);
		void *ctx;
		bool watching;
	} irqs[VL_VECTORS];
};

/* ---- the log ---- */

static char vl_log_text[1 << 16];
static pthread_mutex_t vl_log_lock = PTHREAD_MUTEX_INITIALIZER;
static struct tvq_os vl_os, vl_clock;
static unsigned int vl_time_factor;
static uint64_t vl_skipped; /* ns */

static inline void vl_vlog(enum tvq_log_level level, const char *fmt, va_list ap)
{
	size_t n;

	(void)level;
	pthread_mutex_lock(&vl_log_lock);
	n = strlen(vl_log_text);
	vsnprintf(vl_log_text + n, sizeof(vl_log_text) - n - 1, fmt, ap);
	if (getenv("TVQ_TEST_LOG"))
		fprintf(stderr, "%s\n", vl_log_text + n);
	strcat(vl_log_text, "\n");
	pthread_mutex_unlock(&vl_log_lock);
}

/* How often a text was logged since the lab was opened. */
static inline unsigned int vl_logged(const char *text)
{
	const char *p = vl_log_text;
	unsigned int n = 0;

	pthread_mutex_lock(&vl_log_lock);
	for (; (p = strstr(p, text)); p++)
		n++;
	pthread_mutex_unlock(&vl_log_lock);
	return n;
}

static inline uint64_t vl_now(void)
{
	return tvq_os_host.now() * vl_time_factor + vl_skipped;
}

/* cmocka takes SIGBUS for itself at each test; the library took it once. Before the tests. */
static struct sigaction vl_sigbus;

static inline bool vl_catch_sigbus(void)
{
	struct tvq_mapping *m;
	uint8_t *va;

	if (tvq_mapping_anon(1, &m, &va) || sigaction(SIGBUS, NULL, &vl_sigbus))
		return false;
	m->put(m);
	return true;
}

/* ---- messages ---- */

static inline void vl_send_raw(struct vl *w, const void *buf, size_t len, const int *fds,
			       unsigned int n)
{
	union {
		char bytes[CMSG_SPACE(64 * sizeof(int))];
		struct cmsghdr align;
	} control = { { 0 } };
	struct iovec iov = { (void *)buf, len };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (n) {
		m.msg_control = control.bytes;
		m.msg_controllen = CMSG_SPACE(n * sizeof(int));
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(&control.align), fds, n * sizeof(int));
	}
	assert_int_equal(sendmsg(w->sock, &m, MSG_NOSIGNAL), len);
}

static inline uint16_t vl_send_flags(struct vl *w, uint16_t command, uint32_t flags,
				     const void *payload, uint32_t size, const int *fds,
				     unsigned int n)
{
	static uint8_t buf[sizeof(struct vu_hdr) + 2 * VU_MAX_DATA];
	struct vu_hdr h = { .id = ++w->id,
			    .command = command,
			    .size = (uint32_t)sizeof(h) + size,
			    .flags = flags };

	memcpy(buf, &h, sizeof(h));
	if (size)
		memcpy(buf + sizeof(h), payload, size);
	vl_send_raw(w, buf, sizeof(h) + size, fds, n);
	return h.id;
}

static inline uint16_t vl_send(struct vl *w, uint16_t command, const void *payload, uint32_t size)
{
	return vl_send_flags(w, command, 0, payload, size, NULL, 0);
}

/* Bytes that are there: all of len, or nothing. */
static inline bool vl_recv(struct vl *w, void *buf, size_t len)
{
	size_t got = 0;

	while (got < len) {
		ssize_t n = recv(w->sock, (char *)buf + got, len - got, MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN && !got)
			return false;
		if (n < 0 && errno == EAGAIN) {
			tvq_loop_turn(w->l.loop, false);
			continue;
		}
		assert_true(n > 0);
		got += (size_t)n;
	}
	return true;
}

static inline void vl_answer_write(struct vl *w, uint16_t id, uint32_t error)
{
	struct vu_hdr h = { .id = id,
			    .command = VU_DMA_WRITE,
			    .size = sizeof(h),
			    .flags = error ? VU_REPLY | VU_ERROR : VU_REPLY,
			    .error = error };

	vl_send_raw(w, &h, sizeof(h), NULL, 0);
	w->n_answered++;
}

static inline void vl_take_write(struct vl *w, const struct vu_hdr *h)
{
	struct {
		struct vu_dma_rw rw;
		uint32_t data;
	} __attribute__((packed)) p;

	assert_int_equal(h->command, VU_DMA_WRITE);
	assert_int_equal(h->flags, 0);
	assert_int_equal(h->size, sizeof(*h) + sizeof(p));
	assert_true(vl_recv(w, &p, sizeof(p)));
	assert_int_equal(p.rw.count, 4);
	assert_true(w->n_writes < VL_WRITES);
	w->writes[w->n_writes++] = (struct vl_write){ p.rw.addr, p.data, h->id };
	if (!w->hold_answers)
		vl_answer_write(w, h->id, 0);
}

/* Takes the DMA writes that have come; the header of a reply, if there is one: true. */
static inline bool vl_poll(struct vl *w, struct vu_hdr *h)
{
	if (w->no_reading)
		return false;
	while (vl_recv(w, h, sizeof(*h))) {
		if ((h->flags & VU_TYPE_MASK) == VU_REPLY)
			return true;
		vl_take_write(w, h);
	}
	return false;
}

static inline void vl_turn(struct vl *w)
{
	tvq_loop_turn(w->l.loop, false);
}

/* The reply to message id, which may take cap bytes of payload; its size. Negative: its errno. */
static inline int vl_reply(struct vl *w, uint16_t id, uint16_t command, void *payload, uint32_t cap)
{
	uint64_t end = tvq_os_host.now() + 20 * SECOND;
	struct vu_hdr h;

	while (!vl_poll(w, &h)) {
		assert_true(tvq_os_host.now() < end);
		vl_turn(w);
	}
	assert_int_equal(h.id, id);
	assert_int_equal(h.command, command);
	if (h.flags & VU_ERROR) {
		assert_int_equal(h.flags, VU_REPLY | VU_ERROR);
		assert_int_equal(h.size, sizeof(h));
		assert_true(h.error);
		return -(int)h.error;
	}
	assert_int_equal(h.flags, VU_REPLY);
	assert_int_equal(h.error, 0);
	assert_true(h.size - sizeof(h) <= cap);
	if (h.size > sizeof(h))
		assert_true(vl_recv(w, payload, h.size - sizeof(h)));
	return (int)(h.size - sizeof(h));
}

static inline int vl_call_fds(struct vl *w, uint16_t command, const void *payload, uint32_t size,
			      const int *fds, unsigned int n, void *reply, uint32_t cap)
{
	return vl_reply(w, vl_send_flags(w, command, 0, payload, size, fds, n), command, reply,
			cap);
}

static inline int vl_call(struct vl *w, uint16_t command, const void *payload, uint32_t size,
			  void *reply, uint32_t cap)
{
	return vl_call_fds(w, command, payload, size, NULL, 0, reply, cap);
}

/* Turns until cond holds, and takes what the server asks for meanwhile. */
#define vl_until(w, cond)                                                                          \
	do {                                                                                       \
		uint64_t end_ = tvq_os_host.now() + 20 * SECOND;                                   \
		struct vu_hdr h_;                                                                  \
                                                                                                   \
		while (!(cond)) {                                                                  \
			if (tvq_os_host.now() > end_)                                              \
				fail_msg("waited in vain for: %s; log:\n%s", #cond, vl_log_text);  \
			if ((w)->sock >= 0)                                                        \
				assert_false(vl_poll(w, &h_));                                     \
			vl_turn(w);                                                                \
		}                                                                                  \
	} while (0)

/* Lets everything come to rest that has nothing to do. */
static inline void vl_rest(struct vl *w)
{
	struct vu_hdr h;

	for (unsigned int i = 0; i < 200; i++) {
		if (w->sock >= 0)
			assert_false(vl_poll(w, &h));
		vl_turn(w);
	}
}

static inline struct tvq_vfio_user_stats vl_stats(struct vl *w)
{
	struct tvq_vfio_user_stats st;

	tvq_vfio_user_stats(w->s, &st);
	return st;
}

/* ---- what a client does ---- */

static inline int vl_connect_to(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(sa.sun_path, path);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

static inline void vl_connect(struct vl *w)
{
	uint64_t before = vl_stats(w).connections;

	w->sock = vl_connect_to(w->path);
	w->n_writes = w->n_answered = 0;
	vl_until(w, vl_stats(w).connections == before + 1);
}

/* -errno, or how long the reply is. json NULL: none. */
static inline int vl_version(struct vl *w, uint16_t major, uint16_t minor, const char *json,
			     void *reply, uint32_t cap)
{
	uint8_t msg[sizeof(struct vu_version) + VU_MAX_JSON];
	struct vu_version v = { major, minor };
	uint32_t len = json ? (uint32_t)strlen(json) + 1 : 0;

	memcpy(msg, &v, sizeof(v));
	if (json)
		memcpy(msg + sizeof(v), json, len);
	return vl_call(w, VU_VERSION, msg, (uint32_t)sizeof(v) + len, reply, cap);
}

static inline void vl_hello(struct vl *w)
{
	uint8_t reply[512];

	vl_connect(w);
	assert_true(vl_version(w, 0, 0, NULL, reply, sizeof(reply)) > 4);
}

/* The client goes; until the server has seen it. */
static inline void vl_go(struct vl *w)
{
	close(w->sock);
	w->sock = -1;
	vl_until(w, !vl_stats(w).connected);
}

/* The server ends the connection; what it had to say before is thrown away. */
static inline void vl_until_closed(struct vl *w)
{
	uint64_t end = tvq_os_host.now() + 20 * SECOND;
	char buf[4096];
	ssize_t n;

	do {
		assert_true(tvq_os_host.now() < end);
		vl_turn(w);
		n = recv(w->sock, buf, sizeof(buf), MSG_DONTWAIT);
	} while (n > 0 || (n < 0 && errno == EAGAIN));
	close(w->sock);
	w->sock = -1;
	vl_until(w, !vl_stats(w).connected);
}

static inline int vl_map_flags(struct vl *w, uint64_t addr, uint64_t size, int fd, uint64_t offset,
			       uint32_t flags)
{
	struct vu_dma_map m = {
		.argsz = sizeof(m), .flags = flags, .addr = addr, .size = size, .offset = offset
	};

	return vl_call_fds(w, VU_DMA_MAP, &m, sizeof(m), &fd, fd >= 0, NULL, 0);
}

static inline int vl_map(struct vl *w, uint64_t addr, uint64_t size, int fd, uint64_t offset)
{
	return vl_map_flags(w, addr, size, fd, offset, VU_DMA_READABLE | VU_DMA_WRITABLE);
}

static inline uint16_t vl_send_unmap(struct vl *w, uint64_t addr, uint64_t size, uint32_t flags)
{
	struct vu_dma_unmap u = { .argsz = sizeof(u), .flags = flags, .addr = addr, .size = size };

	return vl_send(w, VU_DMA_UNMAP, &u, sizeof(u));
}

/* -errno; else the bytes that the reply says were unmapped. */
static inline int64_t vl_unmap(struct vl *w, uint64_t addr, uint64_t size, uint32_t flags)
{
	struct vu_dma_unmap u = { 0 };
	int n = vl_reply(w, vl_send_unmap(w, addr, size, flags), VU_DMA_UNMAP, &u, sizeof(u));

	if (n < 0)
		return n;
	assert_int_equal(n, sizeof(u));
	assert_int_equal(u.addr, addr);
	return (int64_t)u.size;
}

static inline int vl_set_irqs(struct vl *w, uint32_t flags, uint32_t index, uint32_t start,
			      uint32_t count, const int *fds, unsigned int n)
{
	struct vu_irq_set set = {
		.argsz = sizeof(set), .flags = flags, .index = index, .start = start, .count = count
	};

	return vl_call_fds(w, VU_DEVICE_SET_IRQS, &set, sizeof(set), fds, n, NULL, 0);
}

#define VL_EVENTFD (VU_SET_DATA_EVENTFD | VU_SET_ACTION_TRIGGER)

static inline int vl_set_eventfd(struct vl *w, uint32_t index, uint32_t vector, int fd)
{
	return vl_set_irqs(w, VL_EVENTFD, index, vector, 1, &fd, fd >= 0);
}

static inline int vl_read_region(struct vl *w, uint32_t region, uint64_t offset, void *buf,
				 uint32_t len)
{
	static uint8_t reply[sizeof(struct vu_region_rw) + VU_MAX_DATA];
	struct vu_region_rw rw = { .offset = offset, .region = region, .count = len };
	int n = vl_call(w, VU_REGION_READ, &rw, sizeof(rw), reply, sizeof(reply));

	if (n < 0)
		return n;
	assert_int_equal(n, sizeof(rw) + len);
	assert_memory_equal(reply, &rw, sizeof(rw));
	memcpy(buf, reply + sizeof(rw), len);
	return 0;
}

static inline uint32_t vl_make_write(uint8_t *msg, uint32_t region, uint64_t offset,
				     const void *buf, uint32_t len)
{
	struct vu_region_rw rw = { .offset = offset, .region = region, .count = len };

	memcpy(msg, &rw, sizeof(rw));
	memcpy(msg + sizeof(rw), buf, len);
	return (uint32_t)sizeof(rw) + len;
}

static inline int vl_write_region(struct vl *w, uint32_t region, uint64_t offset, const void *buf,
				  uint32_t len)
{
	static uint8_t msg[sizeof(struct vu_region_rw) + VU_MAX_DATA];
	struct vu_region_rw reply;
	uint32_t size = vl_make_write(msg, region, offset, buf, len);
	int n = vl_call(w, VU_REGION_WRITE, msg, size, &reply, sizeof(reply));

	if (n < 0)
		return n;
	assert_int_equal(n, sizeof(reply));
	assert_memory_equal(&reply, msg, sizeof(reply));
	return 0;
}

/* As QEMU writes: no reply. */
static inline void vl_post(struct vl *w, uint32_t region, uint64_t offset, const void *buf,
			   uint32_t len)
{
	uint8_t msg[sizeof(struct vu_region_rw) + 64];
	uint32_t size = vl_make_write(msg, region, offset, buf, len);

	vl_send_flags(w, VU_REGION_WRITE, VU_NO_REPLY, msg, size, NULL, 0);
}

static inline uint64_t vl_get(struct vl *w, uint32_t region, uint64_t offset, uint32_t len)
{
	uint64_t v = 0;

	assert_int_equal(vl_read_region(w, region, offset, &v, len), 0);
	return v;
}

static inline void vl_put(struct vl *w, uint32_t region, uint64_t offset, uint32_t len, uint64_t v)
{
	assert_int_equal(vl_write_region(w, region, offset, &v, len), 0);
}

/* The capability of that id, and for virtio's of that type. */
static inline uint8_t vl_find_cap(struct vl *w, uint8_t id, int type)
{
	uint8_t at = (uint8_t)vl_get(w, VL_CONFIG, PCI_CAPABILITY_LIST, 1);

	for (unsigned int n = 0; at && n < 48; n++) {
		if (vl_get(w, VL_CONFIG, at, 1) == id &&
		    (type < 0 ||
		     (int)vl_get(w, VL_CONFIG, at + VIRTIO_PCI_CAP_CFG_TYPE, 1) == type))
			return at;
		at = (uint8_t)vl_get(w, VL_CONFIG, at + 1, 1);
	}
	fail_msg("there is no capability %u of type %d", id, type);
	return 0;
}

static inline void vl_command(struct vl *w, uint16_t command)
{
	vl_put(w, VL_CONFIG, PCI_COMMAND, 2, command);
}

static inline void vl_msix_enable(struct vl *w, bool on)
{
	vl_put(w, VL_CONFIG, vl_find_cap(w, PCI_CAP_ID_MSIX, -1) + PCI_MSIX_FLAGS, 2,
	       on ? PCI_MSIX_FLAGS_ENABLE : 0);
}

static inline bool vl_signalled(int fd)
{
	uint64_t n;

	return read(fd, &n, sizeof(n)) == sizeof(n);
}

static inline int vl_eventfd(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	assert_true(fd >= 0);
	return fd;
}

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
	unsigned int time_factor; /* the loop's clock runs so many times as fast; 0: 1 */
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
	if (cfg->time_factor) {
		vl_time_factor = cfg->time_factor;
		vl_clock = tvq_os_host;
		vl_clock.now = vl_now;
		w->l.exec->os = &vl_clock;
	}
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
