/* SPDX-License-Identifier: BSD-3-Clause */
/* Interrupts by eventfd: pairs that several queues share, and peers that do not listen. */
#include "device_lab.h"

#include <dirent.h>
#include <sys/eventfd.h>

struct world {
	struct dl l;
	struct dl_vol *vol;
	struct dl_mem mem;
	uint64_t id;
	struct dl_queue q[2];
	struct dl_req r[2];
};

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

static void device_up(struct world *w)
{
	unsigned int i;

	w->mem.used = 0;
	w->id = dl_create(w->l.client, NULL, w->mem.asid, 0, 2);
	for (i = 0; i < 2; i++) {
		dl_queue_new(&w->q[i], &w->mem, w->l.client, w->id, (uint16_t)i, 16, false);
		dl_req_new(&w->r[i], &w->mem, 512);
	}
	dl_start(w->q, 2, 0);
}

static void device_down(struct world *w)
{
	assert_int_equal(dl_destroy(w->l.client, w->id), 0);
	dl_queue_free(&w->q[0]);
	dl_queue_free(&w->q[1]);
}

static void up(struct world *w)
{
	dl_up(&w->l, 2, NULL);
	w->vol = dl_vol_new(&w->l, 1 << 20, DL_NOW);
	dl_mem_new(&w->mem, &w->l, 1 << 20);
}

static void down(struct world *w)
{
	dl_mem_free(&w->mem);
	dl_down(&w->l);
}

static void use_pair(struct world *w, uint64_t addr, uint32_t data)
{
	struct tvq_seq *s = tvq_seq_new(w->l.client, w->id);
	uint16_t i;

	for (i = 0; i < 2; i++) {
		tvq_seq_msi_vq_set(s, i, addr, data);
		tvq_seq_msi_vq_enable(s, i, 1);
	}
	tvq_seq_msi_config_set(s, addr, data);
	tvq_seq_msi_config_enable(s, 1);
	assert_int_equal(tvq_seq_call(s), 0);
}

static void io_on_both(struct world *w)
{
	unsigned int i;

	for (i = 0; i < 2; i++)
		assert_int_equal(dl_io(&w->q[i], &w->r[i], VIRTIO_BLK_T_IN, 0), VIRTIO_BLK_S_OK);
}

/* TQ-081: two workers and the control executor send by one pair that its owner has given up. */
static void pair_that_is_freed_lives_as_long_as_interrupts_use_it(void **state)
{
	unsigned int before;
	struct world w;
	uint64_t addr, count;
	uint32_t data;
	int fd;

	(void)state;
	up(&w);
	before = open_files();
	fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	device_up(&w);
	assert_int_equal(w.l.bus->ops->msi_fd(w.l.bus, fd, &addr, &data), 0);
	use_pair(&w, addr, data);
	io_on_both(&w);
	dl_until(&w.l, read(fd, &count, 8) == 8);
	w.l.bus->ops->msi_fd_free(w.l.bus, addr, data);
	w.l.bus->ops->msi_fd_free(w.l.bus, addr, data);
	io_on_both(&w);
	dl_until(&w.l, read(fd, &count, 8) == 8);
	device_down(&w);
	close(fd);
	assert_int_equal(open_files(), before);
	down(&w);
}

/* A peer whose counter is full for ever costs nothing once its device is gone. */
static void write_that_a_peer_never_takes_ends_with_its_device(void **state)
{
	const uint64_t full = UINT64_MAX - 1;
	unsigned int before, i;
	struct world w;

	(void)state;
	up(&w);
	before = open_files();
	for (i = 0; i < 8; i++) {
		int fd = eventfd(0, EFD_CLOEXEC);
		uint64_t addr;
		uint32_t data;

		assert_int_equal(write(fd, &full, 8), 8);
		device_up(&w);
		assert_int_equal(w.l.bus->ops->msi_fd(w.l.bus, fd, &addr, &data), 0);
		use_pair(&w, addr, data);
		/* Not held up by it. */
		io_on_both(&w);
		io_on_both(&w);
		device_down(&w);
		w.l.bus->ops->msi_fd_free(w.l.bus, addr, data);
		close(fd);
	}
	dl_until(&w.l, open_files() == before);
	down(&w);
}

/* TQ-087: it has been told by the full counter, and is told again once it has taken that. */
static void peer_that_takes_a_full_counter_is_told_of_what_comes_next(void **state)
{
	const uint64_t full = UINT64_MAX - 1;
	uint64_t addr, count;
	struct world w;
	uint32_t data;
	int fd;

	(void)state;
	up(&w);
	fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_int_equal(write(fd, &full, 8), 8);
	device_up(&w);
	assert_int_equal(w.l.bus->ops->msi_fd(w.l.bus, fd, &addr, &data), 0);
	use_pair(&w, addr, data);
	io_on_both(&w);
	dl_until(&w.l, read(fd, &count, 8) == 8);
	assert_true(count >= full);
	io_on_both(&w);
	dl_until(&w.l, read(fd, &count, 8) == 8);
	device_down(&w);
	w.l.bus->ops->msi_fd_free(w.l.bus, addr, data);
	close(fd);
	down(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pair_that_is_freed_lives_as_long_as_interrupts_use_it),
		cmocka_unit_test(write_that_a_peer_never_takes_ends_with_its_device),
		cmocka_unit_test(peer_that_takes_a_full_counter_is_told_of_what_comes_next),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
