/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The place where a vhost-user back end runs for tests: a management device in this process with a
 * RAM volume, one managed device, for block or network, presented on a real socket. Time is the real
 * loop's.
 */
#ifndef TVQ_TESTS_VU_LAB_H
#define TVQ_TESTS_VU_LAB_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>

#include <tvq/inproc.h>
#include <tvq/loop.h>
#include <tvq/mapping.h>
#include <tvq/volumes.h>

#include <present/proto.h>
#include <present/vhost_user.h>
#include <ring/driver_ring.h>
#include <ring/ring.h>

#define LAB_DEADLINE_NS	 20000000000ull /* a test that hangs fails; nothing else depends on it */
#define LAB_VOLUME_BYTES (1u << 20)

#define BIT(n) (1ull << (n))

struct vu_lab {
	struct tvq_loop *loop, *worker;
	struct tvq_exec *workers[1];
	struct tvq_volume_pool *pool;
	struct tvq_mgmt_cfg mgmt;
	struct tvq_bus *bus;
	struct tvq_client *client;
	uint32_t asid;
	uint64_t device_id;
	struct tvq_type_info type;
	struct tvq_vhost_user *vu;
	unsigned int announced; /* times */
	char dir[32], path[64];
	int fds_at_start;
	unsigned int mappings_at_start;
};

struct vu_lab_cfg {
	bool thread;	     /* data on a worker of its own */
	unsigned int queues; /* 0: 1 */
	uint32_t half_open_ms;
	struct tvq_volume *volume; /* NULL: RAM */
	bool net;		   /* a network device, of pairs of queues */
	bool dumb;		   /* which cannot be announced */
	uint8_t mac;		   /* the last octet of its address: 02:00:00:00:00:NN */
	uint16_t mtu;
	uint64_t features;	  /* 0: the default */
	unsigned int time_factor; /* the loop's clock runs so many times as fast; 0: 1 */
};

/* The log, caught. */
static char lab_log[1 << 16];
static pthread_mutex_t lab_log_lock = PTHREAD_MUTEX_INITIALIZER;
static struct tvq_os lab_os;
static struct tvq_os lab_clock;
static unsigned int lab_time_factor;

static inline void lab_vlog(enum tvq_log_level level, const char *fmt, va_list ap)
{
	size_t n;

	(void)level;
	pthread_mutex_lock(&lab_log_lock);
	n = strlen(lab_log);
	vsnprintf(lab_log + n, sizeof(lab_log) - n - 1, fmt, ap);
	if (getenv("TVQ_TEST_LOG"))
		fprintf(stderr, "%s\n", lab_log + n);
	strcat(lab_log, "\n");
	pthread_mutex_unlock(&lab_log_lock);
}

static inline bool lab_logged(const char *text)
{
	bool found;

	pthread_mutex_lock(&lab_log_lock);
	found = strstr(lab_log, text) != NULL;
	pthread_mutex_unlock(&lab_log_lock);
	return found;
}

static inline void lab_forget_log(void)
{
	pthread_mutex_lock(&lab_log_lock);
	lab_log[0] = 0;
	pthread_mutex_unlock(&lab_log_lock);
}

static inline uint64_t lab_now(void)
{
	return tvq_os_host.now() * lab_time_factor;
}

/* cmocka takes SIGBUS for itself at each test; the library took it once. Before the tests. */
static struct sigaction lab_sigbus;

static inline bool lab_catch_sigbus(void)
{
	struct tvq_mapping *m;
	uint8_t *va;

	if (tvq_mapping_anon(1, &m, &va) || sigaction(SIGBUS, NULL, &lab_sigbus))
		return false;
	m->put(m);
	return true;
}

static inline int open_fds(void)
{
	int n = 0, fd;

	for (fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static inline void lab_turn(struct vu_lab *l)
{
	tvq_loop_turn(l->loop, false);
}

/* Lets everything come to rest that has nothing to do. */
static inline void lab_rest(struct vu_lab *l)
{
	unsigned int i;

	for (i = 0; i < 200; i++)
		lab_turn(l);
}

/* Turns the loop until cond, which has to come true. */
#define LAB_UNTIL(l, cond)                                                                         \
	do {                                                                                       \
		uint64_t end_ = tvq_os_host.now() + LAB_DEADLINE_NS;                               \
                                                                                                   \
		while (!(cond)) {                                                                  \
			if (tvq_os_host.now() > end_)                                              \
				fail_msg("waited in vain for: %s; log:\n%s", #cond, lab_log);      \
			lab_turn(l);                                                               \
		}                                                                                  \
	} while (0)

static inline void lab_device(struct vu_lab *l, const struct vu_lab_cfg *cfg)
{
	uint16_t queues = (uint16_t)(cfg->queues ? cfg->queues : 1);
	struct virtio_transportq_blk_config blk = { .num_queues = queues };
	struct virtio_transportq_net_config net = {
		.mac = { 2, 0, 0, 0, 0, cfg->mac ? cfg->mac : 1 },
		.max_virtqueue_pairs = queues > 1 ? queues : 0,
		.mtu = cfg->mtu,
	};
	struct tvq_create cr = { .virtio_device_id = VIRTIO_ID_BLOCK };

	assert_int_equal(l->bus->ops->space_new(l->bus, &l->asid), 0);
	cr.asid = l->asid;
	cr.features = cfg->features;
	cr.config = &blk;
	cr.config_len = sizeof(blk);
	if (cfg->net) {
		cr.virtio_device_id = VIRTIO_ID_NET;
		cr.config = &net;
		cr.config_len = sizeof(net);
	}
	assert_int_equal(tvq_client_create_call(l->client, &cr), 0);
	l->device_id = cr.device_id;
}

static inline void lab_announce(void *ctx)
{
	((struct vu_lab *)ctx)->announced++;
}

static inline struct tvq_vhost_user *lab_present(struct vu_lab *l, const struct vu_lab_cfg *cfg,
						 char *err)
{
	struct tvq_vhost_user_cfg vc = {
		.name = cfg->net ? "net7" : "disk7",
		.path = l->path,
		.device_id = l->device_id,
		.virtio_device_id = cfg->net ? VIRTIO_ID_NET : VIRTIO_ID_BLOCK,
		.asid = l->asid,
		.num_queues = (uint16_t)(cfg->queues ? cfg->queues : 1),
		.max_queue_size = l->type.max_queue_size,
		.half_open_ms = cfg->half_open_ms,
	};
	struct tvq_seq *s = tvq_seq_new(l->client, l->device_id);

	if (cfg->net)
		vc.num_queues = (uint16_t)(2 * vc.num_queues + 1);
	if (cfg->net && !cfg->dumb) {
		vc.announce = lab_announce;
		vc.announce_ctx = l;
	}
	tvq_seq_features_get(s, &vc.features);
	assert_int_equal(tvq_seq_call(s), 0);
	return tvq_vhost_user_new(l->client, &vc, err);
}

/* Another device of the same management device: opened later, closed earlier. */
static inline void lab_open_another(struct vu_lab *l, const struct vu_lab *first,
				    const struct vu_lab_cfg *cfg)
{
	char err[256];

	*l = *first;
	snprintf(l->path, sizeof(l->path), "%s/second.sock", l->dir);
	lab_device(l, cfg);
	l->vu = lab_present(l, cfg, err);
	assert_non_null(l->vu);
}

static inline void lab_open_second(struct vu_lab *l, const struct vu_lab *first)
{
	static const struct vu_lab_cfg cfg;

	lab_open_another(l, first, &cfg);
}

static inline void lab_open(struct vu_lab *l, const struct vu_lab_cfg *cfg)
{
	struct tvq_loop_cfg lc = { .cpu = -1, .name = "control" };
	struct tvq_client_cfg cc = { 0 };
	char err[256];
	int ret;

	memset(l, 0, sizeof(*l));
	assert_int_equal(sigaction(SIGBUS, &lab_sigbus, NULL), 0);
	lab_forget_log();
	lab_os = tvq_os_host;
	lab_os.vlog = lab_vlog;
	l->fds_at_start = open_fds();
	l->loop = tvq_loop_new(&lc, &ret);
	assert_non_null(l->loop);
	l->mgmt.os = &lab_os;
	l->mgmt.control = tvq_loop_exec(l->loop);
	if (cfg->thread) {
		lc.name = "worker";
		l->worker = tvq_loop_new(&lc, &ret);
		assert_non_null(l->worker);
		l->workers[0] = tvq_loop_exec(l->worker);
		l->mgmt.workers = l->workers;
		l->mgmt.n_workers = 1;
		assert_int_equal(tvq_loop_start(l->worker), 0);
	}
	l->pool = tvq_volume_pool_new(l->mgmt.control);
	assert_non_null(l->pool);
	assert_int_equal(
		tvq_volume_pool_add(l->pool,
				    cfg->volume ? cfg->volume
						: tvq_volume_ram("ram0", LAB_VOLUME_BYTES, err)),
		0);
	assert_int_equal(
		tvq_volume_pool_add(l->pool, tvq_volume_ram("ram1", LAB_VOLUME_BYTES, err)), 0);
	l->mgmt.pool = tvq_volume_pool_pool(l->pool);
	l->bus = tvq_inproc_new(&l->mgmt, &ret);
	assert_non_null(l->bus);
	l->client = tvq_client_new(l->bus, &cc, &ret);
	assert_non_null(l->client);
	assert_int_equal(tvq_client_type(l->client, cfg->net ? VIRTIO_ID_NET : VIRTIO_ID_BLOCK,
					 &l->type),
			 0);
	lab_device(l, cfg);
	l->mappings_at_start = tvq_mapping_count();
	snprintf(l->dir, sizeof(l->dir), "/tmp/tvq-vu-XXXXXX");
	assert_non_null(mkdtemp(l->dir));
	snprintf(l->path, sizeof(l->path), "%s/vu.sock", l->dir);
	if (cfg->time_factor) {
		lab_time_factor = cfg->time_factor;
		lab_clock = tvq_os_host;
		lab_clock.now = lab_now;
		l->mgmt.control->os = &lab_clock;
	}
	l->vu = lab_present(l, cfg, err);
	if (!l->vu)
		fail_msg("%s", err);
}

struct lab_done {
	struct tvq_done d;
	bool over;
};

static inline void lab_is_done(struct tvq_done *d, int err)
{
	(void)err;
	((struct lab_done *)d)->over = true;
}

static inline void lab_stop_presenting(struct vu_lab *l)
{
	struct lab_done done = { { lab_is_done }, false };

	tvq_vhost_user_free(l->vu, &done.d);
	LAB_UNTIL(l, done.over);
	l->vu = NULL;
	assert_int_equal(access(l->path, F_OK), -1);
}

/* The presenter and the device. */
static inline void lab_close_device(struct vu_lab *l)
{
	struct tvq_seq *s;

	if (l->vu)
		lab_stop_presenting(l);
	l->mgmt.control->os = &tvq_os_host;
	s = tvq_seq_new(l->client, l->device_id);
	tvq_seq_destroy_device(s);
	assert_int_equal(tvq_seq_call(s), 0);
	l->bus->ops->space_free(l->bus, l->asid);
}

static inline void lab_close(struct vu_lab *l)
{
	lab_close_device(l);
	assert_int_equal(tvq_mapping_count(), l->mappings_at_start);
	tvq_client_free(l->client);
	l->bus->ops->free(l->bus);
	if (l->worker) {
		tvq_loop_stop(l->worker);
		tvq_loop_join(l->worker);
		tvq_loop_free(l->worker);
	}
	tvq_volume_pool_free(l->pool);
	tvq_loop_free(l->loop);
	rmdir(l->dir);
	assert_int_equal(open_fds(), l->fds_at_start);
}

#endif
