/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Signals to an eventfd that somebody else shares. Theory of operation.
 *
 * write() to an eventfd waits while its counter is full, unless the descriptor has O_NONBLOCK. Both
 * are the peer's to change at any moment, so that a look before the write proves nothing, and a
 * thread that waits there serves nobody any more.
 *
 * What never waits is the kernel's own signal, the one that it gives when an AIO request with
 * IOCB_FLAG_RESFD completes. So each signal is such a request that is complete at once: a poll of a
 * memfd, which is always ready. It is one system call (0.6 us where a write() takes 0.25). A full
 * counter stays full, which only its reader can have wanted.
 *
 * Nobody wants the requests' results; they are thrown away when there is no room for more.
 *
 * The kernel takes an AIO context apart for the length of an RCU period (30 ms), so those of loops
 * that have ended are kept for the next ones. They are worth nothing in a child of fork().
 */
#include <errno.h>
#include <linux/aio_abi.h>
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <tvq/os.h>

#include "signal.h"

/* One is under way at a time. The kernel gives a context no fewer than four for each CPU. */
#define REQUESTS 32

struct tvq_signaller {
	aio_context_t aio;
	int ready_fd;
	pid_t process;
	struct tvq_signaller *next;
};

static struct {
	pthread_mutex_t lock;
	struct tvq_signaller *kept;
} pool = { .lock = PTHREAD_MUTEX_INITIALIZER };

static struct tvq_signaller *take_kept(void)
{
	struct tvq_signaller *s;

	pthread_mutex_lock(&pool.lock);
	while ((s = pool.kept)) {
		pool.kept = s->next;
		if (s->process == getpid())
			break;
		tvq_os_host.free(s, sizeof(*s));
	}
	pthread_mutex_unlock(&pool.lock);
	return s;
}

static struct tvq_signaller *make(int *err)
{
	struct tvq_signaller *s = tvq_os_host.alloc(sizeof(*s));

	if (!s) {
		*err = -ENOMEM;
		return NULL;
	}
	s->process = getpid();
	if (!syscall(__NR_io_setup, REQUESTS, &s->aio))
		return s;
	*err = -errno;
	tvq_log(&tvq_os_host, TVQ_LOG_ERR, "cannot make an AIO context (io_setup): %s%s",
		strerror(errno),
		errno == EAGAIN	  ? "; raise the sysctl fs.aio-max-nr"
		: errno == ENOSYS ? "; the kernel needs CONFIG_AIO"
				  : "");
	tvq_os_host.free(s, sizeof(*s));
	return NULL;
}

static void keep(struct tvq_signaller *s)
{
	pthread_mutex_lock(&pool.lock);
	s->next = pool.kept;
	pool.kept = s;
	pthread_mutex_unlock(&pool.lock);
}

struct tvq_signaller *tvq_signaller_get(int *err)
{
	struct tvq_signaller *s = take_kept();

	if (!s)
		s = make(err);
	if (!s)
		return NULL;
	s->ready_fd = memfd_create("tvq-ready", MFD_CLOEXEC);
	if (s->ready_fd >= 0)
		return s;
	*err = -errno;
	tvq_log(&tvq_os_host, TVQ_LOG_ERR, "cannot make a memfd: %s", strerror(errno));
	keep(s);
	return NULL;
}

void tvq_signaller_put(struct tvq_signaller *s)
{
	if (!s)
		return;
	close(s->ready_fd);
	keep(s);
}

static long forget_results(struct tvq_signaller *s)
{
	struct io_event events[REQUESTS];

	return syscall(__NR_io_getevents, s->aio, 0L, (long)REQUESTS, events, NULL);
}

int tvq_signaller_send(struct tvq_signaller *s, int fd)
{
	struct iocb cb = {
		.aio_lio_opcode = IOCB_CMD_POLL,
		.aio_fildes = (uint32_t)s->ready_fd,
		.aio_buf = POLLOUT,
		.aio_flags = IOCB_FLAG_RESFD,
		.aio_resfd = (uint32_t)fd,
	};
	struct iocb *list = &cb;

	for (;;) {
		int err;

		if (syscall(__NR_io_submit, s->aio, 1L, &list) == 1)
			return 0;
		err = -errno;
		if (err != -EAGAIN || forget_results(s) <= 0)
			return err;
	}
}
