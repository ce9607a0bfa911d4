#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A guest whose network device is QEMU's own, on QEMU's -netdev stream, is connected to the switch
# by a stream uplink, and reaches the host through another port, a tap uplink: it pings, and a file
# over TCP arrives unchanged both ways. QEMU is killed, and the next one is connected as well.
# Arguments: QEMU (7.2, 11), and who listens (tvqd, qemu).
#
# run: 7.2 tvqd
# run: 11 qemu
. "$(dirname "$0")/net/lib.sh"

qemu=${1-7.2} listens=${2-tvqd}
need_root
need_qemu "$qemu"
socket=$tmp/stream.sock

cat >"$tmp/common" <<'GUEST'
set -e
modprobe virtio_net
ip link set lo up
for i in $(seq 50); do
	[ ! -e /sys/class/net/eth0 ] || break
	sleep 0.1
done
ip addr add 192.168.7.1/24 dev eth0
ip link set eth0 up
reaches() { ping -c 1 -W 1 192.168.7.100 >/dev/null; }
for i in $(seq 30); do
	! reaches || break
done
reaches
echo "it reaches the host"
GUEST
cp "$tmp/common" "$tmp/first"
cat >>"$tmp/first" <<'GUEST'
sleep 1000
GUEST
cp "$tmp/common" "$tmp/second"
cat >>"$tmp/second" <<'GUEST'
nc 192.168.7.100 7001 </dev/null >/tmp/file
sha256sum </tmp/file
nc 192.168.7.100 7002 </tmp/file
echo "it is through"
GUEST

guest() {
	local server=off
	[ "$listens" = tvqd ] || server=on
	start_guest "$1" --qemu "$qemu" --pidfile "$tmp/pid" -- \
		-netdev "stream,id=n,server=$server,addr.type=unix,addr.path=$socket" \
		-device virtio-net-pci,netdev=n,mac=02:00:00:00:00:01,romfile=
}

serve() {
	inside_net setpriv --pdeathsig KILL python3 - "$tmp" <<'SERVER' &
import socket, sys
folder = sys.argv[1]
out, back = (socket.create_server(("192.168.7.100", port)) for port in (7001, 7002))
open(folder + "/serving", "w").close()
peer, _ = out.accept()
with open(folder + "/file", "rb") as f:
    peer.sendfile(f)
peer.close()
peer, _ = back.accept()
with open(folder + "/returned", "wb") as f:
    while data := peer.recv(65536):
        f.write(data)
open(folder + "/taken", "w").close()
SERVER
}

uplink_is() { ctl -j uplink show guest | jq -e ".uplink.guest.state == \"$1\""; }

start_net
listen=off waiting=connecting
[ "$listens" = qemu ] || listen=on waiting=listening
check "a stream uplink is added" ctl uplink add guest stream "$socket" listen $listen
check "a tap uplink is added" ctl uplink add host tap tvqhost
inside_net ip addr add 192.168.7.100/24 dev tvqhost
inside_net ip link set tvqhost up
check "it waits for its peer" uplink_is $waiting

guest "$tmp/first"
wait_console "a guest reaches the host" '^it reaches the host' 60
check "the uplink is up" uplink_is up
kill -KILL "$(cat "$tmp/pid")"
wait "$guest_pid" 2>/dev/null || true
check "it waits again when QEMU was killed" wait_until 10 uplink_is $waiting
# The socket of a QEMU that was killed is still there.
[ "$listens" = tvqd ] || rm -f "$socket"

head -c 5000000 /dev/urandom >"$tmp/file"
serve
wait_until 5 test -e "$tmp/serving"
guest "$tmp/second"
wait_guest "the next guest does its work"
sum=$(sha256sum <"$tmp/file")
check_file "what it got is the file" "^${sum%% *}" "$console"
check "it has sent it back" wait_until 10 test -e "$tmp/taken"
check "unchanged" cmp "$tmp/file" "$tmp/returned"
finish
