/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The configuration space: GET_CONFIG and SET_CONFIG become the device's own commands.
 *
 * A front end may ask for more than the space has (QEMU asks for its own idea of the structure):
 * the rest reads as zeroes, as virtio has it for fields without a feature.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>

#include <present/internal.h>

/* Of virtio 1.4's structure for the type (TQ-076). Headers older than that lack its end. */
#define BLK_CONFIG_SIZE 96
#define NET_CONFIG_SIZE 28

static uint32_t space_size(const struct vu_conn *c)
{
	switch (c->p->type) {
	case VIRTIO_ID_BLOCK:
		return BLK_CONFIG_SIZE;
	case VIRTIO_ID_NET:
		return NET_CONFIG_SIZE;
	default:
		return VU_MAX_CONFIG;
	}
}

#define WCE_OFFSET offsetof(struct virtio_blk_config, wce)

static bool has_wce(const struct vu_conn *c)
{
	return c->p->type == VIRTIO_ID_BLOCK && c->p->wce_set;
}

static struct vu_config *reply_config(struct vu_conn *c)
{
	return (struct vu_config *)c->reply.bytes;
}

/* A device that is reset shows its own default, which is not what the guest had set. */
static void show_wce(struct vu_conn *c)
{
	uint32_t at = WCE_OFFSET - c->req.config.offset;

	if (has_wce(c) && c->dev != VU_DEV_LIVE && at < c->req.config.size)
		reply_config(c)->data[at] = c->p->wce;
}

static void got_config(struct vu_conn *c, int err)
{
	if (!err)
		show_wce(c);
	else
		vu_log(c, TVQ_LOG_ERR, "the device refused %s",
		       c->step_failed ? c->step_failed : "it");
	/* That is how the protocol says no. */
	if (err)
		c->reply_size = 0;
	vu_done(c, 0);
}

int vu_answer_get_config(struct vu_conn *c, const struct vu_req *req)
{
	struct vu_config head = { req->config.offset, req->config.size, req->config.flags };
	uint32_t space = space_size(c), size = req->config.size;
	struct tvq_seq *s;

	memset(c->reply.bytes, 0, sizeof(c->reply.bytes));
	memcpy(c->reply.bytes, &head, sizeof(head));
	c->reply_size = sizeof(head) + req->config.size;
	if (req->config.offset >= space)
		return 0;
	if (size > space - req->config.offset)
		size = space - req->config.offset;
	vu_step_begin(c, got_config);
	s = vu_seq(c);
	if (s)
		tvq_seq_config_get(s, req->config.offset, size, reply_config(c)->data);
	vu_step_run(c, s);
	vu_step_put(c, 0);
	return VU_LATER;
}

int vu_apply_set_config(struct vu_conn *c, struct vu_req *req)
{
	(void)req;
	/* The device takes it with FEATURES_OK only (TQ-078); the guest may set it before its rings
	 * run. */
	if (!c->features_set)
		return vu_no(c, -EPERM, "not before SET_FEATURES");
	c->want_features = true;
	return 0;
}

static void config_set(struct vu_conn *c, int err)
{
	if (!err && c->p->type == VIRTIO_ID_BLOCK && c->req.config.offset == WCE_OFFSET &&
	    c->req.config.size == 1) {
		c->p->wce_set = true;
		c->p->wce = c->req.config.data[0];
	}
	vu_done(c, err ? vu_no(c, err, "the device refused it") : 0);
}

int vu_answer_set_config(struct vu_conn *c, const struct vu_req *req)
{
	struct tvq_seq *s;

	vu_step_begin(c, config_set);
	s = vu_seq(c);
	if (s)
		tvq_seq_config_set(s, req->config.offset, req->config.size, req->config.data);
	vu_step_run(c, s);
	vu_step_put(c, 0);
	return VU_LATER;
}

void vu_config_again(struct vu_conn *c, struct tvq_seq *s)
{
	if (has_wce(c) && c->features >> VIRTIO_BLK_F_CONFIG_WCE & 1)
		tvq_seq_config_set(s, WCE_OFFSET, 1, &c->p->wce);
}
