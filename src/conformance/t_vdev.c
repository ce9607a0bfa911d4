// SPDX-License-Identifier: BSD-3-Clause
/* Section 4.2: creating and destroying. */
#include <string.h>

#include "conformance/ct.h"
#include "device/features.h"
#include "device/util.h"

static struct mgmt_dev_avail_res resources(struct ct *t)
{
	struct mgmt_dev_avail_res r;

	ct_ok(t, 0, AVAIL_RES, GET, NULL, 0, &r, sizeof(r));
	return r;
}

static void an_identifier_is_never_given_out_again(struct ct *t)
{
	uint64_t seen[96];
	unsigned int n = 0;

	for (unsigned int round = 0; round < 3; round++) {
		for (unsigned int i = 0; i < 32; i++) {
			uint64_t id = ct_new_blk(t);

			ct_check(t, id, "it is 0");
			for (unsigned int k = 0; k < n; k++)
				ct_check(t, seen[k] != id, "%llu came twice",
					 (unsigned long long)id);
			seen[n++] = id;
			if (i & 1)
				ct_destroy(t, id);
		}
		ct_connect(t, 0); /* a reset does not begin them anew */
	}
}

static void device_features_are_exactly_what_is_offered(struct ct *t)
{
	uint64_t needed = CT_F(TVQ_F_VERSION_1) | CT_F(TVQ_F_ACCESS_PLATFORM), id = 0;
	struct virtio_transportq_ctrl_type ti;
	uint8_t type[4];
	uint64_t all;

	tvq_put32(type, 2);
	ct_ok(t, 0, AVAIL_RES, TYPE_GET, type, 4, &ti, sizeof(ti));
	all = tvq_get64(&ti.features);
	ct_check(t, ct_create(t, 2, 0, needed, NULL, 0, &id) == CT_OK, "the fewest");
	ct_check(t, ct_offered(t, id) == needed, "offered 0x%llx",
		 (unsigned long long)ct_offered(t, id));
	ct_destroy(t, id);
	ct_check(t, ct_create(t, 2, 0, needed | CT_F(9) | CT_F(34), NULL, 0, &id) == CT_OK, "some");
	ct_check(t, ct_offered(t, id) == (needed | CT_F(9) | CT_F(34)), "offered 0x%llx",
		 (unsigned long long)ct_offered(t, id));
	ct_check(t, ct_create(t, 2, 0, CT_F(TVQ_F_VERSION_1), NULL, 0, &id) == CT_ERR,
		 "no ACCESS_PLATFORM");
	ct_check(t, ct_create(t, 2, 0, CT_F(TVQ_F_ACCESS_PLATFORM), NULL, 0, &id) == CT_ERR,
		 "no VERSION_1");
	for (unsigned int bit = 0; bit < 64; bit++)
		if (!(all & CT_F(bit)))
			ct_check(t, ct_create(t, 2, 0, needed | CT_F(bit), NULL, 0, &id) == CT_ERR,
				 "bit %u", bit);
	/* One that lacks another: the writeback field needs FLUSH; the second bit the first. */
	ct_check(t, ct_create(t, 2, 0, needed | CT_F(11), NULL, 0, &id) == CT_ERR,
		 "CONFIG_WCE, no FLUSH");
	ct_check(t, ct_create(t, 2, 0, needed | t->f_vdev, NULL, 0, &id) == CT_ERR, "_VDEV alone");
}

static void default_features_hold_what_they_may(struct ct *t)
{
	static const uint8_t never[] = { 24, 27, 30, 37, 39, 41, 43 };
	struct virtio_transportq_ctrl_type ti;
	uint64_t id, offered;
	uint8_t type[4];

	tvq_put32(type, 2);
	ct_ok(t, 0, AVAIL_RES, TYPE_GET, type, 4, &ti, sizeof(ti));
	id = ct_new_blk(t);
	offered = ct_offered(t, id);
	ct_check(t, offered & CT_F(TVQ_F_VERSION_1) && offered & CT_F(TVQ_F_ACCESS_PLATFORM),
		 "0x%llx", (unsigned long long)offered);
	ct_check(t, !(offered & (t->f_vq | t->f_vdev | CT_F(5) | CT_F(12))),
		 "0x%llx has 48, 49, RO or MQ", (unsigned long long)offered);
	for (size_t i = 0; i < sizeof(never); i++)
		ct_check(t, !(tvq_get64(&ti.features) & CT_F(never[i])), "bit %u can be offered",
			 never[i]);
	id = ct_new_blk_features(t, 0, 2);
	ct_check(t, ct_offered(t, id) == (offered | CT_F(12)), "two queues: 0x%llx",
		 (unsigned long long)ct_offered(t, id));
}

static void a_create_that_asks_for_what_is_not_there_fails(struct ct *t)
{
	uint8_t junk[64];
	uint64_t id;

	memset(junk, 0, sizeof(junk));
	ct_check(t, ct_create(t, 0, 0, 0, NULL, 0, &id) == CT_ERR, "type 0");
	ct_check(t, ct_create(t, 0x1234, 0, 0, NULL, 0, &id) == CT_ERR, "type 0x1234");
	for (uint32_t n = 1; n <= 64; n++)
		if (n != 56)
			ct_check(t, ct_create(t, 2, 0, 0, junk, n, &id) == CT_ERR,
				 "%u bytes of dev_config", n);
	ct_check(t, ct_create(t, 2, 0, 0, junk, 56, &id) == CT_OK, "56 bytes of dev_config");
	tvq_put16(junk + 34, 0xffff);
	ct_check(t, ct_create(t, 2, 0, 0, junk, 56, &id) == CT_ERR, "65535 queues");
	ct_check(t, ct_create(t, 2, 0x7fffffff, 0, NULL, 0, &id) == CT_ERR,
		 "an asid that is not there");
}

static void a_create_that_fails_changes_nothing(struct ct *t)
{
	struct virtio_transportq_blk_config cfg;
	struct mgmt_dev_avail_res before, after;
	uint64_t id;

	ct_limit(t, &(struct ct_limits){ .max_devices = 10, .max_vqs = 10 });
	before = resources(t);
	memset(&cfg, 0, sizeof(cfg));
	memcpy(cfg.id, "no such volume", 14);
	ct_check(t, ct_create(t, 2, 0, 0, &cfg, sizeof(cfg), &id) == CT_ERR, "an unknown volume");
	memset(cfg.id, 0, sizeof(cfg.id));
	tvq_put32(&cfg.blk_size, 777);
	ct_check(t, ct_create(t, 2, 0, 0, &cfg, sizeof(cfg), &id) == CT_ERR, "blk_size 777");
	tvq_put32(&cfg.blk_size, 0);
	tvq_put16(&cfg.num_queues, 11);
	ct_check(t, ct_create(t, 2, 0, 0, &cfg, sizeof(cfg), &id) == CT_ERR, "11 queues of 10");
	ct_check(t, ct_create(t, 2, 99999, 0, NULL, 0, &id) == CT_ERR, "an asid that is not there");
	after = resources(t);
	ct_check(t, !memcmp(&before, &after, sizeof(after)), "AVAIL_RES changed");
}

static void create_reserves_when_taken_and_destroy_frees_at_its_ack(struct ct *t)
{
	struct virtio_transportq_ctrl_vdev_attribute a;
	struct ct_chain *c[5];
	unsigned int ok = 0;

	ct_limit(t, &(struct ct_limits){ .max_devices = 3 });
	memset(&a, 0, sizeof(a));
	tvq_put32(&a.virtio_device_id, 2);
	for (unsigned int i = 0; i < 5; i++)
		c[i] = ct_start(t, 0, CT_CLASS(VDEV), VIRTIO_TRANSPTQ_CTRL_VDEV_CREATE, &a,
				sizeof(a), 8);
	for (unsigned int i = 0; i < 5; i++) {
		ct_check(t, ct_wait_chain(t, c[i]), "CREATE %u", i);
		ok += ct_ack(c[i]) == CT_OK;
		ct_check(t, (ct_ack(c[i]) == CT_OK) == (i < 3), "CREATE %u: %s", i,
			 ct_ack_name(ct_ack(c[i])));
	}
	ct_check(t, ok == 3, "%u of 3", ok);
	ct_destroy(t, tvq_get64(c[0]->in + 4));
	ct_new_blk(t);
}

static void after_destroys_ack_nothing_of_the_device_happens(struct ct *t)
{
	struct ct_io *io, *late;
	struct ct_vq *q = ct_busy(t, &io);
	struct ct_chain *destroy =
		ct_start(t, q->id, CT_CLASS(VDEV), VIRTIO_TRANSPTQ_CTRL_VDEV_DESTROY, NULL, 0, 0);

	ct_pause(t, 2000000);
	ct_check(t, !destroy->used, "DESTROY is acked while the backend works");
	ct_slow_release(t->slow);
	ct_check(t, ct_wait_chain(t, destroy) && ct_ack(destroy) == CT_OK, "DESTROY: %s",
		 ct_ack_name(ct_ack(destroy)));
	*q->msi = 0;
	late = ct_io_start(q, 0, 0, 512);
	ct_vq_notify(q);
	ct_new_blk(t); /* the device had its chance */
	ct_pause(t, 2000000);
	ct_io_collect(q);
	ct_check(t, !late->done && *late->status == 0xee && !*q->msi && !ct_slow_waiting(t->slow),
		 "it is still served");
}

static void reset_of_the_management_device_destroys_all_and_waits_for_them(struct ct *t)
{
	struct ct_io *io;
	struct ct_vq *q = ct_busy(t, &io);
	uint64_t id = q->id;
	struct ct_chain *destroy =
		ct_start(t, id, CT_CLASS(VDEV), VIRTIO_TRANSPTQ_CTRL_VDEV_DESTROY, NULL, 0, 0);
	uint8_t s;

	ct_pause(t, 1000000);
	t->bus->ops->set_status(t->bus, 0);
	ct_pause(t, 2000000);
	ct_check(t, t->bus->ops->status(t->bus), "the status reads 0 while a backend works");
	ct_slow_release(t->slow);
	while (t->bus->ops->status(t->bus))
		ct_turn(t);
	ct_pause(t, 1000000);
	ct_check(t, destroy->in[0] == 0xa5, "a command in flight was acked");
	ct_connect(t, 0);
	ct_err(t, id, STATUS, GET, NULL, 0, &s, 1);
}

static void no_device_exists_but_by_a_command_and_after_a_reset_every_id_fails(struct ct *t)
{
	uint64_t a = ct_new_blk(t), b = ct_new_blk(t);
	uint8_t s;

	ct_up(t, b, 0, 16);
	ct_connect(t, 0);
	for (uint64_t id = 1; id < b + 100; id++)
		ct_err(t, id, STATUS, GET, NULL, 0, &s, 1);
	ct_err(t, a, VDEV, DESTROY, NULL, 0, NULL, 0);
}

const struct ct_test ct_tests_vdev[] = {
	{ "TQ-050", "an_identifier_is_never_given_out_again",
	  an_identifier_is_never_given_out_again, 0 },
	{ "TQ-051", "device_features_are_exactly_what_is_offered",
	  device_features_are_exactly_what_is_offered, 0 },
	{ "TQ-051", "default_features_hold_what_they_may", default_features_hold_what_they_may, 0 },
	{ "TQ-052 TQ-120", "a_create_that_asks_for_what_is_not_there_fails",
	  a_create_that_asks_for_what_is_not_there_fails, 0 },
	{ "TQ-053", "a_create_that_fails_changes_nothing", a_create_that_fails_changes_nothing,
	  CT_NEEDS_CAP },
	{ "TQ-053", "create_reserves_when_taken_and_destroy_frees_at_its_ack",
	  create_reserves_when_taken_and_destroy_frees_at_its_ack, CT_NEEDS_CAP },
	{ "TQ-054", "after_destroys_ack_nothing_of_the_device_happens",
	  after_destroys_ack_nothing_of_the_device_happens, CT_NEEDS_SLOW },
	{ "TQ-055", "reset_of_the_management_device_destroys_all_and_waits_for_them",
	  reset_of_the_management_device_destroys_all_and_waits_for_them, CT_NEEDS_SLOW },
	{ "TQ-056", "no_device_exists_but_by_a_command_and_after_a_reset_every_id_fails",
	  no_device_exists_but_by_a_command_and_after_a_reset_every_id_fails, 0 },
	{ 0 },
};
