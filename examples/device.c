/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An embedder's device half without threads, as firmware would have it: an operating system
 * table, a volume type and a pool of its own, and tvq_exec_poll() called by hand. The volume is
 * an array, "flash". The driver is libtvq's, over the in-process bus.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <linux/virtio_blk.h>

#include <tvq/blk.h>
#include <tvq/inproc.h>

#define FLASH_BYTES (64 * 1024)
static uint8_t flash[FLASH_BYTES];
static size_t allocated; /* bytes */

static void check(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "example: %s\n", what);
	exit(1);
}

/* ---- the operating system ---- */

static void *os_alloc(size_t size)
{
	void *p = aligned_alloc(64, (size + 63) & ~(size_t)63);

	if (!p)
		return NULL;
	allocated += size;
	return memset(p, 0, size);
}

static void os_free(void *p, size_t size)
{
	if (p)
		allocated -= size;
	free(p);
}

static uint64_t os_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void os_vlog(enum tvq_log_level level, const char *fmt, va_list ap)
{
	fprintf(stderr, "<%d> ", level);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
}

static void os_random(void *buf, size_t len)
{
	uint8_t *p = buf;

	while (len-- > 0)
		*p++ = (uint8_t)rand();
}

static const struct tvq_os os = {
	.alloc = os_alloc,
	.free = os_free,
	.now = os_now,
	.vlog = os_vlog,
	.random = os_random,
};

/* ---- the volume: each request is done at once, in place ---- */

static struct tvq_volume_channel channel;

static int flash_open(struct tvq_volume *v, struct tvq_exec *e, struct tvq_volume_channel **ch)
{
	channel = (struct tvq_volume_channel){ .volume = v, .exec = e };
	*ch = &channel;
	return 0;
}

static void flash_close(struct tvq_volume_channel *ch)
{
	ch->volume = NULL;
}

static void flash_submit(struct tvq_volume_channel *ch, struct tvq_vreq *const *v, unsigned int n)
{
	(void)ch;
	for (unsigned int i = 0; i < n; i++) {
		uint8_t *at = flash + v[i]->offset;

		/* Ranges and segments have been checked. */
		for (unsigned int k = 0; k < v[i]->n_seg; at += v[i]->seg[k++].len) {
			if (v[i]->op == TVQ_VREQ_READ)
				memcpy(v[i]->seg[k].va, at, v[i]->seg[k].len);
			else if (v[i]->op == TVQ_VREQ_WRITE)
				memcpy(at, v[i]->seg[k].va, v[i]->seg[k].len);
		}
		v[i]->status = 0;
	}
}

static void flash_destroy(struct tvq_volume *v)
{
	(void)v; /* it is static */
}

static const struct tvq_volume_ops flash_ops = {
	.type = "flash",
	.open = flash_open,
	.close = flash_close,
	.submit = flash_submit,
	.destroy = flash_destroy,
};

static struct tvq_volume volume = {
	.ops = &flash_ops,
	.id = "flash0",
	.refs = 1,
	.limits = { .capacity = FLASH_BYTES, .block_size = 512, .physical_block_size = 512 },
};

/* ---- the pool: one volume, for one device at a time ---- */

static bool in_use;

static void pool_claim(struct tvq_pool *p, struct tvq_claim *c)
{
	(void)p;
	if (in_use) {
		c->done(c, -16, NULL);
		return;
	}
	in_use = true;
	tvq_volume_get(&volume);
	c->done(c, 0, &volume);
}

static void pool_release(struct tvq_pool *p, struct tvq_volume *v)
{
	(void)p;
	in_use = false;
	tvq_volume_put(v);
}

static const struct tvq_pool_ops pool_ops = { .claim = pool_claim, .release = pool_release };
static struct tvq_pool pool = { .ops = &pool_ops };

/* ---- main: the firmware's loop is tvq_exec_poll() ---- */

static void run(struct tvq_exec *exec, struct tvq_client *client)
{
	struct tvq_create create = { .virtio_device_id = TVQ_TYPE_BLK };
	struct tvq_blk_req req, *r = &req;
	unsigned int turns = 0;
	struct tvq_blk *blk;
	char *data;
	int err;

	check(!tvq_client_create_call(client, &create), "CREATE");
	blk = tvq_blk_new(client, create.device_id, NULL, &err);
	check(blk != NULL && in_use, "block driver");
	req = (struct tvq_blk_req){ .type = VIRTIO_BLK_T_OUT, .len = 512, .offset = 1024 };
	data = tvq_blk_dma_alloc(blk, 512, &req.iova);
	check(data != NULL, "memory");
	strcpy(data, "burnt in");
	check(tvq_blk_submit(blk, 0, &r, 1) == 1, "submit");
	while (!tvq_blk_poll(blk, 0, &r, 1)) {
		tvq_exec_poll(exec);
		check(++turns < 1000, "no answer in 1000 turns");
	}
	check(!req.err && !strcmp((char *)flash + 1024, "burnt in"), "it is not in the flash");
	printf("after %u turns the flash holds \"%s\"\n", turns, (char *)flash + 1024);
	tvq_blk_dma_free(blk, data, 512);
	tvq_blk_free(blk);
}

int main(void)
{
	struct tvq_mgmt_cfg cfg = { .os = &os, .pool = &pool, .max_devices = 8, .max_vqs = 16 };
	struct tvq_client *client;
	struct tvq_exec exec;
	struct tvq_bus *bus;
	int err;

	tvq_exec_init(&exec, &os, NULL, 0);
	cfg.control = &exec;
	bus = tvq_inproc_new(&cfg, &err);
	check(bus != NULL, "management device");
	client = tvq_client_new(bus, NULL, &err);
	check(client != NULL, "transport virtqueue");
	printf("%zu bytes for the management device and its driver\n", allocated);
	run(&exec, client);
	tvq_client_free(client);
	check(!in_use, "the reset left a device behind");
	bus->ops->free(bus);
	tvq_exec_fini(&exec);
	check(!allocated && volume.refs == 1, "something was not freed");
	return 0;
}
