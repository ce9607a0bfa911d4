// SPDX-License-Identifier: BSD-3-Clause
/* The outermost management device: limits, notification areas (4.8), the owner interface. */

#include "device/manager.h"
#include "device/util.h"

#define LOG_BURST    20
#define LOG_EVERY_NS 5000000000ull

static unsigned int switch_slot(const struct tvq_mgmt_cfg *cfg)
{
	return cfg->n_workers ? cfg->n_workers - 1 : 0;
}

static struct tvq_exec *switch_worker(const struct tvq_mgmt_cfg *cfg)
{
	return cfg->n_workers ? cfg->workers[switch_slot(cfg)] : cfg->control;
}

static int apply_defaults(struct tvq_mgmt_cfg *cfg)
{
	if (!cfg->os || !cfg->control)
		return -EINVAL;
	cfg->type = cfg->type ? cfg->type : TVQ_TYPE_BLK;
	cfg->max_devices = cfg->max_devices ? cfg->max_devices : 65536;
	cfg->max_vqs = cfg->max_vqs ? cfg->max_vqs : 262144;
	cfg->max_vdev_vqs = cfg->max_vdev_vqs ? cfg->max_vdev_vqs : 64;
	cfg->max_queue_size = cfg->max_queue_size ? cfg->max_queue_size : 1024;
	cfg->max_depth = cfg->max_depth ? cfg->max_depth : 1;
	if (cfg->max_depth == 0xff)
		cfg->max_depth = 0;
	cfg->f_trnspt_vq = cfg->f_trnspt_vq ? cfg->f_trnspt_vq : VIRTIO_F_TRNSPT_VQ;
	cfg->f_trnspt_vq_vdev = cfg->f_trnspt_vq_vdev ? cfg->f_trnspt_vq_vdev
						      : VIRTIO_F_TRNSPT_VQ_VDEV;
	if (cfg->max_vdev_vqs > TVQ_RING_MAX_SIZE)
		return -EINVAL;
	if (cfg->max_queue_size & (cfg->max_queue_size - 1) ||
	    cfg->max_queue_size > TVQ_RING_MAX_SIZE)
		return -EINVAL;
	/* A network device's port comes before the switch's worker runs, and goes after. */
	if (cfg->net_switch && (cfg->type == TVQ_TYPE_NET ||
				tvq_switch_worker(cfg->net_switch) != switch_worker(cfg) ||
				tvq_switch_control(cfg->net_switch) != cfg->control))
		return -EINVAL;
	return cfg->f_trnspt_vq > 63 || cfg->f_trnspt_vq_vdev > 63 ? -EINVAL : 0;
}

static void free_root(struct tvq_root *root)
{
	const struct tvq_os *os = root->os;

	if (!root->cfg.net_switch)
		tvq_switch_free(root->switch_user.sw);
	tvq_slabs_fini(&root->slabs);
	os->free(root->areas, root->n_areas * sizeof(*root->areas));
	os->free(root->free_areas, root->n_areas * sizeof(*root->free_areas));
	os->free(root->load, (root->cfg.n_workers + 1) * sizeof(*root->load));
	os->free(root, sizeof(*root));
}

static struct tvq_root *make_root(const struct tvq_mgmt_cfg *cfg, struct tvq_platform *platform)
{
	struct tvq_root *root = cfg->os->alloc(sizeof(*root));

	if (!root)
		return NULL;
	root->cfg = *cfg;
	root->os = cfg->os;
	tvq_slabs_init(&root->slabs, cfg->os);
	root->control = cfg->control;
	root->platform = platform;
	root->log_budget = LOG_BURST;
	root->log_since = cfg->os->now();
	root->n_areas = cfg->max_devices;
	root->areas = cfg->os->alloc(root->n_areas * sizeof(*root->areas));
	root->free_areas = cfg->os->alloc(root->n_areas * sizeof(*root->free_areas));
	root->load = cfg->os->alloc((cfg->n_workers + 1) * sizeof(*root->load));
	root->switch_slot = switch_slot(cfg);
	root->switch_user.sw = cfg->net_switch
				       ? cfg->net_switch
				       : tvq_switch_new(cfg->os, cfg->control, switch_worker(cfg));
	if (!root->areas || !root->free_areas || !root->load || !root->switch_user.sw) {
		free_root(root);
		return NULL;
	}
	while (root->n_free_areas < root->n_areas) {
		root->free_areas[root->n_free_areas] = root->n_areas - 1 - root->n_free_areas;
		root->n_free_areas++;
	}
	return root;
}

bool tvq_root_may_log(struct tvq_root *root)
{
	uint64_t now = root->os->now(), lines = (now - root->log_since) / LOG_EVERY_NS;

	if (lines) {
		root->log_budget = lines > LOG_BURST - root->log_budget
					   ? LOG_BURST
					   : root->log_budget + (uint32_t)lines;
		root->log_since = now;
	}
	if (!root->log_budget) {
		root->log_left_out++;
		return false;
	}
	root->log_budget--;
	if (root->log_left_out)
		tvq_root_log(root, TVQ_LOG_WARN, "%u lines about broken devices were left out",
			     root->log_left_out);
	root->log_left_out = 0;
	return true;
}

static void root_created(struct tvq_device *dev, int err)
{
	dev->creating = false;
	dev->life = err ? TVQ_NEW : TVQ_LIVING;
}

/* A reset of the outermost device may wait for the switch (tvq_device_progress()). */
static void switch_idle(void *ctx)
{
	struct tvq_root *root = ctx;

	tvq_device_progress(root->dev);
}

struct tvq_device *tvq_root_new(const struct tvq_mgmt_cfg *user_cfg, struct tvq_platform *platform,
				int *err)
{
	struct tvq_mgmt_cfg cfg = *user_cfg, own;
	struct tvq_type_cfg tcfg = { 0 };
	const struct tvq_type *type;
	struct tvq_root *root;
	struct tvq_device *dev;

	*err = apply_defaults(&cfg);
	if (*err)
		return NULL;
	type = tvq_type_find(cfg.type);
	*err = type ? 0 : -EINVAL;
	if (!type)
		return NULL;
	*err = -ENOMEM;
	root = make_root(&cfg, platform);
	if (!root)
		return NULL;
	tcfg.features = type->default_features | tvq_common_features() | tvq_f_trnspt_vq(root) |
			tvq_f_trnspt_vq_vdev(root);
	tcfg.features &= ~TVQ_BIT(TVQ_F_IN_ORDER); /* TQ-017 */
	own = cfg;
	own.max_vdev_vqs = TVQ_RING_MAX_SIZE; /* the limit is of managed ones */
	*err = type->parse(&own, &tcfg, true);
	dev = *err ? NULL : tvq_device_new(root, type, tcfg.features, tcfg.n_queues + 1);
	if (!dev) {
		*err = *err ? *err : -ENOMEM;
		free_root(root);
		return NULL;
	}
	dev->space = platform->ops->space(platform, 0);
	root->dev = dev;
	root->switch_user.idle = switch_idle;
	root->switch_user.ctx = root;
	dev->creating = true;
	type->create(dev, &tcfg, root_created);
	if (dev->life != TVQ_LIVING) {
		*err = -EIO;
		tvq_device_free(dev);
		free_root(root);
		return NULL;
	}
	*err = 0;
	return dev;
}

bool tvq_root_switch_busy(const struct tvq_root *root)
{
	return root->cfg.net_switch ? root->switch_user.ops : tvq_switch_busy(root->switch_user.sw);
}

void tvq_root_free(struct tvq_device *dev)
{
	struct tvq_root *root = dev->root;

	tvq_device_free(dev);
	free_root(root);
}

struct tvq_vq *tvq_root_area_vq(struct tvq_root *root, uint64_t addr, uint16_t index)
{
	uint64_t page = (addr - root->platform->area_base) / TVQ_AREA_SIZE;
	struct tvq_device *dev;

	/* Below the base it wraps, to a page that is beyond all there can be. */
	if (addr % TVQ_AREA_SIZE || page >= root->n_areas)
		return NULL;
	dev = root->areas[page];
	return dev ? tvq_device_vq(dev, index) : NULL;
}

void tvq_root_notify(struct tvq_root *root, uint64_t addr, uint32_t value, unsigned int width)
{
	struct tvq_vq *vq = tvq_root_area_vq(root, addr, (uint16_t)value);

	if (vq && width == tvq_device_notify_width(vq->dev))
		tvq_vq_notify(vq);
}

/* ---- the owner interface ---- */

struct tvq_switch *tvq_device_switch(const struct tvq_device *mgmt)
{
	return mgmt->root->switch_user.sw;
}

struct tvq_port *tvq_device_port(const struct tvq_device *mgmt, uint64_t device_id)
{
	const struct tvq_device *dev = device_id ? tvq_manager_find(mgmt->mgr, device_id) : mgmt;

	return dev && dev->type->port ? dev->type->port(dev) : NULL;
}

int tvq_device_set_link(struct tvq_device *mgmt, uint64_t device_id, bool up)
{
	struct tvq_device *dev = device_id ? tvq_manager_find(mgmt->mgr, device_id) : mgmt;

	if (!dev)
		return -ENOENT;
	return dev->type->set_link ? dev->type->set_link(dev, up) : -EOPNOTSUPP;
}

int tvq_device_announce(struct tvq_device *mgmt, uint64_t device_id)
{
	struct tvq_device *dev = device_id ? tvq_manager_find(mgmt->mgr, device_id) : mgmt;

	if (!dev)
		return -ENOENT;
	return dev->type->announce ? dev->type->announce(dev) : -EOPNOTSUPP;
}

void tvq_device_stats(const struct tvq_device *mgmt, struct tvq_device_stats *st)
{
	st->devices = mgmt->root->devices;
	st->vqs = mgmt->root->vqs;
	st->commands = mgmt->root->commands;
	st->errors = mgmt->root->errors;
}

int tvq_device_info(const struct tvq_device *mgmt, uint64_t device_id, struct tvq_device_info *info)
{
	const struct tvq_device *dev = tvq_manager_find(mgmt->mgr, device_id);
	const uint8_t *volume;

	if (!dev)
		return -ENOENT;
	*info = (struct tvq_device_info){
		.id = dev->id,
		.virtio_device_id = dev->type->virtio_id,
		.type = dev->type->name,
		.features = dev->offered,
		.driver_features = dev->accepted,
		.n_vqs = dev->n_vqs,
		.status = dev->status,
	};
	volume = dev->type->volume ? dev->type->volume(dev) : NULL;
	if (volume)
		memcpy(info->volume, volume, TVQ_VOLUME_ID_LEN);
	return 0;
}

/* Children are kept in the order of their ids, the highest first. */
uint64_t tvq_device_before(const struct tvq_device *mgmt, uint64_t device_id)
{
	const struct tvq_device *dev = tvq_manager_find(mgmt->mgr, device_id);

	dev = dev ? dev->sibling : mgmt->mgr->children;
	while (dev && (dev->id >= device_id || dev->life == TVQ_NEW || dev->life == TVQ_DYING))
		dev = dev->sibling;
	return dev ? dev->id : 0;
}

int tvq_device_resize(struct tvq_device *mgmt, uint64_t device_id, uint64_t capacity)
{
	struct tvq_device *dev = tvq_manager_find(mgmt->mgr, device_id);

	if (!dev)
		return -ENOENT;
	return dev->type->resize ? dev->type->resize(dev, capacity) : -EOPNOTSUPP;
}

int tvq_device_break(struct tvq_device *mgmt, uint64_t device_id, const char *why)
{
	struct tvq_device *dev = tvq_manager_find(mgmt->mgr, device_id);

	if (!dev)
		return -ENOENT;
	tvq_device_needs_reset(dev, why);
	return 0;
}
