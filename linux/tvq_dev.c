// SPDX-License-Identifier: GPL-2.0-only
/*
 * A managed device at work: status, reset, configuration.
 *
 * The status is known without asking, but for two bits that the device sets or clears by itself:
 * FEATURES_OK, so each STATUS SET is followed by a GET in the same batch, and DEVICE_NEEDS_RESET,
 * with which a configuration interrupt comes (TQ-071). The configuration likewise: a change raises
 * that interrupt (TQ-079), so one read of all of it serves a driver that reads field by field.
 */
#include <linux/delay.h>
#include <linux/virtio_config.h>

#include "tvq_dev.h"
#include "tvq_fn.h"
#include "tvq_mgmt.h"
#include "tvq_seq.h"

bool tvq_dev_packed(const struct tvq_dev *dev)
{
	return dev->driver_features & BIT_ULL(VIRTIO_F_RING_PACKED);
}

static void forget(struct tvq_dev *dev)
{
	unsigned int i;

	for (i = 0; i < dev->n_vqs; i++)
		tvq_vq_forget(dev, &dev->vqs[i]);
	tvq_irq_detach(dev->fn, &dev->config_irq);
	tvq_batch_end(&dev->config_setup);
	dev->failed = false;
	dev->config_valid = false;
	dev->told_any = false;
	dev->driver_features = 0;
	dev->status = 0;
	dev->touched = false;
	dev->reported = false;
}

void tvq_dev_kill(struct tvq_dev *dev, const char *why)
{
	struct tvq_batch b;
	int err;

	if (dev->gone)
		return;
	dev->gone = true;
	if (!tvq_fn_dead(dev->fn))
		dev_err(&dev->vdpa.dev, "the device is given up: %s\n", why);
	tvq_fn_break(dev->fn, &dev->vdpa);
	tvq_batch_init(&b, &dev->fn->cq);
	tvq_seq_destroy(&b, dev->id);
	err = tvq_batch_run(&b);
	tvq_batch_end(&b);
	if (!err)
		return;
	/* Nothing short of this keeps it from memory that is going to be freed. */
	tvq_fn_die(dev->fn, "a managed device does not stop");
	tvq_fn_die_wait(dev->fn);
}

/* STATUS SET 0, then STATUS GET until it is 0 (TQ-065). */
static int reset_and_wait(struct tvq_dev *dev)
{
	unsigned long end = jiffies + tvq_timeout();
	unsigned int pause = 100;
	struct tvq_cmd *get;
	struct tvq_batch b;
	bool again = false;
	int err;
	u8 status;

	tvq_batch_init(&b, &dev->fn->cq);
	for (;;) {
		if (!again)
			tvq_seq_status_set(&b, dev->id, 0);
		get = tvq_seq_status_get(&b, dev->id);
		err = tvq_batch_run(&b);
		status = tvq_cmd_u8(get);
		if (err)
			tvq_dev_report(dev, &b, err);
		tvq_batch_end(&b);
		if (err || !status)
			return err;
		if (time_after(jiffies, end)) {
			dev_err(&dev->vdpa.dev, "it does not reset, its status stays %#x\n",
				status);
			return -ETIMEDOUT;
		}
		usleep_range(pause, 2 * pause);
		pause = min(2 * pause, 50000U);
		again = true;
	}
}

void tvq_dev_reset(struct tvq_dev *dev)
{
	unsigned int i;

	/* A set-up that is under way comes to its end first: reset would not stop its commands. */
	for (i = 0; i < dev->n_vqs; i++)
		tvq_batch_wait(&dev->vqs[i].setup);
	tvq_batch_wait(&dev->config_setup);
	for (i = 0; i < dev->n_vqs; i++)
		tvq_irq_detach(dev->fn, &dev->vqs[i].irq);
	tvq_irq_detach(dev->fn, &dev->config_irq);
	if (dev->touched && !dev->gone && reset_and_wait(dev))
		tvq_dev_kill(dev, "it does not reset");
	if (tvq_fn_dead(dev->fn))
		tvq_fn_die_wait(dev->fn);
	forget(dev);
}

/*
 * DEVICE_NEEDS_RESET: it serves no queue any more. No driver of 6.12 looks for that; one that waits
 * for an answer, as virtio_net does for each of its control commands, has to be woken.
 */
static void broke(struct tvq_dev *dev)
{
	dev_err(&dev->vdpa.dev, "it needs a reset; its requests will fail\n");
	tvq_fn_break(dev->fn, &dev->vdpa);
}

/*
 * Believes a status that can be: what was set last, without FEATURES_OK perhaps, with
 * DEVICE_NEEDS_RESET perhaps.
 */
static int take_status(struct tvq_dev *dev, u8 set, u8 got)
{
	const u8 free = VIRTIO_CONFIG_S_NEEDS_RESET | VIRTIO_CONFIG_S_FEATURES_OK;

	if (!((got ^ set) & ~free) && !(got & ~(set | VIRTIO_CONFIG_S_NEEDS_RESET))) {
		if (got & ~dev->status & VIRTIO_CONFIG_S_NEEDS_RESET)
			broke(dev);
		dev->status = got;
		return 0;
	}
	if (!dev->reported)
		dev_err(&dev->vdpa.dev, "its status is %#x after %#x was set\n", got, set);
	dev->reported = true;
	return -EPROTO;
}

/* STATUS SET and what came of it. */
static int send_status(struct tvq_dev *dev, u8 status)
{
	struct tvq_cmd *get;
	struct tvq_batch b;
	int err;

	dev->touched = true;
	tvq_batch_init(&b, &dev->fn->cq);
	tvq_seq_status_set(&b, dev->id, status);
	get = tvq_seq_status_get(&b, dev->id);
	err = tvq_batch_run(&b);
	if (err)
		tvq_dev_report(dev, &b, err);
	else
		err = take_status(dev, status, tvq_cmd_u8(get));
	tvq_batch_end(&b);
	return err;
}

/* Whether everything that was set up without waiting has worked. */
static bool all_started(struct tvq_dev *dev)
{
	unsigned int i;
	int err;

	for (i = 0; i < dev->n_vqs; i++)
		if (dev->vqs[i].ready)
			tvq_vq_started(dev, &dev->vqs[i]);
	err = tvq_batch_wait(&dev->config_setup);
	if (err) {
		tvq_dev_report(dev, &dev->config_setup, err);
		dev->failed = true;
	}
	tvq_batch_end(&dev->config_setup);
	return !dev->failed;
}

static int start(struct tvq_dev *dev, u8 status)
{
	unsigned int i;
	int err;

	if (!all_started(dev))
		return -EIO;
	/* An interrupt may come before the next command is answered. */
	for (i = 0; i < dev->n_vqs; i++)
		tvq_irq_live(dev->fn, &dev->vqs[i].irq);
	tvq_irq_live(dev->fn, &dev->config_irq);
	/* What its driver read so far needs no telling; what changes from now on does. */
	dev->told_any = dev->config_valid;
	dev->told = dev->generation;
	dev->config_valid = false;
	err = send_status(dev, status);
	if (!err && !(dev->status & VIRTIO_CONFIG_S_DRIVER_OK))
		err = -EPROTO;
	return err;
}

/* DRIVER_OK. Where that fails its driver cannot be told but by requests that fail. */
static void go(struct tvq_dev *dev, u8 status)
{
	bool before = dev->failed;

	if (!before && !start(dev, status))
		return;
	dev->failed = true;
	if (!before && !tvq_fn_dead(dev->fn))
		dev_err(&dev->vdpa.dev, "it is not started, its requests will fail\n");
	tvq_fn_break(dev->fn, &dev->vdpa);
}

void tvq_dev_set_status(struct tvq_dev *dev, u8 status)
{
	if (!status)
		tvq_dev_reset(dev);
	else if (dev->gone)
		return;
	else if (status & ~dev->status & VIRTIO_CONFIG_S_DRIVER_OK)
		go(dev, status);
	else
		send_status(dev, status);
}

u8 tvq_dev_status(struct tvq_dev *dev)
{
	struct tvq_cmd *get;
	struct tvq_batch b;

	/* Until it is reset, after which it has to read 0. */
	if (dev->gone || tvq_fn_dead(dev->fn))
		return dev->status ? dev->status | VIRTIO_CONFIG_S_NEEDS_RESET : 0;
	if (!test_and_clear_bit(TVQ_STALE_STATUS, &dev->stale))
		return dev->status;
	tvq_batch_init(&b, &dev->fn->cq);
	get = tvq_seq_status_get(&b, dev->id);
	if (!tvq_batch_run(&b))
		take_status(dev, dev->status, tvq_cmd_u8(get));
	tvq_batch_end(&b);
	return dev->status;
}

/*
 * The generation goes first: bytes that are newer than it are read again when their reader sees the
 * next one.
 */
int tvq_dev_read_config(struct tvq_dev *dev)
{
	u32 size = dev->mgmt->class->config_size;
	struct tvq_cmd *generation, *config;
	struct tvq_batch b;
	int err;

	if (dev->gone)
		return -ENODEV;
	clear_bit(TVQ_STALE_CONFIG, &dev->stale);
	tvq_batch_init(&b, &dev->fn->cq);
	generation = tvq_seq_generation(&b, dev->id);
	config = tvq_seq_config_get(&b, dev->id, 0, size);
	err = tvq_batch_run(&b);
	if (err) {
		tvq_dev_report(dev, &b, err);
	} else {
		dev->generation = tvq_cmd_u32(generation);
		tvq_cmd_copy(config, dev->config, size);
	}
	dev->config_valid = !err;
	tvq_batch_end(&b);
	return err;
}

/*
 * One vector serves the configurations of all devices, so most interrupts are about others: the
 * driver is told only where the generation moved, or the device needs a reset.
 */
void tvq_dev_config_work(struct work_struct *work)
{
	struct tvq_dev *dev = container_of(work, struct tvq_dev, config_work);
	u8 before;
	bool news;

	mutex_lock(&dev->lock);
	if (!(dev->status & VIRTIO_CONFIG_S_DRIVER_OK) || tvq_dev_read_config(dev))
		goto out;
	before = dev->status;
	news = tvq_dev_status(dev) != before || !dev->told_any || dev->told != dev->generation;
	dev->told = dev->generation;
	dev->told_any = true;
	if (news)
		tvq_irq_call(dev->fn, &dev->config_irq, &dev->config_cb);
out:
	mutex_unlock(&dev->lock);
}

static irqreturn_t config_changed(void *data)
{
	struct tvq_dev *dev = data;

	set_bit(TVQ_STALE_STATUS, &dev->stale);
	set_bit(TVQ_STALE_CONFIG, &dev->stale);
	schedule_work(&dev->config_work);
	return IRQ_HANDLED;
}

/* Sent at once, not waited for before DRIVER_OK, as a queue's set-up. */
void tvq_dev_set_config_cb(struct tvq_dev *dev, const struct vdpa_callback *cb)
{
	struct vdpa_callback ours = { .callback = config_changed, .private = dev };
	struct tvq_batch *b = &dev->config_setup;
	struct tvq_fn *fn = dev->fn;
	u64 addr;
	u32 data;

	tvq_batch_wait(b);
	tvq_batch_end(b);
	tvq_irq_detach(fn, &dev->config_irq);
	dev->config_cb = *cb;
	if (!cb->callback || dev->gone)
		return;
	tvq_irq_set_cb(fn, &dev->config_irq, &ours);
	mutex_lock(&fn->irqs.lock);
	b->err = tvq_irq_attach(fn, &dev->config_irq, TVQ_IRQ_CONFIG);
	if (!b->err) {
		dev->touched = true;
		tvq_irq_pair(fn, &dev->config_irq, &addr, &data);
		tvq_seq_msi_config_set(b, dev->id, addr, data);
		tvq_seq_msi_config_enable(b, dev->id, VIRTIO_TRANSPTQ_MSI_ENABLE);
		tvq_batch_start(b);
	}
	mutex_unlock(&fn->irqs.lock);
	if (dev->status & VIRTIO_CONFIG_S_DRIVER_OK)
		tvq_irq_live(fn, &dev->config_irq);
}
