/* SPDX-License-Identifier: BSD-3-Clause */
/* What is sent to a peer by its descriptors. */
#include <string.h>

#include <present/internal.h>

void vu_signal(struct vu_conn *c, int fd)
{
	int err = fd < 0 ? 0 : tvq_loop_signal(c->p->loop, fd);

	if (err)
		vu_log(c, TVQ_LOG_ERR, "cannot signal the front end: %s", strerror(-err));
}
