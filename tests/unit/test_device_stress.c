/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whatever a driver may do to its devices, in random order while they work, on two workers. The
 * test's thread is driver and control executor. What has to hold: every command is answered, no
 * buffer is used twice, data is right, memory is not touched once its unmap has completed (it is
 * not mapped any more, and volumes touch it late), and in the end nothing is left.
 */
#define DL_INDIRECT 4
#include "device_lab.h"

#include <dirent.h>
#include <sys/eventfd.h>

#define DEVICES 6
#define SLOTS	12
#define BYTES	2048
#define STEPS	20000

enum life {
	NONE,
	FRESH, /* made, or reset */
	RUN,
	OFF,	/* the queue was disabled */
	QRESET, /* the queue was reset */
	BROKEN,
};

struct slot {
	struct dl_req r;
	bool busy, writing;
	uint8_t pattern; /* what the volume holds at its place */
};

struct device {
	enum life life, then; /* now; when op has ended well */
	struct dl_op op, end, msi, unmap, kick;
	bool op_runs, end_runs, msi_runs, unmap_runs, kick_runs;
	bool resets; /* end is a reset, whose status is asked for */
	bool mapped, packed;
	int kick_fd;
	uint64_t id;
	struct dl_mem mem;
	struct dl_queue q;
	struct slot slot[SLOTS];
	char volume[4];
	struct dl_vol *vol;
};

static struct world {
	struct dl l;
	struct device dev[DEVICES];
	uint64_t seed;
	int fd[3];
	uint64_t addr[4];
	uint32_t data[4];
	struct tvq_dma_log log;
	unsigned long used, commands;
} w;

static uint32_t below(uint32_t n)
{
	uint64_t z = (w.seed += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return (uint32_t)((z ^ (z >> 31)) % n);
}

static unsigned int open_files(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned int n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* ---- requests ---- */

static uint64_t sector_of(const struct slot *s, const struct device *d)
{
	return (uint64_t)(s - d->slot) * (BYTES / 512);
}

static void check_used(struct device *d)
{
	unsigned int i;

	if (d->life == NONE || d->life == FRESH)
		return;
	w.used += dl_collect(&d->q);
	for (i = 0; i < SLOTS; i++) {
		struct slot *s = &d->slot[i];
		unsigned int k;

		if (!s->busy || !s->r.used)
			continue;
		s->busy = false;
		assert_int_equal(*s->r.status, VIRTIO_BLK_S_OK);
		for (k = 0; !s->writing && k < BYTES; k += 37)
			assert_int_equal(s->r.data[k], s->pattern);
	}
}

static void submit(struct device *d)
{
	unsigned int i, n = 0;

	for (i = 0; i < SLOTS && d->life == RUN; i++) {
		struct slot *s = &d->slot[i];

		if (s->busy || below(3))
			continue;
		s->writing = below(2);
		if (s->writing)
			memset(s->r.data, s->pattern = (uint8_t)below(256), BYTES);
		else
			memset(s->r.data, ~s->pattern, BYTES);
		if (dl_add(&d->q, &s->r, s->writing ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN,
			   sector_of(s, d)))
			break;
		s->busy = true;
		n++;
	}
	if (n) {
		dl_notify(&d->q);
		if (d->kick_fd >= 0 && eventfd_write(d->kick_fd, 1))
			abort();
	}
}

/* The ring is gone: what was not used is not coming. A write may have been done or not. */
static void forget_requests(struct device *d)
{
	unsigned int i;

	check_used(d);
	for (i = 0; i < SLOTS; i++) {
		struct slot *s = &d->slot[i];

		if (s->busy && s->writing)
			memset(d->vol->data + sector_of(s, d) * 512, s->pattern, BYTES);
		s->busy = false;
	}
}

static void new_ring(struct device *d)
{
	tvq_drv_ring_free(d->q.ring);
	dl_ring_make(&d->q);
}

/* ---- life ---- */

static void create(struct device *d)
{
	static const enum dl_mode modes[] = { DL_NOW, DL_HOLD, DL_LATE };

	d->id = dl_create(w.l.client, d->volume, d->mem.asid, 0, 0);
	d->q.id = d->id;
	atomic_store(&d->vol->mode, modes[below(3)]);
	d->life = FRESH;
}

static void memory(struct device *d)
{
	if (!d->mapped) {
		dl_mem_map(&d->mem);
		d->mapped = true;
		return;
	}
	d->mapped = false;
	d->unmap_runs = true;
	assert_int_equal(dl_mem_unmap(&d->mem, &d->unmap), 0);
}

static void start(struct device *d)
{
	if (d->unmap_runs)
		return;
	if (!d->mapped)
		memory(d);
	new_ring(d);
	dl_start(&d->q, 1, 0);
	d->life = RUN;
}

static void begin(struct device *d, struct tvq_seq *s, enum life then)
{
	d->then = then;
	d->op_runs = true;
	dl_run(s, &d->op);
}

static struct tvq_seq *seq(struct device *d)
{
	w.commands++;
	return tvq_seq_new(w.l.client, d->id);
}

static void queue_op(struct device *d)
{
	struct tvq_seq *s = seq(d);

	if (d->life == RUN && below(2)) {
		tvq_seq_vq_reset(s, 0);
		begin(d, s, QRESET);
	} else if (d->life == RUN) {
		tvq_seq_vq_enable(s, 0, 0);
		begin(d, s, OFF);
	} else if (d->mapped) {
		if (d->life == QRESET)
			dl_queue_program(&d->q, s);
		else
			tvq_seq_vq_enable(s, 0, 1);
		begin(d, s, RUN);
	} else {
		tvq_seq_drop(s);
	}
}

/* Overtakes whatever is under way. */
static void end(struct device *d)
{
	struct tvq_seq *s = seq(d);

	d->resets = below(2);
	if (d->resets)
		tvq_seq_status_set(s, 0);
	else
		tvq_seq_destroy_device(s);
	d->end_runs = true;
	dl_run(s, &d->end);
}

static void breakage(struct device *d)
{
	uint64_t desc, driver, device;

	if (d->packed || below(2)) {
		assert_int_equal(tvq_device_break(tvq_inproc_device(w.l.bus), d->id, "test"), 0);
	} else {
		tvq_drv_ring_areas(d->q.ring, &desc, &driver, &device);
		__atomic_store_n((uint16_t *)(d->mem.va + (driver - d->mem.iova)) + 1, 0x7fff,
				 __ATOMIC_RELEASE);
		w.l.bus->ops->notify(w.l.bus, d->q.area, 0, 2);
	}
	d->life = BROKEN;
}

/* ---- interrupts, notifications, memory ---- */

static void msi(struct device *d)
{
	struct tvq_seq *s = seq(d);
	unsigned int i, n = 1 + below(4), p = below(4);

	tvq_seq_msi_vq_set(s, 0, w.addr[p], w.data[p]);
	tvq_seq_msi_config_set(s, w.addr[p], w.data[p]);
	tvq_seq_msi_config_enable(s, (uint8_t)below(2));
	for (i = 0; i < n; i++) {
		if (below(2))
			tvq_seq_msi_vq_enable(s, 0, (uint8_t)below(2));
		else
			tvq_seq_msi_vq_mask(s, 0, (uint8_t)below(2));
	}
	d->msi_runs = true;
	dl_run(s, &d->msi);
}

/* The old pair may be in use. */
static void new_pair(void)
{
	unsigned int i = below(3);
	uint64_t count;

	w.l.bus->ops->msi_fd_free(w.l.bus, w.addr[i], w.data[i]);
	assert_int_equal(w.l.bus->ops->msi_fd(w.l.bus, w.fd[i], &w.addr[i], &w.data[i]), 0);
	if (i < 2 && read(w.fd[i], &count, 8) < 0)
		assert_int_equal(errno, EAGAIN);
}

static void kick(struct device *d)
{
	int what = (int)below(4);
	int fd = what == 0   ? TVQ_NOTIFY_POLL
		 : what == 1 ? TVQ_NOTIFY_NONE
			     : eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	if (d->kick_fd >= 0)
		close(d->kick_fd);
	d->kick_fd = fd;
	d->kick = (struct dl_op){ .done.fn = dl_op_ended };
	d->kick_runs = true;
	assert_int_equal(w.l.bus->ops->notify_fd(w.l.bus, d->q.area, 0, fd, &d->kick.done), 0);
}

/* ---- steps ---- */

static void life_ended(struct device *d)
{
	bool msi_over = !d->msi_runs || d->msi.ended, op_over = !d->op_runs || d->op.ended;

	assert_int_equal(d->end.err, 0);
	if (d->resets && dl_status(w.l.client, d->id))
		return;
	/* Those that it overtook have been answered. */
	dl_until(&w.l, (msi_over || d->msi.ended) && (op_over || d->op.ended));
	d->end_runs = d->op_runs = d->msi_runs = false;
	forget_requests(d);
	d->life = d->resets ? FRESH : NONE;
	if (d->life == NONE && d->kick_fd >= 0)
		close(d->kick_fd);
	if (d->life == NONE)
		d->kick_fd = -1;
}

static void look(struct device *d)
{
	check_used(d);
	if (d->unmap_runs && d->unmap.ended)
		d->unmap_runs = false;
	if (d->kick_runs && d->kick.ended)
		d->kick_runs = false;
	if (d->end_runs && d->end.ended) {
		life_ended(d);
		return;
	}
	if (d->msi_runs && d->msi.ended)
		d->msi_runs = false;
	if (d->op_runs && d->op.ended && !d->end_runs) {
		d->op_runs = false;
		if (d->then == QRESET && !d->op.err) {
			forget_requests(d);
			new_ring(d);
		}
		if (d->life != BROKEN && !d->op.err)
			d->life = d->then;
		/* An area was unmapped meanwhile. */
		if (d->then == RUN && d->op.err)
			assert_false(d->mapped && d->life == RUN);
	}
}

static void step(struct device *d)
{
	unsigned int what = below(100);

	if (!below(d->end_runs ? 3 : 8))
		dl_release(d->vol);
	if (d->life == NONE)
		create(d);
	else if (d->end_runs)
		return;
	else if (d->life == FRESH && !d->op_runs && !d->msi_runs)
		start(d);
	else if (what < 50 && !d->op_runs)
		submit(d);
	else if (what < 60 && !d->op_runs && d->life >= RUN && d->life < BROKEN)
		queue_op(d);
	else if (what < 68 && !d->msi_runs)
		msi(d);
	else if (what < 74 && !d->kick_runs && d->life == RUN)
		kick(d);
	else if (what < 82 && !d->unmap_runs && (!d->op_runs || d->then != RUN))
		memory(d);
	else if (what < 86 && d->life == RUN && !d->op_runs && !below(3))
		breakage(d);
	else if (what < 88)
		tvq_space_set_log(tvq_inproc_space(w.l.bus, d->mem.asid), below(2) ? &w.log : NULL,
				  NULL);
	else if (what < 91)
		end(d);
	else if (what < 94)
		new_pair();
	if (d->unmap_runs && d->unmap.ended)
		d->unmap_runs = false;
}

static void world_up(void)
{
	unsigned int i, k;

	dl_up(&w.l, 2, NULL);
	tvq_os_host_log_level(TVQ_LOG_ERR - 1);
	for (i = 0; i < 3; i++) {
		w.fd[i] = eventfd(0, (i < 2 ? EFD_NONBLOCK : 0) | EFD_CLOEXEC);
		assert_int_equal(w.l.bus->ops->msi_fd(w.l.bus, w.fd[i], &w.addr[i], &w.data[i]), 0);
	}
	assert_non_null(w.l.bus->ops->dma_alloc(w.l.bus, 4096, &w.addr[3]));
	w.log.len = 0x100000000ull + (1 << 20);
	w.log.bits = calloc(1, (w.log.len >> 15) + 1);
	for (i = 0; i < DEVICES; i++) {
		struct device *d = &w.dev[i];

		d->vol = dl_vol_new(&w.l, 1 << 16, DL_NOW);
		snprintf(d->volume, sizeof(d->volume), "v%u", i);
		dl_mem_new(&d->mem, &w.l, 1 << 18);
		d->mapped = true;
		d->packed = i & 1;
		d->kick_fd = -1;
		dl_queue_new(&d->q, &d->mem, w.l.client, 0, 0, 16, d->packed);
		for (k = 0; k < SLOTS; k++)
			dl_req_new(&d->slot[k].r, &d->mem, BYTES);
	}
}

static bool busy(const struct device *d)
{
	return d->op_runs || d->end_runs || d->unmap_runs || d->kick_runs;
}

static void world_down(void)
{
	unsigned int i;

	for (i = 0; i < DEVICES; i++) {
		struct device *d = &w.dev[i];

		while (busy(d) || d->life != NONE) {
			if (!d->end_runs && d->life != NONE)
				end(d);
			dl_release(d->vol);
			dl_turns(&w.l, 1);
			look(d);
		}
		tvq_space_set_log(tvq_inproc_space(w.l.bus, d->mem.asid), NULL, NULL);
		dl_queue_free(&d->q);
		dl_mem_free(&d->mem);
	}
	for (i = 0; i < 3; i++) {
		w.l.bus->ops->msi_fd_free(w.l.bus, w.addr[i], w.data[i]);
		close(w.fd[i]);
	}
	dl_down(&w.l);
	free((void *)w.log.bits);
}

/* TQ-025, TQ-030, TQ-031, TQ-054, TQ-066, TQ-096, TQ-097, TQ-120 */
static void devices_survive_whatever_their_drivers_do_in_any_order(void **state)
{
	unsigned int mappings = tvq_mapping_count(), files = open_files(), seed, i;
	const bool never = false;

	(void)state;
	for (seed = 0; seed < 3; seed++) {
		memset(&w, 0, sizeof(w));
		w.seed = seed;
		world_up();
		for (i = 0; i < STEPS; i++) {
			struct device *d = &w.dev[below(DEVICES)];

			look(d);
			step(d);
			dl_turns(&w.l, below(3));
			/* The workers' turn. */
			if (!below(3))
				tvq_bus_wait(w.l.bus, &never, 30000);
		}
		world_down();
		/* It did something. */
		assert_true(w.used > STEPS / 20);
		assert_true(w.commands > STEPS / 100);
		assert_int_equal(tvq_mapping_count(), mappings);
		assert_int_equal(open_files(), files);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(devices_survive_whatever_their_drivers_do_in_any_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
