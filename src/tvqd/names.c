/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "names.h"
#include "ports.h"
#include "tvqd.h"

static bool is_number(const char *s)
{
	return s[0] && strspn(s, "0123456789") == strlen(s);
}

struct tvqd_mgmt *tvqd_dev_numbered(struct tvqd *d, const char *name, struct tvq_device_info *info)
{
	/* As labels are written: without zeros before it. */
	bool number = is_number(name) && name[0] != '0' && strlen(name) < 20;
	uint64_t id = number ? strtoull(name, NULL, 10) : 0;
	struct tvqd_mgmt *m = tvqd_numbered(d);

	return m && id && !tvq_device_info(m->device, id, info) ? m : NULL;
}

static int nobody(struct tvqd *d, const char *name, const char *what, const char *list, char *err)
{
	const struct tvqd_mgmt *m = tvqd_numbered(d);

	if (m)
		snprintf(err, TVQD_ERR_LEN,
			 "no %s '%s': the owner of %s knows its devices by their numbers; %s them",
			 what, name, m->name, list);
	else
		snprintf(err, TVQD_ERR_LEN, "no %s '%s'; %s them", what, name, list);
	return -ENOENT;
}

static int check_live(const struct tvqd_dev *dev, char *err)
{
	if (dev->state == TVQD_DEV_LIVE)
		return 0;
	snprintf(err, TVQD_ERR_LEN, "device '%s' is being %s", dev->name,
		 dev->state == TVQD_DEV_ADDING ? "added" : "deleted");
	return -EBUSY;
}

struct tvqd_dev *tvqd_dev_live(struct tvqd *d, struct tvqd_call *call)
{
	const char *name = tvqd_str(&call->rq.args, TVQD_NAME);
	struct tvqd_dev *dev = tvqd_devices_find(&d->devices, name);
	struct tvq_device_info info;
	const struct tvqd_mgmt *m;
	char err[TVQD_ERR_LEN];
	int ret;

	if (dev) {
		ret = check_live(dev, err);
	} else if ((m = tvqd_dev_numbered(d, name, &info))) {
		m->where->refuse(m, call->rq.cmd->name, err);
		ret = -EOPNOTSUPP;
	} else {
		ret = nobody(d, name, "device", "dev show lists", err);
	}
	if (!ret)
		return dev;
	tvqd_reply_err(call, ret, "%s", err);
	return NULL;
}

static int find_own(struct tvqd_target *t, char *err)
{
	if (t->own->state != TVQD_PORT_LIVE) {
		snprintf(err, TVQD_ERR_LEN, "'%s' is being %s", t->own->name,
			 t->own->state == TVQD_PORT_ADDING ? "added" : "deleted");
		return -EBUSY;
	}
	t->network = true;
	t->port = t->own->port;
	return 0;
}

static int find_device(struct tvqd *d, const char *name, struct tvqd_target *t, char *err)
{
	struct tvqd_dev *dev = tvqd_devices_find(&d->devices, name);
	struct tvq_device_info info;

	if (dev) {
		t->mgmt = dev->mgmt;
		t->device_id = dev->device_id;
		t->network = dev->class->virtio_device_id == TVQ_TYPE_NET;
		return check_live(dev, err);
	}
	t->mgmt = tvqd_dev_numbered(d, name, &info);
	if (!t->mgmt)
		return nobody(d, name, "device or port", "dev show and switch show list", err);
	t->device_id = info.id;
	t->network = info.virtio_device_id == TVQ_TYPE_NET;
	return 0;
}

int tvqd_target_find(struct tvqd *d, const char *name, struct tvqd_target *t, char *err)
{
	int ret = 0;

	*t = (struct tvqd_target){ .own = tvqd_port_by_name(d, name),
				   .mgmt = tvqd_mgmt_find(d, name) };
	if (t->own)
		return find_own(t, err);
	if (t->mgmt)
		t->network = t->mgmt->type == TVQ_TYPE_NET;
	else
		ret = find_device(d, name, t, err);
	if (!ret)
		t->port = tvq_device_port(t->mgmt->device, t->device_id);
	return ret;
}

int tvqd_target_port(struct tvqd *d, const char *name, struct tvqd_target *t, char *err)
{
	int ret = tvqd_target_find(d, name, t, err);

	if (ret || t->port)
		return ret;
	if (t->network)
		snprintf(err, TVQD_ERR_LEN, "device '%s' has no port now: it is being deleted",
			 name);
	else
		snprintf(err, TVQD_ERR_LEN, "'%s' is a block device: it has no port", name);
	return t->network ? -EBUSY : -EOPNOTSUPP;
}

int tvqd_name_free(struct tvqd *d, const char *name, bool own, char *err)
{
	if (tvqd_mgmt_find(d, name))
		snprintf(err, TVQD_ERR_LEN, "name '%s' is the management device's", name);
	else if ((own || tvqd_numbered(d)) && is_number(name))
		snprintf(err, TVQD_ERR_LEN,
			 "name '%s': numbers are those of devices; it needs a letter", name);
	else if (tvqd_port_by_name(d, name))
		snprintf(err, TVQD_ERR_LEN,
			 "name '%s' is taken by a port of the switch; switch show lists them",
			 name);
	else if (tvqd_devices_find(&d->devices, name))
		snprintf(err, TVQD_ERR_LEN,
			 "name '%s' is taken by another device; dev show lists them", name);
	else
		return 0;
	return -EEXIST;
}

/* Labels */

bool tvqd_device_label(const struct tvqd_mgmt *m, uint64_t device_id, char label[TVQD_LABEL_LEN])
{
	const struct tvqd_dev *dev;

	if (m == tvqd_numbered(m->d)) {
		snprintf(label, TVQD_LABEL_LEN, "%llu", (unsigned long long)device_id);
		return true;
	}
	dev = tvqd_devices_by_id(&m->d->devices, device_id);
	if (dev)
		memcpy(label, dev->name, strlen(dev->name) + 1);
	return dev;
}

static const char *label_own(struct tvqd *d, uint32_t number, char *label)
{
	static const char *const kinds[] = {
		[TVQD_PORT_UPLINK] = "uplink",
		[TVQD_PORT_SINK] = "sink",
		[TVQD_PORT_SOURCE] = "source",
	};

	for (const struct tvqd_port *p = d->ports.first; p; p = p->next) {
		if (p->number != number)
			continue;
		memcpy(label, p->name, sizeof(p->name));
		return kinds[p->kind];
	}
	return NULL;
}

static const char *label_device(const struct tvqd_mgmt *m, uint64_t device_id, char *label)
{
	if (device_id)
		return tvqd_device_label(m, device_id, label) ? "device" : NULL;
	memcpy(label, m->name, strlen(m->name) + 1);
	return "mgmtdev";
}

void tvqd_port_label(struct tvqd *d, const struct tvq_port *port, uint32_t number,
		     uint64_t device_id, char label[TVQD_LABEL_LEN], struct tvqd_port_about *about)
{
	struct tvqd_port_about a = { .kind = label_own(d, number, label) };

	/* Numbers of devices are those of their own management device; nested ones have some too. */
	for (unsigned int i = 0; !a.kind && i < d->n_mgmts; i++) {
		if (!port || tvq_device_port(d->mgmt[i].device, device_id) != port)
			continue;
		a.kind = label_device(&d->mgmt[i], device_id, label);
		a.mgmtdev = device_id ? d->mgmt[i].name : NULL;
	}
	if (!a.kind) {
		/* Or of one that is being added, for a moment. */
		snprintf(label, TVQD_LABEL_LEN, "#%u", number);
		a = (struct tvqd_port_about){ .kind = "nested" };
	}
	if (about)
		*about = a;
}
