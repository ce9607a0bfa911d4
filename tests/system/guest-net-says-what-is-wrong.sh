#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# `vdpa dev add` of network devices that cannot be: each is refused with an error that fits and a
# line in the guest's log that says what is wrong, and leaves nothing. What a word needs is added
# without device_features, and nothing is with them. Argument: the kernel.
#
# run: trixie
# long: bookworm
. "$(dirname "$0")/guest/lib.sh"

need_module "${1-trixie}"
# Room for three devices, and for thirteen queues: with a device of two pairs and one of one, five
# are left.
serve ,msi-page=on --max-devices 3 --max-vqs 13

boot <<'GUEST'
load
# refused WHAT ERROR MESSAGE WORDS...: `vdpa dev add` with these words fails with that error, and
# the driver says MESSAGE, once; nothing where that is empty.
refused() {
	local what=$1 error=$2 message=$3
	shift 3
	dmesg >/tmp/before
	! vdpa dev add name bad mgmtdev $net_manager "$@" >/tmp/said 2>&1 || exit 1
	dmesg | tail -n +$(($(wc -l </tmp/before) + 1)) | grep 'tvq' >/tmp/new || :
	if grep -q "$error" /tmp/said && ! vdpa dev show bad >/dev/null 2>&1 &&
		[ "$(sed 's/.*tvq.net.0: bad: //' /tmp/new | grep -vx "$message")" = "" ] &&
		[ "$(wc -l </tmp/new)" = "$([ -z "$message" ] && echo 0 || echo 1)" ]; then
		echo "refused: $what"
	else
		echo "not so: $what"
		cat /tmp/said /tmp/new
	fi
}
features_of() { cat "/sys/class/net/$1/device/features"; }
# Bits are shown from bit 0 on.
has_bit() { [ "$(features_of "$1" | cut -c$(($2 + 1)))" = 1 ]; }

# VERSION_1, ACCESS_PLATFORM; MAC 5, MTU 3, CTRL_VQ 17, MQ 22.
base=0x300000000
refused "a group's address" "Invalid argument" "mac 03:00:00:00:01:01 is a group's address" \
	mac 03:00:00:00:01:01
refused "no VERSION_1" "Invalid argument" "device_features 0x20 lack 0x300000000" \
	device_features 0x20
refused "a bit that it does not have" "Invalid argument" \
	"device_features 0x4000000300000000: 0x4000000000000000 cannot be had" \
	device_features 0x4000000300000000
for rule in 7:2 8:2 9:180 11:1 12:1 13:1800 18:20000 19:20000 20:20000 21:20000 22:20000 23:20000 \
	57:20000 60:20000; do
	bit=$(printf %#x $((1 << ${rule%:*})))
	features=$(printf %#x $((base | bit)))
	refused "bit ${rule%:*} without what it requires" "Invalid argument" \
		"device_features $features: $bit in it needs one of 0x${rule#*:}" \
		device_features $features
done
refused "several pairs without a control queue" "Invalid argument" \
	"device_features 0x300400000: 0x400000 in it needs one of 0x20000" \
	device_features 0x300400000 max_vqp 2
# The core's own words.
refused "an MTU that is too small" "integer out of range" "" mtu 67
refused "a MAC without its bit" "Missing features 0x20" "" \
	device_features $base mac 02:00:00:00:01:01
refused "an MTU without its bit" "Missing features 0x8" "" device_features $base mtu 1400
refused "several pairs without their bit" "Missing features 0x400000" "" \
	device_features $base max_vqp 2
refused "more pairs than a device has" "Invalid argument" \
	"max_vqp 200 takes 401 queues, the most is [0-9]*" max_vqp 200

add_net net1 mac 02:00:00:00:01:01 max_vqp 2 mtu 1400
has_bit $net 22 && has_bit $net 5 && has_bit $net 3 && echo "words bring their bits"
vdpa dev config show net1
refused "a MAC that is in use" "Address already in use" \
	"refused; is mac 02:00:00:00:01:01 in use?" mac 02:00:00:00:01:01
add_net net2 device_features 0x300000020
has_bit $net 5 && ! has_bit $net 17 && ! has_bit $net 3 &&
	echo "device_features are taken as they are"
vdpa dev show net2
refused "more queues than there are" "No space left on device" \
	"there is no room for a device with 7 queues" max_vqp 3
add_net net3 max_vqp 1
! has_bit $net 22 && echo "one pair takes no bit"
vdpa dev show net3
refused "one device more" "No space left on device" \
	"there is no room for a device with 3 queues"
del net3
add_net net3 && echo "it can be made when one has gone"
rmmod tvq_vdpa
calm
GUEST
need_guest
for what in "a group's address" "an MTU that is too small" "no VERSION_1" \
	"a bit that it does not have" \
	"several pairs without a control queue" "a MAC without its bit" "an MTU without its bit" \
	"several pairs without their bit" "more pairs than a device has" "a MAC that is in use" \
	"more queues than there are" "one device more"; do
	check_file "refused: $what" "^refused: $what" "$console"
done
for bit in 7 8 9 11 12 13 18 19 20 21 22 23 57 60; do
	check_file "refused: bit $bit without what it requires" \
		"^refused: bit $bit without what it requires" "$console"
done
for fact in "words bring their bits" "device_features are taken as they are" \
	"one pair takes no bit" "it can be made when one has gone"; do
	check_file "$fact" "^$fact" "$console"
done
check_file "what was asked for is shown" \
	'^net1: mac 02:00:00:00:01:01 link up link_announce false max_vq_pairs 2 mtu 1400' \
	"$console"
check_file "without a control queue there are two queues" '^net2: type network .*max_vqs 2' \
	"$console"
check_file "with one, three" '^net3: type network .*max_vqs 3' "$console"
finish
