// SPDX-License-Identifier: BSD-3-Clause
/* Section 5: what CREATE takes for a network device, its queues and its configuration. */
#include <string.h>

#include <tvq/inproc.h>

#include "conformance/ct.h"
#include "device/features.h"
#include "device/util.h"

#define BASE	   (CT_F(TVQ_F_VERSION_1) | CT_F(TVQ_F_ACCESS_PLATFORM))
#define NET_CONFIG 28 /* virtio 1.4, 5.1.4 */

#define AT_STATUS 6
#define AT_PAIRS  8
#define AT_MTU	  10

static struct virtio_transportq_net_config none(void)
{
	struct virtio_transportq_net_config cfg;

	memset(&cfg, 0, sizeof(cfg));
	return cfg;
}

static struct virtio_transportq_net_config with_mac(const uint8_t *mac)
{
	struct virtio_transportq_net_config cfg = none();

	memcpy(cfg.mac, mac, 6);
	return cfg;
}

static uint16_t config16(struct ct *t, uint64_t id, uint32_t at)
{
	uint8_t v[2];

	ct_net_config(t, id, at, 2, v);
	return tvq_get16(v);
}

/* Skips where network devices do not offer that. */
static void can(struct ct *t, uint64_t bits, const char *why)
{
	uint64_t all = 0, defaults;

	ct_net_type(t, &all, &defaults);
	if (bits & ~all)
		ct_skip(t, why);
}

static void can_have_mac(struct ct *t)
{
	can(t, CT_F(CT_NET_F_MAC), "network devices offer no MAC");
}

static uint64_t new_net(struct ct *t, uint64_t features, const uint8_t *mac)
{
	struct virtio_transportq_net_config cfg = mac ? with_mac(mac) : none();
	uint64_t id = 0;
	uint32_t ack = ct_create_net(t, features, &cfg, &id);

	ct_check(t, ack == CT_OK, "CREATE with features 0x%llx answers %s",
		 (unsigned long long)features, ct_ack_name(ack));
	return id;
}

/* ---- TQ-140 ---- */

static void its_configuration_has_12_bytes_or_none(struct ct *t)
{
	uint8_t zero[64] = { 0 };
	uint64_t id;

	for (uint32_t n = 0; n <= 64; n++)
		ct_check(t,
			 ct_create(t, 1, 0, 0, zero, n, &id) == (n % 12 || n > 12 ? CT_ERR : CT_OK),
			 "%u bytes of dev_config", n);
}

static void a_status_other_than_0_fails(struct ct *t)
{
	struct virtio_transportq_net_config cfg = none();
	uint64_t id;

	for (uint32_t bit = 0; bit < 16; bit++) {
		tvq_put16(&cfg.status, (uint16_t)(1u << bit));
		ct_check(t, ct_create_net(t, 0, &cfg, &id) == CT_ERR, "status 0x%x", 1u << bit);
	}
}

#define PICKED 32

static void the_device_picks_a_mac_where_none_is_given(struct ct *t)
{
	static const uint8_t zero[6];
	uint8_t mac[PICKED][6];

	can_have_mac(t);
	for (int i = 0; i < PICKED; i++) {
		uint64_t id = new_net(t, BASE | CT_F(CT_NET_F_MAC), NULL);

		ct_net_config(t, id, 0, 6, mac[i]);
		ct_check(t, memcmp(mac[i], zero, 6), "device %d has none", i);
		ct_check(t, !(mac[i][0] & 1), "device %d has a group's", i);
		for (int k = 0; k < i; k++)
			ct_check(t, memcmp(mac[i], mac[k], 6), "devices %d and %d have one", k, i);
	}
}

static void a_mac_that_is_given_is_the_devices(struct ct *t)
{
	static const uint8_t macs[][6] = {
		{ 0x02, 0, 0, 0, 0, 1 },
		{ 0x52, 0x54, 0, 0x12, 0x34, 0x56 },
		{ 0, 0, 0, 0, 0, 1 },
		{ 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff },
	};
	uint8_t got[6];

	can_have_mac(t);
	for (size_t i = 0; i < sizeof(macs) / sizeof(macs[0]); i++) {
		ct_net_config(t, new_net(t, BASE | CT_F(CT_NET_F_MAC), macs[i]), 0, 6, got);
		ct_check(t, !memcmp(got, macs[i], 6), "MAC %zu reads otherwise", i);
	}
}

static void a_groups_mac_fails(struct ct *t)
{
	static const uint8_t macs[][6] = {
		{ 0x01, 0, 0x5e, 0, 0, 1 },
		{ 0x33, 0x33, 0, 0, 0, 1 },
		{ 0x01, 0, 0, 0, 0, 0 },
		{ 0xff, 0xff, 0xff, 0xff, 0xff, 0xff },
	};
	struct virtio_transportq_net_config cfg;
	uint64_t id;

	can_have_mac(t);
	for (size_t i = 0; i < sizeof(macs) / sizeof(macs[0]); i++) {
		cfg = with_mac(macs[i]);
		ct_check(t, ct_create_net(t, BASE | CT_F(CT_NET_F_MAC), &cfg, &id) == CT_ERR,
			 "MAC %zu", i);
	}
}

static void is_taken(struct ct *t, const uint8_t *mac, const char *whose)
{
	struct virtio_transportq_net_config cfg = with_mac(mac);
	uint64_t id;

	ct_check(t, ct_create_net(t, BASE | CT_F(CT_NET_F_MAC), &cfg, &id) == CT_ERR,
		 "the MAC of %s", whose);
}

static void a_living_ports_mac_fails_and_is_free_after_destroy(struct ct *t)
{
	static const uint8_t mac[6] = { 0x02, 0, 0, 0, 0, 0x11 };
	uint64_t f = BASE | CT_F(CT_NET_F_MAC), a, b;
	uint8_t picked[6];

	can_have_mac(t);
	a = new_net(t, f, mac);
	is_taken(t, mac, "a device that was not driven yet");
	b = new_net(t, f, NULL);
	ct_net_config(t, b, 0, 6, picked);
	is_taken(t, picked, "a device that picked it");
	ct_net_up(t, a);
	is_taken(t, mac, "a device at work");
	ct_reset_device(t, a);
	is_taken(t, mac, "a device after its reset");
	ct_destroy(t, a);
	ct_destroy(t, b);
	new_net(t, f, mac);
	new_net(t, f, picked);
	ct_connect(t, 0); /* all are destroyed */
	new_net(t, f, mac);
	new_net(t, f, picked);
}

static void a_mac_set_by_the_driver_is_a_living_ports_too(struct ct *t)
{
	static const uint8_t first[6] = { 0x02, 0, 0, 0, 0, 0x21 },
			     second[6] = { 0x02, 0, 0, 0, 0, 0x22 };
	uint64_t f = BASE | CT_F(CT_NET_F_MAC) | CT_F(CT_NET_F_CTRL_VQ) |
		     CT_F(CT_NET_F_CTRL_MAC_ADDR);
	struct ct_net *n;

	can(t, f, "network devices offer no CTRL_MAC_ADDR");
	n = ct_net_up(t, new_net(t, f, first));
	ct_check(t, ct_net_ctrl(n, 1, 1, second, 6) == 0, "CTRL_MAC_ADDR_SET");
	is_taken(t, second, "a device whose driver set it");
	ct_destroy(t, n->id);
	new_net(t, f, second);
}

static void the_management_devices_own_mac_is_a_living_ports(struct ct *t)
{
	uint8_t mac[6];

	if (t->bus->ops->device_type(t->bus) != 1 || !(t->features & CT_F(CT_NET_F_MAC)))
		ct_skip(t, "the management device is no network device");
	can_have_mac(t);
	ct_check(t, t->bus->ops->config_read(t->bus, 0, mac, 6) == 0, "its configuration");
	is_taken(t, mac, "the management device");
}

#define MQ_BITS (CT_F(CT_NET_F_CTRL_VQ) | CT_F(CT_NET_F_MQ))

static bool has_queue(struct ct *t, uint64_t id, uint16_t index)
{
	uint8_t v[2], size[2];

	tvq_put16(v, index);
	return ct_run(t, id, VQ_SIZE, GET, v, 2, size, 2) == CT_OK;
}

static void only_these_queues(struct ct *t, uint64_t id, uint64_t queues, const char *when)
{
	for (uint16_t i = 0; i < 24; i++)
		ct_check(t, has_queue(t, id, i) == (bool)(queues >> i & 1), "%s: queue %u %s", when,
			 i, queues >> i & 1 ? "is none" : "is one");
}

static void max_virtqueue_pairs_is_honoured_and_0_is_1(struct ct *t)
{
	struct virtio_transportq_net_config cfg = none();
	uint64_t id;

	can(t, MQ_BITS, "network devices offer no MQ");
	for (uint16_t pairs = 0; pairs <= 4; pairs++) {
		uint16_t n = pairs ? pairs : 1;

		tvq_put16(&cfg.max_virtqueue_pairs, pairs);
		ct_check(t, ct_create_net(t, BASE | MQ_BITS, &cfg, &id) == CT_OK, "%u pairs",
			 pairs);
		ct_check(t, config16(t, id, AT_PAIRS) == n, "%u pairs: the configuration says %u",
			 pairs, config16(t, id, AT_PAIRS));
		only_these_queues(t, id, (1ull << (2 * n + 1)) - 1, "pairs and the control queue");
	}
	/* By default MQ is offered where more than one is asked for (TQ-051). */
	tvq_put16(&cfg.max_virtqueue_pairs, 3);
	ct_check(t, ct_create_net(t, 0, &cfg, &id) == CT_OK, "3 pairs and default features");
	ct_check(t, ct_offered(t, id) & CT_F(CT_NET_F_MQ), "MQ is not offered");
	ct_check(t, config16(t, id, AT_PAIRS) == 3, "the configuration says %u",
		 config16(t, id, AT_PAIRS));
	id = ct_new_net(t, NULL);
	ct_check(t, !(ct_offered(t, id) & CT_F(CT_NET_F_MQ)), "MQ by default");
}

static void more_pairs_than_there_are_fail(struct ct *t)
{
	static const uint16_t bad[] = { 0x8001, 0xffff, 0x8000 };
	struct virtio_transportq_ctrl_type ti;
	struct virtio_transportq_net_config cfg = none();
	uint8_t type[4];
	uint64_t id;

	can(t, MQ_BITS, "network devices offer no MQ");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		tvq_put16(&cfg.max_virtqueue_pairs, bad[i]);
		ct_check(t, ct_create_net(t, BASE | MQ_BITS, &cfg, &id) == CT_ERR, "%u pairs",
			 bad[i]);
	}
	tvq_put32(type, 1);
	ct_ok(t, 0, AVAIL_RES, TYPE_GET, type, 4, &ti, sizeof(ti));
	tvq_put16(&cfg.max_virtqueue_pairs, (uint16_t)(tvq_get16(&ti.max_vqs) / 2 + 1));
	ct_check(t, ct_create_net(t, BASE | MQ_BITS, &cfg, &id) == CT_ERR,
		 "more than TYPE_GET's max_vqs");
}

static void an_mtu_is_68_and_up_and_0_is_1500(struct ct *t)
{
	static const struct {
		uint16_t asked, reads; /* reads 0: fails */
	} mtus[] = {
		{ 0, 1500 },	{ 1, 0 },	{ 67, 0 },	{ 68, 68 },	{ 69, 69 },
		{ 1280, 1280 }, { 1500, 1500 }, { 1501, 1501 }, { 9000, 9000 },
	};
	uint64_t f = BASE | CT_F(CT_NET_F_MTU), id;
	struct virtio_transportq_net_config cfg = none();

	can(t, f, "network devices offer no MTU");
	for (size_t i = 0; i < sizeof(mtus) / sizeof(mtus[0]); i++) {
		tvq_put16(&cfg.mtu, mtus[i].asked);
		ct_check(t, ct_create_net(t, f, &cfg, &id) == (mtus[i].reads ? CT_OK : CT_ERR),
			 "mtu %u", mtus[i].asked);
		if (mtus[i].reads)
			ct_check(t, config16(t, id, AT_MTU) == mtus[i].reads,
				 "mtu %u: the configuration says %u", mtus[i].asked,
				 config16(t, id, AT_MTU));
	}
}

static void a_value_without_its_bit_fails(struct ct *t)
{
	static const uint8_t mac[6] = { 0x02, 0, 0, 0, 0, 0x31 };
	struct virtio_transportq_net_config cfg = with_mac(mac);
	uint64_t all = 0, defaults, id;

	ct_check(t, ct_create_net(t, BASE, &cfg, &id) == CT_ERR, "a MAC without MAC");
	cfg = none();
	for (uint16_t pairs = 1; pairs <= 2; pairs++) {
		tvq_put16(&cfg.max_virtqueue_pairs, pairs);
		ct_check(t, ct_create_net(t, BASE, &cfg, &id) == CT_ERR, "%u pairs without MQ",
			 pairs);
	}
	cfg = none();
	tvq_put16(&cfg.mtu, 1500);
	ct_check(t, ct_create_net(t, BASE, &cfg, &id) == CT_ERR, "an MTU without MTU");
	/* Each with its own bit only. */
	ct_net_type(t, &all, &defaults);
	if (all & CT_F(CT_NET_F_MTU)) {
		ct_check(t, ct_create_net(t, BASE | CT_F(CT_NET_F_MTU), &cfg, &id) == CT_OK, "MTU");
		memcpy(cfg.mac, mac, 6);
		ct_check(t, ct_create_net(t, BASE | CT_F(CT_NET_F_MTU), &cfg, &id) == CT_ERR,
			 "a MAC with MTU only");
	}
	cfg = none();
	ct_check(t, ct_create_net(t, BASE, &cfg, &id) == CT_OK, "no value, no bit");
}

/* ---- TQ-042, TQ-051 ---- */

static void type_get_tells_what_a_network_device_offers(struct ct *t)
{
	struct virtio_transportq_ctrl_type ti;
	uint8_t type[4], size[2], v[2] = { 0 };
	uint64_t id, f;

	tvq_put32(type, 1);
	ct_ok(t, 0, AVAIL_RES, TYPE_GET, type, 4, &ti, sizeof(ti));
	id = ct_new_net(t, NULL);
	f = tvq_get64(&ti.default_features);
	ct_check(t, ct_offered(t, id) == f, "a device offers 0x%llx, not 0x%llx",
		 (unsigned long long)ct_offered(t, id), (unsigned long long)f);
	ct_check(t, !(f & ~tvq_get64(&ti.features)), "defaults it cannot offer");
	ct_check(t, (f & BASE) == BASE, "no VERSION_1 or ACCESS_PLATFORM by default");
	ct_check(t, !(f & (t->f_vq | t->f_vdev | CT_F(CT_NET_F_MQ))),
		 "0x%llx: 48, 49 or MQ by default", (unsigned long long)f);
	ct_check(t, tvq_get16(&ti.max_vqs) >= 2, "max_vqs %u", tvq_get16(&ti.max_vqs));
	ct_ok(t, id, VQ_SIZE, GET, v, 2, size, 2);
	ct_check(t, tvq_get16(size) <= tvq_get16(&ti.max_queue_size), "queue of %u",
		 tvq_get16(size));
	/* All that it can offer; one that manages others has no IN_ORDER (TQ-017). */
	f = tvq_get64(&ti.features);
	if (f & CT_F(TVQ_F_IN_ORDER) && f & t->f_vq) {
		ct_check(t, ct_create_net(t, f, NULL, &id) == CT_ERR, "IN_ORDER of a manager");
		ct_destroy(t, new_net(t, f & ~(t->f_vq | t->f_vdev), NULL));
		f &= ~CT_F(TVQ_F_IN_ORDER);
	}
	id = new_net(t, f, NULL);
	ct_check(t, ct_offered(t, id) == f, "all that it can offer");
}

static void features_are_exactly_what_is_asked_for_and_what_they_require(struct ct *t)
{
	/* A bit, and those of which it needs one (virtio 5.1.3.1). */
	static const struct {
		uint64_t bit, one_of, with;
	} needs[] = {
		{ CT_F(CT_NET_F_GUEST_TSO4), CT_F(CT_NET_F_GUEST_CSUM), 0 },
		{ CT_F(CT_NET_F_GUEST_TSO6), CT_F(CT_NET_F_GUEST_CSUM), 0 },
		{ CT_F(CT_NET_F_GUEST_ECN), CT_F(CT_NET_F_GUEST_TSO4), CT_F(CT_NET_F_GUEST_CSUM) },
		{ CT_F(CT_NET_F_GUEST_ECN), CT_F(CT_NET_F_GUEST_TSO6), CT_F(CT_NET_F_GUEST_CSUM) },
		{ CT_F(CT_NET_F_HOST_TSO4), CT_F(CT_NET_F_CSUM), 0 },
		{ CT_F(CT_NET_F_HOST_TSO6), CT_F(CT_NET_F_CSUM), 0 },
		{ CT_F(CT_NET_F_HOST_ECN), CT_F(CT_NET_F_HOST_TSO4), CT_F(CT_NET_F_CSUM) },
		{ CT_F(CT_NET_F_HOST_ECN), CT_F(CT_NET_F_HOST_TSO6), CT_F(CT_NET_F_CSUM) },
		{ CT_F(CT_NET_F_CTRL_RX), CT_F(CT_NET_F_CTRL_VQ), 0 },
		{ CT_F(CT_NET_F_CTRL_VLAN), CT_F(CT_NET_F_CTRL_VQ), 0 },
		{ CT_F(CT_NET_F_GUEST_ANNOUNCE), CT_F(CT_NET_F_CTRL_VQ), 0 },
		{ CT_F(CT_NET_F_MQ), CT_F(CT_NET_F_CTRL_VQ), 0 },
		{ CT_F(CT_NET_F_CTRL_MAC_ADDR), CT_F(CT_NET_F_CTRL_VQ), 0 },
		{ CT_F(CT_NET_F_RSS), CT_F(CT_NET_F_CTRL_VQ), 0 },
	};
	uint64_t all = 0, defaults, id;

	ct_net_type(t, &all, &defaults);
	for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++) {
		uint64_t f = BASE | needs[i].bit | needs[i].with, whole = f | needs[i].one_of;

		if (whole & ~all)
			continue;
		ct_check(t, ct_create_net(t, f, NULL, &id) == CT_ERR, "0x%llx, which lacks 0x%llx",
			 (unsigned long long)f, (unsigned long long)needs[i].one_of);
		ct_check(t, ct_create_net(t, whole, NULL, &id) == CT_OK, "0x%llx",
			 (unsigned long long)whole);
		ct_check(t, ct_offered(t, id) == whole, "0x%llx: it offers 0x%llx",
			 (unsigned long long)whole, (unsigned long long)ct_offered(t, id));
		ct_destroy(t, id);
	}
	for (unsigned int bit = 0; bit < 64; bit++)
		if (!(all & CT_F(bit)))
			ct_check(t, ct_create_net(t, BASE | CT_F(bit), NULL, &id) == CT_ERR,
				 "bit %u", bit);
	ct_check(t, ct_create_net(t, CT_F(TVQ_F_VERSION_1), NULL, &id) == CT_ERR,
		 "no ACCESS_PLATFORM");
	ct_check(t, ct_create_net(t, CT_F(TVQ_F_ACCESS_PLATFORM), NULL, &id) == CT_ERR,
		 "no VERSION_1");
}

/* ---- TQ-076, TQ-077, TQ-079 ---- */

/* The bits of which one has to be offered for a byte not to be 0; 0: none is needed. */
static uint64_t bits_of(uint32_t byte)
{
	if (byte < AT_STATUS)
		return CT_F(CT_NET_F_MAC);
	if (byte < AT_PAIRS)
		return CT_F(CT_NET_F_STATUS);
	if (byte < AT_MTU)
		return CT_F(CT_NET_F_MQ) | CT_F(CT_NET_F_RSS);
	if (byte < 12)
		return CT_F(CT_NET_F_MTU);
	if (byte < 17)
		return CT_F(CT_NET_F_SPEED_DUPLEX);
	if (byte == 17 || byte >= 20)
		return CT_F(CT_NET_F_RSS) | CT_F(CT_NET_F_HASH_REPORT);
	return CT_F(CT_NET_F_RSS);
}

static void a_network_devices_space_is_whole_and_0_without_the_fields_bit(struct ct *t)
{
	struct virtio_transportq_ctrl_vdev_config_get g;
	uint64_t f[3] = { BASE }, id;
	uint8_t all[NET_CONFIG + 1];

	ct_net_type(t, &f[1], &f[2]);
	for (int i = 0; i < 3; i++) {
		id = new_net(t, f[i] & ~(t->f_vq | t->f_vdev), NULL);
		ct_net_config(t, id, 0, NET_CONFIG, all);
		for (uint32_t at = 0; at < NET_CONFIG; at++)
			ct_check(t, !all[at] || bits_of(at) & f[i],
				 "byte %u is 0x%x with features 0x%llx", at, all[at],
				 (unsigned long long)f[i]);
		if (f[i] & CT_F(CT_NET_F_STATUS))
			ct_check(t, tvq_get16(all + AT_STATUS) == 1,
				 "the link of a new device: 0x%x", tvq_get16(all + AT_STATUS));
		tvq_put32(&g.offset, 0);
		tvq_put32(&g.size, NET_CONFIG + 1);
		ct_err(t, id, CONFIG, GET, &g, sizeof(g), all, NET_CONFIG + 1);
	}
}

static void set_link(struct ct *t, uint64_t id, bool up)
{
	ct_check(t, tvq_device_set_link(tvq_inproc_device(t->bus), id, up) == 0,
		 "the owner's link change");
}

static void a_link_change_raises_the_interrupt_and_the_generation(struct ct *t)
{
	uint64_t id = new_net(t, BASE | CT_F(CT_NET_F_STATUS), NULL), iova;
	uint32_t *word = ct_alloc(t, 4, 4, &iova);
	uint8_t before[4], after[4];

	ct_check(t, ct_msi_set(t, id, CT_CONFIG, iova, 0x66) == CT_OK, "MSI CONFIG_SET");
	ct_check(t, ct_msi_enable(t, id, CT_CONFIG, 1) == CT_OK, "MSI CONFIG_ENABLE");
	ct_negotiate(t, id, 0);
	ct_check(t, ct_set_status(t, id, 15) == CT_OK, "DRIVER_OK");
	for (int i = 0; i < 4; i++) {
		*word = 0;
		ct_ok(t, id, GENERATION, GET, NULL, 0, before, 4);
		set_link(t, id, i & 1);
		ct_check(t, ct_wait_word(t, word, 0x66), "change %d: no interrupt", i);
		ct_ok(t, id, GENERATION, GET, NULL, 0, after, 4);
		ct_check(t, memcmp(before, after, 4), "change %d: the generation is the same", i);
		ct_check(t, config16(t, id, AT_STATUS) == (i & 1), "change %d: status 0x%x", i,
			 config16(t, id, AT_STATUS));
	}
}

/* ---- TQ-010, TQ-011: a network device that manages others ---- */

/* A command on that queue creates a device. */
static bool takes_commands(struct ct *t, uint64_t id, uint16_t index, uint64_t features)
{
	struct ct_vq *q = ct_vq_new(t, id, index, 16, features);
	bool done;
	uint64_t child;

	ct_vq_program(q, false);
	ct_check(t, ct_vq_enable(q, 1) == CT_OK, "ENABLE 1 of queue %u", index);
	ct_check(t, ct_set_status(t, id, 15) == CT_OK, "DRIVER_OK");
	t->via = q;
	done = ct_create_net(t, 0, NULL, &child) == CT_OK;
	t->via = NULL;
	return done;
}

static void a_network_managers_transportq_is_at_2n_plus_1(struct ct *t)
{
	uint64_t bits = BASE | t->f_vq | t->f_vdev, id, f;
	struct virtio_transportq_net_config cfg = none();

	can(t, bits | MQ_BITS, "network devices cannot be management devices, or offer no MQ");
	/* Without a control queue 2N is none. */
	id = new_net(t, bits, NULL);
	only_these_queues(t, id, 0xb, "no control queue");
	ct_check(t, takes_commands(t, id, 3, ct_negotiate(t, id, bits)), "queue 3");
	/* With one it is at 2N. */
	id = new_net(t, bits | CT_F(CT_NET_F_CTRL_VQ), NULL);
	only_these_queues(t, id, 0xf, "with a control queue");
	ct_check(t, takes_commands(t, id, 3, ct_negotiate(t, id, bits | CT_F(CT_NET_F_CTRL_VQ))),
		 "queue 3");
	ct_reset_device(t, id);
	/* The control queue is offered and not accepted. */
	f = ct_negotiate(t, id, bits);
	only_these_queues(t, id, 0xb, "a control queue that was not accepted");
	ct_check(t, takes_commands(t, id, 3, f), "queue 3 without the control queue");
	/* N is what is offered, and later what is accepted. */
	tvq_put16(&cfg.max_virtqueue_pairs, 4);
	ct_check(t, ct_create_net(t, bits | MQ_BITS, &cfg, &id) == CT_OK, "4 pairs");
	only_these_queues(t, id, 0x3ff, "4 pairs are offered");
	f = ct_negotiate(t, id, bits | MQ_BITS);
	only_these_queues(t, id, 0x3ff, "4 pairs were accepted");
	ct_check(t, takes_commands(t, id, 9, f), "queue 9");
	ct_reset_device(t, id);
	only_these_queues(t, id, 0x3ff, "4 pairs are offered again");
	f = ct_negotiate(t, id, bits | CT_F(CT_NET_F_CTRL_VQ));
	only_these_queues(t, id, 0xf, "MQ was not accepted");
	ct_check(t, takes_commands(t, id, 3, f), "queue 3 without MQ");
}

const struct ct_test ct_tests_net[] = {
	{ "TQ-140 TQ-052", "its_configuration_has_12_bytes_or_none",
	  its_configuration_has_12_bytes_or_none, CT_NEEDS_NET },
	{ "TQ-140", "a_status_other_than_0_fails", a_status_other_than_0_fails, CT_NEEDS_NET },
	{ "TQ-140", "the_device_picks_a_mac_where_none_is_given",
	  the_device_picks_a_mac_where_none_is_given, CT_NEEDS_NET },
	{ "TQ-140", "a_mac_that_is_given_is_the_devices", a_mac_that_is_given_is_the_devices,
	  CT_NEEDS_NET },
	{ "TQ-140", "a_groups_mac_fails", a_groups_mac_fails, CT_NEEDS_NET },
	{ "TQ-140", "a_living_ports_mac_fails_and_is_free_after_destroy",
	  a_living_ports_mac_fails_and_is_free_after_destroy, CT_NEEDS_NET },
	{ "TQ-140", "a_mac_set_by_the_driver_is_a_living_ports_too",
	  a_mac_set_by_the_driver_is_a_living_ports_too, CT_NEEDS_NET },
	{ "TQ-140", "the_management_devices_own_mac_is_a_living_ports",
	  the_management_devices_own_mac_is_a_living_ports, CT_NEEDS_NET },
	{ "TQ-140 TQ-051", "max_virtqueue_pairs_is_honoured_and_0_is_1",
	  max_virtqueue_pairs_is_honoured_and_0_is_1, CT_NEEDS_NET },
	{ "TQ-140 TQ-052", "more_pairs_than_there_are_fail", more_pairs_than_there_are_fail,
	  CT_NEEDS_NET },
	{ "TQ-140", "an_mtu_is_68_and_up_and_0_is_1500", an_mtu_is_68_and_up_and_0_is_1500,
	  CT_NEEDS_NET },
	{ "TQ-140", "a_value_without_its_bit_fails", a_value_without_its_bit_fails, CT_NEEDS_NET },
	{ "TQ-017 TQ-042 TQ-051", "type_get_tells_what_a_network_device_offers",
	  type_get_tells_what_a_network_device_offers, CT_NEEDS_NET },
	{ "TQ-051", "features_are_exactly_what_is_asked_for_and_what_they_require",
	  features_are_exactly_what_is_asked_for_and_what_they_require, CT_NEEDS_NET },
	{ "TQ-076 TQ-077", "a_network_devices_space_is_whole_and_0_without_the_fields_bit",
	  a_network_devices_space_is_whole_and_0_without_the_fields_bit, CT_NEEDS_NET },
	{ "TQ-079 TQ-075", "a_link_change_raises_the_interrupt_and_the_generation",
	  a_link_change_raises_the_interrupt_and_the_generation, CT_NEEDS_NET | CT_NEEDS_OWNER },
	{ "TQ-010 TQ-011", "a_network_managers_transportq_is_at_2n_plus_1",
	  a_network_managers_transportq_is_at_2n_plus_1, CT_NEEDS_NET },
	{ 0 },
};
