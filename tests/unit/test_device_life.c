/* SPDX-License-Identifier: BSD-3-Clause */
/* Commands that meet a device while its queues come, go, and have requests under way. */
#include "device_lab.h"

#include <signal.h>

#include <tvq/nested.h>

#define MANAGES (BIT(VIRTIO_F_TRNSPT_VQ) | BIT(VIRTIO_F_TRNSPT_VQ_VDEV))

struct one {
	struct dl l;
	struct dl_vol *vol;
	struct dl_mem mem;
	uint64_t id;
	struct dl_queue q;
	struct dl_req r;
};

/* One device with one queue that runs on one worker. */
static void one_up(struct one *o, unsigned int workers, enum dl_mode mode)
{
	dl_up(&o->l, workers, NULL);
	o->vol = dl_vol_new(&o->l, 1 << 20, mode);
	dl_mem_new(&o->mem, &o->l, 1 << 20);
	o->id = dl_create(o->l.client, NULL, o->mem.asid, 0, 0);
	dl_queue_new(&o->q, &o->mem, o->l.client, o->id, 0, 16, false);
	dl_req_new(&o->r, &o->mem, 512);
	dl_start(&o->q, 1, 0);
}

static void one_down(struct one *o)
{
	dl_queue_free(&o->q);
	dl_mem_free(&o->mem);
	dl_down(&o->l);
}

/* Memory of the driver's own, for MSIs. */
static volatile uint32_t *msi_word(struct dl *l, uint64_t *iova)
{
	void *p = l->bus->ops->dma_alloc(l->bus, 4096, iova);

	assert_non_null(p);
	return p;
}

static void set_msi(struct one *o, uint64_t addr, uint8_t mask)
{
	struct tvq_seq *s = tvq_seq_new(o->l.client, o->id);

	tvq_seq_msi_vq_set(s, 0, addr, 0x1234);
	tvq_seq_msi_vq_enable(s, 0, 1);
	tvq_seq_msi_vq_mask(s, 0, mask);
	assert_int_equal(tvq_seq_call(s), 0);
}

static int enable(struct one *o, uint8_t on)
{
	struct tvq_seq *s = tvq_seq_new(o->l.client, o->id);

	tvq_seq_vq_enable(s, 0, on);
	return tvq_seq_call(s);
}

/* TQ-083, TQ-054 */
static void interrupt_pending_on_a_stopped_queue_is_sent_before_the_unmask_is_acked(void **state)
{
	int destroy;

	(void)state;
	for (destroy = 0; destroy < 2; destroy++) {
		volatile uint32_t *word;
		struct tvq_seq *s;
		uint64_t addr;
		struct one o;

		one_up(&o, 1, DL_NOW);
		word = msi_word(&o.l, &addr);
		set_msi(&o, addr, 1);
		assert_int_equal(dl_io(&o.q, &o.r, VIRTIO_BLK_T_IN, 0), VIRTIO_BLK_S_OK);
		assert_int_equal(enable(&o, 0), 0);
		assert_int_equal(*word, 0);
		/* Both in flight at once: nothing of the device may be left behind. */
		s = tvq_seq_new(o.l.client, o.id);
		tvq_seq_msi_vq_mask(s, 0, 0);
		if (destroy)
			tvq_seq_destroy_device(s);
		assert_int_equal(tvq_seq_call(s), 0);
		assert_int_equal(*word, 0x1234);
		*word = 0;
		dl_turns(&o.l, 10);
		assert_int_equal(*word, 0);
		one_down(&o);
	}
}

/* TQ-030, TQ-082: also where the queue waits for a request that does not end. */
static void msi_of_a_queue_that_leaves_can_be_changed(void **state)
{
	struct dl_op set, end;
	struct tvq_seq *s;
	uint64_t addr;
	struct one o;

	(void)state;
	one_up(&o, 1, DL_HOLD);
	msi_word(&o.l, &addr);
	assert_int_equal(dl_add(&o.q, &o.r, VIRTIO_BLK_T_IN, 0), 0);
	dl_notify(&o.q);
	dl_until(&o.l, atomic_load(&o.vol->waiting) == 1);
	tvq_os_host_log_level(TVQ_LOG_ERR - 1);
	assert_int_equal(tvq_device_break(tvq_inproc_device(o.l.bus), o.id, "test"), 0);
	s = tvq_seq_new(o.l.client, o.id);
	tvq_seq_msi_vq_set(s, 0, addr, 7);
	tvq_seq_msi_vq_enable(s, 0, 1);
	dl_run(s, &set);
	dl_start_destroy(o.l.client, o.id, &end);
	dl_wait(&o.l, &set.ended);
	assert_int_equal(set.err, 0);
	dl_turns(&o.l, 10);
	assert_false(end.ended);
	dl_release(o.vol);
	dl_wait(&o.l, &end.ended);
	assert_int_equal(end.err, 0);
	one_down(&o);
}

/* TQ-082: SET works as a whole while the worker interrupts, and the old pair is quiet after its
 * ack. */
static void pair_is_changed_as_a_whole_under_a_worker_that_interrupts(void **state)
{
	volatile uint32_t *word;
	unsigned int i;
	uint64_t addr;
	struct one o;

	(void)state;
	one_up(&o, 1, DL_NOW);
	word = msi_word(&o.l, &addr);
	set_msi(&o, addr, 0);
	for (i = 0; i < 500; i++) {
		struct tvq_seq *s = tvq_seq_new(o.l.client, o.id);
		unsigned int now = i & 1, old = !now;
		struct dl_op op;

		tvq_seq_msi_vq_set(s, 0, addr + 4 * now, 1000 + now);
		assert_int_equal(dl_add(&o.q, &o.r, VIRTIO_BLK_T_IN, 0), 0);
		dl_notify(&o.q);
		dl_run(s, &op);
		dl_wait(&o.l, &op.ended);
		assert_true(!word[0] || word[0] == 1000 || word[0] == 0x1234);
		assert_true(!word[1] || word[1] == 1001);
		word[old] = 0;
		dl_until(&o.l, dl_is_used(&o.q, &o.r));
		word[now] = 0;
		dl_io(&o.q, &o.r, VIRTIO_BLK_T_IN, 0);
		dl_until(&o.l, word[now] == 1000 + now);
		assert_int_equal(word[old], 0);
	}
	one_down(&o);
}

/* TQ-081 */
static void message_that_cannot_be_written_is_dropped(void **state)
{
	uint64_t addr;
	struct one o;

	(void)state;
	one_up(&o, 1, DL_NOW);
	msi_word(&o.l, &addr);
	set_msi(&o, 0x7ffffff00000, 0);
	assert_int_equal(dl_io(&o.q, &o.r, VIRTIO_BLK_T_IN, 0), VIRTIO_BLK_S_OK);
	set_msi(&o, UINT64_MAX - 3, 0);
	assert_int_equal(dl_io(&o.q, &o.r, VIRTIO_BLK_T_IN, 0), VIRTIO_BLK_S_OK);
	set_msi(&o, addr + 4096 - 4, 0);
	assert_int_equal(dl_io(&o.q, &o.r, VIRTIO_BLK_T_IN, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(dl_status(o.l.client, o.id), DL_DRIVER_OK);
	one_down(&o);
}

/* TQ-120, TQ-121 */
static void unmap_completes_after_the_request_that_holds_its_memory(void **state)
{
	unsigned int before = tvq_mapping_count();
	unsigned int workers;

	(void)state;
	for (workers = 0; workers < 2; workers++) {
		struct dl_op op;
		struct one o;

		one_up(&o, workers, DL_HOLD);
		memset(o.vol->data, 0x5a, 512);
		assert_int_equal(dl_add(&o.q, &o.r, VIRTIO_BLK_T_IN, 0), 0);
		dl_notify(&o.q);
		dl_until(&o.l, atomic_load(&o.vol->waiting) == 1);
		assert_int_equal(dl_mem_unmap(&o.mem, &op), 0);
		dl_turns(&o.l, 20);
		assert_false(op.ended);
		dl_release(o.vol);
		dl_wait(&o.l, &op.ended);
		/* It was written to the memory that is gone now. */
		assert_int_equal(o.r.data[511], 0x5a);
		assert_true(dl_is_used(&o.q, &o.r));
		/* And the queue goes on where it is mapped again. */
		atomic_store(&o.vol->mode, DL_NOW);
		assert_int_equal(dl_add(&o.q, &o.r, VIRTIO_BLK_T_IN, 0), 0);
		dl_notify(&o.q);
		dl_turns(&o.l, 20);
		assert_false(dl_is_used(&o.q, &o.r));
		dl_mem_map(&o.mem);
		dl_until(&o.l, dl_is_used(&o.q, &o.r));
		one_down(&o);
	}
	assert_int_equal(tvq_mapping_count(), before);
}

/* The library's handler, found before cmocka sets its own. */
static struct sigaction bus_error;

/* TQ-025 */
static void memory_that_vanishes_under_a_request_breaks_its_device_only(void **state)
{
	struct dl_queue other;
	struct dl_mem mem;
	struct dl_req r;
	uint64_t id;
	struct one o;

	(void)state;
	one_up(&o, 1, DL_HOLD);
	dl_vol_new(&o.l, 1 << 20, DL_NOW);
	dl_mem_new(&mem, &o.l, 1 << 20);
	/* cmocka has put its own in its place. */
	assert_int_equal(sigaction(SIGBUS, &bus_error, NULL), 0);
	id = dl_create(o.l.client, "v1", mem.asid, 0, 0);
	dl_queue_new(&other, &mem, o.l.client, id, 0, 16, true);
	dl_req_new(&r, &mem, 512);
	dl_start(&other, 1, 0);
	assert_int_equal(dl_add(&o.q, &o.r, VIRTIO_BLK_T_IN, 0), 0);
	dl_notify(&o.q);
	dl_until(&o.l, atomic_load(&o.vol->waiting) == 1);
	tvq_os_host_log_level(TVQ_LOG_ERR - 1);
	assert_int_equal(ftruncate(o.mem.fd, 0), 0);
	dl_release(o.vol);
	dl_until(&o.l, dl_status(o.l.client, o.id) & VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_int_equal(dl_io(&other, &r, VIRTIO_BLK_T_IN, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(dl_status(o.l.client, id), DL_DRIVER_OK);
	assert_int_equal(dl_destroy(o.l.client, o.id), 0);
	dl_queue_free(&other);
	dl_mem_free(&mem);
	one_down(&o);
}

/* ---- nested ---- */

struct nest {
	struct dl l;
	struct dl_vol *vol[3];
	uint64_t manager, child;
	struct tvq_bus *bus;
	struct tvq_client *client;
	struct dl_mem mem;
	struct dl_queue q;
	struct dl_req r;
};

/* A manager v0 with a child v1, whose request waits in its volume; the child is in space 0. */
static void nest_up(struct nest *n, unsigned int workers)
{
	const struct tvq_mgmt_cfg mgmt = { .max_devices = 100 };
	int err, i;

	dl_up(&n->l, workers, &mgmt);
	for (i = 0; i < 3; i++)
		n->vol[i] = dl_vol_new(&n->l, 1 << 20, DL_HOLD);
	n->manager = dl_create(n->l.client, "v0", 0,
			       MANAGES | BIT(32) | BIT(33) | BIT(28) | BIT(29) | BIT(34), 0);
	n->bus = tvq_nested_new(n->l.client, n->manager, TVQ_TYPE_BLK, &err);
	assert_non_null(n->bus);
	n->client = tvq_client_new(n->bus, NULL, &err);
	assert_non_null(n->client);
	n->child = dl_create(n->client, "v1", 0, 0, 0);
	n->mem = (struct dl_mem){ .l = &n->l, .size = 1 << 18 };
	n->mem.va = n->l.bus->ops->dma_alloc(n->l.bus, n->mem.size, &n->mem.iova);
	assert_non_null(n->mem.va);
	dl_queue_new(&n->q, &n->mem, n->client, n->child, 0, 16, false);
	dl_req_new(&n->r, &n->mem, 512);
	dl_start(&n->q, 1, 0);
	assert_int_equal(dl_add(&n->q, &n->r, VIRTIO_BLK_T_IN, 0), 0);
	dl_notify(&n->q);
	dl_until(&n->l, atomic_load(&n->vol[1]->waiting) == 1);
}

static void nest_down(struct nest *n)
{
	tvq_client_free(n->client);
	n->bus->ops->free(n->bus);
	dl_queue_free(&n->q);
	dl_down(&n->l);
}

/* TQ-016, TQ-054 */
static void manager_is_destroyed_after_the_requests_of_its_children(void **state)
{
	unsigned int workers;

	(void)state;
	tvq_os_host_log_level(TVQ_LOG_ERR - 1);
	for (workers = 0; workers < 2; workers++) {
		struct dl_op op;
		struct nest n;

		nest_up(&n, workers);
		dl_start_destroy(n.l.client, n.manager, &op);
		dl_turns(&n.l, 20);
		assert_false(op.ended);
		assert_int_equal(n.l.n_claimed, 2);
		dl_release(n.vol[1]);
		dl_wait(&n.l, &op.ended);
		assert_int_equal(op.err, 0);
		assert_int_equal(n.l.n_claimed, 0);
		nest_down(&n);
	}
}

/* TQ-055: of a manager that is managed itself. */
static void reset_of_a_manager_reads_0_after_its_children_are_gone(void **state)
{
	unsigned int workers;

	(void)state;
	for (workers = 0; workers < 2; workers++) {
		struct tvq_seq *s;
		struct nest n;

		nest_up(&n, workers);
		s = tvq_seq_new(n.l.client, n.manager);
		tvq_seq_status_set(s, 0);
		assert_int_equal(tvq_seq_call(s), 0);
		dl_turns(&n.l, 20);
		assert_int_equal(dl_status(n.l.client, n.manager), DL_DRIVER_OK);
		dl_release(n.vol[1]);
		dl_until(&n.l, dl_status(n.l.client, n.manager) == 0);
		assert_int_equal(n.l.n_claimed, 1);
		assert_false(n.vol[1]->in_use);
		nest_down(&n);
	}
}

/* TQ-016, TQ-053, TQ-055: the pool answers after the manager has begun to go. */
static void create_that_waits_for_its_volume_holds_up_the_end_of_its_manager(void **state)
{
	int destroy;

	(void)state;
	for (destroy = 0; destroy < 2; destroy++) {
		struct virtio_transportq_blk_config config;
		struct tvq_avail_res before, after;
		struct tvq_create cr[2];
		struct dl_op op;
		struct tvq_seq *s;
		struct nest n;
		int i;

		nest_up(&n, 1);
		dl_release(n.vol[1]);
		assert_int_equal(tvq_client_avail_res(n.l.client, &before), 0);
		n.l.hold_claims = true;
		for (i = 0; i < 2; i++) {
			dl_fill_create(&cr[i], &config, "v2", 0, 0, 0);
			tvq_client_create(n.client, &cr[i]);
		}
		dl_until(&n.l, n.l.n_claims == 1);
		s = tvq_seq_new(n.l.client, n.manager);
		if (destroy)
			tvq_seq_destroy_device(s);
		else
			tvq_seq_status_set(s, 0);
		dl_run(s, &op);
		dl_turns(&n.l, 50);
		assert_int_equal(op.ended, !destroy);
		if (!destroy)
			assert_int_equal(dl_status(n.l.client, n.manager), DL_DRIVER_OK);
		dl_claims_go(&n.l);
		if (destroy)
			dl_wait(&n.l, &op.ended);
		else
			dl_until(&n.l, dl_status(n.l.client, n.manager) == 0);
		assert_int_equal(op.err, 0);
		assert_false(n.vol[2]->in_use);
		assert_int_equal(tvq_client_avail_res(n.l.client, &after), 0);
		assert_int_equal(after.num_avail_vdev, before.num_avail_vdev + 1 + destroy);
		nest_down(&n);
	}
}

/* TQ-053 */
static void create_that_fails_later_leaves_nothing(void **state)
{
	struct virtio_transportq_blk_config config;
	struct tvq_avail_res before, after;
	struct tvq_create cr;
	struct one o;

	(void)state;
	one_up(&o, 0, DL_NOW);
	assert_int_equal(tvq_client_avail_res(o.l.client, &before), 0);
	dl_fill_create(&cr, &config, "nobody", 0, 0, 0);
	assert_int_equal(tvq_client_create_call(o.l.client, &cr), -EIO);
	dl_fill_create(&cr, &config, NULL, 0, 0, 0);
	assert_int_equal(tvq_client_create_call(o.l.client, &cr), -EIO);
	assert_int_equal(tvq_client_avail_res(o.l.client, &after), 0);
	assert_memory_equal(&before, &after, sizeof(before));
	one_down(&o);
}

static unsigned int warnings;

static void count_warnings(enum tvq_log_level level, const char *fmt, va_list ap)
{
	(void)fmt;
	(void)ap;
	warnings += level == TVQ_LOG_WARN;
}

/* A guest that breaks its device again and again cannot fill the disk that the log is on. */
static void device_that_breaks_for_ever_fills_no_log(void **state)
{
	struct tvq_os os = tvq_os_host;
	struct tvq_mgmt_cfg cfg = { .os = &os };
	struct one o;

	(void)state;
	os.vlog = count_warnings;
	warnings = 0;
	dl_up(&o.l, 0, &cfg);
	o.vol = dl_vol_new(&o.l, 1 << 20, DL_NOW);
	dl_mem_new(&o.mem, &o.l, 1 << 20);
	o.id = dl_create(o.l.client, NULL, o.mem.asid, 0, 0);
	dl_queue_new(&o.q, &o.mem, o.l.client, o.id, 0, 16, false);
	for (int i = 0; i < 200; i++) {
		struct tvq_sg nowhere = { .addr = 1ull << 46, .len = 16 };

		dl_start(&o.q, 1, 0);
		assert_int_equal(tvq_drv_ring_add(o.q.ring, &nowhere, 1, 0, &o), 0);
		dl_notify(&o.q);
		while (!(dl_status(o.l.client, o.id) & 64))
			dl_turns(&o.l, 1);
		assert_int_equal(tvq_client_reset_call(o.l.client, o.id), 0);
		tvq_drv_ring_free(o.q.ring);
		dl_ring_make(&o.q);
	}
	assert_in_range(warnings, 20, 40);
	one_down(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(device_that_breaks_for_ever_fills_no_log),
		cmocka_unit_test(
			interrupt_pending_on_a_stopped_queue_is_sent_before_the_unmask_is_acked),
		cmocka_unit_test(msi_of_a_queue_that_leaves_can_be_changed),
		cmocka_unit_test(pair_is_changed_as_a_whole_under_a_worker_that_interrupts),
		cmocka_unit_test(message_that_cannot_be_written_is_dropped),
		cmocka_unit_test(unmap_completes_after_the_request_that_holds_its_memory),
		cmocka_unit_test(memory_that_vanishes_under_a_request_breaks_its_device_only),
		cmocka_unit_test(manager_is_destroyed_after_the_requests_of_its_children),
		cmocka_unit_test(reset_of_a_manager_reads_0_after_its_children_are_gone),
		cmocka_unit_test(create_that_waits_for_its_volume_holds_up_the_end_of_its_manager),
		cmocka_unit_test(create_that_fails_later_leaves_nothing),
	};

	struct tvq_mapping *m;
	uint8_t *va;

	if (tvq_mapping_anon(1, &m, &va) || sigaction(SIGBUS, NULL, &bus_error))
		return 1;
	m->put(m);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
