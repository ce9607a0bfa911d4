// SPDX-License-Identifier: BSD-3-Clause
/*
 * tvq-conformance: runs each requirement of the specification that can be seen from the driver's
 * side, as a test of its own, against a management device. TAP on standard output, then a summary
 * table.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conformance/ct.h"
#include "conformance/list.h"
#include "conformance/profile.h"

static const struct ct_test *const suites[] = {
	ct_tests_queue,	   ct_tests_command, ct_tests_broken, ct_tests_resources, ct_tests_vdev,
	ct_tests_status,   ct_tests_config,  ct_tests_msi,    ct_tests_vq,	  ct_tests_notify,
	ct_tests_index,	   ct_tests_space,   ct_tests_types,  ct_tests_net,	  ct_tests_switch,
	ct_tests_inflight, ct_tests_nested,  ct_tests_pci,
};

#define SUITES (sizeof(suites) / sizeof(suites[0]))

static void usage(FILE *to)
{
	fputs("Usage: tvq-conformance [OPTION]... [BUS]\n"
	      "Judges a management device by the transport virtqueue's specification. BUS:\n"
	      "  in-process        libtvq's own device half (the default)\n"
	      "  vfio-user:PATH    the PCI function that a server on this socket has\n"
	      "\n"
	      "  --list            a line for each requirement: number, whom it binds, the test "
	      "that proves it\n"
	      "  --only TEXT       only tests whose name or numbers contain TEXT\n"
	      "  --packed          the transportq as a packed ring\n"
	      "  --workers N       in process: threads for the managed devices' queues (0)\n"
	      "  --type TYPE       in process: what the management device is, net or block "
	      "(block)\n"
	      "  --profile FILE    volumes and limits to use, a word and its value on each line:\n"
	      "                    volume, ro_volume, volume_bytes\n"
	      "  --feature-bits A,B  numbers of VIRTIO_F_TRNSPT_VQ and _VDEV (48,49)\n"
	      "  --verbose         log lines of the device half too\n"
	      "  -V, --version     print the version and exit\n"
	      "  -h, --help        print this help and exit\n",
	      to);
}

struct result {
	unsigned int passed, failed, skipped;
};

static const char *missing(const struct ct *t, unsigned int needs)
{
	if (needs & CT_NEEDS_VOLUME && !t->profile->volume[0])
		return "the profile names no writable volume";
	if (needs & CT_NEEDS_RO_VOLUME && !t->profile->ro_volume[0])
		return "the profile names no read-only volume";
	if (needs & CT_NEEDS_SPACES && !t->bus->ops->space_new)
		return "the bus has no address spaces to give";
	if (needs & (CT_NEEDS_SLOW | CT_NEEDS_CAP | CT_NEEDS_OWNER) && !t->world)
		return "only an in-process device can be slowed down, made small or broken by its "
		       "owner";
	if (needs & CT_NEEDS_PCI && !t->options->path)
		return "the device is no PCI function";
	return NULL;
}

/* The body in a function of its own: nothing of it lives across the longjmp. */
static int run_body(struct ct *t, const struct ct_test *test)
{
	jmp_buf env;
	int how;

	t->fail = &env;
	how = setjmp(env);
	if (!how) {
		uint64_t features, defaults;

		ct_connect(t, 0);
		if (test->needs & CT_NEEDS_NET && !ct_net_type(t, &features, &defaults))
			ct_skip(t, "the device has no managed network devices");
		test->run(t);
	}
	t->fail = NULL;
	return how;
}

/* False: there is no device to run it on. */
static bool run_one(struct ct *t, const struct ct_test *test, unsigned int n, struct result *r)
{
	static const struct ct_limits no_limits;
	const char *why;
	int how;

	if (!ct_open(t, &no_limits) || !ct_prepare(t)) {
		/* TAP's word for: no other test would fare better. */
		printf("not ok %u - %s %s\nBail out! %s\n", n, test->numbers, test->name,
		       t->bus ? "the bus has no memory for the suite" : t->message);
		r->failed++;
		ct_close(t);
		return false;
	}
	why = missing(t, test->needs);
	how = why ? 2 : run_body(t, test);
	if (how == 0) {
		printf("ok %u - %s %s\n", n, test->numbers, test->name);
		r->passed++;
	} else if (how == 1) {
		printf("not ok %u - %s %s\n# %s\n", n, test->numbers, test->name, t->message);
		r->failed++;
	} else {
		printf("ok %u - %s %s # SKIP %s\n", n, test->numbers, test->name,
		       why ? why : t->message);
		r->skipped++;
	}
	fflush(stdout);
	ct_end_test(t);
	/* A world with limits is not passed on, nor is what failed a test. */
	if (t->limited || how == 1) {
		ct_unprepare(t);
		ct_close(t);
		t->limited = false;
	}
	return true;
}

static bool wanted(const struct ct_test *test, const char *only)
{
	return !only || strstr(test->name, only) || strstr(test->numbers, only);
}

static int run_all(const struct ct_options *o, const char *only)
{
	struct result all = { 0 }, per[SUITES] = { { 0 } };
	struct ct t = { .packed = o->packed,
			.options = o,
			.f_vq = CT_F(o->f_vq),
			.f_vdev = CT_F(o->f_vdev),
			.profile = &o->profile };
	unsigned int n = 0;
	bool on = true;

	for (size_t s = 0; s < SUITES; s++)
		for (const struct ct_test *test = suites[s]; test->run && on; test++)
			if (wanted(test, only))
				on = run_one(&t, test, ++n, &per[s]);
	if (t.bus) {
		ct_unprepare(&t);
		ct_close(&t);
	}
	printf("1..%u\n# section           passed failed skipped\n", n);
	for (size_t s = 0; s < SUITES; s++) {
		printf("# %-16s %7u %6u %7u\n", ct_suite_names[s], per[s].passed, per[s].failed,
		       per[s].skipped);
		all.passed += per[s].passed;
		all.failed += per[s].failed;
		all.skipped += per[s].skipped;
	}
	printf("# %u passed, %u failed, %u skipped\n", all.passed, all.failed, all.skipped);
	return all.failed || !n;
}

enum {
	OPT_LIST = 256,
	OPT_ONLY,
	OPT_PACKED,
	OPT_WORKERS,
	OPT_TYPE,
	OPT_PROFILE,
	OPT_BITS,
	OPT_VERBOSE,
};

static const struct option options[] = {
	{ "list", no_argument, NULL, OPT_LIST },
	{ "only", required_argument, NULL, OPT_ONLY },
	{ "packed", no_argument, NULL, OPT_PACKED },
	{ "workers", required_argument, NULL, OPT_WORKERS },
	{ "type", required_argument, NULL, OPT_TYPE },
	{ "profile", required_argument, NULL, OPT_PROFILE },
	{ "feature-bits", required_argument, NULL, OPT_BITS },
	{ "verbose", no_argument, NULL, OPT_VERBOSE },
	{ "version", no_argument, NULL, 'V' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static unsigned int number(const char *what, const char *text, unsigned int max)
{
	char *end;
	unsigned long v;

	errno = 0;
	v = strtoul(text, &end, 10);
	if (errno || end == text || *end || v > max) {
		fprintf(stderr, "tvq-conformance: %s '%s': a number from 0 to %u is right\n", what,
			text, max);
		exit(2);
	}
	return (unsigned int)v;
}

static void feature_bits(const char *text, struct ct_options *o)
{
	unsigned int a, b;
	char rest;

	if (sscanf(text, "%u,%u%c", &a, &b, &rest) != 2 || a > 63 || b > 63 || a == b || !a || !b) {
		fprintf(stderr,
			"tvq-conformance: --feature-bits '%s': two different bits below 64 are "
			"right, "
			"as in 48,49\n",
			text);
		exit(2);
	}
	o->f_vq = (uint8_t)a;
	o->f_vdev = (uint8_t)b;
}

static uint32_t type_of(const char *text)
{
	if (!strcmp(text, "block"))
		return 2;
	if (!strcmp(text, "net"))
		return 1;
	fprintf(stderr, "tvq-conformance: --type '%s': net and block are right\n", text);
	exit(2);
}

static int bus(const char *text, struct ct_options *o)
{
	if (!strncmp(text, "vfio-user:", 10) && text[10]) {
		o->path = text + 10;
		return 0;
	}
	if (!strcmp(text, "in-process"))
		return 0;
	fprintf(stderr,
		"tvq-conformance: bus '%s' is not known: in-process and vfio-user:PATH are\n",
		text);
	return -1;
}

int main(int argc, char **argv)
{
	struct ct_options o = { .f_vq = VIRTIO_F_TRNSPT_VQ, .f_vdev = VIRTIO_F_TRNSPT_VQ_VDEV };
	const char *only = NULL;
	bool list = false, verbose = false;
	const char *profile = NULL;
	int c;

	while ((c = getopt_long(argc, argv, "hV", options, NULL)) != -1) {
		switch (c) {
		case OPT_LIST:
			list = true;
			break;
		case OPT_ONLY:
			only = optarg;
			break;
		case OPT_PACKED:
			o.packed = true;
			break;
		case OPT_WORKERS:
			o.workers = number("--workers", optarg, 8);
			break;
		case OPT_TYPE:
			o.type = type_of(optarg);
			break;
		case OPT_PROFILE:
			profile = optarg;
			break;
		case OPT_BITS:
			feature_bits(optarg, &o);
			break;
		case OPT_VERBOSE:
			verbose = true;
			break;
		case 'V':
			puts("tvq-conformance " TVQ_VERSION);
			return 0;
		case 'h':
			usage(stdout);
			return 0;
		default:
			usage(stderr);
			return 2;
		}
	}
	if (optind < argc && bus(argv[optind], &o))
		return 2;
	if (optind + 1 < argc) {
		fprintf(stderr, "tvq-conformance: '%s': one bus is right\n", argv[optind + 1]);
		return 2;
	}
	/* Another's device has only what its profile names. */
	if (!o.path)
		ct_profile_default(&o.profile);
	if (profile && ct_profile_read(&o.profile, profile))
		return 2;
	tvq_os_host_log_level(verbose ? TVQ_LOG_DEBUG : TVQ_LOG_ERR);
	return list ? ct_list(suites, SUITES) : run_all(&o, only);
}
