#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A client that sends half a message and stays: others are served meanwhile, and the stalled one is
# let go after a time, so that its socket is free again.
. "$(dirname "$0")/lib.sh"

stalled() {
	local fifo=$tmp/stalled.${1##*/}
	mkfifo "$fifo"
	"$here/unix-client" "$1" hold 1 "$2" <"$fifo" >"$fifo.said" 2>&1 &
	# shellcheck disable=SC2034 # open until the test ends
	exec {hold}>"$fifo"
	wait_until 5 grep -q '^holding' "$fifo.said" || true
}

start_tvqd
add_block a "$tmp/a.sock" ram 8M
add_block b "$tmp/b.sock" ram 8M
add_block c "$tmp/c.sock" ram 8M

# {"cmd": "dev sho; a vhost-user header cut after six bytes; one whose payload does not come
# (SET_OWNER, 8 bytes)
stalled "$control" 7b22636d64223a20226465762073686f
stalled "$tmp/a.sock" 010000000100
stalled "$tmp/b.sock" 020000000100000008000000
check_says "the control socket answers" '^a' timeout 5 "$tvqctl" --control "$control" dev show
check "another device works" block_io "$tmp/c.sock" 'write -P 7 0 64k' 'read -P 7 0 64k'

works() { block_io "$1" 'write -P 7 0 64k' 'read -P 7 0 64k'; }
check "the first device is free again after a time" wait_until 30 works "$tmp/a.sock"
check "so is the second" wait_until 30 works "$tmp/b.sock"
check_file "the log says of which device, and why" 'a: .*(half|message|SET|GET)' "$log"
check "a device with a stalled client can be removed" ctl dev del b
finish
