/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A peer's descriptors. Anything may come: a file on a file system that the peer itself serves
 * (FUSE), where fstat(), fstatfs() and even close() wait for the peer; a pipe; a terminal. So what
 * a descriptor is gets found out by calls that ask the kernel only, and what is not of a kind known
 * to be harmless is closed by io_uring, whose workers may wait.
 */
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

void vu_signal(struct vu_conn *c, int fd)
{
	int err = fd < 0 ? 0 : tvq_loop_signal(c->p->loop, fd);

	if (err)
		vu_log(c, TVQ_LOG_ERR, "cannot signal the front end: %s", strerror(-err));
}
