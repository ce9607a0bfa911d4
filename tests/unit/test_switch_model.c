// SPDX-License-Identifier: BSD-3-Clause
/*
 * The switch next to a model of it: lists that are searched from end to end, one frame after the
 * other, written from what include/tvq/switch.h says. Random batches, and changes of everything
 * between them; each port must get the same frames, in the same order, with the same tags, and
 * every counter must agree.
 */
#include "switch_lab.h"

#define PORTS	 10
#define MACS	 24 /* addresses in play */
#define GROUPS	 6
#define LEARNED	 1024
#define EXPECTED 512
#define ROUNDS	 30000

struct want {
	uint32_t id;
	bool tagged;
	uint16_t tci;
};

struct model {
	struct sl_port *t; /* NULL: there is none */
	unsigned int mac;  /* 0: an uplink */
	bool link, spoofchk, filtered;
	uint16_t mtu;
	struct tvq_port_vlan vlan;
	struct tvq_port_filter filter;
	struct tvq_port_stats stats;
	struct want want[EXPECTED];
	unsigned int n_want;
};

struct entry {
	unsigned int mac, vid, port; /* port: index and 1; 0: free */
	uint64_t tick;
};

static struct model model[PORTS];
static struct entry learned[LEARNED];
static uint64_t tick;
static uint64_t random_state;
static uint32_t next_id;
/* What the run has touched: a test that reaches little proves little. */
static unsigned int n_delivered, n_flooded, n_moves, n_dropped[TVQ_DROPS], n_forgotten;

static unsigned int rnd(unsigned int n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (unsigned int)((random_state >> 11) % n);
}

static bool in_set(const uint64_t *set, unsigned int vid)
{
	return set[vid / 64] >> vid % 64 & 1;
}

/* Addresses: 0 none, up to MACS unicast, then groups, then broadcast. */
static const uint8_t *address(unsigned int a)
{
	if (a <= MACS)
		return sl_mac(a);
	return a <= MACS + GROUPS ? sl_group(a - MACS) : sl_all;
}

static int owner_of(unsigned int mac)
{
	for (int i = 0; i < PORTS; i++)
		if (model[i].t && mac && model[i].mac == mac)
			return i;
	return -1;
}

static struct entry *learned_at(unsigned int mac, unsigned int vid)
{
	for (unsigned int i = 0; i < LEARNED; i++)
		if (learned[i].port && learned[i].mac == mac && learned[i].vid == vid)
			return &learned[i];
	return NULL;
}

static void forget(unsigned int port)
{
	for (unsigned int i = 0; i < LEARNED; i++)
		if (learned[i].port == port + 1)
			learned[i].port = 0;
}

static void learn(unsigned int port, unsigned int mac, unsigned int vid)
{
	struct entry *e = learned_at(mac, vid);

	if (e && e->port != port + 1)
		n_moves++;
	for (unsigned int i = 0; !e && i < LEARNED; i++)
		if (!learned[i].port)
			e = &learned[i];
	assert_non_null(e);
	*e = (struct entry){ .mac = mac, .vid = vid, .port = port + 1, .tick = tick };
}

static bool member(const struct model *m, unsigned int vid)
{
	switch (m->vlan.mode) {
	case TVQ_VLAN_ACCESS:
		return vid == m->vlan.pvid;
	case TVQ_VLAN_TRUNK:
		return in_set(m->vlan.set, vid);
	default:
		return true;
	}
}

/* Which VLAN the frame is in; -1: none. */
static int classify(const struct model *m, const struct tvq_frame *f)
{
	int vid = f->tagged ? f->tci & 0xfff : 0;

	if (m->vlan.mode == TVQ_VLAN_ACCESS)
		return f->tagged ? -1 : m->vlan.pvid;
	if (m->vlan.mode == TVQ_VLAN_TRUNK) {
		if (!vid)
			vid = m->vlan.pvid;
		return vid && in_set(m->vlan.set, (unsigned int)vid) ? vid : -1;
	}
	return vid == 0xfff ? -1 : vid;
}

static bool tags(const struct model *m, const struct tvq_frame *f, unsigned int vid)
{
	if (m->vlan.mode == TVQ_VLAN_OPEN)
		return f->tagged || vid;
	return m->vlan.mode == TVQ_VLAN_TRUNK && vid != m->vlan.pvid;
}

static bool short_enough(const struct tvq_frame *f, unsigned int mtu)
{
	if (f->len - 2 <= mtu)
		return true;
	return f->gso_type && f->csum_start - 2 + 20 + f->gso_size <= (int)mtu;
}

static bool filter_lists(const struct tvq_port_filter *f, unsigned int to)
{
	for (unsigned int i = 0; i < (unsigned int)f->n_unicast + f->n_multicast; i++)
		if (!memcmp(f->mac[i], address(to), 6))
			return true;
	return false;
}

static bool filter_takes(const struct model *m, unsigned int to, bool known, bool tagged,
			 unsigned int vid)
{
	const struct tvq_port_filter *f = &m->filter;

	if (!m->filtered || f->promisc)
		return true;
	if (f->vlan_filter && tagged && !in_set(f->vlans, vid))
		return false;
	if (to > MACS + GROUPS)
		return !f->nobcast;
	if (to > MACS)
		return !f->nomulti && (f->allmulti || filter_lists(f, to));
	if (f->nouni)
		return false;
	return known || f->alluni || !m->spoofchk || filter_lists(f, to);
}

static void give(struct model *m, const struct tvq_frame *f, uint32_t id, unsigned int to,
		 bool known, unsigned int vid)
{
	bool tagged = tags(m, f, vid);

	if (!m->link || !member(m, vid) || !filter_takes(m, to, known, tagged, vid))
		return;
	if (!short_enough(f, m->mtu)) {
		m->stats.drops[TVQ_DROP_RX_LONG]++;
		n_dropped[TVQ_DROP_RX_LONG]++;
		return;
	}
	assert_true(m->n_want < EXPECTED);
	m->want[m->n_want++] = (struct want){
		.id = id,
		.tagged = tagged,
		.tci = tagged ? (uint16_t)((f->tci & 0xf000) | vid) : 0,
	};
	m->stats.rx_packets++;
	m->stats.rx_bytes += 12 + f->len + (tagged ? 4 : 0);
	n_delivered++;
}

static enum tvq_drop judge(unsigned int from, const struct tvq_frame *f, unsigned int src, int *vid)
{
	struct model *m = &model[from];
	int owner = owner_of(src);

	if (!m->link)
		return TVQ_DROP_LINK;
	if (!short_enough(f, m->mtu))
		return TVQ_DROP_TOO_LONG;
	*vid = classify(m, f);
	if (*vid < 0)
		return TVQ_DROP_VLAN;
	if (m->spoofchk)
		return src == m->mac ? TVQ_DROPS : TVQ_DROP_SPOOFED;
	if (!src || src > MACS || (owner >= 0 && owner != (int)from))
		return TVQ_DROP_SPOOFED;
	if (owner < 0)
		learn(from, src, (unsigned int)*vid);
	return TVQ_DROPS;
}

/* What a batch learns holds for all of it: sources are looked at before destinations. */
static void model_batch(unsigned int from, const struct sl_batch *b, const unsigned int *to,
			const unsigned int *src, const uint32_t *id)
{
	struct model *m = &model[from];
	int vid[TVQ_SWITCH_BATCH];

	for (unsigned int i = 0; i < b->n; i++) {
		const struct tvq_frame *f = &b->frame[i];
		enum tvq_drop why = judge(from, f, src[i], &vid[i]);

		if (why != TVQ_DROPS) {
			m->stats.drops[why]++;
			n_dropped[why]++;
			vid[i] = -1;
			continue;
		}
		m->stats.tx_packets++;
		m->stats.tx_bytes += 12 + f->len + (f->tagged ? 4 : 0);
	}
	for (unsigned int i = 0; i < b->n; i++) {
		int at = to[i] <= MACS ? owner_of(to[i]) : -1;
		struct entry *e;

		if (vid[i] < 0)
			continue;
		e = to[i] <= MACS ? learned_at(to[i], (unsigned int)vid[i]) : NULL;
		if (at < 0 && e)
			at = (int)e->port - 1;
		n_flooded += at < 0;
		for (int k = 0; k < PORTS; k++)
			if (model[k].t && k != (int)from && (at < 0 || at == k))
				give(&model[k], &b->frame[i], id[i], to[i], at >= 0,
				     (unsigned int)vid[i]);
	}
}

static void compare(unsigned int i)
{
	struct model *m = &model[i];
	struct tvq_port_info info = sl_info(m->t);
	unsigned int n_learned = 0;

	assert_int_equal(m->t->n_got, m->n_want);
	for (unsigned int k = 0; k < m->n_want; k++) {
		assert_int_equal(m->t->got[k].id, m->want[k].id);
		assert_int_equal(m->t->got[k].tagged, m->want[k].tagged);
		assert_int_equal(m->t->got[k].tci, m->want[k].tci);
	}
	m->n_want = 0;
	m->t->n_got = 0;
	assert_memory_equal(&info.stats, &m->stats, sizeof(m->stats));
	for (unsigned int k = 0; k < LEARNED; k++)
		n_learned += learned[k].port == i + 1;
	assert_int_equal(info.n_learned, n_learned);
}

static const unsigned int vids[] = { 0, 1, 2, 3, 4094 };

static unsigned int any_vid(void)
{
	return rnd(50) ? vids[rnd(5)] : rnd(4096);
}

/* Mostly sensible: from an address that may send, to one that is there. */
static void random_batch(unsigned int from)
{
	static struct sl_batch batch;
	unsigned int to[TVQ_SWITCH_BATCH], src[TVQ_SWITCH_BATCH], n = 1;
	uint32_t id[TVQ_SWITCH_BATCH];

	if (rnd(3))
		n = 1 + rnd(rnd(4) ? 6 : TVQ_SWITCH_BATCH);
	for (unsigned int i = 0; i < n; i++) {
		bool own = model[from].mac && rnd(8);
		struct tvq_frame *f;

		src[i] = own ? model[from].mac : rnd(MACS + GROUPS + 2);
		to[i] = rnd(8) ? 1 + rnd(MACS) : MACS + 1 + rnd(GROUPS + 1);
		if (i && rnd(2)) {
			src[i] = src[i - 1];
			to[i] = to[i - 1];
		}
		id[i] = next_id++;
		f = sl_put(&batch, address(to[i]), address(src[i]), id[i]);
		if (!rnd(3))
			sl_tag(f, any_vid() | (rnd(2) ? rnd(16) << 12 : 0));
		f->len = rnd(10) ? 48 : 2 + rnd(2100);
		if (!rnd(20)) {
			f->len = 10000;
			f->gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
			f->csum_start = 22;
			f->gso_size = (uint16_t)(900 + rnd(1200));
		}
	}
	model_batch(from, &batch, to, src, id);
	sl_send(model[from].t, &batch);
	for (unsigned int i = 0; i < PORTS; i++)
		if (model[i].t)
			compare(i);
}

static void add_port(unsigned int i)
{
	struct tvq_port_cfg cfg = { .ops = &sl_ops };
	struct model *m = &model[i];
	unsigned int mac = rnd(4) ? 1 + rnd(MACS) : 0;
	int err;

	memset(m, 0, sizeof(*m));
	cfg.mtu = m->mtu = rnd(2) ? 1500 : 2000;
	cfg.no_spoofchk = rnd(3) == 0;
	memcpy(cfg.mac, address(mac), 6);
	if (owner_of(mac) >= 0) {
		assert_null(tvq_port_add(sl.sw, &cfg, NULL, &err));
		assert_int_equal(err, -EEXIST);
		return;
	}
	m->mac = mac;
	m->link = true;
	m->spoofchk = mac && !cfg.no_spoofchk;
	m->t = sl_add_cfg(&cfg);
}

static void del_port(unsigned int i)
{
	struct sl_port *t = model[i].t;

	tvq_port_del(t->port);
	for (unsigned int k = 0; k < sl.n_ports; k++)
		if (sl.ports[k] == t)
			sl.ports[k] = sl.ports[--sl.n_ports];
	free(t->got);
	free(t);
	model[i].t = NULL;
	forget(i);
}

static void change_mac(unsigned int i)
{
	unsigned int mac = rnd(MACS + GROUPS + 2);
	int owner = owner_of(mac), want = 0;

	if (!mac || mac > MACS || !model[i].mac)
		want = -EINVAL;
	else if (owner >= 0 && owner != (int)i)
		want = -EEXIST;
	assert_int_equal(tvq_port_set_mac(model[i].t->port, address(mac)), want);
	if (!want)
		model[i].mac = mac;
}

static void change_vlan(unsigned int i)
{
	struct tvq_port_vlan vlan = { .mode = (enum tvq_vlan_mode)rnd(3) };

	if (vlan.mode == TVQ_VLAN_TRUNK) {
		for (unsigned int k = 1; k < 5; k++)
			vlan.set[vids[k] / 64] |= (uint64_t)rnd(2) << vids[k] % 64;
		vlan.pvid = (uint16_t)(rnd(2) ? vids[1 + rnd(4)] : 0);
		if (vlan.pvid)
			vlan.set[vlan.pvid / 64] |= 1ULL << vlan.pvid % 64;
	} else if (vlan.mode == TVQ_VLAN_ACCESS) {
		vlan.pvid = (uint16_t)vids[1 + rnd(4)];
	}
	assert_int_equal(tvq_port_set_vlan(model[i].t->port, &vlan), 0);
	model[i].vlan = vlan;
	forget(i);
}

static void change_filter(unsigned int i)
{
	struct tvq_port_filter *f = &model[i].filter;

	model[i].filtered = rnd(3);
	if (!model[i].filtered) {
		assert_int_equal(tvq_port_set_filter(model[i].t->port, NULL), 0);
		return;
	}
	memset(f, 0, sizeof(*f));
	f->promisc = !rnd(4);
	f->allmulti = !rnd(3);
	f->alluni = !rnd(4);
	f->nomulti = !rnd(5);
	f->nouni = !rnd(8);
	f->nobcast = !rnd(5);
	f->n_unicast = (uint16_t)rnd(5);
	f->n_multicast = (uint16_t)rnd(5);
	for (unsigned int k = 0; k < (unsigned int)f->n_unicast + f->n_multicast; k++)
		memcpy(f->mac[k],
		       address(k < f->n_unicast ? 1 + rnd(MACS) : MACS + 1 + rnd(GROUPS)), 6);
	f->vlan_filter = !rnd(3);
	for (unsigned int k = 0; k < 5; k++)
		f->vlans[vids[k] / 64] |= (uint64_t)rnd(2) << vids[k] % 64;
	assert_int_equal(tvq_port_set_filter(model[i].t->port, f), 0);
}

static void change(unsigned int i)
{
	struct model *m = &model[i];

	switch (rnd(8)) {
	case 0:
		del_port(i);
		break;
	case 1:
		change_mac(i);
		break;
	case 2:
		m->mtu = (uint16_t)(1400 + rnd(700));
		assert_int_equal(tvq_port_set_mtu(m->t->port, m->mtu), 0);
		break;
	case 3:
		m->link = rnd(3);
		tvq_port_set_link(m->t->port, m->link);
		if (!m->link)
			forget(i);
		break;
	case 4:
		if (m->mac) {
			m->spoofchk = rnd(2);
			tvq_port_set_spoofchk(m->t->port, m->spoofchk);
			if (m->spoofchk)
				forget(i);
		}
		break;
	case 5:
		change_vlan(i);
		break;
	default:
		change_filter(i);
	}
}

/* Five seconds: what has not been seen for more than 300 is forgotten. */
static void pass_time(void)
{
	bool any = false;

	for (unsigned int i = 0; i < LEARNED; i++)
		any |= learned[i].port != 0;
	/* The switch's clock stands still while it knows nothing. */
	sl_clock += 5 * SECOND;
	for (unsigned int i = 0; i < 4; i++)
		tvq_exec_poll(&sl.exec);
	if (!any)
		return;
	tick++;
	for (unsigned int i = 0; i < LEARNED; i++) {
		if (!learned[i].port || tick - learned[i].tick <= 60)
			continue;
		learned[i].port = 0;
		n_forgotten++;
	}
}

static void the_switch_does_what_the_model_does(void **state)
{
	const char *seed = getenv("TVQ_TEST_SEED");

	(void)state;
	random_state = seed ? strtoull(seed, NULL, 0) : 0x9e3779b97f4a7c15ULL;
	memset(model, 0, sizeof(model));
	memset(learned, 0, sizeof(learned));
	for (unsigned int round = 0; round < ROUNDS; round++) {
		unsigned int i = rnd(PORTS);

		if (!model[i].t)
			add_port(i);
		else if (rnd(8))
			random_batch(i);
		else
			change(i);
		/* At times a long one. */
		for (unsigned int n = rnd(40) ? 0 : rnd(30); n; n--)
			pass_time();
	}
	/* The walk has been everywhere. */
	assert_true(n_delivered > ROUNDS);
	assert_true(n_flooded > 1000);
	assert_true(n_moves > 100);
	assert_true(n_forgotten > 100);
	assert_true(n_dropped[TVQ_DROP_SPOOFED] > 1000);
	assert_true(n_dropped[TVQ_DROP_VLAN] > 1000);
	assert_true(n_dropped[TVQ_DROP_TOO_LONG] > 100);
	assert_true(n_dropped[TVQ_DROP_RX_LONG] > 100);
	assert_true(n_dropped[TVQ_DROP_LINK] > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SL_TEST(the_switch_does_what_the_model_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
