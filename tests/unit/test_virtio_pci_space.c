/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory and address spaces of the virtio-pci bus, over the real vfio-user server. */
#include "virtio_pci_lab.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <tvq/dma.h>

#define RW    (TVQ_DMA_READ | TVQ_DMA_WRITE)
#define SPACE (1ull << 48)

/* A file of n pages, as a front end's memory is. */
static int make_file(unsigned int n)
{
	int fd = memfd_create("front end", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, n * 4096l), 0);
	return fd;
}

static uint32_t new_space(struct vp *v)
{
	uint32_t asid = 0;

	assert_int_equal(v->bus->ops->space_new(v->bus, &asid), 0);
	assert_true(asid >= 1 && asid <= 65535);
	return asid;
}

static int map(struct vp *v, uint32_t asid, uint64_t iova, uint64_t len, int fd, uint64_t offset)
{
	struct tvq_bus_mem m = { .iova = iova, .len = len, .fd = fd, .offset = offset, .perm = RW };

	return v->bus->ops->map(v->bus, asid, &m, 1);
}

static int unmap(struct vp *v, uint32_t asid, uint64_t iova, uint64_t len)
{
	struct vp_done ended = { .done.fn = vp_ended };
	int err = v->bus->ops->unmap(v->bus, asid, iova, len, &ended.done);

	if (err)
		return err;
	vp_until(v, ended.ended);
	return ended.err;
}

/* How many mappings the server has, the client's own included. */
static void ask_stats(struct vp_call *c)
{
	struct tvq_vfio_user_stats st;

	tvq_vfio_user_stats(c->server->s, &st);
	c->n = st.regions;
	atomic_store(&c->ended, true);
}

static unsigned int regions(struct vp *v)
{
	struct vp_call c = { .fn = ask_stats };

	vp_on_server(&v->server, &c);
	return c.n;
}

/* TQ-121 */
static void a_queue_works_in_a_space_that_was_mapped_by_descriptor(void **state)
{
	struct vp v;

	(void)state;
	vp_up(&v, 0);
	for (int i = 0; i < 3; i++) {
		uint64_t shift = i * (1ull << 40);
		struct vp_queue q;
		uint32_t asid = new_space(&v);

		vp_queue_make(&q, &v, asid, shift);
		assert_int_equal(vp_queue_enable(&q), -EIO);
		/* The file is dma_alloc's, as a front end's would be. */
		assert_int_equal(map(&v, asid, q.iova, VP_QUEUE_BYTES,
				     tvq_virtio_pci_dma_fd(v.bus, q.mem), 0),
				 0);
		assert_int_equal(vp_queue_enable(&q), 0);
		vp_queue_io(&q);
		vp_destroy(&v, q.id);
		tvq_drv_ring_free(q.ring);
		v.bus->ops->dma_free(v.bus, q.mem, VP_QUEUE_BYTES);
		v.bus->ops->space_free(v.bus, asid);
	}
	vp_down(&v);
}

static uint8_t status_of(struct vp *v, uint64_t id)
{
	struct tvq_seq *s = tvq_seq_new(v->client, id);
	uint8_t status;

	tvq_seq_status_get(s, &status);
	assert_int_equal(tvq_seq_call(s), 0);
	return status;
}

/* TQ-121 */
static void once_unmap_is_done_the_device_reaches_nothing(void **state)
{
	struct vp_queue q;
	uint32_t asid;
	struct vp v;
	uint8_t *data;
	int fd;

	(void)state;
	vp_up(&v, 0);
	asid = new_space(&v);
	vp_queue_make(&q, &v, asid, 0);
	fd = tvq_virtio_pci_dma_fd(v.bus, q.mem);
	/* Ring and data are mappings of their own. */
	assert_int_equal(map(&v, asid, q.iova, VP_DATA, fd, 0), 0);
	assert_int_equal(map(&v, asid, q.iova + VP_DATA, VP_DATA, fd, VP_DATA), 0);
	assert_int_equal(vp_queue_enable(&q), 0);
	vp_queue_io(&q);
	assert_int_equal(unmap(&v, asid, q.iova + VP_DATA, VP_DATA), 0);
	data = q.mem + VP_DATA;
	memset(data + 512, 0x77, 512);
	vp_queue_add(&q);
	v.bus->ops->notify(v.bus, q.area, 0, 2);
	vp_until(&v, status_of(&v, q.id) & VIRTIO_CONFIG_S_NEEDS_RESET);
	for (int i = 0; i < 512; i++)
		assert_int_equal(data[512 + i], 0x77);
	assert_int_equal(data[2048], 0xee);
	vp_queue_free(&q);
	vp_down(&v);
}

static void memory_of_dma_alloc_can_be_mapped_by_its_address(void **state)
{
	struct tvq_bus_mem m = { .fd = -1, .perm = RW, .len = VP_QUEUE_BYTES };
	struct vp_queue q;
	uint32_t asid;
	struct vp v;

	(void)state;
	vp_up(&v, 0);
	asid = new_space(&v);
	vp_queue_make(&q, &v, asid, 1ull << 33);
	m.iova = q.iova;
	m.va = q.mem;
	assert_int_equal(v.bus->ops->map(v.bus, asid, &m, 1), 0);
	assert_int_equal(vp_queue_enable(&q), 0);
	vp_queue_io(&q);
	vp_queue_free(&q);
	vp_down(&v);
}

/* TQ-121 */
static void memory_without_a_descriptor_is_known_and_not_reachable(void **state)
{
	static uint8_t mine[VP_QUEUE_BYTES] __attribute__((aligned(4096)));
	struct tvq_bus_mem m = { .fd = -1, .perm = RW, .len = VP_QUEUE_BYTES };
	struct vp_queue q;
	uint32_t asid;
	struct vp v;

	(void)state;
	vp_up(&v, 0);
	for (int i = 0; i < 2; i++) {
		asid = new_space(&v);
		vp_queue_make(&q, &v, asid, 0);
		m.iova = q.iova;
		m.va = i ? mine : NULL;
		assert_int_equal(v.bus->ops->map(v.bus, asid, &m, 1), 0);
		assert_int_equal(vp_queue_enable(&q), -EIO);
		assert_int_equal(unmap(&v, asid, 0, UINT64_MAX), 0);
		vp_queue_free(&q);
	}
	vp_down(&v);
}

/* TQ-123: nothing of one space may come to lie in another. */
static void what_does_not_lie_within_its_space_is_refused(void **state)
{
	static const struct {
		uint64_t iova, len;
	} bad[] = {
		{ SPACE - 4096, 8192 },
		{ SPACE, 4096 },
		{ 2 * SPACE, 4096 },
		{ UINT64_MAX - 4095, 4096 },
		{ 4096, SPACE },
		{ 0, SPACE + 1 },
		{ 0, 0 },
		{ 4096, UINT64_MAX },
		{ 1, UINT64_MAX },
	};
	uint32_t asid;
	struct vp v;
	int fd = make_file(4);

	(void)state;
	vp_up(&v, 0);
	asid = new_space(&v);
	for (uint32_t a = 0; a <= asid; a += asid)
		for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
			assert_int_equal(map(&v, a, bad[i].iova, bad[i].len, fd, 0), -EINVAL);
	assert_int_equal(map(&v, asid, SPACE - 4096, 4096, fd, 0), 0);
	assert_int_equal(map(&v, asid + 1, 0, 4096, fd, 0), -ENOENT);
	assert_int_equal(map(&v, 65536, 0, 4096, fd, 0), -ENOENT);
	assert_int_equal(map(&v, UINT32_MAX, 0, 4096, fd, 0), -ENOENT);
	close(fd);
	vp_down(&v);
}

static void overlaps_and_cuts_are_refused_and_change_nothing(void **state)
{
	uint32_t asid;
	struct vp v;
	unsigned int before;
	int fd = make_file(64);

	(void)state;
	vp_up(&v, 0);
	asid = new_space(&v);
	before = regions(&v);
	assert_int_equal(map(&v, asid, 8192, 8192, fd, 0), 0);
	assert_int_equal(map(&v, asid, 0, 4096, fd, 0), 0);
	assert_int_equal(map(&v, asid, 16384, 4096, fd, 0), 0);
	assert_int_equal(map(&v, asid, 8192, 8192, fd, 0), -EEXIST);
	assert_int_equal(map(&v, asid, 12288, 4096, fd, 0), -EEXIST);
	assert_int_equal(map(&v, asid, 4096, 8192, fd, 0), -EEXIST);
	assert_int_equal(map(&v, asid, 0, 1u << 20, fd, 0), -EEXIST);
	assert_int_equal(regions(&v), before + 3);
	assert_int_equal(unmap(&v, asid, 8192, 4096), -EINVAL);
	assert_int_equal(unmap(&v, asid, 12288, 8192), -EINVAL);
	assert_int_equal(unmap(&v, asid, 4096, 4096), -ENOENT);
	assert_int_equal(unmap(&v, asid, 1u << 20, 4096), -ENOENT);
	assert_int_equal(unmap(&v, asid, 8192, 0), -EINVAL);
	assert_int_equal(unmap(&v, asid, UINT64_MAX, 2), -EINVAL);
	assert_int_equal(unmap(&v, asid + 1, 0, 4096), -ENOENT);
	assert_int_equal(regions(&v), before + 3);
	/* More than one, in one go. */
	assert_int_equal(unmap(&v, asid, 0, 16384), 0);
	assert_int_equal(regions(&v), before + 1);
	assert_int_equal(map(&v, asid, 0, 16384, fd, 0), 0);
	assert_int_equal(unmap(&v, asid, 0, UINT64_MAX), 0);
	assert_int_equal(regions(&v), before);
	/* An empty space has nothing to wait for, and says so. */
	assert_int_equal(unmap(&v, asid, 0, UINT64_MAX), 0);
	close(fd);
	vp_down(&v);
}

static void map_is_all_or_nothing_and_gives_the_servers_reason(void **state)
{
	struct tvq_bus_mem m[5];
	uint32_t asid;
	struct vp v;
	unsigned int before;
	int fd = make_file(2), another = make_file(2), other;
	char again[32];

	(void)state;
	vp_up(&v, 0);
	asid = new_space(&v);
	before = regions(&v);
	for (int i = 0; i < 5; i++)
		m[i] = (struct tvq_bus_mem){
			.iova = i * 8192ull, .len = 8192, .fd = fd, .perm = RW
		};
	snprintf(again, sizeof(again), "/proc/self/fd/%d", another);
	other = open(again, O_RDONLY | O_CLOEXEC);
	assert_true(other >= 0);
	/* Beyond the file's end; not writable; twice the same. */
	m[3].offset = 4096;
	assert_int_equal(v.bus->ops->map(v.bus, asid, m, 5), -ENXIO);
	m[3].offset = 0;
	m[4].fd = other;
	assert_int_equal(v.bus->ops->map(v.bus, asid, m, 5), -EACCES);
	m[4].fd = fd;
	m[4].iova = 4096;
	assert_int_equal(v.bus->ops->map(v.bus, asid, m, 5), -EEXIST);
	vp_until(&v, regions(&v) == before);
	m[4].iova = 1u << 20;
	assert_int_equal(v.bus->ops->map(v.bus, asid, m, 5), 0);
	assert_int_equal(regions(&v), before + 5);
	v.bus->ops->space_free(v.bus, asid);
	close(fd);
	close(another);
	close(other);
	vp_down(&v);
}

static void a_space_that_is_freed_is_empty_for_its_next_owner(void **state)
{
	uint32_t asid, again, more[100];
	struct vp v;
	unsigned int before;
	int fd = make_file(64);

	(void)state;
	vp_up(&v, 0);
	before = regions(&v);
	for (int i = 0; i < 50; i++) {
		asid = new_space(&v);
		for (int k = 0; k < 20; k++)
			assert_int_equal(map(&v, asid, k * 4096ull, 4096, fd, 0), 0);
		v.bus->ops->space_free(v.bus, asid);
		again = new_space(&v);
		assert_int_equal(again, asid);
		/* At once: the server has forgotten the others before. */
		assert_int_equal(map(&v, again, 0, 20 * 4096, fd, 0), 0);
		v.bus->ops->space_free(v.bus, again);
	}
	/* Space 0 is nobody's to free, nor is one that nobody has. */
	v.bus->ops->space_free(v.bus, 0);
	v.bus->ops->space_free(v.bus, again);
	v.bus->ops->space_free(v.bus, 70000);
	for (int i = 0; i < 100; i++) {
		more[i] = new_space(&v);
		for (int k = 0; k < i; k++)
			assert_int_not_equal(more[i], more[k]);
	}
	vp_until(&v, regions(&v) == before);
	close(fd);
	vp_down(&v);
}

static void there_are_65535_spaces_and_no_more(void **state)
{
	uint32_t asid, n = 0;
	struct vp v;

	(void)state;
	vp_up(&v, 0);
	while (v.bus->ops->space_new(v.bus, &asid) == 0) {
		n++;
		assert_true(asid >= 1 && asid <= 65535);
	}
	assert_int_equal(n, 65535);
	assert_int_equal(v.bus->ops->space_new(v.bus, &asid), -ENOSPC);
	v.bus->ops->space_free(v.bus, 77);
	assert_int_equal(v.bus->ops->space_new(v.bus, &asid), 0);
	assert_int_equal(asid, 77);
	vp_down(&v);
}

static void memory_for_rings_is_zeroed_aligned_and_comes_back(void **state)
{
	struct vp v;
	unsigned int before;

	(void)state;
	vp_up(&v, 0);
	before = regions(&v);
	for (int round = 0; round < 3; round++) {
		uint64_t iova[64];
		uint8_t *p[64];

		for (unsigned int i = 0; i < 64; i++) {
			p[i] = v.bus->ops->dma_alloc(v.bus, 1 + i * 777, &iova[i]);
			assert_non_null(p[i]);
			assert_int_equal(((uintptr_t)p[i] | iova[i]) % 4096, 0);
			for (unsigned int k = 0; k < 1 + i * 777; k++)
				assert_int_equal(p[i][k], 0);
			memset(p[i], 0xff, 1 + i * 777);
		}
		assert_int_equal(regions(&v), before + 64);
		for (unsigned int i = 0; i < 64; i++)
			v.bus->ops->dma_free(v.bus, p[i], 1 + i * 777);
		vp_until(&v, regions(&v) == before);
	}
	v.bus->ops->dma_free(v.bus, NULL, 4096);
	vp_down(&v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_queue_works_in_a_space_that_was_mapped_by_descriptor),
		cmocka_unit_test(once_unmap_is_done_the_device_reaches_nothing),
		cmocka_unit_test(memory_of_dma_alloc_can_be_mapped_by_its_address),
		cmocka_unit_test(memory_without_a_descriptor_is_known_and_not_reachable),
		cmocka_unit_test(what_does_not_lie_within_its_space_is_refused),
		cmocka_unit_test(overlaps_and_cuts_are_refused_and_change_nothing),
		cmocka_unit_test(map_is_all_or_nothing_and_gives_the_servers_reason),
		cmocka_unit_test(a_space_that_is_freed_is_empty_for_its_next_owner),
		cmocka_unit_test(there_are_65535_spaces_and_no_more),
		cmocka_unit_test(memory_for_rings_is_zeroed_aligned_and_comes_back),
	};

	return cmocka_run_group_tests_name("virtio_pci_space", tests, NULL, NULL);
}
