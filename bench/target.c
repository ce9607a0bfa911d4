/* SPDX-License-Identifier: BSD-3-Clause */
#include "target.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tvq/inproc.h>
#include <tvq/virtio_pci.h>

#define POLL_NS	  32000
#define VFIO_USER "vfio-user:"

void target_fail(const char *what, int err)
{
	fprintf(stderr, "%s: %s%s%s\n", program_invocation_short_name, what, err ? ": " : "",
		err ? strerror(-err) : "");
	exit(1);
}

static void start_worker(struct target *t, const struct target_cfg *cfg)
{
	struct tvq_loop_cfg loop = {
		.poll_ns = cfg->sleeps ? 0 : UINT64_MAX,
		.cpu = cfg->cpu,
		.name = "worker",
	};
	int err = 0;

	t->worker = tvq_loop_new(&loop, &err);
	if (t->worker)
		err = tvq_loop_start(t->worker);
	if (err)
		target_fail("the worker", err);
}

/* The control executor is polled by hand: no system call is in its way. */
static void open_in_process(struct target *t, const struct target_cfg *cfg)
{
	struct tvq_maker_cfg maker = {
		.kind = cfg->maker,
		.name = "n",
		.default_size = cfg->volume_bytes,
	};
	struct tvq_mgmt_cfg mgmt = { .os = &tvq_os_host, .control = &t->own_exec };
	char why[TVQ_VOLUME_ERR_LEN];
	int err;

	tvq_exec_init(&t->own_exec, &tvq_os_host, NULL, POLL_NS);
	t->exec = &t->own_exec;
	if (cfg->worker) {
		start_worker(t, cfg);
		t->worker_exec = tvq_loop_exec(t->worker);
		mgmt.workers = &t->worker_exec;
		mgmt.n_workers = 1;
	}
	t->pool = tvq_volume_pool_new(t->exec);
	if (!t->pool || tvq_volume_pool_add_maker(t->pool, &maker, why))
		target_fail("pool", 0);
	mgmt.pool = tvq_volume_pool_pool(t->pool);
	t->bus = tvq_inproc_new(&mgmt, &err);
	if (!t->bus)
		target_fail("management device", err);
}

static void open_vfio_user(struct target *t, const char *path)
{
	struct tvq_loop_cfg loop = { .poll_ns = UINT64_MAX, .cpu = -1 };
	char why[TVQ_VIRTIO_PCI_ERR_LEN];
	int err;

	t->loop = tvq_loop_new(&loop, &err);
	if (!t->loop)
		target_fail("event loop", err);
	t->exec = tvq_loop_exec(t->loop);
	t->bus = tvq_vfio_user_bus(t->loop, path, why);
	if (!t->bus)
		target_fail(why, 0);
}

void target_open(struct target *t, const struct target_cfg *cfg)
{
	int err;

	*t = (struct target){ 0 };
	if (!cfg->bus)
		open_in_process(t, cfg);
	else if (!strncmp(cfg->bus, VFIO_USER, strlen(VFIO_USER)))
		open_vfio_user(t, cfg->bus + strlen(VFIO_USER));
	else
		target_fail("--bus: vfio-user:PATH is known", 0);
	t->client = tvq_client_new(t->bus, NULL, &err);
	if (!t->client)
		target_fail("transport virtqueue", err);
}

void target_close(struct target *t)
{
	tvq_client_free(t->client);
	t->bus->ops->free(t->bus);
	tvq_volume_pool_free(t->pool);
	if (t->worker) {
		tvq_loop_stop(t->worker);
		tvq_loop_join(t->worker);
		tvq_loop_free(t->worker);
	}
	if (t->loop)
		tvq_loop_free(t->loop);
	else
		tvq_exec_fini(&t->own_exec);
}
