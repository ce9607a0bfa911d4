/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A small vhost-user front end for a block device: the connection, the memory, the rings' set-up.
 * It is the benchmark's own on purpose: nothing of libtvq is in it, so it favours no server.
 *
 * One thread. Everything blocks, for five seconds at most. Functions return 0 or -errno and have
 * said on stderr what went wrong.
 */
#ifndef VU_FRONT_H
#define VU_FRONT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Where our memory lies in the device's address space: any place but our own virtual address. */
#define VU_GPA 0x40000000ull

struct vu_options {
	const char *path; /* of the server's socket */
	bool packed;	  /* ask for a packed ring; -ENOTSUP where it is not offered */
	bool indirect;
	bool no_event_idx;
	bool inflight;	/* hand over an in-flight area; -ENOTSUP where there is none */
	bool mem_slots; /* ADD_MEM_REG, not SET_MEM_TABLE */
	bool hugetlb;	/* memory from 2 MiB pages */
	uint16_t queue_size;
	size_t mem_size; /* bytes of shared memory */
};

struct vu_front {
	int sock;
	uint64_t features; /* negotiated */
	uint64_t protocol; /* negotiated */
	uint64_t capacity; /* bytes */
	pid_t server;	   /* the process at the other end of the socket */
	uint8_t *mem;	   /* shared with the server; zeroed */
	size_t mem_size;
	int mem_fd, inflight_fd;
	int kick, call; /* eventfds, non-blocking */
	uint16_t queue_size;
	bool running;
};

/* Where the three areas of the ring begin, as offsets into the memory. */
struct vu_ring_at {
	size_t desc, driver, device;
};

/* Connects, negotiates, shares memory. On error f needs no vu_close(). */
int vu_connect(struct vu_front *f, const struct vu_options *o);
/* Sets queue 0 up and starts it. The ring's memory must be ready. */
int vu_start(struct vu_front *f, const struct vu_ring_at *at);
/* Stops queue 0; no request of it is being worked on afterwards. */
int vu_stop(struct vu_front *f);
void vu_close(struct vu_front *f);

static inline uint64_t vu_gpa(const struct vu_front *f, const void *p)
{
	return VU_GPA + (uint64_t)((const uint8_t *)p - f->mem);
}

#endif
