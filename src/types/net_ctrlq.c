// SPDX-License-Identifier: BSD-3-Clause
/*
 * The control queue. It is served on the control executor, one command at a time: copied, decoded
 * (net_ctrl.c), carried to the switch's worker by an op where the port has to hear of it, and used
 * when that is back. While one is under way, and while a reset or a link change is, the queue is
 * starved.
 */
#include "device/util.h"
#include "types/net.h"

#define CTRL_SEGS 64

struct net_ctrlq {
	struct net *net;
	struct tvq_vq *vq;
	bool busy; /* a command is with the worker */
	struct tvq_chain chain;
	struct tvq_switch_op op;
	struct net_ctrl cmd;
	struct net_filter *filter; /* as it is to be; NULL: the command does not change it */
	int err;		   /* from the worker */
	struct tvq_seg seg[CTRL_SEGS];
	uint64_t iova[CTRL_SEGS];
	uint8_t buf[NET_CTRL_MAX];
};

/* ---- the answer ---- */

static void answer(struct net_ctrlq *cq, int err)
{
	struct tvq_vq *vq = cq->vq;
	struct tvq_seg *s = &cq->seg[cq->chain.n_out];

	*(uint8_t *)s->va = err ? NET_CTRL_ACK_ERR : NET_CTRL_ACK_OK;
	if (vq->view.log)
		tvq_dma_wrote(&vq->view, cq->iova[cq->chain.n_out], 1);
	if (err)
		tvq_vq_count(&vq->stats, TVQ_STAT_ERRORS, 1);
	tvq_vq_count(&vq->stats, TVQ_STAT_BYTES_WRITTEN, 1);
	tvq_vq_used(vq, &cq->chain, 1);
	tvq_vq_publish_late(vq);
}

/* ---- what the port is told ---- */

static void on_worker(struct tvq_switch_op *op)
{
	struct net_ctrlq *cq = tvq_container_of(op, struct net_ctrlq, op);
	const struct net_ctrl *cmd = &cq->cmd;
	struct net *net = cq->net;

	cq->err = 0;
	if (cq->filter)
		cq->err = tvq_port_set_filter(net->port, &cq->filter->f);
	switch (cmd->what) {
	case NET_CTRL_MAC_ADDR:
		/* Its driver may choose one of its own: not the gateway's behind an uplink. */
		cq->err = tvq_port_mac_elsewhere(net->port, cmd->mac)
				  ? -EEXIST
				  : tvq_port_set_mac(net->port, cmd->mac);
		break;
	case NET_CTRL_PAIRS:
		net->pairs_set = cmd->value;
		net->rss_steers = false;
		break;
	case NET_CTRL_RSS:
		net->rss = cmd->rss;
		net->pairs_set = net->max_pairs;
		net->rss_steers = true;
		break;
	case NET_CTRL_HASH:
		net->rss.types = cmd->rss.types;
		memcpy(net->rss.key, cmd->rss.key, sizeof(net->rss.key));
		break;
	default:
		break;
	}
	net_pairs_update(net);
}

static void worker_done(struct tvq_switch_op *op)
{
	struct net_ctrlq *cq = tvq_container_of(op, struct net_ctrlq, op);
	struct net *net = cq->net;

	cq->busy = false;
	if (cq->filter && !cq->err) {
		net->os->free(net->filter, sizeof(*net->filter));
		net->filter = cq->filter;
	} else {
		net->os->free(cq->filter, sizeof(*cq->filter));
	}
	cq->filter = NULL;
	if (cq->cmd.what == NET_CTRL_MAC_ADDR && !cq->err)
		net_config_mac(net, cq->cmd.mac);
	answer(cq, cq->err);
	tvq_vq_feed(cq->vq);
}

/* ---- filters ---- */

/* As after a reset: everything. */
static void filter_copy(struct net_filter *to, const struct net_filter *from)
{
	if (from)
		*to = *from;
	else
		*to = (struct net_filter){ .f.promisc = true, .allmulti = true };
}

static void filter_macs(struct net_filter *f, const struct net_ctrl *cmd)
{
	f->f.n_unicast = cmd->n_unicast;
	f->f.n_multicast = cmd->n_multicast;
	memcpy(f->f.mac, cmd->table, sizeof(f->f.mac));
	f->full_unicast = cmd->all_unicast;
	f->full_multicast = cmd->all_multicast;
}

static void filter_vlan(struct net_filter *f, uint16_t vid, bool in)
{
	uint64_t bit = 1ull << vid % 64, *word = &f->f.vlans[vid / 64];

	f->f.vlan_filter = true;
	*word = in ? *word | bit : *word & ~bit;
}

/* False: the command has nothing to do with filters. */
static bool filter_change(struct net_filter *f, const struct net_ctrl *cmd)
{
	switch (cmd->what) {
	case NET_CTRL_PROMISC:
		f->f.promisc = cmd->on;
		break;
	case NET_CTRL_ALLMULTI:
		f->allmulti = cmd->on;
		break;
	case NET_CTRL_ALLUNI:
		f->alluni = cmd->on;
		break;
	case NET_CTRL_NOMULTI:
		f->f.nomulti = cmd->on;
		break;
	case NET_CTRL_NOUNI:
		f->f.nouni = cmd->on;
		break;
	case NET_CTRL_NOBCAST:
		f->f.nobcast = cmd->on;
		break;
	case NET_CTRL_MAC_TABLE:
		filter_macs(f, cmd);
		break;
	case NET_CTRL_VLAN_ADD:
	case NET_CTRL_VLAN_DEL:
		filter_vlan(f, cmd->value, cmd->what == NET_CTRL_VLAN_ADD);
		break;
	default:
		return false;
	}
	f->f.allmulti = f->allmulti || f->full_multicast;
	f->f.alluni = f->alluni || f->full_unicast;
	return true;
}

/* ---- a command ---- */

/* Copies the readable part; false: it is longer than any command. */
static bool gather(struct net_ctrlq *cq)
{
	uint8_t *to = cq->buf;

	if (cq->chain.out_len > sizeof(cq->buf))
		return false;
	for (unsigned int i = 0; i < cq->chain.n_out; i++) {
		memcpy(to, cq->seg[i].va, cq->seg[i].len);
		to += cq->seg[i].len;
	}
	return true;
}

static void run_command(struct net_ctrlq *cq)
{
	struct net *net = cq->net;
	int err = -EINVAL;

	if (gather(cq))
		err = net_ctrl_decode(cq->buf, cq->chain.out_len, net->dev->accepted,
				      net->max_pairs, &cq->cmd);
	if (!err && cq->cmd.what == NET_CTRL_ANNOUNCE_ACK) {
		net_announced(net);
		answer(cq, 0);
		return;
	}
	if (!err) {
		cq->filter = net->os->alloc(sizeof(*cq->filter));
		err = cq->filter ? 0 : -ENOMEM;
	}
	if (err) {
		answer(cq, err);
		return;
	}
	filter_copy(cq->filter, net->filter);
	if (!filter_change(cq->filter, &cq->cmd)) {
		net->os->free(cq->filter, sizeof(*cq->filter));
		cq->filter = NULL;
	}
	cq->busy = true;
	tvq_switch_user_run(net->user, &cq->op);
}

static unsigned int net_ctrl_work(struct tvq_vq *vq)
{
	struct net_ctrlq *cq = vq->type_data;
	struct tvq_chain *chain = &cq->chain;

	vq->starved = cq->busy || cq->net->sync.busy;
	if (vq->starved)
		return 0;
	if (!tvq_ring_has_work(&vq->ring) || !tvq_vq_take(vq, &chain, 1))
		return 0;
	/* Without room for the answer it is not executed. */
	if (chain->too_long || !chain->n_in) {
		tvq_vq_count(&vq->stats, TVQ_STAT_ERRORS, 1);
		tvq_vq_used(vq, chain, 0);
		tvq_vq_publish_late(vq);
		return 1;
	}
	tvq_vq_count(&vq->stats, TVQ_STAT_BYTES_READ, chain->out_len);
	run_command(cq);
	return 1;
}

/* ---- coming and going ---- */

void net_ctrlq_feed(struct net *net)
{
	if (net->ctrl_vq && net->ctrl_vq->starved)
		tvq_vq_feed(net->ctrl_vq);
}

static int net_ctrl_enter(struct tvq_vq *vq)
{
	struct net *net = vq->dev->type_data;
	struct net_ctrlq *cq = net->os->alloc(sizeof(*cq));

	if (!cq)
		return -ENOMEM;
	cq->net = net;
	cq->vq = vq;
	cq->chain.seg = cq->seg;
	cq->chain.iova = cq->iova;
	cq->chain.max_seg = CTRL_SEGS;
	cq->op.run = on_worker;
	cq->op.done = worker_done;
	vq->type_data = cq;
	net->ctrl_vq = vq;
	net->ctrl = true;
	net_sync(net);
	return 0;
}

/* No command is under way: leaving waits for it. */
static void net_ctrl_leave(struct tvq_vq *vq)
{
	struct net_ctrlq *cq = vq->type_data;
	struct net *net = cq ? cq->net : NULL;

	if (!cq)
		return;
	vq->type_data = NULL;
	net->os->free(cq, sizeof(*cq));
	net->ctrl_vq = NULL;
	net->ctrl = false;
	net_sync(net);
}

const struct tvq_vq_ops net_ctrl_ops = {
	.where = TVQ_VQ_CONTROL,
	.work = net_ctrl_work,
	.enter = net_ctrl_enter,
	.leave = net_ctrl_leave,
};
