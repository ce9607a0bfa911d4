// SPDX-License-Identifier: BSD-3-Clause
/* Stream uplinks: two switches connected to each other, and one with a peer that means no good. */
#include "uplink_lab.h"

#include <time.h>

static struct tvq_uplink *listener(struct ul_lab *lab, const char *path, uint16_t mtu)
{
	struct tvq_uplink_cfg cfg = { .stream = path, .listen = true, .mtu = mtu };

	return ul_uplink(lab, &cfg);
}

static struct tvq_uplink *connector(struct ul_lab *lab, const char *path, uint16_t mtu)
{
	struct tvq_uplink_cfg cfg = { .stream = path, .mtu = mtu };

	return ul_uplink(lab, &cfg);
}

static bool is_up(const struct tvq_uplink *u)
{
	return tvq_uplink_state(u) == TVQ_UPLINK_UP;
}

static uint32_t nth_len(unsigned int number, uint32_t longest)
{
	return 14 + number * 97 % (longest - 13);
}

/* A batch: frames with numbers from first on, of lengths that vary. */
static void send_batch(struct ul_user *u, uint8_t to, unsigned int first, unsigned int n,
		       uint32_t longest)
{
	uint8_t *data = malloc(n * (size_t)UL_LONGEST);
	struct tvq_frame f[TVQ_SWITCH_BATCH];
	struct tvq_seg seg[TVQ_SWITCH_BATCH];

	for (unsigned int i = 0; i < n; i++) {
		uint8_t *at = data + (size_t)i * UL_LONGEST;
		uint32_t len = nth_len(first + i, longest);

		ul_frame_fill(at, to, u->cfg.mac[5], first + i, len);
		f[i] = ul_frame(&seg[i], at, len);
	}
	ul_user_send(u, f, n);
	free(data);
}

/* n frames, as many at a time as fit the buffers on their way; all arrive. */
static void pass_many(struct ul_user *from, struct ul_user *to, unsigned int n, uint32_t longest)
{
	const unsigned int batch = 16;
	unsigned int before = to->n;

	for (unsigned int i = 0; i < n; i += batch) {
		send_batch(from, to->cfg.mac[5], i, batch, longest);
		ul_user_wait(to, before + i + batch);
		for (unsigned int k = i; k < i + batch; k++)
			ul_kept_is(&to->kept[(before + k) % UL_KEPT], to->cfg.mac[5],
				   from->cfg.mac[5], k, nth_len(k, longest));
	}
}

/* Where the lab of the one that sends is turned by nobody else. */
static void pass_one_by_one(struct ul_lab *lab, struct ul_user *a, struct ul_user *b)
{
	for (unsigned int i = 0; i < 20; i++) {
		send_batch(a, b->cfg.mac[5], i, 1, 1514);
		ul_user_wait(b, i + 1);
		ul_kept_is(&b->kept[i], b->cfg.mac[5], a->cfg.mac[5], i, nth_len(i, 1514));
		send_batch(b, a->cfg.mac[5], i, 1, 1514);
		ul_until(lab, a->flushed == i + 1);
		ul_kept_is(&a->kept[i], a->cfg.mac[5], b->cfg.mac[5], i, nth_len(i, 1514));
	}
}

static void cross(bool one)
{
	const char *path = ul_path();
	struct ul_lab a, b;
	struct ul_user *ua, *ub;
	struct tvq_uplink *la, *lb;

	ul_start(&a, one);
	ul_start(&b, false);
	ua = ul_user(&a, 1, 9000, NULL);
	ub = ul_user(&b, 2, 9000, NULL);
	la = listener(&a, path, 9000);
	assert_int_equal(tvq_uplink_state(la), TVQ_UPLINK_LISTENING);
	lb = connector(&b, path, 9000);
	ul_until(&b, is_up(lb));
	ul_until(&a, is_up(la));
	if (one) {
		/* The test's thread is a worker, too: what a call does not wait for goes on in it. */
		pass_one_by_one(&a, ua, ub);
	} else {
		pass_many(ua, ub, 992, 9014);
		pass_many(ub, ua, 992, 9014);
	}
	ul_uplink_free(&a, la);
	ul_uplink_free(&b, lb);
	ul_user_free(ua);
	ul_user_free(ub);
	ul_end(&a);
	ul_end(&b);
	assert_int_equal(access(path, F_OK), -1);
}

static void frames_cross_between_two_switches(void **state)
{
	(void)state;
	cross(false);
}

static void frames_cross_where_control_and_worker_are_one_executor(void **state)
{
	(void)state;
	cross(true);
}

/* ---- one switch, and a peer of the test's ---- */

struct world {
	struct ul_lab lab;
	struct ul_user *a, *b;
	struct tvq_uplink *up;
	char path[100];
	uint8_t *data; /* UL_LONGEST */
};

static void world_start(struct world *w, bool listen, uint16_t mtu)
{
	struct tvq_uplink_cfg cfg = { .stream = w->path, .listen = listen, .mtu = mtu };

	snprintf(w->path, sizeof(w->path), "%s", ul_path());
	ul_start(&w->lab, false);
	w->a = ul_user(&w->lab, 1, mtu, NULL);
	w->b = ul_user(&w->lab, 2, mtu, NULL);
	w->up = ul_uplink(&w->lab, &cfg);
	w->data = malloc(UL_LONGEST);
}

static void world_end(struct world *w)
{
	ul_uplink_free(&w->lab, w->up);
	ul_user_free(w->a);
	ul_user_free(w->b);
	ul_end(&w->lab);
	free(w->data);
	assert_int_equal(access(w->path, F_OK), -1);
}

static struct tvq_port_info uplink_info(struct world *w)
{
	return ul_info(&w->lab, tvq_uplink_port(w->up));
}

/* The log of this process, from here on. */
static int log_file = -1, log_before = -1;

static void log_start(void)
{
	FILE *f = tmpfile();

	assert_non_null(f);
	log_file = dup(fileno(f));
	fclose(f);
	log_before = dup(STDERR_FILENO);
	dup2(log_file, STDERR_FILENO);
}

/* How many lines of it have this text. */
static unsigned int log_end(const char *text)
{
	char *all = calloc(1, 1 << 20), *at = all;
	unsigned int n = 0;

	dup2(log_before, STDERR_FILENO);
	close(log_before);
	assert_true(pread(log_file, all, (1 << 20) - 1, 0) >= 0);
	close(log_file);
	while ((at = strstr(at, text))) {
		at++;
		n++;
	}
	free(all);
	return n;
}

static void frames_are_found_wherever_the_stream_is_cut(void **state)
{
	static const uint32_t lens[] = { 14, 1514, 60, 9014, 15, 64 };
	uint8_t *all = malloc(6 * (size_t)UL_LONGEST);
	size_t total = 0;
	struct world w;
	int fd;

	(void)state;
	world_start(&w, true, 9000);
	fd = ul_connect(w.path);
	for (unsigned int i = 0; i < 6; i++) {
		ul_put32(all + total, lens[i]);
		ul_frame_fill(all + total + 4, 1, 9, i, lens[i]);
		total += 4 + lens[i];
	}
	/* Pieces of 1, 2, 3 ... bytes, each of which is read on its own. */
	for (size_t at = 0, piece = 1; at < total; at += piece, piece++) {
		if (piece > total - at)
			piece = total - at;
		ul_write(fd, all + at, piece);
		uplink_info(&w);
	}
	ul_user_wait(w.a, 6);
	for (unsigned int i = 0; i < 6; i++)
		ul_kept_is(&w.a->kept[i], 1, 9, i, lens[i]);
	free(all);
	close(fd);
	world_end(&w);
}

/* Several buffers full of frames at once, so that they are cut at the buffer's end. */
static void thousands_of_frames_at_once_all_arrive(void **state)
{
	const unsigned int n = 4000;
	struct world w;
	int fd;

	(void)state;
	world_start(&w, true, 9000);
	fd = ul_connect(w.path);
	for (unsigned int i = 0; i < n; i++)
		ul_write_frame(fd, 1, 9, i, nth_len(i, 9014));
	ul_user_wait(w.a, n);
	for (unsigned int i = 0; i < n; i++)
		ul_kept_is(&w.a->kept[i], 1, 9, i, nth_len(i, 9014));
	assert_int_equal(uplink_info(&w).stats.tx_packets, n);
	close(fd);
	world_end(&w);
}

static void length_that_no_frame_has_ends_that_connection_with_one_line(void **state)
{
	static const uint32_t bad[] = { 0, 13, 65554, 1u << 24, UINT32_MAX };
	uint8_t head[4];
	struct world w;

	(void)state;
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int fd;

		world_start(&w, true, 1500);
		log_start();
		for (unsigned int again = 0; again < 2; again++) {
			fd = ul_connect(w.path);
			/* What came before it counts. */
			ul_write_frame(fd, 1, 9, again, 60);
			ul_put32(head, bad[i]);
			ul_write(fd, head, sizeof(head));
			assert_false(ul_read(&w.lab, fd, head, 1));
			close(fd);
			ul_user_wait(w.a, again + 1);
		}
		assert_int_equal(log_end("a length in the stream"), 1);
		/* The next peer is as welcome as ever. */
		fd = ul_connect(w.path);
		ul_write_frame(fd, 1, 9, 5, 60);
		ul_user_wait(w.a, 3);
		ul_kept_is(&w.a->kept[2], 1, 9, 5, 60);
		close(fd);
		world_end(&w);
	}
}

static void longest_and_shortest_frames_keep_the_connection(void **state)
{
	struct world w;
	int fd;

	(void)state;
	world_start(&w, true, 1500);
	fd = ul_connect(w.path);
	ul_write_frame(fd, 1, 9, 0, 65535 + 18);
	ul_write_frame(fd, 1, 9, 1, 1515);
	ul_write_frame(fd, 1, 9, 2, 14);
	ul_user_wait(w.a, 1);
	ul_kept_is(&w.a->kept[0], 1, 9, 2, 14);
	assert_int_equal(uplink_info(&w).stats.drops[TVQ_DROP_TOO_LONG], 2);
	/* Too short for the tag that it says it has. */
	ul_frame_fill(w.data, 1, 9, 3, 17);
	w.data[12] = 0x81;
	w.data[13] = 0;
	ul_write(fd, (uint8_t[]){ 0, 0, 0, 17 }, 4);
	ul_write(fd, w.data, 17);
	ul_write_frame(fd, 1, 9, 4, 60);
	ul_user_wait(w.a, 2);
	assert_int_equal(uplink_info(&w).stats.drops[TVQ_DROP_HEADER], 1);
	close(fd);
	world_end(&w);
}

static void half_a_frame_goes_with_its_peer(void **state)
{
	struct world w;
	int fd;

	(void)state;
	world_start(&w, true, 1500);
	for (unsigned int n = 0; n < 3; n++) {
		static const size_t halves[] = { 3, 4, 700 };

		fd = ul_connect(w.path);
		ul_put32(w.data, 1000);
		ul_frame_fill(w.data + 4, 1, 9, 0, 1000);
		ul_write(fd, w.data, halves[n]);
		close(fd);
		fd = ul_connect(w.path);
		ul_write_frame(fd, 1, 9, n, 60);
		ul_user_wait(w.a, n + 1);
		ul_kept_is(&w.a->kept[n], 1, 9, n, 60);
		close(fd);
	}
	world_end(&w);
}

/* Until its peer is full, and some more. */
static unsigned int fill_peer(struct world *w)
{
	unsigned int n = 0;

	while (uplink_info(w).stats.drops[TVQ_DROP_UPLINK] < 500) {
		send_batch(w->a, 9, n, 16, 1514);
		n += 16;
		assert_true(n < 100000);
	}
	return n;
}

static void peer_that_does_not_read_costs_its_own_frames_only(void **state)
{
	unsigned int sent, got = 0;
	struct tvq_port_info info;
	struct world w;
	uint32_t len;
	int fd;

	(void)state;
	world_start(&w, true, 1500);
	fd = ul_connect(w.path);
	ul_write_frame(fd, 1, 9, 0, 60); /* user 9 is there */
	ul_user_wait(w.a, 1);
	sent = fill_peer(&w);
	pass_many(w.a, w.b, 320, 1514);
	info = uplink_info(&w);
	assert_int_equal(info.stats.rx_packets + info.stats.drops[TVQ_DROP_UPLINK], sent);
	/* Bounded: its socket's buffer and ours. */
	assert_true(info.stats.rx_bytes < 4 << 20);
	/* Whole frames, in order, when it reads after all, and what is sent then. */
	for (uint32_t last = 0; got < info.stats.rx_packets; got++) {
		len = ul_read_frame(&w.lab, fd, w.data);
		for (uint8_t *want = malloc(UL_LONGEST);; last++) {
			assert_true(last < sent);
			if (nth_len(last, 1514) != len)
				continue;
			ul_frame_fill(want, 9, 1, last, len);
			if (!memcmp(want, w.data, len)) {
				free(want);
				break;
			}
		}
	}
	send_batch(w.a, 9, 7, 1, 1514);
	len = ul_read_frame(&w.lab, fd, w.data);
	assert_int_equal(len, nth_len(7, 1514));
	close(fd);
	world_end(&w);
}

static void peer_that_does_not_read_can_go(void **state)
{
	struct world w;
	int fd;

	(void)state;
	world_start(&w, true, 1500);
	fd = ul_connect(w.path);
	ul_write_frame(fd, 1, 9, 0, 60);
	ul_user_wait(w.a, 1);
	fill_peer(&w);
	close(fd);
	ul_until(&w.lab, tvq_uplink_state(w.up) == TVQ_UPLINK_LISTENING);
	fd = ul_connect(w.path);
	ul_until(&w.lab, is_up(w.up));
	/* A fresh stream, nothing of the old one. */
	send_batch(w.a, 9, 0, 1, 1514);
	assert_int_equal(ul_read_frame(&w.lab, fd, w.data), nth_len(0, 1514));
	fill_peer(&w);
	world_end(&w);
	close(fd);
}

static void frames_without_a_peer_are_counted_drops(void **state)
{
	struct world w;

	(void)state;
	world_start(&w, true, 1500);
	send_batch(w.a, 9, 0, 10, 1514);
	assert_int_equal(uplink_info(&w).stats.drops[TVQ_DROP_UPLINK], 10);
	assert_int_equal(uplink_info(&w).stats.rx_packets, 0);
	world_end(&w);
}

static int accept_one(struct world *w, int listening)
{
	struct pollfd p = { .fd = listening, .events = POLLIN };

	while (poll(&p, 1, 0) != 1)
		ul_turn(&w->lab);
	return accept(listening, NULL, NULL);
}

static void connecting_goes_on_until_there_is_a_peer_and_when_it_goes(void **state)
{
	struct world w;
	int listening, fd;

	(void)state;
	log_start();
	world_start(&w, false, 1500);
	for (unsigned int i = 0; i < 20; i++)
		ul_turn(&w.lab);
	assert_int_equal(tvq_uplink_state(w.up), TVQ_UPLINK_CONNECTING);
	for (unsigned int n = 0; n < 3; n++) {
		listening = ul_listen(w.path);
		fd = accept_one(&w, listening);
		close(listening);
		ul_until(&w.lab, is_up(w.up));
		ul_write_frame(fd, 1, 9, n, 100);
		ul_user_wait(w.a, n + 1);
		send_batch(w.a, 9, n, 1, 1514);
		assert_int_equal(ul_read_frame(&w.lab, fd, w.data), nth_len(n, 1514));
		/* Killed: with what it had not read. */
		send_batch(w.a, 9, n, 1, 1514);
		close(fd);
		ul_until(&w.lab, tvq_uplink_state(w.up) == TVQ_UPLINK_CONNECTING);
	}
	unlink(w.path);
	assert_int_equal(log_end("not there yet"), 1);
	world_end(&w);
}

static void next_peer_waits_until_the_first_has_gone(void **state)
{
	struct world w;
	int first, second;
	char byte;

	(void)state;
	world_start(&w, true, 1500);
	first = ul_connect(w.path);
	ul_write_frame(first, 1, 9, 0, 60);
	ul_user_wait(w.a, 1);
	second = ul_connect(w.path);
	ul_write_frame(second, 1, 8, 1, 60);
	ul_write_frame(first, 1, 9, 2, 60);
	ul_user_wait(w.a, 2);
	ul_kept_is(&w.a->kept[1], 1, 9, 2, 60);
	assert_int_equal(recv(second, &byte, 1, MSG_DONTWAIT), -1);
	close(first);
	ul_user_wait(w.a, 3);
	ul_kept_is(&w.a->kept[2], 1, 8, 1, 60);
	close(second);
	world_end(&w);
}

static void uplink_can_be_freed_in_every_state(void **state)
{
	struct world w;
	int fd, listening;

	(void)state;
	for (unsigned int turns = 0; turns < 6; turns++) {
		/* Nobody there; between two tries. */
		world_start(&w, false, 1500);
		for (unsigned int i = 0; i < turns; i++)
			ul_turn(&w.lab);
		world_end(&w);
		/* Just connecting. */
		world_start(&w, false, 1500);
		listening = ul_listen(w.path);
		for (unsigned int i = 0; i < turns * 40; i++)
			ul_turn(&w.lab);
		unlink(w.path);
		world_end(&w);
		close(listening);
		/* A peer that is being accepted, that has sent half a frame, that goes. */
		world_start(&w, true, 1500);
		fd = ul_connect(w.path);
		if (turns % 2)
			ul_write(fd, "\0\0", 2);
		for (unsigned int i = 0; i < turns; i++)
			ul_turn(&w.lab);
		if (turns % 3 == 2)
			close(fd);
		world_end(&w);
		if (turns % 3 != 2)
			close(fd);
	}
}

static void socket_that_somebody_else_put_there_stays(void **state)
{
	struct world w;
	int fd;

	(void)state;
	world_start(&w, true, 1500);
	fd = ul_listen(w.path);
	ul_uplink_free(&w.lab, w.up);
	assert_int_equal(access(w.path, F_OK), 0);
	unlink(w.path);
	w.up = ul_uplink(&w.lab, &(struct tvq_uplink_cfg){ .stream = w.path, .listen = true });
	close(fd);
	world_end(&w);
}

static void refused(struct world *w, struct tvq_uplink_cfg cfg, const char *says)
{
	char why[TVQ_UPLINK_ERR_LEN] = "";
	int err;

	assert_null(ul_try(&w->lab, &cfg, &err, why));
	if (!strstr(why, says))
		fail_msg("'%s' does not say '%s'", why, says);
}

static void what_cannot_be_an_uplink_is_refused_with_a_sentence(void **state)
{
	char longer[300], file[100];
	struct world w;
	int fd;

	(void)state;
	world_start(&w, true, 1500);
	memset(longer, 'x', sizeof(longer));
	longer[108] = '\0';
	snprintf(file, sizeof(file), "%s", ul_path());
	fd = open(file, O_CREAT | O_RDWR, 0600);
	refused(&w, (struct tvq_uplink_cfg){ 0 }, "either");
	refused(&w, (struct tvq_uplink_cfg){ .tap = "x", .stream = "y" }, "either");
	refused(&w, (struct tvq_uplink_cfg){ .stream = "" }, "1 to 107");
	refused(&w, (struct tvq_uplink_cfg){ .stream = longer }, "has 108");
	refused(&w, (struct tvq_uplink_cfg){ .stream = "y", .mtu = 67 }, "67");
	refused(&w, (struct tvq_uplink_cfg){ .stream = "y", .mtu = 65522 }, "65522");
	refused(&w, (struct tvq_uplink_cfg){ .stream = file, .listen = true }, "no socket");
	refused(&w, (struct tvq_uplink_cfg){ .stream = w.path, .listen = true }, "in use");
	refused(&w, (struct tvq_uplink_cfg){ .stream = "/nowhere/s", .listen = true },
		"/nowhere/s");
	refused(&w, (struct tvq_uplink_cfg){ .tap = "" }, "1 to 15");
	refused(&w, (struct tvq_uplink_cfg){ .tap = "sixteen-letters-" }, "1 to 15");
	refused(&w, (struct tvq_uplink_cfg){ .tap = "tap%d" }, "tap%d");
	refused(&w, (struct tvq_uplink_cfg){ .tap = "a/b" }, "a/b");
	refused(&w, (struct tvq_uplink_cfg){ .tap = ".." }, "..");
	close(fd);
	unlink(file);
	world_end(&w);
}

/* ---- what the switch's rules make of it ---- */

static void tags_pass_a_stream_in_both_directions(void **state)
{
	static const uint8_t tag[] = { 0x81, 0x00, 0x00, 0x05, 0x88, 0xb5 };
	struct tvq_port_vlan access = { .mode = TVQ_VLAN_ACCESS, .pvid = 5 };
	struct ul_user *v;
	struct world w;
	int fd;

	(void)state;
	world_start(&w, true, 1500);
	v = ul_user(&w.lab, 3, 1500, &access);
	fd = ul_connect(w.path);
	ul_until(&w.lab, is_up(w.up));
	send_batch(v, 9, 0, 1, 1514);
	assert_int_equal(ul_read_frame(&w.lab, fd, w.data), nth_len(0, 1514) + 4);
	assert_memory_equal(w.data + 12, tag, sizeof(tag));
	/* To the user: with the tag of its VLAN, of another one, without. */
	ul_frame_fill(w.data + 8, 3, 9, 1, 60);
	ul_put32(w.data, 64);
	memmove(w.data + 4, w.data + 8, 12);
	memcpy(w.data + 16, tag, sizeof(tag) - 2);
	ul_write(fd, w.data, 68);
	w.data[19] = 6;
	ul_write(fd, w.data, 68);
	ul_write_frame(fd, 3, 9, 1, 61);
	ul_write_frame(fd, 1, 9, 1, 61); /* after all of them */
	ul_user_wait(w.a, 1);
	ul_user_wait(v, 1);
	ul_kept_is(&v->kept[0], 3, 9, 1, 60);
	close(fd);
	ul_user_free(v);
	world_end(&w);
}

struct change {
	struct tvq_port *port;
	bool link;
	struct tvq_port_rate rate;
};

static void set_link(void *ctx)
{
	struct change *c = ctx;

	tvq_port_set_link(c->port, c->link);
}

static void set_rate(void *ctx)
{
	struct change *c = ctx;

	tvq_port_set_rate(c->port, &c->rate);
}

static void frames_wait_while_the_link_is_down(void **state)
{
	struct change c = { .link = false };
	struct world w;
	int fd;

	(void)state;
	world_start(&w, true, 1500);
	fd = ul_connect(w.path);
	ul_until(&w.lab, is_up(w.up));
	c.port = tvq_uplink_port(w.up);
	ul_call(&w.lab, set_link, &c);
	for (unsigned int i = 0; i < 100; i++)
		ul_write_frame(fd, 1, 9, i, 60);
	for (unsigned int i = 0; i < 20; i++)
		ul_turn(&w.lab);
	ul_user_wait(w.a, 0);
	c.link = true;
	ul_call(&w.lab, set_link, &c);
	ul_user_wait(w.a, 100);
	close(fd);
	world_end(&w);
}

static void rate_makes_the_peer_wait_and_loses_nothing(void **state)
{
	struct change c = { .rate = { .packets = 1 } };
	struct world w;
	int fd;

	(void)state;
	world_start(&w, true, 1500);
	fd = ul_connect(w.path);
	ul_until(&w.lab, is_up(w.up));
	c.port = tvq_uplink_port(w.up);
	ul_call(&w.lab, set_rate, &c);
	for (unsigned int i = 0; i < 1000; i++)
		ul_write_frame(fd, 1, 9, i, 60);
	do {
		ul_call(&w.lab, ul_user_look, w.a);
	} while (!w.a->seen);
	assert_in_range(w.a->seen, 1, 500);
	c.rate.packets = 0;
	ul_call(&w.lab, set_rate, &c);
	ul_user_wait(w.a, 1000);
	for (unsigned int i = 0; i < 1000; i++)
		ul_kept_is(&w.a->kept[i], 1, 9, i, 60);
	close(fd);
	world_end(&w);
}

/* ---- idle ---- */

static uint64_t process_cpu(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* There comes a span in which no thread of the process runs. */
static bool stops_running(void)
{
	for (unsigned int i = 0; i < 100; i++) {
		uint64_t before = process_cpu();

		usleep(100000);
		/* Our own going to sleep costs some. */
		if (process_cpu() - before < 200000)
			return true;
	}
	return false;
}

static void uplink_where_nothing_happens_does_not_run(void **state)
{
	struct world w;
	int fd;

	(void)state;
	world_start(&w, true, 1500);
	fd = ul_connect(w.path);
	ul_write_frame(fd, 1, 9, 0, 60);
	ul_user_wait(w.a, 1);
	send_batch(w.a, 9, 0, 1, 1514);
	assert_int_equal(ul_read_frame(&w.lab, fd, w.data), nth_len(0, 1514));
	assert_true(stops_running());
	close(fd);
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_cross_between_two_switches),
		cmocka_unit_test(frames_cross_where_control_and_worker_are_one_executor),
		cmocka_unit_test(frames_are_found_wherever_the_stream_is_cut),
		cmocka_unit_test(thousands_of_frames_at_once_all_arrive),
		cmocka_unit_test(length_that_no_frame_has_ends_that_connection_with_one_line),
		cmocka_unit_test(longest_and_shortest_frames_keep_the_connection),
		cmocka_unit_test(half_a_frame_goes_with_its_peer),
		cmocka_unit_test(peer_that_does_not_read_costs_its_own_frames_only),
		cmocka_unit_test(peer_that_does_not_read_can_go),
		cmocka_unit_test(frames_without_a_peer_are_counted_drops),
		cmocka_unit_test(connecting_goes_on_until_there_is_a_peer_and_when_it_goes),
		cmocka_unit_test(next_peer_waits_until_the_first_has_gone),
		cmocka_unit_test(uplink_can_be_freed_in_every_state),
		cmocka_unit_test(socket_that_somebody_else_put_there_stays),
		cmocka_unit_test(what_cannot_be_an_uplink_is_refused_with_a_sentence),
		cmocka_unit_test(tags_pass_a_stream_in_both_directions),
		cmocka_unit_test(frames_wait_while_the_link_is_down),
		cmocka_unit_test(rate_makes_the_peer_wait_and_loses_nothing),
		cmocka_unit_test(uplink_where_nothing_happens_does_not_run),
	};

	return cmocka_run_group_tests_name("uplink_stream", tests, NULL, NULL);
}
