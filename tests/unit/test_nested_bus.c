/* SPDX-License-Identifier: BSD-3-Clause */
/* The bus to a management device that is itself managed, over the real device half. */
#include "client_lab.h"

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include <tvq/blk.h>
#include <tvq/nested.h>

#define BIT(n)	(1ull << (n))
#define MANAGES (BIT(VIRTIO_F_TRNSPT_VQ) | BIT(VIRTIO_F_TRNSPT_VQ_VDEV))

struct level {
	struct tvq_bus *bus;
	struct tvq_client *client;
	uint64_t id; /* on the client above */
};

static uint64_t create_manager(struct tvq_client *c)
{
	struct tvq_type_info info;

	assert_int_equal(tvq_client_type(c, TVQ_TYPE_BLK, &info), 0);
	assert_true((info.features & MANAGES) == MANAGES);
	return lab_create_with(c, info.default_features | MANAGES, 0);
}

static void level_up(struct level *n, struct tvq_client *above, const struct tvq_client_cfg *cfg)
{
	int err;

	n->id = create_manager(above);
	n->bus = tvq_nested_new(above, n->id, TVQ_TYPE_BLK, &err);
	assert_non_null(n->bus);
	n->client = tvq_client_new(n->bus, cfg, &err);
	assert_int_equal(err, 0);
	assert_non_null(n->client);
}

static void level_down(struct level *n)
{
	tvq_client_free(n->client);
	n->bus->ops->free(n->bus);
}

/* A block device of this manager, with data on it. */
static void use_device(struct tvq_client *c, bool packed)
{
	struct tvq_blk_cfg cfg = { .packed = packed };
	static uint8_t out[100000 / 512 * 512], in[sizeof(out)];
	uint64_t id = lab_create_with(c, 0, 0);
	struct tvq_blk *blk;
	unsigned int i;
	int err;

	for (i = 0; i < sizeof(out); i++)
		out[i] = (uint8_t)(i * 7 + id);
	blk = tvq_blk_new(c, id, &cfg, &err);
	assert_non_null(blk);
	assert_int_equal(tvq_blk_write(blk, 4096, out, sizeof(out)), 0);
	memset(in, 0, sizeof(in));
	assert_int_equal(tvq_blk_read(blk, 4096, in, sizeof(in)), 0);
	assert_memory_equal(in, out, sizeof(in));
	tvq_blk_free(blk);
	assert_int_equal(lab_destroy(c, id), 0);
}

static const struct {
	bool loop, packed;
} variants[] = { { false, false }, { false, true }, { true, false }, { true, true } };

/* TQ-014, TQ-015 */
static void a_managed_manager_makes_devices_that_work(void **state)
{
	size_t v;

	(void)state;
	for (v = 0; v < 4; v++) {
		struct lab_cfg lc = { .loop = variants[v].loop, .kind = TVQ_MAKER_RAM };
		struct tvq_client_cfg cfg = { .packed = variants[v].packed };
		struct level n;
		struct lab l;

		lab_up(&l, &lc);
		level_up(&n, l.client, &cfg);
		assert_int_equal(!!(tvq_client_features(n.client) & BIT(VIRTIO_F_RING_PACKED)),
				 variants[v].packed);
		use_device(n.client, variants[v].packed);
		use_device(l.client, variants[v].packed);
		level_down(&n);
		assert_int_equal(lab_destroy(l.client, n.id), 0);
		lab_down(&l);
	}
}

struct many {
	struct tvq_cmd cmd;
	uint8_t in[8];
	unsigned int *done;
};

static void many_done(struct tvq_cmd *cmd)
{
	struct many *m = (struct many *)cmd;

	assert_int_equal(cmd->err, 0);
	assert_int_equal(cmd->in_got, 8);
	++*m->done;
}

/* Nobody calls: completions come by the interrupt, or by polling where there is none. */
static void completions_of_a_nested_transportq_arrive_by_themselves(void **state)
{
	enum { N = 1000 };
	struct many *m = calloc(N, sizeof(*m));
	size_t v;

	(void)state;
	for (v = 0; v < 4; v++) {
		struct lab_cfg lc = { .loop = variants[v].loop, .kind = TVQ_MAKER_NULL };
		struct tvq_client_cfg cfg = { .packed = variants[v].packed };
		unsigned int done = 0, i;
		struct level n;
		struct lab l;
		bool flag = false;

		lab_up(&l, &lc);
		level_up(&n, l.client, &cfg);
		for (i = 0; i < N; i++) {
			m[i] = (struct many){
				.cmd = { .class = 2,
					 .in = m[i].in,
					 .in_len = 8,
					 .done = many_done },
				.done = &done,
			};
			tvq_client_submit(n.client, &m[i].cmd);
		}
		for (i = 0; i < 100000 && done < N; i++)
			tvq_bus_wait(l.bus, &flag, 1000000);
		assert_int_equal(done, N);
		level_down(&n);
		lab_down(&l);
	}
	free(m);
}

/* TQ-014: a bound on the depth. TQ-016: every ancestor's figures show what is left. */
static void depth_is_bounded_and_resources_are_counted_at_the_root(void **state)
{
	struct lab_cfg lc = { .kind = TVQ_MAKER_RAM,
			      .mgmt = { .max_depth = 3, .max_devices = 10 } };
	struct tvq_create cr = { .virtio_device_id = TVQ_TYPE_BLK };
	struct tvq_client *top;
	struct level n[3];
	struct lab l;
	int i, k;

	(void)state;
	tvq_os_host_log_level(TVQ_LOG_ERR - 1);
	lab_up(&l, &lc);
	top = l.client;
	for (i = 0; i < 3; i++) {
		struct tvq_avail_res res;

		level_up(&n[i], top, NULL);
		top = n[i].client;
		for (k = -1; k <= i; k++) {
			assert_int_equal(tvq_client_avail_res(k < 0 ? l.client : n[k].client, &res),
					 0);
			assert_int_equal(res.num_avail_vdev, 10 - (i + 1));
		}
	}
	cr.features = BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_ACCESS_PLATFORM) | MANAGES;
	assert_int_equal(tvq_client_create_call(top, &cr), -EIO);
	use_device(top, false);
	while (i-- > 0)
		level_down(&n[i]);
	lab_down(&l);
}

/* TQ-016, TQ-050: the parent destroys the manager, and all below is gone with it. */
static void a_manager_that_is_destroyed_takes_its_devices_with_it(void **state)
{
	struct lab_cfg lc = { .loop = true, .kind = TVQ_MAKER_RAM };
	struct tvq_device_stats st;
	uint64_t child;
	struct level n;
	struct lab l;

	(void)state;
	tvq_os_host_log_level(TVQ_LOG_ERR - 1);
	lab_up(&l, &lc);
	level_up(&n, l.client, NULL);
	child = lab_create_with(n.client, 0, 0);
	assert_int_not_equal(child, 0);
	tvq_device_stats(tvq_inproc_device(l.bus), &st);
	assert_int_equal(st.devices, 2);
	assert_int_equal(lab_destroy(l.client, n.id), 0);
	tvq_device_stats(tvq_inproc_device(l.bus), &st);
	assert_int_equal(st.devices, 0);
	/* Its client gets no answer, finds out why, and can be freed. */
	assert_int_equal(lab_destroy(n.client, child), -ENODEV);
	level_down(&n);
	lab_down(&l);
}

static void broken_done(struct tvq_cmd *cmd)
{
	struct many *m = (struct many *)cmd;

	assert_int_equal(cmd->err, -ENODEV);
	++*m->done;
}

/* TQ-026, TQ-071: the configuration interrupt tells the client; nobody waits or asks here. */
static void a_nested_manager_that_breaks_ends_its_commands(void **state)
{
	struct lab_cfg lc = { .loop = true, .kind = TVQ_MAKER_RAM };
	unsigned int i, done = 0;
	struct many m;
	struct level n;
	struct lab l;

	(void)state;
	tvq_os_host_log_level(TVQ_LOG_ERR - 1);
	lab_up(&l, &lc);
	level_up(&n, l.client, NULL);
	assert_int_equal(tvq_device_break(tvq_inproc_device(l.bus), n.id, "by the test"), 0);
	m = (struct many){
		.cmd = { .class = 2, .in = m.in, .in_len = 8, .done = broken_done },
		.done = &done,
	};
	tvq_client_submit(n.client, &m.cmd);
	for (i = 0; i < 1000 && !done; i++)
		lab_turn(&l);
	assert_int_equal(done, 1);
	tvq_client_submit(n.client, &m.cmd);
	lab_turn(&l);
	assert_int_equal(done, 2);
	level_down(&n);
	use_device(l.client, false);
	lab_down(&l);
}

/* TQ-015 */
static void a_nested_bus_has_one_address_space(void **state)
{
	struct lab_cfg lc = { .kind = TVQ_MAKER_RAM };
	struct tvq_create cr = { .virtio_device_id = TVQ_TYPE_BLK };
	struct tvq_bus_mem mem = { .iova = 0x700000000000, .len = 4096, .fd = -1, .perm = 3 };
	uint32_t asid = 0;
	struct level n;
	struct lab l;

	(void)state;
	tvq_os_host_log_level(TVQ_LOG_ERR - 1);
	lab_up(&l, &lc);
	level_up(&n, l.client, NULL);
	assert_int_equal(n.bus->ops->space_new(n.bus, &asid), -ENOSPC);
	assert_int_equal(n.bus->ops->map(n.bus, 1, &mem, 1), -ENOENT);
	assert_int_equal(n.bus->ops->unmap(n.bus, 1, 0, 4096, NULL), -ENOENT);
	assert_int_equal(n.bus->ops->unmap(n.bus, 0, 0, UINT64_MAX, NULL), -ENOENT);
	assert_int_equal(l.bus->ops->space_new(l.bus, &asid), 0);
	cr.asid = asid;
	assert_int_equal(tvq_client_create_call(n.client, &cr), -EIO);
	assert_int_equal(tvq_client_create_call(l.client, &cr), 0);
	level_down(&n);
	lab_down(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_managed_manager_makes_devices_that_work),
		cmocka_unit_test(completions_of_a_nested_transportq_arrive_by_themselves),
		cmocka_unit_test(depth_is_bounded_and_resources_are_counted_at_the_root),
		cmocka_unit_test(a_manager_that_is_destroyed_takes_its_devices_with_it),
		cmocka_unit_test(a_nested_manager_that_breaks_ends_its_commands),
		cmocka_unit_test(a_nested_bus_has_one_address_space),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
