// SPDX-License-Identifier: BSD-3-Clause
/*
 * Any frame into any receive buffers: of several pieces on either side, over several buffers
 * (MRG_RXBUF), with tags, with offloads that the receiver lacks, with a hash, into memory whose
 * writes are logged.
 *
 * A frame that finds no buffers, or too small ones, is dropped and counted; the buffers stay for
 * the next one.
 */
#include "types/net_rx.h"

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
	struct tvq_csum_run
		*run; /* sums what is put, behind the first `before` bytes; NULL: none */
	size_t before;
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

/* What was taken and is not used goes to the front, so that there is room for a frame behind it.
 * Each chain keeps its segments: they change places whole. */
static void run_compact(struct run *r)
{
	struct tvq_chain *c = r->s->rx_chain;
	unsigned int n = r->have - r->head;

	for (unsigned int i = 0; i < n; i++) {
		struct tvq_chain used = c[i];

		c[i] = c[r->head + i];
		c[r->head + i] = used;
	}
	r->head = 0;
	r->have = n;
}

/* Chains for a frame of `total` bytes with its header. How many, at r->head; 0: counted as a drop. */
static unsigned int run_buffers(struct run *r, uint64_t total)
{
	unsigned int most = r->q->mrg ? NET_FRAME_CHAINS : 1, n = 0;
	uint64_t room = 0;

	if (r->head == r->have)
		r->head = r->have = 0;
	else if (r->head + most > NET_RX_CHAINS)
		run_compact(r);
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

	/* Nothing is in them; drivers throw such buffers away. In their order (IN_ORDER). */
	while (__builtin_expect(vq->inflight_size != 0, 0) && r->head < r->have) {
		tvq_vq_used(vq, &r->s->rx_chain[r->head++], 0);
		r->q->dirty = true;
	}
	/* What was taken last goes back first. */
	while (r->have > r->head)
		tvq_vq_untake(vq, &r->s->rx_chain[--r->have]);
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

/* Bytes to their place. */
static void copy(struct place *p, uint8_t *to, const uint8_t *from, size_t n)
{
	size_t before = n;

	if (__builtin_expect(p->run != NULL, 0)) {
		before = p->before < n ? p->before : n;
		p->before -= before;
		tvq_csum_copy(p->run, to + before, from + before, (uint32_t)(n - before));
	}
	memcpy(to, from, before);
}

/* Writes n bytes and moves on; from NULL: moves on. run_buffers() has seen to it that there is room. */
static void put(struct place *p, const uint8_t *from, size_t n)
{
	while (n) {
		struct tvq_seg *s = &p->c->seg[p->seg];
		size_t part = s->len - p->off;

		if (!part) {
			p->off = 0;
			if (++p->seg == (unsigned int)p->c->n_out + p->c->n_in)
				place_start(p, p->c + 1);
			continue;
		}
		if (part > n)
			part = n;
		if (from) {
			copy(p, (uint8_t *)s->va + p->off, from, part);
			from += part;
		}
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

/* With HASH_REPORT. */
static void make_hash(uint8_t *at, const struct net_queue *q, const struct tvq_frame *f)
{
	struct tvq_rss_result res = { 0 };

	if (q->net->rss.types)
		res = tvq_frame_rss(f, q->net->rss.types, q->net->rss.key);
	tvq_put32(at, res.hash);
	tvq_put32(at + 4, res.report); /* and padding */
}

static void put_payload(struct place *p, const struct tvq_frame *f, bool tags)
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
	if (!tags)
		net_frame_hide_tag(type);
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
	struct tvq_csum_run run = { 0 };
	struct tvq_frame plain;
	struct tvq_chain *c;
	struct place p = { 0 };
	uint16_t sum;
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
		p.run = &run;
		p.before = r->q->hdr_len + head_len + (size_t)f->csum_start;
		plain = *f;
		plain.flags = 0;
	}
	net_rx_put_header(hdr, net_rx_header(r->q, csum ? &plain : f, head_len, n));
	if (__builtin_expect(r->q->report, 0))
		make_hash(hdr + NET_HDR, r->q, f);
	place_start(&p, c);
	put(&p, hdr, r->q->hdr_len);
	put(&p, head, head_len);
	put_payload(&p, f, head_len > 12);
	if (csum) {
		sum = tvq_csum_end(run.sum);
		sum = sum ? sum : 0xffff; /* as tvq_frame_csum() */
		p.run = NULL;
		place_start(&p, c);
		put(&p, NULL, r->q->hdr_len + head_len + f->csum_start + (size_t)f->csum_offset);
		put(&p, (const uint8_t *)&sum, sizeof(sum));
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
	while ((part = tvq_segmenter_next_partial(s))) {
		uint64_t missed = r->no_buffer;

		r->expect -= r->expect > 1;
		put_frame(r, part, tvq_offload_needed(part, r->q->can));
		if (r->no_buffer != missed) {
			/* Nor has it any for the rest, which may be 65,000. */
			r->no_buffer += s->n_segments - s->index;
			break;
		}
	}
}

/* ---- a batch ---- */

void net_rx_slow(struct net_queue *q, struct tvq_port *p, const struct tvq_frame *const *f,
		 unsigned int n)
{
	struct run r = { .q = q, .port = p, .s = q->scratch };

	for (unsigned int i = 0; i < n; i++) {
		r.expect = n - i;
		if (__builtin_expect(tvq_offload_needed(f[i], q->can), 0))
			put_soft(&r, f[i]);
		else
			put_frame(&r, f[i], false);
	}
	run_end(&r);
}
