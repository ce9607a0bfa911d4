/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Making the device follow what the front end wants. Theory of operation.
 *
 * vu_sync() asks one function after the other whether there is something to do; the first that has
 * begins a step and returns true. When all that the step has started has ended, its `next` notes
 * what the device has now, and vu_sync() is called again, until nothing is left to do. The order of
 * the functions is the order of things: rings stop before the device is reset or memory goes;
 * memory comes before rings start; features are agreed on before the first ring; DRIVER_OK follows
 * the first ring (TQ-150).
 *
 * The device's part of the state machine:
 *
 *   CLEAN -> READY     the first ring is wanted, or somebody needs FEATURES_OK: ACKNOWLEDGE,
 *                      DRIVER, features, FEATURES_OK
 *   CLEAN -> REFUSED   the same, but the device did not take the features (TQ-069)
 *   READY -> LIVE      a ring runs: DRIVER_OK
 *   any -> CLEAN       other features, SET_STATUS 0, RESET_DEVICE, or a ring that starts when none
 *                      runs: the device is reset
 *
 * QEMU 7.2 and newer offers STATUS, but never sends DRIVER_OK for a block device; so what starts a
 * device is its rings, as without that feature.
 */
#include <errno.h>
#include <string.h>

#include <linux/virtio_config.h>

#include <present/internal.h>

#define FIRST_PAUSE_NS	 20000ull
#define LONGEST_PAUSE_NS (20 * VU_MSEC)
#define STATUS_FEATURES                                                                            \
	(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK)

void vu_step_begin(struct vu_conn *c, void (*next)(struct vu_conn *c, int err))
{
	c->next = next;
	c->step_err = 0;
	c->step_failed = NULL;
	c->pending = 1;
}

void vu_step_put(struct vu_conn *c, int err)
{
	if (err && !c->step_err)
		c->step_err = err;
	if (--c->pending)
		return;
	if (c->closing)
		vu_left(c);
	else
		c->next(c, c->step_err);
}

static void seq_ended(struct tvq_done *d, int err)
{
	struct vu_conn *c = vu_container(d, struct vu_conn, seq_done);

	if (err && !c->step_err)
		c->step_failed = tvq_client_failed(c->p->client);
	vu_step_put(c, err);
}

static void bus_ended(struct tvq_done *d, int err)
{
	vu_step_put(vu_container(d, struct vu_conn, bus_done), err);
}

void vu_sync_init(struct vu_conn *c)
{
	c->seq_done.fn = seq_ended;
	c->bus_done.fn = bus_ended;
}

struct tvq_seq *vu_seq(struct vu_conn *c)
{
	return tvq_seq_new(c->p->client, c->p->device_id);
}

void vu_step_run(struct vu_conn *c, struct tvq_seq *s)
{
	vu_step_get(c);
	if (s)
		tvq_seq_run(s, &c->seq_done);
	else
		vu_step_put(c, -ENOMEM);
}

void vu_step_fail(struct vu_conn *c, int err, const char *what)
{
	if (what)
		vu_log(c, TVQ_LOG_ERR, "%s", what);
	else if (c->step_failed)
		vu_log(c, TVQ_LOG_ERR, "the device refused %s (%s)", c->step_failed,
		       strerror(-err));
	else
		vu_log(c, TVQ_LOG_ERR, "%s", strerror(-err));
	vu_refuse(c);
	vu_close(c, TVQ_LOG_ERR, NULL);
}

/* Reset. There is no end to the wait here: whoever has to answer in time has a timer
 * (VU_ANSWER_NS). */

static void reset_look(struct vu_reset *r, bool first)
{
	struct tvq_seq *s = tvq_seq_new(r->c->p->client, r->c->p->device_id);

	if (!s) {
		r->done.fn(&r->done, -ENOMEM);
		return;
	}
	if (first)
		tvq_seq_status_set(s, 0);
	tvq_seq_status_get(s, &r->status);
	tvq_seq_run(s, &r->done);
}

static void reset_timer(struct tvq_timer *t)
{
	reset_look(vu_container(t, struct vu_reset, timer), false);
}

static void reset_looked(struct tvq_done *d, int err)
{
	struct vu_reset *r = vu_container(d, struct vu_reset, done);
	const struct tvq_vhost_user *p = r->c->p;

	if (!err && r->status) {
		err = tvq_timer_set(p->bus->exec, &r->timer, vu_now(p) + r->pause_ns);
		if (r->pause_ns < LONGEST_PAUSE_NS)
			r->pause_ns *= 2;
		if (!err)
			return;
	}
	r->ended(r->c, err);
}

void vu_reset_start(struct vu_conn *c, struct vu_reset *r,
		    void (*ended)(struct vu_conn *c, int err))
{
	memset(r, 0, sizeof(*r));
	r->c = c;
	r->done.fn = reset_looked;
	r->timer.fn = reset_timer;
	r->pause_ns = FIRST_PAUSE_NS;
	r->status = 0xff;
	r->ended = ended;
	reset_look(r, true);
}

static void was_reset(struct vu_conn *c, int err)
{
	if (err) {
		vu_step_fail(c, err, "the device could not be reset");
		return;
	}
	c->dev = VU_DEV_CLEAN;
	c->want_reset = false;
	vu_rings_free_msi(c);
	vu_msi_free(c, &c->notice.msi);
	vu_sync(c);
}

/* A first ring after all had stopped finds a device as good as new, whatever had become of it. */
static bool starts_anew(const struct vu_conn *c)
{
	return c->dev == VU_DEV_LIVE && !vu_any_running(c) && vu_any_wanted(c);
}

static bool step_reset(struct vu_conn *c)
{
	if (c->dev == VU_DEV_CLEAN)
		c->want_reset = false;
	else if (starts_anew(c))
		c->want_reset = true;
	if (!c->want_reset)
		return false;
	vu_step_begin(c, was_reset);
	vu_reset_start(c, &c->reset, vu_step_put);
	return true;
}

/* Features. */

/* TQ-151: what the front end took, and ACCESS_PLATFORM, since addresses are translated here. What
 * is never passed was not offered to it either (present.c). */
static uint64_t device_features(const struct vu_conn *c)
{
	uint64_t features = c->features & ~(1ull << VU_F_PROTOCOL_FEATURES);

	if (vu_is_net(c))
		features = vu_net_features(c, features);
	return features | 1ull << VIRTIO_F_ACCESS_PLATFORM;
}

static void got_features(struct vu_conn *c, int err)
{
	if (err) {
		vu_step_fail(c, err, NULL);
		return;
	}
	c->want_features = false;
	c->dev = c->dev_status & VIRTIO_CONFIG_S_FEATURES_OK ? VU_DEV_READY : VU_DEV_REFUSED;
	vu_sync(c);
}

static bool step_features(struct vu_conn *c)
{
	struct tvq_seq *s;

	if (!vu_any_wanted(c) && !c->want_features)
		return false;
	if (c->dev == VU_DEV_REFUSED && vu_any_wanted(c)) {
		vu_step_fail(
			c, -EOPNOTSUPP,
			c->features >> VIRTIO_F_VERSION_1 & 1
				? "the device does not take these features together"
				: "the driver has no VIRTIO_F_VERSION_1: the device is modern only "
				  "(QEMU: disable-legacy=on, disable-modern=off)");
		return true;
	}
	if (c->dev != VU_DEV_CLEAN || !c->features_set) {
		c->want_features = false;
		return false;
	}
	vu_step_begin(c, got_features);
	s = vu_seq(c);
	if (s) {
		tvq_seq_status_set(s, VIRTIO_CONFIG_S_ACKNOWLEDGE);
		tvq_seq_status_set(s, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
		tvq_seq_features_set(s, device_features(c));
		tvq_seq_status_set(s, STATUS_FEATURES);
		tvq_seq_status_get(s, &c->dev_status);
		/* From here on the device is to be reset before it is used for something else. */
		c->dev = VU_DEV_REFUSED;
	}
	vu_step_run(c, s);
	vu_step_put(c, 0);
	return true;
}

static void is_live(struct vu_conn *c, int err)
{
	if (err) {
		vu_step_fail(c, err, NULL);
		return;
	}
	c->dev = VU_DEV_LIVE;
	/* The link may have gone down when there was no interrupt for it. */
	if (vu_is_net(c))
		vu_notice_look(c);
	vu_sync(c);
}

static bool step_driver_ok(struct vu_conn *c)
{
	struct tvq_seq *s;

	if (c->dev != VU_DEV_READY || !vu_any_running(c))
		return false;
	vu_step_begin(c, is_live);
	s = vu_seq(c);
	if (s) {
		vu_config_again(c, s);
		vu_notice_enable(c, s);
		tvq_seq_status_set(s, STATUS_FEATURES | VIRTIO_CONFIG_S_DRIVER_OK);
	}
	vu_step_run(c, s);
	vu_step_put(c, 0);
	return true;
}

void vu_sync(struct vu_conn *c)
{
	static bool (*const steps[])(struct vu_conn * c) = {
		vu_step_stop_rings, step_reset,	   vu_step_unmap,      vu_step_map,
		vu_step_inflight,   step_features, vu_step_start_ring, step_driver_ok,
		vu_step_calls,	    vu_step_kicks,
	};
	unsigned int i;

	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		if (steps[i](c))
			return;
	}
	vu_settled(c);
}
