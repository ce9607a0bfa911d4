// SPDX-License-Identifier: BSD-3-Clause
/*
 * Block requests: the data path. A turn takes up to BATCH chains, turns each into a request to the
 * volume or answers it, submits all of them at once, and uses those that completed in place.
 * Requests come from a pool of the worker; a worker that only has volumes that complete in place
 * touches the same few of them again and again.
 *
 * The pool is bounded, and no queue may have more of it than it leaves to the others: as long as
 * requests are free, one that has none gets some, however many another keeps under way. A queue
 * that gets none is called no more (it is starved) until one of its own requests is done or, where
 * it has none under way, until any is: then it waits in the pool's line, and each request that
 * comes back wakes the first there.
 *
 * Trust boundary: headers, lengths and ranges come from the driver. parse() checks all of it; a
 * volume sees only requests that lie within its capacity (struct tvq_vreq).
 */
#include "device/util.h"
#include "types/blk.h"

#define BATCH	      32
#define BATCH_LARGE   4 /* after a turn that moved more than TURN_BYTES */
#define TURN_BYTES    (1u << 20)
/* Most data of one request: a volume may move it within one turn. Far above what drivers send. */
#define BLK_MAX_BYTES (32u << 20)
#define POOL_CHUNK    64
#define POOL_MAX      1024

struct blk_header {
	uint32_t type;
	uint32_t ioprio;
	uint64_t sector;
};

struct blk_range {
	uint64_t sector;
	uint32_t num_sectors;
	uint32_t flags;
};

struct blk_req {
	struct tvq_chain chain;
	uint8_t *status;
	struct tvq_vq *vq;
	uint32_t written; /* of data, should it succeed */
	struct blk_req *next;
	struct tvq_vreq v;
	/* Memory that is cut by the edge of a region takes one more; a chain that then has too many
	 * is refused. */
	struct tvq_seg seg[BLK_CHAIN_MAX];
	uint64_t iova[BLK_CHAIN_MAX];
	/* While writes are logged: lengths of the writable pieces, without the status byte; a
	 * volume may change seg. */
	uint32_t log_len[BLK_CHAIN_MAX];
};

struct blk_chunk {
	struct blk_chunk *next;
	struct blk_req req[POOL_CHUNK];
};

/* A worker's requests. */
struct blk_pool {
	struct tvq_exec_local local;
	const struct tvq_os *os;
	struct tvq_exec *exec;
	struct blk_req *free;
	struct blk_chunk *chunks;
	unsigned int n;
	unsigned int in_use;
	struct blk_queue *line, **line_tail; /* starved, with nothing under way */
};

/* What a worker needs of a queue while it has it. */
struct blk_queue {
	struct blk_pool *pool;
	struct tvq_volume_channel *ch; /* NULL: no volume */
	struct blk *blk;
	struct tvq_vq *vq;
	struct blk_queue *next; /* in the pool's line */
	bool in_line;
	uint32_t block_mask; /* of the volume's block size */
	unsigned int batch;
	bool read_only, can_discard, can_zero;
};

static void req_done(struct tvq_vreq *v);

/* ---- the pool ---- */

static void pool_release(struct tvq_exec_local *l)
{
	struct blk_pool *p = tvq_container_of(l, struct blk_pool, local);
	struct blk_chunk *c;

	while ((c = p->chunks)) {
		p->chunks = c->next;
		p->os->free(c, sizeof(*c));
	}
	p->exec->local[TVQ_EXEC_SLOT_REQUESTS] = NULL;
	p->os->free(p, sizeof(*p));
}

static bool pool_grow(struct blk_pool *p)
{
	struct blk_chunk *c;

	if (p->n >= POOL_MAX)
		return false;
	c = p->os->alloc(sizeof(*c));
	if (!c)
		return false;
	c->next = p->chunks;
	p->chunks = c;
	p->n += POOL_CHUNK;
	for (unsigned int i = 0; i < POOL_CHUNK; i++) {
		struct blk_req *r = &c->req[i];

		r->chain.seg = r->seg;
		r->chain.iova = r->iova;
		r->chain.max_seg = BLK_CHAIN_MAX;
		r->v.done = req_done;
		r->next = p->free;
		p->free = r;
	}
	return true;
}

static struct blk_pool *pool_of(struct tvq_exec *e)
{
	struct blk_pool *p;

	if (e->local[TVQ_EXEC_SLOT_REQUESTS])
		return tvq_container_of(e->local[TVQ_EXEC_SLOT_REQUESTS], struct blk_pool, local);
	p = e->os->alloc(sizeof(*p));
	if (!p)
		return NULL;
	p->local.release = pool_release;
	p->line_tail = &p->line;
	p->os = e->os;
	p->exec = e;
	if (!pool_grow(p)) {
		e->os->free(p, sizeof(*p));
		return NULL;
	}
	e->local[TVQ_EXEC_SLOT_REQUESTS] = &p->local;
	return p;
}

/* What a queue with this many under way may take more of. */
static unsigned int pool_share(const struct blk_pool *p, unsigned int n, unsigned int in_flight)
{
	unsigned int left = POOL_MAX - p->in_use;

	if (__builtin_expect(in_flight + 2 * n <= left, 1))
		return n;
	return in_flight < left ? (left - in_flight + 1) / 2 : 0;
}

static unsigned int pool_get(struct blk_pool *p, struct blk_req **r, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		if (__builtin_expect(!p->free, 0) && !pool_grow(p))
			break;
		r[i] = p->free;
		p->free = r[i]->next;
	}
	p->in_use += i;
	return i;
}

static void line_leave(struct blk_queue *q)
{
	struct blk_pool *p = q->pool;
	struct blk_queue **at = &p->line;

	if (!q->in_line)
		return;
	while (*at != q)
		at = &(*at)->next;
	*at = q->next;
	if (!q->next)
		p->line_tail = at;
	q->in_line = false;
}

static void starve(struct blk_queue *q)
{
	q->vq->starved = true;
	if (q->vq->in_flight || q->in_line)
		return;
	q->next = NULL;
	*q->pool->line_tail = q;
	q->pool->line_tail = &q->next;
	q->in_line = true;
}

static void pool_wake(struct blk_pool *p)
{
	struct blk_queue *q;

	/* One that does not run now looks by itself when it does again. */
	do {
		q = p->line;
		line_leave(q);
		tvq_vq_feed(q->vq);
	} while (!q->vq->running && p->line);
}

static inline void pool_put(struct blk_pool *p, struct blk_req *r)
{
	r->next = p->free;
	p->free = r;
	p->in_use--;
}

/* ---- answers ---- */

/* With a log of writes: the data that a request wrote, and its status byte. */
static void log_request(struct blk_req *r, uint32_t written)
{
	const struct tvq_dma_view *view = &r->vq->view;

	for (uint16_t i = 0; i < r->chain.n_in; i++) {
		uint64_t iova = r->iova[r->chain.n_out + i];
		uint32_t len = r->log_len[i];

		if (i + 1 == r->chain.n_in)
			tvq_dma_wrote(view, iova + len, 1);
		if (len > written)
			len = written;
		if (len)
			tvq_dma_wrote(view, iova, len);
		written -= len;
	}
}

static inline void finish(struct blk_queue *q, struct blk_req *r, uint8_t status)
{
	struct tvq_vq *vq = r->vq;
	uint32_t written = status == BLK_S_OK ? r->written : 0;

	*r->status = status;
	/* One that failed may have written some of it before. */
	if (__builtin_expect(vq->view.log != NULL, 0))
		log_request(r, r->written);
	if (__builtin_expect(status != BLK_S_OK, 0))
		tvq_vq_count(&vq->stats, TVQ_STAT_ERRORS, 1);
	tvq_vq_count(&vq->stats, TVQ_STAT_BYTES_WRITTEN, written + 1);
	tvq_vq_used(vq, &r->chain, written + 1);
	pool_put(q->pool, r);
	if (__builtin_expect(vq->starved, 0))
		tvq_vq_feed(vq);
	if (__builtin_expect(q->pool->line != NULL, 0))
		pool_wake(q->pool);
}

static uint8_t wire_status(int err)
{
	if (!err)
		return BLK_S_OK;
	return err == -EOPNOTSUPP ? BLK_S_UNSUPP : BLK_S_IOERR;
}

/* A volume finished what it had begun. */
static void req_done(struct tvq_vreq *v)
{
	struct blk_req *r = tvq_container_of(v, struct blk_req, v);
	struct tvq_vq *vq = r->vq;

	finish(vq->type_data, r, wire_status(v->status));
	tvq_vq_publish_late(vq);
}

/* ---- parsing ---- */

/* Copies and takes off the first n bytes of the readable part; false where there are fewer. */
static bool take_readable(struct blk_req *r, uint16_t *first, void *buf, uint32_t n)
{
	uint8_t *p = buf;

	while (n) {
		struct tvq_seg *s = &r->seg[*first];
		uint32_t m;

		if (*first >= r->chain.n_out)
			return false;
		m = s->len < n ? (uint32_t)s->len : n;
		memcpy(p, s->va, m);
		s->va = (uint8_t *)s->va + m;
		s->len -= m;
		p += m;
		n -= m;
		if (!s->len)
			(*first)++;
	}
	return true;
}

static uint32_t write_back(struct blk_req *r, const void *data, uint32_t n)
{
	const uint8_t *p = data;
	uint32_t done = 0;

	for (uint16_t i = 0; i < r->chain.n_in && done < n; i++) {
		struct tvq_seg *s = &r->seg[r->chain.n_out + i];
		uint32_t m = s->len < n - done ? (uint32_t)s->len : n - done;

		memcpy(s->va, p + done, m);
		done += m;
	}
	return done;
}

static bool in_range(const struct blk_queue *q, uint64_t sector, uint64_t len)
{
	uint64_t offset = sector * TVQ_SECTOR_SIZE;
	/* Pairs with the owner's resize. */
	uint64_t capacity = atomic_load_explicit(&q->blk->capacity, memory_order_acquire);

	if (sector > UINT64_MAX / TVQ_SECTOR_SIZE || (offset | len) & q->block_mask)
		return false;
	return offset <= capacity && len <= capacity - offset;
}

/* The parsers below return BLK_S_OK with a request that is to be submitted, or how it was answered.
 */
#define ANSWERED 0x100

static int parse_read(struct blk_queue *q, struct blk_req *r, uint64_t sector)
{
	uint32_t len = r->chain.in_len - 1;

	if (len > BLK_MAX_BYTES || !in_range(q, sector, len))
		return BLK_S_IOERR;
	r->v.op = TVQ_VREQ_READ;
	r->v.offset = sector * TVQ_SECTOR_SIZE;
	r->v.len = len;
	r->v.seg = r->seg + r->chain.n_out;
	r->v.n_seg = r->chain.n_in - !r->seg[r->chain.n_out + r->chain.n_in - 1].len;
	r->written = len;
	return BLK_S_OK;
}

static int parse_write(struct blk_queue *q, struct blk_req *r, uint64_t sector, uint16_t first)
{
	uint32_t len = r->chain.out_len - sizeof(struct blk_header);

	if (q->read_only || len > BLK_MAX_BYTES || !in_range(q, sector, len))
		return BLK_S_IOERR;
	r->v.op = TVQ_VREQ_WRITE;
	if (atomic_load_explicit(&q->blk->write_through, memory_order_acquire))
		r->v.flags = TVQ_VREQ_FUA;
	r->v.offset = sector * TVQ_SECTOR_SIZE;
	r->v.len = len;
	r->v.seg = r->seg + first;
	r->v.n_seg = r->chain.n_out - first;
	tvq_vq_count(&r->vq->stats, TVQ_STAT_BYTES_READ, len);
	return BLK_S_OK;
}

static int parse_range(struct blk_queue *q, struct blk_req *r, uint32_t type, uint16_t first)
{
	bool zero = type == BLK_T_WRITE_ZEROES;
	struct blk_range range;
	uint32_t flags;

	if (!tvq_device_has(r->vq->dev, zero ? BLK_F_WRITE_ZEROES : BLK_F_DISCARD) ||
	    !(zero ? q->can_zero : q->can_discard))
		return BLK_S_UNSUPP;
	if (q->read_only || r->chain.out_len != sizeof(struct blk_header) + sizeof(range) ||
	    !take_readable(r, &first, &range, sizeof(range)))
		return BLK_S_IOERR;
	flags = tvq_get32(&range.flags);
	if (flags & ~(zero ? 1u : 0u))
		return BLK_S_UNSUPP;
	r->v.len = (uint64_t)tvq_get32(&range.num_sectors) * TVQ_SECTOR_SIZE;
	if (tvq_get32(&range.num_sectors) > BLK_MAX_RANGE ||
	    !in_range(q, tvq_get64(&range.sector), r->v.len))
		return BLK_S_IOERR;
	r->v.op = zero ? TVQ_VREQ_WRITE_ZEROES : TVQ_VREQ_DISCARD;
	r->v.flags = flags ? TVQ_VREQ_UNMAP : 0;
	if (zero && atomic_load_explicit(&q->blk->write_through, memory_order_acquire))
		r->v.flags |= TVQ_VREQ_FUA;
	r->v.offset = tvq_get64(&range.sector) * TVQ_SECTOR_SIZE;
	return BLK_S_OK;
}

static int parse_rare(struct blk_queue *q, struct blk_req *r, uint32_t type, uint16_t first)
{
	switch (type) {
	case BLK_T_FLUSH:
		r->v.op = TVQ_VREQ_FLUSH;
		return BLK_S_OK;
	case BLK_T_GET_ID:
		r->written = write_back(r, q->ch->volume->id, TVQ_VOLUME_ID_LEN);
		return BLK_S_OK | ANSWERED;
	case BLK_T_DISCARD:
	case BLK_T_WRITE_ZEROES:
		return parse_range(q, r, type, first);
	default:
		return BLK_S_UNSUPP;
	}
}

/* Finds the status byte; what is left of the last writable piece is data. False: there is none. */
static inline bool take_status(struct blk_req *r)
{
	struct tvq_seg *last;

	if (__builtin_expect(!r->chain.n_in, 0))
		return false;
	last = &r->seg[r->chain.n_out + r->chain.n_in - 1];
	last->len--;
	r->status = (uint8_t *)last->va + last->len;
	if (__builtin_expect(r->vq->view.log != NULL, 0))
		for (uint16_t i = 0; i < r->chain.n_in; i++)
			r->log_len[i] = (uint32_t)r->seg[r->chain.n_out + i].len;
	return true;
}

static inline int parse(struct blk_queue *q, struct blk_req *r)
{
	struct blk_header h;
	uint16_t first = 0;
	uint32_t type;

	if (__builtin_expect(r->chain.too_long || !q->ch || r->chain.out_len == UINT32_MAX ||
				     r->chain.in_len == UINT32_MAX,
			     0))
		return BLK_S_IOERR;
	if (__builtin_expect(r->chain.n_out && r->seg[0].len == sizeof(h), 1)) {
		memcpy(&h, r->seg[0].va, sizeof(h));
		first = 1;
	} else if (!take_readable(r, &first, &h, sizeof(h))) {
		return BLK_S_IOERR;
	}
	type = tvq_get32(&h.type);
	if (__builtin_expect(type == BLK_T_IN, 1))
		return parse_read(q, r, tvq_get64(&h.sector));
	if (type == BLK_T_OUT)
		return parse_write(q, r, tvq_get64(&h.sector), first);
	return parse_rare(q, r, type, first);
}

/* ---- a turn ---- */

static unsigned int start_batch(struct blk_queue *q, struct tvq_vq *vq, struct blk_req **r,
				unsigned int n, struct tvq_vreq **v)
{
	unsigned int m = 0;
	uint64_t bytes = 0;

	for (unsigned int i = 0; i < n; i++) {
		/* All n are set. NOLINTNEXTLINE(clang-analyzer-core.uninitialized.Assign) */
		struct blk_req *req = r[i];
		int res;

		req->vq = vq;
		req->written = 0;
		req->v.flags = 0;
		req->v.n_seg = 0;
		req->v.len = 0;
		if (__builtin_expect(!take_status(req), 0)) {
			tvq_vq_count(&vq->stats, TVQ_STAT_ERRORS, 1);
			tvq_vq_used(vq, &req->chain, 0);
			pool_put(q->pool, req);
			continue;
		}
		res = parse(q, req);
		if (__builtin_expect(res != BLK_S_OK, 0)) {
			finish(q, req, (uint8_t)res);
			continue;
		}
		req->v.status = TVQ_VREQ_PENDING;
		bytes += req->v.len;
		v[m++] = &req->v;
	}
	q->batch = bytes > TURN_BYTES ? BATCH_LARGE : BATCH;
	return m;
}

static unsigned int blk_work(struct tvq_vq *vq)
{
	struct blk_queue *q = vq->type_data;
	struct tvq_chain *chains[BATCH];
	struct tvq_vreq *v[BATCH];
	struct blk_req *r[BATCH];
	unsigned int n, m, got;

	if (!tvq_ring_has_work(&vq->ring))
		return 0;
	n = pool_get(q->pool, r, pool_share(q->pool, q->batch, vq->in_flight));
	if (__builtin_expect(!n, 0)) {
		starve(q);
		return 0;
	}
	if (__builtin_expect(vq->starved, 0)) {
		vq->starved = false;
		line_leave(q);
	}
	for (unsigned int i = 0; i < n; i++)
		chains[i] = &r[i]->chain;
	got = tvq_vq_take(vq, chains, n);
	while (n > got)
		pool_put(q->pool, r[--n]);
	if (!got) {
		if (q->pool->line)
			pool_wake(q->pool); /* it may have been woken in vain */
		return 0;
	}
	m = start_batch(q, vq, r, got, v);
	if (m)
		q->ch->volume->ops->submit(q->ch, v, m);
	for (unsigned int i = 0; i < m; i++)
		if (v[i]->status != TVQ_VREQ_PENDING)
			finish(q, tvq_container_of(v[i], struct blk_req, v),
			       wire_status(v[i]->status));
	tvq_vq_publish(vq);
	return got;
}

/* ---- coming and going ---- */

static int blk_enter(struct tvq_vq *vq)
{
	struct tvq_device *dev = vq->dev;
	struct blk *b = dev->type_data;
	struct blk_queue *q = dev->root->os->alloc(sizeof(*q));
	int err = 0;

	if (!q)
		return -ENOMEM;
	q->blk = b;
	q->vq = vq;
	q->batch = BATCH_LARGE; /* until it is known how much its requests move */
	q->pool = pool_of(vq->worker);
	if (!q->pool)
		err = -ENOMEM;
	if (!err && b->volume) {
		const struct tvq_volume_limits *l = &b->volume->limits;

		q->block_mask = l->block_size - 1;
		q->read_only = l->read_only || dev->offered & TVQ_BIT(BLK_F_RO);
		q->can_discard = l->can_discard;
		q->can_zero = l->can_zero;
		err = b->volume->ops->open(b->volume, vq->worker, &q->ch);
	}
	if (err) {
		dev->root->os->free(q, sizeof(*q));
		return err;
	}
	vq->type_data = q;
	return 0;
}

static void blk_leave(struct tvq_vq *vq)
{
	struct blk_queue *q = vq->type_data;

	if (!q)
		return;
	line_leave(q);
	if (q->pool->line)
		pool_wake(q->pool);
	if (q->ch)
		q->ch->volume->ops->close(q->ch);
	vq->dev->root->os->free(q, sizeof(*q));
	vq->type_data = NULL;
}

const struct tvq_vq_ops blk_vq_ops = {
	.work = blk_work,
	.enter = blk_enter,
	.leave = blk_leave,
};
