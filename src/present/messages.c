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
 * 0 is a reset. Early versions of QEMU send it before they stop the rings and ask for their
 * positions, so that these have to outlive it.
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
	if (tvq_fd_kind(c->fds[0]) != TVQ_FD_SOCKET)
		return vu_no(c, -ENOTSOCK, "the descriptor is no UNIX stream socket");
	vu_notice_channel(c, vu_take_fd(c, 0));
	return 0;
}

/* Sizes of payloads: the least and the most. */
#define NOTHING 0, 0
#define U64	sizeof(uint64_t), sizeof(uint64_t)
#define STATE	sizeof(struct vu_vring_state), sizeof(struct vu_vring_state)
#define ADDR	sizeof(struct vu_vring_addr), sizeof(struct vu_vring_addr)
#define TABLE                                                                                      \
	sizeof(struct vu_mem_table),                                                               \
		sizeof(struct vu_mem_table) + VU_MAX_REGIONS * sizeof(struct vu_mem_region)
#define REGION	 sizeof(struct vu_mem_one), sizeof(struct vu_mem_one)
#define CONFIG	 (sizeof(struct vu_config) + 1), VU_MAX_PAYLOAD
#define INFLIGHT VU_INFLIGHT_SHORT, sizeof(struct vu_inflight)

/* Descriptors: the fewest and the most. */
#define FDS(min, max) min, max

/* A reply of its own, or what NEED_REPLY asks for; the protocol feature that it needs. */
#define REPLIES VU_MSG_REPLIES
#define ACK	0
#define ANY	(-1)

#define MSG(name, ...) [VU_##name] = { #name, __VA_ARGS__ }

/* clang-format off */
static const struct vu_msg_info messages[VU_REQUESTS] = {
	MSG(GET_FEATURES, NOTHING, FDS(0, 0), REPLIES, ANY,
	    vu_decode_none, NULL, answer_features),
	MSG(SET_FEATURES, U64, FDS(0, 0), ACK, ANY,
	    vu_decode_features, apply_features, NULL),
	MSG(SET_OWNER, NOTHING, FDS(0, 0), ACK, ANY,
	    vu_decode_none, NULL, NULL),
	MSG(RESET_OWNER, NOTHING, FDS(0, 0), ACK, ANY,
	    vu_decode_none, apply_reset_owner, NULL),
	MSG(SET_MEM_TABLE, TABLE, FDS(0, VU_MAX_REGIONS), ACK, ANY,
	    vu_decode_mem_table, vu_apply_mem_table, NULL),
	MSG(SET_VRING_NUM, STATE, FDS(0, 0), ACK, ANY,
	    vu_decode_vring_num, vu_apply_vring_num, NULL),
	MSG(SET_VRING_ADDR, ADDR, FDS(0, 0), ACK, ANY,
	    vu_decode_vring_addr, vu_apply_vring_addr, NULL),
	MSG(SET_VRING_BASE, STATE, FDS(0, 0), ACK, ANY,
	    vu_decode_vring_state, vu_apply_vring_base, NULL),
	MSG(GET_VRING_BASE, STATE, FDS(0, 0), REPLIES, ANY,
	    vu_decode_vring_state, vu_apply_get_vring_base, vu_answer_get_vring_base),
	MSG(SET_VRING_KICK, U64, FDS(0, 1), ACK, ANY,
	    vu_decode_vring_fd, vu_apply_vring_kick, NULL),
	MSG(SET_VRING_CALL, U64, FDS(0, 1), ACK, ANY,
	    vu_decode_vring_fd, vu_apply_vring_call, NULL),
	MSG(SET_VRING_ERR, U64, FDS(0, 1), ACK, ANY,
	    vu_decode_vring_fd, vu_apply_vring_err, NULL),
	MSG(GET_PROTOCOL_FEATURES, NOTHING, FDS(0, 0), REPLIES, ANY,
	    vu_decode_none, NULL, answer_protocol),
	MSG(SET_PROTOCOL_FEATURES, U64, FDS(0, 0), ACK, ANY,
	    vu_decode_protocol, apply_protocol, NULL),
	MSG(GET_QUEUE_NUM, NOTHING, FDS(0, 0), REPLIES, ANY,
	    vu_decode_none, NULL, answer_queue_num),
	MSG(SET_VRING_ENABLE, STATE, FDS(0, 0), ACK, ANY,
	    vu_decode_vring_enable, vu_apply_vring_enable, NULL),
	MSG(SEND_RARP, U64, FDS(0, 0), ACK, VU_PF_RARP,
	    vu_decode_mac, vu_apply_rarp, NULL),
	MSG(NET_SET_MTU, U64, FDS(0, 0), ACK, VU_PF_NET_MTU,
	    vu_decode_mtu, NULL, vu_answer_mtu),
	MSG(SET_BACKEND_REQ_FD, NOTHING, FDS(1, 1), ACK, VU_PF_BACKEND_REQ,
	    vu_decode_none, apply_backend_fd, NULL),
	MSG(GET_CONFIG, CONFIG, FDS(0, 0), REPLIES, ANY,
	    vu_decode_config_get, NULL, vu_answer_get_config),
	MSG(SET_CONFIG, CONFIG, FDS(0, 0), ACK, VU_PF_CONFIG,
	    vu_decode_config_set, vu_apply_set_config, vu_answer_set_config),
	MSG(GET_INFLIGHT_FD, INFLIGHT, FDS(0, 0), REPLIES, VU_PF_INFLIGHT_SHMFD,
	    vu_decode_inflight, vu_apply_get_inflight, vu_answer_get_inflight),
	MSG(SET_INFLIGHT_FD, INFLIGHT, FDS(1, 1), ACK, VU_PF_INFLIGHT_SHMFD,
	    vu_decode_inflight, vu_apply_set_inflight, NULL),
	MSG(RESET_DEVICE, NOTHING, FDS(0, 0), ACK, VU_PF_RESET_DEVICE,
	    vu_decode_none, apply_reset_device, NULL),
	MSG(GET_MAX_MEM_SLOTS, NOTHING, FDS(0, 0), REPLIES, ANY,
	    vu_decode_none, NULL, vu_answer_max_slots),
	MSG(ADD_MEM_REG, REGION, FDS(1, 1), ACK, VU_PF_CONFIGURE_MEM_SLOTS,
	    vu_decode_mem_one, vu_apply_add_mem, NULL),
	/* Some front ends send a descriptor with it, which has no meaning. */
	MSG(REM_MEM_REG, REGION, FDS(0, 1), ACK, VU_PF_CONFIGURE_MEM_SLOTS,
	    vu_decode_mem_one, vu_apply_rem_mem, NULL),
	MSG(SET_STATUS, U64, FDS(0, 0), ACK, VU_PF_STATUS,
	    vu_decode_status, apply_status, NULL),
	MSG(GET_STATUS, NOTHING, FDS(0, 0), REPLIES, VU_PF_STATUS,
	    vu_decode_none, NULL, answer_status),
};
/* clang-format on */

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
