/* SPDX-License-Identifier: BSD-3-Clause */
#include "vu_front.h"

#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

/* Requests, numbers and layouts: QEMU's docs/interop/vhost-user.rst. */
enum {
	GET_FEATURES = 1,
	SET_FEATURES = 2,
	SET_OWNER = 3,
	SET_MEM_TABLE = 5,
	SET_VRING_NUM = 8,
	SET_VRING_ADDR = 9,
	SET_VRING_BASE = 10,
	GET_VRING_BASE = 11,
	SET_VRING_KICK = 12,
	SET_VRING_CALL = 13,
	GET_PROTOCOL_FEATURES = 15,
	SET_PROTOCOL_FEATURES = 16,
	SET_VRING_ENABLE = 18,
	GET_CONFIG = 24,
	GET_INFLIGHT_FD = 31,
	SET_INFLIGHT_FD = 32,
	ADD_MEM_REG = 37,
	SET_STATUS = 39,
};

enum {
	P_REPLY_ACK = 3,
	P_CONFIG = 9,
	P_INFLIGHT = 12,
	P_MEM_SLOTS = 15,
	P_STATUS = 16,
};

#define F_PROTOCOL	(1ull << 30)
#define FLAG_VERSION	1u
#define FLAG_REPLY	4u
#define FLAG_NEED_REPLY 8u
#define CONFIG_LEN	60u

struct region {
	uint64_t gpa, size, user, offset;
};

struct message {
	uint32_t request, flags, size;
	union {
		uint64_t u64;
		struct {
			uint32_t index, num;
		} state;
		struct {
			uint32_t index, flags;
			uint64_t desc, used, avail, log;
		} addr;
		struct {
			uint32_t n, padding;
			struct region region;
		} table;
		struct {
			uint64_t padding;
			struct region region;
		} slot;
		struct {
			uint32_t offset, size, flags;
			uint8_t data[CONFIG_LEN];
		} config;
		struct {
			uint64_t size, offset;
			uint16_t queues, queue_size;
		} inflight;
		uint8_t room[256];
	} u;
} __attribute__((packed));

#define HEAD offsetof(struct message, u)

static int fail(int err, const char *what)
{
	fprintf(stderr, "lean_client: %s: %s\n", what, strerror(-err));
	return err;
}

static int send_message(struct vu_front *f, struct message *m, uint32_t request, uint32_t size,
			int fd)
{
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov = { m, HEAD + size };
	struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1 };

	m->request = request;
	m->flags |= FLAG_VERSION;
	m->size = size;
	if (fd >= 0) {
		struct cmsghdr *c = &control.align;

		h.msg_control = control.room;
		h.msg_controllen = sizeof(control.room);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}
	if (sendmsg(f->sock, &h, MSG_NOSIGNAL) != (ssize_t)(HEAD + size))
		return -errno;
	return 0;
}

/* *fd (NULL: none is expected) gets the descriptor that comes with the answer, or -1. */
static int receive(struct vu_front *f, struct message *m, uint32_t request, int *fd)
{
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { m, HEAD };
	struct msghdr h = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control.room,
			    .msg_controllen = sizeof(control.room) };
	ssize_t n = recvmsg(f->sock, &h, MSG_WAITALL | MSG_CMSG_CLOEXEC);
	struct cmsghdr *c = CMSG_FIRSTHDR(&h);

	if (fd)
		*fd = -1;
	if (fd && c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
		memcpy(fd, CMSG_DATA(c), sizeof(int));
	if (n != (ssize_t)HEAD)
		return n < 0 ? -errno : -ECONNRESET;
	if (m->request != request || !(m->flags & FLAG_REPLY) || m->size > sizeof(m->u))
		return -EPROTO;
	n = recv(f->sock, &m->u, m->size, MSG_WAITALL);
	if (n != (ssize_t)m->size)
		return n < 0 ? -errno : -ECONNRESET;
	return 0;
}

/* Sends a request that has an answer of its own. */
static int ask(struct vu_front *f, struct message *m, uint32_t request, uint32_t size, int *fd,
	       const char *name)
{
	int err = send_message(f, m, request, size, -1);

	if (!err)
		err = receive(f, m, request, fd);
	return err ? fail(err, name) : 0;
}

/* Sends a request without an answer; waits for the server's word on it where it gives one. */
static int tell(struct vu_front *f, struct message *m, uint32_t request, uint32_t size, int fd,
		const char *name)
{
	bool ack = f->protocol & (1u << P_REPLY_ACK);
	int err;

	m->flags = ack ? FLAG_NEED_REPLY : 0;
	err = send_message(f, m, request, size, fd);
	if (!err && ack)
		err = receive(f, m, request, NULL);
	if (!err && ack && m->u.u64)
		err = -EREMOTEIO;
	return err ? fail(err, name) : 0;
}

static int tell_u64(struct vu_front *f, uint32_t request, uint64_t value, int fd, const char *name)
{
	struct message m = { .u.u64 = value };

	return tell(f, &m, request, 8, fd, name);
}

static int tell_state(struct vu_front *f, uint32_t request, uint32_t num, const char *name)
{
	struct message m = { .u.state = { 0, num } };

	return tell(f, &m, request, 8, -1, name);
}

static int connect_socket(struct vu_front *f, const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct timeval limit = { .tv_sec = 5 };
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (strlen(path) >= sizeof(sun.sun_path))
		return fail(-ENAMETOOLONG, path);
	memcpy(sun.sun_path, path, strlen(path));
	f->sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (f->sock < 0)
		return fail(-errno, "socket");
	if (connect(f->sock, (struct sockaddr *)&sun, sizeof(sun)))
		return fail(-errno, path);
	setsockopt(f->sock, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(f->sock, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (!getsockopt(f->sock, SOL_SOCKET, SO_PEERCRED, &cred, &len))
		f->server = cred.pid;
	return 0;
}

static int negotiate(struct vu_front *f, const struct vu_options *o)
{
	uint64_t want = 1ull << VIRTIO_F_VERSION_1 | F_PROTOCOL, need = want, offered;
	uint64_t protocol = 1u << P_REPLY_ACK | 1u << P_CONFIG | 1u << P_STATUS;
	struct message m = { 0 };
	int err = ask(f, &m, GET_FEATURES, 0, NULL, "GET_FEATURES");

	if (err)
		return err;
	if (o->packed)
		need |= 1ull << VIRTIO_F_RING_PACKED;
	if (o->indirect)
		need |= 1ull << VIRTIO_RING_F_INDIRECT_DESC;
	want |= need;
	if (!o->no_event_idx)
		want |= 1ull << VIRTIO_RING_F_EVENT_IDX;
	/* As a guest's kernel does: without it a server may make each write stable at once. */
	want |= 1ull << VIRTIO_BLK_F_FLUSH;
	offered = m.u.u64;
	if ((offered & need) != need)
		return fail(-ENOTSUP, "the server does not offer the features that were asked for");
	f->features = offered & want;

	m = (struct message){ 0 };
	err = ask(f, &m, GET_PROTOCOL_FEATURES, 0, NULL, "GET_PROTOCOL_FEATURES");
	if (err)
		return err;
	if (o->inflight)
		protocol |= 1u << P_INFLIGHT;
	if (o->mem_slots)
		protocol |= 1u << P_MEM_SLOTS;
	protocol &= m.u.u64;
	if (o->inflight && !(protocol & 1u << P_INFLIGHT))
		return fail(-ENOTSUP, "the server has no in-flight area");
	if (o->mem_slots && !(protocol & 1u << P_MEM_SLOTS))
		return fail(-ENOTSUP, "the server has no memory slots");
	err = tell_u64(f, SET_PROTOCOL_FEATURES, protocol, -1, "SET_PROTOCOL_FEATURES");
	f->protocol = protocol;
	m = (struct message){ 0 };
	if (!err)
		err = tell(f, &m, SET_OWNER, 0, -1, "SET_OWNER");
	if (!err)
		err = tell_u64(f, SET_FEATURES, f->features, -1, "SET_FEATURES");
	if (!err && f->protocol & 1u << P_STATUS)
		err = tell_u64(f, SET_STATUS,
			       VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
				       VIRTIO_CONFIG_S_FEATURES_OK,
			       -1, "SET_STATUS");
	return err;
}

static int read_capacity(struct vu_front *f)
{
	struct message m = { .u.config = { .size = CONFIG_LEN } };
	struct virtio_blk_config config;
	int err;

	if (!(f->protocol & 1u << P_CONFIG))
		return fail(-ENOTSUP, "the server does not show the configuration");
	err = ask(f, &m, GET_CONFIG, 12 + CONFIG_LEN, NULL, "GET_CONFIG");
	if (err)
		return err;
	if (m.size < 12 + sizeof(config.capacity))
		return fail(-EPROTO, "GET_CONFIG");
	memcpy(&config.capacity, m.u.config.data, sizeof(config.capacity));
	f->capacity = config.capacity * 512;
	return f->capacity ? 0 : fail(-EPROTO, "the device has no capacity");
}

static int share_memory(struct vu_front *f, const struct vu_options *o)
{
	struct message m = { 0 };
	struct region r;
	void *p;

	f->mem_size = (o->mem_size + 0x1fffff) & ~(size_t)0x1fffff;
	f->mem_fd = memfd_create("lean_client", MFD_CLOEXEC | (o->hugetlb ? MFD_HUGETLB : 0));
	if (f->mem_fd < 0 || ftruncate(f->mem_fd, (off_t)f->mem_size))
		return fail(-errno, "memfd");
	p = mmap(NULL, f->mem_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, f->mem_fd,
		 0);
	if (p == MAP_FAILED)
		return fail(-errno, "mmap of the shared memory");
	f->mem = p;

	r = (struct region){ VU_GPA, f->mem_size, (uintptr_t)f->mem, 0 };
	if (o->mem_slots) {
		m.u.slot.region = r;
		return tell(f, &m, ADD_MEM_REG, sizeof(m.u.slot), f->mem_fd, "ADD_MEM_REG");
	}
	m.u.table.n = 1;
	m.u.table.region = r;
	return tell(f, &m, SET_MEM_TABLE, sizeof(m.u.table), f->mem_fd, "SET_MEM_TABLE");
}

static int share_inflight(struct vu_front *f)
{
	struct message m = { .u.inflight = { .queues = 1, .queue_size = f->queue_size } };
	const uint32_t size = 20;
	int err = ask(f, &m, GET_INFLIGHT_FD, size, &f->inflight_fd, "GET_INFLIGHT_FD");

	if (err)
		return err;
	if (f->inflight_fd < 0 || !m.u.inflight.size)
		return fail(-EPROTO, "the server gave no in-flight area");
	m.u.inflight.queues = 1;
	m.u.inflight.queue_size = f->queue_size;
	return tell(f, &m, SET_INFLIGHT_FD, size, f->inflight_fd, "SET_INFLIGHT_FD");
}

int vu_connect(struct vu_front *f, const struct vu_options *o)
{
	int err;

	*f = (struct vu_front){
		.sock = -1, .mem_fd = -1, .inflight_fd = -1, .queue_size = o->queue_size
	};
	f->kick = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	f->call = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	err = f->kick < 0 || f->call < 0 ? fail(-errno, "eventfd") : 0;
	if (!err)
		err = connect_socket(f, o->path);
	if (!err)
		err = negotiate(f, o);
	if (!err)
		err = read_capacity(f);
	if (!err)
		err = share_memory(f, o);
	if (!err && o->inflight)
		err = share_inflight(f);
	if (err)
		vu_close(f);
	return err;
}

int vu_start(struct vu_front *f, const struct vu_ring_at *at)
{
	bool packed = f->features & (1ull << VIRTIO_F_RING_PACKED);
	uint64_t base = (uintptr_t)f->mem;
	struct message m = { .u.addr = { .desc = base + at->desc,
					 .used = base + at->device,
					 .avail = base + at->driver } };
	/* A packed ring's position: index 0, wrap counter 1, for both halves. */
	int err = tell_state(f, SET_VRING_NUM, f->queue_size, "SET_VRING_NUM");

	if (!err)
		err = tell_state(f, SET_VRING_BASE, packed ? 0x80008000u : 0, "SET_VRING_BASE");
	if (!err)
		err = tell(f, &m, SET_VRING_ADDR, sizeof(m.u.addr), -1, "SET_VRING_ADDR");
	if (!err)
		err = tell_u64(f, SET_VRING_CALL, 0, f->call, "SET_VRING_CALL");
	if (!err)
		err = tell_u64(f, SET_VRING_KICK, 0, f->kick, "SET_VRING_KICK");
	if (!err)
		err = tell_state(f, SET_VRING_ENABLE, 1, "SET_VRING_ENABLE");
	if (!err && f->protocol & 1u << P_STATUS)
		err = tell_u64(f, SET_STATUS,
			       VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
				       VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK,
			       -1, "SET_STATUS");
	f->running = !err;
	return err;
}

int vu_stop(struct vu_front *f)
{
	struct message m = { 0 };

	f->running = false;
	return ask(f, &m, GET_VRING_BASE, 8, NULL, "GET_VRING_BASE");
}

void vu_close(struct vu_front *f)
{
	const int fds[] = { f->sock, f->mem_fd, f->inflight_fd, f->kick, f->call };
	size_t i;

	if (f->running)
		vu_stop(f);
	if (f->mem)
		munmap(f->mem, f->mem_size);
	for (i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		if (fds[i] >= 0)
			close(fds[i]);
	}
}
