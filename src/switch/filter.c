// SPDX-License-Identifier: BSD-3-Clause
/*
 * Filters of the ports' users (virtio 5.1.6.5.1 to .3). A promiscuous filter, which a new port has
 * too, takes all that the switch has for the port; it is kept for the day on which it changes.
 *
 * A unicast address in a filter's table is no claim: the frames of an address that is another
 * port's own, or was learned elsewhere, go there. A guest cannot draw away what is another's by
 * listing it; it gets what would be flooded.
 */
#include "switch/switch_priv.h"

static unsigned int digest_bit(uint64_t addr)
{
	/* Groups differ in their last bytes most. */
	return (unsigned int)((addr ^ addr >> 40 ^ addr >> 31) * 0x9e3779b1U >> 24 & 255);
}

int tvq_port_set_filter(struct tvq_port *p, const struct tvq_port_filter *filter)
{
	struct tvq_filter *keep = p->own_filter;
	unsigned int n;

	if (!filter) {
		tvq_filter_free(p);
		return 0;
	}
	n = (unsigned int)filter->n_unicast + filter->n_multicast;
	if (n > TVQ_FILTER_MACS)
		return -EINVAL;
	if (!keep)
		keep = p->sw->os->alloc(sizeof(*keep));
	if (!keep)
		return -ENOMEM;
	keep->f = *filter;
	memset(keep->digest, 0, sizeof(keep->digest));
	for (unsigned int i = 0; i < n; i++) {
		unsigned int bit = digest_bit(tvq_mac_int(keep->f.mac[i]));

		keep->digest[bit / 64] |= 1ULL << bit % 64;
	}
	p->own_filter = keep;
	p->filter = filter->promisc ? NULL : keep;
	return 0;
}

void tvq_filter_free(struct tvq_port *p)
{
	p->sw->os->free(p->own_filter, sizeof(*p->own_filter));
	p->own_filter = NULL;
	p->filter = NULL;
}

static bool listed(const struct tvq_filter *filter, uint64_t addr)
{
	unsigned int bit = digest_bit(addr), n = filter->f.n_unicast + filter->f.n_multicast;

	if (!(filter->digest[bit / 64] >> bit % 64 & 1))
		return false;
	for (unsigned int i = 0; i < n; i++)
		if (tvq_mac_int(filter->f.mac[i]) == addr)
			return true;
	return false;
}

bool tvq_filter_takes(const struct tvq_port *p, const struct tvq_frame *f, bool known)
{
	const struct tvq_port_filter *filter = &p->filter->f;
	uint64_t dst = tvq_frame_dst(f);

	if (filter->vlan_filter && tvq_port_tags(p, f) && !tvq_vlan_has(filter->vlans, f->vid))
		return false;
	if (dst == TVQ_MAC_MASK)
		return !filter->nobcast;
	if (dst & 1)
		return !filter->nomulti && (filter->allmulti || listed(p->filter, dst));
	return !filter->nouni && (known || filter->alluni || p->learns || listed(p->filter, dst));
}
