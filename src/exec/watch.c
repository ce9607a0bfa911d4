/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Watches: multishot polls. The kernel completes one for each wake-up of the descriptor, so they
 * are edge-triggered by nature, and the first completion tells of what was ready before.
 *
 *   (zeroed) -> armed     tvq_watch_start()
 *   armed -> armed        the kernel ended it (its completion queue overflowed): polled anew
 *   armed -> ended        the poll failed: fn gets the error
 *   armed -> stopping     tvq_watch_stop(): cancelled, fn is not called any more
 *   stopping -> stopped   the last completion: stopped is called, w is the caller's
 */
#include <liburing.h>

#include <tvq/loop.h>

static void arm(struct tvq_watch *w)
{
	struct io_uring_sqe *sqe = tvq_loop_sqe(w->loop, &w->io);

	io_uring_prep_poll_multishot(sqe, w->fd, w->events);
	w->armed = true;
}

static void watch_event(struct tvq_io *io, int res, bool more)
{
	struct tvq_watch *w = (struct tvq_watch *)((char *)io - offsetof(struct tvq_watch, io));

	w->armed = more;
	if (w->stopping) {
		if (!more)
			w->stopped(w);
		return;
	}
	/* Before fn, which may stop the watch and free it. */
	if (!more && res >= 0)
		arm(w);
	w->fn(w, res);
}

void tvq_watch_start(struct tvq_loop *l, struct tvq_watch *w, int fd, unsigned int events)
{
	w->io.fn = watch_event;
	w->loop = l;
	w->fd = fd;
	w->events = events;
	w->stopping = false;
	arm(w);
}

void tvq_watch_stop(struct tvq_watch *w, void (*stopped)(struct tvq_watch *w))
{
	struct io_uring_sqe *sqe;

	w->stopped = stopped;
	w->stopping = true;
	if (!w->armed) {
		stopped(w);
		return;
	}
	/*
	 * A cancellation, since a poll's removal leaves one alone that has an event under way. What
	 * it returns itself says nothing that the poll's last completion does not.
	 */
	sqe = tvq_loop_sqe(w->loop, NULL);
	io_uring_prep_cancel(sqe, &w->io, 0);
}
