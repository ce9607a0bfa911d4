// SPDX-License-Identifier: GPL-2.0-only
/*
 * The class of network devices.
 *
 * The words of the vdpa tool, mac, mtu and max_vqp, become CREATE's dev_config (TQ-140), in which a
 * value without its feature bit fails. With device_features just these are asked for, and the core
 * has checked that those of the words are among them, and that an MTU is not below 68. Without, the
 * device has its defaults; a word whose bit is not among those brings the bit with it.
 *
 * A device has two queues a pair; a control queue follows them where CTRL_VQ is offered.
 */
#include <linux/etherdevice.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>
#include <uapi/linux/vdpa.h>

#include "tvq_fn.h"
#include "tvq_mgmt.h"

#define F(name) BIT_ULL(VIRTIO_NET_F_##name)

/* Bits that require one of others (virtio 1.4, 5.1.3.1); a device that lacks it is refused. */
static const struct {
	u64 bits, one_of;
} requirements[] = {
	{ F(GUEST_TSO4) | F(GUEST_TSO6) | F(GUEST_UFO) | F(GUEST_USO4) | F(GUEST_USO6),
	  F(GUEST_CSUM) },
	{ F(GUEST_ECN), F(GUEST_TSO4) | F(GUEST_TSO6) },
	{ F(HOST_TSO4) | F(HOST_TSO6) | F(HOST_UFO) | F(HOST_USO), F(CSUM) },
	{ F(HOST_ECN), F(HOST_TSO4) | F(HOST_TSO6) },
	{ F(CTRL_RX) | F(CTRL_VLAN) | F(CTRL_RX_EXTRA) | F(CTRL_MAC_ADDR) | F(GUEST_ANNOUNCE) |
		  F(MQ) | F(RSS) | F(HASH_REPORT) | F(NOTF_COAL) | F(CTRL_GUEST_OFFLOADS),
	  F(CTRL_VQ) },
	{ F(RSC_EXT), F(HOST_TSO4) | F(HOST_TSO6) },
};

/* The values that are not "choose yourself". */
struct wish {
	const u8 *mac;
	u16 mtu, pairs;
	u64 bits; /* that they need */
};

static int read_wish(const struct tvq_mgmt *m, const char *name,
		     const struct vdpa_dev_set_config *want, struct wish *w)
{
	if (want->mask & BIT_ULL(VDPA_ATTR_DEV_NET_CFG_MACADDR) &&
	    !is_zero_ether_addr(want->net.mac)) {
		w->mac = want->net.mac;
		w->bits |= F(MAC);
		if (is_multicast_ether_addr(w->mac)) {
			dev_err(&m->aux.dev, "%s: mac %pM is a group's address\n", name, w->mac);
			return -EINVAL;
		}
	}
	if (want->mask & BIT_ULL(VDPA_ATTR_DEV_NET_CFG_MTU)) {
		w->mtu = want->net.mtu;
		w->bits |= F(MTU);
	}
	w->pairs = 1;
	if (want->mask & BIT_ULL(VDPA_ATTR_DEV_NET_CFG_MAX_VQP) && want->net.max_vq_pairs > 1) {
		w->pairs = want->net.max_vq_pairs;
		w->bits |= F(MQ) | F(CTRL_VQ);
	}
	return 0;
}

static int check_given(const struct tvq_mgmt *m, const char *name, u64 features)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(requirements); i++) {
		u64 bits = features & requirements[i].bits;

		if (!bits || features & requirements[i].one_of)
			continue;
		dev_err(&m->aux.dev, "%s: device_features %#llx: %#llx in it needs one of %#llx\n",
			name, features, bits, requirements[i].one_of);
		return -EINVAL;
	}
	return 0;
}

/* What to ask for (0: the defaults), and what the device will offer then. */
static int choose_features(const struct tvq_mgmt *m, const char *name,
			   const struct vdpa_dev_set_config *want, const struct wish *w, u64 *ask,
			   u64 *offered)
{
	u64 missing = w->bits & ~m->features;

	if (want->mask & BIT_ULL(VDPA_ATTR_DEV_FEATURES)) {
		*ask = *offered = want->device_features;
		return check_given(m, name, *ask);
	}
	if (missing) {
		dev_err(&m->aux.dev, "%s: that takes the features %#llx, of which it lacks %#llx\n",
			name, w->bits, missing);
		return -EOPNOTSUPP;
	}
	*offered = m->default_features | w->bits;
	/* Several pairs bring their bits with them (TQ-051). */
	*ask = w->bits & ~m->default_features & (F(MAC) | F(MTU)) ? *offered : 0;
	return 0;
}

static int count_queues(const struct tvq_mgmt *m, const char *name, const struct wish *w,
			u64 offered, u16 *n_queues)
{
	u32 n = 2 * (u32)w->pairs + !!(offered & F(CTRL_VQ));

	if (n > m->max_vqs) {
		dev_err(&m->aux.dev, "%s: max_vqp %u takes %u queues, the most is %u\n", name,
			w->pairs, n, m->max_vqs);
		return -EINVAL;
	}
	*n_queues = n;
	return 0;
}

/* It was refused, though nothing was wrong with what was asked for. */
static int explain(struct tvq_mgmt *m, const char *name, const struct wish *w, u16 n_queues)
{
	if (!tvq_has_room(m, n_queues)) {
		dev_err(&m->aux.dev, "%s: there is no room for a device with %u queues\n", name,
			n_queues);
		return -ENOSPC;
	}
	if (w->mac && w->mtu <= ETH_DATA_LEN) {
		dev_err(&m->aux.dev, "%s: refused; is mac %pM in use?\n", name, w->mac);
		return -EADDRINUSE;
	}
	dev_err(&m->aux.dev, "%s: refused; the device's own log says why\n", name);
	return -EIO;
}

static int create(struct tvq_mgmt *m, const char *name, const struct vdpa_dev_set_config *want,
		  struct tvq_made *made)
{
	struct virtio_transportq_net_config v = {};
	u64 ask = 0, offered = 0;
	struct wish w = {};
	int err;

	err = read_wish(m, name, want, &w);
	if (!err)
		err = choose_features(m, name, want, &w, &ask, &offered);
	if (!err)
		err = count_queues(m, name, &w, offered, &made->n_queues);
	if (err)
		return err;
	if (w.mac)
		ether_addr_copy(v.mac, w.mac);
	v.mtu = cpu_to_le16(w.mtu);
	v.max_virtqueue_pairs = cpu_to_le16(w.pairs > 1 ? w.pairs : 0);
	err = tvq_create(m, ask, &v, sizeof(v), &made->id);
	return err == -EIO ? explain(m, name, &w, made->n_queues) : err;
}

const struct tvq_class tvq_class_net = {
	.virtio_id = VIRTIO_ID_NET,
	.name = "net",
	.config_size = sizeof(struct virtio_net_config),
	.config_moves = true,
	.attributes = BIT_ULL(VDPA_ATTR_DEV_FEATURES) | BIT_ULL(VDPA_ATTR_DEV_NET_CFG_MACADDR) |
		      BIT_ULL(VDPA_ATTR_DEV_NET_CFG_MTU) | BIT_ULL(VDPA_ATTR_DEV_NET_CFG_MAX_VQP),
	.create = create,
};
