// SPDX-License-Identifier: BSD-3-Clause
/*
 * Receive queues. The switch hands a port its frames; each is copied into a buffer of the queue that
 * its flow belongs to. A queue takes buffers for a whole batch at once and gives the ones that
 * were not needed back to the ring. flush() publishes what was used.
 *
 * Trust boundary: buffers are the driver's memory, checked by the ring; how large they are is not
 * known before they are looked at here. The frame's payload is the sender's memory: it may change
 * while it is copied.
 */
#include "ring/barrier.h"
#include "types/net_rx.h"

#define LINE 64 /* of a cache, on all machines that matter; elsewhere nothing breaks */

/* ---- a queue ---- */

typedef long long net_words __attribute__((vector_size(16), aligned(1), may_alias));

/*
 * A frame's payload, in one piece on both sides: small ones without a call. Its EtherType is judged
 * as it was copied. All loads of a small frame come before its stores, so that both sides' misses
 * overlap.
 */
static inline void copy_payload(uint8_t *to, const struct tvq_frame *f)
{
	const uint8_t *from = f->seg->va;
	uint32_t n = f->len;

	if (__builtin_expect(n >= 32 && n <= 64, 1)) {
		const net_words *a = (const void *)from, *z = (const void *)(from + n - 32);
		net_words a0 = a[0], a1 = a[1], z0 = z[0], z1 = z[1];

		((net_words *)(void *)to)[0] = a0;
		((net_words *)(void *)to)[1] = a1;
		((net_words *)(void *)(to + n - 32))[0] = z0;
		((net_words *)(void *)(to + n - 32))[1] = z1;
	} else {
		memcpy(to, from, n);
	}
	net_frame_hide_tag(to);
}

/*
 * Drivers that keep a packet's data at the beginning of a cache line have the header at the end of
 * the line before, alone. Frames without offloads all have the same header, which is there already
 * when a buffer comes for the second time: such a line is looked at, and left where it is, in the
 * caches of both sides.
 */
static inline bool header_is_alone(const uint8_t *to)
{
	return (uintptr_t)to % LINE == LINE - NET_HDR;
}

static inline void prefetch_buffer(const uint8_t *to)
{
	if (header_is_alone(to))
		tvq_prefetch(to);
	else
		tvq_prefetch_write(to);
	tvq_prefetch_write(to + LINE);
}

static inline void put_header(uint8_t *to, struct net_rx_hdr h)
{
	if (!header_is_alone(to) || tvq_peek64(to) != h.begin || tvq_peek32(to + 8) != h.end)
		net_rx_put_header(to, h);
}

static inline bool gets_tag(const struct tvq_port *p, const struct tvq_frame *f)
{
	return __builtin_expect(f->tagged | (f->vid != 0), 0) && tvq_port_tags(p, f);
}

/*
 * The usual: frames in one piece, without tags, into buffers that are one descriptor each and large
 * enough. Returns how many of them went that way; the others are the slow path's.
 */
static unsigned int receive_bufs(struct net_queue *q, struct tvq_port *p,
				 const struct tvq_frame *const *f, unsigned int n)
{
	struct net_scratch *s = q->scratch;
	unsigned int got, i;
	uint64_t bytes = 0;

	if (q->report)
		return 0;
	got = tvq_vq_take_bufs(q->vq, s->rx_buf, n, true);
	for (i = 0; i < got; i++)
		prefetch_buffer(s->rx_buf[i].va);
	for (i = 0; i < got; i++) {
		/* No more come than were asked for. NOLINTNEXTLINE(clang-analyzer-core.*) */
		const struct tvq_frame *frame = f[i];
		uint32_t total = NET_HDR + 12 + frame->len;
		uint8_t *to = s->rx_buf[i].va;

		if (__builtin_expect((frame->n_seg != 1) | (total > s->rx_buf[i].len), 0) ||
		    tvq_offload_needed(frame, q->can) || gets_tag(p, frame))
			break;
		put_header(to, net_rx_header(q, frame, 12, 1));
		memcpy(to + NET_HDR, frame->mac, 12);
		copy_payload(to + NET_HDR + 12, frame);
		s->rx_written[i] = total;
		bytes += total;
	}
	if (i < got)
		tvq_vq_untake_bufs(q->vq, got - i);
	if (!i)
		return 0;
	tvq_vq_used_bufs(q->vq, s->rx_buf, s->rx_written, i);
	tvq_vq_count(&q->vq->stats, TVQ_STAT_BYTES_WRITTEN, bytes);
	tvq_port_received(p, i, bytes - (uint64_t)i * NET_HDR);
	q->dirty = true;
	return i;
}

static void queue_receive(struct net_queue *q, struct tvq_port *p, const struct tvq_frame *const *f,
			  unsigned int n)
{
	unsigned int done;

	if (__builtin_expect(!q->vq || !tvq_vq_ready(q->vq), 0)) {
		tvq_port_drop(p, TVQ_DROP_NO_BUFFER, n);
		if (q->vq)
			tvq_vq_count(&q->vq->stats, TVQ_STAT_DROPS, n);
		return;
	}
	done = receive_bufs(q, p, f, n);
	if (__builtin_expect(done < n, 0))
		net_rx_slow(q, p, f + done, n - done);
}

/* ---- a port ---- */

static uint16_t pair_of(const struct net *net, const struct tvq_frame *f)
{
	uint32_t hash;
	uint16_t pair;

	if (net->rss_steers) {
		struct tvq_rss_result res = tvq_frame_rss(f, net->rss.types, net->rss.key);

		pair = res.report ? net->rss.table[res.hash & net->rss.mask]
				  : net->rss.unclassified;
	} else {
		hash = tvq_frame_flow(f);
		pair = net->flow[hash % NET_FLOWS];
		pair = pair ? pair - 1 : (uint16_t)(hash / NET_FLOWS % net->n_pairs);
	}
	return pair < net->n_pairs ? pair : (uint16_t)(pair % net->n_pairs);
}

/* Frames of one pair together, in their order. */
static void steer(struct net *net, struct tvq_port *p, const struct tvq_frame *const *f,
		  unsigned int n)
{
	const struct tvq_frame *same[TVQ_SWITCH_BATCH];
	uint16_t pair[TVQ_SWITCH_BATCH];
	uint64_t left = n == 64 ? UINT64_MAX : (1ull << n) - 1;

	for (unsigned int i = 0; i < n; i++)
		pair[i] = pair_of(net, f[i]);
	while (left) {
		uint16_t now = pair[__builtin_ctzll(left)];
		unsigned int m = 0;

		for (uint64_t rest = left; rest; rest &= rest - 1) {
			unsigned int i = (unsigned int)__builtin_ctzll(rest);

			if (pair[i] != now)
				continue;
			same[m++] = f[i];
			left &= ~(1ull << i);
		}
		queue_receive(&net->rx[now], p, same, m);
	}
}

static void net_receive(struct tvq_port *p, const struct tvq_frame *const *f, unsigned int n)
{
	struct net *net = tvq_port_ctx(p);

	if (__builtin_expect(net->n_pairs <= 1, 1))
		queue_receive(&net->rx[0], p, f, n);
	else
		steer(net, p, f, n);
}

static void net_flush(struct tvq_port *p)
{
	struct net *net = tvq_port_ctx(p);
	unsigned int n = net->n_pairs ? net->n_pairs : 1;

	for (unsigned int i = 0; i < n; i++) {
		struct net_queue *q = &net->rx[i];

		if (!q->dirty)
			continue;
		q->dirty = false;
		tvq_vq_publish(q->vq);
	}
}

static void net_feed(struct tvq_port *p)
{
	struct net *net = tvq_port_ctx(p);

	for (unsigned int i = 0; i < net->max_pairs; i++)
		if (net->tx[i].vq && net->tx[i].vq->starved)
			tvq_vq_feed(net->tx[i].vq);
}

const struct tvq_port_ops net_port_ops = {
	.receive = net_receive,
	.flush = net_flush,
	.feed = net_feed,
};

/* ---- queues ---- */

/*
 * Frames go to the queues that are there, of the pairs that the driver has enabled. A driver that
 * uses no control queue says by the queues that it enables how many it wants: so does a front end
 * that serves the control queue itself (vhost-user).
 */
void net_pairs_update(struct net *net)
{
	uint16_t n = net->ctrl_there ? net->pairs_set : net->max_pairs;

	while (n && !net->rx[n - 1].vq)
		n--;
	net->n_pairs = n;
}

static int net_rx_enter(struct tvq_vq *vq)
{
	struct net *net = vq->dev->type_data;
	int err = net_queue_enter(&net->rx[vq->index / 2], vq);

	net_pairs_update(net);
	return err;
}

static void net_rx_leave(struct tvq_vq *vq)
{
	struct net_queue *q = vq->type_data;

	net_queue_leave(q);
	net_pairs_update(q->net);
}

const struct tvq_vq_ops net_rx_ops = {
	.where = TVQ_VQ_SWITCH,
	.passive = true,
	.enter = net_rx_enter,
	.leave = net_rx_leave,
};
