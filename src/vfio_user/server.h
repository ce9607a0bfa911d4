/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A vfio-user server: the management device's PCI function (src/pci) on a UNIX socket. One client at a
 * time; a client that breaks the protocol loses its connection and nothing else. Address spaces by
 * TQ-123. Hosted; everything is for the thread of the loop.
 *
 * A client that goes takes its memory along: the queues that lived in it are paused, and go on when
 * a client has mapped the same ranges again; a reset ends the waiting.
 */
#ifndef TVQ_VFIO_USER_SERVER_H
#define TVQ_VFIO_USER_SERVER_H

#include <tvq/loop.h>

#include "pci/pci.h"

struct tvq_vfio_user;

#define TVQ_VFIO_USER_ERR_LEN 256

struct tvq_vfio_user_cfg {
	const char *path;      /* of the socket; replaced where nobody listens there any more */
	struct tvq_loop *loop; /* the control executor's */
	struct tvq_pci_cfg pci;
	uint32_t max_regions; /* mapped by a client at one time; 0: 65535 */
};

/* NULL: err (TVQ_VFIO_USER_ERR_LEN bytes) has a sentence. Does not wait. */
struct tvq_vfio_user *tvq_vfio_user_new(const struct tvq_vfio_user_cfg *cfg, char *err);
/* Ends the connection, resets the device, removes the socket, frees. done->fn comes once. */
void tvq_vfio_user_free(struct tvq_vfio_user *s, struct tvq_pci_done *done);

struct tvq_pci *tvq_vfio_user_pci(struct tvq_vfio_user *s);

/* For whoever shows them. */
struct tvq_vfio_user_stats {
	bool connected;
	uint32_t regions, spaces;
	uint64_t connections, messages, refused; /* connections that broke the protocol */
};
void tvq_vfio_user_stats(const struct tvq_vfio_user *s, struct tvq_vfio_user_stats *st);

#endif
