/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The freestanding core of the executors: messages, pollers, timers, and the race of sleep and
 * wake.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <semaphore.h>

#include <tvq/exec.h>

/* A clock of our own, that counts how often it is looked at. */
static uint64_t clock_ns;
static unsigned int clock_reads;
static bool no_memory;
static long allocated;

static uint64_t our_now(void)
{
	clock_reads++;
	return clock_ns;
}

static void *our_alloc(size_t size)
{
	if (no_memory)
		return NULL;
	allocated += (long)size;
	return tvq_os_host.alloc(size);
}

static void our_free(void *p, size_t size)
{
	if (p)
		allocated -= (long)size;
	tvq_os_host.free(p, size);
}

static const struct tvq_os our_os = {
	.alloc = our_alloc,
	.free = our_free,
	.now = our_now,
};

static void reset_clock(void)
{
	clock_ns = 1000;
	clock_reads = 0;
}

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Messages */

struct note {
	struct tvq_msg msg;
	struct tvq_exec *exec;
	unsigned int number;
	unsigned int again; /* posts itself so many times more */
};

static unsigned int seen[64], n_seen;

static void note_fn(struct tvq_msg *m)
{
	struct note *n = (struct note *)m;

	seen[n_seen++] = n->number;
	if (n->again) {
		n->again--;
		tvq_exec_post(n->exec, &n->msg);
	}
}

static void late_fn(struct tvq_msg *m)
{
	struct note *n = (struct note *)m;

	seen[n_seen++] = n->number;
	if (n->again) {
		n->again--;
		tvq_exec_late(n->exec, &n->msg);
	}
}

static void messages_of_one_poster_arrive_in_order(void **state)
{
	struct tvq_exec e;
	struct note n[10];

	(void)state;
	n_seen = 0;
	tvq_exec_init(&e, &our_os, NULL, 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(n); i++) {
		n[i] = (struct note){ .msg.fn = note_fn, .exec = &e, .number = i };
		tvq_exec_post(&e, &n[i].msg);
	}
	assert_int_equal(tvq_exec_poll(&e), 10);
	assert_int_equal(n_seen, 10);
	for (unsigned int i = 0; i < n_seen; i++)
		assert_int_equal(seen[i], i);
	assert_int_equal(tvq_exec_poll(&e), 0);
	tvq_exec_fini(&e);
}

static void message_that_posts_itself_again_runs_once_a_turn(void **state)
{
	struct tvq_exec e;
	struct note n = { .msg.fn = note_fn, .exec = &e, .again = 2 };

	(void)state;
	n_seen = 0;
	tvq_exec_init(&e, &our_os, NULL, 0);
	tvq_exec_post(&e, &n.msg);
	for (unsigned int turn = 1; turn <= 3; turn++) {
		assert_int_equal(tvq_exec_poll(&e), 1);
		assert_int_equal(n_seen, turn);
	}
	assert_int_equal(tvq_exec_poll(&e), 0);
	tvq_exec_fini(&e);
}

static void late_message_runs_after_everything_else_and_its_own_in_the_next_turn(void **state)
{
	struct tvq_exec e;
	struct note late = { .msg.fn = late_fn, .exec = &e, .number = 1, .again = 1 };
	struct note early = { .msg.fn = note_fn, .exec = &e, .number = 2 };

	(void)state;
	n_seen = 0;
	tvq_exec_init(&e, &our_os, NULL, 0);
	tvq_exec_late(&e, &late.msg);
	tvq_exec_post(&e, &early.msg);
	assert_int_equal(tvq_exec_poll(&e), 2);
	assert_int_equal(seen[0], 2);
	assert_int_equal(seen[1], 1);
	/* What was deferred at the turn's end keeps the thread from sleeping. */
	assert_int_equal(tvq_exec_sleep(&e), 0);
	assert_int_equal(tvq_exec_poll(&e), 1);
	assert_int_equal(seen[2], 1);
	assert_true(tvq_exec_sleep(&e) == UINT64_MAX);
	tvq_exec_fini(&e);
}

/* Pollers */

struct queue {
	struct tvq_poller poller;
	struct tvq_exec *exec;
	unsigned int work; /* what poll finds */
	bool arm_finds;	   /* what arm answers */
	unsigned int polls, arms;
	struct queue *removes; /* poll removes this one */
	bool frees;	       /* and frees it */
};

static unsigned int queue_poll(struct tvq_poller *p)
{
	struct queue *q = (struct queue *)p;
	unsigned int work = q->work;

	q->polls++;
	if (q->removes) {
		struct queue *r = q->removes;
		bool frees = q->frees;

		q->removes = NULL;
		tvq_poller_remove(&r->poller);
		if (frees)
			free(r);
	}
	return work;
}

static bool queue_arm(struct tvq_poller *p)
{
	struct queue *q = (struct queue *)p;

	q->arms++;
	return q->arm_finds;
}

static void queue_init(struct queue *q, struct tvq_exec *e)
{
	*q = (struct queue){ .poller = { .poll = queue_poll, .arm = queue_arm }, .exec = e };
}

static void poller_may_remove_any_poller_in_its_turn(void **state)
{
	struct tvq_exec e;
	struct queue q[5];

	(void)state;
	/* Every pair of a remover and a removed one, next to each other and apart. */
	for (unsigned int by = 0; by < ARRAY_SIZE(q); by++) {
		for (unsigned int of = 0; of < ARRAY_SIZE(q); of++) {
			tvq_exec_init(&e, &our_os, NULL, UINT64_MAX);
			for (unsigned int i = 0; i < ARRAY_SIZE(q); i++) {
				queue_init(&q[i], &e);
				tvq_poller_activate(&e, &q[i].poller);
			}
			q[by].removes = &q[of];
			tvq_exec_poll(&e);
			tvq_exec_poll(&e);
			for (unsigned int i = 0; i < ARRAY_SIZE(q); i++) {
				assert_true(tvq_poller_active(&q[i].poller) == (i != of));
				if (i != of)
					assert_int_equal(q[i].polls, 2);
				else
					assert_true(q[i].polls <= 1);
				tvq_poller_remove(&q[i].poller);
				tvq_poller_remove(&q[i].poller);
			}
			assert_int_equal(tvq_exec_poll(&e), 0);
			tvq_exec_fini(&e);
		}
	}
}

static void poller_that_frees_itself_is_not_looked_at_again(void **state)
{
	struct tvq_exec e;
	struct queue *q = malloc(sizeof(*q)), other;

	(void)state;
	tvq_exec_init(&e, &our_os, NULL, 0);
	queue_init(q, &e);
	queue_init(&other, &e);
	other.work = 1;
	q->removes = q;
	q->frees = true;
	q->work = 1;
	tvq_poller_activate(&e, &other.poller);
	tvq_poller_activate(&e, &q->poller);
	assert_int_equal(tvq_exec_poll(&e), 2);
	assert_int_equal(tvq_exec_poll(&e), 1);
	assert_int_equal(other.polls, 2);
	tvq_poller_remove(&other.poller);
	tvq_exec_fini(&e);
}

static void idle_poller_without_polling_time_is_armed_before_sleep(void **state)
{
	struct tvq_exec e;
	struct queue q;

	(void)state;
	reset_clock();
	tvq_exec_init(&e, &our_os, NULL, 0);
	queue_init(&q, &e);
	tvq_poller_activate(&e, &q.poller);
	/* It has not been polled since it was notified: no arming, no sleep. */
	assert_int_equal(tvq_exec_sleep(&e), 0);
	assert_int_equal(q.arms, 0);
	q.work = 3;
	assert_int_equal(tvq_exec_poll(&e), 3);
	assert_int_equal(tvq_exec_sleep(&e), 0);
	assert_int_equal(q.arms, 0);
	q.work = 0;
	assert_int_equal(tvq_exec_poll(&e), 0);
	/* arm finds work: it stays, and is polled before it is armed again. */
	q.arm_finds = true;
	assert_int_equal(tvq_exec_sleep(&e), 0);
	assert_int_equal(q.arms, 1);
	assert_int_equal(tvq_exec_sleep(&e), 0);
	assert_int_equal(q.arms, 1);
	assert_int_equal(tvq_exec_poll(&e), 0);
	q.arm_finds = false;
	assert_true(tvq_exec_sleep(&e) == UINT64_MAX);
	assert_int_equal(q.arms, 2);
	assert_false(tvq_poller_active(&q.poller));
	tvq_exec_awake(&e);
	assert_int_equal(clock_reads, 0);
	tvq_exec_fini(&e);
}

static void idle_poller_leaves_after_its_polling_time_and_not_before(void **state)
{
	struct tvq_exec e;
	struct queue q;

	(void)state;
	reset_clock();
	tvq_exec_init(&e, &our_os, NULL, 50000);
	queue_init(&q, &e);
	tvq_poller_activate(&e, &q.poller);
	for (unsigned int i = 0; i < 100; i++) {
		tvq_exec_poll(&e);
		assert_int_equal(tvq_exec_sleep(&e), 0);
	}
	clock_ns += 49999;
	for (unsigned int i = 0; i < 100; i++) {
		tvq_exec_poll(&e);
		assert_int_equal(tvq_exec_sleep(&e), 0);
	}
	assert_int_equal(q.arms, 0);
	clock_ns += 1;
	for (unsigned int i = 0; i < 100; i++)
		tvq_exec_poll(&e);
	assert_int_equal(q.arms, 1);
	assert_false(tvq_poller_active(&q.poller));
	assert_true(tvq_exec_sleep(&e) == UINT64_MAX);
	tvq_exec_fini(&e);
}

static void idle_poller_leaves_while_another_one_is_busy(void **state)
{
	static const uint64_t poll_ns[] = { 0, 50000 };
	struct tvq_exec e;
	struct queue idle, busy;

	(void)state;
	for (unsigned int k = 0; k < ARRAY_SIZE(poll_ns); k++) {
		reset_clock();
		tvq_exec_init(&e, &our_os, NULL, poll_ns[k]);
		queue_init(&idle, &e);
		queue_init(&busy, &e);
		busy.work = 1;
		tvq_poller_activate(&e, &idle.poller);
		tvq_poller_activate(&e, &busy.poller);
		for (unsigned int i = 0; i < 1000; i++) {
			clock_ns += 100;
			assert_int_equal(tvq_exec_poll(&e), 1);
		}
		assert_false(tvq_poller_active(&idle.poller));
		assert_int_equal(idle.arms, 1);
		/* Without a polling time nobody asks what time it is. */
		assert_int_equal(clock_reads > 0, poll_ns[k] > 0);
		assert_int_equal(busy.polls, 1000);
		assert_int_equal(busy.arms, 0);
		tvq_poller_remove(&busy.poller);
		tvq_exec_fini(&e);
	}
}

static void poller_with_endless_polling_time_never_leaves_and_costs_no_clock(void **state)
{
	struct tvq_exec e;
	struct queue q;

	(void)state;
	reset_clock();
	tvq_exec_init(&e, &our_os, NULL, UINT64_MAX);
	queue_init(&q, &e);
	tvq_poller_activate(&e, &q.poller);
	for (unsigned int i = 0; i < 1000; i++) {
		clock_ns += UINT64_MAX / 2000;
		assert_int_equal(tvq_exec_poll(&e), 0);
		assert_int_equal(tvq_exec_sleep(&e), 0);
	}
	assert_int_equal(q.polls, 1000);
	assert_int_equal(q.arms, 0);
	assert_int_equal(clock_reads, 0);
	tvq_poller_remove(&q.poller);
	tvq_exec_fini(&e);
}

static void busy_turns_do_not_read_the_clock(void **state)
{
	struct tvq_exec e;
	struct queue q;

	(void)state;
	reset_clock();
	tvq_exec_init(&e, &our_os, NULL, 50000);
	queue_init(&q, &e);
	q.work = 1;
	tvq_poller_activate(&e, &q.poller);
	for (unsigned int i = 0; i < 1000; i++)
		tvq_exec_poll(&e);
	assert_int_equal(clock_reads, 0);
	tvq_poller_remove(&q.poller);
	tvq_exec_fini(&e);
}

/* Timers */

struct alarm {
	struct tvq_timer timer;
	struct tvq_exec *exec;
	unsigned int rings;
	uint64_t every; /* sets itself again */
};

static uint64_t last_ring;

static void alarm_fn(struct tvq_timer *t)
{
	struct alarm *a = (struct alarm *)t;

	a->rings++;
	assert_true(t->when >= last_ring);
	last_ring = t->when;
	if (a->every)
		assert_int_equal(tvq_timer_set(a->exec, t, t->when + a->every), 0);
}

static void timers_run_when_due_in_order_and_once(void **state)
{
	enum { N = 500 };
	static struct alarm a[N];
	uint64_t when[N] = { 0 };
	unsigned int expected = 0, rings = 0;
	struct tvq_exec e;

	(void)state;
	reset_clock();
	last_ring = 0;
	srand(7);
	tvq_exec_init(&e, &our_os, NULL, 0);
	memset(a, 0, sizeof(a));
	/* Set, set again and cleared at random; when[] is what should come out: 0, nothing. */
	for (unsigned int i = 0; i < 20 * N; i++) {
		unsigned int k = (unsigned int)rand() % N;

		a[k].timer.fn = alarm_fn;
		a[k].exec = &e;
		if (rand() % 3) {
			when[k] = clock_ns + 1 + (uint64_t)rand() % 1000;
			assert_int_equal(tvq_timer_set(&e, &a[k].timer, when[k]), 0);
		} else {
			when[k] = 0;
			tvq_timer_clear(&e, &a[k].timer);
		}
	}
	for (unsigned int i = 0; i < N; i++)
		expected += when[i] != 0;
	assert_int_equal(tvq_exec_poll(&e), 0);
	while (rings < expected) {
		uint64_t next = tvq_exec_sleep(&e);

		assert_true(next > clock_ns && next <= clock_ns + 1000);
		tvq_exec_awake(&e);
		clock_ns = next - 1;
		assert_int_equal(tvq_exec_poll(&e), 0);
		clock_ns = next;
		rings += tvq_exec_poll(&e);
	}
	for (unsigned int i = 0; i < N; i++)
		assert_int_equal(a[i].rings, when[i] != 0);
	assert_true(tvq_exec_sleep(&e) == UINT64_MAX);
	tvq_exec_fini(&e);
	assert_int_equal(allocated, 0);
}

static void timer_that_is_always_due_does_not_hold_the_turn(void **state)
{
	struct tvq_exec e;
	struct alarm a = { .timer.fn = alarm_fn, .exec = &e, .every = 1 };

	(void)state;
	reset_clock();
	last_ring = 0;
	tvq_exec_init(&e, &our_os, NULL, 0);
	assert_int_equal(tvq_timer_set(&e, &a.timer, 0), 0);
	assert_true(tvq_exec_sleep(&e) == 1);
	tvq_exec_awake(&e);
	assert_int_equal(tvq_exec_poll(&e), 1);
	assert_int_equal(a.rings, 1);
	assert_int_equal(tvq_exec_poll(&e), 1);
	tvq_timer_clear(&e, &a.timer);
	tvq_exec_fini(&e);
}

static void timer_runs_beside_a_poller_that_is_always_busy(void **state)
{
	struct tvq_exec e;
	struct queue q;
	struct alarm a = { .timer.fn = alarm_fn, .exec = &e };

	(void)state;
	reset_clock();
	last_ring = 0;
	tvq_exec_init(&e, &our_os, NULL, UINT64_MAX);
	queue_init(&q, &e);
	q.work = 1;
	tvq_poller_activate(&e, &q.poller);
	assert_int_equal(tvq_timer_set(&e, &a.timer, clock_ns + 10), 0);
	clock_ns += 10;
	for (unsigned int i = 0; i < 100; i++)
		tvq_exec_poll(&e);
	assert_int_equal(a.rings, 1);
	assert_true(clock_reads < 10);
	tvq_poller_remove(&q.poller);
	tvq_exec_fini(&e);
}

static void timer_without_memory_fails_and_the_others_stay(void **state)
{
	struct tvq_exec e;
	struct alarm a[17];
	unsigned int n = 0;

	(void)state;
	reset_clock();
	last_ring = 0;
	tvq_exec_init(&e, &our_os, NULL, 0);
	memset(a, 0, sizeof(a));
	for (unsigned int i = 0; i < ARRAY_SIZE(a); i++) {
		int err;

		a[i].timer.fn = alarm_fn;
		no_memory = i > 0;
		err = tvq_timer_set(&e, &a[i].timer, 100 - i);
		if (err) {
			assert_int_equal(err, -12);
			assert_int_equal(a[i].timer.slot, 0);
			break;
		}
		n++;
	}
	no_memory = false;
	assert_in_range(n, 1, 16);
	/* One that is set already needs no memory. */
	no_memory = true;
	assert_int_equal(tvq_timer_set(&e, &a[0].timer, 5), 0);
	no_memory = false;
	assert_int_equal(tvq_exec_poll(&e), n);
	assert_int_equal(a[0].rings, 1);
	tvq_exec_fini(&e);
	assert_int_equal(allocated, 0);
}

/* Locals */

static unsigned int released[TVQ_EXEC_SLOTS], n_released;

static void release_requests(struct tvq_exec_local *l)
{
	(void)l;
	released[n_released++] = TVQ_EXEC_SLOT_REQUESTS;
}

static void release_volumes(struct tvq_exec_local *l)
{
	(void)l;
	released[n_released++] = TVQ_EXEC_SLOT_VOLUMES;
}

static void locals_are_released_last_slot_first(void **state)
{
	struct tvq_exec_local requests = { release_requests }, volumes = { release_volumes };
	struct tvq_exec e;

	(void)state;
	n_released = 0;
	tvq_exec_init(&e, &our_os, NULL, 0);
	e.local[TVQ_EXEC_SLOT_REQUESTS] = &requests;
	e.local[TVQ_EXEC_SLOT_VOLUMES] = &volumes;
	tvq_exec_fini(&e);
	assert_int_equal(n_released, 2);
	assert_int_equal(released[0], TVQ_EXEC_SLOT_VOLUMES);
	assert_int_equal(released[1], TVQ_EXEC_SLOT_REQUESTS);
}

/* Sleeping */

/*
 * A sleeper on a semaphore: it has no timeout, so a wake-up that is lost hangs the test (and the
 * harness' time limit reports it).
 */
struct sleeper {
	struct tvq_exec exec;
	sem_t sem;
	unsigned int received, expected, sleeps;
	unsigned int last[8]; /* of each poster, for the order */
};

struct parcel {
	struct tvq_msg msg;
	struct sleeper *to;
	unsigned int poster, number;
	atomic_bool back;
};

static void sleeper_wake(struct tvq_exec *e)
{
	sem_post(&((struct sleeper *)e)->sem);
}

static const struct tvq_exec_ops sleeper_ops = {
	.wake = sleeper_wake,
};

static void parcel_fn(struct tvq_msg *m)
{
	struct parcel *p = (struct parcel *)m;
	struct sleeper *s = p->to;

	if (p->number != s->last[p->poster] + 1)
		abort();
	s->last[p->poster] = p->number;
	s->received++;
	atomic_store_explicit(&p->back, true, memory_order_release);
}

static void *sleeper_thread(void *arg)
{
	struct sleeper *s = arg;

	while (s->received < s->expected) {
		if (tvq_exec_poll(&s->exec) || !tvq_exec_sleep(&s->exec))
			continue;
		s->sleeps++;
		while (sem_wait(&s->sem))
			;
		tvq_exec_awake(&s->exec);
	}
	return NULL;
}

#define PARCELS 20000
#define POSTERS 2

struct poster {
	struct sleeper *to;
	unsigned int index;
	bool one_at_a_time;
};

static void *poster_thread(void *arg)
{
	struct poster *me = arg;
	struct parcel p[4] = { 0 };

	for (unsigned int i = 0; i < PARCELS; i++) {
		struct parcel *q = &p[me->one_at_a_time ? 0 : i % 4];

		while (i >= (me->one_at_a_time ? 1 : 4) &&
		       !atomic_load_explicit(&q->back, memory_order_acquire))
			sched_yield();
		atomic_store_explicit(&q->back, false, memory_order_relaxed);
		q->msg.fn = parcel_fn;
		q->to = me->to;
		q->poster = me->index;
		q->number = i + 1;
		tvq_exec_post(&me->to->exec, &q->msg);
	}
	for (unsigned int i = 0; i < 4; i++) {
		while (p[i].number && !atomic_load_explicit(&p[i].back, memory_order_acquire))
			sched_yield();
	}
	return NULL;
}

static void run_sleeper(unsigned int posters, bool one_at_a_time)
{
	struct sleeper s = { .expected = posters * PARCELS };
	struct poster p[POSTERS];
	pthread_t thread[POSTERS], sleeper;

	sem_init(&s.sem, 0, 0);
	tvq_exec_init(&s.exec, &our_os, &sleeper_ops, 0);
	assert_int_equal(pthread_create(&sleeper, NULL, sleeper_thread, &s), 0);
	for (unsigned int i = 0; i < posters; i++) {
		p[i] = (struct poster){ .to = &s, .index = i, .one_at_a_time = one_at_a_time };
		assert_int_equal(pthread_create(&thread[i], NULL, poster_thread, &p[i]), 0);
	}
	for (unsigned int i = 0; i < posters; i++)
		pthread_join(thread[i], NULL);
	pthread_join(sleeper, NULL);
	assert_int_equal(s.received, s.expected);
	assert_true(s.sleeps > 0);
	tvq_exec_fini(&s.exec);
	sem_destroy(&s.sem);
}

static void no_wake_up_is_lost_between_post_and_sleep(void **state)
{
	(void)state;
	run_sleeper(1, true);
	run_sleeper(POSTERS, true);
	run_sleeper(POSTERS, false);
}

static unsigned int wakes;

static void count_wake(struct tvq_exec *e)
{
	(void)e;
	wakes++;
}

static void sleeper_is_woken_once_however_many_post(void **state)
{
	static const struct tvq_exec_ops ops = { .wake = count_wake };
	struct tvq_exec e;
	struct note n[3];

	(void)state;
	n_seen = 0;
	wakes = 0;
	tvq_exec_init(&e, &our_os, &ops, 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(n); i++)
		n[i] = (struct note){ .msg.fn = note_fn, .exec = &e };
	tvq_exec_post(&e, &n[0].msg);
	assert_int_equal(wakes, 0);
	/* Something is in the inbox: no sleep, and nobody is told that there is. */
	assert_int_equal(tvq_exec_sleep(&e), 0);
	tvq_exec_post(&e, &n[1].msg);
	assert_int_equal(wakes, 0);
	tvq_exec_poll(&e);
	assert_true(tvq_exec_sleep(&e) == UINT64_MAX);
	tvq_exec_post(&e, &n[0].msg);
	tvq_exec_post(&e, &n[1].msg);
	tvq_exec_post(&e, &n[2].msg);
	assert_int_equal(wakes, 1);
	tvq_exec_awake(&e);
	assert_int_equal(tvq_exec_poll(&e), 3);
	tvq_exec_fini(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_of_one_poster_arrive_in_order),
		cmocka_unit_test(message_that_posts_itself_again_runs_once_a_turn),
		cmocka_unit_test(
			late_message_runs_after_everything_else_and_its_own_in_the_next_turn),
		cmocka_unit_test(poller_may_remove_any_poller_in_its_turn),
		cmocka_unit_test(poller_that_frees_itself_is_not_looked_at_again),
		cmocka_unit_test(idle_poller_without_polling_time_is_armed_before_sleep),
		cmocka_unit_test(idle_poller_leaves_after_its_polling_time_and_not_before),
		cmocka_unit_test(idle_poller_leaves_while_another_one_is_busy),
		cmocka_unit_test(poller_with_endless_polling_time_never_leaves_and_costs_no_clock),
		cmocka_unit_test(busy_turns_do_not_read_the_clock),
		cmocka_unit_test(timers_run_when_due_in_order_and_once),
		cmocka_unit_test(timer_that_is_always_due_does_not_hold_the_turn),
		cmocka_unit_test(timer_runs_beside_a_poller_that_is_always_busy),
		cmocka_unit_test(timer_without_memory_fails_and_the_others_stay),
		cmocka_unit_test(locals_are_released_last_slot_first),
		cmocka_unit_test(no_wake_up_is_lost_between_post_and_sleep),
		cmocka_unit_test(sleeper_is_woken_once_however_many_post),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
