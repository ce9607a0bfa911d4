/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

void *tvq_volume_fail(char *err, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err, TVQ_VOLUME_ERR_LEN, fmt, ap);
	va_end(ap);
	errno = code;
	return NULL;
}

static bool id_ok(const char *id, size_t len)
{
	if (!len || len > TVQ_VOLUME_ID_LEN)
		return false;
	for (size_t i = 0; i < len; i++)
		if (id[i] <= ' ' || id[i] > '~')
			return false;
	return true;
}

struct tvq_volume *tvq_volume_init(struct tvq_volume *v, const struct tvq_volume_ops *ops,
				   const char *id, char *err)
{
	size_t len = strlen(id);

	if (!id_ok(id, len))
		return tvq_volume_fail(err, EINVAL,
				       "\"%.64s\" cannot name a volume: a name has 1 to "
				       "%d printable ASCII characters and no blank",
				       id, TVQ_VOLUME_ID_LEN);
	v->ops = ops;
	memset(v->id, 0, sizeof(v->id));
	memcpy(v->id, id, len);
	atomic_init(&v->refs, 1);
	return v;
}

bool tvq_volume_memory_limits(struct tvq_volume_limits *l, uint64_t size, char *err)
{
	if (!size || size % TVQ_SECTOR_SIZE || size > INT64_MAX) {
		tvq_volume_fail(err, EINVAL,
				"a volume cannot have %llu bytes: its size is a multiple "
				"of %d and not 0",
				(unsigned long long)size, TVQ_SECTOR_SIZE);
		return false;
	}
	*l = (struct tvq_volume_limits){
		.capacity = size,
		.block_size = TVQ_SECTOR_SIZE,
		.physical_block_size = 4096,
		.can_discard = true,
		.can_zero = true,
		.discard_granularity = 4096,
	};
	return true;
}

int tvq_volume_plain_open(struct tvq_volume *v, struct tvq_exec *e, struct tvq_volume_channel **ch)
{
	*ch = malloc(sizeof(**ch));
	if (!*ch)
		return -ENOMEM;
	**ch = (struct tvq_volume_channel){ .volume = v, .exec = e };
	return 0;
}

void tvq_volume_plain_close(struct tvq_volume_channel *ch)
{
	free(ch);
}
