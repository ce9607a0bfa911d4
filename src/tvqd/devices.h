/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The managed devices by their names: those of the one management device that we drive.
 */
#ifndef TVQD_DEVICES_H
#define TVQD_DEVICES_H

#include <stdbool.h>
#include <stdint.h>

#include <tvq/bus.h>
#include <tvq/volume.h>

struct tvq_vhost_user;
struct tvqd_class;
struct tvqd_mgmt;

/*
 *   ADDING -> LIVE      CREATE and the presenter succeeded; else the entry goes
 *   LIVE -> DELETING    dev del, or the daemon ends
 *   DELETING -> LIVE    DESTROY failed: the device is still there, without presenter
 */
enum tvqd_dev_state { TVQD_DEV_ADDING, TVQD_DEV_LIVE, TVQD_DEV_DELETING };

struct tvqd_dev {
	struct tvqd_dev *next;	  /* of the same hash */
	struct tvqd_dev *next_id; /* of the same hash of device_id */
	uint32_t hash;
	uint32_t slot;
	uint64_t device_id; /* from CREATE, by tvqd_devices_set_id(); 0: none yet */
	struct tvqd_mgmt *mgmt;
	const struct tvqd_class *class;
	uint32_t asid;	    /* a space of its own */
	uint16_t num_asked; /* request queues or pairs, by dev add */
	uint16_t num_queues, max_queue_size;
	uint8_t state;
	uint64_t features;		    /* it offers */
	struct tvq_vhost_user *vhost_user;  /* NULL: not presented */
	char volume[TVQ_VOLUME_ID_LEN + 1]; /* that was asked for; empty: none */
	char name[];
};

/*
 * Names are hashed; slots give every device a number, so that a listing can go on where it stopped
 * while devices come and go. All operations are O(1) but for growing, which doubles.
 */
struct tvqd_devices {
	struct tvqd_dev **bucket;
	struct tvqd_dev **by_id; /* likewise, of those that have one */
	struct tvqd_dev **slot;	 /* NULL: free */
	uint32_t *free_slot;	 /* a stack */
	uint32_t n_buckets;	 /* a power of two */
	uint32_t n_slots, cap_slots, n_free;
	uint32_t n;
	uint32_t presented;
	uint32_t seed;
};

/* -ENOMEM. */
int tvqd_devices_init(struct tvqd_devices *ds, uint32_t seed);
/* No device may be left. */
void tvqd_devices_fini(struct tvqd_devices *ds);

struct tvqd_dev *tvqd_devices_find(const struct tvqd_devices *ds, const char *name);
/* A new entry, ADDING. NULL and *err: -EEXIST, -ENOMEM. */
struct tvqd_dev *tvqd_devices_add(struct tvqd_devices *ds, const char *name, int *err);
/* Removes and frees it. */
void tvqd_devices_remove(struct tvqd_devices *ds, struct tvqd_dev *dev);
/* CREATE succeeded: the device has an identifier, which never changes. */
void tvqd_devices_set_id(struct tvqd_devices *ds, struct tvqd_dev *dev, uint64_t device_id);
/* NULL: none that has been added by a name. id is not 0. */
struct tvqd_dev *tvqd_devices_by_id(const struct tvqd_devices *ds, uint64_t device_id);
/* The first living device at or behind *slot, which moves to it; NULL: none. */
struct tvqd_dev *tvqd_devices_next(const struct tvqd_devices *ds, uint32_t *slot);

/*
 * Takes a device away: its presenter, itself, its address space; then done(err) and, where err is
 * 0, the entry is gone. The device is LIVE. Does not wait.
 */
struct tvqd_removal {
	struct tvqd_dev *dev;
	struct tvq_done step;
	void (*done)(struct tvqd_removal *r, int err);
};
void tvqd_dev_remove(struct tvqd_removal *r, struct tvqd_dev *dev);

#endif
