/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The management devices of this daemon.
 *
 *   mgmt0  in this process, served, or managed: where.h
 *   mgmt1  beside one that is served, which its client drives: in this process, and driven by it,
 *          so that this daemon has devices of its own on the same switch and the same volumes
 *
 * So there is always one that this daemon drives, and at most one that another does.
 */
#ifndef TVQD_MGMT_H
#define TVQD_MGMT_H

#include <tvq/driver.h>

#include "class.h"
#include "request.h"

struct tvqd;
struct tvqd_where;
struct tvq_device;
struct tvq_mgmt_cfg;
struct tvq_switch;
struct tvq_vfio_user;

struct tvqd_mgmt {
	struct tvqd *d;
	const char *name;
	const struct tvqd_where *where;
	/* The owner's: */
	uint32_t type;			 /* virtio's, of the management device itself */
	struct tvq_device *device;	 /* part of bus or vfio_user */
	struct tvq_vfio_user *vfio_user; /* where it is served */
	/* The driver's: */
	struct tvq_bus *bus;
	struct tvq_client *client;
	struct tvqd_class classes[TVQD_CLASSES];
};
#define TVQD_MGMTS 2

/* Which there are, by d->cfg; none is started. */
void tvqd_mgmts_init(struct tvqd *d);

/* NULL: no such name. */
struct tvqd_mgmt *tvqd_mgmt_find(struct tvqd *d, const char *name);
/* For sentences about a name that is none: "there is only mgmt0". */
const char *tvqd_mgmt_names(const struct tvqd *d);
/* As the owner of volumes (tvq/volumes.h); TVQ_VOLUME_ANY where it is the only one. */
unsigned int tvqd_mgmt_owner(const struct tvqd_mgmt *m);
/* The reverse. NULL: TVQ_VOLUME_ANY. */
const struct tvqd_mgmt *tvqd_owner_mgmt(const struct tvqd *d, unsigned int owner);
/* The one that this daemon drives: it knows its devices by their names. */
struct tvqd_mgmt *tvqd_driven(struct tvqd *d);
/* The one that it owns and another drives: it knows its devices by their numbers. NULL: none. */
struct tvqd_mgmt *tvqd_numbered(struct tvqd *d);
/* What it is to one or another: TVQD_OWNER, TVQD_DRIVER. */
unsigned int tvqd_role(const struct tvqd *d);
/* The owner's one switch. */
struct tvq_switch *tvqd_switch(const struct tvqd *d);

/* What the device that we own is to be like. mgmt0 has been started, where it is another. */
void tvqd_mgmt_cfg(const struct tvqd_mgmt *m, struct tvq_mgmt_cfg *cfg);

/* AVAIL_RES GET, in flight; the caller's memory until done. */
struct tvqd_avail {
	struct tvq_avail_res res;
	void (*done)(struct tvqd_avail *av, int err);
	struct tvq_cmd cmd;
	struct mgmt_dev_avail_res answer;
};
void tvqd_avail_get(struct tvqd_mgmt *m, struct tvqd_avail *av,
		    void (*done)(struct tvqd_avail *av, int err));

/* Asks which classes it has. Waits: for set-up. -errno of the transport; a class that is not there
 * is no error. */
int tvqd_classes_get(struct tvqd_mgmt *m);
/* One that is there; NULL: a sentence in err (TVQD_ERR_LEN) that lists those that are. */
struct tvqd_class *tvqd_class_find(struct tvqd_mgmt *m, const char *name, char *err);

#endif
