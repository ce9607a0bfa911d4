/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Transportq commands: per second with one and with 64 in flight, CREATE and DESTROY pairs per
 * second, each with 1, 1,000 and 60,000 managed devices living; bytes of memory for an idle managed
 * device with one queue. The driver never sleeps.
 *
 *     bench_commands [--bus vfio-user:PATH] [--volumes null|ram] [ROW...]
 *
 * Rows are those whose names begin so; none: all. Without --bus the device is in this process, and
 * one thread does it all; --volumes says of which kind its volumes are (null). With it the
 * volumes are those that the server makes. The rows of memory and of 60,000 devices are for devices
 * in this process with null volumes.
 *
 * Each result is a line of JSON: {"name","unit","value","higher_is_better"}; the value is the
 * median of short runs.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "target.h"

#define RUNS	 7
#define RUN_NS	 150000000ull
#define PIPELINE 64
#define MOST	 60000

struct bench {
	struct target target;
	uint64_t *ids; /* of the living devices */
	unsigned int n;
	uint32_t rnd;
	uint64_t done, until;
	unsigned int in_flight;
	bool over;
};

static const char *const *wanted;
static int n_wanted;

static uint64_t now(void)
{
	return tvq_os_host.now();
}

static bool is_wanted(const char *name)
{
	for (int i = 0; i < n_wanted; i++)
		if (!strncmp(name, wanted[i], strlen(wanted[i])))
			return true;
	return !n_wanted;
}

static void report(const char *name, const char *unit, double value, bool higher)
{
	printf("{\"name\":\"%s\",\"unit\":\"%s\",\"value\":%.6g,\"higher_is_better\":%s}\n", name,
	       unit, value, higher ? "true" : "false");
	fflush(stdout);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* Runs work() for short times and reports how much it did a second. */
static void measure(struct bench *b, const char *row, unsigned int living,
		    void (*work)(struct bench *b), const char *unit)
{
	double rate[RUNS];
	char name[64];

	snprintf(name, sizeof(name), "%s/%u", row, living);
	if (!is_wanted(name))
		return;
	for (int i = 0; i < RUNS; i++) {
		uint64_t start = now(), end;

		b->done = 0;
		b->over = false;
		b->until = start + RUN_NS;
		work(b);
		end = now();
		rate[i] = (double)b->done * 1e9 / (double)(end - start);
	}
	qsort(rate, RUNS, sizeof(rate[0]), compare);
	report(name, unit, rate[RUNS / 2], true);
}

static uint64_t pick(struct bench *b)
{
	b->rnd = b->rnd * 1664525 + 1013904223;
	return b->ids[(uint64_t)b->rnd * b->n >> 32];
}

/* The clock is read seldom. */
static bool time_is_up(struct bench *b)
{
	if (!(b->done & 255) && now() >= b->until)
		b->over = true;
	return b->over;
}

/* ---- commands ---- */

struct slot {
	struct tvq_cmd cmd;
	struct bench *b;
	uint8_t status;
};

static void start_get(struct slot *s)
{
	s->cmd.device_id = pick(s->b);
	tvq_client_submit(s->b->target.client, &s->cmd);
}

static void got(struct tvq_cmd *cmd)
{
	struct slot *s = (struct slot *)cmd;

	if (cmd->err)
		target_fail("STATUS GET", cmd->err);
	s->b->done++;
	if (time_is_up(s->b))
		s->b->in_flight--;
	else
		start_get(s);
}

static void commands(struct bench *b, unsigned int depth)
{
	static struct slot slots[PIPELINE];

	b->in_flight = depth;
	for (unsigned int i = 0; i < depth; i++) {
		slots[i] = (struct slot){
			.cmd = {
				.class = VIRTIO_TRANSPTQ_CTRL_STATUS,
				.command = VIRTIO_TRANSPTQ_CTRL_STATUS_GET,
				.in = &slots[i].status, .in_len = 1, .done = got,
			},
			.b = b,
		};
		start_get(&slots[i]);
	}
	while (b->in_flight)
		target_turn(&b->target);
}

static void one_in_flight(struct bench *b)
{
	commands(b, 1);
}

static void many_in_flight(struct bench *b)
{
	commands(b, PIPELINE);
}

/* ---- CREATE and DESTROY ---- */

struct pair {
	struct tvq_create create;
	struct tvq_cmd destroy;
	struct bench *b;
};

static void destroyed(struct tvq_cmd *cmd)
{
	struct pair *p = (struct pair *)((char *)cmd - offsetof(struct pair, destroy));

	if (cmd->err)
		target_fail("DESTROY", cmd->err);
	p->b->done++;
	if (time_is_up(p->b))
		p->b->in_flight--;
	else
		tvq_client_create(p->b->target.client, &p->create);
}

static void created(struct tvq_create *cr)
{
	struct pair *p = (struct pair *)cr;

	if (cr->err)
		target_fail("CREATE", cr->err);
	p->destroy = (struct tvq_cmd){
		.device_id = cr->device_id,
		.class = VIRTIO_TRANSPTQ_CTRL_VDEV,
		.command = VIRTIO_TRANSPTQ_CTRL_VDEV_DESTROY,
		.done = destroyed,
	};
	tvq_client_submit(p->b->target.client, &p->destroy);
}

static void pairs(struct bench *b)
{
	static struct pair pair[PIPELINE];

	b->in_flight = PIPELINE;
	for (unsigned int i = 0; i < PIPELINE; i++) {
		pair[i] = (struct pair){
			.create = { .virtio_device_id = TVQ_TYPE_BLK, .done = created },
			.b = b,
		};
		tvq_client_create(b->target.client, &pair[i].create);
	}
	while (b->in_flight)
		target_turn(&b->target);
}

/* ---- the living ---- */

static void grow(struct bench *b, unsigned int n)
{
	while (b->n < n) {
		struct tvq_create cr = { .virtio_device_id = TVQ_TYPE_BLK };

		if (tvq_client_create_call(b->target.client, &cr))
			target_fail("CREATE", cr.err);
		b->ids[b->n++] = cr.device_id;
	}
}

static size_t heap(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

/* Of the process, in bytes: devices are not in the heap. */
static size_t resident(void)
{
	unsigned long pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (!f || fscanf(f, "%*u %lu", &pages) != 1)
		target_fail("/proc/self/statm", 0);
	fclose(f);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* Without the volume that is made for each: measured alone and taken off. */
static void memory(struct bench *b, unsigned int from, unsigned int to)
{
	struct tvq_volume *v[256];
	size_t before, volume, all;
	char why[TVQ_VOLUME_ERR_LEN];

	if (!is_wanted("memory"))
		return;
	before = heap();
	for (int i = 0; i < 256; i++) {
		v[i] = tvq_volume_null("x", 1 << 20, false, why);
		if (!v[i])
			target_fail(why, 0);
	}
	volume = (heap() - before) / 256;
	for (int i = 0; i < 256; i++)
		tvq_volume_put(v[i]);
	grow(b, from);
	before = resident();
	grow(b, to);
	all = (resident() - before) / (to - from);
	report("memory/idle-device", "bytes", (double)(all - volume), false);
	report("memory/its-null-volume", "bytes", (double)volume, false);
}

static void usage(void)
{
	fputs("usage: bench_commands [--bus vfio-user:PATH] [--volumes null|ram] [ROW...]\n",
	      stderr);
	exit(2);
}

static void parse(int argc, char **argv, struct target_cfg *cfg)
{
	int i;

	for (i = 1; i < argc && !strncmp(argv[i], "--", 2); i += 2) {
		if (i + 1 == argc)
			usage();
		if (!strcmp(argv[i], "--bus"))
			cfg->bus = argv[i + 1];
		else if (!strcmp(argv[i], "--volumes") && !strcmp(argv[i + 1], "ram"))
			cfg->maker = TVQ_MAKER_RAM;
		else if (strcmp(argv[i], "--volumes") != 0 || strcmp(argv[i + 1], "null") != 0)
			usage();
	}
	wanted = (const char *const *)argv + i;
	n_wanted = argc - i;
}

int main(int argc, char **argv)
{
	static const unsigned int living[] = { 1, 1000, MOST };
	struct target_cfg cfg = { .maker = TVQ_MAKER_NULL, .volume_bytes = 1 << 20 };
	struct bench b = { .rnd = 1 };
	int n;

	parse(argc, argv, &cfg);
	n = cfg.bus || cfg.maker != TVQ_MAKER_NULL ? 2 : 3;
	target_open(&b.target, &cfg);
	b.ids = calloc(MOST, sizeof(*b.ids));
	if (!b.ids)
		target_fail("no memory", 0);
	for (int i = 0; i < n; i++) {
		if (living[i] == MOST)
			memory(&b, 5000, 25000);
		grow(&b, living[i]);
		measure(&b, "commands/1-in-flight", living[i], one_in_flight, "commands/s");
		measure(&b, "commands/64-in-flight", living[i], many_in_flight, "commands/s");
		measure(&b, "create-destroy", living[i], pairs, "pairs/s");
	}
	target_close(&b.target);
	free(b.ids);
	return 0;
}
