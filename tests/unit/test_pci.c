/* SPDX-License-Identifier: BSD-3-Clause */
/* The PCI function driven through its registers: bring-up, managed devices, their pages, resets. */
#include "pci_lab.h"

struct world {
	struct pl p;
	struct dl_mem mem;
	struct dl_queue q[3];
	struct dl_req r[3];
	uint64_t id[3];
};

static void up(struct world *w, unsigned int workers, const struct tvq_client_cfg *cfg)
{
	pl_up(&w->p, workers, NULL);
	for (unsigned int i = 0; i < 3; i++)
		dl_vol_new(&w->p.l, 1 << 20, DL_NOW);
	pl_drive(&w->p, cfg);
	dl_mem_new(&w->mem, &w->p.l, 1 << 20);
}

static void down(struct world *w)
{
	dl_mem_free(&w->mem);
	pl_down(&w->p);
}

static void device_up(struct world *w, unsigned int i)
{
	w->id[i] = dl_create(w->p.l.client, NULL, w->mem.asid, 0, 1);
	dl_queue_new(&w->q[i], &w->mem, w->p.l.client, w->id[i], 0, 16, false);
	dl_req_new(&w->r[i], &w->mem, 512);
	dl_start(&w->q[i], 1, 0);
}

static void device_down(struct world *w, unsigned int i)
{
	assert_int_equal(dl_destroy(w->p.l.client, w->id[i]), 0);
	dl_queue_free(&w->q[i]);
}

static void serves(struct world *w, unsigned int i)
{
	assert_int_equal(dl_io(&w->q[i], &w->r[i], VIRTIO_BLK_T_IN, 0), 0);
}

/* A request that nobody notifies of, at a device that has gone to sleep. */
static void unnoticed(struct world *w, unsigned int i)
{
	dl_turns(&w->p.l, 64);
	assert_int_equal(dl_add(&w->q[i], &w->r[i], VIRTIO_BLK_T_IN, 0), 0);
	tvq_drv_ring_publish(w->q[i].ring);
	dl_turns(&w->p.l, 64);
	assert_false(dl_is_used(&w->q[i], &w->r[i]));
}

static struct virtio_transportq_ctrl_vdev_vq_stats stats(struct world *w, unsigned int i)
{
	struct virtio_transportq_ctrl_vdev_vq_stats st;
	struct tvq_seq *s = tvq_seq_new(w->p.l.client, w->id[i]);

	tvq_seq_vq_stats(s, 0, &st);
	assert_int_equal(tvq_seq_call(s), 0);
	return st;
}

static uint16_t left_devices(struct world *w)
{
	struct tvq_avail_res res;

	assert_int_equal(tvq_client_avail_res(w->p.l.client, &res), 0);
	return res.num_avail_vqs;
}

/* ---- bring-up ---- */

/* TQ-017 */
static void the_transportq_comes_up_through_bar_0(void **state)
{
	struct world w;

	(void)state;
	for (int packed = 0; packed < 2; packed++) {
		up(&w, 0, &(struct tvq_client_cfg){ .packed = packed });
		assert_int_equal(pl_status(&w.p), 15);
		assert_true(left_devices(&w));
		/* Index 1 plus one; and the configuration's was not asked for. */
		assert_true(atomic_load(&w.p.irqs[2]));
		assert_int_equal(atomic_load(&w.p.irqs[0]), 0);
		down(&w);
	}
}

static void a_managed_device_serves_requests(void **state)
{
	struct world w;

	(void)state;
	for (unsigned int workers = 0; workers < 2; workers++) {
		up(&w, workers, NULL);
		device_up(&w, 0);
		memset(w.r[0].data, 0x5a, 512);
		assert_int_equal(dl_io(&w.q[0], &w.r[0], VIRTIO_BLK_T_OUT, 7), 0);
		memset(w.r[0].data, 0, 512);
		assert_int_equal(dl_io(&w.q[0], &w.r[0], VIRTIO_BLK_T_IN, 7), 0);
		assert_int_equal(w.r[0].data[511], 0x5a);
		device_down(&w, 0);
		down(&w);
	}
}

/* TQ-120 */
static void a_space_that_the_host_lacks_fails_create(void **state)
{
	struct world w;
	struct virtio_transportq_blk_config config;
	struct tvq_create cr;

	(void)state;
	up(&w, 0, NULL);
	dl_fill_create(&cr, &config, NULL, PL_SPACES, 0, 1);
	assert_int_equal(tvq_client_create_call(w.p.l.client, &cr), -EIO);
	down(&w);
}

/* ---- notification pages ---- */

/* TQ-102 */
static void a_managed_device_has_a_page_of_bar_2_to_itself(void **state)
{
	struct world w;
	uint8_t cap;
	uint64_t size;

	(void)state;
	up(&w, 0, NULL);
	cap = pl_find_cap(&w.p, PCI_CAP_ID_VNDR, VIRTIO_PCI_CAP_NOTIFY_CFG);
	assert_int_equal(pl_get(&w.p, PL_CONFIG, cap + VIRTIO_PCI_CAP_BAR, 1), PL_BAR2);
	assert_int_equal(pl_get(&w.p, PL_CONFIG, cap + VIRTIO_PCI_CAP_OFFSET, 4) % PL_PAGE, 0);
	size = pl_get(&w.p, PL_CONFIG, cap + VIRTIO_PCI_CAP_LENGTH, 4);
	assert_true(size <= tvq_pci_region_size(w.p.pci, PL_BAR2));
	for (unsigned int i = 0; i < 3; i++) {
		uint64_t addr, len;
		struct tvq_seq *s;

		device_up(&w, i);
		s = tvq_seq_new(w.p.l.client, w.id[i]);
		tvq_seq_vq_notify_get(s, 0, &addr, &len);
		assert_int_equal(tvq_seq_call(s), 0);
		assert_int_equal(len, PL_PAGE);
		assert_int_equal(addr % PL_PAGE, 0);
		assert_true(addr <= size - PL_PAGE);
		assert_true(addr >= 2 * PL_PAGE); /* the function's queues', the MSI page */
		for (unsigned int j = 0; j < i; j++)
			assert_int_not_equal(addr, w.q[j].area);
		assert_int_equal(addr, w.q[i].area);
	}
	for (unsigned int i = 0; i < 3; i++) {
		serves(&w, i);
		device_down(&w, i);
	}
	down(&w);
}

/* TQ-103 */
static void a_write_to_one_devices_page_does_not_reach_another(void **state)
{
	struct world w;
	uint64_t before;

	(void)state;
	up(&w, 0, NULL);
	device_up(&w, 0);
	device_up(&w, 1);
	serves(&w, 0);
	unnoticed(&w, 0);
	before = stats(&w, 0).notifications;
	pl_put(&w.p, PL_BAR2, w.q[1].area, 2, 0);
	pl_put(&w.p, PL_BAR2, 0, 2, 0);	      /* the function's own queue 0 */
	pl_put(&w.p, PL_BAR2, PL_PAGE, 2, 0); /* the MSI page */
	dl_turns(&w.p.l, 64);
	assert_false(dl_is_used(&w.q[0], &w.r[0]));
	assert_int_equal(stats(&w, 0).notifications, before);
	pl_put(&w.p, PL_BAR2, w.q[0].area, 2, 0);
	dl_until(&w.p.l, dl_is_used(&w.q[0], &w.r[0]));
	device_down(&w, 0);
	device_down(&w, 1);
	down(&w);
}

/* TQ-103 */
static void a_stale_page_causes_at_most_a_look(void **state)
{
	struct world w;
	uint64_t stale, taken;

	(void)state;
	up(&w, 0, NULL);
	device_up(&w, 0);
	device_up(&w, 1);
	serves(&w, 1);
	stale = w.q[0].area;
	device_down(&w, 0);
	taken = stats(&w, 1).notifications;
	pl_put(&w.p, PL_BAR2, stale, 2, 0);
	dl_turns(&w.p.l, 16);
	assert_int_equal(stats(&w, 1).notifications, taken);
	device_up(&w, 2);
	assert_int_equal(w.q[2].area, stale); /* what the rule is about */
	taken = stats(&w, 2).taken;
	pl_put(&w.p, PL_BAR2, stale, 2, 0);
	dl_turns(&w.p.l, 16);
	assert_int_equal(stats(&w, 2).taken, taken);
	assert_int_equal(dl_status(w.p.l.client, w.id[2]), 15);
	serves(&w, 2);
	device_down(&w, 1);
	device_down(&w, 2);
	down(&w);
}

/* TQ-101 */
static void writes_elsewhere_in_a_page_or_of_other_widths_are_ignored(void **state)
{
	static const struct {
		unsigned int at, len, value;
	} wrong[] = { { 2, 2, 0 }, { 0, 4, 0 }, { 0, 1, 0 }, { 0, 8, 0 },
		      { 4, 2, 0 }, { 0, 3, 0 }, { 0, 2, 1 }, { 4094, 2, 0 } };
	struct world w;

	(void)state;
	up(&w, 0, NULL);
	device_up(&w, 0);
	serves(&w, 0);
	unnoticed(&w, 0);
	for (unsigned int i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		pl_put(&w.p, PL_BAR2, w.q[0].area + wrong[i].at, wrong[i].len, wrong[i].value);
	dl_turns(&w.p.l, 64);
	assert_false(dl_is_used(&w.q[0], &w.r[0]));
	pl_put(&w.p, PL_BAR2, w.q[0].area, 2, 0);
	dl_until(&w.p.l, dl_is_used(&w.q[0], &w.r[0]));
	device_down(&w, 0);
	down(&w);
}

/* ---- resets ---- */

struct held {
	struct world w;
	struct dl_vol *vol;
};

/* A managed device whose volume sits on a request. */
static void hold(struct held *h, unsigned int workers)
{
	up(&h->w, workers, NULL);
	h->vol = h->w.p.l.vols[0];
	atomic_store(&h->vol->mode, DL_HOLD);
	device_up(&h->w, 0);
	assert_int_equal(dl_add(&h->w.q[0], &h->w.r[0], VIRTIO_BLK_T_IN, 0), 0);
	dl_notify(&h->w.q[0]);
	dl_until(&h->w.p.l, atomic_load(&h->vol->waiting));
}

static void let_go(struct held *h)
{
	atomic_store(&h->vol->mode, DL_NOW);
	dl_release(h->vol);
	dl_until(&h->w.p.l, !atomic_load(&h->vol->waiting));
}

/* All is as after power-on, and a driver can start again. */
static void starts_again(struct world *w)
{
	int err;

	assert_int_equal(w->p.l.n_claimed, 0); /* no managed device has a volume */
	dl_queue_free(&w->q[0]);
	tvq_client_free(w->p.l.client);
	pl_msix_enable(&w->p, true);
	w->p.l.client = tvq_client_new(&w->p.bus, NULL, &err);
	assert_non_null(w->p.l.client);
	device_up(w, 1);
	serves(w, 1);
	device_down(w, 1);
}

/* TQ-055 */
static void status_reads_0_only_when_all_managed_devices_have_stopped(void **state)
{
	struct held h;

	(void)state;
	for (unsigned int workers = 0; workers < 2; workers++) {
		hold(&h, workers);
		pl_put(&h.w.p, PL_BAR0, VIRTIO_PCI_COMMON_STATUS, 1, 0);
		dl_turns(&h.w.p.l, 64);
		assert_int_not_equal(pl_status(&h.w.p), 0);
		/* A driver that does not wait changes nothing. */
		pl_put(&h.w.p, PL_BAR0, VIRTIO_PCI_COMMON_STATUS, 1, 15);
		pl_select(&h.w.p, 1);
		pl_put(&h.w.p, PL_BAR0, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
		assert_int_equal(h.w.p.l.n_claimed, 1);
		let_go(&h);
		dl_until(&h.w.p.l, !pl_status(&h.w.p));
		starts_again(&h.w);
		down(&h.w);
	}
}

/* TQ-055 */
static void a_function_level_reset_ends_when_all_managed_devices_have_stopped(void **state)
{
	struct held h;
	struct pl_done d[2];

	(void)state;
	for (unsigned int workers = 0; workers < 2; workers++) {
		hold(&h, workers);
		h.w.p.resets = 0;
		pl_start_reset(&h.w.p, &d[0]);
		dl_turns(&h.w.p.l, 16);
		pl_start_reset(&h.w.p, &d[1]); /* is told with the first */
		dl_turns(&h.w.p.l, 64);
		assert_false(d[0].told || d[1].told);
		assert_int_not_equal(pl_status(&h.w.p), 0);
		let_go(&h);
		dl_until(&h.w.p.l, d[0].told && d[1].told);
		assert_int_equal(pl_status(&h.w.p), 0);
		assert_int_equal(h.w.p.resets, 0); /* no register write began it */
		starts_again(&h.w);
		down(&h.w);
	}
}

struct owner {
	struct tvq_pci_done done;
	struct tvq_pci *pci;
};

static void free_it(struct tvq_pci_done *d)
{
	struct owner *o = (struct owner *)d;

	tvq_pci_free(o->pci);
	o->pci = NULL;
}

static void whoever_is_told_of_a_reset_may_free_the_function(void **state)
{
	struct held h;
	struct owner o = { .done.fn = free_it };

	(void)state;
	for (unsigned int workers = 0; workers < 2; workers++) {
		struct tvq_pci_cfg c = { .mgmt.max_devices = 8 };
		struct virtio_transportq_blk_config config;
		struct tvq_create cr;
		int err;

		hold(&h, workers);
		h.w.p.l.hold_claims = true;
		dl_fill_create(&cr, &config, NULL, h.w.mem.asid, 0, 1);
		tvq_client_create(h.w.p.l.client, &cr);
		dl_until(&h.w.p.l, h.w.p.l.n_claims == 1);
		o.pci = h.w.p.pci;
		dl_claims_go(&h.w.p.l);
		tvq_pci_reset(o.pci, &o.done);
		let_go(&h);
		dl_until(&h.w.p.l, !o.pci);
		dl_turns(&h.w.p.l, 16);
		/* Another one, for the lab to take down. */
		h.w.p.l.hold_claims = false;
		c.mgmt.os = &tvq_os_host;
		c.mgmt.control = h.w.p.l.exec;
		h.w.p.pci = tvq_pci_new(&c, &h.w.p.host, &err);
		assert_non_null(h.w.p.pci);
		dl_queue_free(&h.w.q[0]);
		down(&h.w);
	}
}

/* TQ-055 */
static void a_command_in_flight_gets_no_used_entry_by_a_reset(void **state)
{
	struct world w;
	struct virtio_transportq_blk_config config;
	struct tvq_create cr;
	unsigned int irqs;

	(void)state;
	up(&w, 0, NULL);
	w.p.l.hold_claims = true;
	dl_fill_create(&cr, &config, NULL, w.mem.asid, 0, 1);
	tvq_client_create(w.p.l.client, &cr);
	dl_until(&w.p.l, w.p.l.n_claims == 1);
	irqs = atomic_load(&w.p.irqs[2]);
	pl_put(&w.p, PL_BAR0, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	dl_turns(&w.p.l, 16);
	assert_int_not_equal(pl_status(&w.p), 0);
	dl_claims_go(&w.p.l);
	dl_until(&w.p.l, !pl_status(&w.p));
	dl_turns(&w.p.l, 16);
	assert_int_equal(atomic_load(&w.p.irqs[2]), irqs);
	assert_int_equal(cr.err, 0); /* not answered: the client ends it */
	down(&w);
}

/* TQ-055 */
static void resetting_the_transportq_alone_destroys_nothing(void **state)
{
	struct world w;
	struct tvq_bus_queue q = { .index = 1, .size = 16 };
	uint64_t iova, features;
	uint8_t *ring;

	(void)state;
	up(&w, 0, NULL);
	device_up(&w, 0);
	/* The client did not ask for RING_RESET: not without. */
	pl_select(&w.p, 1);
	pl_put(&w.p, PL_BAR0, VIRTIO_PCI_COMMON_Q_RESET, 2, 1);
	assert_int_equal(pl_get(&w.p, PL_BAR0, VIRTIO_PCI_COMMON_Q_RESET, 2), 0);
	assert_int_equal(pl_get(&w.p, PL_BAR0, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 1);
	device_down(&w, 0);
	tvq_client_free(w.p.l.client);
	w.p.l.client = NULL;

	features = w.p.bus.ops->features(&w.p.bus);
	assert_true(features & BIT(40));
	w.p.bus.ops->set_status(&w.p.bus, 3);
	w.p.bus.ops->set_features(&w.p.bus, features & ~(BIT(VIRTIO_F_RING_PACKED) | BIT(38)));
	w.p.bus.ops->set_status(&w.p.bus, 11);
	ring = w.p.bus.ops->dma_alloc(&w.p.bus, 3 * PL_PAGE, &iova);
	q.desc = iova;
	q.driver = iova + PL_PAGE;
	q.device = iova + 2 * PL_PAGE;
	for (unsigned int round = 0; round < 3; round++) {
		assert_int_equal(w.p.bus.ops->queue_setup(&w.p.bus, &q, NULL, NULL), 0);
		w.p.bus.ops->set_status(&w.p.bus, 15);
		dl_turns(&w.p.l, 16);
		pl_put(&w.p, PL_BAR0, VIRTIO_PCI_COMMON_Q_RESET, 2, 1);
		dl_until(&w.p.l, !pl_get(&w.p, PL_BAR0, VIRTIO_PCI_COMMON_Q_RESET, 2));
		assert_int_equal(pl_get(&w.p, PL_BAR0, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
		assert_int_equal(pl_get(&w.p, PL_BAR0, VIRTIO_PCI_COMMON_Q_DESCLO, 8), 0);
		assert_int_equal(pl_get(&w.p, PL_BAR0, VIRTIO_PCI_COMMON_Q_SIZE, 2), 1024);
		assert_int_equal(pl_get(&w.p, PL_BAR0, VIRTIO_PCI_COMMON_Q_MSIX, 2), 0xffff);
		assert_int_equal(pl_status(&w.p), 15);
	}
	pl_reset(&w.p);
	w.p.bus.ops->dma_free(&w.p.bus, ring, 3 * PL_PAGE);
	down(&w);
}

/* A queue that a worker has, with nothing to wait for but the worker. */
static void a_queue_reset_reads_1_until_the_worker_has_left(void **state)
{
	struct world w;
	struct tvq_bus_queue q = { .index = 0, .size = 16 };
	uint64_t iova, features;
	uint8_t *ring;

	(void)state;
	pl_up(&w.p, 1, NULL);
	pl_msix_enable(&w.p, true);
	features = w.p.bus.ops->features(&w.p.bus);
	w.p.bus.ops->set_status(&w.p.bus, 3);
	w.p.bus.ops->set_features(&w.p.bus, features & ~BIT(VIRTIO_F_RING_PACKED));
	w.p.bus.ops->set_status(&w.p.bus, 11);
	ring = w.p.bus.ops->dma_alloc(&w.p.bus, 3 * PL_PAGE, &iova);
	q.desc = iova;
	q.driver = iova + PL_PAGE;
	q.device = iova + 2 * PL_PAGE;
	assert_int_equal(w.p.bus.ops->queue_setup(&w.p.bus, &q, NULL, NULL), 0);
	w.p.bus.ops->set_status(&w.p.bus, 15);
	dl_turns(&w.p.l, 16);
	pl_put(&w.p, PL_BAR0, VIRTIO_PCI_COMMON_Q_RESET, 2, 1);
	/* What the worker says is heard in a turn, and there was none. */
	assert_int_equal(pl_get(&w.p, PL_BAR0, VIRTIO_PCI_COMMON_Q_RESET, 2), 1);
	dl_until(&w.p.l, !pl_get(&w.p, PL_BAR0, VIRTIO_PCI_COMMON_Q_RESET, 2));
	assert_int_equal(pl_get(&w.p, PL_BAR0, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
	pl_reset(&w.p);
	w.p.bus.ops->dma_free(&w.p.bus, ring, 3 * PL_PAGE);
	pl_down(&w.p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_transportq_comes_up_through_bar_0),
		cmocka_unit_test(a_managed_device_serves_requests),
		cmocka_unit_test(a_space_that_the_host_lacks_fails_create),
		cmocka_unit_test(a_managed_device_has_a_page_of_bar_2_to_itself),
		cmocka_unit_test(a_write_to_one_devices_page_does_not_reach_another),
		cmocka_unit_test(a_stale_page_causes_at_most_a_look),
		cmocka_unit_test(writes_elsewhere_in_a_page_or_of_other_widths_are_ignored),
		cmocka_unit_test(status_reads_0_only_when_all_managed_devices_have_stopped),
		cmocka_unit_test(a_function_level_reset_ends_when_all_managed_devices_have_stopped),
		cmocka_unit_test(whoever_is_told_of_a_reset_may_free_the_function),
		cmocka_unit_test(a_command_in_flight_gets_no_used_entry_by_a_reset),
		cmocka_unit_test(resetting_the_transportq_alone_destroys_nothing),
		cmocka_unit_test(a_queue_reset_reads_1_until_the_worker_has_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
