/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A command for people: its fields by name, and one line of text. Used by the tracer and by the
 * conformance report. Nothing here allocates or blocks; any thread; any bytes of any length are
 * taken, and what does not fit the command's layout is shown in hexadecimal. Hosted.
 */
#ifndef TVQ_WIRE_FORMAT_H
#define TVQ_WIRE_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Enough for the line of any command; longer data is cut. */
#define TVQ_COMMAND_LINE 1024

/* A command as it was on the wire (section 3). The pointers are the caller's. */
struct tvq_wire_msg {
	uint64_t device_id;
	uint16_t class, command;
	const void *out;  /* out-data, behind the header */
	uint32_t out_len; /* bytes */
	bool answered;	  /* ack and in-data count */
	uint32_t ack;
	const void *in;	 /* in-data, behind the ack */
	uint32_t in_len; /* bytes that the device wrote */
};

struct tvq_wire_field {
	const char *name; /* as in the specification's structures */
	bool in;	  /* of the answer */
	bool is_number;
	uint64_t number;  /* where it is one */
	const char *text; /* always: "0x1000", "block", "00:11:22:33:44:55", "0f00.." */
};

/* Calls fn for each field in the order of the wire; f is valid during the call. */
void tvq_command_fields(const struct tvq_wire_msg *m,
			void (*fn)(void *ctx, const struct tvq_wire_field *f), void *ctx);

/*
 * "3 VQ_SIZE GET queue_index=0 -> OK size=256". Writes at most size bytes with the NUL; returns the
 * length of the text written. size > 0.
 */
size_t tvq_command_format(char *buf, size_t size, const struct tvq_wire_msg *m);

#endif
