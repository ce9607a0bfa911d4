// SPDX-License-Identifier: BSD-3-Clause
/*
 * Block devices: creation (TQ-142, TQ-143), features and configuration. The volume comes from the
 * management device's pool, perhaps later, and goes back there when the device is destroyed.
 */
#include "device/util.h"
#include "types/blk.h"
#include "types/types.h"

#define BLK_DEFAULT                                                                                \
	(TVQ_BIT(BLK_F_SEG_MAX) | TVQ_BIT(BLK_F_BLK_SIZE) | TVQ_BIT(BLK_F_FLUSH) |                 \
	 TVQ_BIT(BLK_F_TOPOLOGY) | TVQ_BIT(BLK_F_CONFIG_WCE) | TVQ_BIT(BLK_F_DISCARD) |            \
	 TVQ_BIT(BLK_F_WRITE_ZEROES))
#define BLK_ALL (BLK_DEFAULT | TVQ_BIT(BLK_F_RO) | TVQ_BIT(BLK_F_MQ))

static const struct virtio_transportq_blk_config *asked(const struct tvq_type_cfg *cfg)
{
	return (const void *)cfg->dev_config;
}

static bool power_of_two(uint32_t n)
{
	return n && !(n & (n - 1));
}

/* TQ-142: honoured or failed. A field whose bit is not offered reads 0, so nothing else can be
 * asked. */
static bool bits_offered(const struct virtio_transportq_blk_config *a, uint64_t features)
{
	if (a->seg_max && !(features & TVQ_BIT(BLK_F_SEG_MAX)))
		return false;
	if (a->blk_size && !(features & TVQ_BIT(BLK_F_BLK_SIZE)))
		return false;
	if ((a->physical_block_exp || a->alignment_offset || a->min_io_size || a->opt_io_size) &&
	    !(features & TVQ_BIT(BLK_F_TOPOLOGY)))
		return false;
	return !a->wce || features & TVQ_BIT(BLK_F_CONFIG_WCE);
}

static int blk_parse(const struct tvq_mgmt_cfg *mgmt, struct tvq_type_cfg *cfg,
		     bool default_features)
{
	const struct virtio_transportq_blk_config *a = asked(cfg);
	uint32_t blk_size = tvq_get32(&a->blk_size);
	uint16_t n;

	if (cfg->dev_config_len && cfg->dev_config_len != sizeof(*a))
		return -EINVAL;
	n = tvq_get16(&a->num_queues);
	n = n ? n : 1;
	if (n > 1 && default_features)
		cfg->features |= TVQ_BIT(BLK_F_MQ);
	if (n > 1 && !(cfg->features & TVQ_BIT(BLK_F_MQ)))
		return -EINVAL;
	if (n > mgmt->max_vdev_vqs)
		return -ENOSPC;
	/* SIZE_MAX and GEOMETRY are not offered: there is nothing to honour. */
	if (a->unused || a->wce > 1 || tvq_get32(&a->size_max) || tvq_get16(&a->cylinders) ||
	    a->heads || a->sectors || tvq_get32(&a->seg_max) > BLK_SEG_MAX ||
	    a->physical_block_exp > 15 || !bits_offered(a, cfg->features))
		return -EINVAL;
	if (blk_size && (!power_of_two(blk_size) || blk_size < TVQ_SECTOR_SIZE || blk_size > 4096))
		return -EINVAL;
	if (tvq_get64(&a->capacity) > UINT64_MAX / TVQ_SECTOR_SIZE)
		return -EINVAL;
	cfg->n_queues = n;
	return 0;
}

static uint16_t blk_num_queues(const struct tvq_device *dev, uint64_t features)
{
	uint16_t n = dev->n_vqs - (dev->mgr ? 1 : 0);

	return features & TVQ_BIT(BLK_F_MQ) ? n : 1;
}

static uint16_t blk_transportq(uint16_t num_queues)
{
	return num_queues; /* TQ-010 */
}

static bool blk_features_ok(uint64_t features)
{
	return !(features & TVQ_BIT(BLK_F_CONFIG_WCE)) || features & TVQ_BIT(BLK_F_FLUSH);
}

static uint8_t log2_of(uint32_t n)
{
	return (uint8_t)(31 - __builtin_clz(n));
}

static void fill_topology(struct tvq_device *dev, const struct virtio_transportq_blk_config *a,
			  const struct tvq_volume_limits *l, uint32_t blk_size)
{
	struct blk_config *c = (void *)dev->config;
	uint32_t physical = l->physical_block_size > blk_size ? l->physical_block_size : blk_size;

	c->physical_block_exp = a->physical_block_exp ? a->physical_block_exp
						      : log2_of(physical / blk_size);
	c->alignment_offset = a->alignment_offset;
	tvq_put16(&c->min_io_size, tvq_get16(&a->min_io_size) ? tvq_get16(&a->min_io_size) : 1);
	tvq_put32(&c->opt_io_size, tvq_get32(&a->opt_io_size) ? tvq_get32(&a->opt_io_size)
							      : l->opt_io_size / blk_size);
}

static void fill_ranges(struct tvq_device *dev, const struct tvq_volume_limits *l)
{
	struct blk_config *c = (void *)dev->config;

	if (dev->offered & TVQ_BIT(BLK_F_DISCARD)) {
		tvq_put32(&c->max_discard_sectors, BLK_MAX_RANGE);
		tvq_put32(&c->max_discard_seg, 1);
		tvq_put32(&c->discard_sector_alignment,
			  l->discard_granularity > TVQ_SECTOR_SIZE
				  ? l->discard_granularity / TVQ_SECTOR_SIZE
				  : 1);
	}
	if (dev->offered & TVQ_BIT(BLK_F_WRITE_ZEROES)) {
		tvq_put32(&c->max_write_zeroes_sectors, BLK_MAX_RANGE);
		tvq_put32(&c->max_write_zeroes_seg, 1);
		c->write_zeroes_may_unmap = l->can_discard;
	}
}

/* Fields whose bit is not offered stay 0 (TQ-076). */
static int fill_config(struct tvq_device *dev, const struct tvq_type_cfg *cfg,
		       const struct tvq_volume_limits *l)
{
	const struct virtio_transportq_blk_config *a = asked(cfg);
	struct blk_config *c = (void *)dev->config;
	struct blk *b = dev->type_data;
	uint32_t blk_size = tvq_get32(&a->blk_size) ? tvq_get32(&a->blk_size) : l->block_size;

	if (blk_size < l->block_size || l->capacity % blk_size)
		return -EINVAL;
	tvq_put64(&c->capacity, l->capacity / TVQ_SECTOR_SIZE);
	atomic_store_explicit(&b->capacity, l->capacity, memory_order_relaxed);
	if (dev->offered & TVQ_BIT(BLK_F_SEG_MAX))
		tvq_put32(&c->seg_max,
			  tvq_get32(&a->seg_max) ? tvq_get32(&a->seg_max) : BLK_SEG_MAX);
	if (dev->offered & TVQ_BIT(BLK_F_BLK_SIZE))
		tvq_put32(&c->blk_size, blk_size);
	if (dev->offered & TVQ_BIT(BLK_F_TOPOLOGY))
		fill_topology(dev, a, l, blk_size);
	b->writeback0 = 1;
	if (dev->offered & TVQ_BIT(BLK_F_CONFIG_WCE))
		c->writeback = b->writeback0;
	if (dev->offered & TVQ_BIT(BLK_F_MQ))
		tvq_put16(&c->num_queues, cfg->n_queues);
	fill_ranges(dev, l);
	return 0;
}

static void blk_created(struct blk *b, int err)
{
	struct tvq_device *dev = b->dev;
	static const struct tvq_volume_limits nothing = { .block_size = TVQ_SECTOR_SIZE };

	if (!err) {
		err = fill_config(dev, &b->cfg, b->volume ? &b->volume->limits : &nothing);
		if (err && b->volume)
			dev->root->cfg.pool->ops->release(dev->root->cfg.pool, b->volume);
	}
	if (err) { /* created() frees the device */
		void (*created)(struct tvq_device * dev, int err) = b->created;

		dev->type_data = NULL;
		dev->root->os->free(b, sizeof(*b));
		created(dev, err);
		return;
	}
	b->created(dev, 0);
}

static void blk_claimed(struct tvq_claim *claim, int err, struct tvq_volume *v)
{
	struct blk *b = tvq_container_of(claim, struct blk, claim);

	b->volume = err ? NULL : v;
	blk_created(b, err);
}

static void blk_create(struct tvq_device *dev, const struct tvq_type_cfg *cfg,
		       void (*done)(struct tvq_device *dev, int err))
{
	struct tvq_pool *pool = dev->root->cfg.pool;
	struct blk *b = dev->root->os->alloc(sizeof(*b));

	if (!b) {
		done(dev, -ENOMEM);
		return;
	}
	dev->type_data = b;
	b->dev = dev;
	b->cfg = *cfg;
	b->created = done;
	if (!dev->parent) { /* the outermost device has no volume: its own queues answer with errors
			     */
		blk_created(b, 0);
		return;
	}
	if (!pool) {
		blk_created(b, -ENOENT);
		return;
	}
	memcpy(b->claim.id, asked(cfg)->id, sizeof(b->claim.id));
	b->claim.capacity = tvq_get64(&asked(cfg)->capacity) * TVQ_SECTOR_SIZE;
	b->claim.read_only = cfg->features >> BLK_F_RO & 1;
	b->claim.done = blk_claimed;
	pool->ops->claim(pool, &b->claim);
}

static void blk_destroy(struct tvq_device *dev)
{
	struct blk *b = dev->type_data;

	if (b->volume)
		dev->root->cfg.pool->ops->release(dev->root->cfg.pool, b->volume);
	dev->root->os->free(b, sizeof(*b));
	dev->type_data = NULL;
}

void blk_update_write_through(struct tvq_device *dev)
{
	const struct blk_config *c = (const void *)dev->config;
	struct blk *b = dev->type_data;
	bool through = !tvq_device_has(dev, BLK_F_FLUSH) ||
		       (tvq_device_has(dev, BLK_F_CONFIG_WCE) && !c->writeback);

	atomic_store_explicit(&b->write_through, through, memory_order_release);
}

static void blk_reset(struct tvq_device *dev)
{
	struct blk_config *c = (void *)dev->config;
	struct blk *b = dev->type_data;

	if (!(dev->offered & TVQ_BIT(BLK_F_CONFIG_WCE)) || c->writeback == b->writeback0)
		return;
	c->writeback = b->writeback0;
	dev->generation++;
}

/* TQ-078: writeback is the only field that a driver may write. */
static int blk_config_set(struct tvq_device *dev, uint32_t offset, uint32_t size,
			  const uint8_t *buf)
{
	struct blk_config *c = (void *)dev->config;

	if (offset != offsetof(struct blk_config, writeback) || size != 1 || *buf > 1 ||
	    !tvq_device_has(dev, BLK_F_CONFIG_WCE))
		return -EPERM;
	c->writeback = *buf;
	blk_update_write_through(dev);
	return 0;
}

static const uint8_t *blk_volume(const struct tvq_device *dev)
{
	const struct blk *b = dev->type_data;

	return b && b->volume ? b->volume->id : NULL;
}

static int blk_resize(struct tvq_device *dev, uint64_t capacity)
{
	struct blk_config *c = (void *)dev->config;
	struct blk *b = dev->type_data;

	if (capacity % TVQ_SECTOR_SIZE || capacity / TVQ_SECTOR_SIZE < tvq_get64(&c->capacity))
		return -EINVAL;
	tvq_put64(&c->capacity, capacity / TVQ_SECTOR_SIZE);
	/* Before the driver hears of it. A volume does not check ranges: they end where it does. */
	if (b->volume && capacity > b->volume->limits.capacity)
		capacity = b->volume->limits.capacity;
	atomic_store_explicit(&b->capacity, capacity, memory_order_release);
	tvq_device_config_changed(dev);
	return 0;
}

static const struct tvq_vq_ops *blk_queue(const struct tvq_device *dev, uint16_t index)
{
	(void)dev;
	(void)index;
	return &blk_vq_ops;
}

const struct tvq_type tvq_type_blk = {
	.virtio_id = TVQ_TYPE_BLK,
	.name = "block",
	.features = BLK_ALL,
	.default_features = BLK_DEFAULT,
	.config_len = sizeof(struct blk_config),
	.vq_ops = blk_queue,
	.parse = blk_parse,
	.num_queues = blk_num_queues,
	.transportq = blk_transportq,
	.features_ok = blk_features_ok,
	.create = blk_create,
	.destroy = blk_destroy,
	.reset = blk_reset,
	.features_set = blk_update_write_through,
	.config_set = blk_config_set,
	.volume = blk_volume,
	.resize = blk_resize,
};
