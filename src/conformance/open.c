// SPDX-License-Identifier: BSD-3-Clause
/* Which device is judged: one in this process, with a world of its own, or one behind a socket. */
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include <tvq/loop.h>
#include <tvq/virtio_pci.h>

#include "conformance/ct.h"

/* Nothing of the device's is in this process. */
static bool open_remote(struct ct *t)
{
	struct tvq_loop_cfg cfg = { .poll_ns = 0, .cpu = -1, .name = "control" };
	char err[TVQ_VIRTIO_PCI_ERR_LEN];
	int e = 0;

	t->loop = tvq_loop_new(&cfg, &e);
	if (!t->loop) {
		snprintf(t->message, sizeof(t->message), "no event loop: %s", strerror(-e));
		return false;
	}
	t->bus = tvq_vfio_user_bus(t->loop, t->options->path, err);
	if (t->bus)
		return true;
	snprintf(t->message, sizeof(t->message), "%s", err);
	tvq_loop_free(t->loop);
	t->loop = NULL;
	return false;
}

bool ct_open(struct ct *t, const struct ct_limits *limits)
{
	if (t->bus)
		return true;
	if (t->options->path)
		return open_remote(t);
	t->world = ct_world_new(t->options, limits, t);
	if (!t->world)
		snprintf(t->message, sizeof(t->message), "the in-process device cannot be made");
	return t->world != NULL;
}

void ct_close(struct ct *t)
{
	if (t->world) {
		ct_world_free(t->world, t);
		t->world = NULL;
	} else if (t->bus) {
		t->bus->ops->free(t->bus);
		t->bus = NULL;
		tvq_loop_free(t->loop);
		t->loop = NULL;
	}
}

void ct_turn(struct ct *t)
{
	/* The other process may want this CPU. */
	if (!tvq_loop_turn(t->loop, false) && !t->world)
		sched_yield();
}
