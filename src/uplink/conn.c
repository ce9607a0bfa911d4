// SPDX-License-Identifier: BSD-3-Clause
/*
 * The descriptor that an uplink's frames pass. Theory of operation.
 *
 *   IDLE -> JOB         the timer, or attaching: connect
 *   IDLE -> UP          a peer was accepted, or open left a descriptor
 *   JOB -> UP, IDLE     there is one, or there is none: again after the backoff
 *   UP -> CLOSING       uplink_conn_lost(), detaching
 *   CLOSING -> IDLE     the kernel watches it no more: closed
 *
 * Reading is edge-triggered: an edge activates the poller, which reads a bounded amount each turn
 * and leaves when there is no more, or when the port may not send; then feed() activates it again.
 * An uplink where nothing happens costs nothing.
 *
 * A descriptor that does not last lengthens the backoff, whoever caused it, in listening too: a
 * peer that comes and goes as fast as it can is waited for, and is written of once.
 */
#include <errno.h>
#include <liburing.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "uplink.h"

/* What a header may ask for. */
#define BIT(n) (1ull << (n))
#define OFFLOADS                                                                                   \
	(BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_HOST_TSO6) |      \
	 BIT(VIRTIO_NET_F_HOST_ECN))

#define BACKOFF_MIN 100000000ull
#define BACKOFF_MAX 2000000000ull
#define WELL	    2000000000ull /* so long and it was well */

static void conn_start(struct tvq_uplink *u, int fd);

static void set_state(struct tvq_uplink *u, enum tvq_uplink_state state)
{
	atomic_store_explicit(&u->state, (int)state, memory_order_relaxed);
}

/* True where it has not been said since it was well. */
static bool tell(struct tvq_uplink *u, unsigned int what)
{
	bool first = !(u->told & what);

	u->told |= what;
	return first;
}

/* One that is ending */

static void quiet_if_over(struct tvq_uplink *u)
{
	if (!u->ending || u->over || u->conn != CONN_IDLE || u->accepting)
		return;
	u->over = true;
	uplink_quiet(u);
}

/* The next descriptor */

static void retry_later(struct tvq_uplink *u)
{
	/* It is set already, so that this cannot fail. */
	tvq_timer_set(u->worker, &u->retry, u->os->now() + u->backoff);
	u->backoff *= 2;
	if (u->backoff > BACKOFF_MAX)
		u->backoff = BACKOFF_MAX;
}

static bool retry_pending(const struct tvq_uplink *u)
{
	return u->retry.when != UINT64_MAX;
}

static void accept_peer(struct tvq_uplink *u)
{
	int fd = accept4(u->socket.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0) {
		conn_start(u, fd);
		return;
	}
	/* A peer that gave up meanwhile, or none. */
	if (errno == EAGAIN || errno == ECONNABORTED || errno == EINTR)
		return;
	if (tell(u, TOLD_SYSTEM))
		uplink_log(u, TVQ_LOG_WARN, "cannot accept a peer: %s; trying again",
			   strerror(errno));
	retry_later(u);
}

static void accept_event(struct tvq_watch *w, int events)
{
	struct tvq_uplink *u = tvq_container_of(w, struct tvq_uplink, accept_watch);

	if (events < 0)
		uplink_log(u, TVQ_LOG_ERR, "cannot be watched: %s", strerror(-events));
	else if (u->conn == CONN_IDLE && !retry_pending(u))
		accept_peer(u);
}

static void accept_stopped(struct tvq_watch *w)
{
	struct tvq_uplink *u = tvq_container_of(w, struct tvq_uplink, accept_watch);

	u->accepting = false;
	quiet_if_over(u);
}

static void reach_run(struct tvq_job *j)
{
	struct tvq_uplink *u = tvq_container_of(j, struct tvq_uplink, reach);

	u->reached = u->kind->connect(u);
}

static void reach_done(struct tvq_job *j)
{
	struct tvq_uplink *u = tvq_container_of(j, struct tvq_uplink, reach);
	int fd = u->reached;

	u->conn = CONN_IDLE;
	if (u->ending) {
		u->fd = fd < 0 ? -1 : fd;
		quiet_if_over(u);
		return;
	}
	if (fd >= 0) {
		conn_start(u, fd);
		return;
	}
	if (!(u->told & TOLD_GONE) && tell(u, TOLD_REFUSED))
		uplink_log(u, TVQ_LOG_INFO, "not there yet (%s): trying until it is",
			   strerror(-fd));
	retry_later(u);
}

static void next_descriptor(struct tvq_uplink *u)
{
	if (u->listen) {
		accept_peer(u);
		return;
	}
	u->conn = CONN_JOB;
	u->reach.run = reach_run;
	u->reach.done = reach_done;
	tvq_job_post(u->worker, &u->reach);
}

static void retry(struct tvq_timer *t)
{
	struct tvq_uplink *u = tvq_container_of(t, struct tvq_uplink, retry);

	/* It goes back to the place that it has just left, so that this cannot fail. */
	tvq_timer_set(u->worker, t, UINT64_MAX);
	if (u->conn == CONN_IDLE)
		next_descriptor(u);
}

/* Up */

static void free_buffers(struct tvq_uplink *u)
{
	u->os->free(u->in, u->kind->in_size);
	u->os->free(u->out, u->kind->out_size);
	u->in = NULL;
	u->out = NULL;
}

static bool alloc_buffers(struct tvq_uplink *u)
{
	u->in_start = u->in_end = u->out_start = u->out_end = 0;
	u->in = u->os->alloc(u->kind->in_size);
	u->out = u->kind->out_size ? u->os->alloc(u->kind->out_size) : NULL;
	if (u->in && (u->out || !u->kind->out_size))
		return true;
	free_buffers(u);
	return false;
}

/* It passes frames no more; the kernel may still watch it. */
static void close_if_over(struct tvq_uplink *u)
{
	if (u->watching || u->out_armed)
		return;
	free_buffers(u);
	u->conn = CONN_IDLE;
	if (u->ending) {
		quiet_if_over(u); /* a job closes it */
		return;
	}
	close(u->fd);
	u->fd = -1;
	retry_later(u);
}

static void watch_stopped(struct tvq_watch *w)
{
	struct tvq_uplink *u = tvq_container_of(w, struct tvq_uplink, watch);

	u->watching = false;
	close_if_over(u);
}

static void conn_close(struct tvq_uplink *u)
{
	u->conn = CONN_CLOSING;
	tvq_poller_remove(&u->poller);
	if (u->out_armed)
		io_uring_prep_cancel(tvq_loop_sqe(u->loop, NULL), &u->out_io, 0);
	tvq_watch_stop(&u->watch, watch_stopped);
}

void uplink_conn_lost(struct tvq_uplink *u, unsigned int why, const char *sentence)
{
	if (u->conn != CONN_UP)
		return;
	if (u->os->now() - u->up_since > WELL) {
		u->backoff = BACKOFF_MIN;
		u->told = 0;
	}
	if (tell(u, why))
		uplink_log(u, TVQ_LOG_WARN, "%s; waiting for it to come back", sentence);
	set_state(u, u->listen ? TVQ_UPLINK_LISTENING : TVQ_UPLINK_CONNECTING);
	conn_close(u);
}

static void conn_event(struct tvq_watch *w, int events)
{
	struct tvq_uplink *u = tvq_container_of(w, struct tvq_uplink, watch);

	if (events < 0)
		uplink_conn_lost(u, TOLD_SYSTEM, strerror(-events));
	else if (u->conn == CONN_UP)
		tvq_poller_activate(u->worker, &u->poller);
}

static void out_event(struct tvq_io *io, int res, bool more)
{
	struct tvq_uplink *u = tvq_container_of(io, struct tvq_uplink, out_io);

	(void)res; /* whatever is wrong, writing tells */
	(void)more;
	u->out_armed = false;
	if (u->conn == CONN_CLOSING)
		close_if_over(u);
	else
		u->kind->writable(u);
}

void uplink_conn_wait_writable(struct tvq_uplink *u)
{
	if (u->out_armed)
		return;
	u->out_armed = true;
	u->out_io.fn = out_event;
	io_uring_prep_poll_add(tvq_loop_sqe(u->loop, &u->out_io), u->fd, POLLOUT);
}

static void conn_start(struct tvq_uplink *u, int fd)
{
	if (!alloc_buffers(u)) {
		if (tell(u, TOLD_SYSTEM))
			uplink_log(u, TVQ_LOG_WARN, "no memory for its buffers; trying again");
		close(fd);
		retry_later(u);
		return;
	}
	u->fd = fd;
	u->conn = CONN_UP;
	u->up_since = u->os->now();
	if (tell(u, TOLD_UP))
		uplink_log(u, TVQ_LOG_INFO, "up");
	set_state(u, TVQ_UPLINK_UP);
	u->watching = true;
	u->watch.fn = conn_event;
	tvq_watch_start(u->loop, &u->watch, fd, POLLIN);
}

/* Attaching and detaching */

int uplink_conn_attach(struct tvq_uplink *u)
{
	int err;

	u->retry.fn = retry;
	err = tvq_timer_set(u->worker, &u->retry, UINT64_MAX);
	if (err)
		return err;
	u->backoff = BACKOFF_MIN;
	u->poller = u->kind->poller;
	if (u->listen) {
		u->accepting = true;
		u->accept_watch.fn = accept_event;
		tvq_watch_start(u->loop, &u->accept_watch, u->socket.fd, POLLIN);
	} else if (u->fd >= 0) {
		conn_start(u, u->fd);
	} else {
		next_descriptor(u);
	}
	return 0;
}

void uplink_conn_detach(struct tvq_uplink *u)
{
	u->ending = true;
	tvq_timer_clear(u->worker, &u->retry);
	if (u->conn == CONN_UP)
		conn_close(u);
	if (u->accepting)
		tvq_watch_stop(&u->accept_watch, accept_stopped);
	else
		quiet_if_over(u);
}

/* Frames in */

/*
 * Trust boundary: a tap's owner and a socket's peer may be anybody. What they send is judged as what
 * a driver sends, by the same function; what differs is that the memory is ours alone.
 */
void uplink_batch_add(struct tvq_uplink *u, struct uplink_batch *b, uint8_t *hdr, uint8_t *data,
		      size_t len)
{
	static uint8_t no_header[UPLINK_HDR];
	struct tvq_seg *seg = b->segs[b->n];
	struct tvq_chain c = { .seg = seg, .out_len = UPLINK_HDR + (uint32_t)len };
	int err;

	if (hdr) {
		seg[c.n_out++] = (struct tvq_seg){ hdr, UPLINK_HDR + len };
	} else {
		seg[c.n_out++] = (struct tvq_seg){ no_header, UPLINK_HDR };
		seg[c.n_out++] = (struct tvq_seg){ data, len };
	}
	err = net_frame_make(&b->frames[b->n], &c, hdr ? OFFLOADS : 0, UPLINK_HDR);
	if (err) {
		tvq_port_drop(u->port, (enum tvq_drop)(-err - 1), 1);
		return;
	}
	b->ptrs[b->n] = &b->frames[b->n];
	b->n++;
}

void uplink_batch_send(struct tvq_uplink *u, struct uplink_batch *b)
{
	if (!b->n)
		return;
	tvq_switch_forward(u->port, b->ptrs, b->n);
	tvq_switch_flush(u->sw);
}
