/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The vfio-user client's requests in flight. A request has a number while it is in flight, by which
 * its reply finds it. What has finished and has somebody to tell is told at the turn's end, never
 * from inside the call that found the reply.
 *
 * They are kept in the order in which they were sent, with the same patience for each, so that one
 * timer watches the oldest: one that is not answered ends the connection.
 */
#include <errno.h>
#include <stdlib.h>

#include "bus/vfio_user.h"
#include "device/util.h"

#define MAX_IDS 65536u
#define LATE_NS (2 * TVQ_BUS_TIMEOUT_NS) /* a reply that nobody waits for */

static void post_late(struct vuc *c)
{
	if (c->late_posted)
		return;
	c->late_posted = true;
	tvq_exec_late(c->fn.exec, &c->late);
}

static int more_ids(struct vuc *c)
{
	uint32_t n = c->n_slots ? c->n_slots * 2 : 64;
	struct vuc_request **slots;
	uint16_t *ids;

	if (n > MAX_IDS)
		return -EBUSY;
	slots = realloc(c->slots, n * sizeof(struct vuc_request *));
	if (!slots)
		return -ENOMEM;
	c->slots = slots;
	ids = realloc(c->free_ids, n * sizeof(*ids));
	if (!ids)
		return -ENOMEM;
	c->free_ids = ids;
	for (uint32_t i = n; i-- > c->n_slots;) {
		c->slots[i] = NULL;
		c->free_ids[c->n_free++] = (uint16_t)i;
	}
	c->n_slots = n;
	return 0;
}

int vuc_take_off(struct vuc *c, struct vuc_request *r, uint16_t command)
{
	int err = c->n_free ? 0 : more_ids(c);

	if (err)
		return err;
	if (!c->oldest)
		/* Without memory for the timer patience has no end; who waits has a bound. */
		tvq_timer_set(c->fn.exec, &c->watchdog, c->fn.os->now() + LATE_NS);
	r->id = c->free_ids[--c->n_free];
	r->command = command;
	r->err = 0;
	r->finished = false;
	r->deadline = c->fn.os->now() + LATE_NS;
	r->next = NULL;
	r->pprev = c->newest;
	*c->newest = r;
	c->newest = &r->next;
	c->slots[r->id] = r;
	return 0;
}

void vuc_land(struct vuc *c, struct vuc_request *r, int err)
{
	c->slots[r->id] = NULL;
	c->free_ids[c->n_free++] = r->id;
	*r->pprev = r->next;
	if (r->next)
		r->next->pprev = r->pprev;
	else
		c->newest = r->pprev;
	r->next = NULL;
	r->err = err;
	r->finished = true;
	if (!r->done)
		return;
	*c->last_finished = r;
	c->last_finished = &r->next;
	post_late(c);
}

static void late(struct tvq_msg *m)
{
	struct vuc *c = tvq_container_of(m, struct vuc, late);
	struct vuc_request *r = c->finished;

	c->late_posted = false;
	/* What finishes meanwhile is for the next turn. */
	c->finished = NULL;
	c->last_finished = &c->finished;
	while (r) {
		struct vuc_request *next = r->next;

		r->done(r);
		r = next;
	}
	if (!vuc_is_gone(c) || c->gone_told || !c->fn.user)
		return;
	c->gone_told = true;
	c->fn.user->gone(c->fn.ctx, c->why);
}

static void watchdog(struct tvq_timer *t)
{
	struct vuc *c = tvq_container_of(t, struct vuc, watchdog);

	if (!c->oldest)
		return;
	if (c->fn.os->now() >= c->oldest->deadline)
		vuc_gone(c, "it does not answer");
	else
		tvq_timer_set(c->fn.exec, t, c->oldest->deadline);
}

void vuc_land_all(struct vuc *c)
{
	tvq_timer_clear(c->fn.exec, &c->watchdog);
	while (c->oldest)
		vuc_land(c, c->oldest, -ENODEV);
	post_late(c);
}

void vuc_flight_init(struct vuc *c)
{
	c->newest = &c->oldest;
	c->last_finished = &c->finished;
	c->late.fn = late;
	c->watchdog.fn = watchdog;
}
