/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The driver half's own state. Nothing in it is ever read back from memory that the device can
 * write.
 */
#ifndef TVQ_RING_DRIVER_PRIV_H
#define TVQ_RING_DRIVER_PRIV_H

#include <linux/errno.h>

#include "barrier.h"
#include "driver_ring.h"
#include "layout.h"

/* A buffer in flight, found by what the device returns: split: head; packed: buffer id. */
struct tvq_drv_entry {
	void *token;	 /* NULL: not in flight */
	uint16_t n_desc; /* descriptors that it takes of the ring itself */
	uint16_t last;	 /* split: the last of them */
	uint32_t in_len; /* with in_order: writable bytes; saturates */
};

struct tvq_drv_ring {
	bool packed, event_idx, indirect, in_order;
	bool broken;
	bool avail_wrap, used_wrap; /* packed */
	uint16_t size;
	uint16_t indirect_max;
	uint16_t free_head;  /* split: descriptor; packed: id */
	uint16_t n_free;     /* descriptors */
	uint16_t in_flight;  /* buffers */
	uint16_t avail;	     /* where the next buffer goes; split: free-running; packed: slot */
	uint16_t used;	     /* where the next used one is looked for, likewise */
	uint16_t published;  /* split: of avail */
	uint16_t used_seen;  /* split: the used index as last read */
	uint16_t pending;    /* packed: descriptors added and not published */
	uint16_t first_slot; /* packed: where first_tail belongs, */
	uint64_t first_tail; /* whose store publishes all pending ones */
	/* One used entry may stand for several buffers where they are used in order: */
	bool in_run;	      /* some of its buffers were not got yet */
	uint16_t run_last;    /* the buffer that it names */
	uint32_t run_written; /* into that one */
	uint16_t *order;      /* buffers as they were added: a ring */
	uint16_t order_first; /* the next one that the device will use */
	uint16_t order_next;  /* where the next one goes */
	struct tvq_desc *desc;
	void *driver;
	void *device;
	struct tvq_desc *tables; /* indirect_max descriptors for each entry */
	uint64_t tables_iova;
	struct tvq_drv_entry *entry;
	uint16_t *next; /* split: of a descriptor in its chain or the free list; packed: free ids */
	uint64_t iova, driver_off, device_off;
	uint32_t detach_at;
	const struct tvq_os *os;
	size_t bytes; /* of this allocation */
};

static inline bool tvq_drv_goes_indirect(const struct tvq_drv_ring *r, unsigned int n)
{
	return r->indirect && n > 1 && n <= r->indirect_max;
}

static inline struct tvq_desc *tvq_drv_table(const struct tvq_drv_ring *r, uint16_t i)
{
	return r->tables + (size_t)i * r->indirect_max;
}

static inline uint64_t tvq_drv_table_iova(const struct tvq_drv_ring *r, uint16_t i)
{
	return r->tables_iova + (uint64_t)i * r->indirect_max * sizeof(struct tvq_desc);
}

/* A buffer was added. */
static inline void tvq_drv_ordered(struct tvq_drv_ring *r, uint16_t id, const struct tvq_sg *sg,
				   unsigned int n_out, unsigned int n)
{
	uint64_t len = 0;
	unsigned int i;

	if (!r->in_order)
		return;
	for (i = n_out; i < n; i++)
		len += sg[i].len;
	r->entry[id].in_len = len > UINT32_MAX ? UINT32_MAX : (uint32_t)len;
	r->order[r->order_next] = id;
	if (++r->order_next == r->size)
		r->order_next = 0;
}

/* All arguments were checked; room for the buffer was not. */
int tvq_drv_split_add(struct tvq_drv_ring *r, const struct tvq_sg *sg, unsigned int n_out,
		      unsigned int n, void *token);
bool tvq_drv_split_publish(struct tvq_drv_ring *r);
/* A used entry is there: the buffer that it names, and what was written. The ring breaks where that
 * is none in flight. */
bool tvq_drv_split_next(struct tvq_drv_ring *r, uint16_t *head, uint32_t *written);
bool tvq_drv_split_used_there(const struct tvq_drv_ring *r);
void tvq_drv_split_interrupts(struct tvq_drv_ring *r, bool on);
void tvq_drv_split_free(struct tvq_drv_ring *r, uint16_t head);

int tvq_drv_packed_add(struct tvq_drv_ring *r, const struct tvq_sg *sg, unsigned int n_out,
		       unsigned int n, void *token);
bool tvq_drv_packed_publish(struct tvq_drv_ring *r);
bool tvq_drv_packed_next(struct tvq_drv_ring *r, uint16_t *id, uint32_t *written);
bool tvq_drv_packed_used_there(const struct tvq_drv_ring *r);
void tvq_drv_packed_interrupts(struct tvq_drv_ring *r, bool on);
/* The used entry of that buffer is behind us. */
void tvq_drv_packed_pass(struct tvq_drv_ring *r, uint16_t id);
void tvq_drv_packed_free(struct tvq_drv_ring *r, uint16_t id);

#endif
