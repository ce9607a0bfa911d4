/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table of commands, and the way from (class, command) to its row. Both are made from
 * tvq/commands.def, so a command that is added there is known here. Freestanding.
 */
#include <tvq/wire.h>

#define CLASSES	  17 /* one more than the highest class */
#define PER_CLASS 8  /* one more than the highest command of any class, rounded up */

const struct tvq_command tvq_commands[TVQ_COMMANDS] = {
#define C(cls, cmd, suffix, out, in, flag_bits)                                                    \
	[TVQ_COMMAND_##suffix] = {                                                                 \
		.class = VIRTIO_TRANSPTQ_CTRL_##cls,                                               \
		.command = VIRTIO_TRANSPTQ_CTRL_##cls##_##cmd,                                     \
		.out_len = (out),                                                                  \
		.in_len = (in),                                                                    \
		.flags = (flag_bits),                                                              \
		.name = #cls " " #cmd,                                                             \
	},
#include <tvq/commands.def>
#undef C
};

/* Row number plus 1; 0: no such command. */
static const uint8_t rows[CLASSES][PER_CLASS] = {
#define C(cls, cmd, suffix, out, in, flag_bits)                                                    \
	[VIRTIO_TRANSPTQ_CTRL_##cls][VIRTIO_TRANSPTQ_CTRL_##cls##_##cmd] = TVQ_COMMAND_##suffix + 1,
#include <tvq/commands.def>
#undef C
};

_Static_assert(TVQ_COMMANDS < 255, "a row number has to fit in a byte");

const struct tvq_command *tvq_command_find(uint16_t cls, uint16_t command)
{
	uint8_t row;

	if (cls >= CLASSES || command >= PER_CLASS)
		return NULL;
	row = rows[cls][command];
	return row ? &tvq_commands[row - 1] : NULL;
}

const char *tvq_command_name(uint16_t cls, uint16_t command)
{
	const struct tvq_command *c = tvq_command_find(cls, command);

	return c ? c->name : "?";
}
