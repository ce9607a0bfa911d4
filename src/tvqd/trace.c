/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <tvq/wire.h>
#include <wire/format.h>

#include "tvqd.h"

struct watcher {
	struct tvqd_stream stream;
	struct tvqd *d;
};

struct fields {
	struct json_object *out, *in;
};

static void add_field(void *ctx, const struct tvq_wire_field *f)
{
	struct fields *fields = ctx;
	struct json_object *value = f->is_number ? json_object_new_uint64(f->number)
						 : json_object_new_string(f->text);

	json_object_object_add(f->in ? fields->in : fields->out, f->name, value);
}

static struct json_object *decode(const struct tvqd_mgmt *mgmt, const struct tvq_wire_msg *m)
{
	struct json_object *event = json_object_new_object(), *o = json_object_new_object();
	struct fields fields = { json_object_new_object(), json_object_new_object() };
	char line[TVQ_COMMAND_LINE];

	tvq_command_format(line, sizeof(line), m);
	tvq_command_fields(m, add_field, &fields);
	json_object_object_add(o, "text", json_object_new_string(line));
	json_object_object_add(o, "mgmtdev", json_object_new_string(mgmt->name));
	json_object_object_add(o, "device_id", json_object_new_uint64(m->device_id));
	json_object_object_add(o, "command",
			       json_object_new_string(tvq_command_name(m->class, m->command)));
	json_object_object_add(o, "ack",
			       json_object_new_string(!m->answered		     ? "none"
						      : m->ack == VIRTIO_TRANSPTQ_OK ? "OK"
										     : "ERR"));
	json_object_object_add(o, "out", fields.out);
	json_object_object_add(o, "in", fields.in);
	json_object_object_add(event, "trace", o);
	return event;
}

static bool send_object(struct tvqd_stream *st, struct json_object *o)
{
	size_t len;
	const char *s = json_object_to_json_string_length(
		o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);

	return s && tvqd_stream_send(st, s, len);
}

/* Before the next event, where one fits again. */
static bool tell_dropped(struct tvqd_stream *st)
{
	struct json_object *o;
	uint64_t n = st->dropped;
	bool sent;

	if (!n)
		return true;
	o = json_object_new_object();
	json_object_object_add(o, "dropped", json_object_new_uint64(n));
	st->dropped = 0;
	sent = send_object(st, o);
	if (!sent)
		st->dropped = n + 1;
	json_object_put(o);
	return sent;
}

static void traced(void *ctx, const struct tvq_cmd *cmd, const void *out)
{
	struct tvqd *d = ctx;
	struct tvqd_stream *st, *next;
	struct json_object *event;
	struct tvq_wire_msg m = {
		.device_id = cmd->device_id,
		.class = cmd->class,
		.command = cmd->command,
		.out = out,
		.out_len = cmd->out_len,
		.answered = !cmd->err || cmd->err == -EIO,
		.ack = cmd->err ? VIRTIO_TRANSPTQ_ERR : VIRTIO_TRANSPTQ_OK,
		.in = cmd->in,
		.in_len = cmd->err ? 0 : cmd->in_got,
	};

	event = decode(tvqd_driven(d), &m);
	/* Sending may end a stream. */
	for (st = d->trace.streams; st; st = next) {
		next = st->next;
		if (tell_dropped(st))
			send_object(st, event);
	}
	json_object_put(event);
}

static void watcher_ended(struct tvqd_stream *st)
{
	struct watcher *w = (struct watcher *)st;
	struct tvqd *d = w->d;

	*st->pprev = st->next;
	if (st->next)
		st->next->pprev = st->pprev;
	if (!d->trace.streams && tvqd_driven(d)->client)
		tvq_client_trace(tvqd_driven(d)->client, NULL, NULL);
	free(w);
}

void tvqd_trace(struct tvqd *d, struct tvqd_call *call)
{
	struct watcher *w = calloc(1, sizeof(*w));

	if (!w) {
		tvqd_reply_err(call, -ENOMEM, "out of memory");
		return;
	}
	w->d = d;
	w->stream.ended = watcher_ended;
	if (tvqd_call_stream(call, &w->stream) < 0) {
		free(w);
		tvqd_reply_err(call, -EALREADY, "this connection is being traced to already");
		return;
	}
	w->stream.next = d->trace.streams;
	w->stream.pprev = &d->trace.streams;
	if (w->stream.next)
		w->stream.next->pprev = &w->stream.next;
	d->trace.streams = &w->stream;
	tvq_client_trace(tvqd_driven(d)->client, traced, d);
	tvqd_reply(call, NULL);
}
