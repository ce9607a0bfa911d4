/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tvqd's command line.
 */
#ifndef TVQD_OPTIONS_H
#define TVQD_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/un.h>

#include <tvq/os.h>

#define TVQD_MAX_WORKERS 64

/* Where the management device is: see where.h. */
enum tvqd_place { TVQD_INPROC, TVQD_SERVE, TVQD_MANAGE };

struct tvqd_cfg {
	char control[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* empty: no socket */
	unsigned int workers;	    /* threads for data; 0: all on the control thread */
	unsigned int n_cpus;	    /* 0: threads may run anywhere */
	int cpus[TVQD_MAX_WORKERS]; /* worker i runs on cpus[i % n_cpus] */
	uint64_t poll_ns; /* before a thread with nothing to do sleeps; UINT64_MAX: never */
	uint32_t max_devices, max_vqs; /* 0: the device's default */
	uint16_t queue_size;	       /* most entries of a queue; 0: the device's default */
	uint32_t type;		       /* virtio's, of the management device itself */
	bool packed;		       /* format of the transportq */
	enum tvqd_place place;
	char socket[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* vfio-user's; not INPROC */
	/* SERVE: the PCI function's; 0: the default */
	uint16_t pci_device_id, pci_vectors;
	bool pci_msi_page;
	bool ram_pool; /* for one that serves: the built-in pool all the same */
	enum tvq_log_level log_level;
	unsigned int max_clients; /* connections to the control socket at one time */
	uint64_t request_ns;	  /* time that a client may take to send one request */
};

enum tvqd_action {
	TVQD_RUN,
	TVQD_EXIT,  /* --help, --version: said, nothing else to do */
	TVQD_USAGE, /* a bad command line: said on stderr */
};

/* Values without a command line; the control path is left empty. */
void tvqd_cfg_default(struct tvqd_cfg *cfg);

/* Fills cfg, its control path included. Prints help, version and mistakes itself. */
enum tvqd_action tvqd_options(struct tvqd_cfg *cfg, int argc, char **argv);

/* "vfio-user:PATH[,id=ID][,vectors=N][,msi-page=on|off][,ram-pool=on|off]", of --serve, and
 * "vfio-user:PATH", of --manage. The id has to fit the type, which is checked by tvqd_options().
 * -EINVAL: *cfg is unchanged, and *right says what would be right. */
int tvqd_parse_serve(struct tvqd_cfg *cfg, const char *arg, const char **right);
int tvqd_parse_manage(struct tvqd_cfg *cfg, const char *arg, const char **right);

/* A plain decimal number from min to max; *end, where given, gets what follows it. -EINVAL. */
int tvqd_parse_number(const char *s, uint64_t min, uint64_t max, uint64_t *v, const char **end);

/* "N" or "N@cpus", cpus being a list as "0,2-3". -EINVAL; *cfg is unchanged then. */
int tvqd_parse_workers(struct tvqd_cfg *cfg, const char *arg);

#endif
