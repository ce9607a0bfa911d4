/* SPDX-License-Identifier: BSD-3-Clause */
/* Block requests (virtio 1.4, 5.2.6) in every shape that a driver can give them. */
#include "device_lab.h"

#define SECTORS	 256
#define CAPACITY (SECTORS * 512)
#define SEG_MAX	 126

struct world {
	struct dl l;
	struct dl_vol *vol;
	struct dl_mem mem;
	uint64_t id;
	struct dl_queue q;
	struct dl_req r; /* its data is 128 KiB */
};

static void up_with(struct world *w, bool packed, uint64_t without, uint64_t features, bool log)
{
	memset(w, 0, sizeof(*w));
	dl_up(&w->l, 0, NULL);
	w->vol = dl_vol_new(&w->l, CAPACITY, DL_NOW);
	dl_mem_new(&w->mem, &w->l, 4 << 20);
	w->id = dl_create(w->l.client, NULL, w->mem.asid, features, 0);
	dl_queue_new(&w->q, &w->mem, w->l.client, w->id, 0, 256, packed);
	dl_req_new(&w->r, &w->mem, 128 << 10);
	if (!log)
		dl_start(&w->q, 1, without);
}

static void up(struct world *w, bool packed)
{
	up_with(w, packed, 0, 0, false);
}

static void down(struct world *w)
{
	assert_int_equal(dl_status(w->l.client, w->id), DL_DRIVER_OK);
	dl_queue_free(&w->q);
	dl_mem_free(&w->mem);
	dl_down(&w->l);
}

/* A request of these pieces; the used length. */
static uint32_t send_pieces(struct world *w, const struct tvq_sg *sg, unsigned int n_out,
			    unsigned int n_in)
{
	struct dl_req *r = &w->r;

	*r->status = 0xa5;
	r->used = false;
	assert_int_equal(tvq_drv_ring_add(w->q.ring, sg, n_out, n_in, r), 0);
	dl_notify(&w->q);
	dl_until(&w->l, dl_is_used(&w->q, r));
	return r->written;
}

static void set_header(struct world *w, uint32_t type, uint64_t sector)
{
	*w->r.hdr = (struct virtio_blk_outhdr){ .type = type, .sector = sector };
}

#define HDR(w)                                                                                     \
	{                                                                                          \
		(w)->r.hdr_iova, 16                                                                \
	}
#define STATUS(w)                                                                                  \
	{                                                                                          \
		(w)->r.status_iova, 1                                                              \
	}
#define DATA(w, n)                                                                                 \
	{                                                                                          \
		(w)->r.data_iova, n                                                                \
	}
#define STATUS_OF(w) (*(volatile uint8_t *)(w)->r.status)

/* Nothing came to the volume, and the next request works. */
static void refused(struct world *w, uint8_t status)
{
	assert_int_equal(STATUS_OF(w), status);
	assert_int_equal(atomic_load(&w->vol->requests), 0);
	w->r.len = 512;
	assert_int_equal(dl_io(&w->q, &w->r, VIRTIO_BLK_T_IN, 0), VIRTIO_BLK_S_OK);
	atomic_store(&w->vol->requests, 0);
}

static void request_without_a_writable_byte_is_used_and_not_done(void **state)
{
	int packed;

	(void)state;
	for (packed = 0; packed < 2; packed++) {
		struct world w;

		up(&w, packed);
		set_header(&w, VIRTIO_BLK_T_OUT, 0);
		assert_int_equal(send_pieces(&w, (struct tvq_sg[]){ HDR(&w), DATA(&w, 512) }, 2, 0),
				 0);
		refused(&w, 0xa5);
		down(&w);
	}
}

static void request_without_a_whole_header_is_an_io_error(void **state)
{
	int packed;

	(void)state;
	for (packed = 0; packed < 2; packed++) {
		struct world w;

		up(&w, packed);
		set_header(&w, VIRTIO_BLK_T_IN, 0);
		send_pieces(&w, (struct tvq_sg[]){ STATUS(&w) }, 0, 1);
		refused(&w, VIRTIO_BLK_S_IOERR);
		set_header(&w, VIRTIO_BLK_T_IN, 0);
		send_pieces(&w, (struct tvq_sg[]){ { w.r.hdr_iova, 15 }, STATUS(&w) }, 1, 1);
		refused(&w, VIRTIO_BLK_S_IOERR);
		down(&w);
	}
}

static void header_and_data_may_be_cut_anywhere(void **state)
{
	unsigned int cut, packed;
	struct world w;
	unsigned int i;

	(void)state;
	for (packed = 0; packed < 2; packed++) {
		up(&w, packed);
		for (i = 0; i < 1024; i++)
			w.r.data[i] = (uint8_t)(i * 7 + packed);
		for (cut = 1; cut < 16; cut++) {
			/* The header in two, then its rest and the data in one piece of memory. */
			set_header(&w, VIRTIO_BLK_T_OUT, cut * 2);
			memcpy(w.r.data - 16 + cut, (uint8_t *)w.r.hdr + cut, 16 - cut);
			send_pieces(&w,
				    (struct tvq_sg[]){ { w.r.hdr_iova, cut },
						       { w.r.data_iova - 16 + cut, 16 - cut + 500 },
						       { w.r.data_iova + 500, 1 },
						       { w.r.data_iova + 501, 523 },
						       STATUS(&w) },
				    4, 1);
			assert_int_equal(STATUS_OF(&w), VIRTIO_BLK_S_OK);
			assert_memory_equal(w.vol->data + cut * 1024, w.r.data, 1024);
		}
		down(&w);
	}
}

/* The status byte in the middle of what is writable would be data: it is the last byte that counts.
 */
static void status_is_the_last_writable_byte_wherever_that_lies(void **state)
{
	struct world w;
	unsigned int i;

	(void)state;
	up(&w, false);
	for (i = 0; i < CAPACITY; i++)
		w.vol->data[i] = (uint8_t)(i * 11);
	set_header(&w, VIRTIO_BLK_T_IN, 1);
	memset(w.r.data, 0xa5, 2048);
	/* With the data in one piece. */
	assert_int_equal(send_pieces(&w, (struct tvq_sg[]){ HDR(&w), DATA(&w, 513) }, 1, 1), 513);
	assert_memory_equal(w.r.data, w.vol->data + 512, 512);
	assert_int_equal(w.r.data[512], VIRTIO_BLK_S_OK);
	assert_int_equal(w.r.data[513], 0xa5);
	/* First: it gets data, and the last byte of the data the status. */
	assert_int_equal(send_pieces(&w, (struct tvq_sg[]){ HDR(&w), STATUS(&w), DATA(&w, 512) }, 1,
				     2),
			 513);
	assert_int_equal(STATUS_OF(&w), w.vol->data[512]);
	assert_memory_equal(w.r.data, w.vol->data + 513, 511);
	assert_int_equal(w.r.data[511], VIRTIO_BLK_S_OK);
	down(&w);
}

/* A piece that a driver of ours would not send: an indirect table made by hand. */
static void pieces_of_no_length_are_as_good_as_none(void **state)
{
	struct vring_desc *d;
	struct world w;
	uint64_t iova;
	uint16_t *avail, *used;
	unsigned int i;
	uint32_t lens[] = { 0, 16, 0, 256, 0, 256, 0, 1, 0 };

	(void)state;
	up(&w, false);
	memset(w.vol->data, 0x77, 1024);
	d = dl_alloc(&w.mem, sizeof(*d) * 9, 16, &iova);
	for (i = 0; i < 9; i++)
		d[i] = (struct vring_desc){ .addr = i == 1   ? w.r.hdr_iova
						    : i == 7 ? w.r.status_iova
							     : w.r.data_iova + (i == 5 ? 256 : 0),
					    .len = lens[i],
					    .flags = (i > 1 ? 2 : 0) | (i < 8 ? 1 : 0),
					    .next = (uint16_t)(i + 1) };
	/* An address that is nowhere does not matter where nothing is there. */
	d[0].addr = d[8].addr = UINT64_MAX;
	set_header(&w, VIRTIO_BLK_T_IN, 0);
	*w.r.status = 0xa5;
	((struct vring_desc *)w.q.cfg.mem)[0] =
		(struct vring_desc){ .addr = iova, .len = 9 * 16, .flags = 4 };
	{
		uint64_t desc, driver, device;

		tvq_drv_ring_areas(w.q.ring, &desc, &driver, &device);
		avail = (uint16_t *)(w.mem.va + (driver - w.mem.iova));
		used = (uint16_t *)(w.mem.va + (device - w.mem.iova));
	}
	avail[2] = 0;
	__atomic_store_n(&avail[1], 1, __ATOMIC_RELEASE);
	w.l.bus->ops->notify(w.l.bus, w.q.area, 0, 2);
	dl_until(&w.l, __atomic_load_n(&used[1], __ATOMIC_ACQUIRE) == 1);
	assert_int_equal(STATUS_OF(&w), VIRTIO_BLK_S_OK);
	assert_int_equal(w.r.data[0] | w.r.data[511] << 8, 0x7777);
	down(&w);
}

static void range_beyond_the_end_or_off_a_block_is_an_io_error(void **state)
{
	static const struct {
		uint64_t sector;
		uint32_t len;
	} bad[] = {
		{ SECTORS, 512 },
		{ SECTORS - 1, 1024 },
		{ SECTORS + 1, 0 },
		{ UINT64_MAX, 512 },
		{ UINT64_MAX / 512, 512 },
		{ UINT64_MAX / 512 + 1, 512 },
		{ 1ull << 55, 512 },
		{ (1ull << 55) + 1, 512 },
		{ 0, 511 },
		{ 0, 513 },
		{ 0, 1 },
		{ 0, CAPACITY },
	};
	uint32_t types[] = { VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT };
	struct world w;
	unsigned int i, t;

	(void)state;
	up(&w, true);
	for (t = 0; t < 2; t++) {
		for (i = 0; i < sizeof(bad) / sizeof(bad[0]) - 1; i++) {
			set_header(&w, types[t], bad[i].sector);
			send_pieces(&w,
				    (struct tvq_sg[]){ HDR(&w), DATA(&w, bad[i].len), STATUS(&w) },
				    1 + t, 2 - t);
			refused(&w, VIRTIO_BLK_S_IOERR);
		}
		/* All of it is not too much. */
		set_header(&w, types[t], 0);
		send_pieces(&w, (struct tvq_sg[]){ HDR(&w), DATA(&w, CAPACITY), STATUS(&w) }, 1 + t,
			    2 - t);
		assert_int_equal(STATUS_OF(&w), VIRTIO_BLK_S_OK);
		atomic_store(&w.vol->requests, 0);
	}
	down(&w);
}

static void unknown_types_are_unsupported(void **state)
{
	static const uint32_t types[] = { 2,  3,  5,  6,  7,	      9,	 10,
					  12, 14, 15, 24, 0x80000000, UINT32_MAX };
	struct world w;
	unsigned int i;

	(void)state;
	up(&w, false);
	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		set_header(&w, types[i], 0);
		send_pieces(&w, (struct tvq_sg[]){ HDR(&w), STATUS(&w) }, 1, 1);
		refused(&w, VIRTIO_BLK_S_UNSUPP);
	}
	down(&w);
}

static uint8_t ranges(struct world *w, uint32_t type, uint64_t sector, uint32_t n, uint32_t flags,
		      uint32_t len)
{
	struct virtio_blk_discard_write_zeroes *range = (void *)w->r.data;

	range[0] = range[1] = (struct virtio_blk_discard_write_zeroes){ .sector = sector,
									.num_sectors = n,
									.flags = flags };
	set_header(w, type, 0);
	send_pieces(w, (struct tvq_sg[]){ HDR(w), DATA(w, len), STATUS(w) }, 2, 1);
	return STATUS_OF(w);
}

static void discard_and_write_zeroes_take_one_range_within_the_device(void **state)
{
	uint32_t types[] = { VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES };
	struct world w;
	unsigned int i;

	(void)state;
	up(&w, false);
	for (i = 0; i < 2; i++) {
		assert_int_equal(ranges(&w, types[i], 0, 8, 0, 15), VIRTIO_BLK_S_IOERR);
		assert_int_equal(ranges(&w, types[i], 0, 8, 0, 17), VIRTIO_BLK_S_IOERR);
		assert_int_equal(ranges(&w, types[i], 0, 8, 0, 32), VIRTIO_BLK_S_IOERR);
		assert_int_equal(ranges(&w, types[i], SECTORS - 7, 8, 0, 16), VIRTIO_BLK_S_IOERR);
		assert_int_equal(ranges(&w, types[i], UINT64_MAX, 8, 0, 16), VIRTIO_BLK_S_IOERR);
		assert_int_equal(ranges(&w, types[i], 0, UINT32_MAX, 0, 16), VIRTIO_BLK_S_IOERR);
		assert_int_equal(ranges(&w, types[i], 0, 8, 2, 16), VIRTIO_BLK_S_UNSUPP);
		set_header(&w, types[i], 0);
		send_pieces(&w, (struct tvq_sg[]){ HDR(&w), STATUS(&w) }, 1, 1);
		refused(&w, VIRTIO_BLK_S_IOERR);
		memset(w.vol->data, 0xff, CAPACITY);
		assert_int_equal(ranges(&w, types[i], 4, 8, 0, 16), VIRTIO_BLK_S_OK);
		assert_int_equal(w.vol->data[4 * 512 - 1] << 8 | w.vol->data[4 * 512], 0xff00);
		assert_int_equal(w.vol->data[12 * 512 - 1] << 8 | w.vol->data[12 * 512], 0x00ff);
		atomic_store(&w.vol->requests, 0);
	}
	/* UNMAP is for WRITE_ZEROES. */
	assert_int_equal(ranges(&w, VIRTIO_BLK_T_DISCARD, 0, 8, 1, 16), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(ranges(&w, VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, 1, 16), VIRTIO_BLK_S_OK);
	down(&w);
	/* Not accepted, they are not there. */
	up_with(&w, false, BIT(VIRTIO_BLK_F_DISCARD) | BIT(VIRTIO_BLK_F_WRITE_ZEROES), 0, false);
	for (i = 0; i < 2; i++)
		assert_int_equal(ranges(&w, types[i], 0, 8, 0, 16), VIRTIO_BLK_S_UNSUPP);
	down(&w);
}

static void get_id_fills_what_there_is_room_for(void **state)
{
	static const uint32_t rooms[] = { 0, 1, 2, 19, 20, 21, 512 };
	char id[VIRTIO_BLK_ID_BYTES] = "v0";
	struct world w;
	unsigned int i, k;

	(void)state;
	up(&w, false);
	for (i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++) {
		uint32_t n = rooms[i] < 20 ? rooms[i] : 20;

		set_header(&w, VIRTIO_BLK_T_GET_ID, 0);
		memset(w.r.data, 0xa5, 1024);
		send_pieces(&w,
			    (struct tvq_sg[]){
				    HDR(&w),
				    DATA(&w, rooms[i] / 2),
				    { w.r.data_iova + rooms[i] / 2, rooms[i] - rooms[i] / 2 },
				    STATUS(&w) },
			    1, 3);
		assert_int_equal(STATUS_OF(&w), VIRTIO_BLK_S_OK);
		assert_memory_equal(w.r.data, id, n);
		for (k = n; k < 1024; k++)
			assert_int_equal(w.r.data[k], 0xa5);
	}
	down(&w);
}

/* n pieces of data, header and status by themselves. */
static void many_pieces(struct world *w, uint32_t type, unsigned int n, uint32_t bytes)
{
	struct tvq_sg sg[256];
	unsigned int i;

	sg[0] = (struct tvq_sg)HDR(w);
	for (i = 0; i < n; i++)
		sg[i + 1] = (struct tvq_sg){ w->r.data_iova + (uint64_t)i * bytes, bytes };
	sg[n + 1] = (struct tvq_sg)STATUS(w);
	set_header(w, type, 0);
	if (type == VIRTIO_BLK_T_OUT)
		send_pieces(w, sg, n + 1, 1);
	else
		send_pieces(w, sg, 1, n + 1);
}

static void chain_of_more_pieces_than_seg_max_is_refused_with_a_status(void **state)
{
	uint32_t types[] = { VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT };
	unsigned int t, packed;
	struct world w;

	(void)state;
	for (packed = 0; packed < 2; packed++) {
		up(&w, packed);
		for (t = 0; t < 2; t++) {
			many_pieces(&w, types[t], SEG_MAX, 512);
			assert_int_equal(STATUS_OF(&w), VIRTIO_BLK_S_OK);
			atomic_store(&w.vol->requests, 0);
			many_pieces(&w, types[t], SEG_MAX + 2, 512);
			refused(&w, VIRTIO_BLK_S_IOERR);
			many_pieces(&w, types[t], 254, 512);
			refused(&w, VIRTIO_BLK_S_IOERR);
		}
		down(&w);
	}
}

static void read_only_device_writes_nothing(void **state)
{
	struct world w;

	(void)state;
	up_with(&w, false, 0,
		BIT(32) | BIT(33) | BIT(28) | BIT(29) | BIT(VIRTIO_BLK_F_RO) |
			BIT(VIRTIO_BLK_F_DISCARD) | BIT(VIRTIO_BLK_F_WRITE_ZEROES),
		false);
	w.r.len = 512;
	assert_int_equal(dl_io(&w.q, &w.r, VIRTIO_BLK_T_OUT, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(ranges(&w, VIRTIO_BLK_T_DISCARD, 0, 8, 0, 16), VIRTIO_BLK_S_IOERR);
	assert_int_equal(ranges(&w, VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, 0, 16), VIRTIO_BLK_S_IOERR);
	refused(&w, VIRTIO_BLK_S_IOERR);
	down(&w);
}

static void write_is_stable_where_there_is_no_flush_or_no_write_back(void **state)
{
	const uint64_t wce = BIT(VIRTIO_BLK_F_CONFIG_WCE), flush = BIT(VIRTIO_BLK_F_FLUSH);
	const uint64_t without[] = { 0, wce, wce | flush };
	unsigned int i, on;
	struct world w;

	(void)state;
	for (i = 0; i < 3; i++) {
		up_with(&w, false, without[i], 0, false);
		w.r.len = 512;
		dl_io(&w.q, &w.r, VIRTIO_BLK_T_OUT, 0);
		assert_int_equal(atomic_exchange(&w.vol->fua, 0), i == 2);
		assert_int_equal(ranges(&w, VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, 0, 16),
				 VIRTIO_BLK_S_OK);
		assert_int_equal(atomic_exchange(&w.vol->fua, 0), i == 2);
		for (on = 0; on < 2; on++) {
			struct tvq_seq *s = tvq_seq_new(w.l.client, w.id);
			uint8_t v = (uint8_t)on;

			tvq_seq_config_set(s, offsetof(struct virtio_blk_config, wce), 1, &v);
			assert_int_equal(tvq_seq_call(s), i ? -EIO : 0);
			dl_io(&w.q, &w.r, VIRTIO_BLK_T_OUT, 0);
			assert_int_equal(atomic_exchange(&w.vol->fua, 0), i ? i == 2 : !on);
		}
		down(&w);
	}
}

/* ---- the log of writes ---- */

struct logged {
	struct world w;
	struct tvq_dma_log log;
};

static bool dirty(struct logged *g, uint64_t iova)
{
	uint64_t page = iova >> 12;

	return g->log.bits[page >> 3] >> (page & 7) & 1;
}

static void forget_log(struct logged *g)
{
	memset((void *)g->log.bits, 0, g->log.len >> 15);
}

/* Pages of the request that are marked: 1 header, 2 data, 4 status, 8 used ring. */
static unsigned int marked(struct logged *g)
{
	uint64_t desc, driver, device;

	tvq_drv_ring_areas(g->w.q.ring, &desc, &driver, &device);
	return dirty(g, g->w.r.hdr_iova) | dirty(g, g->w.r.data_iova) << 1 |
	       dirty(g, g->w.r.status_iova) << 2 | dirty(g, g->w.q.packed ? desc : device) << 3;
}

/* Pages that a guest must find marked when it is moved, and no others. */
static void all_that_is_written_is_logged_and_nothing_that_is_read(void **state)
{
	int packed;

	(void)state;
	for (packed = 0; packed < 2; packed++) {
		struct logged g = { 0 };
		struct world *w = &g.w;
		struct dl_req *r = &w->r;
		struct dl_mem *m = &w->mem;

		up_with(w, packed, 0, 0, true);
		g.log.len = m->iova + m->size;
		g.log.bits = calloc(1, (g.log.len >> 15) + 1);
		assert_non_null(g.log.bits);
		tvq_space_set_log(tvq_inproc_space(w->l.bus, m->asid), &g.log, NULL);
		dl_start(&w->q, 1, 0);
		/* Each in pages of its own. */
		r->hdr = dl_alloc(m, 4096, 4096, &r->hdr_iova);
		r->data = dl_alloc(m, 128 << 10, 4096, &r->data_iova);
		r->status = dl_alloc(m, 4096, 4096, &r->status_iova);
		r->len = 8192;

		forget_log(&g);
		assert_int_equal(dl_io(&w->q, r, VIRTIO_BLK_T_IN, 0), VIRTIO_BLK_S_OK);
		assert_int_equal(marked(&g), 2 | 4 | 8);
		assert_true(dirty(&g, r->data_iova + 8191));
		assert_false(dirty(&g, r->data_iova + 8192));
		forget_log(&g);
		assert_int_equal(dl_io(&w->q, r, VIRTIO_BLK_T_OUT, 0), VIRTIO_BLK_S_OK);
		assert_int_equal(marked(&g), 4 | 8);
		/* A read that fails has written some of it. */
		forget_log(&g);
		atomic_store(&w->vol->fail, EIO);
		assert_int_equal(dl_io(&w->q, r, VIRTIO_BLK_T_IN, 0), VIRTIO_BLK_S_IOERR);
		assert_int_equal(marked(&g), 2 | 4 | 8);
		assert_true(dirty(&g, r->data_iova + 8191));
		atomic_store(&w->vol->fail, 0);
		/* One that was refused has not; nor has GET_ID beyond its answer. */
		forget_log(&g);
		assert_int_equal(dl_io(&w->q, r, VIRTIO_BLK_T_IN, SECTORS), VIRTIO_BLK_S_IOERR);
		assert_int_equal(marked(&g), 4 | 8);
		forget_log(&g);
		assert_int_equal(dl_io(&w->q, r, VIRTIO_BLK_T_GET_ID, 0), VIRTIO_BLK_S_OK);
		assert_int_equal(marked(&g), 2 | 4 | 8);
		assert_false(dirty(&g, r->data_iova + 4096));
		/* A chain that is too long has its status written, where it is. */
		forget_log(&g);
		many_pieces(w, VIRTIO_BLK_T_IN, 200, 512);
		assert_int_equal(STATUS_OF(w), VIRTIO_BLK_S_IOERR);
		assert_int_equal(marked(&g), 4 | 8);
		down(w);
		free((void *)g.log.bits);
	}
}

/* ---- several regions ---- */

/* TQ-121: two mappings side by side in the space, apart in memory. */
static void buffer_may_cross_from_one_region_into_the_next(void **state)
{
	struct tvq_bus_mem more;
	struct world w;
	uint8_t *second;
	unsigned int i;
	uint64_t end;

	(void)state;
	up(&w, false);
	end = w.mem.iova + w.mem.size;
	second = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(second != MAP_FAILED);
	more = (struct tvq_bus_mem){ .iova = end, .len = 8192, .fd = -1, .va = second, .perm = 3 };
	assert_int_equal(w.l.bus->ops->map(w.l.bus, w.mem.asid, &more, 1), 0);
	for (i = 0; i < 2048; i++)
		w.vol->data[i] = (uint8_t)(i * 13);
	for (i = 1; i < 2048; i += 409) {
		set_header(&w, VIRTIO_BLK_T_IN, 0);
		/* The status byte too may be the first of the second region. */
		assert_int_equal(send_pieces(&w, (struct tvq_sg[]){ HDR(&w), { end - i, 2049 } }, 1,
					     1),
				 2049);
		assert_memory_equal(w.mem.va + w.mem.size - i, w.vol->data, i);
		assert_memory_equal(second, w.vol->data + i, 2048 - i);
		assert_int_equal(second[2048 - i], VIRTIO_BLK_S_OK);
	}
	down(&w);
	munmap(second, 8192);
}

/* The outermost device has no volume; its own queue is there all the same. */
static void own_queue_of_the_management_device_answers_with_errors(void **state)
{
	struct tvq_bus_queue bq = { .index = 0, .size = 16 };
	struct tvq_drv_ring_cfg cfg = { .event_idx = true, .indirect = true, .size = 16 };
	uint32_t types[] = { VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_GET_ID,
			     VIRTIO_BLK_T_FLUSH };
	struct dl_mem mem = { .size = 1 << 16 };
	struct dl_queue q = { .mem = &mem };
	struct dl_req r;
	unsigned int i;
	struct dl l;

	(void)state;
	dl_up(&l, 1, NULL);
	mem.l = &l;
	mem.va = l.bus->ops->dma_alloc(l.bus, mem.size, &mem.iova);
	assert_non_null(mem.va);
	cfg.mem = dl_alloc(&mem, tvq_drv_ring_bytes(false, 16, 4), 4096, &cfg.iova);
	q.ring = tvq_drv_ring_new(&tvq_os_host, &cfg, 4);
	tvq_drv_ring_areas(q.ring, &bq.desc, &bq.driver, &bq.device);
	assert_int_equal(l.bus->ops->queue_setup(l.bus, &bq, NULL, NULL), 0);
	dl_req_new(&r, &mem, 512);
	for (i = 0; i < 4; i++) {
		assert_int_equal(dl_add(&q, &r, types[i], 0), 0);
		tvq_drv_ring_publish(q.ring);
		l.bus->ops->queue_notify(l.bus, 0);
		dl_until(&l, dl_is_used(&q, &r));
		assert_int_equal(*(volatile uint8_t *)r.status, VIRTIO_BLK_S_IOERR);
	}
	tvq_drv_ring_free(q.ring);
	dl_down(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(request_without_a_writable_byte_is_used_and_not_done),
		cmocka_unit_test(request_without_a_whole_header_is_an_io_error),
		cmocka_unit_test(header_and_data_may_be_cut_anywhere),
		cmocka_unit_test(status_is_the_last_writable_byte_wherever_that_lies),
		cmocka_unit_test(pieces_of_no_length_are_as_good_as_none),
		cmocka_unit_test(range_beyond_the_end_or_off_a_block_is_an_io_error),
		cmocka_unit_test(unknown_types_are_unsupported),
		cmocka_unit_test(discard_and_write_zeroes_take_one_range_within_the_device),
		cmocka_unit_test(get_id_fills_what_there_is_room_for),
		cmocka_unit_test(chain_of_more_pieces_than_seg_max_is_refused_with_a_status),
		cmocka_unit_test(read_only_device_writes_nothing),
		cmocka_unit_test(write_is_stable_where_there_is_no_flush_or_no_write_back),
		cmocka_unit_test(all_that_is_written_is_logged_and_nothing_that_is_read),
		cmocka_unit_test(buffer_may_cross_from_one_region_into_the_next),
		cmocka_unit_test(own_queue_of_the_management_device_answers_with_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
