/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Mappings of peers' memory. Theory of operation.
 *
 * Sharing. Living mappings are found again by what they map: file, offset, length, rights. A file
 * is known by device, inode number and time of birth (where the file system keeps none, of its last
 * change): numbers of memfds come round after 2^32 of them, and a peer that made its own collide
 * with another's would otherwise be handed the other's memory. All of this is under one lock.
 *
 * Loss. The SIGBUS handler needs to know whose address faulted, and may not take the lock: it runs
 * on a thread that may hold anything. It walks a list of blocks of slots that grows and never
 * shrinks. A slot is guarded by a sequence number, odd while it changes. The handler skips a slot
 * that is changing: the mapping that faulted is in use, so its own slot is at rest.
 *
 * A lost mapping is replaced as a whole, by one mmap over it. Page by page would let a peer that
 * truncates its memory use up the process' mappings (vm.max_map_count), two for each page that is
 * touched.
 *
 * The end. Where the peer is gone, ours is the last mapping of its memory, and taking it down frees
 * that: 0.2 s and more for each GiB, and as much for some thousands of small ones. So whatever ends
 * is put on a list, which one thread for blocking work takes down one by one. Until then it counts
 * for the limits of the process; who meets these while something is on the list helps.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <tvq/loop.h>
#include <tvq/mapping.h>

#include "bus_error.h"

#define BUCKETS	     1024
/*
 * Bytes of all mappings together. A file without content costs a peer nothing, and a process has 2^47
 * bytes of addresses: where they are used up, nothing works any more.
 */
#define MAX_BYTES    (1ull << 46)
/* All mappings together: vm.max_map_count is 65530 by default. */
#define MAX_MAPPINGS 60000

/* What is mapped. Compared as bytes: no padding, zeroed where a member has no meaning. */
struct key {
	uint64_t dev, ino;
	int64_t time_sec;
	uint64_t time_nsec;
	uint64_t offset, len;
	uint64_t writable;
};

struct file_mapping {
	struct tvq_mapping m;
	struct file_mapping *next; /* in its bucket */
	struct key key;
	bool shared; /* it is in a bucket */
	unsigned int refs;
	uint8_t *base; /* what was mapped, whole pages */
	size_t size;
	uint8_t *va; /* what was asked for */
	struct tvq_bus_slot *slot;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct file_mapping *buckets[BUCKETS];
static unsigned int living;
static struct file_mapping *dying; /* to be taken down */
static unsigned int mapped;	   /* living and dying */
static uint64_t mapped_bytes;
static struct tvq_job taker;
static bool taking; /* the job is posted or runs */

static struct file_mapping **bucket_of(const struct key *k)
{
	uint64_t h = (k->dev * 31 + k->ino) * 0x9e3779b97f4a7c15u;

	h = (h ^ k->offset ^ k->len) * 0x9e3779b97f4a7c15u;
	return &buckets[(h >> 32) % BUCKETS];
}

/* With the lock held, as the three below. One that was lost serves nobody new. */
static struct file_mapping *find_shared(const struct key *k)
{
	struct file_mapping *f;

	for (f = *bucket_of(k); f; f = f->next) {
		if (!memcmp(&f->key, k, sizeof(*k)) && !atomic_load(&f->m.lost))
			return f;
	}
	return NULL;
}

static void take_out(struct file_mapping *f)
{
	struct file_mapping **p = bucket_of(&f->key);

	while (*p != f)
		p = &(*p)->next;
	*p = f->next;
}

/* One that is dying, or NULL: the job is over. */
static struct file_mapping *next_dying(void)
{
	struct file_mapping *f;

	pthread_mutex_lock(&lock);
	f = dying;
	if (f)
		dying = f->next;
	else
		taking = false;
	pthread_mutex_unlock(&lock);
	return f;
}

/* With the lock held. */
static bool is_full(uint64_t size)
{
	return mapped >= MAX_MAPPINGS || size > MAX_BYTES - mapped_bytes;
}

/* With the lock held: room for a mapping is made, where waiting for the thread would make it. */
static void make_room(uint64_t size)
{
	while (dying && is_full(size)) {
		struct file_mapping *f = dying;

		dying = f->next;
		munmap(f->base, f->size);
		mapped--;
		mapped_bytes -= f->size;
		free(f);
	}
}

static void take_down(struct tvq_job *j)
{
	struct file_mapping *f;

	(void)j;
	while ((f = next_dying())) {
		munmap(f->base, f->size);
		pthread_mutex_lock(&lock);
		mapped--;
		mapped_bytes -= f->size;
		pthread_mutex_unlock(&lock);
		free(f);
	}
}

static void file_mapping_put(struct tvq_mapping *m)
{
	struct file_mapping *f = (struct file_mapping *)m;
	bool first = false;

	pthread_mutex_lock(&lock);
	if (!--f->refs) {
		if (f->shared)
			take_out(f);
		tvq_bus_slot_clear(f->slot);
		living--;
		f->next = dying;
		dying = f;
		first = !taking;
		taking = true;
	}
	pthread_mutex_unlock(&lock);
	if (!first)
		return;
	taker.run = take_down;
	tvq_job_post(NULL, &taker);
}

/*
 * Maps, and takes a slot. fd -1: anonymous. base offset and size are whole pages. With the lock
 * held.
 */
static struct file_mapping *new_mapping(int fd, uint64_t offset, size_t size, bool writable,
					int *err)
{
	int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
	int prot = writable ? PROT_READ | PROT_WRITE : PROT_READ;
	struct file_mapping *f = calloc(1, sizeof(*f));
	void *base;

	*err = -ENOMEM;
	if (!f)
		return NULL;
	*err = -ENOSPC;
	make_room(size);
	if (is_full(size))
		goto free_mapping;
	base = mmap(NULL, size, prot, flags | MAP_NORESERVE, fd, (off_t)offset);
	if (base == MAP_FAILED) {
		*err = -errno;
		goto free_mapping;
	}
	/* A peer's memory does not belong into our core dump, nor into a child. */
	madvise(base, size, MADV_DONTDUMP);
	madvise(base, size, MADV_DONTFORK);
	f->slot = tvq_bus_slot_set(base, size, prot, &f->m.lost);
	*err = -ENOMEM;
	if (!f->slot)
		goto unmap;
	f->m.put = file_mapping_put;
	f->refs = 1;
	f->base = base;
	f->size = size;
	living++;
	mapped++;
	mapped_bytes += size;
	*err = 0;
	return f;

unmap:
	munmap(base, size);
free_mapping:
	free(f);
	return NULL;
}

/* The size of the pages that a mapping of this file consists of. */
static uint64_t page_size(int fd)
{
	struct statfs fs;

	if (!fstatfs(fd, &fs) && fs.f_type == HUGETLBFS_MAGIC && fs.f_bsize > 0)
		return (uint64_t)fs.f_bsize;
	return (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Fills in which file it is, and checks that what is asked for lies within it. */
static int identify(int fd, struct key *k, bool *regular)
{
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &st))
		return -errno;
	*regular = S_ISREG(st.stx_mode);
	if (*regular && (k->offset > st.stx_size || k->len > st.stx_size - k->offset))
		return -ENXIO;
	k->dev = makedev(st.stx_dev_major, st.stx_dev_minor);
	k->ino = st.stx_ino;
	if (st.stx_mask & STATX_BTIME) {
		k->time_sec = st.stx_btime.tv_sec;
		k->time_nsec = st.stx_btime.tv_nsec;
	} else {
		k->time_sec = st.stx_ctime.tv_sec;
		k->time_nsec = st.stx_ctime.tv_nsec;
	}
	return 0;
}

/* With the lock held. Only regular files are shared: two opens of a device may be two memories. */
static struct file_mapping *get_mapping(int fd, const struct key *k, uint64_t page, bool regular,
					int *err)
{
	uint64_t lead = k->offset % page;
	struct file_mapping *f = regular ? find_shared(k) : NULL;

	if (f) {
		f->refs++;
		return f;
	}
	f = new_mapping(fd, k->offset - lead, (k->len + lead + page - 1) / page * page, k->writable,
			err);
	if (!f)
		return NULL;
	f->va = f->base + lead;
	if (regular) {
		struct file_mapping **bucket = bucket_of(k);

		f->key = *k;
		f->shared = true;
		f->next = *bucket;
		*bucket = f;
	}
	return f;
}

int tvq_mapping_fd(int fd, uint64_t offset, uint64_t len, bool writable, struct tvq_mapping **m,
		   uint8_t **va)
{
	struct key k = { .offset = offset, .len = len, .writable = writable };
	uint64_t page = page_size(fd);
	struct file_mapping *f;
	bool regular = false;
	int err;

	/* Below the largest off_t, with room to round up. */
	if (!len || offset > INT64_MAX || len > INT64_MAX - offset ||
	    INT64_MAX - offset - len < page)
		return -EINVAL;
	err = identify(fd, &k, &regular);
	if (err)
		return err;
	err = tvq_bus_install();
	if (err)
		return err;
	pthread_mutex_lock(&lock);
	f = get_mapping(fd, &k, page, regular, &err);
	pthread_mutex_unlock(&lock);
	if (!f)
		return err;
	*m = &f->m;
	*va = f->va;
	return 0;
}

int tvq_mapping_anon(uint64_t len, struct tvq_mapping **m, uint8_t **va)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	struct file_mapping *f;
	int err;

	if (!len || len > INT64_MAX - page)
		return -EINVAL;
	err = tvq_bus_install();
	if (err)
		return err;
	pthread_mutex_lock(&lock);
	f = new_mapping(-1, 0, (len + page - 1) / page * page, true, &err);
	pthread_mutex_unlock(&lock);
	if (!f)
		return err;
	*m = &f->m;
	*va = f->base;
	return 0;
}

unsigned int tvq_mapping_count(void)
{
	unsigned int n;

	pthread_mutex_lock(&lock);
	n = living;
	pthread_mutex_unlock(&lock);
	return n;
}
