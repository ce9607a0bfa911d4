/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control socket's place in the file system.
 */
#ifndef TVQD_LISTEN_H
#define TVQD_LISTEN_H

#include <stdbool.h>
#include <sys/un.h>

struct tvqd_listener {
	int fd; /* listening, non-blocking */
	int lock_fd;
	struct sockaddr_un addr;
};

/*
 * Listens at path. Makes the last directory of the path where it is missing (mode 0700); the socket
 * is for this user only (0600). A stale socket file is replaced; a living one, and a file of
 * another kind, are refused. Two daemons that start at the same time are kept apart by a lock on
 * PATH.lock. -errno, and a sentence in err (TVQD_ERR_LEN bytes). Waits up to 2 s for the end of a
 * socket whose daemon was killed.
 */
int tvqd_listen(struct tvqd_listener *l, const char *path, char *err);

/* Closes and unlinks. Of a listener that is all zero with both fds -1: nothing. */
void tvqd_unlisten(struct tvqd_listener *l);

/* Somebody listens at path, a daemon that was killed just now perhaps: the kernel ends its io_uring,
 * and the sockets with it, some time after the process. */
bool tvqd_answers(const char *path);

#endif
