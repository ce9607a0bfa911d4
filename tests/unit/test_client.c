/* SPDX-License-Identifier: BSD-3-Clause */
/* The transportq client against the real device half, in process. */
#include "client_lab.h"

#include <endian.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#define BIT(n) (1ull << (n))

static const struct {
	bool loop;
	struct tvq_client_cfg cfg;
} variants[] = {
	{ false, { .packed = false } },
	{ false, { .packed = true } },
	{ false, { .no_event_idx = true } },
	{ false, { .no_indirect = true, .queue_size = 8 } },
	{ false, { .packed = true, .no_event_idx = true, .no_indirect = true, .queue_size = 3 } },
	{ false, { .packed = true, .queue_size = 5 } },
	{ false, { .queue_size = 7 } },
	{ true, { .packed = false } },
	{ true, { .packed = true } },
};

#define N_VARIANTS (sizeof(variants) / sizeof(variants[0]))

static void lab_variant(struct lab *l, size_t i)
{
	struct lab_cfg lc = {
		.loop = variants[i].loop,
		.kind = TVQ_MAKER_NULL,
		.client = variants[i].cfg,
	};

	lab_up(l, &lc);
}

/* TQ-017, TQ-035, TQ-150 */
static void each_ring_format_and_option_carries_commands(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < N_VARIANTS; i++) {
		struct tvq_avail_res before, after;
		struct tvq_type_info info;
		struct lab l;
		uint64_t id;
		uint64_t f;

		lab_variant(&l, i);
		f = tvq_client_features(l.client);
		assert_int_equal(!!(f & BIT(VIRTIO_F_RING_PACKED)), variants[i].cfg.packed);
		assert_int_equal(!!(f & BIT(VIRTIO_RING_F_EVENT_IDX)),
				 !variants[i].cfg.no_event_idx);
		assert_int_equal(!!(f & BIT(VIRTIO_RING_F_INDIRECT_DESC)),
				 !variants[i].cfg.no_indirect);
		assert_true(f & BIT(VIRTIO_F_TRNSPT_VQ) && f & BIT(VIRTIO_F_TRNSPT_VQ_VDEV));
		assert_int_equal(l.bus->ops->status(l.bus), 1 | 2 | 4 | 8);
		assert_int_equal(tvq_client_avail_res(l.client, &before), 0);
		assert_int_equal(tvq_client_type(l.client, TVQ_TYPE_BLK, &info), 0);
		assert_true(info.features & BIT(VIRTIO_F_VERSION_1));
		assert_int_equal(tvq_client_type(l.client, 77, &info), -EIO);
		id = lab_create(&l);
		assert_int_equal(tvq_client_avail_res(l.client, &after), 0);
		assert_true(after.num_avail_vqs < before.num_avail_vqs ||
			    before.num_avail_vqs == 65535);
		assert_int_equal(lab_destroy(l.client, id), 0);
		assert_int_equal(lab_destroy(l.client, id), -EIO);
		assert_string_equal(tvq_client_failed(l.client), "VDEV DESTROY");
		assert_int_equal(tvq_client_avail_res(l.client, &after), 0);
		assert_memory_equal(&before, &after, sizeof(before));
		lab_down(&l);
	}
}

/* One of many: sets or gets the accepted features of a device, in turns. */
struct step {
	struct tvq_cmd cmd;
	struct order *order;
	const void *out;
	uint64_t in;
	uint64_t expect;
	bool get, finished;
};

struct order {
	struct lab *lab;
	struct step *steps;
	unsigned int n, submitted, done;
	uint64_t id, last_set;
	bool in_submit, from_done; /* from_done: each that is done submits the next */
};

static void submit_step(struct order *o);

static void step_done(struct tvq_cmd *cmd)
{
	struct step *s = (struct step *)cmd;
	struct order *o = s->order;

	assert_false(o->in_submit);
	assert_false(s->finished);
	s->finished = true;
	o->done++;
	assert_int_equal(cmd->err, 0);
	assert_ptr_equal(cmd->out, s->out);
	if (s->get)
		assert_true(le64toh(s->in) == s->expect);
	if (o->from_done && o->submitted < o->n)
		submit_step(o);
}

/* What it sets differs from what was set before; what it gets is what was set last. */
static void submit_step(struct order *o)
{
	unsigned int i = o->submitted++, k = i / 2;
	struct step *s = &o->steps[i];
	uint64_t out;

	if (!(i & 1))
		o->last_set = (k & 1 ? BIT(VIRTIO_F_VERSION_1) : 0) |
			      (k & 2 ? BIT(VIRTIO_RING_F_EVENT_IDX) : 0) |
			      (k & 4 ? BIT(VIRTIO_RING_F_INDIRECT_DESC) : 0) |
			      (k & 8 ? BIT(VIRTIO_F_ACCESS_PLATFORM) : 0);
	out = htole64(o->last_set);
	*s = (struct step){
		.cmd = {
			.device_id = o->id, .class = VIRTIO_TRANSPTQ_CTRL_FEAT,
			.command = i & 1 ? VIRTIO_TRANSPTQ_CTRL_FEAT_DRIVER_GET :
					   VIRTIO_TRANSPTQ_CTRL_FEAT_DRIVER_SET,
			.out = &out, .out_len = i & 1 ? 0 : 8,
			.in = &s->in, .in_len = i & 1 ? 8 : 0,
			.done = step_done,
		},
		.order = o, .out = &out, .get = i & 1, .expect = o->last_set,
	};
	o->in_submit = true;
	tvq_client_submit(o->lab->client, &s->cmd);
	o->in_submit = false;
	/* Copied: the caller's memory is his own again. */
	memset(&out, 0xff, sizeof(out));
}

/* TQ-030: also behind a ring that is full again and again; nothing is refused, nothing overtakes,
 * whether all are submitted at once or new ones while others complete. */
static void many_more_commands_than_places_take_effect_in_order(void **state)
{
	enum { N = 3000 };
	struct step *steps = calloc(N, sizeof(*steps));
	unsigned int i, v;

	(void)state;
	for (v = 0; v < 2 * N_VARIANTS; v++) {
		struct order o = { .steps = steps, .n = N, .from_done = v & 1 };
		struct lab l;

		lab_variant(&l, v / 2);
		o.lab = &l;
		o.id = lab_create(&l);
		while (o.submitted < (o.from_done ? 400 : N))
			submit_step(&o);
		assert_int_equal(o.done, 0);
		for (i = 0; i < 100000 && o.done < N; i++)
			lab_turn(&l);
		assert_int_equal(o.done, N);
		lab_down(&l);
	}
	free(steps);
}

/* Commands of one turn are published together at its end, and not before. */
static void commands_of_one_turn_go_out_together(void **state)
{
	struct tvq_device_stats before, after;
	struct step steps[60];
	struct order o = { .steps = steps, .n = 60 };
	unsigned int i;
	struct lab l;

	(void)state;
	lab_variant(&l, 0);
	o.lab = &l;
	o.id = lab_create(&l);
	tvq_device_stats(tvq_inproc_device(l.bus), &before);
	while (o.submitted < 60)
		submit_step(&o);
	tvq_device_stats(tvq_inproc_device(l.bus), &after);
	assert_true(before.commands == after.commands);
	for (i = 0; i < 20 && o.done < 60; i++)
		lab_turn(&l);
	assert_int_equal(o.done, 60);
	lab_down(&l);
}

struct again {
	struct tvq_cmd cmd;
	struct lab *lab;
	unsigned int left;
	uint8_t in;
};

static void submit_again(struct tvq_cmd *cmd)
{
	struct again *a = (struct again *)cmd;

	assert_int_equal(cmd->err, 0);
	if (a->left--)
		tvq_client_submit(a->lab->client, cmd);
}

/* 64 in flight, for a long time, and with a second crowd that overflows the ring. */
static void the_steady_state_allocates_nothing(void **state)
{
	unsigned int v, i, n;

	(void)state;
	for (v = 0; v < 2; v++) {
		for (n = 64; n <= 1024; n *= 16) {
			struct again *a = calloc(n, sizeof(*a));
			struct lab l;
			uint64_t id;
			size_t at_start;

			lab_variant(&l, v);
			id = lab_create(&l);
			for (i = 0; i < n; i++) {
				a[i] = (struct again){
					.cmd = {
						.device_id = id,
						.class = VIRTIO_TRANSPTQ_CTRL_VQ_ENABLE,
						.command = VIRTIO_TRANSPTQ_CTRL_VQ_ENABLE_GET,
						.out = "\0", .out_len = 2,
						.in = &a[i].in, .in_len = 1,
						.done = submit_again,
					},
					.lab = &l, .left = 200,
				};
				tvq_client_submit(l.client, &a[i].cmd);
			}
			/* The first rounds find out what it takes. */
			for (i = 0; i < 64; i++)
				lab_turn(&l);
			at_start = lab_allocs;
			for (i = 0; i < 1000000 && a[n - 1].left != UINT32_MAX; i++)
				lab_turn(&l);
			assert_int_equal(a[n - 1].left, UINT32_MAX);
			assert_int_equal(lab_allocs, at_start);
			lab_down(&l);
			free(a);
		}
	}
}

static void data_that_is_too_large_for_a_slot_has_memory_of_its_own(void **state)
{
	static uint8_t big[(1u << 20) + 1];
	struct tvq_cmd cmd = {
		.class = VIRTIO_TRANSPTQ_CTRL_AVAIL_RES,
		.command = VIRTIO_TRANSPTQ_CTRL_AVAIL_RES_GET,
		.in = big,
		.in_len = 1u << 20,
	};
	struct lab l;
	unsigned int i;

	(void)state;
	lab_variant(&l, 0);
	/* TQ-024: more writable room is fine. */
	for (i = 0; i < 3; i++) {
		assert_int_equal(tvq_client_call(l.client, &cmd), 0);
		assert_int_equal(cmd.in_got, sizeof(struct mgmt_dev_avail_res));
	}
	/* Readable part longer than the command defines. */
	cmd.out = big;
	cmd.out_len = 100000;
	assert_int_equal(tvq_client_call(l.client, &cmd), -EIO);
	cmd.out_len = sizeof(big);
	assert_int_equal(tvq_client_call(l.client, &cmd), -E2BIG);
	cmd.out_len = 0;
	assert_int_equal(tvq_client_call(l.client, &cmd), 0);
	lab_down(&l);
}

/* TQ-020, TQ-034 */
static void a_command_to_nobody_fails(void **state)
{
	struct tvq_cmd cmd = { .class = VIRTIO_TRANSPTQ_CTRL_STATUS, .command = 1 };
	struct lab l;
	uint8_t in;

	(void)state;
	lab_variant(&l, 0);
	cmd.in = &in;
	cmd.in_len = 1;
	assert_int_equal(tvq_client_call(l.client, &cmd), -EIO);
	cmd.device_id = 12345;
	assert_int_equal(tvq_client_call(l.client, &cmd), -EIO);
	assert_int_equal(cmd.in_got, 0);
	lab_down(&l);
}

struct log {
	unsigned int n;
	struct {
		uint16_t cls, command;
		uint32_t out_len;
		uint8_t out[16], in[8];
		uint32_t in_got;
		int err;
	} e[8];
};

static void log_command(void *ctx, const struct tvq_cmd *cmd, const void *out)
{
	struct log *t = ctx;

	assert_true(t->n < 8);
	t->e[t->n].cls = cmd->class;
	t->e[t->n].command = cmd->command;
	t->e[t->n].out_len = cmd->out_len;
	memcpy(t->e[t->n].out, out, cmd->out_len < 16 ? cmd->out_len : 16);
	t->e[t->n].in_got = cmd->in_got;
	if (cmd->in_got)
		memcpy(t->e[t->n].in, cmd->in, cmd->in_got < 8 ? cmd->in_got : 8);
	t->e[t->n].err = cmd->err;
	t->n++;
}

static void the_trace_has_each_command_with_its_data_and_answer(void **state)
{
	struct log t = { 0 };
	struct tvq_seq *s;
	struct lab l;
	uint16_t size = 0;
	uint64_t id;

	(void)state;
	lab_variant(&l, 0);
	id = lab_create(&l);
	tvq_client_trace(l.client, log_command, &t);
	s = tvq_seq_new(l.client, id);
	tvq_seq_vq_size_get(s, 0, &size);
	tvq_seq_vq_size_get(s, 9, &size);
	assert_int_equal(tvq_seq_call(s), -EIO);
	tvq_client_trace(l.client, NULL, NULL);
	assert_int_equal(lab_destroy(l.client, id), 0);
	assert_int_equal(t.n, 2);
	assert_int_equal(t.e[0].cls, 10);
	assert_int_equal(t.e[0].command, 1);
	assert_int_equal(t.e[0].out_len, 2);
	assert_int_equal(t.e[0].in_got, 2);
	assert_int_equal(t.e[0].in[0] | t.e[0].in[1] << 8, size);
	assert_int_equal(t.e[1].out[0], 9);
	assert_int_equal(t.e[1].err, -EIO);
	assert_int_equal(t.e[1].in_got, 0);
	lab_down(&l);
}

static void count(struct tvq_cmd *cmd)
{
	assert_int_equal(cmd->err, -ECANCELED);
	++*(unsigned int *)cmd->in;
}

/* TQ-055: the reset destroys the managed devices, and commands in flight get no answer. */
static void the_end_of_the_client_ends_its_commands_and_devices(void **state)
{
	struct tvq_client_cfg cfg = { .packed = true };
	struct tvq_device_stats st;
	struct tvq_cmd cmd[500];
	unsigned int n = 0, i;
	struct lab l;
	int err;

	(void)state;
	lab_variant(&l, 0);
	lab_create(&l);
	lab_create(&l);
	for (i = 0; i < 500; i++) {
		cmd[i] = (struct tvq_cmd){
			.device_id = 1, .class = 4, .command = 0, .in = &n, .done = count
		};
		tvq_client_submit(l.client, &cmd[i]);
	}
	tvq_client_free(l.client);
	assert_int_equal(n, 500);
	tvq_device_stats(tvq_inproc_device(l.bus), &st);
	assert_int_equal(st.devices, 0);
	assert_int_equal(l.bus->ops->status(l.bus), 0);
	l.client = tvq_client_new(l.bus, &cfg, &err);
	assert_non_null(l.client);
	assert_int_equal(lab_destroy(l.client, 1), -EIO);
	lab_down(&l);
}

/* The feature bits' numbers are experimental: each one constant, and here an option. */
static void the_feature_bits_may_have_other_numbers(void **state)
{
	struct lab_cfg lc = {
		.kind = TVQ_MAKER_NULL,
		.mgmt = { .f_trnspt_vq = 60, .f_trnspt_vq_vdev = 61 },
		.client = { .f_trnspt_vq = 60, .f_trnspt_vq_vdev = 61 },
	};
	struct tvq_avail_res res;
	struct tvq_client *c;
	struct lab l;
	int err;

	(void)state;
	lab_up(&l, &lc);
	assert_int_equal(tvq_client_avail_res(l.client, &res), 0);
	tvq_client_free(l.client);
	tvq_os_host_log_level(TVQ_LOG_ERR - 1);
	c = tvq_client_new(l.bus, NULL, &err);
	assert_null(c);
	assert_int_equal(err, -ENODEV);
	l.client = tvq_client_new(l.bus, &lc.client, &err);
	assert_non_null(l.client);
	lab_down(&l);
}

struct create_many {
	struct tvq_create cr;
	unsigned int *done;
};

static void created(struct tvq_create *cr)
{
	++*((struct create_many *)cr)->done;
}

/* TQ-050, TQ-053 */
static void creates_in_flight_together_each_get_an_id_of_their_own(void **state)
{
	enum { N = 600, ROOM = 100 };
	struct lab_cfg lc = { .kind = TVQ_MAKER_NULL, .mgmt = { .max_devices = ROOM } };
	struct create_many *m = calloc(N, sizeof(*m));
	unsigned int done = 0, ok = 0, i, j;
	struct tvq_avail_res res;
	struct lab l;

	(void)state;
	tvq_os_host_log_level(TVQ_LOG_ERR - 1);
	lab_up(&l, &lc);
	for (i = 0; i < N; i++) {
		m[i] = (struct create_many){
			.cr = { .virtio_device_id = TVQ_TYPE_BLK, .done = created }, .done = &done
		};
		tvq_client_create(l.client, &m[i].cr);
	}
	for (i = 0; i < 100000 && done < N; i++)
		lab_turn(&l);
	assert_int_equal(done, N);
	for (i = 0; i < N; i++) {
		assert_true(m[i].cr.err == 0 || m[i].cr.err == -EIO);
		assert_int_equal(m[i].cr.err == 0, m[i].cr.device_id != 0);
		ok += m[i].cr.err == 0;
		for (j = 0; j < i && !m[i].cr.err; j++)
			assert_int_not_equal(m[i].cr.device_id, m[j].cr.device_id);
	}
	assert_int_equal(ok, ROOM);
	assert_int_equal(tvq_client_avail_res(l.client, &res), 0);
	assert_int_equal(res.num_avail_vdev, 0);
	lab_down(&l);
	free(m);
}

static void a_dev_config_that_no_type_has_is_refused_here(void **state)
{
	uint8_t config[200] = { 0 };
	struct tvq_create cr = { .virtio_device_id = 2,
				 .config = config,
				 .config_len = sizeof(config) };
	struct lab l;

	(void)state;
	lab_variant(&l, 0);
	assert_int_equal(tvq_client_create_call(l.client, &cr), -EINVAL);
	cr.config_len = 55;
	assert_int_equal(tvq_client_create_call(l.client, &cr), -EIO);
	assert_int_equal(cr.device_id, 0);
	lab_down(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_ring_format_and_option_carries_commands),
		cmocka_unit_test(many_more_commands_than_places_take_effect_in_order),
		cmocka_unit_test(commands_of_one_turn_go_out_together),
		cmocka_unit_test(the_steady_state_allocates_nothing),
		cmocka_unit_test(data_that_is_too_large_for_a_slot_has_memory_of_its_own),
		cmocka_unit_test(a_command_to_nobody_fails),
		cmocka_unit_test(the_trace_has_each_command_with_its_data_and_answer),
		cmocka_unit_test(the_end_of_the_client_ends_its_commands_and_devices),
		cmocka_unit_test(the_feature_bits_may_have_other_numbers),
		cmocka_unit_test(creates_in_flight_together_each_get_an_id_of_their_own),
		cmocka_unit_test(a_dev_config_that_no_type_has_is_refused_here),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
