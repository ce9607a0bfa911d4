/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What goes to the client: replies, from the control executor, and MSIs of managed devices as DMA
 * writes of four bytes, from any worker. Theory of operation.
 *
 * An MSI that has to be sent is pending; a pending one is on the list once, however often it is
 * sent again before it leaves. Whoever makes it pending tries the lock. Nobody waits for it on a
 * worker: who has the lock looks at `want` again after giving it up, and so sends what others could
 * not. It stops being pending before it is written to the socket, so that an interrupt for what is
 * used after that makes it pending anew.
 *
 * Nothing is sent while the socket is full, a reply is half out, the client has not agreed on a
 * version, the function is no bus master, or the client owes VFU_MAX_WRITES answers. Each of these
 * ends with a look at the list. A full socket is polled for by the control executor.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <liburing.h>

#include <vfio_user/internal.h>

struct vfu_msi {
	struct tvq_msi_target target;
	struct vfu_out *out;
	struct vfu_msi *next;	/* in the inbox or on the list */
	struct vfu_msi **pprev; /* on the list; NULL: it is not. With the lock held */
	atomic_bool pending;
	uint64_t addr;
	uint32_t data;
};

/* With the lock held, as all up to unlock_and_look(). */
static void list_insert(struct vfu_out *o, struct vfu_msi **at, struct vfu_msi *m)
{
	m->next = *at;
	m->pprev = at;
	*at = m;
	if (m->next)
		m->next->pprev = &m->next;
	else
		o->tail = &m->next;
}

/* A guest can have tens of thousands of them wait, and take them all away. */
static void list_remove(struct vfu_out *o, struct vfu_msi *m)
{
	*m->pprev = m->next;
	if (m->next)
		m->next->pprev = m->pprev;
	else
		o->tail = m->pprev;
	m->pprev = NULL;
}

static void take_inbox(struct vfu_out *o)
{
	struct vfu_msi *m = atomic_exchange(&o->inbox, NULL), **end = o->tail;

	/* The newest comes first. */
	while (m) {
		struct vfu_msi *next = m->next;

		list_insert(o, end, m);
		m = next;
	}
}

static void poll_for_room(struct vfu_out *o)
{
	o->blocked = true;
	if (!atomic_exchange(&o->poll_posted, true))
		tvq_exec_post(o->exec, &o->poll_msg);
}

static ssize_t write_some(struct vfu_out *o, struct iovec *iov, unsigned int n)
{
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = n };
	ssize_t sent;

	do {
		sent = sendmsg(o->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : sent;
}

static uint16_t write_id(const struct vfu_out *o, unsigned int slot)
{
	return (uint16_t)(o->round[slot] * VFU_MAX_WRITES + slot);
}

/* -errno: the message is not out. */
static int write_msi(struct vfu_out *o, const struct vfu_msi *m)
{
	unsigned int slot = (unsigned int)__builtin_ctzll(~o->outstanding);
	struct {
		struct vu_hdr h;
		struct vu_dma_rw rw;
		uint8_t data[VFU_WRITE_DATA];
	} msg = {
		.h = { .id = write_id(o, slot),
		       .command = VU_DMA_WRITE,
		       .size = sizeof(msg.h) + sizeof(msg.rw) + sizeof(msg.data) },
		.rw = { .addr = m->addr, .count = sizeof(msg.data) },
		.data = { (uint8_t)m->data, (uint8_t)(m->data >> 8), (uint8_t)(m->data >> 16),
			  (uint8_t)(m->data >> 24) },
	};
	struct iovec iov = { &msg, msg.h.size };
	ssize_t n = write_some(o, &iov, 1);

	if (n < 0)
		return (int)n;
	o->outstanding |= 1ull << slot;
	o->writes++;
	/* So small a message is never taken in part; but if it is, the rest goes first. */
	o->sent = 0;
	o->rest = msg.h.size - (size_t)n;
	memcpy(o->buf, (uint8_t *)&msg + n, o->rest);
	if (o->rest)
		poll_for_room(o);
	return 0;
}

static bool may_write(const struct vfu_out *o)
{
	return o->open && !o->blocked && !o->rest && ~o->outstanding && atomic_load(&o->master);
}

static void send_pending(struct vfu_out *o)
{
	int err;

	take_inbox(o);
	while (o->head && may_write(o)) {
		struct vfu_msi *m = o->head;

		list_remove(o, m);
		atomic_store(&m->pending, false);
		err = write_msi(o, m);
		if (!err)
			continue;
		if (!atomic_exchange(&m->pending, true))
			list_insert(o, &o->head, m);
		if (err == -EAGAIN)
			poll_for_room(o);
		else
			o->open = false; /* the client has gone, as its connection will find out */
	}
}

static void look(struct vfu_out *o)
{
	atomic_store(&o->want, true);
	while (atomic_load(&o->want) && !pthread_mutex_trylock(&o->lock)) {
		atomic_store(&o->want, false);
		send_pending(o);
		pthread_mutex_unlock(&o->lock);
	}
}

static void unlock_and_look(struct vfu_out *o)
{
	pthread_mutex_unlock(&o->lock);
	look(o);
}

/* MSI targets. */

static void msi_send(struct tvq_msi_target *t, struct tvq_exec *e)
{
	struct vfu_msi *m = vfu_container(t, struct vfu_msi, target);
	struct vfu_out *o = m->out;
	struct vfu_msi *first;

	(void)e;
	if (atomic_exchange(&m->pending, true))
		return;
	first = atomic_load(&o->inbox);
	do {
		m->next = first;
	} while (!atomic_compare_exchange_weak(&o->inbox, &first, m));
	look(o);
}

static void msi_put(struct tvq_msi_target *t)
{
	struct vfu_msi *m = vfu_container(t, struct vfu_msi, target);
	struct vfu_out *o = m->out;

	pthread_mutex_lock(&o->lock);
	take_inbox(o);
	if (m->pprev)
		list_remove(o, m);
	unlock_and_look(o);
	free(m);
}

struct tvq_msi_target *vfu_out_target(struct vfu_out *o, uint64_t addr, uint32_t data)
{
	struct vfu_msi *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->target.send = msi_send;
	m->target.put = msi_put;
	m->out = o;
	m->addr = addr;
	m->data = data;
	return &m->target;
}

/* Room in the socket. */

static void start_poll(struct tvq_msg *msg)
{
	struct vfu_out *o = vfu_container(msg, struct vfu_out, poll_msg);
	bool needed;
	int fd;

	atomic_store(&o->poll_posted, false);
	pthread_mutex_lock(&o->lock);
	fd = o->fd;
	needed = o->blocked && fd >= 0;
	pthread_mutex_unlock(&o->lock);
	if (!needed || o->polling)
		return;
	o->polling = true;
	io_uring_prep_poll_add(tvq_loop_sqe(o->loop, &o->poll), fd, POLLOUT);
}

/* True where what waited is out, or never will be: the client has gone, as the connection finds out
 * when it reads on. */
static bool write_rest(struct vfu_out *o)
{
	struct iovec iov = { o->buf + o->sent, o->rest };
	ssize_t n;

	if (!o->rest)
		return false;
	n = write_some(o, &iov, 1);
	if (n == -EAGAIN)
		n = 0;
	if (n < 0)
		n = (ssize_t)o->rest;
	o->sent += (size_t)n;
	o->rest -= (size_t)n;
	if (o->rest)
		poll_for_room(o);
	return !o->rest;
}

static void room(struct tvq_io *io, int res, bool more)
{
	struct vfu_out *o = vfu_container(io, struct vfu_out, poll);
	bool flushed = false, closed;

	(void)res;
	(void)more;
	o->polling = false;
	pthread_mutex_lock(&o->lock);
	closed = o->fd < 0;
	o->blocked = false;
	if (!closed)
		flushed = write_rest(o);
	unlock_and_look(o);
	if (closed)
		o->quiet(o);
	else if (flushed)
		o->flushed(o);
}

/* For the connection. */

int vfu_out_init(struct vfu_out *o, struct tvq_loop *l)
{
	o->loop = l;
	o->exec = tvq_loop_exec(l);
	o->fd = -1;
	o->tail = &o->head;
	o->poll.fn = room;
	o->poll_msg.fn = start_poll;
	return -pthread_mutex_init(&o->lock, NULL);
}

void vfu_out_fini(struct vfu_out *o)
{
	pthread_mutex_destroy(&o->lock);
}

void vfu_out_connect(struct vfu_out *o, int fd)
{
	pthread_mutex_lock(&o->lock);
	o->fd = fd;
	o->failed = 0;
	o->outstanding = 0;
	pthread_mutex_unlock(&o->lock);
}

void vfu_out_open(struct vfu_out *o)
{
	pthread_mutex_lock(&o->lock);
	o->open = true;
	unlock_and_look(o);
}

void vfu_out_close(struct vfu_out *o)
{
	pthread_mutex_lock(&o->lock);
	o->fd = -1;
	o->open = false;
	o->blocked = false;
	o->rest = o->sent = 0;
	pthread_mutex_unlock(&o->lock);
	if (o->polling)
		io_uring_prep_cancel(tvq_loop_sqe(o->loop, NULL), &o->poll, 0);
	else
		o->quiet(o);
}

int vfu_out_reply(struct vfu_out *o, struct vu_hdr *h, const void *payload, uint32_t size)
{
	struct iovec iov[2] = { { h, sizeof(*h) }, { (void *)payload, size } };
	size_t done = 0;
	ssize_t n = 0;
	int ret = 0;

	h->size = (uint32_t)sizeof(*h) + size;
	pthread_mutex_lock(&o->lock);
	if (!o->rest && !o->blocked)
		n = write_some(o, iov, 2);
	if (n < 0 && n != -EAGAIN)
		ret = (int)n;
	else if (n > 0)
		done = (size_t)n;
	if (!ret && done < h->size) {
		/* Behind the end of a request that is half out, if one is. */
		memmove(o->buf, o->buf + o->sent, o->rest);
		o->sent = 0;
		for (unsigned int i = 0; i < 2; i++) {
			size_t skip = done < iov[i].iov_len ? done : iov[i].iov_len;
			size_t len = iov[i].iov_len - skip;

			if (len)
				memcpy(o->buf + o->rest, (uint8_t *)iov[i].iov_base + skip, len);
			o->rest += len;
			done -= skip;
		}
		poll_for_room(o);
		ret = 1;
	}
	unlock_and_look(o);
	return ret;
}

bool vfu_out_answered(struct vfu_out *o, const struct vu_hdr *h, bool *failed)
{
	unsigned int slot = h->id % VFU_MAX_WRITES;
	bool known;

	pthread_mutex_lock(&o->lock);
	known = o->outstanding >> slot & 1 && h->id == write_id(o, slot);
	*failed = known && h->flags & VU_ERROR && !o->failed++;
	if (known) {
		o->outstanding &= ~(1ull << slot);
		o->round[slot]++;
	}
	unlock_and_look(o);
	return known;
}

void vfu_out_set_master(struct vfu_out *o, bool on)
{
	if (atomic_exchange(&o->master, on) != on && on)
		look(o);
}
