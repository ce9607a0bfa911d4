/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Makers: volumes for claims that name none. Memory is made in place; a file is made by a job,
 * since creating one blocks, and the claim completes when that is done. A made file is unlinked
 * when its volume goes (tvq_volume_file_made()).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"
#include "pool.h"

/* Numbers that leave room for the longest name and a dash. */
#define COUNTER_END 10000000000ULL
/* Names in a directory that are passed over when somebody else's files have them. */
#define NAME_TRIES  1000000

struct dir_job {
	struct tvq_job job;
	struct tvq_pool_maker *maker;
	struct tvq_claim *claim;
	uint64_t size, counter;
	struct tvq_volume *volume; /* result, or NULL and: */
	int code;		   /* -errno */
	char err[TVQ_VOLUME_ERR_LEN];
};

static void make_id(char *id, const char *name, uint64_t counter)
{
	_Static_assert(TVQ_MAKER_NAME_MAX + 1 + 10 == TVQ_VOLUME_ID_LEN, "the id holds both");
	snprintf(id, TVQ_VOLUME_ID_LEN + 1, "%.9s-%llu", name,
		 (unsigned long long)(counter % COUNTER_END));
}

/* The next id that no volume of the pool has. */
static void next_id(struct tvq_pool_maker *m, char *id)
{
	uint8_t key[TVQ_VOLUME_ID_LEN];

	do {
		m->counter = (m->counter + 1) % COUNTER_END;
		make_id(id, m->cfg.name, m->counter);
		memset(key, 0, sizeof(key));
		memcpy(key, id, strlen(id));
	} while (tvq_pool_has_id(m->pool, key));
}

/* Ends a claim whose volume could not be made. */
static void make_failed(struct tvq_pool_maker *m, struct tvq_claim *c, int code, const char *err)
{
	tvq_log(m->pool->control->os, TVQ_LOG_ERR, "maker %s: %s", m->cfg.name, err);
	m->volumes--;
	c->done(c, code, NULL);
}

/* Makes an empty file of that size. On success the path is in path. */
static int create_image(const struct dir_job *d, const char *id, char *path, size_t path_len,
			char *err)
{
	int fd, code;

	if ((size_t)snprintf(path, path_len, "%s/%s", d->maker->cfg.dir, id) >= path_len) {
		tvq_volume_fail(err, ENAMETOOLONG, "the path of directory \"%.128s\" is too long",
				d->maker->cfg.dir);
		return -ENAMETOOLONG;
	}
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0) {
		code = errno;
		tvq_volume_fail(err, code, "cannot create \"%.160s\": %s", path, strerror(code));
		return -code;
	}
	code = ftruncate(fd, (off_t)d->size) ? errno : 0;
	close(fd);
	if (code) {
		unlink(path);
		tvq_volume_fail(err, code, "cannot give \"%.128s\" %llu bytes: %s", path,
				(unsigned long long)d->size, strerror(code));
	}
	return -code;
}

static void dir_run(struct tvq_job *j)
{
	struct dir_job *d = tvq_volume_of(j, struct dir_job, job);
	char path[4096], id[TVQ_VOLUME_ID_LEN + 1];
	struct tvq_file_cfg cfg = { .path = path, .direct = d->maker->cfg.direct };

	/* A file that a daemon left when it was killed is somebody's data: another name is used. */
	for (unsigned int i = 0; i < NAME_TRIES; i++) {
		make_id(id, d->maker->cfg.name, d->counter);
		d->code = create_image(d, id, path, sizeof(path), d->err);
		if (d->code != -EEXIST)
			break;
		d->counter++;
	}
	if (d->code)
		return;
	d->volume = tvq_volume_file_made(id, &cfg, d->err);
	if (!d->volume) {
		d->code = -errno;
		unlink(path);
	}
}

static void dir_done(struct tvq_job *j)
{
	struct dir_job *d = tvq_volume_of(j, struct dir_job, job);

	/* The names up to here are not tried again. */
	if (d->counter > d->maker->counter)
		d->maker->counter = d->counter;
	if (d->volume)
		tvq_pool_made(d->maker->pool, d->maker, d->volume, d->claim);
	else
		make_failed(d->maker, d->claim, d->code, d->err);
	free(d);
}

static int make_in_dir(struct tvq_pool_maker *m, uint64_t size, struct tvq_claim *c)
{
	struct dir_job *d = calloc(1, sizeof(*d));
	char id[TVQ_VOLUME_ID_LEN + 1];

	if (!d)
		return -ENOMEM;
	next_id(m, id);
	m->volumes++;
	d->job.run = dir_run;
	d->job.done = dir_done;
	d->maker = m;
	d->claim = c;
	d->size = size;
	d->counter = m->counter;
	tvq_job_post(m->pool->control, &d->job);
	return 0;
}

static int make_in_memory(struct tvq_pool_maker *m, uint64_t size, struct tvq_claim *c)
{
	char id[TVQ_VOLUME_ID_LEN + 1], err[TVQ_VOLUME_ERR_LEN];
	struct tvq_volume *v;

	next_id(m, id);
	m->volumes++;
	if (m->cfg.kind == TVQ_MAKER_RAM)
		v = tvq_volume_ram(id, size, err);
	else
		v = tvq_volume_null(id, size, m->cfg.kind == TVQ_MAKER_NULL_ZERO, err);
	if (v)
		tvq_pool_made(m->pool, m, v, c);
	else
		make_failed(m, c, -errno, err);
	return 0;
}

int tvq_pool_make(struct tvq_volume_pool *p, unsigned int owner, struct tvq_claim *c)
{
	struct tvq_pool_maker *m = p->makers;
	uint64_t size;

	while (m && (!tvq_pool_sees(owner, m->cfg.owner) ||
		     (m->cfg.max_volumes && m->volumes >= m->cfg.max_volumes)))
		m = m->next;
	if (!m)
		return -ENOSPC;
	size = c->capacity ? c->capacity : m->cfg.default_size;
	return m->cfg.kind == TVQ_MAKER_DIR ? make_in_dir(m, size, c) : make_in_memory(m, size, c);
}

static struct tvq_pool_maker **maker_find(struct tvq_volume_pool *p, const char *name)
{
	struct tvq_pool_maker **at = &p->makers;

	while (*at && strcmp((*at)->cfg.name, name) != 0)
		at = &(*at)->next;
	return at;
}

static bool name_ok(const char *name)
{
	static const char ok[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	size_t len = name ? strlen(name) : 0;

	return len && len <= TVQ_MAKER_NAME_MAX && strspn(name, ok) == len && name[0] != '.';
}

static int dir_check(const char *dir, char *err)
{
	struct stat st;
	int code = 0;

	if (!dir || stat(dir, &st))
		code = dir ? errno : EINVAL;
	else if (!S_ISDIR(st.st_mode))
		code = ENOTDIR;
	else if (access(dir, W_OK | X_OK))
		code = errno;
	if (code)
		tvq_volume_fail(err, code,
				"volumes cannot be made in \"%.128s\": %s; it has to be a "
				"directory that may be written",
				dir ? dir : "", strerror(code));
	return -code;
}

static int cfg_check(struct tvq_volume_pool *p, const struct tvq_maker_cfg *cfg, char *err)
{
	struct tvq_volume_limits unused;

	if (!name_ok(cfg->name)) {
		tvq_volume_fail(err, EINVAL,
				"\"%.64s\" cannot name a maker: a name has 1 to %d of "
				"a-z A-Z 0-9 . _ - and does not start with a dot",
				cfg->name ? cfg->name : "", TVQ_MAKER_NAME_MAX);
		return -EINVAL;
	}
	if (*maker_find(p, cfg->name)) {
		tvq_volume_fail(err, EEXIST, "there is a maker \"%s\" already", cfg->name);
		return -EEXIST;
	}
	if (!tvq_volume_memory_limits(&unused, cfg->default_size, err))
		return -EINVAL;
	if (cfg->owner > TVQ_VOLUME_OWNERS) {
		tvq_volume_fail(err, EINVAL, "maker \"%s\" is for owner %u: expected 0 (any) to %d",
				cfg->name, cfg->owner, TVQ_VOLUME_OWNERS);
		return -EINVAL;
	}
	return cfg->kind == TVQ_MAKER_DIR ? dir_check(cfg->dir, err) : 0;
}

int tvq_volume_pool_add_maker(struct tvq_volume_pool *p, const struct tvq_maker_cfg *cfg, char *err)
{
	struct tvq_pool_maker *m;
	int code = cfg_check(p, cfg, err);

	if (code)
		return code;
	m = calloc(1, sizeof(*m));
	if (m) {
		m->cfg = *cfg;
		m->pool = p;
		m->cfg.name = strdup(cfg->name);
		m->cfg.dir = cfg->dir ? strdup(cfg->dir) : NULL;
	}
	if (!m || !m->cfg.name || (cfg->dir && !m->cfg.dir)) {
		tvq_volume_fail(err, ENOMEM, "no memory for maker \"%s\"", cfg->name);
		tvq_pool_maker_free(m);
		return -ENOMEM;
	}
	/* No maker's name is empty: this is the end of the list. */
	*maker_find(p, "") = m;
	return 0;
}

int tvq_volume_pool_prefer_maker(struct tvq_volume_pool *p, const char *name)
{
	struct tvq_pool_maker **at = maker_find(p, name), *m = *at;

	if (!m)
		return -ENOENT;
	*at = m->next;
	m->next = p->makers;
	p->makers = m;
	return 0;
}

int tvq_volume_pool_del_maker(struct tvq_volume_pool *p, const char *name)
{
	struct tvq_pool_maker **at = maker_find(p, name), *m = *at;

	if (!m)
		return -ENOENT;
	if (m->volumes)
		return -EBUSY;
	*at = m->next;
	tvq_pool_maker_free(m);
	return 0;
}

void tvq_pool_maker_free(struct tvq_pool_maker *m)
{
	if (!m)
		return;
	free((void *)(uintptr_t)m->cfg.name);
	free((void *)(uintptr_t)m->cfg.dir);
	free(m);
}

void tvq_volume_pool_each_maker(struct tvq_volume_pool *p,
				bool (*fn)(void *ctx, const struct tvq_maker_cfg *cfg), void *ctx)
{
	for (struct tvq_pool_maker *m = p->makers; m; m = m->next)
		if (!fn(ctx, &m->cfg))
			return;
}
