#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# SIGTERM ends tvqd cleanly while a guest does I/O; what the guest had synced is in the image.
. "$(dirname "$0")/lib.sh"

need_qemu 7.2
truncate -s 16M "$tmp/disk.img"
start_tvqd
add_block vda "$tmp/vda.sock" file "$tmp/disk.img"

cat >"$tmp/job" <<'GUEST'
echo from-the-guest | dd of=/dev/vda bs=512 conv=sync,fsync 2>/dev/null
echo written
while :; do
	dd if=/dev/vda of=/dev/null bs=64k iflag=direct 2>/dev/null
done
GUEST
start_guest "$tmp/job" --disk "$tmp/vda.sock,num-queues=1" --pidfile "$tmp/qemu.pid"
wait_console "the guest has written" '^written' 60
stop_tvqd
kill -KILL "$(cat "$tmp/qemu.pid")" 2>/dev/null || true
check_says "what the guest synced is in the image" '^from-the-guest' head -n1 "$tmp/disk.img"
check "the image is no longer locked" qemu-io -f raw -c 'read 0 512' "$tmp/disk.img"
finish
