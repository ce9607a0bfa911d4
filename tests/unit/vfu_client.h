/* SPDX-License-Identifier: BSD-3-Clause */
/* A vfio-user client that is made of nothing but messages on a real socket. See vfu_lab.h. */
#ifndef TVQ_TESTS_VFU_CLIENT_H
#define TVQ_TESTS_VFU_CLIENT_H

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

/* The loop's clock: the host's, and what the test skips. */
static inline uint64_t vl_now(void)
{
	return tvq_os_host.now() + vl_skipped;
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

/* The server ends the connection, in order; what it had to say before is thrown away. */
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
	assert_int_equal(n, 0);
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

#endif
