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
		   "                [ readonly { on | off } ] [ blk_size N ]\n"
		   "                [ mac LLADDR ] [ mtu N ] [ max_vqp N ]\n"
		   "                [ vlan { VID | none } ] [ rate { RATE | none } ]\n"
		   "                [ features MASK ] [ vhost-user PATH ]",
	  .kind = CTL_ADD,
	  .name = true,
	  .args = { { "mgmtdev", CTL_WORD },
		    { "class", CTL_WORD },
		    { "volume", CTL_WORD },
		    { "capacity", CTL_WORD },
		    { "num_queues", CTL_WORD },
		    { "readonly", CTL_WORD },
		    { "blk_size", CTL_WORD },
		    { "mac", CTL_WORD },
		    { "mtu", CTL_WORD },
		    { "max_vqp", CTL_WORD },
		    { "vlan", CTL_WORD },
		    { "rate", CTL_WORD },
		    { "features", CTL_WORD },
		    { "vhost-user", CTL_PATH } } },
	{ .words = { "dev", "del" }, .usage = "NAME", .name = true },
	{ .words = { "dev", "set" },
	  .usage = "NAME [ link { up | down } ]\n"
		   "                [ vlan { VID | none } | trunk LIST [ pvid VID ] ]\n"
		   "                [ rate { RATE | none } ] [ pps { N | none } ]\n"
		   "                [ spoofchk { on | off } ]",
	  .name = true,
	  .args = { { "link", CTL_WORD },
		    { "vlan", CTL_WORD },
		    { "trunk", CTL_WORD },
		    { "pvid", CTL_WORD },
		    { "rate", CTL_WORD },
		    { "pps", CTL_WORD },
		    { "spoofchk", CTL_WORD } } },
	{ .words = { "dev", "announce" }, .usage = "NAME", .name = true },
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
	  .args = { { "qidx", CTL_WORD } } },
	{ .words = { "volume", "show" },
	  .usage = "[ NAME ]",
	  .kind = CTL_SHOW,
	  .name_optional = true,
	  .section = "volume" },
	{ .words = { "volume", "add" },
	  .usage = "name NAME { file PATH [ direct { on | off } ]\n"
		   "                     [ readonly { on | off } ] | ram SIZE | null SIZE |\n"
		   "                     null,zero SIZE | pool DIR [ size SIZE ]\n"
		   "                     [ direct { on | off } ] }\n"
		   "                [ mgmtdev MGMTDEV ]",
	  .name = true,
	  .args = { { "file", CTL_PATH },
		    { "ram", CTL_WORD },
		    { "null", CTL_WORD },
		    { "null,zero", CTL_WORD },
		    { "pool", CTL_PATH },
		    { "size", CTL_WORD },
		    { "direct", CTL_WORD },
		    { "readonly", CTL_WORD },
		    { "mgmtdev", CTL_WORD } } },
	{ .words = { "volume", "del" }, .usage = "NAME", .name = true },
	{ .words = { "switch", "show" },
	  .usage = "[ NAME ]",
	  .kind = CTL_SHOW,
	  .name_optional = true,
	  .section = "switch" },
	{ .words = { "switch", "fdb", "show" }, .usage = "", .kind = CTL_SHOW, .section = "fdb" },
	{ .words = { "switch", "port", "add" },
	  .usage = "NAME { sink [ mac LLADDR ] |\n"
		   "                        source [ mac LLADDR ] to LLADDR [ size BYTES ] }",
	  .kind = CTL_ADD,
	  .name = true,
	  .args = { { "sink", CTL_FLAG },
		    { "source", CTL_FLAG },
		    { "mac", CTL_WORD },
		    { "to", CTL_WORD },
		    { "size", CTL_WORD } } },
	{ .words = { "switch", "port", "del" }, .usage = "NAME", .name = true },
	{ .words = { "uplink", "show" },
	  .usage = "[ NAME ]",
	  .kind = CTL_SHOW,
	  .name_optional = true,
	  .section = "uplink" },
	{ .words = { "uplink", "add" },
	  .usage = "NAME { tap IFNAME | stream PATH [ listen { on | off } ] }\n"
		   "                [ mtu N ] [ vlan { VID | none } | trunk LIST [ pvid VID ] ]",
	  .name = true,
	  .args = { { "tap", CTL_WORD },
		    { "stream", CTL_PATH },
		    { "listen", CTL_WORD },
		    { "mtu", CTL_WORD },
		    { "vlan", CTL_WORD },
		    { "trunk", CTL_WORD },
		    { "pvid", CTL_WORD } } },
	{ .words = { "uplink", "del" }, .usage = "NAME", .name = true },
	{ .words = { "mirror", "add" },
	  .usage = "NAME file PATH [ max SIZE ]",
	  .name = true,
	  .args = { { "file", CTL_PATH }, { "max", CTL_WORD } } },
	{ .words = { "mirror", "del" }, .usage = "NAME", .name = true },
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
	static const struct ctl_arg name = { "name", CTL_WORD };
	struct choice c = { .n = 0 };
	const char *key;
	bool several;

	if (cmd->name && cmd->args[0].key)
		add_choice(&c, "name");
	for (size_t i = 0; i < CTL_ARGS && cmd->args[i].key; i++)
		add_choice(&c, cmd->args[i].key);
	key = choose(&c, word, &several);
	if (key && !strcmp(key, name.key))
		return &name;
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

static int add_pair(const struct ctl_arg *arg, struct json_object *args, const char *value,
		    char *err)
{
	if (!value) {
		snprintf(err, CTL_ERR_LEN, "%s needs a value", arg->key);
		return -EINVAL;
	}
	if (json_object_object_get_ex(args, arg->key, NULL)) {
		snprintf(err, CTL_ERR_LEN, "%s '%.64s': it is given twice", arg->key, value);
		return -EINVAL;
	}
	json_object_object_add(args, arg->key,
			       arg->value == CTL_PATH ? absolute(value)
						      : json_object_new_string(value));
	return 0;
}

/* Takes one argument from the words. Returns how many words it was; -EINVAL. */
static int add_arg(const struct ctl_command *cmd, struct json_object *args, int argc, char **argv,
		   char *err)
{
	const struct ctl_arg *arg = find_arg(cmd, argv[0], err);

	if (!arg)
		return -EINVAL;
	if (arg->value == CTL_FLAG) {
		json_object_object_add(args, arg->key, json_object_new_boolean(true));
		return 1;
	}
	return add_pair(arg, args, argc > 1 ? argv[1] : NULL, err) < 0 ? -EINVAL : 2;
}

static bool is_key(const struct ctl_command *cmd, const char *word)
{
	for (size_t i = 0; i < CTL_ARGS && cmd->args[i].key; i++) {
		if (!strcmp(cmd->args[i].key, word))
			return true;
	}
	return false;
}

static bool has_flags(const struct ctl_command *cmd)
{
	for (size_t i = 0; i < CTL_ARGS && cmd->args[i].key; i++) {
		if (cmd->args[i].value == CTL_FLAG)
			return true;
	}
	return false;
}

/*
 * A name may stand first by itself, or be an argument as others, "name NAME". All words are pairs in
 * the second case, so an even number of them tells; but where the second word is a key, and that is
 * not a value, the last one lacks its value. Who calls something "name" says "name name". With
 * arguments that stand alone nothing tells: then it is first.
 */
static bool name_is_first(const struct ctl_command *cmd, int argc, char **argv)
{
	if (!argc || (!cmd->name && !cmd->name_optional))
		return false;
	if (!cmd->args[0].key)
		return true;
	if (!strcmp(argv[0], "name"))
		return false;
	return argc % 2 || is_key(cmd, argv[1]) || has_flags(cmd);
}

struct json_object *ctl_args(const struct ctl_command *cmd, int argc, char **argv, char *err)
{
	struct json_object *args = json_object_new_object();

	if (name_is_first(cmd, argc, argv)) {
		json_object_object_add(args, "name", json_object_new_string(*argv));
		argc--;
		argv++;
	}
	while (argc > 0) {
		int n = add_arg(cmd, args, argc, argv, err);

		if (n < 0)
			goto wrong;
		argc -= n;
		argv += n;
	}
	if (cmd->name && !json_object_object_get_ex(args, "name", NULL)) {
		snprintf(err, CTL_ERR_LEN, "a name is missing");
		goto wrong;
	}
	return args;
wrong:
	json_object_put(args);
	return NULL;
}
