#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A guest that owns a management device, and one that has a device by vhost-user, on one switch: one
# tvqd serves mgmt0 to the one guest, and presents a device of mgmt1, which it drives itself, to the
# other. The function is a network device itself, whose transportq is its queue 3. Argument: the
# kernel of the guest with the function.
#
# run: trixie
# long: bookworm
. "$(dirname "$0")/guest/lib.sh"

need_module "${1-trixie}"

serve ,msi-page=on --type net
check_fails "mgmt0 is the guest's" "mgmt1 is this tvqd's own" \
	ctl dev add name net0 mgmtdev mgmt0 class net
check "a device of mgmt1 is presented" ctl dev add name net0 mgmtdev mgmt1 class net \
	mac 02:00:00:00:02:02 mtu 9000 vhost-user "$tmp/net0.sock"

cat >"$tmp/other-job" <<'GUEST'
. /inside.sh
set -e
ip address add 10.0.0.2/24 dev eth0
ip link set eth0 up
echo "the other is up"
within 90 ping -q -c 1 -W 1 10.0.0.1 && echo "it reaches the guest with the function"
timeout 90 iperf3 -s -1 >/dev/null && echo "it has been sent to"
timeout 90 socat -u TCP-LISTEN:1000 OPEN:/tmp/file,creat
sha256sum </tmp/file
GUEST
start_guest "$tmp/other-job" --qemu 11 --net "$tmp/net0.sock,mac=02:00:00:00:02:02,host_mtu=9000" \
	--file "$tools/inside.sh" --with ip --with ping --with iperf3 --with socat
other_pid=$guest_pid other_console=$console
wait_console "the other guest is up" '^the other is up' 60

boot --with ip --with ping --with iperf3 --with socat <<'GUEST'
load
grep . /sys/bus/pci/drivers/tvq_vdpa/*/subsystem_device
add_net net1 mac 02:00:00:00:02:01 mtu 9000
room one 10.0.0.1/24
within 90 in_room one ping -q -c 1 -W 1 10.0.0.2 && echo "it reaches the other guest"
in_room one ping -q -c 2 -W 5 -M do -s 8972 10.0.0.2 && echo "frames of 9000 bytes pass"
serves() { in_room one iperf3 -c 10.0.0.2 -t 2 --connect-timeout 1000; }
within 60 serves && echo "TCP passes"
fill /tmp/file 4
sends() { in_room one socat -u OPEN:/tmp/file TCP:10.0.0.2:1000; }
within 60 sends && sha256sum </tmp/file
echo "look at the switch now"
within 60 in_room one grep -qx 0 /sys/class/net/eth0/carrier && echo "the cable is pulled"
rmmod tvq_vdpa
calm
GUEST
wait_console "the guest with the function has done its part" '^look at the switch now' \
	"$(slower 100)"
check_says "the switch has the port of the one guest's device" '^1: .* kind device ' \
	ctl switch show
check_says "and of the other's, by its name" '^net0: .* kind device ' ctl switch show
check_says "it knows where the one guest is" '^1: .*mac 02:00:00:00:02:01 state own' \
	ctl switch fdb show
check_says "and where the other is" '^net0: .*mac 02:00:00:00:02:02 state own' ctl switch fdb show
check_says "both devices are listed" '^net0: .* mgmtdev mgmt1 ' ctl dev show
check_says "each with its management device" '^1: .* mgmtdev mgmt0 ' ctl dev show
check "the one's cable is pulled" ctl dev set 1 link down
need_guest
guest_pid=$other_pid one_console=$console console=$other_console
wait_guest "the other guest's script succeeds"
check_file "the function is a network device" '^0x0041' "$one_console"
check_file "the other guest reaches it" '^it reaches the guest with the function' "$other_console"
check_file "and was sent to" '^it has been sent to' "$other_console"
for fact in "it reaches the other guest" "frames of 9000 bytes pass" "TCP passes" \
	"the cable is pulled"; do
	check_file "$fact" "^$fact" "$one_console"
done
sum=$(grep -Eo '^[0-9a-f]{64}' "$one_console")
check_file "4 MiB arrive as they were sent" "^${sum:-no sum}" "$other_console"
only_own() { [ "$(ctl dev show | cut -d: -f1)" = net0 ]; }
check "the presented device outlives the other's function" only_own
finish
