/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of commands, and commands as text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <tvq/wire.h>

#include "wire/format.h"

/* Section 4 of the specification, typed in by hand: class, command, out-data, in-data; 0xffff:
 * varies. */
static const struct {
	uint16_t class, command, out_len, in_len;
	const char *name;
} section4[] = {
	{ 1, 0, 0xffff, 8, "VDEV CREATE" },
	{ 1, 1, 0, 0, "VDEV DESTROY" },
	{ 2, 0, 0, 8, "AVAIL_RES GET" },
	{ 2, 1, 4, 20, "AVAIL_RES TYPE_GET" },
	{ 3, 0, 0, 8, "FEAT DEVICE_GET" },
	{ 3, 1, 8, 0, "FEAT DRIVER_SET" },
	{ 3, 2, 0, 8, "FEAT DRIVER_GET" },
	{ 4, 0, 1, 0, "STATUS SET" },
	{ 4, 1, 0, 1, "STATUS GET" },
	{ 5, 0, 0, 4, "GENERATION GET" },
	{ 6, 0, 8, 0xffff, "CONFIG GET" },
	{ 6, 1, 0xffff, 0, "CONFIG SET" },
	{ 7, 0, 14, 0, "MSI VQ_SET" },
	{ 7, 1, 3, 0, "MSI VQ_ENABLE" },
	{ 7, 2, 3, 0, "MSI VQ_MASK" },
	{ 7, 3, 12, 0, "MSI CONFIG_SET" },
	{ 7, 4, 1, 0, "MSI CONFIG_ENABLE" },
	{ 7, 5, 1, 0, "MSI CONFIG_MASK" },
	{ 8, 0, 26, 0, "VQ_ADDR SET" },
	{ 9, 0, 3, 0, "VQ_ENABLE SET" },
	{ 9, 1, 2, 1, "VQ_ENABLE GET" },
	{ 10, 0, 4, 0, "VQ_SIZE SET" },
	{ 10, 1, 2, 2, "VQ_SIZE GET" },
	{ 11, 1, 2, 16, "VQ_NOTIFY GET" },
	{ 12, 0, 0xffff, 0, "VQ_AVAIL_INDEX SET" },
	{ 12, 1, 2, 0xffff, "VQ_AVAIL_INDEX GET" },
	{ 13, 0, 2, 0, "VQ_RESET SET" },
	{ 14, 0, 6, 0, "VQ_ASID SET" },
	{ 14, 1, 2, 4, "VQ_ASID GET" },
	{ 15, 0, 18, 0, "VQ_INFLIGHT SET" },
	{ 16, 0, 2, 64, "VQ_STATS GET" },
};

#define N_SECTION4 (sizeof(section4) / sizeof(section4[0]))

static void the_table_has_the_commands_of_section_4_and_their_lengths(void **state)
{
	size_t i;

	(void)state;
	assert_int_equal(TVQ_COMMANDS, N_SECTION4);
	for (i = 0; i < N_SECTION4; i++) {
		const struct tvq_command *c =
			tvq_command_find(section4[i].class, section4[i].command);

		assert_non_null(c);
		assert_int_equal(c->class, section4[i].class);
		assert_int_equal(c->command, section4[i].command);
		assert_int_equal(c->out_len, section4[i].out_len);
		assert_int_equal(c->in_len, section4[i].in_len);
		assert_string_equal(c->name, section4[i].name);
		assert_string_equal(tvq_command_name(c->class, c->command), section4[i].name);
	}
}

static bool in_section4(unsigned int cls, unsigned int command)
{
	size_t i;

	for (i = 0; i < N_SECTION4; i++)
		if (section4[i].class == cls && section4[i].command == command)
			return true;
	return false;
}

/* TQ-024 */
static void a_class_or_command_outside_section_4_is_not_found(void **state)
{
	unsigned int cls, command;

	(void)state;
	for (cls = 0; cls < 1024; cls++)
		for (command = 0; command < 1024; command++)
			assert_int_equal(tvq_command_find((uint16_t)cls, (uint16_t)command) != NULL,
					 in_section4(cls, command));
	assert_null(tvq_command_find(0xffff, 0xffff));
	assert_null(tvq_command_find(0x101, 0));
	assert_null(tvq_command_find(1, 0x100));
	assert_string_equal(tvq_command_name(11, 0), "?");
}

/* Every command is for device_id 0 or for others, and those with a queue's index have room for
 * it. */
static void flags_agree_with_classes_and_lengths(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < TVQ_COMMANDS; i++) {
		const struct tvq_command *c = &tvq_commands[i];
		bool mgmt = c->class == 2 || (c->class == 1 && c->command == 0);
		bool queue = c->class >= 8 || (c->class == 7 && c->command <= 2);
		bool ours = c->class >= 15 || (c->class == 2 && c->command == 1);

		assert_int_equal(!!(c->flags & TVQ_CMD_MGMT), mgmt);
		assert_int_equal(!!(c->flags & TVQ_CMD_DEV), !mgmt);
		assert_int_equal(!!(c->flags & TVQ_CMD_QUEUE), queue);
		assert_int_equal(!!(c->flags & TVQ_CMD_OURS), ours);
		if (queue)
			assert_true(c->out_len >= 2);
		if (c->flags & TVQ_CMD_OFF)
			assert_true(queue);
	}
}

static const char *line(const struct tvq_wire_msg *m)
{
	static char buf[TVQ_COMMAND_LINE];
	size_t n = tvq_command_format(buf, sizeof(buf), m);

	assert_int_equal(n, strlen(buf));
	return buf;
}

#define BYTES(...) (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ })

static struct tvq_wire_msg msg(uint64_t id, uint16_t cls, uint16_t command, const uint8_t *out,
			       size_t out_len, uint32_t ack, const uint8_t *in, size_t in_len)
{
	return (struct tvq_wire_msg){
		.device_id = id,
		.class = cls,
		.command = command,
		.out = out,
		.out_len = (uint32_t)out_len,
		.answered = true,
		.ack = ack,
		.in = in,
		.in_len = (uint32_t)in_len,
	};
}

/* TQ-001: the bytes are little-endian and packed; the text says what they mean. */
static void a_line_names_the_fields_of_the_structures(void **state)
{
	struct tvq_wire_msg m;

	(void)state;
	m = msg(3, 10, 1, BYTES(2, 0), 0, BYTES(0, 1));
	assert_string_equal(line(&m), "3 VQ_SIZE GET queue_index=2 -> OK size=256");
	m = msg(7, 8, 0,
		BYTES(1, 0, 0, 0x30, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0x20, 0, 0, 0,
		      0, 0, 0x80),
		0, NULL, 0);
	assert_string_equal(line(&m),
			    "7 VQ_ADDR SET queue_index=1 device_area=0x3000 "
			    "descriptor_area=0x1000 driver_area=0x8000000000002000 -> OK");
	m = msg(9, 4, 0, BYTES(0x4f), 255, NULL, 0);
	assert_string_equal(line(&m),
			    "9 STATUS SET status=0x4f(ACKNOWLEDGE|DRIVER|FEATURES_OK|DRIVER_OK|"
			    "NEEDS_RESET) -> ERR");
	m = msg(0, 2, 1, BYTES(2, 0, 0, 0), 0,
		BYTES(0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0, 4));
	assert_string_equal(line(&m), "0 AVAIL_RES TYPE_GET virtio_device_id=block -> OK "
				      "features=0x100000000 default_features=0x1 max_vqs=64 "
				      "max_queue_size=1024");
	m = msg(5, 12, 1, BYTES(0, 0), 0, BYTES(5, 0x80, 4, 0x80));
	assert_string_equal(line(&m), "5 VQ_AVAIL_INDEX GET queue_index=0 -> OK avail_idx=32773 "
				      "used_idx=32772");
	m = msg(5, 12, 1, BYTES(0, 0), 0, BYTES(5, 0));
	assert_string_equal(line(&m), "5 VQ_AVAIL_INDEX GET queue_index=0 -> OK avail_idx=5");
	m = msg(5, 6, 1, BYTES(32, 0, 0, 0, 1, 0, 0, 0, 1), 0, NULL, 0);
	assert_string_equal(line(&m), "5 CONFIG SET offset=32 size=1 data=01 -> OK");
	m.answered = false;
	assert_string_equal(line(&m), "5 CONFIG SET offset=32 size=1 data=01 -> no answer");
}

static void a_dev_config_is_decoded_by_its_type(void **state)
{
	uint8_t out[16 + 56] = { 2 };
	struct tvq_wire_msg m = msg(0, 1, 0, out, sizeof(out), 0, BYTES(9, 0, 0, 0, 0, 0, 0, 0));

	(void)state;
	out[4] = 3;	  /* asid */
	out[16] = 8;	  /* capacity */
	out[16 + 34] = 2; /* num_queues */
	memcpy(out + 16 + 36, "disk\"1", 6);
	assert_string_equal(line(&m),
			    "0 VDEV CREATE virtio_device_id=block asid=3 device_features=0x0 "
			    "capacity=8 size_max=0 seg_max=0 cylinders=0 heads=0 sectors=0 "
			    "blk_size=0 physical_block_exp=0 alignment_offset=0 min_io_size=0 "
			    "opt_io_size=0 wce=0 unused=0 num_queues=2 id=disk.1 -> OK "
			    "device_id=9");
	out[0] = 1;
	m.out_len = 16 + 12;
	memcpy(out + 16, (const uint8_t[]){ 2, 0, 0, 0xa, 0xb, 0xc, 0, 0, 1, 0, 0xdc, 5 }, 12);
	assert_string_equal(line(&m),
			    "0 VDEV CREATE virtio_device_id=net asid=3 device_features=0x0 "
			    "mac=02:00:00:0a:0b:0c status=0 max_virtqueue_pairs=1 mtu=1500 -> OK "
			    "device_id=9");
	m.out_len = 16 + 3;
	assert_string_equal(line(&m),
			    "0 VDEV CREATE virtio_device_id=net asid=3 device_features=0x0 "
			    "dev_config=020000 -> OK device_id=9");
}

static void what_does_not_fit_the_layout_is_shown_as_bytes(void **state)
{
	uint8_t many[200];
	struct tvq_wire_msg m;

	(void)state;
	m = msg(1, 99, 7, BYTES(1, 2, 3), 255, BYTES(4));
	assert_string_equal(line(&m), "1 class 99 command 7 command_out_data=010203 -> ERR "
				      "command_in_data=04");
	m = msg(1, 10, 0, BYTES(1, 0, 5), 255, NULL, 0);
	assert_string_equal(line(&m), "1 VQ_SIZE SET queue_index=1 command_out_data=05 -> ERR");
	m = msg(1, 4, 1, BYTES(9), 77, BYTES(0, 1));
	assert_string_equal(line(&m), "1 STATUS GET command_out_data=09 -> ack 77 status=0x00 "
				      "command_in_data=01");
	memset(many, 0xee, sizeof(many));
	m = msg(1, 6, 0, BYTES(0, 0, 0, 0, 200, 0, 0, 0), 0, many, sizeof(many));
	assert_non_null(strstr(line(&m), "data=eeee"));
	assert_non_null(strstr(line(&m), "ee..(200 bytes)"));
}

struct seen {
	char names[512];
	uint64_t sum;
	unsigned int n, in;
};

static void see(void *ctx, const struct tvq_wire_field *f)
{
	struct seen *s = ctx;

	strcat(s->names, f->name);
	strcat(s->names, " ");
	s->n++;
	s->in += f->in;
	if (f->is_number)
		s->sum += f->number;
	assert_non_null(f->text);
}

static void fields_come_as_pairs_with_their_numbers(void **state)
{
	struct tvq_wire_msg m = msg(5, 11, 1, BYTES(3, 0), 0,
				    BYTES(0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0x20, 0, 0, 0, 0, 0, 0));
	struct seen s = { .n = 0 };

	(void)state;
	tvq_command_fields(&m, see, &s);
	assert_string_equal(s.names, "queue_index addr size ");
	assert_int_equal(s.n, 3);
	assert_int_equal(s.in, 2);
	assert_int_equal(s.sum, 3 + 0x1000 + 0x2000);
}

/* Data in memory of exactly its length, so that a sanitizer sees any byte read beyond; and a
 * buffer of exactly its size, for what is written. */
static void any_length_and_any_buffer_is_survived(void **state)
{
	unsigned int i, len, size;

	(void)state;
	for (i = 0; i <= TVQ_COMMANDS; i++) {
		for (len = 0; len <= 100; len++) {
			uint8_t *out = malloc(len + !len), *in = malloc(len + !len);
			struct tvq_wire_msg m = {
				.device_id = UINT64_MAX,
				.class = 0xffff,
				.out = out,
				.out_len = len,
				.answered = true,
				.ack = 5,
				.in = in,
				.in_len = len,
			};

			if (i < TVQ_COMMANDS) {
				m.class = tvq_commands[i].class;
				m.command = tvq_commands[i].command;
			}
			memset(out, len & 1 ? 0xff : 1, len);
			memset(in, 0xff, len);
			for (size = 1; size < 1300; size = size < 40 ? size + 1 : size + 97) {
				char *buf = malloc(size);
				size_t n = tvq_command_format(buf, size, &m);

				assert_true(n < size);
				assert_int_equal(strlen(buf), n);
				free(buf);
			}
			free(out);
			free(in);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_table_has_the_commands_of_section_4_and_their_lengths),
		cmocka_unit_test(a_class_or_command_outside_section_4_is_not_found),
		cmocka_unit_test(flags_agree_with_classes_and_lengths),
		cmocka_unit_test(a_line_names_the_fields_of_the_structures),
		cmocka_unit_test(a_dev_config_is_decoded_by_its_type),
		cmocka_unit_test(what_does_not_fit_the_layout_is_shown_as_bytes),
		cmocka_unit_test(fields_come_as_pairs_with_their_numbers),
		cmocka_unit_test(any_length_and_any_buffer_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
