/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TVQD_VOLUMES_H
#define TVQD_VOLUMES_H

struct tvqd;

/* The pool with a maker of RAM volumes in it, "ram". -errno and a sentence in err. */
int tvqd_volumes_init(struct tvqd *d, char *err);

#endif
