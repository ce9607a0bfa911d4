/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The commands, encoded: each function appends one to a batch. Numbers are the
 * CPU's. NULL: no memory, which the batch reports.
 */
#ifndef TVQ_SEQ_H
#define TVQ_SEQ_H

#include <linux/vdpa.h>

#include "tvq_cmd.h"

/* "VQ_ADDR SET", for messages. */
const char *tvq_cmd_name(const struct tvq_cmd *cmd);

/* Resources (4.1), creation (4.2); for device 0. */
struct tvq_cmd *tvq_seq_avail_res(struct tvq_batch *b);
struct tvq_cmd *tvq_seq_type(struct tvq_batch *b, u32 virtio_id);
struct tvq_cmd *tvq_seq_create(struct tvq_batch *b, u32 virtio_id, u64 features, const void *config,
			       u32 config_len);

/* For the managed device id. */
struct tvq_cmd *tvq_seq_destroy(struct tvq_batch *b, u64 id);
struct tvq_cmd *tvq_seq_features_get(struct tvq_batch *b, u64 id);
struct tvq_cmd *tvq_seq_features_set(struct tvq_batch *b, u64 id, u64 features);
struct tvq_cmd *tvq_seq_status_set(struct tvq_batch *b, u64 id, u8 status);
struct tvq_cmd *tvq_seq_status_get(struct tvq_batch *b, u64 id);
struct tvq_cmd *tvq_seq_generation(struct tvq_batch *b, u64 id);
struct tvq_cmd *tvq_seq_config_get(struct tvq_batch *b, u64 id, u32 offset, u32 size);
struct tvq_cmd *tvq_seq_config_set(struct tvq_batch *b, u64 id, u32 offset, const void *buf,
				   u32 size);
struct tvq_cmd *tvq_seq_msi_config_set(struct tvq_batch *b, u64 id, u64 addr, u32 data);
struct tvq_cmd *tvq_seq_msi_config_enable(struct tvq_batch *b, u64 id, u8 enable);

/* For its queue q. */
struct tvq_cmd *tvq_seq_msi_vq_set(struct tvq_batch *b, u64 id, u16 q, u64 addr, u32 data);
struct tvq_cmd *tvq_seq_msi_vq_enable(struct tvq_batch *b, u64 id, u16 q, u8 enable);
struct tvq_cmd *tvq_seq_vq_size_get(struct tvq_batch *b, u64 id, u16 q);
struct tvq_cmd *tvq_seq_vq_size_set(struct tvq_batch *b, u64 id, u16 q, u16 size);
struct tvq_cmd *tvq_seq_vq_notify(struct tvq_batch *b, u64 id, u16 q);
struct tvq_cmd *tvq_seq_vq_addr(struct tvq_batch *b, u64 id, u16 q, u64 desc, u64 driver,
				u64 device);
struct tvq_cmd *tvq_seq_vq_enable(struct tvq_batch *b, u64 id, u16 q, u8 enable);
struct tvq_cmd *tvq_seq_vq_index_set(struct tvq_batch *b, u64 id, u16 q, bool packed,
				     const struct vdpa_vq_state *s);
struct tvq_cmd *tvq_seq_vq_index_get(struct tvq_batch *b, u64 id, u16 q, bool packed);
struct tvq_cmd *tvq_seq_vq_stats(struct tvq_batch *b, u64 id, u16 q);

/* What a command answered; 0 where cmd is NULL or failed. */
u8 tvq_cmd_u8(const struct tvq_cmd *cmd);
u16 tvq_cmd_u16(const struct tvq_cmd *cmd);
u32 tvq_cmd_u32(const struct tvq_cmd *cmd);
u64 tvq_cmd_u64(const struct tvq_cmd *cmd);
/* All of it; the rest of buf is zero. */
void tvq_cmd_copy(const struct tvq_cmd *cmd, void *buf, u32 len);
void tvq_cmd_index(const struct tvq_cmd *cmd, bool packed, struct vdpa_vq_state *s);

#endif
