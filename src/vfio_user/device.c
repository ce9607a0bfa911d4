/* SPDX-License-Identifier: BSD-3-Clause */
/* The messages that reach the PCI function: what it has, accesses to it, its reset. */
#include <errno.h>
#include <string.h>

#include "vfio_user/internal.h"

int vfu_handle_info(struct vfu_conn *c, const struct vfu_req *req)
{
	(void)req;
	c->reply.device_info =
		(struct vu_device_info){ .argsz = sizeof(c->reply.device_info),
					 .flags = VU_DEVICE_FLAGS_RESET | VU_DEVICE_FLAGS_PCI,
					 .num_regions = VU_REGIONS,
					 .num_irqs = VU_IRQS };
	c->reply_size = sizeof(c->reply.device_info);
	return 0;
}

/* No region can be mapped: QEMU stops posting writes for the whole device as soon as one can. */
int vfu_handle_region_info(struct vfu_conn *c, const struct vfu_req *req)
{
	uint64_t size;

	if (req->index >= VU_REGIONS)
		return vfu_no(c, -EINVAL, "there is no such region");
	size = tvq_pci_region_size(c->s->pci, req->index);
	c->reply.region_info =
		(struct vu_region_info){ .argsz = sizeof(c->reply.region_info),
					 .flags = size ? VU_REGION_F_READ | VU_REGION_F_WRITE : 0,
					 .index = req->index,
					 .size = size };
	c->reply_size = sizeof(c->reply.region_info);
	return 0;
}

void vfu_registers_changed(struct tvq_vfio_user *s)
{
	vfu_out_set_master(&s->out, tvq_pci_bus_master(s->pci));
}

static void reply_region(struct vfu_conn *c, const struct vfu_req *req)
{
	c->reply.rw = (struct vu_region_rw){ .offset = req->region.offset,
					     .region = req->region.region,
					     .count = req->region.count };
	c->reply_size = sizeof(c->reply.rw);
}

int vfu_handle_read(struct vfu_conn *c, const struct vfu_req *req)
{
	if (tvq_pci_read(c->s->pci, req->region.region, req->region.offset,
			 c->reply.bytes + sizeof(c->reply.rw), req->region.count))
		return vfu_no(c, -EINVAL, "an access outside the region");
	reply_region(c, req);
	c->reply_size += req->region.count;
	return 0;
}

int vfu_handle_write(struct vfu_conn *c, const struct vfu_req *req)
{
	if (tvq_pci_write(c->s->pci, req->region.region, req->region.offset, req->region.data,
			  req->region.count))
		return vfu_no(c, -EINVAL, "an access outside the region");
	if (req->region.region == TVQ_PCI_CONFIG)
		vfu_registers_changed(c->s);
	reply_region(c, req);
	return 0;
}

/* Reset. */

static void was_reset(struct tvq_pci_done *done)
{
	struct tvq_vfio_user *s = vfu_container(done, struct tvq_vfio_user, reset_done);

	s->resetting = false;
	vfu_was_reset(s);
}

void vfu_reset(struct tvq_vfio_user *s)
{
	if (s->resetting)
		return;
	s->resetting = true;
	s->reset_done.fn = was_reset;
	tvq_pci_reset(s->pci, &s->reset_done);
}

int vfu_handle_reset(struct vfu_conn *c, const struct vfu_req *req)
{
	(void)req;
	c->waits_reset = true;
	vfu_reset(c->s);
	return VFU_LATER;
}

int vfu_handle_unsupported(struct vfu_conn *c, const struct vfu_req *req)
{
	(void)req;
	return vfu_no(c, -EOPNOTSUPP, "not supported");
}
