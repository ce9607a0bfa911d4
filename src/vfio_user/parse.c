/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Decoders of vfio-user payloads. See parse.h: everything that comes in here is hostile, and
 * everything that goes out has been checked. The size lies within the bounds of the table of
 * messages already.
 */
#include <string.h>

#include <vfio_user/json.h>
#include <vfio_user/parse.h>

#define FLAGS_KNOWN (VU_TYPE_MASK | VU_NO_REPLY | VU_ERROR)

/* What the protocol says of a client that does not mention it. */
#define DEFAULT_MAX_DATA (1u << 20)

/* True where start + len does not fit into 64 bits. A range may end at 2^64. */
static bool wraps(uint64_t start, uint64_t len)
{
	return len && len - 1 > UINT64_MAX - start;
}

static const char *check_reply(const struct vu_hdr *h)
{
	if (h->command != VU_DMA_WRITE)
		return "a reply to what was not asked";
	if (h->flags & ~(VU_TYPE_MASK | VU_ERROR))
		return "unknown flags";
	if (h->size < sizeof(*h))
		return "shorter than a header";
	/* Some send the request's structure back, some nothing. */
	if (h->size > sizeof(*h) + sizeof(struct vu_dma_rw))
		return "longer than such a reply can be";
	return NULL;
}

const char *vfu_check_header(const struct vu_hdr *h)
{
	const struct vfu_cmd *cmd = vfu_cmd(h->command);

	if ((h->flags & VU_TYPE_MASK) == VU_REPLY)
		return check_reply(h);
	if ((h->flags & VU_TYPE_MASK) != VU_REQUEST || h->flags & ~FLAGS_KNOWN ||
	    h->flags & VU_ERROR || h->error)
		return "unknown flags";
	if (!cmd)
		return "there is no such command here";
	if (h->size < sizeof(*h) || h->size - sizeof(*h) < cmd->min_size)
		return "too short";
	if (h->size - sizeof(*h) > cmd->max_size)
		return "too long";
	return NULL;
}

const char *vfu_decode(const struct vu_hdr *h, const uint8_t *payload, unsigned int n_fds,
		       struct vfu_req *req)
{
	const struct vfu_cmd *cmd = vfu_cmd(h->command);
	const char *why = vfu_check_header(h);

	if (why)
		return why;
	if (n_fds > cmd->max_fds)
		return "more descriptors than it takes";
	memset(req, 0, sizeof(*req));
	req->command = h->command;
	req->no_reply = h->flags & VU_NO_REPLY;
	return cmd->decode(payload, h->size - (uint32_t)sizeof(*h), n_fds, req);
}

const char *vfu_decode_none(const uint8_t *p, uint32_t size, unsigned int n_fds,
			    struct vfu_req *req)
{
	(void)p;
	(void)size;
	(void)n_fds;
	(void)req;
	return NULL;
}

const char *vfu_decode_version(const uint8_t *p, uint32_t size, unsigned int n_fds,
			       struct vfu_req *req)
{
	struct vfu_json_number max_data = { .key = "max_data_xfer_size" };
	const char *text = (const char *)p + sizeof(struct vu_version);
	uint32_t len = size - (uint32_t)sizeof(struct vu_version);
	struct vu_version v;

	(void)n_fds;
	memcpy(&v, p, sizeof(v));
	req->version.major = v.major;
	req->version.minor = v.minor;
	req->version.max_data = DEFAULT_MAX_DATA;
	if (!len)
		return NULL;
	if (memchr(text, 0, len) != text + len - 1)
		return "capabilities that do not end with the only NUL";
	if (!vfu_json_numbers(text, len - 1, "capabilities", &max_data, 1))
		return "capabilities that are no JSON object with numbers in it";
	if (max_data.found)
		req->version.max_data = max_data.value;
	return NULL;
}

const char *vfu_decode_map(const uint8_t *p, uint32_t size, unsigned int n_fds, struct vfu_req *req)
{
	struct vu_dma_map m;

	(void)n_fds;
	memcpy(&m, p, sizeof(m));
	if (m.argsz < size)
		return "an argsz smaller than the message";
	if (m.flags & ~(VU_DMA_READABLE | VU_DMA_WRITABLE))
		return "unknown flags of a mapping";
	if (!m.size)
		return "an empty range";
	if (wraps(m.addr, m.size) || wraps(m.offset, m.size))
		return "a range that wraps around";
	req->map.addr = m.addr;
	req->map.size = m.size;
	req->map.offset = m.offset;
	req->map.perm = m.flags;
	return NULL;
}

const char *vfu_decode_unmap(const uint8_t *p, uint32_t size, unsigned int n_fds,
			     struct vfu_req *req)
{
	struct vu_dma_unmap u;

	(void)n_fds;
	memcpy(&u, p, sizeof(u));
	if (u.argsz < size)
		return "an argsz smaller than the reply";
	if (u.flags & ~(VU_UNMAP_DIRTY_BITMAP | VU_UNMAP_ALL))
		return "unknown flags of an unmapping";
	req->unmap.all = u.flags & VU_UNMAP_ALL;
	if (req->unmap.all && (u.addr || u.size))
		return "a range together with the flag for everything";
	if (!req->unmap.all && !u.size)
		return "an empty range";
	if (wraps(u.addr, u.size))
		return "a range that wraps around";
	req->unmap.addr = u.addr;
	req->unmap.size = u.size;
	req->unmap.flags = u.flags;
	return NULL;
}

const char *vfu_decode_info(const uint8_t *p, uint32_t size, unsigned int n_fds,
			    struct vfu_req *req)
{
	struct vu_device_info i;

	(void)n_fds;
	(void)req;
	memcpy(&i, p, sizeof(i));
	if (i.argsz < size)
		return "an argsz smaller than the reply";
	return i.flags || i.num_regions || i.num_irqs ? "reserved fields that are not zero" : NULL;
}

const char *vfu_decode_region_info(const uint8_t *p, uint32_t size, unsigned int n_fds,
				   struct vfu_req *req)
{
	struct vu_region_info i;

	(void)n_fds;
	memcpy(&i, p, sizeof(i));
	if (i.argsz < size)
		return "an argsz smaller than the reply";
	if (i.flags || i.cap_offset || i.size || i.offset)
		return "reserved fields that are not zero";
	req->index = i.index;
	return NULL;
}

const char *vfu_decode_irq_info(const uint8_t *p, uint32_t size, unsigned int n_fds,
				struct vfu_req *req)
{
	struct vu_irq_info i;

	(void)n_fds;
	memcpy(&i, p, sizeof(i));
	if (i.argsz < size)
		return "an argsz smaller than the reply";
	if (i.flags || i.count)
		return "reserved fields that are not zero";
	req->index = i.index;
	return NULL;
}

static bool one_bit(uint32_t v)
{
	return v && !(v & (v - 1));
}

const char *vfu_decode_set_irqs(const uint8_t *p, uint32_t size, unsigned int n_fds,
				struct vfu_req *req)
{
	const uint32_t datas = VU_SET_DATA_NONE | VU_SET_DATA_BOOL | VU_SET_DATA_EVENTFD;
	const uint32_t actions = VU_SET_ACTION_MASK | VU_SET_ACTION_UNMASK | VU_SET_ACTION_TRIGGER;
	uint32_t more = size - (uint32_t)sizeof(struct vu_irq_set);
	struct vu_irq_set s;

	memcpy(&s, p, sizeof(s));
	if (s.argsz < sizeof(s))
		return "an argsz smaller than the structure";
	if (s.flags & ~(datas | actions))
		return "unknown flags of an interrupt";
	if (!one_bit(s.flags & datas) || !one_bit(s.flags & actions))
		return "not one kind of data and one action";
	if (s.count > UINT32_MAX - s.start)
		return "a range of interrupts that wraps around";
	if (more != (s.flags & VU_SET_DATA_BOOL ? s.count : 0))
		return "data that are not what its flags and count say";
	if (n_fds && (!(s.flags & VU_SET_DATA_EVENTFD) || n_fds != s.count))
		return "not one descriptor for each interrupt";
	req->set_irqs.data = s.flags & datas;
	req->set_irqs.action = s.flags & actions;
	req->set_irqs.index = s.index;
	req->set_irqs.start = s.start;
	req->set_irqs.count = s.count;
	req->set_irqs.bools = p + sizeof(s);
	return NULL;
}

static const char *get_region(const uint8_t *p, struct vfu_req *req)
{
	struct vu_region_rw rw;

	memcpy(&rw, p, sizeof(rw));
	if (!rw.count)
		return "an access of no bytes";
	if (rw.count > VU_MAX_DATA)
		return "an access larger than max_data_xfer_size";
	req->region.offset = rw.offset;
	req->region.region = rw.region;
	req->region.count = rw.count;
	return NULL;
}

const char *vfu_decode_read(const uint8_t *p, uint32_t size, unsigned int n_fds,
			    struct vfu_req *req)
{
	(void)size;
	(void)n_fds;
	return get_region(p, req);
}

const char *vfu_decode_write(const uint8_t *p, uint32_t size, unsigned int n_fds,
			     struct vfu_req *req)
{
	const char *why = get_region(p, req);

	(void)n_fds;
	if (why)
		return why;
	if (size - sizeof(struct vu_region_rw) != req->region.count)
		return "not as much data as its count says";
	req->region.data = p + sizeof(struct vu_region_rw);
	return NULL;
}
