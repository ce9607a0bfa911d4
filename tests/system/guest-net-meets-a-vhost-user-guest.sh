#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A guest that owns a management device, and one that has a device by vhost-user, on one network:
# one tvqd serves a function to the one guest, another presents a device to the other, and their
# switches are connected by a UNIX stream. (A daemon that serves its management device presents
# nothing, and a function has one client, so that no switch has ports of both kinds.) The function
# is a network device itself, whose transportq is its queue 3. Argument: the kernel of the guest
# with the function.
#
# run: trixie
# long: bookworm
. "$(dirname "$0")/guest/lib.sh"

need_module "${1-trixie}"
presenter_pid=''

# presenter COMMAND...: the command means the tvqd that presents.
presenter() {
	local control=$tmp/presenter-control.sock log=$tmp/presenter.log
	local tvqd_pid=$presenter_pid ret=0
	"$@" || ret=$?
	presenter_pid=$tvqd_pid
	return $ret
}

: >"$tmp/presenter.log"
serve ,msi-page=on --type net
presenter start_tvqd
check "the switch of the one daemon listens" \
	ctl uplink add name there stream "$tmp/wire" listen on mtu 9000
check "that of the other is connected to it" \
	presenter ctl uplink add name here stream "$tmp/wire" mtu 9000
check "the other presents a device" presenter ctl dev add name net0 mgmtdev mgmt0 class net \
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
rmmod tvq_vdpa
calm
GUEST
need_guest
guest_pid=$other_pid one_console=$console console=$other_console
wait_guest "the other guest's script succeeds"
check_file "the function is a network device" '^0x0041' "$one_console"
check_file "the other guest reaches it" '^it reaches the guest with the function' "$other_console"
check_file "and was sent to" '^it has been sent to' "$other_console"
for fact in "it reaches the other guest" "frames of 9000 bytes pass" "TCP passes"; do
	check_file "$fact" "^$fact" "$one_console"
done
sum=$(grep -Eo '^[0-9a-f]{64}' "$one_console")
check_file "4 MiB arrive as they were sent" "^${sum:-no sum}" "$other_console"
check_says "the one switch knows where the other guest is" '02:00:00:00:02:02' ctl switch fdb show
presenter kill -TERM "$presenter_pid"
status=0
wait "$presenter_pid" || status=$?
check "the tvqd that presents ends with status 0 on SIGTERM" test "$status" = 0
log=$tmp/presenter.log check "its log has no sanitizer's report" no_sanitizer_report
finish
