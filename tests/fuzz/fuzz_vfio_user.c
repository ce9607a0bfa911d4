/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Feeds sequences of messages, with descriptors, to the real vfio-user server on a real loop, over a
 * real socket, with a real management device behind it.
 *
 * An input is a row of steps, each an octet that says what, and its arguments:
 *
 *   0 MESSAGE   command, flags, size (2 octets, little-endian: of the payload), number of
 *               descriptors, so many kinds of descriptors, then size octets of payload (as many as
 *               there are); the version is agreed upon first, unless it is the message
 *   1 TURNS     n: the loop turns so often
 *   2 ANSWER    how: to the oldest DMA write that has no answer, 0: done, 1: an error, 2: twice,
 *               3: with another id
 *   3 TRUNCATE  n: the memory shrinks to n MiB, and has its size again after four turns
 *   4 RAW       n, then n octets as they are
 *   5 AGAIN     hangs up and connects anew
 *   6 SCRIBBLE  offset in 64 KiB, n, n octets: written into the memory
 *   7 REGION    region, offset (4 octets), n, n octets: a posted write of them
 *
 * Octets above take the remainder of a division by 8. Descriptors of kind 0 are the memory, 1 and 2
 * eventfds without and with O_NONBLOCK, 3 a socket, 4 a pipe, 5 a directory, 6 an eventfd with a
 * full counter, 7 the memory again, which may only be read.
 *
 * After each input the connection ends, and everything that belonged to it has to be gone. seeds/
 * are recorded from QEMU by record_vfio_user.py.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <tvq/loop.h>
#include <tvq/mapping.h>
#include <tvq/volumes.h>

#include "vfio_user/proto.h"
#include "vfio_user/server.h"

#define MEM_BYTES (1ull << 30)
#define PART	  0x10000u

enum { MESSAGE, TURNS, ANSWER, TRUNCATE, RAW, AGAIN, SCRIBBLE, REGION, STEPS };
enum {
	FD_MEMORY,
	FD_EVENT,
	FD_EVENT_NB,
	FD_SOCKET,
	FD_PIPE,
	FD_DIR,
	FD_FULL,
	FD_READ_ONLY,
	FD_KINDS
};

static struct {
	struct tvq_os os;
	struct tvq_loop *loop;
	struct tvq_vfio_user *s;
	char path[64];
	int sock;
	uint16_t id;
	bool agreed;
	uint16_t asked[64]; /* ids of DMA writes without an answer */
	unsigned int n_asked;
	int kinds[FD_KINDS];
	int socket_other, pipe_other;
	uint8_t *mem;
	int fds;
	unsigned int mappings;
} lab;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "fuzz_vfio_user: %s\n", what);
	abort();
}

static void quiet(enum tvq_log_level level, const char *fmt, va_list ap)
{
	(void)level;
	(void)fmt;
	(void)ap;
}

static int open_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void turn(unsigned int n)
{
	while (n--)
		tvq_loop_turn(lab.loop, false);
}

static void make_descriptors(void)
{
	uint64_t full = UINT64_MAX - 1;
	char path[32];
	int fds[2];

	lab.kinds[FD_MEMORY] = memfd_create("guest", MFD_CLOEXEC);
	need(!ftruncate(lab.kinds[FD_MEMORY], MEM_BYTES), "memory");
	lab.mem = mmap(NULL, MEM_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
		       lab.kinds[FD_MEMORY], 0);
	need(lab.mem != MAP_FAILED, "memory");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", lab.kinds[FD_MEMORY]);
	lab.kinds[FD_READ_ONLY] = open(path, O_RDONLY | O_CLOEXEC);
	lab.kinds[FD_EVENT] = eventfd(0, EFD_CLOEXEC);
	lab.kinds[FD_EVENT_NB] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	need(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), "sockets");
	lab.kinds[FD_SOCKET] = fds[0];
	lab.socket_other = fds[1];
	need(!pipe2(fds, O_CLOEXEC), "pipe");
	lab.kinds[FD_PIPE] = fds[1];
	lab.pipe_other = fds[0];
	lab.kinds[FD_DIR] = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	lab.kinds[FD_FULL] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	need(write(lab.kinds[FD_FULL], &full, sizeof(full)) == sizeof(full), "eventfd");
}

static void set_up(void)
{
	struct tvq_vfio_user_cfg cfg = { .pci.msi_page = true };
	struct tvq_loop_cfg lc = { .cpu = -1 };
	struct tvq_volume_pool *pool;
	char err[TVQ_VFIO_USER_ERR_LEN];
	int ret;

	lab.os = tvq_os_host;
	lab.os.vlog = quiet;
	lab.loop = tvq_loop_new(&lc, &ret);
	need(lab.loop != NULL, "loop");
	pool = tvq_volume_pool_new(tvq_loop_exec(lab.loop));
	need(!tvq_volume_pool_add(pool, tvq_volume_ram("ram", 1 << 20, err)), "volume");
	snprintf(lab.path, sizeof(lab.path), "/tmp/tvq-fuzz-vfu-%d.sock", (int)getpid());
	cfg.path = lab.path;
	cfg.loop = lab.loop;
	cfg.pci.mgmt.os = &lab.os;
	cfg.pci.mgmt.control = tvq_loop_exec(lab.loop);
	cfg.pci.mgmt.pool = tvq_volume_pool_pool(pool);
	lab.s = tvq_vfio_user_new(&cfg, err);
	need(lab.s != NULL, err);
	make_descriptors();
	turn(8);
	lab.mappings = tvq_mapping_count();
}

/* ---- the client ---- */

static void hook_up(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	strcpy(sa.sun_path, lab.path);
	lab.sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	need(!connect(lab.sock, (struct sockaddr *)&sa, sizeof(sa)), "connect");
	lab.agreed = false;
	lab.n_asked = 0;
	turn(2);
}

/* Reads what has come, so that the socket does not fill; remembers what the server asks for. */
static void drain(void)
{
	static uint8_t buf[sizeof(struct vu_hdr) + sizeof(struct vu_region_rw) + VU_MAX_DATA];
	struct vu_hdr *h = (struct vu_hdr *)buf;

	while (recv(lab.sock, buf, sizeof(*h), MSG_DONTWAIT) == sizeof(*h)) {
		size_t left = h->size - sizeof(*h);

		need(h->size >= sizeof(*h) && h->size <= sizeof(buf), "a reply's size");
		while (left) {
			ssize_t n = recv(lab.sock, buf + h->size - left, left, MSG_DONTWAIT);

			if (n > 0)
				left -= (size_t)n;
			else if (n < 0 && errno == EAGAIN)
				turn(1);
			else
				return;
		}
		if ((h->flags & VU_TYPE_MASK) == VU_REPLY)
			continue;
		need(h->command == VU_DMA_WRITE, "it asks for something else than a DMA write");
		need(lab.n_asked < 64, "more DMA writes than it may ask for");
		lab.asked[lab.n_asked++] = h->id;
	}
}

static void hang_up(void)
{
	struct tvq_vfio_user_stats st;
	uint64_t end = tvq_os_host.now() + 20000000000ull;

	close(lab.sock);
	do {
		turn(4);
		tvq_vfio_user_stats(lab.s, &st);
		need(tvq_os_host.now() < end, "the connection does not end");
	} while (st.connected);
	need(!st.regions, "a region is left behind");
}

static void send_all(const void *buf, size_t len, const int *fds, unsigned int n)
{
	char control[CMSG_SPACE(16 * sizeof(int))] = { 0 };
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
	sendmsg(lab.sock, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void send_message(uint16_t command, uint32_t flags, const void *payload, uint32_t size,
			 uint32_t have, const int *fds, unsigned int n)
{
	static uint8_t buf[sizeof(struct vu_hdr) + 2 * VU_MAX_DATA];
	struct vu_hdr h = { .id = ++lab.id,
			    .command = command,
			    .size = (uint32_t)sizeof(h) + size,
			    .flags = flags };

	memcpy(buf, &h, sizeof(h));
	if (have)
		memcpy(buf + sizeof(h), payload, have);
	send_all(buf, sizeof(h) + have, fds, n);
}

static void agree(void)
{
	const struct vu_version v = { VU_MAJOR, VU_MINOR };

	if (lab.agreed)
		return;
	lab.agreed = true;
	send_message(VU_VERSION, 0, &v, sizeof(v), sizeof(v), NULL, 0);
}

static void answer(unsigned int how)
{
	struct vu_hdr h = { .command = VU_DMA_WRITE, .size = sizeof(h), .flags = VU_REPLY };

	if (!lab.n_asked)
		return;
	h.id = lab.asked[0];
	memmove(lab.asked, lab.asked + 1, --lab.n_asked * sizeof(lab.asked[0]));
	if (how == 1) {
		h.flags |= VU_ERROR;
		h.error = ENODEV;
	}
	if (how == 3)
		h.id ^= 0x40;
	send_all(&h, sizeof(h), NULL, 0);
	if (how == 2)
		send_all(&h, sizeof(h), NULL, 0);
}

/* ---- the input ---- */

struct input {
	const uint8_t *p;
	size_t left;
};

static uint8_t octet(struct input *in)
{
	if (!in->left)
		return 0;
	in->left--;
	return *in->p++;
}

static const uint8_t *octets(struct input *in, size_t *n)
{
	const uint8_t *p = in->p;

	if (*n > in->left)
		*n = in->left;
	in->p += *n;
	in->left -= *n;
	return p;
}

static void message(struct input *in)
{
	uint16_t command = octet(in);
	uint32_t flags = octet(in);
	uint32_t size = octet(in);
	unsigned int n, count = 0;
	const uint8_t *p;
	size_t have;
	int fds[16];

	size |= (uint32_t)octet(in) << 8;
	n = octet(in) % 17;
	for (unsigned int i = 0; i < n; i++)
		fds[count++] = lab.kinds[octet(in) % FD_KINDS];
	have = size;
	p = octets(in, &have);
	if (command == VU_VERSION)
		lab.agreed = true;
	agree();
	send_message(command, flags, p, size, (uint32_t)have, fds, count);
}

static void region(struct input *in)
{
	struct {
		struct vu_region_rw rw;
		uint8_t data[256];
	} m = { .rw.region = octet(in) % 9 };
	const uint8_t *p;
	size_t n;

	for (unsigned int i = 0; i < 4; i++)
		m.rw.offset |= (uint64_t)octet(in) << 8 * i;
	n = octet(in);
	p = octets(in, &n);
	if (!n)
		return;
	m.rw.count = (uint32_t)n;
	memcpy(m.data, p, n);
	agree();
	send_message(VU_REGION_WRITE, VU_NO_REPLY, &m, (uint32_t)(sizeof(m.rw) + n),
		     (uint32_t)(sizeof(m.rw) + n), NULL, 0);
}

static void step(struct input *in)
{
	const uint8_t *p;
	unsigned int at;
	size_t n;

	switch (octet(in) % STEPS) {
	case MESSAGE:
		message(in);
		turn(2);
		drain();
		break;
	case TURNS:
		turn(octet(in) % 32);
		drain();
		break;
	case ANSWER:
		answer(octet(in) % 4);
		turn(1);
		break;
	case TRUNCATE:
		need(!ftruncate(lab.kinds[FD_MEMORY], octet(in) << 20), "truncate");
		turn(4);
		need(!ftruncate(lab.kinds[FD_MEMORY], MEM_BYTES), "truncate");
		break;
	case RAW:
		n = octet(in);
		p = octets(in, &n);
		send_all(p, n, NULL, 0);
		turn(1);
		break;
	case AGAIN:
		hang_up();
		hook_up();
		break;
	case SCRIBBLE:
		at = octet(in);
		n = octet(in);
		p = octets(in, &n);
		if (n)
			memcpy(lab.mem + (uint64_t)at * PART, p, n);
		break;
	case REGION:
		region(in);
		turn(1);
		drain();
		break;
	}
}

/* As new for the next input; and it has to answer. */
static void reset_device(void)
{
	uint8_t reply[512];
	uint64_t end = tvq_os_host.now() + 20000000000ull;
	size_t got = 0;

	hook_up();
	agree();
	send_message(VU_DEVICE_RESET, 0, NULL, 0, 0, NULL, 0);
	while (got < sizeof(struct vu_hdr) || ((struct vu_hdr *)(reply))->size > got - 16) {
		ssize_t n = recv(lab.sock, reply + got, sizeof(reply) - got, MSG_DONTWAIT);

		need(n > 0 || (n < 0 && errno == EAGAIN), "the next client is not served");
		got += n > 0 ? (size_t)n : 0;
		need(tvq_os_host.now() < end, "the device is not reset");
		turn(1);
	}
	hang_up();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	uint64_t end;

	if (!lab.loop)
		set_up();
	/* Each time: the fuzzer's own symbolizer takes some too. */
	lab.fds = open_fds();
	hook_up();
	while (in.left)
		step(&in);
	turn(4);
	drain();
	hang_up();
	reset_device();
	madvise(lab.mem, MEM_BYTES, MADV_REMOVE);
	/* Some are closed by the kernel's own threads, which take their time. */
	end = tvq_os_host.now() + 5000000000ull;
	while (open_fds() != lab.fds && tvq_os_host.now() < end)
		turn(1);
	need(open_fds() == lab.fds, "a descriptor is left behind");
	need(tvq_mapping_count() == lab.mappings, "a mapping is left behind");
	return 0;
}
