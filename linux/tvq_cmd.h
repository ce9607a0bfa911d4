/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The transportq: batches of commands, many in flight.
 *
 * A batch is filled (tvq_batch_add), started and waited for; its commands go to the device in
 * order and are all in flight at once. Every wait is bounded by the module's parameter timeout; a
 * command without an answer by then means that the function is given up (tvq_die.c).
 *
 * Memory: a command belongs to its batch until tvq_batch_end(). One that the device still has then
 * is left to the ring, which frees it when the device used it, or when the function was reset. So a
 * late answer never meets freed memory.
 */
#ifndef TVQ_CMD_H
#define TVQ_CMD_H

#include <linux/cache.h>
#include <linux/completion.h>
#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/virtio.h>

struct tvq_cq {
	struct virtio_device ring_dev; /* what the ring's code wants; never registered */
	struct virtqueue *vq;	       /* NULL: there is none */
	void __iomem *notify;
	spinlock_t lock; /* all below, the ring, and what batches and commands say of themselves */
	struct list_head flying;  /* in the ring */
	struct list_head waiting; /* for room in the ring, in order */
	bool stopped;		  /* no command is taken any more */
};

struct tvq_batch {
	struct tvq_cq *cq;
	struct list_head cmds;
	struct completion done;
	unsigned int pending; /* started and not finished */
	bool started;
	int err; /* of filling and starting it */
};

struct tvq_cmd {
	struct list_head node;	 /* in its batch */
	struct list_head link;	 /* in flying or waiting */
	struct tvq_batch *batch; /* NULL: nobody wants the answer any more */
	u64 device_id;
	u32 code;	     /* class << 16 | command */
	int queue;	     /* that it is about, for messages; -1: none */
	u32 out_len, in_len; /* header and ack included */
	u32 in_at;	     /* where the device writes, in data */
	bool fewer;	     /* an answer shorter than in_len is one */
	bool in_ring, finished;
	/* Result: 0; -EIO: the device refused; -EPROTO: nonsense; -ENODEV: no answer will come. */
	int err;
	u32 got; /* bytes of in-data */
	u8 data[] __aligned(ARCH_DMA_MINALIGN);
};

void tvq_cq_init(struct tvq_cq *cq, struct device *dma_dev);
/* The callback of its virtqueue. */
void tvq_cq_used(struct virtqueue *vq);
/* From now on commands fail with -ENODEV, those in flight too. Any context. */
void tvq_cq_stop(struct tvq_cq *cq);
/* Frees what the ring still had. Only once the device has been reset, or cannot do DMA any more. */
void tvq_cq_reclaim(struct tvq_cq *cq);

void tvq_batch_init(struct tvq_batch *b, struct tvq_cq *cq);
/*
 * Appends a command; out is copied. NULL: no memory, which tvq_batch_wait() reports. Sleeps.
 */
struct tvq_cmd *tvq_batch_add(struct tvq_batch *b, u64 device_id, u32 code, const void *out,
			      u32 out_len, u32 in_len);
/* Sends it. Does not wait. A batch that could not be filled is not sent. */
void tvq_batch_start(struct tvq_batch *b);
/*
 * 0, or the error of the first command that failed. Waits until all have been answered, or for the
 * timeout, after which the function is given up. Nothing if it was never started. May be called
 * again.
 */
int tvq_batch_wait(struct tvq_batch *b);
int tvq_batch_run(struct tvq_batch *b); /* start and wait */
/* The first that failed, or NULL. After the wait. */
const struct tvq_cmd *tvq_batch_failed(const struct tvq_batch *b);
/* Frees the commands; the batch is as after its initialization. */
void tvq_batch_end(struct tvq_batch *b);

/* Its in-data, of which the first got bytes came from the device. Zeroes where nothing came. */
static inline const void *tvq_cmd_in(const struct tvq_cmd *cmd)
{
	return cmd->data + cmd->in_at + sizeof(__le32);
}

#endif
