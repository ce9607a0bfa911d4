/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tvqctl, run as a program against the real daemon.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tvqctl/tvqctl.h>

#include "control_lab.h"

static char out[LAB_OUT], err[LAB_OUT];

#define CTL(l, ...)	    lab_ctl((l), NULL, out, err, __VA_ARGS__, NULL)
#define BATCH(l, text, ...) lab_ctl((l), (text), out, err, "-batch", "-", __VA_ARGS__)

static void ok(int status)
{
	if (status)
		fail_msg("exit status %d: %s", status, err);
	assert_string_equal(err, "");
}

static void failed(int status, int expected, const char *why)
{
	assert_int_equal(status, expected);
	assert_holds(err, why);
	assert_string_equal(out, "");
}

static void output_looks_as_the_vdpa_tool_does(void **state)
{
	struct lab *l = *state;

	ok(CTL(l, "volume", "add", "name", "v", "null", "1M"));
	assert_string_equal(out, "");
	ok(CTL(l, "dev", "add", "name", "d", "mgmtdev", "mgmt0", "class", "block", "volume", "v"));
	assert_string_equal(out, "");
	ok(CTL(l, "dev", "show"));
	assert_string_equal(out,
			    "d: type block mgmtdev mgmt0 vendor_id 6900 max_vqs 1 max_vq_size 1024 "
			    "device_id 1 volume v\n");
	ok(CTL(l, "-j", "dev", "show", "d"));
	assert_string_equal(
		out, "{\"dev\":{\"d\":{\"type\":\"block\",\"mgmtdev\":\"mgmt0\",\"vendor_id\":6900,"
		     "\"max_vqs\":1,\"max_vq_size\":1024,\"device_id\":1,\"volume\":\"v\"}}}\n");
	ok(CTL(l, "-jp", "volume", "show", "v"));
	assert_holds(out, "{\n  \"volume\": {\n    \"v\": {\n      \"type\": \"null\",\n");
	ok(CTL(l, "mgmtdev", "show"));
	assert_int_equal(strncmp(out, "mgmt0: \n  supported_classes ", 28), 0);
	assert_holds(out, "\n  max_supported_vqs 64\n  dev_features ");
	ok(CTL(l, "dev", "config", "show"));
	assert_int_equal(strncmp(out, "d: capacity 2048 ", 17), 0);
	assert_holds(out, "\n  negotiated_features\n");
	ok(CTL(l, "dev", "vstats", "show", "d"));
	assert_string_equal(
		out, "d: qidx 0 queue_type request notifications 0 interrupts 0 taken 0 used 0 "
		     "bytes_read 0 bytes_written 0 errors 0 drops 0\n");
}

static void words_may_be_shortened_while_they_are_unambiguous(void **state)
{
	struct lab *l = *state;

	ok(CTL(l, "v", "a", "na", "v", "ram", "4K"));
	ok(CTL(l, "d", "ad", "name", "d", "mg", "mgmt0", "cl", "block", "vo", "v", "cap", "4K"));
	ok(CTL(l, "d", "sh"));
	assert_holds(out, "volume v");
	ok(CTL(l, "d"));
	assert_holds(out, "volume v");
	ok(CTL(l, "d", "li"));
	ok(CTL(l, "d", "c", "s", "d"));
	assert_holds(out, "capacity 8 ");
	ok(CTL(l, "d", "c"));
	ok(CTL(l, "d", "v", "s", "d", "q", "0"));
	ok(CTL(l, "d", "d", "d"));
	failed(CTL(l, "d", "a", "d"), CTL_USAGE,
	       "dev: ambiguous command 'a'; there are: add, announce");
	failed(CTL(l, "volume", "add", "name", "x", "r", "4K"), CTL_USAGE,
	       "volume add: ambiguous argument 'r'; there are: ram, readonly");
	/* In full it is itself, though another begins with it. */
	ok(CTL(l, "volume", "add", "name", "x", "null", "4K"));
}

static void unknown_words_are_refused_with_those_there_are(void **state)
{
	struct lab *l = *state;

	failed(CTL(l, "volumes"), CTL_USAGE,
	       "no object 'volumes'; there are: mgmtdev, dev, volume, switch, uplink, mirror, "
	       "trace, help");
	failed(CTL(l, "dev", "fly"), CTL_USAGE,
	       "dev: no command 'fly'; there are: show, add, del, set, announce, config, vstats");
	failed(CTL(l, "dev", "config", "set"), CTL_USAGE,
	       "dev config: no command 'set'; there are: show");
	failed(CTL(l, "dev", "add", "nome", "d"), CTL_USAGE,
	       "no argument 'nome'; there are: name, ");
	failed(CTL(l, "dev", "add", "name"), CTL_USAGE, "name needs a value");
	failed(CTL(l, "dev", "add", "name", "a", "name", "b"), CTL_USAGE,
	       "name 'b': it is given twice");
	failed(CTL(l, "dev", "del"), CTL_USAGE, "a name is missing");
	failed(CTL(l, "dev", "del", "a", "b"), CTL_USAGE, "unexpected 'b'");
	failed(CTL(l, "--wrong"), CTL_USAGE, "--help");
	failed(CTL(l, "-batch", "x", "dev", "show"), CTL_USAGE, "unexpected 'dev'");
	failed(CTL(l, "dev", "del", "d"), CTL_FAILED, "no device 'd'");
	failed(CTL(l, "dev", "show", "d"), CTL_FAILED, "no device 'd'");
	failed(CTL(l, "dev", "config", "show", "d"), CTL_FAILED, "no device 'd'");
}

static void relative_paths_are_those_of_the_caller(void **state)
{
	struct lab *l = *state;
	char *dir = getcwd(NULL, 0);

	lab_file(l, "img", 4096);
	assert_int_equal(chdir(l->dir), 0);
	ok(CTL(l, "volume", "add", "name", "img", "file", "img"));
	ok(CTL(l, "dev", "add", "name", "d", "mgmtdev", "mgmt0", "class", "block", "volume", "img",
	       "vhost-user", "d.sock"));
	assert_int_equal(chdir(dir), 0);
	free(dir);
	assert_true(lab_exists(l, "d.sock"));
	ok(CTL(l, "volume", "show", "img"));
	assert_holds(out, l->dir);
}

static void daemon_that_is_not_there_is_said(void **state)
{
	struct lab *l = *state;

	failed(CTL(l, "--control", "/nonexistent/x", "dev", "show"), CTL_FAILED,
	       "there is no /nonexistent/x: start tvqd");
	lab_stop(l, SIGKILL);
	while (lab_ctl(l, NULL, out, err, "dev", "show", NULL) == CTL_FAILED &&
	       !strstr(err, "nobody listens on"))
		usleep(10000);
	assert_holds(err, "start tvqd again");
}

static void batch_does_its_lines_in_order(void **state)
{
	ok(BATCH(*state,
		 "# a comment\n\n"
		 "volume add name v null 1M # another\r\n"
		 "  volume add name w null '2M'\n"
		 "dev add name d mgmtdev \"mgmt0\" class block volume w\n"
		 "dev show d\n"
		 "dev del d\n"
		 "volume del w\n"
		 "volume show",
		 NULL));
	assert_holds(out, "d: type block");
	assert_holds(out, "volume w\n");
	assert_holds(out, "\nv: type null");
	assert_null(strstr(out, "\nw:"));
}

static void batch_stops_at_its_first_error_and_names_the_line(void **state)
{
	struct lab *l = *state;

	failed(BATCH(l, "volume add name a null 1M\nvolume del x\nvolume add name b null 1M\n",
		     NULL),
	       CTL_FAILED, "tvqctl: standard input:2: no volume 'x'");
	assert_int_equal(strchr(err, '\n')[1], '\0');
	ok(CTL(l, "volume", "show", "a"));
	failed(CTL(l, "volume", "show", "b"), CTL_FAILED, "no volume 'b'");
	failed(BATCH(l, "volume del a\nvolume fly\nvolume add name b null 1M\n", NULL), CTL_FAILED,
	       "standard input:2: volume: no command 'fly'");
	failed(CTL(l, "volume", "show", "b"), CTL_FAILED, "no volume 'b'");
	failed(BATCH(l, "volume add name 'a\n", NULL), CTL_FAILED, ":1: a quote is not closed");
	failed(CTL(l, "--batch", "/nonexistent/file"), CTL_FAILED, "/nonexistent/file");
}

static void forced_batch_goes_on_after_errors(void **state)
{
	struct lab *l = *state;

	failed(BATCH(l, "volume del x\nfly\nvolume add name b null 1M\ndev show y\nvolume del z\n",
		     "--force", NULL),
	       CTL_FAILED, "standard input:1: no volume 'x'");
	assert_holds(err, "standard input:2: no object 'fly'");
	assert_holds(err, "standard input:4: no device 'y'");
	assert_holds(err, "standard input:5: no volume 'z'");
	ok(CTL(l, "volume", "show", "b"));
}

/* More than are sent ahead at a time, several times. */
static void long_batch_loses_nothing(void **state)
{
	enum { MANY = 2000 };
	struct lab *l = *state;
	char *text = malloc(MANY * 64), *p = text, *line;
	int lines = 0;

	for (int i = 0; i < MANY; i++)
		p += sprintf(p, "volume add name v%d null 1M\n", i);
	ok(BATCH(l, text, NULL));
	ok(CTL(l, "volume", "show"));
	for (line = out; (line = strchr(line, '\n')); line++)
		lines++;
	/* And the pool of RAM volumes. */
	assert_int_equal(lines, MANY + 1);
	ok(CTL(l, "-j", "volume", "show"));
	assert_holds(out, "\"v1999\":");
	/* Each error has its own line. */
	failed(BATCH(l, text, "--force", NULL), CTL_FAILED, "standard input:1: name 'v0' is taken");
	assert_holds(err, "standard input:1500: name 'v1499' is taken");
	assert_holds(err, "standard input:2000: name 'v1999' is taken");
	free(text);
}

static void help_and_version_are_there_without_a_daemon(void **state)
{
	struct lab *l = *state;

	ok(CTL(l, "--help"));
	assert_holds(out, "tvqctl dev vstats show NAME [ qidx N ]");
	ok(CTL(l, "help"));
	ok(CTL(l, "dev", "help"));
	ok(CTL(l, "-V"));
	assert_holds(out, "tvqctl ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, lab_setup, lab_teardown)
		TEST(output_looks_as_the_vdpa_tool_does),
		TEST(words_may_be_shortened_while_they_are_unambiguous),
		TEST(unknown_words_are_refused_with_those_there_are),
		TEST(relative_paths_are_those_of_the_caller),
		TEST(daemon_that_is_not_there_is_said),
		TEST(batch_does_its_lines_in_order),
		TEST(batch_stops_at_its_first_error_and_names_the_line),
		TEST(forced_batch_goes_on_after_errors),
		TEST(long_batch_loses_nothing),
		TEST(help_and_version_are_there_without_a_daemon),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
