/* SPDX-License-Identifier: BSD-3-Clause */
/* Owners of volumes: what each sees of the pool that they share. */
#include "volume_test.h"

#define MIB (1ULL << 20)

enum { ANY = TVQ_VOLUME_ANY, ONE, TWO };

static char err[TVQ_VOLUME_ERR_LEN];

static int set_up(void **state)
{
	/* All volumes here are made at once: nothing is posted to an executor. */
	*state = tvq_volume_pool_new(NULL);
	return 0;
}

static int tear_down(void **state)
{
	tvq_volume_pool_free(*state);
	return 0;
}

static void add(struct tvq_volume_pool *p, const char *id, unsigned int owner, bool read_only)
{
	struct tvq_volume *v = tvq_volume_null(id, MIB, false, err);

	assert_non_null(v);
	v->limits.read_only = read_only;
	assert_int_equal(tvq_volume_pool_add_for(p, v, owner), 0);
}

static void add_maker(struct tvq_volume_pool *p, const char *name, unsigned int owner)
{
	struct tvq_maker_cfg cfg = {
		.kind = TVQ_MAKER_RAM,
		.name = name,
		.default_size = MIB,
		.owner = owner,
	};

	assert_int_equal(tvq_volume_pool_add_maker(p, &cfg, err), 0);
}

static struct vt_claim claim(struct tvq_volume_pool *p, unsigned int owner, const char *id,
			     uint64_t capacity, bool read_only)
{
	struct tvq_pool *view = tvq_volume_pool_view(p, owner);
	struct vt_claim cl = {
		.c = { .capacity = capacity, .read_only = read_only, .done = vt_claimed }
	};

	memcpy(cl.c.id, id, strlen(id));
	view->ops->claim(view, &cl.c);
	assert_true(cl.completed);
	return cl;
}

/* id "": none. */
static void refused(struct tvq_volume_pool *p, unsigned int owner, const char *id, int code)
{
	assert_int_equal(claim(p, owner, id, 0, false).err, code);
	assert_int_equal(claim(p, owner, id, 0, true).err, code);
	assert_int_equal(claim(p, owner, id, MIB, false).err, code);
}

static void release(struct tvq_volume_pool *p, unsigned int owner, struct tvq_volume *v)
{
	struct tvq_pool *view = tvq_volume_pool_view(p, owner);

	view->ops->release(view, v);
}

static struct tvq_volume *take(struct tvq_volume_pool *p, unsigned int owner, const char *id,
			       uint64_t capacity, const char *expected)
{
	struct vt_claim cl = claim(p, owner, id, capacity, false);
	char have[TVQ_VOLUME_ID_LEN + 1] = { 0 };

	assert_int_equal(cl.err, 0);
	memcpy(have, cl.v->id, TVQ_VOLUME_ID_LEN);
	assert_string_equal(have, expected);
	return cl.v;
}

/* TQ-143 */
static void volume_of_another_owner_is_not_there_by_its_id(void **state)
{
	struct tvq_volume_pool *p = *state;
	struct tvq_volume *v;

	add(p, "1", ONE, false);
	add(p, "2", TWO, false);
	add(p, "r", TWO, true);
	refused(p, ONE, "2", -ENOENT);
	refused(p, ANY, "2", -ENOENT);
	refused(p, TWO, "1", -ENOENT);
	/* Nor whether it is read-only, what it has, and whether it is in use. */
	refused(p, ONE, "r", -ENOENT);
	assert_int_equal(claim(p, ONE, "2", 2 * MIB, false).err, -ENOENT);
	v = take(p, TWO, "2", 0, "2");
	refused(p, ONE, "2", -ENOENT);
	refused(p, TWO, "2", -EBUSY);
	release(p, TWO, v);
	refused(p, ONE, "2", -ENOENT);
	release(p, TWO, take(p, TWO, "2", MIB, "2"));
	release(p, ONE, take(p, ONE, "1", MIB, "1"));
}

/* TQ-143 */
static void volume_of_another_owner_is_never_the_first_free_one(void **state)
{
	struct tvq_volume_pool *p = *state;
	struct tvq_volume *v;

	add(p, "2", TWO, false);
	add(p, "r", TWO, true);
	refused(p, ONE, "", -ENOSPC);
	refused(p, ANY, "", -ENOSPC);
	for (uint64_t capacity = 0; capacity <= MIB; capacity += MIB) {
		v = take(p, TWO, "", capacity, "2");
		refused(p, ONE, "", -ENOSPC);
		release(p, TWO, v);
		refused(p, ONE, "", -ENOSPC);
		refused(p, ANY, "", -ENOSPC);
	}
}

/* TQ-143 */
static void volume_for_any_and_an_owners_own_are_given_out_as_long_as_they_were_free(void **state)
{
	struct tvq_volume_pool *p = *state;
	struct tvq_volume *any, *one;

	add(p, "2", TWO, false);
	add(p, "any", ANY, false);
	add(p, "1", ONE, false);
	for (uint64_t capacity = 0; capacity <= MIB; capacity += MIB) {
		any = take(p, ONE, "", capacity, "any");
		one = take(p, ONE, "", capacity, "1");
		refused(p, ONE, "", -ENOSPC);
		refused(p, ANY, "any", -EBUSY);
		release(p, ONE, one);
		release(p, ONE, any);
		one = take(p, ONE, "", capacity, "1");
		/* By whosever view it was taken last. */
		any = take(p, ANY, "", capacity, "any");
		refused(p, ANY, "", -ENOSPC);
		release(p, ANY, any);
		release(p, ONE, one);
	}
	release(p, TWO, take(p, TWO, "2", 0, "2"));
}

static void maker_of_one_owner_makes_nothing_for_another(void **state)
{
	struct tvq_volume_pool *p = *state;
	struct tvq_volume *v, *w;

	add_maker(p, "own", TWO);
	refused(p, ONE, "", -ENOSPC);
	refused(p, ANY, "", -ENOSPC);
	v = take(p, TWO, "", 0, "own-1");
	refused(p, ONE, "own-1", -ENOENT);
	refused(p, TWO, "own-1", -EBUSY);
	/* One that stands behind it is for any. */
	add_maker(p, "any", ANY);
	w = take(p, ONE, "", 0, "any-1");
	release(p, ONE, w);
	release(p, TWO, v);
	release(p, TWO, take(p, TWO, "", 0, "own-2"));
}

static bool has_its_owner(void *ctx, const struct tvq_volume_info *info)
{
	unsigned int *seen = ctx;

	assert_int_equal(info->owner, (unsigned int)(info->id[0] - '0'));
	++*seen;
	return true;
}

static void all_are_listed_each_with_its_owner(void **state)
{
	struct tvq_volume_pool *p = *state;
	unsigned int seen = 0;
	struct tvq_volume *v;

	add_maker(p, "2", TWO);
	v = take(p, TWO, "", 0, "2-1");
	add(p, "0", ANY, false);
	add(p, "1", ONE, false);
	tvq_volume_pool_each(p, has_its_owner, &seen);
	assert_int_equal(seen, 3);
	release(p, TWO, v);
}

static void ids_are_those_of_all_owners(void **state)
{
	struct tvq_volume_pool *p = *state;
	struct tvq_volume *same = tvq_volume_null("1", MIB, false, err);

	add(p, "1", ONE, false);
	assert_int_equal(tvq_volume_pool_add_for(p, same, TWO), -EEXIST);
	assert_int_equal(tvq_volume_pool_add(p, same), -EEXIST);
	assert_int_equal(tvq_volume_pool_del(p, "1"), 0);
	/* Whose it was is forgotten with it. */
	assert_int_equal(tvq_volume_pool_add_for(p, same, TWO), 0);
	refused(p, ONE, "1", -ENOENT);
	release(p, TWO, take(p, TWO, "", MIB, "1"));
}

static void owner_that_there_is_not_is_refused(void **state)
{
	struct tvq_volume_pool *p = *state;
	struct tvq_volume *v = tvq_volume_null("v", MIB, false, err);
	struct tvq_maker_cfg cfg = {
		.kind = TVQ_MAKER_RAM,
		.name = "ram",
		.default_size = MIB,
		.owner = TVQ_VOLUME_OWNERS + 1,
	};

	assert_int_equal(tvq_volume_pool_add_for(p, v, TVQ_VOLUME_OWNERS + 1), -EINVAL);
	tvq_volume_put(v);
	assert_int_equal(tvq_volume_pool_add_maker(p, &cfg, err), -EINVAL);
	assert_string_equal(err, "maker \"ram\" is for owner 3: expected 0 (any) to 2");
	assert_null(tvq_volume_pool_view(p, TVQ_VOLUME_OWNERS + 1));
	assert_non_null(tvq_volume_pool_view(p, TVQ_VOLUME_OWNERS));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(volume_of_another_owner_is_not_there_by_its_id),
		TEST(volume_of_another_owner_is_never_the_first_free_one),
		TEST(volume_for_any_and_an_owners_own_are_given_out_as_long_as_they_were_free),
		TEST(maker_of_one_owner_makes_nothing_for_another),
		TEST(all_are_listed_each_with_its_owner),
		TEST(ids_are_those_of_all_owners),
		TEST(owner_that_there_is_not_is_refused),
	};

	return cmocka_run_group_tests_name("volume owners", tests, NULL, NULL);
}
