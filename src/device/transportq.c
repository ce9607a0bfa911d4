// SPDX-License-Identifier: BSD-3-Clause
/*
 * The transport virtqueue (section 3), as a queue like any other: its work() takes chains, copies
 * the readable part once, and hands the command to commands.c. It runs on the control executor.
 *
 * Trust boundary: everything in a chain comes from the driver. Behind tvq_tcmd_run() a command has
 * the sizes that the table says, a living device and an existing queue.
 */
#include "device/manager.h"
#include "device/util.h"

#define TAKE_BATCH 16

static void gather(struct tvq_tcmd *c)
{
	uint32_t done = 0;

	for (uint16_t i = 0; i < c->chain.n_out && done < sizeof(c->out); i++) {
		size_t n = c->seg[i].len;

		if (n > sizeof(c->out) - done)
			n = sizeof(c->out) - done;
		memcpy(c->out + done, c->seg[i].va, n);
		done += (uint32_t)n;
	}
}

/* Writes len bytes at offset at of the writable part. */
static void scatter(struct tvq_tcmd *c, uint32_t at, const void *data, uint32_t len)
{
	struct tvq_vq *vq = &c->mgr->dev->vq[c->mgr->dev->n_vqs - 1];
	const uint8_t *p = data;

	for (uint16_t i = 0; i < c->chain.n_in && len; i++) {
		struct tvq_seg *s = &c->seg[c->chain.n_out + i];
		size_t n;

		if (at >= s->len) {
			at -= (uint32_t)s->len;
			continue;
		}
		n = s->len - at;
		if (n > len)
			n = len;
		memcpy((uint8_t *)s->va + at, p, n);
		if (vq->view.log)
			tvq_dma_wrote(&vq->view, c->iova[c->chain.n_out + i] + at, n);
		p += n;
		len -= (uint32_t)n;
		at = 0;
	}
}

static void free_cmd(struct tvq_tcmd *c)
{
	c->in_flight = false;
	c->next = c->mgr->free_cmds;
	c->mgr->free_cmds = c;
}

void tvq_transportq_answer(struct tvq_tcmd *c, int result)
{
	struct tvq_device *dev = c->mgr->dev;
	struct tvq_vq *vq = &dev->vq[dev->n_vqs - 1];
	uint8_t ack[4];
	uint32_t used = 4;

	if (c->aborted) {
		free_cmd(c);
		return;
	}
	dev->root->commands++;
	if (result < 0) {
		dev->root->errors++;
		tvq_put32(ack, VIRTIO_TRANSPTQ_ERR);
	} else {
		tvq_put32(ack, VIRTIO_TRANSPTQ_OK);
		scatter(c, 4, c->in, (uint32_t)result);
		used += (uint32_t)result;
	}
	scatter(c, 0, ack, sizeof(ack));
	tvq_vq_used(vq, &c->chain, used);
	free_cmd(c);
	tvq_vq_publish_late(vq);
}

/* TQ-022, TQ-023: a command without room for an ack is not executed. */
static void start(struct tvq_vq *vq, struct tvq_tcmd *c)
{
	if (c->chain.in_len < 4 || c->chain.too_long) {
		tvq_vq_used(vq, &c->chain, 0);
		free_cmd(c);
		tvq_vq_publish_late(vq);
		return;
	}
	tvq_tcmd_run(c);
}

static unsigned int transportq_work(struct tvq_vq *vq)
{
	struct tvq_manager *m = vq->dev->mgr;
	struct tvq_chain *chains[TAKE_BATCH];
	struct tvq_tcmd *cmds[TAKE_BATCH] = { 0 };
	unsigned int n = 0, got;

	/* Being reset or destroyed: what is available is left there. */
	if (vq->dev->life != TVQ_LIVING || !tvq_ring_has_work(&vq->ring))
		return 0;
	while (n < TAKE_BATCH && m->free_cmds) {
		cmds[n] = m->free_cmds;
		m->free_cmds = cmds[n]->next;
		cmds[n]->chain.seg = cmds[n]->seg;
		cmds[n]->chain.iova = cmds[n]->iova;
		cmds[n]->chain.max_seg = TVQ_TCMD_SEGS;
		chains[n] = &cmds[n]->chain;
		n++;
	}
	got = tvq_vq_take(vq, chains, n);
	while (n > got)
		free_cmd(cmds[--n]);
	for (unsigned int i = 0; i < got; i++) {
		/* No more come than were asked for. NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
		cmds[i]->in_flight = true;
		cmds[i]->aborted = false;
		gather(cmds[i]);
		tvq_manager_fetch_slot(m, tvq_get64(cmds[i]->out));
	}
	for (unsigned int i = 0; got > 1 && i < got; i++)
		tvq_manager_fetch_device(m, tvq_get64(cmds[i]->out));
	for (unsigned int i = 0; i < got; i++) {
		/* A command before may have reset this very device. */
		if (cmds[i]->in_flight && !cmds[i]->aborted)
			start(vq, cmds[i]);
		else
			free_cmd(cmds[i]);
	}
	return got;
}

static void free_cmds(struct tvq_manager *m)
{
	m->dev->root->os->free(m->cmds, m->n_cmds * sizeof(*m->cmds));
	m->cmds = m->free_cmds = NULL;
	m->n_cmds = 0;
}

/* No command is left from an earlier time: leaving waits for them, a reset aborts them and waits
 * for whatever they had begun. */
static int transportq_enter(struct tvq_vq *vq)
{
	struct tvq_manager *m = vq->dev->mgr;
	uint32_t n = vq->size;

	if (m->n_cmds < n) {
		free_cmds(m);
		m->cmds = m->dev->root->os->alloc(n * sizeof(*m->cmds));
		if (!m->cmds)
			return -ENOMEM;
		m->n_cmds = n;
	}
	m->free_cmds = NULL;
	for (uint32_t i = 0; i < m->n_cmds; i++) {
		m->cmds[i].mgr = m;
		m->cmds[i].aborted = false;
		free_cmd(&m->cmds[i]);
	}
	return 0;
}

const struct tvq_vq_ops tvq_transportq_ops = {
	.where = TVQ_VQ_CONTROL,
	.work = transportq_work,
	.enter = transportq_enter,
};

void tvq_transportq_abort(struct tvq_device *dev)
{
	struct tvq_manager *m = dev->mgr;
	struct tvq_vq *vq = &dev->vq[dev->n_vqs - 1];
	struct tvq_tcmd *busy = m->lane.busy;
	bool any = false;

	for (uint32_t i = 0; i < m->n_cmds; i++) {
		if (!m->cmds[i].in_flight || m->cmds[i].aborted)
			continue;
		m->cmds[i].aborted = true;
		vq->in_flight--;
		any = true;
	}
	/* A CREATE that waits for its volume ends by itself; the others of its lane never begin. */
	m->lane.busy = NULL;
	tvq_lane_abort(&m->lane);
	m->lane.busy = busy;
	/* Leaving may have waited for them. If not, it may be over before the turn is. */
	if (any)
		tvq_vq_publish_late(vq);
}

struct tvq_manager *tvq_manager_new(struct tvq_device *dev)
{
	const struct tvq_os *os = dev->root->os;
	struct tvq_manager *m = os->alloc(sizeof(*m));

	if (!m)
		return NULL;
	m->dev = dev;
	m->lane.tail = &m->lane.head;
	m->hash_size = 16;
	m->hash = os->alloc(m->hash_size * sizeof(*m->hash));
	if (!m->hash) {
		os->free(m, sizeof(*m));
		return NULL;
	}
	return m;
}

void tvq_manager_free(struct tvq_device *dev)
{
	struct tvq_manager *m = dev->mgr;
	const struct tvq_os *os = dev->root->os;

	free_cmds(m);
	os->free(m->hash, m->hash_size * sizeof(*m->hash));
	os->free(m, sizeof(*m));
	dev->mgr = NULL;
}
