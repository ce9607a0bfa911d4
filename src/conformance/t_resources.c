// SPDX-License-Identifier: BSD-3-Clause
/* Section 4.1: what there is. */
#include <string.h>

#include "conformance/ct.h"
#include "device/util.h"

struct res {
	uint16_t vqs, min, max, devices;
};

static struct res get(struct ct *t)
{
	struct mgmt_dev_avail_res r;

	ct_ok(t, 0, AVAIL_RES, GET, NULL, 0, &r, sizeof(r));
	return (struct res){ tvq_get16(&r.num_avail_vqs), tvq_get16(&r.min_vdev_vqs),
			     tvq_get16(&r.max_vdev_vqs), tvq_get16(&r.num_avail_vdev) };
}

static void so_many_creates_succeed_and_the_next_fails(struct ct *t, const struct ct_limits *limits,
						       uint16_t expected)
{
	struct res r;
	uint64_t id;

	ct_limit(t, limits);
	r = get(t);
	ct_check(t, r.devices == expected, "num_avail_vdev is %u, %u is right", r.devices,
		 expected);
	for (uint16_t i = 0; i < r.devices; i++)
		ct_check(t, ct_create(t, 2, 0, 0, NULL, 0, &id) == CT_OK, "CREATE %u of %u", i + 1,
			 r.devices);
	ct_check(t, get(t).devices == 0, "%u devices left after all", get(t).devices);
	ct_check(t, ct_create(t, 2, 0, 0, NULL, 0, &id) == CT_ERR, "one more");
}

static void num_avail_vdev_is_exact_where_devices_are_short(struct ct *t)
{
	so_many_creates_succeed_and_the_next_fails(
		t, &(struct ct_limits){ .max_devices = 5, .max_vqs = 100 }, 5);
}

static void num_avail_vdev_is_exact_where_queues_are_short(struct ct *t)
{
	so_many_creates_succeed_and_the_next_fails(
		t, &(struct ct_limits){ .max_devices = 50, .max_vqs = 7 }, 7);
}

static void a_device_takes_all_queues_that_its_offered_features_allow(struct ct *t)
{
	struct res before, after;
	uint64_t id;

	ct_limit(t, &(struct ct_limits){ .max_devices = 50, .max_vqs = 20 });
	before = get(t);
	ct_check(t, before.vqs == 20, "%u queues", before.vqs);
	id = ct_new_blk_features(t, 0, 4);
	after = get(t);
	ct_check(t, after.vqs == 16, "%u queues left of 20 after a device with 4", after.vqs);
	ct_destroy(t, id);
	after = get(t);
	ct_check(t, after.vqs == 20 && after.devices == before.devices,
		 "%u queues, %u devices after DESTROY", after.vqs, after.devices);
}

static void more_than_16_bits_of_devices_show_as_65535(struct ct *t)
{
	ct_limit(t, &(struct ct_limits){ .max_devices = 70000, .max_vqs = 70000 });
	ct_check(t, get(t).devices == 65535 && get(t).vqs == 65535, "%u devices, %u queues",
		 get(t).devices, get(t).vqs);
}

static void min_and_max_bound_what_can_be_created(struct ct *t)
{
	struct virtio_transportq_blk_config cfg;
	uint64_t id;
	struct res r;

	ct_limit(t, &(struct ct_limits){ .max_vdev_vqs = 3 });
	r = get(t);
	ct_check(t, r.min == 1 && r.max == 3, "min %u, max %u", r.min, r.max);
	memset(&cfg, 0, sizeof(cfg));
	tvq_put16(&cfg.num_queues, 3);
	ct_check(t, ct_create(t, 2, 0, 0, &cfg, sizeof(cfg), &id) == CT_OK, "3 queues");
	tvq_put16(&cfg.num_queues, 4);
	ct_check(t, ct_create(t, 2, 0, 0, &cfg, sizeof(cfg), &id) == CT_ERR, "4 queues");
}

static void min_equal_to_max_means_devices_with_that_number_only(struct ct *t)
{
	struct virtio_transportq_blk_config cfg;
	uint64_t id;
	struct res r;

	ct_limit(t, &(struct ct_limits){ .max_vdev_vqs = 1 });
	r = get(t);
	ct_check(t, r.min == 1 && r.max == 1, "min %u, max %u", r.min, r.max);
	memset(&cfg, 0, sizeof(cfg));
	tvq_put16(&cfg.num_queues, 2);
	ct_check(t, ct_create(t, 2, 0, 0, &cfg, sizeof(cfg), &id) == CT_ERR, "2 queues");
	ct_new_blk(t);
}

static void type_get_tells_what_a_device_offers_and_fails_for_others(struct ct *t)
{
	struct virtio_transportq_ctrl_type ti;
	uint8_t type[4], size[2], v[2] = { 0 };
	uint64_t id;

	tvq_put32(type, 2);
	ct_ok(t, 0, AVAIL_RES, TYPE_GET, type, 4, &ti, sizeof(ti));
	id = ct_new_blk(t);
	ct_check(t, ct_offered(t, id) == tvq_get64(&ti.default_features), "a device offers 0x%llx",
		 (unsigned long long)ct_offered(t, id));
	ct_check(t, !(tvq_get64(&ti.default_features) & ~tvq_get64(&ti.features)),
		 "defaults it cannot offer");
	ct_ok(t, id, VQ_SIZE, GET, v, 2, size, 2);
	ct_check(t, tvq_get16(size) <= tvq_get16(&ti.max_queue_size), "queue of %u",
		 tvq_get16(size));
	ct_check(t, tvq_get16(&ti.max_vqs) >= 1, "no queues");
	tvq_put32(type, 0xffff);
	ct_err(t, 0, AVAIL_RES, TYPE_GET, type, 4, &ti, sizeof(ti));
	tvq_put32(type, 0);
	ct_err(t, 0, AVAIL_RES, TYPE_GET, type, 4, &ti, sizeof(ti));
}

const struct ct_test ct_tests_resources[] = {
	{ "TQ-040", "num_avail_vdev_is_exact_where_devices_are_short",
	  num_avail_vdev_is_exact_where_devices_are_short, CT_NEEDS_CAP },
	{ "TQ-040", "num_avail_vdev_is_exact_where_queues_are_short",
	  num_avail_vdev_is_exact_where_queues_are_short, CT_NEEDS_CAP },
	{ "TQ-040", "a_device_takes_all_queues_that_its_offered_features_allow",
	  a_device_takes_all_queues_that_its_offered_features_allow, CT_NEEDS_CAP },
	{ "TQ-040", "more_than_16_bits_of_devices_show_as_65535",
	  more_than_16_bits_of_devices_show_as_65535, CT_NEEDS_CAP },
	{ "TQ-040", "min_and_max_bound_what_can_be_created", min_and_max_bound_what_can_be_created,
	  CT_NEEDS_CAP },
	{ "TQ-041", "min_equal_to_max_means_devices_with_that_number_only",
	  min_equal_to_max_means_devices_with_that_number_only, CT_NEEDS_CAP },
	{ "TQ-042", "type_get_tells_what_a_device_offers_and_fails_for_others",
	  type_get_tells_what_a_device_offers_and_fails_for_others, 0 },
	{ 0 },
};
