// SPDX-License-Identifier: BSD-3-Clause
/*
 * Transmit queues: a turn takes a batch of chains, makes frames of them, and has the switch copy
 * them to wherever they go; then all are used. Nothing is under way between two turns.
 *
 * A port that may not send now (its rate, its link) leaves its chains in the ring; feed() comes when
 * it may again.
 */
#include "device/util.h"
#include "types/net.h"
#include "types/net_frame.h"

#define BATCH_LARGE 8 /* after a turn that moved more than TURN_BYTES */
#define TURN_BYTES  (256u << 10)

/* Where the driver has several pairs, a flow is received on the pair that it is sent on. */
static void remember_flows(struct net_queue *q, struct tvq_frame *const *f, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		q->net->flow[tvq_frame_flow(f[i]) % NET_FLOWS] = q->pair + 1;
}

static void forward(struct net_queue *q, unsigned int n)
{
	struct net_scratch *s = q->scratch;
	struct net *net = q->net;

	if (!n)
		return;
	if (__builtin_expect(q->pair != 0, 0))
		for (unsigned int i = 0; i < n; i++)
			s->frame[i].queue = q->pair;
	if (__builtin_expect(net->n_pairs > 1, 0))
		remember_flows(q, s->frames, n);
	tvq_switch_forward(net->port, s->frames, n);
}

/* s->frames[i] is s->frame[i]: what was dropped is left out. */
static unsigned int make_frames(struct net_queue *q, unsigned int n, uint32_t *drops)
{
	struct net_scratch *s = q->scratch;
	unsigned int m = 0;

	for (unsigned int i = 0; i < n; i++) {
		int err = net_frame_make(&s->frame[m], &s->tx_chain[i], q->features, q->hdr_len);

		if (err)
			drops[-err - 1]++;
		else
			m++;
	}
	return m;
}

static void count_drops(struct net_queue *q, const uint32_t *drops, unsigned int n)
{
	tvq_vq_count(&q->vq->stats, TVQ_STAT_DROPS, n);
	for (unsigned int why = 0; why < TVQ_DROPS; why++)
		if (drops[why])
			tvq_port_drop(q->net->port, (enum tvq_drop)why, drops[why]);
}

/* The m frames of s->frames, made of so many chains with that many bytes. */
static inline void send_frames(struct net_queue *q, unsigned int m, unsigned int n_chains,
			       uint64_t bytes, const uint32_t *drops)
{
	tvq_vq_count(&q->vq->stats, TVQ_STAT_BYTES_READ, bytes);
	q->large = bytes > TURN_BYTES;
	forward(q, m);
	if (__builtin_expect(m != n_chains, 0))
		count_drops(q, drops, n_chains - m);
}

/* Chains of one buffer each. */
static unsigned int send_bufs(struct net_queue *q, unsigned int n)
{
	struct net_scratch *s = q->scratch;
	uint32_t drops[TVQ_DROPS] = { 0 };
	struct tvq_vq *vq = q->vq;
	unsigned int m, got;
	uint64_t bytes = 0;

	got = tvq_vq_take_bufs(vq, s->buf, n, false);
	if (!got)
		return 0;
	m = net_frame_make_bufs(s->frame, s->buf_seg, s->buf, got, q->features, q->hdr_len, drops);
	for (unsigned int i = 0; i < got; i++)
		bytes += s->buf[i].len;
	send_frames(q, m, got, bytes, drops);
	tvq_vq_used_bufs(vq, s->buf, NULL, got);
	return got;
}

/* Any chains. */
static unsigned int send_chains(struct net_queue *q, unsigned int n)
{
	struct net_scratch *s = q->scratch;
	uint32_t drops[TVQ_DROPS] = { 0 };
	struct tvq_vq *vq = q->vq;
	unsigned int m, got;
	uint64_t bytes = 0;

	got = tvq_vq_take(vq, s->tx_chains, n);
	if (!got)
		return 0;
	m = make_frames(q, got, drops);
	for (unsigned int i = 0; i < got; i++)
		bytes += s->tx_chain[i].out_len;
	send_frames(q, m, got, bytes, drops);
	for (unsigned int i = 0; i < got; i++)
		tvq_vq_used(vq, &s->tx_chain[i], 0);
	return got;
}

static unsigned int net_tx_work(struct tvq_vq *vq)
{
	struct net_queue *q = vq->type_data;
	struct net *net = q->net;
	unsigned int n, got;

	if (!tvq_ring_has_work(&vq->ring))
		return 0;
	n = tvq_port_may_send(net->port, q->large ? BATCH_LARGE : TVQ_SWITCH_BATCH);
	vq->starved = !n;
	if (__builtin_expect(!n, 0))
		return 0;
	got = send_bufs(q, n);
	if (!got)
		got = send_chains(q, n);
	if (!got)
		return 0;
	tvq_vq_publish(vq);
	tvq_switch_flush(net->sw);
	return got;
}

static int net_tx_enter(struct tvq_vq *vq)
{
	struct net *net = vq->dev->type_data;

	return net_queue_enter(&net->tx[vq->index / 2], vq);
}

static void net_tx_leave(struct tvq_vq *vq)
{
	net_queue_leave(vq->type_data);
}

const struct tvq_vq_ops net_tx_ops = {
	.where = TVQ_VQ_SWITCH,
	.work = net_tx_work,
	.enter = net_tx_enter,
	.leave = net_tx_leave,
};
