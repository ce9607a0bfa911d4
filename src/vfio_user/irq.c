/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Interrupts: the client's eventfds, signalled by any worker. Theory of operation.
 *
 * A vector's descriptor is a number that workers load and signal, without lock or count. So one that
 * is replaced is not closed, and the client is not answered, before a message has been to every
 * worker and back (a round): whatever they were doing with the old number is over then.
 *
 * An interrupt that is masked, or has no descriptor, is pending, and sent when that changes. Raising
 * sets `pending` before it looks at mask and descriptor; whoever changes one of these looks at
 * `pending` afterwards; of both, the one that takes the mark away sends.
 *
 * The line (INTx) masks itself when it is raised. The client unmasks it when its driver has looked;
 * it is raised again if it is still up then.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "exec/peer_fd.h"
#include "vfio_user/internal.h"

static void flush(struct vfu_vector *v, struct tvq_exec *e)
{
	int fd;

	if (atomic_load(&v->masked))
		return;
	fd = atomic_load(&v->fd);
	if (fd < 0 || !atomic_exchange(&v->pending, false))
		return;
	if (v->automask)
		atomic_store(&v->masked, true);
	tvq_loop_signal(tvq_exec_loop(e), fd);
}

static void raise_vector(struct vfu_vector *v, struct tvq_exec *e)
{
	atomic_store(&v->pending, true);
	flush(v, e);
}

void vfu_irqs_raise(struct vfu_irqs *irqs, uint16_t vector, struct tvq_exec *e)
{
	unsigned int kind = vector == TVQ_PCI_INTX ? VU_IRQ_INTX : VU_IRQ_MSIX;
	uint32_t i = vector == TVQ_PCI_INTX ? 0 : vector;

	if (i < irqs->count[kind])
		raise_vector(&irqs->v[irqs->first[kind] + i], e);
}

void vfu_irqs_forget(struct vfu_irqs *irqs)
{
	for (uint32_t i = 0; i < irqs->n; i++)
		atomic_store(&irqs->v[i].pending, false);
}

/* Rounds. */

static void round_over(struct vfu_irqs *irqs)
{
	void (*done)(struct vfu_irqs *) = irqs->done;

	for (uint32_t i = 0; i < irqs->n_gone; i++)
		close(irqs->gone[i]);
	irqs->n_gone = 0;
	irqs->done = NULL;
	done(irqs);
}

static void hop_back(struct tvq_msg *m)
{
	struct vfu_irqs *irqs = vfu_container(m, struct vfu_hop, msg)->irqs;

	if (!--irqs->out)
		round_over(irqs);
}

static void hop_there(struct tvq_msg *m)
{
	m->fn = hop_back;
	tvq_exec_post(vfu_container(m, struct vfu_hop, msg)->irqs->s->exec, m);
}

static void start_round(struct vfu_irqs *irqs, void (*done)(struct vfu_irqs *irqs))
{
	irqs->done = done;
	if (!irqs->n_hops || !irqs->n_gone) {
		round_over(irqs);
		return;
	}
	irqs->out = irqs->n_hops;
	for (unsigned int i = 0; i < irqs->n_hops; i++) {
		irqs->hops[i].msg.fn = hop_there;
		tvq_exec_post(irqs->hops[i].worker, &irqs->hops[i].msg);
	}
}

/* fd: taken over; -1: none. The old one goes with the next round. */
static void set_fd(struct vfu_irqs *irqs, struct vfu_vector *v, int fd)
{
	int old = atomic_exchange(&v->fd, fd);

	if (old >= 0)
		irqs->gone[irqs->n_gone++] = old;
	if (fd >= 0)
		flush(v, irqs->s->exec);
}

void vfu_irqs_close(struct vfu_irqs *irqs, void (*done)(struct vfu_irqs *irqs))
{
	for (uint32_t i = 0; i < irqs->n; i++) {
		set_fd(irqs, &irqs->v[i], -1);
		/* The next client starts with every vector unmasked. */
		atomic_store(&irqs->v[i].masked, false);
	}
	start_round(irqs, done);
}

/* Set-up. */

static uint32_t intx_pins(struct tvq_pci *pci)
{
	uint8_t pin = 0;

	tvq_pci_read(pci, TVQ_PCI_CONFIG, 0x3d, &pin, sizeof(pin));
	return pin ? 1 : 0;
}

static void make_hops(struct vfu_irqs *irqs, struct tvq_exec *const *workers, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		struct vfu_hop *h = &irqs->hops[irqs->n_hops];

		if (workers[i] == irqs->s->exec)
			continue;
		h->worker = workers[i];
		h->irqs = irqs;
		irqs->n_hops++;
	}
}

int vfu_irqs_init(struct tvq_vfio_user *s, const struct tvq_mgmt_cfg *mgmt)
{
	struct vfu_irqs *irqs = &s->irqs;

	irqs->s = s;
	irqs->count[VU_IRQ_INTX] = intx_pins(s->pci);
	irqs->count[VU_IRQ_MSIX] = tvq_pci_vectors(s->pci);
	/* Never raised by the device; the client may raise them itself. */
	irqs->count[VU_IRQ_ERR] = irqs->count[VU_IRQ_REQ] = 1;
	for (unsigned int k = 0; k < VU_IRQS; k++) {
		irqs->first[k] = irqs->n;
		irqs->n += irqs->count[k];
	}
	irqs->v = calloc(irqs->n, sizeof(*irqs->v));
	irqs->gone = calloc(irqs->n, sizeof(*irqs->gone));
	irqs->hops = calloc(mgmt->n_workers + 1, sizeof(*irqs->hops));
	if (!irqs->v || !irqs->gone || !irqs->hops)
		return -ENOMEM;
	for (uint32_t i = 0; i < irqs->n; i++)
		atomic_init(&irqs->v[i].fd, -1);
	if (irqs->count[VU_IRQ_INTX])
		irqs->v[irqs->first[VU_IRQ_INTX]].automask = true;
	make_hops(irqs, mgmt->workers, mgmt->n_workers);
	return 0;
}

void vfu_irqs_fini(struct vfu_irqs *irqs)
{
	free(irqs->v);
	free(irqs->gone);
	free(irqs->hops);
}

/* The messages. */

static uint32_t irq_flags(const struct vfu_irqs *irqs, uint32_t index)
{
	if (!irqs->count[index])
		return 0;
	if (index == VU_IRQ_INTX)
		return VU_IRQ_EVENTFD | VU_IRQ_MASKABLE | VU_IRQ_AUTOMASKED;
	return index == VU_IRQ_MSIX ? VU_IRQ_EVENTFD : VU_IRQ_EVENTFD | VU_IRQ_NORESIZE;
}

int vfu_handle_irq_info(struct vfu_conn *c, const struct vfu_req *req)
{
	const struct vfu_irqs *irqs = &c->s->irqs;

	if (req->index >= VU_IRQS)
		return vfu_no(c, -EINVAL, "there is no such kind of interrupt");
	c->reply.irq_info = (struct vu_irq_info){ .argsz = sizeof(c->reply.irq_info),
						  .flags = irq_flags(irqs, req->index),
						  .index = req->index,
						  .count = irqs->count[req->index] };
	c->reply_size = sizeof(c->reply.irq_info);
	return 0;
}

static void answer_round(struct vfu_irqs *irqs)
{
	vfu_done(irqs->s->conn, 0);
}

/* Descriptors for count vectors, or none for any of them. */
static int set_eventfds(struct vfu_conn *c, struct vfu_vector *v, uint32_t count)
{
	struct vfu_irqs *irqs = &c->s->irqs;

	for (unsigned int i = 0; i < c->n_fds; i++) {
		if (tvq_fd_kind(c->fds[i]) != TVQ_FD_EVENT)
			return vfu_no(c, -EINVAL, "a descriptor that is no eventfd");
	}
	for (uint32_t i = 0; i < count; i++)
		set_fd(irqs, &v[i], vfu_take_fd(c, i));
	start_round(irqs, answer_round);
	return VFU_LATER;
}

/* All vectors of a kind: no descriptors, nothing pending. */
static int disable(struct vfu_conn *c, uint32_t index)
{
	struct vfu_irqs *irqs = &c->s->irqs;
	struct vfu_vector *v = irqs->v + irqs->first[index];

	for (uint32_t i = 0; i < irqs->count[index]; i++) {
		set_fd(irqs, &v[i], -1);
		atomic_store(&v[i].pending, false);
		atomic_store(&v[i].masked, false);
	}
	start_round(irqs, answer_round);
	return VFU_LATER;
}

static void act(struct vfu_conn *c, struct vfu_vector *v, uint32_t action)
{
	switch (action) {
	case VU_SET_ACTION_MASK:
		atomic_store(&v->masked, true);
		break;
	case VU_SET_ACTION_UNMASK:
		if (v->automask)
			atomic_store(&v->pending, tvq_pci_intx(c->s->pci));
		atomic_store(&v->masked, false);
		flush(v, c->s->exec);
		break;
	default:
		raise_vector(v, c->s->exec);
	}
}

int vfu_handle_set_irqs(struct vfu_conn *c, const struct vfu_req *req)
{
	struct vfu_irqs *irqs = &c->s->irqs;
	uint32_t index = req->set_irqs.index, start = req->set_irqs.start;
	uint32_t count = req->set_irqs.count, action = req->set_irqs.action;
	struct vfu_vector *v;

	if (index >= VU_IRQS)
		return vfu_no(c, -EINVAL, "there is no such kind of interrupt");
	if (!start && !count && req->set_irqs.data == VU_SET_DATA_NONE &&
	    action == VU_SET_ACTION_TRIGGER)
		return disable(c, index);
	if (!count || start + count > irqs->count[index])
		return vfu_no(c, -EINVAL, "there are no such interrupts");
	v = irqs->v + irqs->first[index] + start;
	if (action != VU_SET_ACTION_TRIGGER && !(irq_flags(irqs, index) & VU_IRQ_MASKABLE))
		return vfu_no(c, -EINVAL, "these interrupts cannot be masked");
	if (req->set_irqs.data == VU_SET_DATA_EVENTFD) {
		/* That would be told of masking, or tell us of an end of interrupt. */
		if (action != VU_SET_ACTION_TRIGGER)
			return vfu_no(c, -EINVAL, "masks are not set by eventfd here");
		return set_eventfds(c, v, count);
	}
	for (uint32_t i = 0; i < count; i++) {
		if (req->set_irqs.data == VU_SET_DATA_NONE || req->set_irqs.bools[i])
			act(c, &v[i], action);
	}
	return 0;
}
