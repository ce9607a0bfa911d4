/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A vhost-user front end for tests. It sends the bytes that it is told to, so that it can be QEMU
 * or an enemy; while it waits the lab's loop turns.
 */
#ifndef TVQ_TESTS_VU_FRONT_H
#define TVQ_TESTS_VU_FRONT_H

#include "vu_lab.h"

#define FRONT_MEM_BYTES (4u << 20)
#define FRONT_GUEST	0x40000000ull	  /* where the guest has its memory */
#define FRONT_USER	0x7f1200000000ull /* where the front end says that it has it */
#define FRONT_RING_AT	0u		  /* rings, from here 64 KiB for each queue */
#define FRONT_BUF_AT	(2u << 20)
#define FRONT_RING_SIZE 64
#define FRONT_QUEUES	4

struct vu_front {
	struct vu_lab *l;
	int fd;		    /* -1: not connected */
	int memfd, back[2]; /* back[0]: our end of the back-end channel */
	uint8_t *mem;
	uint64_t features, protocol;
	int kick[FRONT_QUEUES], call[FRONT_QUEUES], err[FRONT_QUEUES];
	struct tvq_drv_ring *ring[FRONT_QUEUES];
	int inflight_fd;
	struct vu_inflight inflight;
};

static inline void front_connect(struct vu_front *f)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	strcpy(sa.sun_path, f->l->path);
	f->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(f->fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
}

static inline void front_init(struct vu_front *f, struct vu_lab *l)
{
	unsigned int q;

	memset(f, 0, sizeof(*f));
	f->l = l;
	f->fd = -1;
	f->back[0] = f->back[1] = -1;
	f->inflight_fd = -1;
	f->memfd = memfd_create("guest", MFD_CLOEXEC);
	assert_int_equal(ftruncate(f->memfd, FRONT_MEM_BYTES), 0);
	f->mem = mmap(NULL, FRONT_MEM_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, f->memfd, 0);
	assert_ptr_not_equal(f->mem, MAP_FAILED);
	for (q = 0; q < FRONT_QUEUES; q++) {
		f->kick[q] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		f->call[q] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		f->err[q] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	}
	front_connect(f);
}

static inline void front_hang_up(struct vu_front *f)
{
	if (f->fd >= 0)
		close(f->fd);
	if (f->back[0] >= 0)
		close(f->back[0]);
	f->fd = f->back[0] = -1;
}

static inline void front_free(struct vu_front *f)
{
	unsigned int q;

	front_hang_up(f);
	for (q = 0; q < FRONT_QUEUES; q++) {
		close(f->kick[q]);
		close(f->call[q]);
		close(f->err[q]);
		if (f->ring[q])
			tvq_drv_ring_free(f->ring[q]);
	}
	if (f->inflight_fd >= 0)
		close(f->inflight_fd);
	munmap(f->mem, FRONT_MEM_BYTES);
	close(f->memfd);
}

/* False: the connection is closed. */
static inline bool front_raw(struct vu_front *f, const void *buf, size_t len, const int *fds,
			     unsigned int n)
{
	char control[CMSG_SPACE(32 * sizeof(int))] = { 0 };
	struct iovec iov = { (void *)buf, len };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (n) {
		struct cmsghdr *h = (struct cmsghdr *)control;

		m.msg_control = control;
		m.msg_controllen = CMSG_SPACE(n * sizeof(int));
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(h), fds, n * sizeof(int));
	}
	return sendmsg(f->fd, &m, MSG_NOSIGNAL) == (ssize_t)len;
}

static inline bool front_send(struct vu_front *f, uint32_t request, uint32_t flags,
			      const void *payload, uint32_t size, const int *fds, unsigned int n)
{
	uint8_t buf[1024];
	struct vu_header h = { request, VU_VERSION | flags, size };

	memcpy(buf, &h, sizeof(h));
	if (size)
		memcpy(buf + sizeof(h), payload, size);
	return front_raw(f, buf, sizeof(h) + size, fds, n);
}

/* Waits for len bytes and at most one descriptor; false: closed. */
static inline bool front_read(struct vu_front *f, void *buf, size_t len, int *fd)
{
	char control[CMSG_SPACE(sizeof(int))];
	size_t got = 0;

	while (got < len) {
		struct iovec iov = { (char *)buf + got, len - got };
		struct msghdr m = { .msg_iov = &iov,
				    .msg_iovlen = 1,
				    .msg_control = control,
				    .msg_controllen = sizeof(control) };
		ssize_t n = -1;

		LAB_UNTIL(f->l, (n = recvmsg(f->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC)) >= 0 ||
					errno != EAGAIN);
		if (n <= 0)
			return false;
		got += (size_t)n;
		if (m.msg_controllen && CMSG_FIRSTHDR(&m)) {
			assert_non_null(fd);
			memcpy(fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(int));
		}
	}
	return true;
}

/* The size of the reply's payload; -1: closed. */
static inline int front_reply(struct vu_front *f, uint32_t request, void *payload, uint32_t max,
			      int *fd)
{
	struct vu_header h;

	if (!front_read(f, &h, sizeof(h), fd))
		return -1;
	assert_int_equal(h.request, request);
	assert_int_equal(h.flags, VU_VERSION | VU_REPLY);
	assert_true(h.size <= max);
	if (h.size && !front_read(f, payload, h.size, fd))
		return -1;
	return (int)h.size;
}

static inline bool front_closed(struct vu_front *f)
{
	char byte;

	return !front_read(f, &byte, 1, NULL);
}

/* Sends with NEED_REPLY: 0 taken, 1 refused, -1 closed. */
static inline int front_ask(struct vu_front *f, uint32_t request, const void *payload,
			    uint32_t size, const int *fds, unsigned int n)
{
	uint64_t v = 0;

	if (!front_send(f, request, VU_NEED_REPLY, payload, size, fds, n))
		return -1;
	if (front_reply(f, request, &v, sizeof(v), NULL) != sizeof(v))
		return -1;
	return (int)v;
}

static inline uint64_t front_get(struct vu_front *f, uint32_t request)
{
	uint64_t v = 0;

	front_send(f, request, 0, NULL, 0, NULL, 0);
	assert_int_equal(front_reply(f, request, &v, sizeof(v), NULL), sizeof(v));
	return v;
}

static inline bool front_set(struct vu_front *f, uint32_t request, uint64_t v)
{
	return front_send(f, request, 0, &v, sizeof(v), NULL, 0);
}

static inline bool front_state(struct vu_front *f, uint32_t request, uint32_t index, uint32_t num)
{
	struct vu_vring_state s = { index, num };

	return front_send(f, request, 0, &s, sizeof(s), NULL, 0);
}

static inline int front_ask_state(struct vu_front *f, uint32_t request, uint32_t index,
				  uint32_t num)
{
	struct vu_vring_state s = { index, num };

	return front_ask(f, request, &s, sizeof(s), NULL, 0);
}

static inline bool front_vring_fd(struct vu_front *f, uint32_t request, uint32_t index, int fd)
{
	uint64_t v = index | (fd < 0 ? VU_VRING_NOFD : 0);

	return front_send(f, request, 0, &v, sizeof(v), &fd, fd < 0 ? 0 : 1);
}

/* The position; UINT32_MAX: closed. */
static inline uint32_t front_get_base(struct vu_front *f, uint32_t index)
{
	struct vu_vring_state s = { index, 0 };

	if (!front_send(f, VU_GET_VRING_BASE, 0, &s, sizeof(s), NULL, 0))
		return UINT32_MAX;
	if (front_reply(f, VU_GET_VRING_BASE, &s, sizeof(s), NULL) != sizeof(s))
		return UINT32_MAX;
	assert_int_equal(s.index, index);
	return s.num;
}

static inline struct vu_mem_one front_region(void)
{
	return (struct vu_mem_one){ 0, { FRONT_GUEST, FRONT_MEM_BYTES, FRONT_USER, 0 } };
}

static inline int front_add_mem(struct vu_front *f)
{
	struct vu_mem_one m = front_region();

	return front_ask(f, VU_ADD_MEM_REG, &m, sizeof(m), &f->memfd, 1);
}

/* A new, empty ring in the guest's memory. */
static inline void front_make_ring(struct vu_front *f, unsigned int q)
{
	uint32_t at = FRONT_RING_AT + q * 0x10000;
	struct tvq_drv_ring_cfg cfg = {
		.packed = f->features >> VIRTIO_F_RING_PACKED & 1,
		.event_idx = f->features >> VIRTIO_RING_F_EVENT_IDX & 1,
		.indirect = f->features >> VIRTIO_RING_F_INDIRECT_DESC & 1,
		.in_order = f->features >> VIRTIO_F_IN_ORDER & 1,
		.size = FRONT_RING_SIZE,
		.mem = f->mem + at,
		.iova = FRONT_GUEST + at,
	};

	if (f->ring[q])
		tvq_drv_ring_free(f->ring[q]);
	memset(cfg.mem, 0, 0x10000);
	assert_true(tvq_drv_ring_bytes(cfg.packed, cfg.size, 4) <= 0x10000);
	f->ring[q] = tvq_drv_ring_new(&tvq_os_host, &cfg, 4);
	assert_non_null(f->ring[q]);
}

static inline struct vu_vring_addr front_addr(struct vu_front *f, unsigned int q)
{
	struct vu_vring_addr a = { .index = q };

	tvq_drv_ring_areas(f->ring[q], &a.descriptor, &a.available, &a.used);
	a.descriptor += FRONT_USER - FRONT_GUEST;
	a.available += FRONT_USER - FRONT_GUEST;
	a.used += FRONT_USER - FRONT_GUEST;
	return a;
}

static inline bool front_send_addr(struct vu_front *f, unsigned int q)
{
	struct vu_vring_addr a = front_addr(f, q);

	return front_send(f, VU_SET_VRING_ADDR, 0, &a, sizeof(a), NULL, 0);
}

static inline bool front_set_inflight(struct vu_front *f)
{
	return front_send(f, VU_SET_INFLIGHT_FD, 0, &f->inflight, sizeof(f->inflight),
			  &f->inflight_fd, 1);
}

static inline void front_get_inflight(struct vu_front *f, unsigned int queues)
{
	struct vu_inflight a = { .num_queues = (uint16_t)queues, .queue_size = FRONT_RING_SIZE };

	front_send(f, VU_GET_INFLIGHT_FD, 0, &a, sizeof(a), NULL, 0);
	assert_int_equal(front_reply(f, VU_GET_INFLIGHT_FD, &f->inflight, sizeof(a),
				     &f->inflight_fd),
			 sizeof(a));
}

#define FRONT_FEATURES                                                                             \
	(BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_RING_F_EVENT_IDX) |                                  \
	 BIT(VIRTIO_RING_F_INDIRECT_DESC) | BIT(VIRTIO_BLK_F_FLUSH) | BIT(VU_F_PROTOCOL_FEATURES))

/*
 * What QEMU sends for a block device of one queue, in its order, one message a step. Returns false
 * when the device runs. f->features holds what the guest's driver takes.
 */
static inline bool front_handshake_step(struct vu_front *f, unsigned int step)
{
	uint8_t config[sizeof(struct vu_config) + 60] = { 0 };
	uint64_t zero = 0;

	switch (step) {
	case 0:
	case 7:
		assert_int_equal(front_get(f, VU_GET_FEATURES) & f->features, f->features);
		break;
	case 1:
		f->protocol = front_get(f, VU_GET_PROTOCOL_FEATURES);
		break;
	case 2:
		assert_true(front_set(f, VU_SET_PROTOCOL_FEATURES, f->protocol));
		break;
	case 3:
		assert_true(front_get(f, VU_GET_QUEUE_NUM) >= 1);
		break;
	case 4:
		assert_true(front_get(f, VU_GET_MAX_MEM_SLOTS) >= 8);
		break;
	case 5:
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, f->back), 0);
		assert_int_equal(front_ask(f, VU_SET_BACKEND_REQ_FD, NULL, 0, &f->back[1], 1), 0);
		close(f->back[1]);
		f->back[1] = -1;
		break;
	case 6:
		assert_true(front_send(f, VU_SET_OWNER, 0, NULL, 0, NULL, 0));
		break;
	case 8:
		assert_true(front_vring_fd(f, VU_SET_VRING_CALL, 0, f->err[0]));
		break;
	case 9:
		assert_true(front_vring_fd(f, VU_SET_VRING_ERR, 0, f->err[0]));
		break;
	case 10:
		((struct vu_config *)config)->size = 60;
		front_send(f, VU_GET_CONFIG, 0, config, sizeof(config), NULL, 0);
		assert_int_equal(front_reply(f, VU_GET_CONFIG, config, sizeof(config), NULL),
				 sizeof(config));
		break;
	case 11:
	case 16:
		assert_true(front_set(f, VU_SET_FEATURES, f->features));
		break;
	case 12:
		front_get(f, VU_GET_STATUS);
		break;
	case 13:
		assert_true(front_set(f, VU_SET_STATUS, VIRTIO_CONFIG_S_FEATURES_OK));
		break;
	case 14:
		if (f->inflight_fd < 0)
			front_get_inflight(f, 1);
		break;
	case 15:
		assert_true(front_set_inflight(f));
		break;
	case 17:
		assert_int_equal(front_add_mem(f), 0);
		break;
	case 18:
		if (!f->ring[0])
			front_make_ring(f, 0);
		assert_true(front_state(f, VU_SET_VRING_NUM, 0, FRONT_RING_SIZE));
		break;
	case 19:
		assert_true(front_state(f, VU_SET_VRING_BASE, 0,
					f->features >> VIRTIO_F_RING_PACKED & 1 ? 0x80008000 : 0));
		break;
	case 20:
		assert_true(front_send_addr(f, 0));
		break;
	case 21:
		assert_true(front_vring_fd(f, VU_SET_VRING_KICK, 0, f->kick[0]));
		break;
	case 22:
		assert_true(front_vring_fd(f, VU_SET_VRING_CALL, 0, f->call[0]));
		break;
	case 23:
		assert_int_equal(front_ask_state(f, VU_SET_VRING_ENABLE, 0, 1), 0);
		break;
	default:
		(void)zero;
		return false;
	}
	return true;
}

static inline void front_handshake(struct vu_front *f)
{
	unsigned int step;

	for (step = 0; front_handshake_step(f, step); step++)
		;
}

static inline bool front_called(struct vu_front *f, unsigned int q)
{
	uint64_t n;

	return read(f->call[q], &n, sizeof(n)) == sizeof(n);
}

/* Puts a request into the ring, without a kick. Slot: which buffer it uses. */
static inline void front_put(struct vu_front *f, unsigned int q, unsigned int slot, uint32_t type,
			     uint64_t sector, uint32_t len)
{
	uint32_t at = FRONT_BUF_AT + slot * 0x4000;
	struct virtio_blk_outhdr *h = (struct virtio_blk_outhdr *)(f->mem + at);
	struct tvq_sg sg[3] = {
		{ FRONT_GUEST + at, sizeof(*h) },
		{ FRONT_GUEST + at + 0x1000, len },
		{ FRONT_GUEST + at + 0x800, 1 },
	};
	bool in = type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_GET_ID;

	h->type = type;
	h->ioprio = 0;
	h->sector = sector;
	f->mem[at + 0x800] = 0xff;
	if (!len)
		sg[1] = sg[2];
	assert_int_equal(
		tvq_drv_ring_add(f->ring[q], sg, in || !len ? 1 : 2, len ? (in ? 2 : 1) : 1, h), 0);
}

static inline uint8_t *front_data(struct vu_front *f, unsigned int slot)
{
	return f->mem + FRONT_BUF_AT + slot * 0x4000 + 0x1000;
}

static inline uint8_t front_status(struct vu_front *f, unsigned int slot)
{
	return f->mem[FRONT_BUF_AT + slot * 0x4000 + 0x800];
}

static inline void front_kick(struct vu_front *f, unsigned int q)
{
	uint64_t one = 1;

	if (tvq_drv_ring_publish(f->ring[q]))
		assert_int_equal(write(f->kick[q], &one, sizeof(one)), sizeof(one));
}

/* One request from start to end, its interrupt included; returns its status. */
static inline uint8_t front_io(struct vu_front *f, unsigned int q, uint32_t type, uint64_t sector,
			       uint32_t len)
{
	uint32_t written;
	void *token;

	tvq_drv_ring_interrupts_on(f->ring[q]);
	front_put(f, q, 0, type, sector, len);
	front_kick(f, q);
	LAB_UNTIL(f->l, (token = tvq_drv_ring_get(f->ring[q], &written)) != NULL);
	LAB_UNTIL(f->l, front_called(f, q));
	return front_status(f, 0);
}

static inline void pattern(uint8_t *p, uint32_t len, unsigned int seed)
{
	uint32_t i;

	for (i = 0; i < len; i++)
		p[i] = (uint8_t)(i * 7 + seed);
}

static inline void write_and_read_back(struct vu_front *f, unsigned int q, unsigned int seed)
{
	uint8_t want[4096];

	pattern(want, sizeof(want), seed);
	memcpy(front_data(f, 0), want, sizeof(want));
	assert_int_equal(front_io(f, q, VIRTIO_BLK_T_OUT, 8 * seed, sizeof(want)), VIRTIO_BLK_S_OK);
	memset(front_data(f, 0), 0, sizeof(want));
	assert_int_equal(front_io(f, q, VIRTIO_BLK_T_IN, 8 * seed, sizeof(want)), VIRTIO_BLK_S_OK);
	assert_memory_equal(front_data(f, 0), want, sizeof(want));
}

/* A lab, a front end and a running device. */
struct run {
	struct vu_lab l;
	struct vu_front f;
};

static inline void start(struct run *r, const struct vu_lab_cfg *cfg, uint64_t features)
{
	static const struct vu_lab_cfg none;

	lab_open(&r->l, cfg ? cfg : &none);
	front_init(&r->f, &r->l);
	r->f.features = FRONT_FEATURES | features;
	front_handshake(&r->f);
}

static inline void end(struct run *r)
{
	front_free(&r->f);
	lab_close(&r->l);
}

/* Takes n used buffers, whose order does not matter. */
static inline void take_used(struct run *r, unsigned int q, unsigned int n)
{
	uint32_t written;

	while (n--)
		LAB_UNTIL(&r->l, tvq_drv_ring_get(r->f.ring[q], &written) != NULL);
}

/* Both formats. */
static const uint64_t formats[] = { 0, BIT(VIRTIO_F_RING_PACKED) };

#endif
