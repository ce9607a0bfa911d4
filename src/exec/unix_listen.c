/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "unix_listen.h"

static bool somebody_answers(const struct sockaddr_un *sa)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool answers;

	if (fd < 0)
		return true;
	/* EAGAIN: a full backlog is one that somebody has. */
	answers = !connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) || errno == EAGAIN;
	close(fd);
	return answers;
}

static int fails(int err, const char *path, char *text, size_t len)
{
	snprintf(text, len, "%s: %s", path, strerror(err));
	return -err;
}

/* Makes room for a socket's file. */
static int make_room(const struct sockaddr_un *sa, char *err, size_t len)
{
	struct stat st;

	if (lstat(sa->sun_path, &st))
		return errno == ENOENT ? 0 : fails(errno, sa->sun_path, err, len);
	if (!S_ISSOCK(st.st_mode)) {
		snprintf(err, len, "%s exists and is no socket: choose another path", sa->sun_path);
		return -EEXIST;
	}
	if (somebody_answers(sa)) {
		snprintf(err, len, "%s is in use by another program: choose another path",
			 sa->sun_path);
		return -EADDRINUSE;
	}
	if (unlink(sa->sun_path)) {
		int ret = -errno;

		snprintf(err, len, "%s is left over and cannot be removed: %s", sa->sun_path,
			 strerror(-ret));
		return ret;
	}
	return 0;
}

static int bind_and_listen(struct tvq_unix_socket *s, const struct sockaddr_un *sa, int backlog)
{
	struct stat st;
	int err;

	if (bind(s->fd, (const struct sockaddr *)sa, sizeof(*sa)))
		return -errno;
	if (!lstat(sa->sun_path, &st)) {
		s->dev = st.st_dev;
		s->ino = st.st_ino;
	}
	if (!listen(s->fd, backlog))
		return 0;
	err = -errno;
	unlink(sa->sun_path);
	return err;
}

int tvq_unix_listen(struct tvq_unix_socket *s, const char *path, int backlog, char *err, size_t len)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int ret;

	*s = (struct tvq_unix_socket){ .fd = -1 };
	if (strlen(path) >= sizeof(sa.sun_path) || !path[0]) {
		snprintf(err, len, "a socket's path has 1 to %zu characters, this one has %zu",
			 sizeof(sa.sun_path) - 1, strlen(path));
		return -ENAMETOOLONG;
	}
	memcpy(sa.sun_path, path, strlen(path));
	ret = make_room(&sa, err, len);
	if (ret)
		return ret;
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->fd < 0)
		return fails(errno, path, err, len);
	ret = bind_and_listen(s, &sa, backlog);
	if (!ret)
		return 0;
	close(s->fd);
	s->fd = -1;
	return fails(-ret, path, err, len);
}

void tvq_unix_unlink(const struct tvq_unix_socket *s, const char *path)
{
	struct stat st;

	if (s->fd >= 0 && !lstat(path, &st) && st.st_dev == s->dev && st.st_ino == s->ino)
		unlink(path);
}
