/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory that another party reads and writes at the same time: the only header of the rings with
 * barriers in it. Each use of an acquire, a release or tvq_mb() names what it pairs with.
 *
 * - tvq_load_*, tvq_store_*: one access of that width, neither repeated nor torn by the compiler.
 *   Plain ones order nothing. Values are in the machine's byte order; tvq_le*() converts.
 * - tvq_load_*_acquire: what follows is not read before it.
 * - tvq_store_*_release: all that went before is visible when it is.
 * - tvq_mb(): a store before it is visible to others before a load behind it is made. Only the
 *   check for suppressed notifications needs that: "write index, look at the other's wish" on one
 *   side, "write wish, look at the index" on the other. One of both sees the other's store.
 * - tvq_compiler_barrier(): orders the stores of one thread for whoever looks after its death.
 */
#ifndef TVQ_RING_BARRIER_H
#define TVQ_RING_BARRIER_H

#include <stdint.h>

#define tvq_likely(x)	__builtin_expect(!!(x), 1)
#define tvq_unlikely(x) __builtin_expect(!!(x), 0)

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
static inline uint16_t tvq_le16(uint16_t v)
{
	return v;
}
static inline uint32_t tvq_le32(uint32_t v)
{
	return v;
}
static inline uint64_t tvq_le64(uint64_t v)
{
	return v;
}
#else
static inline uint16_t tvq_le16(uint16_t v)
{
	return __builtin_bswap16(v);
}
static inline uint32_t tvq_le32(uint32_t v)
{
	return __builtin_bswap32(v);
}
static inline uint64_t tvq_le64(uint64_t v)
{
	return __builtin_bswap64(v);
}
#endif

/* Little-endian integers of shared memory. The pointer is aligned to the width. */
#define TVQ_SHARED(bits)                                                                           \
	static inline uint##bits##_t tvq_load_##bits(const uint##bits##_t *p)                      \
	{                                                                                          \
		return tvq_le##bits(__atomic_load_n(p, __ATOMIC_RELAXED));                         \
	}                                                                                          \
	static inline uint##bits##_t tvq_load_##bits##_acquire(const uint##bits##_t *p)            \
	{                                                                                          \
		return tvq_le##bits(__atomic_load_n(p, __ATOMIC_ACQUIRE));                         \
	}                                                                                          \
	static inline void tvq_store_##bits(uint##bits##_t *p, uint##bits##_t v)                   \
	{                                                                                          \
		__atomic_store_n(p, tvq_le##bits(v), __ATOMIC_RELAXED);                            \
	}                                                                                          \
	static inline void tvq_store_##bits##_release(uint##bits##_t *p, uint##bits##_t v)         \
	{                                                                                          \
		__atomic_store_n(p, tvq_le##bits(v), __ATOMIC_RELEASE);                            \
	}

TVQ_SHARED(16)
TVQ_SHARED(32)
TVQ_SHARED(64)

static inline uint8_t tvq_load_8(const uint8_t *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}

static inline void tvq_store_8(uint8_t *p, uint8_t v)
{
	__atomic_store_n(p, v, __ATOMIC_RELAXED);
}

/* An integer of shared memory that virtio does not align (indirect tables). Still read once. */
struct tvq_unaligned64 {
	uint64_t v;
} __attribute__((packed, may_alias));

static inline uint64_t tvq_load_64_unaligned(const void *p)
{
	return tvq_le64(((const volatile struct tvq_unaligned64 *)p)->v);
}

static inline void tvq_mb(void)
{
#if defined(__SANITIZE_THREAD__) || !defined(__x86_64__)
	/* Not a fence: ThreadSanitizer does not know fences. */
	int word = 0;

	__atomic_fetch_add(&word, 1, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
#else
	/* Cheaper than mfence, which clang makes of a fence. */
	__asm__ __volatile__("lock; addl $0, -4(%%rsp)" : : : "memory", "cc");
#endif
}

static inline void tvq_compiler_barrier(void)
{
	__asm__ __volatile__("" : : : "memory");
}

static inline void tvq_prefetch(const void *p)
{
	__builtin_prefetch(p);
}

/* For a line that will be written: it is fetched as this CPU's own, not shared first. */
static inline void tvq_prefetch_write(const void *p)
{
#if defined(__x86_64__)
	/* Compilers leave it out for the oldest of these CPUs, which ignore it. */
	__asm__ __volatile__("prefetchw %0" : : "m"(*(const char *)p));
#else
	__builtin_prefetch(p, 1);
#endif
}

#endif
