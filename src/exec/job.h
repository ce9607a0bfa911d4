/* SPDX-License-Identifier: BSD-3-Clause */
/* Between job.c and loop.c; private to src/exec. */
#ifndef TVQ_EXEC_JOB_H
#define TVQ_EXEC_JOB_H

/*
 * Returns when no thread of the pool is touching an executor whose jobs have all completed: it may
 * be freed from then on. Any thread; blocks for no longer than it takes to post a message.
 */
void tvq_job_settle(void);

#endif
