/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is particular to network devices. Theory of operation.
 *
 * The control queue. QEMU and DPDK's virtio_user serve it themselves and tell the back end what
 * came of it by SET_VRING_ENABLE; the features that belong to it are offered, so that the guest has
 * them, but the device is not given those: its own control queue stays disabled, its filters stay
 * as they are in a new device, and its queue pairs follow what is enabled. What it could not do
 * without that queue is not offered at all (present.c).
 *
 * The link. The device's status field is read when its rings begin to run and whenever its
 * configuration interrupt comes (notice.c). A front end that has CONFIG is told by the channel. The
 * others take the link from the connection, so that a link that is down lets them go and refuses
 * them until it is up (link.c).
 *
 * Positions. The device uses a network's buffers in the order in which they were made available, so
 * that in a split ring nothing is lost when it goes on where the ring's own used index is, whatever
 * the front end thinks: it may have had no answer to GET_VRING_BASE. A packed ring does not have
 * that number anywhere. A front end without it says that the ring is at its beginning, and a ring
 * that is shows nothing as used; where it does, it goes on at the place that we remember of it (the
 * connection was ended by us, for the link), or it cannot go on until the guest resets its device.
 */
#include <endian.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>

#include <present/internal.h>

#define BIT(n) (1ull << (n))

/* Commands of the control queue; and what the device would tell by it or for it. */
#define CONTROL_FEATURES                                                                           \
	(BIT(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) | BIT(VIRTIO_NET_F_CTRL_VQ) |                       \
	 BIT(VIRTIO_NET_F_CTRL_RX) | BIT(VIRTIO_NET_F_CTRL_VLAN) |                                 \
	 BIT(VIRTIO_NET_F_CTRL_RX_EXTRA) | BIT(VIRTIO_NET_F_GUEST_ANNOUNCE) |                      \
	 BIT(VIRTIO_NET_F_CTRL_MAC_ADDR))

/* Where a network without MTU is; TQ-140. */
#define DEFAULT_MTU 1500

bool vu_is_net(const struct vu_conn *c)
{
	return c->p->type == VIRTIO_ID_NET;
}

uint64_t vu_net_features(const struct vu_conn *c, uint64_t acked)
{
	uint64_t features = acked & ~CONTROL_FEATURES;

	/* MQ requires CTRL_VQ (virtio 5.1.3.1), which front ends keep to themselves. */
	if (acked & BIT(VIRTIO_NET_F_MQ))
		features |= BIT(VIRTIO_NET_F_CTRL_VQ);
	/* The presenter is the one who wants to know. */
	return features | (c->p->features & BIT(VIRTIO_NET_F_STATUS));
}

/* Positions. */

struct packed_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t id;
	uint16_t flags;
};

#define PACKED_AVAIL (1u << 7)
#define PACKED_USED  (1u << 15)
#define PACKED_WRAP  0x8000u
#define PACKED_START (PACKED_WRAP << 16 | PACKED_WRAP)

/*
 * Has the device used any of a packed ring since it was at its beginning? Not where it cannot be
 * read. At the beginning, also after an even number of laps, slots are available for the first lap
 * (AVAIL) up to some place, and behind that not written or left from a second lap: 0 where the
 * device marked them as used, USED where it did not, in chains and runs (IN_ORDER). The first and
 * the last slot are always marked but for a chain that goes over them.
 */
static bool packed_was_used(const struct vu_conn *c, const struct vu_vring *v)
{
	uint16_t first = 0, last = 0;
	struct packed_desc d[256];
	uint32_t at, i, n;

	for (at = 0; at < v->num; at += n) {
		n = v->num - at < 256 ? v->num - at : 256;
		if (vu_mem_read(c, v->desc + (uint64_t)at * sizeof(d[0]), d, n * sizeof(d[0])))
			return false;
		for (i = 0; i < n; i++) {
			if (d[i].flags & PACKED_USED && d[i].flags & PACKED_AVAIL)
				return true;
		}
		first = at ? first : d[0].flags;
		last = d[n - 1].flags;
	}
	return (first | last) & PACKED_USED || (last & ~first & PACKED_AVAIL);
}

/* Only once: the ring goes on from there. */
static bool take_kept(const struct vu_conn *c, const struct vu_vring *v, struct vu_kept *kept)
{
	struct vu_kept *k = c->p->kept ? &c->p->kept[v->index] : NULL;

	if (!k)
		return false;
	*kept = *k;
	k->valid = false;
	return kept->valid && kept->desc == v->desc && kept->num == v->num;
}

static bool packed_position(struct vu_conn *c, struct vu_vring *v, uint32_t *base)
{
	struct vu_kept kept;
	bool known = take_kept(c, v, &kept);

	/* virtio_user leaves out the upper half. */
	if (*base == PACKED_WRAP)
		*base = PACKED_START;
	if (*base != PACKED_START || (v->told && v->told_base == *base) || !packed_was_used(c, v))
		return true;
	if (known) {
		*base = kept.base;
		return true;
	}
	vu_log(c, TVQ_LOG_ERR,
	       "queue %u: the packed ring is in use, and where is not known since tvqd or the "
	       "front end was gone: the queue stands still until the guest resets its device",
	       v->index);
	return false;
}

static void split_position(struct vu_conn *c, struct vu_vring *v, uint32_t *base)
{
	uint16_t used;

	if (vu_mem_read(c, v->used + 2, &used, sizeof(used)) || used == (uint16_t)*base)
		return;
	vu_log(c, TVQ_LOG_INFO, "queue %u: goes on at the ring's used index %u, not at %u",
	       v->index, used, (uint16_t)*base);
	*base = used;
}

bool vu_net_position(struct vu_conn *c, struct vu_vring *v, uint32_t *base)
{
	if (vu_packed(c))
		return packed_position(c, v, base);
	split_position(c, v, base);
	return true;
}

void vu_net_keep(struct vu_conn *c)
{
	struct tvq_vhost_user *p = c->p;
	unsigned int i;

	if (!p->kept)
		p->kept = calloc(c->n_rings, sizeof(*p->kept));
	/* Without memory the guest has to reset its device. */
	for (i = 0; i < c->n_rings && p->kept; i++) {
		const struct vu_vring *v = &c->ring[i];

		p->kept[i] = (struct vu_kept){ v->told && vu_packed(c), v->num, v->desc, v->base };
	}
}

/* Messages. */

static void got_mtu(struct vu_conn *c, int err)
{
	uint16_t mtu = le16toh(c->net_mtu);

	if (err)
		err = vu_no(c, err, "the device does not tell its MTU");
	else if (c->req.u64 > mtu)
		err = vu_no(c, -EINVAL, "the MTU is above the device's");
	vu_done(c, err);
}

int vu_answer_mtu(struct vu_conn *c, const struct vu_req *req)
{
	struct tvq_seq *s;

	if (req->u64 < 68)
		return vu_no(c, -EINVAL, "an MTU below 68");
	if (!(c->p->features & BIT(VIRTIO_NET_F_MTU)))
		return req->u64 <= DEFAULT_MTU ? 0 : vu_no(c, -EINVAL, "the MTU is above 1500");
	vu_step_begin(c, got_mtu);
	s = vu_seq(c);
	if (s)
		tvq_seq_config_get(s, offsetof(struct virtio_net_config, mtu), sizeof(c->net_mtu),
				   &c->net_mtu);
	vu_step_run(c, s);
	vu_step_put(c, 0);
	return VU_LATER;
}

int vu_apply_rarp(struct vu_conn *c, struct vu_req *req)
{
	(void)req;
	c->p->announce(c->p->announce_ctx);
	return 0;
}
