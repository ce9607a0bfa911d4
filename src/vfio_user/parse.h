/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Decoding of a vfio-user client's messages: bytes and a number of descriptors in, a checked
 * structure out. No input or output, no state: the connection, the unit tests and the fuzzer call
 * the same functions.
 *
 * This is the trust boundary towards the client: what vfu_decode() has accepted is well formed.
 * What depends on the state (is it mapped, is there such a region or vector) is for the handlers,
 * which answer with an errno; what is malformed costs the client its connection.
 */
#ifndef TVQ_VFIO_USER_PARSE_H
#define TVQ_VFIO_USER_PARSE_H

#include <stdbool.h>
#include <stdint.h>

#include <vfio_user/proto.h>

struct vfu_conn;

/* A decoded message; which member holds depends on the command. */
struct vfu_req {
	uint16_t command;
	bool no_reply;
	union {
		struct {
			uint16_t major, minor;
			uint64_t max_data; /* of one access that the client takes, bytes */
		} version;
		struct {
			uint64_t addr, size; /* not empty, does not wrap */
			uint64_t offset;     /* offset + size does not wrap */
			uint32_t perm;	     /* VU_DMA_READABLE | VU_DMA_WRITABLE */
		} map;
		struct {
			uint64_t addr, size; /* not empty, does not wrap; all: both 0 */
			uint32_t flags;
			bool all;
		} unmap;
		uint32_t index; /* GET_REGION_INFO, GET_IRQ_INFO */
		struct {
			uint32_t data,
				action; /* one bit each: VU_SET_DATA_..., VU_SET_ACTION_... */
			uint32_t index, start, count;
			const uint8_t *bools; /* DATA_BOOL: count bytes, in the message */
		} set_irqs;		      /* start + count does not wrap */
		struct {
			uint64_t offset;
			uint32_t region, count; /* count: 1 to VU_MAX_DATA */
			const uint8_t *data;	/* REGION_WRITE: count bytes, in the message */
		} region;
	};
};

/* One line of the table of messages. */
struct vfu_cmd {
	const char *name;	     /* NULL: no such message */
	uint32_t min_size, max_size; /* of the payload, bytes */
	uint8_t max_fds;
	/* Decodes the payload (p is NULL where size is 0). NULL, or what is wrong with it. */
	const char *(*decode)(const uint8_t *p, uint32_t size, unsigned int n_fds,
			      struct vfu_req *req);
	/*
	 * Does it. 0: the reply is in c->reply, c->reply_size bytes of it. VFU_LATER: vfu_done() will
	 * be called. A negative errno: nothing has changed, the client is told.
	 */
	int (*handle)(struct vfu_conn *c, const struct vfu_req *req);
};

/* The table's line; NULL: there is no such message. */
const struct vfu_cmd *vfu_cmd(uint16_t command);
/* "DMA_MAP", "command 99"; the text is valid until the next call. For logs. */
const char *vfu_cmd_name(uint16_t command);

/* Checks a header before its payload is read. NULL, or what is wrong with it. */
const char *vfu_check_header(const struct vu_hdr *h);
/* Decodes a request whose header has been checked; payload has h->size - sizeof(*h) bytes. NULL, or
 * what is wrong. */
const char *vfu_decode(const struct vu_hdr *h, const uint8_t *payload, unsigned int n_fds,
		       struct vfu_req *req);

/* The decoders, for the table. */
const char *vfu_decode_none(const uint8_t *p, uint32_t size, unsigned int n_fds,
			    struct vfu_req *req);
const char *vfu_decode_version(const uint8_t *p, uint32_t size, unsigned int n_fds,
			       struct vfu_req *req);
const char *vfu_decode_map(const uint8_t *p, uint32_t size, unsigned int n_fds,
			   struct vfu_req *req);
const char *vfu_decode_unmap(const uint8_t *p, uint32_t size, unsigned int n_fds,
			     struct vfu_req *req);
const char *vfu_decode_info(const uint8_t *p, uint32_t size, unsigned int n_fds,
			    struct vfu_req *req);
const char *vfu_decode_region_info(const uint8_t *p, uint32_t size, unsigned int n_fds,
				   struct vfu_req *req);
const char *vfu_decode_irq_info(const uint8_t *p, uint32_t size, unsigned int n_fds,
				struct vfu_req *req);
const char *vfu_decode_set_irqs(const uint8_t *p, uint32_t size, unsigned int n_fds,
				struct vfu_req *req);
const char *vfu_decode_read(const uint8_t *p, uint32_t size, unsigned int n_fds,
			    struct vfu_req *req);
const char *vfu_decode_write(const uint8_t *p, uint32_t size, unsigned int n_fds,
			     struct vfu_req *req);

#endif
