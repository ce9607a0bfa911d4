/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The Ethernet switch inside a management device (TQ-141): managed network devices, the management
 * device itself where it is a network device, and uplinks are its ports.
 *
 * A switch belongs to one executor, its worker: frames pass, and ports, addresses and counters
 * change, nowhere else, so that the data path has neither locks nor atomic operations. Whoever runs
 * the device reaches it from the control executor by a tvq_switch_op, in which everything said here
 * to be "on the worker" may be called.
 *
 * A port's directions are those of its user, as `ip -s link` shows them: tx is what the port's user
 * sends into the switch, rx what it gets from it.
 *
 * Freestanding. Nothing blocks.
 */
#ifndef TVQ_SWITCH_H
#define TVQ_SWITCH_H

#include <stdbool.h>
#include <stdint.h>

#include <tvq/dma.h>
#include <tvq/exec.h>

struct tvq_switch;
struct tvq_port;
struct tvq_frame;

#define TVQ_SWITCH_BATCH 64 /* frames at once, at most */
#define TVQ_ETH_HLEN	 14
#define TVQ_ETH_TAG	 0x8100 /* the EtherType that an 802.1Q tag begins with */
#define TVQ_MTU_MIN	 68
#define TVQ_MTU_MAX	 65521 /* 65535 - 14 */
#define TVQ_VLAN_MAX	 4094
#define TVQ_VLANS	 4096 /* bits of a set of VLANs */

/*
 * A frame on its way, made by the port that sends it and valid until tvq_switch_forward() returns.
 * Its addresses and its tag are a private copy: what was checked is what is delivered. The rest is
 * in the sender's memory, which its owner may change at any time.
 */
struct tvq_frame {
	uint8_t mac[12]; /* destination, source */
	bool tagged;	 /* came with an 802.1Q tag, which is in tci and not in seg */
	uint16_t tci;	 /* priority and VLAN, of the CPU; 0 where not tagged */
	uint16_t vid;	 /* the VLAN that it is in: the switch's, 0 where none */

	/* Offloads, as virtio_net_hdr says them, checked by who made the frame: csum_start +
	 * csum_offset + 2 <= len where flags has NEEDS_CSUM, which every GSO frame has; gso_size > 0. */
	uint8_t flags;	      /* VIRTIO_NET_HDR_F_NEEDS_CSUM, _DATA_VALID */
	uint8_t gso_type;     /* VIRTIO_NET_HDR_GSO_NONE, _TCPV4, _TCPV6; with _ECN */
	uint16_t gso_size;    /* bytes of payload of each segment */
	uint16_t csum_start;  /* bytes, from the beginning of seg */
	uint16_t csum_offset; /* bytes, from csum_start */

	uint16_t queue;		   /* of a sender with several: its pair's index */
	uint16_t n_seg;		   /* 1 or more */
	uint32_t len;		   /* bytes of seg: from the EtherType on, without tag */
	const struct tvq_seg *seg; /* the sender's memory */
};

/* Why a frame was dropped. */
enum tvq_drop {
	/* as its sender's: */
	TVQ_DROP_HEADER,   /* virtio header that lies, chain without room for it, runt */
	TVQ_DROP_SPOOFED,  /* source address of another port, or not its own */
	TVQ_DROP_VLAN,	   /* tagged on an access port, or a VLAN that the port is not in */
	TVQ_DROP_TOO_LONG, /* above the MTU */
	TVQ_DROP_LINK,	   /* sent while the link is down */
	/* as its receiver's: */
	TVQ_DROP_NO_BUFFER, /* the receiver had none */
	TVQ_DROP_NO_ROOM,   /* it had, too small ones */
	TVQ_DROP_RX_LONG,   /* above the receiver's MTU */
	TVQ_DROP_OFFLOAD,   /* the receiver lacks an offload, and it cannot be done in software */
	TVQ_DROP_UPLINK,    /* the file behind an uplink does not take it */
	TVQ_DROPS,
};
/* "spoofed": as switch show names it. Constant. */
const char *tvq_drop_name(enum tvq_drop why);

struct tvq_port_stats {
	uint64_t tx_packets, tx_bytes, rx_packets,
		rx_bytes; /* GSO frames count as one; no virtio headers */
	uint64_t drops[TVQ_DROPS];
};

struct tvq_port_ops {
	/*
	 * Gets up to TVQ_SWITCH_BATCH frames, copies what it takes, and counts what it does not
	 * (tvq_port_drop). Frames that need it are delivered with a tag (tvq_port_tags). On the
	 * worker; must not forward frames itself, nor add or delete ports. Pointers of one call may
	 * be to the same frame.
	 */
	void (*receive)(struct tvq_port *p, const struct tvq_frame *const *f, unsigned int n);
	/* Optional. After a batch in which receive was called: publish, interrupt. May delete
	 * ports. */
	void (*flush)(struct tvq_port *p);
	/* Optional. The port may send (again): its rate allows it, or its link came up. May delete
	 * it. */
	void (*feed)(struct tvq_port *p);
};

/* What passes a port of its user's choice (virtio 5.1.6.5.1 to .3). */
#define TVQ_FILTER_MACS 64 /* addresses in both tables together */
struct tvq_port_filter {
	bool promisc, allmulti;		      /* frames to unknown addresses, to any group */
	bool alluni, nomulti, nouni, nobcast; /* CTRL_RX_EXTRA */
	uint16_t n_unicast, n_multicast;
	uint8_t mac[TVQ_FILTER_MACS][6]; /* unicast first */
	bool vlan_filter;		 /* only VLANs of the set below */
	uint64_t vlans[TVQ_VLANS / 64];
};

/* Which VLANs (802.1Q) a port is in. */
enum tvq_vlan_mode {
	TVQ_VLAN_OPEN,	 /* all: tagged frames pass as they are, untagged ones are in VLAN 0 */
	TVQ_VLAN_ACCESS, /* one: its frames have no tag */
	TVQ_VLAN_TRUNK, /* those of a set, tagged; untagged frames are in `pvid`, or dropped where it is 0 */
};
struct tvq_port_vlan {
	enum tvq_vlan_mode mode;
	uint16_t pvid;		      /* ACCESS: 1 to TVQ_VLAN_MAX; TRUNK: 0 or one of the set */
	uint64_t set[TVQ_VLANS / 64]; /* TRUNK */
};

/* A limit to what a port's user sends: it waits, nothing is dropped. 0: none. */
struct tvq_port_rate {
	uint64_t bits, packets; /* a second */
};

/* Sees each frame of a port, in both directions, as it passes (mirroring). On the worker. */
struct tvq_port_mirror {
	/* n: not more than TVQ_SWITCH_BATCH; rx: delivered to the port. Must not block. */
	void (*frames)(struct tvq_port_mirror *m, struct tvq_port *p,
		       const struct tvq_frame *const *f, unsigned int n, bool rx);
	/* Optional. The port is being deleted: its mirror is set no more, and must not touch it
	 * again. A guest's driver deletes ports when it likes. */
	void (*gone)(struct tvq_port_mirror *m);
};

struct tvq_port_cfg {
	const struct tvq_port_ops *ops;
	uint8_t mac[6];	    /* its own address; all zero: an uplink, addresses are learned there */
	uint16_t mtu;	    /* bytes of payload, TVQ_MTU_MIN to TVQ_MTU_MAX */
	bool no_spoofchk;   /* its user may send from addresses that no port owns; they are learned
			   * (256 of them, at an uplink 4096; frames to others are flooded) */
	uint64_t device_id; /* of the managed device; 0: none. For listings */
};

/* ---- the switch ---- */

/* No ports. NULL: no memory. Control executor; os and the executors outlive it. */
struct tvq_switch *tvq_switch_new(const struct tvq_os *os, struct tvq_exec *control,
				  struct tvq_exec *worker);
/* No port is left and no op under way (tvq_switch_busy()). sw may be NULL. Control executor. */
void tvq_switch_free(struct tvq_switch *sw);
struct tvq_exec *tvq_switch_worker(const struct tvq_switch *sw);
struct tvq_exec *tvq_switch_control(const struct tvq_switch *sw);

/*
 * Something to do on the worker: run() is called there, then done() on the control executor, in
 * the order of the ops; never before tvq_switch_run() has returned. The caller's memory until
 * done(). Control executor.
 */
struct tvq_switch_op {
	void (*run)(struct tvq_switch_op *op);
	void (*done)(struct tvq_switch_op *op);
	struct tvq_switch *sw; /* these two: set by tvq_switch_run() */
	struct tvq_switch_user *user;
	struct tvq_msg msg; /* the switch's */
};
void tvq_switch_run(struct tvq_switch *sw, struct tvq_switch_op *op);
/* True while an op's done() is still to come. */
bool tvq_switch_busy(const struct tvq_switch *sw);

/*
 * Somebody who has to know when all of his own ops have ended, whatever others do with the switch
 * meanwhile: a management device whose reset waits for them. The caller's memory, as long as ops is
 * not 0. Control executor.
 */
struct tvq_switch_user {
	struct tvq_switch *sw;
	unsigned int ops;	 /* whose done() is still to come */
	void (*idle)(void *ctx); /* may be NULL; called whenever the last one has ended */
	void *ctx;
};
/* As tvq_switch_run(u->sw, op). */
void tvq_switch_user_run(struct tvq_switch_user *u, struct tvq_switch_op *op);

/* ---- ports: on the worker, or on the control executor before the worker knows the switch ---- */

/*
 * A new port: link up, all VLANs, promiscuous and all-multicast, no limit. NULL and *err: -EEXIST
 * (a port has that address), -EINVAL (a group's address, an MTU out of range), -ENOMEM. ctx is for
 * tvq_port_ctx(). A number is used again only after 2^32 others.
 */
struct tvq_port *tvq_port_add(struct tvq_switch *sw, const struct tvq_port_cfg *cfg, void *ctx,
			      int *err);
/* Its addresses are forgotten; no callback comes any more. p may be NULL. */
void tvq_port_del(struct tvq_port *p);
void *tvq_port_ctx(const struct tvq_port *p);
struct tvq_switch *tvq_port_switch(const struct tvq_port *p);

/* -EEXIST: a port owns it; -EINVAL: a group's or zero, or p is an uplink. */
int tvq_port_set_mac(struct tvq_port *p, const uint8_t mac[6]);
/* True where the address was learned at another port, in whatever VLAN: it is somebody's, who would
 * lose his traffic if it became p's own. */
bool tvq_port_mac_elsewhere(const struct tvq_port *p, const uint8_t mac[6]);
/* -EINVAL. */
int tvq_port_set_mtu(struct tvq_port *p, uint16_t mtu);
/* A down port neither sends nor receives. What was learned there is forgotten. */
void tvq_port_set_link(struct tvq_port *p, bool up);
/* Off: its user may send from addresses that no port owns (no_spoofchk). Nothing for an uplink. */
void tvq_port_set_spoofchk(struct tvq_port *p, bool on);
/* -EINVAL; -ENOMEM: nothing has changed. */
int tvq_port_set_vlan(struct tvq_port *p, const struct tvq_port_vlan *vlan);
/* -EINVAL: more than 10^15 a second; -ENOMEM: nothing has changed. What was saved up or owed at the
 * rate before is forgotten. A burst is what 10 ms of the rate allow and the rest of its last frame.
 */
int tvq_port_set_rate(struct tvq_port *p, const struct tvq_port_rate *rate);
/* Copied; NULL: as a new port's. -ENOMEM, and -EINVAL (too many addresses): nothing has
 * changed. A promiscuous one lets pass all that the switch has for the port. Unicast addresses let
 * frames pass that would be flooded; they are no claim to an address that is another port's or was
 * learned elsewhere. */
int tvq_port_set_filter(struct tvq_port *p, const struct tvq_port_filter *filter);
/* m stays the caller's until another (NULL: none) is set, or m->gone() has been called. */
void tvq_port_set_mirror(struct tvq_port *p, struct tvq_port_mirror *m);

struct tvq_port_info {
	uint32_t number; /* of the port; see tvq_port_add() */
	uint64_t device_id;
	uint8_t mac[6];
	uint16_t mtu;
	bool link, spoofchk, mirrored;
	struct tvq_port_vlan vlan;
	struct tvq_port_rate rate;
	uint32_t n_learned;
	struct tvq_port_stats stats;
};
void tvq_port_info(const struct tvq_port *p, struct tvq_port_info *info);
/* For listings: the port with the lowest number above that (0 for the first); NULL: no more. */
struct tvq_port *tvq_switch_next_port(const struct tvq_switch *sw, uint32_t number);

/* An address that the switch knows. */
struct tvq_fdb_entry {
	uint8_t mac[6];
	uint16_t vid; /* own addresses: 0, they hold in any VLAN */
	bool own;     /* the port's own; else learned */
	uint32_t port;
	uint32_t age; /* seconds since it was seen; learned ones are forgotten after 300 */
};
/* Up to n entries behind *cursor (0 for the first), which moves on; changes meanwhile may make an
 * entry come twice or not at all. Returns how many; 0: no more. */
unsigned int tvq_switch_fdb(const struct tvq_switch *sw, uint64_t *cursor, struct tvq_fdb_entry *e,
			    unsigned int n);

/* ---- frames: on the worker ---- */

/*
 * Frames that p's user sends, up to TVQ_SWITCH_BATCH: checked against the port's rules, counted,
 * and copied to wherever they go. When it returns the frames are the caller's again; what was
 * copied is published by tvq_switch_flush(), which is due before the turn ends.
 */
void tvq_switch_forward(struct tvq_port *p, struct tvq_frame *const *f, unsigned int n);
void tvq_switch_flush(struct tvq_switch *sw);

/* How many frames p may send now, not more than n; fewer at once where what it sends is flooded to
 * many ports. 0: its link is down or its rate is used up, and feed() comes when that is over. */
unsigned int tvq_port_may_send(struct tvq_port *p, unsigned int n);

/* A frame that p's user sent, or should have got, was dropped. */
void tvq_port_drop(struct tvq_port *p, enum tvq_drop why, uint64_t n);
/* A frame was delivered to p's user. bytes: without virtio header, tag included. */
void tvq_port_received(struct tvq_port *p, uint64_t packets, uint64_t bytes);

/* True where p gets f with a tag: f->tci's priority, f->vid's number. */
bool tvq_port_tags(const struct tvq_port *p, const struct tvq_frame *f);
/* The frame's first bytes as p gets them, up to the EtherType (which seg begins with): 12 or 16. */
unsigned int tvq_frame_head(const struct tvq_port *p, const struct tvq_frame *f, uint8_t head[16]);

/* ---- ports to measure with: on the worker ---- */

/* Takes everything and keeps nothing. Frames to its address, and those that are flooded. */
struct tvq_port *tvq_sink_new(struct tvq_switch *sw, const uint8_t mac[6], int *err);
/* Sends frames of `bytes` (60 to 1514, without checksum) from its address to `to`, as many as the
 * port that has that address takes. */
struct tvq_port *tvq_source_new(struct tvq_switch *sw, const uint8_t mac[6], const uint8_t to[6],
				uint16_t bytes, int *err);
/* Of either. */
void tvq_measure_free(struct tvq_port *p);

#endif
