/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * QEMU's image locks, so that a running QEMU and tvq refuse each other's images.
 *
 * QEMU gives each permission on an image a bit, and two bytes of the file that need not exist: byte
 * 100 + bit is locked by who has the permission, byte 200 + bit by who does not let others have it.
 * All locks are shared OFD locks, so holders of the same permission do not exclude each other;
 * after taking its own, one looks whether anybody else has a lock on the opposite byte of something
 * that it wants or refuses. Both may lose when they come at the same time.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "file.h"

#define PERM_BASE   100
#define SHARED_BASE 200

enum {
	PERM_CONSISTENT_READ = 1,
	PERM_WRITE = 2,
	PERM_WRITE_UNCHANGED = 4,
	PERM_RESIZE = 8,
	PERM_BITS = 4,
};

static struct flock byte_lock(short type, off_t at)
{
	return (struct flock){
		.l_type = type,
		.l_whence = SEEK_SET,
		.l_start = at,
		.l_len = 1,
	};
}

/* The first bit of mask whose byte at base somebody else has locked; -1: none; or -errno below
 * that. */
static int taken(int fd, unsigned int mask, off_t base)
{
	for (int bit = 0; bit < PERM_BITS; bit++) {
		struct flock fl = byte_lock(F_WRLCK, base + bit);

		if (!(mask & (1U << bit)))
			continue;
		if (fcntl(fd, F_OFD_GETLK, &fl))
			return -1 - errno;
		if (fl.l_type != F_UNLCK)
			return bit;
	}
	return -1;
}

static int take(int fd, unsigned int mask, off_t base)
{
	for (int bit = 0; bit < PERM_BITS; bit++) {
		struct flock fl = byte_lock(F_RDLCK, base + bit);

		if ((mask & (1U << bit)) && fcntl(fd, F_OFD_SETLK, &fl))
			return -errno;
	}
	return 0;
}

static int refuse(const char *path, bool read_only, bool they_hold, int bit, char *err)
{
	static const char *const does[PERM_BITS] = { "reads", "writes", "writes", "may resize" };
	static const char *const refuses[PERM_BITS] = {
		"lets nobody else read",
		"lets nobody else write",
		"lets nobody else write",
		"lets nobody else resize",
	};
	const char *what = they_hold ? does[bit] : refuses[bit];
	bool reader = !they_hold && bit && !read_only;

	tvq_volume_fail(err, EAGAIN,
			"image \"%.100s\" is in use: a QEMU, or another tvqd, %s it "
			"(lock on byte %d); stop that one first%s",
			path, what, (they_hold ? PERM_BASE : SHARED_BASE) + bit,
			reader ? ", or add the image read-only if that one only reads" : "");
	return -EAGAIN;
}

int tvq_image_lock(int fd, const char *path, bool read_only, char *err)
{
	unsigned int want = PERM_CONSISTENT_READ | (read_only ? 0 : PERM_WRITE);
	unsigned int refused = PERM_WRITE | PERM_RESIZE;
	int code = take(fd, want, PERM_BASE), bit = -1;

	if (!code)
		code = take(fd, refused, SHARED_BASE);
	if (!code) {
		bit = taken(fd, want, SHARED_BASE);
		if (bit >= 0)
			return refuse(path, read_only, false, bit, err);
	}
	if (!code && bit == -1) {
		bit = taken(fd, refused, PERM_BASE);
		if (bit >= 0)
			return refuse(path, read_only, true, bit, err);
	}
	if (!code && bit < -1)
		code = bit + 1;
	if (code)
		tvq_volume_fail(
			err, -code,
			"image \"%.100s\" cannot be locked (%s), so that nothing "
			"would keep others from writing it; use a file system with OFD locks",
			path, strerror(-code));
	return code;
}

void tvq_image_unlock(int fd)
{
	struct flock fl = byte_lock(F_UNLCK, PERM_BASE);

	fl.l_len = SHARED_BASE + PERM_BITS - PERM_BASE;
	fcntl(fd, F_OFD_SETLK, &fl);
}
