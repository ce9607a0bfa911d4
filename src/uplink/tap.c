// SPDX-License-Identifier: BSD-3-Clause
/*
 * Tap devices: each read and each write is one frame with its virtio header, checksums and
 * segmentation are the kernel's.
 *
 * A device of that name that is there already is used and stays when we close it; one that we made
 * goes then. One that somebody deletes while we have it is waited for, and not made again: who
 * deleted it meant it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "device/util.h"
#include "uplink.h"

#define OFFLOADS (TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN)

/* One byte more than a frame can have: a longer one shows. */
#define READ_SIZE (UPLINK_HDR + UPLINK_FRAME_MAX + 1)
/* Pieces of a frame that are written where they are; one that has more is put together first. */
#define MAX_SEGS  64

/* struct tvq_seg is laid out as struct iovec is (tvq/dma.h). */
_Static_assert(sizeof(struct tvq_seg) == sizeof(struct iovec) &&
		       offsetof(struct tvq_seg, len) == offsetof(struct iovec, iov_len),
	       "pieces are given to writev()");

/* Opening */

static int set_mtu(const char *name, int mtu)
{
	struct ifreq ifr = { 0 };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), err = 0;

	if (fd < 0)
		return -errno;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (ioctl(fd, SIOCGIFMTU, &ifr)) {
		err = -errno;
	} else if (ifr.ifr_mtu != mtu) {
		ifr.ifr_mtu = mtu;
		if (ioctl(fd, SIOCSIFMTU, &ifr))
			err = -errno;
	}
	close(fd);
	return err;
}

static int fails(char *why, const char *name, const char *what, int err)
{
	snprintf(why, TVQ_UPLINK_ERR_LEN, "%s: %s: %s", name, what, strerror(err));
	return -err;
}

static int attach_fails(char *why, const char *name, int err)
{
	const char *what = "cannot be used as a tap device";

	if (err == EPERM)
		what = "making a tap device takes CAP_NET_ADMIN, or one that was made for this "
		       "user (ip tuntap add mode tap user ...)";
	else if (err == EBUSY)
		what = "another program has this tap device";
	else if (err == EINVAL)
		what = "is there, and is no tap device with a single queue";
	return fails(why, name, what, err);
}

static int set_up(const struct tvq_uplink *u, int fd, char *why)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int hdr = UPLINK_HDR, one = 1, err;

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%.*s", IFNAMSIZ - 1, u->where);
	if (ioctl(fd, TUNSETIFF, &ifr))
		return attach_fails(why, u->where, errno);
	if (ioctl(fd, TUNSETVNETHDRSZ, &hdr) || ioctl(fd, TUNSETVNETLE, &one) ||
	    ioctl(fd, TUNSETOFFLOAD, OFFLOADS))
		return fails(why, u->where, "the kernel's tap lacks offloads", errno);
	err = set_mtu(ifr.ifr_name, u->mtu);
	return err ? fails(why, u->where, "its MTU cannot be set", -err) : 0;
}

static int tap_fd(const struct tvq_uplink *u, char *why)
{
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	int err;

	if (fd < 0)
		return fails(why, "/dev/net/tun", "cannot be opened", errno);
	err = set_up(u, fd, why);
	if (!err)
		return fd;
	close(fd);
	return err;
}

static int tap_open(struct tvq_uplink *u, char *why)
{
	int fd = tap_fd(u, why);

	if (fd < 0)
		return fd;
	u->fd = fd;
	return 0;
}

/* Again. */
static int tap_connect(struct tvq_uplink *u)
{
	char why[TVQ_UPLINK_ERR_LEN];

	return if_nametoindex(u->where) ? tap_fd(u, why) : -ENODEV;
}

/* From the kernel */

static unsigned int tap_poll(struct tvq_poller *p)
{
	struct tvq_uplink *u = tvq_container_of(p, struct tvq_uplink, poller);
	unsigned int may = tvq_port_may_send(u->port, TVQ_SWITCH_BATCH), did = 0;
	size_t used = 0;
	struct uplink_batch b;
	int err = 0;

	b.n = 0;
	if (!may)
		tvq_poller_remove(p); /* feed() comes */
	while (did < may && used < UPLINK_TURN_BYTES) {
		uint8_t *at = u->in + used;
		ssize_t n = read(u->fd, at, READ_SIZE);

		if (n < 0) {
			err = errno;
			break;
		}
		did++;
		used += ((size_t)n + 63) & ~(size_t)63;
		if (n < UPLINK_HDR)
			tvq_port_drop(u->port, TVQ_DROP_HEADER, 1);
		else
			uplink_batch_add(u, &b, at, at + UPLINK_HDR, (size_t)n - UPLINK_HDR);
	}
	uplink_batch_send(u, &b);
	if (err == EAGAIN)
		tvq_poller_remove(p);
	else if (err && err != EINTR)
		uplink_conn_lost(u, TOLD_GONE, u->kind->gone);
	return did + 1;
}

/* What is left to read keeps it active; it leaves by itself. */
static bool tap_arm(struct tvq_poller *p)
{
	(void)p;
	return true;
}

static void tap_feed(struct tvq_port *p)
{
	struct tvq_uplink *u = tvq_port_ctx(p);

	if (u->conn == CONN_UP)
		tvq_poller_activate(u->worker, &u->poller);
}

/* To the kernel */

static void make_header(struct virtio_net_hdr_v1 *h, const struct tvq_frame *f, unsigned int head)
{
	*h = (struct virtio_net_hdr_v1){ .flags = f->flags, .gso_type = f->gso_type };
	tvq_put16(&h->gso_size, f->gso_size);
	if (!(f->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
		return;
	tvq_put16(&h->csum_start, (uint16_t)(f->csum_start + head));
	tvq_put16(&h->csum_offset, f->csum_offset);
}

/* The whole frame behind what is read; nothing is read while frames are delivered to this port. */
static struct iovec put_together(struct tvq_uplink *u, const struct tvq_frame *f)
{
	struct iovec all = { u->in, 0 };

	for (unsigned int i = 0; i < f->n_seg; i++) {
		memcpy(u->in + all.iov_len, f->seg[i].va, f->seg[i].len);
		all.iov_len += f->seg[i].len;
	}
	return all;
}

static bool tap_write(struct tvq_uplink *u, struct tvq_port *p, const struct tvq_frame *f)
{
	struct virtio_net_hdr_v1 h;
	struct iovec iov[2 + MAX_SEGS];
	uint8_t head[16 + 2], *type;
	unsigned int head_len = tvq_frame_head(p, f, head), n = 3;

	make_header(&h, f, head_len);
	iov[0] = (struct iovec){ &h, sizeof(h) };
	iov[1] = (struct iovec){ head, head_len };
	if (f->n_seg > MAX_SEGS || f->seg[0].len < 2) {
		iov[2] = put_together(u, f);
		type = u->in;
	} else {
		memcpy(iov + 2, f->seg, f->n_seg * sizeof(*iov));
		n = 2 + f->n_seg;
		/* The EtherType by way of a copy. */
		type = head + head_len;
		memcpy(type, iov[2].iov_base, 2);
		iov[1].iov_len += 2;
		iov[2].iov_base = (uint8_t *)iov[2].iov_base + 2;
		iov[2].iov_len -= 2;
	}
	if (head_len == 12)
		net_frame_hide_tag(type);
	if (writev(u->fd, iov, (int)n) < 0)
		return false;
	tvq_port_received(p, 1, head_len + f->len);
	return true;
}

/* A device that is down, or full, takes nothing. One that is gone is found out by reading. */
static void tap_receive(struct tvq_port *p, const struct tvq_frame *const *f, unsigned int n)
{
	struct tvq_uplink *u = tvq_port_ctx(p);

	for (unsigned int i = 0; i < n; i++) {
		if (u->conn != CONN_UP || f[i]->len > NET_FRAME_MAX || !tap_write(u, p, f[i]))
			tvq_port_drop(p, TVQ_DROP_UPLINK, 1);
	}
}

const struct uplink_kind uplink_tap = {
	.name = "tap",
	.open = tap_open,
	.connect = tap_connect,
	.in_size = UPLINK_TURN_BYTES + READ_SIZE,
	.poller = { .poll = tap_poll, .arm = tap_arm },
	.port = { .receive = tap_receive, .feed = tap_feed },
	.gone = "the device was deleted",
};
