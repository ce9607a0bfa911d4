#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A management device that lies: acks that are none, used lengths below and beyond what was asked
# for, in-data that cannot be, a buffer that nobody gave, answers after the driver gave up. Told
# while the driver probes, while a device is added and set up, while it is deleted, and while the
# module is unloaded. The driver says once what is wrong, gives up that device or the function, and
# as soon as the lies end, devices work again. Argument: the kernel.
#
# run: trixie
. "$(dirname "$0")/guest/lib.sh"

need_module "${1-trixie}"

# What guest/liar.c does, in the order in which the guest's script makes it do so. "9.0 truth" (a
# queue is enabled) is passed by each device that comes to work.
lies=(
	# the driver probes: AVAIL_RES GET, and in one go TYPE_GET of block and of network devices
	"2.0 short" "2.1 truth" "2.1 truth" "2.1 ack" "2.1 truth" "2.1 truth" "2.1 few"
	"2.0 long" "2.1 truth" "2.1 truth" "2.1 zeros" "2.1 truth" "2.1 truth" "2.1 zeros"
	"2.0 id" "2.0 late"
	"9.0 truth"
	# a device is added: VDEV CREATE, and in one go FEAT GET, VQ_SIZE GET, VQ_NOTIFY GET
	"1.0 zeros" "1.0 ones" "1.0 long" "3.0 zeros" "11.1 truth" "10.1 ones" "11.1 truth"
	"11.1 ones" "11.1 short"
	# and set up: VQ_SIZE SET, in one go with what follows
	"10.0 ack" "9.0 truth"
	"9.0 truth"
	"1.0 late"
	# it is deleted: STATUS SET 0, behind the one that made it run, and VDEV DESTROY
	"9.0 truth" "4.0 truth" "4.0 ack"
	"9.0 truth" "1.1 long"
	# a network device is asked for statistics, and breaks
	"16.0 break"
	# the module is unloaded
	"9.0 truth" "1.1 late"
)
TVQ_LIES=$(IFS=,; echo "${lies[*]}")
export TVQ_LIES
tvqd=$build/tests/liar
serve ,msi-page=on
add_volumes 4 1

boot <<'GUEST'
# answer WHAT MESSAGE COMMAND...: the command does as it should, the driver says MESSAGE, once. A
# kernel without CONFIG_SYMBOLIC_ERRNAME has numbers for errors.
answer() {
	local what=$1 message=$2 times
	shift 2
	dmesg >/tmp/before
	"$@" || { echo "not as it should be: $what: $*"; return 1; }
	dmesg | tail -n +$(($(wc -l </tmp/before) + 1)) >/tmp/new
	times=$(grep -cE "(tvq|vdpa).*: $message" /tmp/new || :)
	echo "told $times times: $what"
	[ "$times" = 1 ] || cat /tmp/new
}
bind() { echo "$slot" >/sys/bus/pci/drivers/tvq_vdpa/bind; }
unbind() { echo "$slot" >/sys/bus/pci/drivers/tvq_vdpa/unbind; }
no_bind() { ! bind 2>/dev/null; }
no_add() { ! vdpa dev add name "$1" mgmtdev $manager 2>/dev/null; }
# Its volume has been set up by a device that works.
works() {
	add disk1
	dd if=/dev/$disk of=/dev/null bs=64k iflag=direct 2>/dev/null
	echo "works $1"
}
add_deaf() {
	vdpa dev add name disk4 mgmtdev $manager
	! dd if=/dev/$(ls /sys/block) of=/dev/null bs=4k count=1 iflag=direct 2>/dev/null
}

told() { dmesg | grep -q "it needs a reset"; }
breaks() { vdpa dev vstats show net1 qidx 0 && within 10 told; }

slot=$(basename "$(dirname "$(grep -l 0x10f2 /sys/bus/pci/devices/*/device)")")
modprobe virtio_vdpa
unknown="its resources are not to be known: -(EPROTO|71)"
answer "probe, a short answer" "$unknown" insmod /tvq_vdpa.ko timeout=1500
answer "probe, an ack that is none" "$unknown" no_bind
answer "probe, no in-data" "$unknown" no_bind
answer "probe, more than there is room for" "$unknown" no_bind
answer "probe, no queues" "it says that blk devices have no queues" no_bind
answer "probe, one class has none" "it says that net devices have no queues" no_bind
answer "probe, a buffer of nobody" "the device is given up: it broke the transportq's ring" no_bind
answer "probe, a late answer" \
	"the device is given up: AVAIL_RES GET of device 0 was not answered in 1500 ms" no_bind
bind
works "after probes that failed"
del disk1

answer "add, no id" "VDEV CREATE: -(EPROTO|71)" no_add disk2
answer "add, an id of nobody" "FEAT DEVICE_GET failed: -(EIO|5)" no_add disk3
answer "add, more than there is room for" "VDEV CREATE: -(EPROTO|71)" no_add disk4
unbind
bind
answer "add, no features" "it offers 0x0, which lacks some of 0x300000000" no_add disk4
answer "add, a queue of odd size" "queue 0 has 65535 entries at most" no_add disk4
answer "add, an area that is nowhere" "queue 0 has no notification area \(0xf+ at 0xf+\)" \
	no_add disk4
answer "add, a short answer" "VQ_NOTIFY GET of queue 0 failed: -(EPROTO|71)" no_add disk4
answer "set-up, an ack that is none" "VQ_SIZE SET of queue 0 failed: -(EPROTO|71)" add_deaf
del disk4
works "after devices that were given up"
del disk1
answer "add, a late answer" \
	"the device is given up: VDEV CREATE of device 0 was not answered in 1500 ms" no_add disk1
unbind
bind
works "after a late answer"

answer "delete, an ack that is none" "the device is given up: it does not reset" del disk1
works "after a device that did not reset"
answer "delete, more than there is room for" "device [0-9]+ could not be destroyed: -(EPROTO|71)" \
	del disk1
works "after a device that could not be destroyed"
del disk1
add_net net1
ip link set $net address 02:00:00:00:00:aa
answer "at work, a device that breaks" "it needs a reset; its requests will fail" breaks
! ip link set $net address 02:00:00:00:00:bb && echo "works no more, and its driver knows"
del net1
add disk1
answer "unload, a late answer" \
	"the device is given up: VDEV DESTROY of device [0-9]+ was not answered in 1500 ms" \
	rmmod tvq_vdpa
[ -z "$(ls /sys/block)" ] && echo "no disk is left"
load
works "after a lie at unload"
rmmod tvq_vdpa
calm
GUEST
need_guest
for what in "probe, a short answer" "probe, an ack that is none" "probe, no in-data" \
	"probe, more than there is room for" "probe, no queues" "probe, one class has none" \
	"probe, a buffer of nobody" \
	"probe, a late answer" "add, no id" "add, an id of nobody" \
	"add, more than there is room for" "add, no features" "add, a queue of odd size" \
	"add, an area that is nowhere" "add, a short answer" "set-up, an ack that is none" \
	"add, a late answer" "delete, an ack that is none" "delete, more than there is room for" \
	"at work, a device that breaks" "unload, a late answer"; do
	check_file "said once: $what" "^told 1 times: $what" "$console"
done
for when in "probes that failed" "devices that were given up" "a late answer" \
	"a device that did not reset" "a device that could not be destroyed" "a lie at unload"; do
	check_file "devices work after $when" "^works after $when" "$console"
done
check_file "a driver that waits for a broken device's answer is woken" \
	"^works no more, and its driver knows" "$console"
check_file "no disk is left by the unload" "^no disk is left" "$console"
for lie in "${lies[@]}"; do
	echo "liar: ${lie/ /: }"
done >"$tmp/plan"
check "each lie was told" sh -c "grep '^liar: ' '$log' | diff - '$tmp/plan'"
for late in 2.0 1.0 1.1; do
	check_file "the late answer to $late came" "^liar, late: $late" "$log"
done
finish
