// SPDX-License-Identifier: BSD-3-Clause
/*
 * Trust boundary of transmission: header, addresses and tag are copied out of the driver's memory
 * once (struct head), and judge() looks at the copy. What the header says about offloads is made
 * safe there, so that whoever does them, or hands them on to a receiver, finds offsets within the
 * frame. Whether the bytes behind are the packet that the header describes is not judged here:
 * src/switch/offload.h does, where it matters.
 *
 * Most frames lie in one piece, and ask for nothing: net_frame_make_bufs() has what these take in
 * one loop.
 */
#include "device/features.h"
#include "device/util.h"
#include "types/net.h"
#include "types/net_frame.h"

#define HEAD_MAX (NET_HDR_HASH + TVQ_ETH_HLEN + 4)

/* The first bytes of a chain, as integers of the CPU read from little-endian memory. */
struct head {
	uint64_t hdr;	   /* flags, gso_type, hdr_len, gso_size, csum_start */
	uint16_t offset;   /* csum_offset */
	uint64_t mac0;	   /* addresses: 8 bytes */
	uint32_t mac8;	   /* and 4 */
	uint32_t type_tag; /* EtherType, and the two bytes behind it */
};

/* One access each. */
static inline __attribute__((always_inline)) void read_head(struct head *h, const uint8_t *p,
							    unsigned int hdr_len)
{
	const uint8_t *eth = p + hdr_len;

	h->hdr = tvq_peek64(p);
	h->offset = tvq_peek16(p + offsetof(struct net_hdr, csum_offset));
	h->mac0 = tvq_peek64(eth);
	h->mac8 = tvq_peek32(eth + 8);
	h->type_tag = tvq_peek32(eth + 12);
}

static bool gso_allowed(uint8_t type, uint64_t features)
{
	unsigned int bit;

	if (type & 0x80 && !(features & TVQ_BIT(NET_F_HOST_ECN)))
		return false;
	switch (type & 0x7f) {
	case 1:
		bit = NET_F_HOST_TSO4;
		break;
	case 4:
		bit = NET_F_HOST_TSO6;
		break;
	default:
		return false;
	}
	return features & TVQ_BIT(bit);
}

/* gap: bytes of the frame before seg. False: the header lies. */
static bool offloads(struct tvq_frame *f, const struct head *h, uint64_t features, uint32_t gap)
{
	uint8_t flags = h->hdr & 1; /* others are not known: ignored */
	uint8_t gso = (uint8_t)(h->hdr >> 8);
	uint32_t start = (uint32_t)(h->hdr >> 48);

	if (flags) {
		/* The least that can come before is the EtherType. */
		if (!(features & TVQ_BIT(NET_F_CSUM)) || start < gap + 2 ||
		    start - gap + h->offset + 2 > f->len)
			return false;
		f->flags = flags;
		f->csum_start = (uint16_t)(start - gap);
		f->csum_offset = h->offset;
	}
	if (!gso)
		return true;
	f->gso_type = gso;
	f->gso_size = (uint16_t)(h->hdr >> 32);
	return flags && f->gso_size && gso_allowed(gso, features);
}

/*
 * Everything but seg and n_seg. len: bytes of the chain; there are hdr_len + 14 at least, and what
 * is not there of h is 0. Returns the bytes before seg, or -(why + 1).
 */
static inline __attribute__((always_inline)) int judge(struct tvq_frame *f, const struct head *h,
						       uint32_t len, uint64_t features,
						       unsigned int hdr_len)
{
	uint32_t gap = 12;

	*f = (struct tvq_frame){ .tagged = false };
	tvq_put64(f->mac, h->mac0);
	tvq_put32(f->mac + 8, h->mac8);
	if (__builtin_expect((uint16_t)h->type_tag == __builtin_bswap16(TVQ_ETH_TAG), 0)) {
		/* A tag, and the EtherType behind it. */
		gap = 16;
		if (len < hdr_len + gap + 2)
			return -(TVQ_DROP_HEADER + 1);
		f->tagged = true;
		f->tci = __builtin_bswap16((uint16_t)(h->type_tag >> 16));
	}
	f->len = len - hdr_len - gap;
	if (__builtin_expect(f->len > NET_FRAME_MAX, 0))
		return -(TVQ_DROP_TOO_LONG + 1);
	if (__builtin_expect((uint16_t)h->hdr, 0) && !offloads(f, h, features, gap))
		return -(TVQ_DROP_HEADER + 1);
	return (int)(hdr_len + gap);
}

/* ---- a chain ---- */

/* Copies the first bytes of the readable part, as many as there are up to n. */
static void copy_head(uint8_t *head, const struct tvq_chain *c, uint32_t n)
{
	for (unsigned int i = 0; i < c->n_out && n; i++) {
		uint32_t part = c->seg[i].len < n ? (uint32_t)c->seg[i].len : n;

		memcpy(head, c->seg[i].va, part);
		head += part;
		n -= part;
	}
}

/* seg: what is left of the readable part behind its first n bytes; there are more. */
static void skip(struct tvq_frame *f, const struct tvq_chain *c, uint32_t n)
{
	struct tvq_seg *s = c->seg;

	while (s->len <= n) {
		n -= (uint32_t)s->len;
		s++;
	}
	s->va = (uint8_t *)s->va + n;
	s->len -= n;
	f->seg = s;
	f->n_seg = (uint16_t)(c->n_out - (s - c->seg));
}

int net_frame_make(struct tvq_frame *f, struct tvq_chain *c, uint64_t features,
		   unsigned int hdr_len)
{
	uint8_t copy[HEAD_MAX] = { 0 };
	struct head h;
	int n;

	if (c->too_long || c->out_len < hdr_len + TVQ_ETH_HLEN)
		return -(TVQ_DROP_HEADER + 1);
	copy_head(copy, c, hdr_len + TVQ_ETH_HLEN + 2);
	read_head(&h, copy, hdr_len);
	n = judge(f, &h, c->out_len, features, hdr_len);
	if (n < 0)
		return n;
	skip(f, c, (uint32_t)n);
	return 0;
}

/* ---- buffers ---- */

static inline __attribute__((always_inline)) unsigned int
make_bufs(struct tvq_frame *f, struct tvq_seg *seg, const struct tvq_buf *b, unsigned int n,
	  uint64_t features, unsigned int hdr_len, uint32_t *drops)
{
	unsigned int m = 0;

	for (unsigned int i = 0; i < n; i++) {
		struct head h;
		int skipped;

		if (__builtin_expect(b[i].len < hdr_len + TVQ_ETH_HLEN + 2, 0)) {
			seg[m] = (struct tvq_seg){ b[i].va, b[i].len };
			struct tvq_chain c = {
				.seg = &seg[m], .n_out = 1, .max_seg = 1, .out_len = b[i].len
			};

			skipped = net_frame_make(&f[m], &c, features, hdr_len);
			if (skipped)
				drops[-skipped - 1]++;
			else
				m++;
			continue;
		}
		read_head(&h, b[i].va, hdr_len);
		skipped = judge(&f[m], &h, b[i].len, features, hdr_len);
		if (__builtin_expect(skipped < 0, 0)) {
			drops[-skipped - 1]++;
			continue;
		}
		seg[m] = (struct tvq_seg){ b[i].va + skipped, f[m].len };
		f[m].seg = &seg[m];
		f[m].n_seg = 1;
		m++;
	}
	return m;
}

unsigned int net_frame_make_bufs(struct tvq_frame *f, struct tvq_seg *seg, const struct tvq_buf *b,
				 unsigned int n, uint64_t features, unsigned int hdr_len,
				 uint32_t *drops)
{
	/* One loop for the usual header, one for the other. */
	if (__builtin_expect(hdr_len == NET_HDR, 1))
		return make_bufs(f, seg, b, n, features, NET_HDR, drops);
	return make_bufs(f, seg, b, n, features, NET_HDR_HASH, drops);
}
