// SPDX-License-Identifier: BSD-3-Clause
/*
 * Section 4.11: in-flight areas and statistics.
 *
 * A device that dies is played so: while requests wait at the slow volume, ring and area are
 * copied; then they end, the device is reset, the copies are put back, and the queue begins anew on
 * them. The suite's driver half has collected nothing meanwhile, so to it the device was never
 * away.
 */
#include <stdlib.h>
#include <string.h>

#include "conformance/ct.h"
#include "device/features.h"
#include "device/util.h"

#define SIZE 16

/* vhost-user, "Inflight I/O tracking". */
enum {
	VERSION = 8,
	DESC_NUM = 10, /* le16, in both */
	S_BATCH_HEAD = 12,
	S_USED_IDX = 14,
	S_DESC = 16, /* split */
	P_FREE_HEAD = 12,
	P_OLD_FREE_HEAD = 14,
	P_USED = 16,
	P_OLD_USED = 18,
	P_WRAP = 20,
	P_OLD_WRAP = 21,
	P_DESC = 32,
	E_INFLIGHT = 0,
	E_COUNTER = 8, /* of an entry, in both */
	SE_NEXT = 6,
	PE_NEXT = 2,
	PE_LAST = 4,
	PE_NUM = 6,
	PE_ID = 16,
};

struct lab {
	struct ct *t;
	struct ct_vq *q;
	uint64_t features;
	uint8_t *area, *area_copy, *ring, *ring_copy;
	uint64_t area_iova;
	uint32_t area_bytes, ring_bytes, asid; /* asid: of the area */
};

static uint8_t *entry(struct lab *l, unsigned int i)
{
	return l->area + (l->q->packed ? P_DESC + 32 * i : S_DESC + 16 * i);
}

static unsigned int marked(struct lab *l)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < SIZE; i++)
		n += __atomic_load_n(entry(l, i) + E_INFLIGHT, __ATOMIC_ACQUIRE) == 1;
	return n;
}

/* A queue of device id with an area; not enabled. */
static struct lab make(struct ct *t, uint64_t id, bool packed)
{
	struct lab l = { .t = t, .features = ct_features(t, id, packed, false) };

	ct_negotiate(t, id, l.features);
	l.q = ct_vq_new(t, id, 0, SIZE, l.features);
	l.ring = t->dma + (l.q->desc - t->dma_iova);
	l.ring_bytes = (uint32_t)tvq_drv_ring_bytes(packed, SIZE, 0) & ~3u;
	l.area_bytes = packed ? P_DESC + 32 * SIZE : S_DESC + 16 * SIZE;
	l.area = ct_alloc(t, l.area_bytes, 64, &l.area_iova);
	l.area_copy = ct_own(t, l.area_bytes);
	l.ring_copy = ct_own(t, l.ring_bytes);
	ct_vq_program(l.q, true);
	ct_check(t, ct_vq_inflight(l.q, 0, l.area_iova, l.area_bytes) == CT_OK, "INFLIGHT SET");
	return l;
}

static void start(struct lab *l)
{
	ct_check(l->t, ct_vq_enable(l->q, 1) == CT_OK, "ENABLE 1, packed %d", l->q->packed);
	ct_check(l->t, ct_set_status(l->t, l->q->id, 15) == CT_OK, "DRIVER_OK");
}

/* By atomic accesses: the device may be about to write there that it sleeps. */
static void copy_live(uint8_t *to, const uint8_t *from, uint32_t bytes)
{
	for (uint32_t i = 0; i + 4 <= bytes; i += 4) {
		uint32_t word = __atomic_load_n((const uint32_t *)(const void *)(from + i),
						__ATOMIC_RELAXED);

		memcpy(to + i, &word, 4);
	}
}

static void copy(struct lab *l)
{
	copy_live(l->area_copy, l->area, l->area_bytes);
	copy_live(l->ring_copy, l->ring, l->ring_bytes);
}

static void put_back(struct lab *l)
{
	memcpy(l->area, l->area_copy, l->area_bytes);
	memcpy(l->ring, l->ring_copy, l->ring_bytes);
}

/* The queue again on a device that was reset. */
static void set_up_again(struct lab *l)
{
	ct_negotiate(l->t, l->q->id, l->features);
	ct_vq_program(l->q, true);
	ct_check(l->t, ct_vq_inflight(l->q, l->asid, l->area_iova, l->area_bytes) == CT_OK,
		 "INFLIGHT SET");
}

/* Three requests were under way when the device died. */
static struct lab died(struct ct *t, bool packed, struct ct_io **io)
{
	uint64_t id = ct_new_volume(t, t->profile->slow_volume, 0);
	struct lab l = make(t, id, packed);
	struct ct_io *before;

	start(&l);
	before = ct_io_start(l.q, 0, 0, 512);
	ct_vq_notify(l.q);
	ct_wait_slow(t, 1);
	ct_slow_release(t->slow);
	ct_check(t, ct_io_wait(l.q, before), "a request");
	for (unsigned int i = 0; i < 3; i++) {
		io[i] = ct_io_start(l.q, 0, i, 512);
		ct_vq_notify(l.q);
		ct_wait_slow(t, i + 1);
	}
	copy(&l);
	ct_slow_release(t->slow);
	ct_reset_device(t, id);
	put_back(&l);
	for (unsigned int i = 0; i < 3; i++)
		*io[i]->status = 0xee;
	l.q->n_done = 0;
	return l;
}

struct marks {
	struct lab *l;
	unsigned int n;
};

static bool has_marks(void *arg)
{
	struct marks *m = arg;

	return marked(m->l) == m->n;
}

static void marks(struct lab *l, unsigned int n)
{
	struct marks m = { l, n };

	ct_check(l->t, ct_until(l->t, has_marks, &m),
		 "packed %d: %u entries are marked, %u are in flight", l->q->packed, marked(l), n);
}

static void the_area_names_what_is_taken_and_not_used(struct ct *t)
{
	for (int packed = 0; packed < 2; packed++) {
		uint64_t id = ct_new_volume(t, t->profile->slow_volume, 0);
		struct lab l = make(t, id, packed);
		struct ct_io *io[3];
		uint64_t last = 0;

		start(&l);
		for (unsigned int i = 0; i < 3; i++) {
			io[i] = ct_io_start(l.q, 0, 0, 512);
			ct_vq_notify(l.q);
			ct_wait_slow(t, i + 1);
			marks(&l, i + 1);
		}
		ct_check(t, tvq_get16(l.area + VERSION) == 1, "version %u",
			 tvq_get16(l.area + VERSION));
		ct_check(t, tvq_get16(l.area + DESC_NUM) == SIZE, "desc_num %u",
			 tvq_get16(l.area + DESC_NUM));
		for (unsigned int i = 0; i < SIZE; i++)
			if (entry(&l, i)[E_INFLIGHT]) {
				uint64_t counter = tvq_get64(entry(&l, i) + E_COUNTER);

				ct_check(t, !last || counter > last,
					 "counters do not tell the order");
				last = counter;
			}
		ct_slow_release(t->slow);
		for (unsigned int i = 0; i < 3; i++)
			ct_check(t, ct_io_wait(l.q, io[i]), "a request");
		marks(&l, 0);
		ct_check(t, ct_vq_enable(l.q, 0) == CT_OK, "ENABLE 0");
		if (!packed)
			ct_check(t, tvq_get16(l.area + S_USED_IDX) == 3, "used_idx %u",
				 tvq_get16(l.area + S_USED_IDX));
		else
			ct_check(t,
				 tvq_get16(l.area + P_USED) == 9 &&
					 tvq_get16(l.area + P_OLD_USED) == 9 &&
					 l.area[P_WRAP] == 1 && l.area[P_OLD_WRAP] == 1,
				 "used_idx %u, old %u", tvq_get16(l.area + P_USED),
				 tvq_get16(l.area + P_OLD_USED));
		ct_destroy(t, id);
	}
}

static void none_is_kept_without_an_area(struct ct *t)
{
	struct lab l = make(t, ct_new_blk(t), t->packed);

	ct_check(t, ct_vq_inflight(l.q, 0, 0, 0) == CT_OK, "INFLIGHT SET of none");
	start(&l);
	ct_check(t, ct_io(l.q, 0, 0, NULL, 512) == 0, "a request");
	for (uint32_t i = 0; i < l.area_bytes; i++)
		ct_check(t, !l.area[i], "byte %u of an area given up is 0x%x", i, l.area[i]);
}

static void the_area_may_lie_in_another_space(struct ct *t)
{
	struct lab l = make(t, ct_new_blk(t), t->packed);
	uint64_t at = 1ull << 33;
	struct tvq_bus_mem mem = { .iova = at, .len = 4096, .fd = -1, .va = l.area, .perm = 3 };
	uint32_t asid;

	ct_check(t, t->bus->ops->space_new(t->bus, &asid) == 0, "a space");
	ct_check(t, ct_vq_inflight(l.q, asid, at, l.area_bytes) == CT_OK, "INFLIGHT SET");
	ct_check(t, ct_vq_enable(l.q, 1) == CT_ERR, "ENABLE 1 with an area that is not mapped");
	ct_check(t, t->bus->ops->map(t->bus, asid, &mem, 1) == 0, "map");
	start(&l);
	ct_check(t, ct_io(l.q, 0, 0, NULL, 512) == 0, "a request");
	ct_check(t, tvq_get16(l.area + VERSION) == 1, "the area is not used");
	ct_destroy(t, l.q->id);
	t->bus->ops->space_free(t->bus, asid);
}

/* ---- TQ-131 ---- */

static void swap_counters(struct lab *l)
{
	uint8_t *first = NULL, *last = NULL;
	uint64_t a, b;

	for (unsigned int i = 0; i < SIZE; i++) {
		uint8_t *e = entry(l, i);

		if (!e[E_INFLIGHT])
			continue;
		if (!first || tvq_get64(e + E_COUNTER) < tvq_get64(first + E_COUNTER))
			first = e;
		if (!last || tvq_get64(e + E_COUNTER) > tvq_get64(last + E_COUNTER))
			last = e;
	}
	ct_check(l->t, first && first != last, "nothing is in flight");
	a = tvq_get64(first + E_COUNTER);
	b = tvq_get64(last + E_COUNTER);
	tvq_put64(first + E_COUNTER, b);
	tvq_put64(last + E_COUNTER, a);
}

static void done_again(struct ct *t, bool packed, bool swap)
{
	static const unsigned int straight[] = { 1, 2, 3, 4 }, swapped[] = { 3, 2, 1, 4 };
	struct ct_io *io[4];
	struct lab l = died(t, packed, io);

	ct_check(t, marked(&l) == 3, "%u were in flight", marked(&l));
	if (swap)
		swap_counters(&l);
	set_up_again(&l);
	/* What AVAIL_INDEX says does not count. */
	ct_check(t, ct_vq_index_set(l.q, packed ? 0x800d : 13, packed ? 0x8005 : 13) == CT_OK,
		 "AVAIL_INDEX SET");
	io[3] = ct_io_start(l.q, 0, 3, 512);
	*l.q->msi = 0;
	start(&l);
	ct_wait_slow(t, 4);
	ct_slow_release(t->slow);
	for (unsigned int i = 0; i < 4; i++) {
		ct_check(t, ct_io_wait(l.q, io[i]) && *io[i]->status == 0,
			 "packed %d: request %u is lost", packed, i);
		ct_check(t, io[i]->nth == (swap ? swapped : straight)[i],
			 "packed %d, counters %s: request %u is done as number %u", packed,
			 swap ? "swapped" : "as they were", i, io[i]->nth);
	}
	ct_check(t, ct_wait_word(t, l.q->msi, CT_MSI_DATA(l.q)), "no interrupt");
	ct_pause(t, CT_CHANCE_NS);
	ct_check(t, !ct_io_collect(l.q) && !tvq_drv_ring_broken(l.q->ring), "one is done twice");
	marks(&l, 0);
	for (unsigned int i = 0; i < 3u * SIZE; i++) { /* it goes on, more than a lap */
		io[0] = ct_io_start(l.q, 0, 0, 512);
		ct_vq_notify(l.q);
		ct_wait_slow(t, 1);
		ct_slow_release(t->slow);
		ct_check(t, ct_io_wait(l.q, io[0]) && *io[0]->status == 0,
			 "packed %d: later request %u", packed, i);
	}
	ct_destroy(t, l.q->id);
}

static void what_was_in_flight_is_done_again_before_anything_new(struct ct *t)
{
	done_again(t, false, false);
	done_again(t, true, false);
}

static void what_was_in_flight_is_done_in_the_order_of_its_counters(struct ct *t)
{
	done_again(t, false, true);
	done_again(t, true, true);
}

static void one_interrupt_follows_even_where_nothing_is_in_flight(struct ct *t)
{
	for (int packed = 0; packed < 2; packed++) {
		struct lab l = make(t, ct_new_blk(t), packed);

		start(&l);
		for (int i = 0; i < 3; i++)
			ct_check(t, ct_io(l.q, 0, 0, NULL, 512) == 0, "a request");
		ct_pause(t, CT_CHANCE_NS);
		ct_check(t, ct_vq_enable(l.q, 0) == CT_OK, "ENABLE 0");
		/* The one for the third may have been lost with the device that sent it. */
		*l.q->msi = 0;
		ct_check(t, ct_vq_enable(l.q, 1) == CT_OK, "ENABLE 1");
		ct_check(t, ct_wait_word(t, l.q->msi, CT_MSI_DATA(l.q)), "packed %d: no interrupt",
			 packed);
		*l.q->msi = 0;
		ct_pause(t, CT_CHANCE_NS);
		ct_check(t, !*l.q->msi, "packed %d: a second interrupt", packed);
		ct_check(t, ct_io(l.q, 0, 0, NULL, 512) == 0, "a request");
	}
}

/* Split: the last batch was published in the ring and not noted in the area. */
static void a_batch_that_is_used_in_the_ring_is_not_done_again(struct ct *t)
{
	struct ct_io *io[3];
	struct lab l = died(t, false, io);
	uint8_t *used = t->dma + (l.q->device - t->dma_iova);
	uint16_t done = tvq_get16(used + 2), head;

	/* The first of the three: its used element and the index are there, its mark still too. */
	head = tvq_get16(t->dma + (l.q->driver - t->dma_iova) + 4 + 2 * (done % SIZE));
	ct_check(t, entry(&l, head)[E_INFLIGHT] == 1, "head %u is not in flight", head);
	tvq_put32(used + 4 + 8 * (done % SIZE), head);
	tvq_put32(used + 8 + 8 * (done % SIZE), 513);
	tvq_put16(used + 2, (uint16_t)(done + 1));
	tvq_put16(l.area + S_BATCH_HEAD, head);
	set_up_again(&l);
	start(&l);
	ct_wait_slow(t, 2);
	ct_slow_release(t->slow);
	for (unsigned int i = 0; i < 3; i++)
		ct_check(t, ct_io_wait(l.q, io[i]), "request %u", i);
	ct_check(t, *io[0]->status == 0xee && *io[1]->status == 0 && *io[2]->status == 0,
		 "the one that was used is done again, or another is not");
	ct_pause(t, CT_CHANCE_NS);
	ct_check(t, !ct_slow_waiting(t->slow) && !tvq_drv_ring_broken(l.q->ring), "one more");
}

/* What cannot be true of an area: bytes of width at an offset; of: 0 the head, 1 the first entry
 * in flight, 2 every entry, 3 the head, and the value is the entry behind that one; 4: one more
 * is in flight than was ever made available. */
struct lie {
	const char *what;
	int of;
	unsigned int at, width;
	uint64_t value;
};

static const struct lie split_lies[] = {
	{ "desc_num 0", 0, DESC_NUM, 2, 0 },
	{ "desc_num 8", 0, DESC_NUM, 2, 8 },
	{ "desc_num 17, the area is for 16", 0, DESC_NUM, 2, 17 },
	{ "desc_num 65535", 0, DESC_NUM, 2, 65535 },
	{ "used_idx ahead of the ring", 0, S_USED_IDX, 2, 2 },
	{ "used_idx far behind", 0, S_USED_IDX, 2, 0x8000 },
	{ "all in flight", 2, E_INFLIGHT, 1, 1 },
	{ "one more in flight than there can be", 4, 0, 0, 0 },
	{ "equal counters", 2, E_COUNTER, 8, 5 },
	{ "a counter of 2^64 - 1", 1, E_COUNTER, 8, ~0ull },
	{ 0 },
};

static const struct lie packed_lies[] = {
	{ "desc_num 0", 0, DESC_NUM, 2, 0 },
	{ "desc_num 8", 0, DESC_NUM, 2, 8 },
	{ "desc_num 65535", 0, DESC_NUM, 2, 65535 },
	{ "old_free_head 65535", 0, P_OLD_FREE_HEAD, 2, 65535 },
	{ "old_free_head 17", 0, P_OLD_FREE_HEAD, 2, 17 },
	{ "old_free_head amid a chain in flight", 3, P_OLD_FREE_HEAD, 2, 0 },
	{ "used_idx 16", 0, P_USED, 2, SIZE },
	{ "old_used_idx 16", 0, P_OLD_USED, 2, SIZE },
	{ "wrap 2", 0, P_WRAP, 1, 2 },
	{ "old wrap 255", 0, P_OLD_WRAP, 1, 255 },
	{ "equal counters", 2, E_COUNTER, 8, 5 },
	{ "a counter of 2^64 - 1", 1, E_COUNTER, 8, ~0ull },
	{ "num 0", 1, PE_NUM, 2, 0 },
	{ "num 17", 1, PE_NUM, 2, SIZE + 1 },
	{ "num 65535", 1, PE_NUM, 2, 65535 },
	{ "last 16", 1, PE_LAST, 2, SIZE },
	{ "next 65535", 1, PE_NEXT, 2, 65535 },
	{ "all links to 0", 2, PE_NEXT, 2, 0 },
	{ "all links to 65535", 2, PE_NEXT, 2, 65535 },
	{ "id 16", 2, PE_ID, 2, SIZE },
	{ "one id for all", 2, PE_ID, 2, 1 },
	{ 0 },
};

static void tell(struct lab *l, const struct lie *lie)
{
	uint8_t v[8];

	tvq_put64(v, lie->value);
	if (!lie->of) {
		memcpy(l->area + lie->at, v, lie->width);
		return;
	}
	for (unsigned int i = 0; i < SIZE; i++) {
		uint8_t *e = entry(l, i);

		if (lie->of == 4 && !e[E_INFLIGHT]) {
			e[E_INFLIGHT] = 1;
			tvq_put64(e + E_COUNTER, 1000);
			return;
		}
		if (lie->of == 4 || (lie->of != 2 && !e[E_INFLIGHT]))
			continue;
		if (lie->of == 3) {
			tvq_put16(l->area + lie->at, (uint16_t)(i + 1));
			return;
		}
		memcpy(e + lie->at, v, lie->width);
		if (lie->of == 1)
			return;
	}
}

static void an_area_that_cannot_be_true_fails_at_enable(struct ct *t)
{
	for (int packed = 0; packed < 2; packed++) {
		struct ct_io *io[3];
		struct lab l = died(t, packed, io);

		set_up_again(&l);
		for (const struct lie *lie = packed ? packed_lies : split_lies; lie->what; lie++) {
			put_back(&l);
			tell(&l, lie);
			ct_check(t, ct_vq_enable(l.q, 1) == CT_ERR, "packed %d: %s", packed,
				 lie->what);
		}
		put_back(&l);
		ct_check(t, ct_vq_inflight(l.q, 0, l.area_iova, l.area_bytes - 1) == CT_OK, "SET");
		ct_check(t, ct_vq_enable(l.q, 1) == CT_ERR, "an area too small by a byte");
		ct_check(t, ct_vq_inflight(l.q, 0, l.area_iova, 1) == CT_OK, "SET");
		ct_check(t, ct_vq_enable(l.q, 1) == CT_ERR, "an area of a byte");
		ct_check(t, ct_vq_inflight(l.q, 0, l.area_iova + 4, l.area_bytes) == CT_OK, "SET");
		ct_check(t, ct_vq_enable(l.q, 1) == CT_ERR, "a misaligned area");
		ct_check(t, ct_vq_inflight(l.q, 0, 1ull << 46, l.area_bytes) == CT_OK, "SET");
		ct_check(t, ct_vq_enable(l.q, 1) == CT_ERR, "an area that is not mapped");
		ct_check(t, ct_vq_inflight(l.q, 0, ~7ull, l.area_bytes) == CT_OK, "SET");
		ct_check(t, ct_vq_enable(l.q, 1) == CT_ERR, "an area that wraps");
		ct_check(t, ct_vq_inflight(l.q, 0, l.area_iova, l.area_bytes) == CT_OK, "SET");
		start(&l);
		ct_wait_slow(t, 3);
		ct_slow_release(t->slow);
		for (unsigned int i = 0; i < 3; i++)
			ct_check(t, ct_io_wait(l.q, io[i]), "packed %d: the true area: request %u",
				 packed, i);
		ct_destroy(t, l.q->id);
	}
}

/* Anything at all in it: an answer, and no harm to others. A packed one has copies of
 * descriptors, which may point anywhere: the device's space has nothing but what the test put
 * there for it. */
static void random_bytes(struct lab *l, unsigned int i, unsigned int *seed, struct ct_vq *other)
{
	struct ct *t = l->t;
	uint32_t span = i & 1 ? l->area_bytes : P_DESC, ack;

	put_back(l);
	for (unsigned int k = 0; k <= i % 4; k++)
		l->area[(unsigned int)rand_r(seed) % span] = (uint8_t)rand_r(seed);
	set_up_again(l);
	ack = ct_vq_enable(l->q, 1);
	ct_check(t, ack == CT_OK || ack == CT_ERR, "packed %d, %u: ENABLE 1 answers %s",
		 l->q->packed, i, ct_ack_name(ack));
	ct_check(t, ct_set_status(t, l->q->id, 15) == CT_OK, "DRIVER_OK");
	ct_vq_notify(l->q);
	ct_check(t, ct_io(other, 0, 0, NULL, 512) == 0, "packed %d, %u: another device",
		 l->q->packed, i);
	ct_reset_device(t, l->q->id);
}

static void an_area_of_random_bytes_harms_nobody(struct ct *t)
{
	for (int packed = 0; packed < 2; packed++) {
		struct ct_io *io[3];
		struct lab l = died(t, packed, io);
		uint64_t slow = l.q->id, other = ct_new_blk(t);
		struct tvq_bus_mem mem = { .iova = l.q->desc,
					   .len = t->dma_iova + t->dma_used - l.q->desc,
					   .fd = -1,
					   .va = l.ring,
					   .perm = 3 };
		struct ct_vq *q = ct_up(t, other, ct_features(t, other, packed, true), 16);
		unsigned int seed = 7;
		size_t mark = t->dma_used;

		ct_check(t,
			 t->bus->ops->space_new(t->bus, &l.asid) == 0 &&
				 t->bus->ops->map(t->bus, l.asid, &mem, 1) == 0,
			 "a space");
		ct_destroy(t, slow);
		ct_check(t, ct_create(t, 2, l.asid, 0, NULL, 0, &l.q->id) == CT_OK, "CREATE");
		for (unsigned int i = 0; i < 300; i++) {
			random_bytes(&l, i, &seed, q);
			t->dma_used = mark;
		}
		put_back(&l);
		set_up_again(&l);
		start(&l);
		for (unsigned int i = 0; i < 3; i++)
			ct_check(t, ct_io_wait(l.q, io[i]), "packed %d: the true area: request %u",
				 packed, i);
		ct_destroy(t, l.q->id);
		t->bus->ops->space_free(t->bus, l.asid);
	}
}

/* ---- TQ-132 ---- */

struct stats {
	unsigned int n;
	uint64_t v[8]; /* notifications, interrupts, taken, used, read, written, errors, drops */
};

static struct stats stats_of(struct ct *t, uint64_t id)
{
	uint8_t v[2] = { 0 };
	struct stats s = { 0 };
	struct ct_chain *c =
		ct_start(t, id, CT_CLASS(VQ_STATS), VIRTIO_TRANSPTQ_CTRL_VQ_STATS_GET, v, 2, 256);

	ct_check(t, ct_wait_chain(t, c) && ct_ack(c) == CT_OK, "VQ_STATS GET: %s",
		 ct_ack_name(ct_ack(c)));
	ct_check(t, c->used_len > 4 && !((c->used_len - 4) % 8), "%u bytes of counters",
		 c->used_len - 4);
	s.n = (c->used_len - 4) / 8;
	for (unsigned int i = 0; i < s.n && i < 8; i++)
		s.v[i] = tvq_get64(c->in + 4 + 8 * i);
	return s;
}

static void stats_count_what_happened(struct ct *t)
{
	uint64_t id = ct_new_blk(t);
	struct ct_vq *q = ct_up(t, id, ct_features(t, id, t->packed, false), 16);
	struct stats a = stats_of(t, id), b;

	for (int i = 0; i < 5; i++)
		ct_check(t, ct_io(q, 0, 0, NULL, 1024) == 0, "a read");
	for (int i = 0; i < 3; i++)
		ct_check(t, ct_io(q, 1, 0, NULL, 2048) == 0, "a write");
	ct_check(t, ct_wait_word(t, q->msi, CT_MSI_DATA(q)), "no interrupt");
	b = stats_of(t, id);
	ct_check(t, b.v[2] - a.v[2] == 8, "8 requests, %llu taken",
		 (unsigned long long)(b.v[2] - a.v[2]));
	ct_check(t, b.v[3] - a.v[3] == 8, "8 requests, %llu used",
		 (unsigned long long)(b.v[3] - a.v[3]));
	ct_check(t, b.v[0] > a.v[0] && b.v[0] - a.v[0] <= 8, "8 notifications, %llu counted",
		 (unsigned long long)(b.v[0] - a.v[0]));
	ct_check(t, b.v[1] > a.v[1] && b.v[1] - a.v[1] <= 8, "8 interrupts, %llu counted",
		 (unsigned long long)(b.v[1] - a.v[1]));
	ct_check(t, b.v[4] - a.v[4] >= 3 * 2048 && b.v[4] - a.v[4] < 8192,
		 "%llu bytes read from memory", (unsigned long long)(b.v[4] - a.v[4]));
	ct_check(t, b.v[5] - a.v[5] >= 5 * 1024 && b.v[5] - a.v[5] < 6144,
		 "%llu bytes written to memory", (unsigned long long)(b.v[5] - a.v[5]));
	ct_check(t, b.v[6] == a.v[6] && b.v[7] == a.v[7], "errors or drops");
	ct_check(t, ct_io(q, 0, ~0ull >> 9, NULL, 512) == 1, "a read behind the end");
	a = stats_of(t, id);
	ct_check(t, a.v[6] == b.v[6] + 1, "%llu errors for one",
		 (unsigned long long)(a.v[6] - b.v[6]));
}

const struct ct_test ct_tests_inflight[] = {
	{ "TQ-130", "the_area_names_what_is_taken_and_not_used",
	  the_area_names_what_is_taken_and_not_used, CT_NEEDS_SLOW },
	{ "TQ-130", "none_is_kept_without_an_area", none_is_kept_without_an_area, 0 },
	{ "TQ-130", "the_area_may_lie_in_another_space", the_area_may_lie_in_another_space,
	  CT_NEEDS_SPACES },
	{ "TQ-131", "what_was_in_flight_is_done_again_before_anything_new",
	  what_was_in_flight_is_done_again_before_anything_new, CT_NEEDS_SLOW },
	{ "TQ-131", "what_was_in_flight_is_done_in_the_order_of_its_counters",
	  what_was_in_flight_is_done_in_the_order_of_its_counters, CT_NEEDS_SLOW },
	{ "TQ-131", "one_interrupt_follows_even_where_nothing_is_in_flight",
	  one_interrupt_follows_even_where_nothing_is_in_flight, 0 },
	{ "TQ-131", "a_batch_that_is_used_in_the_ring_is_not_done_again",
	  a_batch_that_is_used_in_the_ring_is_not_done_again, CT_NEEDS_SLOW },
	{ "TQ-131", "an_area_that_cannot_be_true_fails_at_enable",
	  an_area_that_cannot_be_true_fails_at_enable, CT_NEEDS_SLOW },
	{ "TQ-131", "an_area_of_random_bytes_harms_nobody", an_area_of_random_bytes_harms_nobody,
	  CT_NEEDS_SLOW | CT_NEEDS_SPACES },
	{ "TQ-132", "stats_count_what_happened", stats_count_what_happened, 0 },
	{ 0 },
};
