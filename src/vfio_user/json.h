/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The numbers of the version message, by json-c. The text is a peer's: hostile. The depth of nesting
 * is bounded.
 */
#ifndef TVQ_VFIO_USER_JSON_H
#define TVQ_VFIO_USER_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is looked for in the object of a name; found and value are filled in. */
struct vfu_json_number {
	const char *key;
	bool found;
	uint64_t value;
};

/*
 * text (len bytes, no NUL among them) is one JSON object. Fills in what its member named object, an
 * object itself, holds of the n numbers, one beyond 64 bits as the largest; what else there is, is
 * skipped. False: it is no JSON object, that member is no object, one of those is no whole number
 * from 0 on, or there is no memory.
 */
bool vfu_json_numbers(const char *text, size_t len, const char *object, struct vfu_json_number *num,
		      unsigned int n);

#endif
