/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where a management device is, and so what this tvqd is to it:
 *
 *   in process  its owner and its driver: the default
 *   served      its owner; whoever connects to a vfio-user socket drives it: --serve. Another one,
 *               in process, is beside it then: mgmt.h
 *   managed     its driver; another tvqd, or another program, owns it: --manage
 *
 * The owner has the volumes, the switch and the figures of the device; the driver has the managed
 * devices by their names, their presenters, and the commands on the transportq. What differs
 * between the three is in this table; the rest of the daemon asks for the one role or the other.
 */
#ifndef TVQD_WHERE_H
#define TVQD_WHERE_H

#include <stddef.h>

struct json_object;
struct tvqd_args;
struct tvqd_class;
struct tvqd_mgmt;

enum { TVQD_OWNER = 1, TVQD_DRIVER = 2 };

struct tvqd_where {
	unsigned int role;     /* of this process: TVQD_OWNER, TVQD_DRIVER, or both */
	const char *owner;     /* who that is, in a sentence: "tvqd", "the serving tvqd" */
	const char *to_delete; /* the owner's: what has to happen for a device to go */

	/*
	 * Makes m->device (owner) and m->bus (driver). Waits. -errno and a sentence in err
	 * (TVQD_ERR_LEN).
	 */
	int (*start)(struct tvqd_mgmt *m, char *err);
	/* Undoes it, also half of it. The client has ended. Waits, for a bounded time. */
	void (*stop)(struct tvqd_mgmt *m);
	/* A sentence for a request that needs the role that this process has not (TVQD_ERR_LEN);
	 * NULL: it has both. */
	void (*refuse)(const struct tvqd_mgmt *m, const char *request, char *err);
	/*
	 * The driver's: a sentence on why CREATE may have been refused for dev add with these
	 * arguments. -EINVAL: that is why; -EIO: nothing in the arguments explains it.
	 */
	int (*explain)(struct tvqd_mgmt *m, const struct tvqd_class *class,
		       const struct tvqd_args *args, char *err);
	/* Optional: what mgmtdev show says of the way to the device. */
	void (*show)(const struct tvqd_mgmt *m, struct json_object *mgmtdev);
};

extern const struct tvqd_where tvqd_inproc, tvqd_served, tvqd_managed;

#endif
