/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The conformance suite's frame: a test gets a management device, reset and negotiated, and a
 * transportq of the suite's own on which any chain can be sent, well-formed or not. It shares
 * nothing with the client in src/driver but the ring.
 *
 * A check that fails ends its test with a message; what the test had made is taken down by the next
 * reset of the management device. Every wait is bounded.
 */
#ifndef TVQ_CONFORMANCE_CT_H
#define TVQ_CONFORMANCE_CT_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tvq/bus.h>
#include <virtio_transportq.h>

#include "ring/driver_ring.h"

#define CT_OK	VIRTIO_TRANSPTQ_OK
#define CT_ERR	VIRTIO_TRANSPTQ_ERR
#define CT_LOST 0x10000 /* no used entry came in time, or no ack */

#define CT_F(n) (1ull << (n))

struct ct;

/* What a test needs of its environment; missing: a skip that says so. */
enum {
	CT_NEEDS_VOLUME = 1 << 0, /* the profile names a writable volume */
	CT_NEEDS_RO_VOLUME = 1 << 1,
	CT_NEEDS_SPACES = 1 << 2,  /* the bus has address spaces to give */
	CT_NEEDS_CAP = 1 << 3,	   /* the device can be made small (in process), to be exhausted */
	CT_NEEDS_NESTING = 1 << 4, /* block devices may offer bits 48 and 49 */
	CT_NEEDS_SLOW = 1 << 5,	   /* a volume whose requests take until they are let go */
	CT_NEEDS_OWNER = 1 << 6,   /* what only the device's owner can do: resize, break */
	CT_NEEDS_PCI = 1 << 7,	   /* the device is a PCI function */
	CT_NEEDS_NET = 1 << 8,	   /* it has managed network devices */
};

struct ct_test {
	const char *numbers; /* "TQ-020 TQ-034" */
	const char *name;    /* the fact that it proves, words joined by _ */
	void (*run)(struct ct *t);
	unsigned int needs;
};

/* Tests of one file: an array ended by an empty entry. */
extern const struct ct_test ct_tests_queue[], ct_tests_command[], ct_tests_resources[],
	ct_tests_vdev[], ct_tests_status[], ct_tests_config[], ct_tests_msi[], ct_tests_vq[],
	ct_tests_notify[], ct_tests_index[], ct_tests_space[], ct_tests_inflight[],
	ct_tests_types[], ct_tests_nested[], ct_tests_broken[], ct_tests_pci[], ct_tests_net[],
	ct_tests_switch[];

/* ---- the environment (env.c) ---- */

struct ct_limits { /* of an in-process device; 0: the default */
	uint32_t max_devices, max_vqs;
	uint16_t max_vdev_vqs;
	uint8_t max_depth;
};

#define CT_RINGS 128

/* A volume of the suite's own, in process: requests to it stay under way until they are let go. */
struct ct_slow;
unsigned int ct_slow_waiting(struct ct_slow *s);
void ct_slow_release(struct ct_slow *s);

/* What the tests may use: from --profile, or the suite's own for an in-process device. */
struct ct_profile {
	char volume[21];       /* writable, no device has it; "": none */
	char ro_volume[21];    /* read-only */
	char slow_volume[21];  /* in process only */
	uint64_t volume_bytes; /* size of volume */
};

struct ct_options {
	const char *path; /* of a vfio-user server's socket; NULL: in process */
	bool packed;
	unsigned int workers;
	uint32_t type;	      /* in process: of the management device; 0: a block device */
	uint8_t f_vq, f_vdev; /* feature bit numbers */
	struct ct_profile profile;
};

struct ct {
	const struct ct_options *options;
	bool limited; /* the world is this test's only */
	struct tvq_bus *bus;
	struct tvq_loop *loop; /* the bus' */
	bool packed;	       /* the transportq's ring */
	uint64_t f_vq, f_vdev; /* masks of the two feature bits */
	const struct ct_profile *profile;
	struct ct_world *world; /* the in-process device and all it needs; NULL: another bus */
	struct ct_slow *slow;

	/* The transportq. */
	uint64_t features; /* negotiated with the management device */
	uint16_t transportq;
	struct tvq_drv_ring *ring;
	void *ring_mem;
	size_t ring_bytes;
	uint8_t *dma; /* CT_DMA bytes for the test's use, in space 0 */
	uint64_t dma_iova;
	size_t dma_used;
	uint8_t *own; /* CT_OWN bytes that no device reaches: the suite's own state */
	size_t own_used;

	struct ct_vq *via; /* commands go there: a nested manager's transportq; NULL: its own */
	uint64_t shift;	   /* new queues: an address in their space, less the one in space 0 */

	struct tvq_drv_ring *rings[CT_RINGS]; /* of the test's queues: freed at its end */
	unsigned int n_rings;

	uint32_t used_len; /* of the command that ended last */
	char message[512];
	jmp_buf *fail;
};

#define CT_DMA	   (4u << 20)
#define CT_OWN	   (8u << 20)
#define CT_WAIT_NS 4000000000ull

/* Ends the test. */
void ct_fail(struct ct *t, const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 4, 5), noreturn));
void ct_skip(struct ct *t, const char *why) __attribute__((noreturn));

#define ct_check(t, cond, fmt, ...)                                                                \
	do {                                                                                       \
		if (!(cond))                                                                       \
			ct_fail(t, __FILE__, __LINE__, "%s: " fmt, #cond, ##__VA_ARGS__);          \
	} while (0)

/* Resets the management device, negotiates these features (0: all that are good for it) and sets
 * the transportq up. Each test starts so; one that calls it again gets a fresh device. */
void ct_connect(struct ct *t, uint64_t features);
/* Only reset, ACKNOWLEDGE and DRIVER: the test does the rest. */
void ct_reset(struct ct *t);
/* The transportq's ring, whatever is negotiated; -errno of queue_setup. */
int ct_setup_transportq(struct ct *t, uint16_t index);
/* A fresh in-process device with other limits, until the test's end; skips where the device is
 * another. */
void ct_limit(struct ct *t, const struct ct_limits *limits);

/* The environment of a run: bus and loop, and in process (world.c) the device itself. NULL: a
 * sentence is in t->message. */
bool ct_open(struct ct *t, const struct ct_limits *limits);
void ct_close(struct ct *t);
struct ct_world *ct_world_new(const struct ct_options *o, const struct ct_limits *limits,
			      struct ct *t);
void ct_world_free(struct ct_world *w, struct ct *t);
/* DMA memory of a new bus, and its return. */
bool ct_prepare(struct ct *t);
void ct_unprepare(struct ct *t);
/* Frees what the last test had. */
void ct_end_test(struct ct *t);

/* DMA memory in space 0, zeroed; freed at the test's end. */
void *ct_alloc(struct ct *t, size_t size, size_t align, uint64_t *iova);
/* Memory that the device does not reach, zeroed; freed at the test's end. */
void *ct_own(struct ct *t, size_t size);
/* Lets the device work: one turn of the control executor. */
void ct_turn(struct ct *t);
/* Turns for that long. */
void ct_pause(struct ct *t, uint64_t ns);
/* Turns until done(arg) is true; false: it never was. */
bool ct_until(struct ct *t, bool (*done)(void *arg), void *arg);

/* ---- commands (command.c) ---- */

/* A chain as it will be sent: pieces of bytes. */
struct ct_chain {
	uint8_t *out; /* readable bytes */
	uint32_t out_len;
	uint32_t in_len;	  /* writable bytes, the ack included */
	const uint32_t *out_cuts; /* lengths of the readable pieces, ended by 0; NULL: one piece */
	const uint32_t *in_cuts;
	/* Results: */
	bool used;
	uint32_t used_len;
	uint8_t *in;		   /* in DMA memory; starts out as 0xa5 */
	struct tvq_drv_ring *ring; /* where it went */
};
/* Sends; does not wait. */
void ct_send_chain(struct ct *t, struct ct_chain *c);
/* Waits for it; false where it is not used in time. */
bool ct_wait_chain(struct ct *t, struct ct_chain *c);
/* The ack that a used chain carries; CT_LOST where it has none. */
uint32_t ct_ack(const struct ct_chain *c);

/* One command, waited for: the ack, or CT_LOST. in gets in-data, which has to have been written
 * whole (used length 4 + in_len) where the ack is OK. */
uint32_t ct_command(struct ct *t, uint64_t id, uint16_t class, uint16_t command, const void *out,
		    uint32_t out_len, void *in, uint32_t in_len);
/* A command in flight: for order and overtaking. */
struct ct_chain *ct_start(struct ct *t, uint64_t id, uint16_t class, uint16_t command,
			  const void *out, uint32_t out_len, uint32_t in_len);

#define CT_CLASS(c) VIRTIO_TRANSPTQ_CTRL_##c
#define ct_run(t, id, cls, cmd, out, out_len, in, in_len)                                          \
	ct_command(t, id, VIRTIO_TRANSPTQ_CTRL_##cls, VIRTIO_TRANSPTQ_CTRL_##cls##_##cmd, out,     \
		   out_len, in, in_len)
/* The answer has to be OK, or ERR. */
#define ct_ok(t, id, cls, cmd, out, out_len, in, in_len)                                           \
	do {                                                                                       \
		uint32_t ack_ = ct_run(t, id, cls, cmd, out, out_len, in, in_len);                 \
		if (ack_ != CT_OK)                                                                 \
			ct_fail(t, __FILE__, __LINE__, #cls " " #cmd " answers %s, not OK",        \
				ct_ack_name(ack_));                                                \
	} while (0)
#define ct_err(t, id, cls, cmd, out, out_len, in, in_len)                                          \
	do {                                                                                       \
		uint32_t ack_ = ct_run(t, id, cls, cmd, out, out_len, in, in_len);                 \
		if (ack_ != CT_ERR)                                                                \
			ct_fail(t, __FILE__, __LINE__, #cls " " #cmd " answers %s, not ERR",       \
				ct_ack_name(ack_));                                                \
	} while (0)
const char *ct_ack_name(uint32_t ack);

/* ---- managed devices (device.c) ---- */

/* Shorthands; those that return a value end the test where the command fails. Integers are the
 * CPU's. */
uint32_t ct_create(struct ct *t, uint32_t type, uint32_t asid, uint64_t features,
		   const void *config, uint32_t config_len, uint64_t *id);
uint64_t ct_new_blk(struct ct *t); /* default features, any volume */
uint64_t ct_new_blk_features(struct ct *t, uint64_t features, uint16_t num_queues);
uint64_t ct_new_volume(struct ct *t, const char *volume, uint64_t features);
void ct_destroy(struct ct *t, uint64_t id);
uint8_t ct_status(struct ct *t, uint64_t id);
uint32_t ct_set_status(struct ct *t, uint64_t id, uint8_t status); /* ack */
/* STATUS SET 0 and GET until it is 0. */
void ct_reset_device(struct ct *t, uint64_t id);
uint64_t ct_offered(struct ct *t, uint64_t id);
/* ACKNOWLEDGE to FEATURES_OK with these (0: all but 38); what was accepted. */
uint64_t ct_negotiate(struct ct *t, uint64_t id, uint64_t features);

/* All that it offers but 38, with this ring. */
uint64_t ct_features(struct ct *t, uint64_t id, bool packed, bool event_idx);

/* A queue that the test drives, in DMA memory of space 0; its own space maps that at t->shift
 * more. */
struct ct_vq {
	struct ct *t;
	uint64_t id;
	uint16_t index, size;
	bool packed;
	struct tvq_drv_ring *ring;
	uint64_t desc, driver, device; /* areas */
	uint64_t notify_addr;
	uint64_t shift;
	volatile uint32_t *msi; /* where its MSI is written; see CT_MSI_DATA */
	uint64_t msi_iova;
	unsigned int n_done;
};
#define CT_MSI_DATA(q) (0x1000u + (q)->index)

/* Memory and ring only. */
struct ct_vq *ct_vq_new(struct ct *t, uint64_t id, uint16_t index, uint16_t size,
			uint64_t features);
/* SIZE, ADDR, NOTIFY GET, and with msi VQ_SET and VQ_ENABLE; not VQ_ENABLE. */
void ct_vq_program(struct ct_vq *q, bool msi);
void ct_vq_notify(struct ct_vq *q);

/* ---- commands to queues (vq.c): those that return uint32_t return the ack ---- */

uint32_t ct_vq_enable(struct ct_vq *q, uint8_t enable);
uint8_t ct_vq_enabled(struct ct_vq *q);
uint32_t ct_vq_size(struct ct_vq *q, uint16_t size);
uint16_t ct_vq_size_get(struct ct *t, uint64_t id, uint16_t index);
uint32_t ct_vq_addr(struct ct_vq *q, uint64_t desc, uint64_t driver, uint64_t device);
uint32_t ct_vq_reset(struct ct_vq *q);
/* With a split ring used is not sent, and is avail when got. */
uint32_t ct_vq_index_set(struct ct_vq *q, uint16_t avail, uint16_t used);
uint32_t ct_vq_index(struct ct_vq *q, uint16_t *avail, uint16_t *used);
uint32_t ct_vq_asid(struct ct_vq *q, uint32_t asid);
uint32_t ct_vq_asid_get(struct ct *t, uint64_t id, uint16_t index); /* the asid */
uint32_t ct_vq_inflight(struct ct_vq *q, uint32_t asid, uint64_t addr, uint32_t size);

#define CT_CONFIG (-1) /* instead of a queue: the configuration's MSI */
uint32_t ct_msi_set(struct ct *t, uint64_t id, int queue, uint64_t addr, uint32_t data);
uint32_t ct_msi_enable(struct ct *t, uint64_t id, int queue, uint8_t enable);
uint32_t ct_msi_mask(struct ct *t, uint64_t id, int queue, uint8_t mask);

/* Until a word of memory has that value; false: it never has. */
bool ct_wait_word(struct ct *t, volatile uint32_t *word, uint32_t value);
/* Until so many requests wait at the slow volume; until the device says DEVICE_NEEDS_RESET. */
void ct_wait_slow(struct ct *t, unsigned int n);
void ct_wait_needs_reset(struct ct *t, uint64_t id);

/* A block request on a queue. */
struct ct_io {
	uint8_t *header, *data, *status;
	uint64_t header_iova, data_iova, status_iova;
	uint32_t len, written;
	unsigned int nth; /* of those that its queue used */
	bool done;
};
struct ct_io *ct_io_start(struct ct_vq *q, uint32_t type, uint64_t sector, uint32_t len);
/* Collects used buffers until io is done; false: it never was. */
bool ct_io_wait(struct ct_vq *q, struct ct_io *io);
/* Collects what is there; how many. */
unsigned int ct_io_collect(struct ct_vq *q);
/* Gives the device its chance and looks: for what must not be done. */
#define CT_CHANCE_NS 3000000
bool ct_served(struct ct_vq *q, struct ct_io *io);
/* Start, notify, wait; the status byte, or -1. */
int ct_io(struct ct_vq *q, uint32_t type, uint64_t sector, struct ct_io **io, uint32_t len);

/* All of it: negotiate, one queue programmed with MSI and enabled, DRIVER_OK. */
struct ct_vq *ct_up(struct ct *t, uint64_t id, uint64_t features, uint16_t size);
/* A device over the suite's slow volume, up, with one request under way there. */
struct ct_vq *ct_busy(struct ct *t, struct ct_io **io);

/* ---- network devices (net.c) ---- */

enum { /* feature bits of the type's own */
       CT_NET_F_CSUM = 0,
       CT_NET_F_GUEST_CSUM = 1,
       CT_NET_F_MTU = 3,
       CT_NET_F_MAC = 5,
       CT_NET_F_GUEST_TSO4 = 7,
       CT_NET_F_GUEST_TSO6 = 8,
       CT_NET_F_GUEST_ECN = 9,
       CT_NET_F_HOST_TSO4 = 11,
       CT_NET_F_HOST_TSO6 = 12,
       CT_NET_F_HOST_ECN = 13,
       CT_NET_F_STATUS = 16,
       CT_NET_F_CTRL_VQ = 17,
       CT_NET_F_CTRL_RX = 18,
       CT_NET_F_CTRL_VLAN = 19,
       CT_NET_F_GUEST_ANNOUNCE = 21,
       CT_NET_F_MQ = 22,
       CT_NET_F_CTRL_MAC_ADDR = 23,
       CT_NET_F_HASH_REPORT = 57,
       CT_NET_F_RSS = 60,
       CT_NET_F_SPEED_DUPLEX = 63,
};

/* What it can offer, and does by default; false: there is no such type. */
bool ct_net_type(struct ct *t, uint64_t *features, uint64_t *defaults);
/* cfg NULL: none. The ack. */
uint32_t ct_create_net(struct ct *t, uint64_t features,
		       const struct virtio_transportq_net_config *cfg, uint64_t *id);
uint64_t ct_new_net(struct ct *t, const struct virtio_transportq_net_config *cfg);
/* CONFIG GET, which has to be OK. */
void ct_net_config(struct ct *t, uint64_t id, uint32_t offset, uint32_t size, void *buf);

#define CT_NET_HDR  12 /* bytes of virtio's header */
#define CT_NET_ROOM 2048

/* A network device that the test drives: one pair, whole frames in one buffer, no offloads. */
struct ct_net {
	struct ct *t;
	uint64_t id, features;
	struct ct_vq *rx, *tx, *ctrl; /* ctrl NULL: not offered */
	uint8_t mac[6];
	const uint8_t *got; /* the frame that came last, with its header */
	uint32_t got_len;
};
/* From a device that was created to DRIVER_OK, with buffers to receive into. */
struct ct_net *ct_net_up(struct ct *t, uint64_t id);
/* An Ethernet frame of len bytes, 14 or more, of a test's own type. */
void ct_net_frame(uint8_t *f, const uint8_t *to, const uint8_t *from, uint32_t len, uint8_t seed);
/* Up to 16 at once; until the device has used the last one. */
void ct_net_send_all(struct ct_net *n, const uint8_t *const *frames, const uint32_t *lens,
		     unsigned int count);
/* Until the device has used it. */
void ct_net_send(struct ct_net *n, const uint8_t *frame, uint32_t len);
/* The next frame, to got; false: none comes. */
bool ct_net_receive(struct ct_net *n);
/* Gives the device its chance; true: no frame came. */
bool ct_net_silent(struct ct_net *n);
/* The frame that came last has these bytes. */
bool ct_net_got(const struct ct_net *n, const uint8_t *frame, uint32_t len);
/* A control command's ack (0: OK, 1: ERR), or -1. Skips where there is no control queue. */
int ct_net_ctrl(struct ct_net *n, uint8_t class, uint8_t cmd, const void *data, uint32_t len);

#endif
