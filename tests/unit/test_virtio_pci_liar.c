/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The virtio-pci bus and its vfio-user client against a server that lies: a sentence or an error,
 * in bounded time, and nothing else happens.
 */
#include "virtio_pci_liar.h"

#include <tvq/dma.h>

/* The messages that are answered while a bus is made. */
static unsigned int count_messages(struct tvq_loop *loop)
{
	char err[TVQ_VIRTIO_PCI_ERR_LEN];
	struct tvq_bus *b;
	struct liar l;
	unsigned int n;

	liar_init(&l);
	liar_start(&l);
	b = tvq_vfio_user_bus(loop, l.path, err);
	if (!b)
		fail_msg("%s", err);
	n = atomic_load(&l.messages);
	assert_true(n > 70);
	b->ops->free(b);
	liar_stop(&l);
	return n;
}

/* The bus is not made, with a sentence that names the path; or it goes. */
static void must_fail(struct tvq_loop *loop, struct liar *l)
{
	struct liar_gone g = { 0 };
	char err[TVQ_VIRTIO_PCI_ERR_LEN] = "";
	struct tvq_bus *b = tvq_vfio_user_bus(loop, l->path, err);

	if (!b) {
		assert_int_equal(strncmp(err, l->path, strlen(l->path)), 0);
		assert_true(strlen(err) > strlen(l->path) + 10);
		return;
	}
	tvq_vfio_user_bus_gone(b, liar_note, &g);
	loop_until(loop, g.n);
	assert_true(strlen(g.why) > 10);
	assert_int_equal(b->ops->set_status(b, 3), -ENODEV);
	b->ops->free(b);
}

static void every_lie_at_every_message_is_found(void **state)
{
	struct tvq_loop *loop = liar_loop();
	unsigned int n = count_messages(loop);

	(void)state;
	for (enum lie lie = LIE_NONE + 1; lie < LIES; lie++) {
		struct liar l;

		liar_init(&l);
		l.lie = lie;
		liar_start(&l);
		/* Each kind of message, and some of the many reads. */
		for (l.at = 0; l.at < n; l.at += l.at < 14 || l.at + 4 >= n ? 1 : 19)
			must_fail(loop, &l);
		liar_stop(&l);
	}
	tvq_loop_free(loop);
}

static void a_byte_that_is_another_harms_nobody(void **state)
{
	struct tvq_loop *loop = liar_loop();
	unsigned int n = count_messages(loop);
	struct liar l;

	(void)state;
	liar_init(&l);
	l.lie = LIE_FLIP;
	liar_start(&l);
	for (l.seed = 1; l.seed < 400; l.seed++) {
		l.at = l.seed * 31 % (n - 4);
		must_fail(loop, &l);
	}
	liar_stop(&l);
	tvq_loop_free(loop);
}

/* ---- what it says that it is ---- */

static void another_major(struct liar *l)
{
	l->major = 1;
}

static void a_newer_minor(struct liar *l)
{
	l->minor = 1;
}

static void a_text_without_end(struct liar *l)
{
	l->text = "{\"capabilities\":{}}  ";
	l->text_len = 21;
}

static void no_pci(struct liar *l)
{
	l->device_flags = VU_DEVICE_FLAGS_RESET;
}

static void few_regions(struct liar *l)
{
	l->num_regions = 6;
}

static void a_small_config(struct liar *l)
{
	l->size[VU_REGION_CONFIG] = 128;
}

static void a_read_only_function(struct liar *l)
{
	l->region_flags = VU_REGION_F_READ;
}

static void no_vectors(struct liar *l)
{
	l->irq_count = 0;
}

static void vectors_without_eventfd(struct liar *l)
{
	l->irq_flags = 0;
}

static void another_vendor(struct liar *l)
{
	tvq_put16(l->cfg + PCI_VENDOR_ID, 0x8086);
}

static void no_type(struct liar *l)
{
	tvq_put16(l->cfg + PCI_DEVICE_ID, 0x10f0);
	l->cfg[PCI_CLASS_DEVICE + 1] = 0xff;
}

static void a_transitional_id(struct liar *l)
{
	tvq_put16(l->cfg + PCI_DEVICE_ID, 0x1040);
}

static void no_list(struct liar *l)
{
	tvq_put16(l->cfg + PCI_STATUS, 0);
}

static void a_list_of_itself(struct liar *l)
{
	liar_cap(l, LIAR_DEVICE)[1] = (uint8_t)(liar_cap(l, LIAR_DEVICE) - l->cfg);
}

static void a_list_that_goes_back(struct liar *l)
{
	liar_cap(l, LIAR_MSIX)[1] = LIAR_CAPS;
}

static void a_list_that_leads_into_the_header(struct liar *l)
{
	liar_cap(l, LIAR_COMMON)[1] = 0x10;
}

static void no_common(struct liar *l)
{
	liar_cap(l, LIAR_COMMON)[3] = VIRTIO_PCI_CAP_PCI_CFG;
}

static void no_notify(struct liar *l)
{
	liar_cap(l, LIAR_NOTIFY)[0] = PCI_CAP_ID_VPD;
}

static void no_msix(struct liar *l)
{
	liar_cap(l, LIAR_DEVICE)[1] = 0;
}

static void a_short_common(struct liar *l)
{
	tvq_put32(liar_cap(l, LIAR_COMMON) + 12, 52);
}

static void a_misaligned_common(struct liar *l)
{
	tvq_put32(liar_cap(l, LIAR_COMMON) + 8, 2);
}

static void a_common_beyond_its_bar(struct liar *l)
{
	tvq_put32(liar_cap(l, LIAR_COMMON) + 8, sizeof(l->bar0) - 60);
}

static void a_common_that_wraps(struct liar *l)
{
	tvq_put32(liar_cap(l, LIAR_COMMON) + 8, 0xfffffffc);
	tvq_put32(liar_cap(l, LIAR_COMMON) + 12, 0xfffffffc);
}

static void a_common_in_no_bar(struct liar *l)
{
	liar_cap(l, LIAR_COMMON)[4] = 4;
}

static void a_common_in_a_reserved_bar(struct liar *l)
{
	liar_cap(l, LIAR_COMMON)[4] = 7; /* that is the configuration space's region */
}

static void a_short_notify(struct liar *l)
{
	liar_cap(l, LIAR_NOTIFY)[2] = 16;
}

static void a_small_notify_bar(struct liar *l)
{
	l->size[2] = (1 << 20) - 1;
}

static void an_empty_notify(struct liar *l)
{
	tvq_put32(liar_cap(l, LIAR_NOTIFY) + 12, 0);
}

static void a_table_beyond_its_bar(struct liar *l)
{
	tvq_put32(liar_cap(l, LIAR_MSIX) + PCI_MSIX_TABLE, sizeof(l->bar0) - 64);
}

static void a_table_in_no_bar(struct liar *l)
{
	tvq_put32(liar_cap(l, LIAR_MSIX) + PCI_MSIX_TABLE, 7);
}

static void no_bus_mastering(struct liar *l)
{
	l->config_is_fixed = true;
}

static void what_cannot_be_a_management_device_is_refused_with_the_reason(void **state)
{
	static const struct {
		void (*make)(struct liar *l);
		const char *says;
	} bad[] = {
		{ another_major, "version" },
		{ a_newer_minor, "version" },
		{ a_text_without_end, "do not end" },
		{ no_pci, "no PCI function" },
		{ few_regions, "no configuration space" },
		{ a_small_config, "configuration space" },
		{ a_read_only_function, "configuration space" },
		{ no_vectors, "no MSI-X vector" },
		{ vectors_without_eventfd, "no MSI-X vector" },
		{ another_vendor, "no virtio device" },
		{ no_type, "what it is" },
		{ a_transitional_id, "what it is" },
		{ no_list, "no capabilities" },
		{ a_list_of_itself, "no end" },
		{ a_list_that_goes_back, "no end" },
		{ a_list_that_leads_into_the_header, "no end" },
		{ no_common, "no common configuration" },
		{ no_notify, "no place for notifications" },
		{ no_msix, "no MSI-X" },
		{ a_short_common, "common configuration structure (52 bytes" },
		{ a_misaligned_common, "misaligned" },
		{ a_common_beyond_its_bar, "outside BAR 0" },
		{ a_common_that_wraps, "outside BAR 0" },
		{ a_common_in_no_bar, "outside BAR 4" },
		{ a_common_in_a_reserved_bar, "no common configuration" },
		{ a_short_notify, "notify capability is too short" },
		{ a_small_notify_bar, "notify structure" },
		{ an_empty_notify, "notify structure" },
		{ a_table_beyond_its_bar, "MSI-X table" },
		{ a_table_in_no_bar, "MSI-X table" },
		{ no_bus_mastering, "bus mastering" },
	};
	struct tvq_loop *loop = liar_loop();

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char err[TVQ_VIRTIO_PCI_ERR_LEN];
		struct liar l;

		liar_init(&l);
		bad[i].make(&l);
		liar_start(&l);
		assert_null(tvq_vfio_user_bus(loop, l.path, err));
		if (!strstr(err, bad[i].says))
			fail_msg("'%s' does not say '%s'", err, bad[i].says);
		liar_stop(&l);
	}
	tvq_loop_free(loop);
}

static void an_experimental_identifier_leaves_the_type_to_subsystem_or_class(void **state)
{
	static const struct {
		uint16_t subsystem;
		uint8_t class;
		uint32_t type;
	} good[] = { { 0x41, 0x01, 1 }, { 0x42, 0x02, 2 }, { 0, 0x02, 1 }, { 0x1100, 0x01, 2 } };
	struct tvq_loop *loop = liar_loop();

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		char err[TVQ_VIRTIO_PCI_ERR_LEN];
		struct tvq_bus *b;
		struct liar l;

		liar_init(&l);
		tvq_put16(l.cfg + PCI_DEVICE_ID, 0x10f1);
		tvq_put16(l.cfg + PCI_SUBSYSTEM_ID, good[i].subsystem);
		l.cfg[PCI_CLASS_DEVICE + 1] = good[i].class;
		liar_start(&l);
		b = tvq_vfio_user_bus(loop, l.path, err);
		assert_non_null(b);
		assert_int_equal(b->ops->device_type(b), good[i].type);
		b->ops->free(b);
		liar_stop(&l);
	}
	tvq_loop_free(loop);
}

/* ---- what it does afterwards ---- */

struct made {
	struct liar l;
	struct tvq_loop *loop;
	struct tvq_bus *b;
	struct liar_gone g;
};

static void make(struct made *m)
{
	char err[TVQ_VIRTIO_PCI_ERR_LEN];

	memset(&m->g, 0, sizeof(m->g));
	m->loop = liar_loop();
	liar_start(&m->l);
	m->b = tvq_vfio_user_bus(m->loop, m->l.path, err);
	if (!m->b)
		fail_msg("%s", err);
	tvq_vfio_user_bus_gone(m->b, liar_note, &m->g);
}

static void unmake(struct made *m)
{
	m->b->ops->free(m->b);
	liar_stop(&m->l);
	tvq_loop_free(m->loop);
}

static void a_mapping_that_is_refused_fails_with_an_errno_that_exists(void **state)
{
	static const struct {
		uint32_t says;
		int err;
	} errors[] = { { EEXIST, -EEXIST },
		       { ENOMEM, -ENOMEM },
		       { 4096, -EIO },
		       { UINT32_MAX, -EIO },
		       { 0x80000000, -EIO } };
	uint64_t iova;
	struct made m;

	(void)state;
	liar_init(&m.l);
	make(&m);
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		struct tvq_bus_mem mem = { .iova = 4096, .len = 4096, .fd = -1, .perm = 3 };
		uint32_t asid;

		m.l.map_error = errors[i].says;
		assert_int_equal(m.b->ops->space_new(m.b, &asid), 0);
		assert_int_equal(m.b->ops->map(m.b, asid, &mem, 1), errors[i].err);
		assert_null(m.b->ops->dma_alloc(m.b, 4096, &iova));
	}
	/* Nothing of it is remembered. */
	m.l.map_error = 0;
	assert_non_null(m.b->ops->dma_alloc(m.b, 4096, &iova));
	assert_int_equal(m.g.n, 0);
	/* An error has no data behind it. */
	m.l.map_error = EEXIST;
	m.l.refuse_with_data = true;
	assert_null(m.b->ops->dma_alloc(m.b, 4096, &iova));
	loop_until(m.loop, m.g.n);
	assert_non_null(strstr(m.g.why, "breaks the protocol"));
	unmake(&m);
}

static void an_eventfd_that_is_refused_ends_the_connection(void **state)
{
	struct made m;
	uint64_t addr;
	uint32_t data;
	int fd = vp_eventfd();

	(void)state;
	liar_init(&m.l);
	make(&m);
	m.l.refuse_irqs = true;
	assert_int_equal(m.b->ops->msi_fd(m.b, fd, &addr, &data), 0);
	loop_until(m.loop, m.g.n);
	assert_non_null(strstr(m.g.why, "refuses an eventfd for MSI-X vector"));
	m.b->ops->msi_fd_free(m.b, addr, data);
	close(fd);
	unmake(&m);
}

/* What it keeps would be in the hands of whoever has the address space next. */
static void an_unmap_that_is_refused_ends_the_connection(void **state)
{
	struct tvq_bus_mem mem = { .iova = 4096, .len = 4096, .fd = -1, .perm = 3 };
	struct vp_done ended = { .done.fn = vp_ended };
	uint32_t asid;
	struct made m;

	(void)state;
	liar_init(&m.l);
	make(&m);
	assert_int_equal(m.b->ops->space_new(m.b, &asid), 0);
	assert_int_equal(m.b->ops->map(m.b, asid, &mem, 1), 0);
	m.l.refuse_unmaps = true;
	assert_int_equal(m.b->ops->unmap(m.b, asid, 4096, 4096, &ended.done), 0);
	loop_until(m.loop, m.g.n && ended.ended);
	assert_int_equal(ended.err, -EINVAL);
	assert_non_null(strstr(m.g.why, "does not unmap"));
	unmake(&m);
}

static void a_register_that_cannot_be_read_ends_the_connection(void **state)
{
	struct made m;

	(void)state;
	liar_init(&m.l);
	make(&m);
	m.l.at = atomic_load(&m.l.messages) + 3;
	m.l.lie = LIE_ERROR;
	for (int i = 0; i < 3; i++)
		assert_int_equal(m.b->ops->status(m.b), 0);
	assert_int_equal(m.b->ops->status(m.b), 0x40);
	loop_until(m.loop, m.g.n == 1);
	unmake(&m);
}

static void a_queue_whose_registers_make_no_sense_is_refused(void **state)
{
	struct tvq_bus_queue q = { .index = 1, .size = 16 };
	struct made m;

	(void)state;
	liar_init(&m.l);
	make(&m);
	/* Before FEATURES_OK; then enabled already, since this one just remembers. */
	assert_int_equal(m.b->ops->queue_setup(m.b, &q, NULL, NULL), -EPERM);
	m.b->ops->set_status(m.b, 11);
	assert_int_equal(m.b->ops->queue_setup(m.b, &q, NULL, NULL), 0);
	assert_int_equal(m.b->ops->queue_setup(m.b, &q, NULL, NULL), -EBUSY);
	/* A place for notifications that lies outside the structure. */
	tvq_put16(m.l.bar0 + VIRTIO_PCI_COMMON_Q_ENABLE, 0);
	tvq_put16(m.l.bar0 + VIRTIO_PCI_COMMON_Q_NOFF, 0xffff);
	assert_int_equal(m.b->ops->queue_setup(m.b, &q, NULL, NULL), -EPROTO);
	/* No such queue. */
	tvq_put16(m.l.bar0 + VIRTIO_PCI_COMMON_Q_SIZE, 0);
	assert_int_equal(m.b->ops->queue_setup(m.b, &q, NULL, NULL), -ENOENT);
	unmake(&m);
}

#define TABLE 0x2000

static bool masked(struct made *m, unsigned int vector)
{
	/* What was posted is there when a register has been read. */
	m->b->ops->status(m->b);
	return m->l.bar0[TABLE + vector * 16 + PCI_MSIX_ENTRY_VECTOR_CTRL] & 1;
}

static void a_vector_is_unmasked_while_somebody_has_it(void **state)
{
	uint64_t addr[7];
	uint32_t data[7];
	struct made m;
	int fd = vp_eventfd();

	(void)state;
	liar_init(&m.l);
	/* What another client left. */
	memset(m.l.bar0 + TABLE, 0, 8 * 16);
	make(&m);
	/* Vector 0 is the configuration's. */
	assert_false(masked(&m, 0));
	for (unsigned int i = 0; i < 7; i++) {
		const uint8_t *e = m.l.bar0 + TABLE + (i + 1) * 16;

		assert_true(masked(&m, i + 1));
		assert_int_equal(m.b->ops->msi_fd(m.b, fd, &addr[i], &data[i]), 0);
		assert_false(masked(&m, i + 1));
		assert_int_equal(tvq_get64(e), addr[i]);
		assert_int_equal(tvq_get32(e + PCI_MSIX_ENTRY_DATA), data[i]);
	}
	for (unsigned int i = 0; i < 7; i++) {
		m.b->ops->msi_fd_free(m.b, addr[i], data[i]);
		assert_true(masked(&m, i + 1));
		/* A second time it is nobody's. */
		m.b->ops->msi_fd_free(m.b, addr[i], data[i]);
	}
	close(fd);
	unmake(&m);
}

/* The structure is half the BAR: beyond it there may be anything. */
static void a_notification_outside_the_structure_is_not_sent(void **state)
{
	static const uint64_t bad[] = { 1 << 19, (1 << 19) - 1, UINT64_MAX, UINT64_MAX - 1,
					1ull << 32 };
	unsigned int before;
	struct made m;

	(void)state;
	liar_init(&m.l);
	tvq_put32(liar_cap(&m.l, LIAR_NOTIFY) + 12, 1 << 19);
	make(&m);
	m.b->ops->status(m.b);
	before = atomic_load(&m.l.posts);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		m.b->ops->notify(m.b, bad[i], 0, 2);
	m.b->ops->notify(m.b, 0, 0, 9);
	m.b->ops->status(m.b);
	assert_int_equal(atomic_load(&m.l.posts), before);
	m.b->ops->notify(m.b, (1 << 19) - 2, 0, 2);
	m.b->ops->status(m.b);
	assert_int_equal(atomic_load(&m.l.posts), before + 1);
	unmake(&m);
}

/* A guest that kicks more than the device reads costs one message of memory. */
static void kicks_that_wait_for_room_are_one(void **state)
{
	enum { POSTS = 20000 };
	unsigned int before;
	struct made m;
	int fd = vp_eventfd();

	(void)state;
	liar_init(&m.l);
	make(&m);
	assert_int_equal(m.b->ops->notify_fd(m.b, 4096, 0, fd, NULL), 0);
	atomic_store(&m.l.last, atomic_load(&m.l.messages));
	m.b->ops->status(m.b);
	before = atomic_load(&m.l.posts);
	/* More than a socket holds. */
	for (int i = 0; i < POSTS; i++)
		m.b->ops->notify(m.b, 8192, 0, 2);
	for (int i = 0; i < 1000; i++) {
		eventfd_write(fd, 1);
		tvq_loop_turn(m.loop, false);
	}
	assert_int_equal(m.g.n, 0);
	atomic_store(&m.l.last, UINT32_MAX);
	loop_until(m.loop, atomic_load(&m.l.posts) >= before + POSTS + 1);
	m.b->ops->status(m.b);
	assert_int_equal(atomic_load(&m.l.posts), before + POSTS + 1);
	/* And it goes on. */
	eventfd_write(fd, 1);
	loop_until(m.loop, atomic_load(&m.l.posts) == before + POSTS + 2);
	close(fd);
	unmake(&m);
}

/* ---- what it asks for ---- */

/* The client's reply to a DMA request; its error, or 0. */
static int dma(struct made *m, uint16_t command, uint64_t addr, uint64_t count, const void *data)
{
	uint8_t body[LIAR_BODY];
	struct vu_dma_rw rw = { .addr = addr, .count = count };
	size_t len = sizeof(rw);

	memcpy(body, &rw, sizeof(rw));
	if (data) {
		memcpy(body + len, data, count);
		len += count;
	}
	atomic_store(&m->l.replied, false);
	liar_send(&m->l, command, VU_REQUEST, body, (uint32_t)len);
	loop_until(m->loop, atomic_load(&m->l.replied));
	assert_int_equal(m->l.reply.id, 77);
	assert_int_equal(m->l.reply.command, command);
	if (m->l.reply.flags & VU_ERROR) {
		assert_int_equal(m->l.reply.size, 16);
		return -(int)m->l.reply.error;
	}
	assert_int_equal(m->l.reply.flags, VU_REPLY);
	assert_memory_equal(m->l.reply_body, &rw, sizeof(rw));
	assert_int_equal(m->l.reply.size, 32 + (data ? 0 : count));
	return 0;
}

static void dma_that_hits_mapped_memory_is_done_and_other_is_refused(void **state)
{
	uint8_t data[2048], *mem, *other;
	static uint8_t mine[4096] __attribute__((aligned(4096)));
	struct tvq_bus_mem map = { .iova = 1 << 20, .len = 4096, .fd = -1, .va = mine };
	uint64_t iova, second;
	uint32_t asid;
	struct made m;

	(void)state;
	liar_init(&m.l);
	make(&m);
	mem = m.b->ops->dma_alloc(m.b, 8192, &iova);
	other = m.b->ops->dma_alloc(m.b, 4096, &second);
	assert_true(mem && other);
	memset(data, 0x5c, sizeof(data));
	assert_int_equal(dma(&m, VU_DMA_WRITE, iova + 100, sizeof(data), data), 0);
	assert_int_equal(mem[99], 0);
	assert_memory_equal(mem + 100, data, sizeof(data));
	assert_int_equal(mem[100 + sizeof(data)], 0);
	assert_int_equal(dma(&m, VU_DMA_READ, iova + 50, 500, NULL), 0);
	assert_memory_equal(m.l.reply_body + 16, mem + 50, 500);
	assert_int_equal(dma(&m, VU_DMA_READ, iova, 0, NULL), 0);
	/* What does not lie there, or not wholly. */
	if (second != iova + 8192) {
		assert_int_equal(dma(&m, VU_DMA_READ, iova + 8192 - 4, 8, NULL), -EFAULT);
		assert_int_equal(dma(&m, VU_DMA_WRITE, iova + 8192 - 4, 8, data), -EFAULT);
	}
	assert_int_equal(mem[8191], 0);
	assert_int_equal(dma(&m, VU_DMA_READ, 0, 16, NULL), -EFAULT);
	assert_int_equal(dma(&m, VU_DMA_WRITE, UINT64_MAX - 7, 16, data), -EFAULT);
	assert_int_equal(dma(&m, VU_DMA_WRITE, (1ull << 48) + iova, 16, data), -EFAULT);
	/* In a space, by its rights. */
	assert_int_equal(m.b->ops->space_new(m.b, &asid), 0);
	map.perm = TVQ_DMA_READ;
	assert_int_equal(m.b->ops->map(m.b, asid, &map, 1), 0);
	mine[7] = 9;
	map.iova += (uint64_t)asid << 48;
	assert_int_equal(dma(&m, VU_DMA_READ, map.iova, 64, NULL), 0);
	assert_int_equal(m.l.reply_body[16 + 7], 9);
	assert_int_equal(dma(&m, VU_DMA_WRITE, map.iova, 64, data), -EFAULT);
	assert_int_equal(mine[0], 0);
	/* After it was given back. */
	m.b->ops->dma_free(m.b, other, 4096);
	assert_int_equal(dma(&m, VU_DMA_READ, second, 16, NULL), -EFAULT);
	assert_int_equal(m.g.n, 0);
	unmake(&m);
}

/* More descriptors than the eight vectors of this function. */
static void a_message_signals_its_descriptor_and_a_wrong_one_nobody(void **state)
{
	enum { N = 12 };
	uint64_t addr[N];
	uint32_t data[N];
	uint8_t le[8] = { 0 };
	unsigned int by_message = 0;
	struct made m;
	int fd[N];

	(void)state;
	liar_init(&m.l);
	make(&m);
	for (int i = 0; i < N; i++) {
		fd[i] = vp_eventfd();
		assert_int_equal(m.b->ops->msi_fd(m.b, fd[i], &addr[i], &data[i]), 0);
	}
	for (int i = 0; i < N; i++) {
		int err;

		tvq_put32(le, data[i]);
		err = dma(&m, VU_DMA_WRITE, addr[i], 4, le);
		by_message += !err;
		/* A vector's own is the function's business: nobody writes it. */
		assert_int_equal(vp_signalled(fd[i]), !err);
	}
	assert_int_equal(by_message, N - 7); /* vector 0 is the configuration's */
	tvq_put32(le, data[N - 1] + 1);
	assert_int_equal(dma(&m, VU_DMA_WRITE, addr[N - 1], 4, le), -EFAULT);
	tvq_put32(le, data[N - 1]);
	assert_int_equal(dma(&m, VU_DMA_WRITE, addr[N - 1], 8, le), -EFAULT);
	assert_int_equal(dma(&m, VU_DMA_WRITE, addr[N - 1] + 4, 4, le), -EFAULT);
	assert_int_equal(dma(&m, VU_DMA_WRITE, addr[N - 1] + 1, 4, le), -EFAULT);
	for (int i = 0; i < N; i++)
		assert_false(vp_signalled(fd[i]));
	m.b->ops->msi_fd_free(m.b, addr[N - 1], data[N - 1]);
	assert_int_equal(dma(&m, VU_DMA_WRITE, addr[N - 1], 4, le), -EFAULT);
	for (int i = 0; i < N; i++) {
		m.b->ops->msi_fd_free(m.b, addr[i], data[i]);
		close(fd[i]);
	}
	assert_int_equal(m.g.n, 0);
	unmake(&m);
}

static void a_request_that_wants_no_reply_gets_none(void **state)
{
	struct vu_dma_rw rw = { .count = 0 };
	uint8_t body[sizeof(rw) + 4] = { 0 };
	uint64_t iova;
	uint8_t *mem;
	struct made m;

	(void)state;
	liar_init(&m.l);
	make(&m);
	mem = m.b->ops->dma_alloc(m.b, 4096, &iova);
	rw.addr = iova + 16;
	rw.count = 4;
	memcpy(body, &rw, sizeof(rw));
	body[sizeof(rw)] = 0xaa;
	atomic_store(&m.l.replied, false);
	liar_send(&m.l, VU_DMA_WRITE, VU_REQUEST | VU_NO_REPLY, body, sizeof(body));
	loop_until(m.loop, ((volatile uint8_t *)mem)[16] == 0xaa);
	/* A round trip: it would be there by now. */
	m.b->ops->status(m.b);
	m.b->ops->status(m.b);
	assert_false(atomic_load(&m.l.replied));
	unmake(&m);
}

/* Each asks for much, and nobody reads the answers. */
static void a_flood_of_requests_ends_the_connection_before_the_memory(void **state)
{
	struct vu_dma_rw rw = { .count = 65536 };
	uint64_t iova;
	struct made m;

	(void)state;
	liar_init(&m.l);
	make(&m);
	assert_non_null(m.b->ops->dma_alloc(m.b, 65536, &iova));
	rw.addr = iova;
	/* After this answer it reads nothing. */
	atomic_store(&m.l.last, atomic_load(&m.l.messages));
	m.b->ops->status(m.b);
	for (int i = 0; i < 100000 && !m.g.n; i++) {
		struct vu_hdr h = { 1, VU_DMA_READ, 32, VU_REQUEST, 0 };
		uint8_t msg[32];

		memcpy(msg, &h, 16);
		memcpy(msg + 16, &rw, 16);
		send(atomic_load(&m.l.conn), msg, 32, MSG_NOSIGNAL | MSG_DONTWAIT);
		tvq_loop_turn(m.loop, false);
	}
	assert_int_equal(m.g.n, 1);
	if (!strstr(m.g.why, "does not read"))
		fail_msg("%s", m.g.why);
	unmake(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_lie_at_every_message_is_found),
		cmocka_unit_test(a_byte_that_is_another_harms_nobody),
		cmocka_unit_test(what_cannot_be_a_management_device_is_refused_with_the_reason),
		cmocka_unit_test(an_experimental_identifier_leaves_the_type_to_subsystem_or_class),
		cmocka_unit_test(a_mapping_that_is_refused_fails_with_an_errno_that_exists),
		cmocka_unit_test(an_eventfd_that_is_refused_ends_the_connection),
		cmocka_unit_test(an_unmap_that_is_refused_ends_the_connection),
		cmocka_unit_test(a_register_that_cannot_be_read_ends_the_connection),
		cmocka_unit_test(a_queue_whose_registers_make_no_sense_is_refused),
		cmocka_unit_test(a_vector_is_unmasked_while_somebody_has_it),
		cmocka_unit_test(a_notification_outside_the_structure_is_not_sent),
		cmocka_unit_test(kicks_that_wait_for_room_are_one),
		cmocka_unit_test(dma_that_hits_mapped_memory_is_done_and_other_is_refused),
		cmocka_unit_test(a_message_signals_its_descriptor_and_a_wrong_one_nobody),
		cmocka_unit_test(a_request_that_wants_no_reply_gets_none),
		cmocka_unit_test(a_flood_of_requests_ends_the_connection_before_the_memory),
	};

	return cmocka_run_group_tests_name("virtio_pci_liar", tests, NULL, NULL);
}
