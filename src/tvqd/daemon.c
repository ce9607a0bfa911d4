/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Set-up and tear-down, which mirror each other:
 *
 *   loop, workers, pool, management devices or the way to them (where.h) with their clients,
 *   devices, control socket
 *
 * The end: the control socket goes first, so that nothing new begins; requests under way run to
 * their end; uplinks and mirrors go; presenters end their connections and devices; the reset of a
 * management device destroys what is left of its own (TQ-055). The last goes first: the switch is
 * that of mgmt0. Where storage hangs, block devices are left behind, but never ports.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include <poll.h>

#include <present/vhost_user.h>

#include "mgmt.h"
#include "tvqd.h"
#include "volumes.h"

/* How long the end may wait for requests, and for presenters. */
#define END_NS 4000000000ull

static void raise_fd_limit(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) < 0 || rl.rlim_cur == rl.rlim_max)
		return;
	rl.rlim_cur = rl.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &rl) < 0)
		tvq_log(&tvq_os_host, TVQ_LOG_WARN, "cannot raise RLIMIT_NOFILE to %llu: %s",
			(unsigned long long)rl.rlim_max, strerror(errno));
}

static int start_loops(struct tvqd *d, char *err)
{
	struct tvq_loop_cfg cfg = { .poll_ns = d->cfg.workers ? 0 : d->cfg.poll_ns,
				    .cpu = -1,
				    .name = "tvqd" };
	char name[24];
	int ret = 0;

	d->loop = tvq_loop_new(&cfg, &ret);
	if (!d->loop)
		goto failed;
	d->exec = tvq_loop_exec(d->loop);
	cfg.poll_ns = d->cfg.poll_ns;
	cfg.name = name;
	for (unsigned int i = 0; i < d->cfg.workers; i++) {
		struct tvq_loop *l;

		snprintf(name, sizeof(name), "tvqd-w%u", i);
		cfg.cpu = d->cfg.n_cpus ? d->cfg.cpus[i % d->cfg.n_cpus] : -1;
		l = tvq_loop_new(&cfg, &ret);
		if (!l)
			goto failed;
		ret = tvq_loop_start(l);
		if (ret) {
			tvq_loop_free(l);
			goto failed;
		}
		d->worker_loops[i] = l;
		d->workers[i] = tvq_loop_exec(l);
		d->n_workers++;
	}
	return 0;
failed:
	snprintf(err, TVQD_ERR_LEN, "cannot start a thread's loop: %s%s", strerror(-ret),
		 ret == -EINVAL && d->cfg.n_cpus ? "; are the CPUs of --workers there?" : "");
	return ret;
}

static void stop_loops(struct tvqd *d)
{
	for (unsigned int i = d->n_workers; i-- > 0;) {
		tvq_loop_stop(d->worker_loops[i]);
		tvq_loop_join(d->worker_loops[i]);
		tvq_loop_free(d->worker_loops[i]);
	}
	tvq_loop_free(d->loop);
}

static int start_pool(struct tvqd *d, char *err)
{
	return tvqd_role(d) & TVQD_OWNER ? tvqd_volumes_init(d, err) : 0;
}

static int start_client(struct tvqd_mgmt *m, char *err)
{
	struct tvq_client_cfg cfg = { .packed = m->d->cfg.packed };
	int ret = 0;

	m->client = tvq_client_new(m->bus, &cfg, &ret);
	if (!m->client) {
		snprintf(err, TVQD_ERR_LEN, "cannot drive the management device %s: %s", m->name,
			 strerror(-ret));
		return ret;
	}
	ret = tvqd_classes_get(m);
	if (ret)
		snprintf(err, TVQD_ERR_LEN, "%s does not say which devices it has: %s", m->name,
			 strerror(-ret));
	return ret;
}

static int start_mgmts(struct tvqd *d, char *err)
{
	for (unsigned int i = 0; i < d->n_mgmts; i++) {
		struct tvqd_mgmt *m = &d->mgmt[i];
		int ret = m->where->start(m, err);

		if (!ret && m->where->role & TVQD_DRIVER)
			ret = start_client(m, err);
		if (ret)
			return ret;
	}
	return 0;
}

static int start_server(struct tvqd *d, char *err)
{
	struct tvqd_server_cfg cfg = {
		.d = d,
		.loop = d->loop,
		.listen_fd = -1,
		.max_clients = d->cfg.max_clients,
		.request_ns = d->cfg.request_ns,
	};
	int ret;

	if (d->cfg.control[0]) {
		ret = tvqd_listen(&d->listener, d->cfg.control, err);
		if (ret)
			return ret;
		cfg.listen_fd = d->listener.fd;
	}
	d->server = tvqd_server_new(&cfg);
	if (d->server)
		return 0;
	snprintf(err, TVQD_ERR_LEN, "out of memory");
	return -ENOMEM;
}

struct tvqd *tvqd_new(const struct tvqd_cfg *cfg, char *err)
{
	struct tvqd *d = calloc(1, sizeof(*d));
	uint32_t seed;

	if (!d) {
		snprintf(err, TVQD_ERR_LEN, "out of memory");
		return NULL;
	}
	d->cfg = *cfg;
	d->listener.fd = d->listener.lock_fd = -1;
	tvqd_mgmts_init(d);
	tvq_os_host_log_level(cfg->log_level);
	raise_fd_limit();
	tvq_os_host.random(&seed, sizeof(seed));
	if (tvqd_devices_init(&d->devices, seed) < 0)
		snprintf(err, TVQD_ERR_LEN, "out of memory");
	else if (!start_loops(d, err) && !start_pool(d, err) && !start_mgmts(d, err) &&
		 !start_server(d, err))
		return d;
	tvqd_free(d);
	return NULL;
}

/* The end */

struct waiting {
	struct tvq_timer timer;
	bool over;
};

static void time_is_up(struct tvq_timer *t)
{
	((struct waiting *)t)->over = true;
}

int tvqd_wait(struct tvqd *d, const bool *flag, uint64_t timeout_ns)
{
	struct waiting w = { .timer.fn = time_is_up };
	uint64_t deadline = tvq_os_host.now() + timeout_ns;
	bool timed;

	if (*flag)
		return 0;
	/* Without memory for the timer nobody sleeps. */
	timed = !tvq_timer_set(d->exec, &w.timer, deadline);

	do {
		tvq_loop_turn(d->loop, timed);
		if (!timed)
			w.over = tvq_os_host.now() >= deadline;
	} while (!*flag && !w.over);
	tvq_timer_clear(d->exec, &w.timer);
	return *flag ? 0 : -ETIMEDOUT;
}

static void server_gone(void *ctx)
{
	((struct tvqd *)ctx)->server_gone = true;
}

static void end_server(struct tvqd *d)
{
	if (d->server) {
		tvqd_server_free(d->server, server_gone, d);
		if (tvqd_wait(d, &d->server_gone, END_NS) < 0)
			tvq_log(&tvq_os_host, TVQ_LOG_WARN,
				"requests under way did not end in time");
	}
	tvqd_unlisten(&d->listener);
}

struct ending {
	struct tvq_done done;
	struct tvqd *d;
};

static void presenter_gone(struct tvq_done *done, int err)
{
	struct ending *e = (struct ending *)done;

	(void)err;
	if (!--e->d->devices.presented)
		e->d->devices_gone = true;
	free(e);
}

static void end_presenters(struct tvqd *d)
{
	struct tvqd_dev *dev;

	d->devices_gone = !d->devices.presented;
	for (uint32_t slot = 0; (dev = tvqd_devices_next(&d->devices, &slot)); slot++) {
		struct tvq_vhost_user *vhost_user = dev->vhost_user;
		struct ending *e;

		if (!vhost_user)
			continue;
		e = calloc(1, sizeof(*e));
		if (!e)
			return;
		e->d = d;
		e->done.fn = presenter_gone;
		dev->vhost_user = NULL;
		tvq_vhost_user_free(vhost_user, &e->done);
	}
	if (tvqd_wait(d, &d->devices_gone, END_NS) < 0)
		tvq_log(&tvq_os_host, TVQ_LOG_WARN, "devices under way did not stop in time");
}

static void end_mgmt(struct tvqd_mgmt *m)
{
	struct tvqd_devices *ds = &m->d->devices;
	struct tvqd_dev *dev;

	if (m->client)
		tvq_client_free(m->client);
	m->client = NULL;
	for (uint32_t slot = 0; (dev = tvqd_devices_next(ds, &slot)); slot++) {
		if (dev->mgmt != m)
			continue;
		m->bus->ops->space_free(m->bus, dev->asid);
		tvqd_devices_remove(ds, dev);
	}
	m->where->stop(m);
}

void tvqd_free(struct tvqd *d)
{
	end_server(d);
	tvqd_ports_end(d, END_NS);
	end_presenters(d);
	for (unsigned int i = d->n_mgmts; i-- > 0;)
		end_mgmt(&d->mgmt[i]);
	if (d->pool)
		tvq_volume_pool_free(d->pool);
	stop_loops(d);
	tvq_volume_settle(); /* images that a pool made are unlinked before the process is gone */
	tvqd_devices_fini(&d->devices);
	free(d);
}

/* Running */

struct signals {
	struct tvq_watch watch;
	struct tvqd *d;
	int fd;
	bool gone;
};

static void signalled(struct tvq_watch *w, int events)
{
	struct signals *s = (struct signals *)w;
	struct signalfd_siginfo si;

	(void)events;
	if (read(s->fd, &si, sizeof(si)) != sizeof(si))
		return;
	tvq_log(&tvq_os_host, TVQ_LOG_INFO, "signal %u: ending", si.ssi_signo);
	tvq_loop_stop(s->d->loop);
}

static void signals_gone(struct tvq_watch *w)
{
	((struct signals *)w)->gone = true;
}

static void stop_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGHUP);
}

int tvqd_run(struct tvqd *d)
{
	struct signals s = { .d = d, .watch.fn = signalled };
	sigset_t set;

	stop_signals(&set);
	s.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s.fd < 0)
		return -errno;
	tvq_watch_start(d->loop, &s.watch, s.fd, POLLIN);
	tvq_loop_run(d->loop);
	tvq_watch_stop(&s.watch, signals_gone);
	tvqd_wait(d, &s.gone, END_NS);
	close(s.fd);
	return d->failed;
}

int tvqd_main(int argc, char **argv)
{
	struct tvqd_cfg cfg;
	char err[TVQD_ERR_LEN];
	struct tvqd *d;
	sigset_t set;
	int ret;

	switch (tvqd_options(&cfg, argc, argv)) {
	case TVQD_EXIT:
		return 0;
	case TVQD_USAGE:
		return 2;
	case TVQD_RUN:
		break;
	}
	/* Before the first thread: they inherit it. */
	stop_signals(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	d = tvqd_new(&cfg, err);
	if (!d) {
		fprintf(stderr, "tvqd: %s\n", err);
		return 1;
	}
	fprintf(stderr, "tvqd: ready\n");
	ret = tvqd_run(d);
	tvqd_free(d);
	return ret ? 1 : 0;
}
