#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# An image that is cut short, or removed, while a guest uses it: the guest sees I/O errors where
# nothing is any more, never zeroes; tvqd and its other devices go on.
. "$(dirname "$0")/lib.sh"

need_qemu 7.2
head -c $((16 << 20)) /dev/urandom >"$tmp/disk.img"
head -c $((1 << 20)) /dev/urandom >"$tmp/gone.img"
first=$(head -c 4096 "$tmp/disk.img" | sha256sum | cut -d' ' -f1)
start_tvqd
add_block vda "$tmp/vda.sock" file "$tmp/disk.img"
add_block vdb "$tmp/vdb.sock" file "$tmp/gone.img"
add_block other "$tmp/other.sock" ram 8M

cat >"$tmp/job" <<'GUEST'
dd if=/dev/vda of=/dev/null bs=1M skip=15 count=1 iflag=direct 2>/dev/null && echo whole-at-first
echo cut-it-now
while dd if=/dev/vda of=/dev/null bs=4k skip=4095 count=1 iflag=direct 2>/dev/null; do
	sleep 0.1
done
echo read-past-the-end-fails
dd if=/dev/vda bs=4k count=1 iflag=direct 2>/dev/null | sha256sum
dd if=/dev/vdb of=/dev/null bs=64k count=1 iflag=direct 2>/dev/null &&
	echo removed-image-still-serves
GUEST
start_guest "$tmp/job" --disk "$tmp/vda.sock,num-queues=1" --disk "$tmp/vdb.sock,num-queues=1"
wait_console "the guest reads the whole disk" '^cut-it-now' 60
truncate -s 1M "$tmp/disk.img"
rm "$tmp/gone.img"
wait_guest "the guest goes on to its end"
check_file "reads worked before" '^whole-at-first' "$console"
check_file "reads behind the new end fail" '^read-past-the-end-fails' "$console"
check_file "reads before it still work" "^$first" "$console"
check_file "an image whose name is removed serves on" '^removed-image-still-serves' "$console"
check "tvqd lives" tvqd_alive
check_file "its log names the volume or device" 'vda' "$log"
check "another device works" block_io "$tmp/other.sock" 'write -P 7 0 64k' 'read -P 7 0 64k'
check_fails "a client without a guest sees the error too" 'Input/output error|failed' \
	block_io "$tmp/vda.sock" 'read 8M 4k'
check "the device is removed" ctl dev del vda
finish
