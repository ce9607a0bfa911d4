/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "../tvqd/path.h"
#include "../tvqd/version.h"
#include "tvqctl.h"

enum { OPT_CONTROL = 256, OPT_BATCH, OPT_FORCE };

static const struct option options[] = {
	{ "json", no_argument, NULL, 'j' },
	{ "pretty", no_argument, NULL, 'p' },
	{ "batch", required_argument, NULL, OPT_BATCH },
	{ "force", no_argument, NULL, OPT_FORCE },
	{ "control", required_argument, NULL, OPT_CONTROL },
	{ "Version", no_argument, NULL, 'V' },
	{ "version", no_argument, NULL, 'V' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static void help(void)
{
	fputs("Usage: tvqctl [ OPTIONS ] OBJECT { COMMAND | help }\n", stdout);
	ctl_usage(NULL);
	fputs("\n"
	      "OBJECT, COMMAND and keys may be shortened as long as they are unambiguous.\n"
	      "SIZE is in bytes, or with K, M, G, T; RATE in bits a second, as in 100mbit.\n"
	      "A LIST of VLANs is as in 2,10-20.\n"
	      "\n"
	      "  -j, --json        output in JSON\n"
	      "  -p, --pretty      with --json: indented\n"
	      "  --batch FILE      commands from FILE, one a line; -: from standard input\n"
	      "  --force           with --batch: go on after an error\n"
	      "  --control PATH    control socket of tvqd (root: /run/tvq/tvqd.sock,\n"
	      "                    others: $XDG_RUNTIME_DIR/tvq/tvqd.sock)\n"
	      "  -V, --version     print the version and exit\n"
	      "  -h, --help        print this help and exit\n",
	      stdout);
}

/* -1: go on; else the exit status. */
static int parse_options(struct ctl_options *o, int argc, char **argv)
{
	int opt;

	*o = (struct ctl_options){ 0 };
	optind = 0;
	/* The + stops at the first word. Long options may have one dash, as in "-batch FILE". */
	while ((opt = getopt_long_only(argc, argv, "+jpVh", options, NULL)) >= 0) {
		switch (opt) {
		case 'j':
			o->json = true;
			break;
		case 'p':
			o->pretty = true;
			break;
		case OPT_BATCH:
			o->batch = optarg;
			break;
		case OPT_FORCE:
			o->force = true;
			break;
		case OPT_CONTROL:
			o->control = optarg;
			break;
		case 'V':
			printf("tvqctl %s\n", TVQ_VERSION);
			return CTL_OK;
		case 'h':
			help();
			return CTL_OK;
		default:
			fprintf(stderr, "tvqctl: --help lists options and commands\n");
			return CTL_USAGE;
		}
	}
	return -1;
}

static int connect_to(struct ctl_client *c, const struct ctl_options *o)
{
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)], err[CTL_ERR_LEN];
	const char *control = o->control;

	if (!control) {
		if (tvqd_control_path(path, sizeof(path)) < 0) {
			fprintf(stderr, "tvqctl: XDG_RUNTIME_DIR is not set or too long: name "
					"tvqd's socket by "
					"--control PATH\n");
			return CTL_FAILED;
		}
		control = path;
	}
	if (!ctl_connect(c, control, err))
		return CTL_OK;
	fprintf(stderr, "tvqctl: %s\n", err);
	return CTL_FAILED;
}

static int one_command(const struct ctl_options *o, int argc, char **argv)
{
	const struct ctl_command *cmd;
	struct json_object *args;
	char err[CTL_ERR_LEN], name[64];
	struct ctl_client c;
	int ret;

	/* "tvqctl dev help" */
	if (argc == 2 && !strcmp(argv[1], "help"))
		argc = 0;
	cmd = ctl_find(&argc, &argv, err);
	if (!cmd) {
		fprintf(stderr, "tvqctl: %s\n", err);
		return CTL_USAGE;
	}
	if (cmd->kind == CTL_HELP) {
		help();
		return CTL_OK;
	}
	ctl_name(cmd, name, sizeof(name));
	args = ctl_args(cmd, argc, argv, err);
	if (!args) {
		fprintf(stderr, "tvqctl: %s: %s\nUsage: tvqctl %s %s\n", name, err, name,
			cmd->usage);
		return CTL_USAGE;
	}
	ret = connect_to(&c, o);
	if (ret != CTL_OK) {
		json_object_put(args);
		return ret;
	}
	ret = ctl_run(&c, o, cmd, args, err);
	if (ret != CTL_OK) {
		fflush(stdout);
		fprintf(stderr, "tvqctl: %s\n", err);
	}
	ctl_disconnect(&c);
	return ret;
}

int ctl_main(int argc, char **argv)
{
	struct ctl_options o;
	struct ctl_client c;
	int ret = parse_options(&o, argc, argv);

	if (ret >= 0)
		return ret;
	argc -= optind;
	argv += optind;
	if (!o.batch)
		return one_command(&o, argc, argv);
	if (argc) {
		fprintf(stderr,
			"tvqctl: unexpected '%s': with --batch the commands are in the file\n",
			argv[0]);
		return CTL_USAGE;
	}
	ret = connect_to(&c, &o);
	if (ret != CTL_OK)
		return ret;
	ret = ctl_batch(&c, &o);
	ctl_disconnect(&c);
	return ret;
}
