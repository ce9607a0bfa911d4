/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The management device: a PCI function with a transportq.
 *
 * Its life: set up by tvq_fn_start() (all or nothing), running; then stopped by tvq_fn_stop(), or
 * dead before that. Dead (tvq_die.c): it broke the protocol, did not answer, or is gone. Commands
 * fail from then on, children are broken, the function is reset and cannot do DMA any more.
 */
#ifndef TVQ_FN_H
#define TVQ_FN_H

#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/virtio_pci_modern.h>
#include <linux/workqueue.h>

#include <virtio_transportq.h>

#include "tvq_cmd.h"
#include "tvq_irq.h"

struct vdpa_device;

/* What the status register reads where there is no device any more. */
#define TVQ_STATUS_GONE 0xff

struct tvq_fn {
	struct pci_dev *pdev;
	struct virtio_pci_modern_device modern;
	int index;    /* the number in auxiliary/tvq.blk.N */
	u64 features; /* negotiated */
	struct tvq_cq cq;
	struct tvq_irqs irqs;
	struct tvq_irq_user cq_irq, config_irq;
	/* Notification areas of managed devices (TQ-102). */
	void __iomem *notify;
	resource_size_t notify_pa;
	u64 notify_len;
	struct list_head mgmts; /* tvq_mgmt.c's */
	atomic_t dead;
	struct work_struct die_work;
	struct delayed_work health_work;
};

static inline struct tvq_fn *tvq_cq_fn(struct tvq_cq *cq)
{
	return container_of(cq, struct tvq_fn, cq);
}

static inline bool tvq_fn_dead(const struct tvq_fn *fn)
{
	return atomic_read(&fn->dead);
}

/* 0 or -errno, with a message. Sleeps, bounded. */
int tvq_fn_start(struct tvq_fn *fn);
/* The mirror of it: the function is reset, its managed devices are gone by that (TQ-055). */
void tvq_fn_stop(struct tvq_fn *fn);

/* STATUS 0 and wait for it, bounded. -ETIMEDOUT, -ENODEV: not confirmed. */
int tvq_fn_reset(struct tvq_fn *fn);

/* tvq_die.c */
int tvq_die_init(void); /* of the module */
void tvq_die_exit(void);
void tvq_die_prepare(struct tvq_fn *fn); /* before tvq_fn_start() */
void tvq_fn_watch(struct tvq_fn *fn);	 /* begin to look after it */
void tvq_fn_unwatch(struct tvq_fn *fn);	 /* end it; waits for what is under way */
/*
 * The function is given up, for that reason (NULL: nothing is said). Any context, only the first
 * call counts.
 */
void tvq_fn_die(struct tvq_fn *fn, const char *why);
/* Waits until a dead function cannot do DMA any more. */
void tvq_fn_die_wait(struct tvq_fn *fn);
/* Looks whether it is still there; it is dead if not. */
void tvq_fn_check(struct tvq_fn *fn);

/* How long to wait for the device, in jiffies. */
unsigned long tvq_timeout(void);

/*
 * Breaks the queues of the virtio device on a vDPA device: its requests fail. NULL: of all of the
 * function's.
 */
void tvq_fn_break(struct tvq_fn *fn, const struct vdpa_device *vdpa);

#endif
