/* SPDX-License-Identifier: BSD-3-Clause */
/* The vfio-user client: shared by its parts. See vfio_user.c. */
#ifndef TVQ_BUS_VFIO_USER_H
#define TVQ_BUS_VFIO_USER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/virtio_pci.h"
#include "vfio_user/proto.h"

/* Bytes of the largest message that we take, and that we make. */
#define VUC_MAX_BODY (sizeof(struct vu_region_rw) + VU_MAX_DATA)
#define VUC_MAX_MSG  (sizeof(struct vu_hdr) + VUC_MAX_BODY)

/* Bytes that the server has not taken yet: with more it is not reading, and the connection ends. */
#define VUC_MAX_UNSENT (8u << 20)

/*
 * A request in flight. Its maker's memory until it is finished: then done is called at the turn's
 * end, or, where there is none, finished is set and somebody looks at it.
 */
struct vuc_request {
	struct vuc_request *next, **pprev; /* of those in flight, oldest first; then of finished */
	uint64_t deadline;
	uint16_t id, command;
	/* What the reply has to say: exactly len bytes (VERSION: up to len, got says how many). A
	 * REGION_READ's are the data. */
	void *reply;
	uint32_t len, got;
	struct vu_region_rw access; /* REGION_READ: what was asked for */
	int err;
	bool finished;
	void (*done)(struct vuc_request *r);
};

/* A message, or the rest of one, that the socket has no room for. */
struct vuc_unsent {
	struct vuc_unsent *next;
	uint32_t len, at;
	int fd; /* -1: none, or sent */
	uint8_t data[];
};

struct vuc {
	struct tvq_pci_fn fn;
	struct tvq_bus waiter; /* for tvq_bus_wait() */
	int fd;
	uint64_t deadline; /* of the set-up; 0: it is over */
	char why[192];	   /* it is gone; "": it is not */
	bool gone_told;

	struct vuc_request **slots; /* in flight, by id */
	uint16_t *free_ids;
	uint32_t n_slots, n_free;
	struct vuc_request *oldest, **newest;
	struct tvq_timer watchdog;

	struct vuc_request *finished, **last_finished;
	struct tvq_msg late;
	bool late_posted;

	struct vuc_unsent *unsent, **last_unsent;
	uint32_t n_unsent; /* bytes */
	struct tvq_io room;
	bool room_awaited;

	struct tvq_watch watch;
	bool watching;
	struct tvq_msg again; /* more to read than one turn takes */
	bool again_posted;
	uint32_t in_at, in_len; /* bytes at in: judged, there */
	uint8_t in[2 * VUC_MAX_MSG];
};

static inline struct vuc *vuc_of(struct tvq_pci_fn *f)
{
	return (struct vuc *)((char *)f - offsetof(struct vuc, fn));
}

/* ---- vfio_user_flight.c: requests in flight ---- */

void vuc_flight_init(struct vuc *c);
/* It has a number from now on. -ENOMEM; -EBUSY: 65536 are in flight. */
int vuc_take_off(struct vuc *c, struct vuc_request *r, uint16_t command);
/* It has its answer, or never will. */
void vuc_land(struct vuc *c, struct vuc_request *r, int err);
/* The connection has ended: so have all, and the driver is told. */
void vuc_land_all(struct vuc *c);

/* ---- vfio_user_io.c: the socket ---- */

/* Starts watching. */
void vuc_io_start(struct vuc *c);
/* Ends it all and frees; requests in flight end with -ENODEV, gone is not called. May wait. */
void vuc_io_free(struct vuc *c);

/* The connection ends; why is a sentence. Idempotent. Nothing is called back before the turn's
 * end. */
void vuc_gone(struct vuc *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static inline bool vuc_is_gone(const struct vuc *c)
{
	return c->why[0];
}

/* A message of a command with up to two parts of body, and a descriptor or -1; never waits. r NULL:
 * no reply is wanted. -ENODEV, -ENOMEM, -EBUSY: nothing was sent and r is not in flight. */
int vuc_send(struct vuc *c, struct vuc_request *r, uint16_t command, const void *body, uint32_t len,
	     const void *data, uint32_t data_len, int fd);
/* Answers the server's own request. */
void vuc_reply(struct vuc *c, const struct vu_hdr *to, int err, const void *body, uint32_t len,
	       const void *data, uint32_t data_len);

/* Until r is finished: r->err, or -ETIMEDOUT, with which the connection ends. vuc_wait runs turns
 * of the executor, vuc_block does not. */
int vuc_wait(struct vuc *c, struct vuc_request *r);
int vuc_block(struct vuc *c, struct vuc_request *r);

/* ---- vfio_user_check.c: all that the server says passes here ---- */

/* What a message turned out to be. */
enum vuc_kind {
	VUC_BROKEN,  /* not allowed: why says what */
	VUC_MORE,    /* not all of it is there */
	VUC_REPLY,   /* to r */
	VUC_REQUEST, /* DMA_READ or DMA_WRITE */
};

struct vuc_message {
	enum vuc_kind kind;
	const char *why;
	struct vu_hdr hdr;
	struct vuc_request *r;
	int err;	      /* REPLY: 0 or -errno that the server gave */
	const uint8_t *reply; /* REPLY: what is for r->reply */
	uint32_t len;
	struct vu_dma_rw dma; /* REQUEST */
	const uint8_t *data;  /* DMA_WRITE */
};

/* Judges the first message at p, n bytes. */
void vuc_check(struct vuc *c, const uint8_t *p, uint32_t n, struct vuc_message *m);

/* Replies during set-up: 0, or -EPROTO with a sentence in why. */
int vuc_check_version(const uint8_t *p, uint32_t len, const char **why);
int vuc_check_device(const struct vu_device_info *info, const char **why);
/* *size gets what the region is good for. */
int vuc_check_region(const struct vu_region_info *info, uint32_t index, uint64_t *size,
		     const char **why);
int vuc_check_irq(const struct vu_irq_info *info, uint32_t *vectors, const char **why);

/* ---- vfio_user_ops.c ---- */
extern const struct tvq_pci_fn_ops vuc_ops;

#endif
