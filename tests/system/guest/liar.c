/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tvqd, but for the lies that its management device tells the driver.
 *
 *	TVQ_LIES="2.0 short, 9.0 truth, 1.1 late" liar TVQD-ARGUMENT...
 *
 * Each entry is a class, a command and what is done to its answer. The first entry waits for the
 * first answer to its command, is done with by that, and the next one waits. "truth" changes
 * nothing: it is how an entry behind it comes to mean a later time. So what a guest's script does
 * decides when a lie is told, and nobody has to be told the time. Each lie is logged.
 *
 * The linker puts this file's functions in front of three of libtvq's (--wrap): the one that
 * answers a command, to know which it is; the one that records a used entry, where ack and in-data
 * are in place and nothing is published yet; and the one that drops the commands in flight, for a
 * reset. All of that happens on the control executor, but for other queues' used entries.
 */
#include <stdio.h>
#include <stdlib.h>

#include "device/manager.h"
#include "device/util.h"
#include "tvqd/tvqd.h"

#define MAX_LIES 64
#define ACK_SIZE 4

enum lie {
	LIE_TRUTH,
	LIE_ACK,   /* neither OK nor ERR */
	LIE_SHORT, /* a used length that does not hold the ack */
	LIE_FEW,   /* one that holds no in-data */
	LIE_LONG,  /* one larger than the buffer */
	LIE_ZEROS, /* in-data */
	LIE_ONES,  /* in-data: a status, id, size, area that cannot be */
	LIE_ID,	   /* the used entry names a buffer that the driver never gave */
	LIE_LATE,  /* the truth, when the driver has given up and resets the function */
	LIE_BREAK, /* the truth, and from now on the device that was asked needs a reset */
	N_LIES
};

static const char *const lie_names[N_LIES] = {
	[LIE_TRUTH] = "truth", [LIE_ACK] = "ack",     [LIE_SHORT] = "short", [LIE_FEW] = "few",
	[LIE_LONG] = "long",   [LIE_ZEROS] = "zeros", [LIE_ONES] = "ones",   [LIE_ID] = "id",
	[LIE_LATE] = "late",   [LIE_BREAK] = "break",
};

struct entry {
	unsigned int class, command;
	enum lie lie;
};

static struct entry entries[MAX_LIES];
static unsigned int n_entries, n_done;
/* The command that is being answered, if any: by this thread, others have their own queues. */
static _Thread_local struct tvq_tcmd *answered;
static enum lie lie;	      /* of its answer */
static struct tvq_tcmd *late; /* one that waits for the driver to give up, if any */
static int late_result;

void __real_tvq_transportq_answer(struct tvq_tcmd *c, int result);
void __wrap_tvq_transportq_answer(struct tvq_tcmd *c, int result);
void __real_tvq_transportq_abort(struct tvq_device *dev);
void __wrap_tvq_transportq_abort(struct tvq_device *dev);
void __real_tvq_ring_add_used(struct tvq_ring *r, const struct tvq_chain *c, uint32_t written);
void __wrap_tvq_ring_add_used(struct tvq_ring *r, const struct tvq_chain *c, uint32_t written);

static enum lie next_lie(const struct tvq_tcmd *c)
{
	const struct entry *e = &entries[n_done];

	if (n_done == n_entries || tvq_get16(c->out + 8) != e->class ||
	    tvq_get16(c->out + 10) != e->command)
		return LIE_TRUTH;
	n_done++;
	fprintf(stderr, "liar: %u.%u: %s\n", e->class, e->command, lie_names[e->lie]);
	return e->lie;
}

/* Fills n bytes at offset at of the writable part. */
static void fill(const struct tvq_chain *c, size_t at, size_t n, int byte)
{
	for (unsigned int i = 0; i < c->n_in && n; i++) {
		const struct tvq_seg *s = &c->seg[c->n_out + i];
		size_t here;

		if (at >= s->len) {
			at -= s->len;
			continue;
		}
		here = s->len - at < n ? s->len - at : n;
		memset((uint8_t *)s->va + at, byte, here);
		n -= here;
		at = 0;
	}
}

void __wrap_tvq_ring_add_used(struct tvq_ring *r, const struct tvq_chain *c, uint32_t written)
{
	struct tvq_chain lying = *c;

	/* Another queue's chain; no command has been answered twice. */
	if (!answered || c != &answered->chain) {
		__real_tvq_ring_add_used(r, c, written);
		return;
	}
	switch (lie) {
	case LIE_ACK:
		fill(c, 0, ACK_SIZE, 0x5a);
		break;
	case LIE_SHORT:
		written = ACK_SIZE - 1;
		break;
	case LIE_FEW:
		written = ACK_SIZE;
		break;
	case LIE_LONG:
		written = c->in_len + 1;
		break;
	case LIE_ZEROS:
		fill(c, ACK_SIZE, written - ACK_SIZE, 0);
		break;
	case LIE_ONES:
		fill(c, ACK_SIZE, written - ACK_SIZE, 0xff);
		break;
	case LIE_ID:
		lying.id ^= 0x3fff;
		break;
	default:
		break;
	}
	__real_tvq_ring_add_used(r, &lying, written);
}

void __wrap_tvq_transportq_answer(struct tvq_tcmd *c, int result)
{
	lie = c->aborted ? LIE_TRUTH : next_lie(c);
	if (lie == LIE_BREAK)
		tvq_device_break(c->mgr->dev, tvq_get64(c->out), "the liar says so");
	if (lie == LIE_LATE && !late) {
		late = c;
		late_result = result;
		return;
	}
	answered = c;
	__real_tvq_transportq_answer(c, result);
	answered = NULL;
}

/* A reset begins, and the ring is there still: the last moment that an answer has. */
void __wrap_tvq_transportq_abort(struct tvq_device *dev)
{
	struct tvq_tcmd *c = late;

	if (c && c->mgr == dev->mgr) {
		late = NULL;
		fprintf(stderr, "liar, late: %u.%u\n", tvq_get16(c->out + 8),
			tvq_get16(c->out + 10));
		__real_tvq_transportq_answer(c, late_result);
	}
	__real_tvq_transportq_abort(dev);
}

static bool read_entry(const char *text, struct entry *e)
{
	char word[16], more;

	if (sscanf(text, "%u.%u %15s %c", &e->class, &e->command, word, &more) != 3)
		return false;
	for (int i = 0; i < N_LIES; i++) {
		e->lie = (enum lie)i;
		if (!strcmp(word, lie_names[i]))
			return true;
	}
	return false;
}

int main(int argc, char **argv)
{
	char *lies = getenv("TVQ_LIES"), *text, *rest;

	for (text = lies ? strtok_r(lies, ",", &rest) : NULL; text;
	     text = strtok_r(NULL, ",", &rest)) {
		if (n_entries == MAX_LIES || !read_entry(text, &entries[n_entries])) {
			fprintf(stderr, "liar: not a lie, or one too many: '%s'\n", text);
			return 2;
		}
		n_entries++;
	}
	return tvqd_main(argc, argv);
}
