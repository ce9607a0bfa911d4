/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files of src/volume share. Private to the folder.
 */
#ifndef TVQ_VOLUME_INTERNAL_H
#define TVQ_VOLUME_INTERNAL_H

#include <stdatomic.h>
#include <stddef.h>

#include <tvq/volumes.h>

#define tvq_volume_of(p, type, member) ((type *)(void *)((char *)(p)-offsetof(type, member)))

/*
 * Sets id, ops and one reference; limits are the caller's to fill. NULL where id is not 1 to 20
 * printable characters without a blank, with err and errno set, else v.
 */
struct tvq_volume *tvq_volume_init(struct tvq_volume *v, const struct tvq_volume_ops *ops,
				   const char *id, char *err);

/* Writes the sentence to err (TVQ_VOLUME_ERR_LEN bytes), sets errno to code; always NULL. */
void *tvq_volume_fail(char *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The limits of a volume that is plain memory. False, with err and errno set: no size for a volume.
 */
bool tvq_volume_memory_limits(struct tvq_volume_limits *l, uint64_t size, char *err);

/* Sets bit in *seen; true the first time: the cause is to be logged. Any thread. */
static inline bool tvq_volume_first(atomic_uint *seen, unsigned int bit)
{
	return !(atomic_fetch_or_explicit(seen, 1U << bit, memory_order_relaxed) & (1U << bit));
}

/* Blocking work that nobody waits for, run in order on a thread of its own. w is the caller's
 * again, to be freed or posted anew, when fn is called. Never fails: without a thread it runs in
 * place. Any thread. */
struct tvq_volume_work {
	struct tvq_volume_work *next;
	void (*fn)(struct tvq_volume_work *w);
};
void tvq_volume_later(struct tvq_volume_work *w);

/* Channels without a state of their own. */
int tvq_volume_plain_open(struct tvq_volume *v, struct tvq_exec *e, struct tvq_volume_channel **ch);
void tvq_volume_plain_close(struct tvq_volume_channel *ch);

/* The path of a file volume, NULL for the others. Valid as long as the volume. */
const char *tvq_volume_path(const struct tvq_volume *v);

/*
 * As tvq_volume_file(), for an image that was made for one device: its file is unlinked when the
 * volume goes, whoever drops the last reference.
 */
struct tvq_volume *tvq_volume_file_made(const char *id, const struct tvq_file_cfg *cfg, char *err);

#endif
