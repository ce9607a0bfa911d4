/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of messages, and those that are about the device as a whole. */
#include <errno.h>
#include <stdio.h>

#include <linux/virtio_config.h>

#include <present/internal.h>

static int answer_features(struct vu_conn *c, const struct vu_req *req)
{
	(void)req;
	vu_reply_u64(c, c->p->lim.features);
	return 0;
}

static int apply_features(struct vu_conn *c, struct vu_req *req)
{
	if (c->features_set && req->u64 == c->features)
		return 0;
	if (vu_any_running(c))
		return vu_no(c, -EBUSY, "rings are running");
	c->features = req->u64;
	c->features_set = true;
	c->want_reset = true;
	return 0;
}

static int answer_protocol(struct vu_conn *c, const struct vu_req *req)
{
	(void)req;
	vu_reply_u64(c, c->p->lim.protocol);
	return 0;
}

static int apply_protocol(struct vu_conn *c, struct vu_req *req)
{
	c->protocol = req->u64;
	return 0;
}

static int answer_queue_num(struct vu_conn *c, const struct vu_req *req)
{
	(void)req;
	vu_reply_u64(c, c->n_rings);
	return 0;
}

/* Deprecated; the document recommends to ignore it or to disable all rings. */
static int apply_reset_owner(struct vu_conn *c, struct vu_req *req)
{
	(void)req;
	vu_rings_stop(c, false);
	return 0;
}

/* The memory stays: QEMU does not send it again. */
static int apply_reset_device(struct vu_conn *c, struct vu_req *req)
{
	(void)req;
	vu_rings_stop(c, true);
	c->status = 0;
	c->want_reset = true;
	return 0;
}

/*
 * 0 is a reset. Early versions of QEMU send it before they stop the rings and ask for their positions, so
 * that these have to outlive it.
 */
static int apply_status(struct vu_conn *c, struct vu_req *req)
{
	c->status = (uint8_t)req->u64;
	if (!c->status) {
		vu_rings_stop(c, false);
		c->want_reset = true;
	} else if (c->status & VIRTIO_CONFIG_S_FEATURES_OK && c->features_set) {
		c->want_features = true;
	}
	return 0;
}

static void got_status(struct vu_conn *c, int err)
{
	uint8_t status = c->status;

	if (!(c->dev_status & VIRTIO_CONFIG_S_FEATURES_OK))
		status &= (uint8_t)~VIRTIO_CONFIG_S_FEATURES_OK;
	vu_reply_u64(c, status | (c->dev_status & VIRTIO_CONFIG_S_NEEDS_RESET));
	vu_done(c, err);
}

/* What the front end has set, but for the two bits that are the device's to say. */
static int answer_status(struct vu_conn *c, const struct vu_req *req)
{
	struct tvq_seq *s;

	(void)req;
	if (c->dev == VU_DEV_CLEAN) {
		vu_reply_u64(c, c->status);
		return 0;
	}
	vu_step_begin(c, got_status);
	s = vu_seq(c);
	if (s)
		tvq_seq_status_get(s, &c->dev_status);
	vu_step_run(c, s);
	vu_step_put(c, 0);
	return VU_LATER;
}

static int apply_backend_fd(struct vu_conn *c, struct vu_req *req)
{
	(void)req;
	if (vu_fd_kind(c->fds[0]) != VU_FD_SOCKET)
		return vu_no(c, -ENOTSOCK, "the descriptor is no UNIX stream socket");
	vu_notice_channel(c, vu_take_fd(c, 0));
	return 0;
}

#define ONE_U64 sizeof(uint64_t), sizeof(uint64_t)
#define STATE sizeof(struct vu_vring_state), sizeof(struct vu_vring_state)
#define CONFIG (sizeof(struct vu_config) + 1), VU_MAX_PAYLOAD

static const struct vu_msg_info messages[VU_REQUESTS] = {
	[VU_GET_FEATURES] = { "GET_FEATURES", 0, 0, 0, 0, VU_MSG_REPLIES, -1,
		vu_decode_none, NULL, answer_features },
	[VU_SET_FEATURES] = { "SET_FEATURES", ONE_U64, 0, 0, 0, -1,
		vu_decode_features, apply_features, NULL },
	[VU_SET_OWNER] = { "SET_OWNER", 0, 0, 0, 0, 0, -1,
		vu_decode_none, NULL, NULL },
	[VU_RESET_OWNER] = { "RESET_OWNER", 0, 0, 0, 0, 0, -1,
		vu_decode_none, apply_reset_owner, NULL },
	[VU_SET_MEM_TABLE] = { "SET_MEM_TABLE", sizeof(struct vu_mem_table), sizeof(struct vu_mem_table) +
		VU_MAX_REGIONS * sizeof(struct vu_mem_region), 0, VU_MAX_REGIONS, 0, -1,
		vu_decode_mem_table, vu_apply_mem_table, NULL },
	[VU_SET_VRING_NUM] = { "SET_VRING_NUM", STATE, 0, 0, 0, -1,
		vu_decode_vring_num, vu_apply_vring_num, NULL },
	[VU_SET_VRING_ADDR] = { "SET_VRING_ADDR", sizeof(struct vu_vring_addr), sizeof(struct vu_vring_addr),
		0, 0, 0, -1, vu_decode_vring_addr, vu_apply_vring_addr, NULL },
	[VU_SET_VRING_BASE] = { "SET_VRING_BASE", STATE, 0, 0, 0, -1,
		vu_decode_vring_state, vu_apply_vring_base, NULL },
	[VU_GET_VRING_BASE] = { "GET_VRING_BASE", STATE, 0, 0, VU_MSG_REPLIES, -1,
		vu_decode_vring_state, vu_apply_get_vring_base, vu_answer_get_vring_base },
	[VU_SET_VRING_KICK] = { "SET_VRING_KICK", ONE_U64, 0, 1, 0, -1,
		vu_decode_vring_fd, vu_apply_vring_kick, NULL },
	[VU_SET_VRING_CALL] = { "SET_VRING_CALL", ONE_U64, 0, 1, 0, -1,
		vu_decode_vring_fd, vu_apply_vring_call, NULL },
	[VU_SET_VRING_ERR] = { "SET_VRING_ERR", ONE_U64, 0, 1, 0, -1,
		vu_decode_vring_fd, vu_apply_vring_err, NULL },
	[VU_GET_PROTOCOL_FEATURES] = { "GET_PROTOCOL_FEATURES", 0, 0, 0, 0, VU_MSG_REPLIES, -1,
		vu_decode_none, NULL, answer_protocol },
	[VU_SET_PROTOCOL_FEATURES] = { "SET_PROTOCOL_FEATURES", ONE_U64, 0, 0, 0, -1,
		vu_decode_protocol, apply_protocol, NULL },
	[VU_GET_QUEUE_NUM] = { "GET_QUEUE_NUM", 0, 0, 0, 0, VU_MSG_REPLIES, -1,
		vu_decode_none, NULL, answer_queue_num },
	[VU_SET_VRING_ENABLE] = { "SET_VRING_ENABLE", STATE, 0, 0, 0, -1,
		vu_decode_vring_enable, vu_apply_vring_enable, NULL },
	[VU_SET_BACKEND_REQ_FD] = { "SET_BACKEND_REQ_FD", 0, 0, 1, 1, 0, VU_PF_BACKEND_REQ,
		vu_decode_none, apply_backend_fd, NULL },
	[VU_GET_CONFIG] = { "GET_CONFIG", CONFIG, 0, 0, VU_MSG_REPLIES, -1,
		vu_decode_config_get, NULL, vu_answer_get_config },
	[VU_SET_CONFIG] = { "SET_CONFIG", CONFIG, 0, 0, 0, VU_PF_CONFIG,
		vu_decode_config_set, vu_apply_set_config, vu_answer_set_config },
	[VU_GET_INFLIGHT_FD] = { "GET_INFLIGHT_FD", VU_INFLIGHT_SHORT, sizeof(struct vu_inflight), 0, 0,
		VU_MSG_REPLIES, VU_PF_INFLIGHT_SHMFD,
		vu_decode_inflight, vu_apply_get_inflight, vu_answer_get_inflight },
	[VU_SET_INFLIGHT_FD] = { "SET_INFLIGHT_FD", VU_INFLIGHT_SHORT, sizeof(struct vu_inflight), 1, 1,
		0, VU_PF_INFLIGHT_SHMFD,
		vu_decode_inflight, vu_apply_set_inflight, NULL },
	[VU_RESET_DEVICE] = { "RESET_DEVICE", 0, 0, 0, 0, 0, VU_PF_RESET_DEVICE,
		vu_decode_none, apply_reset_device, NULL },
	[VU_GET_MAX_MEM_SLOTS] = { "GET_MAX_MEM_SLOTS", 0, 0, 0, 0, VU_MSG_REPLIES, -1,
		vu_decode_none, NULL, vu_answer_max_slots },
	[VU_ADD_MEM_REG] = { "ADD_MEM_REG", sizeof(struct vu_mem_one), sizeof(struct vu_mem_one), 1, 1, 0,
		VU_PF_CONFIGURE_MEM_SLOTS, vu_decode_mem_one, vu_apply_add_mem, NULL },
	/* Some front ends send a descriptor with it, which has no meaning. */
	[VU_REM_MEM_REG] = { "REM_MEM_REG", sizeof(struct vu_mem_one), sizeof(struct vu_mem_one), 0, 1, 0,
		VU_PF_CONFIGURE_MEM_SLOTS, vu_decode_mem_one, vu_apply_rem_mem, NULL },
	[VU_SET_STATUS] = { "SET_STATUS", ONE_U64, 0, 0, 0, VU_PF_STATUS,
		vu_decode_status, apply_status, NULL },
	[VU_GET_STATUS] = { "GET_STATUS", 0, 0, 0, 0, VU_MSG_REPLIES, VU_PF_STATUS,
		vu_decode_none, NULL, answer_status },
};

const struct vu_msg_info *vu_msg_info(uint32_t request)
{
	return request < VU_REQUESTS && messages[request].name ? &messages[request] : NULL;
}

const char *vu_msg_name(uint32_t request)
{
	static char unknown[32];
	const struct vu_msg_info *info = vu_msg_info(request);

	if (info)
		return info->name;
	snprintf(unknown, sizeof(unknown), "message %u", request);
	return unknown;
}
