/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the freestanding layers (ring, dma, exec, device) need of an operating system: one table of
 * functions, given by whoever embeds them. libtvq has one for a hosted system: tvq_os_host.
 *
 * All functions may be called on any executor's thread and must not block for longer than an
 * allocation takes.
 */
#ifndef TVQ_OS_H
#define TVQ_OS_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

enum tvq_log_level {
	TVQ_LOG_ERR,
	TVQ_LOG_WARN,
	TVQ_LOG_INFO,
	TVQ_LOG_DEBUG,
};

struct tvq_os {
	/* Zeroed memory, aligned to 64 bytes; NULL when there is none. */
	void *(*alloc)(size_t size);
	/* size is what alloc was called with; p may be NULL. */
	void (*free)(void *p, size_t size);
	/* A monotonic clock in nanoseconds. */
	uint64_t (*now)(void);
	/* One line of log without its newline. */
	void (*vlog)(enum tvq_log_level level, const char *fmt, va_list ap);
	/* Bytes nobody can guess: MAC addresses, hash seeds. */
	void (*random)(void *buf, size_t len);
};

extern const struct tvq_os tvq_os_host;

void tvq_log(const struct tvq_os *os, enum tvq_log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Host only: messages above this level are dropped. Default TVQ_LOG_INFO. */
void tvq_os_host_log_level(enum tvq_log_level level);

#endif
