/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A peer's descriptors. Anything may come: a file on a file system that the peer itself serves
 * (FUSE), where fstat(), fstatfs() and even close() wait for the peer; a pipe; a terminal. So what
 * a descriptor is gets found out by calls that ask the kernel only, and what is not of a kind known
 * to be harmless is closed by io_uring, whose workers may wait.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <present/internal.h>

/* All anonymous inodes are one inode; what tells them apart is the name that the kernel shows. No
 * file can have this one, since a path starts with a slash. */
static bool is_eventfd(int fd)
{
	static const char eventfd_name[] = "anon_inode:[eventfd]";
	char link[32], target[sizeof(eventfd_name) + 1];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, target, sizeof(target));
	return n == sizeof(eventfd_name) - 1 && !memcmp(target, eventfd_name, (size_t)n);
}

static bool is_stream(int fd)
{
	int domain = 0, type = 0;
	socklen_t len = sizeof(int);

	return !getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) && domain == AF_UNIX &&
	       !getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) && type == SOCK_STREAM;
}

enum vu_fd_kind vu_fd_kind(int fd)
{
	/* Only files in memory have seals. */
	if (fcntl(fd, F_GET_SEALS) >= 0)
		return VU_FD_MEMORY;
	if (is_eventfd(fd))
		return VU_FD_EVENT;
	return is_stream(fd) ? VU_FD_SOCKET : VU_FD_OTHER;
}

void vu_fd_close(struct tvq_loop *l, int fd)
{
	if (fd < 0)
		return;
	if (vu_fd_kind(fd) == VU_FD_OTHER)
		io_uring_prep_close(tvq_loop_sqe(l, NULL), fd);
	else
		close(fd);
}

static void submit(struct vu_signal *s, int fd)
{
	s->fd = fd;
	io_uring_prep_write(tvq_loop_sqe(s->c->p->loop, &s->io), fd, &s->one, sizeof(s->one), 0);
}

static void signal_sent(struct tvq_io *io, int res, bool more)
{
	struct vu_signal *s = vu_container(io, struct vu_signal, io);
	int next = s->next_fd;

	/* EAGAIN: the counter is full, so the peer has something to read. */
	(void)res;
	(void)more;
	close(s->fd);
	s->fd = -1;
	s->next_fd = -1;
	if (!s->c->closing) {
		if (next >= 0)
			submit(s, next);
		return;
	}
	if (next >= 0)
		close(next);
	vu_left(s->c);
}

void vu_signal_init(struct vu_conn *c, struct vu_signal *s)
{
	s->c = c;
	s->fd = -1;
	s->next_fd = -1;
	s->one = 1;
	s->io.fn = signal_sent;
}

static void cancel(struct vu_signal *s)
{
	io_uring_prep_cancel64(tvq_loop_sqe(s->c->p->loop, NULL), (__u64)(uintptr_t)&s->io, 0);
}

void vu_signal_send(struct vu_signal *s, int fd)
{
	if (fd < 0)
		return;
	fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0) {
		vu_log(s->c, TVQ_LOG_ERR, "cannot signal the front end: %s", strerror(errno));
		return;
	}
	if (s->fd < 0) {
		submit(s, fd);
		return;
	}
	/* The one before has gone out and not been told of yet, or it waits for the peer to read:
	 * the new descriptor is the one that counts. */
	if (s->next_fd >= 0)
		close(s->next_fd);
	s->next_fd = fd;
	cancel(s);
}

void vu_signal_stop(struct vu_signal *s)
{
	if (vu_signal_busy(s))
		cancel(s);
}
