// SPDX-License-Identifier: BSD-3-Clause
/* Commands to queues and interrupts, and waiting for what they lead to. */
#include "conformance/ct.h"
#include "device/features.h"
#include "device/util.h"

uint32_t ct_vq_size(struct ct_vq *q, uint16_t size)
{
	uint8_t v[4];

	tvq_put16(v, q->index);
	tvq_put16(v + 2, size);
	return ct_run(q->t, q->id, VQ_SIZE, SET, v, 4, NULL, 0);
}

uint32_t ct_vq_addr(struct ct_vq *q, uint64_t desc, uint64_t driver, uint64_t device)
{
	struct virtio_transportq_ctrl_vdev_vq_addr a;

	tvq_put16(&a.queue_index, q->index);
	tvq_put64(&a.device_area, device);
	tvq_put64(&a.descriptor_area, desc);
	tvq_put64(&a.driver_area, driver);
	return ct_run(q->t, q->id, VQ_ADDR, SET, &a, sizeof(a), NULL, 0);
}

uint32_t ct_vq_enable(struct ct_vq *q, uint8_t enable)
{
	uint8_t v[3];

	tvq_put16(v, q->index);
	v[2] = enable;
	return ct_run(q->t, q->id, VQ_ENABLE, SET, v, 3, NULL, 0);
}

uint8_t ct_vq_enabled(struct ct_vq *q)
{
	uint8_t v[2], on;

	tvq_put16(v, q->index);
	ct_ok(q->t, q->id, VQ_ENABLE, GET, v, 2, &on, 1);
	return on;
}

uint16_t ct_vq_size_get(struct ct *t, uint64_t id, uint16_t index)
{
	uint8_t v[2], size[2];

	tvq_put16(v, index);
	ct_ok(t, id, VQ_SIZE, GET, v, 2, size, 2);
	return tvq_get16(size);
}

uint32_t ct_vq_reset(struct ct_vq *q)
{
	uint8_t v[2];

	tvq_put16(v, q->index);
	return ct_run(q->t, q->id, VQ_RESET, SET, v, 2, NULL, 0);
}

uint32_t ct_vq_index_set(struct ct_vq *q, uint16_t avail, uint16_t used)
{
	uint8_t v[6];

	tvq_put16(v, q->index);
	tvq_put16(v + 2, avail);
	tvq_put16(v + 4, used);
	return ct_run(q->t, q->id, VQ_AVAIL_INDEX, SET, v, q->packed ? 6 : 4, NULL, 0);
}

uint32_t ct_vq_index(struct ct_vq *q, uint16_t *avail, uint16_t *used)
{
	uint8_t v[2], in[4];
	uint32_t ack;

	tvq_put16(v, q->index);
	ack = ct_run(q->t, q->id, VQ_AVAIL_INDEX, GET, v, 2, in, q->packed ? 4 : 2);
	if (ack != CT_OK)
		return ack;
	*avail = tvq_get16(in);
	*used = q->packed ? tvq_get16(in + 2) : *avail;
	return ack;
}

uint32_t ct_vq_asid(struct ct_vq *q, uint32_t asid)
{
	uint8_t v[6];

	tvq_put16(v, q->index);
	tvq_put32(v + 2, asid);
	return ct_run(q->t, q->id, VQ_ASID, SET, v, 6, NULL, 0);
}

uint32_t ct_vq_asid_get(struct ct *t, uint64_t id, uint16_t index)
{
	uint8_t v[2], asid[4];

	tvq_put16(v, index);
	ct_ok(t, id, VQ_ASID, GET, v, 2, asid, 4);
	return tvq_get32(asid);
}

uint32_t ct_vq_inflight(struct ct_vq *q, uint32_t asid, uint64_t addr, uint32_t size)
{
	struct virtio_transportq_ctrl_vdev_vq_inflight f;

	tvq_put16(&f.queue_index, q->index);
	tvq_put32(&f.asid, asid);
	tvq_put64(&f.addr, addr);
	tvq_put32(&f.size, size);
	return ct_run(q->t, q->id, VQ_INFLIGHT, SET, &f, sizeof(f), NULL, 0);
}

/* ---- interrupts ---- */

uint32_t ct_msi_set(struct ct *t, uint64_t id, int queue, uint64_t addr, uint32_t data)
{
	struct virtio_transportq_ctrl_vdev_msi_vq_config m;

	tvq_put16(&m.queue_index, (uint16_t)queue);
	tvq_put64(&m.addr, addr);
	tvq_put32(&m.data, data);
	if (queue == CT_CONFIG)
		return ct_run(t, id, MSI, CONFIG_SET, &m.addr, sizeof(m) - 2, NULL, 0);
	return ct_run(t, id, MSI, VQ_SET, &m, sizeof(m), NULL, 0);
}

uint32_t ct_msi_enable(struct ct *t, uint64_t id, int queue, uint8_t enable)
{
	uint8_t v[3];

	tvq_put16(v, (uint16_t)queue);
	v[2] = enable;
	if (queue == CT_CONFIG)
		return ct_run(t, id, MSI, CONFIG_ENABLE, v + 2, 1, NULL, 0);
	return ct_run(t, id, MSI, VQ_ENABLE, v, 3, NULL, 0);
}

uint32_t ct_msi_mask(struct ct *t, uint64_t id, int queue, uint8_t mask)
{
	uint8_t v[3];

	tvq_put16(v, (uint16_t)queue);
	v[2] = mask;
	if (queue == CT_CONFIG)
		return ct_run(t, id, MSI, CONFIG_MASK, v + 2, 1, NULL, 0);
	return ct_run(t, id, MSI, VQ_MASK, v, 3, NULL, 0);
}

/* ---- waiting ---- */

struct word_wait {
	volatile uint32_t *word;
	uint32_t value;
};

static bool has_value(void *arg)
{
	struct word_wait *w = arg;

	return tvq_get32((const void *)(uintptr_t)w->word) == w->value;
}

bool ct_wait_word(struct ct *t, volatile uint32_t *word, uint32_t value)
{
	struct word_wait w = { word, value };

	return ct_until(t, has_value, &w);
}

void ct_wait_slow(struct ct *t, unsigned int n)
{
	uint64_t end = t->bus->os->now() + CT_WAIT_NS;

	while (ct_slow_waiting(t->slow) < n) {
		ct_check(t, t->bus->os->now() < end, "%u of %u requests arrive at the volume",
			 ct_slow_waiting(t->slow), n);
		ct_turn(t);
	}
}

void ct_wait_needs_reset(struct ct *t, uint64_t id)
{
	uint64_t end = t->bus->os->now() + CT_WAIT_NS;

	while (!(ct_status(t, id) & 64)) {
		ct_check(t, t->bus->os->now() < end, "DEVICE_NEEDS_RESET does not come");
		ct_turn(t);
	}
}

bool ct_served(struct ct_vq *q, struct ct_io *io)
{
	ct_pause(q->t, CT_CHANCE_NS);
	ct_io_collect(q);
	return io->done;
}
