/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A management device in process with a pool that makes volumes, and a client of its transportq.
 * The control executor is a loop's, or run by hand. Allocations that go through the os table are
 * counted.
 */
#ifndef TVQ_TESTS_CLIENT_LAB_H
#define TVQ_TESTS_CLIENT_LAB_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <tvq/driver.h>
#include <tvq/inproc.h>
#include <tvq/loop.h>
#include <tvq/volumes.h>

struct lab_cfg {
	bool loop;
	enum tvq_maker_kind kind;
	uint64_t volume_size; /* 0: 1 MiB */
	struct tvq_client_cfg client;
	struct tvq_mgmt_cfg mgmt; /* os, control and pool are the lab's */
};

struct lab {
	struct tvq_exec hand;
	struct tvq_loop *loop;
	struct tvq_exec *exec;
	struct tvq_volume_pool *pool;
	struct tvq_bus *bus;
	struct tvq_client *client;
};

/* Atomic: workers allocate too. */
static atomic_size_t lab_allocs;
static atomic_bool lab_no_memory;
static struct tvq_os lab_os;

static void *lab_alloc(size_t size)
{
	lab_allocs++;
	return lab_no_memory ? NULL : tvq_os_host.alloc(size);
}

static inline void lab_up(struct lab *l, const struct lab_cfg *lc)
{
	struct tvq_loop_cfg loop_cfg = { .cpu = -1, .name = "lab" };
	struct tvq_maker_cfg maker = { .kind = lc->kind, .name = "v" };
	struct tvq_mgmt_cfg cfg = lc->mgmt;
	char why[TVQ_VOLUME_ERR_LEN];
	int err;

	memset(l, 0, sizeof(*l));
	lab_os = tvq_os_host;
	lab_os.alloc = lab_alloc;
	if (lc->loop) {
		l->loop = tvq_loop_new(&loop_cfg, &err);
		assert_non_null(l->loop);
		l->exec = tvq_loop_exec(l->loop);
	} else {
		tvq_exec_init(&l->hand, &tvq_os_host, NULL, 0);
		l->exec = &l->hand;
	}
	l->pool = tvq_volume_pool_new(l->exec);
	assert_non_null(l->pool);
	maker.default_size = lc->volume_size ? lc->volume_size : 1u << 20;
	assert_int_equal(tvq_volume_pool_add_maker(l->pool, &maker, why), 0);
	cfg.os = &lab_os;
	cfg.control = l->exec;
	cfg.pool = tvq_volume_pool_pool(l->pool);
	l->bus = tvq_inproc_new(&cfg, &err);
	assert_non_null(l->bus);
	l->client = tvq_client_new(l->bus, &lc->client, &err);
	assert_int_equal(err, 0);
	assert_non_null(l->client);
}

/* The device is gone; its workers may end now, and have to before the control executor does. */
static inline void lab_down_device(struct lab *l)
{
	tvq_client_free(l->client);
	l->bus->ops->free(l->bus);
	l->bus = NULL;
}

static inline void lab_down(struct lab *l)
{
	if (l->bus)
		lab_down_device(l);
	tvq_volume_pool_free(l->pool);
	if (l->loop)
		tvq_loop_free(l->loop);
	else
		tvq_exec_fini(&l->hand);
}

static inline void lab_turn(struct lab *l)
{
	if (l->loop)
		tvq_loop_turn(l->loop, false);
	else
		tvq_exec_poll(l->exec);
}

static inline uint64_t lab_create_with(struct tvq_client *c, uint64_t features, uint16_t num_queues)
{
	struct virtio_transportq_blk_config config = { .num_queues = num_queues };
	struct tvq_create cr = {
		.virtio_device_id = TVQ_TYPE_BLK,
		.features = features,
		.config = &config,
		.config_len = sizeof(config),
	};

	assert_int_equal(tvq_client_create_call(c, &cr), 0);
	assert_int_not_equal(cr.device_id, 0);
	return cr.device_id;
}

static inline uint64_t lab_create(struct lab *l)
{
	return lab_create_with(l->client, 0, 0);
}

static inline int lab_destroy(struct tvq_client *c, uint64_t id)
{
	struct tvq_seq *s = tvq_seq_new(c, id);

	tvq_seq_destroy_device(s);
	return tvq_seq_call(s);
}

#endif
