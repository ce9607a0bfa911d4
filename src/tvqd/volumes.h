/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The owner's: the one pool of volumes, for the devices of all its management devices.
 */
#ifndef TVQD_VOLUMES_H
#define TVQD_VOLUMES_H

#include "names.h"

struct tvqd;
struct tvqd_mgmt;

/* The pool with a maker of RAM volumes in it, "ram". -errno and a sentence in err. */
int tvqd_volumes_init(struct tvqd *d, char *err);

/* Which device has it: the device's label in user, and the management device that it is of. NULL:
 * none that is known here. Walks the devices: for sentences. */
const struct tvqd_mgmt *tvqd_volume_user(struct tvqd *d, const char *volume,
					 char user[TVQD_LABEL_LEN]);

/*
 * Why CREATE of a block device with these arguments may have failed on account of its volume.
 * -errno and a sentence in err (TVQD_ERR_LEN); 0: the volume explains nothing. Walks the pool.
 */
int tvqd_volume_explain(struct tvqd *d, const struct tvqd_args *args, char *err);

#endif
