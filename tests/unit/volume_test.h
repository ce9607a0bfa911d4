/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the tests of volumes share: a loop with a channel on it, requests done one at a time or in
 * batches, scratch directories.
 */
#ifndef TVQ_TEST_VOLUME_H
#define TVQ_TEST_VOLUME_H

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <tvq/loop.h>
#include <tvq/volumes.h>

struct vt {
	struct tvq_loop *loop;
	struct tvq_volume *v;
	struct tvq_volume_channel *ch;
};

static unsigned int vt_done_calls;

static inline void vt_done(struct tvq_vreq *r)
{
	assert_int_not_equal(r->status, TVQ_VREQ_PENDING);
	vt_done_calls++;
}

/* Opens a channel on a volume, whose reference it takes. v NULL fails the test with what err says.
 */
static inline struct vt vt_open(struct tvq_volume *v, const char *err)
{
	struct tvq_loop_cfg cfg = { .cpu = -1, .name = "test" };
	struct vt t = { .v = v };
	int code;

	if (!v)
		fail_msg("%s", err);
	t.loop = tvq_loop_new(&cfg, &code);
	assert_non_null(t.loop);
	assert_int_equal(v->ops->open(v, tvq_loop_exec(t.loop), &t.ch), 0);
	return t;
}

static inline void vt_close(struct vt *t)
{
	t->v->ops->close(t->ch);
	tvq_volume_put(t->v);
	tvq_loop_free(t->loop);
	tvq_volume_settle();
}

/* Runs the requests; each one that was pending has to be told by exactly one call of done. */
static inline void vt_run(struct vt *t, struct tvq_vreq *const *r, unsigned int n)
{
	unsigned int pending = 0;

	vt_done_calls = 0;
	for (unsigned int i = 0; i < n; i++) {
		r[i]->status = TVQ_VREQ_PENDING;
		r[i]->done = vt_done;
	}
	t->v->ops->submit(t->ch, r, n);
	for (unsigned int i = 0; i < n; i++)
		pending += r[i]->status == TVQ_VREQ_PENDING;
	while (vt_done_calls < pending)
		tvq_loop_turn(t->loop, true);
	for (unsigned int i = 0; i < n; i++)
		assert_int_not_equal(r[i]->status, TVQ_VREQ_PENDING);
	assert_int_equal(vt_done_calls, pending);
}

static inline int vt_op(struct vt *t, unsigned int op, unsigned int flags, uint64_t offset,
			void *buf, uint64_t len)
{
	struct tvq_seg seg = { buf, len };
	struct tvq_vreq r = {
		.op = (uint8_t)op,
		.flags = (uint8_t)flags,
		.n_seg = buf != NULL,
		.offset = offset,
		.len = len,
		.seg = &seg,
	}, *p = &r;

	vt_run(t, &p, 1);
	return r.status;
}

static inline uint32_t vt_random(uint64_t *state)
{
	*state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(*state >> 33);
}

static inline void vt_fill(uint8_t *p, size_t len, uint64_t *state)
{
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)(vt_random(state) | 1);
}

/* A new directory; gone with vt_rmdir(). */
static inline void vt_tmpdir(char dir[64])
{
	strcpy(dir, "/var/tmp/tvq-test-XXXXXX");
	assert_non_null(mkdtemp(dir));
}

static inline void vt_rmdir(const char *dir)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", dir);
	assert_int_equal(system(cmd), 0);
}

/* An image of size bytes, all holes. */
static inline void vt_image(char path[128], const char *dir, const char *name, uint64_t size)
{
	int fd;

	snprintf(path, 128, "%s/%s", dir, name);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	close(fd);
}

/*
 * Random requests in batches, compared with a plain array. Memory is cut into random pieces at
 * addresses of any alignment. size is at most a few MiB. Never overlaps two requests of one batch.
 */
void vt_model(struct vt *t, uint64_t seed, unsigned int batches);

/* A claim of a pool's, and what came of it. */
struct vt_claim {
	struct tvq_claim c;
	bool completed;
	int err;
	struct tvq_volume *v;
};

static inline void vt_claimed(struct tvq_claim *c, int code, struct tvq_volume *v)
{
	struct vt_claim *cl = (struct vt_claim *)c;

	assert_false(cl->completed);
	assert_int_equal(code == 0, v != NULL);
	cl->completed = true;
	cl->err = code;
	cl->v = v;
}

#endif
