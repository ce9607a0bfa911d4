/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A polling driver for a managed network device, for tests, benchmarks and embedders. Everything is
 * for the thread of the bus' control executor; the device may run on other workers.
 *
 * A frame here begins with its virtio header (virtio 1.4, 5.1.6), tvq_net_hdr_len() bytes whose
 * integers are little-endian.
 */
#ifndef TVQ_NET_H
#define TVQ_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tvq/driver.h>

struct tvq_net;

struct tvq_net_cfg {
	bool packed;
	bool no_event_idx, no_indirect;
	/* Bits 0 to 23 and from 50 on, the network type's own: those that may be accepted where they
	 * are offered. 0: all that the driver knows: MAC, STATUS, MTU, MRG_RXBUF, CTRL_*, MQ,
	 * checksums and TSO in both directions, GUEST_ANNOUNCE, SPEED_DUPLEX. It knows RSS and
	 * HASH_REPORT too, where they are asked for here. */
	uint64_t features;
	uint16_t queue_size;  /* of receive and transmit queues; 0: 256 or the most there is */
	uint16_t pairs;	      /* to set up and to use; 0: 1 */
	uint32_t buffer_size; /* bytes of a receive buffer, header included; 0: what the features
			       * need, 2048 with MRG_RXBUF */
	uint16_t buffers;     /* of each receive queue; 0: as many as it has room for */
};

/* Sets an existing managed network device up to DRIVER_OK (TQ-150), fills its receive queues, and
 * asks for `pairs` pairs where that is not 1. Waits. NULL and *err. */
struct tvq_net *tvq_net_new(struct tvq_client *c, uint64_t device_id, const struct tvq_net_cfg *cfg,
			    int *err);
/* Resets the device. Waits. Frames that were not taken back are the caller's again. */
void tvq_net_free(struct tvq_net *n);

uint64_t tvq_net_features(const struct tvq_net *n); /* negotiated */
uint16_t tvq_net_pairs(const struct tvq_net *n);    /* set up */
uint32_t tvq_net_hdr_len(const struct tvq_net *n);  /* 12; 20 with HASH_REPORT */
/* As the configuration said at the start; zero, 0 where MAC or MTU was not negotiated. */
void tvq_net_mac(const struct tvq_net *n, uint8_t mac[6]);
uint16_t tvq_net_mtu(const struct tvq_net *n);
/* The status field as it is now (VIRTIO_NET_S_*); LINK_UP where STATUS was not negotiated. Waits. 0
 * or -errno. */
int tvq_net_status(struct tvq_net *n, uint16_t *status);

/* ---- memory that the device reaches ---- */
void *tvq_net_dma_alloc(struct tvq_net *n, size_t size, uint64_t *iova);
void tvq_net_dma_free(struct tvq_net *n, void *p, size_t size);

/* ---- sending: no wait, no copy ---- */
struct tvq_net_frame {
	uint64_t iova; /* of the header, in memory from tvq_net_dma_alloc(); the frame follows it */
	uint32_t len;  /* bytes, header included */
	void *user;    /* the caller's */
};
/* Sends up to count frames on one pair, with one notification; returns how many fitted. The frames
 * and their memory are the device's until tvq_net_sent() gives them back. */
unsigned int tvq_net_send(struct tvq_net *n, uint16_t pair, struct tvq_net_frame *const *f,
			  unsigned int count);
/* Takes up to count frames back that the device has done with. Does not run the executor: the
 * caller does, or a thread of its own. */
unsigned int tvq_net_sent(struct tvq_net *n, uint16_t pair, struct tvq_net_frame **f,
			  unsigned int count);
/* Frames that are with the device. */
unsigned int tvq_net_sending(const struct tvq_net *n, uint16_t pair);

/* ---- receiving ---- */

/* A piece of a received frame: several with MRG_RXBUF (num_buffers) only. */
struct tvq_net_buf {
	struct tvq_net_buf *next; /* NULL: the last */
	uint8_t *data;		  /* the first one's: behind the header */
	uint32_t len;		  /* bytes */
	uint64_t iova;		  /* the driver's from here on */
};
struct tvq_net_rx {
	const void *hdr; /* tvq_net_hdr_len() bytes, in memory that the device can write */
	struct tvq_net_buf *buf;
	uint32_t len; /* bytes of the frame, without header */
};
/*
 * Collects up to count received frames. Their buffers are the caller's until tvq_net_refill(). What
 * the device says is checked: a frame shorter than its header or longer than its buffers, or of
 * more buffers than there are, breaks the queue (tvq_net_broken()).
 */
unsigned int tvq_net_poll(struct tvq_net *n, uint16_t pair, struct tvq_net_rx *rx,
			  unsigned int count);
/* Gives buffers back to the device, with one notification if it wants one. */
void tvq_net_refill(struct tvq_net *n, uint16_t pair, const struct tvq_net_rx *rx,
		    unsigned int count);
/* Copies a frame, without header, up to size bytes; returns how many. */
uint32_t tvq_net_copy(const struct tvq_net_rx *rx, void *to, uint32_t size);
/* The device broke a rule of the rings or of this type, on any queue. */
bool tvq_net_broken(const struct tvq_net *n);

/* ---- the control queue ---- */

/*
 * A control command (virtio 5.1.6.5): len bytes of data, copied, up to 4096. Waits. 0; -EIO: the
 * device answers ERR; -EPROTO: it answers nothing, or nonsense; -EOPNOTSUPP: CTRL_VQ was not
 * negotiated; -EINVAL: too long; -ENODEV: the device needs a reset, or is gone; -ETIMEDOUT.
 */
int tvq_net_ctrl(struct tvq_net *n, uint8_t class, uint8_t cmd, const void *data, uint32_t len);
/* How many pairs the device may use (CTRL_MQ). Waits; as above. */
int tvq_net_use_pairs(struct tvq_net *n, uint16_t pairs);

#endif
