#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A stream uplink connects to passt, and a machine on the switch reaches the host's network by it,
# without any privilege of tvqd's: the machine is a network namespace with a tap uplink, and what is
# the host to passt is tvqd's namespace. A file over TCP arrives unchanged both ways; passt ends and
# is back.
. "$(dirname "$0")/net/lib.sh"

need_root
command -v passt >/dev/null || skip_all "there is no passt: it is in the package of that name"

guest=10.50.0.2 router=10.50.0.1
socket=$tmp/passt.sock

# What passt takes for the interface of the host that its guest's addresses are copied from.
make_host() {
	ip link set lo up
	ip tuntap add dev outside mode tap
	ip addr add $guest/24 dev outside
	ip link set outside up
	ip route add default via $router
}

run_passt() {
	inside_net setpriv --pdeathsig KILL passt -f -4 -s "$socket" --runas 0 \
		>>"$tmp/passt.log" 2>&1 </dev/null &
	passt=$!
}

# The router's address is the host's loopback to passt.
serve() {
	inside_net setpriv --pdeathsig KILL python3 - "$tmp" <<'SERVER' &
import socket, sys
folder = sys.argv[1]
listening = socket.create_server(("127.0.0.1", 7777))
open(folder + "/serving", "w").close()
while True:
    peer, _ = listening.accept()
    with open(folder + "/file", "rb") as f:
        peer.sendfile(f)
    with open(folder + "/returned", "wb") as f:
        while data := peer.recv(65536):
            f.write(data)
    peer.close()
SERVER
}

there() { nsenter -t "$machine" -n "$@"; }

# The file to the machine, and from there back.
exchange() {
	rm -f "$tmp/returned"
	there timeout 60 python3 - $router "$(stat -c %s "$tmp/file")" <<'CLIENT' || return 1
import socket, sys
host = socket.create_connection((sys.argv[1], 7777), 10)
host.settimeout(None)
data = b""
while len(data) < int(sys.argv[2]):
    part = host.recv(65536)
    assert part, "error: the connection ended too early"
    data += part
host.sendall(data)
host.shutdown(socket.SHUT_WR)
host.recv(1)
CLIENT
	cmp "$tmp/file" "$tmp/returned"
}

uplink_is() { ctl -j uplink show net | jq -e ".uplink.net.state == \"$1\""; }

head -c 5000000 /dev/urandom >"$tmp/file"
start_net
inside_net bash -ec "$(declare -f make_host); guest=$guest router=$router; make_host"
check "a stream uplink is added before its peer is there" ctl uplink add net stream "$socket"
check "it is connecting" uplink_is connecting
run_passt
check "it is up when passt is there" wait_until 10 uplink_is up

check "a tap uplink is added" ctl uplink add machine tap tvqmachine
unshare -n sleep 1000 &
machine=$!
wait_until 5 there true
check "its device is given to the machine" \
	inside_net ip link set tvqmachine netns "$machine"
there ip addr add $guest/24 dev tvqmachine
there ip link set tvqmachine up
there ip route add default via $router
serve
wait_until 5 test -e "$tmp/serving"
check "5 MB arrive unchanged both ways" exchange

kill -KILL "$passt"
check "it notices that passt has ended" wait_until 10 uplink_is connecting
check_fails "the machine reaches nobody" 'Error' there python3 -c \
	"import socket; socket.create_connection(('$router', 7777), 1)"
run_passt
check "it is up again when passt is back" wait_until 10 uplink_is up
check "5 MB arrive unchanged again" exchange
check "the log says once that passt was not there" \
	test "$(grep -c 'uplink stream .*not there yet' "$log")" = 1

check "the uplinks are deleted" eval 'ctl uplink del net && ctl uplink del machine'
check_fails "the tap device has gone with its uplink" 'does not exist' \
	there ip link show tvqmachine
kill -KILL "$passt"
rm -f "$socket"
finish
