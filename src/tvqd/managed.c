/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A management device that another process serves on a vfio-user socket: we drive it and present its
 * managed devices. When it goes, so do we: what our clients have is worth nothing without it, and
 * whoever started us starts us again.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include <tvq/virtio_pci.h>

#include "mgmt.h"
#include "tvqd.h"

static void gone(void *ctx, const char *why)
{
	struct tvqd_mgmt *m = ctx;

	tvq_log(&tvq_os_host, TVQ_LOG_ERR, "%s is gone: the server at %s: %s; ending", m->name,
		m->d->cfg.socket, why);
	m->d->failed = -ENODEV;
	tvq_loop_stop(m->d->loop);
}

/*
 * The server may be starting just now; and a client before us that was killed holds its place for a
 * moment, since the kernel ends its io_uring, and the socket with it, some time after the process.
 */
#define PATIENCE_NS 2000000000ull
#define PAUSE_US    100000

static int managed_start(struct tvqd_mgmt *m, char *err)
{
	uint64_t end = tvq_os_host.now() + PATIENCE_NS;
	char why[TVQ_VIRTIO_PCI_ERR_LEN];

	while (!(m->bus = tvq_vfio_user_bus(m->d->loop, m->d->cfg.socket, why))) {
		if (tvq_os_host.now() < end) {
			usleep(PAUSE_US);
			continue;
		}
		snprintf(err, TVQD_ERR_LEN,
			 "--manage: %s; does tvqd --serve run there, without another client?", why);
		return -EIO;
	}
	tvq_vfio_user_bus_gone(m->bus, gone, m);
	tvq_log(&tvq_os_host, TVQ_LOG_INFO, "%s is the device that is served at %s", m->name,
		m->d->cfg.socket);
	return 0;
}

static void managed_stop(struct tvqd_mgmt *m)
{
	if (m->bus)
		m->bus->ops->free(m->bus);
}

static void managed_refuse(const struct tvqd_mgmt *m, const char *request, char *err)
{
	snprintf(err, TVQD_ERR_LEN,
		 "%s: the volumes and the switch are those of the tvqd that serves %s at %s: ask "
		 "that one, by its own control socket",
		 request, m->name, m->d->cfg.socket);
}

static int managed_explain(struct tvqd_mgmt *m, const struct tvqd_class *class,
			   const struct tvqd_args *args, char *err)
{
	const char *volume = tvqd_str(args, TVQD_VOLUME);
	int n = snprintf(err, TVQD_ERR_LEN, "%s refused to create '%s': ", m->name,
			 args->v[TVQD_NAME].str);

	if (volume)
		snprintf(err + n, TVQD_ERR_LEN - (size_t)n,
			 "is volume '%s' there, free and such as asked for? volume show of the "
			 "serving tvqd tells; its log says why, with --log-level debug",
			 volume);
	else if (tvqd_has(args, TVQD_MAC))
		snprintf(err + n, TVQD_ERR_LEN - (size_t)n,
			 "has another %s device this address? switch show of the serving tvqd "
			 "tells; its log says why, with --log-level debug",
			 class->name);
	else
		snprintf(err + n, TVQD_ERR_LEN - (size_t)n,
			 "the log of the serving tvqd says why, with --log-level debug");
	return -EIO;
}

static void managed_show(const struct tvqd_mgmt *m, struct json_object *o)
{
	json_object_object_add(o, "managed", json_object_new_string(m->d->cfg.socket));
}

const struct tvqd_where tvqd_managed = {
	.role = TVQD_DRIVER,
	.owner = "the serving tvqd",
	.start = managed_start,
	.stop = managed_stop,
	.refuse = managed_refuse,
	.explain = managed_explain,
	.show = managed_show,
};
