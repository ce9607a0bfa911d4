/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The driver half: a client of a transportq with many commands in flight, sequences of commands to
 * one managed device, and a handle for a managed device.
 *
 * Everything is for the thread of the bus' control executor. Functions that say "waits" run turns
 * of that executor and must not be called from inside a message, poller or completion; each wait is
 * bounded (TQ-035): -ETIMEDOUT.
 */
#ifndef TVQ_DRIVER_H
#define TVQ_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <virtio_transportq.h>
#include <tvq/bus.h>

struct tvq_client;

struct tvq_client_cfg {
	bool packed; /* the transportq's format; falls back to split where not offered */
	bool no_event_idx, no_indirect;
	uint16_t queue_size;			/* 0: 256 or the most there is */
	uint64_t f_trnspt_vq, f_trnspt_vq_vdev; /* feature bit numbers; 0: 48 and 49 */
};

/*
 * Resets the device, negotiates, sets the transportq up and sets DRIVER_OK (TQ-150). Waits. The bus
 * stays the caller's and has to outlive the client. NULL and *err: -ENODEV (it offers no
 * transportq), -EPROTO, -ENOMEM, -ETIMEDOUT.
 */
struct tvq_client *tvq_client_new(struct tvq_bus *b, const struct tvq_client_cfg *cfg, int *err);
/* Resets the management device, which destroys its managed devices (TQ-055). Commands in flight end
 * with -ECANCELED. Waits. */
void tvq_client_free(struct tvq_client *c);
struct tvq_bus *tvq_client_bus(const struct tvq_client *c);
uint64_t tvq_client_features(const struct tvq_client *c); /* negotiated */

/* A command in flight: the caller's memory until done. */
struct tvq_cmd {
	uint64_t device_id;
	uint16_t class, command;
	uint32_t out_len, in_len;
	const void *out; /* copied at submit */
	void *in;	 /* in-data is copied here */
	/* Results: */
	/*
	 * 0; -EIO: the device answered ERR; -EPROTO: nonsense, or its ring is broken; -ENODEV: it
	 * needs a reset (TQ-026); -ECANCELED: the client ends; -E2BIG: more than 1 MiB of data;
	 * -ENOMEM.
	 */
	int err;
	uint32_t in_got; /* bytes of in-data that the device wrote, not more than in_len */
	void (*done)(struct tvq_cmd *cmd); /* never called from within tvq_client_submit() */
	struct tvq_cmd *next;		   /* the client's */
	struct tvq_client_copy *copy;	   /* the client's */
};

/* Starts a command. Never refused for a full ring: it waits its turn, in order. Commands that are
 * submitted in one turn of the executor are published together, with one notification. */
void tvq_client_submit(struct tvq_client *c, struct tvq_cmd *cmd);
/* Submits, waits and returns cmd->err; done is not called. */
int tvq_client_call(struct tvq_client *c, struct tvq_cmd *cmd);

/* Called for each command when it completes, in time order; NULL ends it. For tracing. The
 * command's out-data is whole, its in-data what came. */
void tvq_client_trace(struct tvq_client *c,
		      void (*fn)(void *ctx, const struct tvq_cmd *cmd, const void *out), void *ctx);

/*
 * A sequence: commands to one managed device, all in flight at once, taking effect in order
 * (TQ-030). done gets the first error; fail_class/fail_command in the sequence say which command it
 * was.
 */
struct tvq_seq;
struct tvq_seq *tvq_seq_new(struct tvq_client *c, uint64_t device_id); /* NULL: no memory */
void tvq_seq_status_set(struct tvq_seq *s, uint8_t status);
void tvq_seq_status_get(struct tvq_seq *s, uint8_t *status);
void tvq_seq_features_get(struct tvq_seq *s, uint64_t *features);
void tvq_seq_driver_features_get(struct tvq_seq *s, uint64_t *features);
void tvq_seq_features_set(struct tvq_seq *s, uint64_t features);
void tvq_seq_generation_get(struct tvq_seq *s, uint32_t *generation);
void tvq_seq_config_get(struct tvq_seq *s, uint32_t offset, uint32_t size, void *buf);
void tvq_seq_config_set(struct tvq_seq *s, uint32_t offset, uint32_t size, const void *buf);
void tvq_seq_msi_vq_set(struct tvq_seq *s, uint16_t q, uint64_t addr, uint32_t data);
void tvq_seq_msi_vq_enable(struct tvq_seq *s, uint16_t q, uint8_t enable);
void tvq_seq_msi_vq_mask(struct tvq_seq *s, uint16_t q, uint8_t mask);
void tvq_seq_msi_config_set(struct tvq_seq *s, uint64_t addr, uint32_t data);
void tvq_seq_msi_config_enable(struct tvq_seq *s, uint8_t enable);
void tvq_seq_msi_config_mask(struct tvq_seq *s, uint8_t mask);
void tvq_seq_vq_addr(struct tvq_seq *s, uint16_t q, uint64_t desc, uint64_t driver,
		     uint64_t device);
void tvq_seq_vq_enable(struct tvq_seq *s, uint16_t q, uint8_t enable);
void tvq_seq_vq_enable_get(struct tvq_seq *s, uint16_t q, uint8_t *enabled);
void tvq_seq_vq_size_set(struct tvq_seq *s, uint16_t q, uint16_t size);
void tvq_seq_vq_size_get(struct tvq_seq *s, uint16_t q, uint16_t *size);
void tvq_seq_vq_notify_get(struct tvq_seq *s, uint16_t q, uint64_t *addr, uint64_t *size);
/* used_idx is sent with a packed ring only (packed says so); got likewise. */
void tvq_seq_vq_index_set(struct tvq_seq *s, uint16_t q, bool packed, uint16_t avail,
			  uint16_t used);
void tvq_seq_vq_index_get(struct tvq_seq *s, uint16_t q, bool packed, uint16_t *avail,
			  uint16_t *used);
void tvq_seq_vq_reset(struct tvq_seq *s, uint16_t q);
void tvq_seq_vq_asid_set(struct tvq_seq *s, uint16_t q, uint32_t asid);
void tvq_seq_vq_asid_get(struct tvq_seq *s, uint16_t q, uint32_t *asid);
void tvq_seq_vq_inflight(struct tvq_seq *s, uint16_t q, uint32_t asid, uint64_t addr,
			 uint32_t size);
/* Fewer counters than asked for are accepted; the rest stay 0. */
void tvq_seq_vq_stats(struct tvq_seq *s, uint16_t q,
		      struct virtio_transportq_ctrl_vdev_vq_stats *st);
void tvq_seq_destroy_device(struct tvq_seq *s);

/* Frees a sequence that is not to be run. */
void tvq_seq_drop(struct tvq_seq *s);
/* Starts it. done->fn(err) comes once, perhaps before the return; the sequence is freed before
 * that. An empty one succeeds. -ENOMEM met while it was filled is reported here. */
void tvq_seq_run(struct tvq_seq *s, struct tvq_done *done);
/* For one that runs: it ends by itself, writes nothing to the caller's memory and does not call
 * done. */
void tvq_seq_abandon(struct tvq_seq *s);
/* Waits. */
int tvq_seq_call(struct tvq_seq *s);
/*
 * STATUS SET 0, then STATUS GET until it is 0 (TQ-035, TQ-065), with a pause between two looks.
 * done->fn comes once: 0, -ETIMEDOUT after TVQ_BUS_TIMEOUT_NS, or the error of a command. The
 * caller's memory until then.
 */
struct tvq_reset {
	struct tvq_done *done;
	/* The client's: */
	struct tvq_client *client;
	uint64_t device_id, deadline, pause;
	struct tvq_timer timer;
	struct tvq_done step;
	struct tvq_seq *asking;
	uint8_t status;
};
void tvq_client_reset(struct tvq_client *c, struct tvq_reset *r, uint64_t device_id,
		      struct tvq_done *done);
/* Waits. */
int tvq_client_reset_call(struct tvq_client *c, uint64_t device_id);

/* Where a sequence failed: "VQ_ADDR SET", valid in done->fn and after tvq_seq_call until the next
 * sequence of this client ends. */
const char *tvq_client_failed(const struct tvq_client *c);

/* Resources (4.1); wait. Integers are the CPU's. */
struct tvq_avail_res {
	uint16_t num_avail_vqs, min_vdev_vqs, max_vdev_vqs, num_avail_vdev;
};
struct tvq_type_info {
	uint64_t features, default_features;
	uint16_t max_vqs, max_queue_size;
};
int tvq_client_avail_res(struct tvq_client *c, struct tvq_avail_res *res);
int tvq_client_type(struct tvq_client *c, uint32_t virtio_device_id, struct tvq_type_info *info);

/* CREATE, in flight: the caller's memory until done. */
struct tvq_create {
	uint32_t virtio_device_id, asid;
	uint64_t features;
	const void *config; /* dev_config, section 5; copied */
	uint32_t config_len;
	/* Results: */
	int err;
	uint64_t device_id;
	void (*done)(struct tvq_create *cr);
	/* The client's: */
	struct tvq_cmd cmd;
	uint64_t answer;
	uint8_t out[128];
};
void tvq_client_create(struct tvq_client *c, struct tvq_create *cr);
/* Waits; 0 or -errno. */
int tvq_client_create_call(struct tvq_client *c, struct tvq_create *cr);

#endif
