// SPDX-License-Identifier: BSD-3-Clause
/* Stream uplinks and their peers: that mean no good, that do not read, that come and go. */
#include "uplink_world.h"

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
		world_part(&w, fd);
	}
}

static void longest_and_shortest_frames_keep_the_connection(void **state)
{
	struct world w;
	int fd;

	(void)state;
	fd = world_dial(&w, 1500);
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
	world_part(&w, fd);
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

/* Frames with numbers from first on, until the peer is full, and some more; returns the next number. */
static unsigned int fill_peer(struct world *w, unsigned int first)
{
	uint64_t before = uplink_info(w).stats.drops[TVQ_DROP_UPLINK];
	unsigned int n = first;

	while (uplink_info(w).stats.drops[TVQ_DROP_UPLINK] < before + 500) {
		send_batch(w->a, 9, n, 16, 1514);
		n += 16;
		assert_true(n < 100000);
	}
	return n;
}

/* Reads a frame that was sent with a number from *next on, whole and unchanged; those before it were
 * dropped. */
static void read_next(struct world *w, int fd, unsigned int *next, unsigned int sent)
{
	uint32_t len = ul_read_frame(&w->lab, fd, w->data);
	uint8_t want[1514];

	for (;; ++*next) {
		assert_true(*next < sent);
		if (nth_len(*next, 1514) != len)
			continue;
		ul_frame_fill(want, 9, 1, *next, len);
		if (!memcmp(want, w->data, len))
			break;
	}
	++*next;
}

static void peer_that_does_not_read_costs_its_own_frames_only(void **state)
{
	unsigned int sent, next = 0, got = 0;
	struct tvq_port_info info;
	struct world w;
	int fd;

	(void)state;
	fd = world_greet(&w, 1500);
	sent = fill_peer(&w, 0);
	pass_many(w.a, w.b, 320, 1514);
	info = uplink_info(&w);
	assert_int_equal(info.stats.rx_packets + info.stats.drops[TVQ_DROP_UPLINK], sent);
	/* Bounded: its socket's buffer and ours. */
	assert_true(info.stats.rx_bytes < 4 << 20);
	/* It reads some, is full again, and then reads on: whole frames, in order. */
	for (; got < 500; got++)
		read_next(&w, fd, &next, sent);
	sent = fill_peer(&w, sent);
	info = uplink_info(&w);
	assert_int_equal(info.stats.rx_packets + info.stats.drops[TVQ_DROP_UPLINK], sent);
	for (; got < info.stats.rx_packets; got++)
		read_next(&w, fd, &next, sent);
	send_batch(w.a, 9, sent, 1, 1514);
	read_next(&w, fd, &next, sent + 1);
	assert_int_equal(next, sent + 1);
	world_part(&w, fd);
}

static void peer_that_does_not_read_can_go(void **state)
{
	struct world w;
	int fd;

	(void)state;
	fd = world_greet(&w, 1500);
	fill_peer(&w, 0);
	close(fd);
	ul_until(&w.lab, tvq_uplink_state(w.up) == TVQ_UPLINK_LISTENING);
	fd = ul_connect(w.path);
	ul_until(&w.lab, is_up(w.up));
	/* A fresh stream, nothing of the old one. */
	send_batch(w.a, 9, 0, 1, 1514);
	assert_int_equal(ul_read_frame(&w.lab, fd, w.data), nth_len(0, 1514));
	fill_peer(&w, 0);
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
	/* Some tries. */
	for (unsigned int i = 0; i < 400; i++)
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
	first = world_greet(&w, 1500);
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
	ul_refused(&w.lab, (struct tvq_uplink_cfg){ 0 }, "either");
	ul_refused(&w.lab, (struct tvq_uplink_cfg){ .tap = "x", .stream = "y" }, "either");
	ul_refused(&w.lab, (struct tvq_uplink_cfg){ .stream = "" }, "1 to 107");
	ul_refused(&w.lab, (struct tvq_uplink_cfg){ .stream = longer }, "has 108");
	ul_refused(&w.lab, (struct tvq_uplink_cfg){ .stream = "y", .mtu = 67 }, "67");
	ul_refused(&w.lab, (struct tvq_uplink_cfg){ .stream = "y", .mtu = 65522 }, "65522");
	ul_refused(&w.lab, (struct tvq_uplink_cfg){ .stream = file, .listen = true }, "no socket");
	ul_refused(&w.lab, (struct tvq_uplink_cfg){ .stream = w.path, .listen = true }, "in use");
	ul_refused(&w.lab, (struct tvq_uplink_cfg){ .stream = "/nowhere/s", .listen = true },
		   "/nowhere/s");
	ul_refused(&w.lab, (struct tvq_uplink_cfg){ .tap = "" }, "1 to 15");
	ul_refused(&w.lab, (struct tvq_uplink_cfg){ .tap = "sixteen-letters-" }, "1 to 15");
	ul_refused(&w.lab, (struct tvq_uplink_cfg){ .tap = "tap%d" }, "tap%d");
	ul_refused(&w.lab, (struct tvq_uplink_cfg){ .tap = "a/b" }, "a/b");
	ul_refused(&w.lab, (struct tvq_uplink_cfg){ .tap = ".." }, "..");
	close(fd);
	unlink(file);
	world_end(&w);
}

static void worker_without_an_event_loop_is_refused_with_a_sentence(void **state)
{
	struct tvq_uplink_cfg cfg = { .stream = "/nowhere/s" };
	struct ul_told t = { .done.fn = ul_told };
	char why[TVQ_UPLINK_ERR_LEN] = "";
	struct tvq_loop *control = ul_loop();
	struct tvq_exec bare;
	struct tvq_switch *sw;

	(void)state;
	tvq_exec_init(&bare, &tvq_os_host, NULL, 0);
	sw = tvq_switch_new(&tvq_os_host, tvq_loop_exec(control), &bare);
	assert_null(tvq_uplink_new(sw, &cfg, &t.done, why));
	assert_non_null(strstr(why, "event loop"));
	tvq_switch_free(sw);
	tvq_exec_fini(&bare);
	tvq_loop_free(control);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
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
		cmocka_unit_test(worker_without_an_event_loop_is_refused_with_a_sentence),
	};

	return cmocka_run_group_tests_name("uplink_peer", tests, NULL, NULL);
}
