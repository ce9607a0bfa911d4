// SPDX-License-Identifier: BSD-3-Clause
/*
 * UNIX streams: frames follow each other, each with its length in 32 bits, big-endian, before it.
 * It is what passt and QEMU's -netdev stream speak. There are no offloads, so that what a receiver
 * of the other kind would do is done here, in software (switch/offload.h).
 *
 * In: the buffer `in` holds [in_start, in_end) of the stream, frames not parsed yet; a turn sends
 * up to a batch of those into the switch, and then reads more.
 *
 * Out: frames are copied to a ring, [out_start, out_end), free-running, and written once a batch. A
 * frame fits as a whole or is dropped; what was begun is always ended, so that the peer's framing
 * holds. A peer that does not read costs the ring and nothing else.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "device/util.h"
#include "switch/offload.h"
#include "uplink.h"

#define LENGTH	 4
#define IN_SIZE	 (256u << 10)
/* A power of two; about the window of a TCP connection, so that a fast one does not lose frames to
 * a peer that is slow for a moment. */
#define OUT_SIZE (1u << 20)

_Static_assert(IN_SIZE >= 2 * (LENGTH + UPLINK_FRAME_MAX), "reading goes on beside half a frame");

/* Opening */

static int stream_open(struct tvq_uplink *u, char *why)
{
	if (!u->listen)
		return 0;
	return tvq_unix_listen(&u->socket, u->where, 4, why, TVQ_UPLINK_ERR_LEN);
}

static int stream_connect(struct tvq_uplink *u)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int err;

	if (fd < 0)
		return -errno;
	memcpy(sa.sun_path, u->where, strlen(u->where));
	/* Done or failed at once: EAGAIN is a full backlog. */
	if (!connect(fd, (const struct sockaddr *)&sa, sizeof(sa)))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

/* In */

static uint32_t get_length(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/*
 * Adds whole frames of the buffer until the batch has max. False: a length that no frame has; what
 * was before it is in the batch. *took: frames, those included that are malformed in themselves.
 */
static bool take_frames(struct tvq_uplink *u, struct uplink_batch *b, unsigned int max,
			unsigned int *took)
{
	*took = 0;
	while (*took < max && u->in_end - u->in_start >= LENGTH) {
		uint8_t *at = u->in + u->in_start;
		uint32_t len = get_length(at);

		if (len < TVQ_ETH_HLEN || len > UPLINK_FRAME_MAX)
			return false;
		if (u->in_end - u->in_start < LENGTH + len)
			break;
		uplink_batch_add(u, b, NULL, at + LENGTH, len);
		u->in_start += LENGTH + len;
		++*took;
	}
	return true;
}

/* Half a frame goes to the buffer's beginning where what is missing might not fit behind it. */
static void make_room(struct tvq_uplink *u)
{
	uint32_t left = u->in_end - u->in_start;

	if (left && IN_SIZE - u->in_start >= LENGTH + UPLINK_FRAME_MAX)
		return;
	memmove(u->in, u->in + u->in_start, left);
	u->in_start = 0;
	u->in_end = left;
}

enum got { GOT_BYTES, GOT_NOTHING, GOT_END };

/* Only when the buffer holds no whole frame. */
static enum got fill(struct tvq_uplink *u)
{
	ssize_t n;

	make_room(u);
	n = recv(u->fd, u->in + u->in_end, IN_SIZE - u->in_end, MSG_DONTWAIT);
	if (n > 0) {
		u->in_end += (uint32_t)n;
		return GOT_BYTES;
	}
	if (n < 0 && errno == EINTR)
		return GOT_BYTES;
	return n < 0 && errno == EAGAIN ? GOT_NOTHING : GOT_END;
}

/* One read at most in a turn, and one batch. */
static unsigned int stream_poll(struct tvq_poller *p)
{
	struct tvq_uplink *u = tvq_container_of(p, struct tvq_uplink, poller);
	unsigned int may = tvq_port_may_send(u->port, TVQ_SWITCH_BATCH), took;
	enum got got = GOT_BYTES;
	struct uplink_batch b;
	bool sane;

	if (!may) {
		tvq_poller_remove(p); /* feed() comes */
		return 1;
	}
	b.n = 0;
	sane = take_frames(u, &b, may, &took);
	if (sane && !took) {
		got = fill(u);
		sane = take_frames(u, &b, may, &took);
	}
	uplink_batch_send(u, &b);
	if (!sane)
		uplink_conn_lost(u, TOLD_GARBAGE, "a length in the stream that no frame has");
	else if (got == GOT_END)
		uplink_conn_lost(u, TOLD_GONE, u->kind->gone);
	else if (got == GOT_NOTHING)
		tvq_poller_remove(p);
	return took + 1;
}

/* What is left to read keeps it active; it leaves by itself. */
static bool stream_arm(struct tvq_poller *p)
{
	(void)p;
	return true;
}

static void stream_feed(struct tvq_port *p)
{
	struct tvq_uplink *u = tvq_port_ctx(p);

	if (u->conn == CONN_UP)
		tvq_poller_activate(u->worker, &u->poller);
}

/* Out */

static uint32_t out_room(const struct tvq_uplink *u)
{
	return OUT_SIZE - (u->out_end - u->out_start);
}

/* Writes what the socket takes. The connection may be lost when it returns. */
static void stream_write(struct tvq_uplink *u)
{
	while (u->out_end != u->out_start && !u->out_armed) {
		uint32_t len = u->out_end - u->out_start, at = u->out_start % OUT_SIZE;
		uint32_t first = len < OUT_SIZE - at ? len : OUT_SIZE - at;
		struct iovec iov[2] = { { u->out + at, first }, { u->out, len - first } };
		struct msghdr m = { .msg_iov = iov, .msg_iovlen = 2 };
		ssize_t n = sendmsg(u->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n >= 0) {
			u->out_start += (uint32_t)n;
		} else if (errno == EAGAIN) {
			uplink_conn_wait_writable(u);
		} else if (errno != EINTR) {
			uplink_conn_lost(u, TOLD_GONE, u->kind->gone);
			return;
		}
	}
	/* So that no more of its memory is touched than was ever needed. */
	if (u->out_end == u->out_start)
		u->out_start = u->out_end = 0;
}

static void put(struct tvq_uplink *u, const void *data, size_t len)
{
	uint32_t at = u->out_end % OUT_SIZE;
	size_t first = len < OUT_SIZE - at ? len : OUT_SIZE - at;

	memcpy(u->out + at, data, first);
	memcpy(u->out, (const uint8_t *)data + first, len - first);
	u->out_end += (uint32_t)len;
}

static void put_length(struct tvq_uplink *u, uint32_t len)
{
	uint8_t be[LENGTH] = { (uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8),
			       (uint8_t)len };

	put(u, be, sizeof(be));
}

/* True where there is room for so many bytes, perhaps after a write. */
static bool have_room(struct tvq_uplink *u, uint64_t bytes)
{
	if (out_room(u) < bytes)
		stream_write(u);
	return u->conn == CONN_UP && out_room(u) >= bytes;
}

/* Of the EtherType that was put at begin; the ring may end within it. */
static void hide_tag(struct tvq_uplink *u, uint32_t begin)
{
	uint8_t *first = &u->out[begin % OUT_SIZE];
	uint8_t type[2] = { *first, u->out[(begin + 1) % OUT_SIZE] };

	net_frame_hide_tag(type);
	*first = type[0];
}

static void put_frame(struct tvq_uplink *u, const uint8_t *head, unsigned int head_len,
		      const struct tvq_frame *f)
{
	uint32_t begin;

	put_length(u, head_len + f->len);
	put(u, head, head_len);
	begin = u->out_end;
	for (unsigned int i = 0; i < f->n_seg; i++)
		put(u, f->seg[i].va, f->seg[i].len);
	if (head_len == 12)
		hide_tag(u, begin);
	if (f->flags & 1) { /* NEEDS_CSUM */
		uint32_t end = u->out_end;
		uint16_t csum = tvq_frame_csum(f);

		u->out_end = begin + f->csum_start + f->csum_offset;
		put(u, &csum, sizeof(csum));
		u->out_end = end;
	}
}

/* A frame that its sender left segmentation of to us; all of it or nothing. */
static enum tvq_drop put_segments(struct tvq_uplink *u, const uint8_t *head, unsigned int head_len,
				  const struct tvq_frame *f)
{
	struct tvq_segmenter s;
	const struct tvq_frame *one;

	if (tvq_segmenter_init(&s, f))
		return TVQ_DROP_OFFLOAD;
	if (!have_room(u, (uint64_t)s.n_segments * (LENGTH + head_len + s.header_len) + s.payload))
		return TVQ_DROP_UPLINK;
	while ((one = tvq_segmenter_next(&s)))
		put_frame(u, head, head_len, one);
	return TVQ_DROPS;
}

/* TVQ_DROPS: it was not dropped. */
static enum tvq_drop stream_take(struct tvq_uplink *u, struct tvq_port *p,
				 const struct tvq_frame *f)
{
	uint8_t head[16];
	unsigned int head_len = tvq_frame_head(p, f, head);

	if (u->conn != CONN_UP || f->len > NET_FRAME_MAX)
		return TVQ_DROP_UPLINK;
	if (f->gso_type) {
		enum tvq_drop why = put_segments(u, head, head_len, f);

		if (why != TVQ_DROPS)
			return why;
	} else {
		if (!have_room(u, LENGTH + head_len + f->len))
			return TVQ_DROP_UPLINK;
		put_frame(u, head, head_len, f);
	}
	tvq_port_received(p, 1, head_len + f->len);
	return TVQ_DROPS;
}

static void stream_receive(struct tvq_port *p, const struct tvq_frame *const *f, unsigned int n)
{
	struct tvq_uplink *u = tvq_port_ctx(p);

	for (unsigned int i = 0; i < n; i++) {
		enum tvq_drop why = stream_take(u, p, f[i]);

		if (why != TVQ_DROPS)
			tvq_port_drop(p, why, 1);
	}
}

static void stream_flush(struct tvq_port *p)
{
	struct tvq_uplink *u = tvq_port_ctx(p);

	if (u->conn == CONN_UP)
		stream_write(u);
}

const struct uplink_kind uplink_stream = {
	.name = "stream",
	.open = stream_open,
	.connect = stream_connect,
	.in_size = IN_SIZE,
	.out_size = OUT_SIZE,
	.poller = { .poll = stream_poll, .arm = stream_arm },
	.writable = stream_write,
	.port = { .receive = stream_receive, .flush = stream_flush, .feed = stream_feed },
	.gone = "the peer has ended the connection",
};
