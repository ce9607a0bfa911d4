/* SPDX-License-Identifier: BSD-3-Clause */
/* Mappings of peers' memory: how they are shared, and what happens when the memory vanishes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tvq/mapping.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define RW	      (TVQ_DMA_READ | TVQ_DMA_WRITE)
#define PAGE	      4096

static int memory(uint64_t len)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)len), 0);
	return fd;
}

static void none_left(void)
{
	assert_int_equal(tvq_mapping_count(), 0);
}

/* Sharing */

static void same_bytes_are_mapped_once_and_others_apart(void **state)
{
	static const struct {
		uint64_t offset, len;
		bool writable, other_file, same;
	} asked[] = {
		{ PAGE, 2 * PAGE, true, false, true }, { 0, 2 * PAGE, true, false, false },
		{ PAGE, PAGE, true, false, false },    { PAGE, 2 * PAGE, false, false, false },
		{ PAGE, 2 * PAGE, true, true, false },
	};
	int fd = memory(8 * PAGE), other = memory(8 * PAGE), again = dup(fd);
	struct tvq_mapping *first, *m;
	uint8_t *first_va, *va;

	(void)state;
	assert_int_equal(tvq_mapping_fd(fd, PAGE, 2 * PAGE, true, &first, &first_va), 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(asked); i++) {
		int file = asked[i].other_file ? other : again;

		assert_int_equal(tvq_mapping_fd(file, asked[i].offset, asked[i].len,
						asked[i].writable, &m, &va),
				 0);
		assert_int_equal(m == first, asked[i].same);
		assert_int_equal(va == first_va, asked[i].same);
		assert_int_equal(tvq_mapping_count(), asked[i].same ? 1 : 2);
		m->put(m);
	}
	/* It lives as long as one of those who share it, without the descriptor. */
	assert_int_equal(tvq_mapping_fd(again, PAGE, 2 * PAGE, true, &m, &va), 0);
	first->put(first);
	close(fd);
	close(again);
	va[2 * PAGE - 1] = 1;
	m->put(m);
	none_left();
	close(other);
}

static void offset_and_length_need_no_alignment(void **state)
{
	int fd = memory(4 * PAGE);
	struct tvq_mapping *whole, *part;
	uint8_t *all, *va;

	(void)state;
	assert_int_equal(tvq_mapping_fd(fd, 0, 4 * PAGE, true, &whole, &all), 0);
	for (unsigned int i = 0; i < 4 * PAGE; i++)
		all[i] = (uint8_t)(i * 7 % 251);
	assert_int_equal(tvq_mapping_fd(fd, PAGE + 17, 2 * PAGE, false, &part, &va), 0);
	assert_memory_equal(va, all + PAGE + 17, 2 * PAGE);
	part->put(part);
	whole->put(whole);
	none_left();
	close(fd);
}

static void what_cannot_be_mapped_is_refused(void **state)
{
	static const struct {
		uint64_t offset, len;
		int err;
	} asked[] = {
		{ 0, 0, -EINVAL },
		{ 0, 2 * PAGE + 1, -ENXIO },
		{ 2 * PAGE, 1, -ENXIO },
		{ PAGE, PAGE + 1, -ENXIO },
		{ 3 * PAGE, 1, -ENXIO },
		{ UINT64_MAX, 1, -EINVAL },
		{ PAGE, UINT64_MAX, -EINVAL },
		{ INT64_MAX, 1, -EINVAL },
		{ INT64_MAX - PAGE, PAGE, -EINVAL },
		{ PAGE, INT64_MAX - 3 * PAGE, -ENXIO },
	};
	int fd = memory(2 * PAGE), ro = open("/proc/self/exe", O_RDONLY), pipes[2];
	struct tvq_mapping *m;
	uint8_t *va;

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(asked); i++)
		assert_int_equal(tvq_mapping_fd(fd, asked[i].offset, asked[i].len, true, &m, &va),
				 asked[i].err);
	assert_int_equal(tvq_mapping_fd(-1, 0, PAGE, true, &m, &va), -EBADF);
	assert_int_equal(tvq_mapping_fd(ro, 0, PAGE, true, &m, &va), -EACCES);
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(tvq_mapping_fd(pipes[0], 0, PAGE, true, &m, &va), -EACCES);
	assert_int_equal(tvq_mapping_fd(pipes[0], 0, PAGE, false, &m, &va), -ENODEV);
	assert_int_equal(tvq_mapping_anon(0, &m, &va), -EINVAL);
	assert_int_equal(tvq_mapping_anon(UINT64_MAX, &m, &va), -EINVAL);
	assert_int_equal(tvq_mapping_anon(UINT64_MAX / 4, &m, &va), -ENOSPC);
	none_left();
	close(fd);
	close(ro);
	close(pipes[0]);
	close(pipes[1]);
}

static void anonymous_mapping_is_zeroed_and_writable(void **state)
{
	struct tvq_mapping *m;
	uint8_t *va;

	(void)state;
	assert_int_equal(tvq_mapping_anon(3 * PAGE + 1, &m, &va), 0);
	for (unsigned int i = 0; i <= 3 * PAGE; i++)
		assert_int_equal(va[i], 0);
	memset(va, 0xff, 3 * PAGE + 1);
	assert_int_equal(tvq_mapping_count(), 1);
	m->put(m);
	none_left();
}

/* Loss */

static struct sigaction ours;

/* cmocka puts a handler of its own in place for every test; this puts back the one under test. */
static void guard(void)
{
	assert_int_equal(sigaction(SIGBUS, &ours, NULL), 0);
}

static void install_handler(void)
{
	struct tvq_mapping *m;
	uint8_t *va;

	if (tvq_mapping_anon(1, &m, &va) || sigaction(SIGBUS, NULL, &ours))
		abort();
	m->put(m);
}

static void thousands_of_mappings_are_each_found_when_they_vanish(void **state)
{
	enum { N = 3000 };
	struct tvq_mapping **m = calloc(N, sizeof(*m));
	uint8_t **va = calloc(N, sizeof(*va));
	unsigned int before = atomic_load(&tvq_dma_lost_count);
	int fd = memory(N * PAGE);

	(void)state;
	guard();
	assert_non_null(m);
	assert_non_null(va);
	for (unsigned int i = 0; i < N; i++)
		assert_int_equal(tvq_mapping_fd(fd, (uint64_t)i * PAGE, PAGE, true, &m[i], &va[i]),
				 0);
	/* Gaps in the table, filled again. */
	for (unsigned int i = 0; i < N; i += 3)
		m[i]->put(m[i]);
	for (unsigned int i = 0; i < N; i += 3)
		assert_int_equal(tvq_mapping_fd(fd, (uint64_t)i * PAGE, PAGE, true, &m[i], &va[i]),
				 0);
	assert_int_equal(ftruncate(fd, N / 2 * PAGE), 0);
	for (unsigned int i = 0; i < N; i++) {
		*(volatile uint8_t *)va[i] = 1;
		assert_int_equal(atomic_load(&m[i]->lost), i >= N / 2);
	}
	assert_int_equal(atomic_load(&tvq_dma_lost_count) - before, N / 2);
	for (unsigned int i = 0; i < N; i++)
		m[i]->put(m[i]);
	none_left();
	close(fd);
	free(m);
	free(va);
}

static void truncated_memory_reads_zeroes_and_leaves_other_memory_alone(void **state)
{
	unsigned int before = atomic_load(&tvq_dma_lost_count);
	int fd = memory(16 * PAGE), fine = memory(16 * PAGE);
	struct tvq_mapping *lost, *other;
	uint8_t *va, *other_va;

	(void)state;
	guard();
	assert_int_equal(tvq_mapping_fd(fd, 0, 16 * PAGE, true, &lost, &va), 0);
	assert_int_equal(tvq_mapping_fd(fine, 0, 16 * PAGE, true, &other, &other_va), 0);
	memset(va, 0x11, 16 * PAGE);
	memset(other_va, 0x22, 16 * PAGE);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_false(atomic_load(&lost->lost));
	assert_int_equal(*(volatile uint8_t *)(va + 5 * PAGE + 3), 0);
	assert_true(atomic_load(&lost->lost));
	assert_int_equal(atomic_load(&tvq_dma_lost_count), before + 1);
	/* One fault is all there is, wherever it is touched next. */
	memset(va, 0x33, 16 * PAGE);
	assert_int_equal(atomic_load(&tvq_dma_lost_count), before + 1);
	assert_false(atomic_load(&other->lost));
	for (unsigned int i = 0; i < 16 * PAGE; i++)
		assert_int_equal(other_va[i], 0x22);
	lost->put(lost);
	other->put(other);
	none_left();
	close(fd);
	close(fine);
}

static void lost_mapping_is_not_given_to_anybody_new(void **state)
{
	int fd = memory(PAGE);
	struct tvq_mapping *lost, *fresh, *shared;
	uint8_t *va, *fresh_va, *shared_va;

	(void)state;
	guard();
	assert_int_equal(tvq_mapping_fd(fd, 0, PAGE, true, &lost, &va), 0);
	assert_int_equal(ftruncate(fd, 0), 0);
	*(volatile uint8_t *)va = 1;
	assert_true(atomic_load(&lost->lost));
	assert_int_equal(tvq_mapping_fd(fd, 0, PAGE, true, &fresh, &fresh_va), -ENXIO);
	assert_int_equal(ftruncate(fd, PAGE), 0);
	assert_int_equal(tvq_mapping_fd(fd, 0, PAGE, true, &fresh, &fresh_va), 0);
	assert_ptr_not_equal(fresh, lost);
	assert_int_equal(fresh_va[0], 0);
	assert_int_equal(tvq_mapping_fd(fd, 0, PAGE, true, &shared, &shared_va), 0);
	assert_ptr_equal(shared, fresh);
	/* In this order, so that the lost one is not the first that is found. */
	lost->put(lost);
	fresh->put(fresh);
	shared_va[0] = 9;
	assert_false(atomic_load(&shared->lost));
	shared->put(shared);
	none_left();
	close(fd);
}

static void read_only_memory_can_be_lost_too(void **state)
{
	int fd = memory(2 * PAGE);
	struct tvq_mapping *m;
	uint8_t *va;

	(void)state;
	guard();
	assert_int_equal(tvq_mapping_fd(fd, 0, 2 * PAGE, false, &m, &va), 0);
	assert_int_equal(ftruncate(fd, PAGE), 0);
	assert_int_equal(*(volatile uint8_t *)(va + PAGE), 0);
	assert_true(atomic_load(&m->lost));
	m->put(m);
	none_left();
	close(fd);
}

/* A worker: writes through a view, as a device would, and looks for losses once a batch. */
struct worker {
	struct tvq_space *space;
	atomic_bool stop;
	atomic_uint batches;
	atomic_bool found_loss;
	uint8_t fill;
};

static void *worker_thread(void *arg)
{
	struct worker *w = arg;
	unsigned int lost = atomic_load(&tvq_dma_lost_count);
	struct tvq_dma_view v;

	tvq_dma_view_refresh(&v, w->space);
	while (!atomic_load(&w->stop)) {
		for (uint64_t iova = 0; iova < 64 * PAGE; iova += PAGE)
			memset(tvq_dma_ptr(&v, iova, PAGE, RW), w->fill, PAGE);
		if (atomic_load(&tvq_dma_lost_count) != lost) {
			lost = atomic_load(&tvq_dma_lost_count);
			if (tvq_dma_view_lost(&v))
				atomic_store(&w->found_loss, true);
		}
		atomic_fetch_add(&w->batches, 1);
	}
	return NULL;
}

static void wait_batches(struct worker *w, unsigned int n)
{
	unsigned int start = atomic_load(&w->batches);

	while (atomic_load(&w->batches) - start < n)
		sched_yield();
}

static void memory_truncated_under_io_is_found_within_a_batch_and_harms_nobody_else(void **state)
{
	int fd[2] = { memory(64 * PAGE), memory(64 * PAGE) };
	struct worker w[2] = { { .fill = 0x5a }, { .fill = 0xa5 } };
	unsigned int before = atomic_load(&tvq_dma_lost_count);
	uint8_t page[PAGE];
	pthread_t t[2];

	(void)state;
	guard();
	for (unsigned int i = 0; i < 2; i++) {
		struct tvq_region r = { .iova = 0, .len = 64 * PAGE, .perm = RW };

		w[i].space = tvq_space_new(&tvq_os_host, i);
		assert_int_equal(tvq_mapping_fd(fd[i], 0, 64 * PAGE, true, &r.mapping, &r.va), 0);
		assert_int_equal(tvq_space_map(w[i].space, &r, 1), 0);
		assert_int_equal(pthread_create(&t[i], NULL, worker_thread, &w[i]), 0);
	}
	wait_batches(&w[0], 10);
	wait_batches(&w[1], 10);
	assert_int_equal(ftruncate(fd[0], 32 * PAGE), 0);
	wait_batches(&w[0], 3);
	wait_batches(&w[1], 3);
	assert_true(atomic_load(&w[0].found_loss));
	assert_false(atomic_load(&w[1].found_loss));
	for (unsigned int i = 0; i < 2; i++) {
		atomic_store(&w[i].stop, true);
		pthread_join(t[i], NULL);
	}
	assert_int_equal(atomic_load(&tvq_dma_lost_count), before + 1);
	for (unsigned int i = 0; i < 64; i++) {
		assert_int_equal(pread(fd[1], page, PAGE, i * PAGE), PAGE);
		for (unsigned int k = 0; k < PAGE; k++)
			assert_int_equal(page[k], 0xa5);
	}
	for (unsigned int i = 0; i < 2; i++) {
		tvq_space_put(w[i].space);
		close(fd[i]);
	}
	none_left();
}

/*
 * Two threads fault on the same mapping at once, again and again, while a third one maps and
 * unmaps. They wait for each other without sleeping, or one would come too late each time.
 */
struct toucher {
	atomic_uint round, finished;
	_Atomic(uint8_t *) va;
};

enum { TOUCH_ROUNDS = 1000 };

static void touch_in_round(struct toucher *t, unsigned int round)
{
	for (unsigned int spins = 1; atomic_load(&t->round) != round; spins++) {
		if (spins % 4096 == 0)
			sched_yield();
	}
	(void)*(volatile uint8_t *)atomic_load(&t->va);
	atomic_fetch_add(&t->finished, 1);
}

static void *toucher_thread(void *arg)
{
	for (unsigned int i = 1; i <= TOUCH_ROUNDS; i++)
		touch_in_round(arg, i);
	return NULL;
}

static void *churner_thread(void *arg)
{
	atomic_bool *stop = arg;
	int fd = memory(64 * PAGE);
	struct tvq_mapping *m[32];
	uint8_t *va;

	while (!atomic_load(stop)) {
		for (unsigned int i = 0; i < 32; i++)
			if (tvq_mapping_fd(fd, i * PAGE, PAGE * (1 + i), true, &m[i], &va))
				abort();
		for (unsigned int i = 0; i < 32; i++)
			m[i]->put(m[i]);
	}
	close(fd);
	return NULL;
}

static void loss_that_two_threads_find_at_once_counts_once(void **state)
{
	unsigned int before = atomic_load(&tvq_dma_lost_count);
	struct toucher touch = { 0 };
	atomic_bool stop = false;
	pthread_t toucher, churner;

	(void)state;
	guard();
	assert_int_equal(pthread_create(&churner, NULL, churner_thread, &stop), 0);
	assert_int_equal(pthread_create(&toucher, NULL, toucher_thread, &touch), 0);
	for (unsigned int i = 1; i <= TOUCH_ROUNDS; i++) {
		int fd = memory(PAGE);
		struct tvq_mapping *m;
		uint8_t *va;

		/*
		 * The one that churns is for the first rounds; the rest have the machine to
		 * themselves.
		 */
		if (i == TOUCH_ROUNDS / 4)
			atomic_store(&stop, true);
		assert_int_equal(tvq_mapping_fd(fd, 0, PAGE, true, &m, &va), 0);
		assert_int_equal(ftruncate(fd, 0), 0);
		atomic_store(&touch.va, va);
		atomic_store(&touch.finished, 0);
		atomic_store(&touch.round, i);
		touch_in_round(&touch, i);
		while (atomic_load(&touch.finished) < 2)
			sched_yield();
		assert_true(atomic_load(&m->lost));
		assert_int_equal(atomic_load(&tvq_dma_lost_count), before + i);
		m->put(m);
		close(fd);
	}
	pthread_join(toucher, NULL);
	pthread_join(churner, NULL);
	none_left();
}

/* Other bus errors */

/* The program runs itself with an argument for what ends a process. */
static int run_self(const char *what)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (!pid) {
		execl("/proc/self/exe", "test_mapping", what, (char *)NULL);
		_exit(120);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static struct tvq_mapping *map_something(uint8_t **va)
{
	struct tvq_mapping *m;

	if (tvq_mapping_fd(memory(PAGE), 0, PAGE, true, &m, va))
		_exit(121);
	return m;
}

/* where: NULL for anywhere; else there, whatever was there before. */
static void fault_elsewhere(void *where)
{
	int fd = memory(PAGE), fixed = where ? MAP_FIXED : 0;
	volatile uint8_t *p = mmap(where, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | fixed, fd, 0);

	if (p == MAP_FAILED || ftruncate(fd, 0))
		_exit(122);
	p[0] = 1;
}

static void exit_7(int sig, siginfo_t *info, void *context)
{
	(void)context;
	_exit(sig == SIGBUS && info->si_code == BUS_ADRERR ? 7 : 123);
}

static void exit_8(int sig)
{
	_exit(sig == SIGBUS ? 8 : 124);
}

static int child(const char *what)
{
	struct sigaction sa = { 0 };
	struct tvq_mapping *m;
	uint8_t *va;

	/* A sanitizer brings a handler of its own. */
	signal(SIGBUS, SIG_DFL);
	if (!strcmp(what, "info-handler")) {
		sa.sa_sigaction = exit_7;
		sa.sa_flags = SA_SIGINFO;
		sigaction(SIGBUS, &sa, NULL);
	} else if (!strcmp(what, "plain-handler")) {
		signal(SIGBUS, exit_8);
	} else if (!strcmp(what, "ignored") || !strcmp(what, "ignored-fault")) {
		signal(SIGBUS, SIG_IGN);
	}
	m = map_something(&va);
	if (!strcmp(what, "released")) {
		m->put(m);
		/* A thread takes it down; what comes there before that would go, too. */
		while (!msync(va, PAGE, MS_ASYNC))
			usleep(1000);
		fault_elsewhere(va);
	} else if (!strcmp(what, "sent") || !strcmp(what, "ignored")) {
		raise(SIGBUS);
	} else {
		fault_elsewhere(NULL);
	}
	return 9;
}

static void bus_errors_of_others_go_where_they_went_before(void **state)
{
	int status;

	(void)state;
	status = run_self("fault");
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
	status = run_self("released");
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
	status = run_self("sent");
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
	status = run_self("ignored-fault");
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
	status = run_self("ignored");
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 9);
	status = run_self("info-handler");
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	status = run_self("plain-handler");
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 8);
}

/* The first line of a file of /proc/self with these words in it. */
static bool find_line(const char *path, const char *words, char *line, int size)
{
	bool found = false;
	FILE *f = fopen(path, "r");

	assert_non_null(f);
	while (!found && fgets(line, size, f))
		found = strstr(line, words);
	fclose(f);
	return found;
}

static unsigned int threads_of_this_process(void)
{
	unsigned int n = 0;
	char line[256];

	assert_true(find_line("/proc/self/status", "Threads:", line, sizeof(line)));
	assert_int_equal(sscanf(line, "Threads: %u", &n), 1);
	return n;
}

static bool taken_is_mapped(void)
{
	char line[256];

	return find_line("/proc/self/maps", "/memfd:taken", line, sizeof(line));
}

static unsigned int threads_at_start;

/* Freeing a guest's memory takes seconds, and so does a lot of small memory: they are not the
 * executor's. */
static void memory_is_taken_down_by_another_thread(void **state)
{
	static const uint64_t len[] = { 4096, 64u << 20 };

	(void)state;
	for (unsigned int k = 0; k < ARRAY_SIZE(len); k++) {
		unsigned int living = tvq_mapping_count(), i;
		int fd = memfd_create("taken", MFD_CLOEXEC);
		struct tvq_mapping *m;
		uint8_t *va;

		assert_int_equal(ftruncate(fd, (off_t)len[k]), 0);
		assert_int_equal(tvq_mapping_fd(fd, 0, len[k], true, &m, &va), 0);
		close(fd);
		assert_true(taken_is_mapped());
		m->put(m);
		assert_int_equal(tvq_mapping_count(), living);
		assert_true(threads_of_this_process() > threads_at_start);
		for (i = 0; i < 20000 && taken_is_mapped(); i++)
			usleep(1000);
		assert_false(taken_is_mapped());
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_bytes_are_mapped_once_and_others_apart),
		cmocka_unit_test(offset_and_length_need_no_alignment),
		cmocka_unit_test(what_cannot_be_mapped_is_refused),
		cmocka_unit_test(anonymous_mapping_is_zeroed_and_writable),
		cmocka_unit_test(thousands_of_mappings_are_each_found_when_they_vanish),
		cmocka_unit_test(truncated_memory_reads_zeroes_and_leaves_other_memory_alone),
		cmocka_unit_test(lost_mapping_is_not_given_to_anybody_new),
		cmocka_unit_test(read_only_memory_can_be_lost_too),
		cmocka_unit_test(
			memory_truncated_under_io_is_found_within_a_batch_and_harms_nobody_else),
		cmocka_unit_test(loss_that_two_threads_find_at_once_counts_once),
		cmocka_unit_test(bus_errors_of_others_go_where_they_went_before),
		cmocka_unit_test(memory_is_taken_down_by_another_thread),
	};

	if (argc > 1)
		return child(argv[1]);
	threads_at_start = threads_of_this_process();
	install_handler();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
