// SPDX-License-Identifier: BSD-3-Clause
/*
 * The world of an in-process run: a control thread's loop, workers, volumes and the management
 * device. A test that asks for other limits gets a world of its own.
 */
#include <stdlib.h>
#include <string.h>

#include <tvq/inproc.h>
#include <tvq/loop.h>
#include <tvq/volumes.h>

#include "conformance/ct.h"
#include "device/util.h"

#define VOLUME_BYTES (16u << 20)
#define MAX_WORKERS  8

/* ---- the slow volume ---- */

#define SLOW_MAX 256

struct ct_slow {
	struct tvq_volume volume;
	struct tvq_volume_channel ch;
	atomic_uint n;		      /* waiting */
	struct tvq_vreq *v[SLOW_MAX]; /* the channel's executor */
	struct tvq_msg release;
	atomic_bool releasing;
};

static int slow_open(struct tvq_volume *v, struct tvq_exec *e, struct tvq_volume_channel **ch)
{
	struct ct_slow *s = tvq_container_of(v, struct ct_slow, volume);

	s->ch.volume = v;
	s->ch.exec = e;
	*ch = &s->ch;
	return 0;
}

static void slow_close(struct tvq_volume_channel *ch)
{
	(void)ch;
}

static void slow_submit(struct tvq_volume_channel *ch, struct tvq_vreq *const *v, unsigned int n)
{
	struct ct_slow *s = tvq_container_of(ch, struct ct_slow, ch);

	for (unsigned int i = 0; i < n; i++) {
		unsigned int at = atomic_load(&s->n);

		if (at == SLOW_MAX) {
			v[i]->status = -ENOSPC;
			continue;
		}
		s->v[at] = v[i];
		atomic_store(&s->n, at + 1);
	}
}

static void slow_let_go(struct tvq_msg *m)
{
	struct ct_slow *s = tvq_container_of(m, struct ct_slow, release);
	unsigned int n = atomic_exchange(&s->n, 0);

	atomic_store(&s->releasing, false);
	for (unsigned int i = 0; i < n; i++) {
		s->v[i]->status = 0;
		s->v[i]->done(s->v[i]);
	}
}

unsigned int ct_slow_waiting(struct ct_slow *s)
{
	return atomic_load(&s->n);
}

void ct_slow_release(struct ct_slow *s)
{
	if (ct_slow_waiting(s) && !atomic_exchange(&s->releasing, true))
		tvq_exec_post(s->ch.exec, &s->release);
}

static void slow_destroy(struct tvq_volume *v)
{
	free(tvq_container_of(v, struct ct_slow, volume));
}

static const struct tvq_volume_ops slow_ops = {
	.type = "slow",
	.open = slow_open,
	.close = slow_close,
	.submit = slow_submit,
	.destroy = slow_destroy,
};

static struct ct_slow *slow_new(const char *id)
{
	struct ct_slow *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->volume.ops = &slow_ops;
	s->volume.limits = (struct tvq_volume_limits){
		.capacity = VOLUME_BYTES,
		.block_size = 512,
		.physical_block_size = 512,
		.can_discard = true,
		.can_zero = true,
	};
	memcpy(s->volume.id, id, strlen(id));
	s->volume.refs = 1;
	s->release.fn = slow_let_go;
	return s;
}

/* ---- the world ---- */

struct ct_world {
	struct tvq_loop *control;
	struct tvq_loop *workers[MAX_WORKERS];
	struct tvq_exec *execs[MAX_WORKERS];
	unsigned int n_workers;
	struct tvq_volume_pool *volumes;
	/* What the device sees: volumes, and the slow one to those who ask for it by its id. */
	struct tvq_pool pool;
	struct ct_slow *slow;
	bool slow_in_use;
};

static void claim(struct tvq_pool *p, struct tvq_claim *c)
{
	struct ct_world *w = tvq_container_of(p, struct ct_world, pool);
	struct tvq_pool *rest = tvq_volume_pool_pool(w->volumes);

	if (memcmp(c->id, w->slow->volume.id, sizeof(c->id)) != 0) {
		rest->ops->claim(rest, c);
	} else if (w->slow_in_use) {
		c->done(c, -EBUSY, NULL);
	} else {
		w->slow_in_use = true;
		c->done(c, 0, &w->slow->volume);
	}
}

static void release(struct tvq_pool *p, struct tvq_volume *v)
{
	struct ct_world *w = tvq_container_of(p, struct ct_world, pool);
	struct tvq_pool *rest = tvq_volume_pool_pool(w->volumes);

	if (v == &w->slow->volume)
		w->slow_in_use = false;
	else
		rest->ops->release(rest, v);
}

static const struct tvq_pool_ops pool_ops = { .claim = claim, .release = release };

static int add_volumes(struct ct_world *w, const struct ct_profile *p, struct ct *t)
{
	struct tvq_maker_cfg maker = { .kind = TVQ_MAKER_RAM,
				       .name = "made",
				       .default_size = VOLUME_BYTES };
	char err[TVQ_VOLUME_ERR_LEN];
	struct tvq_volume *rw = tvq_volume_ram(p->volume, VOLUME_BYTES, err);
	struct tvq_volume *ro = tvq_volume_ram(p->ro_volume, VOLUME_BYTES, err);

	w->slow = t->slow = slow_new(p->slow_volume);
	if (!rw || !ro || !w->slow)
		return -ENOMEM;
	w->pool.ops = &pool_ops;
	ro->limits.read_only = true;
	if (tvq_volume_pool_add(w->volumes, rw) || tvq_volume_pool_add(w->volumes, ro))
		return -EEXIST;
	return tvq_volume_pool_add_maker(w->volumes, &maker, err);
}

static int start_workers(struct ct_world *w, unsigned int n)
{
	struct tvq_loop_cfg cfg = { .poll_ns = 0, .cpu = -1, .name = "worker" };
	int err = 0;

	for (unsigned int i = 0; i < n && i < MAX_WORKERS && !err; i++) {
		w->workers[i] = tvq_loop_new(&cfg, &err);
		if (!w->workers[i])
			return err;
		w->n_workers++;
		w->execs[i] = tvq_loop_exec(w->workers[i]);
		err = tvq_loop_start(w->workers[i]);
	}
	return err;
}

struct ct_world *ct_world_new(const struct ct_options *o, const struct ct_limits *limits,
			      struct ct *t)
{
	struct tvq_loop_cfg cfg = { .poll_ns = 0, .cpu = -1, .name = "control" };
	struct ct_world *w = calloc(1, sizeof(*w));
	struct tvq_mgmt_cfg mgmt = { 0 };
	int err = 0;

	if (!w)
		return NULL;
	w->control = tvq_loop_new(&cfg, &err);
	if (!w->control)
		goto fail;
	w->volumes = tvq_volume_pool_new(tvq_loop_exec(w->control));
	if (!w->volumes || add_volumes(w, &o->profile, t) || start_workers(w, o->workers))
		goto fail;
	t->loop = w->control;
	mgmt.os = &tvq_os_host;
	mgmt.control = tvq_loop_exec(w->control);
	mgmt.workers = w->execs;
	mgmt.n_workers = w->n_workers;
	mgmt.type = o->type;
	mgmt.pool = &w->pool;
	mgmt.f_trnspt_vq = o->f_vq;
	mgmt.f_trnspt_vq_vdev = o->f_vdev;
	mgmt.max_devices = limits->max_devices;
	mgmt.max_vqs = limits->max_vqs;
	mgmt.max_vdev_vqs = limits->max_vdev_vqs;
	mgmt.max_depth = limits->max_depth;
	t->bus = tvq_inproc_new(&mgmt, &err);
	if (t->bus)
		return w;
fail:
	ct_world_free(w, t);
	return NULL;
}

void ct_world_free(struct ct_world *w, struct ct *t)
{
	if (t->slow)
		ct_slow_release(t->slow);
	if (t->bus)
		t->bus->ops->free(t->bus);
	t->bus = NULL;
	if (w->volumes)
		tvq_volume_pool_free(w->volumes);
	for (unsigned int i = 0; i < w->n_workers; i++) {
		tvq_loop_stop(w->workers[i]);
		tvq_loop_join(w->workers[i]);
		tvq_loop_free(w->workers[i]);
	}
	if (w->control)
		tvq_loop_free(w->control);
	t->loop = NULL;
	if (w->slow)
		tvq_volume_put(&w->slow->volume);
	t->slow = NULL;
	free(w);
}
