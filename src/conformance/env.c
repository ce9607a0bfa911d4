// SPDX-License-Identifier: BSD-3-Clause
/* Connecting to the management device, memory, waiting. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conformance/ct.h"
#include "device/features.h"
#include "device/util.h"

void ct_fail(struct ct *t, const char *file, int line, const char *fmt, ...)
{
	const char *base = strrchr(file, '/');
	int n = snprintf(t->message, sizeof(t->message), "%s:%d: ", base ? base + 1 : file, line);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(t->message + n, sizeof(t->message) - (size_t)n, fmt, ap);
	va_end(ap);
	longjmp(*t->fail, 1);
}

void ct_skip(struct ct *t, const char *why)
{
	snprintf(t->message, sizeof(t->message), "%s", why);
	longjmp(*t->fail, 2);
}

/* ---- time ---- */

void ct_pause(struct ct *t, uint64_t ns)
{
	uint64_t end = t->bus->os->now() + ns;

	do
		ct_turn(t);
	while (t->bus->os->now() < end);
}

bool ct_until(struct ct *t, bool (*done)(void *arg), void *arg)
{
	uint64_t end = t->bus->os->now() + CT_WAIT_NS;

	while (!done(arg)) {
		if (t->bus->os->now() > end)
			return false;
		ct_turn(t);
	}
	return true;
}

/* ---- memory ---- */

void *ct_alloc(struct ct *t, size_t size, size_t align, uint64_t *iova)
{
	size_t at = (t->dma_used + align - 1) & ~(align - 1);

	if (at > CT_DMA || size > CT_DMA - at)
		ct_fail(t, __FILE__, __LINE__, "the test needs more than %u bytes of DMA memory",
			CT_DMA);
	memset(t->dma + at, 0, size);
	t->dma_used = at + size;
	*iova = t->dma_iova + at;
	return t->dma + at;
}

void *ct_own(struct ct *t, size_t size)
{
	size_t at = (t->own_used + 15) & ~(size_t)15;

	if (at > CT_OWN || size > CT_OWN - at)
		ct_fail(t, __FILE__, __LINE__, "the test needs more than %u bytes of memory",
			CT_OWN);
	memset(t->own + at, 0, size);
	t->own_used = at + size;
	return t->own + at;
}

bool ct_prepare(struct ct *t)
{
	if (!t->dma)
		t->dma = t->bus->ops->dma_alloc(t->bus, CT_DMA, &t->dma_iova);
	if (!t->own)
		t->own = malloc(CT_OWN);
	return t->dma && t->own;
}

void ct_unprepare(struct ct *t)
{
	if (t->dma)
		t->bus->ops->dma_free(t->bus, t->dma, CT_DMA);
	t->dma = NULL;
	t->dma_used = 0;
	free(t->own);
	t->own = NULL;
	t->own_used = 0;
}

void ct_limit(struct ct *t, const struct ct_limits *limits)
{
	if (!t->world)
		ct_skip(t, "only an in-process device can be made small");
	ct_reset(t);
	ct_unprepare(t);
	ct_close(t);
	t->limited = true;
	if (!ct_open(t, limits) || !ct_prepare(t))
		ct_fail(t, __FILE__, __LINE__,
			"the in-process device cannot be made with these limits");
	ct_connect(t, 0);
}

/* ---- the management device ---- */

void ct_reset(struct ct *t)
{
	const struct tvq_bus_ops *ops = t->bus->ops;
	uint64_t end = t->bus->os->now() + CT_WAIT_NS;

	if (t->slow)
		ct_slow_release(t->slow);
	ops->set_status(t->bus, 0);
	while (ops->status(t->bus)) {
		if (t->bus->os->now() > end)
			ct_fail(t, __FILE__, __LINE__,
				"the management device's reset does not end");
		if (t->slow)
			ct_slow_release(t->slow);
		ct_turn(t);
	}
	for (unsigned int i = 0; i < t->n_rings; i++)
		tvq_drv_ring_free(t->rings[i]);
	t->n_rings = 0;
	if (t->ring)
		tvq_drv_ring_free(t->ring);
	t->ring = NULL;
	t->dma_used = 0;
	t->own_used = 0;
	t->features = 0;
	t->via = NULL;
	t->shift = 0;
	ops->set_status(t->bus, 1);
	ops->set_status(t->bus, 3);
}

int ct_setup_transportq(struct ct *t, uint16_t index)
{
	struct tvq_drv_ring_cfg cfg = {
		.packed = t->features >> TVQ_F_RING_PACKED & 1,
		.event_idx = t->features >> TVQ_F_EVENT_IDX & 1,
		.indirect = t->features >> TVQ_F_INDIRECT_DESC & 1,
		.size = 256,
	};
	struct tvq_bus_queue q = { .index = index, .size = 256 };

	t->transportq = index;
	if (t->ring)
		tvq_drv_ring_free(t->ring);
	cfg.mem = ct_alloc(t, tvq_drv_ring_bytes(cfg.packed, 256, 256), 4096, &cfg.iova);
	t->ring = tvq_drv_ring_new(t->bus->os, &cfg, 256);
	if (!t->ring)
		return -ENOMEM;
	tvq_drv_ring_areas(t->ring, &q.desc, &q.driver, &q.device);
	return t->bus->ops->queue_setup(t->bus, &q, NULL, NULL);
}

/* TQ-010: where the transportq is, by what the device says of itself. */
static uint16_t transportq_index(struct ct *t)
{
	uint16_t n = 1;

	switch (t->bus->ops->device_type(t->bus)) {
	case 2:
		if (t->features & CT_F(12) && t->bus->ops->config_read(t->bus, 34, &n, 2))
			ct_fail(t, __FILE__, __LINE__, "num_queues cannot be read");
		return tvq_get16(&n);
	case 1:
		if (t->features & CT_F(22) && t->bus->ops->config_read(t->bus, 8, &n, 2))
			ct_fail(t, __FILE__, __LINE__, "max_virtqueue_pairs cannot be read");
		return 2 * tvq_get16(&n) + 1;
	default:
		ct_fail(t, __FILE__, __LINE__, "a management device of this type is not known");
	}
}

void ct_connect(struct ct *t, uint64_t features)
{
	const struct tvq_bus_ops *ops = t->bus->ops;
	uint64_t offered;
	int err;

	ct_reset(t);
	offered = ops->features(t->bus);
	if (!features) {
		features = offered & ~CT_F(TVQ_F_NOTIFICATION_DATA);
		if (!t->packed)
			features &= ~CT_F(TVQ_F_RING_PACKED);
	}
	ct_check(t, (offered & (t->f_vq | t->f_vdev)) == (t->f_vq | t->f_vdev),
		 "the device does not offer both feature bits (0x%llx)",
		 (unsigned long long)offered);
	ct_check(t, !t->packed || offered & CT_F(TVQ_F_RING_PACKED), "no packed ring is offered");
	err = ops->set_features(t->bus, features);
	ct_check(t, !err, "the features are refused (%d)", err);
	ops->set_status(t->bus, 11);
	ct_check(t, ops->status(t->bus) == 11, "FEATURES_OK does not stay");
	t->features = features;
	err = ct_setup_transportq(t, transportq_index(t));
	ct_check(t, !err, "the transportq cannot be set up (%d)", err);
	ops->set_status(t->bus, 15);
}

void ct_end_test(struct ct *t)
{
	jmp_buf env;
	jmp_buf *before = t->fail;

	if (!t->bus)
		return; /* it could not be made small */
	t->fail = &env;
	if (!setjmp(env))
		ct_reset(t);
	t->fail = before;
}
