/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of functions for a hosted system: Linux, with glibc. */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include <tvq/os.h>

#define ALIGNMENT      64
/*
 * From here on memory comes straight from the kernel, which has it zeroed when it is first touched.
 */
#define MMAP_THRESHOLD (256u << 10)

/* Multiples of this are aligned to it and made of huge pages, where the system has any. */
#define HUGE_PAGE (2u << 20)

static atomic_int max_level = TVQ_LOG_INFO;

static void *alloc_huge(size_t size)
{
	size_t mapped = size + HUGE_PAGE, before;
	uint8_t *p = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	before = -(uintptr_t)p & (HUGE_PAGE - 1);
	if (before)
		munmap(p, before);
	munmap(p + before + size, HUGE_PAGE - before);
	madvise(p + before, size, MADV_HUGEPAGE);
	return p + before;
}

static void *host_alloc(size_t size)
{
	void *p;

	if (size && !(size % HUGE_PAGE))
		return alloc_huge(size);
	if (size >= MMAP_THRESHOLD) {
		p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		return p == MAP_FAILED ? NULL : p;
	}
	if (posix_memalign(&p, ALIGNMENT, size ? size : 1))
		return NULL;
	return memset(p, 0, size);
}

static void host_free(void *p, size_t size)
{
	if (!p)
		return;
	if (size >= MMAP_THRESHOLD)
		munmap(p, size);
	else
		free(p);
}

static uint64_t host_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* What a peer named must not steer a terminal or forge a line. */
static void make_printable(char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
			s[i] = '?';
	}
}

/* One write a line, so that lines of several threads do not mix. */
static void host_vlog(enum tvq_log_level level, const char *fmt, va_list ap)
{
	static const char *const prefix[] = {
		[TVQ_LOG_ERR] = "error: ",
		[TVQ_LOG_WARN] = "warning: ",
		[TVQ_LOG_INFO] = "",
		[TVQ_LOG_DEBUG] = "debug: ",
	};
	char line[1024];
	size_t start, len;
	int n;

	if ((int)level > atomic_load_explicit(&max_level, memory_order_relaxed))
		return;
	start = (size_t)snprintf(line, sizeof(line), "tvq: %s", prefix[level]);
	n = vsnprintf(line + start, sizeof(line) - start, fmt, ap);
	if (n < 0)
		return;
	len = start + (size_t)n;
	if (len > sizeof(line) - 1)
		len = sizeof(line) - 1;
	make_printable(line + start, len - start);
	line[len++] = '\n';
	/* There is nobody to tell that the log is gone. */
	if (write(STDERR_FILENO, line, len) < 0)
		return;
}

static void host_random(void *buf, size_t len)
{
	uint8_t *p = buf;

	while (len) {
		ssize_t n = getrandom(p, len, 0);

		if (n < 0 && errno != EINTR)
			abort(); /* no secret is better than a bad one */
		if (n > 0) {
			p += n;
			len -= (size_t)n;
		}
	}
}

void tvq_os_host_log_level(enum tvq_log_level level)
{
	atomic_store_explicit(&max_level, (int)level, memory_order_relaxed);
}

const struct tvq_os tvq_os_host = {
	.alloc = host_alloc,
	.free = host_free,
	.now = host_now,
	.vlog = host_vlog,
	.random = host_random,
};
