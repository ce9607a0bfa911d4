#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A guest that owns a management device makes network devices with the vdpa tool; its own virtio_net
# drives them, in namespaces: ping, TCP by iperf3, frames of 9000 bytes, VLANs, two pairs of queues.
# What it sets by the control queue takes effect in the switch; vdpa shows configuration and
# counters; from the host the link goes down and up, and a device is asked to announce itself.
# Arguments: the kernel; options of --serve; iommu, for an emulated IOMMU in front.
#
# run: trixie ,msi-page=on
# long: bookworm ,vectors=4
# long: trixie ,msi-page=off iommu
. "$(dirname "$0")/guest/lib.sh"

need_module "${1-trixie}"
serve "${2-}"

# VERSION_1, ACCESS_PLATFORM, INDIRECT_DESC, EVENT_IDX; CSUM, GUEST_CSUM, MTU, MAC, the
# four TSOs, MRG_RXBUF, STATUS, CTRL_VQ, CTRL_RX, CTRL_VLAN, MQ, CTRL_MAC_ADDR.
split=0x330cf99ab
boot --timeout "$(slower 200)" --with ip --with ping --with iperf3 --with ethtool \
	${3:+--iommu} <<GUEST
load
vdpa mgmtdev show \$net_manager
add_net net1 mac 02:00:00:00:01:01 max_vqp 2 mtu 9000
room one 10.0.0.1/24
add_net net2 mac 02:00:00:00:01:02 max_vqp 2 mtu 9000 device_features $split
room two 10.0.0.2/24
vdpa dev show
vdpa dev config show

in_room one ping -q -c 3 -W 5 10.0.0.2 && echo "one reaches two"
in_room two ping -q -c 3 -W 5 10.0.0.1 && echo "two reaches one"
in_room one ping -q -c 3 -W 5 -M do -s 8972 10.0.0.2 && echo "frames of 9000 bytes pass"

# Frames to an address that nobody has, and to a group. Nothing else is sent meanwhile: neighbours
# are known for good.
ip -n one neighbour replace 10.0.0.2 lladdr 02:00:00:00:01:02 dev eth0
ip -n two neighbour replace 10.0.0.1 lladdr 02:00:00:00:01:01 dev eth0
ip -n one neighbour add 10.0.0.9 lladdr 02:00:00:00:01:09 dev eth0
ip -n one route add 239.0.0.0/8 dev eth0
# hears WHAT ADDRESS: how many of three such frames two is handed
hears() {
	local before
	sleep 0.5
	before=\$(count_of two rx_packets)
	in_room one ping -q -c 3 -i 0.2 -W 0.5 "\$2" >/dev/null || :
	echo "hears \$1: \$((\$(count_of two rx_packets) - before))"
}
hears "stray frames" 10.0.0.9
ip -n two link set eth0 promisc on
hears "stray frames, promiscuous" 10.0.0.9
ip -n two link set eth0 promisc off
hears "stray frames, no more promiscuous" 10.0.0.9
hears "a group" 239.1.2.3
ip -n two maddress add 01:00:5e:01:02:03 dev eth0
hears "a group that it joined" 239.1.2.3
ip -n two maddress del 01:00:5e:01:02:03 dev eth0
hears "a group that it left" 239.1.2.3
ip -n two link set eth0 allmulticast on
hears "all groups" 239.1.2.3
ip -n two link set eth0 allmulticast off
ip -n one neighbour del 10.0.0.2 dev eth0
ip -n two neighbour del 10.0.0.1 dev eth0

modprobe 8021q
ip -n one link add link eth0 name vlan7 type vlan id 7
ip -n two link add link eth0 name vlan7 type vlan id 7
ip -n two link add link eth0 name vlan8 type vlan id 8
ip -n one address add 10.7.0.1/24 dev vlan7
ip -n two address add 10.7.0.2/24 dev vlan7
ip -n two address add 10.7.0.3/24 dev vlan8
ip -n one link set vlan7 up
ip -n two link set vlan7 up
in_room one ping -q -c 2 -W 5 10.7.0.2 && echo "a VLAN passes"
ip -n two link set vlan7 down
ip -n two link set vlan8 up
! in_room one ping -q -c 2 -W 1 10.7.0.3 && echo "another VLAN is another network"
ip -n two link del vlan8

in_room two iperf3 -s -D >/dev/null
stream() { in_room one iperf3 -c 10.0.0.2 "\$@" >/tmp/iperf; }
# flows WHAT: whether two's second pair receives when there are many flows
flows() {
	local before
	before=\$(stat_of net2 2 used)
	within 60 stream -t 1 -P 8 -b 4M
	[ \$((\$(stat_of net2 2 used) - before)) -gt 20 ] && echo "\$1: the second pair is used" ||
		echo "\$1: the second pair is not used"
}
flows "two pairs"
in_room two ethtool -L eth0 combined 1
flows "one pair"
in_room two ethtool -L eth0 combined 2
flows "two pairs again"
in_room two ethtool -l eth0
within 60 stream -t 2 && tail -n 4 /tmp/iperf && echo "TCP passes"
within 60 stream -t 2 -R && tail -n 4 /tmp/iperf && echo "and the other way"
vdpa dev vstats show net2 qidx 0
vdpa dev vstats show net2 qidx 1
vdpa dev vstats show net2 qidx 4
! vdpa dev vstats show net2 qidx 5 || exit 1

ip -n two link set eth0 address 02:00:00:00:01:22
ip -n one neighbour flush dev eth0
in_room one ping -q -c 2 -W 5 10.0.0.2 && echo "one reaches two at its new address"
vdpa dev config show net2

link_of() { in_room two cat /sys/class/net/eth0/carrier; }
link_is() { [ "\$(link_of)" = "\$1" ]; }
echo "ready for the link to go down"
within 60 link_is 0 && echo "the link is down"
vdpa dev config show net2 | grep "link down"
! in_room one ping -q -c 1 -W 1 10.0.0.2 && echo "nothing passes"
echo "ready for the link to come up"
within 60 link_is 1 && echo "the link is up"
in_room one ping -q -c 2 -W 5 10.0.0.2 && echo "one reaches two again"
# The driver is asked to, does so, and acknowledges by its control queue.
before=\$(stat_of net1 4 used)
acknowledged() { [ "\$(stat_of net1 4 used)" -gt "\$before" ]; }
echo "ready to announce itself"
within 60 acknowledged && echo "one announces itself"
vdpa dev config show net1
rmmod tvq_vdpa
ip netns delete one
ip netns delete two
calm
GUEST

wait_console "the guest has changed two's address" '^ready for the link to go down' "$(slower 180)"
check_says "the switch knows it" '02:00:00:00:01:22' ctl switch show
check_says "and one's" '02:00:00:00:01:01' ctl switch show
check "the link is set down" ctl dev set 2 link down
wait_console "the guest sees that" '^ready for the link to come up' 60
check "the link is set up" ctl dev set 2 link up
wait_console "two is reached again" '^ready to announce itself' 60
check "one is asked to announce itself" ctl dev announce 1
need_guest
check_file "vdpa mgmtdev show names ours" '^auxiliary/tvq\.net\.0:' "$console"
check_file "which makes network devices" 'supported_classes .*net' "$console"
check_file "vdpa dev show has two pairs and the control queue" \
	'^net1: type network .*mgmtdev auxiliary/tvq.net.0 .*max_vqs 5' "$console"
check_file "config show has what was asked for" \
	'^net1: mac 02:00:00:00:01:01 link up link_announce false max_vq_pairs 2 mtu 9000' \
	"$console"
check_file "config show has the new address" '^net2: mac 02:00:00:00:01:22 link up' "$console"
check_file "and the link" '^net2: mac 02:00:00:00:01:22 link down' "$console"
for fact in "one reaches two" "two reaches one" "frames of 9000 bytes pass" "a VLAN passes" \
	"another VLAN is another network" \
	"hears stray frames: 0" "hears stray frames, promiscuous: 3" \
	"hears stray frames, no more promiscuous: 0" "hears a group: 0" \
	"hears a group that it joined: 3" "hears a group that it left: 0" "hears all groups: 3" \
	"two pairs: the second pair is used" "one pair: the second pair is not used" \
	"two pairs again: the second pair is used" "TCP passes" \
	"and the other way" \
	"one reaches two at its new address" "the link is down" "nothing passes" "the link is up" \
	"one reaches two again" "one announces itself"; do
	check_file "$fact" "^$fact" "$console"
done
check_file "vstats: a receive queue" '^net2: queue_type rx .*used [1-9]' "$console"
check_file "vstats: a transmit queue" '^net2: queue_type tx .*used [1-9]' "$console"
check_file "vstats: the control queue" '^net2: queue_type control_vq .*used [1-9]' "$console"
check_says "tvqd counts no device" '"devices": *0' ctl --json --pretty mgmtdev show
finish
