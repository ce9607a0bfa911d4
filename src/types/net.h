/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A network device: what its files share. It is a port of the management device's switch
 * (tvq/switch.h); its receive and transmit queues are served on the switch's worker, its control
 * queue on the control executor.
 *
 * struct net has two halves, as a queue has. What is on the worker changes there only, by ops of the
 * switch. It outlives the device: the op that takes the port away frees it.
 */
#ifndef TVQ_TYPES_NET_H
#define TVQ_TYPES_NET_H

#include <tvq/switch.h>

#include "device/device_priv.h"
#include "switch/offload.h"
#include "types/net_ctrl.h"

/* virtio 1.4, 5.1.4, whole (TQ-076). */
struct net_config {
	uint8_t mac[6];
	uint16_t status;
	uint16_t max_virtqueue_pairs;
	uint16_t mtu;
	uint32_t speed; /* Mbit/s */
	uint8_t duplex; /* 1: full */
	uint8_t rss_max_key_size;
	uint16_t rss_max_indirection_table_length;
	uint32_t supported_hash_types;
	uint32_t supported_tunnel_types;
} __attribute__((packed));

_Static_assert(sizeof(struct net_config) == 28, "virtio 1.4, 5.1.4");
_Static_assert(sizeof(struct net_config) <= TVQ_TYPE_CONFIG_MAX, "fits");

enum { NET_S_LINK_UP = 1, NET_S_ANNOUNCE = 2 };

/* The header before each frame (virtio 1.4, 5.1.6). */
struct net_hdr {
	uint8_t flags;
	uint8_t gso_type;
	uint16_t hdr_len;
	uint16_t gso_size;
	uint16_t csum_start;
	uint16_t csum_offset;
	uint16_t num_buffers;
	/* with HASH_REPORT only: */
	uint32_t hash_value;
	uint16_t hash_report;
	uint16_t padding;
} __attribute__((packed));

#define NET_HDR		 12
#define NET_HDR_HASH	 20
#define NET_TX_SEGS	 65 /* an odd number: the first ones lie in different sets of the cache */
#define NET_RX_SEGS	 33
#define NET_RX_CHAINS	 128
#define NET_FRAME_CHAINS 64 /* of one received frame, at most */
#define NET_FLOWS	 1024

/*
 * What a worker needs while it works on one batch; nothing of it lasts longer, so that all its
 * queues share it. Receiving happens within sending, never within receiving.
 */
struct net_scratch {
	struct tvq_exec_local local;
	const struct tvq_os *os;
	struct tvq_exec *exec;

	struct tvq_chain *tx_chains[TVQ_SWITCH_BATCH];
	struct tvq_chain *rx_chains[NET_RX_CHAINS];
	struct tvq_frame *frames[TVQ_SWITCH_BATCH];
	struct tvq_frame frame[TVQ_SWITCH_BATCH];
	struct tvq_buf buf[TVQ_SWITCH_BATCH]; /* of what is sent */
	struct tvq_seg buf_seg[TVQ_SWITCH_BATCH];
	struct tvq_buf rx_buf[TVQ_SWITCH_BATCH];
	uint32_t rx_written[TVQ_SWITCH_BATCH];
	struct tvq_chain tx_chain[TVQ_SWITCH_BATCH];
	struct tvq_chain rx_chain[NET_RX_CHAINS];
	struct tvq_segmenter segmenter;
	struct tvq_seg tx_seg[TVQ_SWITCH_BATCH][NET_TX_SEGS];
	struct tvq_seg rx_seg[NET_RX_CHAINS][NET_RX_SEGS];
	uint64_t rx_iova[NET_RX_CHAINS][NET_RX_SEGS]; /* while writes are logged */
};

/* A receive or transmit queue; the worker's. */
struct net_queue {
	struct tvq_vq *vq; /* NULL: not there */
	struct net *net;
	struct net_scratch *scratch;
	uint64_t features; /* accepted */
	uint16_t pair;
	uint8_t hdr_len;
	uint8_t can;	  /* TVQ_CAN_*: offloads that this receiver takes */
	bool mrg, report; /* MRG_RXBUF, HASH_REPORT */
	bool dirty;	  /* used buffers wait for flush() */
	bool large;	  /* what it sent last were many bytes: fewer frames at once */
};

/* State that the device owes the worker: one op at a time carries it there. */
struct net_sync {
	struct tvq_switch_op op;
	bool busy, again;
	bool link, ctrl; /* up; the control queue is being served */
	bool reset;	 /* what the driver set by commands is forgotten */
	uint8_t mac[6];	 /* with reset; in: the one to go back to; out: what the port has */
};

struct net_rarp {
	struct tvq_switch_op op;
	bool busy;
	uint8_t payload[48]; /* from the EtherType on */
};

/* What the driver wants to receive; f is what that comes to. */
struct net_filter {
	struct tvq_port_filter f;
	bool allmulti, alluni;		   /* by its commands */
	bool full_unicast, full_multicast; /* a table that it sent was longer than ours */
};

struct net {
	/* Worker's half. */
	struct tvq_port *port;
	uint16_t n_pairs;   /* that frames are delivered to: see net_pairs_update() */
	uint16_t max_pairs; /* constant */
	uint16_t pairs_set; /* by VQ_PAIRS_SET or RSS; 1 after a reset */
	bool ctrl_there;
	struct net_queue *rx, *tx; /* by pair */
	uint16_t *flow;		   /* by hash: pair that it sends on, plus 1; NULL: one pair only */
	struct net_rss rss;	   /* types 0: no hash */
	bool rss_steers;

	/* Control's half. */
	struct tvq_device *dev; /* NULL: destroyed */
	struct tvq_switch *sw;
	struct tvq_switch_user *user; /* the management device */
	const struct tvq_os *os;
	struct tvq_type_cfg *cfg; /* while it is created */
	void (*created)(struct tvq_device *dev, int err);
	int err;
	uint16_t mtu;
	uint8_t mac[6];		    /* as created: what a reset goes back to */
	bool has_mac;		    /* MAC is offered */
	bool link, ctrl, reset_due; /* what the worker has to be told */
	struct net_filter *filter;  /* NULL: as after a reset */
	struct tvq_vq *ctrl_vq;	    /* while it is served */
	struct tvq_switch_op life_op;
	struct net_sync sync;
	struct net_rarp rarp;
};

static inline bool net_has(uint64_t features, unsigned int bit)
{
	return features >> bit & 1;
}

static inline bool net_mac_zero(const uint8_t mac[6])
{
	return !(mac[0] | mac[1] | mac[2] | mac[3] | mac[4] | mac[5]);
}

/* Several pairs; max_virtqueue_pairs is there. */
#define NET_F_MULTI (TVQ_BIT(NET_F_MQ) | TVQ_BIT(NET_F_RSS))

static inline const struct virtio_transportq_net_config *net_asked(const struct tvq_type_cfg *cfg)
{
	return (const void *)cfg->dev_config;
}

/* A device has 2N + 1 slots, with or without a control queue, and the transportq's. */
static inline uint16_t net_max_pairs(const struct tvq_device *dev)
{
	return (uint16_t)((dev->n_vqs - 1) / 2);
}

extern const struct tvq_vq_ops net_rx_ops, net_tx_ops, net_ctrl_ops;
extern const struct tvq_port_ops net_port_ops;

/* ---- net_life.c: control executor; the first ones as struct tvq_type has them ---- */
void net_create(struct tvq_device *dev, const struct tvq_type_cfg *cfg,
		void (*done)(struct tvq_device *dev, int err));
void net_destroy(struct tvq_device *dev);
void net_reset(struct tvq_device *dev);
bool net_reset_busy(const struct tvq_device *dev);
struct tvq_port *net_port(const struct tvq_device *dev);
int net_set_link(struct tvq_device *dev, bool up);
int net_announce(struct tvq_device *dev);
/* Brings net->link, ->ctrl and a due reset to the worker. Commands wait while net->sync.busy. */
void net_sync(struct net *net);
/* The port has that address now: the configuration follows (TQ-075). */
void net_config_mac(struct net *net, const uint8_t mac[6]);
/* The driver has announced itself. */
void net_announced(struct net *net);

/* ---- net_rx.c: worker ---- */
/* A queue has come or gone, or the driver has chosen how many there are to be. */
void net_pairs_update(struct net *net);

/* ---- net_queue.c: worker ---- */
/* What the two kinds of queue have in common. q's vq is set while it is there. */
int net_queue_enter(struct net_queue *q, struct tvq_vq *vq);
void net_queue_leave(struct net_queue *q);

/* ---- net_ctrlq.c ---- */
/* The state that commands are judged against has been brought to the worker: they may go on. */
void net_ctrlq_feed(struct net *net);

#endif
