/* SPDX-License-Identifier: BSD-3-Clause */
/* Sequences of commands, their encoders, and reset, against the real device half. */
#include "client_lab.h"

#include <endian.h>
#include <linux/virtio_config.h>

#define BYTES(...) { __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ })

struct sent {
	uint16_t cls, command;
	uint32_t out_len, in_len;
	uint8_t out[64];
	unsigned int n;
};

static void remember(void *ctx, const struct tvq_cmd *cmd, const void *out)
{
	struct sent *s = ctx;

	s->cls = cmd->class;
	s->command = cmd->command;
	s->out_len = cmd->out_len;
	s->in_len = cmd->in_len;
	memcpy(s->out, out, cmd->out_len < sizeof(s->out) ? cmd->out_len : sizeof(s->out));
	s->n++;
}

/* What an encoder writes its answers to. */
static union {
	uint8_t u8;
	uint16_t u16[2];
	uint32_t u32;
	uint64_t u64[2];
	uint8_t bytes[64];
	struct virtio_transportq_ctrl_vdev_vq_stats stats;
} sink;

static void e_status_set(struct tvq_seq *s)
{
	tvq_seq_status_set(s, 0x0b);
}
static void e_status_get(struct tvq_seq *s)
{
	tvq_seq_status_get(s, &sink.u8);
}
static void e_features_get(struct tvq_seq *s)
{
	tvq_seq_features_get(s, sink.u64);
}
static void e_driver_features_get(struct tvq_seq *s)
{
	tvq_seq_driver_features_get(s, sink.u64);
}
static void e_features_set(struct tvq_seq *s)
{
	tvq_seq_features_set(s, 0x8877665544332211);
}
static void e_generation_get(struct tvq_seq *s)
{
	tvq_seq_generation_get(s, &sink.u32);
}
static void e_config_get(struct tvq_seq *s)
{
	tvq_seq_config_get(s, 0x0102, 6, sink.bytes);
}
static void e_config_set(struct tvq_seq *s)
{
	tvq_seq_config_set(s, 0x20, 3, "xyz");
}
static void e_msi_vq_set(struct tvq_seq *s)
{
	tvq_seq_msi_vq_set(s, 0x0102, 0xfee0000000001000, 0x4455);
}
static void e_msi_vq_enable(struct tvq_seq *s)
{
	tvq_seq_msi_vq_enable(s, 0x0102, 1);
}
static void e_msi_vq_mask(struct tvq_seq *s)
{
	tvq_seq_msi_vq_mask(s, 0x0102, 1);
}
static void e_msi_config_set(struct tvq_seq *s)
{
	tvq_seq_msi_config_set(s, 0xfee00004, 0x99);
}
static void e_msi_config_enable(struct tvq_seq *s)
{
	tvq_seq_msi_config_enable(s, 1);
}
static void e_msi_config_mask(struct tvq_seq *s)
{
	tvq_seq_msi_config_mask(s, 1);
}
static void e_vq_addr(struct tvq_seq *s)
{
	tvq_seq_vq_addr(s, 2, 0x1000, 0x2000, 0x3000);
}
static void e_vq_enable(struct tvq_seq *s)
{
	tvq_seq_vq_enable(s, 2, 1);
}
static void e_vq_enable_get(struct tvq_seq *s)
{
	tvq_seq_vq_enable_get(s, 2, &sink.u8);
}
static void e_vq_size_set(struct tvq_seq *s)
{
	tvq_seq_vq_size_set(s, 2, 0x100);
}
static void e_vq_size_get(struct tvq_seq *s)
{
	tvq_seq_vq_size_get(s, 2, sink.u16);
}
static void e_vq_notify_get(struct tvq_seq *s)
{
	tvq_seq_vq_notify_get(s, 2, sink.u64, NULL);
}
static void e_vq_index_set(struct tvq_seq *s)
{
	tvq_seq_vq_index_set(s, 2, false, 0x1234, 0x5678);
}
static void e_vq_index_set_packed(struct tvq_seq *s)
{
	tvq_seq_vq_index_set(s, 2, true, 0x1234, 0x5678);
}
static void e_vq_index_get(struct tvq_seq *s)
{
	tvq_seq_vq_index_get(s, 2, false, sink.u16, NULL);
}
static void e_vq_index_get_packed(struct tvq_seq *s)
{
	tvq_seq_vq_index_get(s, 2, true, sink.u16, sink.u16 + 1);
}
static void e_vq_reset(struct tvq_seq *s)
{
	tvq_seq_vq_reset(s, 2);
}
static void e_vq_asid_set(struct tvq_seq *s)
{
	tvq_seq_vq_asid_set(s, 2, 0x01020304);
}
static void e_vq_asid_get(struct tvq_seq *s)
{
	tvq_seq_vq_asid_get(s, 2, &sink.u32);
}
static void e_vq_inflight(struct tvq_seq *s)
{
	tvq_seq_vq_inflight(s, 2, 5, 0x7000, 0x800);
}
static void e_vq_stats(struct tvq_seq *s)
{
	tvq_seq_vq_stats(s, 2, &sink.stats);
}
static void e_destroy(struct tvq_seq *s)
{
	tvq_seq_destroy_device(s);
}

/* Typed in from section 4. */
static const struct {
	void (*encode)(struct tvq_seq *s);
	uint16_t cls, command;
	uint32_t in_len;
	uint8_t out[32];
	uint32_t out_len;
} encoders[] = {
	{ e_status_set, 4, 0, 0, BYTES(0x0b) },
	{ e_status_get, 4, 1, 1, { 0 }, 0 },
	{ e_features_get, 3, 0, 8, { 0 }, 0 },
	{ e_features_set, 3, 1, 0, BYTES(0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88) },
	{ e_driver_features_get, 3, 2, 8, { 0 }, 0 },
	{ e_generation_get, 5, 0, 4, { 0 }, 0 },
	{ e_config_get, 6, 0, 6, BYTES(2, 1, 0, 0, 6, 0, 0, 0) },
	{ e_config_set, 6, 1, 0, BYTES(0x20, 0, 0, 0, 3, 0, 0, 0, 'x', 'y', 'z') },
	{ e_msi_vq_set, 7, 0, 0, BYTES(2, 1, 0, 0x10, 0, 0, 0, 0, 0xe0, 0xfe, 0x55, 0x44, 0, 0) },
	{ e_msi_vq_enable, 7, 1, 0, BYTES(2, 1, 1) },
	{ e_msi_vq_mask, 7, 2, 0, BYTES(2, 1, 1) },
	{ e_msi_config_set, 7, 3, 0, BYTES(4, 0, 0xe0, 0xfe, 0, 0, 0, 0, 0x99, 0, 0, 0) },
	{ e_msi_config_enable, 7, 4, 0, BYTES(1) },
	{ e_msi_config_mask, 7, 5, 0, BYTES(1) },
	{ e_vq_addr, 8, 0, 0,
	  BYTES(2, 0, 0, 0x30, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0x20, 0, 0, 0, 0, 0,
		0) },
	{ e_vq_enable, 9, 0, 0, BYTES(2, 0, 1) },
	{ e_vq_enable_get, 9, 1, 1, BYTES(2, 0) },
	{ e_vq_size_set, 10, 0, 0, BYTES(2, 0, 0, 1) },
	{ e_vq_size_get, 10, 1, 2, BYTES(2, 0) },
	{ e_vq_notify_get, 11, 1, 16, BYTES(2, 0) },
	{ e_vq_index_set, 12, 0, 0, BYTES(2, 0, 0x34, 0x12) },
	{ e_vq_index_set_packed, 12, 0, 0, BYTES(2, 0, 0x34, 0x12, 0x78, 0x56) },
	{ e_vq_index_get, 12, 1, 2, BYTES(2, 0) },
	{ e_vq_index_get_packed, 12, 1, 4, BYTES(2, 0) },
	{ e_vq_reset, 13, 0, 0, BYTES(2, 0) },
	{ e_vq_asid_set, 14, 0, 0, BYTES(2, 0, 4, 3, 2, 1) },
	{ e_vq_asid_get, 14, 1, 4, BYTES(2, 0) },
	{ e_vq_inflight, 15, 0, 0, BYTES(2, 0, 5, 0, 0, 0, 0, 0x70, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0) },
	{ e_vq_stats, 16, 0, 64, BYTES(2, 0) },
	{ e_destroy, 1, 1, 0, { 0 }, 0 },
};

static const struct lab_cfg plain = { .kind = TVQ_MAKER_NULL };

/* TQ-001 */
static void each_encoder_sends_the_bytes_of_section_4(void **state)
{
	struct sent sent;
	struct lab l;
	uint64_t id;
	size_t i;

	(void)state;
	tvq_os_host_log_level(TVQ_LOG_ERR - 1);
	lab_up(&l, &plain);
	id = lab_create(&l);
	tvq_client_trace(l.client, remember, &sent);
	for (i = 0; i < sizeof(encoders) / sizeof(encoders[0]); i++) {
		struct tvq_seq *s = tvq_seq_new(l.client, id);

		memset(&sent, 0, sizeof(sent));
		encoders[i].encode(s);
		tvq_seq_call(s);
		assert_int_equal(sent.n, 1);
		assert_int_equal(sent.cls, encoders[i].cls);
		assert_int_equal(sent.command, encoders[i].command);
		assert_int_equal(sent.out_len, encoders[i].out_len);
		assert_int_equal(sent.in_len, encoders[i].in_len);
		assert_memory_equal(sent.out, encoders[i].out, sent.out_len);
	}
	lab_down(&l);
}

/* TQ-030, TQ-150: all in flight at once, and each sees what those before it did. */
static void a_whole_set_up_in_one_sequence_takes_effect_in_order(void **state)
{
	uint8_t status[4] = { 99, 99, 99, 99 }, config[8], enabled = 9;
	uint64_t offered = 0, accepted = 0, area = 0, area_size = 0;
	uint16_t max = 0, size = 0, avail = 9, used = 9;
	uint32_t gen[2] = { 1, 2 }, asid = 9;
	uint64_t want = 1ull << VIRTIO_F_VERSION_1;
	struct tvq_seq *s;
	struct lab l;

	(void)state;
	lab_up(&l, &plain);
	s = tvq_seq_new(l.client, lab_create(&l));
	tvq_seq_status_get(s, &status[0]);
	tvq_seq_status_set(s, 1);
	tvq_seq_status_set(s, 3);
	tvq_seq_status_get(s, &status[1]);
	tvq_seq_features_get(s, &offered);
	tvq_seq_features_set(s, want);
	tvq_seq_driver_features_get(s, &accepted);
	tvq_seq_status_set(s, 11);
	tvq_seq_status_get(s, &status[2]);
	tvq_seq_generation_get(s, &gen[0]);
	tvq_seq_config_get(s, 0, 8, config);
	tvq_seq_generation_get(s, &gen[1]);
	tvq_seq_vq_size_get(s, 0, &max);
	tvq_seq_vq_size_set(s, 0, 16);
	tvq_seq_vq_size_get(s, 0, &size);
	tvq_seq_vq_asid_get(s, 0, &asid);
	tvq_seq_vq_notify_get(s, 0, &area, &area_size);
	tvq_seq_vq_index_set(s, 0, false, 7, 0);
	tvq_seq_vq_index_get(s, 0, false, &avail, &used);
	tvq_seq_vq_enable_get(s, 0, &enabled);
	assert_int_equal(tvq_seq_call(s), 0);
	assert_int_equal(status[0], 0);
	assert_int_equal(status[1], 3);
	assert_int_equal(status[2], 11);
	assert_true(offered & want && accepted == want);
	assert_int_equal(gen[0], gen[1]);
	assert_int_equal(config[0] | config[1] << 8, (1u << 20) / 512);
	assert_int_equal(max, 1024);
	assert_int_equal(size, 16);
	assert_int_equal(asid, 0);
	assert_int_equal(area_size, 4096);
	assert_int_equal(avail, 7);
	assert_int_equal(used, 9); /* a split ring has no such answer */
	assert_int_equal(enabled, 0);
	lab_down(&l);
}

struct result {
	struct tvq_done done;
	unsigned int n;
	int err;
};

static void note(struct tvq_done *d, int err)
{
	struct result *r = (struct result *)d;

	r->n++;
	r->err = err;
}

static void the_first_failed_command_is_named(void **state)
{
	struct tvq_seq *s;
	uint8_t status;
	uint16_t size;
	struct lab l;
	uint64_t id;

	(void)state;
	tvq_os_host_log_level(TVQ_LOG_ERR - 1);
	lab_up(&l, &plain);
	id = lab_create(&l);
	s = tvq_seq_new(l.client, id);
	tvq_seq_status_get(s, &status);
	tvq_seq_vq_size_get(s, 500, &size);
	tvq_seq_vq_reset(s, 0);
	tvq_seq_status_get(s, &status);
	assert_int_equal(tvq_seq_call(s), -EIO);
	assert_string_equal(tvq_client_failed(l.client), "VQ_SIZE GET");
	s = tvq_seq_new(l.client, id);
	tvq_seq_status_get(s, &status);
	assert_int_equal(tvq_seq_call(s), 0);
	assert_string_equal(tvq_client_failed(l.client), "");
	lab_down(&l);
}

static void an_empty_sequence_succeeds_at_once(void **state)
{
	struct result r = { .done.fn = note, .err = 77 };
	struct lab l;

	(void)state;
	lab_up(&l, &plain);
	tvq_seq_run(tvq_seq_new(l.client, 1), &r.done);
	assert_int_equal(r.n, 1);
	assert_int_equal(r.err, 0);
	assert_int_equal(tvq_seq_call(tvq_seq_new(l.client, 1)), 0);
	tvq_seq_drop(tvq_seq_new(l.client, 1));
	tvq_seq_drop(NULL);
	lab_down(&l);
}

/* More than a chunk, in both directions. */
static void data_of_any_size_goes_through_a_sequence(void **state)
{
	static uint8_t big[70000], back[70000];
	struct sent sent = { 0 };
	struct tvq_seq *s;
	uint8_t status = 99;
	unsigned int i;
	struct lab l;
	uint64_t id;

	(void)state;
	tvq_os_host_log_level(TVQ_LOG_ERR - 1);
	lab_up(&l, &plain);
	id = lab_create(&l);
	tvq_client_trace(l.client, remember, &sent);
	s = tvq_seq_new(l.client, id);
	for (i = 0; i < 200; i++)
		tvq_seq_status_get(s, &status);
	tvq_seq_config_get(s, 0, sizeof(back), back);
	tvq_seq_config_set(s, 0, sizeof(big), big);
	assert_int_equal(tvq_seq_call(s), -EIO);
	assert_int_equal(sent.n, 202);
	assert_int_equal(sent.out_len, sizeof(big) + 8);
	assert_int_equal(status, 0);
	lab_down(&l);
}

static void no_memory_while_it_is_filled_is_reported_when_it_runs(void **state)
{
	struct result r = { .done.fn = note };
	uint8_t status = 99;
	struct tvq_seq *s;
	unsigned int i;
	struct lab l;
	uint64_t id;

	(void)state;
	lab_up(&l, &plain);
	id = lab_create(&l);
	s = tvq_seq_new(l.client, id);
	lab_no_memory = true;
	for (i = 0; i < 100; i++)
		tvq_seq_status_get(s, &status);
	lab_no_memory = false;
	tvq_seq_status_get(s, &status);
	tvq_seq_run(s, &r.done);
	for (i = 0; i < 10; i++)
		lab_turn(&l);
	assert_int_equal(r.n, 1);
	assert_int_equal(r.err, -ENOMEM);
	assert_int_equal(status, 99); /* none of it was sent */
	s = tvq_seq_new(l.client, id);
	tvq_seq_status_get(s, &status);
	assert_int_equal(tvq_seq_call(s), 0);
	assert_int_equal(status, 0);
	lab_down(&l);
}

static void sequences_in_a_row_reuse_their_memory(void **state)
{
	struct result r[32];
	unsigned int i, k, round;
	uint8_t status;
	size_t before = 0;
	struct lab l;
	uint64_t id;

	(void)state;
	lab_up(&l, &plain);
	id = lab_create(&l);
	for (round = 0; round < 100; round++) {
		if (round == 10)
			before = lab_allocs;
		for (k = 0; k < 32; k++) {
			struct tvq_seq *s = tvq_seq_new(l.client, id);

			for (i = 0; i < 40; i++)
				tvq_seq_status_get(s, &status);
			r[k] = (struct result){ .done.fn = note };
			tvq_seq_run(s, &r[k].done);
		}
		for (i = 0; i < 1000 && !r[31].n; i++)
			lab_turn(&l);
		for (k = 0; k < 32; k++) {
			assert_int_equal(r[k].n, 1);
			assert_int_equal(r[k].err, 0);
		}
	}
	assert_int_equal(lab_allocs, before);
	lab_down(&l);
}

static void an_abandoned_sequence_ends_alone_and_writes_nothing(void **state)
{
	struct result r = { .done.fn = note };
	uint8_t *status = malloc(1);
	struct tvq_device_stats st[2];
	struct tvq_seq *s;
	unsigned int i;
	struct lab l;

	(void)state;
	lab_up(&l, &plain);
	s = tvq_seq_new(l.client, lab_create(&l));
	for (i = 0; i < 50; i++)
		tvq_seq_status_get(s, status);
	tvq_device_stats(tvq_inproc_device(l.bus), &st[0]);
	tvq_seq_run(s, &r.done);
	tvq_seq_abandon(s);
	free(status);
	for (i = 0; i < 20; i++)
		lab_turn(&l);
	tvq_device_stats(tvq_inproc_device(l.bus), &st[1]);
	assert_int_equal(st[1].commands - st[0].commands, 50);
	assert_int_equal(r.n, 0);
	lab_down(&l);
}

/* TQ-035, TQ-065 */
static void reset_waits_until_the_status_reads_0(void **state)
{
	struct result r = { .done.fn = note }, gone = { .done.fn = note };
	struct tvq_reset reset, other;
	uint8_t status = 99;
	struct tvq_seq *s;
	unsigned int i;
	struct lab l;
	uint64_t id;

	(void)state;
	tvq_os_host_log_level(TVQ_LOG_ERR - 1);
	lab_up(&l, &plain);
	id = lab_create(&l);
	s = tvq_seq_new(l.client, id);
	tvq_seq_status_set(s, 1);
	tvq_seq_status_set(s, 3);
	assert_int_equal(tvq_seq_call(s), 0);
	tvq_client_reset(l.client, &reset, id, &r.done);
	tvq_client_reset(l.client, &other, id + 1, &gone.done);
	for (i = 0; i < 1000 && !(r.n && gone.n); i++)
		lab_turn(&l);
	assert_int_equal(r.n, 1);
	assert_int_equal(r.err, 0);
	assert_int_equal(gone.n, 1);
	assert_int_equal(gone.err, -EIO);
	s = tvq_seq_new(l.client, id);
	tvq_seq_status_get(s, &status);
	tvq_seq_status_set(s, 1);
	assert_int_equal(tvq_seq_call(s), 0);
	assert_int_equal(status, 0);
	assert_int_equal(tvq_client_reset_call(l.client, id), 0);
	assert_int_equal(tvq_client_reset_call(l.client, id + 1), -EIO);
	lab_down(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_encoder_sends_the_bytes_of_section_4),
		cmocka_unit_test(a_whole_set_up_in_one_sequence_takes_effect_in_order),
		cmocka_unit_test(the_first_failed_command_is_named),
		cmocka_unit_test(an_empty_sequence_succeeds_at_once),
		cmocka_unit_test(data_of_any_size_goes_through_a_sequence),
		cmocka_unit_test(no_memory_while_it_is_filled_is_reported_when_it_runs),
		cmocka_unit_test(sequences_in_a_row_reuse_their_memory),
		cmocka_unit_test(an_abandoned_sequence_ends_alone_and_writes_nothing),
		cmocka_unit_test(reset_waits_until_the_status_reads_0),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
