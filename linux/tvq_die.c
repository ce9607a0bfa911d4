// SPDX-License-Identifier: GPL-2.0-only
/*
 * How a management device ends that does not end well.
 *
 * A function dies when a command is not answered in time, when it breaks its ring, or when its
 * registers read as ones: it was pulled, or what emulates it is gone. The registers are looked at
 * from time to time, since nothing else tells of that while no command is sent. Death is final:
 * remove the PCI device (or unbind and bind the driver) to begin anew.
 *
 * In this order: commands fail, those under way too; queues of the children are broken, so that
 * their requests fail; the function is reset and loses bus mastering. After that it cannot write to
 * memory any more, and whoever waits to free a ring's memory may (tvq_fn_die_wait()).
 *
 * A function that only says DEVICE_NEEDS_RESET takes no further command, yet serves its managed
 * devices (TQ-026). It dies as soon as something of it has to be stopped.
 */
#include <linux/device.h>
#include <linux/module.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>

#include "tvq_fn.h"

#define HEALTH_PERIOD (2 * HZ)

static unsigned int timeout = 6000;
module_param(timeout, uint, 0644);
MODULE_PARM_DESC(timeout, "milliseconds after which a device that does not answer is given up");

unsigned long tvq_timeout(void)
{
	return msecs_to_jiffies(max(READ_ONCE(timeout), 1U));
}

/*
 * Drives nothing: it has no ids. It is here for its pointer to the virtio bus, which no header
 * gives. On that bus a child is found while its driver still probes it; among its parent's children
 * it is not, and a probe that waits for a request is what has to be ended.
 */
static const struct virtio_device_id no_ids[] = { {} };

static struct virtio_driver bus_finder = {
	.driver.name = KBUILD_MODNAME,
	.id_table = no_ids,
};

struct breaking {
	const struct tvq_fn *fn;
	const struct vdpa_device *vdpa;
};

static int break_one(struct device *dev, void *data)
{
	const struct breaking *what = data;
	struct virtio_device *vdev = dev_to_virtio(dev);

	if (dev->parent != &what->fn->pdev->dev)
		return 0;
	/* virtio_vdpa answers with the name of the vDPA device: the string itself. */
	if (what->vdpa && virtio_bus_name(vdev) != dev_name(&what->vdpa->dev))
		return 0;
	virtio_break_device(vdev);
	return 0;
}

void tvq_fn_break(struct tvq_fn *fn, const struct vdpa_device *vdpa)
{
	struct breaking what = { .fn = fn, .vdpa = vdpa };

	bus_for_each_dev(bus_finder.driver.bus, NULL, &what, break_one);
}

static void die_work(struct work_struct *work)
{
	struct tvq_fn *fn = container_of(work, struct tvq_fn, die_work);

	tvq_cq_stop(&fn->cq);
	tvq_fn_break(fn, NULL);
	tvq_fn_reset(fn);
	pci_clear_master(fn->pdev);
}

void tvq_fn_die(struct tvq_fn *fn, const char *why)
{
	if (atomic_xchg(&fn->dead, 1))
		return;
	if (why)
		dev_err(&fn->pdev->dev, "the device is given up: %s\n", why);
	queue_work(system_unbound_wq, &fn->die_work);
}

void tvq_fn_die_wait(struct tvq_fn *fn)
{
	flush_work(&fn->die_work);
}

/* -ENODEV: it is gone, and dead by that. Else the status. */
static int look(struct tvq_fn *fn)
{
	u8 status = vp_modern_get_status(&fn->modern);

	if (status == TVQ_STATUS_GONE) {
		tvq_fn_die(fn, "it is gone, its registers read as ones");
		return -ENODEV;
	}
	return status;
}

void tvq_fn_check(struct tvq_fn *fn)
{
	if (!tvq_fn_dead(fn))
		look(fn);
}

static void health_work(struct work_struct *work)
{
	struct tvq_fn *fn = container_of(work, struct tvq_fn, health_work.work);
	int status;

	if (tvq_fn_dead(fn))
		return;
	status = look(fn);
	if (status < 0)
		return;
	if (status & VIRTIO_CONFIG_S_NEEDS_RESET) {
		if (!READ_ONCE(fn->cq.stopped))
			dev_err(&fn->pdev->dev,
				"it needs a reset and takes no command; its devices go on\n");
		tvq_cq_stop(&fn->cq);
	} else if (!(status & VIRTIO_CONFIG_S_DRIVER_OK)) {
		tvq_fn_die(fn, "somebody reset it");
		return;
	}
	schedule_delayed_work(&fn->health_work, HEALTH_PERIOD);
}

void tvq_fn_watch(struct tvq_fn *fn)
{
	schedule_delayed_work(&fn->health_work, HEALTH_PERIOD);
}

void tvq_fn_unwatch(struct tvq_fn *fn)
{
	disable_delayed_work_sync(&fn->health_work);
	flush_work(&fn->die_work);
}

void tvq_die_prepare(struct tvq_fn *fn)
{
	INIT_WORK(&fn->die_work, die_work);
	INIT_DELAYED_WORK(&fn->health_work, health_work);
}

int tvq_die_init(void)
{
	return register_virtio_driver(&bus_finder);
}

void tvq_die_exit(void)
{
	unregister_virtio_driver(&bus_finder);
}
