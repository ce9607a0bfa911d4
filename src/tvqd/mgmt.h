/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Questions to the management device, and explanations of its refusals.
 */
#ifndef TVQD_MGMT_H
#define TVQD_MGMT_H

#include <tvq/driver.h>

#include "request.h"

struct tvqd;
struct tvq_mgmt_cfg;

/* What the device that we own is to be like, by d->cfg. */
void tvqd_mgmt_cfg(const struct tvqd *d, struct tvq_mgmt_cfg *cfg);

/* AVAIL_RES GET, in flight; the caller's memory until done. */
struct tvqd_avail {
	struct tvq_avail_res res;
	void (*done)(struct tvqd_avail *av, int err);
	struct tvq_cmd cmd;
	struct mgmt_dev_avail_res answer;
};
void tvqd_avail_get(struct tvqd *d, struct tvqd_avail *av,
		    void (*done)(struct tvqd_avail *av, int err));

/* Asks which classes mgmt0 has. Waits: for set-up. -errno of the transport; a class that is not
 * there is no error. */
int tvqd_classes_get(struct tvqd *d);

/*
 * The owner's: why CREATE of a block device with these arguments may have failed on account of its volume.
 * -errno and a sentence in err (TVQD_ERR_LEN); 0: the volume explains nothing. Walks the pool.
 */
int tvqd_volume_explain(struct tvqd *d, const struct tvqd_args *args, char *err);

#endif
