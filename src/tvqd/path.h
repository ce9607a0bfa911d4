/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where the control socket is, for tvqd and tvqctl alike.
 */
#ifndef TVQD_PATH_H
#define TVQD_PATH_H

#include <stddef.h>

/*
 * The path that is taken without --control: root's is /run/tvq/tvqd.sock, another user's
 * $XDG_RUNTIME_DIR/tvq/tvqd.sock. -ENOENT: XDG_RUNTIME_DIR is not set; -ENAMETOOLONG.
 */
int tvqd_control_path(char *path, size_t size);

#endif
