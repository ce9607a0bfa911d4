/* SPDX-License-Identifier: BSD-3-Clause */
/* Between signal.c and loop.c; private to src/exec. See tvq_loop_signal(). */
#ifndef TVQ_EXEC_SIGNAL_H
#define TVQ_EXEC_SIGNAL_H

struct tvq_signaller;

/*
 * For one thread at a time. NULL and *err: -ENOMEM, -ENOSYS, -EAGAIN (the system's limit of AIO
 * requests), -EMFILE; logged. May block for an allocation.
 */
struct tvq_signaller *tvq_signaller_get(int *err);
/* s may be NULL. */
void tvq_signaller_put(struct tvq_signaller *s);
int tvq_signaller_send(struct tvq_signaller *s, int fd);

#endif
