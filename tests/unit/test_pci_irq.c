/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Interrupts of the PCI function: where MSIs of managed devices go, masks and pending bits, the ISR
 * register and the line.
 */
#include "pci_lab.h"

#include <pthread.h>
#include <sched.h>

#define MSI_PAGE_AT (PL_BAR2_AT + PL_PAGE)
#define TABLE	    0x8000
#define PBA	    0x4000
#define ENTRY(n)    (TABLE + 16 * (n))

/* A managed device whose queue interrupts by the pair that the test gives. */
struct world {
	struct pl p;
	struct dl_mem mem;
	struct dl_queue q;
	struct dl_req r;
	uint64_t id;
};

static void device_up(struct world *w)
{
	dl_vol_new(&w->p.l, 1 << 20, DL_NOW);
	pl_drive(&w->p, NULL);
	dl_mem_new(&w->mem, &w->p.l, 1 << 20);
	w->id = dl_create(w->p.l.client, NULL, w->mem.asid, 0, 1);
	dl_queue_new(&w->q, &w->mem, w->p.l.client, w->id, 0, 16, false);
	dl_req_new(&w->r, &w->mem, 512);
	dl_start(&w->q, 1, 0);
}

static void up(struct world *w, unsigned int workers, const struct tvq_pci_cfg *cfg)
{
	pl_up(&w->p, workers, cfg);
	device_up(w);
}

static void down(struct world *w)
{
	assert_int_equal(dl_destroy(w->p.l.client, w->id), 0);
	dl_queue_free(&w->q);
	dl_mem_free(&w->mem);
	pl_down(&w->p);
}

static void use_pair(struct world *w, uint64_t addr, uint32_t data)
{
	struct tvq_seq *s = tvq_seq_new(w->p.l.client, w->id);

	tvq_seq_msi_vq_set(s, 0, addr, data);
	tvq_seq_msi_vq_enable(s, 0, 1);
	assert_int_equal(tvq_seq_call(s), 0);
}

static void io(struct world *w)
{
	assert_int_equal(dl_io(&w->q, &w->r, VIRTIO_BLK_T_IN, 0), 0);
}

static unsigned int irqs(struct world *w, unsigned int vector)
{
	return atomic_load(&w->p.irqs[vector]);
}

/* Those of no queue of the function's own. */
static unsigned int strange_irqs(struct world *w)
{
	unsigned int n = 0;

	for (unsigned int i = 3; i < TVQ_PCI_MAX_VECTORS; i++)
		n += irqs(w, i);
	return n;
}

static void write_entry(struct world *w, unsigned int n, uint64_t addr, uint32_t data,
			uint32_t ctrl)
{
	pl_put(&w->p, PL_BAR0, ENTRY(n), 8, addr);
	pl_put(&w->p, PL_BAR0, ENTRY(n) + 8, 4, data);
	pl_put(&w->p, PL_BAR0, ENTRY(n) + 12, 4, ctrl);
}

/* ---- resolution ---- */

/* TQ-081 */
static void a_pair_in_the_msi_page_raises_the_vector_that_data_names(void **state)
{
	static const uint32_t vectors[] = { 7, 0, 63 };
	struct world w;

	(void)state;
	for (unsigned int workers = 0; workers < 2; workers++) {
		up(&w, workers, NULL);
		for (unsigned int i = 0; i < 3; i++) {
			unsigned int before = irqs(&w, vectors[i]);

			use_pair(&w, MSI_PAGE_AT + 4 * i, vectors[i]);
			io(&w);
			dl_until(&w.p.l, irqs(&w, vectors[i]) == before + 1);
		}
		/* The page's last four bytes. */
		use_pair(&w, MSI_PAGE_AT + PL_PAGE - 4, 9);
		io(&w);
		dl_until(&w.p.l, irqs(&w, 9) == 1);
		assert_int_equal(w.p.target.asked, 0);
		down(&w);
	}
}

static void a_number_that_no_vector_has_is_dropped(void **state)
{
	struct world w;

	(void)state;
	up(&w, 0, NULL);
	for (uint32_t n = PL_VECTORS; n; n = n == PL_VECTORS ? UINT32_MAX : 0) {
		use_pair(&w, MSI_PAGE_AT, n);
		io(&w);
		dl_turns(&w.p.l, 16);
	}
	assert_int_equal(strange_irqs(&w), 0);
	assert_int_equal(w.p.target.asked, 0);
	down(&w);
}

static void outside_the_page_and_without_one_the_host_is_asked(void **state)
{
	struct world w;

	(void)state;
	up(&w, 0, NULL);
	use_pair(&w, MSI_PAGE_AT - 4, 7);
	use_pair(&w, MSI_PAGE_AT + PL_PAGE, 7);
	use_pair(&w, PL_PAGE, 7);
	assert_int_equal(w.p.target.asked, 3);
	/* A BAR without an address has no page. */
	pl_put(&w.p, PL_CONFIG, PCI_BASE_ADDRESS_2, 8, 0);
	use_pair(&w, PL_PAGE, 7);
	assert_int_equal(w.p.target.asked, 4);
	down(&w);
	up(&w, 0, &(struct tvq_pci_cfg){ .msi_page = false });
	use_pair(&w, MSI_PAGE_AT, 7);
	assert_int_equal(w.p.target.asked, 1);
	assert_int_equal(w.p.target.addr, MSI_PAGE_AT);
	assert_int_equal(w.p.target.data, 7);
	io(&w);
	dl_until(&w.p.l, atomic_load(&w.p.target.sent) == 1);
	assert_int_equal(strange_irqs(&w), 0);
	/* A new pair: the old target is given back. */
	use_pair(&w, MSI_PAGE_AT, 8);
	assert_int_equal(w.p.target.put, 1);
	down(&w);
	assert_int_equal(w.p.target.put, 2);
}

/* TQ-081 */
static void the_pair_of_a_table_entry_raises_its_vector(void **state)
{
	struct world w;

	(void)state;
	pl_up(&w.p, 0, NULL);
	write_entry(&w, 10, 0xfee01000, 0x4041, 0);
	pl_reset(&w.p); /* forgets it */
	device_up(&w);
	write_entry(&w, 11, 0xfee01000, 0x4041, 0);
	write_entry(&w, 12, 0x1fee01000, 0x4041, 0);
	use_pair(&w, 0xfee01000, 0x4041);
	io(&w);
	assert_int_equal(irqs(&w, 11), 1);
	use_pair(&w, 0x1fee01000, 0x4041);
	io(&w);
	assert_int_equal(irqs(&w, 12), 1);
	assert_int_equal(w.p.target.asked, 0);
	use_pair(&w, 0xfee01000, 0x4042); /* another one's data */
	assert_int_equal(w.p.target.asked, 1);
	/* Entries that nobody wrote have the pair 0, 0; that is nobody's. */
	use_pair(&w, 0, 0);
	assert_int_equal(w.p.target.asked, 2);
	down(&w);
}

/* TQ-081 */
static void a_pair_in_mapped_memory_is_written_there(void **state)
{
	struct world w;
	uint64_t iova;
	uint32_t *page;

	(void)state;
	for (unsigned int workers = 0; workers < 2; workers++) {
		up(&w, workers, NULL);
		page = w.p.bus.ops->dma_alloc(&w.p.bus, PL_PAGE, &iova);
		use_pair(&w, iova + 8, 0xfeedbeef);
		io(&w);
		dl_until(&w.p.l, __atomic_load_n(&page[2], __ATOMIC_ACQUIRE) == 0xfeedbeef);
		assert_int_equal(w.p.target.asked, 0);
		assert_int_equal(strange_irqs(&w), 0);
		/* A vector's entry comes before memory. */
		write_entry(&w, 5, iova + 8, 2, 0);
		use_pair(&w, iova + 8, 2);
		io(&w);
		dl_until(&w.p.l, irqs(&w, 5) == 1);
		assert_int_equal(page[2], 0xfeedbeef);
		w.p.bus.ops->dma_free(&w.p.bus, page, PL_PAGE);
		down(&w);
	}
}

/* TQ-079 */
static void the_configuration_interrupt_takes_the_same_ways(void **state)
{
	struct world w;
	struct tvq_seq *s;

	(void)state;
	up(&w, 0, NULL);
	s = tvq_seq_new(w.p.l.client, w.id);
	tvq_seq_msi_config_set(s, MSI_PAGE_AT, 21);
	tvq_seq_msi_config_enable(s, 1);
	assert_int_equal(tvq_seq_call(s), 0);
	assert_int_equal(tvq_device_resize(tvq_pci_device(w.p.pci), w.id, 2 << 20), 0);
	assert_int_equal(irqs(&w, 21), 1);
	down(&w);
}

static void a_cpus_write_to_the_msi_page_raises_the_vector(void **state)
{
	struct pl w;

	(void)state;
	pl_up(&w, 0, NULL);
	pl_put(&w, PL_BAR2, PL_PAGE, 4, 33);
	pl_put(&w, PL_BAR2, 2 * PL_PAGE - 4, 4, 33);
	assert_int_equal(atomic_load(&w.irqs[33]), 2);
	pl_put(&w, PL_BAR2, PL_PAGE, 2, 33);
	pl_put(&w, PL_BAR2, PL_PAGE + 2, 4, 33);
	pl_put(&w, PL_BAR2, PL_PAGE, 8, 33);
	pl_put(&w, PL_BAR2, PL_PAGE, 4, PL_VECTORS);
	pl_put(&w, PL_BAR2, PL_PAGE, 4, UINT32_MAX);
	assert_int_equal(atomic_load(&w.irqs[33]), 2);
	pl_down(&w);
	pl_up(&w, 0, &(struct tvq_pci_cfg){ .msi_page = false });
	pl_put(&w, PL_BAR2, PL_PAGE, 4, 33);
	assert_int_equal(atomic_load(&w.irqs[33]), 0);
	pl_down(&w);
}

/* ---- table ---- */

static void table_entries_are_accessed_by_four_or_eight_bytes(void **state)
{
	struct pl w;

	(void)state;
	pl_up(&w, 0, NULL);
	for (unsigned int n = 0; n < PL_VECTORS; n++) {
		assert_int_equal(pl_get(&w, PL_BAR0, ENTRY(n), 8), 0);
		assert_int_equal(pl_get(&w, PL_BAR0, ENTRY(n) + 8, 8), 1ull << 32); /* masked */
		pl_put(&w, PL_BAR0, ENTRY(n), 8, 0x1122334455667788 + 4 * n);
		pl_put(&w, PL_BAR0, ENTRY(n) + 8, 8, 0xfffffffe00000000 + n);
	}
	for (unsigned int n = 0; n < PL_VECTORS; n++) {
		assert_int_equal(pl_get(&w, PL_BAR0, ENTRY(n), 4), 0x55667788 + 4 * n);
		assert_int_equal(pl_get(&w, PL_BAR0, ENTRY(n) + 4, 4), 0x11223344);
		assert_int_equal(pl_get(&w, PL_BAR0, ENTRY(n) + 8, 8), n);
	}
	pl_put(&w, PL_BAR0, ENTRY(3), 2, 0);
	pl_put(&w, PL_BAR0, ENTRY(3) + 4, 8, 0);
	pl_put(&w, PL_BAR0, ENTRY(3), 16, 0);
	assert_int_equal(pl_get(&w, PL_BAR0, ENTRY(3), 8), 0x1122334455667788 + 12);
	assert_int_equal(pl_get(&w, PL_BAR0, ENTRY(3), 2), 0);
	/* Behind the last one. */
	pl_put(&w, PL_BAR0, ENTRY(PL_VECTORS), 8, UINT64_MAX);
	assert_int_equal(pl_get(&w, PL_BAR0, ENTRY(PL_VECTORS), 8), 0);
	assert_int_equal(pl_get(&w, PL_BAR0, 0x10000 - 4, 4), 0);
	pl_down(&w);
}

static void a_masked_vector_is_pending_and_sent_once_unmasked(void **state)
{
	struct world w;

	(void)state;
	for (unsigned int workers = 0; workers < 2; workers++) {
		up(&w, workers, NULL);
		write_entry(&w, 37, 0xfee00000, 37, 1);
		use_pair(&w, 0xfee00000, 37);
		io(&w);
		io(&w);
		dl_until(&w.p.l, pl_get(&w.p, PL_BAR0, PBA, 8) == 1ull << 37);
		assert_int_equal(pl_get(&w.p, PL_BAR0, PBA + 4, 4), 1 << 5);
		assert_int_equal(irqs(&w, 37), 0);
		pl_put(&w.p, PL_BAR0, PBA, 8, 0); /* read-only */
		assert_int_equal(pl_get(&w.p, PL_BAR0, PBA, 8), 1ull << 37);
		pl_put(&w.p, PL_BAR0, ENTRY(37) + 12, 4, 0);
		assert_int_equal(irqs(&w, 37), 1);
		assert_int_equal(pl_get(&w.p, PL_BAR0, PBA, 8), 0);
		io(&w);
		dl_until(&w.p.l, irqs(&w, 37) == 2);
		down(&w);
	}
}

static void the_functions_mask_keeps_all_vectors_pending(void **state)
{
	struct pl w;
	uint8_t msix;

	(void)state;
	pl_up(&w, 0, NULL);
	msix = pl_find_cap(&w, PCI_CAP_ID_MSIX, -1);
	pl_put(&w, PL_CONFIG, msix + PCI_MSIX_FLAGS, 2,
	       PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	pl_put(&w, PL_BAR0, ENTRY(41) + 12, 4, 1);
	for (unsigned int i = 40; i < 42; i++)
		pl_put(&w, PL_BAR2, PL_PAGE, 4, i);
	assert_int_equal(pl_get(&w, PL_BAR0, PBA, 8), 3ull << 40);
	/* An entry's own mask is another thing. */
	pl_put(&w, PL_BAR0, ENTRY(40) + 12, 4, 1);
	pl_put(&w, PL_BAR0, ENTRY(40) + 12, 4, 0);
	assert_int_equal(atomic_load(&w.irqs[40]) + atomic_load(&w.irqs[41]), 0);
	pl_put(&w, PL_CONFIG, msix + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
	assert_int_equal(atomic_load(&w.irqs[40]), 1);
	assert_int_equal(atomic_load(&w.irqs[41]), 0); /* has a mask of its own */
	assert_int_equal(pl_get(&w, PL_BAR0, PBA, 8), 2ull << 40);
	pl_put(&w, PL_BAR0, ENTRY(41) + 12, 4, 0);
	assert_int_equal(atomic_load(&w.irqs[41]), 1);
	/* It is nothing while MSI-X is off: whether a vector reaches anybody is the host's then. */
	pl_put(&w, PL_CONFIG, msix + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_MASKALL);
	pl_put(&w, PL_BAR2, PL_PAGE, 4, 40);
	assert_int_equal(atomic_load(&w.irqs[40]), 2);
	pl_down(&w);
}

/* QEMU keeps the table to itself. */
static void a_table_that_the_client_does_not_write_masks_nothing(void **state)
{
	struct pl w;

	(void)state;
	pl_up(&w, 0, NULL);
	assert_int_equal(pl_get(&w, PL_BAR0, ENTRY(3) + 12, 4), 1);
	pl_put(&w, PL_BAR2, PL_PAGE, 4, 3);
	assert_int_equal(atomic_load(&w.irqs[3]), 1);
	/* From its first write on it does. */
	pl_put(&w, PL_BAR0, ENTRY(3) + 8, 4, 3);
	pl_put(&w, PL_BAR2, PL_PAGE, 4, 3);
	assert_int_equal(atomic_load(&w.irqs[3]), 1);
	pl_reset(&w);
	pl_put(&w, PL_BAR2, PL_PAGE, 4, 3);
	assert_int_equal(atomic_load(&w.irqs[3]), 2);
	pl_down(&w);
}

/*
 * Another thread raises while the control executor unmasks: whatever comes first, the interrupt comes
 * once. The two start together, one of them a little later each time, so that all orders come up.
 */
#define RAISES 200000u

struct raiser {
	struct pl *w;
	pthread_t thread;
	atomic_uint go, raised;
};

static void dawdle(unsigned int n)
{
	while (n--)
		__asm__ volatile("");
}

static void *raise_many(void *arg)
{
	struct raiser *r = arg;

	for (unsigned int i = 1; i <= RAISES; i++) {
		unsigned int spins = 0;

		while (atomic_load(&r->go) < i)
			if (++spins > 1000)
				sched_yield();
		dawdle(i >> 6 & 63);
		/* What a worker calls, and it touches no state of the control executor's. */
		pl_put(r->w, PL_BAR2, PL_PAGE, 4, 50);
		atomic_store(&r->raised, i);
	}
	return NULL;
}

static void no_interrupt_is_lost_between_mask_and_unmask(void **state)
{
	struct pl w;
	struct raiser r = { .w = &w };
	unsigned int i;

	(void)state;
	pl_up(&w, 0, NULL);
	pl_put(&w, PL_BAR0, ENTRY(50) + 12, 4, 1);
	assert_int_equal(pthread_create(&r.thread, NULL, raise_many, &r), 0);
	for (i = 1; i <= RAISES; i++) {
		unsigned int spins = 0;

		atomic_store(&r.go, i);
		dawdle(i & 63);
		pl_put(&w, PL_BAR0, ENTRY(50) + 12, 4, 0);
		while (atomic_load(&r.raised) < i)
			if (++spins > 1000)
				sched_yield();
		if (atomic_load(&w.irqs[50]) != i)
			break;
		pl_put(&w, PL_BAR0, ENTRY(50) + 12, 4, 1);
	}
	atomic_store(&r.go, RAISES);
	pthread_join(r.thread, NULL);
	assert_int_equal(i, RAISES + 1);
	pl_down(&w);
}

/* ---- the function's own: vectors, ISR, line ---- */

/* TQ-026: the transportq's ring is broken, which the management device tells. */
static void break_transportq(struct pl *w, uint64_t without_features)
{
	struct tvq_bus_queue q = { .index = 1, .size = 16 };
	uint64_t iova;
	uint8_t *ring;

	w->bus.ops->set_status(&w->bus, 3);
	w->bus.ops->set_features(&w->bus, w->bus.ops->features(&w->bus) & ~without_features);
	w->bus.ops->set_status(&w->bus, 11);
	ring = w->bus.ops->dma_alloc(&w->bus, 3 * PL_PAGE, &iova);
	q.desc = iova;
	q.driver = iova + PL_PAGE;
	q.device = iova + 2 * PL_PAGE;
	pl_put(w, PL_BAR0, VIRTIO_PCI_COMMON_MSIX, 2, 8);
	assert_int_equal(w->bus.ops->queue_setup(&w->bus, &q, NULL, NULL), 0);
	((struct vring_avail *)(ring + PL_PAGE))->idx = 999;
	w->bus.ops->set_status(&w->bus, 15);
	dl_until(&w->l, pl_status(w) & 64);
	dl_turns(&w->l, 4);
}

/* TQ-071 */
static void the_devices_own_change_raises_the_configurations_vector(void **state)
{
	struct pl w;

	(void)state;
	pl_up(&w, 0, NULL);
	pl_msix_enable(&w, true);
	break_transportq(&w, BIT(VIRTIO_F_RING_PACKED));
	assert_int_equal(atomic_load(&w.irqs[8]), 1);
	assert_int_equal(atomic_load(&w.intx), 0);
	assert_false(tvq_pci_intx(w.pci));
	assert_int_equal(pl_get(&w, PL_BAR0, 0x1000, 1), VIRTIO_PCI_ISR_CONFIG);
	assert_int_equal(pl_get(&w, PL_BAR0, 0x1000, 1), 0);
	pl_down(&w);
}

static void without_msix_it_raises_the_line_until_isr_is_read(void **state)
{
	struct pl w;

	(void)state;
	pl_up(&w, 0, NULL);
	break_transportq(&w, BIT(VIRTIO_F_RING_PACKED));
	assert_int_equal(atomic_load(&w.irqs[8]), 0);
	assert_int_equal(atomic_load(&w.intx), 1);
	assert_true(tvq_pci_intx(w.pci));
	assert_true(pl_get(&w, PL_CONFIG, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
	/* It is up, and goes up no further. */
	pl_put(&w, PL_CONFIG, PCI_INTERRUPT_LINE, 1, 11);
	assert_int_equal(atomic_load(&w.intx), 1);
	/* Disabled: the status shows it all the same; enabled again, it goes up again. */
	pl_put(&w, PL_CONFIG, PCI_COMMAND, 2, PCI_COMMAND_INTX_DISABLE);
	assert_false(tvq_pci_intx(w.pci));
	assert_true(pl_get(&w, PL_CONFIG, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
	pl_put(&w, PL_CONFIG, PCI_COMMAND, 2, 0);
	assert_int_equal(atomic_load(&w.intx), 2);
	/* With MSI-X there is no line. */
	pl_msix_enable(&w, true);
	assert_false(tvq_pci_intx(w.pci));
	assert_false(pl_get(&w, PL_CONFIG, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
	pl_msix_enable(&w, false);
	assert_int_equal(atomic_load(&w.intx), 3);
	/* Only a read of the byte acknowledges. */
	assert_int_equal(pl_get(&w, PL_BAR0, 0x1000, 2), 0);
	assert_int_equal(pl_get(&w, PL_BAR0, 0x1000, 4), 0);
	assert_true(tvq_pci_intx(w.pci));
	assert_int_equal(pl_get(&w, PL_BAR0, 0x1000, 1), VIRTIO_PCI_ISR_CONFIG);
	assert_false(tvq_pci_intx(w.pci));
	assert_false(pl_get(&w, PL_CONFIG, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
	assert_int_equal(pl_get(&w, PL_BAR0, 0x1000, 1), 0);
	pl_down(&w);
}

/* A command without room for an answer is used at once. */
static void used_buffers_set_the_queues_bit_without_msix_only(void **state)
{
	struct pl w;

	(void)state;
	for (unsigned int msix = 0; msix < 2; msix++) {
		struct tvq_bus_queue q = { .index = 1, .size = 16 };
		uint64_t iova;
		uint8_t *ring;

		pl_up(&w, 0, NULL);
		pl_msix_enable(&w, msix);
		w.bus.ops->set_status(&w.bus, 3);
		w.bus.ops->set_features(&w.bus, w.bus.ops->features(&w.bus) &
							~(BIT(VIRTIO_F_RING_PACKED) |
							  BIT(VIRTIO_RING_F_EVENT_IDX)));
		w.bus.ops->set_status(&w.bus, 11);
		ring = w.bus.ops->dma_alloc(&w.bus, 3 * PL_PAGE, &iova);
		q.desc = iova;
		q.driver = iova + PL_PAGE;
		q.device = iova + 2 * PL_PAGE;
		*(struct vring_desc *)ring = (struct vring_desc){ .addr = iova + 2048, .len = 12 };
		((struct vring_avail *)(ring + PL_PAGE))->idx = 1;
		assert_int_equal(w.bus.ops->queue_setup(&w.bus, &q, NULL, NULL), 0);
		w.bus.ops->set_status(&w.bus, 15);
		if (msix) {
			dl_until(&w.l, atomic_load(&w.irqs[2]) == 1);
			assert_int_equal(pl_get(&w, PL_BAR0, 0x1000, 1), 0);
			assert_int_equal(atomic_load(&w.intx), 0);
		} else {
			dl_until(&w.l, atomic_load(&w.intx) == 1);
			assert_int_equal(pl_get(&w, PL_BAR0, 0x1000, 1), 1);
			assert_int_equal(atomic_load(&w.irqs[2]), 0);
		}
		pl_reset(&w);
		w.bus.ops->dma_free(&w.bus, ring, 3 * PL_PAGE);
		pl_down(&w);
	}
}

static void a_reset_takes_the_line_down(void **state)
{
	struct pl w;

	(void)state;
	for (unsigned int flr = 0; flr < 2; flr++) {
		pl_up(&w, 0, NULL);
		break_transportq(&w, BIT(VIRTIO_F_RING_PACKED));
		assert_true(tvq_pci_intx(w.pci));
		if (flr)
			pl_reset(&w);
		else
			pl_put(&w, PL_BAR0, VIRTIO_PCI_COMMON_STATUS, 1, 0);
		dl_until(&w.l, !pl_status(&w));
		assert_false(tvq_pci_intx(w.pci));
		assert_int_equal(atomic_load(&w.intx), 1);
		break_transportq(&w, BIT(VIRTIO_F_RING_PACKED));
		assert_int_equal(atomic_load(&w.intx), 2);
		pl_down(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pair_in_the_msi_page_raises_the_vector_that_data_names),
		cmocka_unit_test(a_number_that_no_vector_has_is_dropped),
		cmocka_unit_test(outside_the_page_and_without_one_the_host_is_asked),
		cmocka_unit_test(the_pair_of_a_table_entry_raises_its_vector),
		cmocka_unit_test(a_pair_in_mapped_memory_is_written_there),
		cmocka_unit_test(the_configuration_interrupt_takes_the_same_ways),
		cmocka_unit_test(a_cpus_write_to_the_msi_page_raises_the_vector),
		cmocka_unit_test(table_entries_are_accessed_by_four_or_eight_bytes),
		cmocka_unit_test(a_masked_vector_is_pending_and_sent_once_unmasked),
		cmocka_unit_test(the_functions_mask_keeps_all_vectors_pending),
		cmocka_unit_test(a_table_that_the_client_does_not_write_masks_nothing),
		cmocka_unit_test(no_interrupt_is_lost_between_mask_and_unmask),
		cmocka_unit_test(the_devices_own_change_raises_the_configurations_vector),
		cmocka_unit_test(without_msix_it_raises_the_line_until_isr_is_read),
		cmocka_unit_test(used_buffers_set_the_queues_bit_without_msix_only),
		cmocka_unit_test(a_reset_takes_the_line_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
