/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Volumes that keep nothing: what is left of a request's time is everything above the volume.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

static void null_submit(struct tvq_volume_channel *ch, struct tvq_vreq *const *v, unsigned int n)
{
	(void)ch;
	for (unsigned int i = 0; i < n; i++)
		v[i]->status = 0;
}

static void zero_submit(struct tvq_volume_channel *ch, struct tvq_vreq *const *v, unsigned int n)
{
	(void)ch;
	for (unsigned int i = 0; i < n; i++) {
		if (v[i]->op == TVQ_VREQ_READ)
			for (unsigned int s = 0; s < v[i]->n_seg; s++)
				memset(v[i]->seg[s].va, 0, v[i]->seg[s].len);
		v[i]->status = 0;
	}
}

static void null_destroy(struct tvq_volume *v)
{
	free(v);
}

static const struct tvq_volume_ops null_ops = {
	.type = "null",
	.open = tvq_volume_plain_open,
	.close = tvq_volume_plain_close,
	.submit = null_submit,
	.destroy = null_destroy,
};

static const struct tvq_volume_ops zero_ops = {
	.type = "null,zero",
	.open = tvq_volume_plain_open,
	.close = tvq_volume_plain_close,
	.submit = zero_submit,
	.destroy = null_destroy,
};

struct tvq_volume *tvq_volume_null(const char *id, uint64_t size, bool zero, char *err)
{
	struct tvq_volume_limits limits;
	struct tvq_volume *v;

	if (!tvq_volume_memory_limits(&limits, size, err))
		return NULL;
	v = calloc(1, sizeof(*v));
	if (!v)
		return tvq_volume_fail(err, ENOMEM, "no memory for volume \"%.64s\"", id);
	if (!tvq_volume_init(v, zero ? &zero_ops : &null_ops, id, err)) {
		free(v);
		return NULL;
	}
	v->limits = limits;
	return v;
}
