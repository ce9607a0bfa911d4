/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The transportq client against a device that lies: wrong lengths, wrong acks, entries for
 * buffers that it never got, silence. The real device half never does any of this, so here is a
 * bus with the real device half of a ring behind it, and a script that says what to answer.
 */
#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include <tvq/dma.h>
#include <tvq/driver.h>

#include "ring/ring.h"

#define MEM_BYTES (1u << 20)
#define MEM_IOVA  0x100000
#define MAX_SEGS  8

enum script {
	ANSWER_OK,
	ANSWER_ERR,
	ANSWER_OTHER_ACK, /* neither OK nor ERR */
	ANSWER_SHORT,	  /* used length 3 */
	ANSWER_LONG,	  /* used length beyond the buffer */
	ANSWER_NOTHING,	  /* used length 4, ack not written */
	ANSWER_HALF,	  /* OK, but half of the in-data */
	ANSWER_NEVER,
	ANSWER_WRONG_BUFFER, /* a used entry for what was never made available */
};

struct liar {
	struct tvq_bus bus;
	struct tvq_exec exec;
	uint64_t offered, accepted, refuse;
	uint8_t status;
	bool stuck_reset, refuse_features;
	uint32_t type;
	uint16_t queue_max, queue_index;
	enum script script;
	unsigned int commands, notifications;

	uint8_t *mem;
	size_t mem_used;
	unsigned int allocs, frees;
	struct tvq_space *space;
	struct tvq_dma_view view;
	struct tvq_ring ring;
	bool running;
	void (*used)(void *ctx);
	void *used_ctx;
	void (*changed)(void *ctx, uint8_t status);
	void *changed_ctx;
	struct tvq_poller poller;
};

/* A clock that is 200 times as fast: what is bounded by seconds is over in milliseconds. */
static uint64_t fast_now(void)
{
	return tvq_os_host.now() * 200;
}

static struct tvq_os fast_os;

static struct liar *liar_of(struct tvq_bus *b)
{
	return (struct liar *)b;
}

static uint32_t liar_type(struct tvq_bus *b)
{
	return liar_of(b)->type;
}

static uint64_t liar_features(struct tvq_bus *b)
{
	return liar_of(b)->offered;
}

static int liar_set_features(struct tvq_bus *b, uint64_t features)
{
	liar_of(b)->accepted = features;
	return 0;
}

static uint8_t liar_status(struct tvq_bus *b)
{
	return liar_of(b)->status;
}

static int liar_set_status(struct tvq_bus *b, uint8_t status)
{
	struct liar *l = liar_of(b);

	if (!status) {
		l->running = false;
		l->status = l->stuck_reset && l->status ? l->status : 0;
		return 0;
	}
	if (l->refuse_features)
		status &= (uint8_t)~VIRTIO_CONFIG_S_FEATURES_OK;
	l->status = status;
	return 0;
}

static uint16_t liar_queue_max(struct tvq_bus *b, uint16_t index)
{
	return index == liar_of(b)->queue_index ? liar_of(b)->queue_max : 0;
}

static int liar_queue_setup(struct tvq_bus *b, const struct tvq_bus_queue *q,
			    void (*used)(void *ctx), void *ctx)
{
	struct liar *l = liar_of(b);
	struct tvq_ring_cfg cfg = {
		.packed = l->accepted >> VIRTIO_F_RING_PACKED & 1,
		.event_idx = l->accepted >> VIRTIO_RING_F_EVENT_IDX & 1,
		.indirect = l->accepted >> VIRTIO_RING_F_INDIRECT_DESC & 1,
		.size = q->size,
		.desc = q->desc,
		.driver = q->driver,
		.device = q->device,
		.avail_idx = l->accepted >> VIRTIO_F_RING_PACKED & 1 ? 0x8000 : 0,
		.used_idx = l->accepted >> VIRTIO_F_RING_PACKED & 1 ? 0x8000 : 0,
	};

	l->used = used;
	l->used_ctx = ctx;
	l->running = true;
	tvq_dma_view_refresh(&l->view, l->space);
	return tvq_ring_start(&l->ring, &cfg, &l->view, NULL);
}

static void liar_watch(struct tvq_bus *b, void (*changed)(void *ctx, uint8_t status), void *ctx)
{
	liar_of(b)->changed = changed;
	liar_of(b)->changed_ctx = ctx;
}

static void liar_queue_notify(struct tvq_bus *b, uint16_t index)
{
	assert_int_equal(index, liar_of(b)->queue_index);
	liar_of(b)->notifications++;
	tvq_poller_activate(b->exec, &liar_of(b)->poller);
}

static void *liar_dma_alloc(struct tvq_bus *b, size_t size, uint64_t *iova)
{
	struct liar *l = liar_of(b);
	void *p = l->mem + l->mem_used;

	size = (size + 4095) & ~(size_t)4095;
	if (size > MEM_BYTES - l->mem_used)
		return NULL;
	*iova = MEM_IOVA + l->mem_used;
	l->mem_used += size;
	l->allocs++;
	return p;
}

static void liar_dma_free(struct tvq_bus *b, void *p, size_t size)
{
	(void)p;
	(void)size;
	liar_of(b)->frees++;
}

static void answer(struct liar *l, const struct tvq_chain *c)
{
	uint32_t ok = htole32(VIRTIO_TRANSPTQ_OK), err = htole32(VIRTIO_TRANSPTQ_ERR),
		 other = htole32(7);
	uint8_t *ack = c->seg[c->n_out].va;
	uint32_t written = c->in_len;
	struct tvq_chain wrong = *c;

	memset(ack + 4, 0x11, c->in_len - 4);
	memcpy(ack, &ok, 4);
	switch (l->script) {
	case ANSWER_ERR:
		memcpy(ack, &err, 4);
		written = 4;
		break;
	case ANSWER_OTHER_ACK:
		memcpy(ack, &other, 4);
		break;
	case ANSWER_SHORT:
		written = 3;
		break;
	case ANSWER_LONG:
		written = c->in_len + 1;
		break;
	case ANSWER_NOTHING:
		memset(ack, 0xa5, 4);
		break;
	case ANSWER_HALF:
		written = 4 + (c->in_len - 4) / 2;
		break;
	case ANSWER_NEVER:
		return;
	case ANSWER_WRONG_BUFFER:
		wrong.id = (uint16_t)(c->id + 5);
		tvq_ring_add_used(&l->ring, &wrong, written);
		return;
	default:
		break;
	}
	tvq_ring_add_used(&l->ring, c, written);
}

static unsigned int liar_poll(struct tvq_poller *p)
{
	struct liar *l = (struct liar *)((char *)p - offsetof(struct liar, poller));
	struct tvq_seg seg[MAX_SEGS];
	uint64_t iova[MAX_SEGS];
	struct tvq_chain c = { .seg = seg, .iova = iova, .max_seg = MAX_SEGS }, *chains[1] = { &c };
	unsigned int n = 0;

	while (l->running && tvq_ring_take(&l->ring, chains, 1) == 1) {
		assert_false(c.too_long);
		l->commands++;
		n++;
		answer(l, &c);
	}
	if (n && tvq_ring_flush(&l->ring) && l->used)
		l->used(l->used_ctx);
	return n;
}

static bool liar_arm(struct tvq_poller *p)
{
	struct liar *l = (struct liar *)((char *)p - offsetof(struct liar, poller));

	return l->running && tvq_ring_notify_on(&l->ring);
}

static const struct tvq_bus_ops liar_ops = {
	.name = "liar",
	.device_type = liar_type,
	.features = liar_features,
	.set_features = liar_set_features,
	.status = liar_status,
	.set_status = liar_set_status,
	.queue_max = liar_queue_max,
	.queue_setup = liar_queue_setup,
	.watch = liar_watch,
	.queue_notify = liar_queue_notify,
	.dma_alloc = liar_dma_alloc,
	.dma_free = liar_dma_free,
};

#define BIT(n) (1ull << (n))

static void liar_init(struct liar *l)
{
	struct tvq_region r = { .iova = MEM_IOVA,
				.len = MEM_BYTES,
				.perm = TVQ_DMA_READ | TVQ_DMA_WRITE };

	memset(l, 0, sizeof(*l));
	fast_os = tvq_os_host;
	fast_os.now = fast_now;
	tvq_exec_init(&l->exec, &fast_os, NULL, 0);
	l->bus = (struct tvq_bus){ .ops = &liar_ops, .exec = &l->exec, .os = &fast_os };
	l->offered = BIT(VIRTIO_F_TRNSPT_VQ) | BIT(VIRTIO_F_TRNSPT_VQ_VDEV) |
		     BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_RING_PACKED) |
		     BIT(VIRTIO_RING_F_EVENT_IDX) | BIT(VIRTIO_RING_F_INDIRECT_DESC);
	l->type = 2;
	l->queue_max = 64;
	l->queue_index = 1;
	assert_int_equal(posix_memalign((void **)&l->mem, 4096, MEM_BYTES), 0);
	memset(l->mem, 0, MEM_BYTES);
	l->space = tvq_space_new(&tvq_os_host, 0);
	r.va = l->mem;
	assert_int_equal(tvq_space_map(l->space, &r, 1), 0);
	l->poller.poll = liar_poll;
	l->poller.arm = liar_arm;
	tvq_os_host_log_level(TVQ_LOG_ERR - 1);
}

static void liar_fini(struct liar *l)
{
	tvq_poller_remove(&l->poller);
	tvq_exec_fini(&l->exec);
	tvq_space_put(l->space);
	free(l->mem);
}

static int call(struct tvq_client *c, uint8_t in[8], uint32_t *got)
{
	struct tvq_cmd cmd = { .device_id = 1, .class = 3, .in = in, .in_len = 8, .in_got = 99 };
	int err = tvq_client_call(c, &cmd);

	assert_int_equal(err, cmd.err);
	*got = cmd.in_got;
	return err;
}

static const struct {
	enum script script;
	int err;
	uint32_t got;
} lies[] = {
	{ ANSWER_OK, 0, 8 },	      { ANSWER_ERR, -EIO, 0 },	   { ANSWER_OTHER_ACK, -EPROTO, 0 },
	{ ANSWER_SHORT, -EPROTO, 0 }, { ANSWER_LONG, -EPROTO, 0 }, { ANSWER_NOTHING, -EPROTO, 0 },
	{ ANSWER_HALF, 0, 4 },	      { ANSWER_OK, 0, 8 },
};

static void each_lie_ends_in_its_error_and_the_next_command_works(void **state)
{
	unsigned int i, packed;
	int err;

	(void)state;
	for (packed = 0; packed < 2; packed++) {
		struct tvq_client_cfg cfg = { .packed = packed };
		struct tvq_client *c;
		struct liar l;

		liar_init(&l);
		c = tvq_client_new(&l.bus, &cfg, &err);
		assert_non_null(c);
		for (i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
			uint8_t in[8] = { 0 };
			uint32_t got;

			l.script = lies[i].script;
			assert_int_equal(call(c, in, &got), lies[i].err);
			assert_int_equal(got, lies[i].got);
			assert_int_equal(in[0], got ? 0x11 : 0);
			assert_int_equal(in[7], got == 8 ? 0x11 : 0);
		}
		tvq_client_free(c);
		assert_int_equal(l.allocs, l.frees);
		liar_fini(&l);
	}
}

struct counted {
	struct tvq_cmd cmd;
	unsigned int done;
};

static void count_done(struct tvq_cmd *cmd)
{
	((struct counted *)cmd)->done++;
}

static void submit(struct tvq_client *c, struct counted *x)
{
	*x = (struct counted){
		.cmd = { .device_id = 1, .class = 3, .in_len = 0, .done = count_done }
	};
	tvq_client_submit(c, &x->cmd);
}

static void turns(struct liar *l, unsigned int n)
{
	while (n-- > 0)
		tvq_exec_poll(&l->exec);
}

static void commands_of_one_turn_go_out_with_one_notification(void **state)
{
	struct counted x[30];
	struct tvq_client *c;
	unsigned int i, n;
	struct liar l;
	int err;

	(void)state;
	liar_init(&l);
	c = tvq_client_new(&l.bus, NULL, &err);
	assert_non_null(c);
	n = l.notifications;
	for (i = 0; i < 30; i++)
		submit(c, &x[i]);
	assert_int_equal(l.notifications, n);
	turns(&l, 5);
	assert_int_equal(l.notifications, n + 1);
	assert_int_equal(l.commands, 30);
	for (i = 0; i < 30; i++)
		assert_int_equal(x[i].done, 1);
	tvq_client_free(c);
	liar_fini(&l);
}

static void a_used_entry_for_no_buffer_breaks_the_ring_and_ends_all_commands(void **state)
{
	unsigned int i, packed;
	int err;

	(void)state;
	for (packed = 0; packed < 2; packed++) {
		struct tvq_client_cfg cfg = { .packed = packed, .queue_size = 16 };
		struct counted x[40], after;
		struct tvq_client *c;
		struct liar l;

		liar_init(&l);
		c = tvq_client_new(&l.bus, &cfg, &err);
		assert_non_null(c);
		l.script = ANSWER_NEVER;
		for (i = 0; i < 39; i++)
			submit(c, &x[i]);
		turns(&l, 4);
		assert_int_equal(l.commands, 16);
		/* 16 in flight, 23 wait for a place. */
		tvq_client_free(c);
		for (i = 0; i < 39; i++) {
			assert_int_equal(x[i].done, 1);
			assert_int_equal(x[i].cmd.err, -ECANCELED);
		}
		liar_fini(&l);

		liar_init(&l);
		c = tvq_client_new(&l.bus, &cfg, &err);
		assert_non_null(c);
		l.script = ANSWER_WRONG_BUFFER;
		submit(c, &x[0]);
		turns(&l, 4);
		assert_int_equal(x[0].done, 1);
		assert_int_equal(x[0].cmd.err, -EPROTO);
		submit(c, &after);
		assert_int_equal(after.done, 0);
		turns(&l, 4);
		assert_int_equal(after.done, 1);
		assert_int_equal(after.cmd.err, -EPROTO);
		assert_int_equal(l.commands, 1);
		tvq_client_free(c);
		assert_int_equal(l.allocs, l.frees);
		liar_fini(&l);
	}
}

/* TQ-026, TQ-071: DEVICE_NEEDS_RESET comes by the configuration interrupt. */
static void a_device_that_needs_a_reset_ends_all_commands(void **state)
{
	struct tvq_client_cfg cfg = { .queue_size = 8 };
	struct counted x[20], after;
	struct tvq_client *c;
	unsigned int i;
	struct liar l;
	int err;

	(void)state;
	liar_init(&l);
	c = tvq_client_new(&l.bus, &cfg, &err);
	assert_non_null(c);
	l.script = ANSWER_NEVER;
	for (i = 0; i < 20; i++)
		submit(c, &x[i]);
	turns(&l, 3);
	l.status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	l.changed(l.changed_ctx, l.status);
	/* Not from within: the same rule as in submit. */
	assert_int_equal(x[0].done, 0);
	turns(&l, 2);
	for (i = 0; i < 20; i++) {
		assert_int_equal(x[i].done, 1);
		assert_int_equal(x[i].cmd.err, -ENODEV);
	}
	submit(c, &after);
	turns(&l, 2);
	assert_int_equal(after.cmd.err, -ENODEV);
	tvq_client_free(c);
	assert_null(l.changed);
	liar_fini(&l);
}

/* TQ-035: where the interrupt is lost, a call that waits finds out by itself. */
static void a_call_to_a_device_that_needs_a_reset_does_not_wait_for_ever(void **state)
{
	struct tvq_client *c;
	uint8_t in[8];
	uint32_t got;
	struct liar l;
	int err;

	(void)state;
	liar_init(&l);
	c = tvq_client_new(&l.bus, NULL, &err);
	assert_non_null(c);
	l.script = ANSWER_NEVER;
	l.status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	assert_int_equal(call(c, in, &got), -ENODEV);
	tvq_client_free(c);
	liar_fini(&l);
}

/* TQ-035. The late answer finds nobody, and the slot works again. */
static void a_call_without_an_answer_times_out_and_its_late_answer_hurts_nobody(void **state)
{
	struct tvq_client_cfg cfg = { .queue_size = 2 };
	struct tvq_client *c;
	uint8_t in[8] = { 0 }, status = 77;
	uint32_t got, i;
	struct tvq_seq *s;
	struct liar l;
	int err;

	(void)state;
	liar_init(&l);
	c = tvq_client_new(&l.bus, &cfg, &err);
	assert_non_null(c);
	/* The device is not looking: what is available stays so. */
	l.running = false;
	assert_int_equal(call(c, in, &got), -ETIMEDOUT);
	s = tvq_seq_new(c, 1);
	tvq_seq_status_get(s, &status);
	assert_int_equal(tvq_seq_call(s), -ETIMEDOUT);
	l.running = true;
	tvq_poller_activate(&l.exec, &l.poller);
	turns(&l, 4);
	assert_int_equal(l.commands, 2);
	assert_int_equal(status, 77);
	for (i = 0; i < 5; i++)
		assert_int_equal(call(c, in, &got), 0);
	tvq_client_free(c);
	assert_int_equal(l.allocs, l.frees);
	liar_fini(&l);
}

/* TQ-035, TQ-150 */
static void set_up_refuses_what_cannot_be_a_management_device(void **state)
{
	struct liar l;
	int err;

	(void)state;
	liar_init(&l);
	l.offered &= ~BIT(VIRTIO_F_TRNSPT_VQ_VDEV);
	assert_null(tvq_client_new(&l.bus, NULL, &err));
	assert_int_equal(err, -ENODEV);
	assert_int_equal(l.accepted, 0);
	l.offered |= BIT(VIRTIO_F_TRNSPT_VQ_VDEV);
	l.offered &= ~BIT(VIRTIO_F_VERSION_1);
	assert_null(tvq_client_new(&l.bus, NULL, &err));
	assert_int_equal(err, -EPROTO);
	l.offered |= BIT(VIRTIO_F_VERSION_1);
	l.refuse_features = true;
	assert_null(tvq_client_new(&l.bus, NULL, &err));
	assert_int_equal(err, -EPROTO);
	l.refuse_features = false;
	l.type = 5;
	assert_null(tvq_client_new(&l.bus, NULL, &err));
	assert_int_equal(err, -ENODEV);
	l.type = 1;
	assert_null(tvq_client_new(&l.bus, NULL, &err)); /* a network device has it at 3 */
	assert_int_equal(err, -EPROTO);
	assert_int_equal(l.status, 0);
	assert_int_equal(l.allocs, l.frees);
	liar_fini(&l);
}

static void packed_falls_back_to_split_where_it_is_not_offered(void **state)
{
	struct tvq_client_cfg cfg = { .packed = true };
	struct tvq_client *c;
	uint8_t in[8];
	uint32_t got;
	struct liar l;
	int err;

	(void)state;
	liar_init(&l);
	l.offered &= ~(BIT(VIRTIO_F_RING_PACKED) | BIT(VIRTIO_RING_F_EVENT_IDX));
	c = tvq_client_new(&l.bus, &cfg, &err);
	assert_non_null(c);
	assert_true(tvq_client_features(c) == l.offered && l.accepted == l.offered);
	assert_int_equal(call(c, in, &got), 0);
	tvq_client_free(c);
	liar_fini(&l);
}

/* TQ-010 */
static void the_transportq_of_a_network_device_is_queue_3(void **state)
{
	struct tvq_client *c;
	uint8_t in[8];
	uint32_t got;
	struct liar l;
	int err;

	(void)state;
	liar_init(&l);
	l.type = 1;
	l.queue_index = 3;
	c = tvq_client_new(&l.bus, NULL, &err);
	assert_non_null(c);
	assert_int_equal(call(c, in, &got), 0);
	tvq_client_free(c);
	liar_fini(&l);
}

/* TQ-035: every wait is bounded. The memory is not given to others while the device may write to
 * it. */
static void a_device_that_does_not_reset_keeps_the_memory(void **state)
{
	struct tvq_client *c;
	struct liar l;
	int err;

	(void)state;
	liar_init(&l);
	c = tvq_client_new(&l.bus, NULL, &err);
	assert_non_null(c);
	l.stuck_reset = true;
	tvq_client_free(c);
	assert_int_equal(l.frees, 0);
	l.status = 4;
	assert_null(tvq_client_new(&l.bus, NULL, &err));
	assert_int_equal(err, -ETIMEDOUT);
	liar_fini(&l);
}

/* A sequence's answers have the length that was asked for; statistics may be shorter (TQ-132). */
static void a_sequence_takes_no_short_answer_for_a_whole_one(void **state)
{
	struct virtio_transportq_ctrl_vdev_vq_stats st;
	uint64_t features = 5;
	struct tvq_client *c;
	struct tvq_seq *s;
	struct liar l;
	int err;

	(void)state;
	liar_init(&l);
	c = tvq_client_new(&l.bus, NULL, &err);
	assert_non_null(c);
	l.script = ANSWER_HALF;
	s = tvq_seq_new(c, 1);
	tvq_seq_features_get(s, &features);
	assert_int_equal(tvq_seq_call(s), -EPROTO);
	assert_int_equal(features, 5);
	assert_string_equal(tvq_client_failed(c), "FEAT DEVICE_GET");
	s = tvq_seq_new(c, 1);
	tvq_seq_vq_stats(s, 0, &st);
	assert_int_equal(tvq_seq_call(s), 0);
	assert_true(le64toh(st.used) == 0x1111111111111111ull);
	assert_true(st.bytes_read == 0 && st.drops == 0);
	tvq_client_free(c);
	liar_fini(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_lie_ends_in_its_error_and_the_next_command_works),
		cmocka_unit_test(commands_of_one_turn_go_out_with_one_notification),
		cmocka_unit_test(a_used_entry_for_no_buffer_breaks_the_ring_and_ends_all_commands),
		cmocka_unit_test(a_device_that_needs_a_reset_ends_all_commands),
		cmocka_unit_test(a_call_to_a_device_that_needs_a_reset_does_not_wait_for_ever),
		cmocka_unit_test(
			a_call_without_an_answer_times_out_and_its_late_answer_hurts_nobody),
		cmocka_unit_test(set_up_refuses_what_cannot_be_a_management_device),
		cmocka_unit_test(packed_falls_back_to_split_where_it_is_not_offered),
		cmocka_unit_test(the_transportq_of_a_network_device_is_queue_3),
		cmocka_unit_test(a_device_that_does_not_reset_keeps_the_memory),
		cmocka_unit_test(a_sequence_takes_no_short_answer_for_a_whole_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
