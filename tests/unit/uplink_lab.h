/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A switch on a worker with a thread of its own, run by the test's thread; users, which are ports
 * that keep what they get; and what an uplink's peer needs.
 */
#ifndef TVQ_TESTS_UPLINK_LAB_H
#define TVQ_TESTS_UPLINK_LAB_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <tvq/loop.h>
#include <tvq/switch.h>
#include <tvq/uplinks.h>

#define UL_PATIENCE 30000000000ull /* nanoseconds until a test gives up */
#define UL_KEPT	    4096	   /* frames that a user keeps */
#define UL_LONGEST  66000

struct ul_lab {
	struct tvq_loop *control, *worker;
	struct tvq_switch *sw;
};

static inline struct tvq_loop *ul_loop(void)
{
	struct tvq_loop_cfg cfg = { .cpu = -1, .name = "uplink" };
	int err;
	struct tvq_loop *l = tvq_loop_new(&cfg, &err);

	assert_non_null(l);
	return l;
}

/* one: control and worker are the same executor. */
static inline void ul_start(struct ul_lab *lab, bool one)
{
	lab->control = ul_loop();
	lab->worker = one ? lab->control : ul_loop();
	if (!one)
		assert_int_equal(tvq_loop_start(lab->worker), 0);
	lab->sw = tvq_switch_new(&tvq_os_host, tvq_loop_exec(lab->control),
				 tvq_loop_exec(lab->worker));
	assert_non_null(lab->sw);
}

/* One turn of the lab's control loop that waits for a short time at most. */
static inline void ul_nothing(struct tvq_timer *t)
{
	(void)t;
}

static inline void ul_turn(struct ul_lab *lab)
{
	struct tvq_timer soon = { .fn = ul_nothing };
	struct tvq_exec *e = tvq_loop_exec(lab->control);

	assert_int_equal(tvq_timer_set(e, &soon, tvq_os_host.now() + 1000000), 0);
	tvq_loop_turn(lab->control, true);
	tvq_timer_clear(e, &soon);
}

#define ul_until(lab, condition)                                                                   \
	do {                                                                                       \
		uint64_t ul_end_ = tvq_os_host.now() + UL_PATIENCE;                                \
		while (!(condition)) {                                                             \
			assert_true(tvq_os_host.now() < ul_end_);                                  \
			ul_turn(lab);                                                              \
		}                                                                                  \
	} while (0)

/* Does something on the worker. */
struct ul_call {
	struct tvq_switch_op op;
	void (*fn)(void *ctx);
	void *ctx;
	bool done;
};

static inline void ul_call_run(struct tvq_switch_op *op)
{
	struct ul_call *c = (struct ul_call *)op;

	c->fn(c->ctx);
}

static inline void ul_call_done(struct tvq_switch_op *op)
{
	((struct ul_call *)op)->done = true;
}

static inline void ul_call(struct ul_lab *lab, void (*fn)(void *ctx), void *ctx)
{
	struct ul_call c = { .op = { .run = ul_call_run, .done = ul_call_done },
			     .fn = fn,
			     .ctx = ctx };

	tvq_switch_run(lab->sw, &c.op);
	ul_until(lab, c.done);
}

static inline void ul_no_port(void *sw)
{
	assert_null(tvq_switch_next_port(sw, 0));
}

static inline void ul_end(struct ul_lab *lab)
{
	assert_false(tvq_switch_busy(lab->sw));
	ul_call(lab, ul_no_port, lab->sw);
	tvq_switch_free(lab->sw);
	if (lab->worker != lab->control) {
		tvq_loop_stop(lab->worker);
		tvq_loop_join(lab->worker);
		tvq_loop_free(lab->worker);
	}
	tvq_loop_free(lab->control);
}

/* ---- users ---- */

struct ul_kept {
	uint8_t *data; /* as on a wire */
	uint32_t len;
	uint8_t flags, gso_type;
};

struct ul_user {
	struct ul_lab *lab;
	struct tvq_port_cfg cfg;
	struct tvq_port *port;
	unsigned int n, flushed; /* frames; and those of which flush() was called */
	struct ul_kept kept[UL_KEPT];
	const struct tvq_port_vlan *vlan;

	/* Of the call under way. */
	struct tvq_frame *frames;
	unsigned int n_frames;
	unsigned int seen;
	struct tvq_port_info info;
	int err;
};

static inline void ul_user_receive(struct tvq_port *p, const struct tvq_frame *const *f,
				   unsigned int n)
{
	struct ul_user *u = tvq_port_ctx(p);

	for (unsigned int i = 0; i < n; i++) {
		struct ul_kept *k = &u->kept[u->n % UL_KEPT];
		uint8_t head[16];
		unsigned int len = tvq_frame_head(p, f[i], head);

		free(k->data);
		*k = (struct ul_kept){ .data = malloc(len + f[i]->len),
				       .flags = f[i]->flags,
				       .gso_type = f[i]->gso_type };
		memcpy(k->data, head, len);
		for (unsigned int s = 0; s < f[i]->n_seg; s++) {
			memcpy(k->data + len, f[i]->seg[s].va, f[i]->seg[s].len);
			len += (unsigned int)f[i]->seg[s].len;
		}
		k->len = len;
		u->n++;
		tvq_port_received(p, 1, len);
	}
}

static inline void ul_user_flush(struct tvq_port *p)
{
	struct ul_user *u = tvq_port_ctx(p);

	u->flushed = u->n;
}

static const struct tvq_port_ops ul_user_ops = {
	.receive = ul_user_receive,
	.flush = ul_user_flush,
};

static inline void ul_user_add(void *ctx)
{
	struct ul_user *u = ctx;

	u->port = tvq_port_add(u->lab->sw, &u->cfg, u, &u->err);
	if (u->port && u->vlan)
		u->err = tvq_port_set_vlan(u->port, u->vlan);
}

static inline struct ul_user *ul_user(struct ul_lab *lab, uint8_t number, uint16_t mtu,
				      const struct tvq_port_vlan *vlan)
{
	struct ul_user *u = calloc(1, sizeof(*u));

	assert_non_null(u);
	u->lab = lab;
	u->vlan = vlan;
	u->cfg = (struct tvq_port_cfg){
		.ops = &ul_user_ops,
		.mac = { 2, 0, 0, 0, 0, number },
		.mtu = mtu,
	};
	ul_call(lab, ul_user_add, u);
	assert_non_null(u->port);
	assert_int_equal(u->err, 0);
	return u;
}

static inline void ul_user_del(void *ctx)
{
	struct ul_user *u = ctx;

	tvq_port_del(u->port);
}

static inline void ul_user_free(struct ul_user *u)
{
	ul_call(u->lab, ul_user_del, u);
	for (unsigned int i = 0; i < UL_KEPT; i++)
		free(u->kept[i].data);
	free(u);
}

static inline void ul_user_look(void *ctx)
{
	struct ul_user *u = ctx;

	u->seen = u->flushed;
	tvq_port_info(u->port, &u->info);
}

/* Waits until it has got that many frames in all. What it has kept may then be looked at, as long as
 * nobody sends more. */
static inline void ul_user_wait(struct ul_user *u, unsigned int n)
{
	uint64_t end = tvq_os_host.now() + UL_PATIENCE;

	do {
		assert_true(tvq_os_host.now() < end);
		ul_call(u->lab, ul_user_look, u);
	} while (u->seen < n);
	assert_int_equal(u->seen, n);
}

static inline void ul_user_forward(void *ctx)
{
	struct ul_user *u = ctx;
	struct tvq_frame *ptrs[TVQ_SWITCH_BATCH];

	for (unsigned int i = 0; i < u->n_frames; i++)
		ptrs[i] = &u->frames[i];
	tvq_switch_forward(u->port, ptrs, u->n_frames);
	tvq_switch_flush(u->lab->sw);
}

/* Up to a batch. */
static inline void ul_user_send(struct ul_user *u, struct tvq_frame *frames, unsigned int n)
{
	assert_true(n <= TVQ_SWITCH_BATCH);
	u->frames = frames;
	u->n_frames = n;
	ul_call(u->lab, ul_user_forward, u);
}

/* ---- frames ---- */

/* The frame with this number: from user `from` to user `to`, len bytes, untagged. */
static inline void ul_frame_fill(uint8_t *data, uint8_t to, uint8_t from, uint32_t number,
				 uint32_t len)
{
	const uint8_t head[14] = { 2, 0, 0, 0, 0, to, 2, 0, 0, 0, 0, from, 0x88, 0xb5 };

	assert_in_range(len, sizeof(head), UL_LONGEST);
	memcpy(data, head, sizeof(head));
	for (uint32_t i = sizeof(head); i < len; i++)
		data[i] = (uint8_t)(number * 31 + i * 7 + (i >> 8));
}

/* A struct tvq_frame of bytes as on a wire; they stay in use. */
static inline struct tvq_frame ul_frame(struct tvq_seg *seg, uint8_t *data, uint32_t len)
{
	struct tvq_frame f = { .n_seg = 1, .len = len - 12, .seg = seg };

	memcpy(f.mac, data, sizeof(f.mac));
	*seg = (struct tvq_seg){ data + 12, len - 12 };
	return f;
}

/* Cuts a frame of one piece in two, at so many bytes behind its addresses. seg: its two pieces. */
static inline void ul_frame_cut(struct tvq_frame *f, struct tvq_seg *seg, uint32_t at)
{
	seg[1] = (struct tvq_seg){ (uint8_t *)seg[0].va + at, seg[0].len - at };
	seg[0].len = at;
	f->n_seg = 2;
}

/* A TCP segment over IPv4, of user 1 to 9, whose checksum and segmentation are left to the device. */
static inline struct tvq_frame ul_gso_frame(struct tvq_seg *seg, uint8_t *data, uint32_t payload,
					    uint16_t gso_size)
{
	static const uint8_t head[] = { 2,    0,    0,	  0,	0,
					9,    2,    0,	  0,	0,
					0,    1,    0x08, 0x00, /* IP: */ 0x45,
					0,    0,    0,	  0,	0,
					0x40, 0,    64,	  6,	0,
					0,    10,   0,	  0,	1,
					10,   0,    0,	  2,	/* TCP: */ 0x30,
					0x39, 0,    7,	  0,	0,
					0,    1,    0,	  0,	0,
					1,    0x50, 0x10, 4,	0,
					0,    0,    0,	  0 };
	uint32_t len = sizeof(head) + payload, ip = 40 + payload, sum;
	struct tvq_frame f;

	memcpy(data, head, sizeof(head));
	for (uint32_t i = 0; i < payload; i++)
		data[sizeof(head) + i] = (uint8_t)(i * 13 + (i >> 8));
	data[16] = (uint8_t)(ip >> 8);
	data[17] = (uint8_t)ip;
	/* Of the pseudo header. */
	sum = 0x0a00 + 1 + 0x0a00 + 2 + 6 + 20 + payload;
	sum = (sum & 0xffff) + (sum >> 16);
	data[50] = (uint8_t)(sum >> 8);
	data[51] = (uint8_t)sum;
	f = ul_frame(seg, data, len);
	f.flags = 1;
	f.gso_type = 1;
	f.gso_size = gso_size;
	f.csum_start = 22;
	f.csum_offset = 16;
	return f;
}

static inline void ul_kept_is(const struct ul_kept *k, uint8_t to, uint8_t from, uint32_t number,
			      uint32_t len)
{
	uint8_t *want = malloc(UL_LONGEST);

	assert_int_equal(k->len, len);
	ul_frame_fill(want, to, from, number, len);
	assert_memory_equal(k->data, want, len);
	free(want);
}

/* ---- uplinks ---- */

struct ul_told {
	struct tvq_uplink_done done;
	bool told;
	int err;
};

static inline void ul_told(struct tvq_uplink_done *done, int err)
{
	struct ul_told *t = (struct ul_told *)done;

	assert_false(t->told);
	t->told = true;
	t->err = err;
}

/* NULL, and *err, and why (TVQ_UPLINK_ERR_LEN), where it cannot be. */
static inline struct tvq_uplink *ul_try(struct ul_lab *lab, const struct tvq_uplink_cfg *cfg,
					int *err, char *why)
{
	struct ul_told t = { .done.fn = ul_told };
	struct tvq_uplink *u = tvq_uplink_new(lab->sw, cfg, &t.done, why);

	*err = 0;
	if (!u)
		return NULL;
	ul_until(lab, t.told);
	*err = t.err;
	if (t.err)
		memcpy(why, t.done.why, TVQ_UPLINK_ERR_LEN);
	return t.err ? NULL : u;
}

static inline struct tvq_uplink *ul_uplink(struct ul_lab *lab, const struct tvq_uplink_cfg *cfg)
{
	char why[TVQ_UPLINK_ERR_LEN] = "";
	int err;
	struct tvq_uplink *u = ul_try(lab, cfg, &err, why);

	if (!u)
		fail_msg("%s", why);
	return u;
}

/* It cannot be, and the sentence says this. */
static inline void ul_refused(struct ul_lab *lab, struct tvq_uplink_cfg cfg, const char *says)
{
	char why[TVQ_UPLINK_ERR_LEN] = "";
	int err;

	assert_null(ul_try(lab, &cfg, &err, why));
	if (!strstr(why, says))
		fail_msg("'%s' does not say '%s'", why, says);
}

static inline void ul_uplink_free(struct ul_lab *lab, struct tvq_uplink *u)
{
	struct ul_told t = { .done.fn = ul_told };

	tvq_uplink_free(u, &t.done);
	ul_until(lab, t.told);
	assert_int_equal(t.err, 0);
}

struct ul_look {
	struct tvq_port *port;
	struct tvq_port_info info;
};

static inline void ul_look(void *ctx)
{
	struct ul_look *l = ctx;

	tvq_port_info(l->port, &l->info);
}

static inline struct tvq_port_info ul_info(struct ul_lab *lab, struct tvq_port *port)
{
	struct ul_look l = { .port = port };

	ul_call(lab, ul_look, &l);
	return l.info;
}

/* ---- the end of a stream that is no uplink ---- */

/* A path that is nobody's. */
static inline const char *ul_path(void)
{
	static char path[100];
	static unsigned int n;

	snprintf(path, sizeof(path), "/tmp/tvq-uplink.%d.%u", getpid(), n++);
	unlink(path);
	return path;
}

static inline struct sockaddr_un ul_addr(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	return sa;
}

static inline int ul_connect(const char *path)
{
	struct sockaddr_un sa = ul_addr(path);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

static inline int ul_listen(const char *path)
{
	struct sockaddr_un sa = ul_addr(path);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	unlink(path);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(fd, 4), 0);
	return fd;
}

static inline void ul_put32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

static inline uint32_t ul_get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline void ul_write(int fd, const void *data, size_t len)
{
	const uint8_t *p = data;

	while (len) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

		assert_true(n > 0);
		p += n;
		len -= (size_t)n;
	}
}

/* False: the stream is at its end, between two frames. Turns the lab while nothing comes. */
static inline bool ul_read(struct ul_lab *lab, int fd, void *data, size_t len)
{
	uint64_t end = tvq_os_host.now() + UL_PATIENCE;
	size_t got = 0;

	while (got < len) {
		ssize_t n = recv(fd, (uint8_t *)data + got, len - got, MSG_DONTWAIT);

		if (!n || (n < 0 && errno == ECONNRESET)) {
			assert_int_equal(got, 0);
			return false;
		}
		if (n > 0) {
			got += (size_t)n;
			continue;
		}
		assert_int_equal(errno, EAGAIN);
		assert_true(tvq_os_host.now() < end);
		ul_turn(lab);
	}
	return true;
}

/* 0: the stream is at its end. data: UL_LONGEST. */
static inline uint32_t ul_read_frame(struct ul_lab *lab, int fd, uint8_t *data)
{
	uint8_t head[4];
	uint32_t len;

	if (!ul_read(lab, fd, head, sizeof(head)))
		return 0;
	len = ul_get32(head);
	assert_in_range(len, 14, UL_LONGEST);
	assert_true(ul_read(lab, fd, data, len));
	return len;
}

static inline void ul_write_frame(int fd, uint8_t to, uint8_t from, uint32_t number, uint32_t len)
{
	uint8_t *data = malloc(4 + UL_LONGEST);

	ul_put32(data, len);
	ul_frame_fill(data + 4, to, from, number, len);
	ul_write(fd, data, 4 + len);
	free(data);
}

#endif
