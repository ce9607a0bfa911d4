// SPDX-License-Identifier: BSD-3-Clause
/* Stream uplinks: two switches connected to each other; what passes, and what the rules make of it. */
#include "uplink_world.h"

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

/* ---- framing ---- */

/* The frame with this number, from user 9 to a, as in a stream; returns its bytes there. */
static size_t stream_frame(uint8_t *at, unsigned int number, uint32_t len)
{
	ul_put32(at, len);
	ul_frame_fill(at + 4, 1, 9, number, len);
	return 4 + len;
}

static void frames_are_found_wherever_the_stream_is_cut(void **state)
{
	static const uint32_t lens[] = { 14, 1514, 60, 9014, 15, 64 };
	uint8_t *all = malloc(6 * (size_t)UL_LONGEST);
	size_t total = 0;
	struct world w;
	int fd;

	(void)state;
	fd = world_dial(&w, 9000);
	for (unsigned int i = 0; i < 6; i++)
		total += stream_frame(all + total, i, lens[i]);
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
	world_part(&w, fd);
}

/* Many buffers full of frames, in pieces that are cut anywhere, so that the buffer's end cuts them,
 * too. */
static void thousands_of_frames_at_once_all_arrive(void **state)
{
	const unsigned int n = 4000, piece = 10007;
	uint8_t *all = malloc(n * 9018ul);
	size_t len = 0;
	struct world w;
	int fd;

	(void)state;
	fd = world_dial(&w, 9000);
	for (unsigned int i = 0; i < n; i++)
		len += stream_frame(all + len, i, nth_len(i, 9014));
	for (size_t at = 0; at < len; at += piece)
		ul_write(fd, all + at, len - at < piece ? len - at : piece);
	ul_user_wait(w.a, n);
	for (unsigned int i = 0; i < n; i++)
		ul_kept_is(&w.a->kept[i], 1, 9, i, nth_len(i, 9014));
	assert_int_equal(uplink_info(&w).stats.tx_packets, n);
	free(all);
	world_part(&w, fd);
}

/* 18 of the longest frames are 130 KB more than the buffer. */
static void batch_larger_than_the_buffer_goes_to_a_peer_that_takes_it(void **state)
{
	uint8_t *data = malloc(UL_LONGEST);
	struct tvq_frame f[18];
	struct tvq_seg seg;
	struct world w;
	int fd;

	(void)state;
	fd = world_meet(&w, TVQ_MTU_MAX);
	ul_frame_fill(data, 9, 1, 0, TVQ_MTU_MAX + 14);
	for (unsigned int i = 0; i < 18; i++)
		f[i] = ul_frame(&seg, data, TVQ_MTU_MAX + 14);
	ul_user_send(w.a, f, 18);
	assert_int_equal(uplink_info(&w).stats.drops[TVQ_DROP_UPLINK], 0);
	for (unsigned int i = 0; i < 18; i++) {
		assert_int_equal(ul_read_frame(&w.lab, fd, w.data), TVQ_MTU_MAX + 14);
		assert_memory_equal(w.data, data, TVQ_MTU_MAX + 14);
	}
	free(data);
	world_part(&w, fd);
}

/* ---- what its sender left to the device ---- */

/* Of big-endian 16-bit words; 0xffff where they end with their own checksum. */
static uint32_t ones_sum(const uint8_t *p, uint32_t len, uint32_t sum)
{
	for (uint32_t i = 0; i < len; i++)
		sum += (uint32_t)p[i] << (i % 2 ? 0 : 8);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* A frame from the peer's end whose checksums are right; returns its payload's length. */
static uint32_t checked_segment(struct world *w, int fd, uint32_t offset)
{
	uint32_t len = ul_read_frame(&w->lab, fd, w->data), payload = len - 54;
	const uint8_t *d = w->data;

	assert_true(len > 54);
	assert_int_equal((uint32_t)d[16] << 8 | d[17], len - 14);
	assert_int_equal(ones_sum(d + 14, 20, 0), 0xffff);
	assert_int_equal(ones_sum(d + 34, len - 34, 0x0a00 + 1 + 0x0a00 + 2 + 6 + len - 34),
			 0xffff);
	assert_int_equal(ul_get32(d + 38), 1 + offset);
	for (uint32_t i = 0; i < payload; i++)
		assert_int_equal(d[54 + i], (uint8_t)((offset + i) * 13 + ((offset + i) >> 8)));
	return payload;
}

/* Of a, with 60000 bytes of payload to be cut into segments; version: IP's, and its header's length. */
static void send_large(struct world *w, uint16_t gso_size, uint8_t version)
{
	uint8_t *data = malloc(UL_LONGEST);
	struct tvq_seg seg;
	struct tvq_frame f = ul_gso_frame(&seg, data, 60000, gso_size);

	data[14] = version;
	ul_user_send(w->a, &f, 1);
	free(data);
}

/* Of a, with so much payload, whose checksum alone is to be made. */
static void send_unsummed(struct world *w, uint32_t payload)
{
	uint8_t *data = malloc(UL_LONGEST);
	struct tvq_seg seg;
	struct tvq_frame f = ul_gso_frame(&seg, data, payload, 0);
	uint32_t sum;

	f.gso_type = 0;
	f.csum_start = 22;
	/* Nobody makes IP's own: it is the sender's. */
	memcpy(data + 24, (uint8_t[]){ 0, 0 }, 2);
	sum = 0xffff ^ ones_sum(data + 14, 20, 0);
	data[24] = (uint8_t)(sum >> 8);
	data[25] = (uint8_t)sum;
	ul_user_send(w->a, &f, 1);
	free(data);
}

static void checksums_and_segments_are_made_for_a_peer_that_makes_none(void **state)
{
	struct world w;
	int fd;

	(void)state;
	fd = world_meet(&w, 1500);
	send_large(&w, 1448, 0x45);
	for (uint32_t at = 0; at < 60000;) {
		uint32_t n = checked_segment(&w, fd, at);

		assert_int_equal(n, 60000 - at < 1448 ? 60000 - at : 1448);
		at += n;
	}
	/* One frame, as it left its sender. */
	assert_int_equal(uplink_info(&w).stats.rx_packets, 1);
	send_unsummed(&w, 999);
	assert_int_equal(checked_segment(&w, fd, 0), 999);
	world_part(&w, fd);
}

static void segments_that_lie_or_do_not_fit_are_dropped_whole(void **state)
{
	struct world w;
	int fd;

	(void)state;
	fd = world_meet(&w, 1500);
	/* 60000 segments of one byte. */
	send_large(&w, 1, 0x45);
	assert_int_equal(uplink_info(&w).stats.drops[TVQ_DROP_UPLINK], 1);
	/* No IP there. */
	send_large(&w, 1448, 0x65);
	assert_int_equal(uplink_info(&w).stats.drops[TVQ_DROP_OFFLOAD], 1);
	assert_int_equal(uplink_info(&w).stats.rx_packets, 0);
	send_batch(w.a, 9, 3, 1, 1514);
	assert_int_equal(ul_read_frame(&w.lab, fd, w.data), nth_len(3, 1514));
	world_part(&w, fd);
}

/* ---- what the switch's rules make of it ---- */

/* Frames to user `to` with a tag; number 1. */
static void write_tagged(int fd, uint8_t to, uint8_t vid)
{
	const uint8_t tag[] = { 0x81, 0, 0, vid };
	uint8_t data[4 + 60], frame[60];

	ul_frame_fill(frame, to, 9, 1, sizeof(frame));
	ul_put32(data, 64);
	ul_write(fd, data, 4);
	ul_write(fd, frame, 12);
	ul_write(fd, tag, sizeof(tag));
	ul_write(fd, frame + 12, sizeof(frame) - 12);
}

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
	/* With the tag of its VLAN, of another one, without; and one that comes after all of them. */
	write_tagged(fd, 3, 5);
	write_tagged(fd, 3, 6);
	ul_write_frame(fd, 3, 9, 1, 61);
	ul_write_frame(fd, 1, 9, 1, 61);
	ul_user_wait(w.a, 1);
	ul_user_wait(v, 1);
	ul_kept_is(&v->kept[0], 3, 9, 1, 60);
	send_batch(v, 9, 0, 1, 1514);
	assert_int_equal(ul_read_frame(&w.lab, fd, w.data), nth_len(0, 1514) + 4);
	assert_memory_equal(w.data + 12, tag, sizeof(tag));
	ul_user_free(v);
	world_part(&w, fd);
}

static int set_rules(struct tvq_port *port, void *ctx)
{
	struct tvq_port_info info;

	tvq_port_info(port, &info);
	assert_int_equal(info.stats.tx_packets + info.stats.rx_packets, 0);
	return ctx ? tvq_port_set_vlan(port, ctx) : -ENOMEM;
}

/* An uplink that is in all VLANs for a moment is one moment too long there. */
static void rules_hold_when_an_uplink_becomes_a_port(void **state)
{
	struct tvq_port_vlan vlan = { .mode = TVQ_VLAN_ACCESS, .pvid = 5 };
	struct tvq_uplink_cfg cfg = { .listen = true, .rules = set_rules, .rules_ctx = &vlan };
	char why[TVQ_UPLINK_ERR_LEN];
	struct tvq_port_info info;
	struct tvq_uplink *u;
	struct ul_lab lab;
	int err;

	(void)state;
	ul_start(&lab, false);
	cfg.stream = ul_path();
	u = ul_uplink(&lab, &cfg);
	info = ul_info(&lab, tvq_uplink_port(u));
	assert_int_equal(info.vlan.mode, TVQ_VLAN_ACCESS);
	assert_int_equal(info.vlan.pvid, 5);
	ul_uplink_free(&lab, u);
	/* Where they cannot be, neither can the uplink. */
	cfg.rules_ctx = NULL;
	assert_null(ul_try(&lab, &cfg, &err, why));
	assert_int_equal(err, -ENOMEM);
	ul_end(&lab);
}

/* The EtherType is the sender's memory: it may become a tag's when nobody looks at it any more. */
static void tag_that_appears_under_our_hands_does_not_come_out_of_a_stream(void **state)
{
	struct world w;
	int fd;

	(void)state;
	fd = world_meet(&w, 1500);
	for (unsigned int pieces = 1; pieces < 3; pieces++) {
		struct tvq_seg seg[2];
		struct tvq_frame f;
		uint8_t data[64];

		ul_frame_fill(data, 9, 1, 1, sizeof(data));
		f = ul_frame(seg, data, sizeof(data));
		memcpy(data + 12, (const uint8_t[]){ 0x81, 0, 0, 7 }, 4);
		if (pieces == 2)
			ul_frame_cut(&f, seg, 1);
		ul_user_send(w.a, &f, 1);
		assert_int_equal(ul_read_frame(&w.lab, fd, w.data), sizeof(data));
		data[12] = 0;
		assert_memory_equal(w.data, data, sizeof(data));
	}
	world_part(&w, fd);
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
	fd = world_meet(&w, 1500);
	c.port = tvq_uplink_port(w.up);
	ul_call(&w.lab, set_link, &c);
	for (unsigned int i = 0; i < 100; i++)
		ul_write_frame(fd, 1, 9, i, 60);
	assert_true(stops_running());
	ul_user_wait(w.a, 0);
	c.link = true;
	ul_call(&w.lab, set_link, &c);
	ul_user_wait(w.a, 100);
	world_part(&w, fd);
}

static void rate_makes_the_peer_wait_and_loses_nothing(void **state)
{
	struct change c = { .rate = { .packets = 1 } };
	struct world w;
	int fd;

	(void)state;
	fd = world_meet(&w, 1500);
	c.port = tvq_uplink_port(w.up);
	ul_call(&w.lab, set_rate, &c);
	for (unsigned int i = 0; i < 100; i++)
		ul_write_frame(fd, 1, 9, i, 60);
	do {
		ul_call(&w.lab, ul_user_look, w.a);
	} while (!w.a->seen);
	assert_in_range(w.a->seen, 1, 50);
	c.rate.packets = 0;
	ul_call(&w.lab, set_rate, &c);
	ul_user_wait(w.a, 100);
	for (unsigned int i = 0; i < 100; i++)
		ul_kept_is(&w.a->kept[i], 1, 9, i, 60);
	world_part(&w, fd);
}

/* ---- idle ---- */

static void uplink_where_nothing_happens_does_not_run(void **state)
{
	struct world w;
	int fd;

	(void)state;
	fd = world_greet(&w, 1500);
	send_batch(w.a, 9, 0, 1, 1514);
	assert_int_equal(ul_read_frame(&w.lab, fd, w.data), nth_len(0, 1514));
	assert_true(stops_running());
	world_part(&w, fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_cross_between_two_switches),
		cmocka_unit_test(frames_cross_where_control_and_worker_are_one_executor),
		cmocka_unit_test(frames_are_found_wherever_the_stream_is_cut),
		cmocka_unit_test(thousands_of_frames_at_once_all_arrive),
		cmocka_unit_test(batch_larger_than_the_buffer_goes_to_a_peer_that_takes_it),
		cmocka_unit_test(checksums_and_segments_are_made_for_a_peer_that_makes_none),
		cmocka_unit_test(segments_that_lie_or_do_not_fit_are_dropped_whole),
		cmocka_unit_test(tags_pass_a_stream_in_both_directions),
		cmocka_unit_test(rules_hold_when_an_uplink_becomes_a_port),
		cmocka_unit_test(tag_that_appears_under_our_hands_does_not_come_out_of_a_stream),
		cmocka_unit_test(frames_wait_while_the_link_is_down),
		cmocka_unit_test(rate_makes_the_peer_wait_and_loses_nothing),
		cmocka_unit_test(uplink_where_nothing_happens_does_not_run),
	};

	return cmocka_run_group_tests_name("uplink_stream", tests, NULL, NULL);
}
