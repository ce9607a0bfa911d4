# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash disable=SC2119,SC2120
#
# What the tests share that have several guests with network devices of one tvqd, over vhost-user.
# tvqd runs in a network namespace of its own, so that a tap device of it is nobody else's. Beside
# ../lib.sh:
#
#   need_root                     skips the test where it does not run as root
#   start_net [ARGUMENT...]       start_tvqd, in its namespace
#   inside_net COMMAND...         a command in tvqd's namespace
#   add_net NAME NUMBER [ARGUMENT...]
#                                 a device NAME with the address 02:00:00:00:00:0NUMBER, its socket
#                                 $tmp/NAME.sock
#   boot NAME NUMBER QEMU KEYS [OPTION...] <JOB
#                                 starts a guest that has the device, with QEMU's device's KEYS
#                                 (",packed=on"), which runs what JOB has inside (inside.sh is
#                                 sourced, set -e holds); "pid" of its QEMU is in $tmp/NAME.pid
#   on NAME COMMAND...            a command of ../lib.sh (wait_console, wait_guest) that means that
#                                 guest
#   facts NAME WHAT...            each is a line of that guest's console
# shellcheck source=lib.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../lib.sh"

net_tools=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
declare -A consoles=() guests=()

need_root() { [ "$(id -u)" = 0 ] || skip_all "a tap device and a network namespace need root"; }

start_net() {
	# shellcheck disable=SC2034 # lib.sh's
	wrap=(unshare -n)
	start_tvqd "$@"
}

inside_net() { nsenter -t "$tvqd_pid" -n "$@"; }

add_net() {
	local name=$1 number=$2
	shift 2
	check "device $name is added" ctl dev add name "$name" mgmtdev mgmt0 class net \
		mac "02:00:00:00:00:0$number" "$@" vhost-user "$tmp/$name.sock"
}

boot() {
	local name=$1 number=$2 version=$3 keys=$4
	shift 4
	{
		echo '. /inside.sh'
		echo '. /net.sh'
		echo 'trap tell_why EXIT'
		echo 'set -e'
		cat
	} >"$tmp/$name.job"
	cp "$net_tools/inside.sh" "$tmp/net.sh"
	# A guest that this machine gives no time to is not broken.
	start_guest "$tmp/$name.job" --qemu "$version" --mem 384 --pidfile "$tmp/$name.pid" \
		--append nowatchdog \
		--net "$tmp/$name.sock,mac=02:00:00:00:00:0$number$keys" \
		--file "$net_tools/../guest/inside.sh" --file "$tmp/net.sh" \
		--with ip --with ping --with ethtool --with iperf3 --with socat "$@"
	consoles[$name]=$console
	guests[$name]=$guest_pid
}

on() {
	local name=$1 console=${consoles[$1]} guest_pid=${guests[$1]}
	shift
	"$@"
	guests[$name]=$guest_pid
}

facts() {
	local name=$1 what
	shift
	for what; do
		check_file "$what" "^$what\$" "${consoles[$name]}"
	done
}

kill_guest() {
	kill -KILL "$(cat "$tmp/$1.pid")"
	wait "${guests[$1]}" 2>/dev/null || true
	guests[$1]=''
}
