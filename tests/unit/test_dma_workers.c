/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Address spaces whose memory comes and goes under workers on threads of their own. Each worker
 * writes through its view without any lock, and holds requests begun before a change for some turns
 * after it. The memory is unmapped for good when an unmap is done: a completion that comes too
 * early ends the test by SIGSEGV, or is a data race for ThreadSanitizer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sys/mman.h>

#include <tvq/dma.h>
#include <tvq/loop.h>

#define RW  (TVQ_DMA_READ | TVQ_DMA_WRITE)
#define LEN 4096

enum { WORKERS = 2, SLOTS = 4, CHANGES = 3000, HOLD_TURNS = 5 };

/* Memory that is gone when its last reference is. */
struct piece {
	struct tvq_mapping m;
	uint8_t *va;
};

static unsigned int pieces;

static void piece_put(struct tvq_mapping *m)
{
	struct piece *p = (struct piece *)m;

	/*
	 * For ThreadSanitizer, which does not look into munmap: a worker's write to it is a race
	 * with this.
	 */
	memset(p->va, 0xee, LEN);
	munmap(p->va, LEN);
	free(p);
	pieces--;
}

static struct tvq_region new_region(uint64_t iova)
{
	struct piece *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	p->m.put = piece_put;
	p->va = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(p->va, MAP_FAILED);
	pieces++;
	return (struct tvq_region){
		.iova = iova, .len = LEN, .va = p->va, .perm = RW, .mapping = &p->m
	};
}

/* One queue: a view and a poller on a worker, a user on the control executor. */
struct queue {
	struct tvq_dma_user user;
	struct tvq_poller poller;
	struct tvq_msg start, refresh, synced, stop, stopped;
	struct tvq_loop *worker, *control;
	struct tvq_space *space;
	struct tvq_dma_view view;
	uint8_t *held[SLOTS]; /* requests under way */
	unsigned int turns;
	unsigned int to_drain; /* turns before the answer; 0: none is due */
	unsigned int index;
	unsigned long writes;
	bool ended;
};

#define of(ptr, member) ((struct queue *)((char *)(ptr)-offsetof(struct queue, member)))

static unsigned int queue_poll(struct tvq_poller *p)
{
	struct queue *q = of(p, poller);
	unsigned int slot = q->turns++ % SLOTS;

	/* Each piece has a byte for each queue. */
	if (q->held[slot]) {
		q->held[slot][q->index]++;
		q->writes++;
	}
	q->held[slot] = tvq_dma_ptr(&q->view, slot * LEN, LEN, RW);
	tvq_dma_wrote(&q->view, slot * LEN, LEN);
	if (q->to_drain && !--q->to_drain)
		tvq_exec_post(tvq_loop_exec(q->control), &q->synced);
	return 1;
}

static bool queue_arm(struct tvq_poller *p)
{
	(void)p;
	return true;
}

static void start_fn(struct tvq_msg *m)
{
	struct queue *q = of(m, start);

	tvq_dma_view_refresh(&q->view, q->space);
	tvq_poller_activate(tvq_loop_exec(q->worker), &q->poller);
}

/* The quiet point. What is held was begun before; it is all replaced within SLOTS turns. */
static void refresh_fn(struct tvq_msg *m)
{
	struct queue *q = of(m, refresh);

	tvq_dma_view_refresh(&q->view, q->space);
	q->to_drain = SLOTS + HOLD_TURNS;
}

static void synced_fn(struct tvq_msg *m)
{
	tvq_dma_sync_done(of(m, synced)->space);
}

static void queue_sync(struct tvq_dma_user *u, struct tvq_space *space)
{
	struct queue *q = of(u, user);

	(void)space;
	tvq_exec_post(tvq_loop_exec(q->worker), &q->refresh);
}

static void stopped_fn(struct tvq_msg *m)
{
	of(m, stopped)->ended = true;
}

static void stop_fn(struct tvq_msg *m)
{
	struct queue *q = of(m, stop);

	tvq_poller_remove(&q->poller);
	tvq_exec_post(tvq_loop_exec(q->control), &q->stopped);
}

struct waiter {
	struct tvq_dma_done done;
	unsigned int *called;
};

static void waiter_fn(struct tvq_dma_done *d)
{
	struct waiter *w = (struct waiter *)d;

	++*w->called;
	free(w);
}

static struct tvq_dma_done *new_waiter(unsigned int *called)
{
	struct waiter *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	w->done.fn = waiter_fn;
	w->called = called;
	return &w->done;
}

static struct tvq_loop *new_loop(uint64_t poll_ns)
{
	struct tvq_loop_cfg cfg = { .poll_ns = poll_ns, .cpu = -1, .name = "worker" };
	int err;
	struct tvq_loop *l = tvq_loop_new(&cfg, &err);

	assert_non_null(l);
	return l;
}

struct log {
	struct tvq_dma_log log;
	_Atomic uint8_t bits;
};

struct log_done {
	struct tvq_dma_done done;
	struct log *old;
	unsigned int *called;
};

/* The log before is nobody's any more. */
static void log_done_fn(struct tvq_dma_done *d)
{
	struct log_done *l = (struct log_done *)d;

	++*l->called;
	free(l->old);
	free(l);
}

static struct log *replace_log(struct tvq_space *s, struct log *old, bool end, unsigned int *called)
{
	struct log_done *d = calloc(1, sizeof(*d));
	struct log *new = end ? NULL : calloc(1, sizeof(*new));

	assert_non_null(d);
	*d = (struct log_done){ .done.fn = log_done_fn, .old = old, .called = called };
	if (new)
		new->log = (struct tvq_dma_log){ .bits = &new->bits, .len = SLOTS *LEN };
	assert_int_equal(tvq_space_set_log(s, new ? &new->log : NULL, &d->done), 0);
	return new;
}

static void start_queues(struct queue *q, struct tvq_loop *control, struct tvq_space *s)
{
	for (unsigned int i = 0; i < WORKERS; i++) {
		q[i] = (struct queue){
			.user.sync = queue_sync,
			.poller = { .poll = queue_poll, .arm = queue_arm },
			.start.fn = start_fn,
			.refresh.fn = refresh_fn,
			.synced.fn = synced_fn,
			.stop.fn = stop_fn,
			.stopped.fn = stopped_fn,
			.worker = new_loop(UINT64_MAX),
			.control = control,
			.space = s,
			.index = i,
		};
		tvq_dma_view_init(&q[i].view);
		tvq_space_add_user(s, &q[i].user);
		assert_int_equal(tvq_loop_start(q[i].worker), 0);
		tvq_exec_post(tvq_loop_exec(q[i].worker), &q[i].start);
	}
}

static void stop_queues(struct queue *q, struct tvq_loop *control, struct tvq_space *s)
{
	for (unsigned int i = 0; i < WORKERS; i++) {
		tvq_exec_post(tvq_loop_exec(q[i].worker), &q[i].stop);
		while (!q[i].ended)
			tvq_loop_turn(control, true);
		tvq_space_del_user(s, &q[i].user);
		tvq_loop_stop(q[i].worker);
		tvq_loop_join(q[i].worker);
		tvq_loop_free(q[i].worker);
		assert_true(q[i].writes > 0);
	}
}

static void nothing_touches_memory_whose_unmap_is_done(void **state)
{
	struct tvq_loop *control = new_loop(0);
	struct tvq_space *s = tvq_space_new(&tvq_os_host, 1);
	struct queue q[WORKERS];
	bool mapped[SLOTS] = { 0 };
	unsigned int asked = 0, called = 0;
	struct log *log = NULL;

	(void)state;
	assert_non_null(s);
	start_queues(q, control, s);
	srand(3);
	for (unsigned int i = 0; i < CHANGES; i++) {
		unsigned int slot = (unsigned int)rand() % SLOTS;
		struct tvq_region r;

		if (rand() % 8 == 0) {
			log = replace_log(s, log, rand() % 4 == 0, &called);
			asked++;
		} else if (mapped[slot]) {
			assert_int_equal(tvq_space_unmap(s, slot * LEN, LEN, new_waiter(&called)),
					 0);
			asked++;
			mapped[slot] = false;
		} else {
			r = new_region(slot * LEN);
			assert_int_equal(tvq_space_map(s, &r, 1), 0);
			mapped[slot] = true;
		}
		/* Sometimes one change at a time, sometimes many on top of each other. */
		if (rand() % 4 == 0) {
			while (called < asked)
				tvq_loop_turn(control, true);
		}
		tvq_loop_turn(control, false);
	}
	log = replace_log(s, log, true, &called);
	assert_int_equal(tvq_space_unmap_all(s, new_waiter(&called)), 0);
	asked += 2;
	while (called < asked)
		tvq_loop_turn(control, true);
	assert_null(log);
	assert_int_equal(pieces, 0);
	stop_queues(q, control, s);
	tvq_space_put(s);
	tvq_loop_free(control);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_touches_memory_whose_unmap_is_done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
