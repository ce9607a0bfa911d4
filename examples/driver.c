/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An embedder's driver: makes a management device in this process with a pool of RAM volumes,
 * creates a managed block device through its transport virtqueue, writes and reads it, and
 * destroys it again.
 *
 *     cc driver.c $(pkg-config --cflags --libs libtvq) -o driver && ./driver
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tvq/blk.h>
#include <tvq/inproc.h>
#include <tvq/loop.h>
#include <tvq/volumes.h>

static void check(bool ok, const char *what, int err)
{
	if (ok)
		return;
	fprintf(stderr, "example: %s: %s\n", what, strerror(-err));
	exit(1);
}

/* One executor on this thread; functions of libtvq that wait run its turns. */
static struct tvq_bus *make_device(struct tvq_loop **loop, struct tvq_volume_pool **pool)
{
	struct tvq_loop_cfg loop_cfg = { .cpu = -1 };
	struct tvq_maker_cfg maker = { .kind = TVQ_MAKER_RAM,
				       .name = "ram",
				       .default_size = 1 << 20 };
	struct tvq_mgmt_cfg cfg = { .os = &tvq_os_host };
	char why[TVQ_VOLUME_ERR_LEN] = "";
	struct tvq_bus *bus;
	int err;

	*loop = tvq_loop_new(&loop_cfg, &err);
	check(*loop != NULL, "event loop", err);
	cfg.control = tvq_loop_exec(*loop);
	*pool = tvq_volume_pool_new(cfg.control);
	check(*pool != NULL, "pool of volumes", -1);
	err = tvq_volume_pool_add_maker(*pool, &maker, why);
	check(!err, why, err);
	cfg.pool = tvq_volume_pool_pool(*pool);
	bus = tvq_inproc_new(&cfg, &err);
	check(bus != NULL, "management device", err);
	return bus;
}

static uint64_t create_block_device(struct tvq_client *client)
{
	/* Of 2048 sectors, two queues; everything else is the device's choice. Little-endian. */
	struct virtio_transportq_blk_config config = { .capacity = 2048, .num_queues = 2 };
	struct tvq_create create = {
		.virtio_device_id = TVQ_TYPE_BLK,
		.config = &config,
		.config_len = sizeof(config),
	};
	int err = tvq_client_create_call(client, &create);

	check(!err, "CREATE", err);
	return create.device_id;
}

static void use_block_device(struct tvq_client *client, uint64_t id)
{
	static char text[512] = "Written through a virtqueue of a managed device.", back[512];
	struct tvq_blk *blk;
	char name[21];
	int err;

	blk = tvq_blk_new(client, id, &(struct tvq_blk_cfg){ .packed = true }, &err);
	check(blk != NULL, "block driver", err);
	err = tvq_blk_id(blk, name);
	check(!err, "GET_ID", err);
	printf("managed device %llu: volume %s, %llu bytes\n", (unsigned long long)id, name,
	       (unsigned long long)tvq_blk_capacity(blk));
	check(tvq_blk_capacity(blk) == 1 << 20, "capacity", -1);
	err = tvq_blk_write(blk, 4096, text, sizeof(text));
	check(!err, "write", err);
	err = tvq_blk_flush(blk);
	check(!err, "flush", err);
	err = tvq_blk_read(blk, 4096, back, sizeof(back));
	check(!err, "read", err);
	check(!memcmp(text, back, sizeof(text)), "what was read is not what was written", -5);
	printf("read back: %s\n", back);
	tvq_blk_free(blk);
}

int main(void)
{
	struct tvq_avail_res before, after;
	struct tvq_volume_pool *pool;
	struct tvq_client *client;
	struct tvq_loop *loop;
	struct tvq_bus *bus = make_device(&loop, &pool);
	struct tvq_seq *seq;
	uint64_t id;
	int err;

	client = tvq_client_new(bus, NULL, &err);
	check(client != NULL, "transport virtqueue", err);
	err = tvq_client_avail_res(client, &before);
	check(!err, "AVAIL_RES GET", err);
	id = create_block_device(client);
	use_block_device(client, id);
	seq = tvq_seq_new(client, id);
	check(seq != NULL, "sequence", -12);
	tvq_seq_destroy_device(seq);
	err = tvq_seq_call(seq);
	check(!err, tvq_client_failed(client), err);
	err = tvq_client_avail_res(client, &after);
	check(!err && !memcmp(&before, &after, sizeof(after)), "resources are not back", err);

	tvq_client_free(client);
	bus->ops->free(bus);
	tvq_volume_pool_free(pool);
	tvq_loop_free(loop);
	return 0;
}
