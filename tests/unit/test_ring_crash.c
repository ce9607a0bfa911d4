/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device half that dies at any instruction. It runs in a child, one instruction at a time;
 * whenever ring or in-flight area have changed, what they hold is what a device dying there would
 * leave behind. Each such state is copied and recovered by another device half, whose driver has to
 * get each buffer once.
 */
#include <sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ring/driver_priv.h"
#include "ring_lab.h"

#define BUFFERS	   5
#define MOST_STEPS 3000000

static int tokens[BUFFERS];

/*
 * Both labs go through the same: the one that the child works on, and the one in which states are
 * tried.
 */
struct twin {
	struct lab live, trial;
	void *driver;  /* the trial's driver half as it is before anything is returned */
	uint8_t *seen; /* ring and area as last tried */
	unsigned int states;
};

static void add(struct lab *l, unsigned int i)
{
	const struct tvq_sg sg[2] = { { LAB_DATA_IOVA + 64 * i, 16 },
				      { LAB_DATA_IOVA + 64 * i + 32, 8 } };

	assert_int_equal(tvq_drv_ring_add(l->drv, sg, 1, 1, &tokens[i]), 0);
	tvq_drv_ring_publish(l->drv);
}

/*
 * Both sides are brought to the same place of the ring by n buffers, then all buffers are made
 * available.
 */
static void prepare(struct lab *l, bool packed, uint16_t size, unsigned int n)
{
	struct lab_chain lc;
	uint32_t written;
	unsigned int i;

	lab_open(l, packed, size, true, 0);
	lab_add_inflight(l);
	assert_int_equal(lab_start(l), 0);
	for (i = 0; i < n; i++) {
		add(l, 0);
		assert_int_equal(lab_take1(l, &lc), 1);
		tvq_ring_add_used(&l->ring, &lc.c, 0);
		tvq_ring_flush(&l->ring);
		assert_ptr_equal(tvq_drv_ring_get(l->drv, &written), &tokens[0]);
	}
	for (i = 0; i < BUFFERS; i++)
		add(l, i);
}

/* What the child does: batches, completion out of order, giving back. */
static void device_life(struct lab *l, struct tvq_chain *const *c)
{
	tvq_ring_take(&l->ring, c, 3);
	tvq_ring_add_used(&l->ring, c[1], 1);
	tvq_ring_add_used(&l->ring, c[0], 0);
	tvq_ring_flush(&l->ring);
	tvq_ring_take(&l->ring, c + 3, 1);
	tvq_ring_add_used(&l->ring, c[3], 3);
	tvq_ring_add_used(&l->ring, c[2], 2);
	tvq_ring_flush(&l->ring);
	tvq_ring_take(&l->ring, c + 4, 1);
	tvq_ring_untake(&l->ring, c[4]);
	tvq_ring_take(&l->ring, c + 4, 1);
	tvq_ring_add_used(&l->ring, c[4], 4);
	tvq_ring_flush(&l->ring);
}

static unsigned int get_all(struct lab *l)
{
	unsigned int got = 0;
	uint32_t written;
	int *token;

	while ((token = tvq_drv_ring_get(l->drv, &written)) != NULL) {
		const unsigned int i = (unsigned int)(token - tokens);

		assert_false(got & 1u << i);
		assert_int_equal(written, i);
		got |= 1u << i;
	}
	assert_false(tvq_drv_ring_broken(l->drv));
	return got;
}

/*
 * The state in the trial's ring and area: what is not used comes again, once and in order, and no
 * more.
 */
static void recover(struct twin *t)
{
	struct lab *l = &t->trial;
	struct lab_chain lc;
	unsigned int used, again = 0, i;
	int last = -1;

	memcpy(l->drv, t->driver, l->drv->bytes);
	used = get_all(l);
	if (lab_start(l))
		fail_msg("state %u is refused", t->states);
	while (lab_take1(l, &lc) == 1) {
		i = (unsigned int)((uint8_t *)lc.seg[0].va - l->data[0]) / 64;
		if ((int)i <= last || used & 1u << i)
			fail_msg("state %u: buffer %u after %d", t->states, i, last);
		last = (int)i;
		tvq_ring_add_used(&l->ring, &lc.c, i);
		again |= 1u << i;
	}
	tvq_ring_flush(&l->ring);
	if (get_all(l) != again || (used | again) != (1u << BUFFERS) - 1)
		fail_msg("state %u: %#x used before, %#x after", t->states, used, again);
}

/* Where ring or area changed since the last look: tries what they hold now. */
static void look(struct twin *t)
{
	struct lab *from = &t->live, *to = &t->trial;
	uint8_t *seen_area = t->seen + from->ring_bytes;

	if (!memcmp(t->seen, from->ring_mem, from->ring_bytes) &&
	    !memcmp(seen_area, from->area, from->area_bytes))
		return;
	memcpy(t->seen, from->ring_mem, from->ring_bytes);
	memcpy(seen_area, from->area, from->area_bytes);
	memcpy(to->ring_mem, t->seen, to->ring_bytes);
	memcpy(to->area, seen_area, to->area_bytes);
	t->states++;
	recover(t);
}

static void die_at_each_instruction(bool packed, uint16_t size, unsigned int start)
{
	struct twin *t = calloc(1, sizeof(*t));
	struct lab_chain lc[BUFFERS];
	struct tvq_chain *c[BUFFERS];
	unsigned int i, steps = 0;
	int status;
	pid_t child;

	assert_non_null(t);
	prepare(&t->live, packed, size, start);
	prepare(&t->trial, packed, size, start);
	t->driver = malloc(t->trial.drv->bytes);
	t->seen = calloc(1, t->live.ring_bytes + t->live.area_bytes);
	assert_true(t->driver && t->seen);
	memcpy(t->driver, t->trial.drv, t->trial.drv->bytes);
	for (i = 0; i < BUFFERS; i++)
		c[i] = lab_chain(&lc[i], LAB_SEGS);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
			_exit(77);
		raise(SIGSTOP);
		device_life(&t->live, c);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
		print_message("ptrace is not allowed here\n");
		skip();
	}
	while (WIFSTOPPED(status) && steps++ < MOST_STEPS) {
		look(t);
		assert_int_equal(ptrace(PTRACE_SINGLESTEP, child, NULL, NULL), 0);
		assert_int_equal(waitpid(child, &status, 0), child);
	}
	assert_true(WIFEXITED(status) && !WEXITSTATUS(status));
	/* Each of five buffers alone changes more than three words. */
	assert_true(t->states > 15);
	print_message("%s ring of %u from %u: %u states in %u instructions\n",
		      packed ? "packed" : "split", size, start, t->states, steps);
	lab_close(&t->live);
	lab_close(&t->trial);
	free(t->driver);
	free(t->seen);
	free(t);
}

/* TQ-130 TQ-131 */
static void split_device_that_dies_at_any_instruction_loses_and_repeats_nothing(void **state)
{
	(void)state;
	die_at_each_instruction(false, 16, 0);
	die_at_each_instruction(false, 16, 13);
}

/* TQ-130 TQ-131 */
static void packed_device_that_dies_at_any_instruction_loses_and_repeats_nothing(void **state)
{
	unsigned int start;

	(void)state;
	/* So that the ring's end, where the wrap counter turns, is in each of the buffers once. */
	for (start = 0; start <= BUFFERS; start++)
		die_at_each_instruction(true, 11, start);
	die_at_each_instruction(true, 10, 0);
	die_at_each_instruction(true, 10, 3);
}

/* Each step is a switch between the two processes: much faster where they share a core. */
static void share_a_core(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(sched_getcpu(), &set);
	(void)sched_setaffinity(0, sizeof(set), &set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			split_device_that_dies_at_any_instruction_loses_and_repeats_nothing),
		cmocka_unit_test(
			packed_device_that_dies_at_any_instruction_loses_and_repeats_nothing),
	};

	share_a_core();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
