/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Interrupts from several workers while the client changes what they go to. Each disk's driver does
 * one request at a time and waits for its interrupt: one that is lost ends the test.
 */
#include "vfu_disk.h"

#define DISKS	4
#define ROUNDS	500
#define WORKERS 3

struct part {
	struct dl_mem mem;
	struct dl_queue q;
	struct dl_req r;
	uint32_t writes_seen; /* interrupt messages with this disk's data */
	bool waits;
	unsigned int done;
};

struct crowd {
	struct vl w;
	struct part p[DISKS];
	unsigned int writes_taken;
};

static void crowd_up(struct crowd *c)
{
	vl_up(&c->w, &(struct vl_cfg){ .workers = WORKERS });
	for (unsigned int i = 0; i < DISKS; i++)
		dl_vol_new(&c->w.l, 1 << 16, DL_NOW);
	vl_drive(&c->w);
	c->writes_taken = 0;
	for (unsigned int i = 0; i < DISKS; i++) {
		struct part *p = &c->p[i];
		char name[8];

		memset(p, 0, sizeof(*p));
		snprintf(name, sizeof(name), "v%u", i);
		dl_mem_new(&p->mem, &c->w.l, 1 << 20);
		dl_queue_new(&p->q, &p->mem, c->w.l.client,
			     dl_create(c->w.l.client, name, p->mem.asid, 0, 1), 0, 16, i & 1);
		dl_start(&p->q, 1, 0);
		dl_req_new(&p->r, &p->mem, 4096);
	}
}

static void crowd_down(struct crowd *c)
{
	for (unsigned int i = 0; i < DISKS; i++) {
		struct part *p = &c->p[i];

		assert_int_equal(dl_destroy(c->w.l.client, p->q.id), 0);
		dl_queue_free(&p->q);
		munmap(p->mem.va, p->mem.size);
		close(p->mem.fd);
	}
	vl_down(&c->w);
}

static void msi(struct part *p, uint64_t addr, uint32_t data)
{
	struct tvq_seq *s = tvq_seq_new(p->q.client, p->q.id);

	tvq_seq_msi_vq_set(s, 0, addr, data);
	tvq_seq_msi_vq_enable(s, 0, 1);
	assert_int_equal(tvq_seq_call(s), 0);
}

/* Starts the next request; or, with its interrupt there, ends the one under way. */
static void drive(struct part *p, bool interrupted)
{
	if (p->waits && interrupted) {
		/* What the interrupt is for is there by then, not after. */
		assert_true(dl_is_used(&p->q, &p->r));
		p->waits = false;
		p->done++;
	}
	if (p->waits || p->done == ROUNDS)
		return;
	assert_int_equal(dl_add(&p->q, &p->r, VIRTIO_BLK_T_IN, 0), 0);
	p->waits = true;
	dl_notify(&p->q);
}

static bool all_done(const struct crowd *c)
{
	for (unsigned int i = 0; i < DISKS; i++)
		if (c->p[i].done < ROUNDS)
			return false;
	return true;
}

static void one_turn(struct crowd *c, uint64_t end)
{
	struct vu_hdr h;

	if (tvq_os_host.now() > end)
		fail_msg("an interrupt is lost; done: %u %u %u %u", c->p[0].done, c->p[1].done,
			 c->p[2].done, c->p[3].done);
	if (c->w.sock >= 0)
		assert_false(vl_poll(&c->w, &h));
	vl_turn(&c->w);
}

/* The interrupt messages that have come: which disk each is for. */
static void sort_writes(struct crowd *c, bool *came)
{
	for (; c->writes_taken < c->w.n_writes; c->writes_taken++)
		came[c->w.writes[c->writes_taken].data % DISKS] = true;
	if (c->writes_taken > VL_WRITES / 2)
		c->w.n_writes = c->writes_taken = 0;
}

/* TQ-081 */
static void no_interrupt_message_is_lost_between_workers(void **state)
{
	uint64_t end = tvq_os_host.now() + 60 * SECOND;
	struct crowd c;

	(void)state;
	crowd_up(&c);
	for (unsigned int i = 0; i < DISKS; i++)
		msi(&c.p[i], MSI_AT + 4096 * i, i);
	while (!all_done(&c)) {
		bool came[DISKS] = { false };

		sort_writes(&c, came);
		for (unsigned int i = 0; i < DISKS; i++)
			drive(&c.p[i], came[i]);
		one_turn(&c, end);
	}
	crowd_down(&c);
}

/* The client turns bus mastering off and on, and stops answering now and then. */
static void no_interrupt_message_is_lost_where_it_has_to_wait(void **state)
{
	uint64_t end = tvq_os_host.now() + 60 * SECOND;
	unsigned int n = 0;
	struct crowd c;

	(void)state;
	crowd_up(&c);
	for (unsigned int i = 0; i < DISKS; i++)
		msi(&c.p[i], MSI_AT, i);
	while (!all_done(&c)) {
		bool came[DISKS] = { false };
		uint16_t command = PCI_COMMAND_MEMORY | (n & 32 ? 0 : PCI_COMMAND_MASTER);

		sort_writes(&c, came);
		for (unsigned int i = 0; i < DISKS; i++)
			drive(&c.p[i], came[i]);
		if (!(n % 32))
			vl_post(&c.w, VL_CONFIG, PCI_COMMAND, &command, 2);
		n++;
		one_turn(&c, end);
	}
	vl_command(&c.w, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	crowd_down(&c);
}

/* Every vector's descriptor is replaced all the time; who was replaced is not signalled any more. */
static void no_interrupt_is_lost_while_descriptors_are_replaced(void **state)
{
	uint64_t end = tvq_os_host.now() + 60 * SECOND;
	struct crowd c;
	int fds[DISKS][2];
	unsigned int n = 0;

	(void)state;
	crowd_up(&c);
	for (unsigned int i = 0; i < DISKS; i++) {
		/* The MSI page: raises vector 3 + i. */
		msi(&c.p[i], VL_BAR2_AT + 4096, 3 + i);
		fds[i][0] = vl_eventfd();
		fds[i][1] = vl_eventfd();
		assert_int_equal(vl_set_eventfd(&c.w, VU_IRQ_MSIX, 3 + i, fds[i][0]), 0);
	}
	while (!all_done(&c)) {
		unsigned int i = n / 8 % DISKS, from = n / 8 / DISKS & 1;

		if (!(n % 8)) {
			bool late;

			assert_int_equal(vl_set_eventfd(&c.w, VU_IRQ_MSIX, 3 + i, fds[i][!from]),
					 0);
			/* Up to the reply it may have been. */
			late = vl_signalled(fds[i][from]);
			drive(&c.p[i], late);
			vl_turn(&c.w);
			assert_false(vl_signalled(fds[i][from]));
		}
		n++;
		for (i = 0; i < DISKS; i++) {
			bool a = vl_signalled(fds[i][0]), b = vl_signalled(fds[i][1]);

			drive(&c.p[i], a || b);
		}
		one_turn(&c, end);
	}
	for (unsigned int i = 0; i < DISKS; i++) {
		assert_int_equal(vl_set_eventfd(&c.w, VU_IRQ_MSIX, 3 + i, -1), 0);
		close(fds[i][0]);
		close(fds[i][1]);
	}
	crowd_down(&c);
}

/* For those whose messages may go astray: the used entry alone counts. */
static bool polled(struct part *p)
{
	return p->waits && dl_is_used(&p->q, &p->r);
}

/* Disk 0's pair is set anew all the time: its targets come and go while the others send. */
static void targets_come_and_go_while_others_send(void **state)
{
	uint64_t end = tvq_os_host.now() + 60 * SECOND;
	unsigned int n = 0;
	struct crowd c;

	(void)state;
	crowd_up(&c);
	for (unsigned int i = 0; i < DISKS; i++)
		msi(&c.p[i], MSI_AT, i);
	while (!all_done(&c)) {
		bool came[DISKS] = { false };

		sort_writes(&c, came);
		drive(&c.p[0], polled(&c.p[0]));
		for (unsigned int i = 1; i < DISKS; i++)
			drive(&c.p[i], came[i]);
		if (!(n++ % 16))
			msi(&c.p[0], MSI_AT + 4 * (n & 0xff), 0);
		one_turn(&c, end);
	}
	crowd_down(&c);
}

/* The client goes and comes again, with everything that it had, in the midst of it. */
static void nothing_is_lost_when_the_client_goes_and_comes_again(void **state)
{
	uint64_t end = tvq_os_host.now() + 60 * SECOND;
	unsigned int n = 0, times = 0;
	struct crowd c;

	(void)state;
	crowd_up(&c);
	for (unsigned int i = 0; i < DISKS; i++)
		msi(&c.p[i], MSI_AT, i);
	while (!all_done(&c)) {
		bool came[DISKS] = { false };

		sort_writes(&c, came);
		for (unsigned int i = 0; i < DISKS; i++)
			drive(&c.p[i], polled(&c.p[i]));
		if (++n % 200 == 0) {
			vl_go(&c.w);
			c.writes_taken = 0;
			times++;
			vl_hello(&c.w);
			vl_give_irqs(&c.w);
			vl_map_ram(&c.w);
			for (unsigned int i = 0; i < DISKS; i++) {
				dl_mem_map(&c.p[i].mem);
				/* One on its way went with the connection. */
				vl_bus_notify(&c.w.bus, c.p[i].q.area, 0, 2);
			}
		}
		one_turn(&c, end);
	}
	assert_true(times > 0);
	for (unsigned int i = 0; i < DISKS; i++)
		assert_int_equal(dl_status(c.w.l.client, c.p[i].q.id), DL_DRIVER_OK);
	crowd_down(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_interrupt_message_is_lost_between_workers),
		cmocka_unit_test(no_interrupt_message_is_lost_where_it_has_to_wait),
		cmocka_unit_test(no_interrupt_is_lost_while_descriptors_are_replaced),
		cmocka_unit_test(targets_come_and_go_while_others_send),
		cmocka_unit_test(nothing_is_lost_when_the_client_goes_and_comes_again),
	};

	if (!vl_catch_sigbus())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
