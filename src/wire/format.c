/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Decoding of commands for people. The data is whatever a driver or a device wrote: a field is
 * shown where all its bytes are there, and the rest, be it too little for the next field or more
 * than the command has, as hexadecimal.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <tvq/wire.h>

#include "fields.h"
#include "format.h"

enum show { DEC, HEX, STATUS, TYPE, MAC, TEXT };
enum dir { OUT, IN };

struct field {
	const char *name;
	uint8_t id; /* enum tvq_command_id, or enum config */
	uint8_t dir;
	uint8_t show;
	uint8_t offset, width; /* bytes */
};

enum config { CONFIG_net, CONFIG_blk };

#define ROW(prefix, suffix, d, n, off, w, how)                                                     \
	{ .name = #n,                                                                              \
	  .id = prefix##suffix,                                                                    \
	  .dir = (d),                                                                              \
	  .offset = (off),                                                                         \
	  .width = (w),                                                                            \
	  .show = (how) },
/* One more expansion, so that TVQ_MEMBER becomes two arguments. */
#define ROW_(...) ROW(__VA_ARGS__)
static const struct field fields[] = { TVQ_FIELDS(ROW_, TVQ_COMMAND_) };
static const struct field config_fields[] = { TVQ_CONFIG_FIELDS(ROW_, CONFIG_) };

/* The fields of a command fill what the table says. These are terms of a sum. */
/* NOLINTBEGIN(bugprone-macro-parentheses) */
#define WIDTH(x, suffix, d, n, off, w, how)                                                        \
	+((x) == TVQ_COMMAND_##suffix + (d)*TVQ_COMMANDS ? (w) : 0)
/* NOLINTEND(bugprone-macro-parentheses) */
#define WIDTH_(...) WIDTH(__VA_ARGS__)
#define C(cls, cmd, suffix, out, in, flags)                                                        \
	_Static_assert((out) == TVQ_VAR || (out) == 0 TVQ_FIELDS(WIDTH_, TVQ_COMMAND_##suffix),    \
		       #suffix " out");                                                            \
	_Static_assert((in) == TVQ_VAR ||                                                          \
			       (in) == 0 TVQ_FIELDS(WIDTH_, TVQ_COMMAND_##suffix + TVQ_COMMANDS),  \
		       #suffix " in");
#include <tvq/commands.def>
#undef C

#define HEX_SHOWN 64 /* bytes of data that are shown */
#define TEXT_LEN  (2 * HEX_SHOWN + 32)

struct out {
	void (*fn)(void *ctx, const struct tvq_wire_field *f);
	void *ctx;
	bool in;
};

static void emit_number(const struct out *o, const char *name, uint64_t v, const char *text)
{
	struct tvq_wire_field f = {
		.name = name,
		.in = o->in,
		.is_number = true,
		.number = v,
		.text = text,
	};

	o->fn(o->ctx, &f);
}

static void emit_text(const struct out *o, const char *name, const char *text)
{
	struct tvq_wire_field f = { .name = name, .in = o->in, .text = text };

	o->fn(o->ctx, &f);
}

static void emit_bytes(const struct out *o, const char *name, const uint8_t *p, uint32_t len)
{
	size_t shown = len < HEX_SHOWN ? len : HEX_SHOWN, i;
	char text[TEXT_LEN];

	for (i = 0; i < shown; i++)
		snprintf(text + 2 * i, 3, "%02x", p[i]);
	if (shown < len)
		snprintf(text + 2 * shown, TEXT_LEN - 2 * shown, "..(%" PRIu32 " bytes)", len);
	emit_text(o, name, text);
}

static const char *type_name(uint64_t id)
{
	switch (id) {
	case 1:
		return "net";
	case 2:
		return "block";
	default:
		return NULL;
	}
}

static void status_text(char *text, size_t size, unsigned int v)
{
	static const struct {
		uint8_t bit;
		const char *name;
	} names[] = {
		{ 1, "ACKNOWLEDGE" }, { 2, "DRIVER" },	     { 8, "FEATURES_OK" },
		{ 4, "DRIVER_OK" },   { 64, "NEEDS_RESET" }, { 128, "FAILED" },
	};
	size_t i, len = (size_t)snprintf(text, size, "0x%02x", v);
	char sep = '(';

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!(v & names[i].bit) || len >= size)
			continue;
		len += (size_t)snprintf(text + len, size - len, "%c%s", sep, names[i].name);
		sep = '|';
	}
	if (sep == '|' && len < size)
		snprintf(text + len, size - len, ")");
}

static uint64_t number(const uint8_t *p, unsigned int width)
{
	uint64_t v = 0;

	while (width-- > 0)
		v = v << 8 | p[width];
	return v;
}

/* A text padded with NUL; bytes that are not printable ASCII, space or quotes become dots. */
static void clean_text(char *text, const uint8_t *p, unsigned int width)
{
	unsigned int i;

	for (i = 0; i < width && p[i]; i++)
		text[i] = p[i] > 0x20 && p[i] < 0x7f && p[i] != '"' ? (char)p[i] : '.';
	text[i] = 0;
}

static void emit_field(const struct out *o, const struct field *f, const uint8_t *p)
{
	uint64_t v = f->width <= 8 ? number(p, f->width) : 0;
	char text[128];

	switch (f->show) {
	case MAC:
		snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", p[0], p[1], p[2],
			 p[3], p[4], p[5]);
		emit_text(o, f->name, text);
		return;
	case TEXT:
		clean_text(text, p, f->width);
		emit_text(o, f->name, text);
		return;
	case STATUS:
		status_text(text, sizeof(text), (unsigned int)v);
		break;
	case TYPE:
		if (type_name(v))
			snprintf(text, sizeof(text), "%s", type_name(v));
		else
			snprintf(text, sizeof(text), "%" PRIu64, v);
		break;
	case HEX:
		snprintf(text, sizeof(text), "0x%" PRIx64, v);
		break;
	default:
		snprintf(text, sizeof(text), "%" PRIu64, v);
	}
	emit_number(o, f->name, v, text);
}

/* Returns the bytes shown: fields lie one behind the other. */
static uint32_t emit_fields(const struct out *o, const struct field *f, size_t n, unsigned int id,
			    const uint8_t *p, uint32_t len)
{
	uint32_t shown = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		if (f[i].id != id || f[i].dir != (o->in ? IN : OUT))
			continue;
		if (f[i].offset + (uint32_t)f[i].width > len)
			break;
		emit_field(o, &f[i], p + f[i].offset);
		shown = f[i].offset + (uint32_t)f[i].width;
	}
	return shown;
}

/* Section 5: a dev_config has exactly its type's length. */
static bool emit_config(const struct out *o, uint64_t type, const uint8_t *p, uint32_t len)
{
	unsigned int id;

	if (type == 1 && len == sizeof(struct virtio_transportq_net_config))
		id = CONFIG_net;
	else if (type == 2 && len == sizeof(struct virtio_transportq_blk_config))
		id = CONFIG_blk;
	else
		return false;
	emit_fields(o, config_fields, sizeof(config_fields) / sizeof(config_fields[0]), id, p, len);
	return true;
}

static const char *rest_name(int id, bool in)
{
	if (id == TVQ_COMMAND_create && !in)
		return "dev_config";
	if (id == (in ? TVQ_COMMAND_config_get : TVQ_COMMAND_config_set))
		return "data";
	return in ? "command_in_data" : "command_out_data";
}

static void emit_data(const struct out *o, int id, const uint8_t *p, uint32_t len)
{
	uint32_t shown = 0;

	if (id >= 0)
		shown = emit_fields(o, fields, sizeof(fields) / sizeof(fields[0]), (unsigned int)id,
				    p, len);
	if (shown == len)
		return;
	if (id == TVQ_COMMAND_create && !o->in && shown == 16 &&
	    emit_config(o, number(p, 4), p + shown, len - shown))
		return;
	emit_bytes(o, rest_name(id, o->in), p + shown, len - shown);
}

void tvq_command_fields(const struct tvq_wire_msg *m,
			void (*fn)(void *ctx, const struct tvq_wire_field *f), void *ctx)
{
	const struct tvq_command *def = tvq_command_find(m->class, m->command);
	int id = def ? (int)(def - tvq_commands) : -1;
	struct out o = { .fn = fn, .ctx = ctx };

	if (m->out_len)
		emit_data(&o, id, m->out, m->out_len);
	o.in = true;
	if (m->answered && m->in_len)
		emit_data(&o, id, m->in, m->in_len);
}

struct line {
	char *buf;
	size_t size, len;
	const struct tvq_wire_msg *m;
	bool answer;
};

static void add(struct line *l, const char *a, const char *b, const char *c)
{
	int n = snprintf(l->buf + l->len, l->size - l->len, "%s%s%s", a, b, c);

	l->len += (size_t)n;
	if (l->len >= l->size)
		l->len = l->size - 1;
}

static void add_answer(struct line *l)
{
	char ack[24];

	l->answer = true;
	if (!l->m->answered) {
		add(l, " -> ", "no answer", "");
		return;
	}
	snprintf(ack, sizeof(ack), "ack %" PRIu32, l->m->ack);
	add(l, " -> ",
	    l->m->ack == VIRTIO_TRANSPTQ_OK    ? "OK"
	    : l->m->ack == VIRTIO_TRANSPTQ_ERR ? "ERR"
					       : ack,
	    "");
}

static void add_field(void *ctx, const struct tvq_wire_field *f)
{
	struct line *l = ctx;

	if (f->in && !l->answer)
		add_answer(l);
	add(l, " ", f->name, "=");
	add(l, f->text, "", "");
}

size_t tvq_command_format(char *buf, size_t size, const struct tvq_wire_msg *m)
{
	struct line l = { .buf = buf, .size = size, .m = m };
	char who[24], what[40];

	snprintf(who, sizeof(who), "%" PRIu64 " ", m->device_id);
	if (tvq_command_find(m->class, m->command))
		add(&l, who, tvq_command_name(m->class, m->command), "");
	else {
		snprintf(what, sizeof(what), "class %u command %u", m->class, m->command);
		add(&l, who, what, "");
	}
	tvq_command_fields(m, add_field, &l);
	if (!l.answer)
		add_answer(&l);
	return l.len;
}
