/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The server: a listening socket, the PCI function, and one client at a time. Theory of operation in
 * internal.h.
 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vfio_user/internal.h"

#define BACKLOG 16

/* The log. */

static bool may_log(struct tvq_vfio_user *s)
{
	uint64_t earned = (vfu_now(s) - s->log_since) / VFU_LOG_EVERY_NS;

	s->log_since += earned * VFU_LOG_EVERY_NS;
	s->log_lines = earned < VFU_LOG_BURST - s->log_lines ? s->log_lines + (unsigned int)earned
							     : VFU_LOG_BURST;
	if (s->log_lines) {
		s->log_lines--;
		return true;
	}
	s->log_left_out++;
	return false;
}

void vfu_say(struct tvq_vfio_user *s, enum tvq_log_level level, const char *fmt, ...)
{
	char text[320], more[64] = "";
	va_list ap;

	if (!may_log(s))
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (s->log_left_out)
		snprintf(more, sizeof(more), " (%u lines before this one were left out)",
			 s->log_left_out);
	s->log_left_out = 0;
	tvq_log(s->os, level, "vfio-user %s%s%s", s->path, text, more);
}

/* Connections. */

/* accept4() looks for a descriptor before it looks for somebody who waits. */
static bool somebody_waits(const struct tvq_vfio_user *s)
{
	struct pollfd pfd = { .fd = s->sock.fd, .events = POLLIN };

	return poll(&pfd, 1, 0) == 1;
}

/* No descriptors, no memory: said once, and tried again, since the socket does not become readable
 * another time. */
static void cannot_accept(struct tvq_vfio_user *s, int err)
{
	bool limit = err == EMFILE || err == ENFILE;

	if (limit && !somebody_waits(s))
		return;
	if (!s->starved)
		vfu_say(s, TVQ_LOG_ERR, ": cannot accept a connection, tries on: %s%s",
			strerror(err),
			limit ? " (raise the limit of open files: LimitNOFILE= of the service, "
				"ulimit -Hn)"
			      : "");
	s->starved = true;
	tvq_timer_set(s->exec, &s->retry, vfu_now(s) + VFU_ACCEPT_RETRY_NS);
}

static int take_one(struct tvq_vfio_user *s, int *pid)
{
	struct ucred peer = { 0 };
	socklen_t len = sizeof(peer);
	int fd;

	do {
		fd = accept4(s->sock.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	} while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
	if (fd < 0) {
		if (errno != EAGAIN)
			cannot_accept(s, errno);
		return -1;
	}
	s->starved = false;
	getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len);
	*pid = (int)peer.pid;
	return fd;
}

static void accept_next(struct tvq_vfio_user *s)
{
	/* A bounded number of those that are turned away. */
	for (unsigned int i = 0; i < BACKLOG; i++) {
		int fd, pid = 0;

		if (s->freeing || (s->conn && vfu_conn_ends(s->conn)))
			return;
		fd = take_one(s, &pid);
		if (fd < 0)
			return;
		if (s->conn) {
			vfu_say(s, TVQ_LOG_WARN,
				": another client (process %d) is turned away: there is one", pid);
			vfu_hang_up(fd);
			close(fd);
			continue;
		}
		s->conn = vfu_conn_new(s, fd);
		if (!s->conn) {
			cannot_accept(s, ENOMEM);
			return;
		}
		s->connections++;
		vfu_say(s, TVQ_LOG_INFO, ": a client has connected (process %d)", pid);
	}
	tvq_timer_set(s->exec, &s->retry, vfu_now(s));
}

static void connectable(struct tvq_watch *w, int events)
{
	struct tvq_vfio_user *s = vfu_container(w, struct tvq_vfio_user, watch);

	if (events < 0)
		vfu_say(s, TVQ_LOG_ERR, ": does not listen any more: %s", strerror(-events));
	else
		accept_next(s);
}

static void retry(struct tvq_timer *t)
{
	accept_next(vfu_container(t, struct tvq_vfio_user, retry));
}

/* The host of the function. */

static struct tvq_vfio_user *of_host(struct tvq_pci_host *h)
{
	return vfu_container(h, struct tvq_vfio_user, host);
}

static struct tvq_space *host_space(struct tvq_pci_host *h, uint32_t asid)
{
	return vfu_dma_space(of_host(h), asid);
}

static void host_irq(struct tvq_pci_host *h, uint16_t vector, struct tvq_exec *e)
{
	vfu_irqs_raise(&of_host(h)->irqs, vector, e);
}

static struct tvq_msi_target *host_msi(struct tvq_pci_host *h, uint64_t addr, uint32_t data)
{
	return vfu_out_target(&of_host(h)->out, addr, data);
}

/* Nothing of what was before is waited for any more. */
static void after_reset(struct tvq_vfio_user *s)
{
	vfu_irqs_forget(&s->irqs);
	vfu_registers_changed(s);
	vfu_dma_release(s);
}

static void host_was_reset(struct tvq_pci_host *h)
{
	after_reset(of_host(h));
}

static const struct tvq_pci_host_ops host_ops = {
	.space = host_space,
	.irq = host_irq,
	.msi = host_msi,
	.was_reset = host_was_reset,
};

/* The interface. */

static void server_free(struct tvq_vfio_user *s)
{
	if (s->pci)
		tvq_pci_free(s->pci);
	vfu_irqs_fini(&s->irqs);
	vfu_dma_fini(s);
	vfu_out_fini(&s->out);
	if (s->sock.fd >= 0)
		close(s->sock.fd);
	free(s->path);
	free(s);
}

static void last_free(struct tvq_msg *m)
{
	struct tvq_vfio_user *s = vfu_container(m, struct tvq_vfio_user, free_msg);
	struct tvq_pci_done *done = s->freed;

	server_free(s);
	if (done)
		done->fn(done);
}

void vfu_was_reset(struct tvq_vfio_user *s)
{
	struct vfu_conn *c = s->conn;

	after_reset(s);
	if (c && c->waits_reset) {
		c->waits_reset = false;
		vfu_done(c, 0);
	}
	/* In a turn of its own: the function may still be on the stack. */
	if (s->last_reset)
		tvq_exec_post(s->exec, &s->free_msg);
}

static void maybe_end(struct tvq_vfio_user *s)
{
	if (s->conn || s->listening)
		return;
	s->last_reset = true;
	vfu_reset(s);
}

void vfu_conn_gone(struct tvq_vfio_user *s)
{
	s->conn = NULL;
	if (s->freeing)
		maybe_end(s);
	else
		accept_next(s);
}

static int make_function(struct tvq_vfio_user *s, const struct tvq_vfio_user_cfg *cfg, char *err)
{
	int ret;

	s->host.ops = &host_ops;
	s->pci = tvq_pci_new(&cfg->pci, &s->host, &ret);
	if (!s->pci) {
		snprintf(err, TVQ_VFIO_USER_ERR_LEN, "%s: cannot make the PCI function: %s",
			 s->path, strerror(-ret));
		return ret;
	}
	ret = vfu_irqs_init(s, &cfg->pci.mgmt);
	if (!ret)
		vfu_registers_changed(s);
	return ret;
}

struct tvq_vfio_user *tvq_vfio_user_new(const struct tvq_vfio_user_cfg *cfg, char *err)
{
	struct tvq_vfio_user *s = calloc(1, sizeof(*s));

	snprintf(err, TVQ_VFIO_USER_ERR_LEN, "no memory");
	if (!s)
		return NULL;
	s->loop = cfg->loop;
	s->exec = tvq_loop_exec(cfg->loop);
	s->os = cfg->pci.mgmt.os;
	s->sock.fd = -1;
	s->log_lines = VFU_LOG_BURST;
	s->dma.max_regions = cfg->max_regions ? cfg->max_regions : VFU_DEFAULT_REGIONS;
	s->retry.fn = retry;
	s->watch.fn = connectable;
	s->free_msg.fn = last_free;
	if (vfu_out_init(&s->out, cfg->loop)) {
		free(s);
		return NULL;
	}
	s->path = strdup(cfg->path);
	if (!s->path || make_function(s, cfg, err) ||
	    tvq_unix_listen(&s->sock, s->path, BACKLOG, err, TVQ_VFIO_USER_ERR_LEN)) {
		server_free(s);
		return NULL;
	}
	s->listening = true;
	tvq_watch_start(s->loop, &s->watch, s->sock.fd, POLLIN);
	return s;
}

static void not_listening(struct tvq_watch *w)
{
	struct tvq_vfio_user *s = vfu_container(w, struct tvq_vfio_user, watch);

	s->listening = false;
	maybe_end(s);
}

void tvq_vfio_user_free(struct tvq_vfio_user *s, struct tvq_pci_done *done)
{
	s->freeing = true;
	s->freed = done;
	tvq_timer_clear(s->exec, &s->retry);
	tvq_unix_unlink(&s->sock, s->path);
	if (s->conn)
		vfu_close(s->conn, TVQ_LOG_INFO, "the device is no longer served");
	tvq_watch_stop(&s->watch, not_listening);
}

struct tvq_pci *tvq_vfio_user_pci(struct tvq_vfio_user *s)
{
	return s->pci;
}

void tvq_vfio_user_stats(const struct tvq_vfio_user *s, struct tvq_vfio_user_stats *st)
{
	st->connected = s->conn != NULL;
	st->regions = s->dma.regions;
	st->spaces = vfu_dma_used_spaces(s);
	st->connections = s->connections;
	st->messages = s->messages;
	st->refused = s->refused;
}
