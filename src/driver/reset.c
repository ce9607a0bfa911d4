/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reset of a managed device as a driver does it: STATUS SET 0 is answered at once, and the reset
 * is over when STATUS GET returns 0 (TQ-065). Most are over by the first look, so that one goes
 * out together with the SET; later ones pause for longer each time.
 */
#include <errno.h>

#include <tvq/os.h>

#include "seq_priv.h"

#define FIRST_PAUSE_NS	 20000ull
#define LONGEST_PAUSE_NS 5000000ull

static void finish(struct tvq_reset *r, int err)
{
	tvq_timer_clear(r->client->bus->exec, &r->timer);
	r->done->fn(r->done, err);
}

static void look(struct tvq_reset *r, bool first)
{
	struct tvq_seq *s = tvq_seq_new(r->client, r->device_id);
	int err = s ? tvq_timer_set(r->client->bus->exec, &r->timer, r->deadline) : -ENOMEM;

	if (err) {
		tvq_seq_drop(s);
		finish(r, err);
		return;
	}
	if (first)
		tvq_seq_status_set(s, 0);
	tvq_seq_status_get(s, &r->status);
	r->asking = s;
	tvq_seq_run(s, &r->step);
}

/* The pause is over, or the time is up while a command is still on its way. */
static void time_over(struct tvq_timer *t)
{
	struct tvq_reset *r = (struct tvq_reset *)((char *)t - offsetof(struct tvq_reset, timer));

	if (!r->asking) {
		look(r, false);
		return;
	}
	tvq_seq_abandon(r->asking);
	r->asking = NULL;
	finish(r, -ETIMEDOUT);
}

static void looked(struct tvq_done *d, int err)
{
	struct tvq_reset *r = (struct tvq_reset *)((char *)d - offsetof(struct tvq_reset, step));
	uint64_t now;

	r->asking = NULL;
	if (!err && r->status) {
		now = tvq_client_os(r->client)->now();
		if (now >= r->deadline) {
			err = -ETIMEDOUT;
		} else {
			err = tvq_timer_set(r->client->bus->exec, &r->timer, now + r->pause);
			if (r->pause < LONGEST_PAUSE_NS)
				r->pause *= 2;
			if (!err)
				return;
		}
	}
	finish(r, err);
}

void tvq_client_reset(struct tvq_client *c, struct tvq_reset *r, uint64_t device_id,
		      struct tvq_done *done)
{
	*r = (struct tvq_reset){
		.done = done,
		.client = c,
		.device_id = device_id,
		.deadline = tvq_client_os(c)->now() + TVQ_BUS_TIMEOUT_NS,
		.pause = FIRST_PAUSE_NS,
		.timer.fn = time_over,
		.step.fn = looked,
	};
	look(r, true);
}

int tvq_client_reset_call(struct tvq_client *c, uint64_t device_id)
{
	uint64_t deadline = tvq_client_os(c)->now() + TVQ_BUS_TIMEOUT_NS, pause = FIRST_PAUSE_NS;
	const bool never = false;
	uint8_t status = 0xff;
	bool first = true;

	for (;;) {
		struct tvq_seq *s = tvq_seq_new(c, device_id);
		int err;

		if (!s)
			return -ENOMEM;
		if (first)
			tvq_seq_status_set(s, 0);
		first = false;
		tvq_seq_status_get(s, &status);
		err = tvq_seq_call(s);
		if (err || !status)
			return err;
		if (tvq_client_os(c)->now() >= deadline)
			return -ETIMEDOUT;
		tvq_bus_wait(c->bus, &never, pause);
		if (pause < LONGEST_PAUSE_NS)
			pause *= 2;
	}
}
