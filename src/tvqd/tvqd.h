/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The daemon: its management devices (mgmt.h), in this process or reached over vfio-user (where.h);
 * the volumes and the switch that they share, and the ports that are its own; its managed devices
 * with their presenters; and the control socket.
 * Everything runs on the control executor, which is the main thread's loop; data runs on the
 * workers.
 */
#ifndef TVQD_TVQD_H
#define TVQD_TVQD_H

#include <stdbool.h>
#include <stdint.h>

#include <tvq/device.h>
#include <tvq/driver.h>
#include <tvq/loop.h>
#include <tvq/volumes.h>

#include "class.h"
#include "devices.h"
#include "listen.h"
#include "mgmt.h"
#include "names.h"
#include "options.h"
#include "ports.h"
#include "server.h"
#include "trace.h"
#include "where.h"

#define TVQD_VENDOR_ID 0x1af4 /* Red Hat's for virtio, as vdpa shows it */

struct tvqd {
	struct tvqd_cfg cfg;
	struct tvq_loop *loop;
	struct tvq_exec *exec; /* the control executor */
	struct tvq_loop *worker_loops[TVQD_MAX_WORKERS];
	struct tvq_exec *workers[TVQD_MAX_WORKERS];
	unsigned int n_workers; /* started */
	struct tvqd_mgmt mgmt[TVQD_MGMTS];
	unsigned int n_mgmts;
	/* The owner's: */
	struct tvq_volume_pool *pool;
	struct tvqd_ports ports;
	/* The driver's: */
	struct tvqd_devices devices;
	struct tvqd_trace trace;
	struct tvqd_listener listener;
	struct tvqd_server *server;
	bool server_gone, devices_gone;
	int failed; /* -errno: why tvqd_run() returned, where no signal came */
};

/* The whole program but for main's name; returns the exit status. */
int tvqd_main(int argc, char **argv);

/*
 * Sets everything up, down to listening (cfg->control empty: no socket). Waits. NULL: a sentence in
 * err (TVQD_ERR_LEN). Raises RLIMIT_NOFILE to the hard limit.
 */
struct tvqd *tvqd_new(const struct tvqd_cfg *cfg, char *err);
/* Serves until SIGTERM, SIGINT or SIGHUP, which the caller has blocked in all threads. 0, or
 * -errno: -ENODEV where the device that it manages has gone, which has been logged. */
int tvqd_run(struct tvqd *d);
/* Mirrors tvqd_new: presenters, sockets, devices, volumes, threads. Waits, for a bounded time. */
void tvqd_free(struct tvqd *d);

/* Runs turns of the loop until *flag. -ETIMEDOUT. For set-up and the end, not for handlers. */
int tvqd_wait(struct tvqd *d, const bool *flag, uint64_t timeout_ns);

/* Handlers of the table in commands.c. */
void tvqd_mgmtdev_show(struct tvqd *d, struct tvqd_call *call);
void tvqd_dev_add(struct tvqd *d, struct tvqd_call *call);
void tvqd_dev_del(struct tvqd *d, struct tvqd_call *call);
void tvqd_dev_show(struct tvqd *d, struct tvqd_call *call);
void tvqd_dev_config_show(struct tvqd *d, struct tvqd_call *call);
void tvqd_dev_vstats_show(struct tvqd *d, struct tvqd_call *call);
void tvqd_dev_set(struct tvqd *d, struct tvqd_call *call);
void tvqd_dev_announce(struct tvqd *d, struct tvqd_call *call);
void tvqd_switch_show(struct tvqd *d, struct tvqd_call *call);
void tvqd_switch_fdb_show(struct tvqd *d, struct tvqd_call *call);
void tvqd_switch_port_add(struct tvqd *d, struct tvqd_call *call);
void tvqd_switch_port_del(struct tvqd *d, struct tvqd_call *call);
void tvqd_uplink_add(struct tvqd *d, struct tvqd_call *call);
void tvqd_uplink_del(struct tvqd *d, struct tvqd_call *call);
void tvqd_uplink_show(struct tvqd *d, struct tvqd_call *call);
void tvqd_mirror_add(struct tvqd *d, struct tvqd_call *call);
void tvqd_mirror_del(struct tvqd *d, struct tvqd_call *call);
void tvqd_volume_add(struct tvqd *d, struct tvqd_call *call);
void tvqd_volume_del(struct tvqd *d, struct tvqd_call *call);
void tvqd_volume_show(struct tvqd *d, struct tvqd_call *call);
void tvqd_trace(struct tvqd *d, struct tvqd_call *call);

#endif
