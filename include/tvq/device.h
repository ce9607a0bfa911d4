/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device half: a management device and the managed devices behind it. This header is its
 * configuration and the owner interface, for whoever runs the device; drivers reach it through a
 * bus.
 *
 * Everything is for the device's control executor. Freestanding.
 */
#ifndef TVQ_DEVICE_H
#define TVQ_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include <tvq/dma.h>
#include <tvq/exec.h>
#include <tvq/volume.h>

struct tvq_device;
struct tvq_port;
struct tvq_switch;

enum { TVQ_TYPE_NET = 1, TVQ_TYPE_BLK = 2 }; /* virtio device ids */

/* What a management device has to give. 0 takes the default. */
struct tvq_mgmt_cfg {
	const struct tvq_os *os;	 /* required */
	const char *name;		 /* for log lines, constant; NULL: these do without */
	struct tvq_exec *control;	 /* required */
	struct tvq_exec *const *workers; /* data; none: the control executor does it */
	unsigned int n_workers;
	uint32_t type;		 /* of the management device itself: TVQ_TYPE_BLK (default) */
	struct tvq_pool *pool;	 /* volumes; NULL: CREATE of a block device fails */
	uint32_t max_devices;	 /* default 65536 */
	uint32_t max_vqs;	 /* for all of them; default 262144 */
	uint16_t max_vdev_vqs;	 /* of one device; default 64 */
	uint16_t max_queue_size; /* default 1024 (TQ-091: a power of two up to 32768) */
	uint8_t max_depth;	 /* levels of managers below this one; default 1; 0xff: none */
	uint8_t f_trnspt_vq, f_trnspt_vq_vdev; /* feature bit numbers; default 48, 49 */
	/* The switch of another management device (tvq_device_switch()), which outlives this one and
	 * has the same executors: network devices of both are ports of it. This one is then no network
	 * device itself (-EINVAL). NULL: a switch of its own. */
	struct tvq_switch *net_switch;
};

/* The owner interface: what only the process that runs the device may do. */

/* Figures of the management device, its nested ones included. */
struct tvq_device_stats {
	uint32_t devices, vqs;	   /* living */
	uint64_t commands, errors; /* since start */
};
void tvq_device_stats(const struct tvq_device *mgmt, struct tvq_device_stats *st);

/* A living managed device. */
struct tvq_device_info {
	uint64_t id;
	uint32_t virtio_device_id;
	const char *type;		    /* its name, constant */
	uint64_t features, driver_features; /* offered, accepted */
	uint16_t n_vqs;			    /* a transportq of its own included */
	uint8_t status;			    /* virtio 2.1 */
	char volume[TVQ_VOLUME_ID_LEN + 1]; /* its id; empty: none */
};
/* -ENOENT: no such device of this manager's own. */
int tvq_device_info(const struct tvq_device *mgmt, uint64_t device_id,
		    struct tvq_device_info *info);
/* For listing, the latest first: the id of the living one that was created last before that one,
 * which may be gone by now; UINT64_MAX for the first. 0: no more. O(1) where that one lives. */
uint64_t tvq_device_before(const struct tvq_device *mgmt, uint64_t device_id);

/* A volume grew: the capacity in the configuration of the device that has it changes and the driver
 * hears of it (TQ-079). -ENOENT: no such device; -EINVAL: it would shrink. bytes. */
int tvq_device_resize(struct tvq_device *mgmt, uint64_t device_id, uint64_t capacity);

/*
 * Network. The switch that all network devices of this management device are ports of (TQ-141); the
 * port of one of them (device_id 0: the management device's own; NULL: it has none). What is done
 * with a port is done on the switch's worker, in an op: see tvq/switch.h.
 */
struct tvq_switch *tvq_device_switch(const struct tvq_device *mgmt);
struct tvq_port *tvq_device_port(const struct tvq_device *mgmt, uint64_t device_id);
/* The link of a network device: the port passes nothing while it is down, and the driver sees it in
 * the status field where STATUS is offered (TQ-079). -ENOENT; -EOPNOTSUPP: not a network device. */
int tvq_device_set_link(struct tvq_device *mgmt, uint64_t device_id, bool up);
/* Makes other machines learn where the device is: asks the driver to announce itself where it has
 * GUEST_ANNOUNCE and is at work, else the switch sends a RARP frame for it. -ENOENT, -EOPNOTSUPP. */
int tvq_device_announce(struct tvq_device *mgmt, uint64_t device_id);

/* As if the device found itself broken: DEVICE_NEEDS_RESET (TQ-071). -ENOENT. */
int tvq_device_break(struct tvq_device *mgmt, uint64_t device_id, const char *why);

#endif
