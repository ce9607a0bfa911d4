/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ways out of a switch (tvq/switch.h): ports behind which are other machines, so that addresses are
 * learned there; and the mirroring of a port to a file. Hosted; for the control executor. Their
 * work is done on the switch's worker, whose executor runs on a tvq_loop.
 */
#ifndef TVQ_UPLINKS_H
#define TVQ_UPLINKS_H

#include <stdbool.h>
#include <stdint.h>

#include <tvq/switch.h>

#define TVQ_UPLINK_ERR_LEN 256

struct tvq_uplink;
struct tvq_mirror;

/* Told once, on the control executor; the object is the caller's until then. */
struct tvq_uplink_done {
	/* err: 0 or -errno; then why has a sentence. */
	void (*fn)(struct tvq_uplink_done *done, int err);
	char why[TVQ_UPLINK_ERR_LEN];
};

enum tvq_uplink_state { TVQ_UPLINK_UP, TVQ_UPLINK_CONNECTING, TVQ_UPLINK_LISTENING };

struct tvq_uplink_cfg {
	uint16_t mtu; /* 0: 1500 */
	/* TAP: name of the device (IFNAMSIZ - 1 bytes at most), which is made where it is not
	 * there. Its kernel does checksums and segmentation (IFF_VNET_HDR). */
	const char *tap;
	/* STREAM: path of a UNIX socket; frames follow each other, each with its length in 32 bits,
	 * big-endian, before it: passt's socket, QEMU's -netdev stream. listen: we make the socket
	 * and take one peer at a time; else we connect, and again when the peer goes. */
	const char *stream;
	bool listen;
	/* Optional: sets what is to hold for the port before a frame passes it. On the worker; 0, or
	 * -errno: the uplink fails. rules_ctx is the caller's until done tells. */
	int (*rules)(struct tvq_port *port, void *ctx);
	void *rules_ctx;
};

/*
 * Exactly one of tap and stream. Returns an uplink that becomes a port later: done tells. NULL: err
 * (TVQ_UPLINK_ERR_LEN) has a sentence, done is not called. Where done tells an error the uplink is
 * gone. The switch must outlive it.
 */
struct tvq_uplink *tvq_uplink_new(struct tvq_switch *sw, const struct tvq_uplink_cfg *cfg,
				  struct tvq_uplink_done *done, char *err);
/* done tells when it is gone, its port too. Not before new's done. */
void tvq_uplink_free(struct tvq_uplink *u, struct tvq_uplink_done *done);
/* Its port: only for the worker (ops of the switch), and only between new's done and free. */
struct tvq_port *tvq_uplink_port(const struct tvq_uplink *u);
enum tvq_uplink_state tvq_uplink_state(const struct tvq_uplink *u);

/*
 * Mirrors a port into a pcap file (nanoseconds, Ethernet), which is made new. What the disk does not
 * take in time is dropped and counted; GSO frames are written as they pass. done as above. A port
 * has one mirror at most. max_bytes 0: no limit; else it stops there.
 *
 * The port may go first: nothing comes any more then, and tvq_mirror_on_gone()'s function is told,
 * on the control executor; tvq_mirror_free() is due all the same. port is touched on the worker
 * only, by an op that is posted from within tvq_mirror_new(): it is enough that it lives then.
 */
struct tvq_mirror *tvq_mirror_new(struct tvq_switch *sw, struct tvq_port *port, const char *path,
				  uint64_t max_bytes, struct tvq_uplink_done *done, char *err);
/* At once where it has gone already. Not called any more after tvq_mirror_free(). */
void tvq_mirror_on_gone(struct tvq_mirror *m, void (*gone)(void *ctx), void *ctx);
/* All that was taken is in the file when done tells. */
void tvq_mirror_free(struct tvq_mirror *m, struct tvq_uplink_done *done);
struct tvq_mirror_stats {
	uint64_t frames, bytes, dropped; /* written; of frames; lost */
};
void tvq_mirror_stats(const struct tvq_mirror *m, struct tvq_mirror_stats *st);

#endif
