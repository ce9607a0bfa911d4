// SPDX-License-Identifier: BSD-3-Clause
/*
 * Interrupts of the in-process bus: eventfds behind an address and data pair. The addresses lie where no
 * memory is mapped; the data is a cookie, so that a stale pair is not somebody else's.
 *
 * A descriptor with O_NONBLOCK is written on the spot. One without could hold the worker while its
 * counter is full, so it is written through the worker's io_uring, one write at a time. A peer that
 * leaves its counter full for ever keeps that write under way: it is cancelled when nobody uses the pair
 * any more, lest each such connection costs a descriptor.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <liburing.h>

#include "bus/inproc.h"

#define MSI_BASE 0xffffff0000000000ull
#define MSI_STEP 16

enum { IDLE, BUSY, AGAIN };

struct inproc_msi {
	struct tvq_msi_target target;
	struct inproc *ip;
	atomic_uint refs;		/* users, a write and a cancellation under way */
	atomic_uint users;		/* the table, interrupts that use it */
	uint32_t slot, data;
	int fd;
	bool blocking;
	/* For a blocking one: */
	atomic_int state;
	struct tvq_io io;
	struct tvq_exec *exec;
	struct tvq_msg cancel;
};

static const uint64_t one = 1;

static void drop(struct inproc_msi *m)
{
	if (atomic_fetch_sub(&m->refs, 1) != 1)
		return;
	close(m->fd);
	free(m);
}

static void queue_write(struct inproc_msi *m)
{
	struct io_uring_sqe *sqe = tvq_loop_sqe(tvq_exec_loop(m->exec), &m->io);

	io_uring_prep_write(sqe, m->fd, &one, sizeof(one), (uint64_t)-1);
}

static void written(struct tvq_io *io, int res, bool more)
{
	struct inproc_msi *m = tvq_container_of(io, struct inproc_msi, io);
	int busy = BUSY;

	(void)res;
	(void)more;
	if (!atomic_load(&m->users)) {
		atomic_store(&m->state, IDLE);
		drop(m);
		return;
	}
	if (atomic_compare_exchange_strong(&m->state, &busy, IDLE)) {
		drop(m);
		return;
	}
	atomic_store(&m->state, BUSY);
	queue_write(m);
}

static void send_blocking(struct inproc_msi *m, struct tvq_exec *e)
{
	for (;;) {
		int s = IDLE;

		if (atomic_compare_exchange_strong(&m->state, &s, BUSY)) {
			atomic_fetch_add(&m->refs, 1);
			m->exec = e;
			queue_write(m);
			return;
		}
		/* The write under way may be over before what we announce is seen: one more. */
		if (s == AGAIN || atomic_compare_exchange_strong(&m->state, &s, AGAIN))
			return;
	}
}

static void msi_send(struct tvq_msi_target *t, struct tvq_exec *e)
{
	struct inproc_msi *m = tvq_container_of(t, struct inproc_msi, target);

	if (m->blocking)
		send_blocking(m, e);
	else if (write(m->fd, &one, sizeof(one)) < 0)
		return;		/* EAGAIN: the counter is full, so the peer will wake */
}

static void cancel_write(struct tvq_msg *msg)
{
	struct inproc_msi *m = tvq_container_of(msg, struct inproc_msi, cancel);

	if (atomic_load(&m->state) != IDLE)
		io_uring_prep_cancel(tvq_loop_sqe(tvq_exec_loop(m->exec), NULL), &m->io, 0);
	drop(m);
}

/* The user's reference becomes the cancellation's. Nobody sends any more: exec stays what it is. */
static void drop_user(struct inproc_msi *m)
{
	if (atomic_fetch_sub(&m->users, 1) == 1 && atomic_load(&m->state) != IDLE)
		tvq_exec_post(m->exec, &m->cancel);
	else
		drop(m);
}

static void msi_put(struct tvq_msi_target *t)
{
	drop_user(tvq_container_of(t, struct inproc_msi, target));
}

static struct inproc_msi *lookup(struct inproc *ip, uint64_t addr, uint32_t data)
{
	uint64_t slot = (addr - MSI_BASE) / MSI_STEP;
	struct inproc_msi *m;

	if (addr < MSI_BASE || addr % MSI_STEP || slot >= ip->n_msis)
		return NULL;
	m = ip->msis[slot];
	return m && m->data == data ? m : NULL;
}

struct tvq_msi_target *inproc_msi_find(struct tvq_platform *p, uint64_t addr, uint32_t data)
{
	struct inproc_msi *m = lookup(inproc_of_platform(p), addr, data);

	if (!m)
		return NULL;
	atomic_fetch_add(&m->refs, 1);
	atomic_fetch_add(&m->users, 1);
	return &m->target;
}

static int take_slot(struct inproc *ip, uint32_t *slot)
{
	uint32_t cap = ip->cap_msis;

	if (ip->n_free_msis) {
		*slot = ip->free_msis[--ip->n_free_msis];
		return 0;
	}
	if (inproc_grow(&ip->free_msis, &cap, ip->n_msis, sizeof(*ip->free_msis)) ||
	    inproc_grow(&ip->msis, &ip->cap_msis, ip->n_msis, sizeof(struct inproc_msi *)))
		return -ENOMEM;
	*slot = ip->n_msis;
	ip->msis[ip->n_msis++] = NULL;
	return 0;
}

int inproc_msi_fd(struct tvq_bus *b, int fd, uint64_t *addr, uint32_t *data)
{
	struct inproc *ip = inproc_of(b);
	struct inproc_msi *m = calloc(1, sizeof(*m));
	int err = m ? take_slot(ip, &m->slot) : -ENOMEM;

	if (err) {
		free(m);
		return err;
	}
	m->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (m->fd < 0) {
		err = -errno;
		ip->free_msis[ip->n_free_msis++] = m->slot;
		free(m);
		return err;
	}
	m->ip = ip;
	m->refs = 1;
	m->users = 1;
	m->cancel.fn = cancel_write;
	m->data = ++ip->msi_cookie;
	m->blocking = !(fcntl(fd, F_GETFL) & O_NONBLOCK);
	m->target.send = msi_send;
	m->target.put = msi_put;
	m->io.fn = written;
	ip->msis[m->slot] = m;
	*addr = MSI_BASE + (uint64_t)m->slot * MSI_STEP;
	*data = m->data;
	return 0;
}

void inproc_msi_fd_free(struct tvq_bus *b, uint64_t addr, uint32_t data)
{
	struct inproc *ip = inproc_of(b);
	struct inproc_msi *m = lookup(ip, addr, data);

	if (!m)
		return;
	ip->msis[m->slot] = NULL;
	ip->free_msis[ip->n_free_msis++] = m->slot;
	drop_user(m);
}

void inproc_msi_fini(struct inproc *ip)
{
	for (uint32_t i = 0; i < ip->n_msis; i++)
		if (ip->msis[i])
			drop_user(ip->msis[i]);
	free(ip->msis);
	free(ip->free_msis);
}
