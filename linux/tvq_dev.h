/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A managed device, as a vDPA device.
 */
#ifndef TVQ_DEV_H
#define TVQ_DEV_H

#include <linux/cpumask.h>
#include <linux/mutex.h>
#include <linux/vdpa.h>

#include "tvq_cmd.h"
#include "tvq_irq.h"

struct tvq_mgmt;

struct tvq_vq {
	u16 index;
	u16 max; /* most entries */
	void __iomem *notify;
	resource_size_t notify_pa;
	/* What was set; told to the device when the queue becomes ready. */
	u32 num;
	u64 desc, driver, device;
	struct vdpa_vq_state state;
	bool ready;
	bool ran;		/* since the last reset: the device knows its state better */
	struct tvq_batch setup; /* under way, or waited for at DRIVER_OK */
	struct tvq_irq_user irq;
	struct cpumask *affinity; /* NULL: none was set */
	cpumask_var_t affinity_mask;
};

struct tvq_dev {
	struct vdpa_device vdpa; /* first */
	struct tvq_fn *fn;
	struct tvq_mgmt *mgmt;
	u64 id;
	u64 features, driver_features;
	struct mutex lock; /* all that follows; taken before irqs->lock */
	bool gone;	   /* destroyed, though its driver does not know yet */
	u8 status;	   /* what the device said last */
	bool touched;	   /* something was set since the last reset */
	bool reported;	   /* a failure was, since then */
	/* The configuration, as it was at a generation; valid until something changes. */
	u8 *config;
	u32 generation;
	bool config_valid;
	/* Set by the configuration interrupt, which may come at any time. */
	unsigned long stale;
	struct work_struct config_work;
	struct vdpa_callback config_cb;
	u32 told; /* the generation at its last call, if there was one */
	bool told_any;
	struct tvq_irq_user config_irq;
	struct tvq_batch config_setup;
	bool failed; /* some set-up has, so DRIVER_OK is not sent before a reset */
	u16 n_vqs;
	struct tvq_vq *vqs;
};

enum { TVQ_STALE_STATUS, TVQ_STALE_CONFIG };

static inline struct tvq_dev *to_tvq_dev(struct vdpa_device *vdpa)
{
	return container_of(vdpa, struct tvq_dev, vdpa);
}

extern const struct vdpa_config_ops tvq_vdpa_ops;

/*
 * A device that CREATE made: asks for all that is fixed. It is the caller's to register, and to
 * tvq_dev_delete() in the end. ERR_PTR: with a message; the device is destroyed. Sleeps.
 */
struct tvq_dev *tvq_dev_new(struct tvq_mgmt *m, const char *name, u64 id, u16 n_vqs);
/* Destroys the device and gives the reference up. Not registered any more. */
void tvq_dev_delete(struct tvq_dev *dev);
void tvq_dev_free(struct vdpa_device *vdpa); /* the operation */

/*
 * A command failed: a message names it and its queue. The first since the last reset only, as one
 * failure makes others. err is the batch's.
 */
void tvq_dev_report(struct tvq_dev *dev, const struct tvq_batch *b, int err);

/* The operations below are called with dev->lock held. They sleep, bounded. */
u8 tvq_dev_status(struct tvq_dev *dev);
void tvq_dev_set_status(struct tvq_dev *dev, u8 status);
/* Afterwards the device does no DMA and calls nobody, whatever it takes. */
void tvq_dev_reset(struct tvq_dev *dev);
/* Stops it for good where it does not stop by itself. */
void tvq_dev_kill(struct tvq_dev *dev, const char *why);
int tvq_dev_read_config(struct tvq_dev *dev);
void tvq_dev_config_work(struct work_struct *work);
void tvq_dev_set_config_cb(struct tvq_dev *dev, const struct vdpa_callback *cb);

bool tvq_dev_packed(const struct tvq_dev *dev);

/* tvq_vq.c */
int tvq_vq_init(struct tvq_dev *dev, struct tvq_vq *vq, u16 index);
void tvq_vq_exit(struct tvq_vq *vq);
/* Sends the queue's set-up, does not wait for it. */
void tvq_vq_start(struct tvq_dev *dev, struct tvq_vq *vq);
/* Waits for it; dev->failed, with a message, if it did not work. */
void tvq_vq_started(struct tvq_dev *dev, struct tvq_vq *vq);
/* ENABLE 0: no request is worked on when it returns, whatever it takes. */
void tvq_vq_stop(struct tvq_dev *dev, struct tvq_vq *vq);
/* The device was reset, or destroyed. */
void tvq_vq_forget(struct tvq_dev *dev, struct tvq_vq *vq);
int tvq_vq_state(struct tvq_dev *dev, struct tvq_vq *vq, struct vdpa_vq_state *state);

#endif
