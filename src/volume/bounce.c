/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bounce buffers for O_DIRECT: a few for each executor, shared by all its channels, so that
 * thousands of volumes cost none. Each is made when it is first needed and kept until the executor
 * ends. Who finds none waits in a queue; whoever gives one back hands it to the first there.
 */
#include <errno.h>
#include <stdlib.h>

#include "file.h"

struct bounce {
	struct tvq_exec_local local;
	void *free[TVQ_BOUNCE_BUFS];
	unsigned int n_free, n_made;
	struct tvq_bounce_wait *head, **tail;
};

static void bounce_release(struct tvq_exec_local *l)
{
	struct bounce *b = tvq_volume_of(l, struct bounce, local);

	while (b->n_free)
		free(b->free[--b->n_free]);
	free(b);
}

static struct bounce *bounce_of(struct tvq_exec *e)
{
	struct tvq_exec_local *l = e->local[TVQ_EXEC_SLOT_BOUNCE];
	struct bounce *b;

	if (l)
		return tvq_volume_of(l, struct bounce, local);
	b = calloc(1, sizeof(*b));
	if (!b)
		return NULL;
	b->local.release = bounce_release;
	b->tail = &b->head;
	e->local[TVQ_EXEC_SLOT_BOUNCE] = &b->local;
	return b;
}

void *tvq_bounce_take(struct tvq_exec *e, struct tvq_bounce_wait *w, int *err)
{
	struct bounce *b = bounce_of(e);
	void *buf;

	*err = 0;
	if (b && b->n_free)
		return b->free[--b->n_free];
	if (b && b->n_made < TVQ_BOUNCE_BUFS && !posix_memalign(&buf, 4096, TVQ_BOUNCE_SIZE)) {
		b->n_made++;
		return buf;
	}
	if (!b || !b->n_made) {
		*err = -ENOMEM;
		return NULL;
	}
	w->next = NULL;
	*b->tail = w;
	b->tail = &w->next;
	return NULL;
}

void tvq_bounce_give(struct tvq_exec *e, void *buf)
{
	struct bounce *b = bounce_of(e);
	struct tvq_bounce_wait *w = b->head;

	if (!w) {
		b->free[b->n_free++] = buf;
		return;
	}
	b->head = w->next;
	if (!b->head)
		b->tail = &b->head;
	w->fn(w, buf);
}
