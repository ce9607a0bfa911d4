/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who owns a control socket is decided by a lock, not by the socket: between "nobody answers there,
 * it is stale" and unlink() another daemon may have put its own socket there. The lock file is
 * unlinked by who holds it; so whoever gets a lock looks whether the file is still the one at that
 * path, and tries again where it is not.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "listen.h"
#include "request.h"

static void lock_path(char *buf, size_t size, const char *path)
{
	snprintf(buf, size, "%s.lock", path);
}

static int make_dir(const char *path, char *err)
{
	char dir[sizeof(((struct sockaddr_un *)0)->sun_path)];
	char *slash;

	snprintf(dir, sizeof(dir), "%s", path);
	slash = strrchr(dir, '/');
	if (!slash || slash == dir)
		return 0;
	*slash = '\0';
	if (!mkdir(dir, 0700) || errno == EEXIST)
		return 0;
	snprintf(err, TVQD_ERR_LEN, "cannot make the directory %s for the control socket: %s%s",
		 dir, strerror(errno),
		 errno == EACCES ? "; use --control PATH for another place" : "");
	return -errno;
}

/* 1: locked; 0: the file was unlinked meanwhile, try again. */
static int try_lock(struct tvqd_listener *l, const char *name, char *err)
{
	struct stat ours, there;

	l->lock_fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (l->lock_fd < 0) {
		snprintf(err, TVQD_ERR_LEN, "cannot make %s: %s%s", name, strerror(errno),
			 errno == EACCES ? "; use --control PATH for another place" : "");
		return -errno;
	}
	if (flock(l->lock_fd, LOCK_EX | LOCK_NB) < 0) {
		snprintf(
			err, TVQD_ERR_LEN,
			"another tvqd serves %s: stop it, or use --control PATH for another socket",
			l->addr.sun_path);
		return -EADDRINUSE;
	}
	if (!fstat(l->lock_fd, &ours) && !stat(name, &there) && ours.st_ino == there.st_ino &&
	    ours.st_dev == there.st_dev)
		return 1;
	close(l->lock_fd);
	l->lock_fd = -1;
	return 0;
}

static int take_lock(struct tvqd_listener *l, char *err)
{
	char name[sizeof(l->addr.sun_path) + 8];
	int ret;

	lock_path(name, sizeof(name), l->addr.sun_path);
	do {
		ret = try_lock(l, name, err);
	} while (!ret);
	return ret < 0 ? ret : 0;
}

/* Time that the socket of a daemon that was killed may outlive it: the kernel ends its io_uring,
 * which holds the socket, some time after the process. */
#define STALE_TRIES    100
#define STALE_PAUSE_US 20000

static bool answers_now(const struct sockaddr_un *addr)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool living;

	if (fd < 0)
		return true;
	/* EAGAIN: its backlog is full, so it lives. */
	living = !connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) ||
		 errno != ECONNREFUSED;
	close(fd);
	return living;
}

bool tvqd_answers(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct stat st;

	if (strlen(path) >= sizeof(addr.sun_path) || stat(path, &st) < 0 || !S_ISSOCK(st.st_mode))
		return false;
	memcpy(addr.sun_path, path, strlen(path) + 1);
	return answers_now(&addr);
}

/* Somebody may listen there without our lock: another program, or a daemon in another mount. */
static bool answers(const struct sockaddr_un *addr)
{
	for (int i = 0; i < STALE_TRIES; i++) {
		if (!answers_now(addr))
			return false;
		usleep(STALE_PAUSE_US);
	}
	return true;
}

static int remove_stale(const struct sockaddr_un *addr, char *err)
{
	struct stat st;

	if (lstat(addr->sun_path, &st) < 0) {
		if (errno == ENOENT)
			return 0;
		snprintf(err, TVQD_ERR_LEN, "%s: %s", addr->sun_path, strerror(errno));
		return -errno;
	}
	if (!S_ISSOCK(st.st_mode)) {
		snprintf(err, TVQD_ERR_LEN,
			 "%s is there and is not a socket: remove it, or use --control PATH for "
			 "another socket",
			 addr->sun_path);
		return -EEXIST;
	}
	if (answers(addr)) {
		snprintf(err, TVQD_ERR_LEN,
			 "another program listens on %s: stop it, or use --control PATH for "
			 "another socket",
			 addr->sun_path);
		return -EADDRINUSE;
	}
	if (unlink(addr->sun_path) < 0) {
		snprintf(err, TVQD_ERR_LEN, "cannot remove the stale socket %s: %s", addr->sun_path,
			 strerror(errno));
		return -errno;
	}
	return 0;
}

static int bind_and_listen(struct tvqd_listener *l, char *err)
{
	mode_t old;
	int ret;

	l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd < 0) {
		snprintf(err, TVQD_ERR_LEN, "cannot make a socket: %s", strerror(errno));
		return -errno;
	}
	old = umask(0177);
	ret = bind(l->fd, (const struct sockaddr *)&l->addr, sizeof(l->addr));
	umask(old);
	if (ret < 0 || listen(l->fd, SOMAXCONN) < 0) {
		snprintf(err, TVQD_ERR_LEN, "cannot listen on %s: %s", l->addr.sun_path,
			 strerror(errno));
		return -errno;
	}
	return 0;
}

int tvqd_listen(struct tvqd_listener *l, const char *path, char *err)
{
	int ret;

	*l = (struct tvqd_listener){ .fd = -1, .lock_fd = -1, .addr.sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(l->addr.sun_path)) {
		snprintf(err, TVQD_ERR_LEN, "control socket %s: the path is longer than %zu bytes",
			 path, sizeof(l->addr.sun_path) - 1);
		return -ENAMETOOLONG;
	}
	memcpy(l->addr.sun_path, path, strlen(path) + 1);
	ret = make_dir(path, err);
	if (!ret)
		ret = take_lock(l, err);
	if (!ret)
		ret = remove_stale(&l->addr, err);
	if (!ret)
		ret = bind_and_listen(l, err);
	if (ret < 0) {
		if (l->fd >= 0)
			close(l->fd);
		if (l->lock_fd >= 0)
			close(l->lock_fd);
		l->fd = l->lock_fd = -1;
	}
	return ret;
}

void tvqd_unlisten(struct tvqd_listener *l)
{
	char name[sizeof(l->addr.sun_path) + 8];

	if (l->fd >= 0) {
		unlink(l->addr.sun_path);
		close(l->fd);
	}
	if (l->lock_fd >= 0) {
		lock_path(name, sizeof(name), l->addr.sun_path);
		unlink(name);
		close(l->lock_fd);
	}
	l->fd = l->lock_fd = -1;
}
