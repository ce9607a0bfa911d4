# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=dash disable=SC3040
#
# What the scripts share that run inside a guest with a network device, beside ../guest/inside.sh:
#
#   up NUMBER             eth0 is there and has the address 192.168.7.NUMBER; its peer is the other
#                         of 1 and 2
#   agent                 runs what `there` of the other guest says, until that says `stop_agent`
#   there COMMAND         runs it in the other guest; fails if it failed there
#   reaches ADDRESS       pings it once; reaches_not fails where it does
#   format                prints split or packed: what the driver negotiated
#   counter WHAT          prints a counter of eth0 (rx_bytes)
#   stream [OPTION...]    iperf3 to the other guest, for two seconds; prints what arrived there
net=192.168.7

# Busybox takes its own, wherever others lie.
ping() { /bin/ping "$@"; }
ip() { /bin/ip "$@"; }

up() {
	peer=$net.$((3 - $1))
	within 10 test -e /sys/class/net/eth0
	ip link set lo up
	ip addr add "$net.$1/24" dev eth0
	ip link set eth0 up
}

agent() {
	iperf3 -s >/dev/null 2>&1 &
	socat -t 90 TCP-LISTEN:7000,reuseaddr,fork EXEC:sh &
	until [ -e /tmp/stop ]; do
		sleep 0.2
	done
}

there() {
	echo ". /net.sh; { $*; } </dev/null 2>&1 && echo there-done" |
		socat -t 90 - "TCP:$peer:7000" >/tmp/there
	grep -v '^there-done$' /tmp/there || true
	grep -q '^there-done$' /tmp/there
}

stop_agent() { there touch /tmp/stop; }

reaches() { ping -c 1 -W 1 "$1" >/dev/null; }
reaches_not() { ! reaches "$1" && ! reaches "$1"; }

format() {
	case $(cut -c35 /sys/class/net/eth0/device/features) in
	0) echo split ;;
	1) echo packed ;;
	esac
}

counter() { cat "/sys/class/net/eth0/statistics/$1"; }

stream() {
	iperf3 -c "$peer" -t 2 "$@" >/tmp/stream || { cat /tmp/stream; return 1; }
	awk '/receiver/ { line = $0 } END { print line }' /tmp/stream
	! awk '/receiver/ { line = $0 } END { print line }' /tmp/stream | grep -q ' 0.00 '
}
