/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The end of a connection. Theory of operation.
 *
 *   1. The socket, the configuration interrupt and the kicks are not watched any more, and the
 *      device is reset. The reset does not wait for a step that is under way: STATUS SET 0
 *      overtakes an ENABLE 0 that waits for the storage (TQ-031).
 *   2. When all of that has ended, and the step too, nothing uses the interrupts' pairs and the
 *      memory: they are given back, and the memory is unmapped.
 *   3. When that is done the connection is freed, and the presenter listens again.
 *
 * Nothing here has a time limit: storage that hangs holds the memory that it writes to.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <present/internal.h>

static void close_fds(struct vu_conn *c)
{
	struct tvq_loop *l = c->p->loop;
	unsigned int i;

	for (i = 0; i < c->n_fds; i++)
		tvq_fd_close(l, c->fds[i]);
	for (i = 0; i < c->n_rings; i++)
		vu_ring_forget(c, &c->ring[i]);
	tvq_fd_close(l, c->inflight.fd);
	if (c->reply_fd >= 0)
		close(c->reply_fd);
	vu_mem_free(c);
	vu_notice_free(c);
	close(c->fd);
}

static void conn_free(struct vu_conn *c)
{
	struct tvq_vhost_user *p = c->p;

	if (c->inflight.has_space)
		p->bus->ops->space_free(p->bus, c->inflight.asid);
	close_fds(c);
	free(c);
	vu_conn_gone(p);
}

static void unmap_all(struct vu_conn *c, uint32_t asid)
{
	struct tvq_bus *b = c->p->bus;

	c->leaving++;
	/* An error: there was nothing. */
	if (b->ops->unmap(b, asid, 0, UINT64_MAX, &c->leave_done))
		c->leaving--;
}

static bool quiet(const struct vu_conn *c)
{
	return !c->pending && !c->watching && !c->again_posted && !c->leaving && !c->resetting &&
	       !vu_notice_busy(c);
}

void vu_left(struct vu_conn *c)
{
	if (!c->tearing || !quiet(c))
		return;
	if (c->unmapping) {
		conn_free(c);
		return;
	}
	c->unmapping = true;
	vu_rings_free_msi(c);
	vu_msi_free(c, &c->notice.msi);
	/* One for ourselves: both may end at once. */
	c->leaving++;
	unmap_all(c, c->p->asid);
	if (c->inflight.has_space)
		unmap_all(c, c->inflight.asid);
	c->leaving--;
	vu_left(c);
}

static void left(struct tvq_done *d, int err)
{
	struct vu_conn *c = vu_container(d, struct vu_conn, leave_done);

	(void)err;
	c->leaving--;
	vu_left(c);
}

static void was_reset(struct vu_conn *c, int err)
{
	/* The device may be gone, and its management device with it. */
	c->p->dirty = err != 0;
	if (err)
		vu_log(c, TVQ_LOG_WARN, "the device could not be reset: %s", strerror(-err));
	c->resetting = false;
	vu_left(c);
}

static void watch_stopped(struct tvq_watch *w)
{
	struct vu_conn *c = vu_container(w, struct vu_conn, watch);

	c->watching = false;
	vu_left(c);
}

static void stop_kicks(struct vu_conn *c)
{
	struct tvq_bus *b = c->p->bus;
	unsigned int i;

	for (i = 0; i < c->n_rings; i++) {
		struct vu_vring *v = &c->ring[i];

		if (!v->watched)
			continue;
		v->watched = false;
		c->leaving++;
		if (b->ops->notify_fd(b, v->area, v->index, TVQ_NOTIFY_NONE, &c->leave_done))
			c->leaving--;
	}
}

void vu_teardown(struct tvq_msg *m)
{
	struct vu_conn *c = vu_container(m, struct vu_conn, bye);
	struct tvq_exec *e = c->p->bus->exec;

	tvq_timer_clear(e, &c->timer);
	tvq_timer_clear(e, &c->settle);
	shutdown(c->fd, SHUT_RDWR);
	c->leave_done.fn = left;
	c->leaving++;
	c->tearing = true;
	tvq_watch_stop(&c->watch, watch_stopped);
	vu_notice_stop(c);
	stop_kicks(c);
	if (c->dev != VU_DEV_CLEAN || c->pending) {
		c->resetting = true;
		vu_reset_start(c, &c->last_reset, was_reset);
	}
	c->leaving--;
	vu_left(c);
}
