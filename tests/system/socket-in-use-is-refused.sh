#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A second tvqd on a control socket, and a second device on a vhost-user socket, are refused and say
# which.
. "$(dirname "$0")/lib.sh"

start_tvqd
add_block v "$tmp/v.sock" ram 1M
check_fails "a second tvqd on the control socket is refused" "$control" \
	timeout 5 "$tvqd" --control "$control"
check_says "the first one still answers" '^v' ctl dev show
check "a second volume" ctl volume add name w ram 1M
check_fails "a second device on the same socket is refused" "$tmp/v.sock" \
	ctl dev add name w mgmtdev mgmt0 class block volume w vhost-user "$tmp/v.sock"
check "the first device works" block_io "$tmp/v.sock" 'write -P 1 0 4k' 'read -P 1 0 4k'
check "the second one works elsewhere" \
	ctl dev add name w mgmtdev mgmt0 class block volume w vhost-user "$tmp/w.sock"
check "and does" block_io "$tmp/w.sock" 'write -P 2 0 4k' 'read -P 2 0 4k'

python3 - "$tmp/theirs.sock" <<'PEER' &
import socket, sys, time
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
s.listen()
time.sleep(30)
PEER
peer=$!
wait_until 5 test -S "$tmp/theirs.sock" || true
sleep 0.2
check_fails "another program's socket is not taken for control" "$tmp/theirs.sock" \
	timeout 5 "$tvqd" --control "$tmp/theirs.sock"
kill "$peer"
rm -f "$tmp/theirs.sock"
finish
