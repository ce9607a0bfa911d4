/* SPDX-License-Identifier: BSD-3-Clause */
/* The managing half of a device that has a transportq: its children, its commands in flight. */
#ifndef TVQ_DEVICE_MANAGER_H
#define TVQ_DEVICE_MANAGER_H

#include "device/device_priv.h"

#define TVQ_TCMD_OUT  256 /* longest out-data of any command, header included */
#define TVQ_TCMD_IN   192 /* longest in-data */
#define TVQ_TCMD_SEGS 320 /* a command's bytes, each in a descriptor of its own, fit */

/* A command taken from a transportq. */
struct tvq_tcmd {
	struct tvq_tcmd *next; /* in a lane, or free */
	struct tvq_manager *mgr;
	const struct tvq_command *def;
	enum tvq_command_id cmd;
	struct tvq_device *dev; /* addressed; NULL: the management device */
	struct tvq_vq *vq;	/* the queue that it names, or NULL */
	bool in_flight;		/* taken, not used */
	bool aborted;		/* gets no used entry (TQ-055) */
	bool waits_for_queue;	/* VQ_ENABLE 0, VQ_RESET: until it is AWAY */
	bool ended;		/* its handler ended it before it returned */
	struct tvq_lane *lane;	/* NULL: DESTROY, once it is taken */
	uint32_t out_len;	/* of out-data, without the header */
	uint32_t in_room;	/* for in-data, without the ack */
	struct tvq_chain chain;
	uint8_t out[TVQ_TCMD_OUT]; /* the readable part, whole: read once */
	uint8_t in[TVQ_TCMD_IN];
	struct tvq_seg seg[TVQ_TCMD_SEGS];
	uint64_t iova[TVQ_TCMD_SEGS];
};

struct tvq_manager {
	struct tvq_device *dev;
	struct tvq_lane lane; /* of device_id 0 (TQ-030) */
	struct tvq_device *children;
	struct tvq_device **hash;
	uint32_t hash_size, n_listed; /* a power of two; addressable children */
	uint32_t n_children;	      /* all, dying ones too */
	bool destroying;

	struct tvq_tcmd *cmds; /* one for each that can be in flight */
	uint32_t n_cmds;
	struct tvq_tcmd *free_cmds;
};

static inline const uint8_t *tvq_tcmd_data(const struct tvq_tcmd *c)
{
	return c->out + sizeof(struct virtio_transportq_ctrl);
}

/*
 * Before many commands are run: what tvq_manager_find() will look at is fetched, first the hash's
 * slots of all, then the devices that these name.
 */
static inline void tvq_manager_fetch_slot(const struct tvq_manager *m, uint64_t id)
{
	__builtin_prefetch(&m->hash[id & (m->hash_size - 1)]);
}

static inline void tvq_manager_fetch_device(const struct tvq_manager *m, uint64_t id)
{
	const struct tvq_device *d = m->hash[id & (m->hash_size - 1)];

	__builtin_prefetch(d);
}

/* A handler answers with this and calls tvq_tcmd_done() later. */
#define TVQ_TCMD_LATER 0x10000

/* Decodes and runs, or queues behind a slow one (TQ-030, TQ-031). */
void tvq_tcmd_run(struct tvq_tcmd *c);
/* Gives c back to its manager with this answer: writes ack and in-data, records the used entry. */
void tvq_transportq_answer(struct tvq_tcmd *c, int result);

#endif
