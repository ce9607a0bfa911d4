/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whom a name in a request means, and what things are called in answers. The names of ports, of
 * management devices and of the devices that this daemon drives are one space. The devices of a
 * management device that is served have numbers instead: there no name may be one.
 */
#ifndef TVQD_NAMES_H
#define TVQD_NAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "request.h"

struct tvq_device_info;
struct tvq_port;
struct tvqd_dev;
struct tvqd_mgmt;
struct tvqd_port;

/* A LIVE device by its name; NULL: the call has been answered with what is wrong. A device by its
 * number is refused: what is asked is its driver's. */
struct tvqd_dev *tvqd_dev_live(struct tvqd *d, struct tvqd_call *call);
/* A device that has a number. NULL: there is none of that. */
struct tvqd_mgmt *tvqd_dev_numbered(struct tvqd *d, const char *name, struct tvq_device_info *info);

/* Who has a port. */
struct tvqd_target {
	struct tvq_port *port; /* for an op that is posted now; NULL: it has none */
	struct tvqd_port *own; /* NULL: a device's */
	struct tvqd_mgmt *mgmt;
	uint64_t device_id; /* of mgmt; 0: itself */
	bool network;	    /* or one of our own */
};

/* -ENOENT, -EBUSY and a sentence in err (TVQD_ERR_LEN). A target without port is no error. */
int tvqd_target_find(struct tvqd *d, const char *name, struct tvqd_target *t, char *err);
/* Likewise, and it has a port: else -EOPNOTSUPP. */
int tvqd_target_port(struct tvqd *d, const char *name, struct tvqd_target *t, char *err);
/* Where no port, no device and nothing else of the daemon has the name: 0. -EEXIST and a sentence.
 * own: for a port of our own, which may not look like a device's number. */
int tvqd_name_free(struct tvqd *d, const char *name, bool own, char *err);

#define TVQD_LABEL_LEN (TVQD_NAME_MAX + 1)
/* In listings: the name; "#number" where we know none (devices of nested managers). about may be
 * NULL. port is compared, no more. */
struct tvqd_port_about {
	const char *kind;    /* device, mgmtdev, uplink, sink, source, nested */
	const char *mgmtdev; /* of a device: whose; else NULL */
};
void tvqd_port_label(struct tvqd *d, const struct tvq_port *port, uint32_t number,
		     uint64_t device_id, char label[TVQD_LABEL_LEN], struct tvqd_port_about *about);
/* A device's name, or its number, by who drives it. False: it is only just being added. */
bool tvqd_device_label(const struct tvqd_mgmt *m, uint64_t device_id, char label[TVQD_LABEL_LEN]);

#endif
