/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The transportq client.
 *
 * A command's way: submit copies header and out-data into a slot of DMA memory and adds the
 * slot's two pieces to the ring. Nothing is published yet: a message that runs at the turn's end
 * publishes all that the turn has added and notifies once. Where the ring is full the command
 * waits in a queue, behind those that wait already, so that the order in which commands were
 * submitted is the order in which they are made available (TQ-030). The device's interrupt
 * collects what is done: ack and in-data are copied out of the slot once, the slot is free again,
 * and what waits takes the places.
 *
 * Slots number as many as the ring has entries and are made at set-up, so that a command in the
 * steady state allocates nothing. done is never called from within submit: a command that fails
 * there (no memory, too large, a dead device) is ended by the same message at the turn's end.
 *
 * The device is not trusted: a used length that cannot be true, an ack that is neither OK nor ERR
 * and a used entry that names no buffer end in an error. A ring that is broken or a device that
 * needs a reset kills the client: all that is in flight ends, and so does whatever is submitted
 * later. Slots in flight are not used again then, since the device may still write to them.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include <tvq/os.h>
#include <tvq/wire.h>

#include "client.h"

#define OUT_HEADER sizeof(struct virtio_transportq_ctrl)
#define IN_HEADER  sizeof(__le32)

static void queue_put(struct tvq_client_queue *q, struct tvq_cmd *cmd)
{
	cmd->next = NULL;
	*q->tail = cmd;
	q->tail = &cmd->next;
}

static struct tvq_cmd *queue_get(struct tvq_client_queue *q)
{
	struct tvq_cmd *cmd = q->head;

	if (cmd) {
		q->head = cmd->next;
		if (!q->head)
			q->tail = &q->head;
	}
	return cmd;
}

static bool queue_remove(struct tvq_client_queue *q, struct tvq_cmd *cmd)
{
	struct tvq_cmd **at;

	for (at = &q->head; *at; at = &(*at)->next) {
		if (*at != cmd)
			continue;
		*at = cmd->next;
		if (!*at)
			q->tail = at;
		return true;
	}
	return false;
}

static void post_late(struct tvq_client *c)
{
	if (c->late_posted)
		return;
	c->late_posted = true;
	tvq_exec_late(c->bus->exec, &c->late);
}

static void fail_later(struct tvq_client *c, struct tvq_cmd *cmd, int err)
{
	cmd->err = err;
	cmd->in_got = 0;
	queue_put(&c->failed, cmd);
	post_late(c);
}

/* Out-data of a command that waits, since the caller's own is the caller's again. */
static int copy_out(struct tvq_client *c, struct tvq_cmd *cmd)
{
	struct tvq_client_copy *copy = NULL;

	if (cmd->out_len <= TVQ_CLIENT_COPY_BYTES && c->copies) {
		copy = c->copies;
		c->copies = copy->next;
	} else {
		uint32_t room = cmd->out_len > TVQ_CLIENT_COPY_BYTES ? cmd->out_len
								     : TVQ_CLIENT_COPY_BYTES;

		copy = tvq_client_os(c)->alloc(sizeof(*copy) + room);
		if (!copy)
			return -ENOMEM;
		copy->room = room;
	}
	memcpy(copy->data, cmd->out, cmd->out_len);
	copy->callers = cmd->out;
	cmd->out = copy->data;
	cmd->copy = copy;
	return 0;
}

static void drop_copy(struct tvq_client *c, struct tvq_cmd *cmd)
{
	struct tvq_client_copy *copy = cmd->copy;

	if (!copy)
		return;
	cmd->copy = NULL;
	cmd->out = copy->callers;
	if (copy->room == TVQ_CLIENT_COPY_BYTES) {
		copy->next = c->copies;
		c->copies = copy;
	} else {
		tvq_client_os(c)->free(copy, sizeof(*copy) + copy->room);
	}
}

/* Memory for a command that the slot's own does not hold; kept for the next such one. */
static int grow_slot(struct tvq_client *c, struct tvq_client_slot *slot, size_t need)
{
	const struct tvq_bus_ops *ops = c->bus->ops;

	if (slot->big_size >= need)
		return 0;
	if (slot->big)
		ops->dma_free(c->bus, slot->big, slot->big_size);
	need = (need + 4095) & ~(size_t)4095;
	slot->big = ops->dma_alloc(c->bus, need, &slot->big_iova);
	slot->big_size = slot->big ? need : 0;
	return slot->big ? 0 : -ENOMEM;
}

static void fill_header(uint8_t *out, const struct tvq_cmd *cmd)
{
	struct virtio_transportq_ctrl h = {
		.device_id = htole64(cmd->device_id),
		.class = htole16(cmd->class),
		.command = htole16(cmd->command),
	};

	memcpy(out, &h, OUT_HEADER);
	if (cmd->out_len)
		memcpy(out + OUT_HEADER, cmd->out, cmd->out_len);
}

/* Puts a command into a slot and the ring. -ENOSPC: it has to wait. Nothing has changed on an
 * error. */
static int start(struct tvq_client *c, struct tvq_cmd *cmd)
{
	struct tvq_client_slot *slot = c->free_slots;
	uint32_t out_len = OUT_HEADER + cmd->out_len, in_at = (out_len + 3) & ~3u;
	uint8_t *mem;
	uint64_t iova;
	struct tvq_sg sg[2];
	int err;

	if (!slot)
		return -ENOSPC;
	mem = slot->fixed;
	iova = slot->fixed_iova;
	slot->in_len = IN_HEADER + cmd->in_len;
	if (in_at + slot->in_len > TVQ_CLIENT_SLOT_BYTES) {
		err = grow_slot(c, slot, in_at + slot->in_len);
		if (err)
			return err;
		mem = slot->big;
		iova = slot->big_iova;
	}
	slot->out = mem;
	slot->in = mem + in_at;
	fill_header(slot->out, cmd);
	/* Neither value of ack, so that a device which writes none is seen. */
	memset(slot->in, 0xa5, IN_HEADER);
	sg[0] = (struct tvq_sg){ .addr = iova, .len = out_len };
	sg[1] = (struct tvq_sg){ .addr = iova + in_at, .len = slot->in_len };
	err = tvq_drv_ring_add(c->ring, sg, 1, 1, slot);
	if (err)
		return err == -ENOSPC ? err : -EPROTO;
	c->free_slots = slot->next;
	slot->cmd = cmd;
	drop_copy(c, cmd);
	post_late(c);
	return 0;
}

static void submit(struct tvq_client *c, struct tvq_cmd *cmd, bool held)
{
	int err = c->dead;

	cmd->copy = NULL;
	if (!err && (cmd->out_len > TVQ_CLIENT_MAX_DATA || cmd->in_len > TVQ_CLIENT_MAX_DATA))
		err = -E2BIG;
	if (!err)
		err = c->waiting.head ? -ENOSPC : start(c, cmd);
	if (!err)
		return;
	if (err == -ENOSPC)
		err = held || !cmd->out_len ? 0 : copy_out(c, cmd);
	if (err)
		fail_later(c, cmd, err);
	else
		queue_put(&c->waiting, cmd);
}

void tvq_client_submit(struct tvq_client *c, struct tvq_cmd *cmd)
{
	submit(c, cmd, false);
}

void tvq_client_submit_held(struct tvq_client *c, struct tvq_cmd *cmd)
{
	submit(c, cmd, true);
}

static void start_waiting(struct tvq_client *c)
{
	while (c->waiting.head && !c->dead) {
		struct tvq_cmd *cmd = c->waiting.head;
		int err = start(c, cmd);

		if (err == -ENOSPC)
			return;
		/* start() does not touch the link of a command that it put into the ring. */
		queue_get(&c->waiting);
		if (err) {
			drop_copy(c, cmd);
			fail_later(c, cmd, err);
		}
	}
}

/* The device's answer, read once and judged. */
static void judge(struct tvq_cmd *cmd, const struct tvq_client_slot *slot, uint32_t written)
{
	__le32 ack;

	cmd->in_got = 0;
	cmd->err = -EPROTO;
	if (written < IN_HEADER || written > slot->in_len)
		return;
	memcpy(&ack, slot->in, sizeof(ack));
	if (le32toh(ack) == VIRTIO_TRANSPTQ_ERR)
		cmd->err = -EIO;
	if (le32toh(ack) != VIRTIO_TRANSPTQ_OK)
		return;
	cmd->err = 0;
	cmd->in_got = written - IN_HEADER;
	if (cmd->in_got)
		memcpy(cmd->in, slot->in + IN_HEADER, cmd->in_got);
}

static void complete(struct tvq_client *c, struct tvq_client_slot *slot, uint32_t written)
{
	struct tvq_cmd *cmd = slot->cmd;

	slot->cmd = NULL;
	if (cmd) {
		judge(cmd, slot, written);
		if (c->trace)
			c->trace(c->trace_ctx, cmd, slot->out + OUT_HEADER);
	}
	slot->next = c->free_slots;
	c->free_slots = slot;
	if (cmd && cmd->done)
		cmd->done(cmd);
}

unsigned int tvq_client_collect(struct tvq_client *c)
{
	struct tvq_client_slot *slot;
	unsigned int n = 0;
	uint32_t written;

	if (c->collecting || c->dead)
		return 0;
	c->collecting = true;
	/* Bounded: what done() submits is published after this turn only. */
	while (!c->dead && (slot = tvq_drv_ring_get(c->ring, &written)) != NULL) {
		complete(c, slot, written);
		n++;
	}
	if (!c->dead && tvq_drv_ring_broken(c->ring))
		tvq_client_kill(c, -EPROTO, "the transportq's ring is broken");
	if (n)
		start_waiting(c);
	c->collecting = false;
	return n;
}

/* The device's interrupt. */
void tvq_client_used(void *ctx)
{
	struct tvq_client *c = ctx;

	if (c->dead)
		return;
	tvq_drv_ring_interrupts_off(c->ring);
	do {
		tvq_client_collect(c);
	} while (!c->dead && tvq_drv_ring_interrupts_on(c->ring));
}

static void end_failed(struct tvq_client *c)
{
	struct tvq_client_queue q = c->failed;
	struct tvq_cmd *cmd;

	/* What done() submits now and fails again has its turn later. */
	if (!q.head)
		return;
	c->failed.head = NULL;
	c->failed.tail = &c->failed.head;
	while ((cmd = q.head) != NULL) {
		q.head = cmd->next;
		if (cmd->done)
			cmd->done(cmd);
	}
}

static void late(struct tvq_msg *m)
{
	struct tvq_client *c = (struct tvq_client *)((char *)m - offsetof(struct tvq_client, late));

	c->late_posted = false;
	if (!c->dead && tvq_drv_ring_publish(c->ring))
		c->bus->ops->queue_notify(c->bus, c->index);
	end_failed(c);
}

void tvq_client_kill(struct tvq_client *c, int err, const char *why)
{
	struct tvq_cmd *cmd;
	unsigned int i;

	if (c->dead)
		return;
	c->dead = err;
	if (why)
		tvq_log(tvq_client_os(c), TVQ_LOG_ERR, "%s: management device: %s; commands end",
			c->bus->ops->name, why);
	for (i = 0; i < c->size; i++) {
		cmd = c->slots[i].cmd;
		c->slots[i].cmd = NULL;
		if (cmd)
			fail_later(c, cmd, err);
	}
	while ((cmd = queue_get(&c->waiting)) != NULL) {
		drop_copy(c, cmd);
		fail_later(c, cmd, err);
	}
}

void tvq_client_abandon(struct tvq_client *c, struct tvq_cmd *cmd)
{
	unsigned int i;

	for (i = 0; i < c->size; i++) {
		if (c->slots[i].cmd == cmd) {
			c->slots[i].cmd = NULL;
			return;
		}
	}
	if (queue_remove(&c->waiting, cmd))
		drop_copy(c, cmd);
	else
		queue_remove(&c->failed, cmd);
}

void tvq_client_init_queues(struct tvq_client *c)
{
	c->late.fn = late;
	c->waiting.tail = &c->waiting.head;
	c->failed.tail = &c->failed.head;
}

void tvq_client_trace(struct tvq_client *c,
		      void (*fn)(void *ctx, const struct tvq_cmd *cmd, const void *out), void *ctx)
{
	c->trace = fn;
	c->trace_ctx = ctx;
}

struct call {
	struct tvq_cmd cmd;
	bool done;
};

static void call_done(struct tvq_cmd *cmd)
{
	((struct call *)((char *)cmd - offsetof(struct call, cmd)))->done = true;
}

int tvq_client_call(struct tvq_client *c, struct tvq_cmd *cmd)
{
	struct call call = { .cmd = *cmd };
	int err;

	call.cmd.done = call_done;
	tvq_client_submit_held(c, &call.cmd);
	err = tvq_client_wait(c, &call.done);
	if (err) {
		tvq_client_abandon(c, &call.cmd);
		call.cmd.err = err;
		call.cmd.in_got = 0;
	}
	cmd->err = call.cmd.err;
	cmd->in_got = call.cmd.in_got;
	return cmd->err;
}
