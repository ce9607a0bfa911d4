/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The driver half against the device half, by random operations that are compared with a plain
 * model: a list of buffers, each with what it has to hold, in the state in which it is.
 */
#include "ring_lab.h"

#define SLOTS	   64 /* buffers that the model has at most at once */
#define SLOT_BYTES (LAB_REGIONS * LAB_REGION_BYTES / SLOTS)
#define MAX_SG	   7
#define FILL	   0xee

enum slot_state { IDLE, ADDED, PUBLISHED, TAKEN, RECORDED, USED };

struct slot {
	enum slot_state state;
	struct tvq_sg sg[MAX_SG];
	unsigned int n_out, n_in;
	uint32_t out_len, in_len, written;
	uint64_t pattern; /* what out bytes hold and in bytes get */
	uint64_t order;	  /* of taking */
	struct lab_chain chain;
};

struct model {
	struct lab lab;
	uint64_t seed;
	struct slot slot[SLOTS];
	/* Slots in order: made available and not taken; taken; used in the order of recording. */
	unsigned int fifo[SLOTS], n_fifo;
	unsigned int taken[SLOTS], n_taken;
	unsigned int done[SLOTS], n_done;
	unsigned int added[SLOTS], n_added;
	unsigned int recorded;
	bool device_sleeps, driver_sleeps;
	unsigned int notified_since_on, interrupted_since_on;
	bool notify_wanted, interrupt_wanted;
	unsigned int
		resubmit; /* so many of the fifo were taken before the device half was replaced */
	bool owes_interrupt;
	uint64_t order;
	unsigned int free_desc;
	uint64_t total;
	unsigned int mood; /* what the driver adds: MANY, or single buffers of one direction */
	uint64_t bufs;	   /* chains that went the fast way */
};
enum { MANY, READABLE, WRITABLE, MOODS };

static uint8_t pattern_byte(uint64_t pattern, uint32_t i)
{
	return (uint8_t)((pattern >> (i % 7)) + i * 37);
}

static unsigned int desc_of(const struct model *m, const struct slot *s)
{
	unsigned int n = s->n_out + s->n_in;

	return m->lab.cfg.indirect && n > 1 ? 1 : n;
}

/* The bytes as the driver leaves them to the device. */
static void fill_out(const struct model *m, const struct slot *s)
{
	uint32_t b, k = 0;
	unsigned int i;

	for (i = 0; i < s->n_out + s->n_in; i++)
		for (b = 0; b < s->sg[i].len; b++)
			*lab_byte(&m->lab, s->sg[i].addr + b) =
				i < s->n_out ? pattern_byte(s->pattern, k++) : FILL;
}

/* Random pieces, in order and with gaps, inside the slot's part of the payload. */
static void shape(struct model *m, struct slot *s, unsigned int index)
{
	unsigned int i, n = 1 + lab_below(&m->seed, MAX_SG);
	uint64_t at = LAB_DATA_IOVA + index * SLOT_BYTES, end = at + SLOT_BYTES;

	if (n > m->lab.cfg.size && !m->lab.cfg.indirect)
		n = m->lab.cfg.size;
	s->n_out = lab_below(&m->seed, n + 1);
	if (m->mood != MANY) {
		n = 1;
		s->n_out = m->mood == READABLE;
	}
	s->n_in = n - s->n_out;
	s->out_len = 0;
	s->in_len = 0;
	s->pattern = lab_random(&m->seed);
	for (i = 0; i < n; i++) {
		uint32_t room = (uint32_t)(end - at) / (n - i);

		at += lab_below(&m->seed, 8);
		s->sg[i].addr = at;
		s->sg[i].len = lab_below(&m->seed, 10) ? lab_below(&m->seed, room - 8) : 0;
		if (i < n && lab_below(&m->seed, 4))
			s->sg[i].len %= 24;
		at += s->sg[i].len;
		if (i < s->n_out)
			s->out_len += s->sg[i].len;
		else
			s->in_len += s->sg[i].len;
	}
	fill_out(m, s);
}

static void op_add(struct model *m)
{
	unsigned int i;
	struct slot *s;
	int err;

	for (i = 0; i < SLOTS && m->slot[i].state != IDLE; i++)
		;
	if (i == SLOTS)
		return;
	s = &m->slot[i];
	shape(m, s, i);
	err = tvq_drv_ring_add(m->lab.drv, s->sg, s->n_out, s->n_in, s);
	if (desc_of(m, s) > m->free_desc) {
		assert_int_equal(err, -ENOSPC);
		return;
	}
	assert_int_equal(err, 0);
	m->free_desc -= desc_of(m, s);
	s->state = ADDED;
	m->added[m->n_added++] = i;
	m->total++;
}

static void op_publish(struct model *m)
{
	const bool notify = tvq_drv_ring_publish(m->lab.drv);
	unsigned int i;

	if (!m->n_added) {
		assert_false(notify);
		return;
	}
	for (i = 0; i < m->n_added; i++) {
		m->slot[m->added[i]].state = PUBLISHED;
		m->fifo[m->n_fifo++] = m->added[i];
	}
	m->n_added = 0;
	if (m->device_sleeps)
		assert_true(notify);
	if (!m->lab.cfg.event_idx)
		assert_int_equal(notify, m->notify_wanted);
	else if (notify && !m->lab.cfg.packed)
		/* A split ring's event is passed once, until the index has gone round. */
		assert_true(m->notified_since_on++ == 0 || m->total > 60000);
	m->device_sleeps = false;
}

static void check_taken(struct model *m, struct slot *s)
{
	const struct tvq_chain *c = &s->chain.c;
	uint32_t i, k = 0, n = 0;

	assert_int_equal(c->out_len, s->out_len);
	assert_int_equal(c->in_len, s->in_len);
	assert_int_equal(c->n_desc, desc_of(m, s));
	assert_false(c->too_long);
	for (i = 0; i < c->n_out; i++) {
		const uint8_t *p = c->seg[i].va;
		size_t b;

		assert_true(c->seg[i].len > 0);
		for (b = 0; b < c->seg[i].len; b++)
			assert_int_equal(p[b], pattern_byte(s->pattern, k++));
	}
	assert_int_equal(k, s->out_len);
	for (; i < (uint32_t)c->n_out + c->n_in; i++)
		n += (uint32_t)c->seg[i].len;
	assert_int_equal(n, s->in_len);
}

static void op_take(struct model *m)
{
	unsigned int i, want = 1 + lab_below(&m->seed, SLOTS);
	struct tvq_chain *c[SLOTS];
	struct lab_chain *spare = calloc(SLOTS, sizeof(*spare));
	unsigned int expect = want < m->n_fifo ? want : m->n_fifo;
	bool again = m->resubmit != 0;
	int n;

	assert_non_null(spare);
	if (again && expect > m->resubmit)
		expect = m->resubmit;
	/*
	 * The model knows which buffers are next; where it knows none, any chain that comes is
	 * wrong.
	 */
	for (i = 0; i < want; i++)
		c[i] = lab_chain(i < m->n_fifo ? &m->slot[m->fifo[i]].chain : &spare[i], LAB_SEGS);
	if (m->n_fifo)
		assert_true(tvq_ring_has_work(&m->lab.ring));
	n = tvq_ring_take(&m->lab.ring, c, want);
	assert_int_equal(n, expect);
	m->resubmit -= again ? expect : 0;
	for (i = 0; i < (unsigned int)n; i++) {
		struct slot *s = &m->slot[m->fifo[i]];

		check_taken(m, s);
		s->state = TAKEN;
		if (!again)
			s->order = ++m->order;
		m->taken[m->n_taken++] = m->fifo[i];
	}
	m->n_fifo -= (unsigned int)n;
	memmove(m->fifo, m->fifo + n, m->n_fifo * sizeof(m->fifo[0]));
	if (!again && lab_below(&m->seed, 4) == 0)
		while (n-- > 0 && lab_below(&m->seed, 2)) {
			unsigned int last = m->taken[--m->n_taken];

			tvq_ring_untake(&m->lab.ring, &m->slot[last].chain.c);
			m->slot[last].state = PUBLISHED;
			memmove(m->fifo + 1, m->fifo, m->n_fifo++ * sizeof(m->fifo[0]));
			m->fifo[0] = last;
		}
	free(spare);
}

/* What tvq_ring_take_bufs() has to take of s. */
static bool is_buf(const struct model *m, const struct slot *s, bool write)
{
	return !m->lab.area && s->n_out + s->n_in == 1 && s->sg[0].len && (s->n_in == 1) == write;
}

static void op_take_bufs(struct model *m)
{
	unsigned int i, k, expect = 0, want = 1 + lab_below(&m->seed, SLOTS);
	bool write = lab_below(&m->seed, 2);
	struct tvq_buf b[SLOTS];

	while (expect < want && expect < m->n_fifo && is_buf(m, &m->slot[m->fifo[expect]], write))
		expect++;
	assert_int_equal(tvq_ring_take_bufs(&m->lab.ring, b, want, write), expect);
	k = lab_below(&m->seed, 4) ? 0 : lab_below(&m->seed, expect + 1);
	tvq_ring_untake_bufs(&m->lab.ring, k);
	for (i = 0; i < expect - k; i++) {
		struct slot *s = &m->slot[m->fifo[i]];
		struct tvq_chain *c = lab_chain(&s->chain, LAB_SEGS);

		assert_ptr_equal(b[i].va, lab_byte(&m->lab, s->sg[0].addr));
		assert_int_equal(b[i].len, s->sg[0].len);
		s->chain.seg[0] = (struct tvq_seg){ b[i].va, b[i].len };
		c->id = b[i].id;
		c->n_desc = 1;
		c->n_out = !write;
		c->n_in = write;
		c->out_len = write ? 0 : b[i].len;
		c->in_len = write ? b[i].len : 0;
		check_taken(m, s);
		s->state = TAKEN;
		s->order = ++m->order;
		m->taken[m->n_taken++] = m->fifo[i];
		m->bufs++;
	}
	m->n_fifo -= i;
	memmove(m->fifo, m->fifo + i, m->n_fifo * sizeof(m->fifo[0]));
}

static void fill_in(struct slot *s)
{
	const struct tvq_chain *c = &s->chain.c;
	uint32_t k = 0;
	unsigned int i;
	size_t b;

	for (i = c->n_out; k < s->written; i++)
		for (b = 0; b < c->seg[i].len && k < s->written; b++)
			((uint8_t *)c->seg[i].va)[b] = pattern_byte(s->pattern, ~k++);
}

static void op_use(struct model *m)
{
	unsigned int at;
	struct slot *s;

	if (!m->n_taken)
		return;
	at = m->lab.cfg.in_order ? 0 : lab_below(&m->seed, m->n_taken);
	s = &m->slot[m->taken[at]];
	s->written = s->in_len ? lab_below(&m->seed, s->in_len + 1) : 0;
	fill_in(s);
	tvq_ring_add_used(&m->lab.ring, &s->chain.c, s->written);
	s->state = RECORDED;
	m->done[m->n_done++] = m->taken[at];
	m->recorded++;
	m->n_taken--;
	memmove(m->taken + at, m->taken + at + 1, (m->n_taken - at) * sizeof(m->taken[0]));
}

/* Some that were taken one after the other and are one descriptor each, at once. */
static void op_use_bufs(struct model *m)
{
	unsigned int i, n, at;
	uint32_t written[SLOTS];
	struct tvq_buf b[SLOTS];
	bool none;

	if (!m->n_taken || m->lab.area)
		return;
	at = m->lab.cfg.in_order ? 0 : lab_below(&m->seed, m->n_taken);
	n = 1 + lab_below(&m->seed, m->n_taken - at);
	none = lab_below(&m->seed, 2);
	for (i = 0; i < n; i++) {
		struct slot *s = &m->slot[m->taken[at + i]];

		/* What is not said of writable ones, of a run's, is that they are full. */
		if (s->chain.c.n_desc != 1 || (m->lab.cfg.in_order && none && s->in_len))
			break;
		s->written = s->in_len && !none ? lab_below(&m->seed, s->in_len + 1) : 0;
		fill_in(s);
		written[i] = s->written;
		b[i] = (struct tvq_buf){ .id = s->chain.c.id };
		s->state = RECORDED;
		m->done[m->n_done++] = m->taken[at + i];
	}
	tvq_ring_add_used_bufs(&m->lab.ring, b, none ? NULL : written, i);
	m->recorded += i;
	m->n_taken -= i;
	memmove(m->taken + at, m->taken + at + i, (m->n_taken - at) * sizeof(m->taken[0]));
}

static void op_flush(struct model *m)
{
	const bool signal = tvq_ring_flush(&m->lab.ring);
	unsigned int i;

	if (!m->recorded) {
		assert_int_equal(signal, m->owes_interrupt);
		m->owes_interrupt = false;
		return;
	}
	for (i = 0; i < m->n_done; i++)
		m->slot[m->done[i]].state = USED;
	if (m->owes_interrupt) {
		assert_true(signal);
		m->owes_interrupt = false;
		m->recorded = 0;
		m->driver_sleeps = false;
		return;
	}
	m->recorded = 0;
	if (m->driver_sleeps)
		assert_true(signal);
	if (!m->lab.cfg.event_idx)
		assert_int_equal(signal, m->interrupt_wanted);
	else if (signal && !m->lab.cfg.packed)
		assert_true(m->interrupted_since_on++ == 0 || m->total > 60000);
	m->driver_sleeps = false;
}

static void check_got(struct model *m, const struct slot *s)
{
	unsigned int i;
	uint32_t b, k = 0;

	for (i = s->n_out; i < s->n_out + s->n_in; i++)
		for (b = 0; b < s->sg[i].len; b++, k++)
			assert_int_equal(*lab_byte(&m->lab, s->sg[i].addr + b),
					 k < s->written ? pattern_byte(s->pattern, ~k) : FILL);
}

static void op_get(struct model *m)
{
	uint32_t written = 0xdeadbeef;
	struct slot *s = tvq_drv_ring_get(m->lab.drv, &written);

	assert_false(tvq_drv_ring_broken(m->lab.drv));
	/*
	 * Buffers come back in the order in which they were recorded, and no earlier than the
	 * flush.
	 */
	if (!m->n_done || m->slot[m->done[0]].state != USED) {
		assert_null(s);
		return;
	}
	assert_ptr_equal(s, &m->slot[m->done[0]]);
	assert_int_equal(written, s->written);
	check_got(m, s);
	s->state = IDLE;
	m->free_desc += desc_of(m, s);
	m->n_done--;
	memmove(m->done, m->done + 1, m->n_done * sizeof(m->done[0]));
}

static void op_sleep(struct model *m)
{
	switch (lab_below(&m->seed, 4)) {
	case 0:
		tvq_ring_notify_off(&m->lab.ring);
		m->notify_wanted = false;
		m->device_sleeps = false;
		break;
	case 1:
		m->notify_wanted = true;
		m->notified_since_on = 0;
		m->device_sleeps = !tvq_ring_notify_on(&m->lab.ring);
		assert_int_equal(m->device_sleeps, m->n_fifo == 0);
		break;
	case 2:
		tvq_drv_ring_interrupts_off(m->lab.drv);
		m->interrupt_wanted = false;
		m->interrupted_since_on = 0;
		m->driver_sleeps = false;
		break;
	default:
		m->interrupt_wanted = true;
		m->interrupted_since_on = 0;
		m->driver_sleeps = !tvq_drv_ring_interrupts_on(m->lab.drv);
		assert_int_equal(m->driver_sleeps, m->n_done == m->recorded);
		break;
	}
}

/* Gives everything back or completes it, reads the position, starts a new device half there. */
static void op_restart(struct model *m)
{
	struct tvq_ring_cfg *cfg = &m->lab.cfg;

	while (m->n_taken)
		op_use(m);
	op_flush(m);
	tvq_ring_position(&m->lab.ring, &cfg->avail_idx, &cfg->used_idx);
	memset(&m->lab.ring, 0xa5, sizeof(m->lab.ring));
	assert_int_equal(lab_start(&m->lab), 0);
}

static int by_order(const struct model *m, unsigned int a, unsigned int b)
{
	return m->slot[a].order < m->slot[b].order;
}

/*
 * The device half is gone between two calls, and another one starts over the in-flight area. What
 * was taken, or recorded and not published, has to come again, in the order of taking and before
 * anything else.
 */
static void op_crash(struct model *m)
{
	unsigned int i, k, back[SLOTS], n = 0;

	for (i = 0; i < m->n_taken; i++)
		back[n++] = m->taken[i];
	for (; m->recorded; m->recorded--)
		back[n++] = m->done[--m->n_done];
	m->n_taken = 0;
	for (i = 0; i < m->resubmit; i++)
		back[n++] = m->fifo[i];
	m->n_fifo -= m->resubmit;
	memmove(m->fifo, m->fifo + m->resubmit, m->n_fifo * sizeof(m->fifo[0]));
	for (i = 1; i < n; i++)
		for (k = i; k && by_order(m, back[k], back[k - 1]); k--) {
			unsigned int tmp = back[k];

			back[k] = back[k - 1];
			back[k - 1] = tmp;
		}
	for (i = 0; i < n; i++) {
		m->slot[back[i]].state = PUBLISHED;
		fill_out(m, &m->slot[back[i]]);
	}
	memmove(m->fifo + n, m->fifo, m->n_fifo * sizeof(m->fifo[0]));
	memcpy(m->fifo, back, n * sizeof(back[0]));
	m->n_fifo += n;
	m->resubmit = n;
	m->owes_interrupt = true;
	m->device_sleeps = false;
	/* The position that is given does not count: the area's does. */
	m->lab.cfg.avail_idx = (uint16_t)lab_below(&m->seed, m->lab.cfg.size);
	m->lab.cfg.used_idx = m->lab.cfg.avail_idx;
	memset(&m->lab.ring, 0xa5, sizeof(m->lab.ring));
	memset(m->lab.shadow, 0xa5, tvq_inflight_shadow_bytes(m->lab.cfg.packed, m->lab.cfg.size));
	assert_int_equal(lab_start(&m->lab), 0);
}

static void step(struct model *m)
{
	unsigned int what = lab_below(&m->seed, 1000);

	if (!lab_below(&m->seed, 100))
		m->mood = lab_below(&m->seed, MOODS);
	if (what < 300)
		op_add(m);
	else if (what < 430)
		op_publish(m);
	else if (what < 480)
		op_take(m);
	else if (what < 530)
		op_take_bufs(m);
	else if (what < 730)
		op_use(m);
	else if (what < 750)
		op_use_bufs(m);
	else if (what < 830)
		op_flush(m);
	else if (what < 980)
		op_get(m);
	else if (what < 998)
		op_sleep(m);
	else if (m->lab.area)
		op_crash(m);
	else
		op_restart(m);
	assert_int_equal(tvq_drv_ring_in_flight(m->lab.drv),
			 m->n_added + m->n_fifo + m->n_taken + m->n_done);
}

static void open_lab(struct lab *l, bool packed, uint16_t size, bool event_idx, bool indirect,
		     bool in_order)
{
	lab_open(l, packed, size, event_idx, indirect ? MAX_SG : 0);
	l->cfg.in_order = l->drv_cfg.in_order = in_order;
	tvq_drv_ring_free(l->drv);
	l->drv = tvq_drv_ring_new(&tvq_os_host, &l->drv_cfg, indirect ? MAX_SG : 0);
	assert_non_null(l->drv);
}

static void run(bool packed, uint16_t size, bool event_idx, bool indirect, bool in_order,
		bool inflight, unsigned int steps, uint64_t seed)
{
	struct model *m = calloc(1, sizeof(*m));
	unsigned int i;

	assert_non_null(m);
	print_message("%s ring of %u, event_idx %d, indirect %d, in_order %d, in-flight area %d, "
		      "seed %#llx\n",
		      packed ? "packed" : "split", size, event_idx, indirect, in_order, inflight,
		      (unsigned long long)seed);
	m->seed = seed;
	m->free_desc = size;
	m->notify_wanted = true;
	m->interrupt_wanted = true;
	open_lab(&m->lab, packed, size, event_idx, indirect, in_order);
	if (inflight)
		lab_add_inflight(&m->lab);
	assert_int_equal(lab_start(&m->lab), 0);
	for (i = 0; i < steps; i++)
		step(m);
	while (m->n_added || m->n_fifo || m->n_taken || m->n_done) {
		op_publish(m);
		op_take(m);
		op_use(m);
		op_flush(m);
		op_get(m);
	}
	assert_true(m->total > steps / 200);
	assert_true(inflight ? !m->bufs : m->bufs > steps / 1000);
	lab_close(&m->lab);
	free(m);
}

static void run_all(bool packed, uint16_t size, bool inflight, unsigned int steps, uint64_t seed)
{
	unsigned int k;

	for (k = 0; k < 8; k++)
		run(packed, size, k & 1, k & 2, k & 4, inflight, steps, seed + k);
}

/* Every size that a split ring can have. */
static void split_halves_agree_with_the_model_at_every_size(void **state)
{
	uint32_t size;

	(void)state;
	for (size = 1; size <= TVQ_RING_MAX_SIZE; size *= 2)
		run_all(false, (uint16_t)size, false, 12000, 0x5911700 + size);
}

static void packed_halves_agree_with_the_model_at_odd_sizes(void **state)
{
	static const uint16_t sizes[] = { 1,   2,    3,	   4,	 5,	6,     7,    8,	  9,
					  13,  16,   31,   33,	 64,	100,   127,  255, 256,
					  257, 1000, 1024, 4097, 10007, 32767, 32768 };
	uint64_t seed = 0x9ac4ed;
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		run_all(true, sizes[i], false, 12000, 0x9ac4ed00 + i);
	for (i = 0; i < 24; i++)
		run_all(true, (uint16_t)(1 + lab_below(&seed, i < 12 ? 90 : TVQ_RING_MAX_SIZE)),
			false, 4000, 0x9ac4ee00 + i);
}

static void halves_agree_while_indexes_wrap_many_times(void **state)
{
	(void)state;
	run(false, 8, true, true, false, false, 800000, 0x33ab1e);
	run(false, 32768, true, false, true, false, 1000000, 0x33ab1f);
	run(true, 7, true, false, true, false, 200000, 0x33ab20);
	run(true, 64, true, true, false, false, 200000, 0x33ab21);
	run(false, 16, true, true, false, true, 800000, 0x33ab22);
	run(true, 9, true, false, true, true, 200000, 0x33ab23);
}

/* TQ-130 TQ-131 */
static void split_ring_with_an_area_survives_its_device_half(void **state)
{
	uint32_t size;

	(void)state;
	for (size = 1; size <= 4096; size *= 2)
		run_all(false, (uint16_t)size, true, 12000, 0x5911f00 + size);
}

/* TQ-130 TQ-131 */
static void packed_ring_with_an_area_survives_its_device_half(void **state)
{
	static const uint16_t sizes[] = { 1, 2, 3, 5, 8, 13, 32, 100, 257, 4097 };
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		run_all(true, sizes[i], true, 12000, 0x9ac4ef00 + i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(split_halves_agree_with_the_model_at_every_size),
		cmocka_unit_test(packed_halves_agree_with_the_model_at_odd_sizes),
		cmocka_unit_test(halves_agree_while_indexes_wrap_many_times),
		cmocka_unit_test(split_ring_with_an_area_survives_its_device_half),
		cmocka_unit_test(packed_ring_with_an_area_survives_its_device_half),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
