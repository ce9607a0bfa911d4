// SPDX-License-Identifier: BSD-3-Clause
/*
 * A network device's life: its port comes and goes, resets, link, announcements.
 *
 * All here is on the control executor but for the functions named on_worker, which ops carry to the
 * switch. The outermost device is made before its worker knows the switch and freed after it has
 * forgotten it: its port comes and goes directly. A managed device's port goes by an op that frees
 * struct net when it is back: ops are done in order, so none finds it gone.
 */
#include "device/util.h"
#include "types/net.h"

#define DEFAULT_MTU  1500
#define SPEED_MBIT   10000 /* of no meaning: there is no wire */
#define MAC_TRIES    16
#define RARP_REVERSE 3

/* ---- the worker is told ---- */

static void sync_on_worker(struct tvq_switch_op *op)
{
	struct net_sync *s = tvq_container_of(op, struct net_sync, op);
	struct net *net = tvq_container_of(s, struct net, sync);
	struct tvq_port_info info;

	tvq_port_set_link(net->port, s->link);
	net->ctrl_there = s->ctrl;
	if (s->reset) {
		/* Cannot fail. */
		(void)tvq_port_set_filter(net->port, NULL);
		net->pairs_set = 1;
		net->rss_steers = false;
		memset(&net->rss, 0, sizeof(net->rss));
		if (net->flow)
			memset(net->flow, 0, NET_FLOWS * sizeof(*net->flow));
		tvq_port_info(net->port, &info);
		if (memcmp(info.mac, s->mac, 6) != 0 && tvq_port_set_mac(net->port, s->mac)) {
			/* Another port has taken it meanwhile: this one keeps what it has. */
			memcpy(s->mac, info.mac, 6);
		}
	}
	net_pairs_update(net);
}

void net_config_mac(struct net *net, const uint8_t mac[6])
{
	struct net_config *c = (void *)net->dev->config;

	if (!net->has_mac || !memcmp(c->mac, mac, 6))
		return;
	memcpy(c->mac, mac, 6);
	net->dev->generation++;
}

static void synced(struct tvq_switch_op *op)
{
	struct net_sync *s = tvq_container_of(op, struct net_sync, op);
	struct net *net = tvq_container_of(s, struct net, sync);

	s->busy = false;
	if (!net->dev)
		return;
	if (s->reset)
		net_config_mac(net, s->mac);
	if (s->again) {
		net_sync(net);
		return;
	}
	net_ctrlq_feed(net);
	/* A reset may wait for this. The device may be gone when it returns. */
	tvq_device_progress(net->dev);
}

void net_sync(struct net *net)
{
	struct net_sync *s = &net->sync;

	s->again = s->busy;
	if (s->busy)
		return;
	s->busy = true;
	s->op.run = sync_on_worker;
	s->op.done = synced;
	s->link = net->link;
	s->ctrl = net->ctrl;
	s->reset = net->reset_due;
	memcpy(s->mac, net->mac, 6);
	net->reset_due = false;
	tvq_switch_user_run(net->user, &s->op);
}

/* ---- coming ---- */

static struct net *net_alloc(struct tvq_device *dev)
{
	const struct tvq_os *os = dev->root->os;
	struct net *net = os->alloc(sizeof(*net));
	uint16_t n = net_max_pairs(dev);

	if (!net)
		return NULL;
	net->os = os;
	net->user = &dev->root->switch_user;
	net->sw = net->user->sw;
	net->dev = dev;
	net->max_pairs = n;
	net->pairs_set = 1;
	net->link = true;
	net->rx = os->alloc(2 * n * sizeof(*net->rx));
	net->flow = n > 1 ? os->alloc(NET_FLOWS * sizeof(*net->flow)) : NULL;
	net->cfg = os->alloc(sizeof(*net->cfg));
	if (!net->rx || !net->cfg || (n > 1 && !net->flow)) {
		os->free(net->rx, 2 * n * sizeof(*net->rx));
		os->free(net->flow, NET_FLOWS * sizeof(*net->flow));
		os->free(net->cfg, sizeof(*net->cfg));
		os->free(net, sizeof(*net));
		return NULL;
	}
	net->tx = net->rx + n;
	for (uint16_t i = 0; i < 2 * n; i++) {
		net->rx[i].net = net;
		net->rx[i].pair = i % n;
	}
	return net;
}

static void net_free(struct net *net)
{
	const struct tvq_os *os = net->os;

	os->free(net->rx, 2 * net->max_pairs * sizeof(*net->rx));
	os->free(net->flow, NET_FLOWS * sizeof(*net->flow));
	os->free(net->cfg, sizeof(*net->cfg));
	os->free(net->filter, sizeof(*net->filter));
	os->free(net, sizeof(*net));
}

/* A MAC of zeros: one of our own, locally administered. */
static int port_add(struct net *net, const struct tvq_type_cfg *cfg)
{
	const struct virtio_transportq_net_config *a = net_asked(cfg);
	bool pick = net_mac_zero(a->mac);
	struct tvq_port_cfg pc = {
		.ops = &net_port_ops,
		.mtu = net->mtu,
		/* A driver that is not told an address makes one up. */
		.no_spoofchk = !(cfg->features & TVQ_BIT(NET_F_MAC)),
		.device_id = net->dev->id,
	};
	int err = -EEXIST;

	memcpy(pc.mac, a->mac, sizeof(pc.mac));
	for (int i = 0; err == -EEXIST && i < (pick ? MAC_TRIES : 1); i++) {
		if (pick) {
			net->os->random(pc.mac, sizeof(pc.mac));
			pc.mac[0] = (uint8_t)((pc.mac[0] & ~1) | 2);
		}
		err = 0;
		net->port = tvq_port_add(net->sw, &pc, net, &err);
	}
	memcpy(net->mac, pc.mac, sizeof(net->mac));
	return net->port ? 0 : err;
}

/* Fields whose bit is not offered stay 0 (TQ-076). */
static void fill_config(struct net *net)
{
	struct net_config *c = (void *)net->dev->config;
	uint64_t f = net->dev->offered;

	if (f & TVQ_BIT(NET_F_MAC))
		memcpy(c->mac, net->mac, 6);
	if (f & TVQ_BIT(NET_F_STATUS))
		tvq_put16(&c->status, NET_S_LINK_UP);
	if (f & NET_F_MULTI)
		tvq_put16(&c->max_virtqueue_pairs, net->max_pairs);
	if (f & TVQ_BIT(NET_F_MTU))
		tvq_put16(&c->mtu, net->mtu);
	if (f & TVQ_BIT(NET_F_SPEED_DUPLEX)) {
		tvq_put32(&c->speed, SPEED_MBIT);
		c->duplex = 1;
	}
	if (f & (TVQ_BIT(NET_F_RSS) | TVQ_BIT(NET_F_HASH_REPORT))) {
		c->rss_max_key_size = TVQ_RSS_KEY;
		tvq_put16(&c->rss_max_indirection_table_length,
			  f & TVQ_BIT(NET_F_RSS) ? NET_RSS_TABLE : 0);
		tvq_put32(&c->supported_hash_types, NET_RSS_TYPES);
	}
}

static void net_created(struct net *net)
{
	struct tvq_device *dev = net->dev;
	void (*created)(struct tvq_device * d, int err) = net->created;
	int err = net->err;

	if (err) { /* created() frees the device */
		dev->type_data = NULL;
		net_free(net);
	} else {
		net->os->free(net->cfg, sizeof(*net->cfg));
		net->cfg = NULL;
		fill_config(net);
	}
	created(dev, err);
}

static void create_on_worker(struct tvq_switch_op *op)
{
	struct net *net = tvq_container_of(op, struct net, life_op);

	net->err = port_add(net, net->cfg);
}

static void create_done(struct tvq_switch_op *op)
{
	net_created(tvq_container_of(op, struct net, life_op));
}

void net_create(struct tvq_device *dev, const struct tvq_type_cfg *cfg,
		void (*done)(struct tvq_device *dev, int err))
{
	struct net *net = net_alloc(dev);
	uint16_t mtu = tvq_get16(&net_asked(cfg)->mtu);

	if (!net) {
		done(dev, -ENOMEM);
		return;
	}
	dev->type_data = net;
	*net->cfg = *cfg;
	net->created = done;
	net->mtu = mtu ? mtu : DEFAULT_MTU;
	net->has_mac = cfg->features & TVQ_BIT(NET_F_MAC);
	if (!dev->parent) {
		net->err = port_add(net, cfg);
		net_created(net);
		return;
	}
	net->life_op.run = create_on_worker;
	net->life_op.done = create_done;
	tvq_switch_user_run(net->user, &net->life_op);
}

/* ---- going ---- */

static void destroy_on_worker(struct tvq_switch_op *op)
{
	struct net *net = tvq_container_of(op, struct net, life_op);

	tvq_port_del(net->port);
	net->port = NULL;
}

static void destroy_done(struct tvq_switch_op *op)
{
	net_free(tvq_container_of(op, struct net, life_op));
}

void net_destroy(struct tvq_device *dev)
{
	struct net *net = dev->type_data;

	dev->type_data = NULL;
	net->dev = NULL;
	if (!dev->parent) {
		tvq_port_del(net->port);
		net_free(net);
		return;
	}
	net->life_op.run = destroy_on_worker;
	net->life_op.done = destroy_done;
	tvq_switch_user_run(net->user, &net->life_op);
}

/* ---- life ---- */

static void set_status(struct net *net, uint16_t clear, uint16_t set)
{
	struct net_config *c = (void *)net->dev->config;

	tvq_put16(&c->status, (uint16_t)((tvq_get16(&c->status) & ~clear) | set));
}

void net_announced(struct net *net)
{
	const struct net_config *c = (const void *)net->dev->config;

	if (!(tvq_get16(&c->status) & NET_S_ANNOUNCE))
		return;
	set_status(net, NET_S_ANNOUNCE, 0);
	net->dev->generation++;
}

void net_reset(struct tvq_device *dev)
{
	struct net *net = dev->type_data;

	/* No driver has been here since the last one. */
	if (!dev->status)
		return;
	net_announced(net);
	net->os->free(net->filter, sizeof(*net->filter));
	net->filter = NULL;
	net->reset_due = true;
	net_sync(net);
}

bool net_reset_busy(const struct tvq_device *dev)
{
	const struct net *net = dev->type_data;

	return net->sync.busy;
}

struct tvq_port *net_port(const struct tvq_device *dev)
{
	const struct net *net = dev->type_data;

	return net ? net->port : NULL;
}

int net_set_link(struct tvq_device *dev, bool up)
{
	struct net *net = dev->type_data;

	if (net->link == up)
		return 0;
	net->link = up;
	net_sync(net);
	if (dev->offered & TVQ_BIT(NET_F_STATUS)) {
		set_status(net, NET_S_LINK_UP, up ? NET_S_LINK_UP : 0);
		tvq_device_config_changed(dev);
	}
	return 0;
}

/* ---- announcing ---- */

static void rarp_on_worker(struct tvq_switch_op *op)
{
	struct net_rarp *r = tvq_container_of(op, struct net_rarp, op);
	struct net *net = tvq_container_of(r, struct net, rarp);
	/* Reverse ARP over Ethernet, a request: it asks for what nobody answers, and all switches
	 * on the way learn where its source is. */
	static const uint8_t start[] = { 0x80, 0x35, 0, 1, 8, 0, 6, 4, 0, RARP_REVERSE };
	struct tvq_seg seg = { r->payload, sizeof(r->payload) };
	struct tvq_frame f = { .n_seg = 1, .len = sizeof(r->payload), .seg = &seg };
	struct tvq_frame *const frames[] = { &f };
	struct tvq_port_info info;

	tvq_port_info(net->port, &info);
	memset(r->payload, 0, sizeof(r->payload));
	memcpy(r->payload, start, sizeof(start));
	memcpy(r->payload + 10, info.mac, 6); /* sender */
	memcpy(r->payload + 20, info.mac, 6); /* target */
	memset(f.mac, 0xff, 6);
	memcpy(f.mac + 6, info.mac, 6);
	tvq_switch_forward(net->port, frames, 1);
	tvq_switch_flush(net->sw);
}

static void rarp_done(struct tvq_switch_op *op)
{
	tvq_container_of(op, struct net_rarp, op)->busy = false;
}

int net_announce(struct tvq_device *dev)
{
	struct net *net = dev->type_data;

	if (net->ctrl_vq && tvq_device_has(dev, NET_F_GUEST_ANNOUNCE) &&
	    tvq_device_has(dev, NET_F_STATUS)) {
		set_status(net, 0, NET_S_ANNOUNCE);
		tvq_device_config_changed(dev);
		return 0;
	}
	if (net->rarp.busy)
		return 0;
	net->rarp.busy = true;
	net->rarp.op.run = rarp_on_worker;
	net->rarp.op.done = rarp_done;
	tvq_switch_user_run(net->user, &net->rarp.op);
	return 0;
}
