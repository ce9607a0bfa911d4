/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Loops: one executor on one io_uring on one thread. Theory of operation.
 *
 * A turn takes what the kernel has completed, runs a turn of the executor, and submits what both
 * have prepared: one system call for all of it, none where there is nothing. Completions that need
 * this thread to enter the kernel first (DEFER_TASKRUN) are told by a flag in the ring's shared
 * memory, so a turn that finds nothing costs two loads. The thread sleeps in the wait for a
 * completion, with the next timer as the wait's timeout, and nowhere else.
 *
 * Polling while file I/O is under way: the kernel may want this very CPU to finish it (what follows
 * a direct write runs in a worker thread, on the CPU that the disk interrupts), and a thread that
 * never sleeps holds that up for milliseconds. So a loop that has I/O under way and has found
 * nothing for some turns waits in the kernel, for a completion or IO_WAIT_NS. The bound is what a
 * new request or a message waits at most, since nobody knows that it would have to wake us.
 *
 * Waking it from another thread: an eventfd that the ring watches. It is never read; the watch is
 * edge-triggered, and each write is an edge.
 *
 * The ring is made disabled and is bound to the thread that first enters the kernel with it: the
 * one that runs the loop, or the one that prepares more entries than the queue holds.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <tvq/loop.h>

#include "job.h"
#include "signal.h"

#define SQ_ENTRIES 256
#define CQ_ENTRIES 4096

#define IO_WAIT_TURNS 64
#define IO_WAIT_NS    20000

struct tvq_loop {
	struct tvq_exec exec;
	struct io_uring ring;
	atomic_bool bound; /* to a thread; nothing has entered the kernel before */
	bool started;	   /* by tvq_loop_start(), and not joined */
	int wake_fd;
	struct tvq_watch wake;
	struct tvq_signaller *signaller;
	atomic_bool stop;
	unsigned int io_under_way;
	unsigned int idle_turns; /* up to IO_WAIT_TURNS, in a row */
	int cpu;
	char name[16];
	pthread_t thread;
};

/* The kernel's modes, best first: 6.1, 6.0, 5.19, older. */
static const unsigned int modes[] = {
	IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
	IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
	IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
	0,
};

#define N_MODES (sizeof(modes) / sizeof(modes[0]))

static int ring_init(struct io_uring *ring, unsigned int first)
{
	int err = -EINVAL;

	for (unsigned int i = first; i < N_MODES && err == -EINVAL; i++) {
		struct io_uring_params p = {
			.flags = IORING_SETUP_R_DISABLED | IORING_SETUP_CQSIZE | modes[i],
			.cq_entries = CQ_ENTRIES,
		};

		err = io_uring_queue_init_params(SQ_ENTRIES, ring, &p);
	}
	if (err == -EPERM || err == -ENOSYS)
		tvq_log(&tvq_os_host, TVQ_LOG_ERR,
			"this system forbids io_uring (%s): set the sysctl "
			"kernel.io_uring_disabled to 0, or "
			"allow io_uring_setup in the container's seccomp profile",
			strerror(-err));
	else if (err == -ENOMEM)
		tvq_log(&tvq_os_host, TVQ_LOG_ERR,
			"no memory for an io_uring; before Linux 5.12 RLIMIT_MEMLOCK (ulimit -l) "
			"limits it");
	else if (err < 0)
		tvq_log(&tvq_os_host, TVQ_LOG_ERR, "cannot make an io_uring: %s", strerror(-err));
	return err == -ENOSYS ? -EPERM : err;
}

static void loop_signal(struct tvq_loop *l)
{
	uint64_t one = 1;
	int saved = errno;

	/* EAGAIN needs 2^64 - 2 wakes; an edge is all that counts. */
	if (write(l->wake_fd, &one, sizeof(one)) < 0)
		errno = saved;
}

static void loop_wake(struct tvq_exec *e)
{
	loop_signal(tvq_exec_loop(e));
}

static void woken(struct tvq_watch *w, int events)
{
	(void)w;
	(void)events;
}

static const struct tvq_exec_ops loop_exec_ops = {
	.wake = loop_wake,
};

struct tvq_loop *tvq_loop_new(const struct tvq_loop_cfg *cfg, int *err)
{
	struct tvq_loop *l = tvq_os_host.alloc(sizeof(*l));

	if (!l) {
		*err = -ENOMEM;
		return NULL;
	}
	l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->wake_fd < 0) {
		*err = -errno;
		tvq_log(&tvq_os_host, TVQ_LOG_ERR, "cannot make an eventfd: %s", strerror(-*err));
		goto free_loop;
	}
	l->signaller = tvq_signaller_get(err);
	if (!l->signaller)
		goto close_wake;
	*err = ring_init(&l->ring, cfg->compat);
	if (*err < 0)
		goto put_signaller;
	l->cpu = cfg->cpu;
	snprintf(l->name, sizeof(l->name), "%s", cfg->name ? cfg->name : "tvq");
	tvq_exec_init(&l->exec, &tvq_os_host, &loop_exec_ops, cfg->poll_ns);
	l->wake.fn = woken;
	tvq_watch_start(l, &l->wake, l->wake_fd, POLLIN);
	*err = 0;
	return l;

put_signaller:
	tvq_signaller_put(l->signaller);
close_wake:
	close(l->wake_fd);
free_loop:
	tvq_os_host.free(l, sizeof(*l));
	return NULL;
}

void tvq_loop_free(struct tvq_loop *l)
{
	if (!l)
		return;
	tvq_job_settle();
	tvq_exec_fini(&l->exec);
	io_uring_queue_exit(&l->ring);
	tvq_signaller_put(l->signaller);
	close(l->wake_fd);
	tvq_os_host.free(l, sizeof(*l));
}

struct tvq_exec *tvq_loop_exec(struct tvq_loop *l)
{
	return &l->exec;
}

struct tvq_loop *tvq_exec_loop(struct tvq_exec *e)
{
	return e->ops == &loop_exec_ops
		       ? (struct tvq_loop *)((char *)e - offsetof(struct tvq_loop, exec))
		       : NULL;
}

/* The system call itself: liburing 2.3's shared library does not export its function for it. */
static void bind_ring(struct tvq_loop *l)
{
	if (atomic_load_explicit(&l->bound, memory_order_relaxed))
		return;
	atomic_store_explicit(&l->bound, true, memory_order_relaxed);
	if (syscall(__NR_io_uring_register, l->ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL,
		    0) < 0)
		tvq_log(&tvq_os_host, TVQ_LOG_ERR, "cannot enable an io_uring: %s",
			strerror(errno));
}

/* The kernel refuses entries for want of memory only; they stay in the queue for the next turn. */
static void submit(struct tvq_loop *l)
{
	bind_ring(l);
	io_uring_submit_and_get_events(&l->ring);
}

struct io_uring_sqe *tvq_loop_sqe(struct tvq_loop *l, struct tvq_io *io)
{
	struct io_uring_sqe *sqe;

	while (!(sqe = io_uring_get_sqe(&l->ring)))
		submit(l);
	io_uring_sqe_set_data(sqe, io);
	return sqe;
}

int tvq_loop_signal(struct tvq_loop *l, int fd)
{
	return tvq_signaller_send(l->signaller, fd);
}

void tvq_loop_io_started(struct tvq_loop *l)
{
	l->io_under_way++;
}

void tvq_loop_io_ended(struct tvq_loop *l)
{
	l->io_under_way--;
}

/* True where completions wait for this thread to enter the kernel. */
static bool must_enter(const struct tvq_loop *l)
{
	return IO_URING_READ_ONCE(*l->ring.sq.kflags) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW);
}

/* Takes what is in the completion queue now; what comes meanwhile is for the next turn. */
static unsigned int complete(struct tvq_loop *l)
{
	struct io_uring_cqe *cqes[64];
	unsigned int ready = io_uring_cq_ready(&l->ring), done = 0;

	while (done < ready) {
		unsigned int n = io_uring_peek_batch_cqe(&l->ring, cqes, 64);

		if (!n)
			break;
		for (unsigned int i = 0; i < n; i++) {
			struct io_uring_cqe cqe = *cqes[i];
			struct tvq_io *io = io_uring_cqe_get_data(&cqe);

			if (io)
				io->fn(io, cqe.res, cqe.flags & IORING_CQE_F_MORE);
		}
		io_uring_cq_advance(&l->ring, n);
		done += n;
	}
	return done;
}

static void wait_for_events(struct tvq_loop *l, uint64_t when)
{
	struct __kernel_timespec ts, *timeout = NULL;
	struct io_uring_cqe *cqe;

	if (when != UINT64_MAX) {
		uint64_t now = l->exec.os->now();
		uint64_t ns = when > now ? when - now : 0;

		ts.tv_sec = (long long)(ns / 1000000000);
		ts.tv_nsec = (long long)(ns % 1000000000);
		timeout = &ts;
	}
	bind_ring(l);
	/*
	 * Also returns for a signal, or where nothing could be submitted: the next turn looks
	 * again.
	 */
	io_uring_submit_and_wait_timeout(&l->ring, &cqe, 1, timeout, NULL);
}

/* After a turn that found nothing while there is something to poll. */
static void wait_for_io(struct tvq_loop *l)
{
	struct __kernel_timespec ts = { .tv_nsec = IO_WAIT_NS };
	struct io_uring_cqe *cqe;

	if (!l->io_under_way)
		return;
	if (l->idle_turns < IO_WAIT_TURNS) {
		l->idle_turns++;
		return;
	}
	bind_ring(l);
	io_uring_submit_and_wait_timeout(&l->ring, &cqe, 1, &ts, NULL);
}

unsigned int tvq_loop_turn(struct tvq_loop *l, bool wait)
{
	unsigned int done;
	uint64_t when;

	if (must_enter(l))
		submit(l);
	done = complete(l);
	done += tvq_exec_poll(&l->exec);
	if (!done && wait) {
		when = tvq_exec_sleep(&l->exec);
		if (when) {
			wait_for_events(l, when);
			tvq_exec_awake(&l->exec);
			return 0;
		}
	}
	if (done)
		l->idle_turns = 0;
	if (io_uring_sq_ready(&l->ring))
		submit(l);
	else if (!done && wait)
		wait_for_io(l);
	return done;
}

void tvq_loop_run(struct tvq_loop *l)
{
	while (!atomic_load_explicit(&l->stop, memory_order_relaxed))
		tvq_loop_turn(l, true);
	atomic_store_explicit(&l->stop, false, memory_order_relaxed);
}

static void *loop_thread(void *arg)
{
	tvq_loop_run(arg);
	return NULL;
}

int tvq_loop_start(struct tvq_loop *l)
{
	sigset_t all, old;
	pthread_attr_t attr;
	cpu_set_t cpus;
	int err;

	if (l->started || atomic_load_explicit(&l->bound, memory_order_relaxed))
		return -EBUSY;
	pthread_attr_init(&attr);
	if (l->cpu >= 0) {
		CPU_ZERO(&cpus);
		CPU_SET(l->cpu, &cpus);
		pthread_attr_setaffinity_np(&attr, sizeof(cpus), &cpus);
	}
	/*
	 * Signals are for the program's own threads; those that a fault raises cannot be put off.
	 */
	sigfillset(&all);
	sigdelset(&all, SIGBUS);
	sigdelset(&all, SIGSEGV);
	sigdelset(&all, SIGFPE);
	sigdelset(&all, SIGILL);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&l->thread, &attr, loop_thread, l);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	if (err) {
		tvq_log(&tvq_os_host, TVQ_LOG_ERR, "cannot start the thread %s on CPU %d: %s",
			l->name, l->cpu, strerror(err));
		return -err;
	}
	pthread_setname_np(l->thread, l->name);
	l->started = true;
	return 0;
}

void tvq_loop_stop(struct tvq_loop *l)
{
	atomic_store_explicit(&l->stop, true, memory_order_relaxed);
	loop_signal(l);
}

void tvq_loop_join(struct tvq_loop *l)
{
	if (!l->started)
		return;
	pthread_join(l->thread, NULL);
	l->started = false;
}
