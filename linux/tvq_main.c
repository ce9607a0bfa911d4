// SPDX-License-Identifier: GPL-2.0-only
/*
 * tvq_vdpa: devices behind a transport virtqueue, as vDPA devices.
 *
 * A management device is a PCI function of vendor 0x1af4 with an id in the experimental range,
 * which the built-in virtio_pci leaves alone. Its probe sets the transportq up (tvq_fn.c) and
 * registers a vDPA management device for each class that it has (tvq_mgmt.c).
 */
#include <linux/idr.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/slab.h>

#include "tvq_fn.h"
#include "tvq_mgmt.h"

static DEFINE_IDA(indices);

static int probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct tvq_fn *fn;
	int err;

	fn = kzalloc(sizeof(*fn), GFP_KERNEL);
	if (!fn)
		return -ENOMEM;
	fn->pdev = pdev;
	INIT_LIST_HEAD(&fn->mgmts);
	tvq_die_prepare(fn);
	fn->index = ida_alloc(&indices, GFP_KERNEL);
	if (fn->index < 0) {
		err = fn->index;
		goto free;
	}
	err = tvq_fn_start(fn);
	if (err)
		goto index;
	pci_set_drvdata(pdev, fn);
	tvq_fn_watch(fn);
	err = tvq_mgmt_register(fn);
	if (!err)
		return 0;
	tvq_fn_unwatch(fn);
	tvq_fn_stop(fn);
index:
	ida_free(&indices, fn->index);
free:
	kfree(fn);
	return err;
}

static void remove(struct pci_dev *pdev)
{
	struct tvq_fn *fn = pci_get_drvdata(pdev);

	tvq_fn_check(fn); /* nothing is waited for if it is gone */
	tvq_mgmt_unregister(fn);
	tvq_fn_unwatch(fn);
	tvq_fn_stop(fn);
	ida_free(&indices, fn->index);
	kfree(fn);
}

/* Before a kexec or the end: nothing may write to memory any more. */
static void shutdown(struct pci_dev *pdev)
{
	struct tvq_fn *fn = pci_get_drvdata(pdev);

	tvq_fn_die(fn, NULL);
	tvq_fn_die_wait(fn);
}

static pci_ers_result_t error_detected(struct pci_dev *pdev, pci_channel_state_t state)
{
	tvq_fn_die(pci_get_drvdata(pdev), "its PCI channel reports an error");
	return PCI_ERS_RESULT_DISCONNECT;
}

static const struct pci_error_handlers error_handlers = {
	.error_detected = error_detected,
};

#define EXPERIMENTAL(n)                                                                            \
	{                                                                                          \
		PCI_DEVICE(PCI_VENDOR_ID_REDHAT_QUMRANET, 0x10f0 + (n))                            \
	}

static const struct pci_device_id ids[] = { EXPERIMENTAL(0x0),
					    EXPERIMENTAL(0x1),
					    EXPERIMENTAL(0x2),
					    EXPERIMENTAL(0x3),
					    EXPERIMENTAL(0x4),
					    EXPERIMENTAL(0x5),
					    EXPERIMENTAL(0x6),
					    EXPERIMENTAL(0x7),
					    EXPERIMENTAL(0x8),
					    EXPERIMENTAL(0x9),
					    EXPERIMENTAL(0xa),
					    EXPERIMENTAL(0xb),
					    EXPERIMENTAL(0xc),
					    EXPERIMENTAL(0xd),
					    EXPERIMENTAL(0xe),
					    EXPERIMENTAL(0xf),
					    {} };
MODULE_DEVICE_TABLE(pci, ids);

static struct pci_driver driver = {
	.name = KBUILD_MODNAME,
	.id_table = ids,
	.probe = probe,
	.remove = remove,
	.shutdown = shutdown,
	.err_handler = &error_handlers,
};

static int __init tvq_init(void)
{
	int err;

	err = tvq_irq_module_init();
	if (err)
		return err;
	err = tvq_die_init();
	if (err)
		goto irq;
	err = pci_register_driver(&driver);
	if (!err)
		return 0;
	tvq_die_exit();
irq:
	tvq_irq_module_exit();
	return err;
}

static void __exit tvq_exit(void)
{
	pci_unregister_driver(&driver);
	tvq_die_exit();
	tvq_irq_module_exit();
}

module_init(tvq_init);
module_exit(tvq_exit);

MODULE_DESCRIPTION("vDPA devices behind a virtio transport virtqueue");
MODULE_LICENSE("GPL");
/* Without it there are vDPA devices, and no disks. */
MODULE_SOFTDEP("post: virtio_vdpa");
