/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sequences of commands. Theory of operation.
 *
 * A sequence and everything in it (commands, their out-data, room for their answers) lives in
 * chunks, the first of which holds the sequence itself. Nothing is freed singly; the chunks go
 * back to the client's spare ones when the last command is done. Answers are decoded from the
 * sequence's own memory into the caller's, so a caller that gave up waiting (tvq_seq_call) may
 * leave: the sequence is then abandoned, ends by itself and touches nothing of his.
 *
 * All commands are in flight at once; they complete in any order, and the error that counts is
 * that of the first in the sequence's order.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include <tvq/os.h>

#include "seq_priv.h"

struct tvq_seq {
	struct tvq_client *client;
	uint64_t device_id;
	struct tvq_seq_chunk *chunks; /* the newest first; the last holds this structure */
	struct tvq_seq_cmd *head, **tail;
	uint32_t n, left;
	uint32_t err_ordinal;
	int err;
	const char *err_name;
	bool abandoned;
	struct tvq_done *done;
};

#define ALIGN8(n) (((n) + 7) & ~(size_t)7)

static struct tvq_seq_chunk *chunk_get(struct tvq_client *c, size_t room)
{
	struct tvq_seq_chunk *chunk = c->chunks;
	size_t size = ALIGN8(sizeof(*chunk)) + room;

	if (size <= TVQ_SEQ_CHUNK_BYTES) {
		if (chunk) {
			c->chunks = chunk->next;
			c->n_chunks--;
			chunk->used = ALIGN8(sizeof(*chunk));
			return chunk;
		}
		size = TVQ_SEQ_CHUNK_BYTES;
	}
	chunk = tvq_client_os(c)->alloc(size);
	if (!chunk)
		return NULL;
	chunk->size = size;
	chunk->used = ALIGN8(sizeof(*chunk));
	return chunk;
}

static void chunk_put(struct tvq_client *c, struct tvq_seq_chunk *chunk)
{
	if (chunk->size != TVQ_SEQ_CHUNK_BYTES || c->n_chunks >= TVQ_SEQ_CHUNKS_KEPT) {
		tvq_client_os(c)->free(chunk, chunk->size);
		return;
	}
	chunk->next = c->chunks;
	c->chunks = chunk;
	c->n_chunks++;
}

static void *chunk_take(struct tvq_seq_chunk *chunk, size_t size)
{
	void *p = (char *)chunk + chunk->used;

	chunk->used += size;
	return p;
}

struct tvq_seq *tvq_seq_new(struct tvq_client *c, uint64_t device_id)
{
	struct tvq_seq_chunk *chunk = chunk_get(c, ALIGN8(sizeof(struct tvq_seq)));
	struct tvq_seq *s;

	if (!chunk)
		return NULL;
	s = chunk_take(chunk, ALIGN8(sizeof(*s)));
	*s = (struct tvq_seq){ .client = c, .device_id = device_id, .chunks = chunk };
	s->tail = &s->head;
	chunk->next = NULL;
	return s;
}

static void *seq_alloc(struct tvq_seq *s, size_t size)
{
	struct tvq_seq_chunk *chunk = s->chunks;

	size = ALIGN8(size);
	if (size > chunk->size - chunk->used) {
		chunk = chunk_get(s->client, size);
		if (!chunk)
			return NULL;
		chunk->next = s->chunks;
		s->chunks = chunk;
	}
	return chunk_take(chunk, size);
}

static void seq_free(struct tvq_seq *s)
{
	struct tvq_client *c = s->client;
	struct tvq_seq_chunk *chunk = s->chunks, *next;

	for (; chunk; chunk = next) {
		next = chunk->next;
		chunk_put(c, chunk);
	}
}

void tvq_seq_drop(struct tvq_seq *s)
{
	if (s)
		seq_free(s);
}

static void set_error(struct tvq_seq *s, uint32_t ordinal, int err, const char *name)
{
	if (s->err && ordinal >= s->err_ordinal)
		return;
	s->err = err;
	s->err_ordinal = ordinal;
	s->err_name = name;
}

static void end(struct tvq_seq *s)
{
	struct tvq_client *c = s->client;
	struct tvq_done *done = s->abandoned ? NULL : s->done;
	int err = s->err;

	if (!s->abandoned)
		c->fail_name = s->err_name;
	seq_free(s);
	if (done)
		done->fn(done, err);
}

static void put_int(void *dst, const uint8_t *in, uint32_t width)
{
	uint64_t v = 0;

	memcpy(&v, in, width);
	v = le64toh(v);
	switch (width) {
	case 1:
		*(uint8_t *)dst = (uint8_t)v;
		break;
	case 2:
		*(uint16_t *)dst = (uint16_t)v;
		break;
	case 4:
		*(uint32_t *)dst = (uint32_t)v;
		break;
	default:
		*(uint64_t *)dst = v;
	}
}

/* Answers that come whole have the length that was asked for. */
static bool length_ok(const struct tvq_seq_cmd *sc)
{
	return sc->decode == TVQ_SEQ_STATS ? sc->cmd.in_got % 8 == 0
					   : sc->cmd.in_got == sc->cmd.in_len;
}

static void decode(const struct tvq_seq_cmd *sc)
{
	const uint8_t *in = sc->cmd.in;
	uint32_t len = sc->cmd.in_got;

	switch (sc->decode) {
	case TVQ_SEQ_INT:
		put_int(sc->dst, in, len);
		break;
	case TVQ_SEQ_STATS:
	case TVQ_SEQ_BYTES:
		memcpy(sc->dst, in, len);
		break;
	case TVQ_SEQ_AREA:
		put_int(sc->dst, in, 8);
		if (sc->dst2)
			put_int(sc->dst2, in + 8, 8);
		break;
	case TVQ_SEQ_INDEX:
		put_int(sc->dst, in, 2);
		if (len == 4)
			put_int(sc->dst2, in + 2, 2);
		break;
	default:
		break;
	}
}

static void cmd_done(struct tvq_cmd *cmd)
{
	struct tvq_seq_cmd *sc =
		(struct tvq_seq_cmd *)((char *)cmd - offsetof(struct tvq_seq_cmd, cmd));
	struct tvq_seq *s = sc->seq;
	int err = cmd->err;

	if (!err && !length_ok(sc))
		err = -EPROTO;
	if (err)
		set_error(s, sc->ordinal, err, tvq_command_name(cmd->class, cmd->command));
	else if (!s->abandoned)
		decode(sc);
	if (!--s->left)
		end(s);
}

struct tvq_seq_cmd *tvq_seq_add(struct tvq_seq *s, enum tvq_command_id id, uint32_t out_len,
				uint32_t in_len)
{
	const struct tvq_command *def = &tvq_commands[id];
	struct tvq_seq_cmd *sc;

	sc = seq_alloc(s, sizeof(*sc) + ALIGN8((size_t)out_len) + in_len);
	if (!sc) {
		set_error(s, s->n, -ENOMEM, def->name);
		return NULL;
	}
	*sc = (struct tvq_seq_cmd){
		.cmd = {
			.device_id = s->device_id,
			.class = def->class,
			.command = def->command,
			.out_len = out_len,
			.in_len = in_len,
			.out = sc->data,
			.in = sc->data + ALIGN8((size_t)out_len),
			.done = cmd_done,
		},
		.seq = s,
		.ordinal = s->n++,
	};
	*s->tail = sc;
	s->tail = &sc->next;
	return sc;
}

void tvq_seq_run(struct tvq_seq *s, struct tvq_done *done)
{
	struct tvq_seq_cmd *sc, *next;
	struct tvq_client *c = s->client;

	s->done = done;
	if (s->err || !s->head) {
		end(s);
		return;
	}
	s->left = s->n;
	/* done never comes from within submit, so the sequence lives until the loop is over. */
	for (sc = s->head; sc; sc = next) {
		next = sc->next;
		tvq_client_submit_held(c, &sc->cmd);
	}
}

void tvq_seq_abandon(struct tvq_seq *s)
{
	s->abandoned = true;
}

struct call {
	struct tvq_done done;
	bool over;
	int err;
};

static void call_done(struct tvq_done *d, int err)
{
	struct call *call = (struct call *)((char *)d - offsetof(struct call, done));

	call->err = err;
	call->over = true;
}

int tvq_seq_call(struct tvq_seq *s)
{
	struct call call = { .done.fn = call_done };
	struct tvq_client *c = s->client;

	tvq_seq_run(s, &call.done);
	if (!call.over && tvq_client_wait(c, &call.over)) {
		c->fail_name = "no answer";
		tvq_seq_abandon(s);
		return -ETIMEDOUT;
	}
	return call.err;
}

const char *tvq_client_failed(const struct tvq_client *c)
{
	return c->fail_name ? c->fail_name : "";
}
