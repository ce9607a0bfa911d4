/* SPDX-License-Identifier: BSD-3-Clause */
/* The pool of volumes: claims, releases, makers. */
#include <dirent.h>

#include "volume_test.h"

#define MIB (1ULL << 20)

static char err[TVQ_VOLUME_ERR_LEN];

struct fixture {
	struct tvq_loop *loop;
	struct tvq_volume_pool *p;
	struct tvq_pool *pool;
};

static int set_up(void **state)
{
	struct tvq_loop_cfg cfg = { .cpu = -1, .name = "test" };
	struct fixture *f = calloc(1, sizeof(*f));
	int code;

	f->loop = tvq_loop_new(&cfg, &code);
	f->p = tvq_volume_pool_new(tvq_loop_exec(f->loop));
	f->pool = tvq_volume_pool_pool(f->p);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	tvq_volume_pool_free(f->p);
	tvq_volume_settle();
	tvq_loop_free(f->loop);
	free(f);
	return 0;
}

/* NULL id: any. NULL, with errno set, where it fails. */
static struct tvq_volume *claim(struct fixture *f, const char *id, uint64_t capacity,
				bool read_only)
{
	struct vt_claim cl = {
		.c = { .capacity = capacity, .read_only = read_only, .done = vt_claimed }
	};

	if (id)
		memcpy(cl.c.id, id, strlen(id));
	f->pool->ops->claim(f->pool, &cl.c);
	while (!cl.completed)
		tvq_loop_turn(f->loop, true);
	errno = -cl.err;
	return cl.v;
}

static void release(struct fixture *f, struct tvq_volume *v)
{
	f->pool->ops->release(f->pool, v);
}

static void add(struct fixture *f, const char *id, uint64_t size, bool read_only)
{
	struct tvq_volume *v = tvq_volume_null(id, size, false, err);

	assert_non_null(v);
	v->limits.read_only = read_only;
	assert_int_equal(tvq_volume_pool_add(f->p, v), 0);
}

static void add_maker(struct fixture *f, enum tvq_maker_kind kind, const char *name,
		      const char *dir, uint64_t max)
{
	struct tvq_maker_cfg cfg = {
		.kind = kind,
		.name = name,
		.dir = dir,
		.default_size = MIB,
		.max_volumes = max,
	};

	assert_int_equal(tvq_volume_pool_add_maker(f->p, &cfg, err), 0);
}

static void assert_id(const struct tvq_volume *v, const char *id)
{
	char have[TVQ_VOLUME_ID_LEN + 1] = { 0 };

	assert_non_null(v);
	memcpy(have, v->id, TVQ_VOLUME_ID_LEN);
	assert_string_equal(have, id);
}

static unsigned int files_in(const char *dir)
{
	DIR *d = opendir(dir);
	unsigned int n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

/* TQ-143 */
static void a_volume_serves_one_device_at_a_time(void **state)
{
	struct fixture *f = *state;
	struct tvq_volume *v;

	add(f, "a", MIB, false);
	v = claim(f, "a", 0, false);
	assert_id(v, "a");
	assert_null(claim(f, "a", 0, false));
	assert_int_equal(errno, EBUSY);
	assert_null(claim(f, NULL, 0, false));
	assert_int_equal(errno, ENOSPC);
	release(f, v);
	assert_ptr_equal(claim(f, "a", MIB, false), v);
	release(f, v);
}

/* TQ-143 */
static void a_named_volume_is_checked_for_name_capacity_and_read_only(void **state)
{
	struct fixture *f = *state;
	struct tvq_volume *v;

	add(f, "rw", MIB, false);
	add(f, "ro", MIB, true);
	assert_null(claim(f, "no", 0, false));
	assert_int_equal(errno, ENOENT);
	assert_null(claim(f, "rw", 2 * MIB, false));
	assert_int_equal(errno, EINVAL);
	assert_null(claim(f, "ro", 0, false));
	assert_int_equal(errno, EROFS);
	v = claim(f, "ro", 0, true);
	assert_id(v, "ro");
	release(f, v);
	v = claim(f, "rw", MIB, true);
	assert_id(v, "rw");
	release(f, v);
}

/* TQ-143 */
static void a_claim_without_a_name_gets_what_has_been_free_for_longest(void **state)
{
	struct fixture *f = *state;
	struct tvq_volume *a, *b, *c;

	add(f, "a", MIB, false);
	add(f, "b", 2 * MIB, false);
	add(f, "c", MIB, false);
	a = claim(f, NULL, 0, false);
	assert_id(a, "a");
	b = claim(f, NULL, 2 * MIB, false);
	assert_id(b, "b");
	assert_null(claim(f, NULL, 2 * MIB, false));
	assert_int_equal(errno, ENOSPC);
	release(f, a);
	c = claim(f, NULL, MIB, false);
	assert_id(c, "c");
	release(f, b);
	a = claim(f, NULL, 0, false);
	assert_id(a, "a");
	release(f, a);
	release(f, c);
}

/* TQ-143 */
static void a_read_only_volume_is_given_only_to_a_device_that_offers_ro(void **state)
{
	struct fixture *f = *state;
	struct tvq_volume *v, *w;

	add(f, "ro", MIB, true);
	add(f, "rw", MIB, false);
	v = claim(f, NULL, 0, false);
	assert_id(v, "rw");
	assert_null(claim(f, NULL, 0, false));
	w = claim(f, NULL, MIB, true);
	assert_id(w, "ro");
	release(f, v);
	release(f, w);
	/* Now rw has been free for longer. */
	v = claim(f, NULL, 0, true);
	assert_id(v, "rw");
	release(f, v);
}

static void a_volume_in_use_cannot_be_taken_out_of_the_pool(void **state)
{
	struct fixture *f = *state;
	struct tvq_volume *v, *same = tvq_volume_null("a", MIB, false, err);

	add(f, "a", MIB, false);
	assert_int_equal(tvq_volume_pool_add(f->p, same), -EEXIST);
	tvq_volume_put(same);
	v = claim(f, "a", 0, false);
	assert_int_equal(tvq_volume_pool_del(f->p, "a"), -EBUSY);
	release(f, v);
	assert_int_equal(tvq_volume_pool_del(f->p, "a"), 0);
	assert_int_equal(tvq_volume_pool_del(f->p, "a"), -ENOENT);
	assert_int_equal(tvq_volume_pool_del(f->p, "a name that is longer than any id"), -ENOENT);
	assert_null(claim(f, NULL, 0, false));
	add(f, "a", MIB, false);
}

/* TQ-143 */
static void a_maker_makes_a_volume_where_none_is_free_and_it_goes_with_its_device(void **state)
{
	struct fixture *f = *state;
	struct tvq_volume *a, *v, *w;

	add_maker(f, TVQ_MAKER_RAM, "ram", NULL, 2);
	add_maker(f, TVQ_MAKER_NULL_ZERO, "zero", NULL, 0);
	add(f, "a", MIB, false);
	a = claim(f, NULL, 0, false);
	assert_id(a, "a");
	v = claim(f, NULL, 8 * MIB, false);
	assert_id(v, "ram-1");
	assert_string_equal(v->ops->type, "ram");
	assert_int_equal(v->limits.capacity, 8 * MIB);
	w = claim(f, NULL, 0, false);
	assert_id(w, "ram-2");
	assert_int_equal(w->limits.capacity, MIB);
	assert_null(claim(f, "ram-1", 0, false));
	assert_int_equal(errno, EBUSY);
	assert_int_equal(tvq_volume_pool_del_maker(f->p, "ram"), -EBUSY);
	release(f, v);
	assert_null(claim(f, "ram-1", 0, false));
	assert_int_equal(errno, ENOENT);
	release(f, w);
	/* What is free is taken before anything is made. */
	release(f, a);
	assert_ptr_equal(claim(f, NULL, 0, false), a);
	release(f, a);
	assert_int_equal(tvq_volume_pool_del_maker(f->p, "ram"), 0);
	assert_int_equal(tvq_volume_pool_del_maker(f->p, "ram"), -ENOENT);
}

static void the_next_maker_steps_in_where_the_first_is_at_its_bound(void **state)
{
	struct fixture *f = *state;
	struct tvq_volume *v, *w;

	add_maker(f, TVQ_MAKER_RAM, "ram", NULL, 1);
	add_maker(f, TVQ_MAKER_NULL, "null", NULL, 1);
	v = claim(f, NULL, 0, false);
	w = claim(f, NULL, 0, false);
	assert_id(w, "null-1");
	assert_null(claim(f, NULL, 0, false));
	assert_int_equal(errno, ENOSPC);
	release(f, v);
	v = claim(f, NULL, 0, false);
	assert_id(v, "ram-2");
	release(f, v);
	release(f, w);
}

static void a_preferred_maker_is_asked_before_the_others(void **state)
{
	struct fixture *f = *state;
	struct tvq_volume *v, *w;

	add_maker(f, TVQ_MAKER_RAM, "ram", NULL, 0);
	add_maker(f, TVQ_MAKER_NULL, "null", NULL, 0);
	add_maker(f, TVQ_MAKER_NULL_ZERO, "zero", NULL, 1);
	assert_int_equal(tvq_volume_pool_prefer_maker(f->p, "zero"), 0);
	assert_int_equal(tvq_volume_pool_prefer_maker(f->p, "none"), -ENOENT);
	v = claim(f, NULL, 0, false);
	assert_id(v, "zero-1");
	w = claim(f, NULL, 0, false);
	assert_id(w, "ram-1");
	release(f, v);
	release(f, w);
}

static void a_made_volume_does_not_take_an_id_that_is_there(void **state)
{
	struct fixture *f = *state;
	struct tvq_volume *v;

	add_maker(f, TVQ_MAKER_NULL, "n", NULL, 0);
	add(f, "n-1", 512, true);
	v = claim(f, NULL, 0, false);
	assert_id(v, "n-2");
	release(f, v);
}

static void makers_that_cannot_work_are_refused(void **state)
{
	static const struct {
		struct tvq_maker_cfg cfg;
		int code;
		const char *says;
	} bad[] = {
		{ { TVQ_MAKER_RAM, "ten letters", NULL, false, MIB, 0, 0 },
		  -EINVAL,
		  "ten letters" },
		{ { TVQ_MAKER_RAM, "", NULL, false, MIB, 0, 0 }, -EINVAL, "cannot name" },
		{ { TVQ_MAKER_RAM, "a/b", NULL, false, MIB, 0, 0 }, -EINVAL, "a/b" },
		{ { TVQ_MAKER_RAM, "..", NULL, false, MIB, 0, 0 }, -EINVAL, ".." },
		{ { TVQ_MAKER_RAM, "r", NULL, false, 1000, 0, 0 }, -EINVAL, "1000" },
		{ { TVQ_MAKER_RAM, "there", NULL, false, MIB, 0, 0 }, -EEXIST, "there" },
		{ { TVQ_MAKER_DIR, "d", "/nonexistent/x", false, MIB, 0, 0 },
		  -ENOENT,
		  "/nonexistent/x" },
		{ { TVQ_MAKER_DIR, "d", "/dev/null", false, MIB, 0, 0 }, -ENOTDIR, "/dev/null" },
		{ { TVQ_MAKER_DIR, "d", NULL, false, MIB, 0, 0 }, -EINVAL, "directory" },
	};
	struct fixture *f = *state;

	add_maker(f, TVQ_MAKER_RAM, "there", NULL, 0);
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		err[0] = 0;
		assert_int_equal(tvq_volume_pool_add_maker(f->p, &bad[i].cfg, err), bad[i].code);
		assert_non_null(strstr(err, bad[i].says));
	}
}

static void a_directory_makes_thin_files_and_unlinks_them(void **state)
{
	struct fixture *f = *state;
	struct tvq_volume *v, *w;
	char dir[64], path[128];
	struct stat st;

	vt_tmpdir(dir);
	/* Left by a daemon that was killed, perhaps with data. */
	vt_image(path, dir, "d-1", 512);
	add_maker(f, TVQ_MAKER_DIR, "d", dir, 0);
	v = claim(f, NULL, 512 * MIB, false);
	assert_id(v, "d-2");
	w = claim(f, NULL, 0, false);
	assert_id(w, "d-3");
	snprintf(path, sizeof(path), "%s/d-2", dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 512 * MIB);
	assert_true(st.st_blocks < 64);
	assert_int_equal(tvq_volume_pool_del_maker(f->p, "d"), -EBUSY);
	release(f, v);
	release(f, w);
	tvq_volume_settle();
	assert_int_equal(files_in(dir), 1);
	assert_int_equal(tvq_volume_pool_del_maker(f->p, "d"), 0);
	vt_rmdir(dir);
}

static void a_directory_that_went_fails_the_claim_and_nothing_else(void **state)
{
	struct fixture *f = *state;
	struct tvq_volume *v;
	char dir[64];

	vt_tmpdir(dir);
	add_maker(f, TVQ_MAKER_DIR, "d", dir, 1);
	vt_rmdir(dir);
	assert_null(claim(f, NULL, 0, false));
	assert_int_equal(errno, ENOENT);
	assert_int_equal(mkdir(dir, 0700), 0);
	/* The failed one does not count. */
	v = claim(f, NULL, 0, false);
	assert_non_null(v);
	release(f, v);
	tvq_volume_settle();
	vt_rmdir(dir);
}

static void files_are_not_made_on_the_control_executor(void **state)
{
	struct fixture *f = *state;
	struct vt_claim cl = { .c = { .done = vt_claimed } };
	char dir[64];

	vt_tmpdir(dir);
	add_maker(f, TVQ_MAKER_DIR, "d", dir, 0);
	f->pool->ops->claim(f->pool, &cl.c);
	assert_false(cl.completed);
	while (!cl.completed)
		tvq_loop_turn(f->loop, true);
	assert_int_equal(cl.err, 0);
	release(f, cl.v);
	tvq_volume_settle();
	vt_rmdir(dir);
}

static bool count(void *ctx, const struct tvq_volume_info *info)
{
	unsigned int *n = ctx;

	n[0]++;
	n[1] += info->in_use;
	n[2] += info->made;
	return n[0] < 1000000;
}

static bool count_maker(void *ctx, const struct tvq_maker_cfg *cfg)
{
	assert_string_equal(cfg->name, "ram");
	++*(unsigned int *)ctx;
	return true;
}

static void sixty_thousand_volumes_come_and_go(void **state)
{
	enum { N = 60000 };
	struct fixture *f = *state;
	struct tvq_volume **v = calloc(N, sizeof(*v));
	unsigned int n[3] = { 0 }, makers = 0;
	char id[24];

	add_maker(f, TVQ_MAKER_RAM, "ram", NULL, 0);
	/* Half of them added, of as many capacities. */
	for (unsigned int i = 0; i < N / 2; i++) {
		snprintf(id, sizeof(id), "v%u", i);
		add(f, id, (i + 1) * 512ULL, false);
	}
	for (unsigned int i = 0; i < N / 2; i++) {
		v[i] = claim(f, NULL, (i + 1) * 512ULL, false);
		snprintf(id, sizeof(id), "v%u", i);
		assert_id(v[i], id);
	}
	for (unsigned int i = N / 2; i < N; i++) {
		v[i] = claim(f, NULL, 0, false);
		assert_non_null(v[i]);
	}
	tvq_volume_pool_each(f->p, count, n);
	tvq_volume_pool_each_maker(f->p, count_maker, &makers);
	assert_int_equal(n[0], N);
	assert_int_equal(n[1], N);
	assert_int_equal(n[2], N / 2);
	assert_int_equal(makers, 1);
	for (unsigned int i = 0; i < N; i++)
		release(f, v[i]);
	memset(n, 0, sizeof(n));
	tvq_volume_pool_each(f->p, count, n);
	assert_int_equal(n[0], N / 2);
	assert_int_equal(n[1], 0);
	for (unsigned int i = 0; i < N / 2; i++) {
		snprintf(id, sizeof(id), "v%u", i);
		assert_int_equal(tvq_volume_pool_del(f->p, id), 0);
	}
	free(v);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_volume_serves_one_device_at_a_time),
		TEST(a_named_volume_is_checked_for_name_capacity_and_read_only),
		TEST(a_claim_without_a_name_gets_what_has_been_free_for_longest),
		TEST(a_read_only_volume_is_given_only_to_a_device_that_offers_ro),
		TEST(a_volume_in_use_cannot_be_taken_out_of_the_pool),
		TEST(a_maker_makes_a_volume_where_none_is_free_and_it_goes_with_its_device),
		TEST(the_next_maker_steps_in_where_the_first_is_at_its_bound),
		TEST(a_preferred_maker_is_asked_before_the_others),
		TEST(a_made_volume_does_not_take_an_id_that_is_there),
		TEST(makers_that_cannot_work_are_refused),
		TEST(a_directory_makes_thin_files_and_unlinks_them),
		TEST(a_directory_that_went_fails_the_claim_and_nothing_else),
		TEST(files_are_not_made_on_the_control_executor),
		TEST(sixty_thousand_volumes_come_and_go),
	};

	return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
