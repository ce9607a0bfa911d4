/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The two halves in two processes at the same time, over one memfd that each has mapped at an
 * address of its own: nothing is shared but what virtio shares. Notifications and interrupts are
 * eventfds, and both sides sleep whenever they may: a wake-up that is lost hangs the test.
 */
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ring_lab.h"

#define RING_BYTES  (1u << 20)
#define DEPTH	    32
#define SLOT	    4096
#define MEM_BYTES   (RING_BYTES + DEPTH * SLOT)
#define MEM_IOVA    0x100000000ull
#define PATIENCE_MS 20000
#define ENOUGH	    50000 /* chains taken of a ring that is being altered */

struct link {
	int memfd, kick, call;
	struct tvq_ring_cfg cfg;
	unsigned int total;
};

static uint8_t *map_at(const struct link *k, uintptr_t hint)
{
	uint8_t *p = mmap((void *)hint, MEM_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, k->memfd, 0);

	if (p == MAP_FAILED)
		_exit(10);
	return p;
}

static bool wait_for(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t n;

	return poll(&p, 1, PATIENCE_MS) == 1 && read(fd, &n, sizeof(n)) == sizeof(n);
}

static void signal_fd(int fd)
{
	const uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) != sizeof(one))
		_exit(11);
}

/* Byte i of what a request asks, and of what is answered to it. */
static uint8_t ask(uint32_t request, uint32_t i)
{
	return (uint8_t)(request * 7 + i);
}

static uint8_t answer(uint32_t request, uint32_t i)
{
	return (uint8_t)(request * 13 - i);
}

/*
 * Serves one request: its number, then bytes that have to be its question; answers all that is
 * writable.
 */
static void serve(struct tvq_ring *r, struct tvq_chain *c)
{
	uint32_t request, i, k = 0, seg;

	if (c->out_len < 4 || c->too_long || c->seg[0].len < 4)
		_exit(12);
	memcpy(&request, c->seg[0].va, 4);
	for (seg = 0; seg < c->n_out; seg++)
		for (i = seg ? 0 : 4; i < c->seg[seg].len; i++)
			if (((uint8_t *)c->seg[seg].va)[i] != ask(request, k++))
				_exit(13);
	for (k = 0; seg < (uint32_t)c->n_out + c->n_in; seg++)
		for (i = 0; i < c->seg[seg].len; i++)
			((uint8_t *)c->seg[seg].va)[i] = answer(request, k++);
	tvq_ring_add_used(r, c, k);
}

/*
 * The device's process: serves in batches, the last of a batch first, until total requests are
 * done.
 */
static void device_process(const struct link *k)
{
	struct tvq_dma_table *t = calloc(1, sizeof(*t) + sizeof(t->r[0]));
	struct lab_chain lc[DEPTH];
	struct tvq_chain *c[DEPTH];
	struct tvq_dma_view view;
	struct tvq_ring ring;
	unsigned int done = 0;
	int i, n;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!t)
		_exit(14);
	t->n = 1;
	lab_region(&t->r[0], MEM_IOVA, MEM_BYTES, map_at(k, 0x700000000000ull),
		   TVQ_DMA_READ | TVQ_DMA_WRITE);
	lab_view(&view, t);
	if (tvq_ring_start(&ring, &k->cfg, &view, NULL))
		_exit(15);
	for (i = 0; i < DEPTH; i++)
		c[i] = lab_chain(&lc[i], LAB_SEGS);
	while (done < k->total) {
		n = tvq_ring_take(&ring, c, 1 + done % DEPTH);
		if (n < 0)
			_exit(16);
		if (!n) {
			if (!tvq_ring_notify_on(&ring) && !wait_for(k->kick))
				_exit(17);
			tvq_ring_notify_off(&ring);
			continue;
		}
		for (i = n; i-- > 0;)
			serve(&ring, c[i]);
		done += (unsigned int)n;
		if (tvq_ring_flush(&ring))
			signal_fd(k->call);
	}
	free(t);
	_exit(0);
}

struct client {
	struct tvq_drv_ring *drv;
	uint8_t *mem;
	uint32_t request[DEPTH]; /* 0: none */
	uint32_t in_len[DEPTH];
	unsigned int sent, got;
	uint64_t seed;
};

static bool send_one(struct client *cl, unsigned int slot)
{
	uint8_t *at = cl->mem + RING_BYTES + slot * SLOT;
	const uint64_t iova = MEM_IOVA + RING_BYTES + slot * SLOT;
	const uint32_t out = lab_below(&cl->seed, 60), in = lab_below(&cl->seed, 600);
	struct tvq_sg sg[4] = {
		{ iova, 4 + out / 2 },
		{ iova + 4 + out / 2, out - out / 2 },
		{ iova + 1024, in / 3 },
		{ iova + 2048, in - in / 3 },
	};
	const uint32_t request = cl->sent + 1;
	uint32_t i;

	memcpy(at, &request, 4);
	for (i = 0; i < out; i++)
		at[4 + i] = ask(request, i);
	memset(at + 1024, 0, SLOT - 1024);
	if (tvq_drv_ring_add(cl->drv, sg, 2, 2, &cl->request[slot]))
		return false;
	cl->request[slot] = request;
	cl->in_len[slot] = in;
	cl->sent++;
	return true;
}

static void check_one(struct client *cl, uint32_t *token, uint32_t written)
{
	const unsigned int slot = (unsigned int)(token - cl->request);
	const uint8_t *at = cl->mem + RING_BYTES + slot * SLOT;
	const uint32_t in = cl->in_len[slot];
	uint32_t i;

	assert_true(*token != 0);
	assert_int_equal(written, in);
	for (i = 0; i < in; i++)
		assert_int_equal(i < in / 3 ? at[1024 + i] : at[2048 + i - in / 3],
				 answer(*token, i));
	*token = 0;
	cl->got++;
}

static void drive(struct client *cl, const struct link *k)
{
	unsigned int slot;
	uint32_t written, *token;

	while (cl->got < k->total) {
		for (slot = 0; slot < DEPTH && cl->sent < k->total; slot++) {
			if (!cl->request[slot] && !send_one(cl, slot))
				break;
			if (lab_below(&cl->seed, 8) == 0 && tvq_drv_ring_publish(cl->drv))
				signal_fd(k->kick);
		}
		if (tvq_drv_ring_publish(cl->drv))
			signal_fd(k->kick);
		tvq_drv_ring_interrupts_off(cl->drv);
		while ((token = tvq_drv_ring_get(cl->drv, &written)) != NULL)
			check_one(cl, token, written);
		assert_false(tvq_drv_ring_broken(cl->drv));
		if (cl->got < k->total && tvq_drv_ring_in_flight(cl->drv) &&
		    !tvq_drv_ring_interrupts_on(cl->drv))
			assert_true(wait_for(k->call));
	}
}

static void link_up(struct link *k, struct client *cl, bool packed, uint16_t size, bool event_idx,
		    bool indirect)
{
	struct tvq_drv_ring_cfg cfg = {
		.packed = packed,
		.event_idx = event_idx,
		.indirect = indirect,
		.size = size,
		.iova = MEM_IOVA,
	};

	memset(cl, 0, sizeof(*cl));
	k->memfd = memfd_create("ring", 0);
	k->kick = eventfd(0, 0);
	k->call = eventfd(0, 0);
	assert_true(k->memfd >= 0 && k->kick >= 0 && k->call >= 0);
	assert_int_equal(ftruncate(k->memfd, MEM_BYTES), 0);
	assert_true(tvq_drv_ring_bytes(packed, size, indirect ? 4 : 0) <= RING_BYTES);
	cl->mem = map_at(k, 0);
	cl->seed = size;
	cfg.mem = cl->mem;
	cl->drv = tvq_drv_ring_new(&tvq_os_host, &cfg, indirect ? 4 : 0);
	assert_non_null(cl->drv);
	k->cfg = (struct tvq_ring_cfg){
		.packed = packed,
		.event_idx = event_idx,
		.indirect = indirect,
		.size = size,
		.avail_idx = packed ? 0x8000 : 0,
		.used_idx = packed ? 0x8000 : 0,
	};
	tvq_drv_ring_areas(cl->drv, &k->cfg.desc, &k->cfg.driver, &k->cfg.device);
}

static void link_down(struct link *k, struct client *cl)
{
	tvq_drv_ring_free(cl->drv);
	munmap(cl->mem, MEM_BYTES);
	close(k->memfd);
	close(k->kick);
	close(k->call);
}

static void run(bool packed, uint16_t size, bool event_idx, bool indirect, unsigned int total)
{
	struct link k = { .total = total };
	struct client cl;
	int status;
	pid_t child;

	link_up(&k, &cl, packed, size, event_idx, indirect);
	child = fork();
	assert_true(child >= 0);
	if (!child)
		device_process(&k);
	drive(&cl, &k);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	link_down(&k, &cl);
}

static void split_halves_in_two_processes_lose_no_buffer_and_no_wake_up(void **state)
{
	(void)state;
	run(false, 4, false, false, 20000);
	run(false, 16, true, true, 100000);
	run(false, 128, true, false, 100000);
	run(false, 128, false, true, 50000);
}

static void packed_halves_in_two_processes_lose_no_buffer_and_no_wake_up(void **state)
{
	(void)state;
	run(true, 5, false, false, 20000);
	run(true, 13, true, true, 100000);
	run(true, 100, true, false, 100000);
	run(true, 128, false, true, 50000);
}

/*
 * Plays a driver that writes descriptors, most of them good, where and while the device reads them,
 * until it is killed.
 */
static void scribble(const struct link *k, uint8_t *mem, uint64_t seed)
{
	struct tvq_desc *desc = (void *)mem;
	struct tvq_split_avail *avail = (void *)(mem + (k->cfg.driver - MEM_IOVA));

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		uint64_t v = lab_random(&seed), i = lab_below(&seed, k->cfg.size),
			 tail = v >> 40 & 0xff;

		switch (v % 4) {
		case 0:
			__atomic_store_n(&desc[i].addr,
					 (v & 0xf0 ? MEM_IOVA : 0) + (v >> 20) % MEM_BYTES,
					 __ATOMIC_RELAXED);
			break;
		case 1:
			/*
			 * Length, then flags and next, or id and flags; rarely a table or an odd
			 * number.
			 */
			if ((v & 0xf00) == 0)
				tail = 64;
			if (k->cfg.packed)
				tail |= lab_random(&seed) % 17 << 32 | (v >> 12 & 1) << 55 |
					(v >> 13 & 1) << 63 | ((v & 0xf00) == 0) * (4ull << 48) |
					(v >> 14 & 3) << 48;
			else
				tail |= (v >> 14 & 3) << 32 | ((v & 0xf00) == 0) * (4ull << 32) |
					lab_random(&seed) % 17 << 48;
			__atomic_store_n(&desc[i].tail, tail, __ATOMIC_RELAXED);
			break;
		case 2:
			if (!k->cfg.packed)
				__atomic_store_n(&avail->ring[i], (uint16_t)(v >> 30) % 17,
						 __ATOMIC_RELAXED);
			break;
		default:
			if (!k->cfg.packed && !(v & 0xf0))
				__atomic_store_n(&avail->idx, (uint16_t)(avail->idx + 1),
						 __ATOMIC_RELAXED);
			break;
		}
	}
}

static void check_inside(const struct tvq_chain *c, const uint8_t *mem)
{
	unsigned int i;

	assert_true(c->n_out + c->n_in <= c->max_seg);
	for (i = 0; i < (unsigned int)c->n_out + c->n_in; i++) {
		const uint8_t *p = c->seg[i].va;

		assert_true(c->seg[i].len > 0);
		assert_true(p >= mem && p < mem + MEM_BYTES);
		assert_true(c->seg[i].len <= (size_t)(mem + MEM_BYTES - p));
	}
}

/* Starts, takes and returns until the ring breaks. The number of chains taken. */
static unsigned int serve_scribbler(struct tvq_ring *ring, const struct tvq_ring_cfg *cfg,
				    struct tvq_dma_view *view, const uint8_t *mem)
{
	struct lab_chain lc[8];
	struct tvq_chain *c[8];
	unsigned int taken = 0;
	int i, n;

	if (tvq_ring_start(ring, cfg, view, NULL))
		return 0;
	for (i = 0; i < 8; i++)
		c[i] = lab_chain(&lc[i], 8);
	while ((n = tvq_ring_take(ring, c, 8)) > 0 && taken < 1000) {
		for (i = 0; i < n; i++) {
			check_inside(c[i], mem);
			tvq_ring_add_used(ring, c[i], 1);
		}
		tvq_ring_flush(ring);
		taken += (unsigned int)n;
	}
	assert_true(n >= 0 || n == -EBADMSG || n == -ELOOP || n == -EPROTO || n == -EFAULT);
	return taken;
}

static void survive(bool packed)
{
	struct tvq_dma_table *t = calloc(1, sizeof(*t) + sizeof(t->r[0]));
	unsigned int i, taken = 0, streak = 0, idle = 0;
	struct tvq_dma_view view;
	struct tvq_ring ring;
	struct link k = { 0 };
	struct client cl;
	pid_t child;

	assert_non_null(t);
	link_up(&k, &cl, packed, 16, true, true);
	child = fork();
	assert_true(child >= 0);
	if (!child)
		scribble(&k, map_at(&k, 0), packed);
	t->n = 1;
	lab_region(&t->r[0], MEM_IOVA, MEM_BYTES, cl.mem, TVQ_DMA_READ | TVQ_DMA_WRITE);
	lab_view(&view, t);
	for (i = 0; taken < ENOUGH && idle < 200000; i++) {
		const unsigned int before = taken;

		k.cfg.avail_idx =
			packed ? (uint16_t)((i & 16) << 11 | i % 16)
			       : __atomic_load_n(
					 (uint16_t *)(void *)(cl.mem + k.cfg.driver - MEM_IOVA + 2),
					 __ATOMIC_RELAXED) -
					 (uint16_t)(i % 17);
		k.cfg.used_idx = k.cfg.avail_idx;
		taken += serve_scribbler(&ring, &k.cfg, &view, cl.mem);
		/* Broken, and nobody is altering it: the other process waits for a core. */
		streak = taken == before ? streak + 1 : 0;
		if (streak > 256) {
			usleep(100);
			streak = 0;
			idle++;
		}
	}
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	/* It got past the checks often enough for the above to mean something. */
	print_message("%u chains taken of a ring being altered\n", taken);
	assert_true(taken >= ENOUGH);
	link_down(&k, &cl);
	free(t);
}

/* TQ-025 TQ-121 */
static void
driver_that_alters_the_ring_meanwhile_never_gets_a_segment_outside_the_space(void **state)
{
	(void)state;
	survive(false);
	survive(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(split_halves_in_two_processes_lose_no_buffer_and_no_wake_up),
		cmocka_unit_test(packed_halves_in_two_processes_lose_no_buffer_and_no_wake_up),
		cmocka_unit_test(
			driver_that_alters_the_ring_meanwhile_never_gets_a_segment_outside_the_space),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
