// SPDX-License-Identifier: BSD-3-Clause
/*
 * Interrupts of the in-process bus: eventfds behind an address and data pair. The addresses lie
 * where no memory is mapped; the data is a cookie, so that a stale pair is not somebody else's.
 *
 * Whoever else shares a descriptor may fill its counter and clear its O_NONBLOCK: it is signalled
 * in a way that does not wait (tvq_loop_signal()).
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bus/inproc.h"

#define MSI_BASE 0xffffff0000000000ull
#define MSI_STEP 16

struct inproc_msi {
	struct tvq_msi_target target;
	const struct tvq_os *os;
	atomic_uint refs; /* the table, interrupts that use it */
	uint32_t slot, data;
	int fd;
	bool failed; /* said so already */
};

static void drop(struct inproc_msi *m)
{
	if (atomic_fetch_sub(&m->refs, 1) != 1)
		return;
	close(m->fd);
	free(m);
}

static void msi_send(struct tvq_msi_target *t, struct tvq_exec *e)
{
	struct inproc_msi *m = tvq_container_of(t, struct inproc_msi, target);
	int err = tvq_loop_signal(tvq_exec_loop(e), m->fd);

	if (__builtin_expect(!err, 1) || m->failed)
		return;
	m->failed = true;
	tvq_log(m->os, TVQ_LOG_ERR, "an interrupt is lost, its eventfd cannot be signalled: %s",
		strerror(-err));
}

static void msi_put(struct tvq_msi_target *t)
{
	drop(tvq_container_of(t, struct inproc_msi, target));
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
	m->os = b->os;
	m->refs = 1;
	m->data = ++ip->msi_cookie;
	m->target.send = msi_send;
	m->target.put = msi_put;
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
	drop(m);
}

void inproc_msi_fini(struct inproc *ip)
{
	for (uint32_t i = 0; i < ip->n_msis; i++)
		if (ip->msis[i])
			drop(ip->msis[i]);
	free(ip->msis);
	free(ip->free_msis);
}
