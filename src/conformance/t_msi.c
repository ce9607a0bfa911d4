// SPDX-License-Identifier: BSD-3-Clause
/*
 * Section 4.6: interrupts. A test of the state machine runs for a queue's MSI and for the
 * configuration's, in turn: struct source makes either interrupt happen.
 */
#include <string.h>

#include <tvq/device.h>
#include <tvq/inproc.h>

#include "conformance/ct.h"
#include "device/features.h"
#include "device/util.h"

#define DATA 0xc0ffee01u

struct source {
	struct ct *t;
	struct ct_vq *q; /* of the device; up */
	int queue;	 /* 0, or CT_CONFIG */
	uint32_t *word;	 /* where its MSI goes */
	uint64_t iova, sectors;
};

/* A device up with plain rings, and its interrupt unset. */
static struct source make(struct ct *t, int queue)
{
	uint64_t id = ct_new_blk(t);
	struct source s = { .t = t, .queue = queue };
	uint8_t range[8] = { 0 }, capacity[8];

	s.q = ct_vq_new(t, id, 0, 64, ct_negotiate(t, id, ct_features(t, id, t->packed, false)));
	ct_vq_program(s.q, false);
	ct_check(t, ct_vq_enable(s.q, 1) == CT_OK && ct_set_status(t, id, 15) == CT_OK,
		 "the device");
	range[4] = 8;
	ct_ok(t, id, CONFIG, GET, range, 8, capacity, 8);
	s.sectors = tvq_get64(capacity);
	s.word = ct_alloc(t, 64, 64, &s.iova);
	return s;
}

/* Makes the event, and waits until the device has done with it. */
static void happen(struct source *s)
{
	if (s->queue == CT_CONFIG)
		ct_check(s->t,
			 tvq_device_resize(tvq_inproc_device(s->t->bus), s->q->id,
					   ++s->sectors * 512) == 0,
			 "the owner's resize");
	else
		ct_check(s->t, ct_io(s->q, 0, 0, NULL, 512) == 0, "a request");
}

static void set_and_enable(struct source *s)
{
	ct_check(s->t, ct_msi_set(s->t, s->q->id, s->queue, s->iova, DATA) == CT_OK, "MSI SET");
	ct_check(s->t, ct_msi_enable(s->t, s->q->id, s->queue, 1) == CT_OK, "MSI ENABLE 1");
}

static void comes(struct source *s, const char *when)
{
	*s->word = 0;
	happen(s);
	ct_check(s->t, ct_wait_word(s->t, s->word, DATA), "no interrupt %s (%s)", when,
		 s->queue == CT_CONFIG ? "configuration" : "queue");
}

static void no_word(struct source *s, const char *when)
{
	ct_pause(s->t, CT_CHANCE_NS);
	ct_check(s->t, !*s->word, "an interrupt %s (%s)", when,
		 s->queue == CT_CONFIG ? "configuration" : "queue");
}

static void stays_away(struct source *s, const char *when)
{
	*s->word = 0;
	happen(s);
	no_word(s, when);
}

static void each(struct ct *t, void (*body)(struct source *s))
{
	struct source s = make(t, 0);

	body(&s);
	if (!t->world)
		return; /* nobody can change the configuration */
	s = make(t, CT_CONFIG);
	body(&s);
}

static void values(struct source *s)
{
	static const uint8_t bad[] = { 2, 3, 4, 16, 127, 128, 254, 255 };
	struct ct *t = s->t;

	set_and_enable(s);
	for (size_t i = 0; i < sizeof(bad); i++) {
		ct_check(t, ct_msi_enable(t, s->q->id, s->queue, bad[i]) == CT_ERR, "ENABLE %u",
			 bad[i]);
		ct_check(t, ct_msi_mask(t, s->q->id, s->queue, bad[i]) == CT_ERR, "MASK %u",
			 bad[i]);
	}
	comes(s, "after commands that failed");
}

static void enable_and_mask_take_0_and_1_only(struct ct *t)
{
	each(t, values);
}

static void four_bytes(struct source *s)
{
	struct ct *t = s->t;
	uint32_t *block = s->word;

	memset(block, 0x5a, 64);
	s->word = block + 8;
	s->iova += 32;
	set_and_enable(s);
	comes(s, "after SET");
	for (unsigned int i = 0; i < 16; i++)
		if (i != 8)
			ct_check(t, block[i] == 0x5a5a5a5a, "a byte beside the four was written");
}

static void an_msi_is_a_write_of_four_bytes(struct ct *t)
{
	each(t, four_bytes);
}

static void alignment(struct source *s)
{
	struct ct *t = s->t;

	for (uint64_t off = 1; off < 4; off++)
		ct_check(t, ct_msi_set(t, s->q->id, s->queue, s->iova + off, 1) == CT_ERR,
			 "offset %llu", (unsigned long long)off);
	ct_check(t, ct_msi_enable(t, s->q->id, s->queue, 1) == CT_ERR,
		 "one that failed set a pair");
	set_and_enable(s);
	ct_check(t, ct_msi_set(t, s->q->id, s->queue, s->iova + 2, 1) == CT_ERR,
		 "offset 2, enabled");
	comes(s, "to the pair before the one that failed");
}

static void a_misaligned_address_fails(struct ct *t)
{
	each(t, alignment);
}

static void unreachable(struct source *s)
{
	static const uint64_t nowhere[] = { 0, 1ull << 46, ~3ull };
	struct ct *t = s->t;

	for (size_t i = 0; i < 3; i++) {
		ct_check(t, ct_msi_set(t, s->q->id, s->queue, nowhere[i], DATA) == CT_OK,
			 "SET of 0x%llx", (unsigned long long)nowhere[i]);
		ct_check(t, ct_msi_enable(t, s->q->id, s->queue, 1) == CT_OK, "ENABLE");
		happen(s);
		ct_pause(t, CT_CHANCE_NS);
		ct_check(t, ct_status(t, s->q->id) == 15, "it broke the device: status 0x%x",
			 ct_status(t, s->q->id));
	}
	set_and_enable(s);
	comes(s, "after some that could not be written");
}

static void a_message_that_cannot_be_written_is_dropped(struct ct *t)
{
	each(t, unreachable);
}

static void an_msi_follows_the_used_entries_that_it_announces(struct ct *t)
{
	struct source s = make(t, 0);

	set_and_enable(&s);
	for (unsigned int i = 0; i < 300; i++) {
		struct ct_io *io;
		size_t mark = t->dma_used;

		*s.word = 0;
		io = ct_io_start(s.q, 0, i % 64, 512);
		ct_vq_notify(s.q);
		ct_check(t, ct_wait_word(t, s.word, DATA), "no interrupt %u", i);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		ct_io_collect(s.q);
		ct_check(t, io->done, "interrupt %u came before the used entry", i);
		t->dma_used = mark;
	}
}

static void no_msi_comes_while_nothing_is_used(struct ct *t)
{
	struct ct_io *io;
	struct ct_vq *q = ct_busy(t, &io);

	for (int i = 0; i < 3; i++) {
		ct_pause(t, CT_CHANCE_NS);
		ct_check(t, !*q->msi, "an interrupt for a request that is worked on");
		ct_slow_release(t->slow);
		ct_check(t, ct_io_wait(q, io), "the request");
		ct_check(t, ct_wait_word(t, q->msi, CT_MSI_DATA(q)), "no interrupt");
		tvq_drv_ring_interrupts_on(q->ring);
		ct_pause(t, CT_CHANCE_NS);
		*q->msi = 0;
		io = ct_io_start(q, 0, 0, 512);
		ct_vq_notify(q);
		ct_wait_slow(t, 1);
	}
}

static void order_of_set(struct source *s)
{
	struct ct *t = s->t;

	ct_check(t, ct_msi_enable(t, s->q->id, s->queue, 1) == CT_ERR, "ENABLE 1 before SET");
	ct_check(t, ct_msi_enable(t, s->q->id, s->queue, 0) == CT_OK, "ENABLE 0 before SET");
	stays_away(s, "before SET");
	set_and_enable(s);
	comes(s, "after ENABLE");
}

static void enable_before_set_fails(struct ct *t)
{
	each(t, order_of_set);
}

static void set_again(struct source *s)
{
	struct ct *t = s->t;
	uint64_t other_iova;
	uint32_t *other = ct_alloc(t, 4, 4, &other_iova);

	set_and_enable(s);
	comes(s, "after ENABLE");
	for (unsigned int i = 0; i < 20; i++) {
		uint32_t data = 0xb0000000u + i;

		ct_check(t, ct_msi_set(t, s->q->id, s->queue, other_iova, data) == CT_OK,
			 "SET while enabled");
		*s->word = *other = 0;
		happen(s);
		ct_check(t, ct_wait_word(t, other, data), "nothing goes to the new pair: 0x%x",
			 *other);
		ct_check(t, !*s->word, "something went to the old pair");
		ct_check(t, ct_msi_set(t, s->q->id, s->queue, s->iova, DATA) == CT_OK,
			 "SET while enabled");
		*other = 0;
		comes(s, "at the pair set again");
		ct_check(t, !*other, "something went to the old pair");
	}
}

static void set_works_while_enabled(struct ct *t)
{
	each(t, set_again);
}

/* Requests are under way all the time: what was decided before the ack must not arrive after it. */
static void after_the_ack_nothing_goes_by_the_old_state(struct ct *t)
{
	struct source s = make(t, 0);
	uint64_t other_iova, id = s.q->id;
	uint32_t *other = ct_alloc(t, 4, 4, &other_iova);
	size_t mark = t->dma_used;

	for (unsigned int round = 0; round < 60; round++) {
		struct ct_io *io = NULL;
		uint32_t ack;

		set_and_enable(&s);
		ct_check(t, ct_msi_mask(t, id, 0, 0) == CT_OK, "MASK 0");
		for (unsigned int i = 0; i < 16; i++)
			io = ct_io_start(s.q, 0, i, 4096);
		ct_vq_notify(s.q);
		*other = 0;
		switch (round % 3) {
		case 0:
			ack = ct_msi_set(t, id, 0, other_iova, ~DATA);
			break;
		case 1:
			ack = ct_msi_mask(t, id, 0, 1);
			break;
		default:
			ack = ct_msi_enable(t, id, 0, 0);
			break;
		}
		*s.word = 0;
		ct_check(t, ack == CT_OK, "round %u", round);
		ct_check(t, ct_io_wait(s.q, io), "round %u: requests", round);
		ct_check(t, ct_io(s.q, 0, 0, NULL, 512) == 0, "round %u: a request behind the ack",
			 round);
		ct_pause(t, 200000);
		ct_check(t, !*s.word, "round %u: 0x%x after the ack", round, *s.word);
		ct_check(t, !*other || *other == ~DATA, "half of a pair: 0x%x", *other);
		t->dma_used = mark;
	}
}

static void masked(struct source *s)
{
	struct ct *t = s->t;

	set_and_enable(s);
	comes(s, "after ENABLE");
	ct_check(t, ct_msi_mask(t, s->q->id, s->queue, 1) == CT_OK, "MASK 1");
	stays_away(s, "while masked");
	happen(s);
	no_word(s, "while masked");
	ct_check(t, ct_msi_mask(t, s->q->id, s->queue, 0) == CT_OK, "MASK 0");
	ct_check(t, ct_wait_word(t, s->word, DATA),
		 "a pending interrupt does not come when unmasked");
	/* Once. */
	*s->word = 0;
	ct_check(t, ct_msi_mask(t, s->q->id, s->queue, 0) == CT_OK, "MASK 0");
	no_word(s, "by a second unmasking");
	ct_check(t, ct_msi_mask(t, s->q->id, s->queue, 1) == CT_OK, "MASK 1");
	ct_check(t, ct_msi_mask(t, s->q->id, s->queue, 0) == CT_OK, "MASK 0");
	no_word(s, "where none was pending");
	comes(s, "after unmasking");
	/* A pending one goes to the pair that is set when it is unmasked. */
	ct_check(t, ct_msi_mask(t, s->q->id, s->queue, 1) == CT_OK, "MASK 1");
	stays_away(s, "while masked");
	ct_check(t, ct_msi_set(t, s->q->id, s->queue, s->iova + 4, DATA) == CT_OK,
		 "SET while masked");
	no_word(s, "by SET while masked");
	ct_check(t, ct_msi_mask(t, s->q->id, s->queue, 0) == CT_OK, "MASK 0");
	ct_check(t, ct_wait_word(t, s->word + 1, DATA) && !*s->word, "it goes to the old pair");
}

static void a_masked_interrupt_is_kept_and_sent_once(struct ct *t)
{
	each(t, masked);
}

static void disabled(struct source *s)
{
	struct ct *t = s->t;

	set_and_enable(s);
	comes(s, "after ENABLE");
	ct_check(t, ct_msi_enable(t, s->q->id, s->queue, 0) == CT_OK, "ENABLE 0");
	stays_away(s, "while disabled");
	ct_check(t, ct_msi_enable(t, s->q->id, s->queue, 1) == CT_OK,
		 "ENABLE 1 with the pair of before");
	no_word(s, "from the time while it was disabled");
	comes(s, "after ENABLE");
	/* Masked as well: nothing is kept, and what was kept goes. */
	ct_check(t, ct_msi_mask(t, s->q->id, s->queue, 1) == CT_OK, "MASK 1");
	stays_away(s, "while masked");
	ct_check(t, ct_msi_enable(t, s->q->id, s->queue, 0) == CT_OK, "ENABLE 0");
	happen(s);
	ct_check(t, ct_msi_enable(t, s->q->id, s->queue, 1) == CT_OK, "ENABLE 1");
	ct_check(t, ct_msi_mask(t, s->q->id, s->queue, 0) == CT_OK, "MASK 0");
	no_word(s, "from the time while it was disabled, or before");
}

static void a_disabled_interrupt_is_neither_sent_nor_kept(struct ct *t)
{
	each(t, disabled);
}

/* The device again after a reset; its interrupt as the reset left it. */
static void again(struct source *s)
{
	struct ct *t = s->t;
	uint64_t id = s->q->id;

	ct_reset_device(t, id);
	s->q = ct_vq_new(t, id, 0, 64, ct_negotiate(t, id, ct_features(t, id, t->packed, false)));
	ct_vq_program(s->q, false);
	ct_check(t, ct_vq_enable(s->q, 1) == CT_OK && ct_set_status(t, id, 15) == CT_OK,
		 "the device");
}

static void after_reset(struct source *s)
{
	struct ct *t = s->t;

	set_and_enable(s);
	comes(s, "after ENABLE");
	again(s);
	stays_away(s, "after a reset");
	ct_check(t, ct_msi_enable(t, s->q->id, s->queue, 1) == CT_ERR, "the reset left the pair");
	ct_check(t, ct_msi_set(t, s->q->id, s->queue, s->iova, DATA) == CT_OK, "SET");
	stays_away(s, "after SET: the reset left it enabled");
	set_and_enable(s);
	ct_check(t, ct_msi_mask(t, s->q->id, s->queue, 1) == CT_OK, "MASK 1");
	stays_away(s, "while masked");
	again(s);
	set_and_enable(s);
	no_word(s, "from before the reset");
	comes(s, "after a reset: it left the mask");
	ct_check(t, ct_msi_mask(t, s->q->id, s->queue, 0) == CT_OK, "MASK 0");
}

static void device_reset_leaves_no_pair_no_mask_and_nothing_pending(struct ct *t)
{
	each(t, after_reset);
}

static void reset_queue(struct source *s)
{
	struct ct *t = s->t;
	struct ct_vq *q = s->q;

	ct_check(t, ct_vq_reset(q) == CT_OK, "VQ_RESET");
	s->q = ct_vq_new(t, q->id, 0, 64, t->packed ? CT_F(TVQ_F_RING_PACKED) : 0);
	ct_vq_program(s->q, false);
	ct_check(t, ct_vq_enable(s->q, 1) == CT_OK, "ENABLE 1 after VQ_RESET");
}

static void virtqueue_reset_keeps_pair_enable_and_mask_and_drops_what_is_pending(struct ct *t)
{
	struct source s = make(t, 0);
	uint64_t id = s.q->id;

	if (!(ct_offered(t, id) & CT_F(TVQ_F_RING_RESET)))
		ct_skip(t, "managed devices do not offer RING_RESET");
	set_and_enable(&s);
	reset_queue(&s);
	comes(&s, "after VQ_RESET: pair or enable is gone");
	ct_check(t, ct_msi_mask(t, id, 0, 1) == CT_OK, "MASK 1");
	stays_away(&s, "while masked");
	reset_queue(&s);
	ct_check(t, ct_msi_mask(t, id, 0, 0) == CT_OK, "MASK 0");
	no_word(&s, "that was pending at VQ_RESET");
	ct_check(t, ct_msi_mask(t, id, 0, 1) == CT_OK, "MASK 1");
	reset_queue(&s);
	stays_away(&s, "after VQ_RESET: it lost the mask");
	ct_check(t, ct_msi_enable(t, id, 0, 0) == CT_OK && ct_msi_mask(t, id, 0, 0) == CT_OK,
		 "ENABLE 0, MASK 0");
	reset_queue(&s);
	stays_away(&s, "after VQ_RESET: it enabled it");
}

static void suppression(struct ct *t, bool packed, bool event_idx)
{
	uint64_t id = ct_new_blk(t);
	struct ct_vq *q = ct_up(t, id, ct_features(t, id, packed, event_idx), 16);
	struct source s = { .t = t, .q = q, .iova = q->msi_iova };

	s.word = (uint32_t *)(uintptr_t)q->msi;
	ct_check(t, ct_msi_set(t, id, 0, s.iova, DATA) == CT_OK, "SET");
	for (unsigned int i = 0; i < 40; i++) {
		tvq_drv_ring_interrupts_on(q->ring);
		comes(&s, "where one is wanted");
		tvq_drv_ring_interrupts_off(q->ring);
		ct_pause(t, 100000);
		*s.word = 0;
		happen(&s);
		if (i % 10)
			ct_pause(t, 100000);
		else
			ct_pause(t, CT_CHANCE_NS);
		ct_check(t, !*s.word, "packed %d, event index %d: one that nobody wants", packed,
			 event_idx);
	}
}

static void interrupts_keep_to_flags_and_event_index(struct ct *t)
{
	for (int i = 0; i < 4; i++)
		suppression(t, i & 1, i & 2);
}

/* With the event index the driver asks for the n-th from now: none before it. */
static void the_event_index_names_the_used_entry_that_is_announced(struct ct *t)
{
	uint64_t id = ct_new_blk(t);
	struct ct_vq *q = ct_up(t, id, ct_features(t, id, false, true), 16);
	uint8_t *avail = t->dma + (q->driver - t->dma_iova);

	ct_check(t, ct_io(q, 0, 0, NULL, 512) == 0, "a request");
	ct_check(t, ct_wait_word(t, q->msi, CT_MSI_DATA(q)), "no interrupt");
	*q->msi = 0;
	tvq_put16(avail + 4 + 2 * 16, 3); /* used_event: the entry with index 3, the fourth */
	for (unsigned int i = 1; i < 3; i++)
		ct_check(t, ct_io(q, 0, 0, NULL, 512) == 0, "a request");
	ct_pause(t, CT_CHANCE_NS);
	ct_check(t, !*q->msi, "an interrupt before the one that was asked for");
	ct_check(t, ct_io(q, 0, 0, NULL, 512) == 0, "a request");
	ct_check(t, ct_wait_word(t, q->msi, CT_MSI_DATA(q)),
		 "no interrupt for the one that was asked for");
}

const struct ct_test ct_tests_msi[] = {
	{ "TQ-080", "enable_and_mask_take_0_and_1_only", enable_and_mask_take_0_and_1_only, 0 },
	{ "TQ-081", "an_msi_is_a_write_of_four_bytes", an_msi_is_a_write_of_four_bytes, 0 },
	{ "TQ-081", "a_misaligned_address_fails", a_misaligned_address_fails, 0 },
	{ "TQ-081", "a_message_that_cannot_be_written_is_dropped",
	  a_message_that_cannot_be_written_is_dropped, 0 },
	{ "TQ-081", "an_msi_follows_the_used_entries_that_it_announces",
	  an_msi_follows_the_used_entries_that_it_announces, 0 },
	{ "TQ-081", "no_msi_comes_while_nothing_is_used", no_msi_comes_while_nothing_is_used,
	  CT_NEEDS_SLOW },
	{ "TQ-082", "enable_before_set_fails", enable_before_set_fails, 0 },
	{ "TQ-082", "set_works_while_enabled", set_works_while_enabled, 0 },
	{ "TQ-082", "after_the_ack_nothing_goes_by_the_old_state",
	  after_the_ack_nothing_goes_by_the_old_state, 0 },
	{ "TQ-083", "a_masked_interrupt_is_kept_and_sent_once",
	  a_masked_interrupt_is_kept_and_sent_once, 0 },
	{ "TQ-084", "a_disabled_interrupt_is_neither_sent_nor_kept",
	  a_disabled_interrupt_is_neither_sent_nor_kept, 0 },
	{ "TQ-085", "device_reset_leaves_no_pair_no_mask_and_nothing_pending",
	  device_reset_leaves_no_pair_no_mask_and_nothing_pending, 0 },
	{ "TQ-086", "virtqueue_reset_keeps_pair_enable_and_mask_and_drops_what_is_pending",
	  virtqueue_reset_keeps_pair_enable_and_mask_and_drops_what_is_pending, 0 },
	{ "TQ-087", "interrupts_keep_to_flags_and_event_index",
	  interrupts_keep_to_flags_and_event_index, 0 },
	{ "TQ-087", "the_event_index_names_the_used_entry_that_is_announced",
	  the_event_index_names_the_used_entry_that_is_announced, 0 },
	{ 0 },
};
