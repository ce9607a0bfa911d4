// SPDX-License-Identifier: BSD-3-Clause
/*
 * Transportq commands against a plain model of section 4: the input is a list of commands, valid
 * and not, each is sent to a real management device, and every answer (ack, used length, in-data)
 * is compared with what the model says. The model knows nothing of the device half's code.
 *
 * Input: for each command one byte that chooses it (or raw bytes), then the bytes of its fields;
 * where a field is an address, identifier or index, a byte chooses among good and bad values.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tvq/inproc.h>
#include <tvq/volumes.h>
#include <tvq/wire.h>

#include "device/util.h"
#include "ring/driver_ring.h"

#define DEVICES	   4
#define QUEUES	   2 /* of each device */
#define MAX_SIZE   64
#define AREA_PAGES 8
#define CONFIG_LEN 96
#define ERR	   (-1)

#define BIT(n)	     (1ull << (n))
#define F_MQ	     BIT(12)
#define F_WCE	     BIT(11)
#define F_CTRL_VQ    BIT(17) /* of a network device */
#define F_FLUSH	     BIT(9)
#define F_V1	     BIT(32)
#define F_PLATFORM   BIT(33)
#define F_PACKED     BIT(34)
#define F_RING_RESET BIT(40)
#define F_TQ	     BIT(48)
#define F_VDEV	     BIT(49)

/* ---- the model ---- */

struct m_msi {
	bool set;
};

struct m_queue {
	uint16_t size, avail, used;
	bool has_addr, enabled, mapped;
	struct m_msi msi;
};

struct m_device {
	uint64_t id; /* 0: none */
	uint64_t offered, accepted;
	uint16_t n_queues;
	uint8_t status;
	bool unsure; /* a ring of zeroes at another index: it may need a reset */
	struct m_queue q[QUEUES];
	struct m_msi config_msi;
	uint8_t writeback;
};

static struct world {
	struct tvq_exec exec;
	struct tvq_volume_pool *pool;
	struct tvq_bus *bus;
	struct tvq_drv_ring *ring;
	void *ring_mem;
	uint8_t *mem; /* out, in, and areas for queues */
	uint64_t iova;
	struct m_device dev[DEVICES];
	uint64_t last_id;
	uint64_t features, defaults; /* of a block device, by TYPE_GET */
} w;

struct input {
	const uint8_t *p;
	size_t n;
};

static uint8_t take(struct input *in)
{
	if (!in->n)
		return 0;
	in->n--;
	return *in->p++;
}

static void die(const char *what, const struct tvq_command *c, long got, long expected)
{
	fprintf(stderr, "%s: %s: the device says %ld, the model %ld; sent:", c ? c->name : "raw",
		what, got, expected);
	for (int i = 0; i < 100; i++)
		fprintf(stderr, " %02x", w.mem[i]);
	fprintf(stderr, "\n");
	abort();
}

/* ---- the device ---- */

struct answer {
	uint32_t used, ack;
	uint8_t in[256];
};

static void send_command(const uint8_t *out, uint32_t out_len, uint32_t in_len, struct answer *a)
{
	struct tvq_sg sg[2];
	unsigned int n_out = 0, n_in = 0;
	uint32_t written = 0;

	memcpy(w.mem, out, out_len);
	memset(w.mem + 2048, 0xa5, in_len);
	if (out_len)
		sg[n_out++] = (struct tvq_sg){ w.iova, out_len };
	if (in_len)
		sg[n_out + n_in++] = (struct tvq_sg){ w.iova + 2048, in_len };
	if (tvq_drv_ring_add(w.ring, sg, n_out, n_in, &w))
		abort();
	if (tvq_drv_ring_publish(w.ring))
		w.bus->ops->queue_notify(w.bus, 1);
	for (int i = 0; !tvq_drv_ring_get(w.ring, &written); i++) {
		if (i > 10000) {
			fprintf(stderr, "a command is not answered\n");
			abort();
		}
		tvq_exec_poll(&w.exec);
	}
	a->used = written;
	a->ack = written >= 4 ? tvq_get32(w.mem + 2048) : 0xffffffff;
	memcpy(a->in, w.mem + 2048 + 4, sizeof(a->in));
}

static void start_device(void)
{
	struct tvq_drv_ring_cfg cfg = { .size = 64, .event_idx = true, .indirect = true };
	struct tvq_bus_queue q = { .index = 1, .size = 64 };
	const struct tvq_bus_ops *ops = w.bus->ops;
	size_t bytes = tvq_drv_ring_bytes(false, 64, 4);
	uint64_t f = ops->features(w.bus) & ~(F_PACKED | BIT(38));

	ops->set_status(w.bus, 0);
	for (int i = 0; ops->status(w.bus); i++) {
		if (i > 10000)
			abort();
		tvq_exec_poll(&w.exec);
	}
	ops->set_status(w.bus, 3);
	if (ops->set_features(w.bus, f))
		abort();
	ops->set_status(w.bus, 11);
	if (!w.ring_mem)
		w.ring_mem = ops->dma_alloc(w.bus, bytes, &cfg.iova);
	cfg.iova = (uintptr_t)w.ring_mem;
	cfg.mem = w.ring_mem;
	memset(w.ring_mem, 0, bytes);
	w.ring = tvq_drv_ring_new(&tvq_os_host, &cfg, 4);
	if (!w.ring)
		abort();
	tvq_drv_ring_areas(w.ring, &q.desc, &q.driver, &q.device);
	if (ops->queue_setup(w.bus, &q, NULL, NULL))
		abort();
	ops->set_status(w.bus, 15);
}

static void start_world(void)
{
	struct tvq_maker_cfg maker = { .kind = TVQ_MAKER_NULL,
				       .name = "n",
				       .default_size = 1 << 20 };
	struct tvq_mgmt_cfg cfg = { .os = &tvq_os_host,
				    .control = &w.exec,
				    .max_devices = DEVICES,
				    .max_vqs = 64,
				    .max_vdev_vqs = QUEUES,
				    .max_queue_size = MAX_SIZE };
	char err[TVQ_VOLUME_ERR_LEN];
	int e;

	tvq_os_host_log_level(TVQ_LOG_ERR);
	tvq_exec_init(&w.exec, &tvq_os_host, NULL, 0);
	w.pool = tvq_volume_pool_new(&w.exec);
	if (!w.pool || tvq_volume_pool_add_maker(w.pool, &maker, err))
		abort();
	cfg.pool = tvq_volume_pool_pool(w.pool);
	w.bus = tvq_inproc_new(&cfg, &e);
	if (!w.bus)
		abort();
	w.mem = w.bus->ops->dma_alloc(w.bus, 4096 * (1 + AREA_PAGES), &w.iova);
}

/* ---- what the model answers: in-data bytes, or ERR; expected in-data is left in in ---- */

struct m_call {
	const struct tvq_command *def;
	struct m_device *d; /* NULL: device_id 0, or one that does not live */
	uint64_t id;
	const uint8_t *out;
	uint32_t out_len, in_room;
	uint8_t in[256];
	bool in_known; /* in-data can be predicted */
	uint64_t created;
};

static void reset_queue(struct m_device *d, struct m_queue *q, bool keep_msi)
{
	struct m_msi msi = q->msi;

	memset(q, 0, sizeof(*q));
	q->size = MAX_SIZE;
	q->avail = q->used = d->accepted & F_PACKED ? 0x8000 : 0;
	if (keep_msi)
		q->msi = msi;
}

static void reset_device(struct m_device *d)
{
	d->accepted = 0;
	d->status = 0;
	d->unsure = false;
	d->writeback = 1;
	memset(&d->config_msi, 0, sizeof(d->config_msi));
	for (int i = 0; i < QUEUES; i++)
		reset_queue(d, &d->q[i], false);
}

static int m_create(struct m_call *c)
{
	const struct virtio_transportq_ctrl_vdev_attribute *a = (const void *)c->out;
	const struct virtio_transportq_blk_config *b = (const void *)a->dev_config;
	struct m_device *d = NULL;
	uint64_t f;
	uint16_t n = 1;

	if (c->out_len != sizeof(*a) && c->out_len != sizeof(*a) + sizeof(*b))
		return ERR;
	f = tvq_get64(&a->device_features);
	if (tvq_get32(&a->virtio_device_id) != 2 || tvq_get32(&a->asid))
		return ERR;
	if (c->out_len > sizeof(*a)) {
		n = tvq_get16(&b->num_queues) ? tvq_get16(&b->num_queues) : 1;
		/* The fuzzer leaves the rest of dev_config zero. */
	}
	if (!f)
		f = w.defaults | (n > 1 ? F_MQ : 0);
	if ((n > 1 && !(f & F_MQ)) || f & ~w.features || !(f & F_V1) || !(f & F_PLATFORM) ||
	    (f & F_WCE && !(f & F_FLUSH)) || (f & F_VDEV && !(f & F_TQ)) ||
	    n + !!(f & F_TQ) > QUEUES)
		return ERR;
	for (int i = 0; i < DEVICES; i++)
		if (!w.dev[i].id)
			d = d ? d : &w.dev[i];
	if (!d)
		return ERR;
	memset(d, 0, sizeof(*d));
	d->id = 1; /* what it is, the device says */
	d->offered = f;
	d->n_queues = n;
	reset_device(d);
	c->d = d;
	return 8;
}

static int m_status_set(struct m_call *c)
{
	struct m_device *d = c->d;
	uint8_t s = c->out[0], old = d->status & ~64, set = s & ~64 & ~old;

	if (!s) {
		reset_device(d);
		return 0;
	}
	if (s & (16 | 32) || old & ~s || (set & 4 && !(old & 8)))
		return ERR;
	if (set & 8 && !(d->accepted & F_V1 && (!(d->accepted & F_WCE) || d->accepted & F_FLUSH)))
		set &= ~8;
	if (set & 8 && d->accepted & F_VDEV && !(d->accepted & F_TQ))
		set &= ~8;
	d->status |= set;
	if (set & 8)
		for (int i = 0; i < QUEUES; i++)
			d->q[i].avail = d->q[i].used = d->accepted & F_PACKED ? 0x8000 : 0;
	return 0;
}

static int m_config(struct m_call *c, bool write)
{
	uint32_t offset = tvq_get32(c->out), size = tvq_get32(c->out + 4);
	struct m_device *d = c->d;

	if (!size || offset >= CONFIG_LEN || size > CONFIG_LEN - offset)
		return ERR;
	if (!write)
		return c->in_room < size ? ERR : (int)size;
	if (!(d->status & 8) || !(d->accepted & F_WCE) || offset != 32 || size != 1 ||
	    c->out[8] > 1)
		return ERR;
	d->writeback = c->out[8];
	return 0;
}

static int m_enable(struct m_call *c, struct m_queue *q)
{
	struct m_device *d = c->d;
	bool packed = d->accepted & F_PACKED;
	uint8_t v = c->out[2];

	if (v > 1 || (v && !(d->status & 8)))
		return ERR;
	if (!v) {
		q->enabled = false;
		return 0;
	}
	if (q->enabled)
		return 0;
	if (!q->has_addr || !q->mapped)
		return ERR;
	if (packed && ((q->avail & 0x7fff) >= q->size || (q->used & 0x7fff) >= q->size ||
		       q->avail != q->used))
		return -2; /* the model does not follow such positions */
	q->enabled = true;
	if (q->avail && q->avail != 0x8000)
		d->unsure = true;
	return 0;
}

static uint16_t queues_now(const struct m_device *d)
{
	return (d->status & 8 ? d->accepted : d->offered) & F_MQ ? d->n_queues : 1;
}

static int m_queue_command(struct m_call *c)
{
	struct m_device *d = c->d;
	bool packed = d->accepted & F_PACKED;
	uint16_t index = tvq_get16(c->out), v;
	struct m_queue *q;

	if (c->out_len < 2)
		return ERR;
	if (index < queues_now(d))
		q = &d->q[index];
	else if (index == queues_now(d) && d->offered & F_TQ)
		q = &d->q[d->n_queues]; /* its transportq, wherever it is now (TQ-011) */
	else
		return ERR;
	if (c->def->flags & TVQ_CMD_RING && !(d->status & 8))
		return ERR;
	if (c->def->flags & TVQ_CMD_OFF && q->enabled)
		return ERR;
	switch ((enum tvq_command_id)(c->def - tvq_commands)) {
	case TVQ_COMMAND_msi_vq_set:
		if (tvq_get64(c->out + 2) % 4)
			return ERR;
		q->msi.set = true;
		return 0;
	case TVQ_COMMAND_msi_vq_enable:
		return c->out[2] > 1 || (c->out[2] && !q->msi.set) ? ERR : 0;
	case TVQ_COMMAND_msi_vq_mask:
		return c->out[2] > 1 ? ERR : 0;
	case TVQ_COMMAND_vq_addr_set: {
		uint64_t dev = tvq_get64(c->out + 2), desc = tvq_get64(c->out + 10),
			 drv = tvq_get64(c->out + 18);

		if (desc % 16 || drv % (packed ? 4 : 2) || dev % 4)
			return ERR;
		q->has_addr = true;
		q->mapped = desc >= w.iova && desc < w.iova + 4096 * AREA_PAGES;
		return 0;
	}
	case TVQ_COMMAND_vq_enable_set:
		return m_enable(c, q);
	case TVQ_COMMAND_vq_enable_get:
		c->in[0] = q->enabled;
		c->in_known = true;
		return 1;
	case TVQ_COMMAND_vq_size_set:
		v = tvq_get16(c->out + 2);
		if (!v || v > MAX_SIZE || (!packed && v & (v - 1)))
			return ERR;
		q->size = v;
		return 0;
	case TVQ_COMMAND_vq_size_get:
		tvq_put16(c->in, q->size);
		c->in_known = true;
		return 2;
	case TVQ_COMMAND_vq_notify_get:
		return 16;
	case TVQ_COMMAND_vq_index_set:
		if (c->out_len != (packed ? 6 : 4))
			return ERR;
		q->avail = tvq_get16(c->out + 2);
		q->used = packed ? tvq_get16(c->out + 4) : q->avail;
		return 0;
	case TVQ_COMMAND_vq_index_get:
		if (c->in_room < (packed ? 4 : 2))
			return ERR;
		tvq_put16(c->in, q->avail);
		tvq_put16(c->in + 2, q->used);
		c->in_known = !d->unsure;
		return packed ? 4 : 2;
	case TVQ_COMMAND_vq_reset_set:
		if (!(d->accepted & F_RING_RESET))
			return ERR;
		reset_queue(d, q, true);
		return 0;
	case TVQ_COMMAND_vq_asid_set:
		return tvq_get32(c->out + 2) ? ERR : 0;
	case TVQ_COMMAND_vq_asid_get:
		tvq_put32(c->in, 0);
		c->in_known = true;
		return 4;
	case TVQ_COMMAND_vq_inflight_set:
		return tvq_get32(c->out + 14) && tvq_get32(c->out + 2) ? ERR : 0;
	case TVQ_COMMAND_vq_stats_get:
		return 64;
	default:
		abort();
	}
}

static int m_run(struct m_call *c)
{
	struct m_device *d = c->d;

	if (!c->def)
		return ERR;
	if (c->def->out_len != TVQ_VAR && c->out_len != c->def->out_len)
		return ERR;
	if (c->def->in_len != TVQ_VAR && c->in_room < c->def->in_len)
		return ERR;
	if (c->def->flags & TVQ_CMD_MGMT ? c->id != 0 : !d)
		return ERR;
	if (c->def->flags & TVQ_CMD_QUEUE)
		return m_queue_command(c);
	switch ((enum tvq_command_id)(c->def - tvq_commands)) {
	case TVQ_COMMAND_create:
		return m_create(c);
	case TVQ_COMMAND_destroy:
		d->id = 0;
		return 0;
	case TVQ_COMMAND_avail_res_get:
		return 8;
	case TVQ_COMMAND_type_get:
		return tvq_get32(c->out) == 1 || tvq_get32(c->out) == 2 ? 20 : ERR;
	case TVQ_COMMAND_feat_device_get:
		tvq_put64(c->in, d->offered);
		c->in_known = true;
		return 8;
	case TVQ_COMMAND_feat_driver_set:
		if (d->status & 8 || tvq_get64(c->out) & ~d->offered)
			return ERR;
		d->accepted = tvq_get64(c->out);
		return 0;
	case TVQ_COMMAND_feat_driver_get:
		tvq_put64(c->in, d->accepted);
		c->in_known = true;
		return 8;
	case TVQ_COMMAND_status_set:
		return m_status_set(c);
	case TVQ_COMMAND_status_get:
		c->in[0] = d->status;
		c->in_known = !d->unsure;
		return 1;
	case TVQ_COMMAND_generation_get:
		return 4;
	case TVQ_COMMAND_config_get:
		return m_config(c, false);
	case TVQ_COMMAND_config_set:
		if (c->out_len < 8 || tvq_get32(c->out + 4) != c->out_len - 8)
			return ERR;
		return m_config(c, true);
	case TVQ_COMMAND_msi_config_set:
		if (tvq_get64(c->out) % 4)
			return ERR;
		d->config_msi.set = true;
		return 0;
	case TVQ_COMMAND_msi_config_enable:
		return c->out[0] > 1 || (c->out[0] && !d->config_msi.set) ? ERR : 0;
	case TVQ_COMMAND_msi_config_mask:
		return c->out[0] > 1 ? ERR : 0;
	default:
		abort();
	}
}

/* ---- making commands of the input ---- */

static uint64_t pick_features(struct input *in)
{
	uint8_t b = take(in);

	switch (b & 7) {
	case 0:
		return 0;
	case 1:
		return F_V1 | F_PLATFORM;
	case 2:
		return F_V1;
	case 3:
		return F_V1 | F_PLATFORM | F_PACKED | F_RING_RESET;
	case 4:
		return w.defaults;
	case 5:
		return w.defaults & ~F_PACKED;
	case 6:
		return w.defaults | F_MQ;
	default:
		return (F_V1 | F_PLATFORM) ^ BIT(b >> 3) ^ BIT(take(in) & 63);
	}
}

/* The areas of a queue lie in a page of their own, or nowhere, or askew. */
static void pick_areas(struct input *in, uint8_t *out)
{
	uint8_t b = take(in);
	uint64_t at = w.iova + 4096 * (1 + (b & 3) % (AREA_PAGES - 1));

	if ((b >> 2 & 3) == 3)
		at = BIT(45) + 4096;
	tvq_put64(out + 2, at + 2560 + (b >> 4 == 1 ? 2 : 0));
	tvq_put64(out + 10, at + (b >> 4 == 2 ? 8 : 0));
	tvq_put64(out + 18, at + 2048 + (b >> 4 == 3 ? 1 : 0));
}

static uint32_t make_out(struct input *in, const struct tvq_command *def, uint8_t *out)
{
	uint32_t len = def->out_len;

	memset(out, 0, 256);
	switch ((enum tvq_command_id)(def - tvq_commands)) {
	case TVQ_COMMAND_create:
		tvq_put32(out, take(in) & 15 ? 2 : 1);
		tvq_put32(out + 4, take(in) == 255);
		tvq_put64(out + 8, pick_features(in));
		/* A network device with a control queue, as it is by default, has more queues than
		 * there are: the model has block devices only. */
		if (tvq_get32(out) == 1 && tvq_get64(out + 8))
			tvq_put64(out + 8, tvq_get64(out + 8) | F_CTRL_VQ);
		len = 16;
		if (take(in) & 1) {
			tvq_put16(out + 16 + 34, take(in) & 3);
			len = 16 + 56;
		}
		break;
	case TVQ_COMMAND_feat_driver_set:
		tvq_put64(out, pick_features(in));
		break;
	case TVQ_COMMAND_type_get:
		tvq_put32(out, take(in) & 3);
		break;
	case TVQ_COMMAND_vq_addr_set:
		tvq_put16(out, take(in) & 3);
		pick_areas(in, out);
		break;
	case TVQ_COMMAND_vq_inflight_set:
		/* None, or in a space that is not there: areas have a fuzzer of their own. */
		tvq_put16(out, take(in) & 3);
		out[2] = take(in) & 1;
		out[14] = out[2];
		break;
	case TVQ_COMMAND_config_get:
		tvq_put32(out, take(in));
		tvq_put32(out + 4, take(in));
		break;
	case TVQ_COMMAND_config_set:
		tvq_put32(out, take(in) & 1 ? 32 : take(in));
		len = 8 + (take(in) & 3);
		tvq_put32(out + 4, len - 8 + (take(in) == 7));
		out[8] = take(in) & 3;
		break;
	case TVQ_COMMAND_vq_index_set:
		len = take(in) & 1 ? 4 : 6;
		tvq_put16(out, take(in) & 1);
		tvq_put16(out + 2, (uint16_t)((take(in) & 1) << 15));
		tvq_put16(out + 4, tvq_get16(out + 2));
		break;
	default:
		for (uint32_t i = 0; i < len; i++)
			out[i] = i == 1 && def->flags & TVQ_CMD_QUEUE ? 0
								      : take(in) & (i ? 127 : 3);
	}
	return len;
}

static void one_command(struct input *in)
{
	uint8_t buf[512] = { 0 }, how = take(in), which = take(in);
	struct virtio_transportq_ctrl *h = (void *)buf;
	struct m_call c = { .def = &tvq_commands[which % TVQ_COMMANDS],
			    .out = h->command_out_data };
	uint8_t slot = take(in);
	struct answer a;
	int expected;

	if (slot < 200 && w.dev[slot % DEVICES].id)
		c.d = &w.dev[slot % DEVICES];
	c.id = c.d ? c.d->id : slot < 220 ? 0 : w.last_id + 1 + slot;
	if (c.def->flags & TVQ_CMD_MGMT && how & 63) {
		c.id = 0;
		c.d = NULL;
	}
	c.out_len = make_out(in, c.def, h->command_out_data);
	c.in_room = c.def->in_len == TVQ_VAR ? 100 : c.def->in_len;
	if ((how & 15) == 1 && c.out_len)
		c.out_len--;
	else if ((how & 15) == 2)
		c.out_len++;
	else if ((how & 15) == 3 && c.in_room)
		c.in_room--;
	else if ((how & 15) == 4)
		c.in_room += 40;
	tvq_put64(&h->device_id, c.id);
	tvq_put16(&h->class, c.def->class);
	tvq_put16(&h->command, c.def->command);
	expected = m_run(&c);
	send_command(buf, sizeof(*h) + c.out_len, 4 + c.in_room, &a);
	if (expected == -2) { /* not modelled: both answers are right, the device goes */
		c.d->unsure = true;
		if (a.ack == VIRTIO_TRANSPTQ_OK)
			c.d->q[tvq_get16(c.out)].enabled = true;
		return;
	}
	if (a.ack != (expected == ERR ? VIRTIO_TRANSPTQ_ERR : VIRTIO_TRANSPTQ_OK))
		die("ack", c.def, (long)a.ack,
		    expected == ERR ? VIRTIO_TRANSPTQ_ERR : VIRTIO_TRANSPTQ_OK);
	if (a.used != (expected == ERR ? 4 : 4 + (uint32_t)expected))
		die("used length", c.def, (long)a.used, expected == ERR ? 4 : 4 + expected);
	if (c.in_known && expected > 0 && memcmp(a.in, c.in, (size_t)expected))
		die("in-data", c.def, a.in[0], c.in[0]);
	if (c.def == &tvq_commands[TVQ_COMMAND_create] && expected > 0) {
		c.d->id = tvq_get64(a.in);
		if (c.d->id <= w.last_id)
			die("identifier", c.def, (long)c.d->id, (long)w.last_id + 1);
		w.last_id = c.d->id;
	}
}

/* Bytes as they come: only ERR or OK, and an answer, are asked for. */
static void raw_command(struct input *in)
{
	uint8_t out[300];
	uint32_t n = take(in), room = take(in);
	struct answer a;

	for (uint32_t i = 0; i < n; i++)
		out[i] = take(in);
	/* Not to a living device: the model would lose track of it. */
	if (n >= 8)
		tvq_put64(out, tvq_get64(out) | BIT(63));
	if (!n && !room)
		return;
	send_command(out, n, room, &a);
	if (room < 4 ? a.used != 0 : a.used != 4 || a.ack != VIRTIO_TRANSPTQ_ERR)
		die("answer to bytes", NULL, (long)a.ack, VIRTIO_TRANSPTQ_ERR);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct answer a;
	uint8_t type[16 + 12] = { 0 };

	if (!w.bus)
		start_world();
	memset(w.mem + 4096, 0, 4096 * AREA_PAGES);
	memset(w.dev, 0, sizeof(w.dev));
	start_device();
	type[8] = VIRTIO_TRANSPTQ_CTRL_AVAIL_RES;
	type[10] = VIRTIO_TRANSPTQ_CTRL_AVAIL_RES_TYPE_GET;
	type[12] = 2;
	send_command(type, 16, 24, &a);
	w.features = tvq_get64(a.in);
	w.defaults = tvq_get64(a.in + 8);
	while (in.n) {
		if (*in.p == 0xff) {
			take(&in);
			raw_command(&in);
		} else {
			one_command(&in);
		}
	}
	tvq_drv_ring_free(w.ring);
	w.ring = NULL;
	return 0;
}
