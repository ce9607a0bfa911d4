// SPDX-License-Identifier: BSD-3-Clause
/*
 * Managing others: identifiers, resources (4.1), CREATE (4.2). Resources are the outermost
 * device's; every manager in the tree shows what is left of them (TQ-016).
 */

#include "device/manager.h"
#include "device/util.h"

/* Whatever the type, a device of this library can offer these. */
#define COMMON_FEATURES                                                                            \
	(TVQ_BIT(TVQ_F_VERSION_1) | TVQ_BIT(TVQ_F_ACCESS_PLATFORM) | TVQ_BIT(TVQ_F_RING_PACKED) |  \
	 TVQ_BIT(TVQ_F_RING_RESET) | TVQ_BIT(TVQ_F_NOTIFICATION_DATA) |                            \
	 TVQ_BIT(TVQ_F_INDIRECT_DESC) | TVQ_BIT(TVQ_F_EVENT_IDX))

uint64_t tvq_common_features(void)
{
	return COMMON_FEATURES;
}

/* ---- identifiers ---- */

static uint32_t hash_slot(const struct tvq_manager *m, uint64_t id)
{
	return (uint32_t)(id & (m->hash_size - 1));
}

static void hash_grow(struct tvq_manager *m)
{
	const struct tvq_os *os = m->dev->root->os;
	uint32_t old_size = m->hash_size;
	struct tvq_device **old = m->hash;
	struct tvq_device **bigger = os->alloc(old_size * 2 * sizeof(*bigger));

	if (!bigger)
		return; /* longer chains, nothing worse */
	m->hash = bigger;
	m->hash_size = old_size * 2;
	for (uint32_t i = 0; i < old_size; i++) {
		struct tvq_device *next;

		for (struct tvq_device *d = old[i]; d; d = next) {
			uint32_t s = hash_slot(m, d->id);

			next = d->hash_next;
			d->hash_next = bigger[s];
			bigger[s] = d;
		}
	}
	os->free(old, old_size * sizeof(*old));
}

struct tvq_device *tvq_manager_find(const struct tvq_manager *m, uint64_t id)
{
	struct tvq_device *d = m->hash[hash_slot(m, id)];

	while (d && d->id != id)
		d = d->hash_next;
	return d;
}

static void manager_list(struct tvq_manager *m, struct tvq_device *child)
{
	uint32_t s;

	if (m->n_listed >= m->hash_size)
		hash_grow(m);
	s = hash_slot(m, child->id);
	child->hash_next = m->hash[s];
	m->hash[s] = child;
	m->n_listed++;
}

void tvq_manager_unlist(struct tvq_device *child)
{
	struct tvq_manager *m = child->parent->mgr;
	struct tvq_device **p = &m->hash[hash_slot(m, child->id)];

	while (*p && *p != child)
		p = &(*p)->hash_next;
	if (!*p)
		return;
	*p = child->hash_next;
	m->n_listed--;
}

/* ---- resources ---- */

static uint16_t cap16(uint32_t n)
{
	return n > 65535 ? 65535 : (uint16_t)n;
}

uint32_t tvq_manager_asid(const struct tvq_manager *m, const struct tvq_space *s)
{
	return m->dev->parent ? 0 : tvq_space_asid(s);
}

void tvq_manager_avail_res(const struct tvq_manager *m, struct mgmt_dev_avail_res *res)
{
	const struct tvq_root *root = m->dev->root;
	uint32_t vqs = root->cfg.max_vqs - root->vqs;
	uint32_t devices = root->cfg.max_devices - root->devices;

	/* The fewest queues of a managed device are 1: a block device's. */
	tvq_put16(&res->num_avail_vqs, cap16(vqs));
	tvq_put16(&res->min_vdev_vqs, 1);
	tvq_put16(&res->max_vdev_vqs, root->cfg.max_vdev_vqs);
	tvq_put16(&res->num_avail_vdev, cap16(devices < vqs ? devices : vqs));
}

static uint64_t type_features(const struct tvq_root *root, const struct tvq_type *type)
{
	return type->features | COMMON_FEATURES | tvq_f_trnspt_vq(root) |
	       tvq_f_trnspt_vq_vdev(root);
}

static uint64_t type_default_features(const struct tvq_type *type)
{
	return type->default_features | COMMON_FEATURES;
}

int tvq_manager_type_get(const struct tvq_manager *m, uint32_t id,
			 struct virtio_transportq_ctrl_type *t)
{
	const struct tvq_root *root = m->dev->root;
	const struct tvq_type *type = tvq_type_find(id);

	if (!type)
		return -ENODEV;
	tvq_put64(&t->features, type_features(root, type));
	tvq_put64(&t->default_features, type_default_features(type));
	tvq_put16(&t->max_vqs, root->cfg.max_vdev_vqs);
	tvq_put16(&t->max_queue_size, root->cfg.max_queue_size);
	return 0;
}

static int reserve(struct tvq_root *root, uint16_t n_vqs)
{
	if (root->devices >= root->cfg.max_devices || n_vqs > root->cfg.max_vqs - root->vqs ||
	    n_vqs > root->cfg.max_vdev_vqs)
		return -ENOSPC;
	root->devices++;
	root->vqs += n_vqs;
	return 0;
}

static void unreserve(struct tvq_root *root, uint16_t n_vqs)
{
	root->devices--;
	root->vqs -= n_vqs;
}

/* ---- the tree ---- */

static void adopt(struct tvq_manager *m, struct tvq_device *child)
{
	struct tvq_root *root = m->dev->root;

	child->parent = m->dev;
	child->depth = m->dev->depth + 1;
	child->id = ++root->last_id; /* TQ-050: 64 bits do not run out */
	child->area = root->free_areas[--root->n_free_areas];
	root->areas[child->area] = child;
	child->sibling = m->children;
	child->psibling = &m->children;
	if (m->children)
		m->children->psibling = &child->sibling;
	m->children = child;
	m->n_children++;
}

void tvq_manager_remove(struct tvq_device *child)
{
	struct tvq_root *root = child->root;

	root->areas[child->area] = NULL;
	root->free_areas[root->n_free_areas++] = child->area;
	*child->psibling = child->sibling;
	if (child->sibling)
		child->sibling->psibling = child->psibling;
	child->parent->mgr->n_children--;
	unreserve(root, child->n_vqs);
}

bool tvq_manager_destroy_children(struct tvq_manager *m)
{
	struct tvq_device *next;

	if (m->destroying)
		return false;
	m->destroying = true;
	for (struct tvq_device *d = m->children; d; d = next) {
		next = d->sibling;
		if (d->life != TVQ_DYING)
			tvq_device_start_destroy(d);
	}
	m->destroying = false;
	return !m->n_children;
}

/* ---- CREATE ---- */

static void created(struct tvq_device *dev, int err)
{
	struct tvq_tcmd *cmd = dev->destroy_cmd; /* CREATE itself, until the device lives */
	struct tvq_device *parent = dev->parent;

	dev->destroy_cmd = NULL;
	dev->creating = false;
	if (err || dev->life == TVQ_DYING) {
		tvq_manager_remove(dev);
		tvq_device_free(dev);
		tvq_tcmd_done(cmd, err ? err : -ECANCELED);
		tvq_device_progress(parent);
		return;
	}
	dev->life = TVQ_LIVING;
	manager_list(parent->mgr, dev);
	tvq_put64(cmd->in, dev->id);
	tvq_tcmd_done(cmd, 8);
}

/* The features that the device will offer: TQ-051. */
static int check_features(const struct tvq_manager *m, const struct tvq_type *type,
			  uint64_t features)
{
	const struct tvq_root *root = m->dev->root;
	const uint64_t needed = TVQ_BIT(TVQ_F_VERSION_1) | TVQ_BIT(TVQ_F_ACCESS_PLATFORM);

	if (features & ~type_features(root, type) || (features & needed) != needed ||
	    !tvq_features_requirements(features, type, root))
		return -EINVAL;
	if (features & tvq_f_trnspt_vq(root) && m->dev->depth >= root->cfg.max_depth)
		return -EPERM; /* TQ-014 */
	return 0;
}

struct tvq_space *tvq_manager_space(const struct tvq_manager *m, uint32_t asid)
{
	struct tvq_platform *p = m->dev->root->platform;
	struct tvq_space *s;

	if (!m->dev->parent)
		return p->ops->space(p, asid);
	if (asid)
		return NULL;
	s = tvq_vq_space(&m->dev->vq[m->dev->n_vqs - 1]);
	tvq_space_get(s);
	return s;
}

/* A device with its space, listed nowhere yet; resources are reserved. */
static struct tvq_device *build(struct tvq_manager *m, const struct tvq_type *type, uint32_t asid,
				const struct tvq_type_cfg *cfg, int *err)
{
	struct tvq_root *root = m->dev->root;
	uint16_t n_vqs = cfg->n_queues + !!(cfg->features & tvq_f_trnspt_vq(root));
	struct tvq_space *space = tvq_manager_space(m, asid);
	struct tvq_device *dev;

	*err = -ENOENT;
	if (!space)
		return NULL;
	*err = reserve(root, n_vqs);
	if (*err) {
		tvq_space_put(space);
		return NULL;
	}
	dev = tvq_device_new(root, type, cfg->features, n_vqs);
	if (!dev) {
		unreserve(root, n_vqs);
		tvq_space_put(space);
		*err = -ENOMEM;
		return NULL;
	}
	dev->space = space;
	adopt(m, dev);
	return dev;
}

int tvq_manager_create(struct tvq_manager *m, struct tvq_tcmd *cmd)
{
	const struct virtio_transportq_ctrl_vdev_attribute *a = (const void *)tvq_tcmd_data(cmd);
	struct tvq_type_cfg cfg = { .dev_config_len = cmd->out_len - (uint32_t)sizeof(*a) };
	const struct tvq_type *type;
	struct tvq_device *dev;
	bool defaults;
	int err;

	if (cmd->out_len < sizeof(*a) || cfg.dev_config_len > sizeof(cfg.dev_config))
		return -EINVAL;
	type = tvq_type_find(tvq_get32(&a->virtio_device_id));
	if (!type)
		return -ENODEV;
	memcpy(cfg.dev_config, a->dev_config, cfg.dev_config_len);
	cfg.features = tvq_get64(&a->device_features);
	defaults = !cfg.features;
	if (defaults)
		cfg.features = type_default_features(type);
	err = type->parse(&m->dev->root->cfg, &cfg, defaults);
	if (!err)
		err = check_features(m, type, cfg.features);
	if (err)
		return err;
	dev = build(m, type, tvq_get32(&a->asid), &cfg, &err);
	if (!dev)
		return err;
	dev->destroy_cmd = cmd;
	dev->creating = true;
	type->create(dev, &cfg, created);
	return TVQ_TCMD_LATER;
}
