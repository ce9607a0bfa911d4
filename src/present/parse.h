/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Decoding of vhost-user messages: bytes and a number of descriptors in, a checked structure out.
 * No input or output, no state: the connection, the unit tests and the fuzzer call the same
 * functions.
 *
 * This is the trust boundary towards the front end: what vu_decode() has accepted is well formed
 * and within the device's limits. What depends on the state of the connection (is there such a
 * region, does the ring run) is for the handlers.
 */
#ifndef TVQ_PRESENT_PARSE_H
#define TVQ_PRESENT_PARSE_H

#include <stdbool.h>
#include <stdint.h>

#include <present/proto.h>

struct vu_conn;

/* Of the device that is presented. */
struct vu_limits {
	uint16_t num_queues;
	uint16_t max_queue_size;
	uint64_t features; /* offered to the front end, bit 30 included */
	uint64_t protocol; /* protocol features offered */
};

/* A decoded message. Which member of the union holds depends on the request. */
struct vu_req {
	uint32_t request;
	uint32_t size;	 /* of the payload; the reply to some has the same */
	bool need_reply; /* the flag as it came; it counts with REPLY_ACK only */
	union {
		uint64_t u64; /* features, status, MTU, address */
		struct {
			uint16_t index;
			uint32_t num;
		} state; /* SET_VRING_NUM, _BASE, _ENABLE, GET_VRING_BASE */
		struct {
			uint16_t index;
			bool no_fd;
		} vring_fd; /* SET_VRING_KICK, _CALL, _ERR */
		struct {
			uint16_t index;
			uint32_t flags;
			uint64_t desc, avail, used;
		} addr;
		struct {
			uint32_t count; /* SET_MEM_TABLE: 0 to 8; ADD and REM_MEM_REG: 1 */
			struct vu_mem_region region[VU_MAX_REGIONS];
		} mem; /* each region neither empty nor wrapping, none overlapping */
		struct {
			uint32_t offset, size, flags;
			uint8_t data[VU_MAX_CONFIG];
		} config;
		struct {
			uint64_t size, offset;
			uint16_t num_queues, queue_size;
		} inflight;
	};
};

enum {
	VU_MSG_REPLIES = 1 << 0, /* it has a reply of its own */
};

/* One line of the table of messages. */
struct vu_msg_info {
	const char *name;	     /* NULL: no such message */
	uint16_t min_size, max_size; /* of the payload, bytes */
	uint8_t min_fds, max_fds;
	uint8_t flags;
	int8_t feature; /* protocol feature that has to be negotiated, -1: none */
	/* Decodes the payload. Returns NULL, or what is wrong with it. */
	const char *(*decode)(const uint8_t *p, uint32_t size, unsigned int n_fds,
			      const struct vu_limits *lim, struct vu_req *req);
	/*
	 * Takes the message in: changes what the front end wants. 0, or a negative errno: nothing
	 * has changed. What the device has to do for it is done between the two (sync.c).
	 */
	int (*apply)(struct vu_conn *c, struct vu_req *req);
	/* The device has followed: fills in the reply. 0, a negative errno, or VU_LATER: vu_done()
	 * will be called. NULL: nothing to do. */
	int (*answer)(struct vu_conn *c, const struct vu_req *req);
};

/* The table's line; NULL: there is no such message. */
const struct vu_msg_info *vu_msg_info(uint32_t request);
/* "SET_VRING_ADDR", "message 99"; the text is valid until the next call. For logs. */
const char *vu_msg_name(uint32_t request);

/* Checks a header before its payload is read. NULL, or what is wrong with it. */
const char *vu_check_header(const struct vu_header *h);
/* Decodes a message whose header has been checked; payload has h->size bytes. NULL, or what is
 * wrong. */
const char *vu_decode(const struct vu_header *h, const uint8_t *payload, unsigned int n_fds,
		      const struct vu_limits *lim, struct vu_req *req);

/* The decoders, for the table. */
const char *vu_decode_none(const uint8_t *p, uint32_t size, unsigned int n_fds,
			   const struct vu_limits *lim, struct vu_req *req);
const char *vu_decode_features(const uint8_t *p, uint32_t size, unsigned int n_fds,
			       const struct vu_limits *lim, struct vu_req *req);
const char *vu_decode_protocol(const uint8_t *p, uint32_t size, unsigned int n_fds,
			       const struct vu_limits *lim, struct vu_req *req);
const char *vu_decode_status(const uint8_t *p, uint32_t size, unsigned int n_fds,
			     const struct vu_limits *lim, struct vu_req *req);
const char *vu_decode_mtu(const uint8_t *p, uint32_t size, unsigned int n_fds,
			  const struct vu_limits *lim, struct vu_req *req);
const char *vu_decode_mac(const uint8_t *p, uint32_t size, unsigned int n_fds,
			  const struct vu_limits *lim, struct vu_req *req);
const char *vu_decode_mem_table(const uint8_t *p, uint32_t size, unsigned int n_fds,
				const struct vu_limits *lim, struct vu_req *req);
const char *vu_decode_mem_one(const uint8_t *p, uint32_t size, unsigned int n_fds,
			      const struct vu_limits *lim, struct vu_req *req);
const char *vu_decode_vring_num(const uint8_t *p, uint32_t size, unsigned int n_fds,
				const struct vu_limits *lim, struct vu_req *req);
const char *vu_decode_vring_state(const uint8_t *p, uint32_t size, unsigned int n_fds,
				  const struct vu_limits *lim, struct vu_req *req);
const char *vu_decode_vring_enable(const uint8_t *p, uint32_t size, unsigned int n_fds,
				   const struct vu_limits *lim, struct vu_req *req);
const char *vu_decode_vring_addr(const uint8_t *p, uint32_t size, unsigned int n_fds,
				 const struct vu_limits *lim, struct vu_req *req);
const char *vu_decode_vring_fd(const uint8_t *p, uint32_t size, unsigned int n_fds,
			       const struct vu_limits *lim, struct vu_req *req);
const char *vu_decode_config_get(const uint8_t *p, uint32_t size, unsigned int n_fds,
				 const struct vu_limits *lim, struct vu_req *req);
const char *vu_decode_config_set(const uint8_t *p, uint32_t size, unsigned int n_fds,
				 const struct vu_limits *lim, struct vu_req *req);
const char *vu_decode_inflight(const uint8_t *p, uint32_t size, unsigned int n_fds,
			       const struct vu_limits *lim, struct vu_req *req);

#endif
