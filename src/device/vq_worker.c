// SPDX-License-Identifier: BSD-3-Clause
/*
 * The worker half of a virtqueue.
 *
 * Everything here runs on the executor that has the queue. The control half speaks to it by
 * messages: enter, leave, sync (an address space changed), kick, and MSI changes. Whatever must
 * wait for requests under way (leave, sync) stops the taking of new ones, and goes on in
 * vq_drained() when the last one is used and published.
 */
#include "device/device_priv.h"
#include "device/util.h"

/* A type's work() may be called: the ring is ours, mapped, whole, and nobody waits for us. */
static void vq_update_running(struct tvq_vq *vq, bool there)
{
	vq->running = there && !vq->paused && !vq->leaving && !vq->syncing &&
		      !vq->syncing_inflight && !vq->broken;
}

static void vq_check_lost(struct tvq_vq *vq)
{
	unsigned int count = atomic_load_explicit(&tvq_dma_lost_count, memory_order_relaxed);

	if (count == vq->lost_seen)
		return;
	vq->lost_seen = count;
	if (tvq_dma_view_lost(&vq->view) ||
	    (vq->inflight_size && tvq_dma_view_lost(&vq->inflight_view)))
		tvq_vq_broken(vq, "memory of the driver vanished (its file was truncated)");
}

bool tvq_vq_ready_slow(struct tvq_vq *vq)
{
	vq_check_lost(vq);
	return vq->running;
}

static unsigned int vq_poll(struct tvq_poller *p)
{
	struct tvq_vq *vq = tvq_container_of(p, struct tvq_vq, poller);

	if (!vq->running)
		return 0;
	if (__builtin_expect(atomic_load_explicit(&tvq_dma_lost_count, memory_order_relaxed) !=
				     vq->lost_seen,
			     0)) {
		vq_check_lost(vq);
		if (!vq->running)
			return 0;
	}
	return vq->ops->work(vq);
}

static bool vq_arm(struct tvq_poller *p)
{
	struct tvq_vq *vq = tvq_container_of(p, struct tvq_vq, poller);

	/* A starved queue needs no notification: it will look. */
	if (!vq->running || vq->starved)
		return false;
	if (vq->always_poll)
		return true;
	if (!tvq_ring_notify_on(&vq->ring))
		return false;
	tvq_ring_notify_off(&vq->ring);
	return true;
}

static void vq_activate(struct tvq_vq *vq)
{
	if (!vq->running || tvq_poller_active(&vq->poller))
		return;
	tvq_ring_notify_off(&vq->ring);
	if (vq->ops->passive)
		return;
	tvq_poller_activate(vq->worker, &vq->poller);
}

void tvq_vq_feed(struct tvq_vq *vq)
{
	vq->starved = false;
	vq_activate(vq);
}

void tvq_vq_kick_local(struct tvq_vq *vq)
{
	tvq_vq_count(&vq->stats, TVQ_STAT_NOTIFICATIONS, 1);
	vq_activate(vq);
}

static void vq_kicked(struct tvq_msg *m)
{
	struct tvq_vq *vq = tvq_container_of(m, struct tvq_vq, kick_msg);

	atomic_store(&vq->kicked, false);
	tvq_vq_kick_local(vq);
}

/* Nothing is in flight and all is published: what waited for that goes on, in the order it was
 * asked. */
static void vq_drained(struct tvq_vq *vq)
{
	struct tvq_exec *control = vq->dev->root->control;
	struct tvq_platform *platform = vq->dev->root->platform;
	bool main = vq->syncing, inflight = vq->syncing_inflight;

	if (main || inflight) {
		if (main)
			tvq_dma_view_refresh(&vq->view, vq->user_space);
		if (inflight)
			tvq_dma_view_refresh(&vq->inflight_view, vq->inflight_space);
		vq->paused = tvq_ring_remap(&vq->ring) != 0;
		vq->syncing = vq->syncing_inflight = false;
		vq_update_running(vq, true);
		if (main)
			tvq_exec_post(control, &vq->synced_msg);
		if (inflight)
			tvq_exec_post(control, &vq->synced_inflight_msg);
		if (!vq->leaving) {
			vq_activate(vq);
			return;
		}
	}
	vq->leaving = false; /* once */
	tvq_poller_remove(&vq->poller);
	if (vq->ops->leave)
		vq->ops->leave(vq);
	if (platform->ops->vq_leave)
		platform->ops->vq_leave(platform, vq);
	else
		tvq_vq_left(vq);
}

static inline bool vq_somebody_waits(const struct tvq_vq *vq)
{
	return vq->leaving || vq->syncing || vq->syncing_inflight;
}

void tvq_vq_left(struct tvq_vq *vq)
{
	tvq_exec_post(vq->dev->root->control, &vq->left_msg);
}

static void vq_enter(struct tvq_msg *m)
{
	struct tvq_vq *vq = tvq_container_of(m, struct tvq_vq, enter_msg);
	struct tvq_platform *platform = vq->dev->root->platform;
	int err = vq->ops->enter ? vq->ops->enter(vq) : 0;

	vq->starved = false;
	vq_update_running(vq, true);
	if (platform->ops->vq_enter)
		platform->ops->vq_enter(platform, vq);
	if (err) {
		tvq_vq_broken(vq, "its backend cannot be opened on this worker");
		return;
	}
	vq_check_lost(vq);
	if (vq->inflight_size)
		tvq_vq_publish(vq); /* TQ-131: an interrupt for what was used before */
	vq_activate(vq);	    /* TQ-095: one look without a notification */
}

static void vq_leave(struct tvq_msg *m)
{
	struct tvq_vq *vq = tvq_container_of(m, struct tvq_vq, leave_msg);

	vq->leaving = true;
	vq->running = false;
	if (!vq->in_flight && !vq->flush_late)
		vq_drained(vq);
}

static void vq_sync(struct tvq_msg *m)
{
	struct tvq_vq *vq = tvq_container_of(m, struct tvq_vq, sync_msg);

	vq->syncing = true;
	vq->running = false;
	if (!vq->in_flight && !vq->flush_late)
		vq_drained(vq);
}

static void vq_sync_inflight(struct tvq_msg *m)
{
	struct tvq_vq *vq = tvq_container_of(m, struct tvq_vq, sync_inflight_msg);

	vq->syncing_inflight = true;
	vq->running = false;
	if (!vq->in_flight && !vq->flush_late)
		vq_drained(vq);
}

void tvq_vq_broken(struct tvq_vq *vq, const char *why)
{
	if (vq->broken)
		return;
	vq->broken = true;
	vq->running = false;
	tvq_vq_count(&vq->stats, TVQ_STAT_ERRORS, 1);
	vq->broken_why = why;
	tvq_exec_post(vq->dev->root->control, &vq->broken_msg);
}

static const char *vq_ring_error(int err)
{
	switch (err) {
	case -EBADMSG:
		return "an index, head, next or id in the ring is out of range";
	case -ELOOP:
		return "a descriptor chain loops";
	case -EPROTO:
		return "descriptors break the rules (readable after writable, or a bad indirect "
		       "table)";
	case -EFAULT:
		return "a buffer lies outside the queue's address space, or without the right to "
		       "access it";
	case -EIO:
		return "memory of the driver vanished";
	default:
		return "the ring is broken";
	}
}

unsigned int tvq_vq_take(struct tvq_vq *vq, struct tvq_chain *const *c, unsigned int n)
{
	int got = tvq_ring_take(&vq->ring, c, n);

	if (__builtin_expect(got < 0, 0)) {
		tvq_vq_broken(vq, vq_ring_error(got));
		return 0;
	}
	vq->in_flight += (unsigned int)got;
	tvq_vq_count(&vq->stats, TVQ_STAT_TAKEN, (unsigned int)got);
	return (unsigned int)got;
}

void tvq_vq_publish(struct tvq_vq *vq)
{
	if (tvq_ring_flush(&vq->ring))
		tvq_vq_interrupt(vq);
	if (__builtin_expect(!vq->in_flight && !vq->flush_late && vq_somebody_waits(vq), 0))
		vq_drained(vq);
}

static void vq_publish_msg(struct tvq_msg *m)
{
	struct tvq_vq *vq = tvq_container_of(m, struct tvq_vq, late_msg);

	vq->flush_late = false;
	vq_check_lost(vq); /* what was just done may have met it, and nobody may notify */
	tvq_vq_publish(vq);
}

void tvq_vq_publish_late(struct tvq_vq *vq)
{
	if (vq->flush_late)
		return;
	vq->flush_late = true;
	tvq_exec_late(vq->worker, &vq->late_msg);
}

void tvq_vq_worker_init(struct tvq_vq *vq)
{
	vq->poller.poll = vq_poll;
	vq->poller.arm = vq_arm;
	vq->enter_msg.fn = vq_enter;
	vq->leave_msg.fn = vq_leave;
	vq->sync_msg.fn = vq_sync;
	vq->sync_inflight_msg.fn = vq_sync_inflight;
	vq->kick_msg.fn = vq_kicked;
	vq->late_msg.fn = vq_publish_msg;
}
