// SPDX-License-Identifier: BSD-3-Clause
/*
 * Commands (section 4): decode once, queue behind a slow one of the same device, execute. The table
 * says for each what has to hold before its handler runs; a handler sees a living device, an
 * existing queue and out-data of the right length.
 *
 * A handler returns the bytes of in-data that it left in c->in, a negative errno (ERR on the wire,
 * the reason in the log), or TVQ_TCMD_LATER.
 */

#include "device/manager.h"
#include "device/util.h"

#define PACKED(c) tvq_device_has((c)->dev, TVQ_F_RING_PACKED)

/* ---- device_id 0 ---- */

static int do_create(struct tvq_tcmd *c)
{
	return tvq_manager_create(c->mgr, c);
}

static int do_avail_res_get(struct tvq_tcmd *c)
{
	tvq_manager_avail_res(c->mgr, (void *)c->in);
	return sizeof(struct mgmt_dev_avail_res);
}

static int do_type_get(struct tvq_tcmd *c)
{
	int err = tvq_manager_type_get(c->mgr, tvq_get32(tvq_tcmd_data(c)), (void *)c->in);

	return err ? err : (int)sizeof(struct virtio_transportq_ctrl_type);
}

/* ---- life, features, status ---- */

static int do_destroy(struct tvq_tcmd *c)
{
	struct tvq_device *dev = c->dev;

	c->dev = NULL;
	c->lane = NULL;
	dev->destroy_cmd = c;
	tvq_device_start_destroy(dev);
	return TVQ_TCMD_LATER;
}

static int do_feat_device_get(struct tvq_tcmd *c)
{
	tvq_put64(c->in, c->dev->offered);
	return 8;
}

static int do_feat_driver_set(struct tvq_tcmd *c)
{
	return tvq_device_set_features(c->dev, tvq_get64(tvq_tcmd_data(c)));
}

static int do_feat_driver_get(struct tvq_tcmd *c)
{
	tvq_put64(c->in, c->dev->accepted);
	return 8;
}

static int do_status_set(struct tvq_tcmd *c)
{
	return tvq_device_set_status(c->dev, *tvq_tcmd_data(c));
}

static int do_status_get(struct tvq_tcmd *c)
{
	c->in[0] = c->dev->status;
	return 1;
}

/* ---- configuration ---- */

static int do_generation_get(struct tvq_tcmd *c)
{
	tvq_put32(c->in, c->dev->generation);
	return 4;
}

static int do_config_get(struct tvq_tcmd *c)
{
	const struct virtio_transportq_ctrl_vdev_config_get *g = (const void *)tvq_tcmd_data(c);
	uint32_t size = tvq_get32(&g->size);
	int err;

	if (size > c->in_room || size > sizeof(c->in))
		return -EMSGSIZE;
	err = tvq_device_config_get(c->dev, tvq_get32(&g->offset), size, c->in);
	return err ? err : (int)size;
}

static int do_config_set(struct tvq_tcmd *c)
{
	const struct virtio_transportq_ctrl_vdev_config_set *s = (const void *)tvq_tcmd_data(c);

	if (c->out_len < sizeof(*s) || tvq_get32(&s->size) != c->out_len - sizeof(*s))
		return -EMSGSIZE;
	return tvq_device_config_set(c->dev, tvq_get32(&s->offset), tvq_get32(&s->size), s->data);
}

/* ---- MSI ---- */

/* TQ-081: addr is a multiple of 4. */
static int msi_pair(struct tvq_tcmd *c, uint64_t addr, uint32_t data, struct tvq_msi_op *op)
{
	struct tvq_platform *p = c->dev->root->platform;

	if (addr % 4)
		return -EINVAL;
	op->verb = TVQ_MSI_SET_PAIR;
	op->addr = addr;
	op->data = data;
	op->target = c->dev->depth > 1 ? NULL : p->ops->msi(p, addr, data);
	return 0;
}

static int msi_flag(const struct tvq_msi *msi, enum tvq_msi_verb verb, uint8_t value,
		    struct tvq_msi_op *op)
{
	if (value > 1)
		return -EINVAL; /* TQ-080 */
	if (verb == TVQ_MSI_SET_ENABLE && value && !msi->set)
		return -ENXIO; /* TQ-082 */
	op->verb = verb;
	op->value = value;
	op->target = NULL;
	return 0;
}

static int vq_msi(struct tvq_tcmd *c, const struct tvq_msi_op *op)
{
	return tvq_vq_msi_change(c->vq, op, c) ? 0 : TVQ_TCMD_LATER;
}

static int do_msi_vq_set(struct tvq_tcmd *c)
{
	const struct virtio_transportq_ctrl_vdev_msi_vq_config *m = (const void *)tvq_tcmd_data(c);
	struct tvq_msi_op op = { 0 };
	int err = msi_pair(c, tvq_get64(&m->addr), tvq_get32(&m->data), &op);

	return err ? err : vq_msi(c, &op);
}

static int do_msi_vq_enable(struct tvq_tcmd *c)
{
	struct tvq_msi_op op = { 0 };
	int err = msi_flag(&c->vq->msi, TVQ_MSI_SET_ENABLE, tvq_tcmd_data(c)[2], &op);

	return err ? err : vq_msi(c, &op);
}

static int do_msi_vq_mask(struct tvq_tcmd *c)
{
	struct tvq_msi_op op = { 0 };
	int err = msi_flag(&c->vq->msi, TVQ_MSI_SET_MASK, tvq_tcmd_data(c)[2], &op);

	return err ? err : vq_msi(c, &op);
}

static int config_msi(struct tvq_tcmd *c, const struct tvq_msi_op *op, int err)
{
	if (!err)
		tvq_device_msi_change(c->dev, op);
	return err;
}

static int do_msi_config_set(struct tvq_tcmd *c)
{
	const struct virtio_transportq_ctrl_vdev_msi_config *m = (const void *)tvq_tcmd_data(c);
	struct tvq_msi_op op = { 0 };
	int err = msi_pair(c, tvq_get64(&m->addr), tvq_get32(&m->data), &op);

	return config_msi(c, &op, err);
}

static int do_msi_config_enable(struct tvq_tcmd *c)
{
	struct tvq_msi_op op = { 0 };
	int err = msi_flag(&c->dev->config_msi, TVQ_MSI_SET_ENABLE, *tvq_tcmd_data(c), &op);

	return config_msi(c, &op, err);
}

static int do_msi_config_mask(struct tvq_tcmd *c)
{
	struct tvq_msi_op op = { 0 };
	int err = msi_flag(&c->dev->config_msi, TVQ_MSI_SET_MASK, *tvq_tcmd_data(c), &op);

	return config_msi(c, &op, err);
}

/* ---- queues ---- */

static int do_vq_addr_set(struct tvq_tcmd *c)
{
	const struct virtio_transportq_ctrl_vdev_vq_addr *a = (const void *)tvq_tcmd_data(c);

	return tvq_vq_set_addr(c->vq, tvq_get64(&a->descriptor_area), tvq_get64(&a->driver_area),
			       tvq_get64(&a->device_area));
}

/* ENABLE 0 and RESET end when the queue is back from its worker (TQ-096, TQ-097). */
static int stop_queue(struct tvq_tcmd *c)
{
	if (c->vq->place == TVQ_VQ_AWAY) {
		if (c->cmd == TVQ_COMMAND_vq_reset_set)
			tvq_vq_clear(c->vq, true);
		else
			tvq_vq_disable(c->vq);
		return 0;
	}
	tvq_vq_withdraw(c->vq);
	c->waits_for_queue = true;
	return TVQ_TCMD_LATER;
}

void tvq_tcmd_progress(struct tvq_tcmd *c)
{
	if (!c->waits_for_queue || c->vq->place != TVQ_VQ_AWAY)
		return;
	c->waits_for_queue = false;
	tvq_tcmd_done(c, stop_queue(c));
}

static int do_vq_enable_set(struct tvq_tcmd *c)
{
	uint8_t status = tvq_tcmd_data(c)[2];
	int err;

	if (status > 1)
		return -EINVAL;
	if (!status)
		return stop_queue(c);
	if (!(c->dev->status & TVQ_S_FEATURES_OK))
		return -EPERM;
	err = tvq_vq_enable(c->vq);
	if (!err)
		tvq_vq_serve(c->vq);
	return err;
}

static int do_vq_enable_get(struct tvq_tcmd *c)
{
	c->in[0] = c->vq->enabled;
	return 1;
}

static int do_vq_size_set(struct tvq_tcmd *c)
{
	return tvq_vq_set_size(c->vq, tvq_get16(tvq_tcmd_data(c) + 2));
}

static int do_vq_size_get(struct tvq_tcmd *c)
{
	tvq_put16(c->in, c->vq->size);
	return 2;
}

static int do_vq_notify_get(struct tvq_tcmd *c)
{
	struct virtio_transportq_ctrl_vdev_vq_notification_area *a = (void *)c->in;

	tvq_put64(&a->addr,
		  c->dev->root->platform->area_base + (uint64_t)c->dev->area * TVQ_AREA_SIZE);
	tvq_put64(&a->size, TVQ_AREA_SIZE);
	return sizeof(*a);
}

static int do_vq_index_set(struct tvq_tcmd *c)
{
	const uint8_t *d = tvq_tcmd_data(c);

	if (c->out_len != (PACKED(c) ? 6 : 4))
		return -EMSGSIZE;
	c->vq->avail_idx = tvq_get16(d + 2);
	c->vq->used_idx = tvq_get16(PACKED(c) ? d + 4 : d + 2);
	return 0;
}

static int do_vq_index_get(struct tvq_tcmd *c)
{
	int len = PACKED(c) ? 4 : 2;

	if (c->in_room < (uint32_t)len)
		return -EMSGSIZE;
	tvq_put16(c->in, c->vq->avail_idx);
	tvq_put16(c->in + 2, c->vq->used_idx);
	return len;
}

static int do_vq_reset_set(struct tvq_tcmd *c)
{
	if (!tvq_device_has(c->dev, TVQ_F_RING_RESET))
		return -EOPNOTSUPP;
	return stop_queue(c);
}

static int do_vq_asid_set(struct tvq_tcmd *c)
{
	struct tvq_space *s = tvq_manager_space(c->mgr, tvq_get32(tvq_tcmd_data(c) + 2));

	if (!s)
		return -ENOENT;
	if (c->vq->space)
		tvq_space_put(c->vq->space);
	c->vq->space = s;
	return 0;
}

static int do_vq_asid_get(struct tvq_tcmd *c)
{
	tvq_put32(c->in, tvq_manager_asid(c->mgr, tvq_vq_space(c->vq)));
	return 4;
}

static int do_vq_inflight_set(struct tvq_tcmd *c)
{
	const struct virtio_transportq_ctrl_vdev_vq_inflight *f = (const void *)tvq_tcmd_data(c);
	uint32_t size = tvq_get32(&f->size);
	struct tvq_space *s = size ? tvq_manager_space(c->mgr, tvq_get32(&f->asid)) : NULL;

	if (size && !s)
		return -ENOENT;
	if (c->vq->inflight_space)
		tvq_space_put(c->vq->inflight_space);
	c->vq->inflight_space = s;
	c->vq->inflight_addr = tvq_get64(&f->addr);
	c->vq->inflight_size = size;
	return 0;
}

static int do_vq_stats_get(struct tvq_tcmd *c)
{
	const struct tvq_vq_stats *st = &c->vq->stats;

	for (unsigned int i = 0; i < TVQ_VQ_STATS; i++)
		tvq_put64(c->in + 8 * i, __atomic_load_n(&st->v[i], __ATOMIC_RELAXED));
	return 8 * TVQ_VQ_STATS;
}

/* ---- dispatch ---- */

static int (*const handlers[TVQ_COMMANDS])(struct tvq_tcmd *c) = {
#define C(cls, cmd, name, out, in, flags) [TVQ_COMMAND_##name] = do_##name,
#include <tvq/commands.def>
#undef C
};

static const char *reason(int err)
{
	switch (err) {
	case -EMSGSIZE:
		return "out-data or room for in-data has the wrong length";
	case -ENOENT:
		return "no such device, queue, volume or address space";
	case -ENODEV:
		return "no such class, command or device type";
	case -EPERM:
		return "not allowed in this state";
	case -EBUSY:
		return "in use, or the queue is enabled";
	case -ENOSPC:
		return "no resources left";
	case -EFAULT:
		return "an area is not mapped";
	case -ECANCELED:
		return "overtaken by a reset or destroy";
	case -ENOMEM:
		return "out of memory";
	case -EROFS:
		return "the volume is read-only and the device does not offer RO";
	case -EBADMSG:
		return "the in-flight area's content cannot be true";
	default:
		return "a value is out of range or does not fit the device";
	}
}

static void answer(struct tvq_tcmd *c, int result)
{
	struct tvq_root *root = c->mgr->dev->root;

	if (result < 0 && !c->aborted)
		tvq_root_log(root, TVQ_LOG_DEBUG, "device %llu: %s failed: %s",
			     (unsigned long long)tvq_get64(c->out),
			     c->def ? c->def->name : "command", reason(result));
	tvq_transportq_answer(c, result);
}

/* What the table says has to hold. */
static int check_state(struct tvq_tcmd *c)
{
	uint16_t flags = c->def->flags;

	if (!c->dev)
		return 0; /* device_id 0: TVQ_CMD_MGMT */
	if (flags & TVQ_CMD_CHANGE && c->dev->life == TVQ_RESETTING)
		return -EPERM;
	if (flags & TVQ_CMD_QUEUE) {
		if (c->out_len < 2)
			return -EMSGSIZE;
		c->vq = tvq_device_vq(c->dev, tvq_get16(tvq_tcmd_data(c)));
		if (!c->vq)
			return -ENOENT;
	}
	if (flags & TVQ_CMD_RING && !(c->dev->status & TVQ_S_FEATURES_OK))
		return -EPERM;
	if (flags & TVQ_CMD_OFF && c->vq && c->vq->enabled)
		return -EBUSY;
	return 0;
}

static void execute(struct tvq_tcmd *c)
{
	int result = check_state(c);

	c->ended = false;
	if (!result)
		result = handlers[c->cmd](c);
	if (result != TVQ_TCMD_LATER)
		answer(c, result);
	else if (!c->ended && c->lane)
		c->lane->busy = c;
}

/* TQ-031. A change of an MSI, on its way to a worker and back, is not overtaken: it ends soon
 * (TQ-030). */
static bool overtakes(const struct tvq_tcmd *c)
{
	if (c->lane->busy && !c->lane->busy->waits_for_queue)
		return false;
	return c->cmd == TVQ_COMMAND_status_get || c->cmd == TVQ_COMMAND_destroy ||
	       (c->cmd == TVQ_COMMAND_status_set && !*tvq_tcmd_data(c));
}

/* Takes the next that may run: the first, or, while one waits, the first that overtakes it. */
static struct tvq_tcmd *lane_next(struct tvq_lane *lane)
{
	struct tvq_tcmd **at = &lane->head, *c;

	while ((c = *at) && lane->busy && !overtakes(c))
		at = &c->next;
	if (!c)
		return NULL;
	*at = c->next;
	if (!*at)
		lane->tail = at;
	return c;
}

/* A reset ends what came before it in ERR, and nothing else: what came behind it waits apart. */
static void execute_status_set(struct tvq_lane *lane, struct tvq_tcmd *c)
{
	struct tvq_tcmd **at = &lane->head, *behind = c->next;

	while (*at != behind)
		at = &(*at)->next;
	*at = NULL;
	lane->tail = at;
	execute(c);
	*lane->tail = behind;
	while (*lane->tail)
		lane->tail = &(*lane->tail)->next;
}

static void lane_drain(struct tvq_lane *lane)
{
	struct tvq_tcmd *c;

	if (lane->draining)
		return;
	lane->draining = true;
	while ((c = lane_next(lane))) {
		bool destroy = c->cmd == TVQ_COMMAND_destroy;

		if (c->cmd == TVQ_COMMAND_status_set)
			execute_status_set(lane, c);
		else
			execute(c);
		if (destroy)
			return; /* the lane may be gone with its device; it was empty */
	}
	lane->draining = false;
}

void tvq_tcmd_done(struct tvq_tcmd *c, int result)
{
	struct tvq_lane *lane = c->lane;

	c->ended = true;
	if (lane && lane->busy == c)
		lane->busy = NULL;
	answer(c, result);
	if (lane)
		lane_drain(lane);
}

void tvq_lane_abort(struct tvq_lane *lane)
{
	struct tvq_tcmd *c = lane->busy, *queued = lane->head;

	lane->busy = NULL;
	lane->head = NULL;
	lane->tail = &lane->head;
	if (c) {
		if (c->vq && c->vq->op_cmd == c)
			c->vq->op_cmd = NULL;
		c->waits_for_queue = false;
		answer(c, -ECANCELED);
	}
	while ((c = queued)) {
		queued = c->next;
		answer(c, -ECANCELED);
	}
}

/* Sizes, command, device: TQ-013, TQ-020, TQ-024, TQ-034. */
static int decode(struct tvq_tcmd *c)
{
	const struct virtio_transportq_ctrl *h = (const void *)c->out;
	const struct tvq_device *mgmt = c->mgr->dev;
	const uint64_t both = tvq_f_trnspt_vq(mgmt->root) | tvq_f_trnspt_vq_vdev(mgmt->root);
	uint64_t id = tvq_get64(&h->device_id);

	c->def = NULL;
	c->dev = NULL;
	c->vq = NULL;
	c->waits_for_queue = false;
	if ((mgmt->accepted & both) != both)
		return -EPERM;
	if (c->chain.out_len < sizeof(*h) || c->chain.out_len > sizeof(c->out))
		return -EMSGSIZE;
	c->def = tvq_command_find(tvq_get16(&h->class), tvq_get16(&h->command));
	if (!c->def)
		return -ENODEV;
	c->cmd = (enum tvq_command_id)(c->def - tvq_commands);
	c->out_len = c->chain.out_len - (uint32_t)sizeof(*h);
	c->in_room = c->chain.in_len - 4;
	if (c->def->out_len != TVQ_VAR && c->def->out_len != c->out_len)
		return -EMSGSIZE;
	if (c->def->in_len != TVQ_VAR && c->def->in_len > c->in_room)
		return -EMSGSIZE;
	if (c->def->flags & TVQ_CMD_MGMT) {
		c->lane = &c->mgr->lane;
		return id ? -EINVAL : 0;
	}
	c->dev = id ? tvq_manager_find(c->mgr, id) : NULL;
	if (!c->dev)
		return -ENOENT;
	c->lane = &c->dev->lane;
	return 0;
}

void tvq_tcmd_run(struct tvq_tcmd *c)
{
	int err = decode(c);

	if (err) {
		answer(c, err);
	} else if ((c->lane->busy || c->lane->head) && !overtakes(c)) {
		c->next = NULL;
		*c->lane->tail = c;
		c->lane->tail = &c->next;
	} else {
		execute(c);
	}
}
