/* SPDX-License-Identifier: BSD-3-Clause */
/* One switch with a stream uplink, two users, and a peer of the test's. */
#ifndef TVQ_TESTS_UPLINK_WORLD_H
#define TVQ_TESTS_UPLINK_WORLD_H

#include <time.h>

#include "uplink_lab.h"

static inline bool is_up(const struct tvq_uplink *u)
{
	return tvq_uplink_state(u) == TVQ_UPLINK_UP;
}

static inline uint32_t nth_len(unsigned int number, uint32_t longest)
{
	return 14 + number * 97 % (longest - 13);
}

/* A batch: frames with numbers from first on, of lengths that vary. */
static inline void send_batch(struct ul_user *u, uint8_t to, unsigned int first, unsigned int n,
			      uint32_t longest)
{
	uint8_t *data = malloc(n * (size_t)UL_LONGEST);
	struct tvq_frame f[TVQ_SWITCH_BATCH];
	struct tvq_seg seg[TVQ_SWITCH_BATCH];

	for (unsigned int i = 0; i < n; i++) {
		uint8_t *at = data + (size_t)i * UL_LONGEST;
		uint32_t len = nth_len(first + i, longest);

		ul_frame_fill(at, to, u->cfg.mac[5], first + i, len);
		f[i] = ul_frame(&seg[i], at, len);
	}
	ul_user_send(u, f, n);
	free(data);
}

/* n frames, as many at a time as fit the buffers on their way; all arrive. */
static inline void pass_many(struct ul_user *from, struct ul_user *to, unsigned int n,
			     uint32_t longest)
{
	const unsigned int batch = 16;
	unsigned int before = to->n;

	for (unsigned int i = 0; i < n; i += batch) {
		send_batch(from, to->cfg.mac[5], i, batch, longest);
		ul_user_wait(to, before + i + batch);
		for (unsigned int k = i; k < i + batch; k++)
			ul_kept_is(&to->kept[(before + k) % UL_KEPT], to->cfg.mac[5],
				   from->cfg.mac[5], k, nth_len(k, longest));
	}
}

struct world {
	struct ul_lab lab;
	struct ul_user *a, *b;
	struct tvq_uplink *up;
	char path[100];
	uint8_t *data; /* UL_LONGEST */
};

static inline void world_start(struct world *w, bool listen, uint16_t mtu)
{
	struct tvq_uplink_cfg cfg = { .stream = w->path, .listen = listen, .mtu = mtu };

	snprintf(w->path, sizeof(w->path), "%s", ul_path());
	ul_start(&w->lab, false);
	w->a = ul_user(&w->lab, 1, mtu, NULL);
	w->b = ul_user(&w->lab, 2, mtu, NULL);
	w->up = ul_uplink(&w->lab, &cfg);
	w->data = malloc(UL_LONGEST);
}

static inline void world_end(struct world *w)
{
	ul_uplink_free(&w->lab, w->up);
	ul_user_free(w->a);
	ul_user_free(w->b);
	ul_end(&w->lab);
	free(w->data);
	assert_int_equal(access(w->path, F_OK), -1);
}

/* A world whose uplink listens, and the peer's end of its stream: nobody may have accepted it yet. */
static inline int world_dial(struct world *w, uint16_t mtu)
{
	world_start(w, true, mtu);
	return ul_connect(w->path);
}

/* The same where the uplink is up. */
static inline int world_meet(struct world *w, uint16_t mtu)
{
	int fd = world_dial(w, mtu);

	ul_until(&w->lab, is_up(w->up));
	return fd;
}

/* The same where the peer has made itself known: a frame of its user 9 has come to a. */
static inline int world_greet(struct world *w, uint16_t mtu)
{
	int fd = world_dial(w, mtu);

	ul_write_frame(fd, 1, 9, 0, 60);
	ul_user_wait(w->a, 1);
	return fd;
}

/* The peer goes, then all of it. */
static inline void world_part(struct world *w, int fd)
{
	close(fd);
	world_end(w);
}

static inline struct tvq_port_info uplink_info(struct world *w)
{
	return ul_info(&w->lab, tvq_uplink_port(w->up));
}

static inline uint64_t process_cpu(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* There comes a span in which no thread of the process runs. */
static inline bool stops_running(void)
{
	for (unsigned int i = 0; i < 100; i++) {
		uint64_t before = process_cpu();

		usleep(100000);
		/* Our own going to sleep costs some. */
		if (process_cpu() - before < 200000)
			return true;
	}
	return false;
}

#endif
