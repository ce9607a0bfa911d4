/* SPDX-License-Identifier: BSD-3-Clause */
/* The SIGBUS handler; mapping.c has the theory of operation. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <tvq/dma.h>

#include "bus_error.h"

#define SLOTS_PER_BLOCK 256

struct tvq_bus_slot {
	atomic_uint seq; /* odd: it changes */
	atomic_uintptr_t base;
	atomic_size_t size; /* 0: free */
	atomic_int prot;
	_Atomic(atomic_bool *) lost;
	struct tvq_bus_slot *next_free;
};

struct block {
	struct block *next;
	struct tvq_bus_slot slot[SLOTS_PER_BLOCK];
};

static _Atomic(struct block *) blocks;
static struct tvq_bus_slot *free_slots;

static struct sigaction previous;
static pthread_once_t install_once = PTHREAD_ONCE_INIT;
static int install_err;

static void write_slot(struct tvq_bus_slot *s, uintptr_t base, size_t size, int prot,
		       atomic_bool *lost)
{
	/*
	 * Sequentially consistent throughout: a change is rare, and dwarfed by the mmap next to it.
	 */
	atomic_fetch_add(&s->seq, 1);
	atomic_store(&s->base, base);
	atomic_store(&s->size, size);
	atomic_store(&s->prot, prot);
	atomic_store(&s->lost, lost);
	atomic_fetch_add(&s->seq, 1);
}

static bool add_block(void)
{
	struct block *b = calloc(1, sizeof(*b));

	if (!b)
		return false;
	for (unsigned int i = 0; i < SLOTS_PER_BLOCK; i++) {
		b->slot[i].next_free = free_slots;
		free_slots = &b->slot[i];
	}
	b->next = atomic_load(&blocks);
	atomic_store(&blocks, b);
	return true;
}

struct tvq_bus_slot *tvq_bus_slot_set(void *base, size_t size, int prot, atomic_bool *lost)
{
	struct tvq_bus_slot *s;

	if (!free_slots && !add_block())
		return NULL;
	s = free_slots;
	free_slots = s->next_free;
	write_slot(s, (uintptr_t)base, size, prot, lost);
	return s;
}

void tvq_bus_slot_clear(struct tvq_bus_slot *s)
{
	write_slot(s, 0, 0, 0, NULL);
	s->next_free = free_slots;
	free_slots = s;
}

/* What the handler knows of a mapping. */
struct faulted {
	uintptr_t base;
	size_t size;
	int prot;
	atomic_bool *lost;
};

/* True where the slot is at rest and its mapping holds addr. Async-signal-safe, as all below. */
static bool slot_holds(struct tvq_bus_slot *s, uintptr_t addr, struct faulted *f)
{
	unsigned int seq = atomic_load(&s->seq);

	f->base = atomic_load(&s->base);
	f->size = atomic_load(&s->size);
	f->prot = atomic_load(&s->prot);
	f->lost = atomic_load(&s->lost);
	return !(seq & 1) && seq == atomic_load(&s->seq) && addr - f->base < f->size;
}

static bool find_faulted(uintptr_t addr, struct faulted *f)
{
	for (struct block *b = atomic_load(&blocks); b; b = b->next) {
		for (unsigned int i = 0; i < SLOTS_PER_BLOCK; i++) {
			if (slot_holds(&b->slot[i], addr, f))
				return true;
		}
	}
	return false;
}

/* False where the system has no memory left even for that. */
static bool replace(const struct faulted *f)
{
	/* The system call itself: mmap() may have been wrapped by something that takes locks. */
	if (syscall(SYS_mmap, f->base, f->size, f->prot,
		    MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) < 0)
		return false;
	/*
	 * The count last: who sees it move finds the mark. Two threads may fault at once; it counts
	 * once.
	 */
	if (!atomic_exchange(f->lost, true))
		atomic_fetch_add(&tvq_dma_lost_count, 1);
	return true;
}

/* Does what would have been done without us. */
static void call_previous(int sig, siginfo_t *info, void *context)
{
	bool sent = info->si_code <= 0;

	if (previous.sa_flags & SA_SIGINFO) {
		previous.sa_sigaction(sig, info, context);
	} else if (previous.sa_handler == SIG_IGN && sent) {
		return;
	} else if (previous.sa_handler == SIG_DFL || previous.sa_handler == SIG_IGN) {
		/*
		 * A fault happens again at return, and then ends the process; a signal that was
		 * sent does not.
		 */
		signal(sig, SIG_DFL);
		if (sent)
			raise(sig);
	} else {
		previous.sa_handler(sig);
	}
}

static void on_bus_error(int sig, siginfo_t *info, void *context)
{
	int saved = errno;
	struct faulted f;

	if (info->si_code <= 0 || !find_faulted((uintptr_t)info->si_addr, &f) || !replace(&f))
		call_previous(sig, info, context);
	errno = saved;
}

static void install(void)
{
	struct sigaction sa = {
		.sa_sigaction = on_bus_error,
		.sa_flags = SA_SIGINFO | SA_ONSTACK,
	};

	sigemptyset(&sa.sa_mask);
	if (sigaction(SIGBUS, &sa, &previous))
		install_err = -errno;
}

int tvq_bus_install(void)
{
	pthread_once(&install_once, install);
	return install_err;
}
