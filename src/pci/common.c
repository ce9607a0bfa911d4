// SPDX-License-Identifier: BSD-3-Clause
/*
 * The common configuration structure (virtio 1.4, 4.1.4.3).
 *
 * A field is accessed as a whole, by its own width; a field of 64 bits also by halves. What a
 * driver writes into features and areas is kept here, and checked as a whole when FEATURES_OK or
 * queue_enable is written: a driver sees by reading back that it was refused, and a line is logged.
 */
#include "pci/pci_priv.h"

enum {
	C_DEVICE_FEATURE_SELECT = 0,
	C_DEVICE_FEATURE = 4,
	C_DRIVER_FEATURE_SELECT = 8,
	C_DRIVER_FEATURE = 12,
	C_CONFIG_VECTOR = 16,
	C_NUM_QUEUES = 18,
	C_STATUS = 20,
	C_GENERATION = 21,
	C_QUEUE_SELECT = 22,
	C_QUEUE_SIZE = 24,
	C_QUEUE_VECTOR = 26,
	C_QUEUE_ENABLE = 28,
	C_QUEUE_NOTIFY_OFF = 30,
	C_QUEUE_AREAS = 32, /* descriptor, driver, device: 64 bits each */
	C_QUEUE_AREAS_END = 56,
	C_QUEUE_NOTIFY_DATA = 56,
	C_QUEUE_RESET = 58,
};

static const uint8_t widths[PCI_COMMON_LEN] = {
	[C_DEVICE_FEATURE_SELECT] = 4,
	[C_DEVICE_FEATURE] = 4,
	[C_DRIVER_FEATURE_SELECT] = 4,
	[C_DRIVER_FEATURE] = 4,
	[C_CONFIG_VECTOR] = 2,
	[C_NUM_QUEUES] = 2,
	[C_STATUS] = 1,
	[C_GENERATION] = 1,
	[C_QUEUE_SELECT] = 2,
	[C_QUEUE_SIZE] = 2,
	[C_QUEUE_VECTOR] = 2,
	[C_QUEUE_ENABLE] = 2,
	[C_QUEUE_NOTIFY_OFF] = 2,
	[C_QUEUE_AREAS] = 4,
	[C_QUEUE_AREAS + 4] = 4,
	[C_QUEUE_AREAS + 8] = 4,
	[C_QUEUE_AREAS + 12] = 4,
	[C_QUEUE_AREAS + 16] = 4,
	[C_QUEUE_AREAS + 20] = 4,
	[C_QUEUE_NOTIFY_DATA] = 2,
	[C_QUEUE_RESET] = 2,
};

void pci_regs_init(struct tvq_pci *p)
{
	memset(&p->regs, 0, sizeof(p->regs));
	p->regs.config_vector = VIRTIO_MSI_NO_VECTOR;
	for (uint16_t i = 0; i < p->n_queues; i++)
		p->queues[i] = (struct pci_queue){ .vector = VIRTIO_MSI_NO_VECTOR };
}

/* The highest index that a queue can have is the transportq's, with all features. */
uint16_t pci_num_queues(const struct tvq_pci *p)
{
	const struct tvq_type *type = p->dev->type;

	return type->transportq(type->num_queues(p->dev, p->dev->offered)) + 1;
}

/* Half of 64 bits: 0 the low one; another half than that and 1 is 0. */
static uint32_t half_get(uint64_t v, uint32_t half)
{
	return half > 1 ? 0 : (uint32_t)(v >> (32 * half));
}

static void half_set(uint64_t *v, uint32_t half, uint32_t bits)
{
	const uint32_t shift = 32 * half;

	if (half <= 1)
		*v = (*v & ~(UINT64_C(0xffffffff) << shift)) | (uint64_t)bits << shift;
}

static uint16_t checked_vector(const struct tvq_pci *p, uint32_t v)
{
	return v < p->n_vectors ? (uint16_t)v : VIRTIO_MSI_NO_VECTOR;
}

/* ---- the selected queue ---- */

static uint32_t queue_read(struct tvq_pci *p, uint32_t offset)
{
	struct tvq_vq *vq = tvq_device_vq(p->dev, p->regs.queue_select);
	struct pci_queue *q;

	if (!vq)
		return 0; /* its size, too: there is no such queue */
	q = &p->queues[vq - p->dev->vq];
	if (offset >= C_QUEUE_AREAS && offset < C_QUEUE_AREAS_END)
		return half_get(q->area[(offset - C_QUEUE_AREAS) / 8], offset / 4 % 2);
	switch (offset) {
	case C_QUEUE_SIZE:
		return vq->size;
	case C_QUEUE_VECTOR:
		return q->vector;
	case C_QUEUE_ENABLE:
		return vq->enabled;
	case C_QUEUE_NOTIFY_OFF:
		return p->regs.queue_select;
	case C_QUEUE_RESET:
		return vq->resetting;
	default:
		return 0;
	}
}

static void queue_enable(struct tvq_pci *p, const struct tvq_vq *vq, const struct pci_queue *q)
{
	const struct tvq_own_queue own = { p->regs.queue_select, vq->size, q->area[0], q->area[1],
					   q->area[2] };
	int err = tvq_device_queue_start(p->dev, &own);

	if (err && tvq_root_may_log(p->dev->root))
		tvq_device_log(p->dev, TVQ_LOG_WARN, "queue %u cannot be enabled: %s", own.index,
			       err == -EPERM	? "FEATURES_OK is not set"
			       : err == -EFAULT ? "an area is not mapped"
			       : err == -ENOMEM ? "out of memory"
						: "an area is misaligned or wraps");
}

static void queue_write(struct tvq_pci *p, uint32_t offset, uint32_t v)
{
	struct tvq_vq *vq = tvq_device_vq(p->dev, p->regs.queue_select);
	struct pci_queue *q;

	if (!vq)
		return;
	q = &p->queues[vq - p->dev->vq];
	if (offset == C_QUEUE_VECTOR) {
		q->vector = checked_vector(p, v);
	} else if (offset == C_QUEUE_RESET) {
		if (v == 1 && !tvq_device_queue_reset(p->dev, p->regs.queue_select))
			*q = (struct pci_queue){ .vector = VIRTIO_MSI_NO_VECTOR };
	} else if (vq->enabled) {
		return;
	} else if (offset == C_QUEUE_ENABLE) {
		if (v == 1)
			queue_enable(p, vq, q);
	} else if (offset == C_QUEUE_SIZE) {
		if (v <= UINT16_MAX)
			tvq_vq_set_size(vq, (uint16_t)v);
	} else if (offset >= C_QUEUE_AREAS && offset < C_QUEUE_AREAS_END) {
		half_set(&q->area[(offset - C_QUEUE_AREAS) / 8], offset / 4 % 2, v);
	}
}

/* ---- the device ---- */

/* A driver that accepts what is not offered does not get FEATURES_OK. */
static void status_write(struct tvq_pci *p, uint8_t status)
{
	if (status & ~p->dev->status & TVQ_S_FEATURES_OK &&
	    tvq_device_set_features(p->dev, p->regs.driver_features))
		status &= ~TVQ_S_FEATURES_OK;
	if (!status)
		p->reset_by_register = true;
	tvq_device_set_status(p->dev, status);
}

static uint32_t field_read(struct tvq_pci *p, uint32_t offset)
{
	struct pci_regs *r = &p->regs;

	switch (offset) {
	case C_DEVICE_FEATURE_SELECT:
		return r->device_feature_select;
	case C_DEVICE_FEATURE:
		return half_get(p->dev->offered, r->device_feature_select);
	case C_DRIVER_FEATURE_SELECT:
		return r->driver_feature_select;
	case C_DRIVER_FEATURE:
		return half_get(r->driver_features, r->driver_feature_select);
	case C_CONFIG_VECTOR:
		return r->config_vector;
	case C_NUM_QUEUES:
		return pci_num_queues(p);
	case C_STATUS:
		return p->dev->status;
	case C_GENERATION:
		return (uint8_t)p->dev->generation;
	case C_QUEUE_SELECT:
		return r->queue_select;
	default:
		return queue_read(p, offset);
	}
}

static void field_write(struct tvq_pci *p, uint32_t offset, uint32_t v)
{
	struct pci_regs *r = &p->regs;

	switch (offset) {
	case C_DEVICE_FEATURE_SELECT:
		r->device_feature_select = v;
		break;
	case C_DRIVER_FEATURE_SELECT:
		r->driver_feature_select = v;
		break;
	case C_DRIVER_FEATURE:
		if (!(p->dev->status & TVQ_S_FEATURES_OK))
			half_set(&r->driver_features, r->driver_feature_select, v);
		break;
	case C_CONFIG_VECTOR:
		r->config_vector = checked_vector(p, v);
		break;
	case C_STATUS:
		status_write(p, (uint8_t)v);
		break;
	case C_QUEUE_SELECT:
		r->queue_select = (uint16_t)v;
		break;
	default:
		queue_write(p, offset, v);
		break;
	}
}

/* ---- accesses ---- */

static bool both_halves(uint32_t offset, uint32_t len)
{
	return len == 8 && offset % 8 == 0 && offset >= C_QUEUE_AREAS && offset < C_QUEUE_AREAS_END;
}

void pci_common_read(struct tvq_pci *p, uint32_t offset, uint8_t *buf, uint32_t len)
{
	uint8_t v[4];

	if (both_halves(offset, len)) {
		pci_common_read(p, offset, buf, 4);
		pci_common_read(p, offset + 4, buf + 4, 4);
	} else if (len == widths[offset]) {
		tvq_put32(v, field_read(p, offset));
		memcpy(buf, v, len);
	}
}

void pci_common_write(struct tvq_pci *p, uint32_t offset, const uint8_t *buf, uint32_t len)
{
	uint8_t v[4] = { 0 };

	if (both_halves(offset, len)) {
		pci_common_write(p, offset, buf, 4);
		pci_common_write(p, offset + 4, buf + 4, 4);
	} else if (len == widths[offset]) {
		memcpy(v, buf, len);
		field_write(p, offset, tvq_get32(v));
	}
}
