/* SPDX-License-Identifier: BSD-3-Clause */
/* The vhost-user presenter over time: memory, configuration, resets, and front ends that come and
 * go. */
#include "vu_front.h"

#include <tvq/device.h>

/* Memory. */

static struct {
	uint32_t count, padding;
	struct vu_mem_region r[VU_MAX_REGIONS];
} table;

static int send_table(struct vu_front *f, uint32_t n, const int *fds)
{
	table.count = n;
	return front_ask(f, VU_SET_MEM_TABLE, &table,
			 (uint32_t)(sizeof(struct vu_mem_table) + n * sizeof(table.r[0])), fds, n);
}

/* Counts how often queues are enabled or disabled. */
static void count_enables(void *ctx, const struct tvq_cmd *cmd, const void *out)
{
	(void)out;
	if (cmd && cmd->class == VIRTIO_TRANSPTQ_CTRL_VQ_ENABLE)
		++*(unsigned int *)ctx;
}

static void rings_run_on_while_memory_is_plugged_in(void **state)
{
	struct run r;
	unsigned int enables = 0;
	int more, fds[2];

	(void)state;
	start(&r, NULL, 0);
	more = memfd_create("more", MFD_CLOEXEC);
	assert_int_equal(ftruncate(more, 1 << 20), 0);
	fds[0] = r.f.memfd;
	fds[1] = more;
	table.r[0] = front_region().region;
	table.r[1] = (struct vu_mem_region){ 0x80000000, 1 << 20, 0x7f5500000000, 0 };
	tvq_client_trace(r.l.client, count_enables, &enables);
	assert_int_equal(send_table(&r.f, 2, fds), 0);
	write_and_read_back(&r.f, 0, 1);
	assert_int_equal(enables, 0);
	/* Unplugged: they stop, and go on. */
	assert_int_equal(send_table(&r.f, 1, fds), 0);
	assert_int_equal(enables, 2);
	write_and_read_back(&r.f, 0, 2);
	tvq_client_trace(r.l.client, NULL, NULL);
	close(more);
	end(&r);
}

static void a_new_memory_table_leaves_running_rings_their_memory(void **state)
{
	struct run r;
	int more, fds[2];
	unsigned int mappings, i;

	(void)state;
	start(&r, NULL, 0);
	more = memfd_create("more", MFD_CLOEXEC);
	assert_int_equal(ftruncate(more, 1 << 20), 0);
	mappings = tvq_mapping_count();
	fds[0] = r.f.memfd;
	fds[1] = more;
	table.r[0] = front_region().region;
	table.r[1] = (struct vu_mem_region){ 0x80000000, 1 << 20, 0x7f5500000000, 0 };
	for (i = 0; i < 10; i++) {
		/* In flight while the table changes. */
		front_put(&r.f, 0, 0, VIRTIO_BLK_T_IN, 0, 4096);
		front_kick(&r.f, 0);
		assert_int_equal(send_table(&r.f, 1 + (i & 1), fds), 0);
		take_used(&r, 0, 1);
		assert_int_equal(front_status(&r.f, 0), VIRTIO_BLK_S_OK);
		assert_int_equal(tvq_mapping_count(), mappings + (i & 1));
	}
	/* The same memory at another place: the rings' addresses lead nowhere. */
	table.r[0].user_addr += 0x10000000;
	assert_int_equal(send_table(&r.f, 1, fds), 1);
	assert_true(front_closed(&r.f));
	assert_true(lab_logged("lies outside the memory"));
	close(more);
	end(&r);
}

static void a_region_that_is_cut_in_two_while_rings_run_breaks_nothing(void **state)
{
	struct vu_mem_one whole = front_region(), low = whole, high = whole;
	struct run r;
	unsigned int round;
	uint32_t cut = FRONT_BUF_AT;

	(void)state;
	low.region.size = cut;
	high.region.size -= cut;
	high.region.guest_addr += cut;
	high.region.user_addr += cut;
	high.region.mmap_offset = cut;
	start(&r, NULL, 0);
	for (round = 0; round < 5; round++) {
		write_and_read_back(&r.f, 0, round);
		assert_int_equal(front_ask(&r.f, VU_REM_MEM_REG, &whole, sizeof(whole), NULL, 0),
				 0);
		/* The guest knows nothing of it. */
		front_put(&r.f, 0, 1, VIRTIO_BLK_T_IN, 8 * round, 4096);
		front_kick(&r.f, 0);
		assert_int_equal(front_ask(&r.f, VU_ADD_MEM_REG, &low, sizeof(low), &r.f.memfd, 1),
				 0);
		assert_int_equal(
			front_ask(&r.f, VU_ADD_MEM_REG, &high, sizeof(high), &r.f.memfd, 1), 0);
		take_used(&r, 0, 1);
		assert_int_equal(front_status(&r.f, 1), VIRTIO_BLK_S_OK);
		assert_int_equal(front_data(&r.f, 1)[1], (7 + round) & 0xff);
		assert_int_equal(front_ask(&r.f, VU_REM_MEM_REG, &low, sizeof(low), NULL, 0), 0);
		assert_int_equal(front_ask(&r.f, VU_REM_MEM_REG, &high, sizeof(high), NULL, 0), 0);
		front_put(&r.f, 0, 1, VIRTIO_BLK_T_IN, 8 * round, 4096);
		front_kick(&r.f, 0);
		assert_int_equal(front_add_mem(&r.f), 0);
		take_used(&r, 0, 1);
		assert_int_equal(front_status(&r.f, 1), VIRTIO_BLK_S_OK);
	}
	assert_false(lab_logged("reset"));
	end(&r);
}

/* TQ-121 */
static void when_the_removal_of_a_region_is_answered_it_is_not_mapped_any_more(void **state)
{
	struct vu_mem_one more = { 0, { 0x80000000, 1 << 20, 0x7f5500000000, 0 } };
	struct run r;
	unsigned int mappings, i;
	int fd;

	(void)state;
	start(&r, NULL, 0);
	fd = memfd_create("more", MFD_CLOEXEC);
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	mappings = tvq_mapping_count();
	for (i = 0; i < 10; i++) {
		assert_int_equal(front_ask(&r.f, VU_ADD_MEM_REG, &more, sizeof(more), &fd, 1), 0);
		assert_int_equal(tvq_mapping_count(), mappings + 1);
		/* A descriptor that comes along has no meaning, and is not kept. */
		assert_int_equal(front_ask(&r.f, VU_REM_MEM_REG, &more, sizeof(more), &fd, i & 1),
				 0);
		assert_int_equal(tvq_mapping_count(), mappings);
	}
	write_and_read_back(&r.f, 0, 1);
	close(fd);
	end(&r);
}

static void as_many_regions_as_it_said_and_not_one_more(void **state)
{
	struct run r;
	struct vu_mem_one m = { 0, { 0x100000000, 0x1000, 0x7e0000000000, 0 } };
	uint64_t max, i;

	(void)state;
	start(&r, NULL, 0);
	max = front_get(&r.f, VU_GET_MAX_MEM_SLOTS);
	for (i = 1; i < max; i++) {
		m.region.guest_addr += 0x2000;
		m.region.user_addr += 0x2000;
		assert_int_equal(front_ask(&r.f, VU_ADD_MEM_REG, &m, sizeof(m), &r.f.memfd, 1), 0);
	}
	m.region.guest_addr += 0x2000;
	m.region.user_addr += 0x2000;
	assert_int_equal(front_ask(&r.f, VU_ADD_MEM_REG, &m, sizeof(m), &r.f.memfd, 1), 1);
	write_and_read_back(&r.f, 0, 1);
	end(&r);
}

/* Configuration. */

static int get_config(struct vu_front *f, uint32_t offset, uint32_t size, uint8_t *out)
{
	uint8_t buf[VU_MAX_PAYLOAD] = { 0 };
	struct vu_config *c = (struct vu_config *)buf;
	int n;

	c->offset = offset;
	c->size = size;
	front_send(f, VU_GET_CONFIG, 0, buf, (uint32_t)sizeof(*c) + size, NULL, 0);
	n = front_reply(f, VU_GET_CONFIG, buf, sizeof(buf), NULL);
	memcpy(out, c->data, size);
	return n;
}

static uint64_t capacity_of(struct vu_front *f)
{
	struct virtio_blk_config c = { 0 };

	assert_int_equal(get_config(f, 0, 60, (uint8_t *)&c), 72);
	return c.capacity;
}

static void a_configuration_longer_than_the_device_has_ends_in_zeroes(void **state)
{
	struct run r;
	uint8_t all[256];
	unsigned int i;

	(void)state;
	start(&r, NULL, 0);
	memset(all, 0xff, sizeof(all));
	assert_int_equal(get_config(&r.f, 0, 256, all), 12 + 256);
	assert_int_equal(*(uint64_t *)all, LAB_VOLUME_BYTES / 512);
	for (i = 96; i < 256; i++)
		assert_int_equal(all[i], 0);
	memset(all, 0xff, sizeof(all));
	assert_int_equal(get_config(&r.f, 200, 4, all), 12 + 4);
	assert_int_equal(*(uint32_t *)all, 0);
	end(&r);
}

/* TQ-079 */
static void a_volume_that_grows_is_told_over_the_back_end_channel(void **state)
{
	struct run r;
	struct vu_header h = { 0 };

	(void)state;
	start(&r, NULL, 0);
	assert_int_equal(recv(r.f.back[0], &h, sizeof(h), MSG_DONTWAIT), -1);
	assert_int_equal(tvq_device_resize(tvq_inproc_device(r.l.bus), r.l.device_id,
					   2 * LAB_VOLUME_BYTES),
			 0);
	LAB_UNTIL(&r.l, recv(r.f.back[0], &h, sizeof(h), MSG_DONTWAIT) == sizeof(h));
	assert_int_equal(h.request, VU_BACKEND_CONFIG_CHANGE);
	assert_int_equal(h.flags, VU_VERSION);
	assert_int_equal(h.size, 0);
	assert_int_equal(capacity_of(&r.f), 2 * LAB_VOLUME_BYTES / 512);
	end(&r);
}

static int set_config(struct vu_front *f, uint32_t offset, uint8_t value)
{
	uint8_t buf[sizeof(struct vu_config) + 1] = { 0 };
	struct vu_config *c = (struct vu_config *)buf;

	c->offset = offset;
	c->size = 1;
	c->data[0] = value;
	return front_ask(f, VU_SET_CONFIG, buf, sizeof(buf), NULL, 0);
}

#define WCE offsetof(struct virtio_blk_config, wce)

static void a_write_back_setting_outlives_the_connection(void **state)
{
	struct run r;
	uint8_t wce = 7;

	(void)state;
	start(&r, NULL, BIT(VIRTIO_BLK_F_CONFIG_WCE));
	get_config(&r.f, WCE, 1, &wce);
	assert_int_equal(wce, 1);
	assert_int_equal(set_config(&r.f, WCE, 0), 0);
	get_config(&r.f, WCE, 1, &wce);
	assert_int_equal(wce, 0);
	front_hang_up(&r.f);
	front_connect(&r.f);
	/* Before the device runs, and, from the device itself, after. */
	get_config(&r.f, WCE, 1, &wce);
	assert_int_equal(wce, 0);
	front_handshake(&r.f);
	wce = 7;
	get_config(&r.f, WCE, 1, &wce);
	assert_int_equal(wce, 0);
	end(&r);
}

/* TQ-078 */
static void a_field_that_is_read_only_cannot_be_set(void **state)
{
	struct run r;
	uint64_t before;

	(void)state;
	start(&r, NULL, BIT(VIRTIO_BLK_F_CONFIG_WCE));
	before = capacity_of(&r.f);
	assert_int_equal(set_config(&r.f, 0, 1), 1);
	assert_int_equal(capacity_of(&r.f), before);
	write_and_read_back(&r.f, 0, 1);
	end(&r);
}

/* Status and resets. */

static void the_status_is_the_front_ends_own_but_for_features_ok(void **state)
{
	struct vu_lab_cfg cfg = { 0 };
	struct run r;

	(void)state;
	lab_open(&r.l, &cfg);
	front_init(&r.f, &r.l);
	front_set(&r.f, VU_SET_PROTOCOL_FEATURES, front_get(&r.f, VU_GET_PROTOCOL_FEATURES));
	assert_int_equal(front_get(&r.f, VU_GET_STATUS), 0);
	/* CONFIG_WCE without FLUSH cannot work. */
	front_set(&r.f, VU_SET_FEATURES, BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_BLK_F_CONFIG_WCE));
	front_set(&r.f, VU_SET_STATUS, 3 | VIRTIO_CONFIG_S_FEATURES_OK);
	assert_int_equal(front_get(&r.f, VU_GET_STATUS), 3);
	front_set(&r.f, VU_SET_STATUS, 0);
	front_set(&r.f, VU_SET_FEATURES, FRONT_FEATURES);
	front_set(&r.f, VU_SET_STATUS, 3 | VIRTIO_CONFIG_S_FEATURES_OK);
	assert_int_equal(front_get(&r.f, VU_GET_STATUS), 3 | VIRTIO_CONFIG_S_FEATURES_OK);
	end(&r);
}

static void start_ring_again(struct run *r, uint32_t base)
{
	front_state(&r->f, VU_SET_VRING_NUM, 0, FRONT_RING_SIZE);
	front_state(&r->f, VU_SET_VRING_BASE, 0, base);
	front_send_addr(&r->f, 0);
	front_vring_fd(&r->f, VU_SET_VRING_KICK, 0, r->f.kick[0]);
	front_vring_fd(&r->f, VU_SET_VRING_CALL, 0, r->f.call[0]);
	assert_int_equal(front_ask_state(&r->f, VU_SET_VRING_ENABLE, 0, 1), 0);
}

static void positions_outlive_a_status_of_zero(void **state)
{
	struct tvq_vhost_user_info info;
	struct run r;
	uint32_t base;

	(void)state;
	start(&r, NULL, 0);
	write_and_read_back(&r.f, 0, 1);
	/* In QEMU's old order: first the reset, then the question. */
	front_set(&r.f, VU_SET_STATUS, 0);
	assert_int_equal(front_get(&r.f, VU_GET_STATUS), 0);
	tvq_vhost_user_info(r.l.vu, &info);
	assert_false(info.running);
	front_state(&r.f, VU_SET_VRING_ENABLE, 0, 0);
	base = front_get_base(&r.f, 0);
	assert_int_equal(base, 2);
	assert_int_equal(front_get(&r.f, VU_GET_STATUS), 0);
	front_set(&r.f, VU_SET_FEATURES, r.f.features);
	start_ring_again(&r, base);
	write_and_read_back(&r.f, 0, 2);
	end(&r);
}

static void after_reset_device_everything_but_the_memory_is_new(void **state)
{
	struct tvq_vhost_user_info info;
	struct run r;

	(void)state;
	start(&r, NULL, 0);
	tvq_vhost_user_info(r.l.vu, &info);
	assert_true(info.running);
	assert_int_equal(front_ask(&r.f, VU_RESET_DEVICE, NULL, 0, NULL, 0), 0);
	tvq_vhost_user_info(r.l.vu, &info);
	assert_false(info.running);
	front_make_ring(&r.f, 0);
	start_ring_again(&r, 0);
	write_and_read_back(&r.f, 0, 2);
	end(&r);
}

static void other_features_after_a_stop_are_negotiated_anew(void **state)
{
	struct run r;
	unsigned int i;

	(void)state;
	start(&r, NULL, 0);
	for (i = 1; i < 5; i++) {
		write_and_read_back(&r.f, 0, i);
		front_get_base(&r.f, 0);
		r.f.features = FRONT_FEATURES | (i & 1 ? BIT(VIRTIO_F_RING_PACKED) : 0);
		front_set(&r.f, VU_SET_FEATURES, r.f.features);
		front_make_ring(&r.f, 0);
		/* The area of the other format is of no use. */
		close(r.f.inflight_fd);
		front_get_inflight(&r.f, 1);
		front_set_inflight(&r.f);
		start_ring_again(&r, i & 1 ? 0x80008000 : 0);
	}
	end(&r);
}

/* Front ends that come and go. */

static void one_front_end_at_a_time_and_the_next_waits(void **state)
{
	struct run r;
	struct vu_front next;
	unsigned int i;

	(void)state;
	start(&r, NULL, 0);
	front_init(&next, &r.l);
	next.features = FRONT_FEATURES;
	front_send(&next, VU_GET_FEATURES, 0, NULL, 0, NULL, 0);
	for (i = 0; i < 50; i++)
		lab_turn(&r.l);
	assert_int_equal(recv(next.fd, &i, 1, MSG_DONTWAIT | MSG_PEEK), -1);
	write_and_read_back(&r.f, 0, 1);
	front_hang_up(&r.f);
	assert_int_equal(front_reply(&next, VU_GET_FEATURES, &next.features, 8, NULL), 8);
	next.features = FRONT_FEATURES;
	front_handshake(&next);
	write_and_read_back(&next, 0, 2);
	front_free(&next);
	end(&r);
}

/* TQ-131 */
static void a_guest_goes_on_when_its_front_end_comes_back(void **state)
{
	unsigned int format, round, step;

	(void)state;
	for (format = 0; format < 2; format++) {
		struct run r;

		start(&r, NULL, formats[format]);
		for (round = 0; round < 20; round++) {
			unsigned int i;

			for (i = 0; i < 8; i++) {
				memset(front_data(&r.f, i), (int)(round + i + 1), 512);
				front_put(&r.f, 0, i, VIRTIO_BLK_T_OUT, i, 512);
			}
			front_kick(&r.f, 0);
			/* It goes at another moment each time. */
			for (i = 0; i < round % 7; i++)
				lab_turn(&r.l);
			front_hang_up(&r.f);
			front_connect(&r.f);
			for (step = 0; front_handshake_step(&r.f, step); step++)
				;
			take_used(&r, 0, 8);
			assert_int_equal(tvq_drv_ring_in_flight(r.f.ring[0]), 0);
			for (i = 0; i < 8; i++)
				assert_int_equal(front_status(&r.f, i), VIRTIO_BLK_S_OK);
			front_put(&r.f, 0, 0, VIRTIO_BLK_T_IN, 7, 512);
			front_kick(&r.f, 0);
			take_used(&r, 0, 1);
			assert_int_equal(front_data(&r.f, 0)[100], (round + 8) & 0xff);
			assert_false(tvq_drv_ring_broken(r.f.ring[0]));
		}
		end(&r);
	}
}

static void a_front_end_may_die_after_any_message_of_the_handshake(void **state)
{
	struct vu_lab_cfg cfg = { 0 };
	struct vu_lab l;
	struct vu_front f;
	unsigned int last, step, threads;
	bool more = true;

	(void)state;
	for (threads = 0; threads < 2; threads++) {
		cfg.thread = threads;
		more = true;
		lab_open(&l, &cfg);
		for (last = 0; more; last++) {
			front_init(&f, &l);
			f.features = FRONT_FEATURES;
			for (step = 0; step <= last && more; step++)
				more = front_handshake_step(&f, step);
			/* In the middle of the next message, every other time. */
			if (last & 1)
				front_raw(&f, "\x05\0\0\0\x01", 5, NULL, 0);
			front_free(&f);
		}
		assert_true(last > 20);
		front_init(&f, &l);
		f.features = FRONT_FEATURES;
		front_handshake(&f);
		write_and_read_back(&f, 0, 1);
		front_free(&f);
		lab_close(&l);
	}
}

static void the_presenter_may_go_after_any_message_of_the_handshake(void **state)
{
	struct vu_lab_cfg cfg = { 0 };
	struct vu_lab l;
	struct vu_front f;
	unsigned int last, step;
	bool more = true;

	(void)state;
	for (last = 0; more; last++) {
		lab_open(&l, &cfg);
		front_init(&f, &l);
		f.features = FRONT_FEATURES;
		for (step = 0; step <= last && more; step++)
			more = front_handshake_step(&f, step);
		lab_stop_presenting(&l);
		front_free(&f);
		lab_close(&l);
	}
}

/* Sockets. */

static void a_socket_file_that_nobody_answers_is_replaced_and_others_are_not(void **state)
{
	struct vu_lab_cfg cfg = { 0 };
	struct vu_lab l;
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct tvq_vhost_user *first;
	char err[256];
	int fd;

	(void)state;
	lab_open(&l, &cfg);
	first = l.vu;
	assert_null(lab_present(&l, &cfg, err));
	assert_int_equal(errno, EADDRINUSE);
	assert_non_null(strstr(err, "in use"));
	assert_non_null(strstr(err, l.path));
	l.vu = first;
	lab_stop_presenting(&l);

	strcpy(sa.sun_path, l.path);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	close(fd);
	l.vu = lab_present(&l, &cfg, err);
	assert_non_null(l.vu);
	lab_stop_presenting(&l);

	fd = open(l.path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	close(fd);
	assert_null(lab_present(&l, &cfg, err));
	assert_int_equal(errno, EEXIST);
	assert_non_null(strstr(err, "no socket"));
	assert_int_equal(unlink(l.path), 0);

	snprintf(l.path, sizeof(l.path), "%s/none/vu.sock", l.dir);
	assert_null(lab_present(&l, &cfg, err));
	assert_int_equal(errno, ENOENT);
	lab_close(&l);
}

static void a_socket_file_of_somebody_else_is_not_removed_at_the_end(void **state)
{
	struct vu_lab_cfg cfg = { 0 };
	struct vu_lab l;
	struct lab_done done = { { lab_is_done }, false };
	int fd;

	(void)state;
	lab_open(&l, &cfg);
	assert_int_equal(unlink(l.path), 0);
	fd = open(l.path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	close(fd);
	tvq_vhost_user_free(l.vu, &done.d);
	l.vu = NULL;
	LAB_UNTIL(&l, done.over);
	assert_int_equal(unlink(l.path), 0);
	lab_close(&l);
}

static void a_socket_that_nobody_uses_costs_one_descriptor(void **state)
{
	struct vu_lab_cfg cfg = { 0 };
	struct vu_lab l;
	struct tvq_vhost_user *many[200], *own;
	struct lab_done done[200];
	char path[64], err[256];
	int before;
	unsigned int i;

	(void)state;
	lab_open(&l, &cfg);
	own = l.vu;
	strcpy(path, l.path);
	before = open_fds();
	for (i = 0; i < 200; i++) {
		snprintf(l.path, sizeof(l.path), "%s/%u", l.dir, i);
		many[i] = lab_present(&l, &cfg, err);
		assert_non_null(many[i]);
	}
	assert_int_equal(open_fds(), before + 200);
	for (i = 0; i < 200; i++) {
		done[i] = (struct lab_done){ { lab_is_done }, false };
		tvq_vhost_user_free(many[i], &done[i].d);
	}
	for (i = 0; i < 200; i++)
		LAB_UNTIL(&l, done[i].over);
	l.vu = own;
	strcpy(l.path, path);
	lab_close(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rings_run_on_while_memory_is_plugged_in),
		cmocka_unit_test(a_new_memory_table_leaves_running_rings_their_memory),
		cmocka_unit_test(a_region_that_is_cut_in_two_while_rings_run_breaks_nothing),
		cmocka_unit_test(
			when_the_removal_of_a_region_is_answered_it_is_not_mapped_any_more),
		cmocka_unit_test(as_many_regions_as_it_said_and_not_one_more),
		cmocka_unit_test(a_configuration_longer_than_the_device_has_ends_in_zeroes),
		cmocka_unit_test(a_volume_that_grows_is_told_over_the_back_end_channel),
		cmocka_unit_test(a_write_back_setting_outlives_the_connection),
		cmocka_unit_test(a_field_that_is_read_only_cannot_be_set),
		cmocka_unit_test(the_status_is_the_front_ends_own_but_for_features_ok),
		cmocka_unit_test(positions_outlive_a_status_of_zero),
		cmocka_unit_test(after_reset_device_everything_but_the_memory_is_new),
		cmocka_unit_test(other_features_after_a_stop_are_negotiated_anew),
		cmocka_unit_test(one_front_end_at_a_time_and_the_next_waits),
		cmocka_unit_test(a_guest_goes_on_when_its_front_end_comes_back),
		cmocka_unit_test(a_front_end_may_die_after_any_message_of_the_handshake),
		cmocka_unit_test(the_presenter_may_go_after_any_message_of_the_handshake),
		cmocka_unit_test(a_socket_file_that_nobody_answers_is_replaced_and_others_are_not),
		cmocka_unit_test(a_socket_file_of_somebody_else_is_not_removed_at_the_end),
		cmocka_unit_test(a_socket_that_nobody_uses_costs_one_descriptor),
	};

	if (!lab_catch_sigbus())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
