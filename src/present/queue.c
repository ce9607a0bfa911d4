/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rings: what the front end says of them, and the steps that start and stop them.
 *
 * A ring is the front end's from SET_VRING_KICK to GET_VRING_BASE. Its kick goes to the device's
 * own worker (notify_fd), its call is the target of the queue's MSI (msi_fd), so that nothing of
 * the presenter is on the data path.
 *
 * After each start, and after each change of the call descriptor, one call is made that nobody
 * asked for: what was used while the front end looked at another descriptor, or was away, might
 * have been announced there.
 */
#include <errno.h>
#include <unistd.h>

#include <present/internal.h>

void vu_ring_init(struct vu_vring *v, uint16_t index)
{
	v->index = index;
	v->kick_fd = -1;
	v->call_fd = -1;
	v->err_fd = -1;
}

void vu_ring_forget(struct vu_conn *c, struct vu_vring *v)
{
	tvq_fd_close(c->p->loop, v->kick_fd);
	tvq_fd_close(c->p->loop, v->call_fd);
	tvq_fd_close(c->p->loop, v->err_fd);
}

bool vu_ring_wanted(const struct vu_conn *c, const struct vu_vring *v)
{
	bool enabled = v->enabled || !(c->features >> VU_F_PROTOCOL_FEATURES & 1);

	return enabled && v->has_kick && v->has_addr && v->num && c->features_set && !c->hold &&
	       !c->hold_table && !c->want_reset && !c->leaving_link && !v->restart && !v->lost;
}

bool vu_any_running(const struct vu_conn *c)
{
	unsigned int i;

	for (i = 0; i < c->n_rings; i++) {
		if (c->ring[i].running)
			return true;
	}
	return false;
}

bool vu_any_wanted(const struct vu_conn *c)
{
	unsigned int i;

	for (i = 0; i < c->n_rings; i++) {
		if (vu_ring_wanted(c, &c->ring[i]))
			return true;
	}
	return false;
}

static void drop_kick(struct vu_conn *c, struct vu_vring *v)
{
	tvq_fd_close(c->p->loop, v->kick_fd);
	v->kick_fd = -1;
	v->has_kick = false;
}

void vu_rings_stop(struct vu_conn *c, bool all)
{
	unsigned int i;

	for (i = 0; i < c->n_rings; i++) {
		struct vu_vring *v = &c->ring[i];

		drop_kick(c, v);
		v->lost = false;
		if (!all)
			continue;
		v->enabled = false;
		v->has_addr = false;
		v->num = 0;
	}
}

void vu_msi_free(struct vu_conn *c, struct vu_msi *m)
{
	if (m->set)
		c->p->bus->ops->msi_fd_free(c->p->bus, m->addr, m->data);
	m->set = false;
}

void vu_rings_free_msi(struct vu_conn *c)
{
	unsigned int i;

	for (i = 0; i < c->n_rings; i++) {
		vu_msi_free(c, &c->ring[i].msi);
		vu_msi_free(c, &c->ring[i].old_msi);
	}
}

/* Watches the ring's kick, or nothing, as part of a step. */
static void watch_kick(struct vu_conn *c, struct vu_vring *v, int fd)
{
	struct tvq_bus *b = c->p->bus;
	int err;

	vu_step_get(c);
	v->watched = fd != TVQ_NOTIFY_NONE;
	err = b->ops->notify_fd(b, v->area, v->index, fd, &c->bus_done);
	if (err)
		vu_step_put(c, err);
}

static int kick_of(const struct vu_vring *v)
{
	return v->kick_fd < 0 ? TVQ_NOTIFY_POLL : v->kick_fd;
}

/* Stopping. The device's ack means that nothing is in flight any more (TQ-096). */

static bool stopping(const struct vu_conn *c, const struct vu_vring *v)
{
	return v->running && !vu_ring_wanted(c, v);
}

static void stopped(struct vu_conn *c, int err)
{
	unsigned int i;

	/* Without a position a restart would do requests twice. The front end finds it by itself,
	 * from the used index, when it has to connect again. */
	if (err) {
		vu_step_fail(c, err, NULL);
		return;
	}
	for (i = 0; i < c->n_rings; i++) {
		struct vu_vring *v = &c->ring[i];

		if (!stopping(c, v))
			continue;
		v->running = false;
		v->restart = false;
		v->base = v->avail_idx | (vu_packed(c) ? (uint32_t)v->used_idx << 16 : 0);
		v->told = true;
		v->told_base = v->base;
		vu_msi_free(c, &v->msi);
	}
	vu_sync(c);
}

bool vu_step_stop_rings(struct vu_conn *c)
{
	struct tvq_seq *s = NULL;
	bool any = false;
	unsigned int i;

	for (i = 0; i < c->n_rings; i++) {
		struct vu_vring *v = &c->ring[i];

		if (!stopping(c, v)) {
			if (!v->running)
				v->restart = false;
			continue;
		}
		if (!any) {
			vu_step_begin(c, stopped);
			s = vu_seq(c);
			any = true;
		}
		if (v->watched)
			watch_kick(c, v, TVQ_NOTIFY_NONE);
		if (!s)
			continue;
		tvq_seq_vq_enable(s, v->index, 0);
		tvq_seq_vq_index_get(s, v->index, vu_packed(c), &v->avail_idx, &v->used_idx);
		tvq_seq_msi_vq_enable(s, v->index, VIRTIO_TRANSPTQ_MSI_DISABLE);
	}
	if (!any)
		return false;
	vu_step_run(c, s);
	vu_step_put(c, 0);
	return true;
}

/* Starting, one ring a step: the transportq is no place to save round trips at, and errors have a
 * name. */

static struct vu_vring *starting(struct vu_conn *c)
{
	unsigned int i;

	for (i = 0; i < c->n_rings; i++) {
		if (!c->ring[i].running && vu_ring_wanted(c, &c->ring[i]))
			return &c->ring[i];
	}
	return NULL;
}

static void started(struct vu_conn *c, int err)
{
	struct vu_vring *v = starting(c);

	if (err) {
		vu_step_fail(c, err, NULL);
		return;
	}
	v->running = true;
	vu_signal(c, v->call_fd);
	vu_sync(c);
}

static void enabled(struct vu_conn *c, int err)
{
	struct vu_vring *v = starting(c);

	if (err) {
		if (c->step_failed)
			vu_log(c, TVQ_LOG_ERR,
			       "queue %u: size %u, areas at %#llx %#llx %#llx, base %#x", v->index,
			       v->num, (unsigned long long)v->desc, (unsigned long long)v->avail,
			       (unsigned long long)v->used, v->base);
		vu_step_fail(c, err, NULL);
		return;
	}
	vu_step_begin(c, started);
	watch_kick(c, v, kick_of(v));
	vu_step_put(c, 0);
}

/* The pair for the ring's call descriptor. 0, also where there is none. */
static int call_msi(struct vu_conn *c, const struct vu_vring *v, struct vu_msi *m)
{
	struct tvq_bus *b = c->p->bus;
	int err;

	if (v->call_fd < 0)
		return 0;
	err = b->ops->msi_fd(b, v->call_fd, &m->addr, &m->data);
	m->set = !err;
	return err;
}

static void add_msi(struct tvq_seq *s, const struct vu_vring *v)
{
	if (v->msi.set) {
		tvq_seq_msi_vq_set(s, v->index, v->msi.addr, v->msi.data);
		tvq_seq_msi_vq_enable(s, v->index, VIRTIO_TRANSPTQ_MSI_ENABLE);
	} else {
		tvq_seq_msi_vq_enable(s, v->index, VIRTIO_TRANSPTQ_MSI_DISABLE);
	}
}

static void add_inflight(struct vu_conn *c, struct tvq_seq *s, const struct vu_vring *v)
{
	uint64_t addr;
	uint32_t size;

	if (c->inflight.mapped && vu_inflight_queue(c, v->index, v->num, &addr, &size))
		tvq_seq_vq_inflight(s, v->index, c->inflight.asid, addr, size);
}

/* NULL: it can start. What the device itself checks is not checked here. */
static const char *why_not(const struct vu_conn *c, const struct vu_vring *v, uint64_t guest[3])
{
	uint64_t addr;
	uint32_t size;

	if (!vu_mem_guest(c, v->desc, &guest[0]))
		return "the descriptor area lies outside the memory that the front end gave";
	if (!vu_mem_guest(c, v->avail, &guest[1]))
		return "the driver area lies outside the memory that the front end gave";
	if (!vu_mem_guest(c, v->used, &guest[2]))
		return "the device area lies outside the memory that the front end gave";
	if (c->inflight.mapped && v->index < c->inflight.num_queues &&
	    !vu_inflight_queue(c, v->index, v->num, &addr, &size))
		return "the in-flight area is too small for the ring";
	return NULL;
}

bool vu_step_start_ring(struct vu_conn *c)
{
	struct vu_vring *v;
	uint64_t guest[3];
	const char *why;
	struct tvq_seq *s;
	uint32_t base;
	int err;

	do {
		v = starting(c);
		if (!v)
			return false;
		base = v->base;
		v->lost = vu_is_net(c) && !vu_net_position(c, v, &base);
	} while (v->lost);
	why = why_not(c, v, guest);
	if (why) {
		vu_step_fail(c, -EFAULT, why);
		return true;
	}
	err = call_msi(c, v, &v->msi);
	if (err) {
		vu_step_fail(c, err, "the call descriptor cannot be used");
		return true;
	}
	v->call_changed = false;
	v->kick_changed = false;
	vu_step_begin(c, enabled);
	s = vu_seq(c);
	if (s) {
		tvq_seq_vq_size_set(s, v->index, (uint16_t)v->num);
		tvq_seq_vq_addr(s, v->index, guest[0], guest[1], guest[2]);
		tvq_seq_vq_index_set(s, v->index, vu_packed(c), (uint16_t)base,
				     (uint16_t)(base >> 16));
		add_inflight(c, s, v);
		add_msi(s, v);
		tvq_seq_vq_notify_get(s, v->index, &v->area, NULL);
		tvq_seq_vq_enable(s, v->index, 1);
	}
	vu_step_run(c, s);
	vu_step_put(c, 0);
	return true;
}

/* Changes while the ring runs. */

static void calls_changed(struct vu_conn *c, int err)
{
	unsigned int i;

	if (err) {
		vu_step_fail(c, err, NULL);
		return;
	}
	for (i = 0; i < c->n_rings; i++) {
		struct vu_vring *v = &c->ring[i];

		if (!v->running || !v->call_changed)
			continue;
		v->call_changed = false;
		vu_msi_free(c, &v->old_msi);
		vu_signal(c, v->call_fd);
	}
	vu_sync(c);
}

bool vu_step_calls(struct vu_conn *c)
{
	struct tvq_seq *s = NULL;
	bool any = false;
	unsigned int i;
	int err;

	for (i = 0; i < c->n_rings; i++) {
		struct vu_vring *v = &c->ring[i];

		if (!v->running || !v->call_changed)
			continue;
		if (!any) {
			vu_step_begin(c, calls_changed);
			s = vu_seq(c);
			any = true;
		}
		v->old_msi = v->msi;
		v->msi.set = false;
		err = call_msi(c, v, &v->msi);
		if (err) {
			vu_step_get(c);
			vu_step_put(c, err);
		}
		if (s)
			add_msi(s, v);
	}
	if (!any)
		return false;
	vu_step_run(c, s);
	vu_step_put(c, 0);
	return true;
}

static void kicks_changed(struct vu_conn *c, int err)
{
	if (err)
		vu_step_fail(c, err, NULL);
	else
		vu_sync(c);
}

bool vu_step_kicks(struct vu_conn *c)
{
	bool any = false;
	unsigned int i;

	for (i = 0; i < c->n_rings; i++) {
		struct vu_vring *v = &c->ring[i];

		if (!v->running || !v->kick_changed)
			continue;
		if (!any)
			vu_step_begin(c, kicks_changed);
		any = true;
		v->kick_changed = false;
		watch_kick(c, v, kick_of(v));
	}
	if (any)
		vu_step_put(c, 0);
	return any;
}
