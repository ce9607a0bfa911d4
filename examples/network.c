/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two network devices on one switch: makes a management device in this process, creates two managed
 * network devices through its transport virtqueue, and sends an Ethernet frame from one to the
 * other.
 *
 *     cc network.c $(pkg-config --cflags --libs libtvq) -o network && ./network
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tvq/inproc.h>
#include <tvq/loop.h>
#include <tvq/net.h>

static void check(bool ok, const char *what, int err)
{
	if (ok)
		return;
	fprintf(stderr, "example: %s: %s\n", what, strerror(-err));
	exit(1);
}

/* All defaults: the device picks its address. */
static struct tvq_net *create_device(struct tvq_client *client)
{
	struct tvq_create create = { .virtio_device_id = TVQ_TYPE_NET };
	struct tvq_net *net;
	uint8_t mac[6];
	int err = tvq_client_create_call(client, &create);

	check(!err, "CREATE", err);
	net = tvq_net_new(client, create.device_id, NULL, &err);
	check(net != NULL, "network driver", err);
	tvq_net_mac(net, mac);
	printf("managed device %llu: %02x:%02x:%02x:%02x:%02x:%02x, mtu %u\n",
	       (unsigned long long)create.device_id, mac[0], mac[1], mac[2], mac[3], mac[4], mac[5],
	       tvq_net_mtu(net));
	return net;
}

/* The virtio header, all zero, then destination, source, EtherType and payload. */
static uint32_t make_frame(uint8_t *buf, struct tvq_net *from, struct tvq_net *to, const char *text)
{
	uint8_t *frame = buf + tvq_net_hdr_len(from);

	tvq_net_mac(to, frame);
	tvq_net_mac(from, frame + 6);
	frame[12] = 0x88; /* for local experiments */
	frame[13] = 0xb5;
	memcpy(frame + 14, text, strlen(text));
	return tvq_net_hdr_len(from) + 60;
}

int main(void)
{
	const char text[] = "From one to the other.";
	struct tvq_loop_cfg loop_cfg = { .cpu = -1 };
	struct tvq_mgmt_cfg cfg = { .os = &tvq_os_host };
	struct tvq_net_frame frame = { 0 }, *send = &frame;
	struct tvq_net *one, *other;
	struct tvq_client *client;
	struct tvq_loop *loop;
	struct tvq_bus *bus;
	struct tvq_net_rx rx;
	uint8_t *buf, got[60];
	int err;

	loop = tvq_loop_new(&loop_cfg, &err);
	check(loop != NULL, "event loop", err);
	cfg.control = tvq_loop_exec(loop);
	bus = tvq_inproc_new(&cfg, &err);
	check(bus != NULL, "management device", err);
	client = tvq_client_new(bus, NULL, &err);
	check(client != NULL, "transport virtqueue", err);
	one = create_device(client);
	other = create_device(client);

	buf = tvq_net_dma_alloc(one, 4096, &frame.iova);
	check(buf != NULL, "memory", -1);
	frame.len = make_frame(buf, one, other, text);
	check(tvq_net_send(one, 0, &send, 1) == 1, "send", -1);
	/* The device works in turns of the loop; this thread is the loop's. */
	while (!tvq_net_poll(other, 0, &rx, 1))
		tvq_loop_turn(loop, false);
	check(tvq_net_copy(&rx, got, sizeof(got)) == 60, "a frame of another length", -5);
	check(!memcmp(got + 14, text, sizeof(text)), "another text", -5);
	printf("received: %s\n", (const char *)got + 14);
	tvq_net_refill(other, 0, &rx, 1);

	tvq_net_free(one);
	tvq_net_free(other);
	bus->ops->dma_free(bus, buf, 4096);
	tvq_client_free(client);
	bus->ops->free(bus);
	tvq_loop_free(loop);
	return 0;
}
