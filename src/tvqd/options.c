/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tvq/device.h>

#include "options.h"
#include "path.h"
#include "version.h"

#define DEFAULT_POLL_US 64
#define DEFAULT_CLIENTS 1024
#define REQUEST_NS	10000000000ull

enum {
	OPT_CONTROL = 256,
	OPT_WORKERS,
	OPT_POLL_US,
	OPT_MAX_DEVICES,
	OPT_MAX_VQS,
	OPT_QUEUE_SIZE,
	OPT_TRANSPORTQ,
	OPT_LOG_LEVEL,
	OPT_SERVE,
	OPT_MANAGE,
	OPT_TYPE,
};

static const struct option options[] = {
	{ "control", required_argument, NULL, OPT_CONTROL },
	{ "workers", required_argument, NULL, OPT_WORKERS },
	{ "poll-us", required_argument, NULL, OPT_POLL_US },
	{ "max-devices", required_argument, NULL, OPT_MAX_DEVICES },
	{ "max-vqs", required_argument, NULL, OPT_MAX_VQS },
	{ "queue-size", required_argument, NULL, OPT_QUEUE_SIZE },
	{ "transportq", required_argument, NULL, OPT_TRANSPORTQ },
	{ "log-level", required_argument, NULL, OPT_LOG_LEVEL },
	{ "serve", required_argument, NULL, OPT_SERVE },
	{ "manage", required_argument, NULL, OPT_MANAGE },
	{ "type", required_argument, NULL, OPT_TYPE },
	{ "version", no_argument, NULL, 'V' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static const char help[] =
	"Usage: tvqd [OPTION]...\n"
	"Serves managed virtio devices through the transport virtqueue of a management device, "
	"mgmt0.\n"
	"tvqctl(8) adds and removes devices.\n"
	"\n"
	"  --control PATH        control socket (root: /run/tvq/tvqd.sock,\n"
	"                        others: $XDG_RUNTIME_DIR/tvq/tvqd.sock)\n"
	"  --workers N[@CPUS]    N threads for data, on these CPUs, as in 2@0,4-6;\n"
	"                        0: one thread does everything (1)\n"
	"  --poll-us N|always    microseconds that an idle thread polls before it sleeps (64)\n"
	"  --max-devices N       most managed devices (65536; with --serve 4096)\n"
	"  --max-vqs N           most virtqueues of all managed devices (262144)\n"
	"  --queue-size N        most entries of a virtqueue, a power of two (1024)\n"
	"  --type net|block      what mgmt0 itself is, a network or a block device (block)\n"
	"  --transportq FORMAT   ring of the transport virtqueue: split or packed (split)\n"
	"  --serve vfio-user:PATH[,id=ID][,vectors=N][,msi-page=on|off]\n"
	"        [,ram-pool=on|off]\n"
	"                        serve mgmt0 as a PCI function on a socket, to QEMU or another\n"
	"                        tvqd, which adds its devices; this one has the volumes and\n"
	"                        the switch, and mgmt1 for devices of its own\n"
	"  --manage vfio-user:PATH\n"
	"                        drive the mgmt0 that is served there, and present its devices\n"
	"  --log-level LEVEL     err, warn, info or debug (info)\n"
	"  -V, --version         print the version and exit\n"
	"  -h, --help            print this help and exit\n";

void tvqd_cfg_default(struct tvqd_cfg *cfg)
{
	*cfg = (struct tvqd_cfg){
		.type = TVQ_TYPE_BLK,
		.workers = 1,
		.poll_ns = DEFAULT_POLL_US * 1000ull,
		.pci_msi_page = true,
		.log_level = TVQ_LOG_INFO,
		.max_clients = DEFAULT_CLIENTS,
		.request_ns = REQUEST_NS,
	};
}

int tvqd_parse_number(const char *s, uint64_t min, uint64_t max, uint64_t *v, const char **end)
{
	char *e;

	if (*s < '0' || *s > '9')
		return -EINVAL;
	errno = 0;
	*v = strtoull(s, &e, 10);
	if (errno || *v < min || *v > max || (!end && *e))
		return -EINVAL;
	if (end)
		*end = e;
	return 0;
}

static int parse_cpus(struct tvqd_cfg *cfg, const char *s)
{
	uint64_t first, last;

	cfg->n_cpus = 0;
	for (;;) {
		if (tvqd_parse_number(s, 0, CPU_SETSIZE - 1, &first, &s) < 0)
			return -EINVAL;
		last = first;
		if (*s == '-' && tvqd_parse_number(s + 1, first, CPU_SETSIZE - 1, &last, &s) < 0)
			return -EINVAL;
		for (; first <= last; first++) {
			if (cfg->n_cpus == TVQD_MAX_WORKERS)
				return -EINVAL;
			cfg->cpus[cfg->n_cpus++] = (int)first;
		}
		if (!*s)
			return 0;
		if (*s++ != ',')
			return -EINVAL;
	}
}

int tvqd_parse_workers(struct tvqd_cfg *cfg, const char *arg)
{
	struct tvqd_cfg new = *cfg;
	uint64_t n;

	if (tvqd_parse_number(arg, 0, TVQD_MAX_WORKERS, &n, &arg) < 0)
		return -EINVAL;
	new.workers = (unsigned int)n;
	if (*arg && (*arg != '@' || parse_cpus(&new, arg + 1) < 0))
		return -EINVAL;
	*cfg = new;
	return 0;
}

static int parse_poll(struct tvqd_cfg *cfg, const char *arg)
{
	uint64_t us;

	if (!strcmp(arg, "always")) {
		cfg->poll_ns = UINT64_MAX;
		return 0;
	}
	if (tvqd_parse_number(arg, 0, 1000000, &us, NULL) < 0)
		return -EINVAL;
	cfg->poll_ns = us * 1000;
	return 0;
}

static int parse_queue_size(struct tvqd_cfg *cfg, const char *arg)
{
	uint64_t n;

	if (tvqd_parse_number(arg, 1, 32768, &n, NULL) < 0 || (n & (n - 1)))
		return -EINVAL;
	cfg->queue_size = (uint16_t)n;
	return 0;
}

static int parse_u32(uint32_t *v, const char *arg)
{
	uint64_t n;

	if (tvqd_parse_number(arg, 1, UINT32_MAX, &n, NULL) < 0)
		return -EINVAL;
	*v = (uint32_t)n;
	return 0;
}

static int parse_format(struct tvqd_cfg *cfg, const char *arg)
{
	if (strcmp(arg, "split") != 0 && strcmp(arg, "packed") != 0)
		return -EINVAL;
	cfg->packed = arg[0] == 'p';
	return 0;
}

static int parse_type(struct tvqd_cfg *cfg, const char *arg)
{
	if (strcmp(arg, "net") != 0 && strcmp(arg, "block") != 0)
		return -EINVAL;
	cfg->type = arg[0] == 'n' ? TVQ_TYPE_NET : TVQ_TYPE_BLK;
	return 0;
}

static int parse_level(struct tvqd_cfg *cfg, const char *arg)
{
	static const char *const names[] = { "err", "warn", "info", "debug" };

	for (unsigned int i = 0; i < 4; i++) {
		if (!strcmp(arg, names[i])) {
			cfg->log_level = (enum tvq_log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

static int parse_control(struct tvqd_cfg *cfg, const char *arg)
{
	if (!arg[0] || strlen(arg) >= sizeof(cfg->control))
		return -EINVAL;
	memcpy(cfg->control, arg, strlen(arg) + 1);
	return 0;
}

/* What would be right; NULL: the option takes no value. */
static int take_option(struct tvqd_cfg *cfg, int opt, const char *arg, const char **right)
{
	switch (opt) {
	case OPT_CONTROL:
		*right = "a path of at most 107 bytes";
		return parse_control(cfg, arg);
	case OPT_WORKERS:
		*right = "a number from 0 to 64, and perhaps @ with a list of CPUs, as in 2@0,4-6";
		return tvqd_parse_workers(cfg, arg);
	case OPT_POLL_US:
		*right = "microseconds from 0 to 1000000, or always";
		return parse_poll(cfg, arg);
	case OPT_MAX_DEVICES:
		*right = "a number from 1 to 4294967295";
		return parse_u32(&cfg->max_devices, arg);
	case OPT_MAX_VQS:
		*right = "a number from 1 to 4294967295";
		return parse_u32(&cfg->max_vqs, arg);
	case OPT_QUEUE_SIZE:
		*right = "a power of two from 1 to 32768";
		return parse_queue_size(cfg, arg);
	case OPT_TRANSPORTQ:
		*right = "split or packed";
		return parse_format(cfg, arg);
	case OPT_TYPE:
		*right = "net or block";
		return parse_type(cfg, arg);
	case OPT_SERVE:
		return tvqd_parse_serve(cfg, arg, right);
	case OPT_MANAGE:
		return tvqd_parse_manage(cfg, arg, right);
	default:
		*right = "err, warn, info or debug";
		return parse_level(cfg, arg);
	}
}

static enum tvqd_action default_control(struct tvqd_cfg *cfg)
{
	int err;

	if (cfg->control[0])
		return TVQD_RUN;
	err = tvqd_control_path(cfg->control, sizeof(cfg->control));
	if (!err)
		return TVQD_RUN;
	if (err == -ENOENT)
		fprintf(stderr, "tvqd: XDG_RUNTIME_DIR is not set: name the control socket by "
				"--control PATH\n");
	else
		fprintf(stderr,
			"tvqd: XDG_RUNTIME_DIR is too long for a socket: use --control PATH\n");
	return TVQD_USAGE;
}

#define GIVEN(name) (1u << (OPT_##name - OPT_CONTROL))

/* What the owner of the device is told, and its driver. */
#define OWNERS                                                                                     \
	(GIVEN(WORKERS) | GIVEN(MAX_DEVICES) | GIVEN(MAX_VQS) | GIVEN(QUEUE_SIZE) | GIVEN(TYPE))
#define DRIVERS GIVEN(TRANSPORTQ)

static enum tvqd_action check_together(struct tvqd_cfg *cfg, unsigned int given)
{
	unsigned int wrong = 0;
	int i;

	if (given & GIVEN(SERVE) && given & GIVEN(MANAGE)) {
		fprintf(stderr,
			"tvqd: --serve and --manage are for two daemons: start one that serves the "
			"device and another, with a --control of its own, that manages it\n");
		return TVQD_USAGE;
	}
	if (cfg->pci_device_id && cfg->pci_device_id < 0x1080 &&
	    cfg->pci_device_id != 0x1040 + cfg->type) {
		fprintf(stderr,
			"tvqd: --serve: id=0x%x is not that of a %s device: 0x%x is, and 0x10f0 to "
			"0x10ff fit any\n",
			cfg->pci_device_id, cfg->type == TVQ_TYPE_NET ? "network" : "block",
			0x1040 + cfg->type);
		return TVQD_USAGE;
	}
	if (cfg->place == TVQD_MANAGE) {
		wrong = given & OWNERS;
		cfg->workers = 0; /* data is served where the device is */
	} else if (cfg->place == TVQD_SERVE) {
		wrong = given & DRIVERS;
	}
	if (!wrong)
		return TVQD_RUN;
	i = OPT_CONTROL + __builtin_ctz(wrong);
	for (const struct option *o = options; o->name; o++) {
		if (o->val != i)
			continue;
		fprintf(stderr, "tvqd: --%s does not go with --%s: %s\n", o->name,
			cfg->place == TVQD_MANAGE ? "manage" : "serve",
			cfg->place == TVQD_MANAGE ? "tell it to the tvqd that serves the device"
						  : "the client that drives the device decides it");
	}
	return TVQD_USAGE;
}

enum tvqd_action tvqd_options(struct tvqd_cfg *cfg, int argc, char **argv)
{
	unsigned int given = 0;
	const char *right;
	int opt, index;

	tvqd_cfg_default(cfg);
	optind = 0;
	while ((opt = getopt_long(argc, argv, "Vh", options, &index)) >= 0) {
		switch (opt) {
		case 'V':
			printf("tvqd %s\n", TVQ_VERSION);
			return TVQD_EXIT;
		case 'h':
			fputs(help, stdout);
			return TVQD_EXIT;
		case '?':
			fprintf(stderr, "tvqd: --help lists the options\n");
			return TVQD_USAGE;
		}
		if (take_option(cfg, opt, optarg, &right) < 0) {
			fprintf(stderr, "tvqd: --%s '%s': expected %s\n", options[index].name,
				optarg, right);
			return TVQD_USAGE;
		}
		given |= 1u << (opt - OPT_CONTROL);
	}
	if (optind < argc) {
		fprintf(stderr, "tvqd: unexpected '%s': tvqd takes options only, see --help\n",
			argv[optind]);
		return TVQD_USAGE;
	}
	if (check_together(cfg, given) != TVQD_RUN)
		return TVQD_USAGE;
	return default_control(cfg);
}
