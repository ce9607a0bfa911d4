#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Thousands of connections that say nothing, on the control socket and on a device's: others are
# served.
. "$(dirname "$0")/lib.sh"

start_tvqd
add_block a "$tmp/a.sock" ram 8M
add_block b "$tmp/b.sock" ram 8M

holders=()
crowd() {
	local fifo=$tmp/crowd.${#holders[@]}
	mkfifo "$fifo"
	"$here/unix-client" "$1" hold "$2" "${3-}" <"$fifo" >"$fifo.said" 2>&1 &
	holders+=($!)
	# shellcheck disable=SC2034 # open until the test ends
	exec {hold}>"$fifo"
	wait_until 30 grep -q '^holding' "$fifo.said" || true
	sed 's/^/# /' "$fifo.said"
}

crowd "$control" 3000
check "thousands were let in on the control socket" \
	grep -Eq '^holding [1-9][0-9]{3}' "$tmp/crowd.0.said"
check_says "the control socket answers beside them" '^a' \
	timeout 5 "$tvqctl" --control "$control" dev show
crowd "$tmp/a.sock" 2000
check "tvqd lives" tvqd_alive
check_says "it answers beside those on a device" '^b' \
	timeout 5 "$tvqctl" --control "$control" dev show
check "another device works" block_io "$tmp/b.sock" 'write -P 7 0 64k' 'read -P 7 0 64k'
add_block c "$tmp/c.sock" ram 8M
check "a new device works" block_io "$tmp/c.sock" 'write -P 7 0 64k' 'read -P 7 0 64k'

kill "${holders[@]}"
wait "${holders[@]}" 2>/dev/null || true
check "when they have gone their device works" block_io "$tmp/a.sock" 'write -P 7 0 64k' \
	'read -P 7 0 64k'
few_descriptors() { [ "$(find "/proc/$tvqd_pid/fd" -mindepth 1 | wc -l)" -lt 200 ]; }
wait_until 10 few_descriptors || true
check "and their descriptors are closed" few_descriptors
check "the log has not a line for each" test "$(wc -l <"$log")" -lt 500
finish
