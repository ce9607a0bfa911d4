/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device half of a virtqueue, split and packed (virtio 1.4, 2.7 and 2.8).
 *
 * Every byte of the ring is hostile: each is read once from shared memory, what was read is judged,
 * and a ring that breaks a rule ends in an error, never in a crash or an access outside the view
 * (TQ-025). Nothing is allocated. A ring belongs to one worker at a time; no function blocks.
 *
 * The batch: tvq_ring_take() reads the available index once and takes up to n chains;
 * tvq_ring_add_used() records a completion, in any order, and tvq_ring_flush() publishes all
 * recorded ones at once.
 */
#ifndef TVQ_RING_RING_H
#define TVQ_RING_RING_H

#include <stdbool.h>
#include <stdint.h>

#include <tvq/dma.h>

#define TVQ_RING_MAX_SIZE 32768

/*
 * A descriptor chain, translated. The caller owns it and its arrays, and has set seg, iova and
 * max_seg before take. Segments 0 .. n_out-1 are device-readable, the n_in behind them
 * device-writable. Zero-length descriptors leave no segment.
 */
struct tvq_chain {
	struct tvq_seg *seg;
	/*
	 * Address of each writable segment in the space, [n_out + i]; filled only while writes are
	 * logged. NULL: not wanted.
	 */
	uint64_t *iova;
	uint16_t max_seg; /* 1 or more */
	uint16_t n_out;
	uint16_t n_in;
	uint16_t id;	 /* split: head; packed: buffer id */
	uint16_t n_desc; /* descriptors that it takes of the ring itself */
	/*
	 * The chain obeys the ring's rules but has more segments than max_seg: seg holds the first
	 * max_seg - 1 and, as its last, the last one. Fit to be refused with a status byte, for
	 * nothing else. out_len and in_len count the whole chain.
	 */
	bool too_long;
	uint32_t out_len; /* bytes; saturates */
	uint32_t in_len;
};

/* A chain of one descriptor, translated: what a fast path takes. */
struct tvq_buf {
	uint8_t *va;
	uint32_t len; /* 1 or more */
	uint16_t id;  /* as a chain's */
};

struct tvq_ring_cfg {
	bool packed;
	bool event_idx; /* VIRTIO_F_EVENT_IDX negotiated */
	bool indirect;	/* VIRTIO_F_INDIRECT_DESC negotiated */
	bool in_order;	/* VIRTIO_F_IN_ORDER negotiated: chains are used as they were taken */
	uint16_t size;	/* split: a power of two */
	uint64_t desc;	/* addresses of the three areas in the view's space */
	uint64_t driver;
	uint64_t device;
	/*
	 * TQ-110. Split: avail_idx is the next available index, and the used index is set to it.
	 * Packed: both, the index in bits 0-14 and the wrap counter in bit 15.
	 */
	uint16_t avail_idx;
	uint16_t used_idx;
	uint64_t inflight; /* TQ-130: the in-flight area in inflight_view's space, 8-byte aligned */
	uint32_t inflight_size; /* 0: none */
	/*
	 * With an in-flight area: tvq_inflight_shadow_bytes() of private memory, aligned to 8;
	 * stays the caller's, in use as long as the ring is.
	 */
	void *inflight_shadow;
};

/*
 * Private to src/ring but for its size. The first two cache lines are what a batch touches.
 */
struct tvq_ring {
	struct tvq_dma_view *view;
	void *desc; /* the areas, in this process' memory */
	void *driver;
	void *device;
	uint16_t size;
	bool packed, event_idx, indirect, in_order;
	bool avail_wrap, used_wrap; /* packed */
	bool first_signal;	    /* the next flush asks for an interrupt in any case (TQ-131) */
	uint16_t next_avail;	    /* split: free-running; packed: slot */
	uint16_t avail_seen;	    /* split: the available index as last read */
	uint16_t used;		    /* what is recorded; split: free-running; packed: slot */
	uint16_t used_published;    /* split */
	uint16_t taken;		    /* packed: descriptors taken and not yet recorded as used */
	uint16_t pending;	    /* packed: descriptors recorded and not yet published */
	uint16_t first_slot;	    /* packed: where first_used belongs */
	int16_t error;		    /* negative: broken, and why */
	uint64_t first_used;	    /* packed: the recorded descriptor whose store publishes all */
	unsigned int lost_seen;	    /* tvq_dma_lost_count when the views were last looked through */
	uint16_t resubmit_n;	    /* TQ-131: of the order in the shadow, */
	uint16_t resubmit_done;	    /* so many have been given out */
	void *inflight;		    /* the in-flight area; NULL: none */
	void *shadow;
	uint64_t desc_iova;
	uint64_t driver_iova;
	uint64_t device_iova;
	struct tvq_dma_view *inflight_view;
	uint64_t inflight_iova;
	uint64_t inflight_counter;
	uint32_t inflight_size;
	uint16_t inflight_pending; /* completions recorded and not yet published */
	uint16_t inflight_head;	   /* split: of the last batch; packed: of the free entries */
};

/*
 * Checks cfg, finds the areas through the view and starts at the position given. The view has to
 * outlive the ring. Returns -EINVAL (size, alignment, wrap or position: TQ-092, TQ-094, TQ-110),
 * -EFAULT (an area is not mapped as one piece, readable or writable as it has to be).
 *
 * With an in-flight area (TQ-131) what was in flight is given out again by tvq_ring_take before
 * anything new, and the first tvq_ring_flush asks for an interrupt even where nothing was recorded:
 * flush once after start. -EINVAL: the area is too small or misaligned, or there is no shadow;
 * -EBADMSG: its content cannot be true. An area whose version is 0 is a new one and is initialised;
 * a split ring then goes on at the used index in its memory, a packed one at cfg's position.
 */
int tvq_ring_start(struct tvq_ring *r, const struct tvq_ring_cfg *cfg, struct tvq_dma_view *view,
		   struct tvq_dma_view *inflight_view);

/*
 * After the view was refreshed: finds the areas again. -EFAULT: one is gone; the ring must not be
 * used until a later call returns 0.
 */
int tvq_ring_remap(struct tvq_ring *r);

/*
 * Takes up to n chains. Returns how many; 0: nothing is available. Fewer than n may be returned
 * though more are there: chains given out again come alone, and a call follows a bounded number of
 * descriptors. A negative errno says why the ring is broken, once the good chains before have been
 * given out: -EBADMSG (index moved too far, head or next or id out of range or in flight already),
 * -ELOOP (chain longer than the ring or table), -EPROTO (readable after writable, indirect not
 * negotiated, nested or of bad length), -EFAULT (buffer outside the space, or without rights), -EIO
 * (the memory was lost). It stays broken. What was taken can still be returned.
 */
int tvq_ring_take(struct tvq_ring *r, struct tvq_chain *const *c, unsigned int n);

/*
 * Gives the chain that was taken last back, as if it had not been taken. Not with an in-flight
 * area's resubmitted chains.
 */
void tvq_ring_untake(struct tvq_ring *r, const struct tvq_chain *c);

/*
 * The fast half of tvq_ring_take(): takes up to n chains, as long as each is a single descriptor of
 * that direction whose buffer is one piece of mapped memory. The first two cache lines of readable
 * ones are prefetched. 0 says nothing: tvq_ring_take() then knows what there is. Never with an
 * in-flight area or a log of writes.
 */
unsigned int tvq_ring_take_bufs(struct tvq_ring *r, struct tvq_buf *b, unsigned int n, bool write);
/* Gives the n that were taken last back, as if they had not been taken. */
void tvq_ring_untake_bufs(struct tvq_ring *r, unsigned int n);
/* As tvq_ring_add_used() for each; written: n of them, NULL: nothing was. NULL is for readable
 * buffers alone where in_order is: writable ones would count as written completely. */
void tvq_ring_add_used_bufs(struct tvq_ring *r, const struct tvq_buf *b, const uint32_t *written,
			    unsigned int n);

/*
 * Records that a chain is used, with the bytes written into it. Not visible to the driver yet. Each
 * chain once: with an in-flight area a second time breaks the ring.
 */
void tvq_ring_add_used(struct tvq_ring *r, const struct tvq_chain *c, uint32_t written);

/* Publishes what was recorded. True: the driver wants an interrupt for it (TQ-087). */
bool tvq_ring_flush(struct tvq_ring *r);

/* Asks the driver not to notify: the device is polling. A hint. */
void tvq_ring_notify_off(struct tvq_ring *r);
/*
 * Asks to be notified again. True: something is available already; no notification will come for
 * it.
 */
bool tvq_ring_notify_on(struct tvq_ring *r);

/* The cheap look: true where tvq_ring_take may return other than 0, an error too. */
bool tvq_ring_has_work(const struct tvq_ring *r);

/* Position, as TQ-110 reads it. Only while nothing is taken and not yet used. */
void tvq_ring_position(const struct tvq_ring *r, uint16_t *avail_idx, uint16_t *used_idx);

/* Sizes in bytes of the three areas; used by both halves and by checks. */
uint64_t tvq_ring_desc_bytes(bool packed, uint16_t size);
uint64_t tvq_ring_driver_bytes(bool packed, uint16_t size);
uint64_t tvq_ring_device_bytes(bool packed, uint16_t size);
/* Alignment that virtio asks of them (TQ-092). */
uint64_t tvq_ring_desc_align(bool packed);
uint64_t tvq_ring_driver_align(bool packed);
uint64_t tvq_ring_device_align(bool packed);
/*
 * Size in bytes of an in-flight area, vhost-user's layout for one queue, and of what
 * cfg.inflight_shadow points to.
 */
uint32_t tvq_inflight_bytes(bool packed, uint16_t size);
uint32_t tvq_inflight_shadow_bytes(bool packed, uint16_t size);

#endif
