/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Interrupts: the function's vectors, and who is called by them.
 *
 * A user is a queue or the configuration of a managed device, or of the function itself. It sits on
 * one vector; a vector may have many users. Users of managed devices have their interrupts told to
 * the device by a pair of address and data (MSI VQ_SET, CONFIG_SET), see tvq_irq.c.
 */
#ifndef TVQ_IRQ_H
#define TVQ_IRQ_H

#include <linux/cpumask.h>
#include <linux/interrupt.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/vdpa.h>
#include <linux/workqueue.h>

struct tvq_fn;
struct tvq_vec;

struct tvq_irqs {
	struct mutex lock; /* who is where, and what the device has been told of it */
	struct tvq_vec *vecs;
	unsigned int n;
	bool page;     /* pairs point into the function's page of MSIs */
	u64 page_addr; /* on the bus */
	struct work_struct work;
	struct hlist_node cpuhp;
};

struct tvq_irq_user {
	struct list_head node;	 /* in its vector */
	struct tvq_vec *vec;	 /* NULL: on none; under irqs->lock */
	struct vdpa_callback cb; /* under the vector's lock, if on one */
	bool live;		 /* it is called; likewise */
	u64 device_id;		 /* 0: the function itself */
	int queue;		 /* -1: configuration */
};

/* The first two are the number of their vector. */
enum tvq_irq_kind { TVQ_IRQ_CONFIG, TVQ_IRQ_COMMANDS, TVQ_IRQ_QUEUE };

int tvq_irq_module_init(void);
void tvq_irq_module_exit(void);

/* 0 or -errno, with a message. Sleeps. */
int tvq_irqs_init(struct tvq_fn *fn);
/* No user is on a vector any more. */
void tvq_irqs_exit(struct tvq_fn *fn);

/*
 * Puts a user on a vector and keeps it silent until tvq_irq_live(). 0 or -errno. With irqs->lock,
 * which must be held on until a pair got by tvq_irq_pair() is on its way to the device: a newer one
 * that follows when the vector's message changes must not be overtaken by it.
 */
int tvq_irq_attach(struct tvq_fn *fn, struct tvq_irq_user *u, enum tvq_irq_kind kind);
void tvq_irq_pair(struct tvq_fn *fn, const struct tvq_irq_user *u, u64 *addr, u32 *data);
/* The number of its vector in the function. */
u16 tvq_irq_vector(struct tvq_fn *fn, const struct tvq_irq_user *u);

/* Afterwards it is not being called and will not be. Nothing if it is on none. Sleeps. */
void tvq_irq_detach(struct tvq_fn *fn, struct tvq_irq_user *u);
void tvq_irq_live(struct tvq_fn *fn, struct tvq_irq_user *u);
/* Calls cb as an interrupt of u's would, if u is live. Sleeps. */
void tvq_irq_call(struct tvq_fn *fn, struct tvq_irq_user *u, const struct vdpa_callback *cb);
void tvq_irq_set_cb(struct tvq_fn *fn, struct tvq_irq_user *u, const struct vdpa_callback *cb);

/*
 * Interrupts of the queue go to one of these CPUs, as far as vectors last; NULL: to any. Waits for
 * the device where the queue has to move to another vector. 0 or -errno, then it stays.
 */
int tvq_irq_set_affinity(struct tvq_fn *fn, struct tvq_irq_user *u, const struct cpumask *mask);

#endif
