/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Address spaces are the host's: whatever a front end and its driver send, the commands that reach
 * the device name the spaces that the bus gave to the presenter, and no other.
 */
#include "vu_front.h"

#define IOTLB_MSG 22 /* of vhost-user; the one message of its kind that knows asids */
#define ALIEN	  7u /* an asid that the driver would like to have */

/* The spaces that the bus gave, and those that commands named. */
static struct {
	const struct tvq_bus_ops *ops;
	uint32_t given[8], named[64];
	unsigned int n_given, n_named, n_inflight;
} seen;

static int watched_space_new(struct tvq_bus *b, uint32_t *asid)
{
	int err = seen.ops->space_new(b, asid);

	assert_true(seen.n_given < sizeof(seen.given) / sizeof(seen.given[0]));
	if (!err)
		seen.given[seen.n_given++] = *asid;
	return err;
}

static void name(uint32_t asid)
{
	assert_true(seen.n_named < sizeof(seen.named) / sizeof(seen.named[0]));
	seen.named[seen.n_named++] = asid;
}

/* All commands that carry an asid: CREATE, VQ_ASID SET, INFLIGHT SET. */
static void traced(void *ctx, const struct tvq_cmd *cmd, const void *out)
{
	const struct virtio_transportq_ctrl_vdev_attribute *attr = out;
	const struct virtio_transportq_ctrl_vdev_vq_asid *set = out;
	const struct virtio_transportq_ctrl_vdev_vq_inflight *inflight = out;

	(void)ctx;
	switch (cmd->class) {
	case VIRTIO_TRANSPTQ_CTRL_VDEV:
		if (cmd->command == VIRTIO_TRANSPTQ_CTRL_VDEV_CREATE)
			name(le32toh(attr->asid));
		break;
	case VIRTIO_TRANSPTQ_CTRL_VQ_ASID:
		if (cmd->command == VIRTIO_TRANSPTQ_CTRL_VQ_ASID_SET)
			name(le32toh(set->asid));
		break;
	case VIRTIO_TRANSPTQ_CTRL_VQ_INFLIGHT:
		if (le32toh(inflight->size)) {
			name(le32toh(inflight->asid));
			seen.n_inflight++;
		}
		break;
	}
}

static bool was_given(uint32_t asid)
{
	for (unsigned int i = 0; i < seen.n_given; i++)
		if (seen.given[i] == asid)
			return true;
	return false;
}

static uint32_t queue_asid(struct vu_lab *l, uint16_t q)
{
	struct tvq_seq *s = tvq_seq_new(l->client, l->device_id);
	uint32_t asid = ALIEN;

	tvq_seq_vq_asid_get(s, q, &asid);
	assert_int_equal(tvq_seq_call(s), 0);
	return asid;
}

static void watch_asids(struct vu_lab *l)
{
	static struct tvq_bus_ops ops;

	memset(&seen, 0, sizeof(seen));
	seen.ops = l->bus->ops;
	seen.given[seen.n_given++] = l->asid;
	ops = *l->bus->ops;
	ops.space_new = watched_space_new;
	l->bus->ops = &ops;
	tvq_client_trace(l->client, traced, NULL);
}

static void wait_until_it_is_gone(struct run *r)
{
	struct tvq_vhost_user_info info;

	LAB_UNTIL(&r->l, (tvq_vhost_user_info(r->l.vu, &info), !info.connected));
}

static void assert_asids_are_the_buses(struct vu_lab *l)
{
	tvq_client_trace(l->client, NULL, NULL);
	for (unsigned int i = 0; i < seen.n_named; i++)
		if (!was_given(seen.named[i]))
			fail_msg("a command names space %u, which nobody gave", seen.named[i]);
	assert_int_equal(queue_asid(l, 0), l->asid);
	l->bus->ops = seen.ops;
}

/* TQ-122 */
static void commands_name_the_spaces_that_the_bus_gave(void **state)
{
	(void)state;
	for (unsigned int format = 0; format < 2; format++) {
		struct vu_lab_cfg cfg = { 0 };
		struct run r;

		lab_open(&r.l, &cfg);
		watch_asids(&r.l);
		front_init(&r.f, &r.l);
		r.f.features = FRONT_FEATURES | formats[format];
		front_handshake(&r.f);
		write_and_read_back(&r.f, 0, 1);
		/* A second life of the device, on an in-flight area of its own. */
		front_hang_up(&r.f);
		wait_until_it_is_gone(&r);
		close(r.f.inflight_fd);
		r.f.inflight_fd = -1;
		front_make_ring(&r.f, 0);
		front_connect(&r.f);
		front_handshake(&r.f);
		assert_true(seen.n_inflight >= 2);
		assert_true(seen.n_given >= 2);
		assert_asids_are_the_buses(&r.l);
		end(&r);
	}
}

/* TQ-122 */
static void a_front_ends_message_with_an_asid_is_refused(void **state)
{
	/* struct vhost_msg_v2: type, asid, then struct vhost_iotlb_msg; an update. */
	struct {
		uint32_t type, asid;
		uint64_t iova, size, uaddr;
		uint8_t perm, update, pad[6];
	} iotlb = { 2, ALIEN, FRONT_GUEST, 4096, FRONT_USER, 3, 2, { 0 } };
	struct run r;

	(void)state;
	start(&r, NULL, 0);
	watch_asids(&r.l);
	front_send(&r.f, IOTLB_MSG, 0, &iotlb, sizeof(iotlb), NULL, 0);
	assert_true(front_closed(&r.f));
	wait_until_it_is_gone(&r);
	assert_int_equal(seen.n_named, 0);
	assert_asids_are_the_buses(&r.l);
	end(&r);
}

/* TQ-122: with a transportq it could say asids itself. */
static void a_front_end_gets_no_transportq(void **state)
{
	static const unsigned int bits[] = { VIRTIO_F_TRNSPT_VQ, VIRTIO_F_TRNSPT_VQ_VDEV };

	(void)state;
	for (unsigned int i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
		struct vu_lab_cfg cfg = { 0 };
		struct run r;

		lab_open(&r.l, &cfg);
		front_init(&r.f, &r.l);
		assert_false(front_get(&r.f, VU_GET_FEATURES) & BIT(bits[i]));
		front_set(&r.f, VU_SET_FEATURES, FRONT_FEATURES | BIT(bits[i]));
		assert_true(front_closed(&r.f));
		end(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commands_name_the_spaces_that_the_bus_gave),
		cmocka_unit_test(a_front_ends_message_with_an_asid_is_refused),
		cmocka_unit_test(a_front_end_gets_no_transportq),
	};

	if (!lab_catch_sigbus())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
