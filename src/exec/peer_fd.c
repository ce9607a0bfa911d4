/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <liburing.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "peer_fd.h"

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

enum tvq_fd_kind tvq_fd_kind(int fd)
{
	/* Only files in memory have seals. */
	if (fcntl(fd, F_GET_SEALS) >= 0)
		return TVQ_FD_MEMORY;
	if (is_eventfd(fd))
		return TVQ_FD_EVENT;
	return is_stream(fd) ? TVQ_FD_SOCKET : TVQ_FD_OTHER;
}

static atomic_uint closing;

static void closed(struct tvq_io *io, int res, bool more)
{
	(void)io;
	(void)res;
	(void)more;
	atomic_fetch_sub(&closing, 1);
}

void tvq_fd_close(struct tvq_loop *l, int fd)
{
	static struct tvq_io io = { .fn = closed };

	if (fd < 0)
		return;
	if (tvq_fd_kind(fd) == TVQ_FD_OTHER) {
		atomic_fetch_add(&closing, 1);
		io_uring_prep_close(tvq_loop_sqe(l, &io), fd);
	} else {
		close(fd);
	}
}

unsigned int tvq_fd_closing(void)
{
	return atomic_load(&closing);
}

bool tvq_fd_receive(struct tvq_loop *l, struct msghdr *m, int *fds, unsigned int *n,
		    unsigned int max)
{
	bool all = true;

	for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h; h = CMSG_NXTHDR(m, h)) {
		size_t came = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < came; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(h) + i * sizeof(fd), sizeof(fd));
			if (*n < max) {
				fds[(*n)++] = fd;
			} else {
				tvq_fd_close(l, fd);
				all = false;
			}
		}
	}
	return all;
}
