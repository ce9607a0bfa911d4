#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Network devices of a guest go while they are up and frames pass: by `vdpa dev del`, by rmmod of
# the driver, by taking the function from the driver; and because tvqd is killed. Each time the
# others go on or the guest goes on, and everything can be made again.
# vhost_vdpa does not get a device. Argument: the kernel.
#
# run: trixie
# long: bookworm
. "$(dirname "$0")/guest/lib.sh"

need_module "${1-trixie}"
serve ,msi-page=on

boot --qmp "$tmp/qmp" --with ip --with ping --with iperf3 <<'GUEST'
load
# Three rooms with a device each; one and three send to two.
fill_machine() {
	add_net net1
	room one 10.0.0.1/24
	add_net net2 max_vqp 2
	room two 10.0.0.2/24
	add_net net3
	room three 10.0.0.3/24
	in_room two iperf3 -s -p 1001 -D >/dev/null
	in_room two iperf3 -s -p 1003 -D >/dev/null
	within 20 in_room one ping -q -c 1 -W 1 10.0.0.2
	within 20 in_room three ping -q -c 1 -W 1 10.0.0.2
	in_room one iperf3 -c 10.0.0.2 -p 1001 -t 600 -l 16k >/dev/null 2>&1 &
	in_room three iperf3 -c 10.0.0.2 -p 1003 -u -b 50M -t 600 >/dev/null 2>&1 &
	within 30 passes two
}
# More than the start.
passes() { [ "$(count_of "$1" rx_packets)" -gt 500 ]; }
end_traffic() {
	killall -9 iperf3 2>/dev/null || :
	within 20 quiet
}
quiet() { [ -z "$(pidof iperf3)" ]; }
empty_machine() {
	end_traffic
	for name in one two three; do
		ip netns delete $name
	done
}
nothing_left() { [ -z "$(vdpa dev show)" ] && ! ls -d /sys/class/net/eth* 2>/dev/null; }
without_eth0() { ! in_room "$1" ls -d /sys/class/net/eth0 2>/dev/null; }
# A namespace that ends gives its interface back to the first.
nothing_in_rooms() { without_eth0 one && without_eth0 two && without_eth0 three; }

fill_machine
del net2 && echo "dev del under traffic works"
without_eth0 two && echo "its interface is gone"
in_room one ping -q -c 2 -W 5 10.0.0.3 && echo "the others go on"
add_net net2
ip link set $net netns two
ip -n two address add 10.0.0.2/24 dev $net
ip -n two link set $net up
ip -n one neighbour flush dev eth0
in_room one ping -q -c 2 -W 5 10.0.0.2 && echo "it can be made again"
empty_machine
rmmod tvq_vdpa

insmod /tvq_vdpa.ko
within 10 has_manager
fill_machine
rmmod tvq_vdpa && echo "rmmod under traffic works"
nothing_left && nothing_in_rooms && echo "all devices went with it"
empty_machine

insmod /tvq_vdpa.ko
within 10 has_manager
fill_machine
function=$(basename "$(dirname "$(echo /sys/bus/pci/drivers/tvq_vdpa/*/vendor)")")
echo "$function" >/sys/bus/pci/drivers/tvq_vdpa/unbind && echo "unbind under traffic works"
nothing_left && nothing_in_rooms && echo "all devices went with the function"
empty_machine
echo "$function" >/sys/bus/pci/drivers/tvq_vdpa/bind
within 10 has_manager

add_net net1
modprobe vhost_vdpa
echo net1 >/sys/bus/vdpa/drivers/virtio_vdpa/unbind
[ -z "$(net_of net1)" ] && echo "virtio_vdpa has let go"
echo "vhost_vdpa: $(echo net1 2>&1 >/sys/bus/vdpa/drivers/vhost_vdpa/bind)"
[ ! -e /sys/bus/vdpa/drivers/vhost_vdpa/net1 ] && echo "vhost_vdpa does not have it"
echo net1 >/sys/bus/vdpa/drivers/virtio_vdpa/bind
within 10 has_net net1 && echo "virtio_vdpa has it again"
del net1

fill_machine
echo "ready to lose tvqd"
broken() { dmesg | grep -q 'tvq_vdpa .*given up'; }
within 60 broken && echo "the driver notices"
# A control command, for whose answer virtio_net waits with the lock of all networks held.
! ip -n one link set eth0 address 02:00:00:00:00:11 && echo "a command fails and does not wait"
del net2 && without_eth0 two && echo "a dead device is deleted"
empty_machine
rmmod tvq_vdpa
nothing_left && echo "the others go with the driver"
calm
GUEST
wait_console "the guest is at work" '^ready to lose tvqd' "$(slower 90)"
lose_tvqd
need_guest
for fact in "dev del under traffic works" "its interface is gone" "the others go on" \
	"it can be made again" "rmmod under traffic works" "all devices went with it" \
	"unbind under traffic works" "all devices went with the function" "virtio_vdpa has let go" \
	"vhost_vdpa does not have it" "virtio_vdpa has it again" "the driver notices" \
	"a command fails and does not wait" "a dead device is deleted" \
	"the others go with the driver"; do
	check_file "$fact" "^$fact" "$console"
done
check_file "vhost_vdpa refuses such a device" '^vhost_vdpa: .*Operation not supported' "$console"
check "tvqd's log has no sanitizer's report" no_sanitizer_report
finish
