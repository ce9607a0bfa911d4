#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A tvqd that was killed leaves its sockets' files; the next one takes their places. A file of
# another kind in such a place is left alone.
. "$(dirname "$0")/lib.sh"

start_tvqd
add_block v "$tmp/v.sock" ram 1M
kill_tvqd
check "the killed tvqd left its control socket" test -S "$control"
check "and the device's" test -S "$tmp/v.sock"

start_tvqd
ok "a new tvqd starts on the same control socket"
add_block v "$tmp/v.sock" ram 1M
check "the device on the old path works" block_io "$tmp/v.sock" 'write -P 1 0 4k' 'read -P 1 0 4k'

echo precious >"$tmp/file"
check "a second volume" ctl volume add name w ram 1M
check_fails "a device is not put in place of a file" "$tmp/file" \
	ctl dev add name w mgmtdev mgmt0 class block volume w vhost-user "$tmp/file"
check_says "the file is untouched" '^precious$' cat "$tmp/file"
check "after the refusal the volume is free" ctl volume del w
stop_tvqd

control=$tmp/file
check_fails "nor is the control socket" "$tmp/file" timeout 5 "$tvqd" --control "$control"
check_says "the file is untouched" '^precious$' cat "$tmp/file"
finish
