/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sequences inside: what the encoders (seq_encode.c) and the engine (seq.c) share.
 */
#ifndef TVQ_DRIVER_SEQ_PRIV_H
#define TVQ_DRIVER_SEQ_PRIV_H

#include <tvq/wire.h>

#include "client.h"

/* How the answer reaches the caller: an integer of the answer's width, bytes as they came, or as
 * the name says. */
enum tvq_seq_decode {
	TVQ_SEQ_NOTHING,
	TVQ_SEQ_INT,
	TVQ_SEQ_BYTES,
	TVQ_SEQ_AREA,  /* dst addr, dst2 size */
	TVQ_SEQ_INDEX, /* dst avail, dst2 used */
	TVQ_SEQ_STATS, /* may be shorter */
};

/* A command of a sequence; in the sequence's memory. */
struct tvq_seq_cmd {
	struct tvq_cmd cmd;
	struct tvq_seq *seq;
	struct tvq_seq_cmd *next;
	uint32_t ordinal; /* its place, from 0 */
	uint16_t decode;  /* enum tvq_seq_decode */
	void *dst, *dst2; /* the caller's */
	uint8_t data[];	  /* out-data, then at in_at in-data */
};

/*
 * Appends a command with this many bytes of out-data (to be filled at the returned command's
 * data) and room for in-data. NULL: no memory, which the sequence reports when it runs.
 */
struct tvq_seq_cmd *tvq_seq_add(struct tvq_seq *s, enum tvq_command_id id, uint32_t out_len,
				uint32_t in_len);

#endif
