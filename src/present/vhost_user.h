/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The vhost-user presenter: shows a managed device to a vhost-user front end (QEMU and others) over
 * a listening UNIX socket. Uses the driver half and the bus only (TQ-150, TQ-151).
 *
 * Everything is for the bus' control executor, which is a loop's.
 */
#ifndef TVQ_PRESENT_VHOST_USER_H
#define TVQ_PRESENT_VHOST_USER_H

#include <stdbool.h>
#include <stdint.h>

#include <tvq/driver.h>

struct tvq_vhost_user;

struct tvq_vhost_user_cfg {
	const char *name;   /* the device's, for log lines; copied */
	const char *path;   /* of the socket; copied */
	uint64_t device_id; /* from CREATE */
	uint32_t virtio_device_id;
	uint32_t asid;	     /* the device's own address space, empty now */
	uint64_t features;   /* offered by the managed device */
	uint16_t num_queues; /* it has */
	uint16_t max_queue_size;
	uint32_t half_open_ms; /* patience with half a message, or none; 0: 10 s */
	/*
	 * Network, optional: the front end asks that other machines learn where the device is
	 * (SEND_RARP: its guest has come from another host). NULL: it is not offered. Called on the
	 * control executor, and not after tvq_vhost_user_free(); must not block.
	 */
	void (*announce)(void *ctx);
	void *announce_ctx;
};

/*
 * Listens. A stale socket file (nobody answers) is replaced; a living one, another kind of file and
 * no permission are refused. NULL: err (256 bytes) gets a sentence, errno the reason.
 */
struct tvq_vhost_user *tvq_vhost_user_new(struct tvq_client *c,
					  const struct tvq_vhost_user_cfg *cfg, char *err);
/* Closes the socket and unlinks its file, ends the connection, resets the device and waits (without
 * blocking) until its memory is unmapped; then done. */
void tvq_vhost_user_free(struct tvq_vhost_user *p, struct tvq_done *done);

struct tvq_vhost_user_info {
	const char *path;
	bool connected;
	uint64_t connections; /* since start */
	bool running;	      /* DRIVER_OK */
};
void tvq_vhost_user_info(const struct tvq_vhost_user *p, struct tvq_vhost_user_info *info);

#endif
