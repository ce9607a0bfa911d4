// SPDX-License-Identifier: BSD-3-Clause
#include <stddef.h>

#include "device/type.h"
#include "types/types.h"

static const struct tvq_type *const types[] = {
	&tvq_type_blk,
	&tvq_type_net,
};

const struct tvq_type *tvq_type_find(uint32_t virtio_id)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (types[i]->virtio_id == virtio_id)
			return types[i];
	return NULL;
}
