/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The values of --serve and --manage.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pci/pci.h>
#include <tvq/device.h>

#include "options.h"

/* "vfio-user:PATH", up to a comma. What follows it, "" or ",...", or NULL: it is something else. */
static const char *parse_vfio_user(struct tvqd_cfg *cfg, const char *arg)
{
	static const char prefix[] = "vfio-user:";
	size_t len;

	if (strncmp(arg, prefix, sizeof(prefix) - 1) != 0)
		return NULL;
	arg += sizeof(prefix) - 1;
	len = strcspn(arg, ",");
	if (!len || len >= sizeof(cfg->socket))
		return NULL;
	memcpy(cfg->socket, arg, len);
	cfg->socket[len] = '\0';
	return arg + len;
}

/* A standard one, or one of the experimental range, which the kernel's
 * built-in virtio_pci leaves alone. */
static int parse_pci_id(struct tvqd_cfg *cfg, const char *s)
{
	char *end;
	unsigned long id;

	if (strncmp(s, "0x", 2) != 0)
		return -EINVAL;
	errno = 0;
	id = strtoul(s, &end, 16);
	if (errno || *end ||
	    (id != 0x1040 + TVQ_TYPE_BLK && id != 0x1040 + TVQ_TYPE_NET &&
	     (id < 0x10f0 || id > 0x10ff)))
		return -EINVAL;
	cfg->pci_device_id = (uint16_t)id;
	return 0;
}

/* One "key=value" behind the path. */
static int parse_serve_key(struct tvqd_cfg *cfg, const char *s, const char **right)
{
	uint64_t n;

	if (!strncmp(s, "id=", 3)) {
		*right = "id=0x1042 (0x1041 with --type net), or id=0x10f0 to id=0x10ff of the "
			 "experimental range";
		return parse_pci_id(cfg, s + 3);
	}
	if (!strncmp(s, "vectors=", 8)) {
		*right = "vectors=1 to vectors=2048";
		if (tvqd_parse_number(s + 8, 1, TVQ_PCI_MAX_VECTORS, &n, NULL) < 0)
			return -EINVAL;
		cfg->pci_vectors = (uint16_t)n;
		return 0;
	}
	if (!strcmp(s, "msi-page=on") || !strcmp(s, "msi-page=off")) {
		cfg->pci_msi_page = s[10] == 'n';
		return 0;
	}
	if (!strcmp(s, "ram-pool=on") || !strcmp(s, "ram-pool=off")) {
		cfg->ram_pool = s[10] == 'n';
		return 0;
	}
	if (!strncmp(s, "msi-page=", 9))
		*right = "msi-page=on or msi-page=off";
	else if (!strncmp(s, "ram-pool=", 9))
		*right = "ram-pool=on or ram-pool=off";
	else
		*right = "id=, vectors=, msi-page= or ram-pool= behind the path, which has no "
			 "comma";
	return -EINVAL;
}

int tvqd_parse_serve(struct tvqd_cfg *cfg, const char *arg, const char **right)
{
	struct tvqd_cfg new = *cfg;
	char key[64];

	*right = "vfio-user:PATH, of at most 107 bytes without a comma, and perhaps ,id=0x10f2 "
		 ",vectors=64 ,msi-page=on ,ram-pool=on";
	new.place = TVQD_SERVE;
	arg = parse_vfio_user(&new, arg);
	if (!arg)
		return -EINVAL;
	while (*arg++ == ',') {
		size_t len = strcspn(arg, ",");

		snprintf(key, sizeof(key), "%.*s", (int)len, arg);
		if (len >= sizeof(key) || parse_serve_key(&new, key, right) < 0)
			return -EINVAL;
		arg += len;
	}
	*cfg = new;
	return 0;
}

int tvqd_parse_manage(struct tvqd_cfg *cfg, const char *arg, const char **right)
{
	struct tvqd_cfg new = *cfg;

	*right = "vfio-user:PATH, of at most 107 bytes without a comma; "
		 "what the function is like is told to the tvqd that serves it";
	new.place = TVQD_MANAGE;
	arg = parse_vfio_user(&new, arg);
	if (!arg || *arg)
		return -EINVAL;
	*cfg = new;
	return 0;
}
