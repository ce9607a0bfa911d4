/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A thread's event loop: one executor on one io_uring, which carries kicks, messages, file I/O and
 * timers; the thread sleeps in that one place. Hosted.
 *
 * Functions are for the loop's own thread unless they say otherwise.
 */
#ifndef TVQ_LOOP_H
#define TVQ_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include <tvq/exec.h>

struct io_uring_sqe;
struct tvq_loop;

struct tvq_loop_cfg {
	uint64_t poll_ns; /* see struct tvq_exec */
	int cpu;	  /* tvq_loop_start: the CPU to run on; -1: any */
	const char *name; /* tvq_loop_start: the thread's name, 15 bytes of it; copied */
	/* 0: the best way of using io_uring that the kernel has. 1, 2, 3: leaves out the best ones;
	 * for tests, and for kernels where one misbehaves. */
	unsigned int compat;
};

/*
 * *err gets a negative errno where NULL is returned, and a line is logged. -EPERM: the system
 * forbids io_uring; the line names the sysctl. -EAGAIN: fs.aio-max-nr is used up. Any thread: the
 * loop belongs to the one that first runs it, or that prepares more than 256 entries (watches, I/O)
 * before it runs, and to that one for ever.
 */
struct tvq_loop *tvq_loop_new(const struct tvq_loop_cfg *cfg, int *err);
/*
 * The thread must have ended, or never been started; jobs must have completed, and other threads'
 * calls of tvq_exec_post() and tvq_loop_stop() have returned. l may be NULL. What the kernel still
 * has under way is cancelled and not told to anybody. The executor's locals are released on the
 * calling thread.
 */
void tvq_loop_free(struct tvq_loop *l);

struct tvq_exec *tvq_loop_exec(struct tvq_loop *l);
/* The loop that an executor runs on; NULL: it is polled by somebody else. */
struct tvq_loop *tvq_exec_loop(struct tvq_exec *e);

/* Runs on the caller's thread until tvq_loop_stop(), also where that was called before. */
void tvq_loop_run(struct tvq_loop *l);
/*
 * One turn: executor and completions; with wait it sleeps when there is nothing to do. Returns work
 * done.
 */
unsigned int tvq_loop_turn(struct tvq_loop *l, bool wait);
/*
 * Runs on a thread of its own, with all signals blocked. -EBUSY: it belongs to a thread already;
 * -EINVAL: there is no such CPU; -EAGAIN: no thread to be had.
 */
int tvq_loop_start(struct tvq_loop *l);
/* Any thread, or a signal handler: makes tvq_loop_run() return. */
void tvq_loop_stop(struct tvq_loop *l);
/* Waits for the thread of tvq_loop_start(); blocks. Nothing to do where there is none. */
void tvq_loop_join(struct tvq_loop *l);

/* Submits work to the kernel: res is the completion's, more is set where further ones follow. */
struct tvq_io {
	void (*fn)(struct tvq_io *io, int res, bool more);
};

/*
 * A submission entry for the caller to prepare before the next call; its completion calls io->fn
 * (io NULL: nobody). Never NULL: submits a full queue. It is submitted at the end of the turn at
 * the latest.
 */
struct io_uring_sqe *tvq_loop_sqe(struct tvq_loop *l, struct tvq_io *io);

/*
 * Adds one to an eventfd that a stranger shares. Never waits, whatever becomes of its O_NONBLOCK
 * and its counter: a full one stays full. One system call. -EINVAL: it is no eventfd; -EAGAIN: the
 * kernel has no memory.
 */
int tvq_loop_signal(struct tvq_loop *l, int fd);

/*
 * File I/O that the kernel completes on a thread of its own begins, and has completed: while there
 * is any, a loop that polls and finds nothing waits for it in the kernel, for short times, so that
 * the kernel gets the CPU to complete it. Each start has its end; watches and the like are not
 * counted.
 */
void tvq_loop_io_started(struct tvq_loop *l);
void tvq_loop_io_ended(struct tvq_loop *l);

/*
 * A descriptor that is watched, edge-triggered; it is never read here. The descriptor stays the
 * caller's and must stay open until tvq_watch_stop() has completed.
 */
struct tvq_watch {
	struct tvq_io io;
	struct tvq_loop *loop;
	int fd;
	unsigned int events;			     /* POLLIN ... */
	void (*fn)(struct tvq_watch *w, int events); /* negative: -errno, the watch has ended */
	void (*stopped)(struct tvq_watch *w);
	bool armed, stopping;
};

/* fn is called whenever the descriptor becomes ready, and once at the start if it is. */
void tvq_watch_start(struct tvq_loop *l, struct tvq_watch *w, int fd, unsigned int events);
/*
 * fn is not called any more; stopped is called once, perhaps before the return, when w may be freed
 * or started again. Not to be called twice.
 */
void tvq_watch_stop(struct tvq_watch *w, void (*stopped)(struct tvq_watch *w));

/*
 * Blocking work (open, create, fallocate, unlink, getaddrinfo) on a small pool of threads of the
 * process. run is called there, done on the executor afterwards.
 */
struct tvq_job {
	void (*run)(struct tvq_job *j);
	void (*done)(struct tvq_job *j);
	struct tvq_exec *exec;
	struct tvq_msg msg;
	struct tvq_job *next;
};
/*
 * Never fails: without a thread to be had the job runs in place (done is called on the executor all
 * the same). Any thread. Jobs run in no particular order; j is the poster's until done is called.
 * e NULL: nobody waits for it, done is not called, and run may free j.
 */
void tvq_job_post(struct tvq_exec *e, struct tvq_job *j);

#endif
