/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What may block and that nobody waits for: closing, unlinking, giving memory back. Volumes go on
 * any thread, perhaps when the executors have gone, so tvq_job_post(), which ends on one, will not
 * do. One thread for the process, made when there is work and gone some seconds after it.
 */
#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "internal.h"

#define IDLE_SECONDS 5

static struct {
	pthread_mutex_t lock;
	pthread_cond_t more, settled;
	struct tvq_volume_work *head, **tail;
	bool thread, working;
} later = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.more = PTHREAD_COND_INITIALIZER,
	.settled = PTHREAD_COND_INITIALIZER,
	.tail = &later.head,
};

/* With the lock held; NULL after IDLE_SECONDS without work. */
static struct tvq_volume_work *next_work(void)
{
	struct tvq_volume_work *w;
	struct timespec until;
	int err = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += IDLE_SECONDS;
	while (!later.head && !err)
		err = pthread_cond_timedwait(&later.more, &later.lock, &until);
	w = later.head;
	if (w) {
		later.head = w->next;
		if (!later.head)
			later.tail = &later.head;
	}
	return w;
}

static void *later_thread(void *arg)
{
	struct tvq_volume_work *w;

	pthread_mutex_lock(&later.lock);
	while ((w = next_work())) {
		later.working = true;
		pthread_mutex_unlock(&later.lock);
		w->fn(w);
		pthread_mutex_lock(&later.lock);
		later.working = false;
		if (!later.head)
			pthread_cond_broadcast(&later.settled);
	}
	later.thread = false;
	pthread_mutex_unlock(&later.lock);
	return arg;
}

/* With the lock held. */
static bool start_thread(void)
{
	sigset_t all, old;
	pthread_attr_t attr;
	pthread_t thread;
	bool ok;

	/* Signals are for the program's own threads. */
	sigfillset(&all);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	ok = !pthread_create(&thread, &attr, later_thread, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	return ok;
}

void tvq_volume_later(struct tvq_volume_work *w)
{
	bool ok;

	w->next = NULL;
	pthread_mutex_lock(&later.lock);
	if (!later.thread)
		later.thread = start_thread();
	ok = later.thread;
	if (ok) {
		*later.tail = w;
		later.tail = &w->next;
		pthread_cond_signal(&later.more);
	}
	pthread_mutex_unlock(&later.lock);
	if (!ok)
		w->fn(w);
}

void tvq_volume_settle(void)
{
	pthread_mutex_lock(&later.lock);
	while (later.head || later.working)
		pthread_cond_wait(&later.settled, &later.lock);
	pthread_mutex_unlock(&later.lock);
}
