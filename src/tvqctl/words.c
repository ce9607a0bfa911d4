/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tvqctl.h"

static const struct ctl_command commands[] = {
	{ .words = { "mgmtdev", "show" },
	  .usage = "[ MGMTDEV ]",
	  .kind = CTL_SHOW,
	  .name_optional = true,
	  .section = "mgmtdev" },
	{ .words = { "dev", "show" },
	  .usage = "[ NAME ]",
	  .kind = CTL_SHOW,
	  .name_optional = true,
	  .section = "dev" },
	{ .words = { "dev", "add" },
	  .usage = "name NAME mgmtdev MGMTDEV class { block | net }\n"
		   "                [ volume ID ] [ capacity SIZE ] [ num_queues N ]\n"
		   "                [ readonly { on | off } ] [ features MASK ]\n"
		   "                [ blk_size N ] [ vhost-user PATH ]",
	  .args = { { "name", false },
		    { "mgmtdev", false },
		    { "class", false },
		    { "volume", false },
		    { "capacity", false },
		    { "num_queues", false },
		    { "readonly", false },
		    { "features", false },
		    { "blk_size", false },
		    { "vhost-user", true } } },
	{ .words = { "dev", "del" }, .usage = "NAME", .name = true },
	{ .words = { "dev", "config", "show" },
	  .usage = "[ NAME ]",
	  .kind = CTL_SHOW_EACH,
	  .name_optional = true,
	  .section = "config" },
	{ .words = { "dev", "vstats", "show" },
	  .usage = "NAME [ qidx N ]",
	  .kind = CTL_SHOW,
	  .name = true,
	  .section = "vstats",
	  .args = { { "qidx", false } } },
	{ .words = { "volume", "show" },
	  .usage = "[ NAME ]",
	  .kind = CTL_SHOW,
	  .name_optional = true,
	  .section = "volume" },
	{ .words = { "volume", "add" },
	  .usage = "name NAME { file PATH [ direct { on | off } ]\n"
		   "                     [ readonly { on | off } ] | ram SIZE | null SIZE |\n"
		   "                     null,zero SIZE | pool DIR [ size SIZE ]\n"
		   "                     [ direct { on | off } ] }",
	  .args = { { "name", false },
		    { "file", true },
		    { "ram", false },
		    { "null", false },
		    { "null,zero", false },
		    { "pool", true },
		    { "size", false },
		    { "direct", false },
		    { "readonly", false } } },
	{ .words = { "volume", "del" }, .usage = "NAME", .name = true },
	{ .words = { "trace" }, .usage = "", .kind = CTL_TRACE },
	{ .words = { "help" }, .usage = "", .kind = CTL_HELP },
};

#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

const struct ctl_command *ctl_commands(size_t *n)
{
	*n = N_COMMANDS;
	return commands;
}

void ctl_name(const struct ctl_command *cmd, char *buf, size_t size)
{
	snprintf(buf, size, "%s%s%s%s%s", cmd->words[0], cmd->words[1] ? " " : "",
		 cmd->words[1] ? cmd->words[1] : "", cmd->words[2] ? " " : "",
		 cmd->words[2] ? cmd->words[2] : "");
}

void ctl_usage(const char *object)
{
	char name[64];

	for (size_t i = 0; i < N_COMMANDS; i++) {
		if (object && strcmp(commands[i].words[0], object) != 0)
			continue;
		ctl_name(&commands[i], name, sizeof(name));
		printf("       tvqctl %s%s%s\n", name, commands[i].usage[0] ? " " : "",
		       commands[i].usage);
	}
}

/* The choices for one word among the commands that are left: is each said once? */
struct choice {
	const char *word[N_COMMANDS];
	size_t n;
};

static void add_choice(struct choice *c, const char *word)
{
	for (size_t i = 0; i < c->n; i++) {
		if (!strcmp(c->word[i], word))
			return;
	}
	c->word[c->n++] = word;
}

/* In full, or by a prefix that no other has. NULL: none or several, *several says which. */
static const char *choose(const struct choice *c, const char *word, bool *several)
{
	const char *found = NULL;
	size_t len = strlen(word);

	*several = false;
	for (size_t i = 0; i < c->n; i++) {
		if (!strcmp(c->word[i], word))
			return c->word[i];
		if (strncmp(c->word[i], word, len) != 0 || !len)
			continue;
		*several = found != NULL;
		if (*several)
			return NULL;
		found = c->word[i];
	}
	return found;
}

/* Those that start with the prefix. */
static void list_choices(const struct choice *all, const char *prefix, char *err)
{
	struct choice some = { .n = 0 }, *c = &some;
	size_t at = strlen(err);

	for (size_t i = 0; i < all->n; i++) {
		if (!strncmp(all->word[i], prefix, strlen(prefix)))
			add_choice(c, all->word[i]);
	}

	for (size_t i = 0; i < c->n && at < CTL_ERR_LEN; i++)
		at += (size_t)snprintf(err + at, CTL_ERR_LEN - at, "%s %s", i ? "," : "",
				       c->word[i]);
}

static bool same_words(const struct ctl_command *cmd, const char *const *words, int n)
{
	for (int i = 0; i < n; i++) {
		if (!cmd->words[i] || strcmp(cmd->words[i], words[i]) != 0)
			return false;
	}
	return true;
}

static void collect(struct choice *c, const char *const *words, int n)
{
	c->n = 0;
	for (size_t i = 0; i < N_COMMANDS; i++) {
		if (same_words(&commands[i], words, n) && commands[i].words[n])
			add_choice(c, commands[i].words[n]);
	}
}

static const char *choose_word(const struct choice *c, const char *const *words, int n,
			       const char *word, char *err)
{
	bool several;
	const char *w = choose(c, word, &several);

	/* As with iproute2, "list" is another word for "show". */
	if (!w && !several && n && word[0] && !strncmp("list", word, strlen(word)))
		w = choose(c, "show", &several);
	if (w)
		return w;
	if (!n)
		snprintf(err, CTL_ERR_LEN,
			 "%s object '%.64s'; there are:", several ? "ambiguous" : "no", word);
	else
		snprintf(err, CTL_ERR_LEN, "%s%s%s: %s command '%.64s'; there are:", words[0],
			 n > 1 ? " " : "", n > 1 ? words[1] : "", several ? "ambiguous" : "no",
			 word);
	list_choices(c, several ? word : "", err);
	return NULL;
}

const struct ctl_command *ctl_find(int *argc, char ***argv, char *err)
{
	const char *words[CTL_WORDS];
	struct choice c;
	int n = 0;

	for (; n < CTL_WORDS; n++) {
		collect(&c, words, n);
		if (!c.n)
			break;
		/* An object alone shows itself. */
		words[n] = *argc ? choose_word(&c, words, n, **argv, err) : n ? "show" : "help";
		if (!words[n])
			return NULL;
		if (*argc) {
			(*argc)--;
			(*argv)++;
		}
	}
	for (size_t i = 0; i < N_COMMANDS; i++) {
		if (same_words(&commands[i], words, n) && (n == CTL_WORDS || !commands[i].words[n]))
			return &commands[i];
	}
	return NULL;
}

/* Arguments */

static const struct ctl_arg *find_arg(const struct ctl_command *cmd, const char *word, char *err)
{
	struct choice c = { .n = 0 };
	const char *key;
	bool several;

	for (size_t i = 0; i < CTL_ARGS && cmd->args[i].key; i++)
		add_choice(&c, cmd->args[i].key);
	key = choose(&c, word, &several);
	for (size_t i = 0; key && i < CTL_ARGS && cmd->args[i].key; i++) {
		if (!strcmp(cmd->args[i].key, key))
			return &cmd->args[i];
	}
	if (!c.n) {
		snprintf(err, CTL_ERR_LEN, "unexpected '%.64s'", word);
		return NULL;
	}
	snprintf(err, CTL_ERR_LEN, "%s argument '%.64s'; there are:", several ? "ambiguous" : "no",
		 word);
	list_choices(&c, several ? word : "", err);
	return NULL;
}

static struct json_object *absolute(const char *path)
{
	struct json_object *value;
	char *dir, *s;

	dir = path[0] == '/' || !path[0] ? NULL : getcwd(NULL, 0);
	if (!dir)
		return json_object_new_string(path);
	if (asprintf(&s, "%s/%s", dir, path) < 0)
		abort();
	value = json_object_new_string(s);
	free(s);
	free(dir);
	return value;
}

static int add_pair(const struct ctl_command *cmd, struct json_object *args, const char *key,
		    const char *value, char *err)
{
	const struct ctl_arg *arg = find_arg(cmd, key, err);

	if (!arg)
		return -EINVAL;
	if (!value) {
		snprintf(err, CTL_ERR_LEN, "%s needs a value", arg->key);
		return -EINVAL;
	}
	if (json_object_object_get_ex(args, arg->key, NULL)) {
		snprintf(err, CTL_ERR_LEN, "%s '%.64s': it is given twice", arg->key, value);
		return -EINVAL;
	}
	json_object_object_add(args, arg->key,
			       arg->path ? absolute(value) : json_object_new_string(value));
	return 0;
}

struct json_object *ctl_args(const struct ctl_command *cmd, int argc, char **argv, char *err)
{
	struct json_object *args = json_object_new_object();

	if (cmd->name && !argc) {
		snprintf(err, CTL_ERR_LEN, "a name is missing");
		goto wrong;
	}
	if ((cmd->name || cmd->name_optional) && argc) {
		json_object_object_add(args, "name", json_object_new_string(*argv));
		argc--;
		argv++;
	}
	for (; argc > 0; argc -= 2, argv += 2) {
		if (add_pair(cmd, args, argv[0], argc > 1 ? argv[1] : NULL, err) < 0)
			goto wrong;
	}
	return args;
wrong:
	json_object_put(args);
	return NULL;
}
