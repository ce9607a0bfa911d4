/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table of commands, and decoding for people. Freestanding but for tvq_command_format().
 */
#ifndef TVQ_WIRE_H
#define TVQ_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <virtio_transportq.h>

#define TVQ_VAR 0xffff

enum {
	TVQ_CMD_MGMT = 1 << 0,	 /* device_id 0 only */
	TVQ_CMD_DEV = 1 << 1,	 /* a managed device only (TQ-034) */
	TVQ_CMD_QUEUE = 1 << 2,	 /* out-data starts with le16 queue_index (TQ-033) */
	TVQ_CMD_CHANGE = 1 << 3, /* fails while the device resets (TQ-065) */
	TVQ_CMD_RING = 1 << 4,	 /* fails before FEATURES_OK (TQ-090) */
	TVQ_CMD_OFF = 1 << 5,	 /* fails while the queue is enabled (TQ-093, TQ-111) */
	TVQ_CMD_OURS = 1 << 6,	 /* not in the patch: a driver probes for it */
};

/* One number for each command, in the table's order. */
enum tvq_command_id {
#define C(cls, cmd, name, out, in, flags) TVQ_COMMAND_##name,
#include <tvq/commands.def>
#undef C
	TVQ_COMMANDS,
};

struct tvq_command {
	uint16_t class, command;
	uint16_t out_len, in_len; /* bytes, TVQ_VAR: varies */
	uint16_t flags;
	const char *name; /* "VQ_ADDR SET" */
};

extern const struct tvq_command tvq_commands[TVQ_COMMANDS];

/* NULL: no such class or command. */
const struct tvq_command *tvq_command_find(uint16_t cls, uint16_t command);
/* "VQ_ADDR SET", or "?" for one that does not exist. */
const char *tvq_command_name(uint16_t cls, uint16_t command);

#endif
