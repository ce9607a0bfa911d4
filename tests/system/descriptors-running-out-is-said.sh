#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# When no file descriptor is left, the device that cannot be presented is refused with the need and
# the limit, and what is there works on.
. "$(dirname "$0")/lib.sh"

wrap=(prlimit --nofile=100:100)
start_tvqd
add_block first "$tmp/first.sock" ram 1M

refused=''
for i in $(seq 120); do
	ctl volume add name "v$i" ram 1M >"$tmp/said" 2>&1 || { refused=$i; break; }
	ctl dev add name "v$i" mgmtdev mgmt0 class block volume "v$i" vhost-user "$tmp/v$i.sock" \
		>"$tmp/said" 2>&1 ||
		{ refused=$i; break; }
done
cp "$tmp/said" "$tmp/refusal"
check "the limit is met" test -n "$refused"
check_file "the refusal names the limit" 'RLIMIT_NOFILE|LimitNOFILE' "$tmp/refusal"
check "tvqd lives" tvqd_alive
check "one device fewer" ctl dev del v1
check "two devices fewer" ctl dev del v2
for i in 3 4 5 6 7 8; do
	ctl dev del "v$i" >/dev/null
done
check "what is there works on" block_io "$tmp/first.sock" 'write -P 7 0 64k' 'read -P 7 0 64k'
check "and there is room again" \
	ctl dev add name v1 mgmtdev mgmt0 class block volume v1 vhost-user "$tmp/v1.sock"
finish
