/* SPDX-License-Identifier: BSD-3-Clause */
/* Small things of the freestanding layers. */
#ifndef TVQ_DEVICE_UTIL_H
#define TVQ_DEVICE_UTIL_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* -ffreestanding makes them calls; the compiler knows better what to do with small constant sizes.
 */
#define memcpy __builtin_memcpy
#define memset __builtin_memset
#define memcmp __builtin_memcmp

#define tvq_container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

/* Little-endian integers at any alignment (TQ-001). */
static inline uint16_t tvq_get16(const void *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? v : __builtin_bswap16(v);
}

static inline uint32_t tvq_get32(const void *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? v : __builtin_bswap32(v);
}

static inline uint64_t tvq_get64(const void *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? v : __builtin_bswap64(v);
}

/* The same of memory that another party may change: one access, which is not repeated. */
#define TVQ_PEEK(bits)                                                                             \
	static inline uint##bits##_t tvq_peek##bits(const void *p)                                 \
	{                                                                                          \
		const volatile struct {                                                            \
			uint##bits##_t v;                                                          \
		} __attribute__((packed, may_alias)) *word = p;                                    \
		uint##bits##_t v = word->v;                                                        \
                                                                                                   \
		return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? v : __builtin_bswap##bits(v);   \
	}

TVQ_PEEK(16)
TVQ_PEEK(32)
TVQ_PEEK(64)

static inline void tvq_put16(void *p, uint16_t v)
{
	v = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? v : __builtin_bswap16(v);
	memcpy(p, &v, sizeof(v));
}

static inline void tvq_put32(void *p, uint32_t v)
{
	v = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? v : __builtin_bswap32(v);
	memcpy(p, &v, sizeof(v));
}

static inline void tvq_put64(void *p, uint64_t v)
{
	v = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? v : __builtin_bswap64(v);
	memcpy(p, &v, sizeof(v));
}

#endif
