/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a vfio-user server says, judged. This is the trust boundary of the client: the server is
 * another program, perhaps another owner's, and whatever it sends passes one of these functions
 * before anything is done with it. They do no I/O and change nothing.
 *
 * A reply has to belong to a request in flight, by id and command, and has to have the very size
 * that this request leads to; a request has to be one that a server may make, and whole. Replies to
 * GET_... may be longer by capabilities, which nobody asked for: they are refused, since argsz told
 * the server that there is no room for them. Anything else ends the connection.
 */
#include <errno.h>
#include <string.h>

#include "bus/vfio_user.h"

#define HDR sizeof(struct vu_hdr)

static enum vuc_kind broken(struct vuc_message *m, const char *why)
{
	m->why = why;
	return VUC_BROKEN;
}

static int reply_error(uint32_t error)
{
	/* 0 is allowed ("optional"), and says nothing. */
	return error && error < 4096 ? -(int)error : -EIO;
}

/* A reply without an error: what follows the header. */
static enum vuc_kind check_reply_body(const uint8_t *body, uint32_t len, struct vuc_message *m)
{
	const struct vuc_request *r = m->r;
	struct vu_region_rw rw;

	m->reply = body;
	m->len = len;
	switch (r->command) {
	case VU_VERSION:
		if (len < sizeof(struct vu_version) || len > r->len)
			return broken(m, "it answers VERSION with a text of a wrong length");
		return VUC_REPLY;
	case VU_REGION_READ:
		if (len != sizeof(rw) + r->len)
			return broken(m, "it answers REGION_READ with a wrong number of bytes");
		memcpy(&rw, body, sizeof(rw));
		if (rw.count != r->access.count || rw.region != r->access.region ||
		    rw.offset != r->access.offset)
			return broken(m, "it answers another REGION_READ than was asked");
		m->reply += sizeof(rw);
		m->len = r->len;
		return VUC_REPLY;
	case VU_DMA_UNMAP:
		/* The request's structure comes back, from some servers. */
		m->len = 0;
		if (len && len != sizeof(struct vu_dma_unmap))
			return broken(m, "it answers DMA_UNMAP with a wrong number of bytes");
		return VUC_REPLY;
	default:
		if (len != r->len)
			return broken(m, "a reply has a wrong number of bytes");
		return VUC_REPLY;
	}
}

static enum vuc_kind check_reply(const struct vuc *c, const uint8_t *body, uint32_t len,
				 struct vuc_message *m)
{
	const struct vu_hdr *h = &m->hdr;

	m->r = h->id < c->n_slots ? c->slots[h->id] : NULL;
	if (!m->r)
		return broken(m, "a reply belongs to no request");
	if (m->r->command != h->command)
		return broken(m, "a reply is to another command than its request");
	if (h->flags & VU_ERROR) {
		if (len)
			return broken(m, "data follows an error");
		m->err = reply_error(h->error);
		return VUC_REPLY;
	}
	return check_reply_body(body, len, m);
}

static enum vuc_kind check_request(const uint8_t *body, uint32_t len, struct vuc_message *m)
{
	if (m->hdr.command != VU_DMA_READ && m->hdr.command != VU_DMA_WRITE)
		return broken(m, "a server may not send such a command");
	if (len < sizeof(m->dma))
		return broken(m, "a DMA request is too short");
	memcpy(&m->dma, body, sizeof(m->dma));
	if (m->dma.count > VU_MAX_DATA)
		return broken(m, "a DMA request is larger than was negotiated");
	if (len != sizeof(m->dma) + (m->hdr.command == VU_DMA_WRITE ? m->dma.count : 0))
		return broken(m, "a DMA request has a wrong number of bytes");
	m->data = body + sizeof(m->dma);
	return VUC_REQUEST;
}

static enum vuc_kind check(const struct vuc *c, const uint8_t *p, uint32_t n, struct vuc_message *m)
{
	uint32_t flags;

	if (n < HDR)
		return VUC_MORE;
	memcpy(&m->hdr, p, HDR);
	if (m->hdr.size < HDR || m->hdr.size > VUC_MAX_MSG)
		return broken(m, "a message has an impossible size");
	flags = m->hdr.flags;
	if (flags & ~(VU_TYPE_MASK | VU_NO_REPLY | VU_ERROR))
		return broken(m, "a message has unknown flags");
	if (n < m->hdr.size)
		return VUC_MORE;
	switch (flags & VU_TYPE_MASK) {
	case VU_REPLY:
		return check_reply(c, p + HDR, m->hdr.size - (uint32_t)HDR, m);
	case VU_REQUEST:
		if (flags & VU_ERROR)
			return broken(m, "a request is marked as an error");
		return check_request(p + HDR, m->hdr.size - (uint32_t)HDR, m);
	default:
		return broken(m, "a message is neither a request nor a reply");
	}
}

void vuc_check(struct vuc *c, const uint8_t *p, uint32_t n, struct vuc_message *m)
{
	memset(m, 0, sizeof(*m));
	m->kind = check(c, p, n, m);
}

int vuc_check_version(const uint8_t *p, uint32_t len, const char **why)
{
	struct vu_version v;

	memcpy(&v, p, sizeof(v));
	*why = NULL;
	if (v.major != VU_MAJOR || v.minor > VU_MINOR)
		*why = "it speaks another version of the protocol than 0.0";
	/* What it can do beyond the protocol's defaults is of no use here: no message of ours has
	 * more than one descriptor or more than a few bytes. */
	else if (len > sizeof(v) && p[len - 1])
		*why = "its capabilities do not end";
	return *why ? -EPROTO : 0;
}

int vuc_check_device(const struct vu_device_info *info, const char **why)
{
	*why = NULL;
	if (!(info->flags & VU_DEVICE_FLAGS_PCI))
		*why = "what it serves is no PCI function";
	else if (info->num_regions <= VU_REGION_CONFIG || info->num_irqs <= VU_IRQ_MSIX)
		*why = "it has no configuration space or no MSI-X";
	return *why ? -EPROTO : 0;
}

int vuc_check_region(const struct vu_region_info *info, uint32_t index, uint64_t *size,
		     const char **why)
{
	const uint32_t both = VU_REGION_F_READ | VU_REGION_F_WRITE;

	*size = 0;
	*why = NULL;
	if (info->index != index)
		*why = "it tells of another region than was asked for";
	else if (index == VU_REGION_CONFIG && (info->size < 256 || (info->flags & both) != both))
		*why = "its configuration space cannot be read and written";
	if (*why)
		return -EPROTO;
	/* A region that lacks one of the two is of no use to a driver. */
	if ((info->flags & both) == both && info->size <= UINT64_MAX >> 1)
		*size = info->size;
	return 0;
}

int vuc_check_irq(const struct vu_irq_info *info, uint32_t *vectors, const char **why)
{
	*why = NULL;
	if (info->index != VU_IRQ_MSIX)
		*why = "it tells of other interrupts than were asked for";
	else if (!info->count || !(info->flags & VU_IRQ_EVENTFD))
		*why = "it has no MSI-X vector that could signal an eventfd";
	if (*why)
		return -EPROTO;
	*vectors = info->count < 2048 ? info->count : 2048;
	return 0;
}
