/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tvqctl: words on a command line become requests on tvqd's control socket, answers become text or
 * JSON. The words and the look of the output are those of the vdpa tool. Values are checked by
 * tvqd, in one place; here only the words are known, and relative paths are made absolute, since
 * tvqd runs elsewhere.
 */
#ifndef TVQCTL_H
#define TVQCTL_H

#include <stdbool.h>
#include <stddef.h>

#include <json-c/json.h>

#define CTL_ERR_LEN 512
#define CTL_WORDS   3

/* Exit status. */
enum { CTL_OK = 0, CTL_FAILED = 1, CTL_USAGE = 2 };

struct ctl_options {
	bool json, pretty;
	bool force;	     /* a batch goes on after an error */
	const char *batch;   /* file of commands, "-": standard input; NULL: none */
	const char *control; /* NULL: the default path */
};

/* The connection. */
struct ctl_client {
	int fd;
	char path[256];
	unsigned long next_id;
	char *out; /* not sent yet */
	size_t out_len, out_cap;
	char *in; /* in[in_pos .. in_len) has been received and not taken */
	size_t in_pos, in_len, in_cap;
};

enum ctl_kind {
	CTL_PLAIN,     /* done or not, nothing to show */
	CTL_ADD,       /* likewise, but for an address that was not asked for and was given */
	CTL_SHOW,      /* shows a section, page by page */
	CTL_SHOW_EACH, /* shows a section that is asked for device by device */
	CTL_TRACE,     /* runs until the connection ends */
	CTL_HELP,
};

enum ctl_value {
	CTL_WORD,
	CTL_PATH, /* made absolute */
	CTL_FLAG, /* the key stands alone */
};

struct ctl_arg {
	const char *key;
	enum ctl_value value;
};
#define CTL_ARGS 20

struct ctl_command {
	const char *words[CTL_WORDS]; /* NULL: no more */
	const char *usage;	      /* what follows the words */
	enum ctl_kind kind;
	bool name, name_optional;      /* a name follows the words, perhaps behind "name" */
	const char *section;	       /* of the answer, for what shows */
	struct ctl_arg args[CTL_ARGS]; /* "key value" pairs and flags; a NULL key ends them */
};

/* words.c */

/* The table; n gets its length. */
const struct ctl_command *ctl_commands(size_t *n);
/*
 * Finds the command that the words name, each in full or by a prefix that fits no other, and moves
 * argc and argv behind them. NULL and a sentence in err (CTL_ERR_LEN).
 */
const struct ctl_command *ctl_find(int *argc, char ***argv, char *err);
/* The arguments of a request from what follows the words. NULL and a sentence in err. */
struct json_object *ctl_args(const struct ctl_command *cmd, int argc, char **argv, char *err);
/* "dev config show", as tvqd calls it. */
void ctl_name(const struct ctl_command *cmd, char *buf, size_t size);
/* Prints the usage of the commands whose words start with the ones given (NULL: all). */
void ctl_usage(const char *object);

/* client.c; errors are printed where err is not asked for. */

/* -errno and a sentence in err. */
int ctl_connect(struct ctl_client *c, const char *path, char *err);
void ctl_disconnect(struct ctl_client *c);
/* Puts a request into the buffer; takes over args. */
void ctl_put(struct ctl_client *c, const char *cmd, struct json_object *args);
/* Sends what is in the buffer. -errno. */
int ctl_flush(struct ctl_client *c);
/* The next line from tvqd; waits. NULL: the connection ended, or what came is no JSON. */
struct json_object *ctl_get(struct ctl_client *c);
/* Sends a request and waits for its answer: "ok" of it, with a reference; NULL and a sentence in
 * err. */
struct json_object *ctl_call(struct ctl_client *c, const char *cmd, struct json_object *args,
			     char *err);
/* The sentence of an answer that is an error, with its errno's name; NULL: it is none. */
const char *ctl_error(struct json_object *answer, const char **name);

/* run.c */

/* One command that shows or traces, or waits for what is done. CTL_OK or CTL_FAILED, with err. */
int ctl_run(struct ctl_client *c, const struct ctl_options *o, const struct ctl_command *cmd,
	    struct json_object *args, char *err);

/* batch.c */
int ctl_batch(struct ctl_client *c, const struct ctl_options *o);

/* show.c */

/* Prints the devices or volumes of an answer's section. */
void ctl_print(const struct ctl_options *o, const char *section, struct json_object *list);
void ctl_print_json(const struct ctl_options *o, struct json_object *root);

int ctl_main(int argc, char **argv);

#endif
