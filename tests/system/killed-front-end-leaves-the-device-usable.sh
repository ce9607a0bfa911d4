#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# QEMU is killed while its guest writes: tvqd goes on, other devices too, and a new QEMU on the same
# socket finds a file system that its journal can repair, with what was synced before. Arguments:
# the ring format and QEMU.
#
# run: split 7.2
# run: packed 11
# long: packed 7.2
# long: split 11
. "$(dirname "$0")/lib.sh"

rings=${1-split} qemu=${2-7.2}
need_qemu "$qemu"
packed=off
[ "$rings" = split ] || packed=on
disk="$tmp/vda.sock,num-queues=1,packed=$packed"

mkdir "$tmp/none"
make_image "$tmp/disk.img" 64 "$tmp/none"
start_tvqd
add_block vda "$tmp/vda.sock" file "$tmp/disk.img"
add_block other "$tmp/other.sock" ram 8M

cat >"$tmp/writer" <<'GUEST'
mount /dev/vda /mnt
echo kept >/mnt/kept
sync
echo writing
while :; do
	dd if=/dev/zero of=/mnt/junk bs=64k count=256 conv=fsync 2>/dev/null
done
GUEST
start_guest "$tmp/writer" --qemu "$qemu" --disk "$disk" --pidfile "$tmp/qemu.pid"
wait_console "the guest writes" '^writing' 60
sleep 1
kill -KILL "$(cat "$tmp/qemu.pid")"
wait "$guest_pid" 2>/dev/null || true
check "tvqd lives" tvqd_alive
check_says "and answers" vda ctl dev show
check "another device works" block_io "$tmp/other.sock" 'write -P 7 0 64k' 'read -P 7 0 64k'

cat >"$tmp/reader" <<'GUEST'
set -e
mount /dev/vda /mnt
cat /mnt/kept
rm -f /mnt/junk
echo again >/mnt/again
umount /mnt
GUEST
start_guest "$tmp/reader" --qemu "$qemu" --disk "$disk"
wait_guest "a new QEMU on the same socket works"
check_file "what was synced is there" '^kept' "$console"
check "the devices can be removed" ctl dev del vda
stop_tvqd
check "the image is a clean file system" e2fsck -fn "$tmp/disk.img"
finish
