/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inside of the transportq client, for src/driver only. The public face is tvq/driver.h.
 */
#ifndef TVQ_DRIVER_CLIENT_H
#define TVQ_DRIVER_CLIENT_H

#include <tvq/driver.h>

#include "../ring/driver_ring.h"

/* Bytes of DMA memory that each slot has for its command: out part, then in part. All commands of
 * the specification fit; a larger one takes memory of its own, which stays with the slot. */
#define TVQ_CLIENT_SLOT_BYTES 256

/* Most bytes of out-data or of in-data. */
#define TVQ_CLIENT_MAX_DATA (1u << 20)

/* What a place in the ring needs. Token of the ring; never moves. */
struct tvq_client_slot {
	struct tvq_cmd *cmd;	      /* NULL: nobody waits for it any more */
	uint8_t *out;		      /* header and out-data, as the device reads it */
	uint8_t *in;		      /* ack and in-data */
	uint32_t in_len;	      /* bytes at in, the ack included */
	struct tvq_client_slot *next; /* free list */
	uint8_t *fixed;		      /* TVQ_CLIENT_SLOT_BYTES of it */
	uint64_t fixed_iova;
	uint8_t *big; /* NULL: never needed */
	uint64_t big_iova;
	size_t big_size;
};

/* A command's out-data while it waits for a place in the ring. */
struct tvq_client_copy {
	struct tvq_client_copy *next;
	const void *callers; /* what cmd->out was and will be again: commands are used again */
	uint32_t room;	     /* bytes at data; a spare one has TVQ_CLIENT_COPY_BYTES */
	uint8_t data[];
};
#define TVQ_CLIENT_COPY_BYTES 240

/* A piece of a sequence's memory: see seq.c. */
struct tvq_seq_chunk {
	struct tvq_seq_chunk *next;
	size_t size; /* bytes, this header included */
	size_t used;
};
#define TVQ_SEQ_CHUNK_BYTES 4096
#define TVQ_SEQ_CHUNKS_KEPT 64

/* What waits for a place: in order, first at head. */
struct tvq_client_queue {
	struct tvq_cmd *head, **tail;
};

struct tvq_client {
	struct tvq_bus *bus;
	struct tvq_drv_ring *ring;
	struct tvq_client_slot *free_slots;
	struct tvq_msg late; /* publishes at the turn's end, and ends what failed */
	bool late_posted;
	bool collecting; /* within tvq_client_collect() */
	int dead;	 /* 0, or what every command ends with from now on */
	uint16_t index;	 /* of the transportq */

	struct tvq_client_queue waiting; /* the ring was full */
	struct tvq_client_queue failed;	 /* to be ended at the turn's end */
	struct tvq_client_copy *copies;	 /* spare ones */
	void (*trace)(void *ctx, const struct tvq_cmd *cmd, const void *out);
	void *trace_ctx;

	struct tvq_poller poller; /* active while somebody waits */
	unsigned int waiters;

	struct tvq_seq_chunk *chunks; /* spare ones */
	unsigned int n_chunks;
	const char *fail_name; /* of the command that ended a sequence */

	/* Set-up and tear-down: */
	uint64_t features;
	struct tvq_client_slot *slots;
	uint16_t size; /* slots, and entries of the ring */
	uint8_t *mem;  /* ring, then slots */
	size_t mem_bytes;
	bool reset_failed; /* the device may still write to the memory: it is not freed */
};

/* As tvq_client_submit(), but cmd->out stays as it is until the command is done. */
void tvq_client_submit_held(struct tvq_client *c, struct tvq_cmd *cmd);

/* Ends all commands with err, now and in future. Logs why. */
void tvq_client_kill(struct tvq_client *c, int err, const char *why);

/* Takes completed commands off the ring and ends them. Returns how many. */
unsigned int tvq_client_collect(struct tvq_client *c);

/* Forgets a command that nobody waits for any more; cmd and what it points to are free to go. */
void tvq_client_abandon(struct tvq_client *c, struct tvq_cmd *cmd);

/* Runs turns until *flag; polls the ring meanwhile. Asks for the device's status when it takes
 * long: a device that needs a reset answers no more. -ETIMEDOUT. */
int tvq_client_wait(struct tvq_client *c, const bool *flag);

/* Inside of set-up. */
int tvq_client_start(struct tvq_client *c);
void tvq_client_init_queues(struct tvq_client *c);
void tvq_client_used(void *ctx);

static inline const struct tvq_os *tvq_client_os(const struct tvq_client *c)
{
	return c->bus->os;
}

#endif
