#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# tvqd is killed, and started again, while two guests talk. Each has two devices. Those with split
# rings go on where they were, in the middle of a transfer. Those with packed rings cannot: nobody
# knows their place; tvqd says so, and they work again once the guest has reset them. Argument:
# QEMU.
#
# run: 11
. "$(dirname "$0")/net/lib.sh"

qemu=${1-11}
need_root
need_qemu "$qemu"

add_nets() {
	add_net one 1
	add_net two 2
	add_net three 3
	add_net four 4
}

vectors=''
[ "$qemu" != 7.2 ] || vectors=,vectors=0 # see net-guests-talk.sh

# boot2 NAME NUMBER NAME NUMBER
boot2() {
	boot "$1" "$2" "$qemu" ",reconnect=1$vectors" --timeout 120 \
		--net "$tmp/$3.sock,mac=02:00:00:00:00:0$4,packed=on,reconnect=1$vectors"
}

start_net
add_nets
boot2 two 2 four 4 <<'GUEST'
# Who reaches this guest finds somebody there.
socat -u TCP-LISTEN:7001,reuseaddr - | sha256sum >/tmp/sum &
listens() { cat /proc/net/tcp /proc/net/tcp6 | grep -q ":$(printf %04X "$1") .* 0A "; }
within 40 listens 7001
up 2
up1() { ip addr add 192.168.8.2/24 dev eth1 && ip link set eth1 up; }
up1
agent
GUEST
boot2 one 1 three 3 <<'GUEST'
up 1
up1() { ip addr add 192.168.8.1/24 dev eth1 && ip link set eth1 up; }
up1
within 40 reaches $peer
within 20 reaches 192.168.8.2 && echo "both networks work"
fill /tmp/file 1
file() { for i in $(seq 20); do cat /tmp/file; sleep 0.3; done; }
file | socat -u - TCP:$peer:7001 &
sleep 1
echo "ready to lose tvqd"
carrier() { [ "$(cat /sys/class/net/$1/carrier)" = $2 ]; }
within 20 carrier eth0 0 && echo "the link is seen to go down"
within 30 carrier eth0 1 && echo "the link is seen to come up"
wait
sum=$(for i in $(seq 20); do cat /tmp/file; done | sha256sum)
whole() { [ "$(there cat /tmp/sum)" = "$sum" ]; }
within 30 whole && echo "the transfer went on"
within 20 carrier eth1 1
reaches_not 192.168.8.2 && echo "packed rings stand still"
reset='device=$(basename $(readlink /sys/class/net/eth1/device))
	driver=/sys/bus/virtio/drivers/virtio_net
	echo $device >$driver/unbind && echo $device >$driver/bind && sleep 1'
eval "$reset"
up1
there "$reset; ip addr add 192.168.8.2/24 dev eth1 && ip link set eth1 up"
within 20 reaches 192.168.8.2 && echo "packed rings work after a reset"
stop_agent
calm
GUEST

on one wait_console "the guests talk" '^ready to lose tvqd' 100
kill_tvqd
sleep 1
start_net
add_nets
on one wait_guest "the guest's script succeeds"
on two wait_guest "the other guest's script succeeds"
facts one "both networks work" "the link is seen to go down" "the link is seen to come up" \
	"the transfer went on" "packed rings stand still" "packed rings work after a reset"
check_file "tvqd says what has to be done" \
	'three: .*queue 0: the packed ring is in use.* until the guest resets its device' "$log"
check "it says no such thing of split rings" sh -c \
	"! grep -E '(^| )(one|two): .*until the guest' '$log'"
finish
