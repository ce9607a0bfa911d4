/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A vhost-user front end at a device that one daemon presents and another one serves: its memory,
 * kicks and calls pass through both.
 */
#include <sys/wait.h>

#include <tvq/virtio_pci.h>

#include "control_lab.h"
#include "vu_front.h"

/* The front ends' side of a lab: a loop that turns while they wait, and where they connect. */
struct fronts {
	struct lab serving, managing;
	char socket[128]; /* the option of both */
	struct tvq_loop *loop;
};

/* A device that is presented, and a front end on it that has the guest's memory. */
struct guest {
	struct vu_lab l;
	struct vu_front f;
};

static struct fronts fronts;

static int open_fronts(void **state)
{
	struct fronts *fs = *state = &fronts;
	struct tvq_loop_cfg lc = { .cpu = -1, .name = "front" };
	int err;

	lab_begin(&fs->serving);
	lab_begin(&fs->managing);
	lab_path(&fs->serving, "vfio-user:", "mgmt0.sock", fs->socket, sizeof(fs->socket));
	fs->loop = tvq_loop_new(&lc, &err);
	assert_non_null(fs->loop);
	return 0;
}

static int close_fronts(void **state)
{
	struct fronts *fs = *state;

	tvq_loop_free(fs->loop);
	lab_end(&fs->managing);
	lab_end(&fs->serving);
	return 0;
}

static void start_daemons(struct fronts *fs, const char *workers)
{
	char serve[sizeof(fs->socket) + 16];

	snprintf(serve, sizeof(serve), "%s,ram-pool=on", fs->socket);
	if (!lab_start(&fs->serving, "--workers", workers, "--serve", serve, NULL))
		fail_msg("it does not serve:\n%s", fs->serving.log);
	if (!lab_start(&fs->managing, "--manage", fs->socket, NULL))
		fail_msg("it does not manage:\n%s", fs->managing.log);
}

static void add_guest_to(struct fronts *fs, const struct lab *l, const char *mgmtdev,
			 struct guest *g, const char *name)
{
	char request[256];

	memset(g, 0, sizeof(*g));
	g->l.loop = fs->loop;
	lab_path(l, "", name, g->l.path, sizeof(g->l.path));
	snprintf(request, sizeof(request),
		 "{\"cmd\":\"dev add\",\"args\":{\"name\":\"%s\",\"mgmtdev\":\"%s\","
		 "\"class\":\"block\",\"capacity\":\"1M\",\"vhost-user\":\"%s\"}}",
		 name, mgmtdev, g->l.path);
	lab_ok(l, request, NULL);
	front_init(&g->f, &g->l);
}

static void add_guest(struct fronts *fs, struct guest *g, const char *name)
{
	add_guest_to(fs, &fs->managing, "mgmt0", g, name);
}

static void run_guest(struct guest *g, uint64_t features)
{
	g->f.features = FRONT_FEATURES | features;
	front_handshake(&g->f);
}

static void front_end_reads_what_it_wrote_through_both_daemons(void **state)
{
	struct fronts *fs = *state;
	static const char *const workers[] = { "0", "2" };
	struct guest g;

	for (unsigned int i = 0; i < 4; i++) {
		start_daemons(fs, workers[i / 2]);
		add_guest(fs, &g, "a");
		run_guest(&g, formats[i % 2]);
		for (unsigned int n = 0; n < 50; n++)
			write_and_read_back(&g.f, 0, n);
		assert_int_equal(front_io(&g.f, 0, VIRTIO_BLK_T_FLUSH, 0, 0), VIRTIO_BLK_S_OK);
		front_free(&g.f);
		lab_stop(&fs->managing, SIGTERM);
		lab_stop(&fs->serving, SIGTERM);
	}
}

/* A request whose data is at that address. */
static void put_at(struct guest *g, uint64_t addr)
{
	uint32_t at = FRONT_BUF_AT;
	struct virtio_blk_outhdr *h = (struct virtio_blk_outhdr *)(g->f.mem + at);
	struct tvq_sg sg[3] = {
		{ FRONT_GUEST + at, sizeof(*h) },
		{ addr, 512 },
		{ FRONT_GUEST + at + 0x800, 1 },
	};

	*h = (struct virtio_blk_outhdr){ .type = VIRTIO_BLK_T_IN };
	g->f.mem[at + 0x800] = 0xff;
	assert_int_equal(tvq_drv_ring_add(g->f.ring[0], sg, 1, 2, h), 0);
	front_kick(&g->f, 0);
}

static bool needs_reset(struct fronts *fs, const char *name)
{
	char request[128];
	struct json_object *answer, *o, *status;
	int64_t v;

	snprintf(request, sizeof(request),
		 "{\"cmd\":\"dev config show\",\"args\":{\"name\":\"%s\"}}", name);
	answer = json_tokener_parse(lab_ask(&fs->managing, request));
	if (!json_object_object_get_ex(answer, "ok", &o) ||
	    !json_object_object_get_ex(o, "config", &o) ||
	    !json_object_object_get_ex(o, name, &o) ||
	    !json_object_object_get_ex(o, "status", &status))
		fail_msg("%s", json_object_to_json_string(answer));
	v = json_object_get_int64(status);
	json_object_put(answer);
	return v & VIRTIO_CONFIG_S_NEEDS_RESET;
}

/*
 * TQ-122: over vfio-user space k begins at k << 48 of the function's addresses (TQ-123), so that an
 * address with bits above that is how a driver would name a space. It is one that is not mapped.
 */
static void a_driver_cannot_name_another_devices_space(void **state)
{
	struct fronts *fs = *state;
	struct guest victim, enemy;

	start_daemons(fs, "1");
	add_guest(fs, &victim, "victim");
	run_guest(&victim, 0);
	memset(front_data(&victim.f, 7), 0x5a, 512);
	/* More spaces than there can be here: the functions' own, two devices', in-flight areas'. */
	for (uint64_t space = 0; space < 8; space++) {
		char name[16];

		snprintf(name, sizeof(name), "enemy%u", (unsigned int)space);
		add_guest(fs, &enemy, name);
		run_guest(&enemy, 0);
		write_and_read_back(&enemy.f, 0, 1);
		put_at(&enemy, space << 48 | (FRONT_GUEST + FRONT_BUF_AT + 7 * 0x4000 + 0x1000));
		if (!space) {
			uint32_t written;

			LAB_UNTIL(&enemy.l, tvq_drv_ring_get(enemy.f.ring[0], &written) != NULL);
			assert_int_equal(front_status(&enemy.f, 0), VIRTIO_BLK_S_OK);
		} else {
			LAB_UNTIL(&enemy.l, needs_reset(fs, name));
			assert_int_equal(front_status(&enemy.f, 0), 0xff);
		}
		front_free(&enemy.f);
		write_and_read_back(&victim.f, 0, (unsigned int)space);
	}
	assert_false(needs_reset(fs, "victim"));
	for (unsigned int i = 0; i < 512; i++)
		assert_int_equal(front_data(&victim.f, 7)[i], 0x5a);
	front_free(&victim.f);
}

/* TQ-122: so would memory that is said to be there. */
static void memory_beyond_a_space_is_refused(void **state)
{
	static const uint64_t places[] = { 1ull << 48, 2ull << 48, (1ull << 48) - 4096,
					   0xffff000000000000ull };
	struct fronts *fs = *state;
	struct guest victim, enemy;

	start_daemons(fs, "1");
	add_guest(fs, &victim, "victim");
	run_guest(&victim, 0);
	add_guest(fs, &enemy, "enemy");
	for (unsigned int i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		struct vu_mem_one m = front_region();

		front_set(&enemy.f, VU_SET_PROTOCOL_FEATURES,
			  front_get(&enemy.f, VU_GET_PROTOCOL_FEATURES));
		m.region.guest_addr = places[i];
		assert_int_not_equal(
			front_ask(&enemy.f, VU_ADD_MEM_REG, &m, sizeof(m), &enemy.f.memfd, 1), 0);
		front_hang_up(&enemy.f);
		front_connect(&enemy.f);
		write_and_read_back(&victim.f, 0, i);
	}
	run_guest(&enemy, 0);
	write_and_read_back(&enemy.f, 0, 1);
	front_free(&enemy.f);
	front_free(&victim.f);
}

static void killed_server_is_seen_by_the_front_end(void **state)
{
	struct fronts *fs = *state;
	struct guest g;

	start_daemons(fs, "1");
	add_guest(fs, &g, "a");
	run_guest(&g, 0);
	write_and_read_back(&g.f, 0, 1);
	lab_stop(&fs->serving, SIGKILL);
	assert_true(front_closed(&g.f));
	assert_int_equal(WEXITSTATUS(lab_wait(&fs->managing)), 1);
	front_free(&g.f);
}

static void each_daemon_ends_cleanly_under_a_running_front_end(void **state)
{
	struct fronts *fs = *state;
	struct guest g;
	int status;

	start_daemons(fs, "1");
	add_guest(fs, &g, "a");
	run_guest(&g, 0);
	write_and_read_back(&g.f, 0, 1);
	status = lab_stop(&fs->managing, SIGTERM);
	assert_true(WIFEXITED(status) && !WEXITSTATUS(status));
	assert_true(front_closed(&g.f));
	assert_false(lab_exists(&fs->managing, "a"));
	front_free(&g.f);
	lab_ok(&fs->serving, "{\"cmd\":\"mgmtdev show\"}", "\"regions\":0");
	lab_ok(&fs->serving, "{\"cmd\":\"mgmtdev show\",\"args\":{\"name\":\"mgmt0\"}}",
	       "\"devices\":0");

	if (!lab_start(&fs->managing, "--manage", fs->socket, NULL))
		fail_msg("it does not manage:\n%s", fs->managing.log);
	add_guest(fs, &g, "b");
	run_guest(&g, 0);
	write_and_read_back(&g.f, 0, 1);
	status = lab_stop(&fs->serving, SIGTERM);
	assert_true(WIFEXITED(status) && !WEXITSTATUS(status));
	assert_true(front_closed(&g.f));
	assert_int_equal(WEXITSTATUS(lab_wait(&fs->managing)), 1);
	assert_false(lab_exists(&fs->managing, "b"));
	front_free(&g.f);
}

static void front_end_that_is_gone_leaves_nothing_mapped(void **state)
{
	struct fronts *fs = *state;
	struct guest g;
	char before[64], *regions;

	start_daemons(fs, "1");
	add_guest(fs, &g, "a");
	regions = strstr(lab_ask(&fs->serving, "{\"cmd\":\"mgmtdev show\"}"), "\"regions\":");
	assert_non_null(regions);
	snprintf(before, sizeof(before), "%.*s", (int)strcspn(regions, ","), regions);
	run_guest(&g, 0);
	write_and_read_back(&g.f, 0, 1);
	assert_null(strstr(lab_ask(&fs->serving, "{\"cmd\":\"mgmtdev show\"}"), before));
	front_hang_up(&g.f);
	LAB_UNTIL(&g.l, strstr(lab_ask(&fs->serving, "{\"cmd\":\"mgmtdev show\"}"), before));
	front_free(&g.f);
}

static void front_end_of_the_serving_daemon_goes_on_whoever_drives_the_other(void **state)
{
	static const int signals[] = { SIGKILL, SIGTERM, SIGTERM };
	struct fronts *fs = *state;
	struct guest own, other;
	int status;

	start_daemons(fs, "1");
	add_guest_to(fs, &fs->serving, "mgmt1", &own, "own");
	run_guest(&own, 0);
	for (unsigned int i = 0; i < 3; i++) {
		add_guest(fs, &other, "other");
		run_guest(&other, 0);
		write_and_read_back(&other.f, 0, i);
		write_and_read_back(&own.f, 0, 3 * i);
		lab_stop(&fs->managing, signals[i]);
		write_and_read_back(&own.f, 0, 3 * i + 1);
		front_free(&other.f);
		/* Resets it. */
		if (!lab_start(&fs->managing, "--manage", fs->socket, NULL))
			fail_msg("it does not manage:\n%s", fs->managing.log);
		write_and_read_back(&own.f, 0, 3 * i + 2);
	}
	status = lab_stop(&fs->serving, SIGTERM);
	assert_true(WIFEXITED(status) && !WEXITSTATUS(status));
	assert_true(front_closed(&own.f));
	assert_false(lab_exists(&fs->serving, "own"));
	assert_int_equal(WEXITSTATUS(lab_wait(&fs->managing)), 1);
	front_free(&own.f);
}

/* n more regions, each of a file of its own, since a file is mapped once; in spaces whose tables stay
 * small. False: one was refused. */
static bool map_files(struct tvq_bus *bus, unsigned int *mapped, unsigned int n)
{
	enum { PER_SPACE = 512 };
	static uint32_t asid;

	for (; n--; ++*mapped) {
		struct tvq_bus_mem m = {
			.iova = *mapped % PER_SPACE * 4096ull,
			.len = 4096,
			.fd = memfd_create("client", MFD_CLOEXEC),
			.perm = TVQ_DMA_READ | TVQ_DMA_WRITE,
		};
		int err;

		assert_int_equal(ftruncate(m.fd, 4096), 0);
		if (!(*mapped % PER_SPACE))
			assert_int_equal(bus->ops->space_new(bus, &asid), 0);
		err = bus->ops->map(bus, asid, &m, 1);
		close(m.fd);
		if (err)
			return false;
	}
	return true;
}

/* A process has a bounded number of mappings, and one client may ask for more than there are. */
static void client_that_maps_all_that_it_may_leaves_room_for_front_ends(void **state)
{
	char why[TVQ_VIRTIO_PCI_ERR_LEN];
	struct fronts *fs = *state;
	unsigned int mapped = 0;
	struct tvq_bus *bus;
	struct guest own;

	if (!lab_start(&fs->serving, "--serve", fs->socket, NULL))
		fail_msg("it does not serve:\n%s", fs->serving.log);
	lab_ok(&fs->serving, "{\"cmd\":\"volume add\",\"args\":{\"name\":\"v\",\"ram\":\"1M\"}}",
	       NULL);
	bus = tvq_vfio_user_bus(fs->loop, fs->socket + strlen("vfio-user:"), why);
	if (!bus)
		fail_msg("%s", why);
	assert_true(map_files(bus, &mapped, 10000));
	assert_false(map_files(bus, &mapped, 60000));

	add_guest_to(fs, &fs->serving, "mgmt1", &own, "own");
	run_guest(&own, 0);
	write_and_read_back(&own.f, 0, 1);
	assert_false(map_files(bus, &mapped, 1));
	front_free(&own.f);
	bus->ops->free(bus);
}

int main(void)
{
#define unit_test_fronts(test) cmocka_unit_test_setup_teardown(test, open_fronts, close_fronts)
	const struct CMUnitTest tests[] = {
		unit_test_fronts(front_end_reads_what_it_wrote_through_both_daemons),
		unit_test_fronts(a_driver_cannot_name_another_devices_space),
		unit_test_fronts(memory_beyond_a_space_is_refused),
		unit_test_fronts(killed_server_is_seen_by_the_front_end),
		unit_test_fronts(each_daemon_ends_cleanly_under_a_running_front_end),
		unit_test_fronts(front_end_that_is_gone_leaves_nothing_mapped),
		unit_test_fronts(front_end_of_the_serving_daemon_goes_on_whoever_drives_the_other),
		unit_test_fronts(client_that_maps_all_that_it_may_leaves_room_for_front_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
