/* SPDX-License-Identifier: BSD-3-Clause */
#include <tvq/os.h>

void tvq_log(const struct tvq_os *os, enum tvq_log_level level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	os->vlog(level, fmt, ap);
	va_end(ap);
}
