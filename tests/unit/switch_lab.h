/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A switch on an executor that the test turns by hand, with a clock of the test's own, and ports
 * that copy what they get. Allocations are counted, and fail on demand.
 */
#ifndef TVQ_TESTS_SWITCH_LAB_H
#define TVQ_TESTS_SWITCH_LAB_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <linux/virtio_net.h>

#include <tvq/switch.h>

#define SECOND 1000000000ULL

static uint64_t sl_clock;
static long sl_bytes;		 /* allocated and not freed */
static long sl_allocs_left = -1; /* until allocations fail; -1: for ever */

static uint64_t sl_now(void)
{
	return sl_clock;
}

static void *sl_alloc(size_t size)
{
	void *p;

	if (!sl_allocs_left)
		return NULL;
	if (sl_allocs_left > 0)
		sl_allocs_left--;
	p = tvq_os_host.alloc(size);
	if (p)
		sl_bytes += (long)size;
	return p;
}

static void sl_free(void *p, size_t size)
{
	if (p)
		sl_bytes -= (long)size;
	tvq_os_host.free(p, size);
}

/* What a port got: all of the frame that can be seen there. */
struct sl_got {
	uint32_t id;
	uint32_t len; /* bytes from the EtherType on */
	uint8_t mac[12];
	bool tagged;
	uint16_t tci; /* of the tag */
};

#define SL_GOT 1024 /* kept; those after that are counted only */

struct sl_port {
	struct tvq_port *port;
	struct sl_got *got;
	unsigned int n_got, receives, flushes, feeds;
	bool unflushed;
	struct sl_port *del_in_feed, *del_in_flush; /* these are deleted there */
};

struct sl_lab {
	struct tvq_os os;
	struct tvq_exec exec;
	struct tvq_switch *sw;
	struct sl_port *ports[64];
	unsigned int n_ports;
};

static struct sl_lab sl;

static void sl_receive(struct tvq_port *p, const struct tvq_frame *const *f, unsigned int n)
{
	struct sl_port *t = tvq_port_ctx(p);
	uint64_t bytes = 0;

	assert_in_range(n, 1, TVQ_SWITCH_BATCH);
	for (unsigned int i = 0; i < n; i++) {
		struct sl_got g = { .len = f[i]->len };
		uint8_t head[16];
		unsigned int len = tvq_frame_head(p, f[i], head);

		memcpy(g.mac, head, 12);
		g.tagged = tvq_port_tags(p, f[i]);
		assert_int_equal(len, g.tagged ? 16 : 12);
		if (g.tagged) {
			assert_int_equal(head[12] << 8 | head[13], 0x8100);
			g.tci = (uint16_t)(head[14] << 8 | head[15]);
		}
		memcpy(&g.id, (uint8_t *)f[i]->seg[0].va + 2, sizeof(g.id));
		bytes += len + f[i]->len;
		if (t->n_got < SL_GOT)
			t->got[t->n_got] = g;
		t->n_got++;
	}
	t->receives++;
	t->unflushed = true;
	tvq_port_received(p, n, bytes);
}

static void sl_flush(struct tvq_port *p)
{
	struct sl_port *t = tvq_port_ctx(p);

	t->flushes++;
	t->unflushed = false;
	if (t->del_in_flush) {
		tvq_port_del(t->del_in_flush->port);
		t->del_in_flush->port = NULL;
		t->del_in_flush->unflushed = false;
	}
}

static void sl_feed(struct tvq_port *p)
{
	struct sl_port *t = tvq_port_ctx(p);

	t->feeds++;
	if (t->del_in_feed) {
		tvq_port_del(t->del_in_feed->port);
		t->del_in_feed->port = NULL;
	}
}

static const struct tvq_port_ops sl_ops = {
	.receive = sl_receive,
	.flush = sl_flush,
	.feed = sl_feed,
};

static int sl_set_up(void **state)
{
	(void)state;
	sl_clock = 1000 * SECOND;
	sl_allocs_left = -1;
	sl.os = tvq_os_host;
	sl.os.now = sl_now;
	sl.os.alloc = sl_alloc;
	sl.os.free = sl_free;
	sl.n_ports = 0;
	tvq_exec_init(&sl.exec, &sl.os, NULL, 0);
	sl.sw = tvq_switch_new(&sl.os, &sl.exec, &sl.exec);
	assert_non_null(sl.sw);
	return 0;
}

static int sl_tear_down(void **state)
{
	(void)state;
	sl_allocs_left = -1;
	for (unsigned int i = 0; i < sl.n_ports; i++) {
		tvq_port_del(sl.ports[i]->port);
		free(sl.ports[i]->got);
		free(sl.ports[i]);
	}
	assert_int_equal(sl.exec.n_timers, 0);
	assert_null(sl.exec.active);
	tvq_switch_free(sl.sw);
	tvq_exec_fini(&sl.exec);
	assert_int_equal(sl_bytes, 0);
	return 0;
}

static inline void sl_turn(uint64_t ns)
{
	sl_clock += ns;
	tvq_exec_poll(&sl.exec);
}

/* An address by a number: 02:00:00:00:xx:xx; 0: none, an uplink's. */
static inline const uint8_t *sl_mac(unsigned int number)
{
	static uint8_t mac[8][6];
	static unsigned int next;
	uint8_t *m = mac[next++ % 8];

	memset(m, 0, 6);
	if (number) {
		m[0] = 2;
		m[3] = (uint8_t)(number >> 16);
		m[4] = (uint8_t)(number >> 8);
		m[5] = (uint8_t)number;
	}
	return m;
}

static inline const uint8_t *sl_group(unsigned int number)
{
	uint8_t *m = (uint8_t *)sl_mac(number);

	m[0] = 0x33;
	m[1] = 0x33;
	return m;
}

static const uint8_t sl_all[6] __attribute__((unused)) = { 255, 255, 255, 255, 255, 255 };

static inline struct sl_port *sl_add_cfg(const struct tvq_port_cfg *cfg)
{
	struct sl_port *t = calloc(1, sizeof(*t));
	int err = 1;

	assert_non_null(t);
	t->got = calloc(SL_GOT, sizeof(*t->got));
	assert_non_null(t->got);
	t->port = tvq_port_add(sl.sw, cfg, t, &err);
	assert_non_null(t->port);
	assert_int_equal(err, 0);
	assert_true(sl.n_ports < 64);
	sl.ports[sl.n_ports++] = t;
	return t;
}

/* A port with that address; 0: an uplink. */
static inline struct sl_port *sl_add(unsigned int number)
{
	struct tvq_port_cfg cfg = { .ops = &sl_ops, .mtu = 1500 };

	memcpy(cfg.mac, sl_mac(number), 6);
	return sl_add_cfg(&cfg);
}

/* One without source check. */
static inline struct sl_port *sl_add_trusted(unsigned int number)
{
	struct tvq_port_cfg cfg = { .ops = &sl_ops, .mtu = 1500, .no_spoofchk = true };

	memcpy(cfg.mac, sl_mac(number), 6);
	return sl_add_cfg(&cfg);
}

/* Frames that are gathered and then sent as one batch. */
struct sl_batch {
	unsigned int n;
	struct tvq_frame frame[TVQ_SWITCH_BATCH];
	struct tvq_seg seg[TVQ_SWITCH_BATCH];
	uint8_t data[TVQ_SWITCH_BATCH][6];
};

/* Returns the frame, so that a test can alter it. len 48: 60 bytes with the addresses. */
static inline struct tvq_frame *sl_put(struct sl_batch *b, const uint8_t *to, const uint8_t *from,
				       uint32_t id)
{
	struct tvq_frame *f = &b->frame[b->n];

	assert_true(b->n < TVQ_SWITCH_BATCH);
	b->data[b->n][0] = 8;
	b->data[b->n][1] = 0;
	memcpy(b->data[b->n] + 2, &id, 4);
	b->seg[b->n] = (struct tvq_seg){ .va = b->data[b->n], .len = 48 };
	*f = (struct tvq_frame){ .n_seg = 1, .len = 48, .seg = &b->seg[b->n], .vid = 0x777 };
	memcpy(f->mac, to, 6);
	memcpy(f->mac + 6, from, 6);
	b->n++;
	return f;
}

static inline void sl_tag(struct tvq_frame *f, unsigned int tci)
{
	f->tagged = true;
	f->tci = (uint16_t)tci;
}

static inline void sl_send(struct sl_port *t, struct sl_batch *b)
{
	struct tvq_frame *f[TVQ_SWITCH_BATCH];

	for (unsigned int i = 0; i < b->n; i++)
		f[i] = &b->frame[i];
	tvq_switch_forward(t->port, f, b->n);
	tvq_switch_flush(sl.sw);
	for (unsigned int i = 0; i < sl.n_ports; i++)
		assert_false(sl.ports[i]->unflushed);
	b->n = 0;
}

/* One frame on its own. */
static inline void sl_one(struct sl_port *t, const uint8_t *to, const uint8_t *from, uint32_t id)
{
	static struct sl_batch b;

	sl_put(&b, to, from, id);
	sl_send(t, &b);
}

/* Where t's frames since the last look have the ids of the string ("1 2 3"). */
static inline void sl_expect_(struct sl_port *t, const char *ids, const char *file, int line)
{
	char buf[8192] = "";
	size_t at = 0;

	for (unsigned int i = 0; i < t->n_got && i < SL_GOT; i++)
		at += (size_t)snprintf(buf + at, sizeof(buf) - at, "%s%u", i ? " " : "",
				       t->got[i].id);
	t->n_got = 0;
	_assert_string_equal(buf, ids, file, line);
}
#define sl_expect(t, ids) sl_expect_(t, ids, __FILE__, __LINE__)

static inline struct tvq_port_info sl_info(const struct sl_port *t)
{
	struct tvq_port_info info;

	memset(&info, 0xa5, sizeof(info));
	tvq_port_info(t->port, &info);
	return info;
}

static inline uint64_t sl_drops(const struct sl_port *t, enum tvq_drop why)
{
	return sl_info(t).stats.drops[why];
}

/* How many entries the address table has, and where that address is: number of the port, or 0. */
static inline unsigned int sl_fdb(const uint8_t *mac, unsigned int vid, uint32_t *port,
				  uint32_t *age)
{
	struct tvq_fdb_entry e[7];
	unsigned int n, total = 0;
	uint64_t cursor = 0;

	*port = 0;
	while ((n = tvq_switch_fdb(sl.sw, &cursor, e, 7))) {
		total += n;
		for (unsigned int i = 0; i < n; i++) {
			if (memcmp(e[i].mac, mac, 6) || e[i].vid != vid)
				continue;
			*port = e[i].port;
			*age = e[i].age;
		}
	}
	return total;
}

static inline uint32_t sl_where(const uint8_t *mac, unsigned int vid)
{
	uint32_t port, age;

	sl_fdb(mac, vid, &port, &age);
	return port;
}

static inline uint32_t sl_number(const struct sl_port *t)
{
	return sl_info(t).number;
}

#define SL_TEST(f) cmocka_unit_test_setup_teardown(f, sl_set_up, sl_tear_down)

#endif
