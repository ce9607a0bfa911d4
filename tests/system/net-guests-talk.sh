#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Two unmodified guests, each with a managed network device of the same management device, over
# vhost-user: they reach each other, with offloads and without, with jumbo frames, over two queue
# pairs; a link that goes down is seen; VLANs hold; a forged source is dropped; the host is reached
# through a tap device; and one of them is killed while traffic flows. Arguments: QEMU and ring
# format of the guest that acts, and of the other one.
#
# run: 11 split 11 packed
# run: 7.2 packed 7.2 split
. "$(dirname "$0")/net/lib.sh"

qemu=${1-11} format=${2-split} other_qemu=${3-11} other_format=${4-packed}
need_root
need_qemu "$qemu"
need_qemu "$other_qemu"

keys() {
	local packed=off
	[ "$1" = split ] || packed=on
	echo ",packed=$packed,queues=2,host_mtu=9000,reconnect=1$(vectors "$2")"
}

# QEMU 7.2 without KVM crashes when vhost meets MSI-X: virtio-pci unmasks vectors by way of irqfds
# that it has only with KVM.
vectors() { [ "$1" != 7.2 ] || echo ,vectors=0; }

start_net
add_net one 1 mtu 9000 max_vqp 2
add_net two 2 mtu 9000 max_vqp 2
check "an uplink is added" ctl uplink add host tap tvqhost
check "the host has an address there" inside_net ip addr add 192.168.7.100/24 dev tvqhost
check "and is up" inside_net ip link set tvqhost up

boot two 2 "$other_qemu" "$(keys "$other_format" "$other_qemu")" --timeout 280 <<'GUEST'
up 2
echo "ring $(format)"
socat -u TCP-LISTEN:7001,reuseaddr - | sha256sum >/tmp/sum &
socat TCP-LISTEN:7002,reuseaddr,fork SYSTEM:'echo greetings from the guest' &
agent
GUEST
boot one 1 "$qemu" "$(keys "$format" "$qemu")" --timeout 280 <<'GUEST'
up 1
echo "ring $(format)"
[ "$(cat /sys/class/net/eth0/mtu)" = 9000 ] && echo "the mtu is the device's"
within 40 reaches $peer
ping -c 5 -i 0.2 $peer >/dev/null && echo "it reaches the other"
within 20 there true
there ping -c 5 -i 0.2 $net.1 >/dev/null && echo "the other reaches it"
ping -c 2 -M do -s 8972 $peer >/dev/null && echo "jumbo frames pass"

mtu() { ip link set eth0 mtu $1; there ip link set eth0 mtu $1; }
received() { there "counter rx_bytes; counter rx_packets"; }
# Bytes of a frame that the other got since then, on the average; its driver counts what arrived.
average() { set -- $before $(received); echo $((($3 - $1) / ($4 - $2))); }
mtu 1500
ethtool -k eth0 | grep -E '^(tx-checksumming|tcp-segmentation-offload): on'
before=$(received)
stream && echo "tcp passes with offloads"
big=$(average)
[ $big -gt 3000 ] && echo "segments of $big bytes pass whole" && echo "segments pass whole"
ethtool -K eth0 tso off gso off tx off
before=$(received)
stream && echo "tcp passes without offloads"
small=$(average)
[ $small -le 1514 ] && echo "frames are not above the mtu without offloads"
ethtool -K eth0 tx on tso on gso on
mtu 9000
stream && echo "tcp passes with jumbo frames"

# Guests have no room for all of it at once.
fill /tmp/file 20
file() { cat /tmp/file /tmp/file /tmp/file /tmp/file /tmp/file; }
[ "$(file | wc -c)" = 104857600 ]
file | socat -u - TCP:$peer:7001
sum=$(file | sha256sum)
whole() { [ "$(there cat /tmp/sum)" = "$sum" ]; }
within 20 whole && echo "100 MB arrive unchanged"
rm /tmp/file

ethtool -l eth0 | grep -q 'Combined:.*2'
ethtool -L eth0 combined 2
there ethtool -L eth0 combined 2
stream -P 8 >/dev/null
stream -P 8 -R >/dev/null
ethtool -G eth0 rx 256 2>/dev/null || true
reaches $peer && echo "the rings can be resized"

reaches $net.100 && echo "it reaches the host"

echo "ready for a link that goes down"
carrier() { [ "$(cat /sys/class/net/eth0/carrier)" = $1 ]; }
within 20 carrier 0 && echo "the link is seen to go down"
echo "ready for a link that comes up"
within 20 carrier 1 && echo "the link is seen to come up"
within 20 reaches $peer && echo "frames pass again"

echo "ready for vlans"
within 20 reaches_not $peer && echo "the vlan separates"
echo "ready for one vlan"
within 20 reaches $peer && echo "the vlan connects"
reaches_not $net.100 && echo "the vlan keeps the host out"
echo "ready for no vlan"
within 20 reaches $net.100 && echo "without it the host is reached"

ip link set eth0 address 02:00:00:00:00:99
reaches_not $peer && echo "a forged source reaches nobody"
ip link set eth0 address 02:00:00:00:00:01
within 20 reaches $peer && echo "the true one does"

iperf3 -c $peer -t 60 >/dev/null 2>&1 &
sleep 1
echo "ready to lose the other"
within 30 reaches_not $peer
ping -c 5 -i 0.2 $net.100 >/dev/null && echo "it goes on alone"
calm
GUEST

used() { # the queue has used buffers
	ctl -j dev vstats show "$1" qidx "$2" |
		jq -e '[.. | .completed_desc? // empty] | max > 10'
}

set_dev() { check "dev set $*" ctl dev set "$@"; }
ready() { on one wait_console "$1" "^ready for $1" "${2-60}"; }

ready "a link that goes down" 200
for queue in 0 1 2 3; do
	check "queue $queue of the device has been used" used one $queue
done
check_says "tcp from the host arrives" 'greetings from the guest' \
	inside_net timeout 10 bash -c 'exec 3<>/dev/tcp/192.168.7.2/7002; cat <&3'
check_says "the other's address is known" '02:00:00:00:00:02' ctl switch fdb show
set_dev one link down
ready "a link that comes up"
check_says "tvqctl shows the link" 'link down' ctl switch show one
set_dev one link up
ready "vlans"
set_dev one vlan 10
ready "one vlan"
set_dev two vlan 10
ready "no vlan"
set_dev one vlan none
set_dev two vlan none
on one wait_console "the other one is about to go" '^ready to lose the other' 60
check_says "the forged frames were counted" 'spoofed [1-9]' ctl switch show one
kill_guest two
on one wait_guest "the guest's script succeeds"
facts one "ring $format" "the mtu is the device's" "it reaches the other" "the other reaches it" \
	"jumbo frames pass" "tcp passes with offloads" "segments pass whole" \
	"tcp passes without offloads" "frames are not above the mtu without offloads" \
	"tcp passes with jumbo frames" "100 MB arrive unchanged" \
	"the rings can be resized" "it reaches the host" "the link is seen to go down" \
	"the link is seen to come up" "frames pass again" "the vlan separates" \
	"the vlan connects" "the vlan keeps the host out" "without it the host is reached" \
	"a forged source reaches nobody" "the true one does" "it goes on alone"
facts two "ring $other_format"
check_says "the device of the guest that was killed is free" '^two: .*running false' \
	ctl dev show two
finish
