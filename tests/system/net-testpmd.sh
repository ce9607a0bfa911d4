#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# DPDK's virtio_user, as dpdk-testpmd drives it, on two managed network devices of one management
# device: one sends what the other receives, and one process passes frames around between both.
# Without hugepages. Argument: the ring format.
#
# run: split
# run: packed
. "$(dirname "$0")/lib.sh"

packed=0
[ "${1-split}" = split ] || packed=1
command -v dpdk-testpmd >/dev/null || skip_all "there is no dpdk-testpmd (package dpdk)"

mac() { echo "02:00:00:00:00:0$1"; }

# testpmd NAME "DEVICE..." [OPTION...] <COMMANDS: its commands come from a pipe; what it says is in
# $tmp/NAME.
testpmd() {
	local name=$1 device devices=() n=0 pairs=${pairs:-1} cpus options
	cpus="0-$(($(nproc) - 1))"
	for device in $2; do
		options="path=$tmp/net$device.sock,mac=$(mac "$device"),packed_vq=$packed"
		devices+=(--vdev "net_virtio_user$n,$options,queue_size=256,queues=$pairs,cq=1")
		n=$((n + 1))
	done
	shift 2
	setpriv --pdeathsig KILL timeout -s KILL 60 setpriv --pdeathsig KILL \
		dpdk-testpmd --no-huge -m 256 --no-pci --no-telemetry \
		--file-prefix "tvq-$$-$name" --lcores "0@($cpus),1@($cpus)" "${devices[@]}" -- \
		-i --no-flush-rx --total-num-mbufs 4096 --rxq "$pairs" --txq "$pairs" "$@" \
		>"$tmp/$name" 2>&1
}

# After so many seconds: the counters, and the end.
after() {
	sleep "$1"
	printf '%s\n' stop 'show port stats all' quit
}

# The largest counter of that name.
counter() {
	grep -oE "$2: *[0-9]+" "$tmp/$1" | grep -oE '[0-9]+$' | sort -n | tail -n1
}

used() { ctl -j dev vstats show "$1" qidx "$2" |
	jq -e '[.. | .completed_desc? // empty] | max > 10'; }
above() { [ "$(counter "$1" "$2")" -gt "$3" ]; }
device_counter() { ctl -j switch show "net$1" | jq "[.. | objects | .$2? // empty] | max"; }

start_tvqd
for i in 1 2; do
	check "device net$i is added" ctl dev add name "net$i" mgmtdev mgmt0 class net \
		mac "$(mac "$i")" max_vqp 2 vhost-user "$tmp/net$i.sock"
done

### One sends, the other receives

{ echo start; after 6; } |
	testpmd receiver 2 --forward-mode=rxonly &
receiver=$!
{ sleep 2; echo start; after 2; } |
	testpmd sender 1 --forward-mode=txonly --eth-peer "0,$(mac 2)" || true
wait "$receiver" || true
check "the sender has sent" above sender TX-packets 1000
check "the receiver has received" above receiver RX-packets 1000
check "no more arrived than was sent" test \
	"$(counter receiver RX-packets)" -le "$(counter sender TX-packets)"
check "the switch has counted them" test "$(device_counter 1 tx_packets)" -ge \
	"$(counter receiver RX-packets)"
check "none of them was thought to be bad" sh -c \
	"! '$tvqctl' --control '$control' switch show | grep -E 'header|spoofed|too-long'"

### Both in one process, with two queue pairs

before=$(device_counter 2 tx_packets)
round=(--forward-mode=io --eth-peer "0,$(mac 2)" --eth-peer "1,$(mac 1)")
{ echo 'start tx_first'; after 3; } | pairs=2 testpmd both "1 2" "${round[@]}" || true
check "frames go round" above both RX-packets 1000
check "over both devices" test "$(device_counter 2 tx_packets)" -gt $((before + 1000))
for queue in 0 1 2 3; do
	check "queue $queue has been used" used net1 $queue
done

### A process that is killed leaves the devices usable

{ echo start; sleep 30; } | testpmd killed 1 --forward-mode=rxonly &
killed=$!
connected() { ctl dev show net1 | grep -q 'running true'; }
check "a process has the device" wait_until 20 connected
kill -KILL "$killed" 2>/dev/null || true
check "it is free again" wait_until 10 sh -c "'$tvqctl' --control '$control' dev show net1 |
	grep -q 'connected false'"
{ echo 'start tx_first'; after 2; } | testpmd again "1 2" "${round[@]}" || true
check "and serves the next" above again RX-packets 1000
finish
