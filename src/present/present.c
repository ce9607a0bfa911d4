/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The presenter: a listening socket, and one connection at a time. Theory of operation in
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

#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>

#include <present/internal.h>

#define ERR_LEN 256

/*
 * TQ-151: features that a vhost-user front end never sees. Addresses are translated here, so its
 * driver has nothing to do with ACCESS_PLATFORM, which the presenter sets itself; there are no
 * virtual functions and no administration queue on this way; notifications carry no data, since
 * they are eventfds; and a transportq is for libtvq's own drivers.
 */
static const uint8_t never_passed[] = {
	33, /* ACCESS_PLATFORM */
	37, /* SR_IOV */
	38, /* NOTIFICATION_DATA */
	41, /* ADMIN_VQ */
	VIRTIO_F_TRNSPT_VQ,
	VIRTIO_F_TRNSPT_VQ_VDEV,
};

/* And of a network: front ends serve its control queue themselves, and these are nothing without
 * what the device would be told there. */
static const uint8_t never_passed_net[] = {
	2,  /* CTRL_GUEST_OFFLOADS */
	51, /* HASH_TUNNEL */
	52, /* VQ_NOTF_COAL */
	53, /* NOTF_COAL */
	57, /* HASH_REPORT */
	60, /* RSS */
};

#define PROTOCOL_FEATURES                                                                          \
	(1ull << VU_PF_MQ | 1ull << VU_PF_REPLY_ACK | 1ull << VU_PF_BACKEND_REQ |                  \
	 1ull << VU_PF_CONFIG | 1ull << VU_PF_BACKEND_SEND_FD | 1ull << VU_PF_RESET_DEVICE |       \
	 1ull << VU_PF_CONFIGURE_MEM_SLOTS | 1ull << VU_PF_STATUS)

static uint64_t passed_features(const struct tvq_vhost_user_cfg *cfg)
{
	uint64_t features = cfg->features;
	unsigned int i;

	for (i = 0; i < sizeof(never_passed); i++)
		features &= ~(1ull << never_passed[i]);
	for (i = 0; i < sizeof(never_passed_net) && cfg->virtio_device_id == VIRTIO_ID_NET; i++)
		features &= ~(1ull << never_passed_net[i]);
	return features | 1ull << VU_F_PROTOCOL_FEATURES;
}

/* A network's buffers are used in order, which is what an in-flight area is there to make up for. */
static uint64_t protocol_features(const struct tvq_vhost_user_cfg *cfg)
{
	if (cfg->virtio_device_id != VIRTIO_ID_NET)
		return PROTOCOL_FEATURES | 1ull << VU_PF_INFLIGHT_SHMFD;
	return PROTOCOL_FEATURES | 1ull << VU_PF_NET_MTU | (cfg->announce ? 1ull << VU_PF_RARP : 0);
}

static struct vu_limits limits(const struct tvq_vhost_user_cfg *cfg)
{
	/* A ring's index has eight bits in the messages that carry a descriptor. */
	unsigned int n = cfg->num_queues < 256 ? cfg->num_queues : 256;

	/* A network's control queue is the odd one, and no ring of a front end's. */
	if (cfg->virtio_device_id == VIRTIO_ID_NET)
		n &= ~1u;
	return (struct vu_limits){ (uint16_t)n, cfg->max_queue_size, passed_features(cfg),
				   protocol_features(cfg) };
}

/* The log. */

static bool may_log(struct tvq_vhost_user *p)
{
	uint64_t earned = (vu_now(p) - p->log_since) / VU_LOG_EVERY_NS;

	p->log_since += earned * VU_LOG_EVERY_NS;
	p->log_lines = earned < VU_LOG_BURST - p->log_lines ? p->log_lines + (unsigned int)earned
							    : VU_LOG_BURST;
	if (p->log_lines) {
		p->log_lines--;
		return true;
	}
	p->log_left_out++;
	return false;
}

void vu_say(struct tvq_vhost_user *p, enum tvq_log_level level, const char *fmt, ...)
{
	char text[320], more[64] = "";
	va_list ap;

	if (!may_log(p))
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (p->log_left_out)
		snprintf(more, sizeof(more), " (%u lines before this one were left out)",
			 p->log_left_out);
	p->log_left_out = 0;
	tvq_log(p->os, level, "%s: vhost-user%s%s", p->name, text, more);
}

/* Connections. */

/* accept4() looks for a descriptor before it looks for somebody who waits. */
static bool somebody_waits(const struct tvq_vhost_user *p)
{
	struct pollfd pfd = { .fd = p->sock.fd, .events = POLLIN };

	return poll(&pfd, 1, 0) == 1;
}

/* No descriptors, no memory: said once, and tried again, since the socket does not become readable
 * another time. */
static void cannot_accept(struct tvq_vhost_user *p, int err)
{
	bool limit = err == EMFILE || err == ENFILE;

	if (limit && !somebody_waits(p))
		return;
	if (!p->starved)
		vu_say(p, TVQ_LOG_ERR, ": cannot accept a connection, tries on: %s%s",
		       strerror(err),
		       limit ? " (raise the limit of open files: LimitNOFILE= of the service, "
			       "ulimit -Hn)"
			     : "");
	p->starved = true;
	tvq_timer_set(p->bus->exec, &p->retry, vu_now(p) + VU_ACCEPT_RETRY_NS);
}

static void accept_next(struct tvq_vhost_user *p)
{
	struct ucred peer = { 0 };
	socklen_t len = sizeof(peer);
	int fd;

	/* Not once the socket is shut: a timer may come late. */
	if (p->conn || p->freeing || !p->listening)
		return;
	do {
		fd = accept4(p->sock.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	} while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
	if (fd < 0) {
		if (errno != EAGAIN)
			cannot_accept(p, errno);
		return;
	}
	getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len);
	p->conn = vu_conn_new(p, fd);
	if (!p->conn) {
		cannot_accept(p, ENOMEM);
		return;
	}
	p->starved = false;
	p->connections++;
	vu_say(p, TVQ_LOG_INFO, ": a front end has connected (process %d)", (int)peer.pid);
}

static void connectable(struct tvq_watch *w, int events)
{
	struct tvq_vhost_user *p = vu_container(w, struct tvq_vhost_user, watch);

	if (events < 0)
		vu_say(p, TVQ_LOG_ERR, ": does not listen any more: %s", strerror(-events));
	else
		accept_next(p);
}

static void retry(struct tvq_timer *t)
{
	accept_next(vu_container(t, struct tvq_vhost_user, retry));
}

static void presenter_free(struct tvq_vhost_user *p)
{
	if (p->sock.fd >= 0)
		close(p->sock.fd);
	free(p->name);
	free(p->path);
	free(p->kept);
	free(p);
}

static void maybe_freed(struct tvq_vhost_user *p)
{
	struct tvq_done *done = p->freed;

	if (p->conn || p->listening)
		return;
	presenter_free(p);
	if (done)
		done->fn(done, 0);
}

void vu_conn_gone(struct tvq_vhost_user *p)
{
	p->conn = NULL;
	if (p->freeing)
		maybe_freed(p);
	else if (p->link_down)
		vu_link_deaf(p);
	else
		accept_next(p);
}

void vu_listen(struct tvq_vhost_user *p)
{
	p->watch.fn = connectable;
	p->listening = true;
	p->stopping = false;
	tvq_watch_start(p->loop, &p->watch, p->sock.fd, POLLIN);
}

bool vu_unlistened(struct tvq_vhost_user *p)
{
	p->listening = false;
	if (!p->freeing)
		return false;
	maybe_freed(p);
	return true;
}

/* The interface. */

static int check_bus(const struct tvq_bus_ops *ops, char *err)
{
	if (ops->notify_fd && ops->msi_fd && ops->msi_fd_free)
		return 0;
	snprintf(err, ERR_LEN, "the bus %s has no way for a front end's eventfds", ops->name);
	return -EOPNOTSUPP;
}

struct tvq_vhost_user *tvq_vhost_user_new(struct tvq_client *c,
					  const struct tvq_vhost_user_cfg *cfg, char *err)
{
	struct tvq_bus *b = tvq_client_bus(c);
	struct tvq_vhost_user *p = calloc(1, sizeof(*p));
	int ret = -ENOMEM;

	snprintf(err, ERR_LEN, "no memory");
	if (!p)
		goto fail;
	p->client = c;
	p->bus = b;
	p->loop = tvq_exec_loop(b->exec);
	p->os = b->os;
	p->device_id = cfg->device_id;
	p->features = cfg->features;
	p->type = cfg->virtio_device_id;
	p->asid = cfg->asid;
	p->lim = limits(cfg);
	p->announce = cfg->announce;
	p->announce_ctx = cfg->announce_ctx;
	p->half_open_ms = cfg->half_open_ms ? cfg->half_open_ms : VU_HALF_OPEN_MS;
	p->sock.fd = -1;
	p->log_lines = VU_LOG_BURST;
	p->name = strdup(cfg->name);
	p->path = strdup(cfg->path);
	if (!p->name || !p->path)
		goto fail;
	ret = check_bus(b->ops, err);
	if (!ret)
		ret = tvq_unix_listen(&p->sock, p->path, VU_BACKLOG, err, ERR_LEN);
	if (ret)
		goto fail;
	p->retry.fn = retry;
	vu_listen(p);
	return p;

fail:
	if (p)
		presenter_free(p);
	errno = -ret;
	return NULL;
}

static void not_listening(struct tvq_watch *w)
{
	vu_unlistened(vu_container(w, struct tvq_vhost_user, watch));
}

void vu_unlisten(struct tvq_vhost_user *p, void (*stopped)(struct tvq_watch *w))
{
	p->stopping = true;
	tvq_watch_stop(&p->watch, stopped);
}

void tvq_vhost_user_free(struct tvq_vhost_user *p, struct tvq_done *done)
{
	p->freeing = true;
	p->freed = done;
	tvq_timer_clear(p->bus->exec, &p->retry);
	tvq_unix_unlink(&p->sock, p->path);
	vu_link_free(p);
	if (p->conn)
		vu_close(p->conn, TVQ_LOG_INFO, "the device is no longer presented");
	if (!p->listening)
		maybe_freed(p);
	else if (!p->stopping)
		vu_unlisten(p, not_listening);
}

void tvq_vhost_user_info(const struct tvq_vhost_user *p, struct tvq_vhost_user_info *info)
{
	info->path = p->path;
	info->connected = p->conn != NULL;
	info->connections = p->connections;
	info->running = p->conn && p->conn->dev == VU_DEV_LIVE && vu_any_running(p->conn);
}
