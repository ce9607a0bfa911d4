/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "path.h"

int tvqd_control_path(char *path, size_t size)
{
	/* Root's daemon serves the machine: found at one place, whatever session root is in. */
	const char *dir = geteuid() ? getenv("XDG_RUNTIME_DIR") : "/run";
	int n;

	if (!dir || !dir[0])
		return -ENOENT;
	n = snprintf(path, size, "%s/tvq/tvqd.sock", dir);
	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}
