/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * References of volumes. Freestanding, since the device half drops them.
 */
#include <tvq/volume.h>

void tvq_volume_get(struct tvq_volume *v)
{
	atomic_fetch_add_explicit(&v->refs, 1, memory_order_relaxed);
}

void tvq_volume_put(struct tvq_volume *v)
{
	/* Whatever others did with the volume comes before its destruction. */
	if (atomic_fetch_sub_explicit(&v->refs, 1, memory_order_acq_rel) == 1)
		v->ops->destroy(v);
}
