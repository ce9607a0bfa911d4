/* SPDX-License-Identifier: BSD-3-Clause */
/* The virtio-pci bus over the real vfio-user server, which has a thread of its own. */
#include "virtio_pci_lab.h"

#include <sys/mman.h>

#include <linux/virtio_ring.h>

#include <tvq/nested.h>

#define BIT(n) (1ull << (n))

static void the_function_is_found_and_its_registers_read(void **state)
{
	struct vp v;
	uint8_t config[60], byte;

	(void)state;
	vp_up(&v, 0);
	assert_true(tvq_is_virtio_pci(v.bus));
	assert_int_equal(v.bus->ops->device_type(v.bus), TVQ_TYPE_BLK);
	assert_true(v.bus->ops->features(v.bus) & BIT(VIRTIO_F_TRNSPT_VQ));
	assert_true(v.bus->ops->features(v.bus) & BIT(VIRTIO_F_TRNSPT_VQ_VDEV));
	assert_int_equal(v.bus->ops->status(v.bus), 15);
	assert_true(v.bus->ops->queue_max(v.bus, 0));
	assert_true(v.bus->ops->queue_max(v.bus, 1));
	assert_int_equal(v.bus->ops->queue_max(v.bus, 2), 0);
	assert_int_equal(v.bus->ops->queue_max(v.bus, 0xffff), 0);
	/* Any piece of the configuration is the same bytes as the whole. */
	assert_int_equal(v.bus->ops->config_read(v.bus, 0, config, sizeof(config)), 0);
	for (uint32_t i = 0; i < sizeof(config); i++) {
		assert_int_equal(v.bus->ops->config_read(v.bus, i, &byte, 1), 0);
		assert_int_equal(byte, config[i]);
	}
	assert_int_equal(v.bus->ops->config_read(v.bus, 1u << 20, config, 1), -EINVAL);
	assert_int_equal(v.bus->ops->config_read(v.bus, 8, config, UINT32_MAX), -EINVAL);
	vp_down(&v);
}

static void a_queue_that_cannot_be_is_refused(void **state)
{
	struct tvq_bus_queue q = { .index = 0, .size = 16 };
	struct vp v;
	void *mem;

	(void)state;
	vp_up(&v, 0);
	mem = v.bus->ops->dma_alloc(v.bus, 8192, &q.desc);
	q.driver = q.desc + 4096;
	q.device = q.desc + 6144;
	q.index = 7;
	assert_int_equal(v.bus->ops->queue_setup(v.bus, &q, NULL, NULL), -ENOENT);
	q.index = 1;
	assert_int_equal(v.bus->ops->queue_setup(v.bus, &q, NULL, NULL), -EBUSY);
	q.index = 0;
	q.desc += 1;
	assert_int_not_equal(v.bus->ops->queue_setup(v.bus, &q, NULL, NULL), 0);
	q.desc -= 1;
	assert_int_equal(v.bus->ops->queue_setup(v.bus, &q, NULL, NULL), 0);
	v.bus->ops->dma_free(v.bus, mem, 8192);
	vp_down(&v);
}

/* The polling driver (tvq/blk.h) needs nothing of its bus but what any bus has. */
static void a_block_device_is_read_and_written(void **state)
{
	static uint8_t out[200 * 512], in[sizeof(out)];
	struct vp v;

	(void)state;
	vp_up(&v, 0);
	for (unsigned int i = 0; i < sizeof(out); i++)
		out[i] = (uint8_t)(i * 13 + i / 512);
	for (int packed = 0; packed < 2; packed++) {
		struct tvq_blk_cfg cfg = { .packed = packed };
		uint64_t id = vp_create(&v, 0);
		struct tvq_blk *b;
		char name[21];
		int err;

		b = tvq_blk_new(v.client, id, &cfg, &err);
		assert_non_null(b);
		assert_int_equal(tvq_blk_capacity(b), 1 << 20);
		assert_int_equal(tvq_blk_write(b, 4096, out, sizeof(out)), 0);
		memset(in, 0, sizeof(in));
		assert_int_equal(tvq_blk_read(b, 4096, in, sizeof(in)), 0);
		assert_memory_equal(in, out, sizeof(in));
		assert_int_equal(tvq_blk_flush(b), 0);
		assert_int_equal(tvq_blk_id(b, name), 0);
		assert_int_equal(name[0], 'v');
		tvq_blk_free(b);
		vp_destroy(&v, id);
	}
	vp_down(&v);
}

static void requests_in_batches_complete(void **state)
{
	struct tvq_blk_cfg cfg = { .queue_size = 64 };
	struct tvq_blk_req r[32], *p[32];
	unsigned int done = 0;
	struct tvq_blk *b;
	struct vp v;
	uint64_t iova;
	void *buf;
	int err;

	(void)state;
	vp_up(&v, 0);
	b = tvq_blk_new(v.client, vp_create(&v, 0), &cfg, &err);
	assert_non_null(b);
	buf = tvq_blk_dma_alloc(b, 32 * 4096, &iova);
	assert_non_null(buf);
	for (unsigned int i = 0; i < 32; i++) {
		r[i] = (struct tvq_blk_req){ .type = VIRTIO_BLK_T_IN,
					     .len = 4096,
					     .offset = i * 4096ull,
					     .iova = iova + i * 4096ull };
		p[i] = &r[i];
	}
	for (unsigned int round = 1; round <= 50; round++) {
		assert_int_equal(tvq_blk_submit(b, 0, p, 32), 32);
		vp_until(&v, (done += tvq_blk_poll(b, 0, p, 32)) == round * 32);
		for (unsigned int i = 0; i < 32; i++) {
			assert_int_equal(r[i].err, 0);
			p[i] = &r[i];
		}
	}
	tvq_blk_dma_free(b, buf, 32 * 4096);
	tvq_blk_free(b);
	vp_down(&v);
}

/* ---- interrupts ---- */

/* One descriptor a queue: each is signalled for its own queue, with a vector of its own or not. */
static void each_descriptor_hears_of_its_own_queue(void **state)
{
	enum { N = 7 };
	static const uint16_t vectors[] = { 64, 4, 3, 2, 1 };

	(void)state;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		struct vp_queue q[N];
		struct vp v;
		uint64_t addr[N];
		uint32_t data[N];
		int fd[N];

		vp_up(&v, vectors[i]);
		for (int k = 0; k < N; k++) {
			fd[k] = vp_eventfd();
			assert_int_equal(v.bus->ops->msi_fd(v.bus, fd[k], &addr[k], &data[k]), 0);
			vp_queue_make(&q[k], &v, 0, 0);
			vp_queue_msi(&q[k], addr[k], data[k]);
			assert_int_equal(vp_queue_enable(&q[k]), 0);
		}
		for (int k = 0; k < N; k++)
			for (int other = 0; other < k; other++)
				assert_true(addr[k] != addr[other] || data[k] != data[other]);
		for (int k = 0; k < N; k++) {
			vp_queue_io(&q[k]);
			vp_until(&v, vp_signalled(fd[k]));
			for (int other = 0; other < N; other++)
				assert_false(vp_signalled(fd[other]));
		}
		for (int k = 0; k < N; k++) {
			vp_queue_free(&q[k]);
			v.bus->ops->msi_fd_free(v.bus, addr[k], data[k]);
			close(fd[k]);
		}
		vp_down(&v);
	}
}

static void a_freed_pair_signals_nobody_and_its_vector_serves_the_next(void **state)
{
	struct vp_queue q;
	uint64_t addr, first;
	uint32_t data;
	struct vp v;
	int old, new;

	(void)state;
	vp_up(&v, 3); /* configuration, transportq, one more */
	vp_queue_make(&q, &v, 0, 0);
	old = vp_eventfd();
	new = vp_eventfd();
	assert_int_equal(v.bus->ops->msi_fd(v.bus, old, &first, &data), 0);
	vp_queue_msi(&q, first, data);
	assert_int_equal(vp_queue_enable(&q), 0);
	for (int i = 0; i < 20; i++) {
		v.bus->ops->msi_fd_free(v.bus, first, data);
		assert_int_equal(v.bus->ops->msi_fd(v.bus, i & 1 ? old : new, &addr, &data), 0);
		assert_int_equal(addr, first);
		vp_queue_msi(&q, addr, data);
		vp_queue_io(&q);
		vp_until(&v, vp_signalled(i & 1 ? old : new));
		assert_false(vp_signalled(i & 1 ? new : old));
	}
	/* Pairs that nobody has are ignored. */
	v.bus->ops->msi_fd_free(v.bus, addr, data + 1);
	v.bus->ops->msi_fd_free(v.bus, addr + 4096, data);
	v.bus->ops->msi_fd_free(v.bus, 0, 0);
	vp_queue_io(&q);
	vp_until(&v, vp_signalled(old));
	vp_queue_free(&q);
	v.bus->ops->msi_fd_free(v.bus, addr, data);
	close(old);
	close(new);
	vp_down(&v);
}

/* Without a vector the device's message comes to us; one that is late is nobody's. */
static void a_late_message_of_a_freed_pair_is_nobodys(void **state)
{
	uint64_t addr, next;
	uint32_t data, next_data;
	struct vp_queue q;
	struct vp v;
	int old, new;

	(void)state;
	vp_up(&v, 2);
	vp_queue_make(&q, &v, 0, 0);
	old = vp_eventfd();
	new = vp_eventfd();
	assert_int_equal(v.bus->ops->msi_fd(v.bus, old, &addr, &data), 0);
	vp_queue_msi(&q, addr, data);
	assert_int_equal(vp_queue_enable(&q), 0);
	vp_queue_io(&q);
	vp_until(&v, vp_signalled(old));
	v.bus->ops->msi_fd_free(v.bus, addr, data);
	assert_int_equal(v.bus->ops->msi_fd(v.bus, new, &next, &next_data), 0);
	assert_int_equal(next, addr);
	/* The device still has the old pair. The command behind comes after its message. */
	vp_queue_io(&q);
	vp_queue_msi(&q, next, next_data);
	vp_queue_io(&q);
	vp_until(&v, vp_signalled(new));
	assert_false(vp_signalled(old));
	vp_queue_free(&q);
	v.bus->ops->msi_fd_free(v.bus, next, next_data);
	close(old);
	close(new);
	vp_down(&v);
}

static void note_status(void *ctx, uint8_t status)
{
	*(uint8_t *)ctx = status;
}

/* TQ-071: for the management device itself. Vector 0 may be all there is. */
static void the_configuration_interrupt_tells_the_status(void **state)
{
	(void)state;
	for (uint16_t vectors = 1; vectors <= 2; vectors++) {
		struct tvq_bus_queue q = { .index = 0, .size = 16 };
		uint8_t status = 0, *mem;
		struct vp v;

		vp_up(&v, vectors);
		v.bus->ops->watch(v.bus, note_status, &status);
		mem = v.bus->ops->dma_alloc(v.bus, 8192, &q.desc);
		assert_non_null(mem);
		q.driver = q.desc + 4096;
		q.device = q.desc + 6144;
		/* More is available than the ring has room for. */
		tvq_put16(mem + 4096 + 2, 1000);
		assert_int_equal(v.bus->ops->queue_setup(v.bus, &q, NULL, NULL), 0);
		v.bus->ops->queue_notify(v.bus, 0);
		vp_until(&v, status);
		assert_int_equal(status, 15 | VIRTIO_CONFIG_S_NEEDS_RESET);
		vp_down(&v);
	}
}

/* ---- notifications ---- */

static void a_kick_is_passed_on_until_its_watch_ends(void **state)
{
	struct vp_done ended[2] = { { .done.fn = vp_ended }, { .done.fn = vp_ended } };
	struct vp_queue q;
	struct vp v;
	int a, b;

	(void)state;
	vp_up(&v, 0);
	vp_queue_make(&q, &v, 0, 0);
	assert_int_equal(vp_queue_enable(&q), 0);
	a = vp_eventfd();
	b = vp_eventfd();
	assert_int_equal(v.bus->ops->notify_fd(v.bus, q.area, 0, a, NULL), 0);
	for (int i = 0; i < 10; i++) {
		vp_queue_add(&q);
		eventfd_write(a, 1);
		vp_until(&v, vp_queue_used(&q));
	}
	/* What was added while it is replaced is looked at. */
	vp_queue_add(&q);
	assert_int_equal(v.bus->ops->notify_fd(v.bus, q.area, 0, b, &ended[0].done), 0);
	vp_until(&v, ended[0].ended && vp_queue_used(&q));
	vp_queue_add(&q);
	eventfd_write(b, 1);
	vp_until(&v, vp_queue_used(&q));
	assert_int_equal(v.bus->ops->notify_fd(v.bus, q.area, 0, TVQ_NOTIFY_NONE, &ended[1].done),
			 0);
	vp_until(&v, ended[1].ended);
	/* Nobody watches any more: it is the bus' own notification that is seen. */
	eventfd_write(a, 1);
	eventfd_write(b, 1);
	vp_queue_io(&q);
	vp_queue_free(&q);
	close(a);
	close(b);
	vp_down(&v);
}

static void without_a_descriptor_the_queue_is_polled(void **state)
{
	struct vp_done ended = { .done.fn = vp_ended };
	struct vp_queue q;
	struct vp v;

	(void)state;
	vp_up(&v, 0);
	vp_queue_make(&q, &v, 0, 0);
	assert_int_equal(vp_queue_enable(&q), 0);
	assert_int_equal(v.bus->ops->notify_fd(v.bus, q.area, 0, TVQ_NOTIFY_POLL, NULL), 0);
	for (int i = 0; i < 10; i++) {
		vp_queue_add(&q);
		vp_until(&v, vp_queue_used(&q));
	}
	assert_int_equal(v.bus->ops->notify_fd(v.bus, q.area, 0, TVQ_NOTIFY_NONE, &ended.done), 0);
	assert_true(ended.ended);
	vp_queue_free(&q);
	vp_down(&v);
}

static void an_area_that_lies_nowhere_is_not_written_to(void **state)
{
	struct vp v;

	(void)state;
	vp_up(&v, 0);
	v.bus->ops->notify(v.bus, UINT64_MAX, 0, 2);
	v.bus->ops->notify(v.bus, UINT64_MAX - 1, 0, 2);
	v.bus->ops->notify(v.bus, 1ull << 47, 0, 4);
	v.bus->ops->notify(v.bus, 0, 0, 100);
	/* The connection has not noticed. */
	assert_int_equal(v.bus->ops->status(v.bus), 15);
	vp_down(&v);
}

/* More than a socket takes at once. */
static void bursts_of_notifications_are_all_sent(void **state)
{
	struct vp_queue q;
	struct vp v;

	(void)state;
	vp_up(&v, 0);
	vp_queue_make(&q, &v, 0, 0);
	assert_int_equal(vp_queue_enable(&q), 0);
	for (int i = 0; i < 20000; i++)
		v.bus->ops->notify(v.bus, q.area, 0, 2);
	vp_queue_io(&q);
	assert_int_equal(v.bus->ops->status(v.bus), 15);
	vp_queue_free(&q);
	vp_down(&v);
}

/* ---- a management device behind it ---- */

/* TQ-014 */
static void a_nested_management_device_works_through_it(void **state)
{
	static uint8_t out[4096], in[4096];
	struct tvq_type_info info;
	struct tvq_create cr = { .virtio_device_id = TVQ_TYPE_BLK };
	struct tvq_client *nested;
	struct tvq_blk *b;
	struct tvq_bus *bus;
	struct vp v;
	int err;

	(void)state;
	vp_up(&v, 0);
	assert_int_equal(tvq_client_type(v.client, TVQ_TYPE_BLK, &info), 0);
	cr.features = info.default_features | BIT(VIRTIO_F_TRNSPT_VQ) |
		      BIT(VIRTIO_F_TRNSPT_VQ_VDEV);
	assert_int_equal(tvq_client_create_call(v.client, &cr), 0);
	bus = tvq_nested_new(v.client, cr.device_id, TVQ_TYPE_BLK, &err);
	assert_non_null(bus);
	nested = tvq_client_new(bus, NULL, &err);
	assert_non_null(nested);
	cr = (struct tvq_create){ .virtio_device_id = TVQ_TYPE_BLK };
	assert_int_equal(tvq_client_create_call(nested, &cr), 0);
	b = tvq_blk_new(nested, cr.device_id, NULL, &err);
	assert_non_null(b);
	memset(out, 0x3c, sizeof(out));
	assert_int_equal(tvq_blk_write(b, 8192, out, sizeof(out)), 0);
	assert_int_equal(tvq_blk_read(b, 8192, in, sizeof(in)), 0);
	assert_memory_equal(in, out, sizeof(in));
	tvq_blk_free(b);
	tvq_client_free(nested);
	bus->ops->free(bus);
	vp_down(&v);
}

/* ---- the connection ---- */

static void a_bus_can_be_made_and_freed_again_and_again(void **state)
{
	struct vp v;

	(void)state;
	vp_up(&v, 0);
	for (int i = 0; i < 20; i++) {
		struct vp_queue q;

		vp_queue_make(&q, &v, 0, 0);
		assert_int_equal(vp_queue_enable(&q), 0);
		vp_queue_io(&q);
		tvq_drv_ring_free(q.ring);
		/* Its memory, its device and its watches go with the bus. */
		vp_disconnect(&v);
		vp_connect(&v, NULL);
	}
	vp_down(&v);
}

struct gone {
	unsigned int n;
	char why[200];
};

static void gone(void *ctx, const char *why)
{
	struct gone *g = ctx;

	g->n++;
	snprintf(g->why, sizeof(g->why), "%s", why);
}

static void count_end(struct tvq_cmd *cmd)
{
	++*(unsigned int *)cmd->in;
}

static void a_server_that_goes_ends_everything_and_can_come_back(void **state)
{
	struct tvq_cmd cmd[300];
	struct vp_done ended = { .done.fn = vp_ended };
	unsigned int n_ended = 0;
	struct vp_queue q;
	struct gone g = { 0 };
	uint32_t asid, data;
	uint64_t addr, iova;
	struct vp v;
	uint8_t byte;
	int fd = vp_eventfd();

	(void)state;
	vp_up(&v, 0);
	tvq_vfio_user_bus_gone(v.bus, gone, &g);
	vp_queue_make(&q, &v, 0, 0);
	assert_int_equal(vp_queue_enable(&q), 0);
	assert_int_equal(v.bus->ops->notify_fd(v.bus, q.area, 0, fd, NULL), 0);
	assert_int_equal(v.bus->ops->space_new(v.bus, &asid), 0);
	vp_server_stop(&v.server);
	for (unsigned int i = 0; i < 300; i++) {
		cmd[i] = (struct tvq_cmd){ .class = VIRTIO_TRANSPTQ_CTRL_AVAIL_RES,
					   .in = &n_ended,
					   .done = count_end };
		tvq_client_submit(v.client, &cmd[i]);
	}
	vp_until(&v, g.n && n_ended == 300);
	assert_int_equal(cmd[0].err, -ENODEV);
	assert_int_equal(cmd[299].err, -ENODEV);
	assert_true(strlen(g.why) > 10);
	/* Whatever is asked of it now fails at once, and nothing waits. */
	assert_int_equal(v.bus->ops->features(v.bus), 0);
	assert_int_equal(v.bus->ops->status(v.bus), 0x40);
	assert_int_equal(v.bus->ops->set_status(v.bus, 3), -ENODEV);
	assert_int_equal(v.bus->ops->config_read(v.bus, 0, &byte, 1), -ENODEV);
	assert_int_equal(v.bus->ops->queue_max(v.bus, 1), 0);
	assert_null(v.bus->ops->dma_alloc(v.bus, 4096, &iova));
	assert_int_equal(v.bus->ops->msi_fd(v.bus, fd, &addr, &data), -ENODEV);
	assert_int_equal(v.bus->ops->notify_fd(v.bus, q.area, 1, fd, NULL), -ENODEV);
	assert_int_equal(v.bus->ops->space_new(v.bus, &asid), -ENODEV);
	assert_int_equal(v.bus->ops->unmap(v.bus, asid, 0, UINT64_MAX, &ended.done), -ENODEV);
	v.bus->ops->notify(v.bus, q.area, 0, 2);
	v.bus->ops->space_free(v.bus, asid);
	/* A reset of what is gone has nothing to wait for. */
	assert_int_equal(v.bus->ops->set_status(v.bus, 0), 0);
	assert_int_equal(v.bus->ops->status(v.bus), 0);
	tvq_drv_ring_free(q.ring);
	v.bus->ops->dma_free(v.bus, q.mem, VP_QUEUE_BYTES);
	vp_disconnect(&v);
	assert_int_equal(g.n, 1);
	/* Nobody listens: a sentence with the path. */
	assert_null(tvq_vfio_user_bus(v.loop, v.server.path, v.err));
	assert_non_null(strstr(v.err, v.server.path));
	vp_server_start(&v.server, 0);
	vp_connect(&v, NULL);
	vp_queue_make(&q, &v, 0, 0);
	assert_int_equal(vp_queue_enable(&q), 0);
	vp_queue_io(&q);
	vp_queue_free(&q);
	close(fd);
	vp_down(&v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_function_is_found_and_its_registers_read),
		cmocka_unit_test(a_queue_that_cannot_be_is_refused),
		cmocka_unit_test(a_block_device_is_read_and_written),
		cmocka_unit_test(requests_in_batches_complete),
		cmocka_unit_test(each_descriptor_hears_of_its_own_queue),
		cmocka_unit_test(a_freed_pair_signals_nobody_and_its_vector_serves_the_next),
		cmocka_unit_test(a_late_message_of_a_freed_pair_is_nobodys),
		cmocka_unit_test(the_configuration_interrupt_tells_the_status),
		cmocka_unit_test(a_kick_is_passed_on_until_its_watch_ends),
		cmocka_unit_test(without_a_descriptor_the_queue_is_polled),
		cmocka_unit_test(an_area_that_lies_nowhere_is_not_written_to),
		cmocka_unit_test(bursts_of_notifications_are_all_sent),
		cmocka_unit_test(a_nested_management_device_works_through_it),
		cmocka_unit_test(a_bus_can_be_made_and_freed_again_and_again),
		cmocka_unit_test(a_server_that_goes_ends_everything_and_can_come_back),
	};

	return cmocka_run_group_tests_name("virtio_pci", tests, NULL, NULL);
}
