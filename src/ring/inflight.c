/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * In-flight areas: what both formats share. Everything read here is hostile.
 *
 * The order of resubmission is an array of 16-bit numbers in the shadow, sorted once, at start, by
 * heap sort: in place, n log n at worst, and the array stays a permutation of what was put into it
 * even where somebody alters the counters meanwhile.
 */
#include <string.h>

#include "inflight_area.h"

uint32_t tvq_inflight_bytes(bool packed, uint16_t size)
{
	return packed ? (uint32_t)(sizeof(struct tvq_packed_area) +
				   size * sizeof(struct tvq_packed_area_entry))
		      : (uint32_t)(sizeof(struct tvq_split_area) +
				   size * sizeof(struct tvq_split_area_entry));
}

uint32_t tvq_inflight_shadow_bytes(bool packed, uint16_t size)
{
	return packed ? tvq_inflight_packed_shadow(size) : tvq_inflight_split_shadow(size);
}

struct counters {
	const uint8_t *at;
	size_t stride;
};

static uint64_t counter_of(const struct counters *k, uint16_t i)
{
	return tvq_load_64((const void *)(k->at + i * k->stride));
}

static void sift(const struct counters *k, uint16_t *a, size_t i, size_t n)
{
	for (;;) {
		size_t child = 2 * i + 1;
		uint16_t tmp;

		if (child >= n)
			return;
		if (child + 1 < n && counter_of(k, a[child]) < counter_of(k, a[child + 1]))
			child++;
		if (counter_of(k, a[i]) >= counter_of(k, a[child]))
			return;
		tmp = a[i];
		a[i] = a[child];
		a[child] = tmp;
		i = child;
	}
}

int tvq_inflight_sort(struct tvq_ring *r, const uint64_t *counters, size_t stride, uint16_t n)
{
	const struct counters k = { (const uint8_t *)counters, stride };
	uint16_t *a = tvq_inflight_order(r);
	uint64_t next = 0;
	size_t i;

	for (i = n / 2; i-- > 0;)
		sift(&k, a, i, n);
	for (i = n; i-- > 1;) {
		uint16_t tmp = a[0];

		a[0] = a[i];
		a[i] = tmp;
		sift(&k, a, 0, i);
	}
	for (i = 0; i < n; i++) {
		uint64_t c = counter_of(&k, a[i]);

		/* Half of the range: a device would count for centuries, and ours has to go on. */
		if (c < next || c > INT64_MAX)
			return -EBADMSG;
		next = c + 1;
	}
	r->inflight_counter = next;
	return 0;
}

int tvq_inflight_remap(struct tvq_ring *r)
{
	r->inflight = tvq_dma_ptr(r->inflight_view, r->inflight_iova, r->inflight_size,
				  TVQ_DMA_READ | TVQ_DMA_WRITE);
	return r->inflight && !((uintptr_t)r->inflight & 7) ? 0 : -EFAULT;
}

/* Features and version; 1: the area is a new one. */
static int judge_head(const struct tvq_ring *r)
{
	const struct tvq_inflight_head *h = r->inflight;
	uint16_t version = tvq_load_16(&h->version);

	if (!version)
		return 1;
	return version == TVQ_INFLIGHT_VERSION && !tvq_load_64(&h->features) ? 0 : -EBADMSG;
}

int tvq_inflight_start(struct tvq_ring *r, const struct tvq_ring_cfg *cfg)
{
	struct tvq_inflight_head *h;
	int err, fresh;

	if (cfg->inflight & 7 || cfg->inflight + cfg->inflight_size - 1 < cfg->inflight ||
	    cfg->inflight_size < tvq_inflight_bytes(r->packed, r->size) || !r->inflight_view ||
	    !cfg->inflight_shadow)
		return -EINVAL;
	r->inflight_iova = cfg->inflight;
	r->inflight_size = cfg->inflight_size;
	r->shadow = cfg->inflight_shadow;
	err = tvq_inflight_remap(r);
	if (err)
		return err;
	memset(r->shadow, 0, tvq_inflight_shadow_bytes(r->packed, r->size));
	fresh = judge_head(r);
	if (fresh < 0)
		return fresh;
	h = r->inflight;
	if (fresh) {
		tvq_store_64(&h->features, 0);
		tvq_store_16(&h->desc_num, r->size);
	}
	r->first_signal = !fresh;
	err = r->packed ? tvq_inflight_packed_start(r, fresh) : tvq_inflight_split_start(r, fresh);
	if (err || !fresh)
		return err;
	/* Last, so that an area half made is made again. */
	tvq_compiler_barrier();
	tvq_store_16(&h->version, TVQ_INFLIGHT_VERSION);
	tvq_inflight_wrote(r, r->inflight, r->inflight_size);
	return 0;
}

int tvq_inflight_resubmit(struct tvq_ring *r, struct tvq_chain *const *c, unsigned int n)
{
	int err, done = 0, met = 0;

	while (done < (int)n && r->resubmit_done < r->resubmit_n && met <= TVQ_TAKE_DESCS) {
		const uint16_t i = tvq_inflight_order(r)[r->resubmit_done];

		err = r->packed ? tvq_inflight_packed_resubmit(r, i, c[done])
				: tvq_split_walk(r, i, c[done]);
		if (err < 0)
			return done ? done : err;
		met += err;
		r->resubmit_done++;
		done++;
	}
	return done;
}
