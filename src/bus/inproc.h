/* SPDX-License-Identifier: BSD-3-Clause */
/* The in-process bus: shared by its parts. See tvq/inproc.h. */
#ifndef TVQ_BUS_INPROC_H
#define TVQ_BUS_INPROC_H

#include <tvq/inproc.h>
#include <tvq/loop.h>

#include "device/device_priv.h"
#include "device/util.h"

struct inproc_msi;

/* One of the management device's own queues, or its configuration. */
struct inproc_own {
	struct tvq_msg msg;
	void (*used)(void *ctx);
	void *ctx;
	bool posted;
};

struct inproc {
	struct tvq_bus bus;
	struct tvq_platform platform;
	struct tvq_device *dev;

	struct tvq_space **spaces; /* by asid */
	uint32_t n_spaces, cap_spaces;
	uint32_t *free_asids, n_free_asids;

	struct inproc_msi **msis; /* by slot */
	uint32_t n_msis, cap_msis;
	uint32_t *free_msis, n_free_msis;
	uint32_t msi_cookie;

	void (*changed)(void *ctx, uint8_t status); /* hears of the configuration interrupt */
	void *changed_ctx;
	struct tvq_msg changed_msg;
	bool changed_posted;

	struct inproc_own *own; /* by slot of the device's queues */
	uint16_t n_own;
};

static inline struct inproc *inproc_of(struct tvq_bus *b)
{
	return tvq_container_of(b, struct inproc, bus);
}

static inline struct inproc *inproc_of_platform(struct tvq_platform *p)
{
	return tvq_container_of(p, struct inproc, platform);
}

/* inproc_msi.c */
int inproc_msi_fd(struct tvq_bus *b, int fd, uint64_t *addr, uint32_t *data);
void inproc_msi_fd_free(struct tvq_bus *b, uint64_t addr, uint32_t data);
struct tvq_msi_target *inproc_msi_find(struct tvq_platform *p, uint64_t addr, uint32_t data);
void inproc_msi_fini(struct inproc *ip);

/* inproc_kick.c */
int inproc_notify_fd(struct tvq_bus *b, uint64_t area, uint16_t index, int fd,
		     struct tvq_done *done);
void inproc_vq_enter(struct tvq_platform *p, struct tvq_vq *vq);
void inproc_vq_leave(struct tvq_platform *p, struct tvq_vq *vq);
void inproc_vq_away(struct tvq_platform *p, struct tvq_vq *vq);
void inproc_vq_free(struct tvq_platform *p, struct tvq_vq *vq);

/* inproc_space.c */
int inproc_space_new(struct tvq_bus *b, uint32_t *asid);
void inproc_space_free(struct tvq_bus *b, uint32_t asid);
int inproc_map(struct tvq_bus *b, uint32_t asid, const struct tvq_bus_mem *m, size_t n);
int inproc_unmap(struct tvq_bus *b, uint32_t asid, uint64_t iova, uint64_t len,
		 struct tvq_done *done);
void *inproc_dma_alloc(struct tvq_bus *b, size_t size, uint64_t *iova);
void inproc_dma_free(struct tvq_bus *b, void *p, size_t size);
struct tvq_space *inproc_space_of(struct tvq_platform *p, uint32_t asid);
void inproc_space_fini(struct inproc *ip);

/* Doubles an array of n elements that is full; -ENOMEM and nothing has changed. */
int inproc_grow(void *array, uint32_t *cap, uint32_t n, size_t elem);

#endif
