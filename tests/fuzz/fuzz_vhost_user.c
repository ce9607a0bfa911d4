/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Feeds sequences of messages, with descriptors, to the real presenter on a real loop, over a real
 * socket.
 *
 * An input is a row of steps, each an octet that says what, and its arguments:
 *
 *   0 MESSAGE   request, flags, size (2 octets, little-endian: the header's), number of
 *               descriptors, so many kinds of descriptors, then size octets of payload (as many as
 *               there are)
 *   1 TURNS     n: the loop turns so often
 *   2 KICK      signals the eventfd
 *   3 TRUNCATE  n: the memory shrinks to n MiB, and has its size again after four turns
 *   4 RAW       n, then n octets as they are
 *   5 AGAIN     hangs up and connects anew
 *   6 SCRIBBLE  offset in 64 KiB, n, n octets: written into the memory
 *   7 FILL      offset in 64 KiB, value: 64 KiB of it into the in-flight area that came last, or
 *               the memory
 *   8 OTHER     hangs up and connects to the other device: the first is for block, the second for
 *               network
 *
 * Octets above take the remainder of a division by 9. Descriptors of kind 0 are the memory, 1 and 2
 * eventfds without and with O_NONBLOCK, 3 a socket, 4 a pipe, 5 a directory, 6 an eventfd with a
 * full counter, 7 the in-flight area that came last.
 *
 * After each input the connection ends, and everything that belonged to it has to be gone:
 * descriptors, mappings, and the device is as new.
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

#include <linux/virtio_ids.h>

#include <tvq/inproc.h>
#include <tvq/loop.h>
#include <tvq/mapping.h>
#include <tvq/volumes.h>

#include <present/proto.h>
#include <present/vhost_user.h>

#define MEM_BYTES (1ull << 30)
#define QUEUES	  2
#define PART	  0x10000u

enum { MESSAGE, TURNS, KICK, TRUNCATE, RAW, AGAIN, SCRIBBLE, FILL, OTHER, STEPS };
enum {
	FD_MEMORY,
	FD_EVENT,
	FD_EVENT_NB,
	FD_SOCKET,
	FD_PIPE,
	FD_DIR,
	FD_FULL,
	FD_INFLIGHT,
	FD_KINDS
};

static struct {
	struct tvq_os os;
	struct tvq_loop *loop;
	struct tvq_bus *bus;
	struct tvq_client *client;
	struct tvq_vhost_user *vu[2];
	char path[2][64];
	unsigned int which;
	int front;
	int kinds[FD_KINDS];
	int socket_other, pipe_other;
	uint8_t *mem;
	int fds;
	unsigned int mappings;
} lab;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "fuzz_vhost_user: %s\n", what);
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
	int n = 0, fd;

	for (fd = 0; fd < 256; fd++)
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
	int fds[2];

	lab.kinds[FD_MEMORY] = memfd_create("guest", MFD_CLOEXEC);
	need(!ftruncate(lab.kinds[FD_MEMORY], MEM_BYTES), "memory");
	lab.mem = mmap(NULL, MEM_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
		       lab.kinds[FD_MEMORY], 0);
	need(lab.mem != MAP_FAILED, "memory");
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
	lab.kinds[FD_INFLIGHT] = -1;
}

static void announce(void *ctx)
{
	need(ctx == &lab, "a context");
}

static void present(unsigned int which, uint32_t type, const void *config, uint32_t len,
		    uint16_t queues)
{
	struct tvq_create cr = {
		.virtio_device_id = type,
		.config = config,
		.config_len = len,
	};
	struct tvq_vhost_user_cfg vc = {
		.name = "fuzzed",
		.path = lab.path[which],
		.num_queues = queues,
		.virtio_device_id = type,
		.announce = announce,
		.announce_ctx = &lab,
	};
	struct tvq_type_info info;
	struct tvq_seq *s;
	char err[256];

	need(!lab.bus->ops->space_new(lab.bus, &cr.asid), "address space");
	need(!tvq_client_create_call(lab.client, &cr), "CREATE");
	need(!tvq_client_type(lab.client, type, &info), "TYPE_GET");
	s = tvq_seq_new(lab.client, cr.device_id);
	tvq_seq_features_get(s, &vc.features);
	need(!tvq_seq_call(s), "features");
	vc.device_id = cr.device_id;
	vc.asid = cr.asid;
	vc.max_queue_size = info.max_queue_size;
	lab.vu[which] = tvq_vhost_user_new(lab.client, &vc, err);
	need(lab.vu[which] != NULL, err);
}

static void set_up(void)
{
	static const struct virtio_transportq_blk_config blk = { .num_queues = QUEUES };
	static const struct virtio_transportq_net_config net = { .max_virtqueue_pairs = 2 };
	static struct tvq_mgmt_cfg mgmt;
	struct tvq_loop_cfg lc = { .cpu = -1 };
	struct tvq_client_cfg cc = { 0 };
	struct tvq_volume_pool *pool;
	unsigned int i;
	char err[256];
	int ret;

	lab.os = tvq_os_host;
	lab.os.vlog = quiet;
	lab.loop = tvq_loop_new(&lc, &ret);
	need(lab.loop != NULL, "loop");
	mgmt.os = &lab.os;
	mgmt.control = tvq_loop_exec(lab.loop);
	pool = tvq_volume_pool_new(mgmt.control);
	need(!tvq_volume_pool_add(pool, tvq_volume_ram("ram", 1 << 20, err)), "volume");
	mgmt.pool = tvq_volume_pool_pool(pool);
	lab.bus = tvq_inproc_new(&mgmt, &ret);
	need(lab.bus != NULL, "bus");
	lab.client = tvq_client_new(lab.bus, &cc, &ret);
	need(lab.client != NULL, "client");
	for (i = 0; i < 2; i++)
		snprintf(lab.path[i], sizeof(lab.path[i]), "/tmp/tvq-fuzz-%d-%u.sock",
			 (int)getpid(), i);
	present(0, VIRTIO_ID_BLOCK, &blk, sizeof(blk), QUEUES);
	present(1, VIRTIO_ID_NET, &net, sizeof(net), 5);
	make_descriptors();
	turn(8);
	lab.mappings = tvq_mapping_count();
}

static void hook_up(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	strcpy(sa.sun_path, lab.path[lab.which]);
	lab.front = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	need(!connect(lab.front, (struct sockaddr *)&sa, sizeof(sa)), "connect");
	turn(2);
}

/* Reads the replies, so that the socket does not fill; keeps an in-flight area's descriptor. */
static void drain(void)
{
	char buf[512], control[CMSG_SPACE(sizeof(int))];

	for (;;) {
		struct iovec iov = { buf, sizeof(buf) };
		struct msghdr m = { .msg_iov = &iov,
				    .msg_iovlen = 1,
				    .msg_control = control,
				    .msg_controllen = sizeof(control) };
		struct cmsghdr *h;

		if (recvmsg(lab.front, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) <= 0)
			return;
		h = CMSG_FIRSTHDR(&m);
		if (!h)
			continue;
		if (lab.kinds[FD_INFLIGHT] >= 0)
			close(lab.kinds[FD_INFLIGHT]);
		memcpy(&lab.kinds[FD_INFLIGHT], CMSG_DATA(h), sizeof(int));
	}
}

static void hang_up(void)
{
	struct tvq_vhost_user_info info;
	uint64_t end = tvq_os_host.now() + 20000000000ull;
	uint64_t n;

	close(lab.front);
	/* Lets the writes of calls through that a full counter holds. */
	if (read(lab.kinds[FD_FULL], &n, sizeof(n)) < 0)
		turn(0);
	do {
		turn(4);
		tvq_vhost_user_info(lab.vu[lab.which], &info);
		need(tvq_os_host.now() < end, "the connection does not end");
	} while (info.connected);
	n = UINT64_MAX - 1;
	if (write(lab.kinds[FD_FULL], &n, sizeof(n)) < 0)
		turn(0);
}

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
	sendmsg(lab.front, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void message(struct input *in)
{
	struct vu_header h = { octet(in), octet(in), 0 };
	uint8_t buf[sizeof(h) + 65536];
	unsigned int n, i, count = 0;
	int fds[16];
	size_t len;

	h.size = octet(in);
	h.size |= (uint32_t)octet(in) << 8;
	n = octet(in) % 16;
	for (i = 0; i < n; i++) {
		int fd = lab.kinds[octet(in) % FD_KINDS];

		if (fd >= 0)
			fds[count++] = fd;
	}
	len = h.size;
	memcpy(buf, &h, sizeof(h));
	if (h.size) {
		const uint8_t *p = octets(in, &len);

		if (len)
			memcpy(buf + sizeof(h), p, len);
	}
	send_all(buf, sizeof(h) + len, fds, count);
}

static void fill(unsigned int at, uint8_t value)
{
	int fd = lab.kinds[FD_INFLIGHT];
	uint8_t part[256];
	unsigned int i;

	memset(part, value, sizeof(part));
	if (fd < 0) {
		memset(lab.mem + (uint64_t)at * PART, value, PART);
		return;
	}
	for (i = 0; i < PART / sizeof(part); i++) {
		if (pwrite(fd, part, sizeof(part), (off_t)(at * PART + i * sizeof(part))) < 0)
			return;
	}
}

static void step(struct input *in)
{
	const uint64_t one = 1;
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
		break;
	case KICK:
		if (write(lab.kinds[FD_EVENT_NB], &one, sizeof(one)) > 0)
			turn(2);
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
	case OTHER:
		hang_up();
		lab.which ^= 1;
		hook_up();
		break;
	case SCRIBBLE:
		at = octet(in);
		n = octet(in);
		p = octets(in, &n);
		memcpy(lab.mem + (uint64_t)at * PART, p, n);
		break;
	case FILL:
		at = octet(in);
		fill(at, octet(in));
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	uint64_t end;

	if (!lab.loop)
		set_up();
	/* Each time: the fuzzer's own symbolizer takes some too. */
	lab.fds = open_fds();
	lab.which = 0;
	hook_up();
	while (in.left)
		step(&in);
	turn(4);
	drain();
	hang_up();
	if (lab.kinds[FD_INFLIGHT] >= 0)
		close(lab.kinds[FD_INFLIGHT]);
	lab.kinds[FD_INFLIGHT] = -1;
	madvise(lab.mem, MEM_BYTES, MADV_REMOVE);
	/* Some are closed by the kernel's own threads, which take their time. */
	end = tvq_os_host.now() + 5000000000ull;
	while (open_fds() != lab.fds && tvq_os_host.now() < end)
		turn(1);
	need(open_fds() == lab.fds, "a descriptor is left behind");
	need(tvq_mapping_count() == lab.mappings, "a mapping is left behind");
	return 0;
}
