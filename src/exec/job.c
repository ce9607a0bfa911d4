/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Blocking work. The process has a few threads for it, made when a job finds none idle, and gone
 * after some seconds without one: a daemon that does nothing has none.
 */
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <time.h>

#include <tvq/loop.h>

#include "job.h"

#define MAX_THREADS  8
#define IDLE_SECONDS 5

static struct {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	struct tvq_job *head, **tail;
	unsigned int queued;
	unsigned int threads;
	unsigned int idle; /* in the wait, those included that were signalled and do not run yet */
} pool = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.cond = PTHREAD_COND_INITIALIZER,
	.tail = &pool.head,
};

static void job_done(struct tvq_msg *m)
{
	struct tvq_job *j = (struct tvq_job *)((char *)m - offsetof(struct tvq_job, msg));

	j->done(j);
}

/* With the lock held; NULL after IDLE_SECONDS without a job. */
static struct tvq_job *next_job(void)
{
	struct timespec until;
	struct tvq_job *j;
	int err = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += IDLE_SECONDS;
	while (!pool.head && !err) {
		pool.idle++;
		err = pthread_cond_timedwait(&pool.cond, &pool.lock, &until);
		pool.idle--;
	}
	j = pool.head;
	if (j) {
		pool.queued--;
		pool.head = j->next;
		if (!pool.head)
			pool.tail = &pool.head;
	}
	return j;
}

static void *job_thread(void *arg)
{
	struct tvq_job *j;

	pthread_mutex_lock(&pool.lock);
	while ((j = next_job())) {
		struct tvq_exec *e = j->exec;

		pthread_mutex_unlock(&pool.lock);
		j->run(j);
		pthread_mutex_lock(&pool.lock);
		/* With the lock held, for tvq_job_settle(). done may free j at once; without an
		 * executor run may have. */
		if (e)
			tvq_exec_post(e, &j->msg);
	}
	pool.threads--;
	pthread_mutex_unlock(&pool.lock);
	return arg;
}

/* With the lock held. */
static void start_thread(void)
{
	sigset_t all, old;
	pthread_attr_t attr;
	pthread_t thread;

	/* As in tvq_loop_start(): what a fault raises stays deliverable. */
	sigfillset(&all);
	sigdelset(&all, SIGBUS);
	sigdelset(&all, SIGSEGV);
	sigdelset(&all, SIGFPE);
	sigdelset(&all, SIGILL);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	if (!pthread_create(&thread, &attr, job_thread, NULL))
		pool.threads++;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
}

void tvq_job_post(struct tvq_exec *e, struct tvq_job *j)
{
	bool queued;

	j->exec = e;
	j->next = NULL;
	j->msg.fn = job_done;
	pthread_mutex_lock(&pool.lock);
	if (pool.queued >= pool.idle && pool.threads < MAX_THREADS)
		start_thread();
	queued = pool.threads > 0;
	if (queued) {
		*pool.tail = j;
		pool.tail = &j->next;
		pool.queued++;
		pthread_cond_signal(&pool.cond);
	}
	pthread_mutex_unlock(&pool.lock);
	if (!queued) {
		j->run(j);
		if (e)
			tvq_exec_post(e, &j->msg);
	}
}

/*
 * The executor can be past a job's completion, and be freed, while the thread that posted it still
 * looks whether it sleeps. That look is taken with the lock held.
 */
void tvq_job_settle(void)
{
	pthread_mutex_lock(&pool.lock);
	pthread_mutex_unlock(&pool.lock);
}
