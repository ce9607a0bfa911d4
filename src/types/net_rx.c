// SPDX-License-Identifier: BSD-3-Clause
/*
 * Receive queues. The switch hands a port its frames; each is copied into buffers of the queue that
 * its flow belongs to. A queue takes buffers for a whole batch at once and gives the ones that
 * were not needed back to the ring.
 *
 * A frame that finds no buffers, or too small ones, is dropped and counted; the buffers stay for
 * the next one. What the driver gets with it (header, number of buffers) is written last, in place.
 *
 * Trust boundary: buffers are the driver's memory, checked by the ring; how large they are is not
 * known before they are looked at here. The frame's payload is the sender's memory: it may change
 * while it is copied.
 */
#include "device/util.h"
#include "types/net.h"

#define TAG 0x8100

/* One queue's share of a batch. */
struct run {
	struct net_queue *q;
	struct net_scratch *s;
	struct tvq_port *port;
	unsigned int head, have;     /* of s->rx_chain: next one, behind the last one taken */
	unsigned int expect;	     /* frames that are still to come */
	uint64_t packets, bytes;     /* delivered */
	uint64_t written;	     /* with headers */
	uint64_t no_buffer, no_room; /* drops */
	bool empty;		     /* the ring was, in this batch */
};

/* A place in the writable parts of chains that follow each other. */
struct place {
	struct tvq_chain *c;
	unsigned int seg;
	size_t off;
};

/* ---- buffers ---- */

/* One more chain at the end of those that were taken. False: there is none, or no room for it. */
static bool run_take(struct run *r)
{
	unsigned int n = r->expect ? r->expect : 1, got;

	/* With an in-flight area what is taken cannot always be given back. */
	if (__builtin_expect(r->q->vq->inflight_size != 0, 0))
		n = 1;
	if (n > NET_RX_CHAINS - r->have)
		n = NET_RX_CHAINS - r->have;
	if (!n || r->empty)
		return false;
	got = tvq_vq_take(r->q->vq, r->s->rx_chains + r->have, n);
	r->have += got;
	r->empty = !got;
	return got;
}

/* Chains for a frame of `total` bytes with its header. How many, at r->head; 0: counted as a drop. */
static unsigned int run_buffers(struct run *r, uint64_t total)
{
	unsigned int most = r->q->mrg ? NET_FRAME_CHAINS : 1, n = 0;
	uint64_t room = 0;

	if (r->head == r->have)
		r->head = r->have = 0;
	while (room < total) {
		const struct tvq_chain *c;

		if (n == most)
			goto no_room;
		if (r->head + n == r->have && !run_take(r)) {
			r->no_buffer++;
			return 0;
		}
		c = &r->s->rx_chain[r->head + n];
		/* The header is in one buffer, whole (virtio 1.4, 5.1.6.3.1). */
		if (c->too_long || !c->n_in || (!n && c->in_len < r->q->hdr_len))
			goto no_room;
		room += c->in_len;
		n++;
	}
	return n;
no_room:
	r->no_room++;
	return 0;
}

static void run_end(struct run *r)
{
	struct tvq_vq *vq = r->q->vq;

	/* What was taken last goes back first. */
	while (r->have > r->head) {
		const struct tvq_chain *c = &r->s->rx_chain[--r->have];

		if (__builtin_expect(vq->inflight_size != 0, 0)) {
			/* Nothing is in it; drivers throw such a buffer away. One at most. */
			tvq_vq_used(vq, c, 0);
			r->q->dirty = true;
		} else {
			tvq_vq_untake(vq, c);
		}
	}
	if (r->packets) {
		tvq_port_received(r->port, r->packets, r->bytes);
		tvq_vq_count(&vq->stats, TVQ_STAT_BYTES_WRITTEN, r->written);
		r->q->dirty = true;
	}
	if (__builtin_expect(r->no_buffer | r->no_room, 0)) {
		tvq_vq_count(&vq->stats, TVQ_STAT_DROPS, r->no_buffer + r->no_room);
		if (r->no_buffer)
			tvq_port_drop(r->port, TVQ_DROP_NO_BUFFER, r->no_buffer);
		if (r->no_room)
			tvq_port_drop(r->port, TVQ_DROP_NO_ROOM, r->no_room);
	}
}

/* ---- copying ---- */

static void place_start(struct place *p, struct tvq_chain *c)
{
	p->c = c;
	p->seg = c->n_out;
	p->off = 0;
}

/* There is room for n bytes: run_buffers() has seen to it. */
static void put(struct place *p, const void *data, size_t n)
{
	const uint8_t *from = data;

	while (n) {
		struct tvq_seg *s = &p->c->seg[p->seg];
		size_t part = s->len - p->off;

		if (!part) {
			p->off = 0;
			if (++p->seg == (unsigned int)p->c->n_out + p->c->n_in)
				place_start(p, p->c + 1);
			/* One whose writable part is empty: it has no segment to stay in. */
			continue;
		}
		if (part > n)
			part = n;
		memcpy((uint8_t *)s->va + p->off, from, part);
		from += part;
		p->off += part;
		n -= part;
	}
}

/* Moves on by n bytes that were written before. */
static void skip(struct place *p, size_t n)
{
	while (n) {
		size_t part = p->c->seg[p->seg].len - p->off;

		if (!part) {
			p->off = 0;
			if (++p->seg == (unsigned int)p->c->n_out + p->c->n_in)
				place_start(p, p->c + 1);
			continue;
		}
		if (part > n)
			part = n;
		p->off += part;
		n -= part;
	}
}

static void log_chain(const struct tvq_dma_view *view, const struct tvq_chain *c, uint32_t written)
{
	for (unsigned int i = c->n_out; i < (unsigned int)c->n_out + c->n_in && written; i++) {
		uint32_t part = c->seg[i].len < written ? (uint32_t)c->seg[i].len : written;

		tvq_dma_wrote(view, c->iova[i], part);
		written -= part;
	}
}

/* ---- one frame ---- */

/* The header as the receiver gets it, without what HASH_REPORT adds. gap: bytes of the frame before
 * f->seg. */
static inline void make_header(uint8_t hdr[NET_HDR], const struct net_queue *q,
			       const struct tvq_frame *f, unsigned int gap, unsigned int n_chains)
{
	uint32_t offset = 0;
	uint64_t h = 0;

	if (__builtin_expect(f->flags | f->gso_type, 0)) {
		uint32_t start = f->csum_start + gap, len = f->len + gap;

		/* DATA_VALID is no offload, and news only to who has GUEST_CSUM. */
		h = f->flags & (q->can & TVQ_CAN_CSUM ? 3 : 1);
		if (f->flags & 1) {
			h |= (uint64_t)start << 48;
			offset = f->csum_offset;
		}
		/* hdr_len is a hint: not less than the headers are, TCP's being up to 60 bytes. */
		if (f->gso_type)
			h |= (uint64_t)f->gso_type << 8 | (uint64_t)f->gso_size << 32 |
			     (uint64_t)(uint16_t)(start + 60 < len ? start + 60 : len) << 16;
	}
	tvq_put64(hdr, h);
	tvq_put32(hdr + 8, offset | n_chains << 16);
}

/* With HASH_REPORT. */
static void make_hash(uint8_t *at, const struct net_queue *q, const struct tvq_frame *f)
{
	struct tvq_rss_result res = { 0 };

	if (q->net->rss.types)
		res = tvq_frame_rss(f, q->net->rss.types, q->net->rss.key);
	tvq_put32(at, res.hash);
	tvq_put32(at + 4, res.report); /* and padding */
}

/*
 * A frame that came without a tag must not be delivered with one: its EtherType is still the
 * sender's memory, and was looked at before it was copied. Where it has changed, it is neither.
 */
static bool tag_appeared(const struct tvq_frame *f, const uint8_t type[2])
{
	return !f->tagged && type[0] == TAG >> 8 && type[1] == (TAG & 0xff);
}

static void put_payload(struct place *p, const struct tvq_frame *f)
{
	uint8_t type[2];
	unsigned int i = 0;
	size_t done = 0;

	/* The EtherType by way of a copy; it may lie in two segments. */
	while (done < sizeof(type)) {
		size_t part = f->seg[i].len < sizeof(type) - done ? f->seg[i].len
								  : sizeof(type) - done;

		memcpy(type + done, f->seg[i].va, part);
		done += part;
		if (part < f->seg[i].len)
			break;
		i++;
	}
	if (tag_appeared(f, type))
		type[0] = type[1] = 0;
	put(p, type, sizeof(type));
	/* The segment that it ends in, from there on. */
	if (i < f->n_seg) {
		size_t used = sizeof(type);

		for (unsigned int k = 0; k < i; k++)
			used -= f->seg[k].len;
		put(p, (const uint8_t *)f->seg[i].va + used, f->seg[i].len - used);
	}
	for (i++; i < f->n_seg; i++)
		put(p, f->seg[i].va, f->seg[i].len);
}

/* csum: the frame has NEEDS_CSUM and the receiver does not know that; it is computed here. */
static void put_frame(struct run *r, const struct tvq_frame *f, bool csum)
{
	struct tvq_frame plain;
	uint16_t sum = 0;
	struct tvq_chain *c;
	struct place p;
	uint8_t hdr[NET_HDR_HASH], head[16];
	unsigned int head_len, n;
	uint32_t left;

	head_len = tvq_frame_head(r->port, f, head);
	left = r->q->hdr_len + head_len + f->len;
	n = run_buffers(r, left);
	if (!n)
		return;
	c = &r->s->rx_chain[r->head];
	if (csum) {
		sum = tvq_frame_csum(f);
		plain = *f;
		plain.flags = 0;
	}
	make_header(hdr, r->q, csum ? &plain : f, head_len, n);
	if (__builtin_expect(r->q->report, 0))
		make_hash(hdr + NET_HDR, r->q, f);
	place_start(&p, c);
	put(&p, hdr, r->q->hdr_len);
	put(&p, head, head_len);
	put_payload(&p, f);
	if (csum) {
		place_start(&p, c);
		skip(&p, r->q->hdr_len + head_len + f->csum_start + (size_t)f->csum_offset);
		put(&p, &sum, sizeof(sum));
	}
	r->packets++;
	r->bytes += head_len + f->len;
	r->written += left;
	r->head += n;
	for (unsigned int i = 0; i < n; i++, c++) {
		uint32_t part = c->in_len < left ? c->in_len : left;

		if (__builtin_expect(r->q->vq->view.log != NULL, 0))
			log_chain(&r->q->vq->view, c, part);
		tvq_vq_used(r->q->vq, c, part);
		left -= part;
	}
}

/* What the receiver does not do: checksums and segmentation in software. */
static void put_soft(struct run *r, const struct tvq_frame *f)
{
	struct tvq_segmenter *s = &r->s->segmenter;
	const struct tvq_frame *part;

	if (!f->gso_type) {
		put_frame(r, f, true);
		return;
	}
	if (tvq_segmenter_init(s, f)) {
		tvq_port_drop(r->port, TVQ_DROP_OFFLOAD, 1);
		tvq_vq_count(&r->q->vq->stats, TVQ_STAT_DROPS, 1);
		return;
	}
	r->expect += s->n_segments;
	while ((part = tvq_segmenter_next(s))) {
		r->expect -= r->expect > 1;
		put_frame(r, part, false);
	}
}

/* ---- a batch ---- */

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
	if (__builtin_expect(tag_appeared(f, to), 0))
		memset(to, 0, 2);
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
	for (i = 0; i < got; i++) {
		uint32_t total = NET_HDR + 12 + f[i]->len;
		uint8_t *to = s->rx_buf[i].va;

		if (__builtin_expect(f[i]->tagged | (f[i]->vid != 0) | (f[i]->n_seg != 1) |
					     (total > s->rx_buf[i].len),
				     0) ||
		    tvq_offload_needed(f[i], q->can))
			break;
		make_header(to, q, f[i], 12, 1);
		memcpy(to + NET_HDR, f[i]->mac, 12);
		copy_payload(to + NET_HDR + 12, f[i]);
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
	struct run r = { .q = q, .port = p, .s = q->scratch };
	unsigned int done;

	if (__builtin_expect(!q->vq || !tvq_vq_ready(q->vq), 0)) {
		tvq_port_drop(p, TVQ_DROP_NO_BUFFER, n);
		if (q->vq)
			tvq_vq_count(&q->vq->stats, TVQ_STAT_DROPS, n);
		return;
	}
	done = receive_bufs(q, p, f, n);
	if (__builtin_expect(done == n, 1))
		return;
	for (unsigned int i = done; i < n; i++) {
		r.expect = n - i;
		if (__builtin_expect(tvq_offload_needed(f[i], q->can), 0))
			put_soft(&r, f[i]);
		else
			put_frame(&r, f[i], false);
	}
	run_end(&r);
}

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
