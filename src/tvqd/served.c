/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The management device as a PCI function on a vfio-user socket: we own it, the client drives it. It
 * creates devices on our volumes; it knows them by names of its own, we by their numbers.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <tvq/bus.h>
#include <vfio_user/server.h>

#include "mgmt.h"
#include "tvqd.h"

/* How long the socket of a daemon that was killed may outlive it. */
#define PATIENCE_NS 2000000000ull
#define PAUSE_US    20000

/* Each has a page of BAR 2, for which the client's firmware or kernel has to find room. */
#define DEFAULT_DEVICES 4096

static int served_start(struct tvqd_mgmt *m, char *err)
{
	uint64_t end = tvq_os_host.now() + PATIENCE_NS;
	struct tvq_vfio_user_cfg cfg = {
		.path = m->d->cfg.socket,
		.loop = m->d->loop,
		.pci = {
			.device_id = m->d->cfg.pci_device_id,
			.n_vectors = m->d->cfg.pci_vectors,
			.msi_page = m->d->cfg.pci_msi_page,
		},
	};
	char why[TVQ_VFIO_USER_ERR_LEN];
	struct tvq_pci *pci;

	tvqd_mgmt_cfg(m, &cfg.pci.mgmt);
	if (!cfg.pci.mgmt.max_devices)
		cfg.pci.mgmt.max_devices = DEFAULT_DEVICES;
	/* Before, not once it was refused: the socket may go between the one look and the other. */
	while (tvqd_answers(cfg.path) && tvq_os_host.now() < end)
		usleep(PAUSE_US);
	m->vfio_user = tvq_vfio_user_new(&cfg, why);
	if (!m->vfio_user) {
		snprintf(err, TVQD_ERR_LEN, "--serve: %s", why);
		return -EIO;
	}
	pci = tvq_vfio_user_pci(m->vfio_user);
	m->device = tvq_pci_device(pci);
	tvq_log(&tvq_os_host, TVQ_LOG_INFO, "%s is served at %s, with %u interrupt vectors",
		m->name, cfg.path, tvq_pci_vectors(pci));
	return 0;
}

struct ending {
	struct tvq_pci_done done;
	bool over;
};

static void ended(struct tvq_pci_done *done)
{
	((struct ending *)done)->over = true;
}

/* Storage that hangs does not hold the end up: the process goes, and all that it has with it. */
static void served_stop(struct tvqd_mgmt *m)
{
	struct ending *e;

	if (!m->vfio_user)
		return;
	e = calloc(1, sizeof(*e));
	if (!e)
		return;
	e->done.fn = ended;
	tvq_vfio_user_free(m->vfio_user, &e->done);
	if (!tvqd_wait(m->d, &e->over, TVQ_BUS_TIMEOUT_NS)) {
		free(e);
		return;
	}
	tvq_log(&tvq_os_host, TVQ_LOG_ERR, "%s: its storage does not finish; left behind", m->name);
}

static void served_refuse(const struct tvqd_mgmt *m, const char *request, char *err)
{
	snprintf(err, TVQD_ERR_LEN,
		 "%s: %s is driven by the vfio-user client of %s, which adds and deletes its "
		 "devices; this tvqd serves the device and has its volumes and its switch; "
		 "mgmt1 is this tvqd's own",
		 request, m->name, m->d->cfg.socket);
}

static void served_show(const struct tvqd_mgmt *m, struct json_object *o)
{
	struct tvq_vfio_user_stats st;

	tvq_vfio_user_stats(m->vfio_user, &st);
	json_object_object_add(o, "served", json_object_new_string(m->d->cfg.socket));
	json_object_object_add(o, "connected", json_object_new_boolean(st.connected));
	json_object_object_add(o, "connections", json_object_new_uint64(st.connections));
	json_object_object_add(o, "refused", json_object_new_uint64(st.refused));
	json_object_object_add(o, "messages", json_object_new_uint64(st.messages));
	json_object_object_add(o, "regions", json_object_new_uint64(st.regions));
	json_object_object_add(o, "spaces", json_object_new_uint64(st.spaces));
}

const struct tvqd_where tvqd_served = {
	.role = TVQD_OWNER,
	.owner = "tvqd",
	.to_delete = "the vfio-user client has to delete it, or the next one resets mgmt0",
	.start = served_start,
	.stop = served_stop,
	.refuse = served_refuse,
	.show = served_show,
};
