// SPDX-License-Identifier: GPL-2.0-only
/*
 * Vectors and their users.
 *
 * Vector 0 takes configuration changes and nothing else, since each of them makes somebody ask what
 * has changed; vector 1 the transportq, the others queues of managed devices, which share vector 1
 * where there are no others. A queue gets a vector of its own while there are any, then the one
 * with fewest users. Vectors are requested when the first user comes, and kept.
 *
 * What the device is told, by function:
 * - With a page of MSIs (struct virtio_transportq_pci_msi_cap) the pair is an address in the page
 *   and the vector's number. The function raises the vector as it does for its own queues, so the
 *   pair never changes.
 * - Without it the pair is the message of the vector itself, which changes with the interrupt's
 *   affinity. Then the pair is told anew, and an interrupt that was sent to the old one meanwhile
 *   may be lost, so the callbacks are run once. A change is noticed by the affinity notifier (set
 *   by a user), in the handler (a change that was pending until the next interrupt takes effect
 *   just before its handler), and when a CPU is dead (its interrupts were moved).
 *
 * A user is not called before it is live: virtio_vdpa makes a queue ready before its own side of it
 * is complete, which matters as soon as vectors are shared.
 */
#include <linux/cpuhotplug.h>
#include <linux/cpumask.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/moduleparam.h>
#include <linux/msi.h>
#include <linux/slab.h>

#include "tvq_fn.h"
#include "tvq_seq.h"

struct tvq_vec {
	struct tvq_fn *fn;
	unsigned int index;
	int irq;
	bool requested;
	spinlock_t lock; /* users, and the pair's halves together */
	struct list_head users;
	unsigned int n_users; /* these under irqs->lock */
	cpumask_var_t mask;   /* where its users want it; empty: anywhere */
	u64 addr;	      /* the message that users' devices were told, without a page */
	u32 data;
	struct irq_affinity_notify notify;
	char name[32];
};

#define FIRST_OF_QUEUES 2
#define CAP_VENDOR_CFG	9 /* virtio 1.4, 4.1.4.7; the kernel's header lacks it */

static unsigned int vectors;
module_param(vectors, uint, 0444);
MODULE_PARM_DESC(vectors,
		 "most interrupt vectors of a function (default 0: by the number of CPUs)");

static bool msi_page = true;
module_param(msi_page, bool, 0444);
MODULE_PARM_DESC(msi_page, "use a function's page of MSIs where it has one (default Y)");

static enum cpuhp_state cpuhp_state;

/* Called with the vector's lock. */
static irqreturn_t call_users(struct tvq_vec *v)
{
	irqreturn_t ret = IRQ_NONE;
	struct tvq_irq_user *u;

	list_for_each_entry(u, &v->users, node)
		if (u->live && u->cb.callback)
			ret |= u->cb.callback(u->cb.private);
	return ret;
}

static bool moved(const struct tvq_vec *v, struct msi_msg *msg)
{
	get_cached_msi_msg(v->irq, msg);
	return v->addr != ((u64)msg->address_hi << 32 | msg->address_lo) || v->data != msg->data;
}

static irqreturn_t handle(int irq, void *data)
{
	struct tvq_vec *v = data;
	struct tvq_irqs *irqs = &v->fn->irqs;
	struct msi_msg msg;
	irqreturn_t ret;

	spin_lock(&v->lock);
	ret = call_users(v);
	if (!irqs->page && moved(v, &msg))
		schedule_work(&irqs->work);
	spin_unlock(&v->lock);
	return ret;
}

static void add_pair(struct tvq_batch *b, struct tvq_fn *fn, const struct tvq_irq_user *u)
{
	u64 addr;
	u32 data;

	tvq_irq_pair(fn, u, &addr, &data);
	if (u->queue < 0)
		tvq_seq_msi_config_set(b, u->device_id, addr, data);
	else
		tvq_seq_msi_vq_set(b, u->device_id, u->queue, addr, data);
}

/* The message of a vector changed: its users' devices are told, then looked at once. */
static void retell(struct tvq_fn *fn, struct tvq_vec *v)
{
	struct tvq_irq_user *u;
	struct tvq_batch b;
	int err;

	tvq_batch_init(&b, &fn->cq);
	list_for_each_entry(u, &v->users, node)
		if (u->device_id)
			add_pair(&b, fn, u);
	err = tvq_batch_run(&b);
	if (err && !tvq_fn_dead(fn))
		dev_err(&fn->pdev->dev, "vector %u moved, and not all devices could be told: %pe\n",
			v->index, ERR_PTR(err));
	tvq_batch_end(&b);
	spin_lock_irq(&v->lock);
	call_users(v);
	spin_unlock_irq(&v->lock);
}

static void take_message(struct tvq_vec *v, const struct msi_msg *msg)
{
	spin_lock_irq(&v->lock);
	v->addr = (u64)msg->address_hi << 32 | msg->address_lo;
	v->data = msg->data;
	spin_unlock_irq(&v->lock);
}

static void moved_work(struct work_struct *work)
{
	struct tvq_irqs *irqs = container_of(work, struct tvq_irqs, work);
	struct tvq_fn *fn = container_of(irqs, struct tvq_fn, irqs);
	struct msi_msg msg;
	unsigned int i;

	mutex_lock(&irqs->lock);
	for (i = 0; i < irqs->n; i++) {
		struct tvq_vec *v = &irqs->vecs[i];

		if (!v->requested || !moved(v, &msg))
			continue;
		take_message(v, &msg);
		retell(fn, v);
	}
	mutex_unlock(&irqs->lock);
}

static void affinity_changed(struct irq_affinity_notify *notify, const cpumask_t *mask)
{
	struct tvq_vec *v = container_of(notify, struct tvq_vec, notify);

	schedule_work(&v->fn->irqs.work);
}

static void notify_released(struct kref *ref)
{
}

static int cpu_is_dead(unsigned int cpu, struct hlist_node *node)
{
	struct tvq_irqs *irqs = hlist_entry(node, struct tvq_irqs, cpuhp);

	schedule_work(&irqs->work);
	return 0;
}

static int request(struct tvq_vec *v)
{
	struct tvq_fn *fn = v->fn;
	struct msi_msg msg;
	int err;

	if (v->requested)
		return 0;
	snprintf(v->name, sizeof(v->name), "tvq-%s-%u", pci_name(fn->pdev), v->index);
	err = request_irq(v->irq, handle, 0, v->name, v);
	if (err) {
		dev_err(&fn->pdev->dev, "vector %u: %pe\n", v->index, ERR_PTR(err));
		return err;
	}
	v->requested = true;
	if (fn->irqs.page)
		return 0;
	get_cached_msi_msg(v->irq, &msg);
	take_message(v, &msg);
	v->notify.notify = affinity_changed;
	v->notify.release = notify_released;
	err = irq_set_affinity_notifier(v->irq, &v->notify);
	if (err)
		dev_warn(&fn->pdev->dev, "vector %u must not be moved: %pe\n", v->index,
			 ERR_PTR(err));
	return 0;
}

static void put_on(struct tvq_vec *v, struct tvq_irq_user *u)
{
	spin_lock_irq(&v->lock);
	list_add_tail(&u->node, &v->users);
	u->vec = v;
	spin_unlock_irq(&v->lock);
	v->n_users++;
}

static void take_off(struct tvq_irq_user *u)
{
	struct tvq_vec *v = u->vec;

	spin_lock_irq(&v->lock);
	list_del(&u->node);
	u->vec = NULL;
	spin_unlock_irq(&v->lock);
	if (!--v->n_users)
		cpumask_clear(v->mask);
}

/*
 * How badly a vector suits a queue that wants to be served by mask (NULL: by any CPU): its users,
 * and much more if these want it on other CPUs.
 */
static unsigned int badness(const struct tvq_vec *v, const struct cpumask *mask)
{
	if (!v->n_users)
		return 0;
	if (mask && !cpumask_equal(v->mask, mask))
		return v->n_users + (cpumask_intersects(v->mask, mask) ? 1 << 16 : 1 << 17);
	return v->n_users;
}

static struct tvq_vec *best(struct tvq_irqs *irqs, const struct cpumask *mask)
{
	unsigned int i = min_t(unsigned int, FIRST_OF_QUEUES, irqs->n - 1);
	struct tvq_vec *v = &irqs->vecs[i];

	for (i++; i < irqs->n; i++)
		if (badness(&irqs->vecs[i], mask) < badness(v, mask))
			v = &irqs->vecs[i];
	return v;
}

int tvq_irq_attach(struct tvq_fn *fn, struct tvq_irq_user *u, enum tvq_irq_kind kind)
{
	struct tvq_irqs *irqs = &fn->irqs;
	struct tvq_vec *v;
	int err;

	lockdep_assert_held(&irqs->lock);
	if (kind == TVQ_IRQ_QUEUE)
		v = best(irqs, NULL);
	else
		v = &irqs->vecs[kind];
	err = request(v);
	if (err)
		return err;
	u->live = false;
	put_on(v, u);
	return 0;
}

u16 tvq_irq_vector(struct tvq_fn *fn, const struct tvq_irq_user *u)
{
	lockdep_assert_held(&fn->irqs.lock);
	return u->vec->index;
}

void tvq_irq_pair(struct tvq_fn *fn, const struct tvq_irq_user *u, u64 *addr, u32 *data)
{
	lockdep_assert_held(&fn->irqs.lock);
	*addr = fn->irqs.page ? fn->irqs.page_addr : u->vec->addr;
	*data = fn->irqs.page ? u->vec->index : u->vec->data;
}

void tvq_irq_detach(struct tvq_fn *fn, struct tvq_irq_user *u)
{
	mutex_lock(&fn->irqs.lock);
	if (u->vec)
		take_off(u);
	u->live = false;
	mutex_unlock(&fn->irqs.lock);
}

void tvq_irq_live(struct tvq_fn *fn, struct tvq_irq_user *u)
{
	mutex_lock(&fn->irqs.lock);
	if (u->vec) {
		spin_lock_irq(&u->vec->lock);
		u->live = true;
		spin_unlock_irq(&u->vec->lock);
	}
	mutex_unlock(&fn->irqs.lock);
}

void tvq_irq_set_cb(struct tvq_fn *fn, struct tvq_irq_user *u, const struct vdpa_callback *cb)
{
	mutex_lock(&fn->irqs.lock);
	if (u->vec) {
		spin_lock_irq(&u->vec->lock);
		u->cb = *cb;
		spin_unlock_irq(&u->vec->lock);
	} else {
		u->cb = *cb;
	}
	mutex_unlock(&fn->irqs.lock);
}

void tvq_irq_call(struct tvq_fn *fn, struct tvq_irq_user *u, const struct vdpa_callback *cb)
{
	mutex_lock(&fn->irqs.lock);
	if (u->vec) {
		spin_lock_irq(&u->vec->lock);
		if (u->live && cb->callback)
			cb->callback(cb->private);
		spin_unlock_irq(&u->vec->lock);
	}
	mutex_unlock(&fn->irqs.lock);
}

/* Moves a user to another vector; it is called once, since an interrupt may have been lost. */
static int move(struct tvq_fn *fn, struct tvq_irq_user *u, struct tvq_vec *to)
{
	struct tvq_vec *from = u->vec;
	struct tvq_batch b;
	int err;

	err = request(to);
	if (err)
		return err;
	take_off(u);
	put_on(to, u);
	tvq_batch_init(&b, &fn->cq);
	add_pair(&b, fn, u);
	err = tvq_batch_run(&b);
	tvq_batch_end(&b);
	if (err) {
		take_off(u);
		put_on(from, u);
	}
	spin_lock_irq(&u->vec->lock);
	if (u->live && u->cb.callback)
		u->cb.callback(u->cb.private);
	spin_unlock_irq(&u->vec->lock);
	return err;
}

int tvq_irq_set_affinity(struct tvq_fn *fn, struct tvq_irq_user *u, const struct cpumask *mask)
{
	struct tvq_irqs *irqs = &fn->irqs;
	int err = 0;

	mutex_lock(&irqs->lock);
	if (!u->vec)
		goto out;
	if (u->vec->n_users > 1) {
		struct tvq_vec *v = best(irqs, mask);

		if (v != u->vec && badness(v, mask) < badness(u->vec, mask))
			err = move(fn, u, v);
	}
	/* A vector of its own follows the queue; one that is shared stays where it is. */
	if (!err && u->vec->n_users == 1 && u->vec->index >= FIRST_OF_QUEUES) {
		cpumask_copy(u->vec->mask, mask ? mask : cpu_none_mask);
		irq_set_affinity(u->vec->irq, mask ? mask : cpu_possible_mask);
	}
out:
	mutex_unlock(&irqs->lock);
	return err;
}

/* Finds the page of MSIs. Whatever the capability says is checked against the BARs. */
static void find_page(struct tvq_fn *fn)
{
	struct pci_dev *pdev = fn->pdev;
	struct virtio_transportq_pci_msi_cap cap;
	u8 *bytes = (u8 *)&cap;
	unsigned int i;
	int pos;

	for (pos = pci_find_capability(pdev, PCI_CAP_ID_VNDR); pos;
	     pos = pci_find_next_capability(pdev, pos, PCI_CAP_ID_VNDR)) {
		for (i = 0; i < sizeof(cap); i++)
			pci_read_config_byte(pdev, pos + i, &bytes[i]);
		if (cap.cfg_type != CAP_VENDOR_CFG || cap.cap_len < sizeof(cap) ||
		    le16_to_cpu(cap.vendor_id) != pdev->vendor ||
		    le32_to_cpu(cap.magic) != VIRTIO_TRANSPTQ_PCI_MSI_MAGIC)
			continue;
		if (cap.bar >= PCI_STD_NUM_BARS || le32_to_cpu(cap.offset) % 4 ||
		    (u64)le32_to_cpu(cap.offset) + 4 > pci_resource_len(pdev, cap.bar)) {
			dev_warn(&pdev->dev, "its page of MSIs is nowhere (BAR %u, offset %#x)\n",
				 cap.bar, le32_to_cpu(cap.offset));
			continue;
		}
		fn->irqs.page = true;
		fn->irqs.page_addr = pci_bus_address(pdev, cap.bar) + le32_to_cpu(cap.offset);
		return;
	}
}

static unsigned int wanted_vectors(struct pci_dev *pdev)
{
	int most = pci_msix_vec_count(pdev);
	unsigned int want = vectors ? max(vectors, 2U)
				    : FIRST_OF_QUEUES + max(8U, 4 * num_possible_cpus());

	return most < 0 ? 0 : min_t(unsigned int, most, want);
}

static void free_vecs(struct tvq_irqs *irqs)
{
	unsigned int i;

	for (i = 0; i < irqs->n; i++)
		free_cpumask_var(irqs->vecs[i].mask);
	kfree(irqs->vecs);
	irqs->vecs = NULL;
	irqs->n = 0;
}

static int make_vecs(struct tvq_fn *fn, unsigned int n)
{
	struct tvq_irqs *irqs = &fn->irqs;

	irqs->vecs = kcalloc(n, sizeof(*irqs->vecs), GFP_KERNEL);
	if (!irqs->vecs)
		return -ENOMEM;
	for (irqs->n = 0; irqs->n < n; irqs->n++) {
		struct tvq_vec *v = &irqs->vecs[irqs->n];

		if (!zalloc_cpumask_var(&v->mask, GFP_KERNEL)) {
			free_vecs(irqs);
			return -ENOMEM;
		}
		v->fn = fn;
		v->index = irqs->n;
		v->irq = pci_irq_vector(fn->pdev, irqs->n);
		spin_lock_init(&v->lock);
		INIT_LIST_HEAD(&v->users);
	}
	return 0;
}

int tvq_irqs_init(struct tvq_fn *fn)
{
	struct tvq_irqs *irqs = &fn->irqs;
	int n, err;

	mutex_init(&irqs->lock);
	INIT_WORK(&irqs->work, moved_work);
	n = pci_alloc_irq_vectors(fn->pdev, 2, wanted_vectors(fn->pdev), PCI_IRQ_MSIX);
	if (n < 0) {
		dev_err(&fn->pdev->dev, "it needs two vectors of MSI-X: %pe\n", ERR_PTR(n));
		return n;
	}
	if (msi_page)
		find_page(fn);
	err = make_vecs(fn, n);
	if (!err && !irqs->page) {
		err = cpuhp_state_add_instance_nocalls(cpuhp_state, &irqs->cpuhp);
		if (err)
			free_vecs(irqs);
	}
	if (err)
		pci_free_irq_vectors(fn->pdev);
	return err;
}

void tvq_irqs_exit(struct tvq_fn *fn)
{
	struct tvq_irqs *irqs = &fn->irqs;
	unsigned int i;

	if (!irqs->page)
		cpuhp_state_remove_instance_nocalls(cpuhp_state, &irqs->cpuhp);
	for (i = 0; i < irqs->n; i++) {
		struct tvq_vec *v = &irqs->vecs[i];

		if (!v->requested)
			continue;
		if (!irqs->page)
			irq_set_affinity_notifier(v->irq, NULL);
		free_irq(v->irq, v);
	}
	cancel_work_sync(&irqs->work);
	free_vecs(irqs);
	pci_free_irq_vectors(fn->pdev);
}

int tvq_irq_module_init(void)
{
	int ret = cpuhp_setup_state_multi(CPUHP_BP_PREPARE_DYN, "vdpa/tvq:dead", NULL, cpu_is_dead);

	if (ret < 0)
		return ret;
	cpuhp_state = ret;
	return 0;
}

void tvq_irq_module_exit(void)
{
	cpuhp_remove_multi_state(cpuhp_state);
}
