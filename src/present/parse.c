/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Decoders of vhost-user payloads. See parse.h: everything that comes in here is hostile, and
 * everything that goes out has been checked. The size lies within the bounds of the table of
 * messages already.
 */
#include <string.h>

#include <present/parse.h>

/* True where start + len does not fit into 64 bits: no range ends at 2^64 either. */
static bool wraps(uint64_t start, uint64_t len)
{
	return len > UINT64_MAX - start;
}

static bool overlap(uint64_t a, uint64_t a_len, uint64_t b, uint64_t b_len)
{
	return a - b < b_len || b - a < a_len;
}

const char *vu_check_header(const struct vu_header *h)
{
	const struct vu_msg_info *info = vu_msg_info(h->request);

	if (!info)
		return "there is no such message here";
	if ((h->flags & VU_VERSION_MASK) != VU_VERSION)
		return "not version 1";
	if (h->flags & VU_REPLY)
		return "a reply, where a request was expected";
	if (h->flags & ~VU_FLAGS_MASK)
		return "unknown flags";
	if (h->size < info->min_size)
		return "payload too short";
	if (h->size > info->max_size)
		return "payload too long";
	return NULL;
}

const char *vu_decode(const struct vu_header *h, const uint8_t *payload, unsigned int n_fds,
		      const struct vu_limits *lim, struct vu_req *req)
{
	const struct vu_msg_info *info = vu_msg_info(h->request);
	const char *why = vu_check_header(h);

	if (why)
		return why;
	if (n_fds < info->min_fds)
		return "a descriptor is missing";
	if (n_fds > info->max_fds)
		return "more descriptors than it takes";
	memset(req, 0, sizeof(*req));
	req->request = h->request;
	req->size = h->size;
	req->need_reply = h->flags & VU_NEED_REPLY;
	return info->decode(payload, h->size, n_fds, lim, req);
}

const char *vu_decode_none(const uint8_t *p, uint32_t size, unsigned int n_fds,
			   const struct vu_limits *lim, struct vu_req *req)
{
	(void)p;
	(void)size;
	(void)n_fds;
	(void)lim;
	(void)req;
	return NULL;
}

static const char *get_u64(const uint8_t *p, struct vu_req *req, uint64_t allowed, const char *why)
{
	memcpy(&req->u64, p, sizeof(req->u64));
	return req->u64 & ~allowed ? why : NULL;
}

const char *vu_decode_features(const uint8_t *p, uint32_t size, unsigned int n_fds,
			       const struct vu_limits *lim, struct vu_req *req)
{
	(void)size;
	(void)n_fds;
	return get_u64(p, req, lim->features, "a feature that was not offered");
}

const char *vu_decode_protocol(const uint8_t *p, uint32_t size, unsigned int n_fds,
			       const struct vu_limits *lim, struct vu_req *req)
{
	(void)size;
	(void)n_fds;
	return get_u64(p, req, lim->protocol, "a protocol feature that was not offered");
}

const char *vu_decode_status(const uint8_t *p, uint32_t size, unsigned int n_fds,
			     const struct vu_limits *lim, struct vu_req *req)
{
	(void)size;
	(void)n_fds;
	(void)lim;
	return get_u64(p, req, 0xff, "a status beyond eight bits");
}

const char *vu_decode_mtu(const uint8_t *p, uint32_t size, unsigned int n_fds,
			  const struct vu_limits *lim, struct vu_req *req)
{
	(void)size;
	(void)n_fds;
	(void)lim;
	return get_u64(p, req, 0xffff, "an MTU beyond sixteen bits");
}

/* Six octets of an address, and two that are zero. */
const char *vu_decode_mac(const uint8_t *p, uint32_t size, unsigned int n_fds,
			  const struct vu_limits *lim, struct vu_req *req)
{
	(void)size;
	(void)n_fds;
	(void)lim;
	memcpy(&req->u64, p, sizeof(req->u64));
	return p[6] || p[7] ? "more than an Ethernet address" : NULL;
}

static const char *check_region(const struct vu_mem_region *r)
{
	if (!r->size)
		return "an empty region";
	if (wraps(r->guest_addr, r->size) || wraps(r->user_addr, r->size) ||
	    wraps(r->mmap_offset, r->size))
		return "a region that wraps around";
	return NULL;
}

const char *vu_decode_mem_table(const uint8_t *p, uint32_t size, unsigned int n_fds,
				const struct vu_limits *lim, struct vu_req *req)
{
	struct vu_mem_table t;
	struct vu_mem_region *r = req->mem.region;
	const char *why;
	uint32_t i, k;

	(void)lim;
	memcpy(&t, p, sizeof(t));
	if (t.count > VU_MAX_REGIONS)
		return "more than 8 regions";
	if (size != sizeof(t) + t.count * sizeof(*r))
		return "a payload that does not hold the regions it counts";
	if (n_fds != t.count)
		return "not one descriptor for each region";
	memcpy(r, p + sizeof(t), t.count * sizeof(*r));
	req->mem.count = t.count;
	for (i = 0; i < t.count; i++) {
		why = check_region(&r[i]);
		if (why)
			return why;
		for (k = 0; k < i; k++) {
			if (overlap(r[i].guest_addr, r[i].size, r[k].guest_addr, r[k].size) ||
			    overlap(r[i].user_addr, r[i].size, r[k].user_addr, r[k].size))
				return "regions that overlap";
		}
	}
	return NULL;
}

const char *vu_decode_mem_one(const uint8_t *p, uint32_t size, unsigned int n_fds,
			      const struct vu_limits *lim, struct vu_req *req)
{
	(void)size;
	(void)n_fds;
	(void)lim;
	memcpy(&req->mem.region[0], p + offsetof(struct vu_mem_one, region),
	       sizeof(struct vu_mem_region));
	req->mem.count = 1;
	return check_region(&req->mem.region[0]);
}

const char *vu_decode_vring_state(const uint8_t *p, uint32_t size, unsigned int n_fds,
				  const struct vu_limits *lim, struct vu_req *req)
{
	struct vu_vring_state s;

	(void)size;
	(void)n_fds;
	memcpy(&s, p, sizeof(s));
	if (s.index >= lim->num_queues)
		return "a queue that the device does not have";
	req->state.index = (uint16_t)s.index;
	req->state.num = s.num;
	return NULL;
}

const char *vu_decode_vring_num(const uint8_t *p, uint32_t size, unsigned int n_fds,
				const struct vu_limits *lim, struct vu_req *req)
{
	const char *why = vu_decode_vring_state(p, size, n_fds, lim, req);

	if (why)
		return why;
	return req->state.num < 1 || req->state.num > lim->max_queue_size
		       ? "a queue size that the device does not have"
		       : NULL;
}

const char *vu_decode_vring_enable(const uint8_t *p, uint32_t size, unsigned int n_fds,
				   const struct vu_limits *lim, struct vu_req *req)
{
	const char *why = vu_decode_vring_state(p, size, n_fds, lim, req);

	if (why)
		return why;
	return req->state.num > 1 ? "neither 0 nor 1" : NULL;
}

const char *vu_decode_vring_addr(const uint8_t *p, uint32_t size, unsigned int n_fds,
				 const struct vu_limits *lim, struct vu_req *req)
{
	struct vu_vring_addr a;

	(void)size;
	(void)n_fds;
	memcpy(&a, p, sizeof(a));
	if (a.index >= lim->num_queues)
		return "a queue that the device does not have";
	if (a.flags & ~VU_VRING_F_LOG)
		return "unknown flags of a ring";
	req->addr.index = (uint16_t)a.index;
	req->addr.flags = a.flags;
	req->addr.desc = a.descriptor;
	req->addr.avail = a.available;
	req->addr.used = a.used;
	return NULL;
}

const char *vu_decode_vring_fd(const uint8_t *p, uint32_t size, unsigned int n_fds,
			       const struct vu_limits *lim, struct vu_req *req)
{
	uint64_t v;

	(void)size;
	memcpy(&v, p, sizeof(v));
	if (v & ~(uint64_t)(VU_VRING_INDEX_MASK | VU_VRING_NOFD))
		return "unknown bits beside the queue's index";
	if ((v & VU_VRING_INDEX_MASK) >= lim->num_queues)
		return "a queue that the device does not have";
	req->vring_fd.index = v & VU_VRING_INDEX_MASK;
	req->vring_fd.no_fd = v & VU_VRING_NOFD;
	if (req->vring_fd.no_fd && n_fds)
		return "a descriptor where it says that there is none";
	if (!req->vring_fd.no_fd && !n_fds)
		return "a descriptor is missing";
	return NULL;
}

static const char *get_config(const uint8_t *p, uint32_t size, struct vu_req *req)
{
	struct vu_config cf;

	memcpy(&cf, p, sizeof(cf));
	if (!cf.size || cf.size > VU_MAX_CONFIG || cf.size != size - sizeof(cf))
		return "a size of the configuration that is not the payload's";
	if (cf.offset > VU_MAX_CONFIG - cf.size)
		return "an access beyond the configuration space";
	req->config.offset = cf.offset;
	req->config.size = cf.size;
	req->config.flags = cf.flags;
	return NULL;
}

/* The payload that comes with GET_CONFIG has no meaning but its length. */
const char *vu_decode_config_get(const uint8_t *p, uint32_t size, unsigned int n_fds,
				 const struct vu_limits *lim, struct vu_req *req)
{
	(void)n_fds;
	(void)lim;
	return get_config(p, size, req);
}

const char *vu_decode_config_set(const uint8_t *p, uint32_t size, unsigned int n_fds,
				 const struct vu_limits *lim, struct vu_req *req)
{
	const char *why = get_config(p, size, req);

	(void)n_fds;
	(void)lim;
	if (why)
		return why;
	if (req->config.flags > VU_CONFIG_MIGRATION)
		return "unknown flags of a configuration access";
	memcpy(req->config.data, p + sizeof(struct vu_config), req->config.size);
	return NULL;
}

const char *vu_decode_inflight(const uint8_t *p, uint32_t size, unsigned int n_fds,
			       const struct vu_limits *lim, struct vu_req *req)
{
	struct vu_inflight f = { 0 };

	(void)n_fds;
	memcpy(&f, p, size < sizeof(f) ? size : sizeof(f));
	if (size != VU_INFLIGHT_SHORT && size != sizeof(f))
		return "a payload that is no in-flight description";
	if (!f.num_queues || f.num_queues > lim->num_queues)
		return "an in-flight area for queues that the device does not have";
	if (!f.queue_size || f.queue_size > lim->max_queue_size)
		return "an in-flight area for a queue size that the device does not have";
	if (wraps(f.mmap_offset, f.mmap_size))
		return "an in-flight area that wraps around";
	req->inflight.size = f.mmap_size;
	req->inflight.offset = f.mmap_offset;
	req->inflight.num_queues = f.num_queues;
	req->inflight.queue_size = f.queue_size;
	return NULL;
}
