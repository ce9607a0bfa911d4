// SPDX-License-Identifier: BSD-3-Clause
/*
 * VLANs. A frame gets its VLAN from the port that sends it, and its tag from the VLAN and the port
 * that gets it. The VLAN that is a trunk's pvid is untagged there in both directions. Priority tags
 * (VLAN 0) pass between open ports as they are; a trunk takes them for untagged ones with a
 * priority; an access port's frames have no tag at all.
 */
#include "switch/switch_priv.h"

#define TCI_VID	     0x0fff
#define TCI_PRIORITY 0xf000 /* with DEI */

static int check(const struct tvq_port_vlan *vlan)
{
	switch (vlan->mode) {
	case TVQ_VLAN_OPEN:
		return 0;
	case TVQ_VLAN_ACCESS:
		return vlan->pvid >= 1 && vlan->pvid <= TVQ_VLAN_MAX ? 0 : -EINVAL;
	case TVQ_VLAN_TRUNK:
		if (tvq_vlan_has(vlan->set, 0) || tvq_vlan_has(vlan->set, TVQ_VLANS - 1))
			return -EINVAL;
		if (vlan->pvid >= TVQ_VLANS || (vlan->pvid && !tvq_vlan_has(vlan->set, vlan->pvid)))
			return -EINVAL;
		return 0;
	}
	return -EINVAL;
}

int tvq_port_set_vlan(struct tvq_port *p, const struct tvq_port_vlan *vlan)
{
	uint64_t *set = NULL;

	if (check(vlan) < 0)
		return -EINVAL;
	if (vlan->mode == TVQ_VLAN_TRUNK) {
		set = p->sw->os->alloc(sizeof(vlan->set));
		if (!set)
			return -ENOMEM;
		memcpy(set, vlan->set, sizeof(vlan->set));
	}
	tvq_vlan_free(p);
	p->vlan_set = set;
	p->vlan_mode = (uint8_t)vlan->mode;
	p->pvid = vlan->mode == TVQ_VLAN_OPEN ? 0 : vlan->pvid;
	/* In VLANs where the port may not be any more. */
	tvq_learn_forget(p);
	return 0;
}

void tvq_vlan_free(struct tvq_port *p)
{
	p->sw->os->free((void *)p->vlan_set, TVQ_VLANS / 8);
	p->vlan_set = NULL;
}

bool tvq_vlan_classify(const struct tvq_port *p, struct tvq_frame *f)
{
	f->vid = f->tagged ? f->tci & TCI_VID : 0;
	switch (p->vlan_mode) {
	case TVQ_VLAN_ACCESS:
		f->vid = p->pvid;
		return !f->tagged;
	case TVQ_VLAN_TRUNK:
		if (!f->vid)
			f->vid = p->pvid;
		return tvq_vlan_has(p->vlan_set, f->vid);
	default:
		return f->vid <= TVQ_VLAN_MAX;
	}
}

bool tvq_vlan_member_slow(const struct tvq_port *p, uint16_t vid)
{
	if (p->vlan_mode == TVQ_VLAN_ACCESS)
		return vid == p->pvid;
	return tvq_vlan_has(p->vlan_set, vid);
}

bool tvq_port_tags(const struct tvq_port *p, const struct tvq_frame *f)
{
	if (p->vlan_mode == TVQ_VLAN_OPEN)
		return f->vid || f->tagged;
	return f->vid != p->pvid;
}

unsigned int tvq_frame_head(const struct tvq_port *p, const struct tvq_frame *f, uint8_t head[16])
{
	uint16_t tci = (uint16_t)((f->tci & TCI_PRIORITY) | f->vid);

	memcpy(head, f->mac, sizeof(f->mac));
	if (!tvq_port_tags(p, f))
		return 12;
	head[12] = TVQ_ETH_TAG >> 8;
	head[13] = TVQ_ETH_TAG & 0xff;
	head[14] = (uint8_t)(tci >> 8);
	head[15] = (uint8_t)tci;
	return 16;
}
