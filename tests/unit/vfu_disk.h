/* SPDX-License-Identifier: BSD-3-Clause */
/* A managed disk of one queue, behind the lab's vfio-user server. */
#ifndef TVQ_TESTS_VFU_DISK_H
#define TVQ_TESTS_VFU_DISK_H

#include "vfu_lab.h"

struct disk {
	struct vl w;
	struct dl_vol *vol;
	struct dl_mem mem;
	struct dl_queue q;
	struct dl_req r;
};

static inline void disk_up(struct disk *d, unsigned int workers, bool packed)
{
	uint64_t id;

	vl_up(&d->w, &(struct vl_cfg){ .workers = workers });
	d->vol = dl_vol_new(&d->w.l, 1 << 20, DL_NOW);
	vl_drive(&d->w);
	dl_mem_new(&d->mem, &d->w.l, 6 << 20);
	id = dl_create(d->w.l.client, "v0", d->mem.asid, 0, 1);
	dl_queue_new(&d->q, &d->mem, d->w.l.client, id, 0, 64, packed);
	dl_start(&d->q, 1, 0);
	dl_req_new(&d->r, &d->mem, 4096);
}

static inline void disk_down(struct disk *d)
{
	assert_int_equal(dl_destroy(d->w.l.client, d->q.id), 0);
	dl_queue_free(&d->q);
	munmap(d->mem.va, d->mem.size);
	close(d->mem.fd);
	vl_down(&d->w);
}

#define MSI_AT 0xfee00000ull

static inline void msi_set(struct disk *d, uint64_t addr, uint32_t data)
{
	struct tvq_seq *s = tvq_seq_new(d->w.l.client, d->q.id);

	tvq_seq_msi_vq_set(s, 0, addr, data);
	tvq_seq_msi_vq_enable(s, 0, 1);
	assert_int_equal(tvq_seq_call(s), 0);
}

#endif
