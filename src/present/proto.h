/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vhost-user on the wire, as QEMU's docs/interop/vhost-user.rst describes it. All integers are the
 * machine's own; a message is a header and a payload whose layout depends on the request.
 */
#ifndef TVQ_PRESENT_PROTO_H
#define TVQ_PRESENT_PROTO_H

#include <stddef.h>
#include <stdint.h>

/* Requests of the front end. Those left out are ones that no feature offered here allows. */
enum {
	VU_GET_FEATURES = 1,
	VU_SET_FEATURES = 2,
	VU_SET_OWNER = 3,
	VU_RESET_OWNER = 4,
	VU_SET_MEM_TABLE = 5,
	VU_SET_VRING_NUM = 8,
	VU_SET_VRING_ADDR = 9,
	VU_SET_VRING_BASE = 10,
	VU_GET_VRING_BASE = 11,
	VU_SET_VRING_KICK = 12,
	VU_SET_VRING_CALL = 13,
	VU_SET_VRING_ERR = 14,
	VU_GET_PROTOCOL_FEATURES = 15,
	VU_SET_PROTOCOL_FEATURES = 16,
	VU_GET_QUEUE_NUM = 17,
	VU_SET_VRING_ENABLE = 18,
	VU_SEND_RARP = 19,
	VU_NET_SET_MTU = 20,
	VU_SET_BACKEND_REQ_FD = 21,
	VU_GET_CONFIG = 24,
	VU_SET_CONFIG = 25,
	VU_GET_INFLIGHT_FD = 31,
	VU_SET_INFLIGHT_FD = 32,
	VU_RESET_DEVICE = 34,
	VU_GET_MAX_MEM_SLOTS = 36,
	VU_ADD_MEM_REG = 37,
	VU_REM_MEM_REG = 38,
	VU_SET_STATUS = 39,
	VU_GET_STATUS = 40,
	VU_REQUESTS,
};

/* Requests of the back end. */
enum {
	VU_BACKEND_CONFIG_CHANGE = 2,
};

/* Feature bit 30 of GET_FEATURES: there are protocol features. It is no feature of the device. */
#define VU_F_PROTOCOL_FEATURES 30

/* Bits of GET_PROTOCOL_FEATURES. */
enum {
	VU_PF_MQ = 0,
	VU_PF_RARP = 2,
	VU_PF_REPLY_ACK = 3,
	VU_PF_NET_MTU = 4,
	VU_PF_BACKEND_REQ = 5,
	VU_PF_CONFIG = 9,
	VU_PF_BACKEND_SEND_FD = 10,
	VU_PF_INFLIGHT_SHMFD = 12,
	VU_PF_RESET_DEVICE = 13,
	VU_PF_CONFIGURE_MEM_SLOTS = 15,
	VU_PF_STATUS = 16,
};

/* Flags of the header. */
#define VU_VERSION	0x1u
#define VU_VERSION_MASK 0x3u
#define VU_REPLY	0x4u
#define VU_NEED_REPLY	0x8u
#define VU_FLAGS_MASK	0xfu

/* SET_VRING_KICK, _CALL, _ERR: what their 64 bits hold. */
#define VU_VRING_INDEX_MASK 0xffu
#define VU_VRING_NOFD	    0x100u

/* SET_VRING_ADDR: flags. */
#define VU_VRING_F_LOG 0x1u

/* SET_CONFIG: flags. */
#define VU_CONFIG_WRITABLE  0
#define VU_CONFIG_MIGRATION 1

#define VU_MAX_CONFIG  256 /* bytes of a configuration space */
#define VU_MAX_REGIONS 8   /* of one SET_MEM_TABLE */
#define VU_MAX_FDS     8   /* descriptors of one message */

struct vu_header {
	uint32_t request;
	uint32_t flags;
	uint32_t size; /* bytes of payload */
};

struct vu_vring_state {
	uint32_t index;
	uint32_t num;
};

struct vu_vring_addr {
	uint32_t index;
	uint32_t flags;
	uint64_t descriptor; /* these three in the front end's own address space */
	uint64_t used;
	uint64_t available;
	uint64_t log; /* guest address */
};

struct vu_mem_region {
	uint64_t guest_addr;
	uint64_t size;
	uint64_t user_addr;
	uint64_t mmap_offset; /* of the region in its descriptor */
};

struct vu_mem_table {
	uint32_t count;
	uint32_t padding;
	struct vu_mem_region region[];
};

struct vu_mem_one {
	uint64_t padding;
	struct vu_mem_region region;
};

struct vu_config {
	uint32_t offset;
	uint32_t size;
	uint32_t flags;
	uint8_t data[];
};

/* The document's structure ends at 20 bytes; QEMU, DPDK and rust-vmm send the compiler's padding
 * too. */
struct vu_inflight {
	uint64_t mmap_size;
	uint64_t mmap_offset;
	uint16_t num_queues;
	uint16_t queue_size;
	uint32_t padding;
};
#define VU_INFLIGHT_SHORT 20

_Static_assert(sizeof(struct vu_header) == 12, "header");
_Static_assert(sizeof(struct vu_vring_state) == 8, "vring state");
_Static_assert(sizeof(struct vu_vring_addr) == 40, "vring addresses");
_Static_assert(offsetof(struct vu_vring_addr, available) == 24, "vring addresses");
_Static_assert(sizeof(struct vu_mem_region) == 32, "memory region");
_Static_assert(offsetof(struct vu_mem_table, region) == 8, "memory table");
_Static_assert(sizeof(struct vu_mem_one) == 40, "single memory region");
_Static_assert(offsetof(struct vu_config, data) == 12, "configuration");
_Static_assert(sizeof(struct vu_inflight) == 24, "in-flight description");
_Static_assert(offsetof(struct vu_inflight, queue_size) + 2 == VU_INFLIGHT_SHORT,
	       "in-flight description");

/* The longest payload of all: 8 regions or a configuration space. */
#define VU_MAX_PAYLOAD (sizeof(struct vu_config) + VU_MAX_CONFIG)
_Static_assert(VU_MAX_PAYLOAD >=
		       sizeof(struct vu_mem_table) + VU_MAX_REGIONS * sizeof(struct vu_mem_region),
	       "payload");

#endif
