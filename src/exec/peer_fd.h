/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A peer's descriptors. Anything may come: a file on a file system that the peer itself serves
 * (FUSE), where fstat(), fstatfs() and even close() wait for the peer; a pipe; a terminal. So what
 * a descriptor is gets found out by calls that ask the kernel only, and what is not of a kind known
 * to be harmless is closed by io_uring, whose workers may wait. Hosted.
 */
#ifndef TVQ_EXEC_PEER_FD_H
#define TVQ_EXEC_PEER_FD_H

#include <stdbool.h>

#include <tvq/loop.h>

struct msghdr;

enum tvq_fd_kind {
	TVQ_FD_EVENT,
	TVQ_FD_MEMORY, /* memfd, tmpfs, hugetlbfs */
	TVQ_FD_SOCKET, /* AF_UNIX, stream */
	TVQ_FD_OTHER,
};

/* What a descriptor is, without ever waiting for whoever is behind it. Any thread. */
enum tvq_fd_kind tvq_fd_kind(int fd);
/* Closes it, -1: nothing. Does not wait. On l's thread. */
void tvq_fd_close(struct tvq_loop *l, int fd);
/*
 * Takes the descriptors that came with a received message, behind the *n that fds holds already, up
 * to max in all; further ones are closed. False: there were some. They are the caller's to close. On
 * l's thread.
 */
bool tvq_fd_receive(struct tvq_loop *l, struct msghdr *m, int *fds, unsigned int *n,
		    unsigned int max);
/*
 * Descriptors of this process that it is still closing: their files do not let go. io_uring has few
 * threads that can wait for them, and each holds a descriptor, so whoever takes more from a peer
 * looks first. Any thread.
 */
unsigned int tvq_fd_closing(void);

#endif
