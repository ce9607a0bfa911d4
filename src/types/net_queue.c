// SPDX-License-Identifier: BSD-3-Clause
/* Receive and transmit queues come to and leave the switch's worker. */
#include "device/util.h"
#include "types/net.h"

static void scratch_release(struct tvq_exec_local *l)
{
	struct net_scratch *s = tvq_container_of(l, struct net_scratch, local);

	s->exec->local[TVQ_EXEC_SLOT_NET] = NULL;
	s->os->free(s, sizeof(*s));
}

static struct net_scratch *scratch_of(struct tvq_exec *e)
{
	struct net_scratch *s;

	if (e->local[TVQ_EXEC_SLOT_NET])
		return tvq_container_of(e->local[TVQ_EXEC_SLOT_NET], struct net_scratch, local);
	s = e->os->alloc(sizeof(*s));
	if (!s)
		return NULL;
	s->local.release = scratch_release;
	s->os = e->os;
	s->exec = e;
	for (unsigned int i = 0; i < TVQ_SWITCH_BATCH; i++) {
		s->frames[i] = &s->frame[i];
		s->tx_chains[i] = &s->tx_chain[i];
		s->tx_chain[i].seg = s->tx_seg[i];
		s->tx_chain[i].max_seg = NET_TX_SEGS;
	}
	for (unsigned int i = 0; i < NET_RX_CHAINS; i++) {
		s->rx_chains[i] = &s->rx_chain[i];
		s->rx_chain[i].seg = s->rx_seg[i];
		s->rx_chain[i].iova = s->rx_iova[i];
		s->rx_chain[i].max_seg = NET_RX_SEGS;
	}
	e->local[TVQ_EXEC_SLOT_NET] = &s->local;
	return s;
}

/* Which offloads a receiver takes: the bits that it accepted. */
static uint8_t receiver_can(uint64_t f)
{
	return (uint8_t)((net_has(f, NET_F_GUEST_CSUM) ? TVQ_CAN_CSUM : 0) |
			 (net_has(f, NET_F_GUEST_TSO4) ? TVQ_CAN_TSO4 : 0) |
			 (net_has(f, NET_F_GUEST_TSO6) ? TVQ_CAN_TSO6 : 0) |
			 (net_has(f, NET_F_GUEST_ECN) ? TVQ_CAN_ECN : 0));
}

int net_queue_enter(struct net_queue *q, struct tvq_vq *vq)
{
	/* It is the control executor's, and does not change while one of its queues is there. */
	uint64_t f = vq->dev->accepted;

	vq->type_data = q;
	q->vq = vq;
	q->dirty = false;
	q->features = f;
	q->mrg = net_has(f, NET_F_MRG_RXBUF);
	q->report = net_has(f, NET_F_HASH_REPORT);
	q->hdr_len = q->report ? NET_HDR_HASH : NET_HDR;
	q->can = receiver_can(f);
	q->scratch = scratch_of(vq->worker);
	return q->scratch ? 0 : -ENOMEM;
}

void net_queue_leave(struct net_queue *q)
{
	q->vq->type_data = NULL;
	q->vq = NULL;
	q->dirty = false;
}
