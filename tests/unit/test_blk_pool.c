/* SPDX-License-Identifier: BSD-3-Clause */
/* The requests that the queues of a worker share: bounded, and for everybody. */
#define DL_INDIRECT 4
#include "device_lab.h"

#define POOL  1024 /* of a worker */
#define DEPTH 1024
#define HOGS  12

struct hog {
	struct dl_queue q;
	struct dl_req *r;
	unsigned int used;
};

/* As many requests as the ring holds. */
static void hog_fill(struct hog *h, struct dl_mem *m, unsigned int n)
{
	unsigned int i;

	h->r = calloc(n, sizeof(*h->r));
	assert_non_null(h->r);
	for (i = 0; i < n; i++) {
		dl_req_new(&h->r[i], m, 512);
		assert_int_equal(dl_add(&h->q, &h->r[i], VIRTIO_BLK_T_IN, i % 64), 0);
	}
	dl_notify(&h->q);
}

/* The executor's thread may sleep: nobody polls in vain. */
static void can_sleep(struct dl *l)
{
	dl_turns(l, 50);
	assert_true(tvq_exec_sleep(l->exec) != 0);
	tvq_exec_awake(l->exec);
}

static void more_requests_than_the_pool_holds_are_done_one_after_the_other(void **state)
{
	struct dl_vol *vol;
	struct dl_mem mem;
	struct hog h = { 0 };
	unsigned int i;
	uint64_t id;
	struct dl l;

	(void)state;
	dl_up(&l, 0, NULL);
	vol = dl_vol_new(&l, 64 * 512, DL_HOLD);
	dl_mem_new(&mem, &l, 16 << 20);
	id = dl_create(l.client, NULL, mem.asid, 0, 0);
	dl_queue_new(&h.q, &mem, l.client, id, 0, DEPTH, false);
	dl_start(&h.q, 1, 0);
	hog_fill(&h, &mem, DEPTH);
	dl_until(&l, atomic_load(&vol->waiting));
	can_sleep(&l);
	assert_in_range(atomic_load(&vol->waiting), 1, POOL);
	assert_int_equal(dl_collect(&h.q), 0);
	while (h.used < DEPTH) {
		dl_release(vol);
		dl_turns(&l, 10);
		h.used += dl_collect(&h.q);
		can_sleep(&l);
	}
	assert_int_equal(atomic_load(&vol->requests), DEPTH);
	for (i = 0; i < DEPTH; i++)
		assert_int_equal(*h.r[i].status, VIRTIO_BLK_S_OK);
	free(h.r);
	dl_queue_free(&h.q);
	dl_mem_free(&mem);
	dl_down(&l);
}

struct crowd {
	struct dl l;
	struct dl_vol *slow, *quick;
	struct dl_mem mem;
	struct hog hog[HOGS];
	uint64_t id, other[3];
	struct dl_queue q[3];
	struct dl_req r[3];
};

/* Devices 0 to 2 have quick volumes; queues of another one keep n * DEPTH requests under way. */
static void crowd_up(struct crowd *c, unsigned int n)
{
	struct dl_queue q[HOGS];
	unsigned int i;

	dl_up(&c->l, 0, NULL);
	c->slow = dl_vol_new(&c->l, 64 * 512, DL_HOLD);
	for (i = 0; i < 3; i++)
		dl_vol_new(&c->l, 64 * 512, DL_NOW);
	dl_mem_new(&c->mem, &c->l, 48 << 20);
	c->id = dl_create(c->l.client, "v0", c->mem.asid, 0, HOGS);
	for (i = 0; i < HOGS; i++)
		dl_queue_new(&q[i], &c->mem, c->l.client, c->id, (uint16_t)i, DEPTH, false);
	dl_start(q, HOGS, 0);
	for (i = 0; i < 3; i++) {
		c->other[i] = dl_create(c->l.client, NULL, c->mem.asid, 0, 0);
		dl_queue_new(&c->q[i], &c->mem, c->l.client, c->other[i], 0, 16, true);
		dl_req_new(&c->r[i], &c->mem, 512);
		dl_start(&c->q[i], 1, 0);
	}
	for (i = 0; i < HOGS; i++)
		c->hog[i] = (struct hog){ .q = q[i] };
	for (i = 0; i < n; i++) {
		hog_fill(&c->hog[i], &c->mem, DEPTH);
		dl_turns(&c->l, 100);
	}
	can_sleep(&c->l);
}

static void crowd_down(struct crowd *c)
{
	unsigned int i;

	for (i = 0; i < HOGS; i++) {
		dl_queue_free(&c->hog[i].q);
		free(c->hog[i].r);
	}
	for (i = 0; i < 3; i++)
		dl_queue_free(&c->q[i]);
	dl_mem_free(&c->mem);
	dl_down(&c->l);
	free(c);
}

static struct crowd *crowd_new(void)
{
	struct crowd *c = calloc(1, sizeof(*c));

	assert_non_null(c);
	return c;
}

static void finish_hogs(struct crowd *c, unsigned int n)
{
	unsigned int i, used = 0;

	while (used < n * DEPTH) {
		uint64_t before = used;

		dl_release(c->slow);
		dl_turns(&c->l, 20);
		for (i = 0; i < n; i++)
			used += dl_collect(&c->hog[i].q);
		assert_true(used > before);
	}
}

static void queues_with_a_slow_volume_leave_requests_to_the_others(void **state)
{
	struct crowd *c = crowd_new();
	unsigned int n = 3, i;

	(void)state;
	crowd_up(c, n);
	assert_in_range(atomic_load(&c->slow->waiting), 1, POOL - 1);
	for (i = 0; i < 3; i++)
		assert_int_equal(dl_io(&c->q[i], &c->r[i], VIRTIO_BLK_T_IN, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(dl_status(c->l.client, c->other[0]), DL_DRIVER_OK);
	finish_hogs(c, n);
	crowd_down(c);
}

static void queue_that_finds_the_pool_empty_goes_on_when_a_request_comes_back(void **state)
{
	struct crowd *c = crowd_new();
	unsigned int i;

	(void)state;
	crowd_up(c, HOGS);
	assert_int_equal(atomic_load(&c->slow->waiting), POOL);
	for (i = 0; i < 3; i++) {
		assert_int_equal(dl_add(&c->q[i], &c->r[i], VIRTIO_BLK_T_IN, 0), 0);
		dl_notify(&c->q[i]);
	}
	can_sleep(&c->l);
	for (i = 0; i < 3; i++)
		assert_false(dl_is_used(&c->q[i], &c->r[i]));
	/* One in the middle of the line goes. */
	assert_int_equal(dl_destroy(c->l.client, c->other[1]), 0);
	dl_release(c->slow);
	dl_until(&c->l, dl_is_used(&c->q[0], &c->r[0]) && dl_is_used(&c->q[2], &c->r[2]));
	assert_false(dl_is_used(&c->q[1], &c->r[1]));
	finish_hogs(c, HOGS);
	can_sleep(&c->l);
	crowd_down(c);
}

/* One thread for all of it: a queue that is always full, another one, and commands. */
static void full_queue_holds_up_neither_others_nor_commands(void **state)
{
	struct crowd *c = crowd_new();
	struct dl_op op;
	struct tvq_seq *s;
	uint8_t status;
	unsigned int turns, i;

	(void)state;
	crowd_up(c, 1);
	atomic_store(&c->slow->mode, DL_NOW);
	dl_release(c->slow);
	assert_int_equal(dl_add(&c->q[0], &c->r[0], VIRTIO_BLK_T_IN, 0), 0);
	dl_notify(&c->q[0]);
	s = tvq_seq_new(c->l.client, c->other[0]);
	tvq_seq_status_get(s, &status);
	dl_run(s, &op);
	for (turns = 0; turns < 40 && !(op.ended && dl_is_used(&c->q[0], &c->r[0])); turns++) {
		dl_turns(&c->l, 1);
		for (i = 0; i < DEPTH; i++)
			if (dl_is_used(&c->hog[0].q, &c->hog[0].r[i]))
				assert_int_equal(dl_add(&c->hog[0].q, &c->hog[0].r[i],
							VIRTIO_BLK_T_IN, 0),
						 0);
		dl_notify(&c->hog[0].q);
	}
	assert_in_range(turns, 1, 39);
	assert_int_equal(op.err, 0);
	crowd_down(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(more_requests_than_the_pool_holds_are_done_one_after_the_other),
		cmocka_unit_test(queues_with_a_slow_volume_leave_requests_to_the_others),
		cmocka_unit_test(queue_that_finds_the_pool_empty_goes_on_when_a_request_comes_back),
		cmocka_unit_test(full_queue_holds_up_neither_others_nor_commands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
