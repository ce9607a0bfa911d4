// SPDX-License-Identifier: BSD-3-Clause
/*
 * The control half of a virtqueue: what commands set, and handing the queue to a worker and back.
 * See vq.h for the states.
 */
#include "device/device_priv.h"
#include "device/util.h"

struct tvq_space *tvq_vq_space(const struct tvq_vq *vq)
{
	return vq->space ? vq->space : tvq_device_own_space(vq->dev);
}

/* ---- address spaces: see struct tvq_dma_user ---- */

/* The queue is with the control executor, which does the worker's part. */
static void vq_resync_away(struct tvq_vq *vq)
{
	tvq_dma_view_refresh(&vq->view, vq->user_space);
	if (vq->inflight_size)
		tvq_dma_view_refresh(&vq->inflight_view, vq->inflight_space);
	vq->paused = tvq_ring_remap(&vq->ring) != 0;
}

static void sync_with(struct tvq_vq *vq, struct tvq_space *space, struct tvq_msg *sync,
		      bool *wanted)
{
	switch (vq->place) {
	case TVQ_VQ_AWAY:
		vq_resync_away(vq);
		tvq_dma_sync_done(space);
		break;
	case TVQ_VQ_THERE:
		tvq_exec_post(vq->worker, sync);
		break;
	case TVQ_VQ_LEAVING:
		*wanted = true; /* vq_left() answers */
		break;
	}
}

static void vq_space_changed(struct tvq_dma_user *u, struct tvq_space *space)
{
	struct tvq_vq *vq = tvq_container_of(u, struct tvq_vq, user);

	sync_with(vq, space, &vq->sync_msg, &vq->sync_wanted);
}

static void vq_inflight_space_changed(struct tvq_dma_user *u, struct tvq_space *space)
{
	struct tvq_vq *vq = tvq_container_of(u, struct tvq_vq, inflight_user);

	sync_with(vq, space, &vq->sync_inflight_msg, &vq->sync_inflight_wanted);
}

static void vq_synced(struct tvq_msg *m)
{
	tvq_dma_sync_done(tvq_container_of(m, struct tvq_vq, synced_msg)->user_space);
}

static void vq_synced_inflight(struct tvq_msg *m)
{
	tvq_dma_sync_done(tvq_container_of(m, struct tvq_vq, synced_inflight_msg)->inflight_space);
}

/* ---- what commands set ---- */

int tvq_vq_set_addr(struct tvq_vq *vq, uint64_t desc, uint64_t driver, uint64_t device)
{
	bool packed = tvq_device_has(vq->dev, TVQ_F_RING_PACKED);

	if (desc % tvq_ring_desc_align(packed) || driver % tvq_ring_driver_align(packed) ||
	    device % tvq_ring_device_align(packed))
		return -EINVAL;
	vq->desc = desc;
	vq->driver = driver;
	vq->device = device;
	vq->has_addr = true;
	return 0;
}

int tvq_vq_set_size(struct tvq_vq *vq, uint16_t size)
{
	bool packed = tvq_device_has(vq->dev, TVQ_F_RING_PACKED);

	if (!size || size > vq->dev->root->cfg.max_queue_size || (!packed && size & (size - 1)))
		return -EINVAL;
	vq->size = size;
	return 0;
}

static void free_shadow(struct tvq_vq *vq)
{
	vq->dev->root->os->free(vq->shadow, vq->shadow_bytes);
	vq->shadow = NULL;
}

int tvq_vq_enable(struct tvq_vq *vq)
{
	struct tvq_ring_cfg cfg = {
		.packed = tvq_device_has(vq->dev, TVQ_F_RING_PACKED),
		.event_idx = tvq_device_has(vq->dev, TVQ_F_EVENT_IDX),
		.indirect = tvq_device_has(vq->dev, TVQ_F_INDIRECT_DESC),
		.in_order = tvq_device_has(vq->dev, TVQ_F_IN_ORDER),
		.size = vq->size,
		.desc = vq->desc,
		.driver = vq->driver,
		.device = vq->device,
		.avail_idx = vq->avail_idx,
		.used_idx = vq->used_idx,
		.inflight = vq->inflight_addr,
		.inflight_size = vq->inflight_size,
	};
	int err;

	if (vq->enabled)
		return 0;
	if (!vq->has_addr)
		return -EINVAL;
	vq->user_space = tvq_vq_space(vq);
	tvq_dma_view_refresh(&vq->view, vq->user_space);
	if (vq->inflight_size)
		tvq_dma_view_refresh(&vq->inflight_view, vq->inflight_space);
	if (vq->inflight_size) {
		vq->shadow_bytes = tvq_inflight_shadow_bytes(cfg.packed, cfg.size);
		vq->shadow = vq->dev->root->os->alloc(vq->shadow_bytes);
		if (!vq->shadow)
			return -ENOMEM;
		cfg.inflight_shadow = vq->shadow;
	}
	err = tvq_ring_start(&vq->ring, &cfg, &vq->view, &vq->inflight_view);
	if (err) {
		free_shadow(vq);
		return err;
	}
	tvq_space_get(vq->user_space);
	tvq_space_add_user(vq->user_space, &vq->user);
	if (vq->inflight_size)
		tvq_space_add_user(vq->inflight_space, &vq->inflight_user);
	vq->enabled = true;
	vq->paused = vq->broken = false;
	vq->in_flight = 0;
	vq->lost_seen = 0;
	return 0;
}

void tvq_vq_disable(struct tvq_vq *vq)
{
	if (!vq->enabled)
		return;
	tvq_ring_position(&vq->ring, &vq->avail_idx, &vq->used_idx);
	tvq_space_del_user(vq->user_space, &vq->user);
	if (vq->inflight_size)
		tvq_space_del_user(vq->inflight_space, &vq->inflight_user);
	tvq_space_put(vq->user_space);
	vq->user_space = NULL;
	vq->enabled = false;
	free_shadow(vq);
}

static void vq_forget_inflight(struct tvq_vq *vq)
{
	if (vq->inflight_space)
		tvq_space_put(vq->inflight_space);
	vq->inflight_space = NULL;
	vq->inflight_addr = 0;
	vq->inflight_size = 0;
}

void tvq_vq_clear(struct tvq_vq *vq, bool keep_msi)
{
	bool packed = tvq_device_has(vq->dev, TVQ_F_RING_PACKED);

	tvq_vq_disable(vq);
	vq->resetting = false;
	vq_forget_inflight(vq);
	vq->size = vq->dev->root->cfg.max_queue_size;
	vq->has_addr = false;
	vq->desc = vq->driver = vq->device = 0;
	/* TQ-067: a reset device does not know its ring's format; 0x8000 for a packed one is set by
	 * FEATURES_OK. */
	vq->avail_idx = vq->used_idx = packed ? 0x8000 : 0;
	vq->msi.pending = false;
	if (keep_msi)
		return;
	if (vq->space)
		tvq_space_put(vq->space);
	vq->space = NULL;
	tvq_vq_msi_drop(vq);
}

/* ---- handing over ---- */

static struct tvq_exec *vq_choose_worker(struct tvq_vq *vq)
{
	struct tvq_root *root = vq->dev->root;
	uint32_t best = 0;

	vq->worker_slot = UINT32_MAX;
	if (vq->ops->where == TVQ_VQ_CONTROL || !root->cfg.n_workers)
		return root->control;
	if (vq->ops->where == TVQ_VQ_SWITCH)
		best = root->switch_slot;
	for (uint32_t i = 1; vq->ops->where == TVQ_VQ_ANY_WORKER && i < root->cfg.n_workers; i++)
		if (root->load[i] < root->load[best])
			best = i;
	root->load[best]++;
	vq->worker_slot = best;
	return root->cfg.workers[best];
}

void tvq_vq_serve(struct tvq_vq *vq)
{
	if (!vq->enabled || vq->place != TVQ_VQ_AWAY || !tvq_device_served(vq->dev))
		return;
	vq->place = TVQ_VQ_THERE;
	vq->worker = vq_choose_worker(vq);
	tvq_exec_post(vq->worker, &vq->enter_msg);
}

void tvq_vq_withdraw(struct tvq_vq *vq)
{
	if (vq->place != TVQ_VQ_THERE)
		return;
	vq->place = TVQ_VQ_LEAVING;
	tvq_exec_post(vq->worker, &vq->leave_msg);
}

static void vq_left(struct tvq_msg *m)
{
	struct tvq_vq *vq = tvq_container_of(m, struct tvq_vq, left_msg);
	struct tvq_platform *platform = vq->dev->root->platform;

	/* A change of its MSI is still with the worker: tvq_vq_msi_change()'s end comes back here. */
	vq->left_waits = vq->op_out;
	if (vq->left_waits)
		return;
	vq->place = TVQ_VQ_AWAY;
	vq->worker = vq->dev->root->control; /* what happens to it now happens here */
	if (platform->ops->vq_away)
		platform->ops->vq_away(platform, vq);
	if (vq->worker_slot != UINT32_MAX)
		vq->dev->root->load[vq->worker_slot]--;
	if (vq->sync_wanted || vq->sync_inflight_wanted) {
		bool main = vq->sync_wanted, inflight = vq->sync_inflight_wanted;

		vq->sync_wanted = vq->sync_inflight_wanted = false;
		vq_resync_away(vq);
		if (main)
			tvq_dma_sync_done(vq->user_space);
		if (inflight)
			tvq_dma_sync_done(vq->inflight_space);
	}
	tvq_device_progress(vq->dev);
}

static void vq_broke(struct tvq_msg *m)
{
	struct tvq_vq *vq = tvq_container_of(m, struct tvq_vq, broken_msg);

	if (tvq_root_may_log(vq->dev->root))
		tvq_device_log(vq->dev, TVQ_LOG_WARN, "queue %u: %s", vq->index, vq->broken_why);
	tvq_device_needs_reset(vq->dev, NULL);
}

void tvq_vq_notify(struct tvq_vq *vq)
{
	if (vq->place != TVQ_VQ_THERE)
		return;
	if (vq->worker == vq->dev->root->control)
		tvq_vq_kick_local(vq);
	else if (!atomic_exchange(&vq->kicked, true))
		tvq_exec_post(vq->worker, &vq->kick_msg);
}

void tvq_vq_init(struct tvq_vq *vq, struct tvq_device *dev, const struct tvq_vq_ops *ops)
{
	vq->dev = dev;
	vq->ops = ops;
	vq->size = dev->root->cfg.max_queue_size;
	vq->worker = dev->root->control;
	vq->user.sync = vq_space_changed;
	vq->inflight_user.sync = vq_inflight_space_changed;
	vq->left_msg.fn = vq_left;
	vq->broken_msg.fn = vq_broke;
	vq->synced_msg.fn = vq_synced;
	vq->synced_inflight_msg.fn = vq_synced_inflight;
	tvq_dma_view_init(&vq->view);
	tvq_dma_view_init(&vq->inflight_view);
	tvq_vq_worker_init(vq);
	tvq_vq_msi_init(vq);
}
