/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "server.h"

static struct json_object *new_answer(struct tvqd_call *call)
{
	struct json_object *answer = json_object_new_object();

	if (call->rq.id)
		json_object_object_add(answer, "id", json_object_get(call->rq.id));
	return answer;
}

void tvqd_reply(struct tvqd_call *call, struct json_object *result)
{
	struct json_object *answer = new_answer(call);

	json_object_object_add(answer, "ok", result ? result : json_object_new_object());
	call->reply(call, answer);
}

void tvqd_reply_err(struct tvqd_call *call, int err, const char *fmt, ...)
{
	struct json_object *answer = new_answer(call);
	const char *name = strerrorname_np(-err);
	char text[TVQD_ERR_LEN];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	json_object_object_add(answer, "error", json_object_new_string(text));
	json_object_object_add(answer, "errno", json_object_new_string(name ? name : "EIO"));
	call->reply(call, answer);
}
