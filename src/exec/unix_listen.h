/* SPDX-License-Identifier: BSD-3-Clause */
/* A listening UNIX socket in the file system. Hosted; any thread. */
#ifndef TVQ_EXEC_UNIX_LISTEN_H
#define TVQ_EXEC_UNIX_LISTEN_H

#include <stddef.h>
#include <sys/types.h>

struct tvq_unix_socket {
	int fd; /* listening, non-blocking, close-on-exec; -1: none */
	dev_t dev;
	ino_t ino; /* of the socket's file */
};

/*
 * Listens at path, which a socket that nobody listens at any more is removed from. Does not wait.
 * 0; or -errno, err (len bytes) has a sentence, and s->fd is -1: -EADDRINUSE somebody listens there,
 * -EEXIST it is no socket, -ENAMETOOLONG, those of socket(2) and bind(2).
 */
int tvq_unix_listen(struct tvq_unix_socket *s, const char *path, int backlog, char *err,
		    size_t len);
/* Removes the file, but not one that somebody else has put there meanwhile. fd stays open. */
void tvq_unix_unlink(const struct tvq_unix_socket *s, const char *path);

#endif
