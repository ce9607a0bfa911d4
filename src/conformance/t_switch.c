// SPDX-License-Identifier: BSD-3-Clause
/* Section 5: managed network devices are ports of one switch (TQ-141). */
#include <string.h>

#include "conformance/ct.h"
#include "device/util.h"

static const uint8_t everybody[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

/* What came so far is not asked for. */
static void drain(struct ct_net *n)
{
	while (!ct_net_silent(n))
		;
}

/* A network may lose frames for a device that has only just come up: until one has come. */
static void wait_until_it_hears(struct ct_net *n, struct ct_net *from)
{
	uint64_t end = n->t->bus->os->now() + CT_WAIT_NS;
	uint8_t f[60];

	ct_net_frame(f, n->mac, from->mac, sizeof(f), 0xee);
	do {
		ct_check(n->t, n->t->bus->os->now() < end, "no frame comes at all");
		ct_net_send(from, f, sizeof(f));
	} while (ct_net_silent(n));
	drain(n);
}

static void ports(struct ct *t, struct ct_net **n, int count)
{
	uint64_t all = 0, defaults = 0;

	ct_net_type(t, &all, &defaults);
	if (!(defaults & CT_F(CT_NET_F_MAC)))
		ct_skip(t, "network devices have no MAC by default");
	for (int i = 0; i < count; i++)
		n[i] = ct_net_up(t, ct_new_net(t, NULL));
	for (int i = 0; i < count; i++)
		wait_until_it_hears(n[i], n[!i]);
}

/* Sends, and it has to come. */
static void passes(struct ct_net *from, struct ct_net *to, uint32_t len, uint8_t seed)
{
	uint8_t f[2000];

	ct_net_frame(f, to->mac, from->mac, len, seed);
	ct_net_send(from, f, len);
	ct_check(from->t, ct_net_receive(to), "a frame of %u bytes does not come", len);
	ct_check(from->t, ct_net_got(to, f, len), "sent %u bytes, got %u with its header", len,
		 to->got_len);
}

static void a_frame_goes_from_device_to_device_byte_by_byte(struct ct *t)
{
	static const uint32_t lens[] = { 60, 61, 64, 98, 590, 1024, 1513, 1514 };
	struct ct_net *n[2], *a, *b;

	ports(t, n, 2);
	a = n[0], b = n[1];
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		passes(a, b, lens[i], (uint8_t)i);
		passes(b, a, lens[i], (uint8_t)(100 + i));
	}
	/* More than the rings have places. */
	for (int i = 0; i < 100; i++)
		passes(a, b, 60, (uint8_t)i);
	ct_check(t, ct_net_silent(a) && ct_net_silent(b), "a frame came twice");
}

/* With IN_ORDER buffers come back in their order as well, dropped frames' too: net.c looks. */
static void frames_sent_at_once_come_in_their_order(struct ct *t)
{
	/* A runt, to the other, from somebody else, to the other in a longer frame, to everybody. */
	static const uint32_t lens[] = { 13, 60, 60, 1514, 64 };
	enum { BATCH = 15, RUNT = 0, SPOOFED = 2, BROADCAST = 4 };
	static uint8_t frame[BATCH][1514];
	const uint8_t *frames[BATCH];
	uint32_t len[BATCH];
	struct ct_net *n[2];

	ports(t, n, 2);
	for (unsigned int round = 0; round < 20; round++) {
		for (unsigned int i = 0; i < BATCH; i++) {
			unsigned int what = i % 5;

			len[i] = lens[what];
			frames[i] = frame[i];
			ct_net_frame(frame[i], what == BROADCAST ? everybody : n[1]->mac,
				     what == SPOOFED ? n[1]->mac : n[0]->mac, len[i],
				     (uint8_t)(round * BATCH + i));
		}
		ct_net_send_all(n[0], frames, len, BATCH);
		for (unsigned int i = 0; i < BATCH; i++) {
			if (i % 5 == RUNT || i % 5 == SPOOFED)
				continue;
			ct_check(t, ct_net_receive(n[1]), "frame %u does not come", i);
			ct_check(t, ct_net_got(n[1], frame[i], len[i]), "frame %u is another", i);
		}
	}
	ct_check(t, ct_net_silent(n[1]), "more came than was sent");
}

static void a_broadcast_reaches_all_but_its_sender(struct ct *t)
{
	struct ct_net *n[3];
	uint8_t f[60];

	ports(t, n, 3);
	ct_net_frame(f, everybody, n[0]->mac, sizeof(f), 1);
	ct_net_send(n[0], f, sizeof(f));
	for (int i = 1; i < 3; i++)
		ct_check(t, ct_net_receive(n[i]) && ct_net_got(n[i], f, sizeof(f)), "device %d", i);
	for (int i = 0; i < 3; i++)
		ct_check(t, ct_net_silent(n[i]), "device %d got one too many", i);
}

static void no_frame_comes_back_to_its_sender(struct ct *t)
{
	static const uint8_t group[6] = { 0x01, 0, 0x5e, 0, 0, 1 },
			     nobody[6] = { 0x02, 0xee, 0, 0, 0, 0xee };
	struct ct_net *n[2], *a;
	const uint8_t *to[] = { NULL, NULL, everybody, group, nobody };
	uint8_t f[60];

	ports(t, n, 2);
	a = n[0];
	to[0] = a->mac;
	to[1] = n[1]->mac;
	for (size_t i = 0; i < sizeof(to) / sizeof(to[0]); i++) {
		ct_net_frame(f, to[i], a->mac, sizeof(f), (uint8_t)i);
		ct_net_send(a, f, sizeof(f));
		ct_check(t, ct_net_silent(a), "destination %zu", i);
	}
}

static void a_frame_to_one_device_reaches_no_other(struct ct *t)
{
	struct ct_net *n[3];

	ports(t, n, 3);
	for (int i = 0; i < 3; i++) {
		passes(n[0], n[1], 60, (uint8_t)i);
		ct_check(t, ct_net_silent(n[2]), "a third device got it");
	}
}

static void another_ports_address_as_source_is_not_delivered(struct ct *t)
{
	const uint8_t *to[] = { NULL, NULL, everybody };
	struct ct_net *n[3], *a, *b, *c;
	uint8_t f[60];

	ports(t, n, 3);
	a = n[0], b = n[1], c = n[2];
	to[0] = c->mac;
	to[1] = b->mac;
	for (size_t i = 0; i < sizeof(to) / sizeof(to[0]); i++) {
		ct_net_frame(f, to[i], b->mac, sizeof(f), (uint8_t)i);
		ct_net_send(a, f, sizeof(f));
		ct_check(t, ct_net_silent(b) && ct_net_silent(c), "destination %zu: it came", i);
	}
	/* And it moved nobody: frames to b still go there, and a is heard. */
	passes(c, b, 60, 10);
	passes(a, b, 60, 11);
	ct_check(t, ct_net_silent(a), "a got a frame for b");
	/* A device that is not driven yet has its address too. */
	{
		uint8_t mac[6];

		ct_net_config(t, ct_new_net(t, NULL), 0, 6, mac);
		ct_net_frame(f, c->mac, mac, sizeof(f), 12);
		ct_net_send(a, f, sizeof(f));
		ct_check(t, ct_net_silent(c), "from the address of an idle device");
	}
}

static void a_destroyed_devices_port_is_gone_and_the_others_go_on(struct ct *t)
{
	struct ct_net *n[3], *a, *b, *c;
	uint8_t f[60];

	ports(t, n, 3);
	a = n[0], b = n[1], c = n[2];
	passes(a, b, 60, 1);
	ct_destroy(t, b->id);
	ct_net_frame(f, b->mac, a->mac, sizeof(f), 2);
	ct_net_send(a, f, sizeof(f));
	drain(c); /* nobody has that address: it may be for anyone */
	passes(a, c, 60, 3);
	passes(c, a, 60, 4);
	ct_reset_device(t, c->id);
	ct_net_frame(f, c->mac, a->mac, sizeof(f), 5);
	ct_net_send(a, f, sizeof(f));
	c = ct_net_up(t, c->id);
	wait_until_it_hears(c, a);
	passes(a, c, 60, 6);
}

const struct ct_test ct_tests_switch[] = {
	{ "TQ-141", "a_frame_goes_from_device_to_device_byte_by_byte",
	  a_frame_goes_from_device_to_device_byte_by_byte, CT_NEEDS_NET },
	{ "TQ-141", "frames_sent_at_once_come_in_their_order",
	  frames_sent_at_once_come_in_their_order, CT_NEEDS_NET },
	{ "TQ-141", "a_broadcast_reaches_all_but_its_sender",
	  a_broadcast_reaches_all_but_its_sender, CT_NEEDS_NET },
	{ "TQ-141", "no_frame_comes_back_to_its_sender", no_frame_comes_back_to_its_sender,
	  CT_NEEDS_NET },
	{ "TQ-141", "a_frame_to_one_device_reaches_no_other",
	  a_frame_to_one_device_reaches_no_other, CT_NEEDS_NET },
	{ "TQ-141", "another_ports_address_as_source_is_not_delivered",
	  another_ports_address_as_source_is_not_delivered, CT_NEEDS_NET },
	{ "TQ-141 TQ-054", "a_destroyed_devices_port_is_gone_and_the_others_go_on",
	  a_destroyed_devices_port_is_gone_and_the_others_go_on, CT_NEEDS_NET },
	{ 0 },
};
