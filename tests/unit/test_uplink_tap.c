// SPDX-License-Identifier: BSD-3-Clause
/*
 * Tap uplinks. The ends that talk are kernels: the test's own network namespace has one tap device
 * with an address, another namespace the other, and the switches are between.
 */
#include "uplink_lab.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define HERE  "tvqh" /* the tap device of the test's namespace */
#define THERE "tvqt" /* and that of the other one */
#define BYTES (8u << 20)

/* A process in a namespace of its own, which does what it is told, one line for each. */
static pid_t there = -1;
static int there_fd = -1;

static int configure(const char *name, const char *addr, int mtu)
{
	struct ifreq ifr = { 0 };
	struct sockaddr_in *in = (struct sockaddr_in *)&ifr.ifr_addr;
	int fd = socket(AF_INET, SOCK_DGRAM, 0), err = 0;

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	in->sin_family = AF_INET;
	inet_pton(AF_INET, addr, &in->sin_addr);
	err |= ioctl(fd, SIOCSIFADDR, &ifr);
	inet_pton(AF_INET, "255.255.255.0", &in->sin_addr);
	err |= ioctl(fd, SIOCSIFNETMASK, &ifr);
	ifr.ifr_mtu = mtu;
	err |= ioctl(fd, SIOCSIFMTU, &ifr);
	ifr.ifr_flags = IFF_UP;
	err |= ioctl(fd, SIOCSIFFLAGS, &ifr);
	close(fd);
	return err;
}

static int mtu_of(const char *name)
{
	struct ifreq ifr = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	assert_int_equal(ioctl(fd, SIOCGIFMTU, &ifr), 0);
	close(fd);
	return ifr.ifr_mtu;
}

static void pattern(uint8_t *data, size_t at, size_t n)
{
	for (size_t i = 0; i < n; i++)
		data[i] = (uint8_t)((at + i) * 131 + ((at + i) >> 11));
}

/* Sends BYTES to fd, then checks that BYTES come back. 0, or which step failed. */
static int send_pattern(int fd)
{
	static uint8_t data[65536];

	for (size_t at = 0; at < BYTES; at += sizeof(data)) {
		pattern(data, at, sizeof(data));
		for (size_t done = 0; done < sizeof(data);) {
			ssize_t n = send(fd, data + done, sizeof(data) - done, MSG_NOSIGNAL);

			if (n <= 0)
				return 1;
			done += (size_t)n;
		}
	}
	return 0;
}

static int receive_pattern(int fd)
{
	static uint8_t data[65536], want[65536];

	for (size_t at = 0; at < BYTES;) {
		size_t max = BYTES - at < sizeof(data) ? BYTES - at : sizeof(data);
		ssize_t n = recv(fd, data, max, 0);

		if (n <= 0)
			return 2;
		pattern(want, at, (size_t)n);
		if (memcmp(data, want, (size_t)n))
			return 3;
		at += (size_t)n;
	}
	return 0;
}

/* The other namespace's server: takes one connection, and BYTES, and sends as many. */
static int serve_tcp(int listening)
{
	int fd = accept(listening, NULL, NULL), err;

	if (fd < 0)
		return 4;
	err = receive_pattern(fd);
	if (!err)
		err = send_pattern(fd);
	shutdown(fd, SHUT_WR);
	/* Until the other end is through. */
	while (!err && recv(fd, &(char){ 0 }, 1, 0) > 0)
		;
	close(fd);
	return err;
}

/* Each command is one byte, and so is each answer. */
static void there_main(int fd)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(7) };
	int tcp, one = 1;
	char command, answer;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (unshare(CLONE_NEWNET))
		_exit(1);
	tcp = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(tcp, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(tcp, (struct sockaddr *)&any, sizeof(any)) || listen(tcp, 4))
		_exit(2);
	answer = 0;
	while (write(fd, &answer, 1) == 1 && read(fd, &command, 1) == 1) {
		switch (command) {
		case 'a': /* address */
			answer = (char)configure(THERE, "10.99.0.2", 1500);
			break;
		case 'j': /* jumbo */
			answer = (char)configure(THERE, "10.99.0.2", 9000);
			break;
		case 's': /* serve */
			answer = (char)serve_tcp(tcp);
			break;
		}
	}
	_exit(0);
}

static void tell_there(char command)
{
	assert_int_equal(write(there_fd, &command, 1), 1);
}

static int hear_there(void)
{
	char answer = 99;

	assert_int_equal(read(there_fd, &answer, 1), 1);
	return answer;
}

static void start_there(void)
{
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	there = fork();
	assert_true(there >= 0);
	if (!there) {
		close(fd[0]);
		there_main(fd[1]);
	}
	close(fd[1]);
	there_fd = fd[0];
	assert_int_equal(hear_there(), 0);
}

static void end_there(void)
{
	int status;

	close(there_fd);
	kill(there, SIGKILL);
	waitpid(there, &status, 0);
	there = -1;
}

static void move_there(const char *name)
{
	char command[100];

	snprintf(command, sizeof(command), "ip link set %s netns %d", name, there);
	assert_int_equal(system(command), 0);
}

static struct tvq_uplink *tap(struct ul_lab *lab, const char *name, uint16_t mtu)
{
	struct tvq_uplink_cfg cfg = { .tap = name, .mtu = mtu };

	return ul_uplink(lab, &cfg);
}

/* A client of the test's namespace, in a thread, so that the lab turns meanwhile. */
struct client {
	int result;
	atomic_bool done;
	pthread_t thread;
};

static void *client_main(void *arg)
{
	struct client *c = arg;
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(7) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct timeval patience = { 20, 0 };

	inet_pton(AF_INET, "10.99.0.2", &to.sin_addr);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	c->result = connect(fd, (struct sockaddr *)&to, sizeof(to)) ? 5 : send_pattern(fd);
	if (!c->result)
		c->result = receive_pattern(fd);
	close(fd);
	atomic_store(&c->done, true);
	return NULL;
}

/* BYTES over TCP to the other namespace and back. */
static void tcp_there_and_back(struct ul_lab *lab)
{
	struct client c = { 0 };

	tell_there('s');
	assert_int_equal(pthread_create(&c.thread, NULL, client_main, &c), 0);
	ul_until(lab, atomic_load(&c.done));
	pthread_join(c.thread, NULL);
	assert_int_equal(c.result, 0);
	assert_int_equal(hear_there(), 0);
}

/* Both namespaces have their address. */
static void configure_both(int mtu)
{
	move_there(THERE);
	assert_int_equal(configure(HERE, "10.99.0.1", mtu), 0);
	tell_there(mtu == 9000 ? 'j' : 'a');
	assert_int_equal(hear_there(), 0);
}

static void tcp_between_taps(uint16_t mtu)
{
	struct tvq_port_info info;
	struct tvq_uplink *h, *t;
	struct ul_lab lab;

	start_there();
	ul_start(&lab, false);
	h = tap(&lab, HERE, mtu);
	t = tap(&lab, THERE, mtu);
	assert_int_equal(tvq_uplink_state(h), TVQ_UPLINK_UP);
	assert_int_equal(mtu_of(HERE), mtu ? mtu : 1500);
	configure_both(mtu ? mtu : 1500);
	tcp_there_and_back(&lab);
	/* Both ways in frames that the kernel left whole. */
	info = ul_info(&lab, tvq_uplink_port(h));
	assert_true(info.stats.tx_bytes > BYTES && info.stats.rx_bytes > BYTES);
	assert_true(info.stats.tx_packets < BYTES / 2896);
	assert_true(info.stats.rx_packets < BYTES / 2896);
	ul_uplink_free(&lab, h);
	ul_uplink_free(&lab, t);
	ul_end(&lab);
	end_there();
	assert_int_equal(if_nametoindex(HERE), 0);
}

static void kernels_talk_tcp_through_the_switch_with_offloads(void **state)
{
	(void)state;
	tcp_between_taps(0);
}

static void kernels_talk_tcp_with_a_large_mtu(void **state)
{
	(void)state;
	tcp_between_taps(9000);
}

/*
 * A stream between: what the kernels left to the device is done in software, and other kernels'
 * checksums and TCP judge it.
 */
static void kernels_talk_tcp_through_a_stream_without_offloads(void **state)
{
	const char *path = ul_path();
	struct tvq_uplink_cfg cfg = { .stream = path, .listen = true };
	struct tvq_uplink *h, *t, *sh, *st;
	struct tvq_port_info info;
	struct ul_lab a, b;

	(void)state;
	start_there();
	ul_start(&a, false);
	ul_start(&b, false);
	h = tap(&a, HERE, 0);
	sh = ul_uplink(&a, &cfg);
	cfg.listen = false;
	st = ul_uplink(&b, &cfg);
	t = tap(&b, THERE, 0);
	ul_until(&b, tvq_uplink_state(st) == TVQ_UPLINK_UP);
	configure_both(1500);
	tcp_there_and_back(&a);
	/* Segmented there and back: fewer frames than segments, though every other one is answered. */
	info = ul_info(&a, tvq_uplink_port(h));
	assert_true(info.stats.tx_packets < BYTES / 1448);
	assert_int_equal(info.stats.drops[TVQ_DROP_OFFLOAD], 0);
	info = ul_info(&a, tvq_uplink_port(sh));
	assert_true(info.stats.tx_packets > BYTES / 1500);
	assert_int_equal(info.stats.drops[TVQ_DROP_OFFLOAD], 0);
	info = ul_info(&b, tvq_uplink_port(st));
	assert_true(info.stats.tx_packets > BYTES / 1500);
	assert_int_equal(info.stats.drops[TVQ_DROP_OFFLOAD], 0);
	ul_uplink_free(&a, h);
	ul_uplink_free(&a, sh);
	ul_uplink_free(&b, st);
	ul_uplink_free(&b, t);
	ul_end(&a);
	ul_end(&b);
	end_there();
}

/* ---- whose device it is ---- */

static int tap_attach(const char *name, short flags)
{
	struct ifreq ifr = { .ifr_flags = flags };
	int fd = open("/dev/net/tun", O_RDWR);

	assert_true(fd >= 0);
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	assert_int_equal(ioctl(fd, TUNSETIFF, &ifr), 0);
	return fd;
}

static void tap_make(const char *name, short flags)
{
	int fd = tap_attach(name, flags);

	assert_int_equal(ioctl(fd, TUNSETPERSIST, 1), 0);
	close(fd);
}

static void tap_delete(const char *name)
{
	int fd = tap_attach(name, IFF_TAP | IFF_NO_PI);

	assert_int_equal(ioctl(fd, TUNSETPERSIST, 0), 0);
	close(fd);
}

static void device_that_was_there_stays_and_one_that_was_not_goes(void **state)
{
	struct tvq_uplink *u;
	struct ul_lab lab;

	(void)state;
	ul_start(&lab, false);
	u = tap(&lab, HERE, 0);
	assert_int_not_equal(if_nametoindex(HERE), 0);
	ul_uplink_free(&lab, u);
	assert_int_equal(if_nametoindex(HERE), 0);

	tap_make(HERE, IFF_TAP | IFF_NO_PI);
	u = tap(&lab, HERE, 2000);
	assert_int_equal(mtu_of(HERE), 2000);
	ul_uplink_free(&lab, u);
	assert_int_not_equal(if_nametoindex(HERE), 0);
	tap_delete(HERE);
	assert_int_equal(if_nametoindex(HERE), 0);
	ul_end(&lab);
}

static void device_that_cannot_be_used_is_refused_with_a_sentence(void **state)
{
	struct ul_lab lab;
	int fd;

	(void)state;
	ul_start(&lab, false);
	ul_refused(&lab, (struct tvq_uplink_cfg){ .tap = "lo" }, "no tap device");
	fd = tap_attach(HERE, IFF_TAP | IFF_NO_PI);
	ul_refused(&lab, (struct tvq_uplink_cfg){ .tap = HERE }, "another program");
	close(fd);
	fd = tap_attach(HERE, IFF_TUN | IFF_NO_PI);
	ul_refused(&lab, (struct tvq_uplink_cfg){ .tap = HERE }, "no tap device");
	close(fd);
	/* And nothing is left of it. */
	ul_uplink_free(&lab, tap(&lab, HERE, 0));
	ul_end(&lab);
}

/* ---- frames of a single kernel ---- */

/* A user on a switch, and this kernel by a tap device. */
struct kernel {
	struct ul_lab lab;
	struct ul_user *user;
	struct tvq_uplink *up;
};

static void kernel_start(struct kernel *k)
{
	ul_start(&k->lab, false);
	k->user = ul_user(&k->lab, 1, 1500, NULL);
	k->up = tap(&k->lab, HERE, 0);
}

static void kernel_end(struct kernel *k)
{
	ul_uplink_free(&k->lab, k->up);
	ul_user_free(k->user);
	ul_end(&k->lab);
}

/* The device gets an address and goes up. */
static void kernel_up(void)
{
	assert_int_equal(configure(HERE, "10.99.0.1", 1500), 0);
}

/* A packet socket at the device, which goes up: what the kernel sends by it, and gets. */
static int packet_socket(uint16_t ethertype)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET,
				  .sll_protocol = htons(ethertype),
				  .sll_ifindex = (int)if_nametoindex(HERE) };
	struct timeval patience = { 20, 0 };
	int fd;

	kernel_up();
	fd = socket(AF_PACKET, SOCK_RAW, htons(ethertype));
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return fd;
}

static void send_pieces(struct ul_user *u, uint32_t number, uint32_t len, unsigned int pieces)
{
	uint8_t *data = malloc(UL_LONGEST);
	struct tvq_seg *seg = calloc(pieces, sizeof(*seg));
	struct tvq_frame f;

	ul_frame_fill(data, 0xff, 1, number, len);
	memset(data, 0xff, 6);
	f = ul_frame(seg, data, len);
	for (unsigned int i = 0; i < pieces; i++) {
		uint32_t each = f.len / pieces;

		seg[i] = (struct tvq_seg){ data + 12 + i * each,
					   i + 1 < pieces ? each : f.len - i * each };
	}
	f.n_seg = (uint16_t)pieces;
	ul_user_send(u, &f, 1);
	free(seg);
	free(data);
}

static const struct ul_kept *found;

/* On the worker: the frame of 1000 bytes. */
static void look_for_1000(void *ctx)
{
	const struct ul_user *u = ctx;

	for (unsigned int i = 0; i < u->n && !found; i++)
		if (u->kept[i].len == 1000)
			found = &u->kept[i];
}

static void frames_in_however_many_pieces_are_written_whole(void **state)
{
	static const unsigned int pieces[] = { 1, 2, 62, 63, 64, 65, 256, 1000 };
	uint8_t *want = malloc(UL_LONGEST), *got = malloc(UL_LONGEST);
	struct kernel k;
	int fd;

	(void)state;
	kernel_start(&k);
	fd = packet_socket(0x88b5);
	for (unsigned int i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		send_pieces(k.user, i, 1514, pieces[i]);
		assert_int_equal(recv(fd, got, UL_LONGEST, 0), 1514);
		ul_frame_fill(want, 0xff, 1, i, 1514);
		memset(want, 0xff, 6);
		assert_memory_equal(got, want, 1514);
	}
	/* And the other way, among what the kernel itself has to say. */
	ul_frame_fill(want, 1, 9, 77, 1000);
	assert_int_equal(send(fd, want, 1000, 0), 1000);
	ul_until(&k.lab, (ul_call(&k.lab, look_for_1000, k.user), found));
	assert_memory_equal(found->data, want, 1000);
	close(fd);
	kernel_end(&k);
	free(want);
	free(got);
}

/* The EtherType is the sender's memory: it may become a tag's when nobody looks at it any more. */
static void tag_that_appears_in_a_sender_s_memory_is_not_written(void **state)
{
	struct kernel k;
	int fd;

	(void)state;
	kernel_start(&k);
	/* A frame of EtherType 0 is one of 802.3; were there a tag it would come to the other one. */
	fd = packet_socket(3 /* ETH_P_ALL */);
	for (unsigned int first = 0; first < 4; first++) {
		uint8_t data[64], got[UL_LONGEST / 4];
		struct tvq_seg seg[2];
		struct tvq_frame f;
		ssize_t n;

		ul_frame_fill(data, 0xff, 1, first, sizeof(data));
		memset(data, 0xff, 6);
		f = ul_frame(seg, data, sizeof(data));
		memcpy(data + 12, (const uint8_t[]){ 0x81, 0, 0, 7 }, 4);
		if (first)
			ul_frame_cut(&f, seg, first);
		ul_user_send(k.user, &f, 1);
		do {
			/* Among what the kernel itself has to say. */
			n = recv(fd, got, sizeof(got), 0);
			assert_true(n > 0);
		} while (n < 12 || memcmp(got, data, 12) != 0);
		assert_int_equal(n, sizeof(data));
		data[12] = 0;
		assert_memory_equal(got, data, sizeof(data));
	}
	close(fd);
	kernel_end(&k);
}

static void offloads_are_told_to_the_kernel_as_they_are(void **state)
{
	uint8_t *data = malloc(UL_LONGEST), *got = malloc(UL_LONGEST);
	struct virtio_net_hdr h;
	struct tvq_frame f;
	struct tvq_seg seg;
	struct kernel k;
	int fd, one = 1;

	(void)state;
	kernel_start(&k);
	fd = packet_socket(0x0800);
	assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)), 0);
	for (unsigned int gso = 0; gso < 2; gso++) {
		uint32_t len = gso ? 60000 : 1000;

		f = ul_gso_frame(&seg, data, len, 1448);
		f.gso_type = gso ? VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN : 0;
		ul_user_send(k.user, &f, 1);
		assert_int_equal(recv(fd, got, UL_LONGEST, 0), sizeof(h) + 54 + len);
		memcpy(&h, got, sizeof(h));
		assert_int_equal(h.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
		assert_int_equal(h.gso_type, f.gso_type);
		assert_int_equal(h.gso_size, gso ? 1448 : 0);
		assert_int_equal(h.csum_start, 34);
		assert_int_equal(h.csum_offset, 16);
		assert_memory_equal(got + sizeof(h), data, 54 + len);
	}
	close(fd);
	kernel_end(&k);
	free(data);
	free(got);
}

static void device_that_is_down_takes_nothing_and_holds_up_nobody(void **state)
{
	struct kernel k;

	(void)state;
	kernel_start(&k);
	for (unsigned int i = 0; i < 10; i++)
		send_pieces(k.user, i, 1514, 1);
	assert_int_equal(ul_info(&k.lab, tvq_uplink_port(k.up)).stats.drops[TVQ_DROP_UPLINK], 10);
	kernel_up();
	send_pieces(k.user, 0, 1514, 1);
	assert_int_equal(ul_info(&k.lab, tvq_uplink_port(k.up)).stats.rx_packets, 1);
	kernel_end(&k);
}

static void deleted_device_is_waited_for_and_not_made_again(void **state)
{
	struct kernel k;

	(void)state;
	kernel_start(&k);
	assert_int_equal(system("ip link del " HERE), 0);
	ul_until(&k.lab, tvq_uplink_state(k.up) == TVQ_UPLINK_CONNECTING);
	send_pieces(k.user, 0, 1514, 1);
	assert_int_equal(ul_info(&k.lab, tvq_uplink_port(k.up)).stats.drops[TVQ_DROP_UPLINK], 1);
	for (unsigned int i = 0; i < 300; i++)
		ul_turn(&k.lab);
	assert_int_equal(if_nametoindex(HERE), 0);
	tap_make(HERE, IFF_TAP | IFF_NO_PI);
	ul_until(&k.lab, tvq_uplink_state(k.up) == TVQ_UPLINK_UP);
	kernel_up();
	send_pieces(k.user, 0, 1514, 1);
	assert_int_equal(ul_info(&k.lab, tvq_uplink_port(k.up)).stats.rx_packets, 1);
	kernel_end(&k);
	tap_delete(HERE);
}

/*
 * What a failed test leaves is in nobody's way: its uplinks live on as far as they will, but with
 * /dev/null for the tap devices, which go with their last descriptor. One that was made to stay goes
 * by its name.
 */
static int clear_up(void **state)
{
	int null = open("/dev/null", O_RDWR);
	DIR *dir = opendir("/proc/self/fd");
	const struct dirent *e;

	(void)state;
	while ((e = readdir(dir))) {
		char to[100] = "";

		if (readlinkat(dirfd(dir), e->d_name, to, sizeof(to) - 1) > 0 &&
		    !strcmp(to, "/dev/net/tun"))
			dup2(null, atoi(e->d_name));
	}
	closedir(dir);
	close(null);
	if (there > 0)
		end_there();
	return if_nametoindex(HERE) ? system("ip link del " HERE) : 0;
}

int main(void)
{
#define TEST(test) cmocka_unit_test_teardown(test, clear_up)
	const struct CMUnitTest tests[] = {
		TEST(kernels_talk_tcp_through_the_switch_with_offloads),
		TEST(kernels_talk_tcp_with_a_large_mtu),
		TEST(kernels_talk_tcp_through_a_stream_without_offloads),
		TEST(device_that_was_there_stays_and_one_that_was_not_goes),
		TEST(device_that_cannot_be_used_is_refused_with_a_sentence),
		TEST(frames_in_however_many_pieces_are_written_whole),
		TEST(tag_that_appears_in_a_sender_s_memory_is_not_written),
		TEST(offloads_are_told_to_the_kernel_as_they_are),
		TEST(device_that_is_down_takes_nothing_and_holds_up_nobody),
		TEST(deleted_device_is_waited_for_and_not_made_again),
	};

	/* Before the first thread, so that all of them are in it. */
	if (unshare(CLONE_NEWNET) && unshare(CLONE_NEWUSER | CLONE_NEWNET)) {
		puts("1..0 # SKIP making a network namespace is not permitted");
		return 0;
	}
	if (access("/dev/net/tun", R_OK | W_OK)) {
		puts("1..0 # SKIP there is no /dev/net/tun for us");
		return 0;
	}
	return cmocka_run_group_tests_name("uplink_tap", tests, NULL, NULL);
}
