/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages about rings. They note what the front end wants; queue.c makes it so. */
#include <errno.h>

#include <present/internal.h>

int vu_apply_vring_num(struct vu_conn *c, struct vu_req *req)
{
	struct vu_vring *v = &c->ring[req->state.index];

	if (v->running && v->num != req->state.num)
		return vu_no(c, -EBUSY, "the ring runs");
	v->num = req->state.num;
	return 0;
}

int vu_apply_vring_addr(struct vu_conn *c, struct vu_req *req)
{
	struct vu_vring *v = &c->ring[req->addr.index];

	/* QEMU sends the same again where logging is switched on or off. */
	if (v->running &&
	    (v->desc != req->addr.desc || v->avail != req->addr.avail || v->used != req->addr.used))
		v->restart = true;
	v->desc = req->addr.desc;
	v->avail = req->addr.avail;
	v->used = req->addr.used;
	v->has_addr = true;
	return 0;
}

int vu_apply_vring_base(struct vu_conn *c, struct vu_req *req)
{
	struct vu_vring *v = &c->ring[req->state.index];

	if (v->running)
		return vu_no(c, -EBUSY, "the ring runs");
	v->base = req->state.num;
	v->lost = false;
	return 0;
}

int vu_apply_vring_enable(struct vu_conn *c, struct vu_req *req)
{
	c->ring[req->state.index].enabled = req->state.num;
	return 0;
}

/* Takes the message's descriptor in place of *fd; -1 where it says that there is none. */
static int take_event_fd(struct vu_conn *c, const struct vu_req *req, int *fd)
{
	if (!req->vring_fd.no_fd && tvq_fd_kind(c->fds[0]) != TVQ_FD_EVENT)
		return vu_no(c, -EBADF, "the descriptor is no eventfd");
	tvq_fd_close(c->p->loop, *fd);
	*fd = req->vring_fd.no_fd ? -1 : vu_take_fd(c, 0);
	return 0;
}

int vu_apply_vring_kick(struct vu_conn *c, struct vu_req *req)
{
	struct vu_vring *v = &c->ring[req->vring_fd.index];
	int err = take_event_fd(c, req, &v->kick_fd);

	if (err)
		return err;
	v->has_kick = true;
	v->kick_changed = true;
	return 0;
}

int vu_apply_vring_call(struct vu_conn *c, struct vu_req *req)
{
	struct vu_vring *v = &c->ring[req->vring_fd.index];
	int err = take_event_fd(c, req, &v->call_fd);

	if (err)
		return err;
	v->call_changed = true;
	return 0;
}

int vu_apply_vring_err(struct vu_conn *c, struct vu_req *req)
{
	return take_event_fd(c, req, &c->ring[req->vring_fd.index].err_fd);
}

int vu_apply_get_vring_base(struct vu_conn *c, struct vu_req *req)
{
	struct vu_vring *v = &c->ring[req->state.index];

	tvq_fd_close(c->p->loop, v->kick_fd);
	v->kick_fd = -1;
	v->has_kick = false;
	v->lost = false;
	return 0;
}

int vu_answer_get_vring_base(struct vu_conn *c, const struct vu_req *req)
{
	struct vu_vring_state s = { req->state.index, c->ring[req->state.index].base };

	__builtin_memcpy(c->reply.bytes, &s, sizeof(s));
	c->reply_size = sizeof(s);
	return 0;
}
